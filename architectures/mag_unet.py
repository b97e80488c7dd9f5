"""MAG-UNet: multi-scale stem, dual attention at the bottleneck, gated skips (yan2025-mag-unet)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class MAGUNet(ModularUNet):
    """ModularUNet with 'mff', 'da' and 'lgag' in its slots; 'plain' switches a module off.

    Other arguments and shapes are those of ModularUNet.

    >>> import torch
    >>> network = MAGUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    def __init__(
        self, *, stem: str = "mff", bottleneck: str = "da", skip: str = "lgag", **others: Any
    ) -> None:
        super().__init__(stem=stem, bottleneck=bottleneck, skip=skip, **others)
