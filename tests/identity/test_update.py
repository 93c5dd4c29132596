"""Nights against one full build, over random links cut at random; kills and repeats."""

import random

import duckdb
import pytest

from dagster_project.identity.update import update_identity
from tests.identity.families import LIMITS, Link, deliver, first_seen, links_of, noon, rows, token, warehouse
from tests.identity.test_resolution import random_family

RESULTS = ("identifiers", "persons", "refused_links", "identifier_history", "changes", "resolved_links")
AS_OF = noon(300)


def content(connection: duckdb.DuckDBPyConnection) -> dict[str, list]:
    return {table: sorted(connection.execute(f"from identity.{table}").fetchall(), key=repr) for table in RESULTS}


def night(connection, links, first):
    deliver(connection, links, first)
    return update_identity(connection, as_of=AS_OF, timezone="UTC")


def full_build(links, first, limits=LIMITS) -> dict[str, list]:
    connection = warehouse(limits)
    night(connection, links, first)
    return content(connection)


def affected(connection) -> set[str]:
    return {row[0] for row in connection.execute("from ops.affected_components").fetchall()}


@pytest.mark.parametrize("seed", range(6))
def test_nights_equal_one_full_build(seed):
    draw = random.Random(seed)
    observed = random_family(seed, people=30, observations=90)
    if seed % 2:
        draw.shuffle(observed)  # late files: what arrives last may have been available first
    cuts = [*sorted(draw.sample(range(1, len(observed)), 4)), len(observed)]
    connection = warehouse()
    before = {}
    for cut in cuts:
        links, first = links_of(observed[:cut]), first_seen(observed[:cut])
        connection.execute("delete from ops.affected_components") if before else None
        report = night(connection, links, first)
        now = content(connection)
        assert now == full_build(links, first)
        assert report.persons == len(now["persons"])

        owners = {row[0]: row[2:5] for row in now["identifiers"]}
        moved = {name for name in owners if owners[name] != before.get(name)}
        labels = {side[name][1] for name in moved for side in (before, owners) if name in side}
        assert affected(connection) == labels
        before = owners


@pytest.mark.parametrize("seed", range(6))
def test_links_that_go_away_leave_no_trace(seed):
    draw = random.Random(seed)
    observed = random_family(seed, people=30, observations=80)
    links, first = links_of(observed), first_seen(observed)
    connection = warehouse()
    night(connection, links, first)
    kept = draw.sample(links, len(links) * 3 // 4)
    withheld = [link._replace(kind="withheld") if draw.random() < 0.1 else link for link in kept]
    night(connection, withheld, first)
    assert content(connection) == full_build(withheld, first)
    gone = set(draw.sample(sorted(first), 5))
    rest = [link for link in withheld if not gone & {link.a, link.b}]
    night(connection, rest, {name: at for name, at in first.items() if name not in gone})
    assert content(connection) == full_build(rest, {name: at for name, at in first.items() if name not in gone})
    night(connection, [], {})
    assert not any(content(connection).values())


def test_only_touched_components_are_resolved_again():
    observed = rows((1, "u1 e1"), (1, "u2 e2"), (1, "u3 e3 d3"), (2, "u4"))
    connection = warehouse()
    night(connection, links_of(observed), first_seen(observed))
    connection.execute("delete from ops.affected_components")
    observed += rows((3, "u4 d3"))
    report = night(connection, links_of(observed), first_seen(observed))
    assert (report.is_full, report.new_links, report.resolved_identifiers) == (False, 1, 4)
    # d3 has two users now: it is shared, and u3's person loses its anchor to it.
    assert affected(connection) == {token("d3"), token("u4")}


def test_nothing_new_writes_nothing():
    observed = random_family(3)
    connection = warehouse()
    night(connection, links_of(observed), first_seen(observed))
    before = content(connection)
    connection.execute("delete from ops.affected_components")
    report = night(connection, links_of(observed), first_seen(observed))
    assert report.resolved_identifiers == 0
    assert content(connection) == before
    assert affected(connection) == set()


def test_another_rule_resolves_everything_again():
    observed = random_family(4, observations=60)
    connection = warehouse()
    night(connection, links_of(observed), first_seen(observed))
    connection.execute("update staging.identifier_rules set limit_per_person = 5 where identifier_type = 'user_id'")
    assert update_identity(connection, as_of=AS_OF, timezone="UTC").is_full
    wider = LIMITS | {"user_id": (1, 5, True)}
    assert content(connection) == full_build(links_of(observed), first_seen(observed), wider)


def test_another_time_zone_replays_everything():
    observed = rows((1, "u1 e1"))
    connection = warehouse()
    night(connection, links_of(observed), first_seen(observed))
    assert update_identity(connection, as_of=AS_OF, timezone="Asia/Tokyo").is_full


def test_evidence_after_the_as_of_does_not_count():
    observed = rows((1, "u1"), (1, "e1"), (5, "e1 u1"))
    connection = warehouse()
    deliver(connection, links_of(observed), first_seen(observed))
    assert update_identity(connection, as_of=noon(4), timezone="UTC").persons == 2
    assert update_identity(connection, as_of=noon(5), timezone="UTC").persons == 1


def test_a_pair_seen_by_two_sources_is_one_link_at_its_earliest():
    connection = warehouse()
    first = {token("u1"): noon(1), token("e1"): noon(1)}
    twice = [Link(token("e1"), token("u1"), noon(3)), Link(token("e1"), token("u1"), noon(2))]
    report = night(connection, twice, first)
    assert report.links == 1
    assert content(connection) == full_build(twice[1:], first)


@pytest.mark.parametrize("place", ["identity.before_write", "identity.before_commit", "identity.after_commit"])
def test_a_night_that_dies_can_be_repeated(place, monkeypatch):
    observed = random_family(5, observations=60)
    connection = warehouse()
    night(connection, links_of(observed[:30]), first_seen(observed[:30]))
    connection.execute("delete from ops.affected_components")
    before = content(connection)
    monkeypatch.setattr("dagster_project.failpoints._passed", __import__("collections").Counter())
    monkeypatch.setenv("THROUGHLINE_FAILPOINT", f"{place}:1:raise")
    with pytest.raises(OSError, match="No space left"):
        night(connection, links_of(observed), first_seen(observed))
    died = content(connection)
    expected = full_build(links_of(observed), first_seen(observed))
    assert died == (expected if place == "identity.after_commit" else before)
    monkeypatch.delenv("THROUGHLINE_FAILPOINT")
    night(connection, links_of(observed), first_seen(observed))
    assert content(connection) == expected

    undisturbed = warehouse()
    night(undisturbed, links_of(observed[:30]), first_seen(observed[:30]))
    undisturbed.execute("delete from ops.affected_components")
    night(undisturbed, links_of(observed), first_seen(observed))
    assert affected(connection) == affected(undisturbed)
