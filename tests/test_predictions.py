"""Models trained when due, champions that score, and what is told when they cannot."""

from __future__ import annotations

import pickle
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dagster_project import failpoints
from dagster_project.night import BEGINNING, Night
from dagster_project.predictions import Report, predict_tonight
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse

TARGET = "pays_within_14_days"
FIRST_MONDAY, WEEKS, PEOPLE = date(2026, 1, 5), 20, 110
TONIGHT = FIRST_MONDAY + timedelta(weeks=WEEKS + 2)
AS_OF = datetime.combine(TONIGHT, datetime.min.time()) - timedelta(microseconds=1)
# What sets two kinds of people apart: what they read and use.
HABITS = {"page": (("pricing", "docs"), (0.8, 0.2)), "feature": (("board", "gantt"), (0.85, 0.1))}

_TABLES = """
    create or replace table staging.prediction_targets as
    select 'pays_within_14_days' as target, 'Pays within 14 days' as title, 14 as horizon_days;
    create or replace table staging.feature_words as
    select * from (values ('visit_count_7d', '', 'visits in the last 7 days')) as t (feature, family, words);
    create or replace table features.customer_snapshots as
    select snapshot_date, person_id, identifier, person_id as component_id, visit_count_7d, noise, first_channel
    from people where not is_tonight;
    create or replace table features.current_customers as
    select snapshot_date, person_id, identifier, person_id as component_id, visit_count_7d, noise, first_channel
    from people where is_tonight;
    create or replace table features.target_rows as
    select
        'pays_within_14_days' as target, snapshot_date, person_id, identifier, is_tonight,
        cast(snapshot_date as timestamp) as entered_at, days_since_entry, not is_tonight as is_label_complete,
        case when not is_tonight then label end as label
    from people;
    create or replace table identity.identifiers as
    select distinct identifier, person_id from people union select distinct identifier, person_id from profiles;
    create or replace table features.current_profiles as
    select snapshot_date, person_id, identifier, person_id as component_id, block, action, action_count
    from profiles where is_tonight;
    create or replace table features.action_profiles as
    select snapshot_date, person_id, identifier, person_id as component_id, block, action, action_count
    from profiles where not is_tonight;
"""


def people(seed: int = 1) -> pa.Table:
    """Snapshots of people who pay the likelier the more they visit, each asked about for five weeks; and of tonight."""
    rng = np.random.default_rng(seed)
    weeks = np.repeat(np.arange(WEEKS + 1), PEOPLE)
    days = [TONIGHT if week == WEEKS else FIRST_MONDAY + timedelta(weeks=int(week)) for week in weeks]
    person = np.tile(np.arange(PEOPLE), WEEKS + 1) + weeks * (PEOPLE // 5)
    visits = rng.poisson(2.0, len(person))
    chance = 1 / (1 + np.exp(3.0 - 0.9 * visits))
    return pa.table(
        {
            "snapshot_date": pa.array(days, pa.date32()),
            "person_id": [f"p{one:03d}" for one in person],
            "identifier": [f"user_id:app:{one:03d}" for one in person],
            "is_tonight": weeks == WEEKS,
            "days_since_entry": pa.array(rng.integers(1, 90, len(person)), pa.int64()),
            "visit_count_7d": pa.array(visits, pa.int64()),
            "noise": rng.normal(size=len(person)),
            "first_channel": rng.choice(["email", "direct"], len(person)),
            "label": rng.random(len(person)) < chance,
        }
    )


def profiles(seed: int = 2, count: int = 400) -> pa.Table:
    """What two kinds of people had done by one Monday and by tonight."""
    rng = np.random.default_rng(seed)
    rows = []
    for one in range(count):
        for block, (actions, shares) in HABITS.items():
            share = shares[one % 2]
            done = rng.binomial(40, share)
            for action, number in zip(actions, (done, 40 - done), strict=True):
                for is_tonight, part in ((False, 0.9), (True, 1.0)):
                    day = TONIGHT if is_tonight else FIRST_MONDAY + timedelta(weeks=WEEKS)
                    rows.append(
                        (day, f"q{one:03d}", f"device_id:web:{one:03d}", is_tonight, block, action, int(number * part))
                    )
    names = ("snapshot_date", "person_id", "identifier", "is_tonight", "block", "action", "action_count")
    return pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})


def build(settings: Settings, *, of: pa.Table | None = None) -> None:
    """Write the tables that predictions are made from."""
    with open_warehouse(settings) as connection:
        connection.register("people", people() if of is None else of)
        connection.register("profiles", profiles())
        connection.execute(_TABLES)


