"""Rows are plans' data, and differ from their baseline by the modules that they name."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS, build, public_name
from nnunet_plugins.papers import tables
from nnunet_plugins.papers.rows import Row, Table
from nnunet_plugins.papers.tables import TABLES, find
from nnunet_plugins.papers.topologies import find as find_topology
from nnunet_plugins.training.procedure import PAPER_RECIPES, read_procedure

ROWS = [pytest.param(t, r, id=f"{t.id}-{r.key}") for t in TABLES for r in t.rows]


def test_the_rows_of_issue_and_page_are_there() -> None:
    keys = {t.id: [row.key for row in t.rows] for t in TABLES}
    assert keys["000.2"] == ["unet", "se"]
    assert keys["001.2"] == ["unet", "se", "cbam", "nonlocal", "eca", "da"]
    assert keys["001.3"] == ["k1", "k3", "k5", "k13", "k33", "k135", "k333", "k357"]
    assert len(keys["001.4"]) == 8
    assert [row.key for row in find("001.4").rows if not row.published] == ["mff-lgag"]
    assert len(keys["003.2"]) == len(keys["003.9"]) == 5 * 4
    assert keys["003.3"] == ["unet", "inception", "dual", "proposed"]
    assert len(keys["003.4"]) == 10
    assert keys["004.2"] == [f"aspp{k}" for k in (1, 2, 3, 4, 34, 234, 1234)]
    assert [find(t).classes for t in ("003.2", "003.9")] == [2, 4]


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


def test_a_table_has_a_recipe_and_one_id() -> None:
    assert all(table.network in PAPER_RECIPES for table in TABLES)
    assert len({table.id for table in TABLES}) == len(TABLES)


def test_scores_of_one_row_in_two_tables_are_the_same() -> None:
    dice = {row.key.removesuffix("-dice"): row.published for row in find("003.2").rows
            if row.key.endswith("-dice") and "bce" not in row.key}  # fmt: skip
    assert dice == {row.key: row.published for row in find("003.6").rows}
    assert find("003.3").row("unet").published == dice["unet"]


def test_the_mean_of_ten_runs_is_the_printed_one() -> None:
    runs = [row.published for row in find("003.7").rows]
    mean = {metric: np.mean([run[metric] for run in runs]) for metric in runs[0]}
    printed = {
        "mIoU": 0.8892,
        "Accuracy": 0.9725,
        "Precision": 0.9453,
        "Recall": 0.9339,
        "F1": 0.9394,
    }
    assert mean == pytest.approx(printed, abs=1e-4)  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "first"), [("1.4", "001.4"), ("0014", "001.4"), ("003-4", "003.4")]
)
def test_an_unknown_table_is_answered_with_the_nearest_first(wrong: str, first: str) -> None:
    with pytest.raises(UserError, match=rf"no table called '{wrong}'; .*first: {first}, "):
        find(wrong)


def test_an_unknown_row_is_answered_with_the_nearest_first() -> None:
    with pytest.raises(UserError, match=r"001\.2: no row called 'non-local'; .*first: nonlocal, "):
        find("001.2").row("non-local")


PLACES = {
    r"bottleneck\.": "bottleneck",
    r"auxiliary\.": "auxiliary",
    r"decoder\.gates\.": "skip",
    r"encoder\.stages\.\d+\.\d+\.follows\.": "stage",
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


MODULE_TABLES = ("000.2", "001.2", "001.3", "001.4", "003.3", "003.4", "004.2")
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


@pytest.mark.parametrize("row", find("004.2").rows, ids=lambda row: row.key)
def test_aspp_k_follows_the_convolutions_of_the_kth_level(row: Row) -> None:
    network = on_meta("ASPPUNet", row.options)
    has_it = [hasattr(stage[-1], "follows") for stage in network.encoder.stages]
    assert has_it == [str(k) in row.key for k in (1, 2, 3, 4, 5)]


def test_the_block_is_the_one_that_is_named() -> None:
    found = {
        row.key: type(on_meta(row.network, row.options).bottleneck).__name__
        for row in find("001.2").rows
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
    for row in find("001.4").rows:
        named = [] if row.key == "unet" else row.name.split(", ")
        assert row.options == dict(modules[name] for name in named)
    for row in find("003.4").rows:
        block = row.name.partition(" + ")[2].lower()
        assert row.options == ({"skip": block} if block else {})


def test_the_last_row_of_modules_is_the_papers_network() -> None:
    row = find("001.4").row("da-mff-lgag")
    assert shapes(on_meta(row.network, row.options)) == shapes(on_meta("MAGUNet", {}))
    inception, dual = (find("003.3").row(key).options for key in ("inception", "dual"))
    both = on_meta("ModularUNet", inception | dual)
    assert shapes(both) == shapes(on_meta("InceptionDualUNet", {}))


def test_kernel_sets() -> None:
    for row in find("001.3").rows:
        branches = on_meta(row.network, row.options).encoder.stages[0][0].branches
        kernels = "".join(str(branch.kernel_size[0]) for branch in branches)
        assert row.key == f"k{kernels}"


def test_the_list_shows_source_and_scores_in_a_terminals_width(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ablation", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines if "(paper" in line] == [t.id for t in TABLES]
    assert "(paper 001, Table 4; 3d_fullres, 2 classes)" in "".join(lines)
    assert main(["ablation", "list", "--table", "001.4"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^da-mff-lgag .* 86\.0  92\.4 +93\.3 +23\.98$", shown, re.MULTILINE)
    assert re.search(r"^mff-lgag +MFF, LGAG +-", shown, re.MULTILINE)
    assert re.search(r"^da-mff +ModularUNet +bottleneck=da stem=mff$", shown, re.MULTILINE)


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablation", "list", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [t["id"] for t in shown] == [t.id for t in TABLES]
    row = next(r for t in shown if t["id"] == "004.2" for r in t["rows"] if r["key"] == "aspp34")
    assert row["options"] == {"stage_at": [2, 3]}
    assert row["published"] == {"MIoU": 72.34, "MIoU.sd": 2.28, "DSC": 83.9, "DSC.sd": 2.79}


def test_tables_are_not_empty_of_notes_where_numbers_contradict_themselves() -> None:
    assert all(tables.find(t).note for t in ("000.1", "001.3", "001.4", "003.3", "004.2"))
