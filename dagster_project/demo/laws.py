"""The laws the demo company lives by: the chances that behaviour is drawn from, and what follows from them exactly.

Behaviour moves in weeks that begin on Monday 00:00 UTC. Who has an account is, each week, dormant, light or heavy in
use (no session, one, several), and next week's level depends on this week's alone. What may happen in a week (paying,
giving up, cancelling, asking for help) depends on levels, contacts and touches of the weeks before, all of which
are in the exports, and on nothing hidden. So the chance of a conversion within 14 days or a cancellation within 30,
given the logged history up to a Monday, is a finite Markov chain and is computed here, not estimated.
"""

from __future__ import annotations

import numpy as np

DORMANT, LIGHT, HEAVY = range(3)
NO_TOUCH, ONBOARDING_CALL, WEBINAR = range(3)
TOUCHES = ("none", "onboarding_call", "webinar_attended")

# Next week's level (columns) by this week's (rows).
TRIAL_LEVELS = np.array([[0.72, 0.22, 0.06], [0.24, 0.48, 0.28], [0.08, 0.26, 0.66]])
PAYING_LEVELS = np.array([[0.82, 0.15, 0.03], [0.14, 0.60, 0.26], [0.03, 0.19, 0.78]])
FIRST_LEVELS = np.array([0.28, 0.42, 0.30])
# Weeks after which somebody who never paid is not heard of again, the week of the sign-up being 0.
TRIAL_WEEKS = 13

CHECKOUT_SUCCESS = 0.70
BROKEN_CHECKOUT_SUCCESS = 0.25
# A plan is tried for once more after a failure, with this probability, at least a day later in the same week.
PLAN_RETRY = 0.40
PACK_RETRY = 0.35
PLAN_SUCCESS = CHECKOUT_SUCCESS + (1 - CHECKOUT_SUCCESS) * PLAN_RETRY * CHECKOUT_SUCCESS

IMPORT_DONE, CONFUSED_IMPORT_DONE = 0.86, 0.52

# Expected checkouts of packs per paying person and week, by level.
PACKS = np.array([0.07, 0.48, 0.92])
# Chance of asking for help in a week, by that week's level: on trial, paying.
TRIAL_CONTACT = np.array([0.06, 0.16, 0.20])
PAYING_CONTACT = np.array([0.025, 0.07, 0.09])
# Of monthly renewals: cards that fail for good.
UNPAID = 0.012

# Chance that an eligible attempt is next touched by a call or a webinar, by the level of the week before. Calls are
# offered nearly at random; webinars attract those who use the product anyway: that is the logged confounder.
TOUCH_CHANCES = np.array([[0.24, 0.05], [0.28, 0.20], [0.28, 0.44]])
CALL_LIFT, WEBINAR_LIFT, STUCK_LIFT = 0.75, 0.0, -0.7
_WANTS_PLAN = -1.75
_WANTS_BY_LEVEL = np.array([-1.5, 0.0, 1.0])
_WANTS_BY_AGE = np.array([-0.6, 0.2, 0.5, 0.0, -0.6, -1.2, -1.4, -1.6, -1.8, -1.9, -2.0, -2.1, -2.2])
_GIVES_UP = -2.5
_GIVES_UP_BY_LEVEL = np.array([0.8, 0.0, -1.2])
_CANCELS = -5.75
_CANCELS_BY_LEVEL = np.array([1.9, 0.0, -1.2])
_CANCELS_AFTER_CONTACT = 1.8


def chance(logit: np.ndarray | float) -> np.ndarray:
    """Probability of a logit."""
    return 1 / (1 + np.exp(-np.asarray(logit, float)))


def draw(rng: np.random.Generator, shares: np.ndarray) -> np.ndarray:
    """Draw a column for each row of shares; what is missing to one is the last column."""
    drawn = (rng.random((len(shares), 1)) > np.cumsum(shares, axis=1)).sum(axis=1)
    return np.minimum(drawn, shares.shape[1] - 1)


def pays(
    *, level: np.ndarray, age: np.ndarray, touch: np.ndarray | int, is_stuck: np.ndarray, lift: np.ndarray
) -> np.ndarray:
    """Chance of paying in a week on trial.

    Parameters
    ----------
    level : numpy.ndarray
        Level of the week before; in the week of the sign-up LIGHT stands for it.
    age : numpy.ndarray
        Weeks since the week of the sign-up.
    touch : numpy.ndarray or int
        What reached the person first after that week: NO_TOUCH, ONBOARDING_CALL or WEBINAR.
    is_stuck : numpy.ndarray
        Whether the import of the onboarding was never finished.
    lift : numpy.ndarray
        Lift of the channel of the first visit, on the logit.
    """
    return wants_plan(level=level, age=age, touch=touch, is_stuck=is_stuck, lift=lift) * PLAN_SUCCESS


