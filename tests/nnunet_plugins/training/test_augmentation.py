"""Augmentation as data: what each transform does to image and labels, its probability, and its error messages."""

from __future__ import annotations

import json
import math
import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.augmentation import (
    check_rank,
    for_any_rank,
    initial_patch,
    problem,
    transforms,
)
from nnunet_plugins.training.procedure import read_procedure

RANKS = pytest.mark.parametrize("patch", [(24, 20), (12, 24, 20)], ids=["2d", "3d"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    np.random.seed(0)
    torch.manual_seed(0)


def sample(size: Any) -> dict[str, torch.Tensor]:
    """An image of random values, and as labels where it is above 0."""
    image = torch.randn(1, *size)
    return {"image": image, "segmentation": (image > 0).to(torch.int16)}


def apply(
    spec: dict[str, Any], data: dict[str, torch.Tensor], patch: Any, axes: Any = ()
) -> dict[str, torch.Tensor]:
    made = ComposeTransforms(transforms(spec, patch, axes))
    return made(**{key: value.clone() for key, value in data.items()})


def centre(tensor: torch.Tensor, patch: Any) -> torch.Tensor:
    """The middle of the size of ``patch``, as nnU-Net crops."""
    starts = [n // 2 - p // 2 for n, p in zip(tensor.shape[1:], patch, strict=True)]
    return tensor[(slice(None), *(slice(s, s + p) for s, p in zip(starts, patch, strict=True)))]


def offset(spec: dict[str, Any], patch: Any) -> list[float]:
    """How far a bright ball in the middle moves."""
    size = initial_patch(spec, patch)
    axes = torch.meshgrid(*[torch.arange(n) - (n - 1) / 2 for n in size], indexing="ij")
    ball = torch.exp(-sum(a**2 for a in axes) / 2)[None]
    found = apply(spec, {"image": ball, "segmentation": (ball > 0.5).short()}, patch)["image"][0]
    axes = torch.meshgrid(*[torch.arange(n) - (n - 1) / 2 for n in patch], indexing="ij")
    return [float((found * a).sum() / found.sum()) for a in axes]


@RANKS
def test_samples_that_the_affine_skips_are_cropped_only(patch: tuple[int, ...]) -> None:
    spec = {"affine": {"p": 1e-12, "degrees": 20, "scale": [0.9, 1.2], "shift": 0.1}}
    data = sample(initial_patch(spec, patch))
    found = apply(spec, data, patch)
    for key in data:
        torch.testing.assert_close(found[key], centre(data[key], patch), rtol=0, atol=0)


@RANKS
def test_image_and_labels_are_transformed_alike(patch: tuple[int, ...]) -> None:
    spec = {"affine": {"p": 1, "degrees": 20, "scale": [0.8, 1.2], "shift": 0.1}}
    size = initial_patch(spec, patch)
    image = torch.nn.functional.interpolate(torch.randn(1, 1, *[3] * len(size)), size)[0]
    data = {"image": image, "segmentation": (image > 0).to(torch.int16)}
    for _ in range(5):
        found = apply(spec, data, patch)
        assert found["image"].shape == found["segmentation"].shape == (1, *patch)
        assert not torch.equal(found["image"], centre(data["image"], patch))
        inside = found["segmentation"] >= 0
        agree = (found["image"] > 0) == (found["segmentation"] == 1)
        assert agree[inside].float().mean() > 0.95


@pytest.mark.parametrize(("axis", "degrees"), [(0, 30), (1, 30), (2, 30)])
def test_a_rotation_is_about_the_named_axis_and_within_the_range(axis: int, degrees: int) -> None:
    """Along that axis nothing moves; an angle read off a bar is at most the given one."""
    spec = {"affine": {"p": 1, "degrees": degrees, "about": [axis]}}
    patch = (25, 25, 25)
    size = initial_patch(spec, patch)
    assert size[axis] == 25
    other = (axis + 1) % 3
    bar = torch.zeros(size)
    middle = [n // 2 for n in size]
    bar[tuple(slice(None) if a == other else middle[a] for a in range(3))] = 1
    angles = []
    for _ in range(20):
        found = apply(spec, {"image": bar[None], "segmentation": bar[None].short()}, patch)
        weights = found["image"][0].double()
        coordinates = torch.meshgrid(*[torch.arange(n).double() - 12 for n in patch], indexing="ij")
        assert float((weights * coordinates[axis].abs()).sum() / weights.sum()) < 0.01
        third = 3 - axis - other
        b, c = coordinates[other], coordinates[third]
        slope = float((weights * b * c).sum() / (weights * b * b).sum())
        angles.append(abs(math.degrees(math.atan(slope))))
    assert max(angles) < degrees + 1
    assert max(angles) > degrees / 2


@RANKS
def test_scale_factors_are_per_axis_and_only_along_the_named_ones(patch: tuple[int, ...]) -> None:
    along = len(patch) - 1
    spec = {"affine": {"p": 1, "scale": [2.0, 2.0], "along": [along]}}
    size = initial_patch(spec, patch)
    assert size == [2 * n if axis == along else n for axis, n in enumerate(patch)]
    image = torch.arange(size[along], dtype=torch.float32).expand(size)[None]
    found = apply(spec, {"image": image, "segmentation": image.short()}, patch)["image"]
    # Every second voxel: objects are half as large.
    steps = found.diff(dim=-1)
    torch.testing.assert_close(steps, torch.full_like(steps, 2.0))


@RANKS
def test_a_shift_is_a_share_of_the_patch_along_the_named_axes(patch: tuple[int, ...]) -> None:
    along = len(patch) - 2
    spec = {"affine": {"p": 1, "degrees": 1e-3, "shift": 0.25, "along": [along]}}
    moved = np.abs([offset(spec, patch) for _ in range(40)])
    assert moved[:, along].max() < 0.25 * patch[along] + 0.6
    assert moved[:, along].max() > 0.15 * patch[along]
    others = np.delete(moved, along, axis=1)
    assert others.max() < 0.6  # half a voxel: sizes of another parity


def test_outside_the_image_is_zero_or_the_nearest_voxel() -> None:
    patch = (16, 16)
    for fill, value in (("zero", 0.0), ("nearest", 7.0)):
        spec = {"affine": {"p": 1, "scale": [2, 2], "fill": fill}}
        assert initial_patch(spec, patch) == ([32, 32] if fill == "zero" else [16, 16])
        image = torch.full((1, 16, 16), 7.0)
        found = apply(spec, {"image": image, "segmentation": image.short()}, patch)
        assert found["image"][0, 0, 0] == pytest.approx(value, abs=1e-4)
        assert found["segmentation"][0, 0, 0] == (-1 if fill == "zero" else 7)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_each_axis_is_mirrored_with_the_given_probability(share: float) -> None:
    data = sample((6, 8, 10))
    counts = {(): 0, (0,): 0, (2,): 0, (0, 2): 0}
    for _ in range(400):
        found = apply({"flip": {"p": share}}, data, (6, 8, 10), axes=(0, 2))
        for axes in counts:
            mirrored = data["image"].flip([a + 1 for a in axes]) if axes else data["image"]
            if torch.equal(found["image"], mirrored):
                counts[axes] += 1
                seg = data["segmentation"]
                expected = seg.flip([a + 1 for a in axes]) if axes else seg
                assert torch.equal(found["segmentation"], expected)
    assert sum(counts.values()) == 400  # axis 1 never
    assert (counts[0,] + counts[0, 2]) / 400 == pytest.approx(share, abs=0.08)
    assert counts[0, 2] / 400 == pytest.approx(share**2, abs=0.06)


def test_without_axes_nothing_is_mirrored() -> None:
    assert transforms({"flip": {"p": 0.5}}, (4, 4), ()) == []


@pytest.mark.parametrize("p", [1.0, 0.25])
def test_noise_has_the_given_standard_deviation_and_probability(p: float) -> None:
    data = {"image": torch.zeros(1, 40, 40), "segmentation": torch.zeros(1, 40, 40).short()}
    spec = {"noise": {"p": p, "std": [0.02, 0.05]}}
    spreads = [float(apply(spec, data, (40, 40))["image"].std()) for _ in range(200)]
    noisy = [s for s in spreads if s > 0]
    assert len(noisy) / 200 == pytest.approx(p, abs=0.1)
    assert min(noisy) > 0.018
    assert max(noisy) < 0.053
    assert max(noisy) - min(noisy) > 0.02


def test_gamma_is_an_exponent_on_values_scaled_to_the_unit_interval() -> None:
    ramp = torch.linspace(-3, 5, 64).reshape(1, 8, 8)
    data = {"image": ramp, "segmentation": torch.ones(1, 8, 8).short()}
    found = apply({"gamma": {"p": 1, "range": [2, 2]}}, data, (8, 8))
    expected = ((ramp + 3) / 8) ** 2 * 8 - 3
    torch.testing.assert_close(found["image"], expected)
    assert torch.equal(found["segmentation"], data["segmentation"])


def test_workers_can_pickle_the_transforms() -> None:
    spec = {
        "affine": {"p": 0.5, "degrees": 10, "scale": [0.9, 1.1], "shift": 0.1},
        "gamma": {"p": 0.5, "range": [0.7, 1.4]},
        "noise": {"p": 0.5, "std": [0, 0.1]},
        "flip": {"p": 0.5},
    }
    made = pickle.loads(pickle.dumps(transforms(spec, (8, 8), (0, 1))))
    assert len(made) == 6


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "expected an object of transforms"),
        ({"blur": {}}, "unknown transform 'blur'; known: affine, gamma, noise, flip"),
        ({"flip": 0.5}, "flip is 0.5; expected an object of p"),
        ({"flip": {}}, "flip requires p: a probability per axis, above 0, at most 0.5"),
        ({"flip": {"p": 0.6}}, "flip.p is 0.6; allowed: a probability per axis"),
        ({"flip": {"p": 0.5, "axes": [0]}}, "flip has no option 'axes'; it has p"),
        ({"affine": {"p": 0}}, "affine.p is 0; allowed: a probability above 0, at most 1"),
        ({"affine": {"p": True}}, "affine.p is True; allowed: a probability"),
        ({"affine": {"degrees": 3}}, "affine requires p: a probability"),
        ({"affine": {"p": 1, "degrees": -1}}, "affine.degrees is -1; allowed: a number from 0 to 180"),
        ({"affine": {"p": 1, "scale": [1.1, 0.9]}}, "affine.scale is [1.1, 0.9]; allowed: [low, high]"),
        ({"affine": {"p": 1, "scale": 0.1}}, "affine.scale is 0.1; allowed: [low, high], factors"),
        ({"affine": {"p": 1, "scale": [0, 1]}}, "affine.scale is [0, 1]; allowed: [low, high], factors"),
        ({"affine": {"p": 1, "shift": 0.6}}, "affine.shift is 0.6; allowed: a share of the patch"),
        ({"affine": {"p": 1, "about": [3]}}, "affine.about is [3]; allowed: a list of axes of the patch"),
        ({"affine": {"p": 1, "fill": "mirror"}}, "affine.fill is 'mirror'; allowed: zero or nearest"),
        ({"gamma": {"p": 1}}, "gamma requires range: [low, high], exponents above 0"),
        ({"gamma": {"p": 1, "range": [math.nan, 1]}}, "gamma.range is [nan, 1]; allowed: [low, high]"),
        ({"noise": {"p": 1, "std": 0.1}}, "noise.std is 0.1; allowed: [low, high], standard deviations"),
        ({"noise": {"p": 1, "std": [-1, 1]}}, "noise.std is [-1, 1]; allowed: [low, high], standard"),
    ],
)  # fmt: skip
def test_an_error_names_transform_option_value_and_what_is_allowed(value: Any, words: str) -> None:
    assert problem(value).startswith(words)
    with pytest.raises(
        UserError, match=re.escape(f"training.augmentation is {value!r}; allowed: ")
    ):
        read_procedure({"training": {"augmentation": value}})


def test_an_allowed_object_survives_json() -> None:
    entry = {"augmentation": {"affine": {"p": 0.1, "along": [1, 2], "scale": [0.9, 1.1]}}}
    assert read_procedure({"training": json.loads(json.dumps(entry))}) == entry


def test_axes_that_a_patch_does_not_have_are_errors_and_can_be_left_out() -> None:
    spec = {"affine": {"p": 1, "degrees": 3, "about": [1, 2], "along": [1, 2]}, "flip": {"p": 0.5}}
    check_rank(spec, 3)
    with pytest.raises(UserError, match=r"affine\.about is for patches of 3 axes; leave it out"):
        check_rank(spec, 2)
    along = {"affine": {"p": 1, "along": [1, 2]}}
    with pytest.raises(UserError, match=r"affine\.along is \[1, 2\]; a patch of 2 axes has axes 0"):
        check_rank(along, 2)
    general = for_any_rank({"epochs": 3, "augmentation": spec})
    assert general == {
        "epochs": 3,
        "augmentation": {"affine": {"p": 1, "degrees": 3}, "flip": {"p": 0.5}},
    }
    check_rank(general["augmentation"], 2)
    assert for_any_rank({"augmentation": "none"}) == {"augmentation": "none"}
