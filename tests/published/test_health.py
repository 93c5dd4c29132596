"""Journey health of weeks worked out by hand.

Two journeys with the same shares, the second with ten times the people. The reference week: half convert after 10
hours, half are lost when the window of 10 days closes. The week in question: of ten, two have been open for 5 hours
and are then out of sight, one converts after 10 hours, seven are lost. So at 10 hours eight are watched and one of
them converts: 1/8, not 1/10 (the open are not lost) and not 1 of 8 closed by chance alone: it is Aalen and Johansen's
estimate, with the variance of a share of eight.
"""

import math

import duckdb
import pytest

from dagster_project.predictions import prepare_tables
from dagster_project.settings import DBT_DIR, load_settings
from dagster_project.transform import build
from tests.nights import whole_night

HOUR, DAY = 3600.0, 86400.0
Z = 1.959963984540054
PRIOR = 20  # attempts at which a group weighs as much as its parent


def attempts(journey: str, week: str, channel: str, status: str, hours: float, count: int, segment: str = "") -> str:
    return (
        f"select '{journey}' as journey, date '{week}' as week_start_date, '{channel}' as first_channel, "
        f"nullif('{segment}', '') as segment, "
        f"'{status}' as status, {hours * HOUR}::double as duration_seconds from range({count})"
    )


@pytest.fixture(scope="module")
def health(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    folder = tmp_path_factory.mktemp("health")
    path = folder / "warehouse.duckdb"
    rows = []
    for journey, times in (("few", 1), ("many", 10)):
        rows += [
            attempts(journey, "2026-01-05", "direct", "converted", 10, 15 * times),
            attempts(journey, "2026-01-05", "direct", "lost", 240, 15 * times),
            attempts(journey, "2026-01-05", "email", "converted", 10, 5 * times),
            attempts(journey, "2026-01-05", "email", "lost", 240, 5 * times),
            attempts(journey, "2026-01-12", "direct", "open", 5, 2 * times),
            attempts(journey, "2026-01-12", "direct", "converted", 10, 1 * times),
            attempts(journey, "2026-01-12", "direct", "lost", 240, 7 * times),
        ]
    rows += [
        attempts("slight", "2026-01-05", "direct", "converted", 10, 20),
        attempts("slight", "2026-01-05", "direct", "lost", 240, 20),
        attempts("slight", "2026-01-12", "direct", "converted", 10, 1),
        attempts("slight", "2026-01-12", "direct", "lost", 240, 5),
        attempts("rare", "2026-01-05", "direct", "converted", 10, 1),
        attempts("rare", "2026-01-05", "direct", "lost", 240, 99),
        attempts("rare", "2026-01-12", "direct", "lost", 240, 10),
        attempts("never", "2026-01-05", "direct", "lost", 240, 20_000, "S1"),
        attempts("never", "2026-01-05", "email", "lost", 240, 20_000, "S1"),
        attempts("never", "2026-01-05", "direct", "lost", 240, 20_000, "S2"),
        attempts("never", "2026-01-12", "direct", "lost", 240, 50, "S1"),
        attempts("never", "2026-01-12", "email", "lost", 240, 50, "S1"),
        attempts("never", "2026-01-12", "direct", "lost", 240, 50, "S2"),
        attempts("split", "2026-01-05", "direct", "converted", 10, 10, "S1"),
        attempts("split", "2026-01-05", "direct", "lost", 240, 10, "S1"),
        attempts("split", "2026-01-05", "email", "converted", 10, 5, "S1"),
        attempts("split", "2026-01-05", "email", "lost", 240, 5, "S1"),
        attempts("split", "2026-01-05", "direct", "converted", 10, 5, "S2"),
        attempts("split", "2026-01-05", "direct", "lost", 240, 5, "S2"),
        attempts("split", "2026-01-12", "direct", "converted", 10, 1, "S1"),
        attempts("split", "2026-01-12", "direct", "lost", 240, 7, "S1"),
        attempts("split", "2026-01-12", "direct", "converted", 10, 4, "S2"),
        attempts("split", "2026-01-12", "email", "lost", 240, 4, "S2"),
    ]
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create schema journeys; create schema staging; create schema predictions; create schema ops"
        )
        connection.execute(
            "create table journeys.attempt_measures as select journey || row_number() over () as attempt_id, *, "
            "null::double as satisfaction_rate, null::bigint as first_day_touch_count from "
            f"({' union all '.join(rows)})"
        )
        # Everybody in a segment is in it from the Monday on which the attempt's week begins.
        connection.execute(
            "create table journeys.attempt_spans as select attempt_id, attempt_id as person_id, journey, "
            "week_start_date::timestamp as started_at from journeys.attempt_measures"
        )
        prepare_tables(connection)
        connection.execute(
            "insert into predictions.segments values ('S1', 'one', 'First.', '1'), ('S2', 'two', 'Second.', '1')"
        )
        connection.execute(
            "insert into predictions.segment_history select attempt_id, segment, week_start_date, null "
            "from journeys.attempt_measures where segment is not null"
        )
        connection.execute(
            "create table journeys.journey_weeks as select distinct journey, week_start_date, "
            f"{10 * DAY}::double as horizon_seconds from journeys.attempt_measures"
        )
        connection.execute(
            f"create table staging.health_weights as from read_csv('{DBT_DIR / 'seeds' / 'health_weights.csv'}')"
        )
    models = ["attempt_segments", "weekly_conversion", "weekly_measures", "health_components", "journey_health_scores"]
    results = build(
        load_settings({"THROUGHLINE_DATA": str(folder)}),
        night=whole_night(),
        nodes=[f"model.throughline.{model}" for model in models],
    )
    assert [result for result in results if not result.is_built] == []
    assert len(results) == len(models)
    return duckdb.connect(str(path), read_only=True)


