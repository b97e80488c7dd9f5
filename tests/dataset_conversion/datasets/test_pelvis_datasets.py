"""CTPelvic1K and PENGWIN: pairs, patients, fragments, and sides that are verified by position."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.datasets import ctpelvic1k, pengwin
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms import ctpelvic1k as ctpelvic1k_phantom
from dataset_conversion.phantoms import pengwin as pengwin_phantom
from tests.dataset_conversion.datasets.comparing import change, check_case, dataset_json, folds
from tests.dataset_conversion.making import tree

pytestmark = pytest.mark.usefixtures("no_picture")

HIPS = np.arange(256)
HIPS[[2, 3]] = 3, 2


def run(module, source, raw, **options):
    return module.convert(source, raw, 711, options=module.Options(**options))


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Four scans of three patients in sub-datasets 6, 7, 2 and 2; read only."""
    folder = tmp_path_factory.mktemp("ctpelvic1k")
    truths = ctpelvic1k_phantom.write_patients(folder, 4)
    return SimpleNamespace(folder=folder, truths=truths)


@pytest.fixture(scope="module")
def fractures(tmp_path_factory):
    """Two patients of PENGWIN; read only."""
    folder = tmp_path_factory.mktemp("pengwin")
    return SimpleNamespace(folder=folder, truths=pengwin_phantom.write_patients(folder, 2))


def copied(phantom, to):
    return shutil.copytree(phantom.folder, to / "src")


def exchange(path):
    change(path, lambda array: HIPS[array].astype(np.uint8))


def there(phantom, source, truth):
    return source / truth.mask.relative_to(phantom.folder)


def test_bones_of_ctpelvic1k(clinic, tmp_path):
    folder = run(ctpelvic1k, clinic.folder, tmp_path).dataset
    names = {"background": 0, "sacrum": 1, "right hip": 2, "left hip": 3, "lumbar spine": 4}
    assert dataset_json(folder)["labels"] == names
    for truth in clinic.truths:
        assert check_case(folder, truth, {v: v for v in range(1, 5)}) > 1000


def test_two_series_of_a_uid_are_one_patient(clinic, tmp_path):
    folder = run(ctpelvic1k, clinic.folder, tmp_path).dataset
    series = {truth.name for truth in clinic.truths[2:]}
    assert len(folds(folder)) == 3
    assert all(len(series & set(fold["val"])) != 1 for fold in folds(folder))


def test_exchanged_hips_stop_before_anything_is_written(clinic, tmp_path):
    source = copied(clinic, tmp_path)
    exchange(there(clinic, source, clinic.truths[0]))
    match = r"CLINIC_0001.*left hip is \d+ mm to the patient's right.*add 6 to --hips-exchanged"
    with pytest.raises(DatasetError, match=match):
        run(ctpelvic1k, source, tmp_path / "raw")
    report = run(ctpelvic1k, source, tmp_path / "raw", dry_run=True)
    assert re.search(match, report.problems[0])
    assert not (tmp_path / "raw").exists()


def test_the_order_of_a_sub_dataset_is_an_option_and_is_verified(clinic, tmp_path):
    source = copied(clinic, tmp_path)
    exchange(there(clinic, source, clinic.truths[0]))
    folder = run(ctpelvic1k, source, tmp_path / "raw", hips_exchanged=(6,)).dataset
    for truth in clinic.truths:
        check_case(folder, truth, {v: v for v in range(1, 5)})
    with pytest.raises(DatasetError, match=r"metal_0002.*leave it out of --hips-exchanged"):
        run(ctpelvic1k, source, tmp_path / "raw2", hips_exchanged=(6, 7))
    with pytest.raises(DatasetError, match="--hips-exchanged 9: sub-datasets 1 to 7 are allowed"):
        ctpelvic1k.Options(hips_exchanged=(9,))


def test_a_header_that_exchanges_the_sides_stops(fractures, tmp_path):
    source = copied(fractures, tmp_path)
    for truth in fractures.truths[:1]:
        for path in (truth.image, truth.mask):
            place = source / path.relative_to(fractures.folder)
            image = sitk.ReadImage(str(place))
            image.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
            sitk.WriteImage(image, str(place), True)
    with pytest.raises(DatasetError, match=r"001\.mha: by the positions .* the left hip is"):
        run(pengwin, source, tmp_path / "raw")
    report = run(pengwin, source, tmp_path / "raw", keep_going=True)
    assert set(report.cases) == {"pengwin_002"}


