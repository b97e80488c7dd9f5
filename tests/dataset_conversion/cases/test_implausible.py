"""Implausible sources: each fault gives its warning or stops, and right data give none."""

import json
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.implausible import Looked, implausible
from dataset_conversion.cases.measures import Measures, from_dict, measure
from dataset_conversion.checks.dataset import check
from dataset_conversion.datasets.spider import Options as SpiderOptions
from dataset_conversion.datasets.spider import convert as convert_spider
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms import spider as spider_phantom
from dataset_conversion.phantoms.sij_ct import write_patients
from tests.dataset_conversion.datasets import hospital
from tests.dataset_conversion.making import write_json

pytestmark = pytest.mark.usefixtures("no_picture")
run = partial(hospital.run, keep_names=True)
LABELS = {"background": 0, "sacrum": 1, "left ilium": 2, "right ilium": 3}
SHAPE = (20, 64, 64)


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """Four patients as NIfTI: name -> (image, mask), which tests may change."""
    folder = tmp_path_factory.mktemp("right")
    write_patients(folder, 4, shape=SHAPE, spacing=(5.92, 5.92, 5.0))
    found = {}
    for place in sorted(folder.glob("patient*")):
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(place / "ct"))
        found[place.name] = (sitk.ReadImage(files), sitk.ReadImage(str(place / "mask.nii.gz")))
    return found


def array(image):
    return sitk.GetArrayFromImage(image)


def like(values, image):
    made = sitk.GetImageFromArray(values)
    made.CopyInformation(image)
    return made


def written(tmp_path, patients, labels=LABELS):
    for name, (image, mask) in patients.items():
        (tmp_path / "src" / name).mkdir(parents=True)
        sitk.WriteImage(
            sitk.Cast(image, sitk.sitkInt16), str(tmp_path / "src" / name / "ct.nii.gz")
        )
        sitk.WriteImage(mask, str(tmp_path / "src" / name / "mask.nii.gz"))
    write_json(tmp_path / "labels.json", labels)
    return tmp_path / "src"


def warnings(report):
    return [note for note in report.notes if note.startswith("warning")]


def swapped(mask):
    return like(np.array([0, 1, 3, 2], np.uint8)[array(mask)], mask)


def moved(mask):
    return like(np.roll(array(mask), 5, 0), mask)


def moved_a_little(mask):
    return like(np.roll(array(mask), 1, 0), mask)


def flipped(mask):
    return like(np.ascontiguousarray(array(mask)[::-1]), mask)


def of_metal(image):
    return like(array(image) - 1024, image)


def inverted(image):
    return like(-array(image), image)


def noise(image):
    return like(np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16), image)


def in_cm(image):
    made = sitk.Image(image)
    made.SetSpacing([mm / 10 for mm in image.GetSpacing()])
    made.SetOrigin([mm / 10 for mm in image.GetOrigin()])
    return made


def unit_voxels(image):
    made = sitk.Image(image)
    made.SetSpacing((1, 1, 1))
    return made


def same(image):
    return image


def test_right_data_give_no_warning(right, tmp_path):
    report = run(written(tmp_path, right))
    assert not warnings(report)
    assert not [one for one in check(report.dataset).findings if "folds" not in one.text]


@pytest.mark.parametrize(
    ("change_image", "change_mask", "text"),
    [
        (same, moved, "the mask moved, flipped or of another patient"),
        (same, moved_a_little, "is the mask moved by one slice"),
        (same, flipped, "the mask moved, flipped or of another patient"),
        (noise, same, "in the other cases"),
        (of_metal, same, "HU, as air"),
        (inverted, same, "are its values inverted"),
        (unit_voxels, unit_voxels, "is its voxel size right"),
        (in_cm, in_cm, "are its lengths in cm"),
    ],
)
def test_one_implausible_case_is_a_warning_in_convert_and_check(right, tmp_path, change_image,
                                                                change_mask, text):  # fmt: skip
    image, mask = right["patient001"]
    patients = {**right, "patient001": (change_image(image), change_mask(mask))}
    report = run(written(tmp_path, patients))
    found = [note for note in warnings(report) if text in note]
    assert len(found) == 1
    assert found[0].startswith("warning: patient001: ")
    findings = [str(one) for one in check(report.dataset).findings]
    assert found[0].removeprefix("warning: ") in "\n".join(findings)
    (report.dataset / "conversion.json").unlink()  # as a dataset of another tool
    without = [f for f in check(report.dataset).findings if text in f.text]
    assert len(without) == 1
    assert not without[0].error


