"""Tiny customer families in shorthand, and who they are by a slow and obvious rule.

``d1 u1`` are the tokens ``device_id:web:d1 user_id:app:u1``; a sighting is a day of January 2026 and the
identifiers that stood on one row.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from itertools import combinations
from typing import NamedTuple

import duckdb
import networkx
import numpy as np
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


class Limit(NamedTuple):
    """A line of the seed ``identifier_rules``."""

    priority: int
    limit: int | None = None
    is_person: bool = True
    window_days: int | None = None
    links: int | None = None


LIMITS = {
    "user_id": Limit(1, 1),
    "crm_id": Limit(2, 2),
    "email": Limit(5, 2),
    "phone": Limit(6, 5),
    "device_id": Limit(7),
    "account_id": Limit(8, is_person=False),
}
NO_LIMITS = {name: limit._replace(limit=None) for name, limit in LIMITS.items()}
Limits = Mapping[str, Limit]


class Link(NamedTuple):
    """A pair of tokens, a < b, and when the world could have known it; or who is never one person."""

    a: str
    b: str
    available_at: datetime
    kind: str = "deterministic"
    note: str | None = None


class Override(NamedTuple):
    """A line of the seed ``identity_overrides``."""

    a: str
    b: str
    verdict: str
    reason: str | None
    decided_on: date


def rules(limits: Limits = LIMITS) -> IdentifierRules:
    return IdentifierRules(
        {
            name: IdentifierRule(
                priority=limit.priority,
                limit_per_person=limit.limit,
                is_person_identifier=limit.is_person,
                limit_window_days=limit.window_days,
                link_limit=limit.links,
            )
            for name, limit in limits.items()
        }
    )


def overrides(*decisions: tuple[int, str, str, str | None]) -> list[Override]:
    """Decisions in shorthand: day of January, pair, verdict, reason."""
    return [
        Override(*map(token, pair.split()), verdict, reason, noon(day).date())
        for day, pair, verdict, reason in decisions
    ]


def decided(given: Iterable[Override]) -> list[Link]:
    """What somebody decided, as evidence: it counts from the end of its day (here in UTC)."""
    kinds = {"always": "manual", "never": "never"}
    return [
        Link(
            *sorted((row.a, row.b)),
            datetime.combine(row.decided_on, time.max),
            kinds[row.verdict],
            row.reason,
        )
        for row in given
    ]


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


# The same with limits that count only what came within a few days.
WINDOWS = LIMITS | {"crm_id": Limit(2, 1, window_days=6), "email": Limit(5, 1, window_days=3), "phone": Limit(6, 1)}
# And with few links of an e-mail, a record or a device until it says nothing any more.
HUBS = WINDOWS | {
    "email": WINDOWS["email"]._replace(links=1),
    "crm_id": WINDOWS["crm_id"]._replace(links=1),
    "device_id": WINDOWS["device_id"]._replace(links=1),
}


def random_family(seed: int, *, people: int = 12, observations: int = 30) -> list[tuple[datetime, list[str]]]:
    """Rows of one to three identifiers, accounts and orders among them; few of each, so that they collide."""
    draw = random.Random(seed)
    observed = []
    for _ in range(observations):
        names = {
            f"{kind}{draw.randrange(people if kind == 'u' else people // 2)}"
            for kind in draw.sample("uuveeecddao", k=draw.choice((1, 2, 2, 2, 3)))
        }
        observed.append((draw.randrange(1, 15), " ".join(sorted(names))))
    return rows(*observed)


def random_decisions(seed: int, names: Iterable[str], *, count: int = 8) -> list[Override]:
    """Overrides between identifiers drawn at random, some of which contradict each other."""
    draw = random.Random(seed)
    people = sorted(name for name in names if LIMITS.get(_type(name), LIMITS["account_id"]).is_person)
    people = draw.sample(people, min(len(people), 10))  # few, so that they contradict each other
    return [
        Override(*draw.sample(people, 2), draw.choice(("always", "never")), f"{n}", noon(draw.randrange(1, 15)).date())
        for n in range(count)
    ]


def random_probable(seed: int, first: Mapping[str, datetime], *, count: int = 8) -> list[Link]:
    """Probabilistic links between identifiers drawn at random."""
    draw = random.Random(-seed)
    people = sorted(name for name in first if LIMITS.get(_type(name), LIMITS["account_id"]).is_person)
    pairs = {tuple(sorted(draw.sample(people, 2))) for _ in range(count)}
    return [
        Link(a, b, max(first[a], first[b]), "probabilistic", draw.choice(("strong", "probable")))
        for a, b in sorted(pairs)
    ]


def all_kinds(seed: int, *, observations: int = 40) -> tuple[list[Link], dict[str, datetime]]:
    """What was seen, what is probable and what somebody decided, at random."""
    observed = random_family(seed, people=(12, 60, 20)[seed % 3], observations=observations)
    first = first_seen(observed)
    decisions = random_decisions(seed, first, count=seed % 4 * 4)
    return [*links_of(observed), *random_probable(seed, first, count=seed % 5 * 6), *decided(decisions)], first


def random_graph(seed: int, *, links: int, of_each: int) -> tuple[list[Link], dict[str, datetime]]:
    """Links between identifiers drawn at random, over a month; some are decided or probable.

    Somebody decided that the ends of some links are never one person, and so of some that are two links apart.
    """
    draw = np.random.default_rng(seed)
    names = sorted(token(f"{kind}{n}") for kind in "ucepd" for n in range(of_each))
    ends = draw.choice(len(names), size=(links * 21 // 20, 2))
    pairs = sorted({(min(a, b), max(a, b)) for a, b in ends.tolist() if a != b})
    pairs = [pairs[n] for n in draw.permutation(len(pairs))[:links].tolist()]
    days = draw.integers(1, 30, size=(len(pairs), 2)).tolist()
    found, neighbour = [], {}
    for n, ((a, b), (day, decided_on)) in enumerate(zip(pairs, days, strict=True)):
        kind, note = {
            0: ("probabilistic", ("strong", "probable")[n // 100 % 2]),
            1: ("manual", f"decision {n}"),
        }.get(n % 100, ("deterministic", None))
        found.append(Link(names[a], names[b], noon(day), kind, note))
        apart = (a, b) if n % 200 == 2 else (neighbour.get(a, b), b) if n % 100 == 3 else (a, a)
        if apart[0] != apart[1]:
            one, other = sorted(names[end] for end in apart)
            found.append(Link(one, other, datetime.combine(noon(decided_on), time.max), "never", f"decision {n}"))
        neighbour[a], neighbour[b] = b, a
    first = dict(zip(names, map(noon, draw.integers(1, 30, size=len(names)).tolist()), strict=True))
    return found, first


def links_table(links: Iterable[Link]) -> pa.Table:
    links = list(links)
    return pa.table(
        {
            "identifier_a": pa.array([link.a for link in links], pa.string()),
            "identifier_b": pa.array([link.b for link in links], pa.string()),
            "link_kind": pa.array([link.kind for link in links], pa.string()),
            "confidence": pa.array([1.0] * len(links), pa.float64()),
            "first_available_at": pa.array([link.available_at for link in links], pa.timestamp("us")),
            "note": pa.array([link.note for link in links], pa.string()),
        }
    )


def sightings_table(first: Mapping[str, datetime]) -> pa.Table:
    """What each identifier was first seen; it happened an hour before the world could know."""
    return pa.table(
        {
            "identifier": pa.array(list(first), pa.string()),
            "first_available_at": pa.array(list(first.values()), pa.timestamp("us")),
            "first_occurred_at": pa.array([at - timedelta(hours=1) for at in first.values()], pa.timestamp("us")),
        }
    )


def warehouse(limits: Limits = LIMITS, *, decisions: Iterable[Override] = ()) -> duckdb.DuckDBPyConnection:
    """A warehouse in memory in which a night's first half has run."""
    connection = duckdb.connect()
    connection.execute("create schema identity; create schema staging")
    connection.execute(
        "create table staging.identifier_rules (identifier_type varchar, priority int, limit_per_person int, "
        "is_person_identifier boolean, limit_window_days int, link_limit int)"
    )
    connection.executemany(
        "insert into staging.identifier_rules values (?, ?, ?, ?, ?, ?)",
        [[name, *limit] for name, limit in limits.items()],
    )
    decide(connection, decisions)
    deliver(connection, [], {})
    return connection


