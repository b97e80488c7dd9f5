"""Training and prediction with nnU-Net's own functions, for every kind of dataset, 2D and 3D."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nnunet_plugins import tiny

SHORT = {
    "epochs": 1,
    "iterations_per_epoch": 2,
    "validation_iterations_per_epoch": 1,
    "optimizer": "Adam",
    "initial_lr": 1e-3,
}
KINDS = ("labels", "regions", "ignore", "both", "anisotropic")
THIN = (8, 48, 40)  # voxels of the anisotropic data


@pytest.fixture(scope="module")
def dataset(nnunet: Path) -> Callable[[str], tiny.Tiny]:
    """The dataset of a kind, created on first use and shared."""

    @cache
    def make(kind: str) -> tiny.Tiny:
        number = 700 + KINDS.index(kind)
        if kind == "anisotropic":
            return tiny.make("labels", number, shape=THIN, spacing=(5.0, 0.8, 1.0), training=SHORT)
        return tiny.make(kind, number, training=SHORT)

    return make


CORE = {("labels", "3d_fullres"), ("both", "2d")}


@pytest.mark.parametrize(
    ("kind", "configuration"),
    [
        pytest.param(
            kind,
            configuration,
            marks=[] if (kind, configuration) in CORE else pytest.mark.integration,
        )
        for kind in KINDS
        for configuration in ("2d", "3d_fullres")
    ],
)
def test_trains_two_steps_and_predicts(
    kind: str, configuration: str, dataset: Callable[[str], tiny.Tiny], tmp_path: Path
) -> None:
    data = dataset(kind)
    trainer = tiny.trainer_of(data, configuration)
    trainer.run_training()
    assert type(trainer.network).__name__ == "MAGUNet"
    assert trainer.current_epoch == 1
    assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
    model = tiny.model_folder(data, configuration)
    assert (
        json.loads((model / "plans.json").read_text())["configurations"][configuration]["training"]
        == SHORT
    )
    found = tiny.predict(model, data, tmp_path)
    assert found.shape == (THIN if kind == "anisotropic" else (16, 32, 32))
    assert set(np.unique(found)) <= {0, 1, 2}


@pytest.mark.integration
def test_anisotropic_data_gets_anisotropic_kernels(dataset: Callable[[str], tiny.Tiny]) -> None:
    trainer = tiny.trainer_of(dataset("anisotropic"), "3d_fullres")
    trainer.initialize()
    assert trainer.network.encoder.kernel_sizes[0] == [1, 3, 3]
    assert trainer.network.encoder.stages[0][0].branches[2].kernel_size == (1, 5, 5)
    assert trainer.network.decoder.gates[-1].skip.kernel_size == (1, 3, 3)


@pytest.mark.integration
def test_plain_and_residual_plans_of_nnunet_take_the_network(
    dataset: Callable[[str], tiny.Tiny], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
        nnUNetPlannerResEncM,
    )
    from nnunetv2.experiment_planning.plan_and_preprocess_api import plan_experiment_dataset

    monkeypatch.setenv("nnUNet_n_proc_DA", "1")  # planning fails with 0
    data = dataset("labels")
    stock, _ = plan_experiment_dataset(700, overwrite_plans_name="nnUNetPlans")
    residual, _ = plan_experiment_dataset(
        700, nnUNetPlannerResEncM, overwrite_plans_name="nnUNetResEncUNetMPlans"
    )
    for plans, encoder in ((stock, "PlainConvEncoder"), (residual, "ResidualEncoder")):
        for trainer_name, network in (("SEUNetTrainer", "SEUNet"), ("MAGUNetTrainer", "MAGUNet")):
            for configuration in ("2d", "3d_fullres"):
                trainer = tiny.trainer_of(
                    tiny.Tiny(data.name, plans["plans_name"], data.raw, data.preprocessed),
                    configuration,
                    trainer_name,
                )
                built = trainer.build_network_architecture(
                    trainer.plans_manager, trainer.configuration_manager, 1, 3, True
                )
                planned = plans["configurations"][configuration]["architecture"]["arch_kwargs"]
                assert type(built).__name__ == network
                assert type(built.encoder).__name__ == encoder
                assert list(built.encoder.output_channels) == list(planned["features_per_stage"])
                assert np.array_equal(built.encoder.kernel_sizes, planned["kernel_sizes"])
                assert np.array_equal(built.encoder.strides, planned["strides"])
                assert trainer.num_epochs == 1000  # nnU-Net's own procedure


def test_plans_that_name_a_network_take_precedence_over_the_trainer(
    dataset: Callable[[str], tiny.Tiny],
) -> None:
    data = tiny.replanned(dataset("labels"), "SEPlans", network="SEUNet")
    trainer = tiny.trainer_of(data, "2d", "MAGUNetTrainer")
    trainer.initialize()
    assert type(trainer.network).__name__ == "SEUNet"


def test_an_unknown_training_key_is_rejected_by_name(dataset: Callable[[str], tiny.Tiny]) -> None:
    data = tiny.replanned(dataset("labels"), "WrongPlans", training={"epoch": 5})
    with pytest.raises(ValueError, match=r"unknown keys 'epoch'; known: epochs"):
        tiny.trainer_of(data, "2d")


def test_the_procedure_reaches_optimizer_loss_and_sampling(
    dataset: Callable[[str], tiny.Tiny],
) -> None:
    data = tiny.replanned(
        dataset("labels"),
        "ProcedurePlans",
        training={
            **SHORT,
            "optimizer": "AdamW",
            "weight_decay": 0.25,
            "lr_schedule": "constant",
            "loss": {"dice": 2.0, "ce": 0.0},
            "oversample_foreground": 0.5,
            "mirror_axes": [1],
            "deep_supervision": False,
        },
    )
    trainer = tiny.trainer_of(data, "3d_fullres")
    trainer.on_train_start()
    assert type(trainer.optimizer) is torch.optim.AdamW
    assert trainer.optimizer.param_groups[0]["weight_decay"] == 0.25
    trainer.lr_scheduler.step(0)
    assert trainer.optimizer.param_groups[0]["lr"] == SHORT["initial_lr"]
    assert trainer.loss.weights == {"dice": 2.0}
    assert trainer.oversample_foreground_percent == 0.5
    assert trainer.inference_allowed_mirroring_axes == (1,)
    assert trainer.network.decoder.deep_supervision is False
    trainer.on_train_end()


def test_without_augmentation_nothing_is_mirrored_or_changed(
    dataset: Callable[[str], tiny.Tiny],
) -> None:
    data = tiny.replanned(
        dataset("labels"),
        "PlainPlans",
        training={**SHORT, "augmentation": "none", "oversample_foreground": 0},
    )
    trainer = tiny.trainer_of(data, "3d_fullres")
    trainer.on_train_start()
    assert trainer.inference_allowed_mirroring_axes is None
    # The patch is the entire volume: without augmentation it equals the preprocessed data.
    assert trainer.configuration_manager.patch_size == [16, 32, 32]
    dataset, _ = trainer.get_tr_and_val_datasets()
    known = [np.asarray(dataset.load_case(case)[0]) for case in dataset.identifiers]
    for sample in next(trainer.dataloader_train)["data"].numpy():
        assert any(np.allclose(sample, volume, atol=1e-5) for volume in known)
    trainer.on_train_end()


@pytest.mark.integration
def test_cascade(nnunet: Path, tmp_path: Path) -> None:
    data = tiny.make("labels", 720, training=SHORT, cascade=True)
    tiny.train(data, "3d_lowres", fold="all")
    stage = nnunet / "nnUNet_results" / data.name / "MAGUNetTrainer__TinyPlans__3d_lowres"
    assert (
        len(list((stage / "predicted_next_stage" / "3d_cascade_fullres").iterdir())) == tiny.CASES
    )
    trainer = tiny.trainer_of(data, "3d_cascade_fullres")
    trainer.run_training()
    # The image and one map per label.
    assert trainer.network.encoder.stages[0][0].shared.conv.in_channels == 3
    previous = tmp_path / "previous"
    tiny.predict(stage, data, previous, fold="all")
    found = tiny.predict(
        tiny.model_folder(data, "3d_cascade_fullres"), data, tmp_path / "final",
        folder_with_segs_from_prev_stage=str(previous),
    )  # fmt: skip
    assert found.shape == (16, 32, 32)


@pytest.mark.integration
def test_resume_validate_pretrain_export_and_import(nnunet: Path, tmp_path: Path) -> None:
    from nnunetv2.model_sharing.model_export import export_pretrained_model
    from nnunetv2.model_sharing.model_import import install_model_from_zip_file

    data = tiny.make("labels", 730, training={**SHORT, "epochs": 2, "save_every": 1})
    trainer = tiny.trainer_of(data, "2d")
    trainer.on_train_start()
    epoch = trainer.num_epochs - 1
    trainer.num_epochs = epoch  # interrupted after the first epoch
    trainer.run_training()
    fold = tiny.model_folder(data, "2d") / "fold_0"
    (fold / "checkpoint_final.pth").rename(fold / "checkpoint_latest.pth")

    model = tiny.train(data, "2d", continue_training=True)
    checkpoint = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    assert checkpoint["current_epoch"] == 2
    assert checkpoint["trainer_name"] == "MAGUNetTrainer"
    assert (fold / "validation" / "summary.json").exists()

    (fold / "validation" / "summary.json").unlink()
    tiny.train(data, "2d", only_run_validation=True)
    assert (fold / "validation" / "summary.json").exists()

    before = tiny.predict(model, data, tmp_path / "before")
    archive = tmp_path / "model.zip"
    export_pretrained_model(data.name, str(archive), ("2d",), "MAGUNetTrainer", data.plans, (0,))
    elsewhere = tmp_path / "elsewhere"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_results", str(elsewhere))
        install_model_from_zip_file(str(archive))
        after = tiny.predict(tiny.model_folder(data, "2d"), data, tmp_path / "after")
    np.testing.assert_array_equal(before, after)

    fresh = tiny.trainer_of(data, "2d", "MAGUNetTrainer")
    fresh.initialize()
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    load_pretrained_weights(fresh.network, str(fold / "checkpoint_final.pth"))
    name = "decoder.gates.0.skip.weight"
    assert torch.equal(fresh.network.state_dict()[name], checkpoint["network_weights"][name])
