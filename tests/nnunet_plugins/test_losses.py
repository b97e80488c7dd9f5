"""Losses against nnU-Net's own, against their equations in float64, and against hand arithmetic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.testing import assert_close

from nnunet_plugins.errors import UserError
from nnunet_plugins.losses import (
    DEFAULT_LOSS,
    DEFAULT_WEIGHTS,
    AttentionLoss,
    OutputsLoss,
    build_loss,
)
from nnunet_plugins.procedure import LOSS_TERMS, WEIGHTED_OUTPUTS

CLASSES = 3
IGNORED = CLASSES  # nnU-Net's ignore label is the one above the others
KINDS = {
    "labels": {"regions": False, "ignore_label": None},
    "labels and ignore": {"regions": False, "ignore_label": IGNORED},
    "regions": {"regions": True, "ignore_label": None},
    "regions and ignore": {"regions": True, "ignore_label": IGNORED},
}
ALL_KINDS = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
WITH_IGNORE = pytest.mark.parametrize(
    "kind", [k for k in KINDS.values() if k["ignore_label"]], ids=["labels", "regions"]
)
RANKS = pytest.mark.parametrize("size", [(7, 6), (5, 4, 3)], ids=["2D", "3D"])
TERMS = pytest.mark.parametrize("terms", [{t: 1} for t in LOSS_TERMS], ids=LOSS_TERMS)


def make(terms: dict, *, batch_dice: bool = False, ddp: bool = False, **kind) -> nn.Module:
    return build_loss(terms, batch_dice=batch_dice, ddp=ddp, **kind)


def data(
    size: tuple[int, ...],
    *,
    regions: bool,
    ignore_label: int | None,
    ignored: float = 0.3,
    batch: int = 2,
) -> tuple[Tensor, Tensor]:
    """Logits that take a gradient, and a target of either kind in float, as nnU-Net's loader gives it."""
    logits = 3 * torch.randn(batch, CLASSES, *size)
    if regions:
        target = torch.randint(2, (batch, CLASSES, *size)).float()
    else:
        target = torch.randint(CLASSES, (batch, 1, *size)).float()
    if ignore_label is not None:
        hidden = torch.rand(batch, 1, *size) < ignored
        target = (
            torch.cat([target, hidden.float()], 1)
            if regions
            else target.masked_fill(hidden, ignore_label)
        )
    return logits.requires_grad_(), target


def valid_of(target: Tensor, *, regions: bool, ignore_label: int | None) -> Tensor:
    if ignore_label is None:
        return torch.ones_like(target[:, :1], dtype=torch.bool)
    return target[:, -1:] == 0 if regions else target != ignore_label


