"""Several readers, several cases: the analysis of variance of Obuchowski and Rockette (1995).

The accuracy of reader j with modality i is modelled as fixed modality + random reader + random interaction + error.
Errors are correlated, because all readers read the same cases:

- Cov1: one reader, two modalities,
- Cov2: two readers, one modality,
- Cov3: two readers, two modalities.

Degrees of freedom of the denominator are those of Hillis (2007, doi 10.1002/sim.2532); intervals follow Hillis,
Obuchowski, Schartz and Berbaum (2005, doi 10.1002/sim.2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
_ROUNDING = 1e-24  # squares of differences of numbers near 1
_RELATIVE = 1e-12  # differences of variances, as part of them

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error and its interval.

    Attributes:
        value: of the estimate.
        error: standard error.
        df: degrees of freedom; infinite for a normal approximation.
        low: lower limit of the interval; None without variance, which a few cases may have by chance.
        high: upper limit.
        p: two-sided p-value of the hypothesis that it is 0; None without variance, unless it is 0.
    """

    value: float
    error: float
    df: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class Components:
    """Error covariances, averaged over the pairs that they describe; differences of them may be negative."""

    variance: float
    cov1: float
    cov2: float
    cov3: float


@dataclass(frozen=True)
class Analysis:
    """Result for two or more modalities.

    Attributes:
        f: F statistic of equal modalities, with readers and cases as random samples.
        ndf: degrees of freedom of its numerator.
        ddf: degrees of freedom of its denominator.
        p: its p-value; None if F is infinite.
        chi2: statistic of equal modalities for these readers only, with ``ndf`` degrees of freedom.
        p_fixed: its p-value; None if it is infinite.
        components: of the errors.
        var_reader: variance component of the readers; estimates may be negative.
        var_interaction: that of the interaction of modality and reader.
        means: of each modality over the readers, readers and cases random.
        means_fixed: likewise, for these readers only.
        difference: second modality minus first one, readers and cases random.
        difference_fixed: likewise, for these readers only.
    """

    f: float
    ndf: int
    ddf: float
    p: float | None
    chi2: float
    p_fixed: float | None
    components: Components
    var_reader: float
    var_interaction: float
    means: tuple[Estimate, ...]
    means_fixed: tuple[Estimate, ...]
    difference: Estimate
    difference_fixed: Estimate


def analyse(values: Array, covariances: Array) -> Analysis:
    """Compare modalities over readers.

    Args:
        values: (t, r), the accuracy of each reader with each modality; t and r are at least 2.
        covariances: (t, r, t, r), of the errors of the values, e.g. from the jackknife over cases.

    Raises:
        ValueError: shapes do not fit, or fewer than two modalities or readers.

    Where an estimated variance is 0 (e.g. all readers agree in all cases), nothing is known of its size: there is no
    interval, and no test unless the difference is 0, too.
    """
    t, r = values.shape
    if t < 2 or r < 2 or covariances.shape != (t, r, t, r):
        raise ValueError(
            f"analyse: values {values.shape} and covariances {covariances.shape}; expected (t, r) and (t, r, t, r) "
            "with t and r of at least 2"
        )
    errors = components_of(covariances)
    grand, of_test, of_reader = values.mean(), values.mean(axis=1), values.mean(axis=0)
    ms_test = _rounded(r * ((of_test - grand) ** 2).sum() / (t - 1))
    ms_reader = t * float(((of_reader - grand) ** 2).sum()) / (r - 1)
    residual = values - of_test[:, None] - of_reader[None] + grand
    ms_both = _rounded((residual**2).sum() / ((t - 1) * (r - 1)))

    between = _rounded(errors.cov2 - errors.cov3, errors.variance)
    noise = ms_both + r * between
    ddf = _ddf(noise, ms_both, (t - 1) * (r - 1))
    f = _ratio(ms_test, noise)
    fixed = _rounded(errors.variance - errors.cov1 + (r - 1) * between, errors.variance)
    chi2 = (t - 1) * _ratio(ms_test, fixed)
    gain = float(of_test[1] - of_test[0])
    return Analysis(
        f=f,
        ndf=t - 1,
        ddf=ddf,
        p=float(stats.f.sf(f, t - 1, ddf)) if f < math.inf else None,
        chi2=chi2,
        p_fixed=float(stats.chi2.sf(chi2, t - 1)) if chi2 < math.inf else None,
        components=errors,
        var_reader=(ms_reader - ms_both) / t - errors.cov1 + errors.cov3,
        var_interaction=ms_both - errors.variance + errors.cov1 + errors.cov2 - errors.cov3,
        means=tuple(_mean(values[i], covariances[i, :, i]) for i in range(t)),
        means_fixed=tuple(_mean_fixed(values[i], covariances[i, :, i]) for i in range(t)),
        difference=_estimate(gain, 2 / r * noise, ddf),
        difference_fixed=_estimate(gain, 2 / r * fixed, math.inf),
    )


