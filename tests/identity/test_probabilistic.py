"""Profiles of people whose truth is planted or published: who is found to be one, and who must not be."""

from __future__ import annotations

import random
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.identity import probabilistic
from dagster_project.identity.probabilistic import FIELDS, LINK_SCHEMA, PROFILE_SCHEMA, Thresholds, link
from dagster_project.landing.contracts import PROFILE_FIELDS
from tests.conftest import reference_data

THRESHOLDS = Thresholds(strong=0.99, probable=0.9)
NOON = datetime(2026, 1, 1, 12)
GIVEN = tuple(
    word
    for line in (
        "Anna Bruno Carla Dmitri Elif Farid Greta Hugo Ingrid Jonas Katya Liam Mirela Nadia Oscar Priya",
        "Quentin Rosalind Samuel Tabitha Ulrich Vera Wolfgang Xenia Yusuf Zoltan Beatrix Cedric Dolores",
        "Edmund Francesca Giorgio",
    )
    for word in line.split()
)
FAMILY = [
    first + second
    for first in ("Aber", "Brun", "Cald", "Dor", "Esk", "Farn", "Gil", "Hart", "Kess", "Lund")
    for second in ("bach", "combe", "feld", "ington", "mark", "stein", "wick")
]
STREETS = tuple(
    word
    for line in ("Alder Birch Cedar Dogwood Elm Fir Gorse Hazel Ivy Juniper Laurel Maple Oak Poplar Rowan Willow",)
    for word in line.split()
)
TOWNS = ("Northwick", "Eastbury", "Southam", "Weston")


def profile(
    identifier: str, *, others: tuple[str, ...] = (), day: int = 1, seen: int = 1, **told: str
) -> dict[str, Any]:
    """A profile with the fields it tells; an identifier `user_id:…` is one of which a person has one."""
    assert told.keys() <= set(FIELDS)
    tokens = [identifier, *others]
    at = NOON + timedelta(days=day)
    return dict.fromkeys(FIELDS) | {
        "identifier": identifier,
        "identifiers": tokens,
        "unique_identifiers": [token for token in tokens if token.startswith("user_id:")],
        "source": identifier.split(":")[1],
        "first_occurred_at": at - timedelta(hours=2),
        "last_occurred_at": at - timedelta(hours=1),
        "first_available_at": at,
        "seen_count": seen,
        **told,
    }


def swapped(draw: random.Random, word: str) -> str:
    at = draw.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def town(seed: int = 0, *, homes: int = 150) -> list[dict[str, Any]]:
    """Homes of families, some with twins; everyone in the CRM, every other one on a card of the shop with slips.

    The last part of each identifier is the number of the person.
    """
    draw = random.Random(seed)
    profiles, number = [], 0
    for home in range(homes):
        # Some families are large.
        surname, postcode = FAMILY[int(len(FAMILY) * draw.random() ** 2)], f"{10_000 + 37 * home}"
        address = {
            "house_number": str(draw.randrange(1, 200)),
            "street": f"{draw.choice(STREETS)} Street",
            "city": draw.choice(TOWNS),
            "postcode": postcode,
        }
        born = [f"19{draw.randrange(40, 99)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}" for _ in range(3)]
        if home % 5 == 0:
            born[1] = born[0]  # twins
        for given, birth_date in zip(draw.sample(GIVEN, 3), born, strict=True):
            person = {"given_name": given, "surname": surname, **address}
            profiles.append(profile(f"crm_id:crm:{number}", **person, birth_date=birth_date))
            if number % 2:
                if draw.random() < 0.3:
                    slip = draw.choice(["surname", "street"])
                    person[slip] = swapped(draw, person[slip])
                profiles.append(profile(f"crm_id:shop:{number}", day=2, **person))
            number += 1
    return profiles


def linked(profiles: list[dict[str, Any]], thresholds: Thresholds = THRESHOLDS) -> probabilistic.Probabilistic:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        table = pa.Table.from_pylist(profiles, schema=PROFILE_SCHEMA)
        return link(table, thresholds=thresholds, connection=connection)


def ends(links: pa.Table) -> set[tuple[str, str]]:
    return set(zip(links["identifier_a"].to_pylist(), links["identifier_b"].to_pylist(), strict=True))


def person(identifier: str) -> str:
    return identifier.rsplit(":", 1)[1]


@pytest.fixture(scope="module")
def found() -> probabilistic.Probabilistic:
    """What is found in the town."""
    return linked(town())


