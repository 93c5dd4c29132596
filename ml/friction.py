"""Friction: where people stall, whom it hits, and what it costs.

Two questions are asked of every journey, for each week and for all weeks together.

*Rules.* Attempts that met a signal (an error, a long wait …) at a touchpoint of a stage are compared with matched
ones: those that went on from the same stage after as many steps, without it. Both had got that far and both made
another move, so that nobody is counted as spared who had left before the signal could reach them, and nobody as hit
because they lived long enough to be. Where going on without the signal may mean no more than to convert (going back,
coming back, waiting), more must be lost than of all others who came to the stage as well: both must hold.

*Comparison.* Of every cohort (a value of an app version, os, device, browser, country or campaign, or of two of them)
it is asked whether more of its attempts were lost at a place than matched ones elsewhere in the same week, and than its
own in the weeks before; both must hold. Of all attempts together it is asked of the last touch before a loss,
against the weeks before.

Losses are counted on attempts whose window has passed, so that none is open. What a cohort loses at one place it may no
longer lose at another: its extra losses are never more than it lost in all above what is expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from scipy.special import betaln, gammaln

from ml.evaluation import Z

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

DROP_OFF = "drop-off"
LONG_WAIT = "long wait"
SUPPORT_CONTACT = "support contact"
# In the order in which one stands for another where two tell the same of the same attempts.
SIGNALS = ("error", "rage", "negative message", SUPPORT_CONTACT, "backtrack", "repeat", LONG_WAIT, DROP_OFF)
# The attributes of an attempt that may carry friction, in the order in which they are named.
COHORTS = ("os", "app_version", "device_type", "browser", "country", "campaign")
COHORT_PAIRS = (
    ("os", "app_version"),
    ("os", "browser"),
    ("device_type", "browser"),
    ("device_type", "country"),
    ("device_type", "campaign"),
)
# What somebody has who has none, such as the app's version in a browser: known, and no cohort.
NONE = "(none)"
ALL = "all"
UNKNOWN = "unknown"

MINIMUM_ATTEMPTS = 30
# A signal with fewer losses in the whole journey is no place to look for cohorts.
MINIMUM_LOSSES = 10
# Rows about fewer attempts are not even shown.
SHOWN_ATTEMPTS = 5
FALSE_DISCOVERIES = 0.05
REFERENCE_WEEKS, MINIMUM_REFERENCE_WEEKS = 26, 4
# A group weighs as much as its parent at this many attempts.
PRIOR_ATTEMPTS = 20
# A week in which a cohort did so badly is no reference for the weeks after it.
BAD_WEEK = 1e-4
# A wait is long above this share of the waits before the same touchpoint, and an hour at least.
LONG_WAIT_QUANTILE, LONG_WAIT_HOURS = 0.9, 1.0
# Attempts are matched on so many pairs of first channel and device, and the others as one.
STRATA_APART = 7
# Of each dimension, or two, the cohorts with most attempts; of all places and signals those with most losses.
MOST_COHORTS, MOST_CELLS = 20, 80
# How people go about it differs by the campaign that brought them; that is no friction that the campaign carries.
_WAYS_OF_PEOPLE = ("negative message", SUPPORT_CONTACT, "backtrack", "repeat", LONG_WAIT)
# Whoever does none of these may have gone on by nothing but converting, so that moves alone do not tell.
_INSTEAD_OF_GOING_ON = ("backtrack", "repeat", LONG_WAIT)
# Steps so far are matched one by one up to eight, then in ever wider steps.
_STEP_EDGES = np.array([*range(1, 10), 12, 16, 24, 40, 80])
# Below so many standard deviations a test cannot reach the level of false discoveries; it counts as p = 1.
_HOPELESS = 2.0

POINTS = pa.schema(
    [
        ("journey", pa.string()),
        ("week", pa.string()),
        ("week_start_date", pa.date32()),
        ("rank", pa.int64()),
        ("stage_order", pa.int64()),
        ("stage", pa.string()),
        ("touchpoint", pa.string()),
        ("signal", pa.string()),
        ("cohort_dimension", pa.string()),
        ("cohort", pa.string()),
        ("attempt_count", pa.int64()),
        ("lost_count", pa.int64()),
        ("expected_lost_count", pa.float64()),
        ("extra_lost_count", pa.float64()),
        ("extra_lost_low", pa.float64()),
        ("extra_lost_high", pa.float64()),
        ("value_per_conversion_amount", pa.decimal128(18, 2)),
        ("value_at_risk_amount", pa.decimal128(18, 2)),
        ("value_low", pa.decimal128(18, 2)),
        ("value_high", pa.decimal128(18, 2)),
        ("value_currency", pa.string()),
        ("p_value", pa.float64()),
        ("q_value", pa.float64()),
        ("is_ranked", pa.bool_()),
        ("from_date", pa.date32()),
        ("to_date", pa.date32()),
        ("owner", pa.string()),
        ("evidence", pa.string()),
        ("likely_cause", pa.string()),
        ("recommendation", pa.string()),
        ("expected_gain_amount", pa.decimal128(18, 2)),
        ("expected_gain_basis", pa.string()),
    ]
)


def find_friction(
    attempts: pa.Table, steps: pa.Table, *, journeys: pa.Table, stages: pa.Table, playbooks: pa.Table
) -> pa.Table:
    """Find where journeys lose more than they should, whom it hits, and what that is worth.

    Parameters
    ----------
    attempts : pyarrow.Table
        One row per attempt whose window has passed: ``attempt_id, journey, week_start_date, started_on`` (dates),
        ``first_channel, is_lost`` and what is known of it: ``os, app_version, device_type, browser, country, campaign``
        (null where nobody said).
    steps : pyarrow.Table
        One row per step: ``attempt_id, step_number, stage_order, touchpoint``; ``step_kind`` (``touch``; ``company``
        where the company alone acted; ``end`` for what ended the attempt and nothing else); ``waited_hours`` since the
        touch before; ``friction_signals``, names separated by ``|``, of which ``support contact`` stands with the step
        before the contact. Long waits and drop-off are found here.
    journeys : pyarrow.Table
        ``journey, value_amount, value_currency`` (what a conversion is worth; null where that is unknown), ``owner``.
    stages : pyarrow.Table
        ``journey, stage_order, stage``.
    playbooks : pyarrow.Table
        ``playbook_id, journey, stage, touchpoint, signal, cohort_dimension, likely_cause, recommendation,
        expected_recovery_low, expected_recovery_high, basis, owner``; ``*`` means any. The line that names most wins.

    Returns
    -------
    pyarrow.Table
        Of schema ``POINTS``, one row per journey, week (a Monday, or ``all``), stage, touchpoint, signal and cohort.
        Counts and extra losses are of attempts. Points share attempts: their values must not be added.

    Notes
    -----
    P-values are upper tails of beta-binomials, in which what is expected is as uncertain as its reference is small;
    intervals are Newcombe's for a difference of rates (1998, method 10). False discoveries are held at 5 % after
    Benjamini and Hochberg (1995), in one family for all comparisons and in one for all rules, over all journeys and
    weeks. The cohort with the greatest likelihood ratio is taken first (Kulldorff 1997), and the others are looked at
    again without its attempts (Zhang, Assunção and Kulldorff 2010): what it explains is not ranked a second time.
    """
    names = sorted(set(attempts["journey"].to_pylist()))
    found = [_Journey.read(attempts, steps, journey=name) for name in names]
    cohort_tests = [_test_cohorts(one) for one in found]
    rule_tests = [_test_rules(one) for one in found]
    _control(cohort_tests)
    _control(rule_tests)
    values = {row["journey"]: row for row in journeys.to_pylist()}
    named = {(row["journey"], row["stage_order"]): row["stage"] for row in stages.to_pylist()}
    plays = sorted(playbooks.to_pylist(), key=lambda play: str(play["playbook_id"]))
    rows: list[dict[str, Any]] = []
    for one, by_cohort, by_rule in zip(found, cohort_tests, rule_tests, strict=True):
        points = _choose(one, by_cohort, by_rule)
        rows += _tell(one, points, cohorts=by_cohort.cohorts, value=values.get(one.name, {}), stages=named, plays=plays)
    rows.sort(key=lambda row: tuple(str(row[key]) for key in ("journey", "week", "stage_order", *_PLACE)))
    return pa.Table.from_pylist(rows, schema=POINTS)


_PLACE = ("touchpoint", "signal", "cohort")


# --- what a journey looks like ------------------------------------------------------------------


@dataclass(kw_only=True)
class _Journey:
    """One journey in arrays: rows of attempts in the order of their ids, rows of steps in the order of each attempt.

    ``place`` numbers the pairs of stage and touchpoint; ``flags`` has a column for each of SIGNALS but the last.
    """

    name: str
    weeks: list[date]
    week: Integers
    day: Integers
    is_lost: Flags
    stratum: Integers
    stratum_count: int
    cohorts: dict[str, tuple[Integers, list[str]]]
    places: list[tuple[int, str]]
    attempt: Integers
    place: Integers
    stage: Integers
    number: Integers
    before: Integers
    is_last: Flags
    is_end: Flags
    flags: Flags
    long_waits: Floats

    @classmethod
    def read(cls, attempts: pa.Table, steps: pa.Table, *, journey: str) -> _Journey:
        """Take one journey out of the tables."""
        mine = attempts.filter(pc.equal(attempts["journey"], journey)).sort_by("attempt_id").combine_chunks()
        week, weeks = _codes(mine["week_start_date"])
        stratum = _strata(mine)
        is_known = pc.is_valid(mine["os"]).to_numpy() | pc.is_valid(mine["device_type"]).to_numpy()
        cohorts = {}
        for name in COHORTS:
            column = mine[name].combine_chunks()
            # Of a client that is known, what it has not got is known as well; and so is no campaign.
            has_none = is_known if name in ("app_version", "browser") else np.full(len(column), name == "campaign")
            cohorts[name] = _codes(pc.if_else(pa.array(has_none), pc.fill_null(column, NONE), column))
        row = pc.index_in(steps["attempt_id"], value_set=mine["attempt_id"].combine_chunks())
        kept = steps.append_column("row", row).filter(
            pc.and_(pc.is_valid(row), pc.not_equal(steps["step_kind"], "company"))
        )
        kept = kept.sort_by([("row", "ascending"), ("step_number", "ascending")]).combine_chunks()
        return cls(
            name=journey,
            weeks=weeks,
            week=week,
            day=mine["started_on"].cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64),
            is_lost=mine["is_lost"].to_numpy(zero_copy_only=False),
            stratum=stratum,
            stratum_count=int(stratum.max(initial=0)) + 1,
            cohorts=cohorts,
            **_step_arrays(kept),
        )

    def __len__(self) -> int:
        return len(self.week)


def _without(one: _Journey, left_out: Flags) -> _Journey:
    """The journey without the steps of some attempts."""
    kept = ~left_out[one.attempt]
    return replace(one, **{name: getattr(one, name)[kept] for name in _OF_STEPS})


_OF_STEPS = ("attempt", "place", "stage", "number", "before", "is_last", "is_end", "flags")


def _strata(attempts: pa.Table) -> Integers:
    """Numbers of what attempts are matched on, first channel and device; what is rare is one."""
    channel, _ = _codes(pc.fill_null(attempts["first_channel"], UNKNOWN))
    device, devices = _codes(pc.fill_null(attempts["device_type"], UNKNOWN))
    pair = channel * max(1, len(devices)) + device
    values, counts = np.unique(pair, return_counts=True)
    most = values[np.lexsort((values, -counts))][:STRATA_APART]
    found = np.searchsorted(np.sort(most), pair).clip(max=max(len(most) - 1, 0))
    is_apart = np.isin(pair, most)
    return np.where(is_apart, found, len(most)) if len(values) > len(most) else found


def _codes(column: pa.ChunkedArray | pa.Array) -> tuple[Integers, list[Any]]:
    """Numbers of values in their order, -1 for null, and the values."""
    values = pc.unique(column).drop_null().sort()
    codes = pc.fill_null(pc.index_in(column, value_set=values), -1)
    return codes.to_numpy(zero_copy_only=False).astype(np.int64), values.to_pylist()


def _step_arrays(steps: pa.Table) -> dict[str, Any]:
    """Steps as arrays, with their number within the attempt, the stage before and the signals."""
    attempt = steps["row"].to_numpy().astype(np.int64)
    stage = steps["stage_order"].to_numpy().astype(np.int64)
    touchpoint, names = _codes(steps["touchpoint"])
    is_first = np.ones(len(attempt), bool)
    is_first[1:] = attempt[1:] != attempt[:-1]
    starts = np.flatnonzero(is_first)
    number = np.arange(len(attempt)) - np.repeat(starts, np.diff(np.append(starts, len(attempt)))) + 1
    before = np.where(is_first, 0, np.roll(stage, 1)) if len(stage) else stage
    pair = stage * max(1, len(names)) + touchpoint
    pairs, place = np.unique(pair, return_inverse=True)
    is_end = pc.equal(steps["step_kind"], "end").to_numpy(zero_copy_only=False)
    waited = pc.fill_null(steps["waited_hours"].cast(pa.float64()), 0.0).to_numpy()
    long_waits = np.full(len(pairs), np.inf)
    for one in range(len(pairs)):
        waits = waited[(place == one) & ~is_first & ~is_end]
        if len(waits):
            long_waits[one] = max(LONG_WAIT_HOURS, float(np.quantile(waits, LONG_WAIT_QUANTILE)))
    told = steps["friction_signals"]
    flags = np.zeros((len(attempt), len(SIGNALS) - 1), bool)
    for column, signal in enumerate(SIGNALS[:-1]):
        if signal == LONG_WAIT:
            flags[:, column] = (waited > long_waits[place]) & ~is_end
        else:
            has = pc.match_substring(pc.fill_null(pc.binary_join_element_wise("|", told, "|", ""), ""), f"|{signal}|")
            flags[:, column] = has.to_numpy(zero_copy_only=False)
    return {
        "places": [(int(one // max(1, len(names))), names[one % len(names)]) for one in pairs],
        "attempt": attempt,
        "place": place.astype(np.int64),
        "stage": stage,
        "number": number.astype(np.int64),
        "before": before.astype(np.int64),
        "is_last": np.append(is_first[1:], True) if len(attempt) else is_first,
        "is_end": is_end,
        "flags": flags,
        "long_waits": long_waits,
    }


# --- tests --------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Point:
    """One place, signal and cohort in one slice of time, with what was counted and what was expected.

    ``week`` is a place in the journey's weeks, or -1 for all of them. ``attempts`` are those that were hit, or of the
    cohort; ``reference`` words the counts that it was compared with.
    """

    week: int
    place: int
    signal: int
    cohort: int
    attempt_count: int
    lost_count: int
    extra: tuple[float, float, float]
    p_value: float | None
    ratio: float
    attempts: Integers
    hit_count: int
    reference: tuple[int, int]
    q_value: float | None = None
    is_ranked: bool = False
    note: str = ""
    left_out: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class _Tests:
    """All tests of one family in one journey: what may be ranked, and the p-values of everything that was asked."""

    points: list[_Point]
    p_values: Floats
    cut: float = 0.0
    levels: tuple[Floats, Floats] = (np.zeros(0), np.zeros(0))
    cohorts: list[_Cohort] = field(default_factory=list)
    cells: list[_Cell] = field(default_factory=list)
    hit: list[_Hit] = field(default_factory=list)


def _control(families: Sequence[_Tests]) -> None:
    """Give every point its q-value among all tests of the family (Benjamini and Hochberg 1995)."""
    p_values = np.concatenate([tests.p_values for tests in families]) if families else np.zeros(0)
    count = len(p_values)
    if not count:
        return
    order = np.argsort(p_values, kind="stable")
    raw = p_values[order] * count / np.arange(1, count + 1)
    adjusted = np.minimum.accumulate(raw[::-1])[::-1].clip(max=1.0)
    passed = p_values[order][adjusted < FALSE_DISCOVERIES]
    cut = float(passed.max()) if len(passed) else 0.0
    for tests in families:
        tests.cut, tests.levels = cut, (p_values[order], adjusted)
        for point in tests.points:
            _level(tests, point)


def _level(tests: _Tests, point: _Point) -> None:
    """Read off the q-value of a point's p-value."""
    p_values, adjusted = tests.levels
    if point.p_value is not None and len(p_values):
        at = int(np.searchsorted(p_values, point.p_value, side="right")) - 1
        point.q_value = float(adjusted[max(at, 0)])


