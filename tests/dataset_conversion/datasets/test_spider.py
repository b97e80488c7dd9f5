import itertools
import json

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.spider import SCHEMES, Options, convert
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.spider import write_patients
from tests.dataset_conversion.making import tree
from tests.dataset_conversion.world import (
    check_labels,
    check_values,
    count,
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


@pytest.fixture(scope="module")
def spider(tmp_path_factory):
    """Four patients with eight series; do not write here."""
    folder = tmp_path_factory.mktemp("spider")
    return folder, {truth.name: truth for truth in write_patients(folder, 4)}


def run(source, raw, **options):
    return convert(source, raw, 670, options=Options(**options))


@pytest.fixture(scope="module")
def converted(spider, no_picture, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    return run(spider[0], raw), raw / NAME


def padded(values):
    return np.where(values == -1000, 0, values)


def test_every_voxel_of_every_series_is_where_it_was(spider, converted):
    report, folder = converted
    assert (report.written, report.patients) == (8, 4)
    assert report.orientations == {"LPS": 7, "PIR": 1}
    for name, truth in spider[1].items():
        mask, image = (
            folder / "labelsTr" / f"{name}.nii.gz",
            folder / "imagesTr" / f"{name}_0000.nii.gz",
        )
        assert check_labels(mask, truth.labels, FOUR) == count(truth.mask) > 2000
        check_values(image, truth.image, padded)
        assert orientation(mask) == orientation(image) == "LPS"
        assert read(image)[0].shape[0] == min(read(image)[0].shape)  # x runs through the slices


@pytest.mark.parametrize(("scheme", "table"), [("binary", BINARY), ("instances", INSTANCES)])
def test_schemes(spider, tmp_path, scheme, table):
    report = run(spider[0], tmp_path, scheme=scheme, sequences=("t2", "t2_SPACE"))
    for name, truth in spider[1].items():
        mask = tmp_path / NAME / "labelsTr" / f"{name}.nii.gz"
        assert mask.exists() == ("t2" in name)
        if mask.exists():
            assert check_labels(mask, truth.labels, table) == count(truth.mask)
    labels = json.loads((tmp_path / NAME / "dataset.json").read_text())["labels"]
    assert list(labels) == ["background", *SCHEMES[scheme]]
    assert len(report.voxels) == len(labels)
    assert sorted(labels.values()) == list(range(len(labels)))


def every_orientation():
    for order in itertools.permutations(("LR", "PA", "SI")):
        yield from ("".join(code) for code in itertools.product(*order))


def test_all_48_orders_of_the_axes_of_image_and_mask(spider, tmp_path):
    """One series stored in every way, its mask in the next one: always the same voxels."""
    truth = spider[1]["4_t2"]
    codes = list(every_orientation())
    assert len(set(codes)) == 48
    for number, code in enumerate(codes, 1):
        other = codes[number % 48]
        for folder, path, how in (("images", truth.image, code), ("masks", truth.mask, other)):
            (tmp_path / "src" / folder).mkdir(parents=True, exist_ok=True)
            image = sitk.ReadImage(str(path))
            if folder == "images":  # no two images may be the same
                image[4, 30, 40] = number
            made = tmp_path / "src" / folder / f"{number}_t2.mha"
            sitk.WriteImage(sitk.DICOMOrient(image, how), str(made))
    report = run(tmp_path / "src", tmp_path)
    assert report.orientations == dict.fromkeys(codes, 1)
    for number in range(1, 49):
        folder = tmp_path / NAME
        mask = folder / "labelsTr" / f"{number}_t2.nii.gz"
        assert check_labels(mask, truth.labels, FOUR) == count(truth.mask)
        source = tmp_path / "src" / "images" / f"{number}_t2.mha"
        check_values(folder / "imagesTr" / f"{number}_t2_0000.nii.gz", source, padded)


def test_no_level_is_promised_and_no_side_named(converted):
    entry = json.loads((converted[1] / "dataset.json").read_text())
    assert entry["labels"] == {"background": 0, "vertebra": 1, "canal": 2, "disc": 3}
    names = {name for scheme in SCHEMES.values() for name in scheme}
    assert not any(name[0] in "LTS" for name in names)
    assert entry["nnunet_plugins"]["sided_labels"] == []
    assert entry["nnunet_plugins"]["left_right_axis"] == 2
    assert entry["channel_names"] == {"0": "MRI"}


def test_padding_is_taken_away_and_recorded(spider, converted):
    report, folder = converted
    manifest = json.loads((folder / "conversion.json").read_text())
    assert manifest["settings"]["padding"] == "-1000 -> 0"
    for name, truth in spider[1].items():
        had = (stored(truth.image)[0] == -1000).mean()
        array = read(folder / "imagesTr" / f"{name}_0000.nii.gz")[0]
        assert array.min() >= 0
        if "SPACE" in name:
            assert had == 0
            assert manifest["cases"][name]["notes"] == []
        else:
            assert had > 0.1
            assert (array == 0).mean() >= had
            assert "padding of -1000 set to 0" in manifest["cases"][name]["notes"][0]
    assert "padding of -1000" in str(report)


def test_values_below_zero_that_are_no_padding(tmp_path):
    write_patients(tmp_path / "src", 2)
    few, offset, inside = (
        tmp_path / "src" / "images" / f"{n}.mha" for n in ("1_t1", "1_t2", "2_t1")
    )

    def change(path, do):
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
        made = sitk.GetImageFromArray(do(array))
        made.CopyInformation(image)
        sitk.WriteImage(made, str(path))
        return made

    def some_below(array):
        array[40, 30, 4] = -7
        return array

    def all_lower(array):
        return np.where(array == -1000, -1000, array - 1000).astype(np.int16)

    def no_border(array):
        result = np.where(array == -1000, 0, array).astype(np.int16)
        result[40, 30, 4] = -1000
        return result

    for path, do in ((few, some_below), (offset, all_lower), (inside, no_border)):
        change(path, do)
    run(tmp_path / "src", tmp_path)
    out = tmp_path / NAME / "imagesTr"
    check_values(out / "1_t1_0000.nii.gz", few, padded)
    assert read(out / "1_t1_0000.nii.gz")[0].min() == -7
    check_values(out / "1_t2_0000.nii.gz", offset, lambda v: v + 1000)
    check_values(out / "2_t1_0000.nii.gz", inside)
    notes = json.loads((tmp_path / NAME / "conversion.json").read_text())["cases"]
    assert "offset of -1000" in notes["1_t2"]["notes"][0]
    assert notes["2_t1"]["notes"] == []


def test_one_sequence_alone(spider, tmp_path):
    report = run(spider[0], tmp_path, sequences=("t1",))
    assert sorted(report.cases) == ["1_t1", "2_t1", "5_t1"]
    entry = json.loads((tmp_path / NAME / "dataset.json").read_text())
    assert entry["channel_names"] == {"0": "T1"}


def test_the_central_slice_is_a_two_dimensional_dataset(spider, tmp_path):
    report = run(spider[0], tmp_path, scheme="binary", sequences=("t1",), central_slice=True)
    assert "done to each case: CentralSlice, thickness 4.0" in str(report)
    folder = tmp_path / NAME
    entry = json.loads((folder / "dataset.json").read_text())
    assert entry["nnunet_plugins"]["left_right_axis"] == 0
    for name in ("1_t1", "2_t1", "5_t1"):
        truth = spider[1][name]
        image, mask = (
            folder / "imagesTr" / f"{name}_0000.nii.gz",
            folder / "labelsTr" / f"{name}.nii.gz",
        )
        assert read(image)[0].shape == (56, 84, 1)  # front to back, head to foot, one slice
        assert check_labels(mask, truth.labels, BINARY) > 300
        check_values(image, truth.image, padded)
        assert orientation(image) == "PIR"
        # Slice 4 of 9 is the middle one.
        middle = stored(truth.image)[1] @ [4, 0, 0, 1]
        assert points((1, 1, 1), read(image)[1])[0, 0, 0, 0] == pytest.approx(middle[0], abs=1e-3)
        assert np.linalg.norm(read(image)[1][:, 2]) == pytest.approx(4.0)  # of every case


def test_channels_of_patients_whose_series_share_a_grid(spider, tmp_path):
    report = run(spider[0], tmp_path, channels=True)
    folder = tmp_path / NAME
    assert sorted(report.cases) == ["1_t1_t2", "5_t1_t2"]
    assert any("without all of t1, t2, left out: 1 (4)" in note for note in report.notes)
    assert any("different grids, left out: 1 (2)" in note for note in report.notes)
    for patient in (1, 5):
        for channel, sequence in enumerate(("t1", "t2")):
            truth = spider[1][f"{patient}_{sequence}"]
            check_values(
                folder / "imagesTr" / f"{patient}_t1_t2_{channel:04d}.nii.gz", truth.image, padded
            )
        check_labels(folder / "labelsTr" / f"{patient}_t1_t2.nii.gz", truth.labels, FOUR)
    entry = json.loads((folder / "dataset.json").read_text())
    assert entry["channel_names"] == {"0": "T1", "1": "T2"}


def test_channels_that_nobody_has(spider, tmp_path):
    with pytest.raises(DatasetError, match=r"no patient has t1 and t2_SPACE on one grid"):
        run(spider[0], tmp_path, channels=True, sequences=("t1", "t2_SPACE"))
    with pytest.raises(DatasetError, match="--channels: two or more sequences"):
        run(spider[0], tmp_path, channels=True, sequences=("t1",))


def test_series_of_one_patient_stay_together(spider, tmp_path):
    for split, number in (("5-fold", 4), ("7:3", 1), ("80/20", 1), ("own", 1)):
        report = run(spider[0], tmp_path, split=split)
        folds = json.loads((report.dataset / "splits_final.json").read_text())
        assert len(folds) == number
        for fold in folds:
            sides = [{name.split("_")[0] for name in fold[side]} for side in ("train", "val")]
            assert not sides[0] & sides[1]
            assert len(fold["train"]) + len(fold["val"]) == 8
    assert folds == [{"train": ["1_t1", "1_t2", "2_t1", "2_t2", "2_t2_SPACE", "4_t2"],
                      "val": ["5_t1", "5_t2"]}]  # fmt: skip


def test_the_own_validation_set_can_be_the_test_set(spider, tmp_path):
    report = run(spider[0], tmp_path, test="val")
    assert sorted(report.test) == ["5_t1", "5_t2"]
    assert (tmp_path / NAME / "labelsTs" / "5_t1.nii.gz").exists()


def test_archives_that_unpack_into_a_folder_of_their_own(spider, converted, tmp_path):
    write_patients(tmp_path / "src", 4, nested=True)
    run(tmp_path / "src", tmp_path)
    made, usual = tree(tmp_path / NAME), tree(converted[1])
    assert {n: c for n, c in made.items() if "/" in n} == {
        n: c for n, c in usual.items() if "/" in n
    }
    assert made["splits_final.json"] == usual["splits_final.json"]


def test_archives_that_are_not_unpacked(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "images.zip").write_bytes(b"PK")
    with pytest.raises(DatasetError, match=r"no volumes in images/ .*; unpack images.zip"):
        run(tmp_path / "src", tmp_path / "raw")
    with pytest.raises(DatasetError, match=r"images.zip: is a file; unpack it if it is an archive"):
        run(tmp_path / "src" / "images.zip", tmp_path / "raw")
    with pytest.raises(DatasetError, match=r"no such folder; pass the folder that holds images/"):
        run(tmp_path / "nowhere", tmp_path / "raw")


def test_folders_and_endings_in_capitals(tmp_path):
    write_patients(tmp_path / "src", 2)
    (tmp_path / "src" / "images").rename(tmp_path / "src" / "Images")
    path = tmp_path / "src" / "Images" / "1_t1.mha"
    path.rename(path.with_name("1_T1.MHA"))
    report = run(tmp_path / "src", tmp_path / "raw")
    assert "1_t1" in report.cases
    assert not report.test


def test_two_layouts_at_once_stop(tmp_path):
    write_patients(tmp_path / "src", 1)
    write_patients(tmp_path / "src", 1, nested=True)
    with pytest.raises(DatasetError, match="both hold volumes; keep one"):
        run(tmp_path / "src", tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("9_t3.mha", "9_t3.mha: not a file name of this dataset"),
        ("01_T2.mha", r"01_T2.mha and 1_t2.mha denote the same image; keep one"),
        ("300_t2.mha", r"1_t2.mha and .*300_t2.mha hold the same image; remove one"),
    ],
)
def test_names_that_mislead(tmp_path, name, message):
    write_patients(tmp_path / "src", 3)
    for folder in ("images", "masks"):
        source = tmp_path / "src" / folder / "1_t2.mha"
        (source.parent / name).write_bytes(source.read_bytes())
    with pytest.raises(DatasetError, match=message):
        run(tmp_path / "src", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    report = run(tmp_path / "src", tmp_path / "raw", keep_going=True)
    assert report.problems
    assert "4_t2" in report.cases
    assert not {"9_t3", "300_t2"} & report.cases


def test_files_in_a_format_that_is_not_read_are_not_passed_over(tmp_path):
    write_patients(tmp_path / "src", 2)
    for folder in ("images", "masks"):
        path = tmp_path / "src" / folder / "1_t1.mha"
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path.with_suffix(".mhd")))
        path.unlink()
    with pytest.raises(DatasetError, match=r"images/1_t1.mhd: this format is not read; convert it"):
        run(tmp_path / "src", tmp_path / "raw")


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_lengths_in_another_unit_stop(tmp_path, factor):
    write_patients(tmp_path / "src", 2)
    for folder in ("images", "masks"):
        path = str(tmp_path / "src" / folder / "1_t1.mha")
        image = sitk.ReadImage(path)
        image.SetSpacing([mm * factor for mm in image.GetSpacing()])
        sitk.WriteImage(image, path)
    with pytest.raises(DatasetError, match=r"1_t1.mha: spacing .* are its lengths in another unit"):
        run(tmp_path / "src", tmp_path / "raw")


