"""Every illness is provoked once; a healthy machine has none."""

import argparse
import os
import shutil
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from types import ModuleType

import pytest

import nnunet_plugins.doctor as doctor
from nnunet_plugins.commands import doctor as command
from nnunet_plugins.doctor import (
    Finding,
    examine,
    folders,
    packages,
    probe,
    report,
    torch_stack,
    trainer_lookup,
    workers,
)
from nnunet_plugins.environment import EXTENSIONS, FOLDERS, extension_folder, variables

TORCH = {
    "torch": "2.9.0",
    "cuda": "13.0",
    "gpu": "",
    "mps": False,
    "torchvision": {"version": "0.24.0", "error": ""},
    "timm": {"version": "1.0.22", "error": ""},
}


USAGE = namedtuple("usage", "total used free")


@pytest.fixture
def healthy(tmp_path, monkeypatch):
    """A good environment for a small machine with a large disk, however full the one below is."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: USAGE(0, 0, 1000 * folders.GIB))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    environ |= variables(tmp_path, cpu=True, environ={})
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    return environ


@pytest.fixture
def said(monkeypatch):
    """Say what the other process answers."""

    def answer(module, facts):
        monkeypatch.setattr(module, "probe", lambda body, environ: (facts, ""))

    return answer


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


def only(findings, level):
    found = [finding for finding in findings if finding.level == level]
    assert len(found) == 1, findings
    assert found[0].cure
    return found[0]


def test_a_healthy_machine_has_nothing_broken(healthy):
    findings = examine(healthy)
    assert [finding for finding in findings if finding.level == "broken"] == []
    assert by_subject(findings)["trainers"].level == "ok"


# folders


def test_folders_that_are_not_set():
    findings = folders.check_folders({})
    assert [finding.level for finding in findings] == ["broken"] * 3
    assert "nnunet-plugins env --root" in findings[0].cure


def test_a_folder_that_does_not_exist(healthy, tmp_path):
    healthy["nnUNet_raw"] = f"{tmp_path}/it's not"
    finding = only(folders.check_folders(healthy), "broken")
    assert "is not a folder" in finding.detail
    assert """mkdir -p '""" in finding.cure


@pytest.mark.parametrize(("name", "level"), [("raw", "warning"), ("results", "broken")])
def test_a_folder_that_cannot_be_written(healthy, monkeypatch, name, level):
    locked = healthy[f"nnUNet_{name}"]
    # Tests may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != locked)
    assert "cannot be written" in only(folders.check_folders(healthy), level).detail


@pytest.mark.parametrize(("free", "level"), [(0.5, "broken"), (10, "warning")])
def test_a_full_disk(healthy, monkeypatch, free, level):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: USAGE(0, 0, int(free * folders.GIB)))
    found = by_subject(folders.check_folders(healthy))
    assert [found[name].level for name in FOLDERS] == ["ok", level, level]
    assert "make room" in found["nnUNet_results"].cure


def test_a_relative_folder(healthy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    healthy["nnUNet_raw"] = "nnUNet_raw"
    assert "relative" in only(folders.check_folders(healthy), "warning").detail


@pytest.mark.parametrize(
    "names", [("Dataset100_A", "Dataset100_B"), ("Dataset100_A", "Dataset1000_C")]
)
def test_one_id_for_two_datasets(healthy, tmp_path, names):
    (tmp_path / "nnUNet_raw" / names[0]).mkdir()
    (tmp_path / "nnUNet_preprocessed" / names[0]).mkdir()
    assert [finding.level for finding in folders.check_dataset_ids(healthy)] == ["ok"]
    (tmp_path / "nnUNet_results" / names[1]).mkdir()
    finding = only(folders.check_dataset_ids(healthy), "broken")
    assert all(name in finding.detail for name in ("100 ", *names))


# packages


@pytest.mark.parametrize(
    ("found", "level"),
    [("2.8.1", "ok"), ("2.8.12", "ok"), ("2.8.0", "broken"), ("2.9", "broken"), ("2.10", "broken")],
)
def test_nnunets_version(monkeypatch, found, level):
    monkeypatch.setattr(packages, "version", lambda name: found)
    (finding,) = packages.check_nnunet_version({})
    assert finding.level == level
    assert level == "ok" or "pip install 'nnunetv2>=2.8.1,<2.9'" in finding.cure


def test_no_nnunet(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "version", missing)
    assert only(packages.check_nnunet_version({}), "broken").detail == "is not installed"


def test_a_stranger_with_our_name(monkeypatch, tmp_path):
    stranger = ModuleType("architectures")
    stranger.__file__ = str(tmp_path / "architectures.py")
    monkeypatch.setitem(sys.modules, "architectures", stranger)
    finding = only(packages.check_name_clash({}), "broken")
    assert finding.subject == "architectures"
    assert str(tmp_path / "architectures.py") in finding.detail


def test_a_package_of_ours_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "dataset_conversion", None)
    assert "cannot be imported" in only(packages.check_name_clash({}), "broken").detail


