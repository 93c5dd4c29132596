"""Discovery: what people really do, found without being told what to look for.

The statistics are in ``ml/``; here they meet the warehouse. A journey with too few attempts is told in one sentence
and has no rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dagster_project.failpoints import failpoint
from dagster_project.night import Night
from dagster_project.recount import recount

if TYPE_CHECKING:
    from ml import abandonment

Integers = NDArray[np.int64]
Rows = list[dict[str, Any]]

TABLES = {
    "patterns": """
        journey varchar, kind varchar, pattern varchar, pattern_length integer, attempt_count bigint,
        open_count bigint, support_rate double, converted_count bigint, conversion_rate double,
        base_conversion_rate double, lift double, lift_low double, lift_high double, length_adjusted_lift double,
        p_value double, q_value double, verdict varchar, is_new_this_month boolean, is_unexpected boolean,
        first_seen_date date
    """,
    "states": """
        journey varchar, model_order integer, state varchar, stage_order integer, touchpoint varchar,
        visit_count bigint, success_probability double, success_low double, success_high double,
        expected_steps double, observed_conversion_rate double, observed_low double, observed_high double,
        chain_conversion_rate double, is_reproduced boolean
    """,
    "state_transitions": """
        journey varchar, step varchar, next varchar, transition_count bigint, probability double,
        probability_low double, probability_high double, top_rank integer
    """,
    "what_ifs": """
        journey varchar, change varchar, step varchar, conversion_before double, conversion_after double,
        difference double, difference_low double, difference_high double, is_offered boolean, reason varchar
    """,
    "abandonment": """
        journey varchar, abandonment_type varchar, name varchar, description varchar, attempt_count bigint,
        share_rate double, share_low double, share_high double, main_stage varchar, main_touchpoint varchar,
        median_seconds double, main_signal varchar
    """,
}
# Attempts in the order of their persons, each with a number that has nothing to do with it, for sampling.
_ATTEMPTS = """
    create or replace temp table walked_attempts as
    select
        attempts.attempt_id,
        attempts.journey,
        attempts.status,
        -- Outcomes are told only of these: among the others those that ended early would stand for all.
        attempts.deadline_at <= attempts.watched_until_at as is_window_over,
        spans.outcome is not null as ended_by_event,
        spans.outcome_at,
        spans.end_event_id,
        cast(
            row_number() over (
                partition by attempts.journey order by attempts.person_id, attempts.started_at, attempts.attempt_id
            ) - 1 as bigint
        ) as number,
        cast(dense_rank() over (partition by attempts.journey order by attempts.person_id) as bigint) as person,
        cast(
            row_number() over (
                partition by attempts.journey order by md5_number_lower(attempts.attempt_id), attempts.attempt_id
            ) as bigint
        ) as draw
    from journeys.attempts as attempts
    inner join journeys.attempt_spans as spans using (attempt_id)
"""
# Steps without the events that start and end the attempt: a step that was nothing else is none. What begins in the
# last seconds before the outcome is its own paperwork, such as the customer record that a first payment makes.
PAPERWORK_SECONDS = 10
_STEPS = f"""
    create or replace temp table walked_steps as
    with
        last_steps as (select attempt_id, max(step_number) as step_number from journeys.steps group by attempt_id)
    select
        walked.journey,
        walked.number,
        cast(steps.step_number as integer) as step_number,
        steps.stage_order,
        steps.touchpoint,
        steps.is_friction,
        steps.step_kind,
        cast(
            date_diff('day', date '1970-01-01', cast(timezone($timezone, timezone('UTC', steps.entered_at)) as date))
            as integer
        ) as day
    from journeys.steps as steps
    inner join walked_attempts as walked using (attempt_id)
    inner join last_steps using (attempt_id)
    where
        steps.touch_count
        > cast(steps.step_number = 1 as integer)
        + cast(walked.ended_by_event and steps.step_number = last_steps.step_number as integer)
        and (
            not walked.ended_by_event
            or steps.entered_at < walked.outcome_at - interval {PAPERWORK_SECONDS} second
        )
