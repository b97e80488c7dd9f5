"""Hold back the libraries' own warnings on what is checked here, with several cases at a time."""

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
    """Silence Python's warnings; one thread at a time, as their filters belong to all.

    pydicom's parser holds Python's lock anyhow, so nothing is lost by waiting.
    """
    with _python, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Silence:
    """A silence that begins with the first who wants it and ends with the last, in any thread."""

    def __init__(self, begin: Callable[[], Callable[[], None]]) -> None:
        """Take a function that begins the silence and returns one that ends it."""
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


def _hush_itk() -> Callable[[], None]:
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return lambda: sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _hush_nibabel() -> Callable[[], None]:
    logger = logging.getLogger("nibabel.global")
    logger.addFilter(_nothing)
    return lambda: logger.removeFilter(_nothing)


def _nothing(_: object) -> bool:
    return False


# ITK on uneven spacing, nibabel on headers that it mends on its own.
quiet_itk = _Silence(_hush_itk)
quiet_nibabel = _Silence(_hush_nibabel)
