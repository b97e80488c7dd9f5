"""conversion.json, next to dataset.json: source, settings and versions behind every file.

It holds digests by case id and no file name of the source: only someone who has the source can
show which file became which case.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dataset_conversion.cases.case import Case
from dataset_conversion.cases.intensities import Intensities
from dataset_conversion.cases.measures import Measures, from_dict
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest
from dataset_conversion.json_text import parse_json

FILE = "conversion.json"
FORMAT = 4  # of the manifest and the files of a case; a change converts again
_PACKAGES = ("nnunet-plugins", "numpy", "SimpleITK", "nibabel", "pydicom")


@dataclass
class Record:
    """The record of a converted case; holds no names of persons.

    Attributes:
        sources: role -> SHA-256 of the source's bytes.
        settings: SHA-256 of the dataset's settings.
        files: path in the dataset -> SHA-256.
        voxels: nnU-Net's label value -> voxels.
        grid: the source's size, spacing (mm) and orientation.
        made_with: package versions.
        notes: for the user.
        images: facts on the values of each channel, see `Intensities`; finds copies.
        measures: what shows implausible data, see `Measures`.
    """

    sources: dict[str, str]
    settings: str
    files: dict[str, str]
    voxels: dict[str, int]
    grid: dict[str, Any]
    made_with: str
    notes: list[str] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> list[Intensities]:
        """Return the facts on the values of each channel.

        Raises:
            DatasetError: they are not in the form that this version writes.
        """
        try:
            return [Intensities(**entry) for entry in self.images]
        except TypeError as error:
            raise DatasetError(damaged(Path(FILE))) from error

    def measured(self) -> Measures:
        """Return what shows implausible data.

        Raises:
            DatasetError: it is not in the form that this version writes.
        """
        try:
            return from_dict(self.measures)
        except TypeError as error:
            raise DatasetError(damaged(Path(FILE))) from error

    def fits(self, case: Case, settings: str, names: Sequence[str], folder: Path) -> bool:
        """Return whether this conversion is still valid and its files are intact."""
        return self.current(case, settings, names) and self.intact(folder)

    def current(self, case: Case, settings: str, names: Sequence[str]) -> bool:
        """Return whether source, settings and file names are unchanged."""
        same = (self.sources, self.settings) == (dict(case.sources), settings)
        return same and set(self.files) == set(names)

    def intact(self, folder: Path) -> bool:
        """Return whether the files in `folder` are those that were written."""
        return all(
            (folder / name).is_file() and digest(folder / name) == known
            for name, known in self.files.items()
        )


def versions() -> str:
    """Return the versions of Python and of the packages that process voxels."""
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # e.g. a checkout on the path
            found.append(f"{name} ?")
    return ", ".join(found)


def patients(groups: Mapping[str, str]) -> dict[str, int]:
    """Number the groups of cases in the order of case ids, without naming them.

    >>> patients({"c1": "Anna", "c2": "Bert", "c3": "Anna"})
    {'c1': 1, 'c2': 2, 'c3': 1}
    """
    numbers: dict[str, int] = {}
    return {
        case: numbers.setdefault(group, len(numbers) + 1) for case, group in sorted(groups.items())
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a dataset's manifest; empty if there is none."""
    return read_json(folder / FILE)


def records(manifest: Mapping[str, Any]) -> dict[str, Record]:
    """Return a manifest's cases.

    Raises:
        DatasetError: they are not in the form that this version writes.
    """
    cases = manifest.get("cases", {})
    if not isinstance(cases, dict):
        raise DatasetError(damaged(Path(FILE)))
    return {name: record(entry, Path(FILE)) for name, entry in cases.items()}


def record(entry: Any, where: Path) -> Record:
    """Return one case of a manifest."""
    try:
        found = Record(**entry)
        if all(isinstance(part, dict) for part in (found.sources, found.files, found.voxels)):
            return found
    except TypeError:
        pass
    raise DatasetError(damaged(where))


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object that this tool wrote; empty if the file does not exist."""
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(damaged(path)) from error
    if not isinstance(content, dict):
        raise DatasetError(damaged(path))
    return content


def damaged(path: Path) -> str:
    """Return the message for a record file that cannot be understood."""
    return (
        f"{path}: damaged, or written by another version; remove this dataset (and its hidden "
        ".converting folder) and convert again"
    )
