"""Scores over cases: means with their n, the JSON file, the table."""

import contextlib
import json
import os
import statistics
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import EMPTY_RULE, METRICS, MaskScores
from nnunet_plugins.evaluation.table import table

FORMAT = "nnunet-plugins scores"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class CaseScores:
    """One case: its name, voxel size (mm, in array order z, y, x) and the scores of each label."""

    name: str
    spacing: tuple[float, ...]
    labels: dict[str, MaskScores]


@dataclass(frozen=True)
class Statistic:
    """Over the `n` cases that have a value; sd is the sample's (n - 1), None below two cases."""

    n: int
    mean: float | None
    sd: float | None
    median: float | None


@dataclass(frozen=True)
class LabelSummary:
    """One label over all cases, with the number of cases in which a mask was empty."""

    cases: int
    both_empty: int
    false_alarm: int
    missed: int
    metrics: dict[str, Statistic]


@dataclass(frozen=True)
class Scores:
    """What `evaluate` found. `str(scores)` is the table."""

    labels: Labels
    cases: tuple[CaseScores, ...]
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> dict[str, LabelSummary]:
        """Label -> its statistics over the cases."""
        return {
            name: summarise([case.labels[name] for case in self.cases])
            for name in self.labels.values
        }

    @property
    def mean_foreground_dice(self) -> float | None:
        """Mean over labels of the label's mean Dice; labels that occur nowhere are left out."""
        means = [label.metrics["dice"].mean for label in self.summary.values()]
        return describe(means).mean

    def to_dict(self) -> dict[str, Any]:
        """Everything, in JSON's types; no paths, no dates: equal inputs give equal bytes."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "computed_with": {name: _version(name) for name in ("nnunet-plugins", "monai")},
            "metrics": {name: asdict(metric) for name, metric in METRICS.items()},
            "empty_rule": EMPTY_RULE,
            "statistics": "mean, sample standard deviation (n - 1) and median over the n cases "
            "whose value is not null; mean_foreground_dice is the mean over labels of their means",
            "labels": {name: list(values) for name, values in self.labels.values.items()},
            "ignore_label": self.labels.ignore,
            "labels_from": self.labels.source,
            "notes": list(self.notes),
            "mean_foreground_dice": self.mean_foreground_dice,
            "summary": {name: asdict(label) for name, label in self.summary.items()},
            "cases": {
                case.name: {
                    "spacing_mm": list(case.spacing),
                    "labels": {
                        name: {"state": scores.state, **asdict(scores)}
                        for name, scores in case.labels.items()
                    },
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
        text = self.to_json()
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
                f"{path}: cannot be written ({error}); choose another place by -o FILE.json"
            ) from error

    def table(self) -> str:
        """Return means and counts as plain text, up to about 90 columns wide."""
        return table(self)

    def __str__(self) -> str:
        return self.table()


def summarise(scores: list[MaskScores]) -> LabelSummary:
    """Gather one label's scores over cases."""
    states = [one.state for one in scores]
    return LabelSummary(
        cases=len(scores),
        both_empty=states.count("both empty"),
        false_alarm=states.count("false alarm"),
        missed=states.count("missed"),
        metrics={name: describe([getattr(one, name) for one in scores]) for name in METRICS},
    )


def describe(values: list[float | None]) -> Statistic:
    """Mean, standard deviation and median of the values that are not None."""
    known = [value for value in values if value is not None]
    if not known:
        return Statistic(0, None, None, None)
    sd = statistics.stdev(known) if len(known) > 1 else None
    return Statistic(len(known), statistics.fmean(known), sd, statistics.median(known))


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
