"""Atrous spatial pyramid pooling after the double convolutions of the encoder (paper 004)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class ASPPUNet(ModularUNet):
    """ModularUNet with 'aspp' after the stages in ``stage_at``, all but the bottleneck if None.

    The dilations of a stage follow from the size of its map when ``input_size`` is known, else they are the
    paper's 6, 12, 18; ``stage_kwargs={"dilations": ...}`` fixes them. Arguments and shapes are those of
    ModularUNet.
    """

    takes_input_size = True

    def __init__(self, *args: Any, stage: str = "aspp", **kwargs: Any) -> None:
        super().__init__(*args, stage=stage, **kwargs)
