"""The table of `plan --recipe paper`: what the plans hold in words, and a reason for every difference."""

from __future__ import annotations

import copy
import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins.papers.library import PAPERS, RECIPES, proposed_topology
from nnunet_plugins.planners.folds import training_cases
from nnunet_plugins.planners.plan_words import in_words
from nnunet_plugins.planners.planning import Request
from nnunet_plugins.planners.recipe_table import Line, recipe_lines, table_of
from nnunet_plugins.text_table import WIDTH, wrapped

ROOT = Path(__file__).parents[3]
CT = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "sacrum": 1},
    "numTraining": 10,
    "nnunet_plugins": {"window": None, "steps": [{"step": "DropEmptySlices"}]},
}


def plans_of(network: str = "MAGUNet", **entries: Any) -> dict[str, Any]:
    """Plans as the recipe makes them, with ``entries`` of the paper's configuration changed."""
    recipe, topology = RECIPES[network], proposed_topology(network)
    assert topology is not None
    plan = {
        "patch_size": list(recipe.patch),
        "spacing": [1.0, 1.4, 1.4][-recipe.rank :],
        "batch_size": recipe.batch_size,
        "median_image_size_in_voxels": [150.0, 256.0, 256.0][-recipe.rank :],
        "normalization_schemes": ["CTNormalization"],
        "resampling_fn_data_kwargs": {"order": 3},
        "resampling_fn_seg_kwargs": {"order": 1},
        "architecture": topology.architecture(),
        "training": recipe.procedure(),
    }
    window = {"percentile_00_5": -200.0, "percentile_99_5": 1200.0, "mean": -200.0, "std": 1400.0}
    return {
        "configurations": {topology.configuration: plan | entries},
        "foreground_intensity_properties_per_channel": {"0": window},
    }


def lines(network: str, plans: dict[str, Any], dataset: dict[str, Any] = CT, **more: Any) -> Any:
    topology = proposed_topology(network)
    assert topology is not None
    options = {"cases": 8, "changed": {}, **more}
    found = recipe_lines(RECIPES[network], topology, plans, dataset, **options)
    return {line.item: line for line in found}


@pytest.fixture(scope="module")
def mag() -> dict[str, Line]:
    return lines("MAGUNet", plans_of())


def test_what_is_the_papers_has_no_reason_and_what_is_not_has_one(mag: dict[str, Line]) -> None:
    same = {item for item, line in mag.items() if line.paper == line.here}
    assert {"patch", "slices", "loss", "optimizer", "batch", "epochs", "steps per epoch"} <= same
    for item in same - {"steps per epoch", "network"}:
        assert mag[item].reason == ""
    for item in set(mag) - same - {"network"}:  # of the same size, under another name
        assert mag[item].reason not in ("", "set by an option or a preset"), item


def test_steps_name_the_pass_over_the_users_own_cases(mag: dict[str, Line]) -> None:
    assert mag["steps per epoch"] == Line(
        "steps per epoch",
        "49",
        "49",
        "one pass over the paper's 49 cases; over yours: --iterations 8 (8 cases)",
    )
    more = lines("ASPPUNet", plans_of("ASPPUNet"), cases=10)["steps per epoch"]
    assert more.reason.endswith("over yours: --iterations 60 (10 cases)")


@pytest.mark.parametrize(
    ("item", "training", "here"),
    [
        ("epochs", {"epochs": 5}, "5"),
        ("steps per epoch", {"iterations_per_epoch": 7}, "7"),
        ("loss", {"loss": {"dice": 2, "focal": 1, "bce": 0}}, "2 Dice + focal"),
        ("optimizer", {"optimizer": "SGD"}, "SGD, weight decay 0.0001, momentum 0.99"),
        ("learning rate", {"lr_schedule": "poly"}, "0.0001, polynomial decay"),
        ("augmentation", {"augmentation": "nnunet"}, "nnU-Net's"),
        ("sampling", {"oversample_foreground": 0.33}, "at random, 33% around foreground"),
        ("prediction", {"prediction_mirror_axes": [0, 1]}, "mean over mirror images along axes 0, 1"),
    ],
)  # fmt: skip
def test_a_changed_entry_is_named_as_such(item: str, training: dict[str, Any], here: str) -> None:
    plans = plans_of(training=RECIPES["MAGUNet"].procedure() | training)
    found = lines("MAGUNet", plans)[item]
    assert (found.here, found.reason) == (here, "set by an option or a preset")


def test_another_batch_changes_the_steps() -> None:
    plans = plans_of(batch_size=2, training=RECIPES["MAGUNet"].procedure(2))
    found = lines("MAGUNet", plans, batch_size=2)
    for item, here in (("batch", "2"), ("steps per epoch", "25")):
        assert (found[item].here, found[item].reason) == (here, "set by an option or a preset")


