"""Areas under ROC curves, thresholds, calibration, net benefit and bootstrap: published values, libraries, laws."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.metrics import brier_score_loss, roc_auc_score

from nnunet_plugins.diagnosis.bootstrap import stratified
from nnunet_plugins.diagnosis.calibration import (
    brier,
    intercept_and_slope,
    logit,
    recalibrate,
    reliability,
)
from nnunet_plugins.diagnosis.calls import SHARES, Counts, count, youden
from nnunet_plugins.diagnosis.decision_curve import net_benefit
from nnunet_plugins.diagnosis.delong import area, difference
from nnunet_plugins.diagnosis.proportions import wald
from nnunet_plugins.papers.sij_fm_25d_attention_unet import CLASSIFIER

#: Ovarian cancer, DeLong et al. 1988: albumin, total protein, K-G score, whether surgery helps.
_TEXT = """3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1
    3.8 5.7 5 1 3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0
    2.3 4.4 6 1 4.2 7.6 4 0 4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1 3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1
    3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1 4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0
    3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1 2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1
    3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1"""
OVARIAN = np.array(list(map(float, _TEXT.split()))).reshape(-1, 4)
ALBUMIN, PROTEIN, KG, HELPED = OVARIAN[:, 0], OVARIAN[:, 1], -OVARIAN[:, 2], OVARIAN[:, 3]


def test_delong_of_the_published_example():
    """Values that SAS/STAT prints for these data (documentation of PROC LOGISTIC, comparison of ROC curves)."""
    printed = {
        "KG": (KG, 0.7258, 0.1028, 0.5243, 0.9273),
        "albumin": (ALBUMIN, 0.7366, 0.0927, 0.5549, 0.9182),
        "protein": (PROTEIN, 0.6478, 0.1000, 0.4518, 0.8439),
    }
    for scores, *values in printed.values():
        found = area(HELPED, scores)
        assert (found.value, found.error, *found.interval) == pytest.approx(values, abs=5e-5)
    first, second = difference(HELPED, ALBUMIN, KG), difference(HELPED, PROTEIN, KG)
    assert (first.value, first.error, first.p) == pytest.approx((0.0108, 0.0953, 0.9102), abs=5e-5)
    assert first.interval == pytest.approx((-0.1761, 0.1976), abs=5e-5)
    assert (second.value, second.error, second.p) == pytest.approx(
        (-0.0780, 0.1046, 0.4561), abs=5e-5
    )


def test_delong_equals_placements_by_brute_force_with_ties():
    random = np.random.default_rng(1)
    labels = np.array([1] * 7 + [0] * 9)
    first, second = random.integers(0, 5, (2, 16)).astype(float)

    def placements(scores):
        wins = np.array(
            [[(x > y) + 0.5 * (x == y) for y in scores[labels == 0]] for x in scores[labels == 1]]
        )
        return wins.mean(axis=1), wins.mean(axis=0)

    (a1, a0), (b1, b0) = placements(first), placements(second)
    variance = np.var(a1 - b1, ddof=1) / 7 + np.var(a0 - b0, ddof=1) / 9
    found = difference(labels, first, second)
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.value == pytest.approx(a1.mean() - b1.mean())
    assert area(labels, first).value == pytest.approx(roc_auc_score(labels, first))
    assert area(labels, first).error == pytest.approx(
        math.sqrt(np.var(a1, ddof=1) / 7 + np.var(a0, ddof=1) / 9)
    )


def test_areas_where_the_error_is_zero_have_no_interval():
    assert area([0, 0, 1, 1], [1, 2, 3, 4]).interval is None
    same = difference([0, 0, 1, 1], [1, 3, 2, 4], [1, 3, 2, 4])
    assert (same.value, same.p, same.z) == (0.0, 1.0, None)
    opposite = difference([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])
    assert (opposite.value, opposite.p) == (1.0, None)


@pytest.mark.parametrize("turned", [False, True])
def test_one_patient_of_a_class_gives_no_interval(turned):
    labels, scores = np.array([1] + [0] * 100), np.array([0.6] + [0.1] * 90 + [0.9] * 10)
    if turned:
        labels, scores = 1 - labels, 1 - scores
    found = area(labels, scores)
    assert (found.value, found.interval) == (pytest.approx(0.9), None)
    against = difference(labels, scores, -scores)
    assert (against.value, against.interval, against.p) == (pytest.approx(0.8), None, None)
    drawn = stratified(labels, lambda at: {"auc": area(labels[at], scores[at]).value}, resamples=50)
    assert drawn == {"auc": None}


@pytest.mark.parametrize(
    ("labels", "scores", "match"),
    [
        ([1, 1], [0.1, 0.2], "both present; found 1"),
        ([0, 2], [0.1, 0.2], "found 0, 2"),
        ([0, 1], [0.1, math.nan], "finite"),
        ([0, 1], [0.1], "each of 2"),
    ],
)
def test_roc_refuses(labels, scores, match):
    with pytest.raises(ValueError, match=match):
        area(labels, scores)


@pytest.mark.parametrize(
    ("name", "counts"),
    [("internal", Counts(54, 7, 24, 11)), ("external", Counts(34, 3, 11, 10))],
)
def test_counts_give_the_table_of_the_paper(name, counts):
    printed = CLASSIFIER[name]
    titles = dict(
        zip(SHARES, ("Accuracy", "Sensitivity", "Specificity", "PPV", "NPV"), strict=True)
    )
    for share, title in titles.items():
        assert 100 * counts.share(share) == pytest.approx(printed[title], abs=5.1e-3)
        # The paper's intervals are Wald's, with all patients below the root.
        low, high = wald(*counts.parts[share], total=counts.n)
        assert 100 * low == pytest.approx(printed[f"{title}.low"], abs=0.011)
        assert 100 * high == pytest.approx(printed[f"{title}.high"], abs=0.011)
    kappa = {"internal": 0.585, "external": 0.477}[name]
    assert counts.kappa.value == pytest.approx(kappa, abs=5e-4)


def test_counts_without_positive_calls_have_no_ppv():
    found = count([1, 0], [0, 0])
    assert found == Counts(tp=0, fn=1, tn=1, fp=0)
    assert found.share("ppv") is None


def test_youden_is_the_best_of_all_thresholds():
    random = np.random.default_rng(3)
    for _ in range(30):
        labels = random.permutation([1] * 6 + [0] * 8)
        scores = random.integers(0, 8, 14) / 8

        def height(t, labels=labels, scores=scores):
            found = count(labels, scores >= t)
            return found.share("sensitivity") + found.share("specificity") - 1

        best = max(height(t) for t in [*scores, 2.0])
        chosen = youden(labels, scores)
        assert height(chosen) == pytest.approx(best)
        assert best == 0 or chosen not in scores


def test_brier_and_reliability():
    random = np.random.default_rng(0)
    p = random.uniform(size=4000)
    labels = random.uniform(size=4000) < p
    assert brier(labels, p) == pytest.approx(brier_score_loss(labels, p))
    bins = reliability(labels, p, 10)
    assert sum(one.n for one in bins) == 4000
    assert all(390 < one.n < 410 for one in bins)
    inside = sum(one.interval[0] <= one.predicted <= one.interval[1] for one in bins)
    assert inside >= 8
    assert [one.n for one in reliability([0, 1, 1], [0.5, 0.5, 0.5])] == [3]


def test_calibration_is_statsmodels_logit_and_recalibration_repairs():
    random = np.random.default_rng(2)
    p = random.uniform(0.02, 0.98, 3000)
    labels = (random.uniform(size=3000) < p).astype(int)
    wrong = 1 / (1 + np.exp(-(1.0 + 2.5 * logit(p))))  # too extreme, and too high
    expected = sm.Logit(labels, sm.add_constant(logit(wrong))).fit(disp=False).params
    found = intercept_and_slope(labels, wrong)
    assert (found.intercept, found.slope) == pytest.approx(tuple(expected), abs=1e-4)
    assert (found.intercept, found.slope) == pytest.approx((-0.4, 0.4), abs=0.08)
    repaired = recalibrate(labels[:1500], wrong[:1500]).of(wrong[1500:])
    assert brier(labels[1500:], repaired) < brier(labels[1500:], wrong[1500:]) - 0.01
    assert roc_auc_score(labels[1500:], repaired) == roc_auc_score(labels[1500:], wrong[1500:])


def test_recalibration_of_separated_classes_is_finite_and_has_no_slope():
    assert intercept_and_slope([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8]) is None
    found = recalibrate([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8]).of([0.1, 0.8])
    assert 0.2 < found[0] < 0.5 < found[1] < 0.8


def test_net_benefit_by_hand():
    labels, p = [1, 1, 0, 0, 0], [0.9, 0.3, 0.6, 0.2, 0.1]
    # At 0.25: 2 true, 1 false; at 0.5: 1 true, 1 false.
    expected = [2 / 5 - 1 / 5 * 0.25 / 0.75, 1 / 5 - 1 / 5]
    assert net_benefit(labels, p, [0.25, 0.5]) == pytest.approx(expected)
    everyone = net_benefit(labels, np.ones(5), [0.4])
    assert everyone == pytest.approx([0.0], abs=1e-12)  # zero at the prevalence


def test_bootstrap_keeps_classes_and_finds_the_error_of_a_share():
    labels = np.array([1] * 60 + [0] * 40)
    calls = np.concatenate([np.arange(60) < 45, np.arange(40) < 10])
    sizes = set()

    def statistics(drawn):
        sizes.add(int(labels[drawn].sum()))
        return {"sensitivity": calls[drawn][labels[drawn] == 1].mean(), "never": None}

    found = stratified(labels, statistics, resamples=1500)
    assert sizes == {60}
    assert found["never"] is None
    low, high = wald(45, 60)
    assert found["sensitivity"] == pytest.approx((low, high), abs=0.02)
    assert stratified(labels, statistics, resamples=50, seed=1) == stratified(
        labels, statistics, resamples=50, seed=1
    )
