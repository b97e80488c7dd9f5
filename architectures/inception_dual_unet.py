"""Inception first block and a second output on the bottleneck (silveira2025-inception-dual)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class InceptionDualUNet(ModularUNet):
    """ModularUNet with 'inception' as stem and the auxiliary head; 'plain' and False switch them off.

    Other arguments and shapes are those of ModularUNet.

    >>> import torch
    >>> network = InceptionDualUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    def __init__(self, *, stem: str = "inception", auxiliary: bool = True, **others: Any) -> None:
        super().__init__(stem=stem, auxiliary=auxiliary, **others)
