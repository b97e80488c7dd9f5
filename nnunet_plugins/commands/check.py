"""Check a dataset in nnUNet_raw, converted with this tool or not: files, geometry, labels, splits."""

from __future__ import annotations

import argparse
import os


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare DATASET [-j N] [--allow-empty]."""
    parser.add_argument(
        "dataset", metavar="DATASET",
        help="folder of a dataset, or the id of a dataset in nnUNet_raw",
    )  # fmt: skip
    parser.add_argument(
        "-j", "--jobs", type=int, default=min(8, os.cpu_count() or 1), metavar="N",
        help="number of cases to check in parallel (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--allow-empty", action="store_true", help="accept masks without any label")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return status 1 if there are errors."""
    from tqdm import tqdm

    from nnunet_plugins.api import check

    report = check(
        arguments.dataset,
        jobs=arguments.jobs,
        allow_empty=arguments.allow_empty,
        progress=lambda cases: tqdm(cases, desc="checking", unit="case", disable=None),
    )
    print(report)
    return 1 if report.errors else 0
