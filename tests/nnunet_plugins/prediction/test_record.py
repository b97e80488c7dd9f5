"""The record of a folder of label maps: what is done, with what, and by one run at a time."""

from __future__ import annotations

import json

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.predicted_files import RECORD
from nnunet_plugins.prediction.record import Record


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / f"c0_000{n}.nii.gz" for n in range(2)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]))
    return paths


def predicted(record, case, images, files):
    for name in files:
        (record.folder / name).write_text(str(record.options))
    return record.finished(case, images, files)


def test_channels_that_are_swapped_are_other_images(tmp_path, images):
    record = predicted(Record(tmp_path, {}), "c0", images, ["c0.nii.gz"])
    assert record.complete("c0", images, ["c0.nii.gz"])
    assert not record.complete("c0", images[::-1], ["c0.nii.gz"])
    assert not record.complete("c1", images, ["c0.nii.gz"])
    images[0].unlink()
    assert not record.complete("c0", images, ["c0.nii.gz"])
    assert not record.finished("c0", images, ["c0.nii.gz"]).complete("c0", images, [])


def test_files_of_another_model_do_not_complete_a_case(tmp_path, images):
    """A new label map removes the probabilities of the one before; without the record, nothing is removed."""
    names = ["c0.npz", "c0.nii.gz"]
    (tmp_path / "c0_entropy.nii.gz").touch()  # not ours
    first = Record.begun(tmp_path, {"fold": 0}, resume=False)
    predicted(predicted(first, "c0", images, names), "c0_more", images, ["c0_more.nii.gz"])
    second = Record.begun(tmp_path, {"fold": 1}, resume=False)
    assert not second.complete("c0", images, ["c0.nii.gz"])
    second = predicted(second, "c0", images, ["c0.nii.gz"])
    there = {path.name for path in tmp_path.iterdir()} - {one.name for one in images}
    assert there == {"c0.nii.gz", "c0_entropy.nii.gz", "c0_more.nii.gz", RECORD}
    (tmp_path / "c0.npz").touch()
    again = Record.begun(tmp_path, {"fold": 1}, resume=True)
    assert again.complete("c0", images, ["c0.nii.gz"])
    assert not again.complete("c0", images, names)
    assert not again.complete("c0_more", images, ["c0_more.nii.gz"])


def test_the_message_names_what_differs(tmp_path):
    Record(tmp_path, {"model": "A", "folds": {"0": "aa", "1": "bb"}, "step_size": 0.5})._write()
    for now, message in (
        ({"folds": {"0": "aa"}}, r"\(folds 0 1, now 0\)"),
        ({"folds": {"0": "aa", "1": "cc"}}, r"\(other folds\)"),
        ({"model": "B", "step_size": 1.0}, r"\(model A, now B, step_size 0.5, now 1.0\)"),
    ):
        options = {"model": "A", "folds": {"0": "aa", "1": "bb"}, "step_size": 0.5} | now
        with pytest.raises(UserError, match=message):
            Record.begun(tmp_path, options, resume=True)


def test_maps_of_the_uncertainty_are_not_label_maps(tmp_path, images):
    predicted(Record(tmp_path, {}), "c0", images, ["c0.npz", "c0_entropy.nii.gz", "c0.nii.gz"])
    assert set(label_maps(tmp_path)) == {"c0", "c0_0000", "c0_0001"}
    (tmp_path / RECORD).write_text("{")
    assert "c0_entropy" in label_maps(tmp_path)


def test_one_run_at_a_time(tmp_path, images):
    first = Record.begun(tmp_path, {"fold": 0}, resume=False)
    second = Record.begun(tmp_path, {"fold": 1}, resume=False)
    with first.held():
        predicted(first, "c0", images, ["c0.nii.gz"])
        with (
            pytest.raises(UserError, match="another prediction writes to this folder"),
            second.held(),
        ):
            pass
    with pytest.raises(UserError, match="has written to this folder meanwhile"), second.held():
        pass
    assert json.loads((tmp_path / RECORD).read_text())["options"] == {"fold": 0}
    with Record.begun(tmp_path, {"fold": 1}, resume=False).held():
        assert json.loads((tmp_path / RECORD).read_text())["options"] == {"fold": 1}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"options": {"fold": 1}, "done": ["c0"]}'])
def test_damaged_and_earlier_records(tmp_path, images, text):
    (tmp_path / RECORD).write_text(text)
    assert not Record.begun(tmp_path, {"fold": 0}, resume=False).done
    with pytest.raises(
        UserError, match=RECORD if text in ("", "[]") else "begun with other options"
    ):
        Record.begun(tmp_path, {"fold": 0}, resume=True)


def test_a_record_of_an_earlier_version_completes_nothing(tmp_path, images):
    (tmp_path / "c0.nii.gz").touch()
    (tmp_path / RECORD).write_text('{"options": {"fold": 0}, "done": ["c0"]}')
    record = Record.begun(tmp_path, {"fold": 0}, resume=True)
    assert not record.complete("c0", images, ["c0.nii.gz"])
