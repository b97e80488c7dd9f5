"""Networks run on tensors without data, for counting and drawing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from torch._subclasses.fake_tensor import FakeTensorMode

_LOGGER = logging.getLogger("torch._subclasses.fake_tensor")


@contextmanager
def fake_tensors() -> Iterator[None]:
    """Create tensors without data, and keep torch from logging the traceback of an error that is raised as well."""
    before = _LOGGER.disabled
    _LOGGER.disabled = True
    try:
        with FakeTensorMode():
            yield
    finally:
        _LOGGER.disabled = before
