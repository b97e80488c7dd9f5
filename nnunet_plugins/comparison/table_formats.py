"""Tables of a comparison as plain text, Markdown, LaTeX and CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from nnunet_plugins.comparison import escapes
from nnunet_plugins.comparison.compare import Comparison
from nnunet_plugins.comparison.escapes import tex
from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.errors import UserError
from nnunet_plugins.text_table import WIDTH, ruled, stacked

ENDINGS = (".md", ".tex", ".csv", ".json")


def check_ending(name: str) -> None:
    """Check the ending of a file name.

    Raises:
        UserError: no format has it; the message lists those that are supported.
    """
    if not name.endswith(ENDINGS):
        raise UserError(f"{name}: allowed endings are {', '.join(ENDINGS)}; pass -o FILE.md")


def text(sheets: Sequence[Sheet], warnings: Sequence[str], notes: Sequence[str]) -> str:
    """Plain text for a terminal, at most 100 characters wide."""
    parts = [_wrapped(warnings)] if warnings else []
    for sheet in sheets:
        rows = [sheet.head, *sheet.rows]
        lines = ruled(rows, left=sheet.left)
        if max(map(len, lines)) > WIDTH:
            lines = stacked([*zip(*rows, strict=True)], left=sheet.left)
        notes_below = ["", _wrapped(sheet.notes)] if sheet.notes else []
        parts.append("\n".join([sheet.title, "", *lines, *notes_below]))
    parts.append(_wrapped(notes))
    return "\n\n".join(part.rstrip() for part in parts if part.strip())


def markdown(sheets: Sequence[Sheet], warnings: Sequence[str], notes: Sequence[str]) -> str:
    """GitHub's pipe tables."""
    parts = [f"> **{escapes.markdown(one)}**" for one in warnings]
    for sheet in sheets:
        align = ["---" if i < sheet.left else "---:" for i in range(len(sheet.head))]
        lines = [_pipe(map(escapes.markdown, row)) for row in (sheet.head, *sheet.rows)]
        lines.insert(1, _pipe(align))
        below = [escapes.markdown(note, block=True) for note in sheet.notes]
        parts += [f"## {escapes.markdown(sheet.title)}", "\n".join(lines), *below]
    if notes:
        parts.append("\n".join(f"- {escapes.markdown(note, block=True)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def latex(sheets: Sequence[Sheet], warnings: Sequence[str], notes: Sequence[str]) -> str:
    """Tables for the booktabs package; graphicx scales wide ones to the width of the text.

    The first lines name what the document needs, including XeLaTeX for letters that pdfLaTeX does not have.
    """
    parts = [
        *(f"\\textbf{{{tex(one)}}}\n" for one in warnings),
    ]
    for sheet in sheets:
        align = "l" * sheet.left + "r" * (len(sheet.head) - sheet.left)
        head, *rows = (" & ".join(map(tex, row)) + r" \\" for row in (sheet.head, *sheet.rows))
        small = "\n".join(
            f"\\par\\smallskip\\raggedright\\footnotesize {tex(note)}" for note in sheet.notes
        )
        parts.append(
            "\n".join(
                [
                    r"\begin{table}[htbp]",
                    r"\centering",
                    rf"\caption{{{tex(sheet.title)}}}",
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
        items = "\n".join(rf"\item {tex(note)}" for note in notes)
        parts.append(f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}")
    content = "\n\n".join(parts) + "\n"
    needed = "% \\usepackage{booktabs,graphicx}\n"
    if note := latex_note(content):
        needed += f"% {note}\n"
    return f"{needed}\n{content}"


def latex_note(content: str) -> str:
    """What a LaTeX file needs apart from packages that every installation has; '' if nothing."""
    signs = escapes.beyond_pdflatex("\n".join(x for x in content.split("\n") if x[:1] != "%"))
    if not signs:
        return ""
    shown = signs[:20] + (" ..." if len(signs) > 20 else "")
    return (
        f"pdfLaTeX cannot typeset {shown}: compile with XeLaTeX and a font that has these characters, for example "
        "\\usepackage{fontspec} \\setmainfont{Noto Serif CJK SC}"
    )


def comparison_csv(comparison: Comparison) -> str:
    """One row per metric, label and run, with full precision; cells without a number are empty."""
    reasons = {
        run.name: [run.scores.trained_on] for run in comparison.runs if run.scores.trained_on
    }
    for name, unlike in comparison.unfair.items():
        reasons.setdefault(name, []).extend(map(str, unlike))
    cost = ("parameters", "seconds_a_step", "training_hours", "device", "peak_memory_gib")
    head = [
        "metric", "label", "run", "n", "without_value", "mean", "sd", "ci_low", "ci_high", "pairs", "wins", "ties",
        "losses", "rank_biserial", "p", "p_holm", "tests", *cost, "unfair", "p_method", "patients", "ci_of_few",
        "median", "median_ci_low", "median_ci_high", "trainings", "sd_of_trainings", "gain", "spread",
        "within_spread",
    ]  # fmt: skip
    facts = {run.name: run.facts for run in comparison.runs}
    rows: list[Sequence[object]] = []
    for table in comparison.tables:
        for one in table.lines:
            found = one.against
            test: Sequence[object] = [None] * 8
            if found:
                test = (
                    found.n,
                    found.wins,
                    found.ties,
                    found.losses,
                    found.effect,
                    found.p,
                    one.p,
                    table.tests,
                )
            rows.append([
                table.metric, one.label, one.run, one.n, one.lost, one.mean, one.sd, *(one.ci or (None, None)), *test,
                *(facts[one.run].get(key) for key in cost), "; ".join(reasons.get(one.run, [])),
                found.method if found else None, one.patients if comparison.patients else None, one.few, one.median,
                *(one.median_ci or (None, None)), one.trainings, one.sd_of_trainings, one.gain, one.spread,
                one.within_spread,
            ])  # fmt: skip
    return csv_text([head, *rows])


def sheet_csv(sheet: Sheet, warnings: Sequence[str]) -> str:
    """The cells of one table, with its notes and the warnings in rows below."""
    return csv_text([sheet.head, *sheet.rows, *([one] for one in (*sheet.notes, *warnings))])


def _wrapped(lines: Sequence[str]) -> str:
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def _pipe(cells: Sequence[str] | map[str]) -> str:
    return "| " + " | ".join(cells) + " |"
