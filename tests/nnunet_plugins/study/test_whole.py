"""Whole studies on tiny data: killed and continued, and the papers' experiments on phantoms."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataset_conversion.phantoms.catalogue import WRITERS
from nnunet_plugins.environment import variables
from nnunet_plugins.papers.library import find_paper
from nnunet_plugins.study.paper_data import PAPER_DATA
from tests.nnunet_plugins.study.studies import ROOT, snakemake_or_skip
from tests.nnunet_plugins.tiny import write_raw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(10_000)]
ROWS = ("ModularUNet", "ResEncM", "SEUNet")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "nnunet_plugins", "study", *map(str, arguments)]


def environment(root: Path) -> dict[str, str]:
    snakemake = Path(snakemake_or_skip()).parent
    return {**os.environ, **variables(root, cpu=True), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
            "PATH": f"{os.environ['PATH']}:{snakemake}"}  # fmt: skip


def done(arguments: list[str], environ: dict[str, str]) -> str:
    found = subprocess.run(arguments, env=environ, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


def scores(study: Path) -> dict[str, object]:
    """Training -> its cases with every score; the tables follow from them."""
    files = sorted((study / "scores").rglob("*.json"))
    return {file.name: json.loads(file.read_text())["cases"] for file in files}


def records(study: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (study / "records" / "train").glob("*.json")}


def table(study: Path) -> str:
    """The table of the scores, without the cost of the training, which is another one each time."""
    return (study / "tables" / "validation.txt").read_text().partition("Cost of the training")[0]


def test_killed_ten_times_a_study_ends_in_the_same_table(tmp_path, monkeypatch):
    environ = environment(tmp_path)
    monkeypatch.setenv("nnUNet_raw", environ["nnUNet_raw"])
    write_raw("labels", 660)
    study, whole = tmp_path / "killed", tmp_path / "whole"
    done(command("init", study, "--dataset", 660, "--networks", *ROWS, "--no-baselines",
                 "--folds", 0, 1, "--epochs", 1, "--iterations", 2, "--preset", "cpu"), environ)  # fmt: skip
    done(command("run", study, "--jobs", 2, "--until", "rows"), environ)
    shutil.copytree(study, whole)
    begin = time.monotonic()
    done(command("run", whole, "--jobs", 2), environ)
    duration = time.monotonic() - begin

    moments, finished = random.Random(1), {}
    for _ in range(10):
        process = subprocess.Popen(
            command("run", study, "--jobs", 2), env=environ, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moments.uniform(0.05, 0.3) * duration)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert records(study).items() >= finished.items()  # none was trained again
        finished = records(study)
    done(command("run", study, "--jobs", 2), environ)
    assert records(study).items() >= finished.items()
    assert len(records(study)) == len(ROWS) * 2
    assert scores(study) == scores(whole)
    assert table(study) == table(whole)
    assert len(scores(study)) == len(ROWS) * 2


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
