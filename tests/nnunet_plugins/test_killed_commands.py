"""Commands that are killed leave no process and no damage: run again, they give the undisturbed result."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins import prediction
from nnunet_plugins.child_processes import MARK as OURS
from nnunet_plugins.child_processes import ending_with_us, marked
from nnunet_plugins.cli import main
from tests.nnunet_plugins.processes import Forked, children, kill, killed_at_random, left, start
from tests.nnunet_plugins.test_model_orientation import Sided, model_in, write

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def cases(folder, count, seed=0):
    """Predictions and references."""
    chance = np.random.default_rng(seed)
    for name in ("p", "r"):
        (folder / name).mkdir(parents=True)
    voxels = np.zeros((20, 40, 40), np.uint8)
    voxels[5:12, 8:30, 8:30] = 1
    voxels[13:18, 8:20, 8:30] = 2
    for number in range(count):
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / "r" / f"c{number}.nii.gz"))
        moved = np.roll(voxels, int(chance.integers(1, 4)), axis=2)
        sitk.WriteImage(sitk.GetImageFromArray(moved), str(folder / "p" / f"c{number}.nii.gz"))
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return cases(tmp_path_factory.mktemp("many"), 40)


def scoring(folder, out):
    return ["evaluate", str(folder / "p"), str(folder / "r"), "-o", str(out), "-j", "2"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_no_worker_outlives_evaluate(name, many, tmp_path):
    number, mark = getattr(signal, name), uuid.uuid4().hex
    process = start(scoring(many, tmp_path / "a.json"), mark)
    assert children(mark, 2)  # the resource tracker and a worker
    status = kill(process, number, mark)
    assert status in (-number, 128 + number)
    assert not (tmp_path / "a.json").exists()


@pytest.mark.integration
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_no_worker_outlives_evaluate_after_other_signals(name, many, tmp_path):
    number, mark = getattr(signal, name), uuid.uuid4().hex
    process = start(scoring(many, tmp_path / "a.json"), mark)
    assert children(mark, 2)
    assert kill(process, number, mark) in (-number, 128 + number)


SLEEPER = """
import subprocess, sys, time
from nnunet_plugins.child_processes import ending_with_us
with ending_with_us():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_killed_commands_processes_are_ended():
    mark = uuid.uuid4().hex
    environment = {**os.environ, "TEST_OF_KILLED_COMMANDS": mark}
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert children(mark, 1)  # the environment of a process is empty while it starts
    process.kill()
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 20
    while left(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left(mark)


def test_a_finished_command_leaves_processes_of_others_alone(monkeypatch):
    monkeypatch.delenv(OURS, raising=False)
    with ending_with_us():
        mark = os.environ[OURS]
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert OURS not in os.environ
        assert child.poll() is None
        assert marked(mark) == {child.pid}
    finally:
        child.communicate(b"\n")
    assert child.returncode == 0


IGNORING = """
import os, signal, sys, types
from nnunet_plugins import cli
def run(arguments):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        pass  # as libraries do while they are imported
    return 0
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background job
cli.COMMANDS["env"] = types.SimpleNamespace(__doc__="Stop.", add_arguments=lambda parser: None, run=run)
sys.argv[1:] = ["env"]
cli.console()
"""


def test_an_interruption_that_a_library_discards_still_ends_with_130():
    done = subprocess.run([sys.executable, "-c", IGNORING], check=False)
    assert done.returncode == 130


def test_ignored_signals_remain_ignored():
    code = """
import signal
from nnunet_plugins.signals import end_on_signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
end_on_signals()
assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, signal.SIG_DFL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


FORKING = """
import os, signal, time
from nnunet_plugins.signals import end_on_signals
end_on_signals()
for _ in range(20):
    process = os.fork()
    if not process:
        time.sleep(20)
        os._exit(0)
    os.kill(process, signal.SIGTERM)  # often before the new process has run a line
    assert os.waitpid(process, 0)[1] == signal.SIGTERM
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
"""


def test_a_forked_process_ends_by_a_signal_at_any_moment():
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


def command(name, folder, out):
    """A command whose output is compared; it writes below a folder."""
    return {
        "evaluate": scoring(folder, out / "a.json"),
        "report": ["report", str(folder / "p"), "--reference", str(folder / "r"), "-o",
                   str(out / "a.html"), "--worst", "1"],
        "export": ["export", str(folder / "p"), "-o", str(out), "--to", "nii.gz", "stl"],
        "robustness": ["robustness", str(folder / "model"), str(folder / "images"), "--labels",
                       str(folder / "labels"), "-o", str(out), "--noise", "10", "--rotation", "10"],
    }[name]  # fmt: skip


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    folder = cases(tmp_path_factory.mktemp("few"), 3)
    text = '{"labels": {"background": 0, "sacrum": 1, "tumour": 2}}'
    (folder / "p" / "dataset.json").write_text(text)
    return folder


def test_an_export_killed_at_random_moments_and_run_again(few, tmp_path):
    assert main(command("export", few, tmp_path / "imports")) == 0
    killed_at_random(partial(command, "export", few), 3, tmp_path, Forked)


@pytest.mark.integration
def test_a_prediction_killed_at_random_moments_and_run_again(tmp_path, monkeypatch):
    model = model_in(tmp_path / "model")
    write(tmp_path, ["LPS", "PIR", "RAS"])
    monkeypatch.setattr(prediction, "find_model", lambda *_: model)
    monkeypatch.setattr(prediction, "load", lambda *_: Sided())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    assert main(command("robustness", tmp_path, tmp_path / "imports")) == 0
    killed_at_random(partial(command, "robustness", tmp_path), 6, tmp_path, Forked)
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.integration
@pytest.mark.parametrize("name", ["evaluate", "report", "export"])
def test_killed_at_random_moments_and_run_again(name, few, tmp_path):
    killed_at_random(partial(command, name, few), 6, tmp_path, start)
