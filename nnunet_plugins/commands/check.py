"""Check a dataset of nnUNet_raw, converted by us or not: files, geometry, labels, splits."""

from __future__ import annotations

import argparse
import os


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The dataset, and how to look at it."""
    parser.add_argument(
        "dataset", metavar="DATASET", help="folder, or the id of a dataset in nnUNet_raw"
    )
    parser.add_argument(
        "-j", "--jobs", type=int, default=min(8, os.cpu_count() or 1), metavar="N",
        help="cases at a time (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--allow-empty", action="store_true", help="masks without a label are as they should be"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; status 1 where there are errors."""
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
