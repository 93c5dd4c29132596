"""The code location: everything in `defs/`, and one executor for all of it."""

import dagster as dg

from dagster_project.defs.checks import audit_asset
from dagster_project.defs.discovery import discovery
from dagster_project.defs.expectations import landed_checks, published_checks
from dagster_project.defs.friction import friction
from dagster_project.defs.identity import persons, probabilistic_links
from dagster_project.defs.jobs import land_only, nightly, nightly_schedule, retrain
from dagster_project.defs.journeys import definitions as journey_definitions
from dagster_project.defs.landing import CONTRACTS, landing_assets
from dagster_project.defs.night import Warehouse
from dagster_project.defs.predictions import predictions
from dagster_project.defs.publishing import current_asset, erasures, second_target
from dagster_project.defs.sensors import failure_alert_sensor, inbox_sensor, killed_run_sensor
from dagster_project.defs.timeline import message_signals
from dagster_project.defs.transform import MANIFEST, published_tables, staging_and_links, timeline_and_journeys

_built = [
    *landing_assets,
    staging_and_links,
    probabilistic_links,
    persons,
    message_signals,
    timeline_and_journeys,
    journey_definitions,
    discovery,
    friction,
    predictions,
    published_tables,
]
_audit = audit_asset(_built)

defs = dg.Definitions(
    assets=[*_built, _audit, current_asset([*_built, _audit], manifest=MANIFEST), second_target, erasures],
    asset_checks=[landed_checks(CONTRACTS), published_checks(MANIFEST)],
    resources={"warehouse": Warehouse()},
    jobs=[nightly, land_only, retrain],
    schedules=[nightly_schedule],
    sensors=[inbox_sensor, killed_run_sensor, failure_alert_sensor],
    # One process writes the warehouse: steps run one after another in the run's own.
    executor=dg.in_process_executor,
)
