"""Gate G10: no readable personal data outside the vault.

Every text column of the warehouse is searched for e-mail addresses, phone numbers, card numbers and
IP addresses. Each table is read once with one combined pattern; only the rows that match are looked
at closely. Findings count rows and never quote a value.

What keeps ids and software versions from looking like people:

- A match may not touch letters, digits or the joints of ids, so tokens, UUIDs and hashes never match.
- IP addresses behind a slash are software versions (``Chrome/120.0.0.0``) or a server's address in a
  URL; columns and JSON fields named after versions and user agents hold versions.
- A card number has an issuer's prefix and length and passes the Luhn check (ISO/IEC 7812-1).
- A phone number has its ``+``, or the North American form with separators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from dagster_project.warehouse import SCHEMAS

_BEFORE = r"(?:^|[^0-9A-Za-z_./-])"
_AFTER = r"(?:$|[^0-9A-Za-z_.-]|\.(?:$|[^0-9A-Za-z]))"

_EMAIL = r"[A-Za-z0-9._%+-]+(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_IPV6 = r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){7}|[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})+::[0-9A-Fa-f:]*"
_IP = rf"{_BEFORE}(?:{_IPV4}|{_IPV6}){_AFTER}"
_PHONE = (
    rf"(?:^|[^0-9A-Za-z_])\+[1-9](?:[ ().-]{{0,2}}[0-9]){{7,14}}{_AFTER}"
    rf"|(?:^|[^0-9A-Za-z_.-])\(?[2-9][0-9]{{2}}(?:\) ?|[ .-])[2-9][0-9]{{2}}[ .-][0-9]{{4}}{_AFTER}"
)
# Visa, Mastercard, Discover, UnionPay and the like with 16 digits in fours, American Express (4-6-5), Diners
# (4-6-4, only with separators: bare it is the shape of many systems' 14-digit ids).
_CARD = (
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720|6[0-9]{3}|35[0-9]{2})"
    r"(?:[ -]?[0-9]{4}){3}"
    r"|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}"
    r"|3[068][0-9]{2}[ -][0-9]{6}[ -][0-9]{4}"
)
_CARD_IN_TEXT = rf"{_BEFORE}(?:{_CARD}){_AFTER}"
_ANY = f"(?:@|%40)|{_IP}|{_PHONE}|{_CARD_IN_TEXT}"

# `logo@2x.png` and `library@1.2.min.js` are files.
_FILE = r"(?i)\.(?:png|jpe?g|gif|svg|webp|avif|ico|css|m?js|map|json|html?|woff2?)$"
_HOLDS_VERSIONS = r"(?i)(?:version|user_?agent|build)"
_VERSION_FIELD = r"(?i)\"[^\"]*(?:version|user_?agent|build)[^\"]*\"\s*:\s*\"[^\"]*\""

_LUHN = """
    list_sum(
        list_transform(
            range(length(digits)),
            lambda place: (
                case
                    when place % 2 = 0
                    then digits[length(digits) - place]::integer
                    else (digits[length(digits) - place]::integer * 2) % 10
                        + (digits[length(digits) - place]::integer * 2) // 10
                end
            )
        )
    ) % 10 = 0
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Readable personal data in one column.

    Attributes
    ----------
    table : str
        ``<schema>.<table>``.
    column : str
        The column.
    kind : str
        ``e-mail address``, ``IP address``, ``phone number`` or ``card number``.
    count : int
        Rows that hold one.
    """

    table: str
    column: str
    kind: str
    count: int

    def __str__(self) -> str:
        """Return the finding in words that quote nothing."""
        return f"{self.table}.{self.column} holds {self.count:,} × {self.kind}"


def find_personal_data(
    connection: duckdb.DuckDBPyConnection, *, schemas: Sequence[str] = SCHEMAS, since: datetime | None = None
) -> list[Finding]:
    """Search the warehouse's tables for readable personal data.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse. Attached databases, such as the vault, are not searched; views are searched
        through their tables.
    schemas : sequence of str
        Schemas to search.
    since : datetime, optional
        In tables that have `_loaded_at`, search only rows loaded after this. It must be the time of
        the last audit that *passed*: with any later one, a failed night's rows would never be seen again.

    Returns
    -------
    list of Finding
        Ordered by table, column and kind; empty when all is well.
    """
    tables = connection.execute(
        """
        select
            columns.schema_name,
            columns.table_name,
            list(columns.column_name order by columns.column_name)
                filter (regexp_matches(columns.data_type, 'VARCHAR|JSON|ENUM')) as text_columns,
            bool_or(columns.column_name = '_loaded_at') as has_loaded_at
        from duckdb_columns() as columns
        inner join duckdb_tables() as tables using (database_name, schema_name, table_name)
        where columns.database_name = current_database() and list_contains(?, columns.schema_name)
        group by all
        having text_columns is not null
        order by all
        """,
        [list(schemas)],
    ).fetchall()
    return [
        finding
        for schema, table, columns, has_loaded_at in tables
        for finding in _search(
            connection, schema=schema, table=table, columns=columns, since=since if has_loaded_at else None
        )
    ]


def _search(
    connection: duckdb.DuckDBPyConnection, *, schema: str, table: str, columns: Sequence[str], since: datetime | None
) -> list[Finding]:
    """One pass over a table; a second, over the columns with candidates, to tell what they are."""
    source = f"{_quoted(schema)}.{_quoted(table)}"
    if since:
        source = f"(select * from {source} where _loaded_at > {_text(since.isoformat())}::timestamp)"
    # Making the patterns ready takes longer than to find that there is nothing to read.
    if not connection.execute(f"select 1 from {source} limit 1").fetchall():
        return []
    counts = connection.execute(
        f"select {', '.join(f'count(*) filter (where {_is_candidate(column)})' for column in columns)} from {source}"
    ).fetchall()[0]
    return [
        Finding(table=f"{schema}.{table}", column=column, kind=kind, count=count)
        for column, candidates in zip(columns, counts, strict=True)
        if candidates
        for kind, count in _classify(connection, source=source, column=column)
        if count
    ]


def _classify(connection: duckdb.DuckDBPyConnection, *, source: str, column: str) -> list[tuple[str, int]]:
    counts = connection.execute(
        f"""
        with
            candidates as (
                select {_as_text(column)} as value
                from {source}
                where {_is_candidate(column)}
            ),
            flagged as (
                select
                    len(
                        list_filter(
                            regexp_extract_all(value, {_text(_EMAIL)}),
                            lambda address: not regexp_matches(address, {_text(_FILE)})
                        )
                    ) > 0 as has_email,
                    not regexp_matches({_text(column)}, {_text(_HOLDS_VERSIONS)})
                    and regexp_matches(
                        regexp_replace(value, {_text(_VERSION_FIELD)}, '', 'g'), {_text(_IP)}
                    ) as has_ip,
                    regexp_matches(value, {_text(_PHONE)}) as has_phone,
                    len(
                        list_filter(
                            list_transform(
                                regexp_extract_all(value, {_text(_CARD_IN_TEXT)}),
                                lambda card: regexp_replace(card, '[^0-9]', '', 'g')
                            ),
                            lambda digits: {_LUHN}
                        )
                    ) > 0 as has_card,
                from candidates
            )
        select
            count(*) filter (where has_card),
            count(*) filter (where has_email),
            count(*) filter (where has_ip),
            count(*) filter (where has_phone),
        from flagged
        """
    ).fetchall()[0]
    return list(zip(("card number", "e-mail address", "IP address", "phone number"), counts, strict=True))


def _is_candidate(column: str) -> str:
    return f"regexp_matches({_as_text(column)}, {_text(_ANY)})"


def _as_text(column: str) -> str:
    return f"cast({_quoted(column)} as varchar)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
