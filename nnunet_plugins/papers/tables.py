"""The tables of the papers."""

from __future__ import annotations

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers import csig_mri, lumbar_mri, sij_ct, sij_mri
from nnunet_plugins.papers.rows import Table

TABLES: tuple[Table, ...] = (
    *sij_ct.TABLES,
    *sij_mri.TABLES,
    *lumbar_mri.TABLES,
    *csig_mri.TABLES,
)


def find(table: str) -> Table:
    """The table with the id ``table``.

    Raises:
        UserError: unknown, with the known ones, the nearest first.
    """
    tables = {t.id: t for t in TABLES}
    if table not in tables:
        known = ", ".join(nearest_first(table, tables))
        raise UserError(f"no table called {table!r}; known, the nearest first: {known}")
    return tables[table]
