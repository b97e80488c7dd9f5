"""Fixtures that write label maps and dataset.json."""

import json

import numpy as np
import pytest
import SimpleITK


@pytest.fixture
def save():
    """Write a label map; spacing (mm) in the order of the array's axes (z, y, x)."""

    def write(path, voxels, *, spacing=(3.0, 0.5, 0.8), origin=(0.0, 0.0, 0.0), dtype=np.uint8):
        image = SimpleITK.GetImageFromArray(np.asarray(voxels, dtype=dtype))
        image.SetSpacing(spacing[::-1])
        image.SetOrigin(origin)
        path.parent.mkdir(parents=True, exist_ok=True)
        SimpleITK.WriteImage(image, str(path))
        return path

    return write


@pytest.fixture
def pair(tmp_path, save):
    """Write a prediction and its reference."""

    def write(prediction, reference, ending=".nii.gz", **how):
        files = (("p", prediction), ("r", reference))
        return [save(tmp_path / f"{name}{ending}", one, **how) for name, one in files]

    return write


@pytest.fixture
def declare():
    """Write a dataset.json."""

    def write(folder, labels):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
        return folder / "dataset.json"

    return write


@pytest.fixture
def spine():
    """(8, 12, 12): a vertebra (1), a disc (2) and a canal (3), stacked."""
    voxels = np.zeros((8, 12, 12), dtype=np.uint8)
    voxels[1:4, 2:8, 2:8] = 1
    voxels[4:6, 2:8, 2:8] = 2
    voxels[1:7, 2:8, 9:11] = 3
    return voxels
