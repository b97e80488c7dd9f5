"""Tables 3 and 5 of sij-fm-25d-attention-unet, two readers alone and assisted, above the same measures of a study."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_plugins.comparison.paper import published
from nnunet_plugins.comparison.tables import Sheet
from nnunet_plugins.papers.sij_fm_25d_attention_unet import CALLS, CALLS_P, MASKS, MASKS_P, PAPER
from nnunet_plugins.papers.tables import Scores
from nnunet_plugins.readers.findings import SHARES
from nnunet_plugins.readers.masks import METRICS
from nnunet_plugins.readers.sheets import title_of

_OTHERS = "Different patients, readers and models: the rows are not a comparison of methods."
_CASES = {"calls": "58", "masks": "20"}


def beside_paper(sheets: Sequence[Sheet]) -> list[Sheet]:
    """The paper's tables with the rows of the study's tables of calls and masks, as far as it has them."""
    made = []
    for sheet in sheets:
        measures = tuple(sheet.head[3:])
        if sheet.title == "Calls":
            names = (*(one if one.isupper() else one.capitalize() for one in SHARES), "kappa")
            rows = [_row(*key, _CASES["calls"], names, found) for key, found in CALLS.items()]
            made.append(
                _sheet(5, sheet, rows, f"p by chi-square, according to the paper: {_ps(CALLS_P)}.")
            )
        elif sheet.title.startswith("Masks: ") and measures == tuple(map(title_of, METRICS)):
            names = ("DSC", "Precision", "Recall")
            rows = [_row(*key, _CASES["masks"], names, found) for key, found in MASKS.items()]
            made.append(_sheet(3, sheet, rows, f"p of the DSC by Wilcoxon's test: {_ps(MASKS_P)}."))
    return made


def _sheet(number: int, ours: Sheet, rows: list[tuple[str, ...]], tests: str) -> Sheet:
    footnotes = [one for one in PAPER.footnotes if one.startswith(f"Table {number}")]
    title = f"{PAPER.key}, table {number}, and this study: {ours.title}"
    return Sheet(title, ours.head, (*rows, *ours.rows), 2, (tests, *footnotes, _OTHERS))


def _row(reader: str, arm: str, n: str, names: Sequence[str], found: Scores) -> tuple[str, ...]:
    return (
        f"paper: {reader}",
        arm,
        n,
        *(published(found, name, 3 if name == "kappa" else 2) for name in names),
    )


def _ps(found: dict[str, str]) -> str:
    return "; ".join(f"{what} {p}" for what, p in found.items())
