"""Keys of the procedure in real trainings: augmentation as data, a rate per iteration, mirroring at prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform

from nnunet_plugins.errors import UserError
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.training.test_matrix import SHORT

STEP = {"lr_schedule": "step", "lr_decay": 0.5, "lr_step": 2, "initial_lr": 0.5}
#: Of every transform one; affine and noise are strong enough to be seen.
AUGMENTED = {
    "affine": {"p": 1, "degrees": 20, "scale": [0.8, 1.2], "shift": 0.1},
    "gamma": {"p": 1, "range": [0.5, 2]},
    "noise": {"p": 1, "std": [0.1, 0.2]},
    "flip": {"p": 0.5},
}


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    return tiny.make("sides", 730, network="ModularUNet", training=SHORT)


def trainer_with(
    data: tiny.Tiny, name: str, training: dict[str, Any], configuration: str = "3d_fullres"
) -> Any:
    plans = tiny.replanned(data, name, training={**SHORT, **training})
    return tiny.trainer_of(plans, configuration, "ModularUNetTrainer")


def settings(trainer: Any) -> tuple[Any, ...]:
    return trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()


@pytest.mark.parametrize(
    ("training", "trained", "predicted"),
    [
        ({}, (0, 1), (0, 1)),
        ({"prediction_mirror_axes": [1]}, (0, 1), (1,)),
        ({"prediction_mirror_axes": []}, (0, 1), None),
        # Axis 2 is left-right and labels have sides: never mirrored, whatever a recipe names.
        ({"prediction_mirror_axes": [1, 2]}, (0, 1), (1,)),
        ({"augmentation": {"flip": {"p": 0.5}}}, (0, 1), (0, 1)),
        ({"augmentation": {"flip": {"p": 0.5}}, "prediction_mirror_axes": [0]}, (0, 1), (0,)),
        ({"augmentation": {"noise": {"p": 1, "std": [0, 1]}}}, (), None),
        ({"augmentation": "none", "prediction_mirror_axes": [1]}, (), None),
    ],
)
def test_axes_of_training_and_prediction(
    data: tiny.Tiny, training: dict[str, Any], trained: tuple[int, ...], predicted: Any
) -> None:
    trainer = trainer_with(data, "AxesPlans", training)
    assert settings(trainer)[3] == trained
    assert trainer.inference_allowed_mirroring_axes == predicted


def test_a_procedure_outside_of_the_configurations_is_refused(data: tiny.Tiny) -> None:
    plans = tiny.replanned(data, "TopPlans", training={})
    file = data.preprocessed / "TopPlans.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"training": {"epochs": 7}}))
    with pytest.raises(
        UserError, match="the top level has the key 'training', which nothing reads"
    ):
        tiny.trainer_of(plans, "2d", "ModularUNetTrainer")


def test_other_strides_than_those_of_the_source_are_logged(data: tiny.Tiny) -> None:
    source = tiny.untrained(data, "2d", "ModularUNetTrainer")
    entry = {"source": str(source), "what": "encoder"}
    tuned = tiny.replanned(data, "StridesPlans", training={**SHORT, "pretrained": entry})
    file = data.preprocessed / "StridesPlans.json"
    content = json.loads(file.read_text())
    strides = content["configurations"]["2d"]["architecture"]["arch_kwargs"]["strides"]
    strides[1] = [1, 2]
    file.write_text(json.dumps(content))
    trainer = tiny.trainer_of(tuned, "2d", "ModularUNetTrainer")
    trainer.initialize()
    text = Path(trainer.log_file).read_text()
    assert "pretrained: the strides of the source are [[1, 1], [2, 2]" in text
    assert "here [[1, 1], [1, 2]" in text


def test_an_affine_reads_a_margin_and_checks_its_axes(data: tiny.Tiny) -> None:
    spec = {"affine": {"p": 1, "scale": [1, 1.5], "along": [1, 2]}}
    trainer = trainer_with(data, "MarginPlans", {"augmentation": spec})
    assert trainer.configuration_manager.patch_size == [16, 32, 32]
    _, dummy_2d, initial, _ = settings(trainer)
    assert (dummy_2d, initial) == (False, [16, 48, 48])
    with pytest.raises(UserError, match=r"affine\.along is \[1, 2\]; a patch of 2 axes"):
        settings(trainer_with(data, "MarginPlans", {"augmentation": spec}, "2d"))


def test_flips_keep_left_and_right_and_change_the_data(data: tiny.Tiny) -> None:
    """The labels of a batch are the case's own, mirrored along z and y at most."""
    plain = {"augmentation": {"flip": {"p": 0.5}}, "oversample_foreground": 0}
    trainer = trainer_with(data, "FlipPlans", plain)
    trainer.on_train_start()
    dataset, _ = trainer.get_tr_and_val_datasets()
    known = [np.asarray(dataset.load_case(case)[0])[0] for case in dataset.identifiers]
    flips = [(), (0,), (1,), (0, 1)]
    seen = set()
    for _ in range(16):
        for sample in next(trainer.dataloader_train)["data"].numpy()[:, 0]:
            found = [
                axes
                for axes in flips
                for volume in known
                if np.allclose(np.flip(sample, axes), volume, atol=1e-5)
            ]
            assert len(found) == 1
            seen.add(found[0])
    assert seen == set(flips)
    trainer.on_train_end()


