"""Terms of the segmentation loss besides Dice, each ``term(logits, target, valid)`` -> scalar.

Shapes: logits (B, C, *S); target (B, 1, *S) labels or (B, C, *S) regions; valid (B, 1, *S) mask, or weights of the
voxels, or None.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn, zeros_like
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """Cross-entropy of labels: mean over the valid voxels, 0 if there are none.

    Args:
        classes: weight of each class; the mean is then weighted, as in torch's ``cross_entropy``.
    """

    classes: Tensor | None

    def __init__(self, classes: Sequence[float] | None = None) -> None:
        super().__init__()
        self.register_buffer("classes", None if classes is None else torch.tensor(classes), False)

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        labels = target[:, 0].long()
        classes = None if self.classes is None else self.classes.to(logits)
        if valid is None:
            return F.cross_entropy(logits, labels, weight=classes)
        weights = valid[:, 0].to(logits)
        if classes is not None:
            weights = weights * classes[labels]
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
        weights = None if classes is None else torch.tensor(classes) * len(classes) / sum(classes)
        self.register_buffer("classes", weights, False)

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        if not self.regions:
            target = _one_hot(target, logits)
        if valid is None and self.classes is None:
            return F.binary_cross_entropy_with_logits(logits, target.float())
        losses = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
        if self.classes is not None:
            losses = losses * self.classes.to(logits).view(-1, *[1] * (logits.ndim - 2))
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
    """

    def __init__(self, *, regions: bool, alpha: float = 0.5, gamma: float = 2.0) -> None:
        super().__init__()
        # Imported late: `import monai` takes seconds, and few losses are focal.
        from monai.losses import FocalLoss

        self.regions = regions
        self.focal = FocalLoss(alpha=alpha, gamma=gamma, use_softmax=not regions, reduction="none")

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        if self.regions:
            losses = self.focal(logits, target).mean(1, keepdim=True)
        else:  # all channels are 0 except that of the true class
            losses = self.focal(logits, _one_hot(target, logits)).sum(1, keepdim=True)
        return _mean(losses, valid)


def _one_hot(target: Tensor, logits: Tensor) -> Tensor:
    return zeros_like(logits).scatter_(1, target.long(), 1)


def _mean(losses: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the valid voxels, 0 if there are none; several channels are summed."""
    if valid is None:
        return losses.mean()
    return _over(losses * valid, valid)


def _over(losses: Tensor, weights: Tensor) -> Tensor:
    """Sum of losses per sum of weights; 0 if all weights are 0."""
    return losses.sum() / weights.sum().clamp(min=1e-8)
