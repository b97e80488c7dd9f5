"""Trains the folds of a round, and predicts the cases without a reference."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dataset_conversion.io.atomic_files import link
from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.environment import variables
from nnunet_plugins.errors import UserError
from nnunet_plugins.logged_commands import run_logged
from nnunet_plugins.model_folder import FINAL, checkpoints_of, is_trained
from nnunet_plugins.plans_file import read_any, unfinished_mark
from nnunet_plugins.rounds.folder import Rounds
from nnunet_plugins.rounds.folds import as_splits, folds_of, held_out_in
from nnunet_plugins.scratch import scratch_in
from nnunet_plugins.study.steps import ours, program

PLANS = "RoundsPlans"
#: Files next to the preprocessed data that later rounds take over when they continue with the weights.
_PLANNED = (f"{PLANS}.json", "dataset_fingerprint.json")


@dataclass(frozen=True)
class Training:
    """The training of a round.

    Attributes:
        rounds: the rounds.
        number: of the round.
        lock: descriptor that the commands share.
        say: receives the name of each step that begins.
    """

    rounds: Rounds
    number: int
    lock: int
    say: Callable[[str], None]

    @property
    def root(self) -> Path:
        """Its nnUNet_preprocessed and nnUNet_results."""
        return self.rounds.round(self.number) / "nnunet"

    @property
    def preprocessed(self) -> Path:
        """The preprocessed dataset."""
        return self.root / "nnUNet_preprocessed" / self.rounds.settings.dataset

    @property
    def model(self) -> Path:
        """Folder of the model."""
        asked = self.rounds.settings
        name = f"{asked.network}Trainer__{PLANS}__{asked.configuration}"
        return self.root / "nnUNet_results" / asked.dataset / name

    @property
    def predicted(self) -> Path:
        """Predictions of the cases without a reference."""
        return self.root / "predicted"

    @property
    def before(self) -> Training | None:
        """The training of the round before, if the weights are taken over from it."""
        if not self.rounds.settings.fine_tune or not self.rounds.trains(self.number - 1):
            return None
        return replace(self, number=self.number - 1) if self.number > 1 else None

    def run(self) -> None:
        """Do what is left: plan and preprocess, train every fold, predict.

        Raises:
            UserError: a command failed.
        """
        for folder in ("nnUNet_preprocessed", "nnUNet_results"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self._prepare()
        self._check_folds()
        for fold in range(self.rounds.settings.folds):
            self._train(fold)
        self._predict()

    def _prepare(self) -> None:
        """Plan and preprocess; with weights of the round before, its plans stay."""
        asked, before = self.rounds.settings, self.before
        done = self.rounds.round(self.number) / "preprocessed.json"
        if done.is_file():
            return
        plans = self.preprocessed / f"{PLANS}.json"
        if before is None:
            if not plans.is_file() or unfinished_mark(plans).exists():
                self._run(
                    "plan",
                    ours("plan", asked.dataset, "--network", asked.network, "-p", PLANS,
                         "-c", asked.configuration, "-np", asked.cpus, "--seed", asked.seed, *asked.plan),
                )  # fmt: skip
        else:
            self.preprocessed.mkdir(parents=True, exist_ok=True)
            for name in _PLANNED:
                shutil.copyfile(before.preprocessed / name, self.preprocessed / name)
            for name in ("dataset.json", "splits_final.json"):
                shutil.copyfile(self.rounds.raw / name, self.preprocessed / name)
            self._run(
                "preprocess",
                [program("nnUNetv2_preprocess"), "-d", asked.dataset[7:10], "-plans_name", PLANS,
                 "-c", asked.configuration, "-np", str(asked.cpus)],
            )  # fmt: skip
        write_json(done, {"plans_of_round": self.plans_of})

    @property
    def plans_of(self) -> int:
        """The round in which the plans were made."""
        return self.before.plans_of if self.before else self.number

    def _check_folds(self) -> None:
        """Check that nnU-Net trains on the folds of the rounds.

        Raises:
            UserError: splits_final.json has other folds.
        """
        file = self.preprocessed / "splits_final.json"
        folds = as_splits(folds_of(self.rounds, self.number), self.rounds.settings.folds)
        if not file.is_file() or read_any(file) != folds:
            raise UserError(
                f"{file}: has other folds than the rounds, so cases would be predicted by a model that was trained "
                f"on them; remove {self.root} and run rounds next again"
            )

    def fold(self, number: int) -> Path:
        """Folder of a fold."""
        return self.model / f"fold_{number}"

    def _train(self, fold: int) -> None:
        if is_trained(self.fold(fold)):
            return
        asked, checkpoints = self.rounds.settings, checkpoints_of(self.fold(fold))
        start = ["--c"] if checkpoints else []
        if not checkpoints and self.before is not None:
            start = ["-pretrained_weights", str(self.before.fold(fold) / FINAL)]
        command = [
            program("nnUNetv2_train"),
            asked.dataset,
            asked.configuration,
            str(fold),
            *self._options(),
        ]
        workers = {"nnUNet_n_proc_DA": "0"} if asked.device == "cpu" else {}
        self._run(
            f"train_{fold}", [*command, *start, *(["--npz"] if self._uncertain else [])], workers
        )
        if not is_trained(self.fold(fold)):
            raise UserError(
                f"rounds: the training of fold {fold} ended without its results; log: {self._log('train')}"
            )

    def _predict(self) -> None:
        """Predict the cases of imagesTs; the folder appears complete.

        A case of a patient with a reference is predicted by the fold that holds the patient out, the others by all.
        """
        asked, references = self.rounds.settings, self.rounds.references(self.number)
        held_out, groups = held_out_in(self.rounds, self.number), dict[int | None, list[str]]()
        for case in asked.cases:
            if case not in references:
                groups.setdefault(held_out.get(case), []).append(case)
        if self.predicted.is_dir() or not groups:
            return
        partial = self.root / "predicted.unfinished"
        shutil.rmtree(partial, ignore_errors=True)
        with scratch_in(self.root) as scratch:
            for fold, cases in groups.items():
                name = "predict" if fold is None else f"predict_{fold}"
                for file in (
                    Path(file).name for case in cases for file in asked.cases[case].images
                ):
                    link(self.rounds.raw / "imagesTs" / file, scratch / name / file)
                folds = map(str, range(asked.folds) if fold is None else [fold])
                self._run(
                    name,
                    [program("nnUNetv2_predict"), "-i", str(scratch / name), "-o", str(partial), "-d", asked.dataset,
                     "-c", asked.configuration, "-f", *folds, *self._options(), "-npp", str(asked.cpus),
                     "-nps", str(asked.cpus), *(["--save_probabilities"] if self._uncertain else [])],
                )  # fmt: skip
        os.rename(partial, self.predicted)

    @property
    def _uncertain(self) -> bool:
        return self.rounds.settings.order == "uncertain"

    def _options(self) -> list[str]:
        asked = self.rounds.settings
        return ["-p", PLANS, "-tr", f"{asked.network}Trainer", "-device", asked.device]

    def _log(self, name: str) -> Path:
        return self.rounds.round(self.number) / "logs" / f"{name}.txt"

    def _run(self, name: str, command: list[str], more: Mapping[str, str] | None = None) -> None:
        cpu = self.rounds.settings.device == "cpu"
        environment = variables(self.root, cpu=cpu) | {
            "nnUNet_raw": str(self.rounds.raw.parent),
            "nnUNet_def_n_proc": str(self.rounds.settings.cpus),
        }
        self.say(f"round {self.number}: {name}")
        run_logged(
            command, self._log(name), f"rounds: round {self.number}: {name}", folder=self.rounds.folder,
            environment={**environment, **(more or {})}, locks=[self.lock],
        )  # fmt: skip
