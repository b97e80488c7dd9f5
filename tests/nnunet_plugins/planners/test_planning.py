"""What `plan` writes; nnU-Net's fingerprint and preprocessing, which start pools, are stood in for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.costs.budget import budget
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import takes_input_size
from nnunet_plugins.papers.topologies import proposed
from nnunet_plugins.planners import planning
from nnunet_plugins.planners.planning import Request
from nnunet_plugins.training.procedure import PAPER_RECIPES
from tests.nnunet_plugins import tiny

SHAPE, SPACING = (96, 160, 160), (1.0, 1.0, 1.0)  # as the fingerprint tells; the files are smaller


@pytest.fixture(scope="module")
def dataset(nnunet: Path) -> Path:
    name, _ = tiny.write_raw("labels", 750)
    return nnunet / "nnUNet_preprocessed" / name


@pytest.fixture
def plan(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    monkeypatch.setattr(
        planning,
        "extract_fingerprint_dataset",
        lambda *_, **__: tiny.write_fingerprint(dataset, SHAPE, SPACING),
    )
    monkeypatch.setattr(planning, "preprocess_dataset", lambda *_, **__: None)

    def run(network: str = "MAGUNet", **options: Any) -> dict[str, Any]:
        return json.loads(planning.plan(Request("750", network, force=True, **options)).read_text())

    return run


def test_plans_name_our_network_by_its_public_name(plan: Callable) -> None:
    plans = plan()
    assert plans["plans_name"] == "MAGUNetPlans"
    for configuration in plans["configurations"].values():
        assert (
            configuration["architecture"]["network_class_name"] == "nnunet_plugins.networks.MAGUNet"
        )
        assert "training" not in configuration  # nnU-Net's own procedure


def test_the_procedure_is_written_into_every_configuration(plan: Callable) -> None:
    plans = plan(training={"epochs": 50, "iterations_per_epoch": 100}, plans_name="Mine")
    for configuration in plans["configurations"].values():
        assert configuration["training"] == {"epochs": 50, "iterations_per_epoch": 100}


@pytest.mark.parametrize("network", PAPER_RECIPES)
def test_the_papers_recipe_is_procedure_batch_and_topology(plan: Callable, network: str) -> None:
    plans = plan(network, recipe="paper")
    recipe, topology = PAPER_RECIPES[network], proposed(network)
    native = plan(network)
    assert plans["plans_name"] == f"{network}PlansPaper"
    assert set(plans["configurations"]) == {"2d", "3d_fullres"}
    for name, configuration in plans["configurations"].items():
        assert configuration["batch_size"] == recipe.batch_size
        assert configuration["training"] == recipe.training
        assert configuration["spacing"] == native["configurations"][name]["spacing"]
        ours = dict(configuration["architecture"]["arch_kwargs"])
        size = ours.pop("input_size", None)
        assert size == (configuration["patch_size"] if takes_input_size(network) else None)
        if name == topology.configuration:
            assert ours == topology.arch_kwargs
        else:
            theirs = native["configurations"][name]["architecture"]["arch_kwargs"]
            assert ours.items() <= theirs.items()


@pytest.fixture
def wide(plan: Callable, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images larger than most memory targets."""
    monkeypatch.setattr(
        planning,
        "extract_fingerprint_dataset",
        lambda *_, **__: tiny.write_fingerprint(dataset, (200, 512, 512), SPACING),
    )


@pytest.mark.parametrize("network", ["InceptionDualUNet", "ASPPUNet"])
@pytest.mark.usefixtures("wide")
def test_the_patch_fits_the_memory_with_the_papers_topology(plan: Callable, network: str) -> None:
    plans = plan(network, recipe="paper", gpu_memory=2.0)
    paper = plans["configurations"]["2d"]
    labels = {"labels": {"background": 0, "a": 1, "b": 2}, "channel_names": {"0": "CT"}}
    allowed = budget(2, 2.0)
    assert count(Setup.of(paper, labels)).peak_bytes <= allowed
    # Else it fits because every patch does.
    assert paper["patch_size"] != [512, 512]
    whole = {**paper, "patch_size": [512, 512]}
    assert count(Setup.of(whole, labels)).peak_bytes > allowed
    assert paper["memory"]["needs_gb"] <= 2.0


def test_a_preset_is_a_size_and_keeps_nnunets_topology(plan: Callable) -> None:
    plans = plan("InceptionDualUNet", recipe="paper", preset="cpu")
    kwargs = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    assert kwargs["features_per_stage"][0] == 8
    assert "deep_levels" not in kwargs


