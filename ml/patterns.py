"""Sequential patterns: what attempts pass in which order, and whether those that pass it convert more or less.

Frequent subsequences are found by prefix projection (PrefixSpan; Pei et al. 2004) on integer-coded paths, without
looking at what became of them; each is then tested among attempts of like length, with false-discovery control.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr
from scipy.stats import false_discovery_control

from ml.evaluation import Z

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pattern = tuple[int, ...]
Listed = tuple[str, Pattern]

OPEN, LOST, CONVERTED = 0, 1, 2
# Mined on at most so many attempts; counted on all of them.
MOST_MINED = 100_000
LONGEST = 5
# So many of the most frequent patterns of each length are looked at, as far as they are frequent at all.
MOST_OF_LENGTH: Mapping[int, int] = {1: 100, 2: 150, 3: 100, 4: 75, 5: 50}
MOST_OF_LENGTH_LATELY: Mapping[int, int] = {1: 50, 2: 50, 3: 25}
LEAST_SUPPORT, LEAST_ATTEMPTS = 0.005, 10
# Fewer attempts are shown as few and never ranked.
ENOUGH = 30
# Paths are compared with paths of like length: about tenths of them.
LENGTH_GROUPS = 10
# Below this variance the normal approximation of the test is not good enough, and the exact one costs little.
EXACT_BELOW = 25.0
FALSE_DISCOVERY_RATE = 0.05
LATELY_DAYS = 30
# An entry is rare if, until lately, fewer of the attempts began with it.
RARE = 0.05
# Attempts times different steps that are looked at together: 160 MB.
CELLS_AT_A_TIME = 40_000_000

FOUND = pa.schema(
    [
        ("kind", pa.string()),
        ("pattern", pa.list_(pa.int64())),
        ("attempt_count", pa.int64()),
        ("open_count", pa.int64()),
        ("support_rate", pa.float64()),
        ("converted_count", pa.int64()),
        ("conversion_rate", pa.float64()),
        ("base_conversion_rate", pa.float64()),
        ("lift", pa.float64()),
        ("lift_low", pa.float64()),
        ("lift_high", pa.float64()),
        ("length_adjusted_lift", pa.float64()),
        ("p_value", pa.float64()),
        ("q_value", pa.float64()),
        ("verdict", pa.string()),
        ("is_new", pa.bool_()),
        ("is_unexpected", pa.bool_()),
        ("first_day", pa.int64()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Paths:
    """What attempts passed, attempt after attempt.

    Attributes
    ----------
    items : ndarray of int, shape (steps,)
        Codes of the steps, from 0.
    starts : ndarray of int, shape (attempts + 1,)
        Where each attempt's steps begin; the last one is the number of steps.
    item_count : int
        Codes are below it.
    """

    items: Integers
    starts: Integers
    item_count: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Integers:
        """Steps of each attempt."""
        return np.diff(self.starts)

    def only(self, wanted: Flags) -> Paths:
        """The attempts that are wanted, in their order."""
        kept = np.repeat(wanted, self.lengths)
        starts = np.concatenate([[0], np.cumsum(self.lengths[wanted])])
        return Paths(items=self.items[kept], starts=starts, item_count=self.item_count)


def collapse(items: Integers, attempts: Integers) -> Flags:
    """Say which steps are not the same as the step before them in the same attempt.

    Parameters
    ----------
    items, attempts : ndarray of int, shape (steps,)
        Steps in their order, with the attempt that each belongs to.
    """
    return np.concatenate([[True], (items[1:] != items[:-1]) | (attempts[1:] != attempts[:-1])])[: len(items)]


class _Next:
    """Where each item comes next, seen from every step: an attempt's steps with an end after each attempt's last."""

    def __init__(self, paths: Paths) -> None:
        count = len(paths.items) + len(paths)
        attempt = np.repeat(np.arange(len(paths)), paths.lengths + 1)
        self.first = (paths.starts[:-1] + np.arange(len(paths))).astype(np.int32)
        ends = (self.first + paths.lengths).astype(np.int32)
        is_step = np.ones(count, bool)
        is_step[ends] = False
        self.items = np.full(count, -1, np.int32)
        self.items[is_step] = paths.items
        self.none = np.int32(count)
        end_of_row = ends[attempt]
        self.table = np.empty((paths.item_count, count), np.int32)
        rows = np.arange(count, dtype=np.int32)
        for item, column in enumerate(self.table):
            column[:] = np.where(self.items == item, rows, self.none)
            column[::-1] = np.minimum.accumulate(column[::-1])
            column[column > end_of_row] = self.none

    def follow(self, rows: NDArray[np.int32], item: int) -> tuple[Flags, NDArray[np.int32]]:
        """Which of the rows meet the item at themselves or later, and the rows after that."""
        found = self.table[item][rows]
        has = found < self.none
        return has, found[has] + np.int32(1)


def mine(paths: Paths, *, least: int, most_of_length: Mapping[int, int] = MOST_OF_LENGTH) -> list[tuple[Pattern, int]]:
    """Find the most frequent subsequences, those of each length for themselves.

    A pattern is on a path if its items come in this order, with or without others between them. Patterns are grown
    from the most frequent one on, item by item, on the attempts that hold what there is so far; as none is more
    frequent than what it grew from, they come in the order of their frequency.

    Parameters
    ----------
    paths : Paths
        What attempts passed.
    least : int
        Attempts on a pattern, at least.
    most_of_length : mapping of int to int
        The longest patterns wanted, and how many of each length; of equally frequent ones the first by their items.

    Returns
    -------
    list of (tuple of int, int)
        Patterns with the number of attempts on them, the most frequent first.
    """
    longest = max(most_of_length)
    table = _Next(paths)
    left = dict(most_of_length)
    queue: list[tuple[int, Pattern]] = []

    def grow(pattern: Pattern, rows: NDArray[np.int32]) -> None:
        for item in range(paths.item_count):
            support = int(np.count_nonzero(table.table[item][rows] < table.none))
            if support >= least:
                heapq.heappush(queue, (-support, (*pattern, item)))

    found = []
    grow((), table.first)
    while queue:
        support, pattern = heapq.heappop(queue)
        if left.get(len(pattern), 0) > 0:
            found.append((pattern, -support))
            left[len(pattern)] -= 1
        if any(left.get(length, 0) > 0 for length in range(len(pattern) + 1, longest + 1)):
            rows = table.first
            for item in pattern:
                _, rows = table.follow(rows, item)
            grow(pattern, rows)
        elif not any(left.values()):
            break
    return found


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many attempts are on each pattern.

    Attributes
    ----------
    counts : ndarray of int, shape (patterns, length groups, 3)
        Attempts on each pattern by group of length and by what became of them: OPEN, LOST, CONVERTED.
    first_days : ndarray of int, shape (patterns,)
        The earliest day on which an attempt came to the pattern's end.
    scatter : ndarray of float, shape (patterns,)
        Variance of the test's score if each person's attempts are taken as one draw.
    """

    counts: Integers
    first_days: Integers
    scatter: Floats


