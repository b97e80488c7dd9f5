"""Tensors with shape, type and device but no data, on which a training step is counted.

torch's own FakeTensor answers for symbolic sizes and every device, and takes four times as long; a test holds
the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from nnunet_plugins.costs.live_bytes import Cost, LiveBytes, cost_of

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The device that hollow tensors name: autocast knows it, and no card is wanted.
CPU = torch.device("cpu")
META = torch.device("meta")


@dataclass(frozen=True, eq=False)
class _Form:
    """What is known of a tensor without data. There is one object for each form, so that comparing is quick."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype

    _known: ClassVar[dict[Any, _Form]] = {}

    @classmethod
    def of(cls, tensor: torch.Tensor) -> _Form:
        key = (tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), tensor.dtype)
        if key not in cls._known:
            cls._known[key] = cls(*key)
        return cls._known[key]


class Hollow(torch.Tensor):
    """A CPU tensor without data; its storage, which views share, lies on 'meta' and knows its bytes."""

    _form: _Form
    _storage: torch.UntypedStorage

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, form: _Form, storage: torch.UntypedStorage) -> Hollow:
        made: Hollow = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            form.shape,
            strides=form.stride,
            storage_offset=form.offset,
            dtype=form.dtype,
            device=CPU,
        )
        made._form, made._storage = form, storage
        return made

    def untyped_storage(self) -> torch.UntypedStorage:
        """On 'meta'."""
        return self._storage

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise RuntimeError(f"{func}: a tensor without data, outside of HollowMode")


@dataclass(frozen=True)
class _Made:
    """A tensor that an operation returns.

    Attributes:
        form: its form; None for an argument that is returned itself.
        source: which tensor argument it is or views; None for one with a storage of its own.
        storage: which of the operation's new storages it lies in.
        nbytes: of that storage.
    """

    form: _Form | None
    source: int | None = None
    storage: int = 0
    nbytes: int = 0


@dataclass(frozen=True)
class _Answer:
    """What an operation returns and costs.

    Attributes:
        leaves: tensors and other values.
        tree: what they are leaves of; None for a leaf alone.
        cost: of the operation.
    """

    leaves: Sequence[Any]
    tree: Any
    cost: Cost


class HollowMode(TorchDispatchMode):
    """Lets operations make hollow tensors in place of real ones.

    Torch's own kernels for 'meta' tell what an operation returns; the answer is kept for the next call on
    tensors of the same form, of which a network makes many.

    Args:
        live: counts what is made.
    """

    _answers: ClassVar[dict[Any, _Answer]] = {}

    def __init__(self, live: LiveBytes | None = None) -> None:
        super().__init__()
        self.live = live

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch's question: wrap every call to keep the compiler out; that imports it, and costs at every call."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tensors: list[torch.Tensor] = []
        key = (func, _key(args, tensors), _key(tuple(kwargs.items()), tensors) if kwargs else None)
        answer = self._answers.get(key)
        if answer is None:
            if not _takes(func, tensors):
                return self._carried_out(func, args, kwargs or {})
            answer = self._answers[key] = _ask(func, args, kwargs or {})
        storages: dict[int, torch.UntypedStorage] = {}
        made = [
            _make(leaf, tensors, storages) if isinstance(leaf, _Made) else leaf
            for leaf in answer.leaves
        ]
        if self.live is not None:
            self.live.note(made, answer.cost)
        return made[0] if answer.tree is None else tree_unflatten(made, answer.tree)

    def _carried_out(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        result = func(*args, **kwargs)
        if self.live is not None and func.namespace == "aten":
            self.live.note(tree_leaves(result), cost_of(func, args, kwargs, result))
        return result


def _takes(func: Any, tensors: list[torch.Tensor]) -> bool:
    """Not the profiler's marks, which the optimisers set, nor constants, whose values may be asked for."""
    if func.namespace != "aten":
        return False
    return not tensors or any(isinstance(t, Hollow) for t in tensors)


def _key(value: Any, tensors: list[torch.Tensor]) -> Any:
    """``value`` as part of a dictionary's key; its tensors are added to ``tensors``."""
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return value._form if isinstance(value, Hollow) else (_Form.of(value),)
    if isinstance(value, (list, tuple)):
        return tuple([_key(v, tensors) for v in value])
    return type(value), value  # True is not 1


def _make(
    made: _Made, tensors: list[torch.Tensor], storages: dict[int, torch.UntypedStorage]
) -> torch.Tensor:
    if made.form is None:
        return tensors[made.source]  # type: ignore[index]
    if made.source is not None:
        return Hollow(made.form, tensors[made.source].untyped_storage())
    if made.storage not in storages:
        storages[made.storage] = torch.UntypedStorage(made.nbytes, device=META)
    return Hollow(made.form, storages[made.storage])


def _ask(func: Any, args: Any, kwargs: dict[str, Any]) -> _Answer:
    """Run ``func`` on 'meta'."""
    given, tree = tree_flatten((args, kwargs))
    on_meta = [_on_meta(v) if isinstance(v, torch.Tensor) else v for v in given]
    sources = [v for v in on_meta if isinstance(v, torch.Tensor)]
    forms = [_Form.of(t) for t in sources]
    args, kwargs = tree_unflatten(on_meta, tree)
    if any(a.name == "device" for a in func._schema.arguments):
        kwargs["device"] = META
    returned = func(*args, **kwargs)
    if forms != [_Form.of(t) for t in sources]:
        raise NotImplementedError(
            f"{func}: changes the shape of a tensor in place, cannot be counted"
        )
    leaves, out = tree_flatten(returned)
    storages = [t.untyped_storage()._cdata for t in sources]
    fresh: dict[int, int] = {}
    made = [
        _made(leaf, sources, storages, fresh) if isinstance(leaf, torch.Tensor) else leaf
        for leaf in leaves
    ]
    cost = cost_of(func, args, kwargs, returned)
    return _Answer(made, None if out.is_leaf() else out, cost)


def _made(
    tensor: torch.Tensor, sources: list[torch.Tensor], storages: list[int], fresh: dict[int, int]
) -> _Made:
    for i, source in enumerate(sources):
        if tensor is source:
            return _Made(None, i)
    storage = tensor.untyped_storage()
    if storage._cdata in storages:
        return _Made(_Form.of(tensor), storages.index(storage._cdata))
    number = fresh.setdefault(storage._cdata, len(fresh))
    return _Made(_Form.of(tensor), None, number, storage.nbytes())


def _on_meta(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same form and storage size on 'meta'."""
    form = _Form.of(tensor)
    elements = tensor.untyped_storage().nbytes() // tensor.element_size()
    storage = torch.empty(elements, dtype=form.dtype, device=META)
    return storage.as_strided(form.shape, form.stride, form.offset)
