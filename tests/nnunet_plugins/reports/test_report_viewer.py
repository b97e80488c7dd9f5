"""The report in headless Chromium: it shows the volume, scrolls, rotates, toggles labels, and requests nothing."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnunet_plugins.comparison.runs import Options
from nnunet_plugins.reports.niivue import find_niivue
from nnunet_plugins.reports.report import MOST_BYTES, write_report
from nnunet_plugins.reports.sources import read_source

from .conftest import build

pytestmark = pytest.mark.integration

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is installed; looked for {', '.join(BROWSERS)}")
    if find_niivue() is None:
        pytest.skip("ipyniivue is not installed: pip install ipyniivue")
    with playwright.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield one
        one.close()


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The report of the tiny model, opened as a file; at the end it requested nothing and nothing failed."""
    root = tmp_path_factory.mktemp("report")
    file = root / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        write_report(file, read_source(build(root, patch), Options()))
    assert file.stat().st_size < MOST_BYTES
    tab = browser.new_page(viewport={"width": 600, "height": 800})
    wrong: list[str] = []
    requested: list[str] = []
    tab.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: requested.append(request.url))
    tab.goto(file.as_uri())
    tab.wait_for_selector("#viewer[data-ready]", timeout=60_000)
    yield tab
    tab.close()
    assert wrong == []
    inside = ("data:", "blob:", file.as_uri())
    assert [url for url in requested if not url.startswith(inside)] == []


def seen(page: Any) -> np.ndarray:
    """The viewer's canvas (rows, columns, RGB) after drawing."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 150)))")
    png = page.locator("#viewer canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def coloured(picture: np.ndarray) -> int:
    """Number of pixels with a hue: labels."""
    return int((np.ptp(picture, axis=2) > 30).sum())


def values(page: Any) -> list[int]:
    return [int(one.input_value()) for one in page.locator("[data-axis]").all()]


def test_it_shows_the_volume_scrolls_and_rotates(page: Any) -> None:
    first = seen(page)
    assert first.std() > 5
    assert coloured(first) > 200
    assert values(page) == page.evaluate(
        "JSON.parse(document.getElementById('case').textContent).start"
    )

    page.locator("[name=view][value=axial]").check()
    axial = seen(page)
    assert np.abs(axial - first).mean() > 1
    before = values(page)
    box = page.locator("#viewer canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 100)
    scrolled = seen(page)
    assert np.abs(scrolled - axial).mean() > 0.1
    assert [a == b for a, b in zip(values(page), before, strict=True)] == [True, True, False]

    page.locator("[data-axis='2']").focus()
    page.keyboard.press("Home")
    assert values(page)[2] == 0
    assert coloured(seen(page)) == 0  # no label in the lowest slice
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert values(page)[2] == 2
    assert coloured(seen(page)) > 200

    page.locator("[name=view][value='3d']").check()
    volume = seen(page)
    page.locator("#azimuth").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert np.abs(seen(page) - volume).mean() > 0.5


def test_labels_and_label_map_can_be_chosen(page: Any) -> None:
    page.locator("[name=view][value=axial]").check()
    page.locator("[data-axis='2']").focus()
    page.keyboard.press("Home")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    # Slice 2 of case2: the reference has the sacrum, the prediction the other label instead.
    boxes = page.locator("#labels input")
    assert boxes.count() == 2
    both = coloured(seen(page))
    boxes.nth(0).press("Space")
    assert not boxes.nth(0).is_checked()
    assert coloured(seen(page)) == pytest.approx(both, rel=0.05)
    boxes.nth(1).press("Space")
    assert coloured(seen(page)) < 0.05 * both
    page.locator("#all-labels").click()
    assert coloured(seen(page)) == pytest.approx(both, rel=0.05)
    predicted = seen(page)
    page.locator("[name=layer][value=reference]").check()
    true = seen(page)
    assert coloured(true) == pytest.approx(both, rel=0.2)
    assert np.abs(true - predicted).max() > 60  # the same position in another colour
    page.locator("[name=layer][value=none]").check()
    assert coloured(seen(page)) == 0


@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_its_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('main p, main td, main th, main label')]"
        ".map(one => parseFloat(getComputedStyle(one).fontSize)))"
    )
    assert smallest >= 12


def test_all_controls_are_reached_by_tab(page: Any) -> None:
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.id || e.name || e.dataset.axis && 'axis' + e.dataset.axis || e.tagName)"
                "(document.activeElement)"
            )
        )
    assert {
        "strength",
        "layer",
        "view",
        "all-labels",
        "axis0",
        "axis2",
        "azimuth",
        "CANVAS",
        "SUMMARY",
    } <= reached
