"""Stripe: objects exported again and again become each real event once."""

from __future__ import annotations

from collections.abc import Callable

from tests.packs.conftest import token

Rows = Callable[[str], list[tuple[object, ...]]]
#: The copy that was available first is the event.
EVENTS = """(
    select * from staging.stg_stripe__events
    qualify row_number() over (partition by source_table, event_key order by available_at) = 1
)"""


def test_a_customer_is_created_once_however_often_exported(rows: Rows) -> None:
    assert rows(f"""
        select event_key, cast(occurred_at as varchar), crm_id, cast(available_at as varchar)
        from {EVENTS} where source_table = 'customers'
    """) == [
        (
            "cus_A1|created",
            "2023-04-07 18:59:53",
            token("crm_id", "cus_A1", namespace="stripe"),
            "2023-04-07 23:59:59.999999",
        )
    ]


def test_each_version_of_a_customer_is_a_profile(rows: Rows) -> None:
    assert rows("""
        select user_id, email, phone, country, language from staging.stg_stripe__profiles
        where source_table = 'customers' order by available_at
    """) == [
        (None, token("email", "ada@example.com"), None, None, None),
        (
            token("user_id", "u_0067", namespace="app"),
            token("email", "ada@example.com"),
            token("phone", "+15550100"),
            "US",
            "en-US",
        ),
    ]


def test_the_card_that_paid_an_invoice_is_its_customers(rows: Rows) -> None:
    """No event tells of that charge, as the invoice does; the card is evidence all the same."""
    assert rows("""
        select split_part(profile_key, '|', 1), crm_id, card_id from staging.stg_stripe__profiles
        where source_table = 'charges'
    """) == [("ch_B2", token("crm_id", "cus_A1", namespace="stripe"), token("card_id", "fp_A1", namespace="stripe"))]


def test_a_cancellation_is_told_from_one_during_the_trial(rows: Rows) -> None:
    # 1685606400 and 1680000000; the trial ran to 1680819367.
    assert rows(f"""
        select event_name, event_key, cast(occurred_at as varchar), order_id, properties ->> 'feedback'
        from {EVENTS} where source_table = 'subscriptions' order by event_name, event_key
    """) == [
        (
            "subscription.cancelled",
            "sub_A1|cancelled|2023-06-01 08:00:00",
            "2023-06-01 08:00:00",
            "billing:sub_A1",
            "too_expensive",
        ),
        ("subscription.created", "sub_A1|created", "2023-03-23 22:16:07", None, None),
        ("subscription.created", "sub_trial|created", "2023-03-23 22:16:07", None, None),
        (
            "subscription.trial_cancelled",
            "sub_trial|cancelled|2023-03-28 10:40:00",
            "2023-03-28 10:40:00",
            "billing:sub_trial",
            None,
        ),
    ]


def test_invoices_are_first_money_later_money_no_money_or_a_failure(rows: Rows) -> None:
    # A draft is nothing; after a trial the first money is the first paid cycle; yen have no minor unit.
    assert rows(f"""
        select event_name, order_id, cast(revenue as varchar), currency, cast(occurred_at as varchar)
        from {EVENTS} where source_table = 'invoices' order by occurred_at
    """) == [
        ("invoice.paid.zero", "billing:in_trial_0", "0.00", "USD", "2023-04-04 09:20:00"),
        ("invoice.paid.first", "billing:in_A1", "10.00", "USD", "2023-04-05 11:50:00"),
        ("invoice.payment_failed", None, None, None, "2023-04-06 23:59:59.999999"),
        ("invoice.paid", "billing:in_late", "500.00", "JPY", "2023-04-18 00:00:00"),
        ("invoice.paid.first", "billing:in_trial_1", "25.00", "USD", "2023-04-18 00:01:40"),
        ("invoice.paid", "billing:in_trial_2", "25.00", "USD", "2023-05-18 00:01:40"),
    ]


def test_the_shop_and_the_bank_speak_of_one_order(rows: Rows) -> None:
    assert rows("""
        select distinct segment.order_id
        from staging.stg_segment__events as segment
        inner join staging.stg_stripe__events as stripe on segment.order_id = stripe.order_id
        where segment.event_name = 'Subscription Started' and stripe.event_name = 'invoice.paid.first'
    """) == [("billing:in_A1",)]


def test_a_charge_is_an_order_only_if_it_names_one_and_no_invoice_tells_of_it(rows: Rows) -> None:
    assert rows(f"""
        select order_id, cast(revenue as varchar), currency, cast(occurred_at as varchar)
        from {EVENTS} where event_name = 'charge.succeeded'
    """) == [("billing:ord_7", "25.00", "USD", "2023-03-23 12:00:00")]


def test_refunds_in_parts_add_up_and_a_failed_charge_says_why(rows: Rows) -> None:
    # 5.00 is known by the export's day alone; 5.99 more has the time of the refund itself.
    assert rows(f"""
        select event_name, cast(revenue as varchar), currency, cast(occurred_at as varchar),
            properties ->> 'failure_code'
        from {EVENTS} where source_table = 'charges' and event_name <> 'charge.succeeded' order by occurred_at
    """) == [
        ("charge.failed", None, None, "2023-03-18 00:40:00", "card_declined"),
        ("charge.refunded", "-5.00", "USD", "2023-03-20 23:59:59.999999", None),
        ("charge.refunded", "-5.99", "USD", "2023-03-21 12:00:00", None),
    ]


def test_what_the_customer_wrote_is_scrubbed(rows: Rows) -> None:
    assert rows(f"""
        select texts.text
        from {EVENTS} as events inner join vault.texts as texts on events.text_id = texts.text_id
        where events.event_name = 'subscription.cancelled'
    """) == [("Call me on [phone]",)]
