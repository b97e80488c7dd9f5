"""Rows of the report's tables for plans that were edited by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nnunet_plugins.reports.facts import plan_rows


@pytest.mark.parametrize(
    ("value", "text"),
    [([32, 64], "32, 64"), ([], "not recorded"), (32, "32"), (None, "not recorded"), ("wide", "wide")],
)  # fmt: skip
def test_features_of_any_type_are_shown(value: Any, text: str) -> None:
    plan = {"architecture": {"arch_kwargs": {"features_per_stage": value}}}
    source: Any = SimpleNamespace(plan=plan, plans={}, facts={})
    assert dict(plan_rows(source))["features per stage"] == text
