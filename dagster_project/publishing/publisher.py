"""Write a new published version beside the old ones and switch to it, or find that nothing changed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.publishing.catalogue import Catalogue, Example, TableEntry, Use
from dagster_project.publishing.dictionary import render_dictionary
from dagster_project.publishing.durable import NO_LINKS, sha256_of, sync_file, sync_folder, write_text
from dagster_project.publishing.site import site_digest, write_site
from dagster_project.publishing.versions import (
    DATABASE_FILE,
    DICTIONARY_FILE,
    MANIFEST_FILE,
    SITE_FOLDER,
    SITE_PAGE,
    VERSION_COLUMN,
    Version,
    current_version,
    partial_path,
    prune,
    publishing_lock,
    read_version,
    switch,
    utc_now,
    version_path,
)
from dagster_project.settings import Settings
from dagster_project.warehouse import open_database, open_warehouse

# Every DuckDB from 1.2 (February 2025) on opens it, which is what BI drivers ship.
STORAGE_VERSION = "v1.2.0"

# What BI drivers and Parquet readers do not know (128-bit integers would become doubles in Parquet,
# UUIDs and JSON raw bytes) is published as the nearest type that they do know; a value that does not fit is an error.
_PORTABLE_TYPES = {"HUGEINT": "BIGINT", "UHUGEINT": "BIGINT", "UUID": "VARCHAR", "JSON": "VARCHAR"}


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """One table of a version.

    Attributes
    ----------
    name : str
        Its name, in DuckDB and (with ``.parquet``) on disk.
    rows : int
        Its number of rows.
    fingerprint : str
        Of its columns and content, whatever the order of the rows.
    is_changed : bool
        Whether it differs from the version that was current before.
    size_bytes : int
        Size of its Parquet file; 0 when nothing was published.
    """

    name: str
    rows: int
    fingerprint: str
    is_changed: bool
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class PublishReport:
    """What publishing did.

    Attributes
    ----------
    version_id : str
        The version that is current now.
    previous_version_id : str or None
        The one that was current before.
    is_new : bool
        False if nothing had changed and nothing was published.
    path : Path
        Folder of the current version.
    as_of : datetime
        UTC instant of this run.
    tables : tuple of PublishedTable
        In order of their names.
    pruned : tuple of str
        Old versions removed.
    undescribed : tuple of str
        Tables and columns (``table.column``) for which the catalogue has no words.
    size_bytes : int
        Size of the version's DuckDB file.
    seconds : float
        How long it took.
    """

    version_id: str
    previous_version_id: str | None
    is_new: bool
    path: Path
    as_of: datetime
    tables: tuple[PublishedTable, ...]
    pruned: tuple[str, ...]
    undescribed: tuple[str, ...]
    size_bytes: int
    seconds: float

    @property
    def summary(self) -> str:
        """The report in one sentence."""
        if not self.is_new:
            return f"Nothing changed: version {self.version_id} stays current."
        changed = sum(table.is_changed for table in self.tables)
        return f"Version {self.version_id} is current: {changed} of {len(self.tables)} tables changed."


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    data_type: str
    expression: str
    description: str


@dataclass(frozen=True, kw_only=True)
class _Table:
    name: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[_Column, ...]
    examples: tuple[Example, ...]
    rows: int
    fingerprint: str

    @property
    def file(self) -> str:
        return f"{self.name}.parquet"

    @property
    def described(self) -> list[Any]:
        """All that a reader sees of it, except the rows."""
        return [self.description, [[column.name, column.description] for column in self.columns], self.examples]


def publish(
    settings: Settings,
    *,
    as_of: datetime,
    run_id: str,
    catalogue: Catalogue,
    uses: Sequence[Use] = (),
    now: datetime | None = None,
) -> PublishReport:
    """Publish schema ``published`` of the warehouse as a new version, if anything in it changed.

    Killed at any moment, ``current`` is the old version or the new one, whole; the next run sweeps
    what was left behind.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.
    as_of : datetime
        UTC instant up to which evidence counted, naive.
    run_id : str
        Kept in the manifest.
    catalogue : mapping
        Descriptions and grains, as `catalogue_from_manifest` gives them.
    uses : sequence of Use
        What the tables are for, as `uses_from_manifest` gives it; a change of these words is a change, too.
    now : datetime, optional
        UTC, naive; the clock's time if left out.

    Returns
    -------
    PublishReport
        What is current now and what changed.

    Raises
    ------
    ThroughlineError
        If there is nothing to publish, another run publishes, or the files cannot be written;
        ``current`` is then what it was.
    """
    started = time.perf_counter()
    now = now or utc_now()
    before = current_version(settings)
    try:
        with publishing_lock(settings):
            before = current_version(settings)
            tables, version = _bring_up_to_date(
                settings, before=before, as_of=as_of, run_id=run_id, catalogue=catalogue, uses=uses, now=now
            )
            pruned = _prune(settings, version=version, now=now)
    except (OSError, duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException) as error:
        raise ThroughlineError(_told(error, settings=settings, before=before)) from error
    return PublishReport(
        version_id=version.version_id,
        previous_version_id=before.version_id if before else None,
        is_new=before is None or before.version_id != version.version_id,
        path=version.path,
        as_of=as_of,
        tables=tuple(_told_table(table, version=version, before=before) for table in tables),
        pruned=tuple(pruned),
        undescribed=tuple(_undescribed(tables)),
        size_bytes=version.database_path.stat().st_size,
        seconds=time.perf_counter() - started,
    )


def _bring_up_to_date(
    settings: Settings,
    *,
    before: Version | None,
    as_of: datetime,
    run_id: str,
    catalogue: Catalogue,
    uses: Sequence[Use],
    now: datetime,
) -> tuple[list[_Table], Version]:
    """Make a version of what the warehouse holds current; the tables and that version."""
    partial = None
    try:
        with open_warehouse(settings, read_only=True) as connection:
            tables = _read_tables(connection, catalogue=catalogue)
            told = _told_uses(uses, tables=tables)
            # The site is made of the tables and of its own files: a change of either is a new version.
            fingerprint = _digest(
                [[[table.name, table.fingerprint, table.described] for table in tables], told, site_digest()]
            )
            failpoint("publishing.fingerprinted")
            if before and before.fingerprint == fingerprint and before.is_whole():
                return tables, before
            version_id = f"{_local_date(as_of, timezone=settings.timezone)}-{fingerprint[:12]}"
            path = version_path(settings, version_id)
            partial = partial_path(settings, version_id)
            manifest = {
                "version_id": version_id,
                "as_of": f"{as_of.isoformat()}Z",
                "created_at": f"{now.isoformat()}Z",
                "run_id": run_id,
                "fingerprint": fingerprint,
                "previous_version_id": before.version_id if before else None,
                "uses": told,
            }
            known = read_version(path)
            if known and known.fingerprint == fingerprint and known.is_whole(checks_content=True):
                _adopt(known, manifest=manifest)
            else:
                _build(connection, partial, tables=tables, manifest=manifest, before=before)
        if partial.is_dir():
            _put_in_place(settings, partial, path)
        switch(settings, version_id)
        version = read_version(path, is_current=True)
        assert version is not None
        return tables, version
    finally:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)


def fingerprints(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Fingerprint of every table of schema ``published``: of its columns and rows, whatever their order.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse.
    """
    return {table.name: table.fingerprint for table in _read_tables(connection, catalogue={})}


