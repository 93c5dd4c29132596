"""Households and accounts from a vault written by hand; tokens made with Python's own hmac."""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pytest

from dagster_project.identity.levels import LevelsReport, update_levels
from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import ensure_tables, open_landing
from dagster_project.settings import Settings

CONTRACTS = [contract for contract in load_contracts() if contract.source in ("hubspot", "pos")]
TABLES = """
create schema if not exists identity;
create table identity.identifiers (
    identifier varchar, identifier_type varchar, person_id varchar, component_id varchar,
    is_shared_device boolean, first_available_at timestamp
);
create table identity.identifier_sightings (identifier varchar, identifier_type varchar, first_available_at timestamp);
create table identity.observations (
    source varchar, user_id varchar, crm_id varchar, support_id varchar, card_id varchar, email varchar,
    phone varchar, device_id varchar, account_id varchar, occurred_at timestamp, available_at timestamp
);
create table staging.consents (
    identifier varchar, purpose varchar, is_granted boolean, said_at timestamp, available_at timestamp
);
create table staging.free_mail_domains (domain varchar);
insert into staging.free_mail_domains values ('gmail.com'), ('yahoo.co.uk');
"""
AS_OF = datetime(2026, 1, 31, 23, 59, 59, 999999)


def noon(day: int) -> datetime:
    return datetime(2025, 12, 31, 12) + timedelta(days=day)