def conversion(health: duckdb.DuckDBPyConnection, journey: str, channel: str, segment: str = "all") -> tuple:
    return health.execute(
        "select effective_count, value, shrunk_value, reference, score from published.health_components "
        "where component = 'conversion' and week_start_date = '2026-01-12' and journey = ? and channel = ? "
        "and segment = ?",
        [journey, channel, segment],
    ).fetchall()[0]


def week(
    health: duckdb.DuckDBPyConnection,
    journey: str,
    columns: str,
    day: str = "2026-01-12",
    segment: str = "all",
    channel: str = "all",
) -> tuple:
    return health.execute(
        f"select {columns} from published.journey_health_scores "
        "where journey = ? and week_start_date = ? and segment = ? and channel = ?",
        [journey, day, segment, channel],
    ).fetchall()[0]


def test_open_attempts_count_as_long_as_they_were_watched(health: duckdb.DuckDBPyConnection) -> None:
    rate, variance, entered, still_open = health.execute(
        "select conversion_rate, conversion_variance, entered_count, open_count from published.weekly_conversion "
        "where journey = 'few' and week_start_date = '2026-01-12' and segment = 'all' and channel = 'all'"
    ).fetchall()[0]
    assert rate == pytest.approx(1 / 8)
    assert variance == pytest.approx(1 / 8 * 7 / 8 / 8)
    assert (entered, still_open) == (10, 2)


def test_small_week_is_drawn_to_its_reference(health: duckdb.DuckDBPyConnection) -> None:
    # The reference is (20 + 1/2) of (40 + 1). Eight attempts weigh against twenty: (8 * 1/8 + 20 * 1/2) / 28.
    # Odds of 11/17 against even, to the power 1.5, times 3 (par), are 1.5615: a score of 60.96.
    count, value, shrunk, reference, score = conversion(health, "few", "all")
    assert (count, value, reference) == (pytest.approx(8), pytest.approx(1 / 8), pytest.approx(1 / 2))
    assert shrunk == pytest.approx(11 / 28)
    assert score == pytest.approx(100 * 1.561482 / 2.561482, abs=1e-4)


