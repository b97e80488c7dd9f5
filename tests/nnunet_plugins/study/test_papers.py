"""The papers' experiments on phantoms, from the source to the paper's table."""

from __future__ import annotations

import pytest

from dataset_conversion.phantoms.catalogue import WRITERS
from nnunet_plugins.papers.library import find_paper
from nnunet_plugins.study.paper_data import PAPER_DATA
from tests.nnunet_plugins.study.studies import command, done, environment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(10_000)]

#: Number of a paper -> rows of its table; all of them take a while.
SHORT = {
    "000": ["se"],
    "001": ["mag"],
    "002": ["net25d"],
    "003": ["unet", "proposed"],
    "004": ["aspp"],
}


@pytest.mark.parametrize("number", SHORT)
def test_a_papers_experiment_on_its_phantom_ends_in_its_table(number, tmp_path):
    environ, paper = environment(tmp_path), find_paper(number)
    data = PAPER_DATA[paper.key]
    WRITERS[data.format](tmp_path / "source", 6, size="demo")
    study = tmp_path / "study"
    done(command("init", study, "--paper", number, "--source", tmp_path / "source", "--folds", 0,
                 "--rows", *SHORT[number], "--preset", "cpu", "--epochs", 1, "--iterations", 1), environ)  # fmt: skip
    done(command("run", study, "--jobs", 2), environ)
    text = (study / "tables" / ("test.md" if data.test else "validation.md")).read_text()
    assert f"{paper.key}, Table {data.table}" in text
    head = next(line for line in text.splitlines() if line.startswith("| row"))
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    for key in SHORT[number]:
        line = next(one for one in text.splitlines() if one.startswith(f"| {key} "))
        cells = dict(zip(columns, (c.strip() for c in line.strip("|").split("|")), strict=True))
        assert cells["run"].removesuffix(" !") == key
        ours = [cells[c] for c in columns if " ours" in c]
        assert any(cell not in ("", "-") for cell in ours)
    assert (study / "report.html").is_file()
