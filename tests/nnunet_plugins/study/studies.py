"""Studies whose jobs are stubs, and what is needed to run and kill them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_plugins.environment import variables
from nnunet_plugins.errors import UserError
from nnunet_plugins.study.engine import find_snakemake
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.init import Choices, content_of, write_study
from nnunet_plugins.study.planned import described_plan, described_rows

ROOT = Path(__file__).parents[3]
#: A job that takes a moment, and notes when it starts and when its record is there.
STUB = """
import json, os, sys, time
from pathlib import Path

def note(word):
    with open("events.txt", "a") as stream:
        stream.write(f"{word} {sys.argv[1]}/{sys.argv[2]}\\n")

note("start")
record = Path("records", sys.argv[1], f"{sys.argv[2]}.json")
if sys.argv[2] == os.environ.get("STUB_FAILS"):
    sys.exit(3)
time.sleep(0.3)
content = json.loads(Path("described.json").read_text()).get(sys.argv[1], {})
temporary = record.with_suffix(".part")
temporary.write_text(json.dumps(content))
os.replace(temporary, record)
note("end")
"""
RUN = """
import sys
from pathlib import Path
from nnunet_plugins.study import engine
from nnunet_plugins.study.folder import Study

engine.JOB_COMMAND = (sys.executable, "stub.py")
more = {"executor": sys.argv[2], "more": sys.argv[3:]}
sys.exit(engine.run_study(Study.read(Path(sys.argv[1])), jobs=2, **more))
"""


def snakemake_or_skip() -> str:
    """The program; the test is skipped where it is not installed."""
    try:
        return find_snakemake()
    except UserError as error:
        pytest.skip(str(error).partition(":")[0])


def stubbed(folder: Path, *, folds: int = 2) -> Study:
    """A study of a table's two rows whose jobs are stubs; importing it needs no torch."""
    content = content_of(
        Choices(
            660, table="000.2", no_baselines=True, folds=list(map(str, range(folds))), preset="cpu"
        )
    )
    write_study(folder, content)
    (folder / "stub.py").write_text(STUB)
    study = Study.read(folder)
    described = {
        "plan": {"described": described_plan(study.settings)},
        "rows": {"described": described_rows(study.settings), "rows": {}},
    }
    (folder / "described.json").write_text(json.dumps(described))
    return study


def start(study: Study, executor: str = "local", *more: str, **environ: str) -> subprocess.Popen:
    """Start the study in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(study.folder), executor, *more],
        env={**os.environ, "PYTHONPATH": str(ROOT), "nnUNet_raw": str(study.folder), **environ},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def kill(process: subprocess.Popen) -> None:
    """Kill the whole group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def events(study: Study) -> list[tuple[str, str]]:
    """(start or end, job) in their order."""
    file = study.folder / "events.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    return [tuple(line.split(" ", 1)) for line in lines]  # type: ignore[misc]


def repeated(study: Study) -> list[str]:
    """Jobs that started again after they had ended."""
    ended: set[str] = set()
    again = []
    for word, job in events(study):
        if word == "start" and job in ended:
            again.append(job)
        elif word == "end":
            ended.add(job)
    return again


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
