"""The second target against a real PostgreSQL: what readers see, what they keep, and what may go wrong."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import dagster as dg
import psycopg
import pytest

from dagster_project import cli, erasure
from dagster_project.landing import ledger
from dagster_project.publishing import postgres
from dagster_project.publishing.alerts import latest_alerts
from dagster_project.publishing.postgres import PostgresReport, bring_up_to_date, standing
from dagster_project.publishing.postgres_connection import PostgresError, read_url
from dagster_project.publishing.versions import current_version
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse
from tests.children import run_in_child
from tests.publishing.conftest import AS_OF, CATALOGUE
from tests.publishing.postgres_server import Database

COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    where c.relnamespace = 'throughline'::regnamespace and c.relkind = 'v'
    order by 1, a.attnum
"""
SCHEMAS = "select nspname from pg_namespace where nspname like 'throughline\\_%' order by 1"


@pytest.fixture
def bring(fill, publish_now) -> Callable[..., PostgresReport]:
    """Publish a state of the warehouse to both targets."""

    def publish_to_both(settings: Settings, *, stamp: int, **more: object) -> PostgresReport:
        fill(settings, stamp=stamp, **more)
        publish_now(settings)
        return bring_up_to_date(settings, run_id=f"run {stamp}")

    return publish_to_both


def stamps(database: Database) -> tuple[object, ...]:
    """The stamp in each table and the version they say they are."""
    return database.ask("""
        select
            (select max(stamp) from throughline.attempts), (select min(stamp) from throughline.customers),
            (select version_id from throughline.current_version)
    """)[0]


def one_sentence(text: str, database: Database) -> str:
    """A person can read it, and it holds no part of the password."""
    assert "\n" not in text and text.endswith("."), text
    assert not any(part in text for part in (database.password, "s3cr", "%2F")), text
    return text


# --- what readers see ---------------------------------------------------------------------------


def test_the_version_is_shown_with_its_words_and_types(both: Settings, database: Database, bring):
    report = bring(both, stamp=1)
    version = current_version(both)
    assert report.is_current and report.is_new and report.rows == 200 + 50 + 31
    assert report.version_id == version.version_id in report.summary
    assert stamps(database) == (1, 1, version.version_id)
    columns = database.ask(COLUMNS)
    assert [row[:3] for row in columns if row[0] != "current_version"] == [
        ("attempts", "attempt_id", "text"),
        ("attempts", "journey", "text"),
        ("attempts", "value_amount", "numeric(18,2)"),
        ("attempts", "stamp", "integer"),
        ("attempts", "version_id", "text"),
        ("customers", "person_id", "text"),
        ("customers", "stamp", "integer"),
        ("customers", "version_id", "text"),
        ("settled", "day", "date"),
        ("settled", "version_id", "text"),
    ]
    words = {(table, column): comment for table, column, _, comment in columns}
    assert words["attempts", "value_amount"] == "What it's worth, in EUR."
    assert all(words.values())
    described = dict(
        database.ask(
            "select relname, obj_description(oid) from pg_class where relnamespace = 'throughline'::regnamespace"
        )
    )
    assert described.pop("current_version")
    assert described == {name: entry["description"] for name, entry in CATALOGUE.items()}
    # 200 rows of 0..6 in turn: 28 whole turns of 21, then 0 + 1 + 2 + 3.
    assert database.ask("select count(*), sum(value_amount) from throughline.attempts") == [(200, Decimal("594.00"))]
    shown = database.ask(
        "select version_id, as_of, published_at > now() - interval '1 min' from throughline.current_version"
    )
    assert shown == [(version.version_id, AS_OF, True)]


