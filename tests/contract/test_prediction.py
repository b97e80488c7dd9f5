"""nnU-Net's predictor reads the files of a model that our trainers write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_plugins.training.trainers import TRAINERS

from . import making


@pytest.fixture
def model(make_trainer):
    """A SEUNetTrainer with network and optimiser, before mirroring is configured."""
    trainer = make_trainer(TRAINERS["SEUNetTrainer"])
    trainer.network = TRAINERS["SEUNetTrainer"].build_network_architecture(
        trainer.plans_manager, trainer.configuration_manager, 1, 3, True
    )
    trainer.optimizer, trainer.lr_scheduler = trainer.configure_optimizers()
    return trainer


def saved(trainer) -> Path:
    base = Path(trainer.output_folder_base)
    trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
    (base / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (base / "dataset.json").write_text(json.dumps(making.DATASET))
    return base


def predictor():
    return nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False)


def test_a_checkpoint_identifies_the_trainer_and_configuration(model):
    model.inference_allowed_mirroring_axes = (0, 1)
    base = saved(model)
    found = torch.load(base / "fold_0" / "checkpoint_final.pth", weights_only=False)
    assert {
        "network_weights", "optimizer_state", "grad_scaler_state", "logging", "_best_ema",
        "current_epoch", "init_args", "trainer_name", "inference_allowed_mirroring_axes",
    } <= set(found)  # fmt: skip
    # The bare class name, so it must be unique among all installed trainers.
    assert found["trainer_name"] == "SEUNetTrainer"
    assert found["inference_allowed_mirroring_axes"] == (0, 1)
    assert found["init_args"]["configuration"] == "3d_fullres"


@pytest.mark.parametrize("axes", [None, (0, 1)])
def test_the_predictor_reads_network_and_mirror_axes_from_the_model(model, axes):
    model.inference_allowed_mirroring_axes = axes
    found = predictor()
    found.initialize_from_trained_model_folder(str(saved(model)), (0,))
    assert type(found.network) is type(model.network)
    assert found.network.decoder.deep_supervision is False
    assert found.allowed_mirroring_axes == axes
    with torch.no_grad():
        logits = found._internal_maybe_mirror_and_predict(torch.randn(1, 1, 8, 8, 8))
    assert logits.shape == (1, 3, 8, 8, 8)


class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x.clone()


@pytest.mark.parametrize(("axes", "calls"), [(None, 1), ((1,), 2), ((0, 1), 4)])
def test_none_means_one_prediction_and_each_axis_doubles_the_number(axes, calls):
    found = predictor()
    found.network, found.allowed_mirroring_axes = Counting(), axes
    x = torch.randn(1, 1, 2, 3, 4)
    torch.testing.assert_close(found._internal_maybe_mirror_and_predict(x), x)
    assert found.network.calls == calls


def test_the_predictor_fails_on_an_empty_tuple():
    # Hence PluginTrainer saves None where no axis may be mirrored. If this test fails, () works as well: remove it.
    found = predictor()
    found.network, found.allowed_mirroring_axes = Counting(), ()
    with pytest.raises(ValueError, match="empty"):
        found._internal_maybe_mirror_and_predict(torch.randn(1, 1, 2, 3, 4))


def test_deep_supervision_is_switched_on_the_decoder(model):
    model.set_deep_supervision_enabled(False)
    assert model.network.decoder.deep_supervision is False
    model.set_deep_supervision_enabled(True)
    assert model.network.decoder.deep_supervision is True
