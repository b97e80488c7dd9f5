"""One number of a reader study, with its interval and test: what tables, charts and the CSV file are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

from nnunet_plugins.comparison.statistics import holm
from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.evaluation.definitions import METRICS

GAIN = "assisted - alone"
#: Measures of calls that are shares of cases.
SHARES = ("accuracy", "sensitivity", "specificity", "PPV", "NPV")


@dataclass(frozen=True)
class Finding:
    """One number.

    Attributes:
        table: what it belongs to, e.g. calls.
        measure: e.g. sensitivity.
        reader: name; 'all' for several.
        arm: alone, assisted, or what is compared.
        value: None if it is not defined.
        low: lower limit of the 95 % interval.
        high: upper limit.
        n: cases, or pairs of reads, with a value.
        k: successes of a proportion.
        sd: standard deviation over the cases.
        better: cases in which the second of two is better.
        worse: cases in which it is worse.
        p: two-sided p-value.
        p_holm: after Holm's correction.
        n_test: pairs in the test, which ranks masks without a value, too; None without such ranks.
        p_unpaired: of the chi-square test that takes paired calls for those of different cases.
        label: of masks.
        method: of interval and test.
    """

    table: str
    measure: str
    reader: str
    arm: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    k: int | None = None
    sd: float | None = None
    better: int | None = None
    worse: int | None = None
    p: float | None = None
    p_holm: float | None = None
    n_test: int | None = None
    p_unpaired: float | None = None
    label: str = ""
    method: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both limits; None without them."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def corrected(
    findings: Iterable[Finding], family: Callable[[Finding], object] = lambda one: one.measure
) -> list[Finding]:
    """The findings with Holm's correction within each family of tests.

    Args:
        findings: in any order, which is kept.
        family: of a finding; all tests of a measure by default.

    >>> tests = [Finding("calls", "accuracy", reader, GAIN, 0.1, p=p) for reader, p in (("A", 0.02), ("B", 0.4))]
    >>> [one.p_holm for one in corrected(tests)]
    [0.04, 0.4]
    """
    found = list(findings)
    places: dict[object, list[int]] = {}
    for place, one in enumerate(found):
        places.setdefault(family(one), []).append(place)
    for of_family in places.values():
        for place, p in zip(of_family, holm([found[i].p for i in of_family]), strict=True):
            found[place] = replace(found[place], p_holm=p)
    return found


def in_percent(measure: str) -> bool:
    """Whether a measure is a share: of cases, or of voxels or surfaces that overlap."""
    about = METRICS.get(measure)
    return measure in SHARES or bool(about and about.unit == "1" and about.better == "higher")


def turns(measure: str) -> bool:
    """Whether differences of a measure of masks have their sign turned, so that they are positive if better."""
    return measure in METRICS and METRICS[measure].better != "higher"


def findings_csv(findings: Sequence[Finding]) -> str:
    """All findings with full precision, one per row; what is not defined is an empty cell."""
    names = [field.name for field in fields(Finding)]
    return csv_text([names, *([getattr(one, name) for name in names] for one in findings)])
