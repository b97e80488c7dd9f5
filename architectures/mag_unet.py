"""MAG-UNet: multi-scale stem, dual attention at the bottleneck, gated skips (paper 001)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class MAGUNet(ModularUNet):
    """ModularUNet with 'mff', 'da' and 'lgag' in its slots; 'plain' switches a module off.

    Arguments and shapes are those of ModularUNet.
    """

    def __init__(
        self,
        *args: Any,
        stem: str = "mff",
        bottleneck: str = "da",
        skip: str = "lgag",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, stem=stem, bottleneck=bottleneck, skip=skip, **kwargs)
