"""The block for a bug report: complete, and without paths and names."""

from __future__ import annotations

import argparse
import getpass
import os
import platform
import subprocess
from pathlib import Path

import pytest

import nnunet_plugins.doctor as doctor
from nnunet_plugins.commands import doctor as command
from nnunet_plugins.doctor import Finding, bug_report
from nnunet_plugins.doctor.bug_report import redact
from nnunet_plugins.environment import EXTENSIONS, extension_folder

ANNA = {
    "nnUNet_raw": "/home/anna/Klinikum data/raw",
    "nnUNet_results": "results of anna",
    EXTENSIONS: os.pathsep.join([str(extension_folder()), "/opt/umamba"]),
    "nnUNet_compile": "f",
    "nnUNet_wandb_project": "/home/anna/secret",
}


@pytest.fixture(autouse=True)
def _anna(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    monkeypatch.setattr(platform, "node", lambda: "radiology-pc")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/anna"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/anna/Klinikum data/raw, 9 GB free", "<path>, 9 GB free"),
        ("/home/anna/Klinikum data/raw/Dataset660_Mine is there", "<path> is there"),
        ("results of anna is relative", "<path> is relative"),
        ("mkdir -p '/x/y z'", "mkdir -p '<path> z'"),
        (f"in {extension_folder()}/a.py, line 3", "in <nnunet_plugins>/nnunet_ext/a.py, line 3"),
        ("/opt/umamba/deep/net.py, line 1: x", "<path>/net.py, line 1: x"),
        (r"C:\Users\anna\x and ~/y", "<path> and <path>"),
        ("Dataset660_Mine and Dataset661_Yours", "Dataset660_<name> and Dataset661_<name>"),
        ("anna on radiology-pc, hanna", "<user> on <computer>, hanna"),
        ("https://download.pytorch.org/whl/cpu", "https://download.pytorch.org/whl/cpu"),
        ("chmod u+rwx and/or 1 / 2, --index-url", "chmod u+rwx and/or 1 / 2, --index-url"),
    ],
)  # fmt: skip
def test_private_names_are_replaced(text, expected):
    assert redact(text, ANNA) == expected


def test_the_block_is_complete():
    findings = [
        Finding("ok", "torch", "2.9.0+cu130"),
        Finding("broken", "nnUNet_raw", f"{ANNA['nnUNet_raw']} is not a folder", "mkdir -p it"),
    ]
    text = bug_report.bug_report(findings, ANNA)
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("```text", "```")
    assert text.count("```") == 2
    for part in (
        "Python ",
        "system ",
        "CPU ",
        "memory ",
        "GPU ",
        *bug_report.PACKAGES,
        *bug_report.VARIABLES,
    ):
        assert any(line.startswith(part) for line in lines), part
    entries = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in lines if "  " in line}
    assert entries["torch"] == "2.9.0+cu130"
    assert entries["nnUNet_raw"] == "set: <path>"
    assert entries["nnUNet_preprocessed"] == "not set"
    assert entries["nnUNet_compile"] == "set: f"
    assert entries["nnUNet_wandb_project"] == "set: <path>"
    assert entries[EXTENSIONS] == "set: <nnunet_plugins>/nnunet_ext:<path>"
    assert "broken   nnUNet_raw  <path> is not a folder" in lines
    assert "ok  " not in text
    assert not {"anna", "Klinikum", "umamba"} & set(text.replace("/", " ").split())


@pytest.mark.parametrize(
    ("status", "output", "expected"),
    [
        (0, "NVIDIA H200, 143771 MiB, 580.1\nNVIDIA H200, 143771 MiB, 580.1\n",
         "NVIDIA H200, 143771 MiB; NVIDIA H200, 143771 MiB; driver 580.1"),
        (9, "", "nvidia-smi failed (status 9)"),
        (0, "\n", "none"),
    ],
)  # fmt: skip
def test_gpus_and_driver(monkeypatch, status, output, expected):
    monkeypatch.setattr(bug_report.shutil, "which", lambda name: f"/usr/bin/{name}")
    done = subprocess.CompletedProcess([], status, output, "")
    monkeypatch.setattr(bug_report.subprocess, "run", lambda *_, **__: done)
    assert bug_report._gpus() == expected


def test_a_user_without_a_name(monkeypatch):
    def nameless():
        raise KeyError("uid 1000")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert redact("fine", {}) == "fine"


def test_the_command_prints_the_block(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", (lambda environ: [Finding("broken", "x", "y")],))
    assert command.run(argparse.Namespace(report=True)) == 1
    assert capsys.readouterr().out.startswith("```text\nPython ")
