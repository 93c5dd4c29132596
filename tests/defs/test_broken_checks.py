"""Each check that blocks is broken once: the run fails, readers keep their version, the alert names the check."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dagster_project import definitions, transform
from dagster_project.defs import expectations as expectations_of
from dagster_project.defs.checks import AUDIT, CURRENT
from dagster_project.defs.expectations import LANDED, PUBLISHED
from dagster_project.landing.contracts import load_contracts
from dagster_project.publishing.alerts import latest_alerts
from dagster_project.publishing.versions import current_version
from dagster_project.running import RunReport, run_job
from dagster_project.settings import Settings, load_settings
from dagster_project.transform import MANIFEST
from dagster_project.warehouse import open_warehouse
from expectations import validation
from tests import story
from tests.conftest import environment_of

GRAPH = definitions.defs.resolve_asset_graph()
BLOCKING = {key for key in GRAPH.asset_check_keys if GRAPH.get(key).blocking}
LANDING = {
    key
    for key in BLOCKING
    if key.asset_key.path[0] == "raw" and key.name in ("files_are_readable", "every_row_is_counted")
}
ROWS = {key for key in BLOCKING if key.name == LANDED}
TABLES = {key for key in BLOCKING if key.name == PUBLISHED}
AUDITS = {key for key in BLOCKING if key.asset_key == AUDIT}
# Tests of dbt, by the part of the night that runs them.
STAGES = {
    stage.op.name: set(stage.check_keys) & BLOCKING
    for stage in definitions.defs.assets or ()
    if isinstance(stage, dg.AssetsDefinition)
    and stage.op.name in ("staging_and_links", "timeline_and_journeys", "published_tables")
}
PLAN = dg.AssetCheckKey(AUDIT, "plan_has_happened")
CONTRACTS = load_contracts()

# Tests of dbt that neither a row of nothing nor a made-up row twice breaks, and what does.
SPECIAL = {
    "assert_event_has_one_meaning_per_journey": """
        insert into journeys.journey_roles (journey, event, least_rating) values ('j', 'e', 0.5), ('j', 'e', 0.6)
    """,
    "assert_shared_device_is_alone": """
        insert into identity.identifiers (identifier, identifier_type, person_id, is_shared_device)
        values ('i', 'email', 'p', true);
        insert into identity.persons (person_id, identifier_count) values ('p', 1)
    """,
    "assert_person_within_limits": """
        insert into identity.identifiers (identifier, identifier_type, person_id)
        select 'user_id:app:' || i, 'user_id', 'p2' from range(99) t(i)
    """,
    "assert_overrides_are_kept": """
        insert into staging.identity_overrides values ('one', 'other', 'never', null, '2026-01-01');
        insert into identity.identifiers (identifier, identifier_type, person_id)
        values ('one', 'email', 'p3'), ('other', 'email', 'p3')
    """,
    "assert_person_has_one_household": """
        insert into identity.households (household_id, person_id, identifier)
        values ('h1', 'p4', 'i1'), ('h2', 'p4', 'i2')
    """,
    "not_in_predictions_segments": "insert into predictions.segments (segment) values ('all')",
    "one_champion_per_model": """
        insert into predictions.model_versions (model, is_champion) values ('m', true), ('m', true)
    """,
    "one_current_segment_per_person": """
        insert into predictions.segment_history (person_id, valid_to) values ('p', null), ('p', null)
    """,
}
MADE_UP = {
    "VARCHAR": "'made up for ' || '{table}'",
    "JSON": "'{{}}'",
    "BOOLEAN": "true",
    "DATE": "date '2026-01-01'",
    "TIMESTAMP": "timestamp '2026-01-01'",
    "UUID": "uuid '00000000-0000-0000-0000-000000000000'",
}


@pytest.fixture
def here(told: story.Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A copy of the hand-told world after its first night, which this process's settings name."""
    data = tmp_path / "data"
    shutil.copytree(told.data, data, symlinks=True, ignore=shutil.ignore_patterns("dagster", "dbt_target", "*.wal"))
    shutil.copytree(told.data.parent / "inbox", tmp_path / "inbox")
    settings = load_settings(
        {
            "THROUGHLINE_DATA": str(data),
            "THROUGHLINE_INBOX": str(tmp_path / "inbox"),
            "THROUGHLINE_TIMEZONE": story.TIMEZONE,
            "THROUGHLINE_AS_OF": story.AS_OF,
        }
    )
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("THROUGHLINE_AS_OF", story.AS_OF)
    before = current_version(settings)
    assert before is not None
    yield settings
    after = current_version(settings)
    assert after == before, "readers keep their version"