def night(as_of: datetime = AS_OF, *, loaded_until: datetime = AS_OF) -> Night:
    return Night(
        run_id="one",
        as_of=as_of,
        loaded_until=loaded_until,
        previous_as_of=BEGINNING,
        previous_loaded_at=BEGINNING,
        project_hash="one",
        is_full_build=False,
        reason="",
    )


def predict(settings: Settings, *, on: Night | None = None, is_forced: bool = False) -> Report:
    with open_warehouse(settings) as connection:
        return predict_tonight(settings, connection, night=on or night(), is_forced=is_forced)


def ask(settings: Settings, query: str) -> list[tuple]:
    with open_warehouse(settings, read_only=True) as connection:
        return connection.execute(query).fetchall()


def later(days: int) -> Night:
    return night(AS_OF + timedelta(days=days), loaded_until=AS_OF + timedelta(days=days))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Report]:
    """A data folder after the first night. Read only."""
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path_factory.mktemp("first"))})
    build(settings)
    return settings, predict(settings)


@pytest.fixture
def world(first: tuple[Settings, Report], tmp_path: Path) -> Settings:
    """A copy of it of one's own."""
    shutil.copytree(first[0].data, tmp_path / "data")
    return replace(first[0], data=tmp_path / "data")


def test_the_first_night_trains_scores_everybody_and_says_why(first: tuple[Settings, Report]) -> None:
    settings, report = first
    assert [told.is_fine for told in (*report.models, *report.scores, *report.segments)] == [True] * 4
    assert ask(
        settings, "select model, model_version, is_champion, decision from predictions.model_versions order by 1"
    ) == [
        (TARGET, "1", True, "it is the first"),
        ("segments", "1", True, "it is the first"),
    ]
    [(count, persons, lowest, highest, per_decile, days, reasons)] = ask(
        settings,
        """
        select count(*), count(distinct person_id), min(decile), max(decile),
            (select max(n) from (select count(*) as n from predictions.scores group by decile)),
            list(distinct snapshot_date), count(case when reason_1 like '% visits in the last 7 days (%' then 1 end)
        from predictions.scores
        """,
    )
    assert (count, persons, lowest, highest, per_decile) == (PEOPLE, PEOPLE, 1, 10, PEOPLE // 10)
    assert days == [TONIGHT]
    # Visits alone decide in this world; who made an average number of them has no reason to be told.
    assert reasons > PEOPLE / 2


def test_chances_are_those_that_people_have(first: tuple[Settings, Report]) -> None:
    """Against the chance that the labels were drawn with."""
    found = ask(
        first[0],
        """
        select avg(abs(probability - 1 / (1 + exp(3.0 - 0.9 * visit_count_7d))))
        from predictions.scores inner join features.current_customers using (person_id)
        """,
    )
    assert found[0][0] < 0.05


def test_two_kinds_of_people_are_two_segments(first: tuple[Settings, Report]) -> None:
    mixed = ask(
        first[0],
        """
        select segment, count(distinct cast(substr(person_id, 2) as integer) % 2), count(*)
        from predictions.segment_history where valid_to is null group by segment order by segment
        """,
    )
    assert mixed == [("S1", 1, 200), ("S2", 1, 200)]
    assert ask(first[0], "select distinct valid_from from predictions.segment_history") == [
        (FIRST_MONDAY + timedelta(weeks=WEEKS),)
    ]


def test_the_same_night_again_does_nothing(world: Settings) -> None:
    before = ask(world, "select * from predictions.scores order by all")
    report = predict(world)
    assert report.is_unchanged
    assert report.models == ()
    assert ask(world, "select * from predictions.scores order by all") == before


@pytest.mark.parametrize(("days", "is_due"), [(1, False), (6, False), (7, True)])
def test_a_model_is_trained_anew_after_a_week(world: Settings, days: int, is_due: bool) -> None:
    report = predict(world, on=later(days))
    assert ["was trained because the last one was of" in told.sentence for told in report.models] == [is_due] * 2
    assert len(ask(world, "select * from predictions.model_versions")) == (4 if is_due else 2)


def test_drift_makes_a_model_due(world: Settings) -> None:
    """In the last four weeks everybody comes more often than anybody did before."""
    assert ask(world, "select drift_psi < 0.25 from predictions.model_versions where model like 'pays%'") == [(True,)]
    with open_warehouse(world) as connection:
        connection.execute(
            "update features.customer_snapshots set visit_count_7d = 20 where snapshot_date >= '2026-04-27'"
        )
        connection.execute(
            "update features.target_rows set is_label_complete = false where snapshot_date >= '2026-04-27'"
        )
    assert "version 1 stands" in predict(world, on=later(1)).models[0].sentence
    # What a night has seen makes the next one train.
    report = predict(world, on=later(2))
    assert "because people moved away from those it knew (visit_count_7d: " in report.models[0].sentence
    assert "version 1 stands" in report.models[1].sentence
    # The new one is no better, and people are still elsewhere: that makes no night train again before the week is over.
    assert ask(
        world,
        "select is_champion, drift_psi > 0.25 from predictions.model_versions where model_version = '1'"
        " and model like 'pays%'",
    ) == [(True, True)]
    assert "version 1 stands" in predict(world, on=later(3)).models[0].sentence


def test_a_challenger_that_is_no_better_does_not_take_the_place(world: Settings) -> None:
    """Trained on the same people, it foretells the same."""
    report = predict(world, is_forced=True)
    assert "version 1 stays: the new one is not better beyond noise" in report.models[0].sentence
    assert ask(world, "select model_version, is_champion from predictions.model_versions order by model, 1") == [
        ("1", True),
        ("2", False),
        ("1", True),
        ("2", False),
    ]
    assert ask(world, "select distinct model_version from predictions.scores") == [("1",)]


def test_a_better_challenger_takes_the_place(tmp_path: Path) -> None:
    """The champion learned when four visits in ten were mixed up."""
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path)})
    seen = people()
    hidden = np.random.default_rng(3).random(seen.num_rows) < 0.4
    visits = seen["visit_count_7d"].to_numpy()
    visits = np.where(hidden, np.random.default_rng(4).permutation(visits), visits)
    build(settings, of=seen.set_column(seen.column_names.index("visit_count_7d"), "visit_count_7d", pa.array(visits)))
    predict(settings)
    build(settings)
    report = predict(settings, is_forced=True)
    assert "it takes the place of version 1 (log loss less by" in report.models[0].sentence
    assert ask(settings, "select distinct model_version from predictions.scores") == [("2",)]


