"""Every key of the training entry: allowed values, rejected values and their error messages."""

from __future__ import annotations

import math
import re

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.early_stopping import is_over
from nnunet_plugins.training.procedure import KEYS, read_procedure

COUNT = ([1, 2, 1000], [0, -1, 1.0, 2.5, "3", None, [1]])
SHARE = ([0, 1, 0.0, 0.33, 1.0], [-0.1, 1.01, "0.5", None])
AXES = (
    [[], [0], [1, 0], [0, 1, 2], (0, 2)],
    [0, "01", None, [3], [-1], [0.0], ["0"], [[0]], [0, 0], {0: 1}],
)
LIMIT = [math.nan, math.inf, -math.inf]  # what json.loads makes of NaN and Infinity

#: Key -> (values that pass, values that do not).
VALUES = {
    "epochs": COUNT,
    "iterations_per_epoch": COUNT,
    "validation_iterations_per_epoch": COUNT,
    "save_every": COUNT,
    "seed": ([0, 1, 2**32 - 1], [-1, 2**32, 1.0, "1", None, *LIMIT]),
    "initial_lr": ([1e-9, 0.01, 1], [1e300, 0, 0.0, -1, "0.01", None, *LIMIT]),
    "weight_decay": ([0, 0.0, 3e-5, 1], [-1e-9, "0", None, *LIMIT]),
    "oversample_foreground": (SHARE[0], [*SHARE[1], *LIMIT]),
    "optimizer": (["SGD", "Adam", "AdamW"], ["sgd", "adam", "Lion", "", None, 1, ["SGD"]]),
    "lr_schedule": (["poly", "constant"], ["cosine", "Poly", "steps", "", None, 0]),
    "lr_step": COUNT,
    "lr_decay": ([1e-9, 0.5, 0.99, 1], [0, -0.5, 1.01, "0.99", None, [0.99], *LIMIT]),
    "momentum": ([0, 0.0, 0.9, 0.99], [1, 1.0, 1.5, -0.1, "0.9", None, *LIMIT]),
    "augmentation": (
        ["nnunet", "none", {"flip": {"p": 0.5}}, {"affine": {"p": 0.1, "degrees": 3}}],
        ["None", "nnU-Net", "", None, {}, {"flip": {}}, ["flip"]],  # more in test_augmentation.py
    ),
    "deep_supervision": ([True, False], [0, 1, "true", None]),
    "mirror_axes": AXES,
    "prediction_mirror_axes": AXES,
    "loss": (
        [
            {"dice": 1}, {"ce": 0.5}, {"dice": 1.0, "ce": 0.0}, {"dice": 0, "ce": 2}, {"bce": 1},
            {"focal": 1}, {"focal": {"weight": 1}}, {"dice": {"weight": 1}, "ce": 1},
            {"dice": {"weight": 1, "background": True}}, {"dice": {"weight": 1, "background": False}},
            {"focal": {"weight": 2.5, "alpha": 0.25, "gamma": 1}, "dice": 0},
            {"ce": {"weight": 1, "classes": {"disc": 2, "bone": 0}}},
            {"dice": {"weight": 1, "classes": {"disc": 2}}}, {"focal": {"weight": 1, "classes": {"disc": 2}}},
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
            {"dice": {"background": True}}, {"dice": {"weight": 1, "background": 1}},
            {"ce": {"weight": 1, "background": True}}, {"ce": [1]},
            {"ce": {"weight": 1, "classes": {}}}, {"ce": {"weight": 1, "classes": {"disc": -1}}},
            {"dice": {"weight": 1, "classes": {"disc": -1}}}, {"ce": {"weight": 1, "classes": [1, 2]}},
            {"focal": {"weight": 1, "classes": {"disc": math.nan}}}, {"ce": 1e300}, {"dice": {"weight": 1e7}},
            {"ce": {"weight": 1, "classes": {"disc": 1e300}}},
            {"ce": {"weight": {"weight": 1}}}, {"focal": {"weight": math.nan}},
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
    "voxel_weights": (
        [
            {"distance": 2, "weight": 3}, {"distance": 0.5, "weight": 0.5}, {"map": True},
            {"map": True, "distance": 2, "weight": 3},
        ],
        [
            {}, {"distance": 2}, {"distance": 0, "weight": 1}, {"distance": 2, "weight": -1}, 2, None,
            {"distance": 2, "weight": 3, "sigma": 1}, {"distance": math.inf, "weight": 1}, {"map": False},
            {"map": 1}, {"map": "weightsTr"}, {"map": True, "distance": 2}, {"maps": True},
            {"distance": 1, "weight": 1e300},
        ],
    ),
    "accumulate": COUNT,
    "early_stopping": (
        [{"patience": 1}, {"patience": 50, "min_epochs": 200}],
        [
            {}, {"min_epochs": 5}, {"patience": 0}, {"patience": 5, "metric": "loss"}, 50, None,
            {"patience": 2.5}, {"patience": 5, "min_epochs": "5"},
        ],
    ),
    "pretrained": (
        [
            {"source": "model.zip"}, {"source": "m", "checkpoint": "fold_0/checkpoint_best.pth"},
            {"source": "m", "what": "encoder", "freeze_epochs": 5, "lr_factor": 0.1},
            {"source": "m", "what": "all", "sha256": 64 * "a", "trusted": 64 * "0"},
        ],
        [
            {}, {"what": "all"}, "model.zip", {"source": ""}, {"source": 1}, None,
            {"source": "m", "what": "decoder"}, {"source": "m", "freeze_epochs": -1},
            {"source": "m", "lr_factor": 0}, {"source": "m", "lr_factor": 2}, {"source": "m", "fold": 0},
            {"source": "m", "sha256": "abc"}, {"source": "m", "what": "all", "freeze_epochs": 1},
            {"source": "m", "what": "all", "lr_factor": 0.5},
        ],
    ),
}  # fmt: skip
GOOD = [(key, value) for key, (good, _) in VALUES.items() for value in good]
BAD = [(key, value) for key, (_, bad) in VALUES.items() for value in bad]


def test_every_key_is_covered():
    assert set(VALUES) == set(KEYS)


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_an_allowed_value_is_returned_unchanged(key, value):
    assert read_procedure({"training": {key: value}}) == {key: value}


@pytest.mark.parametrize(("key", "value"), BAD)
def test_an_error_names_key_value_and_what_is_allowed(key, value):
    message = f"training.{key} is {value!r}; allowed: {KEYS[key][1]}"
    with pytest.raises(UserError, match=re.escape(message)):
        read_procedure({"training": {key: value}})


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"deep_supervision"}))
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_not_a_number(key, value):
    for wrong in (value, [value], {"dice": value}, {"auxiliary": value}):
        with pytest.raises(UserError, match=rf"training\.{key} is "):
            read_procedure({"training": {key: wrong}})


