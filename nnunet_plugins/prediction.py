"""nnU-Net's predictor on a trained model folder, with one-line errors for users' mistakes."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from dataset_conversion.raw_format.training_record import orientation_in
from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.environment import register_trainers
from nnunet_plugins.errors import UserError
from nnunet_plugins.model_orientation import read, returned, turned
from nnunet_plugins.natural_images import spacing_file
from nnunet_plugins.other_plugins import broken_file, listed_folders
from nnunet_plugins.planned_network import NotAllowedError, check_all_names
from nnunet_plugins.plans_file import read_object

if TYPE_CHECKING:
    from torch import nn

CHECKPOINT = "checkpoint_final.pth"
#: nnU-Net's readers that keep the order of the voxels; only with these are results on the image's grid.
READERS = ("SimpleITKIO", "NibabelIO", "NaturalImage2DIO", "Tiff3DIO")
#: What nnU-Net and torch raise on a model folder that is damaged or of an unknown trainer.
_LOADING = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    KeyError,
    AttributeError,
    EOFError,
    OSError,
)


@dataclass(frozen=True)
class Model:
    """A trained model folder (TRAINER__PLANS__CONFIGURATION) and the folds to use.

    Attributes:
        folder: holds plans.json, dataset.json and fold_N/.
        folds: names, as strings.
        checkpoint: file in each fold's folder.
        dataset: the content of dataset.json.
    """

    folder: Path
    folds: tuple[str, ...]
    checkpoint: str
    dataset: dict[str, Any]

    @property
    def ending(self) -> str:
        """File ending of the images, e.g. .nii.gz."""
        return str(self.dataset["file_ending"])

    @property
    def channels(self) -> int:
        """Number of images per case."""
        return len(self.dataset["channel_names"])

    @property
    def orientation(self) -> str | None:
        """Orientation of the training images, as our converters record it; None if it is not recorded."""
        return orientation_in(self.dataset, self.folder / "dataset.json")

    @property
    def warning(self) -> str:
        """Security warning to show before the model is loaded."""
        return (
            f"{self.checkpoint} of fold {', '.join(self.folds)} is a Python pickle, which can run code when it is "
            "loaded: only use models from a source you trust"
        )


def find_model(
    folder: Path, folds: Sequence[str] | None = None, checkpoint: str = CHECKPOINT
) -> Model:
    """Check a model folder without loading any weights.

    Args:
        folder: what nnUNetv2_train wrote, e.g. nnUNet_results/Dataset.../TRAINER__PLANS__CONFIGURATION.
        folds: names; None takes all numbered folds that are trained, else fold_all.
        checkpoint: file in each fold's folder.

    Raises:
        UserError: not a model folder, a fold has no such checkpoint, or the plans name a network or layer that is
            not allowed.
    """
    missing = [name for name in ("plans.json", "dataset.json") if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder}: not a trained model ({' and '.join(missing)} missing); give the folder "
            "TRAINER__PLANS__CONFIGURATION in nnUNet_results"
        )
    trained = {p.parent.name.removeprefix("fold_") for p in folder.glob(f"fold_*/{checkpoint}")}
    chosen = list(folds or sorted(trained - {"all"}) or sorted(trained))
    missing = [fold for fold in chosen if fold not in trained]
    if missing or not chosen:
        raise UserError(
            f"{folder}: fold {', '.join(missing) or 'none'} has no {checkpoint}; trained folds: "
            f"{', '.join(sorted(trained)) or 'none'} (choose with -f, or another file with -chk)"
        )
    _check_names(folder / "plans.json")
    dataset = read_object(folder / "dataset.json")
    missing = [key for key in ("labels", "file_ending", "channel_names") if key not in dataset]
    if missing:
        raise UserError(
            f"{folder / 'dataset.json'}: {' and '.join(missing)} missing; copy the model again"
        )
    return Model(folder, tuple(chosen), checkpoint, dataset)


def _check_names(plans: Path) -> None:
    try:
        check_all_names(read_object(plans), str(plans))
    except NotAllowedError as error:
        raise UserError(
            f"{error}. If you trust who made this model, predict with nnUNetv2_predict"
        ) from error


def load(model: Model, device: str, *, mirroring: bool = True) -> Any:
    """Return nnU-Net's predictor with the model's weights. Loads pickles, see `Model.warning`.

    Raises:
        UserError: the device is not available, or nnU-Net cannot build or load the network.
    """
    import torch

    found = find_device(device)
    register_trainers()
    with quiet():
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(
            device=torch.device(found),
            use_mirroring=mirroring,
            perform_everything_on_device=found == "cuda",
            allow_tqdm=False,
        )
        folds = tuple(fold if fold == "all" else int(fold) for fold in model.folds)
        try:
            predictor.initialize_from_trained_model_folder(
                str(model.folder), folds, model.checkpoint
            )
        except (Exception, SystemExit) as error:
            broken = broken_file(error)
            if broken and not _while_importing(error):
                raise UserError(
                    f"{model.folder}: nnU-Net cannot load this model: an error in the code of its trainer, which "
                    f"another project provides: {broken}; the checkpoint may be incomplete (copy the model "
                    "again) or of another version of that plugin"
                ) from error
            if broken:
                raise UserError(
                    f"{model.folder}: nnU-Net looks for its trainer in all folders of nnUNet_extTrainer, and a "
                    f"plugin of another project there is broken: {broken}; fix that plugin, or remove its "
                    "folder from nnUNet_extTrainer"
                ) from error
            if not isinstance(error, _LOADING):
                raise
            gone = [str(folder) for folder in listed_folders() if not folder.is_dir()]
            if gone and "nnUNet_extTrainer" in str(error):
                raise UserError(
                    f"{model.folder}: nnU-Net finds no trainer of this name, and nnUNet_extTrainer lists folders "
                    f"that do not exist: {', '.join(gone)}; correct nnUNet_extTrainer"
                ) from error
            raise UserError(
                f"{model.folder}: nnU-Net cannot load this model ({_last_line(error)}); is it complete, and is "
                "its trainer installed here?"
            ) from error
    previous = predictor.configuration_manager.previous_stage_name
    if previous is not None:
        raise UserError(
            f"{model.folder}: a cascade, which needs the predictions of {previous}; pass that model, or predict "
            "with nnUNetv2_predict"
        )
    return predictor


def plain_network(predictor: Any) -> nn.Module:
    """The predictor's network without torch.compile's wrapper and without deep supervision."""
    network: nn.Module = getattr(predictor.network, "_orig_mod", predictor.network)
    network.decoder.deep_supervision = False  # type: ignore[union-attr]
    return network.to(predictor.device).eval()


def predict(predictor: Any, images: Sequence[Path], target: Path) -> Path:
    """Predict one case as it is stored and return the path of the label map; see `predict_on_grid`.

    Args:
        predictor: from `load`.
        images: one file per channel, in the order of dataset.json.
        target: output path without its ending; nnU-Net writes its own JSON files into the same folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        predictor.predict_from_files_sequential([[str(image) for image in images]], [str(target)])
    return target.with_name(target.name + predictor.dataset_json["file_ending"])


