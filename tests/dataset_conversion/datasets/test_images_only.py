"""New images for a trained model: the arrays of its training conversion, in one flat folder, complete or absent."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets import hospital_ct, sij_mri
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, oriented
from tests.dataset_conversion.datasets.comparing import assert_absent
from tests.dataset_conversion.making import AFFINE, ct, image, labels, nifti, patient, series, tree

pytestmark = pytest.mark.usefixtures("no_picture")


def new_images(source: Path, target: Path, module: Any = hospital_ct, **how: Any) -> Any:
    options = module.Options(images_only=True, **how)
    return module.convert(source, target, None, options=options)


def model(folder: Path, **entry: Any) -> Path:
    """A model folder with the text file that is read."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "sacrum": 1},
        "file_ending": ".nii.gz",
    }
    dataset |= entry.pop("dataset", {})
    if entry:
        dataset["nnunet_plugins"] = entry
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def ours(**entry: Any) -> dict[str, Any]:
    return {"orientation": "LPS", "window": None, "steps": [], **entry}


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    found = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(found), affine(found)


def versions(folder: Path) -> Path:
    """One patient stored in four ways, without a mask."""
    original = image(ct(0))
    for code in ("LPS", "RAS", "PIR"):
        turned = oriented(original, code)
        nifti(folder / code / "ct.nii.gz", sitk.GetArrayFromImage(turned), affine(turned))
    series(folder / "dicom" / "ct", 0)
    return folder


def trained(source: Path, tmp_path: Path, **how: Any) -> Path:
    options = hospital_ct.Options(labels=source.parent / "labels.json", keep_names=True, **how)
    return hospital_ct.convert(source, tmp_path / "raw", 660, options=options).dataset


@pytest.mark.parametrize("window", [None, (-200.0, 1200.0)])
def test_any_storage_of_a_patient_gives_the_training_image(source, tmp_path, window):
    dataset = trained(source, tmp_path, window=window)
    report = new_images(
        versions(tmp_path / "new"), tmp_path / "images", keep_names=True, model=dataset
    )
    names = ["LPS_0000.nii.gz", "PIR_0000.nii.gz", "RAS_0000.nii.gz", "dicom_0000.nii.gz"]
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == names
    assert (report.written, report.problems) == (4, ())
    meant, where = read(dataset / "imagesTr" / "p0_0000.nii.gz")
    for name in names:
        array, matrix = read(tmp_path / "images" / name)
        assert array.dtype == meant.dtype
        np.testing.assert_array_equal(array, meant)
        np.testing.assert_allclose(matrix, where, atol=1e-4)
    same = (tmp_path / "images" / "LPS_0000.nii.gz").read_bytes()
    assert same == (dataset / "imagesTr" / "p0_0000.nii.gz").read_bytes()


def test_a_dataset_json_alone_is_enough(source, tmp_path):
    """nnU-Net copies dataset.json, not conversion.json, into the model."""
    dataset = trained(source, tmp_path, window=(-200.0, 1200.0))
    (tmp_path / "model").mkdir()
    shutil.copy(dataset / "dataset.json", tmp_path / "model")
    report = new_images(source, tmp_path / "images", keep_names=True, model=tmp_path / "model")
    assert report.steps == ("values -200 to 1200 mapped to 0 to 1",)
    assert tree(tmp_path / "images") == tree(dataset / "imagesTr")


def test_the_models_orientation_is_written(source, tmp_path):
    folder = model(tmp_path / "model", **ours(orientation="PIR"))
    assert (
        new_images(source, tmp_path / "images", keep_names=True, model=folder).orientation == "PIR"
    )
    array, matrix = read(tmp_path / "images" / "p0_0000.nii.gz")
    meant = oriented(image(ct(0)), "PIR")
    np.testing.assert_array_equal(array, sitk.GetArrayFromImage(meant))
    np.testing.assert_allclose(matrix, affine(meant), atol=1e-4)


def test_the_spacing_and_the_channel_of_a_model(source, tmp_path):
    step = {"step": "Resample", "spacing": [1.6, 1.8, 5.0]}
    entry = ours(steps=[step])
    folder = model(tmp_path / "model", dataset={"channel_names": {"0": "T1"}}, **entry)
    report = new_images(source, tmp_path / "images", sij_mri, model=folder)
    assert report.steps == ("Resample, spacing 1.6 x 1.8 x 5",)
    for path in (tmp_path / "images").iterdir():
        assert sitk.ReadImage(str(path)).GetSpacing() == pytest.approx((1.6, 1.8, 5.0))


