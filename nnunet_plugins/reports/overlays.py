"""Correct and wrong voxels of a prediction in three planes through the worst position, as PNGs for a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from dataset_conversion.io.planes import PLANES, Plane
from nnunet_plugins.reports.colours import AGREEMENT, FALSE_ALARM, MISSED, OTHER_LABEL
from nnunet_plugins.reports.volumes import CaseVolumes, box_around

LONG = 420  # pixels, longer side of a picture
FLAT = 60  # pixels, minimum of the shorter side
MARGIN = 30.0  # mm around the labels
_WIDTH = 2  # pixels, width of an outline
#: Planes of an image without directions of a patient.
_UNORIENTED = (Plane("image", 0, " " * 4), Plane("second", 1, " " * 4), Plane("third", 2, " " * 4))


@dataclass(frozen=True)
class Kind:
    """Style of a kind of voxels.

    Attributes:
        name: for the legend.
        colour: of area and outline.
        area: opacity of the area, 0 to 255.
        outline: none, solid, dashed or dotted; distinguishes kinds without colour.
    """

    name: str
    colour: str
    area: int
    outline: str


#: Code in the map of `kinds` -> style.
KINDS = {
    1: Kind("agreement", AGREEMENT, 90, "none"),
    2: Kind("missed", MISSED, 70, "solid"),
    3: Kind("false alarm", FALSE_ALARM, 70, "dashed"),
    4: Kind("other label", OTHER_LABEL, 90, "dotted"),
}


@dataclass(frozen=True)
class Picture:
    """One plane.

    Attributes:
        plane: axial, coronal or sagittal.
        where: number of the slice, from 1 in LPS order; '' for a 2D image.
        png: base64.
        size: width and height in pixels.
        alt: alternative text.
    """

    plane: str
    where: str
    png: str
    size: tuple[int, int]
    alt: str


def kinds(reference: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes: 0 background in both, 1 agreement, 2 missed, 3 false alarm, 4 other label than in the reference."""
    true, found = reference > 0, prediction > 0
    result = np.zeros(reference.shape, np.uint8)
    result[true & found & (reference == prediction)] = 1
    result[true & ~found] = 2
    result[~true & found] = 3
    result[true & found & (reference != prediction)] = 4
    return result


def worst_place(found: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Index (z, y, x) of the slices with the most wrong voxels, or the most labelled voxels if none is wrong."""
    wrong = found > 1
    counted = wrong if wrong.any() else found > 0
    if not counted.any():
        z, y, x = found.shape
        return z // 2, y // 2, x // 2
    z, y, x = (
        int(counted.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3)
    )
    return z, y, x


def draw_planes(case: CaseVolumes) -> list[Picture]:
    """Draw the three planes; for a single slice only one."""
    found = kinds(case.reference, case.prediction)
    place = worst_place(found)
    box = box_around(found > 0, case.spacing, MARGIN)
    pictures = []
    for plane in PLANES if case.oriented else _UNORIENTED:
        if min(found.shape[axis] for axis in plane.axes) < 2:
            continue
        cut = plane.cut(found, place, box)
        grey = None if case.grey is None else plane.cut(case.grey, place, box)
        tall, wide = plane.pixel(case.spacing)
        image = _draw(cut, grey, (cut.shape[1] * wide, cut.shape[0] * tall), plane.letters)
        seen = [kind.name for code, kind in KINDS.items() if (cut == code).any()]
        pictures.append(
            Picture(
                plane.name,
                _where(place[plane.across], found.shape[plane.across], case),
                _png(image),
                image.size,
                f"{case.name}, {plane.name} plane: {', '.join(seen) or 'no label'}{_edges(plane.letters)}",
            )
        )
    return pictures


def _where(index: int, count: int, case: CaseVolumes) -> str:
    return f"slice {index + 1} of {count}" if case.oriented or count > 1 else ""


def legend_swatch(kind: Kind) -> str:
    """Base64 PNG of a kind's area and outline."""
    codes = np.zeros((20, 34), np.uint8)
    codes[2:-2, 2:-2] = next(code for code, one in KINDS.items() if one is kind)
    return _png(_painted(Image.new("RGB", (34, 20), "#404040"), codes))


def _draw(
    codes: NDArray[np.uint8],
    grey: NDArray[np.uint8] | None,
    extent: tuple[float, float],
    letters: str,
) -> Image.Image:
    """A plane to scale in mm, with letters at its left, right, upper and lower edge."""
    scale = LONG / max(extent)
    wide, tall = (max(2, round(length * scale)) for length in extent)
    below = (
        Image.new("L", (wide, tall), 0)
        if grey is None
        else Image.fromarray(np.ascontiguousarray(grey)).resize(
            (wide, tall), Image.Resampling.BILINEAR
        )
    )
    large = Image.fromarray(np.ascontiguousarray(codes)).resize(
        (wide, tall), Image.Resampling.NEAREST
    )
    painted = _painted(below.convert("RGB"), np.asarray(large))
    size = max(wide, FLAT), max(tall, FLAT)
    sheet = Image.new("RGB", size, "#000000")
    sheet.paste(painted, ((size[0] - wide) // 2, (size[1] - tall) // 2))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    middle = size[0] // 2, size[1] // 2
    spots = ((5, middle[1]), (size[0] - 5, middle[1]), (middle[0], 3), (middle[0], size[1] - 4))
    for letter, spot, anchor in zip(letters, spots, ("lm", "rm", "ma", "md"), strict=True):
        pen.text(spot, letter, "#ffffff", font, anchor, stroke_width=2, stroke_fill="#000000")
    return sheet


def _painted(below: Image.Image, codes: NDArray[np.uint8]) -> Image.Image:
    colours = np.asarray(below).astype(np.float32)
    rows, columns = np.indices(codes.shape)
    patterns = {
        "none": np.zeros(codes.shape, bool),
        "solid": np.ones(codes.shape, bool),
        "dashed": (rows // 6 + columns // 8) % 2 == 0,
        "dotted": (rows // 3 + columns // 4) % 2 == 0,
    }
    for code, kind in KINDS.items():
        mask = codes == code
        if not mask.any():
            continue
        colour = np.array(ImageColor.getrgb(kind.colour), np.float32)
        alpha = kind.area / 255
        colours[mask] = (1 - alpha) * colours[mask] + alpha * colour
        inner = binary_erosion(mask, iterations=_WIDTH, border_value=1)
        colours[mask & ~inner & patterns[kind.outline]] = colour
    return Image.fromarray(np.rint(colours).astype(np.uint8))


def _edges(letters: str) -> str:
    if not letters.strip():
        return ""
    return "; " + ", ".join(
        f"{letter} {edge}"
        for letter, edge in zip(letters, ("left", "right", "top", "bottom"), strict=True)
    )


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
