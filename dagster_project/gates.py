"""Gates that no single table can check: the ledger adds up, what was planned has happened."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckSeverity,
    AssetKey,
    DagsterEventType,
    DagsterInstance,
)

from dagster_project.landing.contracts import TableContract

Planned = AssetKey | AssetCheckKey

_MATERIALISATIONS = {DagsterEventType.ASSET_MATERIALIZATION_PLANNED, DagsterEventType.ASSET_MATERIALIZATION}
_CHECKS = {DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION}


def unbalanced_files(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> list[str]:
    """Gate G1: files of a table whose rows do not add up.

    Per file, rows in = accepted + quarantined + duplicates + suppressed, and the raw table holds
    the accepted rows that were not erased since.

    Returns
    -------
    list of str
        Paths of the files, with what is wrong.
    """
    rows = connection.execute(
        f"""
        with
            held as (select _file_id, count(*) as held_rows from warehouse.raw.{contract.name} group by all),
            files as (
                select *, coalesce(held_rows, 0) as in_table
                from warehouse.ops.landed_files
                left join held on landed_files.file_id = held._file_id
                where source = ? and table_name = ?
            )
        select path, rows_in, accepted, quarantined, duplicates, suppressed, erased, in_table
        from files
        where
            rows_in <> accepted + quarantined + duplicates + suppressed
            or in_table <> accepted - coalesce(erased, 0)
        order by path
        """,
        [contract.source, contract.table],
    ).fetchall()
    return [
        f"{path} ({rows_in} rows in; {accepted} accepted, {quarantined} quarantined, {duplicates} duplicates, "
        f"{suppressed} suppressed, {erased or 0} erased; {in_table} in the table)"
        for path, rows_in, accepted, quarantined, duplicates, suppressed, erased, in_table in rows
    ]


def planned_assets(instance: DagsterInstance, *, run_id: str) -> set[AssetKey]:
    """Assets that a run set out to materialise."""
    records = instance.all_logs(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    return {
        record.dagster_event.asset_key for record in records if record.dagster_event and record.dagster_event.asset_key
    }


def failed_checks(instance: DagsterInstance, *, run_id: str, besides: Iterable[Planned] = ()) -> list[str]:
    """Blocking checks that a run has evaluated and that failed, by name.

    Dagster keeps what depends on a checked asset from running; what a run leaves out, or what its own step
    has built, it does not look behind.

    Parameters
    ----------
    instance : DagsterInstance
        Which recorded the run.
    run_id : str
        The run.
    besides : iterable of AssetKey or AssetCheckKey
        What is not asked for.
    """
    failed = set()
    for record in instance.all_logs(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION):
        if record.dagster_event:
            check = record.dagster_event.asset_check_evaluation_data
            if is_blocking_failure(check) and check.asset_check_key not in set(besides):
                failed.add(f"{check.asset_key.to_user_string()}: {check.check_name}")
    return sorted(failed)


def is_blocking_failure(check: AssetCheckEvaluation) -> bool:
    """Whether a check has failed in a way that stops publishing."""
    return not check.passed and bool(check.blocking) and check.severity == AssetCheckSeverity.ERROR


def not_happened(
    instance: DagsterInstance, *, run_id: str, besides: Iterable[Planned] = ()
) -> tuple[list[str], list[str]]:
    """Gate G9: assets and checks that a run planned and did not materialise or evaluate.

    Parameters
    ----------
    instance : DagsterInstance
        Which recorded the run.
    run_id : str
        The run.
    besides : iterable of AssetKey or AssetCheckKey
        What is still to come.

    Returns
    -------
    tuple of list of str
        Assets, then checks, by name.
    """
    planned: set[Planned] = set()
    happened: set[Planned] = set(besides)
    for record in instance.all_logs(run_id, of_type=_MATERIALISATIONS | _CHECKS):
        event = record.dagster_event
        if event is None:
            continue
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            planned.add(event.asset_check_planned_data.asset_check_key)
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            happened.add(event.asset_check_evaluation_data.asset_check_key)
        elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
            planned.add(event.asset_key)
        elif event.asset_key:
            happened.add(event.asset_key)
    missing = planned - happened
    assets = sorted(key.to_user_string() for key in missing if isinstance(key, AssetKey))
    checks = sorted(
        f"{key.asset_key.to_user_string()}: {key.name}" for key in missing if isinstance(key, AssetCheckKey)
    )
    return assets, checks
