"""Writes study.yaml: short, with comments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.datasets.registry import CONVERTERS
from nnunet_plugins.atomic_files import write_text
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.library import find_paper, find_table
from nnunet_plugins.papers.tables import Table
from nnunet_plugins.study.paper_data import PAPER_DATA, PaperData
from nnunet_plugins.study.settings import FILE, Settings, parse_settings

#: Sections in their order, with the comments above them.
_COMMENTS = {
    "data": "The cases: a dataset of nnUNet_raw, or a source that is converted first (source, format, options).",
    "table": "Rows named by their key are those of this table; the published numbers are printed next to ours.",
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
        source: folder that is converted first.
        format: its format; None for that of the paper.
        convert: further options of the conversion.
        paper: whose experiment is repeated, with its recipe.
        networks: one row per network.
        table: a paper's table; None for the main one of the paper.
        rows: of the table; None for all.
        no_baselines: leave out BASELINES.
        configuration: None for that of the table.
        folds: numbers, or ``all``; None for those of the paper, or 0 to 4.
        seeds: integers.
        epochs: None for the recipe's, the preset's or nnU-Net's.
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
    source: str | None = None
    format: str | None = None
    convert: Sequence[str] = ()
    paper: str | None = None
    networks: Sequence[str] | None = None
    table: str | None = None
    rows: Sequence[str] | None = None
    no_baselines: bool = False
    configuration: str | None = None
    folds: Sequence[str] | None = None
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
        UserError: no dataset, no rows, or an unknown paper or table.
    """
    paper = find_paper(chosen.paper) if chosen.paper else None
    known = PAPER_DATA[paper.key] if paper else None
    table = _table(chosen, f"{paper.key}.{known.table}" if paper and known else None)
    rows = list(
        chosen.networks or chosen.rows or ([row.key for row in table.rows] if table else [])
    )
    if not rows:
        raise UserError("study init: no rows; pass --networks NAME ..., --table T, or --paper KEY")
    # A paper's experiment has the rows of its table; nnU-Net's own networks have no topology in it.
    own = () if chosen.no_baselines or paper else BASELINES
    device = chosen.device or ("cpu" if chosen.preset == "cpu" else "cuda")
    folds = chosen.folds or [str(fold) for fold in (known.folds if known else range(5))]
    return {
        "data": _data(chosen, known),
        "table": table.id if table else None,
        "rows": [*(name for name in own if name not in rows), *rows],
        "configuration": chosen.configuration or (table.configuration if table else "3d_fullres"),
        "budget": {
            "network": table.network if table else "ModularUNet",
            "recipe": "paper" if paper else None,
            "preset": chosen.preset,
            "gpu_memory": chosen.gpu_memory,
            "epochs": chosen.epochs,
            "iterations": chosen.iterations,
        },
        "folds": [int(fold) if fold.isdecimal() else fold for fold in folds],
        "seeds": list(chosen.seeds),
        "extra_runs": [],
        "test": chosen.test or bool(known and known.test and chosen.source),
        "metrics": list(chosen.metrics or ("dice", "hd95_mm")),
        "resources": {
            "device": device,
            "gpus": 1 if device == "cuda" else 0,
            "cpus": chosen.cpus or (1 if device == "cpu" else 8),
            "memory_gb": 8.0 if device == "cpu" else 32.0,
            "hours": 48.0,
        },
    }


def _table(chosen: Choices, of_paper: str | None) -> Table | None:
    name = chosen.table or of_paper
    if name is None:
        return None
    table = find_table(name)
    if of_paper and table.paper != of_paper.rpartition(".")[0]:
        raise UserError(
            f"study init: table {table.id} is not of the paper {chosen.paper}; omit one of them"
        )
    return table


def _data(chosen: Choices, known: PaperData | None) -> dict[str, Any]:
    """The section on the data.

    Raises:
        UserError: neither a dataset nor a source of a known format.
    """
    if chosen.source is None:
        if chosen.dataset is None:
            raise UserError(
                "study init: --dataset is missing; pass the id of a dataset in nnUNet_raw, or --source FOLDER to "
                "convert one"
            )
        return {"dataset": chosen.dataset, "groups": chosen.groups}
    form = chosen.format or (known.format if known else None)
    if form not in CONVERTERS:
        raise UserError(
            f"study init: --format {form}: allowed with --source: {', '.join(CONVERTERS)}"
        )
    source = Path(chosen.source).absolute()
    options = [*(known.options if known and form == known.format else ()), *chosen.convert]
    labels = source / "labels.json"
    if form == "hospital-ct" and labels.is_file() and "--labels" not in options:
        options += ["--labels", str(labels)]
    return {
        "dataset": chosen.dataset or 660,
        "source": str(source),
        "format": form,
        "options": options,
        "groups": chosen.groups,
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
    write_text(file, text)
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
