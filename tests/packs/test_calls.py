"""Calls: who talked about what, what came of it, and how the customer felt."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
ANA, CY = token("phone", "+442079460958"), token("phone", "+12025550142")


def crm(record: int) -> str:
    """A HubSpot contact, as the pack of the CRM has it."""
    return token("crm_id", str(record), namespace="hubspot")


def test_calls_are_told_apart_by_reason_direction_and_whether_they_talked(rows: Rows) -> None:
    # C-1003 is written in Indian time; C-1009 was passed on between agents and is no contact.
    assert rows("""
        select properties ->> 'call', event_name, cast(occurred_at as varchar)
        from staging.stg_calls__events where ends_with(event_key, 'contact') order by 1
    """) == [
        ("C-1001", "Support Call Answered", "2026-03-02 09:00:00"),
        ("C-1002", "Call Abandoned", "2026-03-02 10:00:00"),
        ("C-1003", "Onboarding Call Made", "2026-03-02 09:30:00"),
        ("C-1004", "Sales Call Made", "2026-03-02 11:00:00"),
        ("C-1005", "Voicemail Left", "2026-03-02 20:00:00"),
        ("C-1006", "Billing Call Answered", "2026-03-02 12:00:00"),
        ("C-1007", "Customer Not Reached", "2026-03-02 14:00:00"),
        ("C-1008", "Call Answered", "2026-03-02 13:00:00"),
        ("C-1010", "Support Call Answered", "2026-03-02 23:50:00"),
    ]
    assert rows("select source_table, reason, row_count from staging.stg_calls__left_out") == [
        ("calls", "its direction is neither inbound nor outbound", 1)
    ]


def test_a_call_that_connects_has_an_outcome_when_it_ends_save_in_sales(rows: Rows) -> None:
    assert rows("""
        select properties ->> 'call', event_name, cast(occurred_at as varchar)
        from staging.stg_calls__events where ends_with(event_key, 'outcome') order by 1
    """) == [
        ("C-1001", "Call Resolved", "2026-03-02 09:07:00"),
        ("C-1003", "Call Resolved", "2026-03-02 10:00:00"),
        ("C-1006", "Call Unresolved", "2026-03-02 12:05:00"),
        ("C-1010", "Call Resolved", "2026-03-03 00:20:00"),
    ]


def test_a_call_carries_number_and_crm_record_and_a_withheld_number_is_junk(rows: Rows) -> None:
    found = {
        call: (phone, record)
        for call, phone, record in rows("""
        select properties ->> 'call', phone, crm_id from staging.stg_calls__events
    """)
    }
    assert found["C-1001"] == found["C-1005"] == (ANA, crm(501))
    assert found["C-1004"] == (CY, crm(503))
    # Written as a word, and as +266696687, which spells ANONYMOUS on a keypad.
    assert [str(found[call][0]).split(":")[0] for call in ("C-1002", "C-1006", "C-1010")] == ["junk_phone"] * 3
    assert found["C-1006"][1] == crm(504)


def test_only_what_the_customer_said_stands_for_the_call(rows: Rows) -> None:
    # The agent's lovely day is none of the customer's mood.
    texts = dict(
        rows("""
        select events.event_key, texts.text from staging.stg_calls__events as events
        join vault.texts as texts on events.text_id = texts.text_id
    """)
    )
    assert texts == {
        "C-1001|contact": 'The "export" fails, and I hate waiting.\nI am at [email] or [phone].\n'
        "Thank you, it works now, that is great!",
        "C-1003|contact": "Yes, wonderful.",
        "C-1004|contact": "Maybe later.",
        "C-1005|contact": "Please cancel my plan, this is awful.",
    }


def test_the_whole_transcript_is_kept_too(rows: Rows) -> None:
    assert rows("""
        select texts.text from raw.calls__calls as calls
        join vault.texts as texts on calls.transcript_text_id = texts.text_id where call_id = 'C-1007'
    """) == [("Agent: I call about your plan.",)]


def test_a_transcript_that_comes_later_counts_from_then_on(rows: Rows) -> None:
    # The second version is known at the end of 3 March; on 2 March there was a promise to call back, and no text.
    assert rows("""
        select event_name, cast(available_at as varchar), text_id is not null
        from staging.stg_calls__events where properties ->> 'call' = 'C-1003' order by event_name
    """) == [
        ("Call Resolved", "2026-03-03 23:59:59.999999", False),
        ("Onboarding Call Made", "2026-03-03 23:59:59.999999", True),
    ]


def test_a_call_past_midnight_is_known_when_it_has_ended(rows: Rows) -> None:
    assert rows("""
        select distinct cast(available_at as varchar) from staging.stg_calls__events
        where properties ->> 'call' = 'C-1010'
    """) == [("2026-03-03 00:20:00",)]


def test_names_and_numbers_are_in_the_vault_only(warehouse: duckdb.DuckDBPyConnection) -> None:
    (vaulted,) = warehouse.execute("""
        select phone, customer_name, agent_name from vault.calls__calls
        where phone like '%0958' and agent_name is not null
    """).fetchall()
    assert vaulted == ("+44 20 7946 0958", "Ana Example", "Kim Agent")
    readable = str(warehouse.execute("from raw.calls__calls").fetchall())
    assert [word for word in ("Ana", "Kim", "7946", "hate", "wonderful") if word in readable] == []


@pytest.mark.parametrize("column", ["talk_seconds", "wait_seconds"])
def test_seconds_are_told_with_the_call(rows: Rows, column: str) -> None:
    assert rows(f"""
        select properties ->> '{column}' from staging.stg_calls__events where event_key = 'C-1001|contact'
    """) == [({"talk_seconds": "375", "wait_seconds": "45"}[column],)]