def test_a_mask_without_its_image_stops(tmp_path):
    write_patients(tmp_path / "src", 2)
    (tmp_path / "src" / "images" / "2_t1.mha").unlink()
    with pytest.raises(DatasetError, match=r"2_t1.mha: a mask without its image"):
        run(tmp_path / "src", tmp_path / "raw")


def test_masks_of_two_patients_swapped(tmp_path):
    write_patients(tmp_path / "src", 2)
    one, two = (tmp_path / "src" / "masks" / f"{number}_t1.mha" for number in (1, 2))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(
        DatasetError, match=r"(?s)2 problems.*1_t1.mha: the mask is not aligned with"
    ):
        run(tmp_path / "src", tmp_path / "raw")


def upside_down(path):
    image = sitk.ReadImage(str(path))
    x, y, z = (image.GetDirection()[i] for i in (0, 4, 8))
    image.SetDirection([x, 0, 0, 0, -y, 0, 0, 0, -z])
    sitk.WriteImage(image, str(path), True)


def test_head_and_feet_exchanged_in_both_headers(tmp_path):
    write_patients(tmp_path / "src", 2)
    for folder in ("images", "masks"):
        upside_down(tmp_path / "src" / folder / "1_t2.mha")
    with pytest.raises(DatasetError, match=r"1_t2.mha: label 2 is \d+ mm below label 1"):
        run(tmp_path / "src", tmp_path / "raw")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("training", "exercise", 1), "subset 'exercise'"),
        (lambda t: t.replace("subset", "part", 1), "columns new_file_name and subset are required"),
        (
            lambda t: t + t.splitlines()[1].replace("training", "validation") + "\n",
            "1_t1 has two subsets",
        ),
        (lambda t: t.replace("1_t1,", "one,", 1), "series 'one'"),
    ],
)
def test_a_table_that_cannot_be_trusted(tmp_path, change, message):
    write_patients(tmp_path / "src", 2)
    table = tmp_path / "src" / "overview.csv"
    table.write_text(change(table.read_text()))
    with pytest.raises(DatasetError, match=message):
        run(tmp_path / "src", tmp_path / "raw")


