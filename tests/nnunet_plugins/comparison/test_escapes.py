"""Names with signs of Markdown, LaTeX and spreadsheets in the tables of `compare`."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from nnunet_plugins.comparison import escapes
from nnunet_plugins.comparison.table_formats import latex, latex_note, markdown, sheet_csv
from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.csv_table import csv_cell

SIGNS = [
    "[left] ilium", "*", "* starred", "a & b", "50 % done", "#1", "left_hip", "~", "x^2", "{", "}", "\\", "\\\\[2cm]",
    "$5", '"quoted"', "`code`", "a|b", "<b>", "--groups", "\\input{a}", "line\nbreak", "tab\tname", "L5–S1", "α-loss",
    "±", "''", "?`", "e\u0301", "\u200bthin", "\\end{tabular}", "% comment", "^^M", "-", "...", "[", "]", "-1.5",
]  # fmt: skip


def sheet(names: list[str]) -> Sheet:
    rows = tuple((name, name, "0.91 ± 0.02") for name in names)
    return Sheet(f"of {' '.join(names)}", ("label", *names[:1], "Dice"), rows, 2, tuple(names[:3]))


def document(content: str, *packages: str) -> str:
    used = "".join(f"\\usepackage{one}\n" for one in ("{booktabs,graphicx}", *packages))
    return f"\\documentclass{{article}}\n{used}\\begin{{document}}\n{content}\n\\end{{document}}\n"


def compiled(folder: Path, text: str, program: str = "pdflatex") -> str:
    """The errors of a document, and characters without a glyph."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if program == "pdflatex" and not _has("booktabs.sty"):
        pytest.skip("LaTeX has no package booktabs")
    (folder / "a.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [program, "-interaction=nonstopmode", "-no-shell-escape", "a.tex"],
        cwd=folder, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    log = (folder / "a.log").read_text(encoding="utf-8", errors="replace")
    wrong = [line for line in log.splitlines() if line.startswith(("!", "Missing character"))]
    assert done.returncode == 0 or wrong
    return "\n".join(wrong)


def _has(file: str) -> bool:
    done = subprocess.run(["kpsewhich", file], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip())


@pytest.mark.parametrize("package", [(), ("[T1]{fontenc}",)])
def test_any_name_compiles_with_pdflatex(tmp_path: Path, package: tuple[str, ...]) -> None:
    content = latex([sheet(SIGNS)], SIGNS, SIGNS)
    assert latex_note(content) == ""
    assert compiled(tmp_path, document(content, *package)) == ""


def test_all_letters_that_are_said_to_compile_do(tmp_path: Path) -> None:
    content = latex([sheet([f"{one} x" for one in escapes.PDFLATEX])], [], [])
    assert latex_note(content) == ""
    assert compiled(tmp_path, document(content)) == ""


@pytest.mark.parametrize("name", ["骶骨", "крестец", "ιερό οστό", "עצם", "👍"])
def test_letters_that_pdflatex_lacks_are_named_with_xelatex(tmp_path: Path, name: str) -> None:
    content = latex([sheet([name, "Hüfte"])], [], [])
    first, second, *_ = content.splitlines()
    assert first == r"% \usepackage{booktabs,graphicx}"
    assert second.startswith("% pdfLaTeX cannot typeset ")
    assert "XeLaTeX" in second
    assert name[0] in second
    assert "ü" not in second
    assert compiled(tmp_path, document(content)) != ""


def test_xelatex_compiles_what_pdflatex_lacks(tmp_path: Path) -> None:
    content = latex([sheet(["крестец", *SIGNS])], [], [])
    if not Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").exists():
        pytest.skip("the font DejaVu Sans is not installed")
    text = document(content, "{fontspec}", "{booktabs}")
    text = text.replace(r"\begin{document}", "\\setmainfont{DejaVu Sans}\n\\begin{document}", 1)
    assert compiled(tmp_path, text, "xelatex") == ""


def test_latex_does_not_change_hyphens_and_dashes() -> None:
    assert escapes.tex("--groups a---b L5–S1") == r"-{}-groups a-{}-{}-b L5\textendash{}S1"


def test_markdown_shows_names_as_they_are() -> None:
    found = markdown(
        [sheet(["left_hip*", "a|b", "<b>~`x`~ $1$ [x](y) &lt;"])], ["#1"], ["- x", "2. y"]
    )
    assert r"| left\_hip\* | left\_hip\* |" in found
    assert r"| a\|b |" in found
    assert r"| \<b\>\~\`x\`\~ \$1\$ \[x\](y) \&lt; |" in found
    assert found.startswith("> **\\#1**\n")
    assert found.endswith("- \\- x\n- 2\\. y\n")


def test_markdown_renders_to_the_name() -> None:
    markdown_it = pytest.importorskip("markdown_it")
    for name in SIGNS:
        html = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).renderInline(
            escapes.markdown(name)
        )
        assert unescape(html) == escapes.plain(name)


def test_a_spreadsheet_runs_no_cell() -> None:
    names = ["=1+1", "+a", "-b", "@sum", "\tx", "\rx", " =1", "＝1", "=HYPERLINK(1)", "-1+1", "- x"]
    numbers = ["-0.41", "+1.00", "-0.41 ± 0.20", "-0.5 to 1.2", "-1e-05", "-3 %", "-", "-0.41 †1,2"]
    rows = list(csv.reader(io.StringIO(sheet_csv(sheet([*names, *numbers]), ["=w"]), newline="")))
    cells = [row[0] for row in rows[1:]]
    assert cells[: len(names)] == [f"'{name}".replace("\r", "\n") for name in names]
    assert cells[len(names) : len(names) + len(numbers)] == numbers
    assert rows[-1] == ["'=w"]
    assert csv_cell(-0.41) == -0.41
    assert csv_cell(None) is None
