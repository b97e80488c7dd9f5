"""The images of a folder, case by case, named as nnU-Net requires."""

from __future__ import annotations

import re
from pathlib import Path

from dataset_conversion.datasets.file_kinds import kind_of
from dataset_conversion.datasets.source_files import is_leftover
from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import find_channels, is_image
from nnunet_plugins.prediction.model import Model


def find_inputs(folder: Path, model: Model, command: str = "robustness") -> dict[str, list[Path]]:
    """Case -> its images, one per channel, named as nnU-Net requires (CASE_0000.nii.gz).

    Args:
        folder: of the images.
        model: the model folder.
        command: for messages.

    Raises:
        UserError: no images, a missing channel, a format that is not supported, or images that would be
            passed over: with other names, endings or formats, DICOM, or in subfolders.
        DatasetError: a file cannot be read.
    """
    if not is_image(Path(f"a{model.ending}")):
        raise UserError(
            f"{command}: {model.ending} files, which the model reads, are not supported"
        )
    if not folder.is_dir():
        raise UserError(
            f"{command}: {folder}: no such folder; pass a folder of images as for nnUNetv2_predict"
        )
    named = re.compile(rf"(.+)_(\d{{4}}){re.escape(model.ending)}")
    numbers: dict[str, set[int]] = {}
    odd, depth = [], len(folder.parts)
    for path in sorted(folder.iterdir()):
        match = named.fullmatch(path.name)
        if is_leftover(path.name):
            continue
        if path.is_dir():
            inside = [
                one for one in path.rglob("*") if not any(map(is_leftover, one.parts[depth:]))
            ]
            # Files without the number of a channel are label maps.
            if any(named.fullmatch(one.name) or _is(one, "dicom") for one in inside):
                odd.append(f"{path.name}/ (images)")
        elif match:
            numbers.setdefault(match[1], set()).add(int(match[2]))
        elif is_image(path) or _is(path, "dicom", "unread"):
            odd.append(path.name)
    if odd:
        raise UserError(
            f"{command}: {folder}: {', '.join(odd[:5])}: not named as nnU-Net requires, CASE_0000{model.ending} "
            "in the folder itself; rename or convert these images, or move them away"
        )
    found = {case: find_channels(case, folder, model.ending, model.channels) for case in numbers}
    missing = [
        p.name for paths in found.values() for p in paths if not (p.is_file() or p.is_symlink())
    ]
    if missing or not found:
        raise UserError(
            f"{command}: {folder}: {'missing: ' + ', '.join(missing[:5]) if missing else 'no images'}; the model "
            f"needs {model.channels} per case, CASE_0000{model.ending} and so on"
        )
    surplus = [case for case, own in numbers.items() if max(own) >= model.channels]
    if surplus:
        raise UserError(
            f"{command}: {folder}: {', '.join(surplus[:5])}: more channels than the {model.channels} of the model "
            f"({', '.join(map(str, model.dataset['channel_names'].values()))}); move the other files away"
        )
    return found


def _is(path: Path, *kinds: str) -> bool:
    """Whether a file is of one of the kinds of `kind_of`."""
    return path.is_file() and kind_of(path) in kinds
