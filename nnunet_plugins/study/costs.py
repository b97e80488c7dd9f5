"""What the rows of a study have cost, and where its trainings ran, from the records of the jobs."""

from __future__ import annotations

import statistics
from typing import Any

from nnunet_plugins.plans_file import read_object
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import Job, jobs_of
from nnunet_plugins.training_log import read_training_log

Table = tuple[list[str], list[list[str]]]


def records_of(study: Study, kind: str) -> dict[Job, dict[str, Any]]:
    """The records of the jobs of a kind that have ended."""
    jobs = [job for job in jobs_of(study.settings) if job.kind == kind]
    files = {job: study.folder / job.record for job in jobs}
    return {job: read_object(file) for job, file in files.items() if file.is_file()}


def cost_table(study: Study) -> Table:
    """One line per row: trainings, hours, seconds an epoch, parameters, peak memory."""
    gpu = study.settings.resources.device == "cuda"
    head = ["row", "trainings", "parameters", "s/epoch", "GPU hours" if gpu else "hours"]
    head += ["GPU memory", "main memory"]
    of_row: dict[str, list[tuple[Job, dict[str, Any]]]] = {}
    for job, record in records_of(study, "train").items():
        of_row.setdefault(job.row, []).append((job, record))
    return head, [
        _cost(study, row, of_row[row]) for row in study.settings.row_names if row in of_row
    ]


def _cost(study: Study, row: str, trained: list[tuple[Job, dict[str, Any]]]) -> list[str]:
    asked = study.settings.resources
    logs = [read_training_log(study.fold(job)) for job, _ in trained]
    epochs = [seconds for log in logs for seconds in log.seconds.values()]
    gpus = max(1, asked.gpus) if asked.device == "cuda" else 1
    hours = gpus * sum(record["seconds"] + record["seconds_before"] for _, record in trained) / 3600
    peaks = [log.peak_gib for log in logs if log.peak_gib is not None]
    return [
        row,
        str(len(trained)),
        f"{study.rows()[trained[0][0].run]['parameters']:,}",
        f"{statistics.median(epochs):.3g}" if epochs else "-",
        f"{hours:.2f}",
        f"{max(peaks):.2f} GiB" if peaks else "-",
        f"{max(record['peak_memory_gb'] for _, record in trained):.1f} GB",
    ]


def training_table(study: Study) -> Table:
    """One line per training: where and when it ran, how long, in how many attempts."""
    head = ["training", "host", "processor", "ended", "hours", "attempts", "nnU-Net", "torch"]
    rows = []
    for job, record in records_of(study, "train").items():
        seconds = record["seconds"] + record["seconds_before"]
        device = ", ".join(record.get("gpus", [])) or record["processor"]
        versions = record["versions"]
        rows.append(
            [
                job.name, record["host"], device, record["ended"][:16].replace("T", " "),
                f"{seconds / 3600:.2f}", str(record["attempts"]),
                versions.get("nnunetv2", "-"), versions.get("torch", "-"),
            ]
        )  # fmt: skip
    return head, rows