def test_channel_is_drawn_to_the_movement_of_its_journey(health: duckdb.DuckDBPyConnection) -> None:
    # Its own reference is even too, (15 + 20 * 1/2) of 50; the journey's movement makes 11/28 of that.
    count, value, shrunk, reference, score = conversion(health, "few", "direct")
    assert (count, value, reference) == (pytest.approx(8), pytest.approx(1 / 8), pytest.approx(1 / 2))
    assert shrunk == pytest.approx((8 / 8 + 20 * 11 / 28) / 28)
    odds = shrunk / (1 - shrunk)
    assert score == pytest.approx(100 * 3 * odds**1.5 / (1 + 3 * odds**1.5))


def test_channel_of_a_segment_is_drawn_to_its_segment_and_that_to_the_journey(
    health: duckdb.DuckDBPyConnection,
) -> None:
    # The journey: 5 of 16 against a half, (5 + 20 * 1/2) / 36. The segment: 1 of 8 against the 5/12 that makes of its
    # own half, (1 + 20 * 5/12) / 28 = 1/3. Its direct visitors are the same 8, against the 1/3.
    assert conversion(health, "split", "all")[2] == pytest.approx(5 / 12)
    assert conversion(health, "split", "all", "S1")[:4] == pytest.approx((8, 1 / 8, 1 / 3, 1 / 2))
    *found, score = conversion(health, "split", "direct", "S1")
    shrunk, reference = 23 / 84, (10 + 20 * 1 / 2) / 40
    assert found == pytest.approx([8, 1 / 8, shrunk, reference])
    odds = shrunk / (1 - shrunk)
    assert score == pytest.approx(100 * 3 * odds**1.5 / (1 + 3 * odds**1.5))
    # Twenty of 28 parts are the segment's movement, so its error is in it too.
    of_segment = 1 / (28 * 1 / 3 * 2 / 3) + 1 / (50 * 0.5 * 0.5)
    own = 1 / (28 * shrunk * (1 - shrunk)) + 1 / (40 * 0.5 * 0.5)
    error = 0.5 / 0.7 * 1.5 * score * (1 - score / 100) * math.sqrt(own + (20 / 28) ** 2 * of_segment)
    health_score, low, high = week(
        health, "split", "health_score, health_low, health_high", segment="S1", channel="direct"
    )
    assert health_score == pytest.approx((0.5 * score + 0.2 * 75) / 0.7, abs=1e-4)
    assert (low, high) == pytest.approx(
        (max(0, health_score - Z * error), min(100, health_score + Z * error)), abs=1e-3
    )


def test_segments_and_channels_come_with_all_their_margins(health: duckdb.DuckDBPyConnection) -> None:
    assert health.execute(
        "select segment, channel, entered_count from published.journey_health_scores "
        "where journey = 'split' and week_start_date = '2026-01-12' order by all"
    ).fetchall() == [
        ("S1", "all", 8),
        ("S1", "direct", 8),
        ("S2", "all", 8),
        ("S2", "direct", 4),
        ("S2", "email", 4),
        ("all", "all", 16),
        ("all", "direct", 12),
        ("all", "email", 4),
    ]


def test_few_attempts_of_a_segment_have_no_status(health: duckdb.DuckDBPyConnection) -> None:
    low, high, status, reason = week(
        health, "split", "health_low, health_high, status, reason", segment="S2", channel="direct"
    )
    # Drawn to its parents it looks certain enough; but four attempts say little of their own.
    assert high - low < 2 * 40
    assert status is None
    assert reason.startswith("too uncertain to say: ") and reason.endswith(" (4 attempts)")
    assert week(health, "split", "status", segment="S2") == ("healthy",)