"""
# A step is whose most of its rows are, the company's where both have half.
_KINDS_OF_STEP = """
    create or replace temp table kinds_of_step as
    select
        journey, stage_order, touchpoint, is_friction, is_of_company,
        cast(row_number() over in_journey - 1 as integer) as state,
        cast(dense_rank() over (partition by journey order by touchpoint, is_friction) - 1 as integer) as item
    from (
        select
            journey, stage_order, touchpoint, is_friction,
            2 * count(case when step_kind = 'company' then 1 end) >= count(*) as is_of_company
        from walked_steps
        group by journey, stage_order, touchpoint, is_friction
    )
    window in_journey as (partition by journey order by stage_order, touchpoint, is_friction)
"""
# A gap of this many seconds ends a session, as on the timeline.
SESSION_GAP_SECONDS = 1800
# The last session of each lost attempt in which a stage was passed: what is done days later is another story. Machines
# that mail are not the customer.
_LAST_SESSIONS = f"""
    create or replace temp table last_sessions as
    with
        touches as (
            select
                walked.journey, walked.attempt_id, walked.draw, touches.occurred_at, touches.event_id,
                touches.touchpoint, touches.kind, touches.event_stage, touches.stage_order, events.event,
                epoch_us(touches.occurred_at) / 1e6
                - lag(epoch_us(touches.occurred_at) / 1e6) over in_order as pause
            from walked_attempts as walked
            inner join journeys.attempt_events as touches using (attempt_id)
            inner join timeline.customer_events as events using (event_id)
            where
                walked.status = 'lost'
                and (touches.kind <> 'system' or touches.event_stage is not null)
                and (not walked.ended_by_event or touches.event_id <> walked.end_event_id)
            window in_order as (partition by walked.attempt_id order by touches.occurred_at, touches.event_id)
        ),
        runs as (
            select
                *,
                sum(cast(coalesce(pause >= {SESSION_GAP_SECONDS}, true) as integer)) over (
                    partition by attempt_id order by occurred_at, event_id rows unbounded preceding
                ) as run
            from touches
        ),
        anchored as (
            select
                *,
                max(case when event_stage is not null then run end) over (partition by attempt_id) as last_run,
                max(case when event_stage is not null then occurred_at end) over (
                    partition by attempt_id
                ) as anchored_at
            from runs
        )
    select
        journey,
        attempt_id,
        min(draw) as draw,
        epoch_us(max(occurred_at)) / 1e6 - epoch_us(min(occurred_at)) / 1e6 as seconds,
        coalesce(max(case when pause < {SESSION_GAP_SECONDS} then pause end), 0) as longest_pause,
        count(case when kind = 'friction' then 1 end) as frictions,
        count(case when event_stage is null and kind <> 'friction' then 1 end) as around,
        count(*) - count(distinct event) as repeats,
        count(distinct event_stage) as progress,
        epoch_us(max(occurred_at)) / 1e6 - epoch_us(min(anchored_at)) / 1e6 as seconds_after,
        max(stage_order) as stage_order,
        max_by(touchpoint, (occurred_at, event_id)) as touchpoint
    from anchored
    where run = last_run
    group by journey, attempt_id
