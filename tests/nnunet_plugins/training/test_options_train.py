"""Fine-tuning, early stopping, accumulation and weights in real trainings with nnU-Net's own functions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.logging.nnunet_logger import MetaLogger
from torch.testing import assert_close

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.accumulation import AccumulatingTrainer
from nnunet_plugins.training.early_stopping import EarlyStoppingTrainer, is_over
from nnunet_plugins.training.losses import OutputsLoss, build_loss
from nnunet_plugins.training.losses.boundary import BoundaryWeights
from nnunet_plugins.training.weight_maps.trainer import MapLoss
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.training.test_matrix import SHORT

TRAINER = "ModularUNetTrainer"
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    return tiny.make("labels", 764, network="ModularUNet", training=SHORT)


@pytest.fixture(scope="module")
def source(data: tiny.Tiny) -> Path:
    """A model folder with a checkpoint of random weights and three labels."""
    made = trainer(data, "SourcePlans", {"seed": 3})
    made.initialize()
    made.save_checkpoint(str(Path(made.output_folder) / "checkpoint_final.pth"))
    return Path(made.output_folder_base)


def trainer(data: tiny.Tiny, name: str, training: dict[str, Any], configuration: str = "2d") -> Any:
    plans = tiny.replanned(data, name, training={**SHORT, **training})
    return tiny.trainer_of(plans, configuration, TRAINER)


def weights(trained: Any) -> Weights:
    return {k: v.detach().clone() for k, v in trained.network.state_dict().items()}


def log(trained: Any) -> str:
    return "".join(f.read_text() for f in sorted(Path(trained.output_folder).glob("training_log*")))


@pytest.fixture(scope="module")
def other(nnunet: Path) -> tiny.Tiny:
    """A dataset with other labels, of which one is a region."""
    return tiny.make("regions", 765, network="ModularUNet", training=SHORT)


@pytest.mark.integration
def test_a_training_starts_with_the_weights_of_its_source(source: Path, other: tiny.Tiny) -> None:
    given = torch.load(source / "fold_0" / "checkpoint_final.pth", weights_only=False)[
        "network_weights"
    ]
    made = trainer(other, "TunedPlans", {"pretrained": {"source": str(source)}})
    made.initialize()
    for key, value in made.network.state_dict().items():
        assert (value.shape == given[key].shape and torch.equal(value, given[key])) == (
            ".seg_layers." not in key
        )
    record = made._started["pretrained"]
    assert record["what"] == "all_but_heads"
    assert f"SHA-256 {record['sha256']}" in log(made)
    assert "parameters" in record


@pytest.mark.integration
def test_wrong_use_stops_before_the_training(
    source: Path, other: tiny.Tiny, data: tiny.Tiny
) -> None:
    def fails(training: dict[str, Any], match: str, of: tiny.Tiny = other) -> None:
        with pytest.raises(UserError, match=match):
            trainer(of, "WrongPlans", training).on_train_start()

    fails({"pretrained": {"source": str(source), "what": "all"}}, "was trained for the labels")
    fails({"pretrained": {"source": str(source / "none")}}, "cannot be read")
    fails({"accumulate": 3}, "accumulate is 3, but the batch of 2 cannot be divided")
    fails(
        {"loss": {"ce": {"weight": 1, "classes": {"bone": 2}}}},
        "classes names 'bone'; the dataset has spine, disc",
    )
    fails(
        {"voxel_weights": {"distance": 1, "weight": 2}, "loss": {"dice": 1}},
        "it needs ce, bce or focal",
    )
    fails(
        {"voxel_weights": {"distance": 0.9, "weight": 2}},
        r"distance is 0\.9 mm, but the voxels of 2d are 1 x 1 mm",
    )


@pytest.mark.integration
def test_pretrained_weights_of_the_command_line_are_refused(source: Path, data: tiny.Tiny) -> None:
    made = trainer(data, "TwicePlans", {"pretrained": {"source": str(source)}})
    other_weights = trainer(data, "OtherPlans", {"seed": 9})
    other_weights.initialize()
    file = Path(other_weights.output_folder) / "checkpoint_final.pth"
    other_weights.save_checkpoint(str(file))
    maybe_load_checkpoint(made, False, False, str(file))
    with pytest.raises(UserError, match="-pretrained_weights would replace"):
        made.on_train_start()


@pytest.mark.integration
def test_frozen_then_slower_and_continued_without_the_source(
    source: Path, other: tiny.Tiny, tmp_path: Path
) -> None:
    """Frozen for one of three epochs; interrupted after the second, and continued although the source is gone."""
    moved = tmp_path / "source"
    shutil.copytree(source, moved)
    tune = {"source": str(moved), "freeze_epochs": 1, "lr_factor": 0.1}
    training = {
        "pretrained": tune,
        "epochs": 3,
        "save_every": 1,
        "seed": 1,
        "optimizer": "SGD",
        "initial_lr": 0.01,
    }
    whole = trainer(other, "WholePlans", training)
    seen: list[tuple[Weights, list[float]]] = []
    ended = whole.on_epoch_end

    def remember() -> None:
        seen.append((weights(whole), [g["lr"] for g in whole.optimizer.param_groups]))
        ended()

    whole.initialize()
    before = weights(whole)
    whole.on_epoch_end = remember
    whole.run_training()
    changed = [{k for k in before if not torch.equal(after[k], before[k])} for after, _ in seen]
    assert changed[0]
    assert all(".seg_layers." in key for key in changed[0])
    assert "encoder.stages.0.0.convs.0.conv.weight" in changed[1]
    assert all(rates[1] == pytest.approx(0.1 * rates[0]) for _, rates in seen)
    assert seen[2][1][0] < seen[0][1][0] == pytest.approx(0.01)
    assert "frozen for 1 epochs, then at 0.1 times the learning rate" in log(whole)
    assert (
        json.loads((Path(whole.output_folder) / "debug.json").read_text())["initial_weights"]
        == "pretrained"
    )

    first = trainer(other, "CrashPlans", training)
    stopped = first.on_epoch_end

    def interrupted() -> None:
        stopped()
        if first.current_epoch == 2:
            raise KeyboardInterrupt

    first.on_epoch_end = interrupted
    with pytest.raises(KeyboardInterrupt):
        first.run_training()
    shutil.rmtree(moved)
    second = trainer(other, "CrashPlans", training)
    maybe_load_checkpoint(second, True, False)
    assert second.current_epoch == 2
    second.run_training()
    after = weights(second)
    assert all(torch.equal(after[key], value) for key, value in weights(whole).items())
    for key in ("train_losses", "val_losses", "lrs", "ema_fg_dice"):
        assert second.logger.get_value(key, step=None) == whole.logger.get_value(key, step=None)


@pytest.mark.integration
def test_a_checkpoint_that_is_not_complete_does_not_replace_the_former(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(data, "KilledPlans", {})
    made.initialize()
    file = Path(made.output_folder) / "checkpoint_latest.pth"
    made.save_checkpoint(str(file))
    before = file.read_bytes()

    def killed(content: Any, path: str) -> None:
        Path(path).write_bytes(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        made.save_checkpoint(str(file))
    assert file.read_bytes() == before
    monkeypatch.undo()
    made.save_checkpoint(str(file))
    assert torch.load(file, weights_only=False)["current_epoch"] == 1
    assert not list(file.parent.glob("*.partial"))


def squares(output: torch.Tensor, target: list[torch.Tensor]) -> torch.Tensor:
    return (output - target[0]).square().mean()


class _Whole(AccumulatingTrainer):
    """Only the step; the attributes are set by the test."""

    def __init__(self, count: int, network: torch.nn.Module, loss: Any = squares) -> None:
        self.procedure = {"accumulate": count}
        self.network, self.device, self.grad_scaler = network, torch.device("cpu"), None
        self.optimizer = torch.optim.SGD(network.parameters(), 0.1)
        self.loss = loss


def test_a_step_in_parts_is_nnunets_step_of_the_whole_batch() -> None:
    batch = {"data": torch.randn(4, 1, 8, 8), "target": [torch.randn(4, 1, 8, 8)]}
    start = torch.nn.Conv2d(1, 1, 3, padding=1)
    steps = []
    for count in (1, 2, 4):
        network = torch.nn.Conv2d(1, 1, 3, padding=1)
        network.load_state_dict(start.state_dict())
        made = _Whole(count, network)
        steps.append((made.train_step(batch)["loss"].item(), network.weight.detach()))
    assert not torch.equal(steps[0][1], start.weight)
    for loss, weight in steps[1:]:
        assert loss == pytest.approx(steps[0][0], rel=1e-5)
        assert_close(weight, steps[0][1])


@pytest.mark.parametrize(
    ("terms", "ignore"),
    [
        ({"dice": 1, "ce": 1}, None),
        ({"dice": 1, "ce": 1, "bce": 0.5, "focal": 1}, 3),
        ({"ce": {"weight": 1, "classes": {"disc": 5, "background": 0.1}}}, None),
    ],
)
@pytest.mark.parametrize(
    "near", [None, BoundaryWeights(distance=1, weight=5, spacing=[1, 1], size=[8, 8])]
)
def test_weighted_means_divide_by_the_weights_of_the_whole_batch(
    terms: Any, ignore: int | None, near: Any
) -> None:
    """Parts with other numbers of voxels of a class, near a boundary, or ignored; two outputs and a map."""
    target = torch.zeros(4, 1, 8, 8)
    target[0] = 3 if ignore else 0
    target[1, :, :6] = 3 if ignore else 1
    target[2:] = torch.randint(3, (2, 1, 8, 8))
    loss = build_loss(
        terms, regions=False, ignore_label=ignore, batch_dice=False, ddp=False, names=["background", "bone", "disc"],
        near=near,
    )  # fmt: skip
    both = MapLoss(OutputsLoss(loss, torch.nn.Identity(), [("logits", 1.0), ("logits", 0.5)]))
    weights = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    mapped = torch.cat([target, weights], 1)
    batch = {"data": torch.randn(4, 1, 8, 8), "target": [mapped, mapped[..., ::2, ::2]]}
    start = torch.nn.Conv2d(1, 3, 3, padding=1)

    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 3, 3, padding=1)
            self.conv.load_state_dict(start.state_dict())

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [self.conv(x), self.conv(x)[..., ::2, ::2]]

    steps = []
    for count in (1, 2, 4):
        network = Two()
        value = _Whole(count, network, both).train_step(batch)["loss"].item()
        steps.append((value, network.conv.weight.detach()))
    for value, weight in steps[1:]:
        assert value == pytest.approx(steps[0][0], rel=1e-5)
        assert_close(weight, steps[0][1])


def test_large_gradients_are_clipped_once() -> None:
    batch = {"data": 1e3 * torch.randn(4, 1, 8, 8), "target": [torch.zeros(4, 1, 8, 8)]}
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    before = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    _Whole(2, network).train_step(batch)
    step = torch.nn.utils.parameters_to_vector(network.parameters()).detach() - before
    assert step.norm() == pytest.approx(0.1 * 12, rel=1e-3)


@pytest.mark.integration
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_accumulation_and_weights_train_two_steps(data: tiny.Tiny, configuration: str) -> None:
    training = {
        "accumulate": 2,
        "loss": {"dice": 1, "ce": {"weight": 1, "classes": {"background": 0.5, "disc": 2}}},
        "voxel_weights": {"distance": 2, "weight": 3},
        "seed": 0,
    }
    made = trainer(data, "WeightedPlans", training, configuration)
    made.run_training()
    assert made.loss.segmentation.terms["ce"].classes.tolist() == [0.5, 1, 2]
    plain = trainer(data, "PlainPlans", {"seed": 0}, configuration)
    plain.run_training()
    assert made.logger.get_value("train_losses", step=-1) != plain.logger.get_value(
        "train_losses", step=-1
    )


def test_it_stops_after_patience_epochs_without_a_better_average() -> None:
    nan = float("nan")
    assert not is_over([], 1)
    assert not is_over([0.5], 1)
    assert is_over([0.5, 0.5], 1)  # an equal value is not a better one, as for checkpoint_best
    assert not is_over([0.5, nan, 0.6], 1)
    assert is_over([0.5, nan], 1)
    assert is_over([nan, nan], 1)
    assert not is_over([0.5, 0.4, 0.3], 1, min_epochs=4)
    assert is_over([0.5, 0.4, 0.3, 0.2], 1, min_epochs=4)


class _Scored(EarlyStoppingTrainer):
    """Only the end of a validation epoch, with nnU-Net's own logger."""

    def __init__(self, procedure: dict[str, Any], folder: Path) -> None:
        self.procedure, self.is_ddp, self.current_epoch = procedure, False, 0
        self.logger = MetaLogger(str(folder), False)

    def print_to_log_file(self, *args: Any, **_: Any) -> None:
        print(*args)

    def averages(self, dice: list[int | None]) -> list[float]:
        for self.current_epoch, one in enumerate(dice):
            hits, misses = (0, 0) if one is None else (one, 20 - 2 * one)
            counts = {"tp_hard": np.array([hits]), "fp_hard": np.array([misses])}
            self.on_validation_epoch_end([{**counts, "fn_hard": np.array([0]), "loss": 0.0}])
        return self.logger.get_value("ema_fg_dice", step=None)


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:Mean of empty slice")
def test_an_epoch_without_pseudo_dice_does_not_end_a_training_that_improves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stops = {"early_stopping": {"patience": 3}}
    found = _Scored(stops, tmp_path).averages([None, 1, 2, None, 5, 6, 7])
    assert np.isnan(found[0])
    assert_close(found[1:], [0.1, 0.11, 0.11, 0.149, 0.1941, 0.24469])
    assert not any(is_over(found[:n], 3) for n in range(8))
    assert "no pseudo-Dice in this epoch" in capsys.readouterr().out
    assert np.isnan(_Scored({}, tmp_path).averages([1, None, 2])[-1])  # nnU-Net's


