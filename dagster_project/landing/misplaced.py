"""Tell whose export a file is that was put under another table.

A file fits a contract when it has all required columns and the contract names or ignores more than three quarters of
its fields. One that does not fit its own belongs to another contract when it has all of that one's required columns,
and that one names or ignores at least half of its fields and a quarter of them more than its own does; where the file
lacks what its own requires, naming or ignoring all of them is enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from dagster_project.landing import ledger, readers
from dagster_project.landing.contracts import TableContract
from dagster_project.landing.readers import ChangedFile, Records, Snapshot, UnreadableFile
from dagster_project.settings import Settings

#: Share of a file's fields that a contract must explain, and by how much more than the table's own.
LEAST_SHARE, LEAST_LEAD = 0.5, 0.25
#: Records that are looked at to learn a file's fields; of a good file it is the first one alone.
SAMPLE_RECORDS = 20
SAMPLE_BYTES = 1 << 20
#: Objects below this depth count as one field.
MAX_DEPTH = 8


@dataclass(frozen=True)
class Fields:
    """Fields of a file.

    Attributes
    ----------
    names : set of str
        Header fields, or dot paths of the values in JSON records.
    filled : set of str
        Those that hold a value somewhere, and the objects they stand in.
    """

    names: set[str] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)

    @classmethod
    def of_header(cls, header: bytes) -> Fields:
        """Return the fields of a CSV file."""
        names = set(readers.header_fields(header))
        return cls(names, names)

    @classmethod
    def of_records(cls, records: Iterable[Mapping[str, Any]]) -> Fields:
        """Return the fields that some JSON records have between them."""
        found = cls()
        for record in records:
            found._add(record, "", 1)
        return found

    def _add(self, node: Mapping[str, Any], above: str, depth: int) -> None:
        for key, value in node.items():
            path = above + key
            if _is_present(value):
                self.filled.add(path)
            if isinstance(value, dict) and value and depth < MAX_DEPTH:
                self._add(value, f"{path}.", depth + 1)
            else:
                self.names.add(path)

    def known_to(self, contract: TableContract) -> int:
        """Count the fields that a contract names or ignores, itself or what they stand in."""
        paths = {c.path for c in contract.columns} | set(contract.ignore)
        objects = {above for path in paths for above in _above(path)}
        return sum(1 for n in self.names if n in paths or n in objects or any(a in paths for a in _above(n)))

    def has_required(self, contract: TableContract) -> bool:
        """Whether each required column of a contract has a value somewhere."""
        return all(c.path in self.filled for c in contract.columns if c.required)

    def fit(self, contract: TableContract) -> bool:
        """Whether they can be those of an export that a contract describes."""
        return self.has_required(contract) and self.known_to(contract) > (1 - LEAST_LEAD) * len(self.names)


@dataclass(frozen=True, kw_only=True)
class Guess:
    """The contract that a file fits best."""

    contract: TableContract
    known: int
    total: int

    @property
    def place(self) -> str:
        """Folder of the inbox where the file should be."""
        return f"{self.contract.source}/{self.contract.table}/"

    def __str__(self) -> str:
        return f"an export of {self.place[:-1]} ({self.known} of its {self.total} fields are that contract's)"


def guess(fields: Fields, contracts: Iterable[TableContract], *, own: TableContract | None = None) -> Guess | None:
    """Return the contract that clearly explains a file better than its own, None without one.

    Parameters
    ----------
    fields : Fields
        The file's fields.
    contracts : iterable of TableContract
        Whose it could be.
    own : TableContract, optional
        The table under which it was put.
    """
    total = len(fields.names)
    own_known, lacks = (fields.known_to(own), not fields.has_required(own)) if own else (0, True)
    fits = []
    for contract in contracts:
        if contract == own or not total or not fields.has_required(contract):
            continue
        known = fields.known_to(contract)
        is_better = known >= own_known + LEAST_LEAD * total or (lacks and known == total)
        if known >= LEAST_SHARE * total and is_better:
            fits.append(Guess(contract=contract, known=known, total=total))
    return max(fits, key=lambda g: (g.known, sum(c.required for c in g.contract.columns)), default=None)


def check(
    records: Records, *, header: bytes | None, path: str, contract: TableContract, contracts: Sequence[TableContract]
) -> None:
    """Refuse a file that is no export of its table.

    Parameters
    ----------
    records : Records
        Its first records.
    header : bytes or None
        Header record of a CSV file.
    path : str
        Its path in the inbox.
    contract : TableContract
        The table under which it was put.
    contracts : sequence of TableContract
        All tables, of which it could be an export.

    Raises
    ------
    UnreadableFile
        If it is another table's, or not of the kind that its name says.
    """
    if header is None and _any_fits(records.records[:SAMPLE_RECORDS], contract):
        return
    fields, kind = fields_of(records, header=header, named=readers.format_of(path))
    target = "" if kind == readers.format_of(path) else _renamed(path, kind)
    if fields.fit(contract):
        if target:
            raise UnreadableFile(f"it holds {kind} and not what its name says: rename it to {target}")
        return
    found = guess(fields, contracts, own=contract)
    if found is None or (header is None and not target and _any_fits(records.records[SAMPLE_RECORDS:], contract)):
        return
    raise UnreadableFile(
        f"this looks like {found}, not of {contract.source}/{contract.table}: "
        f"move it to {found.place}{target} in the inbox"
    )


def places_of_unknown(settings: Settings, contracts: Sequence[TableContract]) -> list[str]:
    """Say whose export it looks like, of each folder that no contract names and each file in no table's folder."""
    told = []
    for folder in ledger.unknown_sources(settings, contracts):
        files = sorted(f for f in (settings.inbox / folder).rglob("*") if f.name.endswith(readers.SUFFIXES))
        if files and (found := _guess_of_file(files[0], contracts)):
            told.append(f"{folder} looks like {found}: move its files to {found.place} in the inbox.")
    for file in ledger.stray_files(settings, suffixes=readers.SUFFIXES):
        found = _guess_of_file(settings.inbox / file, contracts)
        place = f"it looks like {found}: move it to {found.place}" if found else "move it to <source>/<table>/"
        told.append(f"{file} stands in no table's folder and was skipped; {place} in the inbox.")
    return told


