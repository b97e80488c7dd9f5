"""Slices without a label between labelled ones, and gaps that are natural."""

import numpy as np
import pytest

from dataset_conversion.cases.holes import holes

ANISOTROPIC, ISOTROPIC = (0.8, 0.8, 3.0), (1.0, 1.0, 1.0)


def stack(pattern, shift=0):
    """A box in the slices marked #, moved by `shift` voxels from one labelled slice to the next."""
    mask = np.zeros((len(pattern), 12, 40), np.uint8)
    start = 0
    for number, mark in enumerate(pattern):
        if mark == "#":
            mask[number, 3:9, start : start + 6] = 1
            start += shift
    return mask


@pytest.mark.parametrize("spacing", [ANISOTROPIC, ISOTROPIC])
@pytest.mark.parametrize(
    ("pattern", "missing"),
    [
        ("...#..#..#", "4 of the 7"),
        ("#.#.#.#.#.", "4 of the 9"),
        ("#....#....#....#", "12 of the 16"),
        ("..####.###", "1 of the 8"),
        (".###..######.", "2 of the 11"),
        ("##.##.##.##", "3 of the 11"),
    ],
)
def test_missed_slices_are_counted(pattern, missing, spacing):
    assert holes(stack(pattern), spacing).startswith(f"no label in {missing} slices")


@pytest.mark.parametrize(
    ("pattern", "shift"),
    [
        ("..########..", 0),
        ("", 0),
        ("..#...", 0),
        ("#######............#######", 0),  # two structures
        ("##.###", 7),  # two lesions at different places
        (".#.##.", 0),  # small lesions
        ("#..#.##...#", 6),
    ],
)
@pytest.mark.parametrize("spacing", [ANISOTROPIC, ISOTROPIC])
def test_natural_gaps_are_not(pattern, shift, spacing):
    mask = stack(pattern, shift) if pattern else np.zeros((4, 5, 6), np.uint8)
    assert holes(mask, spacing) == ""


def test_the_axis_of_the_slices_is_the_one_of_the_longest_voxels():
    mask = stack("...#..#..#")
    assert holes(mask.transpose(1, 0, 2), (0.8, 3.0, 0.8))
    assert not holes(mask, (3.0, 0.8, 0.8))


def test_another_label_beyond_the_gap_is_another_structure():
    mask = stack("####..####")
    mask[6:] *= 2
    assert not holes(mask, ANISOTROPIC)


@pytest.mark.parametrize("spacing", [ANISOTROPIC, ISOTROPIC])
def test_a_slice_that_one_label_misses_is_found_next_to_another_label(spacing):
    mask = stack("..####.###")
    mask[:, 3:9, 20:30] = 2
    assert holes(mask, spacing).startswith("label 1 is missing in 1 of the 8 slices")
    mask[6, 3:9, :6] = 1
    assert holes(mask, spacing) == ""
