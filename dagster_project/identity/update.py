"""Bring the identity tables up to date: only the components that new evidence touches are resolved again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from dagster_project.failpoints import failpoint
from dagster_project.identity.evidence import ALWAYS_KIND, EVIDENCE_COLUMNS, LINK_COLUMNS, NEVER_KIND, encode
from dagster_project.identity.history import History, replay_evidence
from dagster_project.identity.resolution import Resolution, resolve_evidence
from dagster_project.identity.rules import SEED_COLUMNS, IdentifierRules
from dagster_project.settings import end_of_day

_METHOD = "3"
"""Raise it when the same evidence gives other persons than before: everything is resolved again."""

_OVERRIDES_SCHEMA = pa.schema(
    [
        ("identifier_a", pa.string()),
        ("identifier_b", pa.string()),
        ("link_kind", pa.string()),
        ("confidence", pa.float64()),
        ("first_available_at", pa.timestamp("us")),
        ("note", pa.string()),
    ]
)

_TABLES = """
create schema if not exists identity;
create schema if not exists ops;
create table if not exists identity.identifiers (
    identifier varchar, identifier_type varchar, person_id varchar, component_id varchar,
    is_shared_device boolean, link_tier varchar, first_available_at timestamp, first_occurred_at timestamp
);
alter table identity.identifiers add column if not exists link_tier varchar;
alter table identity.identifiers add column if not exists first_occurred_at timestamp;
create table if not exists identity.persons (
    person_id varchar, anchor varchar, component_id varchar, first_available_at timestamp, identifier_count bigint
);
create table if not exists identity.refused_links (
    identifier_a varchar, identifier_b varchar, link_kind varchar, confidence double,
    first_available_at timestamp, reason varchar
);
create table if not exists identity.identifier_history (
    identifier varchar, person_id varchar, valid_from timestamp, valid_to timestamp, known_from timestamp,
    known_to timestamp
);
alter table identity.identifier_history add column if not exists valid_from timestamp;
alter table identity.identifier_history add column if not exists valid_to timestamp;
create table if not exists identity.changes (
    change_id varchar, changed_on date, kind varchar, person_id_before varchar, person_id_after varchar,
    identifiers varchar[], reason varchar, component_id varchar
);
create table if not exists identity.resolved_links (
    identifier_a varchar, identifier_b varchar, link_kind varchar, confidence double, first_available_at timestamp,
    note varchar
);
alter table identity.resolved_links add column if not exists note varchar;
create table if not exists identity.resolved_with (method varchar);
create table if not exists ops.affected_components (component_id varchar);
"""

# One row per pair and kind, whatever the number of sources that saw it. Links of identifiers that never identify
# (accounts) connect nothing; left in, they would reach out of the components that are resolved again. What somebody
# decided, and what is probable, counts once both identifiers were seen.
_EVIDENCE = """
create or replace temp table person_types as
select identifier_type from staging.identifier_rules where is_person_identifier;
create or replace temp table sightings as
select identifier, first_available_at, coalesce(first_occurred_at, first_available_at) as first_occurred_at
from identity.identifier_sightings
where first_available_at <= getvariable('as_of');
create or replace temp table evidence_links as
select
    identifier_a, identifier_b, link_kind, max(confidence) as confidence,
    min(first_available_at) as first_available_at, cast(null as varchar) as note
from identity.links
where
    first_available_at <= getvariable('as_of')
    and (
        link_kind = 'order'
        or split_part(identifier_a, ':', 1) in (from person_types)
        and split_part(identifier_b, ':', 1) in (from person_types)
    )
group by all
union all
select
    identifier_a, identifier_b, link_kind, max(confidence) as confidence,
    min(first_available_at) as first_available_at, max(note) as note
from {decided_or_probable}
where
    first_available_at <= getvariable('as_of')
    and identifier_a in (select identifier from sightings)
    and identifier_b in (select identifier from sightings)
    and split_part(identifier_a, ':', 1) in (from person_types)
    and split_part(identifier_b, ':', 1) in (from person_types)
