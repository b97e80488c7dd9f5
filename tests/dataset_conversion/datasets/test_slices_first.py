"""Oblique stacks in several directions, stored with their slice axis first: sides and positions are kept."""

import numpy as np
import pytest

from dataset_conversion.checks.dataset import check
from dataset_conversion.datasets.csig import Options as CsigOptions
from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.comparing import dataset_json, pair
from tests.dataset_conversion.oblique import SPACING, write_stacks
from tests.dataset_conversion.world import check_labels, check_values, orientation, read

pytestmark = pytest.mark.usefixtures("no_picture")

SIDES = {1: 1, 2: 2, 3: 3}  # sacrum, left and right ilium
STORED = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIR"}


def run(folder, raw, **how):
    options = Options(labels=folder / "labels.json", keep_names=True, **how)
    return convert(folder / "src", raw, 673, options=options)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Two coronal and one axial patient; images and masks are stored in other directions."""
    folder = tmp_path_factory.mktemp("stacks")
    return folder, write_stacks(folder, ["coronal", "axial", "coronal"], codes=("RAS", "SRP"))


@pytest.fixture(scope="module")
def converted(stacks, no_picture, tmp_path_factory):
    return run(stacks[0], tmp_path_factory.mktemp("raw"), slices_first=True)


def test_left_and_right_stay_where_they_are(stacks, converted):
    for truth in stacks[1]:
        mask, image = pair(converted.dataset, truth.name)
        assert check_labels(mask, truth.labels, SIDES) > 100
        check_values(image, truth.image)
        values, matrix = read(mask)
        x = {v: (np.argwhere(values == v) @ matrix[:3, :3].T).mean(0)[0] for v in (2, 3)}
        assert x[2] > x[3]  # LPS: x grows to the left


def test_z_is_across_the_slices_in_each_case(stacks, converted):
    for truth in stacks[1]:
        mask, image = pair(converted.dataset, truth.name)
        plane = truth.name.split("_")[1]
        assert orientation(image) == orientation(mask) == STORED[plane]
        np.testing.assert_allclose(
            np.linalg.norm(read(image)[1][:3, :3], axis=0), SPACING, rtol=1e-5
        )


def test_dataset_json_records_the_order_of_axes(converted):
    assert dataset_json(converted.dataset)["nnunet_plugins"] == {
        "orientation": "slices-first",
        "orientations": ["LIP", "LPS"],
        "window": None,
        "steps": [],
        "left_right_axis": 2,
        "sided_labels": ["left ilium", "right ilium"],
    }
    text = str(converted)
    assert "written as slices-first" in text
    assert (
        "(coronal in 2 cases, axial in 1): each volume is stored with its slice axis first" in text
    )


def test_a_second_run_changes_nothing(stacks, converted):
    again = run(stacks[0], converted.dataset.parent, slices_first=True)
    assert (again.written, again.skipped) == (0, 3)


def test_check_accepts_slices_first_and_only_there(stacks, converted, tmp_path):
    def differ(folder):
        return [str(f) for f in check(folder).findings if "orientations differ" in str(f)]

    assert differ(converted.dataset) == []
    entry = converted.dataset / "dataset.json"
    text = entry.read_text()
    entry.write_text(text.replace("slices-first", "LPS"))
    try:
        assert len(differ(converted.dataset)) == 1
    finally:
        entry.write_text(text)


def test_without_the_option_the_directions_are_reported(stacks, tmp_path):
    report = run(stacks[0], tmp_path, dry_run=True)
    assert (
        "slices run along different body axes (coronal in 2 cases, axial in 1): nnU-Net plans"
        in str(report)
    )


def test_sagittal_slices_have_left_right_on_another_axis(tmp_path):
    truths = write_stacks(tmp_path, ["sagittal", "axial"])
    report = run(tmp_path, tmp_path / "raw", slices_first=True)
    for truth in truths:
        assert check_labels(pair(report.dataset, truth.name)[0], truth.labels, SIDES) > 100
    entry = dataset_json(report.dataset)["nnunet_plugins"]
    assert (entry["orientations"], entry["left_right_axis"]) == (["LPS", "PIR"], [0, 2])
    assert "left-right is axis 0 or 2 of the array, so none of them is mirrored" in str(report)


def test_only_sagittal_slices_have_left_right_across_them(tmp_path):
    write_stacks(tmp_path, ["sagittal", "sagittal"])
    report = run(tmp_path, tmp_path / "raw", slices_first=True)
    assert dataset_json(report.dataset)["nnunet_plugins"]["left_right_axis"] == 0


def test_a_conversion_with_an_orientation_of_its_own_stops():
    with pytest.raises(
        DatasetError, match="--slices-first: this conversion stores every volume as PIR"
    ):
        CsigOptions(slices_first=True).output(orientation="PIR")