def test_people_of_a_town_are_found_and_no_two_of_a_family_are_one(found: probabilistic.Probabilistic) -> None:
    profiles = town()
    cards = sum(one["identifier"].startswith("crm_id:shop") for one in profiles)
    assert {(a, b) for a, b in ends(found.links) if person(a) != person(b)} == set()
    assert found.links.num_rows >= 0.95 * cards
    assert found.links.schema == LINK_SCHEMA
    assert set(found.links["tier"].to_pylist()) <= {"strong", "probable"}
    assert set(found.links["source"].to_pylist()) == {"crm+shop"}
    assert f"{len(profiles):,} profiles compared" in found.sentence


def test_order_of_profiles_changes_nothing(found: probabilistic.Probabilistic) -> None:
    profiles = town()
    other = linked(random.Random(5).sample(profiles, len(profiles)))
    assert found.links.num_rows > 100
    assert found.links.equals(other.links)
    assert found.weights.equals(other.weights)


TOLD = {"given_name": "Mirela", "surname": "Zhang", "birth_date": "1980-02-03", "postcode": "77777"}


@pytest.fixture(scope="module")
def guests() -> list[dict[str, Any]]:
    """Links of a few who came to the town, by hand."""
    elsewhere = TOLD | {"surname": "Okonkwo", "birth_date": "1961-05-17", "postcode": "88888"}
    again = TOLD | {"surname": "Pereira", "birth_date": "1955-11-30", "postcode": "99999"}
    return linked(
        [
            *town(),
            # Accounts of one shop are of two people, those of two shops may be of one.
            profile("user_id:app:x", **TOLD),
            profile("user_id:app:y", others=("crm_id:crm:y",), **TOLD),
            profile("user_id:shop:z", **TOLD),
            # Two rows that name one mailbox, and one that does not.
            profile("crm_id:crm:900", others=("email:m",), **elsewhere),
            profile("crm_id:shop:900", others=("email:m",), **elsewhere),
            profile("crm_id:till:900", **elsewhere),
            # One record early, another late and rarer, and a garbled spelling of it before.
            profile("crm_id:crm:901", day=3, seen=4, **again),
            profile("crm_id:shop:901", day=9, seen=2, **again),
            profile("crm_id:shop:901", day=5, **(again | {"given_name": "Mirella"})),
        ]
    ).links.to_pylist()


def pairs(guests: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["identifier_a"], row["identifier_b"]) for row in guests}


def test_who_holds_another_unique_identifier_is_never_linked(guests: list[dict[str, Any]]) -> None:
    """The same name, home and birth date: two accounts say that these are two."""
    assert ("user_id:app:x", "user_id:app:y") not in pairs(guests)
    assert {("user_id:app:x", "user_id:shop:z"), ("user_id:app:y", "user_id:shop:z")} <= pairs(guests)


def test_what_a_row_says_already_is_not_said_again(guests: list[dict[str, Any]]) -> None:
    assert ("crm_id:crm:900", "crm_id:shop:900") not in pairs(guests)
    assert {("crm_id:crm:900", "crm_id:till:900"), ("crm_id:shop:900", "crm_id:till:900")} <= pairs(guests)


def test_a_link_is_as_sure_as_its_best_pair_and_known_since_the_first_that_is(guests: list[dict[str, Any]]) -> None:
    """Both are strong, so the garbled one, told before, counts for the time; each as often as the rarer profile."""
    [row] = [row for row in guests if row["identifier_a"] == "crm_id:crm:901"]
    assert (row["identifier_b"], row["tier"], row["link_kind"]) == ("crm_id:shop:901", "strong", "probabilistic")
    assert row["confidence"] == pytest.approx(1 - 1 / (1 + 2 ** row["match_weight"]), abs=1e-4)
    early, late = NOON + timedelta(days=5), NOON + timedelta(days=9)
    assert row["first_available_at"] == early
    assert row["first_occurred_at"] == early - timedelta(hours=2)
    assert row["last_occurred_at"] == late - timedelta(hours=1)
    assert row["seen_count"] == 2 + 1


def test_a_rare_name_counts_more_than_a_common_one(found: probabilistic.Probabilistic) -> None:
    """Term frequencies: the best agreement on a rare surname weighs more than the best on the commonest."""
    surname = {one["identifier"]: one["surname"] for one in town() if "crm_id:crm" in one["identifier"]}
    size = Counter(surname.values())
    best: dict[str, float] = {}
    for row in found.links.to_pylist():
        name = surname[row["identifier_a"]]
        best[name] = max(best.get(name, 0.0), row["match_weight"])
    common, rare = max(best, key=size.__getitem__), min(best, key=size.__getitem__)
    assert size[common] > 5 * size[rare]
    assert best[rare] > best[common] + 1