def _read_tables(connection: duckdb.DuckDBPyConnection, *, catalogue: Catalogue) -> list[_Table]:
    """Describe and fingerprint every table of schema ``published`` in order of their names; views are only steps."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, data_type in connection.execute(
        """
        select table_name, column_name, data_type
        from duckdb_columns()
        inner join duckdb_tables() using (database_name, schema_name, table_name)
        where database_name = current_database() and schema_name = 'published' and column_name <> 'version_id'
        order by table_name, column_index
        """
    ).fetchall():
        found.setdefault(table, []).append((column, data_type))
    if not found:
        raise ThroughlineError(
            "The warehouse has no table in schema published, so there is nothing to publish; run the whole night again."
        )
    return [_read_table(connection, name, columns=columns, catalogue=catalogue) for name, columns in found.items()]


def _read_table(
    connection: duckdb.DuckDBPyConnection, name: str, *, columns: Sequence[tuple[str, str]], catalogue: Catalogue
) -> _Table:
    entry = catalogue.get(name, TableEntry(description="", columns={}, grain=[]))
    unknown = [column for column in entry["grain"] if column not in dict(columns)]
    if unknown:
        raise ThroughlineError(
            f"The grain of published.{name} names {', '.join(unknown)}, which the table does not have; "
            "correct `grain` in the model's yml."
        )
    read = tuple(
        _Column(
            name=column,
            data_type=_portable_type(data_type),
            expression=_expression(column, data_type),
            description=entry["columns"].get(column, ""),
        )
        for column, data_type in columns
    )
    # A sum of row hashes does not depend on the order of the rows, and counts repeated rows.
    rows, total, mixed = connection.execute(
        f"""
        select count(*), coalesce(sum(row_hash), 0), coalesce(bit_xor(row_hash), 0)
        from (select {_row_hash(read)} as row_hash from published.{_quoted(name)})
        """
    ).fetchall()[0]
    return _Table(
        name=name,
        description=entry["description"],
        grain=tuple(entry["grain"]),
        columns=read,
        examples=tuple(entry.get("examples", ())),
        rows=rows,
        fingerprint=_digest([[[c.name, c.data_type] for c in read], rows, str(total), str(mixed)]),
    )


def _build(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    *,
    tables: Sequence[_Table],
    manifest: dict[str, Any],
    before: Version | None,
) -> None:
    """Write all files of a version into an unfinished folder; the manifest, which names them, last."""
    folder.mkdir()
    failpoint("publishing.folder_made")
    linked = {table.name for table in tables if _link_unchanged(table, folder=folder, before=before)}
    connection.execute(
        f"attach {_text(folder / DATABASE_FILE)} as target (read_write, storage_version '{STORAGE_VERSION}')"
    )
    for table in tables:
        _write_table(connection, table, version_id=manifest["version_id"])
        failpoint("publishing.table_written")
        if table.name not in linked:
            _write_parquet(connection, table, path=folder / table.file)
            failpoint("publishing.parquet_written")
    # Without the checkpoint, content would stay behind in a write-ahead log of the old name.
    connection.execute("checkpoint target")
    connection.execute("detach target")
    failpoint("publishing.database_closed")
    sync_file(folder / DATABASE_FILE)
    content = manifest | {
        "database": {"storage_version": STORAGE_VERSION, **_file_entry(folder / DATABASE_FILE)},
        "tables": {table.name: _manifest_entry(table, folder=folder) for table in tables},
        "site": _write_site(folder, manifest=manifest, before=before),
    }
    failpoint("publishing.site_written")
    write_text(folder / DICTIONARY_FILE, render_dictionary(content))
    failpoint("publishing.dictionary_written")
    _write_manifest(folder, content | {"dictionary": _file_entry(folder / DICTIONARY_FILE)})
    failpoint("publishing.manifest_written")
    sync_folder(folder)


def _write_site(folder: Path, *, manifest: Mapping[str, Any], before: Version | None) -> dict[str, Any]:
    """Write the map of the journeys from the version's own DuckDB file; its entry in the manifest."""
    known = {entry["sha256"]: before.path / entry["file"] for entry in before.site_files} if before else {}
    with open_database(folder / DATABASE_FILE) as connection:
        written = write_site(
            connection,
            folder / SITE_FOLDER,
            version_id=manifest["version_id"],
            as_of=manifest["as_of"],
            before=known,
        )
    entries = [
        {**_file_entry(folder / SITE_FOLDER / name), "file": f"{SITE_FOLDER}/{name.as_posix()}"} for name in written
    ]
    return {"page": SITE_PAGE, "files": entries}


