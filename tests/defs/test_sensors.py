"""Sensors: files that stand still are landed once, a failed run is told once."""

from __future__ import annotations

import dagster as dg
import pytest

from dagster_project.defs.sensors import failure_alert_sensor, inbox_sensor
from dagster_project.publishing.alerts import latest_alerts
from dagster_project.running import alert_failure
from dagster_project.settings import Settings
from tests.conftest import environment_of


@pytest.fixture
def here(data: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty data folder that this process's settings name."""
    for name, value in environment_of(data).items():
        monkeypatch.setenv(name, value)
    return data


def look(cursor: str | None) -> tuple[int, str | None]:
    """How many runs the inbox sensor asks for, and what it remembers."""
    result = inbox_sensor(dg.build_sensor_context(cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    return len(result.run_requests or []), result.cursor


def test_new_files_are_landed_once_when_they_stand_still(here: Settings) -> None:
    folder = here.inbox / "segment" / "tracks"
    folder.mkdir(parents=True)
    asked, cursor = look(None)
    assert asked == 0, "an empty inbox"
    (folder / "a.jsonl").write_text("half of ")
    asked, cursor = look(cursor)
    assert asked == 0, "it has only just come"
    (folder / "a.jsonl").write_text("half of it and the rest\n")
    asked, cursor = look(cursor)
    assert asked == 0, "it is still growing"
    asked, cursor = look(cursor)
    assert asked == 1
    asked, cursor = look(cursor)
    assert asked == 0, "it has been asked for"
    (folder / "b.jsonl").write_text("more\n")
    counts = []
    for _ in range(3):
        asked, cursor = look(cursor)
        counts.append(asked)
    assert counts == [0, 1, 0]


def test_without_an_inbox_there_is_nothing_to_do(here: Settings) -> None:
    here.inbox.rmdir()
    assert isinstance(inbox_sensor(dg.build_sensor_context()), dg.SkipReason)


def test_files_of_unknown_sources_start_nothing(here: Settings) -> None:
    (here.inbox / "newsletter" / "clicks").mkdir(parents=True)
    (here.inbox / "newsletter" / "clicks" / "a.csv").write_text("a\n1\n")
    cursor = None
    for _ in range(3):
        asked, cursor = look(cursor)
        assert asked == 0


def test_a_failed_run_is_told_once_whoever_sees_it(here: Settings) -> None:
    @dg.op
    def breaks() -> None:
        raise dg.Failure("The seventh seal is broken.")

    @dg.job
    def doomed() -> None:
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = doomed.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failure_alert_sensor",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        failure_alert_sensor(context)
        failure_alert_sensor(context)
    alert_failure(here, run_id=result.run_id, job="doomed", reason="seen again")
    [alert] = latest_alerts(here)
    assert alert.message == "The run of doomed failed: The seventh seal is broken."
    assert alert.run_id == result.run_id
