"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real CT and MRI files: $NNUNET_PLUGINS_SHARED_DATA, else ../shared/data next to the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NNUNET_PLUGINS_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real files: {folder} is not there (set NNUNET_PLUGINS_SHARED_DATA)")
    return folder
