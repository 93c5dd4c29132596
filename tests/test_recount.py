"""What DuckDB counts on all attempts is what a plain loop counts."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from dagster_project.recount import recount
from ml.patterns import CONVERTED, LOST, OPEN
from tests.ml.paths import drawn, paths_of, plainly_counted


@pytest.mark.parametrize("seed", range(5))
def test_counted_are_all_attempts_as_a_plain_loop_does(seed: int) -> None:
    """Some paths are empty, some patterns on nobody's, some begin as others do, and persons have several attempts."""
    rng = np.random.default_rng(seed)
    sequences = drawn(seed, attempts=80)
    listed = [("entry", (3,)), ("entry", (0,)), *(("pattern", (item,)) for item in range(5))]
    listed += [("pattern", pattern) for pattern in [(1, 1), (0, 1), (0, 1, 2), (4, 3, 2, 1), (2,) * 5, (2,) * 9]]
    lengths = [len(sequence) for sequence in sequences]
    given = {
        "statuses": rng.integers(0, 3, 80),
        "groups": rng.integers(0, 2, 80),
        "persons": np.sort(rng.integers(0, 25, 80)),
        "days": np.concatenate([np.sort(rng.integers(100, 200, length)) for length in lengths]),
    }
    with duckdb.connect() as connection:
        tally = recount(connection, paths_of(sequences), listed, **given)
        assert connection.execute("select table_name from duckdb_tables() where temporary").fetchall() == []
    plain = plainly_counted(paths_of(sequences), listed, **given)
    assert plain.counts.sum() > 200
    assert np.array_equal(tally.counts, plain.counts)
    assert np.array_equal(tally.first_days, plain.first_days)
    assert tally.scatter == pytest.approx(plain.scatter, abs=1e-6)


def test_a_handful_is_counted_as_by_hand() -> None:
    """Four attempts of two persons; the pattern 7 then 300 is complete with the first 300 after a 7."""
    sequences = [[300, 7, 9, 300, 300], [7, 300], [300, 7], []]
    with duckdb.connect() as connection:
        tally = recount(
            connection,
            paths_of(sequences),
            [("pattern", (7, 300)), ("entry", (300,)), ("pattern", (9, 9))],
            statuses=np.array([CONVERTED, OPEN, LOST, CONVERTED]),
            groups=np.array([1, 0, 0, 0]),
            days=np.array([10, 11, 12, 13, 14, 15, 16, 20, 21]),
            persons=np.array([0, 0, 1, 1]),
        )
    # By group of length: open, lost, converted.
    assert tally.counts.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]]
    assert tally.first_days[:2].tolist() == [13, 10]
    assert tally.first_days[2] == np.iinfo(np.int64).max, "on nobody's path"
    # Of the short ones half converted and one of two entered by 300: -1/2 and 1/2, each times half, of one person.
    assert tally.scatter == pytest.approx([0, 0.25, 0], abs=1e-9)
