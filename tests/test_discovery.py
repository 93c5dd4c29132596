"""Discovery on the demo: what the tables say is counted again, plainly; a night without news does nothing."""

from __future__ import annotations

import math
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from dagster_project.discovery import PAPERWORK_SECONDS, TABLES, discover_tonight
from tests.conftest import Demo


@pytest.fixture(scope="module")
def connection(demo: Demo) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(demo.settings.warehouse_path), read_only=True) as connection:
        yield connection


@dataclass
class Attempt:
    """One attempt, walked plainly."""

    journey: str
    status: str
    is_window_over: bool
    steps: list[tuple[str, int]]


@pytest.fixture(scope="module")
def attempts(connection: duckdb.DuckDBPyConnection) -> list[Attempt]:
    """Touch by touch: those of one touchpoint and stage in a row are one step; start, end and paperwork are none."""
    touches: dict[str, list[tuple[str, str, int, bool, datetime]]] = defaultdict(list)
    for attempt_id, *touch in connection.execute(
        "select attempt_id, event_id, touchpoint, stage_order, kind = 'friction', occurred_at "
        "from journeys.attempt_events order by attempt_id, occurred_at, event_id"
    ).fetchall():
        touches[attempt_id].append(tuple(touch))
    walked = []
    for attempt_id, journey, status, is_over, start, end, outcome_at in connection.execute(
        "select attempt_id, attempts.journey, status, is_window_over, start_event_id, end_event_id, outcome_at from "
        "published.journey_attempts as attempts inner join journeys.attempt_spans using (attempt_id)"
    ).fetchall():
        steps: list[dict] = []
        for event, touchpoint, stage, is_friction, at in touches[attempt_id]:
            if not steps or steps[-1]["place"] != (touchpoint, stage):
                steps.append({"place": (touchpoint, stage), "at": at, "is_friction": False, "others": 0})
            steps[-1]["is_friction"] |= is_friction
            steps[-1]["others"] += event not in (start, end)
        kept = [
            (step["place"][0] + " with friction" * step["is_friction"], step["place"][1])
            for step in steps
            if step["others"] and (not outcome_at or step["at"] < outcome_at - timedelta(seconds=PAPERWORK_SECONDS))
        ]
        walked.append(Attempt(journey=journey, status=status, is_window_over=is_over, steps=kept))
    return walked


def collapsed(attempt: Attempt) -> list[str]:
    names = [name for name, _ in attempt.steps]
    return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]


def is_on(pattern: list[str], path: list[str]) -> bool:
    rest = iter(path)
    return all(step in rest for step in pattern)


def test_paths_are_those_of_all_attempts(connection: duckdb.DuckDBPyConnection, attempts: list[Attempt]) -> None:
    """Every fifth pattern and every entry of three journeys counted again."""
    checked = 0
    for journey in ("acquisition", "checkout", "trial_to_paid"):
        paths = [
            (collapsed(attempt), attempt.status if attempt.is_window_over else "young")
            for attempt in attempts
            if attempt.journey == journey
        ]
        over = sum(status != "young" for _, status in paths)
        base = sum(status == "converted" for _, status in paths) / over
        rows = connection.execute(
            """
            select kind, pattern, attempt_count, open_count, converted_count, support_rate, base_conversion_rate, lift
            from published.journey_paths where journey = ? order by kind, pattern
            """,
            [journey],
        ).fetchall()
        assert {row[0] for row in rows} == {"pattern", "entry"}
        for kind, told, count, open_count, converted, support, base_rate, lift in rows[::5] + [
            row for row in rows if row[0] == "entry"
        ]:
            pattern = told.split(" → ")
            on = Counter(
                status for path, status in paths if (path[:1] == pattern if kind == "entry" else is_on(pattern, path))
            )
            assert (count, converted, open_count) == (on["converted"] + on["lost"], on["converted"], on["young"]), told
            assert support == pytest.approx(on.total() / len(paths), abs=1e-6)
            assert base_rate == pytest.approx(base, abs=1e-6)
            if count:
                assert lift == pytest.approx(converted / count / base, abs=1e-6)
            checked += 1
    assert checked > 50


