"""The frame of a run: who may use the warehouse, up to when evidence counts, what is new since the last run."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.landing.ledger import DELETED, OPS_TABLES, REBUILT
from dagster_project.settings import DBT_DIR, PROJECT_ROOT, Settings, end_of_day
from dagster_project.warehouse import open_warehouse

# Before everything: what "previous" means on a first or full build.
BEGINNING = datetime(1900, 1, 1)

AFFECTED_DDL = "create table if not exists ops.affected_components (component_id varchar)"


@dataclass(frozen=True, kw_only=True)
class Night:
    """What every step of one run must agree on.

    Attributes
    ----------
    run_id : str
        Dagster's id of the run.
    as_of : datetime
        UTC instant up to which evidence counts.
    loaded_until : datetime
        Latest ``_loaded_at`` this run has seen: the next run's watermark.
    previous_as_of, previous_loaded_at : datetime
        The same of the last completed run; the beginning of time on a full build.
    project_hash : str
        Digest of all that defines the tables; another one means a full build.
    is_full_build : bool
        Whether incremental tables are built anew.
    reason : str
        Why this is a full build, or what it adds to.
    """

    run_id: str
    as_of: datetime
    loaded_until: datetime
    previous_as_of: datetime
    previous_loaded_at: datetime
    project_hash: str
    is_full_build: bool
    reason: str


@contextmanager
def hold_warehouse(settings: Settings, *, run_id: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the one right to write to the warehouse; wait while another run has it.

    The right is a file lock, so it ends with the process that holds it, however that dies.

    Parameters
    ----------
    settings : Settings
        Whose data folder is meant.
    run_id : str
        Who asks; the next one in the line is told.
    on_wait : callable
        Told one sentence if there is somebody to wait for.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    with (settings.data / "run.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(_who_holds(settings))
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(f"{run_id} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        handle.flush()
        yield


def _who_holds(settings: Settings) -> str:
    holder = (settings.data / "run.lock").read_text() or "unknown"
    return f"Another run ({holder}) is using {settings.warehouse_path}; waiting for it to end."


def warehouse_holder(settings: Settings) -> str | None:
    """Say in one sentence which run is using the warehouse, or None if it is free."""
    path = settings.data / "run.lock"
    if not path.is_file():
        return None
    with path.open("r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _who_holds(settings)
    return None


def project_hash(settings: Settings) -> str:
    """Digest of everything that decides what the tables look like.

    Seeds, models, macros and contracts; the code that resolves persons and scores messages; the
    time zone that cuts days. A changed digest makes the next night a full build.
    """
    digest = hashlib.sha256(settings.timezone.encode())
    for folder in (DBT_DIR, PROJECT_ROOT / "dagster_project" / "identity", PROJECT_ROOT / "ml"):
        digest.update(source_digest(folder).encode())
    return digest.hexdigest()[:16]


def source_digest(folder: Path) -> str:
    """Digest of the source files below a folder, by path and content; what tools leave there is skipped."""
    digest = hashlib.sha256()
    left_out = {"target", "logs", "__pycache__"}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.suffix in {".sql", ".yml", ".csv", ".py"} and not left_out & set(relative.parts):
            digest.update(str(relative).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _raw_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = 'warehouse' and schema_name = 'raw'"
        " order by table_name"
    ).fetchall()
    return [name for (name,) in rows]


def latest_available(connection: duckdb.DuckDBPyConnection, *, now: datetime) -> datetime | None:
    """Latest ``available_at`` of any raw row that is not in the future."""
    latest = [
        connection.execute(f'select max(available_at) from raw."{table}" where available_at <= ?', [now]).fetchone()
        for table in _raw_tables(connection)
    ]
    found = [row[0] for row in latest if row and row[0]]
    return max(found, default=None)


def _loaded_until(connection: duckdb.DuckDBPyConnection) -> datetime:
    latest = [
        connection.execute(f'select max(_loaded_at) from raw."{table}"').fetchone() for table in _raw_tables(connection)
    ]
    return max([row[0] for row in latest if row and row[0]], default=BEGINNING)


def last_completed(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime, str] | None:
    """``as_of, loaded_until, project_hash`` of the last completed run, or None before the first."""
    tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'ops'").fetchall()
    if ("runs",) not in tables:
        return None
    return connection.execute(
        "select as_of, loaded_until, project_hash from ops.runs where status = 'completed'"
        " order by completed_at desc limit 1"
    ).fetchone()


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _choose_as_of(connection: duckdb.DuckDBPyConnection, *, settings: Settings, previous: datetime | None) -> datetime:
    """The wanted as-of, else the end of the latest day in the data, and never before the last run's."""
    if settings.as_of:
        return settings.as_of
    latest = latest_available(connection, now=_utc_now()) or _utc_now()
    local_day = latest.replace(tzinfo=UTC).astimezone(ZoneInfo(settings.timezone)).date()
    as_of = end_of_day(local_day, timezone=settings.timezone)
    return max(as_of, previous) if previous else as_of


