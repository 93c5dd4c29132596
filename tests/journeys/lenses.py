"""Journeys and their lenses built by dbt alone, from a timeline made by hand: no exports, no identity, no Python."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from dagster_project.settings import Settings
from dagster_project.transform import build
from dagster_project.warehouse import open_warehouse
from tests.nights import whole_night

# What stands before the lenses, in no order: dbt knows it.
STEPS = (
    *("journey_roles", "stage_events", "attempt_spans", "attempt_events", "watched_journeys", "attempts", "steps"),
    *("attempt_stages", "attempt_effort", "attempt_segments"),
)
LENSES = ("published_journey_stages", "stage_survival", "journey_transitions", "journey_effort")

_TABLES = """
    create table staging.journeys (
        journey varchar, start_events varchar, success_events varchar, failure_events varchar, window_days integer,
        is_repeatable boolean, value_amount decimal(18, 2), value_currency varchar
    );
    create table staging.journey_stages (journey varchar, stage_order integer, stage varchar, events varchar);
    create table staging.event_taxonomy (source varchar, event varchar, touchpoint varchar);
    create table timeline.customer_events (
        event_id varchar, component_id varchar, person_id varchar, identity_tier varchar, account_id varchar,
        session_id varchar, source varchar, source_table varchar, event_name varchar, event varchar, touchpoint varchar,
        kind varchar, lifecycle_stage varchar, occurred_at timestamp, available_at timestamp, device_id varchar,
        url varchar, referrer varchar, utm_source varchar, utm_medium varchar, utm_campaign varchar, channel varchar,
        traffic_class varchar, user_agent varchar, device_type varchar, os varchar, os_version varchar,
        app_version varchar, country varchar, order_id varchar, revenue decimal(18, 2), currency varchar, rating double,
        text_id varchar, properties json, has_analytics_consent boolean default true
    );
    create table staging.action_details (event varchar, block varchar, property varchar, left_out varchar);
    create table staging.contact_costs (channel varchar, cost_amount decimal(18, 2), currency varchar);
    create table timeline.message_signals (text_id varchar, compound double);
    create table predictions.segments (segment varchar);
    create table predictions.segment_history (person_id varchar, segment varchar, valid_from date, valid_to date);
"""


def prepare(
    connection: duckdb.DuckDBPyConnection, *, journeys: Sequence[tuple[str, ...]], stages: Sequence[tuple[str, ...]]
) -> None:
    """Make the tables that the steps read, with these definitions and without an event.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        An empty warehouse.
    journeys : sequence of tuple
        Journey, start, success and failure events, days of the window, whether it may be repeated.
    stages : sequence of tuple
        Journey, order, stage, events.
    """
    connection.execute(_TABLES)
    connection.executemany("insert into staging.journeys values (?, ?, ?, ?, ?, ?, null, null)", journeys)
    connection.executemany("insert into staging.journey_stages values (?, ?, ?, ?)", stages)


def build_models(settings: Settings, *, models: Sequence[str], as_of: datetime) -> dict[str, float]:
    """Build models of that name, each of which must succeed; the seconds that each took."""
    nodes = [f"model.throughline.{name}" for name in models]
    results = build(settings, night=whole_night(as_of), nodes=nodes)
    failed = [f"{result.unique_id}: {result.message}" for result in results if not result.is_built]
    assert not failed and len(results) == len(nodes), failed or "dbt did not come to all of them"
    return {result.unique_id.rsplit(".", 1)[-1]: result.seconds for result in results}


class Lenses:
    """A warehouse with built lenses, to be asked in SQL."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def rows(self, query: str) -> list[tuple]:
        with open_warehouse(self._settings, read_only=True) as connection:
            return connection.execute(query).fetchall()
