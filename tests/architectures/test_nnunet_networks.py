"""nnU-Net's networks under our names are its classes: the same weights give the same outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet

from architectures.nnunet_networks import ResEncL, ResEncM, ResEncXL, nnUNetPlain

from .conftest import arguments

OWN = {
    nnUNetPlain: PlainConvUNet,
    ResEncM: ResidualEncoderUNet,
    ResEncL: ResidualEncoderUNet,
    ResEncXL: ResidualEncoderUNet,
}


@pytest.mark.parametrize("network", OWN)
def test_weights_and_outputs_are_those_of_nnunets_class(network: Any, rank: int) -> None:
    kwargs = arguments(rank, residual=network is not nnUNetPlain)
    own, ours = OWN[network](**kwargs).eval(), network(**kwargs).eval()
    assert isinstance(ours, OWN[network])
    assert network.forward is OWN[network].forward
    assert network.initialize is OWN[network].initialize
    ours.load_state_dict(own.state_dict())  # strict: the same keys and shapes
    x = torch.randn(1, 2, 8, 16, 16) if rank == 3 else torch.randn(1, 2, 16, 16)
    for a, b in zip(own(x), ours(x), strict=True):
        assert torch.equal(a, b)


def test_plans_of_the_other_kind_get_nnunets_depths(rank: int) -> None:
    plain = nnUNetPlain(**arguments(rank, residual=True, n_conv_per_stage_decoder=[1, 1]))
    assert plain.topology.depths == [2, 2, 2]
    assert [len(stage.convs) for stage in plain.decoder.stages] == [2, 2]
    residual = ResEncM(**arguments(rank))
    assert [len(stage.blocks) for stage in residual.encoder.stages] == [1, 3, 4]
    assert [len(stage.convs) for stage in residual.decoder.stages] == [1, 1]


def test_what_nnunets_networks_cannot_take_is_an_error(rank: int) -> None:
    network = ResEncM(**arguments(rank))
    network.check_input_size([16] * rank)
    with pytest.raises(
        ValueError, match=r"ResEncM: a patch of .* is not a multiple of the strides"
    ):
        network.check_input_size([18] * rank)
    with pytest.raises(ValueError, match="ResEncM: nonlin_first is for a plain encoder only"):
        ResEncM(**arguments(rank, nonlin_first=True))
    with pytest.raises(TypeError, match="nnUNetPlain: no argument 'stem' in arch_kwargs"):
        nnUNetPlain(**arguments(rank, stem="mff"))
