"""Datasets to check: one in the style of another tool, one converted."""

import shutil
from pathlib import Path

import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from tests.dataset_conversion.making import ct, labels, nifti, patient, write_json


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A dataset of five patients and a test case that another tool wrote."""
    folder = tmp_path_factory.mktemp("foreign") / "Dataset012_Theirs"
    for number in range(5):
        nifti(folder / "imagesTr" / f"c{number}_0000.nii.gz", ct(number))
        nifti(folder / "labelsTr" / f"c{number}.nii.gz", labels())
    nifti(folder / "imagesTs" / "t_0000.nii.gz", ct(9))
    write_json(folder / "dataset.json", {
        "channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1, "b": 2},
        "numTraining": 5, "file_ending": ".nii.gz"})  # fmt: skip
    return folder


@pytest.fixture
def theirs(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / made.name))


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    for number in range(5):
        patient(folder / "src" / f"p{number}", number)
    (folder / "labels.json").write_text('{"sacrum": 1, "left ilium": 2}')
    options = Options(labels=folder / "labels.json", keep_names=True)
    return convert(folder / "src", folder / "raw", 660, options=options).dataset


@pytest.fixture
def ours(converted, tmp_path):
    return Path(shutil.copytree(converted, tmp_path / converted.name))
