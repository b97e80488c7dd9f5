"""A row and a table of a paper: which network, block and procedure it stands for, and what it scored.

A row is a network of ours with arguments that stand in for, or go beside, the topology of a plan. 'U-Net' is
ModularUNet, so that a row with a module differs from it by the module and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError

Scores = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        key: names the row on the command line and in its configuration.
        name: as the paper calls it.
        network: our network.
        options: its arguments beside the topology's.
        training: entries of the ``training`` procedure that the row is about.
        published: what the paper prints; empty where it leaves the row out.
        topology: what the row stands on with ``--paper``, by its name in ``published.TOPOLOGIES``; '' where the
            paper prints nothing from which it could be told.
        configuration: where the row needs another than its table.
        note: what the row does not tell.
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


@dataclass(frozen=True)
class Table:
    """One table of one paper.

    Attributes:
        id: paper and number of the table.
        about: what it compares.
        network: the paper's own, whose recipe ``--paper`` takes.
        configuration: '2d' or '3d_fullres', as the paper trained.
        classes: of the paper's data, background included.
        rows: in the paper's order.
        note: what of the printed numbers does not hold.
    """

    id: str
    about: str
    network: str
    configuration: str
    classes: int
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def paper(self) -> str:
        """Number of the paper."""
        return self.id.partition(".")[0]

    @property
    def source(self) -> str:
        """Where the rows stand."""
        return f"paper {self.paper}, Table {self.id.partition('.')[2]}"

    def row(self, key: str) -> Row:
        """The row called ``key``.

        Raises:
            UserError: unknown, with the known ones, the nearest first.
        """
        rows = {row.key: row for row in self.rows}
        if key not in rows:
            known = ", ".join(nearest_first(key, rows))
            raise UserError(f"{self.id}: no row called {key!r}; known, the nearest first: {known}")
        return rows[key]


def scores(metrics: str, values: str) -> Scores:
    """What a table prints for a row: metrics' names and their values, in the same order."""
    return dict(zip(metrics.split(), map(float, values.split()), strict=True)) if values else {}


def compared(
    key: str, name: str, network: str, published: Scores, configuration: str = "", note: str = ""
) -> Row:
    """A row that stands on what its paper calls a topology of its own."""
    return Row(
        key,
        name,
        network,
        published=published,
        topology=name,
        configuration=configuration,
        note=note,
    )
