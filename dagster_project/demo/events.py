"""What people do in browser and app: lives played as sessions of events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dagster_project.demo import laws, words
from dagster_project.demo.files import MS_PER_DAY, Json, pick, plain, record, spread, stream, text, where
from dagster_project.demo.life import (
    BROKEN,
    COMPARING,
    MINUTE,
    PAUSE,
    PRICE,
    TROUBLE,
    Calendar,
    Lives,
    app_release,
    choose_device,
    within,
)
from dagster_project.demo.people import HOUR, NEVER, WEEK, Devices, People, Period, local_hour

LATE_SESSION_SHARE = 0.032
# Of late sessions, those that are weeks late.
VERY_LATE_SHARE = 0.12
NO_USER_AGENT_SHARE = 0.006
# Pages that crawlers read, per page that people read.
CRAWLED_SHARE = 0.06
READING_SHARE = 0.08
HEAVY_MORE = 0.45

TRACK, PAGE, IDENTIFY = range(3)
NAMES = (
    "",
    "Signed Up",
    "Trial Started",
    "Onboarding Step Viewed",
    "Profile Completed",
    "Project Created",
    "Plan Imported",
    "Teammate Invited",
    "Feature Used",
    "Webinar Attended",
    "Product Viewed",
    "Checkout Started",
    "Checkout Step Viewed",
    "Checkout Step Completed",
    "Payment Info Entered",
    "Form Error",
    "Order Completed",
    "Subscription Started",
    "Return Requested",
    "Return Approved",
    "Return Rejected",
    "Referral Sent",
    "Trial Cancelled",
    "Subscription Cancelled",
)


@dataclass(frozen=True, kw_only=True)
class Events:
    """One row per thing that happened in the browser or the app, before it is delivered.

    ``session`` rows carry what all events of a session share: person, device, release of the app (-1: no app), touch,
    and how it is delivered.
    """

    session: np.ndarray
    at: np.ndarray
    kind: np.ndarray
    name: np.ndarray
    page: np.ndarray
    is_landing: np.ndarray
    is_known: np.ndarray
    properties: pa.Array
    session_person: np.ndarray
    session_device: np.ndarray
    session_release: np.ndarray
    session_touch: np.ndarray
    session_late: np.ndarray
    session_no_agent: np.ndarray
    session_robot: np.ndarray


class _Sheet:
    """Collects sessions and their events."""

    def __init__(self, rng: np.random.Generator, *, people: People, devices: Devices) -> None:
        self.rng, self.people, self.devices = rng, people, devices
        self.sessions: list[dict[str, np.ndarray]] = []
        self.events: list[dict[str, np.ndarray]] = []
        self.properties: list[pa.Array] = []
        self.count = 0

    def open(
        self,
        *,
        person: np.ndarray,
        at: np.ndarray,
        touch: np.ndarray | int = words.DIRECT,
        device: np.ndarray | None = None,
        works: bool = False,
    ) -> np.ndarray:
        """Add sessions; returns their numbers. Who works logs in, in the app or not; others are in a browser."""
        size = len(person)
        if device is None:
            share = np.array([t.app for t in words.JOURNEY_TYPES])[self.people.journey_type[person]]
            in_app = (self.rng.random(size) < share) if works else np.zeros(size, bool)
            device = choose_device(self.rng, person=person, in_app=in_app, devices=self.devices)
        self.sessions.append(
            {
                "person": person,
                "at": at,
                "touch": np.broadcast_to(touch, size),
                "device": device,
                "works": np.full(size, works),
            }
        )
        self.count += size
        return np.arange(self.count - size, self.count)

    def add(
        self,
        session: np.ndarray,
        *,
        at: np.ndarray,
        name: str = "",
        page: np.ndarray | int = -1,
        is_landing: np.ndarray | bool = False,
        is_known: np.ndarray | bool = True,
        kind: int = TRACK,
        properties: dict[str, Json] | None = None,
    ) -> None:
        """Add events; properties are JSON texts by field."""
        size = len(session)
        if not size:
            return
        self.events.append(
            {
                "session": session,
                "at": at,
                "kind": np.full(size, kind, np.int8),
                "name": np.full(size, NAMES.index(name), np.int8),
                "page": np.broadcast_to(page, size),
                "is_landing": np.broadcast_to(is_landing, size),
                "is_known": np.broadcast_to(is_known, size),
            }
        )
        has_fields = properties and any(isinstance(v, pa.Array) for v in properties.values())
        self.properties.append(
            record(properties) if has_fields and properties else pa.array(["{}"] * size, pa.string())
        )

    def walk(
        self,
        session: np.ndarray,
        *,
        person: np.ndarray,
        at: np.ndarray,
        counts: np.ndarray,
        first: np.ndarray,
        is_known: np.ndarray | bool,
        limit: np.ndarray | int = NEVER,
    ) -> None:
        """Add a walk over the pages that people of the type wander to, over by the limit."""
        owner, place = spread(counts)
        gap = np.where(place == 0, 0, self.rng.exponential(38_000, len(owner)) + 1_500)
        shares = np.array([t.pages for t in words.JOURNEY_TYPES])
        wander = laws.draw(self.rng, shares[self.people.journey_type[person[owner]]])
        page = np.where(place == 0, first[owner], np.minimum(wander, words.CUSTOMERS))
        moment = np.minimum(at[owner] + _since(gap, counts), np.broadcast_to(limit, len(session))[owner])
        known = np.broadcast_to(is_known, len(session))[owner]
        self.add(session[owner], at=moment, page=page, is_landing=place == 0, is_known=known, kind=PAGE)


def _since(gap: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums of the gaps within each owner, from nothing at its first row."""
    total = np.cumsum(gap)
    first = (np.cumsum(counts) - counts)[counts > 0]
    return (total - np.repeat(total[first], counts[counts > 0])).astype(np.int64)