def change(settings: Settings, *statements: str) -> None:
    """Write into the warehouse what no run would."""
    with open_warehouse(settings) as connection:
        for statement in statements:
            connection.execute(statement)


def stopped_by(settings: Settings, *, job: str = "nightly") -> tuple[RunReport, set[str]]:
    """Run a job that must fail and must be told of once; the checks that its alert names."""
    report = run_job(settings, job=job, tell=lambda line: None)
    assert not report.is_success
    [alert] = latest_alerts(settings)
    assert (alert.kind, alert.run_id) == ("run_failed", report.run_id)
    assert alert.message == f"The run of {job} failed: {report.reason}"
    return report, set(alert.details["checks"])


def names(keys: set[dg.AssetCheckKey]) -> set[str]:
    return {f"{key.asset_key.to_user_string()}: {key.name}" for key in keys}


def only(monkeypatch: pytest.MonkeyPatch, selection: dg.AssetSelection) -> None:
    """Have a job `some` that does only what is selected."""
    whole = definitions.defs
    defs = dg.Definitions(
        assets=whole.assets,
        asset_checks=whole.asset_checks,
        resources=whole.resources,
        executor=whole.executor,
        jobs=[dg.define_asset_job("some", selection=selection)],
    )
    monkeypatch.setattr(definitions, "defs", defs)


def test_the_checks_that_block_are_all_told_apart_here() -> None:
    assert {check.name for check in AUDITS} == {"plan_has_happened", "no_readable_personal_data"}
    assert {key.asset_key.path[1] for key in ROWS} == {contract.name for contract in CONTRACTS}
    assert set.union(LANDING, ROWS, TABLES, AUDITS, *STAGES.values()) == BLOCKING
    assert all(
        key in BLOCKING for key in GRAPH.asset_check_keys if GRAPH.get(key).metadata.get("dagster_dbt/unique_id")
    )


def test_files_that_do_not_add_up_or_cannot_be_read(here: Settings) -> None:
    for contract in CONTRACTS:
        if contract.on_failure == "stop":
            folder = here.inbox / contract.source / contract.table
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cut_2026-03-30.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1}\n' * 1000)[:-20])
        one = (
            f"insert into ops.landed_files by name select 'none' as file_id, '{contract.source}' as source, "
            f"'{contract.table}' as table_name, 'none' as path, 'landed' as status, 1 as rows_in, 0 as accepted, "
            "0 as quarantined, 0 as duplicates, 0 as suppressed"
        )
        change(here, one)
    _, checks = stopped_by(here)
    assert checks == names(LANDING)


