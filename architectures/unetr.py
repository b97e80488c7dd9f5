"""UNETR: a vision transformer whose layers feed a convolutional decoder (Hatamizadeh 2022, arXiv 2103.10504)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from torch import Tensor, nn

from architectures.full_resolution import FullResolutionNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Side of the cubes that become tokens.
TOKEN = 16


class UNETR(FullResolutionNetwork):
    """MONAI's UNETR, 2D or 3D, for one size of input.

    Twelve transformer layers over tokens of 16 voxels an axis, four levels that halve every axis, kernels of
    3 and leaky ReLU are the network's own. Of the plan it takes channels, rank, classes, the width of the
    first stage (doubled from level to level) and the normalisation. The positions of the tokens are learnt,
    so the size of the input is fixed; where it is not a multiple of 16 the input is padded inside.

    Shapes: (B, input_channels, *input_size) -> (B, num_classes, *input_size) raw logits; under deep
    supervision a list of one.

    Args:
        input_channels: number of image channels.
        n_stages: not used.
        features_per_stage: channels of each stage; the first is used.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``; decides the rank.
        kernel_sizes: not used.
        strides: not used.
        num_classes: channels of the output.
        n_conv_per_stage_decoder: not used.
        n_conv_per_stage: not used.
        n_blocks_per_stage: not used.
        conv_bias: not used, MONAI's convolutions have none before a normalisation.
        norm_op: instance or batch normalisation of the plan's rank.
        norm_op_kwargs: its arguments.
        dropout_op: not used, like the following up to deep_supervision.
        dropout_op_kwargs: not used.
        nonlin: not used.
        nonlin_kwargs: not used.
        deep_supervision: return a list.
        nonlin_first: not used.
        input_size: the patch, without channels.
        hidden_size: width of the transformer.
        mlp_dim: inner width of its feed-forward layers.
        num_heads: attention heads; they share hidden_size.
    """

    takes_input_size = True

    def __init__(
        self,
        input_channels: int,
        n_stages: int,
        features_per_stage: int | Sequence[int],
        conv_op: type[nn.Module],
        kernel_sizes: int | Sequence[Any],
        strides: int | Sequence[Any],
        num_classes: int,
        n_conv_per_stage_decoder: int | Sequence[int] | None = None,
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
        input_size: Sequence[int] | None = None,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_heads: int = 12,
    ) -> None:
        # Late: `import monai` takes seconds, which every command with a network would wait for.
        from monai.networks import nets

        rank = convert_conv_op_to_dim(conv_op)
        super().__init__(
            input_channels=input_channels,
            conv_op=conv_op,
            stride=[TOKEN] * rank,
            deep_supervision=deep_supervision,
        )
        if input_size is None:
            raise ValueError(
                "UNETR: input_size is None; its positions are learnt for one patch size: plan with "
                "`nnunet-plugins plan --network UNETR`, or train with its trainer"
            )
        self._check_rank(input_size)
        if any(n < 1 for n in input_size):
            raise ValueError(
                f"UNETR: input_size is {tuple(input_size)}; every axis must be 1 or more"
            )
        if num_heads < 1 or hidden_size % num_heads:
            raise ValueError(
                f"UNETR: hidden_size is {hidden_size} and num_heads {num_heads}; the heads must share it evenly"
            )
        self.input_size = tuple(int(n) for n in input_size)
        self.network: Any = nets.UNETR(
            in_channels=input_channels,
            out_channels=num_classes,
            img_size=[-(-n // TOKEN) * TOKEN for n in self.input_size],
            feature_size=features_per_stage
            if isinstance(features_per_stage, int)
            else features_per_stage[0],
            hidden_size=hidden_size,
            mlp_dim=mlp_dim,
            num_heads=num_heads,
            norm_name=_norm_name(norm_op, norm_op_kwargs),
            spatial_dims=rank,
        )
        for block in self.network.vit.blocks:
            # Cross-attention is never called; DistributedDataParallel does not allow weights that rest.
            block.cross_attn = nn.Identity()
            block.norm_cross_attn = nn.Identity()
            # MONAI's attention can be fused, but its UNETR has no argument for it.
            block.attn.use_flash_attention = True

    def logits(self, x: Tensor) -> Tensor:
        return self.network(x)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        self.check_input_size(x.shape[2:])
        return super().forward(x)

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError unless ``size`` (no batch, no channels) is the one that the network was made for."""
        if tuple(size) != self.input_size:
            raise ValueError(
                f"UNETR: the input's size is {tuple(size)}; this network was made for {self.input_size} alone: "
                "give it patches of that size, or plan again for another"
            )


def _norm_name(
    norm_op: type[nn.Module] | None, norm_op_kwargs: dict[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """MONAI's name and arguments of the plan's normalisation."""
    if norm_op is not None:
        for name, base in (
            ("instance", nn.modules.instancenorm._InstanceNorm),
            ("batch", nn.modules.batchnorm._BatchNorm),
        ):
            if issubclass(norm_op, base):
                return name, dict(norm_op_kwargs or {})
    raise ValueError(
        f"UNETR: norm_op is {norm_op}; instance or batch normalisation is wanted: change it in the plan"
    )
