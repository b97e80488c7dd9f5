"""Decimal strings as exporters write them."""

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.decimals import parse
from dataset_conversion.dicom.series import read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from tests.dataset_conversion.dicom.reading import find
from tests.dataset_conversion.making import AFFINE, ct, series

TAGS = {"PixelSpacing": b"\x28\x00\x30\x00DS", "ImagePositionPatient": b"\x20\x00\x32\x00DS",
        "RescaleIntercept": b"\x28\x00\x52\x10DS", "RescaleSlope": b"\x28\x00\x53\x10DS"}  # fmt: skip


def rewrite(path, name, edit):
    """Replace the text of an attribute in a file's bytes; pydicom refuses to write it."""
    content, tag = path.read_bytes(), TAGS[name]
    start = content.index(tag) + len(tag)
    end = start + 2 + int.from_bytes(content[start : start + 2], "little")
    text = edit(content[start + 2 : end].rstrip(b" \0"))
    text += b" " * (len(text) % 2)
    path.write_bytes(content[:start] + len(text).to_bytes(2, "little") + text + content[end:])


@pytest.mark.parametrize("name", TAGS)
def test_decimal_commas_are_read_and_reported(tmp_path, name):
    def comma(text):
        numbers = [f"{float(v):.3f}" for v in text.split(b"\\")]
        return "\\".join(numbers).replace(".", ",").encode()

    for path in series(tmp_path):
        rewrite(path, name, comma)
    found, notes = find(tmp_path)
    assert notes == [f"decimal commas read as decimal points: {name}"]
    read = read_series(found, "p")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), ct())
    np.testing.assert_allclose(affine(read), AFFINE, atol=1e-6)


def test_a_fractional_slope_with_a_comma_is_not_cut_off(tmp_path):
    for path in series(tmp_path):
        rewrite(path, "RescaleSlope", lambda text: b"0,5")
    read = sitk.GetArrayFromImage(read_series(find(tmp_path)[0], "p"))
    np.testing.assert_array_equal(read, (ct() + 1024) * 0.5 - 1024)


@pytest.mark.parametrize(
    "text", [b"0.9\0\\0.8\0", b" 0.9 \\ 0.8 ", b"9e-1\\8.0E-1", b"+0.90\\0.80"]
)
def test_blanks_zero_bytes_and_exponents_are_read_silently(tmp_path, text):
    for path in series(tmp_path):
        rewrite(path, "PixelSpacing", lambda _: text)
    found, notes = find(tmp_path)
    assert notes == []
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize(
    "text", [b"0,9", b"0,9,0,8", b"0,9\\0.8", b"1.000,9\\0,8", b"wide\\0.8", b"0.9,0.8"]
)
def test_an_unclear_number_stops_with_one_line(tmp_path, text):
    for path in series(tmp_path):
        rewrite(path, "PixelSpacing", lambda _: text)
    with pytest.raises(DatasetError) as stopped:
        find(tmp_path)
    message = str(stopped.value)
    assert f"PixelSpacing {text.decode()!r} (in 6 slices) cannot be read" in message
    assert "\n" not in message


def test_an_unclear_slope_stops(tmp_path):
    rewrite(series(tmp_path)[2], "RescaleSlope", lambda _: b"1,0,0")
    with pytest.raises(DatasetError, match=r"RescaleSlope '1,0,0' \(in 1 slices\)"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("text", "count", "values"),
    [
        ("1.5", 1, (1.5,)), ("1,5", 1, (1.5,)), ("-1,5e1\\2", 2, (-15.0, 2.0)), ("1.5\\", 2, ()),
        ("nan", 1, ()), ("1\\2\\3", 2, ()), ("\\", 1, None),
    ],
)  # fmt: skip
def test_parse(text, count, values):
    found = parse(text, count)
    assert (found and found.values) == values
