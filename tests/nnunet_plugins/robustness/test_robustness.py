"""Robustness: perturbations checked by hand arithmetic, predictions mapped back, curves of a known model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.io.geometry import place
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.prediction import Model
from nnunet_plugins.reports import perturbed_panels
from nnunet_plugins.robustness import run
from nnunet_plugins.robustness.curves import draw, table
from nnunet_plugins.robustness.perturbations import PERTURBATIONS, Changed, Setting
from tests.nnunet_plugins.export.exporting import grid

SHAPE = (10, 22, 26)  # z, y, x


def image(seed: int = 0, low: float = -1000.0, high: float = 1000.0) -> sitk.Image:
    """Values with a known range on anisotropic, rotated voxels."""
    values = np.random.default_rng(seed).uniform(low, high, SHAPE).astype(np.float32)
    values.flat[0], values.flat[-1] = low, high
    return place(values, grid("LPS", 20))


def change(
    name: str, strength: float, *images: sitk.Image, case: str = "a", **setting: object
) -> Changed:
    chosen = Setting(**setting)
    return PERTURBATIONS[name].change(list(images), strength, chosen, chosen.random(name, case))


def values(one: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(one)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_the_seed_determines_the_result_and_the_input_is_unchanged(name):
    one, before = image(), values(image())
    first, second = (values(change(name, 2.0, one).images[0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(values(one), before)
    other = values(change(name, 2.0, one, seed=1).images[0])
    assert np.array_equal(first, other) == (name not in ("noise", "bias"))


def test_noise_follows_the_paper():
    one = image()
    grey = (values(one).astype(float) + 1000) * 255 / 2000
    for k in (10, 90):
        back = (values(change("noise", k, one).images[0]).astype(float) + 1000) * 255 / 2000
        np.testing.assert_allclose(back, np.rint(back), atol=1e-3)  # rounded
        assert back.min() >= -1e-3
        assert back.max() <= 255 + 1e-3
        z = Setting().random("noise", "a").standard_normal(SHAPE)  # the same draw for every k
        np.testing.assert_allclose(back, np.clip(np.rint(grey + k * z), 0, 255), atol=1e-3)


def test_noise_of_0_only_rounds_and_of_10_has_this_spread():
    one = image()
    step = 2000 / 255
    assert np.abs(values(change("noise", 0, one).images[0]) - values(one)).max() <= step / 2 + 1e-3
    flat = place(np.full((20, 40, 40), 500.0, np.float32), grid("LPS"))
    noisy = values(change("noise", 10, flat, window=(0.0, 1000.0)).images[0]) * 255 / 1000
    assert noisy.std() == pytest.approx(10, rel=0.02)
    assert noisy.mean() == pytest.approx(127.5, abs=0.3)


def test_noise_clips_at_the_window():
    noisy = values(change("noise", 30, image(), window=(-200.0, 300.0)).images[0])
    assert (noisy.min(), noisy.max()) == pytest.approx((-200, 300))


def test_noise_differs_between_channels_and_cases():
    one, two = (values(i) for i in change("noise", 30, image(), image()).images)
    assert not np.array_equal(one, two)
    other = values(change("noise", 30, image(), case="b").images[0])
    assert not np.array_equal(one, other)


def test_blur_is_in_mm_along_every_axis():
    point = np.zeros((21, 41, 51), np.float32)
    point[10, 20, 25] = 1
    soft = values(change("blur", 3.0, place(point, grid("LPS"))).images[0]).astype(float)
    assert soft.sum() == pytest.approx(1, abs=0.02)
    for axis, mm in enumerate((2.5, 1.1, 0.8)):
        profile = soft.sum(tuple(a for a in range(3) if a != axis))
        at = (np.arange(len(profile)) - len(profile) // 2) * mm
        assert np.sqrt((profile * at**2).sum() / profile.sum()) == pytest.approx(3, rel=0.05)


def test_bias_is_a_smooth_gain_that_grows_with_its_strength():
    flat = place(np.full(SHAPE, 100.0, np.float32), grid("LPS"))
    fields = [
        values(change("bias", c, flat, window=(0.0, 1.0)).images[0]) / 100 for c in (0.1, 0.2)
    ]
    # exp(p) with p linear in the coefficients: twice the strength squares the field.
    np.testing.assert_allclose(fields[1], fields[0] ** 2, rtol=1e-3)
    assert fields[0].min() > 0
    assert np.ptp(fields[0]) > 0.01
    assert np.abs(np.diff(fields[0], axis=2)).max() < 0.1
    one, two = change("bias", 0.3, flat, flat).images
    np.testing.assert_array_equal(values(one), values(two))  # the same field for all channels


def test_spacing_keeps_the_field_of_view():
    old = image()
    (new,) = change("spacing", 2.0, old).images
    assert new.GetSize() == (13, 11, 5)
    np.testing.assert_allclose(new.GetSpacing(), 2 * np.array([0.8, 1.1, 2.5]))
    for size, one in ((old.GetSize(), old), (new.GetSize(), new)):
        corner = one.TransformContinuousIndexToPhysicalPoint([-0.5] * 3)
        far = one.TransformContinuousIndexToPhysicalPoint([n - 0.5 for n in size])
        np.testing.assert_allclose(corner, old.TransformContinuousIndexToPhysicalPoint([-0.5] * 3))
        np.testing.assert_allclose(
            far, old.TransformContinuousIndexToPhysicalPoint([n - 0.5 for n in old.GetSize()])
        )
    # Away from the border, a linear slope is preserved.
    slope = place(np.broadcast_to(np.arange(26, dtype=np.float32), SHAPE).copy(), grid("LPS"))
    coarse = values(change("spacing", 2.0, slope).images[0])
    np.testing.assert_allclose(coarse[2, 5, 3:-3], 0.5 + 2 * np.arange(3, 10), atol=0.05)


def test_spacing_maps_a_prediction_to_the_references_grid():
    reference = place(np.zeros(SHAPE, np.uint8), grid("LPS", 20))
    changed = change("spacing", 2.0, image())
    coarse = sitk.GetImageFromArray(np.arange(5 * 11 * 13, dtype=np.uint16).reshape(5, 11, 13))
    coarse.CopyInformation(changed.images[0])
    back = values(changed.on_grid(coarse, reference))
    fine = np.arange(5 * 11 * 13).reshape(5, 11, 13).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(back, fine)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_rotation_by_half_a_turn_and_back(axis):
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    original = np.random.default_rng(0).integers(1, 99, (7, 9, 11)).astype(np.float32)
    changed = change("rotation", 180.0, place(original, matrix), axis=axis)
    turned = values(changed.images[0])
    flips = {"x": (0, 1), "y": (0, 2), "z": (1, 2)}[axis]  # of z, y, x
    np.testing.assert_allclose(turned, np.flip(original, flips), atol=1e-3)
    prediction = place(turned.round().astype(np.uint8), matrix)
    back = changed.on_grid(prediction, place(np.zeros((7, 9, 11), np.uint8), matrix))
    np.testing.assert_array_equal(values(back), original)


def test_a_quarter_turn_is_reversed():
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    original = np.random.default_rng(0).integers(1, 99, (9, 9, 9)).astype(np.float32)
    changed = change("rotation", 90.0, place(original, matrix))
    turned = values(changed.images[0])
    assert any(np.allclose(turned, np.rot90(original, k, (1, 2)), atol=1e-3) for k in (1, 3))
    prediction = place(turned.round().astype(np.uint8), matrix)
    back = changed.on_grid(prediction, place(np.zeros((9, 9, 9), np.uint8), matrix))
    np.testing.assert_array_equal(values(back), original)


def test_rotation_is_about_the_body_for_any_voxel_axes():
    """A quarter turn about z moves left (+x) to back (+y) or front, not to head or feet."""
    matrix = np.eye(4)
    matrix[:3, :3] = grid("PSL")[:3, :3] / np.array([0.8, 1.1, 2.5])  # sagittal, 1 mm
    array = np.zeros((15, 15, 15), np.float32)  # (left, up, back)
    array[11, 7, 7] = 1
    (turned,) = change("rotation", 90.0, place(array, matrix)).images
    at = np.unravel_index(values(turned).argmax(), array.shape)
    assert at[1] == 7  # the same height
    assert (at[0], at[2]) in [(7, 3), (7, 11)]


def test_on_grid_keeps_a_prediction_on_the_same_grid():
    prediction = place(np.ones(SHAPE, np.uint8), grid("LPS"))
    assert change("noise", 1, image()).on_grid(prediction, prediction) is prediction


def test_invalid_strengths():
    check = run.check_strengths
    with pytest.raises(UserError, match=r"--spacing 0.5: 1 to 20 \(times\) are allowed"):
        check({"spacing": [0.5]})
    with pytest.raises(UserError, match="--noise -1: 0 to 1000"):
        check({"noise": [-1]})
    with pytest.raises(UserError, match="--noise: 10 10 contains a strength twice"):
        check({"noise": [10, 10]})
    check({name: [max(way.low, 1)] for name, way in PERTURBATIONS.items()})


class Threshold:
    """A threshold as predictor: above 50 is label 1; it writes files as nnU-Net's predictor does."""

    trainer_name = "Threshold"
    dataset_json = {"file_ending": ".nii.gz"}

    def predict_from_files_sequential(self, cases, targets):
        for (path,), target in zip(cases, targets, strict=True):
            one = sitk.ReadImage(path)
            sitk.WriteImage(sitk.Cast(one > 50, sitk.sitkUInt8), f"{target}.nii.gz")


