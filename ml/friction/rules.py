"""Rules: attempts that met a signal against matched ones that went on without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.friction.chances import PRIOR_ATTEMPTS, Floats, Integers, drawn, extra_losses, least, upper_tail
from ml.friction.journey import LONG_WAIT, SIGNALS, SUPPORT_CONTACT, Journey, attempts_by
from ml.friction.points import MINIMUM_ATTEMPTS, Family, Hit, Point

# Rows about fewer attempts are not even shown.
SHOWN_ATTEMPTS = 5
# Whoever does none of these may have gone on by nothing but converting, so that moves alone do not tell.
_INSTEAD_OF_GOING_ON = ("backtrack", "repeat", LONG_WAIT)
# Steps so far are matched one by one up to eight, then in ever wider steps.
_STEP_EDGES = np.array([*range(1, 10), 12, 16, 24, 40, 80])


@dataclass(kw_only=True)
class _Moves:
    """Every step as a move from the stage before, with the losses of those who made moves of the same kind.

    ``key`` numbers the pairs of the stage before and the steps so far, ``cell`` those with the week and stratum too.
    """

    key: Integers
    stage_of_key: Integers
    cell: Integers
    lost: Floats
    tries: Floats
    losses: Floats

    @classmethod
    def of(cls, one: Journey) -> _Moves:
        """Count the moves of a journey."""
        steps = np.searchsorted(_STEP_EDGES, one.number, side="right")
        _, stage = np.unique(one.before, return_inverse=True)
        _, key = np.unique(stage * 100 + steps, return_inverse=True)
        keys = int(key.max(initial=-1)) + 1
        stage_of_key = np.zeros(keys, np.int64)
        stage_of_key[key] = stage
        lost = one.is_lost[one.attempt].astype(float)
        cell = (one.week[one.attempt] * keys + key) * one.stratum_count + one.stratum[one.attempt]
        size = len(one.weeks) * keys * one.stratum_count
        tries = np.bincount(cell, minlength=size).astype(float)
        losses = np.bincount(cell, weights=lost, minlength=size).astype(float)
        return cls(key=key, stage_of_key=stage_of_key, cell=cell, lost=lost, tries=tries, losses=losses)


def ask_rules(one: Journey, *, week: int | None = None) -> Family:
    """Compare who met a signal with those who went on from the same stage after as many steps without it.

    Parameters
    ----------
    one : Journey
        The journey.
    week : int, optional
        Only this of its weeks, or -1 for all of them together; without it every week and all together.

    Returns
    -------
    Family
        Points that are many enough to be shown, not ranked yet, and who was hit.
    """
    moves, at_stage = _Moves.of(one), attempts_by(one, one.stage)
    points: list[Point] = []
    hits: list[Hit] = []
    for signal in range(len(SIGNALS) - 1):
        met = np.flatnonzero(one.flags[:, signal])
        # A contact is the move after the step that it stands with.
        is_after = SIGNALS[signal] == SUPPORT_CONTACT
        met = met[~one.is_last[met]] if is_after else met
        for place in np.unique(one.place[met]):
            at = met[one.place[met] == place]
            first = at[np.unique(one.attempt[at], return_index=True)[1]]
            expected, variance = _match(one, moves, move=first + 1 if is_after else first)
            others = at_stage[one.places[place][0]].copy()
            others[one.attempt[first]] = False
            hit = Hit(
                place=int(place),
                signal=signal,
                attempt=one.attempt[first],
                expected=expected,
                variance=variance,
                others=others,
            )
            hits.append(hit)
            points += _rule_points(one, hit, week=week)
    told = np.array([point.p_value for point in points if point.p_value is not None])
    return Family(points=points, p_values=told, hit=hits)


def _match(one: Journey, moves: _Moves, *, move: Integers) -> tuple[Floats, Floats]:
    """Expected loss of attempts at their moves, from moves without the signal: same week, stage, steps and kind.

    What few tell is drawn to what more do: a week's to all weeks', a kind's (first channel and device) to all kinds',
    a number of steps to the stage's.
    """
    shape = (len(one.weeks), len(moves.stage_of_key), one.stratum_count)
    # From the signal on an attempt is no example of one without it.
    since = np.full(len(one), np.iinfo(np.int64).max)
    since[one.attempt[move]] = one.number[move]
    with_it = np.flatnonzero(one.number >= since[one.attempt])
    size = len(moves.tries)
    tries = (moves.tries - np.bincount(moves.cell[with_it], minlength=size)).reshape(shape)
    losses = moves.losses - np.bincount(moves.cell[with_it], weights=moves.lost[with_it], minlength=size)
    losses = losses.reshape(shape)
    by_key = tries.sum(axis=(0, 2)), losses.sum(axis=(0, 2))
    by_stage = [np.bincount(moves.stage_of_key, weights=part) for part in by_key]
    stage_rate = drawn(by_stage[1], by_stage[0], by_key[1].sum() / max(by_key[0].sum(), 1))
    key_rate = drawn(by_key[1], by_key[0], stage_rate[moves.stage_of_key])
    kind_rate = drawn(losses.sum(axis=0), tries.sum(axis=0), key_rate[:, None])
    cell = (one.week[one.attempt[move]], moves.key[move], one.stratum[one.attempt[move]])
    rate = drawn(losses[cell], tries[cell], kind_rate[cell[1:]])
    # The reference weighs as many moves as it has, and its parent's at most as many as that is drawn to.
    weight = tries[cell] + np.minimum(PRIOR_ATTEMPTS, tries.sum(axis=0)[cell[1:]]) + 1
    return rate, rate * (1 - rate) / weight


def _rule_points(one: Journey, hit: Hit, *, week: int | None) -> list[Point]:
    """The signal at the place in all weeks together and in every week, or in one of these."""
    weeks = one.week[hit.attempt]
    points = []
    for slice_ in (-1, *np.unique(weeks)) if week is None else (week,):
        mine = np.arange(len(weeks)) if slice_ < 0 else np.flatnonzero(weeks == slice_)
        if len(mine) >= (SHOWN_ATTEMPTS if slice_ < 0 else MINIMUM_ATTEMPTS):
            points.append(rule_point(one, hit, mine, week=int(slice_)))
    return points


def rule_point(one: Journey, hit: Hit, mine: Integers, *, week: int) -> Point:
    """Count some of those who were hit."""
    met = hit.attempt[mine]
    tries, lost = len(mine), int(one.is_lost[met].sum())
    rate = float(hit.expected[mine].mean()) if tries else 0.0
    # Expectations of one group stand or fall together.
    weight = rate * (1 - rate) / max(float(hit.variance[mine].mean()), 1e-12) if tries else 1.0
    weight = min(weight * _distinct(one, hit, mine), 1e7)
    others = hit.others if week < 0 else hit.others & (one.week == week)
    others_lost, others_count = int((others & one.is_lost).sum()), int(others.sum())
    references = [(rate, weight)]
    if SIGNALS[hit.signal] in _INSTEAD_OF_GOING_ON and others_count:
        references.append((others_lost / others_count, float(others_count)))
    is_enough = tries >= MINIMUM_ATTEMPTS
    tails = [float(upper_tail(np.array(lost), tries, *reference)) for reference in references] if is_enough else []
    return Point(
        week=week,
        place=hit.place,
        signal=hit.signal,
        cohort=-1,
        attempt_count=tries,
        lost_count=lost,
        extra=least(*(extra_losses(lost, tries, *reference) for reference in references)),
        p_value=max(tails, default=None),
        ratio=0.0,
        attempts=met,
        lost=met[one.is_lost[met]],
        hit_count=tries,
        reference=(others_lost, others_count),
    )


def _distinct(one: Journey, hit: Hit, mine: Integers) -> float:
    """How many groups that differ the expectations come from, each weighed by its attempts."""
    group = one.week[hit.attempt[mine]] * one.stratum_count + one.stratum[hit.attempt[mine]]
    counts = np.unique(group, return_counts=True)[1].astype(float)
    return float(counts.sum() ** 2 / (counts**2).sum())
