"""What lands, what does not, and that every row is accounted for."""

import errno
import gzip
import hashlib
import hmac
import json
import os
import random
import stat
import subprocess
import sys
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.landing import landing, passes, readers
from dagster_project.landing.landing import land_table, prepare
from dagster_project.landing.ledger import unknown_sources
from dagster_project.settings import load_settings
from tests.landing.conftest import EVENT_COLUMNS, EVENTS, LINES, Shop, event

HEADER = "Order No,Note,Price,Sold,Customer\n"


def token(key: bytes, kind: str, namespace: str, value: str) -> str:
    """The reference: Python's own HMAC."""
    hexed = hmac.new(key, f"{kind}|{namespace}|{value}".encode(), hashlib.sha256).hexdigest()[:32]
    return f"{kind}:{namespace}:{hexed}" if namespace else f"{kind}:{hexed}"


# --- what lands ---------------------------------------------------------------------------------


def test_event_lands_typed_with_tokens_and_its_readable_values_only_in_the_vault(shop: Shop) -> None:
    shop.put("a.jsonl", [event(1)])
    report = shop.land(shop.contract())
    assert (report.count("rows_in"), report.count("accepted"), report.drift) == (1, 1, [])
    key = shop.settings.key_file.read_bytes()
    [row] = shop.rows(
        "select id, user_id, email, page_url, amount, items, is_new, properties, _occurred_at, available_at, "
        "_row_number from raw.shop__events"
    )
    assert row[:3] == ("e1", token(key, "user_id", "app", "u1"), token(key, "email", "", "person1@example.org"))
    assert row[3] == "https://shop.example/p?utm_source=x"
    assert (str(row[4]), row[5], row[6], json.loads(row[7])) == ("12.50", 1, True, {"a": 1})
    assert row[8:] == (datetime(2026, 1, 5, 10), datetime(2026, 1, 5, 10, 0, 5), 1)
    digest = hashlib.sha256((shop.settings.inbox / "shop/events/a.jsonl").read_bytes()).hexdigest()
    assert shop.rows("select content_hash, row_number, email, ip, extra from vault.shop__events") == [
        (digest, 1, "Person1@Example.org", "10.1.2.3", None)
    ]
    [(text,)] = shop.rows("select text from vault.texts join raw.shop__events on text_id = message_id")
    assert text == "Call me at [phone]"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet"])
def test_every_format_lands_the_same_values(shop: Shop, suffix: str) -> None:
    rows = [
        {"Order No": "1", "Note": 'say "hi", ok\nnext', "Price": 2.5, "Sold": "2026-01-05 10:00:00", "Customer": "c1"},
        {"Order No": "2", "Note": "née", "Price": 3.0, "Sold": "2026-01-06T10:00:00+02:00", "Customer": None},
    ]
    path = shop.put("2026-01-07" + suffix, b"", "lines")
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif "json" in suffix:
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    else:
        path.write_text(
            HEADER + '1,"say ""hi"", ok\nnext",2.5,2026-01-05 10:00:00,c1\r\n2,née,3.0,2026-01-06T10:00:00+02:00,\n'
        )
    if suffix.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    report = shop.land(shop.contract("lines"))
    assert report.failed == []
    assert report.count("accepted") == 2
    assert shop.rows("select order_no, note, price, sold_at from raw.shop__lines order by 1") == [
        ("1", 'say "hi", ok\nnext', 2.5, datetime(2026, 1, 5, 10)),
        ("2", "née", 3.0, datetime(2026, 1, 6, 8)),
    ]
    [(available,)] = shop.rows("select distinct available_at from raw.shop__lines")
    assert available == datetime(2026, 1, 7, 23, 59, 59, 999999)


def test_naive_times_are_local_to_the_source_and_days_end_there(shop: Shop) -> None:
    # India is 5:30 ahead of UTC; New York left daylight saving on 2026-11-01, so use its summer: 4 h behind.
    for zone, sold, day_end in [
        ("Asia/Kolkata", datetime(2026, 7, 1, 4, 30), datetime(2026, 7, 2, 18, 29, 59, 999999)),
        ("America/New_York", datetime(2026, 7, 1, 14), datetime(2026, 7, 3, 3, 59, 59, 999999)),
    ]:
        place = Shop(load_settings({"THROUGHLINE_DATA": str(shop.folder / zone)}), shop.folder)
        place.put("2026-07-02.csv", HEADER + f"{zone},,1,2026-07-01 10:00,\n", "lines")
        place.land(place.contract("lines", timezone=zone))
        assert place.rows("select sold_at, available_at from raw.shop__lines") == [(sold, day_end)]


def test_client_clock_is_corrected_when_sent_and_received_are_known(shop: Shop) -> None:
    columns = [*EVENT_COLUMNS, {"name": "sent_at", "data_type": "timestamp", "landing": {"from": "sentAt"}}]
    rules = EVENTS | {"time": {"occurred": "occurred_at", "sent": "sent_at", "received": "received_at"}}
    # A clock a day fast: sent 10 s after the event, received at noon.
    skewed = event(
        1, timestamp="2026-01-06T12:00:00Z", sentAt="2026-01-06T12:00:10Z", receivedAt="2026-01-05T12:00:00Z"
    )
    shop.put("a.jsonl", [skewed])
    shop.land(shop.contract(columns=columns, landing=rules))
    assert shop.rows("select _occurred_at, occurred_at from raw.shop__events") == [
        (datetime(2026, 1, 5, 11, 59, 50), datetime(2026, 1, 6, 12))
    ]


