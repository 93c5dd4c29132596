"""One pass of landing: some records in memory, parsed, judged, and written to vault and warehouse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

import duckdb
import numpy as np
import pyarrow as pa

from dagster_project.failpoints import failpoint
from dagster_project.landing import ledger, parsing, readers, tokens
from dagster_project.landing.contracts import TableContract
from dagster_project.landing.parsing import JsonShape, literal, quoted
from dagster_project.landing.readers import Records
from dagster_project.settings import end_of_day

#: Rows per Arrow batch, DuckDB's unit of parallel work when it scans Arrow.
BATCH_ROWS = 20_480


@dataclass(kw_only=True)
class FileOfPass:
    """What a pass needs to know about the file that records are from."""

    number: int
    path: str
    content_hash: str
    file_id: str
    path_available: datetime | None = None
    header: bytes | None = None
    missing: str | None = None

    def note_header(self, header: bytes | None, contract: TableContract) -> list[str]:
        """Remember a CSV file's header and what it lacks; return the fields that are new or gone in it."""
        if self.header is not None or not header:
            return []
        self.header = header
        names = readers.header_fields(header)
        absent = [c for c in contract.columns if c.path not in names]
        required = [c.name for c in absent if c.required]
        if required:
            self.missing = missing_column(contract, required[0], self.path)
        gone = [f"{c.path} (gone)" for c in absent if not c.required]
        return parsing.new_headers(contract, names) + gone


