"""Tensors with shape, type and device but no data, on which a training step is counted.

torch's own FakeTensor answers for symbolic sizes and every device, and takes four times as long; a test holds
the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

#: The device that hollow tensors name: autocast knows it, and no card is wanted.
CPU = torch.device("cpu")
META = torch.device("meta")


class _Form(NamedTuple):
    """What is known of a tensor without data."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: torch.Tensor) -> _Form:
        return cls(tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), tensor.dtype)


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


class HollowMode(TorchDispatchMode):
    """Lets operations make hollow tensors in place of real ones.

    Torch's own kernels for 'meta' tell what an operation returns; the answer is kept for the next call on
    tensors of the same form, of which a network makes many.
    """

    #: What operations return, by operation and arguments.
    _answers: ClassVar[dict[Any, tuple[list[Any], Any]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace != "aten":  # the profiler's marks, which the optimisers set
            return func(*args, **(kwargs or {}))
        tensors: list[torch.Tensor] = []
        key = (func, _key(args, tensors), _key(tuple((kwargs or {}).items()), tensors))
        if tensors and not any(isinstance(t, Hollow) for t in tensors):
            return func(*args, **(kwargs or {}))  # a constant, whose value may be asked for
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = _ask(func, args, kwargs or {})
        leaves, tree = answer
        storages: dict[int, torch.UntypedStorage] = {}
        made = [
            _make(leaf, tensors, storages) if isinstance(leaf, _Made) else leaf for leaf in leaves
        ]
        return made[0] if tree is None else tree_unflatten(made, tree)


def _key(value: Any, tensors: list[torch.Tensor]) -> Any:
    """``value`` as part of a dictionary's key; its tensors are added to ``tensors``."""
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return value._form if isinstance(value, Hollow) else _Form.of(value)
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


def _ask(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
    """Run ``func`` on 'meta': the leaves of what it returns and their tree, which is None for a leaf alone."""
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
    answer = [
        _made(leaf, sources, storages, fresh) if isinstance(leaf, torch.Tensor) else leaf
        for leaf in leaves
    ]
    return answer, None if out.is_leaf() else out


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
