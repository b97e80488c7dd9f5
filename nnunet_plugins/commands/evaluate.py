"""Score predicted label maps against references: overlap, volumes, distances, instances, named means."""

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
    parser.add_argument(
        "prediction",
        metavar="PRED",
        type=Path,
        help="label map, folder of them, or folder of one folder per case with a file per structure",
    )
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
    add_scoring(parser)
    parser.add_argument("--groups", metavar="FILE.csv", type=Path, help=GROUPS)
    parser.add_argument("--pixels", action="store_true", help="distances in voxels as well as mm")
    parser.add_argument(
        "--metrics",
        metavar="NAME",
        nargs="+",
        help="metrics in the table, e.g. dice hd_mm nsd, or all (default: dice iou precision recall hd95_mm "
        "assd_mm); the JSON has all of them. Measured only if named: masd_mm hd_area_mm hd95_area_mm assd_area_mm "
        "nsd_area boundary_iou cldice",
    )
    parser.add_argument(
        "--calibration",
        metavar="DIR",
        type=Path,
        help="write the calibration of the probabilities (.npz of --save_probabilities or --npz) next to PRED: error "
        "per label and reliability curves",
    )
    parser.add_argument(
        "-j",
        metavar="N",
        type=int,
        help=f"number of processes (default: number of cores, at most {MOST_JOBS})",
    )


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Declare options of the scoring that `report` has as well."""
    parser.add_argument(
        "--tolerance",
        metavar="MM",
        action="append",
        default=[],
        help="of NSD, the share of surfaces within this distance; per structure as LABEL=MM, FILE.json or FILE.csv; "
        "can be repeated: --tolerance 1 --tolerance sacrum=2 (default: 2)",
    )
    _add_instances(parser)
    parser.add_argument(
        "--map",
        metavar="TOOL",
        nargs="+",
        help="predictions are of another tool: its name (totalsegmentator, totalspineseg, ...), its dataset.json, or "
        'VALUE=LABEL, e.g. 25=sacrum 77="left hip"',
    )


def _add_instances(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--instances",
        metavar="NAME",
        nargs="+",
        default=(),
        help="count instances: the connected components of a label (NAME), or label values (NAME=VALUES), e.g. "
        "lesion vertebrae=1-25",
    )
    parser.add_argument(
        "--instance-iou",
        metavar="IOU",
        type=float,
        default=0.5,
        help="IoU above which a predicted and a true instance match (default: %(default)s)",
    )
    parser.add_argument(
        "--connectivity",
        choices=("faces", "edges", "corners"),
        default="corners",
        help="what voxels of a connected component share at least (default: %(default)s)",
    )


def scoring(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of `add_scoring`."""
    names = ("tolerance", "instances", "instance_iou", "connectivity", "map")
    return {name: getattr(arguments, name) for name in names}


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from nnunet_plugins.evaluation import evaluate, score_table
    from nnunet_plugins.evaluation.definitions import check_metrics, metric_names
    from nnunet_plugins.evaluation.measuring import more_of
    from nnunet_plugins.evaluation.table import SHOWN

    named = [name for name in arguments.metrics or SHOWN if name != "all"]
    more = more_of(tuple(named))
    check_metrics(named, metric_names(pixels=arguments.pixels, more=more))  # fail before the work
    shown = ("all",) if "all" in (arguments.metrics or ()) else tuple(named)
    jobs = cores() if arguments.j is None else arguments.j
    pairs = _with_probabilities(arguments) if arguments.calibration else []
    scores = evaluate(
        arguments.prediction,
        arguments.reference,
        dataset_json=arguments.djfile,
        output=arguments.o,
        progress=progress,
        chill=arguments.chill,
        pixels=arguments.pixels,
        metrics=more,
        **scoring(arguments),
        groups=arguments.groups,
        jobs=jobs,
    )
    print(score_table(scores, shown))
    if arguments.o is not None:
        print(f"written: {arguments.o}")
    if pairs:
        from nnunet_plugins.evaluation.calibration import (
            calibrate,
            calibration_table,
            write_calibration,
        )

        curves = calibrate(pairs, scores.labels, jobs=jobs, progress=progress)
        print(f"\ncalibration\n\n{calibration_table(curves)}")
        for path in write_calibration(curves, len(pairs), arguments.calibration):
            print(f"written: {path}")
    return 0


def _with_probabilities(arguments: argparse.Namespace) -> list[Any]:
    """The cases; an error before the work if one has no probabilities."""
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.evaluation.calibration import probability_files
    from nnunet_plugins.evaluation.pairs import find_pairs

    if arguments.map:
        raise UserError(
            "--calibration: predictions of another tool (--map) have no probabilities of these labels"
        )
    pairs, _ = find_pairs(arguments.prediction, arguments.reference, chill=arguments.chill)
    probability_files(pairs)
    return pairs


def progress(pairs: list[Any]) -> Iterable[Any]:
    """A progress bar if stderr is a terminal."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(pairs, unit="case", desc="evaluate", file=sys.stderr, disable=None)
    return bar


def cores() -> int:
    """Number of cores that this process may use, at most `MOST_JOBS`."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return min(len(usable), MOST_JOBS)
