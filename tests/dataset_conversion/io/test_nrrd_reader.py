import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.volumes import read_header, read_image
from tests.dataset_conversion.making import AFFINE, ct

TO_LPS = {"left-posterior-superior": (1, 1, 1), "LPS": (1, 1, 1), "right-anterior-superior": (-1, -1, 1),
          "ras": (-1, -1, 1), "left-anterior-superior": (1, -1, 1), "LAS": (1, -1, 1)}  # fmt: skip


def nrrd(path, array=None, matrix=AFFINE, **fields):
    """Write an NRRD; a field of None is left out."""
    array = ct() if array is None else array
    z, y, x = array.shape
    steps = " ".join(f"({','.join(f'{v:.9g}' for v in matrix[:3, i])})" for i in range(3))
    head = {
        "type": "int16",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": f"{x} {y} {z}",
        "space directions": steps,
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": f"({','.join(f'{v:.9g}' for v in matrix[:3, 3])})",
        **{name.replace("_", " "): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in head.items() if value is not None]
    path.write_bytes(("\n".join(["NRRD0005", *lines]) + "\n\n").encode() + array.tobytes())
    return path


@pytest.mark.parametrize("space", TO_LPS)
def test_spaces_of_the_body_are_exact(tmp_path, space):
    signs = np.diag([*TO_LPS[space], 1.0])
    path = nrrd(tmp_path / "v.nrrd", matrix=signs @ AFFINE, space=space)
    image, _ = read_image(path)
    np.testing.assert_allclose(affine(image), AFFINE, atol=1e-6)
    np.testing.assert_allclose(read_header(path).matrix, AFFINE, atol=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ct())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": None, "space_dimension": "3"}, r"has no orientation \(no 'space'\)"),
        (
            {"space_directions": None, "spacings": "1 1 2"},
            r"no orientation \(no 'space directions'\)",
        ),
        (
            {"space": None, "space_directions": None, "space_origin": None, "spacings": "1 1 2"},
            "no 'space' and no 'space directions'",
        ),
        ({"space": "scanner-xyz"}, "its space is 'scanner-xyz', which does not name"),
        ({"space": "3D-right-handed"}, "its space is '3D-right-handed'"),
        ({"space_units": '"um" "um" "um"'}, "its unit of length is um"),
        ({"encoding": "bzip2"}, "compressed with bzip2, which is not read"),
        ({"data_file": "other.raw"}, "its values are in another file"),
        ({"datafile": "other.raw"}, "its values are in another file"),
    ],
)
def test_an_unknown_orientation_unit_or_place_of_values_stops(tmp_path, fields, message):
    path = nrrd(tmp_path / "v.nrrd", **fields)
    for read in (read_image, read_header, read_mask):
        with pytest.raises(DatasetError, match=message):
            read(path)


def test_millimetres_may_be_stated(tmp_path):
    image, _ = read_image(nrrd(tmp_path / "v.nrrd", space_units='"mm" "mm" "mm"'))
    np.testing.assert_allclose(affine(image), AFFINE, atol=1e-6)


def test_a_file_compressed_as_a_whole_is_read(tmp_path):
    path = nrrd(tmp_path / "v.nrrd")
    path.write_bytes(gzip.compress(path.read_bytes()))
    image, _ = read_image(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ct())
    np.testing.assert_allclose(read_header(path).matrix, AFFINE, atol=1e-6)


def test_content_of_another_format_stops_with_the_right_name(tmp_path):
    path = nrrd(tmp_path / "v.nii.gz")
    for read in (read_image, read_header):
        with pytest.raises(DatasetError, match=r"content is that of a \.nrrd file; rename it"):
            read(path)
