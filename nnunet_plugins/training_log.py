"""nnU-Net's training_log_*.txt: losses, pseudo-Dice, epoch times and peak memory of one fold."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

_EPOCH = re.compile(r": Epoch (\d+)\s*$")
_SECONDS = re.compile(r": Epoch time: ([\d.]+) s")
_LOSS = re.compile(r": (train|val)_loss (\S+)\s*$")
_DICE = re.compile(r": Pseudo dice \[(.*)\]\s*$")
_NUMPY_SCALAR = re.compile(r"np\.float\d+\(([^)]*)\)")
_PEAK = re.compile(r": peak memory allocated: ([\d.]+) GiB")  # written by our trainers only
_WEIGHTS = re.compile(r": weights loaded from (\S+)\s*$")  # written by our trainers only
_SPLIT = re.compile(r"split has (\d+) training and (\d+) validation cases")
_LEAK = "Some validation cases are also in the training set"


@dataclass
class TrainingLog:
    """The last training of a fold. A continued training overwrites the epochs that it repeats.

    Attributes:
        train: epoch -> training loss.
        val: epoch -> validation loss.
        dice: epoch -> nnU-Net's pseudo-Dice (on random patches), mean over the labels that have one.
        seconds: epoch -> duration, s.
        peak_gib: peak GPU memory, GiB; None if it is not recorded.
        finished: whether the training reached its last epoch.
        training_cases: their number; None if it is not recorded.
        validation_cases: their number; None if it is not recorded.
        overlaps: whether nnU-Net found validation cases in the training set.
        validated_with: name of the checkpoint that was loaded after the training; '' for none, or if it is not
            recorded.
    """

    train: dict[int, float] = field(default_factory=dict)
    val: dict[int, float] = field(default_factory=dict)
    dice: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    peak_gib: float | None = None
    finished: bool = False
    training_cases: int | None = None
    validation_cases: int | None = None
    overlaps: bool = False
    validated_with: str = ""

    @property
    def has_epochs(self) -> bool:
        """Whether a training is recorded; the log of a validation alone has no epochs."""
        return bool(self.seconds or self.has_curves)

    @property
    def has_curves(self) -> bool:
        """Whether there is anything to plot."""
        return bool(self.train or self.val or self.dice)


def read_training_log(fold: Path) -> TrainingLog:
    """Read all logs of a fold in the order of their dates; values that are not finite are left out."""
    log = TrainingLog()
    epoch: int | None = None
    for file in sorted(fold.glob("training_log_*.txt")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := _EPOCH.search(line):
                epoch = int(found[1])
                if epoch == 0:  # a new training
                    log = _of_new_training(log)
                log.finished = False
            else:
                _read_outside(line, log)
                if epoch is not None:
                    _read_epoch(line, log, epoch)
    return log


def _of_new_training(before: TrainingLog) -> TrainingLog:
    """A log that keeps only the split, which nnU-Net writes before the first epoch."""
    return TrainingLog(
        training_cases=before.training_cases,
        validation_cases=before.validation_cases,
        overlaps=before.overlaps,
    )


def _read_outside(line: str, log: TrainingLog) -> None:
    """Read a line that belongs to no epoch."""
    if "Training done" in line:
        log.finished = True
    elif found := _PEAK.search(line):
        log.peak_gib = max(log.peak_gib or 0.0, float(found[1]))
    elif found := _SPLIT.search(line):
        log.training_cases, log.validation_cases = int(found[1]), int(found[2])
        log.overlaps = False
    elif _LEAK in line:
        log.overlaps = True
    elif log.finished and (found := _WEIGHTS.search(line)):
        log.validated_with = found[1]


def _read_epoch(line: str, log: TrainingLog, epoch: int) -> None:
    """Read a line of an epoch."""
    if found := _SECONDS.search(line):
        log.seconds[epoch] = float(found[1])
    elif found := _LOSS.search(line):
        if values := _numbers(found[2]):
            (log.train if found[1] == "train" else log.val)[epoch] = values[0]
    elif found := _DICE.search(line):
        values = _numbers(_NUMPY_SCALAR.sub(r"\1", found[1]))
        if values:
            log.dice[epoch] = statistics.fmean(values)


def _numbers(text: str) -> list[float]:
    """The finite numbers of a comma-separated list."""
    found = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            continue
        if math.isfinite(value):
            found.append(value)
    return found
