"""Words, dates and money of the points: what a reader is told, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from ml.friction.journey import DROP_OFF, LONG_WAIT, SIGNALS, SUPPORT_CONTACT, UNKNOWN, Journey
from ml.friction.points import MINIMUM_ATTEMPTS, Cohort, Point, is_enough

ALL = "all"
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
PLACE = ("touchpoint", "signal", "cohort")

_CENT = Decimal("0.01")
_EPOCH = date(1970, 1, 1)
_MET = {
    "error": "met an error",
    "rage": "met three errors within a minute",
    "negative message": "wrote or rated in a bad mood",
    SUPPORT_CONTACT: "asked for help within a day",
    "backtrack": "went back to an earlier step",
    "repeat": "came back",
}


def tell(
    one: Journey,
    points: list[Point],
    *,
    cohorts: Sequence[Cohort],
    value: dict[str, Any],
    stages: dict[tuple[str, int], str],
    plays: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Make rows of points: ranked, dated, worded and valued.

    Parameters
    ----------
    one : Journey
        The journey.
    points : list of Point
        What is told of it.
    cohorts : sequence of Cohort
        Those that the points number.
    value : dict
        ``value_amount, value_currency, owner`` of the journey; empty where nothing is known.
    stages : dict
        Names by journey and order.
    plays : sequence of dict
        Lines of the playbooks, in the order of their ids.

    Returns
    -------
    list of dict
        Rows of schema ``POINTS``.
    """
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


def _span(one: Journey, point: Point) -> tuple[date, date]:
    """First and last day on which attempts that count started; of all weeks, the run of weeks that carries most."""
    lost = point.lost
    told = lost if len(lost) else point.attempts
    if point.week < 0 and len(lost):
        weeks = len(one.weeks)
        tries = np.bincount(one.week[point.attempts], minlength=weeks)
        hits = np.bincount(one.week[lost], minlength=weeks)
        usual = max(len(lost) - point.extra[0], 0) / point.attempt_count
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


def _evidence(one: Journey, point: Point, *, stage: str, touchpoint: str, label: str) -> str:
    """The counts that a point rests on; each can be counted again in the published tables."""
    signal = SIGNALS[point.signal]
    met = _MET.get(signal, "")
    if signal == LONG_WAIT:
        waited, needed = one.long_waits[point.place], one.needed_hours[point.place]
        met = f"came after a wait of more than {waited:.1f} hours, with {needed:.1f} or more left,"
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
    if not is_enough(point):
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
        ranked.sort(key=lambda row: (-row["extra_lost_count"], row["stage_order"], *(row[key] for key in PLACE)))
        for place, row in enumerate(ranked, start=1):
            row["rank"] = place


def _join_weeks(rows: list[dict[str, Any]]) -> None:
    """Weeks in a row in which the same is ranked are one stretch: each tells when it began and how far it goes."""
    same: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["is_ranked"] and row["week_start_date"] is not None and row["cohort"] != ALL:
            same.setdefault((row["stage_order"], *(row[key] for key in PLACE)), []).append(row)
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
