"""The papers' tables: list their rows, or write plans with one configuration a row."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare list and plans."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shown = actions.add_parser(
        "list",
        help="rows with their source and published scores",
        description="List the tables' rows.",
    )
    shown.add_argument("--table", metavar="T", help="one table only, e.g. 001.4")
    shown.add_argument("--json", action="store_true", help="print JSON")
    plans = actions.add_parser(
        "plans",
        help="plans with one configuration a row",
        description="Write new plans that hold the configurations of existing ones and one more for each row of a "
        "table. They share the preprocessed data; each is trained with nnUNetv2_train.",
    )
    plans.add_argument("dataset", help="dataset id or name, in nnUNet_preprocessed")
    plans.add_argument(
        "--table", metavar="T", required=True, help="see `nnunet-plugins ablation list`"
    )
    plans.add_argument("--rows", metavar="ROW", nargs="+", help="some of its rows (default: all)")
    plans.add_argument(
        "-p",
        dest="plans_name",
        metavar="PLANS",
        help="existing plans (default: nnUNetPlans, else ModularUNetPlans)",
    )
    plans.add_argument(
        "-c",
        dest="configuration",
        metavar="CONFIGURATION",
        help="what the rows inherit from (default: what the paper trained, 2d or 3d_fullres)",
    )
    plans.add_argument(
        "--paper",
        action="store_true",
        help="the paper's own topology, batch size and procedure instead of the plan's",
    )
    plans.add_argument("--force", action="store_true", help="write over plans of the same name")


def run(arguments: argparse.Namespace) -> int:
    """List, or write and say what to type next."""
    if arguments.action == "list":
        from nnunet_plugins.papers.tables import TABLES, find

        tables = [find(arguments.table)] if arguments.table else list(TABLES)
        if arguments.json:
            print(json.dumps([dataclasses.asdict(table) for table in tables], indent=1))
        else:
            print("\n\n".join(_text(t, whole=bool(arguments.table)) for t in tables))
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


def _text(table: Any, *, whole: bool) -> str:
    """A table's heading, its rows with their scores, what the rows are made of if ``whole``, and its note."""
    from nnunet_plugins.text_table import columns, remark

    metrics = list(dict.fromkeys(m for row in table.rows for m in row.published))
    scores = [("row", "name", *metrics)]
    made = [("row", "network", "options")]
    digits = {
        m: max(len(f"{r.published.get(m, 0):g}".partition(".")[2]) for r in table.rows)
        for m in metrics
    }
    for row in table.rows:
        printed = [
            f"{row.published[m]:.{digits[m]}f}" if m in row.published else "-" for m in metrics
        ]
        scores.append((row.key, row.name, *printed))
        options = [f"{key}={_value(value)}" for key, value in (row.options | row.training).items()]
        made.append((row.key, row.network, " ".join(options)))
    lines = [
        f"{table.id}  {table.about} ({table.source}; {table.configuration}, {table.classes} classes)",
        columns(scores, right=range(2, 2 + len(metrics))),
    ]
    lines += ["", columns(made)] if whole else []
    lines += [remark("note  ", note) for note in _remarks(table)]
    return "\n".join(lines)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _remarks(table: Any) -> list[str]:
    rows = [f"{row.key}: {row.note}." for row in table.rows if row.note]
    return [*([table.note] if table.note else []), *rows]
