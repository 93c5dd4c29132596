"""What holds persons together by a thread: links without which a person would fall in two."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Codes = npt.NDArray[np.int64]

LEAST_PART = 2
"""A bridge has at least so many identifiers on either side: a single one at the end of a link is no surprise."""

# What was resolved, as pairs within one person; fewer identifiers have no bridge. Ordered, so that codes and with
# them the table are the same from night to night.
_PAIRS = """
    select links.identifier_a, links.identifier_b, one.person_id
    from (
        select distinct identifier_a, identifier_b from identity.resolved_links
        where link_kind not in ('withheld', 'order')
    ) as links
    inner join identity.identifiers as one on links.identifier_a = one.identifier
    inner join identity.identifiers as other on links.identifier_b = other.identifier
    inner join identity.persons as persons on one.person_id = persons.person_id
    where one.person_id = other.person_id and persons.identifier_count >= getvariable('least_person')
    order by links.identifier_a, links.identifier_b
"""

_WRITE = """
    create or replace table identity.bridges as
    select identifier_a, identifier_b, person_id, smaller_count, larger_count from found_bridges
"""


@dataclass(frozen=True, kw_only=True)
class Bridges:
    """Links without which what they hold together would fall in two.

    Attributes
    ----------
    link : array of int
        Their positions among the links given, ascending.
    smaller, larger : array of int
        How many nodes lie on the one side and on the other.
    """

    link: Codes
    smaller: Codes
    larger: Codes


def find_bridges(a: Codes, b: Codes, *, count: int) -> Bridges:
    """Find the bridges of a graph, in time that grows with its links.

    Each link outside a spanning forest gets a random number, which is added (by exclusive or) to both its ends. A link
    of the forest is a bridge if no other link leaves the part below it, that is if the numbers below add up to none;
    of two to the power of 63 graphs, one is mistaken.

    Parameters
    ----------
    a, b : array of int
        Ends of the links; each pair once, and none to itself.
    count : int
        How many nodes there are.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    nothing = np.zeros(0, dtype=np.int64)
    if not len(a):
        return Bridges(link=nothing, smaller=nothing, larger=nothing)
    ones = np.ones(len(a), dtype=np.int8)
    _, label = connected_components(csr_array((ones, (a, b)), shape=(count, count)), directed=False)
    # One more node above one of each component makes the forest a tree.
    tops = np.unique(label, return_index=True)[1]
    rooted = csr_array(
        (
            np.ones(len(a) + len(tops), dtype=np.int8),
            (np.append(a, np.full(len(tops), count)), np.append(b, tops)),
        ),
        shape=(count + 1, count + 1),
    )
    order, parent = breadth_first_order(rooted, count, directed=False)
    order, parent = order.astype(np.int64), parent.astype(np.int64)

    is_down, is_up = parent[b] == a, parent[a] == b
    outside = np.flatnonzero(~(is_down | is_up))
    mark = np.random.default_rng(0).integers(1, np.iinfo(np.int64).max, len(outside))
    below, size = np.zeros(count + 1, dtype=np.int64), np.ones(count + 1, dtype=np.int64)
    np.bitwise_xor.at(below, a[outside], mark)
    np.bitwise_xor.at(below, b[outside], mark)
    for level in reversed(_levels(order, parent)):
        np.bitwise_xor.at(below, parent[level], below[level])
        np.add.at(size, parent[level], size[level])

    child = np.where(is_down, b, a)
    link = np.flatnonzero((is_down | is_up) & (below[child] == 0))
    part = size[child[link]]
    rest = np.bincount(label)[label[child[link]]] - part
    return Bridges(link=link, smaller=np.minimum(part, rest), larger=np.maximum(part, rest))


def _levels(order: Codes, parent: Codes) -> list[Codes]:
    """Nodes by their distance from the first, without it: each level's parents are the level before."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    place_of_parent = place[parent[order[1:]]]
    levels, start = [], 0
    while start < len(place_of_parent):
        # Breadth first, parents come in their own order: those up to `start` have all been reached.
        end = int(np.searchsorted(place_of_parent, start + 1))
        levels.append(order[1 + start : 1 + end])
        start = end
    return levels


def audit_bridges(connection: duckdb.DuckDBPyConnection) -> int:
    """Write ``identity.bridges``: links that alone hold two parts of a person together.

    Reads ``identity.resolved_links``, ``identifiers`` and ``persons``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On the warehouse, for writing.

    Returns
    -------
    int
        How many there are.
    """
    connection.execute("set variable least_person = ?", [2 * LEAST_PART])
    pairs = connection.sql(_PAIRS).to_arrow_table()
    ends = pa.chunked_array([*pairs["identifier_a"].chunks, *pairs["identifier_b"].chunks], pa.string())
    codes = ends.combine_chunks().dictionary_encode()
    code: Codes = codes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    found = find_bridges(code[: len(pairs)], code[len(pairs) :], count=len(codes.dictionary))
    keep = found.smaller >= LEAST_PART
    bridges = pairs.take(pa.array(found.link[keep]))
    bridges = bridges.append_column("smaller_count", pa.array(found.smaller[keep]))
    connection.register("found_bridges", bridges.append_column("larger_count", pa.array(found.larger[keep])))
    try:
        connection.execute(_WRITE)
    finally:
        connection.unregister("found_bridges")
    return int(keep.sum())
