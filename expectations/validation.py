"""Runs suites on bounded frames, and tells what came of it without a value from the data.

Great Expectations is asked for yes or no alone, and what it says of an exception is never passed on: that
quotes cells. A suite whose rows have all been looked at is not run again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from expectations.raw import CONTRACTED_UNTIL
from expectations.suites import GROUP_COLUMN, ROWS_COLUMN, SOURCE, Expectation, Frame, Suite

#: Rows of a frame that are in memory at once.
CHUNK_ROWS = 100_000
#: How often a frame that does not pass is halved to find the rows at fault, per expectation.
MAX_HALVES = 64

_BEGINNING = datetime(1900, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One expectation that is not met.

    Attributes
    ----------
    column : str
        The column.
    must : str
        What it must, in words.
    rows : int
        How many rows at most are at fault.
    is_evaluated : bool
        False if it could not be told, as when a column is missing or of another type.
    """

    column: str
    must: str
    rows: int
    is_evaluated: bool

    def __str__(self) -> str:
        """Return the finding in words that quote nothing."""
        told = f"{self.column} must {self.must}"
        if not self.is_evaluated:
            return f"{told}, which could not be told (a missing column, or another type?)"
        if not self.rows:
            return told
        return f"{told}, and up to {self.rows:,} {'row does' if self.rows == 1 else 'rows do'} not"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known of one table.

    Attributes
    ----------
    suite : Suite
        What was expected of it.
    rows : int
        Rows looked at now; 0 if it is unchanged.
    is_unchanged : bool
        Whether there was nothing new to look at.
    findings : tuple of Finding
        What is not met, in the order of the suite.
    until : datetime or None
        Latest ``_loaded_at`` looked at, of a raw table.
    fingerprint : str or None
        Of the content looked at, of a published table.
    """

    suite: Suite
    rows: int = 0
    is_unchanged: bool = False
    findings: tuple[Finding, ...] = ()
    until: datetime | None = None
    fingerprint: str | None = None

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.findings

    def __str__(self) -> str:
        """Return the verdict in one sentence: what, where, how to mend."""
        if self.findings:
            told = "; ".join(str(finding) for finding in self.findings[:5])
            more = f"; and {len(self.findings) - 5} more" if len(self.findings) > 5 else ""
            return f"{self.suite.name} is not as expected: {told}{more}; {self.suite.mend}"
        count = len(self.suite.expectations)
        if self.is_unchanged:
            return f"Nothing new since its {count} expectations were last met."
        return f"All {count} expectations are met by {self.rows:,} rows."


def validate_landed(connection: duckdb.DuckDBPyConnection, suites: Iterable[Suite]) -> list[Verdict]:
    """Look at the rows of raw tables that have landed since each was last found in order.

    After a change of a suite all rows are looked at again.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse; it is only read.
    suites : iterable of Suite
        Suites of raw tables.
    """
    known = _known(connection, "raw")
    verdicts = []
    for suite in suites:
        before = known.get(suite.table)
        looked_until = before.until if before and before.until else _BEGINNING
        is_same_suite = before is not None and before.suite == suite.digest
        since = looked_until if is_same_suite else _BEGINNING
        latest, unmarked = connection.execute(
            f"select max(_loaded_at), count(*) - count(_loaded_at) from {suite.name}"
        ).fetchall()[0]
        if not unmarked and (latest is None or latest <= since):
            verdicts.append(Verdict(suite=suite, is_unchanged=True, until=latest))
            continue
        connection.execute(f"set variable {CONTRACTED_UNTIL} = ?::timestamp", [looked_until])
        where = f"_loaded_at is null or _loaded_at > timestamp '{since}'"
        rows, findings = _run(connection, suite, where=where)
        verdicts.append(Verdict(suite=suite, rows=rows, findings=findings, until=latest))
    return verdicts


def validate_published(
    connection: duckdb.DuckDBPyConnection, suites: Iterable[Suite], *, fingerprints: Mapping[str, str]
) -> list[Verdict]:
    """Look at the published tables that differ from what was last found in order.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse; it is only read.
    suites : iterable of Suite
        Suites of published tables.
    fingerprints : mapping of str to str
        By table, of its content.
    """
    known = _known(connection, "published")
    verdicts = []
    for suite in suites:
        before, fingerprint = known.get(suite.table), fingerprints.get(suite.table)
        if before and fingerprint and (before.suite, before.fingerprint) == (suite.digest, fingerprint):
            verdicts.append(Verdict(suite=suite, is_unchanged=True, fingerprint=fingerprint))
            continue
        rows, findings = _run(connection, suite, where="true")
        verdicts.append(Verdict(suite=suite, rows=rows, findings=findings, fingerprint=fingerprint))
    return verdicts


def remember(connection: duckdb.DuckDBPyConnection, verdicts: Iterable[Verdict]) -> None:
    """Note in ``ops.validations`` what was looked at and found in order.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse, for writing.
    verdicts : iterable of Verdict
        Those that did not pass are left out, so that their rows are looked at again.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.begin()
    for verdict in verdicts:
        if verdict.passed and not verdict.is_unchanged:
            suite = verdict.suite
            connection.execute(
                "delete from ops.validations where place = ? and table_name = ?", [suite.place, suite.table]
            )
            connection.execute(
                "insert into ops.validations values (?, ?, ?, ?, ?, ?)",
                [suite.place, suite.table, suite.digest, verdict.until, verdict.fingerprint, now],
            )
    connection.commit()