group by identifier_a, identifier_b, link_kind;
-- Two sums tell most nights apart from a quiet one; only where they differ the rows are compared.
create or replace temp table news as
select
    (select (count(*), sum(hash(identifier_a, identifier_b, link_kind, confidence, first_available_at, note)))
     from evidence_links)
    is distinct from
    (select (count(*), sum(hash(identifier_a, identifier_b, link_kind, confidence, first_available_at, note)))
     from identity.resolved_links) as of_links,
    (select (count(*), sum(hash(identifier, first_available_at, first_occurred_at))) from sightings)
    is distinct from
    (select (count(*), sum(hash(identifier, first_available_at, first_occurred_at))) from identity.identifiers)
        as of_sightings;
create or replace temp table new_links as
select * from evidence_links where (select of_links from news)
except select {link_columns} from identity.resolved_links where (select of_links from news);
create or replace temp table gone_links as
select {link_columns} from identity.resolved_links where (select of_links from news)
except select * from evidence_links where (select of_links from news);
create or replace temp table new_sightings as
select * from sightings where (select of_sightings from news)
except select {sighting_columns} from identity.identifiers where (select of_sightings from news);
create or replace temp table gone_sightings as
select {sighting_columns} from identity.identifiers where (select of_sightings from news)
except select * from sightings where (select of_sightings from news);
"""
_LINK_COLUMNS = ", ".join(EVIDENCE_COLUMNS)
_SIGHTING_COLUMNS = "identifier, first_available_at, first_occurred_at"

_PROBABILISTIC = """
select identifier_a, identifier_b, link_kind, confidence, first_available_at, tier as note
from identity.probabilistic_links
"""

# Whatever a change touches lies in the components its identifiers were in, or is new.
_TOUCHED = """
create or replace temp table changed_identifiers as
select identifier_a as identifier from new_links union select identifier_b from new_links
union select identifier_a from gone_links union select identifier_b from gone_links
union select identifier from new_sightings union select identifier from gone_sightings;
create or replace temp table touched as
select identifier from changed_identifiers
union
select identifier from identity.identifiers
where component_id in (
    select component_id from identity.identifiers semi join changed_identifiers using (identifier)
);
"""

_ALL_TOUCHED = """
create or replace temp table touched as
select identifier from sightings union select identifier from identity.identifiers;
"""

_REPLACE = """
create or replace temp table identifiers_before as
select * from identity.identifiers semi join touched using (identifier);
create or replace temp table persons_before as
select distinct person_id from identifiers_before where person_id is not null;
create or replace temp table components_before as select distinct component_id from identifiers_before;

delete from identity.identifiers where identifier in (select identifier from touched);
delete from identity.persons where person_id in (select person_id from persons_before);
delete from identity.refused_links where identifier_a in (select identifier from touched);
delete from identity.identifier_history where identifier in (select identifier from touched);
delete from identity.changes where component_id in (select component_id from components_before);
delete from identity.resolved_links where identifier_a in (select identifier from touched);

insert into identity.identifiers by name select * from identifiers_after;
insert into identity.persons by name select * from persons_after;
insert into identity.refused_links by name select * from refused_after;
insert into identity.identifier_history by name select * from history_after;
insert into identity.changes by name select * from changes_after;
insert into identity.resolved_links by name
select * from evidence_links where identifier_a in (select identifier from touched);
"""

_AFFECTED = """
create or replace temp table changed_owners as
select before.component_id as component_before, after.component_id as component_after
from identifiers_before as before
full join identifiers_after as after using (identifier)
where
    before.person_id is distinct from after.person_id
    or before.component_id is distinct from after.component_id
    or before.is_shared_device is distinct from after.is_shared_device
    or before.link_tier is distinct from after.link_tier;
