"""Friction: attempts whose window is over, compared with their like every night.

The rules are in the steps of ``journeys``, the statistics in ``ml/friction``; here they meet the warehouse.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.failpoints import failpoint
from dagster_project.night import source_digest
from dagster_project.settings import PROJECT_ROOT

POINTS_SHOWN = 15

_TABLES = """
    create table if not exists journeys.friction (
        journey varchar, week varchar, week_start_date date, rank bigint, stage_order bigint, stage varchar,
        touchpoint varchar, signal varchar, cohort_dimension varchar, cohort varchar, attempt_count bigint,
        lost_count bigint, expected_lost_count double, extra_lost_count double, extra_lost_low double,
        extra_lost_high double, value_per_conversion_amount decimal(18, 2), value_at_risk_amount decimal(18, 2),
        value_low decimal(18, 2), value_high decimal(18, 2), value_currency varchar, p_value double, q_value double,
        is_ranked boolean, from_date date, to_date date, owner varchar, evidence varchar, likely_cause varchar,
        recommendation varchar, expected_gain_amount decimal(18, 2), expected_gain_basis varchar
    );
    create table if not exists ops.friction_from (inputs varchar);
"""
# All that friction is found from; attempts that are still open, or could still be, say nothing yet.
_INPUTS = {
    "attempts": """
        select
            attempts.attempt_id, attempts.journey, attempts.week_start_date,
            cast((attempts.started_at at time zone 'UTC') at time zone $timezone as date) as started_on,
            attempts.first_channel, attempts.status = 'lost' as is_lost,
            context.os, context.app_version, context.device_type, context.browser, context.country, context.campaign
        from journeys.attempts as attempts
        inner join journeys.attempt_context as context using (attempt_id)
        where attempts.deadline_at <= attempts.watched_until_at and attempts.status <> 'open'
        order by attempts.attempt_id
    """,
    "steps": """
        select
            steps.attempt_id, steps.step_number, steps.stage_order, steps.touchpoint, steps.step_kind,
            round(steps.waited_hours, 4) as waited_hours,
            round((epoch_us(attempts.deadline_at) - epoch_us(steps.entered_at)) / 3.6e9, 4) as hours_left,
            case
                when attempts.status = 'converted'
                then round((epoch_us(attempts.ended_at) - epoch_us(steps.entered_at)) / 3.6e9, 4)
            end as hours_to_success,
            steps.friction_signals
        from journeys.steps as steps
        inner join journeys.attempts as attempts using (attempt_id)
        where attempts.deadline_at <= attempts.watched_until_at and steps.step_kind <> 'company'
        order by steps.attempt_id, steps.step_number
    """,
    "journeys": """
        select journeys.journey, paid.value_amount, paid.value_currency, journeys.owner
        from staging.journeys as journeys
        left join
            (
                select
                    journey, sum(value_amount) / count(*) as value_amount, min(value_currency) as value_currency
                from journeys.attempts
                where status = 'converted' and value_amount is not null
                group by journey
                having count(distinct value_currency) = 1
            ) as paid
            on journeys.journey = paid.journey
        order by journeys.journey
    """,
    "stages": "select journey, stage_order, stage from staging.journey_stages order by journey, stage_order",
    "playbooks": "select * from staging.playbooks order by playbook_id",
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a night found.

    Attributes
    ----------
    rows : int
        Points, ranked or not.
    sentence : str
        What was found, or that nothing is new.
    top : str
        The first points of all weeks and of the latest one that has any, as a Markdown table.
    """

    rows: int
    sentence: str
    top: str


def find_tonight(connection: duckdb.DuckDBPyConnection, *, timezone: str) -> Report:
    """Find the friction of every journey, unless nothing has changed since it was last looked for.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse, for writing.
    timezone : str
        In which days are cut.
    """
    connection.execute(_TABLES)
    inputs = {
        name: connection.sql(query, params={"timezone": timezone} if "$timezone" in query else None).to_arrow_table()
        for name, query in _INPUTS.items()
    }
    digest = _digest(inputs)
    is_unchanged = connection.execute("select inputs from ops.friction_from").fetchall() == [(digest,)]
    if not is_unchanged:
        from ml.friction import find_friction

        found = find_friction(
            inputs["attempts"],
            inputs["steps"],
            journeys=inputs["journeys"],
            stages=inputs["stages"],
            playbooks=inputs["playbooks"],
        )
        connection.register("found", found)
        connection.begin()
        connection.execute("delete from journeys.friction")
        connection.execute("insert into journeys.friction by name select * from found")
        connection.execute("delete from ops.friction_from")
        failpoint("friction.before_commit")
        connection.execute("insert into ops.friction_from values (?)", [digest])
        connection.commit()
        connection.unregister("found")
    return _report(connection, is_unchanged=is_unchanged)


def _digest(inputs: dict[str, pa.Table]) -> str:
    """Name all that friction is found from: the same name, the same points."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(source_digest(PROJECT_ROOT / "ml" / "friction").encode())
    for table in inputs.values():
        with pa.BufferOutputStream() as sink:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table.combine_chunks())
            digest.update(sink.getvalue())
    return digest.hexdigest()


def _report(connection: duckdb.DuckDBPyConnection, *, is_unchanged: bool) -> Report:
    ((rows, ranked, cohorts),) = connection.execute(
        "select count(*), count(rank), count(rank) filter (cohort <> 'all') from journeys.friction"
    ).fetchall()
    told = f"{rows:,} points, of which {ranked:,} are ranked, {cohorts:,} of them in one cohort."
    if not rows:
        told = "No friction is told of: there are too few attempts whose window is over, or nobody met any."
    return Report(
        rows=rows,
        sentence=f"Nothing new: the attempts are those of the last run. {told}" if is_unchanged else told,
        top=_list(connection),
    )


def _list(connection: duckdb.DuckDBPyConnection) -> str:
    """The first points of all weeks together, and those of single weeks that one cohort carries."""
    found = connection.execute(
        """
        select
            journey, week, rank, stage, touchpoint, signal, cohort, extra_lost_count, extra_lost_low,
            extra_lost_high, value_at_risk_amount, value_currency, likely_cause
        from journeys.friction
        where rank is not null and (week = 'all' and rank <= 3 or cohort <> 'all' and week <> 'all')
        order by week = 'all' desc, week desc, value_at_risk_amount desc nulls last, journey, rank
        """
    ).fetchall()
    if not found:
        return "Nothing is ranked."
    lines = [
        "| journey | week | rank | stage | touchpoint | signal | cohort | extra losses | at risk | likely cause |",
        "|---|---|---:|---|---|---|---|---:|---:|---|",
    ]
    for journey, week, rank, stage, touchpoint, signal, cohort, extra, low, high, value, currency, cause in found[
        : 2 * POINTS_SHOWN
    ]:
        worth = "" if value is None else f"{value:,.0f} {currency}"
        lines.append(
            f"| {journey} | {week} | {rank} | {stage} | {touchpoint} | {signal} | {cohort} | "
            f"{extra:,.1f} ({low:,.1f} to {high:,.1f}) | {worth} | {cause} |"
        )
    return "\n".join(lines)
