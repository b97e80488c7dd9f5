"""Wilson, Wald, kappa and McNemar: against statsmodels, scikit-learn and published examples."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from nnunet_plugins.diagnosis.kappa import cohen_kappa
from nnunet_plugins.diagnosis.mcnemar import chi_square, exact
from nnunet_plugins.diagnosis.proportions import wald, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (1, 3), (54, 61), (999, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_of_a_proportion_are_those_of_statsmodels(k, n, level):
    assert wilson(k, n, level) == pytest.approx(
        proportion_confint(k, n, 1 - level, "wilson"), abs=1e-12
    )
    low, high = wald(k, n, level)
    expected = proportion_confint(k, n, 1 - level, "normal")
    assert (max(low, 0), min(high, 1)) == pytest.approx(expected, abs=1e-12)


def test_wilson_of_newcombe():
    """Newcombe 1998, doi 10.1002/(SICI)1097-0258(19980430)17:8<857, table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_no_trials_have_no_interval():
    assert wilson(0, 0) is None
    assert wald(0, 0) is None
    with pytest.raises(ValueError, match="k"):
        wilson(3, 2)


def test_kappa_of_cohen_1960_and_of_scikit_learn():
    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.integers(0, 3, (2, 40))
        assert cohen_kappa(a.tolist(), b.tolist()).value == pytest.approx(cohen_kappa_score(a, b))


def test_kappa_interval_is_that_of_the_delta_method():
    """For 2 x 2: variance by numerical derivative of kappa and the multinomial covariance."""
    cells = np.array([[54.0, 7.0], [11.0, 24.0]])
    p = (cells / cells.sum()).ravel()

    def kappa(p):
        p = p.reshape(2, 2)
        chance = p.sum(0) @ p.sum(1)
        return (np.trace(p) - chance) / (1 - chance)

    step = 1e-6
    # The cells are varied on the plane of a sum of one: the covariance removes the direction out of it.
    slope = np.array([(kappa(p + step * e) - kappa(p - step * e)) / (2 * step) for e in np.eye(4)])
    error = np.sqrt(slope @ (np.diag(p) - np.outer(p, p)) @ slope / 96)
    found = cohen_kappa([1] * 61 + [0] * 35, [1] * 54 + [0] * 7 + [1] * 11 + [0] * 24)
    assert found.value == pytest.approx(0.585, abs=5e-4)
    low, high = found.interval
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.975) * error, rel=1e-5)
    narrow = cohen_kappa([1] * 61 + [0] * 35, [1] * 54 + [0] * 7 + [1] * 11 + [0] * 24, 0.5)
    assert low < narrow.interval[0] < narrow.interval[1] < high


def test_kappa_where_it_has_no_value_or_no_interval():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cohen_kappa(["a"] * 3, ["a"] * 3).value is None
        assert cohen_kappa([], []).value is None
        same = cohen_kappa([0, 1, 1], [0, 1, 1])
    assert (same.value, same.interval) == (1.0, None)
    with pytest.raises(ValueError, match="found 1 and 2"):
        cohen_kappa([1], [1, 0])


@pytest.mark.parametrize(("b", "c"), [(0, 1), (1, 8), (5, 5), (121, 59), (30, 12)])
def test_mcnemar_is_that_of_statsmodels(b, c):
    table = [[10, b], [c, 10]]
    assert exact(b, c) == pytest.approx(mcnemar(table, exact=True).pvalue)
    for continuity in (True, False):
        expected = mcnemar(table, exact=False, correction=continuity)
        if b != c:  # statsmodels subtracts one from a difference of zero
            found = chi_square(b, c, continuity=continuity)
            assert found == pytest.approx((expected.statistic, expected.pvalue))


def test_mcnemar_depends_on_the_discordant_pairs_alone_and_is_symmetric():
    assert exact(0, 0) == 1.0
    assert chi_square(0, 0) == (0.0, 1.0)
    assert chi_square(3, 3) == (0.0, 1.0)
    assert exact(2, 9) == exact(9, 2)
