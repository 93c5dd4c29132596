"""Households and accounts, the levels above persons: made from the vault, told in tokens.

Addresses, surnames and domains of mailboxes are readable in the vault alone. They are compared there, in temporary
tables of one connection; what is kept are ids made from keyed tokens. Both tables are made anew from all that is
known and only their differences are written, so that a night equals a full build.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.failpoints import failpoint
from dagster_project.identity.graph import components
from dagster_project.landing.tokens import blocked_patterns, normalised, token

if TYPE_CHECKING:
    from dagster_project.landing.contracts import TableContract

MOST_IN_A_HOUSEHOLD = 12
"""More persons of one surname at one address are no household: somebody's placeholder, or a whole building."""
MOST_SPELLINGS = 100
"""Among more spellings at one house number and postcode none is taken for another's slip of the pen."""
MOST_OF_A_DOMAIN = 5
"""A domain that more accounts of one system name joins none of them: an agency's, or a placeholder."""

# The canonical columns that may say whose a row is, the strongest first.
_OWNERS = ("user_id", "crm_id", "support_id", "card_id", "email", "phone", "device_id")
_STREET_WORDS = {
    "st": "street",
    "str": "street",
    "rd": "road",
    "ave": "avenue",
    "av": "avenue",
    "ln": "lane",
    "dr": "drive",
    "blvd": "boulevard",
    "pl": "place",
    "sq": "square",
    "ct": "court",
}

_TABLES = """
create schema if not exists identity;
create schema if not exists ops;
create table if not exists identity.households (
    household_id varchar, person_id varchar, identifier varchar, known_from timestamp
);
create table if not exists identity.accounts (
    account_key varchar, person_id varchar, identifier varchar, kind varchar, known_from timestamp
);
create table if not exists ops.affected_components (component_id varchar);
"""

_MACROS = r"""
create or replace temp macro plain_words(value) as
    trim(regexp_replace(replace(strip_accents(lower(value)), 'ß', 'ss'), '[^\p{L}\p{N}]+', ' ', 'g'));
-- What the family goes by: the last word, before a comma if there is one, after titles.
create or replace temp macro family_of(value) as
    nullif(split_part(regexp_replace(
        plain_words(regexp_replace(split_part(value, ',', 1), '[''’-]', '', 'g')), ' (jr|sr|ii|iii|iv|phd|md)$', ''
    ), ' ', -1), '');
create or replace temp macro area_of(postcode, city) as
    coalesce(
        nullif(regexp_replace(replace(plain_words(postcode), ' ', ''), '^(\d{5})\d{4}$', '\1'), ''),
        nullif(plain_words(city), '')
    );
create or replace temp macro domain_of(value) as
    nullif(regexp_extract(
        lower(trim(value)),
        '^(?:[a-z]+://)?(?:[^@/]*@)?(?:www\.)?((?:[\p{L}\p{N}-]+\.)+[\p{L}\p{N}-]+)\.?(?:[/:?].*)?$', 1
    ), '');
create or replace temp macro behind_at(address) as
    rtrim(lower(nullif(split_part(trim(address), '@', -1), trim(address))), '.');
create or replace temp macro domain_token(value) as
    'account_id:domain:' || keyed_hash('account_id|domain|' || value);
create or replace temp macro in_zone(instant) as timezone(getvariable('zone'), timezone('UTC', instant));
create or replace temp macro in_utc(wall_clock) as timezone('UTC', timezone(getvariable('zone'), wall_clock));
-- Where clocks go back over midnight it strikes twice, an hour apart: the first counts, as everywhere.
create or replace temp macro first_in_utc(wall_clock) as
    in_utc(wall_clock) - case
        when in_zone(in_utc(wall_clock) - interval 1 hour) = wall_clock then interval 1 hour else interval 0 hour
    end;
-- What counts as known from a local day on counts from its last microsecond.
create or replace temp macro end_of_day_of(instant) as
    first_in_utc(date_trunc('day', in_zone(instant)) + interval 1 day) - interval 1 microsecond;
"""

