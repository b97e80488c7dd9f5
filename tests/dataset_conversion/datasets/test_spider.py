import itertools
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.spider import SCHEMES, Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.comparing import (
    change,
    check_case,
    dataset_json,
    folds,
    pair,
)
from tests.dataset_conversion.making import tree
from tests.dataset_conversion.world import (
    check_labels,
    check_values,
    orientation,
    points,
    read,
    stored,
)

pytestmark = pytest.mark.usefixtures("no_picture")

NAME = "Dataset670_SPIDER"
BINARY = dict.fromkeys((*range(1, 26), 100, *range(201, 226)), 1)
FOUR = {**dict.fromkeys(range(1, 26), 1), 100: 2, **dict.fromkeys(range(201, 226), 3)}
INSTANCES = {**{v: v for v in range(1, 10)}, 100: 10, **{200 + v: 10 + v for v in range(1, 10)}}


def run(source, raw, **options):
    return convert(source, raw, 670, options=Options(**options))


@pytest.fixture(scope="module")
def converted(spider, no_picture, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    return run(spider[0], raw), raw / NAME


def padded(values):
    return np.where(values == -1000, 0, values)


def test_voxels_of_every_series_keep_their_positions(spider, converted):
    report, folder = converted
    assert (report.written, report.patients) == (8, 4)
    assert report.orientations == {"LPS": 7, "PIR": 1}
    for name, truth in spider[1].items():
        assert check_case(folder, truth, FOUR, meant=padded) > 2000
        shape = read(pair(folder, name)[1])[0].shape
        assert shape[0] == min(shape)  # x runs through the slices


@pytest.mark.parametrize(("scheme", "table"), [("binary", BINARY), ("instances", INSTANCES)])
def test_schemes(spider, tmp_path, scheme, table):
    report = run(spider[0], tmp_path, scheme=scheme, sequences=("t2", "t2_SPACE"))
    for name, truth in spider[1].items():
        assert pair(tmp_path / NAME, name)[0].exists() == ("t2" in name)
        if "t2" in name:
            check_case(tmp_path / NAME, truth, table, meant=padded)
    labels = dataset_json(tmp_path / NAME)["labels"]
    assert list(labels) == ["background", *SCHEMES[scheme]]
    assert len(report.voxels) == len(labels)
    assert sorted(labels.values()) == list(range(len(labels)))


def test_all_48_orders_of_the_axes_of_image_and_mask(spider, tmp_path):
    """A part of one series stored in every order, its mask in the next: always the same voxels."""
    truth = spider[1]["4_t2"]
    axes = itertools.permutations(("LR", "PA", "SI"))
    codes = ["".join(code) for order in axes for code in itertools.product(*order)]
    assert len(set(codes)) == 48
    image, mask = (sitk.ReadImage(str(path))[:, 20:42, 30:58] for path in (truth.image, truth.mask))
    labelled = int((sitk.GetArrayFromImage(mask) > 0).sum())
    for folder in ("images", "masks"):
        (tmp_path / "src" / folder).mkdir(parents=True)
    for number, code in enumerate(codes, 1):
        image[4, 3, 4] = number  # no two images may be equal
        for folder, volume, order in (("images", image, code), ("masks", mask, codes[number % 48])):
            made = tmp_path / "src" / folder / f"{number}_t2.mha"
            sitk.WriteImage(sitk.DICOMOrient(volume, order), str(made))
    report = run(tmp_path / "src", tmp_path)
    assert report.orientations == dict.fromkeys(codes, 1)
    for number in range(1, 49):
        written, values = pair(tmp_path / NAME, f"{number}_t2")
        assert check_labels(written, truth.labels, FOUR) == labelled > 500
        check_values(values, tmp_path / "src" / "images" / f"{number}_t2.mha", padded)


def test_labels_imply_no_level_and_no_side(converted):
    entry = dataset_json(converted[1])
    assert entry["labels"] == {"background": 0, "vertebra": 1, "canal": 2, "disc": 3}
    names = {name for scheme in SCHEMES.values() for name in scheme}
    assert not any(name[0] in "LTS" for name in names)
    assert entry["nnunet_plugins"]["sided_labels"] == []
    assert entry["nnunet_plugins"]["left_right_axis"] == 2
    assert entry["channel_names"] == {"0": "MRI"}


def test_padding_is_removed_and_recorded(spider, converted):
    report, folder = converted
    manifest = json.loads((folder / "conversion.json").read_text())
    assert manifest["settings"]["padding"] == "-1000 -> 0"
    for name, truth in spider[1].items():
        padding = (stored(truth.image)[0] == -1000).mean()
        array = read(pair(folder, name)[1])[0]
        assert array.min() >= 0
        if "SPACE" in name:
            assert padding == 0
            assert manifest["cases"][name]["notes"] == []
        else:
            assert padding > 0.1
            assert (array == 0).mean() >= padding
            assert "padding of -1000 set to 0" in manifest["cases"][name]["notes"][0]
    assert "padding of -1000" in str(report)


def test_negative_values_other_than_padding(spider_copy, tmp_path):
    images = [spider_copy / "images" / f"{name}.mha" for name in ("1_t1", "1_t2", "2_t1")]

    def some_below(array):
        array[40, 30, 4] = -7
        return array

    def all_lower(array):
        return np.where(array == -1000, -1000, array - 1000).astype(np.int16)

    def no_border(array):
        result = np.where(array == -1000, 0, array).astype(np.int16)
        result[40, 30, 4] = -1000
        return result

    for path, edit in zip(images, (some_below, all_lower, no_border), strict=True):
        change(path, edit)
    run(spider_copy, tmp_path)
    few, offset, inside = images
    written = [pair(tmp_path / NAME, name)[1] for name in ("1_t1", "1_t2", "2_t1")]
    check_values(written[0], few, padded)
    assert read(written[0])[0].min() == -7
    check_values(written[1], offset, lambda v: v + 1000)
    check_values(written[2], inside)
    notes = json.loads((tmp_path / NAME / "conversion.json").read_text())["cases"]
    assert "offset of -1000" in notes["1_t2"]["notes"][0]
    assert notes["2_t1"]["notes"] == []


def test_a_single_sequence(spider, tmp_path):
    report = run(spider[0], tmp_path, sequences=("t1",))
    assert sorted(report.cases) == ["1_t1", "2_t1", "5_t1"]
    assert dataset_json(tmp_path / NAME)["channel_names"] == {"0": "T1"}


def test_the_central_slice_is_a_two_dimensional_dataset(spider, tmp_path):
    report = run(spider[0], tmp_path, scheme="binary", sequences=("t1",), central_slice=True)
    assert "done to each case: CentralSlice, thickness 4.0" in str(report)
    folder = tmp_path / NAME
    assert dataset_json(folder)["nnunet_plugins"]["left_right_axis"] == 0
    for name in ("1_t1", "2_t1", "5_t1"):
        truth = spider[1][name]
        mask, image = pair(folder, name)
        values, matrix = read(image)
        assert values.shape == (56, 84, 1)  # front to back, head to foot, one slice
        assert check_labels(mask, truth.labels, BINARY) > 300
        check_values(image, truth.image, padded)
        assert orientation(image) == "PIR"
        # Slice 4 of 9 is the middle one.
        middle = stored(truth.image)[1] @ [4, 0, 0, 1]
        assert points((1, 1, 1), matrix)[0, 0, 0, 0] == pytest.approx(middle[0], abs=1e-3)
        assert np.linalg.norm(matrix[:, 2]) == pytest.approx(4.0)  # in every case


def test_channels_of_patients_whose_series_share_a_grid(spider, tmp_path):
    report = run(spider[0], tmp_path, channels=True)
    folder = tmp_path / NAME
    assert sorted(report.cases) == ["1_t1_t2", "5_t1_t2"]
    assert any("without all of t1, t2, left out: 1 (4)" in note for note in report.notes)
    assert any("different grids, left out: 1 (2)" in note for note in report.notes)
    for case in ("1_t1_t2", "5_t1_t2"):
        for channel, sequence in enumerate(("t1", "t2")):
            truth = spider[1][f"{case[0]}_{sequence}"]
            check_values(folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz", truth.image, padded)
        check_labels(pair(folder, case)[0], truth.labels, FOUR)
    assert dataset_json(folder)["channel_names"] == {"0": "T1", "1": "T2"}


def test_channels_that_no_patient_has(spider, tmp_path):
    with pytest.raises(DatasetError, match=r"no patient has t1 and t2_SPACE on one grid"):
        run(spider[0], tmp_path, channels=True, sequences=("t1", "t2_SPACE"))
    with pytest.raises(DatasetError, match="--channels: two or more sequences"):
        run(spider[0], tmp_path, channels=True, sequences=("t1",))


def test_series_of_one_patient_stay_together(spider, tmp_path):
    for split, number in (("5-fold", 4), ("7:3", 1), ("80/20", 1), ("own", 1)):
        found = folds(run(spider[0], tmp_path, split=split).dataset)
        assert len(found) == number
        for fold in found:
            sides = [{name.split("_")[0] for name in fold[side]} for side in ("train", "val")]
            assert not sides[0] & sides[1]
            assert len(fold["train"]) + len(fold["val"]) == 8
    assert found == [{"train": ["1_t1", "1_t2", "2_t1", "2_t2", "2_t2_SPACE", "4_t2"],
                      "val": ["5_t1", "5_t2"]}]  # fmt: skip


def test_the_own_validation_set_can_be_the_test_set(spider, tmp_path):
    report = run(spider[0], tmp_path, test="val")
    assert sorted(report.test) == ["5_t1", "5_t2"]
    assert (tmp_path / NAME / "labelsTs" / "5_t1.nii.gz").exists()


def test_archives_that_contain_a_folder_of_their_name(spider, converted, tmp_path):
    for kind in ("images", "masks"):
        shutil.copytree(spider[0] / kind, tmp_path / "src" / kind / kind)
    shutil.copy(spider[0] / "overview.csv", tmp_path / "src" / "images")
    run(tmp_path / "src", tmp_path)
    made, usual = tree(tmp_path / NAME), tree(converted[1])
    assert {n: c for n, c in made.items() if "/" in n} == {
        n: c for n, c in usual.items() if "/" in n
    }
    assert made["splits_final.json"] == usual["splits_final.json"]


def test_dropped_labels_are_background(spider, tmp_path):
    run(spider[0], tmp_path, sequences=("t1",), drop=(100, 1))
    assert dataset_json(tmp_path / NAME)["labels"] == {"background": 0, "vertebra": 1, "disc": 2}
    table = {**dict.fromkeys(range(2, 26), 1), **dict.fromkeys(range(201, 226), 2)}
    for name in ("1_t1", "5_t1"):
        check_labels(pair(tmp_path / NAME, name)[0], spider[1][name].labels, table)


def test_partly_visible_vertebrae_and_a_tenth(spider_copy, tmp_path):
    path = spider_copy / "masks" / "1_t1.mha"

    def renumber(array):
        array[array == 8] = 108
        array[array == 7] = 10
        return array

    change(path, renumber)
    array = stored(path)[0]
    run(spider_copy, tmp_path / "raw", sequences=("t1",))
    written = read(pair(tmp_path / "raw" / NAME, "1_t1")[0])[0]
    assert (written == 1).sum() == ((array > 0) & (array < 100) | (array == 108)).sum()
    with pytest.raises(DatasetError, match=r"label values \[10, 108\] are not listed"):
        run(spider_copy, tmp_path / "raw2", scheme="instances", sequences=("t1",))


def test_real_files_in_the_form_of_spider(shared_data, tmp_path):
    source = shared_data / "derived" / "spider_style"
    report = run(source, tmp_path)
    assert sorted(report.cases) == ["1_t2", "1_t2_SPACE", "2_t2"]
    assert report.test == {"2_t2"}  # it has no mask
    assert report.orientations == {"LPS": 2, "PIR": 1}
    folder = tmp_path / NAME
    written = []
    for name in ("1_t2", "1_t2_SPACE"):
        mask, image = pair(folder, name)
        check_values(image, source / "images" / f"{name}.mha")
        four = np.vectorize(lambda v: FOUR.get(int(v), 0))
        check_values(mask, source / "masks" / f"{name}.mha", four)
        written.append((read(image), read(mask)))
    # Both are the same image, stored in two ways: the written arrays are equal.
    for (one, at_one), (two, at_two) in zip(*written, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(at_one, at_two, atol=1e-3)
    assert (folder / "imagesTs" / "2_t2_0000.nii.gz").exists()
    manifest = json.loads((folder / "conversion.json").read_text())
    assert manifest["settings"]["scheme"] == "four"
