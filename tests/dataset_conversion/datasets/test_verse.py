"""VerSe in both layouts: levels, patients with several scans, the dataset's own subsets."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.verse import Options, convert
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.verse import write_patients
from tests.dataset_conversion.datasets.comparing import (
    change,
    check_case,
    dataset_json,
    folds,
    pair,
)
from tests.dataset_conversion.world import check_labels

pytestmark = pytest.mark.usefixtures("no_picture")

NAME = "Dataset710_VerSe"
ALL = {**{v: v for v in range(1, 26)}, 28: 26}


def run(source, raw, **options):
    return convert(source, raw, 710, options=Options(**options))


@pytest.fixture(scope="module")
def verse(tmp_path_factory):
    """Four scans of three patients; read only."""
    folder = tmp_path_factory.mktemp("verse")
    return folder, {truth.name: truth for truth in write_patients(folder, 4)}


@pytest.fixture
def copy(verse, tmp_path):
    return shutil.copytree(verse[0], tmp_path / "src")


def mask_of(source, name):
    return next(source.rglob(f"{name}_seg-vert_msk.nii.gz"))


def test_levels_keep_their_names_and_positions(verse, tmp_path):
    report = run(verse[0], tmp_path)
    assert report.test == {"sub-verse500_dir-sag"}
    labels = dataset_json(tmp_path / NAME)["labels"]
    assert [labels[name] for name in ("C1", "C7", "T1", "T12", "L1", "L6", "T13")] == [
        1, 7, 8, 19, 20, 25, 26]  # fmt: skip
    assert "sacrum" not in labels
    for name, truth in verse[1].items():
        if name not in report.test:
            assert check_case(tmp_path / NAME, truth, ALL) > 1000


def test_two_scans_of_a_subject_are_in_one_fold(verse, tmp_path):
    run(verse[0], tmp_path)
    both = {"sub-verse401_split-verse010", "sub-verse401_split-verse253"}
    for fold in folds(tmp_path / NAME):
        assert len(both & set(fold["val"])) != 1


def test_its_own_subsets(verse, tmp_path):
    report = run(verse[0], tmp_path, split="own")
    assert folds(tmp_path / NAME)[0]["val"] == ["sub-gl003_dir-ax"]
    assert report.folds == ((2, 1),)


def test_one_subset_alone_states_itself(verse, tmp_path):
    report = run(verse[0] / "dataset-01training", tmp_path)
    assert len(report.cases) == 2
    assert not report.test


def test_the_binary_scheme(verse, tmp_path):
    run(verse[0], tmp_path, scheme="binary")
    assert dataset_json(tmp_path / NAME)["labels"] == {"background": 0, "vertebra": 1}
    name = "sub-verse401_split-verse010"
    mask = pair(tmp_path / NAME, name)[0]
    check_labels(mask, verse[1][name].labels, dict.fromkeys(ALL, 1))


def test_a_labelled_sacrum_gets_its_own_label(copy, tmp_path):
    change(mask_of(copy, "sub-gl003_dir-ax"), lambda a: np.where(a == 25, 26, a).astype(np.uint8))
    change(mask_of(copy, "sub-verse401_split-verse010"), lowest_as(26))
    for scheme, value in (("levels", 26), ("binary", 2)):
        run(copy, tmp_path / scheme, scheme=scheme)
        assert dataset_json(tmp_path / scheme / NAME)["labels"]["sacrum"] == value


def lowest_as(value):
    def edit(array):
        return np.where(array == 24, value, array).astype(np.uint8)

    return edit


def test_exchanged_head_and_feet_stop_before_anything_is_written(copy, tmp_path):
    path = mask_of(copy, "sub-verse401_split-verse253")
    mask = sitk.ReadImage(str(path))
    order = np.arange(256)
    order[18:26] = order[18:26][::-1]
    change(path, lambda a: order[a].astype(np.uint8))
    assert mask.GetSize() == sitk.ReadImage(str(path)).GetSize()
    with pytest.raises(DatasetError, match=r"split-verse253.*in the wrong order"):
        run(copy, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_the_miccai_layout_states_no_patients(tmp_path):
    truths = write_patients(tmp_path / "src", 3, layout="miccai")
    assert {truth.image.name for truth in truths} >= {"verse253.nii.gz", "GL003_CT-ax.nii.gz"}
    report = run(tmp_path / "src", tmp_path / "raw", split="own")
    assert any("--groups" in note for note in report.notes)
    for truth in truths:
        check_case(tmp_path / "raw" / NAME, truth, ALL)
    table = tmp_path / "groups.csv"
    table.write_text("case,patient\nverse010,401\nverse253,401\nGL003_CT-ax,3\n")
    report = run(tmp_path / "src", tmp_path / "raw2", groups=table)
    assert len(folds(tmp_path / "raw2" / NAME)) == 2
    assert not any("layout" in note for note in report.notes)


def test_both_layouts_in_one_folder_stop(copy, tmp_path):
    write_patients(copy / "flat", 1, layout="miccai", seed=5)
    with pytest.raises(DatasetError, match="both layouts of VerSe"):
        run(copy, tmp_path / "raw")


def test_one_scan_in_two_releases_stops(copy, tmp_path):
    shutil.copytree(copy / "dataset-01training", copy / "dataset-verse19training")
    with pytest.raises(
        DatasetError, match=r"2 problems[\s\S]*split-verse010_ct.* have the name of one scan"
    ):
        run(copy, tmp_path / "raw")


def test_all_problems_of_names_and_masks_are_reported_together(copy, tmp_path):
    gl003 = mask_of(copy, "sub-gl003_dir-ax")
    gl003.rename(gl003.with_name("sub-gl003_seg-disc_msk.nii.gz"))
    change(
        mask_of(copy, "sub-verse500_dir-sag"), lambda a: np.where(a == 20, 77, a).astype(np.uint8)
    )
    with pytest.raises(DatasetError) as stopped:
        run(copy, tmp_path / "raw")
    text = str(stopped.value)
    assert "sub-gl003_seg-disc_msk.nii.gz: not a file name of this dataset" in text
    assert "label values [77] are not listed" in text
