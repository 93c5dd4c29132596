"""History against a day-by-day replay with the slow reference, and changes worked by hand."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dagster_project.identity.evidence import person_id_of
from dagster_project.identity.history import History, replay
from dagster_project.identity.resolution import resolve
from dagster_project.settings import end_of_day
from tests.identity.families import (
    HUBS,
    LIMITS,
    WINDOWS,
    Limit,
    Link,
    all_kinds,
    decided,
    first_seen,
    links_of,
    links_table,
    noon,
    overrides,
    random_family,
    reference,
    rows,
    rules,
    short,
    sightings_table,
    token,
)


def replayed(observed, timezone="UTC", *, more=(), limits=LIMITS) -> History:
    return replay(
        links_table([*links_of(observed), *more]),
        sightings=sightings_table(first_seen(observed)),
        rules=rules(limits),
        timezone=timezone,
    )


def known_at(history: History, instant: datetime) -> dict[str, str]:
    rows_then = [
        row
        for row in history.identifier_history.to_pylist()
        if row["known_from"] <= instant and (row["known_to"] is None or instant < row["known_to"])
    ]
    known = {row["identifier"]: row["person_id"] for row in rows_then}
    assert len(known) == len(rows_then), "one person at a time"
    return known


def changes(history: History) -> list[tuple[int, str, str, str, str, str]]:
    people = {person_id_of(token(name)): name for name in (f"{k}{n}" for k in "uvecpd" for n in range(9))}
    return sorted(
        (
            row["changed_on"].day,
            row["kind"],
            people[row["person_id_before"]],
            people[row["person_id_after"]],
            " ".join(map(short, row["identifiers"])),
            row["reason"],
        )
        for row in history.changes.to_pylist()
    )


@pytest.mark.parametrize("seed", range(15))
def test_replay_equals_the_reference_on_every_day(seed):
    observed = random_family(seed, observations=15 + 2 * seed)
    history = replayed(observed)
    first = first_seen(observed)
    for day in range(1, 16):
        evening = noon(day) + timedelta(hours=12) - timedelta(microseconds=1)
        so_far = [row for row in observed if row[0] <= evening]
        seen = {name: at for name, at in first.items() if at <= evening}
        expected = reference(links_of(so_far), seen).person
        minted = {
            name: person_id_of(min(group, key=lambda member: (seen[member], member)))
            for name, group in expected.items()
        }
        assert known_at(history, evening) == minted


@pytest.mark.parametrize("limits", [WINDOWS, HUBS], ids=["windows", "hubs"])
@pytest.mark.parametrize("seed", range(12))
def test_replay_of_windows_overrides_and_hubs_equals_the_reference_on_every_day(seed, limits):
    links, first = all_kinds(seed, observations=15 + 3 * seed)
    history = replay(links_table(links), sightings=sightings_table(first), rules=rules(limits), timezone="UTC")
    for day in range(1, 16):
        evening = noon(day) + timedelta(hours=12) - timedelta(microseconds=1)
        seen = {name: at for name, at in first.items() if at <= evening}
        so_far = [link for link in links if link.available_at <= evening and {link.a, link.b} <= set(seen)]
        minted = {
            name: person_id_of(min(group, key=lambda member: (seen[member], member)))
            for name, group in reference(so_far, seen, limits).person.items()
        }
        assert known_at(history, evening) == minted


@pytest.mark.parametrize("seed", range(15))
def test_replay_ends_where_resolution_stands(seed):
    observed = random_family(seed, observations=60)
    resolution = resolve(
        links_table(links_of(observed)), sightings=sightings_table(first_seen(observed)), rules=rules()
    )
    today = {row["identifier"]: row["person_id"] for row in resolution.identifiers.to_pylist() if row["person_id"]}
    assert known_at(replayed(observed), datetime(2999, 1, 1)) == today


@pytest.mark.parametrize("seed", range(15))
def test_changes_lead_from_each_day_to_the_next(seed):
    history = replayed(random_family(seed, observations=60))
    told = {}
    for row in history.changes.to_pylist():
        for name in row["identifiers"]:
            if row["person_id_before"] != row["person_id_after"]:
                told[name, row["changed_on"]] = (row["person_id_before"], row["person_id_after"])
    expected = {}
    for day in range(2, 16):
        evening = noon(day) + timedelta(hours=12) - timedelta(microseconds=1)
        before, after = known_at(history, evening - timedelta(days=1)), known_at(history, evening)
        for name in before:
            if before[name] != after[name]:
                expected[name, evening.date()] = (before[name], after[name])
    assert told == expected
    assert len(set(history.changes["change_id"].to_pylist())) == history.changes.num_rows


def test_merge_is_logged_on_the_day_of_its_evidence():
    history = replayed(rows((1, "d1"), (2, "u1 e1"), (4, "d1 u1")))
    assert changes(history) == [(4, "merge", "e1", "d1", "e1 u1", "device_id:web seen with user_id:app")]
    assert known_at(history, noon(4))[token("u1")] == person_id_of(token("e1"))
    assert known_at(history, noon(5))[token("u1")] == person_id_of(token("d1"))


def test_two_merges_on_one_day_are_two_changes():
    history = replayed(rows((1, "e1"), (2, "u1"), (3, "c1"), (5, "e1 u1"), (5, "u1 c1")))
    assert changes(history) == [
        (5, "merge", "c1", "e1", "c1", "crm_id:stripe seen with user_id:app"),
        (5, "merge", "u1", "e1", "u1", "crm_id:stripe seen with user_id:app"),
    ]


def test_identifiers_that_arrive_together_are_no_change():
    assert changes(replayed(rows((1, "u1 e1 d1"), (2, "d1 d2")))) == []


def test_second_user_on_a_device_splits_it_off():
    history = replayed(rows((1, "d1"), (2, "d1 u1"), (2, "u1 e1"), (6, "d1 u2")))
    too_many = "more than 1 user_id:app for one person"
    assert changes(history) == [
        (6, "new_shared_device", "d1", "d1", "d1", too_many),
        (6, "split", "d1", "e1", "e1 u1", "a shared device was withdrawn"),
    ]
    assert known_at(history, noon(6))[token("u1")] == person_id_of(token("d1"))
    assert known_at(history, noon(7))[token("u1")] == person_id_of(token("e1"))


def test_stronger_evidence_moves_an_identifier():
    # e1 is u1's through the phone, until the stronger evidence that it is u2's.
    history = replayed(rows((1, "u1 p1"), (1, "u2 e2"), (2, "p1 e1"), (3, "e1 u2")))
    # e1-u2 (priority 5) is taken before p1-u1 and e1-p1 (priority 6, the earlier first): p1 stays with u1.
    assert changes(history) == [(3, "move", "p1", "e2", "e1", "email seen with user_id:app")]


def test_hub_splits_off_on_the_day_on_which_it_was_seen_with_one_too_many():
    limits = LIMITS | {"email": Limit(5, 2, links=2)}
    history = replayed(rows((1, "u1 e1 d1"), (2, "u2 e1"), (2, "c2 e1"), (4, "u3 e1"), (5, "u4 e1 d4")), limits=limits)
    hub = "email seen with more than 2 user_id:app"
    # c2 was the person's of d1, u1 and e1 until e1 was seen with a third user.
    assert changes(history) == [(4, "split", "d1", "c2", "c2", hub), (4, "split", "d1", "e1", "e1", hub)]
    known = known_at(history, noon(4)), known_at(history, noon(5))
    assert [[day[token(name)] for name in ("e1", "c2", "u1")] for day in known] == [
        [person_id_of(token("d1"))] * 3,
        [person_id_of(token(name)) for name in ("e1", "c2", "d1")],
    ]
    assert known_at(history, noon(6))[token("u4")] == person_id_of(token("d4"))


def test_hub_that_is_the_anchor_leaves_its_person_to_the_next():
    limits = LIMITS | {"email": Limit(5, 2, links=2)}
    history = replayed(rows((1, "e1"), (2, "u1 e1 d1"), (3, "u2 e1"), (4, "u3 e1")), limits=limits)
    hub = "email seen with more than 2 user_id:app"
    assert changes(history) == [(4, "split", "e1", "d1", "d1 u1", hub)]


def test_evidence_counts_from_the_end_of_its_local_day():
    # 2026-01-05 23:30 in Kathmandu (UTC+5:45) is 17:45 UTC; that day ends at 18:15 UTC.
    at = datetime(2026, 1, 5, 17, 45)
    observed = [(datetime(2026, 1, 1), [token("e1")]), (at, [token("e1"), token("u1")])]
    history = replayed(observed, timezone="Asia/Kathmandu")
    end = datetime(2026, 1, 5, 18, 14, 59, 999999)
    assert end_of_day(date(2026, 1, 5), timezone="Asia/Kathmandu") == end
    (user,) = [row for row in history.identifier_history.to_pylist() if row["identifier"] == token("u1")]
    assert user["known_from"] == end
    assert user["known_to"] is None


def test_days_follow_daylight_saving():
    # Clocks in Berlin went forward on 2026-03-29: that local day ends at 22:00 UTC, the day before at 23:00 UTC.
    zone = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 28, 23, 59, tzinfo=zone).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    after = datetime(2026, 3, 29, 23, 59, tzinfo=zone).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    history = replayed([(before, [token("e1")]), (after, [token("e2")])], timezone="Europe/Berlin")
    assert sorted(row["known_from"] for row in history.identifier_history.to_pylist()) == [
        datetime(2026, 3, 28, 22, 59, 59, 999999),
        datetime(2026, 3, 29, 21, 59, 59, 999999),
    ]


def test_an_override_counts_from_the_end_of_its_day():
    decisions = overrides((4, "u1 u2", "always", "same person"), (6, "e1 u1", "never", "typed by mistake"))
    history = replayed(rows((1, "u1 e1"), (2, "u2")), more=decided(decisions))
    assert changes(history) == [
        (4, "merge", "u2", "e1", "u2", "an override says always: same person"),
        (6, "split", "e1", "u1", "u1 u2", "an override says never: typed by mistake"),
    ]
    assert known_at(history, noon(4))[token("u2")] == person_id_of(token("u2"))
    assert known_at(history, noon(5))[token("u2")] == person_id_of(token("e1"))
    assert known_at(history, noon(7)) == {
        token("e1"): person_id_of(token("e1")),
        token("u1"): person_id_of(token("u1")),
        token("u2"): person_id_of(token("u1")),
    }


def test_an_override_waits_for_both_its_identifiers():
    history = replayed(rows((1, "u1"), (5, "u2")), more=decided(overrides((2, "u1 u2", "always", None))))
    # u2 and the override are known from the end of the 5th on: u2 never was anybody else.
    assert changes(history) == []
    assert known_at(history, noon(6))[token("u2")] == person_id_of(token("u1"))


def test_a_probable_link_says_so():
    link = Link(token("c1"), token("e1"), noon(3), "probabilistic", "strong")
    history = replayed(rows((1, "c1"), (2, "e1")), more=[link])
    assert changes(history) == [(3, "merge", "e1", "c1", "e1", "crm_id:stripe probably the same as email")]


def test_limit_with_a_window_is_broken_from_the_day_of_the_second_on():
    limits = LIMITS | {"phone": Limit(6, 1, window_days=3)}
    history = replayed(rows((1, "u1 p1"), (3, "u1 p2"), (9, "u1 p3")), limits=limits)
    known = known_at(history, noon(10))
    assert [known[token(name)] for name in ("p1", "p2", "p3")] == [
        person_id_of(token("p1")),
        person_id_of(token("p2")),
        person_id_of(token("p1")),
    ]
    assert changes(history) == []


def test_validity_begins_when_first_seen_to_occur_and_ends_when_a_device_is_found_shared():
    history = replayed(rows((1, "u1"), (2, "d1 u1"), (5, "d1 u2")))
    valid = {
        (short(row["identifier"]), row["known_from"].day): (row["valid_from"], row["valid_to"], row["known_to"])
        for row in history.identifier_history.to_pylist()
    }
    found = noon(6) - timedelta(hours=12, microseconds=1)
    # What happens at eleven is known at noon (`sightings_table`).
    assert valid == {
        ("u1", 1): (noon(1) - timedelta(hours=1), None, None),
        ("d1", 2): (noon(2) - timedelta(hours=1), found, found),
        ("d1", 5): (noon(2) - timedelta(hours=1), None, None),
        ("u2", 5): (noon(5) - timedelta(hours=1), None, None),
    }


def test_a_merge_ends_no_validity():
    history = replayed(rows((1, "d1"), (2, "u1"), (4, "d1 u1")))
    assert [row["valid_to"] for row in history.identifier_history.to_pylist()] == [None] * 3
