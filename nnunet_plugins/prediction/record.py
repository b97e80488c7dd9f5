"""What a folder of label maps was predicted with, and which cases are done, so that a run can be continued."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest, digest_json, text_of
from nnunet_plugins import __version__
from nnunet_plugins.atomic_files import placed_in, write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.folder_lock import folder_alone
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.predicted_files import RECORD
from nnunet_plugins.prediction.model import Model


@dataclass(frozen=True)
class Record:
    """Of one folder of label maps.

    Attributes:
        folder: of the label maps.
        options: what decides the label maps; without paths.
        done: cases that were predicted with these options -> the digest of their images.
        files: cases -> names of their files, the label map last, also of runs with other options.
        before: text of the record that was there; None without one.
    """

    folder: Path
    options: Mapping[str, Any]
    done: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: str | None = None

    @classmethod
    def begun(cls, folder: Path, options: Mapping[str, Any], *, resume: bool) -> Record:
        """The record of a folder to which label maps are added.

        Args:
            folder: of the label maps.
            options: of this run.
            resume: whether cases that the folder's record lists are done; without it, none is.

        Raises:
            UserError: the folder is to be continued, and was begun with other options.
        """
        file = folder / RECORD
        text = text_of(file)
        try:
            content = {} if text is None else read_object(file)
        except UserError:
            if resume:
                raise
            content = {}
        if resume and text is not None:
            _check_equal(folder, content.get("options"), json.loads(json.dumps(options)))
        done, files = (
            one if isinstance(one, dict) else {} for one in map(content.get, ("done", "files"))
        )
        return cls(folder, options, done if resume else {}, files, text)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Write the record, and be the only run that writes to the folder during the block.

        Raises:
            UserError: another run writes to it, or has done so since the record was read; it cannot be written to.
        """
        with placed_in(self.folder):  # it exists and can be written to
            pass
        with folder_alone(self.folder, "prediction"):
            if text_of(self.folder / RECORD) != self.before:
                raise UserError(
                    f"{self.folder}: another prediction has written to this folder meanwhile; run the command again"
                )
            self._write()
            yield

    def complete(self, case: str, images: Iterable[Path], files: Sequence[str]) -> bool:
        """Whether a case was predicted with these options from these very images, and has all of these files."""
        if case not in self.done or not set(files) <= set(self.files.get(case, ())):
            return False
        if not all((self.folder / name).is_file() for name in files):
            return False
        found = _digest(images)
        return found is not None and self.done[case] == found

    def finished(self, case: str, images: Iterable[Path], files: Sequence[str]) -> Record:
        """Remove what earlier runs left of a case, and write and return the record with it."""
        others = {name for one, names in self.files.items() if one != case for name in names}
        for name in {*self.files.get(case, ())} - {*files} - others:
            (self.folder / name).unlink(missing_ok=True)
        found = replace(
            self,
            done={**self.done, case: _digest(images)},
            files={**self.files, case: [*files]},
        )
        found._write()
        return found

    def _write(self) -> None:
        write_json(
            self.folder / RECORD,
            {
                "format": "nnunet-plugins predict",
                "computed_with": {"nnunet-plugins": __version__},
                "options": self.options,
                "done": dict(sorted(self.done.items())),
                "files": dict(sorted(self.files.items())),
            },
        )


def _check_equal(folder: Path, before: Any, now: Mapping[str, Any]) -> None:
    if before == now:
        return
    old = before if isinstance(before, dict) else {}
    pairs = {
        key: (_short(old.get(key)), _short(now[key])) for key in now if old.get(key) != now[key]
    }
    shown = ", ".join(
        f"other {key}" if was == new else f"{key} {was}, now {new}"
        for key, (was, new) in pairs.items()
    )
    raise UserError(
        f"{folder}: was begun with other options ({shown or 'of an earlier version'}); use the same, or "
        "choose another folder with -o"
    )


def _short(value: Any) -> str:
    """A value in a message; of folds and models, their names without the digests."""
    if isinstance(value, dict):
        return str(value.get("model", " ".join(value)))
    return " + ".join(map(_short, value)) if isinstance(value, list) else str(value)[:40]


def _digest(images: Iterable[Path]) -> str | None:
    """Of the contents of files in their order: swapped channels are other images; None if one cannot be read."""
    try:
        return digest_json([digest(path) for path in images])[:16]
    except DatasetError:
        return None


def weights_of(model: Model) -> dict[str, Any]:
    """The name of a model's folder, and the digests of its files: a new training has others."""
    files = {fold: model.folder / f"fold_{fold}" / model.checkpoint for fold in model.folds}
    return {
        "model": model.folder.absolute().name,
        "plans": digest(model.folder / "plans.json")[:16],
        "dataset": digest(model.folder / "dataset.json")[:16],
        "checkpoint": model.checkpoint,
        "folds": {fold: digest(path)[:16] for fold, path in files.items()},
    }
