"""A grid of pictures with labels, one line per case, in a figure that is readable at the width of a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.figures import PAGE, edge_letters, figure
from nnunet_plugins.reports.colours import label_colours

_FONT = 8  # points
_CAPTION = 0.3  # inches, left of a line
_MOST_COLUMNS = 10
_LEGEND = 4  # columns
_AREA = 0.3  # opacity over an image


@dataclass(frozen=True)
class Cell:
    """One picture, of at least one of image and labels.

    Attributes:
        grey: 0 to 255; None is black.
        codes: labels of the pixels, 0 for none; None shows the image alone.
        masked: show the image within the labels instead of coloured labels.
        pixel: height and width of a pixel, mm.
        title: above the picture.
    """

    grey: NDArray[np.uint8] | None
    codes: NDArray[np.uint8] | None = None
    masked: bool = False
    pixel: tuple[float, float] = (1.0, 1.0)
    title: str = ""

    @property
    def aspect(self) -> float:
        """Height relative to width; between 0.3 and 3."""
        rows, columns = next(one.shape for one in (self.codes, self.grey) if one is not None)
        return float(np.clip(rows * self.pixel[0] / (columns * self.pixel[1]), 0.3, 3))


@dataclass(frozen=True)
class Line:
    """Pictures next to each other; more than ten continue below.

    Attributes:
        caption: at the left.
        cells: from left to right.
        letters: directions of the patient at the left and right edge of the first picture.
    """

    caption: str
    cells: Sequence[Cell]
    letters: str = ""

    def rows(self) -> list[Sequence[Cell]]:
        """The cells in as few rows as needed, of equal length but for the last."""
        count = -(-len(self.cells) // _MOST_COLUMNS)
        each = -(-len(self.cells) // count)
        return [self.cells[start : start + each] for start in range(0, len(self.cells), each)]


def draw_grid(paths: Sequence[Path], lines: Sequence[Line], names: Sequence[str]) -> None:
    """Draw the lines and a legend of the labels that are shown.

    Args:
        paths: .png, .pdf or .svg.
        lines: from top to bottom.
        names: code - 1 -> name of a label.

    Raises:
        UserError: a path has another ending or cannot be written.
    """
    rows = [row for line in lines for row in line.rows()]
    columns = max(map(len, rows))
    side = (PAGE - _CAPTION) / columns
    used = _codes_shown(lines)
    heights = [side * row[0].aspect for row in rows]
    heads = [
        max(_wrapped(cell.title, side).count("\n") + 1 for cell in row)
        for row in rows
        if row[0].title
    ]
    texts = [
        *names,
        *(line.caption for line in lines),
        *(cell.title for row in rows for cell in row),
    ]
    below = 0.08 + 0.17 * -(-len(used) // _LEGEND)
    size = PAGE, sum(heights) + 0.13 * sum(heads) + 0.03 * len(rows) + below
    colours = label_colours(len(names))
    with figure(paths, size, texts, font_size=_FONT) as drawing:
        layout: Any = drawing.get_layout_engine()
        layout.set(w_pad=0.015, h_pad=0.02, wspace=0.0, hspace=0.0)
        axes = drawing.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
        for panel in axes.flat:
            panel.set_axis_off()
        left = iter(axes)
        for line in lines:
            for number, cells in enumerate(line.rows()):
                row = next(left)
                for panel, cell in zip(row, cells, strict=False):
                    _show(panel, cell, colours)
                    panel.set_title(_wrapped(cell.title, side), fontsize=_FONT, pad=3)
                if number == 0:
                    row[0].set_ylabel(line.caption, fontsize=7, labelpad=2)
                    edge_letters(row[0], line.letters, 7)
        if used:
            _legend(drawing, used, names)


def _show(panel: Any, cell: Cell, colours: Sequence[str]) -> None:
    from matplotlib.colors import to_rgb

    grey, codes, area = cell.grey, cell.codes, _AREA
    if cell.masked and grey is not None and codes is not None:
        grey, codes = np.where(codes > 0, grey, np.uint8(0)), None
    if codes is None:
        codes = np.zeros_like(grey)
    if grey is None:
        grey, area = np.zeros_like(codes), 1.0
    picture = np.repeat(grey[..., None].astype(float), 3, axis=2)
    shown = [int(code) for code in np.unique(codes) if code]
    for code in shown:
        colour = 255 * np.array(to_rgb(colours[code - 1]))
        picture[codes == code] = (1 - area) * picture[codes == code] + area * colour
    panel.set_axis_on()
    panel.set(xticks=[], yticks=[])
    panel.imshow(
        np.rint(picture).astype(np.uint8),
        aspect=cell.pixel[0] / cell.pixel[1],
        interpolation="nearest",
    )
    for code in shown if area < 1 else []:
        # A border of background: the outline of a label at the edge of the picture is closed.
        edges = np.pad((codes == code).astype(float), 1)
        x, y = np.arange(-1, edges.shape[1] - 1), np.arange(-1, edges.shape[0] - 1)
        panel.contour(x, y, edges, levels=[0.5], colors=[colours[code - 1]], linewidths=0.8)
    panel.set(xlim=(-0.5, picture.shape[1] - 0.5), ylim=(picture.shape[0] - 0.5, -0.5))


def _legend(drawing: Any, used: Sequence[int], names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    colours = label_colours(len(names))
    patches = [
        Patch(facecolor=colours[code - 1], edgecolor=colours[code - 1], label=names[code - 1])
        for code in used
    ]
    drawing.legend(
        handles=patches, loc="outside lower center", ncols=min(_LEGEND, len(patches)), frameon=False,
        handlelength=1.2, handleheight=0.7, borderpad=0.3, fontsize=_FONT,
    )  # fmt: skip


def _codes_shown(lines: Sequence[Line]) -> list[int]:
    """The codes of coloured labels."""
    maps = [c.codes for line in lines for c in line.cells if c.codes is not None and not c.masked]
    return sorted({int(code) for one in maps for code in np.unique(one)} - {0})


def _wrapped(name: str, inches: float) -> str:
    """A name in as many lines as its column needs, broken between words.

    >>> _wrapped("InceptionDualUNet", 0.8).splitlines()
    ['Inception', 'DualUNet']
    """
    most = max(4, int(inches * 72 / (0.62 * _FONT)))
    lines = [""]
    for part in re.findall(r"[A-Z]*[^A-Z\s_+,-]*[\s_+,-]*", name):
        if lines[-1] and len(lines[-1] + part.rstrip()) > most:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines)
