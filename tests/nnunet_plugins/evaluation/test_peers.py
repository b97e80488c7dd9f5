"""The values that other tools expect in their own test suites; those that differ by definition have a reason."""

import numpy as np
import pytest

from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.aggregates import describe, pooled
from nnunet_plugins.evaluation.instance_scores import quality
from nnunet_plugins.evaluation.instances import Group, find_instances
from nnunet_plugins.evaluation.metrics import compare
from nnunet_plugins.evaluation.more import MORE
from tests.nnunet_plugins.evaluation.peer_cases import CASES, TORCHMETRICS

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.mark.parametrize("case", CASES, ids=[case.source for case in CASES])
def test_value(case):
    prediction, reference = case.masks()
    spacing = case.spacing or (1.0,) * reference.ndim
    more = [case.metric] if case.metric in MORE else []
    scores = compare(prediction, reference, spacing, tolerance=case.tolerance, more=more)
    found = getattr(scores, case.metric)
    expected = case.ours if case.reason else case.expected
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, abs=case.close)
    if case.reason:  # else the entry belongs to the others
        assert found is None or found != pytest.approx(case.expected, abs=case.close)


def test_nnunet_leaves_ignored_voxels_out(tmp_path, pair, declare):
    # TestConfusionMatrix.test_no_labels: 64 voxels, one of four slices is ignored
    declare(tmp_path, {"background": 0, "one": 1, "ignore": 2})
    reference = np.zeros((4, 4, 4), dtype=np.uint8)
    reference[0] = 2
    background = evaluate(*pair(0 * reference, reference)).cases[0].background
    assert (background.tp, background.all) == (48, 48)


def test_torchmetrics_mean_over_samples_and_pooled_voxels():
    names = ("TorchMetrics, dice, class 3", "TorchMetrics, dice, false alarm")
    samples = [case for case in TORCHMETRICS if case.source in names]
    scores = [compare(*case.masks(), (1.0, 1.0)) for case in samples]
    assert describe([one.dice for one in scores]).mean == pytest.approx(0.2)
    assert pooled([one.counts for one in scores])["dice"] == pytest.approx(0.3333, abs=1e-4)


def instances(prediction, reference, threshold, values=range(1, 10)):
    group = Group("all", tuple(values), tuple(map(str, values)), components=False)
    prediction, reference = np.array(prediction), np.array(reference)
    return quality(
        [find_instances(prediction, reference, (1.0,) * reference.ndim, group, threshold)]
    )


MONAI = (
    [[0, 1, 1, 1], [0, 0, 0, 0], [2, 0, 3, 3], [4, 2, 2, 0]],
    [[1, 1, 2, 1], [0, 0, 0, 0], [1, 3, 0, 0], [4, 3, 3, 3]],
)
MONAI_OTHER_NUMBERS = ([[0, 7, 7, 7], [0, 0, 0, 0], [1, 0, 8, 8], [9, 1, 1, 0]], MONAI[1])


@pytest.mark.parametrize(
    ("maps", "threshold", "name", "expected"),
    [
        (MONAI, 0.5, "panoptic_quality", 0.25),
        (MONAI, 0.3, "segmentation_quality", 0.6),
        (MONAI_OTHER_NUMBERS, 0.3, "recognition_quality", 0.75),
    ],
)
def test_monai_panoptic_quality(maps, threshold, name, expected):
    assert instances(*maps, threshold)[name] == pytest.approx(expected, abs=1e-4)


def test_monai_dice_per_component():
    # MONAI assigns voxels to the nearest component of the reference; with one partner each, the pairs are the same.
    reference, prediction = np.zeros((2, 64, 64, 64), dtype=np.uint8)
    reference[20:25, 20:25, 20:25] = reference[40:45, 40:45, 40:45] = 1
    prediction[21:26, 21:26, 21:26] = prediction[41:46, 39:44, 41:46] = 1
    group = Group("box", (1,), ("box",), components=True)
    found = quality([find_instances(prediction, reference, (1.0,) * 3, group, 0.3)])
    assert (found["tp"], found["dice"]) == (2, pytest.approx(0.512))


def test_metrics_reloaded_panoptic_quality():
    # Figure 3.51 of the pitfalls
    prediction, reference = np.zeros((2, 18, 18), dtype=np.uint8)
    prediction[3:7, 1:3] = prediction[3:6, 3:7] = 1
    prediction[13:16, 4:6] = 2
    prediction[7:12, 13:17] = 3
    prediction[13:15, 13:17] = prediction[15, 15] = 4
    reference[2:7, 1:3] = reference[2:5, 3:6] = 1
    reference[6:12, 12:17] = 2
    reference[14, 7:10] = reference[13:16, 8] = 3
    assert instances(prediction, reference, 0.5)["panoptic_quality"] == pytest.approx(
        0.350, abs=1e-3
    )


def squares(*parts):
    found = np.zeros((50, 50), dtype=np.uint8)
    for value, (rows, columns) in parts:
        found[slice(*rows), slice(*columns)] = value
    return found


