"""Public sets that nobody here wrote: their published facts come out of raw and of staging."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dagster_project.warehouse import open_warehouse
from tests.conftest import reference_data
from tests.packs.conftest import Landed, land, stage

Rows = Callable[[str], list[tuple[object, ...]]]
SOURCES = ("complete_journey", "online_retail", "ravenstack")


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    landed = land(tmp_path_factory.mktemp("reference") / "data", inbox=reference_data() / "inbox", sources=SOURCES)
    stage(landed)
    return landed


@pytest.fixture(scope="module")
def facts(landed: Landed) -> Iterator[Rows]:
    with open_warehouse(landed.settings, read_only=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


def test_nothing_is_quarantined_dropped_or_unknown(landed: Landed) -> None:
    files = [file for report in landed.reports.values() for file in report.files]
    assert sum(file.rows_in for file in files) == 541_909 + 33_100 + 293_054
    # The file of coupons says 4,872 of its 116,204 rows twice.
    assert {table: r.count("duplicates") for table, r in landed.reports.items() if r.count("duplicates")} == {
        "complete_journey__coupons": 4_872
    }
    assert sum(file.rows_in - file.accepted for file in files) == 4_872
    assert [report.drift for report in landed.reports.values() if report.drift] == []


def test_online_retail_lines(facts: Rows) -> None:
    assert facts("""
        select
            count(*),
            count(distinct invoice_no),
            count(distinct customer_id),
            count(*) filter (customer_id is null),
            count(*) filter (invoice_no like 'C%'),
            count(distinct invoice_no) filter (invoice_no like 'C%'),
            count(*) filter (invoice_no like 'A%'),
            count(*) filter (unit_price = 0),
            cast(sum(quantity * unit_price) as varchar),
        from raw.online_retail__lines
    """) == [(541_909, 25_900, 4_372, 135_080, 9_288, 3_836, 3, 2_515, "9747747.934")]


def test_online_retail_keeps_what_was_sold_twice(facts: Rows) -> None:
    assert facts("""
        select sum(copies - 1) from (
            select count(*) as copies
            from raw.online_retail__lines
            group by invoice_no, stock_code, description, quantity, invoice_date, unit_price, customer_id, country
        )
    """) == [(5_268,)]
    assert facts("select count(distinct _row_key) from raw.online_retail__lines") == [(541_909,)]


def test_online_retail_sales_of_known_customers(facts: Rows) -> None:
    assert facts("""
        select count(*), count(distinct customer_id), count(distinct invoice_no),
            cast(sum(quantity * unit_price) as varchar)
        from raw.online_retail__lines where customer_id is not null and quantity > 0 and unit_price > 0
    """) == [(397_884, 4_338, 18_532, "8911407.904")]


def test_online_retail_orders_add_up_to_the_same(facts: Rows) -> None:
    # Orders are in whole pence: within half a penny an order.
    assert facts("""
        select count(*), count(distinct event_key), abs(sum(revenue) - 9747747.934) < 1
        from staging.stg_online_retail__events
    """) == [(25_900, 25_900, True)]
    assert facts("""
        select count(*), count(distinct user_id), abs(sum(revenue) - 8911407.904) < 1
        from staging.stg_online_retail__events where event_name = 'Order Placed' and user_id is not null
    """) == [(18_532, 4_338, True)]
    assert facts("""
        select event_name, count(*)
        from staging.stg_online_retail__events where event_name in ('Order Cancelled', 'Debt Adjusted')
        group by event_name order by 1
    """) == [("Debt Adjusted", 3), ("Order Cancelled", 3_836)]


def test_ravenstack_rows(facts: Rows) -> None:
    assert facts("select count(*), round(avg(churn_flag::int), 2) from raw.ravenstack__accounts") == [(500, 0.22)]
    assert facts("select count(*) from raw.ravenstack__subscriptions") == [(5_000,)]
    assert facts("select count(*), count(*) - count(distinct usage_id) from raw.ravenstack__feature_usage") == [
        (25_000, 21)
    ]
    assert facts("select count(*), count(*) - count(satisfaction_score) from raw.ravenstack__support_tickets") == [
        (2_000, 825)
    ]
    assert facts("select count(*), count(*) - count(feedback_text_id) from raw.ravenstack__churn_events") == [
        (600, 148)
    ]


def test_ravenstack_events(facts: Rows) -> None:
    # The churn flag of an account is not its churn event: 22 % of 500 against 352.
    assert facts("""
        select event_name, count(*), count(distinct event_key)
        from staging.stg_ravenstack__events
        where event_name in
            ('Account Signed Up', 'Account Churned', 'Feature Used', 'Satisfaction Rated', 'Ticket Solved')
        group by event_name order by event_name
    """) == [
        ("Account Churned", 600, 600),
        ("Account Signed Up", 500, 500),
        ("Feature Used", 25_000, 25_000),
        ("Satisfaction Rated", 1_175, 1_175),
        ("Ticket Solved", 2_000, 2_000),
    ]
    assert facts("""
        select count(*)
        from staging.stg_ravenstack__events where event_name in ('Subscription Started', 'Trial Started')
    """) == [(5_000,)]
    assert facts("""
        select count(distinct user_id) from staging.stg_ravenstack__events where event_name = 'Account Churned'
    """) == [(352,)]


def test_complete_journey_rows(facts: Rows) -> None:
    assert facts("select count(*), count(distinct household_id) from raw.complete_journey__demographics") == [
        (801, 801)
    ]
    assert facts("""
        select count(*), count(distinct household_id), count(distinct campaign_id) from raw.complete_journey__campaigns
    """) == [(6_589, 1_559, 27)]
    assert facts("select count(*) from raw.complete_journey__campaign_descriptions") == [(27,)]
    assert facts("select count(*), count(distinct household_id) from raw.complete_journey__coupon_redemptions") == [
        (2_102, 410)
    ]
    assert facts("select count(*), count(distinct household_id) from raw.complete_journey__transactions") == [
        (75_000, 2_377)
    ]
    # No sale stands in two households' or two stores' baskets, and each basket names a product once.
    assert facts("""
        select count(*) from (
            select 1 from raw.complete_journey__transactions group by basket_id
            having count(distinct (household_id, store_id, sold_at)) > 1 or count(*) > count(distinct product_id)
        )
    """) == [(0,)]


def test_complete_journey_events(facts: Rows) -> None:
    assert facts("""
        select event_name, count(*), count(distinct event_key), count(distinct crm_id), count(distinct utm_campaign)
        from staging.stg_complete_journey__events group by event_name order by event_name
    """) == [
        ("Campaign Sent", 6_589, 6_589, 1_559, 27),
        ("Coupon Redeemed", 2_102, 2_102, 410, 0),
        ("Order Placed", 47_243, 47_243, 2_377, 0),
    ]
    assert facts("select count(*), count(distinct crm_id) from staging.stg_complete_journey__profiles") == [(801, 801)]
    assert facts("select count(*) from staging.stg_complete_journey__left_out") == [(0,)]
    # Sold for 233,935.24 dollars, of which manufacturers' coupons paid 1,356.71.
    assert facts("""
        select cast(sum(revenue) as varchar), min(occurred_at)::varchar, max(occurred_at)::varchar
        from staging.stg_complete_journey__events where event_name = 'Order Placed'
    """) == [("232578.53", "2017-01-01 12:30:27", "2018-01-01 03:47:38")]


def test_complete_journey_times_are_utc(facts: Rows) -> None:
    # Read as UTC, the sample is of 2017 in New York and no sale falls into the hour that was skipped there.
    assert facts("""
        select min(here)::date::varchar, max(here)::date::varchar,
            count(*) filter (here >= '2017-03-12 02:00' and here < '2017-03-12 03:00')
        from (
            select timezone('America/New_York', timezone('UTC', occurred_at)) as here
            from staging.stg_complete_journey__events where event_name = 'Order Placed'
        )
    """) == [("2017-01-01", "2017-12-31", 0)]