def test_every_type_arrives_as_itself(both: Settings, database: Database, publish_now):
    with open_warehouse(both) as connection:
        connection.execute("""
            create table published.kinds as
            select
                1 as id, true as flag, 1.5::double as share, 2::hugeint as huge, 18446744073709551615::ubigint as wide,
                date '2026-01-31' as day, timestamp '2026-01-31 23:59:59.999999' as at,
                timestamptz '2026-01-31 12:00:00+02' as at_zone, 'a' || chr(0) || 'é' as words,
                'x'::enum('x', 'y') as chosen, ['p', null, 'q'] as several, [1, 2]::integer[2] as pair,
                {'a': 1, 'b': 'two'} as record, 12.30::decimal(9, 2) as amount, 'ab'::blob as bytes
            union all
            select 2, null, null, null, null, null, null, null, null, null, null, null, null, null, null
        """)
        connection.execute("create table published.empty as select 1 as id where false")
    publish_now(both)
    assert bring_up_to_date(both, run_id="run").problem is None
    types = {column: kind for table, column, kind, _ in database.ask(COLUMNS) if table == "kinds"}
    assert types == {
        "id": "integer",
        "flag": "boolean",
        "share": "double precision",
        "huge": "bigint",
        "wide": "numeric(20,0)",
        "day": "date",
        "at": "timestamp without time zone",
        "at_zone": "timestamp with time zone",
        "words": "text",
        "chosen": "text",
        "several": "text[]",
        "pair": "integer[]",
        "record": "json",
        "amount": "numeric(9,2)",
        "bytes": "bytea",
        "version_id": "text",
    }
    first, second = database.ask("select * from throughline.kinds order by id")
    assert first[1:-1] == (
        True,
        1.5,
        2,
        Decimal(18446744073709551615),
        date(2026, 1, 31),
        datetime(2026, 1, 31, 23, 59, 59, 999999),
        datetime(2026, 1, 31, 10, tzinfo=UTC),
        "a\ufffdé",
        "x",
        ["p", None, "q"],
        [1, 2],
        {"a": 1, "b": "two"},
        Decimal("12.30"),
        b"ab",
    )
    assert set(second[1:-1]) == {None}
    assert database.ask("select count(*) from throughline.empty") == [(0,)]


def test_a_second_version_takes_the_place_of_the_first(both: Settings, database: Database, bring):
    first = bring(both, stamp=1)
    second = bring(both, stamp=2)
    assert stamps(database) == (2, 2, second.version_id)
    assert first.version_id != second.version_id == current_version(both).version_id
    # Kept as on disk, for a quick way back.
    assert len(database.ask(SCHEMAS)) == 2


def test_the_grain_has_no_nulls(both: Settings, database: Database, bring):
    bring(both, stamp=1)
    required = database.ask("""
        select relname, attname
        from pg_attribute join pg_class on pg_class.oid = attrelid
        where attnotnull and attnum > 0 and relkind = 'r' and relnamespace::regnamespace::text like 'throughline\\_%'
    """)
    assert {name for name in required if name[1] != "version_id"} == {
        ("attempts", "attempt_id"),
        ("customers", "person_id"),
        ("settled", "day"),
    }
    assert len(required) == 6


def test_nothing_new_does_nothing(both: Settings, database: Database, bring, monkeypatch):
    bring(both, stamp=1)
    state = "select oid, xmin, relname from pg_class where relnamespace = 'throughline'::regnamespace order by 1"
    before = database.ask(state), database.ask("select pg_current_xact_id()")
    monkeypatch.delattr(postgres, "open_database")
    report = bring(both, stamp=1)
    assert report.is_current and not report.is_new and report.rows == 0
    assert "already" in report.summary and report.version_id in report.summary
    # Not one transaction that writes, besides the question itself.
    assert (database.ask(state), database.ask("select pg_current_xact_id()::text::int - 1")[0][0]) == (
        before[0],
        int(before[1][0][0]),
    )


def test_a_view_that_somebody_dropped_comes_back(both: Settings, database: Database, bring):
    bring(both, stamp=1)
    database.ask("drop view throughline.customers")
    assert bring(both, stamp=1).is_current
    assert stamps(database)[:2] == (1, 1)


def test_tables_come_and_go(both: Settings, database: Database, bring, publish_now):
    bring(both, stamp=1)
    with open_warehouse(both) as connection:
        connection.execute("drop table published.settled")
        connection.execute("create table published.added as select 1 as one")
    assert bring(both, stamp=2).is_current is True
    views = {
        name
        for (name,) in database.ask(
            "select table_name from information_schema.views where table_schema = 'throughline'"
        )
    }
    assert views == {"added", "attempts", "current_version", "customers", "settled"}
    with open_warehouse(both) as connection:
        connection.execute("drop table published.settled")
    publish_now(both)
    assert bring_up_to_date(both, run_id="run").is_current
    assert database.ask("select to_regclass('throughline.settled')") == [(None,)]


# --- who may read -------------------------------------------------------------------------------


