"""Write the contours of structures as a DICOM RTSTRUCT, as exported from radiotherapy planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage
from skimage.measure import find_contours

from dataset_conversion.phantoms.dicom import uid


def write_structure_set(path: Path, structures: Mapping[str, np.ndarray], slices: Sequence[Path],
                        affine: np.ndarray, *, named_series: bool = True) -> Path:  # fmt: skip
    """Write closed contours halfway between the voxels inside and outside, holes as contours of their own.

    Args:
        path: the file.
        structures: name -> voxels (z, y, x).
        slices: files of the series that the contours are drawn on, in the order of z.
        affine: 4 x 4 from index (x, y, z) to LPS mm.
        named_series: refer to the series and its images; otherwise to the frame of reference only.
    """
    first = pydicom.dcmread(slices[0], stop_before_pixels=True)
    made = _header(first)
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, voxels) in enumerate(structures.items(), 1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        made.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = [
            _contour(points, z, affine)
            for z, plane in enumerate(voxels)
            for points in find_contours(np.pad(plane, 1).astype(float), 0.5)
        ]
        made.ROIContourSequence.append(drawn)
    if named_series:
        made.ReferencedFrameOfReferenceSequence = [_reference(first, slices)]
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def _header(first: Any) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = uid(first.SeriesInstanceUID, "structure set")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    made.Modality, made.StructureSetLabel = "RTSTRUCT", "PHANTOM"
    made.PatientID, made.PatientName = first.PatientID, first.PatientName
    made.StudyInstanceUID = first.StudyInstanceUID
    made.SeriesInstanceUID = uid(first.SeriesInstanceUID, "structures")
    return made


def _contour(points: np.ndarray, z: int, affine: np.ndarray) -> Dataset:
    """Return a contour of (row, column) points of a padded plane."""
    index = np.c_[points[:, 1] - 1, points[:, 0] - 1, np.full(len(points), z), np.ones(len(points))]
    item = Dataset()
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(points)
    item.ContourData = [f"{value:.6g}" for value in (index @ affine.T)[:, :3].ravel()]
    return item


def _reference(first: Any, slices: Sequence[Path]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ContourImageSequence = []
    for path in slices:
        image = Dataset()
        header = pydicom.dcmread(path, stop_before_pixels=True)
        image.ReferencedSOPClassUID = header.SOPClassUID
        image.ReferencedSOPInstanceUID = header.SOPInstanceUID
        series.ContourImageSequence.append(image)
    study, frame = Dataset(), Dataset()
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame
