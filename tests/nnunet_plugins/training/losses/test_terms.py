"""Terms against nnU-Net's own, against their equations in float64, and against hand arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.losses import DEFAULT_LOSS
from nnunet_plugins.training.procedure import LOSS_TERMS

from .samples import (
    ALL_KINDS,
    CLASSES,
    KINDS,
    RANKS,
    TERMS,
    WITH_IGNORE,
    data,
    make,
    valid_of,
    value_and_gradient,
)


@pytest.fixture
def nnunets_own() -> Callable[..., nn.Module]:
    """What nnUNetTrainer itself builds, without deep supervision."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    def build(*, regions: bool, ignore_label: int | None, batch_dice: bool) -> nn.Module:
        trainer = SimpleNamespace(
            label_manager=SimpleNamespace(has_regions=regions, ignore_label=ignore_label),
            configuration_manager=SimpleNamespace(batch_dice=batch_dice),
            is_ddp=False,
            enable_deep_supervision=False,
            _do_i_compile=lambda: False,
        )
        return nnUNetTrainer._build_loss(trainer)

    return build


@ALL_KINDS
@RANKS
@pytest.mark.parametrize("batch_dice", [False, True])
@pytest.mark.parametrize("ignored", [0.3, 1.0])
def test_by_default_value_and_gradient_are_nnunets(nnunets_own, kind, size, batch_dice, ignored):
    logits, target = data(size, ignored=ignored, **kind)
    ours = value_and_gradient(make(DEFAULT_LOSS, batch_dice=batch_dice, **kind), logits, target)
    own = value_and_gradient(nnunets_own(batch_dice=batch_dice, **kind), logits, target)
    assert torch.equal(ours[0], own[0])
    assert torch.equal(ours[1], own[1])
    assert ours[1].any() == (ignored < 1 or kind["ignore_label"] is None)


@ALL_KINDS
def test_targets_may_be_integers_and_booleans(kind):
    logits, target = data((6, 5), **kind)
    loss = make(dict.fromkeys(LOSS_TERMS, 1.0), **kind)
    other = target.bool() if kind["regions"] else target.to(torch.int16)
    assert torch.equal(loss(logits, other), loss(logits, target))


@ALL_KINDS
def test_terms_add_up_by_their_weights(kind):
    logits, target = data((6, 5), **kind)
    weights = {"dice": 0.5, "ce": 2, "bce": 3.0, "focal": {"weight": 0.25, "gamma": 1}}
    alone = {
        "dice": {"dice": 1},
        "ce": {"ce": 1},
        "bce": {"bce": 1},
        "focal": {"focal": {"weight": 1, "gamma": 1}},
    }
    dice, ce, bce, focal = (make(alone[t], **kind)(logits, target) for t in weights)
    assert_close(make(weights, **kind)(logits, target), 0.5 * dice + 2 * ce + 3 * bce + focal / 4)
    assert len({dice.item(), bce.item(), focal.item()}) == 3


@ALL_KINDS
@pytest.mark.parametrize(
    ("terms", "unwanted"),
    [
        ({"dice": 1.0, "ce": 0.0, "bce": 0, "focal": {"weight": 0}}, "ce"),
        ({"dice": 1.0}, "ce"),
        ({"ce": 1.0, "dice": 0.0}, "dice"),
        ({"ce": 1.0}, "dice"),
    ],
)
def test_a_term_without_weight_is_not_computed(monkeypatch, kind, terms, unwanted):
    def computed(*_args, **_kwargs):
        raise AssertionError("computed")

    if unwanted == "dice":
        monkeypatch.setattr(MemoryEfficientSoftDiceLoss, "forward", computed)
    else:
        monkeypatch.setattr(F, "cross_entropy", computed)
        monkeypatch.setattr(F, "binary_cross_entropy_with_logits", computed)
    logits, target = data((6, 5), **kind)
    assert make(terms, **kind)(logits, target).isfinite()
    with pytest.raises(AssertionError, match="computed"):  # the trap does catch
        make({unwanted: 1.0}, **kind)(logits, target)