# torch


def test_torchvision_that_does_not_fit_torch_is_found_in_earnest(healthy, tmp_path, monkeypatch):
    """The error is the true one; a stand-in raises it, as the true one takes another torch."""
    fake = tmp_path / "site" / "torchvision"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(str(fake.parent))
    found = by_subject(torch_stack.check_torch(healthy))
    assert found["torchvision"].level == "broken"
    assert "operator torchvision::nms does not exist" in found["torchvision"].detail
    assert "https://download.pytorch.org/whl/cpu" in found["torchvision"].cure


def test_a_torch_that_crashes_does_not_crash_the_doctor(healthy, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "torch.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    finding = only(torch_stack.check_torch(healthy), "broken")
    assert finding.subject == "torch"


def test_no_gpu_is_a_warning_with_what_it_means(said, healthy):
    said(torch_stack, TORCH)
    finding = only(torch_stack.check_torch(healthy), "warning")
    assert "100 times slower" in finding.detail
    assert "--preset cpu" in finding.cure


@pytest.mark.parametrize("value", [None, "active"])
def test_spinning_threads_on_a_cpu(said, healthy, value):
    said(torch_stack, TORCH)
    healthy.pop("OMP_WAIT_POLICY")
    if value:
        healthy["OMP_WAIT_POLICY"] = value
    finding = by_subject(torch_stack.check_torch(healthy))["OMP_WAIT_POLICY"]
    assert finding.level == "warning"
    assert finding.cure == "export OMP_WAIT_POLICY=passive"


def test_apples_gpu_needs_neither(said, healthy):
    said(torch_stack, {**TORCH, "mps": True})
    healthy.pop("OMP_WAIT_POLICY")
    assert {finding.level for finding in torch_stack.check_torch(healthy)} == {"ok"}


@pytest.mark.parametrize("value", ["t", "True", "1", None])
def test_compiling_without_a_compiler(said, healthy, tmp_path, value):
    said(torch_stack, {**TORCH, "gpu": "NVIDIA H200"})
    healthy |= {"PATH": str(tmp_path), "nnUNet_compile": value}
    if value is None:
        del healthy["nnUNet_compile"]
    finding = only(torch_stack.check_torch(healthy), "broken")
    assert finding.subject == "nnUNet_compile"
    assert "nnUNet_compile=f" in finding.cure


@pytest.mark.parametrize("with_compiler", [True, False])
def test_compiling_that_works_or_is_off(said, healthy, tmp_path, with_compiler):
    said(torch_stack, {**TORCH, "gpu": "NVIDIA H200"})
    healthy["PATH"] = str(tmp_path)
    if with_compiler:
        (tmp_path / "gcc").write_text("#!/bin/sh\n")
        (tmp_path / "gcc").chmod(0o755)
        healthy["nnUNet_compile"] = "t"
    assert {finding.level for finding in torch_stack.check_torch(healthy)} == {"ok"}


# trainers


@pytest.mark.parametrize("value", [None, "", "/my/trainers"])
def test_nnunet_does_not_search_our_folder(healthy, value):
    healthy[EXTENSIONS] = value
    if value is None:
        del healthy[EXTENSIONS]
    finding = only(trainer_lookup.check_trainers(healthy), "broken")
    assert finding.subject == EXTENSIONS
    assert "nnunet-plugins env" in finding.cure


FOUND = {
    "module": "nnunet_plugins.training.trainers",
    "file": str(extension_folder().parent / "trainers" / "mag.py"),
    "same": True,
}


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, "ok"),
        ({"module": "their_trainers", "file": "/theirs/their_trainers.py"}, "broken"),
        ({"file": "/other/nnunet_plugins/trainers/mag.py"}, "broken"),
        ({"same": False}, "broken"),
    ],
)
def test_it_must_be_the_very_class(said, healthy, change, level):
    said(trainer_lookup, {**FOUND, **change})
    assert by_subject(trainer_lookup.check_trainers(healthy))["trainers"].level == level


