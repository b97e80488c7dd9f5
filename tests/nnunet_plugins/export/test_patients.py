"""From new patients to the folder of nnUNetv2_predict and back: label maps on the patients' own grids."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets import hospital_ct, sij_mri
from dataset_conversion.io.geometry import affine, oriented, place
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.volumes import header_of
from dataset_conversion.phantoms import sij_ct
from dataset_conversion.phantoms import sij_mri as mri
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.export import from_dicom
from nnunet_plugins.export.from_dicom import export_dicom
from nnunet_plugins.export.own_grid import on_own_grid
from nnunet_plugins.export.patients import read_key
from nnunet_plugins.export.run import Request
from nnunet_plugins.prediction import Model
from nnunet_plugins.prediction.bounded import Job
from tests.dataset_conversion.making import SMALL
from tests.nnunet_plugins.export.exporting import LABELS, world_points

CODES = ("RAS", "PIR")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT patient and its training dataset."""
    folder = tmp_path_factory.mktemp("phantom")
    sij_ct.write_patients(folder / "src", 1, **SMALL)
    return folder


@pytest.fixture
def patients(phantom: Path, tmp_path: Path) -> Path:
    """The patient as a DICOM series and as NIfTI files with other axes, each with its own mask elsewhere."""
    (source,) = (path for path in (phantom / "src").iterdir() if path.is_dir())
    shutil.copytree(source / "ct", tmp_path / "new" / "dicom" / "ct")
    mask = sitk.ReadImage(str(source / "mask.nii.gz"))
    (tmp_path / "truth").mkdir()
    sitk.WriteImage(mask, str(tmp_path / "truth" / "dicom.nii.gz"))
    image = sitk.Cast(sitk.ReadImage(_ordered(source / "ct")), sitk.sitkInt16)
    for code in CODES:
        (tmp_path / "new" / code).mkdir()
        sitk.WriteImage(oriented(image, code), str(tmp_path / "new" / code / "ct.nii.gz"))
        sitk.WriteImage(oriented(mask, code), str(tmp_path / "truth" / f"{code}.nii.gz"))
    return tmp_path


def _ordered(folder: Path) -> list[str]:
    return list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def predict(folder: Path, truth: Path, key: Path, orientation: str = "LPS") -> Path:
    """A perfect prediction of every image: the patient's mask on the image's grid."""
    predictions = folder.with_name("predictions")
    predictions.mkdir()
    (predictions / "dataset.json").write_text(json.dumps({"labels": LABELS}))
    for case, source in list(csv.reader(key.open()))[1:]:
        image = sitk.ReadImage(str(folder / f"{case}_0000.nii.gz"))
        mask = oriented(sitk.ReadImage(str(truth / f"{Path(source).name}.nii.gz")), orientation)
        assert mask.GetSize() == image.GetSize()
        np.testing.assert_allclose(affine(mask), affine(image), atol=1e-3)
        sitk.WriteImage(mask, str(predictions / f"{case}.nii.gz"))
    return predictions


def convert(folder: Path, **how: Any) -> Path:
    options = hospital_ct.Options(images_only=True, key=folder / "key.csv", **how)
    hospital_ct.convert(folder / "new", folder / "images", None, options=options)
    return folder / "images"


