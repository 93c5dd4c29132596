"""Two sources deliver for a week, well and badly; every number of the quality table is worked out by hand.

The project's zone is India's (UTC+5:30): a day ends at 18:30 UTC. The run looks at it as of the end of Monday, 9 March.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import jinja2
import pytest

from dagster_project.settings import DBT_DIR
from tests.conftest import throughline

TIMEZONE, AS_OF = "Asia/Kolkata", "2026-03-09"


def call(number: int, happened: str, received: str, **fields: object) -> str:
    at, known = f"2026-03-{happened}Z", f"2026-03-{received}Z"
    record = {
        "messageId": f"m{number}",
        "type": "track",
        "event": "Signed Up",
        "anonymousId": f"d{number}",
        "originalTimestamp": at,
        "sentAt": known,
        "receivedAt": known,
    }
    return json.dumps(record | fields)


def ticket(number: int, opened: str, **fields: object) -> str:
    at = f"2026-03-{opened}Z"
    record = {"id": number, "requester_id": number, "created_at": at, "updated_at": at, "status": "new"}
    return json.dumps(record | fields)


FIRST = call(1, "02T10:00:00", "02T10:30:00")
LAST = call(5, "06T10:00:00", "06T10:00:00")
FILES = {
    "segment/tracks/2026-03-02.jsonl": [
        FIRST,
        # 8.5 hours late, and a minute into the 3rd in India.
        call(2, "02T10:01:00", "02T18:31:00"),
        FIRST,
        call(3, "02T11:00:00", "02T11:00:00", receivedAt=None),
        call(4, "02T11:00:00", "02T11:00:00", properties={"revenue": "lots"}),
        '{"messageId": "m6"',
    ],
    # Exactly 72 hours late.
    "segment/tracks/2026-03-04.jsonl": [call(7, "01T09:00:00", "04T09:00:00")],
    "segment/tracks/2026-03-06.jsonl": [LAST],
    "segment/tracks/2026-03-06 again.jsonl": [LAST],
    # Known at the end of the 8th in UTC, which is the 9th in India.
    "zendesk/tickets/2026-03-08.jsonl": [ticket(1, "08T12:00:00")],
    # Too late for the run: the good row and the bad.
    "zendesk/tickets/2026-03-10.jsonl": [ticket(2, "10T12:00:00"), ticket(3, "10T12:00:00", status=None)],
}


def write(inbox: Path, *, until: str) -> None:
    """Put the files whose names carry a day up to `until` into an inbox."""
    for name, lines in FILES.items():
        if Path(name).name[:10] <= until:
            path = inbox / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line + "\n" for line in lines))
    if until >= "2026-03-05":
        path = inbox / "zendesk/tickets/2026-03-05.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(ticket(4, "05T12:00:00").encode())[:-9])


def run(folder: Path, *, until: str, as_of: str) -> Path:
    write(folder / "inbox", until=until)
    finished = throughline(
        "run",
        env={
            "THROUGHLINE_DATA": str(folder / "data"),
            "THROUGHLINE_INBOX": str(folder / "inbox"),
            "THROUGHLINE_TIMEZONE": TIMEZONE,
            "THROUGHLINE_AS_OF": as_of,
        },
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder / "data" / "warehouse.duckdb"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("quality"), until="2026-03-10", as_of=AS_OF)


@pytest.fixture(scope="module")
def quality(warehouse: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(warehouse), read_only=True)


def measured(quality: duckdb.DuckDBPyConnection, subject: str, measure: str, columns: str = "bucket, value") -> list:
    return quality.execute(
        f"select {columns} from published.data_quality where subject = ? and measure = ? order by bucket_order, bucket",
        [subject, measure],
    ).fetchall()


def test_rows_are_counted_by_the_day_and_week_they_were_known(quality: duckdb.DuckDBPyConnection) -> None:
    assert measured(quality, "segment/tracks", "rows", "value, from_date::varchar, to_date::varchar") == [
        (4, "2026-03-02", "2026-03-06")
    ]
    assert measured(quality, "segment/tracks", "rows_by_day") == [
        ("2026-03-02", 1),
        ("2026-03-03", 1),
        ("2026-03-04", 1),
        ("2026-03-06", 1),
    ]
    assert measured(quality, "segment/tracks", "rows_by_week") == [("2026-03-02", 4)]
    assert measured(quality, "zendesk/tickets", "rows_by_week") == [("2026-03-09", 1)]


def test_files_are_counted_by_what_became_of_them(quality: duckdb.DuckDBPyConnection) -> None:
    for subject, counts in (("segment/tracks", (3, 1, 0)), ("zendesk/tickets", (1, 0, 1))):
        found = [measured(quality, subject, name) for name in ("files", "repeated_files", "failed_files")]
        assert found == [[("all", count)] for count in counts]
    assert measured(quality, "zendesk/tickets", "failed_files_by_reason", "bucket, value, is_problem") == [
        ("the gzip file is cut short or damaged; copy it again in full", 1, True)
    ]


def test_delays_lie_in_their_buckets(quality: duckdb.DuckDBPyConnection) -> None:
    """Half an hour and none at all; 8.5 hours; 72 hours."""
    assert measured(quality, "segment/tracks", "events_by_delay", "bucket, value, share_rate") == [
        ("before it happened", 0, 0.0),
        ("within an hour", 2, 0.5),
        ("within a day", 1, 0.25),
        ("within two days", 0, 0.0),
        ("within a week", 1, 0.25),
        ("within 30 days", 0, 0.0),
        ("later than 30 days", 0, 0.0),
    ]


def test_table_is_overdue_after_twice_its_usual_gap(quality: duckdb.DuckDBPyConnection) -> None:
    """Gaps of 1, 1 and 2 days; from the 6th at 10:00 to the 9th at 18:30 are 80.5 hours, more than two days."""
    assert measured(quality, "segment/tracks", "usual_gap", "value, unit") == [(1, "days")]
    assert measured(quality, "segment/tracks", "hours_since_last", "value, is_problem, detail") == [
        (80.5, True, "overdue: last delivered on 2026-03-06, as a rule every 1.0 days")
    ]


def test_table_that_delivered_once_has_no_rhythm_yet(quality: duckdb.DuckDBPyConnection) -> None:
    """From the end of the 8th in UTC to 18:30 on the 9th."""
    assert measured(quality, "zendesk/tickets", "usual_gap") == [("all", None)]
    assert measured(quality, "zendesk/tickets", "hours_since_last", "value, is_problem, detail") == [
        (18.5, False, "delivered on one day only: nothing tells when the next is due")
    ]


def test_refused_rows_are_counted_by_reason_without_their_values(quality: duckdb.DuckDBPyConnection) -> None:
    """Of eight rows in the files three are quarantined, and one had come before."""
    assert measured(quality, "segment/tracks", "quarantined_rows", "value, share_rate, is_problem") == [
        (3, 0.375, True)
    ]
    assert measured(quality, "segment/tracks", "quarantined_rows_by_reason", "bucket, value, share_rate") == [
        ("received_at: 'receivedAt' is required but missing or blank", 1, 0.125),
        ("revenue: a value is not a number that fits", 1, 0.125),
        ("the row is not valid JSON", 1, 0.125),
    ]
    assert measured(quality, "segment/tracks", "duplicate_rows", "value, share_rate, is_problem") == [(1, 0.125, False)]
    assert quality.execute("select count(*) from published.data_quality where bucket like '%lots%'").fetchall() == [
        (0,)
    ]


def test_what_came_after_the_as_of_day_is_not_counted(quality: duckdb.DuckDBPyConnection) -> None:
    assert measured(quality, "zendesk/tickets", "files") == [("all", 1)]
    assert measured(quality, "zendesk/tickets", "rows") == [("all", 1)]
    assert measured(quality, "zendesk/tickets", "quarantined_rows", "value, is_problem") == [(0, False)]


def test_stage_that_no_source_sees_says_who_could(quality: duckdb.DuckDBPyConnection) -> None:
    assert measured(quality, "acquisition/Signed up", "sources_seeing", "value, is_problem, detail") == [
        (1, False, "seen by segment")
    ]
    assert measured(quality, "acquisition/Signed up", "events_by_source") == [("segment", 4)]
    assert measured(quality, "support_resolution/Asked", "events_by_source") == [("zendesk", 1)]
    [(value, is_problem, detail)] = measured(
        quality, "support_resolution/Answered", "sources_seeing", "value, is_problem, detail"
    )
    assert (value, is_problem) == (0, True)
    assert detail.startswith("no delivered event tells of it; these sources could: ") and "zendesk" in detail


def test_dropped_rows_are_those_of_the_ops_table(quality: duckdb.DuckDBPyConnection) -> None:
    assert (
        quality.execute(
            "select subject, bucket, value from published.data_quality where measure = 'dropped_rows' order by all"
        ).fetchall()
        == quality.execute(
            "select source || '/' || source_table, place || ': ' || reason, row_count from ops.dropped_rows "
            "order by all"
        ).fetchall()
    )


def test_each_number_stands_there_once(quality: duckdb.DuckDBPyConnection) -> None:
    grain = "subject_type, subject, measure, bucket"
    assert (
        quality.execute(f"select {grain} from published.data_quality group by all having count(*) > 1").fetchall() == []
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "a: 'O'Brien' is not a number; b: 'x; y' is not a date",
            "a: a value is not a number; b: a value is not a date",
        ),
        ("a: 'Call ID' is required but missing or blank", "a: 'Call ID' is required but missing or blank"),
        (
            "a: 'Call ID' is required but missing or blank; b: 'it' is not a date",
            "a: 'Call ID' is required but missing or blank; b: a value is not a date",
        ),
        ("zone: 'Europe/Atlantis' is no IANA time zone", "zone: a value is no IANA time zone"),
        ("at: 1999-12-31 00:00 is before the year 2000", "at: a time is before the year 2000"),
        ("the row has 3 fields where the header has 15", "the row has other fields than the header"),
        # Quoted as nobody foresaw: nothing of it is shown.
        ("a: 'it' s' is not a date", "a: a value does not fit"),
    ],
)
def test_reason_is_told_without_its_value(reason: str, expected: str) -> None:
    source = (DBT_DIR / "macros" / "engine" / "words.sql").read_text()
    macro = jinja2.Environment().from_string(source).module.reason_without_values  # type: ignore[attr-defined]
    with duckdb.connect() as connection:
        told = connection.execute(f"select {macro('reason')} from (select ?::varchar as reason)", [reason]).fetchall()
    assert told == [(expected,)]


def test_night_by_night_gives_the_same_numbers_as_all_at_once(warehouse: Path, tmp_path: Path) -> None:
    run(tmp_path, until="2026-03-04", as_of="2026-03-04")
    nightly = run(tmp_path, until=AS_OF, as_of=AS_OF)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as one (read_only)")
        connection.execute(f"attach '{nightly}' as other (read_only)")
        for here, there in (("one", "other"), ("other", "one")):
            assert (
                connection.execute(
                    f"from {here}.published.data_quality except all from {there}.published.data_quality"
                ).fetchall()
                == []
            )
