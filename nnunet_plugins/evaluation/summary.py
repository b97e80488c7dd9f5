"""Scores over cases: means with their n, the JSON file, the table."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.aggregates import (
    AGGREGATES,
    LabelSummary,
    aggregate,
    counted,
    summarise,
)
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import (
    EMPTY_RULE,
    METRICS,
    TOLERANCE,
    MaskScores,
    metric_names,
)
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.evaluation.table import SHOWN, table

FORMAT = "nnunet-plugins scores"
#: 2 has more metrics, the aggregates, the background and the counts; all of 1's keys stand.
FORMAT_VERSION = 2


@dataclass(frozen=True)
class CaseScores:
    """One case.

    Attributes:
        name: of its file, without ending.
        spacing: voxel size, mm, in array order z, y, x.
        labels: name -> scores.
        background: counts of what is no label.
        agreeing: voxels whose label is right, background included.
    """

    name: str
    spacing: tuple[float, ...]
    labels: dict[str, MaskScores]
    background: Counts
    agreeing: int


@dataclass(frozen=True)
class Scores:
    """What `evaluate` found. `str(scores)` is the table.

    Attributes:
        labels: what was scored.
        cases: in the order of their names.
        notes: what a reader must know, e.g. files that were left out.
        tolerance: of NSD, mm.
        metrics: names of what was measured.
    """

    labels: Labels
    cases: tuple[CaseScores, ...]
    notes: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    metrics: tuple[str, ...] = metric_names(pixels=False)

    @cached_property
    def summary(self) -> dict[str, LabelSummary]:
        """Label -> its statistics over the cases."""
        return {
            name: summarise([case.labels[name] for case in self.cases], self.metrics)
            for name in self.labels.values
        }

    @cached_property
    def aggregates(self) -> dict[str, Any]:
        """What `aggregates.AGGREGATES` names, over all labels."""
        labels = {name: [case.labels[name] for case in self.cases] for name in self.labels.values}
        background = [case.background for case in self.cases]
        agreeing = sum(case.agreeing for case in self.cases)
        return aggregate(labels, self.summary, background, agreeing)

    @property
    def mean_foreground_dice(self) -> float | None:
        """Mean over labels of the label's mean Dice; labels that occur nowhere are left out."""
        mean: float | None = self.aggregates["macro_over_classes"]["dice"]["mean"]
        return mean

    def to_dict(self) -> dict[str, Any]:
        """Everything, in JSON's types; no paths, no dates: equal inputs give equal bytes."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "computed_with": {name: _version(name) for name in ("nnunet-plugins", "scipy")},
            "metrics": {
                name: {
                    key: value
                    for key, value in asdict(METRICS[name]).items()
                    if key not in ("digits", "spread")
                }
                for name in self.metrics
            },
            "tolerance_mm": self.tolerance,
            "empty_rule": EMPTY_RULE,
            "statistics": "mean, sample standard deviation (n - 1) and median over the n cases "
            "whose value is not null; mean_foreground_dice is the mean over labels of their means",
            "labels": {name: list(values) for name, values in self.labels.values.items()},
            "ignore_label": self.labels.ignore,
            "labels_from": self.labels.source,
            "notes": list(self.notes),
            "mean_foreground_dice": self.mean_foreground_dice,
            "summary": {name: asdict(label) for name, label in self.summary.items()},
            "aggregates": {"definitions": AGGREGATES, **self.aggregates},
            "cases": {
                case.name: {
                    "spacing_mm": list(case.spacing),
                    "labels": {
                        name: scores.to_dict(self.metrics) for name, scores in case.labels.items()
                    },
                    "background": counted(case.background),
                    "right_voxels": case.agreeing,
                }
                for case in self.cases
            },
        }

    def to_json(self) -> str:
        """Return the text of the JSON file."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the JSON file whole or not at all.

        Raises:
            UserError: the place cannot be written to.
        """
        check_output(path)
        write_whole(path, self.to_json(), "FILE.json")

    def table(self, metrics: Sequence[str] = SHOWN) -> str:
        """Return means and counts as plain text, up to 100 columns wide."""
        return table(self, metrics)

    def __str__(self) -> str:
        return self.table()


def write_whole(path: Path, text: str, example: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        UserError: the place cannot be written to; ``example`` says what to pass.
    """
    # Beside its place: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(
            f"{path}: cannot be written ({error}); choose another place by -o {example}"
        ) from error


def check_output(path: Path) -> None:
    """Refuse a place for the JSON file that cannot be right.

    Raises:
        UserError: it is a folder, or does not end in .json (a label map would be overwritten).
    """
    if path.is_dir() or path.suffix != ".json":
        raise UserError(f"{path}: scores are written to a .json file; pass -o FILE.json")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