def test_readers_read_the_views_and_nothing_else(both: Settings, database: Database, bring):
    bring(both, stamp=1)
    url = database.make_reader("analyst")
    version_schema = database.ask(SCHEMAS)[0][0]
    with psycopg.connect(url, autocommit=True) as reader:
        assert reader.execute("select count(*) from throughline.attempts").fetchall() == [(200,)]
        for refused in (
            "insert into throughline.customers values ('p', 1, 'v')",
            "delete from throughline.customers",
            "drop view throughline.customers",
            "create table throughline.mine (x int)",
            f"select * from {version_schema}.customers",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(refused)
        bring(both, stamp=2)
        assert reader.execute("select max(stamp) from throughline.attempts").fetchall() == [(2,)]


def test_grants_survive_new_versions_and_changed_columns(both: Settings, database: Database, bring, publish_now):
    bring(both, stamp=1)
    database.ask(f"create role {database.name}_auditor")
    database.ask(f"grant select on throughline.attempts to {database.name}_auditor with grant option")
    database.ask(f"grant select (person_id) on throughline.customers to {database.name}_auditor")
    database.ask("revoke select on throughline.customers from throughline_reader")
    rights = f"""
        select
            has_table_privilege('{database.name}_auditor', 'throughline.attempts', 'select with grant option'),
            has_column_privilege('{database.name}_auditor', 'throughline.customers', 'person_id', 'select'),
            has_column_privilege('{database.name}_auditor', 'throughline.customers', 'stamp', 'select'),
            has_table_privilege('throughline_reader', 'throughline.customers', 'select'),
            has_table_privilege('throughline_reader', 'throughline.attempts', 'select'),
            has_table_privilege('throughline_reader', 'throughline.settled', 'select')
    """
    wanted = [(True, True, False, False, True, True)]
    assert database.ask(rights) == wanted
    bring(both, stamp=2)
    assert database.ask(rights) == wanted
    # Another type: the views cannot be replaced and are made anew.
    with open_warehouse(both) as connection:
        for table in ("attempts", "customers", "settled"):
            column = "day::timestamp as day" if table == "settled" else "3::bigint as stamp"
            connection.execute(
                f"create or replace table published.{table} as select * replace ({column}) from published.{table}"
            )
    publish_now(both)
    assert bring_up_to_date(both, run_id="run").is_current
    assert stamps(database)[:2] == (3, 3)
    assert database.ask(rights) == wanted


def test_without_the_right_to_make_roles_an_administrator_is_told(both: Settings, database: Database, bring):
    database.ask(f"alter role {database.user} nocreaterole")
    report = bring(both, stamp=1)
    assert report.is_current
    assert "`CREATE ROLE throughline_reader NOLOGIN`" in one_sentence(report.summary, database)
    assert report.notice in standing(both).summary
    database.ask("create role throughline_reader nologin")
    report = bring(both, stamp=1)
    assert report.is_current and not report.is_new and report.notice is None
    with psycopg.connect(database.make_reader("analyst")) as reader:
        assert reader.execute("select count(*) from throughline.customers").fetchall() == [(50,)]


# --- what stands on the views -------------------------------------------------------------------


def test_a_view_of_ones_own_stays_while_columns_are_added(both: Settings, database: Database, bring, publish_now):
    bring(both, stamp=1)
    database.ask("create view public.mine as select * from throughline.customers")
    with open_warehouse(both) as connection:
        connection.execute(
            "create or replace table published.customers as select 'new' as first, * from published.customers"
        )
    publish_now(both)
    assert bring_up_to_date(both, run_id="run").is_current
    assert database.ask("select distinct stamp from public.mine") == [(1,)]
    names = [column for table, column, _, _ in database.ask(COLUMNS) if table == "customers"]
    assert names == ["person_id", "stamp", "version_id", "first"]


def test_a_view_of_ones_own_is_named_and_never_dropped(both: Settings, database: Database, bring, publish_now):
    first = bring(both, stamp=1)
    database.ask("create view public.mine as select * from throughline.customers")
    with open_warehouse(both) as connection:
        connection.execute("create or replace table published.customers as select person_id from published.customers")
    publish_now(both)
    report = bring_up_to_date(both, run_id="run")
    assert "mine is built on it" in one_sentence(report.summary, database)
    assert report.version_id == first.version_id in report.summary
    assert not report.is_current and report.wanted_id == current_version(both).version_id
    assert stamps(database) == (1, 1, first.version_id)
    database.ask("drop view public.mine")
    assert bring_up_to_date(both, run_id="run").is_current


def test_what_others_keep_in_the_schema_is_left_alone(both: Settings, database: Database, bring):
    bring(both, stamp=1)
    database.ask("create view throughline.mine as select * from throughline.customers")
    database.ask("create schema throughline_sandbox")
    database.ask("create table throughline.added (x int)")
    assert bring(both, stamp=2).is_current
    assert database.ask("select distinct stamp from throughline.mine") == [(2,)]
    with open_warehouse(both) as connection:
        connection.execute("create table published.added as select 1 as one")
    report = bring(both, stamp=3)
    assert '42P07: relation "added" already exists' in one_sentence(report.summary, database)
    assert stamps(database)[:2] == (2, 2)
    assert ("throughline_sandbox",) in database.ask(SCHEMAS)


# --- readers at work ----------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_a_reader_in_a_transaction_keeps_its_version(both, database, bring, monkeypatch, isolation):
    first = bring(both, stamp=1)
    monkeypatch.setattr(postgres, "SWAP_SECONDS", 0.5)
    with psycopg.connect(database.admin_url) as reader:
        reader.execute(f"set transaction isolation level {isolation}")
        assert reader.execute("select distinct stamp from throughline.customers").fetchall() == [(1,)]
        report = bring(both, stamp=2)
        assert f"session {reader.info.backend_pid} of postgres" in one_sentence(report.summary, database)
        assert report.version_id == first.version_id and not report.is_current
        # Also a table that it had not read before.
        assert reader.execute("select distinct stamp from throughline.attempts").fetchall() == [(1,)]
    schemas = database.ask(SCHEMAS)
    report = bring(both, stamp=2)
    assert report.is_current and report.is_new and report.rows == 0, "loaded by the attempt before"
    assert database.ask(SCHEMAS) == schemas
    assert stamps(database)[:2] == (2, 2)


def test_a_reader_that_the_swap_waits_for_is_not_ended(both, database, bring, monkeypatch):
    """Reader: customers, then attempts. Swap: attempts, then customers. PostgreSQL would end one of them after 1 s."""
    bring(both, stamp=1)
    monkeypatch.setattr(postgres, "SWAP_SECONDS", 20)
    reports = []
    swap = threading.Thread(target=lambda: reports.append(bring(both, stamp=2)))
    with psycopg.connect(database.admin_url) as reader:
        reader.execute("select from throughline.customers")
        swap.start()
        waiting = (
            "select count(*) from pg_stat_activity where application_name = 'throughline' and wait_event_type = 'Lock'"
        )
        end = time.monotonic() + 20
        while not database.ask(waiting)[0][0]:
            assert time.monotonic() < end
        started = time.monotonic()
        assert reader.execute("select distinct stamp from throughline.attempts").fetchall() == [(1,)]
        assert time.monotonic() - started < 1
    swap.join()
    assert reports[0].is_current
    assert stamps(database)[:2] == (2, 2)


def test_a_snapshot_from_before_the_load_gets_an_error_and_no_empty_table(both, database, bring):
    bring(both, stamp=1)
    with psycopg.connect(database.admin_url) as reader:
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("select 1")
        assert bring(both, stamp=2).is_current
        with pytest.raises(psycopg.errors.InvalidTextRepresentation, match=r"began before version .* begin a new one"):
            reader.execute("select * from throughline.customers")
        reader.rollback()
        assert reader.execute("select distinct stamp from throughline.customers").fetchall() == [(2,)]


# --- what goes wrong ----------------------------------------------------------------------------


def _no_right(database: Database) -> str:
    database.ask(f"revoke create on database {database.name} from {database.user}")
    return database.url


def _no_connection_left(database: Database) -> str:
    database.ask(f"alter role {database.user} connection limit 0")
    return database.url


def _no_right_to_connect(database: Database) -> str:
    database.ask(f"revoke connect on database {database.name} from public")
    return database.url


BROKEN = {
    "a wrong scheme": ("url", lambda d: d.url.replace("postgresql://", "postgresql//")),
    "an unescaped password": ("url", lambda d: d.url.replace("%2F", "/").replace("%40", "@")),
    "nobody there": ("unreachable", lambda d: d.url.replace(f":{d.port}", ":1")),
    "no such host": ("host", lambda d: d.url.replace("127.0.0.1", "no.such.host.invalid")),
    "a wrong password": ("password", lambda d: d.url.replace("s3cr", "s4cr")),
    "no such user": ("password", lambda d: d.url.replace(d.user, "nobody_of_this_name")),
    "no such database": ("database", lambda d: d.url.removesuffix(d.name) + "elsewhere"),
    "no right to create": ("right", _no_right),
    "no connection left": ("full", _no_connection_left),
    "no right to connect": ("refused", _no_right_to_connect),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_target_that_cannot_be_written_is_behind_and_catches_up(both, database, bring, case, monkeypatch, capsys):
    first = bring(both, stamp=1)
    kind, broken = BROKEN[case]
    url = broken(database)
    away = replace(both, postgres_url=url)
    reports = [bring(away, stamp=2), bring(away, stamp=2)]
    version = current_version(both)
    for report in reports:
        sentence = one_sentence(report.summary, database)
        assert (report.kind, report.is_current) == (kind, False)
        assert version.version_id in sentence, "the local version is published, and named"
        assert "s4cr" not in sentence
    if url == database.url:
        assert reports[0].version_id == first.version_id in reports[0].summary
    alerts = [alert for alert in latest_alerts(both) if alert.kind == "postgres_behind"]
    assert [alert.message for alert in alerts] == [reports[0].summary], "once, not every night"
    monkeypatch.setenv("THROUGHLINE_DATA", str(both.data))
    monkeypatch.setenv("THROUGHLINE_POSTGRES_URL", url)
    assert cli.main(["status"]) == 0
    printed = capsys.readouterr().out
    assert f"Second target: {reports[0].summary}" in printed
    everything = "".join(path.read_text() for path in [*both.data.glob("*.json"), *both.data.glob("alerts/*")])
    assert not any(part in everything + printed for part in ("s3cr", "s4cr"))
    # The next night with nothing new, once it is mended.
    database.ask(f"grant connect, create on database {database.name} to {database.user}")
    database.ask(f"alter role {database.user} connection limit -1")
    report = bring(both, stamp=2)
    assert report.is_current and report.is_new
    assert stamps(database) == (2, 2, version.version_id)
    assert not bring(both, stamp=2).is_new


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@h:5433/d", "h:5433/d"),
        ("postgres://u@h/d?sslmode=require", "h/d"),
        ("postgresql://u@[::1]:5432/d", "[::1]:5432/d"),
        ("postgresql://u@a:1,b:2/d", "a:1,b:2/d"),
        ("postgresql:///d", "localhost/d"),
    ],
)
def test_a_url_is_told_without_its_password(url: str, place: str) -> None:
    target = read_url(url)
    assert target.place == place
    assert target.url.startswith(url) and "connect_timeout=10" in target.url
    assert "p@" not in repr(target)
    assert "postgres_url" not in repr(load_settings({"THROUGHLINE_POSTGRES_URL": url}))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "http://u:secret@h/d",
        "postgresql//u:secret@h/d",
        "postgresql://u:sec@ret@h/d",
        "postgresql://u:sec/ret@h/d",
        "postgresql://u:sec?ret@h/d",
        "postgresql://u:1?secret@h/d",
        "postgresql://u:sec#ret@h/d",
        "postgresql://u:sec%ret@h/d",
        "postgresql://u@h:secret/d",
        "postgresql://u@h/d?secret",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(PostgresError) as caught:
        read_url(url)
    assert not any(part in str(caught.value) for part in ("secret", "sec", "ret@"))


