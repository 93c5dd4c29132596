"""What a suite is made of: expectations in words, for Great Expectations, and the frames they look at.

A frame is what DuckDB makes of a table for an expectation to look at: rows that are alike in every column that
is looked at become one, with how many they are, and of numbers and times the least and the most of each group
stand for all. So a million rows become a few hundred without any of them being left out. What is right and
what is wrong is known to the expectations alone.

Nothing here starts Great Expectations: a suite that has nothing new to look at must cost nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

#: How many of a table's rows a row of a frame stands for.
ROWS_COLUMN = "_rows"
#: Says which rows of a frame are of one group, where a group has two.
GROUP_COLUMN = "_group"
#: What a frame's query reads: the rows of the table that are to be looked at.
SOURCE = "rows_looked_at"
#: Above every number that is one: infinity is not.
LARGEST = 1.7e308

_GROUPED, _COLUMNS, _REPEATED, _WRITTEN = "grouped", "columns", "repeated", "written"


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One expectation.

    Attributes
    ----------
    kind : str
        Its class in Great Expectations.
    column : str
        The column of the table that it speaks of; several, joined by commas.
    must : str
        What the column must, in words.
    arguments : mapping
        Keyword arguments of the class.
    keys, measures : mapping
        Columns of the grouped frame that it looks at, with their SQL: what rows are grouped by, and what is worked out
        per group.
    needs : tuple of str
        Columns of the table that the SQL reads.
    frame : str
        Which of the suite's frames it looks at.
    """

    kind: str
    column: str
    must: str
    arguments: Mapping[str, Any]
    keys: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    frame: str = _GROUPED


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A query over `rows_looked_at`, and the expectations of its result.

    Attributes
    ----------
    query : str
        SQL.
    expectations : tuple of Expectation
        What is expected of its result.
    is_table_level : bool
        Whether an empty frame says something too.
    """

    query: str
    expectations: tuple[Expectation, ...]
    is_table_level: bool = False


@dataclass(frozen=True, kw_only=True)
class Suite:
    """All that is expected of one table.

    Attributes
    ----------
    place, table : str
        The table.
    expectations : tuple of Expectation
        What is expected.
    per : tuple of str
        SQL by which rows are grouped besides, so that what is wrong can be pinned to few rows.
    mend : str
        What to do when one is not met, as a sentence without its full stop.
    """

    place: str
    table: str
    expectations: tuple[Expectation, ...]
    per: tuple[str, ...] = ()
    mend: str = ""

    @property
    def name(self) -> str:
        """``<place>.<table>``."""
        return f"{self.place}.{self.table}"

    @cached_property
    def digest(self) -> str:
        """Another one means that what was looked at before must be looked at again."""
        content = [[e.kind, e.column, e.must, dict(e.arguments)] for e in self.expectations]
        queries = [frame.query for frame in self.frames]
        return hashlib.sha256(json.dumps([content, queries], default=str).encode()).hexdigest()[:16]

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """The frames its expectations look at."""
        of = {name: tuple(e for e in self.expectations if e.frame == name) for name in (_GROUPED, _COLUMNS, _WRITTEN)}
        frames = []
        if of[_COLUMNS]:
            frames.append(Frame(query=f"from {SOURCE} limit 0", expectations=of[_COLUMNS], is_table_level=True))
        if of[_GROUPED]:
            frames.append(Frame(query=self._grouped(of[_GROUPED]), expectations=of[_GROUPED]))
        for expectation in self.expectations:
            if expectation.frame == _REPEATED:
                key = ", ".join(_quoted(column) for column in expectation.needs)
                query = f"select count(*) as {ROWS_COLUMN} from {SOURCE} group by {key} having count(*) > 1"
                frames.append(Frame(query=query, expectations=(expectation,)))
        if of[_WRITTEN]:
            frames.append(Frame(query=_with_at(of[_WRITTEN]), expectations=of[_WRITTEN]))
        return tuple(frames)

    def _grouped(self, expectations: Sequence[Expectation]) -> str:
        keys = {f"_per_{position}": sql for position, sql in enumerate(self.per)}
        measures: dict[str, str] = {}
        for expectation in expectations:
            keys |= expectation.keys
            measures |= expectation.measures
        grouped = "".join(f"{sql} as {_quoted(name)}, " for name, sql in keys.items())
        grouped += "".join(f"[min({sql}), max({sql})] as {_quoted(name)}, " for name, sql in measures.items())
        by = f" group by {', '.join(str(n + 1) for n in range(len(keys)))}" if keys else ""
        # Two rows per group: the least of everything, and the most.
        ends = ", ".join(f"unnest({name}) as {name}" for name in map(_quoted, measures))
        replaced = f" replace ({ends}), row_number() over () as {GROUP_COLUMN}" if measures else ""
        return f"select *{replaced} from (select {grouped}count(*) as {ROWS_COLUMN} from {SOURCE}{by})"


def has_columns(columns: Sequence[str], *, exactly: bool) -> Expectation:
    """The table has these columns, and no others if `exactly`."""
    return Expectation(
        kind="ExpectTableColumnsToMatchSet",
        column="the table's columns",
        must=f"be {'exactly ' if exactly else ''}those that are described",
        arguments={"column_set": list(columns), "exact_match": exactly},
        frame=_COLUMNS,
    )


def given(*columns: str, when: str = "", must: str = "be given", needs: Sequence[str] = ()) -> list[Expectation]:
    """The columns are not null, where the SQL `when` over the columns `needs` holds."""
    is_excused = f" or not coalesce({when}, false)" if when else ""
    return [
        Expectation(
            kind="ExpectColumnValuesToNotBeNull",
            column=column,
            must=must,
            arguments={"column": f"{column}__given"},
            keys={f"{column}__given": f"case when {_quoted(column)} is not null{is_excused} then 1 end"},
            needs=(column, *needs),
        )
        for column in columns
    ]


def one_of(column: str, values: Sequence[Any], *, must: str = "", reads: str = "") -> Expectation:
    """Whatever is given is one of the values; `reads` is SQL for something made of the column."""
    name = f"{column}__shape" if reads else column
    return Expectation(
        kind="ExpectColumnValuesToBeInSet",
        column=column,
        must=must or f"be one of {', '.join(map(str, values))}",
        arguments={"column": name, "value_set": list(values)},
        keys={name: reads or _quoted(column)},
        needs=(column,),
    )


def all_given(*columns: str) -> Expectation:
    """None of the columns is ever null: one expectation for all of them."""
    return holds(columns, " and ".join(f"{_quoted(column)} is not null" for column in columns), must="all be given")


def holds(columns: Sequence[str], condition: str, *, must: str) -> Expectation:
    """An SQL condition over columns of one row holds, or cannot be told."""
    name = f"{'__'.join(columns)}__{hashlib.sha256(condition.encode()).hexdigest()[:6]}"
    return Expectation(
        kind="ExpectColumnValuesToBeInSet",
        column=", ".join(columns),
        must=must,
        arguments={"column": name, "value_set": [True]},
        keys={name: condition},
        needs=tuple(columns),
    )


def between(
    column: str, low: Any = -LARGEST, high: Any = LARGEST, *, must: str = "", reads: str = "", needs: Sequence[str] = ()
) -> Expectation:
    """Whatever is given lies between two values, both included; neither infinity nor NaN ever does.

    `reads` is SQL for something else than the column's number, and `needs` are the columns it is made of.
    """
    words = {(-LARGEST, LARGEST): "be a number", (0, LARGEST): "be 0 or more", (1, LARGEST): "be 1 or more"}
    name = f"{'__'.join(needs) or column}__number"
    return Expectation(
        kind="ExpectColumnValuesToBeBetween",
        column=column,
        must=must or words.get((low, high), f"lie between {low} and {high}"),
        arguments={"column": name, "min_value": low, "max_value": high},
        measures={name: reads or f"cast({_quoted(column)} as double)"},
        needs=tuple(needs) or (column,),
    )


def within(column: str, low: str, high: str) -> list[Expectation]:
    """A value lies in its interval, and the interval is none the wrong way round."""
    pairs = [(low, column), (column, high), (low, high)]
    return [holds(pair, " <= ".join(map(_quoted, pair)), must="be in this order") for pair in pairs]


def in_order(earlier: str, later: str) -> Expectation:
    """A time is not before another."""
    return holds([earlier, later], f"{_quoted(earlier)} <= {_quoted(later)}", must="be in this order")


def money(amount: str, currency: str) -> list[Expectation]:
    """An amount is a number and has its currency."""
    has_amount = f"{_quoted(amount)} is not null"
    return [between(amount), *given(currency, when=has_amount, must=f"be given with {amount}", needs=[amount])]


def unique(columns: Sequence[str]) -> Expectation:
    """No two rows are the same in these columns."""
    return Expectation(
        kind="ExpectColumnValuesToBeBetween",
        column=", ".join(columns),
        must="be unique",
        arguments={"column": ROWS_COLUMN, "max_value": 1},
        needs=tuple(columns),
        frame=_REPEATED,
    )


def unlike(columns: Sequence[str], pattern: str, *, must: str) -> list[Expectation]:
    """Texts hold nothing like an e-mail address; the frame is of the rows with an at sign."""
    return [
        Expectation(
            kind="ExpectColumnValuesToNotMatchRegex",
            column=column,
            must=must,
            arguments={"column": column, "regex": pattern},
            needs=(column,),
            frame=_WRITTEN,
        )
        for column in columns
    ]


def _with_at(expectations: Sequence[Expectation]) -> str:
    texts = {e.column: f"cast({_quoted(e.column)} as varchar)" for e in expectations}
    listed = ", ".join(f"{sql} as {_quoted(name)}" for name, sql in texts.items())
    found = " or ".join(f"contains({sql}, '@') or contains({sql}, '%40')" for sql in texts.values())
    return f"select {listed}, 1 as {ROWS_COLUMN} from {SOURCE} where {found}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