def test_masks_are_passed_over_however_many_there_are(source, tmp_path):
    nifti(source / "p0" / "seg_left.nii.gz", labels(values=(1,)))
    nifti(source / "p0" / "drawn.nii.gz", labels(values=(1,)))  # no name of a mask
    (source / "p1" / "mask.nii.gz").write_bytes(b"damaged")
    report = new_images(source, tmp_path / "images", keep_names=True)
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == [
        "p0_0000.nii.gz",
        "p1_0000.nii.gz",
    ]
    assert "p0, p1: masks in its folder are passed over" in report.notes
    np.testing.assert_array_equal(read(tmp_path / "images" / "p0_0000.nii.gz")[0], ct(0))


def test_patients_without_masks_need_no_labels_file(source, tmp_path):
    for path in source.glob("*/mask.nii.gz"):
        path.unlink()
    report = new_images(source, tmp_path / "images", keep_names=True)
    assert report.cases == {"p0", "p1"}
    assert "2 images written" in str(report)
    assert not any("passed over" in note or "imagesTs" in note for note in report.notes)


def test_a_mask_in_place_of_the_image_stops(source, tmp_path):
    shutil.rmtree(source / "p1")
    nifti(source / "p1" / "scan.nii.gz", labels())
    with pytest.raises(DatasetError, match="the image holds only label values"):
        new_images(source, tmp_path / "images")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.json", "src"]


def test_the_key_and_the_names(tmp_path):
    series(tmp_path / "src" / "Quill_Ada" / "ct", tags={"PatientName": "Quill^Ada"})
    key = tmp_path / "key.csv"
    (case,) = new_images(tmp_path / "src", tmp_path / "images", key=key).cases
    rows = list(csv.reader(key.open()))
    assert rows == [["case", "source"], [case, str(tmp_path / "src" / "Quill_Ada")]]
    assert_absent((b"Quill", b"Ada"), tmp_path / "images")
    with pytest.raises(DatasetError, match=r"key\.csv: exists, and its cases would be lost"):
        new_images(tmp_path / "src", tmp_path / "other", key=key)
    with pytest.raises(DatasetError, match="the key is inside"):
        new_images(tmp_path / "src", tmp_path / "other", key=tmp_path / "other" / "key.csv")


def test_a_folder_with_files_is_left_alone(source, tmp_path):
    old = tmp_path / "images" / "old_0000.nii.gz"
    old.parent.mkdir()
    old.write_bytes(b"old")
    with pytest.raises(DatasetError, match=r"images: is not empty.*pass a new folder with -o"):
        new_images(source, tmp_path / "images")
    assert tree(old.parent) == {old.name: b"old"}
    old.unlink()
    assert new_images(source, old.parent).written == 2


def test_a_dry_run_writes_nothing_and_reports_the_same(source, tmp_path):
    nifti(source / "p0" / "ct.nii.gz", ct(0) + 1000)
    before = tree(tmp_path)
    rehearsed = new_images(source, tmp_path / "images", dry_run=True, key=tmp_path / "key.csv")
    assert tree(tmp_path) == before
    real = new_images(source, tmp_path / "images")
    assert (rehearsed.cases, rehearsed.notes) == (real.cases, real.notes)
    assert any("no value below 0 HU" in note for note in real.notes)
    assert "dry run: nothing was written" in str(rehearsed)
    assert "2 images would be written" in str(rehearsed)


def test_a_bad_patient_leaves_no_folder_unless_kept_going(source, tmp_path):
    nifti(source / "p1" / "ct.nii.gz", ct(1), np.diag([500.0, 1, 1, 1]) @ AFFINE)
    with pytest.raises(DatasetError, match=r"p1: spacing 400 x"):
        new_images(source, tmp_path / "images", keep_names=True)
    assert not list(tmp_path.glob("*images*"))
    report = new_images(source, tmp_path / "images", keep_names=True, keep_going=True)
    assert (report.cases, len(report.problems)) == ({"p0"}, 1)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["p0_0000.nii.gz"]


def test_an_interrupted_run_leaves_no_folder(source, tmp_path):
    calls = []

    def stop(items: Any) -> Any:
        calls.append(len(items))
        for number, item in enumerate(items):
            if len(calls) == 2 and number == 1:
                raise KeyboardInterrupt
            yield item

    options = hospital_ct.Options(images_only=True)
    with pytest.raises(KeyboardInterrupt):
        hospital_ct.convert(source, tmp_path / "images", None, options=options, progress=stop)
    assert calls == [2, 2]
    assert not (tmp_path / "images").exists()
    left = tmp_path / ".images.converting"
    left.mkdir()  # as after SIGKILL
    (left / "foreign_0000.nii.gz").write_bytes(b"")
    assert new_images(source, tmp_path / "images", keep_names=True).written == 2
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == [
        "p0_0000.nii.gz",
        "p1_0000.nii.gz",
    ]
    assert not left.exists()


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
def test_the_models_file_ending(source, tmp_path, ending):
    folder = model(tmp_path / "model", dataset={"file_ending": ending}, **ours())
    new_images(source, tmp_path / "images", keep_names=True, model=folder)
    array, matrix = read(tmp_path / "images" / f"p0_0000{ending}")
    np.testing.assert_array_equal(array, ct(0))
    np.testing.assert_allclose(matrix, AFFINE, atol=1e-4)


