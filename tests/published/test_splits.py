"""Segments put by hand into the world of ``tests/story.py``: what `published` makes of them, and what it refuses.

The weeks of the story begin on Mondays in India. Rita's renewals start on 20 January, 20 February and 20 March; she is
in S1 from Monday, 23 February and in S2 from Monday, 16 March. Omar signs up on 1 March, a Sunday, in the week of 23
February.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dagster_project.defs.transform import published_tables
from dagster_project.night import current_night
from dagster_project.settings import Settings, load_settings
from dagster_project.transform import MANIFEST, NodeResult, build
from dagster_project.warehouse import open_warehouse
from tests import story
from tests.story import Told

HISTORY = [
    ("rita", "S1", "2026-02-23", "2026-03-16"),
    ("rita", "S2", "2026-03-16", None),
    ("omar", "S1", "2026-02-23", None),
    # In a segment from the week after he signed up.
    ("quin", "S2", "2026-03-23", None),
    # Was in one, is in none.
    ("stan", "S1", "2026-02-23", "2026-03-02"),
]
SCORES = [("rita", 0.25), ("omar", 0.5), ("quin", 0.75)]


def third_stage() -> list[str]:
    """dbt's names of all that the last part of the night builds and tests."""
    specs = [*published_tables.specs, *published_tables.check_specs]
    return [spec.metadata["dagster_dbt/unique_id"] for spec in specs]


def copy_of(told: Told, folder: Path) -> Settings:
    """A data folder with a warehouse like that one."""
    folder.mkdir(exist_ok=True)
    shutil.copy2(told.data / "warehouse.duckdb", folder / "warehouse.duckdb")
    return load_settings({"THROUGHLINE_DATA": str(folder), "THROUGHLINE_TIMEZONE": story.TIMEZONE})


def run(settings: Settings, nodes: list[str]) -> dict[str, NodeResult]:
    results = build(settings, night=current_night(settings, run_id="once more"), nodes=nodes)
    return {result.unique_id: result for result in results}


class Split(Told):
    """The story's warehouse after `published` was built with segments, and what dbt said of it."""

    def __init__(self, data: Path, results: dict[str, NodeResult]) -> None:
        super().__init__(data)
        self.results = results


