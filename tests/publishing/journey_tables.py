"""Hand-made published tables of three journeys: what the map of the journeys reads, with names that try to break it.

``checkout`` is a plain journey with a broken step, ``ODD`` has names full of quotes, tags and other scripts, and
``tiny`` has twelve attempts. Eight weeks, three segments, all margins; the numbers follow simple formulas, so that
margins add up and every slice differs from every other.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa

NASTY = '"><script>alert(1)</script>'
ODD = "it's <b>odd</b> & </script>"
WEEKS = [(date(2026, 5, 4) + timedelta(weeks=n)).isoformat() for n in range(8)]
SEGMENTS = ["S1", "S2", "unassigned"]
SEGMENT_NAMES = {"S1": "Planners", "S2": f"Größe → 日本 {NASTY}", "unassigned": "Unassigned"}
STAGES = {
    "checkout": ["Checkout started", "First step done", "Payment entered", "Bought"],
    ODD: [f"Sign-up {NASTY}", "Ünïcode → 流れ", "Last </script><!-- \u2028 step"],
    "tiny": ["Asked", "Answered"],
}
TOUCHPOINTS = {
    "checkout": [["checkout", "website", "email"], ["checkout", "support", "chat"], ["checkout", "billing"], ["shop"]],
    ODD: [["sign-up", f"page $5 {NASTY}$"], ["__proto__", "it's \\ 'quoted'", "constructor"], ["done & <i>dusted</i>"]],
    "tiny": [["support"], ["support", "call"]],
}
SIZE = {"checkout": 400, ODD: 90, "tiny": 0}

SLICE = "week varchar, week_start_date date, segment varchar"
RATE = "{0}_rate double, {0}_low double, {0}_high double"
COLUMNS = {
    "journey_definitions": """journey varchar, title varchar, owner varchar, guard_rails varchar, window_days integer,
        problem varchar""",
    "journey_stages": f"""journey varchar, {SLICE}, stage_order integer, stage varchar, entered_count bigint,
        reached_count bigint, advanced_count bigint, lost_count bigint, open_count bigint, shared_rate double,
        step_rate double, {RATE.format("drop_off")}, median_hours_from_previous double, median_hours_to_next double,
        median_hours_to_next_low double, median_hours_to_next_high double, satisfaction_score double,
        value_at_risk_amount decimal(18, 2), value_at_risk_currency varchar, lost_before_count bigint,
        rank_by_lost integer, rank_by_step_rate integer, likely_reason varchar""",
    "journey_health_scores": """journey varchar, week_start_date date, segment varchar, channel varchar,
        health_score double, health_low double, health_high double, conversion_score double, sentiment_score double,
        engagement_score double, velocity_score double, entered_count bigint, baseline_score double,
        change_from_baseline double, status varchar, reason varchar""",
    "customer_segments": "segment varchar, name varchar, customer_count bigint, description varchar",
    "stage_survival": f"""journey varchar, stage_order integer, stage varchar, day integer, survival_rate double,
        low double, high double, {RATE.format("advanced")}, {RATE.format("lost")}, at_risk_count bigint""",
    "journey_transitions": f"""journey varchar, level varchar, {SLICE}, from_stage_order integer, from_step varchar,
        to_stage_order integer, to_step varchar, transition_count bigint, transition_rate double,
        median_hours double""",
    "journey_effort": f"""journey varchar, {SLICE}, status varchar, attempt_count bigint, mean_steps double,
        steps_low double, steps_high double, mean_contacts double, mean_repeats double, mean_backtracks double,
        mean_friction double, median_hours_between_touches double""",
    "stage_touchpoints": f"""journey varchar, {SLICE}, stage_order integer, stage varchar, touchpoint varchar,
        touch_count bigint, attempt_count bigint, closed_count bigint, {RATE.format("conversion")},
        drop_off_after_rate double, drop_off_after_low double, drop_off_after_high double, friction_rate double,
        sentiment_score double, rating_score double, contact_rate double""",
    "first_day_actions": """journey varchar, action varchar, customer_count bigint, rate double,
        conversion_rate double, conversion_rate_without double, lift double, lift_low double, lift_high double,
        q_value double, is_aha boolean, done_count bigint, done_rate double, started_count bigint,
        converted_count bigint, early_converted_count bigint, warning varchar""",
    "support_outcomes": f"""theme varchar, channel varchar, week varchar, week_start_date date, contact_count bigint,
        {RATE.format("repeat")}, first_contact_resolution_rate double, first_contact_resolution_low double,
        first_contact_resolution_high double, {RATE.format("reopen")}, cost_amount decimal(18, 2),
        cost_currency varchar""",
    "stage_contacts": f"""journey varchar, {SLICE}, stage_order integer, stage varchar, touchpoint varchar,
        channel varchar, contact_count bigint, attempt_count bigint, {RATE.format("contact")},
        median_hours_after double, sentiment_score double""",
    "journey_annotations": """annotation_id varchar, journey varchar, stage varchar, touchpoint varchar, kind varchar,
        text varchar, author varchar, said_on date, problem varchar""",
    "journey_paths": """journey varchar, kind varchar, pattern varchar, pattern_length integer, attempt_count bigint,
        support_rate double, converted_count bigint, conversion_rate double, base_conversion_rate double, lift double,
        lift_low double, lift_high double, length_adjusted_lift double, p_value double, q_value double,
        verdict varchar, is_new_this_month boolean, is_unexpected boolean, first_seen_date date""",
    "journey_what_ifs": """journey varchar, change varchar, step varchar, conversion_before double,
        conversion_after double, difference double, difference_low double, difference_high double,
        is_offered boolean, reason varchar""",
    "journey_states": """journey varchar, model_order integer, state varchar, visit_count bigint,
        success_probability double, success_low double, success_high double, expected_steps double,
        observed_conversion_rate double, observed_low double, observed_high double, chain_conversion_rate double,
        is_reproduced boolean""",
    "next_steps": """journey varchar, step varchar, next varchar, transition_count bigint, probability double,
        probability_low double, probability_high double, top_rank integer""",
    "abandonment_types": """journey varchar, abandonment_type varchar, name varchar, description varchar,
        attempt_count bigint, share_rate double, share_low double, share_high double, main_stage varchar,
        main_touchpoint varchar, median_seconds double, main_signal varchar""",
    "friction_points": """journey varchar, week varchar, week_start_date date, rank integer, stage_order integer,
        stage varchar, touchpoint varchar, signal varchar, cohort_dimension varchar, cohort varchar,
        attempt_count bigint, lost_count bigint, expected_lost_count double, extra_lost_count double,
        extra_lost_low double, extra_lost_high double, value_per_conversion_amount decimal(18, 2),
        value_at_risk_amount decimal(18, 2), value_low decimal(18, 2), value_high decimal(18, 2),
        value_currency varchar, p_value double, q_value double, is_ranked boolean, from_date date, to_date date,
        owner varchar, evidence varchar, likely_cause varchar, recommendation varchar,
        expected_gain_amount decimal(18, 2), expected_gain_basis varchar""",
}


def make_tables(connection: duckdb.DuckDBPyConnection, *, leave_out: tuple[str, ...] = ()) -> None:
    """Write all tables into schema ``published``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with a schema ``published``.
    leave_out : tuple of str
        Tables that are not there.
    """
    rows = _rows()
    for table, columns in COLUMNS.items():
        if table in leave_out:
            continue
        connection.execute(f"create or replace table published.{table} ({columns})")
        names = [
            name
            for (name,) in connection.execute(
                "select column_name from duckdb_columns() where schema_name = 'published' and table_name = ?", [table]
            ).fetchall()
        ]
        given = rows.get(table, [])
        if given:
            told = pa.table({name: pa.array([row.get(name) for row in given]) for name in names})
            connection.register("told", told)
            connection.execute(f"insert into published.{table} select {', '.join(names)} from told")
            connection.unregister("told")


def entered(journey: str, week: str, segment: str) -> int:
    """Attempts that entered in a slice; margins are sums."""
    if week == "all":
        return sum(entered(journey, each, segment) for each in WEEKS)
    if segment == "all":
        return sum(entered(journey, week, each) for each in SEGMENTS)
    if journey == "tiny":
        return 12 if (week, segment) == (WEEKS[0], "unassigned") else 0
    return SIZE[journey] + 10 * WEEKS.index(week) + 25 * SEGMENTS.index(segment)


def reached(journey: str, week: str, segment: str, stage: int) -> int:
    """Attempts that reached a stage (from 1); three quarters go on, fewer in the fifth week."""
    if week == "all":
        return sum(reached(journey, each, segment, stage) for each in WEEKS)
    if segment == "all":
        return sum(reached(journey, week, each, stage) for each in SEGMENTS)
    share = 0.5 if week == WEEKS[4] else 0.75
    return int(entered(journey, week, segment) * share ** (stage - 1))


def _slices(journey: str) -> list[tuple[str, str]]:
    slices = [(week, segment) for week in ["all", *WEEKS] for segment in ["all", *SEGMENTS]]
    return [each for each in slices if entered(journey, *each)]


def _rows() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in COLUMNS}
    for journey in STAGES:
        for week, segment in _slices(journey):
            _slice_rows(found, journey, week, segment)
        for week in ["all", *WEEKS]:
            _friction_rows(found, journey, week)
        _whole_rows(found, journey)
    found["journey_definitions"] = [
        {"journey": "checkout", "title": "From checkout to <b>purchase</b>", "owner": "Product", "window_days": 1},
        {"journey": "tiny", "owner": "Care", "window_days": 14, "problem": "fewer than 30 attempts"},
    ]
    for segment, name in SEGMENT_NAMES.items():
        found["customer_segments"].append(
            {"segment": segment, "name": name, "customer_count": 100 + len(name), "description": NASTY}
        )
    for channel, cost in (("ticket", 7), ("call", 12), ("chat", 5)):
        for week in ["all", *WEEKS]:
            found["support_outcomes"].append(
                {
                    "theme": "all",
                    "channel": channel,
                    "week": week,
                    "week_start_date": _monday(week),
                    "contact_count": cost * (90 if week == "all" else 11),
                    **_rate("repeat", cost, 40),
                    "first_contact_resolution_rate": 0.7,
                    "first_contact_resolution_low": 0.65,
                    "first_contact_resolution_high": 0.75,
                    **_rate("reopen", 3, 90),
                    "cost_amount": cost * 100.5,
                    "cost_currency": "EUR",
                }
            )
    return found


def _slice_rows(found: dict[str, list[dict[str, Any]]], journey: str, week: str, segment: str) -> None:
    stages, touchpoints = STAGES[journey], TOUCHPOINTS[journey]
    where = {"journey": journey, "week": week, "week_start_date": _monday(week), "segment": segment}
    flows: list[tuple[int | None, str, int | None, str, int]] = []
    whole, lost_before = entered(journey, week, segment), None
    for order, stage in enumerate(stages, 1):
        here = reached(journey, week, segment, order)
        on = reached(journey, week, segment, order + 1) if order < len(stages) else here
        still = 3 if order < len(stages) and here - on > 3 else 0
        lost = here - on - still
        found["journey_stages"].append(
            where
            | {
                "stage_order": order,
                "stage": stage,
                "entered_count": whole,
                "reached_count": here,
                "advanced_count": on,
                "lost_count": lost,
                "open_count": still,
                "shared_rate": round(here / whole, 6),
                "step_rate": round(here / (reached(journey, week, segment, order - 1) if order > 1 else here), 6)
                if here
                else None,
                **_rate("drop_off", lost, max(here - still, 1)),
                "median_hours_from_previous": 0.05 * order if order > 1 else None,
                "median_hours_to_next": 4.25 * order if order < len(stages) else None,
                "median_hours_to_next_low": 4.0 * order if order < len(stages) else None,
                "median_hours_to_next_high": 4.5 * order if order < len(stages) else None,
                "satisfaction_score": 80.0 - 10 * order if journey != "tiny" else None,
                "value_at_risk_amount": lost * 20.5 if journey == "checkout" else None,
                "value_at_risk_currency": "EUR" if journey == "checkout" else None,
                "lost_before_count": lost_before,
                "rank_by_lost": order - 1 if here >= 30 and order > 1 else None,
                "rank_by_step_rate": len(stages) - order + 1 if here >= 30 and order > 1 else None,
                "likely_reason": f"people wait {order * 4.25} hours before it" if order > 1 else None,
            }
        )
        lost_before = lost
        names = touchpoints[order - 1]
        for place, name in enumerate(names):
            attempts = max(here // (place + 1), 1)
            found["stage_touchpoints"].append(
                where
                | {
                    "stage_order": order,
                    "stage": stage,
                    "touchpoint": name,
                    "touch_count": attempts * 2 + place,
                    "attempt_count": attempts,
                    "closed_count": attempts,
                    **_rate("conversion", attempts // 2, attempts),
                    **_rate("drop_off_after", attempts // (order + place + 2), attempts),
                    "friction_rate": 0.01 * (place + 1),
                    "sentiment_score": None if place == 2 else 72.5 - 25 * place,
                    "rating_score": None if place else 81.0,
                    "contact_rate": 0.02 * order,
                }
            )
            if place:
                flows.append((order, names[place - 1], order, name, attempts))
                flows.append((order, name, order, names[0], attempts // 3))
            if order < len(stages):
                flows.append((order, name, order + 1, touchpoints[order][0], max(on // (place + 1), 1)))
                flows.append((order, name, None, "(lost)", lost // (place + 2)))
            if order > 1 and place == 1:
                flows.append((order, name, order - 1, touchpoints[order - 2][0], attempts // 5))
            for touchpoint, channel in (
                (name, ("ticket", "chat", "call")[place % 3]),
                (name, "all"),
                *([("all", "ticket"), ("all", "all")] if not place else []),
            ):
                found["stage_contacts"].append(
                    where
                    | {
                        "stage_order": order,
                        "stage": stage,
                        "touchpoint": touchpoint,
                        "channel": channel,
                        "contact_count": attempts // 9,
                        "attempt_count": attempts,
                        **_rate("contact", attempts // 10, attempts),
                        "median_hours_after": 1.5 * (place + 1),
                        "sentiment_score": 41.0,
                    }
                )
    flows.append((None, "(start)", 1, touchpoints[0][0], whole))
    flows.append((len(stages), touchpoints[-1][0], None, "(converted)", reached(journey, week, segment, len(stages))))
    flows.append((1, touchpoints[0][0], None, "(open)", 3))
    leaving: dict[tuple[int | None, str], int] = {}
    for from_order, from_step, _, _, count in flows:
        leaving[from_order, from_step] = leaving.get((from_order, from_step), 0) + count
    for from_order, from_step, to_order, to_step, count in flows:
        if count:
            found["journey_transitions"].append(
                where
                | {
                    "level": "map",
                    "from_stage_order": from_order,
                    "from_step": from_step,
                    "to_stage_order": to_order,
                    "to_step": to_step,
                    "transition_count": count,
                    "transition_rate": round(count / leaving[from_order, from_step], 6),
                    "median_hours": 0.25 * (from_order or 1),
                }
            )
    for status, share in (("all", 1.0), ("converted", 0.5), ("lost", 0.4), ("open", 0.1)):
        found["journey_effort"].append(
            where
            | {
                "status": status,
                "attempt_count": int(whole * share),
                "mean_steps": 4.5 + share,
                "steps_low": 4.0 + share,
                "steps_high": 5.0 + share,
                "mean_contacts": 0.2,
                "mean_repeats": 1.25,
                "mean_backtracks": 0.5,
                "mean_friction": 0.125,
                "median_hours_between_touches": 2.5,
            }
        )
    if week != "all":
        number, score = WEEKS.index(week), 82.0 - 5 * SEGMENTS.index(segment) if segment != "all" else 80.0
        low = 12.0 if number == 4 else 0.0
        found["journey_health_scores"].append(
            where
            | {
                "channel": "all",
                "health_score": score - low,
                "health_low": score - low - 6,
                "health_high": score - low + 6,
                "conversion_score": score,
                "sentiment_score": None,
                "engagement_score": score,
                "velocity_score": score,
                "entered_count": whole,
                "baseline_score": score,
                "change_from_baseline": -low,
                "status": None if journey == "tiny" else "degraded" if low else "healthy",
                "reason": f"converts less than before ({whole} attempts) {NASTY}",
            }
        )


def _friction_rows(found: dict[str, list[dict[str, Any]]], journey: str, week: str) -> None:
    if journey == "tiny":
        return
    for place, (signal, cohort) in enumerate(
        [("error", f"os=Android, app_version={NASTY}"), ("long wait", "all"), ("rage", "all")]
    ):
        order = min(place + 2, len(STAGES[journey]))
        extra = 40.5 * (3 - place) / (1 if week == "all" else 8)
        worth = journey == "checkout"
        found["friction_points"].append(
            {
                "journey": journey,
                "week": week,
                "week_start_date": _monday(week),
                "rank": place + 1 if place < 2 else None,
                "stage_order": order,
                "stage": STAGES[journey][order - 1],
                "touchpoint": TOUCHPOINTS[journey][order - 1][0],
                "signal": signal,
                "cohort_dimension": None if cohort == "all" else "os",
                "cohort": cohort,
                "attempt_count": 300 if place < 2 else 14,
                "lost_count": 90,
                "expected_lost_count": 90 - extra,
                "extra_lost_count": extra,
                "extra_lost_low": extra / 2,
                "extra_lost_high": extra * 1.5,
                "value_per_conversion_amount": 20.5 if worth else None,
                "value_at_risk_amount": round(extra * 20.5, 2) if worth else None,
                "value_low": round(extra * 10.25, 2) if worth else None,
                "value_high": round(extra * 30.75, 2) if worth else None,
                "value_currency": "EUR" if worth else None,
                "p_value": 0.001,
                "q_value": 0.01,
                "is_ranked": place < 2,
                "from_date": date(2026, 5, 4),
                "to_date": date(2026, 6, 28),
                "owner": "Product",
                "evidence": f"90 of 300 attempts were lost, {90 - extra:.1f} expected {NASTY}",
                "likely_cause": "unknown" if place else "a broken release",
                "recommendation": f"roll it back {NASTY}",
                "expected_gain_amount": 100.0 if worth else None,
                "expected_gain_basis": "half of the extra losses",
            }
        )


def _whole_rows(found: dict[str, list[dict[str, Any]]], journey: str) -> None:
    stages, touchpoints = STAGES[journey], TOUCHPOINTS[journey]
    for order, stage in enumerate(stages[:-1], 1):
        for day in range(15):
            still = round(0.8**day, 6)
            found["stage_survival"].append(
                {
                    "journey": journey,
                    "stage_order": order,
                    "stage": stage,
                    "day": day,
                    "survival_rate": still,
                    "low": max(still - 0.03, 0.0),
                    "high": min(still + 0.03, 1.0),
                    "advanced_rate": round(0.7 * (1 - still), 6),
                    "advanced_low": round(0.65 * (1 - still), 6),
                    "advanced_high": round(0.75 * (1 - still), 6),
                    "lost_rate": round(0.3 * (1 - still), 6),
                    "lost_low": round(0.25 * (1 - still), 6),
                    "lost_high": round(0.35 * (1 - still), 6),
                    "at_risk_count": int(SIZE[journey] * still) + 12,
                }
            )
    for place, action in enumerate([f"invited <i>{NASTY}</i>", "feature used: board", "page viewed"]):
        found["first_day_actions"].append(
            {
                "journey": journey,
                "action": action,
                "customer_count": 900 // (place + 1),
                "rate": round(0.6 / (place + 1), 6),
                "conversion_rate": 0.62,
                "conversion_rate_without": 0.4,
                "lift": 1.55 if not place else 1.1,
                "lift_low": 1.4 if not place else 0.9,
                "lift_high": 1.7 if not place else 1.3,
                "q_value": 0.001 if not place else 0.4,
                "is_aha": not place and journey != "tiny",
                "done_count": 1200 // (place + 1),
                "done_rate": round(1200 // (place + 1) / 2000, 6),
                "started_count": 2000,
                "converted_count": 1000,
                "early_converted_count": 250,
                "warning": "An association, not proof.",
            }
        )
    for number, kind in enumerate(["note", "job to be done", "backstage", "owner"]):
        found["journey_annotations"].append(
            {
                "annotation_id": f"{journey}-{number}",
                "journey": journey,
                "stage": None if number == 3 else "Nowhere" if number == 2 else stages[number % len(stages)],
                "touchpoint": touchpoints[0][0] if number == 0 else None,
                "kind": kind,
                "text": f"People say “it is hard” {NASTY}",
                "author": "Ada",
                "said_on": date(2026, 6, 1),
                "problem": "there is no stage Nowhere" if number == 2 else None,
            }
        )
    for number, verdict in enumerate(["converts more", "converts less", "no difference shown", "too few"]):
        found["journey_paths"].append(
            {
                "journey": journey,
                "kind": "entry" if number == 1 else "pattern",
                "pattern": f"{touchpoints[0][0]} → {touchpoints[-1][0]} {'→ ' * number}{NASTY}",
                "pattern_length": 2,
                "attempt_count": 200 - number,
                "support_rate": 0.2,
                "converted_count": 100,
                "conversion_rate": 0.5,
                "base_conversion_rate": 0.4,
                "lift": (1.25, 0.8, 1.0, 1.1)[number],
                "lift_low": (1.1, 0.7, 0.9, 0.5)[number],
                "lift_high": (1.4, 0.9, 1.1, 2.0)[number],
                "length_adjusted_lift": 1.1,
                "p_value": 0.01,
                "q_value": 0.02,
                "verdict": verdict,
                "is_new_this_month": number == 2,
                "is_unexpected": number == 1,
                "first_seen_date": date(2026, 5, 4),
            }
        )
    for number, step in enumerate([touchpoints[0][0], NASTY]):
        found["journey_what_ifs"].append(
            {
                "journey": journey,
                "change": ("remove", "improve")[number],
                "step": step,
                "conversion_before": 0.42,
                "conversion_after": None if number else 0.47,
                "difference": None if number else 0.05,
                "difference_low": None if number else 0.02,
                "difference_high": None if number else 0.08,
                "is_offered": not number,
                "reason": f"the chain says 48 %, 42 % happened {NASTY}" if number else "the chain reproduces it",
            }
        )
        found["journey_states"].append(
            {
                "journey": journey,
                "model_order": 1,
                "state": step,
                "visit_count": 500,
                "success_probability": 0.4 + number / 10,
                "success_low": 0.35 + number / 10,
                "success_high": 0.45 + number / 10,
                "expected_steps": 4.2,
                "observed_conversion_rate": 0.42,
                "observed_low": 0.4,
                "observed_high": 0.44,
                "chain_conversion_rate": 0.43,
                "is_reproduced": True,
            }
        )
        found["next_steps"].append(
            {
                "journey": journey,
                "step": step,
                "next": touchpoints[-1][0],
                "transition_count": 77,
                "probability": 0.7,
                "probability_low": 0.6,
                "probability_high": 0.8,
                "top_rank": 1,
            }
        )
        found["abandonment_types"].append(
            {
                "journey": journey,
                "abandonment_type": f"T{number}",
                "name": ("Leaves at once", f"Circles {NASTY}")[number],
                "description": f"Few pages, short {NASTY}",
                "attempt_count": 100 * (number + 1),
                "share_rate": (number + 1) / 3,
                "share_low": (number + 1) / 3 - 0.05,
                "share_high": (number + 1) / 3 + 0.05,
                "main_stage": stages[0],
                "main_touchpoint": touchpoints[0][0],
                "median_seconds": 42.0 * (number + 1),
                "main_signal": "none",
            }
        )


def _monday(week: str) -> date | None:
    return None if week == "all" else date.fromisoformat(week)


def _rate(name: str, part: int, whole: int) -> dict[str, float | None]:
    """A share with an interval of a fixed width: it is only shown here, not tested."""
    share = part / whole
    return {
        f"{name}_rate": round(share, 6),
        f"{name}_low": round(max(share - 0.05, 0), 6),
        f"{name}_high": round(min(share + 0.05, 1), 6),
    }
