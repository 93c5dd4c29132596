"""Land exports exactly once: from the inbox into `raw` and the vault, with every row accounted for.

Per batch of files: read and cut (readers), parse and judge (parsing), write and commit the vault,
then write raw rows, quarantine, drift and ledger in one transaction. A run killed anywhere and
started again ends as if it had never been killed.
"""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.landing import ledger, misplaced, readers, tokens
from dagster_project.landing.backfill import backfill, backfill_texts
from dagster_project.landing.contracts import PROVENANCE, TableContract
from dagster_project.landing.parsing import literal, quoted
from dagster_project.landing.passes import Engine, FileOfPass, Pass, path_available
from dagster_project.landing.readers import ChangedFile, Records, Snapshot, UnreadableFile
from dagster_project.settings import Settings
from dagster_project.warehouse import open_warehouse

#: Files up to this size share a batch, so that a year of daily files is a few transactions.
SMALL_FILE_BYTES = 8 << 20
SMALL_GZIP_BYTES = 2 << 20
MAX_BATCH_FILES = 1_000

_Item = TypeVar("_Item")
#: File id, path, content hash, snapshot, counts, status and reason of a ledger row.
_Entry = tuple[str, str, str, Snapshot, dict[str, int], str, str | None]

COUNTS = ("accepted", "quarantined", "duplicates", "suppressed")


@dataclass(kw_only=True)
class FileReport:
    """What became of one file; `rows_in` is the sum of the four counts."""

    path: str
    status: str
    reason: str | None = None
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    suppressed: int = 0

    @classmethod
    def landed(cls, path: str, counts: Mapping[str, int]) -> FileReport:
        """Return the report of a file that landed."""
        report = cls(path=path, status="landed")
        for name in COUNTS:
            setattr(report, name, counts[name])
        return report

    @property
    def rows_in(self) -> int:
        """Rows that the file holds."""
        return self.accepted + self.quarantined + self.duplicates + self.suppressed


@dataclass(kw_only=True)
class LandingReport:
    """What landing one table did.

    Attributes
    ----------
    files : list of FileReport
        The files that are new, failed, or left for the next run (`status`: `landed`,
        `repeated`, `failed`, `changed`); files known from earlier nights are not listed.
    known_count : int
        Files that had landed before.
    not_read : list of str
        Files in the table's folder whose kind landing does not read.
    drift : list of str
        Fields that the contract does not know, in the files of this run.
    seconds : float
        Time it took.
    """

    source: str
    table: str
    files: list[FileReport] = field(default_factory=list)
    known_count: int = 0
    not_read: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, what: str) -> int:
        """Sum of `rows_in` or one of the four counts over the files."""
        return sum(getattr(f, what) for f in self.files)

    @property
    def failed(self) -> list[FileReport]:
        """Files that could not be read."""
        return [f for f in self.files if f.status == "failed"]


@dataclass(kw_only=True)
class _File(FileOfPass):
    """A file on its way in."""

    snapshot: Snapshot
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))


class _NothingLanded(Exception):
    """Rolls back a batch none of whose files could be read."""


def prepare(settings: Settings, contracts: Iterable[TableContract]) -> None:
    """Make everything ready to land: key, ops and vault tables, and every contracted raw table.

    Columns that a contract newly names are added and filled from what the vault kept of them. An erasure that
    was interrupted, or that such a column asks for, is done.

    Raises
    ------
    ThroughlineError
        If the key is missing or wrong, a table does not fit its contract, the warehouse is in
        use or the disk is full.
    """
    from dagster_project.landing.erasure import purge

    listed = list(contracts)
    with open_landing(settings) as connection:
        for contract in listed:
            ensure_tables(connection, contract)
        if ledger.has_erasures(connection, state=ledger.REQUESTED):
            purge(connection, listed)


