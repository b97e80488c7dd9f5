"""One test per dataset given by --dataset, and one per case."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from dataset_conversion.checks.case import CheckedCase, look
from dataset_conversion.checks.dataset import across
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.layout import Layout, RawCase, read_layout
from dataset_conversion.errors import DatasetError


@lru_cache
def _layout(folder: Path, allow_empty: bool) -> Layout:
    layout = read_layout(folder)
    layout.allow_empty |= allow_empty
    return layout


_looked: dict[tuple[Path, str, bool], CheckedCase] = {}


def _look(layout: Layout, case: RawCase) -> CheckedCase:
    """Check a case once for both tests."""
    key = layout.folder, case.name, case.training
    if key not in _looked:
        _looked[key] = look(layout, case)
    return _looked[key]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Generate the tests from the datasets."""
    folders = [Path(text).resolve() for text in metafunc.config.getoption("--dataset", [])]
    if not folders:
        raise pytest.UsageError(
            "--dataset DIR is required, a dataset of nnUNet_raw, with -p nnunet_plugins.checks.plugin"
        )
    layouts = []
    for folder in folders:
        try:
            layouts.append(_layout(folder, metafunc.config.getoption("--allow-empty")))
        except DatasetError as error:
            raise pytest.UsageError(str(error)) from error
    if "case" in metafunc.fixturenames:
        metafunc.parametrize(
            ("layout", "case"),
            [pytest.param(layout, case, id=f"{layout.folder.name}-{case.name}")
             for layout in layouts for case in layout.cases],
        )  # fmt: skip
    else:
        metafunc.parametrize("layout", layouts, ids=[layout.folder.name for layout in layouts])


def test_dataset(layout: Layout) -> None:
    """Check dataset.json, file names and splits, and compare the cases with each other."""
    looked = [_look(layout, case) for case in layout.cases]
    _pass_or_fail([*layout.findings, *across(layout, looked)])


def test_case(layout: Layout, case: RawCase) -> None:
    """Check that the case's files are intact, share one grid, and hold what dataset.json states."""
    _pass_or_fail(_look(layout, case).findings)


def _pass_or_fail(findings: list[Finding]) -> None:
    errors = [str(finding) for finding in findings if finding.error]
    if errors:
        pytest.fail("\n".join(errors), pytrace=False)
