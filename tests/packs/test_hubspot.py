"""HubSpot: contacts, companies and deals that come again whenever they change."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
MIA = token("crm_id", "101", namespace="hubspot")
RAJ = token("crm_id", "102", namespace="hubspot")
DESK = token("crm_id", "103", namespace="hubspot")
FIRMA = token("account_id", "201", namespace="hubspot")
ACME = token("account_id", "202", namespace="hubspot")


def test_each_version_of_a_contact_is_a_profile_and_a_second_number_one_more(rows: Rows) -> None:
    # The first of several companies counts; Mia has a mobile number and another one, in all three versions.
    mia = (
        MIA,
        token("user_id", "u_0067", namespace="app"),
        token("email", "mia.mueller@firma.example"),
        FIRMA,
        "Germany",
    )
    mobile, office = token("phone", "+491705550133"), token("phone", "+493055501122")
    changed = ("2026-02-01 10:00:00", "2026-02-03 08:00:00", "2026-02-05 16:20:00")
    assert rows("""
        select crm_id, user_id, email, account_id, country, phone, cast(changed_at as varchar)
        from staging.stg_hubspot__profiles where crm_id = (
            select crm_id from staging.stg_hubspot__events where event_key = '101|created'
        ) order by changed_at, profile_key
    """) == [(*mia, phone, at) for at in changed for phone in (mobile, office)]
    assert rows(f"""
        select crm_id, user_id, email, account_id, phone
        from staging.stg_hubspot__profiles where crm_id <> '{MIA}' order by email nulls first
    """) == [
        (RAJ, None, None, FIRMA, token("phone", "+912255501144")),
        (DESK, token("user_id", "u_0099", namespace="app"), "junk_" + token("email", "info@acme.example"), None, None),
    ]
    assert rows("select count(distinct profile_key) from staging.stg_hubspot__profiles") == [(8,)]


def test_a_contact_is_created_once_however_often_exported(rows: Rows) -> None:
    assert rows("""
        select event_key, crm_id, cast(occurred_at as varchar), cast(available_at as varchar),
            properties ->> 'original_source', properties ->> 'lifecycle_stage'
        from staging.stg_hubspot__events where source_table = 'contacts' order by event_key
    """) == [
        ("101|created", MIA, "2026-01-30 09:15:00", "2026-02-01 23:59:59.999999", "Paid Social", "Lead"),
        ("102|created", RAJ, "2025-12-01 12:00:00", "2026-02-01 23:59:59.999999", "Offline Sources", "Subscriber"),
        ("103|created", DESK, "2026-01-15 07:45:00", "2026-02-01 23:59:59.999999", None, "Other"),
    ]


def test_a_deal_is_created_moved_and_closed_by_its_first_contact(rows: Rows) -> None:
    # 301 has a contact from its second version on: what it did before is known to be Mia's only then. 302 was lost
    # before anybody exported it. 303 was won, taken up again and lost, at a date nobody wrote down.
    end = " 23:59:59.999999"
    assert rows("""
        select event_key, crm_id, account_id, cast(occurred_at as varchar), cast(available_at as varchar),
            properties ->> 'stage_before', properties ->> 'stage'
        from staging.stg_hubspot__events where source_table = 'deals' order by event_key
    """) == [
        ("301|Deal Created|1", MIA, FIRMA, "2026-02-01 11:00:00", "2026-02-03" + end, None, "Appointment Scheduled"),
        (
            "301|Deal Stage Changed|1",
            MIA,
            FIRMA,
            "2026-02-03 09:30:00",
            "2026-02-03" + end,
            "Appointment Scheduled",
            "Contract Sent",
        ),
        ("301|Deal Won|1", MIA, FIRMA, "2026-02-05 14:00:00", "2026-02-05" + end, "Contract Sent", "Closed Won"),
        ("302|Deal Created|1", RAJ, ACME, "2026-01-10 08:00:00", "2026-02-01" + end, None, "Closed Lost"),
        ("302|Deal Lost|1", RAJ, ACME, "2026-01-20 12:00:00", "2026-02-01" + end, None, "Closed Lost"),
        ("303|Deal Created|1", DESK, None, "2026-02-01 08:30:00", "2026-02-01" + end, None, "Closed Won"),
        (
            "303|Deal Lost|1",
            DESK,
            None,
            "2026-02-06 15:30:00",
            "2026-02-06" + end,
            "Decision Maker Bought-In",
            "Closed Lost",
        ),
        (
            "303|Deal Stage Changed|1",
            DESK,
            None,
            "2026-02-03 13:00:00",
            "2026-02-03" + end,
            "Closed Won",
            "Decision Maker Bought-In",
        ),
        ("303|Deal Won|1", DESK, None, "2026-02-01 09:00:00", "2026-02-01" + end, None, "Closed Won"),
    ]


def test_a_deal_says_its_amount_and_adds_no_revenue(rows: Rows) -> None:
    # The amount that the deal had when it was won, not what it was corrected to the day after.
    assert rows("""
        select event_key, cast(cast(properties ->> 'amount' as decimal(18, 2)) as varchar), properties ->> 'currency'
        from staging.stg_hubspot__events where event_name = 'Deal Won' order by event_key
    """) == [("301|Deal Won|1", "12000.00", "EUR"), ("303|Deal Won|1", "99.50", "USD")]
    columns = {name for (name, *_) in rows("describe staging.stg_hubspot__events")}
    assert not columns & {"revenue", "currency", "order_id"}


def test_only_a_change_of_mind_is_an_answer(rows: Rows) -> None:
    # Mia was willing when she was created and unsubscribed on the 5th; Raj, no marketing contact, has said nothing.
    assert rows("""
        select identifier, purpose, is_granted, cast(said_at as varchar), cast(available_at as varchar)
        from staging.stg_hubspot__consents order by said_at
    """) == [
        (DESK, "marketing", False, "2026-01-20 18:30:00", "2026-02-01 23:59:59.999999"),
        (MIA, "marketing", True, "2026-01-30 09:15:00", "2026-02-01 23:59:59.999999"),
        (MIA, "marketing", False, "2026-02-05 16:20:00", "2026-02-05 23:59:59.999999"),
    ]


def test_each_version_of_a_company_is_an_account(rows: Rows) -> None:
    assert rows("""
        select account_id, industry, country, cast(changed_at as varchar)
        from staging.stg_hubspot__accounts order by changed_at
    """) == [
        (ACME, None, "India", "2025-12-01 12:00:00"),
        (FIRMA, "Computer Software", "Germany", "2026-02-01 10:00:00"),
        (FIRMA, "Computer Software", "Germany", "2026-02-05 14:06:00"),
    ]
    assert rows("select distinct domain_id from raw.hubspot__companies where record_id = '201'") == [
        (token("account_id", "firma.example", namespace="domain"),)
    ]


def test_what_tells_people_apart_is_in_the_vault_alone(rows: Rows, warehouse: duckdb.DuckDBPyConnection) -> None:
    assert rows("""
        select distinct first_name, last_name, email, phone, mobile_phone, birth_date, address_street, address_city,
            address_state, address_postal_code
        from vault.hubspot__contacts where first_name = 'Mia'
    """) == [
        (
            "Mia",
            "Müller, Dr.",
            "Mia.Mueller@firma.example",
            "+49 30 5550 1122",
            "0049 170 5550133",
            "1984-05-17",
            "Lindenweg 3",
            "Köln",
            "NRW",
            "50667",
        )
    ]
    text = "".join(
        str(warehouse.execute(f"select * from raw.hubspot__{table}").fetchall())
        for table in ("contacts", "companies", "deals")
    )
    secrets = ("Mia", "Müller", "firma.example", "Firma", "5550", "1984", "Lindenweg", "Köln", "50667", "Seller", "Raj")
    assert not [secret for secret in secrets if secret in text]
