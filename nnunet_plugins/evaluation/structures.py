"""Predictions with a folder per case and a file per structure, as TotalSegmentator writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import (
    VOLUMES,
    LabelMap,
    difference,
    listed,
    read,
    without_ending,
)
from nnunet_plugins.evaluation.numberings import SOURCES, key, read_numbering

_WITHIN = "segmentations"  # subfolder in TotalSegmentator's own dataset


def structure_folders(prediction: Path, reference: Path) -> dict[str, Path]:
    """Case -> folder of its structures' files; empty if the predictions are label maps.

    Args:
        prediction: folder of one folder per case, or the folder of one case if there is one reference.
        reference: folder or file of the references.
    """
    if not prediction.is_dir():
        return {}
    own = structures_in(prediction)
    case = without_ending(reference.name)
    if reference.is_file() and case not in own and _known(own):
        return {case: prediction}
    if own:
        return {}
    folders = [one for one in sorted(prediction.iterdir()) if not one.name.startswith(".")]
    return {one.name: one for one in folders if one.is_dir() and structures_in(one)}


def structures_in(folder: Path) -> dict[str, Path]:
    """Structure -> its file in the folder of a case."""
    files = [*folder.iterdir(), *(folder / _WITHIN).glob("*")]
    found = {without_ending(one.name): one for one in sorted(files) if one.is_file()}
    volumes = {name: one for name, one in found.items() if one.name.lower().endswith(VOLUMES)}
    return {name: one for name, one in volumes.items() if not one.name.startswith(".")}


def number_structures(folders: Sequence[Path]) -> dict[int, str]:
    """Numbers from 1 of the structures of all cases."""
    names = {name for folder in folders for name in structures_in(folder)}
    return dict(enumerate(sorted(names), 1))


def gaps(folders: Sequence[Path], structures: Iterable[str]) -> list[str]:
    """A note on structures that only some of the cases have."""
    held = [structures_in(folder) for folder in folders]
    missing = sorted(name for name in structures if not all(name in one for one in held))
    if not missing:
        return []
    return [f"some cases have no file of {listed(missing)}, which counts as not predicted there"]


def read_structures(folder: Path, values: Mapping[str, int]) -> LabelMap:
    """Read the files of a case as one label map.

    Args:
        folder: of the case.
        values: structure -> value in the label map; other structures are left out.

    Raises:
        UserError: no file, a file is not a mask on the grid of the others, or two structures share voxels.
    """
    files = structures_in(folder)
    found: LabelMap | None = None
    for name in sorted(files.keys() & values.keys()):
        one = read(files[name])
        inside = one.voxels != 0
        if found is None:
            kind = np.min_scalar_type(max(values.values()))
            found = replace(one, path=folder, voxels=np.zeros(one.voxels.shape, kind))
        if np.unique(one.voxels[inside]).size > 1:
            raise UserError(
                f"{one.path}: holds several values; a file of one structure has one value besides 0"
            )
        if apart := difference(one.geometry, found.geometry):
            raise UserError(f"{one.path}: another {apart[0]} than the other files of {folder}")
        taken = found.voxels[inside]
        if other := set(taken[taken != 0].tolist()) - {values[name]}:
            others = [n for n, value in values.items() if value in other]
            raise UserError(
                f"{one.path}: shares voxels with {listed(others)}, and each belongs to one label; correct the files, "
                "or leave one out"
            )
        found.voxels[inside] = values[name]
    if found is None:
        raise UserError(f"{folder}: no file of {listed(list(values))}; predict this case again")
    return found


def _known(names: Mapping[str, Path]) -> bool:
    """Whether a name is that of a structure of a known tool."""
    known = {key(name) for tool in SOURCES for name in read_numbering(tool).values()}
    return any(key(name) in known for name in names)
