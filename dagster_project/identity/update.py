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

_METHOD = "4"
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
create table if not exists identity.hubs (identifier varchar, seen_with bigint, of_class varchar, since timestamp);
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
    identifier_a varchar, identifier_b varchar, link_kind varchar, fingerprint ubigint
);
alter table identity.resolved_links add column if not exists fingerprint ubigint;
create table if not exists identity.resolved_with (method varchar);
create table if not exists ops.affected_components (component_id varchar);
"""

# What counts by now. What somebody decided, and what is probable, counts once both identifiers were seen.
_EVIDENCE = """
create or replace temp view sightings as
select
    rowid as place, identifier, first_available_at,
    coalesce(first_occurred_at, first_available_at) as first_occurred_at
from identity.identifier_sightings
where first_available_at <= getvariable('as_of');
create or replace temp table decided_or_probable as {decided_or_probable};
create or replace temp table named as
select identifier from sightings
where identifier in (
    select identifier_a from decided_or_probable union all select identifier_b from decided_or_probable
);
create or replace temp view given_links as
select
    *, hash(identifier_a, identifier_b, link_kind, confidence, first_available_at, source, note) as fingerprint
from (
    select rowid as place, identifier_a, identifier_b, link_kind, confidence, first_available_at, source, null as note
    from identity.links
    where first_available_at <= getvariable('as_of')
    union all
    select -1 - rowid, identifier_a, identifier_b, link_kind, confidence, first_available_at, source, note
    from decided_or_probable
    where
        first_available_at <= getvariable('as_of')
        and identifier_a in (from named)
        and identifier_b in (from named)
);
-- Text is hashed once a night, into narrow rows that cost little to add up and to compare.
create or replace temp table fingerprints as select place, fingerprint from given_links;
create or replace temp table sighting_fingerprints as
select place, hash(identifier, first_available_at, first_occurred_at) as fingerprint from sightings;
create or replace temp table sighting_fingerprints_before as
select rowid as place, hash(identifier, first_available_at, first_occurred_at) as fingerprint from identity.identifiers;
-- Sums tell most nights apart from a quiet one; only where they differ the rows are compared, by a number of each.
create or replace temp table sums as
select
    (select coalesce(sum(fingerprint), 0) from fingerprints) as of_links,
    (select coalesce(sum(fingerprint), 0) from identity.resolved_links) as of_links_before,
    (select coalesce(sum(fingerprint), 0) from sighting_fingerprints) as of_sightings,
    (select coalesce(sum(fingerprint), 0) from sighting_fingerprints_before) as of_sightings_before;
create or replace temp table new_links (identifier_a varchar, identifier_b varchar, fingerprint ubigint);
create or replace temp table gone_links (identifier_a varchar, identifier_b varchar);
create or replace temp table new_sightings (place bigint, fingerprint ubigint);
create or replace temp table changed_sightings (identifier varchar);
"""

_NEW_LINKS = """
insert into new_links
select identifier_a, identifier_b, fingerprint from given_links
where place in (select place from fingerprints anti join identity.resolved_links using (fingerprint))
"""

_GONE_LINKS = """
insert into gone_links
select identifier_a, identifier_b from identity.resolved_links anti join fingerprints using (fingerprint)
"""

_NEW_SIGHTINGS = """
insert into new_sightings from sighting_fingerprints anti join sighting_fingerprints_before using (fingerprint);
insert into changed_sightings select identifier from sightings where place in (select place from new_sightings);
"""

_GONE_SIGHTINGS = """
insert into changed_sightings
select identifier from identity.identifiers
where
    rowid in (select place from sighting_fingerprints_before anti join sighting_fingerprints using (fingerprint))
    and identifier not in (from changed_sightings)
"""

_PROBABILISTIC = """
select identifier_a, identifier_b, link_kind, confidence, first_available_at, tier as note, source
from identity.probabilistic_links
"""

# Whatever a change touches lies in the components its identifiers were in, or is new.
_TOUCHED = """
create or replace temp table changed_identifiers as
select identifier_a as identifier from new_links union select identifier_b from new_links
union select identifier_a from gone_links union select identifier_b from gone_links
union from changed_sightings;
create or replace temp table components_before as
select distinct component_id from identity.identifiers where identifier in (from changed_identifiers);
-- Found by one column first: the others are then read for few rows.
create or replace temp table places_before as
select rowid as place from identity.identifiers where component_id in (from components_before);
create or replace temp table identifiers_before as
select
    rowid as place, identifier, person_id, component_id, is_shared_device, link_tier, first_available_at,
    first_occurred_at
from identity.identifiers
where rowid in (from places_before);
create or replace temp table touched as
select identifier from changed_identifiers union select identifier from identifiers_before;
create or replace temp view touched_sightings as
select identifier, first_available_at, first_occurred_at from identifiers_before
where identifier not in (from changed_sightings)
union all
select identifier, first_available_at, first_occurred_at from sightings
where place in (select place from new_sightings);
"""

_ALL_TOUCHED = """
create or replace temp table components_before as select distinct component_id from identity.identifiers;
create or replace temp table identifiers_before as
select rowid as place, identifier, person_id, component_id, is_shared_device, link_tier from identity.identifiers;
create or replace temp table touched as
select identifier from sightings union select identifier from identifiers_before;
create or replace temp view touched_sightings as
select identifier, first_available_at, first_occurred_at from sightings;
"""

# One row per pair and kind, whatever the number of sources that saw it. Links of identifiers that never identify
# (accounts) connect nothing; left in, they would reach out of the components that are resolved again.
_TOUCHED_EVIDENCE = """
create or replace temp table touched_links as
select * exclude (place) from given_links where identifier_a in (from touched);
create or replace temp view touched_evidence as
select
    identifier_a, identifier_b, link_kind, max(confidence) as confidence,
    min(first_available_at) as first_available_at, max(note) as note
