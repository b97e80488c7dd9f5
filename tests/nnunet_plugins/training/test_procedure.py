"""Every key of the training entry: what passes, and what an error says."""

from __future__ import annotations

import json
import math
import re

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.planners.presets import PRESETS
from nnunet_plugins.training.procedure import KEYS, PAPER_RECIPES, read_procedure

COUNT = ([1, 2, 1000], [0, -1, 1.0, 2.5, "3", None, [1]])
SHARE = ([0, 1, 0.0, 0.33, 1.0], [-0.1, 1.01, "0.5", None])
LIMIT = [math.nan, math.inf, -math.inf]  # what json.loads makes of NaN and Infinity

#: Key -> (values that pass, values that do not).
VALUES = {
    "epochs": COUNT,
    "iterations_per_epoch": COUNT,
    "validation_iterations_per_epoch": COUNT,
    "save_every": COUNT,
    "initial_lr": ([1e-9, 0.01, 1], [0, 0.0, -1, "0.01", None, *LIMIT]),
    "weight_decay": ([0, 0.0, 3e-5, 1], [-1e-9, "0", None, *LIMIT]),
    "oversample_foreground": (SHARE[0], [*SHARE[1], *LIMIT]),
    "optimizer": (["SGD", "Adam", "AdamW"], ["sgd", "adam", "Lion", "", None, 1, ["SGD"]]),
    "lr_schedule": (["poly", "constant"], ["cosine", "Poly", "step", "", None, 0]),
    "lr_decay": ([1e-9, 0.5, 0.99, 1], [0, -0.5, 1.01, "0.99", None, [0.99], *LIMIT]),
    "momentum": ([0, 0.0, 0.9, 0.99], [1, 1.0, 1.5, -0.1, "0.9", None, *LIMIT]),
    "augmentation": (["nnunet", "none"], ["None", "nnU-Net", "", None]),
    "deep_supervision": ([True, False], [0, 1, "true", None]),
    "mirror_axes": (
        [[], [0], [1, 0], [0, 1, 2], (0, 2)],
        [0, "01", None, [3], [-1], [0.0], ["0"], [[0]], [0, 0], {0: 1}],
    ),
    "loss": (
        [
            {"dice": 1}, {"ce": 0.5}, {"dice": 1.0, "ce": 0.0}, {"dice": 0, "ce": 2}, {"bce": 1},
            {"focal": 1}, {"focal": {"weight": 1}}, {"dice": {"weight": 1}, "ce": 1},
            {"focal": {"weight": 2.5, "alpha": 0.25, "gamma": 1}, "dice": 0},
            {"focal": {"weight": 0, "gamma": 2}, "dice": 1}, {"dice": 1, "ce": 1, "bce": 1, "focal": 1},
        ],
        [
            {}, {"dice": 0}, {"dice": 0, "ce": 0.0}, {"dice": -1, "ce": 2}, {"dice": "1"},
            {"dice": 1, "tversky": 1}, {"DICE": 1}, {"dice": math.nan}, {"ce": math.inf}, 1, "dice",
            ["dice"], None, {"focal": {}}, {"focal": {"weight": 0}}, {"focal": {"gamma": 2}},
            {"focal": {"weight": -1}, "dice": 1}, {"focal": {"weight": 1, "beta": 1}},
            {"focal": {"weight": 1, "alpha": 1.5}}, {"focal": {"weight": 1, "gamma": 0.5}},
            {"focal": {"weight": 1, "gamma": "2"}}, {"focal": {"weight": 1, "alpha": None}},
            {"focal": {"weight": 1, "gamma": True}}, {"dice": {"weight": 1, "gamma": 2}},
            {"ce": [1]}, {"ce": {"weight": {"weight": 1}}}, {"focal": {"weight": math.nan}},
        ],
    ),
    "output_weights": (
        [{"auxiliary": 1}, {"attention": 0.2}, {"auxiliary": 0.5, "attention": 1.0}],
        [
            {}, {"logits": 1}, {"auxiliary": 1, "logits": 1}, {"attention": 0}, {"attention": -0.2},
            {"auxiliary": "1"}, {"auxiliary": None}, {"auxiliary": math.nan}, ["attention"],
            "attention", 0.2, None, {"auxiliary": {"weight": 1}},
        ],
    ),
}  # fmt: skip
GOOD = [(key, value) for key, (good, _) in VALUES.items() for value in good]
BAD = [(key, value) for key, (_, bad) in VALUES.items() for value in bad]


def test_every_key_is_tried_here():
    assert set(VALUES) == set(KEYS)


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_an_allowed_value_passes_as_it_is(key, value):
    assert read_procedure({"training": {key: value}}) == {key: value}


@pytest.mark.parametrize(("key", "value"), BAD)
def test_an_error_names_key_value_and_what_is_allowed(key, value):
    said = f"training.{key} is {value!r}; allowed: {KEYS[key][1]}"
    with pytest.raises(UserError, match=re.escape(said)):
        read_procedure({"training": {key: value}})


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"deep_supervision"}))
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_number(key, value):
    for wrong in (value, [value], {"dice": value}, {"auxiliary": value}):
        with pytest.raises(UserError, match=rf"training\.{key} is "):
            read_procedure({"training": {key: wrong}})


