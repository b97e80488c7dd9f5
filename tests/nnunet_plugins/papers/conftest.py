"""The papers' own texts, where they are there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_plugins.papers.library import find_paper


@pytest.fixture(scope="session")
def papers_text(shared_data: Path) -> Callable[[str], str]:
    """Key of a paper -> its text on one line; hyphens at the ends of lines are removed."""
    folder = shared_data.parent / "papers"
    if not folder.is_dir():
        pytest.skip(f"no texts of the papers in {folder}")

    def text(paper: str) -> str:
        (file,) = folder.glob(f"{find_paper(paper).number}_*.txt")
        return re.sub(r"\s+", " ", file.read_text(encoding="utf-8").replace("-\n", ""))

    return text
