"""The loss of attention maps: by hand, at full resolution, with ignored voxels."""

from __future__ import annotations

import itertools

import pytest
import torch

from nnunet_plugins.training.losses import AttentionLoss

from .samples import ALL_KINDS, CLASSES, RANKS, WITH_IGNORE, data, valid_of, value_and_gradient


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
def test_anything_but_a_map_of_the_target_is_an_error(shape):
    loss = AttentionLoss(regions=False, ignore_label=None)
    with pytest.raises(
        ValueError, match=r"attention loss: the map is \(.*of one channel.*\(6, 8\)"
    ):
        loss(torch.rand(shape), torch.zeros(2, 1, 6, 8))
