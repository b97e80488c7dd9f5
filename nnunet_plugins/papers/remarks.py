"""All remarks on a paper's table: its footnotes, printed scores that cannot be, and the notes of its rows.

For one mask IoU = D / (2 - D), which is convex in the Dice D, and D = 2PR / (P + R), which is concave in precision
and recall. By Jensen's inequality a mean over cases, classes or folds is never below the first and never above the
second; pooled pixels give equality.
"""

from __future__ import annotations

from typing import NamedTuple

from nnunet_plugins.papers.tables import Footnote, Row, Table

#: Names of IoU and Dice in the papers.
_DICE = {"IoU": "Dice", "MIoU": "DSC", "mIoU": "F1"}


class Impossible(NamedTuple):
    """A printed score on the wrong side of its bound, by more than the rounding of all numbers."""

    row: Row
    column: str
    bound: float

    @property
    def gap(self) -> float:
        """Distance from the bound."""
        return abs(self.row.printed[self.column] - self.bound)


def remarks(table: Table) -> list[Footnote]:
    """Footnotes of a table, those that follow from its numbers, and the notes of its rows."""
    computed = [
        _footnote(
            low_ious(table),
            "The mean IoU of masks with the mean Dice D is at least D / (2 - D)",
            "at least",
        ),
        _footnote(
            high_dices(table),
            "The mean Dice of masks with the mean precision P and recall R is at most 2PR / (P + R)",
            "at most",
        ),
    ]
    notes = [Footnote(f"{row.name}: {row.note}.") for row in table.rows if row.note]
    return [*table.footnotes, *filter(None, computed), *notes]


def low_ious(table: Table) -> list[Impossible]:
    """The IoUs below D / (2 - D).

    >>> from nnunet_plugins.papers.library import find_table
    >>> (one,) = low_ious(find_table("jing2025-se-unet.1"))
    >>> one.row.name, one.row.printed["IoU"], round(one.bound, 2)
    ('Attention UNet', 84.1, 84.84)
    """
    found = []
    for row in table.rows:
        for name, value in row.printed.items():
            metric, *label = name.split(" ")
            dice = " ".join([_DICE.get(metric, ""), *label])
            if dice not in row.printed or name.endswith(".sd"):
                continue
            whole = 1.0 if metric == "mIoU" else 100.0
            lowest = row.printed[dice] - table.rounding(dice)
            if value + table.rounding(name) < _iou(lowest, whole):
                found.append(Impossible(row, name, _iou(row.printed[dice], whole)))
    return found


def high_dices(table: Table) -> list[Impossible]:
    """The Dices above 2PR / (P + R).

    >>> from nnunet_plugins.papers.library import find_table
    >>> [one.row.name for one in high_dices(find_table("yan2025-mag-unet.1"))]
    ['SegNet', 'UNETR', 'MAG-UNet']
    """
    found = []
    for row in table.rows:
        for dice in _DICE.values():
            if not row.printed.keys() >= {dice, "Precision", "Recall"}:
                continue
            precision, recall = row.printed["Precision"], row.printed["Recall"]
            rounding = table.rounding("Precision"), table.rounding("Recall")
            highest = _harmonic(precision + rounding[0], recall + rounding[1])
            if row.printed[dice] - table.rounding(dice) > highest:
                found.append(Impossible(row, dice, _harmonic(precision, recall)))
    return found


def _iou(dice: float, whole: float) -> float:
    return dice / (2 - dice / whole)


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b)


def _footnote(found: list[Impossible], law: str, side: str) -> Footnote | None:
    """One footnote on all cells; it gives the bounds of up to three, else of the one with the widest gap."""
    if not found:
        return None
    shown = found if len(found) <= 3 else [max(found, key=lambda one: one.gap)]
    cells = "; ".join(
        f"{one.row.name}, {one.column}: {one.row.printed[one.column]:g}, {side} {one.bound:.2f}"
        for one in shown
    )
    text = cells if shown is found else f"{len(found)} numbers break this; the widest gap: {cells}"
    return Footnote(f"{law}. {text}.", tuple((one.row.key, one.column) for one in found))
