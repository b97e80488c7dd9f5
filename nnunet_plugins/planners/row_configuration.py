"""The configuration of one row of a table, from plans or from the paper's topology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from architectures.plan import argument_names
from architectures.suggestions import nearest_first
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import HOSTS, public_name, takes_input_size
from nnunet_plugins.networks import find as find_network
from nnunet_plugins.papers.library import RECIPES, find_topology
from nnunet_plugins.papers.tables import Row, Table
from nnunet_plugins.training.augmentation import for_any_rank
from nnunet_plugins.training.procedure import read_procedure

#: Arguments that a row inherits; the others select the blocks of the planned network.
TOPOLOGY = frozenset((
    "n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", "n_conv_per_stage",
    "n_blocks_per_stage", "n_conv_per_stage_decoder", "conv_bias", "norm_op", "norm_op_kwargs", "dropout_op",
    "dropout_op_kwargs", "nonlin", "nonlin_kwargs", "nonlin_first", "block", "bottleneck_channels",
    "stem_channels", "pool", "dropout_per_stage", "deep_levels",
))  # fmt: skip


@dataclass(frozen=True)
class Made:
    """The configuration of one row.

    Attributes:
        row: the row.
        configuration: its name in the plans.
        parameters: of its network.
        memory: counted peak of its training step, relative to that of the plan.
    """

    row: Row
    configuration: str
    parameters: int
    memory: float


def row_configuration(
    table: Table,
    row: Row,
    base: str,
    plans: dict[str, Any],
    dataset_json: dict[str, Any],
    *,
    paper: bool,
) -> tuple[Made, dict[str, Any]]:
    """The configuration of one row, as a summary and as an entry of the plans."""
    if base not in plans["configurations"]:
        known = ", ".join(nearest_first(base, plans["configurations"]))
        raise UserError(
            f"{plans['plans_name']} has no configuration called {base!r}; it has {known} (choose with -c, or select "
            "other rows with --rows)"
        )
    manager = PlansManager(plans)
    inherited = manager.get_configuration(base)
    patch = [int(n) for n in inherited.patch_size]
    published = paper and not row.native
    architecture = (
        _published_architecture(table, row, base, len(patch))
        if published
        else _planned_architecture(inherited.configuration["architecture"], row.network)
    )
    architecture["network_class_name"] = public_name(row.network)
    architecture["arch_kwargs"] |= row.options
    if takes_input_size(row.network):
        architecture["arch_kwargs"]["input_size"] = patch
    entry: dict[str, Any] = {"inherits_from": base, "architecture": architecture}
    training = inherited.configuration.get("training", {})
    if published:
        recipe = RECIPES[table.network]
        training = recipe.procedure()
        if recipe.rank != len(patch):
            training = for_any_rank(training)
        entry["batch_size"] = recipe.batch_size
    elif paper:  # nnU-Net's own, of which the row states all
        training = {}
    if training or row.training:
        entry["training"] = read_procedure({"training": training | row.training})

    own = inherited.configuration
    cost = count(Setup.of(own | entry, dataset_json))
    planned = count(Setup.of(own, dataset_json, table.network))
    memory = cost.peak_bytes / planned.peak_bytes
    result = Made(row, f"{base}_{row.key}", cost.parameters, memory)
    return result, entry


def _planned_architecture(planned: dict[str, Any], network: str) -> dict[str, Any]:
    """The topology of a plan without the blocks of its network, limited to what ``network`` accepts."""
    name = planned["network_class_name"]
    package, _, last = name.rpartition(".")
    if last not in HOSTS and package != "nnunet_plugins.networks":
        raise UserError(
            f"the plans are for {name}; rows require the topology of {' or '.join(HOSTS)}: name other plans with -p"
        )
    accepted = TOPOLOGY & argument_names(find_network(network))
    kwargs = {key: value for key, value in planned["arch_kwargs"].items() if key in accepted}
    imported = [key for key in planned["_kw_requires_import"] if key in kwargs]
    return {"arch_kwargs": kwargs, "_kw_requires_import": imported}


def _published_architecture(table: Table, row: Row, base: str, rank: int) -> dict[str, Any]:
    if not row.topology:
        raise UserError("the paper does not describe its topology")
    topology = find_topology(table.paper, row.topology)
    if topology.rank != rank:
        raise UserError(
            f"--paper: the paper's topology is {topology.rank}D and {base} {rank}D; pass -c "
            f"{topology.configuration}"
        )
    return topology.architecture()
