"""`predict_bounded` writes what nnUNetv2_predict writes, voxel for voxel."""

from __future__ import annotations

import pickle
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_plugins.errors import UserError
from nnunet_plugins.prediction import find_model, load
from nnunet_plugins.prediction.bounded import Job, predict_bounded
from nnunet_plugins.prediction.outputs import Outputs
from tests.contract import making

from .models import (
    IGNORE,
    PATCHES,
    TORCH,
    every_network,
    image,
    labels_in,
    make_model,
    nnunet_predicts,
)

CASES = {
    "3d": {},
    "2d": {"name": "2d"},
    "regions": {"dataset": making.REGIONS},
    "ignore": {"dataset": IGNORE},
    "folds": {"folds": 2},
    "2d folds": {"name": "2d", "folds": 3},
    "unmirrored": {"mirror": None},
    "transposed": {"transpose": (2, 0, 1), "spacing": [1.3, 1.0, 1.1]},
    "coarse slices": {"spacing": [4.0, 0.9, 1.0]},
    "the image's grid": {"spacing": [0.8, 1.0, 1.3]},
    "torch": TORCH,
    "torch regions": {**TORCH, "dataset": making.REGIONS},
}


def both(model, images, folder, **more):
    """The label maps of nnU-Net and ours."""
    predictor = load(model, "cpu")
    wanted = nnunet_predicts(model, images, folder / "nnunet" / "case", predictor=predictor)
    job = Job(tuple(images), folder / "ours" / "case", **more)
    found = labels_in(predict_bounded(predictor, model, job))
    return wanted, found


FAST = ("3d", "regions", "torch")


@pytest.mark.parametrize(
    "kind",
    [one if one in FAST else pytest.param(one, marks=pytest.mark.integration) for one in CASES],
)
def test_the_label_map_is_that_of_nnunet(nnunet, kind, tmp_path):
    model = make_model(tmp_path / "model", **CASES[kind])
    wanted, found = both(model, [image(tmp_path / "case_0000.nii.gz")], tmp_path)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype
    assert len(np.unique(found)) > 1


@pytest.mark.integration
def test_the_label_map_of_odd_images_is_that_of_nnunet(nnunet, tmp_path):
    model = make_model(tmp_path / "model", mirror=None)
    predictor = load(model, "cpu")
    odd = {
        "small": ((3, 4, 5), (0.8, 1.0, 1.3)),
        "slice": ((1, 10, 11), (4.0, 1.0, 1.3)),
        "coarse": ((4, 5, 6), (9.0, 3.0, 3.0)),
        "oblique": ((9, 10, 11), (0.8, 1.0, 1.3)),
    }
    for name, (shape, spacing) in odd.items():
        case = image(tmp_path / name / f"{name} ü.1_0000.nii.gz", shape, spacing, empty=0)
        read = sitk.ReadImage(str(case))
        if name == "oblique":
            turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, 0.2, 0.1)
            read.SetDirection(turn.GetMatrix())
            sitk.WriteImage(read, str(case))
        target = tmp_path / name / "ours" / "case.1"
        wanted = nnunet_predicts(
            model, [case], tmp_path / name / "nnunet" / "case", predictor=predictor
        )
        predict_bounded(predictor, model, Job((case,), target))
        found = sitk.ReadImage(f"{target}.nii.gz")
        assert np.array_equal(sitk.GetArrayFromImage(found), wanted), name
        np.testing.assert_allclose(found.GetDirection(), read.GetDirection(), atol=1e-6)


@pytest.mark.integration
@pytest.mark.parametrize("rank", [2, 3])
def test_the_label_map_is_that_of_nnunet_for_every_network(nnunet, rank, tmp_path):
    name = {2: "2d", 3: "3d_fullres"}[rank]
    for network in every_network(rank):
        model = make_model(tmp_path / network / "model", network=network, name=name, mirror=None)
        side = PATCHES.get(network, 8)
        shape = (2, side + 1, side) if rank == 2 else (side, side, side + 1)
        case = image(tmp_path / network / "case_0000.nii.gz", shape)
        wanted, found = both(model, [case], tmp_path / network)
        assert np.array_equal(found, wanted), network


@pytest.mark.integration
def test_a_cascade_takes_the_labels_of_the_previous_stage(nnunet, tmp_path):
    model = make_model(tmp_path / "model", name="3d_cascade_fullres", previous_stage="3d_lowres")
    case = image(tmp_path / "case_0000.nii.gz")
    previous = tmp_path / "previous" / "case.nii.gz"
    previous.parent.mkdir()
    read = sitk.ReadImage(str(case))
    sitk.WriteImage(sitk.Cast(read > 0.5, sitk.sitkUInt8) + (read > 1), str(previous))
    wanted = nnunet_predicts(model, [case], tmp_path / "nnunet" / "case", previous=previous.parent)
    predictor = load(model, "cpu", cascade=True)
    job = Job((case,), tmp_path / "ours" / "case", previous)
    np.testing.assert_array_equal(labels_in(predict_bounded(predictor, model, job)), wanted)


