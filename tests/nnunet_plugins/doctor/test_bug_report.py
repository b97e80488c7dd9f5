"""The block for a bug report: complete, and without paths and names."""

from __future__ import annotations

import argparse
import getpass
import os
import platform
import subprocess
import sys
import tempfile
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
        ("/home/anna/Klinikum data/raw/Dataset660_Mine is there", "<path>"),
        ("results of anna is relative", "<path> is relative"),
        ("mkdir -p '/x/y z'", "mkdir -p '<path>'"),
        (f"in {extension_folder()}/a.py, line 3", "in <nnunet_plugins>/nnunet_ext/a.py, line 3"),
        ("/opt/other/deep/net.py, line 1: x", "<path>/net.py, line 1: x"),
        (r"C:\Users\anna\x; ~/y", "<path>; <path>"),
        ("Dataset660_Mine and Dataset661_Yours", "Dataset660_<name> and Dataset661_<name>"),
        ("anna on radiology-pc, hanna", "<user> on <computer>, hanna"),
        ("https://download.pytorch.org/whl/cpu", "https://download.pytorch.org/whl/cpu"),
        ("chmod u+rwx and/or 1 / 2, --index-url", "chmod u+rwx and/or 1 / 2, --index-url"),
    ],
)  # fmt: skip
def test_private_names_are_replaced(text, expected):
    assert redact(text, ANNA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'/home/anna/Patient Mueller/ct.nii.gz'", "'<path>'"),
        ('No file "/mnt/Patient Mueller, Hans/ct.nii.gz": gone', 'No file "<path>": gone'),
        (r"'C:\\Users\\Hans Mueller\\ct.nii.gz' and '~/Hans Mueller'", "'<path>' and '<path>'"),
        ("'scans/Patient Mueller/ct.nii.gz'", "'<path>'"),
        ("mkdir -p '/mnt/O'\"'\"'Brien Hans/raw'\nor", "mkdir -p '<path>'\nor"),
        ("/mnt/Patient Mueller/ct.nii.gz, 3 GB", "<path>, 3 GB"),
        ("/mnt/Patient Mueller/ct.nii.gz: bad; next", "<path>: bad; next"),
        ("/mnt/Patient Mueller/ct.nii.gz is bad\nline 2", "<path>\nline 2"),
        ("/mnt/O'Brien Hans/ct.nii.gz", "<path>"),
        (r"\\server\Patient Mueller\ct.nii.gz", "<path>"),
        ("--root=/mnt/Patient Mueller", "--root=<path>"),
        ("file:///mnt/Patient Mueller/x", "<path>"),
        ("from 'y' (/mnt/Hans Mueller/y/__init__.py); see", "from 'y' (<path>/__init__.py); see"),
        ("/home/anna/Klinikum data/raw Hans/Mueller", "<path>"),
        ("/home/anna/Klinikum data/raw is bad; /home/anna/Klinikum data/raw, x", "<path> is bad; <path>, x"),
    ],
)  # fmt: skip
def test_a_path_with_blanks_vanishes(text, expected):
    assert redact(text, ANNA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/Users/Jane Doe/projects/architectures/__init__.py", "<path>/__init__.py"),
        ("shadows ours: /Users/Jane Doe/a b/x", "shadows ours: <path>"),
        ("/users/jane doe is full", "<path> is full"),
        ("Jane Doe/x; JANE DOE", "<path>; <user>"),
    ],
)
def test_a_home_with_a_blank_vanishes(monkeypatch, text, expected):
    monkeypatch.setattr(Path, "home", lambda: Path("/Users/Jane Doe"))
    assert redact(text, {"HOME": "/Users/Jane Doe"}) == expected


@pytest.mark.parametrize("place", [sys.prefix, os.getcwd(), tempfile.gettempdir()])
def test_folders_of_this_machine_vanish(place):
    assert redact(f"{place} is full, {place}/Patient Mueller/x", {}) == "<path> is full, <path>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dataset601_St-Elisabeth", "Dataset601_<name>"),
        ("Dataset601-KlinikBonn is bad", "Dataset601_<name> is bad"),
        ("Dataset601.Bonn, 'Dataset602_Köln'", "Dataset601_<name>, 'Dataset602_<name>'"),
        (
            "601 is the id of Dataset601_St Elisabeth and Dataset601_Klinik Bonn; nnU-Net rejects it",
            "601 is the id of Dataset601_<name> and Dataset601_<name>; nnU-Net rejects it",
        ),
        ("Dataset601 is bad", "Dataset601 is bad"),
    ],
)
def test_dataset_names_are_replaced(text, expected):
    assert redact(text, ANNA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ANNA on Radiology-PC, Hanna", "<user> on <computer>, Hanna"),
        ("radiology-pc.klinik-bonn.de", "<computer>"),
        ("anna_scans", "<user>_scans"),
    ],
)
def test_user_and_computer_in_any_case(monkeypatch, text, expected):
    monkeypatch.setattr(platform, "node", lambda: "RADIOLOGY-pc.klinik-bonn.de")
    assert redact(text, ANNA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://github.com/MIC-DKFZ/nnUNet.", "see https://github.com/MIC-DKFZ/nnUNet."),
        ("https://docs.python.org/3/", "https://docs.python.org/3/"),
        ("https://bob:token@github.com/x?key=1", "https://github.com/x"),
        ("http://pacs.klinik-bonn.de:8080/Mueller, x", "http://<host>, x"),
        ("https://github.com.klinik-bonn.de/x", "https://<host>"),
        ("'s3://klinik-bonn/Mueller'", "'s3://<host>'"),
    ],
)
def test_only_public_hosts_are_kept(text, expected):
    assert redact(text, ANNA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scans/Mueller/ct.nii.gz: bad", "<path>: bad"),
        ("is bad: scans/Patient Mueller", "is bad: <path>"),
        (r"../Mueller/ct.nii.gz; scans\Mueller.", "<path>; <path>."),
        ("code/mueller/net.py, line 1", "<path>/net.py, line 1"),
        ("nnunet_plugins/doctor/probe.py, line 1", "nnunet_plugins/doctor/probe.py, line 1"),
        ("Input/output error, 3/4, I/O", "Input/output error, 3/4, I/O"),
    ],
)
def test_relative_paths_are_replaced(text, expected):
    assert redact(text, ANNA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/opt/umamba/nnUNetTrainerUMamba.py, line 1: x", "<path>/umamba/nnUNetTrainerUMamba.py, line 1: x"),
        ("'/opt/umamba/deep/net.py'", "'<path>/deep/net.py'"),
        ("/opt/umamba/Hans Mueller/net.py", "<path>/net.py"),
        ("remove /opt/umamba from it; x", "remove <path> from it; x"),
    ],
)  # fmt: skip
def test_a_file_of_a_plugin_is_identifiable(text, expected):
    assert redact(text, ANNA) == expected


def test_the_issue_form_adds_no_second_fence():
    form = Path(__file__).parents[3] / ".github" / "ISSUE_TEMPLATE" / "bug.yml"
    field = form.read_text("utf-8").split("id: doctor")[1].split("  - type:")[0]
    assert "render" not in field


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
