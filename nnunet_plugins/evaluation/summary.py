"""Scores over cases: means with their n, and the JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed
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
from nnunet_plugins.evaluation.reference_identity import Reference

FORMAT = "nnunet-plugins scores"
#: 2 adds metrics, the aggregates, the background and the counts; all keys of 1 remain.
FORMAT_VERSION = 2


@dataclass(frozen=True)
class CaseScores:
    """One case.

    Attributes:
        name: of its file, without the ending.
        spacing: voxel size in mm, in the order of the array's axes (z, y, x).
        labels: name -> scores.
        background: voxel counts of the background.
        agreeing: voxels with the correct label, background included.
        stored: how the orientation of the prediction's file differs from the reference's; '' if it does not.
        dimensions: in which distances are measured; None if that is not recorded.
        patient: number of the patient; None if it is not known.
        reference: what it was scored against; None if that is not recorded.
    """

    name: str
    spacing: tuple[float, ...]
    labels: dict[str, MaskScores]
    background: Counts
    agreeing: int
    stored: str = ""
    dimensions: int | None = None
    patient: int | None = None
    reference: Reference | None = None


@dataclass(frozen=True)
class Scores:
    """The result of `evaluate`.

    Attributes:
        labels: the scored labels.
        cases: sorted by name.
        notes: what a reader must know, e.g. files that were left out.
        tolerance: of NSD, mm.
        metrics: names of the measured metrics.
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
        """The means that `aggregates.AGGREGATES` defines."""
        labels = {name: [case.labels[name] for case in self.cases] for name in self.labels.values}
        background = [case.background for case in self.cases]
        agreeing = sum(case.agreeing for case in self.cases)
        return aggregate(labels, self.summary, background, agreeing)

    @property
    def mean_foreground_dice(self) -> float | None:
        """Mean over labels of their mean Dice; labels that do not occur are left out."""
        mean: float | None = self.aggregates["macro_over_classes"]["dice"]["mean"]
        return mean

    def to_dict(self) -> dict[str, Any]:
        """All scores in JSON's types, without paths and dates, so that equal inputs give equal bytes."""
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
                    "dimensions": case.dimensions,
                    "patient": case.patient,
                    "reference": case.reference.to_dict() if case.reference else None,
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
        """Write the JSON file atomically.

        Raises:
            UserError: the file cannot be written, or its name does not end in .json.
        """
        check_output(path)
        with placed(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")


def check_output(path: Path) -> None:
    """Check the path of the JSON file.

    Raises:
        UserError: it is a folder, or does not end in .json (a label map could be overwritten).
    """
    if path.is_dir() or path.suffix != ".json":
        raise UserError(f"{path}: scores are written to a .json file; pass -o FILE.json")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
