"""Sessions as the model cuts them, against a plain loop over each device's events."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest
from jinja2 import Environment

from dagster_project.settings import DBT_DIR

DAY = timedelta(days=1)


def session_query(*, gap_seconds: int) -> str:
    """The model's own steps from events to sessions, with a gap of one's own, over a table ``happened``."""
    model = (DBT_DIR / "models" / "timeline" / "stitched_events.sql").read_text()
    steps = model[
        model.index("    spaced as (") : model.index("    {# What was stitched to somebody who has been erased")
    ]
    macros = (DBT_DIR / "macros" / "engine" / "expressions.sql").read_text()
    consented = "select event_id, device_id, occurred_at, true as has_analytics_consent, 'web' as source from happened"
    query = (
        f"{macros} with consented as ({consented}), sources_apart as (select 'chat' as source), "
        f"{steps.rstrip().rstrip(',')} select event_id, session_id from sessions order by event_id"
    )
    settings = {"session_gap_seconds": gap_seconds, "session_cap_hours": 24, "timezone": "UTC"}
    return Environment(autoescape=False).from_string(query).render(var=settings.__getitem__)


def events(count: int) -> list[tuple[str, str, datetime]]:
    """Events of many devices: in one instant, seconds apart, just short of a gap, at it and beyond it, and day long."""
    rng = np.random.default_rng(3600)
    steps = np.array([0, 5, 90, 1799, 1800, 1801, 3599, 3600, 3601, 40_000])
    shares = np.array([0.1, 0.3, 0.2, 0.1, 0.05, 0.05, 0.06, 0.04, 0.05, 0.05])
    devices = rng.integers(0, max(count // 200, 1), count)
    jumps = rng.choice(steps, count, p=shares)
    at: dict[int, datetime] = defaultdict(lambda: datetime(2026, 3, 1))
    told = []
    for number, (device, jump) in enumerate(zip(devices.tolist(), jumps.tolist(), strict=True)):
        # One device in four hardly ever rests, so that the cap of a day cuts its sessions.
        at[device] += timedelta(seconds=min(jump, 1500) if device % 4 == 0 else jump)
        told.append((f"e{number:07}", f"d{device}", at[device]))
    return told


def cut(told: list[tuple[str, str, datetime]], *, gap: timedelta) -> dict[str, tuple[str, datetime, int]]:
    """Each event's session: its device, when it was opened, and which of its days."""
    sessions = {}
    last: dict[str, datetime] = {}
    opened: dict[str, datetime] = {}
    for event, device, at in sorted(told, key=lambda row: (row[1], row[2], row[0])):
        if device not in last or at - last[device] >= gap:
            opened[device] = at
        last[device] = at
        sessions[event] = (device, opened[device], (at - opened[device]) // DAY)
    return sessions


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.torture)])
@pytest.mark.parametrize("seconds", [1800, 3600])
def test_sessions_are_those_of_a_plain_loop(seconds: int, count: int) -> None:
    told = events(count)
    with duckdb.connect() as connection:
        connection.execute("create table happened (event_id varchar, device_id varchar, occurred_at timestamp)")
        names, devices, times = zip(*told, strict=True)
        connection.execute(
            "insert into happened select unnest($1), unnest($2), unnest($3)", [list(names), list(devices), list(times)]
        )
        found = dict(connection.execute(session_query(gap_seconds=seconds)).fetchall())
    expected = cut(told, gap=timedelta(seconds=seconds))
    assert found.keys() == expected.keys()
    pairs = {(found[event], expected[event]) for event in expected}
    # One of theirs is one of ours: neither joins two of the other's.
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    assert any(day for _, _, day in expected.values()), "some session outlasts a day"
    shorter = cut(told, gap=timedelta(seconds=1800))
    assert (len(set(expected.values())) < len(set(shorter.values()))) == (seconds > 1800)
