"""2.5D attention U-Net: in plane while the spacing is anisotropic, with supervised attention maps (paper 002)."""

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
from architectures.residual_encoder import Encoder
from architectures.topology import POOLS, Topology, one_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The paper supervises the maps of three levels.
MAPS = 3


class AttentionUNet25D(AbstractDynamicNetworkArchitectures):
    """Residual encoder, additive skips, squeeze-and-attention where it is coarse, axial attention where fine.

    The kernels of the encoder are the plan's, those of the context and of squeeze-and-attention their stage's;
    the pools of these two look along every axis. An axis that the plan's first stage does not convolve along,
    but a later one does, lies across the plane. The axial attention stays in the plane at every level, and the
    units of the decoder take a kernel in the plane, then one across. A plan without such an axis (isotropic, 2D)
    has the plan's kernel twice instead, and axial attention along all axes that it convolves along.

    A decoder level is ``units(attend(up(below) + skip))``.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list: logits,
    largest first, then the maps of the axial attention (B, 1, *ceil(S / stride)), from fine to coarse.
    S need not be divisible by the strides.

    Args:
        input_channels: number of image channels.
        n_stages: resolution stages of the encoder, the bottleneck included; 2 or more.
        features_per_stage: channels of each stage.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``; decides the rank.
        kernel_sizes: one a stage.
        strides: one a stage.
        num_classes: channels of the output.
        n_conv_per_stage_decoder: convolutions of each decoder level, from coarse to fine. A unit has two: half
            as many units, rounded up, one at least; the paper has one a level.
        n_conv_per_stage: convolutions of each encoder stage, likewise; this or n_blocks_per_stage is given.
        n_blocks_per_stage: residual units of each encoder stage; the paper has two.
        conv_bias: bias of the convolutions; the context's last never has one, the heads always.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None; in a unit after the first normalisation, and in the context and
            squeeze-and-attention.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class.
        nonlin_kwargs: its arguments.
        deep_supervision: return a list.
        nonlin_first: not used: a residual unit has one order.
        pool: 'max', 'avg', or 'conv' (a stage's first unit strides, as in nnU-Net).
        deep_levels: how many of the finest decoder levels have a head; None for all, as in nnU-Net.
        attention_levels: decoder levels with axial attention, 0 the finest; None for the three finest, but
            not the coarsest of several.
        squeeze_levels: levels with squeeze-and-attention; None for the bottleneck, n_stages - 1, and the
            coarsest decoder level, n_stages - 2.
        context: a context block on the bottleneck, before its squeeze-and-attention.
        attention_kwargs: further arguments of AxialAttention; likewise
        squeeze_kwargs: of SqueezeAttention and
        context_kwargs: of Context.
    """

    #: Numbers of spatial axes that it can take.
    ranks = (2, 3)
    #: Whether plans should carry ``input_size``.
    takes_input_size = False

    def __init__(
        self,
        input_channels: int,
        n_stages: int,
        features_per_stage: int | Sequence[int],
        conv_op: type[nn.Module],
        kernel_sizes: int | Sequence[Any],
        strides: int | Sequence[Any],
        num_classes: int,
        n_conv_per_stage_decoder: int | Sequence[int],
        n_conv_per_stage: int | Sequence[int] | None = None,
        n_blocks_per_stage: int | Sequence[int] | None = None,
        conv_bias: bool = False,
        norm_op: type[nn.Module] | None = None,
        norm_op_kwargs: dict[str, Any] | None = None,
        dropout_op: type[nn.Module] | None = None,
        dropout_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None = None,
        nonlin_kwargs: dict[str, Any] | None = None,
        deep_supervision: bool = False,
        nonlin_first: bool = False,
        *,
        pool: str = "max",
        deep_levels: int | None = None,
        attention_levels: Sequence[int] | None = None,
        squeeze_levels: Sequence[int] | None = None,
        context: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        squeeze_kwargs: dict[str, Any] | None = None,
        context_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        if n_stages < 2:
            raise ValueError(
                f"{who}: n_stages is {n_stages}; 2 or more are wanted: plan a larger patch"
            )
        if pool not in POOLS:
            raise ValueError(f"{who}: pool is {pool!r}; allowed: {', '.join(POOLS)}")
        plan = Topology.read(
            who,
            n_stages=n_stages,
            features_per_stage=features_per_stage,
            conv_op=conv_op,
            kernel_sizes=kernel_sizes,
            strides=strides,
            n_conv_per_stage=n_conv_per_stage,
            n_blocks_per_stage=n_blocks_per_stage,
        )
        self.topology, self.reach = plan, plan.reach
        self.input_channels, self.norm_op = input_channels, norm_op
        levels = n_stages - 1
        heads = levels if deep_levels is None else deep_levels
        if not 1 <= heads <= levels:
            raise ValueError(
                f"{who}: deep_levels is {deep_levels}; 1 to {levels} levels can have a head"
            )
        if attention_levels is None:
            attention_levels = range(max(1, min(MAPS, levels - 1)))
        if squeeze_levels is None:
            squeeze_levels = (levels - 1, levels)
        fine = _levels(who, "attention_levels", attention_levels, levels - 1)
        coarse = _levels(who, "squeeze_levels", squeeze_levels, levels)
        convolutions = one_each(who, "n_conv_per_stage_decoder", n_conv_per_stage_decoder, levels)

        common: dict[str, Any] = {
            "conv_op": conv_op,
            "conv_bias": conv_bias,
            "norm_op": norm_op,
            "norm_op_kwargs": norm_op_kwargs,
            "nonlin": nonlin,
            "nonlin_kwargs": nonlin_kwargs,
        }
        layers = {**common, "dropout_op": dropout_op, "dropout_op_kwargs": dropout_op_kwargs}
        self.encoder = Encoder(
            input_channels,
            plan,
            units=plan.depths if plan.residual else [-(-n // 2) for n in plan.depths],
            pool=pool,
            layers=layers,
        )
        in_plane, across = _factors(plan)
        width, kernel = plan.widths, plan.kernels
        squeezes = {
            s: SqueezeAttention(width[s], kernel_size=kernel[s], **layers, **(squeeze_kwargs or {}))
            for s in coarse
        }
        self.context: Any = (
            Context(width[-1], kernel_size=kernel[-1], **layers, **(context_kwargs or {}))
            if context
            else None
        )
        self.squeeze: Any = squeezes.pop(levels, None)
        self.decoder = AttentionDecoder(
            plan,
            num_classes,
            stages=[
                residual_units(
                    -(-n // 2),
                    width[s],
                    width[s],
                    kernel_size=in_plane[s],
                    second_kernel=across[s],
                    **layers,
                )
                for s, n in enumerate(reversed(convolutions))
            ],
            squeezes=squeezes,
            attentions={
                s: AxialAttention(
                    width[s], kernel_size=in_plane[s], **common, **(attention_kwargs or {})
                )
                for s in fine
            },
            heads=heads,
            conv_op=conv_op,
            conv_bias=conv_bias,
            deep_supervision=deep_supervision,
        )

        # Where nnU-Net's pretraining finds the parts; two convolutions see the image.
        self.key_to_encoder, self.key_to_stem = "encoder.stages", "encoder.stages.0"
        first = next(name for name, m in self.named_modules() if isinstance(m, ResidualUnit))
        self.keys_to_in_proj = (f"{first}.first.0", f"{first}.shortcut")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the list under deep supervision holds."""
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
        return [crop_to(m, size, said.stride) for m, said in zip(y, self.outputs, strict=True)]

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if the network can't work on inputs of ``size`` (no batch, no channels)."""
        by_instance = self.norm_op is not None and issubclass(self.norm_op, _InstanceNorm)
        self.topology.check_input_size(size, normalised_by_instance=by_instance)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolutions' outputs for one sample of ``input_size`` (no channels)."""
        self.topology.sizes(input_size)  # refuses another rank
        return count_feature_maps(self, self.input_channels, input_size)

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """nnU-Net's initialisation: He for convolutions, residual branches closed at start where they can be."""
        InitWeights_He(1e-2)(module)
        if isinstance(module, ResidualUnit):
            module.start()


class AttentionDecoder(nn.Module):
    """Additive skips; a level may weigh the sum by squeeze-and-attention, axial attention or both, in turn.

    Shapes: a list of skips (B, widths, *S / reach), largest first, to (B, num_classes, *S), or under deep
    supervision a list: logits, largest first, then maps, from fine to coarse.

    Args:
        plan: the encoder's topology.
        num_classes: channels of the output.
        stages: residual units of each level, from fine to coarse.
        squeezes: squeeze-and-attention by level.
        attentions: axial attention by level.
        heads: how many of the finest levels have a head.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        conv_bias: bias of the transposed convolutions.
        deep_supervision: return a list.
    """

    def __init__(
        self,
        plan: Topology,
        num_classes: int,
        *,
        stages: Sequence[nn.Module],
        squeezes: Mapping[int, nn.Module],
        attentions: Mapping[int, nn.Module],
        heads: int,
        conv_op: type[nn.Module],
        conv_bias: bool,
        deep_supervision: bool,
    ) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision
        self.heads = heads
        self.levels_with_map = sorted(attentions)
        transposed = get_matching_convtransp(conv_op=conv_op)
        self.transpconvs = nn.ModuleList(
            transposed(wide, narrow, stride, stride, bias=conv_bias)
            for narrow, wide, stride in zip(
                plan.widths, plan.widths[1:], plan.strides[1:], strict=False
            )
        )
        self.stages = nn.ModuleList(stages)
        self.squeezes = nn.ModuleDict({str(s): block for s, block in sorted(squeezes.items())})
        self.attentions = nn.ModuleDict({str(s): block for s, block in sorted(attentions.items())})
        # nnU-Net knows by the name that pretrained weights for them may be missing.
        self.seg_layers = nn.ModuleList(
            conv_op(width, num_classes, 1, bias=True) for width in plan.widths[:heads]
        )

    def forward(self, skips: Sequence[Tensor]) -> Tensor | list[Tensor]:
        x = skips[-1]
        logits, maps = [], []
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


def _factors(plan: Topology) -> tuple[list[list[int]], list[list[int]]]:
    """Kernels of the decoder's units, a pair a stage: in plane and across, or the plan's own twice."""
    longest = [max(sizes) for sizes in zip(*plan.kernels, strict=True)]
    across = [k == 1 < far for k, far in zip(plan.kernels[0], longest, strict=True)]
    if all(across) or not any(across):
        return plan.kernels, plan.kernels
    second = [far if off else 1 for far, off in zip(longest, across, strict=True)]
    first = [[1 if off else k for k, off in zip(row, across, strict=True)] for row in plan.kernels]
    return first, [second] * len(first)


def _levels(who: str, what: str, levels: Sequence[int], last: int) -> list[int]:
    wrong = [s for s in levels if s not in range(last + 1)]
    if wrong or len(set(levels)) != len(levels):
        raise ValueError(
            f"{who}: {what} is {list(levels)}; wanted are levels 0 to {last}, each once"
        )
    return sorted(levels)
