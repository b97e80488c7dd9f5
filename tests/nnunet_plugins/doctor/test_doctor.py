"""The checks together, their report and the command."""

from __future__ import annotations

import argparse
import os

import pytest

import nnunet_plugins.doctor as doctor
from nnunet_plugins.commands import doctor as command
from nnunet_plugins.doctor import Finding, examine, probe, report

from .findings import by_subject


@pytest.mark.integration
def test_a_healthy_machine_has_nothing_broken(healthy):
    findings = examine(healthy)
    assert [finding for finding in findings if finding.level == "broken"] == []
    assert by_subject(findings)["trainers"].level == "ok"


def test_a_check_that_raises_is_a_finding(monkeypatch):
    def check_stars(environ):
        raise KeyError("venus")

    monkeypatch.setattr(doctor, "CHECKS", (check_stars,))
    (finding,) = examine({})
    assert (finding.level, finding.subject) == ("broken", "stars")
    assert "KeyError: 'venus'" in finding.detail


def test_a_probe_that_hangs(monkeypatch):
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.5)
    assert probe.probe("import time; time.sleep(60)", os.environ) == (
        None,
        "no answer within 0.5 s",
    )


def test_a_probe_answers_after_printing():
    assert probe.probe("print('{not json'); answer = {'a': 1}", os.environ) == ({"a": 1}, "")


def test_the_report_is_aligned_and_does_not_wrap_commands():
    command_line = "pip install " + "x" * 120
    findings = [
        Finding("ok", "GPU", "fine"),
        Finding("broken", "torchvision", "word " * 40, f"do this:\n{command_line}"),
        Finding("warning", "other", "bad", "same"),
        Finding("warning", "another", "bad", "same"),
    ]
    lines = report(findings).splitlines()
    assert lines[0] == "ok       GPU          fine"
    assert lines[1].startswith("broken   torchvision  word word")
    assert lines[2].startswith(" " * 22 + "word")
    assert f"            {command_line}" in lines
    assert lines.count("         -> same") == 1
    assert lines[-1] == "1 broken, 2 warnings"
    assert report([Finding("ok", "a", "b")]).endswith("no problems found")


@pytest.mark.parametrize(("level", "status"), [("ok", 0), ("warning", 0), ("broken", 1)])
def test_the_commands_status(monkeypatch, capsys, level, status):
    monkeypatch.setattr(doctor, "CHECKS", (lambda environ: [Finding(level, "x", "y")],))
    assert command.run(argparse.Namespace(report=False)) == status
    assert "x  y" in capsys.readouterr().out
