"""The taxonomy knows every event that the packs can stage."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable

from dagster_project.settings import DBT_DIR
from tests.packs.conftest import PACKS

Rows = Callable[[str], list[tuple[object, ...]]]

with (DBT_DIR / "seeds" / "event_taxonomy.csv").open(encoding="utf-8", newline="") as file:
    TAXONOMY = list(csv.DictReader(file))


def test_each_event_of_a_source_stands_there_once() -> None:
    counts = Counter((row["source"], row["event_name"].lower()) for row in TAXONOMY)
    assert [key for key, count in counts.items() if count > 1] == []


def test_kinds_and_stages_are_those_of_the_design() -> None:
    assert {row["kind"] for row in TAXONOMY} <= {"touch", "milestone", "friction", "outcome", "system"}
    stages = {"awareness", "consideration", "purchase", "retention", "advocacy"}
    assert {row["lifecycle_stage"] for row in TAXONOMY if row["kind"] != "system"} <= stages
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", row["event"]) for row in TAXONOMY)


def test_one_canonical_event_has_one_kind() -> None:
    kinds = {(row["event"], row["kind"]) for row in TAXONOMY}
    assert len(kinds) == len({event for event, _ in kinds})


def test_everything_staged_is_classified(rows: Rows) -> None:
    known = {(row["source"], row["event_name"]) for row in TAXONOMY}
    defaults = {row["source"] for row in TAXONOMY if row["event_name"] == "*"}
    staged = {
        (pack, name)
        for pack in PACKS
        if (DBT_DIR / "models" / "staging" / pack / f"stg_{pack}__events.sql").exists()
        for (name,) in rows(f"select distinct event_name from staging.stg_{pack}__events")
    }
    assert {pair for pair in staged - known if pair[0] not in defaults} == set()