def test_one_mask_for_several_patients_is_a_warning(right, tmp_path):
    masks = {name: (image, like(array(right["patient001"][1]), mask))
             for name, (image, mask) in right.items()}  # fmt: skip
    found = warnings(run(written(tmp_path, masks)))
    assert any("have the same label voxels, of several patients" in note for note in found)
    assert "patient001, patient002, patient003, patient004" in "".join(found)


@pytest.mark.parametrize("which", ["labels", "mask"])
def test_exchanged_sides_stop_unless_they_are_meant(right, tmp_path, which):
    image, mask = right["patient001"]
    if which == "labels":
        source = written(tmp_path, right, {**LABELS, "left ilium": 3, "right ilium": 2})
    else:
        source = written(tmp_path, {**right, "patient001": (image, swapped(mask))})
    text = r"patient001: by the positions in the file left ilium is \d+ mm to the patient's right of right ilium"
    with pytest.raises(DatasetError, match=text):
        run(source)
    assert not (tmp_path / "raw" / "Dataset660_SacroiliacCT").exists()
    report = run(source, sides_as_labelled=True)
    assert report.written == 4
    assert not check(report.dataset).errors
    (report.dataset / "conversion.json").unlink()
    assert check(report.dataset).errors == (4 if which == "labels" else 1)


@pytest.mark.parametrize("direction", ["RAS", "LPI", "ASL"])
def test_sides_are_those_of_the_body_not_of_the_array(right, tmp_path, direction):
    turned = {name: tuple(sitk.DICOMOrient(volume, direction) for volume in pair)
              for name, pair in right.items()}  # fmt: skip
    assert not warnings(run(written(tmp_path, turned)))


def test_exchanged_sequences_are_a_warning(tmp_path):
    spider_phantom.write_patients(tmp_path / "src", 4)
    images = tmp_path / "src" / "images"
    good = convert_spider(tmp_path / "src", tmp_path / "good", 670, options=SpiderOptions())
    assert not warnings(good)
    assert not [one for one in check(good.dataset).findings if "brightness" in one.text]
    one, two = images / "1_t1.mha", images / "1_t2.mha"
    volumes = sitk.ReadImage(str(one)), sitk.ReadImage(str(two))
    if volumes[0].GetSize() != volumes[1].GetSize():
        pytest.skip("the phantom's series have different grids")
    for path, own, other in ((one, *volumes), (two, *volumes[::-1])):
        sitk.WriteImage(like(array(other), own), str(path))
    report = convert_spider(tmp_path / "src", tmp_path / "raw", 670, options=SpiderOptions())
    found = "\n".join(warnings(report))
    assert "1_t1 (3." in found
    assert "is this T2?" in found
    assert "1_t2 (0." in found
    assert "is this T1?" in found


def test_real_hippocampi_give_no_warning(shared_data):
    """Real contrasts vary: no part of the dataset, however small, gives a warning."""
    folder, found = shared_data / "hippocampus", {}
    for path in sorted((folder / "labelsTr").glob("*.nii.gz"))[:40]:
        image = sitk.DICOMOrient(sitk.ReadImage(str(folder / "imagesTr" / path.name)), "LPS")
        mask = sitk.Cast(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS"), sitk.sitkUInt8)
        found[path.name] = measure([array(image)], array(mask), image.GetSpacing())
    for size in (3, 7, 40):
        names = sorted(found)
        for start in range(0, len(names) - size + 1, size):
            part = {name: found[name] for name in names[start : start + size]}
            looked = Looked(part, {}, ["MRI"], {"anterior": (1,), "posterior": (2,)})
            assert not implausible(looked)


def test_measures_survive_json():
    volume = np.arange(1000.0).reshape(10, 10, 10)
    found = measure([volume, -volume], (volume > 300).astype(np.uint8), (1.0, 2.0, 3.0))
    assert from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert (found.extent, found.longest, found.finest) == (30.0, 10, 1.0)
    assert found.means["1"] == (650.0, -650.0)
    assert found.contrast[0] == -found.contrast[1] > 0


def test_labels_that_fill_the_image_and_empty_masks_have_no_contrast():
    volume = np.arange(27.0).reshape(3, 3, 3)
    assert measure([volume], np.ones((3, 3, 3), np.uint8), (1, 1, 1)).contrast == (0.0,)
    assert measure([volume], np.zeros((3, 3, 3), np.uint8), (1, 1, 1)).mask == ""


def test_two_kinds_of_cases_give_no_outliers():
    kinds = {f"{kind}{n}": Measures(extent, 200, 1.0, (0.0,), contrast=(contrast,))
             for kind, extent, contrast in (("a", 300.0, 1.5), ("b", 1500.0, -1.5))
             for n in range(4)}  # fmt: skip
    assert not implausible(Looked(kinds, {}, ["MRI"]))
