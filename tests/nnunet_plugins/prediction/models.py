"""Model folders with random weights, and nnU-Net's own predictions with them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.prediction import Model, find_model, load
from nnunet_plugins.training.trainers import TRAINERS
from tests.contract import making

IGNORE = making.DATASET | {
    "labels": {"background": 0, "sacrum": 1, "ilium": 2, "ignore": 3},
}
#: Patches of networks that cannot take 8 voxels.
PATCHES = {"UNETR": 16, "TransUNet": 16, "DeepLabV3": 32, "DeepLabV3Plus": 32}
TORCH = {
    "resampling_fn_probabilities": "resample_torch_fornnunet",
    "resampling_fn_probabilities_kwargs": {"is_seg": False, "force_separate_z": False},
}


def make_model(
    folder: Path,
    *,
    network: str = "UNet",
    name: str = "3d_fullres",
    folds: int = 1,
    dataset: dict[str, Any] | None = None,
    mirror: tuple[int, ...] | None = (0, 1),
    transpose: tuple[int, ...] = (0, 1, 2),
    **entry: Any,
) -> Model:
    """A model folder of one of our networks, with weights from a seed per fold."""
    dataset = dataset or making.DATASET
    plans = making.plans(transpose)
    rank = 2 if name == "2d" else 3
    patch = PATCHES.get(network, 8)
    plans["configurations"][name] = making.configuration(rank) | {
        "patch_size": [patch] * rank,
        "architecture": making.architecture(making.OURS.format(network), rank),
        "spacing": [1.1, 0.9, 1.0][-rank:],
        **entry,
    }
    if network in ("UNETR",):
        plans["configurations"][name]["architecture"]["arch_kwargs"]["input_size"] = [patch] * rank
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    heads = manager.get_label_manager(dataset).num_segmentation_heads
    settings = manager.get_configuration(name)
    channels = len(dataset["channel_names"]) + (2 if entry.get("previous_stage") else 0)
    trainer = TRAINERS[f"{network}Trainer"]
    for fold in range(folds):
        torch.manual_seed(zlib.crc32(network.encode()) + fold)
        built = trainer.build_network_architecture(manager, settings, channels, heads, False)
        place = folder / f"fold_{fold}"
        place.mkdir()
        torch.save(
            {
                "trainer_name": trainer.__name__,
                "init_args": {"configuration": name},
                "inference_allowed_mirroring_axes": mirror,
                "network_weights": built.state_dict(),
            },
            place / "checkpoint_final.pth",
        )
    return find_model(folder)


def image(path: Path, shape: Sequence[int] = (9, 10, 11), spacing: Sequence[float] = (0.8, 1.0, 1.3),
          seed: int = 0, *, empty: int = 1) -> Path:  # fmt: skip
    """Noise, with an empty margin that nnU-Net crops; shape and spacing are (z, y, x)."""
    rng = np.random.default_rng(seed)
    array = np.zeros(shape, np.float32)
    array[:, empty:, empty:] = rng.normal(size=(shape[0], *(n - empty for n in shape[1:])))
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(list(spacing[::-1]))
    made.SetOrigin((3.0, -2.0, 5.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(made, str(path))
    return path


def nnunet_predicts(
    model: Model,
    images: Sequence[Path],
    target: Path,
    *,
    previous: Path | None = None,
    predictor: Any = None,
    **more: Any,
) -> np.ndarray:
    """The label map of nnU-Net's own predictor."""
    predictor = predictor or load(model, "cpu", cascade=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if previous is not None:
        more["folder_with_segs_from_prev_stage"] = str(previous)
    predictor.predict_from_files_sequential([[str(p) for p in images]], [str(target)], **more)
    return labels_in(target.with_name(target.name + model.ending))


def labels_in(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def every_network(rank: int) -> list[str]:
    """The networks that support 2D or 3D images."""
    return [name for name, one in NETWORKS.items() if rank in getattr(one, "ranks", (2, 3))]
