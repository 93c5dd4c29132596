"""Touchpoints, contacts at stages and annotations, of five attempts worked out by hand.

All go for ``plan`` (stages Start and Use, ten days) in March 2026, in UTC. A step is written as its touchpoint with the
stage, and lasts one instant where nothing else is said.

- a1 (Ada, by email) met friction on the website on Monday the 2nd at 10:00, came to the product the day after at 10:00,
  chatted at 12:00 in a good mood (0.6) and converted with the product on the 4th at 10:00. On the 5th at 9:00, 23 hours
  later and after the attempt, she wrote a ticket.
- a2 (Ben, by email) came to the website on the 3rd at 10:00, to the product on the 4th at 10:00, rated it 0.5, and was
  last on the website on the 4th at 11:00. The company mailed him on the 6th, and ten days after its start he was lost.
- a3 (Cem, direct) came to the website on the 4th at 10:00, called support on the 5th at 9:00, and cancelled on the 6th.
- a4 (Dan, direct) came to the website on the 10th at 10:00 and converted with the product on the 11th at 12:00.
- a5 (Eve, direct) came to the website on the 31st at 12:00, and is open on that day's evening, 12 hours later.

Ada and Ben are in segment S1. Fay's attempt b1 at ``help`` began with her ticket on the 16th at 10:00, which she opened
for the second time at 15:00 of the same day while its first thread went on.

Three go for ``pay``, on the website alone: Gil was lost ten days after the 10th; Hal converted on the 26th, a day after
his start, and Ida cancelled on the 27th, two days after hers, so that neither's window is over.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from datetime import datetime

import duckdb
import pytest

from dagster_project.predictions import prepare_tables
from dagster_project.settings import DBT_DIR, load_settings
from dagster_project.transform import build
from tests.conftest import Demo
from tests.nights import whole_night

AS_OF = datetime(2026, 3, 31, 23, 59, 59, 999999)
Z = 1.959963984540054
# attempt, person, journey, started, ended, status, week, first channel
ATTEMPTS = [
    ("a1", "ada", "plan", "02 10:00", "04 10:00", "converted", "02", "email"),
    ("a2", "ben", "plan", "03 10:00", "13 10:00", "lost", "02", "email"),
    ("a3", "cem", "plan", "04 10:00", "06 10:00", "lost", "02", "direct"),
    ("a4", "dan", "plan", "10 10:00", "11 12:00", "converted", "09", "direct"),
    ("a5", "eve", "plan", "31 12:00", None, "open", "30", "direct"),
    ("b1", "fay", "help", "16 10:00", "26 10:00", "lost", "16", "support"),
    ("c1", "gil", "pay", "10 10:00", "20 10:00", "lost", "09", "direct"),
    ("c2", "hal", "pay", "25 10:00", "26 10:00", "converted", "23", "direct"),
    ("c3", "ida", "pay", "25 10:00", "27 10:00", "lost", "23", "direct"),
]
# attempt, number, stage, touchpoint, entered, last touched, touches, friction, kind
STEPS = [
    ("a1", 1, 1, "website", "02 10:00", "02 10:05", 2, True, "touch"),
    ("a1", 2, 2, "product", "03 10:00", "03 10:00", 1, False, "touch"),
    ("a1", 3, 2, "chat", "03 12:00", "03 12:00", 1, False, "touch"),
    ("a1", 4, 2, "product", "04 10:00", "04 10:00", 1, False, "end"),
    ("a2", 1, 1, "website", "03 10:00", "03 10:00", 1, False, "touch"),
    ("a2", 2, 2, "product", "04 10:00", "04 10:00", 1, False, "touch"),
    ("a2", 3, 2, "website", "04 11:00", "04 11:00", 1, False, "touch"),
    ("a2", 4, 2, "email", "06 08:00", "06 08:00", 1, False, "company"),
    ("a3", 1, 1, "website", "04 10:00", "04 10:00", 1, False, "touch"),
    ("a3", 2, 1, "support call", "05 09:00", "05 09:00", 1, False, "touch"),
    ("a3", 3, 1, "product", "06 10:00", "06 10:00", 1, False, "end"),
    ("a4", 1, 1, "website", "10 10:00", "10 10:00", 1, False, "touch"),
    ("a4", 2, 2, "product", "11 12:00", "11 12:00", 1, False, "end"),
    ("a5", 1, 1, "website", "31 12:00", "31 12:00", 1, False, "touch"),
    ("b1", 1, 1, "support", "16 10:00", "16 18:00", 4, False, "touch"),
    ("c1", 1, 1, "website", "10 10:00", "10 10:00", 1, False, "touch"),
    ("c2", 1, 1, "website", "25 10:00", "26 10:00", 2, False, "touch"),
    ("c3", 1, 1, "website", "25 10:00", "25 10:00", 1, False, "touch"),
]
# contact, person, channel, when, text
CONTACTS = [
    ("c1", "ada", "chat", "03 12:00", "t1"),
    ("c2", "ada", "ticket", "05 09:00", "t2"),
    ("c3", "cem", "call", "05 09:00", None),
    ("c4", "fay", "ticket", "16 10:00", "t3"),
    ("c5", "fay", "ticket", "16 15:00", None),
    ("c6", None, "call", "05 10:00", None),
]
ANNOTATIONS = [
    ("n1", "plan", "Use", "product", "note", "They look for the export."),
    ("n2", "plan", "", "website", "backstage", "Pages are cached for an hour."),
    ("n3", "plan", "Paying", "", "owner", "Belongs to nobody."),
    ("n4", "plans", "", "", "note", "Misspelt."),
    ("n5", "plan", "Start", "kiosk", "note", "There is none."),
]


def at(moment: str | None) -> str:
    return f"timestamp '2026-03-{moment}'" if moment else "null::timestamp"


def text(value: str | None) -> str:
    return f"'{value}'" if value else "null::varchar"


@pytest.fixture(scope="module")
def lenses(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    folder = tmp_path_factory.mktemp("touchpoints")
    path = folder / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        for schema in ("staging", "timeline", "journeys", "predictions", "published", "ops"):
            connection.execute(f"create schema {schema}")
        prepare_tables(connection)
        connection.execute("insert into predictions.segments values ('S1', 'one', 'First.', '1')")
        connection.execute(
            "insert into predictions.segment_history values ('ada', 'S1', '2026-03-02', null), "
            "('ben', 'S1', '2026-03-02', null)"
        )
        rows = [
            f"('{attempt}', '{person}', '{journey}', {at(started)}, {at(started)} + interval 10 day, {at(ended)}, "
            f"'{status}', date '2026-03-{week}', '{channel}', timestamp '{AS_OF}')"
            for attempt, person, journey, started, ended, status, week, channel in ATTEMPTS
        ]
        connection.execute(
            f"create table journeys.attempts as from (values {', '.join(rows)}) t(attempt_id, person_id, journey, "
            "started_at, deadline_at, ended_at, status, week_start_date, first_channel, watched_until_at)"
        )
        connection.execute("create table journeys.attempt_spans as from journeys.attempts")
        rows = [
            f"('{attempt}', {number}, {stage}, '{touchpoint}', {at(entered)}, {at(last)}, {touches}, {friction}, "
            f"'{kind}')"
            for attempt, number, stage, touchpoint, entered, last, touches, friction, kind in STEPS
        ]
        connection.execute(
            f"create table journeys.steps as from (values {', '.join(rows)}) t(attempt_id, step_number, stage_order, "
            "touchpoint, entered_at, last_touched_at, touch_count, is_friction, step_kind)"
        )
        connection.execute(
            "create table journeys.attempt_events as from (values ('a1', 2, 'chat', 't1', null::double), "
            "('a2', 2, 'product', null, 0.5), ('b1', 1, 'support', 't3', null)) "
            "t(attempt_id, stage_order, touchpoint, text_id, rating)"
        )
        connection.execute(
            "create table timeline.message_signals as from (values ('t1', 0.6::double), ('t2', -0.5), ('t3', -0.2)) "
            "t(text_id, compound)"
        )
        rows = [
            f"('{contact}', {text(person)}, '{channel}', {at(when)}, {text(words)})"
            for contact, person, channel, when, words in CONTACTS
        ]
        connection.execute(
            f"create table journeys.support_contacts as select *, timestamp '{AS_OF}' as watched_until_at "
            f"from (values {', '.join(rows)}) t(contact_id, person_id, channel, contacted_at, text_id)"
        )
        connection.execute(
            "create table staging.journey_stages as from (values ('plan', 1, 'Start'), ('plan', 2, 'Use'), "
            "('help', 1, 'Asked'), ('pay', 1, 'Billed')) t(journey, stage_order, stage)"
        )
        connection.execute("create table staging.journeys as select distinct journey from staging.journey_stages")
        connection.execute("create table staging.event_taxonomy as select distinct touchpoint from journeys.steps")
        rows = [
            f"('{name}', '{journey}', {text(stage)}, {text(touchpoint)}, '{kind}', '{words}', 'Research', "
            "date '2026-03-01')"
            for name, journey, stage, touchpoint, kind, words in ANNOTATIONS
        ]
        connection.execute(
            f"create table staging.annotations as from (values {', '.join(rows)}) t(annotation_id, journey, stage, "
            "touchpoint, kind, text, author, said_on)"
        )
        # Of the stages only how many came there is read here.
        connection.execute(
            "create table published.journey_stages as select distinct journey, week, segment, stage_order, stage, 5 as "
            "entered_count, case stage_order when 1 then 5 else 3 end as reached_count from staging.journey_stages, "
            "(select unnest(['all', '2026-03-02', '2026-03-16']) as week), (select unnest(['all', 'S1', 'unassigned']) "
            "as segment)"
        )
    models = ["attempt_segments", "stage_touchpoints", "touchpoints", "stage_contacts", "journey_annotations"]
    results = build(
        load_settings({"THROUGHLINE_DATA": str(folder)}),
        night=whole_night(AS_OF),
        nodes=[f"model.throughline.{model}" for model in models],
    )
    assert {result.unique_id: result.message for result in results if not result.is_built} == {}
    assert len(results) == len(models)
    return duckdb.connect(str(path), read_only=True)


def found(lenses: duckdb.DuckDBPyConnection, table: str, columns: str, **where: object) -> list[tuple]:
    named: Mapping[str, object] = {"week": "all", **where}
    return lenses.execute(
        f"select {columns} from published.{table} where {' and '.join(f'{name} = ?' for name in named)} order by all",
        list(named.values()),
    ).fetchall()


def test_touchpoint_of_a_stage_counts_attempts_and_what_became_of_them(lenses: duckdb.DuckDBPyConnection) -> None:
    """Five come to the website at the start: two convert, two are lost, Eve is open and in no denominator."""
    columns = "touch_count, attempt_count, converted_count, lost_count, conversion_rate, friction_rate"
    assert found(lenses, "stage_touchpoints", columns, journey="plan", segment="all", stage_order=1) == [
        (1, 1, 0, 1, 0.0, 0.0),  # The product, where Cem cancelled.
        (1, 1, 0, 1, 0.0, 0.0),  # The support call.
        (6, 5, 2, 2, 0.5, 0.2),
    ]
    assert found(
        lenses, "stage_touchpoints", f"touchpoint, {columns}", journey="plan", segment="all", stage_order=2
    ) == [
        ("chat", 1, 1, 1, 0, 1.0, 0.0),
        ("email", 1, 1, 0, 1, 0.0, 0.0),
        # Ada twice, Ben and Dan.
        ("product", 4, 3, 2, 1, 0.666667, 0.0),
        ("website", 1, 1, 0, 1, 0.0, 0.0),
    ]


def test_lost_attempt_leaves_after_its_own_last_touch(lenses: duckdb.DuckDBPyConnection) -> None:
    """Ben leaves after the website, though the company mailed him; Cem after the call, though cancelling came last."""
    rows = found(
        lenses,
        "stage_touchpoints",
        "stage_order, touchpoint, left_count, drop_off_after_rate",
        journey="plan",
        segment="all",
    )
    assert [row for row in rows if row[2]] == [(1, "support call", 1, 1.0), (2, "website", 1, 1.0)]
    assert found(lenses, "touchpoints", "left_count, drop_off_after_rate", journey="plan", touchpoint="website") == [
        (0, 0.0),  # direct: Cem, Dan and Eve
        (1, 0.25),  # all: of Ada, Ben, Cem and Dan
        (1, 0.5),  # email: of Ada and Ben
    ]


def test_rates_are_of_attempts_whose_window_is_over(lenses: duckdb.DuckDBPyConnection) -> None:
    """Of Gil alone: Hal converted and Ida was lost while others of their week could still do either."""
    rates = "conversion_rate, conversion_low, conversion_high, drop_off_after_rate, drop_off_after_low"
    counts = "attempt_count, converted_count, lost_count, left_count, closed_count"
    [(*told, rate, low, high, dropped, dropped_low)] = found(
        lenses, "stage_touchpoints", f"{counts}, {rates}", journey="pay", segment="all"
    )
    assert told == [3, 1, 2, 2, 1]
    assert (rate, low, dropped) == (0.0, 0.0, 1.0)
    assert (high, dropped_low) == pytest.approx((Z**2 / (1 + Z**2), 1 / (1 + Z**2)), abs=1e-6)
    assert found(
        lenses, "stage_touchpoints", f"{counts}, {rates}", journey="pay", segment="all", week="2026-03-23"
    ) == [(2, 1, 1, 1, 0, None, None, None, None, None)]

    counts = "attempt_count, left_count, closed_count, drop_off_after_rate"
    assert found(lenses, "touchpoints", counts, journey="pay", channel="all") == [(3, 2, 1, 1.0)]
    assert found(lenses, "touchpoints", counts, journey="pay", channel="all", week="2026-03-23") == [(2, 1, 0, None)]


def test_intervals_are_wilsons(lenses: duckdb.DuckDBPyConnection) -> None:
    """Two of four convert: (2 + z²/2 ± z·sqrt(1 + z²/4)) / (4 + z²)."""
    [(low, high)] = found(
        lenses,
        "stage_touchpoints",
        "conversion_low, conversion_high",
        journey="plan",
        segment="all",
        stage_order=1,
        touchpoint="website",
    )
    half = Z * math.sqrt(1 + Z**2 / 4)
    assert low == pytest.approx((2 + Z**2 / 2 - half) / (4 + Z**2), abs=1e-6)
    assert high == pytest.approx((2 + Z**2 / 2 + half) / (4 + Z**2), abs=1e-6)


def test_each_touchpoint_has_its_weeks_and_segments(lenses: duckdb.DuckDBPyConnection) -> None:
    rows = lenses.execute(
        "select week, week_start_date::varchar, segment, attempt_count from published.stage_touchpoints "
        "where journey = 'plan' and stage_order = 1 and touchpoint = 'website' order by all"
    ).fetchall()
    assert rows == [
        ("2026-03-02", "2026-03-02", "S1", 2),
        ("2026-03-02", "2026-03-02", "all", 3),
        ("2026-03-02", "2026-03-02", "unassigned", 1),
        ("2026-03-09", "2026-03-09", "all", 1),
        ("2026-03-09", "2026-03-09", "unassigned", 1),
        ("2026-03-30", "2026-03-30", "all", 1),
        ("2026-03-30", "2026-03-30", "unassigned", 1),
        ("all", None, "S1", 2),
        ("all", None, "all", 5),
        ("all", None, "unassigned", 3),
    ]


def test_touchpoint_of_a_journey_counts_an_attempt_once_whatever_the_stages(lenses: duckdb.DuckDBPyConnection) -> None:
    """Ben is on the website at both stages; the channel is that of the attempt's first touch."""
    columns = "channel, touch_count, attempt_count, friction_rate"
    assert found(lenses, "touchpoints", columns, journey="plan", touchpoint="website") == [
        ("all", 7, 5, 0.2),
        ("direct", 3, 3, 0.0),
        ("email", 4, 2, 0.5),
    ]


