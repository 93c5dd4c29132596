"""The company's shops as their tills export them: visits, sales and refunds of who holds a loyalty card, and of others.

Lumen's shops sell paper planners. They know their customers by the card; few gave an address for the receipt, most are
tied to the rest of the company by the name and the street on the card alone, and the payment card is not the one that
pays online.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import words
from dagster_project.demo.files import (
    MS_PER_DAY,
    REPEATED_SHARE,
    Exports,
    clock,
    csv_lines,
    glue,
    ids,
    listed,
    pick,
    plain,
    spread,
    where,
)
from dagster_project.demo.people import HOUR, WEEKDAY_WEIGHTS, season, weekday
from dagster_project.demo.world import World, Written

# Visits a year of who holds a card, from and to; everybody with a card comes at least once in the period.
VISITS_A_YEAR = (2, 10)
# Of all people, those who come now and then without a card.
STRANGER_SHARE = 0.03
LOOKS_ONLY_SHARE, REFUND_SHARE = 0.18, 0.04
CASH_SHARE, STRANGER_CASH_SHARE = 0.12, 0.4
# Sales at which the loyalty card was left at home.
FORGOTTEN_CARD_SHARE = 0.02
RECEIPT_BY_EMAIL_SHARE, NO_ADDRESS_SHARE = 0.8, 0.06
# A till without a line sends its day later.
LATE_SHARE = 0.01
# Customers of a shop that opens at nine, by the hour.
HOURS = np.array([5, 7, 9, 12, 11, 9, 9, 11, 13, 9], float)
OPENS_AT = 9
STORES = ("Northfield High Street", "Lakemont Mall", "Millbridge Station", "Rivergate Arcade")
TERMINALS = 3


class Ware(NamedTuple):
    """Something on the shelf, in cents; ``share`` of the pieces sold."""

    name: str
    cents: int
    share: float


WARES = (
    Ware("Paper planner A5", 2490, 0.24),
    Ware("Desk calendar", 1490, 0.14),
    Ware("Sticky notes", 390, 0.22),
    Ware("Marker set", 1290, 0.14),
    Ware("Notebook, dotted", 1690, 0.18),
    Ware("Wall board", 5900, 0.08),
)


def write_pos(world: World, exports: Exports) -> Written:
    """Write visits; the wall clock of the shops is in UTC, and each row is in the file of the day it was sent."""
    rng, people, period = world.stream("pos"), world.people, world.period
    person, at, is_first = _visits(rng, world)
    count = len(person)
    holds = pc.is_valid(people.loyalty_card).to_numpy(zero_copy_only=False)[person]
    sells = ~holds | (rng.random(count) >= LOOKS_ONLY_SHARE)
    forgets = sells & ~is_first & (rng.random(count) < FORGOTTEN_CARD_SHARE)
    by_card = sells & (rng.random(count) >= np.where(holds, CASH_SHARE, STRANGER_CASH_SHARE))
    named = holds & ~forgets
    mailed = named & people.card_has_email[person] & (is_first | (sells & (rng.random(count) < RECEIPT_BY_EMAIL_SHARE)))
    located = named & (is_first | (rng.random(count) >= NO_ADDRESS_SHARE))
    items, cents = _baskets(rng, count)
    # Mostly people go to the shop near them.
    store = np.where(rng.random(count) < 0.85, people.household[person], rng.integers(0, 4, count)) % len(STORES)
    back = np.flatnonzero(sells & (rng.random(count) < REFUND_SHARE))
    visit = np.concatenate([np.arange(count), back])
    is_refund = np.arange(len(visit)) >= count
    later = rng.integers(1, 15, len(back)) * MS_PER_DAY + rng.integers(-HOUR // 2, HOUR // 2, len(back))
    when = np.concatenate([at, at[back] + later])
    late = (rng.random(len(visit)) < LATE_SHARE) * rng.integers(1, 5, len(visit)) * MS_PER_DAY
    inside = np.flatnonzero(when + late < period.end)
    rows = inside[np.argsort((when + late)[inside], kind="stable")]
    rows = np.repeat(rows, 1 + (rng.random(len(rows)) < REPEATED_SHARE))
    receipt = glue("T", plain(100_000_000 + world.block * 10_000_000 + np.arange(len(visit))))
    fingerprint = ids(rng, "pos", len(people), length=13)
    terminal, refund = plain(1 + rng.integers(0, TERMINALS, len(visit))), is_refund[rows]
    row = visit[rows]
    who = person[row]
    of, sold, paid_by_card = pa.array(who), sells[row], by_card[row]
    card = where(named[row], people.loyalty_card.take(of))
    email = where(mailed[row], people.email.take(of))
    shown_fingerprint = where(paid_by_card, fingerprint.take(of))
    amount = _money(np.where(refund, -cents[row], cents[row]))
    fields = {
        "Transaction ID": receipt.take(pa.array(rows)),
        "Store": pick(STORES, store[row]),
        "Terminal": terminal.take(pa.array(rows)),
        "Local Time": clock(when[rows], to="seconds"),
        "Type": where(refund, "refund", where(sold, "sale", "visit")),
        "Loyalty Card": card,
        "Customer Name": where(named[row], people.card_name.take(of)),
        "Street Address": where(located[row], people.card_street.take(of)),
        "City": where(located[row], people.town.take(of)),
        "Postal Code": where(located[row], people.postcode.take(of)),
        "Country": where(located[row], pick([z.country for z in words.ZONES], people.zone[who])),
        "Customer Email": email,
        "Items": where(sold, items.take(pa.array(row))),
        "Amount": where(sold, amount),
        "Currency": where(sold, "USD"),
        "Payment Method": where(sold, where(paid_by_card, "card", "cash")),
        "Card Fingerprint": shown_fingerprint,
        "Order Reference": "",
        "Refund Of": where(refund, receipt.take(pa.array(row))),
    }
    files = exports.open("pos", "visits", header=list(fields))
    files.write(day=((when + late)[rows] - period.start) // MS_PER_DAY, lines=csv_lines(fields))
    files.close()
    identifiers = [("loyalty_card", who, card), ("email", who, email), ("card_fingerprint", who, shown_fingerprint)]
    return Written(rows={"pos/visits": files.rows}, identifiers=identifiers)


def _visits(rng: np.random.Generator, world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who comes to a shop when, and whether it is the first time with the card; in order of person and time."""
    people, period = world.people, world.period
    holds = pc.is_valid(people.loyalty_card).to_numpy(zero_copy_only=False)
    low, high = VISITS_A_YEAR
    a_year = rng.integers(low, high + 1, len(people))
    strangers = ~holds & (rng.random(len(people)) < STRANGER_SHARE)
    expected = np.where(holds, a_year, strangers * 1.5) * period.days / 365
    # As often as expected, give or take what is less than a visit.
    counts = np.floor(expected + rng.random(len(people))).astype(np.int64)
    counts = np.where(holds, np.maximum(counts, 1), counts)
    person, _ = spread(counts)
    day = period.start + np.arange(period.days, dtype=np.int64) * MS_PER_DAY
    weights = WEEKDAY_WEIGHTS[(weekday(day) + 2) % 7] * season(day)
    chosen = day[rng.choice(period.days, len(person), p=weights / weights.sum())]
    hour = OPENS_AT + rng.choice(len(HOURS), len(person), p=HOURS / HOURS.sum())
    at = chosen + hour * HOUR + rng.integers(0, HOUR, len(person))
    order = np.lexsort((at, person))
    person, at = person[order], at[order]
    return person, at, np.append(True, person[1:] != person[:-1])[: len(person)]


def _baskets(rng: np.random.Generator, count: int) -> tuple[pa.Array, np.ndarray]:
    """What lies in each basket, one to three wares of one or two pieces, and its price in cents."""
    shares = [ware.share for ware in WARES]
    prices = np.array([ware.cents for ware in WARES])
    parts, cents = [], np.zeros(count, np.int64)
    for place, share in enumerate((1.0, 0.4, 0.15)):
        is_in = rng.random(count) < share
        ware = (rng.choice(len(WARES), count, p=shares) + place) % len(WARES)
        pieces = 1 + (rng.random(count) < 0.2)
        parts.append(where(is_in, glue(plain(pieces), " x ", pick([w.name for w in WARES], ware))))
        cents += np.where(is_in, pieces * prices[ware], 0)
    return listed(*parts, separator="; "), cents


def _money(cents: np.ndarray) -> pa.Array:
    """Cents as a decimal number with two places."""
    size = np.abs(cents)
    number = glue(plain(size // 100), ".", pc.utf8_lpad(plain(size % 100), 2, "0"))
    return where(cents < 0, glue("-", number), number)
