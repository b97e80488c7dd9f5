"""Writes study.yaml: short, with comments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
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
