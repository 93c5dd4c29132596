"""Take people out of what has landed: every row that carries one of their identifiers, by landing's own rule.

`ops.suppressed_identifiers` says who is gone. A row that carries one of them does not land, and here it goes where
it landed before: from quarantine, from the vault, then from `raw`. What there is to do follows from that list alone,
so an erasure that was killed anywhere is taken up again by whoever comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from dagster_project.failpoints import failpoint
from dagster_project.landing import ledger, tokens
from dagster_project.landing.contracts import TableContract
from dagster_project.landing.landing import clear_orphans
from dagster_project.landing.parsing import literal, quoted
from dagster_project.landing.replay import forget_settled, suppressed_in_quarantine

#: A shorter value may stand in anybody's row by chance: bytes that cannot be read are searched for longer ones.
LEAST_TELLING = 6


@dataclass(kw_only=True)
class Purged:
    """What went, or would go.

    Attributes
    ----------
    rows : dict of str to int
        Rows by table, as `<source>/<table>`.
    texts : int
        Message texts.
    quarantined : int
        Rows of quarantine.
    paths : list of str
        Files of the inbox that hold such rows; they stay as they are.
    """

    rows: dict[str, int] = field(default_factory=dict)
    texts: int = 0
    quarantined: int = 0
    paths: list[str] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def tokens_of(connection: duckdb.DuckDBPyConnection, contracts: Iterable[TableContract], value: str) -> list[str]:
    """Return the tokens that a readable value has as any identifier of any source; junk has none.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Prepared by `tokens.prepare_connection`.
    contracts : iterable of TableContract
        All tables.
    value : str
        As an export writes it.
    """
    kinds = sorted({(c.identifier, c.namespace or "") for t in contracts for c in t.columns if c.identifier})
    patterns = tokens.blocked_patterns()
    made = " union all ".join(
        f"select {tokens.token(kind, namespace=space or None, value='plain', blocked_pattern=patterns.get(kind))} "
        f"as identifier from (select {tokens.normalised(kind, 'given($value)')} as plain)"
        for kind, space in kinds
    )
    found = connection.execute(
        f"select distinct identifier from ({made}) where not starts_with(identifier, 'junk_') order by 1",
        {"value": value},
    ).fetchall()
    return [identifier for (identifier,) in found]


def name_theirs(connection: duckdb.DuckDBPyConnection, identifiers: Sequence[str]) -> None:
    """Say whose rows are meant, in the temporary table `theirs`."""
    named = pa.table({"identifier": pa.array(identifiers, pa.string())})
    connection.register("named_identifiers", named)
    connection.execute("create or replace temp table theirs as select distinct identifier from named_identifiers")
    connection.unregister("named_identifiers")


def count_theirs(connection: duckdb.DuckDBPyConnection, contracts: Iterable[TableContract]) -> Purged:
    """Count the landed rows of those whom `name_theirs` named, and list the files that brought them."""
    found = Purged()
    paths: set[str] = set()
    for table in _landed_tables(connection, contracts):
        counted = connection.execute(
            f"""
            select files.path, count(*) from warehouse.raw.{table.name} as landed
            left join warehouse.ops.landed_files as files on landed._file_id = files.file_id and files.status = 'landed'
            where {table.carries("landed")} group by files.path
            """
        ).fetchall()
        if counted:
            found.rows[table.title] = sum(count for _, count in counted)
            paths |= {path for path, _ in counted if path}
    found.paths = sorted(paths)
    return found


def purge(
    connection: duckdb.DuckDBPyConnection, contracts: Sequence[TableContract], *, values: Sequence[str] = ()
) -> Purged:
    """Delete every landed row that carries a suppressed identifier, and end the erasures that asked for it.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        From `landing.open_landing`.
    contracts : sequence of TableContract
        All tables.
    values : sequence of str
        Readable identifiers of theirs, by which quarantined bytes are found that nothing can read.
    """
    suppressed = connection.execute("select distinct identifier from warehouse.ops.suppressed_identifiers").fetchall()
    name_theirs(connection, [identifier for (identifier,) in suppressed])
    found = count_theirs(connection, contracts)
    found.quarantined = _purge_quarantine(connection, contracts, values=values)
    failpoint("erasure.quarantine_cleared")
    # No raw row tells whose they are, and no file may come any more that landing would put over them.
    for contract in contracts:
        clear_orphans(connection, contract)
    found.texts = _purge_vault(connection, contracts)
    failpoint("erasure.vault_cleared")
    _purge_warehouse(connection, contracts)
    failpoint("erasure.rows_gone")
    connection.execute("drop table temp.theirs")
    return found


# --- tables -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Landed:
    """A raw table, and the columns that may name a person or a text."""

    name: str
    title: str
    identifiers: tuple[str, ...]
    texts: tuple[str, ...]

    def carries(self, alias: str) -> str:
        """SQL for whether the row carries one of their identifiers."""
        theirs = "(select identifier from theirs)"
        return " or ".join(f"coalesce({alias}.{quoted(c)} in {theirs}, false)" for c in self.identifiers)


def _landed_tables(connection: duckdb.DuckDBPyConnection, contracts: Iterable[TableContract]) -> list[_Landed]:
    """Raw tables that may hold a person; of those that no contract names any more, every text column may."""
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(
        """
        select table_name, column_name from duckdb_columns()
        where database_name = 'warehouse' and schema_name = 'raw' and data_type = 'VARCHAR'
            and column_name <> '_file_id'
        order by table_name, column_index
        """
    ).fetchall():
        columns.setdefault(table, []).append(column)
    named = {contract.name: contract for contract in contracts}
    found = []
    for table, all_texts in columns.items():
        contract = named.get(table)
        landed = _Landed(
            name=quoted(table),
            title=table.replace("__", "/", 1),
            identifiers=tuple(c.name for c in contract.columns if c.identifier) if contract else tuple(all_texts),
            texts=tuple(c.name for c in contract.columns if c.text) if contract else tuple(all_texts),
        )
        if landed.identifiers:
            found.append(landed)
    return found


# --- quarantine ---------------------------------------------------------------------------------


def _purge_quarantine(
    connection: duckdb.DuckDBPyConnection, contracts: Sequence[TableContract], *, values: Sequence[str]
) -> int:
    """Take their rows out of quarantine; in the ledger they are suppressed ones, as if they came today."""
    telling = [value for value in {*values, *_readable(connection, contracts)} if len(value) >= LEAST_TELLING]
    count = 0
    for contract in contracts:
        rows = suppressed_in_quarantine(connection, contract, values=telling)
        if rows:
            pairs = pa.table(
                {
                    "file_id": pa.array([file_id for file_id, _ in rows], pa.string()),
                    "row_number": pa.array([number for _, number in rows], pa.int64()),
                }
            )
            connection.register("quarantined_rows", pairs)
            with ledger.transaction(connection):
                connection.execute(
                    "delete from warehouse.ops.quarantine as q using quarantined_rows as r "
                    "where q.file_id = r.file_id and q.row_number = r.row_number"
                )
                connection.execute(
                    """
                    update warehouse.ops.landed_files as files
                    set quarantined = quarantined - gone.count, suppressed = suppressed + gone.count
                    from (select file_id, count(*) as count from quarantined_rows group by file_id) as gone
                    where files.file_id = gone.file_id and files.status = 'landed'
                    """
                )
                failpoint("erasure.quarantine_before_commit")
            connection.unregister("quarantined_rows")
            count += len(rows)
        # Also what an erasure left that was killed between the two files.
        forget_settled(connection, contract)
    return count


def _readable(connection: duckdb.DuckDBPyConnection, contracts: Iterable[TableContract]) -> list[str]:
    """Return what the vault knows of their identifiers in readable form."""
    found: set[str] = set()
    for contract in contracts:
        for column in contract.columns:
            if column.identifier and column.vault_type:
                rows = connection.execute(
                    f"""
                    select distinct kept.{quoted(column.name)}
                    from vault.main.{contract.name} as kept
                    join warehouse.ops.landed_files as files
                        on files.content_hash = kept.content_hash and files.status = 'landed'
                        and files.source = {literal(contract.source)} and files.table_name = {literal(contract.table)}
                    join warehouse.raw.{contract.name} as landed
                        on landed._file_id = files.file_id and landed._row_number = kept.row_number
                    where landed.{quoted(column.name)} in (select identifier from theirs)
                    """
                ).fetchall()
                found |= {str(value) for (value,) in rows if value}
    return sorted(found)


# --- vault and warehouse ------------------------------------------------------------------------


def _purge_vault(connection: duckdb.DuckDBPyConnection, contracts: Sequence[TableContract]) -> int:
    """Delete profile fields and texts of their rows and commit it, while the raw rows tell which they are."""
    kept = {
        name
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where database_name = 'vault'"
        ).fetchall()
    }
    texts = 0
    with ledger.transaction(connection):
        for table in _landed_tables(connection, contracts):
            theirs = f"from warehouse.raw.{table.name} as landed where {table.carries('landed')}"
            for column in table.texts:
                [(count,)] = connection.execute(
                    f"delete from vault.main.texts where text_id in (select landed.{quoted(column)} {theirs})"
                ).fetchall()
                texts += count
            if table.name.strip('"') in kept:
                connection.execute(
                    f"""
                    delete from vault.main.{table.name} as kept
                    using (
                        select files.content_hash, mine._row_number
                        from (select _file_id, _row_number {theirs}) as mine
                        join warehouse.ops.landed_files as files
                            on files.file_id = mine._file_id and files.status = 'landed'
                    ) as gone
                    where kept.content_hash = gone.content_hash and kept.row_number = gone._row_number
                    """
                )
            failpoint("erasure.mid_vault")
    return texts


def _purge_warehouse(connection: duckdb.DuckDBPyConnection, contracts: Sequence[TableContract]) -> None:
    """Delete the raw rows, count them in the ledger, and take away what the next night would not replace by itself."""
    with ledger.transaction(connection):
        for table in _landed_tables(connection, contracts):
            connection.execute(
                f"""
                update warehouse.ops.landed_files as files set erased = coalesce(erased, 0) + gone.count
                from (
                    select landed._file_id, count(*) as count
                    from warehouse.raw.{table.name} as landed where {table.carries("landed")} group by all
                ) as gone
                where files.file_id = gone._file_id and files.status = 'landed'
                """
            )
            connection.execute(f"delete from warehouse.raw.{table.name} as landed where {table.carries('landed')}")
            failpoint("erasure.mid_rows")
        _forget_derived(connection)
        connection.execute(
            "update warehouse.ops.erasures set state = ? where state = ?", [ledger.DELETED, ledger.REQUESTED]
        )
        failpoint("erasure.before_commit")


def _forget_derived(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete what a full build adds to instead of replacing it, and what says that nothing is new."""
    tables = {
        name
        for (name,) in connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'warehouse'"
        ).fetchall()
    }
    kept = ("identity.touched_identifiers", "identity.resolved_with", "ops.linked_profiles", "ops.predicted_from")
    for table in kept:
        if table in tables:
            connection.execute(f"delete from warehouse.{table}")
    # Kept from night to night for what is not new.
    for table in ("observations", "probabilistic_links", "households", "accounts"):
        if f"identity.{table}" in tables:
            columns = connection.execute(f"describe warehouse.identity.{table}").fetchall()
            carries = " or ".join(
                f"coalesce({quoted(name)} in (select identifier from theirs), false)"
                for name, kind, *_ in columns
                if kind == "VARCHAR"
            )
            connection.execute(f"delete from warehouse.identity.{table} where {carries}")
    # Scores and segments stay where tonight nobody can be scored: not theirs.
    persons = "select person_id from warehouse.identity.identifiers semi join theirs using (identifier)"
    for table in ("predictions.scores", "predictions.segment_history"):
        if table in tables and "identity.identifiers" in tables:
            connection.execute(f"delete from warehouse.{table} where person_id in ({persons})")
