"""Losses from the plans' ``training`` entry: of a segmentation, of an attention map, of all outputs together.

With :data:`DEFAULT_LOSS` value and gradient are those of nnU-Net's own loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.helpers import softmax_helper_dim1
from torch import Tensor, nn
from torch.nn import functional as F

from nnunet_plugins.training.procedure import read_procedure

#: nnU-Net's loss; 'ce' is binary cross-entropy where a dataset has regions.
DEFAULT_LOSS = {"dice": 1.0, "ce": 1.0}
#: Weights of the outputs that are not the decoder's: 1 for 003's bottleneck head, 0.2 for 002's maps.
DEFAULT_WEIGHTS = {"auxiliary": 1.0, "attention": 0.2}

_SMOOTH = 1e-5  # nnU-Net's


def build_loss(
    terms: Mapping[str, float | Mapping[str, float]],
    *,
    regions: bool,
    ignore_label: int | None,
    batch_dice: bool,
    ddp: bool,
    compiled: bool = False,
) -> nn.Module:
    """The weighted sum of ``terms``, as ``training.loss`` names them. A term of weight 0 is not computed.

    Args:
        terms: term -> weight, or -> {"weight": weight, option: value}.
        regions: the target holds regions, which may overlap, not labels.
        ignore_label: the dataset's ignore label, or None.
        batch_dice: one Dice for a batch, not one for each sample.
        ddp: the batch is spread over the processes of torch.distributed; batch Dice gathers its sums.
        compiled: compile Dice, as nnU-Net does.

    Raises:
        UserError: a term, weight or option that is not allowed.
    """
    read_procedure({"training": {"loss": dict(terms)}})
    weights: dict[str, float] = {}
    modules: dict[str, nn.Module] = {}
    for name, value in terms.items():
        options = dict(value) if isinstance(value, Mapping) else {"weight": value}
        weight = options.pop("weight")
        if weight == 0:
            continue
        module: nn.Module
        if name == "dice":
            module = MemoryEfficientSoftDiceLoss(
                apply_nonlin=torch.sigmoid if regions else softmax_helper_dim1,
                batch_dice=batch_dice,
                do_bg=regions,
                smooth=_SMOOTH,
                ddp=ddp,
            )
            if compiled:
                module.compile()
        elif name == "focal":
            module = _Focal(regions=regions, **options)
        elif name == "bce" or regions:
            module = _BinaryCrossEntropy(regions=regions)
        else:
            module = _CrossEntropy()
        weights[name], modules[name] = weight, module
    return SegmentationLoss(modules, weights, regions=regions, ignore_label=ignore_label)


class SegmentationLoss(nn.Module):
    """Weighted sum of terms, each ``term(logits, target, valid)``, in fp32.

    Shapes: logits (B, C, *S); target (B, 1, *S) labels, or (B, C, *S) regions of 0 and 1, with the ignored
    voxels as a last channel where there is an ignore label; -> scalar.

    Args:
        terms: name -> module.
        weights: name -> weight.
        regions: see :func:`build_loss`.
        ignore_label: see :func:`build_loss`.
    """

    def __init__(
        self,
        terms: Mapping[str, nn.Module],
        weights: Mapping[str, float],
        *,
        regions: bool,
        ignore_label: int | None,
    ) -> None:
        super().__init__()
        self.terms = nn.ModuleDict(terms)
        self.weights = dict(weights)
        self.regions = regions
        self.ignore_label = ignore_label

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        channels = 1
        if self.regions:
            channels = logits.shape[1] + (self.ignore_label is not None)
        # nnU-Net's Dice takes some wrong shapes without a word: it scatters what it can.
        wanted = (logits.shape[0], channels, *logits.shape[2:])
        if tuple(target.shape) != wanted:
            raise ValueError(
                f"loss: the target is {tuple(target.shape)}; for logits {tuple(logits.shape)} of "
                f"{'regions' if self.regions else 'labels'}, ignore label {self.ignore_label}, it must be "
                f"{wanted}"
            )
        # Here, and not left to autocast: it keeps sigmoid in fp16, and no term is to sum voxels in it.
        logits = logits.float()
        target, valid = _split(target, regions=self.regions, ignore_label=self.ignore_label)
        losses = [self.weights[n] * term(logits, target, valid) for n, term in self.terms.items()]
        return reduce(torch.add, losses)

    def extra_repr(self) -> str:
        return f"weights={self.weights}, regions={self.regions}, ignore_label={self.ignore_label}"


class AttentionLoss(nn.Module):
    """Soft Dice loss of an attention map against the foreground pooled to the map's size (002).

    The map's target is the share of foreground among the valid voxels that a voxel of the map stands for;
    it weighs as much as the share of valid ones. So the loss is, but for ``smooth``, that of the map enlarged
    to full resolution. Of regions the foreground is their union. Minus Dice, as nnU-Net has it: -1 at best.

    Shapes: map (B, 1, *s) in 0..1; target (B, 1 or R, *S) as in :class:`SegmentationLoss`, s <= S; -> scalar.

    Args:
        regions: see :func:`build_loss`.
        ignore_label: see :func:`build_loss`.
    """

    def __init__(self, *, regions: bool, ignore_label: int | None) -> None:
        super().__init__()
        self.regions = regions
        self.ignore_label = ignore_label
        self.dice = MemoryEfficientSoftDiceLoss(smooth=_SMOOTH, ddp=False)

    def forward(self, attention: Tensor, target: Tensor) -> Tensor:
        size, full = tuple(attention.shape[2:]), tuple(target.shape[2:])
        fits = len(size) == len(full) and all(s <= f for s, f in zip(size, full, strict=True))
        if attention.shape[:2] != (target.shape[0], 1) or not fits:
            raise ValueError(
                f"attention loss: the map is {tuple(attention.shape)}, the target {tuple(target.shape)}; a map "
                f"of one channel, {(target.shape[0], 1)} and at most {full}, is wanted"
            )
        with torch.no_grad():
            target, valid = _split(target, regions=self.regions, ignore_label=self.ignore_label)
            foreground = (target > 0).any(1, keepdim=True).float()
            if valid is None:
                weight, share = None, _pool(foreground, size)
            else:
                weight = _pool(valid.float(), size)
                share = _pool(foreground * valid, size) / weight.clamp(min=1e-8)
        loss: Tensor = self.dice(attention, share, loss_mask=weight)  # sums in fp32
        return loss


class OutputsLoss(nn.Module):
    """Weighted sum over what a network returns under deep supervision.

    nnU-Net's DeepSupervisionWrapper, but for maps of attention among the outputs, which are compared with the
    first, full-size target, and for the strict count.

    Args:
        segmentation: loss of (logits, target).
        attention: loss of (map, full-size target).
        outputs: (kind, weight) of each output in order; kinds as in ``architectures.outputs.Output``. An
            output of weight 0 is not looked at.

    Raises:
        ValueError: a kind that is not known; no weight above 0; in the call, more or fewer outputs or targets
            than were announced.
    """

    def __init__(
        self,
        segmentation: nn.Module,
        attention: nn.Module,
        outputs: Sequence[tuple[str, float]],
    ) -> None:
        super().__init__()
        losses = {"logits": segmentation, "auxiliary": segmentation, "attention": attention}
        for kind, weight in outputs:
            if kind not in losses or not weight >= 0:
                raise ValueError(
                    f"outputs loss: ({kind!r}, {weight}) is no output; kinds: {', '.join(losses)}; weights of "
                    "0 or more"
                )
        if not any(weight for _, weight in outputs):
            raise ValueError(
                "outputs loss: no output has a weight above 0; give one of them a weight"
            )
        self.segmentation = segmentation
        self.attention = attention
        self.outputs = tuple(outputs)

    def forward(self, outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        for name, given in (("outputs", outputs), ("targets", targets)):
            if isinstance(given, Tensor) or len(given) != len(self.outputs):
                found = "one tensor" if isinstance(given, Tensor) else f"{len(given)} {name}"
                raise ValueError(
                    f"outputs loss: got {found} for {len(self.outputs)} outputs "
                    f"({', '.join(kind for kind, _ in self.outputs)}); deep supervision must be on or off "
                    f"for network, loss and data alike"
                )
        losses = [
            weight
            * (
                self.attention(output, targets[0])
                if kind == "attention"
                else self.segmentation(output, target)
            )
            for (kind, weight), output, target in zip(self.outputs, outputs, targets, strict=True)
            if weight != 0
        ]
        return reduce(torch.add, losses)

    def extra_repr(self) -> str:
        return f"outputs={self.outputs}"


def output_weights(
    kinds: Sequence[str], decoder: Any, extra: Mapping[str, float], *, keep_all: bool = False
) -> list[float]:
    """Weight of each output: the decoder's as nnU-Net has them, the others' from the procedure.

    nnU-Net halves the weight from level to level, leaves the coarsest out and lets the sum be 1. The coarsest
    counts where it is the only one, or where the plans chose the levels.

    Args:
        kinds: kind of each output, in order.
        decoder: its ``stages`` tell how many levels could have a head.
        extra: weights of outputs beyond the decoder's, in place of :data:`DEFAULT_WEIGHTS`.
        keep_all: no weight is 0: DDP complains about parameters without gradient.
    """
    logits = list(kinds).count("logits")
    levels = [0.5**i for i in range(logits)]
    if logits > 1 and logits == len(getattr(decoder, "stages", ())):
        levels[-1] = 1e-6 if keep_all else 0.0
    levels = [weight / sum(levels) for weight in levels]
    shares = DEFAULT_WEIGHTS | dict(extra)
    return [levels.pop(0) if kind == "logits" else shares[kind] for kind in kinds]


class _CrossEntropy(nn.Module):
    """Cross-entropy of labels, mean over the valid voxels, 0 where there is none."""

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        labels = target[:, 0].long()
        if valid is None:
            return F.cross_entropy(logits, labels)
        ignored = -100  # torch's own mark
        labels = labels.where(valid[:, 0], ignored)
        total = F.cross_entropy(logits, labels, reduction="sum", ignore_index=ignored)
        return total / valid.sum().clamp(min=1)


class _BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy of every channel on its own; of labels, the background's channel among them.

    Mean over voxels and channels. With regions and an ignore label it is the sum over channels: nnU-Net's.
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


class _Focal(nn.Module):
    """-alpha (1 - p)^gamma log p, p the probability of the truth (003; Lin et al. 2017, arXiv 1708.02002).

    Of labels p is softmax's, as 003 ends in a softmax, and the loss the mean over voxels: with two classes
    exactly 003's. alpha weighs the foreground classes, 1 - alpha the background. Of regions p is the sigmoid's,
    alpha weighs inside, 1 - alpha outside, and the loss is the mean over voxels and regions.
    """

    def __init__(self, *, regions: bool, alpha: float = 0.5, gamma: float = 2.0) -> None:
        super().__init__()
        # Late: `import monai` takes seconds, and few losses are focal.
        from monai.losses import FocalLoss

        self.regions = regions
        self.focal = FocalLoss(alpha=alpha, gamma=gamma, use_softmax=not regions, reduction="none")

    def forward(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        if self.regions:
            losses = self.focal(logits, target).mean(1, keepdim=True)
        else:  # all channels but the truth's are 0
            losses = self.focal(logits, _one_hot(target, logits)).sum(1, keepdim=True)
        return _mean(losses, valid)


def _split(
    target: Tensor, *, regions: bool, ignore_label: int | None
) -> tuple[Tensor, Tensor | None]:
    """The target free of its ignored voxels, and the mask (B, 1, *S) of the others; None where all are valid."""
    if ignore_label is None:
        return target, None
    if regions:
        return target[:, :-1], target[:, -1:] == 0
    valid = target != ignore_label
    return target.where(valid, 0), valid


def _one_hot(target: Tensor, logits: Tensor) -> Tensor:
    return torch.zeros_like(logits).scatter_(1, target.long(), 1)


def _mean(losses: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the valid voxels, 0 where there is none; of several channels their sum."""
    if valid is None:
        return losses.mean()
    return (losses * valid).sum() / valid.sum().clamp(min=1)


def _pool(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Average of (B, C, *S) over the voxels that each voxel of ``size`` stands for."""
    pool: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(size) - 1]
    pooled: Tensor = pool(x, size)
    return pooled
