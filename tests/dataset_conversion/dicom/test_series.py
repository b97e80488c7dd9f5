import warnings

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.series import find_series, read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine
from dataset_conversion.phantoms.dicom import write_series
from tests.dataset_conversion.dicom.reading import find
from tests.dataset_conversion.making import AFFINE, ct, series

Z = np.arange(6)


def at(offsets, lean=0.0):
    """Positions of slices at `offsets` mm along z, sheared along y."""
    offsets = np.asarray(offsets, float)
    return AFFINE[:3, 3] + np.stack([0 * offsets, lean * offsets, offsets], axis=1)


def assert_volume(image, array, matrix=AFFINE):
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
    np.testing.assert_allclose(affine(image), matrix, atol=1e-6)


def test_a_series_in_reverse_order_is_sorted(tmp_path):
    series(tmp_path)
    found, notes = find(tmp_path)
    assert found.patient == "PHANTOM"
    assert notes == []
    assert_volume(read_series(found, "p"), ct())


def test_an_oblique_series_keeps_its_direction(tmp_path):
    c, s = np.cos(0.4), np.sin(0.4)
    turn = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    write_series(tmp_path, ct(), turn @ AFFINE, key="o")
    assert_volume(read_series(find(tmp_path)[0], "p"), ct(), turn @ AFFINE)


def test_each_slice_has_its_own_rescaling(tmp_path):
    files = series(tmp_path)
    data = pydicom.dcmread(files[3])
    data.RescaleSlope, data.RescaleIntercept = 0.5, -7
    data.save_as(files[3])
    read = sitk.GetArrayFromImage(read_series(find(tmp_path)[0], "p"))
    expected = ct().astype(float)
    expected[3] = (ct()[3].astype(float) + 1024) * 0.5 - 7
    np.testing.assert_allclose(read, expected)


def test_files_without_preamble_are_read(tmp_path):
    series(tmp_path, preamble=False)
    for path in tmp_path.iterdir():
        path.rename(path.with_suffix(""))  # nor a suffix
    found, _ = find(tmp_path)
    assert found.slices[0].headless
    assert_volume(read_series(found, "p"), ct())


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (at(2.5 * Z, lean=np.tan(np.radians(14))), r"tilted by 14\.0 degrees"),
        (at([0, 2.5, 5, 10, 12.5, 15]), r"usually 2\.500 mm, but 5\.000 mm between IM0004"),
        (at([0, 2.5, 2.5, 5, 7.5, 10]), "1 slices have the position of another"),
    ],
)
def test_positions_of_no_regular_volume_stop(tmp_path, positions, message):
    series(tmp_path, positions=positions)
    with pytest.raises(DatasetError, match=message):
        find(tmp_path)


def test_gaps_even_within_one_percent_pass(tmp_path):
    series(tmp_path, positions=at([0, 2.51, 5, 7.49, 10, 12.5]))
    spacing = read_series(find(tmp_path)[0], "p").GetSpacing()
    assert spacing == pytest.approx((0.8, 0.9, 2.5))


def test_two_orientations_under_one_uid_are_two_stacks(tmp_path):
    files = series(tmp_path)
    for path in files[:3]:
        data = pydicom.dcmread(path)
        data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        data.save_as(path)
    with pytest.raises(DatasetError, match=r"one DICOM series with 2 stacks.*3 slices.*sagittal"):
        find(tmp_path)


def test_several_series_are_listed_and_can_be_chosen(tmp_path):
    series(tmp_path / "a", 1, key="a", tags={"SeriesDescription": "Bone 1.5"})
    series(tmp_path / "b", 2, key="b", tags={"SeriesDescription": "Soft 5.0"})
    with pytest.raises(DatasetError, match=r"2 DICOM series.*6 slices of 12x14 'Bone 1.5'.*Soft"):
        find(tmp_path)
    assert_volume(read_series(find(tmp_path, description="soft")[0], "p"), ct(2))
    uid = str(pydicom.dcmread(next((tmp_path / "a").iterdir())).SeriesInstanceUID)
    assert_volume(read_series(find(tmp_path, description=uid[-12:])[0], "p"), ct(1))
    with pytest.raises(DatasetError, match="no series matches --series 'lung'"):
        find(tmp_path, description="lung")


