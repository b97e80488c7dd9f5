"""The known content of a phantom's image, in world coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Truth:
    """One image of a phantom patient.

    Attributes:
        name: of the image in the dataset, such as `1_t2`.
        patient: id of the patient.
        image: the file, or the folder of a DICOM series.
        mask: the label map; None without one.
        labels: points (..., 3) in LPS mm -> label values (...), as the dataset numbers them,
            from formulas of the anatomy, independent of voxels.
    """

    name: str
    patient: str
    image: Path
    mask: Path | None
    labels: Callable[[np.ndarray], np.ndarray]


def seen(labels: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray,
         points: np.ndarray) -> np.ndarray:  # fmt: skip
    """Return the labels at points inside a box (corners in LPS mm), 0 at the others."""
    inside = ((points >= low) & (points <= high)).all(axis=-1)
    found: np.ndarray = np.where(inside, labels(points), 0)
    return found
