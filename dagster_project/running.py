"""The nightly job in this process, told line by line."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import AssetCheckEvaluation, DagsterEvent, DagsterEventType

from dagster_project.gates import is_blocking_failure, not_happened
from dagster_project.instance import mark_dead_runs, open_instance
from dagster_project.publishing.alerts import latest_alerts, write_alert
from dagster_project.settings import Settings

# The tags by which the UI files a run under its job.
_TAGS = {".dagster/repository": "__repository__@throughline", "throughline/started_by": "throughline run"}


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """How a run ended.

    Attributes
    ----------
    run_id : str
        Dagster's id.
    is_success : bool
        Whether everything that was planned has happened.
    reason : str
        Why not, in one sentence; empty after a success.
    path : Path
        Folder of the version that is current now; the data folder after a failure.
    outcome : str
        What was published, in one sentence.
    second_target : str
        Where PostgreSQL stands, in a sentence; empty if the run did not come to it.
    erasures : str
        What became of people who are to be erased, in a sentence; empty if the run did not come to it.
    """

    run_id: str
    is_success: bool
    reason: str
    path: Path
    outcome: str
    second_target: str
    erasures: str


def run_job(settings: Settings, *, job: str = "nightly", as_of: str = "", tell: Callable[[str], None]) -> RunReport:
    """Run a job here and now, recorded like any other run.

    Parameters
    ----------
    settings : Settings
        Whose data folder is meant.
    job : str
        Its name.
    as_of : str
        Instead of THROUGHLINE_AS_OF.
    tell : callable
        Gets one line per finished step.
    """
    from dagster_project.definitions import defs
    from dagster_project.defs.checks import told_missing

    run_id = str(uuid.uuid4())
    steps = _Steps(tell)
    with open_instance(settings) as instance:
        for dead in mark_dead_runs(instance, settings):
            tell(f"Run {dead[:8]} was killed earlier; it is marked as failed.")
        instance.add_event_listener(run_id, steps.hear)
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            tags=_TAGS,
            run_config={
                "resources": {"warehouse": {"config": {"as_of": as_of}}},
                # The event log has it all; the terminal would only drown.
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
        missing = told_missing(*not_happened(instance, run_id=run_id)) if result.success else None
    is_success = result.success and missing is None
    reason = "" if is_success else (missing or failure_sentence(result.all_events))
    if not is_success:
        alert_failure(settings, run_id=run_id, job=job, reason=reason, events=result.all_events)
    current = steps.metadata.get("published/current", {})
    return RunReport(
        run_id=run_id,
        is_success=is_success,
        reason=reason,
        path=Path(current.get("path", settings.data)),
        outcome=str(current.get("outcome", "")),
        second_target=str(steps.metadata.get("published/postgres", {}).get("outcome", "")),
        erasures=str(steps.metadata.get("published/erasures", {}).get("outcome", "")),
    )


def failure_sentence(events: list[DagsterEvent]) -> str:
    """Say in one sentence why a run failed: the checks that block, else the error that a person can mend."""
    failed = _failed_checks(events)
    if failed:
        told = "; ".join(
            f"{check.asset_key.to_user_string()}: {check.check_name}"
            + (f" ({check.description})" if check.description else "")
            for check in failed[:5]
        )
        checks_failed = "1 check" if len(failed) == 1 else f"{len(failed)} checks"
        return f"{checks_failed} failed, so nothing was published: {told}."
    for event in events:
        for error in _errors(event):
            if error.cls_name == "ThroughlineError":
                return str(error.message).split(": ", 1)[-1].strip()
    for event in events:
        if event.event_type == DagsterEventType.STEP_FAILURE and event.step_failure_data.user_failure_data:
            return str(event.step_failure_data.user_failure_data.description)
    for event in events:
        for error in reversed(list(_errors(event))):
            return f"{event.step_key or 'the run'} failed with {' '.join(str(error.message).split())}"
    for event in events:
        if event.event_type == DagsterEventType.RUN_FAILURE and event.message:
            return event.message
    return "the run failed; its log in the UI says why."


def _failed_checks(events: Sequence[DagsterEvent]) -> list[AssetCheckEvaluation]:
    """Checks that failed and block."""
    return [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION
        and is_blocking_failure(event.asset_check_evaluation_data)
    ]


def _errors(event: DagsterEvent) -> Iterator[Any]:
    """The error of an event and what caused it, outermost first."""
    data = event.event_specific_data
    error = getattr(data, "error", None)
    while error is not None:
        yield error
        error = error.cause


def alert_failure(
    settings: Settings, *, run_id: str, job: str, reason: str, events: Sequence[DagsterEvent] = ()
) -> None:
    """Record once that a run failed and why, with every check that stopped it.

    Both the run's own process and the sensor that watches for failures come here.
    """
    if any(alert.run_id == run_id and alert.kind == "run_failed" for alert in latest_alerts(settings, limit=200)):
        return
    checks = {
        f"{check.asset_key.to_user_string()}: {check.check_name}": check.description or ""
        for check in _failed_checks(events)
    }
    write_alert(
        settings,
        kind="run_failed",
        message=f"The run of {job} failed: {reason}",
        run_id=run_id,
        details={"job": job, "checks": checks},
    )


class _Steps:
    """Listens to a run's events and tells a line when a step ends."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._built: Counter[str] = Counter()
        self._checks: dict[str, Counter[str]] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self._last: dict[str, str] = {}
        self._sentences: dict[str, list[str]] = {}

    def hear(self, entry: Any) -> None:
        """Take in one event."""
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        step = event.step_key
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
            name = event.asset_key.to_user_string()
            self.metadata[name] = {
                key: value.value for key, value in event.step_materialization_data.materialization.metadata.items()
            }
            # What somebody should look at, a sentence each.
            self._sentences.setdefault(step, []).extend(self.metadata[name].get("told", "").splitlines())
            self._built[step] += 1
            self._last[step] = name
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            word = "passed" if check.passed else ("warned" if check.severity.value == "WARN" else "failed")
            self._checks.setdefault(step, Counter())[word] += 1
        elif event.event_type == DagsterEventType.STEP_SUCCESS:
            self._tell(f"  {step:<34}{event.step_success_data.duration_ms / 1000:>7.1f} s  {self._told(step)}")
            for sentence in self._sentences.pop(step, ()):
                self._tell(f"    {sentence}")
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            self._tell(f"  {step:<34}{'FAILED':>9}  {self._told(step)}")

    def _told(self, step: str) -> str:
        checks = self._checks.get(step, Counter())
        unwell = [f"{checks[word]} {word}" for word in ("warned", "failed") if checks[word]]
        told = f"{sum(checks.values())} checks" + (f" ({', '.join(unwell)})" if unwell else "") if checks else ""
        if self._built[step] == 1:
            metadata = self.metadata[self._last[step]]
            said = metadata.get("ledger") or metadata.get("outcome") or _counts(metadata)
            return "; ".join(part for part in (said, told if unwell else "") if part)
        return ", ".join(part for part in (f"{self._built[step]} tables" if self._built[step] else "", told) if part)


def _counts(metadata: dict[str, Any]) -> str:
    return ", ".join(
        f"{metadata[name]:,} {name.replace('_', ' ')}"
        for name in ("rows", "scored_now")
        if isinstance(metadata.get(name), int)
    )
