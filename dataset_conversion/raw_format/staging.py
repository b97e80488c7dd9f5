"""A hidden folder next to the target in which a dataset is built, and the swap at the end.

nnU-Net looks for folders with names that start with `Dataset`, so it never sees the hidden ones.
"""

from __future__ import annotations

import re
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import flush_folder, link, to_json, write_text
from dataset_conversion.raw_format.dataset_lock import locked
from dataset_conversion.raw_format.manifest import FILE as MANIFEST
from dataset_conversion.raw_format.manifest import Record, read_json, read_manifest, record, records

DATASET, SPLITS = "dataset.json", "splits_final.json"
FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
_OURS = FOLDERS[:3]  # the fourth may hold a user's own masks of test cases
_RECORDS, _SCRATCH = "records", "scratch"


@dataclass(frozen=True)
class Staging:
    """The folders of one dataset: `target`, and the hidden `staged` and `previous` next to it."""

    raw_root: Path
    dataset: str

    @property
    def target(self) -> Path:
        """The finished dataset."""
        return self.raw_root / self.dataset

    @property
    def staged(self) -> Path:
        """The dataset under construction."""
        return self.raw_root / f".{self.dataset}.converting"

    @property
    def previous(self) -> Path:
        """The old dataset during the swap."""
        return self.raw_root / f".{self.dataset}.previous"

    @property
    def scratch(self) -> Path:
        """Unfinished files."""
        return self.staged / _SCRATCH

    def alone(self) -> AbstractContextManager[None]:
        """Prevent a second conversion of this dataset; see `locked`."""
        return locked(self.target)

    def recover(self) -> None:
        """Finish or undo a swap that was interrupted between its two renames."""
        if not self.previous.exists():
            return
        if not self.target.exists():
            complete = (self.staged / MANIFEST).exists()
            (self.staged if complete else self.previous).rename(self.target)
        shutil.rmtree(self.previous, ignore_errors=True)

    def check_target(self) -> None:
        """Raise if the target, or its id, belongs to something else."""
        prefix = self.dataset.split("_")[0]
        for other in sorted(self.raw_root.glob(f"{prefix}*")) if self.raw_root.is_dir() else []:
            if other.name != self.dataset:
                raise DatasetError(
                    f"{other}: this folder has the dataset id {prefix[7:]} already (nnU-Net finds "
                    "datasets by id); choose another id, or remove it"
                )
        if self.target.exists() and not (self.target / MANIFEST).is_file():
            raise DatasetError(
                f"{self.target}: exists and was not made by this tool (no {MANIFEST}); choose "
                "another id or name, or move the folder away"
            )

    def manifest(self) -> dict[str, Any]:
        """Return the finished dataset's manifest; empty if there is none."""
        return read_manifest(self.target)

    def check_strays(self, known: dict[str, Record]) -> None:
        """Raise if the finished dataset contains files that this tool did not write."""
        ours = {name for entry in known.values() for name in entry.files}
        strays = [
            f"{folder}/{path.name}"
            for folder in _OURS
            for path in sorted((self.target / folder).glob("*"))
            if not path.name.startswith(".") and f"{folder}/{path.name}" not in ours
        ]
        if strays:
            raise DatasetError(
                f"{self.target}: holds files that belong to no case: {', '.join(strays[:5])}"
                f"{' ...' if len(strays) > 5 else ''}; move them away (new patients belong in "
                "the source)"
            )

    def open(self) -> dict[str, Record]:
        """Create the hidden folder, or reuse it; return the cases that are finished in it."""
        finished = read_manifest(self.staged)
        for folder in (_RECORDS, _SCRATCH):
            (self.staged / folder).mkdir(parents=True, exist_ok=True)
        for name, entry in records(finished).items():
            self.remember(name, entry)
        (self.staged / MANIFEST).unlink(missing_ok=True)  # no longer complete
        found = {}
        for path in sorted((self.staged / _RECORDS).glob("*.json")):
            found[path.stem] = record(read_json(path), path)
        return found

    def discard(self) -> None:
        """Remove the leftovers of an earlier run."""
        shutil.rmtree(self.staged, ignore_errors=True)

    def remember(self, name: str, entry: Record) -> None:
        """Record that a case is finished."""
        write_text(self.staged / _RECORDS / f"{name}.json", to_json(vars(entry)), self.scratch)

    def adopt(self, name: str, entry: Record) -> None:
        """Link an unchanged case from the finished dataset."""
        for file in entry.files:
            link(self.target / file, self.staged / file)
        self.remember(name, entry)

    def carry_over(self, known: dict[str, Record], shared: tuple[str, ...]) -> None:
        """Keep a user's own files of the finished dataset, e.g. a README or masks in labelsTs.

        `shared` are files of the dataset itself that this tool writes.
        """
        ours = {name for entry in known.values() for name in entry.files}
        for path in sorted(self.target.rglob("*")) if self.target.exists() else []:
            inside = path.relative_to(self.target)
            if not path.is_file() or inside.parts[0] in (*_OURS, *shared, MANIFEST):
                continue
            if inside.as_posix() not in ours and not (self.staged / inside).exists():
                link(path, self.staged / inside)

    def sweep(self, keep: dict[str, Record]) -> None:
        """Remove files of no case, e.g. of an earlier, interrupted run."""
        ours = {name for entry in keep.values() for name in entry.files}
        for folder in FOLDERS:
            for path in (self.staged / folder).glob("*"):
                if path.is_dir():
                    shutil.rmtree(path)  # a user's, carried over by an interrupted run
                elif f"{folder}/{path.name}" not in ours:
                    path.unlink()
            if (self.staged / folder).is_dir() and not any((self.staged / folder).iterdir()):
                (self.staged / folder).rmdir()

    def finish(self, manifest: str) -> None:
        """Write the manifest last and swap the folders."""
        write_text(self.staged / MANIFEST, manifest, self.scratch)
        for folder in (self.staged, *(self.staged / name for name in FOLDERS)):
            flush_folder(folder)  # names are on the disk before the old dataset is removed
        shutil.rmtree(self.staged / _RECORDS)
        shutil.rmtree(self.scratch)
        if self.target.exists():
            self.target.rename(self.previous)
        self.staged.rename(self.target)
        shutil.rmtree(self.previous, ignore_errors=True)


def dataset_folder(dataset_id: int, name: str) -> str:
    """Return nnU-Net's folder name.

    Raises:
        DatasetError: the id is not in 1 to 999, or the name has more than letters and digits.

    >>> dataset_folder(7, "Spine")
    'Dataset007_Spine'
    """
    if not 1 <= dataset_id <= 999:
        raise DatasetError(f"dataset id {dataset_id} is not allowed; choose one from 1 to 999")
    if not re.fullmatch(r"[A-Za-z0-9]+", name):
        raise DatasetError(f"dataset name {name!r}: only letters A-Z, a-z and digits are allowed")
    return f"Dataset{dataset_id:03d}_{name}"