class Recount(Protocol):
    """Counts the attempts on each pattern, all of them."""

    def __call__(
        self,
        paths: Paths,
        listed: Sequence[Listed],
        *,
        statuses: Integers,
        groups: Integers,
        days: Integers,
        persons: Integers,
    ) -> Tally:
        """Count.

        Parameters
        ----------
        paths : Paths
            What attempts passed.
        listed : sequence of tuple of str and tuple of int
            Kinds and patterns: ``pattern``, or ``entry``, one item with which the path must begin.
        statuses, groups, persons : ndarray of int, shape (attempts,)
            OPEN, LOST or CONVERTED; group of the path's length, from 0; whose attempt it is.
        days : ndarray of int, shape (steps,)
            On which day each step was.

        Returns
        -------
        Tally
            In the order of the patterns.
        """


def group_lengths(lengths: Integers, *, groups: int = LENGTH_GROUPS) -> Integers:
    """Sort attempts into groups of like length, each of about as many; attempts of one length stay together."""
    if not len(lengths):
        return np.zeros(0, np.int64)
    edges = np.unique(np.quantile(lengths, np.arange(1, groups) / groups, method="inverted_cdf"))
    return np.searchsorted(edges, lengths, side="left").astype(np.int64)


def stratified_test(on: Integers, whole: Integers, *, scatter: float = 0.0) -> tuple[float, float, float]:
    """Test whether attempts on a pattern convert as others of like length do (Cochran 1954; Mantel and Haenszel 1959).

    Parameters
    ----------
    on, whole : ndarray of int, shape (groups, 2)
        Lost and converted attempts on the pattern, and all of them, per group of length.
    scatter : float
        Variance of the score if each person's attempts are one draw; the greater one counts.

    Returns
    -------
    p_value : float
        Two-sided; exact where few attempts decide, else by the normal distribution, without a correction.
    expected : float
        Conversions on the pattern if its attempts converted as all of their length do.
    dispersion : float
        How many times the variance is what independent attempts would have, 1 or more.
    """
    size, all_of = on.sum(axis=1).astype(float), whole.sum(axis=1).astype(float)
    converted, lost = whole[:, 1].astype(float), whole[:, 0].astype(float)
    expected = float(np.sum(size * converted / np.maximum(all_of, 1)))
    variance = float(
        np.sum(size * (all_of - size) * converted * lost / np.maximum(all_of**2 * (all_of - 1), 1), where=all_of > 1)
    )
    if variance <= 0:
        return 1.0, expected, 1.0
    dispersion = max(1.0, scatter / variance)
    observed = float(on[:, 1].sum())
    p_value = float(2 * ndtr(-abs(observed - expected) / np.sqrt(variance * dispersion)))
    if variance < EXACT_BELOW:
        exact = _exact(on, whole)
        p_value = exact if dispersion == 1.0 else max(exact, p_value)
    return p_value, expected, dispersion


def _exact(on: Integers, whole: Integers) -> float:
    """Chance of a number of conversions on the pattern that is no likelier than what was observed, margins given."""
    chances, least = np.ones(1), 0
    for (lost_on, converted_on), (lost, converted) in zip(on.tolist(), whole.tolist(), strict=True):
        size = lost_on + converted_on
        low, high = max(0, size - lost), min(size, converted)
        if size and high > low:
            chances = np.convolve(chances, _hypergeometric(low, high, size, lost=lost, converted=converted))
        least += low
    observed = chances[int(on[:, 1].sum()) - least]
    # Equally likely numbers may differ in their last digits.
    return min(1.0, float(chances[chances <= observed * (1 + 1e-7)].sum()))


def _hypergeometric(low: int, high: int, size: int, *, lost: int, converted: int) -> Floats:
    """Chances of `low` to `high` conversions among `size` attempts drawn from all."""
    hits = np.arange(low, high + 1)
    logs = _log_ways(converted, hits) + _log_ways(lost, size - hits) - _log_ways(lost + converted, size)
    return np.asarray(np.exp(logs))


def _log_ways(whole: int, part: Integers | int) -> Floats:
    return np.asarray(gammaln(whole + 1) - gammaln(np.add(part, 1)) - gammaln(whole - np.asarray(part) + 1))


