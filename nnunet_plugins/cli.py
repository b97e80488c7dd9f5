"""The command line: `nnunet-plugins COMMAND`. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NoReturn

from dataset_conversion.errors import DatasetError
from nnunet_plugins import __version__
from nnunet_plugins.child_processes import ending_with_us
from nnunet_plugins.commands import (
    ablation,
    check,
    classify,
    compare,
    convert,
    demo,
    doctor,
    draw,
    ensemble,
    env,
    evaluate,
    explain,
    export,
    networks,
    plan,
    plan_diff,
    predict,
    profile,
    readers,
    report,
    robustness,
    rounds,
    study,
)
from nnunet_plugins.commands.argument_parser import Parser
from nnunet_plugins.errors import UserError
from nnunet_plugins.signals import end_on_signals
from nnunet_plugins.terminal import plain_output

COMMANDS = {
    "env": env,
    "doctor": doctor,
    "convert": convert,
    "check": check,
    "networks": networks,
    "plan": plan,
    "profile": profile,
    "plan-diff": plan_diff,
    "draw": draw,
    "ablation": ablation,
    "study": study,
    "predict": predict,
    "rounds": rounds,
    "evaluate": evaluate,
    "compare": compare,
    "ensemble": ensemble,
    "readers": readers,
    "export": export,
    "classify": classify,
    "robustness": robustness,
    "explain": explain,
    "report": report,
    "demo": demo,
}
#: Commands during which nnU-Net or a shell command starts processes.
START_PROCESSES = frozenset({"demo", "doctor", "plan", "rounds", "study"})


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; the first line of a command's module is its help text."""
    top = Parser(
        prog="nnunet-plugins",
        description="nnU-Net v2 plugins for spine and sacroiliac-joint segmentation.",
        epilog='Start: nnunet-plugins demo. Before nnU-Net\'s own commands: eval "$(nnunet-plugins env --root DIR)".',
    )
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        about = (module.__doc__ or "").strip().splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=about.rstrip("."), description=about))
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; a user's mistake is one line on stderr and status 2."""
    arguments = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # '?' replaces what the terminal cannot encode; paths for a shell keep their bytes.
            stream.reconfigure(
                errors="surrogateescape" if arguments.command == "env" else "replace"
            )
            if arguments.command == "env":
                stream.reconfigure(encoding="utf-8")
    # The output of env is for a shell: paths stay as they are.
    with nullcontext() if arguments.command == "env" else plain_output():
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    """Run one command and report its errors."""
    try:
        together = ending_with_us if arguments.command in START_PROCESSES else nullcontext
        with together():
            status: int = COMMANDS[arguments.command].run(arguments)
        if sys.stdout is not None:  # closed: `>&-`
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # `... | head`: the reader has finished
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, DatasetError, OSError) as error:
        if arguments.debug:
            raise
        text = str(error).removeprefix(f"{arguments.command}: ")
        print(f"nnunet-plugins {arguments.command}: {text}", file=sys.stderr)
        return 2
    except ImportError as error:  # a package or one of its requirements is missing
        if arguments.debug:
            raise
        print(
            f"nnunet-plugins {arguments.command}: {error}; `pip install --force-reinstall nnunet-plugins` "
            "installs all requirements; --debug shows where the import failed",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print(f"nnunet-plugins {arguments.command}: interrupted", file=sys.stderr)
        return 130


def console() -> NoReturn:
    """Entry point of the installed command."""
    received = end_on_signals()
    status = main()
    # Some libraries discard the exception of a signal while they are imported.
    sys.exit(128 + received[0] if received else status)
