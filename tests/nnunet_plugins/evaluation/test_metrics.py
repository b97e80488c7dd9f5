"""Metrics by hand on anisotropic grids, empty masks, and general properties."""

import numpy as np
import pytest

from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.metrics import compare
from nnunet_plugins.evaluation.overlap import Counts, overlap

SPACING = (3.0, 0.5, 0.8)  # mm, z y x: thick slices
SIZE = (8, 12, 12)


def box(*corners, size=SIZE):
    mask = np.zeros(size, dtype=bool)
    mask[tuple(slice(start, stop) for start, stop in corners)] = True
    return mask


def blob(seed, size=SIZE):
    return np.random.default_rng(seed).random(size) > 0.9


EMPTY = np.zeros(SIZE, dtype=bool)
CUBE = box((2, 5), (4, 8), (4, 8))  # 3 x 4 x 4 = 48 voxels of 1.2 mm^3


def test_a_box_shifted_by_one_thick_slice():
    scores = compare(box((3, 6), (4, 8), (4, 8)), CUBE, SPACING)
    # 2 of 3 slices agree: TP 32, FP 16, FN 16.
    assert scores.dice == pytest.approx(64 / 96)
    assert scores.iou == pytest.approx(32 / 64)
    assert scores.precision == scores.recall == pytest.approx(32 / 48)
    # Surfaces, of slices of 4 x 4 = 16 with a rim of 12: all voxels of the end slices, the rim of the middle slice.
    #   prediction 3 (16) on reference 3 (rim): 12 at 0 mm, the 4 inside 0.5 mm (y) from the rim
    #   prediction 4 (rim) on reference 4 (16): at 0 mm
    #   prediction 5 (16) on reference 4 (16): at 3 mm
    # and the same in the other direction, mirrored: 44 distances each.
    one_way = 4 * 0.5 + 16 * 3.0
    assert scores.assd_mm == pytest.approx(2 * one_way / (2 * 44))
    assert scores.hd95_mm == scores.hd_mm == pytest.approx(3.0)
    # All but the 16 of the end slice are within 2 mm, in both directions: 28 of 44.
    assert scores.nsd == pytest.approx(28 / 44)
    # 1152 voxels: FP + FN are 32 of them, and 1152 - 48 are background.
    assert scores.accuracy == pytest.approx((1152 - 32) / 1152)
    assert scores.specificity == pytest.approx((1152 - 48 - 16) / (1152 - 48))
    assert scores.volume_error_ml == scores.volume_error == 0
    assert (scores.prediction_voxels, scores.reference_voxels) == (48, 48)
    assert scores.reference_mm3 == pytest.approx(48 * 1.2)
    assert scores.state == "both present"


@pytest.mark.parametrize(("axis", "millimetres"), enumerate(SPACING))
def test_the_distance_of_single_voxels_is_a_multiple_of_the_spacing(axis, millimetres):
    a, b = EMPTY.copy(), EMPTY.copy()
    a[4, 4, 4] = True
    b[tuple(4 + 2 * (here == axis) for here in range(3))] = True
    scores = compare(a, b, SPACING)
    assert scores.hd95_mm == scores.assd_mm == pytest.approx(2 * millimetres)
    assert scores.dice == 0


def test_hd95_is_the_larger_of_two_directed_percentiles():
    line = box((4, 5), (0, 10), (4, 5))
    start = box((4, 5), (0, 1), (4, 5))
    # line -> start: 0, 0.5, ... 4.5 mm; its 95th percentile, interpolated at 0.95 * 9 = 8.55 steps.
    assert compare(line, start, SPACING).hd95_mm == pytest.approx(8.55 * 0.5)
    assert compare(line, start, SPACING).assd_mm == pytest.approx((0.5 * 45 + 0) / 11)


def test_two_axes():
    a = box((2, 5), (4, 8), size=(8, 12))
    b = box((3, 6), (4, 8), size=(8, 12))
    scores = compare(a, b, (3.0, 0.5))
    assert scores.dice == pytest.approx(2 / 3)
    assert scores.hd95_mm == pytest.approx(3.0)
    assert scores.reference_mm3 == pytest.approx(12 * 1.5)  # an area in two dimensions


def test_equal_masks_are_perfect():
    scores = compare(CUBE, CUBE, SPACING)
    assert (scores.dice, scores.iou, scores.precision, scores.recall) == (1, 1, 1, 1)
    assert scores.hd95_mm == scores.assd_mm == 0


def test_the_volume_error_has_a_sign():
    larger = compare(box((2, 5), (4, 8), (4, 9)), CUBE, SPACING)  # 60 voxels against 48
    assert larger.volume_error_ml == pytest.approx(12 * 1.2 / 1000)
    assert larger.volume_error == pytest.approx(12 / 48)
    smaller = compare(box((2, 5), (4, 8), (4, 7)), CUBE, SPACING)
    assert smaller.volume_error_ml == pytest.approx(-12 * 1.2 / 1000)
    assert smaller.volume_error == pytest.approx(-12 / 48)