def lift(
    converted_on: int, size: int, converted: int, everybody: int, *, dispersion: float = 1.0
) -> tuple[float, float, float]:
    """Conversion of a part over conversion of the whole that it belongs to, with its 95 % interval.

    The interval is that of the logarithm by the delta method, the part and the whole not being independent:
    var log(p₁ / p) = (1 - p₁) / x₁ + (1 - p) / x - 2 (1 - p₁) / x. Where nobody of the part converts, half a
    conversion stands for none in the upper end.

    Parameters
    ----------
    converted_on, size : int
        Conversions among the attempts of the part, and those attempts.
    converted, everybody : int
        Of the whole.
    dispersion : float
        Factor of the variance.
    """
    if not converted or not size:
        return float("nan"), float("nan"), float("nan")
    base, told = converted / everybody, max(converted_on, 0.5)
    rate = told / max(size, told)
    variance = (1 - rate) / told + (1 - base) / converted - 2 * (1 - rate) / converted
    reach = Z * np.sqrt(max(0.0, variance) * dispersion)
    value = converted_on / size / base
    low = value * np.exp(-reach)
    return value, float(low), float(max(value, rate / base) * np.exp(reach))


def find_patterns(
    paths: Paths,
    *,
    statuses: Integers,
    persons: Integers,
    days: Integers,
    order: Integers,
    as_of_day: int,
    start_items: Sequence[int],
    recount: Recount,
) -> pa.Table:
    """Find what attempts pass and where they begin, and tell what goes with conversion from what does not.

    Patterns are the most frequent ones of each length on a sample of the converted and lost attempts, and of what was
    done lately; how they end has no part in it. Then all attempts are counted; open ones have a part in how many are
    on a pattern and since when, and none in what became of them. What is frequent enough is tested
    among attempts of like length, and all tests of the journey are held together to a false-discovery rate of 5 %.

    Parameters
    ----------
    paths : Paths
        What attempts passed after their start and before their outcome, repeats collapsed.
    statuses, persons : ndarray of int, shape (attempts,)
        OPEN (or its window still runs), LOST or CONVERTED; whose attempt it is.
    days : ndarray of int, shape (steps,)
        On which day each step was.
    order : ndarray of int, shape (attempts,)
        A number per attempt that has nothing to do with it; the lowest are sampled.
    as_of_day : int
        The last day.
    start_items : sequence of int
        Items of the touchpoints at which the journey's start events happen.
    recount : Recount
        Counts all attempts.

    Returns
    -------
    pyarrow.Table
        Of schema ``FOUND``, by kind, then the most certain first.
    """
    over = statuses != OPEN
    if not over.any() or not len(paths.items):
        return FOUND.empty_table()
    mined = _sampled(paths, over, order)
    least = max(LEAST_ATTEMPTS, int(np.ceil(LEAST_SUPPORT * int(mined.sum()))))
    patterns = dict(mine(paths.only(mined), least=least))
    since = as_of_day - LATELY_DAYS
    last_days = np.full(len(paths), np.iinfo(np.int64).min)
    has_steps = paths.lengths > 0
    last_days[has_steps] = days[paths.starts[1:][has_steps] - 1]
    lately = _sampled(paths, last_days > since, order)
    if lately.any():
        least = max(LEAST_ATTEMPTS, int(np.ceil(LEAST_SUPPORT * int(lately.sum()))))
        patterns |= dict(mine(paths.only(lately), least=least, most_of_length=MOST_OF_LENGTH_LATELY))
    groups = group_lengths(paths.lengths)
    listed: list[Listed] = [
        ("entry", (item,)) for item in np.unique(paths.items[paths.starts[:-1][has_steps]]).tolist()
    ]
    listed += [("pattern", pattern) for pattern in sorted(patterns)]
    whole = np.bincount(groups * 3 + statuses, minlength=(int(groups.max()) + 1) * 3).reshape(-1, 3)
    # Only with as long a time before it can anything be new this month.
    is_old = int(days.min()) <= since - LATELY_DAYS
    before = np.zeros(paths.item_count)
    first_days = np.full(len(paths), np.iinfo(np.int64).max)
    first_days[has_steps] = days[paths.starts[:-1][has_steps]]
    early = first_days <= since
    np.add.at(before, paths.items[paths.starts[:-1][early]], 1)
    before /= max(int(early.sum()), 1)
    rows: list[dict[str, Any]] = []
    tally = recount(paths, listed, statuses=statuses, groups=groups, days=days, persons=persons)
    places = {one: place for place, one in enumerate(listed)}
    for (kind, pattern), place in places.items():
        shorter = {(kind, pattern[:gone] + pattern[gone + 1 :]) for gone in range(len(pattern))} & places.keys()
        if any(np.array_equal(tally.counts[place], tally.counts[places[part]]) for part in shorter):
            continue  # The same attempts as a shorter pattern: it says nothing more.
        is_entry = kind == "entry"
        rows.append(
            _told(tally.counts[place], whole, scatter=float(tally.scatter[place]))
            | {
                "kind": kind,
                "pattern": list(pattern),
                "is_new": bool(is_old and tally.first_days[place] > since),
                "is_unexpected": is_entry and pattern[0] not in start_items and before[pattern[0]] < RARE,
                "first_day": int(tally.first_days[place]),
            }
        )
    return _judged(rows)


