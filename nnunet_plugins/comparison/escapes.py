"""Any text in a table of Markdown or LaTeX: shown as it is, and never taken as markup."""

from __future__ import annotations

import re
import unicodedata

_TEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": "$<$",
    ">": "$>$",
    "[": "{[}",  # after \\ and \item, [ and * begin an argument
    "]": "{]}",
    "*": "{*}",
    '"': r"\char34{}",  # babel defines a shorthand for " in several languages
    "`": r"\`{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    "·": r"$\cdot$",
    "²": "$^2$",
    "³": "$^3$",
    "†": r"\textdagger{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "→": r"$\rightarrow$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "Δ": r"$\Delta$",
}
#: Letters that pdfLaTeX typesets without another package; a test compiles them.
PDFLATEX = (
    "¡¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿĀāĂăĆćĈĉĊċČčĎďĒēĔĕĖėĚěĜĝĞğĠġĢģĤĥĨĩĪīĬĭİıĴĵĶķĹĺĻļĽľŁł"
    "ŃńŅņŇňŌōŎŏŐőŒœŔŕŖŗŘřŚśŜŝŞşŠšŢţŤťŨũŪūŬŭŮůŰűŴŵŶŷŸŹźŻżŽž"
)


def plain(text: str) -> str:
    r"""Return a text as one line, in Unicode's composed form, without control characters.

    >>> plain("left\n ilium")
    'left ilium'
    """
    composed = unicodedata.normalize("NFC", text)
    seen = (" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in composed)
    return " ".join("".join(seen).split())


def tex(text: str) -> str:
    r"""Escape a text for LaTeX.

    >>> print(tex("[left] 50 % & more"))
    {[}left{]} 50 \% \& more
    """
    signs = (one for one in plain(text) if unicodedata.category(one) != "Cf")
    # Without {}, LaTeX joins two hyphens to a dash.
    return re.sub("-(?=-)", "-{}", "".join(_TEX.get(sign, sign) for sign in signs))


def beyond_pdflatex(content: str) -> str:
    """Return the characters of a LaTeX file that pdfLaTeX cannot typeset without more packages.

    >>> beyond_pdflatex("Hüfte, 骶骨, 骶")
    '骶骨'
    """
    return "".join(
        dict.fromkeys(one for one in content if not one.isascii() and one not in PDFLATEX)
    )


def markdown(text: str, *, block: bool = False) -> str:
    r"""Escape a text for GitHub's Markdown.

    Args:
        text: of a cell or a line.
        block: the text begins a line, where a hyphen or a number with a dot begins a list.

    >>> print(markdown("left_hip*, <b>"))
    left\_hip\*, \<b\>
    """
    line = re.sub(r"([\\`*_~$\[\]|<>&#])", r"\\\1", plain(text))
    if not block:
        return line
    return re.sub(r"^(\d*)([-+=.)])(?=\s|$|[-=])", r"\1\\\2", line)
