"""nnU-Net's U-Net decoder that also takes gates on the skips and skips wider than the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from dynamic_network_architectures.building_blocks.helper import get_matching_convtransp
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Decoder(nn.Module):
    """By default dynamic-network-architectures' UNetDecoder, parameter for parameter.

    Shapes: a list of skips (B, widths of the encoder, *S / reach), largest first, to (B, num_classes, *S), or
    under deep supervision a list, largest first.

    Args:
        encoder: PlainConvEncoder or ResidualEncoder; the decoder uses its layer types, and its output channels
            are the widths of the skips.
        widths: channels of each decoder level, in the order of the encoder's stages (the last is not used).
        num_classes: channels of the output.
        n_conv_per_stage: convolutions of each level, from coarse to fine.
        deep_supervision: return the logits of every level that has a head.
        nonlin_first: nonlinearity before normalisation.
        gates: one module per skip, from coarse to fine, called with (skip, upsampled), or None.
        wrap: called with (convolutions, channels in, channels out), returns the module of a level.
        levels: how many of the finest levels have a head; None for all, as in nnU-Net.
    """

    def __init__(
        self,
        encoder: Any,
        widths: Sequence[int],
        num_classes: int,
        n_conv_per_stage: Sequence[int],
        *,
        deep_supervision: bool = False,
        nonlin_first: bool = False,
        gates: Sequence[nn.Module] | None = None,
        wrap: Callable[[nn.Module, int, int], nn.Module] | None = None,
        levels: int | None = None,
    ) -> None:
        super().__init__()
        count = len(encoder.output_channels) - 1
        self.levels = count if levels is None else levels
        if not 1 <= self.levels <= count:
            raise ValueError(f"Decoder: levels is {levels}; 1 to {count} levels can have a head")
        self.deep_supervision = deep_supervision
        self.encoder = encoder  # as in UNetDecoder, so that checkpoints have the same keys
        self.num_classes = num_classes
        self.widths = list(widths)[:count]
        transposed = get_matching_convtransp(conv_op=encoder.conv_op)
        stages, upsamplings, heads = [], [], []
        below = encoder.output_channels[-1]
        for depth, s in enumerate(reversed(range(count))):
            width, skip, stride = widths[s], encoder.output_channels[s], encoder.strides[s + 1]
            upsamplings.append(transposed(below, width, stride, stride, bias=encoder.conv_bias))
            convolutions: nn.Module = StackedConvBlocks(
                n_conv_per_stage[depth], encoder.conv_op, skip + width, width, encoder.kernel_sizes[s], 1,
                encoder.conv_bias, encoder.norm_op, encoder.norm_op_kwargs, encoder.dropout_op,
                encoder.dropout_op_kwargs, encoder.nonlin, encoder.nonlin_kwargs, nonlin_first,
            )  # fmt: skip
            stages.append(wrap(convolutions, skip + width, width) if wrap else convolutions)
            if s < self.levels:
                heads.append(encoder.conv_op(width, num_classes, 1, 1, 0, bias=True))
            below = width
        self.stages = nn.ModuleList(stages)
        self.transpconvs = nn.ModuleList(upsamplings)
        self.seg_layers = nn.ModuleList(heads)
        self.gates = None if gates is None else nn.ModuleList(gates)

    def forward(self, skips: Sequence[Tensor]) -> Tensor | list[Tensor]:
        x = skips[-1]
        outputs = []
        last = len(self.stages) - 1
        for s, (upsample, stage) in enumerate(zip(self.transpconvs, self.stages, strict=True)):
            skip = skips[-(s + 2)]
            up = upsample(x)
            if self.gates is not None:
                skip = self.gates[s](skip, up)
            x = stage(torch.cat((up, skip), 1))
            head = s - last + self.levels - 1
            if s == last or (self.deep_supervision and head >= 0):
                outputs.append(self.seg_layers[head](x))
        return outputs[::-1] if self.deep_supervision else outputs[0]

    def compute_conv_feature_map_size(self, sizes: Sequence[Sequence[int]]) -> np.int64:
        """Elements of all feature maps that are kept for one sample.

        Args:
            sizes: spatial size of each encoder stage's output.
        """
        total: np.int64 = np.int64(0)
        last = len(self.stages) - 1
        gates: Any = self.gates or [None] * len(self.stages)
        stages: Any = self.stages
        for depth, (stage, gate) in enumerate(zip(stages, gates, strict=True)):
            s = last - depth
            total += stage.compute_conv_feature_map_size(sizes[s])
            total += np.prod([self.widths[s], *sizes[s]], dtype=np.int64)
            if s == 0 or (self.deep_supervision and s < self.levels):
                total += np.prod([self.num_classes, *sizes[s]], dtype=np.int64)
            if hasattr(gate, "compute_conv_feature_map_size"):
                total += gate.compute_conv_feature_map_size(sizes[s])
        return total
