"""What a folder of label maps was predicted with, and which cases are done, so that a run can be continued."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest, digest_json
from nnunet_plugins import __version__
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.prediction.model import Model

RECORD = "nnunet_plugins_predict.json"


@dataclass(frozen=True)
class Record:
    """Of one folder of label maps.

    Attributes:
        folder: of the label maps.
        options: what decides the label maps; without paths.
        done: cases that were predicted with these options -> the digest of their images.
    """

    folder: Path
    options: Mapping[str, Any]
    done: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def continued(cls, folder: Path, options: Mapping[str, Any]) -> Record:
        """The record of a folder to which label maps are added; label maps that it does not list are not done.

        Raises:
            UserError: the folder was begun with other options.
        """
        if not (folder / RECORD).is_file():
            return cls(folder, options)
        content = read_object(folder / RECORD)
        before = content.get("options")
        known = json.loads(json.dumps(options))
        if before != known:
            old = before if isinstance(before, dict) else {}
            shown = ", ".join(
                f"{key} {old.get(key)!s:.40}, now {known[key]!s:.40}"
                for key in known
                if old.get(key) != known[key]
            )
            raise UserError(
                f"{folder}: was begun with other options ({shown or 'of an earlier version'}); use the same, or "
                "choose another folder with -o"
            )
        done = content.get("done")
        return cls(folder, options, done if isinstance(done, dict) else {})

    def complete(self, case: str, images: Iterable[Path], files: Iterable[str]) -> bool:
        """Whether a case was predicted with these options from these very images, and has all its files."""
        if case not in self.done or not all((self.folder / name).is_file() for name in files):
            return False
        found = _digest(images)
        return found is not None and self.done[case] == found

    def with_case(self, case: str, images: Iterable[Path]) -> Record:
        """The record with one more case that is done."""
        return Record(self.folder, self.options, {**self.done, case: _digest(images)})

    def write(self) -> None:
        """Write the record into its folder.

        Raises:
            UserError: the folder cannot be written to.
        """
        content = {
            "format": "nnunet-plugins predict",
            "computed_with": {"nnunet-plugins": __version__},
            "options": self.options,
            "done": dict(sorted(self.done.items())),
        }
        with placed(self.folder / RECORD) as path:
            path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _digest(images: Iterable[Path]) -> str | None:
    """Of the contents of files in their order: swapped channels are other images; None if one cannot be read."""
    try:
        return digest_json([digest(path) for path in images])[:16]
    except DatasetError:
        return None


def weights_of(model: Model) -> dict[str, Any]:
    """The name of a model's folder, and the digests of its plans and checkpoints: a new training has others."""
    files = {fold: model.folder / f"fold_{fold}" / model.checkpoint for fold in model.folds}
    return {
        "model": model.folder.absolute().name,
        "plans": digest(model.folder / "plans.json")[:16],
        "checkpoint": model.checkpoint,
        "folds": {fold: digest(path)[:16] for fold, path in files.items()},
    }
