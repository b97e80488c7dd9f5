"""The notebook of the documentation: runs from start to end, and is stored without outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.pages import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


@pytest.fixture
def notebook() -> Any:
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    return found


def test_it_is_stored_without_outputs(notebook: Any) -> None:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.integration
def test_it_runs_from_patients_to_report(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the notebook runs in another folder
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    output = tmp_path / "tutorial-output"
    assert (output / "scores.json").is_file()
    assert "left ilium" in (output / "report.html").read_text(encoding="utf-8")
    texts = [out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", ())]
    assert any("left ilium" in text and "Dice" in text for text in texts)
