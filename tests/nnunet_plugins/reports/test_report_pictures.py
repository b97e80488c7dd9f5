"""Overlays and the viewer's volumes: kinds, planes, scale, orientation, packing."""

from __future__ import annotations

import base64
import gzip
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from nnunet_plugins.comparison.runs import Options
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.reports.niivue import as_script, pack_case, shrink_factors
from nnunet_plugins.reports.overlays import KINDS, draw_planes, kinds, worst_place
from nnunet_plugins.reports.report import _case
from nnunet_plugins.reports.sources import read_source
from nnunet_plugins.reports.volumes import CaseFiles, CaseVolumes, Coding, load_case, to_grey

from .conftest import SHAPE, predictions, save, truth

LABELS = Labels({"sacrum": (1,), "L5": (2,)}, None, "test")


def files(folder: Path, direction: str) -> CaseFiles:
    image = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    for name, voxels in (("t", truth()), ("p", predictions()["case2"]), ("i", image)):
        save(folder / direction / f"{name}.nii.gz", voxels, direction)
    paths = [folder / direction / f"{name}.nii.gz" for name in ("p", "t", "i")]
    return CaseFiles("case2", *paths)


def test_kinds_by_hand() -> None:
    true = np.array([0, 0, 1, 1, 1, 2], np.uint8)
    found = np.array([0, 2, 0, 1, 2, 2], np.uint8)
    assert kinds(true, found).tolist() == [0, 3, 2, 1, 4, 1]
    assert len({kind.colour for kind in KINDS.values()}) == 4
    assert len({kind.outline for kind in KINDS.values()}) == 4


def test_the_planes_show_the_errors() -> None:
    found = np.ones((4, 5, 6), np.uint8)
    found[2, 1:4, 3] = 2
    found[2, 4, 3] = 3
    found[2, 4, 5] = 3
    assert worst_place(found) == (2, 4, 3)
    alone = np.zeros((4, 5, 6), np.uint8)
    alone[1, 2, 3] = 1
    assert worst_place(alone) == (1, 2, 3)
    assert worst_place(np.zeros((4, 5, 6), np.uint8)) == (2, 2, 3)


def test_regions_and_ignored_voxels() -> None:
    labels = Labels({"spine": (1, 2), "disc": (2,)}, 3, "test")
    coding = Coding(labels)
    assert coding.names == ["spine", "spine + disc"]
    assert coding.encode(np.array([0, 1, 2, 3, 9])).tolist() == [0, 1, 2, 0, 0]
    same = Coding(Labels({"spine": (1, 2)}, None, "test"))
    assert same.encode(np.array([0, 1, 2])).tolist() == [0, 1, 1]


def test_the_ignore_label_is_background_in_both(tmp_path: Path) -> None:
    true = truth()
    true[0] = 3
    found = np.ones(SHAPE, np.uint8)
    for name, voxels in (("t", true), ("p", found)):
        save(tmp_path / f"{name}.nii.gz", voxels)
    labels = Labels(LABELS.values, 3, "test")
    case = load_case(CaseFiles("c", tmp_path / "p.nii.gz", tmp_path / "t.nii.gz"), labels)
    assert not case.prediction[0].any()
    assert case.prediction[1:].all()


@pytest.mark.parametrize("direction", ["RAS", "LIP"])
def test_pictures_and_volumes_do_not_depend_on_the_orientation_of_the_file(
    tmp_path: Path, direction: str
) -> None:
    here, there = (load_case(files(tmp_path, way), LABELS) for way in ("LPS", direction))
    assert [one.png for one in draw_planes(here)] == [one.png for one in draw_planes(there)]
    packed = [pack_case(one, ["a", "b"])["volumes"] for one in (here, there)]
    for key in ("image", "reference", "prediction"):
        a, b = (unpacked(one[key]) for one in packed)
        assert np.array_equal(a.dataobj, b.dataobj)
        assert np.allclose(a.affine, b.affine, atol=1e-4)


def test_predictions_of_another_tool_are_shown_in_the_numbers_of_the_reference(
    tmp_path: Path,
) -> None:
    """25 is the sacrum; 1, the number of our sacrum, is another structure of the tool."""
    for case in ("c", "d"):
        theirs = np.where(truth() == 1, 25, 0).astype(np.uint8)
        theirs[0, 0, 0] = 1
        save(tmp_path / "found" / f"{case}.nii.gz", theirs)
        save(tmp_path / "true" / f"{case}.nii.gz", truth())
    (tmp_path / "true" / "dataset.json").write_text(
        '{"labels": {"background": 0, "sacrum": 1, "L5": 2}}'
    )
    options = Options(reference=tmp_path / "true", map=["25=sacrum"])
    source = read_source(tmp_path / "found", options)
    assert source.scores.summary["sacrum"].metrics["dice"].mean == 1
    case = load_case(source.cases["c"], source.scores.labels, values=source.values)
    assert np.array_equal(case.prediction, truth() == 1)
    with pytest.raises(UserError, match=r"holds values 25 that are not declared"):
        load_case(source.cases["c"], source.scores.labels)
    shown = _case(source, source.scores.cases[0], 1.0)
    assert all("agreement" in picture.alt for picture in shown["pictures"])
    assert not any("missed" in picture.alt for picture in shown["pictures"])


