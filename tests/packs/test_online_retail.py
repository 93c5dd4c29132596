"""Online Retail: one event per invoice, its lines added up by hand."""

from __future__ import annotations

from collections.abc import Callable

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
CUSTOMER = token("user_id", "90001.0", namespace="online_retail")


def test_lines_become_one_event_per_invoice(rows: Rows) -> None:
    # 6 x 2.55 + 2 x 1.25 twice + 1 x 0.001 = 20.301; in July London is an hour ahead of UTC.
    assert rows("""
        select event_key, event_name, cast(occurred_at as varchar), user_id, country, order_id,
            cast(revenue as varchar), currency, cast(properties as varchar)
        from staging.stg_online_retail__events order by occurred_at
    """) == [
        _event("900001", "Order Placed", "2011-01-10 08:26:00", CUSTOMER, "20.30", 4, 11),
        _event("900002", "Order Placed", "2011-01-10 09:00:00", None, "49.50", 1, 10, country="EIRE"),
        _event("900003", "Stock Adjusted", "2011-01-10 09:30:00", None, "0.00", 1, -40),
        _event("900004", "Stock Adjusted", "2011-01-10 09:40:00", CUSTOMER, "0.00", 1, 1),
        _event("A900005", "Debt Adjusted", "2011-01-10 10:00:00", None, "-110.06", 1, 1),
        _event("C900006", "Order Cancelled", "2011-07-10 09:00:00", CUSTOMER, "-5.10", 1, -2),
    ]


def _event(
    invoice: str,
    name: str,
    at: str,
    customer: str | None,
    revenue: str,
    lines: int,
    pieces: int,
    *,
    country: str = "United Kingdom",
) -> tuple[object, ...]:
    order = f"online_retail:{invoice}" if name.startswith("Order") else None
    return (invoice, name, at, customer, country, order, revenue, "GBP", f'{{"lines":{lines},"pieces":{pieces}}}')


def test_a_day_is_known_at_its_end_in_london(rows: Rows) -> None:
    assert rows("select distinct cast(available_at as varchar) from raw.online_retail__lines order by 1") == [
        ("2011-01-10 23:59:59.999999",),
        ("2011-07-10 22:59:59.999999",),
    ]
