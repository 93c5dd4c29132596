"""The truth of the demo against what its exports really say, and what an oracle could make of them."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dagster_project.demo.truth import TABLES
from dagster_project.settings import PROJECT_ROOT
from tests.conftest import Demo

PHONE = re.compile(r"[+(]?\d[\d ().-]{8,}")


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def texts(value: object) -> Iterator[str]:
    """Every text and number in a JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif value is not None:
        yield str(value)


def records(inbox: Path) -> Iterator[list[str]]:
    """What each exported row says, as texts."""
    for path in sorted(inbox.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield list(texts(json.loads(line)))
    for path in sorted(inbox.rglob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield [value for value in row.values() if value]


def plain(kind: str, value: str) -> str:
    """An identifier as it can be compared: telephones by their digits."""
    if kind != "phone":
        return value
    digits = re.sub(r"\D", "", value)
    return digits if len(digits) > 10 else f"1{digits}"


@pytest.fixture(scope="module")
def people(demo: Demo) -> list[dict[str, str]]:
    return read(demo.truth, "people")


@pytest.fixture(scope="module")
def together(demo: Demo, people: list[dict[str, str]]) -> set[tuple[str, ...]]:
    """Identifiers that one exported row names together."""
    known = {plain(row["identifier_type"], row["identifier"]) for row in people}
    found = set()
    for said in records(demo.settings.inbox):
        mine = {text for text in said if text in known}
        mine |= {digits for text in said if PHONE.fullmatch(text) and (digits := plain("phone", text)) in known}
        found.add(tuple(sorted(mine)))
    return found


def test_every_identifier_of_the_truth_is_in_the_exports(
    people: list[dict[str, str]], together: set[tuple[str, ...]]
) -> None:
    exported = {identifier for row in together for identifier in row}
    missing = Counter(
        row["identifier_type"] for row in people if plain(row["identifier_type"], row["identifier"]) not in exported
    )
    assert missing == {}


def test_an_oracle_links_nearly_every_pair_that_can_be_linked(
    people: list[dict[str, str]], together: set[tuple[str, ...]]
) -> None:
    """Who knows which identifiers several people use, and whose card it is, misses only what hangs on those alone."""
    owners = defaultdict(set)
    for row in people:
        owners[plain(row["identifier_type"], row["identifier"])].add(row["person"])
    number = {identifier: place for place, identifier in enumerate(owners)}
    cards = {row["person"]: row["identifier"] for row in people if row["identifier_type"] == "loyalty_card"}
    contacts = {row["person"]: row["identifier"] for row in people if row["identifier_type"] == "hubspot_contact"}
    by_name = [(cards[person], contacts[person]) for person in cards.keys() & contacts.keys()]

    def groups(rows: list[tuple[str, ...]]) -> np.ndarray:
        pairs = np.array([(number[row[0]], number[other]) for row in rows for other in row[1:]])
        matrix = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(number), len(number)))
        return connected_components(matrix, directed=False)[1]

    def same_person_pairs(group: np.ndarray) -> int:
        sizes = Counter(
            (row["person"], group[number[plain(row["identifier_type"], row["identifier"])]]) for row in people
        )
        return sum(size * (size - 1) // 2 for size in sizes.values())

    own = [tuple(identifier for identifier in row if len(owners[identifier]) == 1) for row in together]
    linkable = same_person_pairs(groups([*together, *by_name]))
    linked = same_person_pairs(groups([row for row in [*own, *by_name] if len(row) > 1]))
    assert linkable > 2 * len(owners)
    assert linked / linkable >= 0.97


def test_some_people_can_be_linked_by_name_and_home_alone(
    people: list[dict[str, str]], together: set[tuple[str, ...]]
) -> None:
    linked_cards = {
        identifier for row in together if len(row) > 1 and any("@" in other for other in row) for identifier in row
    }
    cards = {row["person"] for row in people if row["identifier_type"] == "loyalty_card"}
    tied = {
        row["person"]
        for row in people
        if row["identifier_type"] == "loyalty_card" and row["identifier"] in linked_cards
    }
    known_elsewhere = {row["person"] for row in people if row["identifier_type"] in ("user_id", "hubspot_contact")}
    everyone = len({row["person"] for row in people})
    assert len((cards - tied) & known_elsewhere) / everyone >= 0.08


def test_households_share_a_home_and_accounts_are_companies(people: list[dict[str, str]]) -> None:
    members = defaultdict(set)
    for row in people:
        members[row["household"]].add(row["person"])
    sizes = Counter(len(persons) for persons in members.values())
    assert set(sizes) == {1, 2}
    assert sizes[2] > 0.05 * len(members)
    assert all(re.fullmatch(r"a\d+|", row["account"]) for row in people)


def test_hazards_are_chances_of_one_journey_each(demo: Demo) -> None:
    rows = read(demo.truth, "hazards")
    assert {row["journey"] for row in rows} == {"trial_to_paid", "renewal"}
    for row in rows:
        wanted, other = ("p_convert_14d", "p_churn_30d")[:: 1 if row["journey"] == "trial_to_paid" else -1]
        assert 0 <= float(row[wanted]) <= 1
        assert row[other] == ""
    assert len({(row["person"], row["snapshot_date"]) for row in rows}) == len(rows)


def test_outcomes_are_what_the_exports_tell(demo: Demo, people: list[dict[str, str]]) -> None:
    """Those that were late may still be on their way at the end; refused consent hides nothing from the exports."""
    user = {row["identifier"]: row["person"] for row in people if row["identifier_type"] == "user_id"}
    told = Counter()
    seen = set()
    for path in sorted((demo.settings.inbox / "segment" / "tracks").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["messageId"] not in seen and row["userId"]:
                seen.add(row["messageId"])
                told[row["event"], user[row["userId"]]] += 1
    true = Counter((row["outcome"], row["person"]) for row in read(demo.truth, "outcomes"))
    for event, outcome in (
        ("Signed Up", "signed_up"),
        ("Subscription Started", "subscription_started"),
        ("Checkout Started", "checkout_started"),
        ("Order Completed", "order_completed"),
        ("Subscription Cancelled", "subscription_cancelled"),
    ):
        mine = Counter({person: count for (name, person), count in told.items() if name == event})
        wanted = Counter({person: count for (name, person), count in true.items() if name == outcome})
        assert mine - wanted == Counter(), event
        assert (wanted - mine).total() <= max(3, 0.05 * wanted.total()), event


def test_truth_says_why_each_checkout_was_left(demo: Demo) -> None:
    rows = read(demo.truth, "outcomes")
    started, broken = (
        {(row["person"], row["at"]) for row in rows if row["outcome"] == outcome}
        for outcome in ("checkout_started", "checkout_started_broken")
    )
    left = {(row["person"], row["at"]): row["outcome"].split(":")[1] for row in rows if ":" in row["outcome"]}
    assert left.keys() <= started
    assert {at for at, reason in left.items() if reason == "broken form"} == left.keys() & broken
    assert set(left.values()) == {"price shock", "form trouble", "distracted", "comparing", "broken form"}
    paid = Counter(row["outcome"] for row in rows)
    # At the edge of the period, a checkout may begin within it and be paid after its end.
    assert len(started) - len(left) - paid["order_completed"] - paid["subscription_started"] in range(5)


def test_truth_says_what_was_planted(demo: Demo) -> None:
    incidents = read(demo.truth, "incidents")
    assert [row["what"] for row in incidents] == [
        "checkout form breaks",
        "import step confuses",
        "campaign brings a surge",
    ]
    assert incidents[0]["from"].startswith("2026-06-01") and incidents[0]["to"].startswith("2026-06-22")
    call, webinar = read(demo.truth, "effects")
    assert float(call["value"]) > 0.10
    assert float(webinar["value"]) == 0
    assert webinar["confounder"]


def test_types_are_those_of_people_who_left_enough(demo: Demo) -> None:
    types = read(demo.truth, "types")
    assert {row["journey_type"] for row in types} == {
        *("researcher", "bargain hunter", "on the go", "organiser", "planner"),
    }
    assert len(types) > 0.3 * len({row["person"] for row in read(demo.truth, "people")})


def test_nothing_in_the_pipeline_knows_the_truth(demo: Demo) -> None:
    assert sorted(path.name for path in demo.truth.iterdir()) == sorted(f"{table}.csv" for table in TABLES)
    assert not demo.truth.is_relative_to(demo.settings.inbox)
    readers = [
        path.relative_to(PROJECT_ROOT).as_posix()
        for folder in ("dagster_project", "ml", "expectations")
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        if re.search(r"demo[./ ]+(import )?.*truth", path.read_text(encoding="utf-8"))
    ]
    assert set(readers) <= {
        "dagster_project/demo/generate.py",
        "dagster_project/demo/truth.py",
        "dagster_project/cli.py",
    }
