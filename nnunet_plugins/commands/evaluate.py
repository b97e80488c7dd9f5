"""Score predicted label maps against references: overlap, volumes, surface distances, and named means."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MOST_JOBS = 8
GROUPS = (
    "CSV file with a column case and a column patient, if patients have several cases (default: conversion.json of a "
    "converted dataset next to the references)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare PRED REF and its options; -djfile and --chill are nnU-Net's names."""
    parser.add_argument("prediction", metavar="PRED", type=Path, help="label map or folder of them")
    parser.add_argument("reference", metavar="REF", type=Path, help="label map or folder of them")
    parser.add_argument(
        "-o",
        metavar="FILE",
        type=Path,
        help="write every score: .json (read by compare), or .csv with one row per case and label",
    )
    parser.add_argument(
        "-djfile",
        metavar="FILE",
        type=Path,
        help="nnU-Net's dataset.json (default: next to PRED, else next to or above REF)",
    )
    parser.add_argument(
        "--chill", action="store_true", help="score only the predicted cases, e.g. of one fold"
    )
    parser.add_argument(
        "--tolerance",
        metavar="MM",
        type=float,
        default=2.0,
        help="of NSD, the share of the surfaces within this distance (default: %(default)s)",
    )
    parser.add_argument("--groups", metavar="FILE.csv", type=Path, help=GROUPS)
    parser.add_argument("--pixels", action="store_true", help="distances in voxels as well as mm")
    parser.add_argument(
        "--metrics",
        metavar="NAME",
        nargs="+",
        help="metrics in the table, e.g. dice hd_mm nsd, or all (default: dice iou precision recall hd95_mm "
        "assd_mm); the JSON has all of them",
    )
    parser.add_argument(
        "-j",
        metavar="N",
        type=int,
        help=f"number of processes (default: number of cores, at most {MOST_JOBS})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from dataset_conversion.errors import printable
    from nnunet_plugins.evaluation import evaluate, score_table
    from nnunet_plugins.evaluation.metrics import check_metrics, metric_names
    from nnunet_plugins.evaluation.table import SHOWN

    shown = arguments.metrics or SHOWN
    if shown != ["all"]:  # fail before the work
        check_metrics(shown, metric_names(pixels=arguments.pixels))
    scores = evaluate(
        arguments.prediction,
        arguments.reference,
        dataset_json=arguments.djfile,
        output=arguments.o,
        progress=progress,
        chill=arguments.chill,
        tolerance=arguments.tolerance,
        pixels=arguments.pixels,
        groups=arguments.groups,
        jobs=cores() if arguments.j is None else arguments.j,
    )
    print(printable(score_table(scores, shown)))
    if arguments.o is not None:
        print(f"written: {arguments.o}")
    return 0


def progress(pairs: list[Any]) -> Iterable[Any]:
    """A progress bar if stderr is a terminal."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(pairs, unit="case", desc="evaluate", file=sys.stderr, disable=None)
    return bar


def cores() -> int:
    """Number of cores that this process may use, at most `MOST_JOBS`."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return min(len(usable), MOST_JOBS)
