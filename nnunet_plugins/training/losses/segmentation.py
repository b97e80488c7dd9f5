"""Loss of a segmentation: the weighted sum of the terms of ``training.loss``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.helpers import softmax_helper_dim1
from torch import Tensor, nn

from nnunet_plugins.errors import UserError
from nnunet_plugins.training.losses.targets import SMOOTH, split_target
from nnunet_plugins.training.losses.terms import (
    BinaryCrossEntropy,
    CrossEntropy,
    DiceOfClasses,
    Focal,
)
from nnunet_plugins.training.procedure import read_procedure

#: nnU-Net's loss; 'ce' is binary cross-entropy for datasets with regions.
DEFAULT_LOSS = {"dice": 1.0, "ce": 1.0}


def build_loss(
    terms: Mapping[str, float | Mapping[str, Any]],
    *,
    regions: bool,
    ignore_label: int | None,
    batch_dice: bool,
    ddp: bool,
    compiled: bool = False,
    names: Sequence[str] = (),
    near: nn.Module | None = None,
) -> SegmentationLoss:
    """The weighted sum of ``terms``, as in ``training.loss``. Terms of weight 0 are not computed.

    Args:
        terms: term -> weight, or -> {"weight": weight, option: value}.
        regions: the target holds regions, which may overlap, not labels.
        ignore_label: the dataset's ignore label, or None.
        batch_dice: compute Dice over the batch, not per sample.
        ddp: the batch is distributed over the processes of torch.distributed; batch Dice gathers its sums.
        compiled: compile Dice, as nnU-Net does.
        names: of the channels of the logits, for the option ``classes``.
        near: weights of the voxels in all terms but Dice, from (target, valid); None for equal weights.

    Raises:
        UserError: a term, weight or option that is not allowed.

    >>> import torch
    >>> loss = build_loss(
    ...     {"ce": 1.0}, regions=False, ignore_label=None, batch_dice=False, ddp=False
    ... )
    >>> round(float(loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4))), 4)
    0.6931
    """
    read_procedure({"training": {"loss": dict(terms)}})
    weights: dict[str, float] = {}
    modules: dict[str, nn.Module] = {}
    for name, value in terms.items():
        options: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"weight": value}
        weight = options.pop("weight")
        classes = options.pop("classes", None)
        whole = regions or name != "dice" or bool(options.get("background", False))
        if classes is not None:
            classes = _per_channel(name, classes, names if whole else names[1:])
        if weight == 0:
            continue
        module: nn.Module
        if name == "dice":
            plain = torch.sigmoid if regions else softmax_helper_dim1
            module = MemoryEfficientSoftDiceLoss(
                apply_nonlin=plain if classes is None else None,
                batch_dice=batch_dice,
                do_bg=whole or classes is not None,
                smooth=SMOOTH,
                ddp=ddp,
            )
            if compiled:
                module.compile()
            if classes is not None:
                module = DiceOfClasses(
                    module, [*([] if whole else [0.0]), *classes], regions=regions
                )
        elif name == "focal":
            module = Focal(regions=regions, classes=classes, **options)
        elif name == "bce" or regions:
            module = BinaryCrossEntropy(regions=regions, classes=classes)
        else:
            module = CrossEntropy(classes)
        weights[name], modules[name] = weight, module
    return SegmentationLoss(modules, weights, regions=regions, ignore_label=ignore_label, near=near)


def _per_channel(term: str, classes: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """Weights in the order of the channels; 1 for those that are not named."""
    unknown = sorted(set(classes) - set(names))
    if unknown:
        raise UserError(
            f"plans: training.loss.{term}.classes names {', '.join(map(repr, unknown))}; the dataset has "
            f"{', '.join(names)}"
        )
    found = [float(classes.get(name, 1)) for name in names]
    if not any(found):
        raise UserError(f"plans: training.loss.{term}.classes leaves no class a weight above 0")
    return found


class SegmentationLoss(nn.Module):
    """Weighted sum of terms, each ``term(logits, target, valid)``, in fp32.

    Shapes: logits (B, C, *S); target (B, 1, *S) labels, or (B, C, *S) regions of 0 and 1, with the ignored
    voxels as a last channel if there is an ignore label; weight_map (B, 1, *S) weights of the voxels in all terms but
    Dice, or None; -> scalar.

    Args:
        terms: name -> module.
        weights: name -> weight.
        regions: see :func:`build_loss`.
        ignore_label: see :func:`build_loss`.
        near: see :func:`build_loss`.
    """

    def __init__(
        self,
        terms: Mapping[str, nn.Module],
        weights: Mapping[str, float],
        *,
        regions: bool,
        ignore_label: int | None,
        near: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.terms = nn.ModuleDict(terms)
        self.weights = dict(weights)
        self.regions = regions
        self.ignore_label = ignore_label
        self.near = near

    def forward(self, logits: Tensor, target: Tensor, weight_map: Tensor | None = None) -> Tensor:
        channels = 1
        if self.regions:
            channels = logits.shape[1] + (self.ignore_label is not None)
        # nnU-Net's Dice silently accepts some wrong shapes.
        expected = (logits.shape[0], channels, *logits.shape[2:])
        if tuple(target.shape) != expected:
            raise ValueError(
                f"loss: the target is {tuple(target.shape)}; for logits {tuple(logits.shape)} of "
                f"{'regions' if self.regions else 'labels'}, ignore label {self.ignore_label}, it must be "
                f"{expected}"
            )
        # Not left to autocast, which keeps sigmoid in fp16: terms must not sum voxels in half precision.
        logits = logits.float()
        target, valid = split_target(target, regions=self.regions, ignore_label=self.ignore_label)
        voxels = valid
        near = None if self.near is None else self.near(target, valid)
        for weights in (near, weight_map):
            if weights is not None:
                voxels = weights if voxels is None else weights * voxels
        losses = [
            self.weights[name] * term(logits, target, valid if name == "dice" else voxels)
            for name, term in self.terms.items()
        ]
        total: Tensor = reduce(torch.add, losses)
        return total

    def extra_repr(self) -> str:
        return f"weights={self.weights}, regions={self.regions}, ignore_label={self.ignore_label}"
