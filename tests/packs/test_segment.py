"""Segment: the spec's samples as canonical rows, worked by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import duckdb

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
PIA = token("user_id", "u_0067", namespace="app")
BROWSER = token("device_id", "b7e23ec29af22b0b4e41da31", namespace="segment")


def test_clock_skew_is_corrected_to_the_time_segment_publishes(rows: Rows) -> None:
    # The sample's own `timestamp` is what Segment makes of the other three.
    assert rows("""
        select strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%g'), event_name, device_id, user_id
        from staging.stg_segment__events where event_key = 'ajs-11111111aaaa4d9430b3928bd8ac0001'
    """) == [
        (
            "2015-12-12T19:11:01.249",
            "Lesson Opened",
            token("device_id", "5d0b7c1e-3f52-4c6a-9a77-0c1d2e3f4a5b", namespace="segment"),
            token("user_id", "u_ann", namespace="app"),
        )
    ]


def test_context_becomes_campaign_client_and_account(rows: Rows) -> None:
    assert rows("""
        select utm_source, utm_medium, utm_campaign, utm_term, utm_content, device_type, os, os_version, app_version,
            country, url, referrer, user_id, email, account_id, cast(occurred_at as varchar)
        from staging.stg_segment__events where event_name = 'Signed Up'
    """) == [
        (
            "Newsletter",
            "email",
            "Spring letter",
            "spring reports",
            "picture",
            "mobile",
            "iOS",
            "8.1.3",
            "545",
            "United States",
            "https://www.example.com/academy/",
            None,
            PIA,
            token("email", "pia@example.com"),
            token("account_id", "12345", namespace="app"),
            "2015-12-10 04:08:31.905",
        )
    ]


def test_a_conversion_carries_its_invoice_and_its_money(rows: Rows) -> None:
    # The client's clock is 10 minutes fast; without a currency Segment's spec means US dollars.
    assert rows("""
        select order_id, cast(revenue as varchar), currency, properties ->> 'plan', cast(occurred_at as varchar)
        from staging.stg_segment__events where event_name = 'Subscription Started'
    """) == [("billing:in_A1", "10.00", "USD", "Basic Plan", "2023-04-05 11:50:00")]


def test_a_cancellation_is_known_by_its_subscription(rows: Rows) -> None:
    assert rows("""
        select event_name, source, order_id from staging.stg_segment__events where event_name = 'Subscription Cancelled'
        union all
        select distinct event_name, source, order_id
        from staging.stg_stripe__events where event_name = 'subscription.cancelled'
        order by source
    """) == [
        ("Subscription Cancelled", "segment", "billing:sub_A1"),
        ("subscription.cancelled", "stripe", "billing:sub_A1"),
    ]


def test_pages_have_the_names_the_taxonomy_knows(rows: Rows) -> None:
    # By name, by name in another case, by address for want of a name, and a page nobody named.
    assert rows("""
        select event_name, url, referrer, click_id_type, utm_source, utm_medium, device_type, os,
            cast(occurred_at as varchar)
        from staging.stg_segment__events where source_table = 'pages' order by occurred_at
    """) == [
        _page("Viewed Home Page", "http://www.example.com", "2015-02-23 22:28:55.111"),
        (
            "Viewed Pricing Page",
            "http://www.example.com/pricing?utm_source=google&gclid=Cj0KEQ",
            "https://www.google.com/",
            "google",
            "google",
            "cpc",
            "desktop",
            "macOS",
            "2015-02-23 22:30:00",
        ),
        _page("Viewed Pricing Page", "https://www.example.com/pricing/teams", "2015-02-23 22:31:00"),
        _page("Page Viewed", "https://www.example.com/blog/1", "2015-02-23 22:32:00"),
    ]


def _page(name: str, url: str, at: str) -> tuple[object, ...]:
    return (name, url, None, None, None, None, "desktop", "macOS", at)


def test_an_identify_call_is_a_profile(rows: Rows) -> None:
    assert rows("select device_id, user_id, email, country, plan from staging.stg_segment__profiles") == [
        (BROWSER, PIA, token("email", "pia@example.com"), "USA", "premium")
    ]


def test_consent_is_per_purpose_and_counts_for_the_user_where_one_is_known(rows: Rows) -> None:
    # A visitor with the category Personalization; a user whose Functional stands in for it.
    assert rows("""
        select source_table, identifier, purpose, is_granted
        from staging.stg_segment__consents order by source_table, purpose
    """) == [
        ("pages", BROWSER, "analytics", True),
        ("pages", BROWSER, "marketing", False),
        ("pages", BROWSER, "personalisation", True),
        ("tracks", PIA, "analytics", True),
        ("tracks", PIA, "marketing", True),
        ("tracks", PIA, "personalisation", False),
    ]


def test_what_is_personal_or_undeclared_is_in_the_vault_alone(rows: Rows, warehouse: duckdb.DuckDBPyConnection) -> None:
    ((name, email, city),) = rows("select full_name, email, address_city from vault.segment__identifies")
    assert (name, email, city) == ("Pia Muster", "pia@example.com", "San Francisco")
    ((extra,),) = rows("select extra from vault.segment__tracks where extra::varchar like '%SPRING%'")
    assert "SPRING" in json.dumps(json.loads(str(extra)))
    text = str(warehouse.execute("select * from raw.segment__tracks").fetchall())
    text += str(warehouse.execute("select * from raw.segment__identifies").fetchall())
    assert not [word for word in ("SPRING", "pia@", "Muster", "8.8.8.8", "Hill St", "4242 is no") if word in text]
