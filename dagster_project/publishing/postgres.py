"""The second target: PostgreSQL shows the version that ``published/current`` shows, switched in one transaction.

Each version is loaded into a schema of its own, ``throughline_<version>``, in one transaction. Readers only know
the views in schema ``throughline``. A swap locks all of these views, lays them over the new version's tables and
commits. Whoever has read one of the views in an open transaction holds a lock on it, so the swap waits for them:
neither a statement nor a transaction sees two versions. The local version never depends on any of this; a target
that cannot be brought up to date is behind, says so, and is tried again by the next run.
"""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from dagster_project.failpoints import failpoint
from dagster_project.publishing.alerts import write_alert
from dagster_project.publishing.durable import sync_folder, write_text
from dagster_project.publishing.postgres_connection import (
    PostgresError,
    literal,
    quoted,
    read_url,
    rows_of,
    session,
    speaking,
    transaction,
)
from dagster_project.publishing.versions import Version, current_version, utc_now, versions
from dagster_project.settings import Settings
from dagster_project.warehouse import open_database

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from adbc_driver_postgresql.dbapi import Connection, Cursor

SCHEMA = "throughline"
READERS = "throughline_reader"
NO_TARGET = "There is no second target."

# The oldest major version that its makers maintain in 2026.
LEAST_SERVER = 14
BATCH_ROWS = 50_000
# How long a reader that meets a swap may wait. Below PostgreSQL's deadlock_timeout (1 s, or what the server has),
# after which it would end one of the two, perhaps the reader.
LOCK_MILLISECONDS = 500
# How long a swap is tried again, with pauses in which the readers that waited go on.
SWAP_SECONDS = 30.0
PAUSE_SECONDS = 1.0
PRUNE_LOCK_MILLISECONDS = 200

_MARKER = "current_version"
_VERSION_SCHEMA = re.compile(rf"{SCHEMA}_\d{{4}}_\d\d_\d\d_[0-9a-f]{{12}}")
_LOCK_NOT_OBTAINED = {"55P03", "57014", "40P01"}

# DuckDB's types as PostgreSQL knows them; what is not here is written as the text of its JSON.
_TYPES = {
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "UTINYINT": "smallint",
    "SMALLINT": "smallint",
    "USMALLINT": "integer",
    "INTEGER": "integer",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BLOB": "bytea",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "INTERVAL": "interval",
}
# Read as another type of DuckDB first.
_READ_AS = {
    "UBIGINT": "DECIMAL(20,0)",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
}


@dataclass(frozen=True, kw_only=True)
class PostgresReport:
    """Where the second target stands.

    Attributes
    ----------
    place : str
        ``host:port/database``; "PostgreSQL" if the URL cannot be read.
    version_id : str or None
        The version it shows, as far as is known.
    since : str or None
        UTC, to the minute.
    wanted_id : str or None
        The version that ``published/current`` shows.
    kind : str or None
        What kind of problem there is.
    problem : str or None
        Why it is not known to be current, in words.
    is_new : bool
        Whether this attempt switched it.
    rows : int
        Rows sent by this attempt.
    pruned, put_off : tuple of str
        Old versions removed, and those still in use.
    notice : str or None
        What a database administrator should do, although the target is current.
    seconds : float
        How long it took.
    """

    place: str
    version_id: str | None = None
    since: str | None = None
    wanted_id: str | None = None
    kind: str | None = None
    problem: str | None = None
    is_new: bool = False
    rows: int = 0
    pruned: tuple[str, ...] = ()
    put_off: tuple[str, ...] = ()
    notice: str | None = None
    seconds: float = 0.0

    @property
    def is_current(self) -> bool:
        """Whether it is known to show what the files show."""
        return self.problem is None and self.version_id == self.wanted_id

    @property
    def summary(self) -> str:
        """The report in one sentence, or two if there is a notice."""
        notice = f" {self.notice}" if self.notice else ""
        if self.wanted_id is None:
            return f"PostgreSQL at {self.place} has nothing to show yet: nothing is published."
        if self.is_current and self.is_new:
            return f"PostgreSQL at {self.place} shows version {self.version_id} now ({self.rows:,} rows sent).{notice}"
        if self.is_current:
            return f"PostgreSQL at {self.place} shows version {self.version_id} already, since {self.since}.{notice}"
        if self.problem and self.version_id == self.wanted_id:
            return (
                f"PostgreSQL at {self.place} could not be looked at: {self.problem}; when last seen it showed "
                f"{self.version_id}, as the files do, and the next run tries again."
            )
        shows = f"it shows {self.version_id}, since {self.since}" if self.version_id else "it shows no version yet"
        why = f"{self.problem}; " if self.problem else ""
        return (
            f"PostgreSQL at {self.place} is behind: {why}{shows}, the files show {self.wanted_id}, "
            "and the next run tries again."
        )


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    sql_type: str
    read_as: str
    description: str
    is_required: bool