def test_unknown_keys_are_all_named_with_the_known_ones():
    entry = {"epoch": 3, "epochs": 3, "Optimizer": "SGD"}
    with pytest.raises(UserError, match=r"unknown keys 'Optimizer', 'epoch'; known: epochs, .*sav"):
        read_procedure({"training": entry})


@pytest.mark.parametrize("entry", [None, [], "epochs", 3])
def test_the_entry_must_be_an_object(entry):
    with pytest.raises(UserError, match=re.escape(f"training is {entry!r}; an object with keys")):
        read_procedure({"training": entry})


def test_plans_of_nnunet_have_no_procedure():
    assert read_procedure({"patch_size": [8, 8]}) == {}


def test_what_is_read_is_the_callers_own():
    entry = {"epochs": 3}
    read_procedure({"training": entry})["epochs"] = 4
    assert entry == {"epochs": 3}


def test_an_exponential_schedule_needs_its_factor():
    with pytest.raises(UserError, match=r"'exponential', which needs training\.lr_decay: a factor"):
        read_procedure({"training": {"lr_schedule": "exponential", "momentum": 0.9}})
    entry = {"lr_schedule": "exponential", "lr_decay": 0.99}
    assert read_procedure({"training": entry}) == entry


@pytest.mark.parametrize("schedule", ["poly", "constant"])
def test_a_factor_may_stay_where_the_schedule_was_exchanged(schedule):
    # A preset or a user replaces single entries of a recipe.
    entry = PAPER_RECIPES["ASPPUNet"].training | {"lr_schedule": schedule, "optimizer": "Adam"}
    assert read_procedure({"training": entry})["lr_decay"] == 0.99


RECIPES = {name: recipe.training for name, recipe in PAPER_RECIPES.items()}
RECIPES |= {f"preset {n}": preset.training for n, preset in PRESETS.items() if preset.training}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_and_presets_are_valid_and_survive_json(name):
    entry = json.loads(json.dumps(RECIPES[name]))
    assert entry
    assert read_procedure({"training": entry}) == RECIPES[name]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", PAPER_RECIPES)
def test_a_preset_may_stand_over_any_recipe(name, preset):
    read_procedure({"training": PAPER_RECIPES[name].training | PRESETS[preset].training})


def test_a_recipe_is_of_a_network_that_there_is():
    assert set(PAPER_RECIPES) <= set(NETWORKS)


def test_the_papers_losses():
    # 000 trains on Dice alone, 001 on Dice and cross-entropy alike.
    assert PAPER_RECIPES["SEUNet"].training["loss"] == {"dice": 1.0, "ce": 0.0}
    assert PAPER_RECIPES["MAGUNet"].training["loss"] == {"dice": 1.0, "ce": 1.0}
    # 002 adds its attention loss at 0.2 to both, 003 trains both its outputs on Dice, 004 on cross-entropy.
    attention = PAPER_RECIPES["AttentionUNet25D"].training
    assert (attention["loss"], attention["output_weights"]) == (
        {"dice": 1.0, "ce": 1.0},
        {"attention": 0.2},
    )
    dual = PAPER_RECIPES["InceptionDualUNet"].training
    assert (dual["loss"], dual["output_weights"]) == ({"dice": 1.0}, {"auxiliary": 1.0})
    assert PAPER_RECIPES["ASPPUNet"].training["loss"] == {"ce": 1.0}


#: Network -> (epochs, batch size, optimizer, learning rate of the first epoch, that of the last epoch).
PRINTED = {
    "SEUNet": (300, 1, "Adam", 1e-4, 1e-4),
    "MAGUNet": (300, 1, "Adam", 1e-4, 1e-4),
    # 399 epochs of 39 iterations are 4.095 times 3,800.
    "AttentionUNet25D": (400, 2, "Adam", 5e-4, 5e-4 / 2**4.095),
    "InceptionDualUNet": (50, 2, "Adam", 1e-4, 1e-4),
    "ASPPUNet": (50, 2, "SGD", 0.01, 0.01 * 0.99**49),
}


@pytest.mark.parametrize("name", PAPER_RECIPES)
def test_the_papers_steps(name):
    recipe = PAPER_RECIPES[name]
    epochs, batch, optimizer, first, last = PRINTED[name]
    entry = recipe.training
    assert (entry["epochs"], recipe.batch_size, entry["optimizer"]) == (epochs, batch, optimizer)
    assert entry["lr_schedule"] in ("constant", "exponential")  # else nnU-Net's decay would run
    assert entry["initial_lr"] == first
    decay = entry.get("lr_decay", 1.0)
    assert first * decay ** (epochs - 1) == pytest.approx(last, rel=1e-3)
    assert "weight_decay" in entry
    if optimizer == "SGD":
        assert entry["momentum"] == 0  # or nnU-Net's 0.99 would step a hundred times as far
    assert recipe.source[:3] in ("000", "001", "002", "003", "004")
