"""Drawing of a network: encoder on the left, decoder on the right, one row per feature map size."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed
from nnunet_plugins.drawing.parts import Drawing, Part
from nnunet_plugins.errors import UserError

SUFFIXES = (".svg", ".png", ".pdf")
_DOWN, _UP, _DEEP, _BLOCK, _HEAD = "#d6e4f5", "#dcefdc", "#e8e3f2", "#f6c667", "#c65b5b"
_WIDE, _HIGH, _STEP, _GAP = (
    3.4,
    1.0,
    1.9,
    3.2,
)  # box width and height, row distance, gap between encoder and decoder


def draw(drawing: Drawing, title: str, subtitle: str, path: Path) -> None:
    """Write the drawing; the file suffix selects the format.

    Args:
        drawing: from ``decompose``.
        title: heading.
        subtitle: smaller line below it.
        path: ends in .svg, .png or .pdf.

    Raises:
        UserError: another suffix, or a path that cannot be written.
    """
    from matplotlib.figure import Figure

    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: unknown format; allowed: {', '.join(SUFFIXES)}")
    rows = _rows(drawing)
    right = _WIDE + _GAP
    height = _STEP * len(rows) + 1.6
    width = 2 * _WIDE + _GAP + 2.4
    figure = Figure(figsize=(width * 0.85, height * 0.62), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.2, width - 1.2)
    axes.set_ylim(-_STEP * (len(rows) - 1) - 1.0, 1.9)
    axes.text(0, 1.6, title, fontsize=13, fontweight="bold", va="top", parse_math=False)
    axes.text(0, 1.15, subtitle, fontsize=9, color="0.35", va="top", parse_math=False)
    deepest = drawing.down[-1]
    centre = (_WIDE + _GAP) / 2
    before: dict[str, tuple[tuple[float, float], Part]] = {}
    for number, size in enumerate(rows):
        y = -_STEP * number
        down = next((part for part in drawing.down if part.size == size), None)
        up = drawing.up.get(size)
        if down is deepest and up is None:
            _box(axes, centre, y, down, _DEEP)
            _between(axes, before.get("down"), ((centre, y), down))
            before["deep"] = (centre, y), down
            continue
        if down is not None:
            _box(axes, 0, y, down, _DOWN)
            _between(axes, before.get("down"), ((0, y), down))
            before["down"] = (0, y), down
        if up is not None:
            _box(axes, right, y, up, _UP)
        if down is not None and up is not None:
            _skip(axes, y, drawing.gates.get(size))
    ups = [-_STEP * number for number, size in enumerate(rows) if size in drawing.up]
    for above, below in pairwise(ups):
        _joined(axes, (right, below), (right, above), upwards=True)
    if ups and "deep" in before:
        _joined(axes, before["deep"][0], (right, ups[-1]), upwards=True)
    with placed(path) as temporary:
        try:
            figure.savefig(temporary, dpi=150)
        except (ValueError, AttributeError) as error:  # AttributeError: a PDF on a full disk
            raise UserError(f"{path}: cannot be written ({error})") from error


def _rows(drawing: Drawing) -> list[tuple[int, ...]]:
    sizes = {part.size for part in drawing.down} | set(drawing.up)
    return sorted(sizes, key=lambda size: -math.prod(size))


def _box(axes: Any, x: float, y: float, part: Part, colour: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x, y - _HIGH / 2), _WIDE, _HIGH, boxstyle="round,pad=0.02,rounding_size=0.12",
            facecolor=colour, edgecolor="0.4", linewidth=0.8,
        )
    )  # fmt: skip
    convolutions = ", ".join(f"{n} conv {k}" for k, n in part.convolutions.items() if k[:2] != "up")
    blocks = " + ".join(_counted(part.blocks))
    size = "×".join(map(str, part.size)).replace("x", "×")
    axes.text(x + _WIDE / 2, y + 0.27, f"{part.channels} channels · {size}", ha="center",
              va="center", fontsize=8.5, fontweight="bold")  # fmt: skip
    lower = y - 0.22 if not (convolutions and blocks) else y - 0.02
    if convolutions:
        axes.text(x + _WIDE / 2, lower, convolutions.replace("x", "×"), ha="center", va="center",
                  fontsize=7.5 if len(convolutions) < 34 else 6)  # fmt: skip
        lower = y - 0.32
    if blocks:
        axes.text(x + _WIDE / 2, lower, blocks, ha="center", va="center", fontsize=7.5,
                  bbox={"boxstyle": "round,pad=0.18", "facecolor": _BLOCK, "edgecolor": "none"})  # fmt: skip
    for head in dict.fromkeys(part.heads):
        arrow = {"arrowstyle": "<|-", "color": _HEAD, "lw": 1.0}
        axes.annotate(head, (x + _WIDE, y - 0.05), (x + _WIDE + 0.95, y - 0.05), fontsize=7.5,
                      va="center", ha="center", color=_HEAD, arrowprops=arrow)  # fmt: skip


def _counted(names: list[str]) -> list[str]:
    """Return the distinct names in order, with their counts."""
    return [f"{names.count(n)} {n}" if names.count(n) > 1 else n for n in dict.fromkeys(names)]


def _between(
    axes: Any,
    above: tuple[tuple[float, float], Part] | None,
    below: tuple[tuple[float, float], Part],
) -> None:
    """Draw the arrow between two encoder boxes; upwards to transposed convolutions (UNETR's encoder)."""
    if above is None:
        return
    rises = [any(k.startswith("up") for k in part.convolutions) for _, part in (above, below)]
    if rises[0]:
        _joined(axes, below[0], above[0], upwards=True)
    elif not rises[1]:
        _joined(axes, above[0], below[0])


def _joined(
    axes: Any, begin: tuple[float, float], end: tuple[float, float], *, upwards: bool = False
) -> None:
    """Draw an arrow from box to box."""
    edge = _HIGH / 2 + 0.03
    sign = 1 if upwards else -1
    axes.annotate("", (end[0] + _WIDE / 2, end[1] - sign * edge), (begin[0] + _WIDE / 2, begin[1] + sign * edge),
                  arrowprops={"arrowstyle": "-|>", "color": "0.3", "lw": 1.2})  # fmt: skip


def _skip(axes: Any, y: float, gate: str | None) -> None:
    axes.annotate("", (_WIDE + _GAP - 0.05, y + 0.25), (_WIDE + 0.05, y + 0.25),
                  arrowprops={"arrowstyle": "-|>", "color": "0.55", "lw": 1.0})  # fmt: skip
    if gate:
        axes.text(_WIDE + _GAP / 2, y + 0.25, gate, ha="center", va="center", fontsize=7.5,
                  bbox={"boxstyle": "round,pad=0.18", "facecolor": _BLOCK, "edgecolor": "none"})  # fmt: skip
