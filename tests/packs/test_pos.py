"""Point of sale: receipts by the store's clock, whose cards tell who was there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import land_table
from dagster_project.settings import load_settings
from dagster_project.warehouse import open_warehouse
from tests.packs.conftest import FIXTURES, token

Rows = Callable[[str], list[tuple[object, ...]]]
#: The copy that was available first is the event.
EVENTS = """(
    select * from staging.stg_pos__events
    qualify row_number() over (partition by event_key order by available_at) = 1
)"""
LOYALTY = token("crm_id", "L-100", namespace="pos_loyalty")
CARD = token("card_id", "fp_A1", namespace="stripe")


def test_visits_sales_and_refunds_have_their_money(rows: Rows) -> None:
    # A refund is negative with a minus in the file or without; T-8 has no currency and T-9 is ten days late.
    assert rows(f"""
        select event_key, event_name, cast(occurred_at as varchar), order_id, cast(revenue as varchar), currency
        from {EVENTS} order by event_key
    """) == [
        ("T-1", "Shop Visited", "2026-03-02 09:00:00", None, None, None),
        ("T-2", "Order Placed", "2026-03-02 09:20:00", "pos:T-2", "59.90", "GBP"),
        ("T-3", "Order Placed", "2026-03-02 23:59:59", "pos:T-3", "4.50", "GBP"),
        ("T-4", "Order Refunded", "2026-03-03 10:00:00", "pos:T-2", "-19.90", "GBP"),
        ("T-5", "Order Placed", "2026-03-03 10:30:00", "pos:W-900", "25.00", "GBP"),
        ("T-6", "Order Refunded", "2026-03-03 10:45:00", "pos:W-900", "-25.00", "GBP"),
        ("T-7", "Other Transaction", "2026-03-03 11:00:00", None, None, None),
        ("T-9", "Order Placed", "2026-02-20 16:00:00", "pos:T-9", "7.00", "GBP"),
    ]
    assert rows("select source_table, reason, row_count from staging.stg_pos__left_out") == [
        ("visits", "a sale or refund without amount or currency", 1)
    ]


def test_a_late_receipt_is_known_on_the_day_of_its_export(rows: Rows) -> None:
    assert rows(f"select cast(available_at as varchar) from {EVENTS} where event_key = 'T-9'") == [
        ("2026-03-03 23:59:59.999999",)
    ]


def test_cards_and_address_say_who_was_there(rows: Rows) -> None:
    # Paid in cash without a loyalty card, a sale is nobody's.
    assert rows(f"""
        select event_key, crm_id, card_id, email, country from {EVENTS}
        where event_key in ('T-1', 'T-2', 'T-3', 'T-4') order by event_key
    """) == [
        ("T-1", LOYALTY, None, None, None),
        ("T-2", LOYALTY, CARD, token("email", "pia@example.com"), "United Kingdom"),
        ("T-3", None, None, None, None),
        ("T-4", LOYALTY, CARD, None, None),
    ]


def test_a_refund_that_names_nobody_belongs_to_the_customer_of_its_sale(rows: Rows) -> None:
    # T-6 pays T-5 back, which settled order W-900. Who stands on a refund keeps it: T-4 has no address of T-2's.
    assert rows(f"""
        select event_key, order_id, crm_id, card_id, email from {EVENTS}
        where event_name = 'Order Refunded' order by event_key
    """) == [
        ("T-4", "pos:T-2", LOYALTY, CARD, None),
        ("T-6", "pos:W-900", None, None, token("email", "tom@example.com")),
    ]


def test_a_payment_card_is_the_same_in_the_shop_and_online(rows: Rows) -> None:
    assert rows("""
        select distinct pos.card_id
        from staging.stg_pos__events as pos
        inner join staging.stg_stripe__events as stripe on pos.card_id = stripe.card_id
    """) == [(CARD,)]


def test_names_and_addresses_of_loyalty_cards_wait_in_the_vault(rows: Rows) -> None:
    # Both versions of T-2 are profiles of the card; the readable name stands under the same file and row.
    assert rows("""
        select split_part(profiles.profile_key, '|', 1), profiles.crm_id, visits.full_name, visits.street_address,
            visits.city, visits.postal_code, cast(profiles.changed_at as varchar)
        from staging.stg_pos__profiles as profiles
        inner join ops.landed_files as files on profiles._file_id = files.file_id
        inner join vault.pos__visits as visits
            on files.content_hash = visits.content_hash and profiles._row_number = visits.row_number
        where visits.full_name is not null order by profiles.available_at, visits.full_name
    """) == [
        ("T-2", LOYALTY, "Pia Prem", "1 Mill Lane", "Ely", "CB7 4AA", "2026-03-02 09:20:00"),
        ("T-2", LOYALTY, "Pia Prem-Tun", "1 Mill Lane", "Ely", "CB7 4AA", "2026-03-02 09:20:00"),
        ("T-5", None, "Tom Tun", "2 Mill Lane", "Ely", "CB7 4AA", "2026-03-03 10:30:00"),
    ]
    assert rows("select count(*) from staging.stg_pos__profiles where crm_id is null and email is null") == [(0,)]
    assert (
        rows("""
        select column_name from duckdb_columns()
        where database_name <> 'vault' and table_name = 'pos__visits'
            and column_name in ('full_name', 'street_address', 'city', 'postal_code')
    """)
        == []
    )


def test_nothing_in_the_shop_has_a_device_that_could_open_a_web_session(rows: Rows) -> None:
    assert (
        rows("""
        select column_name from duckdb_columns() where table_name = 'stg_pos__events' and column_name = 'device_id'
    """)
        == []
    )
    assert rows("select count(*) from staging.stg_pos__events") == [(9,)]


@pytest.mark.parametrize(
    ("zone", "wall_clock", "utc"),
    [
        ("Asia/Kolkata", "2026-03-02 09:00:00", "2026-03-02 03:30:00"),
        ("America/New_York", "2026-07-01 20:30:00", "2026-07-02 00:30:00"),
        # Berlin's clocks go back from 3:00 to 2:00 on 2026-10-25: 2:30 is shown twice, at 0:30 and at 1:30 UTC.
        ("Europe/Berlin", "2026-10-25 01:59:59", "2026-10-24 23:59:59"),
        ("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25 01:30:00"),
        ("Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:00:00"),
        # They go forward from 2:00 to 3:00 on 2026-03-29: a till that has not been moved shows 2:30 half an hour later.
        ("Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59"),
        ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 01:30:00"),
        ("Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29 01:00:00"),
    ],
)
def test_local_time_is_the_wall_clock_of_the_contracts_zone(
    tmp_path: Path, zone: str, wall_clock: str, utc: str
) -> None:
    header = (FIXTURES / "pos" / "visits" / "2026-03-02.csv").read_text().splitlines()[0]
    inbox = tmp_path / "inbox" / "pos" / "visits"
    inbox.mkdir(parents=True)
    (inbox / "receipts.csv").write_text(f"{header}\nT-1,High Street,1,{wall_clock},visit{',' * 14}\n")
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path / "data"), "THROUGHLINE_INBOX": str(tmp_path / "inbox")})
    contract = next(contract for contract in load_contracts() if contract.name == "pos__visits")
    report = land_table(settings, replace(contract, timezone=zone))
    assert (report.count("accepted"), report.count("quarantined")) == (1, 0)
    with open_warehouse(settings, read_only=True) as connection:
        found = connection.execute("select cast(local_time as varchar) from raw.pos__visits").fetchall()
    assert found == [(utc,)]
