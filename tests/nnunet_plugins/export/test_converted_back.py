"""What `export` writes as DICOM SEG, `convert` reads back voxel for voxel."""

from __future__ import annotations

import json
import shutil

import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.hospital_ct import Options, convert
from nnunet_plugins.export.run import Request, export

from .exporting import LABELS, near, patient, world_points


@pytest.mark.parametrize(("code", "degrees"), [("LPS", 0), ("RAS", 0), ("PSL", 0), ("LPS", 33)])
def test_an_exported_seg_is_converted_to_the_same_voxels(tmp_path, code, degrees):
    series, prediction, _ = patient(tmp_path, code, degrees)
    export(prediction, Request(("dicom-seg",), tmp_path / "out", dicom=series))
    for name in ("p0", "p1"):
        shutil.copytree(series, tmp_path / "source" / name / "ct")
    (written,) = (tmp_path / "out").glob("*.dcm")
    shutil.copy(written, tmp_path / "source" / "p0" / "prediction.dcm")
    change_one_voxel(tmp_path / "source" / "p1" / "ct")
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    convert(tmp_path / "source", tmp_path / "raw", 660,
            options=Options(labels=tmp_path / "labels.json", keep_names=True, sides_as_labelled=True))  # fmt: skip
    (folder,) = (tmp_path / "raw").glob("Dataset*")
    found = world_points(folder / "labelsTr" / "p0.nii.gz")
    expected = world_points(prediction)
    assert found.keys() == expected.keys()
    assert all(near(found[value], expected[value]) for value in expected)
    assert sitk.ReadImage(str(folder / "labelsTr" / "p0.nii.gz")).GetSize()[2] > 1


def change_one_voxel(folder):
    import pydicom

    path = min(folder.iterdir())
    image = pydicom.dcmread(path)
    image.PixelData = b"\x01\x00" + image.PixelData[2:]
    image.save_as(path)
