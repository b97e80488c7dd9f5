"""Performance of a classifier on the patients of one split: discrimination, calls, calibration, net benefit."""

from __future__ import annotations

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
        recalibration: fitted on the validation set; None without validation patients of both classes.
        recalibrated: its probabilities of the patients, (n,).
        bins_after: of the recalibrated probabilities.
        brier_after: of the recalibrated probabilities.
    """

    bins: list[Bin]
    line: Recalibration | None
    recalibration: Recalibration | None
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
        counts: of the calls at the fixed threshold.
        measures: in the order of `TITLES`.
        of_seeds: AUC of each seed.
        calibration: see `Calibration`.
    """

    predictions: Predictions
    split: str
    cases: int
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    counts: Counts
    measures: tuple[Measure, ...]
    of_seeds: tuple[float, ...]
    calibration: Calibration

    @property
    def calls(self) -> NDArray[np.int64]:
        """Call of each patient at the fixed threshold; (n,)."""
        return (self.probabilities >= self.predictions.threshold).astype(np.int64)

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
        UserError: the split has one class only, or is the validation set.
    """
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
    calls = (probabilities >= predictions.threshold).astype(np.int64)
    counts = count(labels, calls)
    seeds = range(len(predictions.seeds))
    each = [float(roc_auc_score(*patients_of(cases, seed))) for seed in seeds]
    return Result(
        predictions, split, len(cases), labels, probabilities, counts,
        _measures(labels, probabilities, calls, counts, resamples), tuple(each),
        _calibration(predictions, labels, probabilities),
    )  # fmt: skip


def patients_of(
    cases: list[Scored], seed: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Label and probability of each patient, by all seeds or by one (its place)."""
    known = [one for one in cases if one.label is not None]
    numbers = [-1 - i if one.patient is None else one.patient for i, one in enumerate(known)]
    values = np.array([one.probability if seed is None else one.seeds[seed] for one in known])
    labels, probabilities = by_patient(numbers, [int(one.label or 0) for one in known], values)
    return np.array(labels, np.int64), probabilities


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
    predictions: Predictions, labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Calibration:
    line = intercept_and_slope(labels, probabilities)
    held, scores = patients_of(predictions.of("validation"))
    fitted = recalibrate(held, scores) if len(set(held.tolist())) == 2 else None
    after = fitted.of(probabilities) if fitted else None
    return Calibration(
        reliability(labels, probabilities), line, fitted, after,
        reliability(labels, after) if after is not None else [],
        brier(labels, after) if after is not None else None,
    )  # fmt: skip
