"""Names of runs, from NAME=PATH or from what tells their paths apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.validation import CROSS_VALIDATION, SUMMARY
from nnunet_plugins.model_facts import without_seed
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


def row_names(
    arguments: Sequence[str],
    given: Sequence[str],
    shorts: Sequence[str],
    trainings: Sequence[tuple[str, int | None]],
) -> list[str]:
    """Names of runs; trainings that differ only in their seed get one name, unless they are given names.

    Args:
        arguments: of the command line, for messages.
        given: names from NAME=PATH, or ''.
        shorts: other names, from `short_names`.
        trainings: digest of everything but the seed, '' if it is not known, and the seed.

    Raises:
        UserError: two runs would have the same name although they were not both given it.

    >>> row_names(["A_seed1", "A_seed2", "B"], [""] * 3, ["A_seed1", "A_seed2", "B"], [("x", 1), ("x", 2), ("y", 1)])
    ['A', 'A', 'B']
    """
    seeds: dict[str, list[int | None]] = {}
    for recipe, seed in trainings:
        seeds.setdefault(recipe, []).append(seed)
    repeated = {
        recipe
        for recipe, found in seeds.items()
        if recipe and None not in found and len(set(found)) == len(found) > 1
    }
    names: list[str] = []
    owners: dict[str, tuple[object, str]] = {}
    for place, (recipe, seed) in enumerate(trainings):
        own, in_row = given[place], recipe in repeated and not given[place]
        name = own or (without_seed(shorts[place], seed) if in_row else shorts[place])
        owner = recipe if in_row else "given" if own else place
        first = owners.setdefault(name, (owner, arguments[place]))
        if first[0] != owner:
            raise UserError(
                f"compare: {first[1]} and {arguments[place]} would both be called {name!r}; pass NAME=RUN for one of "
                "them, or with one name for each if they differ only in the seed"
            )
        names.append(name)
    return names


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
