"""2.5D attention U-Net: in plane where the spacing is anisotropic, with supervised attention maps
(sij-fm-25d-attention-unet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.architectures.abstract_arch import (
    AbstractDynamicNetworkArchitectures,
)
from dynamic_network_architectures.building_blocks.helper import get_matching_convtransp
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from architectures.blocks.axial_attention import AxialAttention
from architectures.blocks.context import Context
from architectures.blocks.residual_unit import ResidualUnit, residual_units
from architectures.blocks.squeeze_attention import SqueezeAttention
from architectures.feature_map_size import count_feature_maps
from architectures.outputs import Output
from architectures.padding import crop_to, pad_to_multiple
from architectures.plan import Plan
from architectures.residual_encoder import Encoder
from architectures.topology import POOLS, Topology, one_per_stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The paper supervises the maps of three levels.
MAPS = 3


class AttentionUNet25D(AbstractDynamicNetworkArchitectures):
    """Residual encoder, additive skips, squeeze-and-attention at coarse levels, axial attention at fine ones.

    The encoder, the context block and squeeze-and-attention use the plan's kernel of their stage; the poolings
    of the last two cover every axis. An axis along which the plan's first stage does not convolve but a later
    one does is the through-plane axis. Axial attention stays in plane at every level, and the decoder's units
    convolve in plane, then through plane. A plan without such an axis (isotropic, 2D) uses the plan's kernel
    twice instead, and axial attention along all axes that it convolves along.

    A decoder level is ``units(attend(up(below) + skip))``.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list: logits,
    largest first, then the maps of the axial attention (B, 1, *ceil(S / stride)), from fine to coarse.
    S need not be divisible by the strides.

    >>> import torch
    >>> network = AttentionUNet25D(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2, nonlin=nn.ReLU)
    >>> network(torch.zeros(1, 1, 16, 16)).shape
    torch.Size([1, 2, 16, 16])

    Args:
        pool: 'max', 'avg', or 'conv' (a stage's first unit strides, as in nnU-Net).
        deep_levels: how many of the finest decoder levels have a head; None for all, as in nnU-Net.
        attention_levels: decoder levels with axial attention, 0 is the finest; None for the three finest, but
            not the coarsest of several.
        attention_kwargs: further arguments of AxialAttention.
        squeeze_levels: levels with squeeze-and-attention; None for the bottleneck, n_stages - 1, and the
            coarsest decoder level, n_stages - 2.
        squeeze_kwargs: further arguments of SqueezeAttention.
        context: put a context block on the bottleneck, before its squeeze-and-attention.
        context_kwargs: further arguments of Context.
        plan: the arguments in ``architectures.plan.Plan``, with 2 or more stages. A residual unit has two
            convolutions: n_conv_per_stage and n_conv_per_stage_decoder give half as many units, rounded up.
            n_blocks_per_stage counts units. The paper has two units per encoder stage and one per decoder
            level. Dropout follows the first normalisation of a unit, and is in Context and SqueezeAttention.
            The heads always have a bias. nonlin_first is not used.
    """

    #: Supported numbers of spatial axes.
    ranks: tuple[int, ...] = (2, 3)
    encoder_names = ("encoder",)
    #: Whether plans should carry ``input_size``.
    takes_input_size = False

    def __init__(
        self,
        *,
        pool: str = "max",
        deep_levels: int | None = None,
        attention_levels: Sequence[int] | None = None,
        attention_kwargs: dict[str, Any] | None = None,
        squeeze_levels: Sequence[int] | None = None,
        squeeze_kwargs: dict[str, Any] | None = None,
        context: bool = True,
        context_kwargs: dict[str, Any] | None = None,
        **plan: Any,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        given = Plan.read(type(self), plan)
        levels = given.n_stages - 1
        if levels < 1:
            raise ValueError(
                f"{who}: n_stages is {given.n_stages}, expected 2 or more: plan a larger patch"
            )
        if pool not in POOLS:
            raise ValueError(f"{who}: pool is {pool!r}; allowed: {', '.join(POOLS)}")
        self.topology = topology = Topology.read(who, given)
        self.reach = topology.reach
        self.input_channels, self.norm_op = given.input_channels, given.norm_op
        heads = levels if deep_levels is None else deep_levels
        if not 1 <= heads <= levels:
            raise ValueError(
                f"{who}: deep_levels is {deep_levels}; 1 to {levels} levels can have a head"
            )
        fine = _levels(
            who, "attention_levels", attention_levels, range(max(1, min(MAPS, levels - 1))), levels
        )
        coarse = _levels(
            who, "squeeze_levels", squeeze_levels, (levels - 1, levels), given.n_stages
        )
        convolutions = one_per_stage(
            who, "n_conv_per_stage_decoder", given.n_conv_per_stage_decoder, levels
        )

        depths = topology.depths
        self.encoder = Encoder(
            given.input_channels,
            topology,
            given,
            units=depths if topology.residual else [_units(n) for n in depths],
            pool=pool,
        )
        in_plane, through_plane = _factors(topology)
        width, kernel = topology.widths, topology.kernels
        squeezes = {
            s: SqueezeAttention(width[s], given, kernel_size=kernel[s], **(squeeze_kwargs or {}))
            for s in coarse
        }
        self.context: Any = None
        if context:
            self.context = Context(
                width[-1], given, kernel_size=kernel[-1], **(context_kwargs or {})
            )
        self.squeeze: Any = squeezes.pop(levels, None)
        stages = [
            residual_units(
                _units(n),
                width[s],
                width[s],
                given,
                kernel_size=in_plane[s],
                second_kernel=through_plane[s],
            )
            for s, n in enumerate(reversed(convolutions))
        ]
        attentions = {
            s: AxialAttention(width[s], given, kernel_size=in_plane[s], **(attention_kwargs or {}))
            for s in fine
        }
        self.decoder = AttentionDecoder(
            given, topology, stages=stages, squeezes=squeezes, attentions=attentions, heads=heads
        )

        # Where nnU-Net's pretraining finds the parts; two convolutions read the image.
        self.key_to_encoder, self.key_to_stem = "encoder.stages", "encoder.stages.0"
        first = next(name for name, m in self.named_modules() if isinstance(m, ResidualUnit))
        self.keys_to_in_proj = (f"{first}.first.0", f"{first}.shortcut")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Entries of the list returned under deep supervision."""
        heads, maps = self.decoder.heads, self.decoder.levels_with_map
        return (
            *(Output("logits", tuple(reach)) for reach in self.reach[:heads]),
            *(Output("attention", tuple(self.reach[s])) for s in maps),
        )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size = x.shape[2:]
        skips = self.encoder(pad_to_multiple(x, self.reach[-1]))
        if self.context is not None:
            skips[-1] = self.context(skips[-1])
        if self.squeeze is not None:
            skips[-1] = self.squeeze(skips[-1])
        y = self.decoder(skips)
        if not isinstance(y, list):
            return crop_to(y, size, self.reach[0])
        return [crop_to(m, size, output.stride) for m, output in zip(y, self.outputs, strict=True)]

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if the network cannot process inputs of ``size`` (no batch, no channels)."""
        by_instance = self.norm_op is not None and issubclass(self.norm_op, _InstanceNorm)
        self.topology.check_input_size(size, normalised_by_instance=by_instance)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolutions' outputs for one sample of ``input_size`` (no channels)."""
        self.topology.sizes(input_size)  # rejects another rank
        return count_feature_maps(self, self.input_channels, input_size)

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """nnU-Net's initialisation: He for convolutions, and ResidualUnit.start."""
        InitWeights_He(1e-2)(module)
        if isinstance(module, ResidualUnit):
            module.start()


class AttentionDecoder(nn.Module):
    """Additive skips; a level may weight the sum by squeeze-and-attention, then by axial attention.

    Shapes: a list of skips (B, widths, *S / reach), largest first, to (B, num_classes, *S), or under deep
    supervision a list: logits, largest first, then maps, from fine to coarse.

    Args:
        plan: of the network.
        topology: the encoder's stages.
        stages: residual units of each level, from fine to coarse.
        squeezes: squeeze-and-attention by level.
        attentions: axial attention by level.
        heads: how many of the finest levels have a head.
    """

    def __init__(
        self,
        plan: Plan,
        topology: Topology,
        *,
        stages: Sequence[nn.Module],
        squeezes: Mapping[int, nn.Module],
        attentions: Mapping[int, nn.Module],
        heads: int,
    ) -> None:
        super().__init__()
        self.deep_supervision = plan.deep_supervision
        self.heads = heads
        self.levels_with_map = sorted(attentions)
        transposed = get_matching_convtransp(conv_op=plan.conv_op)
        self.transpconvs = nn.ModuleList(
            transposed(wide, narrow, stride, stride, bias=plan.conv_bias)
            for narrow, wide, stride in zip(
                topology.widths, topology.widths[1:], topology.strides[1:], strict=False
            )
        )
        self.stages = nn.ModuleList(stages)
        self.squeezes = nn.ModuleDict({str(s): block for s, block in sorted(squeezes.items())})
        self.attentions = nn.ModuleDict({str(s): block for s, block in sorted(attentions.items())})
        # By this name nnU-Net recognises layers that pretrained weights may lack.
        self.seg_layers = nn.ModuleList(
            plan.conv_op(width, plan.num_classes, 1, bias=True) for width in topology.widths[:heads]
        )

    def forward(self, skips: Sequence[Tensor]) -> Tensor | list[Tensor]:
        x = skips[-1]
        logits: list[Tensor] = []
        maps: list[Tensor] = []
        for s in reversed(range(len(self.stages))):
            x = self.transpconvs[s](x).add_(skips[s])
            if str(s) in self.squeezes:
                x = self.squeezes[str(s)](x)
            if str(s) in self.attentions:
                x, weights = self.attentions[str(s)](x)
                maps.append(weights)
            x = self.stages[s](x)
            if s == 0 or (self.deep_supervision and s < self.heads):
                logits.append(self.seg_layers[s](x))
        return [*logits[::-1], *maps[::-1]] if self.deep_supervision else logits[-1]


def _factors(topology: Topology) -> tuple[list[list[int]], list[list[int]]]:
    """Kernels of the decoder's units at each stage: in plane and through plane, or the plan's kernel twice."""
    kernels = topology.kernels
    longest = [max(sizes) for sizes in zip(*kernels, strict=True)]
    through = [k == 1 < longer for k, longer in zip(kernels[0], longest, strict=True)]
    if all(through) or not any(through):
        return kernels, kernels
    second = [longer if off else 1 for longer, off in zip(longest, through, strict=True)]
    first = [[1 if off else k for k, off in zip(row, through, strict=True)] for row in kernels]
    return first, [second] * len(first)


def _units(convolutions: int) -> int:
    """Residual units of two convolutions each, rounded up."""
    return -(-convolutions // 2)


def _levels(
    who: str, what: str, given: Sequence[int] | None, default: Sequence[int], count: int
) -> list[int]:
    levels = default if given is None else given
    if any(s not in range(count) for s in levels) or len(set(levels)) != len(levels):
        raise ValueError(
            f"{who}: {what} is {list(levels)}; expected levels 0 to {count - 1}, each once"
        )
    return sorted(levels)
