"""Each pack lands the vendors' documented samples whole, and loses no broken row."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dagster_project.landing.contracts import load_contracts
from dagster_project.warehouse import open_warehouse
from tests.packs.conftest import FIXTURES, PACKS, Landed

# By hand: what the samples and the broken files of each pack hold. `faults` says what is wrong with each quarantined
# row, in the order of the rows: a column, or the row itself.
EXPECTED = {
    table: expected
    for path in sorted((Path(__file__).parent / "expected").glob("*.yml"))
    for table, expected in yaml.safe_load(path.read_text(encoding="utf-8")).items()
}
BROKEN = sorted(table for table, expected in EXPECTED.items() if "broken" in expected)
TABLES = [contract for contract in load_contracts() if contract.source in PACKS]


@pytest.mark.parametrize("table", [contract.name for contract in TABLES])
def test_documented_samples_land_without_quarantine(samples: Landed, table: str) -> None:
    files = samples.reports[table].files
    assert files and {file.status for file in files} == {"landed"}
    assert sum(file.quarantined for file in files) == 0
    assert sum(file.duplicates for file in files) == EXPECTED.get(table, {}).get("duplicates_in_samples", 0)
    assert sum(file.accepted for file in files) > 0


def test_documented_samples_hold_nothing_the_contracts_do_not_name(samples: Landed) -> None:
    drift = {table: report.drift for table, report in samples.reports.items() if report.drift}
    assert drift == {t: e["drift_of_samples"] for t, e in EXPECTED.items() if "drift_of_samples" in e}


@pytest.mark.parametrize("table", BROKEN)
def test_broken_rows_are_kept_apart_and_counted(broken: Landed, table: str) -> None:
    (file,) = broken.reports[table].files
    counts = {"rows_in": file.rows_in, "accepted": file.accepted, "quarantined": file.quarantined}
    assert counts | {"duplicates": file.duplicates} == EXPECTED[table]["broken"]


def test_each_pack_has_a_broken_file() -> None:
    assert {path.relative_to(FIXTURES).parts[0] for path in FIXTURES.rglob("broken*")} == set(PACKS)


def test_every_reason_says_what_is_wrong_with_the_row(broken: Landed) -> None:
    with open_warehouse(broken.settings, read_only=True) as connection:
        rows = connection.execute("""
            select source || '__' || table_name, reason from ops.quarantine order by source, table_name, row_number
        """).fetchall()
    faults: dict[str, list[str]] = {}
    for table, reason in rows:
        assert len(reason.split()) > 3
        faults.setdefault(table, []).append(reason.split(":")[0])
    assert faults == {table: EXPECTED[table]["faults"] for table in BROKEN}