def decide(connection: duckdb.DuckDBPyConnection, decisions: Iterable[Override]) -> None:
    """Put overrides where the seed would have put them."""
    connection.execute(
        "create or replace table staging.identity_overrides "
        "(identifier_a varchar, identifier_b varchar, verdict varchar, reason varchar, decided_on date)"
    )
    for row in decisions:
        connection.execute("insert into staging.identity_overrides values (?, ?, ?, ?, ?)", row)


def deliver(connection: duckdb.DuckDBPyConnection, links: Iterable[Link], first: Mapping[str, datetime]) -> None:
    """Put links and sightings where dbt and the asset of probabilistic links would have put them."""
    links = list(links)
    probable = links_table(link for link in links if link.kind == "probabilistic")
    given_links = links_table(link for link in links if link.kind not in ("probabilistic", "manual", "never"))
    given_sightings = sightings_table(first)
    for name, given in (("links", given_links), ("probabilistic_links", probable)):
        connection.register("given", given)
        note = "* exclude (note)" if name == "links" else "* exclude (note), note as tier"
        connection.execute(f"create or replace table identity.{name} as select {note}, 'shop' as source from given")
    connection.register("given_sightings", given_sightings)
    connection.execute("create or replace table identity.identifier_sightings as from given_sightings")


def _class(name: str) -> str:
    return name.rsplit(":", 1)[0]


