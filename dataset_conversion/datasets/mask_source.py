"""The mask of a patient: its files, and how they become one label map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest, digest_json
from dataset_conversion.io.geometry import affine, like
from dataset_conversion.io.label_maps import LabelMap, read_mask
from dataset_conversion.io.segments import PLAIN, Reading, merge
from dataset_conversion.io.volumes import Header, files_of

Reader = Callable[[Header], LabelMap]


@dataclass(frozen=True)
class MaskSource:
    """One file, one file per structure, or DICOM objects or series that hold labels.

    Attributes:
        files: all files that are read, sorted; a change of one of them is a change of the mask.
        reader: takes the image's grid, returns the label map; raises DatasetError.
        structures: names of the structures that have a file each; empty for other sources.
        unlisted: names of further files of structures, which are not labels and not read.
    """

    files: tuple[Path, ...]
    reader: Reader
    structures: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The first file, for messages."""
        return self.files[0]

    def digest(self) -> str:
        """Return the SHA-256 of the content and, of several files, of their names too."""
        if len(self.files) == 1:
            return digest(self.path)
        return digest_json(sorted((path.name, digest(path)) for path in self.files))

    def read(self, grid: Header) -> LabelMap:
        """Read the label map.

        Args:
            grid: size and affine of the image. Sources with a grid of their own (a volume) keep
                that; DICOM objects and an empty segmentation take this one.

        Raises:
            DatasetError: the mask cannot be read.
        """
        return self.reader(grid)


def one_file(path: Path, how: Reading = PLAIN) -> MaskSource:
    """Return the source of a mask that is one volume; see `read_mask`."""
    return MaskSource(files_of(path), lambda grid: read_mask(path, grid, how))


def joined(sources: Sequence[MaskSource], how: Reading, who: str) -> MaskSource:
    """Return one source of several that hold different named structures, e.g. one DICOM SEG each."""
    if len(sources) == 1:
        return sources[0]
    files = tuple(path for source in sources for path in source.files)
    return MaskSource(files, lambda grid: _joined([s.read(grid) for s in sources], how, who))


def _joined(maps: Sequence[LabelMap], how: Reading, who: str) -> LabelMap:
    pairs = [(name, value, part) for part in maps for name, value in (part.segments or {}).items()]
    names = [name for name, _, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or any(part.segments is None for part in maps):
        raise DatasetError(
            f"{who}: {len(maps)} masks, {f'{twice} in more than one of them' if twice else 'not all with names'}; "
            "keep one, or give each structure one mask with its name"
        )
    base = maps[0].image
    for part in maps:
        check_same_grid(part, base, who)
    voxels = {name: partial(_voxels, part, value) for name, value, part in pairs}
    values = {name: place for place, name in enumerate(voxels, 1)}
    found = merge(base.GetSize()[::-1], voxels, values, how, who)
    notes = dict.fromkeys([note for part in maps for note in part.notes] + list(found.notes))
    return LabelMap(like(found.array, base), found.values, tuple(notes))


def check_same_grid(part: LabelMap, base: sitk.Image, who: str) -> None:
    """Reject a mask on another grid than the first one of its patient."""
    same = part.image.GetSize() == base.GetSize()
    if not (same and np.allclose(affine(part.image), affine(base), atol=1e-3)):
        raise DatasetError(
            f"{who}: its masks are on different grids ({part.image.GetSize()} and {base.GetSize()} "
            "voxels, or another position); export all structures in the image's geometry"
        )


def _voxels(part: LabelMap, value: int) -> np.ndarray:
    found: np.ndarray = sitk.GetArrayViewFromImage(part.image) == value
    return found
