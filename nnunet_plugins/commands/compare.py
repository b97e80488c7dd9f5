"""Compare runs on the same cases: intervals, paired tests, differences of the trainings, a paper's table."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_plugins.commands.picture_arguments import add_pictures, check_pictures, draw_pictures
from nnunet_plugins.commands.scoring_arguments import add_groups, add_jobs, add_references, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare RUN RUN ... and the options."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+",
        help="a .json of evaluate, a folder of predictions (with its .json, or --reference), or a model folder of "
        "nnU-Net (the validation of its folds); NAME=RUN gives it a name; runs are compared with the first",
    )  # fmt: skip
    parser.add_argument(
        "-o", metavar="FILE", type=Path,
        help="output file: .md, .tex (booktabs), or with full precision, medians and their intervals: .csv, and "
        ".json, which also has the limits of agreement of volumes",
    )  # fmt: skip
    parser.add_argument(
        "--table", metavar="T",
        help="arrange the runs as a paper's table, e.g. yan2025-mag-unet.4, next to the published numbers; a run "
        "belongs to the row that `ablation plans` named its configuration after, or pass ROW=RUN",
    )  # fmt: skip
    parser.add_argument(
        "--spread", choices=("cases", "folds"), default="cases",
        help="with --table: what our ± is over, the cases or the means of the folds, as in most papers (needs model "
        "folders; default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--external", metavar="ROW=FILE.json", nargs="+", default=[],
        help="with --table: scores of a row's external test set, from `nnunet-plugins evaluate`",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", metavar="ROW=S", nargs="+", default=[],
        help="with --table: measured time of the prediction of an image; nnU-Net does not record it",
    )  # fmt: skip
    add_references(parser)
    parser.add_argument(
        "--metrics", metavar="NAME", nargs="+", help="e.g. dice nsd assd_mm (default: dice hd95_mm)"
    )
    add_groups(parser)
    parser.add_argument(
        "--common", action="store_true", help="compare on the cases that all runs have"
    )
    parser.add_argument(
        "--strict", action="store_true",
        help="stop with an error at an unfair comparison instead of marking it",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", metavar="MM", action="append", default=[],
        help="of NSD; per structure as LABEL=MM, FILE.json or FILE.csv; can be repeated (default: 2)",
    )  # fmt: skip
    parser.add_argument("--pixels", action="store_true", help="distances in voxels as well as mm")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the bootstrap")
    add_jobs(parser)
    add_pictures(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the tables and write them to a file."""
    from nnunet_plugins.api import compare
    from nnunet_plugins.atomic_files import write_text
    from nnunet_plugins.comparison import table_formats as writing
    from nnunet_plugins.comparison.as_json import comparison_json
    from nnunet_plugins.comparison.paper import paper_sheet
    from nnunet_plugins.comparison.paper_cells import read_given
    from nnunet_plugins.comparison.tables import legend, notes_of, sheets_of, warnings_of
    from nnunet_plugins.errors import UserError
    from nnunet_plugins.papers.library import find_table

    target = arguments.o
    if target is not None:
        writing.check_ending(target.name)
    check_pictures(arguments)
    table = find_table(arguments.table) if arguments.table is not None else None
    own = arguments.external, arguments.seconds, arguments.spread
    given = read_given(table, *own) if table else None
    if table is None and own != ([], [], "cases"):
        raise UserError(
            "--external, --seconds and --spread belong to a paper's table; pass --table T"
        )
    if len(arguments.runs) < 2 and table is None:
        raise UserError(
            "at least two runs are needed; pass RUN RUN ... (one is enough with --table)"
        )
    found = compare(
        arguments.runs,
        reference=arguments.reference,
        fold=arguments.fold,
        metrics=arguments.metrics,
        common=arguments.common,
        strict=arguments.strict,
        tolerance=arguments.tolerance,
        pixels=arguments.pixels or bool(table and table.pooled),
        seed=arguments.seed,
        groups=arguments.groups,
        jobs=arguments.j,
        progress=progress,
    )
    warnings, notes = warnings_of(found), notes_of(found)
    sheets = sheets_of(found) if len(found.runs) > 1 or found.repeated else []
    notes = [*(legend(found) if sheets else []), *notes]
    if table:
        sheets = [paper_sheet(table, found.runs, found.marked, given), *sheets]
    print(writing.text(sheets, warnings, notes))
    if target is not None:
        if target.suffix == ".json":
            content = comparison_json(found)
        elif target.suffix == ".csv":
            content = (
                writing.sheet_csv(sheets[0], warnings) if table else writing.comparison_csv(found)
            )
        else:
            form = {".md": writing.markdown, ".tex": writing.latex}[target.suffix]
            content = form(sheets, warnings, notes)
        write_text(target, content)
        print(f"written: {target}")
        if target.suffix == ".tex" and (note := writing.latex_note(content)):
            print(f"note: {note}")
    draw_pictures(arguments, [run.name for run in found.runs])
    return 0
