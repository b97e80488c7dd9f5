"""conversion.json beside dataset.json: from what, how, and with what every file was made.

It holds digests under case ids and no file name of the source; whoever has the source can prove
which file became which case, nobody else.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dataset_conversion.cases.case import Case
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest

FILE = "conversion.json"
FORMAT = 2  # of the manifest and of what is written for a case; a change converts anew
_PACKAGES = ("nnunet-plugins", "numpy", "SimpleITK", "nibabel", "pydicom")


@dataclass
class Record:
    """What is remembered of a converted case; holds no names.

    Attributes:
        sources: role -> SHA-256 of the source's bytes.
        settings: SHA-256 of the dataset's settings.
        files: path in the dataset -> SHA-256.
        voxels: nnU-Net's label value -> voxels.
        grid: the source's size, spacing (mm) and orientation.
        made_with: package versions.
        notes: what the user was told.
    """

    sources: dict[str, str]
    settings: str
    files: dict[str, str]
    voxels: dict[str, int]
    grid: dict[str, Any]
    made_with: str
    notes: list[str] = field(default_factory=list)

    def fits(self, case: Case, settings: str, names: Sequence[str], folder: Path) -> bool:
        """Say whether this conversion still stands, files and all."""
        return self.told(case, settings, names) and self.whole(folder)

    def told(self, case: Case, settings: str, names: Sequence[str]) -> bool:
        """Say whether source, settings and the files' places are still the same."""
        same = (self.sources, self.settings) == (dict(case.sources), settings)
        return same and set(self.files) == set(names)

    def whole(self, folder: Path) -> bool:
        """Say whether the files in `folder` are the ones that were written."""
        return all(
            (folder / name).is_file() and digest(folder / name) == known
            for name, known in self.files.items()
        )


def versions() -> str:
    """Return what converts: Python and the packages whose code touches voxels."""
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # a checkout on the path, say
            found.append(f"{name} ?")
    return ", ".join(found)


def patients(groups: Mapping[str, str]) -> dict[str, int]:
    """Number the groups of cases in the cases' order: who belongs together, and no more."""
    numbers: dict[str, int] = {}
    return {
        case: numbers.setdefault(group, len(numbers) + 1) for case, group in sorted(groups.items())
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a dataset's manifest; empty where there is none."""
    return read_json(folder / FILE)


def records(manifest: Mapping[str, Any]) -> dict[str, Record]:
    """Return a manifest's cases.

    Raises:
        DatasetError: they are not what this version writes.
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
    """Return a JSON object that this tool wrote; empty where the file is not there."""
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(damaged(path)) from error
    if not isinstance(content, dict):
        raise DatasetError(damaged(path))
    return content


def damaged(path: Path) -> str:
    """Say what to do about a file of ours that cannot be understood."""
    return (
        f"{path}: damaged, or written by another version; remove this dataset (and its hidden "
        ".converting folder) and convert again"
    )
