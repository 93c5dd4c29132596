"""Google Analytics 4: exported events as canonical rows, worked by hand."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
BROWSER = token("device_id", "1234567890.1773136800", namespace="ga4")
PHONE = token("device_id", "0F1E2D3C4B5A69788796A5B4C3D2E1F0", namespace="ga4")
PIA = token("user_id", "u_0067", namespace="app")
REFUSER = token("user_id", "u_0099", namespace="app")


def test_a_page_view_has_its_time_to_the_microsecond_and_its_identifiers_as_tokens(rows: Rows) -> None:
    # 1773136800 s is 10:00 on 10 March 2026; the address loses its e-mail and its fragment.
    assert rows("""
        select distinct cast(occurred_at as varchar), device_id, user_id, url, referrer, device_type, os, os_version,
            country, properties ->> 'browser'
        from staging.stg_ga4__events where event_name = 'page_view' and click_id_type is not null
    """) == [
        (
            "2026-03-10 10:00:00.123456",
            BROWSER,
            None,
            "https://www.example.com/?utm_source=ads&gclid=Cj0KEQ",
            "https://www.google.com/",
            "desktop",
            "Windows",
            "Windows 10",
            "India",
            "Chrome",
        )
    ]


def test_the_day_of_another_zone_does_not_move_the_event(rows: Rows) -> None:
    # 19:00 UTC is half past midnight of the next day in Kolkata, the property's zone. Apps send no page.
    assert rows("""
        select cast(e.occurred_at as varchar), cast(r.event_date as varchar), e.device_id, e.url, e.app_version,
            e.properties ->> 'platform', utm_source, utm_medium, utm_campaign
        from staging.stg_ga4__events as e
        join raw.ga4__events as r on r._file_id = e._file_id and r._row_number = e._row_number
        where e.event_name = 'first_open'
    """) == [
        ("2026-03-10 19:00:00", "2026-03-11", PHONE, None, "3.2.1", "IOS", "newsletter", "email", "Monsoon"),
    ]


def test_source_is_what_came_with_the_event_and_placeholders_say_nothing(rows: Rows) -> None:
    # Google's organic reading of a paid click stays as sent: the click id says otherwise. Who first brought the
    # visitor counts on the first visit alone.
    assert rows("""
        select event_name, utm_source, utm_medium, utm_campaign, click_id_type from staging.stg_ga4__events
        where event_name in ('first_visit', 'session_start', 'page_view:pricing')
            or event_name = 'page_view' and referrer is not null
        group by all order by event_name
    """) == [
        ("first_visit", "google", "cpc", "Spring", "google"),
        ("page_view", "google", "organic", None, "google"),
        ("page_view:pricing", None, None, None, None),
        ("session_start", None, None, None, "google"),
    ]


def test_an_event_exported_again_is_the_same_event(rows: Rows) -> None:
    # The second export has the visit's attribution, which the first did not know yet, and one event that came late.
    assert rows("""
        select url, count(*), count(distinct event_key), cast(min(available_at) as varchar),
            cast(max(available_at) as varchar)
        from staging.stg_ga4__events where event_name like 'page_view%' and device_id is not null
        group by url order by url
    """) == [
        (
            "https://www.example.com/?utm_source=ads&gclid=Cj0KEQ",
            2,
            1,
            "2026-03-11 23:59:59.999999",
            "2026-03-12 23:59:59.999999",
        ),
        ("https://www.example.com/docs", 1, 1, "2026-03-12 23:59:59.999999", "2026-03-12 23:59:59.999999"),
        ("https://www.example.com/pricing/teams", 1, 1, "2026-03-11 23:59:59.999999", "2026-03-11 23:59:59.999999"),
    ]


def test_events_of_one_instant_differ_in_what_they_say(rows: Rows) -> None:
    assert rows("""
        select count(*), count(distinct event_key), count(distinct occurred_at),
            list(properties ->> 'promotion' order by properties ->> 'promotion')
        from staging.stg_ga4__events where event_name = 'view_promotion'
    """) == [(2, 2, 1, ["Spring sale", "Summer sale"])]
    assert rows("select count(*) - count(distinct event_key) from staging.stg_ga4__events") == [(1,)]


def test_an_export_without_its_day_was_known_a_day_later(rows: Rows) -> None:
    assert rows("""
        select cast(available_at as varchar) from staging.stg_ga4__events where event_name = 'first_open'
    """) == [("2026-03-11 19:00:00",)]


def test_purchases_and_refunds_carry_their_order_and_money(rows: Rows) -> None:
    # In the event's currency; without one in dollars as Google converts them; without either there is no revenue.
    assert rows("""
        select event_name, order_id, cast(revenue as varchar), currency, properties ->> 'value', user_id
        from staging.stg_ga4__events where event_name in ('purchase', 'refund') order by occurred_at
    """) == [
        ("purchase", "billing:T_12345", "30.03", "EUR", "30.03", PIA),
        ("purchase", "billing:T_12346", "12.50", "USD", "11.5", PIA),
        ("purchase", "billing:T_12347", None, None, "11.5", PIA),
        ("refund", "billing:T_12345", "-10.01", "EUR", "10.01", PIA),
    ]
    # What lies in a cart is no revenue and no order.
    assert rows("""
        select count(revenue), count(order_id), count(*), max(properties ->> 'product')
        from staging.stg_ga4__events where event_name in ('view_item', 'add_to_cart', 'begin_checkout')
    """) == [(0, 0, 3, "Stan and Friends Tee")]


def test_consent_is_per_purpose_and_unset_is_no_answer(rows: Rows) -> None:
    assert rows("""
        select distinct identifier, purpose, is_granted from staging.stg_ga4__consents order by all
    """) == sorted(
        [
            (BROWSER, "analytics", True),
            (BROWSER, "marketing", False),
            (PHONE, "analytics", True),
            (PHONE, "marketing", False),
            (token("device_id", "app.7", namespace="ga4"), "analytics", True),
            (token("device_id", "app.7", namespace="ga4"), "marketing", False),
            (PIA, "analytics", True),
            (PIA, "marketing", False),
            (REFUSER, "analytics", False),
        ]
    )


def test_a_visitor_who_refused_storage_is_nobodys_device(rows: Rows) -> None:
    assert rows("""
        select event_name, device_id, user_id from staging.stg_ga4__events
        where device_id is null order by occurred_at
    """) == [("page_view", None, None), ("login", None, REFUSER)]


def test_signing_up_ties_a_device_to_a_user_with_their_plan(rows: Rows) -> None:
    assert rows("""
        select device_id, user_id, country, language, plan from staging.stg_ga4__profiles order by changed_at
    """) == [(BROWSER, PIA, "India", "en-us", "free"), (None, REFUSER, "India", "en-us", None)]


def test_what_is_personal_or_undeclared_is_in_the_vault_alone(rows: Rows, warehouse: duckdb.DuckDBPyConnection) -> None:
    assert rows("select search_term from vault.ga4__events where search_term is not null") == [
        ("gift for pia@example.com",)
    ]
    assert rows("""
        select extra ->> '$.event_params.quiz_score', extra ->> '$.user_properties.favourite'
        from vault.ga4__events where extra is not null order by 1
    """) == [("7", None), (None, "green")]
    text = str(warehouse.execute("select * from raw.ga4__events").fetchall())
    text += str(warehouse.execute("select * from staging.stg_ga4__events").fetchall())
    assert not [word for word in ("gift for", "pia@", "quiz_score", "favourite", "Pune", "u_0067") if word in text]
