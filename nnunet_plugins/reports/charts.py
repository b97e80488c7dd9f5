"""Charts as SVG for embedding in the page: scores of every case, and training curves."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_plugins.comparison.agreement import Agreement
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.reports.colours import LINES
from nnunet_plugins.training_log import TrainingLog

WIDE = 4.8  # inches; narrow enough for a phone
MOST_POINTS = 4000  # with more, only the boxes are drawn
_LOOK = {
    "font.size": 10,
    "font.family": ["sans-serif"],
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.parse_math": False,
}


def distribution(scores: Scores, metric: str) -> str | None:
    """The value of every case and one box per label; None if no case has a value."""
    values = {
        name: [
            value
            for case in scores.cases
            if (value := getattr(case.labels[name], metric)) is not None
        ]
        for name in scores.labels.values
    }
    if not any(values.values()):
        return None
    rng = np.random.default_rng(0)  # the height of a point has no meaning

    def draw(axes: Any) -> None:
        for row, (_, found) in enumerate(values.items()):
            if len(found) > 1:
                axes.boxplot(
                    found, positions=[row], orientation="horizontal", widths=0.62, showfliers=False,
                    medianprops={"color": "black", "linewidth": 1.6}, boxprops={"color": "#555555"},
                    whiskerprops={"color": "#555555"}, capprops={"color": "#555555"},
                )  # fmt: skip
            if len(found) * len(values) <= MOST_POINTS:
                heights = row + rng.uniform(-0.18, 0.18, len(found))
                axes.scatter(
                    found, heights, s=16, color=LINES[0], alpha=0.7, linewidths=0, zorder=3
                )
        names = [f"{_short(name)} ({len(found)})" for name, found in values.items()]
        axes.set_yticks(range(len(values)), names)
        axes.set_ylim(len(values) - 0.5, -0.5)
        about = METRICS[metric]
        own = scores.unit if about.unit == "mm" else about.unit
        unit = "" if about.unit == "1" else f", {own}"
        better = {"higher": "higher is better", "lower": "lower is better"}.get(about.better, "")
        axes.set_xlabel(
            f"{about.title.removesuffix(' mm')}{unit}" + (f" ({better})" if better else "")
        )
        if about.unit == "1" and about.better == "higher":
            axes.set_xlim(-0.02, 1.02)
        elif about.better == "lower":
            axes.set_xlim(left=0)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)

    return svg(draw, 0.9 + 0.32 * len(values), f"distribution {metric}")


def differences(volumes: Sequence[tuple[float, float]], found: Agreement, label: str) -> str | None:
    """Bland-Altman chart: difference of predicted and true volume by their mean, with bias and limits.

    Args:
        volumes: predicted and true volume of each case, ml.
        found: their agreement.
        label: name.
    """

    def draw(axes: Any) -> None:
        middle = [(predicted + true) / 2 for predicted, true in volumes]
        apart = [predicted - true for predicted, true in volumes]
        axes.scatter(middle, apart, s=16, color=LINES[0], alpha=0.7, linewidths=0, zorder=3)
        for value, style in ((found.bias, "-"), (found.low, "--"), (found.high, "--")):
            axes.axhline(value, color="black", linewidth=1.2, linestyle=style)
        for low, high in (found.bias_ci, found.low_ci, found.high_ci):
            axes.axhspan(low, high, color="#555555", alpha=0.12, linewidth=0)
        # Of few patients, the intervals are so wide that the points would become one line.
        edges = [*apart, found.low, found.high]
        room = 0.2 * (max(edges) - min(edges)) or 0.1
        axes.set_ylim(min(edges) - room, max(edges) + room)
        axes.set_title(_short(label), fontsize=10)
        axes.set_xlabel("mean of predicted and true volume, ml")
        axes.set_ylabel("predicted - true, ml")
        axes.grid(color="#dddddd", linewidth=0.6)

    return svg(draw, 3.2, f"differences {label}")


def losses(logs: Mapping[str, TrainingLog]) -> str | None:
    """Training loss (solid) and validation loss (dashed) by epoch, one colour per fold."""
    series = [
        (f"{fold}, {name}" if len(logs) > 1 else name, values, LINES[i % len(LINES)], style)
        for i, (fold, one) in enumerate(logs.items())
        for name, values, style in (("training", one.train, "-"), ("validation", one.val, "--"))
        if values
    ]
    return _lines(series, "loss", "losses")


def pseudo_dice(logs: Mapping[str, TrainingLog]) -> str | None:
    """nnU-Net's pseudo-Dice by epoch, mean over the labels, one colour per fold."""
    series = [
        (fold, one.dice, LINES[i % len(LINES)], "-")
        for i, (fold, one) in enumerate(logs.items())
        if one.dice
    ]
    return _lines(series, "pseudo-Dice on patches", "pseudo-dice", (0.0, 1.0))


def _lines(
    series: Sequence[tuple[str, Mapping[int, float], str, str]],
    title: str,
    salt: str,
    limits: tuple[float, float] | None = None,
) -> str | None:
    if not series:
        return None

    def draw(axes: Any) -> None:
        for name, values, colour, style in series:
            few = len(values) < 40
            axes.plot(
                [epoch + 1 for epoch in values], list(values.values()), style, color=colour, label=name,
                linewidth=1.4, marker="o" if few else None, markersize=3,
            )  # fmt: skip
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylabel(title)
        if limits:
            axes.set_ylim(limits[0] - 0.02, limits[1] + 0.02)
        axes.grid(color="#dddddd", linewidth=0.6)
        if len(series) > 1:
            axes.legend(frameon=False, fontsize=9)

    return svg(draw, 3.2, salt)


def forest_height(rows: int) -> float:
    """Height of a forest plot in inches."""
    return 1.1 + 0.34 * rows


def forest_axes(axes: Any, names: Sequence[str], title: str) -> None:
    """The axes of a forest plot: one named row per difference, and a line at 0."""
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(title)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=6)


def forest_row(
    axes: Any, row: int, value: float, interval: tuple[float, float] | None, *, filled: bool, colour: str = LINES[0],
    marker: str = "o",
) -> None:  # fmt: skip
    """A difference with its interval."""
    if interval is not None:
        axes.plot(interval, (row, row), "-", color=colour, linewidth=1.6)
    inside = colour if filled else "white"
    axes.plot(value, row, marker, color=colour, markersize=6, markerfacecolor=inside)


def svg(draw: Callable[[Any], None], tall: float, salt: str) -> str:
    """The svg element; equal input gives equal text."""
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # The ids of the charts in a page must differ: they contain the salt.
    look = {**_LOOK, "svg.hashsalt": salt, "svg.id": None}
    with style.context(["default", look]), warnings.catch_warnings():
        # The browser draws the text, with fonts for every script.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDE, tall), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True,
            metadata={"Creator": None, "Date": None, "Format": None, "Type": None},
        )  # fmt: skip
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
