import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.volumes import read_header, read_image
from tests.dataset_conversion.making import AFFINE, ct, image, nifti


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_values_and_geometry_are_read_as_written(tmp_path, ending):
    path = tmp_path / f"v{ending}"
    sitk.WriteImage(image(ct()), str(path), True)
    read, notes = read_image(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), ct())
    np.testing.assert_allclose(affine(read), AFFINE, atol=1e-4)
    assert notes == ()


def test_nifti_geometry_agrees_with_itk(tmp_path):
    path = nifti(tmp_path / "v.nii.gz", ct())
    np.testing.assert_allclose(
        affine(read_image(path)[0]), affine(sitk.ReadImage(str(path))), atol=1e-5
    )


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("compressed", [True, False])
def test_truncated_files_stop(tmp_path, ending, compressed):
    path = tmp_path / f"v{ending}"
    sitk.WriteImage(image(ct()), str(path), compressed)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match=f"v{ending}: is truncated or damaged"):
        read_image(path)


def test_a_wrong_checksum_stops(tmp_path):
    path = nifti(tmp_path / "v.nii.gz", ct())
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the CRC that ends a gzip file
    path.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match=r"v\.nii\.gz: cannot be read .*CRC"):
        read_image(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_nan_and_inf_stop(tmp_path, bad, ending):
    array = ct().astype(np.float32)
    array[1, 2, 3] = bad
    path = tmp_path / f"v{ending}"
    sitk.WriteImage(image(array), str(path))
    with pytest.raises(DatasetError, match=r"1 voxels are NaN or inf"):
        read_image(path)


def test_four_dimensions_stop_with_a_suggestion(tmp_path):
    made = nib.Nifti1Image(np.zeros((4, 5, 6, 3), np.int16), np.eye(4))
    nib.save(made, tmp_path / "v.nii.gz")
    with pytest.raises(DatasetError, match=r"4D: choose volume k \(0 to 2\)"):
        read_image(tmp_path / "v.nii.gz")


@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".nrrd"])
def test_a_single_slice_is_not_a_volume(tmp_path, ending):
    path = tmp_path / f"v{ending}"
    sitk.WriteImage(sitk.Image(5, 6, sitk.sitkInt16), str(path))
    if ending == ".nii.gz":
        nib.save(nib.Nifti1Image(np.zeros((5, 6), np.int16), np.eye(4)), path)
    for read in (read_image, read_header):
        with pytest.raises(DatasetError, match=r"v.*: 2D \(5x6\); a 3D volume is required"):
            read(path)


def test_contradicting_orientations_stop(tmp_path):
    path = nifti(tmp_path / "v.nii.gz", ct())
    content = bytearray(gzip.decompress(path.read_bytes()))
    sform = np.frombuffer(content[280:328], "<f4").reshape(3, 4).copy()
    sform[0] *= -1
    content[280:328] = sform.tobytes()
    content[252:256] = np.array([1, 1], "<i2").tobytes()  # qform_code, sform_code
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DatasetError, match=r"v.nii.gz: .*qform LPS, sform RPS.*left and right"):
        read_image(path)


def test_slightly_different_origins_are_noted(tmp_path):
    path = nifti(tmp_path / "v.nii.gz", ct())
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[252:256] = np.array([1, 1], "<i2").tobytes()
    content[268:272] = np.array([33.0], "<f4").tobytes()  # qoffset_x, 31.0 before
    path.write_bytes(gzip.compress(bytes(content)))
    read, notes = read_image(path)
    assert notes == ("qform and sform differ by up to 2.0 mm: the sform is used",)
    np.testing.assert_allclose(affine(read), AFFINE, atol=1e-4)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_lengths_in_another_unit_stop(tmp_path, unit):
    made = nib.Nifti1Image(ct().T, AFFINE)
    made.header.set_xyzt_units(unit)
    nib.save(made, tmp_path / "v.nii.gz")
    with pytest.raises(
        DatasetError, match=f"v.nii.gz: its unit of length is {unit}.*save it in mm"
    ):
        read_image(tmp_path / "v.nii.gz")


