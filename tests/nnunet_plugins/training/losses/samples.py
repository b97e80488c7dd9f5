"""Losses and random data of every kind of label."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nnunet_plugins.training.losses import build_loss
from nnunet_plugins.training.procedure import LOSS_TERMS

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
