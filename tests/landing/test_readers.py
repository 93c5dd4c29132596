"""Cutting files into records and fields, against Python's own csv module."""

import csv
import io
import random
from pathlib import Path

import pyarrow as pa
import pytest

from dagster_project.landing.readers import (
    Snapshot,
    UnreadableFile,
    delimiter_of,
    header_fields,
    read_records,
    split_csv,
)


def no_parquet(table: pa.Table) -> pa.Array:
    raise AssertionError(table)


def rows_of(path: Path, *, chunk_bytes: int) -> tuple[list[list[str]], list[tuple[int, str]]]:
    rows: list[list[str]] = []
    rejected: list[tuple[int, str]] = []
    for _, records in read_records(Snapshot.of(path), to_json=no_parquet, chunk_bytes=chunk_bytes):
        assert records.fields is not None or not len(records.records)
        if records.fields is not None:
            rows += [list(row.values()) for row in records.fields.to_pylist()]
        rejected += [(number, reason) for number, reason, _ in records.rejected]
    return rows, rejected


@pytest.mark.parametrize("seed", range(40))
def test_random_csv_reads_as_pythons_csv_module_reads_it(seed: int, tmp_path: Path) -> None:
    pick = random.Random(seed)
    width = pick.randint(2, 6)
    delimiter = pick.choice(",;\t|")
    line_end = pick.choice(["\n", "\r\n"])
    alphabet = ["a", "B", "7", " ", '"', '""', ",", ";", "\t", "|", "\n", "\r\n", "é", "漢", "😀", "'", "\\", ""]
    rows = [
        ["".join(pick.choices(alphabet, k=pick.choice([0, 1, 3, 9]))) for _ in range(width)]
        for _ in range(pick.randint(0, 60))
    ]
    rows = [row if any(field.strip() for field in row) else ["x", *row[1:]] for row in rows]
    buffer = io.StringIO(newline="")
    writer = csv.writer(
        buffer,
        delimiter=delimiter,
        lineterminator=line_end,
        quoting=pick.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    )
    writer.writerow([f"h{n}" for n in range(width)])
    writer.writerows(rows)
    path = tmp_path / "random.csv"
    path.write_bytes(buffer.getvalue().encode())
    reference = list(csv.reader(io.StringIO(buffer.getvalue(), newline=""), delimiter=delimiter))[1:]
    found, rejected = rows_of(path, chunk_bytes=pick.choice([7, 100, 1 << 20]))
    assert rejected == []
    assert found == reference


def test_stray_quote_costs_its_own_line_only() -> None:
    for bad in [b'2,5" pipe\n', b'2,"open\n', b'2,"a"b\n', b'2,a "quoted" word\n']:
        block = b'1,"fine, really"\n' + bad + b'3,"multi\nline"\n' + bad + b"4,x\n"
        starts, ends, stray = split_csv(block, delimiter=",", is_end=True)
        records = [block[s:e] for s, e in zip(starts, ends, strict=True)]
        assert [r for i, r in enumerate(records) if i in stray] == [bad, bad]
        assert b"".join(records) == block
        assert [r for i, r in enumerate(records) if i not in stray] == [
            b'1,"fine, really"\n',
            b'3,"multi\nline"\n',
            b"4,x\n",
        ]


def test_row_numbers_count_records_not_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n\n1,x\n\r\n2\n3,"p\nq"\n   \n')
    for chunk in (3, 1000):
        [(good, bad)] = [rows_of(path, chunk_bytes=chunk)]
        assert good == [["1", "x"], ["3", "p\nq"]]
        assert [number for number, _ in bad] == [2]


def test_header_names_are_trimmed_and_told_apart() -> None:
    assert header_fields(b' a ,"b, c",a,\n') == ["a", "b, c", "a (column 3)", "(column 4)"]
    assert delimiter_of(b'"x,y,z";b;c\n') == ";"


@pytest.mark.parametrize("text", [b"a,b\r1,2\r3,4\r", b'a,b\r1,"x, y"\r3,4'])
def test_old_mac_line_ends_are_told(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(UnreadableFile, match="carriage return alone"):
        rows_of(path, chunk_bytes=100)


def test_first_line_that_can_be_no_header_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id," + b"x" * 200_000 + b"\n1,2\n")
    with pytest.raises(UnreadableFile, match="its first line is no header"):
        rows_of(path, chunk_bytes=1 << 20)


def test_utf16_reads_with_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a,b\n1,é\n".encode("utf-16"))
    [(_, records)] = list(read_records(Snapshot.of(path), to_json=no_parquet, encoding="utf-16"))
    assert records.fields is not None
    assert records.fields.to_pylist() == [{"c0": "1", "c1": "é"}]
