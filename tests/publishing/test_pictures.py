"""Pictures: what they show comes from the published tables, and no data is no error."""

from __future__ import annotations

import base64
from datetime import date, timedelta

import duckdb
import pytest
from matplotlib.axes import Axes

from dagster_project.publishing.pictures import (
    as_markdown,
    draw_arrivals,
    draw_calibration,
    draw_funnels,
    draw_health,
    draw_health_by_segment,
    draw_map,
    draw_match_weights,
    draw_person_sizes,
    draw_segments,
    draw_survival,
    list_problems,
    list_survivorship,
)
from tests.publishing.journey_tables import STAGES, make_tables

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    """Published tables of two journeys, with splits that a picture must leave out."""
    connection = duckdb.connect()
    connection.execute("create schema published")
    connection.execute(
        """
        create table published.journey_stages as
        from (values
            ('trial', 'all', 'all', 1, 'Started', 200, 1.0),
            ('trial', 'all', 'all', 2, 'Paid', 50, 0.25),
            ('trial', '2026-01-05', 'all', 2, 'Paid', 7, 0.5),
            ('support', 'all', 'all', 1, 'Asked', 0, null)
        ) as stages(journey, week, segment, stage_order, stage, reached_count, shared_rate)
        """
    )
    connection.execute(
        """
        create table published.journey_health_scores (
            journey varchar, week_start_date date, segment varchar, channel varchar, health_score double,
            health_low double, health_high double, status varchar
        )
        """
    )
    for week in range(40):
        day = date(2026, 1, 5) + timedelta(weeks=week)
        status = "degraded" if week == 39 else "healthy"
        for channel, score in (("all", 70.0), ("email", 10.0)):
            connection.execute(
                "insert into published.journey_health_scores values ('trial', ?, 'all', ?, ?, 60, 80, ?)",
                [day, channel, score, status],
            )
    return connection