@pytest.mark.parametrize("masked", [False, True])
def test_what_the_mask_leaves_out_remains_zero(data: tiny.Tiny, masked: bool) -> None:
    """As in nnU-Net's own augmentation, where the z-score used the mask of the image."""
    trainer = trainer_with(data, "MaskPlans", {"augmentation": {"noise": {"p": 1, "std": [1, 1]}}})
    made: BasicTransform = trainer.get_training_transforms(
        (8, 8), None, None, (), False, use_mask_for_norm=[masked], foreground_labels=(1, 2)
    , is_cascaded=False, regions=None, ignore_label=None)  # fmt: skip
    outside = torch.zeros(1, 8, 8, dtype=torch.int16)
    outside[:, :4] = -1
    found = made(image=torch.zeros(1, 8, 8), segmentation=outside)
    assert (found["image"][:, :4] == 0).all() == masked
    assert (found["image"][:, 4:] != 0).all()
    assert (found["segmentation"] == 0).all()


@pytest.mark.integration
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_every_transform_trains_two_steps(data: tiny.Tiny, configuration: str) -> None:
    procedure = {"augmentation": AUGMENTED, "loss": {"dice": {"weight": 1, "background": True}}}
    trainer = trainer_with(data, "AugmentedPlans", procedure, configuration)
    trainer.run_training()
    assert trainer.current_epoch == 1
    assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))


def recorded(trainer: Any) -> list[float]:
    """Train, and return the rate with which each step was taken."""
    rates: list[float] = []
    step = trainer.train_step

    def train_step(batch: Any) -> Any:
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        return step(batch)

    trainer.train_step = train_step
    trainer.run_training()
    return rates


@pytest.mark.integration
def test_a_training_continued_midway_has_the_same_rates(data: tiny.Tiny) -> None:
    """Three iterations per epoch and two per step: the rate changes within epochs."""
    training = {**STEP, "epochs": 3, "iterations_per_epoch": 3, "save_every": 1}
    expected = [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625, 0.03125]
    first = trainer_with(data, "StepPlans", training)
    stopped = first.on_epoch_end

    def interrupted() -> None:
        stopped()
        if first.current_epoch == 2:
            raise KeyboardInterrupt

    first.on_epoch_end = interrupted
    with pytest.raises(KeyboardInterrupt):
        recorded(first)
    first.dataloader_train = first.dataloader_val = None
    second = trainer_with(data, "StepPlans", training)
    second.initialize()
    second.load_checkpoint(str(Path(first.output_folder) / "checkpoint_latest.pth"))
    assert recorded(second) == expected[6:]
    whole = trainer_with(data, "StepPlans", training)
    assert recorded(whole) == expected
