"""One picture of a dataset: a row a case, three planes, labels in colour."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

FILE = "preview.png"
MOST_ROWS = 24
BONE = (-450.0, 1050.0)  # HU shown black and white
_PLANES = ("axial", "coronal", "sagittal")
_GROUND, _INK, _FAINT = "#0d1117", "#e6edf3", "#8b949e"
_COLOURS = ("#f2b134", "#4cc9f0", "#f72585", "#80ed99", "#b388ff", "#ff7f51",
            "#00b4a0", "#ffd6e0", "#c0e218", "#5c8dff")  # fmt: skip
_CELL = 2.7  # inches


@dataclass(frozen=True)
class Row:
    """A case as written: files in LPS, the mask None for a test case.

    `centre` is the mask whose centre is cut through, where rows are to show the same planes.
    """

    name: str
    image: Path
    mask: Path | None
    centre: Path | None = None


def draw(path: Path, rows: Sequence[Row], names: Mapping[int, str], title: str,
         display: tuple[float, float] | None, scratch: Path,
         what: str = "cases") -> None:  # fmt: skip
    """Draw up to 24 cases, evenly chosen, and write a PNG that is the same every time.

    Args:
        path: the PNG.
        rows: all cases.
        names: label value -> name, for the legend.
        title: above the picture.
        display: (low, high) shown black and white; None takes the 1st and 99.5th percentile.
        scratch: folder on the same disk for the unfinished file.
        what: what the rows are, in the plural.
    """
    # Matplotlib takes a second to import; only here is it needed. No pyplot: no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = choose(rows)
    cuts = [_cuts(row, display) for row in chosen]
    tallest = [min(1.25, max(cut.tall / cut.wide for cut in three)) * _CELL for three in cuts]
    shown = (
        f"{len(chosen)} of {len(rows)} {what}" if len(chosen) < len(rows) else f"{len(rows)} {what}"
    )
    head, foot = 0.98, 0.32 + 0.3 * -(-len(names) // 4)
    height = head + sum(tallest) + 0.1 * len(chosen) + foot
    figure = Figure(figsize=(3 * _CELL + 0.6, height), dpi=110, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    figure.text(0.5, 1 - 0.28 / height, title, color=_INK, size=13, ha="center", va="center",
                weight="bold")  # fmt: skip
    figure.text(0.5, 1 - 0.55 / height, f"{shown}, radiological view (R = the patient's right)",
                color=_FAINT, size=8.5, ha="center", va="center")  # fmt: skip
    grid = figure.add_gridspec(len(chosen), 3, left=0.055, right=0.985, wspace=0.03, hspace=0.06,
                               top=1 - head / height, bottom=foot / height,
                               height_ratios=tallest)  # fmt: skip
    for column, plane in enumerate(_PLANES):
        where = 0.055 + 0.93 * (column + 0.5) / 3
        figure.text(where, 1 - 0.84 / height, plane, color=_FAINT, size=9, ha="center")
    for index, row in enumerate(chosen):
        axes = [figure.add_subplot(grid[index, column]) for column in range(3)]
        for axis, cut in zip(axes, cuts[index], strict=True):
            _show(axis, cut, sorted(names))
        label = row.name if row.mask else f"{row.name} (test)"
        axes[0].set_ylabel(label, color=_INK, size=8, labelpad=6)
    _legend(figure, names, height)
    temporary = scratch / path.name
    # Without the version of matplotlib in it, the file changes only with the picture.
    figure.savefig(temporary, facecolor=_GROUND, metadata={"Software": None})
    os.replace(temporary, path)


def choose(rows: Sequence[Row]) -> list[Row]:
    """Take at most 24 rows, evenly spread, the first and the last among them."""
    if len(rows) <= MOST_ROWS:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int)]


def colour(values: Sequence[int], value: int) -> str:
    """Return the colour of a label value among all values."""
    return _COLOURS[sorted(values).index(value) % len(_COLOURS)]


def middle(mask: np.ndarray | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index (z, y, x) of a foreground's centre, of the volume's where there is none."""
    if mask is None or not mask.any():
        return tuple(n // 2 for n in shape)
    found = np.nonzero(mask)
    return tuple(round(float(axis.mean())) for axis in found)


@dataclass(frozen=True)
class _Cut:
    """One plane of a case: grey values 0 to 1, labels, its size in mm, where rows begin."""

    grey: np.ndarray
    mask: np.ndarray | None
    wide: float
    tall: float
    origin: str
    letters: str  # at the left, right, upper, lower edge


def _cuts(row: Row, display: tuple[float, float] | None) -> list[_Cut]:
    """Cut a case through its foreground's centre, close around the body."""
    image = sitk.ReadImage(str(row.image))
    array = sitk.GetArrayFromImage(image)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(row.mask))) if row.mask else None
    centre = sitk.GetArrayFromImage(sitk.ReadImage(str(row.centre))) if row.centre else mask
    low, high = display or tuple(float(v) for v in np.percentile(array, [1, 99.5]))
    grey = np.clip((array.astype(np.float32) - low) / max(high - low, 1e-9), 0, 1)
    x, y, z = image.GetSpacing()
    at = middle(centre, array.shape)
    _, rows, columns = (_span(grey > 0.1, axis) for axis in range(3))
    # LPS: x grows to the left, so lying rows as they are put R on the viewer's left; z grows to
    # the head, so upright planes are drawn from below (origin lower).
    planes = (
        ((at[0], rows, columns), "upper", x, y, "RLAP"),
        ((slice(None), at[1], columns), "lower", x, z, "RLSI"),
        ((slice(None), rows, at[2]), "lower", y, z, "APSI"),
    )
    cuts = []
    for where, origin, wide, tall, letters in planes:
        plane = grey[where]
        size = plane.shape[1] * wide, plane.shape[0] * tall
        cuts.append(_Cut(plane, None if mask is None else mask[where], *size, origin, letters))
    return cuts


