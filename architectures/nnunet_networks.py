"""nnU-Net's own networks, to compare with: its plain U-Net and its residual encoders M, L and XL (arXiv 2404.09556).

They are the classes of dynamic-network-architectures, with what our planner and trainers ask a network for, so that a
baseline trains on the same budget as the network that it is compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch.nn.modules.instancenorm import _InstanceNorm

from architectures.outputs import Output
from architectures.plan import Plan
from architectures.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

DEPTHS = ("n_conv_per_stage", "n_blocks_per_stage")
#: nnU-Net's residual encoders: blocks per stage, convolutions per decoder stage.
RESIDUAL_BLOCKS = (1, 3, 4, *[6] * 10)
RESIDUAL_DECODER = (1,) * 12
#: Its plain U-Net: convolutions per stage.
_PLAIN = (2,) * 13


class _Hosted:
    """A network of dynamic-network-architectures with declared outputs and limits.

    Plans of the other kind are taken with nnU-Net's numbers of blocks for this kind, so one plan serves both.
    """

    ranks: tuple[int, ...] = (2, 3)
    encoder_names = ("encoder",)
    takes_input_size = False
    #: Argument for the depths of the encoder, nnU-Net's depths, and those of its decoder.
    depths: tuple[str, tuple[int, ...], tuple[int, ...]]

    def __init__(self, **arguments: Any) -> None:
        key, encoder, decoder = self.depths
        plan = Plan.read(type(self), arguments)
        if getattr(plan, key) is None:
            arguments[key] = encoder[: plan.n_stages]
            arguments["n_conv_per_stage_decoder"] = decoder[: plan.n_stages - 1]
        for other in DEPTHS:
            if other != key:
                arguments.pop(other, None)
        if key == "n_blocks_per_stage" and arguments.pop("nonlin_first", False):
            raise ValueError(f"{type(self).__name__}: nonlin_first is for a plain encoder only")
        plan = Plan.read(type(self), arguments)
        topology = Topology.read(type(self).__name__, plan)
        super().__init__(**arguments)
        self.topology, self.norm_op = topology, plan.norm_op

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Entries of the list returned under deep supervision."""
        return tuple(Output("logits", tuple(reach)) for reach in self.topology.reach[:-1])

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if the network cannot process inputs of ``size`` (no batch, no channels)."""
        reach = self.topology.reach[-1]
        by_instance = self.norm_op is not None and issubclass(self.norm_op, _InstanceNorm)
        self.topology.check_input_size(size, normalised_by_instance=by_instance)
        if any(n % r for n, r in zip(size, reach, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: a patch of {tuple(size)} voxels is not a multiple of the strides "
                f"{tuple(reach)}; plan again"
            )


class nnUNetPlain(_Hosted, PlainConvUNet):  # noqa: N801 - nnU-Net's spelling
    """nnU-Net's default network.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list, largest first.
    S is a multiple of the strides.

    >>> import torch
    >>> network = nnUNetPlain(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network(torch.zeros(1, 1, 6, 8)).shape
    torch.Size([1, 2, 6, 8])
    """

    depths = ("n_conv_per_stage", _PLAIN, _PLAIN)


class ResEncM(_Hosted, ResidualEncoderUNet):
    """nnU-Net's residual encoder, planned for 8 GB. Shapes as `nnUNetPlain`.

    >>> import torch
    >>> network = ResEncM(
    ...     input_channels=1, num_classes=2, n_stages=2, features_per_stage=[4, 8], conv_op=torch.nn.Conv2d,
    ...     kernel_sizes=3, strides=[1, 2], n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    >>> network.topology.depths
    [1, 3]
    """

    depths = ("n_blocks_per_stage", RESIDUAL_BLOCKS, RESIDUAL_DECODER)


class ResEncL(ResEncM):
    """The network of `ResEncM`, planned for 24 GB."""


class ResEncXL(ResEncM):
    """The network of `ResEncM`, planned for 40 GB."""
