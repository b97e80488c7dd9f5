"""The papers' own topologies: sizes to the parameter where a paper allows it, and what each note claims."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from nnunet_plugins.networks import build, public_name
from nnunet_plugins.papers.library import TOPOLOGIES, find_topology
from nnunet_plugins.papers.topologies import Topology, count

NAMES = [f"{t.paper}-{t.name}" for t in TOPOLOGIES]


@pytest.mark.parametrize(
    ("name", "total", "trainable", "non_trainable"),
    [  # Table 8
        ("U-Net", 31_050_114, 31_040_386, 9_728),
        ("ResUNet", 32_461_634, 32_443_970, 17_664),
        ("Attention U-Net", 31_753_414, 31_741_638, 11_776),
        ("TransUNet", 23_979_010, 23_969_282, 9_728),
        ("Proposed Model", 31_475_396, 31_463_140, 12_256),
    ],
)
def test_the_counts_of_silveira2025_are_exact(
    name: str, total: int, trainable: int, non_trainable: int
) -> None:
    topology = find_topology("silveira2025-inception-dual", name)
    assert count(topology) == (trainable, non_trainable)
    assert count(topology).like(topology.published) == total
    assert topology.published == {
        "total": total,
        "trainable": trainable,
        "non_trainable": non_trainable,
    }


def test_the_count_of_the_25d_network_is_exact() -> None:
    topology = find_topology("sij-fm-25d-attention-unet", "ours (2.5D)")
    assert count(topology) == (10_532_520, 0)
    assert topology.published == {"total": 10_532_520}


def test_four_classes_add_2180_parameters() -> None:
    four = count(replace(find_topology("silveira2025-inception-dual", "Proposed Model"), classes=4))
    assert sum(four) == 31_477_576


@pytest.mark.parametrize(
    ("paper", "name", "millions"),
    [("yan2025-mag-unet", "MAG-UNet", 23.98), ("cai2023-aspp-unet", "SegNet", 15.21)],
)
def test_counts_that_agree_to_the_printed_digits(paper: str, name: str, millions: float) -> None:
    topology = find_topology(paper, name)
    assert topology.published["total"] == pytest.approx(millions * 1e6)
    assert round(count(topology).trainable / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("paper", "name", "millions"),
    [
        ("jing2025-se-unet", "3D U-Net", 41.086),
        ("jing2025-se-unet", "Ours", 41.119),
        ("yan2025-mag-unet", "3D U-Net", 22.581),
        ("cai2023-aspp-unet", "U-Net-2D", 15.907),
        ("cai2023-aspp-unet", "SegNet", 15.208),
        ("cai2023-aspp-unet", "U-Net-3D", 45.956),
        ("cai2023-aspp-unet", "ours", 21.834),
    ],
)
def test_counts_that_differ_from_the_papers(paper: str, name: str, millions: float) -> None:
    topology = find_topology(paper, name)
    assert count(topology).trainable / 1e6 == pytest.approx(millions, abs=5e-4)
    assert topology.note or name == "SegNet"


def test_the_2d_unet_of_cai2023_counted_by_hand() -> None:
    def block(inputs: int, outputs: int, taps: int = 9) -> int:
        return taps * inputs * outputs + outputs + 2 * outputs  # biased, normalised

    widths = (64, 128, 256, 512)
    down = block(1, 64) + 3 * block(64, 64)
    down += sum(block(a, b) + block(b, b) for a, b in pairwise(widths))
    up = sum(4 * b * w + w + block(2 * w, w) + block(w, w)
             for b, w in ((512, 512), (512, 256), (256, 128), (128, 64)))  # fmt: skip
    assert count(find_topology("cai2023-aspp-unet", "U-Net-2D")).trainable == down + up + 64 * 9 + 9


def test_se_adds_two_layers_of_512_to_32() -> None:
    ours, baseline = (
        count(find_topology("jing2025-se-unet", name)).trainable for name in ("Ours", "3D U-Net")
    )
    assert ours - baseline == 2 * 512 * 32


def test_31_03_million_is_a_2d_unet_to_1024_channels() -> None:
    architecture = find_topology("silveira2025-inception-dual", "U-Net").architecture()
    architecture["arch_kwargs"] |= {"norm_op": None}
    with torch.device("meta"):
        network = build("UNet", architecture, 1, 9, True)
    assert sum(p.numel() for p in network.parameters()) == 31_031_113
    assert "31,031,113" in find_topology("cai2023-aspp-unet", "U-Net-3D").note


def test_aspp_has_the_papers_dilations_on_the_papers_slices() -> None:
    topology = find_topology("cai2023-aspp-unet", "ours")
    with torch.device("meta"):
        network = build("ASPPUNet", topology.architecture(), 1, 9, True, topology.patch)
    stages = [block.dilations for block in network.stage_blocks.values()]
    assert stages == [[[6, 6], [12, 12], [18, 18]]] * 4


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=NAMES)
def test_a_topology_is_plans_data(topology: Topology) -> None:
    entry = topology.architecture()
    assert json.loads(json.dumps(entry)) == entry
    assert entry["network_class_name"] == public_name(topology.network)
    assert all(
        value is None or isinstance(value, str)
        for value in (entry["arch_kwargs"][key] for key in entry["_kw_requires_import"])
    )
    entry["arch_kwargs"]["strides"].clear()
    assert topology.arch_kwargs["strides"]
    assert topology.configuration.startswith(f"{topology.rank}d")
    assert topology.published["total"] > 1e6


def test_one_topology_trains_on_its_papers_input() -> None:
    topology = find_topology("silveira2025-inception-dual", "Proposed Model")
    architecture = topology.architecture()
    architecture["arch_kwargs"]["features_per_stage"] = [4, 8, 8, 8, 8]
    network = build(topology.network, architecture, 1, 2, True, topology.patch)
    outputs = network(torch.randn(2, 1, *topology.patch))
    assert [y.shape[1:] for y in outputs] == [(2, 128, 128), (2, 8, 8)]  # the paper's 8 x 8
