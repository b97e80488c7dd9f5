"""nnU-Net's raw format and the Decathlon, brought in with groups, labels and channels."""

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from dataset_conversion.checks.dataset import check
from dataset_conversion.datasets import decathlon, nnunet_raw
from dataset_conversion.datasets.dataset_json import labels_in
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.raw_folders import write_decathlon, write_raw
from tests.dataset_conversion.datasets.comparing import check_case, dataset_json, folds, pair
from tests.dataset_conversion.making import AFFINE, ct, labels, nifti, write_json
from tests.dataset_conversion.world import check_values, read

pytestmark = pytest.mark.usefixtures("no_picture")

SAME = {1: 1, 2: 2, 3: 3}


def run(module, source, raw, **options):
    return module.convert(source, raw, 712, options=module.Options(**options))


def edit(source, **entries):
    path = source / "dataset.json"
    entry = {**json.loads(path.read_text()), **entries}
    write_json(path, {key: value for key, value in entry.items() if value is not None})


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "src", write_raw(tmp_path / "src", 3)


@pytest.fixture
def task(tmp_path):
    return tmp_path / "src", write_decathlon(tmp_path / "src", 3)


def table(path, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("case", "patient"), *rows])
    return path


@pytest.mark.parametrize(
    ("module", "write"), [(nnunet_raw, write_raw), (decathlon, write_decathlon)]
)
def test_cases_keep_names_voxels_and_positions_and_get_patients(tmp_path, module, write):
    truths = write(tmp_path / "src", 3)
    groups = table(tmp_path / "g.csv", [(t.name, f"p{n // 2}") for n, t in enumerate(truths)])
    report = run(module, tmp_path / "src", tmp_path / "raw", groups=groups)
    for truth in truths:
        check_case(report.dataset, truth, SAME)
    assert dataset_json(report.dataset)["channel_names"] == {"0": "CT"}
    assert len(folds(report.dataset)) == 2
    assert not [found for found in check(report.dataset).findings if found.error]


def test_a_dataset_of_this_package_keeps_its_patients(raw, tmp_path):
    source, truths = raw
    groups = table(tmp_path / "g.csv", [(t.name, f"p{n // 2}") for n, t in enumerate(truths)])
    first = run(nnunet_raw, source, tmp_path / "raw", groups=groups).dataset
    report = run(nnunet_raw, first, tmp_path / "again")
    assert len(folds(report.dataset)) == 2
    assert any("splits_final.json of the source is not used" in note for note in report.notes)


def test_regions_and_the_ignore_label_are_kept(raw, tmp_path):
    source, truths = raw
    names = {"background": 0, "bones": [1, 2], "sacrum": 1, "ignore": 3}
    edit(source, labels=names, regions_class_order=[2, 1])
    folder = run(nnunet_raw, source, tmp_path / "raw").dataset
    found = dataset_json(folder)
    assert found["labels"] == names
    assert found["regions_class_order"] == [2, 1]
    check_case(folder, truths[0], SAME)


def test_channels_stay_apart(tmp_path):
    source = tmp_path / "src"
    nifti(source / "imagesTr" / "a_0000.nii.gz", ct(1))
    nifti(source / "imagesTr" / "a_0001.nii.gz", ct(2))
    nifti(source / "labelsTr" / "a.nii.gz", labels())
    entry = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "x": 1, "y": 2},
             "numTraining": 1, "file_ending": ".nii.gz"}  # fmt: skip
    write_json(source / "dataset.json", entry)
    folder = run(nnunet_raw, source, tmp_path / "raw").dataset
    for number in range(2):
        image = folder / "imagesTr" / f"a_000{number}.nii.gz"
        check_values(image, source / "imagesTr" / image.name)
    (source / "imagesTr" / "a_0001.nii.gz").unlink()
    with pytest.raises(
        DatasetError, match=r"a has the channels 0000; dataset.json lists 0000, 0001"
    ):
        run(nnunet_raw, source, tmp_path / "raw2")