def voxels(target: Tensor, kind: dict) -> list[tuple[int, ...]]:
    """Indices (sample, *position) of the valid voxels."""
    return [(b, *s) for b, _, *s in valid_of(target, **kind).nonzero().tolist()]


def at(x: Tensor, voxel: tuple[int, ...]) -> list[float]:
    """All channels of a voxel."""
    return x[voxel[0]][(slice(None), *voxel[1:])].tolist()


def binary(x: float, truth: float) -> float:
    """Probability that sigmoid(x) gives the truth."""
    return 1 / (1 + math.exp(-x if truth else x))


@ALL_KINDS
def test_bce_is_its_equation(kind):
    logits, target = data((3, 4), **kind)
    total, count = 0.0, 0
    for voxel in voxels(target, kind):
        truths = at(target, voxel)
        if not kind["regions"]:
            truths = [float(c == truths[0]) for c in range(CLASSES)]
        total += sum(
            -math.log(binary(x, t)) for x, t in zip(at(logits, voxel), truths, strict=False)
        )
        count += 1
    # nnU-Net's own sums over the regions where it masks, and averages where it does not
    channels = 1 if kind == KINDS["regions and ignore"] else CLASSES
    found = make({"bce": 1}, **kind)(logits, target)
    assert found.item() == pytest.approx(total / count / channels, rel=1e-5)
    if kind["regions"]:
        assert torch.equal(found, make({"ce": 1}, **kind)(logits, target))


@ALL_KINDS
@RANKS
@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 2), (0.2, 1), (0.9, 3.5)])
def test_focal_is_its_equation(kind, size, alpha, gamma):
    logits, target = data(size, **kind)
    total, count = 0.0, 0
    for voxel in voxels(target, kind):
        xs, truths = at(logits, voxel), at(target, voxel)
        if kind["regions"]:
            terms = [
                (binary(x, t), alpha if t else 1 - alpha)
                for x, t in zip(xs, truths[:CLASSES], strict=True)
            ]
        else:
            truth = int(truths[0])
            p = math.exp(xs[truth]) / sum(map(math.exp, xs))
            terms = [(p, alpha if truth else 1 - alpha)]
        total += sum(-a * (1 - p) ** gamma * math.log(p) for p, a in terms) / len(terms)
        count += 1
    options = {"weight": 1, "alpha": alpha, "gamma": gamma}
    found = make({"focal": options}, **kind)(logits, target)
    assert found.item() == pytest.approx(total / count, rel=1e-4)
    if (alpha, gamma) == (0.5, 2):
        assert torch.equal(found, make({"focal": 1}, **kind)(logits, target))


def test_focal_by_hand():
    # Softmax of (0, ln 3) is (1/4, 3/4): half of (1/4)^2 ln 4/3 and of (3/4)^2 ln 4, the mean of both.
    logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
    loss = make({"focal": 1}, regions=False, ignore_label=None)
    found = loss(logits, torch.tensor([1.0, 0.0]).view(1, 1, 1, 2))
    by_hand = (1 / 16 * math.log(4 / 3) + 9 / 16 * math.log(4)) / 4
    assert found.item() == pytest.approx(by_hand, rel=1e-6)


def test_the_binary_loss_that_003_puts_on_a_softmax_is_ce():
    logits, target = torch.randn(2, 2, 5, 4), torch.randint(2, (2, 1, 5, 4)).float()
    p = logits.double().softmax(1)
    both = torch.cat([1 - target, target], 1).double()
    theirs = F.binary_cross_entropy(p, both).float()
    assert_close(make({"ce": 1}, regions=False, ignore_label=None)(logits, target), theirs)


@TERMS
@WITH_IGNORE
def test_ignored_voxels_take_no_part(terms, kind):
    logits, target = data((6, 5), **kind)
    valid = valid_of(target, **kind)
    loss = make(terms, **kind)
    value, gradient = value_and_gradient(loss, logits, target)
    assert not gradient[~valid.expand_as(gradient)].any()
    assert gradient[valid.expand_as(gradient)].all()
    moved = torch.where(valid, logits, torch.randn_like(logits))
    other = target.clone()
    if kind["regions"]:
        other[:, :-1] = torch.where(valid, target[:, :-1], 1 - target[:, :-1])
    assert_close(loss(moved, other), value)
    assert not torch.equal(loss(torch.randn_like(logits), target), value)