def test_next_steps_are_the_moves_of_all_attempts_whose_window_is_over(
    connection: duckdb.DuckDBPyConnection, attempts: list[Attempt]
) -> None:
    stages = dict(
        ((journey, order), stage)
        for journey, order, stage in connection.execute(
            "select journey, stage_order, stage from staging.journey_stages"
        ).fetchall()
    )
    told = {
        row[:3]: row[3]
        for row in connection.execute(
            "select journey, step, next, transition_count from published.next_steps"
        ).fetchall()
    }
    moves: Counter[tuple[str, str, str]] = Counter()
    over = [attempt for attempt in attempts if attempt.is_window_over]
    for attempt in over:
        named = [f"{name} ({stages[attempt.journey, stage]})" for name, stage in attempt.steps]
        path = ["(start)", *named, f"({attempt.status})"]
        moves.update((attempt.journey, *move) for move in pairwise(path))
    sizes = Counter(attempt.journey for attempt in over)
    assert told == {move: count for move, count in moves.items() if sizes[move[0]] >= 30}
    assert {journey for journey, count in sizes.items() if count < 30}.isdisjoint({move[0] for move in told})


def test_chains_know_what_was_observed(connection: duckdb.DuckDBPyConnection, attempts: list[Attempt]) -> None:
    rows = connection.execute(
        """
        select distinct
            journey, observed_conversion_rate, observed_low, observed_high, chain_conversion_rate, is_reproduced
        from published.journey_states
        """
    ).fetchall()
    assert len(rows) >= 5
    for journey, observed, low, high, chain, is_reproduced in rows:
        over = [attempt.status for attempt in attempts if attempt.journey == journey and attempt.is_window_over]
        assert observed == pytest.approx(over.count("converted") / len(over), abs=1e-6)
        assert chain == pytest.approx(observed, abs=1e-6)
        assert is_reproduced and low <= chain <= high
    offered = connection.execute(
        """
        select count(*), count(case when not states.is_reproduced then 1 end)
        from published.journey_what_ifs as changes
        inner join (select distinct journey, is_reproduced from published.journey_states) as states using (journey)
        where changes.is_offered
        """
    ).fetchall()
    assert offered[0][0] > 20 and offered[0][1] == 0


def test_what_is_nothing_has_no_sign(connection: duckdb.DuckDBPyConnection) -> None:
    floats = connection.execute(
        """
        select table_name, column_name from duckdb_columns()
        where
            schema_name = 'published' and data_type = 'DOUBLE'
            and table_name in (
                'journey_paths', 'journey_states', 'next_steps', 'journey_what_ifs', 'abandonment_types'
            )
        """
    ).fetchall()
    assert {table for table, _ in floats} == {
        *("journey_paths", "journey_states", "next_steps", "journey_what_ifs", "abandonment_types")
    }
    zeros = 0
    for table, column in floats:
        values = connection.execute(f"select {column} from published.{table} where {column} = 0").fetchall()
        assert all(math.copysign(1, value) == 1 for (value,) in values), (table, column)
        zeros += len(values)
    assert zeros > 10


def test_kinds_of_leaving_add_up_to_all_that_were_lost(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(
        """
        select journey, sum(attempt_count), round(sum(share_rate), 4), count(*), lost
        from published.abandonment_types
        inner join (
            select journey, count(*) as lost from journeys.attempts where status = 'lost' group by journey
        ) using (journey)
        group by journey, lost
        """
    ).fetchall()
    assert "checkout" in {row[0] for row in rows}
    for _, sorted_attempts, share, kinds, lost in rows:
        assert sorted_attempts == lost >= 30
        assert share == 1
        assert 2 <= kinds <= 5


def test_without_news_nothing_is_done_and_done_again_it_is_the_same(demo: Demo, tmp_path: Path) -> None:
    copy = tmp_path / demo.settings.warehouse_path.name
    shutil.copyfile(demo.settings.warehouse_path, copy)
    with duckdb.connect(str(copy)) as connection:
        (as_of, digest) = connection.execute(
            "select as_of, project_hash from ops.runs where status = 'completed'"
        ).fetchall()[0]
        night = SimpleNamespace(as_of=as_of, project_hash=digest)
        for name in TABLES:
            connection.execute(f"create table before_{name} as from journeys.{name}")
        report = discover_tonight(connection, night=night, timezone=demo.settings.timezone)
        assert report.is_unchanged
        assert report.rows["patterns"] > 100
        assert "| checkout |" in report.findings["patterns"]
        connection.execute("delete from ops.discovered_from")
        # The same rows in another order, as they lie after nights of their own.
        for table in ("attempt_spans", "attempt_events", "steps"):
            connection.execute(
                f"create or replace table journeys.{table} as from journeys.{table} order by md5(attempt_id)"
            )
        assert not discover_tonight(connection, night=night, timezone=demo.settings.timezone).is_unchanged
        for name in TABLES:
            for one, other in ((f"before_{name}", f"journeys.{name}"), (f"journeys.{name}", f"before_{name}")):
                assert connection.execute(f"from {one} except all from {other}").fetchall() == []
        # Somebody's attempt turns out differently.
        connection.execute(
            """
            update journeys.attempt_spans set outcome = 'lost'
            where attempt_id = (select min(attempt_id) from journeys.attempt_spans where outcome = 'converted')
            """
        )
        assert not discover_tonight(connection, night=night, timezone=demo.settings.timezone).is_unchanged


@pytest.fixture
def empty_warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables that discovery reads, without rows."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create schema journeys; create schema timeline; create schema staging; create schema ops")
        connection.execute(
            """
            create table journeys.attempts (
                attempt_id varchar, person_id varchar, journey varchar, status varchar, started_at timestamp,
                deadline_at timestamp, watched_until_at timestamp
            );
            create table journeys.attempt_spans (
                attempt_id varchar, journey varchar, outcome varchar, outcome_at timestamp, start_event_id varchar,
                end_event_id varchar
            );
            create table journeys.steps (
                attempt_id varchar, step_number hugeint, stage_order integer, touchpoint varchar, entered_at timestamp,
                touch_count bigint, is_friction boolean, step_kind varchar
            );
            create table journeys.attempt_events (
                attempt_id varchar, journey varchar, event_id varchar, occurred_at timestamp, touchpoint varchar,
                kind varchar, event_stage integer, stage_order integer
            );
            create table timeline.customer_events (event_id varchar, event varchar);
            create table staging.journey_stages (journey varchar, stage_order integer, stage varchar)
            """
        )
        yield connection


