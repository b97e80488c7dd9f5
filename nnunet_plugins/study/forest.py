"""Forest plot: the mean paired difference of each row from the baseline, with its interval."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_plugins.comparison.case_values import gains, values
from nnunet_plugins.comparison.compare import ALPHA, Comparison, Line
from nnunet_plugins.comparison.statistics import interval
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.reports.charts import svg
from nnunet_plugins.reports.colours import LINES


@dataclass(frozen=True)
class Gain:
    """How much better a row is than the baseline, in the metric's unit; positive is better.

    Attributes:
        line: its line in the comparison.
        mean: of the paired differences; None without pairs.
        ci: 95 % interval of that mean.
    """

    line: Line
    mean: float | None
    ci: tuple[float, float] | None

    @property
    def survives(self) -> bool:
        """Whether the difference is significant after Holm's correction and exceeds the spread of the seeds."""
        return self.line.p is not None and self.line.p < ALPHA and not self.line.within_spread


def gains_of(found: Comparison, metric: str, label: str) -> list[Gain]:
    """The gains of all rows but the first, in the order of the comparison.

    Args:
        found: the comparison.
        metric: one of its metrics.
        label: one of its labels, or `MEAN`.
    """
    table = next(one for one in found.tables if one.metric == metric)
    lines = {line.run: line for line in table.lines if line.label == label}
    first = values(found.runs[0], label, metric)
    made = []
    for run in found.runs[1:]:
        each = gains(first, values(run, label, metric))
        # A case that failed in one run only has no finite difference.
        finite = {case: gain for case, gain in each.items() if abs(gain) < float("inf")}
        patients = [found.patients[case] for case in finite] if found.patients else None
        mean = statistics.fmean(finite.values()) if finite else None
        made.append(Gain(lines[run.name], mean, interval([*finite.values()], patients)))
    return made


def forest(found: Sequence[Gain], metric: str, baseline: str) -> str | None:
    """The chart as SVG; None if no row has a difference.

    A filled point survives Holm's correction and the spread of the seeds; the grey bar is that spread.
    """
    shown = [one for one in found if one.mean is not None]
    if not shown:
        return None
    about = METRICS[metric]
    unit = "" if about.unit == "1" else f", {about.unit}"

    def draw(axes: Any) -> None:
        axes.axvline(0, color="black", linewidth=0.8)
        for row, one in enumerate(shown):
            _draw(axes, row, one)
        axes.set_yticks(range(len(shown)), [one.line.run for one in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        sign = "" if about.better == "higher" else ", sign turned"
        axes.set_xlabel(
            f"gain in {about.title.removesuffix(' mm')}{unit}{sign}\nover {baseline}; right is better"
        )
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=6)

    return svg(draw, 1.1 + 0.34 * len(shown), f"forest {metric}")


def _draw(axes: Any, row: int, one: Gain) -> None:
    if one.line.spread is not None:
        axes.barh(row, 2 * one.line.spread, 0.62, -one.line.spread, color="#555555", alpha=0.15)
    if one.ci is not None:
        axes.plot(one.ci, (row, row), "-", color=LINES[0], linewidth=1.6)
    axes.plot(
        one.mean, row, "o", color=LINES[0], markersize=6,
        markerfacecolor=LINES[0] if one.survives else "white",
    )  # fmt: skip