# What a person says about analytics with any identifier; of two answers at one instant the refusal counts. A record is
# used if consent held when it was made and has not been withdrawn since.
_PERSONS = """
create or replace temp table level_persons as
select identifier, person_id, component_id from identity.identifiers
where person_id is not null and not is_shared_device;
create or replace temp table level_answers as
select
    person_id, is_granted, said_at as valid_from,
    lead(said_at, 1, timestamp '9999-12-31') over (partition by person_id order by said_at) as valid_to,
    last_value(is_granted) over (
        partition by person_id order by said_at rows between unbounded preceding and unbounded following
    ) as is_granted_now
from (
    select persons.person_id, consents.said_at, bool_and(consents.is_granted) as is_granted
    from staging.consents as consents
    inner join level_persons as persons using (identifier)
    where consents.purpose = 'analytics' and consents.available_at <= getvariable('as_of')
    group by all
);
create or replace temp table level_last_answers as
select distinct person_id, is_granted_now from level_answers;
"""

_SPELLINGS = """
create or replace temp table level_homes as
select
    surname, numbers, area, written,
    array_to_string(list_sort(string_split(written, ' ')), ' ') as line,
    'household:' || keyed_hash(concat_ws(
        '|', 'household', surname, array_to_string(list_sort(string_split(written, ' ')), ' '), numbers, area
    )) as token,
    first_available_at
from (
    select surname, numbers, area, written, min(first_available_at) as first_available_at
    from level_records
    group by all
);
create or replace temp table level_crowds as
select (area, numbers) from level_homes group by area, numbers having count(*) > {most};
create or replace temp table level_slips as
select a.token as token_a, b.token as token_b
from level_homes as a
inner join level_homes as b using (area, numbers, surname)
where a.token < b.token and damerau_levenshtein(a.written, b.written) <= 1
    and (area, numbers) not in (from level_crowds)
union
select a.token, b.token
from level_homes as a
inner join level_homes as b using (area, numbers, line)
where a.token < b.token and damerau_levenshtein(a.surname, b.surname) <= 1
    and least(length(a.surname), length(b.surname)) >= 5
    and (area, numbers) not in (from level_crowds);
"""

# Each person lives where the latest record says; only what says so is kept.
_HOUSEHOLDS = """
create or replace temp table household_records as
select
    homes_of.household_id, records.person_id, records.identifier, records.changed_at, records.first_available_at
from level_records as records
inner join level_homes as homes using (surname, numbers, area, written)
inner join homes_of using (token);
create or replace temp table current_homes as
select person_id, household_id
from household_records
qualify row_number() over (partition by person_id order by changed_at desc, first_available_at desc, household_id) = 1;
create or replace temp table households_after as
select
    household_id, person_id, identifier, end_of_day_of(min(first_available_at)) as known_from
from household_records
semi join current_homes using (person_id, household_id)
anti join (
    select household_id from current_homes group by household_id having count(*) > {most}
) as crowds using (household_id)
group by all;
"""

# Most mailboxes are free mail: only the others get a token.
_MAILBOXES = """
create or replace temp table level_domains as
select domain as name, domain_token(domain) as domain
from (select distinct behind_at(address) as domain from level_addresses)
where regexp_full_match(domain, '([^\\s/:?@.]+\\.)+[^\\s/:?@.]+') and {is_company};
create or replace temp table level_mailboxes as
select
    identifier, domain, bool_and(is_granted_by_default) as is_granted_by_default,
    min(seen.first_available_at) as first_available_at
from (
    select {token} as identifier, domains.domain, is_granted_by_default
    from level_addresses
    inner join level_domains as domains on behind_at(address) = domains.name
)
inner join level_seen as seen using (identifier)
group by all;
"""

