"""Performance of a classifier on the patients of one split: discrimination, calls, calibration, net benefit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from nnunet_plugins.classifier.predict import Predictions, Scored
from nnunet_plugins.classifier.train import by_patient
from nnunet_plugins.diagnosis.bootstrap import RESAMPLES, stratified
from nnunet_plugins.diagnosis.calibration import (
    Bin,
    Recalibration,
    brier,
    intercept_and_slope,
    recalibrate,
    reliability,
)
from nnunet_plugins.diagnosis.calls import SHARES, Counts, count
from nnunet_plugins.diagnosis.delong import area
from nnunet_plugins.diagnosis.proportions import Interval, wilson
from nnunet_plugins.errors import UserError

#: Name -> heading.
TITLES = {
    "auc": "AUC", "accuracy": "accuracy", "sensitivity": "sensitivity", "specificity": "specificity",
    "ppv": "PPV", "npv": "NPV", "kappa": "Cohen's kappa", "brier": "Brier score",
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: in `TITLES`.
        value: None if it has none, as the PPV without positive calls.
        interval: 95 %; by DeLong (AUC), Wilson (shares), Fleiss et al. (kappa); None for others and without a value.
        bootstrap: 95 %, percentiles of the stratified bootstrap.
        part: numerator and denominator of shares.
    """

    name: str
    value: float | None
    interval: Interval | None
    bootstrap: Interval | None
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class Calibration:
    """Probabilities against outcomes.

    Attributes:
        bins: of the reliability curve.
        line: intercept and slope, 0 and 1 if calibrated; None if the classes are separated.
        recalibrations: fitted on the validation set, or on that of each fold; none without validation patients of
            both classes.
        recalibrated: its probabilities of the patients, (n,).
        bins_after: of the recalibrated probabilities.
        brier_after: of the recalibrated probabilities.
    """

    bins: list[Bin]
    line: Recalibration | None
    recalibrations: tuple[Recalibration, ...]
    recalibrated: NDArray[np.float64] | None
    bins_after: list[Bin]
    brier_after: float | None


@dataclass(frozen=True)
class Result:
    """A classifier on one split; arrays have one entry per patient.

    Attributes:
        predictions: of all splits.
        split: that is measured.
        cases: number of cases.
        labels: 1 for the positive class; (n,).
        probabilities: mean of a patient's cases; (n,).
        calls: of the patients at the fixed threshold, or at that of their fold; (n,).
        counts: of the calls.
        measures: in the order of `TITLES`.
        of_seeds: AUC of each seed.
        of_folds: AUC of each fold; none without folds.
        calibration: see `Calibration`.
    """

    predictions: Predictions
    split: str
    cases: int
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    calls: NDArray[np.int64]
    counts: Counts
    measures: tuple[Measure, ...]
    of_seeds: tuple[float, ...]
    of_folds: tuple[float, ...]
    calibration: Calibration

    def measure(self, name: str) -> Measure:
        """The measure of a name."""
        return next(one for one in self.measures if one.name == name)


def evaluate(predictions: Predictions, split: str, *, resamples: int = RESAMPLES) -> Result:
    """Measure a split at the threshold that was fixed on the validation set.

    Args:
        predictions: with labels.
        split: test or external.
        resamples: of the bootstrap.

    Raises:
        UserError: the split has one class only, or is the validation set, or there are no resamples.
    """
    if resamples < 1:
        raise UserError(f"--resamples {resamples}: expected 1 or more; intervals need about 2000")
    if split not in ("test", "external"):
        raise UserError(
            f"--split {split}: allowed are test and external; the threshold was chosen on validation"
        )
    cases = predictions.of(split)
    labels, probabilities = patients_of(cases)
    if len(set(labels.tolist())) < 2:
        names = " and ".join(sorted({predictions.classes[one] for one in labels}))
        raise UserError(
            f"the {split} set has {f'only {names}' if names else 'no case with a label'}; both "
            f"{' and '.join(predictions.classes)} are required"
        )
    _, thresholds = patients_of(cases, lambda one: one.threshold)
    calls = (probabilities >= thresholds).astype(np.int64)
    counts = count(labels, calls)
    seeds = [patients_of(cases, _of_seed(place)) for place in range(len(predictions.seeds))]
    folds = [patients_of(part.of(split)) for part in predictions.folds]
    return Result(
        predictions, split, len(cases), labels, probabilities, calls, counts,
        _measures(labels, probabilities, calls, counts, resamples),
        tuple(float(roc_auc_score(*one)) for one in seeds),
        tuple(float(roc_auc_score(*one)) for one in folds),
        _calibration(predictions, split, labels, probabilities),
    )  # fmt: skip


