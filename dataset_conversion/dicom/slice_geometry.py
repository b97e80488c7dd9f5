"""Verify from their positions that DICOM slices form one regular volume.

Readers such as ITK's silently average over gaps, tilts and duplicate slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.errors import DatasetError

# Tolerance of a gap relative to the usual one, and of a slice's distance from an even spacing: the larger of both.
GAP_SHARE, GAP_MM = 0.01, 0.01
DRIFT = 0.25  # pixels: largest sideways shift between the first and the last slice
# Positions rounded to at most 0.1 mm along each axis, and to this share of the spacing, form one even volume.
# A missing slice moves others by at least 0.3 of the spacing.
ROUNDED_MM, ROUNDED_SHARE = 0.1 * 3**0.5, 0.35
ROUNDED = 0.75  # units: largest distance of a rounded position from the fitted line
_NOISE = 1e-6
_NOTED_MM = 1e-3


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their normal, and the even spacing that fits them best.

    Attributes:
        slices: in the order of `normal`.
        points: positions (n, 3), LPS mm.
        across: direction of a row.
        down: direction of a column.
        normal: direction from slice to slice.
        heights: positions along the normal in mm.
        step: fitted spacing in mm.
        start: fitted height of the first slice in mm.
        unit: value of the positions' last digit, along the normal in mm.
    """

    slices: tuple[Slice, ...]
    points: np.ndarray
    across: np.ndarray
    down: np.ndarray
    normal: np.ndarray
    heights: np.ndarray
    step: float
    start: float
    unit: float

    @property
    def gaps(self) -> np.ndarray:
        """Distances between slices in mm."""
        gaps: np.ndarray = np.diff(self.heights)
        return gaps

    @property
    def doubles(self) -> np.ndarray:
        """Indices of slices at the position of the next."""
        return np.flatnonzero(self.gaps < GAP_MM)

    @property
    def usual(self) -> float:
        """The usual gap; if missing slices widen half of the gaps, the narrow ones are the usual ones."""
        gaps = self.gaps
        return float(min(np.median(gaps), np.sort(gaps)[(len(gaps) - 1) // 2]))

    @property
    def deviation(self) -> float:
        """Largest distance of a slice from the even spacing in mm."""
        even = self.start + self.step * np.arange(len(self.heights))
        return float(np.abs(self.heights - even).max())

    @property
    def rounding(self) -> float:
        """Unit to which the positions may have been rounded, 0 if it cannot explain uneven gaps."""
        limit = min(ROUNDED_MM, ROUNDED_SHARE * abs(self.step))
        return self.unit if self.unit <= limit + _NOISE else 0.0

    @property
    def better_with_a_slice_missing(self) -> bool:
        """Whether an even spacing with one slice missing fits better, as it may in a short stack."""
        index = np.arange(len(self.heights))
        places = index + (index >= np.arange(1, len(index))[:, None])  # one row for each gap
        centred = places - places.mean(axis=1, keepdims=True)
        heights = self.heights - self.heights.mean()
        steps = (centred @ heights) / (centred**2).sum(axis=1)
        off = np.abs(heights - steps[:, None] * centred).max(axis=1)
        return bool(off.min() < self.deviation)

    @property
    def off(self) -> np.ndarray:
        """Indices of gaps that differ from the usual one; none if the slices fit an even spacing."""
        limit = max(GAP_SHARE * self.usual, GAP_MM) + _NOISE
        rounded = limit < self.deviation <= limit + ROUNDED * self.rounding
        if self.deviation <= limit or (rounded and not self.better_with_a_slice_missing):
            return np.array([], int)
        return np.flatnonzero(np.abs(self.gaps - self.usual) > limit)

    @property
    def even(self) -> bool:
        """Whether the slices are evenly spaced, none at the position of another."""
        return not self.doubles.size and not self.off.size

    def even_spacing(self) -> tuple[float, float, list[str]]:
        """Return spacing, height of the first slice, and a note if rounded positions need a fit."""
        if _NOTED_MM < self.deviation <= ROUNDED * self.rounding:
            note = (
                f"slice positions are rounded to {self.rounding:.1g} mm: an even spacing is fitted"
            )
            return self.step, self.start, [note]
        span = float(self.heights[-1] - self.heights[0])
        return span / (len(self.heights) - 1), float(self.heights[0]), []


def stack_of(slices: Sequence[Slice]) -> Stack:
    """Sort slices that have a geometry along their normal.

    They are two or more of one orientation, in any order.
    """
    rows = np.array([s.orientation for s in slices], dtype=float).mean(0)
    across, down = rows[:3] / np.linalg.norm(rows[:3]), rows[3:] / np.linalg.norm(rows[3:])
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    points = np.array([s.position for s in slices], dtype=float)
    order = np.argsort(points @ normal, kind="stable")
    points = points[order]
    heights = points @ normal
    index = np.arange(len(heights)) - (len(heights) - 1) / 2
    step = float(index @ heights / (index @ index))
    return Stack(
        slices=tuple(slices[i] for i in order),
        points=points,
        across=across,
        down=np.cross(normal, across),
        normal=normal,
        heights=heights,
        step=step,
        start=float(heights.mean() + step * index[0]),
        unit=_unit(slices, points, normal),
    )


def sort_slices(slices: Sequence[Slice], who: str) -> tuple[list[Slice], np.ndarray, list[str]]:
    """Sort slices along their normal; return them, the 4 x 4 affine (LPS mm), and notes.

    Raises:
        DatasetError: colour, frames without a position, missing attributes, fewer than two
            slices, two at one position, uneven gaps, a tilted gantry.
    """
    _check_kind(slices, who)
    stack = stack_of(slices)
    _check_doubles(stack, who)
    pixel = slices[0].pixel or (1.0, 1.0)
    problems = [text for text in (_tilt(stack, min(pixel)), _uneven(stack)) if text]
    if problems:
        raise DatasetError(f"{who}: {'; '.join(problems)}")
    step, start, notes = stack.even_spacing()
    affine = np.eye(4)
    # PixelSpacing is (between rows, between columns): the second is the step along x.
    affine[:3, :3] = np.stack(
        [stack.across * pixel[1], stack.down * pixel[0], stack.normal * step], axis=1
    )
    affine[:3, 3] = stack.points[0] + stack.normal * (start - stack.heights[0])
    return list(stack.slices), affine, notes


def _unit(slices: Sequence[Slice], points: np.ndarray, normal: np.ndarray) -> float:
    """Return the finest last digit of the positions along the normal; constant coordinates have none."""
    units = np.min([s.units for s in slices], axis=0)
    units[np.ptp(points, axis=0) == 0] = 0
    return float(np.abs(normal) @ units)


def _check_kind(slices: Sequence[Slice], who: str) -> None:
    colour = [s for s in slices if s.samples != 1]
    if colour:
        raise DatasetError(
            f"{who}: {len(colour)} slices have {colour[0].samples} values per pixel (RGB); a "
            "series of grey values is required"
        )
    if any(s.palette for s in slices):
        raise DatasetError(
            f"{who}: its values index colours (PALETTE COLOR); a series of grey values is required"
        )
    frames = [s for s in slices if s.frames > 1 and s.frame is None]
    if frames:
        raise DatasetError(
            f"{who}: {frames[0].path.name} is a multi-frame DICOM ({frames[0].frames} frames) "
            "without a position for each frame; convert it with dcm2niix"
        )
    for item in slices:
        if item.missing:
            raise DatasetError(
                f"{who}: {item.name} lacks {', '.join(item.missing)}, so its position in the "
                "body is unknown; export the series again from the archive"
            )
    if len(slices) < 2:
        raise DatasetError(
            f"{who}: the series has {len(slices)} slice, a volume needs 2 or more; copy the complete "
            "series, or choose another with --series"
        )
    pixels = np.array([s.pixel for s in slices])
    if (pixels <= 0).any() or np.ptp(pixels, axis=0).max() > 1e-3 * pixels.min():
        raise DatasetError(f"{who}: PixelSpacing differs between slices or is not above 0")
    rows = np.array([s.orientation for s in slices], dtype=float).mean(0)
    lengths = np.linalg.norm(rows[:3]), np.linalg.norm(rows[3:])
    if min(lengths) == 0 or abs(float(rows[:3] @ rows[3:] / lengths[0] / lengths[1])) > 1e-3:
        raise DatasetError(
            f"{who}: ImageOrientationPatient {rows.tolist()} is not orthogonal; "
            "convert the series with a tool from the scanner's manufacturer"
        )


def _check_doubles(stack: Stack, who: str) -> None:
    double = stack.doubles
    if double.size:
        first = int(double[0])
        raise DatasetError(
            f"{who}: {double.size} slices have the position of another, first "
            f"{stack.slices[first].name} and {stack.slices[first + 1].name}; keep one of each (several "
            "phases, echoes or copies in one series?)"
        )


def _uneven(stack: Stack) -> str | None:
    gaps, usual, off = stack.gaps, stack.usual, stack.off
    if not off.size:
        return None
    at = int(off[np.abs(gaps[off] - usual).argmax()])
    rounded = f"; positions are rounded to {stack.unit:.1g} mm" if stack.unit > ROUNDED_MM else ""
    return (
        f"uneven gaps between slices: usually {usual:.3f} mm, but {gaps[at]:.3f} mm between "
        f"{stack.slices[at].name} and {stack.slices[at + 1].name} ({off.size} of {len(gaps)} gaps are "
        f"off{rounded}); copy the missing slices, or resample the series evenly"
    )


def _tilt(stack: Stack, pixel: float) -> str | None:
    offset = stack.points - stack.points[0]
    along = stack.heights - stack.heights[0]
    drift = np.linalg.norm(offset - along[:, None] * stack.normal, axis=1)
    worst = int(drift.argmax())
    if drift[worst] <= DRIFT * pixel + 2 * ROUNDED * stack.rounding:
        return None
    angle = float(np.degrees(np.arctan2(drift[worst], abs(along[worst]))))
    return (
        f"the gantry is tilted by {angle:.1f} degrees (slices drift {drift[worst]:.2f} mm "
        "sideways), so the volume is sheared; correct the tilt, e.g. with dcm2niix, which "
        "resamples"
    )
