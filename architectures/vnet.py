"""V-Net: residual stages with kernels of 5 on the way down and up (Milletari 2016, arXiv 1606.04797)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from architectures.full_resolution import FullResolutionNetwork
from architectures.plan import Plan
from architectures.topology import Topology, one_per_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

NORM: dict[int, Any] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
DROPOUT: dict[int, Any] = {2: nn.Dropout2d, 3: nn.Dropout3d}
TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class VNet(FullResolutionNetwork):
    """V-Net as MONAI has it, with the sizes of the plan; at MONAI's sizes it is MONAI's, weight for weight.

    A stage strides in a convolution whose kernel is the stride, and adds what it gets to what its convolutions
    give. A decoder stage has twice the width of its skip: half from below, half from the skip. Batch normalisation,
    ELU and convolutions without bias are fixed; channels are dropped in the two coarsest stages, on their way up and
    on every skip. MONAI's class itself has fixed widths, strides and kernels.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list of one.
    S need not be divisible by the strides.

    >>> network = VNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network.eval()(torch.zeros(1, 1, 5, 8)).shape
    torch.Size([1, 2, 5, 8])

    Args:
        dropout: rate of the dropout.
        plan: the arguments in ``architectures.plan.Plan``. Kernels are 5 wherever the plan's are not 1; the first
            stride is 1. n_blocks_per_stage counts convolutions here. Bias, normalisation, dropout and nonlinearity
            of the plan are not used.
    """

    former_names = (("decoder.head.", "decoder.seg_layers.0."),)

    def __init__(self, *, dropout: float = 0.5, **plan: Any) -> None:
        given = Plan.read(type(self), plan)
        sizes = Topology.read("VNet", given)
        if any(n > 1 for n in sizes.strides[0]):
            raise ValueError(
                f"VNet: the first stage has stride {sizes.strides[0]}; it must be 1: the first map has the size "
                "of the image"
            )
        super().__init__(given, stride=sizes.reach[-1])
        count, drop = given.n_stages, DROPOUT[given.rank](dropout)
        kernels = [[5 if k > 1 else 1 for k in kernel] for kernel in sizes.kernels]
        widths, strides = sizes.widths, sizes.strides
        convs_up = one_per_stage(
            "VNet", "n_conv_per_stage_decoder", given.n_conv_per_stage_decoder, count - 1
        )

        def stack(inputs: int, width: int, depth: int, stage: int) -> nn.Sequential:
            """``depth`` times convolution, normalisation, ELU."""
            layers: list[nn.Module] = []
            for n in range(depth):
                layers += _normed(inputs if n == 0 else width, width, kernels[stage], given)
                layers.append(nn.ELU(inplace=True))
            return nn.Sequential(*layers)

        self.encoder = nn.ModuleList(
            [_First(stack(given.input_channels, widths[0], sizes.depths[0], 0)[:-1], widths[0])]
        )
        for s in range(1, count):
            enter = nn.Sequential(
                given.conv_op(widths[s - 1], widths[s], strides[s], strides[s], bias=False),
                NORM[given.rank](widths[s]),
                nn.ELU(inplace=True),
            )
            self.encoder.append(
                _Down(
                    enter,
                    stack(widths[s], widths[s], sizes.depths[s], s),
                    drop if s >= count - 2 else nn.Identity(),
                )
            )
        stages, below = [], widths[-1]
        for depth, s in zip(convs_up, reversed(range(count - 1)), strict=True):
            enter = nn.Sequential(
                TRANSPOSED[given.rank](below, widths[s], strides[s + 1], strides[s + 1]),
                NORM[given.rank](widths[s]),
                nn.ELU(inplace=True),
            )
            if s >= count - 3:
                enter.insert(0, drop)
            below = 2 * widths[s]
            stages.append(_Up(enter, stack(below, below, depth, s), drop))
        self.decoder.stages = nn.ModuleList(stages)
        head = nn.Sequential(
            *_normed(below, given.num_classes, kernels[0], given),
            nn.ELU(inplace=True),
            given.conv_op(given.num_classes, given.num_classes, 1),
        )
        self.decoder.seg_layers = nn.ModuleList([head])

    def logits(self, x: Tensor) -> Tensor:
        encoder: Any = self.encoder
        skips = []
        for stage in encoder:
            x = stage(x)
            skips.append(x)
        for stage, skip in zip(self.decoder.stages, reversed(skips[:-1]), strict=True):
            x = stage(x, skip)
        y: Tensor = self.decoder.seg_layers[0](x)
        return y


def _normed(inputs: int, width: int, kernel: Sequence[int], plan: Plan) -> list[nn.Module]:
    padding = [k // 2 for k in kernel]
    conv = plan.conv_op(inputs, width, kernel, padding=padding, bias=False)
    return [conv, NORM[plan.rank](width)]


class _First(nn.Module):
    """``elu(body(x) + x)``, with the channels of x repeated to the width."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.width = body, width

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        times = -(-self.width // x.shape[1])
        return nn.functional.elu(y + torch.cat([x] * times, 1)[:, : self.width])


class _Down(nn.Module):
    """``elu(body(drop(e)) + e)`` with ``e = enter(x)``."""

    def __init__(self, enter: nn.Module, body: nn.Module, drop: nn.Module) -> None:
        super().__init__()
        self.enter, self.body, self.drop = enter, body, drop

    def forward(self, x: Tensor) -> Tensor:
        entered: Tensor = self.enter(x)
        return nn.functional.elu(self.body(self.drop(entered)) + entered)


class _Up(nn.Module):
    """``elu(body(c) + c)`` with ``c`` the concatenation of ``enter(x)`` and ``drop(skip)``."""

    def __init__(self, enter: nn.Module, body: nn.Module, drop: nn.Module) -> None:
        super().__init__()
        self.enter, self.body, self.drop = enter, body, drop

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        both = torch.cat((self.enter(x), self.drop(skip)), 1)
        return nn.functional.elu(self.body(both) + both)
