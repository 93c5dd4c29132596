"""Nights against one full build, over random links cut at random; kills and repeats."""

import random
from datetime import timedelta

import duckdb
import pytest

from dagster_project.identity.graph import resolve_links
from dagster_project.identity.update import update_identity
from tests.bench.identity import junk
from tests.identity.families import (
    HUBS,
    LIMITS,
    WINDOWS,
    Limit,
    Link,
    Override,
    decide,
    deliver,
    first_seen,
    links_of,
    noon,
    overrides,
    random_decisions,
    random_family,
    random_graph,
    random_probable,
    rows,
    token,
    warehouse,
)

RESULTS = ("identifiers", "persons", "refused_links", "hubs", "identifier_history", "changes", "resolved_links")
AS_OF = noon(300)
# One in order and one with late files; `make torture` draws more.
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.torture) for seed in range(2, 6))]


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


@pytest.mark.parametrize("seed", SEEDS)
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


@pytest.mark.parametrize("limits", [WINDOWS, HUBS], ids=["windows", "hubs"])
@pytest.mark.parametrize("seed", range(6))
def test_nights_with_overrides_and_probable_links_equal_one_full_build(seed, limits):
    draw = random.Random(seed)
    observed = random_family(seed, people=30, observations=90)
    everybody = first_seen(observed)
    decisions = random_decisions(seed, everybody, count=10)
    connection = warehouse(limits)
    for cut in sorted(draw.sample(range(20, len(observed)), 3)):
        first = first_seen(observed[:cut])
        links = [*links_of(observed[:cut]), *random_probable(cut, first)]
        # Some decisions are taken back, and some name identifiers that nobody has seen yet.
        given = draw.sample(decisions, 6)
        decide(connection, given)
        night(connection, links, first)
        whole = warehouse(limits, decisions=given)
        night(whole, links, first)
        assert content(connection) == content(whole)


def test_100_000_links_in_batches_equal_one_full_build():
    links, first = random_graph(9, links=100_000, of_each=45_000)
    cuts = [40_000, len(links) - 1000, len(links)]
    connection = warehouse(WINDOWS)
    for cut in cuts:
        so_far = links[:cut]
        seen = {end for link in so_far for end in link[:2]}
        evidence = [link for link in so_far if link.kind not in ("manual", "never")]
        given = [
            Override(link.a, link.b, "never" if link.kind == "never" else "always", link.note, link.available_at.date())
            for link in so_far
            if link.kind in ("manual", "never")
        ]
        decide(connection, given)
        report = night(connection, evidence, {name: first[name] for name in seen})
    # A hundredth of the links comes with the last batch, and many components are left alone.
    assert report.is_full is False
    assert 900 < report.new_links < 1100
    assert report.resolved_identifiers < report.identifiers / 3
    whole = warehouse(WINDOWS, decisions=given)
    night(whole, evidence, {name: first[name] for name in seen})
    for table in RESULTS:
        both = [db.sql(f"from identity.{table} order by all").to_arrow_table() for db in (connection, whole)]
        assert both[0].equals(both[1]), table


@pytest.mark.parametrize("seed", SEEDS)
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
    wider = LIMITS | {"user_id": Limit(1, 5)}
    assert content(connection) == full_build(links_of(observed), first_seen(observed), wider)


def test_an_override_touches_its_two_components_alone():
    observed = rows((1, "u1 e1"), (1, "u2 e2 d2"), (1, "u3 e3"), (1, "u4"))
    connection = warehouse()
    night(connection, links_of(observed), first_seen(observed))
    connection.execute("delete from ops.affected_components")
    decide(connection, overrides((2, "u2 u1", "always", "same person")))
    report = night(connection, links_of(observed), first_seen(observed))
    assert (report.is_full, report.new_links, report.resolved_identifiers) == (False, 1, 5)
    assert affected(connection) == {token("d2"), token("e1")}
    assert report.persons == 3
    decide(connection, overrides((2, "u2 u1", "always", "same person"), (3, "u1 u2", "never", "no: twins")))
    report = night(connection, links_of(observed), first_seen(observed))
    assert report.told == [
        "Overrides contradict each other, and never wins over always for user_id:app:u1 and user_id:app:u2."
    ]
    decide(connection, [])
    assert night(connection, links_of(observed), first_seen(observed)).told == []
    assert content(connection) == full_build(links_of(observed), first_seen(observed))


def test_a_hub_is_told_every_night():
    observed = rows(*((day, f"u{day} e1 d{day}") for day in range(1, 5)))
    connection = warehouse(LIMITS | {"email": LIMITS["email"]._replace(links=3)})
    sentence = (
        "These were seen with too many to be one person's and link nobody; if a value is a placeholder, add it to "
        "blocked_pattern in dbt/seeds/identifier_rules.csv, so that it is junk in what lands from then on: "
        "email:e1 (with 4 user_id:app)."
    )
    for expected in ([sentence], [sentence]):
        assert night(connection, links_of(observed), first_seen(observed)).told == expected
    # As if it had been junk when it landed.
    blocked = [(at, [name for name in names if name != token("e1")]) for at, names in observed]
    assert night(connection, links_of(blocked), first_seen(blocked)).told == []


