"""Multi-frame DICOM: every frame has its own position and rescaling."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from dataset_conversion.datasets.patient_folder import read_patient
from dataset_conversion.dicom import pixels as dicom_pixels
from dataset_conversion.dicom.series import read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.phantoms.dicom import write_series
from tests.dataset_conversion.dicom.reading import find, values
from tests.dataset_conversion.making import AFFINE, ct, image, labels, nifti, series

ORDER = [3, 0, 5, 1, 4, 2]  # order of the frames in the file


def item(**fields):
    made = Dataset()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def fail(_):
    raise RuntimeError("no decoder")


def enhanced(folder, *, order=ORDER, matrix=AFFINE, slopes=None, offsets=None, groups=None):
    """Write `ct()` as one enhanced file; `slopes` and `offsets` are in the order of slices.

    `groups` are more functional groups of each frame, in the order of the file.
    """
    path = series(folder)[0]
    data = pydicom.dcmread(path)
    for other in folder.iterdir():
        other.unlink()
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                 "RescaleSlope", "RescaleIntercept"):  # fmt: skip
        delattr(data, name)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    rows = (matrix[:3, :2] / spacing[:2]).T.ravel()
    data.SharedFunctionalGroupsSequence = Sequence([item(
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[float(v) for v in rows])]),
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[spacing[1], spacing[0]], SliceThickness=1)]),
    )])  # fmt: skip
    slopes, offsets = slopes or [1.0] * 6, offsets or [-1024.0] * 6
    frames, planes = [], []
    for place in order:
        position = (matrix @ [0, 0, place, 1])[:3]
        frames.append(item(
            PlanePositionSequence=Sequence([item(ImagePositionPatient=[float(v) for v in position])]),
            PixelValueTransformationSequence=Sequence(
                [item(RescaleSlope=slopes[place], RescaleIntercept=offsets[place], RescaleType="HU")]),
        ))  # fmt: skip
        for name, fields in (groups[len(planes)] if groups else {}).items():
            setattr(frames[-1], name, Sequence([item(**fields)]))
        planes.append(((ct()[place] - offsets[place]) / slopes[place]).round().astype("<u2"))
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.NumberOfFrames = len(order)
    data.PixelData = np.stack(planes).tobytes()
    data.save_as(folder / "enhanced.dcm")
    return folder / "enhanced.dcm"


def test_frames_in_any_order_give_the_volume(tmp_path):
    enhanced(tmp_path)
    found, notes = find(tmp_path)
    assert notes == []
    assert found.paths == (tmp_path / "enhanced.dcm",)
    read = read_series(found, "p")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), ct())
    np.testing.assert_allclose(affine(read), AFFINE, atol=1e-6)


def test_each_frame_has_its_own_rescaling(tmp_path):
    offsets = [-1024.0, -1000.0, -2000.0, -1024.0, -1500.0, -1100.0]
    enhanced(tmp_path, slopes=[1.0, 0.5, 1.0, 0.5, 1.0, 1.0], offsets=offsets)
    np.testing.assert_array_equal(values(tmp_path), ct())


def test_compressed_frames_are_read(tmp_path):
    data = pydicom.dcmread(enhanced(tmp_path))
    data.compress(RLELossless)
    data.save_as(tmp_path / "enhanced.dcm")
    np.testing.assert_array_equal(values(tmp_path), ct())


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1, 2, 4, 5], r"usually 2\.500 mm, but 5\.000 mm between enhanced.dcm frame 3"),
        ([0, 1, 2, 2, 3, 4], "1 slices have the position of another, first enhanced.dcm frame"),
    ],
)
def test_frames_that_form_no_regular_volume_stop(tmp_path, order, message):
    enhanced(tmp_path, order=order)
    with pytest.raises(DatasetError, match=message):
        find(tmp_path)


def test_tilted_frames_stop(tmp_path):
    matrix = AFFINE.copy()
    matrix[1, 2] = 2.5 * np.tan(np.radians(14))
    enhanced(tmp_path, matrix=matrix)
    with pytest.raises(DatasetError, match=r"tilted by 14\.0 degrees"):
        find(tmp_path)


def test_frames_without_a_position_stop(tmp_path):
    data = pydicom.dcmread(enhanced(tmp_path))
    del data.PerFrameFunctionalGroupsSequence
    data.save_as(tmp_path / "enhanced.dcm")
    with pytest.raises(DatasetError, match=r"multi-frame DICOM \(6 frames\) without a position"):
        find(tmp_path)


def test_pydicom_decodes_what_itk_cannot(tmp_path, monkeypatch):
    files = series(tmp_path)
    data = pydicom.dcmread(files[2])
    data.RescaleSlope, data.RescaleIntercept = 0.5, -7
    data.save_as(files[2])
    found, _ = find(tmp_path)
    by_itk = sitk.GetArrayFromImage(read_series(found, "p"))
    monkeypatch.setattr(dicom_pixels, "_by_itk", fail)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), by_itk)
    monkeypatch.setattr(pydicom.dataset.Dataset, "pixel_array", property(fail))
    with pytest.raises(
        DatasetError, match=r"p: the pixels of .*transfer syntax Explicit VR Little"
    ):
        read_series(found, "p")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian,
                                    DeflatedExplicitVRLittleEndian, RLELossless])  # fmt: skip
@pytest.mark.parametrize("by", ["itk", "pydicom"])
def test_every_available_transfer_syntax_gives_the_same_values(tmp_path, monkeypatch, syntax, by):
    for path in series(tmp_path):
        data = pydicom.dcmread(path)
        if syntax == RLELossless:
            data.compress(RLELossless)
        elif syntax == ExplicitVRBigEndian:
            data.PixelData = data.pixel_array.astype(">u2").tobytes()
        data.file_meta.TransferSyntaxUID = syntax
        endian = {"little_endian": syntax.is_little_endian, "implicit_vr": syntax.is_implicit_VR}
        with path.open("wb") as stream:
            pydicom.dcmwrite(stream, data, enforce_file_format=True,
                             **({} if syntax == RLELossless else endian))  # fmt: skip
    if by == "pydicom":
        monkeypatch.setattr(dicom_pixels, "_by_itk", fail)
    found, _ = find(tmp_path)
    read = read_series(found, "p")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), ct())
    np.testing.assert_allclose(affine(read), AFFINE, atol=1e-6)


def test_palette_colours_stop(tmp_path):
    series(tmp_path, tags={"PhotometricInterpretation": "PALETTE COLOR"})
    with pytest.raises(DatasetError, match="PALETTE COLOR"):
        find(tmp_path)


def test_the_mask_selects_one_of_several_series(tmp_path):
    shifted = AFFINE.copy()
    shifted[:3, 3] += [0, 0, 33]
    series(tmp_path / "a", 1, key="a")
    write_series(tmp_path / "b", ct(2), shifted, key="b")
    turned = sitk.DICOMOrient(image(labels(), shifted), "RAS")
    sitk.WriteImage(turned, str(tmp_path / "mask.nii.gz"))
    patient = read_patient(tmp_path, mask_pattern="mask", modality="CT", series=None)
    read = sitk.GetArrayFromImage(read_series(patient.image, "p"))
    np.testing.assert_array_equal(read, ct(2))
    assert "of 2 DICOM series, used the one that the mask is aligned with" in patient.notes


def test_a_mask_aligned_with_both_series_selects_none(tmp_path):
    series(tmp_path / "a", 1, key="a", tags={"SeriesDescription": "Bone"})
    series(tmp_path / "b", 2, key="b", tags={"SeriesDescription": "Soft"})
    nifti(tmp_path / "mask.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"2 DICOM series.*Bone.*Soft.*--series TEXT"):
        read_patient(tmp_path, mask_pattern="mask", modality="CT", series=None)
    chosen = read_patient(tmp_path, mask_pattern="mask", modality="CT", series="soft")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(chosen.image, "p")), ct(2))


@pytest.mark.parametrize(
    ("sequence", "name", "values", "choice"),
    [
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2), "TemporalPositionIdentifier=2"),
        ("FrameContentSequence", "StackID", ("1", "2"), "StackID=2"),
        ("FrameContentSequence", "FrameAcquisitionNumber", (1, 2), "acquisition 2"),
        ("MREchoSequence", "EffectiveEchoTime", (2.4, 4.8), "EchoTime=4.8"),
        ("MRDiffusionSequence", "DiffusionBValue", (0.0, 800.0), "DiffusionBValue=800"),
        ("CTReconstructionSequence", "ConvolutionKernel", ("B30f", "B70f"), "ConvolutionKernel=B70f"),
        ("MRImageFrameTypeSequence", "FrameType", (["ORIGINAL", "M"], ["ORIGINAL", "P"]), "ImageType=P"),
    ],
)  # fmt: skip
def test_two_volumes_in_one_file(tmp_path, sequence, name, values, choice):
    groups = [{sequence: {name: values[index % 2]}} for index in range(6)]
    enhanced(tmp_path, order=[0, 0, 1, 1, 2, 2], groups=groups)
    with pytest.raises(DatasetError, match=f"one DICOM series with 2 volumes.*--series '{choice}'"):
        find(tmp_path)
    found, _ = find(tmp_path, description=choice)
    assert [one.frame for one in found.slices] == [1, 3, 5]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), ct()[:3])


def test_stacks_of_two_angles_in_one_file(tmp_path):
    turned = {"PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}}
    position = [
        {"PlanePositionSequence": {"ImagePositionPatient": [0, 2.0 * y, 0]}} for y in range(3)
    ]
    enhanced(tmp_path, order=range(6), groups=[{}] * 3 + [{**turned, **at} for at in position])
    with pytest.raises(DatasetError, match=r"2 stacks.*--series 'axial'.*--series 'coronal'"):
        find(tmp_path)
    found, _ = find(tmp_path, description="coronal")
    assert found.affine[1, 2] == pytest.approx(2.0)


def test_each_frame_of_a_helical_scan_has_its_own_acquisition(tmp_path):
    groups = [{"FrameContentSequence": {"FrameAcquisitionNumber": n}} for n in range(6)]
    enhanced(tmp_path, groups=groups)
    np.testing.assert_array_equal(values(tmp_path), ct())
