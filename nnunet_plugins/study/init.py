"""Writes study.yaml: short, with comments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.library import find_table
from nnunet_plugins.study.settings import FILE, Settings, parse_settings

#: Sections in their order, with the comments above them.
_COMMENTS = {
    "data": "The cases: a dataset of nnUNet_raw, or a source that is converted first (source, format, options).",
    "table": "Rows named by their key are those of this table; published numbers are printed beside ours.",
    "rows": "The first is the baseline. A row is a name, or {name: N, network: N, options: {}, training: {}}.",
    "configuration": "nnU-Net's configuration that all rows share.",
    "budget": "What all rows share. Patch and batch are planned for `network`; see `nnunet-plugins plan --help`.",
    "folds": "Every row is trained on every fold with every seed.",
    "seeds": "",
    "extra_runs": "Further runs of some rows, e.g. {rows: [MAGUNet], folds: [0], seeds: [1, 2]}.",
    "test": "Whether the test set of the dataset (imagesTs, labelsTs) is predicted and scored.",
    "metrics": "Compared in pairs, by patient, with Holm's correction.",
    "resources": "Of one job. A training that meets its time limit on a cluster is submitted again and goes on.",
}


#: nnU-Net's own networks, with which every study begins.
BASELINES = ("nnUNetPlain", "ResEncM")


@dataclass(frozen=True)
class Choices:
    """What `study init` is asked for; attributes are named after its options.

    Attributes:
        dataset: id.
        networks: one row per network; None with a table.
        table: a paper's table.
        rows: of the table; None for all.
        no_baselines: leave out BASELINES.
        configuration: None for that of the table.
        folds: numbers, or ``all``.
        seeds: integers.
        epochs: None for the preset's or nnU-Net's.
        iterations: per epoch.
        preset: of `plan`.
        gpu_memory: GB.
        metrics: None for Dice and HD95.
        groups: file of cases and patients.
        test: predict the test set.
        device: None for cuda, or cpu with the preset of that name.
        cpus: cores per job.
    """

    dataset: int | None = None
    networks: Sequence[str] | None = None
    table: str | None = None
    rows: Sequence[str] | None = None
    no_baselines: bool = False
    configuration: str | None = None
    folds: Sequence[str] = ("0", "1", "2", "3", "4")
    seeds: Sequence[int] = (0,)
    epochs: int | None = None
    iterations: int | None = None
    preset: str | None = None
    gpu_memory: float | None = None
    metrics: Sequence[str] | None = None
    groups: str | None = None
    test: bool = False
    device: str | None = None
    cpus: int | None = None


def content_of(chosen: Choices) -> dict[str, Any]:
    """The sections of study.yaml for some choices.

    Raises:
        UserError: no dataset, or an unknown table.
    """
    if chosen.dataset is None:
        raise UserError("study init: --dataset is missing; pass the id of a dataset in nnUNet_raw")
    table = find_table(chosen.table) if chosen.table else None
    rows = list(
        chosen.networks or chosen.rows or ([row.key for row in table.rows] if table else [])
    )
    baselines = [] if chosen.no_baselines else [name for name in BASELINES if name not in rows]
    device = chosen.device or ("cpu" if chosen.preset == "cpu" else "cuda")
    return {
        "data": {"dataset": chosen.dataset, "groups": chosen.groups},
        "table": table.id if table else None,
        "rows": [*baselines, *rows],
        "configuration": chosen.configuration or (table.configuration if table else "3d_fullres"),
        "budget": {
            "network": table.network if table else "ModularUNet",
            "preset": chosen.preset,
            "gpu_memory": chosen.gpu_memory,
            "epochs": chosen.epochs,
            "iterations": chosen.iterations,
        },
        "folds": [int(fold) if fold.isdecimal() else fold for fold in chosen.folds],
        "seeds": list(chosen.seeds),
        "extra_runs": [],
        "test": chosen.test,
        "metrics": list(chosen.metrics or ("dice", "hd95_mm")),
        "resources": {
            "device": device,
            "gpus": 1 if device == "cuda" else 0,
            "cpus": chosen.cpus or (1 if device == "cpu" else 8),
            "memory_gb": 8.0 if device == "cpu" else 32.0,
            "hours": 48.0,
        },
    }


def write_study(folder: Path, content: dict[str, Any], *, force: bool = False) -> Settings:
    """Check settings and write them to DIR/study.yaml.

    Args:
        folder: the study's folder.
        content: the sections of study.yaml.
        force: overwrite a study.yaml.

    Raises:
        UserError: a value is not allowed, or there is a study.yaml.
    """
    from nnunet_plugins.study.rows import row_of

    file = folder / FILE
    if file.exists() and not force:
        raise UserError(f"{file}: exists; edit it, or pass --force to overwrite it")
    text = study_text(content)
    settings = parse_settings(text)
    for name in settings.row_names:
        row_of(settings, name)
    with placed(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return settings


def study_text(content: dict[str, Any]) -> str:
    """The text of a study.yaml; JSON of one line is YAML as well."""
    lines = ["# A study of nnunet-plugins; run it with: nnunet-plugins study run DIR"]
    for key, comment in _COMMENTS.items():
        if content.get(key) is None:
            continue
        lines += ["", f"# {comment}"] if comment else []
        lines += _section(key, content[key])
    return "\n".join(lines) + "\n"


def _section(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        entries = [(name, one) for name, one in value.items() if one is not None]
        return [f"{key}:", *(f"  {name}: {_plain(one)}" for name, one in entries)]
    if key in ("rows", "extra_runs"):
        return [f"{key}:", *(f"  - {_plain(one)}" for one in value)] if value else [f"{key}: []"]
    return [f"{key}: {_plain(value)}"]


def _plain(value: Any) -> str:
    """A value on one line; texts in quotes, so that none is read as a number or truth value."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