def first_records(path: Path, *, encoding: str | None = None) -> Iterator[tuple[bytes | None, Records]]:
    """Read the beginning of a file as landing would."""
    return readers.read_records(Snapshot.of(path), to_json=_as_json, encoding=encoding, chunk_bytes=SAMPLE_BYTES)


def _guess_of_file(path: Path, contracts: Iterable[TableContract]) -> Guess | None:
    """Return the contract that a file fits best, None without one or if it cannot be read."""
    try:
        first = next(first_records(path), None)
    except (UnreadableFile, ChangedFile, OSError):
        return None
    if first is None:
        return None
    header, records = first
    fields, _ = fields_of(records, header=header, named=readers.format_of(path.name))
    return guess(fields, contracts)


def fields_of(records: Records, *, header: bytes | None, named: str) -> tuple[Fields, str]:
    """Return the fields of a file and what it holds: JSON lines may hide under a CSV file's name, or the reverse."""
    if header is not None:
        found = list(_objects([header]))
        return (Fields.of_records(found), "jsonl") if found else (Fields.of_header(header), "csv")
    sample = records.records[:SAMPLE_RECORDS].to_pylist()
    found = list(_objects(sample))
    if not found and sample and named == "jsonl":
        return Fields.of_header(sample[0]), "csv"
    return Fields.of_records(found), named


def _any_fits(records: pa.Array, contract: TableContract) -> bool:
    """Whether one of some JSON records is as a contract says."""
    return any(Fields.of_records([record]).fit(contract) for record in _objects(r.as_py() for r in records))


def _objects(records: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Parse those records that are JSON objects."""
    for record in records:
        try:
            found = json.loads(record)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _renamed(path: str, kind: str) -> str:
    """Return a file's name with the ending of what it holds."""
    name = path.rsplit("/", 1)[-1]
    packed = ".gz" if name.endswith(".gz") else ""
    return f"{name.removesuffix('.gz').rsplit('.', 1)[0]}.{kind}{packed}"


def _above(path: str) -> Iterator[str]:
    """Paths of the objects in which a field stands."""
    at = path.find(".")
    while at >= 0:
        yield path[:at]
        at = path.find(".", at + 1)


def _is_present(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def _as_json(table: pa.Table) -> pa.Array:
    """Some rows of a Parquet file as JSON records."""
    rows = table.slice(0, SAMPLE_RECORDS).to_pylist()
    return pa.array([json.dumps(row, default=str).encode() for row in rows], pa.binary())
