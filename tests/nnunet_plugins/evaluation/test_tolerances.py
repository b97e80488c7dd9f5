"""Tolerances of NSD: one, or one per structure."""

import json

import numpy as np
import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate, score_table
from nnunet_plugins.evaluation.tolerances import Tolerances, read_tolerances


@pytest.fixture
def moved(tmp_path, save, declare):
    """Two labels; the prediction of both is one voxel (0.8 mm) to the side."""
    declare(tmp_path / "r", {"background": 0, "sacrum": 1, "left hip": 2})
    reference = np.zeros((6, 20, 24), dtype=np.uint8)
    reference[1:5, 3:9, 3:9], reference[1:5, 11:17, 3:9] = 1, 2
    save(tmp_path / "r" / "a.nii.gz", reference)
    save(tmp_path / "p" / "a.nii.gz", np.roll(reference, 1, axis=2))
    return tmp_path / "p", tmp_path / "r"


@pytest.mark.parametrize(
    "given", [["0.5", "sacrum=1"], {"default": 0.5, "Sacrum": 1}], ids=["texts", "mapping"]
)
def test_each_label_has_its_tolerance(moved, given):
    scores = evaluate(*moved, tolerance=given)
    labels = scores.cases[0].labels
    assert labels["sacrum"].nsd == 1.0
    assert labels["left hip"].nsd < 1.0
    content = scores.to_dict()
    assert (content["tolerance_mm"], content["tolerances_mm"]) == (0.5, {"sacrum": 1.0})
    assert "NSD at 0.5 mm (sacrum 1 mm)" in score_table(scores, ["nsd"])


def test_it_holds_for_the_area_too(moved):
    scores = evaluate(*moved, tolerance=["0.5", "left hip=1"], metrics=["nsd_area"])
    labels = scores.cases[0].labels
    assert labels["left hip"].nsd_area == pytest.approx(1.0)
    assert labels["sacrum"].nsd_area < 1.0


def test_files(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps({"sacrum": 2, "default": 1}))
    (tmp_path / "t.csv").write_text("label,mm\nsacrum,2\ndefault,1\n")
    (tmp_path / "s.csv").write_text("label;mm\nsacrum;2\ndefault;1\n")
    for name in ("t.json", "t.csv", "s.csv"):
        assert read_tolerances(tmp_path / name) == Tolerances(1.0, {"sacrum": 2.0})
    assert read_tolerances([str(tmp_path / "t.json"), "sacrum=3"]).of("sacrum") == 3.0


def test_one_number_is_as_before(moved):
    content = evaluate(*moved, tolerance=0.7).to_dict()
    assert content["tolerance_mm"] == 0.7
    assert "tolerances_mm" not in content


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (-1, "--tolerance -1: a distance in mm of 0 or more is required"),
        (float("nan"), "--tolerance nan: a distance"),
        ("wide", "--tolerance wide: a distance"),
        ("sacrum=x", "--tolerance sacrum=x: a distance"),
        ("=2", "--tolerance =2: a label is required before ="),
        ("missing.csv", "missing.csv: the file of --tolerance cannot be read"),
        ("missing.json", "--tolerance missing.json: cannot be read"),
    ],
)
def test_messages(given, message):
    with pytest.raises(UserError) as error:
        read_tolerances(given)
    assert message in str(error.value)


def test_unknown_label(moved):
    with pytest.raises(
        UserError, match=r"--tolerance ilium=2: no label of this name; labels are sacrum, left hip"
    ):
        evaluate(*moved, tolerance="ilium=2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,mm\nsacrum,2\n", "columns missing: label"),
        ("label,mm\nsacrum,2,5\n", "row 2 has 3 cells"),  # 2,5 mm were 2 mm
        ("label,mm\nsacrum,2\nsacrum,3\n", "sacrum has two rows"),
        ("label,mm\nsacrum,wide\n", "--tolerance sacrum=wide: a distance"),
    ],
)
def test_broken_files(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError) as error:
        read_tolerances(tmp_path / "t.csv")
    assert message in str(error.value)


def test_decimal_commas(tmp_path):
    (tmp_path / "t.csv").write_text("label;mm\nsacrum;2,5\n")
    assert read_tolerances(tmp_path / "t.csv").of("sacrum") == 2.5
