"""NIfTI files with a long header extension, such as the list of labels that TotalSegmentator writes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dataset_conversion.io.volumes import read_image, stored_values


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_long_extension_does_not_hide_the_voxels(tmp_path: Path, kind: type, ending: str) -> None:
    voxels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    image = kind(voxels, np.eye(4))
    names = b"<CaretExtension>" + b"label " * 1000 + b"</CaretExtension>"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", names))
    path = tmp_path / f"labels{ending}"
    nib.save(image, path)
    np.testing.assert_array_equal(stored_values(path), voxels)
    assert read_image(path)[0].GetSize() == (3, 4, 5)
