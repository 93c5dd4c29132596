"""Actions of the first day, of a hundred people worked out by hand and by SciPy.

Everybody starts a trial at 10:00 and lives by themselves. Forty used the board in the first day, of whom 20 paid in the
end; of the other sixty 15 did. Thirty-five invited somebody; ten read the pricing page, all of whom paid.
None of what follows may change that:

- fifty more used the board and paid within the day, so that they had no time to do anything else;
- thirty more used the board and paid, but their window had not passed yet; thirty are open;
- everybody who paid tried again later, used the board and was lost;
- everybody used the board on the second day;
- the start, a payment that failed (it ends the journey), an invoice and the page that thanks are no actions.
"""

from __future__ import annotations

import math
from datetime import datetime

import duckdb
import pytest
from scipy import stats

from dagster_project.settings import DBT_DIR, load_settings
from dagster_project.transform import build
from tests.nights import whole_night

Z = 1.959963984540054
# Of persons 1 to 100: who did it, and who paid.
BOARD = set(range(1, 41))
INVITED = set(range(9, 44))
PRICES = set(range(1, 11))
PAID = {*range(1, 21), *range(41, 56)}


def four(did: set[int]) -> tuple[list[int], list[int]]:
    """Paid and did not pay, of those who did it and of all others."""
    others = set(range(1, 101)) - did
    return [len(did & PAID), len(did - PAID)], [len(others & PAID), len(others - PAID)]


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    folder = tmp_path_factory.mktemp("first_day")
    path = folder / "warehouse.duckdb"
    attempts: list[tuple] = []
    touches: list[tuple] = []

    def attempt(person: str, day: int, status: str, *, after_hours: float, is_watched: bool = True) -> str:
        name = f"{person}/{day}"
        attempts.append((name, "trial", person, day, status, after_hours, is_watched))
        touches.append((name, "trial_started", 0.0, "milestone", "", "start"))
        return name

    def touch(
        name: str, event: str, *, after_hours: float, kind: str = "touch", url: str = "", detail: str = ""
    ) -> None:
        touches.append((name, event, after_hours, kind, url, detail))

    for person in range(1, 101):
        name = attempt(f"p{person}", 1, "converted" if person in PAID else "lost", after_hours=100)
        if person in BOARD:
            touch(name, "feature_used", after_hours=23.9, detail="board")
            touch(name, "feature_used", after_hours=5, detail="board")
        if person in INVITED:
            touch(name, "teammate_invited", after_hours=3, kind="milestone")
        if person in PRICES:
            touch(name, "pricing_viewed", after_hours=2, url="https://lumen.example/pricing?plan=2")
        touch(name, "page_viewed", after_hours=4, url="https://lumen.example/thank-you")
        touch(name, "payment_failed", after_hours=6, kind="friction")
        touch(name, "invoice_paid", after_hours=6, kind="milestone")
        touch(name, "web_session_started", after_hours=1, kind="system")
        touch(name, "feature_used", after_hours=24, detail="board")
        if person in PAID:
            again = attempt(f"p{person}", 200, "lost", after_hours=240)
            touch(again, "feature_used", after_hours=1, detail="board")
    for person in range(50):
        touch(attempt(f"q{person}", 1, "converted", after_hours=20), "feature_used", after_hours=1, detail="board")
    for person in range(30):
        young = attempt(f"y{person}", 1, "converted", after_hours=100, is_watched=False)
        touch(young, "feature_used", after_hours=1, detail="board")
        still_open = attempt(f"o{person}", 1, "open", after_hours=0)
        touch(still_open, "feature_used", after_hours=1, detail="board")
    with duckdb.connect(str(path)) as connection:
        for schema in ("staging", "timeline", "journeys", "published"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table said_attempts (attempt_id varchar, journey varchar, person_id varchar, day integer, "
            "status varchar, hours double, is_watched boolean)"
        )
        connection.executemany("insert into said_attempts values (?, ?, ?, ?, ?, ?, ?)", attempts)
        connection.execute(
            "create table journeys.attempts as select attempt_id, journey, person_id, status, "
            "timestamp '2026-01-01 10:00' + day * interval 1 day as started_at, "
            "case when status <> 'open' then started_at + to_seconds(hours * 3600) end as ended_at, "
            "started_at + interval 10 day as deadline_at, "
            "case when is_watched then deadline_at else deadline_at - interval 1 second end as watched_until_at "
            "from said_attempts"
        )
        connection.execute(
            "create table said_touches (attempt_id varchar, event varchar, hours double, kind varchar, url varchar, "
            "detail varchar)"
        )
        connection.executemany("insert into said_touches values (?, ?, ?, ?, ?, ?)", touches)
        connection.execute(
            "create table touches as select 'e' || row_number() over () as event_id, said_touches.*, started_at + "
            "to_seconds(said_touches.hours * 3600) as occurred_at "
            "from said_touches inner join journeys.attempts using (attempt_id)"
        )
        connection.execute("create table journeys.attempt_events as from touches")
        connection.execute(
            "create table journeys.attempt_spans as select attempt_id, event_id as start_event_id from touches "
            "where detail = 'start'"
        )
        connection.execute(
            "create table timeline.customer_events as select event_id, event, nullif(url, '') as url, "
            "'direct' as channel, json_object('feature', nullif(detail, '')) as properties from touches"
        )
        connection.execute(
            "create table journeys.journey_roles as from (values ('trial', 'trial_started', false, false), "
            "('trial', 'payment_failed', false, true)) t(journey, event, is_success, is_failure)"
        )
        connection.execute(
            f"create table staging.action_details as from read_csv('{DBT_DIR / 'seeds' / 'action_details.csv'}')"
        )
    [result] = build(
        load_settings({"THROUGHLINE_DATA": str(folder)}),
        night=whole_night(datetime(2026, 12, 31)),
        nodes=["model.throughline.first_day_actions"],
    )
    assert result.is_built, result.message
    return duckdb.connect(str(path), read_only=True)


def action(first_day: duckdb.DuckDBPyConnection, name: str, columns: str) -> tuple:
    return first_day.execute(f"select {columns} from published.first_day_actions where action = ?", [name]).fetchall()[
        0
    ]


def test_actions_are_those_of_the_first_day_that_tell_of_no_outcome(first_day: duckdb.DuckDBPyConnection) -> None:
    assert first_day.execute(
        "select journey, action, customer_count, rate from published.first_day_actions order by action"
    ).fetchall() == [
        ("trial", "feature_used: board", 40, 0.4),
        ("trial", "pricing_viewed: pricing", 10, 0.1),
        ("trial", "teammate_invited", 35, 0.35),
    ]


def test_lift_is_that_of_those_who_had_the_time_to_act(first_day: duckdb.DuckDBPyConnection) -> None:
    """20 of 40 against 15 of 60 is twice as many; the interval is Katz's, exp(±z·sqrt(1/20 - 1/40 + 1/15 - 1/60))."""
    with_it, without, lift, low, high = action(
        first_day, "feature_used: board", "conversion_rate, conversion_rate_without, lift, lift_low, lift_high"
    )
    assert (with_it, without, lift) == (0.5, 0.25, 2.0)
    error = math.sqrt(1 / 20 - 1 / 40 + 1 / 15 - 1 / 60)
    assert (low, high) == pytest.approx((2 * math.exp(-Z * error), 2 * math.exp(Z * error)), abs=1e-6)


def test_false_discoveries_are_scipys(first_day: duckdb.DuckDBPyConnection) -> None:
    """Of chi-squared tests with the correction of Yates; ten people are too few to compare."""
    compared = {"feature_used: board": BOARD, "teammate_invited": INVITED}
    p_values = [stats.chi2_contingency(four(did), correction=True).pvalue for did in compared.values()]
    assert p_values[0] == pytest.approx(0.018584, abs=1e-6)
    expected = stats.false_discovery_control(p_values)
    found = [action(first_day, name, "q_value")[0] for name in compared]
    assert found == pytest.approx(list(expected), abs=1e-6)
    assert action(first_day, "pricing_viewed: pricing", "q_value, is_aha, warning") == (
        None,
        False,
        "Too few to compare: 10 did it and 90 did not.",
    )


def test_aha_is_a_candidate_with_its_warning(first_day: duckdb.DuckDBPyConnection) -> None:
    """The prices have more lift, and too few people: an aha candidate is no chance find."""
    lift, is_aha, warning = action(first_day, "feature_used: board", "lift, is_aha, warning")
    assert action(first_day, "pricing_viewed: pricing", "lift")[0] > lift
    assert is_aha
    assert "not an effect" in warning
    assert action(first_day, "teammate_invited", "is_aha") == (False,)
