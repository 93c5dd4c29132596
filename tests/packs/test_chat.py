"""Chat: the moments of a conversation, whose they are, and how the visitor felt."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]


def test_moments_of_a_conversation_with_bot_and_agent(rows: Rows) -> None:
    # The bot's greeting at 10:00:00 answers nothing yet: the visitor wrote at 10:00:30.
    assert rows("""
        select event_name, cast(occurred_at as varchar), rating
        from staging.stg_chat__events where starts_with(event_key, 'ch_1|') order by occurred_at, event_key
    """) == [
        ("Chat Started", "2026-03-02 10:00:00", None),
        ("Bot Answered", "2026-03-02 10:00:30", None),
        ("Handed Over", "2026-03-02 10:01:30", None),
        ("Agent Answered", "2026-03-02 10:02:10", None),
        ("Chat Ended", "2026-03-02 10:12:00", None),
        ("Chat Rated", "2026-03-02 10:12:00", 0.25),
    ]


def test_what_nobody_answers_is_missed_and_what_nobody_writes_is_no_contact(rows: Rows) -> None:
    # ch_3 was handed over to nobody, ch_5 had not even a bot; in ch_4 only the bot spoke, ch_6 is empty.
    assert rows("""
        select event_key, event_name from staging.stg_chat__events
        where event_key[:4] in ('ch_3', 'ch_4', 'ch_5', 'ch_6') order by event_key
    """) == [
        ("ch_3|bot", "Bot Answered"),
        ("ch_3|ended", "Chat Missed"),
        ("ch_3|handed over", "Handed Over"),
        ("ch_3|rated", "Chat Rated"),
        ("ch_3|started", "Chat Started"),
        ("ch_4|started", "Chat Unused"),
        ("ch_5|ended", "Chat Missed"),
        ("ch_5|started", "Chat Started"),
        ("ch_6|started", "Chat Unused"),
    ]


def test_ratings_lie_between_nothing_and_one_as_the_help_desks(rows: Rows) -> None:
    # 2 and 5 of 5, and a thumb down; 11 is on no scale that is known.
    assert rows("""
        select event_key, rating from staging.stg_chat__events where rating is not null order by event_key
    """) == [("ch_1|rated", 0.25), ("ch_2|rated", 1.0), ("ch_3|rated", 0.0)]
    assert rows("select source_table, reason, row_count from staging.stg_chat__left_out") == [
        ("conversations", "its rating is neither good nor bad nor from 1 to 5", 1)
    ]


def test_times_with_a_half_hour_offset_are_utc(rows: Rows) -> None:
    assert rows("""
        select event_name, cast(occurred_at as varchar) from staging.stg_chat__events
        where event_key in ('ch_2|started', 'ch_2|bot') order by 2
    """) == [("Chat Started", "2026-03-02 10:00:00"), ("Bot Answered", "2026-03-02 10:01:02")]


def test_a_visitor_is_the_device_of_the_web_visits_and_the_user_of_the_product(rows: Rows) -> None:
    assert rows("""
        select distinct device_id, user_id, email, url from staging.stg_chat__events
        where starts_with(event_key, 'ch_1|')
    """) == [
        (
            token("device_id", "anon-ana", namespace="segment"),
            token("user_id", "u_1", namespace="app"),
            token("email", "ana@example.org"),
            "https://www.lumen.example/pricing?utm_source=news",
        )
    ]


def test_only_what_the_visitor_wrote_stands_for_the_conversation(rows: Rows) -> None:
    # The last version counts: the visitor wrote once more after the first export.
    assert rows("""
        select events.event_key, texts.text from staging.stg_chat__events as events
        join vault.texts as texts on events.text_id = texts.text_id
        where starts_with(events.event_key, 'ch_1|')
    """) == [
        (
            "ch_1|started",
            "My invoice is wrong and nobody helps me, horrible.\nI am [email], card [card].\nThanks.\n"
            "All good now, I love it, thank you so much!",
        )
    ]


def test_a_rating_that_comes_later_is_known_from_then_on(rows: Rows) -> None:
    assert rows("""
        select event_key, cast(available_at as varchar) from staging.stg_chat__events
        where event_key in ('ch_1|rated', 'ch_2|rated') order by 1
    """) == [("ch_1|rated", "2026-03-04 23:59:59.999999"), ("ch_2|rated", "2026-03-02 23:59:59.999999")]


def test_words_of_bot_and_agent_are_kept_in_the_vault(rows: Rows) -> None:
    assert rows("""
        select bot.text, agent.text from raw.chat__conversations as chats
        join vault.texts as bot on chats.bot_text_id = bot.text_id
        join vault.texts as agent on chats.agent_text_id = agent.text_id
    """) == [
        ("Hi, I am Lumi!\nWhat a lovely question!", "Hello Ana, I am Kim, great to meet you."),
        ("Hi, I am Lumi!\nWhat a lovely question!", "Hello Ana, I am Kim, great to meet you."),
    ]


def test_names_addresses_and_words_are_in_the_vault_only(warehouse: duckdb.DuckDBPyConnection) -> None:
    (vaulted,) = warehouse.execute("""
        select distinct email, visitor_name, agent_name from vault.chat__conversations where visitor_name is not null
    """).fetchall()
    assert vaulted == ("Ana@Example.org", "Ana Example", "Kim Agent")
    readable = str(warehouse.execute("from raw.chat__conversations").fetchall())
    assert [word for word in ("Ana", "ana@", "Kim", "horrible", "4111", "yearly", "s3cret") if word in readable] == []
