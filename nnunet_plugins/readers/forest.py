"""Forest plots: what assistance changes, for each reader and for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnunet_plugins.readers import several
from nnunet_plugins.readers.findings import GAIN, Finding, in_percent
from nnunet_plugins.readers.sheets import title_of
from nnunet_plugins.reports.charts import svg
from nnunet_plugins.reports.colours import LINES

ALPHA = 0.05


def forests(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Title and SVG of one chart per measure and label that has differences."""
    found = [one for one in findings if one.arm == GAIN and one.interval is not None]
    keys = dict.fromkeys((one.measure, one.label) for one in found)
    return [
        (
            ", ".join(filter(None, (title_of(measure), label))),
            _forest(
                [one for one in found if (one.measure, one.label) == (measure, label)],
                measure,
                label,
            ),
        )
        for measure, label in keys
    ]


def _forest(found: Sequence[Finding], measure: str, label: str) -> str:
    """Readers first, then all of them; a filled point is significant, for readers after Holm's correction."""
    order = sorted(found, key=lambda one: (several.MRMC, several.MRMC_FIXED).index(one.table) + 1
                   if one.reader == "all" else 0)  # fmt: skip
    scale = 100 if in_percent(measure) else 1

    def draw(axes: Any) -> None:
        axes.axvline(0, color="black", linewidth=0.8)
        for row, one in enumerate(order):
            together = one.reader == "all"
            colour = LINES[1] if together else LINES[0]
            p = one.p if together else one.p_holm
            low, high = one.interval or (0.0, 0.0)
            filled = p is not None and p < ALPHA and several.TOO_SHORT not in one.method
            axes.plot((scale * low, scale * high), (row, row), "-", color=colour, linewidth=1.6)
            axes.plot(
                scale * (one.value or 0.0), row, "D" if together else "o", color=colour, markersize=6,
                markerfacecolor=colour if filled else "white",
            )  # fmt: skip
        names = [one.table if one.reader == "all" else one.reader for one in order]
        axes.set_yticks(range(len(order)), names)
        axes.set_ylim(len(order) - 0.4, -0.6)
        unit = ", percentage points" if scale == 100 else ""
        axes.set_xlabel(f"{title_of(measure).removesuffix(' %')}{unit}: assisted - alone")
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=6)

    return svg(draw, 1.1 + 0.34 * len(order), f"forest {measure} {label}")
