"""Perturbations of an image, as data: name, unit, allowed strengths, and the function.

Noise follows cai2023-aspp-unet. Every perturbation is deterministic: seed, case and name determine the random
numbers, whatever the strength, so that a curve shows the strength and not the draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import like
from nnunet_plugins.errors import UserError

Images = list[sitk.Image]
_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Setting:
    """Settings that are constant along a curve.

    Attributes:
        seed: seed of the random numbers.
        window: values that become grey 0 and 255; each volume's minimum and maximum by default.
        axis: axis of rotation: x, y or z of LPS.
    """

    seed: int = 0
    window: tuple[float, float] | None = None
    axis: str = "z"

    def random(self, name: str, case: str) -> np.random.Generator:
        """A generator for one perturbation and case; it does not depend on the order of calls."""
        text = f"{self.seed}/{name}/{case}".encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))


@dataclass(frozen=True)
class Changed:
    """Perturbed images, and the transform of points that maps their prediction back."""

    images: Images
    back: sitk.Transform | None = None

    def on_grid(self, prediction: sitk.Image, reference: sitk.Image) -> sitk.Image:
        """Resample a prediction to the reference's grid by nearest neighbour; voxels outside are 0."""
        same = prediction.GetSize() == reference.GetSize() and all(
            np.allclose(
                getattr(prediction, f"Get{what}")(), getattr(reference, f"Get{what}")(), atol=1e-4
            )
            for what in ("Spacing", "Origin", "Direction")
        )
        if same and self.back is None:
            return prediction
        back = self.back or sitk.Transform()
        return sitk.Resample(prediction, reference, back, sitk.sitkNearestNeighbor, 0)


Change = Callable[[Images, float, Setting, np.random.Generator], Changed]


@dataclass(frozen=True)
class Perturbation:
    """One kind of perturbation.

    Attributes:
        unit: unit of the strength, for axes and tables.
        low: smallest allowed strength.
        high: largest allowed strength.
        rest: strength at which the image does not change.
        about: exact description, for the JSON.
        change: the function.
    """

    unit: str
    low: float
    high: float
    rest: float
    about: str
    change: Change


def noise(
    images: Images, strength: float, setting: Setting, random: np.random.Generator
) -> Changed:
    """Grey values on 0 to 255, plus k * Z with Z standard normal, rounded and clipped (cai2023-aspp-unet)."""
    changed = []
    for image in images:
        values = sitk.GetArrayViewFromImage(image).astype(np.float64)
        low, high = _window(values, setting)
        grey = (values - low) * (255 / (high - low))
        grey = np.clip(np.rint(grey + strength * random.standard_normal(grey.shape)), 0, 255)
        changed.append(like((low + grey * ((high - low) / 255)).astype(np.float32), image))
    return Changed(changed)


def blur(images: Images, strength: float, setting: Setting, random: np.random.Generator) -> Changed:
    """Gaussian blur with this standard deviation in mm along every axis."""
    return Changed([_gaussian(image, [strength] * 3) for image in images])


def bias(images: Images, strength: float, setting: Setting, random: np.random.Generator) -> Changed:
    """A smooth gain field, exp of a polynomial of degree 3, on the values above the minimum."""
    from monai.transforms import RandBiasField

    changed = []
    seed = int(random.integers(2**31))
    for image in images:  # one coil: the same field for every channel
        values = sitk.GetArrayViewFromImage(image).astype(np.float32)
        low, _ = _window(values, setting)
        transform = RandBiasField(degree=3, coeff_range=(-strength, strength), prob=1.0)
        transform.set_random_state(seed)
        worse = np.asarray(transform((values - low)[None]))[0] + low
        changed.append(like(worse.astype(np.float32), image))
    return Changed(changed)