def path_available(contract: TableContract, path: str) -> datetime | None:
    """End of the local day that the contract finds in a path, None without one."""
    for kind, pattern in contract.available:
        if kind == "path_date" and (found := re.search(pattern, path)):
            try:
                return end_of_day(date.fromisoformat(found.group(1)), timezone=contract.timezone)
            except ValueError:
                return None
    return None


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What the passes of one table share.

    Attributes
    ----------
    connection : duckdb.DuckDBPyConnection
        Prepared, with an open transaction on the warehouse and the temporary table `seen`.
    parser : duckdb.DuckDBPyConnection
        A prepared cursor of it, that parses while the connection writes.
    vault : duckdb.DuckDBPyConnection
        Writes the vault: DuckDB cannot write two files in one transaction.
    helper : ThreadPoolExecutor
        Writes the vault beside the warehouse.
    """

    contract: TableContract
    connection: duckdb.DuckDBPyConnection
    parser: duckdb.DuckDBPyConnection
    vault: duckdb.DuckDBPyConnection
    helper: ThreadPoolExecutor
    shape: JsonShape
    tokeniser: tokens.Tokeniser
    has_suppressed: bool

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, contract: TableContract) -> Engine:
        """Make the engine of a table on a prepared connection."""
        tokens.note_now(connection)
        parser, vault = tokens.prepared_cursor(connection), tokens.prepared_cursor(connection)
        return cls(
            contract=contract,
            connection=connection,
            parser=parser,
            vault=vault,
            helper=ThreadPoolExecutor(max_workers=1),
            shape=JsonShape.of(contract),
            tokeniser=tokens.Tokeniser(parser),
            has_suppressed=ledger.has_suppressed(connection),
        )

    def close(self) -> None:
        """Let go of the thread and the cursors."""
        self.helper.shutdown()
        self.parser.close()
        self.vault.close()

    def parse(self, pending: Sequence[tuple[FileOfPass, Records]]) -> Pass:
        """Parse some records; may run in another thread than `write`."""
        return Pass(self.parser, self.contract, shape=self.shape, tokeniser=self.tokeniser, pending=pending)

    def write(self, run: Pass, *, loaded_at: datetime, keeps_bytes: bool = True) -> list[tuple[int, str, int]]:
        """Judge the rows of a pass and write them to vault and warehouse.

        Returns
        -------
        list of (int, str, int)
            File number, verdict, and how many of its rows got it.
        """
        run.connection = self.connection
        counts = run.judge(has_suppressed=self.has_suppressed)
        failpoint("landing.before_vault")
        found = run.for_vault()
        if not keeps_bytes:
            found.pop("quarantine", None)
        written = self.helper.submit(write_vault, self.vault, found)
        try:
            run.write_rows(loaded_at=loaded_at)
            failpoint("landing.after_rows")
        finally:
            written.result()
        return counts + run.rejected_counts


def select_over(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    params: Sequence[object] | None = None,
    *,
    files: pa.Table = None,
    fields_read: pa.Table = None,
    records: pa.Table = None,
    rejected: pa.Table = None,
    typed: pa.Table = None,
    verdicts: pa.Table = None,
) -> pa.Table:
    """Run a query over Arrow tables, which it finds under the names of the parameters.

    Neither temporary tables nor registered ones will do: DuckDB lets go of those only when the
    transaction ends, so that a large file would need memory for all of its passes.
    """
    return connection.sql(query, params=params).to_arrow_table()


def insert_over(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    params: Sequence[object] = (),
    *,
    files: pa.Table = None,
    rejected: pa.Table = None,
    typed: pa.Table = None,
    verdicts: pa.Table = None,
    found: pa.Table = None,
) -> None:
    """Run an insert that reads Arrow tables, as `select_over` does."""
    connection.execute(statement, list(params))


class Pass:
    """The rows of one pass, parsed and typed; then `judge`, `for_vault` and `write_rows`.

    Attributes
    ----------
    files_of_pass : list of FileOfPass
        The files that the records are from.
    drift : list of str
        Fields that the contract does not know.
    rejected_counts : list of (int, str, int)
        File number, `quarantined`, and how many of its records could not be read.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: TableContract,
        *,
        shape: JsonShape,
        tokeniser: tokens.Tokeniser,
        pending: Sequence[tuple[FileOfPass, Records]],
    ) -> None:
        self.connection, self.contract, self.shape, self.tokeniser = connection, contract, shape, tokeniser
        self.parts: list[pa.Table] = []
        self.files_of_pass = [file for file, _ in pending]
        self.rejected_counts = [(f.number, "quarantined", len(r.rejected)) for f, r in pending if r.rejected]
        self.drift = self._parse(pending)

    # -- records -> typed rows

    def _parse(self, pending: Sequence[tuple[FileOfPass, Records]]) -> list[str]:
        self.files = _files_table({f.number: f for f, _ in pending})
        self.records = _records_table([(f.number, r) for f, r in pending])
        self.rejected = _rejected_table([(f.number, *r) for f, records in pending for r in records.rejected])
        by_header: dict[bytes, list[tuple[FileOfPass, Records]]] = {}
        json_lines = [(f, r) for f, r in pending if r.fields is None]
        for file, records in pending:
            if records.fields is not None and len(records.records):
                by_header.setdefault(file.header or b"", []).append((file, records))
        for header, group in by_header.items():
            self._add_csv(header, group)
        new = []
        if not self.parts or any(len(r.records) for _, r in json_lines):
            new = self._add_json(json_lines)
        self.typed = _in_batches(pa.concat_tables(self.parts))
        self.parts = []
        self._note_gone({f.number: f.path for f, _ in json_lines})
        return new

    def _add(self, fields: str, fields_read: pa.Table) -> None:
        select = parsing.typed_rows(self.contract, fields=fields)
        typed = select_over(self.connection, select, files=self.files, fields_read=fields_read)
        for column in self.contract.columns:
            if column.identifier:
                made = self.tokeniser.tokens(
                    typed.column(column.name), identifier=column.identifier, namespace=column.namespace
                )
                typed = typed.set_column(typed.column_names.index(column.name), column.name, made)
        self.parts.append(typed)

    def _add_csv(self, header: bytes, group: list[tuple[FileOfPass, Records]]) -> None:
        read = _in_batches(pa.concat_tables([_numbered(f.number, r, r.fields) for f, r in group]))
        self._add(parsing.csv_fields(self.contract, readers.header_fields(header), fields="fields_read"), read)

    def _add_json(self, json_lines: list[tuple[FileOfPass, Records]]) -> list[str]:
        read = _records_table([(f.number, r) for f, r in json_lines])
        if self.contract.pairs:
            read = select_over(
                self.connection, parsing.json_paired(self.contract, records="fields_read"), fields_read=read
            )
        if self.contract.turns:
            read = select_over(
                self.connection, parsing.json_by_side(self.contract, records="fields_read"), fields_read=read
            )
        shapes = select_over(self.connection, parsing.json_shapes(self.shape, records="fields_read"), fields_read=read)
        seen = parsing.SeenShapes.of(self.shape, shapes.column("keys").to_pylist())
        looks_for_nul = any(r.has_escaped_nul for _, r in json_lines)
        fields = parsing.json_fields(
            self.contract, self.shape, seen, records="fields_read", looks_for_nul=looks_for_nul
        )
        self._add(fields, read)
        return [".".join(p) if p else f"(more than {parsing.MAX_NEW_FIELDS} fields)" for p in seen.new_fields]

    def _note_gone(self, paths: Mapping[int, str]) -> None:
        """Give a file none of whose rows has a required field one reason for all."""
        gone = select_over(
            self.connection,
            "select _file, min(_gone) as name from typed group by _file "
            "having count(*) > 1 and count(*) = count(_gone) and min(_gone) = max(_gone)",
            typed=self.typed,
        ).to_pylist()
        told = {
            row["_file"]: missing_column(self.contract, row["name"], paths[row["_file"]])
            for row in gone
            if row["_file"] in paths
        }
        numbers = self.files.column("_file").to_pylist()
        self.files = self.files.append_column("_gone_told", pa.array([told.get(n) for n in numbers], pa.string()))

    # -- typed rows -> verdicts

    def judge(self, *, has_suppressed: bool) -> list[tuple[int, str, int]]:
        """Give each row a verdict and return how many rows of each file got each verdict."""
        contract = self.contract
        is_suppressed = self._is_suppressed() if has_suppressed else "false"
        # Windows over every row are only worth it where a row comes twice.
        repeats = select_over(
            self.connection, "select 1 from typed group by _content having count(*) > 1 limit 1", typed=self.typed
        ).num_rows
        in_order = "row_number() over (partition by {} order by {})"
        nth = in_order.format("_file, _content", "_row") if repeats and not contract.key else "1"
        before = (
            "(select count(*) from seen where seen._file = able._file and seen._content = able._content)"
            if not contract.key
            else "0"
        )
        has_seen = self.connection.execute("select 1 from seen limit 1").fetchall() != []
        if not has_seen:
            before = "0"
        duplicate = "false"
        if contract.duplicates == "drop":
            duplicate = f"""
                {in_order.format("_key", "_file, _row") if repeats else "1"} > 1
                or _key in (select _key from seen)
                or _key in (
                    select _row_key from warehouse.raw.{contract.name} where _row_key in (select _key from keyed)
                )"""
        verdicts = select_over(
            self.connection,
            f"""
            with judged as (
                select _file, _row, _content, _reason, {is_suppressed} as is_suppressed from typed
            ),
            able as (select * from judged where not is_suppressed and _reason is null),
            counted as (select _file, _row, _content, {nth} + {before} as nth from able),
            keyed as (
                select _file, _row, _content,
                    case when nth = 1 then _content else md5(_content || ':' || nth)::uuid end as _key
                from counted
            )
            select _file, _row, _content, _key, case when {duplicate} then 'duplicates' else 'accepted' end as verdict
            from keyed
            union all
            select _file, _row, _content, null, case when is_suppressed then 'suppressed' else 'quarantined' end
            from judged where is_suppressed or _reason is not null
            """,
            typed=self.typed,
        )
        self.verdicts = _in_batches(verdicts)
        insert_over(
            self.connection,
            "insert into seen select _file, _content, _key from verdicts where _key is not null",
            verdicts=self.verdicts,
        )
        counts = verdicts.group_by(["_file", "verdict"]).aggregate([([], "count_all")]).to_pylist()
        is_first = not repeats and (bool(contract.key) or not has_seen)
        self.is_clean = is_first and all(row["verdict"] == "accepted" for row in counts)
        return [(row["_file"], row["verdict"], row["count_all"]) for row in counts]

    def _is_suppressed(self) -> str:
        """SQL for whether a row carries an identifier of somebody who was erased."""
        # A lookup for each column; a list of all the erased would be gone through for every row.
        erased = "(select identifier from warehouse.ops.suppressed_identifiers)"
        carried = [f"coalesce({quoted(c.name)} in {erased}, false)" for c in self.contract.columns if c.identifier]
        return f"({' or '.join(carried)})" if carried else "false"

    def suppressed_rows(self) -> list[tuple[int, int]]:
        """Number of file and row of each row of somebody who was erased, whatever else is wrong with it."""
        query = f"select _file, _row from typed where {self._is_suppressed()}"
        rows = select_over(self.connection, query, typed=self.typed).to_pylist()
        return [(row["_file"], row["_row"]) for row in rows]

    def named_rows(self) -> list[tuple[int, int]]:
        """Number of file and row of each row that carries any identifier that could be read."""
        any_given = " or ".join(f"{quoted(c.name)} is not null" for c in self.contract.columns if c.identifier)
        query = f"select _file, _row from typed where {any_given or 'false'}"
        rows = select_over(self.connection, query, typed=self.typed).to_pylist()
        return [(row["_file"], row["_row"]) for row in rows]

    def _accepted(self) -> str:
        if self.is_clean:
            # Every row is accepted under its content as its key: nothing to look up.
            return "(select *, _content as _key from typed) as typed join files on files._file = typed._file"
        return (
            "typed join verdicts on verdicts._file = typed._file and verdicts._row = typed._row "
            "and verdict = 'accepted' join files on files._file = typed._file"
        )

    def _select(self, query: str) -> pa.Table:
        return select_over(
            self.connection,
            query,
            files=self.files,
            records=self.records,
            rejected=self.rejected,
            typed=self.typed,
            verdicts=self.verdicts,
        )

    def _insert(self, statement: str, params: Sequence[object]) -> None:
        insert_over(
            self.connection,
            statement,
            params,
            files=self.files,
            rejected=self.rejected,
            typed=self.typed,
            verdicts=self.verdicts,
        )

    # -- to the vault and the warehouse

    def for_vault(self) -> dict[str, pa.Table]:
        """Rows for the vault: readable values, scrubbed texts, and the bytes of quarantined rows."""
        found = {self.contract.name: self._vault_rows(), "quarantine": self._vault_quarantine()}
        if any(c.text for c in self.contract.columns):
            found["texts"] = self._vault_texts()
        return {name: table for name, table in found.items() if table.num_rows}

    def _vault_rows(self) -> pa.Table:
        kept = [c.name for c in self.contract.columns if c.vault_type]
        any_given = " or ".join([*(f"{quoted('_vault_' + n)} is not null" for n in kept), "_extra is not null"])
        values = "".join(f"{quoted('_vault_' + n)} as {quoted(n)}, " for n in kept)
        return self._select(
            f"""
            select content_hash, typed._row as row_number, {values} _extra as extra
            from {self._accepted()} where {any_given}
            """
        )

    def _vault_texts(self) -> pa.Table:
        contract = self.contract
        return self._select(
            " union all ".join(
                f"""
                (select {tokens.text_id(column)} as text_id, {literal(contract.source)} as source,
                    {literal(contract.table)} as table_name, {literal(column)} as column_name, content_hash,
                    typed._row as row_number, {quoted("_text_" + column)} as text
                from {self._accepted()}
                where {quoted("_text_" + column)} is not null
                qualify row_number() over (partition by _key order by typed._file, typed._row) = 1)
                """
                for column in (c.name for c in contract.columns if c.text)
            )
        )

    def _vault_quarantine(self) -> pa.Table:
        """Bytes of quarantined rows, and as row 0 the header that a CSV row needs to be read again."""
        return self._select(
            """
            with bad as (
                select records._file, records._row, encode(record) as original
                from verdicts join records on records._file = verdicts._file and records._row = verdicts._row
                where verdict = 'quarantined'
                union all
                select _file, _row, original from rejected
            )
            select file_id, _row as row_number, content_hash, original from bad join files using (_file)
            union all
            select file_id, 0, content_hash, header from files
            where header is not null and _file in (select _file from bad)
            """
        )

    def write_rows(self, *, loaded_at: datetime) -> None:
        """Write raw rows and quarantine entries in the connection's open transaction."""
        contract = self.contract
        own = []
        for column in contract.columns:
            if column.text:
                present = f"{quoted('_text_' + column.name)} is not null"
                own.append(f"case when {present} then {tokens.text_id(column.name)} end as {quoted(column.name)}")
            elif column.raw_type:
                own.append(f"typed.{quoted(column.name)}")
        self._insert(
            f"""
            insert into warehouse.raw.{contract.name} by name
            select {"".join(f"{c}, " for c in own)} files.file_id as _file_id, typed._row as _row_number,
                _key as _row_key, ?::timestamp as _loaded_at, _occurred_at, available_at
            from {self._accepted()}
            """,
            [loaded_at],
        )
        failpoint("landing.mid_rows")
        self._insert(
            """
            insert into warehouse.ops.quarantine by name
            select file_id, _row as row_number, _reason as reason, ? as source, ? as table_name,
                ?::timestamp as quarantined_at
            from (
                select typed._file, typed._row, coalesce(_gone_told, _reason) as _reason
                from typed
                join files on files._file = typed._file
                join verdicts on verdicts._file = typed._file and verdicts._row = typed._row
                where verdict = 'quarantined'
                union all
                select _file, _row, _reason from rejected
            ) join files using (_file)
            """,
            [contract.source, contract.table, loaded_at],
        )


