"""Scores of one binary mask against another: overlap, surface distances (mm), volumes (mm^3)."""

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
State = Literal["both present", "both empty", "false alarm", "missed"]

EMPTY_RULE = (
    "Both masks empty: every metric is null, the case does not count for that label. "
    "Reference empty, prediction not (a false alarm): Dice, IoU and precision are 0, recall and "
    "distances are null. Prediction empty, reference not (missed): Dice, IoU and recall are 0, "
    "precision and distances are null. A null is left out of means; how many cases of each kind "
    "there were stands beside them, as a distance that could not be measured is never a good one."
)


@dataclass(frozen=True)
class Metric:
    """What a number means: its heading, unit, which way is better, and the definition."""

    title: str
    unit: str
    better: Literal["higher", "lower"]
    definition: str


METRICS: dict[str, Metric] = {
    "dice": Metric("Dice", "1", "higher", "2 TP / (2 TP + FP + FN), over voxels"),
    "iou": Metric("IoU", "1", "higher", "TP / (TP + FP + FN), over voxels"),
    "precision": Metric("precision", "1", "higher", "TP / (TP + FP), over voxels"),
    "recall": Metric("recall", "1", "higher", "TP / (TP + FN), over voxels"),
    "hd95_mm": Metric(
        "HD95 mm",
        "mm",
        "lower",
        "the larger of the two directed 95th percentiles of the distance from each surface voxel "
        "of one mask to the nearest surface voxel of the other (MONAI compute_hausdorff_distance, "
        "percentile 95); a surface voxel has a face on the background or on the image's border",
    ),
    "assd_mm": Metric(
        "ASSD mm",
        "mm",
        "lower",
        "mean of the same distances, both directions pooled, each surface voxel counting once "
        "(MONAI compute_average_surface_distance, symmetric)",
    ),
}


@dataclass(frozen=True)
class MaskScores:
    """One label in one case. None where `EMPTY_RULE` says that there is nothing to measure."""

    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    hd95_mm: float | None
    assd_mm: float | None
    prediction_voxels: int
    reference_voxels: int
    prediction_mm3: float
    reference_mm3: float

    @property
    def state(self) -> State:
        """Which of the four cases of `EMPTY_RULE` this is."""
        if self.reference_voxels:
            return "both present" if self.prediction_voxels else "missed"
        return "false alarm" if self.prediction_voxels else "both empty"


def compare(prediction: Mask, reference: Mask, spacing: tuple[float, ...]) -> MaskScores:
    """Score a mask against its reference.

    Both empty: every metric is None. Reference empty, prediction not: Dice, IoU, precision 0;
    recall and distances None. Prediction empty, reference not: Dice, IoU, recall 0; precision and
    distances None.

    Args:
        prediction: (*S), S of rank 2 or 3.
        reference: (*S).
        spacing: mm, one number an axis of the arrays, in the arrays' order.

    Raises:
        ValueError: shapes or the rank of the spacing differ.
    """
    if prediction.shape != reference.shape or len(spacing) != reference.ndim:
        raise ValueError(
            f"compare: prediction {prediction.shape}, reference {reference.shape} and spacing "
            f"{spacing} must have the same shape and rank"
        )
    both = prediction | reference
    if both.any():
        # Safe: MONAI's surfaces and distances see nothing but the masks, and what lies outside an
        # image counts as background there, as the rest of the image does.
        box = bounding_box(both, margin=1)
        prediction, reference = prediction[box], reference[box]

    hits = int(np.count_nonzero(prediction & reference))
    predicted, true = int(np.count_nonzero(prediction)), int(np.count_nonzero(reference))
    hd95, assd = _distances(prediction, reference, spacing) if predicted and true else (None, None)
    voxel = math.prod(spacing)
    return MaskScores(
        **_overlap(hits, predicted - hits, true - hits),
        hd95_mm=hd95,
        assd_mm=assd,
        prediction_voxels=predicted,
        reference_voxels=true,
        prediction_mm3=predicted * voxel,
        reference_mm3=true * voxel,
    )


def bounding_box(mask: Mask, *, margin: int = 0) -> tuple[slice, ...]:
    """Slices of the smallest box round a mask, `margin` voxels wider where the image goes on.

    An empty mask gives an empty box.
    """
    box = []
    for axis, size in enumerate(mask.shape):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        used = np.flatnonzero(mask.any(axis=others))
        if not used.size:
            return (slice(0, 0),) * mask.ndim
        box.append(slice(max(int(used[0]) - margin, 0), min(int(used[-1]) + 1 + margin, size)))
    return tuple(box)


def _overlap(tp: int, fp: int, fn: int) -> dict[str, float | None]:
    # Late: `import monai` takes seconds, and most of this package does without.
    import torch
    from monai.metrics import compute_confusion_matrix_metric

    # Counted by numpy in whole numbers: MONAI's own counting is float32, inexact above 2^24 voxels.
    # True negatives enter none of these four.
    counts = torch.tensor([tp, fp, 0, fn], dtype=torch.float64)
    names = {
        "dice": "f1 score",
        "iou": "threat score",
        "precision": "precision",
        "recall": "recall",
    }
    scores = {ours: compute_confusion_matrix_metric(its, counts) for ours, its in names.items()}
    return {name: None if score.isnan() else score.item() for name, score in scores.items()}


def _distances(a: Mask, b: Mask, spacing: tuple[float, ...]) -> tuple[float, float]:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    x, y = (torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (a, b))
    with warnings.catch_warnings():
        # MONAI 1.6 warns of an argument that it passes itself.
        warnings.simplefilter("ignore", FutureWarning)
        hd95 = compute_hausdorff_distance(
            x, y, include_background=True, percentile=95, spacing=list(spacing)
        )
        assd = compute_average_surface_distance(
            x, y, include_background=True, symmetric=True, spacing=list(spacing)
        )
    return hd95.item(), assd.item()