def test_journeys_without_attempts_have_no_rows_and_a_sentence(empty_warehouse: duckdb.DuckDBPyConnection) -> None:
    night = SimpleNamespace(as_of=datetime(2026, 6, 30, 23, 59), project_hash="1")
    report = discover_tonight(empty_warehouse, night=night, timezone="Europe/Berlin")
    assert set(report.rows.values()) == {0}
    assert set(report.told.values()) == {"There are no attempts."}
    # Five attempts are told as too few, in every table.
    empty_warehouse.execute(
        """
        insert into staging.journey_stages values ('trial', 1, 'Started');
        insert into journeys.attempt_spans
        select 'a' || i, 'trial', 'lost', timestamp '2026-06-02', 's' || i, 'e' || i from range(5) t(i);
        insert into journeys.attempts
        select
            'a' || i, 'p' || i, 'trial', 'lost', timestamp '2026-06-01', timestamp '2026-06-15', timestamp '2026-06-30'
        from range(5) t(i);
        insert into journeys.steps
        select 'a' || i, 1, 1, 'shop', timestamp '2026-06-01 23:30', 3, false, 'touch' from range(5) t(i);
        insert into journeys.attempt_events
        select 'a' || i, 'trial', kind || i, timestamp '2026-06-01 23:30', 'shop', 'touch', 1, 1
        from range(5) t(i), (values ('s'), ('x'), ('e')) k(kind);
        insert into timeline.customer_events select event_id, 'visited' from journeys.attempt_events
        """
    )
    report = discover_tonight(empty_warehouse, night=night, timezone="Europe/Berlin")
    assert report.rows == {"patterns": 1, "states": 0, "state_transitions": 0, "what_ifs": 0, "abandonment": 0}
    assert empty_warehouse.execute(
        "select kind, pattern, attempt_count, verdict, q_value, first_seen_date from journeys.patterns"
    ).fetchall() == [("entry", "shop", 5, "too few", None, datetime(2026, 6, 2).date())]
    assert report.told["states"] == "trial: The window of 5 attempts is over: too few."
    assert report.told["abandonment"] == "trial: 5 lost attempts: too few to be sorted."


