"""Friction: where people stall, whom it hits, and what it costs."""

import dagster as dg

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.friction import find_tonight
from dagster_project.warehouse import open_warehouse


@dg.asset(
    key=["journeys", "friction"],
    group_name="journeys",
    description=(
        "One place of one journey and week where more attempts are lost than matched ones lead to expect, with the "
        "cohort that carries it. Feeds `friction_points`."
    ),
    deps=[
        ["journeys", "attempts"],
        ["journeys", "attempt_context"],
        ["journeys", "steps"],
        ["staging", "journeys"],
        ["staging", "journey_stages"],
        ["staging", "playbooks"],
    ],
    kinds={"python", "duckdb"},
    pool=POOL,
)
def friction(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Compare attempts with their like."""
    with open_warehouse(warehouse.settings) as connection:
        report = find_tonight(connection, timezone=warehouse.settings.timezone)
    return dg.MaterializeResult(
        metadata={"rows": report.rows, "outcome": report.sentence, "points": dg.MetadataValue.md(report.top)}
    )
