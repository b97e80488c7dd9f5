"""UNETR: a vision transformer whose layers feed a convolutional decoder (Hatamizadeh 2022, arXiv 2103.10504)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from architectures.full_resolution import FullResolutionNetwork
from architectures.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Side of the cubes that become tokens.
TOKEN = 16


class UNETR(FullResolutionNetwork):
    """MONAI's UNETR, 2D or 3D, for one input size.

    Twelve transformer layers over tokens of 16 voxels per axis, four levels that halve every axis, kernels of
    3 and leaky ReLU are fixed. The position embedding is learned, so the input size is fixed; where it is not a
    multiple of 16, the network pads the input.

    Shapes: (B, input_channels, *input_size) -> (B, num_classes, *input_size) raw logits; under deep
    supervision a list of one.

    >>> import torch
    >>> network = UNETR(
    ...     input_channels=1, num_classes=2, n_stages=1, features_per_stage=4, conv_op=nn.Conv2d, kernel_sizes=3,
    ...     strides=1, norm_op=nn.BatchNorm2d, input_size=[20, 16], hidden_size=8, mlp_dim=8, num_heads=2)
    >>> network(torch.zeros(1, 1, 20, 16)).shape
    torch.Size([1, 2, 20, 16])

    Args:
        input_size: patch size in voxels, without channels; required.
        hidden_size: width of the transformer, divisible by num_heads.
        mlp_dim: inner width of its feed-forward layers.
        num_heads: attention heads.
        plan: the arguments in ``architectures.plan.Plan``; input_channels, num_classes, conv_op,
            deep_supervision, norm_op (instance or batch normalisation) with its arguments, and the first of
            features_per_stage, doubled from level to level, are used.
    """

    takes_input_size = True
    former_names = (("network.out.", "decoder.seg_layers.0."),)
    encoder_names = (
        "network.vit",
        "network.encoder1",
        "network.encoder2",
        "network.encoder3",
        "network.encoder4",
    )

    def __init__(
        self,
        *,
        input_size: Sequence[int] | None = None,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_heads: int = 12,
        **plan: Any,
    ) -> None:
        # Late: `import monai` takes seconds, and every command with a network would pay for it.
        from monai.networks import nets

        given = Plan.read(type(self), plan)
        super().__init__(given, stride=[TOKEN] * given.rank)
        if input_size is None:
            raise ValueError(
                "UNETR: input_size is None; its position embedding is learned for one patch size: plan with "
                "`nnunet-plugins plan --network UNETR`, or train with its trainer"
            )
        self._check_rank(input_size)
        if any(n < 1 for n in input_size):
            raise ValueError(
                f"UNETR: input_size is {tuple(input_size)}; every axis must be 1 or more"
            )
        if num_heads < 1 or hidden_size % num_heads:
            raise ValueError(
                f"UNETR: hidden_size is {hidden_size} and num_heads {num_heads}; it must be divisible by num_heads"
            )
        self.input_size = tuple(int(n) for n in input_size)
        features = given.features_per_stage
        self.network: Any = nets.UNETR(
            in_channels=given.input_channels,
            out_channels=given.num_classes,
            img_size=[-(-n // TOKEN) * TOKEN for n in self.input_size],
            feature_size=features if isinstance(features, int) else features[0],
            hidden_size=hidden_size,
            mlp_dim=mlp_dim,
            num_heads=num_heads,
            norm_name=_norm_name(given),
            spatial_dims=given.rank,
        )
        self.decoder.seg_layers = nn.ModuleList([self.network.out])
        self.network.out = nn.Identity()
        for block in self.network.vit.blocks:
            # Cross-attention is never called; DistributedDataParallel rejects weights without a gradient.
            block.cross_attn = nn.Identity()
            block.norm_cross_attn = nn.Identity()
            # MONAI's attention can be fused, but its UNETR does not expose the option.
            block.attn.use_flash_attention = True

    def logits(self, x: Tensor) -> Tensor:
        y: Tensor = self.decoder.seg_layers[0](self.network(x))
        return y

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        self.check_input_size(x.shape[2:])
        return super().forward(x)

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError unless ``size`` (no batch, no channels) is the network's input size."""
        if tuple(size) != self.input_size:
            raise ValueError(
                f"UNETR: the input's size is {tuple(size)}; this network is built for {self.input_size} only: "
                "use patches of that size, or plan again for another size"
            )


def _norm_name(plan: Plan) -> tuple[str, dict[str, Any]]:
    """MONAI's name and arguments of the plan's normalisation."""
    if plan.norm_op is not None:
        for name, base in (
            ("instance", nn.modules.instancenorm._InstanceNorm),
            ("batch", nn.modules.batchnorm._BatchNorm),
        ):
            if issubclass(plan.norm_op, base):
                return name, dict(plan.norm_op_kwargs or {})
    raise ValueError(
        f"UNETR: norm_op is {plan.norm_op}, expected instance or batch normalisation: change it in the plan"
    )
