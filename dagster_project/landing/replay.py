"""Land quarantined rows again under today's contract, as they are or repaired."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.landing import ledger, readers
from dagster_project.landing.contracts import TableContract
from dagster_project.landing.landing import ensure_tables, open_landing
from dagster_project.landing.passes import Engine, FileOfPass, path_available
from dagster_project.landing.readers import Records
from dagster_project.settings import Settings
from dagster_project.warehouse import open_warehouse

#: File id, row number, bytes, path and content hash.
Row = tuple[str, int, bytes, str, str]


@dataclass(kw_only=True)
class ReplayReport:
    """What became of the quarantined rows of one table."""

    source: str
    table: str
    tried: int = 0
    accepted: int = 0
    duplicates: int = 0
    suppressed: int = 0
    quarantined: int = 0


def export_quarantine(settings: Settings, path: Path, *, source: str | None = None, table: str | None = None) -> int:
    """Write quarantined rows to a JSON-lines file (mode 0600) for repair.

    Each line has `file_id, row_number, source, table, reason, text`; `text` is what to repair. Bytes
    that are no UTF-8 stand there as lone surrogates, which the way back understands.

    Returns
    -------
    int
        Rows written.
    """
    with open_warehouse(settings, with_vault=True) as connection:
        ledger.create_tables(connection)
        rows = connection.execute(
            """
            select q.file_id, q.row_number, q.source, q.table_name, q.reason, v.original
            from warehouse.ops.quarantine as q
            join vault.main.quarantine as v on v.file_id = q.file_id and v.row_number = q.row_number
            where coalesce(q.source = ?, true) and coalesce(q.table_name = ?, true)
            order by q.source, q.table_name, q.file_id, q.row_number
            """,
            [source, table],
        ).fetchall()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    names = ("file_id", "row_number", "source", "table", "reason")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for *values, original in rows:
            text = bytes(original).decode("utf-8", errors="surrogateescape")
            file.write(json.dumps({**dict(zip(names, values, strict=True)), "text": text}) + "\n")
    return len(rows)


def read_repaired(path: Path) -> dict[tuple[str, int], bytes]:
    """Read a repaired export: the new bytes by file id and row number.

    Raises
    ------
    ThroughlineError
        If the file is missing or a line is not as the export wrote it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ThroughlineError(f"The repaired rows {path} cannot be read ({error.strerror}).") from None
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found[row["file_id"], int(row["row_number"])] = str(row["text"]).encode("utf-8", errors="surrogateescape")
        except (ValueError, KeyError, TypeError):
            raise ThroughlineError(
                f"{path}: line {number} must be a JSON object with file_id, row_number and text, as exported."
            ) from None
    return found


def replay(
    settings: Settings,
    contracts: Iterable[TableContract],
    *,
    source: str | None = None,
    table: str | None = None,
    repaired: Path | None = None,
) -> list[ReplayReport]:
    """Land quarantined rows again under today's contracts.

    Rows that land move in the ledger from quarantined to accepted (or duplicates, suppressed); the
    others stay, with today's reason. A run killed half-way and started again ends the same.

    Parameters
    ----------
    settings : Settings
        Where warehouse, vault and key are.
    contracts : iterable of TableContract
        The contracts.
    source, table : str, optional
        Only this source or table.
    repaired : Path, optional
        A file from `export_quarantine` with repaired texts; only its rows are replayed.

    Returns
    -------
    list of ReplayReport
        One for each table that has quarantined rows.
    """
    texts = None if repaired is None else read_repaired(repaired)
    reports = []
    with open_landing(settings) as connection:
        for contract in contracts:
            if source not in (None, contract.source) or table not in (None, contract.table):
                continue
            ensure_tables(connection, contract)
            report = _Replay(connection, contract).run(texts)
            if report.tried:
                reports.append(report)
    return reports


def suppressed_in_quarantine(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, *, values: Sequence[str]
) -> list[tuple[str, int]]:
    """Find the quarantined rows of people who are suppressed, and leave everything as it is.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        From `open_landing`.
    contract : TableContract
        The table.
    values : sequence of str
        Readable values that tell such a row where no identifier of it can be read.

    Returns
    -------
    list of (str, int)
        File ids and row numbers.
    """
    return _Replay(connection, contract).suppressed(values)


