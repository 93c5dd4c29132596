"""Attempts and stages, worked out by hand from ``tests/story.py``."""

import math

import pytest

from tests.story import Told

WEEK = "2026-03-09"


def attempts_of(told: Told, user: str, journey: str = "trial_to_paid") -> list[tuple]:
    return told.rows(
        """
        select started_at::varchar, ended_at::varchar, status, last_stage from published.journey_attempts
        where journey = ? and person_id = ? order by started_at
        """,
        journey,
        told.person(user),
    )


def test_success_ends_an_attempt_as_converted(told: Told) -> None:
    assert attempts_of(told, "lena") == [("2026-03-08 18:30:00", "2026-03-11 10:30:00", "converted", "Paying")]


def test_failure_ends_an_attempt_as_lost_and_the_next_start_opens_another(told: Told) -> None:
    assert attempts_of(told, "nils") == [
        ("2026-03-09 10:00:00", "2026-03-10 10:00:00", "lost", "First project"),
        ("2026-03-12 10:00:00", None, "open", "Trial started"),
    ]


def test_start_inside_an_open_attempt_belongs_to_it(told: Told) -> None:
    assert attempts_of(told, "olga") == [("2026-03-09 10:00:00", "2026-03-11 10:00:00", "lost", "Trial started")]


def test_open_attempt_is_not_lost_before_its_window_has_passed(told: Told) -> None:
    assert attempts_of(told, "sven") == [("2026-03-02 10:00:00", None, "open", "Trial started")]


def test_window_that_passed_is_lost_at_its_end_and_a_start_then_opens_another(told: Told) -> None:
    assert attempts_of(told, "tara") == [
        ("2026-02-19 00:00:00", "2026-03-21 00:00:00", "lost", "Trial started"),
        ("2026-03-21 00:00:00", None, "open", "Trial started"),
    ]


def test_weeks_are_cut_at_midnight_of_a_zone_half_an_hour_off(told: Told) -> None:
    weeks = dict(
        told.rows(
            "select person_id, week_start_date::varchar from published.journey_attempts where journey = 'trial_to_paid'"
        )
    )
    assert weeks[told.person("lena")] == "2026-03-09"
    assert weeks[told.person("mona")] == "2026-03-02"


def test_journey_taken_once_starts_with_the_first_visit(told: Told) -> None:
    assert told.rows(
        "select started_at::varchar, status from published.journey_attempts "
        "where journey = 'acquisition' and person_id = ?",
        told.person("finn"),
    ) == [("2026-03-04 09:00:00", "converted")]


def test_stages_have_both_denominators_and_leave_the_open_out_of_losses(told: Told) -> None:
    """Six attempts of one week: Lena and Rosa convert, Nils and Olga are lost, Nils (again) and Paul are open."""
    rows = told.rows(
        """
        select stage, entered_count, reached_count, advanced_count, lost_count, open_count, shared_rate, step_rate,
            drop_off_rate, median_hours_from_previous, value_at_risk_amount::varchar, value_at_risk_currency
        from published.journey_stages where journey = 'trial_to_paid' and segment = 'all' and week = ?
        order by stage_order
        """,
        WEEK,
    )
    third = pytest.approx(1 / 3, abs=1e-6)
    # Olga is lost after 48 h, when four of the six have gone on; Nils, who is open, was watched longer: 2/6 · 1/2.
    sixth = pytest.approx(1 / 6, abs=1e-6)
    two_thirds = pytest.approx(2 / 3, abs=1e-6)
    # Lena's first project came after 15.5 h, Nils's after 2 h; she and Paul waited 47 h and 10 min for the checkout;
    # she paid after 30 min, Rosa, who skipped all between, 20 min after her start. A conversion is worth 34 USD.
    assert rows == [
        ("Trial started", 6, 6, 4, 1, 1, 1.0, 1.0, sixth, None, "34.00", "USD"),
        ("First project", 6, 4, 3, 1, 0, two_thirds, two_thirds, 0.25, 8.75, "34.00", "USD"),
        ("Using features", 6, 3, 3, 0, 0, 0.5, 0.75, 0.0, 1.0, "0.00", "USD"),
        ("Checkout", 6, 3, 2, 0, 1, 0.5, 1.0, 0.0, pytest.approx((47 + 1 / 6) / 2, abs=1e-4), "0.00", "USD"),
        ("Paying", 6, 2, 2, 0, 0, third, two_thirds, 0.0, pytest.approx((1 / 2 + 1 / 3) / 2, abs=1e-4), "0.00", "USD"),
    ]


