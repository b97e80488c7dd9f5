"""Find and read series in the tests, and write a second volume into one."""

import re

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.series import find_series, read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.dicom import write_series
from tests.dataset_conversion.making import AFFINE, ct


def check_volume(folder, array, **how):
    """Assert that a folder holds one volume of these values, without a note; return its series."""
    found, notes = find(folder, **how)
    assert notes == []
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), array)
    return found


def find(folder, **how):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return find_series(files, "patient", **how)


def values(folder, **how):
    return sitk.GetArrayFromImage(read_series(find(folder, **how)[0], "patient"))


def change(files, edit):
    for index, path in enumerate(files):
        data = pydicom.dcmread(path)
        edit(data, index)
        data.save_as(path)


def fits(series):
    return np.allclose(series.affine, AFFINE, atol=1e-3) and series.size == (14, 12, 6)


def choices(message):
    return re.findall(r"--series '([^']+)'", message)


def listed(folder, **how):
    with pytest.raises(DatasetError) as stopped:
        find(folder, **how)
    return choices(str(stopped.value)), str(stopped.value)


def second(folder, seed=2, shift=0.0, prefix="B", **tags):
    """Write a second volume into a series, moved along z."""
    matrix = AFFINE.copy()
    matrix[2, 3] += shift
    for path in write_series(folder / "more", ct(seed), matrix, key="t", tags=tags):
        path.rename(folder / f"{prefix}{path.name}")
