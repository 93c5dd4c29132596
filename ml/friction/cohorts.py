"""Comparison: what cohorts, and all attempts, lose at a place against others and against the weeks before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array

from ml.friction.chances import (
    PRIOR_ATTEMPTS,
    Flags,
    Floats,
    Integers,
    drawn,
    extra_losses,
    least,
    likelihood_ratio,
    upper_tail,
)
from ml.friction.journey import COHORTS, DROP_OFF, LONG_WAIT, NONE, SIGNALS, SUPPORT_CONTACT, Journey, attempts_by
from ml.friction.points import FALSE_DISCOVERIES, MINIMUM_ATTEMPTS, Cell, Cohort, Family, Point

COHORT_PAIRS = (
    ("os", "app_version"),
    ("os", "browser"),
    ("device_type", "browser"),
    ("device_type", "country"),
    ("device_type", "campaign"),
)
# A signal with fewer losses in the whole journey is no place to look for cohorts.
MINIMUM_LOSSES = 10
# Of each dimension, or two, the cohorts with most attempts; of all places and signals those with most losses.
MOST_COHORTS, MOST_CELLS = 20, 80
REFERENCE_WEEKS, MINIMUM_REFERENCE_WEEKS = 26, 4
# A week in which a cohort did so badly is no reference for the weeks after it.
BAD_WEEK = 1e-4
# How people go about it differs by the campaign that brought them; that is no friction that the campaign carries.
_WAYS_OF_PEOPLE = ("negative message", SUPPORT_CONTACT, "backtrack", "repeat", LONG_WAIT)


def ask_cohorts(one: Journey) -> Family:
    """Ask of every cohort, and of all attempts, whether they lose more than elsewhere and than before.

    Parameters
    ----------
    one : Journey
        The journey.

    Returns
    -------
    Family
        Points that could stand, not ranked yet, and the p-values of all that was asked.
    """
    cells = _cells(one)
    if not cells:
        return Family(points=[], p_values=np.zeros(0))
    points, everybody = _test_everybody(one, cells)
    p_values = [everybody]
    cohorts, lists, known = _cohorts(one)
    if cohorts:
        dimension, fits = np.array([cohort.number for cohort in cohorts]), _fits(cohorts, cells)
        there, outside = _with_outside(_count(one, lists, cells), _count(one, known, cells), dimension)
        total = _all_weeks(there)
        outside_total = _Counts(tries=outside.tries.sum(axis=0), hits=outside.hits.sum(axis=0))
        for compared, p_value, is_asked, reference in (
            (*_and_before(there, outside, fits), outside),
            (total, *_asked(total, outside_total, fits & (len(one.weeks) > 1)), outside_total),
        ):
            p_values.append(p_value[is_asked])
            for at in map(tuple, np.argwhere(is_asked & (p_value < FALSE_DISCOVERIES))):
                *week, cohort, cell = (int(place) for place in at)
                points.append(
                    _cohort_point(
                        one,
                        cells[cell],
                        lists[cohort],
                        week=week[0] if week else -1,
                        cohort=cohort,
                        here=compared[at],
                        whole=compared[(*at[:-1], -1)],
                        p_value=float(p_value[at]),
                        reference=(reference.hits[at], reference.tries[at]),
                    )
                )
    return Family(points=points, p_values=np.concatenate(p_values), cohorts=cohorts, cells=cells)


def _cells(one: Journey) -> list[Cell]:
    """Places and signals with losses enough to look for whom they hit."""
    at_stage, at_place = attempts_by(one, one.stage), attempts_by(one, one.place)
    last = np.full(len(one), -1)
    # Of several the last is kept.
    last[one.attempt[~one.is_end]] = one.place[~one.is_end]
    cells = []
    for place, (stage, _) in enumerate(one.places):
        here = one.place == place
        for signal in range(len(SIGNALS)):
            if SIGNALS[signal] == DROP_OFF:
                hit, at_risk = last == place, at_place[place]
            else:
                hit, at_risk = np.zeros(len(one), bool), at_stage[stage]
                hit[one.attempt[here & one.flags[:, signal]]] = True
            lost = hit & one.is_lost
            if lost.sum() >= MINIMUM_LOSSES:
                cells.append(Cell(place=place, signal=signal, at_risk=at_risk, lost=lost))
    most = sorted(cells, key=lambda cell: (-int(cell.lost.sum()), cell.place, cell.signal))[:MOST_CELLS]
    return sorted(most, key=lambda cell: (cell.place, cell.signal))


def _cohorts(one: Journey) -> tuple[list[Cohort], list[Integers], list[Integers]]:
    """All cohorts of enough attempts, who is in each, and of whom each dimension, or two, are known."""
    cohorts: list[Cohort] = []
    members: list[Integers] = []
    dimensions = [*((name,) for name in COHORTS), *COHORT_PAIRS]
    known = []
    for names in dimensions:
        codes, values = zip(*(one.cohorts[name] for name in names), strict=True)
        known.append(np.flatnonzero(np.all([code >= 0 for code in codes], axis=0)))
        combined, sizes = np.zeros(len(one), np.int64), [max(1, len(value)) for value in values]
        for code, size in zip(codes, sizes, strict=True):
            combined = combined * size + np.maximum(code, 0)
        counts = np.bincount(combined[known[-1]], minlength=int(np.prod(sizes)))
        largest = np.lexsort((np.arange(len(counts)), -counts))
        for value in np.sort(largest[counts[largest] >= MINIMUM_ATTEMPTS][:MOST_COHORTS]):
            told = tuple(v[i] for v, i in zip(values, np.unravel_index(value, sizes), strict=True))
            if NONE not in told:
                members.append(known[-1][combined[known[-1]] == value])
                cohorts.append(Cohort(dimensions=names, values=told, number=len(known) - 1))
    return cohorts, members, known


def _columns(members: Sequence[Integers], rows: int) -> csr_array:
    """A matrix of ones with a column for each list of rows."""
    ends = np.cumsum([0, *(len(one) for one in members)])
    row = np.concatenate(members) if members else np.zeros(0, np.int64)
    return csr_array(csc_array((np.ones(len(row)), row, ends), shape=(rows, len(members))))


def _fits(cohorts: Sequence[Cohort], cells: Sequence[Cell]) -> Flags:
    """Which cells are asked of which cohorts, by cohort and cell; the last cell is every loss."""
    of_campaigns = np.array(["campaign" in cohort.dimensions for cohort in cohorts])
    of_people = np.array([*(SIGNALS[cell.signal] in _WAYS_OF_PEOPLE for cell in cells), False])
    fits: Flags = ~(of_campaigns[:, None] & of_people[None, :])
    return fits


@dataclass(kw_only=True)
class _Counts:
    """By week, stratum, cohort (or dimension) and cell: attempts at risk and losses. The last cell is every loss."""

    tries: Floats
    hits: Floats


def _count(one: Journey, members: Sequence[Integers], cells: Sequence[Cell]) -> _Counts:
    """Count at risk and lost of every cell among the members of every list."""
    weeks, strata, columns = len(one.weeks), one.stratum_count, len(members)
    group = one.week * strata + one.stratum
    # A row for each group and list that holds anybody; a column for each attempt.
    key = np.concatenate([group[rows] * columns + column for column, rows in enumerate(members)])
    keys, row = np.unique(key, return_inverse=True)
    order = np.argsort(row, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(keys)))])
    who = np.concatenate(members)[order]
    by_key = csr_array((np.ones(len(who)), who, ends), shape=(len(keys), len(one)))
    counts = []
    for columns_of in (
        [*(np.flatnonzero(cell.at_risk) for cell in cells), np.arange(len(one))],
        [*(np.flatnonzero(cell.lost) for cell in cells), np.flatnonzero(one.is_lost)],
    ):
        dense = np.zeros((weeks * strata * columns, len(cells) + 1))
        dense[keys] = (by_key @ _columns(columns_of, len(one))).toarray()
        counts.append(dense.reshape(weeks, strata, columns, len(cells) + 1))
    return _Counts(tries=counts[0], hits=counts[1])


@dataclass(kw_only=True)
class _Compared:
    """Losses among attempts at risk against the rate to be expected, and how many attempts that is known from.

    Arrays of one shape: week (or none), cohort, cell; the last cell is every loss.
    """

    hits: Floats
    tries: Floats
    rate: Floats
    weight: Floats

    def __getitem__(self, at: tuple[Any, ...]) -> tuple[float, float, float, float]:
        hits, tries, rate, weight = (float(part[at]) for part in (self.hits, self.tries, self.rate, self.weight))
        return hits, tries, rate, weight

    def p_values(self, is_asked: Flags) -> Floats:
        """Chance of so many losses or more; 1 for what is not asked."""
        return np.where(is_asked, upper_tail(self.hits, self.tries, self.rate, self.weight), 1.0)


def _with_outside(mine: _Counts, known: _Counts, dimension: Integers) -> tuple[_Compared, _Counts]:
    """Compare each cohort with matched attempts outside it in the same week; and what those are.

    What few tell is drawn to what more do: a kind's (first channel and device) to all kinds', a week's to all weeks'.
    """
    others = _Counts(tries=known.tries[:, :, dimension] - mine.tries, hits=known.hits[:, :, dimension] - mine.hits)
    outside = _Counts(tries=others.tries.sum(axis=1), hits=others.hits.sum(axis=1))
    usual = outside.hits.sum(axis=0) / np.maximum(outside.tries.sum(axis=0), 1)
    weekly = drawn(outside.hits, outside.tries, usual)
    rates = drawn(others.hits, others.tries, weekly[:, None])
    tries = mine.tries.sum(axis=1)
    share = mine.tries / np.maximum(tries, 1)[:, None]
    variance = (share**2 / (others.tries + PRIOR_ATTEMPTS)).sum(axis=1)
    compared = _Compared(
        hits=mine.hits.sum(axis=1),
        tries=tries,
        rate=(share * rates).sum(axis=1),
        weight=np.minimum(1 / np.maximum(variance, 1e-12), np.maximum(outside.tries, 1)),
    )
    return compared, outside


def _before(tries: Floats, hits: Floats, is_bad: Flags) -> tuple[Floats, Floats]:
    """Attempts and losses of the reference weeks before each week, bad ones left out."""
    sums = []
    for part in (tries, hits):
        total = np.concatenate([np.zeros_like(part[:1]), np.cumsum(np.where(is_bad, 0, part), axis=0)])
        start = np.maximum(np.arange(len(part)) - REFERENCE_WEEKS, 0)
        sums.append(total[: len(part)] - total[start])
    return sums[0], sums[1]


def _asked(compared: _Compared, outside: _Counts, fits: Flags) -> tuple[Floats, Flags]:
    """P-values of the cells that are asked, and which those are: enough attempts on both sides."""
    is_asked = (compared.tries >= MINIMUM_ATTEMPTS) & (outside.tries >= MINIMUM_ATTEMPTS) & fits
    # Every loss together is not asked by itself.
    is_asked[..., -1] = False
    return compared.p_values(is_asked), is_asked


def _and_before(there: _Compared, outside: _Counts, fits: Flags) -> tuple[_Compared, Floats, Flags]:
    """Ask a cohort to do worse than others in the same week and than itself before, and take the greater p-value.

    That no level is exceeded without a further correction is the intersection-union principle (Berger 1982).
    What is expected is what the one that asks for more expects.
    """
    p_outside, is_asked = _asked(there, outside, fits)
    is_bad = np.broadcast_to(np.any(p_outside < BAD_WEEK, axis=2, keepdims=True), there.tries.shape)
    tries, hits = _before(there.tries, there.hits, is_bad)
    has_past = tries >= MINIMUM_ATTEMPTS
    past = _Compared(hits=there.hits, tries=there.tries, rate=drawn(hits, tries, there.rate), weight=tries)
    p_value = np.where(has_past, np.maximum(p_outside, past.p_values(has_past & is_asked)), p_outside)
    by_past = has_past & (past.rate > there.rate)
    compared = _Compared(
        hits=there.hits,
        tries=there.tries,
        rate=np.where(by_past, past.rate, there.rate),
        weight=np.where(by_past, past.weight, there.weight),
    )
    return compared, p_value, is_asked


def _all_weeks(there: _Compared) -> _Compared:
    """All weeks together: what is expected is the sum of what was to be expected in each."""
    tries = there.tries.sum(axis=0)
    share = there.tries / np.maximum(tries, 1)
    return _Compared(
        hits=there.hits.sum(axis=0),
        tries=tries,
        rate=(share * there.rate).sum(axis=0),
        weight=1 / np.maximum((share**2 / there.weight).sum(axis=0), 1e-12),
    )


def _cohort_point(
    one: Journey,
    cell: Cell,
    members: Integers,
    *,
    week: int,
    cohort: int,
    here: tuple[float, float, float, float],
    whole: tuple[float, float, float, float],
    p_value: float,
    reference: tuple[float, float],
) -> Point:
    """A cohort's losses at a place; never more than it lost in all above what is expected."""
    mine = members if week < 0 else members[one.week[members] == week]
    return Point(
        week=week,
        place=cell.place,
        signal=cell.signal,
        cohort=cohort,
        attempt_count=int(whole[1]),
        lost_count=int(whole[0]),
        extra=least(extra_losses(*here), extra_losses(*whole)),
        p_value=p_value,
        ratio=likelihood_ratio(*here),
        attempts=mine,
        lost=mine[cell.lost[mine]],
        hit_count=int(here[0]),
        reference=(int(reference[0]), int(reference[1])),
    )


