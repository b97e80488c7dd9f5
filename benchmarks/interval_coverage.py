"""How often the intervals of `classify evaluate` hold the true value, in simulated test sets of a paper's size.

python benchmarks/interval_coverage.py
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from nnunet_plugins.diagnosis.calls import Counts
from nnunet_plugins.diagnosis.delong import area, difference
from nnunet_plugins.diagnosis.proportions import wald, wilson

REPEATS = 1000
SIZES = ((61, 35), (37, 21))  # with and without the disease, as in paper 002
AUC, CORRELATION, SENSITIVITY, SPECIFICITY = 0.85, 0.5, 0.9, 0.6


def kappa_of(tp: float, fn: float, tn: float, fp: float) -> float:
    """Cohen's kappa of shares."""
    chance = (tp + fn) * (tp + fp) + (tn + fp) * (tn + fn)
    return (tp + tn - chance) / (1 - chance)


def main() -> None:
    """Print a row for each size."""
    random = np.random.default_rng(0)
    shift = np.sqrt(2) * stats.norm.ppf(AUC)
    print("sick  well  Wilson  Wald   DeLong  difference  p < 0.05  kappa")
    for sick, well in SIZES:
        labels = np.array([1] * sick + [0] * well)
        share = sick / (sick + well)
        truth = kappa_of(share * SENSITIVITY, share * (1 - SENSITIVITY), (1 - share) * SPECIFICITY,
                         (1 - share) * (1 - SPECIFICITY))  # fmt: skip
        held = np.zeros(6)
        for _ in range(REPEATS):
            noise = random.multivariate_normal(
                [0, 0], [[1, CORRELATION], [CORRELATION, 1]], sick + well
            )
            first, second = (noise + shift * labels[:, None]).T
            tp, tn = (
                int(random.binomial(sick, SENSITIVITY)),
                int(random.binomial(well, SPECIFICITY)),
            )
            paired = difference(labels, first, second)
            kappa = Counts(tp, sick - tp, tn, well - tn).kappa
            pairs = (
                (wilson(tp, sick), SENSITIVITY),
                (wald(tp, sick), SENSITIVITY),
                (area(labels, first).interval, AUC),
                (paired.interval, 0.0),
                (kappa.interval, truth),
            )
            inside = [one is not None and one[0] <= value <= one[1] for one, value in pairs]
            held += [*inside[:4], (paired.p or 0) < 0.05, inside[4]]
        print(f"{sick:4}  {well:4}  " + "  ".join(f"{one:.3f}" for one in held / REPEATS))


if __name__ == "__main__":
    main()
