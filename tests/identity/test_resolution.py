"""Resolution against networkx, against a slow reference, and against shuffling."""

import hashlib
import random

import numpy as np
import pyarrow as pa
import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.identity.resolution import Resolution, resolve
from tests.identity.families import (
    LIMITS,
    NO_LIMITS,
    Link,
    connected,
    first_seen,
    links_of,
    links_table,
    noon,
    reference,
    rows,
    rules,
    sightings_table,
    token,
)


def random_family(seed: int, *, people: int = 12, observations: int = 30):
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


def test_resolve_without_limits_equals_networkx():
    draw = np.random.default_rng(7)
    names = [f"{kind}{n}" for kind in "ucepd" for n in range(6_000)]
    ends = draw.choice(len(names), size=(20_000, 2))
    links = [Link(*sorted((token(names[a]), token(names[b]))), noon(1 + int(a) % 30)) for a, b in ends if a != b]
    first = dict.fromkeys(map(token, names), noon(1))

    resolution = resolve(links_table(links), sightings=sightings_table(first), rules=rules(NO_LIMITS))

    expected = set(connected(links, first).values())
    assert set(groups(resolution).values()) == expected
    assert set(groups(resolution, "component_id").values()) == expected
    assert resolution.refused_links.num_rows == 0


@pytest.mark.parametrize("seed", range(60))
def test_resolve_with_limits_equals_the_slow_reference(seed):
    observed = random_family(seed, observations=20 + seed)
    resolution = solve(observed)
    expected, shared = reference(links_of(observed), first_seen(observed))

    assert groups(resolution) == expected
    found = {row["identifier"] for row in resolution.identifiers.to_pylist() if row["is_shared_device"]}
    assert found == shared


def test_limits_are_hit_in_the_random_families():
    """The comparison above is worth nothing if the limits never bite."""
    refused = [row["reason"] for seed in range(60) for row in solve(random_family(seed)).refused_links.to_pylist()]
    assert refused.count("shared device") > 100
    assert refused.count("more than 1 user_id:app for one person") > 20
    assert refused.count("more than 2 email for one person") > 5


@pytest.mark.parametrize("seed", range(10))
def test_resolve_does_not_depend_on_the_order_of_links(seed):
    observed = random_family(seed, observations=60)
    draw = np.random.default_rng(seed)
    links, sightings = links_table(links_of(observed)), sightings_table(first_seen(observed))
    plain = resolve(links, sightings=sightings, rules=rules())

    shuffled = resolve(
        links.take(draw.permutation(len(links))),
        sightings=sightings.take(draw.permutation(len(sightings))),
        rules=rules(),
    )

    assert shuffled == plain


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


def test_identifier_type_without_a_rule_is_told():
    with pytest.raises(ThroughlineError, match=r"'badge_id' has no row in dbt/seeds/identifier_rules\.csv"):
        resolve(links_table([]), sightings=sightings_table({"badge_id:1": noon(1)}), rules=rules())


def test_nothing_resolves_to_nothing():
    resolution = resolve(links_table([]), sightings=sightings_table({}), rules=rules())
    assert resolution.identifiers.num_rows == resolution.persons.num_rows == resolution.refused_links.num_rows == 0