def test_a_connection_that_breaks_half_way_leaves_nothing(both, database, bring, arm, monkeypatch):
    first = bring(both, stamp=1)
    monkeypatch.setattr(postgres, "BATCH_ROWS", 2048)
    monkeypatch.setenv("THROUGHLINE_FAILPOINT_SECONDS", "1")
    arm("postgres.batch:3:sleep")
    ended = []

    def end_the_copy() -> None:
        """The publisher's session, once it is in the middle of its COPY."""
        end = time.monotonic() + 20
        while not ended and time.monotonic() < end:
            ended.extend(
                database.ask("""
                    select pg_terminate_backend(pid) from pg_stat_activity
                    where application_name = 'throughline' and state = 'active' and query ilike 'copy%'
                """)
            )

    killer = threading.Thread(target=end_the_copy)
    killer.start()
    report = bring(both, stamp=2, rows=100_000)
    killer.join()
    assert ended == [(True,)]
    assert report.kind == "dropped" and report.version_id == first.version_id
    assert "the connection broke" in one_sentence(report.summary, database)
    assert stamps(database) == (1, 1, first.version_id)
    assert len(database.ask(SCHEMAS)) == 1
    assert bring(both, stamp=2, rows=100_000).is_current
    assert database.ask("select count(*) from throughline.attempts") == [(100_000,)]


