"""How many bytes a memory target allows: what nnU-Net's own U-Net takes where nnU-Net says that it fits.

nnU-Net calls 560e6 elements of feature maps a sample (3D, batch 2) and 85e6 (2D, batch 12) right for 8 GB. The
bytes that its U-Net takes there, counted as for every other network, are the budget for 8 GB. What lies between
them and 8 GB is for what is not counted: cuDNN's workspaces, the CUDA context, gaps of the allocator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)

from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.measured import measure_peak
from nnunet_plugins.costs.training_step import Setup

#: GB that the two references stand for.
REFERENCE_GB = 8.0
#: Rank -> patch, batch, elements of feature maps a sample (nnU-Net 2.8's UNet_reference_val_*).
_REFERENCES = {3: ((128, 128, 128), 2, 560e6), 2: ((512, 512), 12, 85e6)}


@dataclass(frozen=True)
class Calibration:
    """What a counted peak is multiplied by to be a measured one.

    Attributes:
        scale: 1 where there is no card.
        source: 'counted', or 'measured on <card>'.
    """

    scale: float = 1.0
    source: str = "counted"


def budget(rank: int, gigabytes: float) -> float:
    """Bytes of counted peak that a target of ``gigabytes`` allows a network of ``rank`` axes."""
    bytes_there, elements_there = _reference_bytes(rank)
    return gigabytes / REFERENCE_GB * bytes_there * _REFERENCES[rank][-1] / elements_there


def needed_gigabytes(rank: int, peak_bytes: float) -> float:
    """The smallest target whose budget holds ``peak_bytes``: the card, in GB, that nnU-Net would name."""
    return peak_bytes / budget(rank, 1.0)


@lru_cache
def calibrate(rank: int) -> Calibration:
    """Compare a real step of the reference network with its count, where there is a card with room for it."""
    if not torch.cuda.is_available():
        return Calibration()
    setup = reference(rank)
    try:
        measured = measure_peak(setup, torch.device("cuda"), half=True)
    except torch.OutOfMemoryError:
        return Calibration()
    finally:
        torch.cuda.empty_cache()
    return Calibration(
        measured / count(setup).peak_bytes, f"measured on {torch.cuda.get_device_name()}"
    )


def reference(rank: int) -> Setup:
    """nnU-Net's own U-Net with the plan that its planner makes for large isotropic images at 8 GB."""
    patch, batch, _ = _REFERENCES[rank]
    architecture, patch = topology_for([1.0] * rank, patch)
    return Setup(architecture, patch, batch)


def topology_for(
    spacing: Sequence[float], patch: Sequence[int], features: int = 32
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The ``architecture`` entry that nnU-Net's planner makes for a patch, and the patch made divisible.

    Args:
        spacing: mm; decides where kernels and strides stay in plane.
        patch: voxels.
        features: channels of the first stage.
    """
    rank = len(patch)
    _, strides, kernels, size, _ = get_pool_and_conv_props(spacing, patch, 4, 999999)
    stages, widest = len(strides), 320 if rank == 3 else 512
    arguments = {
        "n_stages": stages,
        "features_per_stage": [min(widest, features * 2**i) for i in range(stages)],
        "conv_op": f"torch.nn.modules.conv.Conv{rank}d",
        "kernel_sizes": [list(map(int, kernel)) for kernel in kernels],
        "strides": [list(map(int, stride)) for stride in strides],
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{rank}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    entry = {
        "network_class_name": f"{PlainConvUNet.__module__}.{PlainConvUNet.__name__}",
        "arch_kwargs": arguments,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    return entry, tuple(int(n) for n in size)


@lru_cache
def _reference_bytes(rank: int) -> tuple[int, int]:
    """Counted peak of the reference, and the elements of its feature maps a sample."""
    setup = reference(rank)
    with torch.device("meta"):
        network: Any = setup.build()
    return count(setup).peak_bytes, int(network.compute_conv_feature_map_size(setup.patch))
