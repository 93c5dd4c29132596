"""Resolution against networkx, against a slow reference, and against shuffling."""

import hashlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from dagster_project.identity.resolution import SHARED_DEVICE_REASON, Resolution, resolve
from tests.identity.families import (
    HUBS,
    LIMITS,
    NO_LIMITS,
    WINDOWS,
    Link,
    all_kinds,
    connected,
    decided,
    first_seen,
    links_of,
    links_table,
    noon,
    overrides,
    random_family,
    random_graph,
    reference,
    rows,
    rules,
    short,
    sightings_table,
    token,
)


def groups(resolution: Resolution, column: str = "person_id") -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    pairs = [(row["identifier"], row[column]) for row in resolution.identifiers.to_pylist() if row[column]]
    for name, owner in pairs:
        found.setdefault(owner, set()).add(name)
    frozen = {owner: frozenset(members) for owner, members in found.items()}
    return {name: frozen[owner] for name, owner in pairs}


def solve(observed, limits=LIMITS) -> Resolution:
    return resolve(
        links_table(links_of(observed)), sightings=sightings_table(first_seen(observed)), rules=rules(limits)
    )


def test_100_000_links_without_limits_equal_networkx():
    links, first = random_graph(7, links=100_000, of_each=15_000)
    links = [link._replace(kind="deterministic") for link in links if link.kind != "never"]

    resolution = resolve(links_table(links), sightings=sightings_table(first), rules=rules(NO_LIMITS))

    expected = set(connected(links, first).values())
    # One component of most, and many small ones.
    assert max(map(len, expected)) > 10_000 and len(expected) > 1_000
    assert set(groups(resolution).values()) == expected
    assert set(groups(resolution, "component_id").values()) == expected
    assert resolution.refused_links.num_rows == 0


@pytest.mark.parametrize("of_each", [45_000, 12_000], ids=["components of hundreds", "one component of most"])
def test_100_000_links_with_limits_windows_and_overrides_equal_the_slow_reference(of_each):
    links, first = random_graph(8, links=100_000, of_each=of_each)
    resolution = resolve(links_table(links), sightings=sightings_table(first), rules=rules(WINDOWS))
    expected, shared, tiers = reference(links, first, WINDOWS)

    assert groups(resolution) == expected
    told = resolution.identifiers.to_pylist()
    assert {row["identifier"] for row in told if row["is_shared_device"]} == shared
    assert {row["identifier"]: row["link_tier"] for row in told if row["person_id"]} == tiers
    # Every rule bites, many times.
    reasons = Counter(reason.split(":")[0] for reason in resolution.refused_links["reason"].to_pylist())
    assert all(
        reasons[reason] > 100
        for reason in (
            SHARED_DEVICE_REASON,
            "more than 1 user_id",
            "more than 1 email within 3 days for one person",
            "more than 1 phone for one person",
            "an override says never",
        )
    ), reasons
    assert min(map(list(tiers.values()).count, ("exact", "strong", "probable"))) > 50

    draw = np.random.default_rng(1)
    shuffled = resolve(
        links_table(links[n] for n in draw.permutation(len(links))),
        sightings=sightings_table(first),
        rules=rules(WINDOWS),
    )
    assert shuffled == resolution


@pytest.mark.parametrize("seed", range(60))
def test_resolve_with_limits_equals_the_slow_reference(seed):
    observed = random_family(seed, observations=20 + seed)
    resolution = solve(observed)
    expected, shared, _ = reference(links_of(observed), first_seen(observed))

    assert groups(resolution) == expected
    found = {row["identifier"] for row in resolution.identifiers.to_pylist() if row["is_shared_device"]}
    assert found == shared


def test_limits_are_hit_in_the_random_families():
    """The comparison above is worth nothing if the limits never bite."""
    refused = [row["reason"] for seed in range(60) for row in solve(random_family(seed)).refused_links.to_pylist()]
    assert refused.count("shared device") > 100
    assert refused.count("more than 1 user_id:app for one person") > 20
    assert refused.count("more than 2 email for one person") > 5


@pytest.mark.parametrize("limits", [LIMITS, WINDOWS, HUBS], ids=["limits", "windows", "hubs"])
@pytest.mark.parametrize("seed", range(40))
def test_resolve_with_windows_and_overrides_equals_the_slow_reference(seed, limits):
    links, first = all_kinds(seed, observations=20 + seed)
    resolution = resolve(links_table(links), sightings=sightings_table(first), rules=rules(limits))
    expected, shared, tiers = reference(links, first, limits)

    assert groups(resolution) == expected
    told = resolution.identifiers.to_pylist()
    assert {row["identifier"] for row in told if row["is_shared_device"]} == shared
    assert {row["identifier"]: row["link_tier"] for row in told if row["person_id"]} == tiers


