"""From slabs of logits to a label map on the image's grid, without the logits on that grid.

The result is that of `nnunetv2.inference.export_prediction`, voxel for voxel. nnU-Net's default resampling is
computed only where `linear.agreement` does not decide. Any other function is called for one class at a time, and the
largest value so far is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnunet_plugins.prediction.linear import Axis, agreement, blend, linear_axes

#: A logit's rounding to float16, relative, twice and a little more; and that of the smallest numbers.
_ROUNDED, _SMALLEST = 2**-10 * 1.01, 1e-6
_SLAB = 4_000_000  # voxels that are labelled at a time
_POINTS = 100_000  # voxels that are interpolated at a time


@dataclass(frozen=True)
class Grids:
    """Where a case's logits are, and where its label map is needed.

    Attributes:
        labels: nnU-Net's label manager.
        resample: nnU-Net's function for logits, from the plans.
        stored: voxels of the logits, 3 axes.
        shape: voxels of the cropped image.
        spacing: of the logits, mm.
        target: of the image, mm.
    """

    labels: Any
    resample: partial[Any]
    stored: tuple[int, ...]
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    target: tuple[float, ...]

    @classmethod
    def of(cls, predictor: Any, stored: Sequence[int], properties: dict[str, Any]) -> Grids:
        """The grids of a preprocessed case.

        Args:
            predictor: nnU-Net's predictor with a model loaded.
            stored: voxels of the preprocessed image, 3 axes.
            properties: from nnU-Net's preprocessor.
        """
        target = [properties["spacing"][i] for i in predictor.plans_manager.transpose_forward]
        planned = list(predictor.configuration_manager.spacing)
        shape = properties["shape_after_cropping_and_before_resampling"]
        spacing = planned if len(planned) == len(shape) else [target[0], *planned]
        return cls(
            predictor.label_manager, predictor.configuration_manager.resampling_fn_probabilities,
            tuple(stored), tuple(map(int, shape)), tuple(spacing), tuple(target),
        )  # fmt: skip

    def one_class(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Resample the logits (A, B, C) of one class with nnU-Net's function."""
        found = self.resample(logits[None], self.shape, list(self.spacing), list(self.target))
        one: NDArray[Any] = np.asarray(found)[0]
        return one

    def whole(self, rows: Iterable[Tensor]) -> Tensor:
        """The logits (heads, A, B, C) of slabs along the first axis, without a second copy of all."""
        found = torch.empty((self.labels.num_segmentation_heads, *self.stored), dtype=torch.half)
        at = 0
        for slab in rows:
            found[:, at : at + slab.shape[1]] = slab
            at += slab.shape[1]
        return found

    @property
    def axes(self) -> list[Axis] | None:
        """The axes of nnU-Net's default resampling; None for another one."""
        return linear_axes(self.resample, self.stored, self.shape, self.spacing, self.target)


def label_map(rows: Iterable[Tensor], grids: Grids, out: NDArray[Any]) -> None:
    """Write the label map of a case.

    Args:
        rows: slabs of logits (heads, a, B, C), float16, along the first axis.
        grids: of the case.
        out: array of the shape ``grids.shape``; may be a view.
    """
    axes = grids.axes
    if axes is None:
        _class_by_class(grids.whole(rows), grids, out)
    else:
        _slab_by_slab(_gathered(rows, grids), axes, grids.labels, out)


def _class_by_class(logits: Tensor, grids: Grids, out: NDArray[Any]) -> None:
    """Any resampling: one class at the image's size, and the largest value so far."""
    labels = grids.labels
    if labels.has_regions:
        out[...] = 0
        for values, label in zip(logits.numpy(), labels.regions_class_order, strict=True):
            found = labels.apply_inference_nonlin(grids.one_class(values))
            out[found.numpy() > 0.5] = label
        return
    best = grids.one_class(logits[0].numpy()).copy()
    out[...] = 0
    for number in range(1, len(logits)):
        values = grids.one_class(logits[number].numpy())
        larger = values > best
        out[larger] = number
        np.maximum(best, values, out=best)