_ACCOUNT_EDGES = """
-- A row's account is its owner's: a telephone that was passed on brings nobody to its former owner's company.
create or replace temp table account_members as
select
    members.account, members.identifier, persons.person_id, min(members.available_at) as first_available_at
from (
    select
        account_id as account, {owner} as identifier, source in ({granted}) as is_granted_by_default,
        occurred_at, available_at
    from identity.observations
    where
        account_id is not null and not starts_with(account_id, 'junk_')
        and available_at <= getvariable('as_of')
) as members
inner join level_persons as persons using (identifier)
{consented}
group by all;
-- An account is its record's domain's, or that of more than half of its members' company mailboxes.
create or replace temp table account_domains as
with
    counted as (
        select account, domain, count(*) as mailboxes, sum(count(*)) over (partition by account) as all_mailboxes
        from (
            select distinct members.account, members.person_id, mailboxes.domain
            from account_members as members
            inner join level_persons as persons using (person_id)
            inner join level_mailboxes as mailboxes on persons.identifier = mailboxes.identifier
        )
        group by account, domain
    ),
    named as (
        select account, domain from level_companies
        union
        select account, domain from counted
        where 2 * mailboxes > all_mailboxes and account not in (select account from level_companies)
    )
select account, domain from named
where domain not in (
    select domain from named
    group by domain, split_part(account, ':', 2)
    having count(*) > {most}
);
create or replace temp table account_nodes as
select token, min(first_available_at) as first_available_at
from (
    select identifier as token, first_available_at from identity.identifier_sightings
    where identifier_type = 'account_id' and first_available_at <= getvariable('as_of')
    union all
    select account, first_available_at from level_companies
    union all
    select domain, first_available_at from level_companies
    union all
    select domain, first_available_at from level_mailboxes
)
group by token;
"""

_ACCOUNTS = """
create or replace temp table accounts_after as
select
    account_key, person_id, identifier, min(kind) as kind, end_of_day_of(min(first_available_at)) as known_from
from (
    select
        accounts_of.account_key, null::varchar as person_id, token as identifier,
        if(starts_with(token, 'account_id:domain:'), 'domain', 'company') as kind, nodes.first_available_at
    from account_nodes as nodes
    inner join accounts_of using (token)
    union all
    select accounts_of.account_key, members.person_id, members.identifier, 'company', members.first_available_at
    from account_members as members
    inner join accounts_of on members.account = accounts_of.token
    union all
    -- A role's mailbox is nobody's, but it is the company's.
    select accounts_of.account_key, persons.person_id, mailboxes.identifier, 'domain', mailboxes.first_available_at
    from level_mailboxes as mailboxes
    inner join accounts_of on mailboxes.domain = accounts_of.token
    left join level_persons as persons using (identifier)
    left join level_last_answers as answers using (person_id)
    where
        coalesce(answers.is_granted_now, mailboxes.is_granted_by_default)
        and (persons.person_id is not null or starts_with(mailboxes.identifier, 'junk_'))
)
group by account_key, person_id, identifier;
"""

_CHANGED = """
create or replace temp table level_changes as
select identifier from (
    (from households_after except from identity.households) union all
    (from identity.households except from households_after)
)
union
select identifier from (
    (from accounts_after except from identity.accounts) union all
    (from identity.accounts except from accounts_after)
);
"""

_WRITE = """
delete from identity.households where identifier in (from level_changes);
insert into identity.households from households_after where identifier in (from level_changes);
delete from identity.accounts where identifier in (from level_changes);
insert into identity.accounts from accounts_after where identifier in (from level_changes);
insert into ops.affected_components
select component_id from identity.identifiers semi join level_changes using (identifier)
where component_id is not null and not starts_with(identifier, 'account_id:')
{of_events}
except
select component_id from ops.affected_components;
"""

# Events that name an account or a role's mailbox belong to no component that these lie in.
_OF_EVENTS = """
union
select component_id from timeline.customer_events
where account_id in (from level_changes) or starts_with(email, 'junk_') and email in (from level_changes)
"""

_TEMPORARY = (
    "level_persons",
    "level_answers",
    "level_last_answers",
    "level_records",
    "level_homes",
    "level_crowds",
    "level_slips",
    "household_records",
    "current_homes",
    "households_after",
    "level_addresses",
    "level_domains",
    "level_seen",
    "level_mailboxes",
    "level_companies",
    "account_members",
    "account_domains",
    "account_nodes",
    "accounts_after",
    "level_changes",
)


@dataclass(frozen=True, kw_only=True)
class LevelsReport:
    """What the vault said of households and accounts.

    Attributes
    ----------
    households, in_households : int
        Households, and persons who have one.
    shared_households : int
        Households of two persons or more.
    accounts, in_accounts : int
        Accounts, and persons who have one.
    changed_identifiers : int
        Identifiers whose household or account is another than before.
    """

    households: int
    in_households: int
    shared_households: int
    accounts: int
    in_accounts: int
    changed_identifiers: int


