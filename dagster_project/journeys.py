"""The definitions of journeys: what is wrong with them, and what of them the data can show.

Definitions are data, ``journeys.csv`` and ``journey_stages.csv`` among dbt's seeds. What the two say is judged without
a warehouse; whether it happens is asked of the timeline. Every fault is one sentence that names file, line and mend.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import duckdb

from dagster_project.settings import DBT_DIR

SEEDS = DBT_DIR / "seeds"
JOURNEYS, STAGES, TAXONOMY = "journeys.csv", "journey_stages.csv", "event_taxonomy.csv"
#: Fewer attempts are shown and never ranked.
LEAST_RANKED = 30
#: What a guard-rail may name, and where it is read.
GUARD_RAILS = {
    "contact_rate": "stage_contacts.contact_rate",
    "friction_rate": "touchpoints.friction_rate",
    "health_score": "journey_health_scores.health_score",
    "mean_steps": "journey_effort.mean_steps",
    "median_hours": "journey_stages.median_hours_to_next",
    "refund_rate": "customer_timeline: charge_refunded and order_refunded, of orders",
    "satisfaction_score": "journey_stages.satisfaction_score",
}
TABLE = """
    journey varchar, title varchar, start_events varchar, success_events varchar, failure_events varchar,
    window_days integer, is_repeatable boolean, value_amount decimal(18, 2), value_currency varchar, owner varchar,
    guard_rails varchar, attempt_count bigint, problem varchar