@pytest.mark.parametrize(
    ("entry", "how", "message"),
    [
        (ours(window=[-200, 1200], dataset={"channel_names": {"0": "noNorm"}}), {"window": (0, 500)},
         r"--window 0 500: the training images of .*model have -200 1200; leave --window out"),
        (ours(), {"window": (0, 500)}, "have none; leave --window out"),
        ({"orientation": "LPS", "dataset": {"channel_names": {"0": "noNorm"}}}, {},
         r"does not record the window of its training images.*pass --window LOW HIGH"),
        (ours(steps=[{"step": "CentralSlice", "thickness": 4.0}]), {}, "went through CentralSlice"),
        (ours(dataset={"channel_names": {"0": "T1"}}), {}, "the model's channel is 'T1', that of the images 'CT'"),
        (ours(dataset={"channel_names": {"0": "T1", "1": "T2"}}), {}, r"takes 2 images per case \(T1, T2\)"),
        (ours(dataset={"file_ending": ".png"}), {}, r"the model reads \.png files"),
        (ours(orientation="LPX"), {}, r"dataset\.json: orientation 'LPX'"),
        (ours(dataset={"channel_names": 3}), {}, r"dataset\.json: damaged"),
    ],
)  # fmt: skip
def test_options_and_models_that_do_not_fit(source, tmp_path, entry, how, message):
    folder = model(tmp_path / "model", **entry)
    with pytest.raises(DatasetError, match=message):
        new_images(source, tmp_path / "images", model=folder, **how)
    assert not list(tmp_path.glob("*images*"))


def test_a_model_of_an_older_version_with_its_window_given(source, tmp_path):
    dataset = trained(source, tmp_path, window=(-200.0, 1200.0))
    content = json.loads((dataset / "dataset.json").read_text())
    for name in ("window", "steps"):
        del content["nnunet_plugins"][name]
    folder = model(tmp_path / "model", dataset=content)
    report = new_images(
        source, tmp_path / "images", keep_names=True, model=folder, window=(-200, 1200)
    )
    assert tree(tmp_path / "images") == tree(dataset / "imagesTr")
    assert any(
        "does not record whether the training images were windowed" in note for note in report.notes
    )
    (dataset / "dataset.json").write_text(json.dumps(content))  # conversion.json still records them
    new_images(source, tmp_path / "more", keep_names=True, model=dataset)
    assert tree(tmp_path / "more") == tree(dataset / "imagesTr")


@pytest.mark.parametrize(
    ("codes", "written", "note"),
    [
        (["RAS", "RAS"], "RAS", "written as RAS, that of the predictions in its validation folders"),
        (["RAS", "PIR"], "LPS", "its validation folders hold PIR, RAS: written as LPS"),
        ([], "LPS", "no validation folder shows it: written as LPS"),
    ],
)  # fmt: skip
def test_a_model_without_a_recorded_orientation(source, tmp_path, codes, written, note):
    folder = model(tmp_path / "model")
    for number, code in enumerate(codes):
        turned = oriented(image(labels()), code)
        path = folder / "fold_0" / "validation" / f"c{number}.nii.gz"
        nifti(path, sitk.GetArrayFromImage(turned), affine(turned))
    report = new_images(source, tmp_path / "images", model=folder)
    assert report.orientation == written
    assert any(note in one for one in report.notes)


def test_what_needs_another_option_stops(source, tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset id; pass -d ID"):
        hospital_ct.convert(source, tmp_path / "raw", None, options=hospital_ct.Options())
    options = hospital_ct.Options(model=tmp_path)
    with pytest.raises(DatasetError, match="--model: used for new images only"):
        hospital_ct.convert(source, tmp_path / "raw", 1, options=options)
    with pytest.raises(DatasetError, match=r"no dataset\.json; pass the folder of a trained model"):
        new_images(source, tmp_path / "images", model=tmp_path / "nothing")
    with pytest.raises(DatasetError, match="nnU-Net takes a folder of this name for a dataset"):
        new_images(source, tmp_path / "Dataset007_New")
    with pytest.raises(DatasetError, match="the output is inside the source"):
        new_images(source, source / "images")


def test_two_patients_with_one_image_are_named(source, tmp_path):
    patient(source / "again", 1)
    with pytest.raises(DatasetError, match=r"again and .*p1 hold the same image"):
        new_images(source, tmp_path / "images")
