"""Zendesk: what happened to a ticket, read from its consecutive versions."""

from __future__ import annotations

from collections.abc import Callable

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
ROB = token("support_id", "20978392", namespace="zendesk")


def test_a_ticket_is_opened_escalated_solved_reopened_and_solved_again(rows: Rows) -> None:
    # Closing what is solved is no event, and neither is deleting it.
    assert rows("""
        select event_key, event_name, cast(occurred_at as varchar)
        from staging.stg_zendesk__events where source_table = 'tickets' order by occurred_at
    """) == [
        ("35436|Ticket Opened|1", "Ticket Opened", "2009-07-20 22:55:29"),
        ("35436|Ticket Escalated|1", "Ticket Escalated", "2011-05-06 09:00:00"),
        ("35436|Ticket Solved|1", "Ticket Solved", "2011-05-07 09:00:00"),
        ("35436|Ticket Reopened|1", "Ticket Reopened", "2011-05-08 09:00:00"),
        ("35436|Ticket Solved|2", "Ticket Solved", "2011-05-09 09:00:00"),
    ]


def test_every_comment_belongs_to_the_requester(rows: Rows) -> None:
    # The first repeats the ticket's description, and an internal note is no message to the customer: neither has text.
    assert rows("""
        select events.event_key, events.event_name, events.support_id, texts.text
        from staging.stg_zendesk__events as events
        left join vault.texts as texts on events.text_id = texts.text_id
        where events.source_table = 'ticket_comments' order by events.event_key
    """) == [
        ("1274", "First Comment", ROB, None),
        ("1275", "Agent Replied", ROB, "Please write to me at [email]."),
        ("1276", "Customer Replied", ROB, "It still burns, call [phone]."),
        ("1277", "Note Added", ROB, None),
    ]


def test_rows_that_are_no_events_are_counted(rows: Rows) -> None:
    assert rows("select source_table, reason, row_count from staging.stg_zendesk__left_out order by all") == [
        ("satisfaction_ratings", "no rating was asked for or given", 1),
        ("ticket_comments", "its ticket is unknown or deleted", 1),
    ]


def test_ratings_are_one_for_good_and_nothing_for_bad(rows: Rows) -> None:
    assert rows("""
        select events.event_key, events.event_name, events.rating, texts.text
        from staging.stg_zendesk__events as events
        left join vault.texts as texts on events.text_id = texts.text_id
        where events.source_table = 'satisfaction_ratings' order by events.event_key
    """) == [
        ("35436|good", "Satisfaction Rated", 1.0, "Thank you all!"),
        ("62|bad", "Satisfaction Rated", 0.0, "Slow."),
        ("62|offered", "Rating Offered", None, None),
    ]


def test_customers_have_profiles_and_staff_do_not(rows: Rows) -> None:
    assert rows("""
        select support_id, user_id, email, account_id, language from staging.stg_zendesk__profiles
    """) == [
        (
            ROB,
            token("user_id", "ext_0001", namespace="app"),
            token("email", "rob@example.org"),
            token("account_id", "57542", namespace="zendesk"),
            "en-US",
        )
    ]
