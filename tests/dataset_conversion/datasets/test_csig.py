import json
import shutil
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest

from dataset_conversion.datasets.csig import LEVELS, Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.comparing import change, check_case, dataset_json, pair
from tests.dataset_conversion.world import (
    check_labels,
    check_values,
    count,
    orientation,
    read,
    stored,
)

pytestmark = pytest.mark.usefixtures("no_picture")

NAME = "Dataset671_CSIG"
ALL = {v: v for v in range(1, 20)}
ASPP = {v: v for v in range(1, 9)}


def run(source, raw, **options):
    return convert(source, raw, 671, options=Options(**options))


@pytest.fixture(scope="module")
def converted(csig, no_picture, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    return run(csig[0], raw), raw / NAME


def labels_of(raw):
    return dataset_json(raw / NAME)["labels"]


def test_voxels_keep_their_positions(csig, converted):
    report, folder = converted
    assert sorted(report.cases) == ["case1", "case2", "case3", "case4"]
    assert report.orientations == {"PIR": 4}
    for name, truth in csig[1].items():
        assert check_case(folder, truth, ALL, name) > 4000
    assert set(np.unique(read(pair(folder, "case3")[0])[0])) == set(range(20)) - {10, 19}


def test_names_match_the_anatomy(converted):
    """Each name's centre is at its level: bones one above the other, discs between."""
    labels = labels_of(converted[1].parent)
    assert list(labels)[1:11] == list(LEVELS)
    array, matrix = read(pair(converted[1], "case1")[0])
    height = {}
    for name, value in labels.items():
        index = np.argwhere(array == value).mean(0)
        height[name] = float((matrix[:3, :3] @ index + matrix[:3, 3])[2])
    bones = [height[level] for level in LEVELS]
    assert bones == sorted(bones)
    for low, high in pairwise(LEVELS):
        assert height[low] < height[f"{high}-{low}"] < height[high]


def test_the_nine_classes_of_the_aspp_paper(csig, tmp_path):
    report = run(csig[0], tmp_path, scheme="aspp")
    assert list(labels_of(tmp_path)) == ["background", *LEVELS[:8]]
    for name, truth in csig[1].items():
        check_labels(pair(tmp_path / NAME, name)[0], truth.labels, ASPP)
    assert any("sent to background: 9-19" in note for note in report.notes)


def renumber(source, edit):
    for path in (source / "train" / "Mask").iterdir():
        image = nib.load(path)
        array = edit(np.asarray(image.dataobj)).astype(np.uint8)
        nib.save(nib.Nifti1Image(array, image.affine, image.header), path)


def test_reversed_numbering_is_detected_from_the_positions(csig, csig_copy, tmp_path):
    # L5 becomes 5, L1 becomes 1
    renumber(csig_copy, lambda array: np.where((array >= 2) & (array <= 6), 7 - array, 0))
    for scheme in ("all", "aspp"):
        with pytest.raises(
            DatasetError, match=r"(?s)label 2 is \d+ mm below label 1.*--scheme reversed"
        ):
            run(csig_copy, tmp_path / "raw", scheme=scheme)
    assert not (tmp_path / "raw" / NAME).exists()
    run(csig_copy, tmp_path / "raw", scheme="reversed")
    assert labels_of(tmp_path / "raw") == {"background": 0, **{f"L{n}": n for n in range(1, 6)}}
    table = {2: 5, 3: 4, 4: 3, 5: 2, 6: 1}  # the truth's L5 is value 2
    for name in ("case1", "case2"):
        mask = pair(tmp_path / "raw" / NAME, name)[0]
        assert check_labels(mask, csig[1][name].labels, table) > 1000


def test_the_usual_numbering_under_the_reversed_scheme_stops(csig, tmp_path):
    drop = tuple(range(6, 20))
    with pytest.raises(
        DatasetError, match=r"neighbours are in the wrong order.*--scheme all or aspp"
    ):
        run(csig[0], tmp_path, scheme="reversed", drop=drop)


def test_labels_from_a_file(csig, tmp_path):
    names = tmp_path / "labels.json"
    names.write_text(json.dumps({"S": 1, "L5": 2}))
    with pytest.raises(DatasetError, match=r"label values \[3, 4, .*\] are not listed"):
        run(csig[0], tmp_path / "raw", labels=names)
    run(csig[0], tmp_path / "raw", labels=names, drop=tuple(range(3, 20)))
    assert labels_of(tmp_path / "raw") == {"background": 0, "S": 1, "L5": 2}


def test_a_single_level_out_of_order_is_noted(csig_copy, tmp_path):
    swap = np.arange(256)
    swap[[8, 9]] = 9, 8
    renumber(csig_copy, lambda array: swap[array])
    report = run(csig_copy, tmp_path / "raw")
    assert any("label 9 is below label 8" in note for note in report.notes)


def test_the_crop_keeps_every_label_and_every_position(csig, tmp_path):
    run(csig[0], tmp_path, crop=464)
    for name, truth in csig[1].items():
        values = read(pair(tmp_path / NAME, name)[1])[0]
        before = stored(truth.image)[0]
        columns, rows, slices = before.shape
        assert values.shape == (slices, round(columns * 464 / 880), rows)
        check_case(tmp_path / NAME, truth, ALL, name)
        # Only black columns are cut: the phantom is zero outside the body, as the dataset is.
        assert (values > 0).sum() == (before > 0).sum()


def test_the_crop_moves_for_labels_and_stops_if_they_do_not_fit(csig, csig_copy, tmp_path):
    def bright_behind(array):  # slices, rows, columns (to the back)
        array[:, :, 75:] = 2600  # attracts the window
        return array

    change(csig_copy / "train" / "MR" / "Case1.nii.gz", bright_behind)
    run(csig_copy, tmp_path / "raw", crop=464)
    truth = csig[1]["case1"]
    mask = pair(tmp_path / "raw" / NAME, "case1")[0]
    assert check_labels(mask, truth.labels, ALL) == count(truth.mask)
    with pytest.raises(DatasetError, match=r"the labels are \d+ columns wide, the crop leaves 6"):
        run(csig_copy, tmp_path / "raw", crop=48)
    with pytest.raises(DatasetError, match="--crop 900: 16 to 880 columns are allowed"):
        Options(crop=900)


def test_files_are_paired_by_number_regardless_of_spelling(csig_copy, tmp_path):
    mr = csig_copy / "train" / "MR"
    (mr / "Case2.nii.gz").rename(mr / "case_02.NII.GZ")
    report = run(csig_copy / "train", tmp_path / "raw")  # the folder train is accepted too
    assert sorted(report.cases) == ["case1", "case2"]
    assert not report.test


def test_an_archive_that_contains_a_folder_of_its_name(csig, tmp_path):
    shutil.copytree(csig[0] / "train", tmp_path / "src" / "train" / "train")
    assert len(run(tmp_path / "src", tmp_path / "raw").cases) == 4


def test_the_split_of_the_paper(csig, tmp_path):
    report = run(csig[0], tmp_path, split="80/20", seed=3)
    assert report.folds == ((3, 1),)
    report = run(csig[0], tmp_path, test="80/20")
    assert len(report.test) == 1
    assert (tmp_path / NAME / "labelsTs").is_dir()


def test_real_files_in_the_form_of_csig(shared_data, tmp_path):
    source = shared_data / "derived" / "csig_style"
    run(source, tmp_path)
    mask, image = pair(tmp_path / NAME, "case1")
    check_values(image, source / "train" / "MR" / "Case1.nii.gz")
    check_values(mask, source / "train" / "Mask" / "mask_case1.nii.gz")
    assert orientation(image) == "LPS"
