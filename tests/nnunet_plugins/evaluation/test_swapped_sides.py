"""Predictions with left and right exchanged are reported with their Dice on the exchanged sides."""

import json
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate

LABELS = {"background": 0, "sacrum": 1, "left ilium": 2, "right ilium": 3}


def mask(folder, name, table=(0, 1, 2, 3)):
    array = np.zeros((4, 8, 12), np.uint8)
    array[:, 2:6, 5:7], array[:, 2:6, 8:11], array[:, 2:6, 1:4] = 1, 2, 3
    folder.mkdir(exist_ok=True)
    sitk.WriteImage(
        sitk.GetImageFromArray(np.array(table, np.uint8)[array]), str(folder / f"{name}.nii.gz")
    )


@pytest.fixture
def folders(tmp_path):
    for name in ("a", "b", "c"):
        mask(tmp_path / "ref", name)
    (tmp_path / "ref" / "dataset.json").write_text(json.dumps({"labels": LABELS}))
    return tmp_path / "pred", tmp_path / "ref"


def notes(folders):
    return [note for note in evaluate(*folders).notes if "left and right" in note]


def test_exchanged_sides_are_reported(folders):
    for name, table in (("a", (0, 1, 3, 2)), ("b", (0, 1, 2, 3)), ("c", (0, 1, 3, 2))):
        mask(folders[0], name, table)
    (note,) = notes(folders)
    assert "most likely exchanged in 2 cases: a, c" in note
    assert "mean Dice of the sided labels 0.000, with exchanged sides 1.000" in note


@pytest.mark.parametrize("table", [(0, 1, 2, 3), (0, 1, 2, 0), (0, 1, 0, 0), (0, 0, 0, 0)])
def test_right_and_missing_sides_are_not_reported(folders, table):
    for name in ("a", "b", "c"):
        mask(folders[0], name, table)
    assert not notes(folders)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_name_that_is_not_utf8_is_an_error_shown_escaped(folders, capsys, jobs):
    import os

    for name in ("a", "b", "c"):
        mask(folders[0], name)
    for folder in folders:
        (folder / "c.nii.gz").rename(folder / os.fsdecode(b"M\xfcller.nii.gz"))
    with pytest.raises(UserError, match="its name is not UTF-8"):
        evaluate(*folders, jobs=jobs)
    assert main(["evaluate", *map(str, folders), "-j", str(jobs)]) == 2
    assert r"M\xfcller.nii.gz: its name is not UTF-8" in capsys.readouterr().err
