"""Resampling of logits: equal to nnU-Net's functions in every bit of float16, computed only where it decides."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from scipy.ndimage import gaussian_filter

from nnunet_plugins.prediction import label_maps
from nnunet_plugins.prediction.label_maps import Grids, label_map
from nnunet_plugins.prediction.linear import agreement, blend, linear_axes, linear_axis

DEFAULT = partial(
    resample_data_or_seg_to_shape, is_seg=False, order=1, order_z=0, force_separate_z=None
)
TORCH = partial(resample_torch_fornnunet, is_seg=False, force_separate_z=False)
#: Voxels of logits and image, and their spacing: finer, coarser, anisotropic along each axis, equal, one slice.
GRIDS = [
    ((11, 20, 30), (17, 25, 33), (1, 1, 1), (0.7, 0.8, 0.9)),
    ((11, 20, 30), (7, 15, 30), (1, 1, 1), (1.5, 1.3, 1)),
    ((5, 20, 30), (10, 40, 33), (5, 1, 1), (2.5, 0.5, 0.9)),
    ((20, 5, 30), (33, 4, 40), (1, 6, 1), (0.6, 8, 0.7)),
    ((8, 7, 9), (11, 13, 4), (1, 1, 6), (0.8, 0.6, 8)),
    ((9, 8, 7), (9, 13, 10), (6, 1, 1), (6, 0.8, 0.7)),
    ((1, 8, 8), (1, 16, 16), (1, 1, 1), (1, 0.5, 0.5)),
    ((4, 6, 5), (4, 6, 5), (1, 1, 1), (1, 1, 1)),
]
LABELS = LabelManager({"background": 0, "a": 1, "b": 2, "c": 3}, None)
REGIONS = LabelManager({"background": 0, "a": [1, 2], "b": 2, "c": [2, 3]}, [1, 2, 3])


def logits(shape, count, *, smooth):
    """Integers, so that many classes are equal after interpolation; smooth as a network's, or noise."""
    rng = np.random.default_rng(0)
    values = rng.normal(scale=5, size=(count, *shape))
    if smooth:
        values = np.stack([gaussian_filter(one, 1.5) * 9 for one in values])
    return values.round().astype(np.float16)


@pytest.mark.parametrize(("stored", "shape", "spacing", "target"), GRIDS)
def test_interpolated_logits_are_those_of_nnunet_in_every_bit_of_float16(
    stored, shape, spacing, target
):
    values = np.random.default_rng(1).normal(size=(2, *stored))
    axes = linear_axes(DEFAULT, stored, shape, spacing, target)
    points = [index.ravel() for index in np.indices(shape)]
    for kind, away in (
        (np.float16, 0),
        (np.float64, 1e-15),
    ):  # skimage clips float64 to the extremes
        wanted = DEFAULT(values.astype(kind), shape, spacing, target)
        found = blend(values.astype(kind), axes, points).reshape(2, *shape)
        np.testing.assert_allclose(found, wanted, rtol=away, atol=0)


@pytest.mark.parametrize(("stored", "shape", "spacing", "target"), GRIDS)
@pytest.mark.parametrize("smooth", [True, False], ids=["smooth", "noise"])
@pytest.mark.parametrize("labels", [LABELS, REGIONS], ids=["labels", "regions"])
@pytest.mark.parametrize("function", [DEFAULT, TORCH], ids=["default", "torch"])
def test_labels_are_those_of_nnunet(
    stored, shape, spacing, target, smooth, labels, function, monkeypatch
):
    monkeypatch.setattr(label_maps, "_SLAB", 3000)  # several slabs and parts
    monkeypatch.setattr(label_maps, "_POINTS", 500)
    values = logits(stored, labels.num_segmentation_heads, smooth=smooth)
    wanted = labels.convert_logits_to_segmentation(function(values.copy(), shape, spacing, target))
    out = np.full(shape, 99, np.uint8)
    grids = Grids(labels, function, stored, shape, spacing, target)
    label_map(iter(torch.split(torch.from_numpy(values), 2, 1)), grids, out)
    np.testing.assert_array_equal(out, np.asarray(wanted))


def test_another_order_is_left_to_nnunets_function():
    for changed in ({"order": 3}, {"is_seg": True}, {"new_option": 1}):
        other = partial(DEFAULT.func, **{**DEFAULT.keywords, **changed})
        assert linear_axes(other, (4,) * 3, (8,) * 3, (1,) * 3, (0.5,) * 3) is None
    assert linear_axes(TORCH, (4,) * 3, (8,) * 3, (1,) * 3, (0.5,) * 3) is None


def test_cells_agree_only_where_all_corners_do():
    codes = np.zeros((4, 4, 4), np.uint8)
    codes[2, 2, 2] = 1
    found = agreement(codes, [linear_axis(4, 8)] * 3, 255)
    touched = found == 255
    assert set(np.unique(found)) == {0, 255}
    # Samples whose cell has the voxel as a corner: places 1.25, 1.75, 2.25 and 2.75 along each axis.
    assert touched.sum() == 4**3
    assert touched[3:7, 3:7, 3:7].all()


def test_missing_rows_are_an_error():
    out = np.zeros((8, 8, 8), np.uint8)
    grids = Grids(LABELS, DEFAULT, (8,) * 3, (8,) * 3, (1.0,) * 3, (1.0,) * 3)
    with pytest.raises(RuntimeError, match="5 of 8 rows"):
        label_map(iter([torch.zeros(4, 5, 8, 8, dtype=torch.half)]), grids, out)
