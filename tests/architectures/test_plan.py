from __future__ import annotations

import pytest
from torch import nn

from architectures.aspp_unet import ASPPUNet
from architectures.attention_unet_25d import AttentionUNet25D
from architectures.deeplab import DeepLabV3
from architectures.instance_norm import without_view
from architectures.layers import Layers
from architectures.modular_unet import ModularUNet
from architectures.plan import Plan, argument_names
from architectures.segnet import SegNet
from architectures.unetr import UNETR
from architectures.vnet import VNet

from .conftest import arguments

#: One network for each constructor that reads a plan.
READERS = [ModularUNet, AttentionUNet25D, SegNet, DeepLabV3, UNETR]


@pytest.mark.parametrize("network", READERS)
def test_an_unknown_argument_is_named_with_the_nearest_known_ones(network: type[nn.Module]) -> None:
    who = network.__name__
    with pytest.raises(
        TypeError, match=f"{who}: no argument 'kernel_size' in arch_kwargs; .*first: kernel_sizes, "
    ):
        network(**arguments(2, kernel_size=3))


@pytest.mark.parametrize("network", READERS)
def test_missing_arguments_are_named_together(network: type[nn.Module]) -> None:
    given = arguments(2)
    del given["strides"], given["num_classes"]
    with pytest.raises(TypeError, match=f"{network.__name__}: .*missing: num_classes, strides$"):
        network(**given)


@pytest.mark.parametrize("network", [ModularUNet, AttentionUNet25D])
def test_a_u_net_requires_the_depth_of_its_decoder(network: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match="n_conv_per_stage_decoder is missing"):
        network(**arguments(2, n_conv_per_stage_decoder=None))


def test_arguments_are_the_plans_and_those_of_the_network_and_its_bases() -> None:
    plan = argument_names(SegNet) - {"convs_per_stage"}
    assert {"conv_op", "n_stages", "deep_supervision", "nonlin_first"} <= plan
    assert argument_names(UNETR) - plan == {"input_size", "hidden_size", "mlp_dim", "num_heads"}
    assert argument_names(ASPPUNet) == argument_names(ModularUNet)
    assert argument_names(VNet) == plan | {"dropout"}


def test_layers_of_a_plan_are_its_own() -> None:
    given = arguments(3)
    plan = Plan.read(ModularUNet, given)
    assert plan.rank == 3
    given["norm_op"] = without_view(given["norm_op"])
    assert plan.arguments() == {name: given[name] for name in Layers(conv_op=nn.Conv3d).arguments()}
    bare = plan.without_activation()
    assert (bare.dropout_op, bare.nonlin, bare.norm_op) == (None, None, plan.norm_op)
    assert isinstance(bare.activation(), nn.Identity)
