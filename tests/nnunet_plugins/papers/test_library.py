"""Papers, tables and topologies are found by citation key or former number; each is consistent with the others."""

from __future__ import annotations

import re

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS
from nnunet_plugins.papers.library import (
    PAPERS,
    RECIPES,
    TABLES,
    TOPOLOGIES,
    find_paper,
    find_table,
    find_tables,
    find_topology,
    proposed_topology,
)
from nnunet_plugins.papers.paper import Paper


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_number_and_key_name_the_same_paper_and_tables(paper: Paper) -> None:
    assert find_paper(paper.key) is find_paper(paper.number) is paper
    for table in paper.tables:
        assert find_table(table.id) is find_table(f"{paper.number}.{table.number}") is table
        assert find_tables(table.id) == (table,)
    assert find_tables(paper.key) == find_tables(paper.number) == paper.tables


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_a_papers_data_belong_to_it(paper: Paper) -> None:
    assert {entry.paper for entry in (*paper.tables, *paper.topologies)} == {paper.key}
    assert {table.network for table in paper.tables} == {paper.network}
    assert [t.network for t in paper.topologies].count(paper.network) == 1
    assert proposed_topology(paper.network) in paper.topologies
    assert RECIPES[paper.network] is paper.recipe
    assert re.fullmatch(r"[a-z0-9-]+", paper.key)
    if paper.authors:
        assert paper.key.startswith(f"{paper.authors.split(',')[0].lower()}{paper.year}-")


def test_names_are_unique() -> None:
    for names in (
        [paper.key for paper in PAPERS],
        [paper.number for paper in PAPERS],
        [table.id for table in TABLES],
        [(t.paper, t.name) for t in TOPOLOGIES],
    ):
        assert len(set(names)) == len(names)
    assert set(RECIPES) <= set(NETWORKS)


@pytest.mark.parametrize(
    ("wrong", "first"),
    [
        ("1.4", "yan2025-mag-unet.4"),
        ("0014", "yan2025-mag-unet.4"),
        ("003-4", "silveira2025-inception-dual.4"),
        ("yan2025-magunet.4", "yan2025-mag-unet.4"),
        ("cai2023.2", "cai2023-aspp-unet.2"),
    ],
)
def test_an_unknown_table_is_answered_with_the_nearest_first(wrong: str, first: str) -> None:
    with pytest.raises(
        UserError, match=rf"no table called '{wrong}'; .*first: {first}, "
    ) as caught:
        find_tables(wrong)
    listed = str(caught.value).partition("first: ")[2].split(", ")
    assert sorted(listed) == sorted(table.id for table in TABLES)


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_the_tables_of_a_named_paper_are_listed_first(paper: Paper) -> None:
    ids = {table.id for table in paper.tables}
    for name in (paper.key, paper.number, f"{paper.number}.99"):
        with pytest.raises(UserError) as caught:
            find_table(name)
        listed = str(caught.value).partition("first: ")[2].split(", ")
        assert set(listed[: len(ids)]) == ids
        assert sorted(listed) == sorted(table.id for table in TABLES)


def test_an_unknown_paper_topology_or_row_is_answered_with_the_nearest_first() -> None:
    with pytest.raises(UserError, match=r"no paper called 'yan2024'; .*first: yan2025-mag-unet, "):
        find_paper("yan2024")
    with pytest.raises(UserError, match=r"no topology of yan2025-mag-unet called 'VNet'; .*V-Net"):
        find_topology("001", "VNet")
    with pytest.raises(UserError, match=r"unet\.2: no row called 'non-local'; .*first: nonlocal, "):
        find_table("yan2025-mag-unet.2").row("non-local")


def test_no_network_is_proposed_that_papers_only_compare_with() -> None:
    assert proposed_topology("ModularUNet") is None
    assert proposed_topology("UNet") is None
