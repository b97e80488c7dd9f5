"""Differences between trainings, from facts and from plans."""

import pytest

from nnunet_plugins.comparison.fairness import UNFAIR, differences
from nnunet_plugins.model_facts import facts_of_plans

FACTS = {
    "dataset": "Dataset660_SIJ",
    "splits": {"fold_0": ["a", "b"]},
    "epochs": 300,
    "iterations_per_epoch": 250,
    "batch_size": 2,
    "patch_size": [48, 96, 96],
    "spacing": [3.0, 0.5, 0.5],
    "finished": True,
    "initial_weights": "random",
    "network": "ModularUNet",
}
PLANS = {
    "dataset_name": "Dataset660_SIJ",
    "plans_name": "P",
    "configurations": {
        "3d_fullres": {
            "batch_size": 2,
            "patch_size": [48, 96, 96],
            "spacing": [3.0, 0.5, 0.5],
            "normalization_schemes": ["CTNormalization"],
            "architecture": {"network_class_name": "nnunet_plugins.networks.ModularUNet"},
            "training": {"epochs": 300, "optimizer": "Adam"},
        },
        "3d_fullres_da": {
            "inherits_from": "3d_fullres",
            "batch_size": 4,
            "architecture": {"network_class_name": "nnunet_plugins.networks.MAGUNet"},
        },
    },
}


def test_equal_trainings_are_fair():
    assert differences(FACTS, dict(FACTS)) == []


@pytest.mark.parametrize("fact", list(UNFAIR))
def test_each_of_these_facts_makes_it_unfair(fact):
    (found,) = differences(FACTS, FACTS | {fact: "other"})
    assert (found.fact, found.severity, found.other) == (fact, "unfair", "other")


def test_another_network_is_only_noted():
    (found,) = differences(FACTS, FACTS | {"network": "MAGUNet"})
    assert (found.fact, found.severity) == ("network", "note")


@pytest.mark.parametrize("epochs", [None, "absent"])
def test_unrecorded_facts_are_reported(epochs):
    other = dict(FACTS)
    other.pop("epochs")
    if epochs is None:
        other["epochs"] = None
    (found,) = differences(FACTS, other)
    assert (found.fact, found.severity) == ("epochs", "not recorded")


def test_the_most_severe_comes_first():
    found = differences(FACTS, FACTS | {"network": "X", "spacing": None, "epochs": 50})
    assert [one.severity for one in found] == ["unfair", "note", "not recorded"]
    assert str(found[0]) == "epochs 50 against 300 (another training budget)"


def test_a_patch_is_readable():
    (found,) = differences(FACTS, FACTS | {"patch_size": [32, 64, 64]})
    assert str(found) == "patch size 32 x 64 x 64 against 48 x 96 x 96 (another field of view)"


def test_a_configuration_inherits():
    facts = facts_of_plans(PLANS, "3d_fullres_da")
    assert (facts["network"], facts["batch_size"]) == ("MAGUNet", 4)
    assert (facts["patch_size"], facts["epochs"], facts["optimizer"]) == ([48, 96, 96], 300, "Adam")
    found = differences(facts_of_plans(PLANS, "3d_fullres"), facts)
    assert {one.fact for one in found if one.severity == "unfair"} == {"batch_size"}


def test_plans_without_the_configuration_have_no_facts():
    assert facts_of_plans(PLANS, "2d") == {}
    circle = {"configurations": {"a": {"inherits_from": "b"}, "b": {"inherits_from": "a"}}}
    assert facts_of_plans(circle, "a") == {}
