"""Raw: one asset per contracted table, made from the contracts alone."""

import dagster as dg

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.gates import unbalanced_files
from dagster_project.landing.contracts import TableContract, load_contracts
from dagster_project.landing.landing import LandingReport, land_table

CONTRACTS = load_contracts()
FILES, ROWS = "files_are_readable", "every_row_is_counted"


def landing_asset(contract: TableContract) -> dg.AssetsDefinition:
    """Make the asset that lands one table, with the checks of its files and of its ledger."""
    key = dg.AssetKey(["raw", contract.name])
    stops = contract.on_failure == "stop"

    @dg.asset(
        key=key,
        group_name="raw",
        description=f"{contract.description}\n\nLands new files of `<inbox>/{contract.source}/{contract.table}/`, "
        "each exactly once; append-only, identifiers as tokens.",
        kinds={"duckdb"},
        pool=POOL,
        check_specs=[
            dg.AssetCheckSpec(
                FILES,
                asset=key,
                blocking=stops,
                description="Every new file could be read and no row had to be quarantined; a file that cannot be "
                f"read {'stops publishing' if stops else 'is a warning'}.",
            ),
            dg.AssetCheckSpec(
                ROWS,
                asset=key,
                blocking=True,
                description="Per file: rows in = accepted + quarantined + duplicates + suppressed (gate G1), and the "
                "table holds the accepted ones.",
            ),
        ],
    )
    def land(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        with warehouse.landing() as (settings, connection):
            report = land_table(settings, contract, connection=connection, contracts=CONTRACTS)
            rows = connection.execute(f"select count(*) from warehouse.raw.{contract.name}").fetchall()[0][0]
            unbalanced = unbalanced_files(connection, contract)
        return dg.MaterializeResult(
            metadata={
                "ledger": ledger_sentence(report),
                "rows_in": report.count("rows_in"),
                "accepted": report.count("accepted"),
                "quarantined": report.count("quarantined"),
                "duplicates": report.count("duplicates"),
                "suppressed": report.count("suppressed"),
                "files": len(report.files),
                "known_files": report.known_count,
                "unknown_fields": ", ".join(report.drift) or "none",
                "rows": rows,
                "seconds": round(report.seconds, 2),
            },
            check_results=[
                _files_check(report, stops=stops),
                dg.AssetCheckResult(
                    check_name=ROWS,
                    passed=not unbalanced,
                    description="; ".join(unbalanced[:20]) or None,
                    metadata={"unbalanced_files": len(unbalanced)},
                ),
            ],
        )

    return land


def _files_check(report: LandingReport, *, stops: bool) -> dg.AssetCheckResult:
    quarantined = report.count("quarantined")
    told = [f"{file.path}: {file.reason}" for file in report.files if file.status in ("failed", "changed")]
    if quarantined:
        told.append(f"{quarantined:,} rows are quarantined, see ops.quarantine")
    told += [f"{path}: landing does not read files of this kind" for path in report.not_read]
    return dg.AssetCheckResult(
        check_name=FILES,
        passed=not told,
        severity=dg.AssetCheckSeverity.ERROR if stops and report.failed else dg.AssetCheckSeverity.WARN,
        description="; ".join(told[:20]) or None,
        metadata={"failed_files": len(report.failed), "quarantined_rows": quarantined},
    )


def ledger_sentence(report: LandingReport) -> str:
    """Say what became of this run's rows, so that they can be added up."""
    if not report.files:
        return f"Nothing new; {report.known_count:,} files landed before."
    counts = [f"{report.count(what):,} {what}" for what in ("accepted", "quarantined", "duplicates", "suppressed")]
    return f"{len(report.files):,} new files with {report.count('rows_in'):,} rows = {' + '.join(counts)}."


landing_assets = [landing_asset(contract) for contract in CONTRACTS]
