"""Synthetic MRI of the sacroiliac joints as stored by a hospital: DICOM and ITK-SNAP masks.

T1, coronal slices tilted by 25 degrees; fat metaplasia next to the joints is bright and labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.dicom import MR, write_series
from dataset_conversion.phantoms.sij_anatomy import Person, bones, wing_line
from dataset_conversion.phantoms.texture import clouds, rician, softened
from dataset_conversion.phantoms.truth import Truth
from dataset_conversion.phantoms.writer import Grid, phantom

SIZES = {  # slices, rows, columns; mm along columns, rows and across slices
    "small": Grid((8, 64, 64), (4.0, 4.0, 14.0)),
    "demo": Grid((12, 96, 96), (2.7, 2.7, 9.3)),
    "full": Grid((16, 320, 320), (0.8, 0.8, 7.0)),
}
FAT_METAPLASIA = 1
DIAGNOSES = ("axSpA", "other")  # of diagnosed patients, in turn
TILT = 25.0  # degrees of the slices
_SLOPE = 20.0  # degrees of the sacrum, which the slices follow
NOISE = 14.0
_AIR, _FAT, _MARROW, _MUSCLE, _CORTEX, _GAP = 4.0, 600.0, 350.0, 180.0, 40.0, 120.0
_TALL = 125.0  # mm, height of the sacrum
_NAMES = ("Ferro^Ines", "Lindqvist^Per", "Okoye^Ada", "Petrov^Lev")


@dataclass(frozen=True)
class Joints:
    """One patient: the bones, and balls of fat metaplasia next to the joint lines.

    Attributes:
        person: the bones.
        centre: world position (LPS mm) of the region's middle.
        lesions: x, y (mm, in the coordinates of `bones`), height and radius (mm) of each ball.
        bright: brightness of each ball.
    """

    person: Person
    centre: np.ndarray
    lesions: tuple[tuple[float, float, float, float], ...]
    bright: tuple[float, ...]

    @classmethod
    def random(cls, rng: np.random.Generator, *, negative: bool) -> Joints:
        """Draw a patient; a negative one has no fat metaplasia."""
        person = Person.random(rng)
        lesions = []
        for side in (1, -1):
            for _ in range(0 if negative else int(rng.integers(2, 5))):
                height = float(rng.uniform(0.45, 0.85))
                half = 15.0 + 37.0 * height**0.8
                y = float(rng.uniform(30, 62))
                lesions.append((side * (half + float(rng.uniform(-7, 7))), y, height,
                                float(rng.uniform(13, 20))))  # fmt: skip
        bright = tuple(float(v) for v in rng.uniform(550, 650, len(lesions)))
        centre = np.round(
            np.array([rng.uniform(-8, 8), rng.uniform(-8, 8), rng.uniform(-40, 40)]), 2
        )
        return cls(person, centre, tuple(lesions), bright)

    @classmethod
    def diagnosed(cls, rng: np.random.Generator, *, positive: bool) -> Joints:
        """Draw a patient with lesions on both sides of both joint lines, or as many scattered in the bones."""
        person, lesions = Person.random(rng), []
        for side in (1, -1):
            for turn in range(4):
                height, radius = float(rng.uniform(0.5, 0.8)), float(rng.uniform(13, 17))
                half = 15.0 + 37.0 * height**0.8
                if positive:  # ilium and sacrum in turn
                    x, y = half + rng.uniform(4, 8) * (1, -1)[turn % 2], rng.uniform(32, 58)
                elif turn % 2:
                    x, y = rng.uniform(0, half - 24), rng.uniform(40, 58)
                else:
                    x, y = wing_line(person, height, rng.uniform(0.6, 0.9, (1, 1)))[0]
                lesions.append((side * float(x), float(y), height, radius))
        bright = tuple(float(v) for v in rng.uniform(550, 650, len(lesions)))
        centre = np.round(rng.uniform((-8, -8, -40), (8, 8, 40)), 2)
        return cls(person, centre, tuple(lesions), bright)

    def tissue(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return brightness, label, and 1 in bone at points (..., 3)."""
        own = np.asarray(points, np.float64) - self.centre
        cos, sin = np.cos(np.radians(_SLOPE)), np.sin(np.radians(_SLOPE))
        x, y = own[..., 0], cos * own[..., 1] + sin * own[..., 2] + 50.0
        height = (cos * own[..., 2] - sin * own[..., 1]) / _TALL + 0.5
        sacrum, left, right, u, v = bones(self.person, x, y, np.clip(height, 0.0, 1.1))
        beyond = np.abs(height - 0.5) * _TALL - 0.62 * _TALL
        wings = np.maximum(np.minimum(left, right), self.person.gap - sacrum)
        bone = np.maximum(np.minimum(sacrum, wings), beyond)
        bright = self._soft(x, y, height)
        joint = np.maximum(np.maximum(np.minimum(left, right), sacrum - self.person.gap), beyond)
        bright[joint < 0] = _GAP
        bright[bone < 0] = _CORTEX
        bright[bone < -1.6] = _MARROW
        labels = np.zeros(bright.shape, np.uint8)
        for (lx, ly, lz, radius), shade in zip(self.lesions, self.bright, strict=True):
            ball = (u - lx) ** 2 + (v - ly) ** 2 + ((height - lz) * _TALL) ** 2 < radius**2
            ball &= bone < -1.6
            bright[ball] = shade
            labels[ball] = FAT_METAPLASIA
        return bright, labels, (bone < 0).astype(np.float32)

    def labels(self, points: np.ndarray) -> np.ndarray:
        """Return the label at world points (..., 3), LPS mm."""
        return self.tissue(points)[1]

    def _soft(self, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> np.ndarray:
        girth = self.person.girth
        body = np.hypot(x / (168 * girth), (y - 8) / (112 * girth))
        inner = np.hypot(x / (146 * girth), (y - 2) / (88 * girth + 4))
        bright = np.where(body < 1, np.where(inner < 1, _MUSCLE, _FAT), _AIR)
        pelvis = np.hypot(x / 74.0, (y + 22) / 52.0) < 1
        bright[pelvis & (np.sin(x / 9) + np.sin(y / 7) + np.sin(height * 12) > 0.4)] = 0.75 * _FAT
        return bright


@phantom("sij-mri", SIZES)
def write_patients(
    folder: Path, count: int, grid: Grid, seed: int, *, diagnosed: bool = False
) -> list[Truth]:
    """Write one folder per patient with `t1/` (DICOM) and `mask.nii.gz`; the second is negative.

    With `diagnosed`, every second patient has the disease, with lesions on both sides of both joint lines; the others
    have as many lesions, scattered in the bones. The diagnoses are in `diagnoses.csv`.
    """
    truths = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        joints = (
            Joints.diagnosed(rng, positive=number % 2 == 0)
            if diagnosed
            else Joints.random(rng, negative=number == 1)
        )
        affine = _oblique(grid, joints.centre)
        array, labels = _scan(joints, grid, affine, rng)
        patient = folder / f"patient{number + 1:03d}"
        person = {
            "PatientName": f"{_NAMES[number % len(_NAMES)]}{number + 1}",
            "PatientID": f"PHANTOM-MR-{seed}-{number + 1:03d}",
        }
        write_series(patient / "t1", array, affine, key=f"sij_mri/{seed}/{number}", tags=person,
                     scanner=MR)  # fmt: skip
        mask = patient / "mask.nii.gz"
        sitk.WriteImage(place(labels, affine), str(mask), True)
        truths.append(Truth(patient.name, patient.name, patient / "t1", mask, joints.labels))
    if diagnosed:
        rows = [
            f"{one.name},{one.name},{DIAGNOSES[number % 2]}" for number, one in enumerate(truths)
        ]
        text = "\n".join(["case,patient,label", *rows]) + "\n"
        (folder / "diagnoses.csv").write_text(text, encoding="utf-8")
    return truths


def _oblique(grid: Grid, centre: np.ndarray) -> np.ndarray:
    """Affine (index x, y, z to LPS mm) of coronal slices with the upper end tilted to the front."""
    lean = np.radians(TILT)
    across = np.array([1.0, 0.0, 0.0])
    down = np.array([0.0, np.sin(lean), -np.cos(lean)])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([across, down, np.cross(across, down)], axis=1) * grid.spacing
    middle = (np.array(grid.shape[::-1]) - 1) / 2
    affine[:3, 3] = np.round(centre - affine[:3, :3] @ middle, 4)
    return affine


def _scan(joints: Joints, grid: Grid, affine: np.ndarray,
          rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return brightness (int16) and labels, both (z, y, x)."""
    _, rows, columns = grid.shape
    bright = np.empty(grid.shape, np.float32)
    labels = np.empty(grid.shape, np.uint8)
    bone = np.empty(grid.shape, np.float32)
    for index in range(grid.shape[0]):
        where = np.stack(np.broadcast_arrays(np.arange(columns)[None, :], np.arange(rows)[:, None],
                                             index, 1), axis=-1)  # fmt: skip
        points = where @ affine.T
        bright[index], labels[index], bone[index] = joints.tissue(points[..., :3])
    bright *= 1 + 0.06 * clouds(grid.shape, rng) * (1 + bone)
    bias = 1 + 0.05 * clouds(grid.shape, rng, (3, 3, 3))
    noisy = rician(softened(bright, (1, 2)) * bias, NOISE, rng)
    return np.clip(np.rint(noisy), 0, 4095).astype(np.int16), labels