def _span(tissue: np.ndarray, axis: int) -> slice:
    """Range along an axis that holds tissue, a little wider; all of it where there is none."""
    others = tuple(a for a in range(3) if a != axis)
    found = np.flatnonzero(tissue.mean(axis=others) > 0.002)
    count = tissue.shape[axis]
    margin = max(1, count // 40)
    if not found.size:
        return slice(0, count)
    return slice(max(0, int(found[0]) - margin), min(count, int(found[-1]) + 1 + margin))


def _show(axis: Any, cut: _Cut, values: Sequence[int]) -> None:
    low, high = (cut.tall, 0.0) if cut.origin == "upper" else (0.0, cut.tall)
    place: dict[str, Any] = {"origin": cut.origin, "extent": (0.0, cut.wide, low, high)}
    axis.imshow(cut.grey, cmap="gray", vmin=0, vmax=1, interpolation="bilinear", **place)
    if cut.mask is not None:
        axis.imshow(_overlay(cut.mask, values), interpolation="nearest", **place)
    flat = cut.tall < 0.15 * cut.wide  # no room for letters above each other
    _dress(axis, cut.letters[:2] if flat else cut.letters)


def _overlay(mask: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """RGBA of a slice: a faint area and a firm outline for each label."""
    from matplotlib.colors import to_rgb

    result = np.zeros((*mask.shape, 4))
    for value in values:
        inside = mask == value
        core = inside.copy()
        core[1:] &= inside[:-1]
        core[:-1] &= inside[1:]
        core[:, 1:] &= inside[:, :-1]
        core[:, :-1] &= inside[:, 1:]
        result[inside, :3] = to_rgb(colour(values, value))
        result[inside, 3] = 0.9
        result[core, 3] = 0.32
    return result


def _dress(axis: Any, letters: str) -> None:
    """Take the frame away, fill the cell with the ground, and write the directions."""
    axis.set_facecolor("black")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_anchor("C")
    for spine in axis.spines.values():
        spine.set_visible(False)
    # Offsets in points keep the letters clear of the edges, however flat the plane.
    spots = (((0, 0.5), (7, 0)), ((1, 0.5), (-7, 0)), ((0.5, 1), (0, -8)), ((0.5, 0), (0, 8)))
    for letter, (where, offset) in zip(letters, spots, strict=False):
        axis.annotate(letter, where, xytext=offset, xycoords="axes fraction",
                      textcoords="offset points", color=_INK, size=8.5, ha="center",
                      va="center", weight="bold", alpha=0.85)  # fmt: skip


def _legend(figure: Any, names: Mapping[int, str], height: float) -> None:
    from matplotlib.patches import Patch

    marks = [Patch(color=colour(list(names), v), label=names[v]) for v in sorted(names)]
    figure.legend(handles=marks, loc="lower center", ncols=min(4, max(1, len(marks))),
                  frameon=False, labelcolor=_INK, fontsize=8.5, handlelength=1.1,
                  bbox_to_anchor=(0.5, 0.08 / height))  # fmt: skip
