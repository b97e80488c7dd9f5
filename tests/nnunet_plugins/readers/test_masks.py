"""Numbers of masks: signs, cases without a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import compare
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.evaluation.summary import CaseScores, Scores
from nnunet_plugins.readers.findings import GAIN
from nnunet_plugins.readers.mask_scoring import MaskScoring
from nnunet_plugins.readers.masks import of_masks
from nnunet_plugins.readers.sheets import sheets_of
from tests.nnunet_plugins.comparison.compared import SPACING, row_of

LABELS = Labels({"lesion": (1,)}, None, "test")


def scored(true: Sequence[int], masks: Mapping[tuple[str, str], Sequence[int]]) -> MaskScoring:
    """Scores of rows of voxels with the same first voxel; the numbers of voxels, of each case."""

    def one(case: int, found: int) -> CaseScores:
        labels = {"lesion": compare(row_of(found), row_of(true[case]), SPACING)}
        return CaseScores(f"case{case}", SPACING, labels, Counts(0, 0, 0, 288), 288)

    scores = {
        key: Scores(LABELS, tuple(one(case, n) for case, n in enumerate(found)))
        for key, found in masks.items()
    }
    return MaskScoring(scores, LABELS, {}, ())


def differences(findings, measure):
    return {
        (one.table, one.reader): one
        for one in findings
        if one.measure == measure and one.arm == GAIN
    }


@pytest.mark.parametrize("metric", ["dice", "hd_mm", "volume_error"])
def test_differences_are_positive_if_better_in_all_tables(metric):
    """The masks alone are too small, some assisted ones are too large: errors of both signs."""
    masks = {
        ("A", "alone"): [5, 6, 7, 4], ("A", "assisted"): [12, 9, 11, 9],
        ("B", "alone"): [4, 6, 5, 5], ("B", "assisted"): [8, 13, 9, 9],
    }  # fmt: skip
    findings, _ = of_masks(scored([10] * 4, masks), [metric])
    found = differences(findings, metric)
    a, b = (found["masks, alone against assisted", reader] for reader in "AB")
    assert a.value > 0 < b.value
    for table in ("all readers", "these readers"):
        both = found[table, "all"]
        assert both.value == pytest.approx((a.value + b.value) / 2)
        assert both.low < both.value < both.high
    assert all(one.method.endswith("; positive if better") for one in found.values())
    (alone,) = [
        one for one in findings if one.table == "all readers" and one.arm == "alone"
    ]  # as measured
    means = [one.value for one in findings if one.table == "masks" and one.arm == "alone"]
    assert alone.value == pytest.approx(sum(means) / 2)


def test_means_over_fewer_cases_state_their_number():
    masks = {("A", "alone"): [0, 0, 9, 9], ("B", "alone"): [8, 8, 9, 9]}
    masks |= {(reader, "assisted"): [9] * 4 for reader in "AB"}
    findings, notes = of_masks(scored([10] * 4, masks), ["dice", "precision"])
    (sheet,) = [one for one in sheets_of(findings) if one.title == "Masks: lesion"]
    a, b = (row for row in sheet.rows if row[1] == "alone")
    assert (a[2], b[2]) == ("4", "4")
    assert a[4].endswith(", n = 2")
    assert not any("n =" in cell for cell in (a[3], *b))
    assert notes == [
        "masks of all readers (precision of lesion): 2 of 4 cases left out, because not every reader has a value in "
        "both arms: case0, case1"
    ]


def test_a_difference_is_of_cases_with_a_value_in_both_arms():
    """Recall does not exist where the reference is empty; a distance that is missing is ranked, not averaged."""
    masks = {("A", "alone"): [3, 3, 5, 5, 5, 0], ("A", "assisted"): [0, 4, 8, 8, 8, 8]}
    findings, _ = of_masks(scored([0, 0, 10, 10, 10, 10], masks), ["recall", "hd_mm"])
    recall = differences(findings, "recall")["masks, alone against assisted", "A"]
    assert recall.value == pytest.approx((3 * 0.3 + 0.8) / 4)
    assert (recall.n, recall.n_test, recall.better, recall.worse) == (4, 4, 4, 0)
    distance = differences(findings, "hd_mm")["masks, alone against assisted", "A"]
    assert distance.value == pytest.approx(3 * SPACING[2])
    # In the test: a false alarm that is gone, one in both arms, a lesion that is found.
    assert (distance.n, distance.n_test, distance.better, distance.worse) == (3, 6, 5, 0)
    (sheet,) = [one for one in sheets_of(findings) if one.title.startswith("Masks, assisted")]
    assert [row[3] for row in sheet.rows] == ["4", "3 (test: 6)"]
