"""Rows as configurations of one plans file: what they inherit, which errors are reported, and that they train."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import public_name
from nnunet_plugins.papers import library
from nnunet_plugins.papers.library import RECIPES, find_table, find_topology
from nnunet_plugins.papers.tables import Row
from nnunet_plugins.planners.ablation_plans import write_plans
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
        for made in request.getfixturevalue("data").preprocessed.glob("*Plans_*.json"):
            made.unlink()


def save(data: tiny.Tiny, content: dict[str, Any], name: str) -> str:
    """Write plans under a name, which is returned."""
    file = data.preprocessed / f"{name}.json"
    file.write_text(json.dumps(content | {"plans_name": name}))
    return name


def write(data: tiny.Tiny, table: str, **options: Any) -> tuple[dict[str, Any], Any]:
    written = write_plans("760", table, **{"plans_name": "TinyPlans"} | options)
    return json.loads(written.file.read_text()), written


@pytest.fixture(scope="module")
def modules(data: tiny.Tiny) -> tuple[dict[str, Any], Any]:
    """Table 4 of MAG-UNet on the tiny plans."""
    return write(data, "yan2025-mag-unet.4")


@pytest.fixture(scope="module")
def published(data: tiny.Tiny) -> tuple[dict[str, Any], Any]:
    """Table 3 of silveira2025-inception-dual with the paper's own topology."""
    return write(data, "silveira2025-inception-dual.3", paper=True)


def test_rows_inherit_the_data_of_their_base_configuration(
    data: tiny.Tiny, base: dict[str, Any], modules: tuple[dict[str, Any], Any]
) -> None:
    plans, written = modules
    assert written.file == data.preprocessed / "TinyPlans_yan2025-mag-unet.4.json"
    assert plans["plans_name"] == "TinyPlans_yan2025-mag-unet.4"
    assert plans["configurations"].items() >= base["configurations"].items()
    rows = [f"3d_fullres_{row.key}" for row in find_table("yan2025-mag-unet.4").rows]
    assert list(plans["configurations"]) == [*base["configurations"], *rows]
    manager = PlansManager(plans)
    for name in rows:
        resolved = manager.get_configuration(name)
        parent = manager.get_configuration("3d_fullres")
        assert set(plans["configurations"][name]) == {"inherits_from", "architecture", "training"}
        assert resolved.data_identifier == parent.data_identifier == "TinyPlans_3d_fullres"
        assert resolved.patch_size == parent.patch_size
        assert resolved.batch_size == parent.batch_size
        assert resolved.configuration["training"] == SHORT
    assert not list(data.preprocessed.glob("*.tmp"))


def test_rows_have_the_topology_of_the_plans(
    base: dict[str, Any], modules: tuple[dict[str, Any], Any]
) -> None:
    plans, _ = modules
    planned = base["configurations"]["3d_fullres"]["architecture"]
    for row in find_table("yan2025-mag-unet.4").rows:
        entry = plans["configurations"][f"3d_fullres_{row.key}"]["architecture"]
        assert entry["network_class_name"] == public_name(row.network)
        assert entry["arch_kwargs"] == planned["arch_kwargs"] | row.options


