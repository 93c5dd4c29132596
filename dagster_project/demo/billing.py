"""Subscriptions as Stripe's objects: a daily file holds what changed that day, as it was at the day's end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import words
from dagster_project.demo.events import RETURN_ANSWER_MS
from dagster_project.demo.files import (
    MS_PER_DAY,
    DailyFiles,
    Exports,
    Json,
    boolean,
    epoch,
    glue,
    ids,
    pick,
    plain,
    record,
    spread,
    text,
    where,
)
from dagster_project.demo.life import Subscriptions, add_months
from dagster_project.demo.people import HOUR, NEVER, People, Period
from dagster_project.demo.world import World, Written

DUPLICATE_SHARE = 0.01
ROWS_AT_ONCE = 100_000
RECOVERED_FAILURE_SHARE = 0.05
REFUND_SHARE = 0.03
PARTIAL_REFUND_SHARE = 0.25
# Stripe tries again after three and after five days; two days later the invoice is given up.
RETRY_DAYS = np.array([0, 3, 5])
GIVEN_UP_DAYS = 7
OPEN, PAID, UNCOLLECTIBLE = range(3)


@dataclass(frozen=True, kw_only=True)
class _Invoices:
    """One row per invoice; attempts are numbered from 1."""

    subscription: np.ndarray
    month: np.ndarray
    created: np.ndarray
    finalized: np.ndarray
    attempts: np.ndarray
    is_paid: np.ndarray
    id: pa.Array


@dataclass(frozen=True, kw_only=True)
class _Charges:
    """One row per attempt to collect money: first those for invoices, then those for packs (invoice -1)."""

    invoice: np.ndarray
    subscription: np.ndarray
    cents: np.ndarray
    order_id: pa.Array
    attempt: np.ndarray
    created: np.ndarray
    succeeds: np.ndarray
    refunded_at: np.ndarray
    refund: np.ndarray
    id: pa.Array


def write_versions(
    fields: dict[str, Json],
    *,
    at: np.ndarray,
    thing: np.ndarray,
    rng: np.random.Generator,
    period: Period,
    files: DailyFiles,
    with_standing: bool = False,
) -> int:
    """Write versions of things: the last one of each day, in order of time, a few of them twice.

    Parameters
    ----------
    fields : dict
        JSON texts by field, one row per version.
    at : numpy.ndarray
        When the version came into being; what comes after the period is left out.
    thing : numpy.ndarray
        Which thing each row is a version of; of two versions at one instant the later row counts.
    rng : numpy.random.Generator
        Draws the repeats.
    period : Period
        The days covered.
    files : DailyFiles
        Where to write.
    with_standing : bool
        Whether what stood when the period began is exported on its first day; else it is left out.

    Returns
    -------
    int
        Rows written.
    """
    day = (at - period.start) // MS_PER_DAY
    if with_standing:
        day = np.maximum(day, 0)
    known = np.flatnonzero((day >= 0) & (at < period.end))
    if with_standing:
        known = known[(at[known] >= period.start) | _is_last_before(thing[known], at[known], period.start)]
    order = known[np.lexsort((known, at[known], thing[known]))]
    same = (thing[order][1:] == thing[order][:-1]) & (day[order][1:] == day[order][:-1])
    kept = order[np.append(~same, True)] if len(order) else order
    kept = kept[np.argsort(at[kept], kind="stable")]
    kept = np.repeat(kept, 1 + (rng.random(len(kept)) < DUPLICATE_SHARE))
    for some in range(0, len(kept), ROWS_AT_ONCE):
        rows = kept[some : some + ROWS_AT_ONCE]
        took = pa.array(rows)
        lines = record({k: v.take(took) if isinstance(v, pa.Array) else v for k, v in fields.items()})
        files.write(day=day[rows], lines=lines)
    files.close()
    return files.rows


def _is_last_before(thing: np.ndarray, at: np.ndarray, instant: int) -> np.ndarray:
    """Whether each row is the last of its thing before an instant."""
    last = np.full(int(thing.max(initial=0)) + 1, -NEVER)
    before = at < instant
    np.maximum.at(last, thing[before], at[before])
    return before & (at == last[thing])


def write_stripe(world: World, exports: Exports) -> Written:
    """Write customers, subscriptions, invoices and charges, of plans and of packs."""
    rng = world.stream("stripe")
    people, period, subscriptions = world.people, world.period, world.lives.subscriptions
    invoices = _bill(rng, subscriptions, period)
    charges = _collect(rng, invoices, world)
    cards = ids(rng, "", len(people), length=16)
    rows = {
        "stripe/customers": _write_customers(
            rng, subscriptions, people=people, period=period, files=exports.open("stripe", "customers")
        ),
        "stripe/subscriptions": _write_subscriptions(
            rng,
            subscriptions,
            invoices=invoices,
            people=people,
            period=period,
            files=exports.open("stripe", "subscriptions"),
        ),
        "stripe/invoices": _write_invoices(
            rng,
            invoices,
            charges=charges,
            subscriptions=subscriptions,
            people=people,
            period=period,
            files=exports.open("stripe", "invoices"),
        ),
        "stripe/charges": _write_charges(
            rng,
            charges,
            invoices=invoices,
            subscriptions=subscriptions,
            cards=cards,
            people=people,
            period=period,
            files=exports.open("stripe", "charges"),
        ),
    }
    person = subscriptions.person
    payer = _payer_email(people, person)
    is_own = pc.starts_with(payer, "billing@").to_numpy(zero_copy_only=False) == 0
    charged = np.unique(subscriptions.person[charges.subscription[_inside(charges.created, period)]])
    return Written(
        rows=rows,
        identifiers=[
            ("stripe_customer", person, subscriptions.customer_id),
            ("user_id", person, people.user_id.take(pa.array(person))),
            ("email", person[is_own], payer.filter(pa.array(is_own))),
            ("card_fingerprint", charged, cards.take(pa.array(charged))),
        ],
    )


def _inside(at: np.ndarray, period: Period) -> np.ndarray:
    return (at >= period.start) & (at < period.end)


def _bill(rng: np.random.Generator, subscriptions: Subscriptions, period: Period) -> _Invoices:
    """One invoice a month, from the month that runs when the period begins on.

    The first of a subscription is paid at once, later ones are finalised an hour after they are made.
    """
    subscription, month = spread(subscriptions.paid_months + subscriptions.is_unpaid)
    created = add_months(subscriptions.starts[subscription], month)
    ours = (created >= period.start - 32 * MS_PER_DAY) & (created < period.end)
    subscription, month, created = subscription[ours], month[ours], created[ours]
    in_vain = month == subscriptions.paid_months[subscription]
    stumbles = (month > 0) & ~in_vain & (rng.random(len(month)) < RECOVERED_FAILURE_SHARE)
    attempts = np.where(in_vain, len(RETRY_DAYS), 1 + stumbles * rng.choice([1, 2], len(month), p=[0.7, 0.3]))
    fresh = ids(rng, "in_1", len(month))
    return _Invoices(
        subscription=subscription,
        month=month,
        created=created,
        finalized=np.where(month == 0, created, created + HOUR),
        attempts=attempts,
        is_paid=~in_vain,
        id=where(month == 0, subscriptions.first_invoice_id.take(pa.array(subscription)), fresh),
    )


def _collect(rng: np.random.Generator, invoices: _Invoices, world: World) -> _Charges:
    """Charges of each invoice: all but the last attempt fail; some that succeed are paid back. Then those of packs."""
    subscriptions, attempts = world.lives.subscriptions, world.lives.attempts
    invoice, place = spread(invoices.attempts)
    created = invoices.finalized[invoice] + RETRY_DAYS[place] * MS_PER_DAY
    succeeds = invoices.is_paid[invoice] & (place == invoices.attempts[invoice] - 1)
    refunded = succeeds & (rng.random(len(invoice)) < REFUND_SHARE)
    after = (rng.uniform(0.2, 12, len(invoice)) * MS_PER_DAY).astype(np.int64)
    part = np.where(rng.random(len(invoice)) < PARTIAL_REFUND_SHARE, 0.5, 1.0)
    packs = np.flatnonzero(attempts.succeeds & attempts.is_pack & _inside(attempts.paid_at, world.period))
    back = (attempts.return_at[packs] < NEVER) & attempts.return_ok[packs]
    paid_back = attempts.return_at[packs] + RETURN_ANSWER_MS + rng.integers(0, 6 * HOUR, len(packs))
    plan = subscriptions.plan[invoices.subscription[invoice]]
    return _Charges(
        invoice=np.concatenate([invoice, np.full(len(packs), -1)]),
        subscription=np.concatenate(
            [invoices.subscription[invoice], np.searchsorted(subscriptions.person, attempts.person[packs])]
        ),
        cents=np.concatenate(
            [
                np.array([p.cents for p in words.PLANS])[plan],
                np.array([p.cents for p in words.PACKS])[attempts.item[packs]],
            ]
        ),
        order_id=pa.concat_arrays([pa.nulls(len(invoice), pa.string()), attempts.order_id.take(pa.array(packs))]),
        attempt=np.concatenate([place + 1, np.ones(len(packs), np.int64)]),
        created=np.concatenate([created, attempts.paid_at[packs] - 2_000]),
        succeeds=np.concatenate([succeeds, np.ones(len(packs), bool)]),
        refunded_at=np.concatenate([np.where(refunded, created + after, NEVER), np.where(back, paid_back, NEVER)]),
        refund=np.concatenate([np.where(refunded, part, 0.0), np.where(back, 1.0, 0.0)]),
        id=ids(rng, "ch_3", len(invoice) + len(packs)),
    )


def _user_metadata(people: People, person: np.ndarray) -> pa.Array:
    return record({"user_id": text(people.user_id.take(pa.array(person)))})


def _address(people: People, person: np.ndarray) -> pa.Array:
    country = text(pick([z.country for z in words.ZONES], people.zone[person]))
    return record({"city": "null", "country": country, "line1": "null", "postal_code": "null", "state": "null"})


def _payer_email(people: People, person: np.ndarray) -> pa.Array:
    """One payer in twelve of a company lets the invoice go to billing@, which many may share."""
    company = people.company.take(pa.array(person))
    shared = where(person % 12 == 0, glue("billing@", company, ".example"))
    return pc.coalesce(shared, people.email.take(pa.array(person)))


def _or_null(values: pa.Array) -> pa.Array:
    return pc.coalesce(text(values), pa.scalar("null"))


def _write_customers(
    rng: np.random.Generator, subscriptions: Subscriptions, *, people: People, period: Period, files: DailyFiles
) -> int:
    failing = np.flatnonzero(subscriptions.is_unpaid)
    thing = np.concatenate([np.arange(len(subscriptions.starts)), failing])
    delinquent = np.arange(len(thing)) >= len(subscriptions.starts)
    given_up = subscriptions.ends[failing] - GIVEN_UP_DAYS * MS_PER_DAY + HOUR
    created = subscriptions.starts[thing] - 4_000
    person = subscriptions.person[thing]
    at = np.concatenate([created[: len(subscriptions.starts)], given_up])
    fields: dict[str, Json] = {
        "id": text(subscriptions.customer_id.take(pa.array(thing))),
        "object": '"customer"',
        "address": _address(people, person),
        "balance": "0",
        "created": epoch(created),
        "currency": '"usd"',
        "delinquent": boolean(delinquent),
        "description": "null",
        "email": _or_null(_payer_email(people, person)),
        "livemode": "true",
        "metadata": _user_metadata(people, person),
        "name": text(people.name.take(pa.array(person))),
        "phone": _or_null(people.phone_at(person, at)),
        "preferred_locales": glue("[", text(pick([z.locale for z in words.ZONES], people.zone[person])), "]"),
        "shipping": "null",
        "tax_exempt": '"none"',
    }
    return write_versions(fields, at=at, thing=thing, rng=rng, period=period, files=files, with_standing=True)


def _write_subscriptions(
    rng: np.random.Generator,
    subscriptions: Subscriptions,
    *,
    invoices: _Invoices,
    people: People,
    period: Period,
    files: DailyFiles,
) -> int:
    """Versions: every new month, cancellation asked for, past due, ended."""
    count = len(subscriptions.starts)
    all_of = np.arange(count)
    asks = np.flatnonzero(subscriptions.cancels < NEVER)
    failing = np.flatnonzero(subscriptions.is_unpaid)
    overdue = subscriptions.ends[failing] - GIVEN_UP_DAYS * MS_PER_DAY + HOUR
    thing = np.concatenate([invoices.subscription, asks, failing, all_of])
    at = np.concatenate([invoices.created, subscriptions.cancels[asks], overdue, subscriptions.ends])
    status = np.repeat(
        np.array(["active", "active", "past_due", "canceled"]), [len(invoices.created), len(asks), len(failing), count]
    )
    last_month = subscriptions.paid_months - 1 + subscriptions.is_unpaid
    month = np.concatenate([invoices.month, last_month[asks], last_month[failing], last_month])
    started = subscriptions.starts[thing]
    asked = at >= subscriptions.cancels[thing]
    ended = status == "canceled"
    voluntary = subscriptions.cancels[thing] < NEVER
    plan = subscriptions.plan[thing]
    amount = np.array([p.cents for p in words.PLANS])[plan]
    nickname = text(pick([p.name for p in words.PLANS], plan))
    price_id = text(pick([p.price_id for p in words.PLANS], plan))
    price: dict[str, Json] = {
        "id": price_id,
        "object": '"plan"',
        "active": "true",
        "amount": plain(amount),
        "currency": '"usd"',
        "interval": '"month"',
        "interval_count": "1",
        "nickname": nickname,
        "product": '"prod_lumen"',
    }
    item = record(
        {"id": glue('"si_', plain(thing), '"'), "object": '"subscription_item"', "plan": record(price), "quantity": "1"}
    )
    reason = where(asked, '"cancellation_requested"', where(ended, '"payment_failed"', "null"))
    feedback = pick(["too_expensive", "missing_features", "switched_service", "unused", "other"], thing % 5)
    person = subscriptions.person[thing]
    fields: dict[str, Json] = {
        "id": text(subscriptions.subscription_id.take(pa.array(thing))),
        "object": '"subscription"',
        "cancel_at": where(asked & ~ended, plain(subscriptions.ends[thing] // 1000), "null"),
        "cancel_at_period_end": boolean(asked & ~ended),
        "canceled_at": epoch(np.where(asked, subscriptions.cancels[thing], np.where(ended & ~voluntary, at, -1))),
        "cancellation_details": record(
            {"comment": "null", "feedback": where(asked, text(feedback), "null"), "reason": reason}
        ),
        "collection_method": '"charge_automatically"',
        "created": epoch(started),
        "currency": '"usd"',
        "current_period_end": epoch(add_months(started, month + 1)),
        "current_period_start": epoch(add_months(started, month)),
        "customer": text(subscriptions.customer_id.take(pa.array(thing))),
        "ended_at": epoch(np.where(ended, at, -1)),
        "items": record({"object": '"list"', "data": glue("[", item, "]"), "has_more": "false"}),
        "livemode": "true",
        "metadata": _user_metadata(people, person),
        "plan": record(price),
        "quantity": "1",
        "start_date": epoch(started),
        "status": glue('"', pa.array(status), '"'),
        "trial_end": "null",
        "trial_start": "null",
    }
    return write_versions(fields, at=at, thing=thing, rng=rng, period=period, files=files, with_standing=True)


def _write_invoices(
    rng: np.random.Generator,
    invoices: _Invoices,
    *,
    charges: _Charges,
    subscriptions: Subscriptions,
    people: People,
    period: Period,
    files: DailyFiles,
) -> int:
    """Versions: made, after every attempt, and when it is given up."""
    everyone = np.arange(len(invoices.created))
    vain = np.flatnonzero(~invoices.is_paid)
    given_up = invoices.created[vain] + GIVEN_UP_DAYS * MS_PER_DAY
    billed = np.flatnonzero(charges.invoice >= 0)
    thing = np.concatenate([everyone, charges.invoice[billed], vain])
    at = np.concatenate([invoices.created, charges.created[billed], given_up])
    sizes = [len(everyone), len(billed), len(vain)]
    status = np.concatenate(
        [np.full(sizes[0], OPEN), np.where(charges.succeeds[billed], PAID, OPEN), np.full(sizes[2], UNCOLLECTIBLE)]
    )
    tried = np.concatenate([np.zeros(sizes[0], int), charges.attempt[billed], np.full(sizes[2], len(RETRY_DAYS))])
    first_charge = np.cumsum(invoices.attempts) - invoices.attempts
    charge = np.where(tried > 0, first_charge[thing] + tried - 1, -1)
    subscription = invoices.subscription[thing]
    person = subscriptions.person[subscription]
    amount = np.array([p.cents for p in words.PLANS])[subscriptions.plan[subscription]]
    paid = status == PAID
    period_start = invoices.created[thing]
    fields: dict[str, Json] = {
        "id": text(invoices.id.take(pa.array(thing))),
        "object": '"invoice"',
        "amount_due": plain(amount),
        "amount_paid": plain(np.where(paid, amount, 0)),
        "amount_remaining": plain(np.where(paid, 0, amount)),
        "attempt_count": plain(tried),
        "attempted": boolean(tried > 0),
        "billing_reason": where(invoices.month[thing] == 0, '"subscription_create"', '"subscription_cycle"'),
        "charge": _or_null(pick(charges.id, charge)),
        "collection_method": '"charge_automatically"',
        "created": epoch(invoices.created[thing]),
        "currency": '"usd"',
        "customer": text(subscriptions.customer_id.take(pa.array(subscription))),
        "customer_address": _address(people, person),
        "customer_email": _or_null(_payer_email(people, person)),
        "customer_name": text(people.name.take(pa.array(person))),
        "customer_phone": _or_null(people.phone_at(person, at)),
        "livemode": "true",
        "metadata": "{}",
        "number": glue('"LUM-', plain(100_000 + thing), '"'),
        "paid": boolean(paid),
        "period_end": epoch(period_start),
        "period_start": epoch(
            np.where(invoices.month[thing] == 0, period_start, add_months(period_start, np.full(len(thing), -1)))
        ),
        "status": pick(['"open"', '"paid"', '"uncollectible"'], status),
        "status_transitions": record(
            {
                "finalized_at": epoch(np.where(tried > 0, invoices.finalized[thing], -1)),
                "marked_uncollectible_at": epoch(np.where(status == UNCOLLECTIBLE, at, -1)),
                "paid_at": epoch(np.where(paid, at, -1)),
                "voided_at": "null",
            }
        ),
        "subscription": text(subscriptions.subscription_id.take(pa.array(subscription))),
        "subtotal": plain(amount),
        "total": plain(amount),
    }
    return write_versions(fields, at=at, thing=thing, rng=rng, period=period, files=files)


def _write_charges(
    rng: np.random.Generator,
    charges: _Charges,
    *,
    invoices: _Invoices,
    subscriptions: Subscriptions,
    cards: pa.Array,
    people: People,
    period: Period,
    files: DailyFiles,
) -> int:
    """Versions: tried, and paid back."""
    back = np.flatnonzero(charges.refunded_at < NEVER)
    thing = np.concatenate([np.arange(len(charges.created)), back])
    at = np.concatenate([charges.created, charges.refunded_at[back]])
    is_back = np.arange(len(thing)) >= len(charges.created)
    invoice, subscription, amount = charges.invoice[thing], charges.subscription[thing], charges.cents[thing]
    person = subscriptions.person[subscription]
    refunded = np.where(is_back, (amount * charges.refund[thing]).astype(np.int64), 0)
    ok = charges.succeeds[thing]
    code = pick(['"card_declined"', '"expired_card"', '"insufficient_funds"'], thing % 3)
    message = pick(
        ['"Your card was declined."', '"Your card has expired."', '"Your card has insufficient funds."'], thing % 3
    )
    charge_id = charges.id.take(pa.array(thing))
    refund = record(
        {
            "id": text(pc.replace_substring(charge_id, "ch_", "re_")),
            "object": '"refund"',
            "amount": plain(refunded),
            "charge": text(charge_id),
            "created": epoch(np.where(is_back, at, 0)),
            "currency": '"usd"',
            "reason": '"requested_by_customer"',
            "status": '"succeeded"',
        }
    )
    brand = person % len(words.CARD_BRANDS)
    card = record(
        {
            "brand": text(pick(list(words.CARD_BRANDS), brand)),
            "country": text(pick([z.country for z in words.ZONES], people.zone[person])),
            "exp_month": plain(person % 12 + 1),
            "exp_year": plain(2027 + person % 4),
            "fingerprint": text(cards.take(pa.array(person))),
            "funding": '"credit"',
            "last4": '"4242"',
        }
    )
    email = _or_null(_payer_email(people, person))
    fields: dict[str, Json] = {
        "id": text(charge_id),
        "object": '"charge"',
        "amount": plain(amount),
        "amount_captured": plain(np.where(ok, amount, 0)),
        "amount_refunded": plain(refunded),
        "billing_details": record(
            {
                "address": _address(people, person),
                "email": email,
                "name": text(people.name.take(pa.array(person))),
                "phone": _or_null(people.phone_at(person, at)),
            }
        ),
        "captured": boolean(ok),
        "created": epoch(charges.created[thing]),
        "currency": '"usd"',
        "customer": text(subscriptions.customer_id.take(pa.array(subscription))),
        "disputed": "false",
        "failure_code": where(ok, "null", code),
        "failure_message": where(ok, "null", message),
        "invoice": _or_null(pick(invoices.id, invoice)),
        "livemode": "true",
        "metadata": record(
            {
                "user_id": text(people.user_id.take(pa.array(person))),
                "order_id": text(charges.order_id.take(pa.array(thing))),
            }
        ),
        "outcome": record(
            {
                "network_status": where(ok, '"approved_by_network"', '"declined_by_network"'),
                "reason": where(ok, "null", code),
                "type": where(ok, '"authorized"', '"issuer_declined"'),
            }
        ),
        "paid": boolean(ok),
        "payment_method_details": record({"card": card, "type": '"card"'}),
        "receipt_email": email,
        "refunded": boolean(refunded == amount),
        "refunds": record(
            {"object": '"list"', "data": where(is_back, glue("[", refund, "]"), "[]"), "has_more": "false"}
        ),
        "status": where(ok, '"succeeded"', '"failed"'),
    }
    return write_versions(fields, at=at, thing=thing, rng=rng, period=period, files=files)
