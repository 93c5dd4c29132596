"""The default demo, a year of 5,000 people: models and segments against what is true of the company."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from dagster_project.demo.generate import DEFAULT_UNTIL, generate_demo
from dagster_project.landing.tokens import prepare_connection
from dagster_project.predictions import COMPLETE, _asked_about, _schema_of, _targets
from dagster_project.settings import Settings, load_settings
from ml.propensity import predict
from ml.registry import Registry
from tests.demo.test_pipeline_against_truth import write_owners
from tests.nights import live_through

pytestmark = pytest.mark.torture
NIGHTS = [str(DEFAULT_UNTIL - timedelta(days=1)), str(DEFAULT_UNTIL)]


@dataclass(frozen=True, kw_only=True)
class Company:
    """The warehouse after each of two neighbouring nights, the models, and what is true."""

    settings: Settings
    nights: tuple[Path, Path]
    truth: Path


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder = tmp_path_factory.mktemp("company")
    generate_demo(out=folder / "exports", truth=folder / "truth")
    live_through(folder / "exports", folder, NIGHTS)
    settings = load_settings({"THROUGHLINE_DATA": str(folder / "data")})
    before, after = (folder / f"{night}.duckdb" for night in NIGHTS)
    return Company(settings=settings, nights=(before, after), truth=folder / "truth")


def with_truth(warehouse: Path, settings: Settings, truth: Path) -> duckdb.DuckDBPyConnection:
    """On a warehouse, read only; beside it whose each identifier, and so each person, truly is."""
    connection = duckdb.connect()
    prepare_connection(connection, key=settings.key_file.read_bytes())
    connection.execute(f"attach '{warehouse}' as warehouse (read_only)")
    write_owners(connection, truth)
    connection.execute(
        """
        create table persons as
        select person_id, min(person) as person
        from warehouse.identity.identifiers inner join owners on owners.token = identifiers.identifier
        group by person_id
        """
    )
    connection.execute("use warehouse")
    return connection


@pytest.fixture(scope="module")
def connection(company: Company) -> Iterator[duckdb.DuckDBPyConnection]:
    """On the last night's warehouse; beside it the night before."""
    with with_truth(company.settings.warehouse_path, company.settings, company.truth) as connection:
        connection.execute(f"attach '{company.nights[0]}' as before (read_only)")
        yield connection


@dataclass(frozen=True, kw_only=True)
class Chances:
    """What the champion foretells of its hold-out, and how the law the company lives by ranks the same rows."""

    rows: int
    auc: float
    auc_of_law: float
    slope: tuple[float, float, float]

    def __str__(self) -> str:
        slope, low, high = self.slope
        return (
            f"AUC {self.auc:.3f} (law {self.auc_of_law:.3f}) of {self.rows:,} rows; slope {slope:.2f} "
            f"({low:.2f} to {high:.2f})"
        )


def chances(connection: duckdb.DuckDBPyConnection, settings: Settings, truth: Path) -> Chances:
    """Compare the champion on its hold-out with the chance that follows from all that is logged."""
    registry = Registry(database=settings.mlflow_path, artifacts=settings.models_path)
    [target] = _targets(connection)
    champion = registry.champion(target.target)
    assert champion
    rows, _ = _asked_about(connection, target, when=COMPLETE)
    foretold = predict(registry.load(champion).estimator, rows, schema=_schema_of(champion))
    connection.register("asked", rows.append_column("chance", [foretold]))
    found = connection.execute(
        f"""
        select asked.label, asked.chance, hazards.p_convert_14d as law
        from asked
        inner join identity.identifiers as identifiers using (identifier)
        inner join memory.persons as persons on identifiers.person_id = persons.person_id
        inner join read_csv('{truth}/hazards.csv') as hazards
            on hazards.person = persons.person and hazards.snapshot_date = asked.snapshot_date
        where hazards.p_convert_14d is not null and asked.snapshot_date >= ?
        """,
        [champion.parameters["holdout_from"]],
    ).fetchnumpy()
    label = found["label"].astype(bool)
    measured = champion.metrics
    return Chances(
        rows=len(label),
        auc=float(roc_auc_score(label, found["chance"])),
        auc_of_law=float(roc_auc_score(label, found["law"])),
        slope=(
            measured["calibration_slope"],
            measured["calibration_slope_low"],
            measured["calibration_slope_high"],
        ),
    )


def test_chances_rank_people_nearly_as_well_as_the_law_they_live_by(
    company: Company, connection: duckdb.DuckDBPyConnection
) -> None:
    """On the hold-out; and they are what they say."""
    found = chances(connection, company.settings, company.truth)
    print(found)
    assert found.rows >= 1_000
    assert found.auc >= found.auc_of_law - 0.03
    assert found.slope[1] <= 1 <= found.slope[2]


def test_chances_are_what_they_say_in_seventeen_of_twenty_companies(tmp_path: Path) -> None:
    """The whole way from exports to the model, seeds 1 to 20: an hour and more."""
    holds = []
    for seed in range(1, 21):
        folder = tmp_path / str(seed)
        generate_demo(out=folder / "exports", truth=folder / "truth", seed=seed)
        live_through(folder / "exports", folder, NIGHTS[-1:])
        settings = load_settings({"THROUGHLINE_DATA": str(folder / "data")})
        with with_truth(settings.warehouse_path, settings, folder / "truth") as connection:
            found = chances(connection, settings, folder / "truth")
        print(seed, found)
        assert found.auc >= found.auc_of_law - 0.03
        holds.append(found.slope[1] <= 1 <= found.slope[2])
        shutil.rmtree(folder)
    assert sum(holds) >= 17


def test_segments_are_the_types_of_journey(company: Company, connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(
        f"""
        select types.journey_type, history.segment
        from predictions.segment_history as history
        inner join memory.persons as persons on history.person_id = persons.person_id
        inner join read_csv('{company.truth}/types.csv', all_varchar = true) as types on persons.person = types.person
        where history.valid_to is null
        """
    ).fetchall()
    index = adjusted_rand_score(*zip(*rows, strict=True))
    print(f"ARI {index:.3f} of {len(rows):,} people")
    assert len(rows) >= 3_000
    assert index >= 0.7


def test_people_stay_in_their_segment_from_night_to_night(connection: duckdb.DuckDBPyConnection) -> None:
    [(both, same)] = connection.execute(
        """
        select count(*), count(case when today.segment = yesterday.segment then 1 end)
        from predictions.segment_history as today
        inner join before.predictions.segment_history as yesterday using (person_id)
        where today.valid_to is null and yesterday.valid_to is null
        """
    ).fetchall()
    print(f"{same:,} of {both:,} people stay")
    assert both >= 3_000
    assert same >= 0.95 * both
