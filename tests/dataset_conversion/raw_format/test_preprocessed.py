"""Preprocessed cases of an earlier version of the dataset are found; unchanged ones never are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_conversion.checks.preprocessed import in_preprocessed
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.sij_ct import write_patients
from dataset_conversion.raw_format.preprocessed import (
    drop_outdated_references,
    outdated,
    outdated_note,
    recorded_source,
    remember_source,
    source_digest,
)
from nnunet_plugins.api import check, convert

NAME = "Dataset007_Bone"
DATASET = {
    "labels": {"background": 0, "left ilium": 1, "right ilium": 2},
    "channel_names": {"0": "CT"},
    "numTraining": 2,
    "file_ending": ".nii.gz",
    "nnunet_plugins": {"window": None, "orientation": "LPS"},
}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw dataset of two cases; the files hold text."""
    folder = tmp_path / "nnUNet_raw" / NAME
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    files = {}
    for case in ("a", "b"):
        (folder / "imagesTr" / f"{case}_0000.nii.gz").write_text(f"image {case}")
        (folder / "labelsTr" / f"{case}.nii.gz").write_text(f"mask {case}")
        files[case] = {"files": {f"imagesTr/{case}_0000.nii.gz": f"digest {case}"}}
    (folder / "conversion.json").write_text(json.dumps({"cases": files}))
    return folder


def preprocess(raw: Path, name: str = "Plans_2d") -> Path:
    """What nnU-Net leaves in nnUNet_preprocessed."""
    target = raw.parents[1] / "nnUNet_preprocessed" / raw.name
    (target / "gt_segmentations").mkdir(parents=True, exist_ok=True)
    (target / name).mkdir()
    shutil.copy(raw / "dataset.json", target / "dataset.json")
    for mask in (raw / "labelsTr").iterdir():
        shutil.copy(mask, target / "gt_segmentations" / mask.name)
        for ending in (".pkl", ".b2nd", "_seg.b2nd"):
            (target / name / f"{mask.name.partition('.')[0]}{ending}").touch()
    return target


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def with_settings(raw: Path, window: list[int]) -> None:
    """Another window: another digest in the manifest, and images of the same size."""
    files = {c: {"files": {f"imagesTr/{c}_0000.nii.gz": f"windowed {c}"}} for c in ("a", "b")}
    edit(raw / "conversion.json", cases=files)
    edit(raw / "dataset.json", nnunet_plugins={"window": window, "orientation": "LPS"})


def add_case(raw: Path) -> None:
    (raw / "imagesTr" / "c_0000.nii.gz").write_text("image c")
    (raw / "labelsTr" / "c.nii.gz").write_text("mask c")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a mask, with the same size": lambda raw: (raw / "labelsTr" / "a.nii.gz").write_text("mask x"),
    "sides exchanged in the labels": lambda raw: edit(
        raw / "dataset.json", labels={"background": 0, "left ilium": 2, "right ilium": 1}
    ),
    "window": lambda raw: with_settings(raw, [0, 1]),
    "another case": add_case,
    "a case less": lambda raw: [p.unlink() for p in raw.rglob("b*.nii.gz")],
    "channel": lambda raw: edit(raw / "dataset.json", channel_names={"0": "noNorm"}),
}


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "nnU-Net's own"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_dataset_makes_its_data_outdated(raw: Path, change: str, recorded: bool) -> None:
    preprocessed = preprocess(raw)
    if recorded:
        remember_source(preprocessed / "Plans_2d", source_digest(raw))
    assert outdated(raw, preprocessed) == {}
    assert outdated_note(raw, preprocessed) is None
    CHANGES[change](raw)
    assert list(outdated(raw, preprocessed)) == ["Plans_2d"]
    note = outdated_note(raw, preprocessed)
    assert note is not None
    assert "Plans_2d hold preprocessed cases of an earlier version" in note
    assert f"nnunet-plugins plan {NAME} --network NAME --force" in note
    (finding,) = in_preprocessed(raw, preprocessed.parent)
    assert not finding.error


