"""Statistics of paired scores: intervals of mean and median, paired test, correction for many tests, effect size.

Cases of one patient are not independent. With `patients`, intervals draw patients with all of their cases, and the
test compares the means of the patients.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nnunet_plugins.comparison.signed_rank import Method, ranks, signed_rank

RESAMPLES = 9999
LEVEL = 0.95
#: Below this number of cases or patients, intervals of the mean are too short.
FEW = 10
_VALUES = 10_000_000  # in memory at a time

Patients = Sequence[Hashable] | None


@dataclass(frozen=True)
class Paired:
    """Comparison of a run with another one on the same cases.

    Attributes:
        n: number of pairs: of cases, or of patients.
        wins: cases in which the run is better.
        ties: cases in which both are equal.
        losses: cases in which the run is worse.
        effect: matched-pairs rank-biserial correlation; None without pairs.
        p: two-sided p-value of Wilcoxon's signed-rank test; None without pairs.
        least_p: the smallest p-value that m pairs which differ can give, 2 / 2^m; 1 if none differs.
        method: how p was computed; None without pairs.
    """

    n: int
    wins: int
    ties: int
    losses: int
    effect: float | None
    p: float | None
    least_p: float
    method: Method | None = None


def interval(
    values: Sequence[float], patients: Patients = None, *, seed: int = 0
) -> tuple[float, float] | None:
    """95 % confidence interval of the mean: bootstrap, bias-corrected and accelerated (Efron 1987).

    Args:
        values: one per case.
        patients: of each case; the bootstrap draws patients. None: every case is another patient.
        seed: equal seeds give equal intervals.

    Returns:
        Lower and upper limit; None below two patients. Equal values give an interval of length 0. Below `FEW` values
        it is too short: in simulations, 84 % of the intervals held the mean with n = 5, 90 % with 9 and 93 % with 20.

    >>> low, high = interval([0.91, 0.88, 0.93, 0.85, 0.90])
    >>> low < 0.894 < high
    True
    """
    data = np.asarray(values, dtype=np.float64)
    members = members_of(data, patients)
    if len(members) < 2:
        return None
    if np.ptp(data) == 0:
        return float(data[0]), float(data[0])
    sums = np.array([data[one].sum() for one in members])
    sizes = np.array([float(one.size) for one in members])

    def mean(sums: NDArray[np.float64], sizes: NDArray[np.float64], axis: int) -> Any:
        return sums.sum(axis=axis) / sizes.sum(axis=axis)

    with warnings.catch_warnings():
        # SciPy warns about degenerate intervals; here they are None.
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (sums, sizes),
            mean,
            paired=True,
            n_resamples=RESAMPLES,
            batch=max(1, _VALUES // len(members)),
            confidence_level=LEVEL,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def median_interval(
    values: Sequence[float], patients: Patients = None, *, seed: int = 0
) -> tuple[float, float] | None:
    """95 % confidence interval of the median: two of the sorted values, by the binomial distribution.

    Where a patient has several cases: percentiles of the medians of resamples that draw patients.

    Args:
        values: one per case.
        patients: of each case; None: every case is another patient.
        seed: of the resamples.

    Returns:
        Lower and upper limit; None below six patients, for which no two values are far enough apart.

    >>> median_interval([0.91, 0.88, 0.93, 0.85, 0.90, 0.92])
    (0.85, 0.93)
    """
    data = np.asarray(values, dtype=np.float64)
    members = members_of(data, patients)
    place = int(stats.binom.ppf((1 - LEVEL) / 2, len(members), 0.5)) if members else 0
    if place == 0:
        return None
    if len(members) == data.size:
        ordered = np.sort(data)
        return float(ordered[place - 1]), float(ordered[-place])
    medians = resampled_medians(values, patients, seed)
    low, high = np.quantile(medians, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired(differences: Sequence[float], patients: Patients = None) -> Paired:
    """Test whether a run differs from another: Wilcoxon's signed-rank test (1945), zeros left out.

    Args:
        differences: one per case, positive if the run is better. Infinite differences, of cases in which one run
            failed and has no value, have the highest rank.
        patients: of each case; the differences of a patient are averaged first. None: every case is another patient.

    >>> result = paired([0.02, 0.05, 0.01, -0.03, 0.04, 0.06])
    >>> result.wins, result.losses, round(result.effect, 2), round(result.p, 3)
    (5, 1, 0.71, 0.156)
    """
    data = np.asarray(differences, dtype=np.float64)
    data = np.array([_mean_difference(data[one]) for one in members_of(data, patients)])
    wins, losses = int((data > 0).sum()), int((data < 0).sum())
    p, method = signed_rank(_finite(data[data != 0]))
    return Paired(
        n=data.size,
        wins=wins,
        ties=data.size - wins - losses,
        losses=losses,
        effect=rank_biserial(data) if data.size else None,
        p=p if data.size else None,
        least_p=min(1.0, 2.0 ** (1 - wins - losses)),
        method=method if data.size else None,
    )


def rank_biserial(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014): (W+ - W-) / (W+ + W-), from -1 to 1.

    W+ and W- are the sums of the ranks of the absolute differences of the better and the worse cases, zeros left out.
    The result is 0 if all differences are 0.

    >>> rank_biserial([1, 2, -3])
    0.0
    """
    data = np.asarray(differences, dtype=np.float64)
    data = _finite(data[data != 0])
    if not data.size:
        return 0.0
    of_each = ranks(data)
    return float((of_each * np.sign(data)).sum() / of_each.sum())


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (1979) of the p-values of several tests; None represents no test.

    >>> holm([0.01, 0.04, None])
    [0.02, 0.04, None]
    """
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[place] = highest
    return corrected


def resampled_medians(
    values: Sequence[float], patients: Patients, seed: int
) -> NDArray[np.float64]:
    """Medians of `RESAMPLES` resamples, which draw patients with replacement.

    Args:
        values: one per case, at least one.
        patients: of each case; None: every case is another patient.
        seed: equal seeds give equal medians.
    """
    data = np.asarray(values, dtype=np.float64)
    members = members_of(data, patients)
    random = np.random.default_rng(seed)
    patient = np.empty(data.size, dtype=np.intp)
    for number, indices in enumerate(members):
        patient[indices] = number
    order = np.argsort(data)
    ordered, patient = data[order], patient[order]
    draws, medians = max(1, _VALUES // data.size), []
    for start in range(0, RESAMPLES, draws):
        count = min(draws, RESAMPLES - start)
        times = random.multinomial(len(members), np.full(len(members), 1 / len(members)), count)
        reached = np.cumsum(times[:, patient], axis=1)
        half = reached[:, -1:] / 2
        low, high = (reached >= half).argmax(axis=1), (reached > half).argmax(axis=1)
        medians.append((ordered[low] + ordered[high]) / 2)
    return np.concatenate(medians)


def members_of(data: NDArray[np.float64], patients: Patients) -> list[NDArray[np.intp]]:
    """Indices of each patient's values, in the order of the first."""
    if patients is None:
        return list(np.arange(data.size)[:, None])
    found: dict[Hashable, list[int]] = {}
    for index, patient in enumerate(patients):
        found.setdefault(patient, []).append(index)
    return [np.array(indices, dtype=np.intp) for indices in found.values()]


def _mean_difference(differences: NDArray[np.float64]) -> float:
    """Mean of a patient's differences; an infinite one decides, unless it is met by one of the other sign."""
    infinite = np.sign(differences[np.isinf(differences)]).sum()
    if infinite:
        return float(math.inf * infinite)
    finite = differences[np.isfinite(differences)]
    return float(finite.mean()) if finite.size else 0.0


def _finite(data: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite values with the same signs and ranks."""
    infinite = np.isinf(data)
    if not infinite.any():
        return data
    above = 2 * np.abs(data[~infinite]).max(initial=1.0)
    return np.where(infinite, np.sign(data) * above, data)
