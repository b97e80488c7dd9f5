from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.convolution import Convolution
from architectures.layers import Layers

from .conftest import CONV
from .probes import convolved, layers, normalised, scrambled

DROP = {2: nn.Dropout2d, 3: nn.Dropout3d}


def test_equals_its_equation_and_omits_layers_without_a_class(rank: int) -> None:
    kernel = [1, 3, 5][-rank:]
    block = scrambled(Convolution(3, 4, layers(rank, {}), kernel_size=kernel))
    x = torch.randn(2, 3, *[4, 5, 6][:rank], dtype=torch.float64)
    assert_close(block(x), normalised(convolved(x, block[0]), block[1]).clamp(min=0))
    alone = Convolution(3, 4, Layers(conv_op=CONV[rank]), kernel_size=kernel).double()
    assert_close(alone(x), convolved(x, alone[0]))
    assert alone[0].bias is None


def test_a_dropped_channel_stays_zero_despite_the_norms_bias(rank: int) -> None:
    dropping = {"dropout_op": DROP[rank], "dropout_op_kwargs": {"p": 0.5}, "nonlin": None}
    block = Convolution(3, 64, layers(rank, dropping))
    nn.init.ones_(block[1].bias)
    y = block(torch.randn(1, 3, *[6] * rank)).flatten(2)
    dropped = (y == 0).all(-1)
    assert 16 < dropped.sum() < 48
    assert_close(y[~dropped].mean(-1), torch.full_like(y[~dropped][:, 0], 2.0))  # (0 + 1) / (1 - p)


def test_it_strides_and_requires_odd_kernels() -> None:
    x = torch.randn(1, 2, 7, 8)
    assert Convolution(2, 3, Layers(conv_op=nn.Conv2d), stride=[2, 1])(x).shape == (1, 3, 4, 8)
    with pytest.raises(ValueError, match=r"Convolution: kernel_size is \[2, 2\]; every axis must"):
        Convolution(2, 3, Layers(conv_op=nn.Conv2d), kernel_size=2)
