"""Plans with one configuration per row of a table, all on the same preprocessed data."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from architectures.plan import argument_names
from architectures.suggestions import nearest_first
from dataset_conversion.json_text import parse_json
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import HOSTS, public_name, takes_input_size
from nnunet_plugins.networks import find as find_network
from nnunet_plugins.nnunet_folders import find_dataset, folder_of
from nnunet_plugins.papers.library import RECIPES, find_table, find_topology
from nnunet_plugins.papers.tables import Row, Table
from nnunet_plugins.plans_file import NOT_PLANS, check_plans_name, resolve
from nnunet_plugins.training.augmentation import for_any_rank
from nnunet_plugins.training.procedure import read_procedure

#: Default plans that rows inherit from: those of nnU-Net's U-Net under our name, or nnU-Net's own. With --paper those
#: of the paper's recipe come first.
DEFAULT_PLANS = ("ModularUNetPlans", "nnUNetPlans")
#: Entries of plans that prediction uses for every configuration.
_OF_ALL = (
    "transpose_forward",
    "image_reader_writer",
    "foreground_intensity_properties_per_channel",
)
#: Arguments that a row inherits; the others select the blocks of the planned network.
TOPOLOGY = {
    "n_stages",
    "features_per_stage",
    "conv_op",
    "kernel_sizes",
    "strides",
    "n_conv_per_stage",
    "n_blocks_per_stage",
    "n_conv_per_stage_decoder",
    "conv_bias",
    "norm_op",
    "norm_op_kwargs",
    "dropout_op",
    "dropout_op_kwargs",
    "nonlin",
    "nonlin_kwargs",
    "nonlin_first",
    "block",
    "bottleneck_channels",
    "stem_channels",
    "pool",
    "dropout_per_stage",
    "deep_levels",
}


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


@dataclass(frozen=True)
class Written:
    """The plans that were written.

    Attributes:
        file: the plans.
        dataset: name of the dataset.
        made: one entry per row.
        notes: remarks for the user.
    """

    file: Path
    dataset: str
    made: tuple[Made, ...]
    notes: tuple[str, ...]


def write_plans(
    dataset: str,
    table: str,
    *,
    rows: Sequence[str] | None = None,
    plans_name: str | None = None,
    configuration: str | None = None,
    paper: bool = False,
    force: bool = False,
) -> Written:
    """Write plans with the configurations of existing plans and one more per row of a table.

    Nothing is written unless the networks of all rows can be built for the patch.

    Args:
        dataset: id or name, in nnUNet_preprocessed.
        table: id of a table, e.g. yan2025-mag-unet.4.
        rows: keys of its rows; None for all.
        plans_name: existing plans; None for those of the paper's recipe with ``paper``, else the first of
            DEFAULT_PLANS.
        configuration: configuration that the rows inherit from; None for that of the paper.
        paper: use topology, batch size and procedure of the paper instead of those of the plans; nnU-Net's own row
            keeps its own.
        force: overwrite plans of the same name.

    Raises:
        UserError: unknown table, row, dataset, plans or configuration; a network that cannot take the plan.
    """
    found = find_table(table)
    chosen = found.rows if rows is None else tuple(found.row(key) for key in rows)
    preprocessed = folder_of("nnUNet_preprocessed")
    folder = preprocessed / find_dataset(preprocessed, dataset)
    ours = (f"{found.network}PlansPaper",) if paper else ()
    plans = _read_plans(folder, plans_name, (*ours, *DEFAULT_PLANS))
    name = f"{plans['plans_name']}_{found.id}{'_paper' if paper else ''}"
    check_plans_name(name)
    target = folder / f"{name}.json"
    if target.exists() and not force:
        raise UserError(f"{name}: plans of that name exist; pass --force to overwrite them")
    dataset_json = parse_json((folder / "dataset.json").read_text(encoding="utf-8"))

    made = []
    configurations: dict[str, Any] = {}
    for row in chosen:
        base = row.configuration or configuration or found.configuration
        try:
            source = native_plans(folder, plans) if paper and row.native else plans
            result, entry = row_configuration(found, row, base, source, dataset_json, paper=paper)
        except UserError as error:
            fix = "; omit --paper, or name the other rows with --rows" if paper else ""
            raise UserError(f"{found.id}, row {row.key}: {error}{fix}") from error
        if source is not plans:
            entry = {**resolve(source, base), **entry}
            del entry["inherits_from"]
        made.append(result)
        configurations[result.configuration] = entry
    plans = plans | {"plans_name": name, "configurations": plans["configurations"] | configurations}
    _write(target, plans)
    notes = _notes(found, made, plans, folder, dataset_json, paper=paper)
    return Written(target, folder.name, tuple(made), tuple(notes))


def native_plans(folder: Path, plans: dict[str, Any]) -> dict[str, Any]:
    """Plans for nnU-Net's own row: ``plans`` unless they are a paper's, else nnU-Net's own of the same dataset.

    Raises:
        UserError: there are none, or the two differ in what nnU-Net keeps once for all configurations.
    """
    if "recipe" not in plans:
        return plans
    native = _read_plans(folder, None)
    differ = [key for key in _OF_ALL if native.get(key) != plans.get(key)]
    if differ:
        raise UserError(
            f"nnU-Net's own plan has another {' and '.join(differ)} than {plans['plans_name']}; train it with "
            f"{native['plans_name']} instead"
        )
    return native


def _read_plans(
    folder: Path, name: str | None, defaults: Sequence[str] = DEFAULT_PLANS
) -> dict[str, Any]:
    there = sorted(p.stem for p in folder.glob("*.json") if p.stem not in NOT_PLANS)
    found = next((p for p in ([name] if name else defaults) if p in there), None)
    if found is None:
        missing = name or " or ".join(DEFAULT_PLANS)
        known = ", ".join(nearest_first(name or DEFAULT_PLANS[0], there)) or "none"
        raise UserError(
            f"{folder.name}: no plans called {missing}; there are: {known}. Name them with -p, or create some: "
            f"nnunet-plugins plan {int(folder.name[7:10])} --network ModularUNet"
        )
    file = folder / f"{found}.json"
    try:
        plans = parse_json(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{file}: not JSON ({error}); plan again") from error
    if not isinstance(plans, dict) or not isinstance(plans.get("configurations"), dict):
        raise UserError(f"{file}: not plans, no configurations; name others with -p")
    return plans | {"plans_name": found}  # the file may be a renamed copy


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


def _write(target: Path, plans: dict[str, Any]) -> None:
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(plans, indent=4), encoding="utf-8")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _notes(
    table: Table,
    made: Sequence[Made],
    plans: dict[str, Any],
    folder: Path,
    dataset_json: dict[str, Any],
    *,
    paper: bool,
) -> list[str]:
    notes = []
    if paper and plans.get("recipe") != table.paper:
        notes.append(
            f"voxel size, patch and normalisation are those of the plans; for the paper's: nnunet-plugins plan "
            f"{int(folder.name[7:10])} --network {table.network} --recipe paper"
        )
    classes = len(set(dataset_json["labels"]) - {"ignore"})
    if classes != table.classes:
        notes.append(
            f"the paper's data have {table.classes} classes, background included; {folder.name} has {classes}"
        )
    manager = PlansManager(plans)
    data = {manager.get_configuration(m.configuration).data_identifier for m in made}
    missing = sorted(d for d in data if not (folder / d).is_dir())
    if missing:
        notes.append(f"not preprocessed yet: {', '.join(missing)}")
    heavy = [m.configuration for m in made if m.memory > 1.5]
    if heavy:
        number = int(folder.name[7:10])
        recipe = "--recipe paper" if paper else "--gpu-memory GB"
        notes.append(
            f"more than 1.5 times the memory that the patch was planned for: {', '.join(heavy)}. If that is too "
            f"much: nnunet-plugins plan {number} --network {table.network} {recipe}, and name those plans with -p"
        )
    return notes
