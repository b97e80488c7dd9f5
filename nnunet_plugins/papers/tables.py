"""A table of a paper and its rows: the network, blocks and procedure that a row describes, and its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError

Scores = dict[str, float]

#: Aggregate: mean over labels, without background, of their means over cases.
CASES = "macro_over_classes"
#: Aggregate: pixels of all cases pooled, mean over background and labels.
POOLED = "pooled_macro_over_classes_with_background"

_PERCENT = {
    "Dice": "dice",
    "DSC": "dice",
    "IoU": "iou",
    "MIoU": "iou",
    "Precision": "precision",
    "Recall": "recall",
}


@dataclass(frozen=True)
class Column:
    """How a column of a paper's table is measured here.

    Attributes:
        aggregate: an aggregate of `evaluate`, 'label' for the mean of one label, 'parameters', or 'seconds' for the
            time of a prediction, which is given.
        metric: a metric of `evaluate`.
        factor: 100 where the paper prints percent.
        label: the label of 'label'.
        external: whether it is measured on the external test set.
        spread: what the paper's ± is over: 'folds' or 'cases'; '' if it prints none.
    """

    aggregate: str
    metric: str = ""
    factor: float = 100.0
    label: str = ""
    external: bool = False
    spread: str = ""


@dataclass(frozen=True)
class Footnote:
    """A remark on a table, e.g. a contradiction, and the cells concerned: (row key, column); none: all."""

    text: str
    cells: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Row:
    """One row: a network of this package with arguments that replace or extend the topology of a plan.

    'U-Net' is ModularUNet, so that a row with a module differs from it by that module only.

    Attributes:
        key: names the row on the command line and in its configuration.
        name: as in the paper.
        network: name of the network.
        options: arguments of the network in addition to the topology.
        training: entries of the ``training`` procedure that the row is about.
        published: printed scores by column; empty if the paper leaves the row out.
        topology: name of the topology that the row uses with ``--paper``; '' if the paper does not describe it.
        configuration: set if it differs from that of the table.
        note: remark on the row.
        native: whether the row is nnU-Net itself, which keeps its own plan and procedure with ``--paper``.
        further: printed scores that the listing omits: spreads, intervals, single labels.
    """

    key: str
    name: str
    network: str
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    published: Scores = field(default_factory=dict)
    topology: str = ""
    configuration: str = ""
    note: str = ""
    further: Scores = field(default_factory=dict)
    native: bool = False

    @property
    def printed(self) -> Scores:
        """All scores that the paper prints."""
        return self.published | self.further


@dataclass(frozen=True)
class Table:
    """One table of one paper.

    Attributes:
        paper: key of the paper.
        number: number of the table.
        about: what it compares.
        network: the paper's own network, whose recipe ``--paper`` uses.
        configuration: '2d' or '3d_fullres', as the paper trained.
        classes: number in the paper's data, background included.
        rows: in the order of the paper.
        footnotes: contradictions and other remarks.
        measured: column -> how it is measured here, where the name does not follow the percent scores
            (Dice, DSC, IoU, MIoU, Precision, Recall, each optionally followed by a label).
        spread: what the paper's ± is over, where ``measured`` does not state it.
    """

    paper: str
    number: int
    about: str
    network: str
    configuration: str
    classes: int
    rows: tuple[Row, ...]
    footnotes: tuple[Footnote, ...] = ()
    measured: Mapping[str, Column] = field(default_factory=dict)
    spread: str = ""

    @property
    def id(self) -> str:
        """Key of the paper and number of the table."""
        return f"{self.paper}.{self.number}"

    @property
    def pooled(self) -> bool:
        """Whether the scores pool the pixels of all cases, background included."""
        return any(column.aggregate == POOLED for column in self.measured.values())

    def row(self, key: str) -> Row:
        """The row called ``key``.

        Raises:
            UserError: unknown row; lists the known ones, nearest first.
        """
        rows = {row.key: row for row in self.rows}
        if key not in rows:
            known = ", ".join(nearest_first(key, rows))
            raise UserError(f"{self.id}: no row called {key!r}; known, the nearest first: {known}")
        return rows[key]

    def column(self, name: str) -> Column | None:
        """How the column ``name`` is measured here; None if it cannot be."""
        if name == "Params":
            return Column("parameters", factor=1e-6)
        if name == "s/image":
            return Column("seconds", factor=1.0)
        if self.measured:
            return self.measured.get(name)
        metric, _, label = name.partition(" ")
        if metric not in _PERCENT:
            return None
        aggregate = "label" if label else CASES
        return Column(aggregate, _PERCENT[metric], label=label, spread=self.spread)

    def digits(self, name: str) -> int:
        """Number of decimals that the paper prints in the column ``name``."""
        printed = [row.printed[name] for row in self.rows if name in row.printed]
        return max(len(f"{value:g}".partition(".")[2]) for value in printed)

    def rounding(self, name: str) -> float:
        """The largest difference of a printed number in the column ``name`` from the true one."""
        return 0.5 * 10.0 ** -self.digits(name)


def scores(metrics: str, values: str) -> Scores:
    """Scores of a row from the names of the metrics and their values, in the same order.

    >>> scores("Dice IoU", "90.4 82.6")
    {'Dice': 90.4, 'IoU': 82.6}
    """
    return dict(zip(metrics.split(), map(float, values.split()), strict=True)) if values else {}


def compared(key: str, name: str, network: str, published: Scores, **more: Any) -> Row:
    """A row whose topology has the name of the row in its paper."""
    return Row(key, name, network, published=published, topology=name, **more)
