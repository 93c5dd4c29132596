"""What the lenses make of attempts: twelve people worked out by hand, a published example, and lifelines.

All of them are told in one world, whose days of watching end with 30 March 2026 in UTC.

``survival_people.csv`` holds 300 stays in a stage with the way each ended, drawn with NumPy from
``default_rng(20260302)``: exponential times of going on (mean 9 days) and of being lost (mean 15), the window of 30
days, and uniform times of watching up to 45 days; all rounded to a millisecond. ``survival_lifelines.csv`` is what
lifelines 0.30.3 makes of them, read off on each day::

    km = KaplanMeierFitter().fit(days, way > 0)
    km.survival_function_, km.confidence_interval_survival_function_
    AalenJohansenFitter().fit(days, way, event_of_interest=1)   # advanced; 2 for lost
    .cumulative_density_, .confidence_interval_                 # its two columns in order
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dagster_project.settings import load_settings
from dagster_project.warehouse import open_warehouse
from tests.journeys.lenses import LENSES, STEPS, Lenses, build_models, prepare

FOLDER = Path(__file__).parent
AS_OF = datetime(2026, 3, 31)
START = datetime(2026, 3, 2, 10)
LONG_AGO = datetime(2026, 1, 1)

JOURNEYS = [
    ("buying", "enter", "buy", "quit", 10, True),
    ("onboarding", "sign_up", "settled", None, 30, True),
    ("golden", "begin", "done", "gave_up", 30, True),
    ("halves", "open", "close", None, 10, True),
]
STAGES = [
    *(
        ("buying", place + 1, *stage)
        for place, stage in enumerate(
            [("Entered", "enter"), ("Looked", "look"), ("Chose", "choose"), ("Bought", "buy")]
        )
    ),
    *(
        ("onboarding", place + 1, *stage)
        for place, stage in enumerate(
            [
                ("Signed up", "sign_up"),
                ("Account", "account"),
                ("Profile", "profile"),
                ("First use", "first_use"),
                ("Second session", "second_session"),
                ("Settled", "settled"),
            ]
        )
    ),
    ("golden", 1, "Began", "begin"),
    ("golden", 2, "Done", "done"),
    ("halves", 1, "Opened", "open"),
    ("halves", 2, "Closed", "close"),
]
PLACES = {"enter": "door", "look": "shelf", "choose": "shelf", "buy": "till", "quit": "door"}

# Person, hours after 2 March 10:00, event, and what its id begins with: it decides in one instant.
TWELVE = [
    # Straight through.
    ("p01", 0, "enter"), ("p01", 1, "look"), ("p01", 2, "choose"), ("p01", 3, "buy"),
    # Skips all between.
    ("p02", 0, "enter"), ("p02", 2, "buy"),
    # Chooses before looking; the window closes.
    ("p03", 0, "enter"), ("p03", 3, "choose"), ("p03", 4, "look"),
    # Looks and leaves.
    ("p04", 0, "enter"), ("p04", 4, "look"), ("p04", 6, "quit"),
    # Never goes on; the window closes.
    ("p05", 0, "enter"),
    # Leaves after a day, comes again a day later and buys.
    ("p06", 0, "enter"), ("p06", 24, "quit"), ("p06", 48, "enter"), ("p06", 53, "look"), ("p06", 54, "buy"),
    # Enters twice in one attempt, looks; the window closes.
    ("p07", 0, "enter"), ("p07", 1, "enter"), ("p07", 6, "look"),
    # Looks and enters in one second: by its id the look came first and is in no attempt.
    ("p08", 0, "look", "a"), ("p08", 0, "enter", "b"), ("p08", 7, "choose"), ("p08", 8, "buy"),
    # Buys and leaves in one second: by its id the purchase came first.
    ("p09", 0, "enter"), ("p09", 8, "buy", "a"), ("p09", 8, "quit", "b"),
    # Open where they entered: 24 March, so watched for 6 days and 14 hours.
    ("p10", 528, "enter"),
    # Open after a look a day later.
    ("p11", 528, "enter"), ("p11", 552, "look"),
    # Enters again in the very instant in which the window closes, which is another attempt; chooses and leaves.
    ("p12", 0, "enter"), ("p12", 240, "enter"), ("p12", 241, "choose"), ("p12", 242, "quit"),
]  # fmt: skip
# How many reached each stage of the published example, and how long after the stage before, in seconds.
EXAMPLE = [
    ("sign_up", 10_000, 0),
    ("account", 9_500, 30),
    ("profile", 7_800, 120),
    ("first_use", 5_200, 2_700),
    ("second_session", 3_400, 362_880),
    ("settled", 2_800, 3_600),
]


def _events() -> Iterator[tuple[str, str, str, datetime]]:
    for number, (person, hours, event, *before) in enumerate(TWELVE):
        yield f"{''.join(before) or 'c'}{number:03}", person, event, START + timedelta(hours=hours)
    for number, row in enumerate(_golden("survival_people.csv")):
        stay = timedelta(seconds=float(row["seconds"]))
        start = AS_OF - stay if row["way_out"] == "open" else LONG_AGO
        yield f"g{number:03}", f"g{number:03}", "begin", start
        if row["way_out"] != "open" and stay < timedelta(days=30):
            event = "done" if row["way_out"] == "advanced" else "gave_up"
            yield f"h{number:03}", f"g{number:03}", event, start + stay
    # Ten who go on in one instant, a day after they began, and ten whose window closes.
    for number in range(20):
        yield f"o{number:02}", f"half{number:02}", "open", LONG_AGO
        if number < 10:
            yield f"z{number:02}", f"half{number:02}", "close", LONG_AGO + timedelta(days=1)


def _golden(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def lenses(tmp_path_factory: pytest.TempPathFactory) -> Lenses:
    data = tmp_path_factory.mktemp("lenses")
    settings = load_settings({"THROUGHLINE_DATA": str(data), "THROUGHLINE_INBOX": str(data / "inbox")})
    with open_warehouse(settings) as connection:
        prepare(connection, journeys=JOURNEYS, stages=STAGES)
        insert = """
            insert into timeline.customer_events by name
            select id as event_id, person as component_id, person as person_id, 'desk' as source, event,
                coalesce({places}, event) as touchpoint, 'touch' as kind, 'direct' as channel, 'human' as traffic_class,
                happened_at as occurred_at, timestamp '2026-03-30 12:00' as available_at
            from {rows}
        """
        places = f"map {{{', '.join(f'{event!r}: {place!r}' for event, place in PLACES.items())}}}[event]"
        connection.execute("create temp table told (id varchar, person varchar, event varchar, happened_at timestamp)")
        connection.executemany("insert into told values (?, ?, ?, ?)", list(_events()))
        connection.execute(insert.format(places=places, rows="told"))
        waited = 0
        for event, count, seconds in EXAMPLE:
            waited += seconds
            rows = f"""(
                select '{event}' || person as id, 'e' || person as person, '{event}' as event,
                    timestamp '2026-01-05 09:00' + to_seconds({waited}) as happened_at
                from range({count}) as people(person)
            )"""
            connection.execute(insert.format(places="null", rows=rows))
    build_models(settings, models=[*STEPS, *LENSES], as_of=AS_OF)
    return Lenses(settings)


def test_twelve_people_make_fourteen_attempts(lenses: Lenses) -> None:
    assert lenses.rows(
        "select person_id, status, last_stage_order, epoch(ended_at - timestamp '2026-03-02 10:00') // 3600 as hours "
        "from journeys.attempts where journey = 'buying' order by person_id, started_at"
    ) == [
        ("p01", "converted", 4, 3),
        ("p02", "converted", 4, 2),
        ("p03", "lost", 3, 240),
        ("p04", "lost", 2, 6),
        ("p05", "lost", 1, 240),
        ("p06", "lost", 1, 24),
        ("p06", "converted", 4, 54),
        ("p07", "lost", 2, 240),
        ("p08", "converted", 4, 8),
        ("p09", "converted", 4, 8),
        ("p10", "open", 1, None),
        ("p11", "open", 2, None),
        ("p12", "lost", 1, 240),
        ("p12", "lost", 3, 242),
    ]


def test_funnel_has_both_denominators(lenses: Lenses) -> None:
    rows = lenses.rows(
        "select stage, entered_count, reached_count, advanced_count, lost_count, open_count, shared_rate, step_rate, "
        "lost_before_count from published.journey_stages "
        "where journey = 'buying' and week = 'all' and segment = 'all' order by stage_order"
    )
    assert rows == [
        ("Entered", 14, 14, 10, 3, 1, 1.0, 1.0, None),
        ("Looked", 14, 10, 7, 2, 1, 0.714286, 0.714286, 3),
        ("Chose", 14, 7, 5, 2, 0, 0.5, 0.7, 2),
        ("Bought", 14, 5, 5, 0, 0, 0.357143, 0.714286, 2),
    ]


def test_open_attempts_count_as_long_as_they_were_watched(lenses: Lenses) -> None:
    """Of fourteen who entered, p06 left after a day: 1/14. p10 was watched for 6 days and 14 hours; of the two who were
    left then both are lost on day 10, 3/14 · 2/2. Of ten who looked, p04 left after two hours: 1/10; p11 was watched
    until p07 alone was left: 2/10 · 1/1. Of seven who chose two were lost."""
    rows = lenses.rows(
        "select drop_off_rate from published.journey_stages "
        "where journey = 'buying' and week = 'all' and segment = 'all' order by stage_order"
    )
    assert [rate for (rate,) in rows] == [0.285714, 0.3, 0.285714, 0.0]


def test_waits_to_the_next_stage_count_those_who_never_go_on(lenses: Lenses) -> None:
    """Ten of fourteen went on from the first stage, after 1, 1, 2, 3, 4, 5, 6, 7, 8 and 24 hours: half had by the
    seventh. Five of ten went on from the second at once, as they skipped it, so half had then."""
    rows = lenses.rows(
        "select median_hours_to_next from published.journey_stages "
        "where journey = 'buying' and week = 'all' and segment = 'all' order by stage_order"
    )
    assert [hours for (hours,) in rows] == [6.0, 0.0, 1.0, None]


def test_hours_from_the_previous_stage_leave_out_what_was_out_of_order(lenses: Lenses) -> None:
    """Looks came 1, 4, 5, 6 and 24 hours after entering, and p03's 4; choices of p01 an hour after the look, of p03 an
    hour before it (left out), of p08 and p12, who skipped the look, 7 and 1 after entering."""
    rows = lenses.rows(
        "select median_hours_from_previous from published.journey_stages "
        "where journey = 'buying' and week = 'all' and segment = 'all' order by stage_order"
    )
    assert [hours for (hours,) in rows[:3]] == [None, 4.5, 1.0]


def test_moves_between_stages_skip_and_end(lenses: Lenses) -> None:
    rows = lenses.rows(
        "select from_place, to_place, transition_count, transition_rate from published.journey_transitions "
        "where journey = 'buying' and level = 'stage' and week = 'all' and segment = 'all' "
        "order by from_stage_order nulls first, to_stage_order nulls last, to_place"
    )
    assert rows == [
        ("(start)", "1 Entered", 14, 1.0),
        ("1 Entered", "2 Looked", 5, 0.357143),
        ("1 Entered", "3 Chose", 3, 0.214286),
        ("1 Entered", "4 Bought", 2, 0.142857),
        ("1 Entered", "(lost)", 3, 0.214286),
        ("1 Entered", "(open)", 1, 0.071429),
        ("2 Looked", "3 Chose", 1, 0.2),
        ("2 Looked", "4 Bought", 1, 0.2),
        ("2 Looked", "(lost)", 2, 0.4),
        ("2 Looked", "(open)", 1, 0.2),
        ("3 Chose", "4 Bought", 2, 0.5),
        ("3 Chose", "(lost)", 2, 0.5),
        ("4 Bought", "(converted)", 5, 1.0),
    ]


def test_moves_between_touchpoints_fold_what_is_alike(lenses: Lenses) -> None:
    """Looks and choices are both made at the shelf, entering and leaving both at the door."""
    rows = lenses.rows(
        "select from_step, to_step, transition_count, median_hours from published.journey_transitions "
        "where journey = 'buying' and level = 'touchpoint' and week = 'all' and segment = 'all' "
        "order by from_step, to_step"
    )
    assert rows == [
        ("(start)", "door", 14, None),
        # p05, p06 and p12 from entering to the end, after 240, 24 and 240 hours; p04 and p12 as they leave.
        ("door", "(lost)", 5, 24.0),
        ("door", "(open)", 1, None),
        # p01, p03, p04, p06, p07, p08, p11 and p12, after 1, 3, 4, 5, 6, 7, 24 and 1 hours.
        ("door", "shelf", 8, 4.5),
        # p02 and p09, after 2 and 8 hours.
        ("door", "till", 2, 5.0),
        # p03 and p07 from the shelf to the end of the window, after 237 and 234 hours.
        ("shelf", "(lost)", 2, 235.5),
        ("shelf", "(open)", 1, None),
        # p04 and p12 leave by the door after 2 and 1 hours.
        ("shelf", "door", 2, 1.5),
        # p01, p06 and p08 after 2, 1 and 1 hours.
        ("shelf", "till", 3, 1.0),
        ("till", "(converted)", 5, 0.0),
    ]


def test_effort_counts_steps_returns_and_steps_back(lenses: Lenses) -> None:
    """Steps per attempt: 4, 2, 2, 3, 1, 1, 3, 2, 3, 2, 1, 2, 1 and 3, together 30. p04 and p12 come back to the door,
    and p03 looks after choosing."""
    [(attempts, steps, low, high, repeats, backtracks)] = lenses.rows(
        "select attempt_count, mean_steps, steps_low, steps_high, mean_repeats, mean_backtracks "
        "from published.journey_effort where journey = 'buying' and week = 'all' and segment = 'all' and status = 'all'"
    )
    deviation = math.sqrt(sum((n - 30 / 14) ** 2 for n in (4, 2, 2, 3, 1, 1, 3, 2, 3, 2, 1, 2, 1, 3)) / 13 / 14)
    assert (attempts, steps, repeats, backtracks) == (14, 2.1429, 0.1429, 0.0714)
    assert (low, high) == pytest.approx((30 / 14 - 1.959964 * deviation, 30 / 14 + 1.959964 * deviation), abs=1e-4)


def test_a_single_attempt_has_no_interval(lenses: Lenses) -> None:
    """Of the second week there is only p12, who enters again, chooses and leaves."""
    assert lenses.rows(
        "select attempt_count, mean_steps, steps_low, steps_high from published.journey_effort "
        "where journey = 'buying' and week = '2026-03-09' and segment = 'all' and status = 'all'"
    ) == [(1, 3.0, None, None)]


def test_small_numbers_are_not_ranked(lenses: Lenses) -> None:
    assert lenses.rows(
        "select distinct rank_by_lost, rank_by_step_rate, likely_reason from published.journey_stages "
        "where journey = 'buying'"
    ) == [(None, None, None)]


def test_published_example_shows_both_orders_and_the_waits(lenses: Lenses) -> None:
    """Of 10,000 who entered 95, 78, 52, 34 and 28 % completed each step, with waits of 2 min, 45 min and 4.2 days.

    By people lost first use comes first, then second session, then profile; by step rate the second session does.
    Half a minute is no reason.
    """
    rows = lenses.rows(
        "select stage, shared_rate, step_rate, lost_before_count, rank_by_lost, rank_by_step_rate, likely_reason "
        "from published.journey_stages where journey = 'onboarding' and week = 'all' and segment = 'all' "
        "order by stage_order"
    )
    longest = ", the longest wait of the journey"
    assert rows == [
        ("Signed up", 1.0, 1.0, None, None, None, None),
        ("Account", 0.95, 0.95, 500, 5, 5, None),
        ("Profile", 0.78, 0.821053, 1700, 3, 3, "people wait 2 min before it"),
        ("First use", 0.52, 0.666667, 2600, 1, 2, "people wait 45 min before it"),
        (
            "Second session",
            0.34,
            0.653846,
            1800,
            2,
            1,
            f"people wait 4.2 days before it{longest}",
        ),
        ("Settled", 0.28, 0.823529, 600, 4, 4, "people wait 1.0 h before it"),
    ]


def test_survival_is_that_of_lifelines(lenses: Lenses) -> None:
    expected = _golden("survival_lifelines.csv")
    found = lenses.rows(
        f"select {', '.join(expected[0])} from published.stage_survival where journey = 'golden' and stage_order = 1 "
        "order by day"
    )
    assert len(found) == len(expected) == 31
    for row, golden in zip(found, expected, strict=True):
        for value, (column, text) in zip(row, golden.items(), strict=True):
            # lifelines gives no interval of an incidence at 0, nor at the last time, when its variance is infinite.
            if text:
                assert value == pytest.approx(float(text), abs=1e-6), (column, golden["day"])
    assert sum(bool(text) for golden in expected for text in golden.values()) > 300


def test_survival_is_that_of_lifelines_on_this_machine(lenses: Lenses) -> None:
    lifelines = pytest.importorskip("lifelines", reason="no lifelines here; its golden numbers are compared above")
    people = _golden("survival_people.csv")
    days = [float(row["seconds"]) / 86400 for row in people]
    fitter = lifelines.KaplanMeierFitter().fit(days, [row["way_out"] != "open" for row in people])
    found = lenses.rows("select day, survival_rate from published.stage_survival where journey = 'golden' order by day")
    for day, rate in found:
        assert rate == pytest.approx(fitter.predict(day), abs=1e-6), day


def test_drop_off_is_what_survival_says_at_the_end(lenses: Lenses) -> None:
    last = _golden("survival_lifelines.csv")[-1]
    [(rate, low, high)] = lenses.rows(
        "select drop_off_rate, drop_off_low, drop_off_high from published.journey_stages "
        "where journey = 'golden' and stage_order = 1 and week = 'all' and segment = 'all'"
    )
    assert rate == pytest.approx(float(last["lost_rate"]), abs=1e-6)
    # With 35 of 300 open the interval is wider than that of 300 closed attempts, and narrower than that of 265.
    assert _wilson(rate, 300) < high - low < _wilson(rate, 265)


def _wilson(rate: float, count: int) -> float:
    """Width of Wilson's interval."""
    z = 1.959963984540054
    return 2 * z * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)


def test_ties_leave_one_by_one_in_no_order(lenses: Lenses) -> None:
    """Ten of twenty go on in one instant, the others are lost in one: halves, each with a binomial's variance."""
    rows = lenses.rows(
        "select day, survival_rate, advanced_rate, advanced_low, advanced_high, lost_rate, at_risk_count "
        "from published.stage_survival where journey = 'halves' and day in (0, 1, 10) order by day"
    )
    error = 1.959963984540054 * math.sqrt(0.25 / 20) / (0.5 * math.log(2))
    low, high = 0.5 ** math.exp(error), 0.5 ** math.exp(-error)
    assert rows == [
        (0, 1.0, 0.0, None, None, 0.0, 20),
        (1, 0.5, 0.5, pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6), 0.0, 20),
        (10, 0.0, 0.5, pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6), 0.5, 10),
    ]
    assert lenses.rows(
        "select median_hours_to_next, drop_off_rate from published.journey_stages "
        "where journey = 'halves' and stage_order = 1 and week = 'all'"
    ) == [(24.0, 0.5)]
