"""What is wrong with definitions of journeys, and what the data show of them: each fault made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dagster_project import journeys
from dagster_project.cli import main
from dagster_project.defs import journeys as defs
from dagster_project.defs.night import Warehouse
from dagster_project.journeys import (
    GUARD_RAILS,
    Definitions,
    find_faults,
    find_unseen,
    look_for_events,
    note_definitions,
    read_definitions,
    tell_sights,
)
from dagster_project.settings import Settings
from dagster_project.warehouse import open_warehouse
from tests.conftest import environment_of

HEAD = (
    "journey,title,start_events,success_events,failure_events,window_days,is_repeatable,value_amount,value_currency,"
    "owner,guard_rails"
)
GOOD = "buying,From door to till,enter|visit,buy|praise>=0.75,quit,10,true,9.50,EUR,Shop,contact_rate|median_hours"
STAGES = ["buying,1,Entered,enter", "buying,2,Looked,look", "buying,3,Chose,choose", "buying,4,Bought,buy"]
EVENTS = ["enter", "visit", "look", "choose", "buy", "praise", "quit"]
TAXONOMY = ["source,event_name,event", *(f"desk,{e},{e}" for e in EVENTS)]


def define(folder: Path, *, good: str = GOOD, more: tuple[str, ...] = (), stages: list[str] = STAGES) -> Definitions:
    (folder / "journeys.csv").write_text("\n".join([HEAD, good, *more]) + "\n")
    (folder / "journey_stages.csv").write_text("\n".join(["journey,stage_order,stage,events", *stages]) + "\n")
    (folder / "event_taxonomy.csv").write_text("\n".join(TAXONOMY) + "\n")
    return read_definitions(folder)


def test_the_journeys_that_come_with_throughline_are_sound() -> None:
    definitions = read_definitions()
    assert find_faults(definitions) == []
    assert len(definitions.journeys) >= 9
    assert all(row["guard_rails"] for row in definitions.journeys)


def test_a_sound_definition_has_no_fault(tmp_path: Path) -> None:
    assert find_faults(define(tmp_path)) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("enter|visit", "", "`start_events` is blank, so no attempt can start"),
        ("buy|praise>=0.75", "", "`success_events` is blank, so no attempt can convert"),
        ("enter|visit", "enter|vist", "`start_events` names vist, which no line of event_taxonomy.csv gives"),
        ("praise>=0.75", "praise>=4", "`success_events` asks praise>=4; ratings run from 0 to 1"),
        ("praise>=0.75", "praise>=", "`success_events` asks praise>=; ratings run from 0 to 1"),
        (",10,", ",0,", "`window_days` is 0, so attempts are lost as they start; give 1 or more"),
        (",10,", ",-3,", "`window_days` is -3, so"),
        (",10,", ",ten,", "`window_days` is ten, so"),
        (",10,", ",,", "`window_days` is blank, so"),
        ("true", "maybe", "`is_repeatable` is maybe; write true or false"),
        ("EUR", "", "`value_amount` has no currency"),
        ("9.50", "", "`value_currency` has no amount"),
        ("9.50", "9 and a half", "`value_amount` is 9 and a half, which is no amount of money"),
        ("quit", "enter", "enter both starts and fails attempts: a cycle, in which each loss opens the next attempt"),
        ("quit", "buy", "buy both converts and fails attempts"),
        ("median_hours", "mood", "`guard_rails` names mood; known are contact_rate"),
    ],
)
def test_a_journey_that_is_wrong_is_told_with_its_line(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in GOOD
    [fault] = find_faults(define(tmp_path, good=GOOD.replace(before, after)))
    assert fault.sentence.startswith("journeys.csv, line 2 (buying): ") and words in fault.sentence
    assert fault.sentence.endswith(".") and fault.is_certain and fault.journey == "buying"


@pytest.mark.parametrize(
    ("place", "line", "words"),
    [
        (1, "buying,2,Looked,lok", "line 3 (buying): `events` names lok, which no line of event_taxonomy.csv gives"),
        (1, "buying,2,Looked,", "line 3 (buying): the stage Looked names no event, so nobody can reach it"),
        (1, "buying,2,,look", "line 3 (buying): the stage has no name"),
        (2, "buying,2,Chose,choose", "line 4 (buying): the journey has a stage 2 already"),
        (2, "buying,5,Chose,choose", "line 5 (buying): stage 4 follows 2; number the stages 1, 2, 3"),
        (2, "buying,three,Chose,choose", "line 4 (buying): `stage_order` is three"),
        (2, "buying,3,Chose,look", "line 4 (buying): look stands for Looked and Chose, and reaches the later"),
        (
            2,
            "buying,3,Looked,choose",
            "line 4 (buying): the stage Looked comes a second time: stages cannot lead in a cycle",
        ),
        (2, "selling,3,Chose,choose", "line 4 (selling): journeys.csv defines no such journey"),
    ],
)
def test_a_stage_that_is_wrong_is_told_with_its_line(tmp_path: Path, place: int, line: str, words: str) -> None:
    stages = [*STAGES[:place], line, *STAGES[place + 1 :]]
    sentences = [fault.sentence for fault in find_faults(define(tmp_path, stages=stages))]
    assert any(f"journey_stages.csv, {words}" in sentence for sentence in sentences), sentences


def test_a_journey_twice_or_without_a_stage_is_told(tmp_path: Path) -> None:
    faults = find_faults(define(tmp_path, more=(GOOD, GOOD.replace("buying", "paying"))))
    assert [fault.sentence.split(": ")[0] for fault in faults] == [
        "journeys.csv, line 3 (buying)",
        "journeys.csv, line 4 (paying)",
    ]
    assert "defined a second time" in faults[0].sentence
    assert "journey_stages.csv has no stage of it" in faults[1].sentence


# --- in the data ---------------------------------------------------------------------------------

PEOPLE = {"enter": 31, "look": 5, "buy": 2}


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """Thirty-one people who enter, five who look, two who buy; robots that choose; one rating above and one below."""
    with duckdb.connect() as connection:
        fill(connection)
        yield connection


def fill(connection: duckdb.DuckDBPyConnection) -> None:
    """What the definitions are asked of, in an empty warehouse."""
    connection.execute("create schema if not exists timeline; create schema if not exists journeys")
    connection.execute(
        "create table timeline.customer_events (event varchar, person_id varchar, traffic_class varchar, rating double)"
    )
    rows = [(event, f"p{n}", "human", None) for event, count in PEOPLE.items() for n in range(count)]
    rows += [("choose", "r1", "bot", None), ("enter", None, "human", None)]
    rows += [("praise", "p1", "human", 0.75), ("praise", "p2", "human", 0.5)]
    connection.executemany("insert into timeline.customer_events values (?, ?, ?, ?)", rows)
    connection.execute("create table journeys.attempts as select 'buying' as journey from range(31)")
    connection.execute(
        "create table journeys.attempt_stages as select 'buying' as journey, stage, now() as reached_at "
        "from (values ('Entered'), ('Looked'), ('Bought')) as stages(stage)"
    )


def unseen(connection: duckdb.DuckDBPyConnection, definitions: Definitions) -> list[str]:
    faults, _ = find_unseen(connection, definitions, look_for_events(connection, definitions))
    assert not any(fault.is_certain for fault in faults)
    return [fault.sentence for fault in faults]


def test_a_stage_that_nobody_reaches_is_told(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    assert unseen(warehouse, define(tmp_path)) == [
        "journey_stages.csv, line 4 (buying): nobody has reached the stage Chose by choose; correct its events, or "
        "take the stage out."
    ]


def test_a_start_that_never_happens_is_told(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    [start, _] = unseen(warehouse, define(tmp_path, good=GOOD.replace("enter|visit", "visit")))
    assert start == (
        "journeys.csv, line 2 (buying): its start visit never happens in the data, so it has no attempts; correct it, "
        "or land the source that tells of it."
    )


def test_a_success_that_only_robots_have_is_told(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    [success, _] = unseen(warehouse, define(tmp_path, good=GOOD.replace("buy|praise>=0.75", "choose")))
    assert "its success choose happens, but to nobody who is known, so no attempt can convert" in success


def test_fewer_than_thirty_attempts_are_told(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("create or replace table journeys.attempts as select 'buying' as journey from range(29)")
    [few, _] = unseen(warehouse, define(tmp_path))
    assert "it has 29 attempts; below 30 its numbers are shown with their intervals, and nothing is ranked" in few


def test_doctor_says_which_events_the_data_show(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    [line] = tell_sights(look_for_events(warehouse, define(tmp_path)))
    assert line == (
        "buying: start enter 31 of 32, visit never; success buy 2, praise>=0.75 1; failure quit never; "
        "Entered enter 31 of 32; Looked look 5; Chose choose 0 of 1; Bought buy 2."
    )


def test_definitions_are_written_with_what_is_wrong(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    definitions = define(tmp_path, good=GOOD.replace(",10,", ",0,").replace("9.50", ""))
    faults, _ = note_definitions(warehouse, definitions)
    assert [fault.is_certain for fault in faults] == [True, True, False]
    [row] = warehouse.execute(
        "select journey, window_days, is_repeatable, value_amount, value_currency, guard_rails, attempt_count, problem "
        "from journeys.definitions"
    ).fetchall()
    assert row[:-1] == ("buying", 0, True, None, "EUR", "contact_rate|median_hours", 31)
    assert row[-1] == " ".join(fault.sentence for fault in faults)


def test_the_asset_says_all_that_is_wrong(tmp_path: Path, data: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that never occurs, a stage nobody reaches, two stages on one event, no window, a cycle, few attempts."""
    wrong = define(
        tmp_path,
        more=(
            GOOD.replace("buying", "waiting").replace("enter|visit", "visit"),
            GOOD.replace("buying", "blinking").replace(",10,", ",0,"),
            GOOD.replace("buying", "circling").replace("quit", "enter"),
        ),
        stages=[
            *STAGES,
            *(stage.replace("buying", journey) for journey in ("waiting", "blinking") for stage in STAGES),
            *(stage.replace("buying", "circling").replace(",choose", ",look") for stage in STAGES),
        ],
    )
    for name, value in environment_of(data).items():
        monkeypatch.setenv(name, value)
    with open_warehouse(data) as connection:
        fill(connection)
        connection.execute("create or replace table journeys.attempts as select 'buying' as journey from range(29)")
    monkeypatch.setattr(defs, "read_definitions", lambda: wrong)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([defs.definitions], resources={"warehouse": Warehouse()}, instance=instance)
    [told] = result.asset_materializations_for_node("journeys__definitions")
    problems = str(told.metadata["problems"].value)
    for words in (
        "line 4 (buying): nobody has reached the stage Chose",
        "(buying): it has 29 attempts; below 30 its numbers are shown with their intervals, and nothing is ranked",
        "(waiting): its start visit never happens in the data",
        "(blinking): `window_days` is 0",
        "(circling): enter both starts and fails attempts: a cycle",
        "(circling): look stands for Looked and Chose",
    ):
        assert words in problems
    [check] = result.get_asset_check_evaluations()
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert "`window_days` is 0" in str(check.description)


def test_guard_rails_are_read_from_tables_that_are_published() -> None:
    from dagster_project.publishing.catalogue import catalogue_from_manifest
    from dagster_project.transform import prepare_manifest

    catalogue = catalogue_from_manifest(prepare_manifest())
    for rail, place in GUARD_RAILS.items():
        table, _, column = place.split(":")[0].partition(".")
        assert table in catalogue, rail
        assert not column or column in catalogue[table]["columns"], rail


def test_doctor_names_the_line_of_a_wrong_definition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = define(tmp_path, good=GOOD.replace(",10,", ",0,"))
    monkeypatch.setattr(journeys, "read_definitions", lambda: wrong)
    monkeypatch.setenv("THROUGHLINE_DATA", str(tmp_path / "data"))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "BAD   journeys.csv, line 2 (buying): `window_days` is 0, so attempts are lost as they start" in told
