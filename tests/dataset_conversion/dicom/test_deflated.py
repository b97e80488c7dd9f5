"""Deflated DICOM: read if it holds what its header promises, refused if it unpacks to more."""

import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dataset_conversion.dicom import deflated
from dataset_conversion.dicom.series import find_series, read_series
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.making import ct, series


def deflate(path, more=0):
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path)
    if more:
        raw = path.read_bytes()
        start = 144 + int.from_bytes(raw[140:144], "little")
        pack = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = pack.compress(zlib.decompressobj(-15).decompress(raw[start:])) + pack.compress(
            bytes(more)
        )
        path.write_bytes(raw[:start] + body + pack.flush())
    return path


@pytest.fixture
def files(tmp_path):
    return series(tmp_path / "ct", 1)


def test_a_deflated_series_is_read(files):
    for path in files:
        deflate(path)
    found, _ = find_series(files, "p")
    image = read_series(found, "p")
    import SimpleITK as sitk

    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ct(1))


def test_a_file_that_unpacks_to_more_is_refused(files, monkeypatch):
    monkeypatch.setattr(deflated, "_HEADER", 1 << 20)
    deflate(files[0], more=1 << 24)
    with pytest.raises(DatasetError, match="unpacks to more than"):
        find_series(files, "p")
