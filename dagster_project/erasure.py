"""Erase people: their rows at once, all that was made of them with the next night, old copies and bytes after it.

What is left equals a world in which no row with one of their identifiers was ever delivered. Only the anonymous rows
that had been stitched to them are told apart: those stay on their device and belong to nobody, whoever logs in there.

An erasure is asked for (`ops.erasures`, with the identifiers in `ops.suppressed_identifiers`, before anything is
deleted), then its rows are deleted, then a night rebuilds everything without them, then older versions, copies and
the bytes of deleted rows go. Each step may be repeated, and whoever comes next goes on where a killed one stopped.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.landing import erasure, ledger, tokens
from dagster_project.landing.contracts import IDENTIFIER_TYPES, TableContract
from dagster_project.landing.erasure import Purged
from dagster_project.landing.landing import ensure_tables, open_landing
from dagster_project.publishing.postgres import bring_up_to_date
from dagster_project.publishing.versions import forget_others
from dagster_project.settings import Settings
from dagster_project.warehouse import REWRITING, open_warehouse, rewrite

# What a person is known by. A device may be anybody's and its anonymous rows stay; accounts and orders are no person.
PERSONAL_TYPES = tuple(kind for kind in IDENTIFIER_TYPES if kind not in ("device_id", "account_id"))
_TOKEN = re.compile(r"[a-z_]+(:[a-z0-9_]+)?:[0-9a-f]{32}")
_PERSON = re.compile(r"p_[0-9a-f]+")


@dataclass(frozen=True, kw_only=True)
class Known:
    """One identifier of a person.

    Attributes
    ----------
    identifier : str
        The token.
    kind : str
        Its type, such as ``email``.
    since : datetime or None
        When it was first available.
    tier : str or None
        How surely it is this person's, where identity says so.
    """

    identifier: str
    kind: str
    since: datetime | None = None
    tier: str | None = None

    @property
    def is_personal(self) -> bool:
        """Whether rows that carry it are the person's."""
        return self.kind in PERSONAL_TYPES


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who was asked for.

    Attributes
    ----------
    person_id : str or None
        None of somebody whose rows have landed since the last night.
    asked_for : str
        The token or person id that the value stands for; never the readable value.
    identifiers : tuple of Known
        Strongest types first.
    may_be_theirs : tuple of str
        Tokens that stood on rows with theirs and were not linked for want of consent.
    """

    person_id: str | None
    asked_for: str
    identifiers: tuple[Known, ...]
    may_be_theirs: tuple[str, ...] = ()

    @property
    def personal(self) -> list[str]:
        """The tokens by which the rows are found."""
        return [known.identifier for known in self.identifiers if known.is_personal]

    @property
    def counts(self) -> str:
        """How many identifiers of which type, in words."""
        kinds = Counter(known.kind for known in self.identifiers)
        return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


@dataclass(kw_only=True)
class Erased:
    """What an erasure did, or would do.

    Attributes
    ----------
    persons : list of Person
        Who.
    purged : Purged
        What has landed of them.
    unowned_events : int
        Anonymous events that stay on their device and belong to nobody.
    told : list of str
        What a person should know or do, a sentence each.
    """

    persons: list[Person] = field(default_factory=list)
    purged: Purged = field(default_factory=Purged)
    unowned_events: int = 0
    told: list[str] = field(default_factory=list)


# --- who is meant -------------------------------------------------------------------------------


@contextmanager
def open_for_look(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse to look somebody up: nothing is written, and readable values become tokens.

    Raises
    ------
    ThroughlineError
        If there is no warehouse yet, it is in use, or the key is missing or another.
    """
    if not settings.warehouse_path.is_file():
        raise ThroughlineError(
            f"There is no warehouse in {settings.data} yet, so nobody is known; `throughline run` makes it."
        )
    with open_warehouse(settings, read_only=True) as connection:
        if not {"ops.facts", "ops.suppressed_identifiers"} <= _tables(connection):
            raise ThroughlineError(f"Nothing has landed in {settings.warehouse_path} yet, so nobody is known.")
        fingerprint = ledger.fact(connection, ledger.KEY_FINGERPRINT)
        if not settings.key_file.exists():
            raise ThroughlineError(
                f"The key file {settings.key_file} is missing, so no value can be turned into its token; put the "
                "saved copy back (THROUGHLINE_KEY_FILE says where)."
            )
        tokens.prepare_connection(connection, key=tokens.load_or_create_key(settings.key_file, fingerprint=fingerprint))
        yield connection


