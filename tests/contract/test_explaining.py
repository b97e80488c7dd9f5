"""The parts of nnU-Net that explain and robustness rely on: windows, their weights, preprocessing, labels."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.label_handling.label_handling import LabelManager


def windows(patch, size):
    predictor = nnUNetPredictor(device=torch.device("cpu"))
    predictor.configuration_manager = SimpleNamespace(patch_size=patch)
    return predictor._internal_get_sliding_window_slicers(size)


@pytest.mark.parametrize("patch", [[4, 6, 8], [6, 8]])
def test_windows_index_a_case_with_its_channels_and_cover_it(patch):
    size = (5, 9, 17)
    seen = torch.zeros(2, *size)
    for window in windows(patch, size):
        assert window[0] == slice(None)
        seen[window] += 1
        assert list(seen[window].shape[1:]) == patch
    assert seen.min() >= 1


def test_weights_are_highest_in_the_centre_and_positive_everywhere():
    weights = compute_gaussian(
        (8, 8),
        sigma_scale=1 / 8,
        value_scaling_factor=10,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    assert weights.shape == (8, 8)
    assert weights[4, 4] == weights.max() == 10
    assert weights.min() > 0


def test_preprocessing_takes_files_and_returns_what_export_reads():
    parameters = list(inspect.signature(DefaultPreprocessor.run_case).parameters)
    assert parameters == [
        "self",
        "image_files",
        "seg_file",
        "plans_manager",
        "configuration_manager",
        "dataset_json",
    ]
    source = inspect.getsource(convert_predicted_logits_to_segmentation_with_correct_shape)
    for key in ("shape_after_cropping_and_before_resampling", "shape_before_cropping", "bbox_used_for_cropping",
                "resampling_fn_probabilities", "transpose_backward", "transpose_forward"):  # fmt: skip
        assert key in source


def test_the_order_of_the_logits_is_that_of_the_labels_or_of_the_regions():
    plain = LabelManager({"background": 0, "b": 2, "a": 1}, None)
    assert list(plain.all_labels) == [0, 1, 2]
    assert not plain.has_regions
    regions = LabelManager({"background": 0, "spine": [1, 2], "disc": 2, "ignore": 3}, [1, 2])
    assert regions.has_regions
    assert [r if isinstance(r, int) else tuple(r) for r in regions.foreground_regions] == [
        (1, 2),
        2,
    ]


def test_one_case_is_predicted_without_workers():
    parameters = inspect.signature(nnUNetPredictor.predict_from_files_sequential).parameters
    assert list(parameters)[1:3] == [
        "list_of_lists_or_source_folder", "output_folder_or_list_of_truncated_output_files",
    ]  # fmt: skip
