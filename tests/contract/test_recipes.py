"""What a paper's recipe relies on: hooks of the planner, normalisation from the plans, arguments of transforms."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.preprocessing.normalization import default_normalization_schemes as schemes
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


@pytest.mark.parametrize(
    "hook",
    [
        "determine_fullres_target_spacing",
        "determine_transpose",
        "get_plans_for_configuration",
        "save_plans",
    ],
)
def test_planning_calls_the_methods_that_a_recipe_overrides(hook: str) -> None:
    assert f"self.{hook}(" in inspect.getsource(ExperimentPlanner.plan_experiment)


def test_a_configuration_asks_for_its_normalisation_and_a_patch_of_its_estimate() -> None:
    source = inspect.getsource(ExperimentPlanner.get_plans_for_configuration)
    assert "self.determine_normalization_scheme_and_whether_mask_is_used_for_norm()" in source
    assert "self.static_estimate_VRAM_usage(" in source


def test_a_low_resolution_is_planned_below_a_share_of_the_image() -> None:
    source = inspect.getsource(ExperimentPlanner.plan_experiment)
    assert "num_voxels_in_patch / median_num_voxels < self.lowres_creation_threshold" in source


def test_batch_dice_is_set_after_a_configuration_is_planned() -> None:
    # Hence a recipe sets it when the plans are saved.
    source = inspect.getsource(ExperimentPlanner.plan_experiment)
    assert source.index("plan_2d['batch_dice'] = True") < source.index("self.save_plans(plans)")


def test_preprocessing_reads_the_intensities_from_the_plans() -> None:
    source = inspect.getsource(DefaultPreprocessor.run_case_npy)
    assert "plans_manager.foreground_intensity_properties_per_channel" in source


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ZScoreNormalization", [-1.2247, 0.0, 1.2247]),
        ("RescaleTo01Normalization", [0.0, 0.5, 1.0]),
        ("NoNormalization", [10.0, 20.0, 30.0]),
    ],
)
def test_normalisation_schemes_do_what_their_names_state(name: str, expected: list[float]) -> None:
    found = getattr(schemes, name)(False, {}).run(np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_noise_takes_a_standard_deviation_although_the_argument_is_called_variance() -> None:
    noise = GaussianNoiseTransform(noise_variance=(0.1, 0.1), p_per_channel=1)
    found = noise(image=torch.zeros(1, 200, 200))["image"]
    assert float(found.std()) == pytest.approx(0.1, rel=0.05)


def test_transforms_take_our_arguments() -> None:
    assert list(inspect.signature(RandomTransform).parameters) == [
        "transform",
        "apply_probability",
    ]
    parameters = inspect.signature(SpatialTransform).parameters
    assert list(parameters)[:3] == ["patch_size", "patch_center_dist_from_border", "random_crop"]
    assert {"p_rotation", "rotation", "p_scaling", "scaling", "padding_mode_image"} <= set(
        parameters
    )
    assert {"border_mode_seg", "padding_value_seg", "bg_style_seg_sampling"} <= set(parameters)
    assert {"channel_idx_in_seg", "set_outside_to"} <= set(
        inspect.signature(MaskImageTransform).parameters
    )


def test_spatial_transforms_ask_for_an_angle_and_a_factor_per_axis() -> None:
    asked: list[int] = []

    def value(image: torch.Tensor, dim: int) -> float:
        asked.append(dim)
        return 1.0

    transform = SpatialTransform(
        (4, 4, 4),
        0,
        False,
        p_rotation=1,
        rotation=value,
        p_scaling=1,
        scaling=value,
        p_synchronize_scaling_across_axes=0,
    )
    transform(image=torch.zeros(1, 4, 4, 4))
    assert asked == [0, 1, 2, 0, 1, 2]


def test_the_trainer_sets_the_rate_when_an_epoch_starts_and_takes_steps_with_train_step() -> None:
    assert "self.lr_scheduler.step(self.current_epoch)" in inspect.getsource(
        nnUNetTrainer.on_train_epoch_start
    )
    assert "self.train_step(next(self.dataloader_train))" in inspect.getsource(
        nnUNetTrainer.run_training
    )


def test_training_transforms_receive_patch_first_and_mirror_axes_fourth() -> None:
    parameters = list(inspect.signature(nnUNetTrainer.get_training_transforms).parameters)
    assert parameters[:4] == [
        "patch_size",
        "rotation_for_DA",
        "deep_supervision_scales",
        "mirror_axes",
    ]
    assert "use_mask_for_norm" in parameters
