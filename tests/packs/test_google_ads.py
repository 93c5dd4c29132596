"""Google Ads: what reports say of a day, restated, worked by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from dagster_project.transform import build
from tests.nights import whole_night
from tests.packs.conftest import Landed, stage

Rows = Callable[[str], list[tuple[object, ...]]]
EU, IN = "1234567890", "9876543210"


@pytest.fixture
def copied(samples: Landed, tmp_path: Path) -> Landed:
    """The samples' warehouse, to change."""
    data = samples.settings.data
    shutil.copytree(data, tmp_path / "data")
    return replace(samples, settings=replace(samples.settings, data=tmp_path / "data"))


def figures(landed: Landed) -> dict[tuple[str, str, str], tuple[Decimal, int, int]]:
    """Cost, impressions and clicks of each account, campaign and day."""
    with duckdb.connect(str(landed.settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute("""
            select ad_account, campaign_id, cast(spend_date as varchar), cost, impressions, clicks from staging.spend
        """).fetchall()
    assert len({row[:3] for row in rows}) == len(rows)
    return {row[:3]: row[3:] for row in rows}


def test_a_day_has_the_figures_of_the_latest_report(samples: Landed) -> None:
    # The third report goes back to the first one's figures, and splits the festival by a further segment.
    assert figures(samples) == {
        (EU, "111", "2026-03-10"): (Decimal("12.345678"), 1000, 50),
        (EU, "112", "2026-03-10"): (Decimal("3.333333"), 20000, 40),
        (EU, "113", "2026-03-10"): (Decimal("0"), 0, 0),
        (EU, "111", "2026-03-11"): (Decimal("9.999999"), 870, 41),
        (EU, "114", "2026-03-11"): (Decimal("0.000001"), 3, 0),
        (IN, "111", "2026-03-10"): (Decimal("500.000001"), 7000, 310),
        (IN, "222", "2026-03-11"): (Decimal("1.000000"), 400, 30),
    }


def test_a_campaign_keeps_its_accounts_zone_and_money_and_gets_a_known_channel(rows: Rows) -> None:
    assert rows("""
        select ad_account, campaign_id, campaign, channel, currency, spend_timezone, platform, source
        from staging.spend where spend_date = '2026-03-10' or campaign_id > '111' order by 1, 2
    """) == [
        (EU, "111", "Brand name", "paid search", "EUR", "Europe/Berlin", "google_ads", "google_ads"),
        (EU, "112", "Come back", "display", "EUR", "Europe/Berlin", "google_ads", "google_ads"),
        (EU, "113", "Launch film", "paid social", "EUR", "Europe/Berlin", "google_ads", "google_ads"),
        (EU, "114", "Everything", "paid other", "EUR", "Europe/Berlin", "google_ads", "google_ads"),
        (IN, "111", "Brand", "paid search", "INR", "Asia/Kolkata", "google_ads", "google_ads"),
        (IN, "222", "Festival", "paid search", "INR", "Asia/Kolkata", "google_ads", "google_ads"),
    ]


@pytest.mark.parametrize(
    ("day", "brand", "campaigns"),
    [(10, None, 0), (11, Decimal("12.345678"), 4), (12, Decimal("12"), 7), (13, Decimal("12"), 7)],
)
def test_an_earlier_day_sees_the_figures_known_then(
    copied: Landed, day: int, brand: Decimal | None, campaigns: int
) -> None:
    stage(copied, packs=("google_ads",), as_of=datetime(2026, 3, day, 23, 59, 59, 999999))
    known = figures(copied)
    assert len(known) == campaigns
    assert known.get((EU, "111", "2026-03-10"), (None,))[0] == brand


def test_restated_rows_are_counted(rows: Rows) -> None:
    # 4 + 5 + 4 rows, of which 8 stand behind the seven campaigns and days.
    assert rows("select * from staging.stg_google_ads__left_out") == [
        ("google_ads", "campaign_daily", "a later report of the day restates it", 5)
    ]


def test_conversions_of_the_platform_stay_in_raw(rows: Rows) -> None:
    columns = {name for (name,) in rows("select column_name from duckdb_columns() where table_name = 'spend'")}
    assert columns and not [name for name in columns if "conversion" in name]


@pytest.mark.parametrize(
    "mistake",
    [
        "delete from wrong where campaign_id = '112'",
        "insert into wrong from wrong where campaign_id = '112'",
        "insert into wrong select * replace ('999' as campaign_id) from wrong where campaign_id = '112'",
        "update wrong set cost = cost + 0.000001 where campaign_id = '114'",
        """update wrong set cost = 12, impressions = 990, clicks = 48, available_at = '2026-03-12 23:59:59.999999'
        where campaign_id = '111' and cost = 12.345678""",
    ],
)
def test_spend_that_is_lost_doubled_invented_or_stale_fails_the_gate(copied: Landed, mistake: str) -> None:
    with duckdb.connect(str(copied.settings.warehouse_path)) as connection:
        connection.execute("create table wrong as from staging.spend")
        connection.execute(mistake)
        connection.execute("create or replace view staging.spend as from main.wrong")
    (result,) = build(
        copied.settings, night=whole_night(datetime(2999, 12, 31)), nodes=["test.throughline.assert_spend_adds_up"]
    )
    assert (result.status, result.failures) == ("fail", 1)