"""
ARROW, START = " → ", "(start)"
_PERCENT = "format('{{:.1f}} %', 100 * {})".format
# What an asset shows of its table.
_FIRST = {
    "patterns": f"""
        select
            journey, kind, pattern, attempt_count as attempts, {_PERCENT("conversion_rate")} as conversion,
            format('{{:.2f}} ({{:.2f}} to {{:.2f}})', lift, lift_low, lift_high) as lift,
            format('{{:.2f}}', length_adjusted_lift) as "lift at like length",
            case
                when is_new_this_month then verdict || ', new this month'
                when is_unexpected then verdict || ', unexpected'
                else verdict
            end as verdict
        from journeys.patterns
        where
            verdict <> 'depends on length'
            and (
                verdict like 'converts%' and (lift > 1) = (length_adjusted_lift > 1)
                or is_new_this_month
                or is_unexpected and verdict <> 'too few'
            )
        qualify row_number() over (partition by journey, verdict order by q_value, pattern_length, pattern) <= 2
        order by journey, verdict, q_value, pattern
        limit 40
    """,
    "states": f"""
        select
            journey, state, visit_count as visits, {_PERCENT("success_probability")} as success,
            format('{{:.1f}} to {{:.1f}} %', 100 * success_low, 100 * success_high) as "95 %",
            format('{{:.1f}}', expected_steps) as "steps to come"
        from journeys.states
        where visit_count >= 30
        qualify row_number() over (partition by journey order by success_probability, state) <= 2
        order by journey, success_probability, state
    """,
    "state_transitions": f"""
        select journey, step, next, transition_count as times, {_PERCENT("probability")} as chance
        from journeys.state_transitions
        where step = '(start)' and top_rank <= 3
        order by journey, top_rank
    """,
    "what_ifs": """
        select
            journey, change, step, format('{:+.1f}', 100 * difference) as points,
            format('{:+.1f} to {:+.1f}', 100 * difference_low, 100 * difference_high) as "95 %"
        from journeys.what_ifs
        where is_offered
        qualify row_number() over (partition by journey order by abs(difference) desc, change, step) <= 3
        order by journey, abs(difference) desc, change, step
    """,
    "abandonment": f"""
        select journey, name, attempt_count as attempts, {_PERCENT("share_rate")} as share, description
        from journeys.abandonment
        order by journey, abandonment_type
    """,
}
_WITH_FRICTION = "{} with friction"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a night has found.

    Attributes
    ----------
    rows : mapping
        Rows of each table, by name.
    told : mapping
        Per table, what happened in a few sentences.
    findings : mapping
        Per table, the first findings as Markdown.
    is_unchanged : bool
        Whether the evidence is that of the last run, so that there was nothing to do.
    """

    rows: Mapping[str, int]
    told: Mapping[str, str]
    findings: Mapping[str, str]
    is_unchanged: bool