def test_mood_and_ratings_stand_where_they_were_given(lenses: duckdb.DuckDBPyConnection) -> None:
    """A mood of 0.6 between -1 and 1 is 80 of 100; a rating of 0.5 is 50."""
    columns = "touchpoint, message_count, sentiment_score, rating_count, rating_score"
    assert found(lenses, "stage_touchpoints", columns, journey="plan", segment="all", stage_order=2) == [
        ("chat", 1, 80.0, 0, None),
        ("email", 0, None, 0, None),
        ("product", 0, None, 1, 50.0),
        ("website", 0, None, 0, None),
    ]


def test_contact_within_a_day_follows_a_touch(lenses: duckdb.DuckDBPyConnection) -> None:
    """Ada chats two hours after the product, and writes 23 hours after her last visit there, when the attempt is over.

    Cem calls 23 hours after the website. Ada's chat 25 hours and 55 minutes after the website follows nothing, and Eve
    was there too late to say: one of four.
    """
    rows = found(lenses, "stage_touchpoints", "stage_order, touchpoint, contact_rate", journey="plan", segment="all")
    assert rows == [
        (1, "product", 0.0),
        (1, "support call", 0.0),
        (1, "website", 0.25),
        (2, "chat", 0.0),
        (2, "email", 0.0),
        (2, "product", 0.333333),
        (2, "website", 0.0),
    ]
    # Eve is all there is of her week.
    assert found(lenses, "stage_touchpoints", "contact_rate", week="2026-03-30", segment="all") == [(None,)]