def value_and_gradient(loss: nn.Module, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    value = loss(logits, target)
    return value.detach(), torch.autograd.grad(value, logits)[0]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(3)


# The terms


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("regions", [False, True], ids=["labels", "regions"])
def test_dice_sums_a_patch_that_half_precision_cannot_count(dtype, regions):
    size = (50, 256, 256)  # 3,276,800 voxels, fp16 ends at 65,504
    p = 0.75
    channel = torch.full((1, 1, *size), math.log(p / (1 - p)), dtype=dtype)
    logits = channel if regions else torch.cat([torch.zeros_like(channel), channel], 1)
    logits.requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        loss = make({"dice": 1}, regions=regions, ignore_label=None, batch_dice=True)
        value, gradient = value_and_gradient(loss, logits, torch.ones(1, 1, *size))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(-2 * p / (p + 1), rel=1e-3)
    assert gradient.dtype == dtype
    assert gradient.isfinite().all()


@ALL_KINDS
@TERMS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_loss_is_that_of_the_same_logits_in_fp32(kind, terms, dtype):
    logits, target = data((6, 5), **kind)
    logits = logits.detach().to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        value = make(terms, **kind)(logits, target)
    assert torch.equal(value, make(terms, **kind)(logits.float(), target))


@ALL_KINDS
@TERMS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_logits_stay_finite(kind, terms, dtype):
    logits, target = data((6, 5), **kind)
    logits = (logits.detach().sign() * 6e4).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        value, gradient = value_and_gradient(make(terms, **kind), logits, target)
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_dice_alone_is_compiled(monkeypatch):
    compiled = []

    def spy(function, *_args, **_kwargs):
        compiled.append(function.__self__)
        return function

    monkeypatch.setattr(torch, "compile", spy)
    kind = KINDS["labels and ignore"]
    asked = {"batch_dice": False, "ddp": False, **kind}
    loss = build_loss(DEFAULT_LOSS, compiled=True, **asked)
    assert [type(module) for module in compiled] == [MemoryEfficientSoftDiceLoss]
    logits, target = data((6, 5), **kind)
    assert torch.equal(loss(logits, target), build_loss(DEFAULT_LOSS, **asked)(logits, target))
    build_loss({"ce": 1}, compiled=True, **asked)
    assert len(compiled) == 1


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


def halves(rank: int, folder: str) -> None:
    """One of two workers: its half of a batch, and what it makes of it."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    found = {}
    for name, (kind, logits, target) in torch.load(Path(folder) / "batch.pt").items():
        mine = slice(2 * rank, 2 * rank + 2)
        loss = make({"dice": 1}, batch_dice=True, ddp=True, **kind)
        found[name] = value_and_gradient(loss, logits[mine].requires_grad_(), target[mine])
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_workers_with_half_a_batch_see_the_dice_of_the_whole(tmp_path):
    batch = {}
    for name, kind in KINDS.items():
        logits, target = data((4, 5), batch=4, **kind)
        batch[name] = (kind, logits.detach(), target)
    torch.save(batch, tmp_path / "batch.pt")
    mp.spawn(halves, (str(tmp_path),), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for name, (kind, logits, target) in batch.items():
        whole = make({"dice": 1}, batch_dice=True, **kind)
        value, gradient = value_and_gradient(whole, logits.requires_grad_(), target)
        apart = make({"dice": 1}, batch_dice=True, **kind)(logits[:2], target[:2])
        assert not torch.isclose(apart, value)
        for part in parts:
            assert_close(part[name][0], value)
        # Each worker has the gradient of both workers' loss; DDP takes the mean over workers.
        assert_close(torch.cat([part[name][1] for part in parts]) / 2, gradient)


# Attention


def test_the_maps_target_is_the_pooled_foreground_by_hand():
    # Two voxels of the map, each for 1 x 2 of the image: shares of foreground 1/2 and 1.
    target = torch.tensor([[0.0, 2.0, 1.0, 1.0]]).view(1, 1, 1, 4)
    attention = torch.tensor([0.25, 0.5]).view(1, 1, 1, 2)
    loss = AttentionLoss(regions=False, ignore_label=None)(attention, target)
    by_hand = -2 * (0.25 * 0.5 + 0.5 * 1) / (0.25 + 0.5 + 0.5 + 1)
    assert loss.item() == pytest.approx(by_hand, rel=1e-4)


def test_an_ignored_voxel_is_taken_out_of_its_pool_by_hand():
    # As above, the first voxel (background) ignored: half of the first pool is known, all of it foreground.
    target = torch.tensor([[3.0, 2.0, 1.0, 1.0]]).view(1, 1, 1, 4)
    attention = torch.tensor([0.25, 0.5]).view(1, 1, 1, 2)
    loss = AttentionLoss(regions=False, ignore_label=3)(attention, target)
    by_hand = -2 * (0.25 * 1 / 2 + 0.5) / ((0.25 + 1) / 2 + 0.5 + 1)
    assert loss.item() == pytest.approx(by_hand, rel=1e-4)


@ALL_KINDS
@pytest.mark.parametrize(
    ("size", "stride"), [((6, 8), (3, 2)), ((6, 8), (1, 1)), ((4, 12, 6), (1, 4, 2))]
)
def test_it_is_the_dice_of_the_map_at_full_resolution(kind, size, stride):
    _, target = data(size, **kind)
    target = target[:, : CLASSES + 1]
    attention = torch.rand(2, 1, *[n // s for n, s in zip(size, stride, strict=True)])
    valid = valid_of(target, **kind)
    inside = target[:, :CLASSES].amax(1, keepdim=True) > 0
    per_sample = []
    for b in range(2):
        both = foreground = predicted = 0.0
        for place in itertools.product(*map(range, size)):
            if not valid[b, 0][place]:
                continue
            m = attention[b, 0][tuple(p // s for p, s in zip(place, stride, strict=True))].item()
            f = float(inside[b, 0][place])
            both, foreground, predicted = both + m * f, foreground + f, predicted + m
        per_sample.append(2 * both / (foreground + predicted))
    found = AttentionLoss(**kind)(attention, target)
    assert found.item() == pytest.approx(-sum(per_sample) / 2, rel=1e-4)


def test_a_map_of_a_size_that_does_not_divide_is_taken():
    target = torch.zeros(1, 1, 5, 7)
    target[..., :4] = 1
    attention = torch.rand(1, 1, 3, 2).requires_grad_()
    loss = AttentionLoss(regions=False, ignore_label=None)
    value, gradient = value_and_gradient(loss, attention, target)
    assert -1 < value < 0
    assert gradient.all()


@ALL_KINDS
@RANKS
def test_the_map_is_drawn_to_the_foreground(kind, size):
    _, target = data(size, **kind)
    inside = torch.zeros(2, 1, *size, dtype=torch.bool)
    inside[..., 1:3] = True
    valid = valid_of(target, **kind)
    if kind["regions"]:
        target[:, :CLASSES] = 0
        target[:, 1:2] = inside.float()  # in any region is foreground
    else:
        target = torch.where(valid, 2.0 * inside, target)
    attention = torch.full(inside.shape, 0.5).requires_grad_()
    loss = AttentionLoss(**kind)
    value, gradient = value_and_gradient(loss, attention, target)
    assert (gradient[inside & valid] < 0).all()
    assert (gradient[~inside & valid] > 0).all()
    assert not gradient[~valid].any()
    assert loss(inside.float(), target).item() == pytest.approx(-1)
    assert loss((~inside).float(), target).item() == pytest.approx(0, abs=1e-5)
    assert -1 < value < 0


@WITH_IGNORE
def test_attention_learns_nothing_from_ignored_voxels(kind):
    _, target = data((6, 8), ignored=1.0, **kind)
    attention = torch.rand(2, 1, 3, 4).requires_grad_()
    value, gradient = value_and_gradient(AttentionLoss(**kind), attention, target)
    assert value.isfinite()
    assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_attention_counts_in_fp32(dtype):
    attention = torch.full((1, 1, 25, 128, 256), 0.5, dtype=dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        loss = AttentionLoss(regions=False, ignore_label=None)
        value, gradient = value_and_gradient(loss, attention, torch.ones(1, 1, 50, 128, 256))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(-2 / 3, rel=1e-5)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "shape", [(2, 3, 6, 8), (1, 1, 6, 8), (2, 1, 6), (2, 1, 7, 8), (2, 1, 3, 4, 2)]
)
def test_what_is_no_map_of_the_target_is_an_error(shape):
    loss = AttentionLoss(regions=False, ignore_label=None)
    with pytest.raises(
        ValueError, match=r"attention loss: the map is \(.*of one channel.*\(6, 8\)"
    ):
        loss(torch.rand(shape), torch.zeros(2, 1, 6, 8))


# All outputs


class Recorder(nn.Module):
    """Loss that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Tensor, Tensor]] = []

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
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


def test_one_tensor_is_no_list_of_outputs():
    loss = OutputsLoss(Recorder(), Recorder(), [("logits", 1), ("logits", 1)])
    with pytest.raises(ValueError, match=r"got one tensor for 2 outputs .*; deep supervision"):
        loss(torch.ones(2, 3, 4, 4), [torch.ones(1), torch.ones(1)])


@pytest.mark.parametrize("output", [("map", 1), ("logits", -1), ("attention", math.nan)])
def test_an_output_that_is_none_is_an_error(output):
    with pytest.raises(
        ValueError, match=r"is no output; kinds: logits, auxiliary, attention; weights"
    ):
        OutputsLoss(Recorder(), Recorder(), [("logits", 1), output])


@pytest.mark.parametrize("outputs", [[], [("logits", 0), ("attention", 0.0)]])
def test_some_output_must_count(outputs):
    with pytest.raises(ValueError, match="no output has a weight above 0"):
        OutputsLoss(Recorder(), Recorder(), outputs)
