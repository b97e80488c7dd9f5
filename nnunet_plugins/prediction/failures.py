"""Why a case could not be predicted, in one line."""

from __future__ import annotations

from dataset_conversion.errors import DatasetError
from nnunet_plugins.errors import UserError


def failure_of(error: Exception) -> str:
    """The reason to print for whatever nnU-Net, ITK or torch raise on a case.

    >>> failure_of(MemoryError("3 GB"))
    'memory ran out (3 GB)'
    """
    if isinstance(error, UserError | DatasetError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"memory ran out ({error})"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
