"""Panels: the slice, the part of it and the window are the same for all networks, and pixels mean what they show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from nnunet_plugins.errors import UserError
from nnunet_plugins.reports import panels as module
from nnunet_plugins.reports.colours import label_colours
from nnunet_plugins.reports.panels import Style, panels
from nnunet_plugins.reports.picture_grid import Cell, Line, draw_grid

from .conftest import SHAPE, predictions, save, truth

CASES = ("case0", "case1", "case2")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """References, images, and the predictions of two networks; those of B are stored in another orientation."""
    for case in CASES:
        save(tmp_path / "references" / f"{case}.nii.gz", truth())
        grey = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
        save(tmp_path / "images" / f"{case}_0000.nii.gz", grey)
        save(tmp_path / "A" / f"{case}.nii.gz", predictions()["case2"])
        save(tmp_path / "B" / f"{case}.nii.gz", truth(), "RIP")
    dataset = {
        "labels": {"background": 0, "sacrum": 1, "L5": 2},
        "channel_names": {"0": "MRI"},
        "file_ending": ".nii.gz",
    }
    (tmp_path / "A" / "dataset.json").write_text(json.dumps(dataset))
    return tmp_path


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """What is drawn."""
    found: list[Line] = []
    monkeypatch.setattr(module, "draw_grid", lambda path, lines, names: found.extend(lines))
    return found


def draw(folders: Path, **options: object) -> list[str]:
    networks = {name: folders / name for name in "AB"}
    return panels(
        folders / "panels.png",
        networks,
        references=folders / "references",
        images=folders / "images",
        **options,  # type: ignore[arg-type]
    )


def test_a_line_shows_one_slice_of_image_reference_and_networks(
    folders: Path, lines: list[Line]
) -> None:
    assert draw(folders, cases=["case1"]) == ["case1"]
    (line,) = lines
    image, reference, a, b = line.cells
    assert image.codes is None
    z = int((truth() > 0).sum(axis=(1, 2)).argmax())
    # 3 mm slices: axial. 15 mm around the labels leave nothing out of 10 x 19.2 mm.
    assert np.array_equal(reference.codes, truth()[z])
    assert np.array_equal(a.codes, predictions()["case2"][z])
    assert np.array_equal(b.codes, reference.codes)  # whatever the orientation of its file
    assert all(cell.grey is image.grey for cell in line.cells)
    assert line.caption == f"case1\naxial {z + 1}/{SHAPE[0]}"
    assert all(cell.pixel == pytest.approx((0.5, 0.8)) for cell in line.cells)
    assert [cell.title for cell in line.cells] == ["image", "reference", "A", "B"]


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_the_slice_depends_on_the_reference_alone(
    folders: Path, lines: list[Line], plane: str
) -> None:
    draw(folders, cases=["case0"], style=Style(plane=plane))
    everywhere = np.ones(SHAPE, np.uint8)
    for name in "AB":
        save(folders / name / "case0.nii.gz", everywhere)
    draw(folders, cases=["case0"], style=Style(plane=plane))
    before, after = lines
    assert before.caption == after.caption
    across = {"coronal": 1, "sagittal": 2}[plane]
    area = (truth() > 0).sum(axis=tuple(axis for axis in range(3) if axis != across))
    assert before.caption.endswith(f"{plane} {area.argmax() + 1}/{SHAPE[across]}")


def test_a_false_alarm_far_away_is_within_the_picture(tmp_path: Path, lines: list[Line]) -> None:
    shape = (3, 200, 200)
    true, found = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    true[1, 90:110, 90:110] = found[1, 90:110, 90:110] = 1
    found[1, 2:5, 90:110] = 1
    save(tmp_path / "references/c.nii.gz", true)
    save(tmp_path / "A/c.nii.gz", found)
    save(tmp_path / "B/c.nii.gz", true)
    (tmp_path / "A/dataset.json").write_text('{"labels": {"background": 0, "x": 1}}')
    panels(
        tmp_path / "p.png",
        {"A": tmp_path / "A", "B": tmp_path / "B"},
        references=tmp_path / "references",
    )
    (line,) = lines
    assert [int((cell.codes > 0).sum()) for cell in line.cells] == [400, 460, 400]
    assert len({cell.codes.shape for cell in line.cells}) == 1
    # 0.5 mm rows: 2 to 109 and 15 mm below. 0.8 mm columns: 90 to 109 and 15 mm on both sides.
    assert line.cells[0].codes.shape == (110 + 30, 20 + 2 * 19)


def test_cases_are_evenly_spread_and_not_selected_by_score() -> None:
    maps = [{f"c{i:02d}": Path("x") for i in range(10)}, {f"c{i:02d}": Path("x") for i in range(1, 11)}]  # fmt: skip
    assert module._selected((), maps) == ["c01", "c04", "c06", "c09"]
    assert module._selected(("c05", "c02"), maps) == ["c05", "c02"]


def test_masks_leave_the_image_within_them(folders: Path, lines: list[Line]) -> None:
    draw(folders, cases=["case0"], style=Style(masked=True))
    assert [cell.masked for cell in lines[0].cells] == [False, True, True, True]


def test_the_window_is_that_of_all_panels(folders: Path, lines: list[Line]) -> None:
    draw(folders, style=Style(window=(0.0, 255.0)))
    z = int((truth() > 0).sum(axis=(1, 2)).argmax())
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE)[z].clip(0, 255)
    assert all(np.array_equal(cell.grey, values) for line in lines for cell in line.cells)


def test_what_cannot_be_shown_is_named(folders: Path) -> None:
    with pytest.raises(UserError, match="no plane 'oblique'; allowed are axial, coronal, sagittal"):
        draw(folders, style=Style(plane="oblique"))
    with pytest.raises(UserError, match=r"case9: not among the cases .*: case0, case1, case2"):
        draw(folders, cases=["case9"])
    with pytest.raises(UserError, match=r"a figure is a \.png, \.pdf or \.svg file; pass x\.png"):
        panels(Path("x.jpg"), {"A": folders / "A"})
    with pytest.raises(UserError, match="reference label maps are not known"):
        panels(folders / "p.png", {"A": folders / "A"})
    save(folders / "B" / "case0.nii.gz", truth()[:, 1:])
    with pytest.raises(UserError, match=r"size .* differs from the reference's"):
        draw(folders, cases=["case0"])
    (folders / "images" / "case1_0000.nii.gz").unlink()
    with pytest.raises(UserError, match="no image of case1"):
        draw(folders, cases=["case1"])
    assert not (folders / "panels.png").exists()


def test_a_model_folder_has_its_own_references_images_and_validation(
    model: Path, lines: list[Line]
) -> None:
    assert panels(model / "p.png", {"ours": model}) == ["case0", "case1", "case2"]
    assert all(len(line.cells) == 3 for line in lines)
    names = [[cell.title for cell in line.cells] for line in lines]
    assert names == [["image", "reference", "ours"], [""] * 3, [""] * 3]
    lines.clear()
    fold = model / "fold_0"
    assert panels(model / "p.png", {"fold": fold, "both": [fold, model]}) == ["case0", "case1"]


def test_more_than_ten_pictures_continue_below() -> None:
    cell = Cell(np.zeros((2, 2), np.uint8))
    for count, lengths in ((10, [10]), (11, [6, 5]), (21, [7, 7, 7])):
        assert [len(row) for row in Line("", [cell] * count).rows()] == lengths


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_equal_input_gives_equal_bytes(folders: Path, ending: str) -> None:
    drawn = []
    for number in range(2):
        path = folders / str(number) / f"panels.{ending}"
        panels(path, {"A": folders / "A"}, references=folders / "references", cases=["case2"])
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]


def colours_in(path: Path) -> set[tuple[int, ...]]:
    pixels = np.rint(imread(path)[..., :3] * 255).astype(int)
    found, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    return {
        tuple(map(int, one))
        for one, n in zip(found, counts, strict=True)
        if n > 0.03 * counts.sum()
    }


def test_pixels_mean_what_they_show(tmp_path: Path) -> None:
    grey = np.full((9, 30), 100, np.uint8)
    codes = np.zeros((9, 30), np.uint8)
    codes[2:7, 5:25] = 2
    flat = tmp_path / "flat.png"
    draw_grid([flat], [Line("c", [Cell(None, codes)])], ["a", "b"])
    second = tuple(int(label_colours(2)[1][i : i + 2], 16) for i in (1, 3, 5))
    assert colours_in(flat) == {(255, 255, 255), (0, 0, 0), second}
    masked = tmp_path / "masked.png"
    draw_grid([masked], [Line("c", [Cell(grey, codes, True)])], ["a", "b"])
    assert colours_in(masked) == {(255, 255, 255), (0, 0, 0), (100, 100, 100)}
    over = tmp_path / "over.png"
    draw_grid([over], [Line("c", [Cell(grey, codes)])], ["a", "b"])
    mixed = tuple(round(0.7 * 100 + 0.3 * channel) for channel in second)
    assert {(100, 100, 100), mixed} <= colours_in(over)
