"""A few people on several devices; what is told of their identity is worked out by hand.

All times are UTC, and days number from 1 March 2026. The run looks at it as of the end of 30 April, day 61; an
acquisition has 30 days. Everybody is there for one rule:

- ada visits on a1, signs up on a2, and logs in on a1 only after that, within the window of her first visit.
- bob does the same, but logs in on b1 when its window has long passed.
- cleo logs in on c1 and on c2 before she signs up on c2.
- d1 never says who it is; e1 came too late to have been watched for the whole window.
- sam and tom use s1 in turn; before sam logs in, nobody knows who used it, and after that it was sam.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Demo, throughline
from tests.story import Story, at

AS_OF = "2026-04-30"


def tell() -> Story:
    story = Story()
    for when, device, user in (
        ("1 10:00", "a1", None),
        ("4 10:00", "a2", None),
        ("20 10:00", "a1", "ada"),
        ("1 10:00", "b1", None),
        ("2 10:00", "b2", None),
        ("46 10:00", "b1", "bob"),
        ("1 10:00", "c1", None),
        ("2 10:00", "c1", "cleo"),
        ("2 12:00", "c2", "cleo"),
        ("1 10:00", "d1", None),
        ("50 10:00", "e1", None),
        ("61 10:00", "e1", None),
        ("10 10:00", "s1", None),
        ("11 10:00", "s1", "sam"),
        ("12 10:00", "s1", None),
        ("13 10:00", "s1", "tom"),
    ):
        story.page(at(when), device=device, user=user)
    for when, device, user in (("5 10:00", "a2", "ada"), ("3 10:00", "b2", "bob"), ("4 10:00", "c2", "cleo")):
        story.track("Signed Up", at(when), device=device, user=user)
    return story


def run(folder: Path, *, as_of: str, key: Path | None = None) -> Path:
    """A night on what was received by a day, each day in a file of its own."""
    for table, lines in tell().lines.items():
        for line in lines:
            day = str(line["receivedAt"])[:10]
            path = folder / "inbox" / table / f"{day}.jsonl"
            if day <= as_of and json.dumps(line) not in (path.read_text() if path.is_file() else ""):
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    environment = {"THROUGHLINE_DATA": str(folder / "data"), "THROUGHLINE_INBOX": str(folder / "inbox")}
    if key:
        environment["THROUGHLINE_KEY_FILE"] = str(key)
    finished = throughline("run", env=environment | {"THROUGHLINE_AS_OF": as_of})
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (folder / "output.txt").write_text(finished.stdout)
    return folder / "data" / "warehouse.duckdb"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("identity") / "night", as_of=AS_OF)


@pytest.fixture(scope="module")
def quality(warehouse: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(warehouse), read_only=True)


def measured(quality: duckdb.DuckDBPyConnection, measure: str, *, subject: str = "all") -> dict[str, float]:
    """By bucket, zeros left out."""
    return dict(
        quality.execute(
            "select bucket, value from published.identity_quality where subject = ? and measure = ? and value <> 0",
            [subject, measure],
        ).fetchall()
    )


def survivorship(quality: duckdb.DuckDBPyConnection, measure: str) -> list[float]:
    told = measured(quality, measure, subject="acquisition")
    return [told.get(name, 0) for name in ("raw device", "as of", "fully stitched")]


def test_persons_and_their_identifiers(quality: duckdb.DuckDBPyConnection) -> None:
    """ada, bob and cleo have two devices each; d1, e1, sam and tom hold one identifier; s1 is nobody's."""
    assert measured(quality, "persons") == {"all": 7}
    assert measured(quality, "persons_by_kind") == {"known": 5, "anonymous": 2}
    assert measured(quality, "persons_by_identifiers") == {"1": 4, "3": 3}
    assert measured(quality, "identifiers_per_person") == {
        "mean": pytest.approx(13 / 7, abs=1e-4),
        "median": 1,
        "largest": 3,
    }
    assert measured(quality, "identifiers", subject="user_id:app") == {"all": 5}
    assert measured(quality, "persons_at_limit", subject="user_id:app") == {"all": 5}
    assert measured(quality, "identifiers_per_person", subject="device_id:segment") == {
        # Two each of three, one each of d1, e1 and the shared device.
        "mean": 1.5,
        "largest": 2,
    }
    assert measured(quality, "identifiers_by_tier") == {"exact": 14}
    assert sorted(measured(quality, "largest_persons").values()) == [3, 3, 3]
    assert set(
        quality.execute("select detail from published.identity_quality where measure = 'largest_persons'").fetchall()
    ) == {("1 user_id:app, 2 device_id:segment",)}


def test_links_and_shared_devices(quality: duckdb.DuckDBPyConnection) -> None:
    """Two links each of ada, bob and cleo stand; those of s1 to its two users are refused."""
    assert measured(quality, "links_by_kind") == {"deterministic": 8}
    assert measured(quality, "links_by_outcome") == {"joined": 6, "refused": 2}
    assert measured(quality, "refused_links") == {"all": 2}
    assert measured(quality, "refused_links_by_reason") == {"shared device": 2}
    assert measured(quality, "bridges") == {}
    assert measured(quality, "devices") == {"all": 9}
    assert measured(quality, "shared_devices") == {"all": 1}
    assert measured(quality, "events_on_shared_devices") == {"the last user before": 1, "nobody": 1}


