"""Who exists: people with names, mailboxes, phones, consents, and the devices they share or keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dagster_project.demo import words
from dagster_project.demo.jsonl import MS_PER_DAY, fixed_width, glue, ids, pick, plain, stream, uuids, where

HOUR = 3_600_000
NEVER = np.iinfo(np.int64).max // 4

# How busy an hour of the local day is, and a day of the week from Monday.
HOUR_WEIGHTS = np.array([1, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 14, 11, 13, 15, 14, 12, 9, 7, 8, 9, 8, 5, 2], float)
WEEKDAY_WEIGHTS = np.array([1.0, 1.05, 1.0, 0.95, 0.85, 0.45, 0.5])

# Consent as the banner records it.
ALL_GRANTED, NO_ADVERTISING, NO_ANALYTICS, UNKNOWN = range(4)
CONSENT_SHARES = (0.76, 0.10, 0.05, 0.09)

PHONE_SHARE = 0.4
ROLE_MAILBOX_SHARE = 0.025
SECOND_EMAIL_SHARE = 0.12
SHARED_TABLET_SHARE = 0.05
SKEWED_DEVICE_SHARE = 0.04
WITHDRAWN_SHARE = 0.03


@dataclass(frozen=True, kw_only=True)
class Period:
    """The days a demo covers, in UTC milliseconds: ``start`` inclusive, ``end`` exclusive."""

    start: int
    end: int

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.end - self.start) // MS_PER_DAY


@dataclass(frozen=True, kw_only=True)
class People:
    """One row per person; times in UTC milliseconds."""

    user_id: pa.Array
    name: pa.Array
    email: pa.Array
    other_email: pa.Array
    phone: pa.Array
    company: pa.Array
    ip: pa.Array
    zone: np.ndarray
    offset: np.ndarray
    engagement: np.ndarray
    arrives: np.ndarray
    touch: np.ndarray
    consent: np.ndarray
    withdraws: np.ndarray

    def __len__(self) -> int:
        return len(self.zone)


@dataclass(frozen=True, kw_only=True)
class Devices:
    """One row per device, and ``pair_device`` per (person, device), people in order.

    ``first[p]`` to ``first[p + 1]`` are the pairs of person p.
    """

    anonymous_id: pa.Array
    user_agent: pa.Array
    model: np.ndarray
    is_app: np.ndarray
    is_shared: np.ndarray
    skew: np.ndarray
    owner: np.ndarray
    ip: pa.Array
    first: np.ndarray
    pair_device: np.ndarray

    def __len__(self) -> int:
        return len(self.model)


def local_moment(rng: np.random.Generator, *, day_ms: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Move an instant to a likely hour of its local day."""
    local_day = (day_ms + offset) // MS_PER_DAY
    hour = rng.choice(24, len(day_ms), p=HOUR_WEIGHTS / HOUR_WEIGHTS.sum())
    return local_day * MS_PER_DAY + hour * HOUR + rng.integers(0, HOUR, len(day_ms)) - offset


