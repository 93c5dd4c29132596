"""Features of a world told by hand, and of the same world with three things that nobody could have known earlier.

Everybody lives in March 2026 in India, where a Monday begins on Sunday at 18:30 UTC. The run looks as of the end of
Tuesday 31 March, so a label of 14 days and one for late exports is complete for the Mondays up to the 16th.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import pytest

from dagster_project.settings import DBT_DIR
from tests import story
from tests.children import run_in_child
from tests.features.build import build_features
from tests.story import Story, Told, at

KEYS = ("snapshot_date", "person_id", "identifier", "component_id")
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def monday(day: int) -> date:
    return date(2026, 3, day)


def tell(*, is_planted: bool) -> Story:
    """Everybody's story; three people's goes on differently where something is planted."""
    told = Story()

    def does(user: str, event: str, clock: str, device: str | None = None, **fields: object) -> None:
        told.track(event, at(clock), device=device or f"dev-{user}", user=user, **fields)

    # Ada's first week, to be counted by hand. Of two pages on Sunday evening one is received before midnight.
    told.page(at("2 10:00"), device="dev-ada", entry="paid search")
    does("ada", "Signed Up", "2 10:05")
    does("ada", "Trial Started", "2 10:06")
    does("ada", "Feature Used", "3 10:00", properties={"feature": "board"})
    does("ada", "Feature Used", "3 10:29:59", properties={"feature": "gantt"})
    does("ada", "Feature Used", "3 14:00", properties={"feature": "board"})
    told.page(at("7 14:00"), "Pricing", device="dev-ada", user="ada")
    told.page(at("8 18:20"), device="dev-ada", user="ada", received=at("8 18:29:59"))
    told.page(at("8 18:25"), device="dev-ada", user="ada", received=at("8 18:30"))
    # She pays on the last of the 14 days after the 9th, Jon half a day later on the first day after them.
    does("ada", "Subscription Started", "22 10:00")
    does("jon", "Trial Started", "3 10:00")
    does("jon", "Subscription Started", "22 18:30")

    # Gus cancels and enters again. Hal has cancelled, which is known later. Ida entered 91 days before the 2nd.
    does("gus", "Trial Started", "3 10:00")
    does("gus", "Trial Cancelled", "10 10:00")
    does("gus", "Trial Started", "12 10:00")
    does("hal", "Trial Started", "3 10:00")
    does("hal", "Trial Cancelled", "6 10:00", received=at("11 04:00"))
    told.track("Trial Started", at("2 10:00") - timedelta(days=91), device="dev-ida", user="ida")

    # Fay is known; without a log-in, on another device, she starts a trial and pays for it.
    told.page(at("1 10:00"), device="dev-fay", user="fay")
    told.track("Trial Started", at("4 10:00"), device="dev-fay-new")
    does("fay", "Subscription Started", "11 10:00", device="dev-fay-new")

    # Kim takes her consent back. Dora has a tablet until Emil uses it too. A bot reads on.
    told.page(at("3 10:00"), device="dev-kim", user="kim", consent={"Analytics": True})
    told.page(at("20 10:00"), device="dev-kim", user="kim", consent={"Analytics": False})
    told.page(at("3 10:00"), device="tablet")
    does("dora", "Feature Used", "3 11:00", device="tablet")
    does("emil", "Feature Used", "11 10:00", device="tablet")
    told.page(at("12 10:00"), device="tablet")
    told.page(at("3 10:00"), device="dev-bot", agent=BOT)

    # Bea, Cem and Dag, to whom something is planted.
    does("bea", "Trial Started", "3 10:00")
    does("cem", "Trial Started", "3 10:00", entry="paid search")
    told.page(at("3 10:50"), device="dev-cem", user="cem")
    does("dag", "Trial Started", "3 10:00")
    told.page(at("4 10:00"), device="dev-dag-new")
    if is_planted:
        # What is still to come; what had happened and came late; whose a device was, known by a purchase.
        does("bea", "Feature Used", "12 10:00", entry="email")
        told.track("Checkout Started", at("12 10:05"), device="dev-bea", user="bea")
        told.page(at("2 10:00"), device="dev-cem", user="cem", entry="email", received=at("18 04:00"))
        told.page(at("3 10:25"), device="dev-cem", user="cem", received=at("18 04:00"))
        does("dag", "Subscription Started", "19 10:00", device="dev-dag-new")
    return told


class World(Told):
    """The warehouse after one night; people are found as they were known at a snapshot."""

    def device(self, name: str) -> str:
        """The token of a device of the story."""
        digest = hmac.new((self.data / "key").read_bytes(), f"device_id|segment|{name}".encode(), hashlib.sha256)
        return f"device_id:segment:{digest.hexdigest()[:32]}"

    def known(self, identifier: str, day: date, columns: str, table: str = "customer_snapshots") -> list[tuple]:
        """Columns of the rows of whoever was known to hold an identifier at the start of a day."""
        start = datetime.combine(day, time()) - timedelta(hours=5, minutes=30)
        return self.rows(
            f"""
            select {columns} from features.{table} where snapshot_date = ? and person_id in (
                select person_id from identity.identifier_history
                where identifier = ? and known_from <= ? and (known_to is null or known_to > ?)
            ) order by all
            """,
            *(day, identifier, start, start),
        )

    def snapshots(self, until: date, *, without: tuple[str, ...] = ()) -> set[tuple]:
        """Whole rows up to a snapshot, but those of some people; which rows are rebuilt together is no feature."""
        left_out = [self.token(user) for user in without] + [self.device(f"dev-{user}") for user in without]
        found = self.rows(
            "select * exclude (component_id) from features.customer_snapshots where snapshot_date <= ? "
            "and person_id not in "
            "(select person_id from identity.identifier_history where list_contains(?, identifier))",
            *(until, left_out),
        )
        assert len(found) == len(set(found))
        return set(found)


@dataclass(frozen=True)
class Worlds:
    plain: World
    planted: World


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """The world without and with what is planted, both built in one process."""
    folders = []
    for is_planted in (False, True):
        folder = tmp_path_factory.mktemp("planted" if is_planted else "plain")
        tell(is_planted=is_planted).write(folder / "inbox")
        # One key for both, so that one identifier is one token.
        (folder / "data").mkdir()
        (folder / "data" / "key").write_bytes(bytes(range(32)))
        (folder / "data" / "key").chmod(0o600)
        folders.append(folder)
    done = run_in_child(
        build_features,
        folders,
        env={"THROUGHLINE_TIMEZONE": story.TIMEZONE, "THROUGHLINE_AS_OF": story.AS_OF},
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    plain, planted = (World(folder / "data") for folder in folders)
    yield Worlds(plain, planted)
    plain.connection.close()
    planted.connection.close()


def test_a_week_counted_by_hand(worlds: Worlds) -> None:
    """Visits on Monday, Tuesday (two) and Saturday evening; the second page of Sunday was not yet available."""
    world = worlds.plain
    columns = {
        "days_since_first_seen": 7,
        "days_since_last_seen": 1,
        "visit_count_7d": 5,
        "visit_count_8_14d": 0,
        "use_visit_count_7d": 2,
        "use_level_7d": 2,
        "use_level_8_14d": 0,
        "active_day_count_28d": 4,
        "touch_count_28d": 6,
        "milestone_count_28d": 2,
        "evening_share": 0.6,
        "has_login": 1,
        "feature_used_count": 3,
        "days_since_feature_used": 6,
        "pricing_viewed_count": 1,
        "days_since_pricing_viewed": 2,
        "plan_imported_count": 0,
        "days_since_plan_imported": 92,
        "first_channel": "paid search",
        "device_kind": "desktop",
        "country": "unknown",
    }
    assert world.known(world.token("ada"), monday(9), ", ".join(columns)) == [tuple(columns.values())]
    # A week later the late page is there too, in the visit that was known before it.
    assert world.known(
        world.token("ada"), monday(16), "visit_count_8_14d, touch_count_28d, use_level_7d, use_level_8_14d"
    ) == [(5, 7, 0, 2)]


def test_what_became_known_later_changes_no_earlier_feature(worlds: Worlds) -> None:
    plain, planted = worlds.plain, worlds.planted
    assert planted.snapshots(monday(9)) == plain.snapshots(monday(9)) != set()
    assert planted.snapshots(monday(16), without=("bea",)) == plain.snapshots(monday(16), without=("bea",))
    assert len(plain.snapshots(monday(9))) > 15


def test_a_coming_event_counts_once_it_has_come(worlds: Worlds) -> None:
    columns = "use_visit_count_7d, checkout_started_count, days_since_last_seen, first_channel"
    for world, known in ((worlds.plain, (0, 0, 13, "direct")), (worlds.planted, (1, 1, 4, "direct"))):
        assert world.known(world.token("bea"), monday(16), columns) == [known]


def test_a_late_row_counts_once_it_is_available(worlds: Worlds) -> None:
    """A page between two visits and one before them: neither joins them, and the first is a visit of its own."""
    columns = "visit_count_28d, touch_count_28d, days_since_first_seen, first_channel"
    for world, known in ((worlds.plain, (2, 1, 20, "paid search")), (worlds.planted, (4, 3, 21, "email"))):
        assert world.known(world.token("cem"), monday(23), columns) == [known]
        assert world.known(world.token("cem"), monday(16), columns) == [(2, 1, 13, "paid search")]


def test_a_device_counts_for_whoever_it_was_known_to_be(worlds: Worlds) -> None:
    """Apart before the purchase that links them, together after it; the purchase itself is in no feature."""
    columns = "has_login, visit_count_28d, milestone_count_28d, touch_count_28d, days_since_last_seen"
    for world in (worlds.plain, worlds.planted):
        assert world.known(world.device("dev-dag-new"), monday(16), columns) == [(0, 1, 0, 1, 12)]
        assert world.known(world.token("dag"), monday(16), columns) == [(1, 1, 1, 0, 13)]
    assert worlds.plain.known(worlds.plain.token("dag"), monday(23), columns) == [(1, 1, 1, 0, 20)]
    together = [(1, 2, 1, 1, 19)]
    assert worlds.planted.known(worlds.planted.token("dag"), monday(23), columns) == together
    assert worlds.planted.known(worlds.planted.device("dev-dag-new"), monday(23), columns) == together


def test_a_shared_device_is_nobodys_once_it_is_known_to_be_shared(worlds: Worlds) -> None:
    world = worlds.plain
    assert world.known(world.token("dora"), monday(9), "touch_count_28d") == [(2,)]
    assert world.known(world.token("dora"), monday(16), "touch_count_28d") == [(1,)]
    assert world.known(world.device("tablet"), monday(16), "*") == []
    assert world.known(world.token("emil"), monday(16), "touch_count_28d") == [(1,)]


def test_without_consent_or_a_human_there_is_no_row(worlds: Worlds) -> None:
    world = worlds.plain
    for day in (9, 16, 23, 30):
        assert world.known(world.token("kim"), monday(day), "*") == []
        assert world.known(world.device("dev-bot"), monday(day), "*") == []


def asked(world: World, identifier: str) -> list[tuple]:
    """Snapshots at which whoever held an identifier is asked about: day of March, days since entry, label."""
    return [
        (day.day, *row)
        for day in (monday(2) + timedelta(weeks=week) for week in range(5))
        for row in world.known(identifier, day, "days_since_entry, label, is_label_complete", table="target_rows")
    ]


def test_who_is_asked_about_and_what_became_of_them(worlds: Worlds) -> None:
    world = worlds.plain
    # The last of 14 days is Sunday the 22nd. She pays on it, and from then on is asked about no more.
    assert asked(world, world.token("ada")) == [(9, 7, True, True), (16, 14, True, True)]
    assert asked(world, world.token("jon")) == [
        (9, 6, False, True),
        (16, 13, True, True),
        (23, 20, None, False),
    ]
    # Out by a cancellation, in again by another start.
    assert asked(world, world.token("gus")) == [
        (9, 6, False, True),
        (16, 4, False, True),
        (23, 11, None, False),
        (30, 18, None, False),
    ]
    # That he had cancelled was not known on the 9th.
    assert asked(world, world.token("hal")) == [(9, 6, False, True)]
    assert asked(world, world.token("ida")) == [(2, 91, False, True)]
    # Nothing else came of Bea, to tonight, which is for scoring.
    assert world.known(
        world.token("bea"), date(2026, 4, 1), "is_tonight, days_since_entry, label, is_label_complete", "target_rows"
    ) == [(True, 29, None, False)]


def test_somebody_then_anonymous_is_labelled_by_what_they_became(worlds: Worlds) -> None:
    world = worlds.plain
    device = world.device("dev-fay-new")
    [(then, identifier)] = world.known(device, monday(9), "person_id, identifier", table="target_rows")
    assert identifier == device
    assert then != world.person("fay")
    assert asked(world, device) == [(9, 5, True, True)]
    assert asked(world, world.token("fay")) == []


def test_labels_look_ahead_and_features_do_not(worlds: Worlds) -> None:
    """The planted purchase changes the label of the 9th and 16th, of whom it was known to be then, and nothing else."""
    planted = worlds.planted
    assert [row[2] for row in asked(worlds.plain, worlds.plain.token("dag"))][:2] == [False, False]
    assert asked(planted, planted.token("dag")) == [(9, 6, True, True), (16, 13, True, True)]


def test_profiles_tell_what_people_did_by_then(worlds: Worlds) -> None:
    world = worlds.plain
    assert world.known(world.token("ada"), monday(9), "block, action, action_count", table="action_profiles") == [
        ("channel", "direct", 4),
        ("channel", "paid search", 1),
        ("device", "desktop", 5),
        ("feature", "board", 2),
        ("feature", "gantt", 1),
        ("time of day", "afternoon", 2),
        ("time of day", "evening", 3),
    ]
    # The page of Sunday night that was known on Monday is one she did not land on; after it she does nothing more.
    rows = world.known(world.token("ada"), monday(16), "block, action, action_count", table="action_profiles")
    assert [row for row in rows if row[0] == "page"] == [("page", "home", 1)]
    assert world.known(world.token("ada"), monday(30), "*", table="action_profiles") == []


def test_tonight_has_the_same_columns_and_the_same_rule(worlds: Worlds) -> None:
    world = worlds.planted
    described = [
        world.rows(
            "select column_name, data_type from duckdb_columns() where schema_name = 'features' and table_name = ?",
            table,
        )
        for table in ("customer_snapshots", "current_customers")
    ]
    assert described[0] == described[1]
    assert world.known(
        world.token("ada"), date(2026, 4, 1), "days_since_first_seen, touch_count_28d", "current_customers"
    ) == [(30, 3)]


def test_every_feature_has_words(worlds: Worlds) -> None:
    columns = worlds.plain.rows(
        "select column_name from duckdb_columns() where schema_name = 'features' and table_name = 'customer_snapshots'"
    )
    with (DBT_DIR / "seeds" / "feature_words.csv").open(newline="") as file:
        words = {row["feature"] for row in csv.DictReader(file)}
    assert words == {name for (name,) in columns} - set(KEYS) | {"days_since_entry"}


def test_no_outcome_feeds_a_feature() -> None:
    """Neither an outcome nor what follows from one is counted, or tells of a journey type."""
    text = (DBT_DIR / "macros" / "features.sql").read_text()

    def returned(macro: str) -> object:
        found = re.search(rf"macro {macro}\(\).*?return\(\s*(.*?)\s*\)\s*}}}}", text, flags=re.DOTALL)
        assert found
        return ast.literal_eval(found[1])

    with (DBT_DIR / "seeds" / "event_taxonomy.csv").open(newline="") as file:
        outcomes = {row["event"] for row in csv.DictReader(file) if row["kind"] == "outcome"}
    with (DBT_DIR / "seeds" / "prediction_targets.csv").open(newline="") as file:
        outcomes |= {event for row in csv.DictReader(file) for event in row["outcome_events"].split("|")}
    with (DBT_DIR / "seeds" / "action_details.csv").open(newline="") as file:
        used = {row["event"] for row in csv.DictReader(file)}
    events = returned("feature_events")
    assert isinstance(events, dict)
    used |= {event for named in events.values() for event in named}
    used |= set(returned("help_events"))  # type: ignore[call-overload]
    assert used.isdisjoint(outcomes | set(returned("events_after_outcomes")))  # type: ignore[call-overload]
