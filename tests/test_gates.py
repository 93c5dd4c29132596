"""G2, G3 and G4 notice what is broken; G7, G8 and G11: however the exports arrive, and whenever one asks, the same."""

import json
import random
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from dagster_project.demo.generate import DEFAULT_UNTIL, generate_demo
from dagster_project.settings import DBT_DIR, load_settings
from dagster_project.transform import build, prepare_manifest
from tests.conftest import AT_WORK, DEMO_DAYS, DEMO_UNTIL, Demo, environment_of, reference_data, throughline
from tests.nights import PLACES, differences, live_through, pin_models, whole_night
from tests.story import Told

# Eight nights of uneven length; the third ends the world that "as of" asks for.
NIGHTS = [str(DEMO_UNTIL - timedelta(days=back)) for back in (60, 45, 30, 29, 20, 10, 1, 0)]
AS_OF = NIGHTS[2]


def test_gates_of_the_night_notice_what_is_broken(told: Told, tmp_path: Path) -> None:
    """One event vanishes, one identifier has two persons, one lost attempt becomes open: three gates, and no other."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(told.data / "warehouse.duckdb", path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "delete from timeline.customer_events where event_id = (select min(event_id) from timeline.customer_events)"
        )
        connection.execute(
            "insert into identity.identifiers from identity.identifiers where person_id is not null limit 1"
        )
        connection.execute(
            "update published.journey_attempts set status = 'open' where attempt_id = "
            "(select min(attempt_id) from published.journey_attempts where status = 'lost')"
        )
    tests = {
        unique_id
        for unique_id, node in json.loads(prepare_manifest().read_text())["nodes"].items()
        if node["resource_type"] == "test" and not node.get("test_metadata")
    }
    assert len(tests) == len(list((DBT_DIR / "tests").glob("*.sql")))
    results = build(load_settings({"THROUGHLINE_DATA": str(tmp_path)}), night=whole_night(), nodes=sorted(tests))
    assert {result.unique_id for result in results} == tests
    assert {(result.unique_id.split(".")[2], result.status) for result in results if result.status != "pass"} == {
        ("assert_staged_events_are_accounted_for", "fail"),
        ("assert_identifier_has_one_person", "fail"),
        ("assert_attempts_add_up", "fail"),
    }


@pytest.fixture(scope="module")
def eight_nights(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert timedelta(days=60) < timedelta(days=DEMO_DAYS)
    folder = tmp_path_factory.mktemp("nights")
    pin_models(demo.settings.data, folder / "data")
    live_through(demo.settings.inbox, folder, NIGHTS, THROUGHLINE_KEY_FILE=str(demo.settings.key_file))
    return folder


def test_nights_give_the_same_tables_as_one_full_build(demo: Demo, eight_nights: Path) -> None:
    assert differences(demo.settings.warehouse_path, eight_nights / f"{NIGHTS[-1]}.duckdb") == {}


def test_run_again_changes_nothing_and_publishes_nothing(demo: Demo, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(demo.settings.data, data, symlinks=True, ignore=AT_WORK)
    versions = sorted(path.name for path in (data / "published" / "versions").iterdir())
    before = (data / "published" / "current").resolve()
    finished = throughline("run", env=environment_of(demo.settings) | {"THROUGHLINE_DATA": str(data)})
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert differences(demo.settings.warehouse_path, data / "warehouse.duckdb") == {}
    assert sorted(path.name for path in (data / "published" / "versions").iterdir()) == versions
    assert (data / "published" / "current").resolve() == before


def test_run_as_of_a_day_equals_a_run_given_only_what_was_available_by_then(
    demo: Demo, eight_nights: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(demo.settings.data, data, symlinks=True, ignore=AT_WORK)
    before = (data / "published" / "current").resolve()
    pin_models(demo.settings.data, data / "as_of" / AS_OF)
    finished = throughline(
        "run", env=environment_of(demo.settings) | {"THROUGHLINE_DATA": str(data), "THROUGHLINE_AS_OF": AS_OF}
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    apart = data / "as_of" / AS_OF / "warehouse.duckdb"
    # Raw holds what has landed, whenever it was known; everything after it looks at what was known by the day.
    places = tuple(place for place in PLACES if place != "raw")
    assert differences(apart, eight_nights / f"{AS_OF}.duckdb", places=places) == {}
    assert (data / "published" / "current").resolve() == before


def _retail(folder: Path, days: list[str]) -> Path:
    live_through(
        reference_data() / "inbox",
        folder,
        days,
        THROUGHLINE_TIMEZONE="Europe/London",
        THROUGHLINE_KEY_FILE=str(folder.parent / "key"),
    )
    return folder / f"{days[-1]}.duckdb"


def _retail_days() -> list[str]:
    return sorted(path.stem for path in (reference_data() / "inbox" / "online_retail" / "lines").glob("*.csv"))


def test_a_year_of_real_invoices_in_random_cuts_equals_all_at_once(tmp_path: Path) -> None:
    days = _retail_days()
    cuts = sorted(random.Random(305).sample(days[:-1], 3))
    assert differences(_retail(tmp_path / "whole", days[-1:]), _retail(tmp_path / "cut", [*cuts, days[-1]])) == {}


@pytest.mark.torture
def test_a_year_of_real_invoices_day_by_day_equals_all_at_once(tmp_path: Path) -> None:
    days = _retail_days()
    assert len(days) == 305
    assert differences(_retail(tmp_path / "whole", days[-1:]), _retail(tmp_path / "daily", days)) == {}


@pytest.mark.torture
def test_twelve_months_one_by_one_equal_all_at_once(tmp_path: Path) -> None:
    """The default demo: a run at each month's end, against one run over the whole year."""
    generate_demo(out=tmp_path / "exports")
    ends = [str(date(2025 + month // 12, month % 12 + 1, 1) - timedelta(days=1)) for month in range(7, 19)]
    assert (ends[0], ends[-1], len(ends)) == ("2025-07-31", str(DEFAULT_UNTIL), 12)
    key = {"THROUGHLINE_KEY_FILE": str(tmp_path / "key")}
    live_through(tmp_path / "exports", tmp_path / "year", ends[-1:], **key)
    pin_models(tmp_path / "year" / "data", tmp_path / "months" / "data")
    live_through(tmp_path / "exports", tmp_path / "months", ends, **key)
    name = f"{ends[-1]}.duckdb"
    assert differences(tmp_path / "year" / name, tmp_path / "months" / name) == {}
