"""The metrics with their definitions, and the rule for empty masks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.more import MORE

TOLERANCE = 2.0  # mm, default of NSD
EMPTY_RULE = (
    "Both masks empty: every metric is null, the case does not count for that label. "
    "Reference empty, prediction not (a false alarm): Dice, IoU, precision and NSD are 0, recall, relative volume "
    "error and distances are null. Prediction empty, reference not (missed): Dice, IoU, recall and NSD are 0, "
    "precision and distances are null. Boundary IoU and clDice are treated as Dice. "
    "A null is left out of means; how many cases of each kind "
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
_AREA = (
    "surface elements between 2x2x2 voxels (2x2 in two dimensions), weighted by their area, as in DeepMind's "
    "surface-distance and MONAI's use_subvoxels"
)


def _distance(title: str, definition: str, unit: str = "mm") -> Metric:
    definition += "; in voxels, with a spacing of 1" if unit == "px" else ""
    return Metric(f"{title} {unit}", unit, "lower", definition, 2, True)


def _share(title: str, definition: str) -> Metric:
    return Metric(title, "1", "higher", definition, spread=True)


_DISTANCES = {
    "hd": ("HD", f"the largest of all distances, both directions; {_SURFACE}"),
    "hd95": ("HD95", f"the larger of the two directed 95th percentiles of the distances; {_SURFACE}"),
    "assd": ("ASSD", f"mean of the distances, both directions pooled; {_SURFACE}"),
}  # fmt: skip
METRICS: dict[str, Metric] = {
    "dice": _share("Dice", "2 TP / (2 TP + FP + FN), over voxels"),
    "iou": Metric("IoU", "1", "higher", "TP / (TP + FP + FN), over voxels"),
    "precision": Metric("precision", "1", "higher", "TP / (TP + FP), over voxels"),
    "recall": Metric("recall", "1", "higher", "TP / (TP + FN), over voxels"),
    "accuracy": Metric("accuracy", "1", "higher", "(TP + TN) / all voxels", 4),
    "specificity": Metric("specificity", "1", "higher", "TN / (TN + FP), over voxels", 4),
    "volume_error_ml": Metric(
        "vol. error ml", "ml", "zero", "predicted minus true volume; null in two dimensions", 2, True
    ),
    "volume_error": Metric("vol. error", "1", "zero", "(predicted minus true volume) / true volume", 3, True),
    **{f"{key}_{unit}": _distance(*one, unit) for unit in ("mm", "px") for key, one in _DISTANCES.items()},
    "nsd": _share(
        "NSD", f"share of both masks' surface voxels whose distance is at most the tolerance; {_SURFACE}"
    ),
    "masd_mm": _distance("MASD", f"mean of the two directed mean distances; {_SURFACE}"),
    "hd_area_mm": _distance("HD area", f"the largest distance; {_AREA}"),
    "hd95_area_mm": _distance(
        "HD95 area", f"the larger of the two directed distances within which 95 % of the area is; {_AREA}"
    ),
    "assd_area_mm": _distance(
        "ASSD area", f"mean of the distances of both directions, weighted by area; {_AREA}"
    ),
    "nsd_area": _share(
        "NSD area", f"share of the area of both surfaces whose distance is at most the tolerance; {_AREA}"
    ),
    "boundary_iou": _share("boundary IoU", "IoU of the surface voxels of both masks"),
    "cldice": _share(
        "clDice", "harmonic mean of the shares of each mask's skeleton that are in the other mask"
    ),
}  # fmt: skip
PIXELS = tuple(name for name, metric in METRICS.items() if metric.unit == "px")


def metric_names(*, pixels: bool, more: Collection[str] = ()) -> tuple[str, ...]:
    """Names of the metrics that are measured, with or without distances in pixels and some of `more.MORE`."""
    left_out = set(MORE).difference(more) | (set() if pixels else set(PIXELS))
    return tuple(name for name in METRICS if name not in left_out)


def check_metrics(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the names.

    Raises:
        UserError: one of them is not known; the message lists those that are.
    """
    names, known = tuple(names), tuple(known)
    for name in names:
        if name not in known:
            hint = "; --pixels measures it" if name in PIXELS else ""
            hint = "; evaluate --metrics with this name measures it" if name in MORE else hint
            raise UserError(f"--metrics {name}: not measured{hint}; known: {', '.join(known)}")
    return names
