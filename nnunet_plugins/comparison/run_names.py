"""Names of runs, from NAME=PATH or from what tells their paths apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunet_plugins.evaluation.validation import SUMMARY
from nnunet_plugins.model_folder import model_of_fold

_GENERIC = ("scores", "summary", "validation")


def split_name(text: str) -> tuple[str, Path]:
    """Name and path of a run; the name is '' if the text is a path alone.

    >>> split_name("ours=scores.json")[0]
    'ours'
    """
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name.strip(), Path(path)
    return "", Path(text)


def short_names(paths: Sequence[Path]) -> list[str]:
    """Names for runs; for model folders and their folds only the parts in which they differ."""
    parts = [_parts(path) for path in paths]
    if len(paths) > 1 and all(parts):
        differing = [i for i in range(4) if len({one[i] for one in parts}) > 1]
        names = [" ".join(filter(None, (one[i] for i in differing))) for one in parts]
        if all(names):
            return names
    return [
        path.absolute().parent.name if path.stem in _GENERIC else path.name.removesuffix(".json")
        for path in paths
    ]


def owner_of(path: Path) -> tuple[Path, str] | None:
    """Model folder and fold of a fold, of its validation, or of nnU-Net's scores of it; None for other paths."""
    return model_of_fold(path.parent if path.name == SUMMARY else path)


def _parts(path: Path) -> list[str]:
    """Trainer, plans, configuration and fold ('' for all) of a model folder or a fold; empty for other paths."""
    owner = owner_of(path)
    folder, fold = (owner[0], f"fold_{owner[1]}") if owner else (path.absolute(), "")
    parts = folder.name.split("__")
    return [*parts, fold] if len(parts) == 3 and folder.is_dir() else []
