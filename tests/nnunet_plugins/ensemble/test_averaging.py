"""Averages of saved probabilities are those of nnU-Net; damaged files are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.ensembling.ensemble import average_probabilities
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.ensemble.averaging import averaged_labels
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.probabilities import classes, shape_of
from tests.contract import making


def saved(folder: Path, seed: int, regions: bool, dtype: type = np.float32) -> Path:
    values = np.random.default_rng(seed).uniform(size=(2 if regions else 3, 4, 5, 6))
    values = values if regions else values / values.sum(0)
    path = folder / f"{seed}.npz"
    np.savez_compressed(path, probabilities=values.astype(dtype))
    return path


@pytest.mark.parametrize("regions", [False, True], ids=["labels", "regions"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_labels_are_those_of_nnunets_ensemble(regions, dtype, tmp_path):
    files = [saved(tmp_path, seed, regions, dtype) for seed in range(3)]
    dataset = json.loads(json.dumps(making.REGIONS if regions else making.DATASET))
    manager = PlansManager(making.plans()).get_label_manager(dataset)
    expected = manager.convert_probabilities_to_segmentation(
        average_probabilities(list(map(str, files)))
    )
    order = dataset.get("regions_class_order")
    np.testing.assert_array_equal(averaged_labels(files, order), expected)


def test_classes_are_read_one_by_one(tmp_path):
    path = saved(tmp_path, 0, False)
    np.testing.assert_array_equal(np.stack([*classes(path)]), np.load(path)["probabilities"])
    assert shape_of(path) == (3, 4, 5, 6)


def test_files_that_do_not_fit_are_named(tmp_path):
    good, other = saved(tmp_path, 0, False), saved(tmp_path, 1, True)
    with pytest.raises(UserError, match=r"1\.npz: probabilities of shape \(2, 4, 5, 6\); expected"):
        averaged_labels([good, other])
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(good.read_bytes()[:200])
    with pytest.raises(UserError, match=r"damaged\.npz: probabilities cannot be read"):
        averaged_labels([damaged])
    content = bytearray(good.read_bytes())
    content[90:140] = bytes(one ^ 0x5A for one in content[90:140])
    damaged.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged\.npz: probabilities cannot be read"):
        averaged_labels([damaged])
    np.savez(tmp_path / "objects.npz", probabilities=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"objects\.npz: .*expected \(classes, z, y, x\)"):
        shape_of(tmp_path / "objects.npz")


@pytest.mark.parametrize("value", [np.nan, 1.5, -3])
def test_values_outside_of_0_to_1_are_named(tmp_path, value):
    values = np.full((2, 3, 4, 5), 0.5, np.float32)
    values[1, 2, 3, 4] = value
    np.savez_compressed(tmp_path / "a.npz", probabilities=values)
    with pytest.raises(UserError, match=r"a\.npz: .*outside of 0 to 1"):
        averaged_labels([tmp_path / "a.npz"])