def test_contact_belongs_to_the_last_touch_before_it(lenses: duckdb.DuckDBPyConnection) -> None:
    columns = "stage_order, touchpoint, channel, contact_count, asking_attempt_count, attempt_count, contact_rate"
    rows = found(lenses, "stage_contacts", f"{columns}, median_hours_after", journey="plan", segment="all")
    assert rows == [
        (1, "all", "all", 1, 1, 5, 0.2, 23.0),
        (1, "all", "call", 1, 1, 5, 0.2, 23.0),
        (1, "website", "all", 1, 1, 5, 0.2, 23.0),
        (1, "website", "call", 1, 1, 5, 0.2, 23.0),
        (2, "all", "all", 1, 1, 3, 0.333333, 2.0),
        (2, "all", "chat", 1, 1, 3, 0.333333, 2.0),
        (2, "product", "all", 1, 1, 3, 0.333333, 2.0),
        (2, "product", "chat", 1, 1, 3, 0.333333, 2.0),
    ]
    assert found(lenses, "stage_contacts", "sentiment_score", segment="S1", touchpoint="product", channel="chat") == [
        (80.0,)
    ]


def test_contact_may_start_an_attempt_or_fall_into_a_visit(lenses: duckdb.DuckDBPyConnection) -> None:
    """Fay's first ticket began the attempt; at her second the first thread went on, so no time had passed since."""
    columns = "touchpoint, contact_count, asking_attempt_count, attempt_count, median_hours_after, sentiment_score"
    assert found(lenses, "stage_contacts", columns, journey="help", segment="all", channel="ticket") == [
        ("(start)", 1, 1, 5, None, 40.0),
        ("all", 2, 1, 5, 0.0, 40.0),
        ("support", 1, 1, 1, 0.0, None),
    ]


