"""Check a dataset in nnUNet_raw, converted with this tool or not: files, geometry, labels, splits."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare DATASET [-j N] [--allow-empty]."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="folder of a dataset, or the id of a dataset in nnUNet_raw",
    )
    parser.add_argument(
        "-j", "--jobs", type=int, default=min(8, os.cpu_count() or 1), metavar="N",
        help="number of cases to check in parallel (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--allow-empty", action="store_true", help="accept masks without any label")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return status 1 if there are errors."""
    from tqdm import tqdm

    from dataset_conversion.checks.dataset import check
    from dataset_conversion.parallel import Run

    Run(jobs=arguments.jobs)  # rejects invalid numbers
    preprocessed = os.environ.get("nnUNet_preprocessed")
    report = check(
        _folder(arguments.dataset),
        jobs=arguments.jobs,
        allow_empty=arguments.allow_empty,
        preprocessed=Path(preprocessed) if preprocessed else None,
        progress=lambda cases: tqdm(cases, desc="checking", unit="case", disable=None),
    )
    print(report)
    return 1 if report.errors else 0


def _folder(dataset: str) -> Path:
    """Return the folder for a path or a dataset id."""
    from nnunet_plugins.nnunet_folders import find_dataset, folder_of

    if not dataset.isdigit() or Path(dataset).is_dir():
        return Path(dataset)
    root = folder_of("nnUNet_raw")
    return root / find_dataset(root, dataset)