TALK_COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "landing": {"required": True}},
    {"name": "visitor_text_id", "landing": {"from": "messages.visitor.text", "text": True}},
    {"name": "agent_text_id", "landing": {"from": "messages.agent.text", "text": True}},
    {"name": "agent_at", "data_type": "timestamp", "landing": {"from": "messages.agent.at"}},
    {"name": "ended_at", "data_type": "timestamp", "landing": {"required": True}},
]
TALKS = {
    "key": ["id"],
    "time": {"occurred": "ended_at"},
    "turns": {"messages": "from"},
    "ignore": ["messages.visitor.from", "messages.visitor.at", "messages.agent.from"],
}


def message(sender: str, text: str | None, at: object = None) -> dict[str, object]:
    return {"from": sender, "text": text, "at": at}


def talk(number: int, messages: object) -> dict[str, object]:
    return {"id": f"t{number}", "ended_at": "2026-01-02T10:00:00Z", "messages": messages}


def test_sides_of_a_conversation_are_told_apart(shop: Shop) -> None:
    spoken = [
        message("visitor", "Hi, I am bob@example.com.", "2026-01-02T09:00:00Z"),
        message("agent", None),
        message("agent", 'Hello "Bob".', "2026-01-02T09:01:00+00:00"),
        message("visitor", "Bye.", "soon"),  # nobody reads when the visitor wrote
        message("agent", "Bye!", "2026-01-02T09:02:00Z"),
    ]
    shop.put("a.jsonl", [talk(1, spoken), talk(2, []), talk(3, None), talk(4, [message("agent", "Hi", None)])], "talks")
    report = shop.land(shop.contract("talks", TALK_COLUMNS, TALKS))
    assert report.drift == []
    assert shop.rows("""
        select id, visitor.text, agent.text, cast(agent_at as varchar)
        from raw.shop__talks
        left join vault.texts as visitor on visitor.text_id = visitor_text_id
        left join vault.texts as agent on agent.text_id = agent_text_id
        order by id
    """) == [
        ("t1", "Hi, I am [email].\nBye.", 'Hello "Bob".\nBye!', "2026-01-02 09:01:00"),
        ("t2", None, None, None),
        ("t3", None, None, None),
        ("t4", None, "Hi", None),
    ]


def test_a_new_side_and_a_new_field_of_a_turn_are_kept_and_reported(shop: Shop) -> None:
    turns = [message("visitor", "Hi") | {"a/b~c": "seen"}, message("visitor", "Bye"), message("system", "Over.", 7)]
    shop.put("a.jsonl", [talk(1, turns)], "talks")
    report = shop.land(shop.contract("talks", TALK_COLUMNS, TALKS))
    assert report.drift == ["messages.system", "messages.visitor.a/b~c"]
    ((extra,),) = shop.rows("select extra from vault.shop__talks")
    assert json.loads(extra) == {
        "messages": {
            "system": {"at": [7], "from": ["system"], "text": ["Over."]},
            "visitor": {"a/b~c": ["seen"]},
        }
    }
    # Named at last, what was kept is found: of a text all, of anything else the first.
    named = [
        *TALK_COLUMNS,
        {"name": "note", "landing": {"from": "messages.visitor.a/b~c"}},
        {"name": "system_text_id", "landing": {"from": "messages.system.text", "text": True}},
    ]
    shop.land(shop.contract("talks", named, TALKS))
    assert shop.rows("""
        select note, text from raw.shop__talks join vault.texts on text_id = system_text_id
    """) == [("seen", "Over.")]


def test_a_list_of_anything_but_turns_is_quarantined(shop: Shop) -> None:
    lists: list[object] = [
        "Hello",
        message("visitor", "Hello"),
        ["Hello"],
        [message("visitor", "Hello"), {"by": "agent", "text": "Hello"}],
        [message("agent", "Hello", "noon")],
    ]
    shop.put("a.jsonl", [talk(n, messages) for n, messages in enumerate(lists, start=1)] + [talk(6, [])], "talks")
    shop.land(shop.contract("talks", TALK_COLUMNS, TALKS))
    other = "messages: the contract reads a list of objects with 'from' here, the row has something else"
    assert shop.reasons() == [
        *((number, other) for number in (1, 2, 3, 4)),
        (5, "agent_at: 'noon' is not a date or time"),
    ]
    assert shop.rows("select id from raw.shop__talks") == [("t6",)]


# --- exactly once -------------------------------------------------------------------------------


def test_file_lands_once_however_often_and_under_whatever_name(shop: Shop) -> None:
    contract = shop.contract()
    path = shop.put("a.jsonl", [event(1), event(2)])
    assert shop.land(contract).count("accepted") == 2
    again = shop.land(contract)
    assert (again.files, again.known_count) == ([], 1)
    os.utime(path, (1, 1))
    assert shop.land(contract).files == []
    shop.put("copy.jsonl", path.read_bytes())
    report = shop.land(contract)
    assert [(f.status, f.rows_in) for f in report.files] == [("repeated", 0)]
    assert shop.land(contract).files == []
    assert shop.rows("select status, rows_in from ops.landed_files order by path") == [("landed", 2), ("repeated", 0)]
    assert shop.rows("select count(*) from raw.shop__events") == [(2,)]


def test_loaded_at_grows_with_every_batch(shop: Shop) -> None:
    contract = shop.contract()
    for number in range(3):
        shop.put(f"{number}.jsonl", [event(number)])
        shop.land(contract)
    loaded = [r[0] for r in shop.rows("select _loaded_at from raw.shop__events order by id")]
    assert loaded == sorted(set(loaded))


