"""Forest plot: the mean paired difference of each row from the baseline, with its interval."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_plugins.comparison.case_values import measured_gains, values
from nnunet_plugins.comparison.compare import ALPHA, Comparison, Line
from nnunet_plugins.comparison.statistics import interval
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.reports.charts import forest_axes, forest_height, forest_row, svg


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
        each = measured_gains(first, values(run, label, metric))
        patients = [found.patients[case] for case in each] if found.patients else None
        mean = statistics.fmean(each.values()) if each else None
        made.append(Gain(lines[run.name], mean, interval([*each.values()], patients)))
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

    sign = "" if about.better == "higher" else ", sign turned"
    title = (
        f"gain in {about.title.removesuffix(' mm')}{unit}{sign}\nover {baseline}; right is better"
    )

    def draw(axes: Any) -> None:
        forest_axes(axes, [one.line.run for one in shown], title)
        for row, one in enumerate(shown):
            spread = one.line.spread
            if spread is not None:
                axes.barh(row, 2 * spread, 0.62, -spread, color="#555555", alpha=0.15)
            forest_row(axes, row, one.mean or 0.0, one.ci, filled=one.survives)

    return svg(draw, forest_height(len(shown)), f"forest {metric}")
