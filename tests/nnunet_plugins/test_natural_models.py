"""Models of datasets of other formats than NIfTI: explained, perturbed and scored in their own format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from nnunet_plugins.cli import main
from tests.nnunet_plugins import tiny

SHAPE = (32, 48)  # rows, columns
SHORT = {"epochs": 1, "iterations_per_epoch": 2, "validation_iterations_per_epoch": 1}


def square(shape: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[..., 8:20, 10:30] = 1
    return labels


def picture(folder: Path) -> None:
    """A colour image with 3 channels in one file."""
    noise = np.random.default_rng(0).integers(0, 60, (*SHAPE, 3))
    Image.fromarray((noise + 150 * square(SHAPE)[..., None]).astype(np.uint8)).save(
        folder / "images" / "a_0000.png"
    )
    Image.fromarray(square(SHAPE)).save(folder / "labels" / "a.png")


def stack(folder: Path) -> None:
    """A .tif of 5 slices, with its spacing in a JSON file."""
    labels = square((5, *SHAPE))
    noise = np.random.default_rng(0).normal(size=labels.shape)
    tifffile.imwrite(folder / "images" / "a_0000.tif", (noise + labels).astype(np.float32))
    tifffile.imwrite(folder / "labels" / "a.tif", labels, compression="zlib")
    for name in ("images", "labels"):
        (folder / name / "a.json").write_text(json.dumps({"spacing": [3.0, 1.0, 1.0]}))


def flat(folder: Path) -> None:
    """A .mha of 2 axes."""
    noise = np.random.default_rng(0).normal(size=SHAPE)
    for name, values in (
        ("images/a_0000.mha", (noise + square(SHAPE)).astype(np.float32)),
        ("labels/a.mha", square(SHAPE)),
    ):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((0.5, 0.5))
        sitk.WriteImage(image, str(folder / name))


KINDS: dict[str, tuple[str, str, int, Callable[[Path], None]]] = {
    "png": (".png", "NaturalImage2DIO", 3, picture),
    "tif": (".tif", "Tiff3DIO", 1, stack),
    "mha": (".mha", "SimpleITKIO", 1, flat),
}


@pytest.fixture(scope="module", params=KINDS)
def model(
    request: pytest.FixtureRequest, nnunet: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    """The kind, an untrained 2D model of it, and a folder with a case."""
    ending, reader, channels, write = KINDS[request.param]
    data = tiny.make("labels", 780 + list(KINDS).index(request.param), training=SHORT)
    for file in (data.preprocessed / "TinyPlans.json", data.preprocessed / "dataset.json"):
        content = json.loads(file.read_text())
        if file.name == "dataset.json":
            content["file_ending"] = ending
            content["channel_names"] = {str(i): f"channel {i}" for i in range(channels)}
        else:
            content["image_reader_writer"] = reader
            for name in ("normalization_schemes", "use_mask_for_norm"):
                one = content["configurations"]["2d"][name][:1]
                content["configurations"]["2d"][name] = one * channels
            content["foreground_intensity_properties_per_channel"] = {
                str(i): content["foreground_intensity_properties_per_channel"]["0"]
                for i in range(channels)
            }
        file.write_text(json.dumps(content))
    folder = tiny.untrained(data, "2d", "MAGUNetTrainer")
    root = tmp_path_factory.mktemp(request.param)
    for name in ("images", "labels"):
        (root / name).mkdir()
    write(root)
    return request.param, folder, root


@pytest.mark.integration
def test_explain(
    model: tuple[str, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, folder, root = model
    case = root / "images" / f"a_0000{KINDS[kind][0]}"
    command = [
        "explain",
        str(folder),
        str(case),
        "-device",
        "cpu",
        "-o",
        str(tmp_path),
        "--everywhere",
    ]
    assert main(command) == 0
    found = sitk.ReadImage(str(tmp_path / "a_gradcam_bone.nii.gz"))
    assert found.GetSize() == (48, 32, 5 if kind == "tif" else 1)
    assert found.GetSpacing() == {"png": (1, 1, 1), "tif": (1, 1, 3), "mha": (0.5, 0.5, 1)}[kind]
    assert np.ptp(sitk.GetArrayFromImage(found)) > 0
    assert (tmp_path / "a_explain.png").is_file()


@pytest.mark.integration
def test_robustness(model: tuple[str, Path, Path], tmp_path: Path) -> None:
    kind, folder, root = model
    ways = ["--noise", "30", "--blur", "1", "--spacing", "2", "--rotation", "20", "--bias", "0.2"]
    command = ["robustness", str(folder), str(root / "images"), "--labels", str(root / "labels")]
    assert main([*command, *ways, "-device", "cpu", "-o", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "robustness.json").read_text())
    assert [one["perturbation"] for one in written["conditions"]] == [
        "none", "noise", "blur", "bias", "spacing", "rotation",
    ]  # fmt: skip
    for one in written["conditions"]:
        (case,) = one["scores"]["cases"].values()
        assert case["unit_of_distances"] == ("pixels" if kind == "png" else "mm")
        assert case["spacing_mm"] == {"png": [1, 1], "tif": [3, 1, 1], "mha": [0.5, 0.5]}[kind]
