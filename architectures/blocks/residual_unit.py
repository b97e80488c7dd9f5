"""Residual unit with a bare shortcut and kernels that may be factorised (He et al. 2016; paper 002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from architectures.blocks.convolution import Convolution

if TYPE_CHECKING:
    from collections.abc import Sequence


class ResidualUnit(nn.Module):
    """``nonlin(N(conv_b(nonlin(drop(N(conv_a(x)))))) + shortcut(x))``.

    The shortcut is a 1x1 convolution that nothing follows, or x itself. With a kernel of the plane for a and one
    across it for b, the pair sees what one full kernel sees at a fraction of its cost.

    Shapes: (B, C_in, *S) -> (B, C_out, *ceil(S / stride)); S has the rank of ``conv_op``.

    Args:
        input_channels: C_in.
        output_channels: C_out.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: of conv_a.
        second_kernel: of conv_b; as conv_a's if None.
        stride: of conv_a and of the shortcut.
        project: a convolution as shortcut, even where x would do.
        conv_bias: bias of the convolutions, the shortcut's included.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int] = 3,
        second_kernel: int | Sequence[int] | None = None,
        stride: int | Sequence[int] = 1,
        project: bool = True,
        conv_bias: bool = True,
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        dropout_op: type[nn.Module] | None = None,
        dropout_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None,
        nonlin_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        steps = [stride] if isinstance(stride, int) else stride
        if not project and (input_channels != output_channels or any(n > 1 for n in steps)):
            raise ValueError(
                f"ResidualUnit: {input_channels} channels become {output_channels} with stride {stride}, and x is "
                "to be the shortcut: set project"
            )
        common: dict[str, Any] = {
            "conv_op": conv_op,
            "conv_bias": conv_bias,
            "norm_op": norm_op,
            "norm_op_kwargs": norm_op_kwargs,
        }
        self.first = Convolution(
            input_channels,
            output_channels,
            kernel_size=kernel_size,
            stride=stride,
            dropout_op=dropout_op,
            dropout_op_kwargs=dropout_op_kwargs,
            nonlin=nonlin,
            nonlin_kwargs=nonlin_kwargs,
            **common,
        )
        self.second = Convolution(
            output_channels,
            output_channels,
            kernel_size=kernel_size if second_kernel is None else second_kernel,
            **common,
        )
        self.shortcut: Any = (
            conv_op(input_channels, output_channels, 1, stride, bias=conv_bias)
            if project
            else nn.Identity()
        )
        self.nonlin = nn.Identity() if nonlin is None else nonlin(**(nonlin_kwargs or {}))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(self.first(x))
        if isinstance(self.shortcut, nn.Identity):
            return self.nonlin(inner + x)
        # Into the projection, which its own backward pass does not need: one map less is made.
        return self.nonlin(self.shortcut(x).add_(inner))

    def start(self) -> None:
        """A shortcut that keeps the scale, and a branch that adds nothing where its norm has a weight to set to 0.

        He's initialisation doubles the variance for the sake of a ReLU. Nothing halves it again on the way from
        shortcut to shortcut, and no normalisation stops it.
        """
        weight = getattr(self.second[-1], "weight", None)
        if len(self.second) > 1 and weight is not None:
            nn.init.zeros_(weight)
        if not isinstance(self.shortcut, nn.Identity):
            nn.init.kaiming_normal_(self.shortcut.weight, nonlinearity="linear")


def residual_units(
    count: int, input_channels: int, width: int, *, stride: Any = 1, **layers: Any
) -> nn.Sequential:
    """Residual units in a row; the first alone has a convolution as shortcut, and strides."""
    return nn.Sequential(
        ResidualUnit(input_channels, width, stride=stride, **layers),
        *(ResidualUnit(width, width, project=False, **layers) for _ in range(count - 1)),
    )
