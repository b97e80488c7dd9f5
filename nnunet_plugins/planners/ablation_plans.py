"""Plans with one configuration per row of a table, all on the same preprocessed data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from architectures.suggestions import nearest_first
from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.nnunet_folders import find_dataset, folder_of
from nnunet_plugins.papers.library import find_table
from nnunet_plugins.papers.tables import Table
from nnunet_plugins.planners.row_configuration import Made, row_configuration
from nnunet_plugins.plans_file import NOT_PLANS, check_plans_name, read_any, read_object, resolve

#: Default plans that rows inherit from: those of nnU-Net's U-Net under our name, or nnU-Net's own. With --paper those
#: of the paper's recipe come first.
DEFAULT_PLANS = ("ModularUNetPlans", "nnUNetPlans")
#: Entries of plans that prediction uses for every configuration.
_OF_ALL = (
    "transpose_forward",
    "image_reader_writer",
    "foreground_intensity_properties_per_channel",
)


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
    dataset_json = read_object(folder / "dataset.json")

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
    write_json(target, plans, indent=4)
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
    plans = read_any(file)
    if not isinstance(plans, dict) or not isinstance(plans.get("configurations"), dict):
        raise UserError(f"{file}: not plans, no configurations; name others with -p")
    return plans | {"plans_name": found}  # the file may be a renamed copy


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
