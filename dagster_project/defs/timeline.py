"""Timeline: the mood of messages, scored in Python."""

import time

import dagster as dg

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.timeline import score_new_messages
from dagster_project.warehouse import open_warehouse


@dg.asset(
    key=["timeline", "message_signals"],
    group_name="timeline",
    deps=[["staging", "events"]],
    description="One message text: its mood by VADER, from -1 to 1, read from the scrubbed text in the vault. "
    "Feeds the sentiment of journeys.",
    kinds={"python", "duckdb"},
    pool=POOL,
)
def message_signals(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Score the messages that have no score yet."""
    started = time.perf_counter()
    night = warehouse.night
    with open_warehouse(warehouse.settings, with_vault=True) as connection:
        report = score_new_messages(connection, as_of=night.as_of)
    return dg.MaterializeResult(
        metadata={
            "rows": report.messages,
            "scored_now": report.scored,
            "mean_mood": report.mean_compound if report.mean_compound is not None else "no messages",
            "seconds": round(time.perf_counter() - started, 2),
        }
    )