@pytest.fixture
def segments(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Two segments, the second too small for a status in any week."""
    connection.execute("create schema predictions")
    connection.execute(
        "create table predictions.segments as from (values ('S1', 'planners'), ('S2', 'few')) as s(segment, name)"
    )
    for segment, status in (("S1", "degraded"), ("S2", None), ("unassigned", "healthy")):
        connection.execute(
            "insert into published.journey_health_scores values ('trial', '2026-10-05', ?, 'all', 52, 40, 60, ?)",
            [segment, status],
        )
    connection.execute(
        """
        create table published.customer_segments (
            segment varchar, name varchar, customer_count bigint, conversion_rate double, conversion_low double,
            conversion_high double, value_amount decimal(18, 2), value_currency varchar
        );
        insert into published.customer_segments values
            ('S1', 'planners', 30, 0.5, 0.332, 0.668, 12.5, 'USD'),
            ('S2', 'few', 0, null, null, null, null, null),
            ('unassigned', 'Unassigned', 90, 0.0, 0.0, 0.041, null, null)
        """
    )
    return connection


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Words written while drawing."""
    found: list[str] = []
    original = Axes.annotate

    def heard(self: Axes, text: str, *args: object, **options: object) -> object:
        found.append(text)
        return original(self, text, *args, **options)

    monkeypatch.setattr(Axes, "annotate", heard)
    return found


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles set while drawing."""
    found: list[str] = []
    original = Axes.set_title

    def heard(self: Axes, label: str, *args: object, **options: object) -> object:
        found.append(label)
        return original(self, label, *args, **options)

    monkeypatch.setattr(Axes, "set_title", heard)
    return found


def test_the_map_shows_stages_touchpoints_and_friction_that_are_there(said: list[str], titles: list[str]) -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema published")
        make_tables(connection)
        assert draw_map(connection).startswith(PNG)
        # 4,232 of 11,040: three quarters in seven weeks and half in one go on at each of three steps.
        assert any(title == "checkout: 38% reach “Bought”, most are lost after “Checkout started”" for title in titles)
        assert "Checkout started\n11,040 · 100%" in said and "checkout 22,080, 33% lost" in said
        # Two frictions are ranked, the third is too small; they are pinned in both journeys that have a value or none.
        assert sorted(each for each in said if each in ("1", "2", "3")) == ["1", "1", "2", "2"]
        for table in ("stage_touchpoints", "journey_transitions", "friction_points"):
            connection.execute(f"drop table published.{table}")
        said.clear()
        assert draw_map(connection).startswith(PNG)
        assert len(said) == len([stage for stages in STAGES.values() for stage in stages]) + 2
        connection.execute("delete from published.journey_stages")
        said.clear()
        draw_map(connection)
    assert said == ["No journey has data yet."]


def test_a_funnel_says_how_many_reach_the_end(connection: duckdb.DuckDBPyConnection, titles: list[str]) -> None:
    assert draw_funnels(connection).startswith(PNG)
    assert "trial: 25% reach “Paid”" in titles


def test_curves_say_how_many_go_on_and_where_most_are_lost(
    connection: duckdb.DuckDBPyConnection, said: list[str], titles: list[str]
) -> None:
    connection.execute(
        """
        create table published.stage_survival as from (values
            ('trial', 1, 'Started', 0, 0.0::double, null, null, 0.0::double, null::double, null::double, 1200),
            ('trial', 1, 'Started', 30, 0.75, 0.7, 0.8, 0.2, 0.15, 0.25, 9),
            ('trial', 2, 'Used', 0, 0.0, null, null, 0.0, null, null, 900),
            ('trial', 2, 'Used', 30, 0.5, 0.45, 0.55, 0.46, 0.4, 0.52, 0),
            ('support', 1, 'Asked', 0, 0.0, null, null, 0.0, null, null, 7),
            ('support', 1, 'Asked', 1, 1.0, null, null, 0.0, null, null, 0)
        ) as curves(
            journey, stage_order, stage, day, advanced_rate, advanced_low, advanced_high, lost_rate, lost_low,
            lost_high, at_risk_count
        )
        """
    )
    picture = draw_survival(connection)
    assert picture.startswith(PNG)
    assert titles == [
        "support: nobody is lost within 1 day",
        "trial: “Used” loses most, 46% within 30 days (40% to 52%)",
    ]
    assert said == [
        *("100% go on", "0% lost", "Asked · 7"),
        *("75% go on", "20% lost", "Started · 1,200"),
        *("50% go on", "46% lost", "Used · 900"),
    ]
    assert draw_survival(connection) == picture
    connection.execute("delete from published.stage_survival")
    draw_survival(connection)
    assert said[-1] == "No journey has data yet."


def test_of_many_journeys_the_curves_are_those_that_most_people_enter(
    connection: duckdb.DuckDBPyConnection, titles: list[str]
) -> None:
    """Twenty journeys: the higher its number, the more enter one, and the fewer come to its second stage."""
    connection.execute(
        """
        create table published.stage_survival as
        select
            format('journey {:02d}', number) as journey, stage_order, 'Stage' as stage, day, 0::double as advanced_rate,
            null::double as advanced_low, null::double as advanced_high, 0::double as lost_rate,
            null::double as lost_low, null::double as lost_high,
            if(stage_order = 1, 1000 + number, 100 - number) as at_risk_count
        from range(20) as journeys(number), range(1, 3) as stages(stage_order), range(8) as days(day)
        """
    )
    assert draw_survival(connection).startswith(PNG)
    assert titles == [f"journey {number:02d}: nobody is lost within 7 days" for number in range(8, 20)]


def test_a_trend_says_the_last_score_and_the_degraded_weeks(
    connection: duckdb.DuckDBPyConnection, titles: list[str]
) -> None:
    assert draw_health(connection).startswith(PNG)
    assert titles == ["trial: health 70 in the week of 2026-10-05, 1 degraded week"]


def test_health_of_a_segment_stands_beside_everybodys(
    segments: duckdb.DuckDBPyConnection, said: list[str], titles: list[str]
) -> None:
    assert draw_health_by_segment(segments).startswith(PNG)
    assert titles == ["Health by segment, weeks of 2026-07-13 to 2026-10-05 (grey: everybody)"]
    assert said == ["52", "too few", "52"]


def test_segments_tell_their_size_and_what_came_of_them(segments: duckdb.DuckDBPyConnection, said: list[str]) -> None:
    assert draw_segments(segments).startswith(PNG)
    assert said == [" 30 · 25%", " 50%; 12 USD each", " 0 · 0%", " 90 · 75%", " 0%"]


def test_without_segments_their_pictures_say_so(segments: duckdb.DuckDBPyConnection, said: list[str]) -> None:
    segments.execute("delete from predictions.segments; delete from published.customer_segments")
    assert draw_health_by_segment(segments).startswith(PNG)
    assert draw_segments(segments).startswith(PNG)
    assert said == ["There are no segments yet."] * 3


def test_calibration_is_shown_of_the_model_that_scores(
    connection: duckdb.DuckDBPyConnection, said: list[str], titles: list[str]
) -> None:
    connection.execute(
        """
        create table published.model_cards as from (values
            ('pays', '1', false, 0.7, 0.6, 0.8), ('pays', '2', true, 0.8, 0.76, 0.84),
            ('segments', '1', true, null, null, null)
        ) as cards(model, model_version, is_champion, auc, auc_low, auc_high);
        create table published.model_diagnostics as from (values
            ('pays', '2', 'calibration', 1, 0.1::double, 0.12::double, 0.05::double, 0.2::double),
            ('pays', '2', 'calibration', 2, 0.4, 0.35, 0.3, 0.4),
            ('pays', '2', 'drift', 1, null, 0.1, null, null)
        ) as bins(model, model_version, measure, bucket_order, expected, observed, low, high)
        """
    )
    assert draw_calibration(connection).startswith(PNG)
    assert titles == ["pays, version 2: AUC 0.80 (0.76 to 0.84)"]
    connection.execute("delete from published.model_cards")
    assert draw_calibration(connection).startswith(PNG)
    assert said == ["as foretold ", "No model scores yet."]


def test_no_data_gives_a_picture_that_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("delete from published.journey_stages")
    connection.execute("delete from published.journey_health_scores")
    assert draw_funnels(connection).startswith(PNG)
    assert draw_health(connection).startswith(PNG)


def test_markdown_holds_the_picture_and_its_words() -> None:
    text = as_markdown(PNG, alt="Funnel per journey")
    assert text.startswith("![Funnel per journey](data:image/png;base64,")
    assert base64.b64decode(text.split("base64,")[1].rstrip(")")) == PNG


def test_problems_are_listed_with_their_finding(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        create table published.data_quality as
        select * replace (value::double as value) from (values
            ('stage', 'trial/Paid', 'sources_seeing', 'all', 0, 0.0, 'sources', true, 'no delivered event tells of it'),
            ('table', 'a/b', 'rows', 'all', 0, 7.0, 'rows', false, null),
            ('table', 'a/b', 'quarantined_rows_by_reason', 'the row is a | b', 0, 1200.0, 'rows', true, null)
        ) as quality(subject_type, subject, measure, bucket, bucket_order, value, unit, is_problem, detail)
        """
    )
    assert list_problems(connection).splitlines() == [
        "2 to look at",
        "",
        "| where | what | | how much | |",
        "|---|---|---|---:|---|",
        "| a/b | quarantined rows by reason | the row is a / b | 1,200 rows |  |",
        "| trial/Paid | sources seeing |  | 0 sources | no delivered event tells of it |",
    ]
    connection.execute("delete from published.data_quality where is_problem")
    assert list_problems(connection).startswith("Nothing to look at")