def _slab_by_slab(
    rows: Iterable[Tensor], axes: Sequence[Axis], labels: Any, out: NDArray[Any]
) -> None:
    first, in_plane = axes[0], int(np.prod(out.shape[1:]))
    count = labels.num_segmentation_heads
    kind = np.uint8 if count < 255 else np.uint16
    mark = np.iinfo(kind).max
    table = np.arange(count + 1)
    if labels.has_regions:
        table = np.array([0, *labels.regions_class_order])
    held: Tensor | None = None
    codes = np.empty((0, 0, 0), kind)
    start = done = 0  # row of the logits that is held first; rows of the label map that are written
    for slab in rows:
        fresh = (_region_codes if labels.has_regions else _label_codes)(slab, kind, mark)
        held = slab if held is None else torch.cat([held, slab], 1)
        codes = fresh if not len(codes) else np.concatenate([codes, fresh])
        ready = int(np.searchsorted(first.high, start + held.shape[1]))
        step = max(1, _SLAB // in_plane)
        for low in range(done, ready, step):
            part = slice(low, min(low + step, ready))
            own = _shifted(first, part, start)
            _label(held, codes, [own, *axes[1:]], mark, table, labels, out[part])
        done = ready
        unneeded = (
            int(first.low[done]) if done < len(first.low) else start + held.shape[1]
        ) - start
        if unneeded > 0:
            held, codes = held[:, unneeded:].clone(), codes[unneeded:]
            start += unneeded
    if done != len(out):
        raise RuntimeError(f"{done} of {len(out)} rows of the label map have logits")


def _shifted(axis: Axis, part: slice, start: int) -> Axis:
    weights = None if axis.weights is None else axis.weights[:, part]
    return Axis(axis.low[part] - start, axis.high[part] - start, weights)


def _label(held: Tensor, codes: NDArray[Any], axes: Sequence[Axis], mark: int, table: NDArray[Any],
           labels: Any, out: NDArray[Any]) -> None:  # fmt: skip
    """Label a part of the image: by the codes where they agree, by interpolated logits elsewhere."""
    low, high = int(axes[0].low.min()), int(axes[0].high.max()) + 1
    near = _shifted(axes[0], slice(None), low)
    found = agreement(codes[low:high], [near, *axes[1:]], mark)
    open_ = found == mark
    found[open_] = 0
    out[...] = table[found] if labels.has_regions else found
    points = np.nonzero(open_)
    values = held.numpy()
    for begin in range(0, len(points[0]), _POINTS):
        some = [axis[begin : begin + _POINTS] for axis in points]
        logits = blend(values, axes, some)
        out[tuple(some)] = labels.convert_logits_to_segmentation(logits)


def _label_codes(slab: Tensor, kind: type[Any], mark: int) -> NDArray[Any]:
    """The class of the largest logit of each voxel; the mark where rounding might decide."""
    best = slab[0].float()
    second = torch.full_like(best, -torch.inf)
    codes = torch.zeros(best.shape, dtype=torch.int16)
    for number in range(1, len(slab)):
        values = slab[number].float()
        codes.masked_fill_(values > best, number)
        torch.maximum(second, torch.minimum(best, values), out=second)
        torch.maximum(best, values, out=best)
    unsure = best - second <= best.abs() * _ROUNDED + _SMALLEST
    found = codes.numpy().astype(kind)
    found[unsure.numpy()] = mark
    return found


def _region_codes(slab: Tensor, kind: type[Any], mark: int) -> NDArray[Any]:
    """One plus the last region whose logit is positive, 0 without one; the mark where rounding might decide."""
    codes = torch.zeros(slab.shape[1:], dtype=torch.int16)
    unsure = torch.zeros(slab.shape[1:], dtype=torch.bool)
    for number, values in enumerate(slab):
        positive = values > _SMALLEST
        codes.masked_fill_(positive, number + 1)
        unsure = (unsure & ~positive) | ((values > 0) & ~positive)
    found = codes.numpy().astype(kind)
    found[unsure.numpy()] = mark
    return found


def _gathered(rows: Iterable[Tensor], grids: Grids) -> Iterator[Tensor]:
    """Slabs of at least some voxels each: those of a 2D model have one slice."""
    least = max(1, _SLAB // (4 * int(np.prod(grids.stored[1:]))))
    waiting: list[Tensor] = []
    for slab in rows:
        waiting.append(slab)
        if sum(one.shape[1] for one in waiting) >= least:
            yield torch.cat(waiting, 1) if len(waiting) > 1 else slab
            waiting = []
    if waiting:
        yield torch.cat(waiting, 1)
