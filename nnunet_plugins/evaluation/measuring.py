"""What `evaluate` measures: as users ask for it, and as one value that worker processes receive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nnunet_plugins.evaluation.definitions import TOLERANCE, metric_names
from nnunet_plugins.evaluation.instances import THRESHOLD, Connectivity, InstanceOptions
from nnunet_plugins.evaluation.more import MORE
from nnunet_plugins.evaluation.pairs import Pair
from nnunet_plugins.evaluation.tolerances import Given as GivenTolerances
from nnunet_plugins.evaluation.tolerances import Tolerances
from nnunet_plugins.evaluation.value_map import Given as GivenMap
from nnunet_plugins.evaluation.value_map import ValueMap


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How label maps are scored; `scoring.evaluate` describes the options."""

    tolerance: GivenTolerances = TOLERANCE
    pixels: bool = False
    metrics: Sequence[str] = ()
    instances: Sequence[str] | str = ()
    instance_iou: float = THRESHOLD
    connectivity: Connectivity = "corners"
    map: GivenMap | None = None
    jobs: int = 1
    progress: Callable[[list[Pair]], Iterable[Pair]] | None = None


@dataclass(frozen=True)
class Measuring:
    """Options of the measurement.

    Attributes:
        tolerances: of NSD.
        pixels: measure distances in voxels as well.
        more: names of `more.MORE` that are measured.
        instances: how instances are found; None does not count them.
        values: replaces the values of predictions of other tools.
        structures: structure -> value of the reference, if the predictions have one file per structure.
    """

    tolerances: Tolerances = field(default_factory=Tolerances)
    pixels: bool = False
    more: tuple[str, ...] = ()
    instances: InstanceOptions | None = None
    values: ValueMap | None = None
    structures: Mapping[str, int] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that are measured."""
        return metric_names(pixels=self.pixels, more=self.more)


def more_of(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the metrics that are measured on request only."""
    return tuple(name for name in MORE if name in metrics)
