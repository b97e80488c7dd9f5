"""Curves of Dice over strength, one panel per perturbation, and the same values as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnunet_plugins.figures import figure
from nnunet_plugins.robustness.perturbations import PERTURBATIONS
from nnunet_plugins.robustness.run import CLEAN, Robustness
from nnunet_plugins.text_table import count, number

#: Okabe and Ito's colours, which are distinct for any colour vision; markers differ as well.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_TITLES = {
    "noise": ("Noise", "k (grey of 255)"),
    "blur": ("Blur", "standard deviation (mm)"),
    "bias": ("Bias field", "largest coefficient"),
    "spacing": ("Voxel size", "times the original"),
    "rotation": ("Rotation", "degrees"),
}
_MOST_PER_ROW = 3


def draw(robustness: Robustness, files: list[Path]) -> None:
    """Draw the curves into files; the endings determine the formats."""
    names = robustness.names
    columns = min(_MOST_PER_ROW, len(names))
    rows = -(-len(names) // columns)
    labels = list(robustness.clean.scores.labels.values)
    size = 1.2 + 3.3 * columns, 0.9 + 2.9 * rows
    look = {"axes_spines_top": False, "axes_spines_right": False, "axes_grid": True}
    with figure(files, size, labels, dpi=160, font_size=10, grid_alpha=0.25, **look) as drawing:
        axes = drawing.subplots(rows, columns, squeeze=False, sharey=True)
        for place, panel in enumerate(axes.flat):
            if place >= len(names):
                panel.set_axis_off()
                continue
            _panel(panel, robustness, names[place], labels)
            if place % columns == 0:
                panel.set_ylabel("mean Dice")
        handles, texts = axes.flat[0].get_legend_handles_labels()
        drawing.legend(
            handles, texts, loc="outside lower center", ncols=min(4, len(texts)), frameon=False
        )
        cases = count(len(robustness.cases), "case")
        drawing.suptitle(f"{robustness.trainer}, {cases}", fontsize=11)


def _panel(panel: Any, robustness: Robustness, name: str, labels: list[str]) -> None:
    curve = robustness.curve(name)
    x = [point.strength for point in curve]
    for index, label in enumerate(labels):
        y = [_value(point.scores.summary[label].metrics["dice"].mean) for point in curve]
        panel.plot(
            x, y, color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)],
            linestyle=("-", "--", ":")[index // len(COLOURS) % 3], linewidth=1.6, markersize=4.5, label=label,
        )  # fmt: skip
    if len(labels) > 1:
        mean = [_value(point.scores.mean_foreground_dice) for point in curve]
        panel.plot(x, mean, color="black", linewidth=2.4, label="mean", zorder=1)
    title, unit = _TITLES[name]
    panel.set_title(title, fontsize=10.5)
    panel.set_xlabel(unit)
    panel.set_ylim(-0.02, 1.02)
    panel.set_xticks(x)
    panel.set_xticklabels([f"{v:g}" for v in x])


def table(robustness: Robustness) -> list[tuple[str, ...]]:
    """Rows for a terminal: condition, mean Dice and its change, then each label's Dice."""
    labels = list(robustness.clean.scores.labels.values)
    rows: list[tuple[str, ...]] = [("condition", "mean Dice", "change", *labels)]
    base = robustness.clean.scores.mean_foreground_dice
    for point in robustness.points:
        mean = point.scores.mean_foreground_dice
        change = (
            "" if mean is None or base is None or point.name == CLEAN else f"{mean - base:+.3f}"
        )
        shown = "unperturbed" if point.name == CLEAN else (
            f"{point.name} {point.strength:g} {PERTURBATIONS[point.name].unit}")  # fmt: skip
        dice = [point.scores.summary[label].metrics["dice"].mean for label in labels]
        rows.append((shown, number(mean, 3), change, *(number(one, 3) for one in dice)))
    return rows


def _value(mean: float | None) -> float:
    return float("nan") if mean is None else mean
