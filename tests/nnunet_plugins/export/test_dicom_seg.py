"""DICOM SEG: the mask on the source's grid in any orientation, and the object's attributes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import oriented, place
from dataset_conversion.phantoms.dicom import MR
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.dicom_seg import write_dicom_seg
from nnunet_plugins.export.run import Request, export
from nnunet_plugins.export.source_series import find_source

from .exporting import blocks, grid, near, patient, rounded, world_points, write_labels


def write(prediction, series, out, **how):
    (case,) = export(prediction, Request(("dicom-seg",), out, dicom=series, **how))
    return case, pydicom.dcmread(case.files[0])


def points_of(found):
    """Segment number -> positions of its pixels, from each frame's own header."""
    shared = found.SharedFunctionalGroupsSequence[0]
    down, across = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    rows = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    points = {}
    frames = found.pixel_array.reshape(-1, found.Rows, found.Columns)
    for frame, group in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        at = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        y, x = np.nonzero(frame)
        here = at + x[:, None] * across * rows[:3] + y[:, None] * down * rows[3:]
        number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        points.setdefault(number, set()).update(rounded(here))
    return {number: where for number, where in points.items() if where}


@pytest.mark.parametrize(
    ("code", "degrees"),
    [("LPS", 0), ("LPI", 0), ("RAS", 0), ("PSL", 0), ("AIR", 12), ("LIP", 0), ("SPL", 0), ("LPS", 33)],
)  # fmt: skip
def test_the_mask_is_on_the_right_voxels(tmp_path, code, degrees):
    series, prediction, array = patient(tmp_path, code, degrees)
    _, found = write(prediction, series, tmp_path / "out")
    points, truth = points_of(found), world_points(prediction)
    assert set(points) == set(truth) == {1, 2, 3}
    assert all(near(points[value], truth[value]) for value in truth)
    # Each slice with highdicom, which looks it up by its UID.
    seg = highdicom.seg.segread(tmp_path / "out" / "case1_seg.dcm")
    files = sorted(
        series.glob("*.dcm"), reverse=True
    )  # the phantom's last slice is in its first file
    uids = [pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in files]
    planes = seg.get_pixels_by_source_instance(
        uids, combine_segments=True, relabel=False, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(planes, array)


def test_it_refers_to_the_source_and_belongs_to_its_study(tmp_path):
    series, prediction, array = patient(tmp_path, scanner=MR)
    _, found = write(prediction, series, tmp_path / "out")
    source = [pydicom.dcmread(p, stop_before_pixels=True) for p in series.iterdir()]
    for name in (
        "PatientID",
        "PatientName",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "StudyDate",
    ):
        assert found[name].value == source[0][name].value
    assert found.Modality == "SEG"
    assert found.SegmentationType == "BINARY"
    assert found.SeriesInstanceUID != source[0].SeriesInstanceUID
    assert found.Manufacturer == "nnunet-plugins"
    (reference,) = found.ReferencedSeriesSequence
    assert reference.SeriesInstanceUID == source[0].SeriesInstanceUID
    assert {r.ReferencedSOPInstanceUID for r in reference.ReferencedInstanceSequence} == {
        s.SOPInstanceUID for s in source
    }
    used = {1: (1, 2, 3), 2: (3, 4, 5, 6, 7), 3: (7, 8)}  # slices, by hand from `blocks`
    assert int(found.NumberOfFrames) == sum(map(len, used.values()))
    assert [(array == value).any((1, 2)).nonzero()[0].tolist() for value in used] == [
        list(v) for v in used.values()
    ]


def test_segments_have_names_codes_sides_and_an_algorithm(tmp_path):
    series, prediction, _ = patient(tmp_path)
    case, found = write(prediction, series, tmp_path / "out")
    shown = [(s.SegmentNumber, s.SegmentLabel, s.SegmentedPropertyTypeCodeSequence[0].CodeValue)
             for s in found.SegmentSequence]  # fmt: skip
    assert shown == [(1, "sacrum", "54735007"), (2, "left ilium", "22356005"),
                     (3, "right ilium", "22356005"), (4, "coccyx", "64688005")]  # fmt: skip
    kinds = [s.SegmentedPropertyTypeCodeSequence[0] for s in found.SegmentSequence]
    sides = [k.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning for k in kinds[1:3]]
    assert sides == ["Left", "Right"]
    assert "SegmentedPropertyTypeModifierCodeSequence" not in kinds[0]
    for segment in found.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == "nnU-Net"
        assert len(segment.RecommendedDisplayCIELabValue) == 3
    assert "without a voxel: coccyx" in case.notes


def test_regions_may_overlap(tmp_path):
    series, prediction, _ = patient(tmp_path, "PSL")
    write_labels(prediction.parent, "case1", sitk.ReadImage(str(prediction)),
                 {"background": 0, "spine": [1, 2, 3], "disc": 2}, regions_class_order=[1, 2])  # fmt: skip
    _, found = write(prediction, series, tmp_path / "out")
    points, truth = points_of(found), world_points(prediction)
    assert near(points[1], truth[1] | truth[2] | truth[3])
    assert near(points[2], truth[2])


def test_a_label_map_without_labels(tmp_path):
    series, prediction, array = patient(tmp_path)
    write_labels(prediction.parent, "case1", place(np.zeros_like(array), grid("LPS")))
    case, found = write(prediction, series, tmp_path / "out")
    assert points_of(found) == {}
    assert any("without a voxel: sacrum, left ilium" in note for note in case.notes)


def test_a_cropped_prediction_is_placed_on_the_series(tmp_path):
    series, prediction, array = patient(tmp_path)
    image = place(array, grid("LPS"))
    write_labels(prediction.parent, "case1", image[2:, 1:, 1:8])
    _, found = write(prediction, series, tmp_path / "out")
    points, truth = points_of(found), world_points(prediction)
    assert set(points) == set(truth)
    assert all(near(points[value], truth[value]) for value in truth)


@pytest.mark.parametrize("what", ["shifted", "spacing", "elsewhere"])
def test_another_grid_is_an_error(tmp_path, what):
    series, prediction, array = patient(tmp_path)
    matrix = grid("LPS")
    if what == "shifted":
        matrix[0, 3] += 0.4 * 0.8  # 0.4 voxels
    elif what == "spacing":
        matrix[:3, :3] = matrix[:3, :3] * 0.9
    else:
        matrix[2, 3] += 500
    write_labels(prediction.parent, "case1", place(array, matrix))
    with pytest.raises(DatasetError, match=r"not aligned with its image|another grid"):
        write(prediction, series, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_thirtieth_of_a_voxel_is_rounding(tmp_path):
    series, prediction, array = patient(tmp_path)
    matrix = grid("LPS")
    matrix[:3, 3] += 0.03 * np.array([0.8, 1.1, 2.5])
    write_labels(prediction.parent, "case1", place(array, matrix))
    _, found = write(prediction, series, tmp_path / "out")
    assert set(points_of(found)) == {1, 2, 3}


def test_empty_uids_are_derived_and_reported(tmp_path):
    bare = {"StudyInstanceUID": "", "SeriesInstanceUID": "", "FrameOfReferenceUID": None,
            "PatientName": None, "StudyID": None, "StudyDate": None}  # fmt: skip
    series, prediction, _ = patient(tmp_path, tags=bare)
    case, found = write(prediction, series, tmp_path / "out")
    assert any(
        "has no StudyInstanceUID, SeriesInstanceUID, FrameOfReferenceUID" in n for n in case.notes
    )
    _, again = write(prediction, series, tmp_path / "again")
    assert found.StudyInstanceUID == again.StudyInstanceUID != ""
    assert found.PatientName == ""


def test_slices_without_a_uid_are_reported(tmp_path):
    series, prediction, _ = patient(tmp_path, tags={"SOPInstanceUID": None}, preamble=False)
    case, found = write(prediction, series, tmp_path / "out")
    assert any("9 slices have no SOPInstanceUID" in note for note in case.notes)
    assert near(points_of(found)[2], world_points(prediction)[2])
    references = found.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert len({r.ReferencedSOPInstanceUID for r in references}) == 9


def test_the_patients_name_is_in_the_object_only(tmp_path, capsys):
    series, prediction, _ = patient(
        tmp_path, tags={"PatientName": "Quill^Ada", "PatientID": "Q-77"}
    )
    out = tmp_path / "out"
    assert main(["export", str(prediction), "--dicom", str(series), "-o", str(out)]) == 0
    printed = "".join(capsys.readouterr())
    others = b"".join(p.read_bytes() for p in out.iterdir() if p.suffix != ".dcm")
    for name in ("Quill", "Ada", "Q-77"):
        assert name not in printed
        assert name not in " ".join(p.name for p in out.iterdir())
        assert name.encode() not in others
    assert pydicom.dcmread(out / "case1_seg.dcm").PatientID == "Q-77"


def test_the_series_with_the_predictions_grid_is_chosen(tmp_path):
    series, prediction, _ = patient(tmp_path)
    other = tmp_path / "other"
    patient(other, "PSL")
    (other / "series").rename(series / "second")
    for path in (series / "second").iterdir():
        item = pydicom.dcmread(path)
        item.SeriesInstanceUID += ".2"
        item.save_as(path)
    _, found = write(prediction, series, tmp_path / "out")
    assert near(points_of(found)[1], world_points(prediction)[1])


def test_several_cases_need_one_folder_per_case(tmp_path):
    series, prediction, array = patient(tmp_path / "a")
    write_labels(prediction.parent, "case2", place(array, grid("LPS")))
    request = Request(("dicom-seg",), tmp_path / "out", dicom=series)
    with pytest.raises(UserError, match="contains no folder case1; for several cases"):
        export(prediction.parent, request)
    with pytest.raises(UserError, match="pass --dicom SERIES_DIR"):
        export(prediction, Request(("dicom-seg",), tmp_path / "out"))
    with pytest.raises(UserError, match="contains no DICOM images"):
        export(prediction, Request(("dicom-seg",), tmp_path / "out", dicom=prediction.parent))


def test_a_real_series(shared_data, tmp_path):
    folder = shared_data / "dicom_ct"
    mask = nib.load(folder / "example_seg_dicom.nii.gz")
    values = np.asarray(mask.dataobj)
    every = [int(v) for v in np.unique(values) if v]
    labels = {"background": 0, "all": every, "one": max(every, key=lambda v: (values == v).sum())}
    names = tmp_path / "dataset.json"
    names.write_text(json.dumps({"labels": labels}))
    case, found = write(
        folder / "example_seg_dicom.nii.gz", folder / "series", tmp_path / "out", dataset_json=names
    )
    to_index = np.linalg.inv(np.diag([-1.0, -1, 1, 1]) @ mask.affine)
    shared = found.SharedFunctionalGroupsSequence[0]
    rows = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    down, across = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    y, x = np.indices((found.Rows, found.Columns))
    total = 0
    frames = found.pixel_array.reshape(-1, found.Rows, found.Columns)
    for frame, group in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        at = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        points = at + x[..., None] * across * rows[:3] + y[..., None] * down * rows[3:]
        index = points @ to_index[:3, :3].T + to_index[:3, 3]
        assert np.abs(index - np.rint(index)).max() < 0.05
        i, j, k = np.rint(index).astype(int).transpose(2, 0, 1)
        number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        np.testing.assert_array_equal(
            frame > 0, np.isin(values[i, j, k], list(labels.values())[number])
        )
        total += int(frame.sum())
    assert total == (values > 0).sum() + (values == labels["one"]).sum()  # all slices
    assert any("has no StudyInstanceUID" in note for note in case.notes)


@pytest.mark.parametrize("slices", [slice(2, 5), slice(3, 4)])
def test_a_model_of_one_label(tmp_path, slices):
    """What all frames have in common, such as the segment's number, is stated once."""
    series, prediction, array = patient(tmp_path)
    one = np.zeros_like(array)
    one[slices, 4:9, 3:8] = 1
    names = {"background": 0, "fat metaplasia": 1}
    write_labels(prediction.parent, "case1", oriented(place(one, grid("LPS"))), names)
    _, found = write(prediction, series, tmp_path / "out")
    assert int(found.pixel_array.sum()) == int(one.sum())
    assert [item.SegmentLabel for item in found.SegmentSequence] == ["fat metaplasia"]


def test_lps_and_as_scanned_give_the_same_object(tmp_path):
    series, prediction, array = patient(tmp_path, "AIR")
    _, one = write(prediction, series, tmp_path / "one")
    write_labels(prediction.parent, "case1", place(blocks(), grid("AIR")))
    _, two = write(prediction, series, tmp_path / "two")
    assert one.PixelData == two.PixelData
    assert oriented(place(array, grid("AIR"))).GetSize() != tuple(array.shape[::-1])


@pytest.mark.parametrize("code", ["LPS", "PSL"])
def test_dcmqi_reads_the_same_voxels(tmp_path, code):
    """3D Slicer reads DICOM SEG with dcmqi."""
    dcmqi = pytest.importorskip("dcmqi")
    series, prediction, _ = patient(tmp_path, code)
    write(prediction, series, tmp_path / "out")
    (tmp_path / "read").mkdir()
    program = Path(dcmqi.__file__).parent / "bin" / "segimage2itkimage"
    done = subprocess.run(
        [program, "--inputDICOM", tmp_path / "out" / "case1_seg.dcm", "--outputDirectory", tmp_path / "read",
         "--outputType", "nii"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    truth = world_points(prediction)
    for number in (1, 2, 3):
        read = world_points(tmp_path / "read" / f"{number}.nii.gz")
        assert near(set().union(*read.values()), truth[number])
    told = json.loads((tmp_path / "read" / "meta.json").read_text())
    kinds = [entry[0] for entry in told["segmentAttributes"]]
    assert {k["SegmentLabel"] for k in kinds} >= {"sacrum", "left ilium", "right ilium"}
    (left,) = [k for k in kinds if k["SegmentLabel"] == "left ilium"]
    assert left["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Left"


def test_an_enhanced_series_is_an_error(tmp_path):
    series, prediction, _ = patient(tmp_path)
    source = find_source(series)
    frames = tuple(replace(item, frame=i) for i, item in enumerate(source.series.slices))
    source = replace(source, series=replace(source.series, slices=frames))
    with pytest.raises(UserError, match=r"enhanced \(multi-frame\) series; .* leave dicom-seg out"):
        write_dicom_seg(tmp_path / "a.dcm", sitk.ReadImage(str(prediction)), [], source)


def test_an_error_of_highdicom_is_one_line(tmp_path, monkeypatch):
    series, prediction, _ = patient(tmp_path)

    def refuse(*_, **__):
        raise AttributeError("no such tag")

    monkeypatch.setattr(highdicom.seg, "Segmentation", refuse)
    with pytest.raises(UserError, match=r"highdicom cannot write a DICOM SEG .*no such tag"):
        write(prediction, series, tmp_path / "out")
    assert not (tmp_path / "out").exists()