def test_every_rule_bites_in_the_random_evidence():
    """The comparison above is worth nothing if windows, overrides and tiers never matter."""
    reasons, tiers, kinds, hubs = [], [], [], []
    for seed in range(40):
        links, first = all_kinds(seed)
        resolution = resolve(links_table(links), sightings=sightings_table(first), rules=rules(WINDOWS))
        hubs += resolve(links_table(links), sightings=sightings_table(first), rules=rules(HUBS)).hubs.to_pylist()
        reasons += resolution.refused_links["reason"].to_pylist()
        kinds += resolution.refused_links["link_kind"].to_pylist()
        tiers += resolution.identifiers["link_tier"].to_pylist()
    assert sum(reason.startswith("an override says never") for reason in reasons) > 30
    assert reasons.count("more than 1 email within 3 days for one person") > 20
    assert min(map(tiers.count, ("exact", "strong", "probable"))) > 20
    assert kinds.count("manual") > 10 and kinds.count("probabilistic") > 10
    assert all(sum(row["identifier"].startswith(kind) for row in hubs) > 20 for kind in ("email", "crm_id", "device"))


@pytest.mark.parametrize("limits", [LIMITS, WINDOWS, HUBS], ids=["limits", "windows", "hubs"])
@pytest.mark.parametrize("seed", range(10))
def test_resolve_does_not_depend_on_the_order_of_links(seed, limits):
    evidence, first = all_kinds(seed, observations=60)
    draw = np.random.default_rng(seed)
    links, sightings = links_table(evidence), sightings_table(first)
    plain = resolve(links, sightings=sightings, rules=rules(limits))

    shuffled = resolve(
        links.take(draw.permutation(len(links))),
        sightings=sightings.take(draw.permutation(len(sightings))),
        rules=rules(limits),
    )

    assert shuffled == plain


def decide_on(observed, *decisions, limits=LIMITS) -> Resolution:
    links = [*links_of(observed), *decided(overrides(*decisions))]
    return resolve(links_table(links), sightings=sightings_table(first_seen(observed)), rules=rules(limits))


def persons(resolution: Resolution) -> str:
    """Who is one person, in shorthand."""
    return " | ".join(sorted(" ".join(sorted(map(short, group))) for group in set(groups(resolution).values())))


def refused(resolution: Resolution) -> set[tuple[str, str]]:
    return {
        (" ".join(sorted(map(short, (row["identifier_a"], row["identifier_b"])))), row["reason"])
        for row in resolution.refused_links.to_pylist()
    }


def test_window_counts_what_came_less_than_so_many_days_apart():
    limits = LIMITS | {"phone": LIMITS["phone"]._replace(limit=1, window_days=3)}
    # At noon of the 1st, the 3rd and the 4th: p2 comes two days after p1, p3 three days after p1 but one after p2.
    resolution = solve(rows((1, "u1 p1"), (3, "u1 p2"), (4, "u1 p3")), limits)
    assert persons(resolution) == "p1 p3 u1 | p2"
    assert refused(resolution) == {("p2 u1", "more than 1 phone within 3 days for one person")}


def test_what_an_override_joins_counts_as_one():
    # e1 e2 fill one place of two, so e3 has room; the tablet of u1 and u2 is no shared one, as they are one.
    observed = rows((1, "u1 e1"), (2, "u1 e2"), (3, "u1 e3"), (3, "u2"), (4, "d1 u1"), (5, "d1 u2"))
    resolution = decide_on(observed, (6, "e1 e2", "always", None), (6, "u1 u2", "always", None))
    assert persons(resolution) == "d1 e1 e2 e3 u1 u2"
    assert refused(resolution) == set()


def test_override_says_whose_a_shared_device_is():
    observed = rows((1, "d1 u1"), (2, "d1 u2"), (3, "d1 e3"))
    assert persons(solve(observed)) == "d1 | e3 | u1 | u2"
    resolution = decide_on(observed, (4, "d1 u2", "always", "bought by u2"))
    assert persons(resolution) == "d1 e3 u2 | u1"
    assert refused(resolution) == {("d1 u1", "more than 1 user_id:app for one person")}


