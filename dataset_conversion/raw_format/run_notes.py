"""Notes on the cases of a dataset together, for the summary."""

from __future__ import annotations

from collections.abc import Mapping

from dataset_conversion.cases.implausible import Looked, implausible
from dataset_conversion.cases.slice_direction import grid_notes
from dataset_conversion.io.orientation import SLICES_FIRST
from dataset_conversion.raw_format.description import Description
from dataset_conversion.raw_format.manifest import Record


def direction_notes(dataset: Description, done: Mapping[str, Record]) -> list[str]:
    """Return notes on slices along different axes."""
    grids = [record.grid for record in done.values()]
    return grid_notes(
        [(grid["spacing"], grid["orientation"]) for grid in grids],
        slices_first=dataset.output.orientation == SLICES_FIRST,
        sided=bool(dataset.labels.sided()),
    )


def plausibility_notes(dataset: Description, done: Mapping[str, Record],
                       groups: Mapping[str, str]) -> list[str]:  # fmt: skip
    """Return warnings on implausible cases."""
    measures = {name: record.measured() for name, record in sorted(done.items())}
    looked = Looked(measures, groups, dataset.channel_names, dataset.labels.written())
    return [f"warning: {text}" for text in implausible(looked)]
