"""Calls, chats, surveys and reviews of the demo: of whom the lives tell, in the fields the contracts want."""

from collections import Counter
from datetime import UTC, date, datetime

import numpy as np
import pytest

from dagster_project.demo import laws
from dagster_project.demo.crm import contact_ids
from dagster_project.demo.files import Exports
from dagster_project.demo.life import CALL, CHAT, PAYING, make_calendar
from dagster_project.demo.messages import planted_messages
from dagster_project.demo.people import Period
from dagster_project.demo.speech import MIXED_SHARE, THEME_NAMES
from dagster_project.demo.talks import write_calls, write_chat
from dagster_project.demo.voices import write_nps, write_reviews
from dagster_project.demo.world import make_world
from tests.demo.company import assert_lands, bytes_of, rows_of

FIRST_DAY, DAY_AFTER = date(2026, 1, 1), date(2026, 7, 1)
WRITERS = {"calls": write_calls, "chat": write_chat, "nps": write_nps, "reviews": write_reviews}


def midnight(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def seconds(stamp):
    at = datetime.fromisoformat(stamp)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


@pytest.fixture(scope="module")
def world():
    period = Period(start=midnight(FIRST_DAY), end=midnight(DAY_AFTER))
    return make_world(seed=7, block=0, count=600, period=period, calendar=make_calendar(period, planted=True))


@pytest.fixture(scope="module")
def inbox(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("talks") / "inbox"
    exports = Exports(folder=folder, start=FIRST_DAY, block=0)
    return folder, {source: write(world, exports) for source, write in WRITERS.items()}


@pytest.fixture(scope="module")
def rows(inbox):
    """Each source's rows with the day of their file."""
    return {source: rows_of(inbox[0], next(iter(export.rows))) for source, export in inbox[1].items()}


def latest(rows, source, key):
    return {row[key]: row for _, row in rows[source]}


def contacts(world, kind, *, margin=0):
    """Contacts of a kind as (person, second)."""
    lives, period = world.lives, world.period
    ours = (lives.contact_kind == kind) & (lives.contact_at >= period.start)
    ours &= lives.contact_at < period.end - margin
    return {(int(p), int(t) // 1000) for p, t in zip(lives.contact_person[ours], lives.contact_at[ours], strict=True)}


def test_the_same_seed_gives_the_same_bytes(world, inbox, tmp_path):
    folder, written = inbox
    exports = Exports(folder=tmp_path, start=FIRST_DAY, block=0)
    assert {source: write(world, exports).rows for source, write in WRITERS.items()} == {
        source: export.rows for source, export in written.items()
    }
    assert bytes_of(tmp_path) == bytes_of(folder)


@pytest.mark.parametrize("source", WRITERS)
def test_every_row_lands(inbox, tmp_path, source):
    folder, written = inbox
    assert_lands(folder, data=tmp_path / "data", source=source, rows=written[source].rows)


def test_nothing_is_exported_before_it_happened(rows):
    for source, field in (
        ("calls", "Ended At"),
        ("chat", "ended_at"),
        ("nps", "Survey Sent At"),
        ("nps", "Responded At"),
        ("reviews", "Posted At"),
    ):
        assert all(datetime.fromisoformat(row[field]).date() <= day for day, row in rows[source] if row[field])


def test_calls_are_those_of_the_lives_and_few_others(world, rows):
    calls = latest(rows, "calls", "Call ID").values()
    kinds = Counter((row["Reason"] in ("onboarding", "sales") and row["Reason"]) or row["Direction"] for row in calls)
    answered = Counter(
        seconds(row["Started At"])
        for row in calls
        if row["Direction"] == "inbound"
        and row["Reason"] != "sales"
        and row["Disposition"] not in ("abandoned", "voicemail")
    )
    expected = Counter(at for _, at in contacts(world, CALL))
    # A call that is not over by the end, or is exported late, is missing.
    assert not answered - expected
    assert (expected - answered).total() <= 0.03 * expected.total() + 2
    lives = world.lives
    called = lives.touch_at[(lives.touch_kind == laws.ONBOARDING_CALL) & (lives.touch_at >= world.period.start)]
    assert 0 <= len(called) - kinds["onboarding"] <= 0.05 * len(called) + 2
    assert all(row["Disposition"] == "resolved" for row in calls if row["Reason"] == "onboarding")
    noise = [r for r in calls if r["Reason"] == "sales" or r["Disposition"] in ("abandoned", "voicemail")]
    assert 0 < len(noise) <= 0.08 * len(calls)


def test_a_call_given_up_is_followed_by_a_real_one_of_the_same_day(rows):
    calls = list(latest(rows, "calls", "Call ID").values())
    real = [seconds(row["Started At"]) for row in calls if row["Disposition"] not in ("abandoned", "voicemail")]
    given_up = [seconds(r["Started At"]) for r in calls if r["Disposition"] in ("abandoned", "voicemail")]
    assert given_up
    assert all(any(0 < at - before <= 2400 and at // 86400 == before // 86400 for at in real) for before in given_up)


def test_calls_name_contacts_and_numbers_of_their_own_people(world, inbox, rows):
    calls = list(latest(rows, "calls", "Call ID").values())
    known = set(contact_ids(world.people.number).to_pylist())
    assert {row["CRM Contact ID"] for row in calls} - {""} <= known
    named = np.mean([bool(row["CRM Contact ID"]) for row in calls])
    # Four standard errors around 70 %.
    assert abs(named - 0.70) < 4 * np.sqrt(0.7 * 0.3 / len(calls))
    told = {kind: (persons, values) for kind, persons, values in inbox[1]["calls"].identifiers}
    persons, values = told["hubspot_contact"]
    assert all(
        value is None or value == contact_ids(world.people.number[[person]])[0].as_py()
        for person, value in zip(persons, values.to_pylist(), strict=True)
    )
    shown = {row["Customer Number"] for row in calls} - {"withheld", ""}
    assert shown == {value for value in told["phone"][1].to_pylist() if value}
    assert all(number.startswith("+1") and "555" in number for number in shown)


def test_durations_add_up(rows):
    for _, row in rows["calls"]:
        whole = seconds(row["Ended At"]) - seconds(row["Started At"])
        assert int(row["Wait Seconds"]) + int(row["Talk Seconds"]) == whole > 0
        assert bool(row["Answered At"]) == (int(row["Talk Seconds"]) > 0)


def test_transcripts_have_turns_of_both_sides(rows):
    said = [row for _, row in rows["calls"] if row["Transcript"] and row["Disposition"] != "voicemail"]
    assert len(said) > 0.8 * len(rows["calls"])
    for row in said:
        assert {line.split(":")[0] for line in row["Transcript"].splitlines()} == {"Agent", "Customer"}


def test_chats_are_those_of_the_lives_with_devices_of_their_people(world, rows):
    chats = latest(rows, "chat", "id").values()
    people, devices = world.people, world.devices
    person_of = {user: place for place, user in enumerate(people.user_id.to_pylist())}
    place_of = {name: place for place, name in enumerate(devices.anonymous_id.to_pylist())}
    expected = Counter(at for _, at in contacts(world, CHAT, margin=3_600_000))
    found = Counter(seconds(chat["started_at"]) for chat in chats)
    assert not found - expected
    assert (expected - found).total() <= 0.03 * expected.total() + 2
    for chat in chats:
        device = place_of[chat["visitor"]["anonymous_id"]]
        assert not devices.is_app[device]
        if chat["visitor"]["user_id"]:
            person = person_of[chat["visitor"]["user_id"]]
            assert device in devices.pair_device[devices.first[person] : devices.first[person + 1]]
            assert (person, seconds(chat["started_at"])) in contacts(world, CHAT)
    logged_in = np.mean([chat["visitor"]["user_id"] is not None for chat in chats])
    assert abs(logged_in - 0.75) < 4 * np.sqrt(0.75 * 0.25 / len(chats))


def test_a_bot_answers_first_and_hands_most_conversations_over(rows):
    chats = latest(rows, "chat", "id").values()
    for chat in chats:
        messages = chat["messages"]
        assert [message["from"] for message in messages[:3]] == ["bot", "visitor", "bot"]
        assert [m["id"] for m in messages] == [f"m{n}" for n in range(1, len(messages) + 1)]
        assert sorted(m["at"] for m in messages) == [m["at"] for m in messages]
        assert chat["started_at"] <= messages[0]["at"] <= messages[-1]["at"] < chat["ended_at"]
        by_agent = any(message["from"] == "agent" for message in messages)
        assert by_agent <= (chat["handed_over_at"] is not None)
        assert by_agent == (chat["agent_name"] is not None)
        assert chat["rating"] in (None, 1, 2, 3, 4, 5)
    over = np.mean([chat["handed_over_at"] is not None for chat in chats])
    assert abs(over - 0.60) < 4 * np.sqrt(0.6 * 0.4 / len(chats))


def test_who_pays_is_asked_once_a_quarter_and_three_in_ten_answer(world, rows):
    surveys = latest(rows, "nps", "Response ID").values()
    answered = [row for row in surveys if row["Score"]]
    panel = world.lives.panel
    weeks = np.sum((panel.phase == PAYING) & (panel.monday >= world.period.start))
    assert abs(len(surveys) / (weeks / 13) - 1) < 0.1
    assert abs(len(answered) / len(surveys) - 0.30) < 4 * np.sqrt(0.3 * 0.7 / len(surveys))
    assert abs(np.mean([bool(r["Comment"]) for r in answered]) - 0.55) < 4 * np.sqrt(0.55 * 0.45 / len(answered))
    assert {int(row["Score"]) for row in answered} <= set(range(11))
    assert all(seconds(r["Responded At"]) > seconds(r["Survey Sent At"]) for r in answered)
    assert not any(row["Comment"] or row["Responded At"] for row in surveys if not row["Score"])


def test_scores_rise_with_use(world, rows):
    lives, place = world.lives, {user: n for n, user in enumerate(world.people.user_id.to_pylist())}
    scores = {level: [] for level in range(3)}
    for row in latest(rows, "nps", "Response ID").values():
        if row["Score"] and row["User ID"]:
            week = np.searchsorted(lives.mondays, seconds(row["Survey Sent At"]) * 1000, side="right") - 1
            scores[int(lives.levels[week, place[row["User ID"]]])].append(int(row["Score"]))
    assert np.mean(scores[laws.DORMANT]) < np.mean(scores[laws.LIGHT]) < np.mean(scores[laws.HEAVY])


def test_reviews_have_stars_and_mentions_do_not(rows):
    reviews = [row for _, row in rows["reviews"]]
    assert reviews
    for row in reviews:
        is_mention = row["Platform"] in ("x", "reddit", "linkedin")
        assert (row["Rating"] == "") == is_mention
        assert is_mention or 1 <= int(row["Rating"]) <= 5
        assert row["Body"] or not is_mention


def test_planted_messages_are_those_that_were_written(world, rows):
    planted = planted_messages(world).to_pylist()
    assert {row["source"] for row in planted} == {"zendesk", *WRITERS}
    at = {source: Counter() for source in ("zendesk", *WRITERS)}
    for row in planted:
        at[row["source"]][int(row["at"].timestamp())] += 1
    written = {
        "calls": [r["Started At"] for r in latest(rows, "calls", "Call ID").values() if "Agent:" in r["Transcript"]],
        "chat": [r["started_at"] for r in latest(rows, "chat", "id").values()],
        "nps": [r["Responded At"] for r in latest(rows, "nps", "Response ID").values() if r["Comment"]],
        "reviews": [r["Posted At"] for r in latest(rows, "reviews", "Review ID").values() if r["Body"]],
    }
    for source, stamps in written.items():
        found = Counter(map(seconds, stamps))
        assert not found - at[source]
        # A few are exported too late for the last day.
        assert (at[source] - found).total() <= 0.05 * at[source].total() + 2
    assert {row["theme"] for row in planted} == set(THEME_NAMES)
    mixed = np.mean([row["mood"] == "mixed" for row in planted])
    assert abs(mixed - MIXED_SHARE) < 4 * np.sqrt(0.1 * 0.9 / len(planted))
