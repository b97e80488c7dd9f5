"""Forest plots: what assistance changes, for each reader and for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_plugins.figures import PAGE, figure
from nnunet_plugins.readers import several
from nnunet_plugins.readers.findings import GAIN, Finding, in_percent, turns
from nnunet_plugins.readers.reads import ALL
from nnunet_plugins.readers.sheets import title_of
from nnunet_plugins.reports.charts import forest_axes, forest_height, forest_row, svg
from nnunet_plugins.reports.colours import LINES

ALPHA = 0.05
_COLUMNS = 2


def forests(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Title and SVG of one chart per measure and label that has differences."""
    return [
        (title, svg(partial(_draw, found=found), forest_height(len(found)), f"forest {title}"))
        for title, found in _charts(findings)
    ]


def draw_forests(paths: Sequence[Path], findings: Sequence[Finding]) -> bool:
    """Draw all charts as one figure; False if no measure has differences.

    Raises:
        UserError: a path has another ending than a figure, or cannot be written.
    """
    charts = _charts(findings)
    if not charts:
        return False
    lines = [charts[start : start + _COLUMNS] for start in range(0, len(charts), _COLUMNS)]
    heights = [max(forest_height(len(found)) for _, found in line) for line in lines]
    texts = [name for title, found in charts for name in (title, *(one.reader for one in found))]
    with figure(paths, (PAGE, 0.8 * sum(heights)), texts) as drawing:
        grid = drawing.subplots(len(lines), _COLUMNS, squeeze=False, height_ratios=heights)
        for axes in grid.flat[len(charts) :]:
            axes.set_axis_off()
        for axes, (title, found) in zip(grid.flat, charts, strict=False):
            axes.set_title(title)
            axes.spines[["top", "right"]].set_visible(False)
            _draw(axes, found)
    return True


def _charts(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Title and differences of each chart: readers first, then all of them."""
    found = [one for one in findings if one.arm == GAIN and one.interval is not None]
    order = (several.MRMC, several.MRMC_FIXED)
    return [
        (
            ", ".join(filter(None, (title_of(measure), label))),
            sorted(
                (one for one in found if (one.measure, one.label) == (measure, label)),
                key=lambda one: 1 + order.index(one.table) if one.table in order else 0,
            ),
        )
        for measure, label in dict.fromkeys((one.measure, one.label) for one in found)
    ]


def _draw(axes: Any, found: Sequence[Finding]) -> None:
    """One chart; a filled point is significant, for readers after Holm's correction."""
    scale = 100 if in_percent(found[0].measure) else 1
    unit = ", percentage points" if scale == 100 else ""
    turned = ", sign turned" if turns(found[0].measure) else ""
    title = f"{title_of(found[0].measure).removesuffix(' %')}{unit}: assisted - alone{turned}"
    forest_axes(axes, [one.table if one.reader == ALL else one.reader for one in found], title)
    for row, one in enumerate(found):
        together = one.reader == ALL
        p = one.p if together else one.p_holm
        low, high = one.interval or (0.0, 0.0)
        forest_row(
            axes, row, scale * (one.value or 0.0), (scale * low, scale * high),
            filled=p is not None and p < ALPHA and several.TOO_SHORT not in one.method,
            colour=LINES[1] if together else LINES[0], marker="D" if together else "o",
        )  # fmt: skip