def test_log_shows_how_often_and_when(quality: duckdb.DuckDBPyConnection) -> None:
    """cleo was seen on c2 twice."""
    rows = quality.execute(
        """
        select seen_count, cast(first_occurred_at as varchar), cast(last_occurred_at as varchar), outcome
        from identity.link_log where seen_count > 1
        """
    ).fetchall()
    assert rows == [(2, "2026-03-02 12:00:00", "2026-03-04 10:00:00", "joined")]


def test_changes_are_counted_by_the_day_of_their_evidence(quality: duckdb.DuckDBPyConnection) -> None:
    """a1 and b1 were persons until ada and bob logged in there, on days 20 and 46; sam had been s1 until day 13."""
    assert measured(quality, "changes") == {"merge": 2, "split": 1, "new_shared_device": 1}
    assert measured(quality, "changes_of_four_weeks") == {"merge": 1}
    assert measured(quality, "changes_of_the_day") == {}


def test_conversion_on_each_identity(quality: duckdb.DuckDBPyConnection) -> None:
    """Devices: a1 a2 b1 b2 c1 c2 d1 s1, of which a2, b2 and c2 convert.

    As of: ada once, as a1 was known to be hers before its window passed; b1 and bob apart; cleo, d1, sam and tom once
    each. Stitched: b1 is bob's as well. e1 has not been watched for long enough.
    """
    assert survivorship(quality, "entered") == [8, 7, 6]
    assert survivorship(quality, "converted") == [3, 3, 3]
    assert survivorship(quality, "conversion_rate") == [0.375, pytest.approx(3 / 7, abs=1e-4), 0.5]
    # Wilson's interval for 3 of 6, as published tables of it have it.
    assert quality.execute(
        """
        select round(value_low, 3), round(value_high, 3) from published.identity_quality
        where measure = 'conversion_rate' and subject = 'acquisition' and bucket = 'fully stitched'
        """
    ).fetchall() == [(0.188, 0.812)]


def test_way_to_conversion_on_each_identity(quality: duckdb.DuckDBPyConnection) -> None:
    """Before signing up: one event on a2, b2 and c2 each, the latter 1 day 22 hours ago, the others a day.

    As of, cleo's three on both devices count, the first of them three days ago. Stitched, a1 and b1 count too: two
    events each, of ada four days and of bob two days before.
    """
    assert survivorship(quality, "conversions") == [3, 3, 3]
    assert survivorship(quality, "median_events_before") == [1, 1, 2]
    assert survivorship(quality, "mean_events_before") == [
        pytest.approx(value, abs=1e-4) for value in (3 / 3, 5 / 3, 7 / 3)
    ]
    assert survivorship(quality, "mean_days_before") == [
        pytest.approx(value, abs=1e-4) for value in ((1 + 1 + 46 / 24) / 3, (1 + 1 + 3) / 3, (4 + 2 + 3) / 3)
    ]
    assert survivorship(quality, "conversions_with_a_past") == [1, 1, 1]


def test_fully_stitched_entries_are_the_first_attempts(quality: duckdb.DuckDBPyConnection) -> None:
    """Found in another way, by ``journeys.attempts``."""
    entries = "select journey, subject, started_at, is_converted from published.identity_entries"
    assert (
        quality.execute(f"{entries} where identity = 'fully stitched' order by all").fetchall()
        == quality.execute(
            """
            select journey, person_id, min(started_at), arg_min(status, started_at) = 'converted'
            from journeys.attempts group by journey, person_id order by all
            """
        ).fetchall()
    )


def test_night_prints_the_summary(warehouse: Path) -> None:
    printed = (warehouse.parent.parent / "output.txt").read_text()
    assert "7: 5 known and 2 anonymous; 1.9 identifiers each, 3 at most" in printed
    assert "2 shared device" in printed
    [line] = [line for line in printed.splitlines() if line.startswith("acquisition") and "(" in line]
    assert [word for word in line.split() if word in ("38", "43", "50")] == ["38", "43", "50"]


def test_nights_give_the_same_as_all_at_once(warehouse: Path, tmp_path: Path) -> None:
    """One night in the middle of what is known of ada, s1 and bob."""
    # Tokens, and with them the ids of persons, are made with the key.
    key = warehouse.parent / "key"
    for day in ("2026-03-12", "2026-04-02"):
        run(tmp_path, as_of=day, key=key)
    nightly = run(tmp_path, as_of=AS_OF, key=key)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as one (read_only)")
        connection.execute(f"attach '{nightly}' as other (read_only)")
        for table in ("published.identity_quality", "identity.links", "identity.bridges"):
            for here, there in (("one", "other"), ("other", "one")):
                assert connection.execute(f"from {here}.{table} except all from {there}.{table}").fetchall() == []


def test_households_and_accounts_of_the_demo_are_counted_by_persons(demo: Demo) -> None:
    with duckdb.connect(str(demo.settings.warehouse_path), read_only=True) as connection:
        lives = connection.execute("select household_id, person_id from identity.households").fetchall()
        belongs = connection.execute("select account_key, person_id from identity.accounts").fetchall()
        sizes = Counter(min(count, 4) for count in Counter(home for home, _ in set(lives)).values())
        told = measured(connection, "households_by_persons")
        assert told == {name: sizes[n] for n, name in enumerate(("1", "2", "3", "4 and more"), start=1) if sizes[n]}
        assert len(told) > 1
        assert measured(connection, "accounts") == {"all": len({account for account, _ in belongs})}
        persons = {person for _, person in belongs if person}
        assert measured(connection, "persons_in_accounts") == {"all": len(persons)}
        # An account may be known by its domain alone, and somebody by several identifiers.
        assert len(belongs) > len({account for account, _ in belongs}) > 0 and None in {person for _, person in belongs}
