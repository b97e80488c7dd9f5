"""The sacroiliac region as formulas: HU and labels of one synthetic patient.

Everything is given in mm for a field of view 380 mm wide and scaled to the volume's own; along
the body the region fills the volume. x grows to the patient's left, y to the back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_conversion.phantoms.texture import clouds

SACRUM, LEFT, RIGHT = 1, 2, 3
OUTSIDE, AIR, FAT, MUSCLE, GAP = -1024.0, -1000.0, -95.0, 45.0, 60.0
NOISE = 38.0
FIELD = 380.0  # mm, the field of view of the numbers below
_CORTEX = 2.6  # mm
_STEPS = 44  # discs that make up a wing
_FAR = 99.0  # mm, farther than any structure

Height = float | np.ndarray


@dataclass(frozen=True)
class Person:
    """Parameters of one patient: lengths in mm, angles in radians, intensities in HU."""

    size: float
    girth: float
    turn: float
    shift: tuple[float, float]
    gap: float
    spread: float
    curve: float
    lopsided: float
    spongy: float
    cortex: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Person:
        """Draw a patient."""
        return cls(
            size=rng.uniform(0.93, 1.07),
            girth=rng.uniform(0.94, 1.04),
            turn=np.radians(rng.uniform(-4, 4)),
            shift=(rng.uniform(-6, 6), rng.uniform(-5, 5)),
            gap=rng.uniform(2.0, 4.0),
            spread=rng.uniform(-5, 5),
            curve=rng.uniform(-5, 5),
            lopsided=rng.uniform(-0.02, 0.02),
            spongy=rng.uniform(180, 220),
            cortex=rng.uniform(800, 900),
        )


def scan(shape: tuple[int, int, int], spacing: tuple[float, float, float],
         rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return a patient's HU (int16) and labels (uint8), both (z, y, x); slice 0 is the lowest.

    Args:
        shape: voxels (z, y, x).
        spacing: mm (x, y, z).
        rng: source of the patient and the noise.
    """
    person = Person.random(rng)
    _, rows, columns = shape
    scale = FIELD / (columns * spacing[0])
    x = (np.arange(columns) - (columns - 1) / 2) * spacing[0] * scale
    y = (np.arange(rows) - (rows - 1) / 2) * spacing[1] * scale
    grid = (x[None, :].astype(np.float32), y[:, None].astype(np.float32))
    soft = max(spacing[0] * scale, 0.8)
    hu = np.empty(shape, np.float32)
    labels = np.zeros(shape, np.uint8)
    texture = clouds(shape, rng)
    for index, height in enumerate((np.arange(shape[0]) + 0.5) / shape[0]):
        hu[index], labels[index] = _slice(person, float(height), grid, soft, texture[index])
    hu += _noise(shape, rng)
    hu = np.clip(hu, OUTSIDE, 3071)
    radius = np.hypot(*np.broadcast_arrays(*grid))
    hu[:, radius > FIELD / 2] = OUTSIDE
    return np.rint(hu).astype(np.int16), labels


