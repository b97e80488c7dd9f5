"""Obuchowski and Rockette's analysis against published results, and the jackknife against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from nnunet_plugins.readers.accuracy import areas, means
from nnunet_plugins.readers.obuchowski_rockette import analyse, components_of, gain_of_reader
from nnunet_plugins.readers.several import TOO_SHORT, together


def covariances(by_test, by_reader, cov3):
    """A matrix whose averages are the published ones.

    By modality: variance and Cov2. By reader: variance and Cov1.
    """
    t, r = len(by_test), len(by_reader)
    of_test, gain_of_reader = np.array(by_test), np.array(by_reader)
    variance = of_test[:, None, 0] + gain_of_reader[None, :, 0] - of_test[:, 0].mean()
    found = np.full((t, r, t, r), cov3)
    for i in range(t):
        found[i, :, i] = of_test[i, 1]
        for j in range(r):
            for k in range(t):
                found[i, j, k, j] = gain_of_reader[j, 1]
            found[i, j, i, j] = variance[i, j]
    return found


# Output of OR-DBM MRMC 2.51 (University of Iowa), trapezoidal area, jackknife; readings of Van Dyke et al. (1993):
# spin-echo (1) and cine MRI (2) of aortic dissection, five readers, 69 normal and 45 abnormal cases.
VAN_DYKE = np.array(
    [
        [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
        [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
    ]
)
VAN_DYKE_COVARIANCES = covariances(
    [(0.00101410, 0.00048396), (0.00059047, 0.00020419)],
    [
        (0.00069890, 0.00037347),
        (0.00110605, 0.00076016),
        (0.00084234, 0.00035532),
        (0.00015058, 0.00000108),
        (0.00121357, 0.00024304),
    ],
    0.00023903,
)
# Likewise for Franken et al. (1992): four readers, 33 normal and 67 abnormal cases. Cov2 is below Cov3.
FRANKEN = np.array(
    [
        [0.85345997, 0.86499322, 0.85730439, 0.81524197],
        [0.84961556, 0.84350972, 0.84011759, 0.81433740],
    ]
)
FRANKEN_COVARIANCES = covariances(
    [(0.00152278, 0.00047230), (0.00152877, 0.00049498)],
    [
        (0.00147717, 0.00056158),
        (0.00151861, 0.00071581),
        (0.00137738, 0.00076509),
        (0.00172995, 0.00112425),
    ],
    0.00051251,
)


def test_van_dyke():
    found = analyse(VAN_DYKE, VAN_DYKE_COVARIANCES)
    errors = found.components
    assert errors.variance == pytest.approx(0.00080229, abs=1e-8)
    assert errors.cov1 == pytest.approx(0.00034661, abs=1e-8)
    assert errors.cov2 == pytest.approx(0.00034407, abs=1e-8)
    assert errors.cov3 == pytest.approx(0.00023903, abs=1e-8)
    assert found.var_reader == pytest.approx(0.00153500, abs=1e-8)
    assert found.var_interaction == pytest.approx(0.00020040, abs=1.5e-8)
    assert found.ndf == 1
    assert found.f == pytest.approx(4.456, abs=1e-3)
    assert found.ddf == pytest.approx(15.26, abs=5e-3)
    assert found.p == pytest.approx(0.05167, abs=1e-5)
    gain = found.difference
    assert gain.value == pytest.approx(0.04380032, abs=1e-8)
    assert gain.error == pytest.approx(0.02075, abs=1e-5)
    assert (gain.low, gain.high) == pytest.approx((-0.0003589, 0.0879595), abs=2e-6)
    assert gain.p == pytest.approx(found.p)
    spin, cine = found.means
    assert (spin.value, spin.error) == pytest.approx((0.89703704, 0.03317360), abs=1e-6)
    assert (spin.low, spin.high) == pytest.approx((0.82522360, 0.96885048), abs=2e-6)
    assert (spin.df, cine.df) == pytest.approx((12.74, 12.71), abs=6e-3)
    assert (cine.low, cine.high) == pytest.approx((0.89413783, 0.98753689), abs=2e-6)


def test_van_dyke_for_these_readers_only():
    found = analyse(VAN_DYKE, VAN_DYKE_COVARIANCES)
    assert found.chi2 == pytest.approx(5.47595, abs=5e-4)
    assert found.p_fixed == pytest.approx(0.01928, abs=1e-5)
    gain = found.difference_fixed
    assert (gain.low, gain.high) == pytest.approx((0.007115, 0.08049), abs=1e-5)
    assert found.means_fixed[0].error == pytest.approx(0.02428971, abs=1e-6)
    assert found.means_fixed[1].error == pytest.approx(0.01677632, abs=1e-6)


def test_franken_with_cov2_below_cov3():
    found = analyse(FRANKEN, FRANKEN_COVARIANCES)
    assert found.components.cov2 < found.components.cov3
    assert found.var_reader == pytest.approx(0.00003776, abs=1e-8)
    assert found.var_interaction == pytest.approx(-0.00071276, abs=2e-8)
    assert found.f == pytest.approx(4.69, abs=5e-3)
    assert found.ddf == pytest.approx(3.0)
    assert found.p == pytest.approx(0.1188, abs=5e-5)
    gain = found.difference
    assert (gain.low, gain.high) == pytest.approx((-0.02680, 0.00509), abs=6e-6)
    assert found.chi2 == pytest.approx(0.32101, abs=5e-5)
    assert found.p_fixed == pytest.approx(0.5710, abs=5e-5)
    film = found.means[0]
    assert film.df == pytest.approx(70.12, abs=5e-3)
    assert (film.low, film.high) == pytest.approx((0.79908282, 0.89641696), abs=1e-6)
    assert found.means[1].df == pytest.approx(253.64, abs=0.05)
    # The published covariances by reader are rounded to 1e-8, the estimates to 1e-5.
    first = gain_of_reader(FRANKEN[:, 1], FRANKEN_COVARIANCES[:, 1, :, 1])
    assert first.value == pytest.approx(-0.02148, abs=5e-6)
    assert first.p == pytest.approx(0.5919, abs=0.002)


def test_components_are_averages_of_their_pairs():
    found = components_of(VAN_DYKE_COVARIANCES)
    assert found.cov1 == pytest.approx(
        np.mean([VAN_DYKE_COVARIANCES[0, j, 1, j] for j in range(5)])
    )


@pytest.fixture(scope="module")
def ratings():
    """Whole numbers with ties, correlated over arms and readers: (2, 3, 25) and the truth."""
    rng = np.random.default_rng(3)
    truth = np.arange(25) % 5 < 2
    case = rng.normal(size=25) + 1.2 * truth
    noise = rng.normal(size=(2, 3, 25)) + rng.normal(size=(1, 3, 25))
    return np.rint(2 * (case + noise)), truth


def test_areas_and_jackknife_by_brute_force(ratings):
    marks, truth = ratings
    values, found = areas(marks, truth)
    flat = marks.reshape(6, -1)
    expected = [roc_auc_score(truth, one) for one in flat]
    assert values.ravel() == pytest.approx(expected)
    without = np.array(
        [[roc_auc_score(np.delete(truth, k), np.delete(one, k)) for k in range(25)] for one in flat]
    )
    n = 25
    assert found.reshape(6, 6) == pytest.approx((n - 1) ** 2 / n * np.cov(without))


def test_patients_are_left_out_with_all_of_their_cases(ratings):
    marks, truth = ratings
    patients = np.arange(25) // 3
    values, found = areas(marks, truth, list(patients))
    assert values == pytest.approx(areas(marks, truth)[0])
    kept = [patients != patient for patient in range(9)]
    without = np.array(
        [[roc_auc_score(truth[k], one[k]) for k in kept] for one in marks.reshape(6, -1)]
    )
    assert found.reshape(6, 6) == pytest.approx((9 - 1) ** 2 / 9 * np.cov(without))
    of_means = means(marks, list(patients))[1]
    without = np.array([[one[k].mean() for k in kept] for one in marks.reshape(6, -1)])
    assert of_means.reshape(6, 6) == pytest.approx((9 - 1) ** 2 / 9 * np.cov(without))


def test_twice_the_same_cases_add_nothing(ratings):
    """Copies of each case, as cases of its patient, leave the errors as they are."""
    marks, truth = ratings
    twice, patients = np.tile(marks, 2), [*range(25), *range(25)]
    found = areas(twice, np.tile(truth, 2), patients)
    for ours, theirs in zip(found, areas(marks, truth), strict=True):
        assert ours == pytest.approx(theirs)
    assert areas(twice, np.tile(truth, 2))[1][0, 0, 0, 0] < 0.6 * found[1][0, 0, 0, 0]


def test_means_have_the_covariance_of_a_mean(ratings):
    marks, _ = ratings
    values, found = means(marks)
    assert values == pytest.approx(marks.mean(axis=-1))
    assert found.reshape(6, 6) == pytest.approx(np.cov(marks.reshape(6, -1)) / 25)


def test_two_readers_that_agree_in_all_cases():
    marks = np.zeros((2, 2, 6)) + np.arange(6) % 2
    found = analyse(*areas(marks, np.arange(6) % 2 == 1))
    assert (found.f, found.p) == (0.0, 1.0)
    assert found.difference.value == found.difference.error == 0.0
    assert not math.isnan(found.difference.p)


def test_without_variance_there_is_neither_interval_nor_test():
    """Every case gains the same: the variances of both arms cancel, except for rounding."""
    marks = np.random.default_rng(5).normal(size=(1, 2, 5)) + np.array([0.0, 0.3])[:, None, None]
    found = analyse(*means(marks))
    values, errors = means(marks)
    of_first = gain_of_reader(values[:, 0], errors[:, 0, :, 0])
    for one in (found.difference, found.difference_fixed, of_first):
        assert one.value == pytest.approx(0.3)
        assert (one.error, one.low, one.high, one.p) == (0.0, None, None, None)
    assert (found.p, found.p_fixed) == (None, None)
    assert all(one.low < one.value < one.high for one in (*found.means, *found.means_fixed))


def test_every_interval_that_is_too_short_is_marked():
    """Of the arm alone, not of the other one, in which readers differ."""
    errors = np.eye(4).reshape(2, 2, 2, 2) / 100
    found = together(np.array([[0.8, 0.81], [0.7, 0.9]]), errors, "AUC", 20)
    marked = [(one.table, one.arm) for one in found if TOO_SHORT in one.method]
    assert marked == [("all readers", "alone")]


def test_without_covariances_it_is_the_paired_t_test_of_the_readers(ratings):
    """Cov = 0 leaves the analysis of variance of modality and reader."""
    values, _ = areas(*ratings)
    found = analyse(values, np.zeros((2, 3, 2, 3)))
    assert found.p == pytest.approx(stats.ttest_rel(values[0], values[1]).pvalue)


def test_errors_of_the_first_kind_are_few():
    """Without a difference between the arms, about 5 % of the studies are significant."""
    rng = np.random.default_rng(4)
    truth = np.arange(40) >= 20
    wrong = 0
    for _ in range(250):
        case = 1.5 * truth + rng.normal(size=40)
        marks = case + rng.normal(0, 0.7, (1, 4, 40)) + rng.normal(0, 0.7, (2, 4, 40))
        wrong += analyse(*areas(marks, truth)).p < 0.05
    assert 0.01 < wrong / 250 < 0.09


@pytest.mark.parametrize("shape", [(1, 3), (2, 1)])
def test_one_modality_or_one_reader_is_refused(shape):
    with pytest.raises(ValueError, match="t and r of at least 2"):
        analyse(np.zeros(shape), np.zeros((*shape, *shape)))


def test_one_positive_case_is_refused():
    with pytest.raises(ValueError, match="1 positive and 3 negative"):
        areas(np.zeros((2, 2, 4)), np.array([True, False, False, False]))
    with pytest.raises(ValueError, match="of two or more patients"):
        areas(np.zeros((2, 2, 4)), np.array([True, True, False, False]), [1, 1, 2, 3])
