from __future__ import annotations

import json
from datetime import date

import pytest

from dagster_project.publishing.alerts import latest_alerts, write_alert


def test_alerts_are_written_and_read_newest_first(settings):
    assert latest_alerts(settings) == []
    first = write_alert(
        settings, kind="run_failed", message="Zürich failed.", run_id="a/../b", details={"day": date(2026, 1, 31)}
    )
    second = write_alert(settings, kind="audit failed", message="An e-mail address is readable.", run_id="run-2")
    assert first.parent == second.parent == settings.data / "alerts"
    assert json.loads(first.read_text())["details"] == {"day": "2026-01-31"}
    found = latest_alerts(settings)
    assert [alert.path for alert in found] == [second, first]
    assert (found[1].kind, found[1].message, found[1].run_id) == ("run_failed", "Zürich failed.", "a/../b")
    assert found[0].details == {} and found[0].raised_at >= found[1].raised_at
    assert [alert.path for alert in latest_alerts(settings, limit=1)] == [second]


def test_alert_interrupted_is_not_there(settings, arm):
    arm("publishing.alert_written:1:raise")
    with pytest.raises(OSError):
        write_alert(settings, kind="run_failed", message="It failed.", run_id="run")
    assert latest_alerts(settings) == []
