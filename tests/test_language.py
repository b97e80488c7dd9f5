"""Plain English: none of the phrases of tests/language.py, and the search finds them where they are."""

from __future__ import annotations

import subprocess

import pytest

from tests.language import ROOT, findings, python_text, search


def test_no_phrase_is_used() -> None:
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("not a git checkout")
    found = findings()
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(
    "text",
    [
        "one file a case",
        "two values a voxel",
        "as the header tells",
        "the user is told",
        "an integer is wanted",
        "this is no class",
        "the file that lies",
        "it stands in the header",
        "it says so",
        "a folder of ours",
    ],
)
def test_a_phrase_is_found(text: str) -> None:
    assert list(search("page.md", enumerate([text], 1)))


@pytest.mark.parametrize(
    "text",
    [
        "one file per case",
        "labels that can be told apart",
        "if there is no file",
        "it is no longer used",
        "ModularUNet stands in for it",
        "a person is said to have",
        "besides the image",
        "the point lies on the plane",
        "a value and a label",
    ],
)
def test_plain_english_passes(text: str) -> None:
    assert not list(search("page.md", enumerate([text], 1)))


def test_python_is_read_where_people_read_it() -> None:
    source = '"""First line.\n\nThird line here."""\nx = 1  # a comment\n\n\ndef test_that_it_works(): ...\n'
    assert set(python_text(source)) >= {(4, "# a comment"), (7, "that it works")}
    assert (3, "Third line here.") in set(python_text(source))
