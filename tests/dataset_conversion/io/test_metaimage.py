"""MetaImage with a separate data file: the same voxels and geometry as ITK writes them."""

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.volumes import files_of, read_header, read_image, read_volume
from tests.dataset_conversion.making import ct, image


def write(folder, compress=False):
    folder.mkdir(exist_ok=True)
    sitk.WriteImage(image(ct()), str(folder / "ct.mhd"), compress)
    return folder / "ct.mhd"


def change(path, old, new):
    path.write_text(path.read_text().replace(old, new))
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_header_and_data_file_are_one_volume(tmp_path, compress):
    path = write(tmp_path, compress)
    found, notes = read_image(path)
    assert notes == ()
    assert np.array_equal(sitk.GetArrayFromImage(found), ct())
    assert np.allclose(affine(found), affine(image(ct())))
    assert np.allclose(read_header(path).matrix, affine(image(ct())))
    ending = "zraw" if compress else "raw"
    assert [file.name for file in files_of(path)] == ["ct.mhd", f"ct.{ending}"]


@pytest.mark.parametrize("skipped", ["7", "-1"])
def test_bytes_before_the_values_are_skipped(tmp_path, skipped):
    path = change(write(tmp_path), "ElementDataFile", f"HeaderSize = {skipped}\nElementDataFile")
    raw = tmp_path / "ct.raw"
    raw.write_bytes(b"1234567" + raw.read_bytes())
    assert np.array_equal(read_volume(path).raw, ct())


@pytest.mark.parametrize("name", ["sub/ct.raw", "sub\\ct.raw", "./ct.raw"])
def test_data_files_below_the_header_are_read(tmp_path, name):
    path = change(write(tmp_path), "= ct.raw", f"= {name}")
    if "sub" in name:
        (tmp_path / "sub").mkdir()
        (tmp_path / "ct.raw").rename(tmp_path / "sub" / "ct.raw")
    assert np.array_equal(read_volume(path).raw, ct())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../ct.raw", r"ElementDataFile = '\.\./ct.raw' is not in the folder of the header"),
        ("sub/../../ct.raw", "is not in the folder of the header"),
        ("/etc/ct.raw", "is not in the folder of the header"),
        ("C:\\data\\ct.raw", "is not in the folder of the header"),
        ("LIST", r"its values are in several files \(ElementDataFile = LIST\)"),
        ("slice%03d.raw 1 6 1", "its values are in several files"),
        ("other.raw", "its values are in other.raw, which is missing; copy it"),
        ("", "is not in the folder of the header"),
    ],
)
def test_other_places_of_the_values_stop(tmp_path, name, message):
    path = change(write(tmp_path / "p"), "= ct.raw", f"= {name}")
    (tmp_path / "ct.raw").write_bytes((tmp_path / "p" / "ct.raw").read_bytes())
    with pytest.raises(DatasetError, match=message):
        read_volume(path)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("change_by", [-1, 1])
def test_a_data_file_of_another_length_stops(tmp_path, compress, change_by):
    if compress and change_by > 0:
        pytest.skip("bytes after the end of a compressed stream do not change the values")
    path = write(tmp_path, compress)
    raw = files_of(path)[1]
    content = raw.read_bytes()
    raw.write_bytes(content[:-1] if change_by < 0 else content + b"\0")
    with pytest.raises(DatasetError, match=rf"{raw.name}: (.* bytes of values|is truncated)"):
        read_volume(path)