"""
_ROLES = {"start_events": "start", "success_events": "success", "failure_events": "failure"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a definition.

    Attributes
    ----------
    journey : str
        Which one.
    sentence : str
        File, line, fault and mend.
    is_certain : bool
        The definition itself is wrong, whatever the data say.
    """

    journey: str
    sentence: str
    is_certain: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a seed.

    Attributes
    ----------
    file : str
        Its name.
    line : int
        Its place in the file, the header being line 1.
    values : mapping of str to str
        By column, without blanks around them.
    """

    file: str
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def fault(self, words: str, *, is_certain: bool = True) -> Fault:
        """A fault of this line."""
        where = f"{self.file}, line {self.line} ({self['journey'] or 'without a name'})"
        return Fault(journey=self["journey"], sentence=f"{where}: {words}", is_certain=is_certain)


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """The seeds that define journeys.

    Attributes
    ----------
    journeys, stages : tuple of Row
        Their lines, in the files' order.
    events : frozenset of str
        The canonical events that the taxonomy knows.
    """

    journeys: tuple[Row, ...]
    stages: tuple[Row, ...]
    events: frozenset[str]

    def stages_of(self, journey: str) -> list[Row]:
        """A journey's stages in order; those without a number come first."""
        return sorted((row for row in self.stages if row["journey"] == journey), key=lambda row: _order(row) or 0)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One event that a definition names, as the data show it.

    Attributes
    ----------
    journey, role, item : str
        Which definition names it, as what (``start``, ``success``, ``failure`` or the stage), and in which words.
    event_count : int
        How often it happened.
    owned_count : int
        Of those, by a person whose attempts it can be part of.
    """

    journey: str
    role: str
    item: str
    event_count: int
    owned_count: int


def read_definitions(folder: Path = SEEDS) -> Definitions:
    """Read the seeds that define journeys.

    Parameters
    ----------
    folder : Path
        Where they are.
    """
    return Definitions(
        journeys=tuple(_rows(folder / JOURNEYS)),
        stages=tuple(_rows(folder / STAGES)),
        events=frozenset(row["event"] for row in _rows(folder / TAXONOMY)),
    )


def _rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for values in reader:
            yield Row(
                file=path.name,
                line=reader.line_num,
                values={column: (value or "").strip() for column, value in values.items() if isinstance(column, str)},
            )


# --- what is wrong whatever the data say ---------------------------------------------------------


def find_faults(definitions: Definitions) -> list[Fault]:
    """Find what is wrong with definitions whatever the data say.

    Parameters
    ----------
    definitions : Definitions
        As `read_definitions` reads them.

    Returns
    -------
    list of Fault
        In the order of the files' lines; empty if all is well.
    """
    faults: list[Fault] = []
    seen: set[str] = set()
    for row in definitions.journeys:
        faults += _journey_faults(row, definitions=definitions)
        if row["journey"] in seen:
            faults.append(row.fault("the journey is defined a second time; give it another name or take the line out."))
        seen.add(row["journey"])
    for row in definitions.stages:
        if row["journey"] not in seen:
            faults.append(row.fault(f"{JOURNEYS} defines no such journey; correct the name or define it there."))
    for journey in dict.fromkeys(row["journey"] for row in definitions.journeys):
        faults += _stage_faults(definitions.stages_of(journey), definitions=definitions)
    return faults


def _journey_faults(row: Row, *, definitions: Definitions) -> Iterator[Fault]:
    if not row["journey"]:
        yield row.fault("the journey has no name; give it one.")
    if not row["start_events"]:
        yield row.fault("`start_events` is blank, so no attempt can start; name an event.")
    if not row["success_events"]:
        yield row.fault("`success_events` is blank, so no attempt can convert; name an event.")
    for column in _ROLES:
        yield from _event_faults(row, column, definitions=definitions)
    days = _whole_number(row["window_days"])
    if days is None or days < 1:
        yield row.fault(
            f"`window_days` is {row['window_days'] or 'blank'}, so attempts are lost as they start; give 1 or more."
        )
    if row["is_repeatable"].lower() not in ("true", "false"):
        yield row.fault(f"`is_repeatable` is {row['is_repeatable'] or 'blank'}; write true or false.")
    if row["value_amount"] and not row["value_currency"]:
        yield row.fault("`value_amount` has no currency; name it in `value_currency`.")
    if row["value_currency"] and not row["value_amount"]:
        yield row.fault(
            "`value_currency` has no amount; give one, or leave both blank for the success event's revenue."
        )
    if row["value_amount"] and _amount(row["value_amount"]) is None:
        yield row.fault(f"`value_amount` is {row['value_amount']}, which is no amount of money; write it as 49.00.")
    starts, successes, failures = (set(map(_event, _items(row[column]))) for column in _ROLES)
    for event in sorted(starts & failures):
        yield row.fault(
            f"{event} both starts and fails attempts: a cycle, in which each loss opens the next attempt; take one out."
        )
    for event in sorted(successes & failures):
        yield row.fault(f"{event} both converts and fails attempts; take it out of one of the two.")
    for rail in _items(row["guard_rails"]):
        if rail not in GUARD_RAILS:
            yield row.fault(f"`guard_rails` names {rail}; known are {', '.join(GUARD_RAILS)}.")
    if not definitions.stages_of(row["journey"]):
        yield row.fault(f"{STAGES} has no stage of it; give it a first and a last one at least.")


def _event_faults(row: Row, column: str, *, definitions: Definitions) -> Iterator[Fault]:
    for item in _items(row[column]):
        event, _, least = item.partition(">=")
        if event not in definitions.events:
            yield row.fault(
                f"`{column}` names {event or 'nothing'}, which no line of {TAXONOMY} gives; correct it or add a line."
            )
        if ">=" in item and not _is_rating(least):
            yield row.fault(f"`{column}` asks {item}; ratings run from 0 to 1, as in review_posted>=0.75.")


def _stage_faults(stages: Sequence[Row], *, definitions: Definitions) -> Iterator[Fault]:
    for row in stages:
        yield from _event_faults(row, "events", definitions=definitions)
        if not row["stage"]:
            yield row.fault("the stage has no name; give it one.")
    orders = [_order(row) for row in stages]
    for row, order, before in zip(stages, orders, [None, *orders], strict=False):
        if order is None:
            yield row.fault(f"`stage_order` is {row['stage_order'] or 'blank'}; write 1, 2, 3 …")
        elif order == before:
            yield row.fault(f"the journey has a stage {order} already; number its stages 1, 2, 3 …")
        elif order != (before or 0) + 1:
            yield row.fault(f"stage {order} follows {before or 'none'}; number the stages 1, 2, 3 … without a gap.")
    names = Counter(row["stage"] for row in stages)
    for row in stages:
        if names[row["stage"]] > 1 and row is not next(r for r in stages if r["stage"] == row["stage"]):
            yield row.fault(
                f"the stage {row['stage']} comes a second time: stages cannot lead in a cycle, as an attempt stands at "
                "the furthest it has reached; give it another name and events of its own, or take it out."
            )
    # The first stage is reached by starting and the last by converting, whatever events they name.
    between = stages[1:-1]
    for row in between:
        if not _items(row["events"]):
            yield row.fault(f"the stage {row['stage']} names no event, so nobody can reach it; name one.")
    for place, row in enumerate(between):
        for earlier in between[:place]:
            for event in sorted(set(map(_event, _items(row["events"]))) & set(map(_event, _items(earlier["events"])))):
                yield row.fault(
                    f"{event} stands for {earlier['stage']} and {row['stage']}, and reaches the later of the two "
                    "alone; give each stage events of its own."
                )


# --- what the data show of them ------------------------------------------------------------------


def look_for_events(connection: duckdb.DuckDBPyConnection, definitions: Definitions) -> list[Sight]:
    """Count how often each event that a definition names happened.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A warehouse with a timeline.
    definitions : Definitions
        As `read_definitions` reads them.

    Returns
    -------
    list of Sight
        One per journey, role and event, in the order of the files' lines.
    """
    named = [
        (row["journey"], role, item)
        for row in definitions.journeys
        for column, role in _ROLES.items()
        for item in dict.fromkeys(_items(row[column]))
    ]
    named += [
        (row["journey"], row["stage"], item)
        for row in definitions.stages
        for item in dict.fromkeys(_items(row["events"]))
    ]
    items = sorted({item for _, _, item in named})
    counted = connection.execute(
        """
        with items as (
            select unnest($1) as item
        ), named as (
            select item, split_part(item, '>=', 1) as event,
                try_cast(nullif(split_part(item, '>=', 2), '') as double) as least_rating
            from items
        )
        select named.item, count(*), count(case
            when events.person_id is not null and events.traffic_class in ('human', 'unknown') then 1 end)
        from timeline.customer_events as events
        inner join named
            on events.event = named.event and (named.least_rating is null or events.rating >= named.least_rating)
        group by named.item
        """,
        [items],
    ).fetchall()
    counts = {item: (count, owned) for item, count, owned in counted}
    return [
        Sight(
            journey=journey,
            role=role,
            item=item,
            event_count=counts.get(item, (0, 0))[0],
            owned_count=counts.get(item, (0, 0))[1],
        )
        for journey, role, item in named
    ]


def find_unseen(
    connection: duckdb.DuckDBPyConnection, definitions: Definitions, sights: Sequence[Sight]
) -> tuple[list[Fault], dict[str, int]]:
    """Find what the data do not show of definitions.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A warehouse with journeys.
    definitions : Definitions
        As `read_definitions` reads them.
    sights : sequence of Sight
        As `look_for_events` counts them.

    Returns
    -------
    list of Fault
        Journeys that nobody starts or ends well, stages that nobody reaches, journeys of few attempts.
    dict of str to int
        Attempts by journey.
    """
    attempts = dict(connection.execute("select journey, count(*) from journeys.attempts group by journey").fetchall())
    reached = dict.fromkeys(
        connection.execute(
            "select distinct journey, stage from journeys.attempt_stages where reached_at is not null"
        ).fetchall()
    )
    faults = []
    for row in definitions.journeys:
        journey, count = row["journey"], attempts.get(row["journey"], 0)
        for role, what in (("start", "it has no attempts"), ("success", "no attempt can convert")):
            of_role = [sight for sight in sights if sight.journey == journey and sight.role == role]
            if of_role and not any(sight.owned_count for sight in of_role):
                faults.append(row.fault(_never(of_role, what=what), is_certain=False))
        if 0 < count < LEAST_RANKED:
            faults.append(
                row.fault(
                    f"it has {count} {'attempt' if count == 1 else 'attempts'}; below {LEAST_RANKED} its numbers are "
                    "shown with their intervals, and nothing is ranked.",
                    is_certain=False,
                )
            )
        for stage in definitions.stages_of(journey)[1:-1]:
            if count and (journey, stage["stage"]) not in reached:
                faults.append(
                    stage.fault(
                        f"nobody has reached the stage {stage['stage']} by {' or '.join(_items(stage['events']))}; "
                        "correct its events, or take the stage out.",
                        is_certain=False,
                    )
                )
    return faults, attempts


def _never(sights: Sequence[Sight], *, what: str) -> str:
    role = sights[0].role
    names = " or ".join(sight.item for sight in sights)
    if sum(sight.event_count for sight in sights):
        return (
            f"its {role} {names} happens, but to nobody who is known, so {what}; see identity_quality, and whether the "
            "people consented."
        )
    return f"its {role} {names} never happens in the data, so {what}; correct it, or land the source that tells of it."


def note_definitions(
    connection: duckdb.DuckDBPyConnection, definitions: Definitions
) -> tuple[list[Fault], list[Sight]]:
    """Judge the definitions and write them, with what is wrong, to ``journeys.definitions``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse, for writing.
    definitions : Definitions
        As `read_definitions` reads them.

    Returns
    -------
    list of Fault
        What is wrong, that of the definitions first.
    list of Sight
        How often each event that they name happened.
    """
    sights = look_for_events(connection, definitions)
    unseen, attempts = find_unseen(connection, definitions, sights)
    faults = [*find_faults(definitions), *unseen]
    rows = [
        [
            row["journey"],
            *(row[column] or None for column in ("title", *_ROLES)),
            _whole_number(row["window_days"]),
            {"true": True, "false": False}.get(row["is_repeatable"].lower()),
            _amount(row["value_amount"]),
            *(row[column] or None for column in ("value_currency", "owner", "guard_rails")),
            attempts.get(row["journey"], 0),
            " ".join(fault.sentence for fault in faults if fault.journey == row["journey"]) or None,
        ]
        for row in {row["journey"]: row for row in reversed(definitions.journeys)}.values()
    ]
    connection.begin()
    connection.execute(f"create or replace table journeys.definitions ({TABLE})")
    if rows:
        connection.executemany(
            f"insert into journeys.definitions values ({', '.join('?' * len(rows[0]))})", sorted(rows)
        )
    connection.commit()
    return faults, sights


# --- in words ------------------------------------------------------------------------------------


def tell_sights(sights: Sequence[Sight]) -> list[str]:
    """Say per journey which of its events the data show, and how often; a line each.

    Parameters
    ----------
    sights : sequence of Sight
        As `look_for_events` counts them.
    """
    lines = []
    for journey in dict.fromkeys(sight.journey for sight in sights):
        by_role: dict[str, list[str]] = {}
        for sight in sights:
            if sight.journey == journey:
                by_role.setdefault(sight.role, []).append(_tell(sight))
        # The first stage is the start and the last one the success, unless they name other events.
        shown = {
            role: told
            for place, (role, told) in enumerate(by_role.items())
            if told not in list(by_role.values())[:place]
        }
        parts = [f"{role} {', '.join(told)}" for role, told in shown.items()]
        lines.append(f"{journey}: {'; '.join(parts)}.")
    return lines


def _tell(sight: Sight) -> str:
    if not sight.event_count:
        return f"{sight.item} never"
    if sight.owned_count == sight.event_count:
        return f"{sight.item} {sight.event_count:,}"
    return f"{sight.item} {sight.owned_count:,} of {sight.event_count:,}"


# --- values --------------------------------------------------------------------------------------


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split("|") if item.strip()]


def _event(item: str) -> str:
    return item.partition(">=")[0]


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() else None


def _order(row: Row) -> int | None:
    return _whole_number(row["stage_order"])


def _amount(text: str) -> Decimal | None:
    try:
        return Decimal(text) if Decimal(text).is_finite() else None
    except InvalidOperation:
        return None


def _is_rating(text: str) -> bool:
    amount = _amount(text)
    return amount is not None and 0 <= amount <= 1