def find(
    connection: duckdb.DuckDBPyConnection, contracts: Sequence[TableContract], values: Sequence[str]
) -> tuple[list[Person], list[str]]:
    """Find who is meant by readable values, tokens or person ids.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        With the key, from `open_for_look` or `open_landing`.
    contracts : sequence of TableContract
        All tables.
    values : sequence of str
        What was asked for.

    Returns
    -------
    list of Person
        Each person once, in the order of the values.
    list of str
        A sentence for each value of somebody who is erased already.

    Raises
    ------
    ThroughlineError
        If a value is nobody's, or more than one person's; the sentence does not repeat the value.
    """
    persons: dict[str, Person] = {}
    told = []
    for place, value in enumerate(values, start=1):
        which = "The value" if len(values) == 1 else f"Value {place} of {len(values)}"
        found = _find(connection, contracts, value.strip(), which=which)
        if isinstance(found, str):
            told.append(found)
        else:
            persons.setdefault(found.person_id or found.asked_for, found)
    return list(persons.values()), told


def _find(
    connection: duckdb.DuckDBPyConnection, contracts: Sequence[TableContract], value: str, *, which: str
) -> Person | str:
    """The person a value stands for, or a sentence that says that they are erased already."""
    if _PERSON.fullmatch(value):
        if person := _person(connection, value, asked_for=value):
            return _unless_erased(connection, person, which=which)
        _tell_heir(connection, value, which=which)
    candidates = [value] if _TOKEN.fullmatch(value) else erasure.tokens_of(connection, contracts, value)
    if not candidates:
        raise ThroughlineError(f"{which} is blank or one that never identifies anybody; nothing was done.")
    known = _rows(
        connection,
        "identity.identifiers",
        "select identifier, identifier_type, person_id, is_shared_device from identity.identifiers "
        "where list_contains(?, identifier) order by identifier",
        candidates,
    )
    owners = sorted({owner for _, _, owner, is_shared in known if owner and not is_shared})
    if len(owners) > 1:
        listed = ", ".join(f"{name} of {owner}" for name, _, owner, _ in known if owner)
        raise ThroughlineError(
            f"{which} is an identifier of {len(owners)} persons ({listed}); name the token of the one you mean."
        )
    if owners:
        asked_for = next(name for name, _, owner, _ in known if owner == owners[0])
        person = _person(connection, owners[0], asked_for=asked_for)
        assert person is not None
        return _unless_erased(connection, person, which=which)
    if any(is_shared for *_, is_shared in known):
        raise ThroughlineError(f"{which} is a device that several persons use; name one of them by another identifier.")
    if erased := _erased(connection, candidates):
        return _told_erased(erased, which=which)
    return _landed_since(
        connection, contracts, candidates, known=[(name, kind) for name, kind, *_ in known], which=which
    )


def _tell_heir(connection: duckdb.DuckDBPyConnection, person_id: str, *, which: str) -> None:
    """Of an id that somebody wrote down and that is no more, say whose it has become."""
    merged = _rows(
        connection,
        "identity.changes",
        "select changed_on, person_id_after, reason from identity.changes "
        "where kind = 'merge' and person_id_before = ? order by changed_on desc limit 1",
        person_id,
    )
    for changed_on, heir, reason in merged:
        raise ThroughlineError(
            f"{which} is a person who was found on {changed_on} to be {heir} ({reason}); ask for that one."
        )


def _erased(connection: duckdb.DuckDBPyConnection, identifiers: Sequence[str]) -> dict[str, datetime]:
    """Those of some identifiers whose rows do not land any more, and since when."""
    return dict(
        _rows(
            connection,
            "ops.suppressed_identifiers",
            "select identifier, min(suppressed_at) from ops.suppressed_identifiers "
            "where list_contains(?, identifier) group by identifier",
            list(identifiers),
        )
    )


def _told_erased(erased: Mapping[str, datetime], *, which: str) -> str:
    return f"{which} is of somebody who was erased on {min(erased.values()):%Y-%m-%d} already."


def _unless_erased(connection: duckdb.DuckDBPyConnection, person: Person, *, which: str) -> Person | str:
    """The person, or a sentence if they are erased and only the next night will forget them."""
    erased = _erased(connection, person.personal)
    return _told_erased(erased, which=which) if person.personal and len(erased) == len(person.personal) else person


