import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.channels import read_channel_header, read_channels
from tests.dataset_conversion.making import AFFINE, ct, nifti


@pytest.fixture
def two(tmp_path):
    return nifti(tmp_path / "two.nii.gz", np.stack([ct(1), ct(2)]))


def test_each_channel_has_the_geometry_of_the_file(two):
    header, count = read_channel_header(two)
    images, notes = read_channels(two)
    assert (count, header.size, notes) == (2, (14, 12, 6), ())
    assert len(images) == 2
    np.testing.assert_allclose(images[1].GetOrigin(), AFFINE[:3, 3], atol=1e-4)


def test_scale_factors_apply_to_every_channel(tmp_path):
    made = nib.Nifti1Image(np.stack([ct(1), ct(2)]).T, np.diag([-1.0, -1, 1, 1]) @ AFFINE)
    made.header.set_slope_inter(2, -5)
    made.header.set_data_dtype(np.int16)
    nib.save(made, tmp_path / "a.nii")
    expected = nib.load(tmp_path / "a.nii").get_fdata()
    for number, image in enumerate(read_channels(tmp_path / "a.nii")[0]):
        np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image).T, expected[..., number])


def test_a_volume_is_one_channel(tmp_path):
    path = nifti(tmp_path / "one.nii.gz", ct())
    assert read_channel_header(path)[1] == len(read_channels(path)[0]) == 1


def test_damaged_files_and_values_are_named(two, tmp_path):
    two.write_bytes(two.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=r"two.nii.gz: is truncated or damaged"):
        read_channels(two)
    values = np.stack([ct(1), ct(2)]).astype(np.float32)
    values[1, 0, 0, 0] = np.nan
    with pytest.raises(DatasetError, match="1 voxels of channel 1 are NaN or inf"):
        read_channels(nifti(tmp_path / "nan.nii.gz", values))
