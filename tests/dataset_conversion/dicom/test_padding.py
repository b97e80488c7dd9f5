"""Padding that the headers declare becomes air; measurements stay."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import ImplicitVRLittleEndian

from dataset_conversion.dicom.series import find_series, read_series_and_notes
from dataset_conversion.phantoms.dicom import CT, MR, write_series
from tests.dataset_conversion.making import AFFINE, ct

ARRAY = np.clip(ct(), -900, 1500)
CORNER = (slice(None), slice(0, 3), slice(0, 7))  # an eighth of a plane of 12 x 14


def pad(
    folder, stored, *, tags=None, signed=False, scanner=CT, array=ARRAY, implicit=False, vr=None
):
    """Write a series with stored values in a corner of each slice; `stored` may differ by slice."""
    for index, path in enumerate(write_series(folder, array, AFFINE, key="p", scanner=scanner)):
        data = pydicom.dcmread(path)
        kind = "<i2" if signed else "<u2"
        pixels = data.pixel_array.astype(np.int32)
        if signed and scanner is CT:
            pixels, data.RescaleIntercept = pixels - 1024, 0
        number = stored[index] if isinstance(stored, list) else stored
        pixels[CORNER[1:]] = number
        data.PixelData, data.PixelRepresentation = pixels.astype(kind).tobytes(), int(signed)
        for name, value in (tags(number) if tags else {"PixelPaddingValue": number}).items():
            data.add_new(name, vr or ("SS" if signed else "US"), value)
        if implicit:
            data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            pydicom.dcmwrite(path, data, implicit_vr=True, little_endian=True)
        else:
            data.save_as(path)
    found, _ = find_series(sorted(folder.iterdir()), "p", modality=None)
    image, notes = read_series_and_notes(found, "p")
    return sitk.GetArrayFromImage(image), notes


def expected(air, array=ARRAY):
    made = array.copy()
    made[CORNER] = air
    return made


@pytest.mark.parametrize(
    "how",
    [
        {"stored": 63536},
        {"stored": 63536, "implicit": True},
        {"stored": -2000, "signed": True},
        {"stored": -2000, "signed": True, "implicit": True},
        {"stored": -2000, "signed": True, "vr": "US", "tags": lambda n: {"PixelPaddingValue": n % 65536}},
        {"stored": -32768, "signed": True},
        {"stored": [63536, 63537, 63538, 63539, 63540, 63541]},
        {"stored": [63536, 63537, 63538, 63539, 63540, 63541],
         "tags": lambda n: {"PixelPaddingValue": 63536, "PixelPaddingRangeLimit": 63541}},
        {"stored": [-2000, -2001, -1999, -1500, -2000, -2000], "signed": True,
         "tags": lambda n: {"PixelPaddingValue": -1500, "PixelPaddingRangeLimit": -2001}},
    ],
)  # fmt: skip
def test_padding_of_ct_becomes_air_and_is_reported(tmp_path, how):
    read, notes = pad(tmp_path, **how)
    np.testing.assert_array_equal(read, expected(-1024))
    assert notes == ("padding (PixelPaddingValue) set to -1024 HU: 12.5 % of the voxels",)


@pytest.mark.parametrize(("stored", "hu"), [(0, -1024), (24, -1000)])
def test_padding_that_is_air_stays(tmp_path, stored, hu):
    read, notes = pad(tmp_path, stored)
    np.testing.assert_array_equal(read, expected(hu))
    assert notes == ()


def test_a_padding_value_that_may_be_tissue_is_reported_and_left(tmp_path):
    read, notes = pad(tmp_path, 1064)
    np.testing.assert_array_equal(read, expected(40))
    assert len(notes) == 1
    assert "plausible measurement (12." in notes[0]


def test_a_declared_value_that_does_not_occur_is_silent(tmp_path):
    read, notes = pad(tmp_path, 24, tags=lambda n: {"PixelPaddingValue": 63536})
    np.testing.assert_array_equal(read, expected(-1000))
    assert notes == ()


def test_values_without_a_declaration_stay(tmp_path):
    read, notes = pad(tmp_path, 63536, tags=lambda n: {})
    np.testing.assert_array_equal(read, expected(62512, ARRAY.astype(np.float32)))
    assert notes == ()


@pytest.mark.parametrize(
    ("stored", "signed", "air", "words"),
    [
        (0, False, 0, ""), (65535, False, 0, "set to 0: 12.5 %"), (-1000, True, 0, "set to 0: 12.5 %"),
        (700, False, 700, "plausible"), (1600, False, 1600, "plausible"),
    ],
)  # fmt: skip
def test_padding_of_mr_becomes_zero_unless_it_may_be_a_measurement(
    tmp_path, stored, signed, air, words
):
    array = np.abs(ct()) + 1
    read, notes = pad(tmp_path, stored, signed=signed, scanner=MR, array=array)
    np.testing.assert_array_equal(read, expected(air, array.astype(np.float32)))
    assert words in "".join(notes)
    assert bool(notes) == bool(words)


def test_padding_that_only_some_headers_declare_is_replaced_in_all_slices(tmp_path):
    once = iter([{"PixelPaddingValue": 63536}])
    read, notes = pad(tmp_path, 63536, tags=lambda n: next(once, {}))
    np.testing.assert_array_equal(read, expected(-1024))
    assert "12.5 %" in notes[0]
