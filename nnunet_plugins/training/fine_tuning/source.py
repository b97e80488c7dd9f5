"""Checkpoints to start from: nnU-Net's model folders, exported zips and checkpoints, and those of nnssl.

Checkpoints are read as plain data. One that holds more is a pickle that can run code of its author; it is read only
if its SHA-256 is one that the user trusts.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar

from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import MALFORMED, resolve

CHECKPOINT = "checkpoint_final.pth"
#: Plain data that torch does not allow by itself: nnU-Net keeps its curves as numbers of NumPy.
_PLAIN: list[Any] = [
    scalar,
    (scalar, "numpy.core.multiarray.scalar"),  # as NumPy 1 names it
    np.dtype,
    *(type(np.dtype(t)) for t in ("f2", "f4", "f8", "i4", "i8", "bool")),
]
_WRAPPERS = ("module.", "_orig_mod.")  # of DDP and the compiler


@dataclass(frozen=True)
class Source:
    """Weights and what is known of their training.

    Attributes:
        path: of the model folder, zip or checkpoint.
        checkpoint: path within a folder or zip; '' for a checkpoint file.
        sha256: digest of the checkpoint.
        weights: name -> tensor.
        arguments: nnU-Net's ``init_args``: plans, configuration, dataset_json; {} if they are not recorded.
        nnssl: nnssl's ``nnssl_adaptation_plan``; {} for other checkpoints.
    """

    path: Path
    checkpoint: str
    sha256: str
    weights: Mapping[str, torch.Tensor]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    nnssl: Mapping[str, Any] = field(default_factory=dict)

    @property
    def configuration(self) -> dict[str, Any]:
        """The configuration of the plans that the weights were trained with; {} if it is not recorded."""
        name = self.arguments.get("configuration")
        return resolve(_mapping(self.arguments, "plans"), name) if isinstance(name, str) else {}

    @property
    def dataset(self) -> Mapping[str, Any]:
        """The dataset.json of their training; {} if it is not recorded."""
        return _mapping(self.arguments, "dataset_json")

    @property
    def labels(self) -> Mapping[str, Any]:
        """Labels of their dataset; {} if they are not recorded."""
        return _mapping(self.dataset, "labels")

    def __str__(self) -> str:
        return f"{self.path}: {self.checkpoint}" if self.checkpoint else str(self.path)


def read_source(entry: Mapping[str, Any], *, trust: bool = False) -> Source:
    """Read the checkpoint that a ``pretrained`` entry names.

    Args:
        entry: with ``source`` and perhaps ``checkpoint``, ``sha256`` and ``trusted``.
        trust: also read a pickle, which can run code of its author.

    Raises:
        UserError: no such file, several checkpoints of which none is named, another checkpoint than when the plans
            were made, a pickle that is not trusted, or a format that is not known.
    """
    path = Path(entry["source"])
    checkpoint, content = _found(path, entry.get("checkpoint"))
    where = f"{path}: {checkpoint}" if checkpoint else str(path)
    digest = hashlib.sha256(content).hexdigest()
    if entry.get("sha256", digest) != digest:
        raise UserError(
            f"{where}: the checkpoint has changed since the plans were made (SHA-256 {digest[:12]}..., then "
            f"{entry['sha256'][:12]}...); plan again with the same options and --force"
        )
    loaded = _loaded(content, where, trusted=trust or entry.get("trusted") == digest)
    weights = loaded.get("network_weights") if isinstance(loaded, Mapping) else None
    if not isinstance(weights, Mapping) or not all(
        isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in weights.items()
    ):
        raise UserError(
            f"{where}: not a checkpoint of nnU-Net v2 or nnssl: 'network_weights' with tensors is missing"
        )
    return Source(
        path,
        checkpoint,
        digest,
        {_unwrapped(name): one for name, one in weights.items()},
        _mapping(loaded, "init_args"),
        _mapping(loaded, "nnssl_adaptation_plan"),
    )


def _found(path: Path, wanted: str | None) -> tuple[str, bytes]:
    """Name of the checkpoint in a folder or zip, and its bytes."""
    try:
        if path.is_dir():
            files = {str(p.relative_to(path).as_posix()): p for p in path.rglob("checkpoint_*.pth")}
            name = _chosen(path, list(files), wanted)
            return name, files[name].read_bytes()
        if path.suffix.lower() == ".zip" and path.is_file():
            with zipfile.ZipFile(path) as archive:
                name = _chosen(path, archive.namelist(), wanted)
                return name, archive.read(name)
        if wanted:
            raise UserError(
                f"{path}: pretrained.checkpoint is {wanted!r}, but the source is neither a folder nor a zip; omit it"
            )
        return "", path.read_bytes()
    # RuntimeError: encrypted, or compressed by an unknown method.
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path}: pretrained.source cannot be read ({error}); expected a model folder, a zip of "
            "nnUNetv2_export_model_to_zip, or a checkpoint"
        ) from error


def _chosen(path: Path, names: list[str], wanted: str | None) -> str:
    checkpoints = sorted(n for n in names if PurePosixPath(n).match("checkpoint_*.pth"))
    fits = [n for n in checkpoints if PurePosixPath(n).match(wanted or CHECKPOINT)]
    if len(fits) == 1:
        return fits[0]
    what = f"{len(fits)} checkpoints" if fits else "no checkpoint"
    shown = ", ".join(fits or checkpoints) or "none"
    raise UserError(
        f"{path}: {what} called {wanted or CHECKPOINT}; available: {shown}. Choose one, e.g. "
        f"""--training '{{"pretrained": {{"checkpoint": "{(fits or checkpoints or [CHECKPOINT])[0]}"}}}}'"""
    )


def _loaded(content: bytes, where: str, *, trusted: bool) -> Any:
    try:
        with torch.serialization.safe_globals(_PLAIN):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{where}: holds more than plain data, so reading it can run code of its author; if you trust its "
            "origin, plan with --trust"
        ) from error
    except (OSError, EOFError, *MALFORMED) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{where}: cannot be read as a checkpoint ({reason})") from error


def _unwrapped(name: str) -> str:
    for wrapper in _WRAPPERS * 2:
        name = name.removeprefix(wrapper)
    return name


def _mapping(loaded: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = loaded.get(key)
    return found if isinstance(found, Mapping) else {}
