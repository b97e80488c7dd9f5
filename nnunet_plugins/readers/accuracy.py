"""Accuracy of each reader in each arm, with the covariance of its errors by the jackknife over cases or patients."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.comparison.statistics import members_of

Array = NDArray[np.float64]
Patients = Sequence[Hashable] | None


def areas(
    ratings: Array, truth: NDArray[np.bool_], patients: Patients = None
) -> tuple[Array, Array]:
    """Areas below the empirical ROC curves (trapezoids; ties count one half).

    Args:
        ratings: (t, r, n), of each case by each reader in each arm; higher means more likely positive.
        truth: (n,), whether a case is positive.
        patients: of each case; the jackknife leaves out patients. None: every case is another patient.

    Returns:
        The areas (t, r) and the covariances of their errors (t, r, t, r): jackknife over all cases or patients.

    Raises:
        ValueError: without one of the patients, no positive or no negative case is left.

    >>> ratings = np.array([[[1.0, 2.0, 2.0, 3.0]]])
    >>> areas(ratings, np.array([False, False, True, True]))[0].item()
    0.875
    """
    kept = _kept(truth.size, patients)
    of_positive, of_negative = kept[:, truth], kept[:, ~truth]
    pairs = of_positive.sum(axis=1) * of_negative.sum(axis=1)
    if not pairs.size or not pairs.all():
        raise ValueError(
            f"areas: {truth.sum()} positive and {(~truth).sum()} negative cases; two or more of each are needed, of "
            "two or more patients"
        )
    high, low = ratings[..., truth, None], ratings[..., None, ~truth]
    wins = (high > low) + 0.5 * (high == low)
    without = np.einsum("gm,irmg->irg", of_positive, wins @ of_negative.T) / pairs
    return wins.mean(axis=(-2, -1)), _jackknife(without)


def means(scores: Array, patients: Patients = None) -> tuple[Array, Array]:
    """Means over cases, e.g. of Dice, or of right calls among the positive cases (sensitivity).

    Args:
        scores: (t, r, n).
        patients: of each case; None: every case is another patient.

    Returns:
        The means (t, r) and the covariances of their errors (t, r, t, r): the jackknife's, which without patients are
        the sample covariances divided by n.

    Raises:
        ValueError: fewer than two cases or patients.
    """
    kept = _kept(scores.shape[-1], patients)
    if len(kept) < 2:
        raise ValueError(f"means: {len(kept)} cases or patients; two or more are needed")
    return scores.mean(axis=-1), _jackknife(scores @ kept.T / kept.sum(axis=1))


def _kept(n: int, patients: Patients) -> Array:
    """(patients, n): 0 for the cases of the patient that is left out, else 1."""
    members = members_of(np.empty(n), patients)
    kept = np.ones((len(members), n))
    for row, cases in zip(kept, members, strict=True):
        row[cases] = 0.0
    return kept


def _jackknife(without: Array) -> Array:
    """Covariances (t, r, t, r) from the values (t, r, n) without each of n cases or patients."""
    n = without.shape[-1]
    centred = without - without.mean(axis=-1, keepdims=True)
    found: Array = (n - 1) / n * np.einsum("irn,jsn->irjs", centred, centred)
    return found
