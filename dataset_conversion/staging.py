"""Where a dataset grows unseen: a hidden folder beside the target, and the swap at the end.

nnU-Net looks for folders whose names start with `Dataset`, so it never sees the hidden ones.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dataset_conversion.case import Case
from dataset_conversion.errors import DatasetError
from dataset_conversion.files import digest, link, to_json, write_text

MANIFEST, DATASET, SPLITS = "conversion.json", "dataset.json", "splits_final.json"
FOLDERS = ("imagesTr", "labelsTr", "imagesTs")
_RECORDS, _SCRATCH = "records", "scratch"


@dataclass
class Record:
    """What is remembered of a converted case; holds no names."""

    source: str
    settings: str
    files: dict[str, str]
    voxels: dict[str, int]
    notes: list[str] = field(default_factory=list)

    def fits(self, source: str, settings: str, folder: Path) -> bool:
        """Say whether this conversion still stands, files and all."""
        return (self.source, self.settings) == (source, settings) and self.whole(folder)

    def whole(self, folder: Path) -> bool:
        """Say whether the files in `folder` are the ones that were written."""
        return all(
            (folder / name).is_file() and digest(folder / name) == known
            for name, known in self.files.items()
        )


@dataclass(frozen=True)
class Staging:
    """The folders of one dataset: `target`, and hidden beside it `staged` and `previous`."""

    raw_root: Path
    dataset: str

    @property
    def target(self) -> Path:
        """The finished dataset."""
        return self.raw_root / self.dataset

    @property
    def staged(self) -> Path:
        """The dataset that grows."""
        return self.raw_root / f".{self.dataset}.converting"

    @property
    def previous(self) -> Path:
        """The old dataset for the moment of the swap."""
        return self.raw_root / f".{self.dataset}.previous"

    @property
    def scratch(self) -> Path:
        """Unfinished files."""
        return self.staged / _SCRATCH

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second conversion of this dataset out, on this machine; the lock goes with the process.

        It lies among the machine's temporary files: beside the dataset it would stay for good.

        Raises:
            DatasetError: another one is running.
        """
        whose = hashlib.sha256(str(self.target.resolve()).encode()).hexdigest()[:16]
        lock = FileLock(Path(tempfile.gettempdir()) / f"nnunet-plugins-{whose}.lock", mode=0o666)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise DatasetError(
                f"{self.target}: another conversion of this dataset is running; wait for its end"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def recover(self) -> None:
        """Finish or take back a swap that was cut off between its two renames."""
        if not self.previous.exists():
            return
        if not self.target.exists():
            complete = (self.staged / MANIFEST).exists()
            (self.staged if complete else self.previous).rename(self.target)
        shutil.rmtree(self.previous, ignore_errors=True)

    def check_target(self) -> None:
        """Stop where the target, or its id, belongs to something else."""
        prefix = self.dataset.split("_")[0]
        for other in sorted(self.raw_root.glob(f"{prefix}*")) if self.raw_root.is_dir() else []:
            if other.name != self.dataset:
                raise DatasetError(
                    f"{other}: this folder has the dataset id {prefix[7:]} already (nnU-Net looks "
                    "for it by its first letters); choose another id, or remove it"
                )
        if self.target.exists() and not (self.target / MANIFEST).is_file():
            raise DatasetError(
                f"{self.target}: exists and was not made by this tool (no {MANIFEST}); choose "
                "another id or name, or move the folder away"
            )

    def manifest(self) -> dict[str, Any]:
        """Return the finished dataset's manifest; empty where there is none."""
        return _json(self.target / MANIFEST)

    def check_strays(self, known: dict[str, Record]) -> None:
        """Stop at files in the finished dataset that this tool did not put there."""
        ours = {name for record in known.values() for name in record.files}
        strays = [
            f"{folder}/{path.name}"
            for folder in FOLDERS
            for path in sorted((self.target / folder).glob("*"))
            if not path.name.startswith(".") and f"{folder}/{path.name}" not in ours
        ]
        if strays:
            raise DatasetError(
                f"{self.target}: holds files that belong to no case: {', '.join(strays[:5])}"
                f"{' ...' if len(strays) > 5 else ''}; move them away (new patients belong into "
                "the source)"
            )

    def open(self) -> dict[str, Record]:
        """Make the hidden folder, or find it again; return the cases that are finished in it."""
        finished = _json(self.staged / MANIFEST)
        for folder in (_RECORDS, _SCRATCH):
            (self.staged / folder).mkdir(parents=True, exist_ok=True)
        for name, record in records(finished).items():
            self.remember(name, record)
        (self.staged / MANIFEST).unlink(missing_ok=True)  # no longer complete
        found = {}
        for path in sorted((self.staged / _RECORDS).glob("*.json")):
            found[path.stem] = _record(_json(path), path)
        return found

    def discard(self) -> None:
        """Remove what an earlier run began and no one needs any more."""
        shutil.rmtree(self.staged, ignore_errors=True)

    def remember(self, name: str, record: Record) -> None:
        """Write down that a case is finished."""
        write_text(self.staged / _RECORDS / f"{name}.json", to_json(vars(record)), self.scratch)

    def adopt(self, name: str, record: Record) -> None:
        """Take an unchanged case over from the finished dataset."""
        for file in record.files:
            link(self.target / file, self.staged / file)
        self.remember(name, record)

    def sweep(self, keep: dict[str, Record]) -> None:
        """Remove what belongs to no case, such as files of an earlier, interrupted run."""
        ours = {name for record in keep.values() for name in record.files}
        for folder in FOLDERS:
            for path in (self.staged / folder).glob("*"):
                if f"{folder}/{path.name}" not in ours:
                    path.unlink()
            if (self.staged / folder).is_dir() and not any((self.staged / folder).iterdir()):
                (self.staged / folder).rmdir()

    def finish(self, manifest: str) -> None:
        """Write the manifest, last of all, and swap the folders."""
        write_text(self.staged / MANIFEST, manifest, self.scratch)
        shutil.rmtree(self.staged / _RECORDS)
        shutil.rmtree(self.scratch)
        if self.target.exists():
            self.target.rename(self.previous)
        self.staged.rename(self.target)
        shutil.rmtree(self.previous, ignore_errors=True)


def records(manifest: dict[str, Any]) -> dict[str, Record]:
    """Return a manifest's cases.

    Raises:
        DatasetError: they are not what this version writes.
    """
    cases = manifest.get("cases", {})
    if not isinstance(cases, dict):
        raise DatasetError(_damaged(Path(MANIFEST)))
    return {name: _record(entry, Path(MANIFEST)) for name, entry in cases.items()}


def _record(entry: Any, where: Path) -> Record:
    try:
        return Record(**entry)
    except TypeError as error:
        raise DatasetError(_damaged(where)) from error


def _damaged(path: Path) -> str:
    return (
        f"{path}: damaged, or written by another version; remove this dataset (and its hidden "
        ".converting folder) and convert again"
    )


def fate(cases: Sequence[Case], old: Mapping[str, Record], kept: Mapping[str, Record],
          place: Staging, settings: str) -> list[str]:  # fmt: skip
    """Say what becomes of the cases of an earlier conversion."""
    now = {case.name: case for case in cases}
    gone = sorted(set(old) - set(now))
    notes = [f"removed, no longer in the source: {', '.join(gone)}"] if gone else []
    for name in sorted(set(old) & set(now) - set(kept)):
        same = (old[name].source, old[name].settings) == (now[name].digest, settings)
        if same and not old[name].whole(place.target):
            notes.append(f"{name}: its files were changed after the conversion; converted again")
    return notes


def dataset_folder(dataset_id: int, name: str) -> str:
    """Return nnU-Net's folder name; checks the id (1 to 999) and the name (letters, digits)."""
    if not 1 <= dataset_id <= 999:
        raise DatasetError(f"dataset id {dataset_id} is not allowed; choose one from 1 to 999")
    if not re.fullmatch(r"[A-Za-z0-9]+", name):
        raise DatasetError(f"dataset name {name!r}: only letters A-Z, a-z and digits are allowed")
    return f"Dataset{dataset_id:03d}_{name}"


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(_damaged(path)) from error
    if not isinstance(content, dict):
        raise DatasetError(_damaged(path))
    return content
