"""Check that preprocessed cases come from the raw dataset as it is now."""

from __future__ import annotations

from pathlib import Path

from dataset_conversion.checks.finding import Finding
from dataset_conversion.errors import DatasetError
from dataset_conversion.raw_format.preprocessed import outdated_note


def in_preprocessed(folder: Path, preprocessed: Path | None) -> list[Finding]:
    """Compare the dataset with its preprocessed cases."""
    if preprocessed is None:
        return []
    try:
        note = outdated_note(folder, preprocessed / folder.resolve().name)
    except DatasetError:  # a file that cannot be read is a finding of its own
        return []
    return [Finding(note, error=False)] if note else []
