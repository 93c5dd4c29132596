"""Runs that fail, stop, die or meet: nothing is published by mistake, nothing is wedged."""

from __future__ import annotations

import gzip
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from dagster_project import failpoints
from dagster_project.defs import transform
from dagster_project.defs.checks import CURRENT, audit_asset
from dagster_project.defs.landing import landing_asset
from dagster_project.defs.night import Warehouse
from dagster_project.defs.publishing import current_asset
from dagster_project.instance import forget_old_runs, mark_dead_runs, open_instance
from dagster_project.landing.contracts import TableContract, load_contracts
from dagster_project.night import hold_warehouse, last_completed, warehouse_holder
from dagster_project.publishing.alerts import latest_alerts
from dagster_project.publishing.versions import current_version
from dagster_project.running import failure_sentence, run_job
from dagster_project.settings import Settings, load_settings
from dagster_project.transform import MANIFEST
from dagster_project.warehouse import open_warehouse
from tests.children import Child
from tests.conftest import environment_of

TRACK = (
    '{"messageId": "m1", "type": "track", "event": "Signed Up", "userId": "u1", '
    '"timestamp": "2026-01-05T10:00:00Z", "originalTimestamp": "2026-01-05T10:00:00Z", '
    '"sentAt": "2026-01-05T10:00:01Z", "receivedAt": "2026-01-05T10:00:02Z"}\n'
)


