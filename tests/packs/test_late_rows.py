"""Rows that arrive in any order end in the same events, and every change on the way is announced.

The timeline takes up again whatever is newly loaded. So whenever a new row changes what another row's event
says, that event has to be newly loaded too, and no event once staged may vanish.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.packs.conftest import Landed

START = datetime(2026, 1, 1)
# One order; `make torture` tries another.
SEEDS = [1, pytest.param(2, marks=pytest.mark.torture)]
Event = tuple[object, ...]


@pytest.fixture
def copied_warehouse(samples: Landed, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy to write to; the ticket's last version has another requester."""
    shutil.copy(samples.settings.warehouse_path, tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("""
            update raw.zendesk__tickets set requester_id = 'support_id:zendesk:other' where status = 'closed'
        """)
        yield connection


def staged(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, tuple[Event, datetime]]:
    """Each event as the timeline takes it: the copy available first, and when any copy was loaded."""
    rows = connection.execute(f"""
        select
            source_table || '|' || event_key,
            columns(* exclude (source_table, event_key, _loaded_at, _file_id, _row_number, _row_key)),
            max(_loaded_at) over (partition by source_table, event_key)
        from staging.stg_{source}__events
        qualify row_number() over (partition by source_table, event_key order by available_at, _row_key) = 1
    """).fetchall()
    return {row[0]: (row[1:-1], row[-1]) for row in rows}


def arrivals(connection: duckdb.DuckDBPyConnection, source: str, *, seed: int) -> Iterator[datetime]:
    """Take a source's raw rows away and let them come again in a random order; yield when each came."""
    tables = [
        name
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where starts_with(table_name, ?)", [f"{source}__"]
        ).fetchall()
    ]
    waiting = []
    for table in tables:
        connection.execute(f"create temp table waiting_{table} as from raw.{table}")
        connection.execute(f"delete from raw.{table}")
        waiting += [
            (table, *row) for row in connection.execute(f"select _file_id, _row_number from waiting_{table}").fetchall()
        ]
    random.Random(seed).shuffle(waiting)
    for step, (table, file_id, row_number) in enumerate(waiting, start=1):
        now = START + timedelta(minutes=step)
        connection.execute(
            f"""
            insert into raw.{table}
            select * replace (? as _loaded_at) from waiting_{table} where _file_id = ? and _row_number = ?
            """,
            [now, file_id, row_number],
        )
        yield now


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "source",
    ["calls", "chat", "complete_journey", "ga4", "hubspot", "ravenstack", "sendgrid", "stripe", "zendesk"],
)
def test_rows_in_any_order_end_in_the_same_events(
    copied_warehouse: duckdb.DuckDBPyConnection, source: str, seed: int
) -> None:
    connection = copied_warehouse
    everything = {key: event for key, (event, _) in staged(connection, source).items()}
    before: dict[str, tuple[Event, datetime]] = {}
    for now in arrivals(connection, source, seed=seed):
        after = staged(connection, source)
        assert before.keys() <= after.keys()
        changed = {key for key, (event, _) in after.items() if key not in before or before[key][0] != event}
        assert all(after[key][1] == now for key in changed), changed
        before = after
    assert {key: event for key, (event, _) in before.items()} == everything


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", ["ga4", "hubspot", "segment", "sendgrid"])
def test_rows_in_any_order_end_in_the_same_consents(
    copied_warehouse: duckdb.DuckDBPyConnection, source: str, seed: int
) -> None:
    """All answers of an identifier are read again as soon as one of them is newly loaded."""
    connection = copied_warehouse

    def answers() -> dict[str, tuple[list[object], datetime]]:
        rows = connection.execute(f"""
            select identifier, list_sort(list((purpose, is_granted, said_at))), max(_loaded_at)
            from staging.stg_{source}__consents group by identifier
        """).fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    everything = {identifier: said for identifier, (said, _) in answers().items()}
    before: dict[str, tuple[list[object], datetime]] = {}
    for now in arrivals(connection, source, seed=seed):
        after = answers()
        assert before.keys() <= after.keys()
        changed = {key for key, (said, _) in after.items() if key not in before or before[key][0] != said}
        assert all(after[key][1] == now for key in changed), changed
        before = after
    assert {identifier: said for identifier, (said, _) in before.items()} == everything


def test_wrong_dates_make_no_event_of_the_future(copied_warehouse: duckdb.DuckDBPyConnection) -> None:
    connection = copied_warehouse
    connection.execute("update raw.hubspot__contacts set created_at = '2099-01-01'")
    connection.execute("update raw.hubspot__deals set created_at = '2099-01-01'")
    connection.execute(
        "update raw.chat__conversations set handed_over_at = '2099-01-01', agent_wrote_at = '2099-01-01'"
    )
    for source in ("chat", "hubspot"):
        late = f"select event_key from staging.stg_{source}__events where occurred_at > available_at"
        assert connection.execute(late).fetchall() == []


@pytest.mark.parametrize(
    ("source", "table", "column", "reason"),
    [
        ("calls", "calls", "ended_at", "it ends after the day of this run"),
        ("chat", "conversations", "ended_at", "it ends after the day of this run"),
        ("nps", "responses", "responded_at", "it was answered after the day of this run"),
    ],
)
def test_what_ends_in_the_future_waits_and_is_counted(
    copied_warehouse: duckdb.DuckDBPyConnection, source: str, table: str, column: str, reason: str
) -> None:
    """The runs of these tests are of the last day of 2999."""
    connection = copied_warehouse
    before = len(staged(connection, source))
    connection.execute(f"""
        update raw.{source}__{table} set {column} = '3000-01-02'
        where _row_key = (select min(_row_key) from raw.{source}__{table} where {column} is not null)
    """)
    counted = f"select row_count from staging.stg_{source}__left_out where reason = ?"
    assert connection.execute(counted, [reason]).fetchall() == [(1,)]
    assert len(staged(connection, source)) <= before