@pytest.fixture
def world(tmp_path):
    """Two cases with a bright block that a threshold segments exactly, and a model folder."""
    for name in ("images", "labels", "model"):
        (tmp_path / name).mkdir()
    dataset = {
        "labels": {"background": 0, "bone": 1},
        "file_ending": ".nii.gz",
        "channel_names": {"0": "CT"},
    }
    (tmp_path / "model" / "dataset.json").write_text(json.dumps(dataset))
    for case in ("a", "b"):
        block = np.zeros(SHAPE, np.float32)
        block[3:7, 6:16, 8:18] = 1
        sitk.WriteImage(
            place(block * 100, grid("LPS", 10)), str(tmp_path / "images" / f"{case}_0000.nii.gz")
        )
        sitk.WriteImage(
            place(block.astype(np.uint8), grid("LPS", 10)),
            str(tmp_path / "labels" / f"{case}.nii.gz"),
        )
    return tmp_path, Model(tmp_path / "model", ("0",), "checkpoint_final.pth", dataset)


def measured(world, **wanted):
    folder, model = world
    return run.measure(model, Threshold(), folder / "images", folder / "labels", wanted, Setting())


def test_the_curves_of_a_known_model(world):
    folder, _ = world
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    found = measured(
        world, noise=[0.0, 90.0], blur=[4.0], bias=[0.05], spacing=[2.0], rotation=[0.0, 15.0]
    )
    dice = {(p.name, p.strength): p.scores.mean_foreground_dice for p in found.points}
    assert dice["none", 0.0] == dice["noise", 0.0] == dice["rotation", 0.0] == 1
    assert dice["bias", 0.05] == 1
    # Slices 3 and 6 of the block share a coarse slice with background: 50 is not above 50.
    assert dice["spacing", 2.0] == pytest.approx(2 * 200 / (200 + 400))
    assert 0.85 < dice["rotation", 15.0] < 1  # far lower if it were not rotated back
    # Z > 127.5/90 makes background bright, and as much of the block dark.
    lit = 0.0783
    tp, fp = (1 - lit) * 400, lit * (np.prod(SHAPE) - 400)
    assert dice["noise", 90.0] == pytest.approx(2 * tp / (tp + fp + 400), abs=0.04)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    shown = table(found)
    assert shown[0] == ("condition", "mean Dice", "change", "bone")
    assert shown[1] == ("unperturbed", "1.000", "", "1.000")
    assert [row[0] for row in shown[2:4]] == ["noise 0 k", "noise 90 k"]
    assert [p.strength for p in found.curve("spacing")] == [1, 2]
    record = found.to_dict()
    assert str(folder) not in json.dumps(record)
    assert [c["perturbation"] for c in record["conditions"]] == [p.name for p in found.points]
    assert "plus k * Z" in record["perturbations"]["noise"]["about"]


