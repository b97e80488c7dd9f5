"""Choices between DICOM volumes and modalities, from a hospital's folders to the dataset."""

from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets import sij_mri
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms import dicom_faults
from dataset_conversion.phantoms.dicom import write_series
from tests.dataset_conversion.datasets import hospital
from tests.dataset_conversion.datasets.comparing import dataset_json
from tests.dataset_conversion.making import AFFINE, ct, label_file, labels, nifti, series

pytestmark = pytest.mark.usefixtures("no_picture")
run = partial(hospital.run, keep_names=True)


@pytest.fixture
def patients(tmp_path):
    """Return a function that writes two patients and damages both series."""

    def write(harm, **how):
        for number in (1, 2):
            folder = tmp_path / "src" / f"p{number}"
            series(folder / "ct", number, key=str(number), **how)
            nifti(folder / "mask.nii.gz", labels())
            harm(folder / "ct")
        label_file(tmp_path / "labels.json")
        return tmp_path / "src"

    return write


def images(report):
    folder = report.dataset / "imagesTr"
    return [sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in sorted(folder.iterdir())]


def test_one_choice_applies_to_all_patients(patients, tmp_path):
    source = patients(dicom_faults.water_and_fat)
    with pytest.raises(DatasetError, match="2 problems") as stopped:
        run(source, tmp_path / "raw")
    assert str(stopped.value).count("--series 'ImageType=F'") == 2
    assert not (tmp_path / "raw").exists() or not list((tmp_path / "raw").iterdir())
    report = run(source, tmp_path / "raw", series="ImageType=F")
    for number, read in enumerate(images(report), start=1):
        np.testing.assert_array_equal(read, ct(number))


def test_two_passes_stop_without_advice_to_resample(patients, tmp_path):
    source = patients(dicom_faults.two_passes)
    with pytest.raises(DatasetError, match="2 volumes") as stopped:
        run(source, tmp_path / "raw")
    assert "resample" not in str(stopped.value)
    with pytest.raises(DatasetError, match="not aligned"):
        run(source, tmp_path / "raw", series="acquisition 2", resample_mask=True)
    assert len(images(run(source, tmp_path / "raw", series="ConvolutionKernel=none"))) == 2


@pytest.mark.parametrize("modality", ["none", "any"])
def test_ct_without_modality_keeps_its_channel_name(patients, tmp_path, modality):
    source = patients(dicom_faults.no_modality)
    with pytest.raises(DatasetError, match="--modality none"):
        run(source, tmp_path / "raw")
    report = run(source, tmp_path / "raw", modality=modality)
    assert dataset_json(report.dataset)["channel_names"] == {"0": "CT"}
    assert "z-scores" not in str(report)


def test_a_channel_name_with_z_scores_for_ct_is_a_warning(patients, tmp_path):
    source = patients(dicom_faults.other_modality)
    report = run(source, tmp_path / "raw", modality="PT")
    assert dataset_json(report.dataset)["channel_names"] == {"0": "PT"}
    assert "takes the channel name 'PT' for z-scores" in str(report)


def test_padding_is_reported_by_the_dry_run(patients, tmp_path):
    source = patients(dicom_faults.padded)
    report = run(source, tmp_path / "raw", dry_run=True)
    assert "padding (PixelPaddingValue) set to -1024 HU" in str(report)
    assert max(read.max() for read in images(run(source, tmp_path / "raw"))) < 3072


def test_mr_of_any_modality_keeps_the_channel_of_its_converter(tmp_path):
    for number in (1, 2):
        folder = tmp_path / "src" / f"p{number}"
        write_series(
            folder / "mr", np.abs(ct(number)), AFFINE, key=str(number), tags={"Modality": None}
        )
        nifti(folder / "mask.nii.gz", labels(values=(1,)))
    options = sij_mri.Options(modality="none")
    report = sij_mri.convert(tmp_path / "src", tmp_path / "raw", 663, options=options)
    assert dataset_json(report.dataset)["channel_names"] == {"0": "T1"}


def test_a_folder_of_scouts_only_is_reported_as_such(patients, tmp_path):
    source = patients(lambda folder: None, tags={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    with pytest.raises(DatasetError, match=r"p1: all its DICOM images are scouts \(LOCALIZER"):
        run(source, tmp_path / "raw")
    assert len(images(run(source, tmp_path / "raw", series="Pelvis"))) == 2