def spacing(
    images: Images, strength: float, setting: Setting, random: np.random.Generator
) -> Changed:
    """Voxels this many times as long along every axis, after a blur that matches their size."""
    changed = []
    for image in images:
        old = np.array(image.GetSpacing())
        size = np.array(image.GetSize())
        count = np.maximum(1, np.round(size / strength)).astype(int)
        new = old * size / count  # the same field of view
        soft = _gaussian(image, np.sqrt(np.maximum(new**2 - old**2, 0)) / 2.355)
        direction = np.reshape(image.GetDirection(), (3, 3))
        origin = np.array(image.GetOrigin()) + direction @ ((new - old) / 2)
        changed.append(
            sitk.Resample(
                soft, [int(n) for n in count], sitk.Transform(), sitk.sitkLinear, origin.tolist(), new.tolist(),
                image.GetDirection(), _lowest(image), sitk.sitkFloat32, True,
            )
        )  # fmt: skip
    return Changed(changed)


def rotation(
    images: Images, strength: float, setting: Setting, random: np.random.Generator
) -> Changed:
    """Turned by this angle about an axis of the body through the volume's middle, linear; the rest is its lowest."""
    first = images[0]
    middle = first.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in first.GetSize()])
    turn = sitk.VersorTransform(_AXES[setting.axis], float(np.radians(strength)), middle)
    turned = [
        sitk.Resample(image, image, turn, sitk.sitkLinear, _lowest(image), sitk.sitkFloat32)
        for image in images
    ]
    return Changed(turned, turn.GetInverse())


PERTURBATIONS = {
    "noise": Perturbation(
        "k", 0, 1000, 0,
        "grey values scaled linearly to 0-255 (from the volume's minimum and maximum, or --window), plus k * Z with "
        "Z standard normal for every voxel, rounded, clipped to 0-255, and scaled back (cai2023-aspp-unet); the same "
        "Z at every k",
        noise,
    ),
    "blur": Perturbation("mm", 0.01, 50, 0, "Gaussian with this standard deviation (SimpleITK)", blur),
    "bias": Perturbation(
        "c", 0.001, 10, 0,
        "values above the minimum times exp(p), p a polynomial of degree 3 with coefficients drawn from -c to c "
        "(MONAI's RandBiasField); the same draw at every c",
        bias,
    ),
    "spacing": Perturbation(
        "times", 1, 20, 1,
        "voxels this many times as long along every axis (Gaussian, then linear); the prediction is made on that "
        "grid and resampled to the reference's by nearest neighbour",
        spacing,
    ),
    "rotation": Perturbation(
        "degrees", -180, 180, 0,
        "rotated about an axis of the body through the volume's centre (linear; the minimum outside the volume); "
        "the prediction is rotated back to the reference's grid by nearest neighbour; voxels outside the volume "
        "are lost",
        rotation,
    ),
}  # fmt: skip


def check_strengths(asked: Mapping[str, Sequence[float]]) -> None:
    """Check that strengths are in range and unique.

    Raises:
        UserError: the message names the option and its range.

    >>> check_strengths({"blur": [-1.0]})
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: --blur -1: 0.01 to 50 (mm) are allowed
    """
    for name, strengths in asked.items():
        way = PERTURBATIONS[name]
        wrong = [s for s in strengths if not way.low <= s <= way.high]
        if wrong:
            raise UserError(
                f"--{name} {wrong[0]:g}: {way.low:g} to {way.high:g} ({way.unit}) are allowed"
            )
        if len(set(strengths)) < len(strengths):
            raise UserError(
                f"--{name}: {' '.join(f'{s:g}' for s in strengths)} contains a strength twice"
            )


def _window(values: np.ndarray, setting: Setting) -> tuple[float, float]:
    low, high = setting.window or (float(values.min()), float(values.max()))
    return (low, high) if high > low else (low, low + 1.0)


def _lowest(image: sitk.Image) -> float:
    return float(sitk.GetArrayViewFromImage(image).min())


def _gaussian(image: sitk.Image, sigma: Sequence[float] | np.ndarray) -> sitk.Image:
    """Blur by a standard deviation in mm along x, y, z."""
    soft = sitk.DiscreteGaussianImageFilter()
    soft.SetVariance([float(s) ** 2 for s in sigma])
    soft.SetMaximumKernelWidth(512)
    soft.SetMaximumError(0.005)
    soft.SetUseImageSpacing(True)
    return soft.Execute(sitk.Cast(image, sitk.sitkFloat32))
