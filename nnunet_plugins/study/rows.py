"""The rows of a study: what their names stand for, and which configuration they inherit from."""

from __future__ import annotations

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.library import find_table
from nnunet_plugins.papers.tables import Row, Table
from nnunet_plugins.study.settings import RowEntry, Settings


def row_of(settings: Settings, name: str) -> Row:
    """The row called ``name``: of study.yaml, of its table, or a network.

    Raises:
        UserError: none of these has the name; lists what is known, nearest first.
    """
    for row in settings.rows:
        if isinstance(row, RowEntry) and row.name == name:
            return Row(row.name, row.name, row.network, dict(row.options), dict(row.training))
    keys = {row.key: row for row in table_of(settings).rows}
    if name in keys:
        return keys[name]
    from nnunet_plugins.networks import NETWORKS  # imports torch

    if name in NETWORKS:
        return Row(name, name, name)
    known = ", ".join(nearest_first(name, [*keys, *NETWORKS]))
    raise UserError(f"rows: no row or network called {name!r}; known, the nearest first: {known}")


def table_of(settings: Settings) -> Table:
    """The table of the study; one without rows if it has none."""
    if settings.table is not None:
        return find_table(settings.table)
    configuration = settings.configuration or "3d_fullres"
    return Table("", 0, "", settings.budget.network, configuration, 0, ())


def base_of(settings: Settings, row: Row) -> str:
    """nnU-Net's configuration that a row inherits from."""
    return row.configuration or settings.configuration or table_of(settings).configuration


def is_published(settings: Settings) -> bool:
    """Whether rows have the topology of the paper. A preset fixes the size of the networks, as in `plan`."""
    return settings.budget.recipe != "native" and not settings.budget.preset


def native_configurations(settings: Settings) -> list[str]:
    """Configurations of nnU-Net's own plan that rows of a paper's study need."""
    rows = [row_of(settings, name) for name in settings.row_names]
    own = [base_of(settings, row) for row in rows if row.native and is_published(settings)]
    return list(dict.fromkeys(own))
