"""The named means by hand, what they leave out, and the arithmetic of silveira2025-inception-dual."""

import numpy as np
import pytest
import torch
from monai.metrics import do_metric_reduction
from scipy.optimize import least_squares

from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.aggregates import macro, pooled
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.papers.library import find_table

PRINTED = [
    pytest.param(row.published, id=f"{number}-{row.key}")
    for number in (2, 3, 4, 5, 7)
    for row in find_table(f"silveira2025-inception-dual.{number}").rows
    if row.published
]


@pytest.fixture
def scores(tmp_path, save, declare):
    """Case a: 1 perfect on 8 voxels. Case b: 4 of the 2 voxels of 1 predicted, 2 missed (1 voxel)."""
    declare(tmp_path / "p", {"background": 0, "one": 1, "two": 2, "nowhere": 3})
    a = np.zeros((2, 5, 10), dtype=np.uint8)
    a[0, :2, :4] = 1
    b, wrong = np.zeros_like(a), np.zeros_like(a)
    b[0, 0, :2] = 1
    b[1, 4, 9] = 2
    wrong[0, 0, :4] = 1
    for name, prediction, reference in (("a", a, a), ("b", wrong, b)):
        save(tmp_path / "p" / f"{name}.mha", prediction)
        save(tmp_path / "r" / f"{name}.mha", reference)
    return evaluate(tmp_path / "p", tmp_path / "r")


def test_micro_pools_voxels_and_macro_averages_cases(scores):
    assert scores.summary["one"].metrics["dice"].mean == pytest.approx((1 + 2 * 2 / 6) / 2)
    micro = scores.aggregates["micro"]["one"]
    assert micro["dice"] == pytest.approx(2 * 10 / (2 * 10 + 2))
    assert micro["precision"] == pytest.approx(10 / 12)
    assert micro["recall"] == 1
    assert micro["accuracy"] == pytest.approx(198 / 200)
    assert micro["specificity"] == pytest.approx(188 / 190)
    assert micro["volume_error"] == pytest.approx(2 / 10)
    assert scores.aggregates["micro_foreground"]["dice"] == pytest.approx(20 / (20 + 2 + 1))


def test_means_over_classes_with_and_without_background(scores):
    found = scores.aggregates
    one, two = (1 + 2 / 3) / 2, 0.0
    assert found["macro_over_classes"]["dice"] == {
        "mean": pytest.approx((one + two) / 2),
        "classes": 2,
        "without": ["nowhere"],
    }
    # Background of b: 97 of 100 true, 96 predicted; all but the missed voxel of label 2, predicted as background.
    background = (1 + 2 * 95 / (96 + 97)) / 2
    with_it = found["macro_over_classes_with_background"]["dice"]
    assert with_it["mean"] == pytest.approx((background + one + two) / 3)
    assert with_it["classes"] == 3
    pooled_background = 2 * (92 + 95) / (92 + 92 + 96 + 97)
    assert found["pooled_macro_over_classes_with_background"]["dice"]["mean"] == pytest.approx(
        (pooled_background + 20 / 22 + 0) / 3
    )
    assert found["voxel_accuracy"] == pytest.approx(197 / 200)


def test_the_mean_over_cases_of_their_means_is_monais_reduction(scores):
    found = scores.aggregates["macro_over_cases_of_label_means"]
    # Case a: 1 of label one; b: 2 / 3 of label one and 0 of label two.
    assert found["dice"] == {
        "n": 2,
        "mean": pytest.approx((1 + (2 / 3 + 0) / 2) / 2),
        "sd": pytest.approx((1 - 1 / 3) / 2**0.5),
        "median": pytest.approx((1 + 1 / 3) / 2),
    }
    for metric in ("dice", "recall", "hd95_mm", "volume_error_ml"):
        values = [[getattr(one, metric) for one in case.labels.values()] for case in scores.cases]
        theirs, _ = do_metric_reduction(torch.tensor(np.array(values, dtype=np.float64)), "mean")
        assert found[metric]["mean"] == pytest.approx(theirs.item()), metric


def test_distances_are_not_pooled(scores):
    assert "hd95_mm" in scores.aggregates["macro_over_classes"]
    assert "hd95_mm" not in scores.aggregates["pooled_macro_over_classes"]
    assert "hd95_mm" not in scores.aggregates["micro"]["one"]


def test_a_voxel_is_correct_if_all_its_labels_are(tmp_path, pair, declare):
    declare(tmp_path, {"background": 0, "whole": [1, 2], "core": 2})
    reference = np.array([[[0, 1, 2, 2]]])
    prediction = np.array([[[0, 2, 2, 1]]])
    assert evaluate(*pair(prediction, reference, ".mha")).aggregates[
        "voxel_accuracy"
    ] == pytest.approx(2 / 4)


@pytest.mark.parametrize("printed", PRINTED)
def test_paper_003_is_macro_over_background_and_foreground_of_pooled_pixels(printed):
    """Accuracy, precision and recall fix a 2 x 2 table; F1 and mIoU must then follow, and do.

    Read as the foreground's own, F1 would be 0.04 lower.
    """

    def table(shares):
        return Counts(*(np.exp(shares) / np.exp(shares).sum() * 1e9).round().astype(int).tolist())

    def averages(counts):
        background = Counts(counts.tn, counts.fn, counts.fp, counts.tp)
        found = {"background": pooled([background]), "foreground": pooled([counts])}
        return {
            name: macro({key: one[name] for key, one in found.items()})["mean"]
            for name in ("precision", "recall", "dice", "iou")
        }

    def miss(shares):
        counts = table([*shares, 0.0])
        means = averages(counts)
        return [
            1e3 * (pooled([counts])["accuracy"] - printed["Accuracy"]),
            1e3 * (means["precision"] - printed["Precision"]),
            1e3 * (means["recall"] - printed["Recall"]),
        ]

    solved = least_squares(miss, np.log([0.15, 0.015, 0.015]) - np.log(0.82), diff_step=1e-4)
    assert np.abs(solved.fun).max() < 0.02, "no 2 x 2 table has these three"
    means = averages(table([*solved.x, 0.0]))
    assert means["dice"] == pytest.approx(printed["F1"], abs=3e-4)
    assert means["iou"] == pytest.approx(printed["mIoU"], abs=5e-4)
