"""Write a report of a trained model or of predictions: one HTML file that opens offline."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_plugins.commands.evaluate import GROUPS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare RUN and the options."""
    parser.add_argument(
        "run",
        metavar="RUN",
        type=Path,
        help="a model folder of nnU-Net (the validation of its folds), or a folder of predictions with --reference",
    )
    parser.add_argument(
        "-o", metavar="FILE.html", type=Path, default=Path("report.html"),
        help="the page (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--reference",
        metavar="REF",
        type=Path,
        help="folder of the reference label maps (default for model folders: where nnU-Net keeps them)",
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        type=Path,
        help="folder of the images, as CASE_0000.nii.gz or CASE.nii.gz (default for model folders: imagesTr of the "
        "dataset in nnUNet_raw); without images the pictures show labels only",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        type=Path,
        help="model folder that the predictions come from, for the sections on plan and training",
    )
    parser.add_argument("--fold", metavar="F", nargs="+", help="of model folders (default: all)")
    parser.add_argument(
        "--worst",
        metavar="N",
        type=int,
        default=6,
        help="number of worst cases with pictures (default: 6)",
    )
    parser.add_argument("--case", metavar="CASE", help="shown in 3D (default: the worst)")
    parser.add_argument("--title", metavar="TEXT", default="", help="heading (default: RUN's name)")
    parser.add_argument("--groups", metavar="FILE.csv", type=Path, help=GROUPS)
    parser.add_argument("--tolerance", metavar="MM", type=float, default=2.0, help="of NSD")
    parser.add_argument("-j", metavar="N", type=int, help="number of processes for scoring")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print notes on what it lacks."""
    from nnunet_plugins.commands.evaluate import cores, progress
    from nnunet_plugins.comparison.runs import Options
    from nnunet_plugins.reports.niivue import HOW_TO_GET, find_niivue
    from nnunet_plugins.reports.report import PageOptions, check_output, write_report
    from nnunet_plugins.reports.sources import read_source

    check_output(arguments.o)  # fail before the work
    options = Options(
        arguments.reference,
        arguments.fold,
        arguments.tolerance,
        groups=arguments.groups,
        jobs=cores() if arguments.j is None else arguments.j,
        progress=progress,
    )
    source = read_source(arguments.run, options, images=arguments.images, model=arguments.model)
    page = PageOptions(title=arguments.title, worst=arguments.worst, case=arguments.case)
    write_report(arguments.o, source, page)
    for note in dict.fromkeys((*source.notes, *source.scores.notes)):
        print(f"note: {note}")
    if find_niivue() is None:
        print(f"note: no 3D view: ipyniivue is not installed; {HOW_TO_GET}")
    print(f"written: {arguments.o} ({arguments.o.stat().st_size / 1e6:.1f} MB)")
    return 0
