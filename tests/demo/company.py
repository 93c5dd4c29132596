"""A small demo company for the tests of what its systems export, and its files as rows."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

from dagster_project.demo.files import MS_PER_DAY, Exports
from dagster_project.demo.life import make_calendar
from dagster_project.demo.people import Period
from dagster_project.demo.world import World, make_world
from tests.packs.conftest import land

FIRST_DAY, DAYS, PEOPLE = date(2026, 4, 2), 90, 400
START = (FIRST_DAY - date(1970, 1, 1)).days * MS_PER_DAY
PERIOD = Period(start=START, end=START + DAYS * MS_PER_DAY)


def small_world(*, seed: int = 7, block: int = 0) -> World:
    """400 people for 90 days."""
    calendar = make_calendar(PERIOD, planted=True)
    return make_world(seed=seed, block=block, count=PEOPLE, period=PERIOD, calendar=calendar)


def exports_to(folder: Path, *, block: int = 0) -> Exports:
    """Exports of the small company."""
    return Exports(folder=folder, start=FIRST_DAY, block=block)


def rows_of(folder: Path, table: str) -> list[tuple[date, dict[str, object]]]:
    """Every row of a ``<source>/<table>`` with the day of its file."""
    rows: list[tuple[date, dict[str, object]]] = []
    for path in sorted((folder / table).iterdir()):
        day = date.fromisoformat(path.stem[:10])
        with path.open(encoding="utf-8", newline="") as file:
            read = csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file)
            rows += [(day, row) for row in read]
    return rows


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file's content by its place."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_lands(inbox: Path, *, data: Path, source: str, rows: dict[str, int]) -> None:
    """Land a source by its contract: every row arrives, none is quarantined, no field is unknown."""
    reports = land(data, inbox=inbox, sources=(source,)).reports.values()
    read = {f"{report.source}/{report.table}": report.count("rows_in") for report in reports}
    assert read == {table: count for table, count in rows.items() if table.startswith(f"{source}/")}
    for report in reports:
        assert (report.table, report.count("quarantined"), report.failed, report.drift) == (report.table, 0, [], [])
        assert report.count("accepted") > 0
