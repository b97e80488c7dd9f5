"""Limits of agreement: worked numbers, simulations, and which volumes count."""

from dataclasses import replace

import numpy as np
import pytest

from nnunet_plugins.comparison.agreement import agreement, volume_agreement, volume_pairs
from nnunet_plugins.evaluation.patients import with_patients

from .compared import FIRST, run

# Peak expiratory flow (l/min), Wright meter and mini meter: Bland and Altman, Lancet 1986, Table 1.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_worked_example_of_bland_and_altman():
    found = agreement([a - b for a, b in zip(WRIGHT, MINI, strict=True)])
    assert found.n == found.patients == 17
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # They print limits of 2 SD, -79.7 and 75.5, and a 95 % interval of the bias of -22.0 to 17.8.
    assert (found.low, found.high) == pytest.approx(
        (-2.1 - 1.96 * 38.8, -2.1 + 1.96 * 38.8), abs=0.2
    )
    assert found.bias_ci == pytest.approx((-22.0, 17.8), abs=0.1)
    # Their -114.3 to -45.1 of the lower limit is symmetric; the exact one reaches farther outwards.
    assert found.low_ci[0] < -114.3
    assert found.low_ci[0] < found.low < found.low_ci[1] < found.bias


def test_equal_differences_have_limits_without_width():
    found = agreement([0.5, 0.5, 0.5])
    assert (found.bias, found.low, found.high, found.bias_ci) == (0.5, 0.5, 0.5, (0.5, 0.5))


def test_fewer_than_two_patients_have_no_limits():
    assert agreement([]) is None
    assert agreement([1.0]) is None
    assert agreement([1.0, 2.0, 3.0], [1, 1, 1]) is None


def test_copies_of_a_case_add_no_evidence():
    data = [1.0, 3.0, 2.0, 2.5]
    once, twice = agreement(data), agreement(data * 2, [0, 1, 2, 3] * 2)
    assert (twice.n, twice.patients) == (8, 4)
    for name in ("bias", "sd", "low", "high", "bias_ci", "low_ci", "high_ci"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name))


@pytest.mark.parametrize("sizes", [(1,), (3,), (1, 2, 6)], ids=str)
def test_limits_and_intervals_of_simulated_patients(sizes):
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(24), np.resize(sizes, 24))
    truth = 1.0 + 1.96 * np.hypot(2.0, 1.5)
    highs, hits = [], 0
    for _ in range(300):
        data = 1.0 + random.normal(0, 2, 24)[patients] + random.normal(0, 1.5, patients.size)
        found = agreement(data, patients)
        highs.append(found.high)
        hits += found.high_ci[0] < truth < found.high_ci[1]
    assert np.mean(highs) == pytest.approx(truth, rel=0.04)
    assert hits / 300 == pytest.approx(0.95, abs=0.04)


def test_volumes_of_missed_labels_and_false_alarms_count_and_absent_labels_do_not():
    scores = run("a", [6, 0, 8, 10], [6, None, 8, 10]).scores
    voxel = 3.0 * 0.5 * 0.8 / 1000
    assert volume_pairs(scores, "sacrum")["case1"] == pytest.approx((0, 10 * voxel))
    assert list(volume_pairs(scores, "hip")) == ["case0", "case2", "case3"]
    found = volume_agreement(scores)["sacrum"]
    assert found.bias == pytest.approx(-4 * voxel)


def test_volumes_are_those_of_patients_if_they_are_known():
    scores = run("a", FIRST, FIRST).scores
    grouped = with_patients(scores, {f"case{n}": n // 2 for n in range(7)})
    assert volume_agreement(scores)["hip"].patients == 7
    assert (volume_agreement(grouped)["hip"].patients, volume_agreement(grouped)["hip"].n) == (4, 7)


def test_scores_without_volumes_have_no_limits():
    scores = run("a", FIRST, FIRST).scores
    flat = [
        {label: replace(one, volume_error_ml=None) for label, one in case.labels.items()}
        for case in scores.cases
    ]
    cases = tuple(replace(c, labels=one) for c, one in zip(scores.cases, flat, strict=True))
    assert volume_agreement(replace(scores, cases=cases)) == {}