def _upper_tail(hits: Any, tries: Any, rate: Any, weight: Any) -> Floats:
    """Chance of so many hits or more, the rate being a beta of that mean and the weight of so many attempts."""
    shape = np.broadcast_shapes(np.shape(hits), np.shape(tries), np.shape(rate), np.shape(weight))
    hits, tries, rate, weight = (np.broadcast_to(x, shape).astype(float).ravel() for x in (hits, tries, rate, weight))
    result = np.ones(len(hits))
    spread = np.sqrt(np.maximum(tries * rate * (1 - rate) * (1 + tries / np.maximum(weight, 1)), 1e-12))
    asked = np.flatnonzero((hits > tries * rate + _HOPELESS * spread) & (tries > 0))
    for part in np.array_split(asked, max(1, len(asked) // 5_000)):
        result[part] = _tail(
            hits[part], tries[part], rate[part] * weight[part], (1 - rate[part]) * weight[part], reach=spread[part]
        )
    return result.reshape(shape)


def _tail(hits: Floats, tries: Floats, successes: Floats, failures: Floats, *, reach: Floats) -> Floats:
    """Upper tails of beta-binomials with Jeffreys' half added to the two counts of the reference.

    Summed over twelve standard deviations (``reach``); all lie above the mean, where what is further has no weight.
    """
    alpha, beta = successes + 0.5, np.maximum(failures, 0) + 0.5
    counts = np.minimum(tries - hits, 12 * reach + 50).astype(np.int64) + 1
    owner = np.repeat(np.arange(len(hits)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    k, n, a, b = hits[owner] + within, tries[owner], alpha[owner], beta[owner]
    log = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + betaln(k + a, n - k + b) - betaln(a, b)
    return np.minimum(1.0, np.bincount(owner, weights=np.exp(log), minlength=len(hits)))


def _wilson(rate: Floats | float, tries: Floats | float) -> tuple[Any, Any]:
    """Wilson's limits (1927) of a rate, of tries that need not be whole."""
    tries = np.maximum(tries, 1e-9)
    centre = (rate + Z**2 / (2 * tries)) / (1 + Z**2 / tries)
    half = Z / (1 + Z**2 / tries) * np.sqrt(np.maximum(rate * (1 - rate) / tries + Z**2 / (4 * tries**2), 0))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def _extra(lost: float, tries: float, rate: float, weight: float) -> tuple[float, float, float]:
    """Losses above what is expected, with Newcombe's interval (1998, method 10)."""
    if not tries:
        return 0.0, 0.0, 0.0
    seen = lost / tries
    seen_low, seen_high = _wilson(seen, tries)
    rate_low, rate_high = _wilson(rate, weight)
    low = seen - rate - np.sqrt((seen - seen_low) ** 2 + (rate_high - rate) ** 2)
    high = seen - rate + np.sqrt((seen_high - seen) ** 2 + (rate - rate_low) ** 2)
    return float(tries * (seen - rate)), float(tries * low), float(tries * high)


def _least(*intervals: tuple[float, float, float]) -> tuple[float, float, float]:
    first, low, high = (min(ends) for ends in zip(*intervals, strict=True))
    return first, low, high


def _likelihood_ratio(hits: float, tries: float, rate: float, weight: float) -> float:
    """Log likelihood ratio of the seen rate against the expected one, which is never taken for impossible."""
    expected = tries * (rate * weight + 0.5) / (weight + 1)
    rest = tries - hits
    first = hits * np.log(hits / expected) if hits else 0.0
    second = rest * np.log(rest / (tries - expected)) if rest else 0.0
    return float(first + second)


# --- rules --------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Hit:
    """Attempts that met one signal at one place: the loss that was to be expected of each, and how surely."""

    place: int
    signal: int
    attempt: Integers
    expected: Floats
    variance: Floats
    others: Flags


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
    def of(cls, one: _Journey) -> _Moves:
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


def _test_rules(one: _Journey, *, week: int | None = None) -> _Tests:
    """Compare who met a signal with those who went on from the same stage after as many steps without it.

    Of one week (-1 for all of them together), if it is given.
    """
    moves, at_stage = _Moves.of(one), _attempts_by(one, one.stage)
    points: list[_Point] = []
    hits: list[_Hit] = []
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
            hit = _Hit(
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
    return _Tests(points=points, p_values=told, hit=hits)


def _attempts_by(one: _Journey, group: Integers) -> dict[int, Flags]:
    """Which attempts have a step of each group, their end aside."""
    told = {}
    for value in np.unique(group):
        told[int(value)] = np.zeros(len(one), bool)
        told[int(value)][one.attempt[(group == value) & ~one.is_end]] = True
    return told


def _match(one: _Journey, moves: _Moves, *, move: Integers) -> tuple[Floats, Floats]:
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
    stage_rate = _drawn(by_stage[1], by_stage[0], by_key[1].sum() / max(by_key[0].sum(), 1))
    key_rate = _drawn(by_key[1], by_key[0], stage_rate[moves.stage_of_key])
    kind_rate = _drawn(losses.sum(axis=0), tries.sum(axis=0), key_rate[:, None])
    cell = (one.week[one.attempt[move]], moves.key[move], one.stratum[one.attempt[move]])
    rate = _drawn(losses[cell], tries[cell], kind_rate[cell[1:]])
    # The reference weighs as many moves as it has, and its parent's at most as many as that is drawn to.
    weight = tries[cell] + np.minimum(PRIOR_ATTEMPTS, tries.sum(axis=0)[cell[1:]]) + 1
    return rate, rate * (1 - rate) / weight


def _drawn(hits: Any, tries: Any, parent: Any) -> Floats:
    """A rate drawn to its parent's as if there were a few attempts more of it."""
    rate: Floats = (hits + PRIOR_ATTEMPTS * parent) / (tries + PRIOR_ATTEMPTS)
    return rate


def _rule_points(one: _Journey, hit: _Hit, *, week: int | None) -> list[_Point]:
    """The signal at the place in all weeks together and in every week, or in one of these."""
    weeks = one.week[hit.attempt]
    points = []
    for slice_ in (-1, *np.unique(weeks)) if week is None else (week,):
        mine = np.arange(len(weeks)) if slice_ < 0 else np.flatnonzero(weeks == slice_)
        if len(mine) >= (SHOWN_ATTEMPTS if slice_ < 0 else MINIMUM_ATTEMPTS):
            points.append(_rule_point(one, hit, mine, week=int(slice_)))
    return points


def _rule_point(one: _Journey, hit: _Hit, mine: Integers, *, week: int) -> _Point:
    """Count some of those who were hit."""
    tries, lost = len(mine), int(one.is_lost[hit.attempt[mine]].sum())
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
    tails = [float(_upper_tail(np.array(lost), tries, *reference)) for reference in references] if is_enough else []
    return _Point(
        week=week,
        place=hit.place,
        signal=hit.signal,
        cohort=-1,
        attempt_count=tries,
        lost_count=lost,
        extra=_least(*(_extra(lost, tries, *reference) for reference in references)),
        p_value=max(tails, default=None),
        ratio=0.0,
        attempts=hit.attempt[mine],
        hit_count=tries,
        reference=(others_lost, others_count),
    )


def _distinct(one: _Journey, hit: _Hit, mine: Integers) -> float:
    """How many groups that differ the expectations come from, each weighed by its attempts."""
    group = one.week[hit.attempt[mine]] * one.stratum_count + one.stratum[hit.attempt[mine]]
    counts = np.unique(group, return_counts=True)[1].astype(float)
    return float(counts.sum() ** 2 / (counts**2).sum())


# --- comparison ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Cohort:
    """A value of a dimension, or of two: who is in it, and who else is known there."""

    dimensions: tuple[str, ...]
    values: tuple[str, ...]
    number: int

    @property
    def label(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in zip(self.dimensions, self.values, strict=True))


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A place and signal: which attempts could have been lost there (``at_risk``), which were."""

    place: int
    signal: int
    at_risk: Flags
    lost: Flags


def _cells(one: _Journey) -> list[_Cell]:
    """Places and signals with losses enough to look for whom they hit."""
    at_stage, at_place = _attempts_by(one, one.stage), _attempts_by(one, one.place)
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
                cells.append(_Cell(place=place, signal=signal, at_risk=at_risk, lost=lost))
    most = sorted(cells, key=lambda cell: (-int(cell.lost.sum()), cell.place, cell.signal))[:MOST_CELLS]
    return sorted(most, key=lambda cell: (cell.place, cell.signal))


def _cohorts(one: _Journey) -> tuple[list[_Cohort], list[Integers], list[Integers]]:
    """All cohorts of enough attempts, who is in each, and of whom each dimension, or two, are known."""
    cohorts: list[_Cohort] = []
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
                cohorts.append(_Cohort(dimensions=names, values=told, number=len(known) - 1))
    return cohorts, members, known


def _columns(members: Sequence[Integers], rows: int) -> csr_array:
    """A matrix of ones with a column for each list of rows."""
    ends = np.cumsum([0, *(len(one) for one in members)])
    row = np.concatenate(members) if members else np.zeros(0, np.int64)
    return csr_array(csc_array((np.ones(len(row)), row, ends), shape=(rows, len(members))))


def _fits(cohorts: Sequence[_Cohort], cells: Sequence[_Cell]) -> Flags:
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


def _count(one: _Journey, members: Sequence[Integers], cells: Sequence[_Cell]) -> _Counts:
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
        return np.where(is_asked, _upper_tail(self.hits, self.tries, self.rate, self.weight), 1.0)


def _with_outside(mine: _Counts, known: _Counts, dimension: Integers) -> tuple[_Compared, _Counts]:
    """Compare each cohort with matched attempts outside it in the same week; and what those are.

    What few tell is drawn to what more do: a kind's (first channel and device) to all kinds', a week's to all weeks'.
    """
    others = _Counts(tries=known.tries[:, :, dimension] - mine.tries, hits=known.hits[:, :, dimension] - mine.hits)
    outside = _Counts(tries=others.tries.sum(axis=1), hits=others.hits.sum(axis=1))
    usual = outside.hits.sum(axis=0) / np.maximum(outside.tries.sum(axis=0), 1)
    weekly = _drawn(outside.hits, outside.tries, usual)
    rates = _drawn(others.hits, others.tries, weekly[:, None])
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


def _test_cohorts(one: _Journey) -> _Tests:
    """Ask of every cohort, and of all attempts, whether they lose more than elsewhere and than before."""
    cells = _cells(one)
    if not cells:
        return _Tests(points=[], p_values=np.zeros(0))
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
    return _Tests(points=points, p_values=np.concatenate(p_values), cohorts=cohorts, cells=cells)


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
    past = _Compared(hits=there.hits, tries=there.tries, rate=_drawn(hits, tries, there.rate), weight=tries)
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
    one: _Journey,
    cell: _Cell,
    members: Integers,
    *,
    week: int,
    cohort: int,
    here: tuple[float, float, float, float],
    whole: tuple[float, float, float, float],
    p_value: float,
    reference: tuple[float, float],
) -> _Point:
    """A cohort's losses at a place; never more than it lost in all above what is expected."""
    mine = members if week < 0 else members[one.week[members] == week]
    return _Point(
        week=week,
        place=cell.place,
        signal=cell.signal,
        cohort=cohort,
        attempt_count=int(whole[1]),
        lost_count=int(whole[0]),
        extra=_least(_extra(*here), _extra(*whole)),
        p_value=p_value,
        ratio=_likelihood_ratio(*here),
        attempts=mine,
        hit_count=int(here[0]),
        reference=(int(reference[0]), int(reference[1])),
    )


def _test_everybody(one: _Journey, cells: Sequence[_Cell]) -> tuple[list[_Point], Floats]:
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


# --- what is ranked -----------------------------------------------------------------------------


def _choose(one: _Journey, by_cohort: _Tests, by_rule: _Tests) -> list[_Point]:
    """Rank what stands by itself in each slice of time, the cohorts first, and keep what is worth showing."""
    kept: list[_Point] = []
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


def _stands(point: _Point, cut: float) -> bool:
    return point.p_value is not None and point.p_value <= cut and point.extra[1] > 0 and _is_enough(point)


def _is_enough(point: _Point) -> bool:
    return point.attempt_count >= MINIMUM_ATTEMPTS


def _simplicity(tests: _Tests, point: _Point) -> tuple[int, int, int, int]:
    width = len(tests.cohorts[point.cohort].dimensions) if point.cohort >= 0 else 0
    return (point.signal, width, point.cohort, point.place)


def _still_stands(one: _Journey, tests: _Tests, point: _Point, explained: Flags) -> bool:
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
    p_value = float(_upper_tail(np.array(hits), tries, rate, weight))
    return p_value <= tests.cut and _extra(hits, tries, rate, weight)[1] > 0


def _rate_elsewhere(one: _Journey, cell: _Cell, left: Integers, is_outside: Flags) -> tuple[float, float]:
    """Rate to be expected of attempts from others at risk in the same weeks."""
    weeks = len(one.weeks)
    others = np.flatnonzero(is_outside & cell.at_risk)
    tries = np.bincount(one.week[others], minlength=weeks).astype(float)
    hits = np.bincount(one.week[others], weights=cell.lost[others], minlength=weeks)
    rate = _drawn(hits, tries, hits.sum() / max(tries.sum(), 1))
    mine = np.bincount(one.week[left[cell.at_risk[left]]], minlength=weeks)
    share = mine / max(mine.sum(), 1)
    variance = float((share**2 / (tries + PRIOR_ATTEMPTS)).sum())
    return float((share * rate).sum()), min(1 / max(variance, 1e-12), max(tries.sum(), 1.0))


def _choose_rules(
    one: _Journey, tests: _Tests, *, week: int, explained: Flags, carriers: Sequence[str]
) -> list[_Point]:
    """Rank signals by their extra losses, each by what those before it leave; all are shown.

    Cohorts that are told of apart are left out, of those who were hit and of those they are compared with.
    """
    points = [point for point in tests.points if point.week == week]
    hits = {(hit.place, hit.signal): hit for hit in tests.hit}
    if carriers:
        apart = _test_rules(_without(one, explained), week=week)
        points, hits = apart.points, {(hit.place, hit.signal): hit for hit in apart.hit}
        for point in points:
            _level(tests, point)
            point.left_out = list(carriers)
    counted = np.zeros(len(one), bool)
    points.sort(key=lambda point: (-round(point.extra[0], 6), point.signal, point.place))
    for point in points:
        if not _stands(point, tests.cut):
            continue
        hit = hits[(point.place, point.signal)]
        fresh = ~counted[hit.attempt] & np.isin(hit.attempt, point.attempts)
        if fresh.all() or (fresh.sum() >= MINIMUM_ATTEMPTS):
            alone = _rule_point(one, hit, np.flatnonzero(fresh), week=week)
            point.is_ranked = _stands(alone, tests.cut) if not np.array_equal(alone.attempts, point.attempts) else True
        if point.is_ranked:
            counted[point.attempts] = True
        else:
            point.note = "Those who met it are told of by what is ranked above it."
    return points


# --- words --------------------------------------------------------------------------------------


_MET = {
    "error": "met an error",
    "rage": "met three errors within a minute",
    "negative message": "wrote or rated in a bad mood",
    SUPPORT_CONTACT: "asked for help within a day",
    "backtrack": "went back to an earlier step",
    "repeat": "came back",
}


def _tell(
    one: _Journey,
    points: list[_Point],
    *,
    cohorts: Sequence[_Cohort],
    value: dict[str, Any],
    stages: dict[tuple[str, int], str],
    plays: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Rows of points: ranked, dated, worded and valued."""
    each = value.get("value_amount")
    # What pays out when it converts, such as a refund, has no value to lose.
    each = Decimal(str(each)) if each is not None and each > 0 else None
    rows = []
    for point in points:
        cohort = cohorts[point.cohort] if point.cohort >= 0 else None
        dimensions, label = (cohort.dimensions, cohort.label) if cohort else ((), ALL)
        stage_order, touchpoint = one.places[point.place]
        stage = stages.get((one.name, stage_order), str(stage_order))
        extra, low, high = (round(max(x, -float(point.attempt_count)), 4) for x in point.extra)
        money = [None if each is None else _cents(max(x, 0.0), each) for x in (extra, low, high)]
        play = _play(plays, one.name, stage, touchpoint, SIGNALS[point.signal], dimensions)
        gain, basis = _gain(play, money[0], extra)
        first, last = _span(one, point)
        rows.append(
            {
                "journey": one.name,
                "week": ALL if point.week < 0 else one.weeks[point.week].isoformat(),
                "week_start_date": None if point.week < 0 else one.weeks[point.week],
                "rank": None,
                "stage_order": stage_order,
                "stage": stage,
                "touchpoint": touchpoint,
                "signal": SIGNALS[point.signal],
                "cohort_dimension": ", ".join(dimensions) or ALL,
                "cohort": label,
                "attempt_count": point.attempt_count,
                "lost_count": point.lost_count,
                "expected_lost_count": round(point.lost_count - extra, 4),
                "extra_lost_count": extra,
                "extra_lost_low": low,
                "extra_lost_high": high,
                "value_per_conversion_amount": None if each is None else each.quantize(_CENT, ROUND_HALF_UP),
                "value_at_risk_amount": money[0],
                "value_low": money[1],
                "value_high": money[2],
                "value_currency": None if each is None else value.get("value_currency"),
                "p_value": _significant(point.p_value),
                "q_value": _significant(point.q_value),
                "is_ranked": point.is_ranked,
                "from_date": first,
                "to_date": last,
                "owner": (play or {}).get("owner") or value.get("owner"),
                "evidence": _evidence(one, point, stage=stage, touchpoint=touchpoint, label=label),
                "likely_cause": play["likely_cause"] if play else UNKNOWN,
                "recommendation": play["recommendation"] if play else None,
                "expected_gain_amount": gain,
                "expected_gain_basis": basis,
            }
        )
    _rank(rows)
    _join_weeks(rows)
    return rows


_CENT = Decimal("0.01")


def _cents(count: float, each: Decimal) -> Decimal:
    return (Decimal(str(count)) * each).quantize(_CENT, ROUND_HALF_UP)


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _play(
    plays: Sequence[dict[str, Any]],
    journey: str,
    stage: str,
    touchpoint: str,
    signal: str,
    dimensions: Sequence[str],
) -> dict[str, Any] | None:
    """The playbook's line that fits and names most; of two the one whose id comes first."""
    asked = {"journey": journey, "stage": stage, "touchpoint": touchpoint, "signal": signal}
    best, best_named = None, -1
    for play in plays:
        fits = all(play[key] in ("*", told) for key, told in asked.items())
        wanted = play["cohort_dimension"]
        fits = fits and (wanted == "*" or wanted in dimensions or (wanted == ALL and not dimensions))
        named = sum(play[key] != "*" for key in (*asked, "cohort_dimension"))
        if fits and named > best_named:
            best, best_named = play, named
    return best


def _gain(play: dict[str, Any] | None, at_risk: Decimal | None, extra: float) -> tuple[Decimal | None, str | None]:
    """What a mend is likely to bring: the middle of the range that the playbook gives, of the value at risk."""
    if play is None or play["expected_recovery_low"] is None or play["expected_recovery_high"] is None:
        return None, None
    low, high = float(play["expected_recovery_low"]), float(play["expected_recovery_high"])
    middle = (low + high) / 2
    of = "value at risk" if at_risk is not None else "extra losses"
    count = "" if at_risk is not None else f": {max(extra, 0) * middle:.1f} attempts"
    told = f"{100 * low:.0f} to {100 * high:.0f} % of the {of}, {100 * middle:.0f} % taken{count}. "
    gain = None if at_risk is None else (at_risk * Decimal(str(middle))).quantize(_CENT, ROUND_HALF_UP)
    return gain, (told + (play["basis"] or "")).strip()


def _span(one: _Journey, point: _Point) -> tuple[date, date]:
    """First and last day on which attempts that count started; of all weeks, the run of weeks that carries most."""
    lost = point.attempts[one.is_lost[point.attempts]]
    told = lost if len(lost) else point.attempts
    if point.week < 0 and point.lost_count:
        weeks = len(one.weeks)
        tries = np.bincount(one.week[point.attempts], minlength=weeks)
        hits = np.bincount(one.week[lost], minlength=weeks)
        usual = (point.lost_count - point.extra[0]) / point.attempt_count
        # The run of weeks with the greatest sum of extra losses (Kadane).
        best, sum_, start, run = 0.0, 0.0, 0, (0, weeks - 1)
        for week, extra in enumerate(hits - usual * tries):
            if sum_ <= 0:
                sum_, start = 0.0, week
            sum_ += float(extra)
            if sum_ > best:
                best, run = sum_, (start, week)
        inside = told[(one.week[told] >= run[0]) & (one.week[told] <= run[1])]
        told = inside if len(inside) else told
    days = one.day[told]
    return _EPOCH + timedelta(days=int(days.min())), _EPOCH + timedelta(days=int(days.max()))


_EPOCH = date(1970, 1, 1)


def _evidence(one: _Journey, point: _Point, *, stage: str, touchpoint: str, label: str) -> str:
    """The counts that a point rests on; each can be counted again in the published tables."""
    signal = SIGNALS[point.signal]
    met = _MET.get(signal, "")
    if signal == LONG_WAIT:
        met = f"came after a wait of more than {one.long_waits[point.place]:.1f} hours"
    where = f"at {touchpoint} in {stage}"
    lost, known = point.reference
    if point.cohort >= 0:
        how = f"with {touchpoint} in {stage} as the last touch" if signal == DROP_OFF else f"after they {met} {where}"
        told = (
            f"Of {point.attempt_count:,} attempts of {label} {point.lost_count:,} were lost, {point.hit_count:,} of "
            f"them {how}; of {known:,} others that came as far {lost:,} were lost so."
        )
    elif signal == DROP_OFF:
        told = (
            f"{point.hit_count:,} attempts were lost with {touchpoint} in {stage} as the last touch, of "
            f"{point.attempt_count:,}; in the weeks before {lost:,} of {known:,} that came there."
        )
    else:
        told = (
            f"Of {point.attempt_count:,} attempts that {met} {where} {point.lost_count:,} were lost; of {known:,} "
            f"others at that stage {lost:,}."
        )
    if point.left_out:
        told += f" Left out, as told of apart: {'; '.join(point.left_out)}."
    if not _is_enough(point):
        told += f" Fewer than {MINIMUM_ATTEMPTS} attempts: not ranked."
    elif point.note:
        told += f" {point.note}"
    return told


def _rank(rows: list[dict[str, Any]]) -> None:
    """Number what is ranked within each week, by value at risk or, where there is no value, by extra losses."""
    by_week: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["is_ranked"]:
            by_week.setdefault(row["week"], []).append(row)
    for ranked in by_week.values():
        ranked.sort(key=lambda row: (-row["extra_lost_count"], row["stage_order"], *(row[key] for key in _PLACE)))
        for place, row in enumerate(ranked, start=1):
            row["rank"] = place


def _join_weeks(rows: list[dict[str, Any]]) -> None:
    """Weeks in a row in which the same is ranked are one stretch: each tells when it began and how far it goes."""
    same: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["is_ranked"] and row["week_start_date"] is not None and row["cohort"] != ALL:
            same.setdefault((row["stage_order"], *(row[key] for key in _PLACE)), []).append(row)
    for found in same.values():
        found.sort(key=lambda row: row["week_start_date"])
        runs: list[list[dict[str, Any]]] = []
        for row in found:
            if not runs or row["week_start_date"] - runs[-1][-1]["week_start_date"] > timedelta(days=7):
                runs.append([])
            runs[-1].append(row)
        for run in runs:
            first, last = run[0]["from_date"], run[-1]["to_date"]
            for row in run:
                row["from_date"], row["to_date"] = first, last
