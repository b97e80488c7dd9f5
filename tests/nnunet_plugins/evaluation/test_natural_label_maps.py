"""Label maps of 2D and natural images: scored, in pixels where they have no size, and written as CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.evaluation.saved import read_scores
from nnunet_plugins.evaluation.table import score_table


def square(first: int) -> np.ndarray:
    labels = np.zeros((20, 30), np.uint8)
    labels[5:12, first : first + 8] = 1
    return labels


def save(path: Path, labels: np.ndarray) -> None:
    """In the format of the name; volumes are 5 slices of 0.5 mm pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".png", ".bmp"):
        Image.fromarray(labels).save(path)
    elif path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, labels, compression="zlib")
    else:
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((0.5,) * labels.ndim)
        sitk.WriteImage(image, str(path))


def folders(root: Path, ending: str, *, solid: bool = False) -> tuple[Path, Path]:
    """A prediction that is 2 pixels to the right of its reference."""
    for name, first in (("p", 12), ("r", 10)):
        labels = square(first)
        save(root / name / f"a{ending}", np.stack([labels] * 5) if solid else labels)
    (root / "p" / "dataset.json").write_text('{"labels": {"background": 0, "=bone": 1}}')
    return root / "p", root / "r"


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff"])
def test_distances_without_a_pixel_size_are_in_pixels(tmp_path: Path, ending: str) -> None:
    scores = evaluate(*folders(tmp_path, ending))
    bone = scores.cases[0].labels["=bone"]
    assert bone.dice == pytest.approx(2 * 42 / 112)
    assert bone.hd_mm == 2
    assert scores.unit == "pixels"
    assert scores.cases[0].dimensions == 2
    shown = score_table(scores, ("dice", "hd95_mm", "nsd"))
    assert "HD95 pixels" in shown
    assert "NSD at 2 pixels" in shown
    assert " mm" not in shown
    assert "distances and the tolerance of NSD are in pixels" in shown


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii.gz", ".gipl"])
def test_distances_of_2d_files_with_a_pixel_size_are_in_mm(tmp_path: Path, ending: str) -> None:
    scores = evaluate(*folders(tmp_path, ending))
    assert scores.cases[0].labels["=bone"].hd_mm == 1
    assert scores.unit == "mm"
    assert scores.cases[0].dimensions == 2


def test_a_3d_tif_has_the_spacing_of_its_json(tmp_path: Path) -> None:
    p, r = folders(tmp_path, ".tif", solid=True)
    scores = evaluate(p, r)
    assert (scores.unit, scores.cases[0].dimensions) == ("pixels", 3)
    assert scores.cases[0].labels["=bone"].volume_error_ml is None
    for folder in (p, r):
        (folder / "a.json").write_text('{"spacing": [3, 0.5, 0.25]}')
    scores = evaluate(p, r)
    assert scores.unit == "mm"
    assert scores.cases[0].spacing == (3, 0.5, 0.25)
    assert scores.cases[0].labels["=bone"].hd_mm == 0.5
    (p / "a.json").unlink()
    with pytest.raises(
        UserError, match=r"spacing \(1, 1, 1\) mm differs from the reference's \(0.25, 0.5, 3\) mm"
    ):
        evaluate(p, r)


def test_the_unit_is_kept_in_the_json_and_the_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("one.json", "two.json")]
    p, r = folders(tmp_path, ".png")
    for file in files:
        assert main(["evaluate", str(p), str(r), "-o", file]) == 0
    assert read_scores(Path(files[0])).unit == "pixels"
    capsys.readouterr()
    assert main(["compare", *files, "--metrics", "hd95_mm", "nsd"]) == 0
    shown = capsys.readouterr().out
    assert "HD95 pixels (lower is better)" in shown
    assert "NSD at 2 pixels" in shown


def test_pictures_next_to_volumes_are_left_out(tmp_path: Path) -> None:
    save(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), np.uint8))
    save(tmp_path / "a.png", square(3))
    save(tmp_path / "overlay.png", square(3))
    assert list(label_maps(tmp_path)) == ["a"]
    assert label_maps(tmp_path / "a.png") == {"a": tmp_path / "a.png"}


def test_scores_as_csv(tmp_path: Path) -> None:
    p, r = folders(tmp_path, ".nrrd")
    for case in ("-b", "c"):
        save(p / f"{case}.nrrd", square(10))
        save(r / f"{case}.nrrd", square(10) if case == "c" else square(10) * 0)
    (p / "dataset.json").write_text('{"labels": {"background": 0, "=bone": 1, "Hüfte, links": 2}}')
    assert main(["evaluate", str(p), str(r), "-o", str(tmp_path / "s.csv")]) == 0
    main(["evaluate", str(p), str(r), "-o", str(tmp_path / "s.json")])
    rows = list(csv.DictReader((tmp_path / "s.csv").open(encoding="utf-8", newline="")))
    assert [(row["case"], row["label"]) for row in rows] == [
        (case, label) for case in ("'-b", "a", "c") for label in ("'=bone", "Hüfte, links")
    ]
    stored = json.loads((tmp_path / "s.json").read_text())["cases"]
    for row in rows:
        own = stored[row["case"].removeprefix("'")]["labels"][row["label"].removeprefix("'")]
        for key, value in own.items():
            assert row[key] == ("" if value is None else str(value))
    assert [row["state"] for row in rows[::2]] == ["false alarm", "both present", "both present"]


def test_a_csv_of_natural_images_names_pixels(tmp_path: Path) -> None:
    evaluate(*folders(tmp_path, ".png"), output=tmp_path / "s.csv", pixels=True)
    (row,) = csv.DictReader((tmp_path / "s.csv").open(encoding="utf-8", newline=""))
    assert float(row["hd_pixels"]) == 2
    assert not any(key.endswith(("_mm", "_mm3", "_ml")) for key in row)
