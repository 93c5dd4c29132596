"""A small warehouse with three published tables, and a way to publish it in a process that may die."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from dagster_project import failpoints
from dagster_project.errors import ThroughlineError
from dagster_project.publishing.catalogue import TableEntry
from dagster_project.publishing.publisher import PublishReport, publish
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse
from tests.children import Child
from tests.publishing.postgres_server import Database, fresh_database, running_postgres

AS_OF = datetime(2026, 1, 31, 23, 59, 59, 999999)

CATALOGUE: dict[str, TableEntry] = {
    "attempts": {
        "description": "One attempt at a journey; the customer's own words.",
        "columns": {
            "attempt_id": "The attempt.",
            "journey": "Which journey.",
            "value_amount": "What it's worth, in EUR.",
            "stamp": "The state of the warehouse.",
        },
        "grain": ["attempt_id"],
    },
    "customers": {
        "description": "One person.",
        "columns": {"person_id": "The person.", "stamp": "The state of the warehouse."},
        "grain": ["person_id"],
    },
    "settled": {"description": "A table that never changes.", "columns": {"day": "A day."}, "grain": ["day"]},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"THROUGHLINE_DATA": str(tmp_path / "data")})


@pytest.fixture
def fill() -> Callable[..., None]:
    """Put the same stamp in two tables; a reader that sees two stamps saw two versions."""

    def fill_warehouse(settings: Settings, *, stamp: int, rows: int = 200) -> None:
        with open_warehouse(settings) as connection:
            connection.execute(
                f"""
                create or replace table published.attempts as
                select 'a' || i as attempt_id, 'acquisition' as journey, (i % 7)::decimal(18, 2) as value_amount,
                    {stamp} as stamp
                from range({rows}) as numbers(i)
                """
            )
            connection.execute(
                f"create or replace table published.customers as "
                f"select 'p' || i as person_id, {stamp} as stamp from range(50) as numbers(i)"
            )
            connection.execute(
                "create table if not exists published.settled as "
                "select date '2026-01-01' + i::integer as day from range(31) as numbers(i)"
            )

    return fill_warehouse


@pytest.fixture
def publish_now() -> Callable[..., PublishReport]:
    def publish_with_catalogue(settings: Settings, *, now: datetime | None = None) -> PublishReport:
        return publish(settings, as_of=AS_OF, run_id="run", catalogue=CATALOGUE, now=now)

    return publish_with_catalogue


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set a failpoint in this process, counted from here on."""

    def set_failpoint(text: str) -> None:
        failpoints._passed.clear()
        monkeypatch.setenv("THROUGHLINE_FAILPOINT", text)

    return set_failpoint


def publish_in_child(now: datetime | None, limit_bytes: int) -> int:
    """What `start_publishing` starts."""
    if limit_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes,) * 2)
    try:
        report = publish(load_settings(), as_of=AS_OF, run_id="run", catalogue=CATALOGUE, now=now)
    except ThroughlineError as error:
        print(error, file=sys.stderr)
        return 1
    print(report.version_id)
    return 0


@pytest.fixture
def start_publishing() -> Callable[..., Child]:
    """Start a process that publishes once, with a failpoint set; it prints the version it made current."""

    def start(
        settings: Settings,
        *,
        failpoint: str = "",
        now: datetime | None = None,
        seconds: float = 0,
        limit_bytes: int = 0,
    ) -> Child:
        return Child(
            publish_in_child,
            now,
            limit_bytes,
            env={
                "THROUGHLINE_DATA": str(settings.data),
                "THROUGHLINE_FAILPOINT": failpoint,
                "THROUGHLINE_FAILPOINT_SECONDS": str(seconds),
            },
        )

    return start


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[tuple[str, int]]:
    """One PostgreSQL for the session: the superuser's password and the port."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def database(postgres_server: tuple[str, int]) -> Iterator[Database]:
    """An empty database for one test."""
    password, port = postgres_server
    with fresh_database(password, port) as database:
        yield database


@pytest.fixture
def both(settings: Settings, database: Database) -> Settings:
    """Settings with a second target."""
    return replace(settings, postgres_url=database.url)
