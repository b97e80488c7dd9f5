"""Rows of the report's tables for plans that were edited by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nnunet_plugins.reports.facts import plan_rows, summary_table
from tests.nnunet_plugins.comparison.compared import run


@pytest.mark.parametrize(
    ("value", "text"),
    [([32, 64], "32, 64"), ([], "not recorded"), (32, "32"), (None, "not recorded"), ("wide", "wide")],
)  # fmt: skip
def test_features_of_any_type_are_shown(value: Any, text: str) -> None:
    plan = {"architecture": {"arch_kwargs": {"features_per_stage": value}}}
    source: Any = SimpleNamespace(plan=plan, plans={}, facts={})
    assert dict(plan_rows(source))["features per stage"] == text


def test_a_mean_of_one_label_has_the_singular() -> None:
    head, rows = summary_table(run("a", [0, 0], [9, 8]).scores)  # the sacrum has no distance
    assert dict(zip(head, rows[-1], strict=True))["HD95 mm"].endswith(" (1 label)")
