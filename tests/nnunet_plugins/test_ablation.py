"""Rows differ from their baseline by the modules that they name, and train from plans that share the data."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.ablation import plans as ablation_plans
from nnunet_plugins.ablation import tables
from nnunet_plugins.ablation.plans import write_plans
from nnunet_plugins.ablation.rows import Row, Table
from nnunet_plugins.ablation.tables import TABLES, find
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS, build, public_name
from nnunet_plugins.procedure import PAPER_RECIPES, read_procedure
from nnunet_plugins.published import find as find_topology

from . import tiny
from .test_matrix import SHORT

ROWS = [pytest.param(t, r, id=f"{t.id}-{r.key}") for t in TABLES for r in t.rows]


# the data


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


# what a row changes

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


# plans


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    return tiny.make("labels", 760, network="ModularUNet", training=SHORT)


@pytest.fixture
def base(data: tiny.Tiny) -> dict[str, Any]:
    return json.loads((data.preprocessed / "TinyPlans.json").read_text())


@pytest.fixture(autouse=True)
def _only_the_base_plans(request: pytest.FixtureRequest) -> Any:
    yield
    if "data" in request.fixturenames:
        for made in request.getfixturevalue("data").preprocessed.glob("*Plans_0*.json"):
            made.unlink()


def write(data: tiny.Tiny, table: str, **options: Any) -> tuple[dict[str, Any], Any]:
    written = write_plans("760", table, **{"plans_name": "TinyPlans"} | options)
    return json.loads(written.file.read_text()), written


def test_rows_inherit_the_data_of_the_configuration_that_they_stand_on(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    plans, written = write(data, "001.4")
    assert written.file == data.preprocessed / "TinyPlans_001.4.json"
    assert plans["plans_name"] == "TinyPlans_001.4"
    assert plans["configurations"].items() >= base["configurations"].items()
    rows = [f"3d_fullres_{row.key}" for row in find("001.4").rows]
    assert list(plans["configurations"]) == [*base["configurations"], *rows]
    manager = PlansManager(str(written.file))
    for name in rows:
        resolved = manager.get_configuration(name)
        parent = manager.get_configuration("3d_fullres")
        assert set(plans["configurations"][name]) == {"inherits_from", "architecture", "training"}
        assert resolved.data_identifier == parent.data_identifier == "TinyPlans_3d_fullres"
        assert resolved.patch_size == parent.patch_size
        assert resolved.batch_size == parent.batch_size
        assert resolved.configuration["training"] == SHORT
    assert not list(data.preprocessed.glob("*.tmp"))


def test_rows_stand_on_the_plans_topology(data: tiny.Tiny, base: dict[str, Any]) -> None:
    plans, _ = write(data, "001.4")
    planned = base["configurations"]["3d_fullres"]["architecture"]
    for row in find("001.4").rows:
        entry = plans["configurations"][f"3d_fullres_{row.key}"]["architecture"]
        assert entry["network_class_name"] == public_name(row.network)
        assert entry["arch_kwargs"] == planned["arch_kwargs"] | row.options


def test_blocks_of_the_planned_network_are_not_inherited(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    for plan in base["configurations"].values():
        plan["architecture"]["network_class_name"] = public_name("MAGUNet")
        plan["architecture"]["arch_kwargs"] |= {"skip": "lgag", "pool": "max", "deep_levels": 1}
    (data.preprocessed / "MAGPlans_0.json").write_text(
        json.dumps(base | {"plans_name": "MAGPlans_0"})
    )
    plans, _ = write(data, "001.1", plans_name="MAGPlans_0")
    kept = plans["configurations"]["3d_fullres_unet"]["architecture"]["arch_kwargs"]
    assert "skip" not in kept
    assert (kept["pool"], kept["deep_levels"]) == ("max", 1)
    # A network that has no such options is not given them.
    assert "pool" not in plans["configurations"]["3d_fullres_segnet"]["architecture"]["arch_kwargs"]


def test_a_2d_network_inherits_from_2d_whatever_the_table(data: tiny.Tiny) -> None:
    plans, _ = write(data, "001.1", rows=["unet", "deeplab"])
    assert plans["configurations"]["2d_deeplab"]["inherits_from"] == "2d"
    assert plans["configurations"]["3d_fullres_unet"]["inherits_from"] == "3d_fullres"


def test_a_network_for_one_patch_is_told_it_for_the_stock_trainer(data: tiny.Tiny) -> None:
    plans, _ = write(data, "001.1", rows=["unetr"])
    row = PlansManager(plans).get_configuration("3d_fullres_unetr")
    assert row.network_arch_init_kwargs["input_size"] == row.patch_size


def test_the_rows_procedure_goes_over_the_plans(data: tiny.Tiny) -> None:
    plans, _ = write(data, "003.2")
    for row in find("003.2").rows:
        training = plans["configurations"][f"2d_{row.key}"]["training"]
        assert training == SHORT | row.training
    focal = plans["configurations"]["2d_unet-focal"]["training"]["loss"]
    assert focal == {"focal": {"weight": 1.0, "alpha": 0.5, "gamma": 2.0}}


def test_rows_without_a_procedure_leave_nnunets(data: tiny.Tiny, base: dict[str, Any]) -> None:
    for plan in base["configurations"].values():
        plan.pop("training", None)
    (data.preprocessed / "StockPlans_0.json").write_text(
        json.dumps(base | {"plans_name": "StockPlans_0"})
    )
    plans, _ = write(data, "000.2", plans_name="StockPlans_0")
    assert set(plans["configurations"]["3d_fullres_se"]) == {"inherits_from", "architecture"}


def test_the_papers_own_topology_and_procedure(data: tiny.Tiny) -> None:
    plans, written = write(data, "003.3", paper=True)
    assert written.file.stem == "TinyPlans_003.3_paper"
    recipe = PAPER_RECIPES["InceptionDualUNet"]
    for row in find("003.3").rows:
        entry = plans["configurations"][f"2d_{row.key}"]
        topology = find_topology("003", row.topology)
        assert entry["architecture"]["arch_kwargs"] == topology.arch_kwargs | row.options
        assert entry["batch_size"] == recipe.batch_size
        assert entry["training"] == recipe.training | row.training


def test_what_differs_from_the_paper_is_told(data: tiny.Tiny) -> None:
    _, written = write(data, "003.9", rows=["unet-cce", "proposed-focal"])
    assert any("4 classes, background included; Dataset760_Tiny has 3" in n for n in written.notes)
    _, written = write(data, "003.3", paper=True)
    assert any("for: 2d_unet, " in n and "--recipe paper" in n for n in written.notes)
    assert all(made.kept > 1.5 for made in written.made)


def test_the_memory_is_relative_to_the_plans_own_network(data: tiny.Tiny) -> None:
    _, written = write(data, "001.4")
    kept = {made.row.key: made.kept for made in written.made}
    assert kept["unet"] == 1
    assert kept["da-mff-lgag"] > kept["da"] > 1


def test_plans_are_not_written_over_without_force(data: tiny.Tiny) -> None:
    _, written = write(data, "000.2")
    written.file.write_text("{}")
    with pytest.raises(
        UserError, match=r"TinyPlans_000\.2: plans of that name exist; pass --force"
    ):
        write(data, "000.2")
    assert written.file.read_text() == "{}"
    assert write(data, "000.2", force=True)[0]["plans_name"] == "TinyPlans_000.2"


def test_nothing_is_written_where_one_row_cannot_be_built(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = Row("even", "[2]", "ModularUNet", {"stem": "mff", "stem_kwargs": {"scales": [2]}})
    table = find("001.3")
    wrong = replace(table, rows=(*table.rows, even))
    monkeypatch.setattr(tables, "TABLES", (wrong,))
    with pytest.raises(UserError, match=r"001.3, row even: .*scales are \[2\]; one or more odd"):
        write(data, "001.3")
    assert [p.name for p in data.preprocessed.glob("TinyPlans*.json")] == ["TinyPlans.json"]


def test_a_failure_to_write_leaves_nothing(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation_plans.os, "replace", fail)
    with pytest.raises(OSError, match="on purpose"):
        write(data, "000.2")
    assert [p.name for p in data.preprocessed.glob("TinyPlans*.*")] == ["TinyPlans.json"]


def fail(*_: Any) -> None:
    raise OSError("disk full on purpose")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"plans_name": "TinyPlan"}, "no plans called TinyPlan; there are: TinyPlans. Name them with -p"),
        ({"plans_name": None}, "no plans called ModularUNetPlans or nnUNetPlans; there are: TinyPlans"),
        ({"configuration": "3d_lowres"}, "TinyPlans has no configuration called '3d_lowres'; it has 3d_"),
        ({"configuration": "2d", "paper": True}, "the paper's topology is 3D and 2d 2D; pass -c 3d_full"),
        ({"rows": ["da", "daa"]}, "001.4: no row called 'daa'; known, the nearest first: da, "),
    ],
)  # fmt: skip
def test_what_is_not_there_is_answered_with_what_is(
    data: tiny.Tiny, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        write(data, "001.4", **options)


def test_a_dataset_without_plans_is_answered_with_the_command(data: tiny.Tiny) -> None:
    with pytest.raises(UserError, match="nnunet-plugins plan 760 --network ModularUNet"):
        write(data, "001.4", plans_name="Missing")
    with pytest.raises(UserError, match=r"dataset 761: 0 folders in .*there are: Dataset760_Tiny"):
        write_plans("761", "001.4")


def test_default_plans_are_ours_before_nnunets_own(data: tiny.Tiny, base: dict[str, Any]) -> None:
    for name in ("nnUNetPlans", "ModularUNetPlans"):
        file = data.preprocessed / f"{name}.json"
        file.write_text(json.dumps(base | {"plans_name": name}))
        try:
            written = write_plans("760", "000.2")
        finally:
            if name == "ModularUNetPlans":
                file.unlink()
                (data.preprocessed / "nnUNetPlans.json").unlink()
        assert written.file.stem == f"{name}_000.2"


def test_plans_of_another_kind_of_network_are_refused(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    base["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "their.Primus"
    (data.preprocessed / "PrimusPlans_0.json").write_text(
        json.dumps(base | {"plans_name": "PrimusPlans_0"})
    )
    with pytest.raises(
        UserError, match=r"the plans are for their\.Primus; rows stand on the topology"
    ):
        write(data, "001.4", plans_name="PrimusPlans_0")


# training, and the commands


@pytest.mark.parametrize(
    ("table", "row", "configuration"),
    [("001.4", "da-lgag", "3d_fullres_da-lgag"), ("003.3", "dual", "2d_dual")],
)
def test_a_row_trains_with_nnunets_own_function(
    data: tiny.Tiny, table: str, row: str, configuration: str
) -> None:
    _, written = write(data, table)
    rows = tiny.Tiny(data.name, written.file.stem, data.raw, data.preprocessed)
    trainer = tiny.trainer_of(rows, configuration, "SegNetTrainer")  # the plans name the network
    trainer.run_training()
    assert type(trainer.network).__name__ == "ModularUNet"
    assert trainer.current_epoch == 1
    assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
    kinds = [output.kind for output in trainer.network.outputs]
    assert ("auxiliary" in kinds) == (row == "dual")


def test_a_row_is_built_by_the_stock_trainer(data: tiny.Tiny) -> None:
    _, written = write(data, "001.2", rows=["eca"])
    rows = tiny.Tiny(data.name, written.file.stem, data.raw, data.preprocessed)
    trainer = tiny.trainer_of(rows, "3d_fullres_eca", "nnUNetTrainer")
    trainer.initialize()
    assert type(trainer.network.bottleneck).__name__ == "EfficientChannelAttention"


def test_the_command_says_what_to_type_next(
    data: tiny.Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnunet_plugins.trainers.networks import TRAINERS

    assert main(["ablation", "plans", "760", "--table", "001.4", "-p", "TinyPlans"]) == 0
    said = capsys.readouterr().out
    plans = json.loads((data.preprocessed / "TinyPlans_001.4.json").read_text())
    lines = re.findall(r"nnUNetv2_train 760 (\S+) 0 -p (\S+) -tr (\S+)", said)
    assert [name for name, _, _ in lines] == [f"3d_fullres_{r.key}" for r in find("001.4").rows]
    for configuration, name, trainer in lines:
        assert configuration in plans["configurations"]
        assert name == plans["plans_name"]
        assert trainer in TRAINERS


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
