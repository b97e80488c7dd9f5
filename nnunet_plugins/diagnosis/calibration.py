"""Calibration of probabilities: Brier score, reliability curve, intercept and slope, recalibration."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

from nnunet_plugins.diagnosis.proportions import Interval, wilson

BINS = 5
_EDGE = 1e-6  # probabilities of 0 and 1 have no logit


@dataclass(frozen=True)
class Bin:
    """Patients with similar probabilities.

    Attributes:
        n: their number.
        predicted: mean probability.
        observed: share with the disease.
        interval: Wilson's, of the share.
    """

    n: int
    predicted: float
    observed: float
    interval: Interval


@dataclass(frozen=True)
class Recalibration:
    """Logistic recalibration of a probability p: 1 / (1 + exp(-(intercept + slope logit(p)))).

    >>> Recalibration(0.0, 1.0).of([0.2, 0.9]).round(3).tolist()
    [0.2, 0.9]
    """

    intercept: float
    slope: float

    def of(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """The recalibrated probabilities; (n,)."""
        found: NDArray[np.float64] = 1 / (
            1 + np.exp(-(self.intercept + self.slope * logit(probabilities)))
        )
        return found


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); 0 is best.

    >>> round(brier([1, 0], [0.8, 0.4]), 6)
    0.1
    """
    found = np.asarray(probabilities, np.float64) - np.asarray(labels, np.float64)
    return float((found**2).mean())


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> list[Bin]:
    """Bins of equal numbers of patients, from the lowest probability to the highest; equal ones stay together.

    Args:
        labels: 1 with the disease, 0 without; (n,).
        probabilities: (n,).
        bins: at most this number.
    """
    truth, values = np.asarray(labels), np.asarray(probabilities, np.float64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, values, side="left")
    found = []
    for number in np.unique(place):
        inside = place == number
        k, n = int(truth[inside].sum()), int(inside.sum())
        limits = wilson(k, n)
        if limits is not None:
            found.append(Bin(n, float(values[inside].mean()), k / n, limits))
    return found


def recalibrate(labels: ArrayLike, probabilities: ArrayLike) -> Recalibration:
    """Fit a recalibration, with Platt's targets (1999), which keep it finite for classes that are separated.

    Fit it on validation patients and apply it to test patients.

    Args:
        labels: 1 with the disease, 0 without; both present; (n,).
        probabilities: (n,).
    """
    truth = np.asarray(labels)
    sick, well = int((truth == 1).sum()), int((truth == 0).sum())
    target = np.where(truth == 1, (sick + 1) / (sick + 2), 1 / (well + 2))
    return _logistic(target, probabilities)


def intercept_and_slope(labels: ArrayLike, probabilities: ArrayLike) -> Recalibration | None:
    """Calibration intercept and slope (Cox 1958): 0 and 1 if calibrated; None if the classes are separated."""
    truth, values = np.asarray(labels), logit(probabilities)
    sick, well = values[truth == 1], values[truth == 0]
    if not sick.size or not well.size or sick.min() >= well.max() or well.min() >= sick.max():
        return None
    return _logistic(truth.astype(np.float64), probabilities)


def logit(probabilities: ArrayLike) -> NDArray[np.float64]:
    """ln(p / (1 - p)), finite also for 0 and 1; (n,)."""
    p = np.clip(np.asarray(probabilities, np.float64), _EDGE, 1 - _EDGE)
    found: NDArray[np.float64] = np.log(p / (1 - p))
    return found


def _logistic(target: NDArray[np.float64], probabilities: ArrayLike) -> Recalibration:
    """Logistic regression of shares on the logit: every patient counts as sick and as well, by its share."""
    values = np.tile(logit(probabilities), 2)[:, None]
    classes = np.repeat([1, 0], target.size)
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # C and penalty have changed their roles
        model.fit(values, classes, sample_weight=np.concatenate([target, 1 - target]))
    return Recalibration(float(model.intercept_[0]), float(model.coef_[0, 0]))
