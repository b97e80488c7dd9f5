"""Phrases that this project does not use, and a search for them: python tests/language.py.

Reads docstrings, comments, longer strings and names of tests in Python files, and Markdown, notebooks and
configuration as a whole. Needs the standard library only, so that pre-commit can run it.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TEXT = (".md", ".yml", ".yaml", ".cfg", ".toml", ".ipynb", ".cff", "Makefile")

_COUNTED = (
    "one|lines?|rows?|folders?|colours?|values|pairs?|columns?|images|steps|entries|epochs|files|convolutions|"
    "units|axes|samples|heads|bytes|elements|kernels|letters|(?:an?|one|each) (?:map|list|block|number|factor|sum|"
    "weight|size|plane|sheet|panel|test|value|file|image|letter)"
)
_EACH = (
    "stage|case|patient|voxel|configuration|row|metric|label|fold|slice|run|level|segment|epoch|channel|sample|"
    "skip|class|file|pixel|dataset|image|axis|layer|group|network|batch|bone"
)
#: Pattern -> what to write instead.
PHRASES = {
    rf"\b(?:{_COUNTED}) an? (?:{_EACH})\b": "one ... per ...",
    r"\b(?:told|tells)\b(?! (?:\w+ ){0,3}apart)": "reports, states, is given",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bcure[sd]?\b": "fix",
    r"\bamiss\b": "wrong",
    r"\banew\b": "again",
    r"\blearnt\b": "learned",
    r"\bgravest\b": "most severe",
    r"\bnobody\b": "no one",
    r"\bstrangers?\b": "other",
    r"\bthrice\b": "three times",
    r"\b(?:says?|said) so\b": "states, reports, warns",
    r"\b(?:is|are) said (?!to\b)": "is reported",
    r"\b(?:wants|wanted)\b": "requires, expects; 'is required'",
    r"\bbeside\b": "next to, alongside, in addition to",
    r"\bwithout a word\b": "silently",
    r"\bcannot be meant\b": "is not plausible, is invalid",
    r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b|other\b|one\b|doubt\b|need\b|better\b"
    r"|worse\b|larger\b|smaller\b|error\b)[a-z]": "is not a ...",
    r"\b(?:file|folder|dataset|plan|result|mask|checkpoint|number|text)s? (?:that )?lies?\b": "is, is located",
    r"\bstands? (?:beside|there|here|above|below|in (?:the|an?|its|it|their|which)\b)": "is, is written",
    r"\bsees? to\b": "handles, ensures",
    r"\bcomes? to its (?:end|place)\b": "ends; is moved into place",
    r"\bc(?:ame|omes?) about\b": "was produced",
    r"\b(?:for want of|save for)\b": "without; except",
    r"\b(?:user|user's|a|their) slips?\b": "mistake",
    r"\bof ours\b": "our",
    r"\b(?:the|our|this|a) (?:house|guest-house)\b": "package, layer",
    r"\b(?:three|own|these|of the) rooms\b": "packages",
}
#: Justified uses: file -> phrases, as found.
ALLOWED: dict[str, set[str]] = {}
#: Files that hold the phrases themselves.
OWN = ("tests/language.py", "tests/test_language.py")


class Finding(NamedTuple):
    """One phrase in one place."""

    file: str
    line: int
    phrase: str
    instead: str

    def __str__(self) -> str:
        """The text for a terminal."""
        return f"{self.file}:{self.line}: {self.phrase!r}: write {self.instead}"


def findings() -> list[Finding]:
    """Every phrase in the files that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    found = []
    for name in listed:
        file = ROOT / name
        if name in OWN or not file.is_file():
            continue
        if name.endswith(".py"):
            found += search(name, python_text(file.read_text(encoding="utf-8")))
        elif name.endswith(TEXT):
            found += search(name, enumerate(file.read_text(encoding="utf-8").splitlines(), 1))
    return found


def search(file: str, lines: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    """The phrases in numbered lines that the file may not use."""
    for number, line in lines:
        for pattern, instead in PHRASES.items():
            for match in re.finditer(pattern, line, re.IGNORECASE):
                if match[0].lower() not in ALLOWED.get(file, ()):
                    yield Finding(file, number, match[0], instead)


def python_text(source: str) -> Iterator[tuple[int, str]]:
    """Comments, strings of four words or more, and names of tests, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and "noqa" not in token.string:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.removeprefix("test_").replace("_", " ")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            lines = node.value.splitlines() if len(node.value.split()) > 3 else []
            yield from enumerate(lines, node.lineno)


def main() -> int:
    """Print the findings; status 1 if there are any."""
    found = findings()
    print("\n".join(map(str, found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