def test_blanks_and_a_byte_order_mark_in_the_table(tmp_path):
    write_patients(tmp_path / "src", 4)
    table = tmp_path / "src" / "overview.csv"
    assert "F ," in table.read_text()
    table.write_text(
        "\ufeff" + table.read_text().replace("validation", " validation "), encoding="utf-8"
    )
    assert run(tmp_path / "src", tmp_path / "raw", test="val").test == {"5_t1", "5_t2"}


def test_without_the_table_only_the_own_subsets_are_missing(tmp_path):
    write_patients(tmp_path / "src", 2)
    (tmp_path / "src" / "overview.csv").unlink()
    assert any("no overview.csv" in note for note in run(tmp_path / "src", tmp_path / "raw").notes)
    with pytest.raises(DatasetError, match="have no subset of the dataset's own"):
        run(tmp_path / "src", tmp_path / "raw", split="own")


def test_dropped_labels_are_background_and_no_class(spider, tmp_path):
    run(spider[0], tmp_path, sequences=("t1",), drop=(100, 1))
    labels = json.loads((tmp_path / NAME / "dataset.json").read_text())["labels"]
    assert labels == {"background": 0, "vertebra": 1, "disc": 2}
    table = {**dict.fromkeys(range(2, 26), 1), **dict.fromkeys(range(201, 226), 2)}
    for name in ("1_t1", "5_t1"):
        check_labels(tmp_path / NAME / "labelsTr" / f"{name}.nii.gz", spider[1][name].labels, table)


