"""DICOM SEG files for the tests, written with highdicom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.sr.codedict import codes


def write_seg(path: Path, structures: Mapping[str, np.ndarray], slices: Sequence[Path],
              kind: str = "BINARY") -> Path:  # fmt: skip
    """Write name -> voxels (z, y, x) as a SEG of a series; slices in the order of z."""
    images = [pydicom.dcmread(file) for file in slices]
    for image in images:
        image.PatientBirthDate = image.PatientSex = image.AccessionNumber = ""
        image.ReferringPhysicianName = ""
    arrays = list(structures.values())
    if kind == "LABELMAP":
        pixels = sum(array.astype(np.uint8) * (i + 1) for i, array in enumerate(arrays))
    else:
        pixels = np.stack(arrays, axis=-1).astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(structures, 1)
    ]
    made = hd.seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=hd.UID(),
        series_number=900,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)
    return path
