"""Pictures of published tables for the pages of the Dagster UI."""

from __future__ import annotations

import base64
import io
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from datetime import date

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by the colour-blind, on light and dark ground.
ACCENT, QUIET, ALARM = "#0072B2", "#999999", "#D55E00"
# From pale to vermilion: the share lost right after a touchpoint.
_LOSS_LIMITS = (0.05, 0.1, 0.2, 0.35)
_LOSS_SHADES = ("#f6e3d3", "#f0bd95", "#e58f52", "#cb5a14", "#8f3300")
MAP_TOUCHPOINTS, MAP_FLOWS, MAP_INCHES = 5, 30, 3.6
WEEKS_SHOWN = 26
SEGMENT_WEEKS_SHOWN = 13
PROBLEMS_SHOWN = 40
CURVE_JOURNEYS_SHOWN, CURVES_IN_A_ROW, CURVE_INCHES = 12, 4, 1.45
# A window of fewer days has no curve by days.
CURVE_DAYS = 3
CURVE_NAME = 22
WIDTH_INCHES, ROW_INCHES, ARRIVAL_INCHES, CELL_INCHES, SEGMENT_INCHES, WEIGHT_INCHES = 8.0, 2.2, 0.75, 0.7, 0.6, 0.24

_NO_SEGMENTS = "There are no segments yet."

_FUNNELS = """
    select journey, stage_order, stage, reached_count, shared_rate
    from published.journey_stages
    where week = 'all' and segment = 'all'
    order by journey, stage_order
"""
_SURVIVAL = """
    with used as (
        select journey
        from published.stage_survival
        where day = 0
        group by journey
        order by arg_min(at_risk_count, stage_order) desc, journey
        limit ?
    )
    select
        journey, stage_order, stage, day, advanced_rate, coalesce(advanced_low, advanced_rate),
        coalesce(advanced_high, advanced_rate), lost_rate, coalesce(lost_low, lost_rate),
        coalesce(lost_high, lost_rate), at_risk_count
    from published.stage_survival
    inner join used using (journey)
    order by journey, stage_order, day
"""
_HEALTH = """
    select journey, week_start_date, health_score, health_low, health_high, status
    from published.journey_health_scores
    where segment = 'all' and channel = 'all' and health_score is not null
    qualify row_number() over (partition by journey order by week_start_date desc) <= ?
    order by journey, week_start_date
"""
_SEGMENT_HEALTH = """
    select journey, segment, week_start_date, health_score, status
    from published.journey_health_scores
    where channel = 'all' and status is not null
        and week_start_date > (select max(week_start_date) from published.journey_health_scores) - 7 * ?::integer
    order by journey, segment, week_start_date
"""
_SEGMENT_NAMES = """
    select segment, name from predictions.segments
    union all
    select 'unassigned', 'Unassigned' where exists (from predictions.segments)
    order by segment = 'unassigned', length(segment), segment
"""
_SEGMENTS = """
    select segment, name, customer_count, conversion_rate, conversion_low, conversion_high, value_amount, value_currency
    from published.customer_segments
    order by segment = 'unassigned', customer_count desc, segment
"""
_PROBLEMS = """
    select subject, measure, bucket, value, unit, coalesce(detail, '')
    from published.data_quality
    where is_problem
    order by subject_type desc, subject, measure, bucket_order, value desc, bucket
"""
_ARRIVALS = """
    select subject, from_date, value
    from published.data_quality
    where measure = 'rows_by_week'
    order by subject, from_date
"""
_DELAYS = """
    select subject, bucket, share_rate
    from published.data_quality
    where measure = 'events_by_delay'
    order by subject, bucket_order
"""


