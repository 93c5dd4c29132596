"""Days and weeks are cut in the project's zone: through summer time, and where zones are half an hour off."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import duckdb
import jinja2
import pytest

from dagster_project.identity import levels
from dagster_project.settings import DBT_DIR, end_of_day


def rendered(macro: str, argument: str, *, timezone: str) -> str:
    """The SQL that a macro of the engine room writes under a project time zone."""
    source = "".join((DBT_DIR / "macros" / "engine" / f"{name}.sql").read_text() for name in ("expressions", "time"))
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    module = environment.from_string(source, globals={"var": {"timezone": timezone}.__getitem__}).module
    return str(getattr(module, macro)(argument))


def evaluated(sql: str) -> str:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        return str(connection.execute(f"select cast({sql} as varchar)").fetchall()[0][0])


@pytest.mark.parametrize(
    ("timezone", "instant", "monday"),
    [
        # Berlin's clocks go forward on Sunday 2026-03-29: Monday begins at 22:00 UTC instead of 23:00.
        ("Europe/Berlin", "2026-03-22 22:59:59", "2026-03-16"),
        ("Europe/Berlin", "2026-03-22 23:00:00", "2026-03-23"),
        ("Europe/Berlin", "2026-03-29 21:59:59", "2026-03-23"),
        ("Europe/Berlin", "2026-03-29 22:00:00", "2026-03-30"),
        # And back on 2026-10-25.
        ("Europe/Berlin", "2026-10-25 22:59:59", "2026-10-19"),
        ("Europe/Berlin", "2026-10-25 23:00:00", "2026-10-26"),
        # Half and quarter hours off.
        ("Asia/Kolkata", "2026-03-08 18:29:59", "2026-03-02"),
        ("Asia/Kolkata", "2026-03-08 18:30:00", "2026-03-09"),
        ("Asia/Kathmandu", "2026-03-08 18:14:59", "2026-03-02"),
        ("Asia/Kathmandu", "2026-03-08 18:15:00", "2026-03-09"),
        # Lord Howe Island moves by half an hour, on 2026-04-05 from +11:00 to +10:30.
        ("Australia/Lord_Howe", "2026-04-05 13:29:59", "2026-03-30"),
        ("Australia/Lord_Howe", "2026-04-05 13:30:00", "2026-04-06"),
    ],
)
def test_week_starts_on_the_local_monday(timezone: str, instant: str, monday: str) -> None:
    assert evaluated(rendered("week_start", f"timestamp '{instant}'", timezone=timezone)) == monday


@pytest.mark.parametrize(
    ("timezone", "day", "instant"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28 23:00:00"),
        ("Europe/Berlin", "2026-03-30", "2026-03-29 22:00:00"),
        ("Asia/Kolkata", "2026-03-09", "2026-03-08 18:30:00"),
        ("America/New_York", "2026-11-01", "2026-11-01 04:00:00"),
        ("America/New_York", "2026-11-02", "2026-11-02 05:00:00"),
        # Clocks go back from one to midnight, so that it strikes twice; and forward from midnight, which is left out.
        ("Atlantic/Azores", "2026-10-25", "2026-10-25 00:00:00"),
        ("Atlantic/Azores", "2026-10-26", "2026-10-26 01:00:00"),
        ("Atlantic/Azores", "2026-03-29", "2026-03-29 01:00:00"),
        ("Africa/Cairo", "2026-04-24", "2026-04-23 22:00:00"),
    ],
)
def test_local_day_starts_at_the_right_instant(timezone: str, day: str, instant: str) -> None:
    assert evaluated(rendered("day_start_utc", f"date '{day}'", timezone=timezone)) == instant


@pytest.mark.parametrize(
    "timezone",
    ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Atlantic/Azores", "America/Havana"],
)
def test_days_end_when_python_says_so(timezone: str) -> None:
    """Evidence counts from the end of its day; the warehouse, the log of links and households agree when that is."""
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    noons = [datetime.combine(day, time(12), tzinfo=ZoneInfo(timezone)).astimezone(UTC) for day in days]
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set variable zone = ?", [timezone])
        connection.execute(levels._MACROS[levels._MACROS.index("create or replace temp macro in_zone") :])
        found = connection.execute(
            f"select {rendered('day_end_utc', 'day', timezone=timezone)}, end_of_day_of(noon) "
            "from (select unnest(?::date[]) as day, unnest(?::timestamp[]) as noon) order by day",
            [days, [noon.replace(tzinfo=None) for noon in noons]],
        ).fetchall()
    ends = [end_of_day(day, timezone=timezone) for day in days]
    assert found == list(zip(ends, ends, strict=True))
