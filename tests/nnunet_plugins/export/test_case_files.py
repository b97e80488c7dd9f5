"""The files of a case are replaced as a set; folders that killed exports leave are removed."""

import json
import os
import signal

import numpy as np
import pytest

from dataset_conversion.io.geometry import oriented, place
from nnunet_plugins.cli import main
from nnunet_plugins.scratch import PREFIX, scratch_in
from tests.nnunet_plugins.export.exporting import blocks, grid, write_labels


def predict(folder, name, *left_out, labels=None):
    array = blocks()
    array[np.isin(array, left_out)] = 0
    return write_labels(folder, name, oriented(place(array, grid("LPS"))), labels)


def export(predictions, out, *more):
    assert main(["export", str(predictions), "-o", str(out), "--smooth", "0", *more]) == 0
    return {path.name for path in out.iterdir()}


def test_the_mesh_of_a_label_that_vanished_is_removed(tmp_path, capsys):
    first = export(predict(tmp_path / "p", "c1").parent, tmp_path / "out")
    assert "c1_left_ilium.stl" in first
    predict(tmp_path / "p", "c1", 2)
    assert first - export(tmp_path / "p", tmp_path / "out") == {"c1_left_ilium.stl"}
    assert "removed, of an earlier export: c1_left_ilium.stl" in capsys.readouterr().out


def test_the_mesh_of_a_renamed_label_is_removed(tmp_path):
    export(predict(tmp_path / "p", "c1").parent, tmp_path / "out")
    path = tmp_path / "p" / "dataset.json"
    content = json.loads(path.read_text())
    content["labels"]["os sacrum"] = content["labels"].pop("sacrum")
    path.write_text(json.dumps(content))
    names = export(tmp_path / "p", tmp_path / "out")
    assert "c1_os_sacrum.stl" in names
    assert "c1_sacrum.stl" not in names


def test_files_of_other_cases_and_of_users_are_kept(tmp_path):
    for name in ("c1", "c1_2"):
        predict(tmp_path / name, name)
        export(tmp_path / name, tmp_path / "out", "--to", "stl")
    own = tmp_path / "out" / "c1_implant.stl"
    own.write_bytes(b"solid implant")
    before = {path.name for path in (tmp_path / "out").iterdir()}
    predict(tmp_path / "c1", "c1", 3)
    assert before - export(tmp_path / "c1", tmp_path / "out", "--to", "stl") == {
        "c1_right_ilium.stl"
    }


def test_meshes_older_than_the_prediction_do_not_stay_next_to_another_format(tmp_path):
    path = predict(tmp_path / "p", "c1")
    export(tmp_path / "p", tmp_path / "out", "--to", "stl")
    together = export(tmp_path / "p", tmp_path / "out", "--to", "seg.nrrd")
    assert "c1_sacrum.stl" in together  # of the same prediction
    later = path.stat().st_mtime + 100
    os.utime(path, (later, later))
    assert export(tmp_path / "p", tmp_path / "out", "--to", "seg.nrrd") == {"c1.seg.nrrd"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_the_folder_of_a_killed_process_is_removed_by_the_next(tmp_path):
    child = os.fork()
    if not child:
        with scratch_in(tmp_path) as folder:
            (folder / "half").write_text("x")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(list(tmp_path.glob(f"{PREFIX}*/half"))) == 1
    with scratch_in(tmp_path) as running:  # removes that one
        with scratch_in(tmp_path):
            assert running.is_dir()  # in use
        assert list(tmp_path.iterdir()) == [running]
    assert not list(tmp_path.iterdir())