def _lose_alias(settings: Settings) -> None:
    from mlflow import MlflowClient

    address = f"sqlite:///{settings.mlflow_path}"
    MlflowClient(tracking_uri=address, registry_uri=address).delete_registered_model_alias(TARGET, "champion")


def _model_file(settings: Settings) -> Path:
    """The file of the champion of TARGET."""
    from ml.registry import Registry

    registry = Registry(database=settings.mlflow_path, artifacts=settings.models_path)
    champion = registry.champion(TARGET)
    assert champion
    return registry._folder(champion) / "model.skops"


def _tamper(settings: Settings) -> None:
    path = _model_file(settings)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


class _Planted:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.trace,))


def _plant_pickle(settings: Settings) -> None:
    _model_file(settings).write_bytes(pickle.dumps(_Planted(settings.data / "executed")))


def _lose_file(settings: Settings) -> None:
    _model_file(settings).unlink()


def _change_features(settings: Settings) -> None:
    for table in ("customer_snapshots", "current_customers"):
        with open_warehouse(settings) as connection:
            connection.execute(f"alter table features.{table} rename column noise to mood")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_lose_alias, "None of the 1 versions of the model pays_within_14_days has the alias champion"),
        (_tamper, "its files in"),
        (_plant_pickle, "its files in"),
        (_lose_file, "has no readable file"),
        (_change_features, "missing: noise; not known to it: mood"),
    ],
)
def test_what_cannot_be_used_is_told_and_the_scores_before_stay(
    world: Settings, harm: Callable[[Settings], None], told: str
) -> None:
    before = ask(world, "select * from predictions.scores order by all")
    cards = ask(world, "select model, model_version, auc from predictions.model_versions order by all")
    harm(world)
    report = predict(world, on=later(1))
    assert not report.scores[0].is_fine
    assert told in report.scores[0].sentence
    assert f"The {PEOPLE} scores of {TONIGHT} stay." in report.scores[0].sentence
    assert re.search("job retrain|train a new", report.scores[0].sentence)
    assert ask(world, "select * from predictions.scores order by all") == before
    assert ask(world, "select model, model_version, auc from predictions.model_versions order by all") == cards
    assert report.segments[0].is_fine
    assert not (world.data / "executed").exists()
    # Nothing is taken as done: put right, the same night is done again.
    assert not predict(world, on=later(1)).is_unchanged
    # The way out that the sentence names.
    mended = predict(world, on=later(1), is_forced=True)
    assert mended.scores[0].is_fine
    assert ask(world, "select distinct model_version from predictions.scores") == [("2",)]