def update_levels(
    connection: duckdb.DuckDBPyConnection, *, contracts: Iterable[TableContract], as_of: datetime, timezone: str
) -> LevelsReport:
    """Find households and accounts in what is known, and write what differs in one transaction.

    A household is everybody of one surname at one address, one slip of the pen aside: the same postcode (else city)
    and house numbers, and one wrong, missing or swapped letter in either street or surname. An account is a company of
    a source, a workspace, or the domain of mailboxes that is nobody's free mail; companies and workspaces that have the
    same domain are one account. Who refused analytics has neither.

    Reads ``identity.identifiers, observations, identifier_sightings``, ``staging.consents, free_mail_domains``, the raw
    tables and the vault; writes ``identity.households, accounts`` and adds to ``ops.affected_components``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        As landing prepares it: the warehouse for writing, the vault attached, the key installed.
    contracts : iterable of TableContract
        They say where surnames, addresses, mailboxes and companies stand.
    as_of : datetime
        UTC instant up to which evidence counts.
    timezone : str
        IANA zone in which days are cut.
    """
    contracts = list(contracts)
    connection.execute(_TABLES)
    connection.execute("set variable as_of = cast(? as timestamp)", [as_of])
    connection.execute("set variable zone = ?", [timezone])
    connection.execute(_MACROS)
    connection.execute(_PERSONS)
    _find_households(connection, contracts)
    _find_accounts(connection, contracts)
    connection.execute(_CHANGED)
    changed = _single(connection, "select count(*) from level_changes")
    if changed:
        has_events = _single(
            connection,
            "select count(*) from duckdb_tables() where (database_name, schema_name, table_name) = "
            "(current_database(), 'timeline', 'customer_events')",
        )
        connection.execute("begin")
        try:
            connection.execute(_WRITE.format(of_events=_OF_EVENTS if has_events else ""))
            failpoint("identity.levels_before_commit")
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
    report = LevelsReport(
        households=_single(connection, "select count(distinct household_id) from identity.households"),
        in_households=_single(connection, "select count(distinct person_id) from identity.households"),
        shared_households=_single(
            connection,
            "select count(*) from (select 1 from identity.households group by household_id "
            "having count(distinct person_id) > 1)",
        ),
        accounts=_single(connection, "select count(distinct account_key) from identity.accounts"),
        in_accounts=_single(connection, "select count(distinct person_id) from identity.accounts"),
        changed_identifiers=changed,
    )
    for table in _TEMPORARY:
        connection.execute(f"drop table if exists temp.{table}")
    return report


def _find_households(connection: duckdb.DuckDBPyConnection, contracts: list[TableContract]) -> None:
    """Make ``households_after``."""
    records = [sql for contract in contracts if (sql := _home_records(contract))]
    connection.execute(f"""
        create or replace temp table level_records as
        with
            written_down as (
                select null::varchar as identifier, null::varchar as surname, null::varchar as full_name,
                    null::varchar as street, null::varchar as postcode, null::varchar as city,
                    false as is_granted_by_default, null::timestamp as changed_at,
                    null::timestamp as first_available_at
                where false
                {"".join(f" union all {sql}" for sql in records)}
            ),
            -- Records repeat themselves with every export: each wording is taken apart once.
            wordings as (
                select
                    persons.person_id, records.* exclude (is_granted_by_default, changed_at, first_available_at),
                    max(records.changed_at) as changed_at, min(records.first_available_at) as first_available_at
                from written_down as records
                inner join level_persons as persons using (identifier)
                {_consented("records", at="changed_at")}
                group by all
            ),
            worded as (
                select
                    person_id, identifier, coalesce(family_of(surname), family_of(full_name)) as surname,
                    area_of(postcode, city) as area, {_street_words("street")} as words,
                    changed_at, first_available_at
                from wordings
            )
        select
            person_id, identifier, surname, area,
            array_to_string(list_sort(list_filter(words, lambda word: regexp_matches(word, '\\d'))), ' ') as numbers,
            array_to_string(list_filter(words, lambda word: not regexp_matches(word, '\\d')), ' ') as written,
            max(changed_at) as changed_at,
            min(first_available_at) as first_available_at
        from worded
        where length(surname) >= 2 and area is not null
        group by person_id, identifier, surname, area, numbers, written
        having numbers <> '' and written <> ''
    """)
    connection.execute(_SPELLINGS.format(most=MOST_SPELLINGS))
    homes = _grouped(connection, nodes="level_homes", edges="level_slips", prefix="h_", named="household_id")
    connection.register("homes_of", homes)
    connection.execute(_HOUSEHOLDS.format(most=MOST_IN_A_HOUSEHOLD))
    connection.unregister("homes_of")


