"""SciPy's own results, worked examples, and the degenerate cases without a warning."""

import math

import numpy as np
import pytest
from scipy import stats

from nnunet_plugins.comparison.statistics import holm, interval, paired, rank_biserial

pytestmark = pytest.mark.filterwarnings("error")

# Wilcoxon's own data as SciPy's manual has it: heights of cross- and self-fertilised corn (Darwin).
CORN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]


def test_the_worked_example_of_the_signed_rank_test():
    found = paired(CORN)
    # Ranks of -48 and -67 are 10 and 14: W- = 24, W+ = 120 - 24 = 96.
    assert (found.n, found.wins, found.ties, found.losses) == (15, 13, 0, 2)
    assert found.p == pytest.approx(0.041259765625)
    assert found.effect == pytest.approx((96 - 24) / 120)


def test_scipy_has_the_same_p():
    random = np.random.default_rng(0)
    for n in (8, 20, 60):
        data = random.normal(0.2, 1, n)
        assert paired(data).p == pytest.approx(stats.wilcoxon(data).pvalue)


def test_ties_among_few_are_tested_exactly():
    # |d| 1 1 2 2 3 have ranks 1.5 1.5 3.5 3.5 5; of 32 signs, W- <= 1.5 holds for none, either of the ones: 3,
    # and as many at the other end.
    assert paired([1, -1, 2, 2, 3]).p == pytest.approx(6 / 32)
    assert paired([1, -1, 2, 2, 3, 0, 0]).p == pytest.approx(6 / 32)


def test_zeros_are_ties_and_not_ranked():
    found = paired([0.0, 0.0, 1.0, 2.0, -3.0])
    assert (found.n, found.wins, found.ties, found.losses) == (5, 2, 2, 1)
    assert found.effect == pytest.approx((1 + 2 - 3) / 6)


def test_equal_values_do_not_differ():
    found = paired([0.0] * 9)
    assert (found.p, found.effect, found.ties) == (1.0, 0.0, 9)


def test_nothing_to_compare():
    found = paired([])
    assert (found.n, found.p, found.effect) == (0, None, None)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_below_six_pairs_nothing_can_be_significant(n):
    found = paired([1.0 + i for i in range(n)])  # better in all of them
    assert found.p == found.least_p == pytest.approx(2 / 2**n)
    assert found.p > 0.05
    assert paired([1.0 + i for i in range(6)]).least_p < 0.05


def test_a_failed_case_has_the_highest_rank():
    # Three small gains against one failure: ranks 1 + 2 + 3 against 4.
    found = paired([0.1, 0.2, 0.3, -math.inf])
    assert found.effect == pytest.approx((6 - 4) / 10)
    assert found.p == pytest.approx(paired([0.1, 0.2, 0.3, -9.0]).p)
    assert paired([-math.inf, -math.inf]).effect == -1


def test_the_sign_of_the_effect_is_the_direction():
    assert rank_biserial([1, 2, 3]) == 1
    assert rank_biserial([-1, -2, -3]) == -1


def test_holm_by_hand():
    # Sorted .005 x 4, .01 x 3, .03 x 2, .04 x 1, never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([]) == []


def test_the_interval_is_scipys_and_repeats():
    data = np.random.default_rng(3).beta(8, 2, 30)
    theirs = stats.bootstrap(
        (data,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert interval(data) == pytest.approx((theirs.low, theirs.high), abs=2e-3)
    assert interval(data) == interval(data)
    assert interval(data, seed=1) != interval(data)


def test_the_interval_holds_the_mean_of_most_samples():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        low, high = interval(random.normal(0.5, 1, 25))
        hits += low < 0.5 < high
    assert hits >= 50  # 57 of 60 are expected


def test_intervals_of_next_to_nothing():
    assert interval([]) is None
    assert interval([0.9]) is None
    assert interval([0.9, 0.9, 0.9]) == (0.9, 0.9)
    low, high = interval([0.0, 1.0])
    assert 0 <= low <= high <= 1
