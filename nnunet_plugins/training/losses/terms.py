"""Terms of the segmentation loss, each ``term(logits, target, valid)`` -> scalar.

Shapes: logits (B, C, *S); target (B, 1, *S) labels or (B, C, *S) regions; valid (B, 1, *S) mask, or weights of the
voxels, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn, zeros_like
from torch.nn import functional as F

_denominator: ContextVar[Callable[[Tensor], Tensor]] = ContextVar(
    "denominator", default=lambda total: total
)


@contextmanager
def divided_by(denominator: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within it, weighted means divide by what ``denominator`` returns for the sum of their weights."""
    token = _denominator.set(denominator)
    try:
        yield
    finally:
        _denominator.reset(token)


class DiceOfClasses(nn.Module):
    """Minus the mean of the soft Dice of each class, weighted by ``classes``: -1 at best, like nnU-Net's.

    Args:
        dice: nnU-Net's Dice of probabilities, without nonlinearity, the background included.
        classes: weight of each channel of the logits; those of weight 0 are not computed.
        regions: the target holds regions, not labels.
    """

    def __init__(self, dice: nn.Module, classes: Sequence[float], *, regions: bool) -> None:
        super().__init__()
        self.dice, self.regions = dice, regions
        self.shares = [weight / sum(classes) for weight in classes]

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        chances = logits.sigmoid() if self.regions else logits.softmax(1)
        total = logits.new_zeros(())
        for i, share in enumerate(self.shares):
            if share:
                inside = target[:, i : i + 1] if self.regions else target == i
                total = total + share * self.dice(chances[:, i : i + 1], inside, valid)
        return total


class CrossEntropy(nn.Module):
    """Cross-entropy of labels: mean over the valid voxels, 0 if there are none.

    Args:
        classes: weight of each class; the mean is then weighted, as in torch's ``cross_entropy``; 0 without weights.
    """

    classes: Tensor | None

    def __init__(self, classes: Sequence[float] | None = None) -> None:
        super().__init__()
        self.register_buffer("classes", _weights(classes, relative=False), False)

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        labels = target[:, 0].long()
        if valid is None and self.classes is None:
            return F.cross_entropy(logits, labels)
        weights = torch.ones_like(logits[:, 0]) if valid is None else valid[:, 0].to(logits)
        if self.classes is not None:
            weights = weights * self.classes.to(logits)[labels]
        # Not PyTorch's weighted mean, which is NaN where all weights are 0.
        losses = F.cross_entropy(logits, labels, reduction="none")
        return _over(losses * weights, weights)


class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy per channel; for labels including the background channel.

    Mean over voxels and channels. With regions and an ignore label it is the sum over channels, as in nnU-Net.

    Args:
        regions: the target holds regions, not labels.
        classes: weight of each channel, relative to their mean.
    """

    classes: Tensor | None

    def __init__(self, *, regions: bool, classes: Sequence[float] | None = None) -> None:
        super().__init__()
        self.regions = regions
        self.register_buffer("classes", _weights(classes, relative=True), False)

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        if not self.regions:
            target = _one_hot(target, logits)
        if valid is None and self.classes is None:
            return F.binary_cross_entropy_with_logits(logits, target.float())
        losses = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
        if self.classes is not None:
            losses = losses * _per_channel(self.classes, logits)
        return _mean(losses if self.regions else losses.mean(1, keepdim=True), valid)


class Focal(nn.Module):
    """-alpha (1 - p)^gamma log p, p the probability of the true class (Lin et al. 2017, arXiv 1708.02002).

    For labels p is the softmax, as in silveira2025-inception-dual, and the loss is the mean over voxels; with two
    classes it equals that of the paper. alpha weights the foreground classes, 1 - alpha the background. For
    regions p is the sigmoid, alpha weights inside, 1 - alpha outside, and the loss is the mean over voxels and
    regions.

    Args:
        regions: the target holds regions, not labels.
        alpha: weight of the foreground, 0 to 1.
        gamma: focusing exponent, at least 1.
        classes: weight of each class, besides alpha; for labels the mean is then weighted, as in
            :class:`CrossEntropy`, for regions they are relative to their mean.
    """

    classes: Tensor | None

    def __init__(
        self,
        *,
        regions: bool,
        alpha: float = 0.5,
        gamma: float = 2.0,
        classes: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        # Imported late: `import monai` takes seconds, and few losses are focal.
        from monai.losses import FocalLoss

        self.regions = regions
        self.focal = FocalLoss(alpha=alpha, gamma=gamma, use_softmax=not regions, reduction="none")
        self.register_buffer("classes", _weights(classes, relative=regions), False)

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        if self.regions:
            losses = self.focal(logits, target)
            if self.classes is not None:
                losses = losses * _per_channel(self.classes, logits)
            return _mean(losses.mean(1, keepdim=True), valid)
        # All channels are 0 except that of the true class.
        losses = self.focal(logits, _one_hot(target, logits)).sum(1, keepdim=True)
        if self.classes is not None:
            classes = self.classes.to(logits)[target.long()]
            valid = classes if valid is None else classes * valid
        return _mean(losses, valid)


def _weights(classes: Sequence[float] | None, *, relative: bool) -> Tensor | None:
    if classes is None:
        return None
    return torch.tensor(classes) * (len(classes) / sum(classes) if relative else 1.0)


def _per_channel(classes: Tensor, logits: Tensor) -> Tensor:
    return classes.to(logits).view(-1, *[1] * (logits.ndim - 2))


def _one_hot(target: Tensor, logits: Tensor) -> Tensor:
    return zeros_like(logits).scatter_(1, target.long(), 1)


def _mean(losses: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the valid voxels, 0 if there are none; several channels are summed."""
    if valid is None:
        return losses.mean()
    return _over(losses * valid, valid)


def _over(losses: Tensor, weights: Tensor) -> Tensor:
    """Sum of losses per sum of weights; 0 if all weights are 0."""
    total = _denominator.get()(weights.sum())
    return losses.sum() / torch.where(total > 0, total, 1)
