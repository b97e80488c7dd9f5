"""Killed with SIGKILL at random points while converting: nothing half-done shows, and the next run's
bytes are those of a run that was left alone."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.phantoms.sij_ct import write_patients
from tests.dataset_conversion.making import SMALL, tree

NAME = "Dataset660_SacroiliacCT"
SCRIPT = """
import json, sys
from pathlib import Path
from dataset_conversion.datasets.hospital_ct import Options, convert
import matplotlib.figure  # not while it is timed
source, raw, options = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
print("ready", flush=True)
convert(source, raw, 660, options=Options(labels=source / "labels.json", **options))
"""
SLOW_RUNS = 20


class Source:
    """Patients, and what a run that is left alone makes of them."""

    def __init__(self, folder: Path, count: int, **options: object) -> None:
        self.patients, self.options = folder / "patients", options
        write_patients(self.patients, count, with_masks=count - 1, **SMALL)  # type: ignore[arg-type]
        start = time.monotonic()
        self.convert(folder / "alone")
        self.seconds = time.monotonic() - start
        self.tree = tree(folder / "alone")

    def convert(self, raw: Path) -> None:
        labels = self.patients / "labels.json"
        convert(self.patients, raw, 660, options=Options(labels=labels, **self.options))  # type: ignore[arg-type]

    def kill(self, raw: Path, after: float) -> bool:
        """Start a conversion and kill it `after` seconds of work; say whether it was still at it."""
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(self.patients), str(raw), json.dumps(self.options)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(after)
        process.kill()
        return process.wait() < 0


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Source(tmp_path_factory.mktemp("killed"), 4, split="7:3", test="80/20", jobs=2)


def run(source, tmp_path, kills, seed):
    chance, hits = random.Random(seed), 0
    for number in range(kills):
        raw = tmp_path / f"raw{number}"
        hits += source.kill(raw, chance.uniform(0, 1.1 * source.seconds))
        if (raw / NAME).exists():
            assert tree(raw / NAME) == tree_below(source.tree)
        source.convert(raw)
        assert tree(raw) == source.tree, f"run {number}"
        shutil.rmtree(raw)
    return hits


def tree_below(whole):
    return {name.split("/", 1)[1]: content for name, content in whole.items()}


def test_killed_three_times(source, tmp_path):
    assert run(source, tmp_path, 3, seed=1)  # at least one was still at it


def test_killed_again_and_again_in_one_folder(source, tmp_path):
    """Each run gets a little further, and none is in another's way."""
    hits = [source.kill(tmp_path / "raw", share * source.seconds) for share in (0.3, 0.5)]
    source.convert(tmp_path / "raw")
    assert tree(tmp_path / "raw") == source.tree
    assert any(hits)


def test_killed_while_a_finished_dataset_is_brought_up_to_date(source, tmp_path):
    """The old dataset stays whole until the new one takes its place."""
    raw = tmp_path / "raw"
    labels = source.patients / "labels.json"
    convert(source.patients, raw, 660, options=Options(labels=labels, window=(-200, 600)))
    old = tree(raw / NAME)
    source.kill(raw, 0.5 * source.seconds)
    if (raw / NAME).exists():
        assert tree(raw / NAME) in (old, tree_below(source.tree))
    source.convert(raw)
    assert tree(raw) == source.tree


@pytest.mark.slow
def test_killed_twenty_times(tmp_path):
    source = Source(tmp_path / "source", 8, jobs=2)
    hits = run(source, tmp_path, SLOW_RUNS, seed=20)
    print(f"{hits} of {SLOW_RUNS} runs were still at work when they were killed")
    assert hits >= SLOW_RUNS // 2  # the others had ended before they could be killed
