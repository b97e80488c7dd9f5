"""Arguments of the commands that score label maps."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MOST_JOBS = 8


def add_groups(parser: argparse.ArgumentParser) -> None:
    """Declare --groups."""
    parser.add_argument(
        "--groups", metavar="FILE.csv", type=Path,
        help="CSV file with a column case and a column patient, if patients have several cases (default: "
        "conversion.json of a converted dataset next to the references)",
    )  # fmt: skip


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Declare -j."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    parser.add_argument(
        "-j", metavar="N", type=int, default=min(len(usable), MOST_JOBS),
        help=f"number of processes for scoring (default: number of cores, at most {MOST_JOBS})",
    )  # fmt: skip


def add_references(parser: argparse.ArgumentParser) -> None:
    """Declare --reference and --fold, for runs that are model folders or predictions."""
    parser.add_argument(
        "--reference", metavar="REF", type=Path,
        help="folder of the reference label maps (default for model folders: where nnU-Net keeps them)",
    )  # fmt: skip
    parser.add_argument("--fold", metavar="F", nargs="+", help="of model folders (default: all)")


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Declare what is scored, and how: see `scoring`."""
    parser.add_argument(
        "--tolerance", metavar="MM", action="append", default=[],
        help="of NSD, the share of surfaces within this distance; per structure as LABEL=MM, FILE.json or FILE.csv; "
        "can be repeated: --tolerance 1 --tolerance sacrum=2 (default: 2)",
    )  # fmt: skip
    _add_instances(parser)
    parser.add_argument(
        "--map", metavar="TOOL", nargs="+",
        help="predictions are of another tool: its name (totalsegmentator, totalspineseg, ...), its dataset.json, or "
        'VALUE=LABEL, e.g. 25=sacrum 77="left hip"',
    )  # fmt: skip


def _add_instances(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--instances", metavar="NAME", nargs="+", default=(),
        help="count instances: the connected components of a label (NAME), or label values (NAME=VALUES), e.g. "
        "lesion vertebrae=1-25",
    )  # fmt: skip
    parser.add_argument(
        "--instance-iou", metavar="IOU", type=float, default=0.5,
        help="IoU above which a predicted and a true instance match (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--connectivity", choices=("faces", "edges", "corners"), default="corners",
        help="what voxels of a connected component share at least (default: %(default)s)",
    )  # fmt: skip


def scoring(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of `add_scoring`."""
    names = ("tolerance", "instances", "instance_iou", "connectivity", "map")
    return {name: getattr(arguments, name) for name in names}


def progress(pairs: list[Any]) -> Iterable[Any]:
    """A progress bar if stderr is a terminal."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(pairs, unit="case", desc="evaluate", file=sys.stderr, disable=None)
    return bar
