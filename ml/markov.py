"""Markov chains of journeys: the chance of success from each state, and what changes would make of it.

A state is the last one to three steps of an attempt; converted and lost end it. A journey's chain is fitted to whole
attempts, those whose window is over: of the others those that ended early would stand for all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, eye
from scipy.sparse.csgraph import breadth_first_order
from scipy.sparse.linalg import SuperLU, splu

from ml.evaluation import Z

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

OPEN, LOST, CONVERTED = 0, 1, 2
ORDERS = (1, 2, 3)
# More states than this are more than can be read or estimated.
MOST_STATES = 1_000
# Of more states only those with enough visits are shown.
MOST_SHOWN = 300
# A longer memory must foretell unseen attempts better by more than twice its standard error.
STANDARD_ERRORS = 2.0
# How much the distribution after a shorter past weighs where a longer one is rare, in transitions.
BACK_OFF = 5.0
# One attempt in five is kept apart to choose the memory.
KEPT_APART = 5
# Fewer visits of a step carry no what-if.
ENOUGH = 30
# A step that more of the conversions come by cannot be thought away.
LEAST_WITHOUT = 0.2
# From a step that is changed, the chain may be off by so much.
TOLERANCE = 0.05
OF_COMPANY = (
    "Half of the time or more the company, not the customer, takes this step, so what it brings is a question for an "
    "experiment."
)


@dataclass(frozen=True, kw_only=True)
class Moves:
    """All steps of all attempts as moves, the move to the outcome included.

    Attributes
    ----------
    attempts : ndarray of int, shape (moves,)
        Whose move it is; an attempt's moves are in order.
    to : ndarray of int, shape (moves,)
        The step moved to, or -CONVERTED or -LOST.
    past : ndarray of int, shape (moves, longest memory)
        The steps before, the last one first; -1 where there was none.
    """

    attempts: Integers
    to: Integers
    past: Integers


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A chain fitted to moves.

    Attributes
    ----------
    order : int
        How many last steps make a state.
    pasts : ndarray of int, shape (states, order)
        The steps of each state, the last one first, -1 before the first; the state before any step is the first.
    counts : csr_matrix, shape (states, states + 2)
        Moves from each state to each, then to lost and to converted.
    success, expected_steps, visits : ndarray of float, shape (states,)
        Chance to convert; further moves until the end; expected visits of an attempt.
    """

    order: int
    pasts: Integers
    counts: csr_matrix
    success: Floats
    expected_steps: Floats
    visits: Floats

    @property
    def conversion(self) -> float:
        """Share of attempts that convert."""
        return float(self.success[0])


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What a change would make of a journey's conversion.

    Attributes
    ----------
    change : str
        ``remove`` or ``improve``.
    step : int
        The step changed.
    after, difference, low, high : float
        The conversion, what it is more than before, and that difference's 95 % interval.
    """

    change: str
    step: int
    after: float
    difference: float
    low: float
    high: float


def moves(steps: Integers, attempts: Integers, statuses: Integers, *, longest: int = max(ORDERS)) -> Moves:
    """Turn the steps of attempts into moves.

    Parameters
    ----------
    steps, attempts : ndarray of int, shape (steps,)
        Codes of the steps from 0, and whose they are; sorted by attempt, in order.
    statuses : ndarray of int, shape (attempts,)
        OPEN, LOST or CONVERTED; an open attempt has no move to an outcome.
    longest : int
        How much of the past is kept.
    """
    lengths = np.bincount(attempts, minlength=len(statuses))
    ended = statuses != OPEN
    whose = np.repeat(np.arange(len(statuses)), lengths + ended)
    to = np.empty(len(whose), np.int64)
    ends = np.cumsum(lengths + ended) - 1
    is_step = np.ones(len(whose), bool)
    is_step[ends[ended]] = False
    to[is_step] = steps
    to[ends[ended]] = -statuses[ended]
    past = np.full((len(whose), longest), -1, np.int64)
    for back in range(1, longest + 1):
        same = whose[back:] == whose[:-back]
        past[back:, back - 1][same] = to[:-back][same]
    return Moves(attempts=whose, to=to, past=past)


def choose_order(walked: Moves, *, draws: Integers, orders: tuple[int, ...] = ORDERS) -> int:
    """Choose the memory by how well attempts kept apart are foretold; a longer one only if better beyond noise.

    Parameters
    ----------
    walked : Moves
        All moves.
    draws : ndarray of int, shape (attempts,)
        A number per attempt that has nothing to do with it; a fifth of them is kept apart.
    orders : tuple of int
        To choose from, ascending.

    Returns
    -------
    int
        The order.
    """
    apart = draws[walked.attempts] % KEPT_APART == 0
    if not apart.any() or apart.all():
        return orders[0]
    base = int(max(walked.to.max(initial=0), 0)) + 4
    to = walked.to + 2  # lost and converted are 1 and 0
    kinds = len(np.unique(to))
    chance = np.full(int(apart.sum()), 1.0 / kinds)
    scores: dict[int, Floats] = {}
    past = np.zeros(len(to), np.int64)
    for order in range(max(orders) + 1):
        if order:
            past = past * base + walked.past[:, order - 1] + 2
            if len(np.unique(past)) > MOST_STATES and order > orders[0]:
                break
        _, codes = np.unique(past, return_inverse=True)
        pairs, pair = np.unique(codes * base + to, return_inverse=True)
        of_past = np.bincount(codes[~apart], minlength=int(codes.max()) + 1)
        of_pair = np.bincount(pair[~apart], minlength=len(pairs))
        chance = (of_pair[pair[apart]] + BACK_OFF * chance) / (of_past[codes[apart]] + BACK_OFF)
        if order in orders:
            scores[order] = np.bincount(walked.attempts[apart], weights=np.log(chance), minlength=len(draws))[
                np.unique(walked.attempts[apart])
            ]
        past = codes.astype(np.int64)
    best = orders[0]
    for order in sorted(scores)[1:]:
        gain = scores[order] - scores[best]
        noise = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
        if gain.mean() > STANDARD_ERRORS * noise:
            best = order
    return best


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A chain with what each move is in it.

    Attributes
    ----------
    chain : Chain
        The chain.
    cells : ndarray of int, shape (moves,)
        Place of each move among the filled cells of the chain's counts; -1 for moves left out.
    arrivals : ndarray of int, shape (moves,)
        State in which each move arrives, then lost and converted; -1 where that is no state of the chain.
    """

    chain: Chain
    cells: Integers
    arrivals: Integers