def wants_plan(
    *, level: np.ndarray, age: np.ndarray, touch: np.ndarray | int, is_stuck: np.ndarray, lift: np.ndarray
) -> np.ndarray:
    """Chance of starting the checkout of a plan in a week on trial; parameters as for ``pays``."""
    touch = np.asarray(touch)
    by_touch = CALL_LIFT * (touch == ONBOARDING_CALL) + WEBINAR_LIFT * (touch == WEBINAR)
    by_age = _WANTS_BY_AGE[np.minimum(age, TRIAL_WEEKS - 1)]
    wants = chance(_WANTS_PLAN + _WANTS_BY_LEVEL[level] + by_age + by_touch + STUCK_LIFT * is_stuck + lift)
    return np.where(np.asarray(age) < TRIAL_WEEKS, wants, 0.0)


def gives_up(*, level: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Chance that somebody on trial who does not pay in a week cancels the trial in it."""
    return chance(_GIVES_UP + _GIVES_UP_BY_LEVEL[level] + 0.4 * (np.asarray(age) >= 2))


def cancels(*, level: np.ndarray, contacted: np.ndarray) -> np.ndarray:
    """Chance that somebody who pays cancels in a week, by level and contact of the week before."""
    return chance(_CANCELS + _CANCELS_BY_LEVEL[level] + _CANCELS_AFTER_CONTACT * np.asarray(contacted))


def part_of_week(probability: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """When in the week something of that weekly probability happens: a share of the week, its hazard constant."""
    return np.log1p(-luck * probability) / np.log1p(-probability)


def paying_within(
    weeks: np.ndarray | float,
    *,
    level: np.ndarray,
    age: np.ndarray,
    touch: np.ndarray,
    is_stuck: np.ndarray,
    lift: np.ndarray,
) -> np.ndarray:
    """Chance of paying within some weeks from a Monday on, for people on trial.

    Parameters
    ----------
    weeks : numpy.ndarray or float
        How many; of a last part of a week, that share of its conversions.
    level, age, is_stuck, lift : numpy.ndarray
        As for ``pays``, as of that Monday.
    touch : numpy.ndarray
        As for ``pays``; -1 where it is still to be drawn, at age 1 only.

    Returns
    -------
    numpy.ndarray
        Probabilities.
    """
    unknown = np.asarray(touch) < 0
    if unknown.any():
        known = {"age": age, "is_stuck": is_stuck, "lift": lift, "level": level}
        by_touch = [paying_within(weeks, touch=np.full(len(level), t), **known) for t in range(len(TOUCHES))]
        call, webinar = TOUCH_CHANCES[level].T
        mixed = (1 - call - webinar) * by_touch[0] + call * by_touch[1] + webinar * by_touch[2]
        return np.where(unknown, mixed, paying_within(weeks, touch=np.maximum(touch, 0), **known))
    weeks = np.broadcast_to(np.asarray(weeks, float), len(level))
    at_level = np.zeros((len(level), 3))
    at_level[np.arange(len(level)), level] = 1
    total = np.zeros(len(level))
    for week in range(int(np.ceil(weeks.max(initial=0)))):
        for one in range(3):
            here, all_of = at_level[:, one].copy(), np.full(len(level), one)
            paid = pays(level=all_of, age=age + week, touch=touch, is_stuck=is_stuck, lift=lift)
            total += here * paid * np.clip(weeks - week, 0, 1)
            at_level[:, one] = here * (1 - paid) * (1 - gives_up(level=all_of, age=age + week))
        at_level = at_level @ TRIAL_LEVELS
    return total


def cancelling_within_30_days(*, level: np.ndarray, contacted: np.ndarray) -> np.ndarray:
    """Chance that somebody who pays cancels within 30 days of a Monday, by level and contact of the week before."""
    levels, contacts = np.meshgrid(np.arange(3), np.arange(2), indexing="ij")
    weekly = cancels(level=levels, contacted=contacts)
    stays = (1 - weekly) ** (2 / 7)
    asks = np.stack([1 - PAYING_CONTACT, PAYING_CONTACT], axis=1)
    for _ in range(4):
        stays = (1 - weekly) * (PAYING_LEVELS @ (asks * stays).sum(axis=1))[:, None]
    return 1 - stays[level, np.asarray(contacted, np.int64)]
