"""Score predicted label maps against references: overlap, volumes, distances, instances, named means."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nnunet_plugins.commands.scoring_arguments import (
    add_groups,
    add_jobs,
    add_scoring,
    progress,
    scoring,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare PRED REF and its options; -djfile and --chill are nnU-Net's names."""
    parser.add_argument(
        "prediction", metavar="PRED", type=Path,
        help="label map, folder of them, or folder of one folder per case with a file per structure",
    )  # fmt: skip
    parser.add_argument("reference", metavar="REF", type=Path, help="label map or folder of them")
    parser.add_argument(
        "-o", metavar="FILE", type=Path,
        help="write every score: .json (read by compare), or .csv with one row per case and label",
    )  # fmt: skip
    parser.add_argument(
        "-djfile", metavar="FILE", type=Path,
        help="nnU-Net's dataset.json (default: next to PRED, else next to or above REF)",
    )  # fmt: skip
    parser.add_argument(
        "--chill", action="store_true", help="score only the predicted cases, e.g. of one fold"
    )
    add_scoring(parser)
    add_groups(parser)
    parser.add_argument("--pixels", action="store_true", help="distances in voxels as well as mm")
    parser.add_argument(
        "--metrics", metavar="NAME", nargs="+",
        help="metrics in the table, e.g. dice hd_mm nsd, or all (default: dice iou precision recall hd95_mm "
        "assd_mm); the JSON has all of them. Measured only if named: masd_mm hd_area_mm hd95_area_mm assd_area_mm "
        "nsd_area boundary_iou cldice",
    )  # fmt: skip
    parser.add_argument(
        "--calibration", metavar="DIR", type=Path,
        help="write the calibration of the probabilities (.npz of --save_probabilities or --npz) next to PRED: error "
        "per label and reliability curves",
    )  # fmt: skip
    add_jobs(parser)


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
        jobs=arguments.j,
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

        curves = calibrate(pairs, scores.labels, jobs=arguments.j, progress=progress)
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
