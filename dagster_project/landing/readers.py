"""Read the bytes of an export once and cut them into records, exactly, in bulk.

Nothing here knows what a record means: a reader yields chunks of records as Arrow, with the
records that cannot be read set apart, each with a reason a person understands.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dagster_project.failpoints import failpoint

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
#: Text of one pass. Half of it took a third longer (each pass costs 0.2 s), twice as much was no faster.
CHUNK_BYTES = 96 << 20
#: A longer record is a broken export (an unclosed quote, a lost line end), not an event.
MAX_RECORD_BYTES = 4 << 20
ESCAPED_NUL = rb"\u0000"
MAX_PARQUET_ROWS = 100_000

_SLICE = 1 << 20

Positions = NDArray[np.int64]


class UnreadableFile(Exception):
    """A file none of whose rows can be taken; the message is the reason in words."""


class ChangedFile(Exception):
    """A file that changed while it was read; it is left for the next run."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A file as it stood: what must not have changed when the reading ends."""

    path: Path
    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Snapshot:
        """Take the snapshot."""
        status = path.stat()
        return cls(
            path=path,
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
            inode=status.st_ino,
        )


@dataclass(kw_only=True)
class Records:
    """Some records of one file.

    Attributes
    ----------
    row_numbers : array of int64, shape (n,)
        From 1, counting every record of the file that is not blank.
    records : pa.BinaryArray, shape (n,)
        The bytes of the readable ones, line end included.
    fields : pa.Table or None
        CSV only: the same n records, one string column per header field.
    rejected : list of (int, str, bytes)
        Row number, reason and bytes of records that cannot be read.
    has_escaped_nul : bool
        JSON only: whether a record may hold an escaped NUL character.
    """

    row_numbers: Positions
    records: pa.Array
    fields: pa.Table | None = None
    rejected: list[tuple[int, str, bytes]] = field(default_factory=list)
    has_escaped_nul: bool = False

    @property
    def count(self) -> int:
        """Records in all, the rejected ones included."""
        return len(self.row_numbers) + len(self.rejected)


def format_of(path: str) -> str:
    """Return `csv`, `jsonl` or `parquet` for a path with one of the known suffixes."""
    name = path.removesuffix(".gz")
    return name.rsplit(".", 1)[-1]


def content_hash(snapshot: Snapshot) -> str:
    """SHA-256 of a file's bytes.

    Raises
    ------
    ChangedFile
        If the file changed meanwhile.
    UnreadableFile
        If it cannot be opened or read.
    """
    try:
        with snapshot.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ChangedFile from None
    except OSError as error:
        raise UnreadableFile(f"it cannot be read ({error.strerror})") from None
    check_unchanged(snapshot)
    return digest


def check_unchanged(snapshot: Snapshot) -> None:
    """Raise `ChangedFile` unless the file still has the size and time of its snapshot."""
    try:
        now = Snapshot.of(snapshot.path)
    except FileNotFoundError:
        raise ChangedFile from None
    if now != snapshot:
        raise ChangedFile


