"""The U-Net that nnU-Net plans for, with slots for the papers' blocks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.architectures.abstract_arch import (
    AbstractDynamicNetworkArchitectures,
)
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.initialization.weight_init import (
    InitWeights_He,
    init_last_bn_before_add_to_0,
)
from torch.nn.modules.instancenorm import _InstanceNorm

from architectures.blocks.appended import Followed
from architectures.blocks.auxiliary_head import AuxiliaryHead
from architectures.decoder import Decoder
from architectures.outputs import Output
from architectures.padding import crop_to, pad_to_multiple
from architectures.slots import BOTTLENECKS, SKIPS, STAGES, STEMS, WRAPS, choose
from architectures.topology import Topology, one_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn


class ModularUNet(AbstractDynamicNetworkArchitectures):
    """U-Net from the arguments of nnU-Net's plans, plain or residual encoder, with a block in each slot.

    With every slot 'plain' it is PlainConvUNet or ResidualEncoderUNet, parameter for parameter.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list,
    largest first. S need not be divisible by the strides.

    Args:
        input_channels: number of image channels.
        n_stages: resolution stages of the encoder, the bottleneck included.
        features_per_stage: channels of each stage.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``; decides the rank.
        kernel_sizes: one a stage.
        strides: one a stage.
        num_classes: channels of the output.
        n_conv_per_stage_decoder: convolutions of each decoder stage.
        n_conv_per_stage: convolutions of each stage of a plain encoder; exactly one of this and
        n_blocks_per_stage: residual blocks of each stage of a residual encoder.
        conv_bias: as in PlainConvUNet, like the following.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class.
        nonlin_kwargs: its arguments.
        deep_supervision: return the logits of every decoder stage.
        nonlin_first: nonlinearity before normalisation (plain encoder only).
        block: residual block class (residual encoder only, like the following).
        bottleneck_channels: of BottleneckD.
        stem_channels: of the stem.
        pool: 'conv' (the stage's first convolution strides, as in nnU-Net), 'max' or 'avg'.
        stem: name in ``slots.STEMS``.
        stage: name in ``slots.STAGES``, for what follows the convolutions of encoder stages.
        stage_at: which stages; None for all but the bottleneck.
        wrap: name in ``slots.WRAPS``, for what goes around the convolutions of every stage, encoder (unless
            it is residual) and decoder.
        bottleneck: name in ``slots.BOTTLENECKS``.
        skip: name in ``slots.SKIPS``.
        stem_kwargs: further arguments of the stem's block; likewise
        stage_kwargs: of each stage's,
        bottleneck_kwargs: of the bottleneck's and
        skip_kwargs: of each skip's.
        auxiliary: add a 1x1 head on the bottleneck, whose logits come last under deep supervision.
        deep_levels: how many of the finest decoder levels have a head; None for all, as in nnU-Net.
        input_size: the patch, for blocks that adapt to the size of their map; None if unknown.
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
        block: type[nn.Module] = BasicBlockD,
        bottleneck_channels: int | Sequence[int] | None = None,
        stem_channels: int | None = None,
        *,
        pool: str = "conv",
        stem: str = "plain",
        stage: str = "plain",
        stage_at: Sequence[int] | None = None,
        wrap: str = "plain",
        bottleneck: str = "plain",
        skip: str = "plain",
        stem_kwargs: dict[str, Any] | None = None,
        stage_kwargs: dict[str, Any] | None = None,
        bottleneck_kwargs: dict[str, Any] | None = None,
        skip_kwargs: dict[str, Any] | None = None,
        auxiliary: bool = False,
        deep_levels: int | None = None,
        input_size: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        for slot, name, given in (
            ("stem", stem, stem_kwargs),
            ("stage", stage, stage_kwargs),
            ("stage", stage, stage_at),
            ("bottleneck", bottleneck, bottleneck_kwargs),
            ("skip", skip, skip_kwargs),
        ):
            if name == "plain" and given:
                raise ValueError(
                    f"{who}: {given} is given for {slot}, which is plain and takes nothing; name its block as "
                    f"{slot} too, or leave them out"
                )
        plan = Topology.read(
            who,
            n_stages=n_stages,
            features_per_stage=features_per_stage,
            conv_op=conv_op,
            kernel_sizes=kernel_sizes,
            strides=strides,
            n_conv_per_stage=n_conv_per_stage,
            n_blocks_per_stage=n_blocks_per_stage,
            pool=pool,
        )
        self.topology, self.reach = plan, plan.reach
        self.conv_op, self.norm_op, self.residual = conv_op, norm_op, plan.residual
        layers = {
            "conv_bias": conv_bias,
            "norm_op": norm_op,
            "norm_op_kwargs": norm_op_kwargs,
            "dropout_op": dropout_op,
            "dropout_op_kwargs": dropout_op_kwargs,
            "nonlin": nonlin,
            "nonlin_kwargs": nonlin_kwargs,
        } | ({} if plan.residual else {"nonlin_first": nonlin_first})
        maps = [None] * n_stages if input_size is None else plan.sizes(input_size)
        #: What a block at each stage is told of the plan.
        told = [
            {
                "conv_op": conv_op,
                "kernel_size": kernel,
                "map_size": size,
                "gating_channels": width,
                **layers,
            }
            for kernel, size, width in zip(plan.kernels, maps, plan.widths, strict=True)
        ]

        stem_block: Any = choose(f"{who} stem", STEMS, stem)
        if stem_block is not None:
            stem_block = stem_block(
                input_channels,
                stem_channels or plan.widths[0] if plan.residual else plan.widths[0],
                conv_op=conv_op,
                kernel_size=plan.kernels[0],
                stride=1 if plan.residual else plan.conv_strides[0],
                n_convs=1 if plan.residual else plan.depths[0],
                block_kwargs=layers,
                **(stem_kwargs or {}),
            )
        # A stem may be wider than its stage: the next stage and the skip take it as it comes.
        stem_width = getattr(stem_block, "output_channels", None)
        features = list(plan.widths)
        if stem_width and not plan.residual:
            features[0] = stem_width
        arguments = (input_channels, n_stages, features, conv_op, plan.kernels, plan.strides)
        self.encoder: Any
        if plan.residual:
            self.encoder = ResidualEncoder(
                *arguments,
                plan.depths,
                **layers,
                block=block,
                bottleneck_channels=bottleneck_channels,
                stem_channels=stem_width or stem_channels,
                return_skips=True,
            )
        else:
            depths = [max(1, depth) for depth in plan.depths]
            self.encoder = PlainConvEncoder(
                *arguments, depths, **layers, return_skips=True, pool=pool
            )
            if plan.depths[-1] == 0:
                self.encoder.stages[-1] = self.encoder.stages[-1][:-1]
        if stem_block is not None and plan.residual:
            self.encoder.stem = stem_block
        elif stem_block is not None:
            self._set_body(0, stem_block)

        wrapper = choose(f"{who} wrap", WRAPS, wrap)
        if wrapper is not None and not plan.residual:
            into = [input_channels, *features]
            for s in range(n_stages):
                if plan.depths[s] and (s or stem_block is None):
                    step = plan.conv_strides[s]
                    around = _wrapped(wrapper, told[s], step, self._body(s), into[s], features[s])
                    self._set_body(s, around)
        stage_block = choose(f"{who} stage", STAGES, stage)
        if stage_block is not None:
            for s in self._places(stage_at):
                follows = stage_block(features[s], told[s], **(stage_kwargs or {}))
                step = plan.conv_strides[s]
                self._set_body(s, Followed(self._body(s), follows, stride=step))
        bottleneck_block = choose(f"{who} bottleneck", BOTTLENECKS, bottleneck)
        self.bottleneck: Any = None
        if bottleneck_block is not None:
            self.bottleneck = bottleneck_block(features[-1], told[-1], **(bottleneck_kwargs or {}))
        skip_block = choose(f"{who} skip", SKIPS, skip)
        gates = None
        if skip_block is not None:
            gates = [
                skip_block(features[s], told[s], **(skip_kwargs or {}))
                for s in reversed(range(n_stages - 1))
            ]
        self.decoder = Decoder(
            self.encoder,
            plan.widths,
            num_classes,
            one_each(who, "n_conv_per_stage_decoder", n_conv_per_stage_decoder, n_stages - 1),
            deep_supervision=deep_supervision,
            nonlin_first=nonlin_first,
            gates=gates,
            wrap=None if wrapper is None else partial(_wrapped, wrapper, told[0], 1),
            levels=deep_levels,
        )
        self.auxiliary: Any = None
        if auxiliary:
            self.auxiliary = AuxiliaryHead(features[-1], num_classes, conv_op=conv_op)

        # Where nnU-Net's pretraining finds the parts.
        self.key_to_encoder = "encoder.stages"
        self.key_to_stem = "encoder.stem" if plan.residual else "encoder.stages.0"
        self.keys_to_in_proj = self._first_convolutions()

    def _places(self, stage_at: Sequence[int] | None) -> Sequence[int]:
        count = len(self.topology.depths)
        places = range(count - 1) if stage_at is None else stage_at
        wrong = [s for s in places if s not in range(count) or self.topology.depths[s] == 0]
        if wrong or len(set(places)) != len(places):
            raise ValueError(
                f"{type(self).__name__}: stage_at is {list(places)}; wanted are stages of the encoder that have "
                f"convolutions, 0 to {count - 1}, each once"
            )
        return places

    def _body(self, stage: int) -> Any:
        """The convolutions of an encoder stage: in a plain one they come after the pooling, if there is one."""
        stages = self.encoder.stages
        return stages[stage] if self.residual else stages[stage][-1]

    def _set_body(self, stage: int, module: nn.Module) -> None:
        if self.residual:
            self.encoder.stages[stage] = module
        else:
            self.encoder.stages[stage][-1] = module

    def _first_convolutions(self) -> tuple[str, ...]:
        """Names of the convolutions that see the image; nnU-Net's block holds its own under two names."""
        path = (
            "encoder.stem"
            if self.residual
            else f"encoder.stages.0.{len(self.encoder.stages[0]) - 1}"
        )
        while hasattr(self.get_submodule(path), "body"):
            path += ".body"
        first = self.get_submodule(path)
        names = getattr(first, "first_convolutions", ("convs.0",))
        return tuple(
            f"{path}.{name}.{part}" for name in names for part in ("all_modules.0", "conv")
        )

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the list under deep supervision holds."""
        logits = [Output("logits", tuple(r)) for r in self.reach[: self.decoder.levels]]
        if self.auxiliary is not None:
            logits.append(Output("auxiliary", tuple(self.reach[-1])))
        return tuple(logits)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size = x.shape[2:]
        skips = self.encoder(pad_to_multiple(x, self.reach[-1]))
        if self.bottleneck is not None:
            skips[-1] = self.bottleneck(skips[-1])
        logits = self.decoder(skips)
        if not isinstance(logits, list):
            return crop_to(logits, size, self.reach[0])
        logits = [crop_to(y, size, s) for y, s in zip(logits, self.reach, strict=False)]
        if self.auxiliary is not None:
            logits.append(crop_to(self.auxiliary(skips[-1]), size, self.reach[-1]))
        return logits

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if the network can't work on inputs of ``size`` (no batch, no channels)."""
        by_instance = self.norm_op is not None and issubclass(self.norm_op, _InstanceNorm)
        self.topology.check_input_size(size, normalised_by_instance=by_instance)
        for s, at in enumerate(self.topology.sizes(size)):
            follows: Any = getattr(self._body(s), "follows", None)
            if hasattr(follows, "check_input_size"):
                follows.check_input_size(at)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all feature maps that training keeps for one sample of ``input_size`` (no channels).

        nnU-Net's planner sizes patch and batch by it. Gates keep the upsampled map and their maps
        inside; dual attention keeps its projections.
        """
        sizes = self.topology.sizes(input_size)
        total = np.int64(0)
        if self.residual and self.encoder.stem is not None:
            total += self.encoder.stem.compute_conv_feature_map_size(input_size)
        for s in range(len(sizes)):
            # A pooled stage's convolutions see the pooled map, a strided one's stride themselves.
            seen = sizes[s] if s == 0 or self.topology.pool != "conv" else sizes[s - 1]
            body = self._body(s)
            if hasattr(body, "compute_conv_feature_map_size"):
                total += body.compute_conv_feature_map_size(seen)
        total += self.decoder.compute_conv_feature_map_size(sizes)
        if hasattr(self.bottleneck, "compute_conv_feature_map_size"):
            total += self.bottleneck.compute_conv_feature_map_size(sizes[-1])
        if self.auxiliary is not None and self.decoder.deep_supervision:
            total += np.prod([self.decoder.num_classes, *sizes[-1]], dtype=np.int64)
        return total

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """nnU-Net's initialisation: He for convolutions, residual branches closed at start."""
        InitWeights_He(1e-2)(module)
        init_last_bn_before_add_to_0(module)


def _wrapped(
    wrapper: Callable[..., nn.Module],
    plan: dict[str, Any],
    stride: Any,
    body: nn.Module,
    input_channels: int,
    output_channels: int,
) -> nn.Module:
    layers = {key: plan[key] for key in ("conv_op", "norm_op", "norm_op_kwargs", "conv_bias")}
    return wrapper(body, input_channels, output_channels, stride=stride, **layers)
