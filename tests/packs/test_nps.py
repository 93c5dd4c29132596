"""NPS: a survey is sent once, and each score somebody gave is one answer."""

from __future__ import annotations

from collections.abc import Callable

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
PIA = token("user_id", "u_0067", namespace="app")
RAVI = token("user_id", "u_ravi", namespace="app")


def test_a_survey_is_sent_once_however_often_exported(rows: Rows) -> None:
    # The second was sent at 9:00 in India, which is 3:30 UTC; the last one's file has no date: known a day later.
    assert rows("""
        select event_key, cast(occurred_at as varchar), cast(available_at as varchar), rating, text_id
        from staging.stg_nps__events where event_name = 'Survey Sent' order by event_key
    """) == [
        ("R-1|sent", "2026-03-02 08:00:00", "2026-03-02 23:59:59.999999", None, None),
        ("R-2|sent", "2026-03-02 03:30:00", "2026-03-02 23:59:59.999999", None, None),
        ("R-3|sent", "2026-03-02 10:00:00", "2026-03-02 23:59:59.999999", None, None),
        ("R-4|sent", "2026-03-03 08:00:00", "2026-03-03 23:59:59.999999", None, None),
        ("R-5|sent", "2026-03-03 08:00:00", "2026-03-03 23:59:59.999999", None, None),
        ("R-6|sent", "2026-01-10 08:00:00", "2026-03-04 23:59:59.999999", None, None),
        ("R-7|sent", "2026-02-01 00:00:00", "2026-02-02 00:00:00", None, None),
    ]


def test_promoters_passives_and_detractors_answer_once_each(rows: Rows) -> None:
    # 6 is a detractor, 7 and 8 are passive, 9 and 10 promote; a tenth of the score is the rating. R-3 changed its mind,
    # and when R-6 answered is not said.
    assert rows("""
        select event_key, event_name, cast(occurred_at as varchar), rating
        from staging.stg_nps__events where event_name <> 'Survey Sent' order by event_key
    """) == [
        ("R-1|answered|9", "Promoter Answered", "2026-03-03 23:55:00", 0.9),
        ("R-2|answered|6", "Detractor Answered", "2026-03-02 12:30:00", 0.6),
        ("R-3|answered|10", "Promoter Answered", "2026-03-04 07:00:00", 1.0),
        ("R-3|answered|7", "Passive Answered", "2026-03-02 10:05:00", 0.7),
        ("R-5|answered|comment", "Comment Left", "2026-03-03 09:30:00", None),
        ("R-6|answered|0", "Detractor Answered", "2026-03-04 23:59:59.999999", 0.0),
        ("R-7|answered|8", "Passive Answered", "2026-02-04 10:00:00", 0.8),
    ]


def test_an_answer_is_never_known_before_it_is_given(rows: Rows) -> None:
    # R-7 was sent on 1 February and answered on the 4th, in a file without a date.
    assert rows("""
        select cast(available_at as varchar) from staging.stg_nps__events where event_key = 'R-7|answered|8'
    """) == [("2026-02-04 10:00:00",)]
    assert rows("select count(*) from staging.stg_nps__events where available_at < occurred_at") == [(0,)]


def test_an_answer_is_known_with_the_comment_that_came_a_day_later(rows: Rows) -> None:
    assert rows("""
        select cast(events.available_at as varchar), texts.text
        from staging.stg_nps__events as events
        inner join vault.texts as texts on events.text_id = texts.text_id
        where events.event_key = 'R-1|answered|9'
    """) == [("2026-03-04 23:59:59.999999", "Everybody here loves it.")]


def test_what_the_customer_wrote_is_scrubbed(rows: Rows) -> None:
    assert rows("""
        select texts.text
        from staging.stg_nps__events as events
        inner join vault.texts as texts on events.text_id = texts.text_id
        where events.event_name in ('Detractor Answered', 'Comment Left') order by events.event_key
    """) == [("Too slow, ring me at [phone] or mail [email]",), ("No number fits what I think.",)]


def test_every_event_carries_the_identifiers_of_its_record(rows: Rows) -> None:
    # The user's id came with the answer; sent to a telephone, a survey has no address.
    assert rows("""
        select event_key, user_id, email, phone from staging.stg_nps__events
        where event_key in ('R-1|sent', 'R-1|answered|9', 'R-2|sent', 'R-3|sent') order by event_key
    """) == [
        ("R-1|answered|9", PIA, token("email", "pia@example.com"), None),
        ("R-1|sent", None, token("email", "pia@example.com"), None),
        ("R-2|sent", RAVI, token("email", "ravi@example.com"), None),
        ("R-3|sent", None, None, token("phone", "+1555010044")),
    ]


def test_each_version_is_a_profile_in_the_language_of_the_survey(rows: Rows) -> None:
    assert rows("""
        select cast(changed_at as varchar), user_id, language
        from staging.stg_nps__profiles where profile_key like 'R-1|%' order by changed_at
    """) == [
        ("2026-03-02 23:59:59.999999", None, "en-US"),
        ("2026-03-03 23:59:59.999999", PIA, "en-US"),
        ("2026-03-04 23:59:59.999999", PIA, "en-US"),
    ]


def test_a_score_that_is_none_is_counted(rows: Rows) -> None:
    assert rows("select source_table, reason, row_count from staging.stg_nps__left_out") == [
        ("responses", "its score is not between 0 and 10", 1)
    ]


def test_name_and_question_are_in_the_vault_alone(rows: Rows) -> None:
    assert (
        rows("""
        select column_name from duckdb_columns()
        where database_name <> 'vault' and table_name = 'nps__responses' and column_name in ('full_name', 'question')
    """)
        == []
    )
    assert rows("select distinct full_name, question from vault.nps__responses where full_name like 'Pia%'") == [
        ("Pia Prem", "How likely are you to recommend us, Pia?")
    ]
