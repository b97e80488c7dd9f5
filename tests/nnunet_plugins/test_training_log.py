"""The reader of nnU-Net's training log: curves, times, continued and repeated trainings."""

from __future__ import annotations

from pathlib import Path

from nnunet_plugins.training_log import TrainingLog, read_training_log
from tests.nnunet_plugins.training_logs import DONE, LOG


def write(fold: Path, day: int, text: str) -> TrainingLog:
    (fold / f"training_log_2026_1_{day}_00_00_00.txt").write_text(text)
    return read_training_log(fold)


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    log = write(tmp_path, 1, LOG)
    assert log.train == {0: 0.5, 1: -0.1}
    assert log.val == {0: 0.25}
    assert log.dice == {0: 0.5, 1: 0.5}
    assert log.seconds == {0: 10.0, 1: 12.0}
    assert not log.finished
    assert log.peak_gib is None


def test_a_continued_training_overwrites_the_epochs_that_it_repeats(tmp_path: Path) -> None:
    write(tmp_path, 1, LOG)
    more = LOG.replace("Epoch 1", "Epoch 2").replace("Epoch 0", "Epoch 1")
    log = write(tmp_path, 2, more + DONE)
    assert log.train == {0: 0.5, 1: 0.5, 2: -0.1}
    assert log.seconds == {0: 10.0, 1: 10.0, 2: 12.0}
    assert log.finished


def test_a_new_training_replaces_the_old_one(tmp_path: Path) -> None:
    write(tmp_path, 1, LOG + DONE + "2026-01-01 00:00:23.1: peak memory allocated: 7.42 GiB\n")
    assert read_training_log(tmp_path).peak_gib == 7.42
    log = write(tmp_path, 2, LOG.replace("0.5", "0.7"))
    assert log.train == {0: 0.7, 1: -0.1}
    assert not log.finished
    assert log.peak_gib is None


def test_no_log_has_no_curves(tmp_path: Path) -> None:
    assert read_training_log(tmp_path) == TrainingLog()
    assert not read_training_log(tmp_path).has_curves


def test_the_split_of_the_last_training_is_kept(tmp_path: Path) -> None:
    split = "2026-01-01: This split has {} training and {} validation cases.\n"
    leak = "2026-01-01: WARNING: Some validation cases are also in the training set. Please\n"
    log = write(tmp_path, 1, split.format(8, 2) + leak + LOG + DONE)
    assert (log.training_cases, log.validation_cases, log.overlaps) == (8, 2, True)
    log = write(tmp_path, 2, split.format(9, 1) + LOG)
    assert (log.training_cases, log.validation_cases, log.overlaps) == (9, 1, False)


def test_a_log_without_epochs_records_no_training(tmp_path: Path) -> None:
    assert not write(tmp_path, 1, "2026-01-01: predicting a\n").has_epochs
    assert write(tmp_path, 2, LOG).has_epochs