def make_events(
    *, seed: int, people: People, devices: Devices, lives: Lives, period: Period, calendar: Calendar, block: int
) -> Events:
    """Play everyone's sessions."""
    sheet = _Sheet(stream(seed, "events", block), people=people, devices=devices)
    _play_visits(sheet, lives=lives, calendar=calendar, period=period)
    _play_use(sheet, lives=lives, period=period)
    _play_webinars(sheet, lives=lives)
    _play_checkouts(sheet, lives=lives)
    _play_returns(sheet, lives=lives)
    _play_partings(sheet, lives=lives)
    return _delivered(sheet, seed=seed, block=block, period=period, calendar=calendar)


def _landing(touch: np.ndarray) -> np.ndarray:
    return np.array([t.first_page for t in words.TOUCHES])[touch]


def _play_visits(sheet: _Sheet, *, lives: Lives, calendar: Calendar, period: Period) -> None:
    """Anonymous visits by channel; the last one of those who join ends with sign-up, trial and onboarding."""
    rng = sheet.rng
    person, at = lives.visit_person, lives.visit_at
    place = np.arange(len(person)) - np.searchsorted(person, person)
    is_last = np.append(person[1:] != person[:-1], True)
    seen = at >= period.start
    person, at, place, is_last = person[seen], at[seen], place[seen], is_last[seen]
    returning = rng.choice(
        [words.DIRECT, words.NEWSLETTER, words.ORGANIC, words.BRAND_SEARCH], len(person), p=[0.5, 0.2, 0.2, 0.1]
    )
    touch = np.where(place == 0, sheet.people.touch[person], returning)
    session = sheet.open(person=person, at=at, touch=touch)
    joining = is_last & (lives.signs_up[person] < NEVER)
    sheet.walk(
        session,
        person=person,
        at=at,
        counts=1 + rng.poisson(2.2, len(person)),
        first=_landing(touch),
        is_known=False,
        limit=np.where(joining, lives.signs_up[person] - 20_000, NEVER),
    )
    _play_onboarding(sheet, person=person[joining], session=session[joining], lives=lives, calendar=calendar)


