"""A paper: its citation, topologies, tables and training recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnunet_plugins.papers.tables import Table
from nnunet_plugins.papers.topologies import Topology
from nnunet_plugins.text_table import remark


@dataclass(frozen=True)
class Recipe:
    """The procedure with which a paper trained its network.

    An epoch in the papers is one pass over their own cases. The number of epochs and the learning rate of each
    epoch follow the paper; the iterations per epoch remain those of nnU-Net, because a pass over other cases has
    another length. Weight decay and momentum that a paper does not state are the defaults of its framework, 0.

    Attributes:
        training: entries of the ``training`` procedure.
        batch_size: samples per step.
        source: section of the paper, and how unclear statements were read.
    """

    training: dict[str, Any]
    batch_size: int
    source: str


@dataclass(frozen=True)
class Paper:
    """One paper.

    Attributes:
        key: citation key, e.g. 'yan2025-mag-unet'.
        number: former number, '000' to '004'; accepted wherever a key is.
        title: of the publication; a description where the title is not known.
        authors: as cited; '' where they are not known.
        year: of publication; None where it is not known.
        link: DOI or repository; '' where none is stated.
        network: name of the network that it proposes.
        recipe: how it trained that network.
        topologies: all rows of its tables for which a parameter count is printed.
        tables: its ablation and comparison tables.
        footnotes: contradictions outside these tables.
    """

    key: str
    number: str
    title: str
    authors: str
    year: int | None
    link: str
    network: str
    recipe: Recipe
    topologies: tuple[Topology, ...]
    tables: tuple[Table, ...]
    footnotes: tuple[str, ...] = ()

    def reference(self) -> str:
        """Key, citation and link, as far as they are known, on lines of a terminal."""
        who = f"{self.authors} ({self.year}). " if self.authors else ""
        lines = [
            self.key,
            remark(" ", f"{who}{self.title}."),
            f"  {self.link}" if self.link else "",
        ]
        return "\n".join(filter(None, lines))
