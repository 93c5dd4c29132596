"""Both targets read by readers others wrote, and by readers in loops while versions are published."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dagster_project.publishing import postgres
from dagster_project.publishing.postgres import bring_up_to_date
from dagster_project.publishing.versions import current_version
from dagster_project.settings import PROJECT_ROOT, Settings
from tests.publishing.loops import READERS, ROWS
from tests.publishing.postgres_server import Database

VERSIONS = 50
# A reader that sees fewer was not reading beside the publisher.
LEAST_SEEN = 15


class Loops:
    """Readers at work, each in a process of its own."""

    def __init__(self, where: dict[str, str], *, stop: Path) -> None:
        self._stop = stop
        self._processes = {
            name: subprocess.Popen(
                [sys.executable, "-m", "tests.publishing.loops", name, place, str(stop)],
                cwd=PROJECT_ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name, place in where.items()
        }

    def end(self) -> dict[str, dict[str, Any]]:
        """Let each finish its read; what they saw, or the error that ended one."""
        self._stop.touch()
        told = {name: process.communicate(timeout=30) for name, process in self._processes.items()}
        for name, process in self._processes.items():
            assert process.returncode == 0, f"{name}: {told[name][1]}"
        return {name: json.loads(out) for name, (out, _) in told.items()}

    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


@contextmanager
def reading(settings: Settings, database: Database, *, readers: list[str], stop: Path) -> Iterator[Loops]:
    """Start readers; PostgreSQL's come as users with no more than the readers' role."""
    where = {
        name: database.make_reader(name) if name.startswith("postgres") else str(settings.published) for name in readers
    }
    loops = Loops(where, stop=stop)
    try:
        yield loops
    finally:
        loops.kill()


@pytest.fixture
def publish_stamp(both: Settings, fill, publish_now):
    """Publish a version whose rows carry a number, to both targets; its id and whether PostgreSQL shows it."""

    def publish(stamp: int) -> tuple[str, bool]:
        fill(both, stamp=stamp)
        report = bring_up_to_date(both, run_id=publish_now(both).version_id)
        return report.wanted_id, report.is_current

    return publish


def test_readers_in_loops_see_whole_versions_only(both, database, publish_stamp, tmp_path):
    published = {publish_stamp(0)[0]: 0}
    with reading(both, database, readers=list(READERS), stop=tmp_path / "stop") as loops:
        time.sleep(1)
        for stamp in range(1, VERSIONS):
            version_id, is_shown = publish_stamp(stamp)
            assert is_shown, f"version {stamp}: {postgres.standing(both).summary}"
            published[version_id] = stamp
        saw = loops.end()
    assert len(published) == VERSIONS
    for name, told in saw.items():
        assert told["torn"] == [], name
        assert {version: stamp for version, stamp in told["seen"]}.items() <= published.items(), name
        assert len(told["seen"]) >= LEAST_SEEN, (name, told["reads"])
    print({name: (told["reads"], len(told["seen"])) for name, told in saw.items()})


def test_readers_in_loops_catch_a_swap_of_one_view_after_another(both, database, publish_stamp, tmp_path, monkeypatch):
    """The test above can fail: it finds what it looks for when the swap is no single transaction."""

    def swap_one_by_one(_: object, *, version: Any, tables: Any) -> str:
        schema = "throughline_" + version.version_id.replace("-", "_")
        with psycopg.connect(both.postgres_url, autocommit=True) as connection:
            for name in ("attempts", "current_version", "customers", "settled"):
                more = ", now() as published_at" if name == "current_version" else ""
                time.sleep(0.02)
                connection.execute(f"create or replace view throughline.{name} as select *{more} from {schema}.{name}")
        return "now"

    publish_stamp(0)
    monkeypatch.setattr(postgres, "_swap_once", swap_one_by_one)
    readers = ["postgres_statements", "postgres_transactions"]
    with reading(both, database, readers=readers, stop=tmp_path / "stop") as loops:
        time.sleep(1)
        for stamp in range(1, 9):
            publish_stamp(stamp)
        saw = loops.end()
    assert any(told["torn"] for told in saw.values()), saw
    print({name: (told["reads"], len(told["seen"]), len(told["torn"])) for name, told in saw.items()})


def test_pandas_and_polars_read_the_parquet_files(both, fill, publish_now):
    import pandas
    import polars

    fill(both, stamp=4)
    folder = publish_now(both).path
    frame = pandas.read_parquet(folder / "attempts.parquet")
    assert (len(frame), frame["value_amount"].sum(), set(frame["stamp"])) == (200, Decimal("594.00"), {4})
    frame = polars.read_parquet(folder / "attempts.parquet")
    assert (frame.height, frame["value_amount"].sum(), frame.schema["value_amount"]) == (
        200,
        Decimal("594.00"),
        polars.Decimal(18, 2),
    )
    lazy = polars.scan_parquet(folder / "settled.parquet").select(polars.col("day").max())
    assert str(lazy.collect().item()) == "2026-01-31"


def test_sqlalchemy_pandas_and_polars_read_postgres(both, database, publish_stamp):
    import pandas
    import polars
    import sqlalchemy

    version_id, _ = publish_stamp(4)
    url = database.make_reader("analyst")
    query = "select * from throughline.attempts order by attempt_id"
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        inspector = sqlalchemy.inspect(engine)
        assert inspector.get_view_names(schema="throughline") == ["attempts", "current_version", "customers", "settled"]
        columns = {column["name"]: column for column in inspector.get_columns("attempts", schema="throughline")}
        assert columns["value_amount"]["comment"] == "What it's worth, in EUR."
        assert columns["value_amount"]["type"].precision == 18
        table = sqlalchemy.Table("attempts", sqlalchemy.MetaData(schema="throughline"), autoload_with=engine)
        with engine.connect() as connection:
            total = connection.execute(sqlalchemy.select(sqlalchemy.func.sum(table.c.value_amount))).scalar_one()
        assert total == Decimal("594.00")
        frame = pandas.read_sql(query, engine)
    finally:
        engine.dispose()
    assert (len(frame), set(frame["version_id"]), set(frame["stamp"])) == (200, {version_id}, {4})
    frame = polars.read_database_uri(query, url, engine="adbc")
    assert frame.height == ROWS["attempts"] and frame["stamp"].unique().to_list() == [4]
    assert current_version(both).version_id == version_id
