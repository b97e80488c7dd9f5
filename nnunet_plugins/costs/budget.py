"""Bytes that a memory target allows, derived from nnU-Net's own U-Net.

nnU-Net plans 560e6 elements of feature maps per sample (3D, batch 2) and 85e6 (2D, batch 12) for 8 GB. The
counted bytes of its U-Net at that size are the budget for 8 GB. The remainder up to 8 GB is left for what is
not counted: cuDNN's workspaces, the CUDA context, gaps of the allocator.
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

#: GB for which nnU-Net plans the two references.
REFERENCE_GB = 8.0
#: Rank -> patch, batch, elements of feature maps per sample (nnU-Net 2.8's UNet_reference_val_*).
_REFERENCES = {3: ((128, 128, 128), 2, 560e6), 2: ((512, 512), 12, 85e6)}


@dataclass(frozen=True)
class Calibration:
    """Factor from counted to measured peaks.

    Attributes:
        scale: 1 without a GPU.
        source: 'counted', or 'measured on <GPU>'.
    """

    scale: float = 1.0
    source: str = "counted"


def budget(rank: int, gigabytes: float) -> float:
    """Return the counted peak in bytes that a target of ``gigabytes`` allows for a ``rank``-dimensional network."""
    bytes_there, elements_there = _reference_bytes(rank)
    return gigabytes / REFERENCE_GB * bytes_there * _REFERENCES[rank][-1] / elements_there


def needed_gigabytes(rank: int, peak_bytes: float) -> float:
    """Return the smallest memory target, in GB, whose budget holds ``peak_bytes``."""
    return peak_bytes / budget(rank, 1.0)


@lru_cache
def calibrate(rank: int) -> Calibration:
    """Compare a real step of the reference with its count, if there is a GPU with enough memory."""
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
    """Return nnU-Net's own U-Net with the plan that its planner makes for large isotropic images at 8 GB."""
    patch, batch, _ = _REFERENCES[rank]
    architecture, patch = topology_for([1.0] * rank, patch)
    return Setup(architecture, patch, batch)


def topology_for(
    spacing: Sequence[float], patch: Sequence[int], features: int = 32
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Return the ``architecture`` entry of nnU-Net's planner for a patch, and the patch made divisible.

    Args:
        spacing: voxel size in mm; decides which kernels and strides stay in plane.
        patch: voxels.
        features: channels of the first stage.

    >>> architecture, patch = topology_for((4.0, 0.6, 0.6), (12, 50, 64))
    >>> patch
    (12, 56, 64)
    >>> architecture["arch_kwargs"]["strides"]
    [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2]]
    """
    rank = len(patch)
    _, strides, kernels, size, _ = get_pool_and_conv_props(spacing, patch, 4, 999999)
    stages, maximum = len(strides), 320 if rank == 3 else 512
    arguments = {
        "n_stages": stages,
        "features_per_stage": [min(maximum, features * 2**i) for i in range(stages)],
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
    """Return the counted peak of the reference and the elements of its feature maps per sample."""
    setup = reference(rank)
    with torch.device("meta"):
        network: Any = setup.build()
    return count(setup).peak_bytes, int(network.compute_conv_feature_map_size(setup.patch))
