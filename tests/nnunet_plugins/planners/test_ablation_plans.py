"""Rows as configurations of one plans file: what they inherit, what is refused, and that they train."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import public_name
from nnunet_plugins.papers import tables
from nnunet_plugins.papers.rows import Row
from nnunet_plugins.papers.tables import find
from nnunet_plugins.papers.topologies import find as find_topology
from nnunet_plugins.planners import ablation_plans as ablation_plans
from nnunet_plugins.planners.ablation_plans import write_plans
from nnunet_plugins.training.procedure import PAPER_RECIPES
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.training.test_matrix import SHORT


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
    assert all(made.memory > 1.5 for made in written.made)


def test_the_memory_is_relative_to_the_plans_own_network(data: tiny.Tiny) -> None:
    _, written = write(data, "001.4")
    kept = {made.row.key: made.memory for made in written.made}
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
    from nnunet_plugins.training.trainers import TRAINERS

    assert main(["ablation", "plans", "760", "--table", "001.4", "-p", "TinyPlans"]) == 0
    said = capsys.readouterr().out
    plans = json.loads((data.preprocessed / "TinyPlans_001.4.json").read_text())
    lines = re.findall(r"nnUNetv2_train 760 (\S+) 0 -p (\S+) -tr (\S+)", said)
    assert [name for name, _, _ in lines] == [f"3d_fullres_{r.key}" for r in find("001.4").rows]
    for configuration, name, trainer in lines:
        assert configuration in plans["configurations"]
        assert name == plans["plans_name"]
        assert trainer in TRAINERS