from touched_links
where
    link_kind = 'order'
    or not starts_with(identifier_a, 'account_id:') and not starts_with(identifier_b, 'account_id:')
group by identifier_a, identifier_b, link_kind
"""

_REPLACE = """
create or replace temp table persons_before as
select distinct person_id from identifiers_before where person_id is not null;

delete from identity.identifiers where rowid in (select place from identifiers_before);
delete from identity.persons where person_id in (select person_id from persons_before);
delete from identity.refused_links where identifier_a in (from touched);
delete from identity.hubs where identifier in (from touched);
delete from identity.identifier_history where identifier in (from touched);
delete from identity.changes where component_id in (select component_id from components_before);
delete from identity.resolved_links where identifier_a in (from touched);

insert into identity.identifiers by name select * from identifiers_after;
insert into identity.persons by name select * from persons_after;
insert into identity.refused_links by name select * from refused_after;
insert into identity.hubs by name select * from hubs_after;
insert into identity.identifier_history by name select * from history_after;
insert into identity.changes by name select * from changes_after;
insert into identity.resolved_links by name
select identifier_a, identifier_b, link_kind, fingerprint from touched_links;
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

_TEMPORARY_VIEWS = ("touched_evidence", "touched_sightings", "given_links", "sightings")
_TEMPORARY = (
    "overrides",
    "decided_or_probable",
    "named",
    "fingerprints",
    "sighting_fingerprints",
    "sighting_fingerprints_before",
    "new_sightings",
    "sums",
    "new_links",
    "gone_links",
    "changed_sightings",
    "changed_identifiers",
    "components_before",
    "places_before",
    "identifiers_before",
    "touched",
    "touched_links",
    "persons_before",
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
        Links that count (by pair, kind and source) in all, new or otherwise than at the last update, and then there
        but no longer so.
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
        What somebody should look at, a sentence each: overrides that wait or contradict, types without a rule,
        identifiers that were seen with too many to link anybody.
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
    ``identity.identifiers, persons, refused_links, hubs, changes, identifier_history`` and adds to
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
        connection.execute(_TOUCHED_EVIDENCE)
        evidence = encode(
            _arrow(connection, "select * from touched_evidence"),
            sightings=_arrow(connection, "from touched_sightings"),
            rules=rules,
        )
        failpoint("identity.before_write")
        history = replay_evidence(evidence, timezone=timezone)
        _write(connection, resolve_evidence(evidence), history, method=method)
        failpoint("identity.after_commit")
        changes = {row["values"]: row["counts"] for row in history.changes["kind"].value_counts().to_pylist()}
    report = IdentityReport(
        is_full=is_full,
        links=_count(connection, "identity.resolved_links"),
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
    for kind, names in (("view", _TEMPORARY_VIEWS), ("table", _TEMPORARY)):
        for name in names:
            connection.execute(f"drop {kind} if exists temp.{name}")
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
        connection.execute("create or replace temp table overrides as select distinct * from given_overrides")
    finally:
        connection.unregister("given_overrides")
    is_probabilistic = _count(
        connection,
        "duckdb_tables() where schema_name = 'identity' and table_name = 'probabilistic_links' and not temporary",
    )
    more = (
        f"select {', '.join(EVIDENCE_COLUMNS)}, 'override' as source from overrides where identifier_a <> identifier_b"
    )
    if is_probabilistic:
        more = f"{more} union all {_PROBABILISTIC}"
    connection.execute(_EVIDENCE.format(decided_or_probable=more))
    ((links, links_before, sightings, sightings_before),) = connection.execute("from sums").fetchall()
    if links != links_before:
        connection.execute(_NEW_LINKS)
        ((new,),) = connection.execute("select coalesce(sum(fingerprint), 0) from new_links").fetchall()
        if links - new != links_before:
            connection.execute(_GONE_LINKS)
    if sightings != sightings_before:
        connection.execute(_NEW_SIGHTINGS)
        ((new,),) = connection.execute("select coalesce(sum(fingerprint), 0) from new_sightings").fetchall()
        if sightings - new != sightings_before:
            connection.execute(_GONE_SIGHTINGS)


def _told(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Say what of the rules, the overrides and the evidence had no effect, and why."""
    unruled = _column(
        connection,
        "select distinct identifier_type from identity.identifiers "
        "where person_id is null and identifier_type <> 'order' and identifier_type not in "
        "(select identifier_type from staging.identifier_rules) order by all",
    )
    counted = "overrides where first_available_at <= getvariable('as_of')"
    given = f"select identifier_a as identifier from {counted} union select identifier_b from {counted}"
    known = f"select identifier, person_id from identity.identifiers where identifier in ({given})"
    waiting = _column(
        connection, f"select identifier from ({given}) anti join ({known}) using (identifier) order by all"
    )
    void = _column(
        connection,
        f"select identifier_a from {counted} and identifier_a = identifier_b union "
        f"select identifier from ({known}) where person_id is null order by all",
    )
    refused = _column(
        connection,
        "select identifier_a || ' and ' || identifier_b from identity.refused_links "
        f"where link_kind = '{ALWAYS_KIND}' order by all",
    )
    hubs = _column(
        connection,
        "select format('{} (with {:,} {})', identifier, seen_with, of_class) from identity.hubs "
        "order by seen_with desc, identifier",
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
            (
                hubs,
                "These were seen with too many to be one person's and link nobody; if a value is a placeholder, add it "
                "to blocked_pattern in dbt/seeds/identifier_rules.csv, so that it is junk in what lands from then on:",
            ),
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
        "hubs_after": resolution.hubs,
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
