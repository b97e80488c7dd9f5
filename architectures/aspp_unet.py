"""Atrous spatial pyramid pooling between the stages of the encoder (cai2023-aspp-unet)."""

from __future__ import annotations

from typing import Any

from architectures.modular_unet import ModularUNet


class ASPPUNet(ModularUNet):
    """ModularUNet with 'aspp' after the stages in ``stage_at``: all but the bottleneck if None.

    The next stage takes what 'aspp' gives; the skip takes what the convolutions give (section 2.4).

    The dilations of a stage follow from the size of its map if ``input_size`` is given; otherwise they are the
    paper's 6, 12, 18. ``stage_kwargs={"dilations": ...}`` fixes them. Other arguments and shapes are those of
    ModularUNet.

    >>> import torch
    >>> network = ASPPUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    takes_input_size = True

    def __init__(self, *, stage: str = "aspp", **others: Any) -> None:
        super().__init__(stage=stage, **others)
