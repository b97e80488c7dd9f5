"""The counter on tensors that are not ours: with data, or torch's fake ones."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnunet_plugins.costs.live_bytes import LiveBytes, cost_of


class RealMode(TorchDispatchMode):
    """Tells ``live`` of every operation, which is carried out as ever."""

    def __init__(self, live: LiveBytes) -> None:
        super().__init__()
        self.live = live

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.namespace == "aten":  # others are questions for a device, the profiler's marks
            self.live.note(tree_leaves(result), cost_of(func, args, kwargs or {}, result))
        return result
