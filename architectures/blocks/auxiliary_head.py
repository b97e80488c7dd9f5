"""Second output: logits from the bottleneck (dual output, silveira2025-inception-dual)."""

from __future__ import annotations

from torch import Tensor, nn


class AuxiliaryHead(nn.Module):
    """A biased 1x1 convolution to the classes.

    By the name of its layer nnU-Net recognises that pretrained weights may lack it.

    Shapes: (B, C, *S) -> (B, num_classes, *S); S has the rank of ``conv_op``.

    >>> import torch
    >>> AuxiliaryHead(8, 3, conv_op=nn.Conv2d)(torch.zeros(1, 8, 2, 2)).shape
    torch.Size([1, 3, 2, 2])

    Args:
        channels: C.
        num_classes: channels of the logits.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
    """

    def __init__(self, channels: int, num_classes: int, *, conv_op: type[nn.Module]) -> None:
        super().__init__()
        self.seg_layers = nn.ModuleList([conv_op(channels, num_classes, 1, bias=True)])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.seg_layers[0](x)
        return logits
