"""Attempts and stages, worked out by hand from the trials of ``tests/story.py``."""

import math

import pytest

from tests.story import Told

WEEK = "2026-03-09"


def attempts_of(told: Told, user: str) -> list[tuple]:
    return told.rows(
        """
        select started_at::varchar, ended_at::varchar, status, last_stage from published.journey_attempts
        where journey = 'trial_to_paid' and person_id = ? order by started_at
        """,
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
        from published.journey_stages where journey = 'trial_to_paid' and week = ? order by stage_order
        """,
        WEEK,
    )
    third = pytest.approx(1 / 3, abs=1e-6)
    two_thirds = pytest.approx(2 / 3, abs=1e-6)
    # Lena's first project came after 15.5 h, Nils's after 2 h; she and Paul waited 47 h and 10 min for the checkout;
    # she paid after 30 min, Rosa, who skipped all between, 20 min after her start. A conversion is worth 34 USD.
    assert rows == [
        ("Trial started", 6, 6, 4, 1, 1, 1.0, 1.0, 0.2, None, "34.00", "USD"),
        ("First project", 6, 4, 3, 1, 0, two_thirds, two_thirds, 0.25, 8.75, "34.00", "USD"),
        ("Using features", 6, 3, 3, 0, 0, 0.5, 0.75, 0.0, 1.0, "0.00", "USD"),
        ("Checkout", 6, 3, 2, 0, 1, 0.5, 1.0, 0.0, pytest.approx((47 + 1 / 6) / 2, abs=1e-4), "0.00", "USD"),
        ("Paying", 6, 2, 2, 0, 0, third, two_thirds, 0.0, pytest.approx((1 / 2 + 1 / 3) / 2, abs=1e-4), "0.00", "USD"),
    ]


def test_drop_off_interval_is_wilsons(told: Told) -> None:
    """1 of 5: centre (1 + z²/2) / (5 + z²), half width z·sqrt(1·4/5 + z²/4) / (5 + z²)."""
    low, high = told.one(
        "select drop_off_low, drop_off_high from published.journey_stages "
        "where journey = 'trial_to_paid' and week = ? and stage_order = 1",
        WEEK,
    )
    z = 1.959963984540054
    centre, half = (1 + z**2 / 2) / (5 + z**2), z * math.sqrt(0.8 + z**2 / 4) / (5 + z**2)
    assert (low, high) == (pytest.approx(centre - half, abs=1e-6), pytest.approx(centre + half, abs=1e-6))
    assert (round(low, 4), round(high, 4)) == (0.0362, 0.6245)  # As printed in tables of Wilson's interval.


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
