"""Weights of classes and of voxels near boundaries, against PyTorch and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.losses import build_loss
from nnunet_plugins.training.losses.boundary import BoundaryWeights

NAMES = ["background", "bone", "disc"]


def made(terms: dict[str, Any], **more: Any) -> Any:
    options = {
        "regions": False,
        "ignore_label": None,
        "batch_dice": False,
        "ddp": False,
        "names": NAMES,
    }
    return build_loss(terms, **options | more)


def data(seed: int = 0, size: tuple[int, ...] = (7, 9)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, *size, generator=generator)
    return logits, torch.randint(3, (2, 1, *size), generator=generator)


def test_weights_of_ce_are_pytorchs() -> None:
    logits, target = data()
    loss = made({"ce": {"weight": 2, "classes": {"disc": 3, "background": 0.5}}})
    weight = torch.tensor([0.5, 1.0, 3.0])
    assert_close(loss(logits, target), 2 * F.cross_entropy(logits, target[:, 0], weight=weight))


def test_ignored_voxels_do_not_count() -> None:
    logits, target = data()
    ignored = target.clone()
    ignored[:, :, :3] = 3
    loss = made({"ce": {"weight": 1, "classes": {"disc": 3}}}, ignore_label=3)
    expected = F.cross_entropy(
        logits, ignored[:, 0], weight=torch.tensor([1.0, 1, 3]), ignore_index=3
    )
    assert_close(loss(logits, ignored), expected)
    everything = torch.full_like(target, 3)
    assert (
        made({"ce": {"weight": 1, "classes": {"disc": 3}}}, ignore_label=3)(logits, everything) == 0
    )


@pytest.mark.parametrize("term", ["ce", "focal"])
def test_a_batch_of_classes_without_weight_has_no_loss(term: str) -> None:
    """PyTorch's weighted mean would be NaN, and so would all weights of the network after a step."""
    logits, target = data()
    logits.requires_grad_()
    loss = made({term: {"weight": 1, "classes": {"background": 0}}})(logits, 0 * target)
    loss.backward()
    assert loss == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("regions", [False, True])
def test_weights_of_bce_are_relative(regions: bool) -> None:
    logits, target = data()
    names = ["spine", "disc", "bone"] if regions else NAMES
    hot = torch.zeros_like(logits).scatter_(1, target, 1)
    options: dict[str, Any] = {"regions": regions, "names": names}
    name = "ce" if regions else "bce"
    loss = made({name: {"weight": 1, "classes": {names[1]: 4}}}, **options)
    single = F.binary_cross_entropy_with_logits(logits, hot, reduction="none").mean((0, 2, 3))
    expected = (single * torch.tensor([1.0, 4, 1])).sum() / 6
    given = hot if regions else target
    assert_close(loss(logits, given), expected)
    equal = made({name: {"weight": 1, "classes": dict.fromkeys(names, 7)}}, **options)
    assert_close(equal(logits, given), made({name: 1}, **options)(logits, given))


def test_unknown_labels_and_no_weight_are_refused() -> None:
    with pytest.raises(UserError, match="names 'hip'; the dataset has background, bone, disc"):
        made({"ce": {"weight": 1, "classes": {"hip": 1}}})
    with pytest.raises(UserError, match="leaves no class a weight"):
        made({"ce": {"weight": 1, "classes": dict.fromkeys(NAMES, 0)}})


@pytest.mark.parametrize("size", [(9, 8), (5, 8, 7)])
def test_near_voxels_are_those_with_another_label_in_the_box(size: tuple[int, ...]) -> None:
    """Against SciPy's filters, with anisotropic voxels."""
    spacing = (3.0, 1.0, 0.7)[-len(size) :]
    blocks = torch.zeros(1, 1, *size)
    blocks[0, 0, ..., 5:] = 1
    blocks[0, 0, :2] = 2
    near = BoundaryWeights(distance=2.1, weight=5, spacing=spacing, size=size)
    box = [2 * int(2.1 / s + 1e-6) + 1 for s in spacing]
    values = blocks[0, 0].numpy()
    expected = np.where(maximum_filter(values, box) != minimum_filter(values, box), 5, 1)
    assert (near(blocks, None)[0, 0].numpy() == expected).all()
    assert len(np.unique(expected)) == 2


def test_ignored_voxels_make_no_boundary_and_coarse_targets_have_larger_voxels() -> None:
    near = BoundaryWeights(distance=1, weight=3, spacing=[1.0], size=[8])
    target = torch.tensor([[[1.0, 1, 1, 0, 0, 0, 0, 0]]])
    valid = torch.tensor([[[1, 1, 1, 0, 1, 1, 1, 1]]]).bool()
    assert near(target, valid)[valid].unique().tolist() == [1]
    assert near(target, None)[0, 0].tolist() == [1, 1, 3, 3, 1, 1, 1, 1]
    assert near(target[..., ::2], None).unique().tolist() == [1]


