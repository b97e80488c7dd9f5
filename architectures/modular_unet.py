"""The U-Net that nnU-Net plans for, with slots for the papers' blocks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.architectures.abstract_arch import (
    AbstractDynamicNetworkArchitectures,
)
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from dynamic_network_architectures.initialization.weight_init import (
    InitWeights_He,
    init_last_bn_before_add_to_0,
)
from torch import nn
from torch.nn.modules.instancenorm import _InstanceNorm

from architectures.blocks.auxiliary_head import AuxiliaryHead
from architectures.decoder import Decoder
from architectures.outputs import Output
from architectures.padding import crop_to, pad_to_multiple
from architectures.plan import Plan
from architectures.slots import choose
from architectures.topology import Topology, one_per_stage
from architectures.unet_encoder import add_dropout, body, build_encoder, build_stem, set_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


class ModularUNet(AbstractDynamicNetworkArchitectures):
    """U-Net from the arguments of nnU-Net's plans, plain or residual encoder, with a block in each slot.

    With every slot 'plain' it is PlainConvUNet or ResidualEncoderUNet, parameter for parameter.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list,
    largest first. S need not be divisible by the strides.

    >>> import torch
    >>> network = ModularUNet(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])

    Args:
        plan: the arguments in ``architectures.plan.Plan``. Exactly one of n_conv_per_stage (plain encoder) and
            n_blocks_per_stage (residual encoder) is given; nonlin_first applies to a plain encoder only.
        block: residual block class; like the next two for a residual encoder only.
        bottleneck_channels: channels inside BottleneckD.
        stem_channels: channels of the stem.
        pool: 'conv' (the stage's first convolution strides, as in nnU-Net), 'max' or 'avg'.
        dropout_per_stage: for a plain encoder, the rate of the dropout at the end of each convolution block of a
            stage: after the normalisation and the nonlinearity, where dropout_op comes before them. Single
            elements are dropped. 0 where a stem replaces the convolutions. None for no dropout.
        stem: name in ``slots.STEMS``.
        stem_kwargs: further arguments of the stem's block.
        stage: name in ``slots.STAGES``, for a block between an encoder stage and the next. The skip leaves before
            the block; that of the last stage acts on the bottleneck.
        stage_kwargs: further arguments of each stage's block.
        stage_at: stages with that block; None for all but the bottleneck.
        wrap: name in ``slots.WRAPS``, for a block around the convolutions of every stage, in the decoder and in
            a plain encoder.
        bottleneck: name in ``slots.BOTTLENECKS``.
        bottleneck_kwargs: further arguments of the bottleneck's block.
        skip: name in ``slots.SKIPS``.
        skip_kwargs: further arguments of each skip's block.
        auxiliary: add a 1x1 head on the bottleneck; its logits come last under deep supervision.
        deep_levels: how many of the finest decoder levels have a head; None for all, as in nnU-Net.
        input_size: patch size in voxels, for blocks that adapt to the size of their map; None if unknown.
    """

    #: Supported numbers of spatial axes.
    ranks: tuple[int, ...] = (2, 3)
    encoder_names = ("encoder", "stage_blocks", "bottleneck")
    #: Whether plans should carry ``input_size``.
    takes_input_size = False

    def __init__(
        self,
        *,
        block: type[nn.Module] = BasicBlockD,
        bottleneck_channels: int | Sequence[int] | None = None,
        stem_channels: int | None = None,
        pool: str = "conv",
        dropout_per_stage: Sequence[float] | None = None,
        stem: str = "plain",
        stem_kwargs: dict[str, Any] | None = None,
        stage: str = "plain",
        stage_kwargs: dict[str, Any] | None = None,
        stage_at: Sequence[int] | None = None,
        wrap: str = "plain",
        bottleneck: str = "plain",
        bottleneck_kwargs: dict[str, Any] | None = None,
        skip: str = "plain",
        skip_kwargs: dict[str, Any] | None = None,
        auxiliary: bool = False,
        deep_levels: int | None = None,
        input_size: Sequence[int] | None = None,
        **plan: Any,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        stem_block = choose(who, "stem", stem, stem_kwargs)
        stage_block = choose(who, "stage", stage, stage_kwargs, stage_at)
        wrap_block = choose(who, "wrap", wrap)
        bottleneck_block = choose(who, "bottleneck", bottleneck, bottleneck_kwargs)
        skip_block = choose(who, "skip", skip, skip_kwargs)

        given = Plan.read(type(self), plan)
        self.topology = Topology.read(who, given, pool=pool)
        self.reach = self.topology.reach
        self.norm_op, self.residual = given.norm_op, self.topology.residual

        new_stem = (
            build_stem(stem_block, given, self.topology, stem_channels, stem_kwargs or {})
            if stem_block
            else None
        )
        self.encoder: Any = build_encoder(
            given,
            self.topology,
            new_stem,
            block=block,
            bottleneck_channels=bottleneck_channels,
            stem_channels=stem_channels,
        )
        if dropout_per_stage is not None:
            add_dropout(self.encoder, self.topology, dropout_per_stage, has_stem=bool(stem_block))
        widths = self.encoder.output_channels
        stages = self._stages(given, input_size)
        wrapper = partial(_wrapped, wrap_block, given) if wrap_block else None
        if wrapper and not self.residual:
            self._wrap_encoder(wrapper, given.input_channels, first=0 if new_stem is None else 1)
        self.stage_blocks: Any = nn.ModuleDict()
        if stage_block:
            for s in self._places(stage_at):
                self.stage_blocks[str(s)] = stage_block(
                    widths[s], stages[s], **(stage_kwargs or {})
                )
        self.bottleneck: Any = None
        if bottleneck_block:
            self.bottleneck = bottleneck_block(widths[-1], stages[-1], **(bottleneck_kwargs or {}))
        gates = None
        if skip_block:
            gates = [
                skip_block(widths[s], stages[s], **(skip_kwargs or {}))
                for s in reversed(range(given.n_stages - 1))
            ]
        self.decoder = Decoder(
            self.encoder,
            self.topology.widths,
            given.num_classes,
            one_per_stage(
                who,
                "n_conv_per_stage_decoder",
                given.n_conv_per_stage_decoder,
                given.n_stages - 1,
            ),
            deep_supervision=given.deep_supervision,
            nonlin_first=given.nonlin_first,
            gates=gates,
            wrap=wrapper,
            levels=deep_levels,
        )
        self.auxiliary: Any = None
        if auxiliary:
            self.auxiliary = AuxiliaryHead(widths[-1], given.num_classes, conv_op=given.conv_op)

        # Where nnU-Net's pretraining finds the parts.
        self.key_to_encoder = "encoder.stages"
        self.key_to_stem = "encoder.stem" if self.residual else "encoder.stages.0"
        self.keys_to_in_proj = self._first_convolutions()

    def _stages(self, plan: Plan, input_size: Sequence[int] | None) -> list[dict[str, Any]]:
        """Arguments that the blocks in the slots can take at each stage: see ``slots.Builder``."""
        topology = self.topology
        sizes = [None] * plan.n_stages if input_size is None else topology.sizes(input_size)
        return [
            {
                "conv_op": plan.conv_op,
                "kernel_size": kernel,
                "map_size": size,
                "gating_channels": width,
                **plan.arguments(),
            }
            for kernel, size, width in zip(topology.kernels, sizes, topology.widths, strict=True)
        ]

    def _wrap_encoder(
        self, wrapper: Callable[..., nn.Module], input_channels: int, *, first: int
    ) -> None:
        """Wrap the convolutions of every stage from ``first`` on."""
        widths = [input_channels, *self.encoder.output_channels]
        for s, stride in enumerate(self.topology.conv_strides):
            if self.topology.depths[s] and s >= first:
                convolutions = body(self.encoder, s)
                wrapped = wrapper(convolutions, widths[s], widths[s + 1], stride=stride)
                set_body(self.encoder, s, wrapped)

    def _places(self, stage_at: Sequence[int] | None) -> Sequence[int]:
        """The stages in ``stage_at``, checked; all but the bottleneck by default."""
        count = len(self.topology.depths)
        places = range(count - 1) if stage_at is None else stage_at
        wrong = [s for s in places if s not in range(count) or self.topology.depths[s] == 0]
        if wrong or len(set(places)) != len(places):
            raise ValueError(
                f"{type(self).__name__}: stage_at is {list(places)}; expected encoder stages with convolutions, "
                f"0 to {count - 1}, each once"
            )
        return places

    def _first_convolutions(self) -> tuple[str, ...]:
        """Names of the convolutions that read the image; nnU-Net's block registers its own under two names."""
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
        """Entries of the list returned under deep supervision."""
        logits = [Output("logits", tuple(r)) for r in self.reach[: self.decoder.levels]]
        if self.auxiliary is not None:
            logits.append(Output("auxiliary", tuple(self.reach[-1])))
        return tuple(logits)

    def _encode(self, x: Tensor) -> list[Tensor]:
        """The skips, and the features of lowest resolution as the last entry."""
        if not self.stage_blocks:
            skips: list[Tensor] = self.encoder(x)
            return skips
        if self.residual and self.encoder.stem is not None:
            x = self.encoder.stem(x)
        skips = []
        for s, stage in enumerate(self.encoder.stages):
            x = stage(x)
            skips.append(x)
            if str(s) in self.stage_blocks:
                x = self.stage_blocks[str(s)](x)
        return [*skips[:-1], x]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size = x.shape[2:]
        skips = self._encode(pad_to_multiple(x, self.reach[-1]))
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
        """Raise ValueError if the network cannot process inputs of ``size`` (no batch, no channels)."""
        by_instance = self.norm_op is not None and issubclass(self.norm_op, _InstanceNorm)
        self.topology.check_input_size(size, normalised_by_instance=by_instance)
        sizes = self.topology.sizes(size)
        for s, block in self.stage_blocks.items():
            if hasattr(block, "check_input_size"):
                block.check_input_size(sizes[int(s)])

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all feature maps that training keeps for one sample of ``input_size`` (no channels).

        nnU-Net's planner derives patch and batch size from it. Gates keep the upsampled map and their inner
        maps; dual attention keeps its projections.
        """
        sizes = self.topology.sizes(input_size)
        total: np.int64 = np.int64(0)
        if self.residual and self.encoder.stem is not None:
            total += self.encoder.stem.compute_conv_feature_map_size(input_size)
        for s in range(len(sizes)):
            # Convolutions after a pooling see the pooled map; otherwise the first of them strides.
            seen = sizes[s] if s == 0 or self.topology.pool != "conv" else sizes[s - 1]
            convolutions = body(self.encoder, s)
            if hasattr(convolutions, "compute_conv_feature_map_size"):
                total += convolutions.compute_conv_feature_map_size(seen)
        for at, block in self.stage_blocks.items():
            total += block.compute_conv_feature_map_size(sizes[int(at)])
        total += self.decoder.compute_conv_feature_map_size(sizes)
        if hasattr(self.bottleneck, "compute_conv_feature_map_size"):
            total += self.bottleneck.compute_conv_feature_map_size(sizes[-1])
        if self.auxiliary is not None and self.decoder.deep_supervision:
            total += np.prod([self.decoder.num_classes, *sizes[-1]], dtype=np.int64)
        return total

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """nnU-Net's initialisation: He for convolutions, 0 for the last normalisation of a residual branch."""
        InitWeights_He(1e-2)(module)
        init_last_bn_before_add_to_0(module)


def _wrapped(
    wrapper: Callable[..., nn.Module],
    plan: Plan,
    convolutions: nn.Module,
    input_channels: int,
    output_channels: int,
    *,
    stride: Any = 1,
) -> nn.Module:
    return wrapper(convolutions, input_channels, output_channels, plan, stride=stride)
