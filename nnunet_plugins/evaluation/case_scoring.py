"""Scores of one case: its files are read, checked, counted and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.evaluation.boxes import around, box_of_both, boxes_of
from nnunet_plugins.evaluation.cases import (
    LabelMap,
    check_geometry,
    check_known,
    read,
    with_axes_of,
)
from nnunet_plugins.evaluation.instances import CaseInstances, InstanceOptions, find_instances
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.measuring import Measuring
from nnunet_plugins.evaluation.metrics import compare
from nnunet_plugins.evaluation.overlap import counts_of, encode, joint_counts
from nnunet_plugins.evaluation.pairs import Pair
from nnunet_plugins.evaluation.reference_identity import identify
from nnunet_plugins.evaluation.structures import read_structures
from nnunet_plugins.evaluation.summary import CaseScores
from nnunet_plugins.evaluation.surfaces import measured_axes
from nnunet_plugins.evaluation.swapped_sides import swapped_sides
from nnunet_plugins.evaluation.units import in_unit


def score_case(pair: Pair, labels: Labels, measuring: Measuring | None = None) -> CaseScores:
    """Read, check and score one case.

    Raises:
        UserError: the two files cannot be compared.
    """
    measuring = measuring or Measuring()
    structures, values, true = measuring.structures, measuring.values, read(pair.reference)
    predicted = (
        read_structures(pair.prediction, structures) if structures else read(pair.prediction)
    )
    predicted, stored = with_axes_of(predicted, true)
    check_geometry(predicted, true)
    if values is not None:
        predicted = predicted if structures else values.predicted(predicted)
        true = values.true(true)
    scores = score_voxels(pair.name, predicted, true, labels, measuring)
    return in_unit(replace(scores, stored=stored, reference=identify(true)), true.unit)


def score_voxels(
    name: str,
    predicted: LabelMap,
    true: LabelMap,
    labels: Labels,
    measuring: Measuring | None = None,
) -> CaseScores:
    """Score every label of two label maps on one grid.

    Raises:
        UserError: a map holds values that are not declared.
    """
    measuring = measuring or Measuring()
    values = sorted(labels.known)  # 0 is first
    if labels.ignore is not None and labels.ignore not in values:
        values.append(labels.ignore)
    # Voxels that are background in both, most of a CT, only add to one count: cropping makes this fast.
    box = box_of_both(predicted.voxels, true.voxels)
    a, b = encode(predicted.voxels[box], values), encode(true.voxels[box], values)
    joint = joint_counts(a, b, len(values) + 1)
    joint[0, 0] += true.voxels.size - a.size
    seen = [*values, None]
    check_known(predicted, labels, _seen(joint.sum(axis=1), seen), may_ignore=False)
    check_known(true, labels, _seen(joint.sum(axis=0), seen), may_ignore=True)
    joint = joint[: len(values), : len(values)]
    if labels.ignore is not None:
        left_out = values.index(labels.ignore)
        joint[:, left_out] = 0
        a[b == left_out] = 0
        b[b == left_out] = 0

    members = {
        label: [values.index(value) for value in of_label]
        for label, of_label in labels.values.items()
    }
    axes = measured_axes(true.voxels.shape)
    boxes = [*zip(boxes_of(a, len(values)), boxes_of(b, len(values)), strict=True)]
    scores = {}
    for label, codes in members.items():
        place = around([box for code in codes for box in boxes[code]], a.ndim)
        scores[label] = compare(
            _mask(a[place], codes, len(values)),
            _mask(b[place], codes, len(values)),
            true.spacing,
            counts=counts_of(joint, codes),
            axes=axes,
            tolerance=measuring.tolerances.of(label),
            pixels=measuring.pixels,
            more=measuring.more,
        )
    agreeing = _agreeing(joint, list(members.values()))
    return CaseScores(
        name,
        true.spacing,
        scores,
        counts_of(joint, [0]),
        agreeing,
        dimensions=len(axes),
        sides=swapped_sides(joint, members),
        instances=_instances(a, b, values, true.spacing, axes, measuring.instances),
    )


def _instances(
    a: NDArray[Any],
    b: NDArray[Any],
    values: Sequence[int],
    spacing: tuple[float, ...],
    axes: Sequence[int],
    options: InstanceOptions | None,
) -> dict[str, CaseInstances]:
    """Instances of every group in two coded label maps."""
    if options is None:
        return {}
    flat = tuple(axis for axis in range(a.ndim) if axis not in axes)
    a, b = np.squeeze(a, flat), np.squeeze(b, flat)
    steps = tuple(spacing[axis] for axis in axes)
    return {
        group.name: find_instances(
            a,
            b,
            steps,
            replace(group, values=tuple(values.index(value) for value in group.values)),
            options.threshold,
            options.connectivity,
        )
        for group in options.groups
    }


def _seen(counts: NDArray[Any], values: Sequence[int | None]) -> set[int | None]:
    return {value for value, count in zip(values, counts, strict=True) if count}


def _mask(image: NDArray[Any], codes: Sequence[int], known: int) -> NDArray[np.bool_]:
    if len(codes) == 1:
        one: NDArray[np.bool_] = image == codes[0]
        return one
    inside = np.zeros(known + 1, dtype=bool)
    inside[list(codes)] = True
    mask: NDArray[np.bool_] = inside[image]
    return mask


def _agreeing(joint: NDArray[Any], members: Sequence[Sequence[int]]) -> int:
    """Number of voxels that belong to the same labels in both maps."""
    inside = np.array([[code in of_label for of_label in members] for code in range(len(joint))])
    same = (inside[:, None] == inside[None]).all(axis=-1)
    return int(joint[same].sum())
