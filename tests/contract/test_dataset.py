"""nnU-Net accepts a dataset of our writer, and x is the axis that dataset.json names as left-right."""

from __future__ import annotations

import itertools
import json
from functools import partial
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.experiment_planning import verify_dataset_integrity as verify
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.raw_dataset import RawDataset
from nnunet_plugins.training.mirroring import ENTRY, allowed_mirror_axes

from .making import plans

SHAPE = (5, 6, 7)  # z, y, x


def image(array):
    made = sitk.GetImageFromArray(array)
    made.SetSpacing((1.0, 1.0, 1.0))
    return made


def sample(step):
    """Values that increase with x, from the patient's right to left; the left half is labelled 1."""
    x = np.broadcast_to(step * np.arange(1, SHAPE[2] + 1, dtype=np.int16), SHAPE)
    labels = np.where(x > 4 * step, 1, 2).astype(np.uint8)
    return Sample((image(x),), image(labels))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    cases = [
        Case(f"c{i}", f"c{i}", f"/c{i}", {"image": f"{i}"}, True, 210, partial(sample, i + 1))
        for i in range(2)
    ]
    labels = Labels({"hip_left": 1, "hip_right": 2})
    root = tmp_path_factory.mktemp("raw")
    return RawDataset(44, "Written", ("CT",), labels, cases).write(root).dataset


@pytest.fixture(scope="module")
def dataset_json(folder):
    return json.loads((folder / "dataset.json").read_text())


@pytest.fixture
def in_threads(monkeypatch):
    """verify_dataset_integrity in this process: a spawned pool spends seconds on importing nnU-Net again."""
    pool = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(verify, "multiprocessing", pool)


def test_nnunets_own_check_passes_with_our_entry_in_dataset_json(folder, dataset_json, in_threads):
    assert ENTRY in dataset_json
    verify.verify_dataset_integrity(str(folder), 1)


def test_nnunets_own_check_rejects_a_missing_label(folder, in_threads, tmp_path):
    # Without this the test above might never fail.
    other = tmp_path / folder.name
    other.mkdir()
    for name in ("imagesTr", "labelsTr"):
        (other / name).symlink_to(folder / name)
    entry = json.loads((folder / "dataset.json").read_text())
    (other / "dataset.json").write_text(
        json.dumps(entry | {"labels": {"background": 0, "hip_left": 1}})
    )
    with pytest.raises(RuntimeError, match="unexpected labels"):
        verify.verify_dataset_integrity(str(other), 1)


@pytest.mark.parametrize(
    ("labels", "heads"),
    [
        (Labels({"sacrum": 7, "ilium": 9}), 3),
        (Labels({"sacrum": 7, "ilium": 9, "ignore": 3}), 3),
        (Labels({"bone": (7, 9), "ilium": 9}, regions_class_order=(7, 9)), 2),
    ],
    ids=["labels", "ignore", "regions"],
)
def test_nnunet_reads_labels_as_we_write_them(labels, heads):
    entry = labels.for_nnunet()
    manager = LabelManager(entry["labels"], entry.get("regions_class_order"))
    assert manager.num_segmentation_heads == heads
    assert manager.foreground_labels == [1, 2]
    assert manager.has_regions == ("regions_class_order" in entry)
    assert manager.ignore_label == entry["labels"].get("ignore")


def test_in_read_images_left_right_is_the_axis_named_in_dataset_json(folder, dataset_json):
    data, _ = SimpleITKIO().read_images([str(folder / "imagesTr" / "c0_0000.nii.gz")])
    axis = dataset_json[ENTRY]["left_right_axis"]
    assert varying(data[0]) == [axis]
    assert (np.diff(data[0], axis=axis) > 0).all()  # towards the patient's left


def varying(array):
    """Axes along which the values change."""
    return [axis for axis in range(array.ndim) if np.ptp(array, axis=axis).any()]


class OneCase:
    """The part of a preprocessed dataset that the data loader uses."""

    identifiers = ("c0",)

    def __init__(self, data, seg, properties):
        self.case = (data, seg, None, properties)

    def load_case(self, identifier):
        return self.case


@pytest.mark.parametrize("transpose", itertools.permutations(range(3)))
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_after_preprocessing_and_loading_left_right_is_the_axis_not_mirrored(
    folder, dataset_json, configuration, transpose
):
    # mirroring.py relies on transpose_forward, and on a 2D patch being the last two axes.
    manager = PlansManager(plans(transpose))
    settings = manager.get_configuration(configuration)
    rank = len(settings.patch_size)
    preprocessed = DefaultPreprocessor(verbose=False).run_case(
        [str(folder / "imagesTr" / "c0_0000.nii.gz")],
        str(folder / "labelsTr" / "c0.nii.gz"),
        manager,
        settings,
        dataset_json,
    )
    patch = [SHAPE[axis] for axis in transpose][-rank:]
    loader = nnUNetDataLoader(
        OneCase(*preprocessed), 1, patch, patch, LabelManager(dataset_json["labels"], None)
    )
    batch = next(loader)["data"][0, 0].numpy()
    assert batch.shape == tuple(patch)
    kept, _ = allowed_mirror_axes(range(rank), dataset_json, transpose, rank)
    assert [axis for axis in range(rank) if axis not in kept] == varying(batch)