@TERMS
@WITH_IGNORE
def test_an_ignore_label_that_no_voxel_has_changes_nothing(terms, kind):
    logits, target = data((6, 5), ignored=0.0, **kind)
    without = {**kind, "ignore_label": None}
    plain = make(terms, **without)(logits, target[:, :CLASSES])
    # nnU-Net's own: with an ignore label the binary cross-entropy of regions is their sum, not their mean.
    summed = kind["regions"] and not {"ce", "bce"}.isdisjoint(terms)
    assert_close(make(terms, **kind)(logits, target), plain * (CLASSES if summed else 1))


@TERMS
@WITH_IGNORE
def test_a_patch_of_ignored_voxels_teaches_nothing(terms, kind):
    logits, target = data((6, 5), ignored=1.0, **kind)
    value, gradient = value_and_gradient(make(terms, **kind), logits, target)
    assert value.item() == pytest.approx(-1 if "dice" in terms else 0)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@TERMS
@ALL_KINDS
def test_descent_finds_the_target(terms, kind):
    logits, target = data((6, 5), **kind)
    valid = valid_of(target, **kind)
    optimizer = torch.optim.Adam([logits], 0.3)
    loss = make(terms, **kind)
    for _ in range(80):
        optimizer.zero_grad()
        loss(logits, target).backward()
        optimizer.step()
    labels = logits.argmax(1, keepdim=True)
    right = (logits > 0) == (target[:, :CLASSES] > 0) if kind["regions"] else labels == target
    # Dice alone leaves voxels that softmax is sure of as they are for long.
    assert right[valid.expand_as(right)].float().mean() > 0.95


@ALL_KINDS
@TERMS
def test_a_target_of_another_shape_is_an_error(kind, terms):
    logits, target = data((6, 5), **kind)
    wrong = [
        target[:1],
        target[:, :, :5],
        target[:, 0],
        target.repeat(1, 3, 1, 1),
        target[..., None],
    ]
    if kind["regions"]:
        wrong.append(target[:, :-1])
    for bad in wrong:
        with pytest.raises(
            ValueError, match=r"loss: the target is \(.*\) of (labels|regions), ign.* must be"
        ):
            make(terms, **kind)(logits, bad)


@pytest.mark.parametrize(
    "terms", [{}, {"dice": 0}, {"tversky": 1}, {"dice": {"weight": 1, "gamma": 2}}, {"focal": {}}]
)
def test_terms_that_are_not_allowed_are_an_error(terms):
    with pytest.raises(UserError, match=r"training\.loss is .*allowed: .*dice, ce, bce, focal"):
        make(terms, **KINDS["labels"])


def test_dice_averages_over_the_background_on_request() -> None:
    """By hand: 4 voxels, of which one is label 1; the probability of label 1 is p everywhere."""
    p = 0.25
    logits = torch.tensor([0.0, math.log(p / (1 - p))]).reshape(1, 2, 1, 1).expand(1, 2, 2, 2)
    target = torch.tensor([[[[0, 0], [0, 1]]]]).float()
    # 2 * intersection / (size of reference + size of prediction)
    foreground = 2 * p / (1 + 4 * p)
    background = 2 * 3 * (1 - p) / (3 + 4 * (1 - p))
    for terms, expected in (
        ({"dice": 1.0}, foreground),
        ({"dice": {"weight": 1.0, "background": False}}, foreground),
        ({"dice": {"weight": 2.0, "background": True}}, foreground + background),
    ):
        loss = make(terms, regions=False, ignore_label=None)
        assert float(loss(logits, target)) == pytest.approx(-expected, rel=1e-4)
    regions = make({"dice": {"weight": 1.0, "background": True}}, regions=True, ignore_label=None)
    plain = make({"dice": 1.0}, regions=True, ignore_label=None)
    values = data((3, 4), regions=True, ignore_label=None)
    assert_close(regions(*values), plain(*values), rtol=0, atol=0)
