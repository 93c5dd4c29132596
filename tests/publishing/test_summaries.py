"""Models, scores and segments in lines: what is published, aligned, and nothing where there is nothing."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from dagster_project.publishing.summaries import (
    WIDTH,
    tell_cards,
    tell_identity,
    tell_journeys,
    tell_models,
    tell_segments,
)

TONIGHT = date(2026, 7, 1)
CARDS = """
    create table model_cards (
        model varchar, model_version varchar, kind varchar, target varchar, algorithm varchar, is_champion boolean,
        decision varchar, trained_as_of timestamp, training_from date, training_to date, holdout_from date,
        holdout_to date, row_count bigint, positive_count bigint, holdout_row_count bigint,
        holdout_positive_count bigint, auc double, auc_low double, auc_high double, pr_auc double, brier double,
        log_loss double, threshold double, precision_at_threshold double, recall_at_threshold double,
        calibration_slope double, calibration_slope_low double, calibration_slope_high double,
        calibration_intercept double, segment_count integer, segment_stability double, drift_psi double,
        drift_feature varchar, feature_count integer, data_version varchar, artifact_sha256 varchar, version_id varchar
    )
"""
SCORES = "create table customer_scores (person_id varchar, target varchar, snapshot_date date, version_id varchar)"
SEGMENTS = """
    create table customer_segments (
        segment varchar, name varchar, customer_count bigint, conversion_rate double, version_id varchar
    )
