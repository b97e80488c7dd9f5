"""The jobs of a study: what each needs, and the record that exists when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nnunet_plugins.study.settings import Settings

#: Kinds that need the device; the others run on a CPU.
ON_DEVICE = ("train", "test")


#: Record of the last job that must have ended before the trainings start.
PLANNED = "records/rows/plans.json"


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        kind: convert, plan, rows, train, score, test or compare.
        name: unique within the kind.
        needs: records that must exist before it starts.
        row: name of the row; '' for jobs of the whole study.
        seed: of the training.
        folds: those that it trains, scores or predicts with.
    """

    kind: str
    name: str
    needs: tuple[str, ...] = ()
    row: str = ""
    seed: int = 0
    folds: tuple[int | str, ...] = ()

    @property
    def record(self) -> str:
        """Path of the record in the study's folder."""
        return f"records/{self.kind}/{self.name}.json"

    @property
    def run(self) -> str:
        """Row and seed, as in the name of the configuration."""
        return run_name(self.row, self.seed)


def run_name(row: str, seed: int) -> str:
    """Name of a row's training with a seed.

    >>> run_name("da-mff", 1)
    'da-mff_seed1'
    """
    return f"{row}_seed{seed}"


def trained_folds(settings: Settings) -> dict[tuple[str, int], tuple[int | str, ...]]:
    """(row, seed) -> its folds, in the order in which they are trained.

    >>> from nnunet_plugins.study.settings import Data, Settings
    >>> trained_folds(Settings(Data(660), ("UNet", "MAGUNet"), folds=(0, 1)))
    {('UNet', 0): (0, 1), ('MAGUNet', 0): (0, 1)}
    """
    found: dict[tuple[str, int], list[int | str]] = {}
    for seed in settings.seeds:
        for row in settings.row_names:
            found[row, seed] = list(settings.folds)
    for extra in settings.extra_runs:
        for seed in extra.seeds:
            for row in extra.rows:
                folds = found.setdefault((row, seed), [])
                folds += [fold for fold in extra.folds if fold not in folds]
    return {key: tuple(folds) for key, folds in found.items()}


def jobs_of(settings: Settings) -> list[Job]:
    """All jobs of a study, each after those that it needs."""
    first = [Job("convert", "data")] if settings.data.source else []
    plan = Job("plan", "data", tuple(job.record for job in first))
    rows = Job("rows", "plans", (plan.record,))
    runs = list(_runs(settings))
    scored = tuple(job.record for job in runs if job.kind in ("score", "test"))
    return [*first, plan, rows, *runs, Job("compare", "tables", scored)]


def _runs(settings: Settings) -> Iterator[Job]:
    """Trainings need no record, so that none is repeated when rows are added and the plans are written again."""
    for (row, seed), folds in trained_folds(settings).items():
        run = run_name(row, seed)
        trained = [Job("train", f"{run}_fold{fold}", (), row, seed, (fold,)) for fold in folds]
        yield from trained
        for job in trained:
            if job.folds != ("all",):  # its validation is on training cases
                yield Job("score", job.name, (job.record,), row, seed, job.folds)
        if settings.test:
            yield Job("test", run, tuple(job.record for job in trained), row, seed, folds)


def as_json(jobs: list[Job], settings: Settings) -> dict[str, dict[str, Any]]:
    """'KIND/NAME' -> what the engine must know of the job."""
    asked = settings.resources
    described = {}
    for job in jobs:
        on_gpu = job.kind in ON_DEVICE and asked.device == "cuda"
        described[f"{job.kind}/{job.name}"] = {
            "needs": list(job.needs),
            "cpus": asked.cpus,
            "mem_mb": round(asked.memory_gb * 1000),
            "runtime": round(asked.hours * 60),
            "gpu": asked.gpus if on_gpu else 0,
        }
    return described
