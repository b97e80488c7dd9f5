"""Folds of a raw dataset and those that nnU-Net already uses for it."""

from __future__ import annotations

from pathlib import Path

from dataset_conversion.json_text import parse_json
from nnunet_plugins.errors import UserError


def check_splits(raw: Path, preprocessed: Path) -> None:
    """Raise UserError if two files of folds differ; nothing is compared where one does not exist."""
    # nnU-Net only raises a bare AssertionError.
    if not raw.exists() or not preprocessed.exists():
        return
    ours, theirs = _folds(raw), _folds(preprocessed)
    if ours != theirs[: len(ours)]:
        raise UserError(
            f"{preprocessed}: differs from the dataset's {raw.name} (the cases have changed since, or the folds "
            "come from elsewhere); move it away to plan with the folds of the dataset"
        )


def _folds(path: Path) -> list[dict[str, set[str]]]:
    try:
        folds = parse_json(path.read_text(encoding="utf-8"))
        return [{part: set(cases) for part, cases in fold.items()} for fold in folds]
    except (OSError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: cannot be read as a list of train and val ({error}); remove it"
        ) from error