def _home_records(contract: TableContract) -> str | None:
    """SQL for each record's owner, surname and address; None where the contract names no address."""
    told: dict[str, list[str]] = {}
    for column in contract.columns:
        if column.profile:
            told.setdefault(column.profile, []).append(f"kept.{column.name}")
    means = {name: f"coalesce({', '.join(columns)})" for name, columns in told.items()}
    owners = [f"told.{column.name}" for kind in _OWNERS for column in contract.columns if column.identifier == kind]
    surname, full_name, number, street, postcode, city = (
        means.get(name, "null") for name in ("surname", "full_name", "house_number", "street", "postcode", "city")
    )
    if not owners or surname == full_name or street == "null" or postcode == city:
        return None
    return f"""
        select
            {_owner(owners)}, {surname}, {full_name}, concat_ws(' ', {number}, {street}), {postcode}, {city},
            {_is_granted(contract)}, coalesce(told._occurred_at, told.available_at), told.available_at
        {_kept(contract)}
        where {street} is not null and told.available_at <= getvariable('as_of')
    """


def _consented(records: str, *, at: str) -> str:
    """SQL that keeps the records of `persons` made with consent that has not been withdrawn since."""
    return f"""
        left join level_answers as answered
            on persons.person_id = answered.person_id
            and {records}.{at} >= answered.valid_from and {records}.{at} < answered.valid_to
        left join level_last_answers as answers on persons.person_id = answers.person_id
        where coalesce(answered.is_granted, {records}.is_granted_by_default)
            and coalesce(answers.is_granted_now, {records}.is_granted_by_default)
    """


def _owner(columns: Iterable[str]) -> str:
    """SQL for the first of some columns that is no junk."""
    parts = (f"case when not starts_with({column}, 'junk_') then {column} end" for column in columns)
    return f"coalesce({', '.join(parts)})"


def _kept(contract: TableContract) -> str:
    """SQL that joins what the vault keeps of a table's rows to the rows."""
    return f"""
        from vault.main.{contract.name} as kept
        inner join ops.landed_files as files
            on kept.content_hash = files.content_hash and files.status = 'landed'
            and files.source = '{contract.source}' and files.table_name = '{contract.table}'
        inner join raw.{contract.name} as told
            on files.file_id = told._file_id and kept.row_number = told._row_number
    """


def _is_granted(contract: TableContract) -> str:
    return "true" if contract.consent_default.get("analytics") == "granted" else "false"


def _street_words(street: str) -> str:
    """SQL for the words of a street, abbreviations written out."""
    words = f"string_split(regexp_replace(plain_words({street}), '(\\p{{L}})strasse\\b', '\\1 street', 'g'), ' ')"
    cases = " ".join(f"when '{short}' then '{long}'" for short, long in _STREET_WORDS.items())
    return f"list_transform({words}, lambda word: case word {cases} else word end)"


