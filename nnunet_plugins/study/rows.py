"""The configurations of a study's rows and seeds, all in one plans file on the same preprocessed data."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.library import find_table
from nnunet_plugins.papers.tables import Row, Table
from nnunet_plugins.plans_file import read_object, resolve
from nnunet_plugins.study.folder import Study, write_json
from nnunet_plugins.study.jobs import run_name, trained_folds
from nnunet_plugins.study.planned import described_rows
from nnunet_plugins.study.settings import RowEntry, Settings


def row_of(settings: Settings, name: str) -> Row:
    """The row called ``name``: of study.yaml, of its table, or a network.

    Raises:
        UserError: none of these has the name; lists what is known, nearest first.
    """
    for row in settings.rows:
        if isinstance(row, RowEntry) and row.name == name:
            return Row(row.name, row.name, row.network, dict(row.options), dict(row.training))
    keys = {row.key: row for row in table_of(settings).rows}
    if name in keys:
        return keys[name]
    from nnunet_plugins.networks import NETWORKS  # imports torch

    if name in NETWORKS:
        return Row(name, name, name)
    known = ", ".join(nearest_first(name, [*keys, *NETWORKS]))
    raise UserError(f"rows: no row or network called {name!r}; known, the nearest first: {known}")


def table_of(settings: Settings) -> Table:
    """The table of the study; one without rows if it has none."""
    if settings.table is not None:
        return find_table(settings.table)
    configuration = settings.configuration or "3d_fullres"
    return Table("", 0, "", settings.budget.network, configuration, 0, ())


def base_of(settings: Settings, row: Row) -> str:
    """nnU-Net's configuration that a row inherits from."""
    return row.configuration or settings.configuration or table_of(settings).configuration


def digest_of(plans: dict[str, Any], configuration: str) -> str:
    """Digest of a configuration with what it inherits."""
    text = json.dumps(resolve(plans, configuration), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_rows(study: Study) -> dict[str, Any]:
    """Add the configurations to the study's plans; return what the record says of them.

    Raises:
        UserError: a network cannot take the plan, or a row that was trained already would change.
    """
    from nnunet_plugins.planners.ablation_plans import row_configuration
    from nnunet_plugins.training.procedure import read_procedure

    settings, plans = study.settings, read_object(study.plans)
    dataset, table, budget = (
        read_object(study.preprocessed / "dataset.json"),
        table_of(settings),
        settings.budget,
    )
    # A preset fixes the size of the networks, as in `plan`.
    published = budget.recipe == "paper" and not budget.preset
    rows = {}
    for name, seed in trained_folds(settings):
        row = row_of(settings, name)
        try:
            made, entry = row_configuration(
                table, row, base_of(settings, row), plans, dataset, paper=published
            )
        except UserError as error:
            raise UserError(f"row {name}: {error}") from error
        training = entry.get("training", {}) | budget.procedure() | row.training
        entry["training"] = read_procedure({"training": training | {"seed": seed}})
        run = run_name(name, seed)
        configuration = f"{base_of(settings, row)}_{run}"
        plans["configurations"][configuration] = entry
        rows[run] = {
            "configuration": configuration,
            "network": row.network,
            "trainer": f"{row.network}Trainer",
            "parameters": made.parameters,
            "memory": round(made.memory, 3),
            "digest": digest_of(plans, configuration),
        }
    _check_unchanged(study, rows)
    write_json(study.plans, plans)
    return {"rows": rows, "described": described_rows(settings)}


def _check_unchanged(study: Study, rows: dict[str, Any]) -> None:
    """Refuse a change of what has been trained: the records would be of other plans.

    Raises:
        UserError: names the first such training.
    """
    for file in sorted((study.folder / "records" / "train").glob("*.json")):
        done = read_object(file)
        now = rows.get(run_name(done["row"], done["seed"]))
        if now and now["digest"] != done["digest"]:
            raise UserError(
                f"{file.stem} was trained with other plans than study.yaml now describes (network, patch or training "
                f"procedure); start a new study, or remove {file} and its model to train it again"
            )
