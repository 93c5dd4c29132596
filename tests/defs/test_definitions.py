"""What the code location holds: places, descriptions, checks, jobs, when they run."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from logging import getLogger

import dagster as dg
import pytest

from dagster_project.definitions import defs
from dagster_project.defs import jobs
from dagster_project.defs.night import POOL
from dagster_project.defs.transform import PLACES
from dagster_project.instance import open_instance
from dagster_project.landing.contracts import load_contracts
from dagster_project.publishing.catalogue import catalogue_from_manifest
from dagster_project.settings import Settings
from dagster_project.transform import MANIFEST
from tests.conftest import environment_of

GRAPH = defs.resolve_asset_graph()
BUILT = sorted(GRAPH.materializable_asset_keys)
STAGES = ("staging_and_links", "timeline_and_journeys", "published_tables")


@pytest.mark.parametrize("key", BUILT, ids=lambda key: key.to_user_string())
def test_every_asset_is_described_and_lies_in_the_group_of_its_place(key: dg.AssetKey) -> None:
    node = GRAPH.get(key)
    assert len(key.path) == 2
    assert node.group_name == key.path[0]
    assert node.group_name in PLACES
    assert node.description and len(node.description) > 20, "say the grain and the use"
    assert node.pools == {POOL}


def test_every_contract_is_an_asset_with_its_checks() -> None:
    landed = {key.path[1] for key in BUILT if key.path[0] == "raw"}
    assert landed == {contract.name for contract in load_contracts()}
    for contract in load_contracts():
        names = {key.name for key in GRAPH.get_check_keys_for_assets({dg.AssetKey(["raw", contract.name])})}
        assert {"files_are_readable", "every_row_is_counted"} <= names


def test_every_published_table_meets_expectations_and_no_step_on_the_way_is_asked() -> None:
    checked = {key.asset_key.path[1] for key in GRAPH.asset_check_keys if key.name == "table_meets_expectations"}
    assert checked == set(catalogue_from_manifest(MANIFEST))


def test_a_contract_that_stops_makes_its_check_block() -> None:
    from dataclasses import replace

    from dagster_project.defs.landing import landing_asset

    contract = load_contracts()[0]
    for on_failure, blocks in (("stop", True), ("warn", False)):
        asset = landing_asset(replace(contract, on_failure=on_failure))
        specs = {spec.name: spec.blocking for spec in asset.check_specs}
        assert specs == {"files_are_readable": blocks, "every_row_is_counted": True}


def test_every_model_and_seed_is_one_asset_in_one_stage() -> None:
    nodes = json.loads(MANIFEST.read_text())["nodes"].values()
    wanted = {
        (node["schema"], node.get("alias") or node["name"])
        for node in nodes
        if node["resource_type"] in ("model", "seed") and node["config"]["materialized"] != "ephemeral"
    }
    built = Counter(tuple(key.path) for assets in _assets().values() if assets.op.name in STAGES for key in assets.keys)
    assert set(built) == wanted
    assert set(built.values()) == {1}


def test_every_dbt_test_is_one_check() -> None:
    nodes = json.loads(MANIFEST.read_text())["nodes"]
    tests = {unique_id for unique_id, node in nodes.items() if node["resource_type"] == "test"}
    checks = Counter(
        spec.metadata["dagster_dbt/unique_id"]
        for assets in _assets().values()
        if assets.op.name in STAGES
        for spec in assets.check_specs
    )
    assert set(checks) == tests
    assert set(checks.values()) <= {1}


def test_a_test_runs_when_all_that_it_reads_is_there() -> None:
    nodes = json.loads(MANIFEST.read_text())["nodes"]
    stage_of = {
        tuple(key.path): STAGES.index(assets.op.name)
        for assets in _assets().values()
        if assets.op.name in STAGES
        for key in assets.keys
    }
    for assets in _assets().values():
        if assets.op.name not in STAGES:
            continue
        for spec in assets.check_specs:
            for parent in nodes[spec.metadata["dagster_dbt/unique_id"]]["depends_on"]["nodes"]:
                if parent in nodes:
                    node = nodes[parent]
                    read = stage_of[node["schema"], node.get("alias") or node["name"]]
                    assert read <= STAGES.index(assets.op.name), spec.name


def test_lineage_leads_from_raw_to_current() -> None:
    current = dg.AssetKey(["published", "current"])
    above = GRAPH.get_ancestor_asset_keys(current)
    assert {key for key in BUILT if key.path[0] == "raw"} <= above
    after = {dg.AssetKey(["published", name]) for name in ("postgres", "erasures")}
    assert set(BUILT) - above == {current} | after


def test_staging_runs_before_persons_and_persons_before_the_timeline() -> None:
    order = [node.name for node in defs.resolve_job_def("nightly").nodes_in_topological_order]
    assert order.index("staging_and_links") < order.index("identity__probabilistic_links") < order.index("persons")
    assert order.index("persons") < order.index("timeline_and_journeys")
    assert order.index("timeline__message_signals") < order.index("timeline_and_journeys")
    ends = ["published_tables", "published_rows"]
    ends += [f"published__{name}" for name in ("audit", "current", "postgres", "erasures")]
    assert order[-6:] == ends
    landed = max(order.index(name) for name in order if name.startswith("raw__"))
    assert landed < order.index("landed_rows") < order.index("staging_and_links")


def test_land_only_builds_raw_alone() -> None:
    selected = defs.resolve_job_def("land_only").asset_layer.selected_asset_keys
    assert {key.path[0] for key in selected} == {"raw"}


def test_one_process_runs_the_steps() -> None:
    for name in ("nightly", "land_only"):
        assert defs.resolve_job_def(name).executor_def.name == "in_process"


def test_the_night_starts_at_two_in_the_projects_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_TIMEZONE", "Australia/Adelaide")
    schedule = importlib.reload(jobs).nightly_schedule
    monkeypatch.undo()
    importlib.reload(jobs)
    assert schedule.cron_schedule == "0 2 * * *"
    assert schedule.execution_timezone == "Australia/Adelaide"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_five_missed_nights_are_caught_up_once(data: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.test_utils import create_test_daemon_workspace_context
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster._scheduler.scheduler import launch_scheduled_runs

    for name, value in environment_of(data).items():
        monkeypatch.setenv(name, value)
    last_seen = datetime(2026, 1, 10, 3, tzinfo=UTC)
    target = ModuleTarget("dagster_project.definitions", None, None, "throughline")
    with open_instance(data) as instance, create_test_daemon_workspace_context(target, instance) as context:
        for now in (last_seen, last_seen + timedelta(days=5), last_seen + timedelta(days=5, hours=1)):
            list(launch_scheduled_runs(context, getLogger("test"), now, iteration_times={}))
        runs = instance.get_runs(dg.RunsFilter(job_name="nightly"))
    assert [run.tags[".dagster/scheduled_execution_time"] for run in runs] == ["2026-01-15T02:00:00+00:00"]


def _assets() -> dict[dg.AssetKey, dg.AssetsDefinition]:
    return {next(iter(assets.keys)): assets for assets in defs.assets if isinstance(assets, dg.AssetsDefinition)}
