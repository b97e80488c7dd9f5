"""Instances as text: lines for a terminal, and the rows of the report's tables."""

from __future__ import annotations

import textwrap

from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.instance_scores import QUALITY
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.text_table import WIDTH, number, ruled, stacked

_TITLES = {
    "segmentation_quality": "SQ",
    "recognition_quality": "RQ",
    "panoptic_quality": "PQ",
    "f1": "F1",
    "dice": "Dice",
    "assd_mm": "ASSD mm",
    "hd95_mm": "HD95 mm",
}
_COUNTS = {
    "true_instances": "true",
    "predicted_instances": "predicted",
    "tp": "found",
    "fn": "missed",
    "fp": "false",
}
Table = tuple[list[str], list[list[str]]]


def instance_lines(scores: Scores) -> list[str]:
    """Lines of tables; none if instances were not counted."""
    if scores.instances is None:
        return []
    head, *rows = _transposed(quality_table(scores))
    lines = ["", *stacked([head, *rows]), "", *textwrap.wrap(instance_note(scores), WIDTH)]
    numbers, values = numbering_table(scores)
    if values:
        lines += ["", *ruled([numbers, *values], left=1), *_offsets(scores)]
    return lines


def quality_table(scores: Scores) -> Table:
    """Heading and rows, one per group: counts and qualities of the pooled instances."""
    titles = [_TITLES.get(name, name).replace("mm", scores.unit) for name in QUALITY]
    head = ["instances", *_COUNTS.values(), *titles]
    rows = []
    for name, found in scores.instance_summary.items():
        pooled = found["pooled"]
        counts = [str(pooled[key]) for key in _COUNTS]
        rows.append(
            [name, *counts, *(number(pooled[key], digits) for key, digits in QUALITY.items())]
        )
    return head, rows


def numbering_table(scores: Scores) -> Table:
    """Heading and rows, one per group of labels: how many instances have the right number."""
    head = [
        "numbers",
        "identified",
        "wrong",
        "rate",
        "cases with a constant offset",
        "Dice",
        "Dice after best shift",
    ]
    rows = []
    for name, found in scores.instance_summary.items():
        if "numbering" not in found:
            continue
        numbers = found["numbering"]
        shifted = numbers["cases_with_constant_offset"]
        rows.append(
            [
                name,
                str(numbers["identified"]),
                str(numbers["wrongly_numbered"]),
                number(numbers["identification_rate"], 3),
                f"{len(shifted)} of {len(scores.cases)}",
                *(number(numbers[key]["mean"], 3) for key in ("dice", "shifted_dice")),
            ]
        )
    return head, rows


def instance_note(scores: Scores) -> str:
    """What counts as an instance and as found."""
    options = scores.instances
    if options is None:
        return ""
    joined = f"connected components joined at {options.connectivity}"
    parts = [
        f"{group.name}: {joined if group.components else 'labels'}" for group in options.groups
    ]
    return (
        f"instances of all cases pooled ({'; '.join(parts)}); found at an IoU above {options.threshold:g}; "
        "Dice, ASSD and HD95 of those found"
    )


def _offsets(scores: Scores) -> list[str]:
    lines = []
    for name, found in scores.instance_summary.items():
        shifted = found.get("numbering", {}).get("cases_with_constant_offset", {})
        if shifted:
            shown = listed([f"{case} {offset:+d}" for case, offset in shifted.items()])
            lines.append(f"all {name} numbered too high (+) or too low (-): {shown}")
    return ["", *lines] if lines else []


def _transposed(table: Table) -> list[list[str]]:
    head, rows = table
    return [list(column) for column in zip(head, *rows, strict=True)]
