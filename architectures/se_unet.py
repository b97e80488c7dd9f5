"""SE U-Net: squeeze-and-excitation at the bottleneck (jing2025-se-unet)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class SEUNet(ModularUNet):
    """ModularUNet with 'se' at the bottleneck; other arguments and shapes are those of ModularUNet.

    >>> import torch
    >>> network = SEUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    def __init__(self, *, bottleneck: str = "se", **others: Any) -> None:
        super().__init__(bottleneck=bottleneck, **others)
