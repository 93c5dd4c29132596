"""HubSpot's exports: who is in them since when, what changes, and that they fit what happened."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from dagster_project.demo.crm import FIRST_COMPANY, FIRST_CONTACT, FIRST_DEAL, STAGES, write_hubspot
from dagster_project.demo.marketing import unsubscribes
from dagster_project.demo.people import NEVER
from tests.demo.company import DAYS, FIRST_DAY, PERIOD, assert_lands, bytes_of, exports_to, rows_of, small_world

HEADERS = {
    "contacts": "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Date of birth,Street Address,"
    "City,State/Region,Postal Code,Country/Region,Lifecycle Stage,Lead Status,Marketing contact status,"
    "Unsubscribed from all email,Original Source,Original Source Drill-Down 1,Contact owner,Associated Company IDs,"
    "Associated Company,External user ID,Create Date,Last Modified Date,Last Activity Date",
    "companies": "Record ID,Company name,Company Domain Name,Industry,Number of Employees,City,Country/Region,"
    "Lifecycle Stage,Company owner,Create Date,Last Modified Date",
    "deals": "Record ID,Deal Name,Deal Stage,Pipeline,Amount,Currency,Close Date,Deal owner,Associated Contact IDs,"
    "Associated Company IDs,Create Date,Last Modified Date",
}
LIFECYCLE = ["Lead", "Customer", "Churned Customer"]


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def written(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hubspot") / "inbox"
    return folder, write_hubspot(world, exports_to(folder))


@pytest.fixture(scope="module")
def contacts(written):
    return rows_of(written[0], "hubspot/contacts")


@pytest.fixture(scope="module")
def deals(written):
    return rows_of(written[0], "hubspot/deals")


def person_of(row, first=FIRST_CONTACT, field="Record ID"):
    return int(row[field]) - first


def minute(text):
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp() * 1000)


def versions(rows, first=FIRST_CONTACT):
    """Versions of each thing in the order of change."""
    found = defaultdict(list)
    for _, row in sorted(rows, key=lambda pair: pair[1]["Last Modified Date"]):
        found[person_of(row, first)].append(row)
    return found


@pytest.mark.parametrize("table", HEADERS)
def test_files_have_the_columns_of_an_export(written, table):
    for path in (written[0] / "hubspot" / table).iterdir():
        assert path.read_text().split("\n", 1)[0] == HEADERS[table]


def test_contacts_are_who_signed_up_and_the_established_are_there_from_the_first_day(world, contacts):
    since = {}
    for day, row in contacts:
        since.setdefault(person_of(row), (day, row))
    signed_up = world.lives.signs_up
    established = {int(p) for p in range(len(world.people)) if world.people.is_established[p]}
    fresh = {int(p) for p in range(len(world.people)) if PERIOD.start <= signed_up[p] < PERIOD.end - 180_000}
    assert established | fresh >= set(since) >= established
    assert len(fresh - set(since)) <= 0.03 * len(fresh)
    for person, (day, row) in since.items():
        if person in established:
            assert day <= FIRST_DAY + timedelta(days=2)
            assert row["Create Date"] < str(FIRST_DAY)
        else:
            assert 0 <= minute(row["Create Date"]) - signed_up[person] + 60_000 < 240_000
            assert 0 <= (day - date.fromisoformat(row["Create Date"][:10])).days <= 2
    assert sum(day == FIRST_DAY for day, _ in since.values()) >= 0.97 * len(established)


def test_no_version_is_exported_before_it_was_made(contacts):
    for day, row in contacts:
        assert row["Create Date"] <= row["Last Modified Date"] <= f"{day} 23:59"
        assert row["Last Activity Date"] <= row["Last Modified Date"] or day == FIRST_DAY


def test_stages_follow_the_subscription(world, contacts):
    subscriptions = world.lives.subscriptions
    starts = dict(zip(subscriptions.person.tolist(), subscriptions.starts.tolist(), strict=True))
    ends = dict(zip(subscriptions.person.tolist(), subscriptions.ends.tolist(), strict=True))
    moves = 0
    for person, rows in versions(contacts).items():
        stages = [LIFECYCLE.index(row["Lifecycle Stage"]) for row in rows]
        assert stages == sorted(stages)
        moves += stages[-1] > stages[0]
        for row in rows:
            now = max(minute(row["Last Modified Date"]), PERIOD.start) + 60_000
            if row["Lifecycle Stage"] == "Lead":
                assert now < starts.get(person, NEVER) + 3 * 3_600_000
            else:
                assert now > (starts if row["Lifecycle Stage"] == "Customer" else ends)[person]
    assert moves > 20


def test_most_contacts_carry_the_user_id_and_the_others_the_address_they_signed_up_with(world, contacts):
    last = {person_of(row): row for _, row in contacts}
    tied = [person for person, row in last.items() if row["External user ID"]]
    assert 0.78 < len(tied) / len(last) < 0.92
    for person, row in last.items():
        mails = {world.people.email[person].as_py(), world.people.other_email[person].as_py()}
        if row["External user ID"]:
            assert row["External user ID"] == world.people.user_id[person].as_py()
            assert row["Email"].lower() in {mail for mail in mails if mail} | {""}
        else:
            assert row["Email"].lower() == world.people.email[person].as_py()
    assert any(row["Email"].lower() == world.people.other_email[p].as_py() for p, row in last.items())


def test_a_telephone_is_a_contacts_while_it_is_theirs(world, contacts):
    people, shown = world.people, 0
    for _, row in contacts:
        person = person_of(row)
        for number in {row["Phone Number"], row["Mobile Phone Number"]} - {""}:
            digits = "".join(c for c in number if c.isdigit()).removeprefix("00")
            assert "+" + digits == people.phone[person].as_py()
            now = max(minute(row["Last Modified Date"]), PERIOD.start)
            assert people.phone_from[person] < now + 60_000
            assert now < people.phone_until[person]
            shown += 1
    assert shown > 50
    assert len({len(row["Phone Number"]) for _, row in contacts}) > 2
    # Some change hands, and the one who gave it up has a version without it.
    last = {person_of(row): row for _, row in sorted(contacts, key=lambda pair: pair[1]["Last Modified Date"])}
    gone = [p for p in last if people.phone_until[p] < PERIOD.end - 6 * 86_400_000 and people.phone[p].is_valid]
    assert gone
    assert not any(last[p]["Phone Number"] or last[p]["Mobile Phone Number"] for p in gone)


def test_unsubscribing_arrives_a_day_later_if_at_all(world, contacts):
    leaves = unsubscribes(world)
    told = {}
    for _, row in sorted(contacts, key=lambda pair: pair[1]["Last Modified Date"]):
        if row["Unsubscribed from all email"] == "Yes":
            told.setdefault(person_of(row), minute(row["Last Modified Date"]))
    assert told
    for person, at in told.items():
        assert 19.9 < (at - leaves[person]) / 3_600_000 < 28.1
    due = sum(leaves < PERIOD.end - 4 * 86_400_000)
    assert 0.6 * due <= len(told) <= due + 2


def test_companies_are_those_of_the_contacts(world, contacts, written):
    companies = {person_of(row, FIRST_COMPANY): row for _, row in rows_of(written[0], "hubspot/companies")}
    named = {int(row["Associated Company IDs"]) - FIRST_COMPANY for _, row in contacts if row["Associated Company IDs"]}
    assert len(named ^ set(companies)) <= 0.03 * len(named)
    for _, row in contacts:
        number = int(world.people.company_number[person_of(row)])
        assert row["Associated Company IDs"] == (str(FIRST_COMPANY + number) if number >= 0 else "")
        if number in companies:
            assert row["Associated Company"] == companies[number]["Company name"]
    assert all(
        row["Company Domain Name"].endswith(".example") for row in companies.values() if row["Company Domain Name"]
    )


def test_deals_move_forward_and_are_won_by_who_paid(world, deals):
    subscriptions = world.lives.subscriptions
    starts = dict(zip(subscriptions.person.tolist(), subscriptions.starts.tolist(), strict=True))
    found = versions(deals, FIRST_DEAL)
    outcomes = defaultdict(int)
    for person, rows in found.items():
        assert world.people.company_number[person] >= 0
        stages = [STAGES.index(row["Deal Stage"]) for row in rows]
        assert stages == sorted(stages)
        outcomes[rows[-1]["Deal Stage"]] += 1
        for row in rows:
            assert person_of(row, field="Associated Contact IDs") == person
            if row["Deal Stage"] == "Closed Won":
                assert minute(row["Last Modified Date"]) + 60_000 > starts[person]
            elif row["Deal Stage"] != "Closed Lost":
                assert minute(row["Last Modified Date"]) < starts.get(person, NEVER) + 3 * 3_600_000
    assert outcomes["Closed Won"] > 5
    assert outcomes["Closed Lost"] > 0


def test_identifiers_are_those_in_the_files(contacts, written):
    told = defaultdict(set)
    for kind, person, value in written[1].identifiers:
        told[kind] |= {(int(p), v) for p, v in zip(person, value.to_pylist(), strict=True) if v is not None}
        assert isinstance(value, pa.Array | pa.ChunkedArray)
    shown = defaultdict(set)
    for _, row in contacts:
        for kind, field in (
            ("hubspot_contact", "Record ID"),
            ("user_id", "External user ID"),
            ("email", "Email"),
            ("phone", "Phone Number"),
            ("phone", "Mobile Phone Number"),
        ):
            if row[field]:
                shown[kind].add((person_of(row), row[field]))
    assert told == shown


def test_the_same_seed_gives_the_same_bytes_and_blocks_share_no_record(written, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    write_hubspot(small_world(), exports_to(again))
    assert bytes_of(again) == bytes_of(written[0])
    write_hubspot(small_world(block=1), exports_to(other, block=1))
    for table in HEADERS:
        ids = [{row["Record ID"] for _, row in rows_of(f, f"hubspot/{table}")} for f in (again, other)]
        assert ids[0]
        assert ids[1]
        assert not ids[0] & ids[1]


def test_exports_land(written, tmp_path):
    folder, report = written
    assert report.rows.keys() == {f"hubspot/{table}" for table in HEADERS}
    assert len({day for day, _ in rows_of(folder, "hubspot/contacts")}) > 0.9 * DAYS
    assert_lands(folder, data=tmp_path / "data", source="hubspot", rows=report.rows)
