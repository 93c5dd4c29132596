"""The Complete Journey: households as customers, what they were sent, redeemed and paid."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb

from tests.packs.conftest import Landed, token

Rows = Callable[[str], list[tuple[object, ...]]]


def household(number: int) -> str:
    return token("crm_id", str(number), namespace="complete_journey")


def test_an_order_is_what_the_customer_paid(rows: Rows) -> None:
    # The first three are the user guide's example: the customer paid 1.67, 3.34 and 2.89 - 0.55 = 2.34 dollars. The
    # fourth basket has three lines, 3.34 + 2.50 + nothing; the last is a coupon whose product is not in the sample.
    assert rows("""
        select event_key, crm_id, order_id, cast(revenue as varchar), currency,
            strftime(occurred_at, '%Y-%m-%d %H:%M:%S')
        from staging.stg_complete_journey__events where event_name = 'Order Placed' order by event_key
    """) == [
        (f"9000000000{n}", household(number), f"complete_journey:9000000000{n}", revenue, "USD", at)
        for n, number, revenue, at in [
            (1, 9001, "1.67", "2017-01-02 18:05:10"),
            (2, 9001, "3.34", "2017-03-12 02:30:00"),
            (3, 9001, "2.34", "2017-03-20 22:10:00"),
            (4, 9003, "5.84", "2017-07-21 23:59:59"),
            (5, 9002, "-1.00", "2018-01-01 03:47:38"),
        ]
    ]


def test_an_order_says_what_was_taken_off(rows: Rows) -> None:
    assert rows("""
        select event_key[-1:], properties ->> 'store', properties ->> 'lines', properties ->> 'retail_discount',
            properties ->> 'coupon_discount'
        from staging.stg_complete_journey__events where event_name = 'Order Placed' and event_key[-1:] in ('3', '4')
        order by event_key
    """) == [("3", "302", "1", "0.45", "0.55"), ("4", "302", "3", "0.36", "0.0")]


def test_a_campaign_is_sent_at_the_start_of_its_day_in_new_york(rows: Rows) -> None:
    # Winter time on 6 March, summer time on 10 July; known a day later. A later description of 90 moves nothing.
    assert rows("""
        select event_key, crm_id, utm_medium, utm_campaign, properties ->> 'type', properties ->> 'ends',
            strftime(occurred_at, '%m-%d %H:%M'), strftime(available_at, '%m-%d %H:%M')
        from staging.stg_complete_journey__events where event_name = 'Campaign Sent' order by utm_campaign, _row_number
    """) == [
        (f"{campaign}|{household(number)}", household(number), "direct_mail", campaign, kind, ends, at, known)
        for campaign, number, kind, ends, at, known in [
            ("90", 9001, "Type A", "2017-04-09", "03-06 05:00", "03-07 05:00"),
            ("90", 9002, "Type A", "2017-04-09", "03-06 05:00", "03-07 05:00"),
            ("91", 9001, "Type B", "2017-08-13", "07-10 04:00", "07-11 04:00"),
        ]
    ]


def test_a_campaign_without_a_description_waits_and_is_counted(samples: Landed, rows: Rows, tmp_path: Path) -> None:
    query = "select source_table, reason, row_count from staging.stg_complete_journey__left_out"
    reason = "its campaign has not been described, so that its day is unknown"
    assert rows(query) == [("campaigns", reason, 1)]

    shutil.copy(samples.settings.warehouse_path, tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("""
            insert into raw.complete_journey__campaign_descriptions by name
            select '92' as campaign_id, timestamp '2017-09-01 04:00' as start_at, uuid() as _row_key,
                timestamp '2030-01-01' as _loaded_at, timestamp '2017-09-20' as available_at
        """)
        assert connection.execute(query).fetchall() == []
        # It came late: so does the event, and it is new to whoever reads what was loaded since.
        assert connection.execute("""
            select crm_id, cast(occurred_at as varchar), cast(available_at as varchar), cast(_loaded_at as varchar)
            from staging.stg_complete_journey__events where utm_campaign = '92'
        """).fetchall() == [(household(9002), "2017-09-01 04:00:00", "2017-09-20 00:00:00", "2030-01-01 00:00:00")]


def test_a_coupon_may_be_redeemed_on_several_days(rows: Rows) -> None:
    assert rows("""
        select event_key, crm_id, properties ->> 'campaign', properties ->> 'coupon',
            strftime(occurred_at, '%m-%d %H:%M'), strftime(available_at, '%m-%d %H:%M')
        from staging.stg_complete_journey__events where event_name = 'Coupon Redeemed' order by occurred_at
    """) == [
        (f"{campaign}|{coupon}|{day}|{household(number)}", household(number), campaign, coupon, at, known)
        for campaign, coupon, day, number, at, known in [
            ("90", "59900000001", "2017-03-10", 9001, "03-10 05:00", "03-11 05:00"),
            ("90", "59900000001", "2017-03-20", 9001, "03-20 04:00", "03-21 04:00"),
            ("91", "59900000002", "2017-07-21", 9003, "07-21 04:00", "07-22 04:00"),
        ]
    ]


def test_a_household_has_a_profile_for_each_version_of_its_demographics(rows: Rows) -> None:
    # A dated export is known when its day in New York ends, one without a date when the set's year was over.
    assert rows("""
        select crm_id, cast(available_at as varchar), cast(changed_at as varchar)
        from staging.stg_complete_journey__profiles order by available_at, crm_id
    """) == [
        (household(9001), "2017-07-01 03:59:59.999999", "2017-07-01 03:59:59.999999"),
        *sorted((household(number), "2018-01-02 00:00:00", "2018-01-02 00:00:00") for number in (9001, 9002)),
    ]


def test_reference_tables_land_and_make_no_event(rows: Rows) -> None:
    assert rows("select count(*) from raw.complete_journey__products") == [(3,)]
    assert rows("select count(*) from raw.complete_journey__coupons") == [(3,)]
    assert rows("select distinct source_table from staging.stg_complete_journey__events order by 1") == [
        ("campaigns",),
        ("coupon_redemptions",),
        ("transactions",),
    ]


def test_a_household_is_readable_nowhere(rows: Rows) -> None:
    for table in ("campaigns", "coupon_redemptions", "demographics", "transactions"):
        assert rows(f"""
            select count(*) from raw.complete_journey__{table}
            where not starts_with(household_id, 'crm_id:complete_journey:')
        """) == [(0,)]
