"""One patient's place in a source folder: where image and mask are, before they are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.datasets.source_files import files_below
from dataset_conversion.errors import DatasetError


@dataclass(frozen=True)
class Entry:
    """The files of one patient, or of one scan where several are paired by name.

    Attributes:
        name: of the folder, or what the names of image and mask have in common.
        where: the folder, or the image's file; for messages and the user's key file.
        paths: files and folders that hold the image and, unless `masks` is given, the mask.
        masks: files and folders that hold only the mask; None: its name or content decides.
        group: the same for all scans of one patient, as far as names show it.
        follow_links: follow symbolic links.
        problem: why the entry cannot be converted; empty if it can.
    """

    name: str
    where: Path
    paths: tuple[Path, ...]
    masks: tuple[Path, ...] | None = None
    group: str = ""
    follow_links: bool = False
    problem: str = ""

    def files(self) -> tuple[list[Path], list[Path] | None]:
        """Return the files below `paths`, and those below `masks`.

        Raises:
            DatasetError: the entry's problem, or see `files_below`.
        """
        if self.problem:
            raise DatasetError(self.problem)
        own = self._below(self.paths)
        return own, None if self.masks is None else self._below(self.masks)

    def _below(self, paths: tuple[Path, ...]) -> list[Path]:
        return [file for path in paths for file in files_below(path, self.follow_links)]


def folder_entry(folder: Path, follow_links: bool = False) -> Entry:
    """Return the entry of a folder that holds one patient."""
    return Entry(folder.name, folder, (folder,), None, folder.name, follow_links)


def problem_entry(where: Path, problem: str) -> Entry:
    """Return an entry that cannot be converted."""
    return Entry(where.name, where, (), problem=problem)
