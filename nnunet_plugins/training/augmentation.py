"""Augmentation as data: ``training.augmentation`` as an object of transforms, made from batchgeneratorsv2.

Example: ``{"flip": {"p": 0.5}, "affine": {"p": 0.15, "degrees": 10, "scale": [0.9, 1.1]}}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.checks import Check, axes, limits, number, one_of

if TYPE_CHECKING:
    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform

_SHARE = (number(0, 1, above=True), "a probability above 0, at most 1")
_AXES = (axes, "a list of axes of the patch, 0 to 2, each once")
#: Transform -> option -> (test, allowed values).
#: flip: p for each axis that may be mirrored. gamma: the exponent is drawn from ``range``, on values scaled to 0..1.
#: noise: Gaussian, its standard deviation is drawn from ``std``, in units of the normalised image.
#: affine: angles from -degrees to degrees about the axes ``about``; factors from ``scale`` (above 1 objects become
#: smaller) and shifts up to ``shift``, as a share of the patch, along the axes ``along``; each drawn per axis.
#: Without ``about`` and ``along`` all axes. ``fill``: what is outside the image.
TRANSFORMS: dict[str, dict[str, tuple[Check, str]]] = {
    "affine": {
        "p": _SHARE,
        "degrees": (number(0, 180), "a number from 0 to 180"),
        "about": _AXES,
        "scale": (limits(0, above=True), "[low, high], factors above 0"),
        "shift": (number(0, 0.5), "a share of the patch from 0 to 0.5"),
        "along": _AXES,
        "fill": (one_of("zero", "nearest"), "zero or nearest"),
    },
    "gamma": {"p": _SHARE, "range": (limits(0, above=True), "[low, high], exponents above 0")},
    "noise": {"p": _SHARE, "std": (limits(0), "[low, high], standard deviations of 0 or more")},
    "flip": {"p": (number(0, 0.5, above=True), "a probability per axis, above 0, at most 0.5")},
}
_REQUIRED = {"affine": ("p",), "gamma": ("p", "range"), "noise": ("p", "std"), "flip": ("p",)}


def problem(value: Any) -> str:
    """What is wrong with an object of transforms; '' if nothing is.

    >>> problem({"flip": {"p": 0.7}})
    'flip.p is 0.7; allowed: a probability per axis, above 0, at most 0.5'
    >>> problem({"blur": {"p": 0.5}})
    "unknown transform 'blur'; known: affine, gamma, noise, flip"
    """
    if not isinstance(value, dict) or not value:
        return "expected an object of transforms"
    for name, options in value.items():
        if name not in TRANSFORMS:
            return f"unknown transform {name!r}; known: {', '.join(TRANSFORMS)}"
        if not isinstance(options, dict):
            return f"{name} is {options!r}; expected an object of {', '.join(TRANSFORMS[name])}"
        unknown = [key for key in options if key not in TRANSFORMS[name]]
        if unknown:
            return f"{name} has no option {unknown[0]!r}; it has {', '.join(TRANSFORMS[name])}"
        for key, given in options.items():
            allowed, description = TRANSFORMS[name][key]
            if not allowed(given):
                return f"{name}.{key} is {given!r}; allowed: {description}"
        missing = [key for key in _REQUIRED[name] if key not in options]
        if missing:
            return f"{name} requires {missing[0]}: {TRANSFORMS[name][missing[0]][1]}"
    return ""


def for_any_rank(training: Mapping[str, Any]) -> dict[str, Any]:
    """A ``training`` entry written for 3D patches, or for 2D ones, without the axes that it names."""
    found = training.get("augmentation")
    if not isinstance(found, Mapping):
        return dict(training)
    general = {
        name: {k: v for k, v in options.items() if k not in ("about", "along")}
        for name, options in found.items()
    }
    return {**training, "augmentation": general}


def check_rank(spec: Mapping[str, Any], rank: int) -> None:
    """Raise UserError if ``spec`` names axes that a patch of ``rank`` axes does not have."""
    affine = spec.get("affine", {})
    if rank == 2 and "about" in affine:
        raise UserError(
            "plans: training.augmentation.affine.about is for patches of 3 axes; leave it out for 2 axes"
        )
    if any(axis >= rank for axis in affine.get("along", ())):
        raise UserError(
            f"plans: training.augmentation.affine.along is {list(affine['along'])}; a patch of {rank} axes has "
            f"axes 0 to {rank - 1}"
        )


def initial_patch(spec: Mapping[str, Any], patch: Sequence[int]) -> list[int]:
    """Size that is read for a patch, so that a rotated, smaller or shifted one has no empty corners.

    With ``fill: nearest`` it is the patch itself: what is read beyond the image is zero.

    >>> initial_patch({"affine": {"p": 1, "scale": [0.8, 1.25], "along": [1, 2]}}, (16, 64, 64))
    [16, 80, 80]
    """
    affine = spec.get("affine", {})
    if not affine or affine.get("fill") == "nearest":
        return list(patch)
    rank = len(patch)
    sizes = [float(n) for n in patch]
    angle = math.radians(affine.get("degrees", 0))
    turning = affine.get("about", range(3)) if rank == 3 else (2,)
    for axis in turning:  # a rotation about one axis mixes the other two
        others = [a for a in range(3) if a != axis]
        for b, c in (others, others[::-1]):
            most = min(angle, math.atan2(patch[c], patch[b]))  # where the extent along b is largest
            sizes[b] = max(sizes[b], patch[b] * math.cos(most) + patch[c] * math.sin(most))
    factor, shift = max(1.0, affine.get("scale", (1, 1))[1]), affine.get("shift", 0)
    for axis in affine.get("along", range(rank)):
        sizes[axis] = sizes[axis] * factor + 2 * shift * patch[axis]
    return [math.ceil(round(size, 6)) for size in sizes]


def mirrors(chosen: str | Mapping[str, Any]) -> bool:
    """Whether the value of ``training.augmentation`` mirrors images.

    >>> mirrors("nnunet"), mirrors("none"), mirrors({"flip": {"p": 0.5}}), mirrors({"gamma": {"p": 0.5}})
    (True, False, True, False)
    """
    return chosen == "nnunet" or "flip" in chosen


def transforms(
    spec: Mapping[str, Any], patch: Sequence[int], mirror_axes: Sequence[int]
) -> list[BasicTransform]:
    """The transforms of ``spec``, from images of the size of :func:`initial_patch` to ``patch``.

    Args:
        spec: value of ``training.augmentation``.
        patch: final size.
        mirror_axes: axes that ``flip`` may mirror.
    """
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    made: list[BasicTransform] = []
    if "affine" in spec:
        made += _affine(spec["affine"], tuple(patch))
    if "gamma" in spec:
        gamma = GammaTransform(
            tuple(spec["gamma"]["range"]),
            p_invert_image=0,
            synchronize_channels=False,
            p_per_channel=1,
            p_retain_stats=0,
        )
        made.append(RandomTransform(gamma, spec["gamma"]["p"]))
    if "noise" in spec:
        # The argument of that name is the standard deviation.
        noise = GaussianNoiseTransform(
            tuple(spec["noise"]["std"]), p_per_channel=1, synchronize_channels=True
        )
        made.append(RandomTransform(noise, spec["noise"]["p"]))
    if "flip" in spec:  # MirrorTransform mirrors an axis every second time
        share = 2 * spec["flip"]["p"]
        made += [RandomTransform(MirrorTransform((axis,)), share) for axis in mirror_axes]
    return made


def _affine(options: Mapping[str, Any], patch: tuple[int, ...]) -> list[BasicTransform]:
    """An affine transform of probability p, which crops, and the crop for the samples that it skips."""
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    rank = len(patch)
    along = tuple(options.get("along", range(rank)))
    angle = math.radians(options.get("degrees", 0))
    shift = options.get("shift", 0)
    low, high = options.get("scale", (1.0, 1.0))
    nearest = options.get("fill") == "nearest"
    outside: dict[str, Any] = {
        "padding_mode_image": "border" if nearest else "zeros",
        "border_mode_seg": "border" if nearest else "constant",
        "padding_value_seg": -1,  # as nnU-Net marks it
    }
    # The centre is drawn from the patch's own centre +- shift.
    sizes = initial_patch({"affine": options}, patch)
    margins = [
        size / 2 - (shift * n if axis in along else 0)
        for axis, (size, n) in enumerate(zip(sizes, patch, strict=True))
    ]
    affine = SpatialTransform(
        patch,
        margins,
        random_crop=shift > 0,
        p_rotation=1 if angle else 0,
        rotation=_PerAxis(-angle, angle, tuple(options.get("about", range(3))), 0.0),
        p_scaling=1 if "scale" in options else 0,
        scaling=_PerAxis(low, high, along, 1.0),
        p_synchronize_scaling_across_axes=0,
        bg_style_seg_sampling=False,
        **outside,
    )
    crop = SpatialTransform(patch, 0, random_crop=False, **outside)
    return [RandomTransform(affine, options["p"]), crop]


@dataclass(frozen=True)
class _PerAxis:
    """A number for each axis: from low to high on ``axes``, ``neutral`` on the others. Workers pickle it."""

    low: float
    high: float
    axes: tuple[int, ...]
    neutral: float

    def __call__(self, image: Any, dim: int | None) -> float:
        if dim is not None and dim not in self.axes:
            return self.neutral
        return float(np.random.uniform(self.low, self.high))
