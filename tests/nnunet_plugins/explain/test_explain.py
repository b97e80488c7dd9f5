"""The explain command on tiny trained models: files on the image's grid, labels, regions, mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.figure import Figure
from PIL import Image

from dataset_conversion.io.geometry import oriented
from nnunet_plugins.cli import main
from nnunet_plugins.explain.case import explain, find_classes
from nnunet_plugins.explain.overlay import draw
from nnunet_plugins.prediction import find_model, load
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.export.exporting import grid

SHORT = {"epochs": 1, "iterations_per_epoch": 2, "validation_iterations_per_epoch": 1}


@pytest.fixture(scope="module")
def model(nnunet: Path) -> tuple[tiny.Tiny, Path]:
    data = tiny.make("labels", 750, spacing=(2.0, 1.0, 1.0), training=SHORT)
    return data, tiny.train(data, "3d_fullres")


@pytest.fixture(scope="module")
def flat(nnunet: Path) -> tuple[tiny.Tiny, Path]:
    """An untrained model, which is sufficient for maps."""
    data = tiny.make("regions", 751, network="AttentionUNet25D", training=SHORT)
    return data, tiny.untrained(data, "2d", "AttentionUNet25DTrainer")


def image_of(data: tiny.Tiny, folder: Path) -> Path:
    """The first case, rotated and shifted, so that lost geometry is detected."""
    one = sitk.ReadImage(str(data.raw / "imagesTr" / "case0_0000.nii.gz"))
    one.SetDirection((grid("LPS", 25)[:3, :3] / np.array([0.8, 1.1, 2.5])).ravel())
    one.SetOrigin((-12.5, 30.0, -411.0))
    path = folder / "case0_0000.nii.gz"
    sitk.WriteImage(one, str(path))
    return path


@pytest.mark.integration
def test_maps_are_on_the_images_grid(model, tmp_path, capsys):
    data, folder = model
    case, out = image_of(data, tmp_path), tmp_path / "out"
    before = case.read_bytes()
    command = ["explain", str(folder), str(case), "-device", "cpu", "-o", str(out), "--everywhere"]
    assert main([*command, "--label", "bone", "disc"]) == 0
    said = capsys.readouterr()
    assert "is a Python pickle, which can run code" in said.err
    names = sorted(path.name for path in out.iterdir())
    assert names[-4:] == ["case0_explain.json", "case0_explain.png", "case0_gradcam_bone.nii.gz",
                          "case0_gradcam_disc.nii.gz"]  # fmt: skip
    gates = [name for name in names if "attention" in name]
    assert gates
    assert all(str(out / name) in said.out for name in names)
    source = sitk.ReadImage(str(case))
    for name in names:
        if name.endswith(".nii.gz"):
            one = sitk.ReadImage(str(out / name))
            assert one.GetSize() == source.GetSize()
            for what in ("Spacing", "Origin", "Direction"):
                np.testing.assert_allclose(
                    getattr(one, f"Get{what}")(), getattr(source, f"Get{what}")(), atol=1e-5
                )
            values = sitk.GetArrayFromImage(one)
            assert values.min() >= 0
            assert values.max() <= 1 + 1e-6
            if "gradcam" in name:
                assert values.max() == pytest.approx(1)
            assert np.ptp(values) > 0
    told = json.loads((out / "case0_explain.json").read_text())
    assert told["layer"]["name"] == "bottleneck"
    assert told["trainer"] == "MAGUNetTrainer"
    assert sorted(told["files"].values()) == [name for name in names if name.endswith(".nii.gz")]
    assert str(tmp_path) not in json.dumps(told)
    assert case.read_bytes() == before
    assert Image.open(out / "case0_explain.png").width > 900


@pytest.mark.integration
def test_a_2d_model_with_regions_and_supervised_maps(flat, tmp_path):
    data, folder = flat
    case = image_of(data, tmp_path)
    chosen = find_model(folder)
    predictor = load(chosen, "cpu")
    assert find_classes(predictor, None) == {"spine": 0}
    assert find_classes(predictor, ["disc"]) == {"disc": 1}
    found = explain(predictor, chosen, [case], labels=["disc"], everywhere=True)
    assert found.layer.name == "squeeze"
    assert found.cams["disc"].GetSize() == (32, 32, 16)
    assert found.attention
    assert all("attentions" in name for name in found.attention)
    # Slices are explained independently: reordered slices give reordered maps.
    one = sitk.ReadImage(str(case))
    other = sitk.GetImageFromArray(sitk.GetArrayFromImage(one)[::-1])
    other.CopyInformation(one)
    sitk.WriteImage(other, str(tmp_path / "other.nii.gz"))
    again = explain(
        predictor, chosen, [tmp_path / "other.nii.gz"], labels=["disc"], everywhere=True
    )
    pairs = [(found.cams["disc"], again.cams["disc"])]
    pairs += [(found.attention[name], again.attention[name]) for name in found.attention]
    for first, second in pairs:
        np.testing.assert_allclose(
            sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(second)[::-1], atol=1e-3
        )


@pytest.mark.integration
def test_layers_are_listed_and_chosen(model, tmp_path, capsys):
    data, folder = model
    assert main(["explain", str(folder), "--list-layers", "-device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("default")] == ["bottleneck"]
    assert any(line.startswith("encoder.stages.0 ") for line in lines)
    case = image_of(data, tmp_path)
    chosen = find_model(folder)
    found = explain(load(chosen, "cpu"), chosen, [case], layer="encoder.stages.0")
    assert found.layer.name == "encoder.stages.0"
    assert list(found.cams) == ["bone"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["CASE", "--label", "liver"], "--label liver: unknown label; allowed: background, bone, disc"),
        (["CASE", "--layer", "bottlenek"], "no layer of this name outputs a map; nearest: bottleneck"),
        (["nothing.nii.gz"], "nothing.nii.gz: no such file"),
        (["JSON"], "the model reads .nii.gz files"),
        ([], "expected CASE"),
        (["CASE", "-f", "all"], "fold all has no checkpoint_final.pth; trained folds: 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(model, tmp_path, capsys, arguments, said):
    data, folder = model
    known = {"CASE": str(image_of(data, tmp_path)), "JSON": str(folder / "plans.json")}
    given = [known.get(a, a) for a in arguments]
    assert (
        main(["explain", str(folder), *given, "-device", "cpu", "-o", str(tmp_path / "out")]) == 2
    )
    error = capsys.readouterr().err.strip().splitlines()
    assert said in error[-1]
    assert all(line.startswith("note") for line in error[:-1])
    assert not (tmp_path / "out").exists()


@pytest.mark.integration
def test_maps_do_not_depend_on_how_the_image_is_stored(model, tmp_path):
    data, folder = model
    found = find_model(folder)
    recorded = {**found.dataset, "nnunet_plugins": {"orientation": "LPS"}}
    chosen = replace(found, dataset=recorded)
    predictor, case = load(chosen, "cpu"), image_of(data, tmp_path)
    straight = explain(predictor, chosen, [case], everywhere=True)
    stored = sitk.DICOMOrient(sitk.ReadImage(str(case)), "PIR")
    sitk.WriteImage(stored, str(tmp_path / "other.nii.gz"))
    other = explain(predictor, chosen, [tmp_path / "other.nii.gz"], everywhere=True)
    assert straight.notes == ()
    assert "stored as PIR (1): each is predicted as LPS" in other.notes[0]
    pairs = [(straight.cams["bone"], other.cams["bone"])]
    pairs += [(straight.attention[name], other.attention[name]) for name in straight.attention]
    for first, second in pairs:
        assert second.GetSize() == stored.GetSize()
        np.testing.assert_allclose(second.GetDirection(), stored.GetDirection(), atol=1e-6)
        np.testing.assert_allclose(
            sitk.GetArrayFromImage(oriented(second)), sitk.GetArrayFromImage(first), atol=1e-4
        )


@pytest.mark.integration
def test_folds_are_averaged(model, tmp_path):
    data, folder = model
    case, chosen = image_of(data, tmp_path), find_model(folder)
    predictor = load(chosen, "cpu")
    other = {
        k: v * 1.1 if v.is_floating_point() else v
        for k, v in predictor.list_of_parameters[0].items()
    }
    folds = [predictor.list_of_parameters[0], other]
    maps = []
    for chosen_folds in ([folds[0]], [folds[1]], folds):
        predictor.list_of_parameters = chosen_folds
        found = explain(predictor, chosen, [case], everywhere=True)
        maps.append(sitk.GetArrayFromImage(found.cams["bone"]) * found.peaks["bone"])
    np.testing.assert_allclose(maps[2], (maps[0] + maps[1]) / 2, atol=1e-3 * maps[2].max())
    assert np.abs(maps[0] - maps[1]).max() > 0.01 * maps[0].max()


def test_an_oblique_image_is_drawn(tmp_path):
    array = np.random.default_rng(0).normal(size=(12, 40, 30)).astype(np.float32)
    from dataset_conversion.io.geometry import place

    heat = np.zeros_like(array)
    heat[4:7, 10:20, 5:12] = 1
    for code in ("LPS", "PIR"):
        image, one = (place(values, grid(code, 10)) for values in (array, heat))
        draw(tmp_path / f"{code}.png", image, {"bone": one, "gate": one}, "Grad-CAM")
        draw(tmp_path / "again.png", image, {"bone": one, "gate": one}, "Grad-CAM")
        assert (tmp_path / f"{code}.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_the_letters_are_legible_on_bright_tissue(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: (drawn.append(self), path.touch())
    )
    bright = sitk.GetImageFromArray(np.ones((4, 5, 6), np.float32))
    draw(tmp_path / "map.png", bright, {"bone": bright * 0}, "Grad-CAM")
    letters = [text for axes in drawn[0].axes for text in axes.texts]
    assert [text.get_text() for text in letters] == ["R", "L", "R", "L", "A", "P"]
    assert all(text.get_path_effects() for text in letters)
