"""Every key of the training entry: what passes, and what an error says."""

from __future__ import annotations

import json
import math
import re

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.planners.presets import PRESETS
from nnunet_plugins.procedure import KEYS, PAPER_BATCH_SIZE, PAPER_RECIPES, read_procedure

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
    "lr_schedule": (["poly", "constant"], ["cosine", "Poly", "", None, 0]),
    "augmentation": (["nnunet", "none"], ["None", "nnU-Net", "", None]),
    "deep_supervision": ([True, False], [0, 1, "true", None]),
    "mirror_axes": (
        [[], [0], [1, 0], [0, 1, 2], (0, 2)],
        [0, "01", None, [3], [-1], [0.0], ["0"], [[0]], [0, 0], {0: 1}],
    ),
    "loss": (
        [{"dice": 1}, {"ce": 0.5}, {"dice": 1.0, "ce": 0.0}, {"dice": 0, "ce": 2}],
        [
            {}, {"dice": 0}, {"dice": 0, "ce": 0.0}, {"dice": -1, "ce": 2}, {"dice": "1"},
            {"dice": 1, "focal": 1}, {"DICE": 1}, {"dice": math.nan}, {"ce": math.inf}, 1, "dice",
            ["dice"], None,
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
    for wrong in (value, [value], {"dice": value}):
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


RECIPES = PAPER_RECIPES | {f"preset {name}": preset.training for name, preset in PRESETS.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_and_presets_are_valid_and_survive_json(name):
    entry = json.loads(json.dumps(RECIPES[name]))
    assert entry
    assert read_procedure({"training": entry}) == RECIPES[name]


def test_a_recipe_is_of_a_network_that_there_is():
    assert set(PAPER_RECIPES) <= set(NETWORKS)
    assert PAPER_BATCH_SIZE >= 1


def test_the_papers_losses():
    # 000 trains on Dice alone, 001 on Dice and cross-entropy alike.
    assert PAPER_RECIPES["SEUNet"]["loss"] == {"dice": 1.0, "ce": 0.0}
    assert PAPER_RECIPES["MAGUNet"]["loss"] == {"dice": 1.0, "ce": 1.0}