def test_training_cases_are_named(world, tmp_path, monkeypatch):
    folder, model = world
    images, labels = run.find_inputs(folder / "images", model), folder / "labels"
    data = tmp_path / "pre" / "Dataset001_X"
    data.mkdir(parents=True)
    monkeypatch.setenv("nnUNet_preprocessed", str(data.parent))
    (model.folder / "plans.json").write_text('{"dataset_name": "Dataset001_X"}')
    splits = [{"train": ["a", "c"], "val": ["b"]}, {"train": ["b", "c"], "val": ["a"]}]
    (data / "splits_final.json").write_text(json.dumps(splits))
    for fold, case in (("fold_0", "b"), ("fold_1", "a"), ("fold_all", "a"), ("fold_all", "b")):
        (model.folder / fold / "validation").mkdir(parents=True, exist_ok=True)
        (model.folder / fold / "validation" / f"{case}.nii.gz").touch()

    def said(*folds, cases=images, labels=labels):
        return [
            note.removeprefix("WARNING: ").partition(";")[0]
            for note in run.notes_about(replace(model, folds=folds), cases, labels)
        ]

    a, b = ({case: images[case]} for case in "ab")
    assert said("0", cases=b) == said("1", cases=a) == []
    assert said("0") == ["1 of 2 cases have names of training cases of fold_0: a"]
    assert said("0", "1", cases=b) == ["1 of 1 cases have names of training cases of fold_1: b"]
    assert said("all") == ["2 of 2 cases have names of training cases of fold_all: a, b"]
    assert said("0") == [
        note.removeprefix("WARNING: ").partition(";")[0]
        for note in measured(world, blur=[1.0]).notes
    ]
    (data / "splits_final.json").unlink()
    assert said("0") == []  # not known
    own = tmp_path / "raw" / "Dataset001_X" / "labelsTr"
    own.mkdir(parents=True)
    (doubt,) = said("0", labels=own)
    assert "the references are training cases of Dataset001_X" in doubt


