"""Whether references were drawn by readers who saw a model's proposal, as `rounds` records it in dataset.json.

Such references favour the models that proposed them, and those trained on them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from dataset_conversion.json_text import parse_json

ENTRY = "nnunet_plugins"  # in dataset.json
KEY = "rounds"
NOTE = (
    "{} of {} references were corrected from proposals of a model (nnunet-plugins rounds, up to round {}): such "
    "references favour the models that proposed them"
)


def saw_model_notes(reference: Path, cases: Collection[str]) -> list[str]:
    """A note if readers of some references saw a model's proposal; [] if that is not recorded.

    Args:
        reference: file or folder of the references; the dataset.json next to or above it is read.
        cases: names of the cases that are scored.
    """
    folder = reference.absolute() if reference.is_dir() else reference.absolute().parent
    for place in (folder, folder.parent):
        if (place / "dataset.json").is_file():
            record = _record(place / "dataset.json")
            seen = set(cases).intersection(record.get("saw_model", ()))
            if not seen:
                return []
            return [NOTE.format(len(seen), len(cases), int(record["round"]) - 1)]
    return []


def _record(file: Path) -> dict[str, Any]:
    try:
        found = parse_json(file.read_text(encoding="utf-8-sig"))[ENTRY][KEY]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    usable = isinstance(found, dict) and isinstance(found.get("round"), int)
    return found if usable and isinstance(found.get("saw_model"), list) else {}