def test_planes_are_to_scale_and_in_radiological_orientation() -> None:
    """An error in the right, anterior, superior corner."""
    shape = (40, 60, 50)
    true = np.ones(shape, np.uint8)
    found = true.copy()
    found[36:, :6, :5] = 0  # LPS: x small is right, y small is front, z large is head
    grid = sitk.GetImageFromArray(true)
    grid.SetSpacing((0.8, 0.5, 3.0))
    case = CaseVolumes("c", None, true, found, grid)
    axial, coronal, sagittal = draw_planes(case)
    extents = {"axial": (40.0, 30.0), "coronal": (40.0, 120.0), "sagittal": (30.0, 120.0)}
    for one, corner in ((axial, (3, 3)), (coronal, (3, 3)), (sagittal, (3, 3))):
        wide, tall = extents[one.plane]
        assert one.size[0] / one.size[1] == pytest.approx(wide / tall, rel=0.01)
        colour = Image.open(io.BytesIO(base64.b64decode(one.png))).getpixel(corner)
        red, _, blue = colour
        assert red > blue  # missed is vermillion, agreement is blue
        far = Image.open(io.BytesIO(base64.b64decode(one.png))).getpixel(
            (one.size[0] - 4, one.size[1] - 4)
        )
        assert far[2] > far[0]
    assert "R left, L right, A top, P bottom" in axial.alt
    assert "A left, P right, S top, I bottom" in sagittal.alt


def test_a_single_slice_has_one_picture() -> None:
    grid = sitk.GetImageFromArray(np.zeros((1, 20, 30), np.uint8))
    true = np.zeros((1, 20, 30), np.uint8)
    true[0, 5:9, 5:9] = 1
    assert [p.plane for p in draw_planes(CaseVolumes("c", None, true, true, grid))] == ["axial"]


def test_grey_levels() -> None:
    values = np.array([[-1000.0, -450.0, 300.0, 1050.0, 3000.0]])
    assert to_grey(values, (-450.0, 1050.0)).tolist() == [[0, 0, 127, 255, 255]]
    assert to_grey(np.full((4, 4), 7)).max() == 0  # a constant image is black


def unpacked(text: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def test_the_packed_volumes_equal_the_case(tmp_path: Path) -> None:
    case = load_case(files(tmp_path, "LPS"), LABELS)
    data = pack_case(case, ["sacrum", "L5"])
    image = unpacked(data["volumes"]["reference"])
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), truth())
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert image.header.get_zooms() == pytest.approx((0.8, 0.5, 3.0))
    assert not image.header["descrip"].item().strip(b"\0")
    # The centre is x 9.2, y 8.3, z 2. No label at x 9, between the two: the first x with the most of them is 4.
    # Of 24, 20, 6 voxels, counted back to the right and the front:
    assert data["start"] == [23 - 4, 19 - 8, 2]


def test_a_large_case_is_cropped_and_shrunk_in_place() -> None:
    true = np.zeros((60, 80, 100), np.uint8)
    true[20:40, 30:50, 40:60] = 1
    grey = true * 200
    grid = sitk.GetImageFromArray(true)
    grid.SetSpacing((1.0, 1.0, 2.0))
    grid.SetOrigin((10.0, 20.0, 30.0))
    data = pack_case(CaseVolumes("c", grey, true, true, grid), ["a"], most=40_000)
    image, reference = (unpacked(data["volumes"][key]) for key in ("image", "reference"))
    assert np.prod(image.shape) <= 40_000
    assert "cropped to the labels" in data["changes"]
    assert np.allclose(image.affine, reference.affine)
    mask = np.asarray(reference.dataobj) > 0
    voxel = abs(np.linalg.det(reference.affine[:3, :3]))
    assert mask.sum() * voxel == pytest.approx(20 * 20 * 20 * 2.0)
    centre = reference.affine @ [*(n.mean() for n in np.nonzero(mask)), 1]
    # LPS (59.5, 59.5, 89) as RAS; within half a shrunken voxel.
    assert centre[:3] == pytest.approx([-59.5, -59.5, 89.0], abs=0.6)
    bright = np.asarray(image.dataobj) > 100
    assert (bright & mask).sum() / (bright | mask).sum() > 0.95


def test_the_finest_axis_is_shrunk_first() -> None:
    assert shrink_factors((100, 100, 10), (0.5, 1.0, 5.0), 100_000) == [1, 1, 1]
    assert shrink_factors((100, 100, 10), (0.5, 1.0, 5.0), 50_000) == [2, 1, 1]
    assert shrink_factors((3, 1, 1), (1.0, 1.0, 1.0), 1) == [2, 1, 1]


def test_no_text_can_close_a_script_element() -> None:
    assert "<" not in as_script({"name": "</script><!--"})
