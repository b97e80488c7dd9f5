"""Numbers of worker processes on small and large machines."""

from __future__ import annotations

import os

import pytest

from nnunet_plugins.doctor import workers

from .findings import by_subject


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
def test_invalid_numbers(name, value, machine):
    machine(4, 16)
    finding = by_subject(workers.check_workers({name: value}))[name]
    assert finding.level == "broken"
    assert finding.fix == f"export {name}=4"
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
    assert found["nnUNet_def_n_proc"].fix == "export nnUNet_def_n_proc=4"
    assert found["nnUNet_n_proc_DA"].level == "ok"


def test_nnunets_defaults_on_a_small_and_a_large_machine(machine):
    machine(2, 8)
    found = by_subject(workers.check_workers({}))
    assert found["nnUNet_def_n_proc"].detail == "8 workers (nnU-Net's default) on 2 cores"
    assert found["nnUNet_n_proc_DA"].level == "ok"  # nnU-Net caps this one itself
    machine(32, 128)
    assert {finding.level for finding in workers.check_workers({})} == {"ok"}


def test_a_system_that_does_not_report_its_memory(machine):
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
def test_memory_of_a_container(monkeypatch, files, expected):
    monkeypatch.setattr(workers, "_text", lambda path: files.get(path, ""))
    assert workers.memory_bytes() == expected


def test_memory_without_proc(monkeypatch):
    monkeypatch.setattr(workers, "_text", lambda path: "")
    assert workers.memory_bytes() is None or workers.memory_bytes() > workers.GIB // 4
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert workers.memory_bytes() is None