@dataclass(frozen=True, kw_only=True)
class _Table:
    name: str
    description: str
    columns: tuple[_Column, ...]
    rows: int

    @property
    def words(self) -> dict[str, str]:
        return {"": self.description} | {column.name: column.description for column in self.columns}


@dataclass(frozen=True, kw_only=True)
class _Relation:
    """A table or view as PostgreSQL describes it: columns with types in order, and its comments."""

    columns: dict[str, str]
    words: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What PostgreSQL shows before anything is done."""

    version_id: str | None
    since: str | None
    views: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class _Memory:
    """What the last attempt left: all that is known of the target while it cannot be reached."""

    place: str | None = None
    version_id: str | None = None
    since: str | None = None
    kind: str | None = None
    problem: str | None = None
    notice: str | None = None


# --- what others call ---------------------------------------------------------------------------


def bring_up_to_date(settings: Settings, *, run_id: str) -> PostgresReport:
    """Make PostgreSQL show the version that ``published/current`` shows.

    Whatever keeps PostgreSQL from it is in the report, in the data folder's memory of the target and, the
    first time, in an alert; it never is an error of the run.

    Parameters
    ----------
    settings : Settings
        With ``postgres_url`` set.
    run_id : str
        Kept in the alert.
    """
    started = time.perf_counter()
    with _one_at_a_time(settings):
        version = current_version(settings)
        before = _recall(settings)
        report = _known(before, version=version)
        try:
            target = read_url(settings.postgres_url)
            if target.place != before.place:
                report = replace(report, place=target.place, version_id=None, since=None)
            if version:
                with session(target) as connection:
                    look = _look(connection)
                    report = replace(report, version_id=look.version_id, since=look.since)
                    report = _bring(connection, settings=settings, version=version, look=look, report=report)
        except PostgresError as error:
            report = replace(report, kind=error.kind, problem=str(error))
        report = replace(report, seconds=time.perf_counter() - started)
        _remember(settings, report)
        if report.kind and report.kind != before.kind:
            _alert(settings, report, run_id=run_id)
    return report


def standing(settings: Settings) -> PostgresReport:
    """Look where PostgreSQL stands, changing nothing.

    Parameters
    ----------
    settings : Settings
        With ``postgres_url`` set.
    """
    before = _recall(settings)
    report = _known(before, version=current_version(settings))
    try:
        target = read_url(settings.postgres_url)
        if target.place != before.place:
            report = replace(report, place=target.place, version_id=None, since=None)
        with session(target) as connection:
            look = _look(connection)
    except PostgresError as error:
        return replace(report, kind=error.kind, problem=str(error))
    report = replace(report, version_id=look.version_id, since=look.since)
    if report.is_current:
        return replace(report, notice=before.notice)
    return replace(report, kind=before.kind, problem=before.problem)


# --- one attempt --------------------------------------------------------------------------------


def _bring(
    connection: Connection, *, settings: Settings, version: Version, look: _Look, report: PostgresReport
) -> PostgresReport:
    with speaking():
        if look.version_id == version.version_id and look.views == {*version.tables, _MARKER}:
            report = replace(report, notice=_let_readers_in(connection, views=look.views))
        else:
            _need_right_to_create(connection)
            with transaction(connection) as cursor:
                cursor.execute(f"create schema if not exists {SCHEMA}")
            notice = _let_readers_in(connection, views=look.views)
            with open_database(version.database_path) as database:
                tables = _tables(database, version)
                rows = _load(connection, database, version=version, tables=tables)
            failpoint("postgres.loaded")
            since = _swap(connection, version=version, tables=tables)
            failpoint("postgres.swapped")
            report = replace(report, version_id=version.version_id, since=since, is_new=True, rows=rows, notice=notice)
        pruned, put_off = _prune(connection, settings)
    return replace(report, pruned=pruned, put_off=put_off, kind=None, problem=None)


def _look(connection: Connection) -> _Look:
    with speaking(), transaction(connection) as cursor:
        number, is_there = rows_of(
            cursor,
            f"""
            select current_setting('server_version_num')::int, to_regclass('{SCHEMA}.{_MARKER}') is not null
            """,
        )[0]
        if number // 10_000 < LEAST_SERVER:
            raise PostgresError(
                "version",
                f"the server is PostgreSQL {number // 10_000}, older than the {LEAST_SERVER} that is needed, use a "
                "newer one",
            )
        if not is_there:
            return _Look(version_id=None, since=None, views=frozenset())
        version_id, since = rows_of(
            cursor,
            f"""
            select version_id, to_char(published_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
            from {SCHEMA}.{_MARKER}
            """,
        )[0]
        return _Look(version_id=version_id, since=since, views=frozenset(_our_views(cursor)))


def _need_right_to_create(connection: Connection) -> None:
    with transaction(connection) as cursor:
        may, user, database = rows_of(
            cursor,
            """
            select
                has_database_privilege(current_database(), 'create'), quote_ident(current_user),
                quote_ident(current_database())
            """,
        )[0]
    if not may:
        raise PostgresError(
            "right",
            f"user {user} may not create schemas there; have an administrator run "
            f"`GRANT CREATE ON DATABASE {database} TO {user}`",
        )


# --- the version's own schema -------------------------------------------------------------------


def _tables(database: duckdb.DuckDBPyConnection, version: Version) -> list[_Table]:
    """Describe the published file's tables, in order of their names."""
    words = dict(database.execute("select table_name, comment from duckdb_tables()").fetchall())
    columns: dict[str, list[_Column]] = {}
    for table, column, data_type, comment in database.execute(
        """
        select table_name, column_name, data_type, comment
        from duckdb_columns()
        where not internal
        order by table_name, column_index
        """
    ).fetchall():
        sql_type, read_as = _types(data_type)
        is_required = column == "version_id" or column in version.tables[table]["grain"]
        columns.setdefault(table, []).append(
            _Column(name=column, sql_type=sql_type, read_as=read_as, description=comment or "", is_required=is_required)
        )
    return [
        _Table(name=name, description=words[name] or "", columns=tuple(columns[name]), rows=entry["rows"])
        for name, entry in sorted(version.tables.items())
    ]


def _types(data_type: str) -> tuple[str, str]:
    """PostgreSQL's type for one of DuckDB's, and the type to read it as."""
    if data_type.endswith("]"):
        inner = data_type[: data_type.rindex("[")]
        if inner in _TYPES or re.fullmatch(r"DECIMAL\(\d+,\d+\)", inner):
            # A fixed-size list is an array like any other.
            return f"{_types(inner)[0]}[]", f"{inner}[]"
    data_type = _READ_AS.get(data_type, data_type)
    if re.fullmatch(r"DECIMAL\(\d+,\d+\)", data_type):
        return data_type.replace("DECIMAL", "numeric"), data_type
    return (_TYPES[data_type], data_type) if data_type in _TYPES else ("json", "JSON")


def _load(
    connection: Connection, database: duckdb.DuckDBPyConnection, *, version: Version, tables: Sequence[_Table]
) -> int:
    """Load a version into its schema, unless it is there whole; the number of rows sent.

    One transaction: a load that breaks off leaves nothing.
    """
    schema = _schema_of(version.version_id)
    if any(table.name == _MARKER for table in tables):
        raise PostgresError("name", f"a published table is called {_MARKER}, which the target needs; rename the table")
    with transaction(connection) as cursor:
        cursor.execute("set local statement_timeout = 0")
        # Another session's unfinished load of a killed run is waited for, but not for ever.
        cursor.execute("set local lock_timeout = '10s'")
        if _is_whole(cursor, schema, tables=tables):
            return 0
        _drop(cursor, schema)
        cursor.execute(f"create schema {schema}")
        cursor.execute(f"comment on schema {schema} is {literal(f'Throughline, version {version.version_id}.')}")
        for table in tables:
            cursor.execute(f"create table {schema}.{quoted(table.name)} ({', '.join(map(_definition, table.columns))})")
            _send(cursor, database, schema=schema, table=table)
            _comment(cursor, "table", f"{schema}.{quoted(table.name)}", words=table.words, known={})
            cursor.execute(f"analyze {schema}.{quoted(table.name)}")
        cursor.execute(
            f"""
            create table {schema}.{_MARKER} as
            select
                {literal(version.version_id)}::text as version_id, {literal(version.as_of)}::timestamp as as_of,
                {literal(version.created_at)}::timestamp as created_at
            """
        )
        if not _is_whole(cursor, schema, tables=tables):
            raise PostgresError(
                "rows", f"the rows that arrived in {schema} are not those of {version.path}; look into the server's log"
            )
    return sum(table.rows for table in tables)


def _send(cursor: Cursor, database: duckdb.DuckDBPyConnection, *, schema: str, table: _Table) -> None:
    import pyarrow as pa
    from adbc_driver_manager import Error

    selected = ", ".join(_expression(column) for column in table.columns)
    broken: list[Exception] = []

    def batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            for batch in reader:
                failpoint("postgres.batch")
                yield batch
        except Exception as error:  # Whatever it is: the driver would tell of it in words of its own.
            broken.append(error)
            raise

    # Closed whatever happens: DuckDB waits without end for a file whose last reader is not gone.
    with database.sql(f"select {selected} from main.{quoted(table.name)}").to_arrow_reader(BATCH_ROWS) as reader:
        rows = pa.RecordBatchReader.from_batches(reader.schema, batches(reader))
        try:
            cursor.adbc_ingest(table.name, rows, mode="append", db_schema_name=schema)
        except Error:
            # The published file cannot be read: an error of this machine, which is not the server's to tell.
            if broken:
                raise broken[0] from None
            raise


def _expression(column: _Column) -> str:
    name = quoted(column.name)
    if column.read_as == "JSON":
        return f"cast(to_json({name}) as varchar) as {name}"
    if column.read_as == "VARCHAR":
        # The one character that PostgreSQL's texts cannot hold.
        return f"replace({name}, chr(0), '�') as {name}"
    return f"cast({name} as {column.read_as}) as {name}"


def _definition(column: _Column) -> str:
    return f"{quoted(column.name)} {column.sql_type}{' not null' if column.is_required else ''}"


def _is_whole(cursor: Cursor, schema: str, *, tables: Sequence[_Table]) -> bool:
    """Whether a version's schema holds every table with every row that the manifest promises."""
    if set(_relations(cursor, schema)) != {_MARKER, *(table.name for table in tables)}:
        return False
    counts = " union all ".join(
        f"select {literal(table.name)}::text, (select count(*) from {schema}.{quoted(table.name)})" for table in tables
    )
    return dict(rows_of(cursor, counts)) == {table.name: table.rows for table in tables}


# --- the swap -----------------------------------------------------------------------------------


def _swap(connection: Connection, *, version: Version, tables: Sequence[_Table]) -> str:
    """Lay all views over a version's tables, trying again while readers are in the way; since when it is shown."""
    from adbc_driver_manager import Error

    end = time.monotonic() + SWAP_SECONDS
    while True:
        try:
            return _swap_once(connection, version=version, tables=tables)
        except Error as error:
            if error.sqlstate not in _LOCK_NOT_OBTAINED:
                raise
        if time.monotonic() > end:
            raise PostgresError(
                "locked",
                f"readers kept their tables locked for {SWAP_SECONDS:.0f} s{_told_holders(connection)}, "
                "let them end their transactions",
            )
        time.sleep(PAUSE_SECONDS)


def _swap_once(connection: Connection, *, version: Version, tables: Sequence[_Table]) -> str:
    """Swap, or give up after the time that a reader may be kept waiting."""
    schema = _schema_of(version.version_id)
    now = utc_now()
    with transaction(connection) as cursor:
        deadlock_timeout = rows_of(cursor, "select setting::int from pg_settings where name = 'deadlock_timeout'")[0][0]
        limit = min(LOCK_MILLISECONDS, deadlock_timeout // 2)
        ours = _our_views(cursor)
        old = {name: relation for name, relation in _relations(cursor, SCHEMA).items() if name in ours}
        new = {
            name: _laid_over(
                schema, name, relation.columns, before=old.get(name), version_id=version.version_id, now=now
            )
            for name, relation in _relations(cursor, schema).items()
        }
        gone = sorted(name for name in old if name not in new or not new[name].replaces)
        _refuse_if_needed(cursor, gone)
        grants = {name: _grants(cursor, name) for name in gone if name in new}
        words = {table.name: table.words for table in tables} | {_MARKER: _MARKER_WORDS}
        # If the network goes now, the server must not keep the readers' views locked.
        cursor.execute("set local idle_in_transaction_session_timeout = '10s'")
        cursor.execute(f"set local lock_timeout = '{limit}ms'")
        cursor.execute(f"set local statement_timeout = '{limit}ms'")
        if old:
            views = ", ".join(f"{SCHEMA}.{quoted(name)}" for name in sorted(old))
            cursor.execute(f"lock table {views} in access exclusive mode")
        cursor.execute("set local statement_timeout = 0")
        for name in gone:
            cursor.execute(f"drop view {SCHEMA}.{quoted(name)}")
        for name, view in sorted(new.items()):
            cursor.execute(view.statement)
            failpoint("postgres.view_laid")
            kept = old[name].words if view.replaces else {}
            _comment(cursor, "view", f"{SCHEMA}.{quoted(name)}", words=words[name], known=kept)
        for name, granted in grants.items():
            _grant_again(cursor, name, granted=granted)
        failpoint("postgres.before_commit")
    return f"{now:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, kw_only=True)
class _View:
    statement: str
    replaces: bool


_MARKER_WORDS = {
    "": "The one version that all tables of this schema show.",
    "version_id": "The published version, the same in every table.",
    "as_of": "UTC instant up to which evidence counted.",
    "created_at": "When the version was made, UTC.",
    "published_at": "Since when this server shows it.",
}


def _laid_over(
    schema: str, name: str, columns: Mapping[str, str], *, before: _Relation | None, version_id: str, now: datetime
) -> _View:
    """The view of one table: in place of the old one where readers' own views can stay.

    PostgreSQL replaces a view if its columns stay first, in order and type; new ones follow.
    """
    expressions = {column: quoted(column) for column in columns}
    if name == _MARKER:
        columns = {**columns, "published_at": "timestamp with time zone"}
        expressions["published_at"] = f"timestamptz '{now.isoformat()}Z'"
    replaces = before is not None and before.columns.items() <= columns.items()
    order = [*before.columns, *(c for c in columns if c not in before.columns)] if replaces and before else columns
    selected = ", ".join(f"{expressions[column]} as {quoted(column)}" for column in order)
    # A transaction whose snapshot is older than the load would find the new tables empty: it gets an error instead.
    told = f"this transaction began before version {version_id} was published, begin a new one"
    return _View(
        statement=f"""
            create {"or replace " if replaces else ""}view {SCHEMA}.{quoted(name)} as
            select {selected}
            from {schema}.{quoted(name)}
            where
                (select case when count(*) = 1 then 'true' else {literal(told)} end from {schema}.{_MARKER})::boolean
        """,
        replaces=replaces,
    )


def _refuse_if_needed(cursor: Cursor, names: Sequence[str]) -> None:
    """Stop before a view goes that somebody has built a view of their own on."""
    for name in names:
        users = rows_of(
            cursor,
            f"""
            select distinct dependent.oid::regclass::text
            from pg_depend
            join pg_rewrite on pg_rewrite.oid = pg_depend.objid
            join pg_class as dependent on dependent.oid = pg_rewrite.ev_class
            where
                pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.refclassid = 'pg_class'::regclass
                and pg_depend.refobjid = {literal(f"{SCHEMA}.{quoted(name)}")}::regclass
                and dependent.oid <> pg_depend.refobjid
            order by 1
            """,
        )
        if users:
            built = ", ".join(user for (user,) in users)
            raise PostgresError(
                "dependent",
                f"{SCHEMA}.{name} changed its columns, and {built} {'is' if len(users) == 1 else 'are'} built on it; "
                "drop that and make it again after the next run",
            )


def _grants(cursor: Cursor, name: str) -> list[tuple[str, str, str, bool]]:
    """Who may do what with a view: grantee, privilege, column or '', may pass it on."""
    return rows_of(
        cursor,
        f"""
        with
            view as (
                select oid, relowner, relacl from pg_class where oid = {literal(f"{SCHEMA}.{quoted(name)}")}::regclass
            ),
            given as (
                select relowner, '' as column_name, acl.* from view, aclexplode(relacl) as acl
                union all
                select relowner, attname::text, acl.*
                from view join pg_attribute on attrelid = oid, aclexplode(attacl) as acl
            )
        select
            case when grantee = 0 then 'public' else grantee::regrole::text end, privilege_type::text, column_name,
            is_grantable
        from given
        where grantee <> relowner
        order by 1, 2, 3
        """,
    )


def _grant_again(cursor: Cursor, name: str, *, granted: Iterable[tuple[str, str, str, bool]]) -> None:
    """Give a view made anew the grants of the old one, no more and no fewer."""
    view = f"{SCHEMA}.{quoted(name)}"
    for grantee in sorted({grantee for grantee, *_ in _grants(cursor, name)}):
        cursor.execute(f"revoke all on {view} from {grantee}")
    for grantee, privilege, column, may_pass_on in granted:
        of = f" ({quoted(column)})" if column else ""
        if column and not rows_of(
            cursor,
            f"select 1 from pg_attribute where attrelid = {literal(view)}::regclass and attname = {literal(column)}",
        ):
            continue
        cursor.execute(f"grant {privilege}{of} on {view} to {grantee}{' with grant option' if may_pass_on else ''}")


def _comment(cursor: Cursor, what: str, name: str, *, words: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Write the descriptions that differ from those known; the key '' is the table's own."""
    for column, description in words.items():
        if known.get(column) != description:
            of = f"column {name}.{quoted(column)}" if column else f"{what} {name}"
            cursor.execute(f"comment on {of} is {literal(description)}")


def _told_holders(connection: Connection) -> str:
    """Who has the views, for a person to ask."""
    with transaction(connection) as cursor:
        holders = rows_of(
            cursor,
            f"""
            select distinct pid, coalesce(usename::text, 'unknown')
            from pg_locks
            join pg_class on pg_class.oid = relation
            join pg_stat_activity using (pid)
            where relnamespace = to_regnamespace('{SCHEMA}') and granted and pid <> pg_backend_pid()
            order by 1
            limit 3
            """,
        )
    named = ", ".join(f"session {pid} of {user}" for pid, user in holders)
    return f" ({named})" if named else ""


# --- readers, and what they no longer need ------------------------------------------------------


def _let_readers_in(connection: Connection, *, views: Iterable[str]) -> str | None:
    """Have the role that readers are members of; what an administrator must do if it cannot be made.

    Its rights are given once: what an administrator takes away later stays taken away.
    """
    from adbc_driver_manager import Error

    with transaction(connection) as cursor:
        exists, may_create, is_in, gets_new, user = rows_of(
            cursor,
            f"""
            select
                exists (select from pg_roles where rolname = '{READERS}'),
                (select rolsuper or rolcreaterole from pg_roles where rolname = current_user),
                exists (
                    select from pg_namespace, aclexplode(nspacl) as acl join pg_roles on pg_roles.oid = acl.grantee
                    where nspname = '{SCHEMA}' and rolname = '{READERS}'
                ),
                exists (
                    select from pg_default_acl, aclexplode(defaclacl) as acl
                    join pg_roles on pg_roles.oid = acl.grantee
                    where
                        defaclnamespace = '{SCHEMA}'::regnamespace and defaclrole = current_user::regrole
                        and rolname = '{READERS}'
                ),
                quote_ident(current_user)
            """,
        )[0]
    if not exists and may_create:
        try:
            with transaction(connection) as cursor:
                cursor.execute(f"create role {READERS} nologin")
        except Error as error:
            if error.sqlstate != "42501":
                raise
            may_create = False
    if not exists and not may_create:
        return (
            f"Its user {user} may not create roles: have an administrator run `CREATE ROLE {READERS} NOLOGIN`, "
            "and the next run lets that role read."
        )
    with transaction(connection) as cursor:
        if not gets_new:
            cursor.execute(f"alter default privileges in schema {SCHEMA} grant select on tables to {READERS}")
        if not is_in:
            cursor.execute(f"grant usage on schema {SCHEMA} to {READERS}")
            for name in sorted(views):
                cursor.execute(f"grant select on {SCHEMA}.{quoted(name)} to {READERS}")
    return None


def _prune(connection: Connection, settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove the versions that are no longer kept on disk either; those in use wait for another run."""
    from adbc_driver_manager import Error

    kept = {_schema_of(version.version_id) for version in versions(settings)}
    with transaction(connection) as cursor:
        found = [name for (name,) in rows_of(cursor, "select nspname::text from pg_namespace order by 1")]
    pruned, put_off = [], []
    for schema in found:
        if not _VERSION_SCHEMA.fullmatch(schema) or schema in kept:
            continue
        try:
            with transaction(connection) as cursor:
                cursor.execute(f"set local lock_timeout = '{PRUNE_LOCK_MILLISECONDS}ms'")
                _drop(cursor, schema)
            pruned.append(schema)
        except Error:
            # The version is shown; what cannot be removed now (a lock, a view that somebody built on it, a
            # connection that broke) is tried again by every run.
            put_off.append(schema)
    return tuple(pruned), tuple(put_off)


def _drop(cursor: Cursor, schema: str) -> None:
    """Drop a version's schema with its tables, and never what others built on them."""
    tables = [f"{schema}.{quoted(name)}" for name in _relations(cursor, schema)]
    if tables:
        cursor.execute(f"drop table {', '.join(tables)}")
    cursor.execute(f"drop schema if exists {schema}")


# --- what the server holds ----------------------------------------------------------------------


def _relations(cursor: Cursor, schema: str) -> dict[str, _Relation]:
    """Tables and views of a schema, in order of their names."""
    found: dict[str, _Relation] = {}
    for table, words, column, data_type, comment in rows_of(
        cursor,
        f"""
        select
            relname::text, coalesce(obj_description(pg_class.oid, 'pg_class'), ''), attname::text,
            format_type(atttypid, atttypmod), coalesce(col_description(pg_class.oid, attnum), '')
        from pg_class
        join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
        where relnamespace = to_regnamespace('{schema}') and relkind in ('r', 'v')
        order by relname, attnum
        """,
    ):
        relation = found.setdefault(table, _Relation(columns={}, words={"": words}))
        relation.columns[column] = data_type
        relation.words[column] = comment
    return found


def _our_views(cursor: Cursor) -> set[str]:
    """Views of the stable schema that lie over a version's tables; others there are somebody's own."""
    rows = rows_of(
        cursor,
        f"""
        select distinct view.relname::text, home.nspname::text
        from pg_class as view
        join pg_rewrite on ev_class = view.oid
        join pg_depend
            on pg_depend.classid = 'pg_rewrite'::regclass
            and objid = pg_rewrite.oid
            and refclassid = 'pg_class'::regclass
        join pg_class as under on under.oid = refobjid
        join pg_namespace as home on home.oid = under.relnamespace
        where view.relnamespace = to_regnamespace('{SCHEMA}') and view.relkind = 'v'
        """,
    )
    return {view for view, schema in rows if _VERSION_SCHEMA.fullmatch(schema)}


def _schema_of(version_id: str) -> str:
    return f"{SCHEMA}_{re.sub('[^a-z0-9]+', '_', version_id.lower())}"


# --- what is remembered of it -------------------------------------------------------------------


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Wait while a run or a rollback brings the target up to date; the last one ends with what is current then."""
    settings.data.mkdir(parents=True, exist_ok=True)
    with (settings.data / ".postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _known(memory: _Memory, *, version: Version | None) -> PostgresReport:
    return PostgresReport(
        place=memory.place or "the place set",
        version_id=memory.version_id,
        since=memory.since,
        wanted_id=version.version_id if version else None,
    )


def _recall(settings: Settings) -> _Memory:
    try:
        return _Memory(**json.loads((settings.data / "postgres.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return _Memory()


def _remember(settings: Settings, report: PostgresReport) -> None:
    path = settings.data / "postgres.json"
    memory = _Memory(
        place=report.place,
        version_id=report.version_id,
        since=report.since,
        kind=report.kind,
        problem=report.problem,
        notice=report.notice,
    )
    unfinished = path.with_name(f".{path.name}")
    write_text(unfinished, json.dumps(asdict(memory), indent=2, ensure_ascii=False) + "\n")
    unfinished.replace(path)
    sync_folder(path.parent)


def _alert(settings: Settings, report: PostgresReport, *, run_id: str) -> None:
    write_alert(
        settings,
        kind="postgres_behind",
        message=report.summary,
        run_id=run_id,
        details={
            "problem": report.kind,
            "place": report.place,
            "version_id": report.version_id,
            "wanted_version_id": report.wanted_id,
        },
    )
