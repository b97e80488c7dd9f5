import gzip

import numpy as np
import pytest
from SimpleITK import GetArrayFromImage, ReadImage

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest_of, link, to_json
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.nifti_writer import write_image
from tests.dataset_conversion.making import AFFINE, ct, image


def test_notes_of_the_source_are_not_written(tmp_path):
    (tmp_path / "scratch").mkdir()
    volume = image(ct())
    volume.SetMetaData("ITK_FileNotes", "Doe^Jane")  # ITK writes these to NIfTI's descrip
    write_image(volume, tmp_path / "v.nii.gz", tmp_path / "scratch")
    assert b"Doe" not in gzip.decompress((tmp_path / "v.nii.gz").read_bytes())
    read = ReadImage(str(tmp_path / "v.nii.gz"))
    np.testing.assert_array_equal(GetArrayFromImage(read), ct())
    np.testing.assert_allclose(affine(read), AFFINE, atol=1e-4)
    assert not list((tmp_path / "scratch").iterdir())


def test_a_digest_of_many_files_ignores_names_and_order(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"2"), ("d", b"1")):
        (tmp_path / name).write_bytes(content)
    a, b, c, d = (tmp_path / name for name in "abcd")
    assert digest_of([a, b]) == digest_of([c, d])
    assert digest_of([a, b]) != digest_of([a, a])


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DatasetError, match="gone: cannot be read"):
        digest_of([tmp_path / "gone"])


def test_json_is_ascii_for_nnunet_s_reader():
    assert to_json({"左": 1}).isascii()


def test_a_link_replaces_what_was_there(tmp_path):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    link(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
