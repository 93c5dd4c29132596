"""Actions of the first day, of a hundred people worked out by hand and by SciPy.

Everybody starts a trial at 10:00 and lives by themselves. Forty used the board in the first day, of whom 20 paid in the
end; of the other sixty 15 did. Thirty-five invited somebody; ten read the pricing page, all of whom paid.
None of what follows may change that:

- fifty more used the board and paid within the day, so that they had no time to do anything else;
- thirty more used the board and paid, but their window had not passed yet; thirty are open;
- everybody who paid tried again later, used the board and was lost;
- everybody used the board on the second day;
- the start, a payment that failed (it ends the journey), an invoice and the page that thanks are no actions.

``quick`` is a journey in which all who convert do so within the day: 25 open a file first, and five of them end as the
24 hours do; ten stall, of whom four add a note and all open a file when the day is over. Two began less than a day ago,
and one who converted stalls at a second attempt after adding a note. At ``swift`` three convert within an hour, and
nobody else ever began.
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

    def attempt(
        person: str, day: int, status: str, *, after_hours: float, journey: str = "trial", watched_hours: float = 240
    ) -> str:
        name = f"{person}/{day}"
        attempts.append((name, journey, person, day, status, after_hours, watched_hours))
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
        young = attempt(f"y{person}", 1, "converted", after_hours=100, watched_hours=239.9)
        touch(young, "feature_used", after_hours=1, detail="board")
        still_open = attempt(f"o{person}", 1, "open", after_hours=0)
        touch(still_open, "feature_used", after_hours=1, detail="board")
    for person in range(25):
        quick = attempt(f"z{person}", 1, "converted", after_hours=24 if person < 5 else 6, journey="quick")
        touch(quick, "file_opened", after_hours=2)
    for person in range(10):
        stalled = attempt(f"s{person}", 1, "lost", after_hours=240, journey="quick")
        touch(stalled, "file_opened", after_hours=24)
        if person < 4:
            touch(stalled, "note_added", after_hours=3)
    for person in range(2):
        new = attempt(f"n{person}", 1, "open", after_hours=0, journey="quick", watched_hours=23.9)
        touch(new, "file_opened", after_hours=2)
    touch(attempt("z0", 200, "lost", after_hours=240, journey="quick"), "note_added", after_hours=1)
    for person in range(3):
        touch(attempt(f"w{person}", 1, "converted", after_hours=1, journey="swift"), "cart_opened", after_hours=0.5)
    with duckdb.connect(str(path)) as connection:
        for schema in ("staging", "timeline", "journeys", "published"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table said_attempts (attempt_id varchar, journey varchar, person_id varchar, day integer, "
            "status varchar, hours double, watched_hours double)"
        )
        connection.executemany("insert into said_attempts values (?, ?, ?, ?, ?, ?, ?)", attempts)
        connection.execute(
            "create table journeys.attempts as select attempt_id, journey, person_id, status, "
            "timestamp '2026-01-01 10:00' + day * interval 1 day as started_at, "
            "case when status <> 'open' then started_at + to_seconds(hours * 3600) end as ended_at, "
            "started_at + interval 10 day as deadline_at, "
            "started_at + to_seconds(watched_hours * 3600) as watched_until_at "
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
        "select journey, action, customer_count, rate from published.first_day_actions where journey = 'trial' "
        "order by action"
    ).fetchall() == [
        ("trial", "feature_used: board", 40, 0.4),
        ("trial", "pricing_viewed: pricing", 10, 0.1),
        ("trial", "teammate_invited", 35, 0.35),
    ]


def test_what_everybody_does_counts_each_first_attempt(first_day: duckdb.DuckDBPyConnection) -> None:
    """Of 210 people 40 of the hundred, the fifty quick, the thirty young and the thirty open ones used the board."""
    columns = "done_count, done_rate, started_count, converted_count, early_converted_count"
    assert action(first_day, "feature_used: board", columns) == (150, 0.714286, 210, 115, 50)
    assert action(first_day, "teammate_invited", columns) == (35, 0.166667, 210, 115, 50)


def test_who_converts_within_the_day_counts_in_what_is_done_and_is_not_compared(
    first_day: duckdb.DuckDBPyConnection,
) -> None:
    columns = "done_count, done_rate, started_count, converted_count, early_converted_count"
    compared = "customer_count, rate, conversion_rate, conversion_rate_without, lift, q_value, is_aha, warning"
    warning = (
        "It cannot be judged: 25 of 25 conversions come within the first 24 hours, and of the 11 people compared "
        "nobody converted."
    )
    assert action(first_day, "file_opened", columns) == (25, 0.714286, 35, 25, 25)
    assert action(first_day, "file_opened", compared) == (0, 0.0, None, 0.0, None, None, False, warning)
    # Four of those who stalled, and one at a second attempt.
    assert action(first_day, "note_added", columns) == (4, 0.114286, 35, 25, 25)
    assert action(first_day, "note_added", compared) == (5, 0.454545, 0.0, 0.0, None, None, False, warning)


def test_journey_that_nobody_stays_in_for_a_day_tells_what_is_done(first_day: duckdb.DuckDBPyConnection) -> None:
    columns = "customer_count, rate, conversion_rate, conversion_rate_without, done_count, done_rate, warning"
    warning = "It cannot be judged: 3 of 3 conversions come within the first 24 hours, and nobody is left to compare."
    assert action(first_day, "cart_opened", columns) == (0, None, None, None, 3, 1.0, warning)


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
