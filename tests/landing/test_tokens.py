"""Tokens against Python's own HMAC; scrubbing and URL stripping against hand-written cases."""

import csv
import hashlib
import hmac
import os
import random
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from dagster_project.landing import tokens

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        tokens.prepare_connection(opened, key=KEY)
        yield opened


def value(connection: duckdb.DuckDBPyConnection, sql: str, given: str | None) -> Any:
    connection.execute("create or replace temp table t as select ?::varchar as v", [given])
    return connection.execute(f"select {sql} from t").fetchall()[0][0]


def test_tokens_are_hmac_sha256(connection: duckdb.DuckDBPyConnection) -> None:
    pick = random.Random(3)
    values = ["", "a", "x" * 300, "漢字", *(pick.randbytes(20).hex() for _ in range(50))]
    connection.execute("create or replace temp table v as select unnest(?::varchar[]) as v", [values])
    sql = tokens.token("card_id", namespace="till", value="v", blocked_pattern=None)
    found = [r[0] for r in connection.execute(f"select {sql} from v").fetchall()]
    wanted = [
        "card_id:till:" + hmac.new(KEY, f"card_id|till|{v}".encode(), hashlib.sha256).hexdigest()[:32] for v in values
    ]
    assert found == wanted


@pytest.mark.parametrize(
    ("identifier", "given", "normalised"),
    [
        ("email", "  Bob@Example.ORG ", "bob@example.org"),
        ("phone", "+44 (20) 7946-0958", "+442079460958"),
        ("phone", "0044 20 7946 0958", "+442079460958"),
        ("phone", "020 7946 0958", "02079460958"),
        ("user_id", " Ab9 ", "Ab9"),
    ],
)
def test_normalising(connection: duckdb.DuckDBPyConnection, identifier: str, given: str, normalised: str) -> None:
    assert value(connection, tokens.normalised(identifier, "v"), given) == normalised


def test_null_likes_are_nothing_and_data_is_kept(connection: duckdb.DuckDBPyConnection) -> None:
    for text in ["", "  ", "\t", "NULL", "None", "n/a", "NaN", "undefined", " null ", "\\N"]:
        assert value(connection, "given(v)", text) is None, text
    for text in ["0", "-1", "nullify", "Nancy", "(x)", "é", "2026-01-01"]:
        assert value(connection, "given(v)", text) == text
    assert value(connection, "present(v)", " \r\n") is None
    assert value(connection, "present(v)", " null") == " null"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("write to Bob.O'Neil+x@mail.example.co.uk please", "write to [email] please"),
        ("from 203.0.113.7:8080 and 2001:db8:0:0:0:0:2:1", "from [ip]:8080 and [ip]"),
        ("card 4111 1111 1111 1111, or 378282246310005", "card [card], or [card]"),
        ("ring +1 (415) 555-2671 or 020 7946 0958 or (020) 7946 0958", "ring [phone] or [phone] or [phone]"),
        ("call 415-555-2671", "call [phone]"),
        ("order 536365 costs 1299.00 on 2026-01-05 at 10:30", "order 536365 costs 1299.00 on 2026-01-05 at 10:30"),
        ("version 1.2.3 is 100% ok", "version 1.2.3 is 100% ok"),
    ],
)
def test_text_is_scrubbed_of_people_and_of_nothing_else(
    connection: duckdb.DuckDBPyConnection, text: str, scrubbed: str
) -> None:
    assert value(connection, "scrubbed(v)", text) == scrubbed


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ("Agent: Hello.\nCustomer: My bill is wrong.\nAgent: Sorry.", "My bill is wrong."),
        ("Customer: First.\nAgent Kim: And?\nCustomer: Second.", "First.\nSecond."),
        # A turn goes on until somebody is named; neither a time nor a thought with a colon is a name.
        (
            "Customer: I waited\r\nfrom 10:30 on.\r\nWhat I want: money.\r\nAgent: I see.",
            "I waited\r\nfrom 10:30 on.\r\nWhat I want: money.",
        ),
        ("CUSTOMER: Loud.\n\n  Agent: Quiet.", "Loud."),
        ("Agent: I leave you a message.", None),
        ("Nobody is named here, Customer: not even now.", None),
        ("Customer:\nAgent: Are you there?", None),
        ("", None),
    ],
)
def test_one_speaker_of_a_transcript_is_heard(
    connection: duckdb.DuckDBPyConnection, transcript: str, words: str | None
) -> None:
    assert value(connection, "said_by(v, 'Customer')", transcript) == words


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://a.example/p", "https://a.example/p"),
        ("https://bob:pw@a.example:8/p?x=1#f", "https://a.example:8/p"),
        (
            "https://a.example/p?utm_source=g&q=secret&gclid=G1&email=b@c.de",
            "https://a.example/p?utm_source=g&gclid=G1",
        ),
        ("https://a.example/p#access_token=1", "https://a.example/p"),
        ("https://a.example/u/b@c.example/x?notgclid=1", "https://a.example/u/[email]/x"),
        ("https://a.example/?utm_term=b%40c.example", "https://a.example/?utm_term=[email]"),
        ("/relative?fbclid=F&token=1", "/relative?fbclid=F"),
        (None, None),
    ],
)
def test_urls_keep_path_and_campaign_only(
    connection: duckdb.DuckDBPyConnection, url: str | None, stripped: str | None
) -> None:
    assert value(connection, "stripped_url(v)", url) == stripped


def test_every_blocked_pattern_is_one_that_duckdb_reads(connection: duckdb.DuckDBPyConnection) -> None:
    patterns = tokens.blocked_patterns()
    with tokens.IDENTIFIER_RULES.open(newline="") as file:
        assert set(patterns) == {r["identifier_type"] for r in csv.DictReader(file) if r["blocked_pattern"]}
    for identifier, pattern in patterns.items():
        sql = tokens.token(identifier, namespace=None, value="v", blocked_pattern=pattern)
        assert value(connection, sql, "Ordinary.Person-77@example.org").startswith(f"{identifier}:")


def test_half_written_key_cannot_be(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    path = tmp_path / "key"
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken)
        with pytest.raises(OSError, match="No space"):
            tokens.load_or_create_key(path, fingerprint=None)
    assert not path.exists()
    assert len(tokens.load_or_create_key(path, fingerprint=None)) == 32
