"""The audit before publishing: the gates that no single table can check. All of them block."""

from collections.abc import Sequence

import dagster as dg

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.gates import failed_checks, not_happened
from dagster_project.publishing.audit import find_personal_data
from dagster_project.warehouse import open_warehouse

AUDIT, CURRENT = dg.AssetKey(["published", "audit"]), dg.AssetKey(["published", "current"])
# The second target comes after the switch and never holds it up.
POSTGRES = dg.AssetKey(["published", "postgres"])
POSTGRES_IS_CURRENT = dg.AssetCheckKey(POSTGRES, "postgres_is_current")
# After both, when older versions may go.
ERASURES = dg.AssetKey(["published", "erasures"])
ERASURES_ARE_COMPLETE = dg.AssetCheckKey(ERASURES, "erasures_are_complete")
PLAN = dg.AssetCheckKey(AUDIT, "plan_has_happened")
PERSONAL = dg.AssetCheckKey(AUDIT, "no_readable_personal_data")


def audit_asset(built: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """Make the asset that stands between all that a night builds and its readers."""

    @dg.asset(
        key=AUDIT,
        group_name="published",
        deps=_ends(built),
        description="One audit of a run, before its tables become `published/current`: a check that fails here keeps "
        "the version that readers have.",
        kinds={"python"},
        pool=POOL,
        check_specs=[
            dg.AssetCheckSpec(
                PLAN.name,
                asset=AUDIT,
                blocking=True,
                description="Every asset and check that this run planned was materialised and evaluated (gate G9), and "
                "no blocking check failed.",
            ),
            dg.AssetCheckSpec(
                PERSONAL.name,
                asset=AUDIT,
                blocking=True,
                description="No e-mail address, phone, card number or IP address outside the vault (gate G10).",
            ),
        ],
    )
    def audit(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        night = warehouse.night
        assets, checks = not_happened(
            context.instance,
            run_id=context.run.run_id,
            besides=(
                *(AUDIT, CURRENT, POSTGRES, ERASURES),
                *(PLAN, PERSONAL, POSTGRES_IS_CURRENT, ERASURES_ARE_COMPLETE),
            ),
        )
        failed = failed_checks(context.instance, run_id=context.run.run_id)
        # A completed run passed this audit, so its rows need no second look.
        since = None if night.is_full_build else night.previous_loaded_at
        with open_warehouse(warehouse.settings, read_only=True) as connection:
            findings = find_personal_data(connection, since=since)
        return dg.MaterializeResult(
            metadata={"as_of": f"{night.as_of:%Y-%m-%d %H:%M} UTC", "build": night.reason},
            check_results=[
                dg.AssetCheckResult(
                    check_name=PLAN.name,
                    passed=not assets and not checks and not failed,
                    description=told_missing(assets, checks) or told_failed(failed),
                    metadata={
                        "assets": "\n".join(assets) or "none",
                        "checks": "\n".join(checks) or "none",
                        "failed": "\n".join(failed) or "none",
                    },
                ),
                dg.AssetCheckResult(
                    check_name=PERSONAL.name,
                    passed=not findings,
                    description="; ".join(str(finding) for finding in findings) or None,
                    metadata={"columns": len(findings)},
                ),
            ],
        )

    return audit


def _ends(built: Sequence[dg.AssetsDefinition]) -> list[dg.AssetKey]:
    """Assets that no other reads, and all that will be published: after all of them, everything has run."""
    keys = {key for assets in built for key in assets.keys}
    read = {key for assets in built for deps in assets.asset_deps.values() for key in deps}
    # Every published table, so that the checks of one that another reads keep the audit waiting as well.
    return sorted(keys - read | {key for key in keys if key.path[0] == "published"})


def told_missing(assets: list[str], checks: list[str]) -> str | None:
    """Say in one sentence what was planned and did not happen."""
    if not assets and not checks:
        return None
    named = ", ".join([*assets, *checks][:10])
    return f"{len(assets)} assets were not materialised and {len(checks)} checks not evaluated: {named}."


def told_failed(failed: list[str]) -> str | None:
    """Say in one sentence which blocking checks failed."""
    return f"{len(failed)} blocking checks failed: {', '.join(failed[:10])}." if failed else None