def _find_accounts(connection: duckdb.DuckDBPyConnection, contracts: list[TableContract]) -> None:
    """Make ``accounts_after``."""
    mailboxes = [
        (contract, column.name) for contract in contracts for column in contract.columns if column.identifier == "email"
    ]
    readable = [(contract, name) for contract, name in mailboxes if contract.column(name).vault_type]
    addresses = [
        f"select distinct {name}, {_is_granted(contract)} from vault.main.{contract.name} where {name} is not null"
        for contract, name in readable
    ]
    # Junk has no sighting: when a role's mailbox was first known is asked of the rows themselves.
    junk = [
        f"select {name}, available_at from raw.{contract.name} "
        f"where starts_with({name}, 'junk_') and available_at <= getvariable('as_of')"
        for contract, name in mailboxes
    ]
    connection.execute(f"""
        create or replace temp table level_addresses as
        select null::varchar as address, false as is_granted_by_default where false
        {"".join(f" union {sql}" for sql in addresses)};
        create or replace temp table level_seen as
        select identifier, first_available_at from identity.identifier_sightings
        where identifier_type = 'email' and first_available_at <= getvariable('as_of')
        {"".join(f" union all {sql}" for sql in junk)};
        create or replace temp table level_companies as
        select account, domain, min(first_available_at) as first_available_at
        from (
            select null::varchar as account, null::varchar as domain, null::timestamp as first_available_at where false
            {"".join(f" union all {sql}" for contract in contracts if (sql := _company_records(contract)))}
        )
        group by all;
    """)
    address = normalised("email", "address")
    made = token("email", namespace=None, value=address, blocked_pattern=blocked_patterns().get("email"))
    connection.execute(_MAILBOXES.format(token=made, is_company=_is_company("domain")))
    connection.execute(
        "create or replace temp table level_companies as select account, domain_token(domain) as domain, "
        f"first_available_at from level_companies where {_is_company('domain')}"
    )
    granted = sorted({f"'{contract.source}'" for contract in contracts if _is_granted(contract) == "true"})
    connection.execute(
        _ACCOUNT_EDGES.format(
            most=MOST_OF_A_DOMAIN,
            owner=_owner(_OWNERS),
            granted=", ".join(granted) or "''",
            consented=_consented("members", at="occurred_at"),
        )
    )
    accounts = _grouped(connection, nodes="account_nodes", edges="account_domains", prefix="a_", named="account_key")
    connection.register("accounts_of", accounts)
    connection.execute(_ACCOUNTS)
    connection.unregister("accounts_of")


def _is_company(domain: str) -> str:
    """SQL that tells whether a domain, and what it lies below, is nobody's free mail."""
    labels = f"string_split({domain}, '.')"
    names = [domain, *(f"array_to_string({labels}[-{count}:], '.')" for count in (2, 3))]
    return " and ".join(f"{name} not in (select domain from staging.free_mail_domains)" for name in names)


def _company_records(contract: TableContract) -> str | None:
    """SQL for each company's token, domain and when both were known; None where the contract names no domain."""
    accounts = [column for column in contract.columns if column.identifier == "account_id"]
    domains = [column.name for column in accounts if column.namespace == "domain" and column.vault_type]
    names = [column.name for column in accounts if column.namespace != "domain"]
    if not domains or not names:
        return None
    return f"""
        select told.{names[0]}, domain_of(kept.{domains[0]}), told.available_at
        {_kept(contract)}
        where
            not starts_with(told.{names[0]}, 'junk_') and domain_of(kept.{domains[0]}) is not null
            and told.available_at <= getvariable('as_of')
    """


def _grouped(connection: duckdb.DuckDBPyConnection, *, nodes: str, edges: str, prefix: str, named: str) -> pa.Table:
    """Name each token's group after its anchor, the token that was available first (then the smallest).

    Parameters
    ----------
    nodes, edges : str
        Tables ``token, first_available_at`` and pairs of tokens.
    prefix, named : str
        What the ids begin with, and the column that holds them.
    """
    ordered = connection.sql(
        f"select token from {nodes} group by token order by min(first_available_at), token"
    ).to_arrow_table()
    tokens = ordered["token"].combine_chunks()
    pairs = connection.sql(f"select * from {edges}").to_arrow_table()
    ends = [pc.index_in(pairs[at], value_set=tokens).to_numpy() for at in range(2)]
    anchors = tokens.take(pa.array(components(len(tokens), *ends))).dictionary_encode()
    made = [prefix + hashlib.sha256(anchor.encode()).hexdigest()[:16] for anchor in anchors.dictionary.to_pylist()]
    return pa.table({"token": tokens, named: pa.array(made, pa.string()).take(anchors.indices)})


def _single(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    ((number,),) = connection.execute(query).fetchall()
    return int(number)
