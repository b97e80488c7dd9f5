"""The output of every converter, with every scheme and option, passes nnU-Net's own verification."""

from __future__ import annotations

from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
from nnunetv2.experiment_planning import verify_dataset_integrity as verify
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from dataset_conversion.datasets.registry import converter
from dataset_conversion.phantoms.catalogue import WRITERS

PATIENTS = 4
VARIANTS = [
    ("spider", {"scheme": "binary"}),
    ("spider", {"scheme": "four", "split": "own"}),
    ("spider", {"scheme": "instances", "channels": True}),
    ("spider", {"scheme": "four", "central_slice": True, "test": "val"}),
    ("csig", {"scheme": "all"}),
    ("csig", {"scheme": "aspp", "crop": 464, "split": "80/20"}),
    ("hospital-ct", {"split": "7:3"}),
    ("hospital-ct", {"window": (-200.0, 1200.0), "drop_empty_slices": True}),
    ("sij-mri", {"allow_empty": True}),
    ("sij-mri", {"allow_empty": True, "slices_first": True}),
    ("sij-mri", {"allow_empty": True, "spacing": (5.0, 5.0, 14.0), "test": "7:3"}),
    ("verse", {"scheme": "levels"}),
    ("verse", {"scheme": "binary", "split": "own"}),
    ("ctpelvic1k", {}),
    ("pengwin", {"window": (-200.0, 1200.0)}),
    ("nnunet", {}),
    ("decathlon", {"test": "7:3"}),
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The phantoms in their original layouts; read only."""
    folder = tmp_path_factory.mktemp("sources")
    for name, write in WRITERS.items():
        write(folder / name, PATIENTS)
    return folder


@pytest.fixture
def accepts(monkeypatch):
    """nnU-Net's verification in this process: a spawned pool spends seconds on importing nnU-Net again."""
    pool = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(verify, "multiprocessing", pool)
    return lambda folder: verify.verify_dataset_integrity(str(folder), 1)


def convert(dataset, source, raw, options):
    one = converter(dataset)
    if dataset == "hospital-ct":
        options = {**options, "labels": source / "labels.json"}
    return one.convert(source, raw, 45, options=one.options(**options)).dataset


@pytest.mark.parametrize(("dataset", "options"), VARIANTS, ids=lambda v: str(v))
def test_nnunet_accepts_what_is_written(sources, tmp_path, accepts, dataset, options, capsys):
    accepts(convert(dataset, sources / dataset, tmp_path, options))
    assert "WARNING" not in capsys.readouterr().out  # about different directions or origins


def test_nnunet_plans_single_slices_as_slices(sources, tmp_path):
    options = {"scheme": "binary", "central_slice": True}
    folder = convert("spider", sources / "spider", tmp_path, options)
    for name in ("1_t1", "2_t2_SPACE"):
        path = folder / "imagesTr" / f"{name}_0000.nii.gz"
        array, properties = SimpleITKIO().read_images([str(path)])
        assert array.shape[:2] == (1, 1)
        assert (
            int(np.argmax(properties["spacing"])) == 0
        )  # the planner takes this axis as that of the slices
