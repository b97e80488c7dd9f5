"""Look-up of papers, tables and topologies, by citation key or by the former numbers '000' to '004'."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers import (
    cai2023_aspp_unet,
    jing2025_se_unet,
    sij_fm_25d_attention_unet,
    silveira2025_inception_dual,
    yan2025_mag_unet,
)
from nnunet_plugins.papers.paper import Paper
from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.papers.tables import Table
from nnunet_plugins.papers.topologies import Topology

PAPERS: tuple[Paper, ...] = (
    jing2025_se_unet.PAPER,
    yan2025_mag_unet.PAPER,
    sij_fm_25d_attention_unet.PAPER,
    silveira2025_inception_dual.PAPER,
    cai2023_aspp_unet.PAPER,
)
TABLES: tuple[Table, ...] = tuple(table for paper in PAPERS for table in paper.tables)
TOPOLOGIES: tuple[Topology, ...] = tuple(t for paper in PAPERS for t in paper.topologies)
#: Network -> recipe of the paper that proposes it.
RECIPES: dict[str, Recipe] = {paper.network: paper.recipe for paper in PAPERS}

_Entry = TypeVar("_Entry")


def find_paper(name: str) -> Paper:
    """The paper with the key or former number ``name``.

    >>> find_paper("yan2025-mag-unet").network, find_paper("001").key
    ('MAGUNet', 'yan2025-mag-unet')

    Raises:
        UserError: unknown paper; lists the known keys, nearest first.
    """
    return _find(
        "paper", name, {p.key: p for p in PAPERS}, {paper.number: paper.key for paper in PAPERS}
    )


def find_table(name: str) -> Table:
    """The table with the id ``name``: KEY.N, or the former NUMBER.N.

    >>> find_table("yan2025-mag-unet.4").about
    'modules of MAG-UNet'
    >>> find_table("001.4").id
    'yan2025-mag-unet.4'

    Raises:
        UserError: unknown table; lists the known ids, nearest first, those of a named paper before the others.
    """
    aliases = {f"{p.number}.{t.number}": t.id for p in PAPERS for t in p.tables}
    tables = {table.id: table for table in TABLES}
    paper = name.partition(".")[0]
    first = [t.id for p in PAPERS if paper in (p.key, p.number) for t in p.tables]
    return _find("table", name, tables, aliases, first)


def find_tables(name: str) -> tuple[Table, ...]:
    """The tables of the paper ``name``, or the one table ``name``.

    >>> [table.id for table in find_tables("000")]
    ['jing2025-se-unet.1', 'jing2025-se-unet.2']

    Raises:
        UserError: neither is known; lists the known tables, nearest first.
    """
    if any(name in (paper.key, paper.number) for paper in PAPERS):
        return find_paper(name).tables
    return (find_table(name),)


def find_topology(paper: str, name: str) -> Topology:
    """The topology that ``paper`` calls ``name``.

    Raises:
        UserError: unknown paper or topology; lists the known ones, nearest first.
    """
    found = find_paper(paper)
    return _find(f"topology of {found.key}", name, {t.name: t for t in found.topologies}, {})


def proposed_topology(network: str) -> Topology | None:
    """The topology of the paper that proposes ``network``; None if no paper does."""
    topologies = (t for p in PAPERS if p.network == network for t in p.topologies)
    return next((t for t in topologies if t.network == network), None)


def _find(
    kind: str,
    name: str,
    entries: Mapping[str, _Entry],
    aliases: Mapping[str, str],
    first: Collection[str] = (),
) -> _Entry:
    key = aliases.get(name, name)
    if key not in entries:
        nearest = nearest_first(name, [*entries, *aliases])
        keys = dict.fromkeys(aliases.get(one, one) for one in nearest)
        known = ", ".join(sorted(keys, key=lambda one: one not in first))
        raise UserError(f"no {kind} called {name!r}; known, the nearest first: {known}")
    return entries[key]
