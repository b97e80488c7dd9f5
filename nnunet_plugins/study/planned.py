"""What study.yaml said when data, plans and rows were made, so that a later change does not go unnoticed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import trained_folds
from nnunet_plugins.study.settings import Settings

#: Not planned: they may change as long as nothing is trained.
_LATER = ("epochs", "iterations")


def described_plan(settings: Settings) -> dict[str, Any]:
    """What data and plans depend on. Numbers of the machine and paths are left out: a study may move."""
    budget = {key: value for key, value in asdict(settings.budget).items() if key not in _LATER}
    data = settings.data
    return {
        "dataset": data.dataset,
        "format": data.format,
        "options": list(data.options),
        "configuration": settings.configuration,
        "budget": budget,
    }


def described_rows(settings: Settings) -> dict[str, Any]:
    """What the configurations of the rows depend on."""
    rows = [row if isinstance(row, str) else asdict(row) for row in settings.rows]
    budget = {key: getattr(settings.budget, key) for key in _LATER}
    seeds = [[row, seed] for row, seed in trained_folds(settings)]
    return {"table": settings.table, "rows": rows, "budget": budget, "seeds": seeds}


def check_planned(study: Study) -> None:
    """Check that study.yaml still describes the data and plans of the study.

    Raises:
        UserError: it does not; names the first value that differs.
    """
    file = study.folder / "records" / "plan" / "data.json"
    if not file.is_file():
        return
    before, now = read_object(file)["described"], described_plan(study.settings)
    for key, value in now.items():
        if before.get(key) != value:
            raise UserError(
                f"study.yaml: {key} is {value!r}; data and plans were made with {before.get(key)!r}. Change it back, "
                f"or start a new study in another folder"
            )