def _landed_since(
    connection: duckdb.DuckDBPyConnection,
    contracts: Sequence[TableContract],
    candidates: Sequence[str],
    *,
    known: Sequence[tuple[str, str]],
    which: str,
) -> Person:
    """Somebody whom no night has seen yet: known by this one identifier alone."""
    found = []
    for identifier in candidates:
        kind = identifier.split(":", 1)[0]
        if kind in PERSONAL_TYPES:
            erasure.name_theirs(connection, [identifier])
            if erasure.count_theirs(connection, contracts).row_count:
                found.append(Known(identifier=identifier, kind=kind))
    if len(found) > 1:
        listed = ", ".join(one.identifier for one in found)
        raise ThroughlineError(f"{which} is known as {listed}; name the token of the one you mean.")
    if found:
        return Person(person_id=None, asked_for=found[0].identifier, identifiers=(found[0],))
    if known:
        raise ThroughlineError(f"{which} is the {known[0][1]} {known[0][0]} and of no person; nothing was done.")
    raise ThroughlineError(
        f"{which} is known to no table and nobody was erased by it; write it as an export does, or give a token or "
        "a person id."
    )


def _person(connection: duckdb.DuckDBPyConnection, person_id: str, *, asked_for: str) -> Person | None:
    """Everything that a person holds today; None without any."""
    if "identity.identifiers" not in _tables(connection):
        return None
    columns = {name for name, *_ in connection.execute("describe identity.identifiers").fetchall()}
    tier = "link_tier" if "link_tier" in columns else "null"
    rows = connection.execute(
        f"""
        select identifier, identifier_type, first_available_at, {tier} from identity.identifiers
        where person_id = ? order by list_position(?, identifier_type), identifier
        """,
        [person_id, list(IDENTIFIER_TYPES)],
    ).fetchall()
    if not rows:
        return None
    order = {kind: place for place, kind in enumerate((*PERSONAL_TYPES, "device_id"))}
    known = sorted(
        (Known(identifier=name, kind=kind, since=since, tier=tier) for name, kind, since, tier in rows),
        key=lambda one: (order.get(one.kind, len(order)), one.identifier),
    )
    return Person(
        person_id=person_id,
        asked_for=asked_for,
        identifiers=tuple(known),
        may_be_theirs=_withheld(connection, [one.identifier for one in known if one.is_personal]),
    )


def _withheld(connection: duckdb.DuckDBPyConnection, personal: Sequence[str]) -> tuple[str, ...]:
    """Tokens that stood on a row with theirs, and that consent kept apart."""
    rows = _rows(
        connection,
        "identity.links",
        """
        select distinct other from (
            select identifier_a as own, identifier_b as other from identity.links where link_kind = 'withheld'
            union all
            select identifier_b, identifier_a from identity.links where link_kind = 'withheld'
        )
        where list_contains($1, own) and not list_contains($1, other)
            and list_contains($2, split_part(other, ':', 1))
        order by other
        """,
        list(personal),
        list(PERSONAL_TYPES),
    )
    return tuple(other for (other,) in rows)


def _shared_with_others(connection: duckdb.DuckDBPyConnection, person: Person) -> tuple[list[str], int]:
    """Tokens of theirs that stood on rows with somebody else's, and how many others there are."""
    rows = _rows(
        connection,
        "identity.identifiers",
        """
        select distinct own, holders.person_id from (
            select identifier_a as own, identifier_b as other, link_kind from identity.links
            union all
            select identifier_b, identifier_a, link_kind from identity.links
        ) as seen
        inner join identity.identifiers as holders on seen.other = holders.identifier
        where seen.link_kind = 'deterministic' and list_contains($1, seen.own)
            and list_contains($2, holders.identifier_type) and holders.person_id <> $3
        """,
        person.personal,
        list(PERSONAL_TYPES),
        person.person_id,
    )
    return sorted({own for own, _ in rows}), len({other for _, other in rows})