def _slice(person: Person, height: float, grid: tuple[np.ndarray, np.ndarray], soft: float,
           texture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """HU and labels of one slice; height 0 is the lower end of the sacrum, 1 its top."""
    x, y = grid

    def cover(distance: np.ndarray) -> np.ndarray:
        """Return the share of a voxel that is inside: edges are a voxel wide, as in a scan."""
        share: np.ndarray = np.clip(0.5 - distance / soft, 0, 1)
        return share

    hu = np.full(np.broadcast_shapes(x.shape, y.shape), AIR, np.float32)
    girth = person.girth
    body = _ellipse(x, y - 8, 168 * girth, 112 * girth)
    inner = _ellipse(x, y - 2, 146 * girth, 88 * girth + 4)
    pelvis = _ellipse(x, y + 22, 74, 52)
    _paint(hu, cover(body), FAT)
    _paint(hu, cover(inner), MUSCLE)
    _paint(hu, cover(pelvis), np.where(texture > 0.35, MUSCLE - 10, FAT + 10))
    _paint(hu, cover(inner) * np.clip((texture - 1.0) * 1.5, 0, 0.8), FAT)  # septa between muscles
    sacrum, left, right, u, v = bones(person, x, y, height)
    wings = np.minimum(left, right)
    # The joint: cartilage replaces bone within the gap.
    _paint(hu, cover(np.maximum(wings, sacrum - person.gap)), GAP)
    for bone in (np.maximum(wings, person.gap - sacrum), sacrum):
        spongy = person.spongy + 14 * texture
        _paint(hu, cover(bone), person.cortex)
        _paint(hu, cover(bone + _CORTEX), spongy)
    canal = _ellipse(u, v - _middle(height, person) - 9, 4 + 7 * height, 3 + 4 * height)
    _paint(hu, cover(np.maximum(canal, sacrum + _CORTEX)), 20.0)
    return hu, _labels(person, sacrum, left, right)


def bones(person: Person, x: np.ndarray, y: np.ndarray,
          height: Height) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Return distances (mm, negative inside) from sacrum, left and right wing, and coordinates.

    Args:
        person: the patient.
        x: mm to the left, in the patient's 380 mm field of view.
        y: mm to the back.
        height: 0 the lower end of the sacrum, 1 its top; one for all points or one for each.

    Returns:
        Sacrum, left wing, right wing (before subtracting the joint gap), and x and y in the
        coordinates of the rotated and shifted patient.
    """
    turned = np.cos(person.turn), np.sin(person.turn)
    dx, dy = x - person.shift[0], y - person.shift[1]
    u = (turned[0] * dx + turned[1] * dy) / person.size
    v = (turned[0] * dy - turned[1] * dx) / person.size
    sacrum = _sacrum(u, v, height, person)
    left = _wing(u * (1 + person.lopsided), v, height, person)
    right = _wing(-u * (1 - person.lopsided), v, height, person)
    return sacrum, left, right, u, v


def labels_at(person: Person, x: np.ndarray, y: np.ndarray, height: Height) -> np.ndarray:
    """Return the label at points; arguments as for `bones`."""
    return _labels(person, *bones(person, x, y, height)[:3])


def _labels(person: Person, sacrum: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    labels = np.zeros(sacrum.shape, np.uint8)
    labels[np.maximum(left, person.gap - sacrum) < 0] = LEFT
    labels[np.maximum(right, person.gap - sacrum) < 0] = RIGHT
    labels[sacrum < 0] = SACRUM
    return labels


def _paint(hu: np.ndarray, share: np.ndarray, value: float | np.ndarray) -> None:
    hu += share * (value - hu)


def _ellipse(x: np.ndarray, y: np.ndarray, wide: float, deep: float) -> np.ndarray:
    """Roughly the distance (mm) from an ellipse's edge, negative inside."""
    radius = np.sqrt((x / wide) ** 2 + (y / deep) ** 2)
    distance: np.ndarray = (radius - 1) * min(wide, deep)
    return distance


def _half_width(height: Height) -> Height:
    """Return half the width of the sacrum at its joint in mm."""
    return 15.0 + 37.0 * height**0.8


def _middle(height: Height, person: Person) -> Height:
    """Depth of the sacrum's middle: forward at the top, curving back below."""
    bend = np.sin(np.pi * (1.06 - 0.8 * height) / 1.25)
    # A Python float keeps float32 arrays; a float64 of numpy would not.
    return 34.0 + (24.0 + person.curve) * (bend if isinstance(height, np.ndarray) else float(bend))


def _sacrum(x: np.ndarray, y: np.ndarray, height: Height, person: Person) -> np.ndarray:
    """Distance (mm) from the sacrum: a wedge, wider in front than behind, with a crest."""
    deep = 12.0 + 15.0 * height
    v = (y - _middle(height, person)) / deep
    wide = _half_width(height) * (1.0 - 0.22 * np.clip(v + 0.5, -0.5, 1.5))
    power = 2.7
    radius = (np.abs(x / wide) ** power + np.abs(v) ** power) ** (1 / power)
    wedge = (radius - 1) * np.minimum(wide, 1.6 * deep)
    end = (0.05 - height) * 220.0  # rounds the lower tip
    crest = _ellipse(x, y - _middle(height, person) - deep, 5.0, 9.0)
    distance: np.ndarray = np.maximum(np.minimum(wedge, crest), end)
    return distance


def _wing(x: np.ndarray, y: np.ndarray, height: Height, person: Person) -> np.ndarray:
    """Distance (mm) from the left ilium: discs along a bent line from back to front."""
    along = np.linspace(0, 1, _STEPS).reshape(-1, *[1] * (np.ndim(height) + 1))
    line = wing_line(person, height, along)
    thick = np.interp(along[:, 0], [0, 0.3, 0.68, 0.9, 1], [8.0, 12.0, 4.6, 6.5, 6.0])
    grow = np.clip((height - 0.10) / 0.22, 0, 1)  # below: the sciatic notch
    thick = thick * grow - 6.0 * (1 - grow)
    distance = np.full(x.shape, _FAR, np.float32)
    near = (x > 0) & (
        np.abs(y - 20) < 90
    )  # most of a slice has no wing; half the time is spent here
    px, py = x[near], y[near]
    best = np.full(px.shape, _FAR, np.float32)

    def here(value: np.ndarray) -> np.ndarray:
        return np.broadcast_to(value, x.shape)[near] if value.ndim else value

    for (cx, cy), radius in zip(line.astype(np.float32), thick.astype(np.float32), strict=True):
        np.minimum(best, np.hypot(px - here(cx), py - here(cy)) - here(radius), out=best)
    distance[near] = best
    return distance


def wing_line(person: Person, height: Height, along: np.ndarray) -> np.ndarray:
    """Return points (x, y) of the middle of the left ilium, from its back (0) to its front (1)."""
    half, middle = _half_width(height), _middle(height, person)
    back = np.array([half - 9.0, middle + 34.0])
    bend = np.array([half + 8.0, middle - 26.0])
    front = np.array([74.0 + person.spread + 42.0 * height, 6.0 - 34.0 * height])
    line: np.ndarray = (1 - along) ** 2 * back + 2 * along * (1 - along) * bend + along**2 * front
    return line


def _noise(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Return noise of SD 38 HU, correlated within slices as by a smooth kernel."""
    white = rng.standard_normal(shape, dtype=np.float32)
    for axis in (1, 2):
        white = np.roll(white, 1, axis) + 2 * white + np.roll(white, -1, axis)
    white *= NOISE / float(white.std())
    return white
