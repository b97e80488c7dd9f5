"""Left and right are never exchanged, however the plans transpose the array."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.mirroring import ENTRY, allowed_mirror_axes

SIDED = {"background": 0, "hip_left": 1, "hip_right": 2}
PLAIN = {"background": 0, "sacrum": 1, "L5": 2}


def dataset(labels, **entry):
    return {"labels": labels} | ({ENTRY: entry} if entry else {})


TRANSPOSES = list(itertools.permutations(range(3)))


def axes_of_left_right(left_right, transpose, rank):
    """Axes of the patch along which left-right runs, by transposing an array as nnU-Net does."""
    shape = [2, 3, 4]
    place = np.arange(shape[left_right]).reshape([-1 if a == left_right else 1 for a in range(3)])
    channels = np.broadcast_to(place, shape)[None]
    moved = channels.transpose([0, *[axis + 1 for axis in transpose]])[0]
    patch = moved if rank == 3 else moved[0]
    return [axis for axis in range(rank) if np.ptp(patch, axis=axis).any()]


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("transpose", TRANSPOSES)
@pytest.mark.parametrize("left_right", [0, 1, 2])
def test_the_forbidden_axis_is_the_one_along_which_left_right_runs(left_right, transpose, rank):
    entry = dataset(SIDED, left_right_axis=left_right, sided_labels=["hip_left", "hip_right"])
    kept, _ = allowed_mirror_axes(range(rank), entry, transpose, rank)
    forbidden = [axis for axis in range(rank) if axis not in kept]
    assert forbidden == axes_of_left_right(left_right, transpose, rank)


def test_in_2d_both_axes_are_allowed_only_where_left_right_is_across_slices():
    entry = dataset(SIDED, left_right_axis=2, sided_labels=["hip_left"])
    free = [t for t in TRANSPOSES if allowed_mirror_axes((0, 1), entry, t, 2)[0] == (0, 1)]
    assert free == [(2, 0, 1), (2, 1, 0)]


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("transpose", TRANSPOSES)
def test_axes_that_are_left_right_in_some_cases_are_all_forbidden(transpose, rank):
    entry = dataset(SIDED, left_right_axis=[0, 2], sided_labels=["hip_left", "hip_right"])
    kept, reason = allowed_mirror_axes(range(rank), entry, transpose, rank)
    forbidden = {axis for way in (0, 2) for axis in axes_of_left_right(way, transpose, rank)}
    assert set(range(rank)) - set(kept) == forbidden
    assert all(str(axis) in reason for axis in forbidden)


@pytest.mark.parametrize("axes", [[], [0, 3], ["x"], [None]])
def test_a_list_of_axes_must_hold_axes(axes):
    with pytest.raises(
        UserError, match="allowed: 0, 1 or 2 of the z, y, x array, or a list of them"
    ):
        allowed_mirror_axes((0, 1, 2), dataset(SIDED, left_right_axis=axes), (0, 1, 2), 3)


@pytest.mark.parametrize("asked", [(), (0,), (2,), (2, 0), (1, 0, 2)])
def test_only_requested_axes_are_returned_in_their_order(asked):
    entry = dataset(SIDED, left_right_axis=2, sided_labels=["hip_left"])
    assert allowed_mirror_axes(asked, entry, (0, 1, 2), 3)[0] == tuple(a for a in asked if a != 2)


@pytest.mark.parametrize(
    "entry",
    [
        dataset(PLAIN),
        dataset(PLAIN, left_right_axis=2),
        dataset(PLAIN, left_right_axis=2, sided_labels=[]),
        # The entry takes precedence: a label may have no side although its name suggests one.
        dataset(SIDED, left_right_axis=2, sided_labels=[]),
    ],
)
@pytest.mark.parametrize("asked", [(0, 1, 2), (1,), ()])
def test_without_sided_labels_all_axes_remain(entry, asked):
    kept, reason = allowed_mirror_axes(asked, entry, (2, 0, 1), 3)
    assert kept == asked
    assert "no label has a side" in reason


@pytest.mark.parametrize(
    "entry",
    [
        dataset(SIDED),
        dataset(SIDED, orientation="LPS"),
        dataset(SIDED, sided_labels=["hip_left", "hip_right"]),
        dataset(PLAIN, sided_labels=["hip_left"]),
    ],
)
@pytest.mark.parametrize("rank", [2, 3])
def test_an_unknown_axis_is_not_guessed(entry, rank):
    kept, reason = allowed_mirror_axes(range(rank), entry, (0, 1, 2), rank)
    assert kept == ()
    assert "hip_left" in reason
    assert f'"{ENTRY}": {{"left_right_axis"' in reason  # the fix


@pytest.mark.parametrize(
    ("transpose", "rank", "words"),
    [
        ((0, 1, 2), 3, "[0, 1]: left-right (axis 2 of the patch) is off, labels hip_left"),
        ((0, 1, 2), 2, "[0]: left-right (axis 1 of the patch) is off, labels hip_left"),
        ((2, 0, 1), 3, "[1, 2]: left-right (axis 0 of the patch) is off, labels hip_left"),
        ((2, 0, 1), 2, "[0, 1]: labels hip_left have sides, left-right is across slices"),
    ],
)
def test_the_reason_names_remaining_axes_and_labels(transpose, rank, words):
    entry = dataset(SIDED, left_right_axis=2, sided_labels=["hip_left"])
    assert words in allowed_mirror_axes(range(rank), entry, transpose, rank)[1]


def test_sides_follow_from_label_names_without_an_entry_of_a_converter():
    entry = dataset(SIDED | {"sacrum": 3}, left_right_axis=1)
    kept, reason = allowed_mirror_axes((0, 1, 2), entry, (0, 1, 2), 3)
    assert kept == (0, 2)
    assert "hip_left, hip_right have sides" in reason
    assert "sacrum" not in reason
