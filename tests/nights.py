"""Nights one after another, and the comparison of two warehouses by content."""

from __future__ import annotations

import os
import re
import shutil
from datetime import datetime
from pathlib import Path

import duckdb

from dagster_project.cli import main
from dagster_project.night import Night
from tests.children import run_in_child

PLACES = ("raw", "identity", "timeline", "journeys", "features", "published")
# What may differ between two ways to the same content.
PER_RUN = {"_file_id", "_loaded_at", "version_id"}
PER_RUN_TABLES = {"timeline.affected_components", "identity.touched_identifiers"}


def pin_models(of: Path, data: Path) -> None:
    """Give a data folder the models of another, so that both predict alike: when a model learned makes a difference."""
    data.mkdir(parents=True, exist_ok=True)
    if (of / "mlflow.db").is_file():
        shutil.copy2(of / "mlflow.db", data)
        shutil.copytree(of / "models", data / "models")


def whole_night(as_of: datetime = datetime(2999, 12, 31)) -> Night:
    """The frame of a night that builds everything anew."""
    return Night(
        run_id="test",
        as_of=as_of,
        loaded_until=datetime(2999, 12, 31),
        previous_as_of=datetime(1900, 1, 1),
        previous_loaded_at=datetime(1900, 1, 1),
        project_hash="",
        is_full_build=True,
        reason="a test",
    )


def live_through(exports: Path, folder: Path, days: list[str], **environment: str) -> None:
    """Give the exports night by night to a run each, all of them in one child process.

    Parameters
    ----------
    exports : Path
        A whole inbox.
    folder : Path
        Gets ``inbox``, ``data`` and a copy of the warehouse after each night.
    days : list of str
        Last day of each night, as in the files' names.
    """
    done = run_in_child(_live_through, exports, folder, days, env=environment, timeout=24 * 3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _live_through(exports: Path, folder: Path, days: list[str]) -> int:
    os.environ["THROUGHLINE_DATA"] = str(folder / "data")
    os.environ["THROUGHLINE_INBOX"] = str(folder / "inbox")
    files = sorted(path for path in exports.rglob("*") if path.is_file())
    for day in days:
        for path in files:
            found = re.search(r"\d{4}-\d{2}-\d{2}", path.name)
            target = folder / "inbox" / path.relative_to(exports)
            if found and found[0] <= day and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        status = main(["run"])
        if status:
            return status
        shutil.copy2(folder / "data" / "warehouse.duckdb", folder / f"{day}.duckdb")
    return 0


def differences(
    one: Path, other: Path, *, places: tuple[str, ...] = PLACES, besides: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Tables whose rows differ between two warehouses, with a word on how; empty if none does.

    Parameters
    ----------
    one, other : Path
        Warehouse files that no process has open.
    places : tuple of str
        Schemas to compare.
    besides : frozenset of str
        Columns, and tables as ``place.table``, that may differ as well.
    """
    told = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        columns: dict[str, dict[str, list[str]]] = {"one": {}, "other": {}}
        for database, schema, table, column, kind in connection.execute(
            """
            select database_name, schema_name, table_name, column_name, data_type
            from duckdb_columns() inner join duckdb_tables() using (database_name, schema_name, table_name)
            where database_name in ('one', 'other') order by all
            """
        ).fetchall():
            name = f"{schema}.{table}"
            if (
                (schema in places or name == "ops.dropped_rows")
                and name not in PER_RUN_TABLES | besides
                and column not in PER_RUN | besides
            ):
                value = f'round("{column}", 9)' if kind == "DOUBLE" else f'"{column}"'
                columns[database].setdefault(name, []).append(value)
        assert columns["one"].keys() == columns["other"].keys()
        for name, wanted in columns["one"].items():
            assert wanted == columns["other"][name], name
            select = f"select {', '.join(wanted)} from"
            for here, there in (("one", "other"), ("other", "one")):
                only = f"({select} {here}.{name} except all {select} {there}.{name})"
                count, first = connection.execute(f"select count(*), any_value(row) from {only} as row").fetchall()[0]
                if count:
                    told[f"{name}, only in {here}"] = f"{count} rows, such as {first}"
    return told