def _type(name: str) -> str:
    return name.split(":")[0]


class Reference(NamedTuple):
    """Who is one person with whom (by identifier), which devices are shared, how surely each is its person's."""

    person: dict[str, frozenset[str]]
    shared: set[str]
    tier: dict[str, str]


def reference(links: Iterable[Link], first: Mapping[str, datetime], limits: Limits = LIMITS) -> Reference:
    """Who is who by sets and sorting alone: slow, and easy to believe."""
    given = list(links)
    people = {name for name in first if limits.get(_type(name), Limit(0, is_person=False)).is_person}

    def known(name: str) -> tuple[datetime, str]:
        return first[name], name

    def strength(link: Link) -> tuple[object, ...]:
        kind = ("manual", "deterministic", "probabilistic").index(link.kind)
        weaker = max(limits[_type(end)].priority for end in (link.a, link.b))
        available = max(link.available_at, first[link.a], first[link.b])
        return (kind, weaker, available, *sorted((known(link.a), known(link.b))))

    never = {frozenset(link[:2]) for link in given if link.kind == "never"}
    foes: dict[str, set[str]] = {}
    for pair in never:
        for name in pair:
            foes.setdefault(name, set()).update(pair - {name})
    links = sorted(
        (
            link
            for link in given
            if link.kind in ("manual", "deterministic", "probabilistic")
            and {link.a, link.b} <= people
            and frozenset(link[:2]) not in never
        ),
        key=strength,
    )

    seen_with: dict[str, Counter[str]] = {name: Counter() for name in people}
    for link in given:
        if link.kind == "deterministic" and {link.a, link.b} <= people:
            for one, other in (link[:2], link[1::-1]):
                seen_with[one][_class(other)] += limits[_type(other)].limit is not None
    hubs = {
        name
        for name in people
        if limits[_type(name)].links is not None
        and max(seen_with[name].values(), default=0) > limits[_type(name)].links
    }
    links = [link for link in links if link.kind == "manual" or not hubs & {link.a, link.b}]

    def are_foes(one: frozenset[str], other: frozenset[str]) -> bool:
        return any(foe in other for name in one if name in foes for foe in foes[name])

    def joined(links: Iterable[Link], is_over: Callable[[frozenset[str]], bool]) -> tuple[dict, set[str]]:
        """Persons, and the ends of links that were refused, but for what somebody decided about that end itself."""
        person = {name: frozenset([name]) for name in people}
        refused = set()
        for link in links:
            one, other = person[link.a], person[link.b]
            if one is other:
                continue
            if are_foes(one, other) or (link.kind != "manual" and is_over(one | other)):
                refused |= {end for end, group in ((link.a, other), (link.b, one)) if not foes.get(end, set()) & group}
            else:
                both = one | other
                person.update(dict.fromkeys(both, both))
        return person, refused

    always = [link for link in links if link.kind == "manual"]
    one, _ = joined(always, lambda group: False)

    def has_too_many(group: Iterable[str], name: str) -> bool:
        """Are there too many of one class in a group, what somebody decided to be one counted as one?"""
        limit, days = limits[_type(name)].limit, limits[_type(name)].window_days
        if limit is None:
            return False
        earliest: dict[frozenset[str], datetime] = {}
        for member in group:
            if _class(member) == name:
                earliest[one[member]] = min(first[member], earliest.get(one[member], first[member]))
        seen = sorted(earliest.values())
        if days is None:
            return len(seen) > limit
        return any(late - early < timedelta(days=days) for early, late in zip(seen, seen[limit:], strict=False))

    def is_over(group: frozenset[str]) -> bool:
        return len(group) > 1 and any(has_too_many(group, name) for name in {_class(member) for member in group})

    pinned = {end for link in always for end in link[:2]}
    devices = {name for name in people if _type(name) == "device_id"}
    neighbours: dict[str, set[str]] = {name: set() for name in people}
    for link in links:
        neighbours[link.a].add(link.b)
        neighbours[link.b].add(link.a)
    shared = {device for device in devices - pinned if is_over(frozenset({device} | neighbours[device]))}
    shared |= hubs & devices - pinned

    around = connected(links, people)
    crowded = {
        (group, name)
        for group in set(around.values())
        for name in {_class(member) for member in group}
        if has_too_many(group, name)
    }
    contested = {
        name for name in people if (around[name], _class(name)) in crowded or foes.get(name, set()) & around[name]
    }

    def is_explained(device: str, other: str) -> bool:
        """Was what the device was seen with also seen with something of the device that is contested?"""
        return other not in contested and bool(contested & neighbours[device] & neighbours[other])

    unshared = devices - pinned - shared
    links = [
        link
        for link in links
        if not any(
            device in unshared and other not in devices and is_explained(device, other)
            for device, other in (link[:2], link[1::-1])
        )
    ]
    while True:
        person, refused = joined((link for link in links if not shared & {link.a, link.b}), is_over)
        found = refused & (devices - pinned)
        if not found:
            return Reference(person, shared, _tiers(person, given, limits, known))
        shared |= found


def _tiers(
    person: Mapping[str, frozenset[str]], links: Iterable[Link], limits: Limits, known: Callable[[str], object]
) -> dict[str, str]:
    """Exact: reached from the person's strongest identifier by certain links; strong: by those and strong ones."""
    inside = [
        link
        for link in links
        if link.kind in ("manual", "deterministic", "probabilistic")
        and link.a in person
        and link.b in person
        and person[link.a] is person[link.b]
    ]
    core = {
        group: min(group, key=lambda name: (limits[_type(name)].priority, known(name)))
        for group in set(person.values())
    }
    exact = connected((link for link in inside if link.kind != "probabilistic"), person)
    strong = connected((link for link in inside if link.kind != "probabilistic" or link.note == "strong"), person)
    return {
        name: "exact"
        if core[person[name]] in exact[name]
        else "strong"
        if core[person[name]] in strong[name]
        else "probable"
        for name in person
    }


def connected(links: Iterable[Link], names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Connected components by networkx, by identifier."""
    graph = networkx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from((link.a, link.b) for link in links)
    groups = map(frozenset, networkx.connected_components(graph))
    return {name: group for group in groups for name in group}