def test_figures_are_reproducible(world, tmp_path):
    found = measured(world, noise=[30.0, 90.0], spacing=[2.0])
    files = [tmp_path / f"{n}.{ending}" for n in "ab" for ending in ("png", "svg")]
    draw(found, files[:2])
    draw(found, files[2:])
    assert files[0].read_bytes() == files[2].read_bytes()
    assert files[1].read_bytes() == files[3].read_bytes()
    text = files[1].read_text()
    for word in ("Noise", "Voxel size", "mean Dice", "bone", "Threshold, 2 cases"):
        assert word in text


def test_the_pictures_of_a_case_are_its_images_and_their_predictions(world, monkeypatch):
    folder, model = world
    wanted = {"noise": [0.0, 90.0], "spacing": [2.0]}
    found = run.measure(
        model, Threshold(), folder / "images", folder / "labels", wanted, Setting(), show="b"
    )
    lines = []
    monkeypatch.setattr(
        perturbed_panels, "draw_grid", lambda paths, drawn, names: lines.extend(drawn)
    )
    perturbed_panels.perturbed_panels([], found, folder / "model" / "dataset.json")
    assert [line.caption for line in lines] == ["image", "prediction"]
    images, predictions = (line.cells for line in lines)
    titles = [cell.title for cell in images]
    assert titles == ["unperturbed", "k = 0", "k = 90", "spacing 2 times"]
    block = np.zeros(SHAPE[1:], np.uint8)
    block[6:16, 8:18] = 1
    for cell in predictions[:2]:  # a slice of the block, found without noise
        np.testing.assert_array_equal(cell.codes, block)
    # The window of bone, -450 to 1050 HU, holds for all: 0 and 100 HU are grey 76 and 93.
    np.testing.assert_array_equal(images[0].grey, np.where(block, 93, 76))
    noisy = images[2].grey
    assert noisy.min() >= 76
    found_there = predictions[2].codes == 1  # above 50 HU, which is grey 85
    assert noisy[found_there].min() >= 85 >= noisy[~found_there].max()
    coarse = images[3]
    assert coarse.grey.shape == (11, 13)
    assert coarse.pixel == pytest.approx((2.2, 1.6))
    with pytest.raises(UserError, match="--show c: no such case; allowed: a, b"):
        run.measure(
            model, Threshold(), folder / "images", folder / "labels", wanted, Setting(), show="c"
        )


def test_missing_files_are_named(world):
    folder, model = world
    (folder / "labels" / "b.nii.gz").unlink()
    with pytest.raises(
        UserError, match=r"1 of 2 cases have no reference in .*: b; label maps named CASE\.nii\.gz"
    ):
        measured(world, noise=[10.0])
    with pytest.raises(UserError, match="no such folder"):
        run.find_inputs(folder / "no", model)
    two = Model(
        model.folder, ("0",), "c", model.dataset | {"channel_names": {"0": "T1", "1": "T2"}}
    )
    with pytest.raises(
        UserError, match=r"missing: a_0001\.nii\.gz, b_0001\.nii\.gz; the model needs 2 per case"
    ):
        run.find_inputs(folder / "images", two)
    other = Model(model.folder, ("0",), "c", model.dataset | {"file_ending": ".jpg"})
    with pytest.raises(UserError, match=r"\.jpg files, which the model reads, are not supported"):
        run.find_inputs(folder / "images", other)


def test_the_command(world, capsys, monkeypatch):
    folder, model = world
    from nnunet_plugins import prediction

    monkeypatch.setattr(prediction, "find_model", lambda *_: model)
    monkeypatch.setattr(prediction, "load", lambda *_: Threshold())
    command = ["robustness", str(folder / "model"), str(folder / "images"), "--labels", str(folder / "labels"),
               "-o", str(folder / "out")]  # fmt: skip
    assert main([*command, "--noise", "10", "30", "--rotation", "10"]) == 0
    said = capsys.readouterr()
    assert "noise 30 k" in said.out
    assert "which can run code" in said.err
    assert sorted(p.name for p in (folder / "out").iterdir()) == [
        "robustness.json", "robustness.png", "robustness.svg",
    ]  # fmt: skip
    assert main([*command, "--noise", "10", "--show", "a"]) == 0
    assert (folder / "out" / "robustness_a.png").exists()
    assert main([*command, "--window", "5", "1"]) == 2
    assert "--window 5 1: the first must be below the second" in capsys.readouterr().err
