"""Texture of phantoms: smooth random fields, and the noise of a magnitude image."""

from __future__ import annotations

import numpy as np


def clouds(shape: tuple[int, int, int], rng: np.random.Generator,
           knots: tuple[int, int, int] = (8, 20, 20)) -> np.ndarray:  # fmt: skip
    """Return a smooth random field of sd 1 (float32).

    Args:
        shape: voxels along each axis.
        rng: source of randomness.
        knots: random values along each axis; more give finer structures.
    """
    coarse = rng.standard_normal(knots)
    for axis, count in enumerate(shape):
        at = np.linspace(0, coarse.shape[axis] - 1.001, count)
        low = at.astype(int)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        share = share * share * (3 - 2 * share)
        coarse = coarse.take(low, axis) * (1 - share) + coarse.take(low + 1, axis) * share
    result: np.ndarray = (coarse / coarse.std()).astype(np.float32)
    return result


def rician(signal: np.ndarray, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Return the magnitude of a signal with normal noise in its real and imaginary parts."""
    real = signal + sd * rng.standard_normal(signal.shape, dtype=np.float32)
    magnitude: np.ndarray = np.hypot(real, sd * rng.standard_normal(signal.shape, dtype=np.float32))
    return magnitude


def softened(volume: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Blur by one voxel along some axes, like a scanner's point spread; edges are replicated."""
    for axis in axes:
        padded = np.concatenate(
            [volume.take([0], axis), volume, volume.take([-1], axis)], axis=axis
        )
        last = volume.shape[axis]
        before, after = padded.take(range(last), axis), padded.take(range(2, last + 2), axis)
        volume = (0.25 * before + 0.5 * volume + 0.25 * after).astype(np.float32)
    return volume
