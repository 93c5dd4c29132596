"""The tills' export: who comes, what is sold and paid back, and what ties a card to the rest of the company."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal

import pytest

from dagster_project.demo.crm import FIRST_CONTACT, write_hubspot
from dagster_project.demo.shop import WARES, write_pos
from tests.demo.company import DAYS, PEOPLE, assert_lands, bytes_of, exports_to, rows_of, small_world

HEADER = (
    "Transaction ID,Store,Terminal,Local Time,Type,Loyalty Card,Customer Name,Street Address,City,Postal Code,Country,"
    "Customer Email,Items,Amount,Currency,Payment Method,Card Fingerprint,Order Reference,Refund Of"
)


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def written(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pos") / "inbox"
    return folder, write_pos(world, exports_to(folder))


@pytest.fixture(scope="module")
def rows(written):
    """Rows by transaction, without repeats."""
    return {row["Transaction ID"]: (day, row) for day, row in rows_of(written[0], "pos/visits")}


@pytest.fixture(scope="module")
def by_card(rows):
    found = defaultdict(list)
    for _, row in rows.values():
        if row["Loyalty Card"]:
            found[row["Loyalty Card"]].append(row)
    return found


def holders(world):
    return {card: person for person, card in enumerate(world.people.loyalty_card.to_pylist()) if card}


def test_files_have_the_columns_of_an_export(written):
    for path in (written[0] / "pos" / "visits").iterdir():
        assert path.read_text().split("\n", 1)[0] == HEADER


def test_everybody_with_a_card_comes_two_to_ten_times_a_year(world, by_card):
    assert set(by_card) == set(holders(world))
    visits = Counter({card: sum(row["Type"] != "refund" for row in rows) for card, rows in by_card.items()})
    # Ten a year are 2.5 in 90 days; nobody comes less than once. A card may be left at home.
    assert set(visits.values()) <= {1, 2, 3}
    assert 1.1 < visits.total() / len(visits) < 2.2


def test_at_least_eight_of_a_hundred_people_are_tied_by_name_and_home_alone(world, by_card, tmp_path):
    people = world.people
    write_hubspot(world, exports_to(tmp_path))
    contacts = {int(row["Record ID"]) - FIRST_CONTACT: row for _, row in rows_of(tmp_path, "hubspot/contacts")}
    tied, mistyped = 0, 0
    for card, person in holders(world).items():
        mails = {row["Customer Email"] for row in by_card[card]} - {""}
        assert mails == ({people.email[person].as_py()} if people.card_has_email[person] else set())
        shown = {(row["Customer Name"], row["Street Address"]) for row in by_card[card] if row["Street Address"]}
        assert shown == {(people.card_name[person].as_py(), people.card_street[person].as_py())}
        if not mails and person in contacts and contacts[person]["Street Address"]:
            contact = contacts[person]
            home = (f"{contact['First Name']} {contact['Last Name']}", contact["Street Address"])
            assert contact["Postal Code"] in {row["Postal Code"] for row in by_card[card]}
            tied += 1
            mistyped += {home} != shown
    assert tied / PEOPLE >= 0.08
    assert 0.1 < mistyped / tied < 0.5


def test_a_payment_card_is_one_persons_and_none_that_pays_online(written, rows):
    owners = defaultdict(set)
    for kind, person, value in written[1].identifiers:
        if kind == "card_fingerprint":
            for p, v in zip(person, value.to_pylist(), strict=True):
                owners[v].add(int(p))
    del owners[None]
    assert {len(people) for people in owners.values()} == {1}
    paid = {row["Card Fingerprint"] for _, row in rows.values() if row["Card Fingerprint"]}
    assert paid == set(owners)
    for _, row in rows.values():
        assert bool(row["Card Fingerprint"]) == (row["Payment Method"] == "card")


def test_a_few_people_pay_without_a_card(rows):
    sales = [row for _, row in rows.values() if row["Type"] == "sale"]
    strangers = [row for row in sales if not row["Loyalty Card"]]
    assert 0 < len(strangers) < 0.25 * len(sales)
    for row in strangers:
        assert not row["Customer Name"] + row["Street Address"] + row["Customer Email"]
    assert any(row["Payment Method"] == "cash" for row in strangers)


def test_sales_add_up_and_refunds_pay_back_a_sale(rows):
    prices = {ware.name: ware.cents for ware in WARES}
    kinds = Counter(row["Type"] for _, row in rows.values())
    assert kinds["sale"] > kinds["visit"] > kinds["refund"] > 0
    for _, row in rows.values():
        if row["Type"] == "visit":
            assert not row["Amount"] + row["Items"] + row["Currency"] + row["Payment Method"]
            continue
        pieces = [item.split(" x ") for item in row["Items"].split("; ")]
        total = Decimal(sum(int(count) * prices[name] for count, name in pieces)) / 100
        assert Decimal(row["Amount"]) == (-total if row["Type"] == "refund" else total)
        assert row["Currency"] == "USD"
    for _, row in rows.values():
        assert bool(row["Refund Of"]) == (row["Type"] == "refund")
        if row["Refund Of"] and row["Refund Of"] in rows:
            sale = rows[row["Refund Of"]][1]
            assert sale["Type"] == "sale"
            assert sale["Local Time"] < row["Local Time"]
            assert Decimal(sale["Amount"]) == -Decimal(row["Amount"])
            assert sale["Loyalty Card"] == row["Loyalty Card"]


def test_rows_are_in_the_file_of_their_day_or_a_little_later(rows):
    late = [(day - datetime.fromisoformat(row["Local Time"]).date()).days for day, row in rows.values()]
    assert set(late) <= {0, 1, 2, 3, 4}
    assert sum(days > 0 for days in late) < 0.06 * len(late)


def test_the_same_seed_gives_the_same_bytes_and_blocks_share_no_receipt(written, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    write_pos(small_world(), exports_to(again))
    assert bytes_of(again) == bytes_of(written[0])
    write_pos(small_world(block=1), exports_to(other, block=1))
    receipts = [{row["Transaction ID"] for _, row in rows_of(folder, "pos/visits")} for folder in (again, other)]
    assert receipts[1]
    assert not receipts[0] & receipts[1]


def test_visits_land(written, tmp_path):
    folder, report = written
    assert report.rows["pos/visits"] > PEOPLE * DAYS / 365
    assert_lands(folder, data=tmp_path / "data", source="pos", rows=report.rows)
