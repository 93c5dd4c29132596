"""What is expected of landed rows: kept by a good row, and each broken once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from dagster_project.landing.contracts import ColumnContract, TableContract, load_contracts
from dagster_project.landing.landing import land_table
from dagster_project.landing.ledger import OPS_TABLES
from dagster_project.settings import Settings
from dagster_project.warehouse import open_warehouse
from expectations import validation
from expectations.raw import raw_suite
from expectations.suites import Suite
from expectations.validation import Verdict, remember, validate_landed

HASH = "0123456789abcdef0123456789abcdef"
CONTRACT = TableContract(
    source="shop",
    table="orders",
    columns=(
        ColumnContract(name="order_id", path="id", data_type="varchar", required=True),
        ColumnContract(name="email", path="email", data_type="varchar", identifier="email"),
        ColumnContract(name="user_id", path="user", data_type="varchar", identifier="user_id", namespace="app"),
        ColumnContract(name="note", path="note", data_type="varchar", text=True),
        ColumnContract(name="address", path="address", data_type="varchar", personal=True),
        ColumnContract(name="remark", path="remark", data_type="varchar"),
        ColumnContract(name="details", path="details", data_type="json"),
        ColumnContract(name="amount", path="amount", data_type="double"),
        ColumnContract(name="ordered_at", path="at", data_type="timestamp", required=True),
    ),
    key=("order_id",),
    occurred="ordered_at",
    available=(("delay_hours", 1),),
)
SUITE = raw_suite(CONTRACT)
GOOD = f"""
    'A1' as order_id, 'email:{HASH}' as email, 'junk_user_id:app:{HASH}' as user_id, '{HASH}' as note,
    'two @ home' as remark, '{{"a": 1}}'::json as details, 9.5 as amount,
    timestamp '2026-01-05 10:00' as ordered_at, 'f1' as _file_id, 1 as _row_number, uuid() as _row_key,
    timestamp '2026-01-06' as _loaded_at, timestamp '2026-01-05 10:00' as _occurred_at,
    timestamp '2026-01-05 11:00' as available_at
