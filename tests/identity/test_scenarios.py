"""Named families, each as one full build and as nights, expected against actual.

A family is a list of nights; a night is a list of (day on which it became available, identifiers seen together).
Persons are written ``u1 e1 | u2``; an identifier that stands alone is a person of its own. Decisions are there from
the first night on and count from the end of their day; what is probable (day, pair, tier) is there once both are.
"""

from typing import NamedTuple

import pytest

from dagster_project.identity.evidence import person_id_of
from dagster_project.identity.update import update_identity
from tests.identity.families import (
    LIMITS,
    Limit,
    Limits,
    Link,
    deliver,
    first_seen,
    links_of,
    noon,
    overrides,
    rows,
    short,
    token,
    warehouse,
)

ONE_USER = "more than 1 user_id:app for one person"
ONE_PHONE = "more than 1 phone within 7 days for one person"
A_PHONE_A_WEEK = LIMITS | {"phone": Limit(6, 1, window_days=7)}
SHARED = "shared device"
THREE_USERS = LIMITS | {"email": LIMITS["email"]._replace(links=3), "device_id": LIMITS["device_id"]._replace(links=3)}
HUB = "email seen with more than 3 user_id:app"


class Family(NamedTuple):
    nights: list[list[tuple[int, str]]]
    persons: str
    shared: str = ""
    refused: tuple[tuple[str, str], ...] = ()
    anchors: str = ""
    decisions: tuple[tuple[int, str, str, str | None], ...] = ()
    probable: tuple[tuple[int, str, str], ...] = ()
    tiers: str = ""
    told: tuple[str, ...] = ()
    limits: Limits = LIMITS
    erased: str = ""


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
    "override joins two users of one person": Family(
        [[(1, "u1 e1")], [(2, "u2 e2")], [(3, "d3 u1"), (4, "d3 u2")]],
        "u1 e1 u2 e2 d3",
        anchors="e1",
        decisions=((5, "u1 u2", "always", "the same person, says support"),),
    ),
    "override breaks every limit": Family(
        [[(1, "u1 e1"), (1, "u1 e2")], [(2, "e3"), (2, "e4")]],
        "u1 e1 e2 e3 e4",
        decisions=((3, "e1 e3", "always", None), (3, "e3 e4", "always", None)),
    ),
    "override gives a shared device to one": Family(
        [[(1, "d1 u1")], [(2, "d1 u2"), (2, "d1 u3")]],
        "d1 u2 | u1 | u3",
        refused=(("d1 u1", ONE_USER), ("d1 u3", ONE_USER)),
        decisions=((4, "d1 u2", "always", "bought by u2"),),
    ),
    "override takes an e-mail from its user": Family(
        [[(1, "u1 e1")], [(2, "e1 d1")], [(3, "d1 u2")]],
        "u1 | e1 d1 u2",
        refused=(("e1 u1", "an override says never: typed by mistake"),),
        anchors="e1 u1",
        decisions=((4, "u1 e1", "never", "typed by mistake"),),
    ),
    "override keeps two apart whatever comes between": Family(
        [[(1, "e1 c1")], [(2, "c1 p1")], [(3, "p1 e2")]],
        "e1 c1 p1 | e2",
        refused=(("e2 p1", "an override says never"),),
        decisions=((2, "e2 e1", "never", None),),
    ),
    "override keeps twins with one tablet apart": Family(
        [[(1, "e1 d1")], [(2, "e2 d1")], [(3, "e2 p2")]],
        "d1 | e1 | e2 p2",
        shared="d1",
        refused=(("d1 e1", SHARED), ("d1 e2", SHARED)),
        decisions=((4, "e1 e2", "never", "twins"),),
    ),
    "contradiction: never wins over always": Family(
        [[(1, "u1 e1"), (1, "u2")]],
        "u1 e1 | u2",
        refused=(("u1 u2", "an override says never: two people"),),
        decisions=((2, "u1 u2", "always", "one"), (3, "u2 u1", "never", "two people")),
        told=("never wins over always for user_id:app:u1 and user_id:app:u2.",),
    ),
    "contradiction by way of a third": Family(
        [[(1, "u1"), (2, "u2"), (3, "u3")]],
        "u1 u2 | u3",
        refused=(("u2 u3", "an override says never: brothers"),),
        decisions=((4, "u1 u2", "always", None), (5, "u2 u3", "always", None), (6, "u1 u3", "never", "brothers")),
        told=("never wins over always for user_id:app:u2 and user_id:app:u3.",),
    ),
    "override that waits for somebody nobody has seen": Family(
        [[(1, "u1 e1")], [(2, "d1 e1")]],
        "u1 e1 d1",
        decisions=((1, "u1 u9", "always", None), (1, "e1 e9", "never", None)),
        told=("nobody has seen yet: email:e9, user_id:app:u9.",),
    ),
    "override decided after the as-of": Family(
        [[(1, "u1"), (1, "u2")]], "u1 | u2", decisions=((31, "u1 u2", "always", None),)
    ),
    "window: a second number after the window is the same person's": Family(
        [[(1, "u1 p1")], [(9, "u1 p2")], [(12, "u1 p3")]],
        "u1 p1 p2 | p3",
        refused=(("p3 u1", ONE_PHONE),),
        limits=A_PHONE_A_WEEK,
    ),
    "window: seven days apart to the minute are a week apart": Family(
        [[(1, "u1 p1")], [(8, "u1 p2")]], "u1 p1 p2", limits=A_PHONE_A_WEEK
    ),
    "window: a kiosk of a day, and the same in a month": Family(
        [[(1, "d1 p1"), (2, "d1 p2")], [(1, "d2 p3"), (20, "d2 p4")]],
        "d1 | p1 | p2 | d2 p3 p4",
        shared="d1",
        refused=(("d1 p1", SHARED), ("d1 p2", SHARED)),
        limits=A_PHONE_A_WEEK,
    ),
    "window broken later: a late file puts a number in between": Family(
        [[(1, "u1 p1"), (9, "u1 p2")], [(5, "c1 p3")], [(6, "u1 c1")]],
        "u1 p1 p2 c1 | p3",
        refused=(("c1 p3", ONE_PHONE),),
        limits=A_PHONE_A_WEEK,
    ),
    "probable link joins a shop's customer to a web user": Family(
        [[(1, "u1 e1")], [(2, "c1 p1")], [(3, "d1 u1")]],
        "u1 e1 d1 c1 p1",
        anchors="e1",
        probable=((2, "c1 e1", "strong"),),
        tiers="u1:exact e1:exact d1:exact c1:strong p1:strong",
    ),
    "probable link never joins two users": Family(
        [[(1, "u1 e1")], [(2, "u2 e2")]],
        "u1 e1 | u2 e2",
        refused=(("e1 e2", ONE_USER),),
        probable=((2, "e1 e2", "strong"),),
    ),
    "probable link is weaker than any that was seen": Family(
        [[(1, "c1"), (2, "u1 e1")], [(3, "u2 e2"), (4, "c1 u2")]],
        "u1 e1 | u2 e2 c1",
        refused=(("c1 e1", ONE_USER),),
        probable=((2, "c1 e1", "strong"),),
        tiers="u1:exact e1:exact u2:exact e2:exact c1:exact",
    ),
    "probable of the probable hangs by the weaker": Family(
        [[(1, "u1"), (2, "c1"), (3, "c2"), (4, "e1")]],
        "u1 c1 c2 e1",
        probable=((2, "u1 c1", "probable"), (3, "c1 c2", "strong"), (4, "u1 e1", "strong")),
        tiers="u1:exact c1:probable c2:probable e1:strong",
    ),
    "an override makes the probable exact": Family(
        [[(1, "u1"), (2, "c1")]],
        "u1 c1",
        probable=((2, "u1 c1", "probable"),),
        decisions=((5, "u1 c1", "always", "he said so"),),
        tiers="u1:exact c1:exact",
    ),
    "an override forbids the probable": Family(
        [[(1, "u1"), (2, "c1")]],
        "u1 | c1",
        refused=(("c1 u1", "an override says never: father and son"),),
        probable=((2, "u1 c1", "strong"),),
        decisions=((5, "u1 c1", "never", "father and son"),),
        tiers="u1:exact c1:exact",
    ),
    "a million rows of one e-mail in small: nobody is joined by it": Family(
        [[(day, f"d{n} u{n} e1") for n in range(day, 30, 3)] for day in (1, 2, 3)],
        "d1 u1 e1 | " + " | ".join(f"d{n} u{n}" for n in range(2, 30)),
        refused=tuple((pair, ONE_USER) for n in range(2, 30) for pair in (f"d{n} e1", f"e1 u{n}")),
    ),
    "hub: as many users as its limit, and it is the first one's": Family(
        [[(1, "u1 e1 d1")], [(2, "u2 e1")], [(3, "u3 e1"), (4, "v4 e1")]],
        "u1 e1 d1 v4 | u2 | u3",
        refused=(("e1 u2", ONE_USER), ("e1 u3", ONE_USER)),
        limits=THREE_USERS,
    ),
    "hub: one user more, and it is nobody's": Family(
        [[(1, "u1 e1 d1")], [(2, "u2 e1"), (3, "u3 e1"), (3, "c3 e1")], [(4, "u4 e1")], [(5, "u5 e1 d5")]],
        "u1 d1 | e1 | u2 | u3 | c3 | u4 | u5 d5",
        refused=tuple((pair, HUB) for pair in ("e1 u1", "d1 e1", "e1 u2", "e1 u3", "c3 e1", "e1 u4", "e1 u5", "d5 e1")),
        anchors="d1 e1 u2 u3 c3 u4 d5",
        told=("in what lands from then on: email:e1 (with 5 user_id:app).",),
        limits=THREE_USERS,
    ),
    "hub: an override gives it to one": Family(
        [[(1, "u1 e1 d1")], [(2, "u2 e1"), (3, "u3 e1")], [(4, "u4 e1")]],
        "u1 d1 | e1 u2 | u3 | u4",
        refused=tuple((pair, HUB) for pair in ("e1 u1", "d1 e1", "e1 u3", "e1 u4")),
        decisions=((6, "e1 u2", "always", "it is his"),),
        told=("in what lands from then on: email:e1 (with 4 user_id:app).",),
        limits=THREE_USERS,
    ),
    "hub: links that are decided or probable make none": Family(
        [[(1, "u1 e1"), (2, "u2 e1")], [(3, "u3 e1"), (4, "u4")], [(4, "u5")]],
        "u1 e1 u5 | u2 | u3 | u4",
        refused=(("e1 u2", ONE_USER), ("e1 u3", ONE_USER), ("e1 u4", ONE_USER)),
        decisions=((6, "e1 u5", "always", None), (6, "u1 u5", "always", None)),
        probable=((4, "e1 u4", "strong"),),
        limits=THREE_USERS,
    ),
    "hub: a device of too many is a shared one": Family(
        [[(1, "d1 u1"), (1, "d1 e1")], [(2, "d1 u2"), (3, "d1 u3")], [(4, "d1 u4")]],
        "d1 | e1 | u1 | u2 | u3 | u4",
        shared="d1",
        refused=tuple((f"d1 {name}", SHARED) for name in ("e1", "u1", "u2", "u3", "u4")),
        told=("in what lands from then on: device_id:web:d1 (with 4 user_id:app).",),
        limits=THREE_USERS,
    ),
    "hub: erased users no longer make it one": Family(
        [[(1, "u1 e1")], [(2, "u2 e1"), (3, "u3 e1")], [(4, "u4 e1")]],
        "u1 e1 | u2 | u3",
        refused=(("e1 u2", ONE_USER), ("e1 u3", ONE_USER)),
        erased="u4",
        limits=THREE_USERS,
    ),
    "erased in the middle: what is left falls apart": Family(
        [[(1, "d1 u1"), (1, "u1 e1"), (2, "d1")], [(3, "e1 d2"), (3, "d2 u2")]], "d1 | d2 u2", erased="u1 e1"
    ),
    "erased, and the device is another's now": Family(
        [[(1, "d1 u1")], [(2, "d1 u2")]], "d1 u2", anchors="d1", erased="u1"
    ),
    "re-observed after being erased stays out": Family(
        [[(1, "u1 e1"), (1, "d1")], [(5, "u1 d1"), (6, "u1")]], "d1", erased="u1 e1"
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
    gone = {token(name) for name in family.erased.split()}
    with warehouse(family.limits, decisions=overrides(*family.decisions)) as connection:
        for number, night in enumerate([*nights, []] if gone else nights):
            observed += rows(*night)
            if gone and (way != "nights" or number):
                # Erasure takes out the rows that carry one of theirs, and keeps later ones from landing.
                observed = [row for row in observed if not gone & set(row[1])]
            first = first_seen(observed)
            probable = [
                Link(*sorted(map(token, pair.split())), noon(day), "probabilistic", tier)
                for day, pair, tier in family.probable
                if set(map(token, pair.split())) <= set(first)
            ]
            deliver(connection, [*links_of(observed), *probable], first)
            report = update_identity(connection, as_of=noon(30), timezone="UTC")
        persons, shared, refused, anchors = told(connection)
        tiers = connection.execute("select identifier, link_tier from identity.identifiers").fetchall()

    assert persons == {frozenset(person.split()) for person in family.persons.split(" | ")}
    assert shared == set(family.shared.split())
    assert refused == {(frozenset(pair.split()), reason) for pair, reason in family.refused}
    if family.anchors:
        assert anchors == set(family.anchors.split())
    if family.tiers:
        assert {f"{short(name)}:{tier}" for name, tier in tiers} == set(family.tiers.split())
    assert len(report.told) == len(family.told)
    assert all(sentence.endswith(end) for sentence, end in zip(report.told, family.told, strict=True))


def test_customer_number_of_two_shops_is_two_tokens():
    assert token("u7") != token("v7")
