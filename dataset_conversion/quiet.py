"""Hold back the libraries' own warnings on what is checked here, with several cases at a time."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

_lock = threading.RLock()
_itk = {"users": 0, "shown": True}


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence Python's warnings; one thread at a time, as their filters belong to all.

    pydicom's parser holds Python's lock anyhow, so nothing is lost by waiting.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Silence ITK's warnings, such as those on uneven spacing, until the last user is done."""
    with _lock:
        if not _itk["users"]:
            _itk["shown"] = sitk.ProcessObject.GetGlobalWarningDisplay()
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
        _itk["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _itk["users"] -= 1
            if not _itk["users"]:
                sitk.ProcessObject.SetGlobalWarningDisplay(bool(_itk["shown"]))
