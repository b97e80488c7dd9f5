"""SNOMED CT codes: pydicom's terminology has each of them, and names find the right one."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest
from pydicom.sr.codedict import codes

from dataset_conversion.datasets.csig import SCHEMES as CSIG
from dataset_conversion.datasets.sij_mri import FAT_METAPLASIA
from dataset_conversion.datasets.spider import SCHEMES as SPIDER
from dataset_conversion.phantoms.sij_ct import LABELS
from nnunet_plugins.export.terminology import CATEGORIES, UNKNOWN, find_term

ROWS = list(
    csv.DictReader(
        (files("nnunet_plugins.export") / "terminology.csv")
        .read_text(encoding="utf-8")
        .splitlines()
    )
)


@pytest.fixture(scope="module")
def shipped() -> set[tuple[str, str]]:
    """Code and meaning of every SNOMED CT concept in pydicom."""
    return {(code.value, code.meaning) for code in codes.SCT.concepts.values()}


def test_pydicom_has_every_code_and_meaning(shipped):
    lost = [row for row in ROWS if (row["code"], row["meaning"]) not in shipped]
    # A disc without a level: DICOM's lists have discs by level only.
    assert [(row["code"], row["source"]) for row in lost] == [("360499006", "TotalSegmentator")]
    assert {row["scheme"] for row in ROWS} == {"SCT"}


def test_pydicom_has_the_categories_and_sides(shipped):
    known = {code for code, _ in shipped}
    assert {code for code, _ in CATEGORIES.values()} <= known
    assert {find_term(f"{side} hip").side.value for side in ("left", "right")} == {
        "7771000",
        "24028007",
    }
    assert ("7771000", "Left") in shipped
    assert ("24028007", "Right") in shipped


def test_names_are_unique():
    names = [name.casefold() for row in ROWS for name in row["names"].split("|")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("sacrum", "Sacrum", None),
        ("S", "Sacrum", None),
        ("sacrum (TS 25+26)", "Sacrum", None),
        ("left ilium", "Ilium", "Left"),
        ("ilium_right", "Ilium", "Right"),
        ("hip_left (TS 77)", "Hip", "Left"),
        ("rightHipBone", "Hip", "Right"),
        ("L5", "L5 vertebra", None),
        ("vertebrae_L5", "L5 vertebra", None),
        ("T9", "T9 vertebra", None),
        ("L6", "Vertebra", None),
        ("vertebra 3", "Vertebra", None),
        ("disc 2", "Intervertebral disc", None),
        ("intervertebral_discs", "Intervertebral disc", None),
        ("L4-L5", "L4/L5 disc", None),
        ("L5-S", "L5/S1 disc", None),
        ("disc T12/L1", "T12/L1 disc", None),
        ("spinal canal", "Vertebral canal", None),
        ("canal", "Vertebral canal", None),
        ("fat metaplasia", "Fat", None),
        ("left and right ilium", "Ilium", None),
    ],
)  # fmt: skip
def test_a_name_finds_its_code_and_side(name, meaning, side):
    term = find_term(name)
    assert term.known
    assert term.type.meaning == meaning
    assert (term.side and term.side.meaning) == side


def test_fat_metaplasia_is_an_alteration_and_bone_a_structure():
    assert find_term("fat metaplasia").category.value == "49755003"
    assert find_term("sacrum").category.value == "123037004"


@pytest.mark.parametrize("name", ["blob", "", "(sacrum)", "sacrum fracture", "L5 L3", "42"])
def test_an_unknown_name_is_tissue(name):
    assert find_term(name) == UNKNOWN
    assert (UNKNOWN.type.value, UNKNOWN.known) == ("85756007", False)


def test_an_unknown_name_keeps_its_side():
    term = find_term("left blob")
    assert (term.known, term.side.meaning) == (False, "Left")


def test_all_names_of_our_converters_are_known():
    names = [n for scheme in SPIDER.values() for n in scheme]
    names += [n for scheme, _ in CSIG.values() for n in scheme]
    names += [*FAT_METAPLASIA, *(n for n in LABELS if n != "background")]
    assert len(names) > 50
    assert [name for name in names if not find_term(name).known] == []