def test_higher_thresholds_give_fewer_links_and_never_others(found: probabilistic.Probabilistic) -> None:
    weights = sorted(set(found.links["match_weight"].to_pylist()))
    middle = (weights[len(weights) // 2] + weights[len(weights) // 2 + 1]) / 2
    as_probability = 1 - 1 / (1 + 2**middle)
    tight = linked(town(), Thresholds(strong=as_probability, probable=as_probability))
    assert ends(tight.links) == ends(found.links.filter(pc.greater(found.links["match_weight"], middle)))
    assert set(tight.links["tier"].to_pylist()) == {"strong"}
    assert 0 < tight.links.num_rows < found.links.num_rows


def test_a_block_of_too_many_pairs_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probabilistic, "_PAIRS_PER_BLOCK", 2_500)
    monkeypatch.setattr(probabilistic, "_PAIRS_PER_PROFILE", 1)
    found = linked(town())
    assert found.links.num_rows > 100
    assert "too common: who agrees on " in found.sentence
    assert "city + surname" in found.sentence
    assert "postcode + surname" not in found.sentence


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        ([], "not two profiles"),
        ([profile("crm_id:crm:1", given_name="Anna", postcode="1")], "not two profiles"),
        # A name alone says too little.
        ([profile(f"crm_id:crm:{n}", given_name="Anna", surname="Abbott") for n in range(90)], "not two profiles"),
        (
            [profile(f"crm_id:crm:{n}", given_name=f"a{n}", surname=f"b{n}", postcode=str(n)) for n in range(90)],
            "nothing to train on",
        ),
        ([profile(f"crm_id:crm:{n}", given_name="Anna", birth_date=str(n)) for n in range(90)], "nothing to train on"),
    ],
    ids=["none", "one", "names alone", "strangers", "one name"],
)
def test_without_anything_to_learn_one_sentence_says_so(profiles: list[dict[str, Any]], said: str) -> None:
    found = linked(profiles)
    assert found.links.num_rows == found.weights.num_rows == 0
    assert said in found.sentence
    assert found.sentence.endswith(".") and found.sentence.count(". ") == 0


