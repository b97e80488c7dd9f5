"""nnU-Net's plain and residual encoders, with a stem of our own and access to each stage's convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import nn

from architectures.topology import one_per_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from architectures.plan import Plan
    from architectures.topology import Topology


def build_stem(
    block: Callable[..., nn.Module],
    plan: Plan,
    topology: Topology,
    width: int | None,
    options: dict[str, Any],
) -> nn.Module:
    """The block that replaces a plain encoder's first stage, or a residual encoder's stem of ``width`` channels."""
    plain = not topology.residual
    return block(
        plan.input_channels,
        topology.widths[0] if plain else width or topology.widths[0],
        conv_op=plan.conv_op,
        kernel_size=topology.kernels[0],
        stride=topology.conv_strides[0] if plain else 1,
        n_convs=topology.depths[0] if plain else 1,
        block_kwargs=block_arguments(plan, topology),
        **options,
    )


def build_encoder(
    plan: Plan,
    topology: Topology,
    stem: nn.Module | None,
    *,
    block: type[nn.Module],
    bottleneck_channels: int | Sequence[int] | None,
    stem_channels: int | None,
) -> Any:
    """PlainConvEncoder or ResidualEncoder in which ``stem``, if given, takes the place of the first convolutions.

    A stem may be wider than its stage: the next stage and the skip take it as it is. ``block`` and the two
    widths apply to a residual encoder only.
    """
    layers = block_arguments(plan, topology)
    given = (plan.input_channels, plan.n_stages)
    shape = (plan.conv_op, topology.kernels, topology.strides)
    stem_width = getattr(stem, "output_channels", None)
    if topology.residual:
        encoder = ResidualEncoder(
            *given,
            topology.widths,
            *shape,
            topology.depths,
            **layers,
            block=block,
            bottleneck_channels=bottleneck_channels,
            stem_channels=stem_width or stem_channels,
            return_skips=True,
        )
        if stem is not None:
            encoder.stem = stem
        return encoder
    widths = [stem_width or topology.widths[0], *topology.widths[1:]]
    depths = [max(1, depth) for depth in topology.depths]
    encoder = PlainConvEncoder(
        *given, widths, *shape, depths, **layers, return_skips=True, pool=topology.pool
    )
    if topology.depths[-1] == 0:
        encoder.stages[-1] = encoder.stages[-1][:-1]
    if stem is not None:
        set_body(encoder, 0, stem)
    return encoder


def add_dropout(
    encoder: Any, topology: Topology, per_stage: Sequence[float], *, has_stem: bool
) -> None:
    """Append a dropout to every convolution block of each stage whose rate is not 0.

    Raises:
        ValueError: a residual encoder, another number of rates, a rate outside [0, 1), or one for a stage
            without convolutions of the plan.
    """
    rates = one_per_stage(topology.who, "dropout_per_stage", per_stage, len(topology.depths))
    plain = [depth > 0 and not (has_stem and s == 0) for s, depth in enumerate(topology.depths)]
    wrong = [s for s, rate in enumerate(rates) if not 0 <= rate < 1 or (rate and not plain[s])]
    if wrong or (topology.residual and any(rates)):
        raise ValueError(
            f"{topology.who}: dropout_per_stage is {list(rates)}; expected rates of 0 or more and below 1 for a "
            "plain encoder, and 0 for a stage that is a pooling alone or whose convolutions a stem replaces"
        )
    for stage, rate in zip(encoder.stages, rates, strict=True):
        if rate:
            for block in stage.modules():
                if isinstance(block, ConvDropoutNormReLU):
                    block.all_modules.append(nn.Dropout(rate))


def block_arguments(plan: Plan, topology: Topology) -> dict[str, Any]:
    """The plan's layers as keyword arguments; only a plain encoder has ``nonlin_first``."""
    order = {} if topology.residual else {"nonlin_first": plan.nonlin_first}
    return plan.arguments() | order


def body(encoder: Any, stage: int) -> Any:
    """The convolutions of a stage; in a plain encoder they follow the pooling, if there is one."""
    stages = encoder.stages
    return stages[stage] if isinstance(encoder, ResidualEncoder) else stages[stage][-1]


def set_body(encoder: Any, stage: int, module: nn.Module) -> None:
    """Replace the convolutions of a stage."""
    if isinstance(encoder, ResidualEncoder):
        encoder.stages[stage] = module
    else:
        encoder.stages[stage][-1] = module
