"""preview.png: one row per case with three planes and coloured labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageColor, ImageDraw, ImageFont

from dataset_conversion.errors import disk_error
from dataset_conversion.io.planes import PLANES
from dataset_conversion.labels import Labels, values_of
from dataset_conversion.raw_format.label_colours import LABELS
from dataset_conversion.raw_format.preview_planes import Cut, Cuts, cut

FILE = "preview.png"
MOST_ROWS = 24
BONE = (-450.0, 1050.0)  # HU shown as black and white
_GROUND, _INK, _FAINT = "#0d1117", "#e6edf3", "#8b949e"
_CELL, _GAP, _LEFT = 297, 10, 52  # pixels
_WIDE = _LEFT + 3 * _CELL + 2 * _GAP + 14
_HEAD, _FOOT, _LINE = 108, 35, 33
_ANCHORS = ("lm", "rm", "ma", "md")  # of the letters at the left, right, upper, lower edge


@dataclass(frozen=True)
class Row:
    """A written case.

    Attributes:
        mask: label map, if the case has one.
        centre: mask whose centre the planes go through, to show the same planes in several rows.
        cuts: result of `cut` while the case was in memory; saves reading the files again.
        test: the case is in the test set.
    """

    name: str
    image: Path | None = None
    mask: Path | None = None
    centre: Path | None = None
    cuts: Cuts | None = None
    test: bool = False


def legend(labels: Labels) -> dict[int, str]:
    """Return nnU-Net's value -> name; a value that is only part of regions is named after one of them.

    >>> legend(Labels({"sacrum": 10, "ilium": 20}))
    {1: 'sacrum', 2: 'ilium'}
    """
    names: dict[int, str] = {}
    for name, value in sorted(labels.names.items(), key=lambda item: isinstance(item[1], tuple)):
        for part in values_of(value):
            if part:
                names.setdefault(labels.remap[part], name)
    return names


def draw(path: Path, rows: Sequence[Row], names: Mapping[int, str], title: str,
         display: tuple[float, float] | None, scratch: Path,
         what: str = "cases") -> None:  # fmt: skip
    """Draw up to 24 evenly chosen cases and write a PNG; the same input gives the same bytes.

    Args:
        path: the PNG file.
        rows: all cases.
        names: label value -> name, for the legend.
        title: shown above the picture.
        display: (low, high) shown as black and white; None uses the 1st and 99.5th percentile.
        scratch: folder on the same disk for the temporary file.
        what: plural noun for the rows.

    Raises:
        DiskError: the file cannot be written.
    """
    chosen = choose(rows)
    cuts = [row.cuts or _read_and_cut(row, display) for row in chosen]
    lines, planes = _lines(chosen, cuts)
    tallest = [round(min(1.25, max(c.tall / c.wide for _, c in line)) * _CELL) for line in lines]
    legend = -(-len(names) // 4)
    height = _HEAD + sum(tallest) + _GAP * len(lines) + _FOOT + _LINE * legend
    sheet = Image.new("RGB", (_WIDE, height), _GROUND)
    pen = ImageDraw.Draw(sheet)
    shown = (
        f"{len(chosen)} of {len(rows)} {what}" if len(chosen) < len(rows) else f"{len(rows)} {what}"
    )
    subtitle = f"{shown}, radiological view (R = the patient's right)"
    pen.text((_WIDE // 2, 31), _plain(title), _INK, _font(20), "mm")
    pen.text((_WIDE // 2, 61), subtitle, _FAINT, _font(13), "mm")
    for column, plane in enumerate(planes):
        pen.text((_left(column) + _CELL // 2, 92), plane, _FAINT, _font(14), "mm")
    top = _HEAD
    for line, tall in zip(lines, tallest, strict=True):
        for column, (label, plane_cut) in enumerate(line):
            _show(sheet, plane_cut, sorted(names), (_left(column), top), tall)
            _write_upwards(sheet, _plain(label), _left(column), top, tall)
        top += tall + _GAP
    _legend(pen, names, top + 16)
    temporary = scratch / path.name
    try:
        sheet.save(temporary, "PNG", compress_level=1)
        os.replace(temporary, path)
    except OSError as error:
        raise disk_error(path, error) from error


def choose(rows: Sequence[Row]) -> list[Row]:
    """Return at most 24 evenly spread rows, including the first and the last."""
    if len(rows) <= MOST_ROWS:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int)]


def colour(values: Sequence[int], value: int) -> str:
    """Return the colour of a label value among all values."""
    return LABELS[sorted(values).index(value) % len(LABELS)]


def _lines(rows: Sequence[Row],
           cuts: Sequence[Cuts]) -> tuple[list[list[tuple[str, Cut]]], Sequence[str]]:  # fmt: skip
    """Arrange captions and planes in lines of three, and return the columns' titles.

    Each case takes one line; if all cases are single slices, three cases share a line.
    """
    labels = [f"{row.name} (test)" if row.test or not row.mask else row.name for row in rows]
    slices = [[cut for cut in three if min(cut.grey.shape) > 1] for three in cuts]
    if any(len(planes) != 1 for planes in slices):
        return [list(zip((label, "", ""), three, strict=True))
                for label, three in zip(labels, cuts, strict=True)], [plane.name for plane in PLANES]  # fmt: skip
    single = [(label, planes[0]) for label, planes in zip(labels, slices, strict=True)]
    return [single[start : start + 3] for start in range(0, len(single), 3)], ()


def _read_and_cut(row: Row, display: tuple[float, float] | None) -> Cuts:
    mask = sitk.ReadImage(str(row.mask)) if row.mask else None
    centre = sitk.ReadImage(str(row.centre)) if row.centre else None
    return cut(sitk.ReadImage(str(row.image)), mask, display, centre)


def _left(column: int) -> int:
    return _LEFT + column * (_CELL + _GAP)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _plain(text: str) -> str:
    """Replace lone surrogates, which JSON allows and fonts lack, by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _show(sheet: Image.Image, cut: Cut, values: Sequence[int], at: tuple[int, int],
          tall: int) -> None:  # fmt: skip
    """Draw a plane in the middle of its cell, to scale in mm, with labels and letters."""
    scale = min(_CELL / cut.wide, tall / cut.tall)
    size = max(1, round(cut.wide * scale)), max(1, round(cut.tall * scale))
    corner = at[0] + (_CELL - size[0]) // 2, at[1] + (tall - size[1]) // 2
    grey = Image.fromarray(np.rint(cut.grey * 255).astype(np.uint8))
    picture = grey.resize(size, Image.Resampling.BILINEAR).convert("RGBA")
    if cut.mask is not None:
        labels = Image.fromarray(_overlay(cut.mask, values))
        picture = Image.alpha_composite(picture, labels.resize(size, Image.Resampling.NEAREST))
    pen = ImageDraw.Draw(picture)
    flat = cut.tall < 0.15 * cut.wide  # no room for letters above each other
    middle = size[0] // 2, size[1] // 2
    spots = ((6, middle[1]), (size[0] - 6, middle[1]), (middle[0], 4), (middle[0], size[1] - 4))
    for letter, spot, anchor in zip(cut.letters, spots[: 2 if flat else 4], _ANCHORS, strict=False):
        pen.text(spot, letter, _INK, _font(14), anchor, stroke_width=2, stroke_fill=_GROUND)
    sheet.paste(picture, corner)


