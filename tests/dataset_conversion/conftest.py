"""Fixtures of the converters' tests: real files where they are, phantoms everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from making import SMALL

from dataset_conversion.phantoms.sij_ct import write_patients


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real files; the test is skipped where they are not."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("NNUNET_PLUGINS_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real files at {folder} (set NNUNET_PLUGINS_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small phantom patients, two with masks, and labels.json; do not write here."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_patients(folder, 3, with_masks=2, **SMALL)  # type: ignore[arg-type]
    return folder