def test_all_unknown_keys_are_named_with_the_known_ones():
    entry = {"epoch": 3, "epochs": 3, "Optimizer": "SGD"}
    with pytest.raises(UserError, match=r"unknown keys 'Optimizer', 'epoch'; known: epochs, .*sav"):
        read_procedure({"training": entry})


@pytest.mark.parametrize("entry", [None, [], "epochs", 3])
def test_the_entry_must_be_an_object(entry):
    with pytest.raises(
        UserError, match=re.escape(f"training is {entry!r}; expected an object with keys")
    ):
        read_procedure({"training": entry})


def test_plans_of_nnunet_have_no_procedure():
    assert read_procedure({"patch_size": [8, 8]}) == {}


def test_the_result_is_a_copy():
    entry = {"epochs": 3}
    read_procedure({"training": entry})["epochs"] = 4
    assert entry == {"epochs": 3}


@pytest.mark.parametrize(
    ("schedule", "given", "missing"),
    [
        ("exponential", {}, "lr_decay: a factor"),
        ("step", {"lr_step": 3800}, "lr_decay: a factor"),
        ("step", {"lr_decay": 0.5}, "lr_step: a number of iterations"),
    ],
)
def test_a_schedule_requires_its_keys(schedule, given, missing):
    entry = {"lr_schedule": schedule, "momentum": 0.9, **given}
    with pytest.raises(UserError, match=rf"'{schedule}', which requires training\.{missing}"):
        read_procedure({"training": entry})
    entry |= {"lr_decay": 0.99, "lr_step": 10}
    assert read_procedure({"training": entry}) == entry


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("early_stopping", {"patience": 49}, "patience is 49"),
        ("early_stopping", {"patience": 5, "min_epochs": 50}, "min_epochs is 50"),
        ("pretrained", {"source": "m", "freeze_epochs": 51}, "freeze_epochs is 51"),
    ],
)
def test_epochs_that_are_never_reached_are_refused(key, value, part):
    with pytest.raises(UserError, match=rf"training\.{key}\.{part}, but there are 50 epochs"):
        read_procedure({"training": {"epochs": 50, key: value}})


def test_the_largest_patience_can_stop_a_training():
    training = {"epochs": 50, "early_stopping": {"patience": 48}}
    assert read_procedure({"training": training}) == training
    assert is_over([0.9] + [0.1] * 48, 48)  # before the last of 50 epochs


@pytest.mark.parametrize("augmentation", ["none", {"noise": {"p": 1, "std": [0, 1]}}])
def test_mirroring_without_a_flip_is_refused(augmentation):
    training = {"augmentation": augmentation, "mirror_axes": [0]}
    with pytest.raises(UserError, match=r"mirror_axes is \[0\], but .* mirrors nothing"):
        read_procedure({"training": training})
    read_procedure({"training": training | {"mirror_axes": []}})


@pytest.mark.parametrize("key", ["trainig", "Training", "trainings", "train"])
def test_an_entry_that_nothing_reads_is_refused(key):
    where = {"the configuration": ({key: {}}, {}), "the architecture": ({"architecture": {key: {}}}, {}),
             "the top level": ({}, {key: {}, "configurations": {}})}  # fmt: skip
    for place, (configuration, plans) in where.items():
        with pytest.raises(UserError, match=f"plans: {place} has the key '{key}'"):
            read_procedure({"training": {"epochs": 3}, **configuration}, plans)
    assert read_procedure({}, {"continue_training": True, "configurations": {}}) == {}
