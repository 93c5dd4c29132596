"""What is ranked: cohorts first, then signals, each by what those before it leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.friction.chances import PRIOR_ATTEMPTS, Flags, Integers, drawn, extra_losses, upper_tail
from ml.friction.journey import Journey, without
from ml.friction.points import MINIMUM_ATTEMPTS, Cell, Family, Point, is_enough, level
from ml.friction.rules import ask_rules, rule_point


def choose(one: Journey, by_cohort: Family, by_rule: Family) -> list[Point]:
    """Rank what stands by itself in each slice of time, the cohorts first, and keep what is worth showing.

    Parameters
    ----------
    one : Journey
        The journey.
    by_cohort, by_rule : Family
        Its tests, controlled for false discoveries.

    Returns
    -------
    list of Point
        Cohorts that are ranked, and all signals, ranked or with a note why not.
    """
    kept: list[Point] = []
    for week in range(-1, len(one.weeks)):
        explained = np.zeros(len(one), bool)
        carriers: list[str] = []
        mine = [point for point in by_cohort.points if point.week == week and _stands(point, by_cohort.cut)]
        mine.sort(key=lambda point: (point.cohort < 0, -round(point.ratio, 6), _simplicity(by_cohort, point)))
        for point in mine:
            is_new = not explained[point.attempts].any() or _still_stands(one, by_cohort, point, explained)
            if is_new:
                point.is_ranked = True
                if point.cohort >= 0:
                    explained[point.attempts] = True
                    carriers.append(by_cohort.cohorts[point.cohort].label)
            elif carriers:
                point.note = f"Explained by {carriers[0]}." if len(carriers) == 1 else "Explained by those ranked."
            if point.is_ranked:
                kept.append(point)
        kept += _choose_rules(one, by_rule, week=week, explained=explained, carriers=carriers)
    return kept


def _stands(point: Point, cut: float) -> bool:
    return point.p_value is not None and point.p_value <= cut and point.extra[1] > 0 and is_enough(point)


def _simplicity(tests: Family, point: Point) -> tuple[int, int, int, int]:
    width = len(tests.cohorts[point.cohort].dimensions) if point.cohort >= 0 else 0
    return (point.signal, width, point.cohort, point.place)


def _still_stands(one: Journey, tests: Family, point: Point, explained: Flags) -> bool:
    """Whether a cohort, or everybody, still loses too much without the attempts that others explain."""
    cell = next(c for c in tests.cells if (c.place, c.signal) == (point.place, point.signal))
    left = point.attempts[~explained[point.attempts]]
    tries = float(cell.at_risk[left].sum())
    if tries < MINIMUM_ATTEMPTS:
        return False
    if point.cohort < 0:
        lost, known = point.reference
        rate, weight = (lost + 0.5) / (known + 1), float(known)
    else:
        dimensions = tests.cohorts[point.cohort].dimensions
        is_outside = np.all([one.cohorts[name][0] >= 0 for name in dimensions], axis=0) & ~explained
        is_outside[point.attempts] = False
        if point.week >= 0:
            is_outside &= one.week == point.week
        rate, weight = _rate_elsewhere(one, cell, left, is_outside)
    hits = float(cell.lost[left].sum())
    p_value = float(upper_tail(np.array(hits), tries, rate, weight))
    return p_value <= tests.cut and extra_losses(hits, tries, rate, weight)[1] > 0


def _rate_elsewhere(one: Journey, cell: Cell, left: Integers, is_outside: Flags) -> tuple[float, float]:
    """Rate to be expected of attempts from others at risk in the same weeks."""
    weeks = len(one.weeks)
    others = np.flatnonzero(is_outside & cell.at_risk)
    tries = np.bincount(one.week[others], minlength=weeks).astype(float)
    hits = np.bincount(one.week[others], weights=cell.lost[others], minlength=weeks)
    rate = drawn(hits, tries, hits.sum() / max(tries.sum(), 1))
    mine = np.bincount(one.week[left[cell.at_risk[left]]], minlength=weeks)
    share = mine / max(mine.sum(), 1)
    variance = float((share**2 / (tries + PRIOR_ATTEMPTS)).sum())
    return float((share * rate).sum()), min(1 / max(variance, 1e-12), max(tries.sum(), 1.0))


def _choose_rules(one: Journey, tests: Family, *, week: int, explained: Flags, carriers: Sequence[str]) -> list[Point]:
    """Rank signals by their extra losses, each by what those before it leave; all are shown.

    Cohorts that are told of apart are left out, of those who were hit and of those they are compared with.
    """
    points = [point for point in tests.points if point.week == week]
    hits = {(hit.place, hit.signal): hit for hit in tests.hit}
    if carriers:
        apart = ask_rules(without(one, explained), week=week)
        points, hits = apart.points, {(hit.place, hit.signal): hit for hit in apart.hit}
        for point in points:
            level(tests, point)
            point.left_out = list(carriers)
    counted = np.zeros(len(one), bool)
    points.sort(key=lambda point: (-round(point.extra[0], 6), point.signal, point.place))
    for point in points:
        if not _stands(point, tests.cut):
            continue
        hit = hits[(point.place, point.signal)]
        fresh = ~counted[hit.attempt] & np.isin(hit.attempt, point.attempts)
        if fresh.all() or (fresh.sum() >= MINIMUM_ATTEMPTS):
            alone = rule_point(one, hit, np.flatnonzero(fresh), week=week)
            point.is_ranked = _stands(alone, tests.cut) if not np.array_equal(alone.attempts, point.attempts) else True
        if point.is_ranked:
            counted[point.attempts] = True
        else:
            point.note = "Those who met it are told of by what is ranked above it."
    return points
