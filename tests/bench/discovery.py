"""What discovery costs on a million attempts, beside one sort of the same steps."""

from __future__ import annotations

import resource
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.discovery import discover_tonight, find_paths, read_walks, sort_leavings
from dagster_project.night import Night
from ml import markov

# Touches of one attempt in four, and lives of persons with several attempts; what an attempt passes goes with its end.
_MADE = """
    create schema journeys; create schema timeline; create schema staging; create schema ops;
    create table staging.journey_stages as
    select 'checkout' as journey, * from (values (1, 'Cart'), (2, 'Address'), (3, 'Payment'), (4, 'Bought')) s(
        stage_order, stage
    );
    create table drawn as
    select
        i, md5(i::varchar) as attempt_id, md5((i // 4)::varchar) as person_id,
        3 + hash(i, 1) % 10 as touch_count,
        timestamp '2026-01-01' + (hash(i, 2) % (180 * 86400))::bigint * interval 1 second as started_at,
        hash(i, 3) % 100 as luck
    from range({attempts}) t(i);
    create table journeys.attempt_events as
    select
        attempt_id, 'checkout' as journey, md5((i * 100 + n)::varchar) as event_id, n,
        started_at + n * interval 40 second + (hash(i, n, 4) % 30)::bigint * interval 1 second as occurred_at,
        list_extract(
            ['website', 'product', 'checkout', 'chat', 'email', 'pricing page', 'search', 'support', 'shop', 'call',
             'webinar', 'app'],
            (1 + least(11, (hash(i, n, 5) % 100) * (hash(i, n, 6) % 100) // 800))::bigint
        ) as touchpoint,
        case when hash(i, n, 7) % 12 = 0 then 'friction' else 'touch' end as kind,
        case when n = 0 then 1 when hash(i, n, 8) % 4 = 0 then least(3, 1 + n // 3) end::integer as event_stage,
        least(3, 1 + n // 3)::integer as stage_order
    from drawn, unnest(range(touch_count::bigint)) u(n);
    create table timeline.customer_events as
    select event_id, touchpoint || kind as event from journeys.attempt_events;
    create table met as
    select attempt_id, count(case when touchpoint in ('chat', 'support') then 1 end) as helped
    from journeys.attempt_events group by attempt_id;
    create table journeys.attempts as
    select
        attempt_id, person_id, 'checkout' as journey, started_at,
        started_at + case when luck < 5 then interval 1 year else interval 1 day end as deadline_at,
        timestamp '2026-07-01' as watched_until_at,
        case when luck < 5 then 'open' when luck < 40 + 8 * helped then 'lost' else 'converted' end as status
    from drawn inner join met using (attempt_id);
    create table journeys.attempt_spans as
    select
        attempts.attempt_id, 'checkout' as journey, case status when 'converted' then status end as outcome,
        case status when 'converted' then started_at + interval 1 hour end as outcome_at,
        md5((i * 100)::varchar) as start_event_id, md5((i * 100 + 99)::varchar) as end_event_id
    from journeys.attempts inner join drawn using (attempt_id, started_at);
    create table journeys.steps as
    select
        attempt_id, journey, (n + 1)::hugeint as step_number, stage_order, touchpoint, occurred_at as entered_at,
        1 + (n = 0)::bigint as touch_count, kind = 'friction' as is_friction, 'touch' as step_kind
    from journeys.attempt_events
"""


def bench(attempt_count: int = 1_000_000) -> list[dict[str, Any]]:
    """Time a night's discovery, and its parts.

    Returns
    -------
    list of dict
        ``work, size, candidate, seconds, ratio_to_floor, peak_mb``; the floor is DuckDB's sort of the steps.
    """
    rows: list[dict[str, Any]] = []
    floor = 0.0

    def note(candidate: str, seconds: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(
            {
                "work": "discovery",
                "size": attempt_count,
                "candidate": candidate,
                "seconds": round(seconds, 3),
                "ratio_to_floor": round(seconds / floor, 2),
                "peak_mb": round(peak),
            }
        )

    night = Night(
        run_id="bench",
        as_of=datetime(2026, 6, 30, 23, 59, 59),
        loaded_until=datetime(2026, 6, 30),
        previous_as_of=datetime(1900, 1, 1),
        previous_loaded_at=datetime(1900, 1, 1),
        project_hash="bench",
        is_full_build=True,
        reason="a bench",
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(Path(folder) / "warehouse.duckdb")) as connection:
        connection.execute(_MADE.format(attempts=attempt_count))
        begin = time.perf_counter()
        connection.execute(
            "create temp table in_order as select * from journeys.steps order by attempt_id, step_number"
        )
        floor = time.perf_counter() - begin
        note("floor: one sort of the steps", floor)
        begin = time.perf_counter()
        [(_, walk)] = read_walks(connection, timezone="UTC")
        note("read how attempts went", time.perf_counter() - begin)
        begin = time.perf_counter()
        find_paths(connection, walk, as_of_day=20_634)
        note("patterns, counted on all and tested", time.perf_counter() - begin)
        begin = time.perf_counter()
        markov.account(walk.states, walk.attempts, statuses=walk.statuses, persons=walk.persons, draws=walk.order)
        note("chain, its intervals and what-ifs", time.perf_counter() - begin)
        begin = time.perf_counter()
        list(sort_leavings(connection))
        note("kinds of leaving", time.perf_counter() - begin)
        begin = time.perf_counter()
        discover_tonight(connection, night=night, timezone="UTC")
        note("the night's discovery, read to written", time.perf_counter() - begin)
        begin = time.perf_counter()
        discover_tonight(connection, night=night, timezone="UTC")
        note("a night without news", time.perf_counter() - begin)
    return rows
