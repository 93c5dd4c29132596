"""When something happens: files arrive, a run fails, a run's process is killed."""

import hashlib

import dagster as dg

from dagster_project.defs.jobs import land_only
from dagster_project.instance import mark_dead_runs
from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.ledger import inbox_files
from dagster_project.landing.readers import SUFFIXES
from dagster_project.running import alert_failure, failure_sentence
from dagster_project.settings import Settings, load_settings

# Files still being copied grow: they are looked at again after this, and land when they stand still.
INBOX_SECONDS = 60


def inbox_state(settings: Settings) -> str:
    """Digest of the inbox's files by path, size and time; empty without files."""
    digest, count = hashlib.sha256(), 0
    for contract in load_contracts():
        for path in inbox_files(settings, contract, suffixes=SUFFIXES):
            status = path.stat()
            digest.update(f"{path}|{status.st_size}|{status.st_mtime_ns}\n".encode())
            count += 1
    return f"{count} files {digest.hexdigest()[:32]}" if count else ""


@dg.sensor(
    job=land_only,
    minimum_interval_seconds=INBOX_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Lands files that arrived in the inbox, once they have stood still for a look.",
)
def inbox_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for a landing when the inbox stands still and differs from what was last landed."""
    settings = load_settings()
    if not settings.inbox.is_dir():
        return dg.SkipReason(f"There is no inbox at {settings.inbox}.")
    seen, landed = (context.cursor or "\n").split("\n")
    now = inbox_state(settings)
    if not now or now == landed:
        return dg.SensorResult(skip_reason="Nothing new in the inbox.", cursor=f"{now}\n{landed}")
    if now != seen:
        return dg.SensorResult(skip_reason="The inbox is changing; looking again.", cursor=f"{now}\n{landed}")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=now)], cursor=f"{now}\n{now}")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs whose process was killed as failed, so that the queue moves on.",
)
def killed_run_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look for runs that say they are running and are not."""
    dead = mark_dead_runs(context.instance, load_settings())
    return dg.SkipReason(f"Marked as failed: {', '.join(dead)}." if dead else "No run was killed.")


@dg.run_failure_sensor(
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes an alert record for every failed run.",
)
def failure_alert_sensor(context: dg.RunFailureSensorContext) -> None:
    """Write the alert, unless the run's own process has written it."""
    run = context.dagster_run
    events = [entry.dagster_event for entry in context.instance.all_logs(run.run_id) if entry.dagster_event]
    alert_failure(load_settings(), run_id=run.run_id, job=run.job_name, reason=failure_sentence(events), events=events)