def read_records(
    snapshot: Snapshot,
    *,
    to_json: Callable[[pa.Table], pa.Array],
    encoding: str | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[tuple[bytes | None, Records]]:
    """Cut one file into chunks of records.

    Parameters
    ----------
    snapshot : Snapshot
        The file, and how it stood when it was hashed.
    to_json : callable
        Turns the rows of a Parquet file into JSON records.
    encoding : str, optional
        Encoding of its text; UTF-8 unless given.
    chunk_bytes : int
        Text per chunk.

    Yields
    ------
    header : bytes or None
        The header record of a CSV file.
    records : Records
        At least one chunk, empty for an empty file.

    Raises
    ------
    UnreadableFile
        If the file as a whole cannot be read.
    ChangedFile
        If its bytes are no longer those that were hashed.
    """
    kind = format_of(snapshot.path.name)
    try:
        with snapshot.path.open("rb", buffering=0) as file:
            if kind == "parquet":
                yield from ((None, r) for r in _parquet(file, to_json=to_json))
            else:
                unpacked: IO[bytes] = file
                if snapshot.path.name.endswith(".gz"):
                    unpacked = gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[assignment]
                splitter = _csv if kind == "csv" else _jsonl
                yield from splitter(_Text(unpacked, encoding=encoding), chunk_bytes)
                failpoint("landing.file_read")
    except FileNotFoundError:
        raise ChangedFile from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        check_unchanged(snapshot)
        if str(error).startswith("Not a gzipped file"):
            plain = snapshot.path.name.removesuffix(".gz")
            raise UnreadableFile(f"it is no gzip file: rename it to {plain} if it is plain text") from None
        raise UnreadableFile("the gzip file is cut short or damaged; copy it again in full") from None
    except pa.ArrowException as error:
        check_unchanged(snapshot)
        told = str(error).splitlines()[0]
        raise UnreadableFile(f"the Parquet file is damaged or cut short ({told}); copy it again in full") from None
    check_unchanged(snapshot)


class _Text:
    """Decoded, BOM-free UTF-8 text of a file, in blocks."""

    def __init__(self, file: IO[bytes], *, encoding: str | None) -> None:
        self._file = file
        self._is_first = True
        self._decoder = None
        if encoding and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
            self._name = encoding
            self._decoder = codecs.getincrementaldecoder(encoding)()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of text; empty only at the end."""
        while True:
            block = self._file.read(size)
            is_end = not block
            if self._is_first and not is_end:
                block = self._first(block)
            if self._decoder:
                try:
                    block = self._decoder.decode(block, final=is_end).removeprefix("\ufeff").encode()
                except (UnicodeDecodeError, UnicodeError):
                    raise UnreadableFile(
                        f"its text is not {self._name}, as the contract's encoding says; correct the contract"
                    ) from None
            if block or is_end:
                return block

    def _first(self, block: bytes) -> bytes:
        self._is_first = False
        if self._decoder:
            return block
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _looks_like_utf16(block):
            raise UnreadableFile(
                "its text is UTF-16, not UTF-8; export it as UTF-8 or set `encoding: utf-16` in its contract"
            )
        return block.removeprefix(codecs.BOM_UTF8)


def _looks_like_utf16(block: bytes) -> bool:
    """Whether every second byte of a file's beginning is NUL, as in UTF-16 without a BOM."""
    head = np.frombuffer(block[:4096], np.uint8)
    return len(head) >= 8 and max((head[0::2] == 0).mean(), (head[1::2] == 0).mean()) > 0.4


def _blocks(text: _Text, chunk_bytes: int) -> Iterator[Callable[[int], tuple[bytes, bool]]]:
    """Yield, until the end, a function that takes how much was used and gives the next text."""
    rest = b""
    is_end = False
    used = 0

    def advance(used_now: int) -> tuple[bytes, bool]:
        nonlocal rest, is_end, used
        rest = rest[used_now:]
        parts, have = [rest], 0
        while have < chunk_bytes and not is_end:
            part = text.read(chunk_bytes - have)
            is_end = not part
            parts.append(part)
            have += len(part)
        rest = b"".join(parts) if len(parts) > 1 else rest
        return rest, is_end

    while not is_end:
        yield advance


# --- JSON lines ---------------------------------------------------------------------------------


def _jsonl(text: _Text, chunk_bytes: int) -> Iterator[tuple[None, Records]]:
    row, used = 0, 0
    for advance in _blocks(text, chunk_bytes):
        block, is_end = advance(used)
        ends = _newlines(block)
        if len(ends) == 0 and not is_end:
            used = _wait_for_line_end(block, chunk_bytes)
            continue
        used = int(ends[-1]) if len(ends) else 0
        if is_end and used < len(block):
            block += b"\n"
            ends = np.append(ends, len(block))
        if b"\r" in block:
            # One kind of line end, so that it is no part of what makes two rows different.
            block = block[: ends[-1]].replace(b"\r\n", b"\n")
            ends = _newlines(block)
        records = _sift(block, starts=_starts(ends), ends=ends, first_row=row + 1)
        records.has_escaped_nul = ESCAPED_NUL in block
        if row == 0 and _opens_document(records.records):
            raise UnreadableFile(
                "it is one JSON document and not an object a line; write each object on a line of its own, "
                "such as with `jq -c '.[]'`, and export it again"
            )
        row += records.count
        yield None, records


def _opens_document(records: pa.Array) -> bool:
    """Whether the first lines are those of a list of objects, or of one object over many lines."""
    first, second = (bytes(records[at].as_py()).strip() if len(records) > at else b"" for at in (0, 1))
    return first == b"[" or first[:64].replace(b" ", b"").startswith(b"[{") or (first == b"{" and second[:1] == b'"')


def _wait_for_line_end(block: bytes, chunk_bytes: int) -> int:
    """Return that nothing of the block was used, unless so long a line can be no record at all."""
    if len(block) > 4 * max(chunk_bytes, MAX_RECORD_BYTES):
        raise UnreadableFile(f"it has no line end within {len(block) >> 20} MB; it is no text of one record a line")
    return 0


def _starts(ends: Positions) -> Positions:
    """Where records begin that follow one another."""
    return np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(ends) else ends


def _newlines(block: bytes) -> Positions:
    """Return the position after every line feed; slice by slice, so that the work stays in the cache."""
    array = np.frombuffer(block, np.uint8)
    found = [np.flatnonzero(array[at : at + _SLICE] == 10) + (at + 1) for at in range(0, len(array), _SLICE)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _sift(
    block: bytes,
    *,
    starts: Positions,
    ends: Positions,
    first_row: int,
    bad: dict[int, str] | None = None,
) -> Records:
    """Set blank records aside and reject those that are too long, hold a NUL or are not UTF-8.

    Parameters
    ----------
    block : bytes
        The text.
    starts, ends : array of int64
        Bounds of each record in it.
    first_row : int
        Row number of the first record.
    bad : dict, optional
        Records (by index) known to be bad, and why.
    """
    length = int(ends[-1]) if len(ends) else 0  # beyond stands the beginning of a record yet to come
    array = np.frombuffer(block, np.uint8)[:length]
    reasons = dict(bad or {})
    blank = _blank(array, starts, ends)
    for index in map(int, np.flatnonzero(ends - starts > MAX_RECORD_BYTES)):
        size = int(ends[index] - starts[index]) >> 20
        reasons.setdefault(index, f"the row is {size} MB long; the most is {MAX_RECORD_BYTES >> 20} MB")
    if 0 in block:
        for index in map(int, np.unique(np.searchsorted(ends, np.flatnonzero(array == 0), side="right"))):
            reasons[index] = "the row contains a NUL byte; export it again as plain text"
    for position in _invalid_utf8(block, length):
        index = int(np.searchsorted(ends, position, side="right"))
        reasons.setdefault(
            index,
            "the row is not UTF-8 text; name the export's encoding in its contract (such as "
            "`encoding: windows-1252`) and replay it",
        )
    is_good = ~blank
    row_numbers = first_row + np.cumsum(is_good) - 1
    rejected = []
    for index, reason in sorted(reasons.items()):
        if is_good[index]:
            rejected.append((int(row_numbers[index]), reason, block[starts[index] : ends[index]]))
            is_good[index] = False
    if is_good.all() and (len(starts) == 0 or bool((starts[1:] == ends[:-1]).all())):
        offsets = np.append(starts, ends[-1:]) if len(starts) else np.zeros(1, np.int64)
        records = _binary(block, offsets)
    else:
        bounds = np.empty(2 * len(starts), np.int64)
        bounds[0::2], bounds[1::2] = starts, ends
        every = _binary(block, np.append(bounds, len(block)))
        records = every.take(pa.array(2 * np.flatnonzero(is_good)))
    return Records(row_numbers=row_numbers[is_good], records=records, rejected=rejected)


def _binary(block: bytes, offsets: Positions) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(block)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _blank(array: NDArray[np.uint8], starts: Positions, ends: Positions) -> NDArray[np.bool_]:
    """Whether each record holds nothing but white space."""
    blank = np.zeros(len(starts), np.bool_)
    if len(starts) == 0:
        return blank
    begins_blank = np.isin(array[starts], np.frombuffer(b" \t\r\n", np.uint8))
    for index in np.flatnonzero(begins_blank & (ends - starts <= 16)):
        blank[index] = not bytes(array[starts[index] : ends[index]]).strip()
    return blank


def _invalid_utf8(block: bytes, length: int) -> list[int]:
    """Positions of the bytes that are not UTF-8 in the first `length` of a block."""
    buffers = [None, pa.py_buffer(np.array([0, length], np.int32)), pa.py_buffer(block)]
    try:
        pa.Array.from_buffers(pa.string(), 1, buffers).validate(full=True)
        return []
    except pa.ArrowInvalid:
        pass
    positions: list[int] = []

    def note(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        positions.append(error.start)
        return "", error.end

    codecs.register_error("throughline-note", note)
    block[:length].decode("utf-8", errors="throughline-note")
    return positions


# --- CSV ----------------------------------------------------------------------------------------

_QUOTE, _CR, _LF = 34, 13, 10
STRAY_QUOTE = "a quote stands in the middle of a field or is never closed"


def _csv(text: _Text, chunk_bytes: int) -> Iterator[tuple[bytes, Records]]:
    row, used = 0, 0
    header: bytes | None = None
    for advance in _blocks(text, chunk_bytes):
        block, is_end = advance(used)
        used = 0
        if header is None:
            header, used = _take_header(block, is_end=is_end)
            if header is None:
                continue
            block, is_end = (block[used:], is_end)
            header_used = used
        else:
            header_used = 0
        starts, ends, stray = split_csv(block, delimiter=delimiter_of(header), is_end=is_end)
        used = header_used + (int(ends[-1]) if len(ends) else _wait_for_line_end(block, chunk_bytes))
        records = parse_csv(block, header=header, starts=starts, ends=ends, stray=stray, first_row=row + 1)
        row += records.count
        yield header, records
    if header is None:
        yield b"", Records(row_numbers=np.zeros(0, np.int64), records=pa.array([], pa.binary()))


def _take_header(block: bytes, *, is_end: bool) -> tuple[bytes | None, int]:
    """Return the header record and where it ends, None while it is not complete."""
    begin = len(block) - len(block.lstrip(b"\r\n"))
    at = begin
    while True:
        end = block.find(b"\n", at)
        if end < 0:
            if not is_end or begin == len(block):
                return None, 0
            end = len(block) - 1
        line = block[begin : end + 1]
        if line.count(b'"') % 2 == 0 or end + 1 == len(block):
            break
        at = end + 1
    if b"\r" in re.sub(rb'"[^"]*"', b"", line).rstrip(b"\r\n"):
        raise UnreadableFile("its lines end in a carriage return alone; save it with the usual line ends")
    if b"\0" in line or len(line) > MAX_RECORD_BYTES:
        raise UnreadableFile("its first line is no header (it is binary or longer than 4 MB)")
    try:
        line.decode()
    except UnicodeDecodeError:
        raise UnreadableFile(
            "its header is not UTF-8 text; name the export's encoding in its contract, such as `encoding: windows-1252`"
        ) from None
    try:
        header_fields(line)
    except csv.Error as error:
        raise UnreadableFile(f"its first line is no header ({error}); export it again with one") from None
    return line, end + 1


def delimiter_of(header: bytes) -> str:
    """Return the delimiter a header uses: the most frequent of comma, semicolon, tab and bar outside quotes."""
    bare = re.sub(rb'"[^"]*"', b"", header)
    return max(",;\t|", key=lambda d: bare.count(d.encode()))


def header_fields(header: bytes) -> list[str]:
    """Return the names in a header record, trimmed; a repeated or blank name gets its position."""
    names: list[str] = []
    row = next(csv.reader([header.decode().rstrip("\r\n")], delimiter=delimiter_of(header)), [])
    for position, name in enumerate((n.strip() for n in row), start=1):
        names.append(name if name and name not in names else f"{name} (column {position})".strip())
    return names


def split_csv(block: bytes, *, delimiter: str, is_end: bool) -> tuple[Positions, Positions, dict[int, str]]:
    """Find the bounds of the records, line ends within quotes excepted.

    A line end closes a record when an even number of quotes stands before it. A quote that
    opens anywhere but at the start of a field, or closes anywhere but at its end, is stray:
    the line on which its record begins is bad, and counting starts anew on the next line.

    Parameters
    ----------
    block : bytes
        Text from the beginning of a record.
    delimiter : str
        One character.
    is_end : bool
        Whether the file ends with the block.

    Returns
    -------
    starts, ends : array of int64
        Bounds of each complete record, line end included.
    stray : dict of int to str
        Index of each bad record, and why.
    """
    array = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(array == _LF)
    if is_end and len(block) and (len(newlines) == 0 or newlines[-1] != len(block) - 1):
        newlines = np.append(newlines, len(block) - 1)
    quotes = np.flatnonzero(array == _QUOTE)
    if len(quotes) == 0:
        ends = newlines + 1
        return _starts(ends), ends, {}
    edge = ord(delimiter)
    before = np.where(quotes > 0, array[np.maximum(quotes - 1, 0)], _LF)
    after = np.where(quotes < len(block) - 1, array[np.minimum(quotes + 1, len(block) - 1)], _LF)
    may_open = (before == edge) | (before == _LF) | (before == _QUOTE)
    may_close = (after == edge) | (after == _LF) | (after == _CR) | (after == _QUOTE)
    parity = np.arange(len(quotes)) % 2
    # Index of stray quotes, for a count that starts at an even (0) or odd (1) quote.
    stray_from = [np.flatnonzero(np.where(parity == base, ~may_open, ~may_close)) for base in (0, 1)]
    count_before = np.searchsorted(quotes, newlines)
    ends_found: list[Positions] = []
    stray: dict[int, str] = {}
    found, first_quote, first_newline = 0, 0, 0
    while first_newline < len(newlines):
        candidates = stray_from[first_quote % 2]
        at = np.searchsorted(candidates, first_quote)
        violation = int(candidates[at]) if at < len(candidates) else len(quotes)
        # Line ends up to the stray quote, with an even count of quotes before them, end good records.
        stop = int(np.searchsorted(count_before, violation, side="right")) if violation < len(quotes) else len(newlines)
        lines = np.arange(first_newline, stop)
        good = lines[(count_before[first_newline:stop] - first_quote) % 2 == 0]
        ends_found.append(newlines[good] + 1)
        found += len(good)
        next_line = int(good[-1]) + 1 if len(good) else first_newline
        if violation == len(quotes) and (next_line >= len(newlines) or not is_end):
            start = int(newlines[next_line - 1]) + 1 if next_line else 0
            if is_end or len(block) - start <= MAX_RECORD_BYTES:
                break
        elif violation < len(quotes) and not is_end and quotes[violation] == len(block) - 1:
            break  # what follows the last quote is not yet known
        if next_line >= len(newlines):
            break
        ends_found.append(newlines[next_line : next_line + 1] + 1)
        stray[found] = STRAY_QUOTE
        found += 1
        first_newline = next_line + 1
        first_quote = int(count_before[next_line])
    ends = np.concatenate(ends_found) if ends_found else np.zeros(0, np.int64)
    return _starts(ends), ends, stray


def parse_csv(
    block: bytes,
    *,
    header: bytes,
    starts: Positions,
    ends: Positions,
    stray: dict[int, str],
    first_row: int,
) -> Records:
    """Cut records into fields; those with too many or too few are rejected."""
    delimiter = delimiter_of(header)
    width = len(header_fields(header))
    array = np.frombuffer(block, np.uint8)
    edges = np.flatnonzero(array == ord(delimiter))
    quotes = np.flatnonzero(array == _QUOTE)
    if len(quotes):
        # Quotes are counted from the start of the delimiter's own record.
        quotes_at_start = np.searchsorted(quotes, starts)
        record = np.searchsorted(ends, edges, side="right")
        edges, record = edges[record < len(ends)], record[record < len(ends)]
        edges = edges[(np.searchsorted(quotes, edges) - quotes_at_start[record]) % 2 == 0]
    counts = np.searchsorted(edges, ends) - np.searchsorted(edges, starts) + 1
    bad = dict(stray)
    returns = np.flatnonzero(array[:-1] == _CR)
    returns = returns[array[returns + 1] != _LF]
    if len(returns):
        record = np.searchsorted(ends, returns, side="right")
        is_bare = record < len(ends)
        returns, record = returns[is_bare], record[is_bare]
        outside = (np.searchsorted(quotes, returns) - np.searchsorted(quotes, starts[record])) % 2 == 0
        for index in np.unique(record[outside]):
            bad.setdefault(int(index), "a carriage return stands in the middle of the row, outside quotes")
    for index in np.flatnonzero(counts != width):
        bad.setdefault(int(index), f"the row has {counts[index]} fields where the header has {width}")
    records = _sift(block, starts=starts, ends=ends, first_row=first_row, bad=bad)
    records.fields = _fields(records.records, delimiter=delimiter, width=width)
    return records


def _fields(records: pa.Array, *, delimiter: str, width: int) -> pa.Table:
    """Parse good records into string columns `c0`, `c1` and so on."""
    names = [f"c{i}" for i in range(width)]
    if len(records) == 0:
        return pa.table({n: pa.array([], pa.string()) for n in names})
    offsets = np.frombuffer(records.buffers()[1], np.int32)[records.offset : records.offset + len(records) + 1]
    body = records.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    longest = int((offsets[1:] - offsets[:-1]).max())
    table = pa_csv.read_csv(
        pa.BufferReader(body),
        read_options=pa_csv.ReadOptions(column_names=names, block_size=max(4 << 20, 2 * longest)),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
        ),
    )
    if table.num_rows != len(records):
        raise UnreadableFile(f"its {len(records)} records were read as {table.num_rows} rows; it is no plain CSV file")
    return table


# --- rows on their way back from quarantine ------------------------------------------------------


def decoded(record: bytes, *, encoding: str | None) -> bytes:
    """UTF-8 text of a quarantined record: as it is, or from the encoding that the contract now names."""
    try:
        record.decode()
    except UnicodeDecodeError:
        if encoding:
            return record.decode(encoding, errors="replace").encode()
    return record


def records_of_rows(rows: list[bytes], *, row_numbers: list[int], header: bytes | None) -> Records:
    """Read single records again, none of them blank, as the reader of their file would have.

    Parameters
    ----------
    rows : list of bytes
        The records.
    row_numbers : list of int
        Their row numbers in the file.
    header : bytes or None
        Header of a CSV file; None for JSON records.
    """
    rows = [row.rstrip(b"\r\n") + b"\n" for row in rows]
    block, ends = b"".join(rows), np.cumsum([len(row) for row in rows])
    if header is None:
        records = _sift(block, starts=_starts(ends), ends=ends, first_row=1)
        records.has_escaped_nul = True
    else:
        stray = {}
        for index, row in enumerate(rows):
            _, bounds, faults = split_csv(row, delimiter=delimiter_of(header), is_end=True)
            if faults or len(bounds) != 1:
                stray[index] = STRAY_QUOTE
        records = parse_csv(block, header=header, starts=_starts(ends), ends=ends, stray=stray, first_row=1)
    numbers = np.array(row_numbers, np.int64)
    records.row_numbers = numbers[records.row_numbers - 1]
    records.rejected = [(int(numbers[row - 1]), reason, text) for row, reason, text in records.rejected]
    return records


# --- Parquet ------------------------------------------------------------------------------------


def _parquet(file: IO[bytes], *, to_json: Callable[[pa.Table], pa.Array]) -> Iterator[Records]:
    """Rows of a Parquet file as JSON records, so that nested fields have the paths JSON gives them."""
    row = 0
    for batch in pq.ParquetFile(file).iter_batches(batch_size=MAX_PARQUET_ROWS):
        records = to_json(pa.Table.from_batches([batch]))
        numbers = np.arange(row + 1, row + len(records) + 1)
        yield Records(row_numbers=numbers, records=records, has_escaped_nul=True)
        row += len(records)
    if row == 0:
        yield Records(row_numbers=np.zeros(0, np.int64), records=pa.array([], pa.binary()))