def test_a_dataset_too_thin_for_the_papers_topology_is_told_with_the_cure(
    plan: Callable, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        planning,
        "extract_fingerprint_dataset",
        lambda *_, **__: tiny.write_fingerprint(dataset, (10, 160, 160), (4.0, 1.0, 1.0)),
    )
    with pytest.raises(UserError) as caught:
        plan("MAGUNet", recipe="paper", plans_name="Thin")
    said = str(caught.value)
    assert "the paper's topology does not fit 3d_fullres of this dataset" in said
    assert not (dataset / "Thin.json").exists()
    # The cure that it names works.
    training = json.loads(said.rpartition("--training '")[2].rstrip("'"))
    plans = plan("MAGUNet", training=training, batch_size=1, plans_name="Thin")
    assert plans["configurations"]["3d_fullres"]["training"] == PAPER_RECIPES["MAGUNet"].training
    assert plan("MAGUNet", recipe="paper", configurations=("2d",), plans_name="Thin")


@pytest.mark.parametrize("network", ["DeepLabV3", "DeepLabV3Plus"])
def test_a_2d_network_has_no_3d_configuration(plan: Callable, network: str) -> None:
    assert set(plan(network)["configurations"]) == {"2d"}
    with pytest.raises(UserError, match=f"-c 3d_fullres: {network} is 2D only; pass -c 2d"):
        plan(network, configurations=("3d_fullres",))


@pytest.mark.parametrize(
    ("arguments", "train", "note"),
    [
        (["InceptionDualUNet", "--recipe", "paper"], "2d",
         "topology of paper 003 in 2d; nnU-Net's topology stays in 3d_fullres."),
        (["MAGUNet", "--recipe", "paper"], "3d_fullres",
         "topology of paper 001 in 3d_fullres; nnU-Net's topology stays in 2d."),
        (["MAGUNet", "--recipe", "paper", "-c", "2d"], "2d", "topology of paper 001 in 3d_fullres; "),
        (["MAGUNet", "--recipe", "paper", "--preset", "cpu"], "3d_fullres",
         "the topology is nnU-Net's in the size of the preset"),
        (["DeepLabV3"], "2d", "DeepLabV3 is 2D only: no 3D configuration is planned."),
    ],
)  # fmt: skip
def test_what_is_said_to_type_next_exists(
    plan: Callable, capsys: pytest.CaptureFixture[str], arguments: list[str], train: str, note: str
) -> None:
    assert main(["plan", "750", "-p", "Said", "--force", "--network", *arguments]) == 0
    said = capsys.readouterr().out
    assert f"nnUNetv2_train 750 {train} 0 -p Said -tr {arguments[0]}Trainer" in said
    assert f"note   {note}" in said


@pytest.mark.parametrize("network", ["UNETR", "ASPPUNet"])
def test_a_network_for_one_patch_is_planned_with_it(plan: Callable, network: str) -> None:
    for configuration in plan(network)["configurations"].values():
        kwargs = configuration["architecture"]["arch_kwargs"]
        assert kwargs["input_size"] == configuration["patch_size"]


def test_the_cpu_preset_is_small_and_options_win_over_it(plan: Callable) -> None:
    plans = plan(preset="cpu", training={"epochs": 2})
    fullres = plans["configurations"]["3d_fullres"]
    assert plans["plans_name"] == "MAGUNetPlansCPU"
    assert fullres["architecture"]["arch_kwargs"]["features_per_stage"][0] == 8
    assert all(40 <= edge <= 80 for edge in fullres["patch_size"])
    assert fullres["training"]["epochs"] == 2
    assert fullres["training"]["optimizer"] == "Adam"


def test_less_memory_gives_a_smaller_patch_and_a_heavier_network_too(plan: Callable) -> None:
    def voxels(*arguments: Any, **options: Any) -> int:
        patch = plan(*arguments, **options)["configurations"]["3d_fullres"]["patch_size"]
        return patch[0] * patch[1] * patch[2]

    assert voxels(gpu_memory=4.0) < voxels(gpu_memory=8.0)
    assert voxels("MAGUNet", gpu_memory=5.0) < voxels("ModularUNet", gpu_memory=5.0)


