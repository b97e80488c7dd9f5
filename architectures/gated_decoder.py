"""nnU-Net's U-Net decoder with a gate on each skip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class GatedDecoder(UNetDecoder):
    """UNetDecoder whose skips may pass a gate; without gates it is UNetDecoder, parameter for parameter.

    Args:
        gates: one module a skip, from coarse to fine, called with (skip, upsampled), or None.
        *args: as for UNetDecoder.
        **kwargs: as for UNetDecoder.
    """

    def __init__(
        self, *args: object, gates: Sequence[nn.Module] | None = None, **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)
        if gates is not None and len(gates) != len(self.stages):
            raise ValueError(f"GatedDecoder: {len(gates)} gates for {len(self.stages)} skips")
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
            if self.deep_supervision or s == last:
                outputs.append(self.seg_layers[s](x))
        return outputs[::-1] if self.deep_supervision else outputs[0]
