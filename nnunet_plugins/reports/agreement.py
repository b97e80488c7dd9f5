"""The report's intervals of means and medians, and the agreement of volumes (Bland and Altman 1986)."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_plugins.comparison.agreement import METHOD, volume_agreement, volume_pairs
from nnunet_plugins.comparison.statistics import FEW, interval, median_interval
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.patients import patients_of
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.evaluation.units import title_of
from nnunet_plugins.reports.charts import differences
from nnunet_plugins.text_table import count, number

SHOWN = ("dice", "hd95_mm")
MOST_CHARTS = 8
Table = tuple[list[str], list[list[str]]]


def interval_table(scores: Scores) -> Table:
    """Heading and rows, one per label: mean and median of Dice and HD95 with their 95 % confidence intervals."""
    metrics = [name for name in SHOWN if name in scores.metrics]
    head = ["label"]
    for name in metrics:
        title = title_of(name, scores)
        head += [f"{title} mean (95 % CI)", f"{title} median (95 % CI)"]
    rows = []
    for label in scores.labels.values:
        cells = [label]
        for name in metrics:
            cells += _intervals(scores, label, name)
        rows.append(cells)
    return head, rows


def case_count(scores: Scores) -> str:
    """The number of cases, and that of their patients if there are fewer."""
    patients = len(set(patients_of(scores).values()))
    of = f" of {count(patients, 'patient')}" if 0 < patients < len(scores.cases) else ""
    return count(len(scores.cases), "case") + of


def interval_note(scores: Scores) -> str:
    """How the intervals were computed."""
    several = case_count(scores) != count(len(scores.cases), "case")
    unit = "patients" if several else "cases"
    how = f"By patient: {case_count(scores)}; resamples draw patients. " if several else ""
    return (
        f"{how}Means: bootstrap (BCa). Medians: {'percentiles of the resamples' if several else 'order statistics'}, "
        f"none below 6 {unit}. * fewer than {FEW} {unit}: the interval of the mean is too short."
    )


def agreement_table(scores: Scores) -> Table:
    """Heading and rows, one per label: bias and limits of agreement of its volumes, with intervals."""
    head = [
        "label",
        "cases",
        *(f"{name} ml (95 % CI)" for name in ("bias", "lower limit", "upper limit")),
    ]
    rows = []
    for label, one in volume_agreement(scores).items():
        of = f" ({count(one.patients, 'patient')})" if one.patients < one.n else ""
        parts = ((one.bias, one.bias_ci), (one.low, one.low_ci), (one.high, one.high_ci))
        rows.append(
            [label, f"{one.n}{of}", *(_with_range(value, found, 2) for value, found in parts)]
        )
    return head, rows


def agreement_charts(scores: Scores) -> list[tuple[str, str | None]]:
    """A Bland-Altman chart of each label with the widest limits, at most `MOST_CHARTS`."""
    found = volume_agreement(scores)
    widest = sorted(found, key=lambda label: -found[label].sd)[:MOST_CHARTS]
    return [
        (
            f"volume of {label}",
            differences([*volume_pairs(scores, label).values()], found[label], label),
        )
        for label in found
        if label in widest
    ]


def agreement_note(scores: Scores) -> str:
    """What the limits are, and how many labels have no chart."""
    labels = len(volume_agreement(scores))
    fewer = (
        f" Charts: the {MOST_CHARTS} labels with the widest limits." if labels > MOST_CHARTS else ""
    )
    return f"{METHOD}.{fewer}"


def _intervals(scores: Scores, label: str, metric: str) -> list[str]:
    """Mean and median of a label with their intervals, as text."""
    summary = scores.summary[label].metrics[metric]
    digits = METRICS[metric].digits
    patients = patients_of(scores)
    known = {
        case.name: value
        for case in scores.cases
        if (value := getattr(case.labels[label], metric)) is not None
    }
    values = list(known.values())
    of_each = [patients[case] for case in known] if patients else None
    few = len(set(of_each) if of_each else values) < FEW
    mean = interval(values, of_each)
    return [
        _with_range(summary.mean, mean, digits) + (" *" if few and mean else ""),
        _with_range(summary.median, median_interval(values, of_each), digits),
    ]


def _with_range(value: float | None, found: Sequence[float] | None, digits: int) -> str:
    text = number(value, digits)
    if found is None:
        return text
    return f"{text} ({number(found[0], digits)} to {number(found[1], digits)})"
