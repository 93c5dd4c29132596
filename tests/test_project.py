"""Rules about the dbt project as a whole, read off its manifest and files."""

import csv
import json
import re
from typing import Any

import pytest

from dagster_project.settings import DBT_DIR
from dagster_project.transform import prepare_manifest

# Spellings that only DuckDB has; they stand in macros/engine, so that another engine can have its own.
ONLY_DUCKDB = re.compile(
    r"\bexclude \(|\bstarts_with\(|\bignore nulls\b|::|\bqualify\b|\basof\b|\bunnest\(|\bstring_split\(|\bepoch\w*\("
    r"|\bstrptime\(|\bjson_extract\w*\(|\bregexp_\w+\(|\blist_(?!to_rows)\w+\(|\bread_\w+\(|\barg_m\w+\(|\bto_timestamp\("
)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return json.loads(prepare_manifest().read_text())


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]


def test_every_model_and_seed_is_described(models: list[dict[str, Any]]) -> None:
    assert [node["name"] for node in models if not node["description"]] == []


def test_every_published_table_names_its_grain_and_describes_its_columns(
    models: list[dict[str, Any]], manifest: dict[str, Any]
) -> None:
    published = [node for node in models if node["schema"] == "published"]
    assert published
    for node in published:
        assert set(node["config"]["meta"]["grain"]) <= set(node["columns"]), node["name"]
        assert [name for name, column in node["columns"].items() if not column["description"]] == [], node["name"]


def test_every_published_table_has_a_use_and_uses_read_published_tables_alone(
    models: list[dict[str, Any]], manifest: dict[str, Any]
) -> None:
    published = {
        node["unique_id"]
        for node in models
        # Views are steps on the way, which readers never get.
        if node["schema"] == "published" and node["config"]["materialized"] != "view"
    }
    uses = manifest["exposures"].values()
    assert {parent for use in uses for parent in use["depends_on"]["nodes"]} == published
    for use in uses:
        assert use["label"] and use["maturity"] and use["owner"]["name"], use["name"]
        assert "Decides" in use["description"], f"{use['name']}: say what its reader decides with it"


def test_every_source_table_and_column_is_described(manifest: dict[str, Any]) -> None:
    for source in manifest["sources"].values():
        assert source["description"], source["unique_id"]
        assert [name for name, column in source["columns"].items() if not column["description"]] == []


def test_only_staging_reads_raw(models: list[dict[str, Any]], manifest: dict[str, Any]) -> None:
    readers = {
        node["schema"]
        for node in models
        for parent in node.get("depends_on", {}).get("nodes", [])
        if parent in manifest["sources"] and manifest["sources"][parent]["schema"] == "raw"
    }
    assert readers == {"staging"}


def test_data_flows_one_way(models: list[dict[str, Any]], manifest: dict[str, Any]) -> None:
    order = ["raw", "staging", "identity", "timeline", "ops", "journeys", "features", "predictions", "published"]
    everything = manifest["nodes"] | manifest["sources"]
    backwards = [
        (node["name"], everything[parent]["name"])
        for node in models
        for parent in node.get("depends_on", {}).get("nodes", [])
        # What identity leaves for the night's frame, and an erasure for all nights, is read by the timeline.
        if everything[parent]["name"] not in ("affected_components", "erased_events")
        and order.index(everything[parent]["schema"]) > order.index(node["schema"])
    ]
    assert backwards == []


def test_what_only_duckdb_speaks_stands_in_engine_macros() -> None:
    found = [
        f"{path.relative_to(DBT_DIR)}: {match[0]}"
        for folder in ("models", "tests", "macros")
        for path in sorted((DBT_DIR / folder).rglob("*.sql"))
        if "engine" not in path.parts
        for match in ONLY_DUCKDB.finditer(path.read_text())
    ]
    assert found == []


def test_owner_of_an_event_is_sought_in_the_order_of_the_rules() -> None:
    """`person_identifier_columns` and the priorities of `identifier_rules` are one order."""
    macro = (DBT_DIR / "macros" / "ownership.sql").read_text()
    found = re.search(r"macro person_identifier_columns\(\) %}\s*{{ return\((\[.*?\])\) }}", macro, flags=re.DOTALL)
    assert found
    with (DBT_DIR / "seeds" / "identifier_rules.csv").open(newline="") as file:
        rules = [row for row in csv.DictReader(file) if row["is_person_identifier"] == "true"]
    assert json.loads(found[1]) == [
        row["identifier_type"] for row in sorted(rules, key=lambda row: int(row["priority"]))
    ]
