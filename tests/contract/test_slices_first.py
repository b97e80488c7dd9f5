"""nnU-Net's own planner keeps thick slices thick if each volume has its slice axis first."""

from __future__ import annotations

import json
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import pytest
from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)

from dataset_conversion.datasets.hospital_ct import Options, convert
from nnunet_plugins.training.mirroring import allowed_mirror_axes
from tests.dataset_conversion.oblique import SPACING, write_stacks


@pytest.fixture
def planned(nnunet, tmp_path, monkeypatch):
    """Convert stacks in planes and plan them; return the plans and dataset.json."""
    pool = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(fingerprint_extractor, "multiprocessing", pool)

    def plan(planes, id, **how):
        write_stacks(tmp_path, planes)
        options = Options(labels=tmp_path / "labels.json", **how)
        folder = convert(tmp_path / "src", nnunet / "nnUNet_raw", id, options=options).dataset
        extractor = fingerprint_extractor.DatasetFingerprintExtractor(id, 1)
        extractor.num_foreground_voxels_for_intensitystats = 1000  # of 100 million, in seconds
        extractor.run(overwrite_existing=True)
        plans = ExperimentPlanner(id).plan_experiment()
        return plans, json.loads((folder / "dataset.json").read_text())

    return plan


MIXED = ["coronal", "axial", "coronal", "axial"]


def test_slices_first_keeps_the_plane_of_the_slices(planned):
    plans, entry = planned(MIXED, 46, slices_first=True)
    full = plans["configurations"]["3d_fullres"]
    assert full["spacing"] == pytest.approx(SPACING[::-1])
    assert plans["transpose_forward"] == [0, 1, 2]
    assert full["architecture"]["arch_kwargs"]["kernel_sizes"][0] == (1, 3, 3)
    kept, _ = allowed_mirror_axes((0, 1, 2), entry, plans["transpose_forward"], 3)
    assert kept == (0, 1)


def test_in_lps_the_plane_of_the_slices_is_lost(planned):
    plans, _ = planned(MIXED, 47)
    spacing = plans["configurations"]["3d_fullres"]["spacing"]
    assert max(spacing) < SPACING[2]


def test_with_sagittal_slices_neither_left_right_axis_is_mirrored(planned):
    plans, entry = planned(["sagittal", "axial", "sagittal"], 48, slices_first=True)
    assert plans["configurations"]["3d_fullres"]["spacing"] == pytest.approx(SPACING[::-1])
    kept, _ = allowed_mirror_axes((0, 1, 2), entry, plans["transpose_forward"], 3)
    assert kept == (1,)
