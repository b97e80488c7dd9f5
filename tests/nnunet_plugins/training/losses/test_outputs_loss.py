"""The loss of a list of outputs: each with its weight, its loss and its target."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from torch import Tensor, nn
from torch.testing import assert_close

from nnunet_plugins.training.losses import DEFAULT_LOSS, DEFAULT_WEIGHTS, AttentionLoss, OutputsLoss
from nnunet_plugins.training.procedure import WEIGHTED_OUTPUTS

from .samples import KINDS, data, make


class Recorder(nn.Module):
    """Loss that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Tensor, Tensor]] = []

    def forward(self, output: Tensor, target: Tensor, weight_map: Any = None) -> Tensor:
        self.asked.append((output, target))
        return output.sum()


def test_each_output_has_its_weight_its_loss_and_its_target():
    segmentation, attention = Recorder(), Recorder()
    kinds = [("logits", 0.5), ("logits", 0), ("auxiliary", 3), ("attention", 0.2), ("attention", 7)]
    loss = OutputsLoss(segmentation, attention, kinds)
    outputs = [torch.tensor(10.0**i).requires_grad_() for i in range(5)]
    targets = [torch.tensor(float(i)) for i in range(5)]
    value = loss(outputs, targets)
    assert_close(value, torch.tensor(0.5 + 300 + 200 + 70_000))
    assert segmentation.asked == [(outputs[0], targets[0]), (outputs[2], targets[2])]
    assert attention.asked == [(outputs[3], targets[0]), (outputs[4], targets[0])]
    value.backward()
    assert [o.grad and o.grad.item() for o in outputs] == pytest.approx([0.5, None, 3, 0.2, 7])


def test_logits_alone_are_weighed_as_by_nnunet():
    weights = [4 / 7, 2 / 7, 1 / 7, 0.0]
    inner = make(DEFAULT_LOSS, **KINDS["labels"])
    pairs = [data((n, n), **KINDS["labels"]) for n in (8, 6, 4, 2)]
    outputs, targets = ([p[i] for p in pairs] for i in (0, 1))
    ours = OutputsLoss(inner, nn.Identity(), [("logits", w) for w in weights])(outputs, targets)
    assert torch.equal(ours, DeepSupervisionWrapper(inner, weights)(outputs, targets))


def test_real_losses_of_real_outputs_teach_every_output():
    kind = KINDS["labels and ignore"]
    full = data((8, 8), **kind)
    small = data((2, 2), **kind)
    maps = [torch.rand(2, 1, n, n).requires_grad_() for n in (4, 2)]
    outputs = [("logits", 1.0), *DEFAULT_WEIGHTS.items(), ("attention", 0.2)]
    loss = OutputsLoss(make(DEFAULT_LOSS, **kind), AttentionLoss(**kind), outputs)
    given = [full[0], small[0], *maps]
    loss(given, [full[1], small[1], small[1], small[1]]).backward()
    assert all(output.grad.any() for output in given)


def test_weights_are_given_for_what_the_procedure_weighs():
    assert set(DEFAULT_WEIGHTS) == set(WEIGHTED_OUTPUTS)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("wrong", ["outputs", "targets"])
def test_a_count_that_does_not_match_is_an_error(count, wrong):
    loss = OutputsLoss(Recorder(), Recorder(), [("logits", 1), ("attention", 0.2)])
    given = {"outputs": [torch.ones(1)] * 2, "targets": [torch.ones(1)] * 2}
    given[wrong] = [torch.ones(1)] * count
    with pytest.raises(
        ValueError, match=rf"got {count} {wrong} for 2 outputs \(logits, attention\)"
    ):
        loss(**given)


def test_one_tensor_is_not_a_list_of_outputs():
    loss = OutputsLoss(Recorder(), Recorder(), [("logits", 1), ("logits", 1)])
    with pytest.raises(ValueError, match=r"got one tensor for 2 outputs .*; deep supervision"):
        loss(torch.ones(2, 3, 4, 4), [torch.ones(1), torch.ones(1)])


@pytest.mark.parametrize("output", [("map", 1), ("logits", -1), ("attention", math.nan)])
def test_an_output_that_is_none_is_an_error(output):
    with pytest.raises(
        ValueError, match=r"is not an output; kinds: logits, auxiliary, attention; weights"
    ):
        OutputsLoss(Recorder(), Recorder(), [("logits", 1), output])


@pytest.mark.parametrize("outputs", [[], [("logits", 0), ("attention", 0.0)]])
def test_some_output_must_count(outputs):
    with pytest.raises(ValueError, match="no output has a weight above 0"):
        OutputsLoss(Recorder(), Recorder(), outputs)