def test_slices_that_convert_has_not_removed_are_named_with_the_option() -> None:
    dataset = copy.deepcopy(CT)
    dataset["nnunet_plugins"] = {}
    found = lines("MAGUNet", plans_of(), dataset)["slices"]
    assert found.here == "all slices"
    assert found.reason.endswith("--drop-empty-slices")


@pytest.mark.parametrize(
    ("scheme", "window", "here", "reason"),
    [
        ("CTNormalization", None, "window -200 to 1200, mapped to 0 to 1",
         "what the window is mapped to is not printed"),
        ("NoNormalization", [-200.0, 1200.0], "window -200 to 1200, mapped to 0 to 1 (by convert)",
         "as the paper's window; what it is mapped to is not printed"),
        ("NoNormalization", [-100.0, 900.0], "window -100 to 900, mapped to 0 to 1 (by convert)",
         "channel CT: a window in HU requires images of channel CT, which convert has not windowed"),
        ("ZScoreNormalization", None, "z-score of each image",
         "channel CT: a window in HU requires images of channel CT, which convert has not windowed"),
    ],
)  # fmt: skip
def test_the_window_is_nnunets_or_that_of_convert(
    scheme: str, window: Any, here: str, reason: str
) -> None:
    dataset = copy.deepcopy(CT)
    dataset["nnunet_plugins"]["window"] = window
    found = lines("MAGUNet", plans_of(normalization_schemes=[scheme]), dataset)["intensities"]
    assert (found.here, found.reason) == (here, reason)


def test_the_second_target_follows_from_patch_and_strides() -> None:
    plans = plans_of("InceptionDualUNet", normalization_schemes=["RescaleTo01Normalization"])
    plan = plans["configurations"]["2d"]
    assert in_words(plan, plans, CT)["second target"] == "8 x 8"
    plan["patch_size"] = [256, 192]
    assert in_words(plan, plans, CT)["second target"] == "16 x 12"


def test_of_a_preset_and_of_a_patch_that_fits_less_memory(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps(CT))
    plans = plans_of(patch_size=[32, 192, 192])
    small = Request("1", "MAGUNet", recipe="paper", gpu_memory=4.0)
    found = {line.item: line for line in table_of(small, plans, tmp_path)}
    assert found["patch"].reason == "the paper's does not fit --gpu-memory 4"
    assert found["matrix"].reason.startswith("nnU-Net resamples")
    preset = replace(small, gpu_memory=None, preset="cpu")
    found = {line.item: line for line in table_of(preset, plans, tmp_path)}
    for item in ("network", "matrix", "spacing", "patch"):
        assert found[item].reason == "preset cpu sets the size"


def test_without_the_papers_configuration_there_is_no_table(tmp_path: Path) -> None:
    plans = {"configurations": {"2d": {}}}
    assert table_of(Request("1", "MAGUNet", recipe="paper"), plans, tmp_path) == []


@pytest.mark.parametrize(("cases", "expected"), [(3, 3), (5, 4), (10, 8), (11, 8), (14, 11)])
def test_training_cases_of_the_first_fold(tmp_path: Path, cases: int, expected: int) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"numTraining": cases}))
    assert training_cases(tmp_path) == expected
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]))
    assert training_cases(tmp_path) == 2


def test_the_table_fits_the_terminal(mag: dict[str, Line]) -> None:
    from nnunet_plugins.commands.plan import _LIMITS

    text = wrapped([("item", "paper", "here", "reason"), *mag.values()], _LIMITS)
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The script of the page; it plans each recipe once."""
    found = runpy.run_path(str(ROOT / "docs" / "make_recipes.py"))
    names, known = found["page"].__globals__, {}

    def lines_of(paper: Any, recipe: Any) -> Any:
        key = (recipe.key, recipe.batch_size)
        if key not in known:
            known[key] = found["lines_of"](paper, recipe)
        return known[key]

    names["lines_of"] = lines_of
    return {**found, "lines_of": lines_of}


@pytest.mark.integration
@pytest.mark.parametrize("paper", PAPERS, ids=lambda p: p.number)
def test_for_the_papers_own_data_every_difference_has_a_reason(
    paper: Any, script: dict[str, Any]
) -> None:
    for recipe in filter(None, (paper.recipe, paper.recipe.printed)):
        found = {line.item: line for line in script["lines_of"](paper, recipe)}
        for line in found.values():
            assert line.reason != "set by an option or a preset"
            same = line.paper == line.here or line.item == "network"  # under another name
            assert line.reason or same, line
        printed = recipe.patch if recipe.patch != (464, 880) else (880, 464)
        assert found["patch"].here == " x ".join(map(str, printed))
        assert found["batch"].here == str(recipe.batch_size)
        if recipe.matrix:
            size = " x ".join(map(str, recipe.matrix))
            assert found["matrix"].here == f"{size} in the median image"


@pytest.mark.integration
def test_the_page_of_the_documentation_is_current(script: dict[str, Any]) -> None:
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), (
        "run: python docs/make_recipes.py"
    )
