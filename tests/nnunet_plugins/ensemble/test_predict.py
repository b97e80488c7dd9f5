"""Prediction with an ensemble of two networks equals nnU-Net's own averaging, on the images' grid."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_plugins.cli import main
from nnunet_plugins.ensemble.predict import read_choice
from nnunet_plugins.errors import UserError
from nnunet_plugins.prediction import find_model, load, quiet
from nnunet_plugins.prediction.record import weights_of
from tests.nnunet_plugins import tiny


@pytest.mark.integration
def test_two_networks_with_different_plans(nnunet, tmp_path, capsys):
    torch.manual_seed(0)
    data = tiny.make("labels", 781, network="UNet")
    other = tiny.replanned(data, "OtherPlans", network="SEUNet")
    models = [
        tiny.untrained(data, "3d_fullres", "UNetTrainer"),
        tiny.untrained(other, "3d_fullres", "SEUNetTrainer"),
    ]
    out, images = tmp_path / "out", tmp_path / "images"
    images.mkdir()
    case = images / "new_0000.nii.gz"
    case.write_bytes((data.raw / "imagesTr" / "case0_0000.nii.gz").read_bytes())
    choice = {
        "format": "nnunet-plugins ensemble",
        "format_version": 1,
        "members": [{"model": os.path.relpath(m, tmp_path), "folds": ["0"]} for m in models],
        "regions_class_order": None,
        "keep_largest_component_of": [[1]],
    }
    (tmp_path / "ensemble.json").write_text(json.dumps(choice))
    command = ["ensemble", "--choice", str(tmp_path / "ensemble.json"), "-i", str(images), "-o", str(out),
               "-device", "cpu", "--save_disagreement"]  # fmt: skip
    assert main(command) == 0
    assert {path.name for path in out.iterdir()} == {
        "new.nii.gz", "new_disagreement.nii.gz", "nnunet_plugins_predict.json", "dataset.json",
    }  # fmt: skip
    found = sitk.ReadImage(str(out / "new.nii.gz"))
    assert found.GetSpacing() == sitk.ReadImage(str(case)).GetSpacing()

    total, own = 0, []
    for number, folder in enumerate(models):
        predictor = load(find_model(folder), "cpu")
        target = tmp_path / f"theirs_{number}"
        target.mkdir()
        with quiet():
            predictor.predict_from_files_sequential(
                [[str(case)]], [str(target / "new")], save_probabilities=True
            )
        total = total + np.load(target / "new.npz")["probabilities"]
        own.append(sitk.GetArrayFromImage(sitk.ReadImage(str(target / "new.nii.gz"))))
    expected = total.argmax(0)
    labels = sitk.GetArrayFromImage(found)
    apart = labels != expected
    assert set(expected[apart]) <= {1}  # smaller components of the label
    assert not labels[apart].any()
    assert len(np.unique(expected)) > 1
    share = np.mean([one != labels for one in own], 0)
    assert share.max() > 0
    shown = sitk.ReadImage(str(out / "new_disagreement.nii.gz"))
    np.testing.assert_allclose(sitk.GetArrayFromImage(shown), share, atol=1e-6)

    for more, message in (
        (["-o", str(images)], "the folder of the images"),
        (["-f", "1"], "-f 1: "),
    ):
        assert main([*command[:-1], *more]) == 2
        assert message in capsys.readouterr().err
    twin = images / "new_disagreement_0000.nii.gz"
    shutil.copyfile(case, twin)
    assert main(command) == 2
    assert "new_disagreement.nii.gz: the label map of one case and a map" in capsys.readouterr().err
    twin.unlink()
    command[2] = str(tmp_path)  # the folder of ensemble.json
    before = (out / "new.nii.gz").stat().st_mtime_ns
    (images / "broken_0000.nii.gz").write_bytes(case.read_bytes()[:100])
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "1 case complete from an earlier run" in said
    assert "broken  FAILED  " in said
    assert not (out / "broken.nii.gz").exists()
    assert (out / "new.nii.gz").stat().st_mtime_ns == before
    case.rename(images / "broken_0000.nii.gz")  # another image of the same name
    (images / "new_0000.nii.gz").write_bytes(b"no image")
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "new  FAILED  " in said
    assert "its label map in the folder is of an earlier run" in said
    assert (out / "broken.nii.gz").exists()
    (tmp_path / "ensemble.json").write_text(json.dumps(choice | {"keep_largest_component_of": []}))
    assert main(command) == 2
    assert "begun with other options (largest_component_of" in capsys.readouterr().err

    content = json.loads((models[1] / "dataset.json").read_text())
    swapped = content | {"labels": {"background": 0, "disc": 1, "bone": 2}}
    (models[1] / "dataset.json").write_text(json.dumps(swapped))
    assert main(command) == 2
    assert "an ensemble needs models of the same dataset" in capsys.readouterr().err


def test_a_model_that_was_trained_again_is_not_what_was_chosen(nnunet, tmp_path):
    model = tiny.untrained(tiny.make("labels", 782, network="UNet"), "3d_fullres", "UNetTrainer")
    entry = {"model": os.path.relpath(model, tmp_path), "folds": ["0"]}
    choice = {
        "format": "nnunet-plugins ensemble",
        "format_version": 1,
        "members": [{**entry, "weights": weights_of(find_model(model))}],
        "regions_class_order": None,
        "keep_largest_component_of": [],
    }
    file = tmp_path / "ensemble.json"
    file.write_text(json.dumps(choice))
    assert len(read_choice(file).models) == 1
    with (model / "fold_0" / "checkpoint_final.pth").open("ab") as stream:
        stream.write(b"1")
    with pytest.raises(UserError, match="was trained again after the choice; choose again"):
        read_choice(file)
