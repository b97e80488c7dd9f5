"""The images of a folder, case by case, named as nnU-Net requires."""

from __future__ import annotations

from pathlib import Path

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
        UserError: no images, a missing channel, or a format that is not supported.
    """
    if not is_image(Path(f"a{model.ending}")):
        raise UserError(
            f"{command}: {model.ending} files, which the model reads, are not supported"
        )
    if not folder.is_dir():
        raise UserError(
            f"{command}: {folder}: no such folder; pass a folder of images as for nnUNetv2_predict"
        )
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.endswith(f"_0000{model.ending}") and not path.name.startswith("."):
            case = path.name[: -len(f"_0000{model.ending}")]
            found[case] = find_channels(case, folder, model.ending, model.channels)
    missing = [p.name for paths in found.values() for p in paths if not p.is_file()]
    if missing or not found:
        raise UserError(
            f"{command}: {folder}: {'missing: ' + ', '.join(missing[:5]) if missing else 'no images'}; the model "
            f"needs {model.channels} per case, CASE_0000{model.ending} and so on"
        )
    return found
