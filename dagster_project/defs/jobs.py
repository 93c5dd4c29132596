"""When: the night, the landing alone, new models."""

import dagster as dg

from dagster_project.settings import load_settings

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    description="The night: land, stage, resolve, build the timeline and the journeys, audit, publish.",
)

land_only = dg.define_asset_job(
    "land_only",
    selection=dg.AssetSelection.groups("raw"),
    description="Land new files and look at their checks; the next night builds on them.",
)

retrain = dg.define_asset_job(
    "retrain",
    selection=dg.AssetSelection.groups("predictions"),
    config={"ops": {"predictions": {"config": {"is_forced": True}}}},
    description="Train every model now on what the last night built; one that is better beyond noise becomes champion. "
    "The next night publishes what it says.",
)

# A schedule without partitions runs once for all the ticks it missed while the daemon was down.
nightly_schedule = dg.ScheduleDefinition(
    name="nightly_schedule",
    job=nightly,
    cron_schedule="0 2 * * *",
    execution_timezone=load_settings().timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at two in the project's time zone; after a pause, once for all the nights missed.",
)
