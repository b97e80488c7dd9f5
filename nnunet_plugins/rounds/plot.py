"""The curve of the rounds as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_plugins.figures import PAGE, figure
from nnunet_plugins.reports.colours import LINES
from nnunet_plugins.rounds.curve import Round

#: Attribute of `Round` -> name in the legend.
DICE = {
    "model": "model to references",
    "shown": "reader to proposal, shown",
    "hidden": "reader to proposal, hidden",
    "before": "reader to round before",
}


def write_curve(found: Sequence[Round], path: Path, stop_dice: float) -> None:
    """Draw Dice and minutes of the rounds: a point per case, a line through the medians.

    Args:
        found: the rounds.
        path: .png, .pdf or .svg.
        stop_dice: drawn as a dashed line.

    Raises:
        UserError: the file cannot be written, or has another ending.
    """
    timed = any(one.minutes for one in found)
    with figure([path], (PAGE, 3.2), dpi=200) as drawing:
        left, *right = drawing.subplots(1, 2 if timed else 1, squeeze=False)[0]
        for place, (name, title) in enumerate(DICE.items()):
            _series(left, found, name, LINES[place], 0.09 * (place - 1.5), title)
        left.axhline(stop_dice, color="black", linewidth=0.8, linestyle="--", label="stop")
        left.plot(
            [],
            [],
            ".",
            color="black",
            alpha=0.35,
            markersize=4,
            label="one case; large: the median",
        )
        left.set_ylabel("Dice")
        left.set_ylim(-0.02, 1.02)
        drawing.legend(loc="outside upper center", ncols=3, fontsize=7, frameon=False)
        for axes in right:
            _series(axes, found, "minutes", LINES[len(DICE)], 0.0, "")
            axes.set_ylabel("minutes per case")
            axes.set_ylim(bottom=0)
        for axes in (left, *right):
            axes.set_xlabel("round")
            axes.set_xticks([one.number for one in found])
            axes.set_xlim(found[0].number - 0.5, found[-1].number + 0.5)


def _series(
    axes: Any, found: Sequence[Round], name: str, colour: str, shift: float, title: str
) -> None:
    from nnunet_plugins.rounds.curve import median

    points = [(one.number + shift, value) for one in found for value in getattr(one, name)]
    if not points:
        return
    axes.plot(*zip(*points, strict=True), ".", color=colour, alpha=0.35, markersize=4)
    middle = [
        (one.number + shift, median(getattr(one, name))) for one in found if getattr(one, name)
    ]
    axes.plot(
        *zip(*middle, strict=True), "-o", color=colour, markersize=4, linewidth=1.4, label=title
    )
