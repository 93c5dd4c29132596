"""Identity: persons from links, resolved in Python."""

import time
from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.landing import CONTRACTS
from dagster_project.defs.night import POOL, Warehouse
from dagster_project.identity.audit import audit_bridges
from dagster_project.identity.levels import update_levels
from dagster_project.identity.probabilistic import Thresholds, link_if_possible, said_before, write_links
from dagster_project.identity.profiles import fingerprint, read_profiles
from dagster_project.identity.update import update_identity
from dagster_project.landing.landing import open_landing
from dagster_project.warehouse import open_scratch, open_warehouse

_EVIDENCE = [
    ["identity", "links"],
    ["identity", "probabilistic_links"],
    ["identity", "identifier_sightings"],
    ["identity", "observations"],
    ["staging", "identifier_rules"],
    ["staging", "identity_overrides"],
    ["staging", "consents"],
    ["staging", "free_mail_domains"],
]
_TABLES = {
    ("identity", "identifiers"): "One identifier: its one current person and its component. Joins events to persons.",
    (
        "identity",
        "persons",
    ): "One person as known now: the anchor that mints the id, and how many identifiers it holds.",
    ("identity", "identifier_history"): "One identifier and one span of time: whose it was then known to be. "
    "Answers who somebody was as of any time, and since when in the world.",
    ("identity", "changes"): "One merge, split or move of a person on the day its evidence became available.",
    ("identity", "refused_links"): "One link that was not allowed to join two persons, with the reason.",
    ("identity", "bridges"): "One pair of identifiers whose links alone hold two parts of a person together.",
    ("identity", "households"): "One identifier that says where its person lives: one surname at one address.",
    ("identity", "accounts"): "One identifier that says what company somebody or something belongs to: by a source's "
    "word, or by the domain of a mailbox.",
    ("ops", "affected_components"): "One component whose persons changed since the last completed run: what the "
    "timeline and the journeys must rebuild.",
}


@dg.asset(
    key=["identity", "probabilistic_links"],
    group_name="identity",
    deps=[["staging", "profiles"], ["staging", "consents"], ["staging", "identifier_rules"]],
    description="One pair of identifiers that no row has together, whose profiles in the vault tell of one person by "
    "name, home and birth date. Persons are resolved from it after everything that rows say; no rows without profiles.",
    kinds={"python", "duckdb"},
    pool=POOL,
)
def probabilistic_links(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Compare the profiles of the vault, unless they are those of the last time."""
    started = time.perf_counter()
    night, thresholds = warehouse.night, Thresholds.of_project()
    with open_warehouse(warehouse.settings, with_vault=True) as connection:
        profiles = read_profiles(connection, contracts=CONTRACTS if thresholds else [], as_of=night.as_of)
        digest = fingerprint(connection, profiles)
        sentence = said_before(connection, profiles=digest, thresholds=thresholds)
    is_compared = sentence is None
    if is_compared:
        with open_scratch(warehouse.settings) as scratch:
            found = link_if_possible(profiles, thresholds=thresholds, connection=scratch)
        with open_warehouse(warehouse.settings) as connection:
            write_links(connection, found, profiles=digest, thresholds=thresholds)
        sentence = found.sentence
        (context.log.info if found.is_done else context.log.warning)(sentence)
        for row in found.weights.to_pylist():
            context.log.info(f"{row['comparison']}: {row['level']}: {row['match_weight']:+.1f} bits")
    from dagster_project.publishing.pictures import as_markdown, draw_match_weights

    with open_warehouse(warehouse.settings, read_only=True) as connection:
        tiers = connection.execute(
            "select coalesce(sum(cast(tier = 'strong' as int)), 0), coalesce(sum(cast(tier = 'probable' as int)), 0) "
            "from identity.probabilistic_links"
        ).fetchall()
        picture = as_markdown(
            draw_match_weights(connection), alt="What agreement and disagreement of two profiles count for, in bits"
        )
    return dg.MaterializeResult(
        metadata={
            "rows": sum(tiers[0]),
            "strong": tiers[0][0],
            "probable": tiers[0][1],
            "outcome": sentence or "",
            "build": "compared now" if is_compared else "the profiles are those of the last time",
            "match_weights": dg.MetadataValue.md(picture),
            "seconds": round(time.perf_counter() - started, 2),
        }
    )


@dg.multi_asset(
    name="persons",
    specs=[
        dg.AssetSpec(key, group_name=key[0], description=text, deps=_EVIDENCE, kinds={"python", "duckdb"})
        for key, text in _TABLES.items()
    ],
    pool=POOL,
)
def persons(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Resolve what changed in the links, then find households and companies in the vault."""
    night, timezone = warehouse.night, warehouse.settings.timezone
    with open_warehouse(warehouse.settings) as connection:
        report = update_identity(connection, as_of=night.as_of, timezone=timezone)
        audit_bridges(connection)
    with open_landing(warehouse.settings) as connection:
        levels = update_levels(connection, contracts=CONTRACTS, as_of=night.as_of, timezone=timezone)
        rows = {key: connection.execute(f"select count(*) from {'.'.join(key)}").fetchall()[0][0] for key in _TABLES}
    for sentence in report.told:
        context.log.warning(sentence)
    told = {
        ("identity", "identifiers"): {
            "resolved_again": report.resolved_identifiers,
            "shared_devices": report.shared_devices,
            "build": "all of them" if report.is_full else "what new evidence touched",
        },
        ("identity", "persons"): {
            "largest_person_identifiers": report.largest_person,
            **({"told": "\n".join(report.told)} if report.told else {}),
        },
        ("identity", "changes"): {kind: count for kind, count in sorted(report.changes.items())},
        ("identity", "households"): {
            "households": levels.households,
            "of_two_or_more": levels.shared_households,
            "persons": levels.in_households,
        },
        ("identity", "accounts"): {"accounts": levels.accounts, "persons": levels.in_accounts},
        ("identity", "refused_links"): {"links": report.links, "new_links": report.new_links},
    }
    for key in _TABLES:
        yield dg.MaterializeResult(asset_key=dg.AssetKey(key), metadata={"rows": rows[key], **told.get(key, {})})