class Vault:
    """A warehouse and a vault; people are named by their contact's number, ``crm_id:hubspot:1`` is person ``p1``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
        self.connection, self.key, self.count = connection, key, 0
        for contract in CONTRACTS:
            ensure_tables(connection, contract)
        connection.execute(TABLES)

    def token(self, kind: str, namespace: str, value: str) -> str:
        digest = hmac.new(self.key, f"{kind}|{namespace}|{value}".encode(), hashlib.sha256).hexdigest()[:32]
        return ":".join(part for part in (kind, namespace, digest) if part)

    def _row(self, table: str, day: int, told: dict[str, object], kept: dict[str, object]) -> None:
        self.count += 1
        place = {"_file_id": f"f{self.count}", "_row_number": 1, "_occurred_at": noon(day), "available_at": noon(day)}
        source, name = table.split("__")
        for target, values in (
            (f"raw.{table}", told | place),
            (f"vault.main.{table}", kept | {"content_hash": f"c{self.count}", "row_number": 1}),
            (
                "ops.landed_files",
                {
                    "file_id": f"f{self.count}",
                    "content_hash": f"c{self.count}",
                    "source": source,
                    "table_name": name,
                    "status": "landed",
                },
            ),
        ):
            self.connection.execute(
                f"insert into {target} ({', '.join(values)}) values ({', '.join('?' * len(values))})",
                list(values.values()),
            )

    def known(self, identifier: str, person: str | None, day: int) -> None:
        """Somebody was seen; a second time changes nothing."""
        if (identifier,) in self.connection.execute("select identifier from identity.identifiers").fetchall():
            return
        kind = identifier.split(":")[0]
        self.connection.execute(
            "insert into identity.identifiers values (?, ?, ?, ?, false, ?)",
            [identifier, kind, person, person, noon(day)],
        )
        self.connection.execute(
            "insert into identity.identifier_sightings values (?, ?, ?)", [identifier, kind, noon(day)]
        )

    def contact(
        self, number: int, surname: str, street: str, postcode: str | None, *, day: int = 1, city: str = ""
    ) -> None:
        crm_id = f"crm_id:hubspot:{number}"
        self.known(crm_id, f"p{number}", day)
        kept = {"last_name": surname, "address_street": street, "address_postal_code": postcode, "address_city": city}
        self._row("hubspot__contacts", day, {"contact_id": crm_id}, kept)

    def receipt(self, number: int, name: str, street: str, postcode: str, *, day: int = 1) -> None:
        card = f"crm_id:pos_loyalty:{number}"
        self.known(card, f"p{number}", day)
        kept = {"full_name": name, "street_address": street, "postal_code": postcode}
        self._row("pos__visits", day, {"loyalty_card": card}, kept)

    def mailbox(self, number: int | None, address: str, *, day: int = 1) -> str:
        email = ("" if number else "junk_") + self.token("email", "", address.strip().lower())
        if number:
            self.known(email, f"p{number}", day)
        self._row("hubspot__contacts", day, {"email": email}, {"email": address})
        return email

    def company(self, number: int, domain: str, *, day: int = 1) -> None:
        account = f"account_id:hubspot:{number}"
        self.known(account, None, day)
        self._row("hubspot__companies", day, {"account_id": account}, {"domain_id": domain})

    def works_at(self, number: int, account: str, *, day: int = 1, **others: str) -> None:
        self.known(account, None, day)
        self.known(f"crm_id:hubspot:{number}", f"p{number}", day)
        row = {"source": "hubspot", "crm_id": f"crm_id:hubspot:{number}", "account_id": account} | others
        row |= {"occurred_at": noon(day), "available_at": noon(day)}  # type: ignore[dict-item]
        self.connection.execute(
            f"insert into identity.observations ({', '.join(row)}) values ({', '.join('?' * len(row))})",
            list(row.values()),
        )

    def answers(self, number: int, is_granted: bool, *, day: int) -> None:
        self.connection.execute(
            "insert into staging.consents values (?, 'analytics', ?, ?, ?)",
            [f"crm_id:hubspot:{number}", is_granted, noon(day), noon(day)],
        )

    def update(self, as_of: datetime = AS_OF, timezone: str = "UTC") -> LevelsReport:
        return update_levels(self.connection, contracts=CONTRACTS, as_of=as_of, timezone=timezone)

    def _groups(self, table: str, named: str) -> set[frozenset[str]]:
        members = defaultdict(set)
        for group, person in self.connection.execute(
            f"select {named}, coalesce(person_id, identifier) from identity.{table} "
            "where not starts_with(identifier, 'account_id:')"
        ).fetchall():
            members[group].add(person)
        return {frozenset(group) for group in members.values()}

    def households(self) -> set[frozenset[str]]:
        self.update()
        return self._groups("households", "household_id")

    def accounts(self) -> set[frozenset[str]]:
        self.update()
        return self._groups("accounts", "account_key")

    def content(self) -> list[list[tuple]]:
        return [
            self.connection.execute(f"from identity.{table} order by all").fetchall()
            for table in ("households", "accounts")
        ]


@pytest.fixture
def vault(data: Settings) -> Iterator[Vault]:
    with open_landing(data) as connection:
        yield Vault(connection, data.key_file.read_bytes())


def together(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group.split()) for group in groups}


@pytest.mark.parametrize(
    ("one", "other", "is_one_home"),
    [
        (("Falk", "12 Elm Road", "1000"), ("FALK ", "12, elm rd.", " 1000"), True),
        (("Falk", "12 Elm Road", "1000"), ("Nora Falk", "Elm Road 12", "1000"), True),
        (("Lund", "Hauptstraße 3", "10115"), ("Lund", "Haupt Str. 3", "10115"), True),
        (("Müller", "3 Rue de la Paix", "75002"), ("Muller", "3, rue de la paix", "75002"), True),
        (("O'Brien", "1 Bay St", "94016"), ("OBrien", "1 Bay Street", "94016-1234"), True),
        (("Falk Jr.", "12 Elm Road", "1000"), ("Falk", "12 Elm Road", "1000"), True),
        (("Falk, Nora", "12 Elm Road", "1000"), ("Otto Falk", "12 Elm Road", "1000"), True),
        # One slip of the pen, in the street or in a name that is long enough to be known by the rest.
        (("Falk", "12 Elm Road", "1000"), ("Falk", "12 Elm Raod", "1000"), True),
        (("Falk", "12 Elm Road", "1000"), ("Falk", "12 Em Road", "1000"), True),
        (("Kowalski", "12 Elm Road", "1000"), ("Kowaslki", "12 Elm Road", "1000"), True),
        (("Falk", "12 Elm Road", "1000"), ("Falk", "12 Eml Raod", "1000"), False),
        (("Kowalski", "12 Elm Road", "1000"), ("Kowaslki", "12 Elm Raod", "1000"), False),
        (("Falk", "12 Elm Road", "1000"), ("Fale", "12 Elm Road", "1000"), False),
        # Next door, another flat, another town, another family.
        (("Falk", "12 Elm Road", "1000"), ("Falk", "13 Elm Road", "1000"), False),
        (("Falk", "12 Elm Road", "1000"), ("Falk", "12 Elm Road, Flat 2", "1000"), False),
        (("Falk", "12 Elm Road", "1000"), ("Falk", "12 Elm Road", "1001"), False),
        (("Falk", "12 Elm Road", "1000"), ("Lund", "12 Elm Road", "1000"), False),
    ],
)
def test_what_one_home_is(
    vault: Vault, one: tuple[str, str, str], other: tuple[str, str, str], is_one_home: bool
) -> None:
    vault.contact(1, *one)
    vault.receipt(2, *other)
    assert vault.households() == (together("p1 p2") if is_one_home else together("p1", "p2"))


@pytest.mark.parametrize(
    ("surname", "street", "postcode"),
    [
        ("Falk", "Elm Road", "1000"),
        ("Falk", "12", "1000"),
        ("F.", "12 Elm Road", "1000"),
        ("Falk", "12 Elm Road", None),
    ],
)
def test_half_an_address_is_no_home(vault: Vault, surname: str, street: str, postcode: str | None) -> None:
    vault.contact(1, surname, street, postcode)
    assert vault.households() == set()


def test_without_a_postcode_the_city_counts(vault: Vault) -> None:
    vault.contact(1, "Falk", "12 Elm Road", None, city="Fairhaven")
    vault.contact(2, "Falk", "12 Elm Road", " ", city="FAIRHAVEN")
    vault.contact(3, "Falk", "12 Elm Road", None, city="Greenholt")
    assert vault.households() == together("p1 p2", "p3")


def test_an_address_that_everybody_gives_is_nobodys_home(vault: Vault) -> None:
    for number in range(13):
        vault.contact(number, "Smith", "1 Main Street", "90210")
    vault.contact(20, "Jones", "1 Main Street", "90210")
    assert vault.households() == together("p20")
    vault.connection.execute("delete from identity.identifiers where person_id = 'p0'")
    assert vault.households() == together(" ".join(f"p{number}" for number in range(1, 13)), "p20")


def test_among_too_many_spellings_none_is_a_slip(vault: Vault) -> None:
    for number in range(101):
        vault.contact(
            number, "Smith" + chr(ord("a") + number // 10) * 3 + chr(ord("k") + number % 10) * 3, "1 Main Street", "1"
        )
    vault.contact(200, "Smithaaakkx", "1 Main Street", "1")
    assert len(vault.households()) == 102
    # One spelling less: she is whom she nearly reads like.
    vault.connection.execute("delete from identity.identifiers where person_id in ('p99', 'p100')")
    assert frozenset(("p0", "p200")) in vault.households()


def test_latest_record_says_where_somebody_lives(vault: Vault) -> None:
    vault.contact(1, "Falk", "12 Elm Road", "1000", day=1)
    vault.contact(1, "Falk", "9 Ash Road", "3000", day=5)
    vault.contact(2, "Falk", "12 Elm Road", "1000", day=2)
    vault.contact(3, "Falk", "9 Ash Road", "3000", day=3)
    assert vault.households() == together("p1 p3", "p2")
    assert vault.connection.execute("select known_from from identity.households where person_id = 'p1'").fetchall() == [
        (datetime(2026, 1, 5, 23, 59, 59, 999999),)
    ]


def test_days_end_in_the_projects_zone(vault: Vault) -> None:
    vault.contact(1, "Falk", "12 Elm Road", "1000", day=5)
    vault.update(timezone="Asia/Kolkata")
    # Midnight in India is half past six in the evening.
    assert vault.connection.execute("select known_from from identity.households").fetchall() == [
        (datetime(2026, 1, 5, 18, 29, 59, 999999),)
    ]


def test_what_is_known_later_does_not_count_yet(vault: Vault) -> None:
    vault.contact(1, "Falk", "12 Elm Road", "1000", day=1)
    vault.contact(1, "Falk", "9 Ash Road", "3000", day=20)
    vault.works_at(1, "account_id:hubspot:7", day=20)
    vault.mailbox(1, "nora@acme.example", day=20)
    vault.update(as_of=datetime(2026, 1, 10))
    early = vault.content()
    assert [len(table) for table in early] == [1, 0]
    vault.update()
    assert [len(table) for table in vault.content()] == [1, 4]
    assert vault.content()[0] != early[0]


def test_who_refuses_analytics_has_neither(vault: Vault) -> None:
    for number, answers in ((1, []), (2, [(True, 1), (False, 20)]), (3, [(False, 1), (True, 20)]), (4, [(True, 1)])):
        for is_granted, day in answers:
            vault.answers(number, is_granted, day=day)
        vault.contact(number, "Falk", "12 Elm Road", "1000", day=10)
        vault.works_at(number, "account_id:hubspot:7", day=10)
    # 3 allows it now, but what was told while she refused is not used.
    assert vault.households() == together("p1 p4")
    assert vault.accounts() == together("p1 p4")


def test_company_workspace_and_domain_are_one_account(vault: Vault) -> None:
    vault.company(7, "https://www.ACME.example/about")
    vault.works_at(1, "account_id:hubspot:7")
    vault.mailbox(2, " Dana@Acme.Example")
    vault.works_at(3, "account_id:app:w1")
    vault.mailbox(3, "emma@acme.example")
    vault.mailbox(3, "emma@gmail.com")
    vault.works_at(4, "account_id:app:w2")
    vault.mailbox(4, "fred@mail.yahoo.co.uk")
    role = vault.mailbox(None, "info@acme.example")
    vault.mailbox(None, "info@gmail.com")
    assert vault.accounts() == {frozenset(("p1", "p2", "p3", role)), frozenset(("p4",))}


def test_domain_of_most_members_names_the_workspace(vault: Vault) -> None:
    for number, address in ((1, "ann@acme.example"), (2, "bob@acme.example"), (3, "cid@agency.example")):
        vault.works_at(number, "account_id:app:w1")
        vault.mailbox(number, address)
    vault.mailbox(4, "dan@acme.example")
    vault.mailbox(5, "eve@agency.example")
    assert vault.accounts() == together("p1 p2 p3 p4", "p3 p5")
    # Half of them are not most of them.
    vault.works_at(5, "account_id:app:w1")
    assert vault.accounts() == together("p1 p2 p3 p5", "p1 p2 p4", "p3 p5")


def test_domain_that_many_companies_name_joins_none(vault: Vault) -> None:
    for number in range(5):
        vault.company(number, "portal.example")
        vault.works_at(number, f"account_id:hubspot:{number}")
    assert vault.accounts() == together("p0 p1 p2 p3 p4")
    vault.company(5, "portal.example")
    assert vault.accounts() == together("p0", "p1", "p2", "p3", "p4")


def test_telephone_that_was_passed_on_brings_nobody_to_a_company(vault: Vault) -> None:
    vault.known("phone:1", "p9", 1)
    vault.works_at(1, "account_id:hubspot:7", phone="phone:1")
    assert vault.accounts() == together("p1")


def test_nights_equal_one_build_and_repeat_nothing(vault: Vault, data: Settings, tmp_path_factory) -> None:
    def first(to: Vault) -> None:
        to.contact(1, "Abel", "7 Birch Lane", "2000", day=1)
        to.contact(2, "Abel", "7 Brich Lnae", "2000", day=2)
        to.works_at(1, "account_id:hubspot:7", day=1)
        to.mailbox(2, "x@acme.example", day=2)

    def second(to: Vault) -> None:
        to.contact(3, "Abel", "7 Brich Lane", "2000", day=3)
        to.company(7, "acme.example", day=3)

    first(vault)
    vault.update()
    assert {len(group) for group in vault.households()} == {1}
    vault.connection.execute("delete from ops.affected_components")
    second(vault)
    report = vault.update()
    assert (report.households, report.accounts) == (1, 1)
    # Of the three the one keeps his household's and his account's ids that knew them first.
    assert vault.connection.execute("from ops.affected_components order by all").fetchall() == [("p2",), ("p3",)]
    assert vault.update().changed_identifiers == 0

    again = replace(data, data=tmp_path_factory.mktemp("again"))
    with open_landing(again) as connection:
        whole = Vault(connection, again.key_file.read_bytes())
        first(whole)
        second(whole)
        whole.update()
        assert whole.content() == vault.content()


def test_an_empty_vault_gives_empty_tables(vault: Vault) -> None:
    assert vault.update() == LevelsReport(
        households=0, in_households=0, shared_households=0, accounts=0, in_accounts=0, changed_identifiers=0
    )
    assert vault.content() == [[], []]


def test_nothing_readable_is_left_in_the_warehouse(vault: Vault) -> None:
    vault.contact(1, "Kowalski", "12 Saddler Avenue", "1000")
    vault.mailbox(1, "nora@acme.example")
    vault.company(7, "acme.example")
    vault.update()
    told = repr(vault.content()).lower()
    assert not [word for word in ("kowalski", "saddler", "acme", "nora") if word in told]
    assert (
        vault.connection.execute(
            "select table_name from duckdb_tables() where temporary and starts_with(table_name, 'level')"
        ).fetchall()
        == []
    )