@pytest.mark.integration
@pytest.mark.parametrize("dataset", [making.DATASET, making.REGIONS], ids=["labels", "regions"])
def test_probabilities_are_those_of_nnunet(nnunet, dataset, tmp_path):
    model = make_model(tmp_path / "model", dataset=dataset, folds=2)
    case = image(tmp_path / "case_0000.nii.gz")
    wanted = nnunet_predicts(model, [case], tmp_path / "nnunet" / "case", save_probabilities=True)
    job = Job((case,), tmp_path / "ours" / "case", outputs=Outputs(True, True))
    found = labels_in(predict_bounded(load(model, "cpu"), model, job))
    np.testing.assert_array_equal(found, wanted)
    theirs, ours = (
        np.load(tmp_path / who / "case.npz")["probabilities"] for who in ("nnunet", "ours")
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert ours.dtype == theirs.dtype
    properties = [
        pickle.loads((tmp_path / who / "case.pkl").read_bytes()) for who in ("nnunet", "ours")
    ]
    assert str(properties[0]) == str(properties[1])
    if not model.dataset.get("regions_class_order"):
        entropy = -(theirs * np.log(np.maximum(theirs, 1e-30))).sum(0)
        np.testing.assert_allclose(
            labels_in(tmp_path / "ours" / "case_entropy.nii.gz"), entropy, atol=1e-5
        )


@pytest.mark.integration
@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("kind", ["3d", "regions", "torch"])
def test_disagreement_is_the_share_of_folds_whose_own_label_map_differs(
    nnunet, kind, entropy, tmp_path
):
    model = make_model(tmp_path / "model", **{**CASES[kind], "folds": 3, "mirror": None})
    case = image(tmp_path / "case_0000.nii.gz")
    outputs = Outputs(entropy=entropy, disagreement=True)
    job = Job((case,), tmp_path / "ours" / "case", outputs=outputs)
    found = labels_in(predict_bounded(load(model, "cpu"), model, job))
    final = nnunet_predicts(model, [case], tmp_path / "nnunet" / "case")
    np.testing.assert_array_equal(found, final)
    apart = [
        nnunet_predicts(find_model(model.folder, [fold]), [case], tmp_path / fold / "case") != final
        for fold in model.folds
    ]
    wanted = np.mean(apart, 0)
    assert wanted.max() > 0
    shown = labels_in(tmp_path / "ours" / "case_disagreement.nii.gz")
    np.testing.assert_allclose(shown, wanted, atol=1e-6)


@pytest.mark.integration
def test_an_image_in_another_orientation_is_predicted_in_the_models(nnunet, tmp_path):
    model = make_model(tmp_path / "model")
    model = replace(model, dataset=model.dataset | {"nnunet_plugins": {"orientation": "LPS"}})
    case = image(tmp_path / "case_0000.nii.gz")
    turned = tmp_path / "turned" / "case_0000.nii.gz"
    turned.parent.mkdir()
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(case)), "PIR"), str(turned))
    predictor = load(model, "cpu")
    found = []
    for one in (case, turned):
        job = Job((one,), one.parent / "out" / "case", outputs=Outputs(probabilities=True))
        predict_bounded(predictor, model, job)
        labels = sitk.ReadImage(str(one.parent / "out" / "case.nii.gz"))
        assert labels.GetDirection() == sitk.ReadImage(str(one)).GetDirection()
        found.append(sitk.GetArrayFromImage(sitk.DICOMOrient(labels, "LPS")))
        values = np.load(one.parent / "out" / "case.npz")["probabilities"]
        np.testing.assert_array_equal(values.argmax(0), sitk.GetArrayFromImage(labels))
    np.testing.assert_array_equal(*found)


def test_what_nnunet_cannot_preprocess_is_explained(nnunet, tmp_path):
    """The model reads voxels of 1.1 mm along z."""
    model = make_model(tmp_path / "model")
    predictor = load(model, "cpu")
    thin = image(tmp_path / "thin_0000.nii.gz", spacing=(0.05, 1.0, 1.3))
    slab = image(tmp_path / "slab_0000.nii.gz")  # is cropped to one slice of 0.5 mm
    array = np.zeros((9, 10, 11), np.float32)
    array[4] = 1
    made = sitk.GetImageFromArray(array)
    made.SetSpacing((1.0, 1.0, 0.5))
    sitk.WriteImage(made, str(slab))
    sheared = tmp_path / "sheared_0000.nii.gz"
    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    nib.save(nib.Nifti1Image(array, matrix), sheared)
    for path, said in (
        (thin, "has 9 x 9 x 10 voxels of 0.05 x 1 x 1.3 mm, .* voxels of 1.1 x 0.9 x 1 mm"),
        (slab, "has 1 x 10 x 11 voxels of 0.5 x 1 x 1 mm"),
        (sheared, "its axes are sheared"),
    ):
        with pytest.raises(UserError, match=said):
            predict_bounded(predictor, model, Job((path,), tmp_path / "out" / "case"))


def test_nothing_is_left_of_a_case_that_fails(nnunet, tmp_path):
    model = make_model(tmp_path / "model")
    predictor = load(model, "cpu")
    job = Job((image(tmp_path / "case_0000.nii.gz"),), tmp_path / "out" / "case")
    for value, said in ((1e5, "infinite in float16"), (torch.nan, "a logit is NaN")):
        found = torch.full((1, 3, 8, 8, 8), value)
        predictor._internal_maybe_mirror_and_predict = lambda _, found=found: found
        with pytest.raises(RuntimeError, match=said):
            predict_bounded(predictor, model, job)
        assert not list((tmp_path / "out").iterdir())
