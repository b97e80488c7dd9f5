"""The whole main job on synthetic patients: convert, plan, train, predict, evaluate."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""


def run(arguments: argparse.Namespace) -> int:
    """Run."""
    return 1