def test_arrivals_say_how_much_and_how_late(connection: duckdb.DuckDBPyConnection, said: list[str]) -> None:
    connection.execute(
        """
        create table published.data_quality as
        select * replace (value::double as value, share_rate::double as share_rate) from (values
            ('a/b', 'rows_by_week', '2026-01-05', 0, date '2026-01-05', 1200.0, null),
            ('a/b', 'rows_by_week', '2026-01-12', 0, date '2026-01-12', 7.0, null),
            ('a/b', 'events_by_delay', 'within an hour', 1, null, 3.0, 0.75),
            ('a/b', 'events_by_delay', 'later than 30 days', 2, null, 1.0, 0.25),
            ('a/b', 'rows', 'all', 0, null, 1207.0, null),
            ('c/d', 'rows_by_week', '2026-01-05', 0, date '2026-01-05', 2.0, null)
        ) as quality(subject, measure, bucket, bucket_order, from_date, value, share_rate)
        """
    )
    assert draw_arrivals(connection).startswith(PNG)
    assert said == [
        "a/b: up to 1,200 rows a week, last week 7",
        "75.0%",
        "25.0%",
        "c/d: up to 2 rows a week, last week 2",
    ]
    connection.execute("delete from published.data_quality")
    assert draw_arrivals(connection).startswith(PNG)