def fit(walked: Moves, *, order: int) -> Fitted:
    """Estimate a chain by the shares of moves and solve it for its absorption.

    Moves to a state from which nobody has been seen to come to an end are left out, like the moves of open attempts
    that nobody has seen yet.

    Parameters
    ----------
    walked : Moves
        All moves.
    order : int
        How many last steps make a state.

    Raises
    ------
    ValueError
        If no attempt has ended.
    """
    base = int(walked.to.max(initial=0)) + 2
    origin_key = _key(walked.past[:, :order], base)
    keys = np.unique(np.concatenate([origin_key, [0]]))  # the start is 0, and so the first
    origin = np.searchsorted(keys, origin_key)
    size = len(keys)
    is_end = walked.to < 0
    ahead = _key(np.concatenate([walked.to[:, None], walked.past[:, : order - 1]], axis=1), base)
    arrivals = np.minimum(np.searchsorted(keys, ahead), size - 1)
    arrivals = np.where(keys[arrivals] == ahead, arrivals, -1)
    arrivals[is_end] = size + (-walked.to[is_end] - LOST)
    counted = arrivals >= 0
    links = csr_matrix((np.ones(counted.sum()), (origin[counted], arrivals[counted])), shape=(size + 2, size + 2))
    alive = _alive(links)
    if not alive[0]:
        raise ValueError("no attempt has ended")
    alive[size:] = True
    counted &= alive[np.maximum(arrivals, 0)]
    kept = np.flatnonzero(alive[:size])
    place = np.full(size + 2, -1, np.int64)
    place[kept] = np.arange(len(kept))
    place[size:] = len(kept) + np.arange(2)
    width = len(kept) + 2
    filled, cell = np.unique(place[origin[counted]] * width + place[arrivals[counted]], return_inverse=True)
    counts = csr_matrix(
        (np.bincount(cell).astype(np.float64), (filled // width, filled % width)), shape=(len(kept), width)
    )
    cells = np.full(len(origin), -1, np.int64)
    cells[counted] = cell
    success, expected, visits = solve(_shares(counts))
    pasts = np.stack([keys[kept] // base**back % base - 1 for back in range(order)], axis=1)
    chain = Chain(order=order, pasts=pasts, counts=counts, success=success, expected_steps=expected, visits=visits)
    return Fitted(chain=chain, cells=cells, arrivals=np.where(arrivals >= 0, place[np.maximum(arrivals, 0)], -1))


def _key(pasts: Integers, base: int) -> Integers:
    """One number for the steps of a past; 0 before the first step."""
    return np.asarray((pasts + 1) @ base ** np.arange(pasts.shape[1], dtype=np.int64))


def _alive(links: csr_matrix) -> Flags:
    """From which states an end is seen to be reached; the last two of the links are the ends."""
    size = links.shape[0] - 2
    alive = np.zeros(size + 2, bool)
    back = links.T.tocsr()
    for end in (size, size + 1):
        alive[breadth_first_order(back, end, return_predecessors=False)] = True
    return alive


def _shares(counts: csr_matrix) -> csr_matrix:
    totals = np.asarray(counts.sum(axis=1)).ravel()
    return csr_matrix(
        (counts.data / np.repeat(totals, np.diff(counts.indptr)), counts.indices, counts.indptr), counts.shape
    )


def solve(shares: csr_matrix) -> tuple[Floats, Floats, Floats]:
    """Solve an absorbing chain (Kemeny and Snell 1960).

    Parameters
    ----------
    shares : csr_matrix, shape (states, states + 2)
        Probability of each move, from each state; the last two columns are lost and converted.

    Returns
    -------
    success : ndarray, shape (states,)
        Chance to be absorbed in converted.
    expected_steps : ndarray, shape (states,)
        Moves until absorption.
    visits : ndarray, shape (states,)
        Expected visits of whoever starts in the first state.

    Raises
    ------
    ValueError
        If the first state leads to one from which no end is reached.
    """
    size = shares.shape[0]
    indptr = np.concatenate([shares.indptr, shares.indptr[[-1, -1]]])
    square = csr_matrix((shares.data, shares.indices, indptr), shape=(size + 2, size + 2), copy=True)
    square.eliminate_zeros()
    alive = _alive(square)[:size]
    reached = np.zeros(size + 2, bool)
    reached[breadth_first_order(square, 0, return_predecessors=False)] = True
    if (reached[:size] & ~alive).any():
        raise ValueError("some would never come to an end")
    inner = square[:size, :size][alive][:, alive]
    factors = splu((eye(inner.shape[0], format="csc") - inner.tocsc()).tocsc())
    success, expected, visits = np.zeros(size), np.full(size, np.inf), np.zeros(size)
    success[alive] = np.clip(factors.solve(np.asarray(square[:size, [size + 1]].todense()).ravel()[alive]), 0, 1)
    expected[alive] = factors.solve(np.ones(int(alive.sum())))
    begin = np.zeros(int(alive.sum()))
    begin[0] = 1.0
    visits[alive] = factors.solve(begin, trans="T")
    return success, expected, visits


def _factors(shares: csr_matrix) -> SuperLU:
    size = shares.shape[0]
    return splu((eye(size, format="csc") - shares[:, :size].tocsc()).tocsc())


class Uncertainty:
    """How far numbers of a chain move with the moves it was fitted to, each person's attempts taken as one draw.

    The delta method with the influence of each move: a number that grows by ``weight`` per move of a cell has the
    variance of the sums of the weights over persons.

    Parameters
    ----------
    fitted : Fitted
        The chain and its moves.
    clusters : ndarray of int, shape (moves,)
        Whose move each is.
    """

    def __init__(self, fitted: Fitted, clusters: Integers) -> None:
        known = fitted.cells >= 0
        _, person = np.unique(clusters[known], return_inverse=True)
        made = csr_matrix(
            (np.ones(known.sum()), (person, fitted.cells[known])),
            shape=(int(person.max(initial=-1)) + 1, fitted.chain.counts.nnz),
        )
        made.sum_duplicates()
        self._products = (made.T @ made).tocsr()
        self._count = made.shape[0]

    def variance(self, weights: Floats) -> float:
        """Variance of a number from the influence of one more move of each cell."""
        return float(max(0.0, weights @ (self._products @ weights)) * self._count / max(self._count - 1, 1))


def influence(chain: Chain, visits: Floats, slopes: Floats) -> Floats:
    """Influence of one more move of each cell on a number whose slope along each cell's share is known.

    Parameters
    ----------
    chain : Chain
        The chain.
    visits : ndarray, shape (states,)
        How often each state is passed on the way that the number is about.
    slopes : ndarray, shape (cells,)
        How much the number moves with the share of each filled cell, per visit.
    """
    shares = _shares(chain.counts)
    origin = np.repeat(np.arange(shares.shape[0]), np.diff(shares.indptr))
    totals = np.asarray(chain.counts.sum(axis=1)).ravel()
    mean = np.bincount(origin, weights=shares.data * slopes, minlength=shares.shape[0])
    return np.asarray(visits[origin] * (slopes - mean[origin]) / totals[origin])


def success_intervals(chain: Chain, uncertainty: Uncertainty, *, states: Integers) -> tuple[Floats, Floats]:
    """95 % intervals of the chance of success from some states (Wilson's, of as many draws as the variance tells)."""
    size = len(chain.success)
    factors = _factors(_shares(chain.counts))
    values = np.concatenate([chain.success, [0.0, 1.0]])[chain.counts.indices]
    totals = np.asarray(chain.counts.sum(axis=1)).ravel()
    low, high = np.empty(len(states)), np.empty(len(states))
    for place, state in enumerate(states.tolist()):
        begin = np.zeros(size)
        begin[state] = 1.0
        visits = factors.solve(begin, trans="T")
        variance = uncertainty.variance(influence(chain, visits, values))
        rate = float(chain.success[state])
        spread = rate * (1 - rate)
        draws = spread / variance if variance > 1e-18 and spread > 1e-12 else float(totals[state])
        low[place], high[place] = wilson(rate, draws)
    return low, high


def wilson(rate: float, draws: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share, 95 %."""
    middle = (rate * draws + Z**2 / 2) / (draws + Z**2)
    reach = Z * np.sqrt(rate * (1 - rate) * draws + Z**2 / 4) / (draws + Z**2)
    return float(min(rate, max(0.0, middle - reach))), float(max(rate, min(1.0, middle + reach)))


def what_if(chain: Chain, uncertainty: Uncertainty, *, change: str, step: int) -> WhatIf:
    """Work out the conversion after a change, with the interval of the difference.

    Parameters
    ----------
    chain : Chain
        As things are.
    uncertainty : Uncertainty
        Of the same chain.
    change : str
        ``improve``: half of the moves from the step to lost go where the step's other moves go. ``remove``: whoever
        would have come to the step goes where the others go from there, in their proportions; where all go to it,
        they go on as those who were there do.
    step : int
        The step.

    Raises
    ------
    ValueError
        If without the step some would never come to an end.
    """
    shares = _shares(chain.counts)
    size = shares.shape[0]
    origin = np.repeat(np.arange(size), np.diff(shares.indptr))
    target = shares.indices
    is_there = np.concatenate([chain.pasts[:, 0] == step, [False, False]])
    before = np.concatenate([chain.success, [0.0, 1.0]])
    if change == "improve":
        lost = target == size
        mine = is_there[:size][origin]
        gone = np.bincount(origin[lost], weights=shares.data[lost], minlength=size)
        stays = 1 - gone
        # Where all are lost nobody shows where else they would go.
        factor = np.where(stays > 1e-12, (1 - gone / 2) / np.maximum(stays, 1e-12), 1.0)
        data = shares.data.copy()
        mended = mine & (stays[origin] > 1e-12)
        data[mended & lost] /= 2
        data[mended & ~lost] *= factor[origin[mended & ~lost]]
        changed = csr_matrix((data, target, shares.indptr), shares.shape)
        success, _, visits = solve(changed)
        after = np.concatenate([success, [0.0, 1.0]])
        # Slopes along the cells of a changed row: others' mean is m, so its value is (1 - g / 2) m.
        others = np.bincount(
            origin[~lost], weights=shares.data[~lost] * after[target[~lost]], minlength=size
        ) / np.maximum(stays, 1e-12)
        slopes = after[target].copy()
        of_lost = -others[origin] / 2
        of_other = factor[origin] * (after[target] - others[origin])
        slopes[mended] = np.where(lost, of_lost, of_other)[mended]
    else:
        goes_there = is_there[target]
        there = np.bincount(origin[goes_there], weights=shares.data[goes_there], minlength=size)
        stays = 1 - there
        data = np.where(goes_there, 0.0, shares.data / np.maximum(stays[origin], 1e-12))
        stuck = stays <= 1e-12
        data[stuck[origin]] = shares.data[stuck[origin]]
        changed = csr_matrix((data, target, shares.indptr), shares.shape)
        success, _, visits = solve(changed)
        after = np.concatenate([success, [0.0, 1.0]])
        others = np.asarray(np.bincount(origin, weights=data * after[target], minlength=size), np.float64)
        slopes = np.where(goes_there, 0.0, (after[target] - others[origin]) / np.maximum(stays[origin], 1e-12))
        slopes[stuck[origin]] = after[target][stuck[origin]]
    weights = influence(chain, visits, slopes) - influence(chain, chain.visits, before[target])
    reach = Z * np.sqrt(uncertainty.variance(weights))
    difference = float(success[0]) - chain.conversion
    return WhatIf(
        change=change,
        step=step,
        after=float(success[0]),
        difference=difference,
        low=float(max(-1.0, difference - reach)),
        high=float(min(1.0, difference + reach)),
    )


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a journey's chain tells, with codes for its steps.

    Attributes
    ----------
    states, next_steps, what_ifs : list of dict
        Rows; steps by their codes, ``past`` the last one first, ``next`` -LOST and -CONVERTED for the ends.
    sentence : str
        What was found, or why nothing.
    """

    states: list[dict[str, Any]]
    next_steps: list[dict[str, Any]]
    what_ifs: list[dict[str, Any]]
    sentence: str


def account(
    steps: Integers,
    attempts: Integers,
    *,
    statuses: Integers,
    persons: Integers,
    draws: Integers,
    company_steps: Collection[int] = (),
) -> Account:
    """Fit a journey's chain and tell its states, what comes next, and what changes would make of it.

    Only converted and lost attempts count, with all their steps. The chain reproduces a journey if the share that it
    makes convert lies within the 95 % interval (Wilson) of what they show; being fitted to all of them, it does unless
    something went wrong. What-ifs are offered only then, and only for steps from which the chain is right to within
    five points about those who came there. They carry associations forward: who is spared a loss is taken to
    go on as those who were never in danger.

    Parameters
    ----------
    steps, attempts : ndarray of int, shape (steps,)
        Codes of the steps from 0, and whose they are; sorted by attempt, in order.
    statuses, persons : ndarray of int, shape (attempts,)
        OPEN (or its window still runs), LOST or CONVERTED; whose attempt it is.
    draws : ndarray of int, shape (attempts,)
        A number per attempt that has nothing to do with it, for keeping some apart.
    company_steps : collection of int
        Codes of the steps that are the company's: no change to them is offered.
    """
    over = statuses != OPEN
    closed = int(over.sum())
    if closed < ENOUGH:
        told = f"The window of {closed} attempts is over: too few."
        return Account(states=[], next_steps=[], what_ifs=[], sentence=told)
    kept = over[attempts]
    steps, attempts = steps[kept], (np.cumsum(over) - 1)[attempts[kept]]
    statuses, persons, draws = statuses[over], persons[over], draws[over]
    walked = moves(steps, attempts, statuses)
    order = choose_order(walked, draws=draws)
    fitted = fit(walked, order=order)
    chain = fitted.chain
    uncertainty = Uncertainty(fitted, persons[walked.attempts])
    observed = float((statuses == CONVERTED).sum() / closed)
    low, high = wilson(observed, closed)
    is_reproduced = bool(low <= chain.conversion <= high)
    told = f"The chain makes {chain.conversion:.1%} convert; {observed:.1%} did ({low:.1%} to {high:.1%})."
    totals = np.asarray(chain.counts.sum(axis=1)).ravel()
    shown = np.flatnonzero(totals >= ENOUGH) if len(totals) > MOST_SHOWN else np.arange(len(totals))
    success_low, success_high = success_intervals(chain, uncertainty, states=shown)
    states = [
        {
            "model_order": order,
            "past": chain.pasts[state].tolist(),
            "visit_count": int(totals[state]),
            "success_probability": float(chain.success[state]),
            "success_low": float(success_low[place]),
            "success_high": float(success_high[place]),
            "expected_steps": float(chain.expected_steps[state]),
            "observed_conversion_rate": observed,
            "observed_low": low,
            "observed_high": high,
            "chain_conversion_rate": chain.conversion,
            "is_reproduced": is_reproduced,
        }
        for place, state in enumerate(shown.tolist())
    ]
    return Account(
        states=states,
        next_steps=_next_steps(walked),
        what_ifs=_what_ifs(
            fitted,
            uncertainty,
            walked,
            statuses,
            company_steps=company_steps,
            is_reproduced=is_reproduced,
            told=told,
        ),
        sentence=f"Memory of {order}. {told}",
    )


def _next_steps(walked: Moves) -> list[dict[str, Any]]:
    """What follows each step, whatever came before it."""
    base = int(walked.to.max(initial=0)) + 3
    pairs, counts = np.unique((walked.past[:, 0] + 1) * base + walked.to + 2, return_counts=True)
    step, to = pairs // base - 1, pairs % base - 2
    totals = np.bincount(step + 1, weights=counts)[step + 1].astype(np.int64)
    by_rank = np.lexsort((to, -counts, step))
    ranks = np.empty(len(pairs), np.int64)
    first = np.searchsorted(step[by_rank], step[by_rank], side="left")
    ranks[by_rank] = np.arange(len(pairs)) - first + 1
    rows = []
    for place in range(len(pairs)):
        probability = float(counts[place] / totals[place])
        low, high = wilson(probability, float(totals[place]))
        rows.append(
            {
                "step": int(step[place]),
                "next": int(to[place]),
                "transition_count": int(counts[place]),
                "probability": probability,
                "probability_low": low,
                "probability_high": high,
                "top_rank": int(ranks[place]) if totals[place] >= ENOUGH else None,
            }
        )
    return rows


def _what_ifs(
    fitted: Fitted,
    uncertainty: Uncertainty,
    walked: Moves,
    statuses: Integers,
    *,
    company_steps: Collection[int],
    is_reproduced: bool,
    told: str,
) -> list[dict[str, Any]]:
    """Both changes of every step that enough attempts came to."""
    chain = fitted.chain
    size = len(chain.success)
    # Of each attempt the first arrival at each step.
    arrived = np.flatnonzero((walked.to >= 0) & (fitted.arrivals >= 0))
    base = int(walked.to.max(initial=0)) + 1
    _, first = np.unique(walked.attempts[arrived] * base + walked.to[arrived], return_index=True)
    arrived = arrived[first]
    at = walked.to[arrived]
    came = np.bincount(at, minlength=base)
    converted = np.bincount(at, weights=statuses[walked.attempts[arrived]] == CONVERTED, minlength=base)
    foretold = np.bincount(at, weights=chain.success[np.minimum(fitted.arrivals[arrived], size - 1)], minlength=base)
    conversions = int((statuses == CONVERTED).sum())
    without = conversions - converted
    rows = []
    for step in np.flatnonzero(came >= ENOUGH).tolist():
        said, seen = float(foretold[step] / came[step]), float(converted[step] / came[step])
        for change in ("improve", "remove"):
            row = {
                "change": change,
                "step": step,
                "conversion_before": chain.conversion,
                "conversion_after": None,
                "difference": None,
                "difference_low": None,
                "difference_high": None,
                "is_offered": False,
                "reason": told,
            }
            rows.append(row)
            if step in company_steps:
                row["reason"] = OF_COMPANY
                continue
            if not is_reproduced:
                continue
            if change == "remove" and without[step] < max(ENOUGH, LEAST_WITHOUT * conversions):
                row["reason"] = (
                    f"Of {conversions:,} conversions {int(without[step]):,} came without this step: too few to show "
                    "how it goes without it."
                )
                continue
            if abs(said - seen) > TOLERANCE:
                row["reason"] = (
                    f"From this step the chain makes {said:.1%} convert; of those who came to it {seen:.1%} did."
                )
                continue
            try:
                found = what_if(chain, uncertainty, change=change, step=step)
            except ValueError:
                row["reason"] = "Without this step some would never be seen to come to an end."
                continue
            row |= {
                "conversion_after": found.after,
                "difference": found.difference,
                "difference_low": found.low,
                "difference_high": found.high,
                "is_offered": True,
            }
    return rows
