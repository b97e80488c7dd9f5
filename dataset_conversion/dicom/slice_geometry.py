"""Verify from their positions that DICOM slices form one regular volume.

Readers such as ITK's silently average over gaps, tilts and duplicate slices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.errors import DatasetError

GAP_SHARE, GAP_MM = (
    0.01,
    0.01,
)  # tolerance of a gap relative to the usual one: the larger of the two
DRIFT = 0.25  # pixels: largest sideways shift between the first and the last slice


def sort_slices(slices: Sequence[Slice], who: str) -> tuple[list[Slice], np.ndarray]:
    """Sort slices along their normal; return them and the 4 x 4 affine of the volume (LPS mm).

    Args:
        slices: one series, in any order.
        who: the patient, for messages.

    Raises:
        DatasetError: colour, frames without a position, missing attributes, fewer than two
            slices, two at one position, uneven gaps, a tilted gantry.
    """
    _check_kind(slices, who)
    rows = np.array([s.orientation for s in slices], dtype=float).mean(0)
    across, down = rows[:3] / np.linalg.norm(rows[:3]), rows[3:] / np.linalg.norm(rows[3:])
    if abs(float(across @ down)) > 1e-3:
        raise DatasetError(
            f"{who}: ImageOrientationPatient {rows.tolist()} is not orthogonal; "
            "convert the series with a tool from the scanner's manufacturer"
        )
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    down = np.cross(normal, across)
    points = np.array([s.position for s in slices], dtype=float)
    order = np.argsort(points @ normal, kind="stable")
    points, ordered = points[order], [slices[i] for i in order]
    gaps = np.diff(points @ normal)
    _check_doubles(gaps, ordered, who)
    pixel = slices[0].pixel or (1.0, 1.0)
    problems = [
        text for text in (_tilt(points, normal, min(pixel)), _uneven(gaps, ordered)) if text
    ]
    if problems:
        raise DatasetError(f"{who}: {'; '.join(problems)}")
    affine = np.eye(4)
    step = float((points[-1] - points[0]) @ normal) / len(gaps)
    # PixelSpacing is (between rows, between columns): the second is the step along x.
    affine[:3, :3] = np.stack([across * pixel[1], down * pixel[0], normal * step], axis=1)
    affine[:3, 3] = points[0]
    return ordered, affine


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


def _check_doubles(gaps: np.ndarray, files: Sequence[Slice], who: str) -> None:
    double = np.flatnonzero(gaps < GAP_MM)
    if double.size:
        first = int(double[0])
        raise DatasetError(
            f"{who}: {double.size} slices have the position of another, first "
            f"{files[first].name} and {files[first + 1].name}; keep one of each (several "
            "phases, echoes or copies in one series?)"
        )


def _uneven(gaps: np.ndarray, files: Sequence[Slice]) -> str | None:
    usual = float(np.median(gaps))
    # If missing slices widen half of the gaps, the narrow ones are the usual ones.
    usual = min(usual, float(np.sort(gaps)[(len(gaps) - 1) // 2]))
    off = np.flatnonzero(np.abs(gaps - usual) > max(GAP_SHARE * usual, GAP_MM))
    if not off.size:
        return None
    at = int(off[np.abs(gaps[off] - usual).argmax()])
    return (
        f"uneven gaps between slices: usually {usual:.3f} mm, but {gaps[at]:.3f} mm between "
        f"{files[at].name} and {files[at + 1].name} ({off.size} of {len(gaps)} gaps are off); "
        "copy the missing slices, or resample the series evenly"
    )


def _tilt(points: np.ndarray, normal: np.ndarray, pixel: float) -> str | None:
    offset = points - points[0]
    along = offset @ normal
    drift = np.linalg.norm(offset - along[:, None] * normal, axis=1)
    worst = int(drift.argmax())
    if drift[worst] <= DRIFT * pixel:
        return None
    angle = float(np.degrees(np.arctan2(drift[worst], abs(along[worst]))))
    return (
        f"the gantry is tilted by {angle:.1f} degrees (slices drift {drift[worst]:.2f} mm "
        "sideways), so the volume is sheared; correct the tilt, e.g. with dcm2niix, which "
        "resamples"
    )
