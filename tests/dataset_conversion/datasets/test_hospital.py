"""Hospital folders: ids, labels, groups, checks before anything is written."""

import csv
import shutil

import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.comparing import folds
from tests.dataset_conversion.datasets.hospital import NAME, run
from tests.dataset_conversion.making import ct, label_file, labels, nifti, patient, series

pytestmark = pytest.mark.usefixtures("no_picture")


def test_ids_follow_content_not_names(source, tmp_path):
    run(source, tmp_path / "one")
    (source / "p1").rename(source / "Another^Name")
    patient(source / "p2", 2)
    report = run(source, tmp_path / "one")
    assert (report.written, report.skipped) == (1, 2)


def test_folder_names_as_ids_on_request(source, tmp_path):
    (source / "p1").rename(source / "case 7.b")
    run(source, tmp_path / "raw", keep_names=True)
    names = sorted(p.name for p in (tmp_path / "raw" / NAME / "labelsTr").iterdir())
    assert names == ["case_7_b.nii.gz", "p0.nii.gz"]


def test_folder_names_that_collide_stop(source, tmp_path):
    (source / "p1").rename(source / "P0")
    if len(list(source.iterdir())) < 2:
        pytest.skip("this file system ignores case")
    with pytest.raises(DatasetError, match=r"P0 and .*p0 .*differ only in upper and lower case"):
        run(source, tmp_path / "raw", keep_names=True)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("keep_names", [False, True])
def test_the_same_image_twice_stops_before_writing(source, tmp_path, keep_names):
    shutil.copytree(source / "p1", source / "p9")
    with pytest.raises(DatasetError, match=r"p1 and .*p9 hold the same image"):
        run(source, tmp_path / "raw", keep_names=keep_names)
    assert not (tmp_path / "raw").exists()


def test_the_key_is_written_only_on_request(source, tmp_path):
    run(source, tmp_path / "raw", key=tmp_path / "key.csv")
    rows = list(csv.reader((tmp_path / "key.csv").open()))
    assert rows[0] == ["case", "source", "dataset"]
    assert sorted(row[1] for row in rows[1:]) == [str(source / "p0"), str(source / "p1")]
    assert all((tmp_path / "raw" / NAME / "labelsTr" / f"{r[0]}.nii.gz").exists() for r in rows[1:])
    with pytest.raises(DatasetError, match="the key is inside the dataset"):
        run(source, tmp_path / "raw", key=tmp_path / "raw" / NAME / "key.csv")


def test_unlisted_values_are_reported_for_all_cases_at_once(source, tmp_path):
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


def test_masks_without_segment_names_require_a_labels_file(source, tmp_path):
    with pytest.raises(DatasetError, match=r'(?s)label values \[0, 1, 2\].*"name of 2": 2'):
        run(source, labels=None)


def test_an_empty_mask_stops_before_writing_unless_allowed(source, tmp_path):
    nifti(source / "p1" / "mask.nii.gz", labels(values=()))
    with pytest.raises(DatasetError, match="p1: the mask is empty"):
        run(source, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    assert run(source, tmp_path / "raw", allow_empty=True).written == 2


def test_patients_without_any_mask_stop(source, tmp_path):
    for path in source.glob("*/mask.nii.gz"):
        path.unlink()
    with pytest.raises(DatasetError, match="none of 2 patients has a mask"):
        run(source, tmp_path / "raw")


def patients_with_ids(folder, ids):
    for number, name in enumerate(ids):
        series(folder / f"f{number}" / "ct", number, key=f"{number}", tags={"PatientID": name})
        nifti(folder / f"f{number}" / "mask.nii.gz", labels())
    label_file(folder.parent / "labels.json")


def test_folders_with_one_patient_id_stay_in_one_fold(tmp_path):
    patients_with_ids(tmp_path / "src", ["A", "B", "A", "C", "B", "D"])
    run(tmp_path / "src", tmp_path / "raw", keep_names=True)
    assert sorted(fold["val"] for fold in folds(tmp_path / "raw" / NAME)) == [
        ["f0", "f2"],
        ["f1", "f4"],
        ["f3"],
        ["f5"],
    ]


@pytest.mark.parametrize("patient_id", ["ANON", ""])
def test_one_patient_id_for_all_folders_is_ignored(tmp_path, patient_id):
    patients_with_ids(tmp_path / "src", [patient_id] * 3)
    run(tmp_path / "src", tmp_path / "raw")
    assert [len(fold["val"]) for fold in folds(tmp_path / "raw" / NAME)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"window": (5, 5)}, "window 5 to 5: the first"),
        ({"mask_pattern": "("}, r"--mask-pattern '\('"),
        ({"key": "nowhere/at/all/key.csv"}, "its folder does not exist"),
    ],
)
def test_invalid_options_stop(source, tmp_path, how, message):
    with pytest.raises(DatasetError, match=message):
        run(source, tmp_path / "raw", **how)


def test_nnunet_raw_inside_the_source_stops(source):
    with pytest.raises(DatasetError, match="is inside the source"):
        run(source, source / "raw")


def test_lost_rescaling_is_noted(source, tmp_path):
    nifti(source / "p0" / "ct.nii.gz", ct(0) + 1000)
    notes = run(source, tmp_path / "raw").notes
    assert sum("no value below 0 HU" in note for note in notes) == 1


def test_an_interrupted_conversion_continues(source, tmp_path):
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


def test_all_problems_are_reported_together(source, tmp_path):
    patient(tmp_path / "src" / "患者", 2)
    patient(tmp_path / "src" / "P_1", 3)
    patient(tmp_path / "src" / "P 1", 4)
    nifti(tmp_path / "src" / "p0" / "mask.nii.gz", labels(values=(1, 7)))
    with pytest.raises(DatasetError) as error:
        run(source, tmp_path / "raw", keep_names=True)
    for problem in ("患者: its name has no character", r"label values [7]", "P_1) get the same"):
        assert problem in str(error.value)


def test_a_dataset_without_masks_states_the_other_problems(tmp_path):
    patient(tmp_path / "src" / "p0")
    (tmp_path / "src" / "p0" / "mask.nii.gz").unlink()
    (tmp_path / "src" / "p1").mkdir()
    label_file(tmp_path / "labels.json")
    for dry_run in (True, False):
        with pytest.raises(DatasetError, match=r"p1: no image found(.|\n)*none of 1 patients has"):
            run(tmp_path / "src", tmp_path / "raw", dry_run=dry_run)