def _write_table(connection: duckdb.DuckDBPyConnection, table: _Table, *, version_id: str) -> None:
    """Copy a table, in its order, with the version and every description BI tools show."""
    name = f"target.main.{_quoted(table.name)}"
    connection.execute(
        f"""
        create table {name} as
        select {_selected(table)}, {_text(version_id)} as version_id
        from published.{_quoted(table.name)}
        order by {_order(table)}
        """
    )
    connection.execute(f"comment on table {name} is {_text(table.description)}")
    for column in table.columns:
        connection.execute(f"comment on column {name}.{_quoted(column.name)} is {_text(column.description)}")
    connection.execute(f"comment on column {name}.version_id is {_text(VERSION_COLUMN['description'])}")


def _write_parquet(connection: duckdb.DuckDBPyConnection, table: _Table, *, path: Path) -> None:
    """Write a table's Parquet file in the order of the copy just made: the same rows give the same bytes."""
    connection.execute(
        f"""
        copy (select * exclude (version_id) from target.main.{_quoted(table.name)})
        to {_text(path)} (format parquet, compression zstd)
        """
    )
    # Later versions share this file by hard link, so nobody may write into it.
    path.chmod(path.stat().st_mode & ~0o222)
    sync_file(path)


def _link_unchanged(table: _Table, *, folder: Path, before: Version | None) -> bool:
    """Hard-link the current version's Parquet file if the table is the same and the file is whole."""
    entry = before.tables.get(table.name) if before else None
    if before is None or entry is None or entry["fingerprint"] != table.fingerprint:
        return False
    source = before.path / entry["file"]
    if not source.is_file() or sha256_of(source) != entry["sha256"]:
        return False
    try:
        os.link(source, folder / table.file)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy2(source, folder / table.file)
        sync_file(folder / table.file)
    failpoint("publishing.linked")
    return True


