"""MONAI's distances and overlaps, and scikit-learn's counts, on random label maps with anisotropic spacing."""

import numpy as np
import pytest
from monai.metrics import get_confusion_matrix
from scipy.ndimage import gaussian_filter
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    jaccard_score,
    precision_recall_fscore_support,
)

from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.metrics import compare
from tests.nnunet_plugins.evaluation.monai_scores import monai, tensors

SPACING = (3.0, 0.5, 0.8)
CLOSE = {"abs": 1e-4, "rel": 1e-4}


def labels_map(seed, size=(9, 26, 24), classes=4, smooth=2.0):
    """Blobs that touch each other and the borders; the less smooth, the more ragged."""
    noise = np.random.default_rng(seed).normal(size=(classes, *size))
    if smooth:
        noise = np.stack(
            [gaussian_filter(one, (smooth / 2, smooth, smooth)[-len(size) :]) for one in noise]
        )
    return noise.argmax(axis=0).astype(np.uint8)


def masks(seed, smooth, size=(9, 26, 24)):
    return [labels_map(seed + more, size, smooth=smooth) == 1 for more in (0, 100)]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("smooth", [0.0, 2.0], ids=["ragged", "smooth"])
@pytest.mark.parametrize("spacing", [SPACING, (1.0, 1.0, 1.0), (0.7, 0.7)], ids=str)
@pytest.mark.parametrize("tolerance", [0.8, 2.0])
def test_monai(smooth, spacing, tolerance):
    size = (9, 26, 24)[-len(spacing) :]
    for seed in range(3):
        a, b = masks(seed, smooth, size)
        scores = compare(a, b, spacing, tolerance=tolerance)
        for name, value in monai(a, b, spacing, tolerance).items():
            assert getattr(scores, name) == pytest.approx(value, **CLOSE), (name, seed)
        x, y = tensors(a, b)
        tp, fp, tn, fn = get_confusion_matrix(x.float(), y.float()).squeeze().tolist()
        counts = scores.counts
        assert (counts.tp, counts.fp, counts.tn, counts.fn) == (tp, fp, tn, fn)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_monai_on_what_evaluate_cuts_out_of_files(pair):
    # Labels are cut out before they are measured: the position in the image must not matter.
    for place in ((0, 0, 0), (6, 7, 5)):
        large = [np.zeros((15, 40, 34), dtype=np.uint8) for _ in range(2)]
        for seed, into in enumerate(large):
            into[tuple(slice(at, at + n) for at, n in zip(place, (9, 26, 24), strict=True))] = (
                labels_map(seed)
            )
        case = evaluate(*pair(*large)).cases[0]
        for label in (1, 2, 3):
            scores = case.labels[f"label {label}"]
            for name, value in monai(*(image == label for image in large), SPACING).items():
                assert getattr(scores, name) == pytest.approx(value, **CLOSE), name


def test_scikit_learn(tmp_path, save, declare):
    random = np.random.default_rng(0)
    predictions, references = (
        [random.integers(0, 4, (5, 7, 6)) for _ in range(3)] for _ in range(2)
    )
    declare(tmp_path / "p", {"background": 0, "one": 1, "two": 2, "three": 3})
    for number, pair in enumerate(zip(predictions, references, strict=True)):
        for folder, voxels in zip("pr", pair, strict=True):
            save(tmp_path / folder / f"{number}.nii.gz", voxels)
    scores = evaluate(tmp_path / "p", tmp_path / "r")
    p, r = (np.stack(one).ravel() for one in (predictions, references))
    matrix = confusion_matrix(r, p)
    found = scores.aggregates
    for value, name in enumerate(("one", "two", "three"), 1):
        pooled = found["micro"][name]
        tp, fp, fn = (
            matrix[value, value],
            matrix[:, value].sum() - matrix[value, value],
            matrix[value].sum() - matrix[value, value],
        )
        assert pooled["dice"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert pooled["specificity"] == pytest.approx((r.size - tp - fp - fn) / (r.size - tp - fn))
        assert pooled["accuracy"] == pytest.approx(accuracy_score(r == value, p == value))
    for labels, name in (
        ([0, 1, 2, 3], "pooled_macro_over_classes_with_background"),
        ([1, 2, 3], "pooled_macro_over_classes"),
    ):
        precision, recall, f1, _ = precision_recall_fscore_support(
            r, p, labels=labels, average="macro"
        )
        means = {metric: value["mean"] for metric, value in found[name].items()}
        assert means["precision"] == pytest.approx(precision)
        assert means["recall"] == pytest.approx(recall)
        assert means["dice"] == pytest.approx(f1)
        assert means["iou"] == pytest.approx(jaccard_score(r, p, labels=labels, average="macro"))
    micro = precision_recall_fscore_support(r, p, labels=[1, 2, 3], average="micro")
    assert found["micro_foreground"]["precision"] == pytest.approx(micro[0])
    assert found["micro_foreground"]["dice"] == pytest.approx(micro[2])
    assert found["voxel_accuracy"] == pytest.approx(accuracy_score(r, p))
