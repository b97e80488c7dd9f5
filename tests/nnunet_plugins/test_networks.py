"""Public names, and the network built from plans: theirs if it is ours, otherwise the trainer's."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
import torch

import architectures
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import HOSTS, NETWORKS, build, find, public_name
from tests.contract.making import OURS, PLAIN, RESIDUAL, architecture


@pytest.mark.parametrize("name", NETWORKS)
def test_a_public_name_is_the_name_of_its_class(name):
    module, _, last = public_name(name).rpartition(".")
    assert module == "nnunet_plugins.networks"
    assert getattr(import_module(module), last) is find(name) is NETWORKS[name]
    assert NETWORKS[name].__name__ == name


@pytest.mark.parametrize("ask", [find, public_name])
@pytest.mark.parametrize("name", ["UNett", "magunet", "", "build", "PlainConvUNet"])
def test_an_unknown_network_is_named_with_the_known_ones(ask, name):
    with pytest.raises(UserError, match=rf"no network called '{name}'; known, the nearest first: "):
        ask(name)


def test_another_package_called_architectures_is_rejected(monkeypatch):
    monkeypatch.setattr(architectures, "__owner__", "somebody else")
    monkeypatch.delitem(sys.modules, "nnunet_plugins.networks")
    with pytest.raises(ImportError, match=r"'architectures' at .*__init__\.py is not that of"):
        import_module("nnunet_plugins.networks")


#: Networks that use the topology of plans unchanged; the others have their own tests.
AS_PLANNED = (
    "ModularUNet",
    "SEUNet",
    "MAGUNet",
    "ASPPUNet",
    "ResUNet",
    "AttentionUNet",
    "TransUNet",
)


def entry_for(name):
    """Plans that name one of our networks, of a rank that it supports, and their patch."""
    rank = max(NETWORKS[name].ranks)
    return architecture(OURS.format(name), rank), [32] * rank


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("default", AS_PLANNED)
@pytest.mark.parametrize("planned", [PLAIN, RESIDUAL, "any.where.PlainConvUNet"])
def test_plans_of_nnunet_get_the_default_in_their_topology(planned, default, rank):
    entry = architecture(planned, rank)
    if planned == RESIDUAL:
        entry["arch_kwargs"]["n_conv_per_stage_decoder"] = [2, 1]
    made = build(default, entry, 2, 5, True)
    assert type(made) is NETWORKS[default]
    assert made.residual == (planned == RESIDUAL)
    assert made.encoder.output_channels == [4, 8, 16]
    assert made.encoder.strides == entry["arch_kwargs"]["strides"]
    assert made.encoder.kernel_sizes == entry["arch_kwargs"]["kernel_sizes"]
    outputs = made(torch.randn(1, 2, *[8] * rank))
    assert [tuple(y.shape) for y in outputs] == [
        (1, 5, *[8] * rank),
        (1, 5, *([8, 4, 4] if rank == 3 else [4, 4])),
    ]


@pytest.mark.parametrize("default", ["ModularUNet", "MAGUNet", "UNETR"])
@pytest.mark.parametrize("name", NETWORKS)
def test_our_network_in_the_plans_takes_precedence_over_the_trainer(name, default):
    entry, patch = entry_for(name)
    with torch.device("meta"):
        assert type(build(default, entry, 1, 3, False, patch)) is NETWORKS[name]


def test_unsupported_plans_are_reported_before_training():
    with pytest.raises(UserError, match=r"DeepLabV3: the plan is 3D; .* use the 2d configuration"):
        build("DeepLabV3", architecture(), 1, 3, True, [16] * 3)
    with pytest.raises(UserError, match=r"MAGUNet: a patch of \(4, 2, 16\) voxels is too small"):
        build("MAGUNet", architecture(), 1, 3, True, [4, 2, 16])
    with pytest.raises(UserError, match="UNETR: input_size is None"):
        build("UNETR", architecture(), 1, 3, True)


def test_the_patch_size_reaches_networks_that_require_it_unless_the_plans_set_it():
    entry = architecture(OURS.format("ASPPUNet"))
    small, planned = build("ASPPUNet", entry, 1, 3, True, [16] * 3), [64] * 3
    entry["arch_kwargs"]["input_size"] = planned
    large = build("ASPPUNet", entry, 1, 3, True, planned)
    widest = [net.stage_blocks["1"].dilations[-1] for net in (small, large)]
    assert widest == [[8, 4, 4], [18, 16, 16]]


def test_arguments_of_a_row_reach_the_network():
    entry = architecture(OURS.format("MAGUNet"))
    entry["arch_kwargs"] |= {"stem": "plain", "bottleneck": "plain", "skip": "plain"}
    made = build("SEUNet", entry, 1, 3, False)
    baseline = build("ModularUNet", architecture(), 1, 3, False)
    assert list(made.state_dict()) == list(baseline.state_dict())


@pytest.mark.parametrize("deep", [True, False])
def test_deep_supervision_is_the_callers_choice(deep):
    made = build("MAGUNet", architecture(), 1, 3, deep)
    assert made.decoder.deep_supervision is deep
    assert isinstance(made(torch.randn(1, 1, 8, 8, 8)), list) is deep


@pytest.mark.parametrize("default", ["ModularUNet", "UNETR"])
@pytest.mark.parametrize(
    "planned", ["their.networks.Primus", "architectures.mag_unet.MAGUNet", "MAGUNet", "PlainConv"]
)
def test_a_foreign_network_is_an_error_with_both_fixes(planned, default):
    with pytest.raises(UserError) as caught:
        build(default, architecture(planned), 1, 3, True)
    said = str(caught.value)
    assert f"network_class_name is {planned}; {default} can only replace" in said
    assert all(host in said for host in HOSTS)
    assert "nnUNetTrainer" in said
    assert f"nnunet-plugins plan --network {default}" in said


def test_a_removed_network_is_an_error_not_the_default():
    with pytest.raises(UserError, match="no network called 'OldUNet'; known, the nearest first: "):
        build("MAGUNet", architecture(OURS.format("OldUNet")), 1, 3, True)


def test_building_does_not_change_the_plans():
    entry, same = architecture(), architecture()
    build("MAGUNet", entry, 1, 3, True)
    assert entry == same


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"botleneck": "se"},
            r"SEUNet: no argument 'botleneck' in arch_kwargs; .*first: bottleneck, ",
        ),
        ({"bottleneck_kwargs": {"reducton": 2}}, r"plans: SEUNet: .*'reducton'"),
        ({"strides": [[1, 1, 1], [0, 2, 2], [2, 2, 2]]}, r"strides of stage 1 is \[0, 2, 2\]"),
        ({"skip_kwargs": {"groups": 4}}, r"skip, which is plain and takes nothing"),
        ({"stage_at": [1]}, r"stage, which is plain and takes nothing"),
        ({"stage": "aspp", "stage_at": 3}, r"plans: SEUNet: "),
        ({"deep_levels": "1"}, r"plans: SEUNet: "),
    ],
)
def test_a_mistake_in_arch_kwargs_is_one_clear_line(changes, said):
    entry = architecture(OURS.format("SEUNet"))
    entry["arch_kwargs"] |= changes
    with pytest.raises(UserError, match=said):
        build("SEUNet", entry, 1, 3, True, [16] * 3)
