"""Fixtures of the converters' tests: phantoms."""

from __future__ import annotations

from pathlib import Path

import pytest
from making import SMALL

from dataset_conversion.phantoms.sij_ct import write_patients


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small phantom patients, two with masks, and labels.json; do not write here."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_patients(folder, 3, with_masks=2, **SMALL)  # type: ignore[arg-type]
    return folder