def test_the_loss_is_the_weighted_mean_and_dice_is_unweighted() -> None:
    logits, target = data()
    near = BoundaryWeights(distance=1, weight=4, spacing=[1, 1], size=[7, 9])
    weights = near(target, None)[:, 0]
    single = F.cross_entropy(logits, target[:, 0], reduction="none")
    assert_close(
        made({"ce": 1}, near=near)(logits, target), (single * weights).sum() / weights.sum()
    )
    both = made({"ce": 1, "dice": 1}, near=near)(logits, target)
    assert_close(
        both - made({"ce": 1}, near=near)(logits, target), made({"dice": 1})(logits, target)
    )


def dice_of_each(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice of each class, mean over the samples."""
    chances, hot = logits.softmax(1), torch.zeros_like(logits).scatter_(1, target, 1)
    overlap = 2 * (chances * hot).sum((2, 3))
    return (overlap / (chances + hot).sum((2, 3))).mean(0)


@pytest.mark.parametrize("background", [False, True])
def test_dice_is_the_weighted_mean_over_the_classes(background: bool) -> None:
    logits, target = data()
    each = dice_of_each(logits, target)
    options = {"weight": 1, "background": background}
    loss = made({"dice": options | {"classes": {"disc": 3}}})
    shares = torch.tensor([float(background), 1, 3])
    expected = -(each * shares).sum() / shares.sum()
    assert_close(loss(logits, target), expected, rtol=1e-4, atol=1e-5)
    for batch in (False, True):  # equal weights are none
        plain = made({"dice": options}, batch_dice=batch)(logits, target)
        equal = made({"dice": options | {"classes": {"bone": 1, "disc": 1}}}, batch_dice=batch)(
            logits, target
        )
        assert_close(plain, equal)


def test_dice_of_regions_and_ignored_voxels_with_weights() -> None:
    logits, target = data()
    regions = torch.stack([target[:, 0] > 0, target[:, 0] == 2, target[:, 0] == 0], 1).float()
    ignored = torch.zeros_like(regions[:, :1])
    ignored[:, :, :3] = 1
    names = ["spine", "disc", "rest"]
    options: dict[str, Any] = {"regions": True, "names": names, "ignore_label": 3}
    loss = made({"dice": {"weight": 1, "classes": {"spine": 0, "disc": 2, "rest": 0}}}, **options)
    single = made({"dice": 1}, regions=True)
    cut = slice(3, None)
    assert_close(
        loss(logits, torch.cat([regions, ignored], 1)),
        single(logits[:, 1:2, cut], regions[:, 1:2, cut]),
    )


def test_dice_without_background_has_no_weight_for_it() -> None:
    with pytest.raises(UserError, match="names 'background'; the dataset has bone, disc"):
        made({"dice": {"weight": 1, "classes": {"background": 1}}})


@pytest.mark.parametrize("regions", [False, True])
def test_focal_weights_multiply_the_loss_of_their_class(regions: bool) -> None:
    """Without focusing and with alpha 1/2, focal is half of the cross-entropy, whose weights are tested above."""
    logits, target = data()
    given = torch.zeros_like(logits).scatter_(1, target, 1) if regions else target
    options: dict[str, Any] = {"regions": regions}
    name = "bce" if regions else "ce"
    classes = {"disc": 3, "bone": 0.5}
    focal = made({"focal": {"weight": 1, "classes": classes}}, **options)
    focal.terms["focal"].focal.gamma = 0
    entropy = made({name: {"weight": 0.5, "classes": classes}}, **options)
    assert_close(focal(logits, given), entropy(logits, given))
    equal = made({"focal": {"weight": 1, "classes": dict.fromkeys(NAMES, 5)}}, **options)
    assert_close(equal(logits, given), made({"focal": 1}, **options)(logits, given))


@pytest.mark.parametrize("term", ["ce", "bce", "focal"])
def test_a_map_weights_the_mean_over_the_voxels(term: str) -> None:
    """Weights of 0 and 1 are the loss of the voxels of 1 alone; Dice does not change."""
    logits, target = data()
    weights = torch.zeros(2, 1, 7, 9)
    weights[:, :, :4] = 2
    loss = made({term: 1})
    assert_close(loss(logits, target, weights), loss(logits[:, :, :4], target[:, :, :4]))
    assert_close(loss(logits, target, torch.full_like(weights, 7)), loss(logits, target))
    assert loss(logits, target, torch.zeros_like(weights)) == 0
    dice = made({"dice": 1})
    assert_close(dice(logits, target, weights), dice(logits, target))


def test_a_map_counts_besides_boundaries_and_ignored_voxels() -> None:
    logits, target = data()
    target[:, :, 0] = 3
    weights = torch.rand(2, 1, 7, 9)
    near = BoundaryWeights(distance=1, weight=4, spacing=[1, 1], size=[7, 9])
    valid = target != 3
    total = (weights * valid * near(target.where(valid, 0), valid))[:, 0]
    single = F.cross_entropy(logits, target[:, 0].clamp(max=2), reduction="none")
    loss = made({"ce": 1}, near=near, ignore_label=3)
    assert_close(loss(logits, target, weights), (single * total).sum() / total.sum())
