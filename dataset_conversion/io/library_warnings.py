"""Silence warnings of libraries about what is checked here, also with several threads."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import SimpleITK as sitk

_python = threading.RLock()


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence Python's warnings, one thread at a time, as all threads share the filters.

    pydicom's parser holds the GIL anyway, so waiting costs nothing.
    """
    with _python, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Silence:
    """A context that starts with its first user and ends with its last, in any thread."""

    def __init__(self, begin: Callable[[], Callable[[], None]]) -> None:
        """Take a function that silences a library and returns one that restores it."""
        self._begin, self._lock, self._users = begin, threading.Lock(), 0
        self._end: Callable[[], None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._end = self._begin()
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._end is not None:
                self._end()


def _silence_itk() -> Callable[[], None]:
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return lambda: sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _silence_nibabel() -> Callable[[], None]:
    logger = logging.getLogger("nibabel.global")
    logger.addFilter(_nothing)
    return lambda: logger.removeFilter(_nothing)


def _nothing(_: object) -> bool:
    return False


# ITK warns of uneven spacing, nibabel of headers that it repairs.
quiet_itk = _Silence(_silence_itk)
quiet_nibabel = _Silence(_silence_nibabel)
