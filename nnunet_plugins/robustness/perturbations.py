"""The ways in which an image is made worse, as data: name, unit, what may be asked for, how it is done.

Noise is paper 004's test. Every way is deterministic: the same seed, case and way give the same
random numbers at every strength, so that a curve shows the strength and not the draw.
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
    """What stays the same along a curve.

    Attributes:
        seed: of the random numbers.
        window: values that are grey 0 and 255; None takes each volume's lowest and highest.
        axis: x, y or z of LPS, about which is rotated.
    """

    seed: int = 0
    window: tuple[float, float] | None = None
    axis: str = "z"

    def random(self, name: str, case: str) -> np.random.Generator:
        """Random numbers for one way and case, whatever the order in which they are asked for."""
        text = f"{self.seed}/{name}/{case}".encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))


@dataclass(frozen=True)
class Changed:
    """Images made worse, and how their prediction is put back: a transform of points."""

    images: Images
    back: sitk.Transform | None = None

    def on_grid(self, prediction: sitk.Image, reference: sitk.Image) -> sitk.Image:
        """Return a prediction on the reference's grid, by nearest neighbour; what lies outside is 0."""
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
    """One way.

    Attributes:
        unit: of the strength, for axes and tables.
        low: smallest strength that can be asked for; at `rest` nothing changes.
        high: largest.
        rest: strength of the image as it is.
        about: what exactly is done, for the JSON and the help.
        change: does it.
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
    """Paper 004: grey on 0 to 255, plus k * Z with Z standard normal, rounded, clipped, and back."""
    changed = []
    for image in images:
        values = sitk.GetArrayViewFromImage(image).astype(np.float64)
        low, high = _window(values, setting)
        grey = (values - low) * (255 / (high - low))
        grey = np.clip(np.rint(grey + strength * random.standard_normal(grey.shape)), 0, 255)
        changed.append(like((low + grey * ((high - low) / 255)).astype(np.float32), image))
    return Changed(changed)


def blur(images: Images, strength: float, setting: Setting, random: np.random.Generator) -> Changed:
    """Gaussian of this standard deviation in mm, along every axis."""
    return Changed([_gaussian(image, [strength] * 3) for image in images])


def bias(images: Images, strength: float, setting: Setting, random: np.random.Generator) -> Changed:
    """A smooth gain field, exp of a polynomial of degree 3, on the values above the lowest."""
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
    """Voxels this many times as long along every axis, blurred first as a scanner's would be."""
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
        "grey scaled linearly to 0-255 (the volume's lowest and highest value, or --window), plus k * Z with Z "
        "standard normal for every voxel, rounded, clipped to 0-255, and scaled back (paper 004); the same Z at "
        "every k",
        noise,
    ),
    "blur": Perturbation("mm", 0.01, 50, 0, "Gaussian of this standard deviation (SimpleITK)", blur),
    "bias": Perturbation(
        "c", 0.001, 10, 0,
        "values above the lowest times exp(p), p a polynomial of degree 3 with coefficients drawn from -c to c "
        "(MONAI's RandBiasField); the same draw at every c",
        bias,
    ),
    "spacing": Perturbation(
        "times", 1, 20, 1,
        "voxels this many times as long along every axis (Gaussian, then linear); the prediction is made on that "
        "grid and put on the reference's by nearest neighbour",
        spacing,
    ),
    "rotation": Perturbation(
        "degrees", -180, 180, 0,
        "turned about an axis of the body through the volume's middle (linear; what comes from outside is the lowest "
        "value); the prediction is turned back onto the reference's grid by nearest neighbour; what left the volume "
        "is lost",
        rotation,
    ),
}  # fmt: skip


def check_strengths(wanted: Mapping[str, Sequence[float]]) -> None:
    """Stop at strengths that cannot be meant.

    Raises:
        UserError: naming the option and its range.
    """
    for name, strengths in wanted.items():
        way = PERTURBATIONS[name]
        wrong = [s for s in strengths if not way.low <= s <= way.high]
        if wrong:
            raise UserError(
                f"--{name} {wrong[0]:g}: {way.low:g} to {way.high:g} ({way.unit}) are allowed"
            )
        if len(set(strengths)) < len(strengths):
            raise UserError(
                f"--{name}: {' '.join(f'{s:g}' for s in strengths)} has a strength twice"
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