def test_header_warnings_of_nibabel_are_silenced(tmp_path, caplog, capfd):
    path = nifti(tmp_path / "v.nii.gz", ct())
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[80:84] = np.array([-0.8], "<f4").tobytes()  # pixdim[1], which nibabel turns round
    path.write_bytes(gzip.compress(bytes(content)))
    read_image(path)
    read_header(path)
    assert not caplog.messages
    assert capfd.readouterr().err == ""
    nib.load(path)
    assert (
        "pixdim[1,2,3] should be positive" in caplog.text
    )  # outside of our readers its log is as ever


def test_a_fourth_axis_of_one_is_ignored(tmp_path):
    made = nib.Nifti1Image(ct().T[..., None], np.eye(4))
    nib.save(made, tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_image(tmp_path / "v.nii.gz")[0]), ct()
    )


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_colour_stops(tmp_path, ending):
    path = tmp_path / f"v{ending}"
    rgb = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(rgb, str(path))
    with pytest.raises(DatasetError, match=r"3 values per voxel|choose volume k"):
        read_image(path)


def test_scale_factors_of_an_image_are_applied(tmp_path):
    path = nifti(tmp_path / "v.nii.gz", ct())
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[112:120] = np.array([2, -24], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(gzip.compress(bytes(content)))
    read = sitk.GetArrayFromImage(read_image(path)[0])
    np.testing.assert_array_equal(read, ct().astype(float) * 2 - 24)


def test_no_orientation_stops(tmp_path):
    made = nib.Nifti1Image(ct().T, np.eye(4))
    made.set_qform(None, 0)
    made.set_sform(None, 0)
    nib.save(made, tmp_path / "v.nii")
    with pytest.raises(DatasetError, match="has no orientation"):
        read_image(tmp_path / "v.nii")


def test_shear_in_a_file_is_noted_or_stops(tmp_path):
    little, much = AFFINE.copy(), AFFINE.copy()
    little[0, 1], much[0, 1] = 5e-4, 0.05
    read, notes = read_image(nifti(tmp_path / "little.nii.gz", ct(), little))
    np.testing.assert_allclose(affine(read), AFFINE, atol=2e-3)
    assert len(notes) == 1
    with pytest.raises(DatasetError, match="sheared"):
        read_image(nifti(tmp_path / "much.nii.gz", ct(), much))


def test_files_that_are_not_volumes_stop(tmp_path):
    for name in ("a.nii.gz", "b.nrrd", "c.mha"):
        (tmp_path / name).write_bytes(b"not a volume")
        with pytest.raises(DatasetError, match=name):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_content_decides_on_compression_not_the_name(tmp_path, name):
    right = nifti(tmp_path / "right.nii.gz", ct()).read_bytes()
    wrong = right if name == "v.nii" else gzip.decompress(right)
    (tmp_path / name).write_bytes(wrong)
    image, _ = read_image(tmp_path / name)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ct())
    np.testing.assert_allclose(read_header(tmp_path / name).matrix, AFFINE, atol=1e-5)


def test_a_wrongly_named_file_that_is_truncated_stops(tmp_path):
    right = nifti(tmp_path / "right.nii.gz", ct()).read_bytes()
    (tmp_path / "v.nii").write_bytes(right[: len(right) // 2])
    (tmp_path / "w.nii.gz").write_bytes(gzip.decompress(right)[:-100])
    for name in ("v.nii", "w.nii.gz"):
        with pytest.raises(DatasetError, match="truncated or damaged"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd"])
def test_a_file_compressed_twice_is_read(tmp_path, name):
    path = tmp_path / name
    sitk.WriteImage(image(ct()), str(path))
    whole = path.read_bytes()
    once = whole if whole[:2] == b"\x1f\x8b" else gzip.compress(whole)
    path.write_bytes(gzip.compress(once))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path)[0]), ct())
    np.testing.assert_allclose(read_header(path).matrix, AFFINE, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "kind"), [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz")]
)
def test_an_archive_with_the_name_of_a_volume_stops(tmp_path, start, kind):
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(start + bytes(400))
    for read in (read_image, read_header):
        with pytest.raises(DatasetError, match=f"compressed as {kind}, not .*; unpack it"):
            read(path)
