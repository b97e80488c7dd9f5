"""SE U-Net: squeeze-and-excitation at the bottleneck (paper 000)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class SEUNet(ModularUNet):
    """ModularUNet with 'se' in the bottleneck; arguments and shapes are those of ModularUNet."""

    def __init__(self, *args: Any, bottleneck: str = "se", **kwargs: Any) -> None:
        super().__init__(*args, bottleneck=bottleneck, **kwargs)