def test_only_the_folders_that_were_not_made_again_are_named(raw: Path) -> None:
    preprocessed = preprocess(raw)
    remember_source(preprocessed / "Plans_2d", source_digest(raw))
    CHANGES["a mask, with the same size"](raw)
    preprocess(raw, "Other_2d")
    remember_source(preprocessed / "Other_2d", source_digest(raw))
    assert list(outdated(raw, preprocessed)) == ["Plans_2d"]


def test_dates_and_remarks_do_not_make_data_outdated(raw: Path) -> None:
    preprocessed = preprocess(raw)
    remember_source(preprocessed / "Plans_2d", source_digest(raw))
    for path in raw.rglob("*"):
        path.touch()
    edit(raw / "dataset.json", description="of our hospital")
    assert outdated(raw, preprocessed) == {}


def test_nothing_preprocessed_is_nothing_outdated(raw: Path, tmp_path: Path) -> None:
    assert outdated(raw, tmp_path / "none") == {}
    preprocessed = preprocess(raw)
    shutil.rmtree(preprocessed / "Plans_2d")
    (preprocessed / "Plans_2d").mkdir()
    CHANGES["another case"](raw)
    assert outdated(raw, preprocessed) == {}
    assert in_preprocessed(raw, None) == []


def test_cases_that_dataset_json_lists_are_compared(raw: Path) -> None:
    listed = {
        c: {"images": [f"imagesTr/{c}_0000.nii.gz"], "label": f"labelsTr/{c}.nii.gz"} for c in "ab"
    }
    edit(raw / "dataset.json", dataset=listed)
    preprocessed = preprocess(raw)
    assert outdated(raw, preprocessed) == {}
    (raw / "labelsTr" / "b.nii.gz").write_text("mask x")
    assert outdated(raw, preprocessed) == {"Plans_2d": "the mask of b differs"}
    edit(raw / "dataset.json", dataset={"a": 3})
    with pytest.raises(DatasetError, match="case a: images or label missing"):
        source_digest(raw)
    assert in_preprocessed(raw, preprocessed.parent) == []


@pytest.mark.parametrize("content", ["", "[]", '{"dataset": 3}', '{"dataset":'])
def test_a_damaged_record_counts_as_none(raw: Path, content: str) -> None:
    data = preprocess(raw) / "Plans_2d"
    assert recorded_source(data) is None
    remember_source(data, "x")
    assert recorded_source(data) == "x"
    (data / "nnunet_plugins" / "source.json").write_text(content)
    assert recorded_source(data) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"cases": {"a": {"files": 3}}}', '{"cases": []}'])
def test_a_damaged_manifest_does_not_stop_the_comparison(raw: Path, content: str) -> None:
    (raw / "conversion.json").write_text(content)
    preprocessed = preprocess(raw)
    remember_source(preprocessed / "Plans_2d", source_digest(raw))
    assert outdated(raw, preprocessed) == {}


def test_incomplete_and_old_copies_of_masks_are_removed(raw: Path) -> None:
    references = preprocess(raw) / "gt_segmentations"
    (references / "a.nii.gz").write_text("mas")
    drop_outdated_references(raw, references.parent)
    assert [path.name for path in references.iterdir()] == ["b.nii.gz"]


def test_convert_and_check_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, root = tmp_path / "source", tmp_path / "nnUNet_raw"
    write_patients(source, 3)
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "nnUNet_preprocessed"))
    report = convert("hospital-ct", source, 660, raw_root=root, labels=str(source / "labels.json"))
    preprocess(report.dataset)
    assert "--force" not in str(check(report.dataset))
    again = convert("hospital-ct", source, 660, raw_root=root, labels=str(source / "labels.json"))
    assert not any("preprocessed" in note for note in again.notes)
    options = {"labels": str(source / "labels.json"), "window": (0.0, 500.0)}
    dry = convert("hospital-ct", source, 660, raw_root=root, dry_run=True, **options)
    assert not any("preprocessed" in note for note in dry.notes)
    again = convert("hospital-ct", source, 660, raw_root=root, **options)
    assert sum("Plans_2d hold preprocessed cases" in note for note in again.notes) == 1
    found = check(report.dataset)
    assert "Plans_2d hold preprocessed cases" in str(found)
    assert found.errors == 0