def weekday(ms: np.ndarray) -> np.ndarray:
    """Day of the week from Monday = 0."""
    return (ms // MS_PER_DAY + 3) % 7


def _choose(rng: np.random.Generator, weights: list[float], count: int) -> np.ndarray:
    shares = np.asarray(weights, float)
    return rng.choice(len(shares), count, p=shares / shares.sum())


def _arrivals(rng: np.random.Generator, *, count: int, period: Period, offset: np.ndarray) -> np.ndarray:
    """First visits: more on weekdays, slowly growing, with a gentle yearly wave."""
    day = period.start + np.arange(period.days, dtype=np.int64) * MS_PER_DAY
    growth = np.linspace(0.85, 1.15, period.days)
    season = 1 + 0.1 * np.cos(2 * np.pi * (day / MS_PER_DAY % 365.25) / 365.25)
    weights = WEEKDAY_WEIGHTS[weekday(day)] * growth * season
    chosen = day[rng.choice(period.days, count, p=weights / weights.sum())]
    return np.clip(local_moment(rng, day_ms=chosen - offset, offset=offset), period.start + HOUR, period.end - HOUR)


def _emails(
    rng: np.random.Generator, *, first: np.ndarray, last: np.ndarray, company: np.ndarray
) -> tuple[pa.Array, pa.Array]:
    """Work mailboxes ``first.last@company.example`` and personal ones at the reserved example domains."""
    name = first * len(words.LAST_NAMES) + last
    order = np.argsort(name, kind="stable")
    _, starts, counts = np.unique(name[order], return_index=True, return_counts=True)
    namesake = np.empty(len(name), np.int64)
    namesake[order] = np.arange(len(name)) - np.repeat(starts, counts)
    number = where(namesake > 0, plain(namesake + 1), "")
    lower_first, lower_last = [[n.lower() for n in names] for names in (words.FIRST_NAMES, words.LAST_NAMES)]
    handle = glue(pick(lower_first, first), ".", pick(lower_last, last), number)
    personal_domain = pick(["example.com", "example.org", "example.net"], _choose(rng, [0.6, 0.2, 0.2], len(name)))
    personal = glue(handle, "@", personal_domain)
    work = glue(handle, "@", _domain(company))
    is_role = (rng.random(len(name)) < ROLE_MAILBOX_SHARE) & (company >= 0)
    role = glue(pick(["info", "office", "hello"], _choose(rng, [3, 1, 1], len(name))), "@", _domain(company))
    email = where(is_role, role, where(company >= 0, work, personal))
    has_other = (rng.random(len(name)) < SECOND_EMAIL_SHARE) & (company >= 0)
    return email, where(has_other, personal)


def _company_name(company: np.ndarray) -> pa.Array:
    """Made-up company names; numbered once the pairs of words are used up."""
    firsts, seconds = len(words.COMPANY_FIRST), len(words.COMPANY_SECOND)
    repeat = np.where(company < 0, 0, company // (firsts * seconds))
    index = np.where(company < 0, -1, company % (firsts * seconds))
    number = where(repeat > 0, plain(repeat + 1), "")
    first = pick(words.COMPANY_FIRST, np.where(index < 0, -1, index % firsts))
    return glue(first, pick(words.COMPANY_SECOND, np.where(index < 0, -1, index // firsts)), number)


def _domain(company: np.ndarray) -> pa.Array:
    return glue(_company_name(company), ".example")


def _phones(rng: np.random.Generator, count: int) -> pa.Array:
    """Numbers of the fictional range 555-0100 to 555-0199, for some; the range is small, so area codes differ."""
    area = np.array([a for a in range(201, 990) if a % 100 // 10 != 9 and a % 100 != 11 and a != 555])
    slot = rng.permutation(max(count, len(area) * 100))[:count] % (len(area) * 100)
    number = glue("+1", plain(area[slot // 100]), "5550", plain(100 + slot % 100))
    return where(rng.random(count) < PHONE_SHARE, number)


def make_people(*, seed: int, count: int, period: Period) -> People:
    """Draw the people of the demo."""
    rng = stream(seed, "people")
    zone = _choose(rng, [z.share for z in words.ZONES], count)
    offset = (np.array([z.offset_hours for z in words.ZONES]) * HOUR).astype(np.int64)[zone]
    first, last = rng.integers(0, len(words.FIRST_NAMES), count), rng.integers(0, len(words.LAST_NAMES), count)
    company = np.where(rng.random(count) < 0.4, rng.integers(0, max(1, count // 6), count), -1)
    email, other_email = _emails(rng, first=first, last=last, company=company)
    arrives = _arrivals(rng, count=count, period=period, offset=offset)
    withdraws = np.where(
        rng.random(count) < WITHDRAWN_SHARE, arrives + (rng.uniform(5, 60, count) * MS_PER_DAY).astype(np.int64), NEVER
    )
    return People(
        user_id=ids(rng, "usr_", count, length=14),
        name=glue(pick(words.FIRST_NAMES, first), " ", pick(words.LAST_NAMES, last)),
        email=email,
        other_email=other_email,
        phone=_phones(rng, count),
        company=_company_name(company),
        ip=_addresses(rng, count),
        zone=zone,
        offset=offset,
        engagement=rng.normal(size=count),
        arrives=arrives,
        touch=_choose(rng, [t.share for t in words.TOUCHES], count),
        consent=_choose(rng, list(CONSENT_SHARES), count),
        withdraws=withdraws,
    )


def _addresses(rng: np.random.Generator, count: int) -> pa.Array:
    """Addresses of the networks reserved for documentation."""
    v4 = glue(
        pick(["192.0.2.", "198.51.100.", "203.0.113."], rng.integers(0, 3, count)), plain(rng.integers(1, 255, count))
    )
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)[rng.integers(0, 16, (count, 4))]
    v6 = glue("2001:db8:", fixed_width(digits), "::", plain(rng.integers(1, 10, count)))
    return where(rng.random(count) < 0.85, v4, v6)


def make_devices(*, seed: int, people: People) -> Devices:
    """Give people their devices: two on average, and a family tablet for some neighbours."""
    rng = stream(seed, "devices")
    count = len(people)
    owned = 1 + _choose(rng, [0.27, 0.50, 0.23], count)
    owner = np.repeat(np.arange(count), owned)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(owned) - owned, owned)
    roll = rng.random(len(owner))
    kind = np.select(
        [place == 0, place == 1],
        [np.where(roll < 0.66, 0, 1), np.where(roll < 0.25, 0, np.where(roll < 0.65, 1, 3))],
        3,
    )
    kind = np.where((place == 2) & (roll < 0.35), 2, kind)
    pairs = max(1, int(count * SHARED_TABLET_SHARE / 2))
    parent = rng.choice(count // 2, pairs, replace=False) * 2
    first_tablet = len(owner)
    owner, kind = np.append(owner, parent), np.append(kind, np.full(pairs, 2))
    model = np.empty(len(owner), np.int64)
    for code, name in enumerate(words.DEVICE_KINDS):
        models = [i for i, m in enumerate(words.DEVICE_MODELS) if m.kind == name]
        mine = kind == code
        model[mine] = np.array(models)[_choose(rng, [words.DEVICE_MODELS[i].share for i in models], int(mine.sum()))]
    skewed = rng.random(len(owner)) < SKEWED_DEVICE_SHARE
    hours = rng.choice([-8, -5, -2, -1, 1, 3, 6, 12, 26], len(owner)) + rng.choice([0, 0.5], len(owner), p=[0.8, 0.2])
    pair_person = np.concatenate([owner, parent + 1])
    pair_device = np.concatenate([np.arange(len(owner)), np.arange(first_tablet, len(owner))])
    order = np.lexsort((pair_device, pair_person))
    return Devices(
        anonymous_id=uuids(rng, len(owner)),
        user_agent=pick([m.user_agent for m in words.DEVICE_MODELS], model),
        model=model,
        is_app=kind == 3,
        is_shared=np.arange(len(owner)) >= first_tablet,
        skew=np.where(skewed, hours * HOUR, 0).astype(np.int64),
        owner=owner,
        ip=people.ip.take(pa.array(owner)),
        first=np.searchsorted(pair_person[order], np.arange(count + 1)),
        pair_device=pair_device[order],
    )
