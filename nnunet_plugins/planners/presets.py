"""Named starting points for plans. Options on the command line override presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Settings of plan and procedure.

    Attributes:
        gpu_memory: memory target in GB, in nnU-Net's units (8 is 128^3 voxels at 32 features, batch 2).
        base_features: channels of the first stage.
        residual: plan nnU-Net's residual encoder instead of the plain one.
        training: entries of the ``training`` procedure.
        note: printed after planning.
    """

    gpu_memory: float
    base_features: int
    residual: bool = False
    training: dict[str, Any] = field(default_factory=dict)
    note: str = ""


PRESETS: dict[str, Preset] = {
    "cpu": Preset(
        gpu_memory=0.25,
        base_features=8,
        training={
            "epochs": 8,
            "iterations_per_epoch": 50,
            "validation_iterations_per_epoch": 1,
            "optimizer": "Adam",
            "initial_lr": 1e-2,
            "weight_decay": 0.0,
            "oversample_foreground": 0.67,
            "augmentation": "none",
        },
        note=(
            "preset cpu: 8 features, a patch of about 64^3, no augmentation, few and short epochs unless set "
            "otherwise. It is for trials without a GPU, not for results."
        ),
    ),
    # nnU-Net's own presets with residual encoders.
    "M": Preset(gpu_memory=8, base_features=32, residual=True),
    "L": Preset(gpu_memory=24, base_features=32, residual=True),
    "XL": Preset(gpu_memory=40, base_features=32, residual=True),
}
