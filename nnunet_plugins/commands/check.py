"""Check a dataset of nnUNet_raw, converted by us or not: files, geometry, labels, splits."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


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

    from dataset_conversion.checks.dataset import check
    from dataset_conversion.parallel import Run

    Run(jobs=arguments.jobs)
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


def _folder(text: str) -> Path:
    """Return the folder that is meant by a path or an id."""
    from nnunet_plugins.errors import UserError

    if not text.isdigit() or Path(text).is_dir():
        return Path(text)
    root = os.environ.get("nnUNet_raw")
    if not root:
        raise UserError(f"dataset {text}: nnUNet_raw is not set; give the folder instead")
    found = sorted(Path(root).glob(f"Dataset{int(text):03d}_*"))
    if len(found) != 1:
        raise UserError(
            f"dataset {text}: {len(found)} folders of this id in {root}; give the folder"
        )
    return found[0]
