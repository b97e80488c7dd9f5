"""Scores of instances: per case, over all cases, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nnunet_plugins.evaluation.aggregates import describe
from nnunet_plugins.evaluation.instances import (
    CaseInstances,
    Group,
    InstanceOptions,
    Match,
)
from nnunet_plugins.evaluation.numbering import Numbering

DEFINITION = (
    "predicted and true instances are matched one to one with the largest sum of IoU; a pair matches if its IoU "
    "exceeds the threshold. tp: pairs, fp and fn: predicted and true instances without a partner. precision = tp "
    "/ (tp + fp), recall = tp / (tp + fn), f1 = 2 tp / (2 tp + fp + fn), recognition_quality = f1, "
    "segmentation_quality = mean IoU of the pairs, panoptic_quality = segmentation_quality x recognition_quality "
    "(0 without a pair). A ratio with a denominator of 0 is null. Dice and distances (mm) are means over the "
    "pairs"
)
NUMBERING = (
    "identified: pairs with the same label; identification_rate = identified / true instances; offset: predicted "
    "minus true position in the group if it is the same for all pairs, at least two, and not 0; dice: mean over "
    "the group's labels in either label map; shifted_dice: the largest such mean if one offset (best_offset) is "
    "subtracted from all predicted positions"
)
#: Scores that are null or a number, with their decimals in a table.
QUALITY = {
    "precision": 3,
    "recall": 3,
    "f1": 3,
    "segmentation_quality": 3,
    "recognition_quality": 3,
    "panoptic_quality": 3,
    "dice": 3,
    "assd_mm": 2,
    "hd95_mm": 2,
}


def quality(cases: Sequence[CaseInstances]) -> dict[str, Any]:
    """Detection and segmentation of the instances of one or several cases, pooled.

    >>> found = quality([CaseInstances((0, 1), (0,), (Match(0, 0, 0.8, 0.889, 0.2, 1.0),))])
    >>> found["tp"], found["fp"], found["fn"], round(found["panoptic_quality"], 3)
    (1, 1, 0, 0.533)
    """
    matches = [match for case in cases for match in case.matches]
    predicted, true = (
        sum(map(len, sizes)) for sizes in zip(*((c.predicted, c.true) for c in cases), strict=True)
    )
    tp = len(matches)
    f1 = _ratio(2 * tp, predicted + true)
    iou = describe([match.iou for match in matches]).mean
    return {
        "true_instances": true,
        "predicted_instances": predicted,
        "tp": tp,
        "fp": predicted - tp,
        "fn": true - tp,
        "precision": _ratio(tp, predicted),
        "recall": _ratio(tp, true),
        "f1": f1,
        "segmentation_quality": iou,
        "recognition_quality": f1,
        "panoptic_quality": None if f1 is None else f1 * (iou or 0.0),
        **{
            name: describe([getattr(match, name) for match in matches]).mean
            for name in ("dice", "assd_mm", "hd95_mm")
        },
    }


def identification(cases: Mapping[str, CaseInstances]) -> dict[str, Any]:
    """Numbers of the instances of all cases: identification rate, constant offsets, Dice before and after a shift."""
    found = [case for case in cases.values() if case.numbering is not None]
    pairs = [match for case in found for match in case.matches]
    identified = sum(match.prediction == match.reference for match in pairs)
    numbers = {name: case.numbering for name, case in cases.items() if case.numbering is not None}
    return {
        "identified": identified,
        "wrongly_numbered": len(pairs) - identified,
        "identification_rate": _ratio(identified, sum(len(case.true) for case in found)),
        "cases_with_constant_offset": {
            name: one.offset for name, one in numbers.items() if one.offset is not None
        },
        "dice": asdict(describe([one.dice for one in numbers.values()])),
        "shifted_dice": asdict(describe([one.shifted_dice for one in numbers.values()])),
    }


def summary(cases: Mapping[str, CaseInstances], group: Group) -> dict[str, Any]:
    """One group over all cases: pooled, and means over the cases that have a value."""
    each = [quality([case]) for case in cases.values()]
    found = {
        "pooled": quality(list(cases.values())),
        "mean_over_cases": {
            name: asdict(describe([one[name] for one in each])) for name in QUALITY
        },
    }
    return found if group.components else found | {"numbering": identification(cases)}


def options_dict(options: InstanceOptions) -> dict[str, Any]:
    """How instances were found, in JSON's types."""
    return {
        "definition": DEFINITION,
        "numbering": NUMBERING,
        "iou_threshold": options.threshold,
        "connectivity": options.connectivity,
        "groups": {
            group.name: {
                "values": list(group.values),
                "labels": list(group.names),
                "instances": "components" if group.components else "labels",
            }
            for group in options.groups
        },
    }


def case_dict(case: CaseInstances, group: Group) -> dict[str, Any]:
    """One group in one case, in JSON's types; components are numbered from 1, labels have their names."""
    found = {
        **quality([case]),
        "predicted": [_name(at, group) for at in case.predicted],
        "true": [_name(at, group) for at in case.true],
        "pairs": [
            {
                **asdict(match),
                "prediction": _name(match.prediction, group),
                "reference": _name(match.reference, group),
            }
            for match in case.matches
        ],
    }
    if case.numbering is None:
        return found
    same = sum(match.prediction == match.reference for match in case.matches)
    numbers = {
        "identified": same,
        "identification_rate": _ratio(same, len(case.true)),
        **asdict(case.numbering),
    }
    return found | {"numbering": numbers}


def read_options(found: dict[str, Any]) -> InstanceOptions:
    """The options from their JSON."""
    groups = tuple(
        Group(name, tuple(one["values"]), tuple(one["labels"]), one["instances"] == "components")
        for name, one in found["groups"].items()
    )
    return InstanceOptions(groups, found["iou_threshold"], found["connectivity"])


def read_case(found: dict[str, Any], group: Group) -> CaseInstances:
    """One group in one case from its JSON."""
    matches = tuple(
        Match(
            _place(one["prediction"], group),
            _place(one["reference"], group),
            *(one[key] for key in ("iou", "dice", "assd_mm", "hd95_mm")),
        )
        for one in found["pairs"]
    )
    predicted, true = (
        tuple(_place(name, group) for name in found[key]) for key in ("predicted", "true")
    )
    numbers = found.get("numbering")
    keys = ("offset", "dice", "best_offset", "shifted_dice")
    numbering = None if numbers is None else Numbering(*(numbers[key] for key in keys))
    return CaseInstances(predicted, true, matches, numbering)


def _name(place: int, group: Group) -> str | int:
    return place + 1 if group.components else group.names[place]


def _place(name: str | int, group: Group) -> int:
    return int(name) - 1 if group.components else group.names.index(str(name))


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None
