"""Each pack lands the vendors' documented samples whole, and loses no broken row."""

from __future__ import annotations

import pytest

from dagster_project.landing.contracts import load_contracts
from dagster_project.warehouse import open_warehouse
from tests.packs.conftest import FIXTURES, PACKS, Landed

# rows_in, accepted, quarantined, duplicates, counted by hand in the files.
BROKEN = {
    "online_retail__lines": (12, 2, 10, 0),
    "ravenstack__support_tickets": (13, 1, 11, 1),
    "segment__tracks": (13, 1, 11, 1),
    "stripe__charges": (12, 1, 10, 1),
    "zendesk__tickets": (14, 1, 12, 1),
}
NO_JSON = ["the row is not valid JSON", "the row is no JSON object with fields"]
#: What is wrong with each quarantined row, in the order of the rows: a column, or the row itself.
FAULTS = {
    "online_retail__lines": [
        *("invoice_no", "quantity", "quantity", "quantity", "invoice_date", "invoice_date", "invoice_date"),
        *("unit_price", "the row has 4 fields where the header has 8", "the row has 9 fields where the header has 8"),
    ],
    "ravenstack__support_tickets": [
        *("ticket_id", "account_id", "submitted_at", "submitted_at", "closed_at", "resolution_time_hours"),
        *("escalation_flag", "submitted_at", "submitted_at"),
        *("the row has 3 fields where the header has 9", "the row has 11 fields where the header has 9"),
    ],
    "segment__tracks": [
        *("message_id", "event", "event", "received_at", "received_at", "original_timestamp", "original_timestamp"),
        *("revenue", "consent_analytics", *NO_JSON),
    ],
    "stripe__charges": [
        *("id", "created", "created", "created", "created", "amount", "status", "is_refunded", *NO_JSON),
    ],
    "zendesk__tickets": [
        *("id", "id", "requester_id", "created_at", "updated_at", "updated_at", "updated_at", "status"),
        *("group_id", "has_incidents", *NO_JSON),
    ],
}
DUPLICATES = {"segment__tracks": 1, "zendesk__tickets": 1}
TABLES = [contract for contract in load_contracts() if contract.source in PACKS]


@pytest.mark.parametrize("table", [contract.name for contract in TABLES])
def test_documented_samples_land_without_quarantine(samples: Landed, table: str) -> None:
    files = samples.reports[table].files
    assert files and {file.status for file in files} == {"landed"}
    assert sum(file.quarantined for file in files) == 0
    assert sum(file.duplicates for file in files) == DUPLICATES.get(table, 0)
    assert sum(file.accepted for file in files) > 0


def test_documented_samples_hold_nothing_the_contracts_do_not_name(samples: Landed) -> None:
    drift = {table: report.drift for table, report in samples.reports.items() if report.drift}
    # A coupon nobody contracted, and metadata that a company made up itself.
    assert drift == {
        "segment__tracks": ["properties.coupon", "properties.type"],
        "stripe__charges": ["metadata.case"],
        "stripe__invoices": ["metadata.note"],
        "stripe__subscriptions": ["metadata.reviewed"],
    }


@pytest.mark.parametrize("table", sorted(BROKEN))
def test_broken_rows_are_kept_apart_and_counted(broken: Landed, table: str) -> None:
    (file,) = broken.reports[table].files
    assert (file.rows_in, file.accepted, file.quarantined, file.duplicates) == BROKEN[table]


def test_each_pack_has_a_broken_file() -> None:
    assert {path.relative_to(FIXTURES).parts[0] for path in FIXTURES.rglob("broken*")} == set(PACKS)


def test_every_reason_says_what_is_wrong_with_the_row(broken: Landed) -> None:
    with open_warehouse(broken.settings, read_only=True) as connection:
        rows = connection.execute("""
            select source || '__' || table_name, reason from ops.quarantine order by source, table_name, row_number
        """).fetchall()
    faults: dict[str, list[str]] = {}
    for table, reason in rows:
        assert len(reason.split()) > 3
        faults.setdefault(table, []).append(reason.split(":")[0])
    assert faults == FAULTS
