"""SegNet: unpooling to the positions of the maxima (Badrinarayanan 2017, arXiv 1511.00561; compared in
yan2025-mag-unet and cai2023-aspp-unet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.full_resolution import FullResolutionNetwork
from architectures.plan import Plan
from architectures.topology import one_per_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
UNPOOL = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}
#: Convolutions before each pooling of VGG-16 (section 3); further stages have as many as the last.
VGG16 = (2, 2, 3, 3, 3)


class SegNet(FullResolutionNetwork):
    """VGG's convolutions and their mirror image; each unpooling writes to the positions of its pooling's maxima.

    There are no skips: only the positions cross over. The mirror image of the first convolution gives the
    logits. A plan's first stage is not pooled, so there is one pooling fewer than stages; SegNet as published,
    which pools after its last convolutions as well, is a plan with one more stage of 0 convolutions.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list of one.
    S need not be divisible by the strides.

    >>> import torch
    >>> network = SegNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=4, conv_op=nn.Conv2d, kernel_sizes=3,
    ...     strides=[1, 2], nonlin=nn.ReLU)
    >>> network(torch.zeros(1, 1, 5, 6)).shape
    torch.Size([1, 2, 5, 6])

    Args:
        convs_per_stage: convolutions of each stage, VGG-16's if None; 0 where a stage is a pooling alone.
        plan: the arguments in ``architectures.plan.Plan``. Kernels are the same on the way down and up; each
            stride is that of the pooling before its stage, the first is 1. The three depths,
            n_conv_per_stage_decoder, n_conv_per_stage and n_blocks_per_stage, are not used: they are those of
            the U-Net that the plan was made for.
    """

    former_names = (("decoder.head.", "decoder.seg_layers.0."),)

    def __init__(self, *, convs_per_stage: int | Sequence[int] | None = None, **plan: Any) -> None:
        given = Plan.read(type(self), plan)
        if convs_per_stage is None:
            convs_per_stage = [VGG16[min(s, len(VGG16) - 1)] for s in range(given.n_stages)]
        depths, features, kernels, steps = (
            one_per_stage("SegNet", what, value, given.n_stages)
            for what, value in (
                ("convs_per_stage", convs_per_stage),
                ("features_per_stage", given.features_per_stage),
                ("kernel_sizes", given.kernel_sizes),
                ("strides", given.strides),
            )
        )
        strides = [tuple(maybe_convert_scalar_to_list(given.conv_op, s)) for s in steps]
        _check(depths, features, kernels, strides, given.rank)
        super().__init__(given, stride=np.prod(strides, axis=0).tolist())

        def convolve(inputs: int, outputs: list[int], kernel: Any) -> nn.Module:
            if not outputs:
                return nn.Identity()
            stacked: nn.Module = StackedConvBlocks(
                len(outputs),
                given.conv_op,
                inputs,
                outputs,
                kernel,
                1,
                **given.arguments(),
                nonlin_first=given.nonlin_first,
            )
            return stacked

        down, up = [], []
        into = given.input_channels
        for s, (width, depth, kernel) in enumerate(zip(features, depths, kernels, strict=True)):
            down.append(convolve(into, [width] * depth, kernel))
            # The mirror image of the first convolution of a stage narrows; at full resolution it is the head.
            narrow = [into] if s > 0 and depth > 0 else []
            up.append(convolve(width, [width] * (depth - 1) + narrow, kernel))
            into = width
        self.encoder = nn.ModuleList(down)
        self.decoder.stages = nn.ModuleList(reversed(up))
        kernel = maybe_convert_scalar_to_list(given.conv_op, kernels[0])
        head = given.conv_op(
            features[0], given.num_classes, kernel, padding=[k // 2 for k in kernel], bias=True
        )
        self.decoder.seg_layers = nn.ModuleList([head])
        self.poolings = strides[1:]
        self.decoder.unpoolings = nn.ModuleList(
            UNPOOL[self.rank](stride, stride) for stride in reversed(self.poolings)
        )

    def logits(self, x: Tensor) -> Tensor:
        encoder: Any = self.encoder
        x = encoder[0](x)
        positions = []
        for stage, stride in zip(encoder[1:], self.poolings, strict=True):
            x, at = POOL[self.rank](x, stride, stride, return_indices=True)
            positions.append(at)
            x = stage(x)
        for stage, unpool in zip(self.decoder.stages[:-1], self.decoder.unpoolings, strict=True):
            x = unpool(stage(x), positions.pop())
        y: Tensor = self.decoder.seg_layers[0](self.decoder.stages[-1](x))
        return y

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """He initialisation of the convolutions, as in the paper (section 3.2) and nnU-Net."""
        InitWeights_He(1e-2)(module)


def _check(
    depths: list[int],
    features: list[int],
    kernels: list[Any],
    strides: list[tuple[int, ...]],
    rank: int,
) -> None:
    for s, stride in enumerate(strides):
        if len(stride) != rank:
            raise ValueError(f"SegNet: strides of stage {s} is {list(stride)}, expected {rank}")
    if any(s != 1 for s in strides[0]):
        raise ValueError(
            f"SegNet: the first stage has stride {list(strides[0])}; it must be 1: the first map has the "
            "size of the image"
        )
    if any(k % 2 == 0 for kernel in kernels for k in np.atleast_1d(kernel)):
        raise ValueError(f"SegNet: kernel_sizes are {kernels}; every axis must be odd")
    for s, depth in enumerate(depths):
        if depth < 0 or (depth == 0 and (s == 0 or features[s] != features[s - 1])):
            raise ValueError(
                f"SegNet: convs_per_stage is {depths}; stage {s} needs 1 or more, or 0 in a later stage with "
                "the features of the previous stage"
            )
