"""What must be true of every published table before people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expectations.suites import (
    Expectation,
    Suite,
    between,
    given,
    has_columns,
    holds,
    in_order,
    money,
    one_of,
    unique,
    within,
)

_TIERS = ["exact", "strong", "probable", "household", "account", "anonymous"]
_STAGES_OF_LIFE = ["awareness", "consideration", "purchase", "retention", "advocacy"]
_CONSENTS = ("has_analytics_consent", "has_marketing_consent", "has_personalisation_consent")


def _a_monday(column: str) -> Expectation:
    return one_of(column, [1], must="be a Monday", reads=f"isodow({column})")


def _rates(*columns: str) -> list[Expectation]:
    return [between(column, 0, 1) for column in columns]


def _scores(*columns: str) -> list[Expectation]:
    return [between(column, 0, 100) for column in columns]


def _counts(*columns: str, least: int = 0) -> list[Expectation]:
    return [*given(*columns), *(between(column, least) for column in columns)]


def _none_above(part: str, whole: str) -> Expectation:
    return holds([part, whole], f"{part} <= {whole}", must="be a part and its whole")


def _weeks() -> list[Expectation]:
    """Weeks as text with their Mondays, and `all` weeks together."""
    return [
        _a_monday("week_start_date"),
        holds(
            ["week", "week_start_date"],
            "(week = 'all') = (week_start_date is null)",
            must="agree: only all weeks together have no Monday",
        ),
    ]


def _shares(*names: str) -> list[Expectation]:
    """Rates with both ends of their intervals: NAME_rate, NAME_low and NAME_high."""
    return [
        expectation
        for name in names
        for expectation in (
            *_rates(f"{name}_rate", f"{name}_low", f"{name}_high"),
            *within(f"{name}_rate", f"{name}_low", f"{name}_high"),
        )
    ]


# Per table: what its rows are grouped by in a frame (where it is large), and what is expected beside its
# columns, which are those that are described, and its grain, which is given and unique.
_RULES: Mapping[str, Sequence[Expectation]] = {
    "journey_health_scores": [
        _a_monday("week_start_date"),
        *_scores("health_score", "health_low", "health_high", "baseline_score"),
        *_scores("conversion_score", "sentiment_score", "engagement_score", "velocity_score"),
        between("change_from_baseline", -100, 100),
        *within("health_score", "health_low", "health_high"),
        *_counts("entered_count"),
        one_of("status", ["healthy", "watch", "degraded"]),
        *given("health_score", when="status is not null", must="be given with status", needs=["status"]),
        *given("reason"),
    ],
    "journey_attempts": [
        *given("person_id", "journey", "started_at", "deadline_at", "week_start_date", "status"),
        _a_monday("week_start_date"),
        one_of("status", ["converted", "lost", "open"]),
        holds(
            ["ended_at", "status"],
            "(ended_at is null) = (status = 'open')",
            must="agree: who is not open has ended",
        ),
        in_order("started_at", "ended_at"),
        in_order("started_at", "deadline_at"),
        *given("is_window_over"),
        *_counts("touch_count"),
        *money("value_amount", "value_currency"),
        holds(
            ["value_amount", "status"],
            "value_amount is null or status = 'converted'",
            must="agree: who has not converted has no value",
        ),
    ],
    "journey_steps": [
        *given("journey", "stage", "touchpoint", "entered_at", "left_at", "is_friction"),
        *_counts("step_number", "stage_order", "touch_count", least=1),
        in_order("entered_at", "left_at"),
        one_of("step_kind", ["touch", "company", "end"]),
        between("waited_hours", 0),
    ],
    "friction_points": [
        *given("stage", "cohort_dimension", "is_ranked", "from_date", "to_date", "evidence", "likely_cause"),
        between("stage_order", 1),
        between("rank", 1),
        _a_monday("week_start_date"),
        holds(
            ["week", "week_start_date"],
            "(week = 'all') = (week_start_date is null)",
            must="agree: only all weeks together have no Monday",
        ),
        one_of(
            "signal",
            ["error", "rage", "backtrack", "repeat", "long wait", "negative message", "support contact", "drop-off"],
        ),
        *_counts("attempt_count", "lost_count"),
        _none_above("lost_count", "attempt_count"),
        *given("expected_lost_count", "extra_lost_count", "extra_lost_low", "extra_lost_high"),
        *within("extra_lost_count", "extra_lost_low", "extra_lost_high"),
        holds(
            ["lost_count", "expected_lost_count", "extra_lost_count"],
            "abs(lost_count - expected_lost_count - extra_lost_count) < 0.001",
            must="add up: lost are expected and extra",
        ),
        between("value_per_conversion_amount", 0),
        *money("value_at_risk_amount", "value_currency"),
        *within("value_at_risk_amount", "value_low", "value_high"),
        *_rates("p_value", "q_value"),
        holds(
            ["is_ranked", "rank"],
            "is_ranked = (rank is not null)",
            must="agree: what is ranked has a rank",
        ),
        holds(
            ["is_ranked", "attempt_count", "q_value", "extra_lost_low"],
            "not is_ranked or attempt_count >= 30 and q_value < 0.05 and extra_lost_low > 0",
            must="agree: what is ranked is certain enough, of 30 attempts or more",
        ),
        in_order("from_date", "to_date"),
    ],
    "journey_stages": [
        *given("stage"),
        between("stage_order", 1),
        *_weeks(),
        *_counts("entered_count", "reached_count", "advanced_count", "lost_count", "open_count"),
        _none_above("reached_count", "entered_count"),
        holds(
            ["reached_count", "advanced_count", "lost_count", "open_count"],
            "reached_count = advanced_count + lost_count + open_count",
            must="add up: reached are advanced, lost and open",
        ),
        *_rates("shared_rate", "step_rate", "drop_off_rate", "drop_off_low", "drop_off_high"),
        *within("drop_off_rate", "drop_off_low", "drop_off_high"),
        between("median_hours_from_previous", 0),
        between("median_hours_to_next", 0),
        *within("median_hours_to_next", "median_hours_to_next_low", "median_hours_to_next_high"),
        between("lost_before_count", 0),
        between("rank_by_lost", 1),
        between("rank_by_step_rate", 1),
        holds(
            ["rank_by_lost", "rank_by_step_rate"],
            "(rank_by_lost is null) = (rank_by_step_rate is null)",
            must="agree: a stage has both ranks or none",
        ),
        between("satisfaction_score", 0, 100),
        *money("value_at_risk_amount", "value_at_risk_currency"),
    ],
    "journey_paths": [
        one_of("kind", ["pattern", "entry"]),
        *_counts("attempt_count", "open_count", "converted_count"),
        *_counts("pattern_length", least=1),
        _none_above("converted_count", "attempt_count"),
        *_rates("support_rate", "conversion_rate", "base_conversion_rate", "p_value", "q_value"),
        between("lift", 0),
        between("length_adjusted_lift", 0),
        *within("lift", "lift_low", "lift_high"),
        _none_above("p_value", "q_value"),
        *given("verdict", "is_new_this_month", "is_unexpected", "first_seen_date"),
        one_of("verdict", ["converts more", "converts less", "depends on length", "no difference shown", "too few"]),
        holds(
            ["verdict", "attempt_count"],
            "(verdict = 'too few') = (attempt_count < 30)",
            must="agree: fewer than 30 attempts are too few",
        ),
        holds(
            ["verdict", "q_value"],
            "verdict not in ('converts more', 'converts less', 'depends on length') or q_value < 0.05",
            must="agree: a difference is shown where q is below 0.05",
        ),
        holds(
            ["verdict", "lift_low", "lift_high"],
            "(verdict <> 'converts more' or lift_high >= 1) and (verdict <> 'converts less' or lift_low <= 1)",
            must="agree: where the whole interval of the lift says the contrary, it depends on length",
        ),
    ],
    "journey_states": [
        between("model_order", 1, 3),
        between("stage_order", 1),
        *_counts("visit_count"),
        *_rates("success_probability", "success_low", "success_high"),
        *within("success_probability", "success_low", "success_high"),
        between("expected_steps", 0),
        *_rates("observed_conversion_rate", "observed_low", "observed_high", "chain_conversion_rate"),
        *within("observed_conversion_rate", "observed_low", "observed_high"),
        *given("is_reproduced"),
    ],
    "next_steps": [
        *_counts("transition_count", least=1),
        *_rates("probability", "probability_low", "probability_high"),
        *within("probability", "probability_low", "probability_high"),
        between("top_rank", 1),
    ],
    "journey_what_ifs": [
        one_of("change", ["remove", "improve"]),
        *_rates("conversion_before", "conversion_after"),
        between("difference", -1, 1),
        *within("difference", "difference_low", "difference_high"),
        *given("is_offered", "reason"),
        holds(
            ["is_offered", "conversion_after"],
            "is_offered = (conversion_after is not null)",
            must="agree: what is not offered has no number",
        ),
    ],
    "abandonment_types": [
        *given("name", "description", "main_signal"),
        *_counts("attempt_count", least=1),
        *_rates("share_rate", "share_low", "share_high"),
        *within("share_rate", "share_low", "share_high"),
        between("median_seconds", 0),
    ],
    "journey_definitions": [
        *_counts("attempt_count"),
        *money("value_amount", "value_currency"),
    ],
    "stage_survival": [
        *given("stage", "survival_rate", "advanced_rate", "lost_rate"),
        between("stage_order", 1),
        between("day", 0),
        *_rates("survival_rate", "low", "high", "advanced_rate", "advanced_low", "advanced_high"),
        *_rates("lost_rate", "lost_low", "lost_high"),
        *within("survival_rate", "low", "high"),
        *within("advanced_rate", "advanced_low", "advanced_high"),
        *within("lost_rate", "lost_low", "lost_high"),
        holds(
            ["survival_rate", "advanced_rate", "lost_rate"],
            "abs(survival_rate + advanced_rate + lost_rate - 1) < 0.00001",
            must="add up: who is not there any more has gone on or was lost",
        ),
        *_counts("at_risk_count"),
    ],
    "journey_transitions": [
        one_of("level", ["stage", "touchpoint", "channel", "map"]),
        *_weeks(),
        *given("from_step", "to_step"),
        between("from_stage_order", 1),
        between("to_stage_order", 1),
        holds(
            ["from_step", "to_step"],
            "from_step not in ('(converted)', '(lost)', '(open)') and to_step <> '(start)'",
            must="lead from the start to an end",
        ),
        *_counts("transition_count", least=1),
        *given("transition_rate"),
        *_rates("transition_rate"),
        between("median_hours", 0),
    ],
    "journey_effort": [
        *_weeks(),
        one_of("status", ["all", "converted", "lost", "open"]),
        *_counts("attempt_count", least=1),
        *given("mean_steps", "mean_contacts", "mean_repeats", "mean_backtracks", "mean_friction"),
        *within("mean_steps", "steps_low", "steps_high"),
        *(
            between(column, 0)
            for column in ("mean_steps", "mean_contacts", "mean_repeats", "mean_backtracks", "mean_friction")
        ),
        between("median_hours_between_touches", 0),
    ],
    "customer_timeline": [
        *given("occurred_at", "source", "event", "channel", "traffic_class", *_CONSENTS),
        one_of("identity_tier", _TIERS),
        one_of("kind", ["touch", "milestone", "friction", "outcome", "system"]),
        one_of("lifecycle_stage", _STAGES_OF_LIFE),
        one_of("traffic_class", ["human", "bot", "ai_agent", "internal", "unknown"]),
        between("sentiment", -1, 1),
        *money("revenue_amount", "revenue_currency"),
        holds(
            ["person_id", "has_analytics_consent"],
            "person_id is null or has_analytics_consent",
            must="agree: without consent to analytics an event has no owner",
        ),
        holds(
            ["person_id", "identity_tier"],
            "case when person_id is null then coalesce(identity_tier, 'account') in ('household', 'account') "
            "else identity_tier is not null end",
            must="agree: an owner is known on some evidence",
        ),
    ],
    "stage_touchpoints": [
        *given("stage"),
        between("stage_order", 1),
        *_weeks(),
        *_counts("touch_count", "attempt_count", least=1),
        *_counts("converted_count", "lost_count", "closed_count", "left_count", "message_count", "rating_count"),
        _none_above("attempt_count", "touch_count"),
        _none_above("closed_count", "attempt_count"),
        holds(
            ["converted_count", "lost_count", "attempt_count"],
            "converted_count + lost_count <= attempt_count",
            must="be parts and their whole: the others are open",
        ),
        _none_above("left_count", "lost_count"),
        *_shares("conversion", "drop_off_after"),
        *_rates("friction_rate", "contact_rate"),
        *_scores("sentiment_score", "rating_score"),
    ],
    "touchpoints": [
        *_weeks(),
        *_counts("touch_count", "attempt_count", least=1),
        *_counts("closed_count", "left_count", "message_count"),
        _none_above("attempt_count", "touch_count"),
        _none_above("closed_count", "attempt_count"),
        _none_above("left_count", "attempt_count"),
        *_shares("drop_off_after"),
        *_rates("friction_rate"),
        *_scores("sentiment_score"),
    ],
    "first_day_actions": [
        *_counts("customer_count", "done_count", "converted_count", "early_converted_count"),
        *_counts("started_count", least=1),
        *given("done_rate", "is_aha", "warning"),
        *_rates("rate", "conversion_rate", "conversion_rate_without", "q_value", "done_rate"),
        holds(
            ["customer_count", "rate", "conversion_rate"],
            "customer_count = 0 or (rate is not null and conversion_rate is not null)",
            must="agree: those who did it are a share, and a share of them converted",
        ),
        holds(["customer_count", "done_count"], "customer_count + done_count > 0", must="be of somebody who did it"),
        _none_above("done_count", "started_count"),
        _none_above("converted_count", "started_count"),
        _none_above("early_converted_count", "converted_count"),
        between("lift", 0),
        *within("lift", "lift_low", "lift_high"),
        holds(
            ["is_aha", "q_value", "lift", "customer_count"],
            "not is_aha or (q_value < 0.05 and lift > 1 and customer_count >= 30)",
            must="agree: an aha candidate is compared on enough people and is no chance find",
        ),
    ],
    "support_outcomes": [
        one_of("channel", ["ticket", "call", "chat"]),
        *_weeks(),
        *_counts("contact_count", least=1),
        *_counts("judged_count", "repeat_count", "first_contact_count", "solved_count", "reopen_count"),
        _none_above("judged_count", "contact_count"),
        holds(
            ["repeat_count", "first_contact_count", "judged_count"],
            "repeat_count + first_contact_count <= judged_count",
            must="be parts and their whole: a repeat was not solved at the first contact",
        ),
        _none_above("reopen_count", "solved_count"),
        *_shares("repeat", "first_contact_resolution", "reopen"),
        *money("cost_amount", "cost_currency"),
        between("reopen_cost_amount", 0),
        between("repeat_cost_amount", 0),
        _none_above("repeat_cost_amount", "cost_amount"),
    ],
    "stage_contacts": [
        *given("stage"),
        between("stage_order", 1),
        *_weeks(),
        one_of("channel", ["ticket", "call", "chat", "all"]),
        *_counts("contact_count", "asking_attempt_count", "attempt_count", least=1),
        *_counts("message_count"),
        _none_above("asking_attempt_count", "contact_count"),
        _none_above("asking_attempt_count", "attempt_count"),
        *_shares("contact"),
        between("median_hours_after", 0),
        *_scores("sentiment_score"),
    ],
    "journey_annotations": [
        *given("journey", "text"),
        one_of("kind", ["note", "job to be done", "backstage", "owner"]),
    ],
    "customers": [
        *given("identity_tier", "first_seen_at", "last_seen_at", "lifecycle_stage", *_CONSENTS),
        one_of("identity_tier", _TIERS),
        one_of("lifecycle_stage", [*_STAGES_OF_LIFE, "lost", "unknown"]),
        in_order("first_seen_at", "last_seen_at"),
        holds(
            ["lost_at", "lifecycle_stage"],
            "(lost_at is not null) = (lifecycle_stage = 'lost')",
            must="agree: who is lost has left",
        ),
        holds(["segment"], "segment <> 'all'", must="be a segment: all is none"),
    ],
    "customer_scores": [
        *given("probability", "decile", "model_version", "snapshot_date"),
        between("probability", 0, 1),
        between("decile", 1, 10),
    ],
    "customer_segments": [
        *given("name", "description"),
        holds(["segment"], "segment <> 'all'", must="be a segment: all is none"),
        *_counts("customer_count", "converted_count"),
        _none_above("converted_count", "customer_count"),
        *_rates("conversion_rate", "conversion_low", "conversion_high"),
        *within("conversion_rate", "conversion_low", "conversion_high"),
        *money("value_amount", "value_currency"),
    ],
    "model_cards": [
        *given("kind", "is_champion", "trained_as_of", "data_version", "artifact_sha256"),
        one_of("kind", ["propensity", "segments"]),
        one_of("artifact_sha256", [64], must="be a SHA-256", reads="length(artifact_sha256)"),
        between("row_count", 0),
        between("positive_count", 0),
        between("holdout_row_count", 0),
        between("holdout_positive_count", 0),
        _none_above("positive_count", "row_count"),
        _none_above("holdout_positive_count", "holdout_row_count"),
        *_rates("auc", "auc_low", "auc_high", "pr_auc", "brier", "threshold"),
        *_rates("precision_at_threshold", "recall_at_threshold"),
        between("log_loss", 0),
        between("drift_psi", 0),
        _none_above("auc_low", "auc_high"),
        _none_above("calibration_slope_low", "calibration_slope_high"),
        between("calibration_slope"),
        between("calibration_intercept"),
        in_order("training_from", "training_to"),
        in_order("holdout_from", "holdout_to"),
        in_order("training_to", "holdout_from"),
    ],
    "model_diagnostics": [
        *given("bucket_order"),
        one_of("measure", ["calibration", "fairness", "drift", "importance", "segment_count"]),
        between("bucket_order", 0),
        between("expected"),
        between("observed"),
        between("row_count", 0),
        _none_above("low", "high"),
    ],
    "data_quality": [
        *given("topic", "bucket_order", "unit", "is_problem"),
        one_of("subject_type", ["table", "stage"]),
        one_of("topic", ["arrival", "lateness", "freshness", "refused", "dropped", "coverage"]),
        one_of("unit", ["rows", "events", "files", "hours", "days", "sources"]),
        between("bucket_order", 0),
        between("value", 0),
        *_rates("share_rate"),
        in_order("from_date", "to_date"),
    ],
    "identity_quality": [
        *given("topic", "bucket_order", "unit"),
        one_of("topic", ["persons", "identifiers", "levels", "links", "devices", "changes", "events", "survivorship"]),
        one_of(
            "unit",
            [
                *("persons", "identifiers", "households", "accounts", "links", "devices", "events"),
                *("changes", "entries", "conversions", "days", "share"),
            ],
        ),
        between("bucket_order", 0),
        between("value", 0),
        *_rates("share_rate", "value_low", "value_high"),
        *within("share_rate", "value_low", "value_high"),
    ],
}

# Tables with a row per event, step or move: grouped by what pins a fault down to some thousand rows. The others are
# grouped by their grain, so that every row is looked at by itself.
_PER: Mapping[str, tuple[str, ...]] = {
    "journey_attempts": ("journey", "week_start_date"),
    "journey_steps": ("journey", "cast(entered_at as date)"),
    "journey_transitions": ("journey", "level", "week"),
    "customer_timeline": ("cast(occurred_at as date)",),
}


def published_suite(table: str, *, columns: Sequence[str], grain: Sequence[str]) -> Suite:
    """Make the suite of a published table.

    Parameters
    ----------
    table : str
        Its name.
    columns : sequence of str
        The columns that are described.
    grain : sequence of str
        What one row is about.

    Returns
    -------
    Suite
        Without what would speak of columns that are not described: that those are there is expected anyway.
    """
    expectations = [has_columns(columns, exactly=True), *given(*grain)]
    if grain:
        expectations.append(unique(grain))
    expectations += [e for e in _RULES.get(table, []) if set(e.needs) <= set(columns)]
    return Suite(
        place="published",
        table=table,
        expectations=tuple(expectations),
        per=_PER.get(table, tuple(f'"{column}"' for column in grain)),
        mend=f"find what made published.{table} so, upstream or in its model, and run again; if the table is right, "
        "correct expectations/published.py",
    )
