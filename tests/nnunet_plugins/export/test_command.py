"""The export command, and from a DICOM folder to DICOM SEG in one step."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.io.geometry import oriented, place
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.phantoms.dicom import MR, write_series
from nnunet_plugins.cli import main
from tests.nnunet_plugins import tiny

from .exporting import patient


def test_files_and_notes_are_listed(tmp_path, capsys):
    series, prediction, _ = patient(tmp_path)
    out = tmp_path / "out"
    assert main(["export", str(prediction.parent), "--dicom", str(series), "-o", str(out)]) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["case1.seg.nrrd", "case1_left_ilium.stl", "case1_right_ilium.stl", "case1_sacrum.stl",
                     "case1_seg.dcm"]  # fmt: skip
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert "note   without a voxel: coccyx" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected either PRED or --from-dicom"),
        (["PRED", "--from-dicom", "X"], "expected either PRED or --from-dicom"),
        (["--from-dicom", "X"], "--from-dicom needs --model DIR"),
        (["--from-dicom", "X", "--model", "TMP"], "not a trained model (plans.json and dataset.json missing)"),
        (["PRED", "--smooth", "-1"], "--smooth -1: 0 to 100"),
        (["PRED", "--to", "dicom-seg"], "pass --dicom SERIES_DIR"),
        (["PRED", "--dicom", "no/folder"], "no/folder: no such folder"),
        (["PRED", "-o", "PRED"], "cannot be written"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(tmp_path, capsys, arguments, said):
    _, prediction, _ = patient(tmp_path)
    known = {"PRED": str(prediction), "TMP": str(tmp_path)}
    assert main(["export", *(known.get(a, a) for a in arguments)]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert error.count("\n") == 0


@pytest.mark.parametrize("package", ["slicerio", "highdicom", "trimesh"])
def test_a_missing_package_is_named_with_its_extra(tmp_path, capsys, monkeypatch, package):
    series, prediction, _ = patient(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    kind = {"slicerio": "seg.nrrd", "highdicom": "dicom-seg", "trimesh": "stl"}[package]
    out = tmp_path / "out"
    command = ["export", str(prediction), "--dicom", str(series), "-o", str(out), "--to", kind]
    assert main(command) == 2
    assert f"needs the package {package}" in (error := capsys.readouterr().err)
    assert "pip install 'nnunet-plugins[export]'" in error
    assert not out.exists()


@pytest.fixture(scope="module")
def model(nnunet: Path) -> tuple[tiny.Tiny, Path]:
    data = tiny.make("sides", 745, training={"epochs": 1, "iterations_per_epoch": 2})
    return data, tiny.train(data, "3d_fullres")


def from_dicom(series: Path, model: Path) -> list[str]:
    return ["export", "--from-dicom", str(series), "--model", str(model), "-device", "cpu"]


@pytest.mark.integration
def test_from_dicom_to_dicom(model, tmp_path, capsys):
    data, folder = model
    values = sitk.GetArrayFromImage(
        sitk.ReadImage(str(data.raw / "imagesTr" / "case0_0000.nii.gz"))
    )
    # The case as a sagittal series, with other axes than the model's.
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], float)
    grey = np.clip((values + 5) * 100, 0, 65535).astype(np.uint16)
    scanned = oriented(place(grey, np.eye(4)), "PIR")
    matrix[:3, 3] = scanned.GetOrigin()
    series = tmp_path / "Quill_Ada"
    tags = {"PatientName": "Quill^Ada"}
    write_series(series, sitk.GetArrayFromImage(scanned), matrix, key="x", scanner=MR, tags=tags)
    out = tmp_path / "out"
    command = [*from_dicom(series, folder), "-o", str(out)]
    assert main([*command, "--to", "seg.nrrd", "dicom-seg", "stl"]) == 0
    said = capsys.readouterr()
    assert "checkpoint_final.pth of fold 0 is a Python pickle, which can run code" in said.err
    names = sorted(path.name for path in out.iterdir())
    case = names[0].split(".")[0].removesuffix("_seg")
    assert case.startswith("case_")
    assert f"{case}.seg.nrrd" in names
    assert f"{case}_seg.dcm" in names
    assert "Quill" not in said.out.replace(str(tmp_path), "") + " ".join(names)
    # The label map of nnU-Net's own predictor for the same values.
    image = tmp_path / "plain" / "case_0000.nii.gz"
    image.parent.mkdir()
    sitk.WriteImage(place(grey.astype(np.float32), np.eye(4)), str(image))
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from torch import device

    predictor = nnUNetPredictor(device=device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), (0,))
    predictor.predict_from_files_sequential([[str(image)]], [str(tmp_path / "plain" / "case")])
    meant = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "plain" / "case.nii.gz")))
    found = read_mask(out / f"{case}.seg.nrrd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(oriented(found.image)), meant)
    assert dict(found.segments) == {"hip_left": 1, "hip_right": 2}
    told = pydicom.dcmread(out / f"{case}_seg.dcm")
    assert told.PatientName == "Quill^Ada"
    assert told.SegmentSequence[0].SegmentAlgorithmName == "nnU-Net MAGUNetTrainer"
    assert int(told.pixel_array.sum()) == (meant > 0).sum() > 0
    assert main([*command, "--name", "p7", "-f", "3"]) == 2
    assert "fold 3 has no checkpoint_final.pth; trained folds: 0" in capsys.readouterr().err


def test_a_tilted_series_is_an_error_before_anything_is_written(model, tmp_path, capsys):
    _, folder = model
    positions = np.array([(0, 0.3 * i, 2.0 * i) for i in range(8)])
    write_series(
        tmp_path / "s", np.zeros((8, 9, 10)), np.diag([1, 1, 2.0, 1]), key="t", positions=positions
    )
    out = tmp_path / "out"
    assert main([*from_dicom(tmp_path / "s", folder), "-o", str(out)]) == 2
    assert "gantry is tilted" in capsys.readouterr().err
    assert not out.exists()


def test_a_damaged_model_is_one_line(model, tmp_path, capsys):
    _, folder = model
    other = tmp_path / "model"
    (other / "fold_0").mkdir(parents=True)
    for name in ("plans.json", "dataset.json"):
        (other / name).write_bytes((folder / name).read_bytes())
    (other / "fold_0" / "checkpoint_final.pth").write_bytes(b"no pickle")
    series, _, _ = patient(tmp_path)
    assert main(from_dicom(series, other)) == 2
    assert "nnU-Net cannot load this model" in capsys.readouterr().err
    content = json.loads((other / "dataset.json").read_text())
    del content["file_ending"]
    (other / "dataset.json").write_text(json.dumps(content))
    assert main(from_dicom(series, other)) == 2
    assert "dataset.json: file_ending missing; copy the model again" in capsys.readouterr().err
