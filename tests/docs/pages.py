"""README and documentation as text: pages, fenced blocks, commands."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SUBSTITUTION = re.compile(r'^eval "\$\((.*)\)"')


def fenced(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks of a page in a language; '' for shell commands."""
    for _, found, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        if found == language:
            yield block


def commands(program: str) -> list[list[str]]:
    """Every command of all pages whose program starts with ``program``, split, each once.

    Comments and what follows a pipe are left out.
    """
    found: dict[tuple[str, ...], None] = {}
    for page in PAGES:
        for block in fenced(page, ""):
            for line in block.splitlines():
                inner = _SUBSTITUTION.match(line.strip())
                tokens = shlex.split(inner[1] if inner else line, comments=True)
                if tokens and tokens[0].startswith(program):
                    found[tuple(itertools.takewhile(lambda token: token != "|", tokens))] = None
    return [list(tokens) for tokens in found]
