"""The only file that opens DuckDB from Python."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.publishing.durable import sync_file, sync_folder
from dagster_project.settings import Settings

# Folder in which a file is copied before it is replaced.
REWRITING = ".rewriting"
SCHEMAS = ("raw", "staging", "identity", "timeline", "journeys", "features", "predictions", "published", "ops")


def _connect(path: Path | str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException as error:
        raise ThroughlineError(_told(error, path)) from error


def _told(error: duckdb.Error, path: Path | str) -> str:
    """One sentence for the ways in which a database file refuses to open."""
    text = str(error)
    if "lock" in text.lower():
        return (
            f"{path} is in use by another process ({text.splitlines()[0].strip()}); "
            "wait for that run to end or close the program that has the file open."
        )
    if "No space left" in text or "not enough space" in text.lower():
        return f"The disk that holds {path} is full; free some space and run again, nothing was lost."
    if "not a valid DuckDB database" in text:
        return f"{path} is not a DuckDB database; restore it from a backup or move it away and run again."
    return f"{path} cannot be opened ({text.splitlines()[0].strip()})."


def _configure(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"set temp_directory = '{settings.data / 'tmp'}'")
    if settings.memory_limit:
        connection.execute("set memory_limit = ?", [settings.memory_limit])
    if settings.threads:
        connection.execute(f"set threads = {settings.threads}")


@contextmanager
def open_warehouse(
    settings: Settings, *, read_only: bool = False, with_vault: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse, with the vault attached as ``vault`` on request.

    Parameters
    ----------
    settings : Settings
        Where the files are and what the engine may use.
    read_only : bool
        Open for reading only.
    with_vault : bool
        Attach the vault. DuckDB cannot write two files in one transaction: write and
        commit the vault first.

    Yields
    ------
    duckdb.DuckDBPyConnection
        Closed, after a checkpoint, when the block ends.

    Raises
    ------
    ThroughlineError
        If a file is locked, damaged, or the disk is full.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    connection = _connect(settings.warehouse_path, read_only=read_only)
    try:
        _configure(connection, settings)
        if not read_only:
            for schema in SCHEMAS:
                connection.execute(f"create schema if not exists {schema}")
        if with_vault:
            _attach_vault(connection, settings.vault_path, read_only=read_only)
        failpoint("warehouse.opened")
        yield connection
        failpoint("warehouse.before_checkpoint")
        if not read_only:
            if with_vault:
                connection.execute("checkpoint vault")
            connection.execute("checkpoint warehouse")
        failpoint("warehouse.after_checkpoint")
    finally:
        connection.close()


def _attach_vault(connection: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool) -> None:
    """Attach the vault, created with mode 0600 before anything is written to it."""
    if not read_only:
        before = os.umask(0o077)
    try:
        connection.execute(f"attach '{path}' as vault{' (read_only)' if read_only else ''}")
    except duckdb.IOException as error:
        raise ThroughlineError(_told(error, path)) from error
    finally:
        if not read_only:
            os.umask(before)
    if not read_only:
        path.chmod(0o600)


def rewrite(settings: Settings, path: Path) -> None:
    """Copy a database of the data folder into a new file and put that in its place: what was deleted is gone from it.

    DuckDB leaves deleted rows in the file until something is written over them. Killed anywhere, the file is the old
    one or the new one, whole. Nobody else may have it open, and it must have been closed with a checkpoint.

    Parameters
    ----------
    settings : Settings
        What the engine may use.
    path : Path
        The warehouse or the vault.

    Raises
    ------
    ThroughlineError
        If there is no room for a second copy, or the file is in use.
    """
    beside = path.parent / REWRITING
    shutil.rmtree(beside, ignore_errors=True)
    needed, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < needed * 1.1 + 50_000_000:
        raise ThroughlineError(
            f"{path} cannot be rewritten: its copy needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB; "
            "free some space and run again, what was deleted stays in the file until then."
        )
    beside.mkdir(mode=0o700)
    fresh = beside / path.name  # the base name is the database's name in every view
    connection = _connect(fresh)
    try:
        fresh.chmod(0o600)
        _configure(connection, settings)
        try:
            connection.execute(f"attach '{path}' as before (read_only)")
        except duckdb.IOException as error:
            raise ThroughlineError(_told(error, path)) from error
        connection.execute(f"copy from database before to {path.stem}")
        connection.execute(f"checkpoint {path.stem}")
        connection.execute("detach before")
    finally:
        connection.close()
    failpoint("warehouse.rewritten")
    fresh.chmod(path.stat().st_mode & 0o777)
    sync_file(fresh)
    fresh.replace(path)
    sync_folder(path.parent)
    failpoint("warehouse.replaced")
    shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def open_scratch(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory for work whose tables must never reach a file, on one thread so that sums repeat.

    What does not fit spills to the folder of temporary files, which nobody else may read, and is gone with it.
    """
    folder = settings.data / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    connection = _connect(":memory:")
    try:
        _configure(connection, settings)
        connection.execute("set threads = 1")
        yield connection
    finally:
        connection.close()


@contextmanager
def open_database(path: Path, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file other than the warehouse, such as a published version.

    Raises
    ------
    ThroughlineError
        If the file is locked, damaged, or the disk is full.
    """
    connection = _connect(path, read_only=read_only)
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()