def test_localizers_reports_and_other_modalities_are_skipped(tmp_path):
    series(tmp_path / "ct")
    series(tmp_path / "loc", key="l", tags={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    series(tmp_path / "sr", key="s", tags={"Modality": "SR"})
    series(tmp_path / "seg", key="g", tags={"Modality": "SEG"})
    series(tmp_path / "pt", key="p", tags={"Modality": "PT"})
    found, notes = find(tmp_path)
    assert_volume(read_series(found, "p"), ct())
    assert any("SEG object is not read" in note for note in notes)
    assert any("skipped DICOM series of modality PT" in note for note in notes)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "MR"}, "Modality is MR, expected CT"),
        ({"ImagePositionPatient": None}, "lacks ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "lacks ImageOrientationPatient"),
        ({"PixelSpacing": None}, "lacks PixelSpacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 0.8, 0]}, "not orthogonal"),
        ({"SamplesPerPixel": 3, "BitsAllocated": 5}, r"3 values per pixel \(RGB\)"),
        ({"NumberOfFrames": 2, "BitsAllocated": 8}, r"multi-frame DICOM \(2 frames\)"),
    ],
)
def test_headers_without_a_valid_geometry_stop(tmp_path, tags, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series(tmp_path, tags=tags)
    with pytest.raises(DatasetError, match=message):
        find(tmp_path)


def test_a_single_slice_stops(tmp_path):
    for path in series(tmp_path)[1:]:
        path.unlink()
    with pytest.raises(DatasetError, match="has 1 slice, a volume needs 2 or more"):
        find(tmp_path)


@pytest.mark.parametrize("keep", [-100, 400], ids=["pixels", "header"])
def test_a_truncated_file_stops(tmp_path, keep):
    path = series(tmp_path)[2]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match=f"{path.name}: .*truncated|{path.name}.*damaged"):
        find(tmp_path)


def test_a_folder_without_dicom_has_no_series(tmp_path):
    (tmp_path / "notes.txt").write_text("a text, not DICOM, longer than the preamble" * 5)
    assert find(tmp_path) == (None, [])


@pytest.mark.parametrize(
    ("folder", "modality", "message"),
    [
        ("dicom_odd/failing/gantrytilting", "CT", r"tilted by 14\.0 degrees"),
        ("dicom_odd/failing/sliceincrement/001", "CT", r"usually 5\.000 mm, but 10\.000 mm"),
        ("dicom_odd/failing/sliceincrement/002", "CT", r"tilted by 15\.5 degrees.*uneven gaps"),
        ("dicom_odd/generic/rgb", "CT", "Modality is MR"),
        ("dicom_odd/generic/rgb", "MR", "RGB"),
        ("dicom_odd/generic/compressed_j2k", "CT", "Modality is MR"),
        ("pydicom_small/CT_small.dcm", "CT", "1 slice"),
        ("pydicom_small/MR_small_bigendian.dcm", "MR", "1 slice"),
        ("pydicom_small/MR_truncated.dcm", "MR", "truncated"),
        ("pydicom_small/no_meta.dcm", "CT", "without a readable header"),
    ],
)
def test_invalid_real_files_stop(shared_data, folder, modality, message):
    path = shared_data / folder
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    with pytest.raises(DatasetError, match=message):
        find_series(files, "patient", modality=modality)


def test_a_real_jpeg_2000_series_is_read(shared_data):
    folder = shared_data / "dicom_odd" / "generic" / "compressed_j2k"
    found, _ = find(folder, modality="MR")
    image = read_series(found, "p")
    assert image.GetSize() == (256, 256, 4)
    # Orientation [0 1 0 0 0 -1]: the normal points to the right, so the lowest slice is leftmost.
    np.testing.assert_allclose(image.GetOrigin(), (-100.794158, -161.074673, 130.051254), atol=1e-4)
    np.testing.assert_allclose(image.GetDirection(), (0, 0, -1, 1, 0, 0, 0, -1, 0), atol=1e-9)
    assert sitk.GetArrayFromImage(image).max() > 100
