import json
import shutil
from functools import partial
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.csig import LEVELS, Options, convert
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.csig import write_patients
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


@pytest.fixture(scope="module")
def csig(tmp_path_factory):
    """Four patients, the third without T9, the fourth with a larger matrix; do not write here."""
    folder = tmp_path_factory.mktemp("csig")
    return folder, {truth.name.lower(): truth for truth in write_patients(folder, 4)}


def run(source, raw, **options):
    return convert(source, raw, 671, options=Options(**options))


@pytest.fixture(scope="module")
def converted(csig, no_picture, tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    return run(csig[0], raw), raw / NAME


def labels_of(raw):
    return json.loads((raw / NAME / "dataset.json").read_text())["labels"]


def test_every_voxel_is_where_it_was(csig, converted):
    report, folder = converted
    assert sorted(report.cases) == ["case1", "case2", "case3", "case4"]
    assert report.orientations == {"PIR": 4}
    for name, truth in csig[1].items():
        mask, image = (
            folder / "labelsTr" / f"{name}.nii.gz",
            folder / "imagesTr" / f"{name}_0000.nii.gz",
        )
        assert check_labels(mask, truth.labels, ALL) == count(truth.mask) > 4000
        check_values(image, truth.image)
        assert orientation(mask) == orientation(image) == "LPS"
    assert set(np.unique(read(folder / "labelsTr" / "case3.nii.gz")[0])) == set(range(20)) - {
        10,
        19,
    }


def test_oblique_patients_stay_oblique(tmp_path):
    truths = write_patients(tmp_path / "src", 2)
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.12, -0.2, 0.15)
    matrix = np.reshape(turn.GetMatrix(), (3, 3))
    for truth in truths:
        for path in (truth.image, truth.mask):
            image = sitk.ReadImage(str(path))
            image.SetOrigin(matrix @ image.GetOrigin())
            image.SetDirection((matrix @ np.reshape(image.GetDirection(), (3, 3))).ravel())
            sitk.WriteImage(image, str(path))
    run(tmp_path / "src", tmp_path / "raw")
    for truth in truths:
        name = truth.name.lower()
        mask = tmp_path / "raw" / NAME / "labelsTr" / f"{name}.nii.gz"
        # Turned back, the points are those of the patient who lies straight.
        known = partial(lambda points, truth: truth.labels(points @ matrix), truth=truth)
        assert check_labels(mask, known, ALL) == count(truth.mask)
        check_values(tmp_path / "raw" / NAME / "imagesTr" / f"{name}_0000.nii.gz", truth.image)
        tilt = read(mask)[1][:3, :3] / np.linalg.norm(read(mask)[1][:3, :3], axis=0)
        np.testing.assert_allclose(tilt, matrix, atol=1e-4)


def test_names_go_with_the_anatomy(csig, converted, tmp_path):
    """Each name's centre lies where the level is: bones one above the other, discs between."""
    labels = labels_of(converted[1].parent)
    assert list(labels)[1:11] == list(LEVELS)
    array, matrix = read(converted[1] / "labelsTr" / "case1.nii.gz")
    height = {}
    for name, value in labels.items():
        index = np.argwhere(array == value).mean(0)
        height[name] = float((matrix[:3, :3] @ index + matrix[:3, 3])[2])
    bones = [height[level] for level in LEVELS]
    assert bones == sorted(bones)
    for low, high in pairwise(LEVELS):
        assert height[low] < height[f"{high}-{low}"] < height[high]


def test_the_aspp_paper_s_nine_classes(csig, tmp_path):
    report = run(csig[0], tmp_path, scheme="aspp")
    assert list(labels_of(tmp_path)) == ["background", *LEVELS[:8]]
    for name, truth in csig[1].items():
        check_labels(tmp_path / NAME / "labelsTr" / f"{name}.nii.gz", truth.labels, ASPP)
    assert any("sent to background: 9-19" in note for note in report.notes)


def renumbered(source, change):
    for path in (source / "train" / "Mask").iterdir():
        image = nib.load(path)
        array = change(np.asarray(image.dataobj)).astype(np.uint8)
        nib.save(nib.Nifti1Image(array, image.affine, image.header), path)


def lumbar_reversed(array):
    return np.where((array >= 2) & (array <= 6), 7 - array, 0)  # L5 is 5, L1 is 1


def test_reversed_numbering_is_proven_from_the_positions(tmp_path):
    truths = write_patients(tmp_path / "src", 2)
    renumbered(tmp_path / "src", lumbar_reversed)
    for scheme in ("all", "aspp"):
        with pytest.raises(
            DatasetError, match=r"(?s)label 2 is \d+ mm below label 1.*--scheme reversed"
        ):
            run(tmp_path / "src", tmp_path / "raw", scheme=scheme)
    assert not (tmp_path / "raw" / NAME).exists()
    run(tmp_path / "src", tmp_path / "raw", scheme="reversed")
    assert labels_of(tmp_path / "raw") == {"background": 0, **{f"L{n}": n for n in range(1, 6)}}
    table = {2: 5, 3: 4, 4: 3, 5: 2, 6: 1}  # the truth's L5 is value 2
    for truth in truths:
        mask = tmp_path / "raw" / NAME / "labelsTr" / f"{truth.name.lower()}.nii.gz"
        assert check_labels(mask, truth.labels, table) > 1000


def test_the_usual_numbering_under_the_reversed_scheme_stops(csig, tmp_path):
    drop = tuple(range(6, 20))
    with pytest.raises(
        DatasetError, match=r"neighbours are in the wrong order.*--scheme all or aspp"
    ):
        run(csig[0], tmp_path, scheme="reversed", drop=drop)


