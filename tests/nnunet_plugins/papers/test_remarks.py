"""Remarks on tables: printed scores that cannot be, found from the numbers."""

from __future__ import annotations

import statistics

import pytest

from nnunet_plugins.papers.library import PAPERS, TABLES, find_table
from nnunet_plugins.papers.remarks import high_dices, low_ious, remarks


def test_footnotes_name_cells_that_are_printed() -> None:
    for table in TABLES:
        for key, name in (cell for footnote in remarks(table) for cell in footnote.cells):
            assert name in table.row(key).printed


def test_remarks_are_distinct_sentences() -> None:
    for texts in (
        *([one.text for one in remarks(table)] for table in TABLES),
        *(paper.footnotes for paper in PAPERS),
    ):
        assert len(set(texts)) == len(texts)
        assert all(text.endswith(".") for text in texts)


def test_every_iou_below_that_of_its_dice_is_marked() -> None:
    """D / (2 - D) with the smallest D that rounds to the printed one, against the largest such IoU."""
    below = set()
    pairs = {"IoU": "Dice", "MIoU": "DSC", "mIoU": "F1"}
    for table in TABLES:
        for row in table.rows:
            for name, value in row.printed.items():
                metric, space, bone = name.partition(" ")
                dice = row.printed.get(f"{pairs.get(metric)}{space}{bone}")
                if dice is None or name.endswith(".sd"):
                    continue
                if metric == "mIoU":
                    lowest, highest = dice - 0.00005, value + 0.00005
                else:
                    step = 0.05 if metric == "IoU" or bone else 0.005
                    lowest, highest = (dice - step) / 100, (value + step) / 100
                if highest < lowest / (2 - lowest):
                    below.add((table.id, row.key, name))
    cells = {
        (table.id, *cell)
        for table in TABLES
        for one in remarks(table)
        if one.text.startswith("The mean IoU")
        for cell in one.cells
    }
    assert cells == below
    assert {cell for cell in below if not cell[0].startswith("cai")} == {
        ("jing2025-se-unet.1", "attention", "IoU"),
        ("yan2025-mag-unet.1", "attention", "IoU"),
        ("yan2025-mag-unet.2", "cbam", "IoU"),
    }
    of_bones = {cell for cell in below if " " in cell[2]}
    assert len(of_bones) == 21
    assert below - of_bones >= {
        ("cai2023-aspp-unet.2", "aspp1234", "MIoU"),
        ("cai2023-aspp-unet.3", "aspp", "MIoU"),
    }


def test_the_bounds_in_the_footnotes() -> None:
    for table, bound in (
        ("jing2025-se-unet.1", "84.1, at least 84.84"),
        ("yan2025-mag-unet.1", "84.1, at least 84.84"),
        ("yan2025-mag-unet.2", "83.2, at least 83.49"),
        ("cai2023-aspp-unet.2", "75.49, at least 76.37"),
        ("cai2023-aspp-unet.3", "22 numbers break this"),
        ("cai2023-aspp-unet.3", "T12: 68.4, at least 71.97"),
    ):
        assert any(bound in one.text for one in remarks(find_table(table)))
    assert [round(100 * d / (2 - d), 2) for d in (0.918, 0.91, 0.866, 0.837)] == [
        84.84, 83.49, 76.37, 71.97,
    ]  # fmt: skip


def test_dices_above_the_harmonic_mean_of_precision_and_recall() -> None:
    assert [table.id for table in TABLES if high_dices(table)] == ["yan2025-mag-unet.1"]
    found = {one.row.key: one.bound for one in high_dices(find_table("yan2025-mag-unet.1"))}
    expected = {
        "segnet": 2 * 87.5 * 89.0 / (87.5 + 89.0),
        "unetr": 2 * 84.6 * 88.4 / (84.6 + 88.4),
        "mag": 2 * 93.3 * 91.3 / (93.3 + 91.3),
    }
    assert found == pytest.approx(expected)
    (text,) = [r.text for r in remarks(find_table("yan2025-mag-unet.1")) if "at most" in r.text]
    assert "SegNet, Dice: 88.6, at most 88.24" in text


def test_real_masks_respect_both_bounds() -> None:
    """Means over cases of any masks: IoU, precision and recall from counts."""
    counts = [(8, 2, 1), (5, 0, 9), (1, 7, 2), (3, 3, 3)]  # TP, FP, FN
    dice = statistics.fmean(2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts)
    iou = statistics.fmean(tp / (tp + fp + fn) for tp, fp, fn in counts)
    precision = statistics.fmean(tp / (tp + fp) for tp, fp, _ in counts)
    recall = statistics.fmean(tp / (tp + fn) for tp, _, fn in counts)
    assert iou >= dice / (2 - dice)
    assert dice <= 2 * precision * recall / (precision + recall)


def test_a_bound_within_rounding_is_not_broken() -> None:
    """MAG-UNet: Dice 92.5 gives 86.05, printed is 86.0; a Dice of 92.45 gives 85.96."""
    rows = {one.row.key for one in low_ious(find_table("yan2025-mag-unet.1"))}
    assert rows == {"attention"}
