"""Sources, models and keys of `--images-only` that are not as expected."""

import csv
import os

import pytest

from dataset_conversion.datasets import hospital_ct
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.test_images_only import model, new_images, ours
from tests.dataset_conversion.making import ct, label_file, labels, nifti, patient

pytestmark = pytest.mark.usefixtures("no_picture")


@pytest.fixture
def source(tmp_path):
    for number in range(2):
        patient(tmp_path / "src" / f"p{number}", number)
    return tmp_path / "src"


def flat(folder, *names):
    for number, name in enumerate(names):
        nifti(folder / f"{name}.nii.gz", ct(number))
    return folder


def test_several_channels_of_one_patient_are_not_several_patients(tmp_path):
    names = [f"{name}_{channel}" for name in "ab" for channel in ("0000", "0001")]
    folder = flat(tmp_path / "src", *names)
    with pytest.raises(DatasetError, match=r"2 images of 2 channels each \(_0000, _0001\)"):
        new_images(folder, tmp_path / "images")


@pytest.mark.parametrize(
    "names",
    [("a_0000", "b_0000"), ("scan_0000", "scan_0001"), ("a_0001", "a_0002", "b_0001", "b_0002")],
)
def test_numbers_that_are_not_channels(tmp_path, names):
    report = new_images(flat(tmp_path / "src", *names), tmp_path / "images")
    assert len(report.cases) == len(names)


def test_no_pairs_are_reported_where_masks_do_not_count(tmp_path):
    folder = flat(tmp_path / "src", "a", "b")
    nifti(folder / "a_mask.nii.gz", labels())
    assert "paired by name" not in str(new_images(folder, tmp_path / "images"))


def test_the_folder_of_the_model_is_named(source, tmp_path):
    folder = model(tmp_path / "results" / "Dataset001_X" / "T__P__3d", **ours())
    (folder / "fold_0").mkdir()
    (tmp_path / "model.zip").write_bytes(b"PK")
    for path in (tmp_path / "results", folder / "fold_0", folder / "dataset.json"):
        with pytest.raises(DatasetError, match=f"no dataset.json; pass the folder.*here: {folder}"):
            new_images(source, tmp_path / "images", model=path)
    with pytest.raises(DatasetError, match="is an archive; unpack it, or install it"):
        new_images(source, tmp_path / "images", model=tmp_path / "model.zip")


@pytest.mark.parametrize("code", ["LPS", "RAS", "slices-first"])
def test_slices_first_must_be_that_of_the_model(source, tmp_path, code):
    folder = model(tmp_path / "model", **ours(orientation=code))
    if code == "slices-first":
        report = new_images(source, tmp_path / "images", model=folder, slices_first=True)
        assert report.orientation == code
        return
    with pytest.raises(
        DatasetError, match=f"--slices-first: the training images.*stored as {code}"
    ):
        new_images(source, tmp_path / "images", model=folder, slices_first=True)


def test_groups_are_of_no_use(source, tmp_path):
    with pytest.raises(DatasetError, match="--groups: used for folds only"):
        new_images(source, tmp_path / "images", groups=tmp_path / "none.csv")


def test_the_key_of_a_training_dataset_holds_absolute_paths(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "key.csv"
    options = hospital_ct.Options(labels=label_file(tmp_path / "labels.json"), key=key)
    hospital_ct.convert(os.path.relpath(source), tmp_path / "raw", 1, options=options)
    with key.open() as stream:
        found = {row["source"] for row in csv.DictReader(stream)}
    assert found == {str(source / "p0"), str(source / "p1")}
