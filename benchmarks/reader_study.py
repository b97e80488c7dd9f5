"""How often the intervals and tests of reader studies hold, by simulation; prints a table.

    python benchmarks/reader_study.py       # 1000 studies of each size: benchmarks/results/reader_study.md
    python benchmarks/reader_study.py --studies 100

Ratings follow the model of Roe and Metz (1997): reader, case and their interactions with each other and with the arm
are normal. Both arms have the same area, so that every significant difference is an error. Nominal are 95 % coverage
and 5 % errors.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from nnunet_plugins.comparison.table_formats import markdown
from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.readers.accuracy import areas
from nnunet_plugins.readers.calls import difference_interval
from nnunet_plugins.readers.obuchowski_rockette import analyse

#: Variances of reader, case, reader x case, error; interactions with the arm have that of the term they belong to.
READER, CASE, BOTH, ERROR = 0.0055, 0.3, 0.2, 0.2
APART = 1.5  # means of positive and negative cases
CALL = APART / 2  # a rating above it is a positive call


def ratings(rng: np.random.Generator, readers: int, cases: int) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (2, readers, 2 cases) of as many negative as positive cases, and the truth."""
    truth = np.arange(2 * cases) >= cases

    def term(variance: float, *shape: int) -> np.ndarray:
        return rng.normal(0, np.sqrt(variance), shape)

    found = truth * APART + term(CASE, 1, 1, 2 * cases) + term(CASE, 2, 1, 2 * cases)
    for kind in (~truth, truth):  # readers differ in either class on their own
        found = found + kind * (term(READER, 1, readers, 1) + term(READER, 2, readers, 1))
    found = found + term(BOTH, 1, readers, 2 * cases) + term(ERROR, 2, readers, 2 * cases)
    return found, truth


def rates(rng: np.random.Generator, readers: int, cases: int, studies: int) -> tuple[str, ...]:
    """A row of the table."""
    area = stats.norm.cdf(APART / np.sqrt(2 * (2 * READER + 2 * CASE + BOTH + ERROR)))
    wrong, wrong_fixed, inside, paired = 0, 0, 0, 0
    for _ in range(studies):
        marks, truth = ratings(rng, readers, cases)
        found = analyse(*areas(marks, truth))
        wrong += found.p is not None and found.p < 0.05
        wrong_fixed += found.p_fixed is not None and found.p_fixed < 0.05
        inside += found.means[0].low <= area <= found.means[0].high
        right = (marks[:, 0] > CALL) == truth
        better, worse = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
        low, high = difference_interval(better, worse, 2 * cases)
        paired += low <= 0 <= high
    shares = (wrong, wrong_fixed, inside, paired)
    return (str(readers), str(2 * cases), *(f"{100 * one / studies:.1f} %" for one in shares))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=1000)
    studies = parser.parse_args().studies
    rng = np.random.default_rng(0)
    head = [
        "readers", "cases", "errors: all readers", "errors: these readers", "coverage: mean AUC",
        "coverage: paired calls",
    ]  # fmt: skip
    sizes = [(2, 15), (2, 30), (3, 30), (5, 15), (5, 30), (10, 30)]
    rows = [rates(rng, readers, cases, studies) for readers, cases in sizes]
    title = (
        f"{studies} studies per row, no difference between the arms (benchmarks/reader_study.py)"
    )
    print(markdown([Sheet(title, tuple(head), tuple(rows), 0)], [], []), end="")


if __name__ == "__main__":
    main()
