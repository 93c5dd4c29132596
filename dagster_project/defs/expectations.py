"""Expectations: what Python lands is looked at before anything is built on it, what is published before the audit."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dagster as dg
import duckdb

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.landing.contracts import TableContract
from dagster_project.publishing.catalogue import catalogue_from_manifest
from dagster_project.publishing.publisher import fingerprints
from dagster_project.warehouse import open_warehouse
from expectations.published import published_suite
from expectations.raw import raw_suite
from expectations.validation import Verdict, remember, validate_landed, validate_published

LANDED, PUBLISHED = "rows_meet_expectations", "table_meets_expectations"


def landed_checks(contracts: Iterable[TableContract]) -> dg.AssetChecksDefinition:
    """Make the checks of all raw tables: one op, so that the library starts once a night, and only with news."""
    by_key = {dg.AssetKey(["raw", contract.name]): contract for contract in contracts}

    @dg.multi_asset_check(
        name="landed_rows",
        specs=[
            dg.AssetCheckSpec(
                LANDED,
                asset=key,
                blocking=True,
                description="The rows that have landed since the last look are what the contract says: identifiers as "
                "tokens, required columns given, times that can be, no row twice, no e-mail address in a text. "
                "Without new rows nothing is looked at.",
            )
            for key in by_key
        ],
        description="Great Expectations on the new rows of raw tables, before staging reads them.",
        can_subset=True,
        pool=POOL,
    )
    def landed_rows(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        suites = [raw_suite(by_key[key.asset_key]) for key in sorted(context.selected_asset_check_keys)]
        yield from _results(warehouse, check=LANDED, validate=lambda connection: validate_landed(connection, suites))

    return landed_rows


def published_checks(manifest: Path) -> dg.AssetChecksDefinition:
    """Make the checks of all published tables.

    Parameters
    ----------
    manifest : Path
        dbt's manifest: which tables are published, their columns, and what one row is about.
    """
    catalogue = catalogue_from_manifest(manifest)

    @dg.multi_asset_check(
        name="published_rows",
        specs=[
            dg.AssetCheckSpec(
                PUBLISHED,
                asset=key,
                blocking=True,
                description="The table has the columns that are described and one row per grain; scores, rates and "
                "counts lie where they can, intervals hold their value, money has its currency, parts add up. A table "
                "that is the same as when it last passed is not looked at again.",
            )
            for key in (dg.AssetKey(["published", table]) for table in sorted(catalogue))
        ],
        description="Great Expectations on the published tables, before the audit.",
        can_subset=True,
        pool=POOL,
    )
    def published_rows(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        names = sorted(key.asset_key.path[-1] for key in context.selected_asset_check_keys)
        suites = [
            published_suite(name, columns=list(catalogue[name]["columns"]), grain=catalogue[name]["grain"])
            for name in names
        ]
        yield from _results(
            warehouse,
            check=PUBLISHED,
            validate=lambda connection: validate_published(connection, suites, fingerprints=fingerprints(connection)),
        )

    return published_rows


def _results(
    warehouse: Warehouse, *, check: str, validate: Callable[[duckdb.DuckDBPyConnection], list[Verdict]]
) -> Iterator[dg.AssetCheckResult]:
    with open_warehouse(warehouse.settings, read_only=True) as connection:
        verdicts = validate(connection)
    if any(verdict.passed and not verdict.is_unchanged for verdict in verdicts):
        with open_warehouse(warehouse.settings) as connection:
            remember(connection, verdicts)
    for verdict in verdicts:
        yield dg.AssetCheckResult(
            asset_key=[verdict.suite.place, verdict.suite.table],
            check_name=check,
            passed=verdict.passed,
            description=str(verdict),
            metadata={
                "expectations": len(verdict.suite.expectations),
                "rows": verdict.rows,
                "not_met": "\n".join(str(finding) for finding in verdict.findings) or "none",
            },
        )
