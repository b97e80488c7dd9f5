"""Bytes of tensors that are alive, counted as an allocator would, on tensors that need have no data."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Bytes that CUDA's caching allocator rounds up to.
BLOCK = 512


class LiveBytes(TorchDispatchMode):
    """Adds up the storages that operations make and takes them off when they are freed.

    Views and in-place operations make none. What an operation allocates and frees inside itself is not seen,
    but for convolutions: their backward pass turns the input into the layout that it computes in, so a copy
    of it counts while they run (measured with oneDNN, see tests).

    Attributes:
        now: bytes that are alive.
        peak: the most there were since the start or the last :meth:`forget_peak`.
        flops: floating-point operations since the start, by torch's own formulas (a multiply-add is two).
        moved: bytes that operations read and wrote since the start, views left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self.flops = 0
        self.moved = 0
        self._known: dict[int, weakref.finalize] = {}

    def add(self, tensors: Iterable[Any]) -> None:
        """Count the storages of tensors that were made outside."""
        for tensor in tensors:
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in self._known:
                continue
            size = -(-storage.nbytes() // BLOCK) * BLOCK
            self._known[key] = weakref.finalize(storage, self._drop, key, size)
            self.now += size
        self.peak = max(self.peak, self.now)

    def forget_peak(self) -> None:
        """Start the peak anew at what is alive."""
        self.peak = self.now

    def _drop(self, key: int, size: int) -> None:
        if self._known.pop(key, None) is not None:
            self.now -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.namespace != "aten":  # questions for a device, the profiler's marks
            return result
        made = [result] if isinstance(result, torch.Tensor) else tree_leaves(result)
        self.add(made)
        if not func.is_view:
            self.moved += _bytes(made) + _bytes(args)
        if func is torch.ops.aten.convolution_backward.default:
            self.peak = max(self.peak, self.now + args[1].nbytes)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _bytes(values: Iterable[Any]) -> int:
    """Of tensors and lists of tensors."""
    total = 0
    for value in values:
        if isinstance(value, torch.Tensor):
            total += value.nbytes
        elif isinstance(value, (list, tuple)):
            total += _bytes(value)
    return total