def test_keyed_source_drops_exact_repeats_within_and_across_files_and_chunks(shop: Shop) -> None:
    rows = [event(n) for n in range(50)]
    shop.put("a.jsonl", [*rows, rows[3], rows[4], rows[4], event(5, amount="99.00")])
    shop.put("b.jsonl", [rows[0], event(60)])
    report = shop.land(shop.contract(), chunk_bytes=2_000)
    assert (report.count("rows_in"), report.count("duplicates"), report.count("accepted")) == (56, 4, 52)
    # The same key with other content is not an exact repeat: staging chooses.
    assert shop.rows("select count(*) from raw.shop__events where id = 'e5'") == [(2,)]


def test_keyless_rows_are_told_apart_by_their_occurrence_in_the_file(shop: Shop) -> None:
    line = "1,a,2.0,2026-01-05 10:00,c1\n"
    contract = shop.contract("lines")
    shop.put("2026-01-06.csv", HEADER + line * 3, "lines")
    assert shop.land(contract).count("accepted") == 3
    shop.put("2026-01-07.csv", HEADER + line * 4 + "2,b,1,2026-01-05 10:00,\n", "lines")
    report = shop.land(contract)
    # Three were known from the first file, the fourth occurrence and the new line were not.
    assert (report.count("duplicates"), report.count("accepted")) == (3, 2)
    assert shop.rows("select count(*), count(distinct _row_key) from raw.shop__lines") == [(5, 5)]


def test_keyless_rows_are_the_same_whole_or_in_chunks(shop: Shop) -> None:
    line = "1,a,2.0,2026-01-05 10:00,c1\n"
    shop.put("2026-01-06.csv", HEADER + line * 40, "lines")
    assert shop.land(shop.contract("lines"), chunk_bytes=100).count("accepted") == 40
    assert shop.rows("select count(distinct _row_key) from raw.shop__lines") == [(40,)]


def test_contract_can_keep_duplicates(shop: Shop) -> None:
    line = "1,a,2.0,2026-01-05 10:00,c1\n"
    contract = shop.contract("lines", landing=LINES | {"duplicates": "keep"})
    shop.put("2026-01-06.csv", HEADER + line * 2, "lines")
    shop.put("2026-01-07.csv", HEADER + line + "\n", "lines")
    report = shop.land(contract)
    assert (report.count("accepted"), report.count("duplicates")) == (3, 0)


def test_column_order_and_new_empty_columns_do_not_make_a_row_new(shop: Shop) -> None:
    contract = shop.contract("lines")
    shop.put("2026-01-06.csv", HEADER + "1,a,2.0,2026-01-05 10:00,c1\n", "lines")
    shop.put("2026-01-07.csv", "Price,Order No,Note,Sold,Customer,Extra\n2.0,1,a,2026-01-05 10:00,c1,\n", "lines")
    report = shop.land(contract)
    assert (report.count("accepted"), report.count("duplicates")) == (1, 1)


# --- bad input ----------------------------------------------------------------------------------


def test_missing_inbox_is_an_error_only_when_the_user_named_it(shop: Shop) -> None:
    contract = shop.contract()
    gone = load_settings({"THROUGHLINE_DATA": str(shop.folder / "d"), "THROUGHLINE_INBOX": str(shop.folder / "no")})
    with pytest.raises(ThroughlineError, match=r"inbox .*no is no folder"):
        land_table(gone, contract)
    with pytest.raises(ThroughlineError, match="is no folder"):
        unknown_sources(gone, [contract])
    assert land_table(load_settings({"THROUGHLINE_DATA": str(shop.folder / "d")}), contract).files == []


def test_folders_without_a_contract_and_files_of_other_kinds_are_reported(shop: Shop) -> None:
    contract = shop.contract()
    shop.put("a.jsonl", [event(1)])
    shop.put("a.xlsx", b"PK")
    shop.put("x.csv", "a\n1\n", "baskets")
    assert unknown_sources(shop.settings, [contract]) == ["shop/baskets"]
    assert shop.land(contract).not_read == ["shop/events/a.xlsx"]


def test_unreadable_files_fail_alone_once_and_land_when_mended(shop: Shop) -> None:
    contract = shop.contract()
    good = "".join(json.dumps(event(n)) + "\n" for n in range(200)).encode()
    cut = shop.put("cut.jsonl.gz", gzip.compress(good)[:-20])
    shop.put("utf16.jsonl", json.dumps(event(1)).encode("utf-16"))
    shop.put("broken.parquet", b"PAR1 no parquet")
    shop.put("plain.jsonl.gz", json.dumps(event(2)))
    shop.put("good.jsonl", [event(900)])
    for _ in range(2):
        report = shop.land(contract)
        reasons = {Path(f.path).name: f.reason for f in report.failed}
        assert set(reasons) == {"cut.jsonl.gz", "utf16.jsonl", "broken.parquet", "plain.jsonl.gz"}
        assert "rename it to plain.jsonl" in str(reasons["plain.jsonl.gz"])
        assert "cut short or damaged" in str(reasons["cut.jsonl.gz"])
        assert "UTF-16" in str(reasons["utf16.jsonl"])
        assert "Parquet" in str(reasons["broken.parquet"])
    assert shop.rows("select status, count(*) from ops.landed_files group by all order by 1") == [
        ("failed", 4),
        ("landed", 1),
    ]
    assert shop.rows("select count(*) from vault.shop__events") == [(1,)]
    cut.write_bytes(gzip.compress(good))
    report = shop.land(contract)
    assert report.count("accepted") == 200
    assert shop.rows("select count(*) from ops.landed_files where path like '%cut%'") == [(1,)]


