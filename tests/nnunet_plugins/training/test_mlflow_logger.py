"""MLflow gets curves, parameters and results of a training, and no name of a case."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nnunet_plugins.training import mlflow_logger
from nnunet_plugins.training.mlflow_logger import RUN, MLflowLogger
from tests.nnunet_plugins import tiny

SHORT = {"epochs": 2, "iterations_per_epoch": 1, "validation_iterations_per_epoch": 1, "seed": 4}


class Server:
    """What a tracking server has received."""

    def __init__(self) -> None:
        self.experiments: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.down = False

    def client(self) -> Any:
        server = self

        class Client:
            def get_experiment_by_name(self, name: str) -> Any:
                known = name in server.experiments
                return SimpleNamespace(experiment_id=name) if known else None

            def create_experiment(self, name: str) -> str:
                server.experiments.append(name)
                return name

            def create_run(self, experiment: str, run_name: str) -> Any:
                key = f"run{len(server.runs)}"
                server.runs[key] = {
                    "experiment": experiment,
                    "name": run_name,
                    "params": {},
                    "metrics": {},
                    "ended": False,
                }
                return SimpleNamespace(info=SimpleNamespace(run_id=key))

            def get_run(self, key: str) -> Any:
                return server.runs[key]

            def log_param(self, run: str, key: str, value: Any) -> None:
                server.runs[run]["params"][key] = value

            def log_metric(self, run: str, key: str, value: float, step: int) -> None:
                if server.down:
                    raise ConnectionError("the server\ndoes not answer")
                server.runs[run]["metrics"].setdefault(key, {})[step] = value

            def set_terminated(self, run: str) -> None:
                server.runs[run]["ended"] = True

        return Client()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    module = ModuleType("mlflow")
    module.MlflowClient = made.client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setattr(mlflow_logger, "find_spec", lambda name: name == "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.invalid")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return made


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    return tiny.make("labels", 763, network="ModularUNet", training=SHORT)


def test_a_training_is_logged_without_names_of_cases(server: Server, data: tiny.Tiny) -> None:
    model = tiny.train(data, "2d", "ModularUNetTrainer")
    ((key, run),) = server.runs.items()
    assert server.experiments == [data.name]
    assert run["name"] == "ModularUNetTrainer__TinyPlans__2d fold 0"
    assert run["params"]["network"] == "ModularUNet"
    assert run["params"]["training.seed"] == 4
    assert run["params"]["num_epochs"] == 2
    losses = run["metrics"]["train_losses"]
    assert sorted(losses) == [0, 1]
    assert {"val_losses", "lrs", "ema_fg_dice", "dice_per_class_or_region/class_1"} <= set(
        run["metrics"]
    )
    assert not [name for name in run["metrics"] if "timestamp" in name]
    summary = json.loads((model / "fold_0" / "validation" / "summary.json").read_text())
    assert run["metrics"]["final_val/foreground_dice"] == {0: summary["foreground_mean"]["Dice"]}
    assert run["ended"]
    assert json.loads((model / "fold_0" / RUN).read_text()) == {"run_id": key}
    sent = repr(server.runs)
    names = [path.name.partition(".")[0] for path in (data.raw / "labelsTr").iterdir()]
    assert names
    assert not [name for name in names if name in sent]
    assert str(data.raw.parent) not in sent


def logger(folder: Path, lines: list[str]) -> MLflowLogger:
    return MLflowLogger(folder, "Dataset001_X", "run", {"fold": 0}, lines.append)


def test_a_continued_training_continues_its_run(server: Server, tmp_path: Path) -> None:
    logger(tmp_path, []).log("train_losses", 1.0, 0)
    logger(tmp_path, []).log("train_losses", 0.5, 1)  # --c
    logger(tmp_path, []).log_summary("final_val/foreground_dice", 0.9)  # --val
    ((_, run),) = server.runs.items()
    assert run["metrics"] == {
        "train_losses": {0: 1.0, 1: 0.5},
        "final_val/foreground_dice": {0: 0.9},
    }
    logger(tmp_path, []).log("train_losses", 1.0, 0)  # again from the start
    assert len(server.runs) == 2


def test_a_server_that_does_not_answer_does_not_stop_the_training(
    server: Server, tmp_path: Path
) -> None:
    server.down, lines = True, list[str]()
    one = logger(tmp_path, lines)
    for step in range(3):
        one.log("train_losses", 1.0, step)
    assert lines == [
        "MLflow: nothing more is logged there: ConnectionError: the server does not answer"
    ]


def test_nnunets_configuration_is_reduced_to_its_hyperparameters(
    server: Server, tmp_path: Path
) -> None:
    one = logger(tmp_path, [])
    one.update_config({"plans": {"a": 1}, "dataset": {"case0": "secret"}})
    one.update_config({"hparas": {"initial_lr": 0.01}})
    one.log("lrs", 0.01, 0)
    assert server.runs["run0"]["params"] == {"fold": 0, "initial_lr": 0.01}


def test_without_the_address_or_the_package_nothing_is_added(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tiny.trainer_of(data, "2d", "ModularUNetTrainer").logger.loggers == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "somewhere")
    monkeypatch.setattr(mlflow_logger, "find_spec", lambda _: None)
    made = tiny.trainer_of(data, "2d", "ModularUNetTrainer")
    assert made.logger.loggers == []
    assert "the package mlflow is not installed" in Path(made.log_file).read_text()


REAL = """
import json, sys
from pathlib import Path
from mlflow import MlflowClient
from nnunet_plugins.training.mlflow_logger import MLflowLogger
folder = Path(sys.argv[1])
one = MLflowLogger(folder, "Dataset001_X", "run", {"fold": 0}, print)
one.update_config({"hparas": {"initial_lr": 0.01}})
for step in range(2):
    one.log("dice_per_class_or_region/class_1", float("nan") if step else 0.5, step)
one.log_summary("final_val/class_(1, 2)_dice", 0.25)
one.log_summary("final_val/foreground_dice", 0.75)
run = MlflowClient().get_run(one.run)
print(json.dumps([run.info.status, run.data.params, run.data.metrics["final_val/foreground_dice"],
                  run.data.metrics["final_val/class_1_2_dice"]]))
"""


@pytest.mark.integration
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
def test_mlflow_itself_takes_it(tmp_path: Path) -> None:
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": str(tmp_path / "mlruns"),
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(tmp_path)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "FINISHED", {"fold": "0", "initial_lr": "0.01"}, 0.75, 0.25
    ]  # fmt: skip
