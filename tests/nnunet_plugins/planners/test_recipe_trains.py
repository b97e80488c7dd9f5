"""Plans of a recipe, preprocessed and trained by nnU-Net: the images are the paper's, and two steps are taken."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.planners import planning
from nnunet_plugins.planners.planning import Request
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.planners.test_planning_all import replaced

SHAPE, SPACING = (1, 40, 60), (4.0, 1.5, 1.0)  # one slice of 60 x 60 mm
TWO_STEPS = {"epochs": 1, "iterations_per_epoch": 2, "validation_iterations_per_epoch": 1}


def planned(
    identifier: int,
    network: str,
    configuration: str,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    channel: str,
) -> tiny.Tiny:
    """Write, plan with the recipe, and preprocess one configuration without a process pool."""
    name, dataset = tiny.write_raw("labels", identifier, shape, spacing)
    raw, preprocessed = (Path(os.environ[v]) / name for v in ("nnUNet_raw", "nnUNet_preprocessed"))
    dataset["channel_names"] = {"0": channel}
    (raw / "dataset.json").write_text(json.dumps(dataset))

    def preprocess(*_: Any, **__: Any) -> None:
        manager = PlansManager(str(preprocessed / f"{network}PlansPaper.json"))
        cases = [f"case{i}" for i in range(tiny.CASES)]
        tiny.preprocess(manager, configuration, raw, preprocessed, cases, dataset)

    with replaced(preprocessed, shape, spacing, preprocess):
        request = Request(
            str(identifier),
            network,
            recipe="paper",
            training=TWO_STEPS,
            configurations=(configuration,),
        )
        file = planning.plan(request)
    return tiny.Tiny(name, file.stem, raw, preprocessed)


def images(data: tiny.Tiny, configuration: str) -> list[np.ndarray]:
    trainer = tiny.trainer_of(data, configuration, f"{data.plans.partition('Plans')[0]}Trainer")
    dataset, _ = trainer.get_tr_and_val_datasets()
    return [np.asarray(dataset.load_case(case)[0])[0] for case in dataset.identifiers]


@pytest.mark.integration
def test_slices_of_the_papers_matrix_and_range_train_two_steps(nnunet: Path) -> None:
    """silveira2025-inception-dual: 128 x 128 pixels, 0 to 1, a second target of 8 x 8."""
    data = planned(770, "InceptionDualUNet", "2d", SHAPE, SPACING, "T1")
    for image in images(data, "2d"):
        assert image.shape == (1, 128, 128)
        # nnU-Net normalises before it resamples, which smooths the extremes.
        assert (image.min(), image.max()) == (pytest.approx(0, abs=0.1), pytest.approx(1, abs=0.1))
    trainer = tiny.trainer_of(data, "2d", "InceptionDualUNetTrainer")
    trainer.run_training()
    assert trainer.current_epoch == 1
    assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
    assert trainer.inference_allowed_mirroring_axes is None
    assert trainer.configuration_manager.batch_dice is False
    targets = next(trainer.get_dataloaders()[0])["target"]
    assert [tuple(target.shape[2:]) for target in targets] == [(128, 128), (8, 8)]


@pytest.mark.integration
def test_ct_is_windowed_by_nnunets_own_normalisation(nnunet: Path) -> None:
    """yan2025-mag-unet: 256 x 256 pixels, HU from -200 to 1200 mapped to 0 to 1."""
    data = planned(771, "MAGUNet", "3d_fullres", (6, 32, 32), (3.0, 8.0, 8.0), "CT")
    plans = json.loads((data.preprocessed / f"{data.plans}.json").read_text())
    fullres = plans["configurations"]["3d_fullres"]
    assert fullres["spacing"] == [3.0, 1.0, 1.0]
    assert fullres["patch_size"] == [50, 256, 256]
    assert plans["recipe"] == "yan2025-mag-unet"
    for image in images(data, "3d_fullres"):
        assert image.shape == (6, 256, 256)
        # The phantom's noise of standard deviation 1 around 0 HU, and bars up to 4.
        assert np.median(image) == pytest.approx(200 / 1400, abs=0.01)
        assert image.max() < 220 / 1400
