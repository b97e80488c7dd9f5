"""The examples in docstrings run and give what they state."""

from __future__ import annotations

import doctest
import os
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("architectures", "dataset_conversion", "nnunet_plugins")


def _runs(text: str) -> bool:
    return any(">>> " in line and "+SKIP" not in line for line in text.splitlines())


def with_examples() -> list[str]:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    found = (file for file in files if _runs(file.read_text(encoding="utf-8")))
    parts = (file.relative_to(ROOT).with_suffix("").parts for file in found)
    return sorted(".".join(part).removesuffix(".__init__") for part in parts)


@pytest.mark.parametrize("name", with_examples())
def test_examples_of(name: str) -> None:
    module = import_module(name)
    with patch.dict(os.environ):
        result = doctest.testmod(module)
    assert not result.failed