def _form_error(form: str, step: str, errors: tuple[tuple[str, str], ...], which: np.ndarray) -> dict[str, Json]:
    return {
        "form": f'"{form}"',
        "step": f'"{step}"',
        "error_code": text(pick([e[0] for e in errors], which)),
        "error_message": text(pick([e[1] for e in errors], which)),
    }


def _play_onboarding(
    sheet: _Sheet, *, person: np.ndarray, session: np.ndarray, lives: Lives, calendar: Calendar
) -> None:
    """Sign-up, trial, and the steps of the onboarding; the import is where some get stuck."""
    rng, size = sheet.rng, len(person)
    at = lives.signs_up[person]
    stumbles = rng.random(size) < 0.12
    which = rng.integers(0, len(words.SIGNUP_ERRORS), size)[stumbles]
    sheet.add(
        session[stumbles],
        at=at[stumbles] - 15_000,
        name="Form Error",
        is_known=False,
        properties=_form_error("signup", "account", words.SIGNUP_ERRORS, which),
    )
    sheet.add(session, at=at, name="Signed Up")
    sheet.add(session, at=at + 350, kind=IDENTIFY)
    now = at + rng.integers(3_000, 40_000, size)
    plan = pick([p.name for p in words.PLANS], rng.choice(3, size, p=[0.5, 0.4, 0.1]))
    sheet.add(session, at=now, name="Trial Started", properties={"plan": text(plan)})
    for step, done, share, seconds in (
        ("profile", "Profile Completed", 0.90, 45),
        ("project", "Project Created", 0.93, 60),
    ):
        _view_step(sheet, session, now + 2_000, step)
        now = now + (rng.lognormal(np.log(seconds), 0.5, size) * 1000).astype(np.int64) + 3_000
        does = rng.random(size) < share
        sheet.add(session[does], at=now[does], name=done)
    _view_step(sheet, session, now + 2_000, "import")
    stuck, confused = lives.is_stuck[person], within(calendar.confused, at)
    errors = rng.poisson(np.where(stuck, 1.6, 0.15) + 0.9 * confused)
    owner, place = spread(errors)
    which = rng.choice(2, len(owner), p=[0.85, 0.15])
    sheet.add(
        session[owner],
        at=now[owner] + 12_000 + place * 21_000,
        name="Form Error",
        properties=_form_error("onboarding", "import", words.IMPORT_ERRORS, which),
    )
    now = now + errors * 21_000
    back = (stuck | confused) & (rng.random(size) < 0.5)
    _view_step(sheet, session[back], now[back] + 14_000, "project")
    _view_step(sheet, session[back], now[back] + 22_000, "import")
    now = now + np.where(back, 25_000, 0)
    took = (rng.lognormal(np.log(50), 0.5, size) * np.where(confused, 2.5, 1.0) * 1000).astype(np.int64) + 15_000
    done = ~stuck
    sheet.add(session[done], at=(now + took)[done], name="Plan Imported")


def _view_step(sheet: _Sheet, session: np.ndarray, at: np.ndarray, step: str) -> None:
    number = words.ONBOARDING_STEPS.index(step) + 1
    name = pa.array([f'"{step}"'] * len(session), pa.string())
    sheet.add(session, at=at, name="Onboarding Step Viewed", properties={"step": str(number), "step_name": name})