def test_blocks_of_the_planned_network_are_not_inherited(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    for plan in base["configurations"].values():
        plan["architecture"]["network_class_name"] = public_name("MAGUNet")
        plan["architecture"]["arch_kwargs"] |= {"skip": "lgag", "pool": "max", "deep_levels": 1}
    name = save(data, base, "MAGPlans_0")
    plans, _ = write(data, "yan2025-mag-unet.1", rows=["unet", "segnet"], plans_name=name)
    kept = plans["configurations"]["3d_fullres_unet"]["architecture"]["arch_kwargs"]
    assert "skip" not in kept
    assert (kept["pool"], kept["deep_levels"]) == ("max", 1)
    # A network that has no such options is not given them.
    assert "pool" not in plans["configurations"]["3d_fullres_segnet"]["architecture"]["arch_kwargs"]


def test_a_2d_network_inherits_from_2d_whatever_the_table(data: tiny.Tiny) -> None:
    plans, _ = write(data, "yan2025-mag-unet.1", rows=["unet", "deeplab"])
    assert plans["configurations"]["2d_deeplab"]["inherits_from"] == "2d"
    assert plans["configurations"]["3d_fullres_unet"]["inherits_from"] == "3d_fullres"


def test_a_network_for_one_patch_size_gets_it_for_the_stock_trainer(data: tiny.Tiny) -> None:
    plans, _ = write(data, "yan2025-mag-unet.1", rows=["unetr"])
    row = PlansManager(plans).get_configuration("3d_fullres_unetr")
    assert row.network_arch_init_kwargs["input_size"] == row.patch_size


def test_the_procedure_of_a_row_overrides_that_of_the_plans(data: tiny.Tiny) -> None:
    table = find_table("silveira2025-inception-dual.2")
    keys = ["unet-focal", "proposed-bce-dice"]
    plans, _ = write(data, table.id, rows=keys)
    for key in keys:
        training = plans["configurations"][f"2d_{key}"]["training"]
        assert training == SHORT | table.row(key).training
    focal = plans["configurations"]["2d_unet-focal"]["training"]["loss"]
    assert focal == {"focal": {"weight": 1.0, "alpha": 0.5, "gamma": 2.0}}


def test_rows_without_a_procedure_keep_that_of_nnunet(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    for plan in base["configurations"].values():
        plan.pop("training", None)
    plans, _ = write(data, "jing2025-se-unet.2", plans_name=save(data, base, "StockPlans_0"))
    assert set(plans["configurations"]["3d_fullres_se"]) == {"inherits_from", "architecture"}


def test_the_papers_own_topology_and_procedure(published: tuple[dict[str, Any], Any]) -> None:
    plans, written = published
    assert written.file.stem == "TinyPlans_silveira2025-inception-dual.3_paper"
    recipe = RECIPES["InceptionDualUNet"]
    for row in find_table("silveira2025-inception-dual.3").rows:
        entry = plans["configurations"][f"2d_{row.key}"]
        topology = find_topology("silveira2025-inception-dual", row.topology)
        assert entry["architecture"]["arch_kwargs"] == topology.arch_kwargs | row.options
        assert entry["batch_size"] == recipe.batch_size
        assert entry["training"] == recipe.procedure() | row.training
    assert any("--network InceptionDualUNet --recipe paper" in note for note in written.notes)


@pytest.fixture
def nnunets_own(data: tiny.Tiny, base: dict[str, Any]) -> Iterator[None]:
    """nnU-Net's plans in one dataset with those that `plan --network ASPPUNet --recipe paper` makes."""
    save(data, base, "ModularUNetPlans")
    content = copy.deepcopy(base) | {"recipe": "cai2023-aspp-unet"}
    for name, plan in content["configurations"].items():
        plan["data_identifier"] = f"ASPPUNetPlansPaper_{name}"
        plan["batch_size"], plan["training"] = 7, {"epochs": 50, "iterations_per_epoch": 828}
    save(data, content, "ASPPUNetPlansPaper")
    yield
    for name in ("ModularUNetPlans", "ASPPUNetPlansPaper"):
        for file in data.preprocessed.glob(f"{name}*.json"):
            file.unlink()


@pytest.mark.usefixtures("nnunets_own")
def test_nnunets_own_row_keeps_its_plan_and_procedure_next_to_the_papers(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    plans, written = write(
        data, "cai2023-aspp-unet.3", rows=["nnunet2d", "aspp"], plans_name=None, paper=True
    )
    assert written.file.stem == "ASPPUNetPlansPaper_cai2023-aspp-unet.3_paper"
    manager = PlansManager(plans)
    own, paper = (manager.get_configuration(f"2d_{row}") for row in ("nnunet2d", "aspp"))
    planned = base["configurations"]["2d"]
    assert own.batch_size == planned["batch_size"]
    assert own.data_identifier == planned["data_identifier"] == "TinyPlans_2d"
    assert own.patch_size == planned["patch_size"]
    assert own.configuration["training"] == find_table("004.3").row("nnunet2d").training
    assert own.configuration["training"]["epochs"] == 1000
    kwargs = own.configuration["architecture"]["arch_kwargs"]
    assert kwargs == planned["architecture"]["arch_kwargs"]
    assert (paper.batch_size, paper.data_identifier) == (2, "ASPPUNetPlansPaper_2d")
    assert paper.configuration["training"] == RECIPES["ASPPUNet"].procedure()
    assert not any("--recipe paper" in n for n in written.notes if "normalisation" in n)


@pytest.mark.usefixtures("nnunets_own")
def test_nnunets_own_row_without_plans_of_its_own_names_the_command(data: tiny.Tiny) -> None:
    options: dict[str, Any] = {"rows": ["nnunet2d"], "plans_name": None, "paper": True}
    own = data.preprocessed / "ModularUNetPlans.json"
    content = json.loads(own.read_text())
    content["foreground_intensity_properties_per_channel"]["0"]["mean"] = 17.0
    own.write_text(json.dumps(content))
    with pytest.raises(
        UserError,
        match=r"row nnunet2d: nnU-Net's own plan has another foreground_intensity_properties_per_channel than "
        r"ASPPUNetPlansPaper; train it with ModularUNetPlans instead",
    ):
        write(data, "cai2023-aspp-unet.3", **options)
    own.unlink()
    with pytest.raises(
        UserError, match=r"row nnunet2d: .*no plans called ModularUNetPlans or nnUNetPlans; there"
    ):
        write(data, "cai2023-aspp-unet.3", **options)


def test_on_nnunets_plans_its_own_row_inherits_the_batch(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    plans, _ = write(data, "cai2023-aspp-unet.3", rows=["nnunet2d", "aspp"], paper=True)
    own, paper = (plans["configurations"][f"2d_{row}"] for row in ("nnunet2d", "aspp"))
    assert own["inherits_from"] == "2d"
    assert "batch_size" not in own
    assert own["training"] == find_table("004.3").row("nnunet2d").training
    assert paper["batch_size"] == 2


def test_a_row_of_another_rank_leaves_out_the_axes_of_the_recipe(data: tiny.Tiny) -> None:
    plans, _ = write(data, "yan2025-mag-unet.1", rows=["mag", "deeplab"], paper=True)
    recipe = RECIPES["MAGUNet"].procedure()
    assert plans["configurations"]["3d_fullres_mag"]["training"] == recipe
    flat = plans["configurations"]["2d_deeplab"]["training"]
    assert flat["augmentation"]["affine"] == {
        "p": 0.5,
        "degrees": 10,
        "scale": [0.9, 1.1],
        "shift": 0.05,
    }


def test_differences_from_the_paper_are_reported(
    data: tiny.Tiny, published: tuple[dict[str, Any], Any]
) -> None:
    _, written = write(data, "silveira2025-inception-dual.9", rows=["unet-cce", "proposed-focal"])
    assert any("4 classes, background included; Dataset760_Tiny has 3" in n for n in written.notes)
    _, written = published
    assert any("for: 2d_unet, " in n and "--recipe paper" in n for n in written.notes)
    assert all(made.memory > 1.5 for made in written.made)


def test_the_memory_is_relative_to_the_network_of_the_plans(
    modules: tuple[dict[str, Any], Any],
) -> None:
    memory = {made.row.key: made.memory for made in modules[1].made}
    assert memory["unet"] == 1
    assert memory["da-mff-lgag"] > memory["da"] > 1


def test_plans_are_not_overwritten_without_force(data: tiny.Tiny) -> None:
    _, written = write(data, "jing2025-se-unet.2")
    written.file.write_text("{}")
    with pytest.raises(
        UserError, match=r"TinyPlans_jing2025-se-unet\.2: plans of that name exist; pass --force"
    ):
        write(data, "jing2025-se-unet.2")
    assert written.file.read_text() == "{}"
    assert (
        write(data, "jing2025-se-unet.2", force=True)[0]["plans_name"]
        == "TinyPlans_jing2025-se-unet.2"
    )


def test_nothing_is_written_if_one_row_cannot_be_built(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = Row("even", "[2]", "ModularUNet", {"stem": "mff", "stem_kwargs": {"scales": [2]}})
    table = find_table("yan2025-mag-unet.3")
    wrong = replace(table, rows=(*table.rows, even))
    monkeypatch.setattr(library, "TABLES", (wrong,))
    with pytest.raises(
        UserError,
        match=r"yan2025-mag-unet.3, row even: .*scales are \[2\]; expected one or more odd",
    ):
        write(data, "yan2025-mag-unet.3")
    assert [p.name for p in data.preprocessed.glob("TinyPlans*.json")] == ["TinyPlans.json"]


def test_a_failure_to_write_leaves_nothing(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("disk full on purpose")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match=r"cannot be written .*on purpose"):
        write(data, "jing2025-se-unet.2")
    assert [p.name for p in data.preprocessed.glob("TinyPlans*.*")] == ["TinyPlans.json"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"plans_name": "TinyPlan"}, "no plans called TinyPlan; there are: TinyPlans. Name them with -p"),
        ({"plans_name": None}, "no plans called ModularUNetPlans or nnUNetPlans; there are: TinyPlans"),
        ({"configuration": "3d_lowres"}, "TinyPlans has no configuration called '3d_lowres'; it has 3d_"),
        ({"configuration": "2d", "paper": True}, "the paper's topology is 3D and 2d 2D; pass -c 3d_full"),
        ({"rows": ["da", "daa"]}, "yan2025-mag-unet.4: no row called 'daa'; known, the nearest first: da, "),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_known_ones(
    data: tiny.Tiny, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        write(data, "yan2025-mag-unet.4", **options)


def test_for_a_dataset_without_plans_the_command_is_named(data: tiny.Tiny) -> None:
    with pytest.raises(UserError, match="nnunet-plugins plan 760 --network ModularUNet"):
        write(data, "yan2025-mag-unet.4", plans_name="Missing")
    with pytest.raises(UserError, match=r"dataset 761: 0 folders in .*there are: Dataset760_Tiny"):
        write_plans("761", "yan2025-mag-unet.4")


def test_default_plans_are_ours_rather_than_nnunets_own(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    for name in ("nnUNetPlans", "ModularUNetPlans"):
        save(data, base, name)
        try:
            written = write_plans("760", "jing2025-se-unet.2")
        finally:
            if name == "ModularUNetPlans":
                (data.preprocessed / "ModularUNetPlans.json").unlink()
                (data.preprocessed / "nnUNetPlans.json").unlink()
        assert written.file.stem == f"{name}_jing2025-se-unet.2"


def test_plans_of_another_kind_of_network_are_rejected(
    data: tiny.Tiny, base: dict[str, Any]
) -> None:
    base["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "their.Primus"
    name = save(data, base, "PrimusPlans_0")
    with pytest.raises(
        UserError, match=r"the plans are for their\.Primus; rows require the topology"
    ):
        write(data, "yan2025-mag-unet.4", plans_name=name)


@pytest.mark.parametrize(
    ("table", "row", "configuration"),
    [
        ("silveira2025-inception-dual.3", "dual", "2d_dual"),
        pytest.param(
            "yan2025-mag-unet.4", "da-lgag", "3d_fullres_da-lgag", marks=pytest.mark.integration
        ),
    ],
)
def test_a_row_trains_with_nnunets_own_function(
    data: tiny.Tiny, table: str, row: str, configuration: str
) -> None:
    _, written = write(data, table, rows=[row])
    rows = tiny.Tiny(data.name, written.file.stem, data.raw, data.preprocessed)
    trainer = tiny.trainer_of(rows, configuration, "SegNetTrainer")  # not the network of the plans
    trainer.run_training()
    assert type(trainer.network).__name__ == "ModularUNet"
    assert trainer.current_epoch == 1
    assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
    kinds = [output.kind for output in trainer.network.outputs]
    assert ("auxiliary" in kinds) == (row == "dual")


def test_a_row_is_built_by_the_stock_trainer(data: tiny.Tiny) -> None:
    _, written = write(data, "yan2025-mag-unet.2", rows=["eca"])
    rows = tiny.Tiny(data.name, written.file.stem, data.raw, data.preprocessed)
    trainer = tiny.trainer_of(rows, "3d_fullres_eca", "nnUNetTrainer")
    trainer.initialize()
    assert type(trainer.network.bottleneck).__name__ == "EfficientChannelAttention"


@pytest.mark.parametrize("table", ["yan2025-mag-unet.2", "001.2"])
def test_the_printed_commands_train_the_rows(
    data: tiny.Tiny, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnunet_plugins.training.trainers import TRAINERS

    arguments = ["760", "--table", table, "--rows", "se", "eca", "-p", "TinyPlans"]
    assert main(["ablation", "plans", *arguments]) == 0
    printed = capsys.readouterr().out
    plans = json.loads((data.preprocessed / "TinyPlans_yan2025-mag-unet.2.json").read_text())
    lines = re.findall(r"nnUNetv2_train 760 (\S+) 0 -p (\S+) -tr (\S+)", printed)
    assert [name for name, _, _ in lines] == ["3d_fullres_se", "3d_fullres_eca"]
    for configuration, name, trainer in lines:
        assert configuration in plans["configurations"]
        assert name == plans["plans_name"]
        assert trainer in TRAINERS