def test_annotation_that_is_pinned_to_nothing_says_so(lenses: duckdb.DuckDBPyConnection) -> None:
    assert dict(lenses.execute("select annotation_id, problem from published.journey_annotations").fetchall()) == {
        "n1": None,
        "n2": None,
        "n3": 'The journey "plan" has no stage "Paying" in the seed journey_stages.',
        "n4": 'There is no journey "plans" in the seed journeys.',
        "n5": 'No event of the seed event_taxonomy is of the touchpoint "kiosk".',
    }


def test_annotations_of_the_project_are_all_pinned(demo: Demo) -> None:
    with (DBT_DIR / "seeds" / "annotations.csv").open(newline="") as file:
        written = sorted(row["annotation_id"] for row in csv.DictReader(file))
    with duckdb.connect(str(demo.settings.data / "warehouse.duckdb"), read_only=True) as connection:
        pinned = connection.execute(
            "select annotation_id from published.journey_annotations where problem is null order by 1"
        ).fetchall()
    assert [name for (name,) in pinned] == written


def test_touches_and_losses_of_the_demo_are_all_there_once(demo: Demo) -> None:
    """Touches add up to those of the attempts, and every lost attempt leaves after one touchpoint of one stage."""
    with duckdb.connect(str(demo.settings.data / "warehouse.duckdb"), read_only=True) as connection:
        expected = connection.execute(
            "select journey, sum(touch_count), count(*) filter (status = 'lost') from published.journey_attempts "
            "group by journey order by journey"
        ).fetchall()
        assert len(expected) == 9
        for slices in (
            "week = 'all' and segment = 'all'",
            "week <> 'all' and segment = 'all'",
            "week = 'all' and segment <> 'all'",
        ):
            assert (
                connection.execute(
                    "select journey, sum(touch_count), sum(left_count) from published.stage_touchpoints "
                    f"where {slices} group by journey order by journey"
                ).fetchall()
                == expected
            )
        for slices in ("week = 'all' and channel = 'all'", "week <> 'all' and channel <> 'all'"):
            assert (
                connection.execute(
                    "select journey, sum(touch_count), sum(left_count) from published.touchpoints "
                    f"where {slices} group by journey order by journey"
                ).fetchall()
                == expected
            )
