"""Links and length of README and documentation."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", one).strip().lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    missing = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert not missing


def test_readme_has_at_most_130_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = {str(one) for one in re.findall(r"[\w/-]+\.md", navigation)}
    docs = ROOT / "docs"
    assert listed == {str(page.relative_to(docs)) for page in docs.rglob("*.md")}


def test_every_network_has_a_drawing() -> None:
    from nnunet_plugins.commands.networks import ROWS

    folder = ROOT / "docs" / "images" / "networks"
    same = {"ResEncL", "ResEncXL"}  # as ResEncM
    assert {file.stem for file in folder.glob("*.svg")} == {row.network for row in ROWS} - same
    for file in folder.glob("*.svg"):
        assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_drawings_can_be_made_again(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "docs" / "make_drawings.py"))
    drawing = script["draw_network"]("SEUNet", tmp_path).read_text(encoding="utf-8")
    stored = (ROOT / "docs" / "images" / "networks" / "SEUNet.svg").read_text(encoding="utf-8")
    texts = re.compile(r"<text[^>]*>([^<]+)</text>")
    assert "SqueezeExcite" in drawing
    assert texts.findall(drawing) == texts.findall(stored)


def test_images_are_small() -> None:
    for file in (ROOT / "docs" / "images").rglob("*.*"):
        assert file.stat().st_size < 200_000, file