"""
ATTEMPTS = "create table journey_attempts (journey varchar, person_id varchar, status varchar, version_id varchar)"
CHAMPION = {
    "model": "pays_within_14_days",
    "model_version": "9",
    "kind": "propensity",
    "target": "pays_within_14_days",
    "algorithm": "gradient boosting",
    "is_champion": True,
    "decision": "better than version 8 by 0.0121 in log loss (0.0043 to 0.0199).",
    "trained_as_of": "2026-06-29 23:59:59",
    "row_count": 1234567,
    "positive_count": 123456,
    "auc": 0.8124,
    "auc_low": 0.79,
    "auc_high": 0.8349,
    "pr_auc": 0.41,
    "brier": 0.0808,
    "threshold": 0.23,
    "precision_at_threshold": 0.4,
    "recall_at_threshold": 0.55,
    "calibration_slope": 1.02,
    "calibration_slope_low": 0.931,
    "calibration_slope_high": 1.109,
    "drift_psi": 0.08,
    "drift_feature": "tickets_28_days",
}


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for table in (CARDS, SCORES, SEGMENTS, ATTEMPTS):
        connection.execute(table)
    return connection


def add(connection: duckdb.DuckDBPyConnection, **given: object) -> None:
    card = CHAMPION | given
    connection.execute(
        f"insert into model_cards by name select {', '.join(f'? as {name}' for name in card)}", list(card.values())
    )


def test_nothing_is_told_of_absent_or_empty_tables(connection: duckdb.DuckDBPyConnection) -> None:
    for empty in (duckdb.connect(), connection):
        assert tell_cards(empty) == tell_models(empty, tonight=TONIGHT) == tell_segments(empty) == []
        assert tell_identity(empty) == tell_journeys(empty) == []


def test_cards_tell_each_version_latest_first_and_the_champion_always(connection: duckdb.DuckDBPyConnection) -> None:
    add(connection)
    for version in range(10, 15):
        add(connection, model_version=str(version), is_champion=False, decision=f"Not better than version {version}.")
    add(connection, model="segments", kind="segments", model_version="2", target=None, segment_count=4, threshold=None)
    connection.execute("update model_cards set segment_stability = 0.971, drift_psi = null where kind = 'segments'")
    lines = tell_cards(connection)
    assert max(map(len, lines)) <= WIDTH
    assert lines[0] == "pays_within_14_days"
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["14", "13", "12", "9", "2"]
    at = lines.index(next(line for line in lines if line.startswith("9 champion")))
    figures = "9 champion 2026-06-29 1,234,567 123,456 0.81 0.79 to 0.83 0.41 0.081 1.02 0.93 to 1.11"
    assert " ".join(lines[at].split()) == figures
    assert [line.strip() for line in lines[at + 1 : at + 4]] == [
        "Gradient boosting; at 0.23 precision 0.40, recall 0.55; drift 0.08 in tickets_28_days",
        "Better than version 8 by 0.0121 in log loss (0.0043 to 0.0199).",
        "and 2 earlier versions (--all shows them)",
    ]
    # Numbers end where their heads end.
    head = lines[1]
    for word, cell in (("rows", "1,234,567"), ("positives", "123,456"), ("Brier", "0.081"), ("slope", "1.02")):
        assert head.index(word) + len(word) == lines[at].index(cell) + len(cell)
    segments = lines[lines.index("segments") + 1 :]
    assert segments[0].split() == ["version", "trained", "people", "segments", "stability"]
    assert segments[1].split() == ["2", "champion", "2026-06-29", "1,234,567", "4", "0.97"]
    assert len([line for line in tell_cards(connection, is_all=True) if line[:1].isdigit()]) == 7


def test_a_card_of_nothing_but_a_decision_is_told_without_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    skipped = "Skipped: 12 of 34,000 rows are positive, fewer than 50."
    nothing = {name: None for name in CHAMPION if name not in ("model", "kind", "target", "decision", "is_champion")}
    add(connection, **nothing, is_champion=False, decision=skipped)
    assert [line.strip() for line in tell_cards(connection)[3:]] == [skipped]
    assert "None" not in "\n".join(tell_cards(connection) + tell_models(connection, tonight=TONIGHT))
    assert tell_models(connection, tonight=TONIGHT)[1:] == [
        "pays_within_14_days" + " " * 16 + "-      -                    -                 -                 -",
        f"  pays_within_14_days: {skipped}",
    ]


def test_models_tell_the_champion_its_scores_and_why_others_do_not_score(connection: duckdb.DuckDBPyConnection) -> None:
    add(connection)
    add(connection, model_version="10", is_champion=False, decision="Not better beyond noise.")
    connection.execute(
        "insert into customer_scores "
        "select 'p' || i, 'pays_within_14_days', date '2026-07-01', 'v' from range(1500) as numbers(i)"
    )
    told = {"cancels_within_30_days": "Only one class is there, so nothing can be learned " + "and so on " * 10}
    lines = tell_models(connection, tonight=TONIGHT, told=told)
    assert max(map(len, lines)) <= WIDTH
    figures = "pays_within_14_days 9 0.81 0.79 to 0.83 1.02 0.93 to 1.11 2026-07-01 1,500"
    assert " ".join(lines[1].split()) == figures
    assert lines[0].index("scores of") == lines[1].index("2026-07-01")
    notes = " ".join(" ".join(lines[2:]).split())
    assert "cancels_within_30_days: Only one class is there" in notes
    assert "pays_within_14_days: Not better beyond noise." in notes
    assert "not scored tonight" not in notes


def test_scores_of_an_earlier_night_and_of_a_model_that_is_gone_say_so(connection: duckdb.DuckDBPyConnection) -> None:
    add(connection)
    connection.execute(
        "insert into customer_scores values ('p1', 'pays_within_14_days', '2026-06-30', 'v'), "
        "('p1', 'gone', '2026-06-29', 'v')"
    )
    lines = tell_models(connection, tonight=TONIGHT)
    assert [line.split()[0] for line in lines] == [
        "model",
        "pays_within_14_days",
        "gone",
        "pays_within_14_days:",
        "gone:",
    ]
    assert lines[3].strip() == "pays_within_14_days: not scored tonight, the scores of 2026-06-30 stay."


def test_segments_tell_customers_and_conversion_with_the_unassigned_last(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "insert into customer_segments values ('unassigned', 'Unassigned', 9000, 0.01, 'v'), "
        "('S2', 'Planners', 10, null, 'v'), ('S1', repeat('Long name ', 20), 1234, 0.1234, 'v')"
    )
    lines = tell_segments(connection)
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines] == ["segment", "S1", "S2", "unassigned"]
    assert lines[1].endswith("1,234      12.3 %") and lines[2].split()[-2:] == ["10", "-"]
    assert {len(line) for line in lines} == {len(lines[0])}


IDENTITY = {
    "persons": {"all": 1600},
    "persons_by_kind": {"known": 1200, "anonymous": 400},
    "identifiers_per_person": {"mean": 2.26, "median": 2, "largest": 13},
    "households_by_persons": {"1": 700, "2": 50, "3": 4},
    "accounts": {"all": 12},
    "links_by_kind": {"deterministic": 3000, "withheld": 20},
    "refused_links_by_reason": {"shared device": 9, "a": 5, "b": 4, "c": 2, "d": 1},
    "devices": {"all": 900},
    "shared_devices": {"all": 3},
    "bridges": {"all": 1},
    "changes_of_the_day": {"merge": 2, "split": 1, "move": 0},
}


def test_identity_is_told_in_a_few_lines(connection: duckdb.DuckDBPyConnection) -> None:
    """The numbers of everybody, the last day's changes, and conversion on the three identities side by side."""
    connection.execute(
        """
        create table identity_quality (
            subject varchar, topic varchar, measure varchar, bucket varchar, bucket_order integer, value double,
            value_low double, value_high double
        )
        """
    )
    rows = [
        ("all", "persons", measure, bucket, place, value, None, None)
        for measure, values in IDENTITY.items()
        for place, (bucket, value) in enumerate(values.items())
    ]
    rows += [
        ("trial", "survivorship", "conversion_rate", "raw device", 1, 0.271, 0.25, 0.293),
        ("trial", "survivorship", "conversion_rate", "fully stitched", 3, 1.0, 0.998, 1.0),
        # What a class of identifiers is like is not everybody's.
        ("email", "identifiers", "identifiers_per_person", "largest", 3, 99, None, None),
    ]
    connection.executemany("insert into identity_quality values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    assert tell_identity(connection) == [
        "identity",
        "persons      1,600: 1,200 known and 400 anonymous; 2.3 identifiers each, 13 at most",
        "levels       54 households of two or more, 12 accounts",
        "links        3,000 deterministic, 20 withheld",
        "refused      9 shared device; 5 a; 4 b; 3 for other reasons",
        "devices      900, of them 3 shared",
        "bridges      1 link without which a person would fall in two",
        "last day     2 merges, 1 split",
        "",
        "converted                   raw device           as of                fully stitched",
        "trial                        27 % (25 to 29)       -                  100 % (100 to 100)",
    ]
    assert all(len(line) <= WIDTH for line in tell_identity(connection))


def test_journeys_are_told_by_how_they_ended(connection: duckdb.DuckDBPyConnection) -> None:
    """One attempt, then 3,010 more: of ten in a row one is open, four are lost and five converted."""
    connection.execute(
        "insert into journey_attempts by name select 'trial' as journey, 'p' as person_id, 'open' as status"
    )
    assert tell_journeys(connection) == [
        "Journeys: 1 with 1 attempt of 1 person: 0 converted, 0 lost, 1 open.",
    ]
    connection.execute(
        """
        insert into journey_attempts by name
        select
            if(number < 3000, 'trial', 'support') as journey, format('p{}', number % 1500) as person_id,
            case when number % 10 = 0 then 'open' when number % 2 = 0 then 'lost' else 'converted' end as status
        from range(3010) as numbers(number)
        """
    )
    lines = tell_journeys(connection)
    assert " ".join(" ".join(lines).split()) == (
        "Journeys: 2 with 3,011 attempts of 1,501 persons: 1,505 converted, 1,204 lost, 302 open."
    )
    assert all(len(line) <= WIDTH for line in lines)