_CALIBRATION = """
    select cards.model, cards.model_version, cards.auc, cards.auc_low, cards.auc_high, bins.expected, bins.observed,
        bins.low, bins.high
    from published.model_cards as cards
    inner join published.model_diagnostics as bins
        on cards.model = bins.model and cards.model_version = bins.model_version
    where cards.is_champion and bins.measure = 'calibration'
    order by cards.model, bins.bucket_order
"""
_NO_MODELS = "No model scores yet."
_PERSON_SIZES = """
    select bucket, value, share_rate
    from published.identity_quality
    where measure = 'persons_by_identifiers'
    order by bucket_order
"""
_SURVIVORSHIP = """
    select
        conversion.subject, conversion.bucket, entered.value, conversion.value, conversion.value_low,
        conversion.value_high, events.value, days.value
    from published.identity_quality as conversion
    inner join published.identity_quality as entered
        on conversion.subject = entered.subject and conversion.bucket = entered.bucket and entered.measure = 'entered'
    left join published.identity_quality as events
        on conversion.subject = events.subject and conversion.bucket = events.bucket
        and events.measure = 'median_events_before'
    left join published.identity_quality as days
        on conversion.subject = days.subject and conversion.bucket = days.bucket
        and days.measure = 'median_days_before'
    where conversion.measure = 'conversion_rate'
    order by conversion.subject, conversion.bucket_order
"""
_WEIGHTS = """
    select comparison, level, match_weight from ops.match_weights
    order by comparison, level_order
"""
_NO_WEIGHTS = "No profiles were compared."


# The map: what there is of it when it is drawn; friction and flows come after the stages.
_MAP_STAGES = """
    select journey, stage_order, stage, reached_count, shared_rate, drop_off_rate, drop_off_low, drop_off_high,
        coalesce(lead(rank_by_lost) over (partition by journey order by stage_order) = 1, false) and lost_count > 0
    from published.journey_stages
    where week = 'all' and segment = 'all'
    order by journey, stage_order
"""
_MAP_TOUCHPOINTS = """
    select journey, stage_order, touchpoint, touch_count, drop_off_after_rate
    from published.stage_touchpoints
    where week = 'all' and segment = 'all'
    qualify row_number() over (partition by journey, stage_order order by touch_count desc, touchpoint) <= ?
    order by journey, stage_order, touch_count desc, touchpoint
"""
_MAP_FLOWS = """
    select journey, from_stage_order, from_step, to_stage_order, to_step, transition_count
    from published.journey_transitions
    where level = 'map' and week = 'all' and segment = 'all'
        and from_stage_order is not null and to_stage_order is not null
    order by journey, transition_count, from_stage_order, from_step, to_stage_order, to_step
"""
_MAP_FRICTION = """
    select journey, stage_order, touchpoint, min(rank)
    from published.friction_points
    where week = 'all' and is_ranked
    group by all
    order by all
"""


