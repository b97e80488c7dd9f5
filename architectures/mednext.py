"""MedNeXt: a U-Net of ConvNeXt blocks (Roy 2023, arXiv 2303.09975), in its four sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from architectures.blocks.mednext import MedNeXtBlock
from architectures.full_resolution import FullResolutionNetwork
from architectures.outputs import Output
from architectures.padding import crop_to, pad_to_multiple
from architectures.plan import Plan
from architectures.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Sequence


class Size(NamedTuple):
    """Blocks and expansion of each stage, from the image to the bottleneck; further stages are as the last."""

    blocks: tuple[int, ...]
    expansions: tuple[int, ...]


#: Table 1 of the paper.
SIZES = {
    "S": Size((2, 2, 2, 2, 2), (2, 2, 2, 2, 2)),
    "B": Size((2, 2, 2, 2, 2), (2, 3, 4, 4, 4)),
    "M": Size((3, 4, 4, 4, 4), (2, 3, 4, 4, 4)),
    "L": Size((3, 4, 8, 8, 8), (3, 4, 8, 8, 8)),
}
KERNELS = (3, 5)


class MedNeXt(FullResolutionNetwork):
    """MedNeXt with stages, widths and strides of the plan; at the published topology it is the published network.

    Stages of the plan give widths, strides and the axes along which a kernel is larger than 1; blocks, expansions and
    kernel sizes are those of the paper. A block that changes the size has the expansion of the stage that it leads
    to, as in the authors' code. MONAI's class has fixed widths, strides and kernels, and for sizes B, M and L other
    expansions on the way down. There is a head for every stage of the decoder.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list, largest first.
    S need not be divisible by the strides.

    >>> import torch
    >>> network = MedNeXt(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=nn.Conv2d, kernel_sizes=3,
    ...     strides=[1, 2], n_conv_per_stage=2)
    >>> network(torch.zeros(1, 1, 5, 8)).shape
    torch.Size([1, 2, 5, 8])

    Args:
        size: S, B, M or L.
        kernel: 3 or 5.
        plan: the arguments in ``architectures.plan.Plan``. Depths, bias, normalisation, dropout and nonlinearity of
            the plan are not used.

    Raises:
        ValueError: unknown size or kernel, or a first stage with a stride.
    """

    encoder_names = ("stem", "encoder", "down")

    def __init__(self, *, size: str = "S", kernel: int = 3, **plan: Any) -> None:
        given = Plan.read(type(self), plan)
        if size not in SIZES:
            raise ValueError(f"MedNeXt: no size called {size!r}; known: {', '.join(SIZES)}")
        if kernel not in KERNELS:
            raise ValueError(f"MedNeXt: kernel is {kernel!r}; allowed: 3 or 5")
        topology = Topology.read("MedNeXt", given)
        if any(n > 1 for n in topology.strides[0]):
            raise ValueError(
                f"MedNeXt: the first stage has stride {topology.strides[0]}; it must be 1: the first map has the "
                "size of the image"
            )
        super().__init__(given, stride=topology.reach[-1])
        self.topology, self.reach = topology, topology.reach
        count, widths, strides = given.n_stages, topology.widths, topology.strides
        blocks, expansions = (
            [numbers[min(s, len(numbers) - 1)] for s in range(count)] for numbers in SIZES[size]
        )
        kernels = [[kernel if k > 1 else 1 for k in row] for row in topology.kernels]

        def block(stage: int, channels: int, **more: Any) -> MedNeXtBlock:
            return MedNeXtBlock(
                channels,
                conv_op=given.conv_op,
                kernel_size=kernels[stage],
                expansion=expansions[stage],
                **more,
            )

        def stack(stage: int) -> nn.Sequential:
            return nn.Sequential(*(block(stage, widths[stage]) for _ in range(blocks[stage])))

        self.stem = given.conv_op(given.input_channels, widths[0], 1)
        self.encoder = nn.ModuleList(stack(s) for s in range(count))
        self.down = nn.ModuleList(
            block(s, widths[s - 1], width=widths[s], stride=strides[s]) for s in range(1, count)
        )
        # From coarse to fine.
        up = list(reversed(range(count - 1)))
        self.decoder.up = nn.ModuleList(
            block(s, widths[s + 1], width=widths[s], stride=strides[s + 1], up=True) for s in up
        )
        self.decoder.stages = nn.ModuleList(stack(s) for s in up)
        self.decoder.seg_layers = nn.ModuleList(
            given.conv_op(widths[s], given.num_classes, 1) for s in up
        )

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Entries of the list returned under deep supervision."""
        return tuple(Output("logits", tuple(reach)) for reach in self.reach[:-1])

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size, encoder, decoder = x.shape[2:], self.encoder, self.decoder
        y = encoder[0](self.stem(pad_to_multiple(x, self.stride)))
        skips = []
        for down, stage in zip(self.down, encoder[1:], strict=True):
            skips.append(y)
            y = stage(down(y))
        logits = []
        for s, (up, stage) in enumerate(zip(decoder.up, decoder.stages, strict=True)):
            y = stage(up(y) + skips[-1 - s])
            if decoder.deep_supervision or s == len(skips) - 1:
                logits.append(decoder.seg_layers[s](y))
        logits = [
            crop_to(one, size, reach) for one, reach in zip(logits[::-1], self.reach, strict=False)
        ]
        return logits if decoder.deep_supervision else logits[0]

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if the network cannot process inputs of ``size`` (no batch, no channels)."""
        self.topology.check_input_size(size, normalised_by_instance=True)
