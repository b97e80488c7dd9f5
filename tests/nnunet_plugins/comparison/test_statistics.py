"""SciPy's own results, worked examples, and the degenerate cases without a warning."""

import math

import numpy as np
import pytest
from scipy import stats

from nnunet_plugins.comparison.signed_rank import EXACT_UP_TO
from nnunet_plugins.comparison.statistics import (
    holm,
    interval,
    median_interval,
    paired,
    rank_biserial,
)

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
    for n in (8, 20, 60, EXACT_UP_TO):
        data = random.normal(0.2, 1, n)
        assert paired(data).p == pytest.approx(stats.wilcoxon(data, method="exact").pvalue)
        assert paired(data).method == "exact"


@pytest.mark.parametrize("n", [7, 14, 16])
def test_all_signs_of_tied_ranks_give_the_same_p(n):
    random = np.random.default_rng(n)
    signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    for _ in range(3):
        data = random.choice([-2.0, -1.0, 1.0, 2.0, 3.0], n)
        ranks = stats.rankdata(np.abs(data))
        sums = signs @ ranks
        ours = abs(np.sign(data) @ ranks)
        assert paired(data).p == pytest.approx((np.abs(sums) >= ours - 1e-9).mean())


def test_many_pairs_use_the_normal_approximation_and_the_result_states_it():
    random = np.random.default_rng(0)
    data = np.round(random.normal(0.2, 1, EXACT_UP_TO + 1), 1) + 0.05
    found = paired(data)
    assert found.p == pytest.approx(stats.wilcoxon(data).pvalue)
    assert found.method == "normal approximation"
    fewer = paired([*data[:-1], 0.0])  # zeros do not count
    assert fewer.method == "exact"
    assert fewer.p == pytest.approx(stats.wilcoxon(data[:-1]).pvalue, rel=0.05)
    assert paired([]).method is None


def test_differences_that_are_equal_except_for_rounding_are_ties():
    data = [0.9 - 0.8, 0.8 - 0.7, 0.3 - 0.2, -(0.5 - 0.4), -0.3]
    assert len({abs(one) for one in data}) > 2
    assert paired(data).p == paired([0.1, 0.1, 0.1, -0.1, -0.3]).p


def test_the_least_p_is_that_of_the_pairs_that_differ():
    assert paired([0.0] * 8 + [0.1, 0.2]).least_p == paired([0.0] * 8 + [0.1, 0.2]).p == 0.5
    assert paired([0.0] * 10).least_p == 1.0
    assert paired([0.1] * 6).least_p == paired([0.1] * 6).p == 2 / 2**6


def test_the_test_by_patient_compares_the_means_of_patients():
    gains, patients = [0.1, 0.3, -0.1, 0.2, 0.5, 0.4], [1, 1, 2, 2, 3, 3]
    assert paired(gains, patients) == paired([0.2, 0.05, 0.45])
    assert paired(gains, range(6)) == paired(gains)
    # Ten copies of each case are not more evidence.
    assert paired(gains * 10, list(range(6)) * 10).p == paired(gains).p


@pytest.mark.parametrize(
    ("gains", "mean"),
    [([math.inf, 0.2], 1), ([-math.inf, -math.inf, math.inf], -1), ([math.inf, -math.inf], 0)],
)
def test_failed_cases_of_a_patient(gains, mean):
    found = paired([*gains, 0.1], [1] * len(gains) + [2])
    assert found.wins - found.losses == 1 + mean
    assert paired([math.inf, -math.inf, 0.2, 0.1], [1, 1, 1, 2]).wins == 2


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


def test_the_interval_of_patients_is_that_of_their_ratio_estimate():
    # Each case twice: the interval of the 30 cases. As 60 independent cases it is shorter.
    data = np.random.default_rng(3).beta(8, 2, 30)
    twice, patients = np.repeat(data, 2), np.repeat(np.arange(30), 2)
    assert interval(twice, patients) == pytest.approx(interval(data))
    narrow = interval(twice)
    wide = interval(twice, patients)
    assert 1.2 < (wide[1] - wide[0]) / (narrow[1] - narrow[0]) < 1.6  # the root of 2 is expected
    assert interval(data, range(30)) == interval(data)
    assert interval(data, [1] * 30) is None


def test_the_interval_of_patients_holds_the_mean_of_most_samples():
    random = np.random.default_rng(1)
    by_patient = by_case = 0
    patients = np.repeat(np.arange(20), 12)
    for _ in range(30):
        data = random.normal(0.5, 1, 20)[patients] + random.normal(0, 0.3, 240)
        low, high = interval(data, patients)
        by_patient += low < 0.5 < high
        low, high = interval(data)
        by_case += low < 0.5 < high
    assert by_patient >= 24  # 28 of 30 are expected
    assert by_case < 20


def test_the_median_lies_between_two_values_of_the_binomial_distribution():
    # Hahn and Meeker: of 10 values the 2nd and the 9th (97.9 %), of 20 the 6th and the 15th (95.9 %).
    data = np.random.default_rng(0).permutation(20) + 1.0
    assert median_interval(data) == (6, 15)
    assert median_interval(np.arange(1.0, 11)) == (2, 9)
    assert median_interval([1.0] * 5) is None
    assert median_interval([]) is None
    assert median_interval([0.5] * 6) == (0.5, 0.5)


def test_the_median_of_patients_is_that_of_resamples():
    random = np.random.default_rng(0)
    data, patients = random.normal(0, 1, 60), np.repeat(np.arange(20), 3)
    medians = []
    for _ in range(2000):
        drawn = random.integers(0, 20, 20)
        medians.append(np.median(np.concatenate([data[3 * one : 3 * one + 3] for one in drawn])))
    low, high = median_interval(data, patients)
    assert (low, high) == pytest.approx(np.quantile(medians, [0.025, 0.975]), abs=0.06)
    assert median_interval(data, patients) == (low, high)
    assert median_interval(data[:12], patients[:12]) is None  # of four patients


def test_intervals_of_next_to_nothing():
    assert interval([]) is None
    assert interval([0.9]) is None
    assert interval([0.9, 0.9, 0.9]) == (0.9, 0.9)
    low, high = interval([0.0, 1.0])
    assert 0 <= low <= high <= 1
