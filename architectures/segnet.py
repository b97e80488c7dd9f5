"""SegNet: upsampling by the places of the maxima (Badrinarayanan 2017, arXiv 1511.00561; compared in 001, 004)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.building_blocks.helper import (
    convert_conv_op_to_dim,
    maybe_convert_scalar_to_list,
)
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.full_resolution import FullResolutionNetwork
from architectures.topology import one_each

if TYPE_CHECKING:
    from collections.abc import Sequence

POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
UNPOOL = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}
#: Convolutions before each of VGG-16's poolings (section 3); further stages have as many as the last.
VGG16 = (2, 2, 3, 3, 3)


class SegNet(FullResolutionNetwork):
    """VGG's convolutions and their mirror image; each unpooling writes to where its pooling found the maxima.

    There are no skips: only the places cross over. The mirror image of the first convolution gives the
    logits. A plan's first stage is not pooled, so there is one pooling fewer than stages; SegNet as published,
    which pools after its last convolutions as well, is a plan with one more stage of 0 convolutions.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list of one.
    S need not be divisible by the strides.

    Args:
        input_channels: number of image channels.
        n_stages: resolution stages.
        features_per_stage: channels of each stage.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``; decides the rank.
        kernel_sizes: one a stage, the same on the way down and up.
        strides: one a stage, of the pooling before it; the first is 1.
        num_classes: channels of the output.
        n_conv_per_stage_decoder: not used, like the following two: they are the depth of the U-Net that the
            plan was made for.
        n_conv_per_stage: not used.
        n_blocks_per_stage: not used.
        conv_bias: as in PlainConvUNet, like the following.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class.
        nonlin_kwargs: its arguments.
        deep_supervision: return a list.
        nonlin_first: nonlinearity before normalisation.
        convs_per_stage: convolutions of each stage, VGG-16's if None; 0 where a stage is a pooling alone.
    """

    def __init__(
        self,
        input_channels: int,
        n_stages: int,
        features_per_stage: int | Sequence[int],
        conv_op: type[nn.Module],
        kernel_sizes: int | Sequence[Any],
        strides: int | Sequence[Any],
        num_classes: int,
        n_conv_per_stage_decoder: int | Sequence[int] | None = None,
        n_conv_per_stage: int | Sequence[int] | None = None,
        n_blocks_per_stage: int | Sequence[int] | None = None,
        conv_bias: bool = False,
        norm_op: type[nn.Module] | None = None,
        norm_op_kwargs: dict[str, Any] | None = None,
        dropout_op: type[nn.Module] | None = None,
        dropout_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None = None,
        nonlin_kwargs: dict[str, Any] | None = None,
        deep_supervision: bool = False,
        nonlin_first: bool = False,
        *,
        convs_per_stage: int | Sequence[int] | None = None,
    ) -> None:
        if convs_per_stage is None:
            convs_per_stage = [VGG16[min(s, len(VGG16) - 1)] for s in range(n_stages)]
        depths, features, kernels, steps = (
            one_each("SegNet", what, value, n_stages)
            for what, value in (
                ("convs_per_stage", convs_per_stage),
                ("features_per_stage", features_per_stage),
                ("kernel_sizes", kernel_sizes),
                ("strides", strides),
            )
        )
        strides_per_axis = [tuple(maybe_convert_scalar_to_list(conv_op, s)) for s in steps]
        _check(depths, features, kernels, strides_per_axis, convert_conv_op_to_dim(conv_op))
        super().__init__(
            input_channels=input_channels,
            conv_op=conv_op,
            stride=np.prod(strides_per_axis, axis=0).tolist(),
            deep_supervision=deep_supervision,
        )

        def convolve(inputs: int, outputs: list[int], kernel: Any) -> nn.Module:
            if not outputs:
                return nn.Identity()
            return StackedConvBlocks(
                len(outputs), conv_op, inputs, outputs, kernel, 1, conv_bias, norm_op, norm_op_kwargs,
                dropout_op, dropout_op_kwargs, nonlin, nonlin_kwargs, nonlin_first,
            )  # fmt: skip

        down, up = [], []
        into = input_channels
        for s, (width, depth, kernel) in enumerate(zip(features, depths, kernels, strict=True)):
            down.append(convolve(into, [width] * depth, kernel))
            # The mirror image of the stage's first convolution narrows; at full resolution it is the head.
            narrow = [into] if s > 0 and depth > 0 else []
            up.append(convolve(width, [width] * (depth - 1) + narrow, kernel))
            into = width
        self.encoder = nn.ModuleList(down)
        self.decoder.stages = nn.ModuleList(reversed(up))
        kernel = maybe_convert_scalar_to_list(conv_op, kernels[0])
        self.decoder.head = conv_op(
            features[0], num_classes, kernel, padding=[k // 2 for k in kernel], bias=True
        )
        self.poolings = strides_per_axis[1:]
        self.decoder.unpoolings = nn.ModuleList(
            UNPOOL[self.rank](stride, stride) for stride in reversed(self.poolings)
        )

    def logits(self, x: Tensor) -> Tensor:
        x = self.encoder[0](x)
        places = []
        for stage, stride in zip(self.encoder[1:], self.poolings, strict=True):
            x, place = POOL[self.rank](x, stride, stride, return_indices=True)
            places.append(place)
            x = stage(x)
        for stage, unpool in zip(self.decoder.stages[:-1], self.decoder.unpoolings, strict=True):
            x = unpool(stage(x), places.pop())
        return self.decoder.head(self.decoder.stages[-1](x))

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """He initialisation of the convolutions, the paper's (section 3.2) and nnU-Net's."""
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
            raise ValueError(f"SegNet: strides of stage {s} is {list(stride)}; {rank} are wanted")
    if any(s != 1 for s in strides[0]):
        raise ValueError(
            f"SegNet: the first stage has stride {list(strides[0])}; it must be 1, for the places of a pooling "
            "are those of a map and not of the image"
        )
    if any(k % 2 == 0 for kernel in kernels for k in np.atleast_1d(kernel)):
        raise ValueError(f"SegNet: kernel_sizes are {kernels}; every axis must be odd")
    for s, depth in enumerate(depths):
        if depth < 0 or (depth == 0 and (s == 0 or features[s] != features[s - 1])):
            raise ValueError(
                f"SegNet: convs_per_stage is {depths}; stage {s} needs 1 or more, or 0 in a later stage with "
                "the features of the stage before"
            )