def test_never_between_device_and_user_makes_no_shared_device():
    observed = rows((1, "d1 u1"), (2, "d1 u2"), (2, "u1 e1"), (3, "d1 e1"))
    resolution = decide_on(observed, (4, "d1 u1", "never", "a guest"))
    # d1-e1 would make d1 one person with u1, as e1 is u1's.
    assert persons(resolution) == "d1 u2 | e1 u1"
    assert refused(resolution) == {
        ("d1 u1", "an override says never: a guest"),
        ("d1 e1", "an override says never: a guest"),
    }


def test_never_between_two_users_of_a_device_makes_it_shared():
    observed = rows((1, "e1 d1"), (2, "e2 d1"))
    assert persons(solve(observed)) == "d1 e1 e2"
    assert persons(decide_on(observed, (3, "e1 e2", "never", None))) == "d1 | e1 | e2"


@pytest.mark.parametrize("seed", range(10))
def test_no_person_exceeds_a_limit(seed):
    for members in groups(solve(random_family(seed, observations=80))).values():
        assert sum(name.startswith("user_id:app:") for name in members) <= 1
        assert sum(name.startswith("user_id:shop:") for name in members) <= 1
        assert sum(name.startswith("email:") for name in members) <= 2


def test_person_id_is_minted_from_the_earliest_then_smallest_identifier():
    resolution = solve(rows((2, "u1 e1"), (1, "e1 d1"), (1, "d1")))
    # e1 and d1 are both available on day 1; "device_id:web:d1" is the smaller text.
    anchor = "device_id:web:d1"
    assert set(resolution.identifiers["person_id"].to_pylist()) == {
        "p_" + hashlib.sha256(anchor.encode()).hexdigest()[:16]
    }
    assert resolution.persons.to_pylist() == [
        {
            "person_id": resolution.identifiers["person_id"][0].as_py(),
            "anchor": anchor,
            "component_id": anchor,
            "first_available_at": noon(1),
            "identifier_count": 3,
        }
    ]


def test_withheld_links_and_orders_hold_components_together_and_join_no_persons():
    observed = rows((1, "u1 o1"), (2, "e2 o1"), (3, "d3"), (3, "d4"))
    links = [*links_of(observed), Link(token("d3"), token("d4"), noon(3), "withheld")]
    resolution = resolve(links_table(links), sightings=sightings_table(first_seen(observed)), rules=rules())

    assert {len(group) for group in groups(resolution).values()} == {1}
    component = {row["identifier"]: row["component_id"] for row in resolution.identifiers.to_pylist()}
    assert component == {
        token("u1"): token("o1"),
        token("o1"): token("o1"),
        token("e2"): token("o1"),
        token("d3"): token("d3"),
        token("d4"): token("d3"),
    }


def test_a_type_that_identifies_nobody_still_holds_components_together():
    """A session of a device is one component's, whoever's its events are."""
    observed = rows((1, "u1 e1"), (2, "e1 d1"))
    for limits in (
        {name: limit for name, limit in LIMITS.items() if name != "email"},
        LIMITS | {"email": LIMITS["email"]._replace(is_person=False)},
    ):
        resolution = resolve(
            links_table(links_of(observed)), sightings=sightings_table(first_seen(observed)), rules=rules(limits)
        )
        told = {row["identifier"]: row for row in resolution.identifiers.to_pylist()}
        assert {row["component_id"] for row in told.values()} == {token("e1")}
        assert told[token("e1")]["person_id"] is None
        assert told[token("u1")]["person_id"] != told[token("d1")]["person_id"]


def test_account_joins_neither_persons_nor_components():
    resolution = solve(rows((1, "u1 a1"), (2, "e2 a1")))
    assert resolution.identifiers["component_id"].to_pylist() == resolution.identifiers["identifier"].to_pylist()
    people = {row["identifier"]: row["person_id"] for row in resolution.identifiers.to_pylist()}
    assert people.pop(token("a1")) is None
    assert len(set(people.values())) == 2


def test_more_confident_link_is_taken_first():
    links = links_table([Link(token("e1"), token("u1"), noon(1)), Link(token("e1"), token("u2"), noon(2))])
    links = links.set_column(3, "confidence", pa.array([0.8, 0.9]))
    first = {token("e1"): noon(1), token("u1"): noon(1), token("u2"): noon(2)}
    resolution = resolve(links, sightings=sightings_table(first), rules=rules())
    assert groups(resolution)[token("e1")] == {token("e1"), token("u2")}


def test_nothing_resolves_to_nothing():
    resolution = resolve(links_table([]), sightings=sightings_table({}), rules=rules())
    assert resolution.identifiers.num_rows == resolution.persons.num_rows == resolution.refused_links.num_rows == 0