def bring_in_child() -> None:
    bring_up_to_date(load_settings(), run_id="killed")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("postgres.batch:2", 1),
        ("postgres.view_laid:2", 1),
        ("postgres.swapped:1", 2),
    ],
)
def test_a_killed_publisher_leaves_one_whole_version(both, database, bring, fill, publish_now, place, shown):
    bring(both, stamp=1)
    fill(both, stamp=2)
    publish_now(both)
    killed = run_in_child(
        bring_in_child,
        env={
            "THROUGHLINE_DATA": str(both.data),
            "THROUGHLINE_POSTGRES_URL": database.url,
            "THROUGHLINE_FAILPOINT": f"{place}:kill",
        },
    )
    assert killed.returncode == -9, killed.stderr
    assert stamps(database)[:2] == (shown, shown)
    report = bring_up_to_date(both, run_id="next")
    assert report.is_current and report.is_new == (shown == 1)
    assert report.rows == (281 if "batch" in place else 0), "what is loaded whole is not loaded again"
    assert stamps(database)[:2] == (2, 2)


def test_a_published_file_that_cannot_be_read_is_an_error_of_this_machine(both, database, bring, arm):
    bring(both, stamp=1)
    arm("postgres.batch:2:raise")
    with pytest.raises(OSError, match="No space left"):
        bring(both, stamp=2)
    assert stamps(database)[:2] == (1, 1)
    assert bring(both, stamp=2).is_current