def test_partly_visible_vertebrae_and_a_tenth(tmp_path):
    write_patients(tmp_path / "src", 1)
    path = tmp_path / "src" / "masks" / "1_t1.mha"
    mask = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(mask)
    array[array == 8] = 108
    array[array == 7] = 10
    made = sitk.GetImageFromArray(array)
    made.CopyInformation(mask)
    sitk.WriteImage(made, str(path))
    run(tmp_path / "src", tmp_path / "raw", sequences=("t1",))
    written = read(tmp_path / "raw" / NAME / "labelsTr" / "1_t1.nii.gz")[0]
    assert (written == 1).sum() == ((array > 0) & (array < 100) | (array == 108)).sum()
    with pytest.raises(DatasetError, match=r"label values \[10, 108\] are not listed"):
        run(tmp_path / "src", tmp_path / "raw2", scheme="instances", sequences=("t1",))


def test_the_real_files_in_spider_s_form(shared_data, tmp_path):
    source = shared_data / "derived" / "spider_style"
    report = run(source, tmp_path)
    assert sorted(report.cases) == ["1_t2", "1_t2_SPACE", "2_t2"]
    assert report.test == {"2_t2"}  # nobody drew its mask
    assert report.orientations == {"LPS": 2, "PIR": 1}
    folder = tmp_path / NAME
    written = []
    for name in ("1_t2", "1_t2_SPACE"):
        image, mask = (
            folder / "imagesTr" / f"{name}_0000.nii.gz",
            folder / "labelsTr" / f"{name}.nii.gz",
        )
        check_values(image, source / "images" / f"{name}.mha")
        check_values(
            mask, source / "masks" / f"{name}.mha", np.vectorize(lambda v: FOUR.get(int(v), 0))
        )
        written.append((read(image), read(mask)))
    # Both are the same picture, stored in two ways: written alike they are the same array.
    for (one, at_one), (two, at_two) in zip(*written, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(at_one, at_two, atol=1e-3)
    assert (folder / "imagesTs" / "2_t2_0000.nii.gz").exists()
    manifest = json.loads((folder / "conversion.json").read_text())
    assert manifest["settings"]["scheme"] == "four"
