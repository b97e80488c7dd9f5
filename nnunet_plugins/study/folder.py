"""A study's folder: where everything is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunet_plugins.environment import variables
from nnunet_plugins.errors import UserError
from nnunet_plugins.nnunet_folders import find_dataset, folder_of
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.study.jobs import PLANNED, Job
from nnunet_plugins.study.settings import Settings, read_settings

PLANS = "StudyPlans"
JOBS = "jobs.json"  # written by every run, read by the engine and by its jobs


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        folder: absolute path.
        settings: of its study.yaml.
    """

    folder: Path
    settings: Settings

    @classmethod
    def read(cls, folder: Path) -> Study:
        """The study in a folder.

        Raises:
            UserError: there is no valid study.yaml.
        """
        return cls(folder.resolve(), read_settings(folder))

    @property
    def nnunet(self) -> Path:
        """The study's own nnUNet_preprocessed, nnUNet_results and, for a converted source, nnUNet_raw."""
        return self.folder / "nnunet"

    @cached_property
    def raw_root(self) -> Path:
        """Folder of the raw datasets.

        Raises:
            UserError: the dataset is outside the study and nnUNet_raw is not set.
        """
        if self.settings.data.source:
            return self.nnunet / "nnUNet_raw"
        if "nnUNet_raw" not in os.environ and (self.folder / JOBS).is_file():
            return Path(read_object(self.folder / JOBS)["raw"])  # in a job
        return folder_of("nnUNet_raw")

    @cached_property
    def dataset(self) -> str:
        """Name of the dataset.

        Raises:
            UserError: it does not exist (yet).
        """
        return find_dataset(self.raw_root, str(self.settings.data.dataset))

    @property
    def raw(self) -> Path:
        """The raw dataset."""
        return self.raw_root / self.dataset

    @property
    def preprocessed(self) -> Path:
        """The preprocessed dataset."""
        return self.nnunet / "nnUNet_preprocessed" / self.dataset

    @property
    def plans(self) -> Path:
        """The plans, with one configuration per row and seed."""
        return self.preprocessed / f"{PLANS}.json"

    def environment(self) -> dict[str, str]:
        """Variables of the jobs' commands."""
        asked = self.settings.resources
        cpu = asked.device == "cpu"
        found = variables(self.nnunet, cpu=cpu) | {"nnUNet_raw": str(self.raw_root)}
        if cpu:
            found["nnUNet_n_proc_DA"] = (
                "0"  # loading is cheap; a worker would compete for the cores
            )
        else:
            found["nnUNet_n_proc_DA"] = str(max(1, asked.cpus - 1))
        return found | {"nnUNet_def_n_proc": str(asked.cpus)}

    def rows(self) -> dict[str, Any]:
        """'ROW_seedN' -> its configuration, network, trainer and parameters; {} before the rows are planned."""
        file = self.folder / PLANNED
        return dict(read_object(file)["rows"]) if file.is_file() else {}

    def model(self, job: Job) -> Path:
        """Folder of a run's model."""
        row = self.rows()[job.run]
        name = f"{row['trainer']}__{PLANS}__{row['configuration']}"
        return self.nnunet / "nnUNet_results" / self.dataset / name

    def fold(self, job: Job) -> Path:
        """Folder of a training's fold."""
        return self.model(job) / f"fold_{job.folds[0]}"

    def scores(self, job: Job) -> Path:
        """Scores of a job: of the validation of a fold, or of the test set."""
        part = "test" if job.kind == "test" else "validation"
        return self.folder / "scores" / part / f"{job.name}.json"

    def state(self, job: Job) -> Path:
        """State of a job that was started."""
        return self.folder / "state" / job.kind / f"{job.name}.json"

    def log(self, job: Job) -> Path:
        """Output of a job's commands, of all attempts."""
        return self.folder / "logs" / job.kind / f"{job.name}.txt"


def find_job(jobs: list[Job], kind: str, name: str) -> Job:
    """The job of a kind and name.

    Raises:
        UserError: the study has no such job.
    """
    for job in jobs:
        if (job.kind, job.name) == (kind, name):
            return job
    raise UserError(f"the study has no job {kind}/{name}; study.yaml may have changed since")
