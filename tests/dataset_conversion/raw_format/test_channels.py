"""A warning where nnU-Net would silently take z-scores of CT."""

import numpy as np
import pytest

from dataset_conversion.cases.intensities import intensities
from dataset_conversion.raw_format.channels import KNOWN, channel_warnings
from tests.dataset_conversion.making import ct


@pytest.mark.parametrize(
    ("name", "warned"), [("CT", False), ("ct", False), ("noNorm", False), ("zscore", False),
                         ("PT", True), ("none", True), ("CT bone", True), ("T1", True)],
)  # fmt: skip
def test_hu_under_a_name_without_ct_normalisation(name, warned):
    warnings = channel_warnings([name], [intensities(ct())])
    assert len(warnings) == warned
    assert all(repr(name) in text and "z-scores" in text for text in warnings)


def test_mr_with_border_padding_is_not_taken_for_ct():
    array = np.abs(ct())
    array[:, :3] = -1000
    assert channel_warnings(["T1"], [intensities(array)]) == []


def test_the_names_are_those_that_nnunet_knows():
    from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import (
        channel_name_to_normalization_mapping,
    )

    assert set(channel_name_to_normalization_mapping) == KNOWN
