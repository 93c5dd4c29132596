"""Suites on bounded frames: every row is seen, counts are bounds, and nothing of the data is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from dagster_project.settings import PROJECT_ROOT
from expectations import validation
from expectations.suites import Suite, between, given, one_of, unique
from expectations.validation import Verdict, validate_published

ROWS = 20_000


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A table of twenty thousand good rows."""
    with duckdb.connect() as connection:
        connection.execute("create schema published; create schema ops")
        connection.execute(
            "create table ops.validations (place varchar, table_name varchar, suite varchar, "
            "validated_until timestamp, fingerprint varchar, validated_at timestamp)"
        )
        connection.execute(
            f"create table published.things as select i as id, 0.5::double as rate, 'a' as word from range({ROWS}) t(i)"
        )
        yield connection


def suite(*, per: tuple[str, ...]) -> Suite:
    rules = (*given("word"), between("rate", 0, 1), one_of("word", ["a", "b"]), unique(["id"]))
    return Suite(place="published", table="things", expectations=rules, per=per, mend="mend it")


def look(connection: duckdb.DuckDBPyConnection, *, per: tuple[str, ...] = ("id",)) -> Verdict:
    [verdict] = validate_published(connection, [suite(per=per)], fingerprints={})
    return verdict


def test_a_bad_row_in_the_last_chunk_is_seen_and_no_chunk_is_large(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute(f"update published.things set rate = 7 where id = {ROWS - 1}")
    sizes: list[int] = []
    ask = validation._ask

    def asked(chunk: Any, expectations: Any) -> Any:
        sizes.append(len(chunk))
        return ask(chunk, expectations)

    monkeypatch.setattr(validation, "CHUNK_ROWS", 5_000)
    monkeypatch.setattr(validation, "_ask", asked)
    verdict = look(connection)
    assert [str(finding) for finding in verdict.findings] == ["rate must lie between 0 and 1, and up to 1 row does not"]
    assert max(sizes) <= 5_000
    assert sum(size for size in sizes if size > 2_500) >= 2 * ROWS - 5_000, "the least and the most of every row"


@pytest.mark.parametrize(("bad", "per", "least", "most"), [(3, ("id",), 3, 3), (3, ("id % 10",), 3, 6_000)])
def test_how_many_rows_are_told_is_a_bound(
    connection: duckdb.DuckDBPyConnection, bad: int, per: tuple[str, ...], least: int, most: int
) -> None:
    connection.execute(f"update published.things set word = 'zzz' where id < {bad}")
    [finding] = look(connection, per=per).findings
    assert finding.must == "be one of a, b"
    assert least <= finding.rows <= most
    assert "zzz" not in str(finding)


def test_rows_that_are_alike_become_one(connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    ask = validation._ask
    monkeypatch.setattr(validation, "_ask", lambda chunk, kinds: (sizes.append(len(chunk)), ask(chunk, kinds))[1])
    assert look(connection, per=()).passed
    assert sizes == [2], "the least and the most of one group"


def test_repeated_rows_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("insert into published.things from published.things where id < 2")
    [finding] = look(connection).findings
    assert (finding.must, finding.rows) == ("be unique", 4)


def test_an_exception_is_told_as_what_could_not_be_told() -> None:
    frame = pa.table({"number": ["ann@corp.example"], "_rows": [1]}).to_pandas(types_mapper=pd.ArrowDtype)
    rule = between("number", 0, 1)
    kinds = [type(rule)(**{**rule.__dict__, "arguments": {**rule.arguments, "column": "number"}})]
    assert validation._ask(frame, kinds) == (set(), {0})


def test_a_missing_column_is_told_as_what_could_not_be_told(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("alter table published.things drop column rate")
    told = str(look(connection))
    assert "rate must lie between 0 and 1, which could not be told" in told
    assert told.endswith("; mend it")


def test_the_library_is_not_started_before_there_is_something_to_look_at() -> None:
    code = """
import sys
import expectations.validation, expectations.raw, expectations.published
print([name for name in ("great_expectations", "pandas", "dagster") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_sent_and_nothing_is_drawn(
    connection: duckdb.DuckDBPyConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    import os

    look(connection)
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert capfd.readouterr() == ("", "")