def _overlay(mask: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Return a plane's labels as RGBA: a faint area and a firm outline each."""
    core = np.ones(mask.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        same = mask[here] == mask[there]
        core[here] &= same
        core[there] &= same
    table = np.zeros((2, max([0, *values, int(mask.max(initial=0))]) + 1, 4), np.uint8)
    for value in values:
        table[:, value, :3] = ImageColor.getrgb(colour(values, value))
        table[:, value, 3] = 230, 82  # of 255: the outline, the area
    result: np.ndarray = table[core.astype(np.uint8), mask]
    return result


def _write_upwards(sheet: Image.Image, text: str, left: int, top: int, tall: int) -> None:
    """Write a case's id at the left of its row, upwards."""
    if not text:
        return
    strip = Image.new("RGB", (tall, 18), _GROUND)
    ImageDraw.Draw(strip).text((tall // 2, 9), text, _INK, _font(12), "mm")
    sheet.paste(strip.rotate(90, expand=True), (left - 24 if left == _LEFT else left - 14, top))


def _legend(pen: ImageDraw.ImageDraw, names: Mapping[int, str], top: int) -> None:
    """Draw the legend: colours and label names, four per line."""
    order, columns = sorted(names), min(4, max(1, len(names)))
    wide = (_WIDE - 2 * _LEFT) // 4
    start = (_WIDE - columns * wide) // 2
    for place, value in enumerate(order):
        x, y = start + place % 4 * wide, top + place // 4 * _LINE
        pen.rectangle((x, y - 5, x + 22, y + 5), colour(order, value))
        pen.text((x + 30, y), _plain(names[value]), _INK, _font(13), "lm")
