"""Daily files, a column at a time: in JSON lines every value is an Arrow array of JSON text, null means "leave out"."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MS_PER_DAY = 86_400_000
Json: TypeAlias = pa.Array | str | None


def stream(seed: int, name: str, block: int = 0) -> np.random.Generator:
    """Give each part of the company its own random numbers, so that a change in one leaves the others as they were."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode()), block])))


def spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expand counts into rows.

    Returns
    -------
    owner : numpy.ndarray
        Which count each row belongs to.
    place : numpy.ndarray
        The row's place (from 0) within its owner.
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return owner, np.arange(len(owner)) - first


def pick(values: Sequence[str | None] | pa.Array, index: np.ndarray) -> pa.Array:
    """Take texts by index; a negative index gives null."""
    index = np.asarray(index)
    taken = pa.array(np.maximum(index, 0), mask=index < 0)
    return (values if isinstance(values, pa.Array) else pa.array(values, pa.string())).take(taken)


def glue(*parts: pa.Array | str) -> pa.Array:
    """Concatenate texts row by row; null if any is null."""
    return pc.binary_join_element_wise(*parts, "")


def listed(*parts: pa.Array | str, separator: str) -> pa.Array:
    """Join texts row by row with a separator, leaving out nulls; a row of nulls gives an empty text."""
    if any(isinstance(part, str) or not part.null_count for part in parts):
        return pc.binary_join_element_wise(*parts, separator, null_handling="skip")
    # Arrow loses rows in which all parts are null: begin each with an empty text, then cut the separator after it.
    return pc.utf8_slice_codeunits(
        pc.binary_join_element_wise("", *parts, separator, null_handling="skip"), len(separator)
    )


def where(mask: np.ndarray, yes: pa.Array | str | None, no: pa.Array | str | None = None) -> pa.Array:
    """Choose texts row by row."""
    yes, no = (pa.scalar(side, pa.string()) if not isinstance(side, pa.Array) else side for side in (yes, no))
    return pc.if_else(pa.array(mask), yes, no)


def plain(numbers: np.ndarray) -> pa.Array:
    """Numbers as text: JSON numbers, or pieces of an id."""
    return pa.array(numbers).cast(pa.string())


def text(values: pa.Array) -> pa.Array:
    """Quote texts as JSON strings."""
    for raw, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        values = pc.replace_substring(values, raw, escaped)
    return glue('"', values, '"')


def boolean(flags: np.ndarray) -> pa.Array:
    """Flags as JSON ``true`` and ``false``."""
    return where(np.asarray(flags), "true", "false")


def instant(ms: np.ndarray, *, fraction: bool = True) -> pa.Array:
    """UTC milliseconds as quoted ISO 8601 text ending in Z; a negative instant is null."""
    ms = np.asarray(ms, np.int64)
    unit, values = ("ms", ms) if fraction else ("s", ms // 1000)
    stamps = pa.array(values, pa.timestamp(unit), mask=ms < 0)
    # Three times as fast as strftime, which most of the demo's time went to.
    return glue('"', pc.binary_replace_slice(stamps.cast(pa.string()), 10, 11, "T"), 'Z"')


def clock(ms: np.ndarray, *, to: str = "minutes") -> pa.Array:
    """UTC milliseconds as the time on a wall, ``2026-01-31 14:05``, to the minutes or seconds; null if negative."""
    ms = np.asarray(ms, np.int64)
    shown = pa.array(ms // 1000, pa.timestamp("s"), mask=ms < 0).cast(pa.string())
    return pc.utf8_slice_codeunits(shown, 0, {"minutes": 16, "seconds": 19}[to])


def epoch(ms: np.ndarray) -> pa.Array:
    """UTC milliseconds as whole epoch seconds; a negative instant is JSON null."""
    ms = np.asarray(ms, np.int64)
    return where(ms >= 0, plain(ms // 1000), "null")


def record(fields: Mapping[str, Json]) -> pa.Array:
    """Assemble JSON objects from their fields; a null value leaves its field out."""
    pieces = [
        glue(f'"{name}":', value) if isinstance(value, pa.Array) else f'"{name}":{value}'
        for name, value in fields.items()
        if value is not None
    ]
    inside = listed(*pieces, separator=",")
    return glue("{", inside, "}")


def uuids(rng: np.random.Generator, count: int) -> pa.Array:
    """Random version 4 UUIDs."""
    digits = np.frombuffer(rng.bytes(16 * count).hex().encode(), np.uint8).reshape(count, 32)
    out = np.full((count, 36), ord("-"), np.uint8)
    for start, stop, at in ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24)):
        out[:, at : at + stop - start] = digits[:, start:stop]
    out[:, 14] = ord("4")
    out[:, 19] = np.frombuffer(b"89ab", np.uint8)[out[:, 19] % 4]
    return fixed_width(out)


def ids(rng: np.random.Generator, prefix: str, count: int, *, length: int = 24) -> pa.Array:
    """Random ids such as ``cus_NffrFeUfNV2Hib``."""
    alphabet = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
    return glue(prefix, fixed_width(alphabet[rng.integers(0, len(alphabet), (count, length))]))


def fixed_width(characters: np.ndarray) -> pa.Array:
    """A matrix of ASCII codes as texts."""
    count, width = characters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters)))


