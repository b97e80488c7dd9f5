"""Squeeze-and-attention: a map of weights from a half-sized view (Zhong et al. 2020, arXiv 1909.03402; paper 002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}
SMOOTH = {2: "bilinear", 3: "trilinear"}


class SqueezeAttention(nn.Module):
    """``w * x + x``, w being two convolutions of x averaged to half its size, brought back to full size.

    ``w = up(N(conv(relu(N(conv(pool(x)))))))`` through C // reduction channels; N is the normalisation. There
    is no sigmoid: a weight may be negative or above 1. Unlike squeeze-and-excitation, every place has weights
    of its own. An odd last plane is pooled alone. In fp16 the result overflows before x does, as w is not bounded.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: the plan's kernel of the stage; axes of size 1 are not pooled either.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
        conv_bias: bias of the convolutions.
        reduction: what C is divided by inside, 4 in the paper.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int] = 3,
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None,
        nonlin_kwargs: dict[str, Any] | None = None,
        conv_bias: bool = True,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"SqueezeAttention: reduction is {reduction}; it must be 1 or more")
        kernel = list(maybe_convert_scalar_to_list(conv_op, kernel_size))
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"SqueezeAttention: kernel_size is {kernel}; every axis must be odd")
        inside = max(1, channels // reduction)
        self.window = [2 if k > 1 else 1 for k in kernel]

        def convolution(inputs: int, outputs: int) -> list[nn.Module]:
            padding = [k // 2 for k in kernel]
            conv = conv_op(inputs, outputs, kernel, padding=padding, bias=conv_bias)
            return [conv] if norm_op is None else [conv, norm_op(outputs, **(norm_op_kwargs or {}))]

        between = [] if nonlin is None else [nonlin(**(nonlin_kwargs or {}))]
        self.attend = nn.Sequential(
            *convolution(channels, inside), *between, *convolution(inside, channels)
        )

    def weights(self, x: Tensor) -> Tensor:
        """The map w, of the shape of ``x``."""
        rank = x.ndim - 2
        # A window larger than the map is refused in 3D.
        window = [min(w, n) for w, n in zip(self.window, x.shape[2:], strict=True)]
        pooled = POOL[rank](x, window, window, ceil_mode=True)
        return F.interpolate(self.attend(pooled), x.shape[2:], mode=SMOOTH[rank])

    def forward(self, x: Tensor) -> Tensor:
        return self.weights(x) * x + x

    def pooled_size(self, size: Sequence[int]) -> list[int]:
        """Size that the normalisations inside see, of a map of ``size``."""
        return [-(-n // h) for n, h in zip(size, self.window, strict=True)]
