from __future__ import annotations

from datetime import datetime

import duckdb
import pytest

from dagster_project.publishing.audit import Finding, find_personal_data

E_MAIL, IP, PHONE, CARD = "e-mail address", "IP address", "phone number", "card number"

READABLE = [
    ("jane.doe@example.com", {E_MAIL}),
    ("write to Jane <jane+news@mail.example.co.uk>, please", {E_MAIL}),
    ("https://shop.example/thanks/jane%40example.com/ok", {E_MAIL}),
    ('{"traits": {"email": "j@example.io", "plan": "pro"}}', {E_MAIL}),
    ("icon@2x.png or jane@example.com", {E_MAIL}),
    ("203.0.113.7", {IP}),
    ("from 203.0.113.255.", {IP}),
    ('{"ip":"198.51.100.23","app_version":"1.2.3.4"}', {IP}),
    ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", {IP}),
    ("login from 2001:db8:1::8a2e today", {IP}),
    ("+49 170 1234567", {PHONE}),
    ("call +1 (555) 123-4567 now", {PHONE}),
    ("+442071838750", {PHONE}),
    ("(212) 555-0123", {PHONE}),
    ("212-555-0123", {PHONE}),
    # Test numbers that the card networks publish.
    ("4111111111111111", {CARD}),
    ("paid with 4111 1111 1111 1111.", {CARD}),
    ("5555-5555-5555-4444", {CARD}),
    ("2223003122003222", {CARD}),
    ("378282246310005", {CARD}),
    ('{"card": 6011111111111117}', {CARD}),
    ("3056 930902 5904", {CARD}),
    ("4111111111111111 of jane@example.com at 203.0.113.7", {CARD, E_MAIL, IP}),
]

HARMLESS = [
    "email:0123456789abcdef0123456789abcdef",
    "phone:12345678901234567890123456789012",
    "12345678-1234-1234-1234-123456789012",
    "41111111-1111-4111-8111-111111111111",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Instagram 123.0.0.21.114 (iPhone12,1; iOS 14_0)",
    "http://192.168.1.10:3000/pricing",
    '{"app_version": "1.2.3.4", "os": {"version":"10.0.0.1"}}',
    "2026-01-31T23:59:59.999999+00:00",
    "2026-01-31 12:34:56",
    "1767225599000",
    "1767225599000123",
    "20260131235959123456",
    "4405678901234",
    "36012345678904",
    "4111111111111112",
    "123-1234567-1234567",
    "icon@2x.png and lib@1.2.min.js",
    "medium.com/@janedoe",
    "react@18.2.0",
    "256.300.1.2 and 1.2.3",
    "12:34:56",
    "std::vector",
    "WHITE HANGING HEART T-LIGHT HOLDER",
    "a" * 5000,
    None,
]


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        for schema in ("raw", "published", "ops", "elsewhere"):
            opened.execute(f"create schema {schema}")
        yield opened


@pytest.mark.parametrize(("value", "kinds"), READABLE, ids=[value[:40] for value, _ in READABLE])
def test_find_personal_data_finds(connection, value, kinds):
    connection.execute("create table raw.pages as select ? as note, 1 as n", [value])
    found = find_personal_data(connection)
    assert {finding.kind for finding in found} == kinds
    assert {(finding.table, finding.column, finding.count) for finding in found} == {("raw.pages", "note", 1)}


@pytest.mark.parametrize("value", HARMLESS, ids=[str(value)[:40] for value in HARMLESS])
def test_find_personal_data_leaves_alone(connection, value):
    connection.execute("create table raw.pages as select ?::varchar as note", [value])
    assert find_personal_data(connection) == []


def test_find_personal_data_counts_rows_and_quotes_nothing(connection):
    connection.execute(
        """
        create table published.customers as
        select i, 'safe' as name, if(i < 3, 'jane' || i || '@example.com or a@example.org', 'x') as "odd ""name",
            ['+4930123456' || i] as phones, {'ip': '203.0.113.' || i} as place, '203.0.113.1' as app_version,
            '{"ip": "203.0.113.1"}'::json as properties, 203.0113 as amount
        from range(10) as numbers(i)
        """
    )
    connection.execute("create view published.again as select * from published.customers")
    connection.execute("create table elsewhere.customers as from published.customers")
    found = find_personal_data(connection, schemas=("published",))
    table = "published.customers"
    assert found == [
        Finding(table=table, column='odd "name', kind=E_MAIL, count=3),
        Finding(table=table, column="phones", kind=PHONE, count=10),
        Finding(table=table, column="place", kind=IP, count=10),
        Finding(table=table, column="properties", kind=IP, count=10),
    ]
    assert "@example" not in "".join(map(str, found))


def test_find_personal_data_searches_only_what_is_new_where_it_can(connection):
    connection.execute(
        """
        create table raw.pages as
        select 'jane@example.com' as note, timestamp '2026-01-01' + interval (i) day as _loaded_at
        from range(10) as numbers(i);
        create table ops.quarantine as select 'bad value jane@example.com' as reason;
        """
    )
    counts = {
        since: [(finding.table, finding.count) for finding in find_personal_data(connection, since=since)]
        for since in (None, datetime(2026, 1, 8), datetime(2026, 1, 10))
    }
    assert counts == {
        None: [("ops.quarantine", 1), ("raw.pages", 10)],
        datetime(2026, 1, 8): [("ops.quarantine", 1), ("raw.pages", 2)],
        datetime(2026, 1, 10): [("ops.quarantine", 1)],
    }


def test_find_personal_data_knows_that_user_agents_hold_versions(connection):
    agents = ["Embedly +support@embed.ly", "Snapchat 10.77.0.54 (like Safari)", "Mozilla/5.0"]
    connection.execute("create table raw.pages as select unnest(?) as context_user_agent", [agents])
    assert find_personal_data(connection) == [
        Finding(table="raw.pages", column="context_user_agent", kind=E_MAIL, count=1)
    ]


def test_find_personal_data_ignores_the_attached_vault(connection, tmp_path):
    connection.execute(f"attach '{tmp_path / 'vault.duckdb'}' as vault")
    connection.execute("create table vault.main.people as select 'jane@example.com' as email")
    assert find_personal_data(connection, schemas=("main", "raw")) == []
