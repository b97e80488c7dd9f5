"""Binary calls against the truth: counts, the shares that follow from them, and the threshold of a score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix, roc_curve

from nnunet_plugins.diagnosis.kappa import Kappa, cohen_kappa

#: Name -> what it is.
SHARES = {
    "accuracy": "correct calls of all patients",
    "sensitivity": "positive calls of patients with the disease",
    "specificity": "negative calls of patients without the disease",
    "ppv": "patients with the disease of positive calls",
    "npv": "patients without the disease of negative calls",
}

#: Words for positive -> those for negative, in lower case, which need no further explanation.
OPPOSITES = {"1": "0", "yes": "no", "true": "false", "positive": "negative", "pos": "neg"}


@dataclass(frozen=True)
class Counts:
    """True and false calls.

    >>> paper = Counts(tp=54, fn=7, tn=24, fp=11)
    >>> paper.n, round(100 * paper.share("accuracy"), 2), round(paper.kappa.value, 3)
    (96, 81.25, 0.585)
    """

    tp: int
    fn: int
    tn: int
    fp: int

    @property
    def n(self) -> int:
        """Number of patients."""
        return self.tp + self.fn + self.tn + self.fp

    @property
    def parts(self) -> dict[str, tuple[int, int]]:
        """Name in `SHARES` -> numerator and denominator."""
        return {
            "accuracy": (self.tp + self.tn, self.n),
            "sensitivity": (self.tp, self.tp + self.fn),
            "specificity": (self.tn, self.tn + self.fp),
            "ppv": (self.tp, self.tp + self.fp),
            "npv": (self.tn, self.tn + self.fn),
        }

    def share(self, name: str) -> float | None:
        """One of `SHARES`; None if nothing is counted below the line."""
        part, whole = self.parts[name]
        return part / whole if whole else None

    @property
    def kappa(self) -> Kappa:
        """Cohen's kappa of calls and truth.

        Raises:
            UserError: statsmodels is not installed.
        """
        truth = [1] * (self.tp + self.fn) + [0] * (self.tn + self.fp)
        calls = [1] * self.tp + [0] * (self.fn + self.tn) + [1] * self.fp
        return cohen_kappa(truth, calls)


def count(labels: ArrayLike, calls: ArrayLike) -> Counts:
    """Count the calls of patients.

    Args:
        labels: 1 with the disease, 0 without; (n,).
        calls: 1 positive, 0 negative; (n,).

    >>> count([1, 1, 0, 0], [1, 0, 0, 0])
    Counts(tp=1, fn=1, tn=2, fp=0)
    """
    (tn, fp), (fn, tp) = confusion_matrix(labels, calls, labels=[0, 1]).tolist()
    return Counts(tp=tp, fn=fn, tn=tn, fp=fp)


def youden(labels: ArrayLike, scores: ArrayLike) -> float:
    """Threshold with the highest sensitivity + specificity - 1 (Youden 1950); scores of at least it are positive.

    It is the middle between the two neighbouring scores. Of equal maxima, the one with the higher sensitivity counts.

    Args:
        labels: 1 with the disease, 0 without; both present; (n,).
        scores: (n,), between 0 and 1.

    >>> youden([0, 0, 1, 1], [0.1, 0.3, 0.5, 0.9])
    0.4
    """
    truth, values = np.asarray(labels), np.asarray(scores, np.float64)
    false, true, thresholds = roc_curve(truth, values, drop_intermediate=False)
    height = true - false
    best = float(thresholds[np.flatnonzero(height >= height.max() - 1e-12)[-1]])
    if not np.isfinite(best):  # no score separates: every call is negative
        return float(np.nextafter(values.max(), np.inf))
    below = values[values < best]
    return float((best + below.max()) / 2) if below.size else best
