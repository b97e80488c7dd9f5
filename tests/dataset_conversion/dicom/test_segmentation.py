"""Frames of DICOM SEG at their positions on the grid of the image."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.segmentation import read_segmentation
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.segments import PLAIN
from dataset_conversion.io.volumes import Header
from tests.dataset_conversion.making import AFFINE, SHAPE, labels, series
from tests.dataset_conversion.segmentations import write_seg

GRID = Header(SHAPE[::-1], AFFINE)
MASK = labels()
MASK[0] = MASK[2]  # slice 1 has no frame


@pytest.fixture
def path(tmp_path):
    return write_seg(
        tmp_path / "seg.dcm", {"a": MASK == 1, "b": MASK == 2}, series(tmp_path / "ct")
    )


def change(path, edit):
    found = pydicom.dcmread(path)
    edit(found)
    found.save_as(path)
    return path


def move(found, mm):
    for group in found.PerFrameFunctionalGroupsSequence:
        plane = group.PlanePositionSequence[0]
        at = np.array(plane.ImagePositionPatient, float) + mm
        plane.ImagePositionPatient = [f"{value:.6g}" for value in at]


def test_frames_are_placed_and_missing_ones_are_empty(path):
    found = read_segmentation(path, GRID, PLAIN)
    assert found.segments == {"a": 1, "b": 2}
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found.image), MASK)


def test_an_image_stored_in_other_directions_gets_the_same_voxels(path):
    turned = AFFINE.copy()
    turned[:3, :3] = -AFFINE[:3, [1, 0, 2]]
    turned[:3, 3] = AFFINE[:3] @ (SHAPE[2] - 1, SHAPE[1] - 1, SHAPE[0] - 1, 1)
    found = read_segmentation(path, Header((SHAPE[1], SHAPE[2], SHAPE[0]), turned), PLAIN)
    expected = MASK[::-1, ::-1, ::-1].transpose(0, 2, 1)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found.image), expected)


@pytest.mark.parametrize(
    ("mm", "message"),
    [((0.4, 0, 0), "is not on the voxel grid"), ((0, 0, -5.0), "outside the image")],
)
def test_frames_off_the_grid_or_outside_stop(path, mm, message):
    change(path, lambda found: move(found, mm))
    with pytest.raises(DatasetError, match=message):
        read_segmentation(path, GRID, PLAIN)


def test_two_segments_of_one_name_stop(path):
    change(path, lambda found: setattr(found.SegmentSequence[1], "SegmentLabel", "A"))
    with pytest.raises(DatasetError, match="segment 2 has the name 'A', blank or that of another"):
        read_segmentation(path, GRID, PLAIN)


def test_a_frame_of_an_unknown_segment_stops(path):
    def edit(found):
        group = found.PerFrameFunctionalGroupsSequence[0]
        group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7

    with pytest.raises(DatasetError, match="frames without a known segment"):
        read_segmentation(change(path, edit), GRID, PLAIN)


@pytest.mark.parametrize("length", [-40, 1000])
def test_a_truncated_file_stops(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        DatasetError, match=r"seg\.dcm: the DICOM SEG (cannot be read|is truncated)"
    ):
        read_segmentation(path, GRID, PLAIN)
