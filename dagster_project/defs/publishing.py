"""Published: the switch to a new version, or the finding that nothing changed, and PostgreSQL after it."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from dagster_project.defs.checks import (
    AUDIT,
    CURRENT,
    ERASURES,
    ERASURES_ARE_COMPLETE,
    POSTGRES,
    POSTGRES_IS_CURRENT,
)
from dagster_project.defs.night import POOL, Warehouse
from dagster_project.erasure import finish
from dagster_project.gates import planned_assets
from dagster_project.night import complete_night
from dagster_project.publishing.catalogue import catalogue_from_manifest, uses_from_manifest
from dagster_project.publishing.postgres import NO_TARGET, bring_up_to_date
from dagster_project.publishing.publisher import publish
from dagster_project.publishing.versions import DICTIONARY_FILE, SITE_PAGE


def current_asset(built: Sequence[dg.AssetsDefinition], *, manifest: Path) -> dg.AssetsDefinition:
    """Make the last asset of the night.

    Parameters
    ----------
    built : sequence of AssetsDefinition
        What a run must build to count as a night.
    manifest : Path
        dbt's manifest: the descriptions that BI tools see.
    """
    everything = {key for assets in built for key in assets.keys}

    @dg.asset(
        key=CURRENT,
        group_name="published",
        deps=[AUDIT],
        description="The version that people and BI tools read: one DuckDB file, one Parquet file per table, the map "
        "of the journeys, a data dictionary and a manifest under `published/current`, switched in one step, and only "
        "if something changed.",
        kinds={"duckdb", "parquet"},
        pool=POOL,
    )
    def current(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        night = warehouse.night
        report = publish(
            warehouse.settings,
            as_of=night.as_of,
            run_id=context.run.run_id,
            catalogue=catalogue_from_manifest(manifest),
            uses=uses_from_manifest(manifest),
        )
        # A run of some assets only must not move the watermark past what it did not build.
        is_night = everything <= planned_assets(context.instance, run_id=context.run.run_id)
        if is_night:
            complete_night(warehouse.settings, night=night)
        return dg.MaterializeResult(
            metadata={
                "version": report.version_id,
                "outcome": report.summary,
                "path": dg.MetadataValue.path(report.path),
                "map": dg.MetadataValue.path(report.path / SITE_PAGE),
                "dictionary": dg.MetadataValue.path(report.path / DICTIONARY_FILE),
                "as_of": f"{night.as_of:%Y-%m-%d %H:%M} UTC",
                "night": "completed" if is_night else "not counted: this run built only some of the assets",
                "previous_version": report.previous_version_id or "none",
                "changed_tables": ", ".join(table.name for table in report.tables if table.is_changed) or "none",
                "rows": sum(table.rows for table in report.tables),
                "undescribed": ", ".join(report.undescribed) or "none",
                "size_mb": round(report.size_bytes / 1e6, 1),
                "pruned": ", ".join(report.pruned) or "none",
                "seconds": round(report.seconds, 2),
            }
        )

    return current


@dg.asset(
    key=POSTGRES,
    group_name="published",
    deps=[CURRENT],
    description="The version of `published/current` in PostgreSQL, if THROUGHLINE_POSTGRES_URL names one: one view per "
    "table in schema `throughline`, switched in one transaction. If that cannot be done, the files are published all "
    "the same and the next run catches up.",
    kinds={"postgres"},
    pool=POOL,
    check_specs=[
        dg.AssetCheckSpec(
            POSTGRES_IS_CURRENT.name,
            asset=POSTGRES,
            description="PostgreSQL shows the version that the files show.",
        )
    ],
)
def second_target(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Bring PostgreSQL up to date, or say why it is behind."""
    if not warehouse.settings.postgres_url:
        return dg.MaterializeResult(
            metadata={"outcome": NO_TARGET},
            check_results=[
                dg.AssetCheckResult(check_name=POSTGRES_IS_CURRENT.name, passed=True, description=NO_TARGET)
            ],
        )
    report = bring_up_to_date(warehouse.settings, run_id=context.run.run_id)
    return dg.MaterializeResult(
        metadata={
            "version": report.version_id or "none",
            "outcome": report.summary,
            "place": report.place,
            "since": report.since or "never",
            "rows": report.rows,
            "pruned": ", ".join(report.pruned) or "none",
            "still_in_use": ", ".join(report.put_off) or "none",
            "seconds": round(report.seconds, 2),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=POSTGRES_IS_CURRENT.name,
                passed=report.is_current,
                severity=dg.AssetCheckSeverity.WARN,
                description=report.summary,
            )
        ],
    )


@dg.asset(
    key=ERASURES,
    group_name="published",
    deps=[POSTGRES],
    description="What is left of people whom `throughline erase` took out, once a night has been published without "
    "them: older versions, worlds as of earlier days and the bytes of deleted rows go. On other nights, nothing.",
    kinds={"python"},
    pool=POOL,
    check_specs=[
        dg.AssetCheckSpec(
            ERASURES_ARE_COMPLETE.name,
            asset=ERASURES,
            description="Nobody whose rows were erased is left in an older version, in PostgreSQL or in a file.",
        )
    ],
)
def erasures(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """End the erasures that a night has been rebuilt without."""
    report = finish(warehouse.settings, run_id=context.run.run_id)
    return dg.MaterializeResult(
        metadata={"outcome": report.sentence},
        check_results=[
            dg.AssetCheckResult(
                check_name=ERASURES_ARE_COMPLETE.name,
                passed=report.is_complete,
                severity=dg.AssetCheckSeverity.WARN,
                description=report.sentence,
            )
        ],
    )