def draw_map(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw the map of every journey: stages as columns, touchpoints as circles, flows between them, friction pinned.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.journey_stages``; ``stage_touchpoints``, ``journey_transitions`` and
        ``friction_points`` are drawn if they are there.

    Returns
    -------
    bytes
        A PNG of all weeks and everybody. A circle's area is its touches, its colour the share lost right after it; a
        red square is the rank of the friction there.
    """
    journeys: dict[str, list[tuple[Any, ...]]] = {}
    for journey, *stage in connection.execute(_MAP_STAGES).fetchall():
        journeys.setdefault(journey, []).append(tuple(stage))
    circles: dict[str, dict[tuple[int, str], tuple[float, float, int, float | None]]] = {}
    for journey, order, touchpoint, touches, lost in _if_there(
        connection, "stage_touchpoints", _MAP_TOUCHPOINTS, [MAP_TOUCHPOINTS]
    ):
        known = circles.setdefault(journey, {})
        level = sum(1 for place, _ in known if place == order)
        known[order, touchpoint] = (float(order), -0.62 * level, touches, lost)
    flows: dict[str, list[tuple[Any, ...]]] = {}
    for journey, *flow in _if_there(connection, "journey_transitions", _MAP_FLOWS):
        flows.setdefault(journey, []).append(tuple(flow))
    pins: dict[str, list[tuple[Any, ...]]] = {}
    for journey, *pin in _if_there(connection, "friction_points", _MAP_FRICTION):
        pins.setdefault(journey, []).append(tuple(pin))
    figure, axes = _figure(len(journeys), height=MAP_INCHES * max(len(journeys), 1))
    figure.subplots_adjust(left=0.02, right=0.99, hspace=0.12)
    for axis, (journey, stages) in zip(axes, journeys.items(), strict=False):
        _draw_one_map(
            axis,
            journey,
            stages,
            circles=circles.get(journey, {}),
            flows=flows.get(journey, []),
            pins=pins.get(journey, []),
        )
    return _png(figure)


def _draw_one_map(
    axis: Axes,
    journey: str,
    stages: list[tuple[Any, ...]],
    *,
    circles: dict[tuple[int, str], tuple[float, float, int, float | None]],
    flows: list[tuple[Any, ...]],
    pins: list[tuple[Any, ...]],
) -> None:
    from matplotlib.patches import FancyArrowPatch

    axis.set_xlim(stages[0][0] - 0.25, stages[-1][0] + 0.9)
    axis.set_ylim(-0.62 * MAP_TOUCHPOINTS, 1.25)
    axis.set_axis_off()
    called = ""
    for order, stage, reached, rate, drop, low, high, is_main in stages:
        words = f"{stage}\n{reached:,}" + (f" · {rate:.0%}" if rate is not None else "")
        axis.annotate(words, (order - 0.12, 0.62), fontsize=8, fontweight="bold" if is_main else None, parse_math=False)
        if is_main and drop is not None:
            axis.annotate(f"▼ {drop:.0%} lost ({low:.0%} to {high:.0%})", (order - 0.12, 0.4), fontsize=7, color=ALARM)
            called = f", most are lost after “{stage}”"
    shown = [flow for flow in flows if (flow[0], flow[1]) in circles and (flow[2], flow[3]) in circles]
    shown = [flow for flow in shown if flow[:2] != flow[2:4]][-MAP_FLOWS:]
    largest = max([flow[4] for flow in shown], default=1)
    for from_order, from_step, to_order, to_step, count in shown:
        start, end = circles[from_order, from_step], circles[to_order, to_step]
        bow = 0.35 if from_order == to_order else 0.0 if from_order < to_order else 0.2
        axis.add_patch(
            FancyArrowPatch(
                start[:2],
                end[:2],
                connectionstyle=f"arc3,rad={bow}",
                arrowstyle="-",
                linewidth=0.4 + 6 * count / largest,
                color=QUIET,
                alpha=0.35,
                capstyle="butt",
            )
        )
    most = max([touches for _, _, touches, _ in circles.values()], default=1)
    for (_, name), (x, y, touches, lost) in circles.items():
        shade = _LOSS_SHADES[sum((lost or 0.0) >= limit for limit in _LOSS_LIMITS)] if lost is not None else "white"
        axis.scatter([x], [y], s=12 + 340 * touches / most, color=shade, edgecolor="#333333", linewidth=0.8, zorder=3)
        fact = "" if lost is None else f", {lost:.0%} lost"
        axis.annotate(
            f"{name} {touches:,}{fact}", (x + 0.1, y - 0.06), fontsize=6, va="top", zorder=4, parse_math=False
        )
    for order, touchpoint, rank in pins:
        x, y, *_ = circles.get((order, touchpoint), (order, 0.4))
        axis.annotate(
            str(rank),
            (x - 0.09, y + 0.16),
            fontsize=6,
            color="white",
            fontweight="bold",
            ha="center",
            zorder=5,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": ALARM, "edgecolor": "none"},
        )
    arrived = f"{stages[-1][3]:.0%} reach “{stages[-1][1]}”" if stages[-1][3] is not None else "nobody entered"
    _title(axis, f"{journey}: {arrived}{called}")


def _if_there(
    connection: duckdb.DuckDBPyConnection, table: str, query: str, given: list[Any] | None = None
) -> list[tuple[Any, ...]]:
    """Rows of a query on a published table; none if the table is not there."""
    is_there = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'published' and table_name = ?", [table]
    ).fetchall()
    return connection.execute(query, given or []).fetchall() if is_there[0][0] else []


def draw_funnels(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw how many attempts reached each stage, one funnel per journey.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.journey_stages``.

    Returns
    -------
    bytes
        A PNG.
    """
    journeys: dict[str, list[tuple[str, int, float]]] = {}
    for journey, _, stage, reached, rate in connection.execute(_FUNNELS).fetchall():
        journeys.setdefault(journey, []).append((stage, reached, rate or 0.0))
    figure, axes = _figure(len(journeys))
    for axis, (journey, stages) in zip(axes, journeys.items(), strict=False):
        names = [stage for stage, _, _ in stages]
        counts = [count for _, count, _ in stages]
        axis.barh(names, counts, color=ACCENT, height=0.6)
        for position, (_, count, rate) in enumerate(stages):
            axis.annotate(f" {count:,} · {rate:.0%}", (count, position), va="center", fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(0, max(counts, default=1) * 1.25 or 1)
        axis.set_xticks([])
        axis.spines["bottom"].set_visible(False)
        _title(axis, f"{journey}: {stages[-1][2]:.0%} reach “{names[-1]}”")
    return _png(figure)


def draw_survival(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw how many have gone on and how many are lost by days since each stage was reached, a panel per stage.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.stage_survival``.

    Returns
    -------
    bytes
        A PNG of the journeys that most people enter, with 95 % intervals. Where the window is too short for a curve
        there are points at its end.
    """
    journeys: dict[str, dict[tuple[int, str], list[tuple[Any, ...]]]] = {}
    for journey, order, stage, *day in connection.execute(_SURVIVAL, [CURVE_JOURNEYS_SHOWN]).fetchall():
        journeys.setdefault(journey, {}).setdefault((order, stage), []).append(tuple(day))
    # A journey begins a row of its own, and takes as many as it needs.
    places: list[tuple[str, int, str] | None] = []
    for journey, stages in journeys.items():
        places += [(journey, *stage) for stage in stages]
        places += [None] * (-len(places) % CURVES_IN_A_ROW)
    rows = len(places) // CURVES_IN_A_ROW
    if not rows:
        figure, _ = _figure(0)
        return _png(figure)
    height = 0.4 + CURVE_INCHES * rows
    figure, axes = _figure(rows, columns=CURVES_IN_A_ROW, height=height)
    figure.subplots_adjust(left=0.06, right=0.99, top=1 - 0.45 / height, bottom=0.3 / height, hspace=0.9, wspace=0.06)
    before = None
    for number, (axis, place) in enumerate(zip(axes, places, strict=True)):
        if place is None:
            axis.set_axis_off()
            continue
        journey, *stage = place
        days = journeys[journey][stage[0], stage[1]]
        _draw_one_stay(axis, stage[1], days, is_first=number % CURVES_IN_A_ROW == 0)
        if journey != before:
            _title(axis, _most_lost(journey, journeys[journey]), pad=18)
        before = journey
    return _png(figure)


def _most_lost(journey: str, stages: dict[tuple[int, str], list[tuple[Any, ...]]]) -> str:
    """The sentence over a journey: in which stage the greatest share is lost."""
    (_, stage), days = max(stages.items(), key=lambda item: (item[1][-1][4], -item[0][0]))
    window, lost, low, high = days[-1][0], *days[-1][4:7]
    within = f"within {window} {'day' if window == 1 else 'days'}"
    if not lost:
        return f"{journey}: nobody is lost {within}"
    most = " most," if len(stages) > 1 else ""
    return f"{journey}: “{stage}” loses{most} {lost:.0%} {within} ({low:.0%} to {high:.0%})"


def _draw_one_stay(axis: Axes, stage: str, days: list[tuple[Any, ...]], *, is_first: bool) -> None:
    """Draw what became of those who reached a stage: two curves, or two points where the window is short."""
    numbers, entered, end = [day[0] for day in days], days[0][7], days[-1][0]
    advanced, lost = days[-1][1], days[-1][4]
    # Ends that meet are written one above the other.
    apart = max(0.0, 0.16 - abs(advanced - lost)) / 2 * (1 if advanced >= lost else -1)
    for words, colour, column, shift in (("go on", ACCENT, 1, apart), ("lost", ALARM, 4, -apart)):
        rates, lows, highs = ([day[column + part] for day in days] for part in range(3))
        if end < CURVE_DAYS:
            axis.vlines(end, lows[-1], highs[-1], color=colour, alpha=0.4, linewidth=3)
            axis.plot([end], [rates[-1]], color=colour, marker="o", markersize=4, clip_on=False)
        else:
            axis.fill_between(numbers, lows, highs, color=colour, alpha=0.2, linewidth=0)
            axis.plot(numbers, rates, color=colour, linewidth=1.3)
        axis.annotate(
            f"{rates[-1]:.0%} {words}",
            (end, max(rates[-1] + shift, 0.07)),
            (4, 0),
            textcoords="offset points",
            fontsize=7,
            color=colour,
            va="center",
        )
    name = stage if len(stage) <= CURVE_NAME else f"{stage[: CURVE_NAME - 1]}…"
    axis.annotate(f"{name} · {entered:,}", (0, 1.06), xycoords="axes fraction", fontsize=7.5, parse_math=False)
    # To the right of the ends there is room for their words.
    axis.set_xlim(0, 1.55 * max(end, 1))
    axis.set_ylim(0, 1.02)
    axis.spines["bottom"].set_bounds(0, end)
    axis.set_xticks([0, end], ["0", f"{end} {'day' if end == 1 else 'days'}"])
    axis.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"] if is_first else [""] * 3)
    axis.tick_params(labelsize=6.5, length=2)


def draw_health(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw the weekly health score with its interval, one line per journey.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.journey_health_scores``.

    Returns
    -------
    bytes
        A PNG; degraded weeks are marked by colour and shape.
    """
    journeys: dict[str, list[tuple[object, ...]]] = {}
    for journey, *week in connection.execute(_HEALTH, [WEEKS_SHOWN]).fetchall():
        journeys.setdefault(journey, []).append(tuple(week))
    figure, axes = _figure(len(journeys))
    for axis, (journey, weeks) in zip(axes, journeys.items(), strict=False):
        dates, scores, lows, highs, _ = zip(*weeks, strict=True)
        axis.fill_between(dates, lows, highs, color=ACCENT, alpha=0.2, linewidth=0)
        axis.plot(dates, scores, color=ACCENT, linewidth=1.5)
        degraded = [(day, score) for day, score, _, _, status in weeks if status == "degraded"]
        if degraded:
            axis.scatter(*zip(*degraded, strict=True), color=ALARM, marker="v", zorder=3)
        axis.annotate(f" {scores[-1]:.0f}", (dates[-1], scores[-1]), va="center", fontsize=8)
        axis.set_ylim(0, 100)
        weeks = "week" if len(degraded) == 1 else "weeks"
        degraded_words = f", {len(degraded)} degraded {weeks}" if degraded else ""
        _title(axis, f"{journey}: health {scores[-1]:.0f} in the week of {dates[-1]}{degraded_words}")
        axis.tick_params(labelsize=7)
    return _png(figure)


def draw_health_by_segment(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw the latest weeks' health of every segment in every journey, against that of everybody.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.journey_health_scores`` and ``predictions.segments``.

    Returns
    -------
    bytes
        A PNG with a row per journey and a column per segment. Weeks that are too uncertain to say are left out of the
        line; degraded ones are marked by colour and shape.
    """
    cells: dict[tuple[str, str], list[tuple[date, float, str]]] = {}
    for journey, segment, *week in connection.execute(_SEGMENT_HEALTH, [SEGMENT_WEEKS_SHOWN]).fetchall():
        cells.setdefault((journey, segment), []).append(tuple(week))
    segments = connection.execute(_SEGMENT_NAMES).fetchall()
    journeys = sorted({journey for journey, _ in cells}) if segments else []
    figure, [axis] = _figure(
        min(len(journeys), 1), height=1.2 + CELL_INCHES * max(len(journeys), 1), nothing=_NO_SEGMENTS
    )
    if not journeys:
        return _png(figure)
    days = sorted({week for weeks in cells.values() for week, _, _ in weeks})
    place = {day: 0.78 * position / max(len(days) - 1, 1) for position, day in enumerate(days)}
    for row, journey in enumerate(journeys):
        everybody = cells.get((journey, "all"), [])
        for column, (segment, _) in enumerate(segments):
            axis.plot(
                [column + place[day] for day, _, _ in everybody],
                [_height(score) - row for _, score, _ in everybody],
                color=QUIET,
                linewidth=0.8,
            )
            weeks = cells.get((journey, segment), [])
            if not weeks:
                axis.annotate("too few", (column, 0.1 - row), fontsize=6, color=QUIET)
                continue
            points = [(column + place[day], _height(score) - row) for day, score, _ in weeks]
            axis.plot(*zip(*points, strict=True), color=ACCENT, linewidth=1.3, marker="o", markersize=1.5)
            degraded = [point for point, week in zip(points, weeks, strict=True) if week[2] == "degraded"]
            if degraded:
                axis.scatter(*zip(*degraded, strict=True), color=ALARM, marker="v", s=16, zorder=3)
            axis.annotate(
                f"{weeks[-1][1]:.0f}", points[-1], (2, 0), textcoords="offset points", fontsize=6, va="center"
            )
    names = [textwrap.fill(name, max(10, 90 // len(segments))) for _, name in segments]
    axis.set_xticks([column + 0.4 for column in range(len(segments))], names, fontsize=6)
    axis.set_yticks([0.4 - row for row in range(len(journeys))], journeys, fontsize=7)
    axis.set_xlim(-0.05, len(segments) + 0.05)
    axis.set_ylim(0.9 - len(journeys), 1)
    axis.tick_params(length=0)
    _title(axis, f"Health by segment, weeks of {days[0]} to {days[-1]} (grey: everybody)")
    return _png(figure)


def _height(score: float) -> float:
    """Where a score lies in its cell: what matters happens between 30 and 100."""
    return max(score - 30, 0) / 90


def draw_segments(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw how many customers each segment has, and how many of them have bought.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.customer_segments``.

    Returns
    -------
    bytes
        A PNG: sizes on the left, the share that has bought with its interval on the right.
    """
    segments = connection.execute(_SEGMENTS).fetchall()
    figure, [left, right] = _figure(
        min(len(segments), 1), columns=2, height=1.0 + SEGMENT_INCHES * max(len(segments), 1), nothing=_NO_SEGMENTS
    )
    if not segments:
        return _png(figure)
    figure.subplots_adjust(left=0.22)
    whole = sum(count for _, _, count, *_ in segments) or 1
    for place, (segment, _, count, rate, low, high, value, currency) in enumerate(segments):
        colour = QUIET if segment == "unassigned" else ACCENT
        left.barh(-place, count, color=colour, height=0.6)
        left.annotate(f" {count:,} · {count / whole:.0%}", (count, -place), va="center", fontsize=8)
        if rate is None:
            continue
        right.plot([low, high], [-place, -place], color=colour, linewidth=2, alpha=0.4)
        right.scatter(rate, -place, color=colour, zorder=3)
        worth = f"; {value:,.0f} {currency} each" if value is not None else ""
        right.annotate(f" {rate:.0%}{worth}", (high, -place), va="center", fontsize=8)
    left.set_yticks(
        [-place for place in range(len(segments))], [textwrap.fill(row[1], 24) for row in segments], fontsize=7
    )
    left.set_xticks([])
    left.set_xlim(0, 1.4 * max(row[2] for row in segments) or 1)
    right.set_yticks([])
    widest = max([row[5] or 0.0 for row in segments])
    right.set_xlim(0, 1.6 * widest or 1)
    right.set_xticks(ticks := [tick / 4 for tick in range(5) if tick / 4 <= widest], [f"{tick:.0%}" for tick in ticks])
    right.tick_params(labelsize=6)
    for axis in (left, right):
        axis.set_ylim(-len(segments) + 0.4, 0.6)
        axis.tick_params(axis="y", length=0)
    left.spines["bottom"].set_visible(False)
    _title(left, f"Customers in {len(segments) - 1} segments")
    _title(right, "Have bought so far, and paid")
    return _png(figure)


def draw_calibration(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw for each model that scores what it foretold on weeks it had not seen, against what happened.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.model_cards`` and ``published.model_diagnostics``.

    Returns
    -------
    bytes
        A PNG; on the line, chances are what they say. Bars are 95 % intervals.
    """
    models: dict[tuple[str, ...], list[tuple[float, ...]]] = {}
    for model, version, auc, auc_low, auc_high, *chances in connection.execute(_CALIBRATION).fetchall():
        told = f"{model}, version {version}: AUC {auc:.2f} ({auc_low:.2f} to {auc_high:.2f})"
        models.setdefault((told,), []).append(tuple(chances))
    figure, axes = _figure(len(models), height=3.6 * max(len(models), 1), nothing=_NO_MODELS)
    figure.subplots_adjust(left=0.1, bottom=0.14)
    for axis, ((told,), bins) in zip(axes, models.items(), strict=False):
        expected, observed, low, high = zip(*bins, strict=True)
        end = 1.05 * max(*expected, *high)
        axis.plot([0, end], [0, end], color=QUIET, linewidth=1)
        axis.annotate("as foretold ", (0.95 * end, 0.95 * end), ha="right", color=QUIET, fontsize=8)
        axis.vlines(expected, low, high, color=ACCENT, alpha=0.4)
        axis.plot(expected, observed, color=ACCENT, marker="o", markersize=4, linewidth=1)
        axis.set_xlim(0, end)
        axis.set_ylim(0, end)
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.tick_params(labelsize=7)
        axis.set_xlabel("foretold chance, tenths of the rows held out", fontsize=8)
        axis.set_ylabel("happened", fontsize=8)
        _title(axis, told)
    return _png(figure)


def draw_match_weights(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw what each agreement and disagreement of two profiles counts for.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``ops.match_weights``.

    Returns
    -------
    bytes
        A PNG: one bar per level of a comparison, in bits; each bit doubles the odds that two profiles are one person's.
    """
    rows = connection.execute(_WEIGHTS).fetchall()
    figure, [axis] = _figure(min(len(rows), 1), height=1.0 + WEIGHT_INCHES * max(len(rows), 1), nothing=_NO_WEIGHTS)
    figure.subplots_adjust(left=0.25)
    for position, (_, _, weight) in enumerate(rows):
        axis.barh(position, weight, color=ACCENT if weight > 0 else ALARM, height=0.6)
        side = "left" if weight > 0 else "right"
        axis.annotate(f" {weight:+.1f} bits ", (weight, position), ha=side, va="center", fontsize=8)
    if rows:
        axis.set_yticks(range(len(rows)), [f"{name.replace('_', ' ')}: {level}" for name, level, _ in rows], fontsize=8)
        axis.axvline(0, color=QUIET, linewidth=1)
        axis.invert_yaxis()
        axis.margins(x=0.12)
        axis.set_xticks([])
        axis.spines["bottom"].set_visible(False)
        name, level, weight = max(rows, key=lambda row: row[2])
        _title(axis, f"“{name.replace('_', ' ')}: {level}” tells most: odds of one person × {2**weight:,.0f}")
    return _png(figure)


def draw_arrivals(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw what arrives in a week and how late it is known, one row per table of a source.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.data_quality``.

    Returns
    -------
    bytes
        A PNG: rows by week on the left; on the right the share of events by delay, small shares drawn larger than
        they are (by their square root) and all written out.
    """
    weeks: dict[str, list[tuple[object, float]]] = {}
    for subject, week, value in connection.execute(_ARRIVALS).fetchall():
        weeks.setdefault(subject, []).append((week, value))
    delays: dict[str, list[tuple[str, float]]] = {}
    for subject, bucket, share in connection.execute(_DELAYS).fetchall():
        delays.setdefault(subject, []).append((bucket, share or 0.0))
    figure, axes = _figure(1, columns=2, height=1.0 + ARRIVAL_INCHES * max(len(weeks), 1))
    left, right = axes
    for place, (subject, counts) in enumerate(weeks.items()):
        busiest = max(value for _, value in counts) or 1.0
        days = [week for week, _ in counts]
        heights = [0.6 * value / busiest - place for _, value in counts]
        left.fill_between(days, heights, -place, color=ACCENT, linewidth=0)
        sentence = f"{subject}: up to {busiest:,.0f} rows a week, last week {counts[-1][1]:,.0f}"
        left.annotate(sentence, (0, 0.7 - place), xycoords=left.get_yaxis_transform(), fontsize=7, va="bottom")
        shares = [share for _, share in delays.get(subject, [])]
        right.bar(range(len(shares)), [0.6 * share**0.5 for share in shares], bottom=-place, color=ACCENT, width=0.7)
        for position, share in enumerate(shares):
            right.annotate(f"{share:.1%}", (position, 0.6 * share**0.5 - place), ha="center", va="bottom", fontsize=6)
    buckets = next(iter(delays.values()), [])
    right.set_xticks(range(len(buckets)), [bucket.replace(" ", "\n", 1) for bucket, _ in buckets], fontsize=5.5)
    left.tick_params(labelsize=6)
    left.tick_params(axis="x", rotation=30)
    for axis in axes:
        axis.set_yticks([])
        axis.set_ylim(-len(weeks) + 0.9, 1.1)
    if weeks:
        _title(left, "What arrives in a week")
        _title(right, "How late it is known")
    return _png(figure)


def list_problems(connection: duckdb.DuckDBPyConnection) -> str:
    """List what somebody should look at in the data, tables first, then stages that no source sees.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.data_quality``.

    Returns
    -------
    str
        Markdown.
    """
    problems = connection.execute(_PROBLEMS).fetchall()
    if not problems:
        return "Nothing to look at: all tables are fresh, nothing is refused, every stage is seen."
    lines = [f"{len(problems):,} to look at", "", "| where | what | | how much | |", "|---|---|---|---:|---|"]
    for subject, measure, bucket, value, unit, detail in problems[:PROBLEMS_SHOWN]:
        what, split = measure.replace("_", " "), "" if bucket == "all" else bucket
        cells = (subject, what, split, f"{value:,.10g} {unit}", detail)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    if len(problems) > PROBLEMS_SHOWN:
        lines.append(f"\nand {len(problems) - PROBLEMS_SHOWN:,} more, in `published.data_quality` where `is_problem`.")
    return "\n".join(lines)


def draw_person_sizes(connection: duckdb.DuckDBPyConnection) -> bytes:
    """Draw how many persons hold how many identifiers.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.identity_quality``.

    Returns
    -------
    bytes
        A PNG; small counts are drawn larger than they are (by their square root) and all written out.
    """
    sizes = connection.execute(_PERSON_SIZES).fetchall()
    whole = sum(count for _, count, _ in sizes)
    figure, [axis] = _figure(1 if whole else 0, height=3.2, nothing="There are no persons yet.")
    if not whole:
        return _png(figure)
    figure.subplots_adjust(left=0.05, bottom=0.22)
    heights = [count**0.5 for _, count, _ in sizes]
    axis.bar(range(len(sizes)), heights, color=ACCENT, width=0.7)
    for place, (_, count, share) in enumerate(sizes):
        words = f"{count:,.0f}\n{share:.1%}" if count else "0"
        axis.annotate(words, (place, heights[place]), ha="center", va="bottom", fontsize=6.5)
    axis.set_xticks(range(len(sizes)), [bucket.replace(" ", "\n", 1) for bucket, _, _ in sizes], fontsize=7)
    axis.set_yticks([])
    axis.set_ylim(0, 1.25 * max(heights))
    axis.set_xlabel("identifiers of a person", fontsize=8)
    _title(axis, f"{whole:,.0f} persons by how many identifiers they hold")
    return _png(figure)


def list_survivorship(connection: duckdb.DuckDBPyConnection) -> str:
    """List conversion and the way to it per journey, on each of the three identities.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with ``published.identity_quality``.

    Returns
    -------
    str
        Markdown.
    """
    rows = connection.execute(_SURVIVORSHIP).fetchall()
    if not rows:
        return "No journey has been watched for its whole window yet."
    lines = [
        "What a number owes to hindsight: who converts logs in, and only then is what they did before known to be "
        "theirs. *As of* stitches what was known when the attempt ended.",
        "",
        "| journey | identity | entered | converted | 95 % | events before (median) | days before (median) |",
        "|---|---|---:|---:|---|---:|---:|",
    ]
    for journey, identity, entered, rate, low, high, events, days in rows:
        way = ("-", "-") if events is None else (f"{events:,.0f}", f"{days:,.1f}")
        cells = (journey, identity, f"{entered:,.0f}", f"{rate:.1%}", f"{low:.1%} to {high:.1%}", *way)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _title(axis: Axes, sentence: str, *, pad: float | None = None) -> None:
    axis.set_title(sentence, loc="left", fontsize=9, fontweight="bold", parse_math=False, pad=pad)


def as_markdown(picture: bytes, *, alt: str) -> str:
    """Write a PNG into Markdown, with its text alternative."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(picture).decode()})"


def _figure(
    rows: int, *, columns: int = 1, height: float | None = None, nothing: str = "No journey has data yet."
) -> tuple[Figure, list[Axes]]:
    """Open a figure with axes row by row; without rows it says that there is nothing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = height or ROW_INCHES * max(rows, 1)
    figure = Figure(figsize=(WIDTH_INCHES, height))
    # Fixed margins: letting matplotlib find them costs as much as drawing.
    left, bottom = (0.2, 0.05) if columns == 1 else (0.03, 0.5 / height)
    figure.subplots_adjust(left=left, right=0.97, top=1 - 0.3 / height, bottom=bottom, hspace=0.4, wspace=0.08)
    FigureCanvasAgg(figure)
    count = max(rows, 1) * columns
    axes = [figure.add_subplot(max(rows, 1), columns, position + 1) for position in range(count)]
    for axis in axes:
        axis.spines[["top", "right", "left"]].set_visible(False)
        if not rows:
            axis.set_axis_off()
            axis.annotate(nothing, (0.5, 0.5), ha="center", color=QUIET)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font does not have shows as boxes; that is nothing to warn of every night.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