def current_night(settings: Settings, *, run_id: str) -> Night:
    """Give the frame of this run, fixing it when the first step asks.

    All landing is upstream of whoever asks first, so the frame sees what this run landed; a run
    of only some assets, started in the UI, gets its frame the same way.

    Parameters
    ----------
    settings : Settings
        As :func:`world_of` returned them.
    run_id : str
        Dagster's id of the run.
    """
    with open_warehouse(settings) as connection:
        connection.execute(f"create table if not exists ops.runs ({OPS_TABLES['runs']})")
        connection.execute(f"create table if not exists ops.erasures ({OPS_TABLES['erasures']})")
        connection.execute(AFFECTED_DDL)
        completed = last_completed(connection)
        erased = connection.execute("select count(*) from ops.erasures where state = ?", [DELETED]).fetchall()
        row = connection.execute(
            "select as_of, loaded_until, project_hash from ops.runs where run_id = ?", [run_id]
        ).fetchone()
        if row is None:
            row = (
                _choose_as_of(connection, settings=settings, previous=completed[0] if completed else None),
                _loaded_until(connection),
                project_hash(settings),
            )
            connection.execute(
                "insert into ops.runs values (?, ?, ?, ?, ?, null, 'started')", [run_id, *row, _utc_now()]
            )
    failpoint("night.started")
    as_of, loaded_until, digest = row
    if completed is None:
        reason, previous = "a full build: there is no completed run to add to", None
    elif completed[2] != digest:
        reason, previous = "a full build: seeds, models, contracts or the time zone changed since the last run", None
    elif erased != [(0,)]:
        reason, previous = "a full build: somebody was erased since the last run", None
    else:
        reason, previous = f"adds to the run as of {completed[0]:%Y-%m-%d %H:%M} UTC", completed
    return Night(
        run_id=run_id,
        as_of=as_of,
        loaded_until=loaded_until,
        previous_as_of=previous[0] if previous else BEGINNING,
        previous_loaded_at=previous[1] if previous else BEGINNING,
        project_hash=digest,
        is_full_build=previous is None,
        reason=reason,
    )


def complete_night(settings: Settings, *, night: Night) -> None:
    """Move the watermark: only now may the next run take everything up to here as done."""
    with open_warehouse(settings) as connection:
        connection.begin()
        connection.execute(
            "update ops.runs set status = 'completed', completed_at = ? where run_id = ?", [_utc_now(), night.run_id]
        )
        connection.execute("delete from ops.affected_components")
        connection.execute("update ops.erasures set state = ? where state = ?", [REBUILT, DELETED])
        failpoint("night.before_commit")
        connection.commit()
    failpoint("night.completed")


def world_of(settings: Settings) -> Settings:
    """Settings of the world a run belongs to: the usual one, or one of its own for an earlier as-of.

    Asked for an as-of before the last completed run's, the warehouse and the vault are copied
    to ``<data>/as_of/<when>/`` and everything is built there anew, from what was available by
    then; the versions it publishes lie there too, and ``current`` of the main one stays, as does
    what PostgreSQL shows.
    """
    if settings.as_of is None or not settings.warehouse_path.is_file():
        return settings
    with open_warehouse(settings) as connection:
        completed = last_completed(connection)
    if completed is None or settings.as_of >= completed[0]:
        return settings
    apart = replace(settings, data=settings.data / "as_of" / _folder_name(settings), postgres_url=None)
    apart.data.mkdir(parents=True, exist_ok=True)
    try:
        for source, target in (
            (settings.warehouse_path, apart.warehouse_path),
            (settings.vault_path, apart.vault_path),
        ):
            target.with_name(f"{target.name}.wal").unlink(missing_ok=True)
            if source.is_file():
                shutil.copy2(source, target)
    except OSError as error:
        raise ThroughlineError(
            f"The warehouse cannot be copied to {apart.data} for the earlier as-of ({error.strerror}); "
            "free some space there and run again, nothing was lost."
        ) from error
    with open_warehouse(apart) as connection:
        connection.execute(AFFECTED_DDL)
        connection.execute("delete from ops.affected_components")
        connection.execute("delete from ops.runs")
        # Models stay behind: they know what came later. What they said must not come along either.
        for schema, table in connection.execute(
            """
            select schema_name, table_name from duckdb_tables()
            where
                database_name = 'warehouse'
                and (
                    schema_name = 'predictions'
                    or schema_name = 'ops' and table_name in ('trainings', 'predicted_from')
                )
            """
        ).fetchall():
            connection.execute(f"delete from {schema}.{table}")
    return apart


def _folder_name(settings: Settings) -> str:
    """The local date of an as-of that ends a day, else the instant to the second."""
    assert settings.as_of is not None
    local = settings.as_of.replace(tzinfo=UTC).astimezone(ZoneInfo(settings.timezone))
    is_end_of_day = end_of_day(local.date(), timezone=settings.timezone) == settings.as_of
    return f"{local:%Y-%m-%d}" if is_end_of_day else f"{settings.as_of:%Y-%m-%dT%H%M%SZ}"