def test_ten_times_the_people_say_the_same_more_surely(health: duckdb.DuckDBPyConnection) -> None:
    # (80 * 1/8 + 20 * 1/2) / 100 = 1/5: odds of 1/4, to the power 1.5, times 3 are 3/8; 3/8 of 11/8 is 27.27.
    count, _, shrunk, reference, score = conversion(health, "many", "all")
    assert (count, reference) == (pytest.approx(80), pytest.approx(1 / 2))
    assert shrunk == pytest.approx(1 / 5)
    assert score == pytest.approx(300 / 11)
    # Velocity is like its reference: 75. The weights of what was measured are 0.5 and 0.2.
    found, low, high = week(health, "many", "health_score, health_low, health_high")
    expected = (0.5 * 300 / 11 + 0.2 * 75) / 0.7
    assert found == pytest.approx(expected, abs=1e-4)
    # Variance on the logit scale, carried over by the slope 1.5 * s * (1 - s / 100), weighed by 0.5 / 0.7.
    variance = 1 / (100 * 0.2 * 0.8) + 1 / (420 * 0.5 * 0.5)
    error = 0.5 / 0.7 * 1.5 * 300 / 11 * 8 / 11 * math.sqrt(variance)
    assert (low, high) == (pytest.approx(expected - Z * error, abs=1e-4), pytest.approx(expected + Z * error, abs=1e-4))


def test_interval_is_wider_for_fewer(health: duckdb.DuckDBPyConnection) -> None:
    widths = {journey: week(health, journey, "health_high - health_low")[0] for journey in ("few", "many")}
    variance = 1 / (28 * 11 / 28 * 17 / 28) + 1 / (60 * 0.5 * 0.5)
    error = 0.5 / 0.7 * 1.5 * 60.9601 * (1 - 0.609601) * math.sqrt(variance)
    assert widths["few"] == pytest.approx(2 * Z * error, abs=1e-2)
    assert widths["few"] > 2 * widths["many"]


def test_status_needs_a_fall_and_certainty(health: duckdb.DuckDBPyConnection) -> None:
    """Both fell by 10 and more; only for the many does the whole interval lie below the baseline of 75."""
    assert week(health, "few", "status, baseline_score") == ("watch", 75.0)
    assert week(health, "many", "status, baseline_score") == ("degraded", 75.0)


def test_status_is_not_made_of_noise(health: duckdb.DuckDBPyConnection) -> None:
    """One of six against a half: (1 + 10) / 26 is 0.31 below on the logit scale, 65.3, with time 68.1: 6.9 below.

    But its error is 11.5, so the chance that it is below at all is less than four in five.
    """
    score, status = week(health, "slight", "health_score, status")
    share = 100 / (1 + math.exp(-(math.log(3) + 1.5 * math.log(11 / 15))))
    assert score == pytest.approx((0.5 * share + 0.2 * 75) / 0.7, abs=1e-4)
    assert score < 75 - 5
    assert status == "healthy"


def test_score_that_may_be_anything_has_no_status(health: duckdb.DuckDBPyConnection) -> None:
    """None of ten where one of a hundred converts, (1 + 1/2) of 101: the variance is 5.9 on the logit scale."""
    low, high, status, reason = week(health, "rare", "health_low, health_high, status, reason")
    assert (low, high) == (0.0, 100.0)
    assert status is None
    assert reason == "too uncertain to say: converts 0.0 % against 1.5 % (10 attempts)"


def test_what_never_happens_has_no_status_and_stops_no_night(health: duckdb.DuckDBPyConnection) -> None:
    """Where nobody ever converts, the logit of hardly anything is known to no digit at all."""
    found = health.execute(
        "select distinct status, reason like 'too uncertain to say%' from published.journey_health_scores "
        "where journey = 'never' and week_start_date = '2026-01-12' and channel <> 'all' and segment <> 'all'"
    ).fetchall()
    assert found == [(None, True)]


def test_reason_names_what_pulls_the_score_down_and_counts(health: duckdb.DuckDBPyConnection) -> None:
    assert week(health, "few", "reason") == ("converts 12.5 % against 50.0 % (10 attempts, 2 still open)",)


def test_first_week_has_nothing_to_compare_with(health: duckdb.DuckDBPyConnection) -> None:
    assert week(health, "few", "health_score, health_low, status, reason", day="2026-01-05") == (
        None,
        None,
        None,
        "no reference yet: fewer than 30 attempts in the weeks before",
    )