def test_predictions_return_to_the_patients_own_grids(patients, capsys):
    key = patients / "key.csv"
    predictions = predict(convert(patients), patients / "truth", key)
    before = {path: path.read_bytes() for path in patients.rglob("*") if path.is_file()}
    out = patients / "out"
    assert main(["export", str(predictions), "--key", str(key), "-o", str(out)]) == 0
    rows = {Path(source).name: case for case, source in csv.reader(key.open())}
    names = {f"{rows[who]}.nii.gz" for who in ("dicom", *CODES)} | {f"{rows['dicom']}_seg.dcm"}
    assert {path.name for path in out.iterdir()} == names
    for who in ("dicom", *CODES):
        found = sitk.ReadImage(str(out / f"{rows[who]}.nii.gz"))
        own = sitk.ReadImage(str(patients / "truth" / f"{who}.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(own))
        np.testing.assert_allclose(affine(found), affine(own), atol=1e-3)
    seg = pydicom.dcmread(out / f"{rows['dicom']}_seg.dcm")
    own = sitk.GetArrayFromImage(sitk.ReadImage(str(patients / "truth" / "dicom.nii.gz")))
    assert int(seg.pixel_array.sum()) == int((own > 0).sum())
    said = capsys.readouterr().out
    assert "no DICOM SEG: the patient's image is not a DICOM series" in said
    assert "PHANTOM" not in said
    assert "Quill" not in said
    assert before == {path: path.read_bytes() for path in before}


def test_the_orientation_of_the_model_makes_no_difference(patients):
    model = patients / "model"
    model.mkdir()
    entry = {"orientation": "PIR", "window": None, "steps": []}
    dataset = {
        "channel_names": {"0": "CT"},
        "file_ending": ".nii.gz",
        "labels": LABELS,
        "nnunet_plugins": entry,
    }
    (model / "dataset.json").write_text(json.dumps(dataset))
    key = patients / "key.csv"
    predictions = predict(convert(patients, model=model), patients / "truth", key, "PIR")
    out = patients / "out"
    assert (
        main(
            [
                "export",
                str(predictions),
                "--key",
                str(key),
                "-o",
                str(out),
                "--to",
                "nii.gz",
                "seg.nrrd",
            ]
        )
        == 0
    )
    for case, source in list(csv.reader(key.open()))[1:]:
        own = sitk.ReadImage(str(patients / "truth" / f"{Path(source).name}.nii.gz"))
        for found in (
            sitk.ReadImage(str(out / f"{case}.nii.gz")),
            read_mask(out / f"{case}.seg.nrrd").image,
        ):
            np.testing.assert_array_equal(
                sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(own)
            )
            np.testing.assert_allclose(affine(found), affine(own), atol=1e-3)


def test_resampled_images_return_to_the_voxels_of_the_series(tmp_path):
    (truth,) = mri.write_patients(tmp_path / "new", 1)
    assert truth.mask
    mask = sitk.ReadImage(str(truth.mask))
    truth.mask.unlink()
    key = tmp_path / "key.csv"
    options = sij_mri.Options(images_only=True, key=key, spacing=(2.0, 2.0, 7.0))
    sij_mri.convert(tmp_path / "new", tmp_path / "images", None, options=options)
    (image,) = (tmp_path / "images").iterdir()
    grid = sitk.ReadImage(str(image))
    predicted = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor)
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    (predictions / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "fat metaplasia": 1}})
    )
    case = image.name.replace("_0000.nii.gz", "")
    sitk.WriteImage(predicted, str(predictions / f"{case}.nii.gz"))
    assert main(["export", str(predictions), "--key", str(key), "-o", str(tmp_path / "out")]) == 0
    found = sitk.ReadImage(str(tmp_path / "out" / f"{case}.nii.gz"))
    assert found.GetSize() == mask.GetSize()
    np.testing.assert_allclose(affine(found), affine(mask), atol=1e-3)
    mine, theirs = (sitk.GetArrayFromImage(one) > 0 for one in (found, mask))
    assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) > 0.75
    assert (tmp_path / "out" / f"{case}_seg.dcm").is_file()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("moved", "no such file or folder; run export where convert was run"),
        ("shifted", "the prediction is not on the grid of its image"),
        ("cut", "not on the grid of its image: size 64x64x19 against 64x64x20"),
        ("unlisted", "1 of 3 predictions are not in"),
        ("header", "expected the columns case and source"),
        ("twice", "is listed twice"),
        ("here", "is the folder of the predictions"),
        ("both", "--key finds the series"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_before_anything_is_written(patients, capsys, edit, words):
    key, out, more = patients / "key.csv", patients / "out", []
    predictions = predict(convert(patients), patients / "truth", key)
    lines = key.read_text().splitlines()
    ras = next(line.split(",")[0] for line in lines if line.endswith("RAS"))
    path = predictions / f"{ras}.nii.gz"
    image = sitk.ReadImage(str(path))
    if edit == "moved":
        (patients / "new" / "RAS").rename(patients / "elsewhere")
    elif edit == "shifted":
        image.SetOrigin([at + 3 for at in image.GetOrigin()])
        sitk.WriteImage(image, str(path))
    elif edit == "cut":
        image.SetSpacing((5.92, 5.92, 4.0))
        sitk.WriteImage(image[:, :, 1:], str(path))
    elif edit == "unlisted":
        key.write_text("\n".join(line for line in lines if not line.endswith("RAS")))
    elif edit == "header":
        key.write_text("\n".join(lines[1:]))
    elif edit == "twice":
        key.write_text("\n".join([*lines, lines[1]]))
    elif edit == "here":
        out = predictions
    else:
        more = ["--dicom", str(patients)]
    before = sorted(predictions.iterdir())
    assert main(["export", str(predictions), "--key", str(key), "-o", str(out), *more]) == 2
    assert words in capsys.readouterr().err
    assert sorted(predictions.iterdir()) == before
    assert out == predictions or not out.exists()


def test_a_key_saved_by_a_spreadsheet(patients):
    key = patients / "key.csv"
    predictions = predict(convert(patients), patients / "truth", key)
    key.write_text("﻿" + key.read_text().replace(",", ";"), encoding="utf-8")
    command = ["export", str(predictions), "--key", str(key), "-o", str(patients / "out")]
    assert main([*command, "--to", "nii.gz"]) == 0
    assert len(list((patients / "out").iterdir())) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [("c1,", "line 3 has no source"), ("c1", "line 3 has no source"),
     ("c1,/scans/Miller, Anna", "line 3 has more cells than columns")],
)  # fmt: skip
def test_a_key_with_a_damaged_line(tmp_path, line, message):
    key = tmp_path / "key.csv"
    key.write_text(f"case,source\nc0,/scans/a\n{line}\n")
    with pytest.raises(UserError, match=message):
        read_key(key)


