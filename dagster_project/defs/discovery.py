"""Discovery: paths, chances of success and kinds of leaving that nobody had to name before."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.discovery import TABLES, discover_tonight
from dagster_project.warehouse import open_warehouse

_DESCRIPTIONS = {
    "patterns": "One pattern of touchpoints, or first touchpoint, of one journey, with how many convert on it. Feeds "
    "`journey_paths`.",
    "states": "One state of one journey's Markov chain, with the chance of success from it. Feeds `journey_states`.",
    "state_transitions": "One step of one journey and what comes next, with its chance. Feeds `next_steps`.",
    "what_ifs": "One change to one journey and what the chain makes of it. Feeds `journey_what_ifs`.",
    "abandonment": "One kind of leaving one journey, by what its last session looked like. Feeds `abandonment_types`.",
}
_READS = [
    ["journeys", "attempt_spans"],
    ["journeys", "attempts"],
    ["journeys", "attempt_events"],
    ["timeline", "customer_events"],
    ["timeline", "message_signals"],
    ["staging", "journeys"],
    ["staging", "journey_stages"],
]
_KEYS = {table: dg.AssetKey(["journeys", table]) for table in TABLES}


@dg.multi_asset(
    name="discovery",
    specs=[
        dg.AssetSpec(
            _KEYS[table],
            group_name="journeys",
            description=description,
            deps=_READS,
            kinds={"python", "duckdb"},
        )
        for table, description in _DESCRIPTIONS.items()
    ],
    pool=POOL,
)
def discovery(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Mine paths, fit the chains, sort the leavings."""
    with open_warehouse(warehouse.settings) as connection:
        report = discover_tonight(connection, night=warehouse.night, timezone=warehouse.settings.timezone)
    for table, key in _KEYS.items():
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "rows": report.rows[table],
                "outcome": report.told[table],
                "findings": dg.MetadataValue.md(report.findings[table]),
            },
        )
