"""A further output: logits from the bottleneck (dual output, paper 003)."""

from __future__ import annotations

from torch import Tensor, nn


class AuxiliaryHead(nn.Module):
    """A biased 1x1 convolution to the classes.

    The name of its layer tells nnU-Net that pretrained weights for it may be missing.

    Shapes: (B, C, *S) -> (B, num_classes, *S); S has the rank of ``conv_op``.

    Args:
        channels: C.
        num_classes: channels of the logits.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
    """

    def __init__(self, channels: int, num_classes: int, *, conv_op: type[nn.Module]) -> None:
        super().__init__()
        self.seg_layers = nn.ModuleList([conv_op(channels, num_classes, 1, bias=True)])

    def forward(self, x: Tensor) -> Tensor:
        return self.seg_layers[0](x)