#: panoptica's unit_tests: test_golden_values.py, test_panoptic_evaluator.py
PANOPTICA = [
    (
        "golden",
        squares((1, ((5, 15), (5, 15))), (2, ((21, 30), (20, 30))), (4, ((40, 48), (40, 48)))),
        squares((1, ((5, 15), (5, 15))), (2, ((20, 30), (20, 30))), (3, ((40, 48), (5, 13)))),
        {
            "true_instances": 3, "predicted_instances": 3, "tp": 2, "fp": 1, "fn": 1, "precision": 2 / 3,
            "recall": 2 / 3, "recognition_quality": 2 / 3, "segmentation_quality": 0.95,
            "panoptic_quality": 0.6333333333333333, "dice": 0.9736842105263157, "hd95_mm": 0.5,
        },
    ),
    (
        "simple", squares((2, ((20, 35), (10, 20)))), squares((1, ((20, 40), (10, 20)))),
        {"tp": 1, "fp": 0, "segmentation_quality": 0.75, "panoptic_quality": 0.75},
    ),
    (
        "no prediction", squares(), squares((1, ((20, 40), (10, 20)))),
        {"tp": 0, "fp": 0, "fn": 1, "panoptic_quality": 0.0},
    ),
    (
        "no reference", squares((2, ((20, 35), (10, 20)))), squares(),
        {"tp": 0, "fp": 1, "fn": 0, "panoptic_quality": 0.0},
    ),
    (
        "nothing", squares(), squares(),
        {"tp": 0, "segmentation_quality": None, "panoptic_quality": None},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", PANOPTICA, ids=[name for name, *_ in PANOPTICA])
def test_panoptica_unit_tests(case):
    _, prediction, reference, expected = case
    found = instances(prediction, reference, 0.5)
    for name, value in expected.items():
        assert found[name] == (value if value is None else pytest.approx(value)), name


def cuboids(seed, rank, count=6):
    """Boxes in both label maps, moved by a voxel, renumbered, some of them missing."""
    random = np.random.default_rng(seed)
    size = (30, 40, 36)[-rank:]
    reference, prediction = np.zeros((2, *size), np.uint8)
    for number in range(1, count + 1):
        low = [int(random.integers(0, n - 8)) for n in size]
        span = [int(random.integers(4, 8)) for _ in size]
        move = random.integers(-1, 2, rank)
        if random.random() < 0.85:
            reference[tuple(slice(a, a + s) for a, s in zip(low, span, strict=True))] = number
        if random.random() < 0.85:
            at = [max(0, a + int(m)) for a, m in zip(low, move, strict=True)]
            prediction[tuple(slice(a, a + s) for a, s in zip(at, span, strict=True))] = (
                number % count + 1
            )
    return prediction, reference


#: panoptica 2.1.7 on `cuboids`, NaiveThresholdMatching at IoU 0.5: tp, fp, fn, rq, sq, pq, sq_dsc; without a pair,
#: its sq is 0 and ours null.
LABELS = {
    (2, 0): (3, 2, 3, 0.545455, 0.554865, 0.302654, 0.713139),
    (2, 1): (3, 1, 1, 0.75, 0.740741, 0.555556, 0.838095),
    (2, 2): (4, 2, 2, 0.666667, 0.611473, 0.407649, 0.757285),
    (3, 0): (2, 2, 2, 0.5, 0.577778, 0.288889, 0.732143),
    (3, 2): (2, 2, 3, 0.444444, 0.657005, 0.292002, 0.792962),
}
COMPONENTS = {
    (2, 0): (2, 1, 2, 0.571429, 0.6, 0.342857, 0.75),
    (2, 1): (3, 1, 1, 0.75, 0.740741, 0.555556, 0.838095),
    (2, 2): (3, 1, 1, 0.75, 0.650659, 0.487994, 0.788133),
    (3, 0): (1, 3, 2, 0.285714, 0.6, 0.171429, 0.75),
    (3, 1): (0, 5, 3, 0.0, None, 0.0, None),
    (3, 2): (1, 3, 3, 0.25, 0.666667, 0.166667, 0.8),
}
KEYS = ("tp", "fp", "fn", "recognition_quality", "segmentation_quality", "panoptic_quality", "dice")


@pytest.mark.parametrize("components", [False, True], ids=["labels", "components"])
def test_panoptica_on_random_boxes(components):
    for (rank, seed), expected in (COMPONENTS if components else LABELS).items():
        maps = cuboids(seed, rank)
        if components:
            maps = [np.minimum(one, 1) for one in maps]
        values = (1,) if components else tuple(range(1, 7))
        group = Group("box", values, tuple(map(str, values)), components)
        found = quality([find_instances(*maps, (3.0, 0.5, 0.8)[-rank:], group)])
        for key, value in zip(KEYS, expected, strict=True):
            assert found[key] == (None if value is None else pytest.approx(value, abs=1e-6)), (
                rank,
                seed,
                key,
            )


def test_a_pair_at_the_threshold_does_not_match():
    # panoptica counts it (IoU >= 0.5: tp 2, fp 4, fn 3); MONAI and Kirillov et al. do not.
    found = instances(*cuboids(1, 3), 0.5)
    assert (found["tp"], found["fp"], found["fn"]) == (1, 5, 4)
    found = instances(*cuboids(1, 3), 0.4999)
    assert (found["tp"], found["fp"], found["fn"]) == (2, 4, 3)