def patients_of(
    cases: list[Scored], value: Callable[[Scored], float] = lambda one: one.probability
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Label and mean of a value, by default of the probability, of each patient."""
    known = [one for one in cases if one.label is not None]
    numbers = [-1 - i if one.patient is None else one.patient for i, one in enumerate(known)]
    values = np.array([value(one) for one in known])
    labels, means = by_patient(numbers, [int(one.label or 0) for one in known], values)
    return np.array(labels, np.int64), means


def _of_seed(place: int) -> Callable[[Scored], float]:
    return lambda one: one.seeds[place]


def _measures(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    calls: NDArray[np.int64],
    counts: Counts,
    resamples: int,
) -> tuple[Measure, ...]:
    def statistics(drawn: NDArray[np.intp]) -> dict[str, float | None]:
        found = _fast_count(labels[drawn], calls[drawn])
        return {
            "auc": area(labels[drawn], probabilities[drawn]).value,
            **{name: found.share(name) for name in SHARES},
            "kappa": _kappa(found),
            "brier": brier(labels[drawn], probabilities[drawn]),
        }

    drawn = stratified(labels, statistics, resamples=resamples)
    whole, kappa = area(labels, probabilities), counts.kappa
    shares = [
        Measure(
            name, counts.share(name), wilson(*counts.parts[name]), drawn[name], counts.parts[name]
        )
        for name in SHARES
    ]
    return (
        Measure("auc", whole.value, whole.interval, drawn["auc"]),
        *shares,
        Measure("kappa", kappa.value, kappa.interval, drawn["kappa"]),
        Measure("brier", brier(labels, probabilities), None, drawn["brier"]),
    )


def _fast_count(labels: NDArray[np.int64], calls: NDArray[np.int64]) -> Counts:
    tn, fp, fn, tp = np.bincount(2 * labels + calls, minlength=4).tolist()
    return Counts(tp=tp, fn=fn, tn=tn, fp=fp)


def _kappa(one: Counts) -> float | None:
    """Cohen's kappa of a 2 x 2 table, for the many resamples."""
    chance = (one.tp + one.fn) * (one.tp + one.fp) + (one.tn + one.fp) * (one.tn + one.fn)
    expected = chance / one.n**2
    observed = (one.tp + one.tn) / one.n
    return (observed - expected) / (1 - expected) if expected < 1 else None


def _calibration(
    predictions: Predictions,
    split: str,
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
) -> Calibration:
    line = intercept_and_slope(labels, probabilities)
    fitted, after = [], []
    # A patient who is tested in one fold is validated in another: each fold has its own recalibration.
    for part in predictions.parts:
        held, scores = patients_of(part.of("validation"))
        if len(set(held.tolist())) == 2:
            fitted.append(recalibrate(held, scores))
            after.append(fitted[-1].of(patients_of(part.of(split))[1]))
    if len(fitted) < len(predictions.parts) or (predictions.folds and split != "test"):
        fitted = []  # the mean of the folds has no validation set of its own
    recalibrated = np.concatenate(after) if fitted else None
    return Calibration(
        reliability(labels, probabilities), line, tuple(fitted), recalibrated,
        reliability(labels, recalibrated) if recalibrated is not None else [],
        brier(labels, recalibrated) if recalibrated is not None else None,
    )  # fmt: skip
