"""Commands in README and documentation: the parsers accept them, and the names in them exist."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from importlib.metadata import entry_points
from typing import Any, NoReturn

import pytest

from nnunet_plugins.cli import COMMANDS, parser
from nnunet_plugins.commands.networks import ROWS
from nnunet_plugins.papers.library import find_paper, find_tables
from tests.docs.pages import PAGES, ROOT, commands, fenced

OURS = commands("nnunet-plugins")
THEIRS = commands("nnUNetv2_")


@pytest.mark.parametrize("tokens", OURS, ids=shlex.join)
def test_our_parser_accepts_the_command(tokens: list[str]) -> None:
    parser().parse_args(tokens[1:])


def test_every_command_is_shown() -> None:
    assert {tokens[1] for tokens in OURS} == set(COMMANDS)


def test_commands_in_the_text_exist() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"`nnunet-plugins ([a-z-]+)", page.read_text(encoding="utf-8"))
    }
    assert named <= set(COMMANDS)


class _Parsed(Exception):  # noqa: N818
    """nnU-Net's parser has accepted its arguments."""


@pytest.mark.parametrize("tokens", THEIRS, ids=shlex.join)
def test_the_parser_of_nnunet_accepts_the_command(
    tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = entry_points(group="console_scripts", name=tokens[0])
    run = entry.load()
    parse = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> NoReturn:
        parse(self, *args, **kwargs)
        raise _Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", tokens)
    with pytest.raises(_Parsed):
        run()


def _values(option: str) -> set[str]:
    """What follows ``option`` in any command."""
    return {
        tokens[i + 1]
        for tokens in (*OURS, *THEIRS)
        for i, token in enumerate(tokens[:-1])
        if token == option
    }


def test_networks_and_trainers_exist() -> None:
    networks = {row.network for row in ROWS}
    assert _values("--network") <= networks | {"all"}
    assert _values("-tr") <= {f"{network}Trainer" for network in networks}


def test_papers_and_tables_exist() -> None:
    assert all(map(find_tables, _values("--table")))
    assert all(map(find_paper, _values("--paper") - {"--force"}))


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    used = {target for tokens in commands("make") for target in tokens[1:]}
    workflows = (ROOT / ".github" / "workflows").glob("*.yml")
    for workflow in workflows:
        used |= set(re.findall(r"run: make ([a-z-]+)$", workflow.read_text("utf-8"), re.MULTILINE))
    assert used
    assert used <= targets


def test_scripts_exist() -> None:
    scripts = [tokens[1] for tokens in commands("python") if tokens[1].endswith(".py")]
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)


def test_python_in_the_pages_compiles() -> None:
    blocks = [block for page in PAGES for block in fenced(page, "python")]
    assert blocks
    for block in blocks:
        compile(block, "<page>", "exec")
