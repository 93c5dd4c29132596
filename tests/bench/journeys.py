"""What the lenses on a million attempts cost, beside one sort of the same attempts' steps by DuckDB."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse
from tests.bench.apart import answer, measure
from tests.journeys.lenses import build_models, prepare

AS_OF = datetime(2026, 6, 30)
# The models that the lenses are, and the steps between attempts and these.
BEFORE = (
    *("journey_roles", "stage_events", "watched_journeys", "attempt_spans", "attempt_events", "attempts", "steps"),
    "attempt_segments",
)
LENSES = (
    *("attempt_stages", "attempt_effort"),
    *("published_journey_stages", "stage_survival", "journey_transitions", "journey_effort"),
    *("support_contacts", "stage_touchpoints", "touchpoints", "stage_contacts"),
    *("support_outcomes", "first_day_actions"),
)
# What a step knows of the one before is work that the lenses are spared, so the sort goes without.
LINKS = ("is_last", "previous_stage_order", "previous_touchpoint", "previous_entered_at", "previous_visited_at")

# Four journeys of five stages, an attempt a person: a start, some touches of which half reach a stage, and for three in
# five an end; 26 weeks, 17 touchpoints of which nine are frequent, seven channels, five segments.
JOURNEYS = [(f"journey {n}", f"start {n}", f"success {n}", f"failure {n}", 20, False) for n in range(4)]
STAGES = [
    (journey, order, f"stage {order}", event)
    for n, (journey, start, success, *_) in enumerate(JOURNEYS)
    for order, event in enumerate([start, f"a {n}", f"b {n}", f"c {n}", success], start=1)
]
TOUCHES = """
insert into timeline.customer_events by name
with attempts as (
    select i, 4 + hash(i, 'touches') % 9 as touches, hash(i, 'end') % 100 as ending,
        timestamp '2025-12-29' + to_seconds((hash(i, 'start') % (182 * 86400))::bigint) as started_at
    from range({count}) as attempts(i)
), touches as (
    select i, touches, ending, started_at, unnest(range(touches::bigint)) as k from attempts
)
select
    'e' || i || '-' || (k + 10) as event_id,
    'p' || i as component_id,
    'p' || i as person_id,
    'desk' as source,
    case
        when k = 0 then 'start ' || i % 4
        when k = touches - 1 and ending < 45 then 'success ' || i % 4
        when k = touches - 1 and ending < 60 then 'failure ' || i % 4
        when hash(i, k, 'kind') % 8 < 4
        then ['a', 'a', 'b', 'c'][(1 + hash(i, k, 'kind') % 4)::bigint] || ' ' || i % 4
        else ['page_viewed', 'feature_used', 'ticket_opened', 'form_error'][(1 + hash(i, k, 'kind') % 4)::bigint]
    end as event,
    -- Nine of ten touches are where such events happen, the others anywhere.
    'touchpoint ' || case
        when hash(i, k, 'place') % 10 = 0 then hash(i, k, 'where') % 17
        when k = 0 or k = touches - 1 then 8
        else hash(i, k, 'kind') % 8
    end as touchpoint,
    case when hash(i, k, 'kind') % 8 = 7 then 'friction' else 'touch' end as kind,
    'channel ' || hash(i, k // 4, 'channel') % 7 as channel,
    'human' as traffic_class,
    started_at + to_microseconds((k * (1 + hash(i, 'pace') % 40) * 3600000000 + hash(i, k) % 3000000000)::bigint)
        as occurred_at,
    timestamp '2026-06-29 12:00' as available_at,
    case when hash(i, k, 'rated') % 50 = 0 then (hash(i, k) % 5) / 4.0 end as rating
from touches
"""


def _settings(folder: Path) -> Settings:
    return load_settings({"THROUGHLINE_DATA": str(folder / "data"), "THROUGHLINE_INBOX": str(folder / "inbox")})


def _write(folder: Path, count: str) -> dict[str, float]:
    """Make the timeline, and attempts and steps of it."""
    settings = _settings(folder)
    with open_warehouse(settings) as connection:
        connection.execute("set enable_progress_bar = false")
        prepare(connection, journeys=JOURNEYS, stages=STAGES)
        connection.execute(TOUCHES.format(count=int(count)))
        connection.execute("insert into predictions.segments select 'S' || n from range(5) as segments(n)")
        connection.execute(
            f"insert into predictions.segment_history select 'p' || i, 'S' || i % 5, date '2020-01-06', null "
            f"from range({int(count)}) as people(i) where i % 3 > 0"
        )
    build_models(settings, models=BEFORE, as_of=AS_OF)
    return {}


def _floor(folder: Path) -> dict[str, float]:
    """Sort the steps into a table of their own, three times; the least of them is what a sort needs."""
    seconds = []
    with duckdb.connect(str(folder / f"floor-{time.time_ns()}.duckdb")) as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"attach '{_settings(folder).warehouse_path}' as warehouse (read_only)")
        for _ in range(3):
            started = time.perf_counter()
            connection.execute(
                f"create or replace table sorted as select * exclude ({', '.join(LINKS)}) "
                "from warehouse.journeys.steps order by attempt_id, step_number"
            )
            seconds.append(time.perf_counter() - started)
    return {"sort": min(seconds)}


def _lenses(folder: Path) -> dict[str, float]:
    """Seconds of each model; views cost nothing until they are read."""
    started = time.perf_counter()
    seconds = build_models(_settings(folder), models=LENSES, as_of=AS_OF)
    return {**seconds, "all": sum(seconds.values()), "all, with dbt's start": time.perf_counter() - started}


def bench(count: int = 1_000_000) -> list[dict[str, Any]]:
    """The sort, the lenses, and the sort again.

    Parameters
    ----------
    count : int
        Attempts.

    Returns
    -------
    list of dict
        ``work, size, candidate, seconds, ratio_to_floor, peak_mb``; a model's own seconds are told beside all of them.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure(__name__, "write", folder, str(count))
        before, peak_floor = measure(__name__, "floor", folder)
        lenses, peak_lenses = measure(__name__, "lenses", folder)
        after, _ = measure(__name__, "floor", folder)
    floor = (before["sort"] + after["sort"]) / 2
    rows = [("one sort of the steps", floor, peak_floor)]
    rows += [(f"lenses: {model}", seconds, peak_lenses) for model, seconds in lenses.items()]
    return [
        {
            "work": "lenses on attempts",
            "size": count,
            "candidate": candidate,
            "seconds": round(seconds, 2),
            "ratio_to_floor": round(seconds / floor, 2),
            "peak_mb": round(peak),
        }
        for candidate, seconds, peak in rows
    ]


if __name__ == "__main__":
    answer({"write": _write, "floor": _floor, "lenses": _lenses})