def _play_use(sheet: _Sheet, *, lives: Lives, period: Period) -> None:
    """Sessions of work by the week's level, and on top of them reading."""
    rng, people = sheet.rng, sheet.people
    week, person = np.nonzero(lives.levels > laws.DORMANT)
    level = lives.levels[week, person]
    counts = np.where(level == laws.HEAVY, 2 + rng.binomial(2, HEAVY_MORE, len(level)), 1)
    owner, _ = spread(counts)
    person, monday = person[owner], lives.mondays[week[owner]]
    since = np.maximum(monday, np.where(lives.signs_up[person] < monday + WEEK, lives.signs_up[person] + HOUR, 0))
    since = np.maximum(since, monday)
    at = _in_week(rng, person=person, monday=monday, since=since, people=people)
    keep = (at < lives.active_until[person]) & (at >= period.start)
    person, at = person[keep], at[keep]
    session = sheet.open(person=person, at=at, works=True)
    counts = 1 + rng.poisson(1.3, len(person))
    of, place = spread(counts)
    gap = np.where(place == 0, 0, rng.exponential(150_000, len(of)) + 2_000)
    shares = np.array([t.features for t in words.JOURNEY_TYPES])
    feature = laws.draw(rng, shares[people.journey_type[person[of]]])
    used = {"feature": text(pick(words.FEATURES_USED, feature))}
    sheet.add(session[of], at=at[of] + _since(gap, counts), name="Feature Used", properties=used)
    organises = people.journey_type[person] == 3
    for name, share in (
        ("Project Created", 0.05),
        ("Teammate Invited", np.where(organises, 0.10, 0.025)),
        ("Referral Sent", 0.008),
    ):
        chosen = rng.random(len(session)) < share
        sheet.add(session[chosen], at=at[chosen] + rng.integers(20_000, 95_000, int(chosen.sum())), name=name)
    reads = rng.random(len(person)) < READING_SHARE
    later = at[reads] + rng.integers(HOUR, 5 * HOUR, int(reads.sum()))
    _play_reading(sheet, person=person[reads], at=later)


def _in_week(
    rng: np.random.Generator, *, person: np.ndarray, monday: np.ndarray, since: np.ndarray, people: People
) -> np.ndarray:
    """Likely moments between an instant and the end of its week."""
    weights = np.array([1.0, 1.05, 1.0, 0.95, 0.85, 0.45, 0.5])
    day = rng.choice(7, len(person), p=weights / weights.sum())
    evening = np.array([t.evening for t in words.JOURNEY_TYPES])[people.journey_type[person]]
    offset = people.offset[person]
    at = monday + (day * MS_PER_DAY + local_hour(rng, evening) - offset) % WEEK
    fallback = since + (rng.random(len(person)) * (monday + WEEK - since)).astype(np.int64)
    return np.where(at >= since, at, fallback)


def _play_reading(sheet: _Sheet, *, person: np.ndarray, at: np.ndarray) -> None:
    """Customers read docs, blog and newsletters, logged in most of the time."""
    rng = sheet.rng
    touch = rng.choice([words.DIRECT, words.NEWSLETTER, words.ORGANIC], len(person), p=[0.5, 0.35, 0.15])
    session = sheet.open(person=person, at=at, touch=touch)
    first = np.where(rng.random(len(person)) < 0.6, words.DOCS, words.BLOG)
    sheet.walk(
        session,
        person=person,
        at=at,
        counts=1 + rng.poisson(1.2, len(person)),
        first=first,
        is_known=rng.random(len(person)) < 0.75,
    )


def _play_webinars(sheet: _Sheet, *, lives: Lives) -> None:
    """A click in a mail, the page of the webinar, and an hour of it."""
    goes = lives.touch_kind == laws.WEBINAR
    person, at = lives.touch_person[goes], lives.touch_at[goes]
    session = sheet.open(person=person, at=at, touch=words.INVITATION)
    sheet.add(session, at=at, page=words.BLOG, is_landing=True, kind=PAGE)
    sheet.add(session, at=at + 70_000, name="Webinar Attended", properties={"webinar": _same('"first-steps"', person)})


def _same(value: str, rows: np.ndarray) -> pa.Array:
    return pa.array([value] * len(rows), pa.string())


