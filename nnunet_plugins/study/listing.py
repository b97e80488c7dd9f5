"""A study as text: the jobs of a dry run with their resources and hours, and where the study stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nnunet_plugins.study.estimates import Estimate, estimates_of
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import ON_DEVICE, Job, jobs_of
from nnunet_plugins.study.status import STATES, status_of
from nnunet_plugins.text_table import columns, remark

_NOT_COUNTED = (
    "Hours are those of the epochs; validation, prediction and waiting for a place are not counted."
)


def dry_run_text(study: Study, gpu: str | None = None) -> str:
    """The jobs that are left, by kind, with the resources of one job and the hours of the trainings.

    Args:
        study: the study.
        gpu: GPU to estimate for, see `estimates_of`; None: this CPU for a study on the CPU.

    Raises:
        UserError: unknown GPU.
    """
    asked = study.settings.resources
    found = estimates_of(study, gpu or ("cpu" if asked.device == "cpu" else None))
    left = [job for job in jobs_of(study.settings) if not (study.folder / job.record).is_file()]
    kinds = Counter(job.kind for job in left)
    lines = [("jobs", "left", "GPUs", "CPUs", "memory", "limit")]
    for kind, count in kinds.items():
        gpus = asked.gpus if kind in ON_DEVICE and asked.device == "cuda" else 0
        limits = (f"{asked.memory_gb:g} GB", f"{asked.hours:g} h")
        lines.append((kind, str(count), str(gpus), str(asked.cpus), *limits))
    trainings = [one for one in found if one.job in left]
    return "\n".join(
        [columns(lines, right=range(1, 6)), "", *_trainings(trainings), *_total(study, found)]
    )


def _trainings(found: Sequence[Estimate]) -> list[str]:
    """One line per row: its trainings, epochs and hours."""
    rows: dict[str, list[Estimate]] = {}
    for one in found:
        rows.setdefault(one.job.row, []).append(one)
    lines = [("row", "trainings", "epochs", "hours", "")]
    for row, ones in rows.items():
        hours = [one.hours for one in ones if one.hours is not None]
        epochs = sum((one.total or 0) - one.epochs for one in ones)
        lines.append(
            (
                row,
                str(len(ones)),
                str(epochs) if ones[0].total else "-",
                f"{sum(hours):.2f}" if len(hours) == len(ones) else "-",
                ", ".join(dict.fromkeys(one.source for one in ones)),
            )
        )
    return [columns(lines, right=(1, 2, 3)), ""] if found else []


def _total(study: Study, found: Sequence[Estimate]) -> list[str]:
    left = [one for one in found if one.source != "done"]
    known = [one.hours for one in left if one.hours is not None]
    if not left:
        return ["All trainings have ended."]
    unit = "GPU hours" if study.settings.resources.device == "cuda" else "hours of one job"
    if len(known) == len(left):
        return [remark("", f"About {sum(known):.1f} {unit} of training left. {_NOT_COUNTED}")]
    why = "the first epochs of a row give them; before that, pass --gpu NAME"
    if any(one.total is None for one in left):
        why = "plan first, which needs no GPU: nnunet-plugins study run DIR --until rows"
    return [remark("", f"Hours of {len(left) - len(known)} trainings are not known: {why}.")]


def status_text(study: Study, *, every: bool = False) -> str:
    """Counts of the states, the jobs that are running or failed, and the hours that are left.

    Args:
        study: the study.
        every: list every job.
    """
    found = status_of(study)
    counted = Counter(one.state for one in found)
    lines = [", ".join(f"{counted[state]} {state}" for state in STATES if counted[state])]
    shown = [one for one in found if every or one.state not in ("done", "waiting")]
    if shown:
        lines += ["", columns([(_id(one.job), one.state, one.detail) for one in shown])]
    for one in found:
        if one.end_of_log:
            lines += ["", f"{_id(one.job)} failed; its log {study.log(one.job)} ends with:"]
            lines += [f"    {line}" for line in one.end_of_log.splitlines()]
    return "\n".join([*lines, "", *_total(study, estimates_of(study))])


def _id(job: Job) -> str:
    return f"{job.kind}/{job.name}"
