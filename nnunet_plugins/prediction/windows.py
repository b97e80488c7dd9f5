"""nnU-Net's sliding window, whose logits are complete slab by slab.

nnU-Net adds the logits of all windows in one array of all classes. Its windows advance along the first axis: no
window of the next step reaches the rows before it. `logit_rows` yields these rows and forgets them. The numbers are
those of `nnUNetPredictor.predict_logits_from_preprocessed_data`: the same windows in the same order, in float16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

Window = tuple[Any, ...]
_ROWS = 8  # that are yielded at a time


@torch.inference_mode()
def logit_rows(
    predictor: Any, data: Tensor, each: Callable[[Iterable[Tensor]], None] | None = None
) -> Iterator[Tensor]:
    r"""Yield the logits of an image in slabs along its first axis, averaged over the folds.

    Args:
        predictor: nnU-Net's predictor with a model loaded.
        data: (channels, A, B, C), preprocessed, with one-hot labels of the previous stage in a cascade.
        each: called before, once per fold, with the slabs of the fold's own logits; it must take all of them.

    Yields:
        (heads, a, B, C), float16, in the memory of the CPU; the a add up to A.

    Raises:
        RuntimeError: a logit is infinite in float16, or NaN.
    """
    folds = [_rows(predictor, data, weights) for weights in predictor.list_of_parameters]
    if len(folds) == 1 and each is None:
        yield from folds[0]
        return
    depth = predictor.configuration_manager.patch_size
    deep = depth[0] if len(depth) == 3 else 1
    if len(folds) * deep <= data.shape[1] and each is None:
        for parts in zip(*folds, strict=True):  # a window's depth per fold
            yield _mean(parts)
        return
    sums: list[Tensor] = []
    for fold in folds:
        own = _added(fold, sums)
        (each or _exhaust)(own)
    while sums:
        yield sums.pop(0).div_(len(folds))


def _added(rows: Iterable[Tensor], sums: list[Tensor]) -> Iterator[Tensor]:
    """Yield the slabs of a fold, and add each to the sums of the folds before; all folds have the same slabs."""
    first = not sums
    for number, slab in enumerate(rows):
        if first:
            sums.append(slab)
        else:
            sums[number] += slab
        yield slab


def _exhaust(rows: Iterable[Tensor]) -> None:
    for _ in rows:
        pass


def _mean(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total += part
    total /= len(parts)
    return total


@torch.inference_mode()
def _rows(predictor: Any, data: Tensor, weights: dict[str, Any]) -> Iterator[Tensor]:
    """Yield the logits of one fold; the network gets its weights again before each step."""
    from acvl_utils.cropping_and_padding.padding import pad_nd_image

    patch = predictor.configuration_manager.patch_size
    padded, inside = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
    first, inside = inside[1], (slice(None), slice(None), *inside[2:])
    begin, end, _ = first.indices(padded.shape[1])
    steps = [
        (start, list(windows))
        for start, windows in groupby(
            predictor._internal_get_sliding_window_slicers(padded.shape[1:]), key=_start
        )
    ]
    device = predictor.device if predictor.perform_everything_on_device else torch.device("cpu")
    depth = patch[0] if len(patch) == 3 else 1
    shape = (depth, *padded.shape[2:])
    heads = predictor.label_manager.num_segmentation_heads
    total = torch.zeros((heads, *shape), dtype=torch.half, device=device)
    count = torch.zeros(shape, dtype=torch.half, device=device)
    starts = [start for start, _ in steps]
    for (start, windows), after in zip(steps, [*starts[1:], starts[-1] + depth], strict=True):
        _use(predictor, weights)
        _add(predictor, padded, windows, total, count)
        done = after - start
        for row in range(max(begin - start, 0), min(end - start, done), _ROWS):
            part = slice(row, min(row + _ROWS, end - start, done))
            rows = torch.div(total[:, part], count[part])
            if not torch.isfinite(rows).all():
                raise RuntimeError(
                    "a logit is infinite in float16, in which nnU-Net adds the windows; nnU-Net stops here as well"
                    if not torch.isnan(rows).any()
                    else "a logit is NaN: the training diverged, or its weights are damaged; nnU-Net writes label 0"
                )
            yield rows[inside].cpu()
        _advance(total, done, 1)
        _advance(count, done, 0)


def _advance(values: Tensor, done: int, axis: int) -> None:
    """Move the rows from ``done`` on to the front, without a second copy of all, and clear the rest."""
    left = values.shape[axis] - done
    for row in range(0, left, done):
        size = min(done, left - row)
        values.narrow(axis, row, size).copy_(values.narrow(axis, row + done, size))
    values.narrow(axis, left, done).zero_()


def _start(window: Window) -> int:
    return int(window[1] if isinstance(window[1], int) else window[1].start)


def _use(predictor: Any, weights: dict[str, Any]) -> None:
    """Load a fold's weights, as nnU-Net does before it predicts with them."""
    network = predictor.network
    getattr(network, "_orig_mod", network).load_state_dict(weights)
    predictor.network = network.to(predictor.device)
    predictor.network.eval()


def _add(
    predictor: Any,
    data: Tensor,
    windows: Sequence[Window],
    total: Tensor,
    count: Tensor,
) -> None:
    """Add the logits of the windows of one step, weighted by nnU-Net's Gaussian."""
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    patch = tuple(predictor.configuration_manager.patch_size)
    weight = compute_gaussian(
        patch, sigma_scale=1.0 / 8, value_scaling_factor=10, device=total.device
    )
    for window in windows:
        part = data[window][None].to(predictor.device, memory_format=torch.contiguous_format)
        # As in nnU-Net: mixed precision on CUDA only.
        with torch.autocast(predictor.device.type, enabled=predictor.device.type == "cuda"):
            found = predictor._internal_maybe_mirror_and_predict(part)[0].to(total.device)
            found *= weight
        row = 0 if isinstance(window[1], int) else slice(None)
        place = (row, *window[2:])
        every = (slice(None), *place)
        total[every] += found
        count[place] += weight
