"""ROC curve with readers, reliability curve, decision curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from nnunet_plugins.classifier.measures import Result
from nnunet_plugins.classifier.paired import Reader
from nnunet_plugins.diagnosis.decision_curve import net_benefit
from nnunet_plugins.reports.colours import LINES

Draw = Callable[[Any], None]
_MARKS = "osD^vP*X"
_MOST = 0.99  # highest threshold probability of a decision curve


def charts(
    results: Sequence[tuple[str, Result]], readers: Sequence[Reader] = ()
) -> dict[str, tuple[str, Draw]]:
    """File name -> title and a function that draws on axes.

    Args:
        results: name and result of each classifier, on the same patients.
        readers: points of the ROC chart.
    """
    first = results[0][1]
    return {
        "roc": ("ROC curve", partial(_roc, results, readers)),
        "reliability": ("Reliability", partial(_reliability, first)),
        "decision_curve": ("Decision curve", partial(_decision, first)),
    }


def _roc(results: Sequence[tuple[str, Result]], readers: Sequence[Reader], axes: Any) -> None:
    axes.plot([0, 1], [0, 1], ":", color="#888888", linewidth=1)
    for number, (name, one) in enumerate(results):
        false, true, _ = roc_curve(one.labels, one.probabilities, drop_intermediate=False)
        colour = LINES[number % len(LINES)]
        auc = one.measure("auc").value
        axes.plot(false, true, "-", color=colour, linewidth=1.6, label=f"{name}, AUC {auc:.3f}")
        axes.plot(
            1 - (one.counts.share("specificity") or 0), one.counts.share("sensitivity") or 0, "o", color=colour,
            markersize=6, markerfacecolor="white", zorder=3,
        )  # fmt: skip
    for number, reader in enumerate(readers):
        axes.plot(
            1 - (reader.counts.share("specificity") or 0), reader.counts.share("sensitivity") or 0,
            _MARKS[number % len(_MARKS)], color="black", markersize=6, linestyle="none", label=reader.name, zorder=4,
        )  # fmt: skip
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="lower right", fontsize="small")


def _reliability(result: Result, axes: Any) -> None:
    found = result.calibration
    axes.plot([0, 1], [0, 1], ":", color="#888888", linewidth=1)
    for name, bins, colour in (
        ("as predicted", found.bins, LINES[0]),
        ("recalibrated", found.bins_after, LINES[1]),
    ):
        if not bins:
            continue
        x, y = [one.predicted for one in bins], [one.observed for one in bins]
        # Wilson's limits are around the share, except for rounding.
        low = [max(0.0, one.observed - one.interval[0]) for one in bins]
        high = [max(0.0, one.interval[1] - one.observed) for one in bins]
        axes.errorbar(
            x,
            y,
            yerr=[low, high],
            fmt="o-",
            color=colour,
            markersize=4,
            linewidth=1.2,
            capsize=2,
            label=name,
        )
    positive = result.predictions.classes[1]
    axes.set(
        xlabel="mean probability",
        ylabel=f"share of {positive}",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="upper left", fontsize="small")


def _decision(result: Result, axes: Any) -> None:
    thresholds = np.linspace(0.01, _MOST, 99)
    found = result.calibration
    curves = [("classifier", result.probabilities, LINES[0], "-")]
    if found.recalibrated is not None:
        curves.append(("recalibrated", found.recalibrated, LINES[1], "-"))
    curves.append(("all positive", np.ones(len(result.labels)), "#888888", "--"))
    for name, probabilities, colour, style in curves:
        benefit = net_benefit(result.labels, probabilities, thresholds)
        axes.plot(thresholds, benefit, style, color=colour, linewidth=1.4, label=name)
    axes.axhline(0, color="black", linewidth=0.8, label="none positive")
    prevalence = float(result.labels.mean())
    axes.set(
        xlabel="threshold probability", ylabel="net benefit", xlim=(0, 1),
        ylim=(-0.1, prevalence + 0.05),
    )  # fmt: skip
    axes.legend(frameon=False, fontsize="small")
