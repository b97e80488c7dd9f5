"""The commands of a study's jobs: our own and nnU-Net's, by absolute path."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_plugins.plans_file import unfinished_mark
from nnunet_plugins.study.folder import PLANS, Study
from nnunet_plugins.study.jobs import Job, trained_folds
from nnunet_plugins.study.rows import base_of, native_configurations, row_of, table_of

NATIVE = "ModularUNetPlans"  # found by `ablation_plans.native_plans`


def program(name: str) -> str:
    """Path of a command in the environment of this Python."""
    return str(Path(sys.executable).with_name(name))


def ours(*arguments: object) -> list[str]:
    """One of our commands."""
    return [sys.executable, "-m", "nnunet_plugins", *map(str, arguments)]


def commands_of(study: Study, job: Job) -> list[list[str]]:
    """The commands that do a job, one after the other; [] for jobs that this process does itself."""
    commands = {"convert": _convert, "plan": _plan, "train": _train, "score": _score, "test": _test}
    return commands[job.kind](study, job) if job.kind in commands else []


def _convert(study: Study, _: Job) -> list[list[str]]:
    data = study.settings.data
    return [
        ours("convert", data.format, data.source, "-d", data.dataset, "-o", study.raw_root,
             *data.options)
    ]  # fmt: skip


def _plan(study: Study, _: Job) -> list[list[str]]:
    """Plans of the budget, and nnU-Net's own ones where a paper has nnU-Net as a row; without those that are made."""
    budget = study.settings.budget
    options: list[object] = ["--recipe", budget.recipe]
    for option, value in (
        ("--preset", budget.preset),
        ("--gpu-memory", budget.gpu_memory),
        ("--batch-size", budget.batch_size),
    ):
        options += [] if value is None else [option, value]
    if budget.training:
        options += ["--training", json.dumps(budget.training)]
    wanted = {PLANS: (budget.network, configurations(study), options)}
    if native := native_configurations(study.settings):
        wanted[NATIVE] = ("ModularUNet", native, [])
    return [
        ours("plan", study.settings.data.dataset, "--network", network, "-p", name,
             "-c", *planned, "-np", study.settings.resources.cpus, *more)
        for name, (network, planned, more) in wanted.items()
        if not plans_are_made(study, name)
    ]  # fmt: skip


def plans_are_made(study: Study, name: str) -> bool:
    """Whether plans are complete, with their preprocessed data."""
    for folder in (study.nnunet / "nnUNet_preprocessed").glob(
        f"Dataset{study.settings.data.dataset:03}_*"
    ):
        file = folder / f"{name}.json"
        if file.is_file() and not unfinished_mark(file).exists():
            return True
    return False


def configurations(study: Study) -> list[str]:
    """nnU-Net's configurations that the rows inherit from."""
    settings = study.settings
    found = [base_of(settings, row_of(settings, name)) for name in settings.row_names]
    return list(dict.fromkeys(found))


def _model(study: Study, job: Job) -> list[str]:
    """Options that select a run's model and the device."""
    row = study.rows()[job.run]
    device = study.settings.resources.device
    return ["-p", PLANS, "-tr", row["trainer"], "-device", device]


def _train(study: Study, job: Job) -> list[list[str]]:
    asked, row = study.settings.resources, study.rows()[job.run]
    several = ["-num_gpus", str(asked.gpus)] if asked.device == "cuda" and asked.gpus > 1 else []
    return [
        [program("nnUNetv2_train"), study.dataset, row["configuration"], str(job.folds[0]),
         *_model(study, job), *several, "--c"]
    ]  # fmt: skip


def _score(study: Study, job: Job) -> list[list[str]]:
    references = study.preprocessed / "gt_segmentations"
    return [_evaluate(study, job, study.fold(job) / "validation", references, "--chill")]


def _test(study: Study, job: Job) -> list[list[str]]:
    row, workers = study.rows()[job.run], str(min(3, study.settings.resources.cpus))
    folds = trained_folds(study.settings)[job.row, job.seed]
    output = predictions(study, job)
    return [
        [program("nnUNetv2_predict"), "-i", str(study.raw / "imagesTs"), "-o", str(output),
         "-d", study.dataset, "-c", row["configuration"], "-f", *map(str, folds),
         *_model(study, job), "-npp", workers, "-nps", workers],
        _evaluate(study, job, output, study.raw / "labelsTs"),
    ]  # fmt: skip


def predictions(study: Study, job: Job) -> Path:
    """Folder of the predicted test set."""
    return study.folder / "predictions" / job.name


def _evaluate(study: Study, job: Job, predicted: Path, references: Path, *more: str) -> list[str]:
    pixels = (
        ["--pixels"] if table_of(study.settings).pooled else []
    )  # such a table has distances in pixels
    return ours(
        "evaluate", predicted, references, *_metrics(study.settings.metrics), *pixels, *more,
        "-o", study.scores(job), "-j", study.settings.resources.cpus,
    )  # fmt: skip


def _metrics(names: Sequence[str]) -> list[str]:
    """Metrics that are measured on request only."""
    from nnunet_plugins.evaluation.measuring import more_of

    more = more_of(tuple(names))
    return ["--metrics", *names] if more else []