def gain_of_reader(values: Array, covariances: Array) -> Estimate:
    """Second modality minus first one of one reader; values (2,), covariances of their errors (2, 2)."""
    variance = float(covariances[0, 0] + covariances[1, 1] - 2 * covariances[0, 1])
    return _estimate(
        float(values[1] - values[0]), _rounded(variance, np.trace(covariances)), math.inf
    )


def components_of(covariances: Array) -> Components:
    """Averages of the error covariances over modalities and readers; (t, r, t, r)."""
    t, r = covariances.shape[:2]
    same_test = np.eye(t, dtype=bool)[:, None, :, None]
    same_reader = np.eye(r, dtype=bool)[None, :, None, :]

    def mean(where: NDArray[np.bool_]) -> float:
        chosen = covariances[np.broadcast_to(where, covariances.shape)]
        return float(chosen.mean())

    return Components(
        mean(same_test & same_reader),
        mean(~same_test & same_reader),
        mean(same_test & ~same_reader),
        mean(~same_test & ~same_reader),
    )


def _mean(values: Array, covariances: Array) -> Estimate:
    """Mean of one modality over random readers and cases; values (r), covariances (r, r)."""
    r = values.size
    ms_reader = _rounded(values.var(ddof=1))
    noise = ms_reader + r * _off_diagonal(covariances)
    return _estimate(float(values.mean()), noise / r, _ddf(noise, ms_reader, r - 1))


def _mean_fixed(values: Array, covariances: Array) -> Estimate:
    r = values.size
    noise = float(np.diag(covariances).mean()) + (r - 1) * _off_diagonal(covariances)
    return _estimate(float(values.mean()), noise / r, math.inf)


def _off_diagonal(covariances: Array) -> float:
    """Mean covariance of two readers; 0 if it is negative."""
    r = len(covariances)
    return _rounded(
        (covariances.sum() - np.trace(covariances)) / (r * (r - 1)), np.trace(covariances)
    )


def _ddf(noise: float, mean_square: float, df: int) -> float:
    """Hillis's degrees of freedom; infinite if the mean square of the interaction is 0."""
    return df * (noise / mean_square) ** 2 if mean_square > 0 else math.inf


def _rounded(variance: float, terms: float = 0.0) -> float:
    """A mean square or variance; 0 if it is negative, or of rounding of the terms that make it up."""
    return float(variance) if variance > max(_ROUNDING, _RELATIVE * terms) else 0.0


def _ratio(above: float, below: float) -> float:
    if below > 0:
        return float(above / below)
    return math.inf if above > 0 else 0.0


def _estimate(value: float, variance: float, df: float) -> Estimate:
    if not variance > 0:
        return Estimate(value, 0.0, df, None, None, 1.0 if abs(value) < _RELATIVE else None)
    error = math.sqrt(variance)
    half = float(stats.t.isf((1 - LEVEL) / 2, df)) * error  # normal if df is infinite
    p = 2 * float(stats.t.sf(abs(value) / error, df))
    return Estimate(value, error, df, value - half, value + half, p)