def test_drop_off_interval_is_wilsons_where_nobody_was_open_before(told: Told) -> None:
    """1 of 6: centre (1 + z²/2) / (6 + z²), half width z·sqrt(1·5/6 + z²/4) / (6 + z²)."""
    low, high = told.one(
        "select drop_off_low, drop_off_high from published.journey_stages "
        "where journey = 'trial_to_paid' and segment = 'all' and week = ? and stage_order = 1",
        WEEK,
    )
    z = 1.959963984540054
    centre, half = (1 + z**2 / 2) / (6 + z**2), z * math.sqrt(5 / 6 + z**2 / 4) / (6 + z**2)
    assert (low, high) == (pytest.approx(centre - half, abs=1e-6), pytest.approx(centre + half, abs=1e-6))
    assert (round(low, 4), round(high, 4)) == (0.0301, 0.5635)  # As printed in tables of Wilson's interval.


def test_steps_fold_touches_of_one_touchpoint_and_say_when_they_end(told: Told) -> None:
    rows = told.rows(
        """
        select steps.step_number, steps.stage, steps.entered_at::varchar, steps.left_at::varchar, steps.touch_count
        from published.journey_steps as steps inner join published.journey_attempts as attempts using (attempt_id)
        where attempts.journey = 'trial_to_paid' and attempts.person_id = ? order by step_number
        """,
        told.person("lena"),
    )
    assert rows == [
        (1, "Trial started", "2026-03-08 18:30:00", "2026-03-09 10:00:00", 1),
        (2, "First project", "2026-03-09 10:00:00", "2026-03-09 11:00:00", 1),
        (3, "Using features", "2026-03-09 11:00:00", "2026-03-11 10:00:00", 1),
        (4, "Checkout", "2026-03-11 10:00:00", "2026-03-11 10:30:00", 1),
        (5, "Paying", "2026-03-11 10:30:00", "2026-03-11 10:30:00", 1),
    ]


def test_onboarding_ends_with_a_plan_of_ones_own(told: Told) -> None:
    assert attempts_of(told, "omar", "onboarding") == [
        ("2026-03-01 10:00:00", "2026-03-01 11:00:00", "converted", "Plan imported")
    ]
    assert attempts_of(told, "pia", "onboarding") == [
        ("2026-03-10 10:00:00", "2026-03-24 10:00:00", "lost", "Profile completed")
    ]
    assert attempts_of(told, "quin", "onboarding") == [("2026-03-20 10:00:00", None, "open", "Signed up")]


def test_onboarding_that_began_with_a_trial_ends_with_it(told: Told) -> None:
    assert attempts_of(told, "mona", "onboarding") == [
        ("2026-03-08 18:29:59", "2026-03-09 10:00:00", "lost", "Signed up")
    ]


def test_onboarding_passes_its_steps_in_order(told: Told) -> None:
    """Signed up at 10:00, profile after 5 min, project 15 min later, plan 40 min later."""
    assert told.rows(
        """
        select steps.stage, min(steps.entered_at)::varchar
        from published.journey_steps as steps inner join published.journey_attempts as attempts using (attempt_id)
        where attempts.journey = 'onboarding' and attempts.person_id = ?
        group by steps.stage, steps.stage_order order by steps.stage_order
        """,
        told.person("omar"),
    ) == [
        ("Signed up", "2026-03-01 10:00:00"),
        ("Profile completed", "2026-03-01 10:05:00"),
        ("First project", "2026-03-01 10:20:00"),
        ("Plan imported", "2026-03-01 11:00:00"),
    ]


def test_checkout_left_for_a_day_is_lost_where_it_stood(told: Told) -> None:
    assert attempts_of(told, "cara", "checkout") == [
        ("2026-03-12 10:00:00", "2026-03-13 10:00:00", "lost", "Payment entered"),
        ("2026-03-14 10:00:00", "2026-03-14 10:10:00", "converted", "Bought"),
    ]
    assert attempts_of(told, "paul", "checkout") == [
        ("2026-03-09 10:10:00", "2026-03-10 10:10:00", "lost", "Checkout started")
    ]


def test_checkout_of_a_pack_is_worth_what_was_paid(told: Told) -> None:
    assert told.rows(
        "select value_amount::varchar, value_currency from published.journey_attempts "
        "where journey = 'checkout' and status = 'converted' and person_id = ?",
        told.person("cara"),
    ) == [("29.00", "USD")]


def test_step_of_a_checkout_stands_in_its_properties(told: Told) -> None:
    assert told.rows(
        "select event, properties ->> 'step' from timeline.customer_events "
        "where person_id = ? and event like 'checkout_step%' order by occurred_at",
        told.person("cara"),
    ) == [("checkout_step_viewed", "1"), ("checkout_step_completed", "1")]


