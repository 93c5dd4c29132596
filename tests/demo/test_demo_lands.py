"""The demo's exports meet the landing contracts of the packs: nothing is quarantined, nothing is unknown."""

from datetime import date

import pytest

from dagster_project.demo.generate import SOURCES, generate_demo
from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import land_table, open_landing, prepare
from dagster_project.settings import load_settings


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landed")
    demo = generate_demo(seed=7, people=200, days=60, until=date(2026, 6, 30), out=folder / "inbox")
    settings = load_settings({"THROUGHLINE_DATA": str(folder), "THROUGHLINE_INBOX": str(folder / "inbox")})
    contracts = [contract for contract in load_contracts() if contract.source in SOURCES]
    prepare(settings, contracts)
    with open_landing(settings) as connection:
        reports = [land_table(settings, contract, connection=connection, contracts=contracts) for contract in contracts]
    return demo, reports


def test_every_row_of_the_demo_lands(landed):
    demo, reports = landed
    assert {f"{report.source}/{report.table}": report.count("rows_in") for report in reports} == demo.rows
    for report in reports:
        assert (report.table, report.count("quarantined"), report.failed) == (report.table, 0, [])
        # Hardly anybody posts a review: so few people may post none.
        assert report.count("accepted") > 0 or report.source == "reviews"


def test_the_contracts_know_every_field_of_the_demo(landed):
    _, reports = landed
    assert {report.table: report.drift for report in reports} == {report.table: [] for report in reports}


def test_exact_repeats_are_dropped_on_landing(landed):
    demo, reports = landed
    repeats = sum(report.count("duplicates") for report in reports if report.source == "segment")
    segment = sum(count for name, count in demo.rows.items() if name.startswith("segment/"))
    assert 0.005 < repeats / segment < 0.015
