"""Typed settings: every THROUGHLINE_* variable, with its one default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dagster_project.errors import ThroughlineError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_DIR = PROJECT_ROOT / "dbt"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run needs to know about its surroundings.

    Attributes
    ----------
    data : Path
        Folder of everything Throughline writes.
    inbox : Path
        Folder of exports, ``<inbox>/<source>/<table>/**/*``; never written to.
    is_inbox_given : bool
        Whether the user named the inbox; only an unnamed one may be filled with the demo.
    timezone : str
        IANA zone in which days are cut.
    key_file : Path
        File with the key of the identifier tokens.
    as_of : datetime or None
        UTC instant up to which evidence counts; None means "the latest available".
    postgres_url : str or None
        Second publishing target; None means there is none.
    memory_limit : str or None
        DuckDB memory limit, such as ``8GB``; None leaves DuckDB's default.
    threads : int or None
        DuckDB threads; None leaves DuckDB's default.
    """

    data: Path
    inbox: Path
    is_inbox_given: bool
    timezone: str
    key_file: Path
    as_of: datetime | None = None
    # It holds a password, which no traceback may show.
    postgres_url: str | None = field(default=None, repr=False)
    memory_limit: str | None = None
    threads: int | None = None

    @property
    def warehouse_path(self) -> Path:
        """The warehouse; its base name is the database name inside every view."""
        return self.data / "warehouse.duckdb"

    @property
    def vault_path(self) -> Path:
        """The only file with readable personal data, mode 0600."""
        return self.data / "vault.duckdb"

    @property
    def mlflow_path(self) -> Path:
        """Database of the models: runs, versions, aliases."""
        return self.data / "mlflow.db"

    @property
    def models_path(self) -> Path:
        """Folder of the models' files."""
        return self.data / "models"

    @property
    def published(self) -> Path:
        """Folder with ``versions/`` and the ``current`` link."""
        return self.data / "published"


def end_of_day(day: date, *, timezone: str) -> datetime:
    """Last microsecond of a local day, as a naive UTC instant."""
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=ZoneInfo(timezone))
    return midnight.astimezone(UTC).replace(tzinfo=None) - timedelta(microseconds=1)


def read_as_of(text: str, *, timezone: str) -> datetime:
    """Read an as-of: a date (its end) or an ISO instant (UTC unless it has an offset).

    Raises
    ------
    ThroughlineError
        If it is neither.
    """
    try:
        if len(text) == len("2026-01-31"):
            return end_of_day(date.fromisoformat(text), timezone=timezone)
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ThroughlineError(
            f"The as-of '{text}' (THROUGHLINE_AS_OF or --as-of) is neither a date such as 2026-01-31 nor an ISO time; "
            "correct it or leave it out to use the latest day in the data."
        ) from None
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Parameters
    ----------
    env : mapping, optional
        Variables to read instead of the process environment.

    Raises
    ------
    ThroughlineError
        If a variable holds something that cannot be used.
    """
    env = os.environ if env is None else env
    data = Path(env.get("THROUGHLINE_DATA") or "./data").expanduser().absolute()
    inbox = env.get("THROUGHLINE_INBOX")
    timezone = env.get("THROUGHLINE_TIMEZONE") or "UTC"
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ThroughlineError(
            f"THROUGHLINE_TIMEZONE is '{timezone}', which is no IANA time zone; use a name such as Europe/Berlin."
        ) from None
    threads = env.get("THROUGHLINE_THREADS")
    if threads and (not threads.isdigit() or int(threads) < 1):
        raise ThroughlineError(f"THROUGHLINE_THREADS is '{threads}'; give a whole number of 1 or more, or unset it.")
    as_of = env.get("THROUGHLINE_AS_OF")
    return Settings(
        data=data,
        inbox=Path(inbox).expanduser().absolute() if inbox else data / "inbox",
        is_inbox_given=bool(inbox),
        timezone=timezone,
        key_file=Path(env.get("THROUGHLINE_KEY_FILE") or data / "key").expanduser().absolute(),
        as_of=read_as_of(as_of, timezone=timezone) if as_of else None,
        postgres_url=env.get("THROUGHLINE_POSTGRES_URL") or None,
        memory_limit=env.get("THROUGHLINE_MEMORY_LIMIT") or None,
        threads=int(threads) if threads else None,
    )
