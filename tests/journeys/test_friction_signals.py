"""What was hard about a step and on what an attempt was made, worked out by hand on a few touches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from dagster_project.settings import load_settings
from dagster_project.transform import build
from dagster_project.warehouse import SCHEMAS
from tests.nights import whole_night

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36"
)
EDGE = CHROME + " Edg/125.0.0.0"
APP = "Lumen/4.2.0 (Linux; Android 14; Pixel 8)"

# attempt, time of day, event, touchpoint, kind, stage of the event, furthest stage, step of a form, end?, rating, text
TOUCHES = [
    ("a", "10:00:00", "checkout_started", "checkout", "milestone", 1, 1, None, False, None, None),
    ("a", "10:00:10", "form_error", "website", "friction", None, 1, None, False, None, None),
    ("a", "10:00:40", "form_error", "website", "friction", None, 1, None, False, None, None),
    # The third within a minute of the first.
    ("a", "10:01:10", "form_error", "website", "friction", None, 1, None, False, None, None),
    ("a", "13:01:10", "checkout_step_completed", "checkout", "milestone", 2, 2, 2, False, None, None),
    ("a", "13:02:10", "product_viewed", "website", "touch", None, 2, None, False, None, None),
    # Back at the form, and at its first step after the second.
    ("a", "13:03:10", "checkout_step_completed", "checkout", "milestone", 2, 2, 1, False, None, None),
    ("a", "13:04:00", "email_processed", "email", "system", None, 2, None, False, None, None),
    # The next thing done was to ask, in anger.
    ("a", "15:03:10", "ticket_opened", "support", "touch", None, 2, None, False, None, "angry"),
    ("a", "15:04:10", "order_placed", "checkout", "outcome", 4, 4, None, True, None, None),
    ("b", "10:00:00", "checkout_started", "checkout", "milestone", 1, 1, None, False, None, None),
    ("b", "10:00:10", "form_error", "website", "friction", None, 1, None, False, None, None),
    ("b", "10:00:40", "form_error", "website", "friction", None, 1, None, False, None, None),
    # A second too late for a minute.
    ("b", "10:01:11", "form_error", "website", "friction", None, 1, None, False, None, None),
    ("b", "10:02:00", "satisfaction_rated", "survey", "touch", None, 1, None, False, 0.25, None),
    ("b", "10:03:00", "satisfaction_rated", "survey", "touch", None, 1, None, False, 0.5, "fine"),
]
STEPS = [
    ("a", 1, "checkout", "touch", None, None),
    ("a", 2, "website", "touch", pytest.approx(10 / 3600), "error|rage"),
    ("a", 3, "checkout", "touch", 3.0, None),
    ("a", 4, "website", "touch", pytest.approx(1 / 60), None),
    ("a", 5, "checkout", "touch", pytest.approx(1 / 60), "backtrack|repeat|support contact"),
    ("a", 6, "email", "company", None, None),
    ("a", 7, "support", "touch", 2.0, "negative message"),
    ("a", 8, "checkout", "end", None, None),
    ("b", 1, "checkout", "touch", None, None),
    ("b", 2, "website", "touch", pytest.approx(10 / 3600), "error"),
    ("b", 3, "survey", "touch", pytest.approx(49 / 3600), "negative message"),
]
# component = person, time, event id, session, system, version, kind of device, user agent, country, campaign
EVENTS = [
    # Came by a campaign, then started; that another brought him back is of no matter, nor is his move to France.
    ("p", "09:50:00", "p0", "s1", None, None, None, None, None, "spring"),
    ("p", "10:00:00", "p1", "s1", None, None, None, None, None, None),
    ("p", "10:01:00", "p2", "s1", "Windows", None, "desktop", EDGE, None, "autumn"),
    ("p", "10:02:00", "p3", "s2", "Android", "4.2.0", "mobile", APP, "FR", None),
    # Was in Germany before, in an earlier visit by a campaign.
    ("q", "08:00:00", "q0", "s3", "Windows", None, "desktop", CHROME, "DE", "winter"),
    ("q", "10:00:00", "q1", "s4", "Android", "4.2.0", "mobile", APP, None, None),
    ("q", "10:01:00", "q2", "s4", "Windows", None, "desktop", CHROME, "FR", None),
]
CONTEXTS = [
    ("p", "Windows", None, "desktop", "Edge", "FR", "spring"),
    ("q", "Android", "4.2.0", "mobile", None, "DE", None),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both steps of the way built on tables made by hand."""
    data: Path = tmp_path_factory.mktemp("friction")
    settings = load_settings({"THROUGHLINE_DATA": str(data), "THROUGHLINE_INBOX": str(data)})
    with duckdb.connect(settings.warehouse_path) as connection:
        for schema in SCHEMAS:
            connection.execute(f"create schema if not exists {schema}")
        connection.execute(
            """
            create table journeys.attempt_events (
                attempt_id varchar, occurred_at timestamp, event varchar, touchpoint varchar, kind varchar,
                event_stage integer, stage_order integer, form_step integer, is_end boolean, rating double,
                text_id varchar, journey varchar default 'checkout', component_id varchar, event_id varchar
            );
            create table timeline.message_signals as
            select * from (values ('angry', -0.05), ('fine', -0.04)) as signals (text_id, compound);
            create table journeys.stage_events as select 'checkout' as journey, 'checkout_started' as event;
            create table journeys.journey_roles as select 'checkout' as journey, 'order_placed' as event;
            create table timeline.affected_components (component_id varchar);
            create table timeline.customer_events (
                component_id varchar, occurred_at timestamp, event_id varchar, session_id varchar, os varchar,
                app_version varchar, device_type varchar, user_agent varchar, country varchar, utm_campaign varchar,
                person_id varchar
            );
            create table journeys.attempt_spans as
            select * from (
                values ('p', 'p', 'p', timestamp '2026-03-02 10:00', 'p1'),
                    ('q', 'q', 'q', timestamp '2026-03-02 10:00', 'q1')
            ) as spans (attempt_id, component_id, person_id, started_at, start_event_id);
            """
        )
        connection.executemany(
            """
            insert into journeys.attempt_events (
                attempt_id, occurred_at, event, touchpoint, kind, event_stage, stage_order, form_step, is_end, rating,
                text_id, component_id, event_id
            ) values (?, date '2026-03-02' + cast(? as time), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [(*touch, touch[0], f"{touch[0]}{place:02d}") for place, touch in enumerate(TOUCHES)],
        )
        connection.executemany(
            """
            insert into timeline.customer_events
            values (?, date '2026-03-02' + cast(? as time), ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [(*event, event[0]) for event in EVENTS],
        )
    night = whole_night(datetime(2026, 3, 31))
    results = build(settings, night=night, nodes=["model.throughline.steps"])
    with duckdb.connect(settings.warehouse_path) as connection:
        # The touches of the attempts whose context is asked for; the other steps stand by now.
        connection.execute("delete from journeys.attempt_events")
        connection.execute(
            """
            insert into journeys.attempt_events (attempt_id, occurred_at, component_id, event_id)
            select component_id, occurred_at, component_id, event_id from timeline.customer_events
            where occurred_at >= timestamp '2026-03-02 10:00'
            """
        )
    results += build(settings, night=night, nodes=["model.throughline.attempt_context"])
    assert [(result.status, result.message) for result in results] == [("success", "OK")] * 2
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        yield connection


def test_steps_tell_what_was_hard_about_them(built: duckdb.DuckDBPyConnection) -> None:
    assert (
        built.execute(
            """
            select attempt_id, step_number, touchpoint, step_kind, waited_hours, friction_signals
            from journeys.steps order by attempt_id, step_number
            """
        ).fetchall()
        == STEPS
    )


def test_context_is_what_was_known_at_the_start_or_said_first(built: duckdb.DuckDBPyConnection) -> None:
    assert (
        built.execute(
            """
            select attempt_id, os, app_version, device_type, browser, country, campaign
            from journeys.attempt_context order by attempt_id
            """
        ).fetchall()
        == CONTEXTS
    )
