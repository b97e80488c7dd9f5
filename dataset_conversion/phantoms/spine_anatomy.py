"""A lumbar spine as formulas: tissue at a point, and its brightness in T1 and T2.

Lengths are in mm. x grows to the patient's left, y to the back, z to the head. The column follows
a bent line in the sagittal plane; `along` is the length along it from the top of the sacrum,
`behind` the distance behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from dataset_conversion.phantoms.texture import clouds, rician, softened

# Codes of tissues: a vertebral body has its number, counted up from the lowest lumbar one.
AIR, MUSCLE, FAT, VESSEL = -1, -2, -3, -4
SACRUM, CANAL, DISC, ARCH = 50, 100, 200, 300

NOISE = 14.0

_TILT_AT = (-90.0, -45.0, 0.0, 75.0, 130.0, 190.0, 330.0)  # mm along
_TILT = (-58.0, -48.0, -30.0, 2.0, 14.0, 14.0, -6.0)  # degrees the line leans to the back
_SACRUM_LONG = 75.0
_CANAL_LOW, _CANAL_GAP, _CANAL_WIDE, _CANAL_DEEP = -50.0, 2.5, 10.0, 8.0


@dataclass(frozen=True)
class Contrast:
    """Brightness of tissues; discs range from `disc[0]` (worn) to the sum of both (healthy)."""

    fat: float
    bone: float
    canal: float
    disc: tuple[float, float]
    muscle: float
    vessel: float
    nerve: float
    rim: float


T1 = Contrast(fat=620, bone=330, canal=70, disc=(180, 30), muscle=190, vessel=60, nerve=150, rim=90)
T2 = Contrast(
    fat=480, bone=260, canal=900, disc=(115, 215), muscle=120, vessel=40, nerve=420, rim=70
)


@dataclass(frozen=True)
class Spine:
    """One patient's column.

    Attributes:
        levels: free vertebrae, numbered 1 (the lowest) to `levels`.
        size: scale factor.
        sway: lateral bend of the column in mm.
        wear: of each disc, from 0 (healthy) to 1 (dark and low).
        bend: factor of the average lordosis.
        origin: world position (x, y, z) of the sacrum's top.
        spongy: brightness of marrow as a factor.
    """

    levels: int
    size: float
    sway: float
    wear: tuple[float, ...]
    bend: float
    origin: tuple[float, float, float]
    spongy: float
    ends: tuple[tuple[float, float], ...] = field(init=False)
    line: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Compute the ends of the levels and the line."""
        ends: list[tuple[float, float]] = []
        top = 0.0
        for wear in self.wear[: self.levels]:
            low = top + 10.0 - 4.0 * wear
            top = low + 25.0 - 0.4 * len(ends)
            ends.append((low, top))
        object.__setattr__(self, "ends", tuple(ends))
        along = np.arange(-130.0, 420.0, 0.5)
        tilt = np.radians(self.bend * np.interp(along, _TILT_AT, _TILT))
        y, z = np.cumsum(np.sin(tilt)) * 0.5, np.cumsum(np.cos(tilt)) * 0.5
        start = int(np.searchsorted(along, 0.0))
        object.__setattr__(self, "line", np.stack([along, y - y[start], z - z[start], tilt]))

    @classmethod
    def random(cls, rng: np.random.Generator, *, levels: int, tall: float) -> Spine:
        """Draw a patient with sacrum and levels that fill a field of view `tall` mm high around 0."""
        wear = tuple(float(v) for v in rng.uniform(0, 1, 12) ** 2)
        drawn = partial(cls, levels=levels, wear=wear, sway=float(rng.uniform(-4, 4)),
                        bend=float(rng.uniform(0.85, 1.1)),
                        spongy=float(rng.uniform(0.92, 1.08)))  # fmt: skip
        trial = drawn(size=1.0, origin=(0.0, 0.0, 0.0))
        along, _, height, _ = trial.line
        low = float(np.interp(-0.5 * _SACRUM_LONG, along, height))
        high = float(np.interp(trial.ends[-1][1], along, height))
        size = float(rng.uniform(0.92, 0.97)) * tall / (high - low + 14.0)
        middle = (0.5 * (high + low) - 3.0) * size
        aside, back = rng.uniform(-2, 2), rng.uniform(-4, 4)
        return drawn(size=size, origin=(float(aside), float(back) - 8.0 * size, -middle))

    def along_behind(self, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the length along the column and the distance behind its line, in unscaled mm."""
        y = (np.asarray(y, np.float64) - self.origin[1]) / self.size
        z = (np.asarray(z, np.float64) - self.origin[2]) / self.size
        along, ys, zs, tilts = self.line
        way = np.interp(z, zs, along)
        for _ in range(5):  # to the foot of the perpendicular
            tilt = np.interp(way, along, tilts)
            off = (y - np.interp(way, along, ys)) * np.sin(tilt)
            off += (z - np.interp(way, along, zs)) * np.cos(tilt)
            way = way + 0.8 * off
        tilt = np.interp(way, along, tilts)
        behind = (y - np.interp(way, along, ys)) * np.cos(tilt)
        behind -= (z - np.interp(way, along, zs)) * np.sin(tilt)
        return way, behind

    def parts(self, x: np.ndarray | float, way: np.ndarray, behind: np.ndarray) -> np.ndarray:
        """Return the codes at points (int16), including the numbers of bodies and discs.

        Args:
            x: world position to the left, mm; broadcast against the others.
            way: along the column, see `along_behind`.
            behind: the same.
        """
        across = (np.asarray(x, np.float64) - self.origin[0]) / self.size
        across = across - self.sway * np.sin(np.clip(way, 0, 300) / 95.0)
        across, way, behind = np.broadcast_arrays(across, way, behind)
        code = _soft_parts(across, way, behind)
        deep = 17.0 - 0.008 * way
        canal = self._canal(across, way, behind, deep)
        near = (np.abs(behind - 12) < 60) & (np.abs(across) < 50) & (way > -_SACRUM_LONG - 5)
        for number in range(self.levels + 1):
            low, high = self.ends[number - 1] if number else (-_SACRUM_LONG, 0.0)
            here = near & (way > low - 15) & (way < high + 15)  # the rest need not be computed
            point = across[here], way[here], behind[here]
            found = self._level(number, *point, canal[here]) if number else _sacrum(*point)
            code[here] = np.where(found != 0, found, code[here])
        code[canal < 1] = CANAL
        return code

    def _level(self, number: int, across: np.ndarray, way: np.ndarray, behind: np.ndarray,
               canal: np.ndarray) -> np.ndarray:  # fmt: skip
        """Return arch, disc and body of one level; 0 elsewhere."""
        low, high = self.ends[number - 1]
        below = self.ends[number - 2][1] if number > 1 else 0.0
        half, middle = 0.5 * (high - low), 0.5 * (low + high)
        deep, round_ = _cross_section(across, way, behind)
        dome = np.clip(1 - round_**2, 0, 1)  # end plates are hollow
        waist = 1 - 0.09 * np.clip(1 - ((way - middle) / half) ** 2, 0, 1)
        code = np.zeros(way.shape, np.int16)
        code[_arch(across, way - middle, behind - deep, half) & (canal > 1.15)] = ARCH + number
        disc = (way > below - 1.4 * dome) & (way < low + 1.6 * dome) & (round_ < 1.02)
        code[disc] = DISC + number
        code[(round_ < waist) & (way > low + 1.6 * dome) & (way < high - 1.6 * dome)] = number
        return code

    @staticmethod
    def _canal(
        across: np.ndarray, way: np.ndarray, behind: np.ndarray, deep: np.ndarray
    ) -> np.ndarray:
        """Return the relative radius of the canal, which ends in the sacrum: below 1 inside."""
        end = np.clip((way - _CANAL_LOW) / 25.0, 0.02, 1)
        centre = deep + _CANAL_GAP + _CANAL_DEEP
        radius: np.ndarray = np.hypot(
            across / (_CANAL_WIDE * end), (behind - centre) / (_CANAL_DEEP * end)
        )
        return radius

    def at(self, points: np.ndarray) -> np.ndarray:
        """Return the codes at world points (..., 3), LPS mm."""
        points = np.asarray(points, np.float64)
        return self.parts(points[..., 0], *self.along_behind(points[..., 1], points[..., 2]))


def _cross_section(across: np.ndarray, way: np.ndarray,
                   behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return half the depth of a body, and the relative radius of a point: 1 on the surface."""
    deep, wide = 17.0 - 0.008 * way, 23.5 - 0.02 * way
    return deep, (np.abs(behind / deep) ** 3 + np.abs(across / wide) ** 3) ** (1 / 3)


def _sacrum(across: np.ndarray, way: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Return the sacrum, a wedge under a hollow end plate; 0 elsewhere."""
    deep, round_ = _cross_section(across, way, behind)
    shrink = np.clip(1 + 0.9 * way / _SACRUM_LONG, 0.2, 1)
    wide = 1.6 * (23.5 - 0.02 * way)
    inside = np.abs(behind / (deep * shrink)) ** 3 + np.abs(across / (wide * shrink)) ** 3 < 1
    inside &= (way < -1.4 * np.clip(1 - round_**2, 0, 1)) & (way > -_SACRUM_LONG)
    return np.where(inside, SACRUM, 0).astype(np.int16)


def _soft_parts(across: np.ndarray, way: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Return everything but bone, discs and canal."""
    code = np.full(across.shape, MUSCLE, np.int16)
    code[(behind < -22) | ((np.abs(across) < 4) & (behind > 15))] = FAT
    vessel = np.hypot(across - 9, behind + 31) < 9.5
    vessel |= np.hypot((across + 12) / 1.2, behind + 29) < 8.5
    code[vessel & (way > 45)] = VESSEL
    code[(behind < -46) & (behind > -50)] = MUSCLE
    code[behind > 62 + 6 * np.cos(way / 60)] = FAT
    code[behind > 78 + 4 * np.cos(way / 70)] = AIR
    return code


def _arch(across: np.ndarray, up: np.ndarray, behind: np.ndarray, half: float) -> np.ndarray:
    """Pedicles, lamina and spinous process; `behind` counts from the body's back."""
    side = np.abs(across)
    centre = _CANAL_GAP + _CANAL_DEEP
    pedicle = (side > 10) & (side < 16.5) & (behind > -3) & (behind < centre) & (np.abs(up - 4) < 6)
    ring = np.hypot(across / 17.0, (behind - centre) / 13.5)
    lamina = (ring < 1) & (behind > centre - 2) & (up > -0.75 * half) & (up < 0.45 * half)
    drop = up + 3 + 0.35 * (behind - centre)
    spinous = (side < 3.6) & (behind > centre + 6) & (behind < centre + 34) & (np.abs(drop) < 8.5)
    found: np.ndarray = pedicle | lamina | spinous
    return found


def scan(spine: Spine, axes: Sequence[np.ndarray], contrast: Contrast,
         rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return brightness (float32) and parts (int16), both (z, y, x), of a grid along the axes.

    Args:
        spine: the patient.
        axes: positions (mm) of the voxels along x, y and z.
        contrast: `T1` or `T2`.
        rng: source of texture, bias field and noise.
    """
    _, behind = spine.along_behind(axes[1][None, :], axes[2][:, None])
    parts = parts_on(spine, axes)
    cloud = clouds(parts.shape, rng, (14, 16, 8))
    bright = _brightness(spine, parts, behind, contrast, cloud)
    bright = softened(bright, (0, 1))
    # A surface coil is behind the back: intensity decreases with distance.
    coil = np.exp(-np.clip(60 - behind, 0, None) / 230.0).astype(np.float32)
    bias = 1 + 0.10 * clouds(parts.shape, rng, (3, 3, 3))
    return rician(bright * bias * coil[..., None] * 1.35, NOISE, rng), parts


def parts_on(spine: Spine, axes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the codes (z, y, x) of a grid with voxels at positions (mm) along x, y and z."""
    xs, ys, zs = axes
    way, behind = spine.along_behind(ys[None, :], zs[:, None])
    return np.stack([spine.parts(float(x), way, behind) for x in xs], axis=2)


def _brightness(spine: Spine, parts: np.ndarray, behind: np.ndarray, contrast: Contrast,
                cloud: np.ndarray) -> np.ndarray:  # fmt: skip
    """Brightness without noise; `cloud` is the texture."""
    table = {AIR: 0.0, MUSCLE: contrast.muscle, FAT: contrast.fat, CANAL: contrast.canal,
             VESSEL: contrast.vessel}  # fmt: skip
    values = np.zeros(parts.shape, np.float32)
    for code, value in table.items():
        values[parts == code] = value
    bone = ((parts > 0) & (parts < CANAL)) | (parts > ARCH)
    values[bone] = contrast.bone * spine.spongy
    values *= 1 + 0.07 * cloud
    belly = (behind < -50)[..., None] & (parts == FAT)
    values[belly & (cloud > 0.1)] = contrast.muscle
    dark, more = contrast.disc
    for number in range(1, spine.levels + 1):
        values[parts == DISC + number] = dark + more * (1 - spine.wear[number - 1])
    deep = 17.0 + _CANAL_GAP + 1.1 * _CANAL_DEEP
    cord = (parts == CANAL) & (np.abs(behind - deep) < 3.2)[..., None]
    values[cord] = 0.5 * values[cord] + 0.5 * contrast.nerve
    rim = np.zeros(parts.shape, bool)
    for axis in (0, 1):  # compact bone is dark
        moved = np.diff(np.where(bone, parts, 0), axis=axis) != 0
        ahead = [(0, 0)] * 3
        ahead[axis] = (0, 1)
        rim |= np.pad(moved, ahead) & bone
    values[rim] = contrast.rim
    return values
