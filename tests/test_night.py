"""The frame of a run: as-of, what is new, full builds, worlds apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from dagster_project import night as nights
from dagster_project.night import BEGINNING, complete_night, current_night, last_completed, world_of
from dagster_project.predictions import prepare_tables
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse


def land(settings: Settings, *rows: tuple[str, str]) -> None:
    """Raw rows by the times at which they were available and loaded."""
    with open_warehouse(settings, with_vault=True) as connection:
        connection.execute("create table if not exists raw.a__b (available_at timestamp, _loaded_at timestamp)")
        connection.executemany("insert into raw.a__b values (?, ?)", rows)


@pytest.mark.parametrize(
    ("timezone", "as_of"),
    [
        ("UTC", datetime(2026, 3, 28, 23, 59, 59, 999999)),
        # 20:00 UTC is already the 29th there, the day on which a clock change may fall.
        ("Asia/Kolkata", datetime(2026, 3, 29, 18, 29, 59, 999999)),
        ("Europe/Berlin", datetime(2026, 3, 28, 22, 59, 59, 999999)),
    ],
)
def test_as_of_is_the_end_of_the_latest_days_data_that_is_not_in_the_future(
    data: Settings, timezone: str, as_of: datetime
) -> None:
    settings = replace(data, timezone=timezone)
    land(settings, ("2026-03-27 10:00", "2026-04-01"), ("2026-03-28 20:00", "2026-04-01"), ("2999-01-01", "2026-04-01"))
    assert current_night(settings, run_id="one").as_of == as_of


def test_as_of_of_a_setting_wins(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01"))
    wanted = datetime(2026, 3, 20, 23, 59, 59, 999999)
    assert current_night(replace(data, as_of=wanted), run_id="one").as_of == wanted


def test_the_first_night_is_a_full_build_and_the_next_adds_to_it(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    first = current_night(data, run_id="one")
    assert (first.is_full_build, first.previous_as_of, first.previous_loaded_at) == (True, BEGINNING, BEGINNING)
    complete_night(data, night=first)
    land(data, ("2026-03-29 20:00", "2026-04-02 07:00"))
    second = current_night(data, run_id="two")
    assert not second.is_full_build
    assert (second.previous_as_of, second.previous_loaded_at) == (first.as_of, datetime(2026, 4, 1, 7))
    assert second.loaded_until == datetime(2026, 4, 2, 7)


def test_a_run_that_did_not_complete_leaves_everything_to_the_next(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    complete_night(data, night=current_night(data, run_id="one"))
    land(data, ("2026-03-29 20:00", "2026-04-02 07:00"))
    current_night(data, run_id="killed")
    land(data, ("2026-03-30 20:00", "2026-04-03 07:00"))
    third = current_night(data, run_id="three")
    assert third.previous_loaded_at == datetime(2026, 4, 1, 7)


def test_the_frame_of_a_run_is_fixed_when_first_asked_for(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    first = current_night(data, run_id="one")
    land(data, ("2026-03-29 20:00", "2026-04-02 07:00"))
    assert current_night(data, run_id="one") == first


def test_completing_clears_what_was_affected(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    night = current_night(data, run_id="one")
    with open_warehouse(data) as connection:
        connection.execute("insert into ops.affected_components values ('a')")
    complete_night(data, night=night)
    with open_warehouse(data, read_only=True) as connection:
        assert connection.execute("select count(*) from ops.affected_components").fetchall() == [(0,)]
        assert last_completed(connection) == (night.as_of, night.loaded_until, night.project_hash)


def test_a_changed_definition_or_zone_is_a_full_build(data: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    complete_night(data, night=current_night(data, run_id="one"))
    assert not current_night(data, run_id="two").is_full_build
    assert current_night(replace(data, timezone="Asia/Kolkata"), run_id="three").is_full_build
    monkeypatch.setattr(nights, "source_digest", lambda folder: f"another seed in {folder.name}")
    assert current_night(data, run_id="four").is_full_build


def test_the_digest_sees_seeds_models_macros_and_contracts(tmp_path) -> None:
    (tmp_path / "models").mkdir()
    files = [tmp_path / "models" / name for name in ("a.sql", "a.yml")] + [tmp_path / "seed.csv"]
    for path in files:
        path.write_text("one")
    before = nights.source_digest(tmp_path)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "left.sql").write_text("by a tool")
    assert nights.source_digest(tmp_path) == before
    for path in files:
        path.write_text("two")
        assert nights.source_digest(tmp_path) != before
        path.write_text("one")
    files[0].rename(tmp_path / "models" / "b.sql")
    assert nights.source_digest(tmp_path) != before


def test_an_earlier_as_of_gets_a_world_of_its_own(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    complete_night(data, night=current_night(data, run_id="one"))
    earlier = replace(data, as_of=datetime(2026, 3, 20, 23, 59, 59, 999999))
    apart = world_of(earlier)
    assert apart.data == data.data / "as_of" / "2026-03-20"
    assert (apart.inbox, apart.key_file) == (data.inbox, data.key_file)
    assert apart.vault_path.stat().st_mode & 0o777 == 0o600
    assert current_night(apart, run_id="two").is_full_build
    with open_warehouse(data, read_only=True) as connection:
        assert connection.execute("select run_id from ops.runs").fetchall() == [("one",)]


def test_what_models_said_later_does_not_come_along(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    complete_night(data, night=current_night(data, run_id="one"))
    with open_warehouse(data) as connection:
        prepare_tables(connection)
        connection.execute("insert into predictions.segment_history values ('p_1', 'S1', '2026-03-23', null)")
        connection.execute("insert into ops.trainings values ('segments', '2026-03-28', 'trained')")
        connection.execute("insert into ops.predicted_from values ('then')")
    apart = world_of(replace(data, as_of=datetime(2026, 3, 20, 23, 59, 59, 999999)))
    for settings, rows in ((data, 1), (apart, 0)):
        with open_warehouse(settings, read_only=True) as connection:
            for table in ("predictions.segment_history", "ops.trainings", "ops.predicted_from"):
                assert connection.execute(f"select count(*) from {table}").fetchall() == [(rows,)]


def test_a_later_or_equal_as_of_stays_in_the_usual_world(data: Settings) -> None:
    land(data, ("2026-03-28 20:00", "2026-04-01 07:00"))
    night = current_night(data, run_id="one")
    complete_night(data, night=night)
    for as_of in (None, night.as_of, night.as_of + timedelta(days=1)):
        settings = replace(data, as_of=as_of)
        assert world_of(settings) == settings


def test_before_the_first_run_every_as_of_is_the_usual_world(data: Settings) -> None:
    settings = load_settings({"THROUGHLINE_DATA": str(data.data), "THROUGHLINE_AS_OF": "2020-01-01"})
    assert world_of(settings) == settings
