"""dbt in this process: exactly the nodes asked for, a manifest that fits, the file given back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from dagster_project import transform
from dagster_project.errors import ThroughlineError
from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import prepare
from dagster_project.night import current_night
from dagster_project.settings import Settings
from dagster_project.transform import MANIFEST, NodeResult, build, prepare_manifest
from dagster_project.warehouse import open_warehouse

VIEW = "model.throughline.stg_segment__events"


@pytest.fixture
def ready(data: Settings) -> Settings:
    """An empty warehouse with every raw table."""
    prepare_manifest()
    prepare(data, load_contracts())
    return data


def test_only_the_nodes_asked_for_are_built(ready: Settings) -> None:
    # A seed with the name of a folder of models, and a view without its tests.
    wanted = ["seed.throughline.journeys", "seed.throughline.event_taxonomy", VIEW]
    results = build(ready, night=current_night(ready, run_id="one"), nodes=wanted)
    assert {(result.unique_id, result.status) for result in results} == {(node, "success") for node in wanted}


def test_the_warehouse_can_be_opened_when_dbt_is_done(ready: Settings) -> None:
    night = current_night(ready, run_id="one")
    build(ready, night=night, nodes=["seed.throughline.journeys"])
    with open_warehouse(ready) as connection:
        connection.execute("create table ops.after as select 1")
    build(ready, night=night, nodes=["seed.throughline.journeys"])
    with duckdb.connect(str(ready.warehouse_path), read_only=True) as connection:
        assert connection.execute("select count(*) > 0 from staging.journeys").fetchall() == [(True,)]


def test_the_runs_as_of_reaches_the_models(ready: Settings) -> None:
    night = current_night(ready, run_id="one")
    build(ready, night=night, nodes=["seed.throughline.event_taxonomy", VIEW])
    with open_warehouse(ready, read_only=True) as connection:
        [(view,)] = connection.execute(
            "select sql from duckdb_views() where view_name = 'stg_segment__events'"
        ).fetchall()
    assert f"{night.as_of:%Y-%m-%d %H:%M:%S.%f}" in view


def test_a_broken_model_is_told_and_stops_nothing_else(ready: Settings) -> None:
    with open_warehouse(ready) as connection:
        connection.execute("drop table raw.segment__tracks")
    nodes = ["seed.throughline.event_taxonomy", VIEW]
    results = {result.unique_id: result for result in build(ready, night=current_night(ready, run_id="x"), nodes=nodes)}
    assert results[nodes[0]].is_built
    assert not results[nodes[1]].is_built
    assert "segment__tracks" in results[nodes[1]].message


def test_a_manifest_that_fits_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_manifest()
    monkeypatch.setattr(transform, "_invoke", lambda *_, **__: pytest.fail("dbt was started"))
    assert prepare_manifest() == MANIFEST


def test_a_changed_project_gets_a_new_manifest_and_a_broken_one_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "dbt"
    shutil.copytree(transform.DBT_DIR, project, ignore=shutil.ignore_patterns("target", "logs"))
    flags = [str(project) if flag == str(transform.DBT_DIR) else flag for flag in transform._ALWAYS]
    for name, value in (
        ("DBT_DIR", project),
        ("PREPARED", project / "target"),
        ("MANIFEST", project / "target" / "manifest.json"),
        ("_ALWAYS", flags),
    ):
        monkeypatch.setattr(transform, name, value)
    (project / "models" / "staging" / "extra.sql").write_text("select 1 as one")
    assert "model.throughline.extra" in json.loads(prepare_manifest().read_text())["nodes"]
    (project / "models" / "staging" / "extra.sql").write_text("select * from {{ ref('nowhere') }}")
    with pytest.raises(ThroughlineError, match="nowhere"):
        prepare_manifest()
    assert not list((project / "target").glob("preparing-*"))


@pytest.mark.parametrize(
    ("status", "is_built"), [("success", True), ("pass", True), ("warn", True), ("error", False), ("skipped", False)]
)
def test_what_counts_as_built(status: str, is_built: bool) -> None:
    assert NodeResult(unique_id="a", status=status, message="", failures=0, seconds=0).is_built is is_built