def test_a_look_up_that_fails(healthy, monkeypatch):
    monkeypatch.setattr(trainer_lookup, "probe", lambda *_: (None, "ImportError: no timm"))
    finding = only(trainer_lookup.check_trainers(healthy), "broken")
    assert "MAGUNetTrainer: ImportError: no timm" in finding.detail


def test_a_folder_of_trainers_that_is_gone(said, healthy):
    said(trainer_lookup, FOUND)
    healthy[EXTENSIONS] = os.pathsep.join(["/gone", healthy[EXTENSIONS]])
    assert "/gone" in only(trainer_lookup.check_trainers(healthy), "warning").detail


# workers


@pytest.fixture
def machine(monkeypatch):
    def of(cores, memory_gb):
        memory = None if memory_gb is None else memory_gb * workers.GIB
        monkeypatch.setattr(workers, "cpu_cores", lambda: cores)
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.setattr(workers, "memory_bytes", lambda: memory)

    return of


@pytest.mark.parametrize("name", workers.DEFAULT_WORKERS)
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", ""])
def test_numbers_that_cannot_be(name, value, machine):
    machine(4, 16)
    finding = by_subject(workers.check_workers({name: value}))[name]
    assert finding.level == "broken"
    assert finding.cure == f"export {name}=4"
    if (name, value) == ("nnUNet_n_proc_DA", "0"):
        assert "planning crashes" in finding.detail


def test_more_workers_than_cores(machine):
    machine(4, 64)
    finding = by_subject(workers.check_workers({"nnUNet_def_n_proc": "6"}))["nnUNet_def_n_proc"]
    assert (finding.level, finding.detail) == ("warning", "6 workers on 4 cores")


def test_more_workers_than_memory(machine):
    machine(16, 8)
    found = by_subject(workers.check_workers({"nnUNet_def_n_proc": "6", "nnUNet_n_proc_DA": "4"}))
    assert found["nnUNet_def_n_proc"].level == "warning"
    assert found["nnUNet_def_n_proc"].cure == "export nnUNet_def_n_proc=4"
    assert found["nnUNet_n_proc_DA"].level == "ok"


def test_nnunets_defaults_on_a_small_and_a_large_machine(machine):
    machine(2, 8)
    found = by_subject(workers.check_workers({}))
    assert found["nnUNet_def_n_proc"].detail == "8 workers (nnU-Net's default) on 2 cores"
    assert found["nnUNet_n_proc_DA"].level == "ok"  # nnU-Net caps this one itself
    machine(32, 128)
    assert {finding.level for finding in workers.check_workers({})} == {"ok"}


def test_a_system_that_does_not_tell_its_memory(machine):
    machine(8, None)
    assert {finding.level for finding in workers.check_workers({})} == {"ok"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": "MemTotal:  1024 kB\n"}, 1024**2),
        ({"/proc/meminfo": "MemTotal:  1024 kB\n", "/sys/fs/cgroup/memory.max": "max\n"}, 1024**2),
        ({"/proc/meminfo": "MemTotal:  1024 kB\n", "/sys/fs/cgroup/memory.max": "4096\n"}, 4096),
    ],
)
def test_memory_is_the_containers(monkeypatch, files, expected):
    monkeypatch.setattr(workers, "_text", lambda path: files.get(path, ""))
    assert workers.memory_bytes() == expected


def test_memory_without_proc_is_known_or_none(monkeypatch):
    monkeypatch.setattr(workers, "_text", lambda path: "")
    assert workers.memory_bytes() is None or workers.memory_bytes() > workers.GIB // 4
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert workers.memory_bytes() is None


# the doctor itself


def test_a_check_that_fails_is_a_finding(monkeypatch):
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


def test_a_probe_answers_past_what_is_printed():
    assert probe.probe("print('{not json'); answer = {'a': 1}", os.environ) == ({"a": 1}, "")


def test_the_report_is_aligned_and_leaves_commands_whole():
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
    assert report([Finding("ok", "a", "b")]).endswith("all is well")


@pytest.mark.parametrize(("level", "status"), [("ok", 0), ("warning", 0), ("broken", 1)])
def test_the_commands_status(monkeypatch, capsys, level, status):
    monkeypatch.setattr(doctor, "CHECKS", (lambda environ: [Finding(level, "x", "y")],))
    assert command.run(argparse.Namespace()) == status
    assert "x  y" in capsys.readouterr().out
