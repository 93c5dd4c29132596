"""Each pack lands the vendors' documented samples whole, and loses no broken row."""

from __future__ import annotations

import re

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


def test_every_reason_is_a_sentence_that_names_the_field(broken: Landed) -> None:
    with open_warehouse(broken.settings, read_only=True) as connection:
        reasons = dict(
            connection.execute(
                """
                select row_number, reason
                from ops.quarantine
                where source = 'online_retail'
                """
            ).fetchall()
        )
    named = [next((w for w in re.findall(r"\w+", reasons[n]) if w in _FIELDS), None) for n in sorted(reasons)]
    assert named[:8] == [
        "InvoiceNo",
        "Quantity",
        "Quantity",
        "Quantity",
        "InvoiceDate",
        "InvoiceDate",
        "InvoiceDate",
        "UnitPrice",
    ]
    assert all(len(reason.split()) > 3 for reason in reasons.values())


_FIELDS = {"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}