@dataclass(frozen=True, kw_only=True)
class _Known:
    suite: str
    until: datetime | None
    fingerprint: str | None


def _known(connection: duckdb.DuckDBPyConnection, place: str) -> dict[str, _Known]:
    rows = connection.execute(
        "select table_name, suite, validated_until, fingerprint from ops.validations where place = ?", [place]
    ).fetchall()
    return {table: _Known(suite=suite, until=until, fingerprint=print_) for table, suite, until, print_ in rows}


def _run(connection: duckdb.DuckDBPyConnection, suite: Suite, *, where: str) -> tuple[int, tuple[Finding, ...]]:
    """How many rows there are to look at, and what is not as expected of them."""
    source = f"with {SOURCE} as (from {suite.name} where {where})"
    try:
        rows = connection.execute(f"{source} select count(*) from {SOURCE}").fetchall()[0][0]
    except duckdb.Error:
        return 0, (Finding(column="the table", must="be there", rows=0, is_evaluated=False),)
    return rows, tuple(finding for frame in suite.frames for finding in _look(connection, frame, suite, source=source))


def _look(connection: duckdb.DuckDBPyConnection, frame: Frame, suite: Suite, *, source: str) -> Iterator[Finding]:
    """Look at a frame chunk by chunk."""
    at_fault: Counter[int] = Counter()
    unknown: set[int] = set()
    differing: dict[int, str] = {}
    try:
        for chunk in _chunks(connection, f"{source} {frame.query}"):
            if len(chunk) or frame.is_table_level:
                failed, not_told = _ask(chunk, frame.expectations)
                unknown |= not_told
                for nth in failed:
                    if frame.is_table_level:
                        differing[nth] = _differing(chunk, frame.expectations[nth])
                    at_fault[nth] += _rows_at_fault(chunk, frame.expectations[nth])
    except duckdb.Error:
        # What it says may quote a cell. One column that is missing or of another type must not hide the others.
        if len(frame.expectations) > 1:
            for expectation in frame.expectations:
                [alone] = replace(suite, expectations=(expectation,)).frames
                yield from _look(connection, alone, suite, source=source)
            return
        unknown = {0}
    for nth, expectation in enumerate(frame.expectations):
        if nth in unknown or nth in at_fault:
            yield Finding(
                column=expectation.column + differing.get(nth, ""),
                must=expectation.must,
                rows=at_fault[nth],
                is_evaluated=nth not in unknown,
            )


def _chunks(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[Any]:
    """The result of a query as data frames of Arrow's types, in which a null is no NaN; one at least."""
    import pandas as pd

    reader = connection.sql(query).to_arrow_reader(CHUNK_ROWS)
    is_empty = True
    for batch in reader:
        is_empty = False
        yield pa.Table.from_batches([batch]).to_pandas(types_mapper=pd.ArrowDtype)
    if is_empty:
        yield reader.schema.empty_table().to_pandas(types_mapper=pd.ArrowDtype)


def _ask(chunk: Any, expectations: Sequence[Expectation]) -> tuple[set[int], set[int]]:
    """Which expectations a chunk does not meet, and of which it cannot be told; by their places."""
    library, kinds, batches = _great_expectations()
    suite = library.ExpectationSuite(
        name="asked",
        expectations=[
            getattr(kinds, expectation.kind)(**expectation.arguments, meta={"nth": nth})
            for nth, expectation in enumerate(expectations)
        ],
    )
    outcome = batches.get_batch({"dataframe": chunk}).validate(suite, result_format="BOOLEAN_ONLY")
    failed: set[int] = set()
    unknown: set[int] = set()
    for result in outcome.results:
        if not result.success:
            (unknown if _has_raised(result.exception_info) else failed).add(result.expectation_config.meta["nth"])
    return failed, unknown


def _differing(chunk: Any, expectation: Expectation) -> str:
    """Names of columns that are not there, or not described."""
    wanted, there = set(expectation.arguments["column_set"]), set(chunk.columns)
    parts = {
        "missing": wanted - there,
        "not described": there - wanted if expectation.arguments["exact_match"] else set(),
    }
    told = "; ".join(f"{word}: {', '.join(sorted(names))}" for word, names in parts.items() if names)
    return f" ({told})"


def _has_raised(info: Mapping[str, Any] | None) -> bool:
    """Whether an exception kept an expectation from being evaluated; what it said is not looked at."""
    parts = [info, *info.values()] if info else []
    return any(isinstance(part, dict) and bool(part.get("raised_exception")) for part in parts)


def _rows_at_fault(chunk: Any, expectation: Expectation) -> int:
    """How many of the table's rows at most a chunk owes its failure to: it is halved until what fails is small."""
    waiting, asked = [chunk], 0
    counts: dict[Any, int] = {}
    while waiting:
        part = waiting.pop()
        halves = []
        if len(part) > 1 and asked < MAX_HALVES:
            middle = len(part) // 2
            halves = [half for half in (part[:middle], part[middle:]) if _ask(half, [expectation]) != (set(), set())]
            asked += 2
        if halves:
            waiting += halves
        elif ROWS_COLUMN in part:
            groups = part.get(GROUP_COLUMN, part.index)
            counts |= dict(zip(groups, part[ROWS_COLUMN], strict=True))
    return sum(counts.values())


@cache
def _great_expectations() -> tuple[Any, Any, Any]:
    """The library, its expectations, and what makes a batch of a data frame; seconds to start, once a process."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations
    from great_expectations import expectations as kinds
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return great_expectations, kinds, asset.add_batch_definition_whole_dataframe("whole")