def test_rows_that_landing_would_not_have_let_in(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_HALVES", 0)
    for contract in CONTRACTS:
        change(
            here,
            f"insert into raw.{contract.name} (_file_id, _row_number, _loaded_at, available_at) "
            "values ('none', 0, now()::timestamp, timestamp '1999-01-01')",
        )
    report, checks = stopped_by(here)
    assert checks == names(ROWS)
    assert report.reason.startswith(f"{len(ROWS)} checks failed, so nothing was published: raw/")
    assert "_row_number must be 1 or more, and up to " in report.reason
    assert "1999" not in report.reason


def test_published_tables_that_are_not_as_described(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_HALVES", 0)
    with open_warehouse(here) as connection:
        for key in TABLES:
            table = key.asset_key.path[1]
            [(first,)] = connection.execute(
                "select column_name from duckdb_columns() where schema_name = 'published' and table_name = ? "
                "and column_index = 1",
                [table],
            ).fetchall()
            connection.execute(f"insert into published.{table} ({first}) values (null)")
    only(monkeypatch, dg.AssetSelection.checks(*TABLES) | dg.AssetSelection.assets(AUDIT, CURRENT))
    report, checks = stopped_by(here, job="some")
    assert checks - names({PLAN}) == names(TABLES)
    assert "must be given, and up to " in report.reason


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_tables_that_dbts_tests_would_not_pass(here: Settings, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    with open_warehouse(here) as connection:
        for schema, table in sorted(read_by_tests()):
            spoil(connection, schema, table)
        for statement in SPECIAL.values():
            connection.execute(statement)
    # `dbt build` runs no test downstream of one that failed; here all of them fail, and each shall run.
    invoke = transform._invoke
    monkeypatch.setattr(
        transform,
        "_invoke",
        lambda arguments, **more: invoke(["test" if word == "build" else word for word in arguments], **more),
    )
    only(monkeypatch, dg.AssetSelection.checks(*STAGES[stage]) | dg.AssetSelection.assets(AUDIT, CURRENT))
    _, checks = stopped_by(here, job="some")
    missed = names(STAGES[stage]) - checks
    assert not missed, f"say in SPECIAL how to break {sorted(missed)}"
    assert checks - names({PLAN}) == names(STAGES[stage])


def read_by_tests() -> set[tuple[str, str]]:
    """Schema and name of every table that a test of dbt reads."""
    manifest = json.loads(MANIFEST.read_text())
    nodes = manifest["nodes"] | manifest["sources"]
    parents = {
        parent
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        for parent in node["depends_on"]["nodes"]
    }
    return {
        (
            nodes[parent]["schema"],
            nodes[parent].get("identifier") or nodes[parent].get("alias") or nodes[parent]["name"],
        )
        for parent in parents
        if nodes[parent]["schema"] != "raw"
    }


def spoil(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> None:
    """Give a table, in the place of a view if it is one, a row of nothing and a made-up row twice."""
    name = f"{schema}.{table}"
    columns = connection.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? "
        "order by column_index",
        [schema, table],
    ).fetchall()
    [(is_view,)] = connection.execute(
        "select count(*) > 0 from duckdb_views() where schema_name = ? and view_name = ?", [schema, table]
    ).fetchall()
    if is_view:
        connection.execute(f"create table {name}__spoilt as from {name}")
        connection.execute(f"drop view {name} cascade; alter table {name}__spoilt rename to {table}")
    row = ", ".join(MADE_UP.get(kind, _number(kind)).format(table=table) for _, kind in columns)
    listed = ", ".join(f'"{column}"' for column, _ in columns)
    nothing = ", ".join("null" for _ in columns)
    connection.execute(f"insert into {name} ({listed}) values ({nothing}), ({row}), ({row})")


def _number(kind: str) -> str:
    """A number that is no count, rate or decile; nothing for what is no number."""
    if kind.startswith("U"):
        return "99"
    return "-9" if kind.startswith("DECIMAL") or kind.isalpha() else "null"


def test_readable_personal_data_and_a_check_that_is_not_told(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    change(here, "create table published.leak as select 'ann@corp.example' as contact")
    monkeypatch.setattr(expectations_of, "validate_published", lambda *_, **__: [])
    only(monkeypatch, dg.AssetSelection.checks(*TABLES) | dg.AssetSelection.assets(AUDIT, CURRENT))
    report, checks = stopped_by(here, job="some")
    assert checks == names(AUDITS)
    assert "ann@" not in report.reason


def test_a_failed_check_stops_publishing_even_where_the_run_leaves_out_what_lies_between(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(
        here,
        "insert into raw.reviews__reviews (_row_number, _loaded_at, available_at) "
        "values (0, now()::timestamp, now()::timestamp)",
    )
    change(here, "create table published.news as select 1 as one")
    only(monkeypatch, dg.AssetSelection.checks(*ROWS) | dg.AssetSelection.assets(AUDIT, CURRENT))
    _, checks = stopped_by(here, job="some")
    assert f"raw/reviews__reviews: {LANDED}" in checks


def test_the_way_to_mend_that_a_failed_raw_check_names_works(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "raw.segment__pages"
    with open_warehouse(here) as connection:
        before = connection.execute(f"select * exclude (_loaded_at) from {table} order by all").fetchall()
        connection.execute(f"update {table} set _row_number = -1, _loaded_at = now()::timestamp where _row_number = 7")
    only(monkeypatch, dg.AssetSelection.assets(["raw", "segment__pages"]))
    _, checks = stopped_by(here, job="some")
    assert checks == {f"raw/segment__pages: {LANDED}"}
    change(
        here,
        f"delete from {table}",
        "delete from ops.landed_files where source = 'segment' and table_name = 'pages'",
    )
    assert run_job(here, job="some", tell=lambda line: None).is_success
    with open_warehouse(here, read_only=True) as connection:
        assert connection.execute(f"select * exclude (_loaded_at) from {table} order by all").fetchall() == before
