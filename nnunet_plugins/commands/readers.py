"""Analyse a reader study: calls, masks and reading times of readers alone and assisted by a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_plugins.commands.scoring_arguments import add_jobs, progress

_FILES = {
    "truth": "CSV file with the columns case, truth and, where patients have several cases, patient (default: the "
    "column truth of the table)",
    "masks": "folder of READER/alone and READER/assisted with label maps, named as the cases",
    "reference": "folder of the reference label maps",
    "model": "folder of the model's label maps, to compare it with the readers",
    "images": "folder of the images, for the pictures",
    "cohort": "CSV file with one row per patient, for the table of the patients",
    "groups": "CSV file of cases and their patients, for masks",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SOURCE and the options."""
    parser.add_argument(
        "source", metavar="TABLE|DIR", type=Path,
        help="CSV file of the reads with the columns case, reader, arm (alone, assisted) and, where known, date, "
        "order, call, confidence, minutes, truth, comment; or a folder that holds it as reads.csv, and, as far as "
        "there are any, truth.csv, masks, reference, model, images, cohort.csv, groups.csv and dataset.json",
    )  # fmt: skip
    parser.add_argument(
        "-o", metavar="DIR", type=Path,
        help="folder for readers.md, readers.tex, readers.csv (full precision), readers.html and the pictures",
    )  # fmt: skip
    for name, about in _FILES.items():
        kind = "DIR" if about.startswith("folder") else "FILE.csv"
        parser.add_argument(f"--{name}", metavar=kind, type=Path, help=about)
    parser.add_argument(
        "-djfile", metavar="FILE", type=Path,
        help="nnU-Net's dataset.json with the names of the labels",
    )  # fmt: skip
    parser.add_argument(
        "--positive", metavar="WORD", help="what means positive in call and truth, e.g. axSpA"
    )
    parser.add_argument(
        "--confidence", choices=("disease", "call"),
        help="disease: from surely negative to surely positive (default, if the confidences follow the calls); "
        "call: in the reader's own call",
    )  # fmt: skip
    parser.add_argument(
        "--washout", metavar="DAYS", type=float, default=28.0,
        help="between two reads of a case (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--by", metavar="COLUMN", default="group",
        help="of the cohort, with two groups (default: group)",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", metavar="NAME", nargs="+", help="of masks (default: dice precision recall)"
    )
    parser.add_argument(
        "--paper", action="store_true", help="show tables 3 and 5 of sij-fm-25d-attention-unet"
    )
    parser.add_argument("--title", metavar="TEXT", default="Reader study", help="of the page")
    add_jobs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the tables and write the files."""
    from nnunet_plugins.comparison import table_formats as writing
    from nnunet_plugins.readers.files import Files, find_files
    from nnunet_plugins.readers.masks import METRICS
    from nnunet_plugins.readers.output import write_study
    from nnunet_plugins.readers.study import Choices, analyse_study

    given = Files(
        **{name: getattr(arguments, name) for name in _FILES}, dataset_json=arguments.djfile
    )
    files = find_files(arguments.source, given)
    study = analyse_study(
        files,
        Choices(
            positive=arguments.positive,
            confidence=arguments.confidence,
            washout=arguments.washout,
            metrics=arguments.metrics or METRICS,
            by=arguments.by,
            paper=arguments.paper,
            jobs=arguments.j,
            progress=progress,
        ),
    )
    print(writing.text(study.sheets, study.warnings, study.notes))
    if arguments.o is not None:
        for path in write_study(arguments.o, study, files, arguments.title):
            print(f"written: {path}")
    return 0
