"""One pass of landing: some records in memory, parsed, judged, and written to vault and warehouse."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa

from dagster_project.failpoints import failpoint
from dagster_project.landing import parsing, readers
from dagster_project.landing.contracts import TableContract
from dagster_project.landing.parsing import JsonShape, literal, quoted
from dagster_project.landing.readers import Records

#: Rows per Arrow batch, DuckDB's unit of parallel work when it scans Arrow.
BATCH_ROWS = 20_480


class FileOfPass(Protocol):
    """What a pass needs to know about the file that records are from."""

    number: int
    path: str
    content_hash: str
    file_id: str
    path_available: datetime | None
    header: bytes | None
    missing: str | None


class Pass:
    """Temporary tables of one pass; `parse`, `judge`, `write_vault`, `write_rows`, `close`, in this order."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: TableContract,
        *,
        shape: JsonShape,
        typed_sql: str,
        has_suppressed: bool,
    ) -> None:
        self.connection, self.contract, self.shape = connection, contract, shape
        self.typed_sql, self.has_suppressed = typed_sql, has_suppressed

    def close(self) -> None:
        """Free the memory of the pass."""
        for name in ("records", "rejected"):
            self.connection.unregister(name)
        for name in ("fields", "typed", "verdicts"):
            self.connection.execute(f"drop table if exists temp.{name}")

    # -- records -> typed rows

    def parse(self, pending: list[tuple[FileOfPass, Records]]) -> list[str]:
        """Fill `fields` and `typed`; return the fields that the contract does not know."""
        self._register(pending)
        values = ", ".join(f"f{i} varchar" for i in range(len(self.contract.columns)))
        self.connection.execute(
            f"create or replace temp table fields (_file integer, _row bigint, _content uuid, _fault varchar, "
            f"{values}, _extra json, _keys varchar[][])"
        )
        by_header: dict[bytes, list[tuple[FileOfPass, Records]]] = {}
        json_lines = [(f, r) for f, r in pending if r.fields is None]
        for file, records in pending:
            if records.fields is not None and len(records.records):
                by_header.setdefault(file.header or b"", []).append((file, records))
        for header, group in by_header.items():
            self._csv_fields(header, group)
        new: list[str] = []
        if any(len(r.records) for _, r in json_lines):
            new = self._json_fields(json_lines)
            self._note_missing(json_lines)
        self.connection.execute(f"create or replace temp table typed as {self.typed_sql}")
        return new

    def _register(self, pending: list[tuple[FileOfPass, Records]]) -> None:
        files = [f for f, _ in pending]
        self.connection.register(
            "files_read",
            pa.table(
                {
                    "_file": pa.array([f.number for f in files], pa.int32()),
                    "file_id": pa.array([f.file_id for f in files], pa.string()),
                    "content_hash": pa.array([f.content_hash for f in files], pa.string()),
                    "path_available": pa.array([f.path_available for f in files], pa.timestamp("us")),
                    "_missing": pa.array([f.missing for f in files], pa.string()),
                    "header": pa.array([f.header for f in files], pa.binary()),
                }
            ),
        )
        # A file may have several chunks in a pass.
        self.connection.execute("create or replace temp table files as select distinct * from files_read")
        self.connection.unregister("files_read")
        self.connection.register("records", _records_table([(f.number, r) for f, r in pending]))
        rejected = [(f.number, *r) for f, records in pending for r in records.rejected]
        self.connection.register(
            "rejected",
            pa.table(
                {
                    "_file": pa.array([r[0] for r in rejected], pa.int32()),
                    "_row": pa.array([r[1] for r in rejected], pa.int64()),
                    "_reason": pa.array([r[2] for r in rejected], pa.string()),
                    "original": pa.array([r[3] for r in rejected], pa.binary()),
                }
            ),
        )

    def _csv_fields(self, header: bytes, group: list[tuple[FileOfPass, Records]]) -> None:
        tables = [_numbered(f.number, r, r.fields) for f, r in group]
        self.connection.register("csv_read", _in_batches(pa.concat_tables(tables)))
        select = parsing.csv_fields(self.contract, readers.header_fields(header), fields="csv_read")
        self.connection.execute(f"insert into fields by name {select}")
        self.connection.unregister("csv_read")

    def _json_fields(self, json_lines: list[tuple[FileOfPass, Records]]) -> list[str]:
        run = self.connection.execute
        self.connection.register("json_read", _records_table([(f.number, r) for f, r in json_lines]))
        run(f"insert into fields by name {parsing.json_fields(self.contract, self.shape, records='json_read')}")
        keys: dict[parsing.Path, list[str]] = {}
        for position, path in enumerate(self.shape.objects, start=1):
            rows = run(
                f"select distinct unnest(keys) from (select distinct _keys[{position}] as keys from fields)"
            ).fetchall()
            keys[path] = [r[0] for r in rows if r[0] is not None]
        new = self.shape.new_fields(keys)
        if new:
            extra = parsing.extra_of_json(new)
            run(
                f"""
                update fields set _extra = found.extra
                from (select _file, _row, {extra} as extra from json_read where try(json_type(record)) = 'OBJECT') as found
                where fields._file = found._file and fields._row = found._row and found.extra is not null
                """
            )
        self._fault_non_objects()
        self.connection.unregister("json_read")
        return [".".join(p) if p else f"(more than {parsing.MAX_NEW_FIELDS} fields)" for p in new]

    def _fault_non_objects(self) -> None:
        """A text or list where the contract reads an object: its fields would become null silently."""
        for position, path in list(enumerate(self.shape.objects, start=1))[1:]:
            where = f"len(_keys[{position}]) = 0 and _fault is null"
            if self.connection.execute(f"select 1 from fields where {where} limit 1").fetchall() == []:
                continue
            kind = f"json_type(record, {literal(parsing.json_path(path))})"
            told = literal(f"{'.'.join(path)}: the contract reads an object here, the row has something else")
            self.connection.execute(
                f"""
                update fields set _fault = {told}
                from json_read
                where {where} and fields._file = json_read._file and fields._row = json_read._row
                    and {kind} not in ('OBJECT', 'NULL')
                """
            )

    def _note_missing(self, json_lines: list[tuple[FileOfPass, Records]]) -> None:
        """Give a file none of whose rows has a required field one reason for all."""
        from dagster_project.landing.landing import missing_column

        required = [(i, c) for i, c in enumerate(self.contract.columns) if c.required]
        if not required:
            return
        counts = ", ".join(f"count(present(f{i}))" for i, _ in required)
        rows = self.connection.execute(
            f"select _file, {counts} from fields where _fault is null group by _file having count(*) > 1"
        ).fetchall()
        paths = {f.number: f.path for f, _ in json_lines}
        for number, *present in rows:
            gone = [c.name for (_, c), n in zip(required, present, strict=True) if n == 0]
            if gone and number in paths:
                told = missing_column(self.contract, gone[0], paths[number])
                self.connection.execute("update files set _missing = ? where _file = ?", [told, number])

    # -- typed rows -> verdicts

    def judge(self) -> list[tuple[int, str, int]]:
        """Fill `verdicts` and return how many rows of each file got each verdict."""
        contract = self.contract
        run = self.connection.execute
        is_suppressed = "false"
        if self.has_suppressed:
            is_suppressed = (
                "coalesce(list_has_any(_tokens, (select list(identifier) from warehouse.ops.suppressed_identifiers)), "
                "false)"
            )
        nth = "row_number() over (partition by _file, _content order by _row)" if not contract.key else "1"
        before = (
            "(select count(*) from seen where seen._file = able._file and seen._content = able._content)"
            if not contract.key
            else "0"
        )
        has_seen = run("select 1 from seen limit 1").fetchall() != []
        if not has_seen:
            before = "0"
        duplicate = "false"
        if contract.duplicates == "drop":
            duplicate = f"""
                row_number() over (partition by _key order by _file, _row) > 1
                or _key in (select _key from seen)
                or _key in (
                    select _row_key from warehouse.raw.{contract.name} where _row_key in (select _key from keyed)
                )"""
        run(
            f"""
            create or replace temp table verdicts as
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
            """
        )
        run("insert into seen select _file, _content, _key from verdicts where _key is not null")
        return [
            (int(r[0]), str(r[1]), int(r[2]))
            for r in run("select _file, verdict, count(*) from verdicts group by all").fetchall()
        ]

    def _accepted(self) -> str:
        return (
            "typed join verdicts on verdicts._file = typed._file and verdicts._row = typed._row "
            "and verdict = 'accepted' join files on files._file = typed._file"
        )

    # -- vault, then warehouse

    def write_vault(self) -> None:
        """Write readable personal data, scrubbed texts and quarantined bytes, and commit them."""
        run = self.connection.execute
        run("begin")
        try:
            self._vault_rows()
            failpoint("landing.vault_rows")
            self._vault_texts()
            self._vault_quarantine()
            run("commit")
        except BaseException:
            run("rollback")
            raise

    def _vault_rows(self) -> None:
        kept = [c.name for c in self.contract.columns if c.vault_type]
        any_given = " or ".join([*(f"{quoted('_vault_' + n)} is not null" for n in kept), "_extra is not null"])
        values = "".join(f"{quoted('_vault_' + n)} as {quoted(n)}, " for n in kept)
        self.connection.execute(
            f"""
            insert into vault.main.{self.contract.name} by name
            select content_hash, typed._row as row_number, {values} _extra as extra
            from {self._accepted()} where {any_given}
            """
        )

    def _vault_texts(self) -> None:
        contract = self.contract
        for column in (c.name for c in contract.columns if c.text):
            self.connection.execute(
                f"""
                insert into vault.main.texts by name
                select {text_id(column)} as text_id, {literal(contract.source)} as source,
                    {literal(contract.table)} as table_name, {literal(column)} as column_name, content_hash,
                    typed._row as row_number, {quoted("_text_" + column)} as text
                from {self._accepted()}
                where {quoted("_text_" + column)} is not null
                    and {text_id(column)} not in (select text_id from vault.main.texts)
                qualify row_number() over (partition by _key order by typed._file, typed._row) = 1
                """
            )

    def _vault_quarantine(self) -> None:
        """Keep the bytes of quarantined rows, and as row 0 the header that a CSV row needs to be read again."""
        self.connection.execute(
            """
            insert into vault.main.quarantine by name
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
                and file_id not in (select file_id from vault.main.quarantine where row_number = 0)
            """
        )

    def write_rows(self, writer: duckdb.DuckDBPyConnection, *, loaded_at: datetime) -> None:
        """Write raw rows and quarantine entries in the writer's open transaction."""
        contract = self.contract
        own = []
        for column in contract.columns:
            if column.text:
                present = f"{quoted('_text_' + column.name)} is not null"
                own.append(f"case when {present} then {text_id(column.name)} end as {quoted(column.name)}")
            elif column.raw_type:
                own.append(f"typed.{quoted(column.name)}")
        rows = self.connection.sql(
            f"""
            select {"".join(f"{c}, " for c in own)} files.file_id as _file_id, typed._row as _row_number,
                _key as _row_key, ?::timestamp as _loaded_at, _occurred_at, available_at
            from {self._accepted()}
            """,
            params=[loaded_at],
        ).to_arrow_table()
        writer.register("rows_landed", rows)
        writer.execute(f"insert into warehouse.raw.{contract.name} by name select * from rows_landed")
        writer.unregister("rows_landed")
        failpoint("landing.mid_rows")
        bad = self.connection.sql(
            """
            select file_id, _row as row_number, _reason as reason
            from (
                select typed._file, typed._row, _reason
                from typed join verdicts on verdicts._file = typed._file and verdicts._row = typed._row
                where verdict = 'quarantined'
                union all
                select _file, _row, _reason from rejected
            ) join files using (_file)
            """
        ).to_arrow_table()
        writer.register("rows_quarantined", bad)
        writer.execute(
            "insert into warehouse.ops.quarantine by name select *, ? as source, ? as table_name, "
            "?::timestamp as quarantined_at from rows_quarantined",
            [contract.source, contract.table, loaded_at],
        )
        writer.unregister("rows_quarantined")


def text_id(column: str) -> str:
    """SQL for the id of a row's text: from its content, so that it does not depend on file cuts."""
    return f"keyed_hash('text|' || _key || {literal('|' + column)})"


def _numbered(number: int, records: Records, table: pa.Table) -> pa.Table:
    """Put file and row number before the columns of a file's records."""
    table = table.add_column(0, "_row", pa.array(records.row_numbers, pa.int64()))
    return table.add_column(0, "_file", pa.array(np.full(len(records.row_numbers), number, np.int32)))


def _records_table(pending: list[tuple[int, Records]]) -> pa.Table:
    """Records of several files as text; their bytes have been checked to be UTF-8."""
    tables = [_numbered(n, r, pa.table({"record": r.records.view(pa.string())})) for n, r in pending]
    return _in_batches(pa.concat_tables(tables))


def _in_batches(table: pa.Table) -> pa.Table:
    return pa.Table.from_batches(table.to_batches(max_chunksize=BATCH_ROWS), schema=table.schema)
