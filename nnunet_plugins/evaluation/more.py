"""Metrics that are measured on request: `evaluate --metrics NAME`. Their definitions are in `definitions.METRICS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from nnunet_plugins.evaluation.area_weighted import AreaDistances, area_distances
from nnunet_plugins.evaluation.surfaces import Mask, SurfaceDistances
from nnunet_plugins.evaluation.thin_structures import boundary_iou, centre_line_dice


@dataclass(frozen=True)
class Masks:
    """Two masks that are not empty, in the axes in which they are measured.

    Attributes:
        prediction: (*S).
        reference: (*S).
        spacing: of each axis, mm.
        tolerance: of NSD, mm.
        distances: between their surface voxels, mm.
    """

    prediction: Mask
    reference: Mask
    spacing: tuple[float, ...]
    tolerance: float
    distances: SurfaceDistances

    @cached_property
    def area(self) -> AreaDistances:
        """Distances weighted by area."""
        return area_distances(self.prediction, self.reference, self.spacing)


#: Name -> its value if both masks have voxels.
MORE: dict[str, Callable[[Masks], float]] = {
    "masd_mm": lambda masks: masks.distances.masd,
    "hd_area_mm": lambda masks: masks.area.hd,
    "hd95_area_mm": lambda masks: masks.area.hd95,
    "assd_area_mm": lambda masks: masks.area.assd,
    "nsd_area": lambda masks: masks.area.nsd(masks.tolerance),
    "boundary_iou": lambda masks: boundary_iou(masks.prediction, masks.reference),
    "cldice": lambda masks: centre_line_dice(masks.prediction, masks.reference),
}
#: Those that are 0, not null, if one of the masks is empty.
SHARES = ("nsd_area", "boundary_iou", "cldice")


def measure_more(names: Iterable[str], masks: Masks) -> dict[str, float | None]:
    """Values of some of `MORE`; null in one dimension, where surfaces have no area and lines no width."""
    flat = masks.prediction.ndim < 2
    return {name: None if flat and name != "masd_mm" else MORE[name](masks) for name in names}


def empty_more(names: Iterable[str]) -> dict[str, float | None]:
    """Their values if exactly one of the masks is empty."""
    return {name: 0.0 if name in SHARES else None for name in names}
