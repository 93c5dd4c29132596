"""Alert records: what somebody on call should see, one JSON file each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagster_project.failpoints import failpoint
from dagster_project.publishing.durable import sync_folder, write_text
from dagster_project.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert record.

    Attributes
    ----------
    kind : str
        What went wrong, such as ``run_failed`` or ``audit_failed``.
    message : str
        One sentence for a person; it never quotes a personal value.
    run_id : str
        The run that raised it.
    details : mapping
        Anything JSON can hold.
    raised_at : datetime
        UTC, naive.
    path : Path
        The record's file.
    """

    kind: str
    message: str
    run_id: str
    details: Mapping[str, Any]
    raised_at: datetime
    path: Path


def write_alert(
    settings: Settings, *, kind: str, message: str, run_id: str, details: Mapping[str, Any] | None = None
) -> Path:
    """Write an alert record under ``<data>/alerts/``, whole or not at all.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.
    kind : str
        A short name, such as ``run_failed``.
    message : str
        One sentence for a person.
    run_id : str
        The run that raises it.
    details : mapping, optional
        Anything JSON can hold; other values are written as their text.

    Returns
    -------
    Path
        The record.
    """
    folder = settings.data / "alerts"
    folder.mkdir(parents=True, exist_ok=True)
    raised_at = datetime.now(UTC).replace(tzinfo=None)
    tail = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part) for part in (kind, run_id[:12]))
    path = folder / f"{raised_at:%Y%m%dT%H%M%S%fZ}-{tail}.json"
    record = {
        "kind": kind,
        "message": message,
        "run_id": run_id,
        "raised_at": f"{raised_at.isoformat()}Z",
        "details": dict(details or {}),
    }
    unfinished = folder / f".{path.name}"
    write_text(unfinished, json.dumps(record, indent=2, ensure_ascii=False, default=str) + "\n")
    failpoint("publishing.alert_written")
    unfinished.replace(path)
    sync_folder(folder)
    return path


def latest_alerts(settings: Settings, *, limit: int = 20) -> list[Alert]:
    """Return the latest alerts, newest first.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.
    limit : int
        How many at most.
    """
    paths = sorted((settings.data / "alerts").glob("[!.]*.json"), reverse=True)[:limit]
    return [_read(path) for path in paths]


def _read(path: Path) -> Alert:
    record = json.loads(path.read_text(encoding="utf-8"))
    return Alert(
        kind=record["kind"],
        message=record["message"],
        run_id=record["run_id"],
        details=record["details"],
        raised_at=datetime.fromisoformat(record["raised_at"]).replace(tzinfo=None),
        path=path,
    )
