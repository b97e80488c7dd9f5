"""Sheets as plain text, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Sequence

from nnunet_plugins.comparison.compare import Comparison
from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.table import WIDTH, blocks, columns

ENDINGS = (".md", ".tex", ".csv")
_TEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"\textdagger{}",
    "<": "$<$",
    ">": "$>$",
}


def check_ending(name: str) -> None:
    """Refuse a file that no format has.

    Raises:
        UserError: with the endings that are known.
    """
    if not name.endswith(ENDINGS):
        raise UserError(f"{name}: allowed endings are {', '.join(ENDINGS)}; pass -o FILE.md")


def text(sheets: Sequence[Sheet], warnings: Sequence[str], notes: Sequence[str]) -> str:
    """For a terminal, 100 columns wide."""
    parts = [_wrapped(warnings)] if warnings else []
    for sheet in sheets:
        rows = [sheet.head, *sheet.rows]
        wide = columns(rows, left=sheet.left)
        if max(map(len, wide)) > WIDTH:  # below each other, the first column with every part
            wide = blocks([*map(list, zip(*rows, strict=True))], left=sheet.left)
        parts.append(
            "\n".join(
                [sheet.title, "", *wide, *([""] if sheet.notes else []), _wrapped(sheet.notes)]
            )
        )
    parts.append(_wrapped(notes))
    return "\n\n".join(part.rstrip() for part in parts if part.strip())


def markdown(sheets: Sequence[Sheet], warnings: Sequence[str], notes: Sequence[str]) -> str:
    """GitHub's pipe tables."""
    parts = [f"> **{_md(one)}**" for one in warnings]
    for sheet in sheets:
        align = ["---" if i < sheet.left else "---:" for i in range(len(sheet.head))]
        lines = [_pipe(map(_md, row)) for row in (sheet.head, *sheet.rows)]
        lines.insert(1, _pipe(align))
        parts += [f"## {_md(sheet.title)}", "\n".join(lines), *map(_md, sheet.notes)]
    if notes:
        parts.append("\n".join(f"- {_md(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def latex(sheets: Sequence[Sheet], warnings: Sequence[str], notes: Sequence[str]) -> str:
    """Tables for the booktabs package; wide ones are scaled to the text by graphicx."""
    parts = [
        "% \\usepackage{booktabs,graphicx}",
        *(f"\\textbf{{{_tex(one)}}}\n" for one in warnings),
    ]
    for sheet in sheets:
        align = "l" * sheet.left + "r" * (len(sheet.head) - sheet.left)
        head, *rows = (" & ".join(map(_tex, row)) + r" \\" for row in (sheet.head, *sheet.rows))
        small = "\n".join(
            f"\\par\\smallskip\\raggedright\\footnotesize {_tex(note)}" for note in sheet.notes
        )
        parts.append(
            "\n".join(
                [
                    r"\begin{table}[htbp]",
                    r"\centering",
                    rf"\caption{{{_tex(sheet.title)}}}",
                    r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
                    rf"\begin{{tabular}}{{{align}}}",
                    r"\toprule",
                    head,
                    r"\midrule",
                    *rows,
                    r"\bottomrule",
                    r"\end{tabular}}",
                    *([small] if small else []),
                    r"\end{table}",
                ]
            )
        )
    if notes:
        items = "\n".join(rf"\item {_tex(note)}" for note in notes)
        parts.append(f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}")
    return "\n\n".join(parts) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """A line for each metric, label and run, with full precision; empty where there is no number."""
    unfair = comparison.unfair
    cost = ("parameters", "seconds_a_step", "training_hours", "device", "peak_memory_gib")
    head = [
        "metric", "label", "run", "n", "without_value", "mean", "sd", "ci_low", "ci_high", "pairs", "wins", "ties",
        "losses", "rank_biserial", "p", "p_holm", "tests", *cost, "unfair",
    ]  # fmt: skip
    rows = []
    facts = {run.name: run.facts for run in comparison.runs}
    for table in comparison.tables:
        for one in table.lines:
            low, high = one.ci or (None, None)
            found = one.against
            test = (
                [
                    found.n,
                    found.wins,
                    found.ties,
                    found.losses,
                    found.effect,
                    found.p,
                    one.p,
                    table.tests,
                ]
                if found
                else [None] * 8
            )
            marks = "; ".join(map(str, unfair.get(one.run, [])))
            rows.append(
                [table.metric, one.label, one.run, one.n, one.lost, one.mean, one.sd, low, high, *test,
                 *(facts[one.run].get(key) for key in cost), marks]
            )  # fmt: skip
    return _csv([head, *rows])


def sheet_csv(sheet: Sheet, warnings: Sequence[str]) -> str:
    """One sheet's cells; what is unfair stands in rows below them."""
    return _csv([sheet.head, *sheet.rows, *([one] for one in (*sheet.notes, *warnings))])


def _csv(rows: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _wrapped(lines: Sequence[str]) -> str:
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def _pipe(cells: Sequence[str] | map[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(cell: str) -> str:
    return re.sub(r"([|\\`*<>\[\]])", r"\\\1", cell)


def _tex(cell: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in cell)
