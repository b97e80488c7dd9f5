"""The metrics with their definitions, the rule for empty masks, and the scores of one mask."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.overlap import Counts, overlap
from nnunet_plugins.evaluation.surfaces import (
    Mask,
    SurfaceDistances,
    measured_axes,
    surface_distances,
)

State = Literal["both present", "both empty", "false alarm", "missed"]

TOLERANCE = 2.0  # mm, default of NSD
EMPTY_RULE = (
    "Both masks empty: every metric is null, the case does not count for that label. "
    "Reference empty, prediction not (a false alarm): Dice, IoU, precision and NSD are 0, recall, relative volume "
    "error and distances are null. Prediction empty, reference not (missed): Dice, IoU, recall and NSD are 0, "
    "precision and distances are null. A null is left out of means; how many cases of each kind "
    "there were is reported next to them, because a missing distance is never a good one."
)


@dataclass(frozen=True)
class Metric:
    """Definition of a metric.

    Attributes:
        title: heading.
        unit: mm, px (voxel steps), ml or 1.
        better: which values are better; 'zero' for a signed error.
        definition: in words.
        digits: decimals in a table.
        spread: whether a table for the terminal shows the standard deviation.
    """

    title: str
    unit: str
    better: Literal["higher", "lower", "zero"]
    definition: str
    digits: int = 3
    spread: bool = False


_SURFACE = (
    "a surface voxel has a face on the background or on the image's border, and its distance is measured to the "
    "nearest surface voxel of the other mask; an axis along which the image has one voxel has no faces"
)
_DISTANCES = {
    "hd": ("HD", f"the largest of all distances, both directions; {_SURFACE}"),
    "hd95": (
        "HD95",
        f"the larger of the two directed 95th percentiles of the distances; {_SURFACE}",
    ),
    "assd": ("ASSD", f"mean of the distances, both directions pooled; {_SURFACE}"),
}

METRICS: dict[str, Metric] = {
    "dice": Metric("Dice", "1", "higher", "2 TP / (2 TP + FP + FN), over voxels", spread=True),
    "iou": Metric("IoU", "1", "higher", "TP / (TP + FP + FN), over voxels"),
    "precision": Metric("precision", "1", "higher", "TP / (TP + FP), over voxels"),
    "recall": Metric("recall", "1", "higher", "TP / (TP + FN), over voxels"),
    "accuracy": Metric("accuracy", "1", "higher", "(TP + TN) / all voxels", 4),
    "specificity": Metric("specificity", "1", "higher", "TN / (TN + FP), over voxels", 4),
    "volume_error_ml": Metric(
        "vol. error ml",
        "ml",
        "zero",
        "predicted minus true volume; null in two dimensions",
        2,
        True,
    ),
    "volume_error": Metric(
        "vol. error", "1", "zero", "(predicted minus true volume) / true volume", 3, True
    ),
    **{
        f"{key}_{unit}": Metric(
            f"{title} {unit}",
            unit,
            "lower",
            definition + ("; in voxels, with a spacing of 1" if unit == "px" else ""),
            2,
            True,
        )
        for unit in ("mm", "px")
        for key, (title, definition) in _DISTANCES.items()
    },
    "nsd": Metric(
        "NSD",
        "1",
        "higher",
        f"share of both masks' surface voxels whose distance is at most the tolerance; {_SURFACE}",
        spread=True,
    ),
}
PIXELS = tuple(name for name, metric in METRICS.items() if metric.unit == "px")


def metric_names(*, pixels: bool) -> tuple[str, ...]:
    """Names of the metrics that are measured, with or without distances in pixels."""
    return tuple(name for name in METRICS if pixels or name not in PIXELS)


def check_metrics(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the names.

    Raises:
        UserError: one of them is not known; the message lists those that are.
    """
    names, known = tuple(names), tuple(known)
    for name in names:
        if name not in known:
            hint = "; --pixels measures it" if name in PIXELS else ""
            raise UserError(f"--metrics {name}: not measured{hint}; known: {', '.join(known)}")
    return names


@dataclass(frozen=True)
class MaskScores:
    """Scores of one label in one case; None according to `EMPTY_RULE`."""

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
) -> MaskScores:
    """Score a mask against its reference; see `EMPTY_RULE` for empty masks.

    Args:
        prediction: (*S), S of rank 2 or 3.
        reference: (*S).
        spacing: mm, one number per axis, in the order of the arrays' axes.
        counts: of the complete image, if the masks are cut out of one.
        axes: in which distances are measured, `surfaces.measured_axes` of the complete image; None: of the masks.
        tolerance: of NSD, mm.
        pixels: measure distances in voxels as well.

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
    if both:
        axes = measured_axes(prediction.shape) if axes is None else axes
        measured = _distances(prediction, reference, spacing, axes)
        scores |= {"hd_mm": measured.hd, "hd95_mm": measured.hd95, "assd_mm": measured.assd}
        scores["nsd"] = measured.nsd(tolerance)
        if pixels:
            measured = _distances(prediction, reference, (1.0,) * len(spacing), axes)
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


def _distances(
    prediction: Mask, reference: Mask, spacing: Sequence[float], axes: Sequence[int]
) -> SurfaceDistances:
    flat = tuple(axis for axis in range(prediction.ndim) if axis not in axes)
    steps = [spacing[axis] for axis in axes]
    return surface_distances(np.squeeze(prediction, flat), np.squeeze(reference, flat), steps)


def _count(prediction: Mask, reference: Mask) -> Counts:
    tp = int(np.count_nonzero(prediction & reference))
    fp, fn = (int(np.count_nonzero(mask)) - tp for mask in (prediction, reference))
    return Counts(tp, fp, fn, prediction.size - tp - fp - fn)