def test_labels_of_the_user_s_own(csig, tmp_path):
    names = tmp_path / "labels.json"
    names.write_text(json.dumps({"S": 1, "L5": 2}))
    with pytest.raises(DatasetError, match=r"label values \[3, 4, .*\] are not listed"):
        run(csig[0], tmp_path / "raw", labels=names)
    run(csig[0], tmp_path / "raw", labels=names, drop=tuple(range(3, 20)))
    assert labels_of(tmp_path / "raw") == {"background": 0, "S": 1, "L5": 2}


def test_one_level_out_of_order_is_told_and_passes(tmp_path):
    write_patients(tmp_path / "src", 2)
    swap = np.arange(256)
    swap[[8, 9]] = 9, 8
    renumbered(tmp_path / "src", lambda array: swap[array])
    report = run(tmp_path / "src", tmp_path / "raw")
    assert any("label 9 is below label 8" in note for note in report.notes)


def test_the_crop_keeps_every_label_and_every_place(csig, converted, tmp_path):
    run(csig[0], tmp_path, crop=464)
    for name, truth in csig[1].items():
        mask = tmp_path / NAME / "labelsTr" / f"{name}.nii.gz"
        image = tmp_path / NAME / "imagesTr" / f"{name}_0000.nii.gz"
        x, y, z = stored(truth.image)[0].shape[::-1][0], *stored(truth.image)[0].shape[:2]
        assert read(image)[0].shape == (x, round(y * 464 / 880), z)
        assert check_labels(mask, truth.labels, ALL) == count(truth.mask)
        check_values(image, truth.image)
        # What is cut is black: the phantom is zero beside the body, as the data set is.
        assert (read(image)[0] > 0).sum() == (stored(truth.image)[0] > 0).sum()


def test_the_crop_moves_for_labels_and_stops_where_they_do_not_fit(tmp_path):
    truth = write_patients(tmp_path / "src", 2)[0]
    image = sitk.ReadImage(str(truth.image))
    array = sitk.GetArrayFromImage(image)  # slices, rows, columns (to the back)
    array[:, :, 75:] = 2600  # something bright behind draws the window away
    made = sitk.GetImageFromArray(array)
    made.CopyInformation(image)
    sitk.WriteImage(made, str(truth.image))
    run(tmp_path / "src", tmp_path / "raw", crop=464)
    mask = tmp_path / "raw" / NAME / "labelsTr" / "case1.nii.gz"
    assert check_labels(mask, truth.labels, ALL) == count(truth.mask)
    with pytest.raises(DatasetError, match=r"the labels are \d+ columns wide, the crop leaves 6"):
        run(tmp_path / "src", tmp_path / "raw", crop=48)
    with pytest.raises(DatasetError, match="--crop 900: 16 to 880 columns are allowed"):
        Options(crop=900)


def test_names_are_paired_by_number_whatever_their_letters(tmp_path):
    write_patients(tmp_path / "src", 2)
    mr = tmp_path / "src" / "train" / "MR"
    (mr / "Case2.nii.gz").rename(mr / "case_02.NII.GZ")
    report = run(tmp_path / "src" / "train", tmp_path / "raw")  # the folder train itself serves too
    assert sorted(report.cases) == ["case1", "case2"]
    assert not report.test


def test_an_archive_in_a_folder_of_its_own_name(csig, tmp_path):
    shutil.copytree(csig[0] / "train", tmp_path / "src" / "train" / "train")
    assert len(run(tmp_path / "src", tmp_path / "raw").cases) == 4


def test_two_names_for_one_number_stop(tmp_path):
    write_patients(tmp_path / "src", 2)
    mr = tmp_path / "src" / "train" / "MR"
    (mr / "case01.nii.gz").write_bytes((mr / "Case2.nii.gz").read_bytes())
    with pytest.raises(DatasetError, match=r"Case1.nii.gz and case01.nii.gz denote the same image"):
        run(tmp_path / "src", tmp_path / "raw")


def test_one_image_under_two_numbers_stops(tmp_path):
    write_patients(tmp_path / "src", 2)
    for folder, name in (("MR", "Case{}.nii.gz"), ("Mask", "mask_case{}.nii.gz")):
        one = tmp_path / "src" / "train" / folder / name.format(1)
        one.with_name(name.format(99)).write_bytes(one.read_bytes())
    with pytest.raises(DatasetError, match=r"Case1.nii.gz and .*Case99.nii.gz hold the same image"):
        run(tmp_path / "src", tmp_path / "raw")


def test_images_without_a_mask_are_test_cases_and_masks_alone_stop(tmp_path):
    write_patients(tmp_path / "src", 3)
    train = tmp_path / "src" / "train"
    (train / "Mask" / "mask_case2.nii.gz").unlink()
    assert run(tmp_path / "src", tmp_path / "raw").test == {"case2"}
    (train / "MR" / "Case3.nii.gz").unlink()
    with pytest.raises(DatasetError, match=r"mask_case3.nii.gz: a mask without its image"):
        run(tmp_path / "src", tmp_path / "raw")


def test_the_paper_s_split(csig, tmp_path):
    report = run(csig[0], tmp_path, split="80/20", seed=3)
    assert report.folds == ((3, 1),)
    report = run(csig[0], tmp_path, test="80/20")
    assert len(report.test) == 1
    assert (tmp_path / NAME / "labelsTs").is_dir()


def test_the_real_files_in_csig_s_form(shared_data, tmp_path):
    source = shared_data / "derived" / "csig_style"
    run(source, tmp_path)
    folder = tmp_path / NAME
    image, mask = folder / "imagesTr" / "case1_0000.nii.gz", folder / "labelsTr" / "case1.nii.gz"
    check_values(image, source / "train" / "MR" / "Case1.nii.gz")
    check_values(mask, source / "train" / "Mask" / "mask_case1.nii.gz")
    assert orientation(image) == "LPS"
