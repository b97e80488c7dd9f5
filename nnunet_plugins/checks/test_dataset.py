"""A test for every case of the datasets given by --dataset, and one for each dataset as a whole."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from dataset_conversion.checks.dataset import look
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.layout import Layout, RawCase, read_layout
from dataset_conversion.errors import DatasetError


@lru_cache
def _layout(folder: Path, allow_empty: bool) -> Layout:
    layout = read_layout(folder)
    layout.allow_empty |= allow_empty
    return layout


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make the tests from the datasets."""
    folders = [Path(text).resolve() for text in metafunc.config.getoption("--dataset", [])]
    if not folders:
        raise pytest.UsageError("--dataset DIR is needed: a dataset of nnUNet_raw")
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
    """dataset.json, the files' names, the splits."""
    _pass_or_fail(layout.findings)


def test_case(layout: Layout, case: RawCase) -> None:
    """The case's files are whole, lie on one grid, and hold what dataset.json says."""
    _pass_or_fail(look(layout, case).findings)


def _pass_or_fail(findings: list[Finding]) -> None:
    errors = [str(finding) for finding in findings if finding.error]
    if errors:
        pytest.fail("\n".join(errors), pytrace=False)
