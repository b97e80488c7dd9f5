"""How nnU-Net reads plans: networks by dotted name, configurations with entries unknown to it."""

from __future__ import annotations

import pydoc

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.networks import NETWORKS, public_name

from .making import OURS, PLAIN, architecture, plans


def network(entry, deep_supervision=None):
    return get_network_from_plans(
        entry["network_class_name"],
        entry["arch_kwargs"],
        entry["_kw_requires_import"],
        1,
        3,
        allow_init=True,
        deep_supervision=deep_supervision,
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_public_name_is_found_from_anywhere(name):
    # The stock nnUNetTrainer also trains our plans, without any environment variable.
    assert public_name(name) == OURS.format(name)
    assert pydoc.locate(public_name(name)) is NETWORKS[name]


@pytest.mark.parametrize("name", [PLAIN, *NETWORKS])
@pytest.mark.parametrize("deep", [True, False])
def test_deep_supervision_reaches_the_network(name, deep):
    cls = NETWORKS.get(name)
    rank = 3 if cls is None or 3 in cls.ranks else 2
    entry = architecture(PLAIN if cls is None else OURS.format(name), rank)
    if cls is not None and cls.takes_input_size:
        entry["arch_kwargs"]["input_size"] = [16] * rank
    with torch.device("meta"):
        made = network(entry, deep)
    assert made.decoder.deep_supervision is deep


def test_a_name_that_is_not_found_falls_back_to_a_class_of_the_same_last_name():
    # Our unique class names protect against this fallback.
    with pytest.warns(UserWarning, match=r"Network class gone\.PlainConvUNet not found"):
        made = network(architecture("gone.PlainConvUNet"), False)
    assert type(made) is PlainConvUNet


@pytest.mark.parametrize("name", NETWORKS)
def test_our_network_that_is_not_found_is_an_error(name):
    with (
        pytest.warns(UserWarning, match="not found"),
        pytest.raises(ImportError, match="could not be found"),
    ):
        network(architecture(f"gone.{name}"), False)


def row(name="row", **entries):
    """The configuration ``name``, which inherits from a 3d_fullres with a training entry."""
    entry = plans(**{name: {"inherits_from": "3d_fullres", **entries}})
    entry["configurations"]["3d_fullres"]["training"] = {"epochs": 3, "optimizer": "Adam"}
    return PlansManager(entry).get_configuration(name).configuration


def test_an_unknown_entry_is_inherited():
    # read_procedure reads its 'training' entry from here.
    assert row()["training"] == {"epochs": 3, "optimizer": "Adam"}
    assert row()["patch_size"] == [8, 8, 8]


@pytest.mark.parametrize(
    ("key", "value"),
    [("training", {"epochs": 9}), ("architecture", architecture(OURS.format("SEUNet")))],
)
def test_an_entry_of_a_child_replaces_the_parents_entirely(key, value):
    # An ablation row is a configuration: keys that it does not repeat are dropped, not merged.
    assert row(**{key: value})[key] == value
