"""Friction: statistics against other libraries and published numbers, findings against what the generator does."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from ml.friction import find_friction
from ml.friction.chances import extra_losses, upper_tail
from ml.friction.journey import COHORTS
from ml.friction.points import Family, Point, control
from tests.ml.attempts import NO_PLAYBOOKS, PLAYBOOK, STAGES, VALUES, draw

MONDAY = date(2026, 3, 2)
REPLICATES, SEED = 200, 1_000


def attempts_of(**columns: list) -> pa.Table:
    """Attempts at the checkout in one week by desktop, unless the columns say otherwise."""
    size = len(columns["is_lost"])
    usual = {
        "attempt_id": [f"a{number:05d}" for number in range(size)],
        "journey": ["checkout"] * size,
        "week_start_date": [MONDAY] * size,
        "started_on": [MONDAY + timedelta(days=number % 7) for number in range(size)],
        "first_channel": ["direct"] * size,
        **{name: [None] * size for name in COHORTS},
        "os": ["Windows"] * size,
        "device_type": ["desktop"] * size,
    }
    kinds = {name: pa.string() for name in ("first_channel", *COHORTS)}
    return pa.table({name: pa.array(values, kinds.get(name)) for name, values in (usual | columns).items()})


def steps_of(rows: list[tuple]) -> pa.Table:
    """Steps from (attempt, number, stage, touchpoint, signals), all of them touches a minute apart."""
    attempt, number, stage, touchpoint, signals = (list(column) for column in zip(*rows, strict=True))
    return pa.table(
        {
            "attempt_id": attempt,
            "step_number": number,
            "stage_order": stage,
            "touchpoint": touchpoint,
            "step_kind": ["touch"] * len(rows),
            "waited_hours": [None if one == 1 else 1 / 60 for one in number],
            "hours_left": [24 - one / 60 for one in number],
            "hours_to_success": pa.nulls(len(rows), pa.float64()),
            "friction_signals": pa.array(signals, pa.string()),
        }
    )


def find(attempts: pa.Table, steps: pa.Table, playbooks: pa.Table = NO_PLAYBOOKS) -> list[dict]:
    return find_friction(attempts, steps, journeys=VALUES, stages=STAGES, playbooks=playbooks).to_pylist()


def form(errors: int, lost_errors: int, others: int, lost_others: int) -> tuple[pa.Table, pa.Table]:
    """Attempts that come to a form in the second step: some meet an error there, the others go on to the payment."""
    is_lost = [place < lost_errors for place in range(errors)] + [place < lost_others for place in range(others)]
    attempts = attempts_of(is_lost=is_lost)
    rows = []
    for place, name in enumerate(attempts["attempt_id"].to_pylist()):
        rows += [(name, 1, 1, "checkout", None), (name, 2, 2, "checkout", None)]
        rows.append((name, 3, 2, "website", "error") if place < errors else (name, 3, 3, "checkout", None))
    return attempts, steps_of(rows)


# --- statistics against others ------------------------------------------------------------------


def test_interval_of_a_difference_is_newcombes() -> None:
    """Newcombe (1998), table II: 56 of 70 against 48 of 80 differ by 0.20, 0.0524 to 0.3339 by method 10."""
    extra, low, high = extra_losses(56, 70, 48 / 80, 80)
    assert extra / 70 == pytest.approx(0.2)
    assert (round(low / 70, 4), round(high / 70, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize(
    ("hits", "tries", "rate", "weight"), [(30, 60, 0.2, 300), (9, 400, 0.005, 2_000), (5, 30, 0, 50)]
)
def test_upper_tail_is_scipys_beta_binomial(hits: int, tries: int, rate: float, weight: float) -> None:
    found = upper_tail(hits, tries, rate, weight)
    expected = stats.betabinom.sf(hits - 1, tries, rate * weight + 0.5, (1 - rate) * weight + 0.5)
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_false_discoveries_are_controlled_as_scipy_does() -> None:
    rng = np.random.default_rng(4)
    p_values = np.concatenate([rng.random(80), rng.random(20) / 1_000])
    points = [
        Point(
            week=0, place=0, signal=0, cohort=0, attempt_count=30, lost_count=0, extra=(0, 0, 0), p_value=float(p),
            ratio=0, attempts=np.arange(1), lost=np.arange(0), hit_count=0, reference=(0, 0),
        )
        for p in p_values
    ]  # fmt: skip
    # Two families of tests are one where they are controlled together.
    parts = [Family(points=points[a:b], p_values=p_values[a:b]) for a, b in ((0, 50), (50, 100))]
    control(parts)
    assert [point.q_value for point in points] == pytest.approx(stats.false_discovery_control(p_values))


# --- rules --------------------------------------------------------------------------------------


def test_extra_losses_are_those_above_matched_attempts() -> None:
    """40 of 60 with an error are lost and 30 of 300 without: 40 - 60 · 0.1 = 34, at 20 USD each."""
    row = next(row for row in find(*form(60, 40, 300, 30)) if row["week"] == "all")
    assert (row["signal"], row["stage"], row["touchpoint"], row["cohort"]) == ("error", "First step", "website", "all")
    assert (row["attempt_count"], row["lost_count"], row["rank"]) == (60, 40, 1)
    assert row["extra_lost_count"] == pytest.approx(34, abs=1e-3)
    assert row["expected_lost_count"] == pytest.approx(6, abs=1e-3)
    assert float(row["value_at_risk_amount"]) == pytest.approx(680, abs=0.01)
    # Newcombe's limits of 40/60 against 30/300, by hand from Wilson's (0.5406, 0.7727) and (0.0709, 0.1391).
    assert row["extra_lost_low"] / 60 == pytest.approx(0.5667 - np.hypot(0.1261, 0.0391), abs=2e-3)
    assert row["extra_lost_high"] / 60 == pytest.approx(0.5667 + np.hypot(0.1060, 0.0291), abs=2e-3)
    assert row["evidence"] == (
        "Of 60 attempts that met an error at website in First step 40 were lost; of 300 others at that stage 30."
    )


def test_who_left_before_the_signal_could_come_is_no_match() -> None:
    """Of those who did something after the first step, with the error and without, half are lost: no friction.

    A third of all leave before that. Against all who had no error (200 of 300 lost... counted with them) an error
    would even look like a help; against those who went on it makes no difference.
    """
    is_lost = [place % 2 == 0 for place in range(300)] + [True] * 150
    attempts = attempts_of(is_lost=is_lost)
    rows = []
    for place, name in enumerate(attempts["attempt_id"].to_pylist()):
        rows += [(name, 1, 1, "checkout", None), (name, 2, 2, "checkout", None)]
        if place < 300:
            rows.append((name, 3, 2, "website", "error") if place % 6 < 2 else (name, 3, 2, "product", None))
    row = next(row for row in find(attempts, steps_of(rows)) if row["week"] == "all" and row["signal"] == "error")
    assert (row["attempt_count"], row["lost_count"], row["is_ranked"]) == (100, 50, False)
    assert row["extra_lost_count"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("signal", ["backtrack", "repeat"])
def test_going_back_is_no_friction_where_the_only_other_move_is_to_convert(signal: str) -> None:
    """A sixth of those who go back are lost and a quarter of all others, none of whom made a move but to convert."""
    is_lost = [place % 6 == 0 for place in range(300)] + [place % 4 == 0 for place in range(200)]
    attempts = attempts_of(is_lost=is_lost)
    rows = []
    for place, name in enumerate(attempts["attempt_id"].to_pylist()):
        rows += [(name, 1, 1, "checkout", None), (name, 2, 2, "checkout", None)]
        if place < 300:
            rows.append((name, 3, 2, "website", signal))
        if not is_lost[place]:
            rows.append((name, 4, 3, "checkout", None))
    row = next(row for row in find(attempts, steps_of(rows)) if row["week"] == "all" and row["signal"] == signal)
    assert (row["attempt_count"], row["lost_count"], row["rank"]) == (300, 50, None)
    # 50 - 300 · 0.25.
    assert row["extra_lost_count"] == pytest.approx(-25, abs=1e-3)
    assert float(row["value_at_risk_amount"]) == 0


def test_support_contact_is_matched_at_the_move_that_it_is() -> None:
    """Half of those who ask after the first step are lost, a tenth of those who do anything else."""
    is_lost = [place % 2 == 0 for place in range(40)] + [place % 10 == 0 for place in range(400)]
    attempts = attempts_of(is_lost=is_lost)
    rows = []
    for place, name in enumerate(attempts["attempt_id"].to_pylist()):
        rows.append((name, 1, 1, "checkout", "support contact" if place < 40 else None))
        rows.append((name, 2, 1, "support" if place < 40 else "website", None))
    row = next(row for row in find(attempts, steps_of(rows)) if row["week"] == "all")
    assert (row["signal"], row["touchpoint"], row["attempt_count"]) == ("support contact", "checkout", 40)
    assert row["extra_lost_count"] == pytest.approx(20 - 4, abs=1e-3)


def waiting(hours_left: float) -> dict:
    """Of 400 who come to a product, 40 after five hours; of these half are lost, of the others a tenth.

    Who converts has done so four hours later, a twentieth of them after eight; `hours_left` have those who waited.
    """
    is_lost = [place % 2 == 0 for place in range(40)] + [place % 10 == 0 for place in range(360)]
    attempts = attempts_of(is_lost=is_lost)
    rows, waited, left, to_success = [], [], [], []
    for place, name in enumerate(attempts["attempt_id"].to_pylist()):
        needed = None if is_lost[place] else 8.0 if place % 20 == 5 else 4.0
        rows += [(name, 1, 1, "checkout", None), (name, 2, 2, "product", None), (name, 3, 2, "website", None)]
        waited += [None, 5.0 if place < 40 else 0.1, 0.1]
        left += [24.0, hours_left if place < 40 else 23.9, hours_left - 1 if place < 40 else 23.0]
        to_success += [needed, needed, needed]
    steps = steps_of(rows).drop_columns(["waited_hours", "hours_left", "hours_to_success"])
    for column, values in (("waited_hours", waited), ("hours_left", left), ("hours_to_success", to_success)):
        steps = steps.append_column(column, pa.array(values, pa.float64()))
    points = {row["signal"]: row for row in find(attempts, steps) if row["week"] == "all"}
    return points.get("long wait", {})


def test_a_long_wait_is_friction_while_there_is_time_left() -> None:
    row = waiting(hours_left=19)
    assert (row["stage"], row["touchpoint"], row["attempt_count"], row["lost_count"]) == (
        "First step",
        "product",
        40,
        20,
    )
    # 20 - 40 · 0.1.
    assert row["extra_lost_count"] == pytest.approx(16, abs=1e-3)
    assert row["evidence"].startswith(
        "Of 40 attempts that came after a wait of more than 1.0 hours, with 4.0 or more left, at product in First step"
    )


def test_a_wait_after_which_the_window_runs_out_is_none() -> None:
    assert waiting(hours_left=4) != {}
    assert waiting(hours_left=3.9) == {}


def test_fewer_than_thirty_are_shown_and_not_ranked() -> None:
    row = next(row for row in find(*form(29, 29, 300, 0)) if row["week"] == "all")
    assert (row["attempt_count"], row["rank"], row["is_ranked"], row["q_value"]) == (29, None, False, None)
    assert row["evidence"].endswith("Fewer than 30 attempts: not ranked.")
    row = next(row for row in find(*form(30, 30, 300, 0)) if row["week"] == "all")
    assert (row["attempt_count"], row["rank"]) == (30, 1)


def test_without_a_value_extra_losses_rank() -> None:
    attempts, steps = form(60, 40, 300, 30)
    attempts = attempts.set_column(1, "journey", pa.array(["onboarding"] * len(attempts)))
    row = next(row for row in find(attempts, steps) if row["week"] == "all")
    assert (row["rank"], row["value_at_risk_amount"], row["value_currency"]) == (1, None, None)
    assert row["extra_lost_count"] == pytest.approx(34, abs=1e-3)


def test_nothing_is_found_in_nothing() -> None:
    attempts, steps = form(60, 40, 300, 30)
    assert find(attempts.slice(0, 0), steps.slice(0, 0)) == []
    assert find(attempts, steps.slice(0, 0)) == []


def test_order_of_rows_does_not_matter() -> None:
    attempts, steps = draw(SEED, people=200, days=90, planted=True)
    rng = np.random.default_rng(0)
    shuffled = find(
        attempts.take(pa.array(rng.permutation(len(attempts)))), steps.take(pa.array(rng.permutation(len(steps))))
    )
    assert shuffled == find(attempts, steps)


# --- playbooks ----------------------------------------------------------------------------------


def play(playbook_id: str, **named: object) -> dict:
    usual = dict.fromkeys(("journey", "stage", "touchpoint", "signal", "cohort_dimension"), "*")
    told = {"likely_cause": playbook_id, "recommendation": "Mend it.", "basis": "Assumed.", "owner": None}
    return {
        "playbook_id": playbook_id,
        **usual,
        **told,
        "expected_recovery_low": 0.2,
        "expected_recovery_high": 0.4,
    } | named


def test_the_playbook_that_names_most_speaks_and_none_is_unknown() -> None:
    attempts, steps = form(60, 40, 300, 30)
    plays = [
        play("any error", signal="error"),
        play("forms", journey="checkout", signal="error", owner="Forms"),
        play("of versions", journey="checkout", stage="First step", signal="error", cohort_dimension="app_version"),
        play("elsewhere", journey="onboarding", stage="First step", signal="error"),
    ]
    row = next(row for row in find(attempts, steps, pa.Table.from_pylist(plays, PLAYBOOK)) if row["week"] == "all")
    assert (row["likely_cause"], row["recommendation"], row["owner"]) == ("forms", "Mend it.", "Forms")
    # 34 extra losses at 20 USD are 680; the middle of 20 and 40 % of them is 204.
    assert float(row["expected_gain_amount"]) == pytest.approx(204, abs=0.01)
    assert row["expected_gain_basis"] == "20 to 40 % of the value at risk, 30 % taken. Assumed."
    row = next(row for row in find(attempts, steps, pa.Table.from_pylist(plays[2:], PLAYBOOK)) if row["week"] == "all")
    assert (row["likely_cause"], row["recommendation"], row["expected_gain_amount"]) == ("unknown", None, None)
    assert row["owner"] == "Product"


# --- what the generator is known to do ----------------------------------------------------------


def alarms(rows: list[dict]) -> list[dict]:
    """What speaks up against a part of the company or a week of it; forms that are always hard do not."""
    return [row for row in rows if row["is_ranked"] and (row["cohort"] != "all" or row["signal"] == "drop-off")]


def test_false_alarms_are_rare_where_nothing_goes_wrong() -> None:
    """Companies in which nothing goes wrong: an alarm in any week, journey, place or cohort counts against one of them.

    The 95 % interval (Clopper and Pearson 1934) of their share contains 5 % or lies below it.
    """
    alarmed = sum(
        bool(alarms(find(*draw(SEED + seed, people=400, days=90, planted=False)))) for seed in range(REPLICATES)
    )
    interval = stats.binomtest(alarmed, REPLICATES).proportion_ci(method="exact")
    print(f"{alarmed} of {REPLICATES} raise a false alarm: {interval.low:.2%} to {interval.high:.2%}")
    assert interval.low <= 0.05


def test_the_broken_version_comes_first_in_its_weeks_and_never_else() -> None:
    """Three weeks from 2026-06-01 on, on Android and 4.2.0 alone, conversion falls from 0.70 to 0.25."""
    attempts, steps = draw(SEED, people=1_500, days=120, planted=True)
    rows = find(attempts, steps)
    weeks = ["2026-06-01", "2026-06-08", "2026-06-15"]
    told = [row for row in alarms(rows) if row["journey"] == "checkout" and row["week"] != "all"]
    assert [
        (row["week"], row["rank"], row["cohort"], row["stage"]) for row in sorted(told, key=lambda row: row["week"])
    ] == [(week, 1, "os=Android, app_version=4.2.0", "Payment") for week in weeks]
    for row in told:
        truth = (0.75 - 0.30) * row["attempt_count"]
        assert row["extra_lost_low"] <= truth <= row["extra_lost_high"]
        assert (row["from_date"], row["to_date"]) == (date(2026, 6, 1), date(2026, 6, 21))
    whole = next(row for row in alarms(rows) if row["journey"] == "checkout" and row["week"] == "all")
    assert (whole["cohort"], whole["from_date"], whole["to_date"]) == (
        "os=Android, app_version=4.2.0",
        date(2026, 6, 1),
        date(2026, 6, 21),
    )


def test_the_confusing_step_is_among_the_first_three() -> None:
    attempts, steps = draw(SEED, people=1_500, days=120, planted=True)
    ranked = sorted(
        (
            row
            for row in find(attempts, steps)
            if row["journey"] == "onboarding" and row["week"] == "all" and row["rank"]
        ),
        key=lambda row: row["rank"],
    )
    assert ("Project", "error") in [(row["stage"], row["signal"]) for row in ranked[:3]]
