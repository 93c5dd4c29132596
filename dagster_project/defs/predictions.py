"""Predictions: what the models say, each with the version that said it."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.predictions import TABLES, prepare_tables
from dagster_project.warehouse import open_warehouse

_DESCRIPTIONS = {
    "scores": "One person and target: how likely it is, and why. Feeds `customer_scores`.",
    "segments": "One segment: people who move through the company alike. Feeds `customer_segments`.",
    "segment_history": "One person and stretch of days in one segment. Splits health and funnels by segment.",
    "model_versions": "One version of one model: what it was trained on and how good it is. Feeds `model_cards`.",
    "model_diagnostics": "One number about one version of a model, such as a bin of its calibration.",
}


@dg.multi_asset(
    name="model_outputs",
    specs=[
        dg.AssetSpec(
            ["predictions", table],
            group_name="predictions",
            description=_DESCRIPTIONS[table],
            deps=[["journeys", "lifecycles"]],
            kinds={"python", "duckdb"},
        )
        for table in TABLES
    ],
    pool=POOL,
)
def model_outputs(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Keep the tables there, empty while no model has said anything."""
    with open_warehouse(warehouse.settings) as connection:
        prepare_tables(connection)
        rows = {
            table: connection.execute(f"select count(*) from predictions.{table}").fetchall()[0][0] for table in TABLES
        }
    for table in TABLES:
        yield dg.MaterializeResult(asset_key=["predictions", table], metadata={"rows": rows[table]})