def write_vault(vault: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> None:
    """Write what `Pass.for_vault` found and commit it, on a connection of the vault's own."""
    with ledger.transaction(vault):
        for name, table in tables.items():
            known = ""
            if name == "texts":  # the same text in another file keeps its first entry
                known = "where text_id not in (select text_id from vault.main.texts)"
            elif name == "quarantine":  # a file's header is kept once
                known = (
                    "where row_number > 0 or file_id not in "
                    "(select file_id from vault.main.quarantine where row_number = 0)"
                )
            insert_over(vault, f"insert into vault.main.{name} by name select * from found {known}", found=table)
            failpoint("landing.mid_vault")
    failpoint("landing.after_vault")


def missing_column(contract: TableContract, name: str, path: str) -> str:
    """One sentence for a file without a required column."""
    wanted = contract.column(name).path
    return (
        f"{name}: {path.rsplit('/', 1)[-1]} has no '{wanted}', which the contract requires; if the export renamed it, "
        f"set `from` of {name} in {contract.path.name} to the new name and replay"
    )


def _files_table(files: Mapping[int, FileOfPass]) -> pa.Table:
    return pa.table(
        {
            "_file": pa.array(list(files), pa.int32()),
            "file_id": pa.array([f.file_id for f in files.values()], pa.string()),
            "content_hash": pa.array([f.content_hash for f in files.values()], pa.string()),
            "path_available": pa.array([f.path_available for f in files.values()], pa.timestamp("us")),
            "_missing": pa.array([f.missing for f in files.values()], pa.string()),
            "header": pa.array([f.header for f in files.values()], pa.binary()),
        }
    )


def _rejected_table(rejected: Sequence[tuple[int, int, str, bytes]]) -> pa.Table:
    return pa.table(
        {
            "_file": pa.array([r[0] for r in rejected], pa.int32()),
            "_row": pa.array([r[1] for r in rejected], pa.int64()),
            "_reason": pa.array([r[2] for r in rejected], pa.string()),
            "original": pa.array([r[3] for r in rejected], pa.binary()),
        }
    )


def _numbered(number: int, records: Records, table: pa.Table) -> pa.Table:
    """Put file and row number before the columns of a file's records."""
    table = table.add_column(0, "_row", pa.array(records.row_numbers, pa.int64()))
    return table.add_column(0, "_file", pa.array(np.full(len(records.row_numbers), number, np.int32)))


def _records_table(pending: list[tuple[int, Records]]) -> pa.Table:
    """Records of several files as text; their bytes have been checked to be UTF-8."""
    tables = [_numbered(n, r, pa.table({"record": r.records.view(pa.string())})) for n, r in pending]
    if not tables:
        return pa.table(
            {"_file": pa.array([], pa.int32()), "_row": pa.array([], pa.int64()), "record": pa.array([], pa.string())}
        )
    return _in_batches(pa.concat_tables(tables))


def _in_batches(table: pa.Table) -> pa.Table:
    return pa.Table.from_batches(table.to_batches(max_chunksize=BATCH_ROWS), schema=table.schema)
