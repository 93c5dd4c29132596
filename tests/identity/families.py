"""Tiny customer families in shorthand, and who they are by a slow and obvious rule.

``d1 u1`` are the tokens ``device_id:web:d1 user_id:app:u1``; a sighting is a day of January 2026 and the
identifiers that stood on one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import combinations
from typing import NamedTuple

import duckdb
import networkx
import pyarrow as pa

from dagster_project.identity.rules import IdentifierRule, IdentifierRules

CLASSES = {
    "u": "user_id:app",
    "v": "user_id:shop",
    "c": "crm_id:stripe",
    "e": "email",
    "p": "phone",
    "d": "device_id:web",
    "a": "account_id:crm",
    "o": "order:shop",
    "j": "junk_email",
}
# type: priority, limit per person, may identify a person
LIMITS = {
    "user_id": (1, 1, True),
    "crm_id": (2, 2, True),
    "email": (5, 2, True),
    "phone": (6, 5, True),
    "device_id": (7, None, True),
    "account_id": (8, None, False),
}
NO_LIMITS = {name: (priority, None, is_person) for name, (priority, _, is_person) in LIMITS.items()}


class Link(NamedTuple):
    """A pair of tokens, a < b, and when the world could have known it."""

    a: str
    b: str
    available_at: datetime
    kind: str = "deterministic"


def rules(limits: Mapping[str, tuple[int, int | None, bool]] = LIMITS) -> IdentifierRules:
    return IdentifierRules(
        {
            name: IdentifierRule(priority=priority, limit_per_person=limit, is_person_identifier=is_person)
            for name, (priority, limit, is_person) in limits.items()
        }
    )


def token(short: str) -> str:
    return f"{CLASSES[short[0]]}:{short}"


def short(long: str) -> str:
    return long.rsplit(":", 1)[1]


def noon(day: int) -> datetime:
    return datetime(2025, 12, 31, 12) + timedelta(days=day)


def rows(*sightings: tuple[int, str]) -> list[tuple[datetime, list[str]]]:
    return [(noon(day), [token(name) for name in names.split()]) for day, names in sightings]


def links_of(observed: Iterable[tuple[datetime, list[str]]]) -> list[Link]:
    """Return every pair of tokens once, at its earliest."""
    first: dict[tuple[str, str], datetime] = {}
    for available_at, tokens in observed:
        for a, b in combinations(sorted(tokens), 2):
            if not a.startswith("junk_") and not b.startswith("junk_"):
                first[a, b] = min(available_at, first.get((a, b), available_at))
    return [Link(a, b, at, "order" if "order:" in a + b else "deterministic") for (a, b), at in first.items()]


def first_seen(observed: Iterable[tuple[datetime, list[str]]]) -> dict[str, datetime]:
    first: dict[str, datetime] = {}
    for available_at, tokens in observed:
        for name in tokens:
            if not name.startswith("junk_"):
                first[name] = min(available_at, first.get(name, available_at))
    return first


def links_table(links: Iterable[Link]) -> pa.Table:
    links = list(links)
    return pa.table(
        {
            "identifier_a": pa.array([link.a for link in links], pa.string()),
            "identifier_b": pa.array([link.b for link in links], pa.string()),
            "link_kind": pa.array([link.kind for link in links], pa.string()),
            "confidence": pa.array([1.0] * len(links), pa.float64()),
            "first_available_at": pa.array([link.available_at for link in links], pa.timestamp("us")),
        }
    )


def sightings_table(first: Mapping[str, datetime]) -> pa.Table:
    return pa.table(
        {
            "identifier": pa.array(list(first), pa.string()),
            "first_available_at": pa.array(list(first.values()), pa.timestamp("us")),
        }
    )


def warehouse(
    limits: Mapping[str, tuple[int, int | None, bool]] = LIMITS,
) -> duckdb.DuckDBPyConnection:
    """A warehouse in memory in which a night's first half has run."""
    connection = duckdb.connect()
    connection.execute("create schema identity; create schema staging")
    connection.execute(
        "create table staging.identifier_rules "
        "(identifier_type varchar, priority int, limit_per_person int, is_person_identifier boolean)"
    )
    connection.executemany(
        "insert into staging.identifier_rules values (?, ?, ?, ?)",
        [[name, *rule] for name, rule in limits.items()],
    )
    deliver(connection, [], {})
    return connection


def deliver(connection: duckdb.DuckDBPyConnection, links: Iterable[Link], first: Mapping[str, datetime]) -> None:
    """Put links and sightings where dbt would have put them."""
    given_links, given_sightings = links_table(links), sightings_table(first)
    connection.register("given_links", given_links)
    connection.register("given_sightings", given_sightings)
    connection.execute("create or replace table identity.links as select *, 'shop' as source from given_links")
    connection.execute("create or replace table identity.identifier_sightings as from given_sightings")


def _class(name: str) -> str:
    return name.rsplit(":", 1)[0]


def _type(name: str) -> str:
    return name.split(":")[0]


def reference(
    links: Iterable[Link],
    first: Mapping[str, datetime],
    limits: Mapping[str, tuple[int, int | None, bool]] = LIMITS,
) -> tuple[dict[str, frozenset[str]], set[str]]:
    """Persons (by identifier) and shared devices, by sets and sorting alone: slow, and easy to believe."""

    def is_over(group: Iterable[str]) -> bool:
        counts = Counter(map(_class, group))
        return any((limit := limits[_type(name)][1]) is not None and count > limit for name, count in counts.items())

    def known(name: str) -> tuple[datetime, str]:
        return first[name], name

    def strength(link: Link) -> tuple[object, ...]:
        weaker = max(limits[_type(end)][0] for end in (link.a, link.b))
        return (weaker, link.available_at, *sorted((known(link.a), known(link.b))))

    people = {name for name in first if limits.get(_type(name), (0, None, False))[2]}
    links = sorted(
        (link for link in links if link.kind == "deterministic" and {link.a, link.b} <= people), key=strength
    )
    devices = {name for name in people if _type(name) == "device_id"}
    shared = {
        device
        for device in devices
        if is_over({device} | {end for link in links if device in link[:2] for end in link[:2]})
    }
    pairs = {frozenset(link[:2]) for link in links}
    around = connected(links, people)

    def has_too_many(name: str) -> bool:
        """Does its component hold too many of its class?"""
        return is_over({other for other in around[name] if _class(other) == _class(name)})

    def is_explained(device: str, other: str) -> bool:
        """Was what the device was seen with also seen with a user of the device, of which there are too many?"""
        return not has_too_many(other) and any(
            has_too_many(own) and {frozenset((device, own)), frozenset((own, other))} <= pairs for own in people
        )

    links = [
        link
        for link in links
        if not any(
            device in devices - shared and other not in devices and is_explained(device, other)
            for device, other in (link[:2], link[1::-1])
        )
    ]
    while True:
        person = {name: frozenset([name]) for name in people}
        refused = set()
        for link in links:
            if shared & {link.a, link.b}:
                continue
            joined = person[link.a] | person[link.b]
            if is_over(joined):
                refused |= {link.a, link.b}
            else:
                person.update(dict.fromkeys(joined, joined))
        if not refused & devices:
            return person, shared
        shared |= refused & devices


def connected(links: Iterable[Link], names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Connected components by networkx, by identifier."""
    graph = networkx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from((link.a, link.b) for link in links)
    groups = map(frozenset, networkx.connected_components(graph))
    return {name: group for group in groups for name in group}
