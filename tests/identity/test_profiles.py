"""Profiles by hand: whose they are, what they say, and which of them may be used."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from dagster_project.identity.probabilistic import (
    PROFILE_SCHEMA,
    Thresholds,
    link,
    nothing,
    said_before,
    write_links,
)
from dagster_project.identity.profiles import fingerprint, read_profiles
from dagster_project.landing.contracts import ColumnContract, TableContract
from dagster_project.settings import Settings
from dagster_project.warehouse import open_scratch, open_warehouse

THRESHOLDS = Thresholds(strong=0.99, probable=0.9)


def noon(day: int) -> datetime:
    return datetime(2025, 12, 31, 12) + timedelta(days=day)


AS_OF = noon(100)


def column(name: str, profile: str | None = None) -> ColumnContract:
    return ColumnContract(name=name, path=name, data_type="varchar", personal=True, profile=profile)


CONTRACTS = [
    TableContract(
        source="crm",
        table="people",
        columns=(
            column("mobile", "phone"),
            column("phone", "phone"),
            column("name", "full_name"),
            column("street", "street"),
            column("secret"),
        ),
        consent_default={"analytics": "granted"},
    ),
    # A source that asks before it counts.
    TableContract(source="club", table="members", columns=(column("first", "given_name"), column("last", "surname"))),
    TableContract(source="web", table="pages", columns=(column("ip"),)),
]
# Source, table, day, available on day, user_id, crm_id, email, device_id, and what the vault holds.
Row = tuple[str, str, int, int, str | None, str | None, str | None, str | None, dict[str, str]]


def crm(day: int, token: str, *, available: int | None = None, **told: str) -> Row:
    return ("crm", "people", day, available or day, None, f"crm_id:crm:{token}", None, None, told)


def read(rows: Sequence[Row], *, consents: Sequence[tuple[str, int, bool]] = (), as_of: datetime = AS_OF) -> list[dict]:
    return profiles(rows, consents=consents, as_of=as_of)[0].to_pylist()


def profiles(
    rows: Sequence[Row], *, consents: Sequence[tuple[str, int, bool]] = (), as_of: datetime = AS_OF
) -> tuple[pa.Table, str]:
    """What is read of rows, and the digest of it."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            attach ':memory:' as vault;
            create table vault.main.crm__people (
                content_hash varchar, row_number bigint, mobile varchar, phone varchar, name varchar, street varchar,
                secret varchar
            );
            create table vault.main.club__members (
                content_hash varchar, row_number bigint, "first" varchar, "last" varchar
            );
            create schema ops; create schema staging;
            create table ops.landed_files as select 'f1' as file_id, 'h1' as content_hash;
            create table staging.identifier_rules as
            from (values
                ('email', 5, 1, 30, true), ('crm_id', 2, 5, null, true), ('user_id', 1, 1, null, true),
                ('device_id', 7, null, null, true), ('account_id', 8, null, null, false)
            ) as rules (identifier_type, priority, limit_per_person, limit_window_days, is_person_identifier);
            create table staging.consents (
                identifier varchar, purpose varchar, is_granted boolean, said_at timestamp
            );
            create table staging.profiles (
                source varchar, source_table varchar, changed_at timestamp, available_at timestamp, user_id varchar,
                crm_id varchar, email varchar, device_id varchar, account_id varchar, _file_id varchar,
                _row_number bigint
            );
            """
        )
        for number, (source, table, day, available, *tokens, told) in enumerate(rows):
            connection.execute(
                "insert into staging.profiles values (?, ?, ?, ?, ?, ?, ?, ?, 'account_id:crm:1', 'f1', ?)",
                [source, table, noon(day), noon(available), *tokens, number],
            )
            connection.execute(
                f"insert into vault.main.{source}__{table} by name select 'h1' as content_hash, ? as row_number"
                + "".join(f', ? as "{name}"' for name in told),
                [number, *told.values()],
            )
        for identifier, day, is_granted in consents:
            connection.execute(
                "insert into staging.consents values (?, 'analytics', ?, ?)", [identifier, is_granted, noon(day)]
            )
            connection.execute("insert into staging.consents values (?, 'marketing', false, ?)", [identifier, noon(1)])
        found = read_profiles(connection, contracts=CONTRACTS, as_of=as_of)
        return found, fingerprint(connection, found)


def test_a_profile_is_its_strongest_identifiers_and_says_what_the_contract_names() -> None:
    told = {"name": "Anna Maria Smith", "street": "12a Mill Road", "phone": "+1 555 0100", "secret": "x"}
    [row] = read([("crm", "people", 3, 4, "user_id:app:u", "crm_id:crm:c", "email:e", "device_id:web:d", told)])
    assert row["identifier"] == "user_id:app:u"
    assert row["identifiers"] == ["crm_id:crm:c", "device_id:web:d", "email:e", "user_id:app:u"]
    # One mailbox a month is not one for ever.
    assert row["unique_identifiers"] == ["user_id:app:u"]
    assert (row["given_name"], row["surname"]) == ("Anna Maria", "Smith")
    assert (row["house_number"], row["street"].strip(), row["phone"]) == ("12a", "Mill Road", "+1 555 0100")
    assert (row["first_occurred_at"], row["first_available_at"]) == (noon(3), noon(4))
    assert "x" not in row.values()


@pytest.mark.parametrize(
    ("name", "given", "surname"),
    [
        ("Smith, Anna", "Anna", "Smith"),
        ("Anna Smith", "Anna", "Smith"),
        ("Smith", "", "Smith"),
        (" Ana  Sá ", "Ana", "Sá"),
    ],
)
def test_full_names_are_split(name: str, given: str, surname: str) -> None:
    [row] = read([crm(1, "c", name=name)])
    assert ((row["given_name"] or ""), row["surname"]) == (given, surname)


def test_the_first_of_two_columns_that_has_a_value_counts() -> None:
    rows = read([crm(1, "a", mobile="1", phone="2"), crm(1, "b", phone="2")])
    assert [row["phone"] for row in rows] == ["1", "2"]


def test_a_record_exported_again_says_the_same_thing_once() -> None:
    rows = read([crm(5, "c", name="A B"), crm(2, "c", available=9, name="A B"), crm(7, "c", name="A C")])
    assert [(row["surname"], row["seen_count"]) for row in rows] == [("B", 2), ("C", 1)]
    assert (rows[0]["first_occurred_at"], rows[0]["last_occurred_at"]) == (noon(2), noon(5))
    assert rows[0]["first_available_at"] == noon(5)


def test_devices_junk_and_what_is_not_known_yet_tell_of_nobody() -> None:
    rows: list[Row] = [
        ("crm", "people", 1, 1, None, None, None, "device_id:web:d", {"name": "A B"}),
        ("crm", "people", 1, 1, "junk_user_id:app:u", None, None, None, {"name": "A B"}),
        crm(1, "later", available=50, name="A B"),
        crm(1, "now", name="A B"),
    ]
    assert [row["identifier"] for row in read(rows, as_of=noon(49))] == ["crm_id:crm:now"]


@pytest.mark.parametrize(
    ("consents", "is_used"),
    [
        ([], True),
        ([(5, False)], False),
        ([(5, True)], True),
        ([(5, False), (15, True)], False),
        ([(5, True), (15, False)], False),
        ([(5, True), (15, False), (20, True)], True),
        ([(15, False), (20, True)], True),
    ],
    ids=["default", "refused", "granted", "granted later", "withdrawn", "granted again", "default, now granted"],
)
def test_a_profile_needs_consent_when_told_and_now(consents: list[tuple[int, bool]], is_used: bool) -> None:
    said = [("crm_id:crm:c", day, is_granted) for day, is_granted in consents]
    assert bool(read([crm(10, "c", name="A B"), crm(10, "d", name="A B")][:1], consents=said)) is is_used


def test_a_source_that_asks_first_needs_a_yes_and_any_identifier_may_say_no() -> None:
    member: Row = ("club", "members", 10, 10, None, "crm_id:club:m", "email:m", None, {"first": "A", "last": "B"})
    assert read([member]) == []
    assert len(read([member], consents=[("email:m", 5, True)])) == 1
    assert read([member], consents=[("email:m", 5, True), ("crm_id:club:m", 5, False)]) == []


def test_order_of_rows_changes_neither_profiles_nor_digest() -> None:
    rows = [crm(day % 9 + 1, f"c{day % 7}", name=f"A B{day % 5}") for day in range(60)]
    read_once, digest = profiles(rows)
    shuffled, same = profiles(random.Random(1).sample(rows, len(rows)))
    assert read_once.equals(shuffled)
    assert digest == same
    _, other = profiles([*rows, crm(99, "c0", name="A B0")])
    assert other != digest


def test_without_any_profile_there_are_none() -> None:
    assert profiles([])[0].equals(PROFILE_SCHEMA.empty_table())


def test_what_was_said_holds_until_profiles_or_thresholds_change(data: Settings) -> None:
    """Links are replaced as a whole, and an empty vault leaves tables behind that can be read."""
    with open_scratch(data) as scratch:
        found = link(PROFILE_SCHEMA.empty_table(), thresholds=THRESHOLDS, connection=scratch)
    with open_warehouse(data) as connection:
        assert said_before(connection, profiles="one", thresholds=THRESHOLDS) is None
        write_links(connection, found, profiles="one", thresholds=THRESHOLDS)
        assert said_before(connection, profiles="one", thresholds=THRESHOLDS) == found.sentence
        assert said_before(connection, profiles="two", thresholds=THRESHOLDS) is None
        assert said_before(connection, profiles="one", thresholds=Thresholds(strong=0.95, probable=0.9)) is None
        write_links(connection, nothing("Other."), profiles="two", thresholds=THRESHOLDS)
        assert said_before(connection, profiles="one", thresholds=THRESHOLDS) is None
        for table in ("identity.probabilistic_links", "ops.match_weights"):
            assert connection.execute(f"from {table}").fetchall() == []
    assert "not two profiles" in found.sentence


def test_readable_values_stay_in_memory(data: Settings) -> None:
    """What the comparison leaves behind is gone with its connection: no file but those of others."""
    row = read([crm(1, "c", name="Xanthippe Quux", street="1 Mill Road")])
    before = {path for path in data.data.rglob("*")} if data.data.exists() else set()
    with open_scratch(data) as scratch:
        link(pa.Table.from_pylist(row * 50, schema=PROFILE_SCHEMA), thresholds=THRESHOLDS, connection=scratch)
        assert (data.data / "tmp").stat().st_mode & 0o077 == 0
    assert [path for path in data.data.rglob("*") if path not in before and path.is_file()] == []
