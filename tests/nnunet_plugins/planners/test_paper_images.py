"""Voxel size, axes, patch and normalisation of a paper, computed by hand for images of several orientations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nnunetv2.preprocessing.normalization.default_normalization_schemes import CTNormalization

from nnunet_plugins.papers.library import RECIPES
from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.planners.paper_images import (
    paper_patch,
    paper_schemes,
    slice_axis,
    target_spacing,
    windowed,
)

RECIPE = Recipe("key", {}, 1, "", cases=1, patch=(16, 192, 192))


def fingerprint(*cases: tuple[tuple[float, ...], tuple[int, ...]]) -> dict[str, Any]:
    """Spacing and shape of each case."""
    return {"spacings": [c[0] for c in cases], "shapes_after_crop": [c[1] for c in cases]}


@pytest.mark.parametrize(
    ("spacing", "shape", "axis"),
    [
        ((1.5, 0.7, 0.7), (120, 512, 512), 0),
        ((0.625, 0.74, 0.74), (200, 512, 512), 0),  # the largest spacing is within the slices
        ((0.34, 0.34, 4.4), (880, 880, 12), 2),
        ((0.34, 0.34, 4.4), (880, 464, 12), 2),  # cropped
        ((0.8, 7.0, 0.8), (320, 16, 320), 1),
        ((1.0, 1.0, 1.0), (100, 512, 512), 0),
        ((1.0, 1.0, 1.0), (512, 100, 512), 1),
        ((1.0, 1.0, 1.0), (64, 64, 64), 0),
        ((4.4, 0.66, 0.66), (1, 448, 300), 0),
    ],
)
def test_the_slices_are_those_of_square_pixels(
    spacing: tuple[float, ...], shape: tuple[int, ...], axis: int
) -> None:
    assert slice_axis(fingerprint((spacing, shape))) == axis


def test_a_matrix_is_that_of_the_median_extent() -> None:
    recipe = replace(RECIPE, matrix=(256, 128))
    cases = fingerprint(
        ((1.0, 0.5, 0.5), (90, 512, 512)),
        ((1.0, 0.7, 0.7), (90, 512, 512)),
        ((2.0, 0.8, 0.8), (90, 512, 512)),
    )
    # 0.7 mm x 512 = 358.4 mm
    found = target_spacing(recipe, cases, (1.0, 0.7, 0.7))
    np.testing.assert_allclose(found, (1.0, 358.4 / 256, 358.4 / 128))
    # Slices along the last axis: the order of the array is kept.
    turned = fingerprint(((0.7, 0.7, 3.0), (512, 512, 90)))
    found = target_spacing(recipe, turned, (0.7, 0.7, 3.0))
    np.testing.assert_allclose(found, (358.4 / 256, 358.4 / 128, 3.0))


def test_a_printed_voxel_size_is_in_the_order_of_the_array() -> None:
    recipe = replace(RECIPE, spacing=(7.0, 1.0, 1.2))
    cases = fingerprint(((0.8, 7.5, 0.8), (320, 16, 320)))
    np.testing.assert_allclose(target_spacing(recipe, cases, (0.8, 7.5, 0.8)), (1.0, 7.0, 1.2))
    assert target_spacing(RECIPE, cases, (0.8, 7.5, 0.8)).tolist() == [0.8, 7.5, 0.8]


@pytest.mark.parametrize(
    ("patch", "median", "expected"),
    [
        ((464, 880), (12, 880, 464), [880, 464]),
        ((464, 880), (12, 464, 880), [464, 880]),
        ((464, 880), (12, 500, 500), [464, 880]),
        ((50, 256, 256), (90, 300, 200), [50, 256, 256]),
    ],
)
def test_the_longer_axis_of_a_patch_is_that_of_the_image(
    patch: tuple[int, ...], median: tuple[int, ...], expected: list[int]
) -> None:
    assert paper_patch(replace(RECIPE, patch=patch), median) == expected


def test_nnunets_ct_normalisation_maps_the_window_to_the_unit_interval() -> None:
    recipe = RECIPES["MAGUNet"]
    foreground = {"mean": 300.0, "std": 150.0, "percentile_00_5": -80.0, "percentile_99_5": 900.0}
    properties = {"0": {**foreground, "median": 280.0}, "1": {"mean": 1.0}}
    found = windowed(recipe, ["CTNormalization", "ZScoreNormalization"], properties)
    assert found["0"]["median"] == 280.0
    assert found["1"] == {"mean": 1.0}
    assert properties["0"]["mean"] == 300.0  # a copy
    image = np.array([[[-1024.0, -200.0, 500.0, 1200.0, 3000.0]]])
    mapped = CTNormalization(False, found["0"]).run(image)
    np.testing.assert_allclose(mapped[0, 0], (0.0, 0.0, 0.5, 1.0, 1.0), atol=1e-6)


def test_images_that_convert_has_windowed_and_papers_without_a_window_are_left_alone() -> None:
    properties = {"0": {"mean": 0.4, "percentile_00_5": 0.1}}
    assert windowed(RECIPES["MAGUNet"], ["NoNormalization"], properties) == properties
    assert windowed(RECIPES["ASPPUNet"], ["CTNormalization"], properties) == properties
    zscore = replace(RECIPE, scheme="ZScoreNormalization")
    assert paper_schemes(zscore, ["NoNormalization", "CTNormalization"]) == [
        "NoNormalization",
        "ZScoreNormalization",
    ]
