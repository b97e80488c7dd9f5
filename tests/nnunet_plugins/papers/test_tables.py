"""Rows build the networks and losses that their names state, and agree with other tables of their paper."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from nnunet_plugins.cli import main
from nnunet_plugins.networks import NETWORKS, build, public_name
from nnunet_plugins.papers.library import PAPERS, TABLES, find_table, find_topology
from nnunet_plugins.papers.tables import Row, Table
from nnunet_plugins.training.losses import build_loss
from nnunet_plugins.training.procedure import read_procedure

ROWS = [pytest.param(t, r, id=f"{t.id}-{r.key}") for t in TABLES for r in t.rows]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_row_is_plans_data(table: Table, row: Row) -> None:
    assert row.network in NETWORKS
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.key)
    assert json.loads(json.dumps(row.options)) == row.options
    assert read_procedure({"training": row.training}) == row.training
    assert [r.key for r in table.rows].count(row.key) == 1
    if row.topology:
        configuration = row.configuration or table.configuration
        assert find_topology(table.paper, row.topology).configuration == configuration


@pytest.mark.parametrize(("table", "row"), [p for p in ROWS if "Params" in p.values[1].published])
def test_parameters_of_a_row_are_those_of_its_topology(table: Table, row: Row) -> None:
    """A row that is a topology of its paper without further options has the count printed for it."""
    topology = find_topology(table.paper, row.topology)
    same = not row.options or row.options == {"stem": "mff", "stem_kwargs": {"scales": [3]}}
    printed = round(row.published["Params"] * 1e6)
    assert (printed == topology.published["total"]) == same


def test_scores_of_one_model_are_the_same_in_all_tables_of_its_paper() -> None:
    for paper in PAPERS:
        found: dict[str, dict[str, float]] = {}
        for table in paper.tables:
            if table.classes != paper.tables[0].classes or "ten runs" in table.about:
                continue
            for row in table.rows:
                configuration = row.configuration or table.configuration
                training = row.training.get("loss")
                model = json.dumps([row.network, configuration, row.options, training])
                if isinstance(row.training.get("augmentation"), dict) or not row.published:
                    continue
                scores = found.setdefault(model, row.published)
                for metric in set(scores) & set(row.published):
                    assert scores[metric] == row.published[metric], (table.id, row.key, metric)


def test_the_mean_of_ten_runs_is_the_printed_one() -> None:
    runs = [row.published for row in find_table("silveira2025-inception-dual.7").rows]
    mean = {metric: np.mean([run[metric] for run in runs]) for metric in runs[0]}
    printed = {
        "mIoU": 0.8892,
        "Accuracy": 0.9725,
        "Precision": 0.9453,
        "Recall": 0.9339,
        "F1": 0.9394,
    }
    assert mean == pytest.approx(printed, abs=1e-4)


TERMS = {
    "BCE": {"ce"},
    "CCE": {"ce"},
    "Dice": {"dice"},
    "Focal": {"focal"},
    "BCE-Dice": {"ce", "dice"},
    "CCE-Dice": {"ce", "dice"},
}


@pytest.mark.parametrize("number", [2, 9])
def test_a_row_trains_with_the_loss_in_its_name(number: int) -> None:
    for row in find_table(f"silveira2025-inception-dual.{number}").rows:
        loss = build_loss(
            row.training["loss"], regions=False, ignore_label=None, batch_dice=False, ddp=False
        )
        assert set(loss.weights) == TERMS[row.name.rpartition(", ")[2]]


PLACES = {
    r"bottleneck\.": "bottleneck",
    r"auxiliary\.": "auxiliary",
    r"decoder\.gates\.": "skip",
    r"stage_blocks\.\d+\.": "stage",
    r"encoder\.stages\.0\.": "stem",
}


def on_meta(network: str, options: dict[str, Any]) -> Any:
    return _on_meta(network, json.dumps(options))


@cache
def _on_meta(network: str, options: str) -> Any:
    stages = 5
    architecture = {
        "network_class_name": public_name(network),
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [16] * stages,
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": [[3, 3]] * stages,
            "strides": [[1, 1]] + [[2, 2]] * (stages - 1),
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
            "norm_op_kwargs": {"affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            **json.loads(options),
        },
        "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
    }
    with torch.device("meta"):
        return build(network, architecture, 1, 3, True, (256, 256))


def shapes(network: Any) -> dict[str, tuple[int, ...]]:
    return {
        key.replace(".body.", "."): tuple(value.shape)
        for key, value in network.state_dict().items()
        if not key.startswith("decoder.encoder.") and ".all_modules." not in key
    }


def changed(ours: Any, baseline: Any) -> set[str]:
    """The places at which two networks have other parameters; a wide stem widens what reads it."""
    differing = {key for key, _ in shapes(ours).items() ^ shapes(baseline).items()}
    found = set()
    for key in differing:
        place = next((p for pattern, p in PLACES.items() if re.match(pattern, key)), key)
        found.add(place)
    if {"stem", "encoder.stages.1.0.convs.0.conv.weight"} <= found:
        found -= {"encoder.stages.1.0.convs.0.conv.weight", "decoder.stages.3.convs.0.conv.weight"}
    return found


MODULE_TABLES = (
    "jing2025-se-unet.2",
    *(f"yan2025-mag-unet.{number}" for number in (2, 3, 4)),
    *(f"silveira2025-inception-dual.{number}" for number in (3, 4)),
    "cai2023-aspp-unet.2",
)
NAMED: dict[str, set[str]] = {
    "ModularUNet": set(),
    "ResUNet": set(),
    "InceptionDualUNet": {"stem", "auxiliary"},
    "ASPPUNet": {"stage"},
}


@pytest.mark.parametrize(
    ("table", "row"), [p for p in ROWS if p.values[0].id in MODULE_TABLES]
)  # fmt: skip
def test_a_row_differs_from_its_baseline_by_what_it_names(table: Table, row: Row) -> None:
    baseline = on_meta("ResUNet" if row.network == "ResUNet" else "ModularUNet", {})
    slots = set(row.options) & {"stem", "bottleneck", "skip", "auxiliary"}
    assert changed(on_meta(row.network, row.options), baseline) == NAMED[row.network] | slots


def test_resunet_differs_by_its_shortcuts() -> None:
    ours, baseline = shapes(on_meta("ResUNet", {})), shapes(on_meta("ModularUNet", {}))
    assert baseline.items() <= ours.items()
    assert all(".shortcut." in key for key in set(ours) - set(baseline))


@pytest.mark.parametrize("row", find_table("cai2023-aspp-unet.2").rows, ids=lambda row: row.key)
def test_aspp_k_follows_the_convolutions_of_the_kth_level(row: Row) -> None:
    network = on_meta("ASPPUNet", row.options)
    assert row.key == "aspp" + "".join(str(int(s) + 1) for s in network.stage_blocks)


def test_the_block_is_the_one_that_is_named() -> None:
    found = {
        row.key: type(on_meta(row.network, row.options).bottleneck).__name__
        for row in find_table("yan2025-mag-unet.2").rows
    }
    assert found == {
        "unet": "NoneType",
        "se": "SqueezeExcite",
        "cbam": "CBAM",
        "nonlocal": "NonLocal",
        "eca": "EfficientChannelAttention",
        "da": "DualAttention",
    }


def test_the_modules_are_those_of_the_name() -> None:
    modules = {"Da_Block": ("bottleneck", "da"), "MFF": ("stem", "mff"), "LGAG": ("skip", "lgag")}
    for row in find_table("yan2025-mag-unet.4").rows:
        named = [] if row.key == "unet" else row.name.split(", ")
        assert row.options == dict(modules[name] for name in named)
    for row in find_table("silveira2025-inception-dual.4").rows:
        block = row.name.partition(" + ")[2].lower()
        assert row.options == ({"skip": block} if block else {})


def test_the_last_row_of_modules_is_the_papers_network() -> None:
    row = find_table("yan2025-mag-unet.4").row("da-mff-lgag")
    assert shapes(on_meta(row.network, row.options)) == shapes(on_meta("MAGUNet", {}))
    inception, dual = (
        find_table("silveira2025-inception-dual.3").row(key).options
        for key in ("inception", "dual")
    )
    both = on_meta("ModularUNet", inception | dual)
    assert shapes(both) == shapes(on_meta("InceptionDualUNet", {}))


def test_kernel_sets() -> None:
    for row in find_table("yan2025-mag-unet.3").rows:
        branches = on_meta(row.network, row.options).encoder.stages[0][0].branches
        kernels = "".join(str(branch.kernel_size[0]) for branch in branches)
        assert row.key == f"k{kernels}"


def test_the_list_shows_citations_and_scores_in_the_width_of_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ablation", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines if line.endswith("classes)")] == [
        table.id for table in TABLES
    ]
    assert [line for line in lines if line in {p.key for p in PAPERS}] == [p.key for p in PAPERS]
    assert "yan2025-mag-unet.4  modules of MAG-UNet (3d_fullres, 2 classes)" in lines


@pytest.mark.parametrize("name", ["yan2025-mag-unet.4", "001.4"])
def test_one_table_is_listed_with_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablation", "list", "--table", name]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^da-mff-lgag .* 86\.0  92\.4 +93\.3 +23\.98$", shown, re.MULTILINE)
    assert re.search(r"^mff-lgag +MFF, LGAG +-", shown, re.MULTILINE)
    assert re.search(r"^da-mff +ModularUNet +bottleneck=da stem=mff$", shown, re.MULTILINE)
    assert "yan2025-mag-unet.3" not in shown


@pytest.mark.parametrize("name", ["yan2025-mag-unet", "001"])
def test_the_tables_of_one_paper_are_listed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablation", "list", "--json", "--table", name]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [table["id"] for table in shown] == [f"yan2025-mag-unet.{n}" for n in (1, 2, 3, 4)]


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablation", "list", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [t["id"] for t in shown] == [t.id for t in TABLES]
    row = next(
        r
        for t in shown
        if t["id"] == "cai2023-aspp-unet.2"
        for r in t["rows"]
        if r["key"] == "aspp34"
    )
    assert row["options"] == {"stage_at": [2, 3]}
    assert row["published"] == {"MIoU": 72.34, "MIoU.sd": 2.28, "DSC": 83.9, "DSC.sd": 2.79}
