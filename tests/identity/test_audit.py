"""Bridges: against networkx on random graphs, and a person by hand."""

from __future__ import annotations

import duckdb
import networkx
import numpy as np
import pytest

from dagster_project.identity.audit import audit_bridges, find_bridges


@pytest.mark.parametrize(
    ("nodes", "links", "seed"), [(2, 1, 0), (60, 40, 1), (60, 70, 2), (2_000, 2_100, 3), (50, 90, 4)]
)
def test_bridges_and_the_parts_they_join_equal_those_of_networkx(nodes: int, links: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, nodes, (3 * links, 2))
    drawn = np.unique(np.sort(drawn[drawn[:, 0] != drawn[:, 1]], axis=1), axis=0)[:links]
    drawn = drawn if len(drawn) else np.array([[0, 1]])
    graph = networkx.Graph(drawn.tolist())
    expected = {}
    for pair in networkx.bridges(graph):
        whole = len(networkx.node_connected_component(graph, pair[0]))
        cut = graph.copy()
        cut.remove_edge(*pair)
        part = len(networkx.node_connected_component(cut, pair[0]))
        expected[tuple(sorted(pair))] = tuple(sorted((part, whole - part)))
    assert expected
    found = find_bridges(drawn[:, 0], drawn[:, 1], count=nodes)
    assert {
        tuple(drawn[link].tolist()): (smaller, larger)
        for link, smaller, larger in zip(
            *(part.tolist() for part in (found.link, found.smaller, found.larger)), strict=True
        )
    } == expected


def test_a_long_chain_is_all_bridges() -> None:
    ends = np.arange(5_000)
    found = find_bridges(ends, ends + 1, count=5_001)
    assert found.link.tolist() == ends.tolist()
    assert found.smaller.tolist() == np.minimum(ends + 1, 5_000 - ends).tolist()


def test_only_links_that_hold_two_parts_of_one_person_together_are_written() -> None:
    """A triangle and a pair, held together by one link; orders, withheld links and another person are no way round."""
    links = ["a b", "b c", "a c", "c d", "d e", "f g"]
    with duckdb.connect() as connection:
        connection.execute("create schema identity")
        connection.execute(
            "create table identity.resolved_links (identifier_a varchar, identifier_b varchar, link_kind varchar)"
        )
        rows = [(*link.split(), "deterministic") for link in links]
        rows += [
            ("c", "d", "probabilistic"),
            ("a", "e", "withheld"),
            ("e", "o", "order"),
            ("a", "o", "order"),
            ("e", "f", "manual"),
        ]
        connection.executemany("insert into identity.resolved_links values (?, ?, ?)", rows)
        connection.execute(
            """
            create table identity.identifiers as
            select
                unnest(string_split('a b c d e f g o', ' ')) as identifier,
                unnest(['p1', 'p1', 'p1', 'p1', 'p1', 'p2', 'p2', null]) as person_id;
            create table identity.persons as
            select person_id, count(*) as identifier_count from identity.identifiers group by person_id
            """
        )
        assert audit_bridges(connection) == 1
        assert connection.execute("from identity.bridges").fetchall() == [("c", "d", "p1", 2, 3)]
        connection.execute("delete from identity.resolved_links")
        assert audit_bridges(connection) == 0
        assert connection.execute("from identity.bridges").fetchall() == []