def tell_person(person: Person) -> list[str]:
    """Say who somebody is: the person, then a line for each identifier."""
    since = min((one.since for one in person.identifiers if one.since), default=None)
    name = f"Person {person.person_id}" if person.person_id else "Somebody whom no run has resolved yet"
    lines = [f"{name}{f', known since {since:%Y-%m-%d}' if since else ''}: {person.counts}."]
    for one in person.identifiers:
        first = f"{one.since:%Y-%m-%d}" if one.since else "-"
        lines.append(f"  {one.kind:<11}{first:<12}{one.tier or '':<10}{one.identifier}".rstrip())
    lines += [f"  may be theirs, not linked for want of consent: {other}" for other in person.may_be_theirs]
    return lines


# --- asked for, and the rows deleted ------------------------------------------------------------


def foretell(settings: Settings, contracts: Sequence[TableContract], values: Sequence[str]) -> Erased:
    """Say what an erasure would do, and do nothing."""
    with open_for_look(settings) as connection:
        persons, told = find(connection, contracts, values)
        report = Erased(persons=persons, told=told)
        _need_personal(persons)
        for person in persons:
            report.unowned_events += len(_stitched(connection, person))
        erasure.name_theirs(connection, [name for person in persons for name in person.personal])
        report.purged = erasure.count_theirs(connection, contracts)
        report.told += _hints(connection, settings, persons)
    return report


def erase(settings: Settings, contracts: Sequence[TableContract], values: Sequence[str]) -> Erased:
    """Ask for an erasure and delete the rows; the next night rebuilds what was made of them.

    Parameters
    ----------
    settings : Settings
        Whose warehouse is meant; its right must be held.
    contracts : sequence of TableContract
        All tables.
    values : sequence of str
        Readable values, tokens or person ids.

    Returns
    -------
    Erased
        Without persons if all of them are erased already.

    Raises
    ------
    ThroughlineError
        If somebody is not known or not told apart; nobody is erased then.
    """
    with open_for_look(settings) as connection:
        find(connection, contracts, values)
    with open_landing(settings) as connection:
        for contract in contracts:
            ensure_tables(connection, contract)
        persons, told = find(connection, contracts, values)
        report = Erased(persons=persons, told=told)
        _need_personal(persons)
        if persons:
            report.told += _hints(connection, settings, persons)
            report.unowned_events = _ask(connection, contracts, persons)
            failpoint("erasure.asked")
        if ledger.has_erasures(connection, state=ledger.REQUESTED):
            readable = [
                value.strip() for value in values if not _TOKEN.fullmatch(value) and not _PERSON.fullmatch(value)
            ]
            report.purged = erasure.purge(connection, contracts, values=readable)
    _remove_worlds_apart(settings)
    failpoint("erasure.rows_deleted")
    return report


def _need_personal(persons: Sequence[Person]) -> None:
    for person in persons:
        if not person.personal:
            raise ThroughlineError(
                f"{person.asked_for} is a device on which nobody is known, so there is no row that names a person; "
                "nothing was done."
            )


def _ask(connection: duckdb.DuckDBPyConnection, contracts: Sequence[TableContract], persons: Sequence[Person]) -> int:
    """Write down who is to go and which anonymous events stay without an owner, in one transaction."""
    now = datetime.now(UTC).replace(tzinfo=None)
    unowned = 0
    with ledger.transaction(connection):
        for person in persons:
            erasure_id = uuid.uuid4().hex
            erasure.name_theirs(connection, person.personal)
            rows = erasure.count_theirs(connection, contracts).row_count
            connection.execute(
                "insert into warehouse.ops.erasures values (?, ?, ?, ?)", [erasure_id, now, ledger.REQUESTED, rows]
            )
            connection.execute(
                # To the day: finer, the instant would tell which tokens were one person's.
                "insert into warehouse.ops.suppressed_identifiers select identifier, date_trunc('day', ?::timestamp) "
                "from theirs anti join warehouse.ops.suppressed_identifiers using (identifier) order by identifier",
                [now],
            )
            events = _stitched(connection, person)
            for start in range(0, len(events), 10_000):
                connection.execute(
                    "insert into warehouse.ops.erased_events "
                    "select unnest(?::varchar[]), unnest(?::varchar[]), ?::varchar",
                    [*map(list, zip(*events[start : start + 10_000], strict=True)), erasure_id],
                )
            unowned += len(events)
        failpoint("erasure.before_asked")
    return unowned