def test_rows_that_went_missing_are_loaded_again(both, database, bring, arm):
    bring(both, stamp=1)
    second = bring(both, stamp=2)
    bring(both, stamp=1)
    schema = f"throughline_{second.version_id.replace('-', '_')}"
    database.ask(f"delete from {schema}.attempts where attempt_id = 'a7'")
    assert bring(both, stamp=2).rows == 281
    assert database.ask("select count(*) from throughline.attempts") == [(200,)]


def test_an_older_server_is_refused(both, database, bring, monkeypatch):
    monkeypatch.setattr(postgres, "LEAST_SERVER", 99)
    report = bring(both, stamp=1)
    assert "older than the 99" in one_sentence(report.summary, database)
    assert database.ask("select to_regnamespace('throughline')") == [(None,)]


# --- older versions -----------------------------------------------------------------------------


def test_old_versions_go_when_they_go_on_disk_and_nobody_reads_them(both, database, bring, monkeypatch):
    reports = [bring(both, stamp=stamp) for stamp in (1, 2, 3)]
    for report in reports[:2]:
        shutil.rmtree(both.published / "versions" / report.version_id)
    schemas = [schema for (schema,) in database.ask(SCHEMAS)]
    by_version = {r.version_id: next(s for s in schemas if s.endswith(r.version_id[-12:])) for r in reports}
    in_use = by_version[reports[0].version_id]
    with psycopg.connect(database.admin_url) as reader:
        reader.execute(f"select * from {in_use}.customers")
        report = bring(both, stamp=3)
        assert report.is_current and report.put_off == (in_use,)
        assert report.pruned == (by_version[reports[1].version_id],)
    assert bring(both, stamp=3).pruned == (in_use,)
    assert database.ask(SCHEMAS) == [(by_version[reports[2].version_id],)]
    assert stamps(database)[:2] == (3, 3)


