"""Images stored in any orientation are predicted in the model's, and the result is on their own grid."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.io.geometry import orientation, oriented, place
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.model_orientation import notes_on, read, returned, turned
from nnunet_plugins.prediction import Model, predict_on_grid
from nnunet_plugins.robustness import run
from nnunet_plugins.robustness.perturbations import Setting
from tests.nnunet_plugins.export.exporting import grid

SHAPE = (10, 14, 18)  # z, y, x
CODES = ("LPS", "RAS", "PIR", "ASL")


class Sided:
    """A predictor that depends on the order of the voxels, as networks do: bright voxels, 1 at low x, 2 at high x."""

    trainer_name = "Sided"
    dataset_json = {"file_ending": ".nii.gz"}

    def predict_from_files_sequential(
        self, cases: Sequence[Sequence[str]], targets: Sequence[str]
    ) -> None:
        for (path,), target in zip(cases, targets, strict=True):
            image = sitk.ReadImage(path)
            array = sitk.GetArrayFromImage(image)
            high = np.arange(array.shape[2]) >= array.shape[2] // 2
            found = sitk.GetImageFromArray(((array > 50) * (1 + high)).astype(np.uint8))
            found.CopyInformation(image)
            sitk.WriteImage(found, f"{target}.nii.gz")


def model_in(folder: Path, code: str | None = "LPS", **entry: Any) -> Model:
    folder.mkdir(exist_ok=True)
    dataset: dict[str, Any] = {
        "labels": {"background": 0, "right": 1, "left": 2},
        "file_ending": ".nii.gz",
        "channel_names": {"0": "CT"},
        **entry,
    }
    if code:
        dataset["nnunet_plugins"] = {"orientation": code}
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return Model(folder, ("0",), "checkpoint_final.pth", dataset)


def truth() -> sitk.Image:
    """In LPS, oblique: a block on each side."""
    array = np.zeros(SHAPE, np.uint8)
    array[2:7, 3:11, 2:6] = 1
    array[3:8, 3:9, 11:16] = 2
    return place(array, grid("LPS", 10))


def write(folder: Path, codes: Sequence[str], references: str = "") -> list[Path]:
    """The image of `truth` and its reference, once in each orientation."""
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    paths = []
    for number, code in enumerate(codes):
        labels = oriented(truth(), code)
        bright = sitk.Cast(sitk.Cast(labels > 0, sitk.sitkFloat32) * 100, sitk.sitkInt16)
        paths.append(folder / "images" / f"c{number}_0000.nii.gz")
        sitk.WriteImage(bright, str(paths[-1]))
        stored = oriented(labels, references or code)
        sitk.WriteImage(stored, str(folder / "labels" / f"c{number}.nii.gz"))
    return paths


def dice(found: run.Robustness) -> list[float | None]:
    return [point.scores.mean_foreground_dice for point in found.points]


@pytest.mark.parametrize("code", CODES)
def test_a_prediction_is_on_the_grid_of_its_image(tmp_path, code):
    (path,) = write(tmp_path, [code])
    before = path.read_bytes()
    found = predict_on_grid(Sided(), model_in(tmp_path / "model"), [path], tmp_path / "out" / "c0")
    assert [entry.name for entry in found.parent.iterdir()] == ["c0.nii.gz"]
    result, image = sitk.ReadImage(str(found)), sitk.ReadImage(str(path))
    assert result.GetSize() == image.GetSize()
    for what in ("Spacing", "Origin", "Direction"):
        np.testing.assert_allclose(
            getattr(result, f"Get{what}")(), getattr(image, f"Get{what}")(), atol=1e-4
        )
    meant = oriented(truth(), code)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(meant))
    assert path.read_bytes() == before


def test_a_model_trained_in_another_orientation(tmp_path):
    """Sided, trained on PSR: low x is in front, so it is right only where its images are turned so."""
    (path,) = write(tmp_path, ["LPS"])
    found = predict_on_grid(
        Sided(), model_in(tmp_path / "model", "PSR"), [path], tmp_path / "out" / "c0"
    )
    front = oriented(truth(), "PSR")
    array = sitk.GetArrayFromImage(front)
    high = np.arange(array.shape[2]) >= array.shape[2] // 2
    meant = sitk.GetImageFromArray(((array > 0) * (1 + high)).astype(np.uint8))
    meant.CopyInformation(front)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(found))),
        sitk.GetArrayFromImage(oriented(meant, "LPS")),
    )


def test_files_in_the_models_orientation_are_used_as_they_are(tmp_path):
    paths = write(tmp_path, ["LPS", "RAS"])
    assert turned(paths[:1], "LPS", tmp_path) == paths[:1]
    assert turned(paths, None, tmp_path) == paths
    copies = turned(paths, "LPS", tmp_path)  # channels are turned together
    assert [path.parent for path in copies] == [tmp_path, tmp_path]
    assert [orientation(sitk.ReadImage(str(path))) for path in copies] == ["LPS", "LPS"]


def test_files_of_one_name_in_several_folders_are_turned_apart(tmp_path):
    paths = [tmp_path / name / "image.nii.gz" for name in ("T1", "T2")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        sitk.WriteImage(oriented(truth(), "RAS") + number, str(path))
    copies = turned(paths, "LPS", tmp_path / "turned")
    lowest = [int(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).min()) for path in copies]
    assert lowest == [0, 1]


def test_results_return_to_images_at_45_degrees(tmp_path):
    """There, rounding in the header decides which axis runs closest to a direction."""
    array = np.arange(9 * 10 * 11, dtype=np.float32).reshape(9, 10, 11)
    for axis, degrees in itertools.product(range(3), (45, 135, 225, 315)):
        matrix = np.eye(4)
        cos, sin = (function(np.radians(degrees)) for function in (np.cos, np.sin))
        matrix[np.ix_(*[[one for one in range(3) if one != axis]] * 2)] = [[cos, -sin], [sin, cos]]
        path = tmp_path / f"{axis}_{degrees}.nii.gz"
        sitk.WriteImage(place(array, matrix), str(path))
        image = read(path)
        for code in CODES:
            (copy,) = turned([path], code, tmp_path / code)
            back = returned(sitk.ReadImage(str(copy)), image)
            np.testing.assert_array_equal(sitk.GetArrayFromImage(back), array)
            assert back.GetDirection() == image.GetDirection()


def test_a_result_of_another_size_is_an_error():
    image = sitk.Image(4, 5, 6, sitk.sitkUInt8)
    with pytest.raises(UserError, match=r"has \(4, 5, 5\) voxels, its image \(4, 5, 6\)"):
        returned(sitk.Image(4, 5, 5, sitk.sitkUInt8), image)


@pytest.mark.parametrize("references", ["", "LPS"])
def test_robustness_does_not_depend_on_how_images_are_stored(tmp_path, references):
    asked = {"noise": [20.0], "rotation": [10.0]}
    results = []
    for code in ("LPS", "PIR"):
        folder = tmp_path / code
        folder.mkdir()
        write(folder, [code], references)
        model = model_in(folder / "model")
        results.append(
            run.measure(model, Sided(), folder / "images", folder / "labels", asked, Setting())
        )
    straight, other = results
    assert dice(straight)[0] == 1
    assert straight.notes == ()
    np.testing.assert_allclose(dice(straight), dice(other), atol=1e-12)
    assert "stored as PIR (1): each is predicted as LPS" in other.notes[0]


def test_without_a_recorded_orientation_nothing_changes_and_a_mixture_is_a_warning(tmp_path):
    write(tmp_path, ["LPS", "RAS"])
    model = model_in(tmp_path / "model", None)
    found = run.measure(model, Sided(), tmp_path / "images", tmp_path / "labels", {}, Setting())
    straight, mirrored = found.points[0].scores.cases
    assert straight.labels["left"].dice == 1
    assert mirrored.labels["left"].dice == 0
    (note,) = found.notes
    assert note.startswith("WARNING: images are stored as LPS (1), RAS (1)")
    assert "records no orientation" in note
    assert found.to_dict()["notes"] == [note]


@pytest.mark.parametrize(
    ("images", "code", "validation", "reader", "words"),
    [
        (["LPS", "LPS"], "LPS", [], "SimpleITKIO", None),
        (["RAS", "LPS"], "LPS", [], "SimpleITKIO", "LPS (1), RAS (1): each is predicted as LPS"),
        (["RAS", "RAS"], None, [], "SimpleITKIO", None),
        (["RAS"], None, ["RAS"], "SimpleITKIO", None),
        (["RAS"], None, ["LPS", "LPS"], "SimpleITKIO", "its validation predictions are stored as LPS"),
        (["RAS", "LPS"], None, ["LPS"], "NibabelIOWithReorient", None),
    ],
)  # fmt: skip
def test_notes(tmp_path, images, code, validation, reader, words):
    model = model_in(tmp_path / "model", code)
    (model.folder / "plans.json").write_text(json.dumps({"image_reader_writer": reader}))
    for number, stored in enumerate(validation):
        path = model.folder / "fold_0" / "validation" / f"v{number}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(oriented(truth(), stored), str(path))
    notes = notes_on(write(tmp_path, images), model.orientation, model.folder)
    assert len(notes) == (words is not None)
    assert words is None or words in notes[0]


def test_the_command_says_how_images_are_stored_before_it_predicts(tmp_path, capsys, monkeypatch):
    from nnunet_plugins import prediction

    write(tmp_path, ["RAS"])
    model = model_in(tmp_path / "model")
    monkeypatch.setattr(prediction, "find_model", lambda *_: model)
    monkeypatch.setattr(prediction, "load", lambda *_: Sided())
    command = [
        "robustness",
        str(model.folder),
        str(tmp_path / "images"),
        "--labels",
        str(tmp_path / "labels"),
    ]
    assert main([*command, "-o", str(tmp_path / "out"), "--noise", "1"]) == 0
    said = capsys.readouterr()
    assert "images are stored as RAS (1)" in said.err
    assert "unperturbed      1.000" in said.out
