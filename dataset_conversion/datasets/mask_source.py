"""The mask of a patient: its files, and how they become one label map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.io.atomic_files import digest, digest_json
from dataset_conversion.io.label_maps import LabelMap, read_mask
from dataset_conversion.io.volumes import Header, files_of


@dataclass(frozen=True)
class MaskSource:
    """One file, one file per structure, or a DICOM object or series that holds labels.

    Attributes:
        files: all files that are read, sorted; a change of one of them is a change of the mask.
        reader: takes the image's grid, returns the label map; raises DatasetError.
    """

    files: tuple[Path, ...]
    reader: Callable[[Header], LabelMap]

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
                that; contours and an empty segmentation take this one.

        Raises:
            DatasetError: the mask cannot be read.
        """
        return self.reader(grid)


def one_file(path: Path) -> MaskSource:
    """Return the source of a mask that is one volume; see `read_mask`."""
    return MaskSource(files_of(path), lambda _: read_mask(path))
