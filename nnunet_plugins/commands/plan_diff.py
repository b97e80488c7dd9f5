"""Differences between two plans, and whether trainings with them are a fair comparison."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare A B [-c CONFIGURATION] [--trust] [--json]."""
    for name in ("first", "other"):
        parser.add_argument(
            name, metavar=name.upper(), help="plans file, model folder or checkpoint (.pth)"
        )
    parser.add_argument(
        "-c", dest="configuration", metavar="NAME", help="default: all that both have"
    )
    parser.add_argument(
        "--trust", action="store_true",
        help="load a checkpoint as a pickle, which can run code of its author",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.epilog = (
        "Exit status: 0 if a comparison is fair, 1 if it is not, 2 if there is nothing to compare."
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the differences; 1 if a comparison would be unfair."""
    from nnunet_plugins.comparison.plan_diff import compare, read_source
    from nnunet_plugins.text_table import remark

    first, other = (
        read_source(where, trust=arguments.trust) for where in (arguments.first, arguments.other)
    )
    diffs = compare(first, other, arguments.configuration)
    fair = all(diff.fair for diff in diffs)
    if arguments.json:
        found = [
            {
                "configuration": [diff.first, diff.other],
                "fair": diff.fair,
                "differences": [vars(one) for one in diff.training],
                "network": list(diff.network),
            }
            for diff in diffs
        ]
        print(json.dumps({"fair": fair, "configurations": found}, indent=1, default=str))
        return 0 if fair else 1
    print(f"{other.where}\nagainst {first.where}")
    for diff in diffs:
        both = diff.first if diff.first == diff.other else f"{diff.other} against {diff.first}"
        unfair = [one for one in diff.training if one.severity == "unfair"]
        notes = [str(one) for one in diff.training if one.severity == "note"]
        unknown = [
            one.fact.replace("_", " ") for one in diff.training if one.severity == "not recorded"
        ]
        if diff.same:
            print(f"\n{both}: no difference")
        else:
            print(
                f"\n{both}: {'differs, but fair to compare' if diff.fair else 'NOT fair to compare'}"
            )
        for line in map(str, unfair):
            print(remark("  unfair ", line))
        for line in [*notes, *diff.network]:
            print(remark("        -", line))
        if unknown:
            print(remark("        ?", f"not recorded on one side or both: {', '.join(unknown)}"))
    return 0 if fair else 1
