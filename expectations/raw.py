"""What landing promises of every row it writes, per contract.

Each expectation follows from a rule of landing: a row that breaks it would have been quarantined. So nothing
that an export can say fails here; what does is a fault of landing, or of somebody who wrote into the warehouse.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from expectations.suites import Expectation, Suite, all_given, between, given, has_columns, one_of, unique, unlike

if TYPE_CHECKING:
    from dagster_project.landing.contracts import ColumnContract, TableContract

#: Nothing in an export happened, or became known, before this.
EARLIEST = datetime(2000, 1, 1)
#: The session variable that says up to when rows have been looked at under whatever contract they landed.
CONTRACTED_UNTIL = "contracted_until"

#: What landing takes out of every text that it leaves readable.
_EMAIL = r"[A-Za-z0-9._+'-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_HASH, _ANY_HASH = "[0-9a-f]{32}$", "<hash>"


def raw_suite(contract: TableContract) -> Suite:
    """Make the suite of a raw table.

    Parameters
    ----------
    contract : TableContract
        Its landing contract.

    Returns
    -------
    Suite
        For the rows that are new; a column that the contract has come to require is not asked of rows that landed
        before it did.
    """
    name = f"raw.{contract.name}"
    expectations: list[Expectation] = [
        # Columns that a contract no longer names stay.
        has_columns(list(contract.raw_columns), exactly=False),
        all_given("_file_id", "_row_number", "_row_key", "_loaded_at", "available_at"),
        between("_row_number", 1),
        _hours("available_at", f"timestamp '{EARLIEST}'", must="be in the year 2000 or later"),
        _hours("_occurred_at", f"timestamp '{EARLIEST}'", must="be in the year 2000 or later"),
        _hours("available_at", "_occurred_at", -24, must="be no more than a day before the event"),
        _hours("_loaded_at", "available_at", -48, must="be no more than two days before available_at"),
        unique(["_file_id", "_row_number"]),
    ]
    if contract.duplicates == "drop":
        expectations.append(unique(["_row_key"]))
    for column in contract.columns:
        expectations += _column(column)
    texts = [c.name for c in contract.columns if _is_readable(c) and c.name not in contract.key]
    expectations += unlike(texts, _EMAIL, must="hold no e-mail address")
    return Suite(
        place="raw",
        table=contract.name,
        expectations=tuple(expectations),
        per=("_file_id",),
        mend=f"landing lets no such row in, so find what wrote it, delete the rows of its files from {name} and their "
        "lines from ops.landed_files, and run again: they land anew",
    )


def _column(column: ColumnContract) -> list[Expectation]:
    if column.raw_type is None:
        return []
    found: list[Expectation] = []
    # Of several identifiers in one field the first may be blank.
    if column.required and not column.first_of:
        is_new = f"_loaded_at > getvariable('{CONTRACTED_UNTIL}')"
        found += given(column.name, when=is_new, must="be given: the contract requires it")
    shape = f"regexp_replace({column.name}, '{_HASH}', '{_ANY_HASH}')"
    if column.identifier:
        kind = ":".join(part for part in (column.identifier, column.namespace) if part)
        shapes = [f"{kind}:{_ANY_HASH}", f"junk_{kind}:{_ANY_HASH}"]
        found.append(one_of(column.name, shapes, must=f"be a token of {kind}", reads=shape))
    elif column.text:
        found.append(one_of(column.name, [_ANY_HASH], must="be the id of a text, never the text", reads=shape))
    elif column.data_type == "double":
        found.append(between(column.name))
    return found


def _hours(later: str, earlier: str, least: int = 0, *, must: str) -> Expectation:
    """How many hours a time is after another: at least so many."""
    columns = [column for column in (later, earlier) if not column.startswith("timestamp")]
    return between(later, least, must=must, reads=f"(epoch_us({later}) - epoch_us({earlier})) / 3.6e9", needs=columns)


def _is_readable(column: ColumnContract) -> bool:
    is_text = column.raw_type in ("varchar", "json")
    return is_text and not (column.identifier or column.text)
