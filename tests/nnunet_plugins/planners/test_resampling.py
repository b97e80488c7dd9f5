"""`plan --resampling`: which of nnU-Net's functions the plans name, and how auto decides."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.errors import UserError
from nnunet_plugins.planners import planning, resampling
from nnunet_plugins.planners.planning import Request
from nnunet_plugins.planners.resampling import disagreement, write_resampling
from tests.contract import making


@pytest.fixture
def labels(tmp_path):
    """Two touching ellipsoids, on voxels of 1 x 0.7 x 0.6 mm (z, y, x)."""
    grid = np.mgrid[:20, :40, :44]
    array = np.zeros((20, 40, 44), np.uint8)
    for label, centre in ((1, (9, 20, 15)), (2, (11, 20, 28))):
        places = zip(grid, centre, (7, 13, 11), strict=True)
        array[sum(((at - middle) / radius) ** 2 for at, middle, radius in places) < 1] = label
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.6, 0.7, 1.0))
    folder = tmp_path / "labelsTr"
    folder.mkdir()
    sitk.WriteImage(image, str(folder / "case.nii.gz"))
    return folder


def plans_file(folder, **entry):
    content = making.plans()
    for configuration in content["configurations"].values():
        configuration.update(entry)
    content["configurations"]["3d_child"] = {"inherits_from": "3d_fullres"}
    (folder / "Plans.json").write_text(json.dumps(content))
    return folder / "Plans.json"


def test_torch_is_written_for_all_three_and_nnunet_reads_it(tmp_path, labels):
    file = plans_file(tmp_path)
    write_resampling(file, "torch", labels)
    for name in ("2d", "3d_fullres", "3d_child"):
        found = PlansManager(str(file)).get_configuration(name)
        for function in (found.resampling_fn_data, found.resampling_fn_seg,
                         found.resampling_fn_probabilities):  # fmt: skip
            assert function.func.__name__ == "resample_torch_fornnunet"
            assert function(np.zeros((1, 4, 4, 4), np.float32), (5, 6, 7), (1,) * 3, (0.7,) * 3
                            ).shape == (1, 5, 6, 7)  # fmt: skip
    assert "resampling_fn_data" not in json.loads(file.read_text())["configurations"]["3d_child"]


def test_the_default_leaves_the_plans_as_they_are(tmp_path, labels):
    file = plans_file(tmp_path)
    before = file.read_bytes()
    write_resampling(file, "nnunet", labels)
    assert file.read_bytes() == before


def test_functions_agree_where_nothing_is_resampled_and_differ_by_known_voxels_elsewhere(labels):
    plans = making.plans()
    entry = plans["configurations"]["3d_fullres"]
    assert disagreement({**entry, "spacing": [1.0, 0.7, 0.6]}, plans, labels) == {
        "seg": 0, "probabilities": 0,
    }  # fmt: skip
    found = disagreement(entry, plans, labels)
    assert found["probabilities"] < 1e-3  # both are linear
    nearest = {"is_seg": False, "order": 0, "order_z": 0, "force_separate_z": None}
    other = {**entry, "resampling_fn_probabilities_kwargs": nearest}
    assert disagreement(other, plans, labels)["probabilities"] > 1e-2


@pytest.mark.parametrize(("share", "name"), [(0.001, "resample_torch_fornnunet"),
                                             (0.0011, "resample_data_or_seg_to_shape")])  # fmt: skip
def test_auto_takes_torch_up_to_the_limit_and_never_for_images(
    tmp_path, labels, monkeypatch, share, name
):
    monkeypatch.setattr(resampling, "disagreement", lambda *_: {"seg": 1.0, "probabilities": share})
    file = plans_file(tmp_path)
    write_resampling(file, "auto", labels)
    found = json.loads(file.read_text())["configurations"]["3d_fullres"]
    assert found["resampling_fn_probabilities"] == name
    assert (
        found["resampling_fn_seg"]
        == found["resampling_fn_data"]
        == making.configuration()["resampling_fn_seg"]
    )
    assert found["resampling"]["disagreement"]["probabilities"] == share


def test_without_labels_auto_keeps_the_default(tmp_path):
    (tmp_path / "labelsTr").mkdir()
    plans = making.plans()
    found = disagreement(plans["configurations"]["2d"], plans, tmp_path / "labelsTr")
    assert found == {"seg": 1.0, "probabilities": 1.0}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"resampling": "cubic"}, "--resampling cubic: allowed: nnunet, torch, auto"),
        ({"resampling": "torch", "recipe": "paper"}, "has the interpolation of the paper"),
    ],
)
def test_a_choice_that_is_not_possible_stops(root, option, message):
    with pytest.raises(UserError, match=message):
        planning.plan(Request("1", "MAGUNet", **option))


def test_plans_with_another_resampling_or_other_weights_have_another_name():
    names = {Request("1", "UNet", resampling=one).name() for one in resampling.CHOICES}
    assert names == {"UNetPlans", "UNetPlansTorchRes", "UNetPlansAutoRes"}
    pretrained = Request("1", "UNet", training={"pretrained": {"source": "model.zip"}})
    assert pretrained.name() == "UNetPlansPretrained"
