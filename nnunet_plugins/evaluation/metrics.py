"""The scores of one mask."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from nnunet_plugins.evaluation.definitions import METRICS, TOLERANCE
from nnunet_plugins.evaluation.more import Masks, empty_more, measure_more
from nnunet_plugins.evaluation.overlap import Counts, overlap
from nnunet_plugins.evaluation.surfaces import (
    Mask,
    measured_axes,
    surface_distances,
)

State = Literal["both present", "both empty", "false alarm", "missed"]


@dataclass(frozen=True)
class MaskScores:
    """Scores of one label in one case; None according to `definitions.EMPTY_RULE`."""

    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    accuracy: float | None
    specificity: float | None
    volume_error_ml: float | None
    volume_error: float | None
    hd_mm: float | None
    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None
    prediction_voxels: int
    reference_voxels: int
    common_voxels: int
    voxels: int
    prediction_mm3: float
    reference_mm3: float
    hd_px: float | None = None
    hd95_px: float | None = None
    assd_px: float | None = None
    masd_mm: float | None = None
    hd_area_mm: float | None = None
    hd95_area_mm: float | None = None
    assd_area_mm: float | None = None
    nsd_area: float | None = None
    boundary_iou: float | None = None
    cldice: float | None = None

    @property
    def state(self) -> State:
        """Which masks are empty."""
        if self.reference_voxels:
            return "both present" if self.prediction_voxels else "missed"
        return "false alarm" if self.prediction_voxels else "both empty"

    @property
    def counts(self) -> Counts:
        """The voxel counts behind the overlap scores."""
        fp = self.prediction_voxels - self.common_voxels
        fn = self.reference_voxels - self.common_voxels
        return Counts(self.common_voxels, fp, fn, self.voxels - self.common_voxels - fp - fn)

    def to_dict(self, metrics: Collection[str]) -> dict[str, Any]:
        """State, the measured metrics, and the counts, in JSON's types."""
        numbers = {
            name: value
            for name, value in asdict(self).items()
            if name in metrics or name not in METRICS
        }
        return {"state": self.state, **numbers}


def compare(
    prediction: Mask,
    reference: Mask,
    spacing: tuple[float, ...],
    *,
    counts: Counts | None = None,
    axes: Sequence[int] | None = None,
    tolerance: float = TOLERANCE,
    pixels: bool = False,
    more: Sequence[str] = (),
) -> MaskScores:
    """Score a mask against its reference; see `definitions.EMPTY_RULE` for empty masks.

    Args:
        prediction: (*S), S of rank 2 or 3.
        reference: (*S).
        spacing: mm, one number per axis, in the order of the arrays' axes.
        counts: of the complete image, if the masks are cut out of one.
        axes: in which distances are measured, `surfaces.measured_axes` of the complete image; None: of the masks.
        tolerance: of NSD, mm.
        pixels: measure distances in voxels as well.
        more: names of `more.MORE` that are measured too.

    Raises:
        ValueError: shapes or the rank of the spacing differ.

    >>> reference, prediction = np.zeros((2, 4, 6, 6), dtype=bool)
    >>> reference[1:3, 1:4, 1:4] = prediction[1:3, 1:4, 2:5] = True  # moved by one voxel
    >>> scores = compare(prediction, reference, spacing=(3.0, 0.5, 0.5))
    >>> round(scores.dice, 3), scores.hd95_mm, scores.nsd
    (0.667, 0.5, 1.0)
    """
    if prediction.shape != reference.shape or len(spacing) != reference.ndim:
        raise ValueError(
            f"compare: prediction {prediction.shape}, reference {reference.shape} and spacing "
            f"{spacing} must have the same shape and rank"
        )
    if counts is None:
        counts = _count(prediction, reference)
    voxel = math.prod(spacing)
    both, either = counts.predicted and counts.true, counts.predicted or counts.true
    scores: dict[str, Any] = dict.fromkeys(("hd_mm", "hd95_mm", "assd_mm", "volume_error_ml"))
    scores["nsd"] = 0.0 if either else None
    if either and len(spacing) == 3:
        scores["volume_error_ml"] = (counts.predicted - counts.true) * voxel / 1000
    if either and not both:
        scores |= empty_more(more)
    if both:
        axes = measured_axes(prediction.shape) if axes is None else axes
        a, b, steps = _in_axes(prediction, reference, spacing, axes)
        measured = surface_distances(a, b, steps)
        scores |= {"hd_mm": measured.hd, "hd95_mm": measured.hd95, "assd_mm": measured.assd}
        scores["nsd"] = measured.nsd(tolerance)
        if more:
            scores |= measure_more(more, Masks(a, b, steps, tolerance, measured))
        if pixels:
            measured = surface_distances(a, b, (1.0,) * len(steps))
            scores |= {"hd_px": measured.hd, "hd95_px": measured.hd95, "assd_px": measured.assd}
    return MaskScores(
        **overlap(counts),
        **scores,
        prediction_voxels=counts.predicted,
        reference_voxels=counts.true,
        common_voxels=counts.tp,
        voxels=counts.all,
        prediction_mm3=counts.predicted * voxel,
        reference_mm3=counts.true * voxel,
    )


def _in_axes(
    prediction: Mask, reference: Mask, spacing: Sequence[float], axes: Sequence[int]
) -> tuple[Mask, Mask, tuple[float, ...]]:
    flat = tuple(axis for axis in range(prediction.ndim) if axis not in axes)
    steps = tuple(spacing[axis] for axis in axes)
    return np.squeeze(prediction, flat), np.squeeze(reference, flat), steps


def _count(prediction: Mask, reference: Mask) -> Counts:
    tp = int(np.count_nonzero(prediction & reference))
    fp, fn = (int(np.count_nonzero(mask)) - tp for mask in (prediction, reference))
    return Counts(tp, fp, fn, prediction.size - tp - fp - fn)
