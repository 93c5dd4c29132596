"""Fill columns that a contract newly names from the fields that the vault kept until then."""

from __future__ import annotations

import duckdb

from dagster_project.landing import parsing, tokens
from dagster_project.landing.contracts import ColumnContract, TableContract
from dagster_project.landing.parsing import json_path, literal, quoted


def backfill(connection: duckdb.DuckDBPyConnection, contract: TableContract, new: list[str], *, is_vault: bool) -> None:
    """Fill new columns of a raw or vault table; values that do not fit stay in the vault and in the drift report.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        With an open transaction, in which the columns have been added.
    contract : TableContract
        The contract that names them.
    new : list of str
        Their names.
    is_vault : bool
        Whether they are columns of the vault table.
    """
    for column in (c for c in contract.columns if c.name in new):
        value = kept_value(contract, column)
        if is_vault:
            wanted = parsing.converted(column, value, timezone=contract.timezone)
            connection.execute(
                f"update vault.main.{contract.name} set {quoted(column.name)} = {wanted} where extra is not null"
            )
            continue
        if column.identifier:
            pattern = tokens.blocked_patterns().get(column.identifier)
            plain = parsing.identifying(column, value)
            wanted = tokens.token(column.identifier, namespace=column.namespace, value=plain, blocked_pattern=pattern)
        elif column.text:
            wanted = f"case when present({value}) is not null then {tokens.text_id(column.name, key='_row_key')} end"
        else:
            wanted = parsing.readable(contract, column, value)
        connection.execute(
            f"""
            update warehouse.raw.{contract.name} as landed set {quoted(column.name)} = kept.wanted
            from (
                select kept_file, kept_row, {wanted} as wanted from ({_kept(contract)})
            ) as kept
            where landed._file_id = kept.kept_file and landed._row_number = kept.kept_row
            """
        )
        _settle_drift(connection, contract, column)


def backfill_texts(connection: duckdb.DuckDBPyConnection, contract: TableContract, new: list[str]) -> None:
    """Put newly named texts into the vault, before the raw table refers to them."""
    for column in (c for c in contract.columns if c.name in new and c.text):
        value, made = kept_value(contract, column), tokens.text_id(column.name, key="_row_key")
        connection.execute(
            f"""
            insert into vault.main.texts by name
            select {made} as text_id, {literal(contract.source)} as source, {literal(contract.table)} as table_name,
                {literal(column.name)} as column_name, content_hash, kept_row as row_number,
                scrubbed({value}) as text
            from ({_kept(contract)})
            where present({value}) is not null and {made} not in (select text_id from vault.main.texts)
            qualify row_number() over (partition by _row_key order by kept_file, kept_row) = 1
            """
        )


def kept_value(contract: TableContract, column: ColumnContract) -> str:
    """SQL for a column's text in `extra`, which has the shape of the record, or the header of a CSV file."""
    nested, flat = json_path(tuple(column.path.split("."))), json_path((column.path,))
    paths = [nested] if nested == flat else [nested, flat]
    found = ", ".join(f"json_extract_string(extra, {literal(path)})" for path in paths)
    return parsing.taken(contract, column, f"coalesce({found})")


def _kept(contract: TableContract) -> str:
    return f"""
        select file_id as kept_file, row_number as kept_row, kept.content_hash, extra, _row_key
        from vault.main.{contract.name} as kept
        join warehouse.ops.landed_files as files
            on files.content_hash = kept.content_hash and files.status = 'landed'
            and files.source = {literal(contract.source)} and files.table_name = {literal(contract.table)}
        join warehouse.raw.{contract.name} as landed
            on landed._file_id = file_id and landed._row_number = row_number
        where extra is not null"""


def _settle_drift(connection: duckdb.DuckDBPyConnection, contract: TableContract, column: ColumnContract) -> None:
    """Take the field off the drift report, unless some of its values did not fit."""
    value = kept_value(contract, column)
    misfits: list[tuple[int]] = []
    if not (column.identifier or column.text):
        converted = parsing.converted(column, value, timezone=contract.timezone)
        misfits = connection.execute(
            f"select 1 from vault.main.{contract.name} "
            f"where extra is not null and given({value}) is not null and {converted} is null limit 1"
        ).fetchall()
    if not misfits:
        connection.execute(
            "delete from warehouse.ops.drift where source = ? and table_name = ? and field in (?, ?)",
            [contract.source, contract.table, column.path, f"{column.path} (gone)"],
        )
