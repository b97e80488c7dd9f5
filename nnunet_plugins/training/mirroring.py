"""Which mirroring a dataset allows: where labels have a side, left and right must not be exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataset_conversion.labels import has_side
from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The entry of dataset.json that our converters write.
ENTRY = "nnunet_plugins"


def allowed_mirror_axes(
    axes: Sequence[int],
    dataset_json: Mapping[str, Any],
    transpose_forward: Sequence[int],
    rank: int,
) -> tuple[tuple[int, ...], str]:
    """Those of ``axes`` of a patch of ``rank`` 2 or 3 that may be mirrored, and the reason in words.

    The converters write into dataset.json which axis of the array that nnU-Net's reader gives is left-right
    (``left_right_axis``) and which labels have a side (``sided_labels``). The plans transpose that array by
    ``transpose_forward``; a 2D patch holds its last two axes. Where labels have sides by their names but the
    dataset does not say which axis is left-right, no axis may be mirrored: it is not guessed.
    """
    entry = dataset_json.get(ENTRY, {})
    sided = entry.get("sided_labels")
    if sided is None:
        sided = [name for name in dataset_json["labels"] if has_side(name)]
    if not sided:
        return tuple(axes), f"mirroring axes {list(axes)}: no label has a side"
    names = ", ".join(sided)
    left_right = entry.get("left_right_axis")
    if left_right not in (None, 0, 1, 2):
        raise UserError(
            f"dataset.json: {ENTRY}.left_right_axis is {left_right!r}; allowed: 0, 1 or 2 of the z, y, x array"
        )
    if left_right is None:
        return (), (
            f"mirroring is off: labels {names} have sides and dataset.json does not say which axis is "
            f'left-right ("{ENTRY}": {{"left_right_axis": 0, 1 or 2 of the z, y, x array}})'
        )
    in_patch = list(transpose_forward).index(left_right) - (3 - rank)
    kept = tuple(a for a in axes if a != in_patch)
    if in_patch < 0:
        return (
            kept,
            f"mirroring axes {list(kept)}: labels {names} have sides, left-right is across slices",
        )
    return kept, (
        f"mirroring axes {list(kept)}: left-right (axis {in_patch} of the patch) is off, "
        f"labels {names} have sides"
    )