def test_distances_in_pixels_ignore_the_spacing():
    a, b = EMPTY.copy(), EMPTY.copy()
    a[4, 4, 4] = b[6, 4, 4] = True
    scores = compare(a, b, SPACING, pixels=True)
    assert scores.hd_mm == pytest.approx(6.0)
    assert scores.hd_px == scores.hd95_px == scores.assd_px == pytest.approx(2.0)
    assert compare(a, b, SPACING).hd_px is None


@pytest.mark.parametrize(("tolerance", "share"), [(2.9, 28 / 44), (3.0, 1.0), (0.4, 24 / 44)])
def test_nsd_counts_surface_voxels_within_the_tolerance(tolerance, share):
    # Distances as above: 24 of 44 at 0 mm, 4 at 0.5 mm, 16 at 3 mm, each way.
    scores = compare(box((3, 6), (4, 8), (4, 8)), CUBE, SPACING, tolerance=tolerance)
    assert scores.nsd == pytest.approx(share)


def test_a_distance_equal_to_the_tolerance_counts():
    a, b = EMPTY.copy(), EMPTY.copy()
    a[4, 4, 4] = b[4, 4, 7] = True  # three steps of 0.1 are 0.30000000000000004
    assert compare(a, b, (3.0, 0.5, 0.1), tolerance=0.3).nsd == 1


def test_a_slice_stored_as_a_volume_is_measured_in_two_dimensions():
    a, b = (box((2, 6), (2, 6), size=(8, 12)), box((2, 6), (2, 7), size=(8, 12)))
    flat = compare(a, b, (0.5, 0.8), pixels=True)
    stored = compare(a[None], b[None], (4.0, 0.5, 0.8), pixels=True)
    assert (stored.hd_mm, stored.assd_mm, stored.assd_px) == (
        flat.hd_mm,
        flat.assd_mm,
        flat.assd_px,
    )
    # Outlines of 4 x 4 and 4 x 5: 12 and 14. Of the first, 2 inner ones of column 5 are 1 away from the outline;
    # of the second, the 4 of column 6.
    assert flat.assd_px == pytest.approx((2 + 4) / (12 + 14))


def test_both_empty_has_no_scores():
    scores = compare(EMPTY, EMPTY, SPACING)
    assert [getattr(scores, name) for name in METRICS] == [None] * len(METRICS)
    assert (scores.state, scores.reference_mm3) == ("both empty", 0.0)


@pytest.mark.parametrize(
    ("masks", "state", "expected"),
    [
        ((CUBE, EMPTY), "false alarm", {"precision": 0, "recall": None, "volume_error": None}),
        ((EMPTY, CUBE), "missed", {"precision": None, "recall": 0, "volume_error": -1}),
    ],
)
def test_one_empty_mask_has_no_distances(masks, state, expected):
    scores = compare(*masks, SPACING)
    none = dict.fromkeys(("hd_mm", "hd95_mm", "assd_mm"))
    sign = 1 if state == "false alarm" else -1
    expected |= {"dice": 0, "iou": 0, "nsd": 0, **none}
    expected |= {"volume_error_ml": pytest.approx(sign * 48 * 1.2 / 1000)}
    assert {name: getattr(scores, name) for name in expected} == expected
    assert scores.state == state
    assert scores.specificity == (1 if state == "missed" else (1152 - 48) / 1152)


def test_an_image_without_background_has_no_specificity():
    full = np.ones((2, 3, 4), dtype=bool)
    assert compare(full, full, SPACING).specificity is None


@pytest.mark.parametrize("seed", range(3))
def test_swapping_the_masks_swaps_precision_and_recall_only(seed):
    there = compare(blob(seed), blob(seed + 10), SPACING)
    back = compare(blob(seed + 10), blob(seed), SPACING)
    for name in ("dice", "iou", "hd95_mm", "assd_mm"):
        assert getattr(there, name) == pytest.approx(getattr(back, name))
    assert there.precision == pytest.approx(back.recall)


def test_distances_scale_with_the_voxel_size_and_overlap_does_not():
    small = compare(blob(1), blob(2), SPACING)
    large = compare(blob(1), blob(2), tuple(2 * size for size in SPACING))
    assert large.hd95_mm == pytest.approx(2 * small.hd95_mm)
    assert large.assd_mm == pytest.approx(2 * small.assd_mm)
    assert large.reference_mm3 == pytest.approx(8 * small.reference_mm3)
    assert large.dice == small.dice


def test_masks_are_not_modified():
    a, b = blob(5), blob(6)
    kept = a.copy(), b.copy()
    compare(a, b, SPACING)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])


def test_counts_are_exact_beyond_float32():
    hits = 2**24 + 1  # float32 counts to 2^24
    assert overlap(Counts(hits, 1, 0, 0))["precision"] == hits / (hits + 1) < 1


def test_different_shapes_are_rejected():
    with pytest.raises(ValueError, match="same shape and rank"):
        compare(CUBE, CUBE[1:], SPACING)
    with pytest.raises(ValueError, match="same shape and rank"):
        compare(CUBE, CUBE, (1.0, 1.0))
