"""A journey in arrays: its attempts, their steps, and the signals of friction that they met."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.friction.chances import Flags, Floats, Integers

DROP_OFF = "drop-off"
LONG_WAIT = "long wait"
SUPPORT_CONTACT = "support contact"
# In the order in which one stands for another where two tell the same of the same attempts.
SIGNALS = ("error", "rage", "negative message", SUPPORT_CONTACT, "backtrack", "repeat", LONG_WAIT, DROP_OFF)
# The attributes of an attempt that may carry friction, in the order in which they are named.
COHORTS = ("os", "app_version", "device_type", "browser", "country", "campaign")
# What somebody has who has none, such as the app's version in a browser: known, and no cohort.
NONE = "(none)"
UNKNOWN = "unknown"
# A wait is long above this share of the waits before the same touchpoint, and an hour at least; and only while as much
# of the window is left as this share of those who converted needed from there: else the window ran out anyway.
LONG_WAIT_QUANTILE, LONG_WAIT_HOURS = 0.9, 1.0
# Attempts are matched on so many pairs of first channel and device, and the others as one.
STRATA_APART = 7
_OF_STEPS = ("attempt", "place", "stage", "number", "before", "is_last", "is_end", "flags")


@dataclass(kw_only=True)
class Journey:
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
    needed_hours: Floats

    @classmethod
    def read(cls, attempts: pa.Table, steps: pa.Table, *, journey: str) -> Journey:
        """Take one journey out of the tables.

        Parameters
        ----------
        attempts, steps : pyarrow.Table
            As ``find_friction`` takes them, of all journeys.
        journey : str
            Its name.

        Returns
        -------
        Journey
            What the company did alone is left out of its steps.
        """
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


def without(one: Journey, left_out: Flags) -> Journey:
    """The journey without the steps of some attempts."""
    kept = ~left_out[one.attempt]
    return replace(one, **{name: getattr(one, name)[kept] for name in _OF_STEPS})


def attempts_by(one: Journey, group: Integers) -> dict[int, Flags]:
    """Which attempts have a step of each group, their end aside."""
    told = {}
    for value in np.unique(group):
        told[int(value)] = np.zeros(len(one), bool)
        told[int(value)][one.attempt[(group == value) & ~one.is_end]] = True
    return told


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
    hours_left = pc.fill_null(steps["hours_left"].cast(pa.float64()), 0.0).to_numpy()
    to_success = pc.fill_null(steps["hours_to_success"].cast(pa.float64()), np.nan).to_numpy()
    long_waits, needed = np.full(len(pairs), np.inf), np.zeros(len(pairs))
    for one in range(len(pairs)):
        here = (place == one) & ~is_end
        waits, times = waited[here & ~is_first], to_success[here & ~np.isnan(to_success)]
        if len(waits):
            long_waits[one] = max(LONG_WAIT_HOURS, float(np.quantile(waits, LONG_WAIT_QUANTILE)))
        if len(times):
            needed[one] = np.quantile(times, LONG_WAIT_QUANTILE)
    told = steps["friction_signals"]
    flags = np.zeros((len(attempt), len(SIGNALS) - 1), bool)
    for column, signal in enumerate(SIGNALS[:-1]):
        if signal == LONG_WAIT:
            flags[:, column] = (waited > long_waits[place]) & (hours_left >= needed[place]) & ~is_end
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
        "needed_hours": needed,
    }