def _test_everybody(one: Journey, cells: Sequence[Cell]) -> tuple[list[Point], Floats]:
    """Drop-off of all attempts of a week against the weeks before; weeks that differ anyway count for less."""
    chosen = [number for number, cell in enumerate(cells) if SIGNALS[cell.signal] == DROP_OFF]
    counts = _count(one, [np.arange(len(one))], [cells[number] for number in chosen])
    tries, hits = counts.tries.sum(axis=1)[:, 0], counts.hits.sum(axis=1)[:, 0]
    nothing = np.zeros_like(tries, bool)
    before, lost_before = _before(tries, hits, nothing)
    squares, _ = _before(np.where(tries > 0, hits**2 / np.maximum(tries, 1), 0), hits, nothing)
    full_weeks, _ = _before((tries > 0).astype(float), hits, nothing)
    rate = (lost_before + 0.5) / (before + 1)
    chi_square = (squares - 2 * rate * lost_before + rate**2 * before) / (rate * (1 - rate))
    spread = np.maximum(1.0, chi_square / np.maximum(full_weeks - 1, 1))
    # The weight of a reference for which the variance of a week is the spread times what chance alone makes it.
    over = spread * (1 + tries / np.maximum(before, 1)) - 1
    weight = np.maximum((tries - 1) / np.maximum(over, 1e-12) - 1, 1.0)
    compared = _Compared(hits=hits, tries=tries, rate=rate, weight=weight)
    is_asked = np.array((tries >= MINIMUM_ATTEMPTS) & (before >= MINIMUM_ATTEMPTS))
    is_asked &= full_weeks >= MINIMUM_REFERENCE_WEEKS
    is_asked[:, -1] = False
    p_values = compared.p_values(is_asked)
    points = [
        _cohort_point(
            one,
            cells[chosen[cell]],
            np.arange(len(one)),
            week=int(week),
            cohort=-1,
            here=compared[week, cell],
            whole=compared[week, -1],
            p_value=float(p_values[week, cell]),
            reference=(lost_before[week, cell], before[week, cell]),
        )
        for week, cell in np.argwhere(is_asked & (p_values < FALSE_DISCOVERIES))
    ]
    return points, p_values[is_asked]
