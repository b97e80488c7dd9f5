"""The dataset that is written from cases of volumes; the options of the public CT datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataset_conversion.cases.transforms import Step
from dataset_conversion.datasets.options import Common, follow_links_option, window_option
from dataset_conversion.datasets.scan import Collected
from dataset_conversion.raw_format.preview import BONE
from dataset_conversion.raw_format.raw_dataset import RawDataset

CT = "CT"


@dataclass(frozen=True)
class VolumeOptions(Common):
    """Options of every dataset of volumes that are found by their names."""

    follow_links: bool = follow_links_option()


@dataclass(frozen=True)
class CTOptions(VolumeOptions):
    """Options of a public CT dataset."""

    window: tuple[float, float] | None = window_option()


def volume_dataset(id: int, name: str, found: Collected, options: Common,
                   channels: Sequence[str] = (CT,), *, steps: tuple[Step, ...] = (),
                   orientation: str = "LPS", notes: Sequence[str] = (),
                   settings: Mapping[str, Any] | None = None) -> RawDataset:  # fmt: skip
    """Return a dataset.

    With a window, the values of CT are mapped to 0..1. `notes` are added to those of `found`; `settings` is
    what else changes the written voxels.
    """
    window = getattr(options, "window", None)
    return RawDataset(
        id=id,
        name=name,
        # noNorm: nnU-Net silently uses z-scores for channel names that it does not know.
        channel_names=("noNorm",) if window else tuple(channels),
        labels=found.labels,
        cases=found.cases,
        output=options.output(window=window, steps=steps, orientation=orientation),
        display=BONE if channels[0].upper() == CT else None,
        notes=[*found.notes, *notes],
        splits=options.splits(),
        problems=found.problems,
        settings=dict(settings or {}),
    )
