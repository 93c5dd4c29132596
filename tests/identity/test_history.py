"""History against a day-by-day replay with the slow reference, and changes worked by hand."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dagster_project.identity.evidence import person_id_of
from dagster_project.identity.history import History, replay
from dagster_project.identity.resolution import resolve
from dagster_project.settings import end_of_day
from tests.identity.families import (
    first_seen,
    links_of,
    links_table,
    noon,
    reference,
    rows,
    rules,
    short,
    sightings_table,
    token,
)
from tests.identity.test_resolution import random_family


def replayed(observed, timezone="UTC") -> History:
    return replay(
        links_table(links_of(observed)),
        sightings=sightings_table(first_seen(observed)),
        rules=rules(),
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
        expected, _ = reference(links_of(so_far), seen)
        minted = {
            name: person_id_of(min(group, key=lambda member: (seen[member], member)))
            for name, group in expected.items()
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
