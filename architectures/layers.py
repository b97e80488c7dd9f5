"""The layer types of a network's convolution blocks, as nnU-Net's plans name them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from torch import nn

from architectures.instance_norm import without_view


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Convolution, normalisation, dropout and nonlinearity: classes and their arguments.

    >>> layers = Layers(conv_op=nn.Conv2d, norm_op=nn.BatchNorm2d, nonlin=nn.ReLU)
    >>> layers.rank, layers.activation(), layers.dropout()
    (2, ReLU(), Identity())

    Attributes:
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``; decides the rank.
        conv_bias: bias of the convolutions.
        norm_op: normalisation class, or None; instance normalisation is replaced by ``instance_norm``'s, which
            computes the same.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
    """

    conv_op: type[nn.Module]
    conv_bias: bool = False
    norm_op: type[nn.Module] | None = None
    norm_op_kwargs: dict[str, Any] | None = None
    dropout_op: type[nn.Module] | None = None
    dropout_op_kwargs: dict[str, Any] | None = None
    nonlin: type[nn.Module] | None = None
    nonlin_kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm_op", without_view(self.norm_op))

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return int(convert_conv_op_to_dim(self.conv_op))

    def arguments(self) -> dict[str, Any]:
        """All but ``conv_op``, as keyword arguments of dynamic-network-architectures' blocks."""
        names = {field.name for field in fields(Layers)} - {"conv_op"}
        return {name: getattr(self, name) for name in sorted(names)}

    def norm(self, channels: int) -> nn.Module:
        """The normalisation; the identity if there is none."""
        if self.norm_op is None:
            return nn.Identity()
        return self.norm_op(channels, **(self.norm_op_kwargs or {}))

    def dropout(self) -> nn.Module:
        """The dropout; the identity if there is none."""
        if self.dropout_op is None:
            return nn.Identity()
        return self.dropout_op(**(self.dropout_op_kwargs or {}))

    def activation(self) -> nn.Module:
        """The nonlinearity; the identity if there is none."""
        return nn.Identity() if self.nonlin is None else self.nonlin(**(self.nonlin_kwargs or {}))

    def without_dropout(self) -> Layers:
        """The same layers, no dropout."""
        return replace(self, dropout_op=None)

    def without_activation(self) -> Layers:
        """The same layers, neither dropout nor nonlinearity."""
        return replace(self, dropout_op=None, nonlin=None)