@pytest.mark.parametrize("indent", [None, 2])
def test_json_document_is_refused_with_the_mend_and_lands_line_by_line(shop: Shop, indent: int | None) -> None:
    events = [event(n) for n in range(3)]
    shop.put("list.jsonl", json.dumps(events, indent=indent))
    shop.put("object.jsonl", json.dumps(events[0], indent=2))
    report = shop.land(shop.contract())
    assert {Path(f.path).name for f in report.failed} == {"list.jsonl", "object.jsonl"}
    assert all("each object on a line" in str(f.reason) for f in report.failed)
    shop.put("list.jsonl", events)
    assert shop.land(shop.contract()).count("accepted") == 3


def test_large_file_that_breaks_half_way_leaves_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "SMALL_GZIP_BYTES", 0)
    good = "".join(json.dumps(event(n)) + "\n" for n in range(500)).encode()
    shop.put("cut.jsonl.gz", gzip.compress(good)[:-20])
    report = shop.land(shop.contract(), chunk_bytes=20_000)
    assert len(report.failed) == 1
    assert shop.rows("select count(*) from raw.shop__events") == [(0,)]
    assert shop.rows("select count(*) from vault.shop__events") == [(0,)]
    assert shop.rows("select count(*) from vault.texts") == [(0,)]


def test_empty_and_header_only_files_land_with_no_rows(shop: Shop) -> None:
    contract = shop.contract("lines")
    for name, text in {"2026-01-01.csv": "", "2026-01-02.csv": HEADER, "2026-01-03.jsonl": "\n\n"}.items():
        shop.put(name, text, "lines")
    report = shop.land(contract)
    assert [(f.status, f.rows_in) for f in report.files] == [("landed", 0)] * 3


def test_bom_is_no_part_of_the_first_name_or_row(shop: Shop) -> None:
    shop.put("2026-01-06.csv", b"\xef\xbb\xbf" + (HEADER + "1,a,2,2026-01-05,\n").encode(), "lines")
    assert shop.land(shop.contract("lines")).count("accepted") == 1
    shop.put("b.jsonl", b"\xef\xbb\xbf" + json.dumps(event(1)).encode())
    assert shop.land(shop.contract()).count("accepted") == 1


def test_broken_csv_rows_are_quarantined_and_the_rest_land(shop: Shop) -> None:
    body = [
        b"1,ok,1,2026-01-05,c\n",
        b"2,too,few\n",
        b"3,too,1,2026-01-05,c,many\n",
        b"4,nul\0byte,1,2026-01-05,c\n",
        b"5,caf\xe9,1,2026-01-05,c\n",
        b'6,5" pipe,1,2026-01-05,c\n',
        b"7,ok,1,2026-01-05,c\n",
        b'8,"never closed,1,2026-01-05,c\n',
        b'9,"quoted, fine",1,2026-01-05,c\n',
        b"10,ok,1,someday,c\n",
        b",ok,1,2026-01-05,c\n",
        b"12,ok,1,45123,c\n",
        b"13,ok,n/a,2026-01-05,c\n",
        b"14,bare\rreturn,1,2026-01-05,c\n",
        b'15,"ok\r\nok",1,2026-01-05,c',
    ]
    shop.put("2026-01-06.csv", HEADER.encode() + b"".join(body), "lines")
    report = shop.land(shop.contract("lines"))
    assert report.count("rows_in") == 15
    assert [r[0] for r in shop.rows("select order_no from raw.shop__lines order by _row_number")] == [
        "1",
        "7",
        "9",
        "13",
        "15",
    ]
    reasons = dict(shop.reasons())
    assert reasons[2] == "the row has 3 fields where the header has 5"
    assert reasons[3] == "the row has 6 fields where the header has 5"
    assert "NUL byte" in reasons[4]
    assert "not UTF-8" in reasons[5]
    assert "quote" in reasons[6]
    assert "quote" in reasons[8]
    assert reasons[10] == "sold_at: 'someday' is not a date or time"
    assert reasons[11] == "order_no: 'Order No' is required but missing or blank"
    assert reasons[12] == "sold_at: '45123' is not a date or time"
    assert "carriage return" in reasons[14]
    kept = dict(shop.rows("select row_number, original from vault.quarantine"))
    assert kept == {0: HEADER.encode()} | {n: body[n - 1] for n in reasons}


def test_broken_json_rows_are_quarantined_and_the_rest_land(shop: Shop) -> None:
    lines = [
        json.dumps(event(1)),
        json.dumps(event(2))[:-1],
        "[1, 2]",
        json.dumps(event(4, context="web")),
        json.dumps(event(5, items="1.5")),
        json.dumps(event(6, amount="twelve", timestamp="yesterday")),
        json.dumps(event(7, message="nul \0 char")),
        json.dumps(event(8, receivedAt=None)),
        "{}",
        json.dumps(event(10, context=None)),
    ]
    shop.put("a.jsonl", "\n".join(lines))
    report = shop.land(shop.contract())
    assert (report.count("rows_in"), report.count("accepted")) == (10, 2)
    reasons = dict(shop.reasons())
    assert reasons == {
        2: "the row is not valid JSON",
        3: "the row is no JSON object with fields",
        4: "context: the contract reads an object here, the row has something else",
        5: "items: '1.5' is not a whole number",
        6: "amount: 'twelve' is not a number that fits; occurred_at: 'yesterday' is not a date or time",
        7: "the row contains a NUL character",
        8: "received_at: 'receivedAt' is required but missing or blank",
        9: "the row is no JSON object with fields",
    }


