"""A file that was put under another table is refused as a whole, with the place where it belongs."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dagster_project.landing import landing, misplaced, readers
from dagster_project.landing.contracts import TableContract, load_contracts
from dagster_project.landing.landing import land_table
from dagster_project.landing.readers import UnreadableFile
from dagster_project.landing.replay import replay
from dagster_project.settings import load_settings
from tests.landing.conftest import Shop, event

SAMPLES = Path(__file__).parents[1] / "packs" / "fixtures"
CONTRACTS = {f"{c.source}/{c.table}": c for c in load_contracts()}
FILES = sorted(f for f in SAMPLES.rglob("*.*") if not f.name.startswith("broken"))
PAIRS = [
    ("zendesk/tickets", "stripe/charges"),
    ("zendesk/users", "segment/identifies"),
    ("stripe/invoices", "stripe/charges"),
    ("stripe/charges", "stripe/customers"),
    ("segment/tracks", "zendesk/ticket_comments"),
    ("hubspot/contacts", "hubspot/deals"),
    ("hubspot/contacts", "hubspot/companies"),
    ("complete_journey/campaigns", "complete_journey/coupon_redemptions"),
    ("online_retail/lines", "ravenstack/accounts"),
    ("ravenstack/accounts", "zendesk/tickets"),
    ("zendesk/tickets", "online_retail/lines"),
]


def sample(table: str) -> Path:
    return next(f for f in FILES if f.is_relative_to(SAMPLES / table))


def put_as(shop: Shop, file: Path, *, kind: str, table: str) -> Path:
    """Put a sample under a table: as it is, packed, or as Parquet."""
    folder = shop.settings.inbox / table
    folder.mkdir(parents=True)
    if kind == "parquet":
        target = folder / "2026-01-06.parquet"
        if file.suffix == ".csv":
            rows = pa_csv.read_csv(file)
        else:
            rows = pa.Table.from_pylist([json.loads(line) for line in file.read_text().splitlines()])
            empty = [n for n in rows.column_names if rows.schema.field(n).type == pa.struct([])]
            rows = rows.drop_columns(empty)  # Parquet has no objects without fields
        pq.write_table(rows, target)
    elif kind == "gz":
        target = folder / f"2026-01-06{file.suffix}.gz"
        target.write_bytes(gzip.compress(file.read_bytes()))
    else:
        target = folder / f"2026-01-06{file.suffix}"
        shutil.copyfile(file, target)
    return target


def land(shop: Shop, table: str) -> landing.LandingReport:
    report = land_table(shop.settings, CONTRACTS[table], contracts=list(CONTRACTS.values()))
    shop.check_ledger()
    return report


def shop_contracts(shop: Shop) -> list[TableContract]:
    return [shop.contract("lines"), shop.contract("events")]


@pytest.mark.parametrize("kind", ["plain", "gz", "parquet"])
@pytest.mark.parametrize(("whose", "table"), PAIRS)
def test_file_of_another_table_is_refused_and_lands_where_it_belongs(
    shop: Shop, whose: str, table: str, kind: str
) -> None:
    path = put_as(shop, sample(whose), kind=kind, table=table)
    [file] = land(shop, table).files
    assert (file.status, file.rows_in) == ("failed", 0)
    assert f"looks like an export of {whose} (" in str(file.reason)
    assert f"not of {table}: move it to {whose}/ in the inbox" in str(file.reason)
    assert shop.rows("select status, rows_in, quarantined from ops.landed_files") == [("failed", 0, 0)]
    for left in (f"raw.{CONTRACTS[table].name}", "ops.quarantine", "ops.drift", "vault.quarantine", "vault.texts"):
        assert shop.rows(f"select count(*) from {left}") == [(0,)]

    target = shop.settings.inbox / whose / path.name
    target.parent.mkdir(parents=True)
    path.rename(target)
    assert land(shop, table).files == []
    assert shop.rows("select count(*) from ops.landed_files") == [(0,)]
    [file] = land(shop, whose).files
    assert file.status == "landed" and file.accepted > 0


def test_reason_counts_the_fields(shop: Shop) -> None:
    lines, events = shop_contracts(shop)
    # By hand: id, userId, timestamp and receivedAt are the events' fields, Colour is nobody's.
    text = "id,userId,timestamp,receivedAt,Colour\n1,u1,2026-01-05T10:00:00Z,2026-01-05T10:00:05Z,red\n"
    shop.put("2026-01-06.csv", text, "lines")
    [file] = shop.land(lines, contracts=[lines, events]).files
    assert file.reason == (
        "this looks like an export of shop/events (4 of its 5 fields are that contract's), not of shop/lines: "
        "move it to shop/events/ in the inbox"
    )


def test_no_sample_is_refused_by_its_own_table_or_taken_for_a_third() -> None:
    wrong = []
    for path in FILES:
        own = "/".join(path.relative_to(SAMPLES).parts[:2])
        header, records = next(misplaced.first_records(path, encoding=CONTRACTS[own].encoding))
        fields = misplaced.fields_of(records, header=header, named=readers.format_of(path.name))[0]
        for table, contract in CONTRACTS.items():
            try:
                misplaced.check(
                    records, header=header, path=path.name, contract=contract, contracts=list(CONTRACTS.values())
                )
                is_right = fields.has_required(contract)
            except UnreadableFile as error:
                is_right = table != own and f"an export of {own} (" in str(error)
            if not is_right:
                wrong.append((path, table))
    assert wrong == []


def test_file_that_fits_nobody_is_quarantined_with_the_missing_column(shop: Shop) -> None:
    lines, events = shop_contracts(shop)
    shop.put("2026-01-06.csv", "Order,Note,Price,Sold,Customer\n1,a,1,2026-01-05,c\n2,a,1,2026-01-05,c\n", "lines")
    shop.put("2026-01-07.csv", "a,b,c\n1,2,3\n", "lines")
    report = shop.land(lines, contracts=[lines, events])
    assert [(f.status, f.quarantined) for f in report.files] == [("landed", 2), ("landed", 1)]
    assert all("has no 'Order No'" in reason for _, reason in shop.reasons())


def test_one_own_row_lands_among_those_of_another(shop: Shop) -> None:
    lines, events = shop_contracts(shop)
    foreign = [{"Order No": n, "Note": "a", "Price": 1, "Sold": "2026-01-05", "Customer": "c"} for n in range(40)]
    shop.put("a.jsonl", [*foreign, event(1)])
    report = shop.land(events, contracts=[lines, events])
    assert (report.count("accepted"), report.count("quarantined"), report.failed) == (1, 40, [])
    shop.put("b.jsonl", foreign)
    report = shop.land(events, contracts=[lines, events])
    assert [f.reason for f in report.failed] == [
        "this looks like an export of shop/lines (5 of its 5 fields are that contract's), not of shop/events: "
        "move it to shop/lines/ in the inbox"
    ]


def test_own_file_with_more_new_fields_than_known_ones_lands(shop: Shop) -> None:
    lines, events = shop_contracts(shop)
    shop.put("a.jsonl", [event(n) | {f"new_{i}": i for i in range(50)} for n in range(3)])
    report = shop.land(events, contracts=[lines, events])
    assert (report.count("accepted"), len(report.drift)) == (3, 50)


def test_refused_file_leaves_the_others_of_its_batch_alone(shop: Shop) -> None:
    lines, events = shop_contracts(shop)
    shop.put("a.jsonl", [event(1)])
    shop.put("b.csv", "Order No,Note,Price,Sold,Customer\n1,a,2.5,2026-01-05,c1\n")
    shop.put("c.jsonl", [event(2)])
    for known in (0, 2):
        report = shop.land(events, contracts=[lines, events])
        assert [Path(f.path).name for f in report.failed] == ["b.csv"]
        assert report.known_count == known
    assert shop.rows("select status, count(*) from ops.landed_files group by all order by 1") == [
        ("failed", 1),
        ("landed", 2),
    ]


def test_large_file_of_another_table_leaves_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "SMALL_FILE_BYTES", 0)
    lines, events = shop_contracts(shop)
    shop.put("2026-01-06.jsonl", [event(n) for n in range(500)], "lines")
    report = shop.land(lines, contracts=[lines, events], chunk_bytes=20_000)
    assert len(report.failed) == 1
    assert shop.rows("select count(*) from raw.shop__lines") == [(0,)]
    assert shop.rows("select count(*) from vault.quarantine") == [(0,)]


def test_wrong_ending_is_told_with_the_right_one(shop: Shop) -> None:
    lines, events = shop_contracts(shop)
    shop.put("a.csv", [event(1), event(2)])
    shop.put("b.csv.gz", gzip.compress(json.dumps(event(3)).encode()))
    report = shop.land(events, contracts=[lines, events])
    assert [f.reason for f in report.failed] == [
        "it holds jsonl and not what its name says: rename it to a.jsonl",
        "it holds jsonl and not what its name says: rename it to b.jsonl.gz",
    ]
    shop.put("2026-01-06.jsonl", "Order No,Note,Price,Sold,Customer\n1,a,2.5,2026-01-05,c1\n", "lines")
    [file] = shop.land(lines, contracts=[lines, events]).failed
    assert file.reason == "it holds csv and not what its name says: rename it to 2026-01-06.csv"
    shop.put("c.jsonl", "Order No,Note,Price,Sold,Customer\n1,a,2.5,2026-01-05,c1\n")
    assert "move it to shop/lines/c.csv in the inbox" in str(
        shop.land(events, contracts=[lines, events]).files[-1].reason
    )


def test_unknown_folders_and_stray_files_are_told_whose_they_look_like(shop: Shop, tmp_path: Path) -> None:
    contracts = list(CONTRACTS.values())
    tickets = sample("zendesk/tickets").read_bytes()
    for name, content in {
        "helpdesk/all/a.jsonl": tickets,
        "newsletter/clicks/a.csv": b"a\n1\n",
        "stripe/a.jsonl": sample("stripe/invoices").read_bytes(),
        "notes.csv": b"a\n1\n",
    }.items():
        (tmp_path / "inbox" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "inbox" / name).write_bytes(content)
    told = misplaced.places_of_unknown(shop.settings, contracts)
    assert [line.split(" (")[0] for line in told] == [
        "helpdesk/all looks like an export of zendesk/tickets",
        "notes.csv stands in no table's folder and was skipped; move it to <source>/<table>/ in the inbox.",
        "stripe/a.jsonl stands in no table's folder and was skipped; it looks like an export of stripe/invoices",
    ]
    assert told[0].endswith("move its files to zendesk/tickets/ in the inbox.")
    assert misplaced.places_of_unknown(load_settings({"THROUGHLINE_DATA": str(tmp_path / "none")}), contracts) == []


def test_what_was_quarantined_before_a_contract_came_can_still_be_replayed(shop: Shop) -> None:
    lines, events = shop_contracts(shop)
    shop.put("2026-01-06.jsonl", [event(n) for n in range(3)], "lines")
    assert shop.land(lines, contracts=[lines]).count("quarantined") == 3
    [report] = replay(shop.settings, [lines, events])
    assert (report.tried, report.quarantined) == (3, 3)
    assert shop.land(lines, contracts=[lines, events]).known_count == 1
    shop.check_ledger()
