"""Who exists: people with names, homes, mailboxes, telephones and consents, and the devices they share or keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dagster_project.demo import words
from dagster_project.demo.files import MS_PER_DAY, fixed_width, glue, ids, pick, plain, stream, uuids, where
from dagster_project.demo.laws import draw

HOUR = 3_600_000
WEEK = 7 * MS_PER_DAY
NEVER = np.iinfo(np.int64).max // 4

# How busy an hour of the local day is, for people who work by day and for those who come in the evening.
HOUR_WEIGHTS = np.array([1, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 14, 11, 13, 15, 14, 12, 9, 5, 4, 3, 3, 2, 1], float)
EVENING_WEIGHTS = np.array([2, 1, 1, 1, 1, 1, 2, 4, 3, 2, 2, 2, 3, 2, 2, 2, 3, 6, 10, 14, 16, 15, 10, 5], float)
# How busy a day of the week is, from Monday.
WEEKDAY_WEIGHTS = np.array([1.0, 1.05, 1.0, 0.95, 0.85, 0.45, 0.5])

# Consent as the banner records it.
ALL_GRANTED, NO_ADVERTISING, NO_ANALYTICS, UNKNOWN = range(4)
CONSENT_SHARES = (0.76, 0.10, 0.05, 0.09)

# Of all people, those who had an account when the exports begin.
ESTABLISHED_SHARE = 0.50
PHONE_SHARE = 0.4
PHONE_PASSED_ON_SHARE = 0.03
ROLE_MAILBOX_SHARE = 0.025
SECOND_EMAIL_SHARE = 0.12
HOUSEHOLD_SHARE = 0.30
SHARED_TABLET_SHARE = 0.05
SKEWED_DEVICE_SHARE = 0.04
WITHDRAWN_SHARE = 0.03
# Holders of a loyalty card of the shops, by what ties the card to the rest: an e-mail address, or name and home alone.
CARD_WITH_EMAIL_SHARE, CARD_BY_NAME_SHARE = 0.05, 0.13
# Of those known by name and home alone, cards on which somebody typed the name or the street wrong.
MISTYPED_SHARE = 0.3
APP_SHARE = 0.74


@dataclass(frozen=True, kw_only=True)
class Period:
    """The days a demo covers, in UTC milliseconds: ``start`` inclusive, ``end`` exclusive."""

    start: int
    end: int

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.end - self.start) // MS_PER_DAY

    def mondays(self, *, before: int = 0) -> np.ndarray:
        """Start of every week that touches the period, and of some weeks before."""
        first = self.start - int(weekday(np.array(self.start))) * MS_PER_DAY - before * WEEK
        return np.arange(first, self.end, WEEK, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class People:
    """One row per person; times in UTC milliseconds.

    ``number`` counts people over all blocks; ``household`` and ``company`` (-1: none) too.
    """

    number: np.ndarray
    user_id: pa.Array
    first_name: pa.Array
    last_name: pa.Array
    name: pa.Array
    birth_date: pa.Array
    street: pa.Array
    town: pa.Array
    postcode: pa.Array
    household: np.ndarray
    email: pa.Array
    other_email: pa.Array
    phone: pa.Array
    phone_from: np.ndarray
    phone_until: np.ndarray
    company_number: np.ndarray
    company: pa.Array
    ip: pa.Array
    zone: np.ndarray
    offset: np.ndarray
    journey_type: np.ndarray
    is_established: np.ndarray
    arrives: np.ndarray
    touch: np.ndarray
    consent: np.ndarray
    withdraws: np.ndarray
    loyalty_card: pa.Array
    card_has_email: np.ndarray
    card_name: pa.Array
    card_street: pa.Array

    def __len__(self) -> int:
        return len(self.zone)

    def phone_at(self, person: np.ndarray, at: np.ndarray) -> pa.Array:
        """The telephones people have at an instant; null where they have none then."""
        is_theirs = (at >= self.phone_from[person]) & (at < self.phone_until[person])
        return where(is_theirs, self.phone.take(pa.array(person)))


@dataclass(frozen=True, kw_only=True)
class Devices:
    """One row per device, and ``pair_device`` per (person, device), people in order.

    ``first[p]`` to ``first[p + 1]`` are the pairs of person p, and ``app[p]`` is the person's device with the app or
    -1. ``update_lag`` is how long after a release the app is brought up to date.
    """

    anonymous_id: pa.Array
    model: np.ndarray
    is_app: np.ndarray
    is_shared: np.ndarray
    skew: np.ndarray
    owner: np.ndarray
    ip: pa.Array
    first: np.ndarray
    pair_device: np.ndarray
    app: np.ndarray
    update_lag: np.ndarray

    def __len__(self) -> int:
        return len(self.model)


def weekday(ms: np.ndarray) -> np.ndarray:
    """Day of the week from Monday = 0."""
    return (ms // MS_PER_DAY + 3) % 7


def local_hour(rng: np.random.Generator, evening: np.ndarray) -> np.ndarray:
    """Milliseconds into the local day at a likely hour, given the share of evenings of each."""
    by_day = rng.choice(24, len(evening), p=HOUR_WEIGHTS / HOUR_WEIGHTS.sum())
    late = rng.choice(24, len(evening), p=EVENING_WEIGHTS / EVENING_WEIGHTS.sum())
    hour = np.where(rng.random(len(evening)) < evening, late, by_day)
    return hour * HOUR + rng.integers(0, HOUR, len(evening))


def local_moment(
    rng: np.random.Generator, *, day_ms: np.ndarray, offset: np.ndarray, evening: np.ndarray | float = 0.3
) -> np.ndarray:
    """Move an instant to a likely hour of its local day."""
    local_day = (day_ms + offset) // MS_PER_DAY
    return local_day * MS_PER_DAY + local_hour(rng, np.broadcast_to(evening, len(day_ms))) - offset


def _choose(rng: np.random.Generator, weights: list[float], count: int) -> np.ndarray:
    shares = np.asarray(weights, float)
    return rng.choice(len(shares), count, p=shares / shares.sum())


def season(ms: np.ndarray) -> np.ndarray:
    """How busy a time of the year is: more in January and autumn, less in summer and at Christmas."""
    day = ms / MS_PER_DAY % 365.25
    christmas = (day > 355) | (day < 2)
    return (1 + 0.08 * np.cos(2 * np.pi * (day - 30) / 365.25)) * np.where(christmas, 0.82, 1.0)


def _arrivals(rng: np.random.Generator, *, count: int, period: Period, offset: np.ndarray) -> np.ndarray:
    """First visits: more on weekdays, slowly growing, with the seasons."""
    day = period.start + np.arange(period.days, dtype=np.int64) * MS_PER_DAY
    growth = np.linspace(0.85, 1.15, period.days)
    weights = WEEKDAY_WEIGHTS[weekday(day)] * growth * season(day)
    chosen = day[rng.choice(period.days, count, p=weights / weights.sum())]
    return np.clip(local_moment(rng, day_ms=chosen - offset, offset=offset), period.start + HOUR, period.end - HOUR)


def _emails(
    rng: np.random.Generator, *, first: np.ndarray, last: np.ndarray, company: np.ndarray, block: int
) -> tuple[pa.Array, pa.Array]:
    """Work mailboxes ``first.last@company.example`` and personal ones at the reserved example domains."""
    name = first * len(words.LAST_NAMES) + last
    order = np.argsort(name, kind="stable")
    _, starts, counts = np.unique(name[order], return_index=True, return_counts=True)
    namesake = np.empty(len(name), np.int64)
    namesake[order] = np.arange(len(name)) - np.repeat(starts, counts)
    number = where(namesake > 0, plain(namesake + 1), "")
    lower_first, lower_last = [[n.lower() for n in names] for names in (words.FIRST_NAMES, words.LAST_NAMES)]
    of_block = f".{block}" if block else ""
    handle = glue(pick(lower_first, first), ".", pick(lower_last, last), number, of_block)
    personal_domain = pick(["example.com", "example.org", "example.net"], _choose(rng, [0.6, 0.2, 0.2], len(name)))
    personal = glue(handle, "@", personal_domain)
    work = glue(handle, "@", company_domain(company))
    is_role = (rng.random(len(name)) < ROLE_MAILBOX_SHARE) & (company >= 0)
    role = glue(pick(["info", "office", "hello"], _choose(rng, [3, 1, 1], len(name))), "@", company_domain(company))
    email = where(is_role, role, where(company >= 0, work, personal))
    has_other = (rng.random(len(name)) < SECOND_EMAIL_SHARE) & (company >= 0)
    return email, where(has_other, personal)


def company_name(company: np.ndarray) -> pa.Array:
    """Made-up company names; numbered once the pairs of words are used up."""
    firsts, seconds = len(words.COMPANY_FIRST), len(words.COMPANY_SECOND)
    repeat = np.where(company < 0, 0, company // (firsts * seconds))
    index = np.where(company < 0, -1, company % (firsts * seconds))
    number = where(repeat > 0, plain(repeat + 1), "")
    first = pick(words.COMPANY_FIRST, np.where(index < 0, -1, index % firsts))
    return glue(first, pick(words.COMPANY_SECOND, np.where(index < 0, -1, index // firsts)), number)


def company_domain(company: np.ndarray) -> pa.Array:
    """Domain of a company at the reserved top level."""
    return glue(company_name(company), ".example")


AREA_CODES = np.array([a for a in range(201, 990) if a % 100 // 10 != 9 and a % 100 != 11 and a != 555])


def fictional_phone(slot: np.ndarray) -> pa.Array:
    """Numbers of the fictional range 555-0100 to 555-0199 of each area; null where the range is used up."""
    within = (slot >= 0) & (slot < len(AREA_CODES) * 100)
    slot = np.where(within, slot, 0)
    # Neighbours get numbers far apart.
    area = slot * 37 % len(AREA_CODES)
    return where(within, glue("+1", plain(AREA_CODES[area]), "5550", plain(100 + slot // len(AREA_CODES))))


def _homes(rng: np.random.Generator, count: int) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """Households of one or two neighbours, each with a home."""
    follows = np.zeros(count, bool)
    follows[1::2] = rng.random(len(follows[1::2])) < HOUSEHOLD_SHARE
    household = np.cumsum(~follows) - 1
    homes = int(household[-1]) + 1
    street = glue(
        plain(rng.integers(1, 240, homes)),
        " ",
        pick(words.STREETS, rng.integers(0, len(words.STREETS), homes)),
        " ",
        pick(words.STREET_KINDS, rng.integers(0, len(words.STREET_KINDS), homes)),
    )
    town = pick(words.TOWNS, rng.integers(0, len(words.TOWNS), homes))
    postcode = plain(rng.integers(10_000, 99_999, homes))
    of = pa.array(household)
    return household, {"street": street.take(of), "town": town.take(of), "postcode": postcode.take(of)}


def _mistype(rng: np.random.Generator, lines: pa.Array, mask: np.ndarray) -> pa.Array:
    """Swap two neighbouring letters in the lines of the mask."""
    values = lines.to_pylist()
    for row in np.flatnonzero(mask):
        line = values[row]
        at = int(rng.integers(1, max(2, len(line) - 2)))
        values[row] = line[:at] + line[at + 1 : at + 2] + line[at] + line[at + 2 :]
    return pa.array(values, pa.string())


def make_people(*, seed: int, count: int, period: Period, launch: tuple[int, int] | None, block: int) -> People:
    """Draw the people of a block of the demo.

    Parameters
    ----------
    seed : int
        The demo's seed.
    count : int
        How many.
    period : Period
        The days covered.
    launch : tuple of int, optional
        Start and end of the campaign that brings many at once.
    block : int
        Number of the block; people of two blocks share nothing.
    """
    rng = stream(seed, "people", block)
    number = np.arange(count) + block * BLOCK
    zone = _choose(rng, [z.share for z in words.ZONES], count)
    household, home = _homes(rng, count)
    zone = zone[np.searchsorted(household, household)]
    offset = (np.array([z.offset_hours for z in words.ZONES]) * HOUR).astype(np.int64)[zone]
    first, last = rng.integers(0, len(words.FIRST_NAMES), count), rng.integers(0, len(words.LAST_NAMES), count)
    last = last[np.searchsorted(household, household)]
    company = np.where(rng.random(count) < 0.4, rng.integers(0, max(1, count // 6), count) + block * BLOCK // 6, -1)
    email, other_email = _emails(rng, first=first, last=last, company=company, block=block)
    journey_type = _choose(rng, [t.share for t in words.JOURNEY_TYPES], count)
    touch = draw(rng, _touch_shares()[journey_type])
    is_established = rng.random(count) < ESTABLISHED_SHARE
    arrives = _arrivals(rng, count=count, period=period, offset=offset)
    if launch:
        surges = ~is_established & (rng.random(count) < 0.06)
        arrives = np.where(surges, rng.integers(*launch, count), arrives)
        touch = np.where(surges, words.LAUNCH, touch)
    before = (rng.exponential(300, count) + 40) * MS_PER_DAY
    arrives = np.where(is_established, period.start - before.astype(np.int64), arrives)
    since = np.maximum(arrives, period.start)
    withdraws = np.where(
        rng.random(count) < WITHDRAWN_SHARE, since + (rng.uniform(5, 90, count) * MS_PER_DAY).astype(np.int64), NEVER
    )
    first_name, last_name = pick(words.FIRST_NAMES, first), pick(words.LAST_NAMES, last)
    name = glue(first_name, " ", last_name)
    card = rng.random(count)
    has_card = card < CARD_WITH_EMAIL_SHARE + CARD_BY_NAME_SHARE
    by_name = has_card & (card >= CARD_WITH_EMAIL_SHARE)
    slip = rng.random(count)
    born = (np.datetime64("1950-01-01") + rng.integers(0, 20_000, count)).astype("datetime64[D]")
    phone, phone_from, phone_until = _phones(rng, number=number, period=period, arrives=arrives)
    return People(
        number=number,
        user_id=ids(rng, "usr_", count, length=14),
        first_name=first_name,
        last_name=last_name,
        name=name,
        birth_date=pa.array(np.datetime_as_string(born)),
        **home,
        household=household + block * BLOCK,
        email=email,
        other_email=other_email,
        phone=phone,
        phone_from=phone_from,
        phone_until=phone_until,
        company_number=company,
        company=company_name(company),
        ip=_addresses(rng, count),
        zone=zone,
        offset=offset,
        journey_type=journey_type,
        is_established=is_established,
        arrives=arrives,
        touch=touch,
        consent=_choose(rng, list(CONSENT_SHARES), count),
        withdraws=withdraws,
        loyalty_card=where(has_card, ids(rng, "LC", count, length=9)),
        card_has_email=has_card & ~by_name,
        card_name=_mistype(rng, name, by_name & (slip < MISTYPED_SHARE / 2)),
        card_street=_mistype(rng, home["street"], by_name & (slip > 1 - MISTYPED_SHARE / 2)),
    )


# People of one block; larger demos are made block by block, so that memory stays bounded.
BLOCK = 10_000


def _touch_shares() -> np.ndarray:
    """Shares of the touches (columns) of each journey type (rows)."""
    shares = np.array([[t.share * j.channels.get(t.channel, 1.0) for t in words.TOUCHES] for j in words.JOURNEY_TYPES])
    return shares / shares.sum(axis=1, keepdims=True)


def _phones(
    rng: np.random.Generator, *, number: np.ndarray, period: Period, arrives: np.ndarray
) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Telephones, and since and until when they are somebody's: some are given up, and somebody later gets them."""
    count = len(number)
    has = rng.random(count) < PHONE_SHARE
    slot = np.where(has, number, -1)
    owned_from, owned_until = np.full(count, -NEVER), np.full(count, NEVER)
    givers = np.flatnonzero(has & (arrives < period.start + (period.end - period.start) // 3))
    takers = np.flatnonzero(~has & (arrives > period.start + (period.end - period.start) // 2))
    passed = min(len(givers), len(takers), round(PHONE_PASSED_ON_SHARE * has.sum()))
    givers, takers = rng.permutation(givers)[:passed], rng.permutation(takers)[:passed]
    moment = period.start + ((0.36 + 0.1 * rng.random(passed)) * (period.end - period.start)).astype(np.int64)
    owned_until[givers], owned_from[takers] = moment, moment
    slot[takers] = slot[givers]
    return fictional_phone(slot), owned_from, owned_until


def _addresses(rng: np.random.Generator, count: int) -> pa.Array:
    """Addresses of the networks reserved for documentation."""
    v4 = glue(
        pick(["192.0.2.", "198.51.100.", "203.0.113."], rng.integers(0, 3, count)), plain(rng.integers(1, 255, count))
    )
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)[rng.integers(0, 16, (count, 4))]
    v6 = glue("2001:db8:", fixed_width(digits), "::", plain(rng.integers(1, 10, count)))
    return where(rng.random(count) < 0.85, v4, v6)


DESKTOP, PHONE, TABLET, APP = range(4)


def make_devices(*, seed: int, people: People, block: int) -> Devices:
    """Give people their devices: a computer or a phone, often both, the app, and a family tablet for some."""
    rng = stream(seed, "devices", block)
    count = len(people)
    evening = np.array([t.evening for t in words.JOURNEY_TYPES])[people.journey_type]
    first_kind = np.where(rng.random(count) < 0.85 - 0.6 * evening, DESKTOP, PHONE)
    has_second, has_tablet, has_app = (rng.random(count) < share for share in (0.55, 0.06, APP_SHARE))
    everyone = np.arange(count)
    second, tablet, app = (np.flatnonzero(has) for has in (has_second, has_tablet, has_app))
    second_kind = np.where(first_kind[second] == DESKTOP, PHONE, DESKTOP)
    household = people.household
    together = np.flatnonzero(household[:-1] == household[1:])
    pairs = min(len(together), max(1, int(count * SHARED_TABLET_SHARE / 2)))
    parent = rng.permutation(together)[:pairs]
    owner = np.concatenate([everyone, second, tablet, app, parent])
    kind = np.concatenate(
        [first_kind, second_kind, np.full(len(tablet), TABLET), np.full(len(app), APP), np.full(pairs, TABLET)]
    )
    model = np.empty(len(owner), np.int64)
    for code, name in enumerate(words.DEVICE_KINDS):
        models = [i for i, m in enumerate(words.DEVICE_MODELS) if m.kind == name]
        mine = kind == code
        model[mine] = np.array(models)[_choose(rng, [words.DEVICE_MODELS[i].share for i in models], int(mine.sum()))]
    skewed = rng.random(len(owner)) < SKEWED_DEVICE_SHARE
    hours = rng.choice([-8, -5, -2, -1, 1, 3, 6, 12, 26], len(owner)) + rng.choice([0, 0.5], len(owner), p=[0.8, 0.2])
    shared = np.arange(len(owner)) >= len(owner) - pairs
    pair_person = np.concatenate([owner, parent + 1])
    pair_device = np.concatenate([np.arange(len(owner)), np.flatnonzero(shared)])
    order = np.lexsort((pair_device, pair_person))
    app_of = np.full(count, -1)
    app_of[app] = np.flatnonzero(kind == APP)
    never = rng.random(len(owner)) < 0.05
    return Devices(
        anonymous_id=uuids(rng, len(owner)),
        model=model,
        is_app=kind == APP,
        is_shared=shared,
        skew=np.where(skewed, hours * HOUR, 0).astype(np.int64),
        owner=owner,
        ip=people.ip.take(pa.array(owner)),
        first=np.searchsorted(pair_person[order], np.arange(count + 1)),
        pair_device=pair_device[order],
        app=app_of,
        update_lag=np.where(never, NEVER, (rng.exponential(2.5, len(owner)) * MS_PER_DAY).astype(np.int64)),
    )
