"""The U-Net that nnU-Net plans for, with slots for the papers' blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.architectures.abstract_arch import (
    AbstractDynamicNetworkArchitectures,
)
from dynamic_network_architectures.building_blocks.helper import (
    convert_conv_op_to_dim,
    maybe_convert_scalar_to_list,
)
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.initialization.weight_init import (
    InitWeights_He,
    init_last_bn_before_add_to_0,
)

from architectures.gated_decoder import GatedDecoder
from architectures.sizes import crop_to, pad_to_multiple
from architectures.slots import BOTTLENECKS, SKIPS, STEMS, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        stem: name in ``slots.STEMS``.
        bottleneck: name in ``slots.BOTTLENECKS``.
        skip: name in ``slots.SKIPS``.
        stem_kwargs: further arguments of the stem's block; likewise
        bottleneck_kwargs: of the bottleneck's and
        skip_kwargs: of each skip's.
    """

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
        stem: str = "plain",
        bottleneck: str = "plain",
        skip: str = "plain",
        stem_kwargs: dict[str, Any] | None = None,
        bottleneck_kwargs: dict[str, Any] | None = None,
        skip_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        if (n_conv_per_stage is None) == (n_blocks_per_stage is None):
            raise ValueError(
                f"{who}: give n_conv_per_stage (plain encoder) or n_blocks_per_stage (residual encoder), "
                f"one of them; got {n_conv_per_stage} and {n_blocks_per_stage}"
            )
        features = _one_a_stage(who, "features_per_stage", features_per_stage, n_stages)
        kernels = _one_a_stage(who, "kernel_sizes", kernel_sizes, n_stages)
        steps = _one_a_stage(who, "strides", strides, n_stages)
        layers = {
            "conv_bias": conv_bias,
            "norm_op": norm_op,
            "norm_op_kwargs": norm_op_kwargs,
            "dropout_op": dropout_op,
            "dropout_op_kwargs": dropout_op_kwargs,
            "nonlin": nonlin,
            "nonlin_kwargs": nonlin_kwargs,
        }
        topology = (input_channels, n_stages, features, conv_op, kernels, steps)
        self.encoder: Any
        self.residual = n_conv_per_stage is None
        if self.residual:
            self.key_to_encoder, self.key_to_stem = "encoder.stages", "encoder.stem"
            blocks = _one_a_stage(who, "n_blocks_per_stage", n_blocks_per_stage, n_stages)
            self.encoder = ResidualEncoder(
                *topology,
                blocks,
                **layers,
                block=block,
                bottleneck_channels=bottleneck_channels,
                stem_channels=stem_channels,
                return_skips=True,
            )
        else:
            self.key_to_encoder, self.key_to_stem = "encoder.stages", "encoder.stages.0"
            convs = _one_a_stage(who, "n_conv_per_stage", n_conv_per_stage, n_stages)
            layers["nonlin_first"] = nonlin_first
            self.encoder = PlainConvEncoder(*topology, convs, **layers, return_skips=True)

        # Voxels of the input that one voxel of each stage stands for, an axis at a time.
        self.reach = np.cumprod(self.encoder.strides, axis=0).tolist()

        stem_block = choose(f"{who} stem", STEMS, stem)
        if stem_block is not None:
            self._set_stem(
                stem_block(
                    input_channels,
                    (stem_channels or features[0]) if self.residual else features[0],
                    conv_op=conv_op,
                    kernel_size=maybe_convert_scalar_to_list(conv_op, kernels[0]),
                    stride=1 if self.residual else steps[0],
                    n_convs=1 if self.residual else convs[0],
                    block_kwargs=layers,
                    **(stem_kwargs or {}),
                )
            )
        stem_path = "encoder.stem" if self.residual else "encoder.stages.0.0"
        first = f"{stem_path}.{'convs.0' if stem_block is None else 'shared'}"
        self.keys_to_in_proj = (f"{first}.all_modules.0", f"{first}.conv")

        bottleneck_block = choose(f"{who} bottleneck", BOTTLENECKS, bottleneck)
        self.bottleneck: Any = None
        if bottleneck_block is not None:
            self.bottleneck = bottleneck_block(
                features[-1], conv_op=conv_op, **(bottleneck_kwargs or {})
            )

        skip_block = choose(f"{who} skip", SKIPS, skip)
        gates = None
        if skip_block is not None:
            gate_kwargs = {"conv_op": conv_op, "norm_op": norm_op, "norm_op_kwargs": norm_op_kwargs}
            gates = [
                skip_block(
                    features[s],
                    **gate_kwargs,
                    **{"kernel_size": maybe_convert_scalar_to_list(conv_op, kernels[s])}
                    | (skip_kwargs or {}),
                )
                for s in reversed(range(n_stages - 1))
            ]
        self.decoder = GatedDecoder(
            self.encoder,
            num_classes,
            _one_a_stage(who, "n_conv_per_stage_decoder", n_conv_per_stage_decoder, n_stages - 1),
            deep_supervision,
            nonlin_first=nonlin_first,
            gates=gates,
        )

    def _set_stem(self, stem: nn.Module) -> None:
        if self.residual:
            self.encoder.stem = stem
        else:
            self.encoder.stages[0][0] = stem

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size = x.shape[2:]
        skips = self.encoder(pad_to_multiple(x, self.reach[-1]))
        if self.bottleneck is not None:
            skips[-1] = self.bottleneck(skips[-1])
        logits = self.decoder(skips)
        if isinstance(logits, list):
            return [crop_to(y, size, s) for y, s in zip(logits, self.reach, strict=False)]
        return crop_to(logits, size, self.reach[0])

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all feature maps that training keeps for one sample of ``input_size`` (no channels).

        nnU-Net's planner sizes patch and batch by it. Gates keep the upsampled map and their maps
        inside; dual attention keeps its projections.
        """
        rank = convert_conv_op_to_dim(self.encoder.conv_op)
        if len(input_size) != rank:
            raise ValueError(
                f"{type(self).__name__}: input_size is {tuple(input_size)}; {rank} spatial sizes are "
                "wanted, without batch and channels"
            )
        total = self.encoder.compute_conv_feature_map_size(input_size)
        total += self.decoder.compute_conv_feature_map_size(input_size)
        sizes = [[n // r for n, r in zip(input_size, reach, strict=True)] for reach in self.reach]
        if hasattr(self.bottleneck, "compute_conv_feature_map_size"):
            total += self.bottleneck.compute_conv_feature_map_size(sizes[-1])
        gates: Any = self.decoder.gates or ()
        for gate, at in zip(gates, reversed(sizes[:-1]), strict=False):
            total += gate.compute_conv_feature_map_size(at)
        return total

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """nnU-Net's initialisation: He for convolutions, residual branches closed at start."""
        InitWeights_He(1e-2)(module)
        init_last_bn_before_add_to_0(module)


def _one_a_stage(who: str, what: str, value: Any, count: int) -> list[Any]:
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count:
        raise ValueError(f"{who}: {what} has {len(values)} entries; {count} are wanted")
    return values
