"""Discovery: what people really do, found without being told what to look for.

The statistics are in ``ml/``; here they meet the warehouse. A journey with too few attempts is told in one sentence
and has no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from dagster_project.night import Night

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


def discover_tonight(connection: duckdb.DuckDBPyConnection, *, night: Night) -> Report:
    """Mine patterns, fit chains and sort leavings, journey by journey.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse, for writing.
    night : Night
        The run's frame.
    """
    prepare_tables(connection)
    rows = {name: connection.execute(f"select count(*) from journeys.{name}").fetchall()[0][0] for name in TABLES}
    return Report(
        rows=rows,
        told=dict.fromkeys(TABLES, "Nothing found yet."),
        findings=dict.fromkeys(TABLES, "Nothing found yet."),
        is_unchanged=False,
    )
