"""Names of labels and cases with signs of HTML and in other scripts: the page shows them as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.comparison.runs import Options
from nnunet_plugins.reports.report import PageOptions, write_report
from nnunet_plugins.reports.sources import read_source

from .test_report_viewer import BROWSERS, FLAGS

pytestmark = pytest.mark.integration

LABELS = [
    "<b>bold</b>",
    "\"quoted\" 'x'",
    "骶骨",
    "&amp;",
    "$x^{2}$",
    "{{ 7*7 }}",
    "<script>alert(1)",
    "крестец",
]
CASE = 'case <i>"骶" &lt;'


def folders(root: Path) -> tuple[Path, Path]:
    """Predictions and references of 2 cases in which every label occurs."""
    values = np.arange(1, len(LABELS) + 1, dtype=np.uint8).repeat(6).reshape(4, 4, -1)
    for name in ("predictions", "references"):
        (root / name).mkdir()
        for case in ("other", CASE):
            voxels = np.where(values == 2, 3, values).astype(np.uint8) if name[0] == "p" else values
            sitk.WriteImage(sitk.GetImageFromArray(voxels), str(root / name / f"{case}.nrrd"))
    labels = {"background": 0, **{name: i for i, name in enumerate(LABELS, 1)}}
    (root / "predictions" / "dataset.json").write_text(json.dumps({"labels": labels}))
    return root / "predictions", root / "references"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is installed; looked for {', '.join(BROWSERS)}")
    root = tmp_path_factory.mktemp("names")
    predictions, references = folders(root)
    file = root / "report.html"
    source = read_source(predictions, Options(references))
    write_report(file, source, PageOptions(title='<u>title</u> "骶"'))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        tab = browser.new_page()
        dialogs: list[str] = []
        tab.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
        tab.goto(file.as_uri())
        yield tab
        assert dialogs == []
        browser.close()


def test_names_appear_literally(page: Any) -> None:
    rows = [
        one.inner_text() for one in page.locator("#scores table").first.locator("tbody th").all()
    ]
    assert rows[: len(LABELS)] == LABELS
    headings = " ".join(page.locator("#cases h3").all_inner_texts())
    assert CASE in headings
    assert page.title() == '<u>title</u> "骶"'
    assert page.locator("h1").inner_text() == '<u>title</u> "骶"'


def test_no_name_becomes_an_element(page: Any) -> None:
    assert page.locator("body b, body i, body u").count() == 0
    assert page.evaluate("[...document.scripts].every(one => !one.textContent.startsWith('alert'))")


def test_charts_have_the_names_as_text(page: Any) -> None:
    texts = page.evaluate(
        "[...document.querySelectorAll('#distribution svg text')].map(one => one.textContent)"
    )
    assert {f"{name} (2)" for name in LABELS} <= set(texts)