def test_lists_of_keys_and_values_are_read_as_objects(shop: Shop) -> None:
    """As BigQuery exports them, with the empty kinds of value or without, numbers as text or as numbers."""
    columns = [
        *EVENT_COLUMNS,
        {"name": "page", "landing": {"from": "params.page", "url": True}},
        {"name": "visit", "data_type": "bigint", "landing": {"from": "params.visit"}},
        {"name": "price", "data_type": "decimal(18,2)", "landing": {"from": "params.price"}},
    ]
    full = {"string_value": None, "int_value": None, "float_value": None, "double_value": None}
    lists: list[object] = [
        [
            {"key": "page", "value": {"string_value": 'https://shop.example/"x"?q=1#top'}},
            {"key": "visit", "value": {"int_value": "1767225600000001"}},
            {"key": "price", "value": {"double_value": 12.5}},
            {"key": "mood", "value": {"string_value": "good"}},
            {"key": "color", "value": full},
        ],
        [
            {"key": "visit", "value": full | {"int_value": 2}},
            {"key": "price", "value": full | {"float_value": 3.25}},
        ],
        [],
        None,
        {"page": "/"},
        [{"value": {"string_value": "nobody's"}}],
        "page=/",
        [{"key": "visit", "value": {"string_value": "second"}}],
    ]
    rows = [event(n, params=given) for n, given in enumerate(lists)]
    shop.put("a.jsonl", "\n".join([*(json.dumps(row) for row in rows), json.dumps(rows[0])[:-1]]))
    report = shop.land(shop.contract(columns=columns, landing=EVENTS | {"pairs": ["params"]}))
    assert report.drift == ["params.mood"]
    assert shop.rows("select id, page, visit, price from raw.shop__events order by id") == [
        ("e0", 'https://shop.example/"x"', 1767225600000001, Decimal("12.50")),
        ("e1", None, 2, Decimal("3.25")),
        ("e2", None, None, None),
        ("e3", None, None, None),
        ("e4", "/", None, None),
    ]
    assert shop.rows(
        "select row_number, extra ->> '$.params.mood' from vault.shop__events where extra is not null"
    ) == [(1, "good")]
    assert shop.reasons() == [
        (6, "params: the contract reads an object here, the row has something else"),
        (7, "params: the contract reads an object here, the row has something else"),
        (8, "visit: 'second' is not a whole number"),
        (9, "the row is not valid JSON"),
    ]


def test_name_of_no_time_zone_is_quarantined(shop: Shop) -> None:
    columns = [*EVENT_COLUMNS, {"name": "zone", "landing": {"time_zone": True}}]
    zones = ["Asia/Kolkata", "", "Mars/Base", "+05:30"]
    shop.put("a.jsonl", [event(n, zone=zone) for n, zone in enumerate(zones)])
    shop.land(shop.contract(columns=columns))
    assert shop.rows("select zone from raw.shop__events order by id") == [("Asia/Kolkata",), (None,)]
    assert shop.reasons() == [(3, "zone: 'Mars/Base' is no IANA time zone"), (4, "zone: '+05:30' is no IANA time zone")]


@pytest.mark.parametrize(("unit", "factor"), [("epoch", 1), ("epoch_ms", 1000), ("epoch_us", 1_000_000)])
def test_times_in_numbers_since_1970_are_read_and_impossible_ones_quarantined(
    shop: Shop, unit: str, factor: int
) -> None:
    columns = [c for c in EVENT_COLUMNS if c["name"] != "occurred_at"]
    columns.append(
        {"name": "occurred_at", "data_type": "timestamp", "landing": {"from": "timestamp", "formats": [unit]}}
    )
    given = [1767607200 * factor, str(1767607200 * factor), 1e300, -1e300, "soon"]
    shop.put("a.jsonl", [event(n, timestamp=value) for n, value in enumerate(given)])
    shop.land(shop.contract(columns=columns))
    assert shop.rows("select distinct occurred_at from raw.shop__events") == [(datetime(2026, 1, 5, 10),)]
    assert [(row, reason.split(":")[0]) for row, reason in shop.reasons()] == [(n, "occurred_at") for n in (3, 4, 5)]


def test_reasons_show_no_personal_value(shop: Shop) -> None:
    columns = [*EVENT_COLUMNS, {"name": "born", "data_type": "date", "landing": {"personal": True}}]
    shop.put("a.jsonl", [event(1, born="17th of May", items="bob@example.org")])
    shop.land(shop.contract(columns=columns))
    assert shop.reasons() == [(1, "items: '[email]' is not a whole number; born: a value is not a date")]


def test_ten_megabyte_field_is_quarantined(shop: Shop) -> None:
    shop.put("a.jsonl", [event(1), event(2, message="x" * 10_000_000), event(3)])
    shop.put("2026-01-06.csv", HEADER + f"1,{'x' * 10_000_000},1,2026-01-05,c\n2,a,1,2026-01-05,c\n", "lines")
    assert shop.land(shop.contract(), chunk_bytes=1 << 20).count("accepted") == 2
    assert shop.land(shop.contract("lines"), chunk_bytes=1 << 20).count("accepted") == 1
    assert shop.reasons() == [
        (1, "the row is 9 MB long; the most is 4 MB"),
        (2, "the row is 9 MB long; the most is 4 MB"),
    ]


