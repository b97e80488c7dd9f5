"""nnU-Net's folders, their disks and dataset ids."""

from __future__ import annotations

import os

import pytest

from nnunet_plugins.doctor import folders
from nnunet_plugins.environment import FOLDERS

from .findings import by_subject, only


def test_folders_that_are_not_set():
    findings = folders.check_folders({})
    assert [finding.level for finding in findings] == ["broken"] * 3
    assert "nnunet-plugins env --root" in findings[0].fix


def test_a_folder_that_does_not_exist(healthy, tmp_path):
    healthy["nnUNet_raw"] = f"{tmp_path}/it's not"
    finding = only(folders.check_folders(healthy), "broken")
    assert "is not a folder" in finding.detail
    assert """mkdir -p '""" in finding.fix


@pytest.mark.parametrize(("name", "level"), [("raw", "warning"), ("results", "broken")])
def test_a_folder_that_is_not_writable(healthy, monkeypatch, name, level):
    locked = healthy[f"nnUNet_{name}"]
    # Tests may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != locked)
    assert "is not writable" in only(folders.check_folders(healthy), level).detail


@pytest.mark.parametrize(("free", "level"), [(0.5, "broken"), (10, "warning")])
def test_a_full_disk(healthy, free_space, free, level):
    free_space(free)
    found = by_subject(folders.check_folders(healthy))
    assert [found[name].level for name in FOLDERS] == ["ok", level, level]
    assert "free space" in found["nnUNet_results"].fix


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
