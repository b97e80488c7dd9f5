"""The arguments that nnU-Net's plans give to every network, read and checked in one place."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from architectures.layers import Layers
from architectures.suggestions import nearest_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Plan(Layers):
    """What nnU-Net passes to a network by keyword, in addition to the layers in ``Layers``.

    nnU-Net adds ``input_channels``, ``num_classes`` and ``deep_supervision``; the other arguments are
    ``arch_kwargs`` in the plans. A network need not use all of them: its docstring states which it ignores.

    Attributes:
        input_channels: number of image channels.
        num_classes: channels of the output.
        n_stages: resolution stages of the encoder, including the bottleneck.
        features_per_stage: channels of each stage; one number applies to all stages.
        kernel_sizes: kernel of each stage, a number or one per axis.
        strides: stride at the start of each stage, a number or one per axis.
        n_conv_per_stage_decoder: convolutions of each decoder stage, from coarse to fine.
        n_conv_per_stage: convolutions of each stage of a plain encoder.
        n_blocks_per_stage: residual blocks of each stage of a residual encoder.
        deep_supervision: return a list of outputs.
        nonlin_first: nonlinearity before normalisation.
    """

    input_channels: int
    num_classes: int
    n_stages: int
    features_per_stage: int | Sequence[int]
    kernel_sizes: int | Sequence[Any]
    strides: int | Sequence[Any]
    n_conv_per_stage_decoder: int | Sequence[int] | None = None
    n_conv_per_stage: int | Sequence[int] | None = None
    n_blocks_per_stage: int | Sequence[int] | None = None
    deep_supervision: bool = False
    nonlin_first: bool = False

    @classmethod
    def read(cls, network: Any, arguments: Mapping[str, Any]) -> Plan:
        """The plan in the keyword arguments of ``network``, a class with ``ranks``.

        Raises:
            TypeError: an unknown argument, or a required one that is missing.
            ValueError: a number of spatial axes that the network does not support.
        """
        who = network.__name__
        known = {field.name for field in fields(cls)}
        for name in arguments:
            if name not in known:
                names = ", ".join(nearest_first(name, argument_names(network)))
                raise TypeError(
                    f"{who}: no argument {name!r} in arch_kwargs; known, the nearest first: {names}"
                )
        required = [field.name for field in fields(cls) if field.default is MISSING]
        missing = [name for name in required if name not in arguments]
        if missing:
            raise TypeError(f"{who}: required arguments are missing: {', '.join(missing)}")
        plan = cls(**arguments)
        if plan.rank not in network.ranks:
            raise ValueError(
                f"{who}: the plan is {plan.rank}D; this network is "
                f"{' or '.join(f'{rank}D' for rank in network.ranks)} only: use the "
                f"{' or '.join(f'{rank}d' for rank in network.ranks)} configuration"
            )
        return plan


def argument_names(network: type) -> set[str]:
    """Names of all keyword arguments of ``network``: the plan's and its own.

    >>> from architectures.segnet import SegNet
    >>> sorted(argument_names(SegNet) - {field.name for field in fields(Plan)})
    ['convs_per_stage']
    """
    return {field.name for field in fields(Plan)} | {
        parameter.name
        for cls in network.__mro__
        if cls.__module__.startswith("architectures.")
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