def test_a_training_that_was_cut_off_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered and not yet champion."""
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path)})
    build(settings)
    monkeypatch.setattr(failpoints, "_passed", Counter())
    monkeypatch.setenv("THROUGHLINE_FAILPOINT", "predictions.registered:1:raise")
    with pytest.raises(OSError, match="failpoint"):
        predict(settings)
    monkeypatch.delenv("THROUGHLINE_FAILPOINT")
    report = predict(settings)
    assert [told.is_fine for told in (*report.models, *report.scores, *report.segments)] == [True] * 4
    assert ask(settings, "select distinct model_version from predictions.scores") == [("2",)]


def test_a_lost_registry_is_told_made_anew_and_segments_keep_their_ids(world: Settings) -> None:
    with open_warehouse(world) as connection:
        # As if ids had once been given in another order.
        for table in ("segments", "segment_history"):
            connection.execute(
                f"update predictions.{table} set segment = case segment when 'S1' then 'S2' else 'S1' end"
            )
    sorted_now = "select person_id, segment from predictions.segment_history where valid_to is null"
    before = dict(ask(world, sorted_now))
    world.mlflow_path.unlink()
    shutil.rmtree(world.models_path)
    report = predict(world)
    assert "was trained because the registry that held it is gone" in report.models[0].sentence
    assert dict(ask(world, sorted_now)) == before


def test_after_a_lost_file_a_forced_training_says_what_it_replaces(world: Settings) -> None:
    _lose_file(world)
    report = predict(world, is_forced=True)
    assert "it takes the place of one that cannot be used" in report.models[0].sentence
    decisions = "select model_version, decision from predictions.model_versions where model like 'pays%' order by 1"
    assert ask(world, decisions) == [
        ("1", "it is the first; it was replaced since"),
        ("2", "it takes the place of one that cannot be used"),
    ]


def _one_class(rows: pa.Table) -> pa.Table:
    return rows.set_column(rows.column_names.index("label"), "label", pa.array([False] * rows.num_rows))


def _few_positives(rows: pa.Table) -> pa.Table:
    label = np.zeros(rows.num_rows, bool)
    label[::200] = True
    return rows.set_column(rows.column_names.index("label"), "label", pa.array(label))


def _constant(rows: pa.Table) -> pa.Table:
    for name in ("days_since_entry", "visit_count_7d", "noise"):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array([1] * rows.num_rows, pa.int64()))
    return rows.set_column(rows.column_names.index("first_channel"), "first_channel", pa.array(["email"] * len(rows)))


@pytest.mark.parametrize(
    ("spoil", "told"), [(_one_class, "labels"), (_few_positives, "with the outcome"), (_constant, "features")]
)
def test_a_target_that_carries_no_model_is_skipped_with_its_reason(
    tmp_path: Path, spoil: Callable[[pa.Table], pa.Table], told: str
) -> None:
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path)})
    build(settings, of=spoil(people()))
    report = predict(settings)
    assert report.models[0].sentence.startswith(f"{TARGET}: skipped. ")
    assert told in report.models[0].sentence
    assert report.models[0].sentence.count(". ") == 1
    assert report.scores[0].sentence == f"{TARGET}: nobody is scored, there is no model yet."
    assert ask(settings, "select count(*) from predictions.scores") == [(0,)]


def test_scores_of_a_target_that_is_gone_go_too(world: Settings) -> None:
    with open_warehouse(world) as connection:
        connection.execute("delete from staging.prediction_targets")
    predict(world, on=later(1))
    assert ask(world, "select count(*) from predictions.scores") == [(0,)]
    assert ask(world, "select distinct model from predictions.model_versions") == [("segments",)]


def test_segments_keep_their_ids_when_they_are_found_anew(world: Settings) -> None:
    """People do a new thing the champion does not know; of the first kind most are gone."""
    before = dict(ask(world, "select person_id, segment from predictions.segment_history where valid_to is null"))
    with open_warehouse(world) as connection:
        connection.register("profiles", profiles())
        connection.execute(
            """
            create or replace table features.current_profiles as
            select snapshot_date, person_id, identifier, person_id as component_id, block,
                replace(action, 'board', 'roadmap') as action, action_count
            from profiles
            where is_tonight and (person_id < 'q150' or person_id in (
                select person_id from predictions.segment_history where valid_to is null and segment = 'S2'
            ))
            """
        )
    report = predict(world, on=later(7))
    assert "it takes the place of version 1, which does not know" in report.models[1].sentence
    after = dict(ask(world, "select person_id, segment from predictions.segment_history where valid_to is null"))
    there = [person for (person,) in ask(world, "select distinct person_id from features.current_profiles")]
    assert 200 <= len(there) <= 300
    assert Counter(after[person] for person in there)["S1"] < 0.4 * len(there)
    same = [after[person] == before[person] for person in there]
    assert sum(same) >= 0.95 * len(same)
