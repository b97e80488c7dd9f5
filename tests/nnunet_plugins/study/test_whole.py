"""A whole study on tiny data, killed and continued."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.nnunet_plugins.study.studies import command, done, environment
from tests.nnunet_plugins.tiny import write_raw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(10_000)]
ROWS = ("ModularUNet", "ResEncM", "SEUNet")


def scores(study: Path) -> dict[str, object]:
    """Training -> its cases with every score; the tables follow from them."""
    files = sorted((study / "scores").rglob("*.json"))
    return {file.name: json.loads(file.read_text())["cases"] for file in files}


def records(study: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (study / "records" / "train").glob("*.json")}


def table(study: Path) -> str:
    """The table of the scores, without the cost of the training, which is another one each time."""
    return (study / "tables" / "validation.txt").read_text().partition("Cost of the training")[0]


def test_killed_at_random_moments_a_study_ends_in_the_same_table(tmp_path, monkeypatch):
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
    for _ in range(5):
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