def test_one_hip_is_compared_with_the_sacrum(fractures, tmp_path):
    source = copied(fractures, tmp_path)
    first, second = (there(fractures, source, truth) for truth in fractures.truths)
    change(first, lambda a: np.where(a > 20, 0, a))  # no right hip
    assert not run(pengwin, source, tmp_path / "raw").problems
    change(second, lambda a: np.where((a > 10) & (a < 21), a + 10, 0).astype(np.uint8))
    report = run(pengwin, source, tmp_path / "raw2")
    assert any("side not verified" in note for note in report.notes)
    change(first, lambda a: np.where(a > 10, a + 10, a).astype(np.uint8))
    with pytest.raises(DatasetError, match=r"bone in the middle .* right of the right hip"):
        run(pengwin, source, tmp_path / "raw3")


def test_fragments_are_joined_to_bones(fractures, tmp_path):
    folder = run(pengwin, fractures.folder, tmp_path).dataset
    assert dataset_json(folder)["labels"] == {
        "background": 0, "sacrum": 1, "left hip": 2, "right hip": 3}  # fmt: skip
    for truth in fractures.truths:
        check_case(folder, truth, {1: 1, 11: 2, 12: 2, 21: 3, 22: 3})
    assert "nnunet_plugins" in dataset_json(folder)
    assert dataset_json(folder)["nnunet_plugins"]["sided_labels"] == ["left hip", "right hip"]


def test_images_of_other_sources_keep_their_names(clinic, tmp_path):
    source = tmp_path / "src"
    for number, (image, mask) in enumerate(
        [
            ("abdomen/img0001.nii.gz", "dataset1_img0001"),
            ("kits19/case_00014/imaging.nii.gz", "dataset4_case_00014"),
            ("cervix/0507688-Image.nii.gz", "dataset5_0507688_Image"),
        ]
    ):
        for path, file in (
            (clinic.truths[number].image, source / image),
            (clinic.truths[number].mask, source / "masks" / f"{mask}_mask_4label.nii.gz"),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, file)
    report = run(ctpelvic1k, source, tmp_path / "raw")
    assert sorted(report.cases) == [
        "dataset1_img0001",
        "dataset4_case_00014",
        "dataset5_0507688_Image",
    ]
    assert not report.test


def test_a_mask_alone_an_archive_and_a_strange_name_stop_together(clinic, tmp_path):
    source = copied(clinic, tmp_path)
    (source / clinic.truths[0].image.relative_to(clinic.folder)).unlink()
    (source / "CTPelvic1K_dataset7_mask.tar.gz").write_bytes(b"unpacked next to it")
    (source / "CTPelvic1K_dataset5_mask.tar.gz").write_bytes(b"not unpacked")
    shutil.copy(clinic.truths[1].image, source / "scout.nii.gz")
    second = there(clinic, source, clinic.truths[2])
    second.rename(second.with_name(second.name.replace(".nii.gz", ".nii (1).gz")))
    with pytest.raises(DatasetError) as stopped:
        run(ctpelvic1k, source, tmp_path / "raw")
    text = str(stopped.value)
    assert text.startswith("4 problems")
    assert "dataset6_CLINIC_0001_mask_4label.nii.gz: a mask without its image" in text
    assert "CTPelvic1K_dataset5_mask.tar.gz: an archive; unpack it" in text
    assert "_mask_4label.nii (1).gz: is not read: an unfinished or second download" in text
    assert "scout.nii.gz: not a file name of this dataset" in text


def test_images_without_a_mask_are_test_cases(fractures, tmp_path):
    source = copied(fractures, tmp_path)
    there(fractures, source, fractures.truths[1]).unlink()
    report = run(pengwin, source, tmp_path / "raw")
    assert report.test == {"pengwin_002"}
    assert "images without a mask, written to imagesTs: 1" in report.notes


def test_a_window_changes_the_channel(fractures, tmp_path):
    folder = run(pengwin, fractures.folder, tmp_path, window=(-200, 1200)).dataset
    assert dataset_json(folder)["channel_names"] == {"0": "noNorm"}
    assert tree(folder)
