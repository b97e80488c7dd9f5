"""Agreement of volumes: bias and limits of agreement (Bland and Altman 1986), also with several cases per patient.

Bland and Altman, J Biopharm Stat 2007, 17, 571-582: the true value varies between a patient's cases. Confidence
intervals of the limits: Zou, Stat Methods Med Res 2013, 22, 630-642 (MOVER).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_plugins.comparison.statistics import LEVEL, Patients, members_of
from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.patients import patients_of
from nnunet_plugins.evaluation.summary import Scores

METHOD = (
    "Bland-Altman: differences are predicted minus true volume in ml, over the cases in which either map holds the "
    "label; the limits are the bias -/+ 1.96 SD. With several cases per patient, the bias is the mean of the "
    "patients' means, and the SD has a part between and a part within patients. Confidence intervals (95 %) are "
    "those of Zou 2013"
)
_Z = float(stats.norm.ppf((1 + LEVEL) / 2))
Range = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """Limits of agreement of a label's volumes.

    Attributes:
        n: number of cases.
        patients: number of patients.
        bias: mean difference, ml.
        sd: standard deviation of a single difference, ml.
        low: lower limit, bias - 1.96 SD.
        high: upper limit.
        bias_ci: 95 % confidence interval.
        low_ci: that of the lower limit.
        high_ci: that of the upper limit.
    """

    n: int
    patients: int
    bias: float
    sd: float
    low: float
    high: float
    bias_ci: Range
    low_ci: Range
    high_ci: Range


def agreement(differences: Sequence[float], patients: Patients = None) -> Agreement | None:
    """Bias and limits of agreement; None below two patients.

    Args:
        differences: one per case.
        patients: of each case; None: every case is another patient.

    >>> found = agreement([1.0, 3.0, 2.0, 2.0])
    >>> round(found.bias, 2), round(found.low, 2), round(found.high, 2)
    (2.0, 0.4, 3.6)
    """
    data = np.asarray(differences, dtype=np.float64)
    of_patient = [data[indices] for indices in members_of(data, patients)]
    count, rest = len(of_patient), data.size - len(of_patient)
    if count < 2:
        return None
    means = np.array([one.mean() for one in of_patient])
    bias, between = float(means.mean()), float(means.var(ddof=1))
    # Of a single difference: the variance of the means, and what their averaging has removed.
    share = 1 - float(np.mean([1 / one.size for one in of_patient]))
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in of_patient) / max(1, rest)
    variance = between + share * within
    sd = math.sqrt(variance)
    low_sd, high_sd = _sd_range((between, count - 1), (share * within, rest))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * math.sqrt(between / count)
    near, far = math.hypot(reach, _Z * (sd - low_sd)), math.hypot(reach, _Z * (high_sd - sd))
    low, high = bias - _Z * sd, bias + _Z * sd
    return Agreement(
        n=data.size,
        patients=count,
        bias=bias,
        sd=sd,
        low=low,
        high=high,
        bias_ci=(bias - reach, bias + reach),
        low_ci=(low - far, low + near),
        high_ci=(high - near, high + far),
    )


def volume_pairs(scores: Scores, label: str) -> dict[str, tuple[float, float]]:
    """Case -> predicted and true volume of a label in ml, for the cases in which either map holds it."""
    found: dict[str, tuple[float, float]] = {}
    for case in scores.cases:
        one: MaskScores = case.labels[label]
        if one.volume_error_ml is not None:
            found[case.name] = (one.prediction_mm3 / 1000, one.reference_mm3 / 1000)
    return found


def volume_agreement(scores: Scores) -> dict[str, Agreement]:
    """Label -> agreement of its volumes; without labels that have volumes of fewer than two patients."""
    patients = patients_of(scores)
    found = {}
    for label in scores.labels.values:
        pairs = volume_pairs(scores, label)
        differences = [predicted - true for predicted, true in pairs.values()]
        one = agreement(differences, [patients[case] for case in pairs] if patients else None)
        if one is not None:
            found[label] = one
    return found


def _sd_range(*parts: tuple[float, int]) -> Range:
    """Interval of the root of a sum of variances, each with its degrees of freedom."""
    total = sum(variance for variance, _ in parts)
    below = above = 0.0
    for variance, freedom in parts:
        if variance and freedom:
            below += (variance * (1 - freedom / _chi2((1 + LEVEL) / 2, freedom))) ** 2
            above += (variance * (freedom / _chi2((1 - LEVEL) / 2, freedom) - 1)) ** 2
    return math.sqrt(max(0.0, total - math.sqrt(below))), math.sqrt(total + math.sqrt(above))


def _chi2(share: float, freedom: int) -> float:
    return float(stats.chi2.ppf(share, freedom))
