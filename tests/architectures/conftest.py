"""Arguments of small networks as in plans, 2D and 3D."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


def arguments(
    rank: int, *, residual: bool = False, isotropic: bool = False, **changes: Any
) -> dict[str, Any]:
    """Arguments as in nnU-Net's plans: three stages; in 3D the first two are in plane, unless isotropic."""
    kernels, strides = [[3] * rank] * 3, [[1] * rank, [2] * rank, [2] * rank]
    if rank == 3 and not isotropic:
        kernels, strides = [[1, 3, 3], *kernels[1:]], [[1] * 3, [1, 2, 2], [2] * 3]
    return {
        "input_channels": 2,
        "n_stages": 3,
        "features_per_stage": [8, 16, 32],
        "conv_op": CONV[rank],
        "kernel_sizes": kernels,
        "strides": strides,
        "num_classes": 3,
        "n_conv_per_stage_decoder": [2, 2],
        "conv_bias": True,
        "norm_op": NORM[rank],
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
        "deep_supervision": True,
        ("n_blocks_per_stage" if residual else "n_conv_per_stage"): [2, 2, 2],
        **changes,
    }


@pytest.fixture(params=[2, 3], ids=["2d", "3d"])
def rank(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
