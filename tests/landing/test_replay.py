"""Quarantined rows come back: under a better contract, or repaired by hand."""

import json
import stat

import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.landing import replay as replay_module
from dagster_project.landing.replay import export_quarantine, replay
from tests.landing.conftest import EVENT_COLUMNS, LINE_COLUMNS, Shop, event
from tests.landing.test_landing import HEADER


def ledger_counts(shop: Shop) -> list[tuple[int, ...]]:
    shop.check_ledger()
    return shop.rows("select rows_in, accepted, quarantined, duplicates from ops.landed_files order by path")


def test_better_contract_lands_what_was_quarantined(shop: Shop) -> None:
    shop.put("a.jsonl", [event(1), event(2, items="2.5"), event(3, items="many")])
    shop.land(shop.contract())
    assert ledger_counts(shop) == [(3, 1, 2, 0)]
    columns = [c for c in EVENT_COLUMNS if c["name"] != "items"] + [
        {"name": "item_count", "data_type": "double", "landing": {"from": "items"}}
    ]
    [report] = replay(shop.settings, [shop.contract(columns=columns)])
    assert (report.tried, report.accepted, report.quarantined) == (2, 1, 1)
    assert ledger_counts(shop) == [(3, 2, 1, 0)]
    assert shop.rows("select id, item_count, _row_number from raw.shop__events order by _row_number")[1] == (
        "e2",
        2.5,
        2,
    )
    assert shop.reasons() == [(3, "item_count: 'many' is not a number")]
    assert shop.rows("select count(*) from vault.shop__events") == [(2,)]
    assert [r.tried for r in replay(shop.settings, [shop.contract(columns=columns)])] == [1]


def test_renamed_column_lands_with_the_paths_date_and_later_loaded_at(shop: Shop) -> None:
    shop.put("2026-01-06.csv", "Order,Note,Price,Sold,Customer\n1,a,1,2026-01-05,c\n2,a,x,2026-01-05,c\n", "lines")
    shop.put("2026-01-07.csv", HEADER + "3,a,1,2026-01-05,c\n", "lines")
    shop.land(shop.contract("lines"))
    before = shop.rows("select max(_loaded_at) from raw.shop__lines")
    columns = [LINE_COLUMNS[0] | {"landing": {"from": "Order", "required": True}}, *LINE_COLUMNS[1:]]
    replay(shop.settings, [shop.contract("lines", columns=columns)])
    assert ledger_counts(shop) == [(2, 1, 1, 0), (1, 1, 0, 0)]
    [(available, loaded)] = shop.rows("select available_at, _loaded_at from raw.shop__lines where order_no = '1'")
    assert available.date().isoformat() == "2026-01-06"
    assert loaded > before[0][0]
    assert shop.reasons() == [(2, "price: 'x' is not a number")]


def test_wrong_encoding_replays_once_the_contract_names_it(shop: Shop) -> None:
    shop.put("2026-01-06.csv", (HEADER + "1,café,1,2026-01-05,c\n2,b,1,2026-01-05,c\n").encode("cp1252"), "lines")
    shop.land(shop.contract("lines"))
    replay(shop.settings, [shop.contract("lines", encoding="windows-1252")])
    assert shop.rows("select note from raw.shop__lines order by order_no") == [("café",), ("b",)]
    assert ledger_counts(shop) == [(2, 2, 0, 0)]
    assert shop.rows("select count(*) from vault.quarantine") == [(0,)]


def test_rows_are_exported_repaired_and_taken_back(shop: Shop) -> None:
    contract = shop.contract("lines")
    shop.put(
        "2026-01-06.csv", HEADER.encode() + b"1,a,1,2026-01-05,c\n2,a\n3,\xe9,1,2026-01-05,c\n4,a,1,never,c\n", "lines"
    )
    shop.land(contract)
    path = shop.folder / "repair.jsonl"
    assert export_quarantine(shop.settings, path) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["row_number"], r["table"]) for r in rows] == [(2, "lines"), (3, "lines"), (4, "lines")]
    rows[0]["text"] = "1,a,1,2026-01-05,c\n"  # equals the row that landed
    rows[1]["text"] = rows[1]["text"].replace("\udce9", "é")
    rows[2]["text"] = "4,a,1,still never,c\n"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    [report] = replay(shop.settings, [contract], repaired=path)
    assert (report.accepted, report.duplicates, report.quarantined) == (1, 1, 1)
    assert ledger_counts(shop) == [(4, 2, 1, 1)]
    assert shop.rows("select note from raw.shop__lines where order_no = '3'") == [("é",)]
    assert shop.reasons() == [(4, "sold_at: 'still never' is not a date or time")]
    # The original stays until the row lands.
    assert shop.rows("select original from vault.quarantine where row_number = 4") == [(b"4,a,1,never,c\n",)]


def test_repaired_file_that_is_not_ours_is_one_sentence(shop: Shop) -> None:
    path = shop.folder / "repair.jsonl"
    with pytest.raises(ThroughlineError, match="cannot be read"):
        replay(shop.settings, [], repaired=path)
    path.write_text('{"file_id": 1}\n')
    with pytest.raises(ThroughlineError, match="line 1 must be a JSON object with file_id"):
        replay(shop.settings, [], repaired=path)


def test_interrupted_replay_can_be_repeated(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.put("a.jsonl", [event(1), event(2, items="2.5")])
    shop.land(shop.contract())
    columns = [c for c in EVENT_COLUMNS if c["name"] != "items"]

    def stop(name: str) -> None:
        if name == "landing.replay_before_commit":
            raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(replay_module, "failpoint", stop)
        with pytest.raises(InterruptedError):
            replay(shop.settings, [shop.contract(columns=columns)])
    assert ledger_counts(shop) == [(2, 1, 1, 0)]
    replay(shop.settings, [shop.contract(columns=columns)])
    assert ledger_counts(shop) == [(2, 2, 0, 0)]
    assert shop.rows("select count(*), count(distinct row_number) from vault.shop__events") == [(2, 2)]
