"""Fixtures of the converters' tests: phantoms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset_conversion.phantoms.sij_ct import write_patients
from tests.dataset_conversion.making import SMALL


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small phantom patients, two with masks, and labels.json; read only."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_patients(folder, 3, with_masks=2, **SMALL)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def no_picture() -> Iterator[None]:
    """Skip the preview, which takes most of the time of a small conversion."""

    def draw(path: Path, *_: object) -> None:
        path.write_bytes(b"no picture")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dataset_conversion.raw_format.writer.draw", draw)
        patch.setattr("dataset_conversion.raw_format.writer.cut", lambda *_: None)
        yield
