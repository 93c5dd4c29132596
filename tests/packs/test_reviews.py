"""Reviews: stars between nothing and one, mentions without any, and a change of mind."""

from __future__ import annotations

from collections.abc import Callable

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]


def test_reviews_have_stars_and_mentions_have_none(rows: Rows) -> None:
    # One star is 0 and five are 1, so that 4.5 are 3.5 / 4. The mention was posted at 10:00 in India.
    assert rows("""
        select event_key, event_name, cast(occurred_at as varchar), rating
        from staging.stg_reviews__events where event_name <> 'Review Changed' order by event_key
    """) == [
        ("app_store|a9|1.0", "Review Posted", "2026-03-02 11:00:00", 0.0),
        ("g2|g-77|4.5", "Review Posted", "2026-03-01 18:30:00", 0.875),
        ("trustpilot|65f1|5.0", "Review Posted", "2026-03-02 07:30:00", 1.0),
        ("x|1745678901234567890|mention", "Mention Posted", "2026-03-02 04:30:00", None),
    ]


def test_other_stars_are_a_change_and_other_words_are_none(rows: Rows) -> None:
    # One site keeps the date of the posting, so the change is known by the day of the export; the other dates it anew.
    # The same review once more, and once more with other words, changes nothing.
    assert rows("""
        select event_key, cast(occurred_at as varchar), rating, cast(available_at as varchar)
        from staging.stg_reviews__events where event_name = 'Review Changed' order by event_key
    """) == [
        ("g2|g-77|3.0", "2026-03-04 18:30:00", 0.5, "2026-03-05 23:59:59.999999"),
        ("trustpilot|65f1|2.0", "2026-03-05 23:59:59.999999", 0.25, "2026-03-05 23:59:59.999999"),
    ]


def test_the_words_are_the_body_scrubbed_or_else_the_headline(rows: Rows) -> None:
    assert rows("""
        select events.event_key, texts.text
        from staging.stg_reviews__events as events
        inner join vault.texts as texts on events.text_id = texts.text_id
        where events.event_name <> 'Review Changed' order by events.event_key
    """) == [
        ("app_store|a9|1.0", "Starts and ends."),
        ("g2|g-77|4.5", "Good reports"),
        ("trustpilot|65f1|5.0", "Fast and kind.\nAsk me: [email]"),
        ("x|1745678901234567890|mention", "Anybody else waiting for the invoice?"),
    ]


def test_only_an_address_says_who_wrote_it(rows: Rows) -> None:
    assert rows("select distinct email from staging.stg_reviews__events order by email nulls last") == [
        (token("email", "pia@example.com"),),
        (None,),
    ]
    assert (
        rows("""
        select column_name from duckdb_columns()
        where database_name <> 'vault' and table_name = 'reviews__reviews' and column_name in ('author_handle', 'url')
    """)
        == []
    )
    assert rows("select count(*) from vault.reviews__reviews where author_handle = '@tom_tun'") == [(1,)]


def test_platform_order_and_thread_are_kept(rows: Rows) -> None:
    assert rows("""
        select properties ->> 'platform', properties ->> 'order', properties ->> 'in_reply_to'
        from staging.stg_reviews__events where event_key in ('trustpilot|65f1|5.0', 'x|1745678901234567890|mention')
        order by 1
    """) == [("trustpilot", "in_A1", None), ("x", None, "1745678901234567000")]


def test_stars_of_another_scale_are_counted(rows: Rows) -> None:
    assert rows("select source_table, reason, row_count from staging.stg_reviews__left_out") == [
        ("reviews", "its rating is not between 1 and 5", 1)
    ]