def test_masks_in_the_patients_folder_do_not_decide(patients):
    """A mask that covers the same volume with other axes is not the patient's image."""
    shutil.copy(patients / "truth" / "PIR.nii.gz", patients / "new" / "RAS" / "mask.nii.gz")
    (patients / "new" / "PIR" / "mask.nii.gz").write_bytes(b"damaged")
    key = patients / "key.csv"
    predictions = predict(convert(patients), patients / "truth", key)
    out = patients / "out"
    assert (
        main(["export", str(predictions), "--key", str(key), "-o", str(out), "--to", "nii.gz"]) == 0
    )
    for case, source in list(csv.reader(key.open()))[1:]:
        own = patients / "truth" / f"{Path(source).name}.nii.gz"
        found = sitk.ReadImage(str(out / f"{case}.nii.gz"))
        np.testing.assert_allclose(affine(found), affine(sitk.ReadImage(str(own))), atol=1e-3)


@pytest.mark.parametrize("code", ["LPS", "PIR"])
def test_a_series_is_predicted_as_the_model_was_trained(patients, code, monkeypatch):
    """In its orientation and window; the result is on the series' grid."""
    entry = {"orientation": code, "window": [-200, 1200], "steps": []}
    dataset = {
        "channel_names": {"0": "noNorm"}, "file_ending": ".nii.gz",
        "labels": {"background": 0, "first": 1, "second": 2}, "nnunet_plugins": entry,
    }  # fmt: skip
    folder = patients / "model"
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps(dataset))
    seen = []

    def see(_predictor: Any, _model: Model, job: Job) -> Path:
        image = sitk.ReadImage(str(job.images[0]))
        seen.append(image)
        target = job.target.with_name(f"{job.target.name}.nii.gz")
        sitk.WriteImage(job.back(sitk.Cast(image > 0.5, sitk.sitkUInt8), False), str(target))
        return target

    monkeypatch.setattr(from_dicom, "predict_bounded", see)
    model = Model(folder, ("0",), "checkpoint_final.pth", dataset)
    request = Request(("nii.gz", "seg.nrrd"), patients / "out")
    series = patients / "new" / "dicom"
    written = export_dicom(series, model, None, request, name="case")
    (image,) = seen
    trained = convert(patients, model=folder, keep_names=True) / "dicom_0000.nii.gz"
    meant = sitk.ReadImage(str(trained))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(meant))
    np.testing.assert_allclose(affine(image), affine(meant), atol=1e-3)
    bone = sitk.ReadImage(_ordered(series / "ct"))
    own = sitk.GetArrayFromImage(bone) > 500
    found = sitk.ReadImage(str(written.files[0]))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found) > 0, own)
    np.testing.assert_allclose(affine(found), affine(bone), atol=1e-3)
    assert world_points(written.files[0])[1]
    assert not any("does not record" in note for note in written.notes)


def test_probabilities_of_another_voxel_size_are_interpolated_and_labels_are_not():
    coarse = place(np.full((3, 3, 3), [0.0, 1.0, 0.0], np.float32), np.diag([3.0, 1.0, 1.0, 1.0]))
    matrix = np.eye(4)
    matrix[0, 3] = -1.0
    fine = header_of(place(np.zeros((3, 3, 9), np.uint8), matrix))
    values, note = on_own_grid(coarse, fine, "case", smooth=True)
    row = sitk.GetArrayFromImage(values)[1, 1]
    np.testing.assert_allclose(row, [0, 0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0, 0], atol=1e-6)
    assert "by linear interpolation" in note
    labels, note = on_own_grid(sitk.Cast(coarse, sitk.sitkUInt8), fine, "case")
    assert sitk.GetArrayFromImage(labels)[1, 1].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert "by nearest neighbour" in note