def prepare_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of discovery that are not there yet."""
    for name, columns in TABLES.items():
        connection.execute(f"create table if not exists journeys.{name} ({columns})")
    connection.execute("create table if not exists ops.discovered_from (inputs varchar)")


def discover_tonight(connection: duckdb.DuckDBPyConnection, *, night: Night, timezone: str) -> Report:
    """Mine patterns, fit chains and sort leavings, journey by journey; nothing where all is as last time.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse, for writing.
    night : Night
        The run's frame.
    timezone : str
        In which days are cut.
    """
    prepare_tables(connection)
    inputs = _inputs(connection, night=night)
    is_unchanged = connection.execute("select inputs from ops.discovered_from").fetchall() == [(inputs,)]
    if is_unchanged:
        told = dict.fromkeys(TABLES, "Nothing new: the attempts are those of the last run.")
    else:
        found, told = _discover(connection, as_of=night.as_of, timezone=timezone)
        connection.begin()
        connection.execute("delete from ops.discovered_from")
        for name, rows in found.items():
            connection.execute(f"delete from journeys.{name}")
            if rows:
                connection.register("found", pa.Table.from_pylist(rows))
                connection.execute(f"insert into journeys.{name} by name select * from found")
                connection.unregister("found")
        connection.execute("insert into ops.discovered_from values (?)", [inputs])
        failpoint("discovery.before_commit")
        connection.commit()
    rows = {name: connection.execute(f"select count(*) from journeys.{name}").fetchall()[0][0] for name in TABLES}
    return Report(
        rows=rows,
        told=told,
        findings={name: _findings(connection, name) for name in TABLES},
        is_unchanged=is_unchanged,
    )


def _inputs(connection: duckdb.DuckDBPyConnection, *, night: Night) -> str:
    """Name all that is read: the same name, the same findings."""
    sources = [Path(__file__), Path(__file__).with_name("recount.py")]
    told = [night.as_of, night.project_hash, *(source.read_bytes() for source in sources)]
    for table, columns in {
        "attempts": "attempt_id, person_id, status, started_at, deadline_at <= watched_until_at",
        "attempt_spans": "attempt_id, outcome, outcome_at, start_event_id, end_event_id",
        "steps": "attempt_id, step_number, stage_order, touchpoint, entered_at, touch_count, is_friction, step_kind",
        "attempt_events": "attempt_id, event_id, occurred_at, touchpoint, kind, event_stage, stage_order",
    }.items():
        told += connection.execute(f"select count(*), bit_xor(hash({columns})) from journeys.{table}").fetchall()
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _discover(
    connection: duckdb.DuckDBPyConnection, *, as_of: datetime, timezone: str
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Rows of each table, and what was found in words."""
    from ml import markov, patterns

    as_of_day = (as_of.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date() - date(1970, 1, 1)).days
    found: dict[str, Rows] = {name: [] for name in TABLES}
    told: dict[str, list[str]] = {name: [] for name in TABLES}
    for journey, walk in read_walks(connection, timezone=timezone):
        paths = _path_rows(connection, walk, as_of_day=as_of_day)
        found["patterns"] += [{"journey": journey} | row for row in paths]
        over = int((walk.statuses != patterns.OPEN).sum())
        shown = sum(row["verdict"].startswith("converts") for row in paths)
        told["patterns"].append(
            f"{journey}: {over:,} attempts whose window is over, {len(paths)} paths, {shown} with a difference."
        )
        chain = markov.account(
            walk.states,
            walk.attempts,
            statuses=walk.statuses,
            persons=walk.persons,
            draws=walk.order,
            company_steps=walk.company_states,
        )
        found["states"] += [{"journey": journey} | row for row in _state_rows(walk, chain.states)]
        found["state_transitions"] += [{"journey": journey} | row for row in _next_rows(walk, chain.next_steps)]
        found["what_ifs"] += [
            {"journey": journey} | row | {"step": walk.state_names[row["step"]]} for row in chain.what_ifs
        ]
        for name in ("states", "state_transitions", "what_ifs"):
            told[name].append(f"{journey}: {chain.sentence}")
    for journey, kinds in sort_leavings(connection):
        found["abandonment"] += [{"journey": journey} | row for row in kinds.rows]
        told["abandonment"].append(f"{journey}: {kinds.sentence}")
    nothing = "There are no attempts."
    return found, {name: " ".join(sentences) or nothing for name, sentences in told.items()}


def _path_rows(connection: duckdb.DuckDBPyConnection, walk: Walk, *, as_of_day: int) -> Rows:
    rows = []
    for row in find_paths(connection, walk, as_of_day=as_of_day).to_pylist():
        steps = row.pop("pattern")
        rows.append(
            row
            | {
                "pattern": ARROW.join(walk.item_names[step] for step in steps),
                "pattern_length": len(steps),
                "is_new_this_month": row.pop("is_new"),
                "first_seen_date": date(1970, 1, 1) + timedelta(days=row.pop("first_day")),
            }
        )
    return rows


def _state_rows(walk: Walk, states: Rows) -> Rows:
    rows = []
    for row in states:
        # The past has the last step first.
        steps = [step for step in reversed(row.pop("past")) if step >= 0]
        stage_order, touchpoint = walk.state_places[steps[-1]] if steps else (None, None)
        named = ARROW.join(walk.state_names[step] for step in steps)
        is_shorter = len(steps) < row["model_order"]
        state = START if not steps else f"{START}{ARROW}{named}" if is_shorter else named
        rows.append(row | {"state": state, "stage_order": stage_order, "touchpoint": touchpoint})
    return rows


def _next_rows(walk: Walk, next_steps: Rows) -> Rows:
    from ml import markov

    named = {-1: START, **dict(enumerate(walk.state_names))}
    ends = {-markov.LOST: "(lost)", -markov.CONVERTED: "(converted)", **dict(enumerate(walk.state_names))}
    return [row | {"step": named[row["step"]], "next": ends[row["next"]]} for row in next_steps]


