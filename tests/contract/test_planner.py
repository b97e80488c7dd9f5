"""The methods and attributes of ExperimentPlanner that NetworkPlanner and planning.py use."""

from __future__ import annotations

import inspect
import json

import pytest
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
    ResEncUNetPlanner,
)
from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprint_dataset,
    preprocess_dataset,
)

from nnunet_plugins.networks import MAGUNet, public_name
from nnunet_plugins.planners.network_planner import (
    RESIDUAL_BLOCKS,
    RESIDUAL_DECODER,
    NetworkPlanner,
)

from .making import DATASET

NAME = "Dataset043_Planned"
TRAINING = {"epochs": 2, "loss": {"dice": 1.0, "ce": 0.5}}


@pytest.fixture(scope="module")
def dataset(nnunet):
    """A raw dataset of empty files, and its fingerprint."""
    raw, preprocessed = nnunet / "nnUNet_raw" / NAME, nnunet / "nnUNet_preprocessed" / NAME
    for folder in (raw / "imagesTr", raw / "labelsTr", preprocessed):
        folder.mkdir(parents=True)
    for case in range(5):
        (raw / "imagesTr" / f"c{case}_0000.nii.gz").touch()
        (raw / "labelsTr" / f"c{case}.nii.gz").touch()
    (raw / "dataset.json").write_text(json.dumps(DATASET))
    (preprocessed / "dataset_fingerprint.json").write_text(
        json.dumps(
            {
                "spacings": [[4.0, 1.0, 1.0]] * 5,
                "shapes_after_crop": [[12, 32, 32]] * 5,
                "foreground_intensity_properties_per_channel": {"0": {}},
                "median_relative_size_after_cropping": 1.0,
            }
        )
    )
    return preprocessed


@pytest.fixture(scope="module")
def counted():
    """Patches for which nnU-Net called MAGUNet's count of feature maps."""
    return []


@pytest.fixture(scope="module")
def planned(dataset, counted):
    count = MAGUNet.compute_conv_feature_map_size

    def remember(self, patch):
        counted.append(tuple(patch))
        return count(self, patch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MAGUNet, "compute_conv_feature_map_size", remember)
        NetworkPlanner(
            NAME,
            network="MAGUNet",
            training=TRAINING,
            base_features=4,
            batch_size=3,
            gpu_memory_target_in_gb=1.0,
            plans_name="Planned",
        ).plan_experiment()
    return json.loads((dataset / "Planned.json").read_text())


CONFIGURATIONS = ("2d", "3d_fullres")


def test_the_constructor_takes_our_keywords():
    parameters = inspect.signature(ExperimentPlanner.__init__).parameters
    assert {"dataset_name_or_id", "gpu_memory_target_in_gb", "plans_name"} <= set(parameters)


def test_the_method_that_we_override_has_our_parameters():
    # It is called by position.
    name = "get_plans_for_configuration"
    ours, theirs = (
        inspect.signature(getattr(c, name)).parameters for c in (NetworkPlanner, ExperimentPlanner)
    )
    assert list(ours) == list(theirs)


def test_nnunet_has_the_attributes_that_we_set(dataset):
    stock = vars(ExperimentPlanner(NAME))
    ours = {"UNet_class", "UNet_base_num_features"}
    ours |= {"UNet_blocks_per_stage_encoder", "UNet_blocks_per_stage_decoder"}
    ours |= {f"UNet_reference_val_{rank}d" for rank in (2, 3)}
    ours |= {f"UNet_reference_val_corresp_bs_{rank}d" for rank in (2, 3)}
    ours |= {"UNet_reference_val_corresp_GB", "UNet_vram_target_GB", "UNet_min_batch_size"}
    assert {*ours, "max_dataset_covered"} <= set(stock)


def test_the_memory_budget_has_these_reference_values(dataset):
    stock = ExperimentPlanner(NAME)
    assert (stock.UNet_reference_val_3d, stock.UNet_reference_val_corresp_bs_3d) == (560e6, 2)
    assert (stock.UNet_reference_val_2d, stock.UNet_reference_val_corresp_bs_2d) == (85e6, 12)
    assert stock.UNet_reference_val_corresp_GB == 8
    assert (stock.UNet_min_batch_size, stock.max_dataset_covered) == (2, 0.05)


def test_residual_encoders_have_these_depths(dataset):
    stock = ResEncUNetPlanner(NAME)
    assert stock.UNet_blocks_per_stage_encoder == RESIDUAL_BLOCKS
    assert stock.UNet_blocks_per_stage_decoder == RESIDUAL_DECODER


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_architecture_entry_has_these_keys(planned, name):
    entry = planned["configurations"][name]["architecture"]
    assert set(entry) == {"network_class_name", "arch_kwargs", "_kw_requires_import"}
    assert set(entry["_kw_requires_import"]) == {"conv_op", "norm_op", "dropout_op", "nonlin"}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_our_entries_of_a_configuration_are_written_to_the_file(planned, name):
    entry = planned["configurations"][name]
    assert entry["architecture"]["network_class_name"] == public_name("MAGUNet")
    assert entry["architecture"]["arch_kwargs"]["features_per_stage"][0] == 4
    assert entry["batch_size"] == 3
    assert entry["training"] == TRAINING


def test_the_patch_size_follows_from_our_own_count_of_feature_maps(planned, counted):
    patches = {tuple(planned["configurations"][name]["patch_size"]) for name in CONFIGURATIONS}
    assert patches <= set(counted)


def test_the_file_records_its_name_and_planner(planned):
    assert planned["plans_name"] == "Planned"
    assert planned["experiment_planner_used"] == "NetworkPlanner"
    assert planned["transpose_forward"] == [0, 1, 2]


def test_configurations_only_in_an_old_file_are_kept(dataset, planned):
    # Hence planning.plan removes the old file: a stale 3d_lowres would remain in the new one.
    file = dataset / "Merged.json"
    file.write_text(json.dumps(planned | {"configurations": {"stale": {}, "2d": {}}}))
    planner = ExperimentPlanner(NAME, plans_name="Merged")
    planner.save_plans(json.loads(json.dumps(planned)))
    merged = json.loads(file.read_text())["configurations"]
    assert merged == planned["configurations"] | {"stale": {}}


def test_fingerprint_and_preprocessing_take_our_arguments():
    inspect.signature(extract_fingerprint_dataset).bind(
        1, num_processes=1, check_dataset_integrity=True, verbose=False
    )
    inspect.signature(preprocess_dataset).bind(1, "Plans", ["2d"], num_processes=[1])
