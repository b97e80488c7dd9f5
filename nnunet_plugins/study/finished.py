"""Whether the work of a job has ended, by nnU-Net's files; needed after a run was killed."""

from __future__ import annotations

import shutil
from pathlib import Path

from nnunet_plugins.evaluation.saved import is_scores
from nnunet_plugins.model_folder import checkpoints_of, is_trained
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import Job
from nnunet_plugins.study.steps import commands_of, predictions


def is_finished(study: Study, job: Job) -> bool:
    """Whether everything that a job's commands write is there and complete."""
    if job.kind == "plan":
        return not commands_of(study, job)
    if job.kind == "train":
        return is_trained(study.fold(job))
    if job.kind in ("score", "test"):
        return is_scores(study.scores(job))
    dataset = f"Dataset{study.settings.data.dataset:03}_*/dataset.json"
    return job.kind == "convert" and any(study.raw_root.glob(dataset))


def discard_damaged(study: Study, job: Job) -> None:
    """Remove what an interrupted job has left incomplete and the next attempt would take for complete."""
    if job.kind == "train":
        checkpoints_of(study.fold(job))
    elif job.kind == "test" and not is_finished(study, job):
        shutil.rmtree(predictions(study, job), ignore_errors=True)


def finished_epochs(fold: Path) -> tuple[int, float]:
    """Number of epochs that a training has done, and their seconds."""
    from nnunet_plugins.training_log import read_training_log

    log = read_training_log(fold)
    return len(log.seconds), sum(log.seconds.values())