def _findings(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """The first findings as Markdown."""
    result = connection.execute(_FIRST[table])
    titles = [column[0] for column in result.description or []]
    rows = result.fetchall()
    if not rows:
        return "Nothing to show."
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join('' if cell is None else str(cell) for cell in line)} |" for line in lines)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """How the attempts of one journey went.

    Attributes
    ----------
    statuses, persons, order : ndarray of int, shape (attempts,)
        What became of each (open as long as its window runs, even if it has ended), whose it is, and a number for
        sampling; attempts of one person stand together.
    attempts, items, states, days : ndarray of int, shape (steps,)
        Per step, in order: whose it is, its touchpoint, its touchpoint and stage, and its local day since 1970.
    item_names, state_names : list of str
        In words.
    state_places : list of tuple
        Stage and touchpoint of each state.
    company_states : list of int
        States that the company alone brings about.
    start_items : list of int
        Items of the touchpoints at which the journey's start events happen.
    """

    statuses: Integers
    persons: Integers
    order: Integers
    attempts: Integers
    items: Integers
    states: Integers
    days: Integers
    item_names: list[str]
    state_names: list[str]
    state_places: list[tuple[int, str]]
    company_states: list[int]
    start_items: list[int]


def read_walks(connection: duckdb.DuckDBPyConnection, *, timezone: str) -> Iterator[tuple[str, Walk]]:
    """Read how the attempts of each journey went, one journey after the other.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse.
    timezone : str
        In which days are cut.

    Yields
    ------
    tuple of str and Walk
        In the order of the journeys' names; a journey without attempts is left out.
    """
    from ml import patterns

    codes = {"open": patterns.OPEN, "lost": patterns.LOST, "converted": patterns.CONVERTED}
    connection.execute(_ATTEMPTS)
    connection.execute(_STEPS, {"timezone": timezone})
    connection.execute(_KINDS_OF_STEP)
    stages = {
        (journey, order): stage
        for journey, order, stage in connection.execute(
            "select journey, stage_order, stage from staging.journey_stages"
        ).fetchall()
    }
    starts = connection.execute(
        """
        select distinct journey, touchpoint
        from journeys.attempt_spans as spans
        inner join journeys.attempt_events as touches using (journey, attempt_id)
        where touches.event_id = spans.start_event_id
        """
    ).fetchall()
    journeys = connection.execute("select distinct journey from walked_attempts order by journey").fetchall()
    for (journey,) in journeys:
        kinds = connection.execute(
            "select state, item, stage_order, touchpoint, is_friction, is_of_company from kinds_of_step"
            " where journey = ? order by state",
            [journey],
        ).fetchall()
        words = [_WITH_FRICTION.format(where) if is_friction else where for _, _, _, where, is_friction, _ in kinds]
        named = {item: word for (_, item, *_), word in zip(kinds, words, strict=True)}
        people = connection.execute(
            """
            select case when is_window_over then status else 'open' end as status, person, draw
            from walked_attempts
            where journey = ?
            order by number
            """,
            [journey],
        ).fetchnumpy()
        steps = connection.execute(
            """
            select steps.number, kinds.item, kinds.state, steps.day
            from walked_steps as steps
            inner join kinds_of_step as kinds using (journey, stage_order, touchpoint, is_friction)
            where journey = ?
            order by steps.number, steps.step_number
            """,
            [journey],
        ).fetchnumpy()
        yield (
            journey,
            Walk(
                statuses=np.array([codes[status] for status in people["status"]], np.int64),
                persons=people["person"].astype(np.int64),
                order=people["draw"].astype(np.int64),
                attempts=steps["number"].astype(np.int64),
                items=steps["item"].astype(np.int64),
                states=steps["state"].astype(np.int64),
                days=steps["day"].astype(np.int64),
                item_names=[named[item] for item in sorted(named)],
                state_names=[
                    f"{word} ({stages.get((journey, order), order)})"
                    for word, (_, _, order, *_) in zip(words, kinds, strict=True)
                ],
                state_places=[(order, where) for _, _, order, where, *_ in kinds],
                company_states=[state for state, *_, is_of_company in kinds if is_of_company],
                start_items=sorted({item for _, item, _, where, *_ in kinds if (journey, where) in set(starts)}),
            ),
        )


def find_paths(connection: duckdb.DuckDBPyConnection, walk: Walk, *, as_of_day: int) -> pa.Table:
    """Find the patterns and entries of one journey, as :func:`ml.patterns.find_patterns` does.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Counts all attempts, in temporary tables.
    walk : Walk
        How its attempts went.
    as_of_day : int
        Local day of the as-of instant, since 1970.
    """
    from ml import patterns

    kept = patterns.collapse(walk.items, walk.attempts)
    attempts = walk.attempts[kept]
    return patterns.find_patterns(
        patterns.Paths(
            items=walk.items[kept],
            starts=np.searchsorted(attempts, np.arange(len(walk.statuses) + 1)),
            item_count=len(walk.item_names),
        ),
        statuses=walk.statuses,
        persons=walk.persons,
        days=walk.days[kept],
        order=walk.order,
        as_of_day=as_of_day,
        start_items=walk.start_items,
        recount=partial(recount, connection),
    )


@dataclass(frozen=True, kw_only=True)
class Leavings:
    """How one journey is left.

    Attributes
    ----------
    rows : list of dict
        Of the table ``abandonment``, without the journey.
    attempts : list of str
        The lost attempts that were sorted.
    kinds : abandonment.Kinds
        What was found.
    """

    rows: Rows
    attempts: list[str]
    kinds: abandonment.Kinds

    @property
    def sentence(self) -> str:
        """What was found, or why nothing."""
        return self.kinds.sentence


def sort_leavings(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Leavings]]:
    """Sort the lost attempts of each journey; :func:`read_walks` must have been read to its end.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse.

    Yields
    ------
    tuple of str and Leavings
        In the order of the journeys' names.
    """
    from ml import abandonment, markov

    connection.execute(_LAST_SESSIONS)
    stages = {
        (journey, order): stage
        for journey, order, stage in connection.execute(
            "select journey, stage_order, stage from staging.journey_stages"
        ).fetchall()
    }
    journeys = connection.execute("select distinct journey from walked_attempts order by journey").fetchall()
    for (journey,) in journeys:
        left = connection.execute(
            "select * exclude (journey) from last_sessions where journey = ? order by attempt_id", [journey]
        ).fetchnumpy()
        measures = {name: left[name].astype(np.float64) for name in abandonment.MEASURES}
        kinds = abandonment.sort_leavings(measures, draws=left["draw"].astype(np.int64))
        total = len(left["draw"])
        rows = []
        for number, kind in enumerate(kinds.kinds, start=1):
            size = len(kind.members)
            low, high = markov.wilson(size / total, total)
            rows.append(
                {
                    "abandonment_type": f"A{number}",
                    "name": kind.name,
                    "description": kind.description,
                    "attempt_count": size,
                    "share_rate": size / total,
                    "share_low": low,
                    "share_high": high,
                    "main_stage": stages.get((journey, int(_commonest(left["stage_order"][kind.members])))),
                    "main_touchpoint": str(_commonest(left["touchpoint"][kind.members])),
                    "median_seconds": float(np.median(measures["seconds"][kind.members])),
                    "main_signal": kind.main_signal,
                }
            )
        yield journey, Leavings(rows=rows, attempts=[str(attempt) for attempt in left["attempt_id"]], kinds=kinds)


def _commonest(values: NDArray[Any]) -> Any:
    """What most are; of equally common ones the first in order."""
    different, counts = np.unique(np.asarray(values), return_counts=True)
    return different[np.argmax(counts)]
