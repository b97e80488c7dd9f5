"""The configurations of a study's rows and seeds, all in one plans file on the same preprocessed data."""

from __future__ import annotations

from typing import Any

from dataset_conversion.io.atomic_files import digest_json
from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.tables import Row
from nnunet_plugins.planners.ablation_plans import native_plans
from nnunet_plugins.planners.row_configuration import Made, row_configuration
from nnunet_plugins.plans_file import read_object, resolve
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import run_name, trained_folds
from nnunet_plugins.study.planned import described_rows
from nnunet_plugins.study.rows import base_of, is_published, row_of, table_of
from nnunet_plugins.training.procedure import read_procedure


def digest_of(plans: dict[str, Any], configuration: str) -> str:
    """Digest of a configuration with what it inherits."""
    return digest_json(resolve(plans, configuration))[:16]


def write_rows(study: Study) -> dict[str, Any]:
    """Add the configurations to the study's plans; return what the record says of them.

    Raises:
        UserError: a network cannot take the plan, or a row that was trained already would change.
    """
    settings, plans = study.settings, read_object(study.plans)
    added: dict[str, Any] = {}
    rows: dict[str, dict[str, Any]] = {}
    for name, seed in trained_folds(settings):
        row, run = row_of(settings, name), run_name(name, seed)
        try:
            made, entry = _entry(study, row, plans, seed)
        except UserError as error:
            raise UserError(f"row {name}: {error}") from error
        configuration = f"{base_of(settings, row)}_{run}"
        added[configuration] = entry
        rows[run] = {
            "configuration": configuration,
            "network": row.network,
            "trainer": f"{row.network}Trainer",
            "parameters": made.parameters,
            "memory": round(made.memory, 3),
        }
    plans["configurations"] |= added
    for one in rows.values():
        one["digest"] = digest_of(plans, one["configuration"])
    _check_unchanged(study, rows)
    write_json(study.plans, plans)
    return {"rows": rows, "described": described_rows(settings)}


def _entry(study: Study, row: Row, plans: dict[str, Any], seed: int) -> tuple[Made, dict[str, Any]]:
    """The configuration of a row with a seed."""
    settings, budget, base = study.settings, study.settings.budget, base_of(study.settings, row)
    published = is_published(settings)
    source = native_plans(study.plans.parent, plans) if published and row.native else plans
    dataset = read_object(study.preprocessed / "dataset.json")
    made, entry = row_configuration(table_of(settings), row, base, source, dataset, paper=published)
    if source is not plans:
        entry = {**resolve(source, base), **entry}
        del entry["inherits_from"]
    if budget.batch_size is not None:
        entry["batch_size"] = budget.batch_size
    training = entry.get("training", {}) | budget.procedure() | row.training | {"seed": seed}
    entry["training"] = read_procedure({"training": training})
    return made, entry


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