def _sampled(paths: Paths, wanted: Flags, order: Integers) -> Flags:
    """At most so many of the wanted attempts, and no more than fit together into memory."""
    places = np.flatnonzero(wanted)
    places = places[np.argsort(order[places], kind="stable")][:MOST_MINED]
    cells = np.cumsum(paths.lengths[places] + 1) * paths.item_count
    chosen = np.zeros(len(paths), bool)
    chosen[places[: max(1, int(np.searchsorted(cells, CELLS_AT_A_TIME, side="right")))]] = True
    return chosen


def _told(counts: Integers, whole: Integers, *, scatter: float) -> dict[str, Any]:
    """The numbers of one pattern."""
    on, everybody = counts[:, [LOST, CONVERTED]], whole[:, [LOST, CONVERTED]]
    size, converted = int(on.sum()), int(on[:, 1].sum())
    all_of, all_converted = int(everybody.sum()), int(everybody[:, 1].sum())
    p_value, expected, dispersion = stratified_test(on, everybody, scatter=scatter)
    value, low, high = lift(converted, size, all_converted, all_of, dispersion=dispersion)
    is_enough = size >= ENOUGH
    return {
        "attempt_count": size,
        "open_count": int(counts[:, OPEN].sum()),
        "support_rate": int(counts.sum()) / int(whole.sum()),
        "converted_count": converted,
        "conversion_rate": converted / size if size else None,
        "base_conversion_rate": all_converted / all_of,
        "lift": value if np.isfinite(value) else None,
        "lift_low": low if np.isfinite(low) else None,
        "lift_high": high if np.isfinite(high) else None,
        "length_adjusted_lift": converted / expected if expected > 0 else None,
        "p_value": p_value if is_enough else None,
    }


def _shown(row: Mapping[str, Any]) -> str:
    """What a difference from attempts of like length says, unless the plain lift surely says the contrary."""
    is_more = (row["length_adjusted_lift"] or 0) > 1
    low, high = row["lift_low"], row["lift_high"]
    if low is not None and (high < 1 if is_more else low > 1):
        return "depends on length"
    return f"converts {'more' if is_more else 'less'}"


def _judged(rows: list[dict[str, Any]]) -> pa.Table:
    """Hold all tests together and say what each shows."""
    tested = [row for row in rows if row["p_value"] is not None]
    adjusted = false_discovery_control([row["p_value"] for row in tested]) if tested else []
    for row in rows:
        row |= {"q_value": None, "verdict": "too few"}
    for row, q_value in zip(tested, adjusted, strict=True):
        row["q_value"] = float(q_value)
        is_shown = q_value < FALSE_DISCOVERY_RATE
        row["verdict"] = _shown(row) if is_shown else "no difference shown"
    rows.sort(
        key=lambda row: (
            row["kind"],
            1.0 if row["p_value"] is None else row["p_value"],
            -row["attempt_count"],
            row["pattern"],
        )
    )
    return pa.Table.from_pylist(rows, schema=FOUND)
