"""Friction in the demo: what was planted is found where it is, and the evidence can be counted again."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from dagster_project.publishing.summaries import tell_friction
from tests.conftest import Demo

COHORT = "os=Android, app_version=4.2.0"


@pytest.fixture(scope="module")
def published(demo: Demo) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published version of the small demo."""
    path = (demo.settings.data / "published" / "current").resolve() / "throughline.duckdb"
    with duckdb.connect(path, read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def incident(demo: Demo) -> tuple[date, date]:
    """First and last day on which the checkout of one version was broken, by the truth."""
    with (demo.truth / "incidents.csv").open() as lines:
        told = next(row for row in csv.DictReader(lines) if "os=Android;app_version=4.2.0" in row["where"])
    return date.fromisoformat(told["from"][:10]), date.fromisoformat(told["to"][:10]) - timedelta(days=1)


def test_the_broken_version_is_first_in_its_weeks(
    published: duckdb.DuckDBPyConnection, incident: tuple[date, date]
) -> None:
    weeks = [incident[0] + timedelta(days=7 * number) for number in range(3)]
    assert published.execute(
        """
        select week_start_date, rank, stage, touchpoint, signal, from_date, to_date, likely_cause, owner
        from friction_points
        where journey = 'checkout' and is_ranked and cohort = ? and week <> 'all' order by week
        """,
        [COHORT],
    ).fetchall() == [
        (
            *(week, 1, "Payment entered", "website", "error", *incident),
            *("A release of the app broke the checkout form", "Engineering"),
        )
        for week in weeks
    ]


def test_no_cohort_of_the_checkout_is_ranked_before_or_after(
    published: duckdb.DuckDBPyConnection, incident: tuple[date, date]
) -> None:
    assert (
        published.execute(
            """
            select week, cohort from friction_points
            where journey = 'checkout' and is_ranked and cohort <> 'all' and not week_start_date between ? and ?
            """,
            incident,
        ).fetchall()
        == []
    )
    # There were such attempts before and after, in weeks that are compared.
    ((before, after),) = published.execute(
        """
        select count(*) filter (week_start_date < $1), count(*) filter (week_start_date > $2)
        from journey_attempts
        where journey = 'checkout' and is_window_over and os = 'Android' and app_version = '4.2.0'
        """,
        incident,
    ).fetchall()
    assert min(before, after) > 10


def test_extra_losses_are_those_that_were_planted(published: duckdb.DuckDBPyConnection) -> None:
    """Conversion fell from 0.70 to 0.25, so that 0.45 of the cohort's attempts were lost by it."""
    rows = published.execute(
        "select attempt_count, extra_lost_low, extra_lost_high from friction_points "
        "where journey = 'checkout' and is_ranked and cohort = ? and week <> 'all'",
        [COHORT],
    ).fetchall()
    assert len(rows) == 3
    for attempts, low, high in rows:
        assert low <= 0.45 * attempts <= high


def test_the_confusing_step_is_among_the_first_three(published: duckdb.DuckDBPyConnection) -> None:
    ranked = published.execute(
        "select stage, signal, likely_cause from friction_points "
        "where journey = 'onboarding' and week = 'all' and rank <= 3"
    ).fetchall()
    assert ("First project", "error") in [(stage, signal) for stage, signal, _ in ranked]
    assert any("import step confuses" in cause for *_, cause in ranked)


def steps_with(condition: str) -> str:
    """Condition on attempts: they have a step of which it holds."""
    steps = "select 1 from journey_steps as steps where steps.attempt_id = attempts.attempt_id"
    return f"exists ({steps} and {condition})"


def met(stage: str) -> str:
    """Condition: an error was met at the website in a stage."""
    has_error = "list_contains(string_split(friction_signals, '|'), 'error')"
    return steps_with(f"stage = '{stage}' and touchpoint = 'website' and {has_error}")


def came_to(stage: str) -> str:
    """Condition: something was done in a stage."""
    return steps_with(f"stage = '{stage}' and step_kind = 'touch'")


def count(published: duckdb.DuckDBPyConnection, week: date, *conditions: str) -> tuple[int, int]:
    """Attempts at the checkout that started in a week and whose window is over, and how many of them were lost."""
    where = " and ".join(("journey = 'checkout'", "is_window_over", "week_start_date = ?", *conditions))
    ((attempts, lost),) = published.execute(
        f"select count(*), count(*) filter (status = 'lost') from journey_attempts as attempts where {where}", [week]
    ).fetchall()
    return attempts, lost


def test_evidence_about_a_cohort_can_be_counted_again(published: duckdb.DuckDBPyConnection) -> None:
    rows = published.execute(
        "select week_start_date, attempt_count, lost_count, evidence from friction_points "
        "where journey = 'checkout' and is_ranked and cohort = ? and week <> 'all'",
        [COHORT],
    ).fetchall()
    assert len(rows) == 3
    is_in = "os = 'Android' and app_version = '4.2.0'"
    # Whose system nobody knows may be one of them.
    is_out = "os is not null and (os <> 'Android' or app_version is distinct from '4.2.0')"
    for week, attempt_count, lost_count, evidence in rows:
        assert (attempt_count, lost_count) == count(published, week, is_in)
        _, lost = count(published, week, is_in, met("Payment entered"))
        others, _ = count(published, week, is_out, came_to("Payment entered"))
        _, others_lost = count(published, week, is_out, met("Payment entered"))
        assert evidence == (
            f"Of {attempt_count} attempts of {COHORT} {lost_count} were lost, {lost} of them after they met an error "
            f"at website in Payment entered; of {others} others that came as far {others_lost} were lost so."
        )


def test_evidence_about_everybody_can_be_counted_again(published: duckdb.DuckDBPyConnection) -> None:
    rows = published.execute(
        "select week_start_date, attempt_count, lost_count, evidence from friction_points "
        "where journey = 'checkout' and is_ranked and cohort = 'all' and signal = 'error' and week < '2026-06'"
    ).fetchall()
    assert rows
    for week, attempt_count, lost_count, evidence in rows:
        assert (attempt_count, lost_count) == count(published, week, met("First step done"))
        others, others_lost = count(published, week, f"not {met('First step done')}", came_to("First step done"))
        assert evidence == (
            f"Of {attempt_count} attempts that met an error at website in First step done {lost_count} were lost; "
            f"of {others} others at that stage {others_lost}."
        )


def test_value_at_risk_is_extra_losses_times_what_a_conversion_is_worth(published: duckdb.DuckDBPyConnection) -> None:
    ((mean,),) = published.execute(
        "select round(avg(value_amount), 2) from journey_attempts where journey = 'checkout' and status = 'converted'"
    ).fetchall()
    rows = published.execute(
        "select value_per_conversion_amount, extra_lost_count, value_at_risk_amount, value_currency "
        "from friction_points where journey = 'checkout' and is_ranked"
    ).fetchall()
    assert rows
    for each, extra, value, currency in rows:
        assert (float(each), currency) == (pytest.approx(mean), "USD")
        # The mean has more digits than are shown.
        assert float(value) == pytest.approx(extra * mean, abs=0.01 + 0.005 * extra)


def test_a_journey_without_a_value_ranks_by_extra_losses(published: duckdb.DuckDBPyConnection) -> None:
    rows = published.execute(
        "select value_at_risk_amount, expected_gain_amount from friction_points "
        "where journey = 'onboarding' and is_ranked"
    ).fetchall()
    assert rows and set(rows) == {(None, None)}


def test_the_run_tells_what_costs_most_and_the_latest_incident(
    demo: Demo, published: duckdb.DuckDBPyConnection
) -> None:
    told = " ".join(" ".join(tell_friction(published)).split())
    assert "Friction: checkout, error at website in First step done, all weeks: " in told
    assert f"error at website in Payment entered for {COHORT}, week of 2026-06-15, since 2026-06-01: " in told
    assert "Friction: checkout" in demo.output
