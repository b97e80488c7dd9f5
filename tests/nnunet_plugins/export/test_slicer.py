""".seg.nrrd: what 3D Slicer reads, and that no wrong file is kept."""

from __future__ import annotations

import json

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
import slicerio

from dataset_conversion.io.geometry import affine, place
from dataset_conversion.io.label_maps import read_mask
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.export.run import Request, export
from nnunet_plugins.export.segments import layers, make_segments
from nnunet_plugins.export.slicer import write_seg_nrrd
from nnunet_plugins.natural_images import write_natural

from .exporting import LABELS, blocks, grid, write_labels


def segments_of(**values):
    names = {
        name.replace("_", " "): v if isinstance(v, tuple) else (v,) for name, v in values.items()
    }
    return make_segments(Labels(names, None, "test"))[0]


@pytest.mark.parametrize("code", ["LPS", "RAS", "PIR", "LSA"])
def test_voxels_names_and_geometry_round_trip(tmp_path, code):
    array, matrix = blocks(), grid(code, 20)
    path = tmp_path / "case.seg.nrrd"
    write_seg_nrrd(path, place(array, matrix), segments_of(sacrum=1, left_ilium=2, right_ilium=3))
    # Read without slicerio.
    mask = read_mask(path)
    assert dict(mask.segments) == {"sacrum": 1, "left ilium": 2, "right ilium": 3}
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask.image), array)
    np.testing.assert_allclose(affine(mask.image), matrix, atol=1e-9)
    assert list(tmp_path.iterdir()) == [path]


def test_the_header_has_the_fields_that_slicer_reads(tmp_path):
    path = tmp_path / "case.seg.nrrd"
    write_seg_nrrd(path, place(blocks(), grid("LPS")), segments_of(sacrum=1, left_ilium=2, blob=3))
    header = nrrd.read_header(str(path))
    assert header["space"] == "left-posterior-superior"
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    for index, (name, value) in enumerate({"sacrum": 1, "left ilium": 2, "blob": 3}.items()):
        assert header[f"Segment{index}_ID"] == f"Segment_{index + 1}"
        assert header[f"Segment{index}_Name"] == name
        assert header[f"Segment{index}_LabelValue"] == str(value)
        assert header[f"Segment{index}_Layer"] == "0"
        assert header[f"Segment{index}_Extent"] == "0 11 0 13 0 8"  # x, y, z
        parts = [float(part) for part in header[f"Segment{index}_Color"].split()]
        assert len(parts) == 3
        assert all(0 <= part <= 1 for part in parts)
    tags = [header[f"Segment{i}_Tags"] for i in range(3)]
    assert "~SCT^123037004^Anatomical Structure~SCT^54735007^Sacrum~^^~" in tags[0]
    assert "~SCT^22356005^Ilium~SCT^7771000^Left~" in tags[1]
    assert "~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~" in tags[2]
    assert all(tag.startswith("Segmentation.Status:completed|TerminologyEntry:") for tag in tags)
    assert len({header[f"Segment{i}_Color"] for i in range(3)}) == 3


def test_overlapping_regions_are_in_layers(tmp_path):
    array = blocks()
    segments = segments_of(spine=(1, 2, 3), disc=2, sacrum=1)
    assert [[s.name for s in layer] for layer in layers(segments)] == [
        ["spine"],
        ["disc", "sacrum"],
    ]
    path = tmp_path / "case.seg.nrrd"
    write_seg_nrrd(path, place(array, grid("LPS")), segments)
    found = slicerio.read_segmentation(str(path))
    assert found["voxels"].shape == (2, 12, 14, 9)
    for name, values in {"spine": (1, 2, 3), "disc": (2,), "sacrum": (1,)}.items():
        one = slicerio.segment_from_name(found, name)
        np.testing.assert_array_equal(
            found["voxels"][one["layer"]] == one["labelValue"], np.isin(array, values).T
        )
    np.testing.assert_allclose(found["ijkToLPS"], grid("LPS"))


def test_regions_without_overlap_share_one_layer(tmp_path):
    path = tmp_path / "case.seg.nrrd"
    write_seg_nrrd(path, place(blocks(), grid("LPS")), segments_of(ilium=(2, 3), sacrum=1))
    mask = read_mask(path)
    assert sitk.GetArrayFromImage(mask.image)[blocks() == 3].tolist() == [1] * (blocks() == 3).sum()


def test_many_labels_and_one_that_is_empty(tmp_path):
    array = np.arange(300, dtype=np.uint16).reshape(3, 10, 10)
    segments = segments_of(**{f"thing {n}": n for n in range(1, 302)})
    path = tmp_path / "case.seg.nrrd"
    write_seg_nrrd(path, place(array, grid("LPS")), segments)
    found = slicerio.read_segmentation(str(path))
    assert len(found["segments"]) == 301
    np.testing.assert_array_equal(found["voxels"], array.T)


