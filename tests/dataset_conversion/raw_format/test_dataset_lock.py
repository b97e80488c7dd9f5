"""The lock of a dataset: next to it, whatever TMPDIR is, and gone with its process."""

import os
import signal
import subprocess
import sys

import pytest

from dataset_conversion.errors import DatasetError, DiskError
from dataset_conversion.raw_format.dataset_lock import locked

HOLD = """
import sys, time
from pathlib import Path
from dataset_conversion.raw_format.dataset_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(target, temporary):
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary),
                   "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", HOLD, target], env=environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout.readline() == "held\n"
    return process


def refuse(target):
    running = "another conversion of this dataset is running"
    with pytest.raises(DatasetError, match=running), locked(target):
        pass


def test_a_process_with_another_temporary_folder_is_kept_out(tmp_path):
    target = tmp_path / "raw" / "Dataset007_Try"
    process = hold(target, tmp_path / "ta")
    try:
        refuse(target)
        with locked(tmp_path / "raw" / "Dataset008_Other"):
            pass
    finally:
        process.communicate("", timeout=20)
    with locked(target):
        pass
    assert not list((tmp_path / "ta").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_the_lock_of_a_killed_process_ends_with_it(tmp_path):
    target = tmp_path / "Dataset007_Try"
    process = hold(target, tmp_path / "ta")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    assert (tmp_path / ".Dataset007_Try.lock").exists()
    with locked(target):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["ta"]


def test_one_folder_reached_by_a_link_is_one_folder(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "link").symlink_to("raw")
    with locked(tmp_path / "raw" / "Dataset007_Try"):
        refuse(tmp_path / "link" / "Dataset007_Try")


def test_an_error_leaves_no_folder(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "new" / "raw" / "Dataset007_Try"):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("no folder")
    target = tmp_path / "file" / "Dataset007_Try"
    with pytest.raises(DiskError, match="Dataset007_Try: cannot be written"), locked(target):
        pass
