"""Bytes of tensors that are alive, counted as an allocator would, on tensors that need have no data."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Bytes that CUDA's caching allocator rounds up to.
BLOCK = 512


class Cost(NamedTuple):
    """What one operation costs.

    Attributes:
        flops: floating-point operations, by torch's own formulas (a multiply-add is two).
        moved: bytes that it reads and writes; none for a view.
        beside: bytes that it allocates and frees while it runs.
    """

    flops: int = 0
    moved: int = 0
    beside: int = 0


class LiveBytes:
    """Adds up the storages that operations make and takes them off when they are freed; ``HollowMode`` tells it.

    Views and in-place operations make none.

    Attributes:
        now: bytes that are alive.
        peak: the most there were since the start or the last :meth:`forget_peak`.
        flops: floating-point operations since the start.
        moved: bytes that operations read and wrote since the start, views left out.
    """

    def __init__(self) -> None:
        self.now = 0
        self.peak = 0
        self.flops = 0
        self.moved = 0
        self._known: dict[int, weakref.finalize] = {}

    def note(self, made: Iterable[Any], cost: Cost) -> None:
        """Count an operation that made ``made``, tensors among others."""
        for tensor in made:
            if isinstance(tensor, torch.Tensor):
                self._keep(tensor.untyped_storage())
        self.peak = max(self.peak, self.now + cost.beside)
        self.flops += cost.flops
        self.moved += cost.moved

    def forget_peak(self) -> None:
        """Start the peak anew at what is alive."""
        self.peak = self.now

    def _keep(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            size = -(-storage.nbytes() // BLOCK) * BLOCK
            self._known[key] = weakref.finalize(storage, self._drop, key, size)
            self.now += size

    def _drop(self, key: int, size: int) -> None:
        if self._known.pop(key, None) is not None:
            self.now -= size


def cost_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Cost:
    """What an operation of aten costs that returned ``result``.

    What it allocates and frees inside itself is not known, but for convolutions: their backward pass turns the
    input into the layout that it computes in, so a copy of it counts while they run (measured with oneDNN, see
    tests).
    """
    formula = flop_registry.get(func._overloadpacket)
    return Cost(
        0 if formula is None else formula(*args, **kwargs, out_val=result),
        0 if func.is_view else _bytes(tree_leaves(result)) + _bytes(args),
        args[1].nbytes if func is torch.ops.aten.convolution_backward.default else 0,
    )


def _bytes(values: Iterable[Any]) -> int:
    """Of tensors and lists of tensors."""
    total = 0
    for value in values:
        if isinstance(value, torch.Tensor):
            total += value.nbytes
        elif isinstance(value, (list, tuple)):
            total += _bytes(value)
    return total
