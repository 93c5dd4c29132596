"""Tickets of the demo: who asks is who asked in the lives; words vary and fit theme, mood and outcome."""

import re
from collections import Counter, defaultdict
from datetime import datetime

import numpy as np
import pytest

from dagster_project.demo import speech
from dagster_project.demo.life import TICKET
from dagster_project.demo.support import FIRST_USER, plan_tickets, write_zendesk
from ml.sentiment import score_messages
from tests.demo.company import assert_lands, bytes_of, exports_to, rows_of, small_world

TABLES = ("users", "tickets", "ticket_comments", "satisfaction_ratings")


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def inbox(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("support") / "inbox"
    return folder, write_zendesk(world, exports_to(folder))


@pytest.fixture(scope="module")
def rows(inbox):
    return {table: rows_of(inbox[0], f"zendesk/{table}") for table in TABLES}


def test_the_same_seed_gives_the_same_bytes(world, inbox, tmp_path):
    folder, written = inbox
    assert write_zendesk(world, exports_to(tmp_path)).rows == written.rows
    assert bytes_of(tmp_path) == bytes_of(folder)


def test_rows_are_counted_and_lie_in_the_file_of_their_day(inbox, rows):
    assert inbox[1].rows == {f"zendesk/{table}": len(lines) for table, lines in rows.items()}
    for table, field in (("tickets", "updated_at"), ("ticket_comments", "created_at"), ("users", "updated_at")):
        assert all(datetime.fromisoformat(row[field]).date() == day for day, row in rows[table])


def test_everybody_with_an_account_who_asks_in_writing_has_exactly_that_ticket(world, rows):
    lives, period = world.lives, world.period
    asks = (lives.contact_kind == TICKET) & (lives.contact_at >= period.start) & (lives.contact_at < period.end)
    expected = Counter(
        (FIRST_USER + int(world.people.number[person]), int(at) // 1000)
        for person, at in zip(lives.contact_person[asks], lives.contact_at[asks], strict=True)
    )
    opened = {row["id"]: row for _, row in rows["tickets"] if row["status"] == "new"}
    found = Counter(
        (row["requester_id"], int(datetime.fromisoformat(row["created_at"]).timestamp())) for row in opened.values()
    )
    assert not expected - found
    strangers = found - expected
    assert all(lives.signs_up[user - FIRST_USER] > at * 1000 for user, at in strangers)
    assert len(strangers) < 0.1 * len(found)


def test_who_meets_the_broken_checkout_writes_about_the_checkout(world):
    lives, planned = world.lives, plan_tickets(world)
    broken = {
        (int(person), int(at))
        for person, at, kind, is_broken in zip(
            lives.contact_person, lives.contact_at, lives.contact_kind, lives.contact_is_broken, strict=True
        )
        if is_broken and kind == TICKET
    }
    theme = {
        (int(person), int(at)): speech.THEME_NAMES[theme]
        for person, at, theme in zip(planned.person, planned.at, planned.theme, strict=True)
    }
    assert {theme[key] for key in broken if key in theme} <= {"checkout"}


def test_ids_refer_to_objects_that_exist(rows):
    users = {row["id"]: row for _, row in rows["users"]}
    requester = {row["id"]: row["requester_id"] for _, row in rows["tickets"]}
    assert all(users[user]["role"] == "end-user" for user in requester.values())
    for _, row in rows["ticket_comments"]:
        is_agent = users[row["author_id"]]["role"] == "agent"
        assert is_agent or row["author_id"] == requester[row["ticket_id"]]
    assert all(row["requester_id"] == requester[row["ticket_id"]] for _, row in rows["satisfaction_ratings"])
    assert {row["score"] for _, row in rows["satisfaction_ratings"]} == {"offered", "good", "bad"}


def test_the_first_comment_repeats_the_description(rows):
    first = {}
    for _, row in rows["ticket_comments"]:
        first.setdefault(row["ticket_id"], row["body"])
    assert all(first[row["id"]] == row["description"] for _, row in rows["tickets"])


def test_tickets_are_solved_reopened_and_escalated(rows):
    history = defaultdict(list)
    for _, row in rows["tickets"]:
        history[row["id"]].append((row["updated_at"], row["status"], row["priority"]))
    statuses = [[status for _, status, _ in sorted(steps)] for steps in history.values()]
    assert any("solved" in s and "open" in s[s.index("solved") :] for s in statuses)
    assert any(priority == "urgent" for steps in history.values() for _, _, priority in steps)
    assert sum("solved" in s for s in statuses) > 0.7 * len(statuses)


def test_identifiers_for_the_truth_are_those_in_the_files(world, inbox, rows):
    by_type = {kind: (persons, values.to_pylist()) for kind, persons, values in inbox[1].identifiers}
    people, exported = world.people, {row["id"]: row for _, row in rows["users"] if row["role"] == "end-user"}
    assert set(map(int, by_type["zendesk_user"][1])) == set(exported)
    persons, users = by_type["user_id"]
    assert all(
        user is None or people.user_id[int(person)].as_py() == user for person, user in zip(persons, users, strict=True)
    )
    assert {user for user in users if user} == {row["external_id"] for row in exported.values() if row["external_id"]}
    assert {phone for phone in by_type["phone"][1] if phone} >= {r["phone"] for r in exported.values() if r["phone"]}


@pytest.fixture(scope="module")
def messages(world):
    """Five thousand first messages of one theme."""
    rng = np.random.default_rng(1)
    count = 5_000
    mood = speech.draw_moods(rng, np.full(count, speech.SYNC))
    about = speech.about(
        rng,
        world,
        person=rng.integers(0, len(world.people), count),
        at=np.full(count, world.period.start),
        theme=np.full(count, speech.SYNC),
        mood=mood,
    )
    return about.say("ticket").to_pylist(), mood


def test_first_messages_of_a_theme_are_hardly_ever_the_same(messages):
    said, _ = messages
    assert len(set(said)) > 0.99 * len(said)
    assert not any(re.search(r"[{}^]|  | [.,!?]", line) for line in said)


def test_mood_is_in_the_words_though_not_always_where_a_lexicon_sees_it(messages):
    said, mood = messages
    score = np.array(score_messages(said)["compound"].to_pylist())
    means = {name: score[mood == number].mean() for number, name in enumerate(speech.MOODS)}
    assert means["positive"] > 0.4 > means["neutral"] > means["negative"] < -0.15
    assert 0.6 < np.mean(score[mood == speech.NEGATIVE] < 0) < 0.99


def test_a_tenth_of_messages_is_mixed_and_a_few_ratings_are_the_wrong_way_round(messages):
    _, mood = messages
    # Four standard errors.
    assert abs(np.mean(mood == speech.MIXED) - 0.10) < 4 * np.sqrt(0.1 * 0.9 / len(mood))
    assert abs(speech.MIXED_SHARE + (1 - speech.MIXED_SHARE) * speech.WRONG_RATING_SHARE - 0.15) < 0.005


def test_typing_makes_slips_but_never_in_a_mailbox(world):
    lines = np.repeat(["Please write to ana@example.org, I am here.", "I cannot receive the invoice."], 500)
    typed = speech.typed(np.random.default_rng(2), speech.pa.array(lines), sloppy=0.5, lower=0.2).to_pylist()
    assert set(typed[:500]) == {lines[0]}
    assert len(set(typed[500:])) > 50


def test_every_row_lands(inbox, tmp_path):
    folder, written = inbox
    assert_lands(folder, data=tmp_path / "data", source="zendesk", rows=written.rows)