@pytest.fixture(scope="module")
def split(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Split:
    settings = copy_of(told, tmp_path_factory.mktemp("splits") / "data")
    with open_warehouse(settings) as connection:
        connection.execute(
            "insert into predictions.segments values ('S1', 'planners', 'They plan.', '3'), "
            "('S2', 'payers', 'They pay.', '3'), ('S3', 'nobody', 'Nobody is in it.', '3')"
        )
        for user, *stretch in HISTORY:
            connection.execute(
                "insert into predictions.segment_history values (?, ?, ?, ?)", [told.person(user), *stretch]
            )
        people = [(told.person(user), probability) for user, probability in SCORES]
        for person, probability in [*people, ("merged since", 0.9)]:
            connection.execute(
                "insert into predictions.scores values (?, 'pays', ?, 5, 'why', null, null, '7', '2026-03-30')",
                [person, probability],
            )
        connection.execute(
            "insert into predictions.model_versions by name select 'pays' as model, '7' as model_version, "
            "'propensity' as kind, 'pays' as target, true as is_champion, 1 / 3 as auc"
        )
        connection.execute(
            "insert into predictions.model_diagnostics values "
            "('pays', '7', 'calibration', '0.1', 1, 0.1, 0.12345678, 0, 1, 40)"
        )
    results = run(settings, third_stage())
    shutil.copy2(told.data / "key", settings.data / "key")
    return Split(settings.data, results)


def test_everything_is_built_and_every_test_passes(split: Split) -> None:
    assert {name: result.message for name, result in split.results.items() if not result.is_built} == {}
    assert set(split.results) == set(third_stage())


def test_segment_is_that_of_the_monday_before_the_attempt(split: Split) -> None:
    assert split.rows(
        "select started_at::date::varchar, assigned_segment from published.attempt_segments "
        "inner join published.journey_attempts using (attempt_id, journey) "
        "where journey = 'renewal' and person_id = ? order by 1",
        split.person("rita"),
    ) == [("2026-01-20", "unassigned"), ("2026-02-20", "unassigned"), ("2026-03-20", "S2")]
    for user, segment in (("omar", "S1"), ("quin", "unassigned")):
        assert split.one(
            "select assigned_segment from published.attempt_segments "
            "inner join published.journey_attempts using (attempt_id, journey) "
            "where journey = 'onboarding' and person_id = ?",
            split.person(user),
        ) == (segment,)


def test_stage_counts_of_a_segment_are_those_of_its_attempts(split: Split) -> None:
    """Of the renewals only Rita's of March is in S2, and Stan's of 1 March, begun in the week of 23 February, in S1."""
    assert split.rows(
        "select week, segment, stage_order, entered_count, reached_count, lost_count, open_count "
        "from published.journey_stages where journey = 'renewal' and segment in ('S1', 'S2') and reached_count > 0 "
        "order by all"
    ) == [
        ("2026-02-23", "S1", 1, 1, 1, 1, 0),
        ("2026-03-16", "S2", 1, 1, 1, 0, 1),
        ("all", "S1", 1, 1, 1, 1, 0),
        ("all", "S2", 1, 1, 1, 0, 1),
    ]


@pytest.mark.parametrize(
    ("table", "grain", "counts"),
    [
        (
            "journey_stages",
            "journey, week, stage_order",
            "entered_count reached_count advanced_count lost_count open_count",
        ),
        ("journey_health_scores", "journey, week_start_date, channel", "entered_count"),
        (
            "weekly_conversion",
            "journey, week_start_date, channel",
            "entered_count converted_count lost_count open_count",
        ),
    ],
)
def test_segments_add_up_to_all(split: Split, table: str, grain: str, counts: str) -> None:
    sums = ", ".join(f"sum({count})::bigint" for count in counts.split())
    whole, parts = (
        split.rows(
            f"select {grain}, {sums} from published.{table} where segment {test} 'all' group by all order by all"
        )
        for test in ("=", "<>")
    )
    assert whole and whole == parts


def test_rows_of_everybody_are_what_they_are_without_segments(told: Told, split: Split) -> None:
    for table in ("journey_stages", "journey_health_scores"):
        asked = f"select * from published.{table} where segment = 'all' order by all"
        assert split.rows(asked) == told.rows(asked)
        assert split.rows(f"select count(distinct segment) from published.{table}") == [(4,)]


def test_without_segments_nothing_is_split(told: Told) -> None:
    for table in ("journey_stages", "journey_health_scores"):
        assert told.rows(f"select distinct segment from published.{table}") == [("all",)]
    assert told.rows("select distinct segment from published.customers") == [(None,)]
    assert told.rows("select * from published.customer_segments") == []


def test_customer_is_in_the_segment_that_lasts(split: Split) -> None:
    asked = "select segment from published.customers where person_id = ?"
    for user, segment in (
        ("rita", "S2"),
        ("omar", "S1"),
        ("quin", "S2"),
        ("stan", "unassigned"),
        ("ines", "unassigned"),
    ):
        assert split.one(asked, split.person(user)) == (segment,), user


def test_segments_tell_who_is_in_them_and_what_they_paid(split: Split) -> None:
    """Rita paid 19 in January, February and March; Quin, who is in S2 with her, and Omar paid nothing."""
    columns = "name, customer_count, converted_count, conversion_rate, value_amount::varchar, value_currency"
    paid = split.one(
        "select sum(revenue)::varchar from timeline.customer_events where person_id = ?", split.person("rita")
    )
    assert paid == ("57.00",)
    asked = f"select {columns} from published.customer_segments where segment = ?"
    assert split.one(asked, "S1") == ("planners", 1, 0, 0.0, None, None)
    assert split.one(asked, "S2") == ("payers", 2, 1, 0.5, "28.50", "USD")
    assert split.one(asked, "S3") == ("nobody", 0, 0, None, None, None)
    assert split.one("select sum(customer_count)::int, count(*) from published.customer_segments") == (
        split.one("select count(*) from published.customers")[0],
        4,
    )


def test_interval_of_the_conversion_is_wilsons(split: Split) -> None:
    # Of two, one: (1 + z²/2 ± z sqrt(1/2 + z²/4)) / (2 + z²).
    assert split.one(
        "select conversion_low, conversion_high from published.customer_segments where segment = 'S2'"
    ) == pytest.approx((0.094531, 0.905469), abs=1e-6)


def test_scores_are_only_of_those_who_are_customers_today(split: Split) -> None:
    assert split.rows("select person_id, probability from published.customer_scores order by 2") == [
        (split.person(user), probability) for user, probability in SCORES
    ]


def test_cards_and_diagnostics_are_the_models(split: Split) -> None:
    assert split.rows("select model, model_version, is_champion, auc from published.model_cards") == [
        ("pays", "7", True, 0.333333)
    ]
    assert split.rows("select measure, bucket, observed from published.model_diagnostics") == [
        ("calibration", "0.1", 0.123457)
    ]


def test_wrong_predictions_fail_the_tests_of_the_source(told: Told, tmp_path: Path) -> None:
    """Everything that a test forbids at once: each test finds it, and none of the tables that read it is built."""
    settings = copy_of(told, tmp_path / "data")
    with open_warehouse(settings) as connection:
        for score in (
            "('a', 'pays', 1.5, 11, 'why', null, null, '7', '2026-03-30')",
            "('a', 'pays', null, 1, 'why', null, null, '7', '2026-03-30')",
        ):
            connection.execute(f"insert into predictions.scores values {score}")
        connection.execute("insert into predictions.segments values ('all', 'x', 'y', '1'), ('all', null, 'y', '1')")
        connection.execute(
            "insert into predictions.segment_history values ('a', 'S9', '2026-03-02', null), "
            "('a', 'all', '2026-03-02', null), ('a', 'all', null, '2026-03-09')"
        )
        for _ in range(2):
            connection.execute(
                "insert into predictions.model_versions by name select 'm' as model, '1' as model_version, "
                "'other' as kind, true as is_champion"
            )
            connection.execute(
                "insert into predictions.model_diagnostics by name select 'm' as model, '1' as model_version, "
                "'else' as measure, 'b' as bucket"
            )
        connection.execute(
            "insert into predictions.model_versions by name "
            "select 'm' as model, 'propensity' as kind, true as is_champion"
        )
    nodes = json.loads(MANIFEST.read_text())["nodes"]
    tests = [
        name
        for name in third_stage()
        if name.startswith("test.")
        and all(parent.startswith("source.throughline.predictions.") for parent in nodes[name]["depends_on"]["nodes"])
    ]
    reader = "model.throughline.customer_scores"
    results = run(settings, [*tests, reader])
    assert len(tests) >= 15
    assert {name for name in tests if results[name].status != "fail"} == set()
    assert results[reader].status == "skipped"


@pytest.mark.parametrize(
    ("assertion", "harm"),
    [
        (
            "assert_attempts_add_up",
            "update published.journey_stages set open_count = 0, reached_count = reached_count - open_count "
            "where journey = 'renewal' and week = 'all' and segment = 'S2' and stage_order = 1",
        ),
        ("assert_attempts_add_up", "delete from published.journey_stages where segment = 'S1'"),
        ("assert_health_splits_add_up", "delete from published.journey_health_scores where segment = 'unassigned'"),
        (
            "assert_health_splits_add_up",
            "update published.journey_health_scores set entered_count = entered_count + 1 "
            "where channel = 'all' and segment = 'S1'",
        ),
    ],
)
def test_splits_that_do_not_add_up_are_found(split: Split, tmp_path: Path, assertion: str, harm: str) -> None:
    settings = copy_of(split, tmp_path / "data")
    with open_warehouse(settings) as connection:
        connection.execute(harm)
    assertion = f"test.throughline.{assertion}"
    assert run(settings, [assertion])[assertion].status == "fail"


def test_steps_on_the_way_are_views_and_nothing_upstream_reads_predictions(split: Split) -> None:
    steps = {"attempt_segments", "weekly_conversion", "weekly_measures", "health_components"}
    steps |= {"identity_entries", "identity_paths"}
    views = split.rows("select view_name from duckdb_views() where schema_name = 'published'")
    assert {name for (name,) in views} == steps
    manifest = json.loads(MANIFEST.read_text())
    readers = {
        manifest["nodes"][child]["schema"]
        for source, children in manifest["child_map"].items()
        if source.startswith("source.throughline.predictions.")
        for child in children
        if child.startswith("model.")
    }
    assert readers == {"published"}
