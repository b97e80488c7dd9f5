import csv
import gzip
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.dicom.series import find_series, read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.sij_ct import write_patients
from tests.dataset_conversion.making import (
    AFFINE,
    SMALL,
    ct,
    label_file,
    labels,
    nifti,
    patient,
    series,
    tree,
)

NAME = "Dataset660_SacroiliacCT"


@pytest.fixture
def source(tmp_path):
    """Two tiny patients; labels.json lies beside them."""
    for number in range(2):
        patient(tmp_path / "src" / f"p{number}", number)
    label_file(tmp_path / "labels.json")
    return tmp_path / "src"


def run(source, raw, options=None, **how):
    options = options or Options(labels=source.parent / "labels.json", **how)
    return convert(source, raw, 660, options=options)


def by_case(folder):
    """Images (array) of a dataset by the first voxels, as ids are digests."""
    return {p.name[:14]: sitk.ReadImage(str(p)) for p in sorted(folder.glob("*.nii.gz"))}


@pytest.fixture(scope="module")
def converted(phantoms, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    report = convert(phantoms, raw, 660, options=Options(labels=phantoms / "labels.json"))
    return report, raw / NAME


def test_phantoms_arrive_voxel_for_voxel(phantoms, converted):
    report, folder = converted
    assert (report.written, report.skipped) == (3, 0)
    for number in (1, 2):
        source = phantoms / f"patient00{number}"
        image = read_series(find_series(sorted((source / "ct").iterdir()), "p")[0], "p")
        mask = sitk.ReadImage(str(source / "mask.nii.gz"))
        fitting = [
            name
            for name, found in by_case(folder / "imagesTr").items()
            if np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image))
        ]
        assert len(fitting) == 1
        written = sitk.ReadImage(str(folder / "labelsTr" / f"{fitting[0]}.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(mask))
        assert written.GetSpacing() == pytest.approx(SMALL["spacing"])
        assert written.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-3)
        assert written.GetDirection() == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    entry = json.loads((folder / "dataset.json").read_text())
    assert entry["nnunet_plugins"]["sided_labels"] == ["left ilium", "right ilium"]
    assert entry["channel_names"] == {"0": "CT"}
    assert "left ilium" in str(report)


def test_no_name_of_a_patient_or_folder_is_in_any_byte(phantoms, converted):
    secrets = [b"Quill", b"Brandt", b"Novak", b"PHANTOM-0", b"patient00", b"Phantom"]
    for name, content in tree(converted[1]).items():
        whole = gzip.decompress(content) if name.endswith(".gz") else content
        for secret in secrets:
            assert secret not in whole, name
            assert secret.decode() not in name


def test_header_texts_of_volumes_do_not_pass(tmp_path):
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
    for name, content in tree(tmp_path / "raw").items():
        assert b"Doe" not in (gzip.decompress(content) if name.endswith(".gz") else content), name


def test_ids_follow_content_not_names(source, tmp_path):
    run(source, tmp_path / "one")
    (source / "p1").rename(source / "Another^Name")
    patient(source / "p2", 2)
    report = run(source, tmp_path / "one")
    assert (report.written, report.skipped) == (1, 2)


def test_folder_names_as_ids_where_the_user_says_so(source, tmp_path):
    (source / "p1").rename(source / "case 7.b")
    run(source, tmp_path / "raw", keep_names=True)
    names = sorted(p.name for p in (tmp_path / "raw" / NAME / "labelsTr").iterdir())
    assert names == ["case_7_b.nii.gz", "p0.nii.gz"]


def test_folder_names_that_collide_stop(source, tmp_path):
    (source / "p1").rename(source / "P0")
    if len(list(source.iterdir())) < 2:
        pytest.skip("this disk does not tell upper from lower case")
    with pytest.raises(DatasetError, match=r"P0 and .*p0 .*differ only in upper and lower case"):
        run(source, tmp_path / "raw", keep_names=True)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("keep_names", [False, True])
def test_the_same_image_twice_stops_before_writing(source, tmp_path, keep_names):
    shutil.copytree(source / "p1", source / "p9")
    with pytest.raises(DatasetError, match=r"p1 and .*p9 hold the same image"):
        run(source, tmp_path / "raw", keep_names=keep_names)
    assert not (tmp_path / "raw").exists()


def test_the_key_is_written_only_where_it_is_asked_for(source, tmp_path):
    run(source, tmp_path / "raw", key=tmp_path / "key.csv")
    rows = list(csv.reader((tmp_path / "key.csv").open()))
    assert rows[0] == ["case", "source"]
    assert sorted(row[1] for row in rows[1:]) == [str(source / "p0"), str(source / "p1")]
    assert all((tmp_path / "raw" / NAME / "labelsTr" / f"{r[0]}.nii.gz").exists() for r in rows[1:])
    with pytest.raises(DatasetError, match="the key is inside the dataset"):
        run(source, tmp_path / "raw", key=tmp_path / "raw" / NAME / "key.csv")


def test_values_that_are_not_listed_are_told_for_all_cases_at_once(source, tmp_path):
    for number in range(2):
        values = (1, 60 + number)
        nifti(source / f"p{number}" / "mask.nii.gz", labels(values=values))
    with pytest.raises(
        DatasetError, match=r"(?s)2 problems.*p0: label values \[60\].*known: 0-2.*p1.*\[61\]"
    ):
        run(source, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    report = run(source, tmp_path / "raw", drop=(60, 61))
    assert report.voxels["left ilium"] == 0
    assert any("['left ilium'] occur in no case" in note for note in report.notes)


def test_masks_without_names_want_a_labels_file(source, tmp_path):
    with pytest.raises(DatasetError, match=r'(?s)label values \[0, 1, 2\].*"name of 2": 2'):
        run(source, tmp_path / "raw", Options())


def test_an_empty_mask_stops_before_writing_unless_allowed(source, tmp_path):
    nifti(source / "p1" / "mask.nii.gz", labels(values=()))
    with pytest.raises(DatasetError, match="p1: the mask is empty"):
        run(source, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    assert run(source, tmp_path / "raw", allow_empty=True).written == 2


def test_a_mask_named_file_that_is_an_image_stops(source, tmp_path):
    nifti(source / "p1" / "mask.nii.gz", ct(5))
    with pytest.raises(DatasetError, match=r"p1/mask.nii.gz: no label map: values from -"):
        run(source, tmp_path / "raw")


def test_a_shifted_mask_leaves_no_dataset(source, tmp_path):
    shifted = AFFINE.copy()
    shifted[2, 3] += 5
    nifti(source / "p1" / "mask.nii.gz", labels(), shifted)
    with pytest.raises(DatasetError, match=r"p1: the mask is not aligned with.*5\.0 mm apart"):
        run(source, tmp_path / "raw")
    assert [p.name for p in (tmp_path / "raw").iterdir()] == [f".{NAME}.converting"]


def test_patients_without_any_mask_stop(source, tmp_path):
    for path in source.glob("*/mask.nii.gz"):
        path.unlink()
    with pytest.raises(DatasetError, match="none of 2 patients has a mask"):
        run(source, tmp_path / "raw")


def test_segments_with_other_values_agree_by_name(tmp_path):
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
    value = {
        n.casefold(): v
        for n, v in json.loads((report.dataset / "dataset.json").read_text())["labels"].items()
    }
    for file in (report.dataset / "labelsTr").iterdir():
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
        x = {n: np.nonzero(found == v)[2].mean() for n, v in value.items() if v}
        assert x["left ilium"] > x["sacrum"] > x["right ilium"]


def patients_with_ids(folder, ids):
    for number, name in enumerate(ids):
        series(folder / f"f{number}" / "ct", number, key=f"{number}", tags={"PatientID": name})
        nifti(folder / f"f{number}" / "mask.nii.gz", labels())
    label_file(folder.parent / "labels.json")


def test_folders_with_one_patient_id_stay_in_one_fold(tmp_path):
    patients_with_ids(tmp_path / "src", ["A", "B", "A", "C", "B", "D"])
    run(tmp_path / "src", tmp_path / "raw", keep_names=True)
    folds = json.loads((tmp_path / "raw" / NAME / "splits_final.json").read_text())
    assert sorted(fold["val"] for fold in folds) == [["f0", "f2"], ["f1", "f4"], ["f3"], ["f5"]]


@pytest.mark.parametrize("patient_id", ["ANON", ""])
def test_one_patient_id_for_all_says_nothing(tmp_path, patient_id):
    patients_with_ids(tmp_path / "src", [patient_id] * 3)
    run(tmp_path / "src", tmp_path / "raw")
    folds = json.loads((tmp_path / "raw" / NAME / "splits_final.json").read_text())
    assert [len(fold["val"]) for fold in folds] == [1, 1, 1]


def test_the_window_changes_the_channel_s_name(source, tmp_path):
    run(source, tmp_path / "raw", window=(-200, 800))
    folder = tmp_path / "raw" / NAME
    assert json.loads((folder / "dataset.json").read_text())["channel_names"] == {"0": "noNorm"}
    for image in by_case(folder / "imagesTr").values():
        array = sitk.GetArrayFromImage(image)
        assert (array.min(), array.max()) == (0, 1)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"window": (5, 5)}, "window 5 to 5: the first"),
        ({"mask_pattern": "("}, r"--mask-pattern '\('"),
        ({"key": "nowhere/at/all/key.csv"}, "its folder does not exist"),
    ],
)
def test_senseless_options_stop(source, tmp_path, how, message):
    with pytest.raises(DatasetError, match=message):
        run(source, tmp_path / "raw", **how)


def test_nnunet_raw_inside_the_source_stops(source):
    with pytest.raises(DatasetError, match="is inside the source"):
        run(source, source / "raw")


def test_lost_rescaling_is_told(source, tmp_path):
    nifti(source / "p0" / "ct.nii.gz", ct(0) + 1000)
    notes = run(source, tmp_path / "raw").notes
    assert sum("no value below 0 HU" in note for note in notes) == 1


def test_an_interrupted_scan_or_conversion_goes_on(source, tmp_path):
    calls = []

    def stop_in_the_second_list(items):
        calls.append(len(items))
        for number, item in enumerate(items):
            if len(calls) == 2 and number == 1:
                raise KeyboardInterrupt
            yield item

    options = Options(labels=tmp_path / "labels.json")
    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "raw", 660, options=options, progress=stop_in_the_second_list)
    assert calls == [2, 2]
    report = convert(source, tmp_path / "raw", 660, options=options)
    assert (report.written, report.skipped) == (1, 1)


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
    # Independently: ask the stored mask by physical points.
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
    report = run(
        tmp_path / "src",
        tmp_path / "raw",
        Options(labels=shared_data / "derived" / "sij_ct" / "labels.json"),
    )
    entry = json.loads((report.dataset / "dataset.json").read_text())
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