def forget_settled(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> None:
    """Delete the bytes of rows that are no longer in quarantine."""
    _Replay(connection, contract).forget_settled()


class _Replay:
    """The replay of one table."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, contract: TableContract) -> None:
        self.connection, self.contract = connection, contract

    def run(self, repaired: dict[tuple[str, int], bytes] | None) -> ReplayReport:
        """Replay the table's quarantined rows."""
        contract = self.contract
        report = ReplayReport(source=contract.source, table=contract.table)
        self.forget_settled()
        rows = self._quarantined()
        if repaired is not None:
            rows = [(*row[:2], repaired[row[:2]], *row[3:]) for row in rows if row[:2] in repaired]
        rows = [row for row in rows if row[2].strip()]
        report.tried = len(rows)
        if not rows:
            return report
        engine = Engine.of(self.connection, contract)
        try:
            self._land(engine, rows, report)
        finally:
            engine.close()
        self.forget_settled()
        return report

    def suppressed(self, values: Sequence[str]) -> list[tuple[str, int]]:
        """Find the rows of suppressed people: by what they carry, or by their bytes where they carry nothing."""
        rows = self._quarantined()
        if not rows:
            return []
        engine = Engine.of(self.connection, self.contract)
        try:
            readable = [row for row in rows if row[2].strip()]
            pending = self._pending(readable)
            run = engine.parse(pending)
            run.connection = self.connection
            suppressed, named = run.suppressed_rows(), run.named_rows()
        finally:
            engine.close()
        by_number = {file.number: file.file_id for file, _ in pending}
        found = {(by_number[file], row) for file, row in suppressed}
        told = {(by_number[file], row) for file, row in named}
        sought = [value.casefold() for value in values]
        for file_id, number, original, *_ in rows:
            if (file_id, number) not in told:
                text = readers.decoded(original, encoding=self.contract.encoding).decode(errors="replace").casefold()
                if any(value in text for value in sought):
                    found.add((file_id, number))
        return sorted(found)

    def _land(self, engine: Engine, rows: list[Row], report: ReplayReport) -> None:
        """Land the rows in one transaction, and move the ledger's counts."""
        pending = self._pending(rows)
        run = self.connection.execute
        self._clear_vault(engine.vault, rows)
        failpoint("landing.replay_cleared")
        with ledger.transaction(self.connection):
            loaded_at = ledger.next_instant(self.connection)
            ledger.set_fact(self.connection, ledger.REPLAYED_AT, loaded_at.isoformat())
            run("create or replace temp table seen (_file integer, _content uuid, _key uuid)")
            self.connection.register("tried", _pairs(rows))
            run(
                "delete from warehouse.ops.quarantine using tried where quarantine.file_id = tried.file_id "
                "and quarantine.row_number = tried.row_number"
            )
            self.connection.unregister("tried")
            counts = engine.write(engine.parse(pending), loaded_at=loaded_at, keeps_bytes=False)
            by_number = {file.number: file for file, _ in pending}
            for number, verdict, count in counts:
                setattr(report, verdict, getattr(report, verdict) + count)
                if verdict != "quarantined":
                    run(
                        f"update warehouse.ops.landed_files set {verdict} = {verdict} + ?, "
                        "quarantined = quarantined - ? where file_id = ? and status = 'landed'",
                        [count, count, by_number[number].file_id],
                    )
            failpoint("landing.replay_before_commit")
        failpoint("landing.replay_after_commit")

    def _pending(self, rows: list[Row]) -> list[tuple[FileOfPass, Records]]:
        """Cut the rows of each file into fields, under their own row numbers."""
        by_file: dict[str, list[Row]] = {}
        for row in rows:
            by_file.setdefault(row[0], []).append(row)
        headers = dict(
            self.connection.execute(
                "select file_id, original from vault.main.quarantine where row_number = 0"
            ).fetchall()
        )
        pending = []
        for number, (file_id, own) in enumerate(by_file.items()):
            path, content_hash = own[0][3], own[0][4]
            file = FileOfPass(
                number=number,
                path=path,
                content_hash=content_hash,
                file_id=file_id,
                path_available=path_available(self.contract, path),
            )
            file.note_header(headers.get(file_id), self.contract)
            texts = [readers.decoded(row[2], encoding=self.contract.encoding) for row in own]
            numbers = [row[1] for row in own]
            pending.append((file, readers.records_of_rows(texts, row_numbers=numbers, header=file.header)))
        return pending

    def _clear_vault(self, vault: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
        """Forget what an interrupted replay left in the vault of these rows."""
        vault.register("tried", _pairs(rows))
        for table in (self.contract.name, "texts"):
            own = f" and source = '{self.contract.source}' and table_name = '{self.contract.table}'"
            vault.execute(
                f"delete from vault.main.{table} using tried where {table}.content_hash = tried.content_hash "
                f"and {table}.row_number = tried.row_number{own if table == 'texts' else ''}"
            )
        vault.unregister("tried")

    def forget_settled(self) -> None:
        """Delete the bytes of rows of landed files that are no longer in quarantine."""
        self.connection.execute(
            """
            delete from vault.main.quarantine as kept
            where file_id in (
                select file_id from warehouse.ops.landed_files
                where source = ? and table_name = ? and status = 'landed'
            ) and not exists (
                select 1 from warehouse.ops.quarantine as q
                where q.file_id = kept.file_id and (q.row_number = kept.row_number or kept.row_number = 0)
            )
            """,
            [self.contract.source, self.contract.table],
        )

    def _quarantined(self) -> list[Row]:
        return self.connection.execute(
            """
            select q.file_id, q.row_number, v.original, f.path, f.content_hash
            from warehouse.ops.quarantine as q
            join vault.main.quarantine as v on v.file_id = q.file_id and v.row_number = q.row_number
            join warehouse.ops.landed_files as f on f.file_id = q.file_id
            where q.source = ? and q.table_name = ?
            order by f.landed_at, f.path, q.row_number
            """,
            [self.contract.source, self.contract.table],
        ).fetchall()


def _pairs(rows: list[Row]) -> pa.Table:
    return pa.table(
        {
            "file_id": pa.array([r[0] for r in rows], pa.string()),
            "row_number": pa.array([r[1] for r in rows], pa.int64()),
            "content_hash": pa.array([r[4] for r in rows], pa.string()),
        }
    )