def _play_checkouts(sheet: _Sheet, *, lives: Lives) -> None:
    """Checkout by its steps, with page time, hesitation and form errors, to the payment or to where it is left."""
    rng, attempts = sheet.rng, lives.attempts
    person, at, left = attempts.person, attempts.at, attempts.left
    session = sheet.open(person=person, at=at, device=attempts.device)
    size = len(person)
    product = where(
        attempts.is_pack,
        pick([p.name for p in words.PACKS], np.where(attempts.is_pack, attempts.item, -1)),
        pick([p.name for p in words.PLANS], np.where(attempts.is_pack, -1, attempts.item)),
    )
    wanted = text(product)
    plans = np.flatnonzero(~attempts.is_pack)
    sheet.add(session[plans], at=at[plans] - 50_000, page=words.PRICING, is_landing=True, kind=PAGE)

    def some(mask: np.ndarray, when: np.ndarray, name: str, **fields: Json) -> None:
        rows = np.flatnonzero(mask)
        taken = {k: v.take(pa.array(rows)) if isinstance(v, pa.Array) else v for k, v in fields.items()}
        sheet.add(session[rows], at=when[rows], name=name, properties=taken or None)

    def step(mask: np.ndarray, when: np.ndarray, name: str, number: int, spent: np.ndarray, idle: np.ndarray) -> None:
        some(
            mask,
            when,
            f"Checkout Step {name}",
            step=str(number),
            step_name=f'"{words.CHECKOUT_STEPS[number - 1]}"',
            product=wanted,
            page_seconds=plain((spent // 1000).astype(np.int64)),
            hesitation_ms=plain(idle.astype(np.int64)),
        )

    is_price, is_trouble, is_pause, is_comparing, is_broken = (
        left == reason for reason in (PRICE, TROUBLE, PAUSE, COMPARING, BROKEN)
    )
    done = left < 0
    some(
        np.ones(size, bool),
        at,
        "Checkout Started",
        product=wanted,
        step='"review"',
        checkout_id=text(attempts.order_id),
    )
    review = rng.lognormal(np.log(18_000), 0.4, size)
    details = rng.lognormal(np.log(32_000), 0.4, size)
    payment = rng.lognormal(np.log(28_000), 0.4, size)
    idle = rng.exponential(1_500, size)
    some(is_price, at + rng.integers(4_000, 15_000, size), "Product Viewed", product=wanted)
    goes_back = at + rng.integers(9_000, 30_000, size)
    some(is_comparing, goes_back, "Product Viewed", product=wanted)
    step(is_comparing, goes_back + 40_000, "Viewed", 1, np.full(size, 40_000.0), idle * 4)
    some(is_comparing, goes_back + 75_000, "Product Viewed", product=wanted)
    on = done | is_trouble | is_pause | is_broken
    now = at + np.clip(review, 5_000, 40_000).astype(np.int64)
    step(on, now, "Completed", 1, np.clip(review, 5_000, 40_000), idle)
    long = rng.integers(6 * MINUTE, 24 * MINUTE, size)
    step(is_pause, now + long, "Viewed", 2, long.astype(float), long * 0.8)
    trips = done & (rng.random(size) < 0.10)
    errors = np.where(is_trouble, 2 + rng.poisson(1.0, size), np.where(trips, 1, 0))
    owner, place = spread(errors)
    which = rng.integers(0, len(words.CHECKOUT_ERRORS), len(owner))
    sheet.add(
        session[owner],
        at=now[owner] + 6_000 + place * 14_000,
        name="Form Error",
        properties=_form_error("checkout", "details", words.CHECKOUT_ERRORS, which),
    )
    now = now + np.minimum(errors, 2) * 14_000 + np.clip(details, 10_000, 50_000).astype(np.int64)
    pays = done | is_broken
    step(pays, now, "Completed", 2, np.clip(details, 10_000, 50_000), idle)
    now = now + np.clip(payment, 8_000, 30_000).astype(np.int64)
    some(pays, now, "Payment Info Entered", product=wanted, payment_method='"card"')
    again = np.where(is_broken, 2 + (rng.random(size) < 0.4), 0)
    owner, place = spread(again)
    sheet.add(
        session[owner],
        at=now[owner] + 3_000 + place * 18_000,
        name="Form Error",
        properties=_form_error("checkout", "payment", (words.INCIDENT_ERROR,), np.zeros(len(owner), np.int64)),
    )
    _play_payments(sheet, lives=lives, session=session, wanted=wanted)


def _play_payments(sheet: _Sheet, *, lives: Lives, session: np.ndarray, wanted: pa.Array) -> None:
    """Orders of packs and first payments of plans."""
    attempts, subscriptions = lives.attempts, lives.subscriptions
    packs = np.flatnonzero(attempts.succeeds & attempts.is_pack)
    cents = np.array([p.cents for p in words.PACKS])[attempts.item[packs]]
    sheet.add(
        session[packs],
        at=attempts.paid_at[packs],
        name="Order Completed",
        properties={
            "order_id": text(attempts.order_id.take(pa.array(packs))),
            "product": wanted.take(pa.array(packs)),
            "revenue": plain(cents // 100),
            "currency": _same('"USD"', packs),
        },
    )
    plans = np.flatnonzero(attempts.succeeds & ~attempts.is_pack & np.isin(attempts.person, subscriptions.person))
    of = np.searchsorted(subscriptions.person, attempts.person[plans])
    at = attempts.at[plans] + 3 * MINUTE
    sheet.add(
        session[plans],
        at=at,
        name="Subscription Started",
        properties={
            "plan": wanted.take(pa.array(plans)),
            "invoice_id": text(subscriptions.first_invoice_id.take(pa.array(of))),
            "subscription_id": text(subscriptions.subscription_id.take(pa.array(of))),
            "revenue": plain(np.array([p.cents for p in words.PLANS])[attempts.item[plans]] // 100),
            "currency": _same('"USD"', plans),
        },
    )
    sheet.add(session[plans], at=at + 2_500, page=words.WELCOME, kind=PAGE)


def _play_returns(sheet: _Sheet, *, lives: Lives) -> None:
    """Money asked back for a pack, and the answer some days later."""
    rng, attempts = sheet.rng, lives.attempts
    asks = np.flatnonzero(attempts.return_at < NEVER)
    person, at, ok = attempts.person[asks], attempts.return_at[asks], attempts.return_ok[asks]
    order = {"order_id": text(attempts.order_id.take(pa.array(asks)))}
    session = sheet.open(person=person, at=at, works=True)
    reason = rng.integers(0, len(words.RETURN_REASONS), len(asks))
    sheet.add(
        session,
        at=at,
        name="Return Requested",
        properties={**order, "reason": text(pick(words.RETURN_REASONS, reason))},
    )
    answered = at + RETURN_ANSWER_MS
    for name, mask in (("Return Approved", ok), ("Return Rejected", ~ok)):
        rows = np.flatnonzero(mask)
        seen = sheet.open(person=person[rows], at=answered[rows], works=True)
        taken = {"order_id": order["order_id"].take(pa.array(rows))}
        sheet.add(seen, at=answered[rows], name=name, properties=taken)


# An answer to a return comes after a day and a half.
RETURN_ANSWER_MS = 36 * HOUR


def _play_partings(sheet: _Sheet, *, lives: Lives) -> None:
    """Trials given up and subscriptions cancelled, with a reason."""
    leavers = np.flatnonzero(lives.gives_up < NEVER)
    _part(sheet, name="Trial Cancelled", person=leavers, at=lives.gives_up[leavers], more={})
    subscriptions = lives.subscriptions
    quits = np.flatnonzero(subscriptions.cancels < NEVER)
    _part(
        sheet,
        name="Subscription Cancelled",
        person=subscriptions.person[quits],
        at=subscriptions.cancels[quits],
        more={"subscription_id": text(subscriptions.subscription_id.take(pa.array(quits)))},
    )


def _part(sheet: _Sheet, *, name: str, person: np.ndarray, at: np.ndarray, more: dict[str, Json]) -> None:
    session = sheet.open(person=person, at=at, works=True)
    reason = sheet.rng.integers(0, len(words.CANCEL_REASONS), len(person))
    sheet.add(session, at=at, name=name, properties={"reason": text(pick(words.CANCEL_REASONS, reason)), **more})


def _delivered(sheet: _Sheet, *, seed: int, block: int, period: Period, calendar: Calendar) -> Events:
    """Add log-ins and robots, and what a session's delivery will suffer."""
    rng, devices = stream(seed, "delivery", block), sheet.devices
    session = {k: np.concatenate([s[k] for s in sheet.sessions]) for k in sheet.sessions[0]}
    _add_logins(sheet, session=session, devices=devices)
    robots = _add_robots(sheet, rng=rng, period=period)
    event = {k: np.concatenate([e[k] for e in sheet.events]) for k in sheet.events[0]}
    properties = pa.concat_arrays(sheet.properties)
    inside = np.flatnonzero((event["at"] >= period.start) & (event["at"] < period.end))
    order = inside[np.argsort(event["at"][inside], kind="stable")]
    humans = len(session["device"])
    total = humans + len(robots)
    late = np.zeros(total, np.int64)
    is_late = rng.random(humans) < LATE_SESSION_SHARE
    days = 0.55 + np.minimum(rng.exponential(1.6, humans), 8)
    days = np.where(rng.random(humans) < VERY_LATE_SHARE, rng.uniform(8, 59, humans), days)
    late[:humans] = np.where(is_late, days * MS_PER_DAY, 0)
    release = app_release(devices, session["device"], session["at"], calendar)
    pad = np.full(len(robots), -1)
    return Events(
        **{k: v[order] for k, v in event.items()},
        properties=properties.take(pa.array(order)),
        session_person=np.concatenate([session["person"], pad]),
        session_device=np.concatenate([session["device"], pad]),
        session_release=np.concatenate([np.where(devices.is_app[session["device"]], release, -1), pad]),
        session_touch=np.concatenate([session["touch"], pad + 1 + words.DIRECT]),
        session_late=late,
        session_no_agent=np.append(rng.random(humans) < NO_USER_AGENT_SHARE, np.zeros(len(robots), bool)),
        session_robot=np.concatenate([np.full(humans, -1), robots]),
    )


def _add_logins(sheet: _Sheet, *, session: dict[str, np.ndarray], devices: Devices) -> None:
    """Identify people the first time they work on a device, and every time on a shared one."""
    works = np.flatnonzero(session["works"])
    device = session["device"]
    order = works[np.lexsort((session["at"][works], device[works], session["person"][works]))]
    pair = session["person"][order] * (len(devices) + 1) + device[order]
    is_first = np.append(True, pair[1:] != pair[:-1]) if len(pair) else np.zeros(0, bool)
    chosen = order[is_first | devices.is_shared[device[order]]]
    sheet.add(chosen, at=session["at"][chosen] - 800, kind=IDENTIFY)


def _add_robots(sheet: _Sheet, *, rng: np.random.Generator, period: Period) -> np.ndarray:
    """Crawlers and AI agents, a monitor every three hours, a script a page a second, staff on the test site.

    Returns
    -------
    numpy.ndarray
        The robot behind each of the new sessions, an index into ROBOT_AGENTS.
    """
    pages = sum(len(e["at"]) for e in sheet.events if e["kind"][0] == PAGE)
    crawls = max(3, int(pages * CRAWLED_SHARE / 4))
    checks, scripts, tests = period.days * 8, max(1, period.days // 15), period.days // 4
    kind = np.concatenate(
        [
            rng.choice(len(words.CRAWLERS), crawls, p=[share for _, share in words.CRAWLERS]),
            np.repeat([words.MONITOR, words.SCRIPT, words.STAFF], [checks, scripts, tests]),
        ]
    )
    at = rng.integers(period.start, period.end - HOUR, len(kind))
    at[kind == words.MONITOR] = period.start + np.arange(checks, dtype=np.int64) * 3 * HOUR + 421
    counts = 1 + rng.poisson(3, len(kind))
    counts[kind == words.MONITOR] = 1
    counts[kind == words.SCRIPT] = 30 + rng.poisson(40, scripts)
    owner, place = spread(counts)
    pace = np.where(kind == words.SCRIPT, 900, 4_000)
    page = np.where(kind[owner] == words.MONITOR, words.HOME, rng.integers(0, words.WELCOME, len(owner)))
    sheet.add(
        sheet.count + owner,
        at=at[owner] + place * pace[owner] + rng.integers(0, 400, len(owner)),
        page=page,
        is_landing=place == 0,
        is_known=False,
        kind=PAGE,
    )
    sheet.count += len(kind)
    return kind
