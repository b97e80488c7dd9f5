"""Names of runs, from NAME=PATH or from what tells their paths apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunet_plugins.evaluation.validation import CROSS_VALIDATION, SUMMARY
from nnunet_plugins.model_folder import is_model, model_of_fold

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


def owner_of(path: Path) -> tuple[Path, list[str]] | None:
    """Model folder and folds of a fold, its validation, a cross-validation, or nnU-Net's scores of them, or None."""
    folder = (path.parent if path.name == SUMMARY else path).resolve()
    if folder.name.startswith(CROSS_VALIDATION) and is_model(folder.parent):
        return folder.parent, folder.name.removeprefix(CROSS_VALIDATION).strip("_").split("_")
    found = model_of_fold(folder)
    return (found[0], [found[1]]) if found else None


def _parts(path: Path) -> list[str]:
    """Trainer, plans, configuration and fold ('' for all) of a model folder or a fold; empty for other paths."""
    owner = owner_of(path)
    folder, folds = owner or (path.absolute(), [])
    parts = folder.name.split("__")
    shown = f"fold{'s' * (len(folds) > 1)}_{'_'.join(folds)}" if folds else ""
    return [*parts, shown] if len(parts) == 3 and folder.is_dir() else []
