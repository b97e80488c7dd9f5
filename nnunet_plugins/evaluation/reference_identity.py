"""Which reference a case was scored against: its voxels and position, whatever the file format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK

from dataset_conversion.io.orientation import oriented_to
from nnunet_plugins.evaluation.cases import LabelMap, geometry_of

_ORIENTATION = "LPS"
_ORIGIN, _SPACING, _DIRECTION = 1e-2, 1e-3, 1e-3  # of a voxel, of a voxel, absolute


@dataclass(frozen=True)
class Reference:
    """A reference's voxels and position, in LPS orientation.

    Attributes:
        voxels: SHA-256 of size and values.
        spacing: of x, y and z, in mm.
        origin: of the first voxel, in mm.
        direction: direction cosines, row by row.
    """

    voxels: str
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """All values in JSON's types."""
        return {name: v if isinstance(v, str) else list(v) for name, v in asdict(self).items()}

    def difference(self, other: Reference) -> str:
        """What differs from another reference; '' if they are the same. File formats round positions."""
        if self.voxels != other.voxels:
            return "other voxels"
        edge = min(self.spacing)
        allowed = {"spacing": _SPACING * edge, "origin": _ORIGIN * edge, "direction": _DIRECTION}
        for what, tolerance in allowed.items():
            ours, theirs = getattr(self, what), getattr(other, what)
            if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=0, atol=tolerance):
                return f"another {what}"
        return ""


def identify(label_map: LabelMap) -> Reference:
    """Identify a reference; the orientation in which it is stored does not matter.

    >>> from pathlib import Path
    >>> geometry = {"size": (2, 2, 2), "spacing": (1.0,) * 3, "origin": (0.0,) * 3,
    ...             "direction": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)}
    >>> voxels = np.arange(8).reshape(2, 2, 2)
    >>> one = identify(LabelMap(Path("a.nii.gz"), voxels, geometry))
    >>> one.difference(identify(LabelMap(Path("b.mha"), voxels.astype(np.uint8), geometry)))
    ''
    >>> one.difference(identify(LabelMap(Path("c.nrrd"), voxels[::-1], geometry)))
    'other voxels'
    """
    voxels, found = label_map.voxels, label_map.geometry
    if label_map.orientation not in ("", _ORIENTATION):
        image = oriented_to(label_map.image, _ORIENTATION)
        voxels = SimpleITK.GetArrayViewFromImage(image)
        found = geometry_of(image)
    # Files store the same labels in different types.
    small = voxels.size == 0 or int(voxels.max()) < 256
    content = np.ascontiguousarray(voxels, dtype=np.uint8 if small else np.int64)
    digest = hashlib.sha256(repr(content.shape).encode())
    digest.update(content.data)
    return Reference(digest.hexdigest(), *(found[k] for k in ("spacing", "origin", "direction")))


def read_reference(found: Mapping[str, Any] | None) -> Reference | None:
    """Return the reference of a case in a scores file; None in files of earlier versions.

    Raises:
        KeyError, TypeError: it lacks a part, or a part is none of a reference.
    """
    if found is None:
        return None
    spacing, origin, direction = (
        _numbers(found[name], name) for name in ("spacing", "origin", "direction")
    )
    if not spacing or len(origin) != len(spacing) or len(direction) != len(spacing) ** 2:
        raise TypeError("spacing, origin and direction of a reference do not fit together")
    return Reference(str(found["voxels"]), spacing, origin, direction)


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    if not isinstance(values, list) or not all(isinstance(one, int | float) for one in values):
        raise TypeError(f"{name} of a reference is {values!r:.50}, not a list of numbers")
    return tuple(map(float, values))