# Events whose owner is a device of theirs, or one that several use and that was lent to them; and events of theirs
# that were delivered without a name as well: the delivery that stays is anonymous.
_STITCHED = """
    with
        devices as (
            select identifier from identity.identifiers where identifier_type = 'device_id' and person_id = $person
        ),
        visited as (
            select distinct keys.device_id
            from timeline.event_keys as keys
            inner join identity.identifiers as devices
                on keys.device_id = devices.identifier and devices.is_shared_device
            where keys.owner_identifier in (select identifier from theirs)
        ),
        lent as (
            select
                keys.event_id, keys.device_id, keys.owner_identifier = keys.device_id as is_anonymous,
                last_value(
                    case when owners.identifier_type <> 'device_id' then owners.person_id end ignore nulls
                ) over (
                    partition by keys.device_id order by keys.occurred_at, keys.event_id
                    rows between unbounded preceding and current row
                ) as person_id
            from timeline.event_keys as keys
            semi join visited on keys.device_id = visited.device_id
            left join identity.identifiers as owners on keys.owner_identifier = owners.identifier
        ),
        named_elsewhere as (
            select source, source_table, event_key
            from timeline.event_keys
            where copy_count > 1 and owner_identifier in (select identifier from theirs)
        ),
        stitched as (
            select event_id, device_id from timeline.event_keys semi join devices on owner_identifier = identifier
            union
            select event_id, device_id from lent where is_anonymous and person_id = $person
            union
            select keys.event_id, keys.device_id
            from timeline.event_keys as keys
            inner join timeline.stitched_events as events on keys.event_id = events.event_id
            where events.person_id = $person and keys.owner_identifier = keys.device_id
            union
            select md5(staged.source || '|' || staged.source_table || '|' || staged.event_key), staged.device_id
            from staging.events as staged
            inner join named_elsewhere using (source, source_table, event_key)
            where not starts_with(staged.device_id, 'junk_') and {is_anonymous}
        )
    select event_id, device_id from stitched where device_id is not null
    -- By their hash: the order in which they stand tells nothing.
    order by md5(event_id), device_id
"""


def _stitched(connection: duckdb.DuckDBPyConnection, person: Person) -> list[tuple[str, str]]:
    """Anonymous events that are the person's today, with their devices."""
    needed = {"identity.identifiers", "timeline.event_keys", "timeline.stitched_events"}
    if person.person_id is None or not needed <= _tables(connection):
        return []
    erasure.name_theirs(connection, person.personal)
    anonymous = " and ".join(
        f"(staged.{kind} is null or starts_with(staged.{kind}, 'junk_'))" for kind in PERSONAL_TYPES
    )
    return connection.execute(_STITCHED.format(is_anonymous=anonymous), {"person": person.person_id}).fetchall()


def _hints(connection: duckdb.DuckDBPyConnection, settings: Settings, persons: Sequence[Person]) -> list[str]:
    """What nobody but a person can do."""
    told = []
    for person in persons:
        if person.may_be_theirs:
            told.append(
                f"{len(person.may_be_theirs)} more identifiers stood on rows with those of {person.asked_for} and were "
                "not linked for want of consent; if they are theirs as well, erase them too: "
                f"{', '.join(person.may_be_theirs)}."
            )
        shared, others = _shared_with_others(connection, person)
        if shared:
            told.append(
                f"Rows of {others} other {'person' if others == 1 else 'persons'} carry an identifier of "
                f"{person.asked_for}: those rows go too, and later ones with it do not land: {', '.join(shared)}."
            )
        likely = [one.identifier for one in person.identifiers if one.tier in ("strong", "probable")]
        if likely:
            told.append(
                f"{len(likely)} identifiers are those of {person.asked_for} by likeness alone and go too: "
                f"{', '.join(likely)}."
            )
        named = _rows(
            connection,
            "staging.identity_overrides",
            "select count(*) from staging.identity_overrides "
            "where list_contains($1, identifier_a) or list_contains($1, identifier_b)",
            person.personal,
        )
        if named and named[0][0]:
            told.append(
                f"{named[0][0]} lines of dbt/seeds/identity_overrides.csv name {person.asked_for}; take them out."
            )
    if settings.postgres_url is None and (settings.data / "postgres.json").is_file():
        place = json.loads((settings.data / "postgres.json").read_text(encoding="utf-8")).get("place")
        told.append(
            f"PostgreSQL at {place} was published to earlier and THROUGHLINE_POSTGRES_URL is not set now; what it "
            "shows still tells of them."
        )
    return told


