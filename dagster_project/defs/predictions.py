"""Predictions: what the models say, each with the version that said it."""

from collections.abc import Iterator, Sequence

import dagster as dg
from pydantic import Field

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.predictions import TABLES, Told, predict_tonight
from dagster_project.warehouse import open_warehouse

_DESCRIPTIONS = {
    "scores": "One person and target: how likely it is, and why. Feeds `customer_scores`.",
    "segments": "One segment: people who move through the company alike. Feeds `customer_segments`.",
    "segment_history": "One person and stretch of days in one segment. Splits health and funnels by segment.",
    "model_versions": "One version of one model: what it was trained on and how good it is. Feeds `model_cards`.",
    "model_diagnostics": "One number about a champion, such as a bin of its calibration. Feeds `model_diagnostics`.",
}
_FEATURES = [
    ["features", table]
    for table in ("customer_snapshots", "current_customers", "target_rows", "action_profiles", "current_profiles")
]
_READS = [*_FEATURES, ["staging", "prediction_targets"], ["staging", "feature_words"], ["identity", "identifiers"]]
_KEYS = {table: dg.AssetKey(["predictions", table]) for table in TABLES}
_CHECKS = {
    "models": ("model_versions", "models_can_be_used", "Every champion can be read and is what was registered."),
    "scores": ("scores", "scores_are_tonights", "Every target is scored tonight; otherwise yesterday's scores stay."),
    "segments": ("segment_history", "segments_are_tonights", "People are sorted tonight; otherwise as yesterday."),
}


class Training(dg.Config):
    """When models are trained."""

    is_forced: bool = Field(default=False, description="Train every model now, whether it is due or not.")


@dg.multi_asset(
    name="predictions",
    specs=[
        dg.AssetSpec(
            _KEYS[table],
            group_name="predictions",
            description=description,
            deps=_READS,
            kinds={"python", "scikitlearn", "mlflow"},
        )
        for table, description in _DESCRIPTIONS.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(name, asset=_KEYS[table], description=description)
        for table, name, description in _CHECKS.values()
    ],
    pool=POOL,
)
def predictions(
    context: dg.AssetExecutionContext, warehouse: Warehouse, config: Training
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Train what is due, score people, sort them into segments."""
    with open_warehouse(warehouse.settings) as connection:
        report = predict_tonight(warehouse.settings, connection, night=warehouse.night, is_forced=config.is_forced)
    told = {"model_versions": report.models, "scores": report.scores, "segments": report.segments}
    for table, key in _KEYS.items():
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "rows": report.rows[table],
                "outcome": _outcome(told.get(table, ()), is_unchanged=report.is_unchanged),
            },
        )
    for step, (table, name, _) in _CHECKS.items():
        unwell = [one.sentence for one in getattr(report, step) if not one.is_fine]
        yield dg.AssetCheckResult(
            asset_key=_KEYS[table],
            check_name=name,
            passed=not unwell,
            severity=dg.AssetCheckSeverity.WARN,
            description=" ".join(unwell) or None,
        )


def _outcome(told: Sequence[Told], *, is_unchanged: bool) -> str:
    if is_unchanged:
        return "Nothing new: the evidence and the models are those of the last run."
    return " ".join(one.sentence for one in told)
