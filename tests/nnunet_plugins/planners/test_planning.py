"""Plans that `plan` writes; nnU-Net's fingerprint and preprocessing, which start pools, are replaced."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.costs.budget import budget
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import takes_input_size
from nnunet_plugins.papers.library import RECIPES, proposed_topology
from nnunet_plugins.planners import planning
from nnunet_plugins.planners.planning import Request
from nnunet_plugins.training.augmentation import for_any_rank
from tests.nnunet_plugins import tiny

SHAPE, SPACING = (96, 160, 160), (1.0, 1.0, 1.0)  # of the fingerprint; the files are smaller
WIDE = (200, 512, 512)  # larger than most memory targets
LABELS = {"labels": {"background": 0, "a": 1, "b": 2}, "channel_names": {"0": "CT"}}


PAPER = ("--recipe", "paper")


@pytest.fixture(scope="module")
def dataset(nnunet: Path) -> Path:
    name, _ = tiny.write_raw("labels", 750)
    return nnunet / "nnUNet_preprocessed" / name


#: The function itself: one test replaces it.
_plan = planning.plan


class Planner:
    """Plans of the dataset. Equal requests share one planning; :meth:`again` always plans."""

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset
        self.files: dict[tuple[Any, ...], str] = {}

    def again(
        self,
        network: str,
        shape: tuple[int, int, int] = SHAPE,
        spacing: tuple[float, float, float] = SPACING,
        **options: Any,
    ) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("nnUNet_n_proc_DA", "1")
            patch.setattr(
                planning,
                "extract_fingerprint_dataset",
                lambda *_, **__: tiny.write_fingerprint(self.dataset, shape, spacing),
            )
            patch.setattr(planning, "preprocess_dataset", lambda *_, **__: None)
            file = _plan(Request("750", network, force=True, **options))
        return json.loads(file.read_text())

    def __call__(self, network: str = "MAGUNet", **options: Any) -> dict[str, Any]:
        key = (network, repr(sorted(options.items())))
        if key not in self.files:
            self.files[key] = json.dumps(self.again(network, **options))
        return json.loads(self.files[key])


@pytest.fixture(scope="module")
def plan(dataset: Path) -> Planner:
    return Planner(dataset)


def test_plans_name_our_network_by_its_public_name(plan: Planner) -> None:
    plans = plan()
    assert plans["plans_name"] == "MAGUNetPlans"
    for configuration in plans["configurations"].values():
        assert (
            configuration["architecture"]["network_class_name"] == "nnunet_plugins.networks.MAGUNet"
        )
        assert "training" not in configuration  # nnU-Net's own procedure


@pytest.mark.integration
def test_the_procedure_is_written_into_every_configuration(plan: Planner) -> None:
    plans = plan(training={"epochs": 50, "iterations_per_epoch": 100}, plans_name="Mine")
    for configuration in plans["configurations"].values():
        assert configuration["training"] == {"epochs": 50, "iterations_per_epoch": 100}


@pytest.mark.integration
@pytest.mark.parametrize("network", RECIPES)
def test_the_papers_recipe_is_procedure_batch_and_topology(plan: Planner, network: str) -> None:
    plans = plan(network, recipe="paper")
    recipe, topology = RECIPES[network], proposed_topology(network)
    assert plans["plans_name"] == f"{network}PlansPaper"
    assert set(plans["configurations"]) == {"2d", "3d_fullres"}
    for name, configuration in plans["configurations"].items():
        assert configuration["batch_size"] == recipe.batch_size
        own = name == topology.configuration
        training = recipe.procedure()
        assert configuration["training"] == (training if own else for_any_rank(training))
        ours = dict(configuration["architecture"]["arch_kwargs"])
        size = ours.pop("input_size", None)
        assert size == (configuration["patch_size"] if takes_input_size(network) else None)
        if own:
            assert ours == topology.arch_kwargs
            assert configuration["patch_size"] == list(recipe.patch)
            assert configuration.items() >= recipe.plan.items()
        else:
            assert ours["features_per_stage"][0] == 32  # nnU-Net's topology
            assert "InstanceNorm" in ours["norm_op"]


@pytest.mark.integration
@pytest.mark.parametrize("network", ["InceptionDualUNet", "ASPPUNet"])
def test_the_patch_fits_the_memory_with_the_papers_topology(plan: Planner, network: str) -> None:
    plans = plan(network, shape=WIDE, recipe="paper", gpu_memory=2.0)
    paper = plans["configurations"]["2d"]
    allowed = budget(2, 2.0)
    assert count(Setup.of(paper, LABELS)).peak_bytes <= allowed
    # Not because every patch fits.
    assert paper["patch_size"] != [512, 512]
    large = {**paper, "patch_size": [512, 512]}
    assert count(Setup.of(large, LABELS)).peak_bytes > allowed
    assert paper["memory"]["needs_gb"] <= 2.0


@pytest.mark.integration
def test_a_preset_is_a_size_and_keeps_nnunets_topology(plan: Planner) -> None:
    plans = plan("MAGUNet", recipe="paper", preset="cpu")
    kwargs = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    assert kwargs["features_per_stage"][0] == 8
    assert "deep_levels" not in kwargs


@pytest.mark.integration
def test_for_memory_too_small_for_the_papers_topology_the_fix_is_named(
    plan: Planner, dataset: Path
) -> None:
    thin: dict[str, Any] = {"shape": (10, 160, 160), "spacing": (4.0, 1.0, 1.0)}
    small = {"plans_name": "Thin", "gpu_memory": 4.0, "recipe": "paper"}
    with pytest.raises(
        UserError,
        match=r"topology does not fit the patch of 3d_fullres that --gpu-memory 4 allows \(.*; pass a larger one",
    ):
        plan("MAGUNet", **thin, **small)
    assert not (dataset / "Thin.json").exists()
    assert plan("MAGUNet", **thin, **small, configurations=("2d",))
    # Without a limit ten slices are padded to the paper's 50.
    plans = plan("MAGUNet", **thin, recipe="paper")
    assert plans["configurations"]["3d_fullres"]["patch_size"] == [50, 256, 256]


@pytest.mark.parametrize(
    "network", ["DeepLabV3", pytest.param("DeepLabV3Plus", marks=pytest.mark.integration)]
)
def test_a_2d_network_has_no_3d_configuration(plan: Planner, network: str) -> None:
    assert set(plan(network)["configurations"]) == {"2d"}
    with pytest.raises(UserError, match=f"-c 3d_fullres: {network} is 2D only; pass -c 2d"):
        plan.again(network, configurations=("3d_fullres",))


@pytest.mark.parametrize(
    ("arguments", "train", "note"),
    [
        *(
            pytest.param(*parameters, marks=pytest.mark.integration)
            for parameters in (
                (["InceptionDualUNet", *PAPER], "2d",
                 "topology of silveira2025-inception-dual in 2d; nnU-Net's topology in 3d_fullres."),
                (["MAGUNet", *PAPER], "3d_fullres",
                 "topology of yan2025-mag-unet in 3d_fullres; nnU-Net's topology in 2d."),
                (["MAGUNet", *PAPER, "-c", "2d"], "2d", "topology of yan2025-mag-unet in 3d_fullres; "),
                (["MAGUNet", *PAPER, "--preset", "cpu"], "3d_fullres",
                 "the topology is nnU-Net's, in the size of the preset"),
            )
        ),
        (["DeepLabV3"], "2d", "DeepLabV3 is 2D only: no 3D configuration is planned."),
    ],
)  # fmt: skip
def test_the_printed_command_trains_the_planned_configuration(
    plan: Planner,
    dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    train: str,
    note: str,
) -> None:
    def planned(request: Request) -> Path:
        options = {"recipe": request.recipe, "preset": request.preset}
        plans = plan(
            request.network, **{k: v for k, v in options.items() if v not in (None, "native")}
        )
        (dataset / "Printed.json").write_text(json.dumps(plans))
        return dataset / "Printed.json"

    monkeypatch.setattr(planning, "plan", planned)
    assert main(["plan", "750", "-p", "Printed", "--force", "--network", *arguments]) == 0
    printed = capsys.readouterr().out
    assert f"nnUNetv2_train 750 {train} 0 -p Printed -tr {arguments[0]}Trainer" in printed
    assert f"note   {note}" in printed


@pytest.mark.integration
@pytest.mark.parametrize("network", ["UNETR", "ASPPUNet"])
def test_a_network_for_one_patch_is_planned_with_it(plan: Planner, network: str) -> None:
    for configuration in plan(network)["configurations"].values():
        kwargs = configuration["architecture"]["arch_kwargs"]
        assert kwargs["input_size"] == configuration["patch_size"]


def test_the_cpu_preset_is_small_and_options_win_over_it(plan: Planner) -> None:
    plans = plan(preset="cpu", training={"epochs": 2})
    fullres = plans["configurations"]["3d_fullres"]
    assert plans["plans_name"] == "MAGUNetPlansCPU"
    assert fullres["architecture"]["arch_kwargs"]["features_per_stage"][0] == 8
    assert all(40 <= edge <= 80 for edge in fullres["patch_size"])
    assert fullres["training"]["epochs"] == 2
    assert fullres["training"]["optimizer"] == "Adam"


@pytest.mark.integration
def test_less_memory_or_a_heavier_network_gives_a_smaller_patch(plan: Planner) -> None:
    def voxels(*arguments: Any, **options: Any) -> int:
        patch = plan(*arguments, **options)["configurations"]["3d_fullres"]["patch_size"]
        return patch[0] * patch[1] * patch[2]

    assert voxels(gpu_memory=4.0) < voxels()
    assert voxels("MAGUNet", gpu_memory=5.0) < voxels("ModularUNet", gpu_memory=5.0)


@pytest.mark.integration
def test_our_plain_network_is_planned_as_nnunet_plans_its_own(
    plan: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
        ExperimentPlanner,
    )

    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    ours = plan.again("ModularUNet", shape=WIDE, plans_name="Ours")["configurations"]
    theirs = ExperimentPlanner(750, plans_name="Theirs").plan_experiment()["configurations"]
    for name in ("2d", "3d_fullres"):
        assert ours[name]["patch_size"] == list(theirs[name]["patch_size"])
    assert ours["3d_fullres"]["batch_size"] == theirs["3d_fullres"]["batch_size"]


@pytest.mark.integration
@pytest.mark.parametrize(("options", "name"), [
    ({"encoder": "residual"}, "MAGUNetPlansResEnc"),
    ({"preset": "L"}, "MAGUNetPlansResEncL"),
])  # fmt: skip
def test_residual_encoders_are_nnunets(plan: Planner, options: dict[str, Any], name: str) -> None:
    plans = plan(**options)
    assert plans["plans_name"] == name
    kwargs = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    stages = kwargs["n_stages"]
    assert kwargs["n_blocks_per_stage"] == [1, 3, 4, 6, 6, 6, 6][:stages]
    assert kwargs["n_conv_per_stage_decoder"] == [1] * (stages - 1)
    assert "n_conv_per_stage" not in kwargs


@pytest.mark.integration
def test_the_batch_is_the_largest_that_fits_the_memory(plan: Planner) -> None:
    four, six = (
        plan("SEUNet", shape=WIDE, gpu_memory=gb)["configurations"]["2d"] for gb in (4.0, 6.0)
    )
    assert 2 < four["batch_size"] < six["batch_size"]
    for planned, gb in ((four, 4.0), (six, 6.0)):
        one_more = {**planned, "batch_size": planned["batch_size"] + 1}
        assert count(Setup.of(planned, LABELS)).peak_bytes <= budget(2, gb)
        assert count(Setup.of(one_more, LABELS)).peak_bytes > budget(2, gb)


def test_a_failure_restores_the_old_plans(
    plan: Planner, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("stopped on purpose")

    (dataset / "Kept.json").write_text('{"old": "plans"}')
    monkeypatch.setattr(planning.NetworkPlanner, "plan_experiment", fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        plan.again("MAGUNet", plans_name="Kept")
    assert (dataset / "Kept.json").read_text() == '{"old": "plans"}'
    assert not list(dataset.glob("*.old"))


@pytest.mark.integration
def test_new_plans_do_not_keep_configurations_of_the_old_ones(plan: Planner, dataset: Path) -> None:
    plans = plan("ModularUNet", gpu_memory=4.0)
    plans["configurations"]["stale"] = {"inherits_from": "2d"}
    (dataset / "Again.json").write_text(json.dumps(plans))
    again = plan.again("ModularUNet", gpu_memory=4.0, plans_name="Again")
    assert "stale" not in again["configurations"]


def test_other_folds_in_preprocessed_are_reported_before_nnunet_fails(
    plan: Planner, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PlannedError(Exception):
        pass

    def stop(_: Any) -> None:
        raise PlannedError

    monkeypatch.setattr(planning.NetworkPlanner, "plan_experiment", stop)
    raw = Path(os.environ["nnUNet_raw"]) / dataset.name / "splits_final.json"
    folds = json.loads(raw.read_text())
    folds[0]["train"].reverse()  # the order within a fold does not matter
    dataset.mkdir(exist_ok=True)
    splits = dataset / "splits_final.json"
    splits.write_text(json.dumps(folds))
    with pytest.raises(PlannedError):
        plan.again("MAGUNet")
    splits.write_text(json.dumps(folds[::-1]))
    with pytest.raises(UserError, match="differs from the dataset's"):
        plan.again("MAGUNet")
    shutil.copy(raw, splits)


def test_an_error_of_nnunet_is_one_sentence(plan: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("labels missing")

    monkeypatch.setattr(planning, "extract_fingerprint_dataset", refuse)
    with pytest.raises(UserError, match="nnU-Net rejects the dataset: labels missing"):
        planning.plan(Request("750", "MAGUNet", force=True))


@pytest.mark.integration
def test_a_configuration_that_nnunet_does_not_plan_is_an_error_and_old_plans_remain(
    plan: Planner, dataset: Path
) -> None:
    (dataset / "Old.json").write_text('{"old": "plans"}')
    with pytest.raises(UserError, match="nnU-Net plans only 2d, 3d_fullres for this dataset"):
        plan.again("ModularUNet", plans_name="Old", configurations=("3d_lowres",), gpu_memory=4.0)
    assert (dataset / "Old.json").read_text() == '{"old": "plans"}'


@pytest.mark.parametrize(
    "name", ["dataset", "splits_final", "dataset_fingerprint", "..", ".hidden"]
)
def test_names_of_nnunets_own_files_are_rejected(plan: Planner, name: str) -> None:
    with pytest.raises(UserError, match="plans name"):
        plan.again("MAGUNet", plans_name=name)


def test_a_memory_target_too_small_for_any_patch(plan: Planner) -> None:
    with pytest.raises(UserError, match=r"--gpu-memory 1e-09: too little"):
        plan.again("ModularUNet", plans_name="Nothing", gpu_memory=1e-9)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"recipe": "papers"}, "--recipe papers: allowed: native, paper, printed"),
        ({"encoder": "resnet"}, "--encoder resnet: allowed: plain, residual"),
        ({"encoder": ""}, "--encoder : allowed: plain, residual"),
    ],
)
def test_an_unknown_recipe_or_encoder_is_an_error(option: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=f"^{words}$"):
        planning.plan(Request("1", "MAGUNet", **option))
