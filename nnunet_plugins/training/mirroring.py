"""Mirroring that a dataset allows: if labels have a side, left and right must not be exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataset_conversion.side_words import has_side
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The entry that our converters write into dataset.json.
ENTRY = "nnunet_plugins"


def allowed_mirror_axes(
    axes: Sequence[int],
    dataset_json: Mapping[str, Any],
    transpose_forward: Sequence[int],
    rank: int,
) -> tuple[tuple[int, ...], str]:
    """The ``axes`` of a patch of ``rank`` 2 or 3 that may be mirrored, and the reason as text.

    The converters write to dataset.json which axis of the array read by nnU-Net is left-right
    (``left_right_axis``; a list if it is not the same in all cases: then none of them is mirrored) and which labels
    have a side (``sided_labels``). The plans transpose that array by ``transpose_forward``; a 2D patch has its last
    two axes. If label names have sides but the dataset does not
    state the left-right axis, no axis may be mirrored.

    >>> data = {"labels": {"background": 0, "hip_left": 1}, "nnunet_plugins": {"left_right_axis": 2}}
    >>> allowed_mirror_axes((0, 1, 2), data, (0, 1, 2), rank=3)[0]
    (0, 1)

    Raises:
        UserError: left_right_axis is not 0, 1 or 2, or a list of them.
    """
    entry = dataset_json.get(ENTRY, {})
    sided = entry.get("sided_labels")
    if sided is None:
        sided = [name for name in dataset_json["labels"] if has_side(name)]
    if not sided:
        return tuple(axes), f"mirroring axes {list(axes)}: no label has a side"
    names = ", ".join(sided)
    left_right = entry.get("left_right_axis")
    several = left_right if isinstance(left_right, list) else [left_right]
    if left_right is not None and (not several or any(axis not in (0, 1, 2) for axis in several)):
        raise UserError(
            f"dataset.json: {ENTRY}.left_right_axis is {left_right!r}; allowed: 0, 1 or 2 of the z, y, x array, or a "
            "list of them"
        )
    if left_right is None:
        return (), (
            f"mirroring is off: labels {names} have sides and dataset.json does not state which axis is "
            f'left-right ("{ENTRY}": {{"left_right_axis": 0, 1 or 2 of the z, y, x array}})'
        )
    in_patch = sorted(list(transpose_forward).index(axis) - (3 - rank) for axis in several)
    kept = tuple(a for a in axes if a not in in_patch)
    off = [str(axis) for axis in in_patch if axis >= 0]
    if not off:
        return (
            kept,
            f"mirroring axes {list(kept)}: labels {names} have sides, left-right is across slices",
        )
    noun = "axis" if len(off) == 1 else "axes"
    return kept, (
        f"mirroring axes {list(kept)}: left-right ({noun} {' and '.join(off)} of the patch) is off, "
        f"labels {names} have sides"
    )
