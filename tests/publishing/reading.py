"""Read a published version as a BI tool would: nothing of the publisher's own code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq


def read_current(published: Path) -> dict[str, Any]:
    """Resolve `current` once, read everything in it and check that it is one whole version."""
    folder = (published / "current").resolve(strict=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert folder.name == manifest["version_id"]
    assert {path.name for path in folder.iterdir()} == {
        "throughline.duckdb",
        "manifest.json",
        "dictionary.html",
        "site",
        *(entry["file"] for entry in manifest["tables"].values()),
    }
    page = (folder / manifest["dictionary"]["file"]).read_bytes()
    assert hashlib.sha256(page).hexdigest() == manifest["dictionary"]["sha256"]
    files = {str(path.relative_to(folder)): path for path in (folder / "site").rglob("*") if path.is_file()}
    assert manifest["site"]["page"] in files
    assert {entry["file"]: entry["sha256"] for entry in manifest["site"]["files"]} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }
    database = (folder / "throughline.duckdb").read_bytes()
    assert hashlib.sha256(database).hexdigest() == manifest["database"]["sha256"]
    rows: dict[str, list[tuple[Any, ...]]] = {}
    with duckdb.connect(str(folder / "throughline.duckdb"), read_only=True) as connection:
        found = connection.execute("select table_name from duckdb_tables() order by 1").fetchall()
        assert [name for (name,) in found] == sorted(manifest["tables"])
        for name, entry in manifest["tables"].items():
            versions = connection.execute(f'select distinct version_id from "{name}"').fetchall()
            assert versions == ([(manifest["version_id"],)] if entry["rows"] else [])
            rows[name] = connection.execute(f'select * exclude (version_id) from "{name}"').fetchall()
    for name, entry in manifest["tables"].items():
        path = folder / entry["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        table = pq.read_table(path)
        assert table.column_names == [column["name"] for column in entry["columns"]]
        assert [tuple(row.values()) for row in table.to_pylist()] == rows[name]
        assert len(rows[name]) == entry["rows"]
    if "attempts" in rows and "customers" in rows:
        assert len({row[-1] for name in ("attempts", "customers") for row in rows[name]}) == 1, "two versions at once"
    return {"version_id": manifest["version_id"], "rows": rows, "manifest": manifest}


def listing(published: Path) -> list[str]:
    """Everything under the published folder, hidden entries too, except the lock."""
    found = [path for path in published.rglob("*") if path.name != ".lock" and "current" not in path.parts]
    return sorted(str(path.relative_to(published)) for path in found)
