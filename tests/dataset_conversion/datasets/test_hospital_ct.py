"""Hospital CT: voxels, privacy, window, real files."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.phantoms.sij_ct import write_patients
from tests.dataset_conversion.datasets.comparing import assert_absent, dataset_json
from tests.dataset_conversion.datasets.hospital import NAME, run
from tests.dataset_conversion.making import SMALL, ct, label_file, labels, nifti


def by_case(folder):
    """Images of a folder by case id (prefix and digest)."""
    return {p.name[:14]: sitk.ReadImage(str(p)) for p in sorted(folder.glob("*.nii.gz"))}


@pytest.fixture(scope="module")
def converted(phantoms, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    report = convert(phantoms, raw, 660, options=Options(labels=phantoms / "labels.json"))
    return report, raw / NAME


def test_labels_and_channel(converted):
    report, folder = converted
    assert (report.written, report.skipped) == (3, 0)
    entry = dataset_json(folder)
    assert entry["nnunet_plugins"]["sided_labels"] == ["left ilium", "right ilium"]
    assert entry["channel_names"] == {"0": "CT"}
    assert "left ilium" in str(report)


def test_names_of_patients_and_folders_are_in_no_file(converted):
    secrets = (b"Quill", b"Brandt", b"Novak", b"PHANTOM-0", b"patient00", b"Phantom")
    assert_absent(secrets, converted[1])


def test_header_texts_of_volumes_are_not_written(tmp_path):
    nifti(tmp_path / "src" / "p0" / "ct.nii.gz", ct(), descrip=b"Doe^Jane", aux_file=b"Doe^Jane")
    nifti(tmp_path / "src" / "p0" / "mask.nii.gz", labels(), descrip=b"Doe^Jane")
    named = sitk.ReadImage(str(tmp_path / "src" / "p0" / "ct.nii.gz")) + 1
    named.SetMetaData("PatientName", "Doe^Jane")
    (tmp_path / "src" / "p1").mkdir()
    sitk.WriteImage(named, str(tmp_path / "src" / "p1" / "ct.nrrd"))
    nifti(tmp_path / "src" / "p1" / "mask.nii.gz", labels())
    assert b"Doe^Jane" in (tmp_path / "src" / "p1" / "ct.nrrd").read_bytes()
    label_file(tmp_path / "labels.json")
    run(tmp_path / "src", tmp_path / "raw")
    assert_absent((b"Doe",), tmp_path / "raw")


def test_the_window_changes_the_name_of_the_channel(source, tmp_path):
    run(source, tmp_path / "raw", window=(-200, 800))
    folder = tmp_path / "raw" / NAME
    assert dataset_json(folder)["channel_names"] == {"0": "noNorm"}
    for image in by_case(folder / "imagesTr").values():
        array = sitk.GetArrayFromImage(image)
        assert (array.min(), array.max()) == (0, 1)


def test_segments_with_different_values_are_matched_by_name(tmp_path):
    write_patients(tmp_path / "src", 2, masks="seg.nrrd", **SMALL)
    path = tmp_path / "src" / "patient002" / "segmentation.seg.nrrd"
    mask = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(mask)
    turned = sitk.GetImageFromArray(np.array([0, 3, 1, 2], np.uint8)[array])
    turned.CopyInformation(mask)
    for index, (name, value) in enumerate((("Sacrum", 3), ("Left Ilium", 1), ("right ilium", 2))):
        for key, text in (("ID", f"s{index}"), ("Name", name), ("LabelValue", str(value))):
            turned.SetMetaData(f"Segment{index}_{key}", text)
        turned.SetMetaData(f"Segment{index}_Layer", "0")
    sitk.WriteImage(turned, str(path))
    report = convert(tmp_path / "src", tmp_path / "raw", 660)
    assert {n.casefold() for n in report.voxels} == {
        "background", "sacrum", "left ilium", "right ilium"}  # fmt: skip
    value = {n.casefold(): v for n, v in dataset_json(report.dataset)["labels"].items()}
    for file in (report.dataset / "labelsTr").iterdir():
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
        x = {n: np.nonzero(found == v)[2].mean() for n, v in value.items() if v}
        assert x["left ilium"] > x["sacrum"] > x["right ilium"]


def test_a_real_series_and_its_flipped_mask(shared_data, tmp_path):
    real = shared_data / "dicom_ct"
    shutil.copytree(real / "series", tmp_path / "src" / "p")
    shutil.copy(real / "example_seg_dicom.nii.gz", tmp_path / "src" / "p")
    stored = sitk.ReadImage(str(real / "example_seg_dicom.nii.gz"))
    values = [int(v) for v in np.unique(sitk.GetArrayFromImage(stored)) if v]
    label_file(tmp_path / "labels.json", **{f"v{v}": v for v in values})
    report = run(tmp_path / "src", tmp_path / "raw")
    image = sitk.ReadImage(str(next((report.dataset / "imagesTr").iterdir())))
    mask = sitk.GetArrayFromImage(
        sitk.ReadImage(str(next((report.dataset / "labelsTr").iterdir())))
    )
    assert image.GetSpacing() == pytest.approx((0.9765625, 0.9765625, 2.0))
    assert image.GetOrigin() == pytest.approx((-249.51171875, -437.51171875, -804.5), abs=1e-3)
    # Independent check: sample the stored mask at physical points.
    expected = sitk.Resample(stored, image, sitk.Transform(), sitk.sitkNearestNeighbor)
    new = np.zeros(256, int)
    new[values] = np.arange(1, len(values) + 1)
    np.testing.assert_array_equal(mask, new[sitk.GetArrayFromImage(expected)])
    spleen = sitk.GetArrayFromImage(image)[mask == new[1]]
    assert 0 < np.median(spleen) < 200  # soft tissue, not air


def test_a_real_pelvis_has_its_left_hip_on_the_left(shared_data, tmp_path):
    folder = tmp_path / "src" / "p"
    folder.mkdir(parents=True)
    shutil.copy(shared_data / "ct_pelvis" / "example_ct.nii.gz", folder)
    shutil.copy(shared_data / "derived" / "sij_ct" / "example_ct_sij_labels.nii.gz", folder)
    report = run(tmp_path / "src", labels=shared_data / "derived" / "sij_ct" / "labels.json")
    entry = dataset_json(report.dataset)
    assert entry["nnunet_plugins"]["sided_labels"] == ["hip_left (TS 77)", "hip_right (TS 78)"]
    mask = sitk.GetArrayFromImage(
        sitk.ReadImage(str(next((report.dataset / "labelsTr").iterdir())))
    )
    image = sitk.GetArrayFromImage(
        sitk.ReadImage(str(next((report.dataset / "imagesTr").iterdir())))
    )
    x = [np.nonzero(mask == value)[2].mean() for value in (1, 2, 3)]
    assert x[1] > x[0] > x[2]
    assert np.median(image[mask > 0]) > 100  # bone
    stored = sitk.ReadImage(str(folder / "example_ct_sij_labels.nii.gz"))
    counts = np.bincount(sitk.GetArrayFromImage(stored).ravel())
    assert list(report.voxels.values()) == counts.tolist()
