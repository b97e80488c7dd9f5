"""Inception first block and a second output on the bottleneck (paper 003)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class InceptionDualUNet(ModularUNet):
    """ModularUNet with 'inception' as stem and the auxiliary head; 'plain' and False switch them off.

    Arguments and shapes are those of ModularUNet.
    """

    def __init__(
        self, *args: Any, stem: str = "inception", auxiliary: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, stem=stem, auxiliary=auxiliary, **kwargs)
