"""What is expected of published tables: kept by a good row, and each broken once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest

from dagster_project.landing.ledger import OPS_TABLES
from dagster_project.publishing.catalogue import catalogue_from_manifest
from dagster_project.transform import prepare_manifest
from expectations import published, validation
from expectations.published import published_suite
from expectations.suites import LARGEST, Expectation
from expectations.validation import Verdict, remember, validate_published

CATALOGUE = catalogue_from_manifest(prepare_manifest())
# A good row of each table.
GOOD = {
    "journey_health_scores": """
        'checkout' as journey, date '2026-03-02' as week_start_date, 'all' as segment, 'email' as channel,
        70.0 as health_score, 60.0 as health_low, 80.0 as health_high, 70.0 as conversion_score,
        null::double as sentiment_score, 70.0 as engagement_score, 70.0 as velocity_score, 30 as entered_count,
        75.0 as baseline_score, -5.0 as change_from_baseline, 'watch' as status, 'fewer convert' as reason""",
    "journey_attempts": """
        'a1' as attempt_id, 'p1' as person_id, 'checkout' as journey, timestamp '2026-03-03 10:00' as started_at,
        timestamp '2026-03-03 11:00' as ended_at, timestamp '2026-03-04 10:00' as deadline_at,
        date '2026-03-02' as week_start_date, 'converted' as status,
        'paid' as last_stage, 'email' as first_channel, 'Android' as os, '4.2.0' as app_version,
        'mobile' as device_type, null::varchar as browser, 'GB' as country, null::varchar as campaign,
        3 as touch_count, 9.5::double as value_amount, 'USD' as value_currency, true as is_window_over""",
    "journey_steps": """
        'a1' as attempt_id, 'checkout' as journey, 1 as step_number, 1 as stage_order, 'cart' as stage,
        'website' as touchpoint, timestamp '2026-03-03 10:00' as entered_at, timestamp '2026-03-03 10:01' as left_at,
        2 as touch_count, false as is_friction, 'touch' as step_kind, 0.5 as waited_hours,
        'error|rage' as friction_signals""",
    "friction_points": """
        'checkout' as journey, '2026-03-02' as week, date '2026-03-02' as week_start_date, 1 as rank, 1 as stage_order,
        'cart' as stage, 'website' as touchpoint, 'error' as signal, 'os' as cohort_dimension, 'os=iOS' as cohort,
        40 as attempt_count, 20 as lost_count, 8.0::double as expected_lost_count, 12.0::double as extra_lost_count,
        7.0::double as extra_lost_low, 17.0::double as extra_lost_high, 10.0::double as value_per_conversion_amount,
        120.0::double as value_at_risk_amount, 70.0::double as value_low, 170.0::double as value_high,
        'USD' as value_currency, 0.0001 as p_value, 0.01 as q_value, true as is_ranked,
        date '2026-03-02' as from_date, date '2026-03-08' as to_date, 'Product' as owner, 'counts' as evidence,
        'unknown' as likely_cause, null::varchar as recommendation, null::double as expected_gain_amount,
        null::varchar as expected_gain_basis""",
    "journey_stages": """
        'checkout' as journey, '2026-03-02' as week, date '2026-03-02' as week_start_date, 'all' as segment,
        1 as stage_order, 'cart' as stage, 10 as entered_count, 9 as reached_count, 5 as advanced_count,
        3 as lost_count, 1 as open_count, 0.9 as shared_rate, 1.0 as step_rate, 0.375 as drop_off_rate,
        0.2 as drop_off_low, 0.6 as drop_off_high, 1.5 as median_hours_from_previous, 2.0 as median_hours_to_next,
        1.0 as median_hours_to_next_low, 3.0 as median_hours_to_next_high, 4 as lost_before_count, 1 as rank_by_lost,
        2 as rank_by_step_rate, 'people wait 1.5 h before it' as likely_reason, null::double as satisfaction_score,
        -20.0::double as value_at_risk_amount, 'USD' as value_at_risk_currency""",
    "journey_paths": """
        'checkout' as journey, 'pattern' as kind, 'website → chat' as pattern, 2 as pattern_length,
        40 as attempt_count, 2 as open_count, 0.4 as support_rate, 10 as converted_count, 0.25 as conversion_rate,
        0.5 as base_conversion_rate, 0.5 as lift, 0.3 as lift_low, 0.8 as lift_high, 0.55 as length_adjusted_lift,
        0.001 as p_value, 0.01 as q_value, 'converts less' as verdict, false as is_new_this_month,
        false as is_unexpected, date '2026-01-05' as first_seen_date""",
    "journey_states": """
        'checkout' as journey, 1 as model_order, 'website (Cart)' as state, 1 as stage_order, 'website' as touchpoint,
        90 as visit_count, 0.5 as success_probability, 0.4 as success_low, 0.6 as success_high, 2.5 as expected_steps,
        0.5 as observed_conversion_rate, 0.45 as observed_low, 0.55 as observed_high, 0.51 as chain_conversion_rate,
        true as is_reproduced""",
    "next_steps": """
        'checkout' as journey, '(start)' as step, 'website (Cart)' as next, 90 as transition_count,
        0.9 as probability, 0.8 as probability_low, 0.95 as probability_high, 1 as top_rank""",
    "journey_what_ifs": """
        'checkout' as journey, 'improve' as change, 'website (Cart)' as step, 0.5 as conversion_before,
        0.6 as conversion_after, 0.1 as difference, 0.05 as difference_low, 0.15 as difference_high,
        true as is_offered, 'reproduced' as reason""",
    "abandonment_types": """
        'checkout' as journey, 'A1' as abandonment_type, 'Long pause' as name, 'They pause.' as description,
        40 as attempt_count, 0.4 as share_rate, 0.3 as share_low, 0.5 as share_high, 'Cart' as main_stage,
        'website' as main_touchpoint, 300.0 as median_seconds, 'longest pause' as main_signal""",
    "journey_definitions": """
        'checkout' as journey, 'From cart to till' as title, 'checkout_started' as start_events,
        'order_placed' as success_events, null::varchar as failure_events, 1 as window_days, true as is_repeatable,
        9.5::double as value_amount, 'USD' as value_currency, 'Product' as owner, 'contact_rate' as guard_rails,
        12 as attempt_count, 'few attempts' as problem""",
    "stage_survival": """
        'checkout' as journey, 1 as stage_order, 'cart' as stage, 1 as day, 0.5 as survival_rate, 0.4 as low,
        0.6 as high, 0.3 as advanced_rate, 0.2 as advanced_low, 0.4 as advanced_high, 0.2 as lost_rate,
        0.1 as lost_low, 0.3 as lost_high, 7 as at_risk_count""",
    "journey_transitions": """
        'checkout' as journey, 'map' as level, '2026-03-02' as week, date '2026-03-02' as week_start_date,
        'all' as segment, '1 cart' as from_place, 1 as from_stage_order, 'cart' as from_step, '2 till' as to_place,
        2 as to_stage_order, 'till' as to_step, 3 as transition_count, 0.6 as transition_rate, 0.5 as median_hours""",
    "journey_effort": """
        'checkout' as journey, '2026-03-02' as week, date '2026-03-02' as week_start_date, 'all' as segment,
        'lost' as status, 4 as attempt_count, 3.5 as mean_steps, 3.0 as steps_low, 4.0 as steps_high,
        0.25 as mean_contacts, 0.5 as mean_repeats, 0.0 as mean_backtracks, 1.0 as mean_friction,
        null::double as median_hours_between_touches""",
    "customer_timeline": """
        'e1' as event_id, 'p1' as person_id, 'exact' as identity_tier, timestamp '2026-03-03 10:00' as occurred_at,
        'segment' as source, 'order_paid' as event, 'shop' as touchpoint, 'outcome' as kind,
        'purchase' as lifecycle_stage, 'email' as channel, 'human' as traffic_class, null::varchar as session_id,
        0.5 as sentiment, false as is_friction, 9.5::double as revenue_amount, 'USD' as revenue_currency,
        true as has_analytics_consent, true as has_marketing_consent, false as has_personalisation_consent""",
    "stage_touchpoints": """
        'checkout' as journey, '2026-03-02' as week, date '2026-03-02' as week_start_date, 'all' as segment,
        1 as stage_order, 'cart' as stage, 'website' as touchpoint, 30 as touch_count, 12 as attempt_count,
        6 as converted_count, 4 as lost_count, 10 as closed_count, 0.6 as conversion_rate, 0.3 as conversion_low,
        0.8 as conversion_high, 3 as left_count, 0.3 as drop_off_after_rate, 0.1 as drop_off_after_low,
        0.6 as drop_off_after_high, 0.25 as friction_rate, 2 as message_count, 40.0 as sentiment_score,
        0 as rating_count, null::double as rating_score, 0.1 as contact_rate""",
    "touchpoints": """
        'checkout' as journey, '2026-03-02' as week, date '2026-03-02' as week_start_date, 'website' as touchpoint,
        'email' as channel, 30 as touch_count, 12 as attempt_count, 10 as closed_count, 0.25 as friction_rate,
        3 as left_count, 0.3 as drop_off_after_rate, 0.1 as drop_off_after_low, 0.6 as drop_off_after_high,
        0 as message_count, null::double as sentiment_score""",
    "first_day_actions": """
        'checkout' as journey, 'cart_viewed' as action, 40 as customer_count, 0.4 as rate, 0.5 as conversion_rate,
        0.25 as conversion_rate_without, 2.0 as lift, 1.2 as lift_low, 3.4 as lift_high, 0.03 as q_value,
        true as is_aha, 60 as done_count, 0.3 as done_rate, 200 as started_count, 90 as converted_count,
        50 as early_converted_count, 'An association.' as warning""",
    "support_outcomes": """
        'all' as theme, 'ticket' as channel, '2026-03-02' as week, date '2026-03-02' as week_start_date,
        12 as contact_count, 10 as judged_count, 2 as repeat_count, 0.2 as repeat_rate, 0.1 as repeat_low,
        0.5 as repeat_high, 7 as first_contact_count, 0.7 as first_contact_resolution_rate,
        0.4 as first_contact_resolution_low, 0.9 as first_contact_resolution_high, 10 as solved_count,
        1 as reopen_count, 0.1 as reopen_rate, 0.02 as reopen_low, 0.4 as reopen_high, 84.0::double as cost_amount,
        14.0::double as repeat_cost_amount, 7.0::double as reopen_cost_amount, 'USD' as cost_currency""",
    "stage_contacts": """
        'checkout' as journey, '2026-03-02' as week, date '2026-03-02' as week_start_date, 'all' as segment,
        1 as stage_order, 'cart' as stage, 'website' as touchpoint, 'chat' as channel, 3 as contact_count,
        2 as asking_attempt_count, 20 as attempt_count, 0.1 as contact_rate, 0.02 as contact_low, 0.3 as contact_high,
        1.5 as median_hours_after, 3 as message_count, 40.0 as sentiment_score""",
    "journey_annotations": """
        'A1' as annotation_id, 'checkout' as journey, 'cart' as stage, null::varchar as touchpoint, 'note' as kind,
        'People look for the price.' as text, 'Research' as author, date '2026-03-02' as said_on,
        null::varchar as problem""",
    "customers": """
        'p1' as person_id, 'exact' as identity_tier, 'h1' as household_id, null::varchar as account_key,
        null::varchar as account_id, timestamp '2026-01-03 10:00' as first_seen_at,
        timestamp '2026-03-03 10:00' as last_seen_at, 'lost' as lifecycle_stage, 'S1' as segment,
        null::timestamp as first_bought_at, timestamp '2026-03-03 10:00' as lost_at, true as has_analytics_consent,
        true as has_marketing_consent, false as has_personalisation_consent""",
    "customer_scores": """
        'p1' as person_id, 'pays' as target, 0.2 as probability, 10 as decile, 'visited prices' as reason_1,
        null::varchar as reason_2, null::varchar as reason_3, '1' as model_version,
        date '2026-03-03' as snapshot_date""",
    "customer_segments": """
        'S1' as segment, 'Searchers' as name, 10 as customer_count, 4 as converted_count, 0.4 as conversion_rate,
        0.2 as conversion_low, 0.7 as conversion_high, 12.5::double as value_amount, 'USD' as value_currency,
        'They search.' as description""",
    "model_cards": """
        'pays' as model, '1' as model_version, 'propensity' as kind, 'pays' as target, 'logistic' as algorithm,
        true as is_champion, 'first' as decision, timestamp '2026-03-03' as trained_as_of,
        date '2025-06-02' as training_from, date '2025-12-01' as training_to, date '2025-12-22' as holdout_from,
        date '2026-02-02' as holdout_to, 100 as row_count, 20 as positive_count, 30 as holdout_row_count,
        5 as holdout_positive_count, 0.7 as auc, 0.6 as auc_low, 0.8 as auc_high, 0.4 as pr_auc, 0.1 as brier,
        0.4 as log_loss, 0.3 as threshold, 0.5 as precision_at_threshold, 0.5 as recall_at_threshold,
        1.1 as calibration_slope, 0.8 as calibration_slope_low, 1.4 as calibration_slope_high,
        -0.1 as calibration_intercept, null::integer as segment_count, null::double as segment_stability,
        0.05 as drift_psi, 'visits' as drift_feature, 12 as feature_count, 'd1' as data_version,
        repeat('a', 64) as artifact_sha256""",
    "model_diagnostics": """
        'pays' as model, '1' as model_version, 'calibration' as measure, '0.1' as bucket, 1 as bucket_order,
        0.1 as expected, 0.12 as observed, 0.1 as low, 0.2 as high, 40 as row_count""",
    "data_quality": """
        'table' as subject_type, 'segment/tracks' as subject, 'segment' as source, 'tracks' as source_table,
        null::varchar as journey, null::integer as stage_order, null::varchar as stage, 'arrival' as topic,
        'rows' as measure, 'all' as bucket, 0 as bucket_order, date '2026-03-01' as from_date,
        date '2026-03-02' as to_date, 3.0 as value, 'rows' as unit, 0.5 as share_rate, false as is_problem,
        null::varchar as detail""",
    "identity_quality": """
        'checkout' as subject, 'survivorship' as topic, 'conversion_rate' as measure, 'as of' as bucket,
        2 as bucket_order, 0.5 as value, 'share' as unit, 0.5 as share_rate, 0.4 as value_low, 0.6 as value_high,
        '10 of 20' as detail""",
}
# How to break what says more than that a value is given, is one of some, or lies between two: by table and columns.
BREAKS = {
    ("journey_health_scores", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("journey_health_scores", "health_low, health_score"): "health_low = 71",
    ("journey_health_scores", "health_score, health_high"): "health_high = 69",
    ("journey_health_scores", "health_low, health_high"): "health_low = 81",
    ("journey_health_scores", "health_score"): "health_score = null",
    ("journey_attempts", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("journey_attempts", "ended_at, status"): "ended_at = null",
    ("journey_attempts", "started_at, ended_at"): "ended_at = timestamp '2026-03-03 09:00'",
    ("journey_attempts", "started_at, deadline_at"): "deadline_at = timestamp '2026-03-03 09:00'",
    ("journey_attempts", "value_amount, status"): "status = 'lost'",
    ("friction_points", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("friction_points", "week, week_start_date"): "week = 'all'",
    ("friction_points", "lost_count, attempt_count"): "attempt_count = 19",
    ("friction_points", "extra_lost_low, extra_lost_count"): "extra_lost_low = 13",
    ("friction_points", "extra_lost_count, extra_lost_high"): "extra_lost_high = 11",
    ("friction_points", "extra_lost_low, extra_lost_high"): "extra_lost_low = 18",
    ("friction_points", "lost_count, expected_lost_count, extra_lost_count"): "expected_lost_count = 9",
    ("friction_points", "value_low, value_at_risk_amount"): "value_low = 121",
    ("friction_points", "value_at_risk_amount, value_high"): "value_high = 119",
    ("friction_points", "value_low, value_high"): "value_low = 171",
    ("friction_points", "is_ranked, rank"): "rank = null",
    ("friction_points", "is_ranked, attempt_count, q_value, extra_lost_low"): "q_value = 0.06",
    ("friction_points", "from_date, to_date"): "to_date = date '2026-03-01'",
    ("journey_steps", "entered_at, left_at"): "left_at = timestamp '2026-03-03 09:00'",
    ("journey_stages", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("journey_stages", "week, week_start_date"): "week = 'all'",
    ("journey_stages", "reached_count, entered_count"): "entered_count = 8",
    ("journey_stages", "reached_count, advanced_count, lost_count, open_count"): "lost_count = 2",
    ("journey_stages", "drop_off_low, drop_off_rate"): "drop_off_low = 0.4",
    ("journey_stages", "drop_off_rate, drop_off_high"): "drop_off_high = 0.3",
    ("journey_stages", "drop_off_low, drop_off_high"): "drop_off_low = 0.7",
    ("journey_paths", "converted_count, attempt_count"): "converted_count = 41",
    ("journey_paths", "lift_low, lift"): "lift_low = 0.6",
    ("journey_paths", "lift, lift_high"): "lift_high = 0.4",
    ("journey_paths", "lift_low, lift_high"): "lift_low = 0.9",
    ("journey_paths", "p_value, q_value"): "p_value = 0.02",
    ("journey_paths", "verdict, attempt_count"): "attempt_count = 29",
    ("journey_paths", "verdict, q_value"): "q_value = 0.06",
    ("journey_paths", "verdict, lift_low, lift_high"): "verdict = 'converts more'",
    ("journey_states", "success_low, success_probability"): "success_low = 0.6",
    ("journey_states", "success_probability, success_high"): "success_high = 0.4",
    ("journey_states", "success_low, success_high"): "success_low = 0.7",
    ("journey_states", "observed_low, observed_conversion_rate"): "observed_low = 0.52",
    ("journey_states", "observed_conversion_rate, observed_high"): "observed_high = 0.48",
    ("journey_states", "observed_low, observed_high"): "observed_low = 0.6",
    ("next_steps", "probability_low, probability"): "probability_low = 1.0",
    ("next_steps", "probability, probability_high"): "probability_high = 0.85",
    ("next_steps", "probability_low, probability_high"): "probability_low = 1.0",
    ("journey_what_ifs", "difference_low, difference"): "difference_low = 0.12",
    ("journey_what_ifs", "difference, difference_high"): "difference_high = 0.08",
    ("journey_what_ifs", "difference_low, difference_high"): "difference_low = 0.2",
    ("journey_what_ifs", "is_offered, conversion_after"): "conversion_after = null",
    ("abandonment_types", "share_low, share_rate"): "share_low = 0.5",
    ("abandonment_types", "share_rate, share_high"): "share_high = 0.3",
    ("abandonment_types", "share_low, share_high"): "share_low = 0.6",
    ("journey_stages", "median_hours_to_next_low, median_hours_to_next"): "median_hours_to_next_low = 2.5",
    ("journey_stages", "median_hours_to_next, median_hours_to_next_high"): "median_hours_to_next_high = 1.5",
    ("journey_stages", "median_hours_to_next_low, median_hours_to_next_high"): "median_hours_to_next_high = 0.5",
    ("journey_stages", "rank_by_lost, rank_by_step_rate"): "rank_by_lost = null",
    ("stage_survival", "low, survival_rate"): "low = 0.6",
    ("stage_survival", "survival_rate, high"): "high = 0.4",
    ("stage_survival", "low, high"): "high = 0.3",
    ("stage_survival", "advanced_low, advanced_rate"): "advanced_low = 0.35",
    ("stage_survival", "advanced_rate, advanced_high"): "advanced_high = 0.2",
    ("stage_survival", "advanced_low, advanced_high"): "advanced_high = 0.1",
    ("stage_survival", "lost_low, lost_rate"): "lost_low = 0.25",
    ("stage_survival", "lost_rate, lost_high"): "lost_high = 0.1",
    ("stage_survival", "lost_low, lost_high"): "lost_high = 0.0",
    ("stage_survival", "survival_rate, advanced_rate, lost_rate"): "lost_rate = 0.3",
    ("journey_transitions", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("journey_transitions", "week, week_start_date"): "week = 'all'",
    ("journey_transitions", "from_step, to_step"): "to_step = '(start)'",
    ("journey_effort", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("journey_effort", "week, week_start_date"): "week = 'all'",
    ("journey_effort", "steps_low, mean_steps"): "steps_low = 3.75",
    ("journey_effort", "mean_steps, steps_high"): "steps_high = 3.25",
    ("journey_effort", "steps_low, steps_high"): "steps_high = 2.0",
    ("customer_timeline", "person_id, has_analytics_consent"): "has_analytics_consent = false",
    ("customer_timeline", "person_id, identity_tier"): "identity_tier = null",
    ("stage_touchpoints", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("stage_touchpoints", "week, week_start_date"): "week = 'all'",
    ("stage_touchpoints", "attempt_count, touch_count"): "touch_count = 11",
    ("stage_touchpoints", "closed_count, attempt_count"): "closed_count = 13",
    ("stage_touchpoints", "converted_count, lost_count, attempt_count"): "attempt_count = 9",
    ("stage_touchpoints", "left_count, lost_count"): "left_count = 5",
    ("stage_touchpoints", "conversion_low, conversion_rate"): "conversion_low = 0.7",
    ("stage_touchpoints", "conversion_rate, conversion_high"): "conversion_high = 0.5",
    ("stage_touchpoints", "conversion_low, conversion_high"): "conversion_low = 0.9",
    ("stage_touchpoints", "drop_off_after_low, drop_off_after_rate"): "drop_off_after_low = 0.4",
    ("stage_touchpoints", "drop_off_after_rate, drop_off_after_high"): "drop_off_after_high = 0.2",
    ("stage_touchpoints", "drop_off_after_low, drop_off_after_high"): "drop_off_after_low = 0.7",
    ("touchpoints", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("touchpoints", "week, week_start_date"): "week = 'all'",
    ("touchpoints", "attempt_count, touch_count"): "touch_count = 11",
    ("touchpoints", "closed_count, attempt_count"): "closed_count = 13",
    ("touchpoints", "left_count, attempt_count"): "left_count = 13",
    ("touchpoints", "drop_off_after_low, drop_off_after_rate"): "drop_off_after_low = 0.4",
    ("touchpoints", "drop_off_after_rate, drop_off_after_high"): "drop_off_after_high = 0.2",
    ("touchpoints", "drop_off_after_low, drop_off_after_high"): "drop_off_after_low = 0.7",
    ("first_day_actions", "lift_low, lift"): "lift_low = 2.1",
    ("first_day_actions", "lift, lift_high"): "lift_high = 1.9",
    ("first_day_actions", "lift_low, lift_high"): "lift_low = 3.5",
    ("first_day_actions", "customer_count, rate, conversion_rate"): "conversion_rate = null",
    ("first_day_actions", "customer_count, done_count"): "customer_count = 0, done_count = 0",
    ("first_day_actions", "done_count, started_count"): "done_count = 201",
    ("first_day_actions", "converted_count, started_count"): "converted_count = 201",
    ("first_day_actions", "early_converted_count, converted_count"): "early_converted_count = 91",
    ("first_day_actions", "is_aha, q_value, lift, customer_count"): "q_value = 0.06",
    ("support_outcomes", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("support_outcomes", "week, week_start_date"): "week = 'all'",
    ("support_outcomes", "judged_count, contact_count"): "contact_count = 9",
    ("support_outcomes", "repeat_count, first_contact_count, judged_count"): "repeat_count = 4",
    ("support_outcomes", "repeat_cost_amount, cost_amount"): "repeat_cost_amount = 85",
    ("support_outcomes", "reopen_count, solved_count"): "solved_count = 0",
    ("support_outcomes", "repeat_low, repeat_rate"): "repeat_low = 0.3",
    ("support_outcomes", "repeat_rate, repeat_high"): "repeat_high = 0.1",
    ("support_outcomes", "repeat_low, repeat_high"): "repeat_low = 0.6",
    (
        "support_outcomes",
        "first_contact_resolution_low, first_contact_resolution_rate",
    ): "first_contact_resolution_low = 0.8",
    (
        "support_outcomes",
        "first_contact_resolution_rate, first_contact_resolution_high",
    ): "first_contact_resolution_high = 0.6",
    (
        "support_outcomes",
        "first_contact_resolution_low, first_contact_resolution_high",
    ): "first_contact_resolution_low = 0.95",
    ("support_outcomes", "reopen_low, reopen_rate"): "reopen_low = 0.2",
    ("support_outcomes", "reopen_rate, reopen_high"): "reopen_high = 0.0",
    ("support_outcomes", "reopen_low, reopen_high"): "reopen_low = 0.5",
    ("stage_contacts", "week_start_date"): "week_start_date = date '2026-03-03'",
    ("stage_contacts", "week, week_start_date"): "week = 'all'",
    ("stage_contacts", "asking_attempt_count, contact_count"): "contact_count = 1",
    ("stage_contacts", "asking_attempt_count, attempt_count"): "attempt_count = 1",
    ("stage_contacts", "contact_low, contact_rate"): "contact_low = 0.2",
    ("stage_contacts", "contact_rate, contact_high"): "contact_high = 0.0",
    ("stage_contacts", "contact_low, contact_high"): "contact_low = 0.4",
    ("customers", "first_seen_at, last_seen_at"): "last_seen_at = timestamp '2025-03-03'",
    ("customers", "lost_at, lifecycle_stage"): "lost_at = null",
    ("customers", "segment"): "segment = 'all'",
    ("customer_segments", "segment"): "segment = 'all'",
    ("customer_segments", "converted_count, customer_count"): "converted_count = 11",
    ("customer_segments", "conversion_low, conversion_rate"): "conversion_low = 0.5",
    ("customer_segments", "conversion_rate, conversion_high"): "conversion_high = 0.3",
    ("customer_segments", "conversion_low, conversion_high"): "conversion_low = 0.8",
    ("model_cards", "artifact_sha256"): "artifact_sha256 = 'a'",
    ("model_cards", "positive_count, row_count"): "row_count = 19",
    ("model_cards", "holdout_positive_count, holdout_row_count"): "holdout_row_count = 4",
    ("model_cards", "auc_low, auc_high"): "auc_low = 0.9",
    ("model_cards", "calibration_slope_low, calibration_slope_high"): "calibration_slope_low = 2",
    ("model_cards", "training_from, training_to"): "training_from = date '2026-01-05'",
    ("model_cards", "holdout_from, holdout_to"): "holdout_to = date '2025-12-15'",
    ("model_cards", "training_to, holdout_from"): "holdout_from = date '2025-11-03'",
    ("model_diagnostics", "low, high"): "low = 0.3",
    ("data_quality", "from_date, to_date"): "to_date = date '2026-02-01'",
    ("identity_quality", "value_low, share_rate"): "value_low = 0.6",
    ("identity_quality", "share_rate, value_high"): "value_high = 0.3",
    ("identity_quality", "value_low, value_high"): "value_low = 0.7",
}


def suite_of(table: str):
    entry = CATALOGUE[table]
    return published_suite(table, columns=list(entry["columns"]), grain=entry["grain"])


CASES = [(table, expectation) for table in GOOD for expectation in suite_of(table).expectations]


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """Every published table with one good row."""
    with duckdb.connect() as connection:
        connection.execute("create schema published; create schema ops")
        connection.execute(f"create table ops.validations ({OPS_TABLES['validations']})")
        for table, row in GOOD.items():
            connection.execute(f"create table published.{table} as select {row}")
        yield connection


@pytest.fixture
def connection(warehouse: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same, as it was before the test once the test is over."""
    warehouse.begin()
    yield warehouse
    warehouse.rollback()