def test_test_images_with_and_without_references(raw, tmp_path):
    source, truths = raw
    for folder in ("imagesTs", "labelsTs"):
        (source / folder).mkdir()
    truths[0].image.rename(source / "imagesTs" / truths[0].image.name)
    truths[0].mask.rename(source / "labelsTs" / truths[0].mask.name)
    truths[1].image.rename(source / "imagesTs" / truths[1].image.name)
    truths[1].mask.unlink()
    report = run(nnunet_raw, source, tmp_path / "raw")
    assert report.test == {"pelvis_001", "pelvis_002"}
    assert [p.name for p in (report.dataset / "labelsTs").iterdir()] == ["pelvis_001.nii.gz"]
    assert "dataset.json: numTraining is 3, but there are 1 cases" in report.notes


def test_listed_files_of_nnunet(raw, tmp_path):
    source, truths = raw
    (source / "imagesTr").rename(source / "elsewhere")
    listed = {
        f"case{n}": {"images": [f"elsewhere/{t.image.name}"], "label": f"labelsTr/{t.mask.name}"}
        for n, t in enumerate(truths)
    }
    edit(source, dataset=listed)
    folder = run(nnunet_raw, source, tmp_path / "raw").dataset
    check_values(pair(folder, "case1")[1], source / "elsewhere" / truths[1].image.name)
    edit(source, dataset={"case0": {"images": 3}})
    with pytest.raises(DatasetError, match="case 'case0' requires images"):
        run(nnunet_raw, source, tmp_path / "raw2")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"file_ending": ".png"}, r"file_ending is '.png'; volumes are read"),
        ({"labels": None}, "labels is None; expected"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "have the same value"),
        ({"channel_names": {"0": "CT", "2": "T1"}}, r"channel_names .* is .*; expected"),
        ({"channel_names": {}}, "no channel is listed"),
        ({"labels": {"background": 0, "sacrum": 1}}, r"label values \[2, 3\] are not listed"),
        ({"regions_class_order": "1"}, "regions_class_order is '1'"),
    ],
)
def test_what_a_raw_dataset_may_not_state(raw, tmp_path, change, match):
    edit(raw[0], **change)
    with pytest.raises(DatasetError, match=match):
        run(nnunet_raw, raw[0], tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_every_loose_file_of_a_raw_dataset_is_named(raw, tmp_path):
    source, truths = raw
    shutil.copy(truths[0].image, source / "imagesTr" / "no_channel.nii.gz")
    truths[1].mask.rename(source / "labelsTr" / "lost.nii.gz")
    (source / "labelsTr" / "more.zip").write_bytes(b"PK")
    with pytest.raises(DatasetError) as stopped:
        run(nnunet_raw, source, tmp_path / "raw")
    text = str(stopped.value)
    assert text.startswith("4 problems")
    for part in ("no_channel.nii.gz: belongs to no case", "lost.nii.gz: a label map without its image",
                 "pelvis_002_0000.nii.gz: no label map in labelsTr", "more.zip: an archive"):  # fmt: skip
        assert part in text


def test_dropped_labels_leave_dataset_json(raw, tmp_path):
    folder = run(nnunet_raw, raw[0], tmp_path / "raw", drop=(2,)).dataset
    assert dataset_json(folder)["labels"] == {"background": 0, "sacrum": 1, "right ilium": 2}
    entry = {"labels": {"background": 0, "all": [1, 2], "core": 2}, "regions_class_order": [1, 2]}
    kept = labels_in({**entry, "labels": {**entry["labels"], "rim": 3}, "regions_class_order": [1, 2, 3]},
                     raw[0], drop=(3,))  # fmt: skip
    assert kept.regions_class_order == (1, 2)
    with pytest.raises(DatasetError, match="listed as labels and dropped"):
        labels_in(entry, raw[0], drop=(2,))


def test_four_dimensional_images_become_channels(tmp_path):
    source = tmp_path / "src"
    both = np.stack([ct(1), ct(2)], axis=0)  # channel, z, y, x
    nifti(source / "imagesTr" / "a.nii.gz", both)
    nifti(source / "labelsTr" / "a.nii.gz", labels())
    nifti(source / "imagesTs" / "b.nii.gz", np.stack([ct(3), ct(4)]))
    entry = {"modality": {"0": "FLAIR", "1": "T1w"}, "labels": {"0": "background", "1": "x", "2": "y"},
             "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
             "test": ["./imagesTs/b.nii.gz"]}  # fmt: skip
    write_json(source / "dataset.json", entry)
    report = run(decathlon, source, tmp_path / "raw")
    assert report.test == {"b"}
    assert dataset_json(report.dataset)["channel_names"] == {"0": "FLAIR", "1": "T1w"}
    for number in range(2):
        values, matrix = read(report.dataset / "imagesTr" / f"a_000{number}.nii.gz")
        np.testing.assert_array_equal(values.T, both[number])
        np.testing.assert_allclose(matrix, AFFINE, atol=1e-4)
    edit(source, modality={"0": "FLAIR"})
    with pytest.raises(DatasetError, match="4D: choose volume k"):
        run(decathlon, source, tmp_path / "raw2")
    edit(source, modality={"0": "FLAIR", "1": "T1w", "2": "T2w"})
    with pytest.raises(DatasetError, match="2 channels in 1 files; the dataset has 3"):
        run(decathlon, source, tmp_path / "raw2")


def test_files_and_list_of_a_task_must_agree(task, tmp_path):
    source, truths = task
    truths[0].mask.unlink()
    shutil.copy(truths[1].image, source / "imagesTr" / "extra.nii.gz")
    with pytest.raises(DatasetError) as stopped:
        run(decathlon, source, tmp_path / "raw")
    text = str(stopped.value)
    assert "labelsTr/pelvis_001.nii.gz: no such file" in text
    assert "extra.nii.gz: no image, or no entry in dataset.json, belongs to it" in text
    assert text.startswith("2 problems")


def test_a_task_without_dataset_json(task, tmp_path):
    source, truths = task
    (source / "dataset.json").unlink()
    with pytest.raises(DatasetError, match=r"lowest value -1024.*pass --channels"):
        run(decathlon, source, tmp_path / "raw")
    report = run(decathlon, source, tmp_path / "raw", channels=("CT",))
    assert list(dataset_json(report.dataset)["labels"]) == [
        "background",
        "label 1",
        "label 2",
        "label 3",
    ]
    assert any("--labels names them" in note for note in report.notes)
    names = tmp_path / "labels.json"
    write_json(names, {"sacrum": 1, "left ilium": 2, "right ilium": 3})
    report = run(decathlon, source, tmp_path / "raw2", channels=("CT",), labels=names)
    assert list(dataset_json(report.dataset)["labels"])[1:] == [
        "sacrum",
        "left ilium",
        "right ilium",
    ]
    check_case(report.dataset, truths[0], SAME)


@pytest.mark.parametrize(
    ("module", "write"), [(nnunet_raw, write_raw), (decathlon, write_decathlon)]
)
def test_links_are_followed_on_request(tmp_path, module, write):
    source = tmp_path / "src"
    truth = write(source, 2)[0]
    kept = tmp_path / "annex"
    truth.image.rename(kept)
    truth.image.symlink_to(kept)
    with pytest.raises(DatasetError, match=r"a symbolic link; pass --follow-links"):
        run(module, source, tmp_path / "raw")
    assert len(run(module, source, tmp_path / "raw", follow_links=True).cases) == 2
    truth.image.unlink()
    truth.image.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DatasetError, match="a Git LFS pointer, not the file"):
        run(module, source, tmp_path / "raw2")


