"""The ops and vault tables that landing owns, and what it looks up in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from dagster_project.errors import ThroughlineError
from dagster_project.landing.contracts import TableContract
from dagster_project.settings import Settings

OPS_TABLES = {
    "landed_files": """
        file_id varchar, source varchar, table_name varchar, path varchar, content_hash varchar,
        size_bytes bigint, modified_at timestamp, rows_in bigint, accepted bigint, quarantined bigint,
        duplicates bigint, suppressed bigint, erased bigint, status varchar, reason varchar, landed_at timestamp""",
    "quarantine": """
        file_id varchar, row_number bigint, source varchar, table_name varchar, reason varchar,
        quarantined_at timestamp""",
    "drift": "source varchar, table_name varchar, field varchar, file_id varchar, first_seen_at timestamp",
    "suppressed_identifiers": "identifier varchar, suppressed_at timestamp",
    "erasures": "erasure_id varchar, requested_at timestamp, state varchar, rows_erased bigint",
    "erased_events": "event_id varchar, device_id varchar, erasure_id varchar",
    "facts": "name varchar, value varchar",
    "runs": """
        run_id varchar, as_of timestamp, loaded_until timestamp, project_hash varchar, started_at timestamp,
        completed_at timestamp, status varchar""",
    "validations": """
        place varchar, table_name varchar, suite varchar, validated_until timestamp, fingerprint varchar,
        validated_at timestamp""",
}
VAULT_TABLES = {
    "texts": """
        text_id varchar, source varchar, table_name varchar, column_name varchar, content_hash varchar,
        row_number bigint, text varchar""",
    "quarantine": "file_id varchar, row_number bigint, content_hash varchar, original blob",
}
# How far an erasure has come: asked for; the rows are gone; a night has been built without them; nothing is left.
REQUESTED, DELETED, REBUILT, DONE = "requested", "rows deleted", "rebuilt", "done"
KEY_FINGERPRINT = "key_fingerprint"
REPLAYED_AT = "replayed_at"


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """What the ledger says about a path."""

    content_hash: str
    size_bytes: int
    modified_at: datetime
    status: str


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block wrote, or nothing of it."""
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has rolled back already
            connection.execute("rollback")
        raise


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the ops and vault tables that are not there yet."""
    for name, columns in OPS_TABLES.items():
        connection.execute(f"create table if not exists warehouse.ops.{name} ({columns})")
    for name, columns in VAULT_TABLES.items():
        connection.execute(f"create table if not exists vault.main.{name} ({columns})")


def fact(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """Look up a fact about this warehouse."""
    rows = connection.execute("select value from warehouse.ops.facts where name = ?", [name]).fetchall()
    return str(rows[0][0]) if rows else None


def set_fact(connection: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    """Remember a fact about this warehouse, in the transaction that is open if one is."""
    connection.execute("delete from warehouse.ops.facts where name = ?", [name])
    connection.execute("insert into warehouse.ops.facts values (?, ?)", [name, value])


def file_id_of(contract: TableContract, content_hash: str, *, path: str = "") -> str:
    """Id of a file: the same bytes of the same table have the same id in every run."""
    text = "|".join((contract.source, contract.table, content_hash, path))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def known_files(
    connection: duckdb.DuckDBPyConnection, contract: TableContract
) -> tuple[dict[str, KnownFile], dict[str, str]]:
    """Return the latest entry of each path, and the file id of each content that has landed."""
    rows = connection.execute(
        """
        select path, content_hash, size_bytes, modified_at, status, file_id
        from warehouse.ops.landed_files
        where source = ? and table_name = ? and status <> 'failed'
        order by landed_at
        """,
        [contract.source, contract.table],
    ).fetchall()
    by_path = {r[0]: KnownFile(content_hash=r[1], size_bytes=r[2], modified_at=r[3], status=r[4]) for r in rows}
    landed = {r[1]: r[5] for r in rows if r[4] == "landed"}
    return by_path, landed


def next_instant(connection: duckdb.DuckDBPyConnection) -> datetime:
    """Now in UTC, but later than every earlier batch, so that `_loaded_at` can be a watermark."""
    [(latest,)] = connection.execute(
        "select max(instant) from (select landed_at as instant from warehouse.ops.landed_files "
        f"union all select value::timestamp from warehouse.ops.facts where name = '{REPLAYED_AT}')"
    ).fetchall()
    now = datetime.now(UTC).replace(tzinfo=None)
    return now if latest is None else max(now, latest + timedelta(microseconds=1))


def has_suppressed(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether anybody has been erased."""
    return bool(connection.execute("select 1 from warehouse.ops.suppressed_identifiers limit 1").fetchall())


def has_erasures(connection: duckdb.DuckDBPyConnection, *, state: str) -> bool:
    """Whether an erasure has come so far and no farther."""
    return bool(connection.execute("select 1 from warehouse.ops.erasures where state = ? limit 1", [state]).fetchall())


def inbox_folders(settings: Settings) -> list[tuple[str, str]]:
    """Return every `(source, table)` folder of the inbox that exists.

    Raises
    ------
    ThroughlineError
        If the user named an inbox that does not exist.
    """
    if not settings.inbox.is_dir():
        if settings.is_inbox_given or settings.inbox.exists():
            raise ThroughlineError(
                f"The inbox {settings.inbox} is no folder; create it or correct THROUGHLINE_INBOX, nothing was landed."
            )
        return []
    return [
        (source.name, table.name)
        for source in sorted(settings.inbox.iterdir())
        if source.is_dir() and not source.name.startswith(".")
        for table in sorted(source.iterdir())
        if table.is_dir() and not table.name.startswith(".")
    ]


def unknown_sources(settings: Settings, contracts: Iterable[TableContract]) -> list[str]:
    """Return inbox folders, as `source/table`, that no contract names: they are reported and skipped.

    Raises
    ------
    ThroughlineError
        If the user named an inbox that does not exist.
    """
    contracted = {(c.source, c.table) for c in contracts}
    return [f"{source}/{table}" for source, table in inbox_folders(settings) if (source, table) not in contracted]


def stray_files(settings: Settings, *, suffixes: tuple[str, ...]) -> list[str]:
    """Return the exports that stand in no table's folder, in the inbox itself or right below a source: none is read."""
    if not settings.inbox.is_dir():
        return []
    return sorted(
        path.relative_to(settings.inbox).as_posix()
        for path in (*settings.inbox.glob("*"), *settings.inbox.glob("[!.]*/*"))
        if path.name.endswith(suffixes) and path.is_file() and not path.name.startswith(".")
    )


def inbox_files(settings: Settings, contract: TableContract, *, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of one table, in order of their path; hidden ones are not exports."""
    inbox_folders(settings)  # a set but missing inbox is an error
    folder = settings.inbox / contract.source / contract.table
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.endswith(suffixes)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def other_files(settings: Settings, contract: TableContract, *, suffixes: tuple[str, ...]) -> list[str]:
    """Return the files of one table whose kind landing does not read, such as a spreadsheet."""
    folder = settings.inbox / contract.source / contract.table
    return sorted(
        path.relative_to(settings.inbox).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(suffixes)
    )