def csv_lines(fields: Mapping[str, pa.Array | str]) -> pa.Array:
    """Assemble CSV lines from columns of plain text: quoted where they must be, empty where null."""
    columns = []
    for value in fields.values():
        if not isinstance(value, pa.Array):
            columns.append(value)
            continue
        must = pc.match_substring_regex(value, '[",\r\n]')
        quoted = glue('"', pc.replace_substring(value, '"', '""'), '"')
        columns.append(pc.fill_null(pc.if_else(must, quoted, value), ""))
    return pc.binary_join_element_wise(*columns, ",")


@dataclass(frozen=True, kw_only=True)
class Exports:
    """Where the exports of a block of people go.

    Attributes
    ----------
    folder : Path
        Folder of all exports.
    start : date
        The day with number 0.
    block : int
        Number of the block; those after the first write files of their own, ``2026-01-31_1.jsonl``.
    """

    folder: Path
    start: date
    block: int

    def open(self, source: str, table: str, *, header: Sequence[str] | None = None) -> DailyFiles:
        """Open the daily files of a table: CSV with this header, or JSON lines."""
        return DailyFiles(self, folder=self.folder / source / table, header=header)


class DailyFiles:
    """Write the lines of one table into ``<source>/<table>/YYYY-MM-DD.jsonl`` (or ``.csv``), days in order.

    Parameters
    ----------
    exports : Exports
        What the files are part of.
    folder : Path
        Where they are.
    header : sequence of str, optional
        Names of the columns of CSV files.
    """

    def __init__(self, exports: Exports, *, folder: Path, header: Sequence[str] | None) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start = exports.start
        self.suffix = (f"_{exports.block}" if exports.block else "") + (".csv" if header else ".jsonl")
        self.header = (",".join(header) + "\n").encode() if header else b""
        self.rows = 0
        self._day = -1
        self._file: BinaryIO | None = None

    def write(self, *, day: np.ndarray, lines: pa.Array) -> None:
        """Append lines whose day numbers do not decrease, within a call and from call to call."""
        if not len(lines):
            return
        ended = pc.binary_join_element_wise(lines, "", "\n")
        offsets = np.frombuffer(ended.buffers()[1], np.int32)[ended.offset : ended.offset + len(ended) + 1]
        data = memoryview(ended.buffers()[2])
        starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
        for first, last in zip(starts, [*starts[1:], len(day)], strict=True):
            self._open(int(day[first])).write(data[offsets[first] : offsets[last]])
        self.rows += len(lines)

    def _open(self, day: int) -> BinaryIO:
        if day != self._day or self._file is None:
            self.close()
            self._file = (self.folder / f"{self.start + timedelta(days=day)}{self.suffix}").open("wb")
            self._file.write(self.header)
            self._day = day
        return self._file

    def close(self) -> None:
        """Close the file of the last day."""
        if self._file is not None:
            self._file.close()
            self._file = None


REPEATED_SHARE = 0.01


def write_rows(
    lines: pa.Array, *, at: np.ndarray, start: int, end: int, rng: np.random.Generator, files: DailyFiles
) -> np.ndarray:
    """Write lines in order of the instants at which they became known, a few of them twice, and close the files.

    Parameters
    ----------
    lines : pyarrow.Array
        One per row.
    at : numpy.ndarray
        UTC milliseconds; what became known before ``start``, or from ``end`` on, is left out.

    Returns
    -------
    numpy.ndarray
        Which rows were written.
    """
    known = np.flatnonzero((at >= start) & (at < end))
    known = known[np.argsort(at[known], kind="stable")]
    rows = np.repeat(known, 1 + (rng.random(len(known)) < REPEATED_SHARE))
    files.write(day=(at[rows] - start) // MS_PER_DAY, lines=lines.take(pa.array(rows)))
    files.close()
    return known
