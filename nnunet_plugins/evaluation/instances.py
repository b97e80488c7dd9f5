"""Instances: vertebrae or lesions are found or missed, not only overlapped.

An instance is a connected component of a label (lesions), or a label value of a group (vertebrae). Instances of the
prediction and the reference are matched one to one so that the sum of their IoU is largest (Hungarian algorithm).
Only pairs with an IoU above a threshold match. Their numbers do not matter for the matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.evaluation.boxes import Box, around, boxes_of
from nnunet_plugins.evaluation.matching import Overlaps, count_overlaps, match_instances
from nnunet_plugins.evaluation.numbering import Numbering, numbering
from nnunet_plugins.evaluation.overlap import encode
from nnunet_plugins.evaluation.surfaces import surface_distances

Connectivity = Literal["faces", "edges", "corners"]
CONNECTIVITIES: tuple[Connectivity, ...] = ("faces", "edges", "corners")
THRESHOLD = 0.5  # IoU; at 0.5 and above no instance can have two partners


@dataclass(frozen=True)
class Group:
    """What counts as an instance.

    Attributes:
        name: of the group, or of the label.
        values: label values, in anatomical order.
        names: of the values; of the label, for components.
        components: whether the connected components of the values' union are the instances, not the values.
    """

    name: str
    values: tuple[int, ...]
    names: tuple[str, ...]
    components: bool


@dataclass(frozen=True)
class InstanceOptions:
    """How instances are found and matched.

    Attributes:
        groups: what counts as an instance.
        threshold: IoU that a pair must exceed.
        connectivity: voxels of a component share faces, edges or corners.
    """

    groups: tuple[Group, ...]
    threshold: float = THRESHOLD
    connectivity: Connectivity = "corners"


@dataclass(frozen=True)
class Match:
    """A predicted instance and the reference instance that it matches.

    Attributes:
        prediction: position of its value in the group, from 0; number of the component, from 0.
        reference: likewise.
    """

    prediction: int
    reference: int
    iou: float
    dice: float
    assd_mm: float
    hd95_mm: float


@dataclass(frozen=True)
class CaseInstances:
    """Instances of one group in one case.

    Attributes:
        predicted: positions of the instances of the prediction.
        true: of the reference.
        matches: pairs that match.
        numbering: of the values; None for components.
    """

    predicted: tuple[int, ...]
    true: tuple[int, ...]
    matches: tuple[Match, ...]
    numbering: Numbering | None = None


def find_instances(
    prediction: NDArray[Any],
    reference: NDArray[Any],
    spacing: Sequence[float],
    group: Group,
    threshold: float = THRESHOLD,
    connectivity: Connectivity = "corners",
) -> CaseInstances:
    """Find and match the instances of a group.

    Args:
        prediction: (*S), label values.
        reference: (*S).
        spacing: of each axis, mm.
        group: what counts as an instance.
        threshold: IoU that a pair must exceed.
        connectivity: voxels of a component share faces, edges or corners.

    >>> reference, prediction = np.zeros((2, 4, 30), dtype=np.uint8)
    >>> reference[:, 2:6] = reference[:, 12:16] = prediction[:, 2:7] = 1
    >>> found = find_instances(prediction, reference, (1.0, 1.0), Group("lesion", (1,), ("lesion",), True))
    >>> len(found.true), len(found.predicted), [round(match.iou, 2) for match in found.matches]
    (2, 1, [0.8])
    """
    a, b = encode_instances(prediction, reference, group, connectivity)
    overlaps = count_overlaps(a, b)
    boxes = [boxes_of(image, int(image.max(initial=0)) + 1) for image in (a, b)]
    matches = tuple(
        _measured(a, b, i, j, common, around([boxes[0][i], boxes[1][j]], a.ndim), overlaps, spacing)
        for i, j, common in match_instances(overlaps, threshold)
    )
    predicted, true = (
        tuple((np.flatnonzero(sizes[1:])).tolist()) for sizes in (overlaps.predicted, overlaps.true)
    )
    numbers = (
        None
        if group.components
        else numbering(
            overlaps, [match.prediction - match.reference for match in matches], len(group.values)
        )
    )
    return CaseInstances(predicted, true, matches, numbers)


def encode_instances(
    prediction: NDArray[Any], reference: NDArray[Any], group: Group, connectivity: Connectivity
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both label maps with 0 for the background and 1, 2, ... for the instances."""
    coded = [encode(image, [0, *group.values]) for image in (prediction, reference)]
    for image in coded:
        image[image > len(group.values)] = 0
    if not group.components:
        return coded[0], coded[1]
    from scipy.ndimage import generate_binary_structure, label  # slow to import

    rank = prediction.ndim
    structure = generate_binary_structure(rank, min(rank, CONNECTIVITIES.index(connectivity) + 1))
    a, b = (label(image != 0, structure)[0] for image in coded)
    return a, b


def _measured(
    a: NDArray[Any],
    b: NDArray[Any],
    i: int,
    j: int,
    common: int,
    box: Box,
    overlaps: Overlaps,
    spacing: Sequence[float],
) -> Match:
    distances = surface_distances(a[box] == i, b[box] == j, spacing)
    both = int(overlaps.predicted[i] + overlaps.true[j])
    iou, dice = common / (both - common), 2 * common / both
    return Match(i - 1, j - 1, iou, dice, distances.assd, distances.hd95)