@pytest.fixture
def here(data: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty data folder that this process's settings name, with one published table in its warehouse."""
    for name, value in environment_of(data).items():
        monkeypatch.setenv(name, value)
    with open_warehouse(data) as connection:
        connection.execute("create table published.small as select 1 as one")
    return data


def tracks_that(on_failure: str) -> TableContract:
    """The contract of Segment's tracks with another word on failures."""
    contract = next(contract for contract in load_contracts() if contract.name == "segment__tracks")
    return replace(contract, on_failure=on_failure)


def write_tracks(settings: Settings, *, broken: bool) -> None:
    """One good file, and one gzip that ends too early if wished."""
    folder = settings.inbox / "segment" / "tracks"
    folder.mkdir(parents=True)
    (folder / "good.jsonl").write_text(TRACK)
    if broken:
        (folder / "broken.jsonl.gz").write_bytes(gzip.compress(TRACK.encode() * 1000)[:-20])


def short_night(*assets: dg.AssetsDefinition, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Run assets, the audit and the switch."""
    built = list(assets)
    audit = audit_asset(built)
    return dg.materialize(
        [*built, audit, current_asset([*built, audit], manifest=MANIFEST)],
        resources={"warehouse": Warehouse()},
        instance=instance,
        raise_on_error=False,
    )


@pytest.mark.parametrize(("on_failure", "is_published"), [("stop", False), ("warn", True)])
def test_a_broken_file_stops_publishing_only_if_its_contract_says_so(
    here: Settings, on_failure: str, is_published: bool
) -> None:
    write_tracks(here, broken=True)
    with dg.DagsterInstance.ephemeral() as instance:
        result = short_night(landing_asset(tracks_that(on_failure)), instance=instance)
    check = next(c for c in result.get_asset_check_evaluations() if c.check_name == "files_are_readable")
    assert not check.passed
    assert "broken.jsonl.gz" in (check.description or "")
    assert result.success is is_published
    assert (current_version(here) is not None) is is_published
    with open_warehouse(here, read_only=True) as connection:
        assert connection.execute("select count(*) from raw.segment__tracks").fetchall() == [(1,)]
        completed = last_completed(connection)
    assert (completed is not None) is is_published


def test_rows_that_do_not_add_up_stop_publishing(here: Settings) -> None:
    write_tracks(here, broken=False)
    with dg.DagsterInstance.ephemeral() as instance:
        assert short_night(landing_asset(tracks_that("warn")), instance=instance).success
        first = current_version(here)
        with open_warehouse(here) as connection:
            connection.execute("update ops.landed_files set accepted = accepted + 1")
            connection.execute("insert into published.small values (2)")
        result = short_night(landing_asset(tracks_that("warn")), instance=instance)
    assert not result.success
    assert {c.check_name for c in result.get_asset_check_evaluations() if not c.passed} == {"every_row_is_counted"}
    told = failure_sentence(result.all_events)
    assert told.startswith("1 check failed, so nothing was published: raw/segment__tracks: every_row_is_counted (")
    assert "1 rows in; 2 accepted" in told
    assert current_version(here) == first


def test_a_table_that_fails_leaves_the_others_to_land(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a connection: the next one starts on a sound one, and what was begun is not there."""
    write_tracks(here, broken=False)
    (here.inbox / "segment" / "pages").mkdir()
    (here.inbox / "segment" / "pages" / "good.jsonl").write_text(TRACK.replace('"track", "event"', '"page", "name"'))
    tables = [contract for contract in load_contracts() if contract.name in ("segment__pages", "segment__tracks")]
    assets = [landing_asset(contract) for contract in tables]

    def landed() -> list[int]:
        with dg.DagsterInstance.ephemeral() as instance:
            dg.materialize(assets, resources={"warehouse": Warehouse()}, instance=instance, raise_on_error=False)
        with open_warehouse(here, read_only=True) as connection:
            counts = [connection.execute(f"select count(*) from raw.{table.name}").fetchall() for table in tables]
        return sorted(count for [(count,)] in counts)

    monkeypatch.setattr(failpoints, "_passed", Counter())
    monkeypatch.setenv("THROUGHLINE_FAILPOINT", "landing.before_commit:1:raise")
    assert landed() == [0, 1]
    assert landed() == [1, 1]


def test_a_check_that_did_not_run_fails_the_run(here: Settings) -> None:
    @dg.asset(
        key=["raw", "silent"], check_specs=[dg.AssetCheckSpec("never_told", asset=["raw", "silent"], blocking=True)]
    )
    def silent() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    with dg.DagsterInstance.ephemeral() as instance:
        result = short_night(silent, instance=instance)
    assert not result.success
    assert current_version(here) is None


def test_a_table_that_dbt_never_came_to_fails_the_run(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "build", lambda *_, **__: [])
    with dg.DagsterInstance.ephemeral() as instance:
        result = short_night(transform.published_tables, instance=instance)
        failure = result.failure_data_for_node("published_tables")
    assert not result.success
    assert failure is not None and failure.user_failure_data is not None
    assert "published/journey_health_scores" in (failure.user_failure_data.description or "")
    assert current_version(here) is None


def test_readable_personal_data_stops_publishing(here: Settings) -> None:
    write_tracks(here, broken=False)
    with open_warehouse(here) as connection:
        connection.execute("create table published.leak as select 'ann@corp.example' as contact")
    with dg.DagsterInstance.ephemeral() as instance:
        result = short_night(landing_asset(tracks_that("warn")), instance=instance)
    failed = [c for c in result.get_asset_check_evaluations() if not c.passed]
    assert [c.check_name for c in failed] == ["no_readable_personal_data"]
    assert "ann@corp.example" not in (failed[0].description or "")
    assert current_version(here) is None


def test_a_run_of_some_assets_publishes_but_moves_no_watermark(here: Settings) -> None:
    write_tracks(here, broken=False)
    landed = landing_asset(tracks_that("warn"))
    audit = audit_asset([landed])
    current = current_asset([landed, audit], manifest=MANIFEST)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [landed, audit, current],
            selection=[CURRENT],
            resources={"warehouse": Warehouse()},
            instance=instance,
        )
    assert result.success
    assert current_version(here) is not None
    with open_warehouse(here, read_only=True) as connection:
        assert last_completed(connection) is None


def land() -> int:
    """Run the job `land_only` and tell why it failed."""
    report = run_job(load_settings(), job="land_only", tell=lambda line: print(line, flush=True))
    print(report.reason, file=sys.stderr)
    return 0 if report.is_success else 1


@contextmanager
def landing_process(settings: Settings, **env: str) -> Iterator[Child]:
    """The job `land_only` in a process of its own, never left behind."""
    process = Child(land, env=environment_of(settings) | env)
    try:
        yield process
    finally:
        process.kill()


def run_statuses(settings: Settings) -> list[str]:
    """Statuses of all runs, the newest first."""
    with open_instance(settings) as instance:
        return [run.status.value for run in instance.get_runs()]


def test_a_killed_run_leaves_nothing_wedged(data: Settings) -> None:
    write_tracks(data, broken=False)
    with landing_process(data, THROUGHLINE_FAILPOINT="landing.after_batch:1:kill") as killed:
        assert killed.wait(timeout=120) == -9
    assert run_statuses(data) == ["STARTED"]
    assert warehouse_holder(data) is None
    with landing_process(data) as following:
        output, errors = following.communicate(timeout=120)
    assert following.returncode == 0, output + errors
    assert "was killed earlier" in output
    assert run_statuses(data) == ["SUCCESS", "FAILURE"]
    with open_warehouse(data, read_only=True) as connection:
        assert connection.execute("select count(*) from raw.segment__tracks").fetchall() == [(1,)]


def test_a_run_that_lives_is_not_marked_as_killed(data: Settings) -> None:
    write_tracks(data, broken=False)
    waits = {"THROUGHLINE_FAILPOINT": "landing.before_batch:1:sleep", "THROUGHLINE_FAILPOINT_SECONDS": "60"}
    with landing_process(data, **waits):
        _wait_for(lambda: warehouse_holder(data) is not None)
        with open_instance(data) as instance:
            assert mark_dead_runs(instance, data) == []
    with open_instance(data) as instance:
        assert len(mark_dead_runs(instance, data)) == 1, "and once it is killed, it is"


def _open_at(settings: Settings, start: float) -> int:
    time.sleep(max(0.0, start - time.time()))
    with open_instance(settings) as instance:
        return instance.get_runs_count()


def test_an_empty_data_folder_may_be_opened_by_several_at_once(data: Settings) -> None:
    start = time.time() + 2
    children = [Child(_open_at, data, start) for _ in range(4)]
    told = [child.communicate(timeout=120)[1] for child in children]
    assert [child.returncode for child in children] == [0] * 4, told


def test_two_runs_at_once_wait_for_each_other(data: Settings) -> None:
    write_tracks(data, broken=False)
    with hold_warehouse(data, run_id="the first", on_wait=pytest.fail):
        assert "the first" in (warehouse_holder(data) or "")
        with landing_process(data) as second:
            time.sleep(12)
            assert second.poll() is None, "it waits"
            with open_warehouse(data) as connection:
                assert connection.execute("select count(*) from duckdb_tables()").fetchall() == [(0,)]
    with landing_process(data) as second:
        output, errors = second.communicate(timeout=120)
    assert second.returncode == 0, output + errors


def test_a_failed_run_writes_one_alert(data: Settings) -> None:
    write_tracks(data, broken=False)
    with landing_process(data, THROUGHLINE_FAILPOINT="landing.after_batch:1:raise") as failing:
        _, errors = failing.communicate(timeout=120)
    assert failing.returncode == 1
    [alert] = latest_alerts(data)
    assert alert.kind == "run_failed"
    assert alert.message == f"The run of land_only failed: {errors.strip()}"
    assert "disk" in alert.message and "Traceback" not in alert.message


def _wait_for(condition: object, *, seconds: float = 60) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.2)


def test_records_of_old_runs_are_forgotten_and_those_at_work_are_not(data: Settings) -> None:
    @dg.job
    def nothing() -> None:
        pass

    with open_instance(data) as instance:
        nothing.execute_in_process(instance=instance)
        at_work = instance.create_run_for_job(nothing)
        assert forget_old_runs(instance) == 0
        assert forget_old_runs(instance, older_than=timedelta(0)) == 1
        assert [run.run_id for run in instance.get_runs()] == [at_work.run_id]
