"""Scores read back from the JSON that `evaluate` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from dataset_conversion.json_text import parse_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.consistent import checked
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.instance_scores import read_case, read_options
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.evaluation.reference_identity import read_reference
from nnunet_plugins.evaluation.summary import FORMAT, FORMAT_VERSION, CaseScores, Scores

_LARGEST = 2**63


def read_scores(path: Path) -> Scores:
    """Read a scores file.

    Raises:
        UserError: the file is not a scores file, has another version, is incomplete, or holds NaN.
    """
    if path.suffix.lower() == ".csv":
        raise UserError(
            f"{path}: is the table of evaluate -o FILE.csv; compare reads JSON: nnunet-plugins evaluate PRED REF -o "
            "FILE.json"
        )
    try:
        content = parse_json(path.read_text(encoding="utf-8"), parse_constant=_refuse(path))
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error
    fix = "evaluate again: nnunet-plugins evaluate PRED REF -o FILE.json"
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: is not a scores file of nnunet-plugins evaluate; {fix}")
    if content.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: format_version is {content.get('format_version')!r:.50}, supported is {FORMAT_VERSION}; {fix}"
        )
    try:
        return checked(_scores(content), path)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is incomplete ({error!r}); {fix}") from error


def is_scores(path: Path) -> bool:
    """Whether a JSON file is marked as a scores file."""
    try:
        return f'"{FORMAT}"' in path.read_text(encoding="utf-8")[:200]
    except (OSError, ValueError):
        return False


def _scores(content: dict[str, Any]) -> Scores:
    labels = Labels(
        {
            name: tuple(_number(f"label {name}", value) for value in values)
            for name, values in content["labels"].items()
        },
        _number("ignore_label", content["ignore_label"]),
        _text("labels_from", content["labels_from"]),
    )
    metrics = tuple(name for name in METRICS if name in content["metrics"])
    instances = read_options(content["instances"]) if "instances" in content else None
    cases = tuple(
        CaseScores(
            name,
            tuple(_number("spacing_mm", one) for one in case["spacing_mm"]),
            {label: _mask(case["labels"][label], metrics) for label in labels.values},
            Counts(*(_number(key, case["background"][key]) for key in ("tp", "fp", "fn", "tn"))),
            _number("right_voxels", case["right_voxels"]),
            dimensions=_number("dimensions", case.get("dimensions")),
            patient=_number("patient", case.get("patient")),
            unit=_text("unit_of_distances", case.get("unit_of_distances", "mm")),
            instances={
                group.name: read_case(case["instances"][group.name], group)
                for group in (instances.groups if instances else ())
            },
            reference=read_reference(case.get("reference")),
        )
        for name, case in content["cases"].items()
    )
    notes = [*(_text("notes", note) for note in content["notes"]), *_outdated(cases, metrics)]
    trained_on = _text("trained_on", content.get("trained_on") or "")
    return Scores(
        labels,
        cases,
        tuple(notes),
        _number("tolerance_mm", content["tolerance_mm"]),
        metrics,
        trained_on,
        content.get("tolerances_mm", {}),
        instances,
    )


def _outdated(cases: Sequence[CaseScores], metrics: Sequence[str]) -> list[str]:
    """A note if the distances may be those of an earlier definition."""
    if "hd_mm" not in metrics or all(case.dimensions is not None for case in cases):
        return []
    return [
        "scored by an earlier version, which measured labels within one slice of a volume in two dimensions: their "
        "distances and NSD may be worse than those of this version; evaluate again before comparing them"
    ]


def _mask(found: dict[str, Any], metrics: tuple[str, ...]) -> MaskScores:
    names = [one.name for one in fields(MaskScores)]
    values: dict[str, Any] = {
        name: _number(name, found[name]) if name in metrics or name not in METRICS else None
        for name in names
    }
    return MaskScores(**values)


def _number(name: str, value: Any) -> Any:
    """Return a number or None as it was read; everything else raises TypeError."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (number and abs(value) < _LARGEST):
        return value
    raise TypeError(f"{name} is {value!r:.50}")


def _text(name: str, value: Any) -> str:
    """Return a text as it was read; everything else raises TypeError."""
    if isinstance(value, str):
        return value
    raise TypeError(f"{name} is {value!r:.50}")


def _refuse(path: Path) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise UserError(f"{path}: holds {constant}, which evaluate never writes; evaluate again")

    return refuse
