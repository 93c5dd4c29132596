"""Staging to published: three runs of dbt over one manifest, its tests as asset checks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.identity.rules import check_overrides
from dagster_project.settings import Settings
from dagster_project.transform import NodeResult, build, prepare_manifest
from dagster_project.warehouse import open_warehouse

MANIFEST = prepare_manifest()
PLACES = ("raw", "ops", "staging", "identity", "timeline", "journeys", "features", "predictions", "published")
# Sources that Python writes between the first and the second stage, and between that and the third: what reads them
# waits for it, and their tests run when it comes.
MADE_BY_PYTHON = ("identity", "timeline", "ops")
MADE_BY_MODELS = ("predictions", "journeys")
_AFTER_PYTHON = [f"source:{place}+" for place in (*MADE_BY_PYTHON, *MADE_BY_MODELS)]
_UNIQUE_ID = "dagster_dbt/unique_id"


class PlaceTranslator(DagsterDbtTranslator):
    """Names in Dagster as in the warehouse: schema = group = first part of the key.

    A test belongs to the asset farthest down the flow of data among those it reads, so that it
    runs when all of them are there; a test of sources alone runs in the stage that reads them first.

    Parameters
    ----------
    reads : sequence of str
        Places whose source tests run in this stage.
    """

    def __init__(self, *, reads: tuple[str, ...] = ()) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))
        self._reads = reads
        self._steps: dict[str, int] = {}

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return ``[place, table]``."""
        props = dbt_resource_props
        return dg.AssetKey([props["schema"], props.get("identifier") or props.get("alias") or props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the place."""
        return str(dbt_resource_props["schema"])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the words of the yml alone."""
        return str(dbt_resource_props.get("description") or "")

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """Return the check that a dbt test is, if it belongs to this asset and this stage."""
        test = manifest["nodes"][unique_id]
        parents = [self.get_resource_props(manifest, parent) for parent in test["depends_on"]["nodes"]]
        owner = max(parents, key=lambda parent: self._distance(manifest, parent))
        is_elsewhere = owner["resource_type"] == "source" and owner["schema"] not in self._reads
        if self.get_asset_key(owner) != asset_spec.key or is_elsewhere:
            return None
        return dg.AssetCheckSpec(
            name=test["name"],
            asset=asset_spec.key,
            description=test.get("description") or None,
            blocking=test["config"]["severity"].lower() == "error",
            additional_deps={self.get_asset_key(parent) for parent in parents} - {asset_spec.key},
            metadata={_UNIQUE_ID: unique_id},
        )

    def _distance(self, manifest: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[int, bool, int, str]:
        """How far down the flow of data a node lies: its place, made by Python, steps from the raw tables."""
        is_source, unique_id = node["resource_type"] == "source", node["unique_id"]
        if is_source and not any(child.startswith("model.") for child in manifest["child_map"][unique_id]):
            # Dagster knows a stage's sources only by the models that read them.
            return (-1, is_source, 0, unique_id)
        return (PLACES.index(node["schema"]), is_source, self._step(manifest, unique_id), unique_id)

    def _step(self, manifest: Mapping[str, Any], unique_id: str) -> int:
        if unique_id not in self._steps:
            parents = manifest["parent_map"].get(unique_id, [])
            self._steps[unique_id] = 1 + max((self._step(manifest, parent) for parent in parents), default=0)
        return self._steps[unique_id]


@dbt_assets(
    manifest=MANIFEST,
    select="resource_type:seed fqn:throughline.staging.* fqn:throughline.identity.*",
    exclude=" ".join(_AFTER_PYTHON),
    dagster_dbt_translator=PlaceTranslator(reads=("raw",)),
    name="staging_and_links",
    pool=POOL,
)
def staging_and_links(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
    """Seeds, staging and the links between identifiers."""
    check_overrides()
    yield from _build(context, warehouse)


@dbt_assets(
    manifest=MANIFEST,
    select=(
        "fqn:throughline.identity.*,source:identity+ fqn:throughline.timeline.* fqn:throughline.journeys.* "
        "fqn:throughline.features.*"
    ),
    dagster_dbt_translator=PlaceTranslator(reads=MADE_BY_PYTHON),
    name="timeline_and_journeys",
    pool=POOL,
)
def timeline_and_journeys(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
    """From persons to journeys and features."""
    yield from _build(context, warehouse)


@dbt_assets(
    manifest=MANIFEST,
    select="fqn:throughline.published.*",
    dagster_dbt_translator=PlaceTranslator(reads=MADE_BY_MODELS),
    name="published_tables",
    pool=POOL,
)
def published_tables(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
    """The tables that people read, before they are audited and switched."""
    yield from _build(context, warehouse)


def _build(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
    """Build what this run wants of a stage and tell Dagster, table by table and test by test."""
    night = warehouse.night
    context.log.info(f"As of {night.as_of} UTC; {night.reason}.")
    assets = {spec.metadata[_UNIQUE_ID]: spec.key for spec in context.assets_def.specs}
    checks = {spec.metadata[_UNIQUE_ID]: spec.key for spec in context.assets_def.check_specs}
    wanted = {unique_id for unique_id, key in assets.items() if key in context.selected_asset_keys}
    wanted |= {unique_id for unique_id, key in checks.items() if key in context.selected_asset_check_keys}
    results = build(warehouse.settings, night=night, nodes=sorted(wanted))
    rows = _row_counts(warehouse.settings)
    built = {result.unique_id for result in results if result.unique_id in assets and result.is_built}
    pictures = _pictures(warehouse.settings, wanted={assets[unique_id] for unique_id in built})
    for result in results:
        if result.unique_id in built:
            key = assets[result.unique_id]
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    **({"rows": rows[tuple(key.path)]} if tuple(key.path) in rows else {}),
                    "seconds": round(result.seconds, 2),
                    "as_of": f"{night.as_of:%Y-%m-%d %H:%M} UTC",
                    "build": night.reason,
                    **pictures.get(key, {}),
                },
            )
        elif result.unique_id in checks and result.status != "skipped":
            yield _check_result(result, key=checks[result.unique_id])
    missing = sorted(assets[unique_id].to_user_string() for unique_id in wanted & assets.keys() - built)
    if missing:
        # Raised even if dbt never came to them: Dagster would skip what follows and call that a success.
        errors = [f"{assets[r.unique_id].to_user_string()}: {r.message}" for r in results if r.status == "error"]
        raise dg.Failure(
            f"dbt did not build {len(missing)} of {len(wanted)} nodes; {errors[0] if errors else ', '.join(missing)} "
            f"(all of it in {warehouse.settings.data / 'dbt_target' / 'dbt.log'})"
        )


def _check_result(result: NodeResult, *, key: dg.AssetCheckKey) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        description=None if result.status == "pass" else result.message,
        metadata={"failing_rows": result.failures, "seconds": round(result.seconds, 2)},
    )


def _row_counts(settings: Settings) -> dict[tuple[str, ...], int]:
    """Rows of every table, by place and name; views are not counted, reading them is work."""
    with open_warehouse(settings, read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name, estimated_size from duckdb_tables() where database_name = 'warehouse'"
        ).fetchall()
    return {(schema, table): rows for schema, table, rows in tables}


def _pictures(settings: Settings, *, wanted: set[dg.AssetKey]) -> dict[dg.AssetKey, dict[str, Any]]:
    """Pictures of the tables that are best seen as one, and lists: what is wrong with the data, what is hindsight."""
    funnel, survival, health, quality, segments, models, identity, flows = (
        dg.AssetKey(["published", table])
        for table in (
            "journey_stages",
            "stage_survival",
            "journey_health_scores",
            "data_quality",
            "customer_segments",
            "model_diagnostics",
            "identity_quality",
            "journey_transitions",
        )
    )
    if not {funnel, survival, health, quality, segments, models, identity, flows} & wanted:
        return {}
    from dagster_project.publishing.pictures import (
        as_markdown,
        draw_arrivals,
        draw_calibration,
        draw_funnels,
        draw_health,
        draw_health_by_segment,
        draw_map,
        draw_person_sizes,
        draw_segments,
        draw_survival,
        list_problems,
        list_survivorship,
    )

    with open_warehouse(settings, read_only=True) as connection:
        told: dict[dg.AssetKey, dict[str, Callable[[], str]]] = {
            funnel: {"funnel": lambda: as_markdown(draw_funnels(connection), alt="Funnel per journey")},
            survival: {
                "curves": lambda: as_markdown(
                    draw_survival(connection), alt="Shares gone on and lost by days since each stage was reached"
                )
            },
            # Drawn when the whole stage is built: friction and touchpoints are there, too.
            flows: {"map": lambda: as_markdown(draw_map(connection), alt="The map of every journey")},
            health: {
                "trend": lambda: as_markdown(draw_health(connection), alt="Weekly health per journey"),
                "by_segment": lambda: as_markdown(
                    draw_health_by_segment(connection), alt="Health of the latest weeks per journey and segment"
                ),
            },
            segments: {
                "segments": lambda: as_markdown(
                    draw_segments(connection), alt="Customers per segment, and the share of them that has bought"
                )
            },
            models: {
                "calibration": lambda: as_markdown(
                    draw_calibration(connection), alt="What each model foretold against what happened"
                )
            },
            identity: {
                "survivorship": lambda: list_survivorship(connection),
                "persons": lambda: as_markdown(
                    draw_person_sizes(connection), alt="How many persons hold how many identifiers"
                ),
            },
            quality: {
                "problems": lambda: list_problems(connection),
                "arrivals": lambda: as_markdown(
                    draw_arrivals(connection), alt="Rows a week and share of events by delay, per table of a source"
                ),
            },
        }
        return {
            key: {name: dg.MetadataValue.md(tell()) for name, tell in parts.items()}
            for key, parts in told.items()
            if key in wanted
        }
