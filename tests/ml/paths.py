"""Paths of attempts made by hand or by lot, and a plain count of patterns on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.patterns import CONVERTED, OPEN, Listed, Paths, Tally


def paths_of(sequences: Sequence[Sequence[int]], item_count: int | None = None) -> Paths:
    items = np.array([item for sequence in sequences for item in sequence], np.int64)
    starts = np.cumsum([0, *map(len, sequences)])
    return Paths(items=items, starts=starts, item_count=item_count or int(items.max(initial=0)) + 1)


def drawn(seed: int, *, attempts: int = 60, items: int = 5, longest: int = 9) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, items, rng.integers(0, longest + 1)).tolist() for _ in range(attempts)]


def holds(pattern: Sequence[int], sequence: Sequence[int]) -> bool:
    rest = iter(sequence)
    return all(item in rest for item in pattern)


def plainly_counted(
    paths: Paths,
    listed: Sequence[Listed],
    *,
    statuses: np.ndarray,
    groups: np.ndarray,
    days: np.ndarray,
    persons: np.ndarray,
) -> Tally:
    """Attempt by attempt; the earliest end is the end of the shortest beginning of a path that holds the pattern."""
    sequences = [path.tolist() for path in np.split(paths.items, paths.starts[1:-1])]
    dates = np.split(days, paths.starts[1:-1])
    counts = np.zeros((len(listed), int(groups.max()) + 1, 3), np.int64)
    first_days = np.full(len(listed), np.iinfo(np.int64).max)
    scatter = np.zeros(len(listed))
    closed = statuses != OPEN
    rates = [
        np.mean(statuses[closed & (groups == group)] == CONVERTED) if (closed & (groups == group)).any() else 0
        for group in range(counts.shape[1])
    ]
    surplus = np.where(closed, (statuses == CONVERTED) - np.array(rates)[groups], 0)
    for place, (kind, pattern) in enumerate(listed):
        on = np.array(
            [sequence[:1] == [*pattern] if kind == "entry" else holds(pattern, sequence) for sequence in sequences]
        )
        np.add.at(counts[place], (groups[on], statuses[on]), 1)
        for attempt in np.flatnonzero(on):
            end = next(
                n for n in range(len(pattern), paths.lengths[attempt] + 1) if holds(pattern, sequences[attempt][:n])
            )
            first_days[place] = min(first_days[place], dates[attempt][end - 1])
        share = np.zeros(len(rates))
        for group in np.unique(groups[closed]):
            share[group] = on[closed & (groups == group)].mean()
        scores = np.bincount(persons, weights=surplus * (on - share[groups]))
        scatter[place] = np.sum(scores**2)
    return Tally(counts=counts, first_days=first_days, scatter=scatter)
