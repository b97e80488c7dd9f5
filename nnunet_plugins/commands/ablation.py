"""The papers' tables: list their rows, or write plans with one configuration per row."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_plugins.papers.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare list and plans."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shown = actions.add_parser(
        "list",
        help="list the rows with their published scores",
        description="List the rows of the papers' tables with their published scores.",
    )
    shown.add_argument(
        "--table", metavar="T",
        help="yan2025-mag-unet.4: only Table 4 of that paper, with the options of its rows; yan2025-mag-unet: all "
        "tables of that paper",
    )  # fmt: skip
    shown.add_argument("--json", action="store_true", help="print JSON")
    plans = actions.add_parser(
        "plans",
        help="write plans with one configuration per row",
        description="Write new plans that hold the configurations of existing plans and one more for each row of a "
        "table. They share the preprocessed data; each is trained with nnUNetv2_train.",
    )
    plans.add_argument("dataset", help="dataset id or name, in nnUNet_preprocessed")
    plans.add_argument(
        "--table", metavar="T", required=True,
        help="e.g. yan2025-mag-unet.4; see `nnunet-plugins ablation list`",
    )  # fmt: skip
    plans.add_argument(
        "--rows", metavar="ROW", nargs="+", help="only these rows of the table (default: all)"
    )
    plans.add_argument(
        "-p", dest="plans_name", metavar="PLANS",
        help="existing plans (default: ModularUNetPlans, else nnUNetPlans)",
    )  # fmt: skip
    plans.add_argument(
        "-c", dest="configuration", metavar="CONFIGURATION",
        help="configuration that the rows inherit from (default: that of the paper, 2d or 3d_fullres)",
    )  # fmt: skip
    plans.add_argument(
        "--paper", action="store_true",
        help="use the topology, batch size and procedure of the paper instead of those of the plans",
    )  # fmt: skip
    plans.add_argument("--force", action="store_true", help="overwrite plans of the same name")


def run(arguments: argparse.Namespace) -> int:
    """List the tables, or write plans and print the commands that train them."""
    if arguments.action == "list":
        from nnunet_plugins.papers.library import TABLES, find_tables

        one = arguments.table is not None  # '' is an unknown table, not all of them
        tables = find_tables(arguments.table) if one else TABLES
        print(_json(tables) if arguments.json else _texts(tables, options=one))
        return 0

    from nnunet_plugins.planners.ablation_plans import write_plans
    from nnunet_plugins.text_table import columns, remark

    written = write_plans(
        arguments.dataset,
        arguments.table,
        rows=arguments.rows,
        plans_name=arguments.plans_name,
        configuration=arguments.configuration,
        paper=arguments.paper,
        force=arguments.force,
    )
    rows = [("row", "configuration", "network", "parameters", "memory")]
    rows += [
        (m.row.name, m.configuration, m.row.network, f"{m.parameters:,}", f"{m.memory:.2f} x")
        for m in written.made
    ]
    print(columns(rows, right=(3, 4)))
    print(f"\nplans  {written.file}")
    for note in written.notes:
        print(remark("note  ", note))
    fold = "0" if (written.file.parent / "splits_final.json").exists() else "all"
    for m in written.made:
        print(
            f"train  nnUNetv2_train {int(written.dataset[7:10])} {m.configuration} {fold} "
            f"-p {written.file.stem} -tr {m.row.network}Trainer"
        )
    return 0


def _json(tables: tuple[Table, ...]) -> str:
    from nnunet_plugins.papers.remarks import remarks

    found = []
    for table in tables:
        notes = [dataclasses.asdict(one) for one in remarks(table)]
        own = dataclasses.asdict(table) | {"footnotes": notes, "pooled": table.pooled}
        found.append({"id": table.id, **own})
    return json.dumps(found, indent=1)


def _texts(tables: tuple[Table, ...], *, options: bool) -> str:
    """The tables, each paper's under its citation."""
    from nnunet_plugins.papers.library import find_paper
    from nnunet_plugins.text_table import remark

    texts, papers = [], set()
    for table in tables:
        if table.paper not in papers:
            paper = find_paper(table.paper)
            notes = (remark("note  ", one) for one in paper.footnotes)
            texts.append("\n".join([paper.reference(), *notes]))
        papers.add(table.paper)
        texts.append(_text(table, options=options))
    return "\n\n".join(texts)


def _text(table: Table, *, options: bool) -> str:
    """Heading of a table, its rows with their scores, with ``options`` how they are built, and its remarks."""
    from nnunet_plugins.papers.remarks import remarks
    from nnunet_plugins.text_table import columns, remark

    metrics = list(dict.fromkeys(m for row in table.rows for m in row.published))
    scores = [("row", "name", *metrics)]
    made = [("row", "network", "options")]
    digits = {m: table.digits(m) for m in metrics}
    for row in table.rows:
        printed = [
            f"{row.published[m]:.{digits[m]}f}" if m in row.published else "-" for m in metrics
        ]
        scores.append((row.key, row.name, *printed))
        entries = (row.options | row.training).items()
        made.append((row.key, row.network, " ".join(f"{k}={_value(v)}" for k, v in entries)))
    lines = [
        f"{table.id}  {table.about} ({table.configuration}, {table.classes} classes)",
        columns(scores, right=range(2, 2 + len(metrics))),
    ]
    lines += ["", columns(made)] if options else []
    lines += [remark("note  ", footnote.text) for footnote in remarks(table)]
    return "\n".join(lines)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
