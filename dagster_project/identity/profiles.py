"""What people told of themselves: readable profiles from the vault, beside the tokens of the rows they stood on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from dagster_project.identity.probabilistic import FIELDS, PROFILE_SCHEMA
from dagster_project.identity.rules import DEVICE_TYPE

if TYPE_CHECKING:
    from dagster_project.landing.contracts import TableContract

# A profile counts if analytics consent held when it was told and was not withdrawn since, as far as any of its
# identifiers says: as for the links that rows state.
_TOLD = """
create or replace temp table answers as
select identifier, said_at, bool_and(is_granted) as is_granted,
    lead(said_at) over (partition by identifier order by said_at) as valid_to
from staging.consents
where purpose = 'analytics' and identifier is not null
group by identifier, said_at;
create or replace temp table told_profiles as
with told as (
    select row_number() over () as told_id, source, source_table, changed_at, available_at, _file_id, _row_number,
        list_filter([{tokens}], lambda token: token is not null and not starts_with(token, 'junk_')) as identifiers
    from staging.profiles
    where available_at <= getvariable('as_of')
),
asked as (select told_id, changed_at, unnest(identifiers) as identifier from told),
said as (
    select asked.told_id,
        bool_and(answers.is_granted) filter (
            where asked.changed_at >= answers.said_at
            and (asked.changed_at < answers.valid_to or answers.valid_to is null)
        ) as was_granted,
        bool_and(answers.is_granted) filter (where answers.valid_to is null) as is_granted
    from asked
    inner join answers on asked.identifier = answers.identifier
    group by asked.told_id
)
select told.* exclude (told_id)
from told
left join said on told.told_id = said.told_id
where
    coalesce(said.was_granted, list_contains(getvariable('granting'), told.source))
    and coalesce(said.is_granted, list_contains(getvariable('granting'), told.source))
    and len(list_filter(identifiers, lambda token: not starts_with(token, '{device}:'))) > 0;
"""

_TOLD_BY = """
    select told.identifiers, told.source, told.changed_at, told.available_at, {fields}
    from told_profiles as told
    inner join ops.landed_files as files on files.file_id = told._file_id
    inner join vault.main.{name} as kept
        on kept.content_hash = files.content_hash and kept.row_number = told._row_number
    where told.source = '{source}' and told.source_table = '{table}'
"""

# A record that is exported again and again says the same thing once. Its strongest token speaks for it.
_PROFILES = """
with told as ({told}),
split as (
    select * exclude (full_name),
        coalesce(given_name, trim(case
            when full_name like '%,%' then split_part(full_name, ',', 2)
            else regexp_extract(trim(full_name), '^(.*)\\s\\S+$', 1)
        end)) as given,
        coalesce(surname, trim(case
            when full_name like '%,%' then split_part(full_name, ',', 1)
            else regexp_extract(trim(full_name), '(\\S+)$', 1)
        end)) as family,
        coalesce(house_number, regexp_extract(street, '\\b\\d+\\s?[A-Za-z]?\\b')) as house,
        case when house_number is null then regexp_replace(street, '\\b\\d+\\s?[A-Za-z]?\\b', '') else street end as way
    from told
)
select
    list_filter(identifiers, lambda token: not starts_with(token, '{device}:'))[1] as identifier,
    list_sort(identifiers) as identifiers,
    list_sort(list_filter(
        identifiers, lambda token: list_contains({unique_types}::varchar[], split_part(token, ':', 1))
    )) as unique_identifiers,
    * exclude (
        identifiers, changed_at, available_at, given_name, surname, house_number, street, given, family, house, way
    ),
    given as given_name, family as surname, house as house_number, way as street,
    min(changed_at) as first_occurred_at,
    max(changed_at) as last_occurred_at,
    min(available_at) as first_available_at,
    count(*) as seen_count
from split
group by all
"""


def read_profiles(
    connection: duckdb.DuckDBPyConnection, *, contracts: Sequence[TableContract], as_of: datetime
) -> pa.Table:
    """Read every profile known by then that may be used, in an order that its content alone decides.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse, with the vault attached.
    contracts : sequence of TableContract
        Of all exports: their columns say what of a profile they hold, and their sources what consent is the default.
    as_of : datetime
        UTC instant up to which profiles count.

    Returns
    -------
    pyarrow.Table
        ``PROFILE_SCHEMA``, readable: to be given to `link` and forgotten.
    """
    rules = connection.execute(
        "select identifier_type, limit_per_person = 1 and limit_window_days is null from staging.identifier_rules "
        "where is_person_identifier order by priority, identifier_type"
    ).fetchall()
    granting = sorted({c.source for c in contracts if c.consent_default.get("analytics") == "granted"})
    told = [
        _TOLD_BY.format(name=contract.name, source=contract.source, table=contract.table, fields=fields)
        for contract in contracts
        if (fields := _fields(contract))
    ]
    if not told:
        return PROFILE_SCHEMA.empty_table()
    connection.execute("set variable as_of = cast(? as timestamp)", [as_of])
    connection.execute("set variable granting = cast(? as varchar[])", [granting])
    connection.execute(_TOLD.format(tokens=", ".join(name for name, _ in rules), device=DEVICE_TYPE))
    query = _PROFILES.format(
        told=" union all ".join(told),
        device=DEVICE_TYPE,
        unique_types=[name for name, is_unique in rules if is_unique],
    )
    columns = ", ".join(PROFILE_SCHEMA.names)
    found = connection.sql(f"select {columns} from ({query}) order by {columns}").to_arrow_table()
    for table in ("answers", "told_profiles"):
        connection.execute(f"drop table temp.{table}")
    return found.cast(PROFILE_SCHEMA)


def fingerprint(connection: duckdb.DuckDBPyConnection, profiles: pa.Table) -> str:
    """Digest of profiles in any order: the same digest, the same profiles."""
    connection.register("profiles_read", profiles)
    [(digest,)] = connection.execute(
        "select md5(string_agg(line, '' order by line)) from "
        "(select md5(cast(profiles_read as varchar)) as line from profiles_read)"
    ).fetchall()
    connection.unregister("profiles_read")
    return str(digest)


def _fields(contract: TableContract) -> str:
    """SQL for what a row of the contract tells of a person; empty where it tells nothing."""
    told: dict[str, list[str]] = {}
    for column in contract.columns:
        if column.profile:
            told.setdefault(column.profile, []).append(f'cast(kept."{column.name}" as varchar)')
    if not told:
        return ""
    return ", ".join(
        f"coalesce({', '.join(told[name])}) as {name}" if name in told else f"cast(null as varchar) as {name}"
        for name in (*FIELDS, "full_name")
    )