insert into ops.affected_components
select component_before from changed_owners where component_before is not null
union
select component_after from changed_owners where component_after is not null
except
select component_id from ops.affected_components;
"""

_TEMPORARY = (
    "person_types",
    "overrides",
    "evidence_links",
    "sightings",
    "news",
    "new_links",
    "gone_links",
    "new_sightings",
    "gone_sightings",
    "changed_identifiers",
    "touched",
    "identifiers_before",
    "persons_before",
    "components_before",
    "changed_owners",
)


@dataclass(frozen=True, kw_only=True)
class IdentityReport:
    """What an update found and did.

    Attributes
    ----------
    is_full : bool
        Everything was resolved: a first run, or other rules than before.
    links, new_links, gone_links : int
        Pairs of identifiers (by kind) in all, since the last update, and no longer there.
    identifiers, persons, refused_links, shared_devices : int
        What is known now.
    resolved_identifiers : int
        How many were resolved again.
    affected_components : int
        Recompute units that await rebuilding downstream.
    changes : dict of str to int
        Merges, splits and the like, by kind, in the part that was resolved again.
    largest_person : int
        Identifiers of the person with the most.
    told : list of str
        What somebody should look at, a sentence each: overrides that wait or contradict, types without a rule.
    """

    is_full: bool
    links: int
    new_links: int
    gone_links: int
    identifiers: int
    persons: int
    refused_links: int
    shared_devices: int
    resolved_identifiers: int
    affected_components: int
    changes: dict[str, int]
    largest_person: int
    told: list[str]


def update_identity(connection: duckdb.DuckDBPyConnection, *, as_of: datetime, timezone: str) -> IdentityReport:
    """Resolve what changed in the links, and write it in one transaction.

    Reads ``identity.links``, ``identity.identifier_sightings``, ``staging.identifier_rules``,
    ``staging.identity_overrides`` and, if it is there, ``identity.probabilistic_links``; writes
    ``identity.identifiers, persons, refused_links, changes, identifier_history`` and adds to
    ``ops.affected_components``. The result equals a full rebuild; without news nothing is written.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On the warehouse, for writing.
    as_of : datetime
        UTC instant up to which evidence counts.
    timezone : str
        IANA zone in which the days of the history are cut.
    """
    connection.execute(_TABLES)
    rules = IdentifierRules.from_arrow(
        _arrow(connection, f"select {', '.join(SEED_COLUMNS)} from staging.identifier_rules")
    )
    method = f"{_METHOD}|{timezone}|{rules.fingerprint()}"
    is_full = connection.execute("select method from identity.resolved_with").fetchall() != [(method,)]
    connection.execute("set variable as_of = cast(? as timestamp)", [as_of])
    _gather_evidence(connection, timezone=timezone)
    connection.execute(_ALL_TOUCHED if is_full else _TOUCHED)
    resolved = _count(connection, "touched")
    changes: dict[str, int] = {}
    if is_full or resolved:
        evidence = encode(
            _arrow(connection, "select * from evidence_links semi join touched on identifier_a = touched.identifier"),
            sightings=_arrow(connection, "select * from sightings semi join touched using (identifier)"),
            rules=rules,
        )
        failpoint("identity.before_write")
        history = replay_evidence(evidence, timezone=timezone)
        _write(connection, resolve_evidence(evidence), history, method=method)
        failpoint("identity.after_commit")
        changes = {row["values"]: row["counts"] for row in history.changes["kind"].value_counts().to_pylist()}
    report = IdentityReport(
        is_full=is_full,
        links=_count(connection, "evidence_links"),
        new_links=_count(connection, "new_links"),
        gone_links=_count(connection, "gone_links"),
        identifiers=_count(connection, "identity.identifiers"),
        persons=_count(connection, "identity.persons"),
        refused_links=_count(connection, "identity.refused_links"),
        shared_devices=_count(connection, "identity.identifiers where is_shared_device"),
        resolved_identifiers=resolved,
        affected_components=_count(connection, "ops.affected_components"),
        changes=changes,
        largest_person=_single(connection, "select coalesce(max(identifier_count), 0) from identity.persons"),
        told=_told(connection),
    )
    for table in _TEMPORARY:
        connection.execute(f"drop table if exists temp.{table}")
    return report


def _gather_evidence(connection: duckdb.DuckDBPyConnection, *, timezone: str) -> None:
    """Put together what speaks for and against persons by now, and what of it is new."""
    overrides = _arrow(connection, "select * from staging.identity_overrides").to_pylist()
    table = pa.Table.from_pylist(
        [
            {
                **dict(zip(LINK_COLUMNS[:2], sorted((row["identifier_a"], row["identifier_b"])), strict=True)),
                "link_kind": {"always": ALWAYS_KIND, "never": NEVER_KIND}[row["verdict"]],
                "confidence": 1.0,
                "first_available_at": end_of_day(row["decided_on"], timezone=timezone),
                "note": row["reason"],
            }
            for row in overrides
        ],
        schema=_OVERRIDES_SCHEMA,
    )
    connection.register("given_overrides", table)
    try:
        connection.execute("create or replace temp table overrides as from given_overrides")
    finally:
        connection.unregister("given_overrides")
    is_probabilistic = _count(
        connection,
        "duckdb_tables() where schema_name = 'identity' and table_name = 'probabilistic_links' and not temporary",
    )
    more = f"select {_LINK_COLUMNS} from overrides where identifier_a <> identifier_b"
    if is_probabilistic:
        more = f"{more} union all {_PROBABILISTIC}"
    connection.execute(
        _EVIDENCE.format(
            decided_or_probable=f"({more})", link_columns=_LINK_COLUMNS, sighting_columns=_SIGHTING_COLUMNS
        )
    )


def _told(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Say what of the rules and the overrides had no effect, and why."""
    unruled = _column(
        connection,
        "select distinct identifier_type from identity.identifiers "
        "where identifier_type <> 'order' and identifier_type not in "
        "(select identifier_type from staging.identifier_rules) order by all",
    )
    counted = "overrides where first_available_at <= getvariable('as_of')"
    known = "select identifier from identity.identifiers"
    waiting = _column(
        connection,
        f"select identifier_a from {counted} and identifier_a not in ({known}) "
        f"union select identifier_b from {counted} and identifier_b not in ({known}) order by all",
    )
    void = _column(
        connection,
        f"select identifier_a from {counted} and identifier_a = identifier_b union "
        f"select identifier from identity.identifiers where person_id is null and identifier in "
        f"(select identifier_a from {counted} union all select identifier_b from {counted}) order by all",
    )
    refused = _column(
        connection,
        "select identifier_a || ' and ' || identifier_b from identity.refused_links "
        f"where link_kind = '{ALWAYS_KIND}' order by all",
    )
    return [
        f"{sentence} {_listed(values)}."
        for values, sentence in (
            (
                unruled,
                "These identifier types have no row in dbt/seeds/identifier_rules.csv and identify nobody until "
                "they have one:",
            ),
            (waiting, "Overrides wait for identifiers that nobody has seen yet:"),
            (void, "Overrides have no effect on one identifier alone, or on one that never identifies a person:"),
            (refused, "Overrides contradict each other, and never wins over always for"),
        )
        if values
    ]


def _listed(values: list[str], *, most: int = 5) -> str:
    """Name the first few."""
    more = len(values) - most
    return ", ".join(values[:most]) + (f" and {more} more" if more > 0 else "")


def _write(connection: duckdb.DuckDBPyConnection, resolution: Resolution, history: History, *, method: str) -> None:
    """Replace the touched part of every table, all or nothing."""
    results = {
        "identifiers_after": resolution.identifiers,
        "persons_after": resolution.persons,
        "refused_after": resolution.refused_links,
        "history_after": history.identifier_history,
        "changes_after": history.changes,
    }
    for name, table in results.items():
        connection.register(name, table)
    connection.execute("begin")
    try:
        connection.execute(_REPLACE)
        connection.execute(_AFFECTED)
        connection.execute("delete from identity.resolved_with")
        connection.execute("insert into identity.resolved_with values (?)", [method])
        failpoint("identity.before_commit")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    finally:
        for name in results:
            connection.unregister(name)


def _arrow(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return connection.sql(query).to_arrow_table()


def _column(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [value for (value,) in connection.execute(query).fetchall()]


def _single(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    ((number,),) = connection.execute(query).fetchall()
    return int(number)


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    return _single(connection, f"select count(*) from {relation}")
