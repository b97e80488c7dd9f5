"""Masks whose header gives no orientation: refused, or on their image's grid at the user's request."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.label_maps import looks_like_labels, read_mask
from dataset_conversion.io.segments import Reading
from dataset_conversion.io.volumes import Header, read_header, read_image
from tests.dataset_conversion.io.test_nrrd_reader import nrrd
from tests.dataset_conversion.making import AFFINE, SHAPE, ct, image, label_file, labels, nifti

GRID = Header(SHAPE[::-1], AFFINE)
ACCEPTED = Reading(ignore_header=True)


def nifti_mask(path, array):
    nib.save(nib.Nifti1Image(array.T, None), path)  # without an affine, both codes are 0


def meta_mask(path, array):
    sitk.WriteImage(image(array), str(path))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"TransformMatrix", b"Comment"))


def nrrd_mask(path, array, **fields):
    nrrd(path, array, type="uint8", **fields)


MASKS = {
    "NIfTI": ("mask.nii.gz", nifti_mask, {}, "qform_code and sform_code are 0"),
    "MetaImage": ("mask.mha", meta_mask, {}, "no TransformMatrix"),
    "NRRD with spacings": (
        "mask.nrrd", nrrd_mask,
        {"space": None, "space_directions": None, "space_origin": None, "spacings": "0.8 0.9 2.5"},
        "no 'space' and no 'space directions'",
    ),
    "NRRD without space": ("mask.nrrd", nrrd_mask, {"space": None}, "no 'space'"),
    "NRRD of a scanner": ("mask.nrrd", nrrd_mask, {"space": "scanner-xyz"}, "'scanner-xyz'"),
}  # fmt: skip


def write(folder, kind, array=None):
    name, make, how, reason = MASKS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    make(folder / name, labels() if array is None else array, **how)
    return folder / name, reason


@pytest.mark.parametrize("kind", MASKS)
def test_it_stops_and_the_option_places_it(tmp_path, kind):
    path, reason = write(tmp_path, kind)
    with pytest.raises(DatasetError, match=f"{reason}.*unknown.*or pass --ignore-mask-header if"):
        read_mask(path, GRID)
    found = read_mask(path, GRID, ACCEPTED)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found.image), labels())
    np.testing.assert_allclose(affine(found.image), AFFINE)
    assert "mask without orientation, taken voxel by voxel" in found.notes[0]
    assert "compare left and right in preview.png" in found.notes[0]


@pytest.mark.parametrize("kind", MASKS)
def test_another_size_stops_and_the_option_is_not_offered(tmp_path, kind):
    path, reason = write(tmp_path, kind, labels()[:5])
    with pytest.raises(DatasetError, match=f"{reason}.*export it again with orientation$"):
        read_mask(path, GRID)
    with pytest.raises(DatasetError, match=r"cannot be applied: .*14 x 12 x 5 against 14 x 12 x 6"):
        read_mask(path, GRID, ACCEPTED)


@pytest.mark.parametrize("kind", MASKS)
def test_without_an_image_it_stops(tmp_path, kind):
    path, reason = write(tmp_path, kind)
    with pytest.raises(DatasetError, match=reason):
        read_mask(path, None, ACCEPTED)
    assert looks_like_labels(path)  # where it is does not matter for that


def test_axes_in_another_order_stop(tmp_path):
    matrix = AFFINE[:, [2, 1, 0, 3]]
    nrrd(tmp_path / "mask.nrrd", labels(), matrix, type="uint8", space=None)
    with pytest.raises(DatasetError, match="its spacing runs in another order"):
        read_mask(tmp_path / "mask.nrrd", GRID, ACCEPTED)


def test_an_image_without_axes_stops(tmp_path):
    meta_mask(tmp_path / "ct.mha", ct())
    for read in (read_image, read_header):
        with pytest.raises(DatasetError, match=r"no TransformMatrix.*left and right are unknown"):
            read(tmp_path / "ct.mha")


@pytest.mark.usefixtures("no_picture")
def test_a_conversion_writes_the_voxels_where_its_image_is(tmp_path):
    for number in range(2):
        nifti(tmp_path / "src" / f"p{number}" / "ct.nii.gz", ct(number))
        write(tmp_path / "src" / f"p{number}", "NIfTI")
    how = {"labels": label_file(tmp_path / "labels.json"), "keep_names": True}
    with pytest.raises(DatasetError, match=r"2 problems:(.|\n)*or pass --ignore-mask-header"):
        convert(tmp_path / "src", tmp_path / "raw", 660, options=Options(**how))
    options = Options(**how, ignore_mask_header=True)
    report = convert(tmp_path / "src", tmp_path / "raw", 660, options=options)
    assert any("it may be flipped" in note for note in report.notes)
    written = sitk.ReadImage(str(report.dataset / "labelsTr" / "p0.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), labels())
    np.testing.assert_allclose(affine(written), AFFINE, atol=1e-5)
