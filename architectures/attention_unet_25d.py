"""2.5D attention U-Net: in plane while the spacing is anisotropic, with supervised attention maps (paper 002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.architectures.abstract_arch import (
    AbstractDynamicNetworkArchitectures,
)
from dynamic_network_architectures.building_blocks.helper import get_matching_convtransp
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from dynamic_network_architectures.initialization.weight_init import (
    InitWeights_He,
    init_last_bn_before_add_to_0,
)
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from architectures.blocks.axial_attention import AxialAttention
from architectures.blocks.context import Context
from architectures.blocks.squeeze_attention import SqueezeAttention
from architectures.counting import count_feature_maps
from architectures.outputs import Output
from architectures.sizes import crop_to, pad_to_multiple
from architectures.topology import POOLS, Topology, one_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The paper supervises the maps of three levels.
MAPS = 3


class AttentionUNet25D(AbstractDynamicNetworkArchitectures):
    """Residual encoder, additive skips, squeeze-and-attention where it is coarse, axial attention where fine.

    Which stages stay in plane is the plan's: where a kernel is 1 along an axis, so is every kernel of that
    stage, those of the attention too, and where a stride is 1, nothing is pooled. A decoder level is
    ``attend(convs(up(below) + skip))``.

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
        n_conv_per_stage_decoder: convolutions of each decoder level, from coarse to fine.
        n_conv_per_stage: convolutions of each encoder stage; exactly one of this and n_blocks_per_stage. A
            block has two: half as many blocks, rounded up.
        n_blocks_per_stage: residual blocks of each encoder stage.
        conv_bias: as in ResidualEncoder, like the following.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class.
        nonlin_kwargs: its arguments.
        deep_supervision: return a list.
        nonlin_first: nonlinearity before normalisation (decoder only).
        pool: 'max', 'avg', or 'conv' (a stage's first convolution strides, as in nnU-Net).
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

        common: dict[str, Any] = {
            "norm_op": norm_op,
            "norm_op_kwargs": norm_op_kwargs,
            "nonlin": nonlin,
            "nonlin_kwargs": nonlin_kwargs,
            "conv_bias": conv_bias,
        }
        layers = {**common, "dropout_op": dropout_op, "dropout_op_kwargs": dropout_op_kwargs}
        self.encoder: Any = ResidualEncoder(
            input_channels,
            n_stages,
            plan.widths,
            conv_op,
            plan.kernels,
            plan.strides,
            plan.depths if plan.residual else [-(-depth // 2) for depth in plan.depths],
            **layers,
            block=BasicBlockD,
            return_skips=True,
            pool_type=pool,
        )
        if pool != "conv":
            # A pooling of stride 1 changes nothing, but keeps a map and its indices.
            for s, stride in enumerate(plan.strides):
                if all(n == 1 for n in stride):
                    self.encoder.stages[s] = self.encoder.stages[s][1]

        told: list[dict[str, Any]] = [
            {**common, "conv_op": conv_op, "kernel_size": kernel} for kernel in plan.kernels
        ]
        squeezes = {
            s: SqueezeAttention(plan.widths[s], **told[s], **(squeeze_kwargs or {})) for s in coarse
        }
        attentions = {
            s: AxialAttention(plan.widths[s], **told[s], **(attention_kwargs or {})) for s in fine
        }
        self.context: Any = (
            Context(plan.widths[-1], **told[-1], **(context_kwargs or {})) if context else None
        )
        self.squeeze: Any = squeezes.pop(levels, None)
        convolutions = one_each(who, "n_conv_per_stage_decoder", n_conv_per_stage_decoder, levels)
        self.decoder = AttentionDecoder(
            plan,
            num_classes,
            stages=[
                StackedConvBlocks(
                    n, conv_op, plan.widths[s], plan.widths[s], plan.kernels[s], 1, **layers,
                    nonlin_first=nonlin_first,
                )
                for s, n in enumerate(reversed(convolutions))
            ],
            squeezes=squeezes,
            attentions=attentions,
            heads=heads,
            conv_op=conv_op,
            conv_bias=conv_bias,
            deep_supervision=deep_supervision,
        )  # fmt: skip

        # Where nnU-Net's pretraining finds the parts.
        self.key_to_encoder, self.key_to_stem = "encoder.stages", "encoder.stem"
        self.keys_to_in_proj = (
            "encoder.stem.convs.0.all_modules.0",
            "encoder.stem.convs.0.conv",
        )

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
        sizes = self.topology.sizes(size)
        squeezes: dict[str, Any] = dict(self.decoder.squeezes)
        if self.squeeze is not None:
            squeezes[str(len(sizes) - 1)] = self.squeeze
        for level, block in squeezes.items():
            pooled = block.pooled_size(sizes[int(level)])
            if by_instance and np.prod(pooled) == 1:
                raise ValueError(
                    f"{type(self).__name__}: a patch of {tuple(size)} voxels leaves {tuple(sizes[int(level)])} at "
                    f"level {level}, half of which is one voxel, and instance normalisation wants more; plan with "
                    "fewer stages or a larger patch, or leave the level out of squeeze_levels"
                )
        if self.context is not None:
            try:
                self.context.check_input_size(sizes[-1])
            except ValueError as error:
                raise ValueError(f"{type(self).__name__}: context_kwargs: {error}") from error

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolutions' outputs for one sample of ``input_size`` (no channels)."""
        self.topology.sizes(input_size)  # refuses another rank
        return count_feature_maps(self, self.input_channels, input_size)

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """nnU-Net's initialisation: He for convolutions, residual branches closed at start.

        A branch stays open where its last normalisation has no weight to close it with.
        """
        InitWeights_He(1e-2)(module)
        if isinstance(module, BasicBlockD):
            last = getattr(module.conv2, "norm", None)
            if getattr(last, "weight", None) is not None:
                init_last_bn_before_add_to_0(module)


class AttentionDecoder(nn.Module):
    """Additive skips; each level may weigh its map by squeeze-and-attention, axial attention or both, in turn.

    Shapes: a list of skips (B, widths, *S / reach), largest first, to (B, num_classes, *S), or under deep
    supervision a list: logits, largest first, then maps, from fine to coarse.

    Args:
        plan: the encoder's topology.
        num_classes: channels of the output.
        stages: convolutions of each level, from fine to coarse.
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
            x = self.stages[s](self.transpconvs[s](x) + skips[s])
            if str(s) in self.squeezes:
                x = self.squeezes[str(s)](x)
            if str(s) in self.attentions:
                x, weights = self.attentions[str(s)](x)
                maps.append(weights)
            if s == 0 or (self.deep_supervision and s < self.heads):
                logits.append(self.seg_layers[s](x))
        return [*logits[::-1], *maps[::-1]] if self.deep_supervision else logits[-1]


def _levels(who: str, what: str, levels: Sequence[int], last: int) -> list[int]:
    wrong = [s for s in levels if s not in range(last + 1)]
    if wrong or len(set(levels)) != len(levels):
        raise ValueError(
            f"{who}: {what} is {list(levels)}; wanted are levels 0 to {last}, each once"
        )
    return sorted(levels)
