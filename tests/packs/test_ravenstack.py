"""RavenStack: accounts as customers, and nothing known before its day."""

from __future__ import annotations

from collections.abc import Callable

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
FIRST = token("user_id", "A-000001", namespace="ravenstack_account")
SECOND = token("user_id", "A-000002", namespace="ravenstack_account")


def test_an_account_is_the_customer_of_its_events(rows: Rows) -> None:
    # What happened to an account, when, and since when it could be known: a day after.
    assert rows(f"""
        select event_name, strftime(occurred_at, '%m-%d %H:%M'), strftime(available_at, '%m-%d %H:%M'),
            cast(revenue as varchar), rating, order_id
        from staging.stg_ravenstack__events where user_id = '{FIRST}' order by occurred_at, event_name
    """) == [
        ("Feature Used", "01-01 00:00", "01-06 00:00", None, None, None),
        ("Account Signed Up", "01-02 00:00", "01-03 00:00", None, None, None),
        ("Trial Started", "01-05 00:00", "01-06 00:00", None, None, "ravenstack:S-000001"),
        ("Plan Changed", "02-01 00:00", "02-02 00:00", None, None, None),
        ("Subscription Started", "02-01 00:00", "02-02 00:00", "10800.00", None, "ravenstack:S-000002"),
        ("Trial Cancelled", "02-01 00:00", "02-02 00:00", None, None, "ravenstack:S-000001"),
        ("Feature Used", "03-01 00:00", "03-02 00:00", None, None, None),
        ("Ticket Opened", "03-05 00:00", "03-06 00:00", None, None, None),
        ("Ticket Escalated", "03-05 01:14", "03-07 03:00", None, None, None),
        ("Satisfaction Rated", "03-06 03:00", "03-07 03:00", None, 0.75, None),
        ("Ticket Solved", "03-06 03:00", "03-07 03:00", None, None, None),
        ("Account Churned", "06-01 00:00", "06-02 00:00", None, None, None),
    ]


def test_the_account_level_is_kept_beside_the_customer(rows: Rows) -> None:
    assert rows("""
        select distinct user_id, account_id from staging.stg_ravenstack__events order by account_id
    """) == sorted(
        [
            (FIRST, token("account_id", "A-000001", namespace="ravenstack")),
            (SECOND, token("account_id", "A-000002", namespace="ravenstack")),
        ],
        key=lambda pair: pair[1],
    )


def test_a_repeated_usage_id_is_two_events(rows: Rows) -> None:
    assert rows("""
        select split_part(event_key, '|', 1), count(distinct event_key), sum(cast(properties ->> 'uses' as integer))
        from staging.stg_ravenstack__events where source_table = 'feature_usage' group by 1
    """) == [("U-000001", 2, 12)]
    assert rows("select source_table, reason, row_count from staging.stg_ravenstack__left_out") == [
        ("feature_usage", "its subscription has not been exported", 1)
    ]


def test_the_present_is_known_on_the_last_day_the_source_speaks_of(rows: Rows) -> None:
    # The last word is a churn on 2 June, available a day later.
    assert rows("""
        select cast(available_at as varchar), industry, plan, seats, is_trial, is_churned
        from staging.stg_ravenstack__accounts order by available_at, industry
    """) == [
        ("2023-01-03 00:00:00", "EdTech", None, None, None, None),
        ("2023-02-04 00:00:00", "FinTech", None, None, None, None),
        ("2023-06-03 00:00:00", "EdTech", "Basic", 9, False, True),
        ("2023-06-03 00:00:00", "FinTech", "Pro", 18, True, False),
    ]


def test_what_an_account_said_on_leaving_is_text(rows: Rows) -> None:
    assert rows("""
        select texts.text, properties ->> 'reason'
        from staging.stg_ravenstack__events as events
        left join vault.texts as texts on events.text_id = texts.text_id
        where event_name = 'Account Churned' order by occurred_at
    """) == [("too expensive", "pricing"), (None, "support")]
