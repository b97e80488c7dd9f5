"""`plan` killed at random moments: the next run gives what an undisturbed run gives."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnunet_plugins.planners import planning
from nnunet_plugins.planners.planning import Request, interrupted
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.planners.test_unfinished import NAME, Planner

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
REQUEST = Request("752", "ModularUNet", preset="cpu", configurations=("2d", "3d_fullres"))
_STEP = 0.004  # seconds between two files


@pytest.fixture
def dataset(nnunet: Path) -> Iterator[Path]:
    name, _ = tiny.write_raw("labels", 752)
    yield nnunet / "nnUNet_preprocessed" / name
    shutil.rmtree(nnunet / "nnUNet_raw" / name)
    shutil.rmtree(nnunet / "nnUNet_preprocessed" / name, ignore_errors=True)


def slow_steps(dataset: Path, patch: pytest.MonkeyPatch) -> None:
    """Replace nnU-Net's steps by ones that write half files, then whole ones."""
    raw = planning.folder_of("nnUNet_raw") / dataset.name

    def write(path: Path, content: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as stream:
            for part in (content[: len(content) // 2], content[len(content) // 2 :]):
                stream.write(part)
                stream.flush()
                time.sleep(_STEP)

    def preprocess(_: int, name: str, chosen: list[str], **__: Any) -> None:
        for configuration in chosen:
            data = dataset / f"{name}_{configuration}"
            shutil.rmtree(data, ignore_errors=True)
            for case in range(tiny.CASES):
                write(data / f"case{case}.pkl", b"properties")
        for label in sorted((raw / "labelsTr").iterdir()):
            copy = dataset / "gt_segmentations" / label.name
            if not copy.exists():  # nnU-Net: or older
                write(copy, label.read_bytes())

    class Slow(Planner):
        def plan_experiment(self) -> dict[str, Any]:
            time.sleep(_STEP)
            plans = super().plan_experiment()
            write(self.target, self.target.read_bytes())
            return plans

    patch.setattr(planning, "_planner", lambda *_: Slow(dataset))
    patch.setattr(planning, "_check_networks", lambda *_: None)
    patch.setattr(
        planning,
        "extract_fingerprint_dataset",
        lambda *_, **__: write(dataset / "dataset_fingerprint.json", b"{}  "),
    )
    patch.setattr(planning, "preprocess_dataset", preprocess)


def killed(work: Callable[[], Any], seconds: float) -> bool:
    """Run ``work`` in a process that is killed after a time; return whether it was still running."""
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def tree(folder: Path, content: Callable[[Path], Any]) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): content(path) for path in files}


def stored(path: Path) -> Any:
    """The content of a file of nnU-Net; compressed bytes depend on threads."""
    if path.suffix == ".b2nd":
        import blosc2

        return np.asarray(blosc2.open(str(path), mode="r")[:]).tobytes()
    if path.suffix == ".pkl":
        return repr(pickle.loads(path.read_bytes()))
    return path.read_bytes()


def survive(dataset: Path, kills: int, content: Callable[[Path], Any], rng: random.Random) -> None:
    """Kill and run again, ``kills`` times while the process runs."""
    begin = time.monotonic()
    planning.plan(REQUEST)
    duration = time.monotonic() - begin
    whole = tree(dataset, content)
    while kills:
        shutil.rmtree(dataset)
        moment = rng.uniform(0.02, 0.95) * duration
        if killed(lambda: planning.plan(REQUEST), moment):
            kills -= 1
        else:
            duration = moment
        if not interrupted(REQUEST):  # before the first file, or after the last
            shutil.rmtree(dataset, ignore_errors=True)
        planning.plan(REQUEST)
        assert tree(dataset, content) == whole, f"killed after {moment:.2f} of {duration:.2f} s"


def test_the_next_run_after_a_kill_gives_the_same(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_steps(dataset, monkeypatch)
    survive(dataset, 3, Path.read_bytes, random.Random(16))
    assert (dataset / f"{NAME}.json").is_file()


@pytest.mark.integration
def test_nnunets_own_steps_after_kills(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Threads: a pool of processes takes seconds to start, four times for each run.
    pools = SimpleNamespace(Pool=ThreadPool)
    monkeypatch.setattr(multiprocessing, "get_context", lambda _=None: pools)
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    planning.plan(REQUEST)  # imports
    shutil.rmtree(dataset)
    survive(dataset, 6, stored, random.Random(16))