def test_outcomes_are_told_of_attempts_whose_window_is_over(empty_warehouse: duckdb.DuckDBPyConnection) -> None:
    """One attempt in five converts, on its first day; half of the others give up by then, half wait for the deadline.

    Of 200 all days are watched, of 100 three of thirty: 20 of those have converted, 40 are lost, 40 open. Of those that
    have ended 60 of 260 converted. Who chats is half of the whole ones with as many conversions, and of the young ones
    all who converted.
    """
    empty_warehouse.execute(
        """
        insert into staging.journey_stages values ('trial', 1, 'Started');
        create table drawn as
        select
            i, 'a' || i as attempt_id, i < 200 as is_whole,
            case when i < 200 then timestamp '2026-05-01' else timestamp '2026-06-27' end as started_at,
            case when i % 5 = 0 then 'converted' when i % 5 < 3 then 'lost' end as outcome
        from range(300) t(i);
        insert into journeys.attempts
        select
            attempt_id, 'p' || i, 'trial', coalesce(outcome, case when is_whole then 'lost' else 'open' end),
            started_at, started_at + interval 30 day, timestamp '2026-06-30'
        from drawn;
        insert into journeys.attempt_spans
        select
            attempt_id, 'trial', outcome, case when outcome is not null then started_at + interval 1 day end, 's' || i,
            case when outcome is not null then 'e' || i end
        from drawn;
        insert into journeys.steps
        select attempt_id, 1, 1, 'shop', started_at, 3, false, 'touch' from drawn
        union all
        select attempt_id, 2, 1, 'chat', started_at + interval 1 hour, 2, false, 'touch' from drawn
        where case when is_whole then i % 2 = 0 else i % 5 = 0 end
        """
    )
    night = SimpleNamespace(as_of=datetime(2026, 6, 30, 23, 59), project_hash="1")
    report = discover_tonight(empty_warehouse, night=night, timezone="UTC")
    chat = empty_warehouse.execute(
        """
        select
            attempt_count, open_count, support_rate, converted_count, conversion_rate, base_conversion_rate, lift,
            length_adjusted_lift, verdict
        from journeys.patterns where pattern = 'chat' and kind = 'pattern'
        """
    ).fetchall()
    assert chat == [(100, 20, 0.4, 20, 0.2, 0.2, 1.0, 1.0, "no difference shown")]
    assert report.told["patterns"].startswith("trial: 200 attempts whose window is over, ")
    chains = empty_warehouse.execute(
        """
        select observed_conversion_rate, round(chain_conversion_rate, 9), is_reproduced, visit_count
        from journeys.states where state = '(start)'
        """
    ).fetchall()
    assert chains == [(0.2, 0.2, True, 200)]
    assert empty_warehouse.execute(
        "select transition_count from journeys.state_transitions where step = '(start)'"
    ).fetchall() == [(200,)]


def test_what_is_mostly_the_companys_is_not_offered_to_be_changed(empty_warehouse: duckdb.DuckDBPyConnection) -> None:
    """Of 120 attempts half convert, whatever mail they get: every second is mailed to at once, every third later.

    Of the 60 first mails half were opened, and so it is the company's step; of the 40 later ones 24 were, and so it is
    the customer's.
    """
    empty_warehouse.execute(
        """
        insert into staging.journey_stages values ('trial', 1, 'Started'), ('trial', 2, 'Used');
        create table drawn as
        select
            i, 'a' || i as attempt_id, timestamp '2026-06-01' as started_at,
            case when i % 4 < 2 then 'converted' else 'lost' end as status
        from range(120) t(i);
        insert into journeys.attempts
        select
            attempt_id, 'p' || i, 'trial', status, started_at, started_at + interval 14 day, timestamp '2026-06-30'
        from drawn;
        insert into journeys.attempt_spans
        select attempt_id, 'trial', status, started_at + interval 9 day, 's' || i, 'e' || i from drawn;
        insert into journeys.steps
        select attempt_id, 1, 1, 'shop', started_at, 2, false, 'touch' from drawn
        union all
        select
            attempt_id, 2, 1, 'email', started_at + interval 1 day, 2, false,
            case when i < 60 then 'touch' else 'company' end
        from drawn where i % 2 = 0
        union all
        select
            attempt_id, 3, 2, 'email', started_at + interval 2 day, 2, false,
            case when i < 72 then 'touch' else 'company' end
        from drawn where i % 3 = 0;
        """
    )
    night = SimpleNamespace(as_of=datetime(2026, 6, 30, 23, 59), project_hash="1")
    discover_tonight(empty_warehouse, night=night, timezone="UTC")
    reason = (
        "Half of the time or more the company, not the customer, takes this step, so what it brings is a question for "
        "an experiment."
    )
    assert empty_warehouse.execute(
        "select change, step, is_offered from journeys.what_ifs order by step, change"
    ).fetchall() == [
        ("improve", "email (Started)", False),
        ("remove", "email (Started)", False),
        ("improve", "email (Used)", True),
        ("remove", "email (Used)", True),
        ("improve", "shop (Started)", True),
        ("remove", "shop (Started)", False),
    ]
    assert empty_warehouse.execute(
        "select distinct step, conversion_after, difference from journeys.what_ifs where reason = ?", [reason]
    ).fetchall() == [("email (Started)", None, None)]
