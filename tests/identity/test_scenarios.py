"""Named families, each as one full build and as nights, expected against actual.

A family is a list of nights; a night is a list of (day on which it became available, identifiers seen together).
Persons are written ``u1 e1 | u2``; an identifier that stands alone is a person of its own.
"""

from typing import NamedTuple

import pytest

from dagster_project.identity.evidence import person_id_of
from dagster_project.identity.update import update_identity
from tests.identity.families import deliver, first_seen, links_of, noon, rows, short, token, warehouse

ONE_USER = "more than 1 user_id:app for one person"
SHARED = "shared device"


class Family(NamedTuple):
    nights: list[list[tuple[int, str]]]
    persons: str
    shared: str = ""
    refused: tuple[tuple[str, str], ...] = ()
    anchors: str = ""


FAMILIES = {
    "chain": Family([[(1, "d1 e1")], [(2, "e1 c1")], [(3, "c1 u1")], [(4, "u1 d2")]], "d1 e1 c1 u1 d2", anchors="d1"),
    "fan in: many devices, one user": Family(
        [[(1, "d1"), (1, "d2"), (1, "d3")], [(2, "d1 u1")], [(3, "d2 u1"), (3, "d3 u1")]], "d1 d2 d3 u1", anchors="d1"
    ),
    "fan out: one user, then its records": Family(
        [[(1, "u1")], [(2, "u1 e1")], [(3, "u1 c1")], [(4, "u1 v1")]], "u1 e1 c1 v1", anchors="u1"
    ),
    "diamond: two ways to the same person": Family(
        [[(1, "u1 e1"), (1, "u1 c1")], [(2, "e1 d1"), (2, "c1 d1")]], "u1 e1 c1 d1"
    ),
    "late link joins two old halves": Family(
        [[(1, "d1 e1")], [(2, "u1 c1")], [(9, "e1 u1")]], "d1 e1 u1 c1", anchors="d1"
    ),
    "late file: delivered last, available first": Family(
        [[(5, "u1 e1")], [(6, "e1 d1")], [(2, "c1 u1")]], "u1 e1 d1 c1", anchors="c1"
    ),
    "seen again and again": Family(
        [[(1, "u1 d1")], [(2, "u1 d1"), (2, "d1")], [(3, "u1 d1"), (3, "u1")]], "u1 d1", anchors="d1"
    ),
    "family tablet": Family(
        [[(1, "d1")], [(2, "d1 u1"), (2, "u1 e1")], [(3, "d1 u2"), (3, "u2 e2")]],
        "d1 | u1 e1 | u2 e2",
        shared="d1",
        refused=(("d1 u1", SHARED), ("d1 u2", SHARED)),
        anchors="d1 e1 e2",
    ),
    "family tablet and a phone each": Family(
        [[(1, "d1 u1"), (1, "d2 u1")], [(2, "d1 u2"), (2, "d3 u2")], [(3, "d1 u3")]],
        "d1 | u1 d2 | u2 d3 | u3",
        shared="d1",
        refused=(("d1 u1", SHARED), ("d1 u2", SHARED), ("d1 u3", SHARED)),
    ),
    "two devices joined, a user on each": Family(
        [[(1, "d1 d2")], [(2, "d1 u1")], [(3, "d2 u2")]],
        "d1 u1 | d2 | u2",
        shared="d2",
        refused=(("d1 d2", SHARED), ("d2 u2", SHARED)),
    ),
    "kiosk seen with e-mails of many": Family(
        [[(1, "d1 e1"), (1, "d1 e2")], [(2, "d1 e3")], [(3, "d1 e4")]],
        "d1 | e1 | e2 | e3 | e4",
        shared="d1",
        refused=tuple((f"d1 e{n}", SHARED) for n in range(1, 5)),
    ),
    "role mailbox links nobody": Family([[(1, "u1 j1")], [(2, "u2 j1"), (2, "d2 j1")]], "u1 | u2 | d2"),
    "shared e-mail stays with its first user": Family(
        [[(1, "u1 e1")], [(2, "u2 e1"), (2, "u2 d2")]], "u1 e1 | u2 d2", refused=(("e1 u2", ONE_USER),)
    ),
    "phone passed on": Family(
        [[(1, "u1 p1")], [(5, "u2 p1")], [(6, "u2 e2")]], "u1 p1 | u2 e2", refused=(("p1 u2", ONE_USER),)
    ),
    "phone passed on, each row says who and on which device": Family(
        [[(1, "d1 u1 p1")], [(5, "d2 u2 p1")], [(6, "d3 u2")]],
        "d1 u1 p1 | u2 d2 d3",
        refused=(("p1 u2", ONE_USER), ("d2 p1", ONE_USER)),
    ),
    "a device that is known by the first user's e-mail too is shared": Family(
        [[(1, "u1 e1 p1")], [(5, "d2 u2 p1")], [(6, "d2 e1")]],
        "u1 e1 p1 | u2 | d2",
        shared="d2",
        refused=(("p1 u2", ONE_USER), ("d2 p1", SHARED), ("d2 u2", SHARED), ("d2 e1", SHARED)),
    ),
    "limit broken later by stronger evidence": Family(
        [[(1, "u1 p1"), (2, "p1 e1")], [(4, "u2 e1")]],
        "u1 p1 | u2 e1",
        refused=(("e1 p1", ONE_USER),),
        anchors="e1 p1",
    ),
    "third e-mail is one too many": Family(
        [[(1, "u1 e1")], [(2, "u1 e2")], [(3, "u1 e3")]],
        "u1 e1 e2 | e3",
        refused=(("e3 u1", "more than 2 email for one person"),),
    ),
    "same customer number in two shops": Family([[(1, "u7 d1")], [(1, "v7 d2")]], "u7 d1 | v7 d2"),
    "one person with an account in each shop": Family([[(1, "u1 e1")], [(2, "v1 e1")]], "u1 v1 e1"),
    "device-only visitor": Family([[(1, "d1")], [(2, "d1")], [(3, "d1"), (3, "d2")]], "d1 | d2", anchors="d1 d2"),
    "colleagues of one account": Family([[(1, "u1 a1")], [(2, "u2 a1")], [(3, "d3 a1")]], "u1 | u2 | d3"),
    "an order is nobody": Family([[(1, "u1 o1")], [(2, "e2 o1")]], "u1 | e2"),
    "anchor stays when others come": Family(
        [[(1, "e1")], [(2, "e1 u1")], [(3, "u1 d1")], [(4, "d1 c1")]], "e1 u1 d1 c1", anchors="e1"
    ),
    "anchor by token when available together": Family([[(3, "u1 e1 d1 c1")]], "u1 e1 d1 c1", anchors="c1"),
    "two halves, the earlier anchor stays": Family(
        [[(2, "u1 e1")], [(1, "c1 d1")], [(3, "e1 c1")]], "u1 e1 c1 d1", anchors="c1"
    ),
    "tablet found shared frees the anchor": Family(
        [[(1, "d1 u1")], [(2, "u1 e1")], [(3, "d1 u2")]],
        "d1 | u1 e1 | u2",
        shared="d1",
        refused=(("d1 u1", SHARED), ("d1 u2", SHARED)),
        anchors="d1 u1 u2",
    ),
}


