"""A paper: its citation, topologies, tables and recipe."""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.papers.tables import Table
from nnunet_plugins.papers.topologies import Topology
from nnunet_plugins.text_table import remark


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