@contextmanager
def open_landing(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open warehouse and vault for landing: ops tables made, key checked, macros installed.

    Raises
    ------
    ThroughlineError
        If the key is missing or wrong, the warehouse is in use or the disk is full.
    """
    with told_when_full(settings), open_warehouse(settings, with_vault=True) as connection:
        ledger.create_tables(connection)
        fingerprint = ledger.fact(connection, ledger.KEY_FINGERPRINT)
        key = tokens.load_or_create_key(settings.key_file, fingerprint=fingerprint)
        failpoint("landing.key_made")
        if fingerprint is None:
            ledger.set_fact(connection, ledger.KEY_FINGERPRINT, tokens.fingerprint_of(key))
        tokens.prepare_connection(connection, key=key)
        yield connection


@contextmanager
def told_when_full(settings: Settings) -> Iterator[None]:
    """Turn a full disk or memory into one sentence; transactions roll back by themselves."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ThroughlineError(_full(settings)) from error
    except duckdb.OutOfMemoryException as error:
        told = str(error).splitlines()[0]
        raise ThroughlineError(
            f"Landing ran out of memory ({told}); raise THROUGHLINE_MEMORY_LIMIT or free disk space for "
            f"{settings.data / 'tmp'} and run again, nothing was lost."
        ) from error
    except duckdb.Error as error:
        if "No space left" not in str(error) and "not enough space" not in str(error).lower():
            raise
        raise ThroughlineError(_full(settings)) from error


def _full(settings: Settings) -> str:
    return f"The disk that holds {settings.data} is full; free some space and run again, nothing was lost."


# --- tables -------------------------------------------------------------------------------------


def ensure_tables(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> None:
    """Create the raw and vault table of a contract, or add the columns it newly names."""
    _ensure(connection, f"vault.main.{contract.name}", contract.vault_columns, contract, is_vault=True)
    failpoint("landing.vault_table_ready")
    _ensure(connection, f"warehouse.raw.{contract.name}", contract.raw_columns, contract, is_vault=False)


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Name and type of a table's columns, empty without the table."""
    try:
        # The list of all columns of all tables would take ten times as long, for each table of a night.
        rows = connection.execute(f"describe {table}").fetchall()
    except duckdb.CatalogException:
        return {}
    return {name: kind.lower() for name, kind, *_ in rows}


def _ensure(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    wanted: dict[str, str],
    contract: TableContract,
    *,
    is_vault: bool,
) -> list[str]:
    have = columns_of(connection, table)
    if not have:
        listed = ", ".join(
            f"{quoted(name)} {kind}{' not null' if name == 'available_at' else ''}" for name, kind in wanted.items()
        )
        connection.execute(f"create table {table} ({listed})")
        return []
    new = []
    for name, kind in wanted.items():
        if name not in have:
            new.append(name)
        elif have[name].replace(" ", "") != kind.replace(" ", ""):
            raise ThroughlineError(
                f"{contract.path}: {contract.source}.{contract.table}.{name}: data_type is {kind} but {table} holds "
                f"{have[name]}; keep the type and cast in staging, or give the new column another name."
            )
    if new:
        _add_columns(connection, table, new, wanted, contract, is_vault=is_vault)
    return new


def _add_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    new: list[str],
    wanted: dict[str, str],
    contract: TableContract,
    *,
    is_vault: bool,
) -> None:
    """Add newly named columns and fill them from the fields the vault kept, in one transaction."""
    if not is_vault:
        backfill_texts(connection, contract, new)
    with ledger.transaction(connection):
        for name in new:
            connection.execute(f"alter table {table} add column {quoted(name)} {wanted[name]}")
        backfill(connection, contract, new, is_vault=is_vault)
        if not is_vault and any(contract.column(n).identifier for n in new if n not in PROVENANCE):
            _ask_for_erasure(connection)
        failpoint("landing.backfilled")


def _ask_for_erasure(connection: duckdb.DuckDBPyConnection) -> None:
    """Have old rows looked at again: a column that is new may say that one is of somebody who was erased."""
    if ledger.has_suppressed(connection):
        connection.execute(
            "insert into warehouse.ops.erasures values (?, ?, ?, 0)",
            [uuid.uuid4().hex, datetime.now(UTC).replace(tzinfo=None), ledger.REQUESTED],
        )


# --- landing one table --------------------------------------------------------------------------


def land_table(
    settings: Settings,
    contract: TableContract,
    *,
    connection: duckdb.DuckDBPyConnection | None = None,
    contracts: Sequence[TableContract] = (),
    chunk_bytes: int = readers.CHUNK_BYTES,
) -> LandingReport:
    """Land every new file of one table.

    Parameters
    ----------
    settings : Settings
        Where the inbox, the warehouse and the key are.
    contract : TableContract
        The table.
    connection : duckdb.DuckDBPyConnection, optional
        A connection from `open_landing`, to land several tables on; without it one is opened.
    contracts : sequence of TableContract
        All tables: a file that is an export of another one is refused.
    chunk_bytes : int
        Text per pass.

    Returns
    -------
    LandingReport
        What was done; a file that cannot be read is reported, not raised.

    Raises
    ------
    ThroughlineError
        If the inbox is missing, the key is missing or wrong, the warehouse is in use or the
        disk is full. Nothing is half-written then.
    """
    started = time.perf_counter()
    files = ledger.inbox_files(settings, contract, suffixes=readers.SUFFIXES)
    if connection is None:
        with open_landing(settings) as opened:
            landing = _Landing(settings, contract, opened, contracts=contracts, chunk_bytes=chunk_bytes)
            report = landing.land(files)
    else:
        with told_when_full(settings):
            landing = _Landing(settings, contract, connection, contracts=contracts, chunk_bytes=chunk_bytes)
            report = landing.land(files)
    report.not_read = ledger.other_files(settings, contract, suffixes=readers.SUFFIXES)
    report.seconds = time.perf_counter() - started
    return report


class _Landing:
    """One table's landing on one connection, whose temporary tables it uses; a cursor of it writes."""

    def __init__(
        self,
        settings: Settings,
        contract: TableContract,
        connection: duckdb.DuckDBPyConnection,
        *,
        contracts: Sequence[TableContract] = (),
        chunk_bytes: int = readers.CHUNK_BYTES,
    ) -> None:
        self.settings, self.contract, self.connection = settings, contract, connection
        self.contracts, self.chunk_bytes = contracts, chunk_bytes
        self.report = LandingReport(source=contract.source, table=contract.table)
        ensure_tables(connection, contract)

    # -- which files

    def land(self, paths: list[Path]) -> LandingReport:
        """Land the new ones of the files."""
        self._forget_taken_away(paths)
        waiting = self._new_files(paths)
        if waiting:
            self._land_new(waiting)
        return self.report

    def _land_new(self, waiting: list[_File]) -> None:
        self.engine = Engine.of(self.connection, self.contract)
        self.reader = tokens.prepared_cursor(self.connection)
        try:
            clear_orphans(self.engine.vault, self.contract)
            failpoint("landing.vault_cleared")
            while waiting:
                batch, waiting = self._next_batch(waiting)
                failpoint("landing.before_batch")
                self._land_batch(batch)
                failpoint("landing.after_batch")
                waiting = self._without_repeated(waiting)
        finally:
            self.engine.close()
            self.reader.close()

    def _new_files(self, paths: list[Path]) -> list[_File]:
        """Hash the files that the ledger does not know by path, size and time."""
        known, self.landed = ledger.known_files(self.connection, self.contract)
        new: list[_File] = []
        for path in paths:
            name = path.relative_to(self.settings.inbox).as_posix()
            try:
                snapshot = Snapshot.of(path)
            except FileNotFoundError:
                continue
            entry = known.get(name)
            if entry and (entry.size_bytes, entry.modified_at) == (snapshot.size, _instant(snapshot.modified_ns)):
                self.report.known_count += 1
                continue
            try:
                digest = readers.content_hash(snapshot)
            except ChangedFile:
                self._left(name)
                continue
            except UnreadableFile as error:
                self._failed(name, snapshot, "", str(error))
                continue
            file = _File(
                number=len(new),
                snapshot=snapshot,
                path=name,
                content_hash=digest,
                file_id=ledger.file_id_of(self.contract, digest),
                path_available=path_available(self.contract, name),
            )
            if entry and entry.content_hash == digest:
                self._touched(file)
                self.report.known_count += 1
            else:
                new.append(file)
        return self._without_repeated(new)

    def _next_batch(self, waiting: list[_File]) -> tuple[list[_File], list[_File]]:
        """Take the next files that share a transaction: many small ones or a large one."""
        batch, size, hashes = [waiting[0]], waiting[0].snapshot.size, {waiting[0].content_hash}
        rest: list[_File] = []
        for position, file in enumerate(waiting[1:], start=1):
            if not _is_small(waiting[0]) or not _is_small(file) or size + file.snapshot.size > self.chunk_bytes:
                return batch, rest + waiting[position:]
            if len(batch) == MAX_BATCH_FILES:
                return batch, rest + waiting[position:]
            if file.content_hash in hashes:
                rest.append(file)
                continue
            batch.append(file)
            hashes.add(file.content_hash)
            size += file.snapshot.size
        return batch, rest

    def _without_repeated(self, files: list[_File]) -> list[_File]:
        """Record the files whose bytes have landed under another name; return the others."""
        for file in files:
            if file.content_hash in self.landed:
                self._repeated(file)
        return [f for f in files if f.content_hash not in self.landed]

    # -- entries of the ledger without rows

    def _forget_taken_away(self, paths: list[Path]) -> None:
        """Forget the failures of files that are no longer there: somebody did what the reason said."""
        self.connection.execute(
            "delete from warehouse.ops.landed_files where source = ? and table_name = ? and status = 'failed' "
            "and path not in (select unnest(?::varchar[]))",
            [
                self.contract.source,
                self.contract.table,
                [path.relative_to(self.settings.inbox).as_posix() for path in paths],
            ],
        )

    def _left(self, path: str) -> None:
        reason = "it changed while it was read and is left for the next run"
        self.report.files.append(FileReport(path=path, status="changed", reason=reason))

    def _failed(self, path: str, snapshot: Snapshot, digest: str, reason: str) -> None:
        self.report.files.append(FileReport(path=path, status="failed", reason=reason))
        file_id = ledger.file_id_of(self.contract, digest, path=path)
        self._enter([(file_id, path, digest, snapshot, dict.fromkeys(COUNTS, 0), "failed", reason)])

    def _repeated(self, file: _File) -> None:
        reason = f"the same bytes have landed as file {self.landed[file.content_hash]}"
        self.report.files.append(FileReport(path=file.path, status="repeated", reason=reason))
        file_id = ledger.file_id_of(self.contract, file.content_hash, path=file.path)
        zero = dict.fromkeys(COUNTS, 0)
        self._enter([(file_id, file.path, file.content_hash, file.snapshot, zero, "repeated", reason)])

    def _touched(self, file: _File) -> None:
        """Only the file's time is new: remember it, so that the next run need not hash it again."""
        self.connection.execute(
            "update warehouse.ops.landed_files set modified_at = ? "
            "where source = ? and table_name = ? and path = ? and content_hash = ?",
            [
                _instant(file.snapshot.modified_ns),
                self.contract.source,
                self.contract.table,
                file.path,
                file.content_hash,
            ],
        )

    def _enter(self, entries: Sequence[_Entry]) -> None:
        """Write ledger rows in a transaction of their own."""
        with ledger.transaction(self.connection):
            self._write_entries(entries, landed_at=ledger.next_instant(self.connection))

    def _write_entries(
        self,
        entries: Sequence[_Entry],
        *,
        landed_at: datetime,
    ) -> None:
        """Write ledger rows; each takes the place of what an earlier run said of a failure at its path."""
        paths = [e[1] for e in entries]
        self.connection.execute(
            "delete from warehouse.ops.landed_files where source = ? and table_name = ? and status = 'failed' "
            "and path in (select unnest(?::varchar[]))",
            [self.contract.source, self.contract.table, paths],
        )
        table = pa.table(
            {
                "file_id": pa.array([e[0] for e in entries], pa.string()),
                "source": pa.array([self.contract.source] * len(entries), pa.string()),
                "table_name": pa.array([self.contract.table] * len(entries), pa.string()),
                "path": pa.array(paths, pa.string()),
                "content_hash": pa.array([e[2] for e in entries], pa.string()),
                "size_bytes": pa.array([e[3].size for e in entries], pa.int64()),
                "modified_at": pa.array([_instant(e[3].modified_ns) for e in entries], pa.timestamp("us")),
                "rows_in": pa.array([sum(e[4].values()) for e in entries], pa.int64()),
                **{c: pa.array([e[4][c] for e in entries], pa.int64()) for c in COUNTS},
                "erased": pa.array([0] * len(entries), pa.int64()),
                "status": pa.array([e[5] for e in entries], pa.string()),
                "reason": pa.array([e[6] for e in entries], pa.string()),
                "landed_at": pa.array([landed_at] * len(entries), pa.timestamp("us")),
            }
        )
        self.connection.register("entries", table)
        self.connection.execute("insert into warehouse.ops.landed_files by name select * from entries")
        self.connection.unregister("entries")

    # -- one batch

    def _land_batch(self, batch: list[_File]) -> None:
        """Land some files in one transaction; those that cannot be read fail alone."""
        self.drift: dict[str, str] = {}
        failures: list[tuple[_File, str]] = []
        landed: list[_File] = []
        with suppress(_NothingLanded), ledger.transaction(self.connection):
            self.connection.execute("create or replace temp table seen (_file integer, _content uuid, _key uuid)")
            self.loaded_at = ledger.next_instant(self.connection)
            landed = self._read_and_write(batch, failures)
            if not landed:
                raise _NothingLanded
            self._write_drift()
            failpoint("landing.before_ledger")
            entries = [(f.file_id, f.path, f.content_hash, f.snapshot, f.counts, "landed", None) for f in landed]
            self._write_entries(entries, landed_at=self.loaded_at)
            failpoint("landing.before_commit")
        failpoint("landing.after_commit")
        for file in landed:
            self.landed[file.content_hash] = file.file_id
            self.report.files.append(FileReport.landed(file.path, file.counts))
        if len(landed) < len(batch):
            clear_orphans(self.engine.vault, self.contract)
        for file, reason in failures:
            self._failed(file.path, file.snapshot, file.content_hash, reason)

    def _read_and_write(self, batch: list[_File], failures: list[tuple[_File, str]]) -> list[_File]:
        """Read the files and write their rows pass by pass; return the files that could be read."""
        landed: list[_File] = []
        pending: list[tuple[_File, Records]] = []
        for file in batch:
            try:
                if len(batch) == 1:
                    for run in read_ahead(self._passes(file)):
                        self._write(run)
                else:
                    pending += [(file, records) for records in self._records(file)]
                landed.append(file)
            except UnreadableFile as error:
                failures.append((file, str(error)))
            except ChangedFile:
                self._left(file.path)
            if sum(r.records.nbytes for _, r in pending) >= self.chunk_bytes:
                self._write(self.engine.parse(pending))
                pending = []
        if pending:
            self._write(self.engine.parse(pending))
        return landed

    def _passes(self, file: _File) -> Iterator[Pass]:
        """Parse a large file pass by pass, with the next chunk being read meanwhile."""
        for records in read_ahead(self._records(file)):
            yield self.engine.parse([(file, records)])

    def _records(self, file: _File) -> Iterator[Records]:
        """Read a file, noting what its header says.

        Raises
        ------
        UnreadableFile
            If it cannot be read, or is an export of another table.
        """
        is_checked = False
        for header, records in readers.read_records(
            file.snapshot,
            to_json=lambda table: json_of_rows(self.reader, table),
            encoding=self.contract.encoding,
            chunk_bytes=self.chunk_bytes,
        ):
            new = file.note_header(header, self.contract)
            if not is_checked and (header or len(records.records)):
                misplaced.check(
                    records, header=header, path=file.path, contract=self.contract, contracts=self.contracts
                )
                is_checked = True
            for name in new:
                self.drift.setdefault(name, file.file_id)
            yield records

    def _write(self, run: Pass) -> None:
        """Write a pass, and count what became of its rows."""
        counts = self.engine.write(run, loaded_at=self.loaded_at)
        by_number = {file.number: file for file in run.files_of_pass if isinstance(file, _File)}
        for number, verdict, count in counts:
            by_number[number].counts[verdict] += count
        for name in run.drift:
            self.drift.setdefault(name, run.files_of_pass[0].file_id)

    def _write_drift(self) -> None:
        """Report fields that the contract does not know, once each."""
        for name, file_id in sorted(self.drift.items()):
            if name not in self.report.drift:
                self.report.drift.append(name)
            self.connection.execute(
                """
                insert into warehouse.ops.drift
                select $source, $table, $field, $file_id, $at
                where not exists (
                    select 1 from warehouse.ops.drift where source = $source and table_name = $table and field = $field
                )
                """,
                {
                    "source": self.contract.source,
                    "table": self.contract.table,
                    "field": name,
                    "file_id": file_id,
                    "at": self.loaded_at,
                },
            )


def clear_orphans(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> None:
    """Delete what the vault holds of files that did not land: an interrupted run leaves such rows."""
    own = f"source = {literal(contract.source)} and table_name = {literal(contract.table)}"
    landed = f"select content_hash from warehouse.ops.landed_files where {own} and status = 'landed'"
    with ledger.transaction(connection):
        connection.execute(f"delete from vault.main.{contract.name} where content_hash not in ({landed})")
        connection.execute(f"delete from vault.main.texts where {own} and content_hash not in ({landed})")
        connection.execute(
            "delete from vault.main.quarantine where file_id not in "
            "(select file_id from warehouse.ops.landed_files where status = 'landed')"
        )


def read_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Iterate with the next item being made, in a thread, while the last one is used."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        end = object()
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


def json_of_rows(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> pa.Array:
    """Rows as JSON objects; decimals keep their digits as text."""
    exact = [quoted(f.name) for f in table.schema if pa.types.is_decimal(f.type)]
    replaced = f" replace ({', '.join(f'{n}::varchar as {n}' for n in exact)})" if exact else ""
    connection.register("rows_read", table)
    result = connection.sql(f"select to_json(r)::varchar as record from (select *{replaced} from rows_read) r")
    records = result.to_arrow_table().column("record").cast(pa.binary()).combine_chunks()
    connection.unregister("rows_read")
    return records


def _is_small(file: _File) -> bool:
    name = file.snapshot.path.name
    limit = SMALL_FILE_BYTES if name.endswith((".csv", ".jsonl")) else SMALL_GZIP_BYTES
    return file.snapshot.size <= limit


def _instant(nanoseconds: int) -> datetime:
    """UTC instant of a file time, to the microsecond that the ledger keeps."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=rest // 1000)