def _manifest_entry(table: _Table, *, folder: Path) -> dict[str, Any]:
    return {
        "description": table.description,
        "grain": list(table.grain),
        "rows": table.rows,
        "columns": [{"name": c.name, "type": c.data_type, "description": c.description} for c in table.columns],
        "examples": list(table.examples),
        "fingerprint": table.fingerprint,
        **_file_entry(folder / table.file),
    }


def _file_entry(path: Path) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest in one step."""
    unfinished = folder / f".{MANIFEST_FILE}"
    write_text(unfinished, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    unfinished.replace(folder / MANIFEST_FILE)


def _adopt(version: Version, *, manifest: dict[str, Any]) -> None:
    """Take a whole version with this content that is already there: a killed run's, or an older one come back."""
    content = json.loads((version.path / MANIFEST_FILE).read_text(encoding="utf-8"))
    _write_manifest(version.path, content | manifest)
    failpoint("publishing.adopted")
    sync_folder(version.path)


def _put_in_place(settings: Settings, partial: Path, path: Path) -> None:
    """Give a finished folder its name."""
    if path.exists():
        # A version of this name that is no longer whole: out of the way, it is swept.
        damaged = partial_path(settings, path.name)
        path.replace(damaged)
        shutil.rmtree(damaged)
    failpoint("publishing.before_rename")
    partial.replace(path)
    failpoint("publishing.renamed")
    sync_folder(path.parent)


def _prune(settings: Settings, *, version: Version, now: datetime) -> list[str]:
    try:
        return prune(settings, now=now)
    except OSError as error:
        raise ThroughlineError(
            f"Version {version.version_id} is published, but old versions in {version.path.parent} could not be "
            f"removed ({error.strerror}); mend that, the next run tries again."
        ) from error


def _told(error: OSError | duckdb.Error, *, settings: Settings, before: Version | None) -> str:
    """One sentence for a version that could not be written."""
    stays = f"`current` still shows {before.version_id}" if before else "nothing is published yet"
    text = str(error).splitlines()[0].strip()
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "no space left" in str(error).lower():
        return (
            f"The disk that holds {settings.published} is full, so no new version was published and {stays}; "
            "free some space and run again."
        )
    return f"No new version could be published into {settings.published} ({text}) and {stays}; mend that and run again."


def _told_table(table: _Table, *, version: Version, before: Version | None) -> PublishedTable:
    old = before.tables.get(table.name) if before else None
    return PublishedTable(
        name=table.name,
        rows=table.rows,
        fingerprint=table.fingerprint,
        is_changed=old is None or old["fingerprint"] != table.fingerprint,
        size_bytes=version.tables[table.name]["bytes"],
    )


def _told_uses(uses: Sequence[Use], *, tables: Sequence[_Table]) -> list[Use]:
    """Keep what this version can serve: uses of its tables, with the tables that it has."""
    names = {table.name for table in tables}
    kept = [Use(**{**use, "tables": [name for name in use["tables"] if name in names]}) for use in uses]
    return [use for use in kept if use["tables"]]


def _undescribed(tables: Sequence[_Table]) -> list[str]:
    names = [table.name for table in tables if not table.description]
    return names + [f"{t.name}.{column.name}" for t in tables for column in t.columns if not column.description]


def _portable_type(data_type: str) -> str:
    return "VARCHAR" if data_type.startswith("ENUM(") else _PORTABLE_TYPES.get(data_type, data_type)


def _expression(column: str, data_type: str) -> str:
    portable = _portable_type(data_type)
    return _quoted(column) if portable == data_type else f"cast({_quoted(column)} as {portable})"


def _selected(table: _Table) -> str:
    return ", ".join(f"{column.expression} as {_quoted(column.name)}" for column in table.columns)


def _row_hash(columns: Sequence[_Column]) -> str:
    return f"hash({', '.join(column.expression for column in columns)})"


def _order(table: _Table) -> str:
    """Return the grain, then the row itself: only equal rows can tie."""
    keys = [f"{_quoted(column)} asc nulls last" for column in table.grain]
    return ", ".join([*keys, _row_hash(table.columns)])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _local_date(instant: datetime, *, timezone: str) -> str:
    """Return the day an instant falls on where the project's days are cut."""
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date().isoformat()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
