"""How many of all attempts are on each pattern: counted in SQL, in tables that may spill to disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ml.patterns import Listed, Paths, Tally

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_ROOT = -1
# Sums of decimals are the same in whatever order the rows come.
_ATTEMPTS = """
    create or replace temp table counted_attempts as
    select * exclude (gain), cast(gain as decimal(18, 9)) as gain from attempts_to_count
"""
_MARGINS = """
    create or replace temp table person_margins as
    select person, length_group, cast(sum(gain) as decimal(18, 9)) as gain
    from counted_attempts
    group by person, length_group
"""
_MARGIN_PRODUCTS = """
    select
        ours.length_group, others.length_group as other_group,
        cast(sum(ours.gain * others.gain) as double) as product
    from person_margins as ours
    inner join person_margins as others using (person)
    group by ours.length_group, others.length_group
"""
# An attempt on a pattern, with the steps after the earliest place where the pattern is complete.
_START = f"""
    create or replace temp table passed as
    select cast({_ROOT} as smallint) as node, attempt, items as rest from counted_attempts
"""
_NEXT = """
    create or replace temp table passed as
    select node, attempt, rest[spot + 1:] as rest
    from (
        select nodes.node, nodes.is_entry, passed.attempt, passed.rest, list_position(passed.rest, nodes.item) as spot
        from passed
        inner join nodes_to_count as nodes on passed.node = nodes.parent
    )
    where case when is_entry then spot = 1 else spot > 0 end
"""
_COUNTS = """
    select
        passed.node, attempts.length_group, attempts.status, count(*) as attempts,
        min(attempts.days[len(attempts.days) - len(passed.rest)]) as first_day
    from passed
    inner join counted_attempts as attempts using (attempt)
    group by passed.node, attempts.length_group, attempts.status
"""
_BY_PERSON = """
    create or replace temp table passed_by_person as
    select passed.node, attempts.person, cast(sum(attempts.gain) as decimal(18, 9)) as gain
    from passed
    inner join counted_attempts as attempts using (attempt)
    group by passed.node, attempts.person
"""
_SQUARES = "select node, cast(sum(gain * gain) as double) as product from passed_by_person group by node"
_CROSSES = """
    select passed.node, margins.length_group, cast(sum(passed.gain * margins.gain) as double) as product
    from passed_by_person as passed
    inner join person_margins as margins using (person)
    group by passed.node, margins.length_group
"""
_DONE = "drop table passed; drop table passed_by_person; drop table person_margins; drop table counted_attempts"


def recount(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    listed: Sequence[Listed],
    *,
    statuses: Integers,
    groups: Integers,
    days: Integers,
    persons: Integers,
) -> Tally:
    """Count the attempts on each pattern, all of them, as :class:`ml.patterns.Recount` asks.

    Patterns with a common beginning are followed together, step by step: an attempt stands behind the earliest place
    where the beginning is complete, and goes on to the next item's first place after it.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Where temporary tables may be made.
    paths : Paths
        What attempts passed.
    listed : sequence of tuple of str and tuple of int
        Kinds and patterns.
    statuses, groups, persons : ndarray of int, shape (attempts,)
        What became of each; group of its length, from 0; whose it is.
    days : ndarray of int, shape (steps,)
        On which day each step was.
    """
    from ml import patterns

    group_count = int(groups.max(initial=0)) + 1
    whole = np.bincount(groups * 3 + statuses, minlength=group_count * 3).reshape(group_count, 3)
    closed = whole[:, patterns.LOST] + whole[:, patterns.CONVERTED]
    rates = whole[:, patterns.CONVERTED] / np.maximum(closed, 1)
    # What each attempt has more than its like; open ones say nothing yet.
    gains = np.where(statuses == patterns.OPEN, 0.0, (statuses == patterns.CONVERTED) - rates[groups])
    nodes = _tree(listed)
    size = len(nodes["node"])
    counts = np.zeros((size, group_count, 3), np.int64)
    first_days = np.full(size, np.iinfo(np.int64).max)
    squares, crosses = np.zeros(size), np.zeros((size, group_count))
    margins = np.zeros((group_count, group_count))
    given = {
        "attempts_to_count": {
            "attempt": np.arange(len(paths), dtype=np.int32),
            "person": persons.astype(np.int32),
            "length_group": groups.astype(np.int8),
            "status": statuses.astype(np.int8),
            "gain": gains,
            "items": pa.ListArray.from_arrays(paths.starts.astype(np.int32), paths.items.astype(np.int16)),
            "days": pa.ListArray.from_arrays(paths.starts.astype(np.int32), days.astype(np.int32)),
        },
        "nodes_to_count": nodes,
    }
    for name, columns in given.items():
        connection.register(name, pa.table(columns))
    for statement in (_ATTEMPTS, _MARGINS, _START):
        connection.execute(statement)
    found = connection.execute(_MARGIN_PRODUCTS).fetchnumpy()
    margins[found["length_group"], found["other_group"]] = found["product"]
    for _ in range(max((len(pattern) for _, pattern in listed))):
        connection.execute(_NEXT)
        connection.execute(_BY_PERSON)
        found = connection.execute(_COUNTS).fetchnumpy()
        counts[found["node"], found["length_group"], found["status"]] = found["attempts"]
        np.minimum.at(first_days, found["node"], found["first_day"])
        found = connection.execute(_SQUARES).fetchnumpy()
        squares[found["node"]] = found["product"]
        found = connection.execute(_CROSSES).fetchnumpy()
        crosses[found["node"], found["length_group"]] = found["product"]
    connection.execute(_DONE)
    for name in given:
        connection.unregister(name)
    shares = (counts[:, :, patterns.LOST] + counts[:, :, patterns.CONVERTED]) / np.maximum(closed, 1)
    scatter = squares - 2 * np.einsum("pg,pg->p", shares, crosses) + np.einsum("pg,gh,ph->p", shares, margins, shares)
    wanted = len(listed)
    return patterns.Tally(
        counts=counts[:wanted], first_days=first_days[:wanted], scatter=np.maximum(scatter[:wanted], 0.0)
    )


def _tree(listed: Sequence[Listed]) -> dict[str, NDArray[Any]]:
    """The patterns as a tree of their beginnings: those that are listed by their place, others by numbers after it."""
    places = {one: place for place, one in enumerate(listed)}
    beginnings = {(kind, pattern[:length]) for kind, pattern in listed for length in range(1, len(pattern))}
    for beginning in sorted(beginnings - places.keys()):
        places[beginning] = len(places)
    return {
        "node": np.array(list(places.values()), np.int16),
        "parent": np.array([places.get((kind, pattern[:-1]), _ROOT) for kind, pattern in places], np.int16),
        "item": np.array([pattern[-1] for _, pattern in places], np.int16),
        "is_entry": np.array([kind == "entry" for kind, _ in places]),
    }
