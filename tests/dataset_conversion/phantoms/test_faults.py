"""Every fault of the table in the format of every dataset, handled as the table states."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dataset_conversion.datasets import (
    csig,
    ctpelvic1k,
    decathlon,
    hospital_ct,
    nnunet_raw,
    pengwin,
    sij_mri,
    spider,
    verse,
)
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.catalogue import WRITERS
from dataset_conversion.phantoms.faults import FAULTS, FIXED, STOPS, inject, possible
from tests.dataset_conversion.making import SMALL, tree
from tests.dataset_conversion.world import check_labels, check_values

pytestmark = pytest.mark.usefixtures("no_picture")

SPINE = {**dict.fromkeys(range(1, 26), 1), 100: 2, **dict.fromkeys(range(201, 226), 3)}
# convert, options, label table, patients
DATASETS = {
    "spider": (spider, {}, SPINE, 2),
    "csig": (csig, {}, {v: v for v in range(1, 20)}, 2),
    "hospital-ct": (hospital_ct, {"keep_names": True}, {1: 1, 2: 2, 3: 3}, 2),
    "sij-mri": (sij_mri, {"keep_names": True, "allow_empty": True}, {1: 1}, 3),
    "verse": (verse, {}, {**{v: v for v in range(1, 26)}, 28: 26}, 2),
    "ctpelvic1k": (ctpelvic1k, {}, {v: v for v in range(1, 5)}, 2),
    "pengwin": (pengwin, {}, {1: 1, 11: 2, 12: 2, 21: 3, 22: 3}, 2),
    "nnunet": (nnunet_raw, {}, {1: 1, 2: 2, 3: 3}, 2),
    "decathlon": (decathlon, {}, {1: 1, 2: 2, 3: 3}, 2),
}

# A training image without a label map is an error there: see test_raw_folders.py.
LISTED = ("nnunet", "decathlon")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """Undamaged phantoms of all datasets."""
    folder = tmp_path_factory.mktemp("pristine")
    sizes = {"hospital-ct": SMALL}
    return folder, {
        name: WRITERS[name](folder / name, DATASETS[name][3], **sizes.get(name, {}))
        for name in DATASETS
    }


def damaged(pristine, dataset, fault, to):
    """Copy a phantom and damage its first image."""
    folder, truths = pristine
    source = to / "src"
    shutil.copytree(folder / dataset, source)

    def there(path):
        return path and source / path.relative_to(folder / dataset)

    copies = [replace(t, image=there(t.image), mask=there(t.mask)) for t in truths[dataset]]
    return source, inject(fault, copies)


def convert(dataset, source, raw, **more):
    module, options, _, _ = DATASETS[dataset]
    known = {"labels": source / "labels.json"} if dataset == "hospital-ct" else {}
    options = module.Options(**{**known, **options, **more})
    return module.convert(source, raw, 673, options=options)


def occurring():
    """Pairs of dataset and fault that can occur in its kinds of files."""
    kinds = {
        "spider": ("meta", "meta"), "csig": ("nifti", "nifti"),
        "hospital-ct": ("dicom", "nifti"), "sij-mri": ("dicom", "nifti"),
        "verse": ("nifti", "nifti"), "ctpelvic1k": ("nifti", "nifti"),
        "pengwin": ("meta", "meta"), "nnunet": ("nifti", "nifti"), "decathlon": ("nifti", "nifti"),
    }  # fmt: skip
    for dataset, (image, mask) in kinds.items():
        for name, fault in FAULTS.items():
            if name == "mask missing" and dataset in LISTED:
                continue
            if (mask if fault.where == "mask" else image) in fault.kinds:
                yield pytest.param(dataset, name, id=f"{dataset}: {name}")


def case_of(report, truth, dataset):
    name = truth.name.lower() if dataset == "csig" else truth.name
    return name, report.dataset


def check_voxels(report, truth, dataset):
    """Check an image and its mask against the truth."""
    name, folder = case_of(report, truth, dataset)
    image = next(folder.glob(f"images*/{name}_0000.nii.gz"))
    check_values(image, truth.image, (lambda v: v * (v != -1000)) if dataset == "spider" else None)
    if truth.mask is not None:
        check_labels(folder / "labelsTr" / f"{name}.nii.gz", truth.labels, DATASETS[dataset][2])
    return image


@pytest.mark.parametrize(("dataset", "name"), occurring())
def test_each_fault_is_handled_as_the_table_states(pristine, tmp_path, dataset, name):
    fault = FAULTS[name]
    source, truths = damaged(pristine, dataset, name, tmp_path)
    assert name in possible(pristine[1][dataset][0])
    raw = tmp_path / "raw"
    if fault.answer == STOPS:
        # An empty mask is allowed by the options of the dataset with a negative patient.
        strict = {key: False for key in fault.remedy if key == "allow_empty"}
        with pytest.raises(DatasetError, match=fault.says) as stopped:
            convert(dataset, source, raw, **strict)
        named = (truths[0].name.lower(), truths[0].image.name.lower())
        assert any(name in str(stopped.value).lower() for name in named)
        assert not list(raw.glob("Dataset*"))
        report = convert(dataset, source, raw, keep_going=True, **strict)
        bad, folder = case_of(report, truths[0], dataset)
        assert bad not in report.cases
        assert report.cases
        assert not [file for file in tree(folder) if f"/{bad}" in file]
        check_voxels(report, truths[-1], dataset)
    else:
        report = convert(dataset, source, raw)
        assert not report.problems
        # The voxels do move, by less than a tenth of one; padding changes; pydicom does not read commas.
        if name not in ("almost orthonormal", "padding", "decimal commas"):
            check_voxels(report, truths[0], dataset)
        if fault.says:
            assert re.search(fault.says, str(report))


@pytest.mark.parametrize("dataset", list(DATASETS))
@pytest.mark.parametrize("name", [n for n, f in FAULTS.items() if f.remedy])
def test_the_suggested_option_converts_the_case(pristine, tmp_path, dataset, name):
    source, truths = damaged(pristine, dataset, name, tmp_path)
    report = convert(dataset, source, tmp_path / "raw", **FAULTS[name].remedy)
    case, folder = case_of(report, truths[0], dataset)
    assert case in report.cases
    assert (folder / "labelsTr" / f"{case}.nii.gz").exists()
    permitted = (folder / "conversion.json").read_text()
    key = next(iter(FAULTS[name].remedy))
    assert f'"{key}": true' in permitted or '"drop": [' in permitted


def test_the_table_has_a_row_for_both_answers_and_every_kind():
    assert {fault.answer for fault in FAULTS.values()} == {STOPS, FIXED}
    assert {kind for fault in FAULTS.values() for kind in fault.kinds} == {"nifti", "meta", "dicom"}
    assert all(fault.says for fault in FAULTS.values() if fault.answer == STOPS)


def test_a_fault_that_cannot_occur_there(tmp_path):
    with pytest.raises(
        DatasetError, match=r"'tilted gantry' cannot occur here; allowed: truncated"
    ):
        WRITERS["csig"](tmp_path, 1, fault="tilted gantry")
    with pytest.raises(DatasetError, match="'bad luck' cannot occur here"):
        WRITERS["spider"](tmp_path, 1, fault="bad luck")


def test_an_unknown_size():
    with pytest.raises(
        DatasetError, match="spider phantom: size 'huge'; allowed: small, demo, full"
    ):
        WRITERS["spider"](Path("unused"), 1, size="huge")