# --- what is left of them after a night without them --------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What became of the copies.

    Attributes
    ----------
    sentence : str
        In one sentence.
    is_complete : bool
        Whether nobody's erasure waits any more.
    """

    sentence: str
    is_complete: bool


def finish(settings: Settings, *, run_id: str) -> Finished:
    """Remove what still tells of people without whom a night has been built and published.

    Older versions, those in PostgreSQL, worlds as of earlier days, dbt's leavings, and the bytes of deleted rows in
    the files of warehouse and vault.

    Parameters
    ----------
    settings : Settings
        Whose data folder is meant; nobody has its files open.
    run_id : str
        The run that published.
    """
    with open_warehouse(settings, with_vault=True) as connection:
        ledger.create_tables(connection)
        if not ledger.has_erasures(connection, state=ledger.REBUILT):
            waiting = any(ledger.has_erasures(connection, state=state) for state in (ledger.REQUESTED, ledger.DELETED))
            told = "Somebody waits to be erased by a whole night." if waiting else "Nobody waits to be erased."
            return Finished(sentence=told, is_complete=not waiting)
        # Which devices were one person's is told no more.
        connection.execute("update warehouse.ops.erased_events set erasure_id = null")
        # The night is over that was told to rebuild what their tokens label.
        if "timeline.affected_components" in _tables(connection):
            connection.execute("delete from warehouse.timeline.affected_components")
    try:
        old = forget_others(settings)
        failpoint("erasure.versions_gone")
        if problem := _forget_in_postgres(settings, run_id=run_id):
            return Finished(sentence=f"The erasure is not complete: {problem}", is_complete=False)
        worlds = _remove_worlds_apart(settings)
        for leftover in (settings.data / "dbt_target", settings.data / "tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        rewrite(settings, settings.vault_path)
        rewrite(settings, settings.warehouse_path)
    except OSError as error:
        raise ThroughlineError(
            f"What is left of erased people in {settings.data} could not be removed ({error.strerror}); mend that, the "
            "next run tries again."
        ) from error
    failpoint("erasure.before_done")
    with open_warehouse(settings) as connection:
        [(count,)] = connection.execute(
            "update ops.erasures set state = ? where state = ?", [ledger.DONE, ledger.REBUILT]
        ).fetchall()
    return Finished(
        sentence=f"{count} {'erasure is' if count == 1 else 'erasures are'} complete: warehouse and vault are "
        f"rewritten, {len(old)} older versions and {len(worlds)} worlds of earlier days are removed.",
        is_complete=True,
    )


def _forget_in_postgres(settings: Settings, *, run_id: str) -> str | None:
    """Remove the older versions there too; why not, in a sentence."""
    if not settings.postgres_url:
        return None
    report = bring_up_to_date(settings, run_id=run_id)
    if not report.is_current:
        return report.summary
    if report.put_off:
        return (
            f"PostgreSQL at {report.place} still holds {', '.join(report.put_off)}, which somebody uses or has built "
            "views on; the next run tries again."
        )
    return None


def _remove_worlds_apart(settings: Settings) -> list[str]:
    """Remove the copies that runs as of earlier days made: asked again, a run makes them anew."""
    folder = settings.data / "as_of"
    worlds = sorted(path.name for path in folder.glob("*") if path.is_dir())
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(settings.data / REWRITING, ignore_errors=True)
    return worlds


def standing(settings: Settings) -> str | None:
    """Say which erasures are under way; None if none is."""
    with open_warehouse(settings, read_only=True) as connection:
        rows = _rows(
            connection,
            "ops.erasures",
            "select state, count(*) from ops.erasures where state <> ? group by state order by state",
            ledger.DONE,
        )
    if not rows:
        return None
    return f"Erasures under way: {', '.join(f'{count} {state}' for state, count in rows)}; the next run goes on."


def _rows(connection: duckdb.DuckDBPyConnection, table: str, query: str, *params: object) -> list[tuple]:
    """What a query finds; nothing if the table is not there yet."""
    return connection.execute(query, list(params)).fetchall() if table in _tables(connection) else []


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute(
        """
        select schema_name || '.' || table_name from duckdb_tables() where database_name = 'warehouse'
        union all
        select schema_name || '.' || view_name from duckdb_views() where database_name = 'warehouse'
        """
    ).fetchall()
    return {name for (name,) in rows}