def predict_on_grid(predictor: Any, model: Model, images: Sequence[Path], target: Path) -> Path:
    """Predict one case in the model's orientation; the label map is on the first image's grid and appears complete.

    Args:
        predictor: from `load`.
        model: the model folder.
        images: one file per channel, in any orientation.
        target: output path without its ending.

    Raises:
        UserError: an image cannot be read.
    """
    with placed_in(target.parent) as scratch:
        files = turned(images, model.orientation, scratch / "turned")
        found = predict(predictor, files, scratch / "out" / target.name)
        if files != list(images):
            back = returned(sitk.ReadImage(str(found)), read(images[0]))
            sitk.WriteImage(back, str(found))
        for path in filter(None, (found, spacing_file(found))):
            os.replace(path, scratch / path.name)
    return target.with_name(found.name)


def find_device(name: str) -> str:
    """Resolve a device name; auto is cuda or mps if available, else cpu.

    >>> find_device("cpu")
    'cpu'

    Raises:
        UserError: the device is not available.
    """
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    available = ["cpu"] + ["cuda"] * cuda + ["mps"] * mps
    if name == "auto":
        return available[-1]
    if name not in available:
        raise UserError(f"-device {name}: not available; available: {', '.join(available)}")
    return name


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress nnU-Net's prints, and the warning about timm's use of torch.jit."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit", category=FutureWarning)
        yield


def _while_importing(error: BaseException) -> bool:
    """Whether a module could not be imported; otherwise, the code of an imported module was called."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, ImportError | SyntaxError) or any(f.name == "<module>" for f in frames)


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