def look(
    connection: duckdb.DuckDBPyConnection, table: str, *, fingerprint: str = "", only: Expectation | None = None
) -> Verdict:
    suite = replace(suite_of(table), expectations=(only,)) if only else suite_of(table)
    prints = {table: fingerprint} if fingerprint else {}
    [verdict] = validate_published(connection, [suite], fingerprints=prints)
    return verdict


@pytest.mark.parametrize("table", sorted(CATALOGUE))
def test_every_published_table_has_a_suite_of_its_own(table: str) -> None:
    assert table in published._RULES, f"say in expectations/published.py what must be true of published.{table}"
    assert table in GOOD, f"give a good row of published.{table} here"
    assert CATALOGUE[table]["grain"]
    missing = {column for rule in published._RULES[table] for column in rule.needs} - set(CATALOGUE[table]["columns"])
    assert not missing, "the suite speaks of columns that are not described"


@pytest.mark.parametrize("table", GOOD)
def test_a_good_row_passes(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    verdict = look(connection, table)
    assert verdict.passed, str(verdict)
    assert verdict.rows == 1


def broken(table: str, expectation: Expectation) -> str:
    """SQL that breaks an expectation of a table."""
    column, arguments = expectation.column, expectation.arguments
    update = f"update published.{table} set"
    if expectation.kind == "ExpectTableColumnsToMatchSet":
        return f"alter table published.{table} add column surplus integer"
    if expectation.must == "be unique":
        return f"insert into published.{table} from published.{table}"
    special = BREAKS.get((table, column))
    if special and expectation.kind != "ExpectColumnValuesToBeBetween" and expectation.must != "be given":
        return f"{update} {special}"
    if expectation.kind == "ExpectColumnValuesToNotBeNull":
        return f"{update} {column} = null"
    if expectation.kind == "ExpectColumnValuesToBeInSet":
        return f"{update} {column} = 'something else'"
    low, high = arguments["min_value"], arguments["max_value"]
    value = "nan" if low == -LARGEST else low - 1 if high == LARGEST else high + 1
    return f"alter table published.{table} alter {column} type double; {update} {column} = '{value}'"


@pytest.mark.parametrize(("table", "expectation"), CASES, ids=lambda case: getattr(case, "column", case))
def test_what_is_not_as_expected_is_found(
    connection: duckdb.DuckDBPyConnection, table: str, expectation: Expectation
) -> None:
    connection.execute(broken(table, expectation))
    verdict = look(connection, table, only=expectation)
    [finding] = verdict.findings
    assert finding.is_evaluated
    assert finding.column.startswith(expectation.column)
    assert expectation.must in str(verdict)
    assert "something else" not in str(verdict)


def test_an_unchanged_table_is_not_looked_at_again(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.commit()  # `remember` has a transaction of its own
    remember(connection, [look(connection, "customer_scores", fingerprint="one")])
    connection.begin()
    assert not look(connection, "customer_scores", fingerprint="two").is_unchanged
    monkeypatch.setattr(validation, "_great_expectations", lambda: pytest.fail("nothing is new"))
    verdict = look(connection, "customer_scores", fingerprint="one")
    assert verdict.is_unchanged and verdict.passed
    assert str(verdict).startswith("Nothing new since its ")


def test_a_table_that_is_not_there_fails(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("drop table published.customer_scores")
    assert "must be there" in str(look(connection, "customer_scores"))


def test_a_text_where_a_number_should_be_is_told_without_the_text(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    row = f"select * replace ('ann@corp.example' as probability) from (select {GOOD['customer_scores']})"
    with duckdb.connect() as connection:
        connection.execute("create schema published; create schema ops")
        connection.execute(f"create table ops.validations ({OPS_TABLES['validations']})")
        connection.execute(f"create table published.customer_scores as {row}")
        verdict = look(connection, "customer_scores")
    told = str(verdict) + caplog.text + "".join(capfd.readouterr())
    assert "probability must lie between 0 and 1, which could not be told" in told
    assert "ann" not in told
    assert len(verdict.findings) == 1, "the other columns are told apart from it"