"""
# What is wrong with one row, and what is found: the column and a word of what it must.
BROKEN = {
    "_file_id = null": ("_file_id", "all be given"),
    "_row_number = null": ("_row_number", "all be given"),
    "_row_key = null": ("_row_key", "all be given"),
    "_loaded_at = null": ("_loaded_at", "all be given"),
    "available_at = null": ("available_at", "all be given"),
    "_row_number = 0": ("_row_number", "1 or more"),
    "available_at = timestamp '1999-12-31 23:59', _occurred_at = null": ("available_at", "year 2000"),
    "_occurred_at = timestamp '1999-12-31 23:59'": ("_occurred_at", "year 2000"),
    "_occurred_at = timestamp '2026-01-06 11:00:00.000001'": ("available_at", "a day before the event"),
    "available_at = timestamp '2026-01-08 00:00:00.000001'": ("_loaded_at", "two days before"),
    "_file_id = 'f2', _row_number = 2": ("_file_id, _row_number", "unique"),
    "_row_key = (select min(_row_key) from raw.shop__orders where _file_id = 'f1')": ("_row_key", "unique"),
    "order_id = null": ("order_id", "the contract requires it"),
    "ordered_at = null": ("ordered_at", "the contract requires it"),
    "email = 'ann@corp.example'": ("email", "token of email"),
    "email = 'email:0123'": ("email", "token of email"),
    f"email = 'phone:{HASH}'": ("email", "token of email"),
    f"user_id = 'user_id:shop:{HASH}'": ("user_id", "token of user_id:app"),
    f"user_id = 'user_id:app:{HASH.upper()}'": ("user_id", "token of user_id:app"),
    "note = 'Please call me'": ("note", "id of a text"),
    "amount = 'infinity'": ("amount", "be a number"),
    "amount = 'nan'": ("amount", "be a number"),
    "remark = 'from ann@corp.example'": ("remark", "no e-mail"),
    "remark = 'to=ann%40corp.example'": ("remark", "no e-mail"),
    'details = \'{"who": "ann@corp.example"}\'': ("details", "no e-mail"),
}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with four good orders from two files."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; create schema raw; create schema ops")
        connection.execute(f"create table ops.validations ({OPS_TABLES['validations']})")
        columns = ", ".join(f"{name} {kind}" for name, kind in CONTRACT.raw_columns.items())
        connection.execute(f"create table raw.shop__orders ({columns})")
        for file, number in (("f1", 1), ("f1", 2), ("f2", 1), ("f2", 2)):
            add(connection, f"_row_number = {number}", file=file)
        yield connection


def add(connection: duckdb.DuckDBPyConnection, changed: str = "", *, file: str = "f9") -> None:
    """Add a good row as the first of a file, changed."""
    [(key,)] = connection.execute("select uuid()").fetchall()
    row = f"select * replace ('{file}' as _file_id, uuid '{key}' as _row_key) from (select {GOOD})"
    connection.execute(f"insert into raw.shop__orders by name {row}")
    if changed:
        connection.execute(f"update raw.shop__orders set {changed} where _row_key = '{key}'")


def look(connection: duckdb.DuckDBPyConnection, suite: Suite = SUITE) -> Verdict:
    [verdict] = validate_landed(connection, [suite])
    return verdict


def test_good_rows_pass(connection: duckdb.DuckDBPyConnection) -> None:
    verdict = look(connection)
    assert verdict.passed, str(verdict)
    assert verdict.rows == 4
    assert str(verdict) == f"All {len(SUITE.expectations)} expectations are met by 4 rows."


@pytest.mark.parametrize("changed", BROKEN)
def test_a_bad_row_is_found_and_not_quoted(connection: duckdb.DuckDBPyConnection, changed: str) -> None:
    add(connection, changed)
    column, must = BROKEN[changed]
    [only] = [e for e in SUITE.expectations if column in e.column and must in e.must]
    verdict = look(connection, replace(SUITE, expectations=(only,)))
    [finding] = verdict.findings
    assert finding.is_evaluated
    assert finding.rows == (2 if "unique" in must else 1)
    told = str(verdict)
    assert told.startswith("raw.shop__orders is not as expected: ") and "they land anew" in told
    assert not any(value in told for value in ("ann@", "corp", "Please", "0123", HASH.upper(), "1999", "home"))


def test_every_expectation_is_broken_by_some_row_here() -> None:
    expected = {(e.column, e.must) for e in SUITE.expectations if e.column != "the table's columns"}
    found = {
        (e.column, e.must) for e in SUITE.expectations for c, m in BROKEN.values() if c in e.column and m in e.must
    }
    assert expected == found


def test_a_column_that_is_gone_is_named(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("alter table raw.shop__orders drop column remark")
    assert "(missing: remark)" in str(look(connection))


def test_a_column_that_the_contract_no_longer_names_may_stay(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("alter table raw.shop__orders add column old integer")
    assert look(connection).passed


def test_what_was_looked_at_costs_nothing(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(connection, [look(connection)])
    with monkeypatch.context() as patched:
        patched.setattr(validation, "_great_expectations", lambda: pytest.fail("nothing is new"))
        assert look(connection).is_unchanged
    add(connection, "_loaded_at = timestamp '2026-01-07'")
    verdict = look(connection)
    assert (verdict.rows, verdict.passed) == (1, True), "only the new row"


def test_a_row_without_its_landing_time_is_seen_though_nothing_is_newer(connection: duckdb.DuckDBPyConnection) -> None:
    remember(connection, [look(connection)])
    add(connection, "_loaded_at = null")
    assert not look(connection).passed


def test_what_failed_is_looked_at_again_until_it_is_mended(connection: duckdb.DuckDBPyConnection) -> None:
    add(connection, "email = 'x'")
    for _ in range(2):
        verdict = look(connection)
        remember(connection, [verdict])
        assert not verdict.passed
    connection.execute("delete from raw.shop__orders where _file_id = 'f9'")
    assert look(connection).passed


def test_a_changed_contract_has_all_rows_looked_at_but_asks_no_new_column_of_old_rows(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    remember(connection, [look(connection)])
    connection.execute("update raw.shop__orders set remark = null")
    columns = tuple(replace(c, required=True) if c.name == "remark" else c for c in CONTRACT.columns)
    stricter = raw_suite(replace(CONTRACT, columns=columns))
    [verdict] = validate_landed(connection, [stricter])
    assert (verdict.rows, verdict.passed) == (4, True), str(verdict)
    add(connection, "_loaded_at = timestamp '2026-01-07', remark = null")
    [verdict] = validate_landed(connection, [stricter])
    assert [finding.column for finding in verdict.findings] == ["remark"]


@pytest.mark.parametrize("contract", load_contracts(), ids=lambda contract: contract.name)
def test_the_frames_of_every_contract_can_be_read(contract: TableContract) -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        columns = ", ".join(f'"{name}" {kind}' for name, kind in contract.raw_columns.items())
        connection.execute(f"create table raw.{contract.name} ({columns})")
        connection.execute("set variable contracted_until = timestamp '1900-01-01'")
        for frame in raw_suite(contract).frames:
            connection.execute(f"with rows_looked_at as (from raw.{contract.name}) {frame.query}").fetchall()


def test_rows_that_became_known_before_2000_are_quarantined_and_never_land(data: Settings) -> None:
    contract = next(contract for contract in load_contracts() if contract.name == "hubspot__companies")
    folder: Path = data.inbox / "hubspot" / "companies"
    folder.mkdir(parents=True)
    text = (Path(__file__).parents[1] / "packs/fixtures/hubspot/companies/2026-02-01.csv").read_text()
    (folder / "1996-02-01.csv").write_text(text)
    report = land_table(data, contract)
    assert report.count("accepted") == 0 and report.count("quarantined") == report.count("rows_in") > 0
    with open_warehouse(data, read_only=True) as connection:
        reasons = connection.execute("select distinct reason from ops.quarantine").fetchall()
    assert any("before the year 2000" in reason or "more than a day after" in reason for (reason,) in reasons)