def test_an_erasure_waits_for_who_still_reads_an_older_version(both, database, bring):
    """The older version tells of somebody who is gone; it goes at once, but no query is cut off."""
    bring(both, stamp=1)
    [(before,)] = database.ask(SCHEMAS)
    bring(both, stamp=2)
    with open_warehouse(both, with_vault=True) as connection:
        ledger.create_tables(connection)
        connection.execute("insert into ops.erasures values ('e', now()::timestamp, ?, 1)", [ledger.REBUILT])
    with psycopg.connect(database.admin_url) as reader:
        reader.execute(f"select * from {before}.customers")
        found = erasure.finish(both, run_id="run")
        assert not found.is_complete
        assert f"still holds {before}, which somebody uses" in one_sentence(found.sentence, database)
    found = erasure.finish(both, run_id="run")
    assert found.is_complete, found.sentence
    [(left,)] = database.ask(SCHEMAS)
    assert left != before and stamps(database)[:2] == (2, 2)


def test_rollback_takes_the_target_along(both, database, bring, monkeypatch, capsys):
    first, second = bring(both, stamp=1), bring(both, stamp=2)
    monkeypatch.setenv("THROUGHLINE_DATA", str(both.data))
    monkeypatch.setenv("THROUGHLINE_POSTGRES_URL", both.postgres_url)
    assert cli.main(["rollback"]) == 0
    assert f"shows version {first.version_id} now (0 rows sent)" in capsys.readouterr().out
    assert stamps(database) == (1, 1, first.version_id)
    monkeypatch.setenv("THROUGHLINE_POSTGRES_URL", both.postgres_url.replace("s3cr", "s4cr"))
    assert cli.main(["rollback", "--to", second.version_id]) == 1
    told = capsys.readouterr()
    assert f"Version {second.version_id} is current" in told.out
    assert f"shows {first.version_id}" in told.err and "correct the password" in told.err
    assert bring_up_to_date(both, run_id="run").version_id == second.version_id


# --- in a run -----------------------------------------------------------------------------------


@pytest.fixture
def run_end_of_night(both: Settings, monkeypatch: pytest.MonkeyPatch):
    """Run what ends a night: the audit, the switch and the second target."""
    from dagster_project.defs.checks import POSTGRES_IS_CURRENT, audit_asset
    from dagster_project.defs.night import Warehouse
    from dagster_project.defs.publishing import current_asset, second_target
    from dagster_project.gates import not_happened
    from dagster_project.instance import open_instance
    from dagster_project.transform import MANIFEST

    audit = audit_asset([])
    night = [audit, current_asset([audit], manifest=MANIFEST), second_target]

    def run(url: str) -> tuple[dg.AssetCheckEvaluation, dict[str, object]]:
        monkeypatch.setenv("THROUGHLINE_DATA", str(both.data))
        monkeypatch.setenv("THROUGHLINE_POSTGRES_URL", url)
        with open_instance(both) as instance:
            result = dg.materialize(night, resources={"warehouse": Warehouse()}, instance=instance)
            assert not_happened(instance, run_id=result.run_id) == ([], [])
        assert result.success
        (check,) = [
            check for check in result.get_asset_check_evaluations() if check.asset_check_key == POSTGRES_IS_CURRENT
        ]
        (event,) = result.asset_materializations_for_node("published__postgres")
        return check, {name: value.value for name, value in event.metadata.items()}

    return run


def test_the_night_succeeds_and_the_asset_warns(both, database, fill, run_end_of_night):
    fill(both, stamp=1)
    check, metadata = run_end_of_night("")
    first = current_version(both)
    assert first and check.passed and metadata == {"outcome": "There is no second target."}
    fill(both, stamp=2)
    check, metadata = run_end_of_night(both.postgres_url.replace(f":{database.port}", ":1"))
    second = current_version(both)
    assert second.version_id != first.version_id
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == metadata["outcome"] and "nobody answers at 127.0.0.1:1" in check.description
    check, metadata = run_end_of_night(both.postgres_url)
    assert check.passed and metadata["version"] == second.version_id == current_version(both).version_id
    assert "s3cr" not in json.dumps(metadata)
    assert stamps(database) == (2, 2, second.version_id)
    assert standing(both).is_current


def test_a_world_of_an_earlier_day_has_no_second_target(both, database, bring):
    from dagster_project.night import complete_night, current_night, world_of

    bring(both, stamp=1)
    asked = replace(both, as_of=AS_OF)
    complete_night(asked, night=current_night(asked, run_id="one"))
    assert world_of(asked).postgres_url == database.url
    assert world_of(replace(asked, as_of=datetime(2026, 1, 1))).postgres_url is None
