"""SendGrid: what became of each e-mail, and what its reader said."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
ADA = token("email", "ada@kunde.example")
DESK = "junk_" + token("email", "info@kunde.example")


def test_each_event_has_its_name_its_time_and_its_recipient(rows: Rows) -> None:
    # 1513299569 is 2017-12-15 00:59:29 UTC. The click was posted twice, the second time in other words.
    gone, bob = token("email", "gone@kunde.example"), token("email", "bob@kunde.example")
    assert rows("""
        select event_key, event_name, cast(occurred_at as varchar), email
        from staging.stg_sendgrid__events order by occurred_at, event_key
    """) == [
        ("ev_account", "account_status_change", "2017-12-15 00:59:29", None),
        ("ev_deferred", "deferred", "2017-12-15 00:59:29", ADA),
        ("ev_delivered", "delivered", "2017-12-15 00:59:29", ADA),
        ("ev_processed", "processed", "2017-12-15 00:59:29", ADA),
        ("ev_machine", "open.machine", "2017-12-15 00:59:30", ADA),
        ("ev_bounce", "bounce", "2017-12-15 00:59:59", gone),
        ("ev_dropped", "dropped", "2017-12-15 01:00:09", gone),
        ("ev_open", "open", "2017-12-15 01:00:29", ADA),
        ("ev_click", "click", "2017-12-15 01:01:29", ADA),
        ("ev_click", "click", "2017-12-15 01:01:29", ADA),
        ("ev_spam", "spamreport", "2017-12-15 01:59:29", bob),
        ("ev_unsub", "unsubscribe", "2017-12-15 02:59:29", ADA),
        ("ev_group_out", "group_unsubscribe", "2017-12-15 03:01:09", DESK),
        ("ev_group_in", "group_resubscribe", "2017-12-16 01:59:29", ADA),
    ]


def test_an_event_is_known_at_the_end_of_its_day_or_a_day_later(rows: Rows) -> None:
    assert rows("""
        select event_key, cast(available_at as varchar) from staging.stg_sendgrid__events
        where event_name in ('click', 'group_resubscribe') order by available_at
    """) == [
        ("ev_click", "2017-12-15 23:59:59.999999"),
        ("ev_click", "2017-12-16 01:01:29"),
        ("ev_group_in", "2017-12-17 01:59:29"),
    ]


def test_a_click_has_the_campaign_of_its_address_and_an_open_that_of_the_mail(rows: Rows) -> None:
    assert rows("""
        select distinct event_name, user_id, url, utm_source, utm_medium, utm_campaign, utm_content, device_type, os
        from staging.stg_sendgrid__events where event_name in ('click', 'open', 'delivered') order by event_name
    """) == [
        (
            "click",
            token("user_id", "u_0067", namespace="app"),
            "https://www.example.com/pricing?utm_source=newsletter&utm_medium=email&utm_campaign=winter%20facts"
            "&utm_content=top+button",
            "newsletter",
            "email",
            "winter facts",
            "top button",
            "mobile",
            "iOS",
        ),
        ("delivered", None, None, None, None, None, None, None, None),
        ("open", None, None, None, None, "winter letter", None, None, "Windows"),
    ]


def test_a_bounce_says_why_in_its_class(rows: Rows) -> None:
    assert rows("""
        select properties ->> 'category', properties ->> 'bounce', properties ->> 'classification',
            properties ->> 'status'
        from staging.stg_sendgrid__events where event_name = 'bounce'
    """) == [("cat facts", "bounce", "Invalid Address", "5.0.0")]
    assert rows("select properties ->> 'category' from staging.stg_sendgrid__events where event_name = 'open'") == [
        ('["cat facts"]',)
    ]


def test_who_leaves_refuses_marketing_and_who_comes_back_agrees(rows: Rows) -> None:
    # A role mailbox is nobody: there the answer is the user's.
    assert rows("""
        select identifier, purpose, is_granted, cast(said_at as varchar)
        from staging.stg_sendgrid__consents order by said_at
    """) == [
        (token("email", "bob@kunde.example"), "marketing", False, "2017-12-15 01:59:29"),
        (ADA, "marketing", False, "2017-12-15 02:59:29"),
        (token("user_id", "u_0099", namespace="app"), "marketing", False, "2017-12-15 03:01:09"),
        (ADA, "marketing", True, "2017-12-16 01:59:29"),
    ]


def test_addresses_and_what_servers_answer_are_in_the_vault_alone(
    rows: Rows, warehouse: duckdb.DuckDBPyConnection
) -> None:
    assert rows("select email, ip, reason from vault.sendgrid__events where reason like '500%'") == [
        ("gone@kunde.example", "168.1.1.1", "500 unknown recipient gone@kunde.example")
    ]
    text = str(warehouse.execute("select * from raw.sendgrid__events").fetchall())
    assert not [secret for secret in ("kunde.example", "168.1.1.1", "255.255", "secret", "try again") if secret in text]
