"""Terms of the segmentation loss besides Dice, each ``term(logits, target, valid)`` -> scalar.

Shapes: logits (B, C, *S); target (B, 1, *S) labels or (B, C, *S) regions; valid (B, 1, *S) mask or None.
"""

from __future__ import annotations

from torch import Tensor, nn, zeros_like
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """Cross-entropy of labels: mean over the valid voxels, 0 if there are none."""

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        labels = target[:, 0].long()
        if valid is None:
            return F.cross_entropy(logits, labels)
        ignored = -100  # torch's default ignore_index
        labels = labels.where(valid[:, 0], ignored)
        total = F.cross_entropy(logits, labels, reduction="sum", ignore_index=ignored)
        return total / valid.sum().clamp(min=1)


class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy per channel; for labels including the background channel.

    Mean over voxels and channels. With regions and an ignore label it is the sum over channels, as in nnU-Net.

    Args:
        regions: the target holds regions, not labels.
    """

    def __init__(self, *, regions: bool) -> None:
        super().__init__()
        self.regions = regions

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        if not self.regions:
            target = _one_hot(target, logits)
        if valid is None:
            return F.binary_cross_entropy_with_logits(logits, target.float())
        losses = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
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
    return (losses * valid).sum() / valid.sum().clamp(min=1)