@pytest.mark.parametrize("copies", [2, 7, 40])
def test_profiles_that_are_all_alike_do_not_stop_it(copies: int) -> None:
    told = {"given_name": "Anna", "surname": "Abbott", "birth_date": "1980-01-01", "postcode": "1"}
    found = linked([profile(f"crm_id:crm{n}:1", **told) for n in range(copies)])
    assert found.links.num_rows in (0, copies * (copies - 1) // 2)
    assert found.sentence


def test_pairs_that_are_alike_or_strangers_and_nothing_between_can_be_learned_from() -> None:
    """Nobody slips: what no pair shows comes out as so rare that no number holds it, unless it is kept from that."""
    profiles = []
    for n in range(300):
        told = {"given_name": GIVEN[n % 16], "surname": FAMILY[n % 11], "birth_date": f"19{n % 50 + 40}-01-01"}
        told |= {
            "house_number": str(n),
            "street": f"{STREETS[n % 13]} Street",
            "city": "Weston",
            "postcode": str(n % 90),
        }
        profiles += [profile(f"crm_id:{where}:{n}", **told) for where in ("crm", "shop")]
    found = linked(profiles)
    assert {person(a) == person(b) for a, b in ends(found.links)} == {True}
    assert found.links.num_rows >= 290
    assert min(found.weights["match_weight"].to_pylist()) > -10


def test_without_splink_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    found = linked(town())
    assert found.links.num_rows == 0
    assert "Splink is not installed" in found.sentence


def wrapped(cause: Exception) -> Exception:
    """As Splink hands on what the engine raised."""
    error = ValueError("Error executing the following sql")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (duckdb.OutOfMemoryException("could not allocate for Xanthippe"), "more memory than there is"),
        (MemoryError(), "more memory than there is"),
        (duckdb.ConversionException("could not convert Xanthippe"), "stopped with ConversionException"),
        (KeyError("Xanthippe"), "stopped with KeyError"),
        (wrapped(duckdb.OutOfMemoryException("Xanthippe")), "more memory than there is"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_comparison_that_breaks_off_is_one_sentence_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(probabilistic, "_trained", broken)
    with duckdb.connect() as connection, duckdb.connect() as warehouse:
        found = probabilistic.link_if_possible(
            pa.Table.from_pylist(town(), schema=PROFILE_SCHEMA), thresholds=THRESHOLDS, connection=connection
        )
        assert probabilistic.said_before(warehouse, profiles="one", thresholds=THRESHOLDS) is None
        probabilistic.write_links(warehouse, found, profiles="one", thresholds=THRESHOLDS)
        assert warehouse.execute("from identity.probabilistic_links").fetchall() == []
        assert probabilistic.said_before(warehouse, profiles="one", thresholds=THRESHOLDS) is None
    assert said in found.sentence
    # What the error says may be somebody's name.
    assert "Xanthippe" not in found.sentence
    assert found.sentence.endswith(".") and found.sentence.count(". ") == 0


def test_too_little_memory_is_one_sentence() -> None:
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '4MB'; set temp_directory = ''")
        found = probabilistic.link_if_possible(
            pa.Table.from_pylist(town() * 100, schema=PROFILE_SCHEMA), thresholds=THRESHOLDS, connection=connection
        )
    assert "more memory than there is" in found.sentence


def test_thresholds_stand_in_the_project_and_a_wrong_one_is_one_sentence(tmp_path: Path) -> None:
    assert Thresholds.of_project() == THRESHOLDS
    project = tmp_path / "dbt_project.yml"
    for given in (
        "{strong: 0.8, probable: 0.9}",
        "{strong: 1, probable: 0.9}",
        "{strong: sure, probable: 0.9}",
        "0.9",
        "",
    ):
        project.write_text(f"vars:\n  probabilistic: {given}\n")
        with pytest.raises(ThroughlineError, match=r"The variable probabilistic in .* give it strong and probable"):
            Thresholds.of_project(project)


def test_switched_off_it_says_so_and_former_links_go(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project.yml"
    project.write_text("vars:\n  probabilistic: off\n")
    thresholds = Thresholds.of_project(project)
    assert thresholds is None
    with duckdb.connect() as warehouse:
        assert probabilistic.said_before(warehouse, profiles="none", thresholds=THRESHOLDS) is None
        warehouse.execute("insert into identity.probabilistic_links (identifier_a, identifier_b) values ('a', 'b')")
        probabilistic.write_links(warehouse, probabilistic.nothing("."), profiles="none", thresholds=THRESHOLDS)
        warehouse.execute("insert into identity.probabilistic_links (identifier_a, identifier_b) values ('a', 'b')")
        assert probabilistic.said_before(warehouse, profiles="none", thresholds=thresholds) is None
        found = probabilistic.link_if_possible(
            PROFILE_SCHEMA.empty_table(), thresholds=thresholds, connection=warehouse
        )
        probabilistic.write_links(warehouse, found, profiles="none", thresholds=thresholds)
        assert warehouse.execute("from identity.probabilistic_links").fetchall() == []
        assert "is off" in str(probabilistic.said_before(warehouse, profiles="none", thresholds=thresholds))


def test_contracts_speak_of_the_fields_that_are_compared() -> None:
    assert set(PROFILE_FIELDS) == {*FIELDS, "full_name"}


def febrl(*names: str) -> pa.Table:
    """Records of FEBRL, each column under the name that a contract would give it."""
    files = [str(reference_data() / "reference" / "febrl" / name) for name in names]
    with duckdb.connect() as connection:
        connection.execute("create table told as from read_csv(?, all_varchar = true, normalize_names = true)", [files])
        return (
            connection.sql(
                """
            select rec_id as identifier, [rec_id] as identifiers, [] as unique_identifiers, 'febrl' as source,
                given_name, surname, date_of_birth as birth_date, null as phone, soc_sec_id as person_number,
                street_number as house_number, address_1 as street, address_2 as street_2, suburb as city, postcode,
                timestamp '2026-01-01' as first_occurred_at, timestamp '2026-01-01' as last_occurred_at,
                timestamp '2026-01-01' as first_available_at, 1 as seen_count
            from told
            """
            )
            .to_arrow_table()
            .cast(PROFILE_SCHEMA)
        )


@pytest.mark.parametrize(
    ("files", "pairs"),
    [(["dataset3.csv"], 6538), (["dataset4a.csv", "dataset4b.csv"], 5000)],
    ids=["FEBRL 3", "FEBRL 4"],
)
def test_febrl_is_linked_by_the_one_configuration(files: list[str], pairs: int) -> None:
    """Pairwise F1 at or above 0.95; the true pairs are those of records of one number, as published."""
    profiles = febrl(*files)

    def true(identifier: str) -> str:
        return identifier.split("-")[1]

    sizes = Counter(true(identifier) for identifier in profiles["identifier"].to_pylist())
    assert sum(size * (size - 1) // 2 for size in sizes.values()) == pairs
    found = ends(linked(profiles.to_pylist()).links)
    right = sum(true(a) == true(b) for a, b in found)
    precision, recall = right / len(found), right / pairs
    assert 2 * precision * recall / (precision + recall) >= 0.95