def test_implausible_times_are_quarantined(shop: Shop) -> None:
    shop.put(
        "a.jsonl",
        [
            event(1, timestamp="1970-01-01T00:00:00Z"),
            event(2, timestamp="2099-01-01T00:00:00Z"),
            event(3, timestamp="2099-01-01T00:00:00Z", receivedAt="2099-01-01T00:00:01Z"),
            event(4, timestamp="2026-01-06T09:59:00Z"),
        ],
    )
    shop.put("undated.csv", HEADER + "1,a,1,2099-01-01,c\n", "lines")
    shop.land(shop.contract())
    assert shop.reasons() == [
        (1, "occurred_at: 1970-01-01 00:00 is before the year 2000"),
        (2, "occurred_at: 2099-01-01 00:00 is more than a day after it can have been known"),
        (3, "occurred_at: 2099-01-01 00:00 is more than a day after it can have been known"),
    ]
    assert shop.land(shop.contract("lines")).count("quarantined") == 1


def test_instants_that_stand_for_none_are_quarantined(shop: Shop) -> None:
    columns = [*EVENT_COLUMNS, {"name": "ended_at", "data_type": "timestamp"}]
    times = ["1899-12-30", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1987-05-01", None, ""]
    shop.put("a.jsonl", [event(n, ended_at=time) for n, time in enumerate(times)])
    assert shop.land(shop.contract(columns=columns)).count("accepted") == 3
    told = "is no time at which anything can have happened; leave it blank where it is not known"
    assert shop.reasons() == [
        (1, f"ended_at: 1899-12-30 00:00 {told}"),
        (2, f"ended_at: 1970-01-01 00:00 {told}"),
        (3, f"ended_at: 0001-01-01 00:00 {told}"),
    ]


def test_word_for_no_value_is_none_where_one_is_required(shop: Shop) -> None:
    required = {"user_id", "items"}
    columns = [
        c | {"landing": c.get("landing", {}) | {"required": True}} if c["name"] in required else c
        for c in EVENT_COLUMNS
    ]
    shop.put("a.jsonl", [event(1, items="NaN"), event(2, userId=" null "), event(3, items=""), event(4, amount="NaN")])
    assert shop.land(shop.contract(columns=columns)).count("accepted") == 1
    assert shop.reasons() == [
        (1, "items: 'NaN' stands for no value, and 'items' is required"),
        (2, "user_id: 'null' stands for no value, and 'userId' is required"),
        (3, "items: 'items' is required but missing or blank"),
    ]


def test_object_in_place_of_a_text_is_quarantined(shop: Shop) -> None:
    """An empty list or object in place of an id would otherwise be one person's id in every row."""
    columns = [*EVENT_COLUMNS, {"name": "category", "data_type": "varchar"}]
    given: list[dict[str, Any]] = [
        {"userId": {}},
        {"userId": []},
        {"message": {"text": "hello"}},
        {"traits": {"email": ["a@example.org"]}},
        {"category": {"name": "Ann Smith"}},
        {"category": ["news", "sales"]},
        {"message": "{curly} words", "category": "[bracket]"},
        {"properties": {"any": ["thing"]}},
    ]
    shop.put("a.jsonl", [event(n, **fields) for n, fields in enumerate(given)])
    assert shop.land(shop.contract(columns=columns)).count("accepted") == 3
    told = "is an object or a list where the contract reads a text"
    assert shop.reasons() == [
        (1, f"user_id: 'userId' {told}"),
        (2, f"user_id: 'userId' {told}"),
        (3, f"message_id: 'message' {told}"),
        (4, f"email: 'traits.email' {told}"),
        (5, f"category: 'category' {told}"),
    ]


def test_column_gone_quarantines_the_file_with_one_reason(shop: Shop) -> None:
    shop.put("2026-01-06.csv", "Order,Note,Price,Sold,Customer\n1,a,1,2026-01-05,c\n2,a,1,2026-01-05,c\n", "lines")
    shop.put("2026-01-07.csv", "Order No,Price,Sold,Customer\n3,1,2026-01-05,c\n", "lines")
    report = shop.land(shop.contract("lines"))
    [(reason, count)] = shop.rows("select reason, count(*) from ops.quarantine group by all")
    assert count == 2
    assert reason == (
        "order_no: 2026-01-06.csv has no 'Order No', which the contract requires; if the export renamed it, "
        "set `from` of order_no in _shop__sources.yml to the new name and replay"
    )
    assert report.count("accepted") == 1
    assert report.drift == ["Note (gone)", "Order"]
    rows = [event(n) for n in range(3)]
    for row in rows:
        row["uuid"] = row.pop("id")
    shop.put("a.jsonl", rows)
    shop.land(shop.contract())
    reasons = shop.rows("select distinct reason from ops.quarantine where table_name = 'events'")
    assert len(reasons) == 1
    assert "a.jsonl has no 'id'" in reasons[0][0]


def test_file_that_changes_while_it_is_read_is_left_for_the_next_run(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = shop.contract()
    path = shop.put("a.jsonl", [event(1)])
    shop.put("b.jsonl", [event(2)])

    def grow(name: str) -> None:
        if name == "landing.file_read" and path.stat().st_size < 5_000:
            with path.open("a") as file:
                file.write(json.dumps(event(3, message="x" * 6_000)) + "\n")

    monkeypatch.setattr(readers, "failpoint", grow)
    report = shop.land(contract)
    assert {(Path(f.path).name, f.status) for f in report.files} == {("a.jsonl", "changed"), ("b.jsonl", "landed")}
    assert shop.land(contract).count("accepted") == 2
    assert shop.rows("select count(*) from raw.shop__events") == [(3,)]


def test_wrong_encoding_is_mended_by_the_contract(shop: Shop) -> None:
    shop.put("2026-01-06.csv", (HEADER + "1,café,1,2026-01-05,c\n").encode("cp1252"), "lines")
    shop.land(shop.contract("lines", encoding="windows-1252"))
    assert shop.rows("select note from raw.shop__lines") == [("café",)]


# --- surroundings -------------------------------------------------------------------------------


def test_locked_warehouse_is_one_sentence(shop: Shop) -> None:
    contract = shop.contract()
    prepare(shop.settings, [contract])
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, time; c = duckdb.connect({str(shop.settings.warehouse_path)!r}); "
            "print('held', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(ThroughlineError, match="in use by another process"):
            land_table(shop.settings, contract)
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize(
    "place", ["landing.before_vault", "landing.mid_vault", "landing.mid_rows", "landing.before_commit"]
)
def test_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    contract = shop.contract()
    shop.put("a.jsonl", [event(n) for n in range(20)])

    def full(name: str) -> None:
        if name == place:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        for module in (landing, passes):
            patch.setattr(module, "failpoint", full)
        with pytest.raises(ThroughlineError, match="is full; free some space and run again, nothing was lost"):
            land_table(shop.settings, contract)
    assert shop.rows("select count(*) from raw.shop__events") == [(0,)]
    assert shop.rows("select count(*) from ops.landed_files") == [(0,)]
    assert shop.land(contract).count("accepted") == 20
    assert shop.rows("select count(*) from vault.shop__events") == [(20,)]


def test_really_full_disk_is_one_sentence(shop: Shop) -> None:
    place = shop.folder / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        tiny = Shop(
            load_settings({"THROUGHLINE_DATA": str(place), "THROUGHLINE_INBOX": str(shop.settings.inbox)}), shop.folder
        )
        generator = random.Random(1)
        shop.put("a.jsonl", [event(n, message=generator.randbytes(2_000).hex()) for n in range(8_000)])
        with pytest.raises(ThroughlineError, match="full"):
            land_table(tiny.settings, shop.contract())
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert shop.land(shop.contract()).count("accepted") == 8_000


def test_key_is_made_once_private_and_missed_when_gone_or_wrong(shop: Shop) -> None:
    contract = shop.contract()
    shop.put("a.jsonl", [event(1)])
    shop.land(contract)
    path = shop.settings.key_file
    for file in (path, shop.settings.vault_path):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = path.read_bytes()
    assert len(key) == 32
    path.unlink()
    with pytest.raises(ThroughlineError, match=r"key file .* is missing"):
        land_table(shop.settings, contract)
    assert not path.exists()
    path.write_bytes(b"x" * 32)
    with pytest.raises(ThroughlineError, match="is not the one the warehouse was made with"):
        land_table(shop.settings, contract)
    path.write_bytes(b"short")
    with pytest.raises(ThroughlineError, match="5 bytes instead of 32"):
        land_table(shop.settings, contract)
    path.write_bytes(key)
    shop.land(contract)


def test_contracted_tables_exist_without_any_file(shop: Shop) -> None:
    prepare(shop.settings, [shop.contract()])
    assert shop.rows("select count(*) from raw.shop__events") == [(0,)]
    nullable = shop.rows(
        "select is_nullable from duckdb_columns() where table_name = 'shop__events' and column_name = 'available_at'"
    )
    assert nullable == [(False,)]


# --- people -------------------------------------------------------------------------------------


def test_suppressed_people_never_land_again(shop: Shop) -> None:
    contract = shop.contract()
    prepare(shop.settings, [contract])
    key = shop.settings.key_file.read_bytes()
    erased = token(key, "email", "", "gone@example.org")
    with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
        connection.execute("insert into ops.suppressed_identifiers values (?, now()::timestamp)", [erased])
    gone = {"traits": {"email": "GONE@example.org "}}
    shop.put("a.jsonl", [event(1), event(2, **gone), event(3, items="bad", **gone)])
    report = shop.land(contract)
    assert (report.count("accepted"), report.count("suppressed"), report.count("quarantined")) == (1, 2, 0)
    assert shop.rows("select count(*) from vault.shop__events") == [(1,)]
    assert shop.rows("select count(*) from vault.quarantine") == [(0,)]


def test_junk_values_get_tokens_that_never_link_and_blanks_none(shop: Shop) -> None:
    shop.put(
        "a.jsonl",
        [
            event(1, userId="anonymous", traits={"email": "Support@shop.example"}),
            event(2, userId=" ", traits={"email": "null"}),
            event(3, userId="00000000", traits={"email": "ann@shop.example"}),
        ],
    )
    shop.land(shop.contract())
    rows = shop.rows("select user_id, email from raw.shop__events order by id")
    assert [tuple(v and v.rsplit(":", 1)[0] for v in row) for row in rows] == [
        ("junk_user_id:app", "junk_email"),
        (None, None),
        ("junk_user_id:app", "email"),
    ]


def test_first_of_a_list_of_identifiers_becomes_the_token(shop: Shop) -> None:
    columns = [
        {"name": "customers", "landing": {"from": "Customers"}},
        {
            "name": "customer",
            "landing": {"from": "Customers", "identifier": "user_id", "namespace": "shop", "first_of": ";"},
        },
    ]
    contract = shop.contract("lines", columns=columns, landing={"available": {"since": "2026-01-01"}})
    shop.put("x.csv", 'Customers,No\n"c1;c2",1\n; c1 ;c2,2\nc1,3\n;,4\n', "lines")
    shop.land(contract)
    first = token(shop.settings.key_file.read_bytes(), "user_id", "shop", "c1")
    assert shop.rows("select customers, customer from raw.shop__lines order by _row_number") == [
        ("c1;c2", first),
        ("; c1 ;c2", first),
        ("c1", first),
        (";", None),
    ]


def test_no_readable_person_outside_the_vault(shop: Shop) -> None:
    secret = "zoe.secret@private.example"
    shop.put(
        "a.jsonl",
        [
            event(1, traits={"email": secret}, message=f"mail {secret}", properties={"who": secret}),
            event(2, context={"ip": "203.0.113.77", "url": f"https://x:y@h.example/u/{secret}?utm_term={secret}"}),
            event(3, newField=secret, items=secret),
        ],
    )
    shop.land(shop.contract())
    warehouse = shop.settings.warehouse_path.read_bytes()
    assert secret.encode() not in warehouse
    assert b"203.0.113.77" not in warehouse
    assert secret.encode() in shop.settings.vault_path.read_bytes()


# --- drift --------------------------------------------------------------------------------------


def test_new_fields_are_kept_reported_and_filled_in_when_named(shop: Shop) -> None:
    rows = [
        event(1, plan="pro", context={"ip": "10.0.0.1", "os": {"name": "iOS", "v": 3}}, phone="+44 20 7946 0958"),
        event(2, seats="7", score="high"),
    ]
    shop.put("a.jsonl", rows)
    report = shop.land(shop.contract())
    assert report.drift == ["context.os", "phone", "plan", "score", "seats"]
    assert {r[0] for r in shop.rows("select field from ops.drift")} == set(report.drift)
    extras = [json.loads(r[0]) for r in shop.rows("select extra from vault.shop__events order by row_number")]
    assert extras == [
        {"context": {"os": {"name": "iOS", "v": 3}}, "phone": "+44 20 7946 0958", "plan": "pro"},
        {"score": "high", "seats": "7"},
    ]
    columns = [
        *EVENT_COLUMNS,
        {"name": "plan"},
        {"name": "seats", "data_type": "bigint"},
        {"name": "score", "data_type": "bigint"},
        {"name": "os_name", "landing": {"from": "context.os.name"}},
        {"name": "phone", "landing": {"identifier": "phone", "personal": True}},
        {"name": "comment_id", "landing": {"from": "plan", "text": True}},
    ]
    prepare(shop.settings, [shop.contract(columns=columns)])
    key = shop.settings.key_file.read_bytes()
    phone = token(key, "phone", "", "+442079460958")
    assert shop.rows("select plan, seats, score, os_name, phone from raw.shop__events order by id") == [
        ("pro", None, None, "iOS", phone),
        (None, 7, None, None, None),
    ]
    assert shop.rows("select phone from vault.shop__events order by row_number") == [("+44 20 7946 0958",), (None,)]
    assert shop.rows("select text from vault.texts join raw.shop__events on comment_id = text_id") == [("pro",)]
    # 'high' is no whole number: it stays in the vault and on the report.
    assert [r[0] for r in shop.rows("select field from ops.drift order by 1")] == ["context.os", "score"]


def test_header_that_belongs_to_nothing_still_lands_what_it_can(shop: Shop) -> None:
    columns = [{"name": "a"}, {"name": "b"}]
    contract = shop.contract("lines", columns=columns, landing={"available": {"since": "2026-01-01"}})
    shop.put("x.csv", "a,zeta\n1,2\n", "lines")
    report = shop.land(contract)
    assert (report.count("accepted"), report.drift) == (1, ["b (gone)", "zeta"])
    assert shop.rows("select a, b, available_at from raw.shop__lines") == [("1", None, datetime(2026, 1, 1))]
    assert shop.rows("select extra from vault.shop__lines") == [('{"zeta":"2"}',)]


def test_map_of_data_in_place_of_fields_is_kept_whole(shop: Shop) -> None:
    shop.put("a.jsonl", [event(n, context={"ip": "10.0.0.1", f"k{n}": n}) for n in range(300)])
    report = shop.land(shop.contract())
    assert report.drift == ["context"]
    [(extra,)] = shop.rows("select extra from vault.shop__events where row_number = 5")
    assert json.loads(extra) == {"context": {"ip": "10.0.0.1", "k4": 4}}


def test_changed_type_is_one_sentence(shop: Shop) -> None:
    prepare(shop.settings, [shop.contract()])
    columns = [c | {"data_type": "double"} if c["name"] == "items" else c for c in EVENT_COLUMNS]
    with pytest.raises(ThroughlineError, match=r"shop\.events\.items: data_type is double but .* holds bigint"):
        prepare(shop.settings, [shop.contract(columns=columns)])


# --- speed --------------------------------------------------------------------------------------


def test_year_of_daily_files_is_a_few_transactions(shop: Shop) -> None:
    for day in range(365):
        lines = "".join(f"{day}-{n},a,1,2025-01-01 10:00,c{n}\n" for n in range(20))
        shop.put(f"{day:03}.csv", HEADER + lines, "lines")
    started = time.perf_counter()
    report = shop.land(shop.contract("lines"))
    assert report.count("accepted") == 365 * 20
    assert shop.rows("select count(distinct _loaded_at) from raw.shop__lines") == [(1,)]
    assert time.perf_counter() - started < 20
