"""Large-kernel grouped attention gate on a skip connection (LGAG, yan2025-mag-unet, section 1.4, eq. 9-10; first
in EMCAD, Rahman et al. 2024, arXiv 2405.06880).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from architectures.memory_format import convolve

if TYPE_CHECKING:
    from collections.abc import Sequence


class LargeKernelGate(nn.Module):
    """Weight a skip by its agreement with the upsampled features of the next coarser level.

    ``x * sigmoid(N(C1(relu(N(GC(g)) + N(GC(x))))))``: GC grouped convolutions, C1 a 1x1 convolution to
    one channel, N the plan's normalisation (batch norm in the papers).

    Yan et al. print neither the width nor the groups of GC. The defaults are fitted: with them MAG-UNet has the
    23.98 M parameters of its Table 1. The modules alone do not have the increments of its Table 4: on the paper's
    3D U-Net dual attention adds 0.788 M (0.56 in the table), MFF 0.018 M (0.69) and these gates 0.588 M (0.64).

    Shapes: skip (B, C, *S), gating (B, C_g, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> gate = LargeKernelGate(8, conv_op=nn.Conv2d, norm_op=None)
    >>> gate(torch.zeros(1, 8, 4, 4), torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 8, 4, 4])

    Args:
        channels: C of the skip.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        kernel_size: of GC, odd; a number or one per axis.
        groups: of GC; reduced to the largest number that divides all three widths. 2 if None.
        hidden: channels inside; C // 4 if None.
        emcad: EMCAD's width and groups, C // 2 channels inside in C // 2 groups, instead of the previous two.
        gating_channels: C_g; C if None.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module] = nn.Conv3d,
        norm_op: type[nn.Module] | None = nn.InstanceNorm3d,
        norm_op_kwargs: dict[str, Any] | None = None,
        kernel_size: int | Sequence[int] = 3,
        groups: int | None = None,
        hidden: int | None = None,
        emcad: bool = False,
        gating_channels: int | None = None,
    ) -> None:
        super().__init__()
        if emcad and (groups is not None or hidden is not None):
            raise ValueError(
                f"LargeKernelGate: emcad with groups {groups} and hidden {hidden}; it sets both: leave them out"
            )
        inside = max(1, channels // (2 if emcad else 4)) if hidden is None else hidden
        below = channels if gating_channels is None else gating_channels
        every = (channels, below, inside)
        wanted = inside if emcad else groups or 2
        shared = next(g for g in range(wanted, 0, -1) if all(n % g == 0 for n in every))
        rank = 2 if issubclass(conv_op, nn.Conv2d) else 3
        kernel = [kernel_size] * rank if isinstance(kernel_size, int) else list(kernel_size)
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"LargeKernelGate: kernel_size is {kernel}; every axis must be odd")

        def normed(width: int) -> nn.Module:
            if norm_op is None:
                return nn.Identity()
            layer: nn.Module = norm_op(width, **(norm_op_kwargs or {}))
            return layer

        grouped = {"padding": [k // 2 for k in kernel], "groups": shared, "bias": norm_op is None}
        self.gating = conv_op(below, inside, kernel, **grouped)
        self.skip = conv_op(channels, inside, kernel, **grouped)
        self.gating_norm = normed(inside)
        self.skip_norm = normed(inside)
        self.merge = conv_op(inside, 1, 1, bias=norm_op is None)
        self.merge_norm = normed(1)
        self.gating_channels, self.inside = below, inside

    def coefficients(self, skip: Tensor, gating: Tensor) -> Tensor:
        """Attention coefficients in (0, 1), shape (B, 1, *S)."""
        from_gating = convolve(self.gating, gating)
        from_skip = convolve(self.skip, skip)
        agreement = self.gating_norm(from_gating) + self.skip_norm(from_skip)
        return torch.sigmoid(self.merge_norm(self.merge(torch.relu_(agreement))))

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        return skip * self.coefficients(skip, gating)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that one sample keeps: the gating map, three inner maps, three of the coefficients."""
        maps = self.gating_channels + 3 * self.inside + 3
        return np.prod([maps, *input_size], dtype=np.int64)
