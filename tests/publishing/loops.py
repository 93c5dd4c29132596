"""Readers that read in a loop, as dashboards do, and write down what they saw: none of the publisher's own code.

``python -m tests.publishing.loops <reader> <where> <stop file>`` reads until the stop file is there and prints what
it saw as JSON: the number of reads, the pairs of version and stamp, and every read that did not show one version.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pyarrow.parquet as pq

# What one read saw: version, stamp and number of rows of each table it looked at.
Read = list[tuple[str, int, int]]

ROWS = {"attempts": 200, "customers": 50}
PAUSE = 0.03


def duckdb_file(published: str) -> Iterator[Read]:
    """One DuckDB file, found through `current`."""
    while True:
        folder = (Path(published) / "current").resolve(strict=True)
        with duckdb.connect(str(folder / "throughline.duckdb"), read_only=True) as connection:
            yield [
                row
                for table in ROWS
                for row in connection.execute(
                    f"select version_id, stamp, count(*) from {table} group by all"
                ).fetchall()
            ]


def parquet_files(published: str) -> Iterator[Read]:
    """The Parquet files of one folder, and the version that its manifest names."""
    while True:
        folder = (Path(published) / "current").resolve(strict=True)
        version = json.loads((folder / "manifest.json").read_text())["version_id"]
        read: Read = []
        for table in ROWS:
            stamps = pq.read_table(folder / f"{table}.parquet", columns=["stamp"])["stamp"].to_pylist()
            read.extend((version, stamp, stamps.count(stamp)) for stamp in sorted(set(stamps)))
        yield read


def postgres_statements(url: str) -> Iterator[Read]:
    """One statement over two tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            yield connection.execute("""
                with
                    both_tables as (
                        select version_id, stamp, 200 as wanted, attempt_id as id from throughline.attempts
                        union all
                        select version_id, stamp, 50, person_id from throughline.customers
                    )
                select version_id, stamp, count(*) from both_tables group by version_id, stamp, wanted order by 3 desc
            """).fetchall()


def postgres_transactions(url: str) -> Iterator[Read]:
    """Several statements in a transaction, by turns READ COMMITTED and REPEATABLE READ."""
    with psycopg.connect(url) as connection:
        while True:
            for level in psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ:
                connection.isolation_level = level
                read: Read = []
                # The order in which the swap does not lock them.
                for table in reversed(ROWS):
                    read[:0] = connection.execute(
                        f"select version_id, stamp, count(*) from throughline.{table} group by 1, 2"
                    ).fetchall()
                    time.sleep(0.005)
                said = connection.execute("select version_id from throughline.current_version").fetchall()
                connection.commit()
                yield read if said == [(read[0][0],)] else [*read, (str(said), 0, 0)]


READERS = {
    reader.__name__: reader for reader in (duckdb_file, parquet_files, postgres_statements, postgres_transactions)
}


def is_whole(read: Read) -> bool:
    """Whether a read shows every row of both tables, all of one version and one stamp."""
    return [rows for *_, rows in read] == list(ROWS.values()) and len({(v, stamp) for v, stamp, _ in read}) == 1


def main(reader: str, where: str, stop: str) -> None:
    """Read until the stop file is there."""
    reads, seen, torn = 0, set(), []
    for read in READERS[reader](where):
        reads += 1
        if is_whole(read):
            seen.add(read[0][:2])
        else:
            torn.append(read)
        if Path(stop).exists():
            break
        time.sleep(PAUSE)
    print(json.dumps({"reads": reads, "seen": sorted(seen), "torn": torn}))


if __name__ == "__main__":
    main(*sys.argv[1:])