def told(connection) -> tuple[set[frozenset[str]], set[str], set[tuple[frozenset[str], str]], set[str]]:
    people: dict[str, set[str]] = {}
    identifiers = connection.execute(
        "select identifier, person_id, is_shared_device from identity.identifiers where person_id is not null"
    ).fetchall()
    for name, person_id, _ in identifiers:
        people.setdefault(person_id, set()).add(short(name))
    refused = connection.execute("select identifier_a, identifier_b, reason from identity.refused_links").fetchall()
    persons = connection.execute("select person_id, anchor, identifier_count from identity.persons").fetchall()
    assert {person_id: len(held) for person_id, held in people.items()} == {row[0]: row[2] for row in persons}
    assert all(person_id == person_id_of(anchor) for person_id, anchor, _ in persons)
    return (
        set(map(frozenset, people.values())),
        {short(name) for name, _, is_shared in identifiers if is_shared},
        {(frozenset({short(a), short(b)}), reason) for a, b, reason in refused},
        {short(anchor) for _, anchor, _ in persons},
    )


@pytest.mark.parametrize("way", ["full build", "nights", "nights in reverse"])
@pytest.mark.parametrize("name", FAMILIES)
def test_family(name, way):
    family = FAMILIES[name]
    nights = {
        "full build": [[row for night in family.nights for row in night]],
        "nights": family.nights,
        "nights in reverse": family.nights[::-1],
    }[way]
    observed = []
    with warehouse() as connection:
        for night in nights:
            observed += rows(*night)
            deliver(connection, links_of(observed), first_seen(observed))
            update_identity(connection, as_of=noon(30), timezone="UTC")
        persons, shared, refused, anchors = told(connection)

    assert persons == {frozenset(person.split()) for person in family.persons.split(" | ")}
    assert shared == set(family.shared.split())
    assert refused == {(frozenset(pair.split()), reason) for pair, reason in family.refused}
    if family.anchors:
        assert anchors == set(family.anchors.split())


def test_customer_number_of_two_shops_is_two_tokens():
    assert token("u7") != token("v7")
