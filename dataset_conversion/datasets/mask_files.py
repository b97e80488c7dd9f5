"""Which of a patient's files may be its mask, and the one mask that they form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dataset_conversion.cases.mask_alignment import is_part
from dataset_conversion.datasets.dicom_masks import DicomFiles, dicom_source, split_dicom
from dataset_conversion.datasets.file_kinds import SortedFiles, in_mask_folder
from dataset_conversion.datasets.mask_source import MaskSource, joined, one_file
from dataset_conversion.datasets.one_patient import check_one_patient
from dataset_conversion.datasets.structure_files import (
    Search,
    Structures,
    check_unread,
    find_structures,
)
from dataset_conversion.dicom.series import Series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_maps import is_slicer
from dataset_conversion.io.volumes import read_header


@dataclass(frozen=True)
class MaskFiles:
    """The files that may be a patient's mask, by kind.

    Attributes:
        search: where they were found.
        volumes: masks by their names, of all structures each.
        structures: files of one structure each.
        dicom: SEG, RTSTRUCT and series of labels; and the images, without those.
        binary: receives series of two values, found in the search for the image's series.
    """

    search: Search
    volumes: tuple[Path, ...]
    structures: Structures | None
    dicom: DicomFiles
    binary: list[Series] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Masks and their parts, except slices of series; none of them is the image."""
        parts = [] if self.structures is None else self.structures.all_files()
        return [*self.volumes, *parts, *(item.path for item in self.dicom.objects)]

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.files or self.dicom.stacks or self.binary)

    @property
    def plain(self) -> bool:
        """Whether volumes of all structures are the only masks."""
        return not (self.structures or self.dicom.objects or self.dicom.stacks or self.binary)

    def check_unread(self, *places: SortedFiles) -> None:
        """Reject structures in formats that are not read; see `structure_files.check_unread`."""
        paths = [path for files in places for path in (*files.archives, *files.others)]
        if self.structures or not self:
            check_unread(self.search, paths, self.structures)

    def fits(self) -> Callable[[Series], bool] | None:
        """Return a test of which of several series is the image; None if nothing shows it."""
        if len(self.volumes) == 1 and not self.dicom.objects:
            return partial(_aligned, self.volumes[0])
        if self.structures is not None and not self.dicom.objects:
            return partial(_aligned, next(iter(self.structures.files.values())))
        return self.dicom.fits(str(self.search.folder), self.binary, masked=bool(self))

    def source(self, image: Path | Series) -> tuple[MaskSource | None, list[str]]:
        """Return the patient's mask, None without one, and notes.

        Raises:
            DatasetError: there are several masks, or they belong to another image.
        """
        search = self.search
        found, notes = dicom_source(
            self.dicom, self.binary, image, search.folder, search.pattern, search.how
        )
        sources = [one_file(path, search.how) for path in self.volumes]
        if len(sources) > 1 and all(is_slicer(path) for path in self.volumes):
            sources = [joined(sources, search.how, str(search.folder))]
        if self.structures is not None:
            sources.append(self.structures.source(search.how, str(search.folder)))
            notes += self.structures.notes()
        if found is not None:
            sources.append(found)
        if len(sources) > 1:
            names = ", ".join(_shown(source, search.folder) for source in sources)
            raise DatasetError(
                f"{search.folder}: {len(sources)} masks, expected one: {names}; keep one, or narrow "
                "--mask-pattern; files of one structure each need the names of labels (--labels)"
            )
        return (sources[0] if sources else None), notes


def find_mask_files(search: Search, volumes: Sequence[Path], named: Sequence[Path],
                    dicom: Sequence[Path], apart: Sequence[Path] | None) -> MaskFiles:  # fmt: skip
    """Find the files that may be a patient's mask.

    Args:
        search: where and how.
        volumes: volumes of image and mask; of the mask only if masks have a place of their own.
        named: those of them that are masks by name or place.
        dicom: files that may be DICOM, of image and mask.
        apart: files that may be DICOM, in a place of their own for masks; None without such a place.
    """
    series, own = bool(dicom) or apart is not None, apart is not None
    parts = find_structures(search, volumes, series=series, apart=own)
    used = set() if parts is None else set(parts.all_files())
    inside = [p for p in volumes if in_mask_folder(p, search.folder, search.pattern)]
    masks = dict.fromkeys([*named, *(inside if len(inside) == 1 else [])])
    left = [path for path in volumes if path not in used and path not in masks]
    split = split_dicom(dicom, apart or (), search.folder, search.pattern, search.series)
    without_image = not (left or split.images) and apart is None
    if without_image or (split.stacks and (parts or masks or split.objects)):
        split = split.without_stacks()
    if split.objects or split.stacks:
        first = [paths[0] for paths in split.stacks.values()]
        some = [*split.images[:1], *(item.path for item in split.objects), *first]
        check_one_patient(some, search.folder)
    return MaskFiles(search, tuple(path for path in masks if path not in used), parts, split)


def _aligned(mask: Path, series: Series) -> bool:
    """Check whether a mask's header puts it on a series' grid; a damaged one is reported later."""
    try:
        header = read_header(mask)
    except DatasetError:
        return False
    return is_part(header.matrix, header.size, series.affine, series.size)


def _shown(source: MaskSource, folder: Path) -> str:
    path = source.path
    name = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    return name if len(source.files) == 1 else f"{name} and {len(source.files) - 1} more"