def test_a_junk_email_on_every_row_costs_no_more_than_its_rows(monkeypatch):
    links, sightings = junk(20_000)
    handed = []

    def counted(nodes, a, b, **others):
        handed.append(len(a))
        return resolve_links(nodes, a, b, **others)

    monkeypatch.setattr("dagster_project.identity.history.resolve_links", counted)
    connection = warehouse(LIMITS | {"email": LIMITS["email"]._replace(links=100)})
    connection.register("given_links", links)
    connection.register("given_sightings", sightings)
    connection.execute(
        "create or replace table identity.links as select * exclude (note), 'shop' as source from given_links;"
        "create or replace table identity.identifier_sightings as from given_sightings"
    )
    report = update_identity(connection, as_of=AS_OF, timezone="UTC")
    assert (report.persons, report.refused_links, report.shared_devices) == (20_001, 40_000, 0)
    (sentence,) = report.told
    assert sentence.endswith("then on: email:junk (with 20,000 user_id:app).")
    # A year of days, on each of which the whole would be resolved again, were the e-mail not out of it.
    assert 0 < sum(handed) < links.num_rows


def test_overrides_that_cannot_count_are_told():
    observed = rows((1, "u1 a1"), (1, "u2"))
    connection = warehouse()
    decide(
        connection,
        overrides(
            (2, "u1 u8", "always", None),
            (2, "u9 e9", "never", None),
            (2, "u1 a1", "always", None),
            (2, "u2 u2", "never", None),
        ),
    )
    report = night(connection, links_of(observed), first_seen(observed))
    assert report.told == [
        "Overrides wait for identifiers that nobody has seen yet: email:e9, user_id:app:u8, user_id:app:u9.",
        "Overrides have no effect on one identifier alone, or on one that never identifies a person: "
        "account_id:crm:a1, user_id:app:u2.",
    ]
    assert content(connection)["persons"] == full_build(links_of(observed), first_seen(observed))["persons"]


def test_an_override_counts_from_the_end_of_its_local_day_and_never_after_the_as_of():
    observed = rows((1, "u1"), (1, "u2"))
    connection = warehouse(decisions=overrides((5, "u1 u2", "always", None), (9, "u1 u9", "always", None)))
    deliver(connection, links_of(observed), first_seen(observed))
    # The 5th ends in Tokyo at 15:00 UTC.
    early = update_identity(connection, as_of=noon(5), timezone="Asia/Tokyo")
    late = update_identity(connection, as_of=noon(5) + timedelta(hours=3), timezone="Asia/Tokyo")
    assert (early.persons, late.persons, late.is_full, late.told) == (2, 1, False, [])


def test_a_type_without_a_rule_identifies_nobody_and_is_told():
    observed = rows((1, "u1 e1"), (2, "e1 d1"))
    connection = warehouse({name: limit for name, limit in LIMITS.items() if name != "email"})
    report = night(connection, links_of(observed), first_seen(observed))
    assert report.told == [
        "These identifier types have no row in dbt/seeds/identifier_rules.csv and identify nobody until they have one: "
        "email."
    ]
    people = dict(connection.execute("select identifier, person_id from identity.identifiers").fetchall())
    assert people.pop(token("e1")) is None
    assert len(set(people.values())) == 2
    assert connection.execute("select count(distinct component_id) from identity.identifiers").fetchall() == [(1,)]
    connection.execute("insert into staging.identifier_rules values ('email', 5, 2, true, null, null)")
    report = night(connection, links_of(observed), first_seen(observed))
    assert (report.is_full, report.persons, report.told) == (True, 1, [])


def test_an_earlier_occurrence_is_told_though_nobody_moves():
    observed = rows((1, "u1 e1"))
    connection = warehouse()
    night(connection, links_of(observed), first_seen(observed))
    connection.execute(
        "update identity.identifier_sightings set first_occurred_at = '2020-01-01' where identifier = 'email:e1'"
    )
    connection.execute("delete from ops.affected_components")
    assert update_identity(connection, as_of=AS_OF, timezone="UTC").resolved_identifiers == 2
    assert affected(connection) == set()
    query = "select valid_from::date::varchar from identity.identifier_history where identifier = 'email:e1'"
    assert connection.execute(query).fetchall() == [("2020-01-01",)]


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
    first = {token("u1"): noon(1), token("e1"): noon(1), token("e2"): noon(1), token("e3"): noon(1)}
    twice = [Link(token("e1"), token("u1"), noon(3)), Link(token("e1"), token("u1"), noon(2))]
    others = [Link(token("e2"), token("u1"), noon(3)), Link(token("e3"), token("u1"), noon(4))]
    assert night(connection, [*twice, *others], first).refused_links == 1
    once = full_build([*twice[1:], *others], first)
    assert {**content(connection), "resolved_links": once["resolved_links"]} == once


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
