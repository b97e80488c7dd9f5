"""Curves and results of a training in MLflow, where MLFLOW_TRACKING_URI names a server or a folder.

nnU-Net passes everything it logs to a list of loggers; this is one more of them. Names of cases and patients, plans
and dataset.json are not logged.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_plugins.optional_imports import need

if TYPE_CHECKING:
    from nnunet_plugins.training.trainer import PluginTrainer

URI = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
#: Holds the id of the run, in the folder of the fold, so that a continued training continues its run.
RUN = "mlflow_run.json"
_LAST = "final_val/foreground_dice"  # what nnU-Net logs last
_TIMES = ("epoch_start_timestamps", "epoch_end_timestamps")


class MLflowLogger:
    """One of nnU-Net's loggers. A failure of MLflow is reported once and does not stop the training.

    Args:
        folder: of the fold.
        experiment: its name in MLflow.
        name: of the run.
        parameters: of the run.
        report: writes a line into the training log.
    """

    def __init__(
        self,
        folder: Path,
        experiment: str,
        name: str,
        parameters: Mapping[str, Any],
        report: Callable[[str], None],
    ) -> None:
        self.folder, self.experiment, self.name = folder, experiment, name
        self.parameters, self.report = dict(parameters), report
        self.client: Any = None
        self.run = ""
        self.failed = False

    def update_config(self, config: dict[str, Any]) -> None:
        """Take nnU-Net's hyperparameters; the rest of its configuration is plans and dataset.json."""
        self.parameters |= config.get("hparas", {})

    def log(self, key: str, value: Any, step: int) -> None:
        """Log a value of an epoch."""
        if key not in _TIMES:
            self._send(key, value, step)

    def log_summary(self, key: str, value: Any) -> None:
        """Log a result of the training."""
        self._send(key, value, None)

    def _send(self, key: str, value: Any, step: int | None) -> None:
        if self.failed:
            return
        try:
            if self.client is None:
                self._start(new=step == 0)
            self.client.log_metric(self.run, _allowed(key), float(value), step=step or 0)
            if key == _LAST:
                self.client.set_terminated(self.run)
        except Exception as error:  # a training must not end because a server does not answer
            self.failed = True
            reason = " ".join(str(error).split())[:300]
            self.report(f"MLflow: nothing more is logged there: {type(error).__name__}: {reason}")

    def _start(self, *, new: bool) -> None:
        """Continue the run of the folder, or start one.

        Args:
            new: whether the training has just begun.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # of its use, to its makers
        self.client = need("mlflow", "tracking", "tracking").MlflowClient()
        file = self.folder / RUN
        if not new and file.is_file():
            self.run = str(json.loads(file.read_text(encoding="utf-8"))["run_id"])
            self.client.get_run(self.run)  # fails if another server has it
            return
        found = self.client.get_experiment_by_name(self.experiment)
        number = found.experiment_id if found else self.client.create_experiment(self.experiment)
        self.run = self.client.create_run(number, run_name=self.name).info.run_id
        for key, value in self.parameters.items():
            self.client.log_param(self.run, key, value)
        file.write_text(json.dumps({"run_id": self.run}), encoding="utf-8")


def _allowed(key: str) -> str:
    """A metric's name in the characters that MLflow allows.

    >>> _allowed("final_val/class_(1, 2)_dice")
    'final_val/class_1_2_dice'
    """
    return re.sub(r"\W*[^\w./-]\W*", "_", key).replace("__", "_")


def log_to_mlflow(trainer: PluginTrainer) -> None:
    """Add the logger to a trainer if MLFLOW_TRACKING_URI is set; without the package, the training log states it."""
    if not os.environ.get(URI) or trainer.local_rank != 0:
        return
    if find_spec("mlflow") is None:
        trainer.print_to_log_file(
            f"{URI} is set, but the package mlflow is not installed, so nothing is logged there; "
            "pip install 'nnunet-plugins[tracking]'"
        )
        return
    plans, configuration = trainer.plans_manager, trainer.configuration_manager
    parameters = {
        "trainer": type(trainer).__name__,
        "plans": plans.plans_name,
        "configuration": trainer.configuration_name,
        "fold": trainer.fold,
        "network": configuration.network_arch_class_name.rpartition(".")[2],
        "patch_size": "x".join(map(str, configuration.patch_size)),
        **{f"training.{key}": value for key, value in trainer.procedure.items()},
    }
    name = f"{type(trainer).__name__}__{plans.plans_name}__{trainer.configuration_name} fold {trainer.fold}"
    experiment = os.environ.get(EXPERIMENT) or plans.dataset_name
    folder = Path(trainer.output_folder)
    report = trainer.print_to_log_file
    trainer.logger.loggers.append(MLflowLogger(folder, experiment, name, parameters, report))