@pytest.mark.usefixtures("wide")
def test_our_plain_network_is_planned_as_nnunet_plans_its_own(plan: Callable) -> None:
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
        ExperimentPlanner,
    )

    ours = plan("ModularUNet", plans_name="Ours")["configurations"]
    theirs = ExperimentPlanner(750, plans_name="Theirs").plan_experiment()["configurations"]
    for name in ("2d", "3d_fullres"):
        assert ours[name]["patch_size"] == list(theirs[name]["patch_size"])
    assert ours["3d_fullres"]["batch_size"] == theirs["3d_fullres"]["batch_size"]


@pytest.mark.parametrize(("options", "name"), [
    ({"encoder": "residual"}, "MAGUNetPlansResEnc"),
    ({"preset": "L"}, "MAGUNetPlansResEncL"),
])  # fmt: skip
def test_residual_encoders_are_nnunets(plan: Callable, options: dict[str, Any], name: str) -> None:
    plans = plan(**options)
    assert plans["plans_name"] == name
    kwargs = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    stages = kwargs["n_stages"]
    assert kwargs["n_blocks_per_stage"] == [1, 3, 4, 6, 6, 6, 6][:stages]
    assert kwargs["n_conv_per_stage_decoder"] == [1] * (stages - 1)
    assert "n_conv_per_stage" not in kwargs


@pytest.mark.usefixtures("wide")
def test_the_batch_grows_to_what_the_memory_holds_and_no_further(plan: Callable) -> None:
    two, four = (plan("SEUNet", gpu_memory=gb)["configurations"]["2d"] for gb in (4.0, 6.0))
    assert 2 < two["batch_size"] < four["batch_size"]
    labels = {"labels": {"background": 0, "a": 1, "b": 2}, "channel_names": {"0": "CT"}}
    for planned, gb in ((two, 4.0), (four, 6.0)):
        one_more = {**planned, "batch_size": planned["batch_size"] + 1}
        assert count(Setup.of(planned, labels)).peak_bytes <= budget(2, gb)
        assert count(Setup.of(one_more, labels)).peak_bytes > budget(2, gb)


def test_a_failure_brings_the_old_plans_back(
    plan: Callable, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan(plans_name="Kept")

    def fail(_: Any) -> None:
        raise RuntimeError("stopped on purpose")

    monkeypatch.setattr(planning.NetworkPlanner, "plan_experiment", fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        plan(plans_name="Kept")
    assert json.loads((dataset / "Kept.json").read_text()) == before
    assert not list(dataset.glob("*.old"))


def test_planning_anew_forgets_configurations_of_the_old_plans(
    plan: Callable, dataset: Path
) -> None:
    plans = plan(plans_name="Again")
    plans["configurations"]["stale"] = {"inherits_from": "2d"}
    (dataset / "Again.json").write_text(json.dumps(plans))
    assert "stale" not in plan(plans_name="Again")["configurations"]


def test_other_folds_in_preprocessed_are_told_before_nnunet_dies_of_them(
    plan: Callable, dataset: Path
) -> None:
    splits = dataset / "splits_final.json"
    plan()
    folds = json.loads(splits.read_text())
    folds[0]["train"].reverse()
    splits.write_text(json.dumps(folds))
    plan()  # the order within a fold does not matter
    folds[0], folds[1] = folds[1], folds[0]
    splits.write_text(json.dumps(folds))
    with pytest.raises(UserError, match="holds other folds than the dataset's"):
        plan()
    splits.unlink()


def test_what_nnunet_refuses_is_one_sentence(
    plan: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("labels missing")

    monkeypatch.setattr(planning, "extract_fingerprint_dataset", refuse)
    with pytest.raises(UserError, match="nnU-Net refuses the dataset: labels missing"):
        plan()


def test_a_configuration_that_nnunet_does_not_plan_is_told_and_nothing_is_replaced(
    plan: Callable, dataset: Path
) -> None:
    before = plan(plans_name="Whole")
    assert "3d_lowres" not in before["configurations"]
    with pytest.raises(UserError, match="nnU-Net plans only 2d, 3d_fullres for this dataset"):
        plan(plans_name="Whole", configurations=("3d_lowres",))
    assert json.loads((dataset / "Whole.json").read_text()) == before


@pytest.mark.parametrize(
    "name", ["dataset", "splits_final", "dataset_fingerprint", "..", ".hidden"]
)
def test_names_of_nnunets_own_files_are_refused(plan: Callable, name: str) -> None:
    with pytest.raises(UserError, match="plans name"):
        plan(plans_name=name)


def test_a_memory_target_too_small_for_any_patch(plan: Callable) -> None:
    with pytest.raises(UserError, match=r"--gpu-memory 1e-09: too little"):
        plan(plans_name="Nothing", gpu_memory=1e-9)