def test_return_ends_with_the_money_or_the_refusal(told: Told) -> None:
    assert attempts_of(told, "cara", "returns") == [
        ("2026-03-16 09:00:00", "2026-03-18 09:00:00", "converted", "Refunded")
    ]
    assert attempts_of(told, "rolf", "returns") == [("2026-03-11 10:00:00", "2026-03-13 10:00:00", "lost", "Requested")]
    assert attempts_of(told, "ruth", "returns") == [("2026-03-20 10:00:00", None, "open", "Requested")]


def test_return_pays_out_and_has_no_value_to_lose(told: Told) -> None:
    assert told.rows(
        "select distinct value_amount, value_currency from published.journey_attempts "
        "where journey = 'returns' and status = 'converted'"
    ) == [(None, None)]
    assert told.rows(
        "select distinct value_at_risk_amount, value_at_risk_currency from published.journey_stages "
        "where journey = 'returns'"
    ) == [(None, None)]


def test_payment_that_ends_one_renewal_starts_the_next(told: Told) -> None:
    # 40 and 9 days before 1 March are 20 January and 20 February.
    assert attempts_of(told, "rita", "renewal") == [
        ("2026-01-20 10:00:00", "2026-02-20 10:00:00", "converted", "Renewed"),
        ("2026-02-20 10:00:00", "2026-03-20 10:00:00", "converted", "Renewed"),
        ("2026-03-20 10:00:00", None, "open", "Month paid"),
    ]


def test_renewal_is_lost_by_cancelling_or_by_not_paying(told: Told) -> None:
    # 38 days from 9 February end on 19 March.
    assert attempts_of(told, "stan", "renewal") == [
        ("2026-03-01 10:00:00", "2026-03-09 10:00:00", "lost", "Month paid")
    ]
    assert attempts_of(told, "tom", "renewal") == [("2026-02-09 10:00:00", "2026-03-19 10:00:00", "lost", "Month paid")]


def test_payment_that_two_renewals_share_is_a_touch_of_both(told: Told) -> None:
    assert told.rows(
        """
        select attempts.started_at::varchar, count(*), min(steps.stage_order), max(steps.stage_order)
        from journeys.attempt_events as steps inner join journeys.attempts as attempts using (attempt_id)
        where attempts.journey = 'renewal' and attempts.person_id = ? group by 1 order by 1
        """,
        told.person("rita"),
    ) == [
        # Two payments; a feature between the second and the third; a webinar and a referral after that.
        ("2026-01-20 10:00:00", 2, 1, 3),
        ("2026-02-20 10:00:00", 3, 1, 3),
        ("2026-03-20 10:00:00", 3, 1, 1),
    ]


def test_invoice_of_no_subscription_renews_nothing(told: Told) -> None:
    assert attempts_of(told, "cara", "renewal") == []


def test_advocacy_ends_with_a_recommendation(told: Told) -> None:
    assert attempts_of(told, "rita", "advocacy") == [
        ("2026-01-20 10:00:00", "2026-03-25 10:00:00", "converted", "Recommends")
    ]
    assert attempts_of(told, "stan", "advocacy") == [("2026-03-01 10:00:00", "2026-03-09 10:00:00", "lost", "Bought")]
    assert attempts_of(told, "cara", "advocacy") == [("2026-03-14 10:10:00", None, "open", "Bought")]


def test_recommendation_asks_for_a_least_rating(told: Told) -> None:
    """Two stars of five are 0.25 and speak up; four are 0.75 and recommend. Nine of ten is a promoter."""
    assert attempts_of(told, "tess", "advocacy") == [
        ("2026-03-01 10:00:00", "2026-03-15 10:00:00", "converted", "Recommends")
    ]
    assert told.rows(
        "select occurred_at::varchar, stage_order from journeys.attempt_events "
        "inner join journeys.attempts using (attempt_id) "
        "where attempts.journey = 'advocacy' and attempts.person_id = ? order by 1",
        told.person("tess"),
    ) == [("2026-03-01 10:00:00", 1), ("2026-03-10 10:00:00", 3), ("2026-03-15 10:00:00", 4)]
    assert attempts_of(told, "uwe", "advocacy") == [
        ("2026-03-01 10:00:00", "2026-03-05 10:00:00", "converted", "Recommends")
    ]


def test_window_does_not_close_after_the_source_of_successes_fell_silent(told: Told) -> None:
    """The ticket of 5 March would be lost on the 19th; but the desk's last export is of the 10th in UTC.

    Its rows were known by the end of that day, which in India is the 11th: until its end the desk was watched.
    """
    assert told.rows(
        "select started_at::varchar, ended_at, status from published.journey_attempts "
        "where journey = 'support_resolution'"
    ) == [("2026-03-05 10:00:00", None, "open")]
    assert told.rows(
        "select watched_until_at::varchar from journeys.watched_journeys where journey = 'support_resolution'"
    ) == [("2026-03-11 18:30:00",)]
