"""Verify labels of the left and the right side from their positions in the body.

Datasets number the sides differently, and a header may exchange them. Either gives a valid dataset
in which every side is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import SimpleITK as sitk

from dataset_conversion.cases.label_positions import joint, positions
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_sides import side_pairs

_UNSURE = 2.0  # mm between two structures near the middle of the body


@dataclass(frozen=True)
class Sides:
    """Values of a bone on either side, and of a bone between them.

    Attributes:
        bone: name of the bone, for messages.
        left: its values on the patient's left.
        right: its values on the patient's right.
        middle: values of the bone between, used where one side is not in the scan.
    """

    bone: str
    left: Collection[int]
    right: Collection[int]
    middle: Collection[int]


def check_sides(mask: sitk.Image, sides: Sides, who: str, fix: str) -> list[str]:
    """Compare the positions of both sides in physical space (LPS: x grows to the patient's left).

    The mask has the source's values. `who` and `fix`, which is what to do if sides are exchanged, are for
    messages.

    Returns:
        A note if the mask does not allow the comparison.

    Raises:
        DatasetError: the left bone is not to the left of the right one.

    >>> import numpy as np
    >>> mask = sitk.GetImageFromArray(np.array([[[2, 1, 3]]], np.uint8))
    >>> check_sides(mask, Sides("hip", left=[3], right=[2], middle=[1]), "mask", "renumber it")
    []
    """
    found = positions(mask)
    left, right = joint(found, sides.left), joint(found, sides.right)
    if left is None and right is None:
        return []
    middle = joint(found, sides.middle)
    first = f"left {sides.bone}" if left is not None else "bone in the middle"
    second = f"right {sides.bone}" if right is not None else "bone in the middle"
    one, other = (middle if side is None else side for side in (left, right))
    if one is None or other is None:
        return [f"only one {sides.bone} is labelled and no bone in the middle: side not verified"]
    apart = float(one[0] - other[0])
    if apart <= 0:
        raise DatasetError(f"{who}: {_exchanged(f'the {first}', f'the {second}', apart)}; {fix}")
    return []


def exchanged_sides(mask: sitk.Image, labels: Mapping[str, Collection[int]]) -> str:
    """Describe the labels of one structure on either side whose positions contradict their names; "" if none do.

    `labels` are names and their values in the mask, whose header places it in LPS.

    >>> import numpy as np
    >>> mask = sitk.GetImageFromArray(np.array([[[2, 2, 2, 0, 3, 3]]], np.uint8))
    >>> exchanged_sides(mask, {"left ilium": [3], "right ilium": [2]})
    ''
    >>> exchanged_sides(mask, {"left ilium": [2], "right ilium": [3]})
    "by the positions in the file left ilium is 4 mm to the patient's right of right ilium"
    """
    pairs = side_pairs(labels)
    found = positions(mask) if pairs else {}
    texts = []
    for left, right in pairs:
        one, other = joint(found, labels[left]), joint(found, labels[right])
        if one is None or other is None:
            continue
        apart = float(one[0] - other[0])
        if apart < -_UNSURE:
            texts.append(_exchanged(left, right, apart))
    return ", and ".join(texts)


def _exchanged(left: str, right: str, apart: float) -> str:
    return (
        f"by the positions in the file {left} is {-apart:.0f} mm to the patient's right of {right}"
    )
