"""Scores over cases: means with their n, and the JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import write_text
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.aggregates import (
    AGGREGATES,
    LabelSummary,
    aggregate,
    counted,
    summarise,
)
from nnunet_plugins.evaluation.definitions import EMPTY_RULE, METRICS, TOLERANCE, metric_names
from nnunet_plugins.evaluation.instance_scores import case_dict, options_dict, summary
from nnunet_plugins.evaluation.instances import CaseInstances, InstanceOptions
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.evaluation.reference_identity import Reference
from nnunet_plugins.evaluation.swapped_sides import SwappedSides
from nnunet_plugins.optional_imports import installed_version

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
        unit: of distances: mm, or pixels if the files have no voxel size.
        instances: group -> its instances, if they were counted.
        sides: Dice with exchanged sides; None without labels of both sides.
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
    unit: str = "mm"
    instances: Mapping[str, CaseInstances] = field(default_factory=dict)
    sides: SwappedSides | None = None
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
        trained_on: why the cases are known to be training cases; '' otherwise.
        tolerances: label -> its tolerance of NSD in mm, if it is not the default.
        instances: how instances were counted, if they were.
    """

    labels: Labels
    cases: tuple[CaseScores, ...]
    notes: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    metrics: tuple[str, ...] = metric_names(pixels=False)
    trained_on: str = ""
    tolerances: Mapping[str, float] = field(default_factory=dict)
    instances: InstanceOptions | None = None

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
    def unit(self) -> str:
        """Unit of distances and of the tolerance: pixels if no case has a voxel size, else mm."""
        units = {case.unit for case in self.cases}
        return units.pop() if len(units) == 1 else "mm"

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
            "computed_with": {
                name: installed_version(name) for name in ("nnunet-plugins", "scipy")
            },
            "metrics": {
                name: {
                    key: value
                    for key, value in asdict(METRICS[name]).items()
                    if key not in ("digits", "spread")
                }
                for name in self.metrics
            },
            "tolerance_mm": self.tolerance,
            **({"tolerances_mm": dict(self.tolerances)} if self.tolerances else {}),
            "unit_of_distances": self.unit,
            "empty_rule": EMPTY_RULE,
            "statistics": "mean, sample standard deviation (n - 1) and median over the n cases "
            "whose value is not null; mean_foreground_dice is the mean over labels of their means",
            "labels": {name: list(values) for name, values in self.labels.values.items()},
            "ignore_label": self.labels.ignore,
            "labels_from": self.labels.source,
            "notes": list(self.notes),
            "trained_on": self.trained_on or None,
            "mean_foreground_dice": self.mean_foreground_dice,
            "summary": {name: asdict(label) for name, label in self.summary.items()},
            "aggregates": {"definitions": AGGREGATES, **self.aggregates},
            **self._instances(),
            "cases": {
                case.name: {
                    "spacing_mm": list(case.spacing),
                    "dimensions": case.dimensions,
                    "patient": case.patient,
                    "unit_of_distances": case.unit,
                    "reference": case.reference.to_dict() if case.reference else None,
                    "labels": {
                        name: scores.to_dict(self.metrics) for name, scores in case.labels.items()
                    },
                    "background": counted(case.background),
                    "right_voxels": case.agreeing,
                    **self._instances_of(case),
                }
                for case in self.cases
            },
        }

    @cached_property
    def instance_summary(self) -> dict[str, dict[str, Any]]:
        """Group of instances -> its detection and segmentation; empty if instances were not counted."""
        return {
            group.name: summary({c.name: c.instances[group.name] for c in self.cases}, group)
            for group in (self.instances.groups if self.instances else ())
        }

    def _instances(self) -> dict[str, Any]:
        if self.instances is None:
            return {}
        return {"instances": {**options_dict(self.instances), "summary": self.instance_summary}}

    def _instances_of(self, case: CaseScores) -> dict[str, Any]:
        if self.instances is None:
            return {}
        found = {g.name: case_dict(case.instances[g.name], g) for g in self.instances.groups}
        return {"instances": found}

    def to_json(self) -> str:
        """Return the text of the JSON file."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the file atomically: JSON, or the table of `scores_csv` if its name ends in .csv.

        Raises:
            UserError: the file cannot be written, or its name has another ending.
        """
        from nnunet_plugins.evaluation.scores_csv import scores_csv

        check_output(path)
        content = scores_csv(self) if path.suffix.lower() == ".csv" else self.to_json()
        write_text(path, content)


def check_output(path: Path) -> None:
    """Check the path of the file of scores.

    Raises:
        UserError: it is a folder, or does not end in .json or .csv (a label map could be overwritten).
    """
    if path.is_dir() or path.suffix.lower() not in (".json", ".csv"):
        raise UserError(
            f"{path}: scores are written to a .json or .csv file; pass -o FILE.json or -o FILE.csv"
        )