@pytest.mark.parametrize("spoil", ["voxels", "names"])
def test_a_file_that_differs_when_read_back_is_not_kept(tmp_path, monkeypatch, spoil):
    real = slicerio.write_segmentation

    def wrong(path, content, **how):
        if spoil == "voxels":
            content = content | {"voxels": np.roll(content["voxels"], 1, 0)}
        else:
            content = content | {"segments": content["segments"][:-1]}
        real(path, content, **how)

    monkeypatch.setattr(slicerio, "write_segmentation", wrong)
    with pytest.raises(UserError, match="read back, it does not hold what was written"):
        write_seg_nrrd(
            tmp_path / "a.seg.nrrd", place(blocks(), grid("LPS")), segments_of(sacrum=1, coccyx=2)
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_notes(tmp_path):
    for name in ("a", "b"):
        write_labels(tmp_path / "pred", name, place(blocks(), grid("LPS")), {"background": 0, "sacrum": 1,
                     "blob": 2, "left hip": 3, "coccyx": 4, "ignore": 5})  # fmt: skip
    written = export(tmp_path / "pred", Request(("seg.nrrd",), tmp_path / "out"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.seg.nrrd", "b.seg.nrrd"]
    assert [case.name for case in written] == ["a", "b"]
    assert any("'blob': coded as Tissue (85756007)" in note for note in written[0].notes)
    assert "without a voxel: coccyx" in written[0].notes
    found = slicerio.read_segmentation(str(tmp_path / "out" / "a.seg.nrrd"))
    assert slicerio.segment_names(found) == ["sacrum", "blob", "left hip", "coccyx"]


def test_labels_without_names_and_values_without_labels_are_errors(tmp_path):
    path = write_labels(
        tmp_path / "p" / "pred", "a", place(blocks(), grid("LPS")), {"background": 0, "sacrum": 1}
    )
    with pytest.raises(
        UserError, match=r"a: contains values \[2, 3\] that no label declares \(known: \[0, 1\]"
    ):
        export(path, Request(("seg.nrrd",), tmp_path / "out"))
    (path.parent / "dataset.json").unlink()
    with pytest.raises(UserError, match=r"no dataset\.json in or above the folder of .*-djfile"):
        export(path, Request(("seg.nrrd",), tmp_path / "out"))
    other = tmp_path / "names.json"
    other.write_text(json.dumps({"labels": {"background": 0, "bone": [1, 2, 3]}}))
    export(path, Request(("seg.nrrd",), tmp_path / "out", dataset_json=other))
    assert (tmp_path / "out" / "a.seg.nrrd").exists()


def test_nothing_to_export_is_an_error(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        export(tmp_path / "no", Request(("seg.nrrd",), tmp_path))
    with pytest.raises(UserError, match="no label map in"):
        export(tmp_path, Request(("seg.nrrd",), tmp_path))


def test_a_real_label_map_round_trips(shared_data, tmp_path):
    source = shared_data / "derived" / "sij_ct"
    path = source / "example_ct_sij_labels.nii.gz"
    names = tmp_path / "dataset.json"
    names.write_text(json.dumps({"labels": json.loads((source / "labels.json").read_text())}))
    (case,) = export(path, Request(("seg.nrrd",), tmp_path / "out", dataset_json=names))
    before, after = read_mask(path), read_mask(case.files[0])
    np.testing.assert_array_equal(*(sitk.GetArrayFromImage(m.image) for m in (before, after)))
    np.testing.assert_allclose(affine(before.image), affine(after.image), atol=1e-6)
    assert after.segments["L5"] == 4
    assert case.notes == ()


@pytest.mark.parametrize("ending", [".png", ".tif", ".mha", ".nii.gz"])
def test_a_2d_label_map_is_one_slice(tmp_path, ending):
    labels = blocks()[3]
    path = tmp_path / f"a{ending}"
    if ending in (".png", ".tif"):
        write_natural(path, [labels])
    else:
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((0.5, 0.25))
        sitk.WriteImage(image, str(path))
    names = tmp_path / "dataset.json"
    names.write_text(json.dumps({"labels": LABELS}))
    (case,) = export(path, Request(("seg.nrrd", "stl"), tmp_path / "out", dataset_json=names))
    mask = read_mask(tmp_path / "out" / "a.seg.nrrd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask.image)[0], labels)
    flat = ending in (".png", ".tif")
    assert mask.image.GetSpacing() == ((1, 1, 1) if flat else (0.5, 0.25, 1))
    assert any("states no directions" in note for note in case.notes)
    assert any("1 mm per pixel" in note for note in case.notes) == flat


def test_a_natural_image_has_no_series(tmp_path):
    write_natural(tmp_path / "a.png", [blocks()[3]])
    with pytest.raises(UserError, match=r"a\.png has no position in a patient"):
        export(tmp_path, Request(("seg.nrrd", "dicom-seg"), tmp_path / "out", dicom=tmp_path))
