"""Dagster's own home: where runs are recorded, and how a run whose process died is noticed."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage

from dagster_project.settings import Settings

# Read by Dagster and dbt when they start; both would otherwise call home.
QUIET = {
    "DO_NOT_TRACK": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DBT_NO_VERSION_CHECK": "1",
}
# Events that Dagster has at once, all that a run plans for one, are stored at once.
BATCH = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}

DAGSTER_YAML = """\
# Written by Throughline; a change here is overwritten by the next start.
telemetry:
  enabled: false
nux:
  enabled: false
event_log_storage:
  module: dagster_project.instance
  class: RunHistory
  config:
    base_dir: {history}
concurrency:
  pools:
    # One run at a time holds the warehouse; the others queue.
    granularity: run
    default_limit: 1
run_monitoring:
  # For runs that never start; those that die are noticed by `mark_dead_runs`.
  enabled: true
  start_timeout_seconds: 180
  max_resume_run_attempts: 0
  poll_interval_seconds: 30
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: 90
"""

# A run that says it started but never reached its resources within this time was killed on the way.
NEVER_SEEN_ALIVE = timedelta(minutes=10)

# The UI looks back this far.
KEPT = timedelta(days=90)

_alive: dict[str, IO[str]] = {}


class RunHistory(ConsolidatedSqliteEventLogStorage):
    """Dagster's event log in one file, through one engine per process.

    Dagster's own storage builds an engine for every event and writes asset events twice:
    measured on 125 assets and 225 checks, a run's events cost 11 s there and under 4 s here, and half of
    that since what an event writes is one transaction.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._mine = threading.local()
        self._found: set[str] = set()
        super().__init__(*arguments, **named)

    @cached_property
    def _engine(self) -> Any:
        import sqlalchemy

        engine = sqlalchemy.create_engine(self._conn_string, connect_args={"timeout": 60})

        def keep_the_file_fresh(connection: Any, _record: Any) -> None:
            # The UI watches the file itself, which changes only when the write-ahead log is folded in.
            connection.execute("pragma wal_autocheckpoint = 16")
            # Safe with the log: it is synced when it is folded in, not at each of a run's thousands of events.
            connection.execute("pragma synchronous = normal")

        sqlalchemy.event.listen(engine, "connect", keep_the_file_fresh)
        return engine

    @contextmanager
    def _connect(self) -> Iterator[Any]:
        """Open a transaction; what is asked within `store_event` belongs to the event's own."""
        if (connection := getattr(self._mine, "connection", None)) is not None:
            yield connection
            return
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        with self._connect() as connection:
            outer = getattr(self._mine, "connection", None)
            self._mine.connection = connection
            try:
                yield
            finally:
                self._mine.connection = outer

    def store_event(self, event: Any) -> None:
        """Store an event and what follows from it."""
        with self._one_transaction():
            super().store_event(event)

    def store_event_batch(self, events: Any) -> None:
        """Store events that Dagster has at once, such as all that a run plans."""
        with self._one_transaction():
            for event in events:
                super().store_event(event)

    def has_table(self, table_name: str) -> bool:
        """Whether a table is there, asked for every event; none goes away."""
        if table_name not in self._found and super().has_table(table_name):
            self._found.add(table_name)
        return table_name in self._found

    def dispose(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()
        super().dispose()


def prepare_environment() -> None:
    """Turn the telemetry of every dependency off, for this process and its children."""
    os.environ.update(QUIET | BATCH)


def prepare_home(settings: Settings) -> Path:
    """Write Dagster's configuration into the data folder.

    Returns
    -------
    Path
        The folder that ``DAGSTER_HOME`` must name.
    """
    home = settings.data / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    wanted = DAGSTER_YAML.format(history=home / "history")
    if not config.is_file() or config.read_text() != wanted:
        config.write_text(wanted)
    return home


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """Open the persistent Dagster instance of this data folder."""
    prepare_environment()
    folder = settings.data / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    # Two that open an empty folder at once would both make its tables, and Dagster would then find two histories.
    with (folder / "opening.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        instance = DagsterInstance.from_config(str(prepare_home(settings)))
    with instance:
        yield instance


def _alive_folder(settings: Settings) -> Path:
    return settings.data / "dagster" / "alive"


def show_alive(settings: Settings, *, run_id: str) -> None:
    """Hold a lock for the rest of this process's life that says: this run is still being worked on."""
    folder = _alive_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    handle = (folder / run_id).open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    _alive[run_id] = handle


def _is_dead(settings: Settings, *, run_id: str, started_at: datetime) -> bool:
    path = _alive_folder(settings) / run_id
    if not path.is_file():
        return datetime.now(UTC) - started_at > NEVER_SEEN_ALIVE
    with path.open("r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def mark_dead_runs(instance: DagsterInstance, settings: Settings) -> list[str]:
    """Mark runs whose process was killed as failed, so that nothing waits for them.

    Dagster's default launcher cannot see that a worker is gone: such a run would stay
    "started" for ever and hold its place in the pool.

    Returns
    -------
    list of str
        Ids of the runs that were marked.
    """
    unfinished = instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]))
    dead = []
    for record in unfinished:
        run = record.dagster_run
        started_at = datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), UTC)
        if run.run_id not in _alive and _is_dead(settings, run_id=run.run_id, started_at=started_at):
            instance.report_run_failed(run, "The process of this run was killed; nothing is lost, run again.")
            dead.append(run.run_id)
    _forget_finished(instance, settings)
    return dead


def forget_old_runs(instance: DagsterInstance, *, older_than: timedelta = KEPT) -> int:
    """Delete the records of runs that ended long ago; a night's are 2 MB.

    Returns
    -------
    int
        How many; at most 50 at a time, so that no run waits for it.
    """
    old = instance.get_runs(
        RunsFilter(statuses=list(FINISHED_STATUSES), created_before=datetime.now(UTC) - older_than), limit=50
    )
    for run in old:
        instance.delete_run(run.run_id)
    return len(old)


def _forget_finished(instance: DagsterInstance, settings: Settings) -> None:
    """Remove the locks of runs that ended."""
    folder = _alive_folder(settings)
    for path in folder.iterdir() if folder.is_dir() else []:
        run = instance.get_run_by_id(path.name)
        if path.name not in _alive and (run is None or run.is_finished):
            path.unlink(missing_ok=True)