def test_a_folder_without_images_is_not_a_task(tmp_path):
    (tmp_path / "src" / "images").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no image in imagesTr; pass the folder that holds it"):
        run(decathlon, tmp_path / "src", tmp_path / "raw")


def test_the_hippocampus_with_its_groups(shared_data, tmp_path):
    """Ten real crops of Task04; all 260 are converted by hand before a release."""
    source = shared_data / "hippocampus"
    few = tmp_path / "src"
    names = sorted(path.name for path in (source / "imagesTr").iterdir())[:10]
    for folder in ("imagesTr", "labelsTr"):
        (few / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(source / folder / name, few / folder / name)
    report = run(decathlon, few, tmp_path / "raw", groups=source / "groups.csv")
    with (source / "groups.csv").open() as stream:
        patients = {row["case"]: row["patient"] for row in csv.DictReader(stream)}
    for fold in folds(report.dataset):
        assert not {patients[c] for c in fold["train"]} & {patients[c] for c in fold["val"]}
    mask, image = pair(report.dataset, names[0].removesuffix(".nii.gz"))
    for made, folder in ((image, "imagesTr"), (mask, "labelsTr")):
        one, two = (
            nib.as_closest_canonical(nib.load(p)) for p in (made, source / folder / names[0])
        )
        np.testing.assert_array_equal(one.get_fdata(), two.get_fdata())


def test_a_dry_run_without_any_usable_mask_reports_why(task, tmp_path):
    source, truths = task
    for truth in truths:
        nifti(truth.mask, labels(values=(9,)))
    for dry in (True, False):
        with pytest.raises(DatasetError, match=r"label values \[9\] are not listed"):
            run(decathlon, source, tmp_path / "raw", dry_run=dry)


def test_counts_that_differ_are_noted(task, tmp_path):
    source, _ = task
    edit(source, numTraining=99, numTest=7)
    notes = run(decathlon, source, tmp_path / "raw", dry_run=True).notes
    assert "dataset.json: numTraining is 99, but there are 3 cases" in notes
    assert "dataset.json: numTest is 7, but there are 0 cases" in notes


def test_entries_of_windows_and_of_macs(task, tmp_path):
    source, _ = task
    listed = json.loads((source / "dataset.json").read_text())["training"]
    windows = [{role: name.replace("/", "\\") for role, name in one.items()} for one in listed]
    mac = {role: f"./{name.split('/')[-2]}/._x.nii.gz" for role, name in listed[0].items()}
    edit(source, training=[*windows, mac])
    assert len(run(decathlon, source, tmp_path / "raw", dry_run=True).cases) == 3


def test_an_image_that_is_listed_twice_stops(task, tmp_path):
    source, truths = task
    edit(source, test=[f"./imagesTr/{truths[0].image.name}"])
    with pytest.raises(DatasetError, match=r"2 entries of dataset.json list this image; keep one"):
        run(decathlon, source, tmp_path / "raw")


@pytest.mark.parametrize(
    "second", [lambda n: ct(77), lambda n: labels() * 1, lambda n: ct(n + 50) * (n > 0)],
    ids=["atlas", "segmentation", "empty"],
)  # fmt: skip
def test_a_second_channel_may_be_equal_in_all_cases(raw, tmp_path, second):
    source, truths = raw
    for number, truth in enumerate(truths):
        nifti(source / "imagesTr" / f"{truth.name}_0000.nii.gz", ct(number))
        nifti(source / "imagesTr" / f"{truth.name}_0001.nii.gz", second(number))
        nifti(truth.mask, labels())
    names = {"background": 0, "a": 1, "b": 2}
    edit(source, channel_names={"0": "CT", "1": "CT"}, labels=names, regions_class_order=None)
    report = run(nnunet_raw, source, tmp_path / "raw", dry_run=True)
    assert (len(report.cases), report.problems) == (3, ())
    noted = "channel 1 holds only label values" in str(report)
    assert noted == (second(0).max() < 3)


def test_a_missing_dataset_json_asks_for_the_folder(tmp_path):
    with pytest.raises(DatasetError, match="pass the folder that holds it, or copy"):
        run(nnunet_raw, tmp_path, tmp_path.parent / "raw")