IDENTITY_COLUMNS = "subject, measure, bucket, bucket_order, value, share_rate, value_low, value_high"


def test_sizes_of_persons_are_all_written_out(
    connection: duckdb.DuckDBPyConnection, said: list[str], titles: list[str]
) -> None:
    connection.execute(
        f"""
        create table published.identity_quality as
        select * replace (value::double as value, share_rate::double as share_rate) from (values
            ('all', 'persons_by_identifiers', '1', 1, 1200, 0.75, null, null),
            ('all', 'persons_by_identifiers', '2', 2, 400, 0.25, null, null),
            ('all', 'persons_by_identifiers', '51 and more', 3, 0, 0.0, null, null),
            ('all', 'persons', 'all', 0, 1600, null, null, null)
        ) as quality({IDENTITY_COLUMNS})
        """
    )
    assert draw_person_sizes(connection).startswith(PNG)
    assert said == ["1,200\n75.0%", "400\n25.0%", "0"]
    assert titles == ["1,600 persons by how many identifiers they hold"]
    connection.execute("update published.identity_quality set value = 0")
    assert draw_person_sizes(connection).startswith(PNG)
    assert said[-1] == "There are no persons yet."


def test_the_survivorship_report_sets_the_identities_side_by_side(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"""
        create table published.identity_quality as
        select * replace (value::double as value) from (values
            ('trial', 'entered', 'raw device', 1, 1200, null, null, null),
            ('trial', 'entered', 'fully stitched', 3, 6, null, null, null),
            ('trial', 'conversion_rate', 'raw device', 1, 0.3, 0.3, 0.27, 0.33),
            ('trial', 'conversion_rate', 'fully stitched', 3, 0.5, 0.5, 0.188, 0.812),
            ('trial', 'median_events_before', 'raw device', 1, 3, null, null, null),
            ('trial', 'median_days_before', 'raw device', 1, 1.25, null, null, null)
        ) as quality({IDENTITY_COLUMNS})
        """
    )
    assert list_survivorship(connection).splitlines()[2:] == [
        "| journey | identity | entered | converted | 95 % | events before (median) | days before (median) |",
        "|---|---|---:|---:|---|---:|---:|",
        "| trial | raw device | 1,200 | 30.0% | 27.0% to 33.0% | 3 | 1.2 |",
        "| trial | fully stitched | 6 | 50.0% | 18.8% to 81.2% | - | - |",
    ]
    connection.execute("delete from published.identity_quality")
    assert list_survivorship(connection) == "No journey has been watched for its whole window yet."


def test_match_weights_say_in_bits_what_tells_most(
    connection: duckdb.DuckDBPyConnection, said: list[str], titles: list[str]
) -> None:
    """Ten bits are a factor of 1,024; without a model the picture says so."""
    connection.execute("create schema ops")
    connection.execute(
        """
        create table ops.match_weights as
        from (values
            ('given_name', 2, 'another', 0.05, 0.8, -4.0), ('given_name', 1, 'the same', 0.9, 0.1, 3.17),
            ('birth_date', 1, 'the same', 0.9, 0.0009, 10.0)
        ) as weights(comparison, level_order, level, m_probability, u_probability, match_weight)
        """
    )
    assert draw_match_weights(connection).startswith(PNG)
    assert [one.strip() for one in said] == ["+10.0 bits", "+3.2 bits", "-4.0 bits"]
    assert titles == ["“birth date: the same” tells most: odds of one person × 1,024"]
    connection.execute("delete from ops.match_weights")
    assert draw_match_weights(connection).startswith(PNG)
    assert said[-1] == "No profiles were compared."
