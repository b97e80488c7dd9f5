"""Plans of every network for data of the papers' shapes can be built, run and fit the memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.costs.budget import budget
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.networks import NETWORKS, find
from nnunet_plugins.planners import planning
from nnunet_plugins.planners.nnunet_planner import PLANNERS
from nnunet_plugins.planners.planning import Request
from tests.nnunet_plugins import tiny

#: Voxels and spacing (mm) of the median image, z first.
SHAPES: dict[str, tuple[tuple[int, int, int], tuple[float, float, float]]] = {
    "SPIDER": ((17, 280, 420), (4.0, 0.6, 0.6)),
    "CSIG": ((12, 880, 880), (4.4, 0.34, 0.34)),
}
#: Networks whose memory is counted; nnU-Net's planners estimate that of its own.
COUNTED = [name for name in NETWORKS if name not in PLANNERS]


@pytest.fixture(scope="module")
def dataset(nnunet: Path) -> Path:
    name, _ = tiny.write_raw("labels", 751)
    return nnunet / "nnUNet_preprocessed" / name


def check(
    dataset: Path,
    network: str,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    gigabytes: float,
) -> None:
    with replaced(dataset, shape, spacing):
        path = planning.plan(Request("751", network, gpu_memory=gigabytes, force=True))
    plans = json.loads(path.read_text())
    described = json.loads((path.parent / "dataset.json").read_text())
    ranks = find(network).ranks
    assert {name[:2] for name in plans["configurations"]} == {f"{rank}d" for rank in ranks}
    for name, planned in plans["configurations"].items():
        if "inherits_from" in planned:
            continue
        cost = count(Setup.of(planned, described))  # a step of it runs
        rank = len(planned["patch_size"])
        assert cost.peak_bytes <= budget(rank, gigabytes)
        assert planned["memory"]["needs_gb"] <= gigabytes
        kwargs = planned["architecture"]["arch_kwargs"]
        divisor = np.prod(kwargs["strides"], axis=0)
        assert not np.any(np.array(planned["patch_size"]) % divisor)
        if rank == 3 and max(spacing) > 3 * min(spacing):
            assert kwargs["kernel_sizes"][0][0] == 1, name
            assert kwargs["strides"][1][0] == 1, name


@contextmanager
def replaced(
    dataset: Path, shape: Any, spacing: Any, preprocess: Any = lambda *_, **__: None
) -> Iterator[None]:
    """Replace nnU-Net's fingerprint and preprocessing, which start pools."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_n_proc_DA", "1")
        patch.setattr(
            planning,
            "extract_fingerprint_dataset",
            lambda *_, **__: tiny.write_fingerprint(dataset, shape, spacing),
        )
        patch.setattr(planning, "preprocess_dataset", preprocess)
        yield


@pytest.mark.integration
@pytest.mark.parametrize(("shape", "gigabytes"), [("SPIDER", 8), ("CSIG", 24)])
@pytest.mark.parametrize("network", COUNTED)
def test_every_network_is_planned_within_the_memory(
    dataset: Path, network: str, shape: str, gigabytes: float
) -> None:
    check(dataset, network, *SHAPES[shape], gigabytes)


@pytest.mark.integration
@pytest.mark.parametrize("network", COUNTED)
def test_every_network_is_planned_for_the_real_ct(
    dataset: Path, shared_data: Path, network: str
) -> None:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(next((shared_data / "ct_pelvis").glob("*.nii.gz"))))
    reader.ReadImageInformation()
    shape, spacing = reader.GetSize()[::-1], reader.GetSpacing()[::-1]
    check(dataset, network, shape, spacing, 11)