@pytest.mark.integration
def test_an_early_end_is_an_end(data: tiny.Tiny) -> None:
    """Weights that hardly move do not improve: the training ends after patience and minimum, with all its files."""
    training = {
        "epochs": 9, "seed": 0, "initial_lr": 1e-12, "weight_decay": 0, "oversample_foreground": 1,
        "early_stopping": {"patience": 1, "min_epochs": 3},
    }  # fmt: skip
    plans = tiny.replanned(data, "EarlyPlans", training={**SHORT, **training})
    made = tiny.trainer_of(plans, "2d", TRAINER)
    values = iter([0.5, 0.6, 0.6, 0.5, 0.9])

    def logged(trained: Any) -> None:
        """Fixed values instead of the pseudo-Dice."""
        ended = trained.on_validation_epoch_end

        def on_validation_epoch_end(outputs: Any) -> None:
            ended(outputs)
            averages = trained.logger.get_value("ema_fg_dice", step=None)
            averages[trained.current_epoch] = next(values)

        trained.on_validation_epoch_end = on_validation_epoch_end

    logged(made)
    made.run_training()
    fold = Path(made.output_folder)
    assert made.current_epoch == 3
    assert "early stopping after 3 of 9 epochs" in log(made)
    final = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    assert final["current_epoch"] == 3
    assert (fold / "checkpoint_best.pth").is_file()
    assert not (fold / "checkpoint_latest.pth").exists()
    # Killed between the last epoch and checkpoint_final, and not; the moving average continues from the log.
    for name in ("checkpoint_latest.pth", "checkpoint_final.pth"):
        (fold / "checkpoint_final.pth").rename(fold / name)
        again = tiny.trainer_of(plans, "2d", TRAINER)
        maybe_load_checkpoint(again, True, False)
        again.run_training()
        assert again.current_epoch == 3
    after = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    assert after["current_epoch"] == 3
    assert all(
        torch.equal(v, final["network_weights"][k]) for k, v in after["network_weights"].items()
    )
