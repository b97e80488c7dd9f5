"""nnU-Net's predictor with a model's weights, with one-line errors for users' mistakes."""

from __future__ import annotations

import contextlib
import io
import pickle
import traceback
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nnunet_plugins.environment import register_trainers
from nnunet_plugins.errors import UserError
from nnunet_plugins.other_plugins import broken_file, listed_folders
from nnunet_plugins.prediction.model import Model

if TYPE_CHECKING:
    from torch import nn

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


def load(
    model: Model,
    device: str,
    *,
    mirroring: bool = True,
    step_size: float = 0.5,
    on_device: bool = True,
    cascade: bool = False,
) -> Any:
    """Return nnU-Net's predictor with the model's weights. Loads pickles, see `Model.warning`.

    Args:
        model: the model folder.
        device: auto, cpu, cuda or mps.
        mirroring: average the mirrored images' logits too, if the model was trained for it.
        step_size: between windows, in window lengths, above 0 and up to 1.
        on_device: keep the logits in the memory of a CUDA device.
        cascade: accept a model that needs the predictions of a previous stage.

    Raises:
        UserError: the device is not available, or nnU-Net cannot build or load the network.
    """
    import torch

    found = find_device(device)
    register_trainers()
    with quiet():
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(
            tile_step_size=step_size,
            device=torch.device(found),
            use_mirroring=mirroring,
            perform_everything_on_device=on_device and found == "cuda",
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
    if previous is not None and not cascade:
        raise UserError(
            f"{model.folder}: a cascade, which needs the predictions of {previous}; pass that model, or, to "
            "nnunet-plugins predict, its predictions with -prev_stage_predictions"
        )
    return predictor


def plain_network(predictor: Any) -> nn.Module:
    """The predictor's network without torch.compile's wrapper and without deep supervision."""
    network: nn.Module = getattr(predictor.network, "_orig_mod", predictor.network)
    network.decoder.deep_supervision = False  # type: ignore[union-attr]
    return network.to(predictor.device).eval()


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
