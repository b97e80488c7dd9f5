"""Live bytes and operations, counted for real and for fake tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

#: Block size in bytes to which CUDA's caching allocator rounds up.
BLOCK = 512


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds every new storage to a running total until the storage is freed, as an allocator does.

    Views and in-place operations create no storage. Memory that an operation allocates and frees internally is
    unknown, except for the backward pass of convolutions: it copies the input into its own layout, so that copy
    counts while the operation runs (measured with oneDNN).

    FLOPs follow torch's own formulas. ``FlopCounterMode`` is not used on top, as its hooks keep gradients alive.

    Attributes:
        now: bytes that are live.
        peak: maximum of ``now`` since :meth:`reset`.
        moved: bytes that operations read and wrote since :meth:`reset`, without views.
        flops: floating-point operations since :meth:`reset` (a multiply-add counts as two).

    >>> with LiveBytes() as live:
    ...     x = torch.zeros(1024)
    ...     y = x.exp()
    ...     del y
    >>> live.now, live.peak
    (4096, 8192)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = self.moved = self.flops = 0
        self._known: dict[int, weakref.finalize[..., Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation and count its result."""
        # Old torch runs this for the ':' of x[:, 1:], new torch does not (2.6 and 2.14); counts must not differ.
        if func is torch.ops.aten.slice_backward.default and list(args[0].shape) == list(args[1]):
            return args[0]
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func.namespace != "aten":  # a query of the device, a mark of the profiler
            return result
        for tensor in _tensors(result):
            self._add(tensor.untyped_storage())
        copied = args[1].nbytes if func is torch.ops.aten.convolution_backward.default else 0
        self.peak = max(self.peak, self.now + copied)
        if formula := flop_registry.get(func._overloadpacket):
            self.flops += formula(*args, **kwargs, out_val=result)
        if not func.is_view:
            self.moved += sum(t.nbytes for t in _tensors((result, args)))
        return result

    def reset(self) -> None:
        """Set ``peak`` to the bytes that are live now, ``moved`` and ``flops`` to zero."""
        self.peak, self.moved, self.flops = self.now, 0, 0

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            size = -(-storage.nbytes() // BLOCK) * BLOCK
            self._known[key] = weakref.finalize(storage, self._remove, key, size)
            self.now += size

    def _remove(self, key: int, size: int) -> None:
        if self._known.pop(key, None) is not None:
            self.now -= size


def _tensors(tree: Any) -> Iterable[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))
