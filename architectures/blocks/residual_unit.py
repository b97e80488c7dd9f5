"""Residual unit with a bare shortcut and kernels that may be factorised (He et al. 2016, arXiv 1512.03385;
sij-fm-25d-attention-unet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from architectures.blocks.convolution import Convolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.layers import Layers


class ResidualUnit(nn.Module):
    """``nonlin(N(conv_b(nonlin(drop(N(conv_a(x)))))) + shortcut(x))``.

    The shortcut is a 1x1 convolution alone, or x itself. With an in-plane kernel for conv_a and a through-plane
    kernel for conv_b, the pair has the receptive field of one full kernel at a fraction of its cost.

    Shapes: (B, C_in, *S) -> (B, C_out, *ceil(S / stride)); S has the rank of ``layers``.

    >>> import torch
    >>> from architectures.layers import Layers
    >>> unit = ResidualUnit(2, 4, Layers(conv_op=nn.Conv3d, nonlin=nn.ReLU), stride=[1, 2, 2])
    >>> unit(torch.zeros(1, 2, 3, 4, 4)).shape
    torch.Size([1, 4, 3, 2, 2])

    Args:
        input_channels: C_in.
        output_channels: C_out.
        layers: the layer types; conv_bias applies to the shortcut as well.
        kernel_size: of conv_a; odd, a number or one per axis.
        second_kernel: of conv_b; that of conv_a if None.
        stride: of conv_a and the shortcut.
        project: use a convolution as shortcut, even where x has the right shape.
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        layers: Layers,
        *,
        kernel_size: int | Sequence[int] = 3,
        second_kernel: int | Sequence[int] | None = None,
        stride: int | Sequence[int] = 1,
        project: bool = True,
    ) -> None:
        super().__init__()
        steps = [stride] if isinstance(stride, int) else stride
        if not project and (input_channels != output_channels or any(n > 1 for n in steps)):
            raise ValueError(
                f"ResidualUnit: {input_channels} channels become {output_channels} with stride {stride}, so x cannot "
                "be the shortcut: set project"
            )
        self.first = Convolution(
            input_channels, output_channels, layers, kernel_size=kernel_size, stride=stride
        )
        self.second = Convolution(
            output_channels,
            output_channels,
            layers.without_activation(),
            kernel_size=kernel_size if second_kernel is None else second_kernel,
        )
        self.shortcut: Any = (
            layers.conv_op(input_channels, output_channels, 1, stride, bias=layers.conv_bias)
            if project
            else nn.Identity()
        )
        self.nonlin = layers.activation()

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(self.first(x))
        y: Tensor
        if isinstance(self.shortcut, nn.Identity):
            y = self.nonlin(inner + x)
            return y
        # In place: the backward pass of the projection does not need its result, so one map is saved.
        y = self.nonlin(self.shortcut(x).add_(inner))
        return y

    def start(self) -> None:
        """Initialise the shortcut to preserve the scale, and a normalisation weight on the branch to 0.

        He's initialisation doubles the variance to compensate for a ReLU. Along a chain of shortcuts nothing
        halves it again, and no normalisation stops it.
        """
        weight: Any = getattr(self.second[-1], "weight", None)
        if len(self.second) > 1 and weight is not None:
            nn.init.zeros_(weight)
        if not isinstance(self.shortcut, nn.Identity):
            nn.init.kaiming_normal_(self.shortcut.weight, nonlinearity="linear")


def residual_units(
    count: int,
    input_channels: int,
    width: int,
    layers: Layers,
    *,
    stride: int | Sequence[int] = 1,
    **kernels: Any,
) -> nn.Sequential:
    """``count`` residual units in sequence; only the first strides and has a convolution as shortcut."""
    return nn.Sequential(
        ResidualUnit(input_channels, width, layers, stride=stride, **kernels),
        *(ResidualUnit(width, width, layers, project=False, **kernels) for _ in range(count - 1)),
    )
