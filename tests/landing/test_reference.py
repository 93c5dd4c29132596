"""Published facts of real exports; skipped where the reference data is absent."""

from pathlib import Path

import pytest

from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import land_table
from dagster_project.settings import load_settings
from dagster_project.warehouse import open_warehouse
from tests.conftest import reference_data


def test_online_retail_lands_with_its_published_facts(tmp_path: Path) -> None:
    inbox = reference_data() / "inbox"
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path), "THROUGHLINE_INBOX": str(inbox)})
    contract = next(c for c in load_contracts() if c.name == "online_retail__lines")
    report = land_table(settings, contract)
    assert (report.count("rows_in"), report.count("accepted"), len(report.files)) == (541_909, 541_909, 305)
    with open_warehouse(settings) as connection:
        own = ", ".join(c.name for c in contract.columns)
        lines, anonymous, revenue, repeated = connection.execute(
            f"""
            select count(*), count(*) filter (customer_id is null), sum(quantity * unit_price),
                count(*) - (select count(*) from (select distinct {own} from raw.online_retail__lines))
            from raw.online_retail__lines
            """
        ).fetchall()[0]
    assert (lines, anonymous, repeated) == (541_909, 135_080, 5_268)
    assert float(revenue) == pytest.approx(9_747_747.934, abs=1e-3)
    assert land_table(settings, contract).known_count == 305
