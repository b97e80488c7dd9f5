"""Write a report of a trained model or of predictions: one HTML file that opens offline."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_plugins.commands.scoring_arguments import (
    add_groups,
    add_jobs,
    add_references,
    add_scoring,
    progress,
    scoring,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare RUN and the options."""
    parser.add_argument(
        "run", metavar="RUN", type=Path,
        help="a model folder of nnU-Net (the validation of its folds), or a folder of predictions with --reference",
    )  # fmt: skip
    parser.add_argument(
        "-o", metavar="FILE.html", type=Path, default=Path("report.html"),
        help="the page (default: %(default)s)",
    )  # fmt: skip
    add_references(parser)
    parser.add_argument(
        "--images", metavar="DIR", type=Path,
        help="folder of the images, as CASE_0000.nii.gz or CASE.nii.gz (default for model folders: imagesTr of the "
        "dataset in nnUNet_raw); without images the pictures show labels only",
    )  # fmt: skip
    parser.add_argument(
        "--model", metavar="MODEL", type=Path,
        help="model folder that the predictions come from, for the sections on plan and training",
    )  # fmt: skip
    parser.add_argument(
        "--worst", metavar="N", type=int, default=6,
        help="number of worst cases with pictures (default: 6)",
    )  # fmt: skip
    parser.add_argument("--case", metavar="CASE", help="shown in 3D (default: the worst)")
    parser.add_argument("--title", metavar="TEXT", default="", help="heading (default: RUN's name)")
    add_groups(parser)
    add_scoring(parser)
    add_jobs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print notes on what it lacks."""
    from nnunet_plugins.comparison.runs import Options
    from nnunet_plugins.reports.niivue import HOW_TO_GET, find_niivue
    from nnunet_plugins.reports.report import PageOptions, check_output, write_report
    from nnunet_plugins.reports.sources import read_source

    check_output(arguments.o)  # fail before the work
    options = Options(
        arguments.reference,
        arguments.fold,
        groups=arguments.groups,
        jobs=arguments.j,
        progress=progress,
        **scoring(arguments),
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
