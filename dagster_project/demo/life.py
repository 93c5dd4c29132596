"""What people do: visits, sign-ups, trials, checkouts, subscriptions and use, as events in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dagster_project.demo import words
from dagster_project.demo.jsonl import MS_PER_DAY, Json, ids, pick, plain, record, spread, stream, text
from dagster_project.demo.people import HOUR, NEVER, WEEKDAY_WEIGHTS, Devices, People, Period, local_moment, weekday

MINUTE = 60_000
TRIAL_DAYS = 14

# The one planted change: for three weeks that end this many days before the last day, checkout mostly fails.
INCIDENT_FROM_DAYS, INCIDENT_TO_DAYS = 29, 8
CHECKOUT_SUCCESS, CHECKOUT_SUCCESS_IN_INCIDENT = 0.82, 0.22
FORM_ERROR, FORM_ERROR_IN_INCIDENT = 0.10, 0.85
RETRY = 0.5
CHECKOUT_ROUNDS = 3

LATE_SESSION_SHARE = 0.032
NO_USER_AGENT_SHARE = 0.006
# Pages that crawlers read, per page that people read.
CRAWLED_SHARE = 0.06
# Of monthly renewals: cards that fail for good.
UNPAID_SHARE = 0.018
MONTHS_AHEAD = 24

TRACK, PAGE, IDENTIFY = range(3)
NAMES = (
    "",
    "Signed Up",
    "Trial Started",
    "Project Created",
    "Teammate Invited",
    "Feature Used",
    "Checkout Started",
    "Form Error",
    "Subscription Started",
    "Trial Cancelled",
    "Subscription Cancelled",
)


@dataclass(frozen=True, kw_only=True)
class Subscriptions:
    """One row per paid subscription; times in UTC milliseconds, NEVER where it did not happen.

    ``paid_months`` months are paid; then it ends, or (``is_unpaid``) one more month is billed in vain.
    """

    person: np.ndarray
    plan: np.ndarray
    starts: np.ndarray
    cancels: np.ndarray
    ends: np.ndarray
    paid_months: np.ndarray
    is_unpaid: np.ndarray
    customer_id: pa.Array
    subscription_id: pa.Array
    first_invoice_id: pa.Array


@dataclass(frozen=True, kw_only=True)
class Lives:
    """Turning points of each person; NEVER where it did not happen."""

    signs_up: np.ndarray
    trial: np.ndarray
    gives_up: np.ndarray
    attempt_person: np.ndarray
    attempt_at: np.ndarray
    attempt_converts: np.ndarray
    attempt_in_incident: np.ndarray
    attempt_plan: np.ndarray
    visit_person: np.ndarray
    visit_at: np.ndarray
    subscriptions: Subscriptions


@dataclass(frozen=True, kw_only=True)
class Events:
    """One row per thing that happened in the browser or the app, before it is delivered.

    ``session`` rows carry what all events of a session share: person, device, touch, and how it is delivered.
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
    session_touch: np.ndarray
    session_late: np.ndarray
    session_no_agent: np.ndarray
    session_robot: np.ndarray


def incident(period: Period) -> tuple[int, int]:
    """When checkout is broken: start (inclusive) and end (exclusive)."""
    last_day = period.end - MS_PER_DAY
    return last_day - INCIDENT_FROM_DAYS * MS_PER_DAY, last_day - INCIDENT_TO_DAYS * MS_PER_DAY


def _chance(logit: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(logit, float)))


def add_months(ms: np.ndarray, months: np.ndarray) -> np.ndarray:
    """The same time of day some calendar months later; the 31st becomes the month's last day."""
    day = (ms // MS_PER_DAY).astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    target = month + np.asarray(months)
    length = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(np.int64)
    in_month = np.minimum((day - month.astype("datetime64[D]")).astype(np.int64), length - 1)
    return (target.astype("datetime64[D]").astype(np.int64) + in_month) * MS_PER_DAY + ms % MS_PER_DAY


def make_lives(*, seed: int, people: People, period: Period) -> Lives:
    """Draw everyone's turning points."""
    rng = stream(seed, "lives")
    count = len(people)
    lift = np.array([t.lift for t in words.TOUCHES])[people.touch]
    joins = rng.random(count) < _chance(1.2 + lift + 0.2 * people.engagement)
    visits = np.minimum(rng.geometric(np.where(joins, 0.42, 0.6), count), 7)
    visit_person, place = spread(visits)
    gap = np.where(place == 0, 0, np.maximum(0.5, rng.lognormal(0.6, 0.8, len(place)))) * MS_PER_DAY
    since_first = np.cumsum(gap) - np.repeat(np.cumsum(gap)[np.cumsum(visits) - visits], visits)
    offset = people.offset[visit_person]
    at = people.arrives[visit_person] + since_first.astype(np.int64)
    at = np.where(place == 0, at, local_moment(rng, day_ms=at, offset=offset))
    order = np.lexsort((at, visit_person))
    visit_at = at[order]
    last = np.cumsum(visits) - 1
    signs_up = np.where(joins, visit_at[last] + rng.integers(6 * MINUTE, 20 * MINUTE, count), NEVER)
    trial = np.where(joins & (rng.random(count) < 0.96), signs_up + rng.integers(3_000, 40_000, count), NEVER)
    person, tried_at, converts, in_incident = _try_to_pay(rng, people=people, period=period, trial=trial)
    plan = rng.choice(len(words.PLANS), count, p=[p.share for p in words.PLANS])
    return Lives(
        signs_up=signs_up,
        trial=trial,
        gives_up=_give_up(rng, trial=trial, person=person, tried_at=tried_at, converts=converts),
        attempt_person=person,
        attempt_at=tried_at,
        attempt_converts=converts,
        attempt_in_incident=in_incident,
        attempt_plan=plan[person],
        visit_person=visit_person,
        visit_at=visit_at,
        subscriptions=_subscriptions(
            rng,
            people=people,
            period=period,
            person=person[converts],
            at=tried_at[converts] + rng.integers(60_000, 240_000, int(converts.sum())),
            plan=plan,
        ),
    )


def _try_to_pay(
    rng: np.random.Generator, *, people: People, period: Period, trial: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Checkout attempts of people on trial; some who fail try again.

    Returns
    -------
    tuple of numpy.ndarray
        Person, instant, whether the attempt succeeds, whether it fell into the incident.
    """
    starts, ends = incident(period)
    on_trial = np.flatnonzero(trial < period.end)
    person = on_trial[rng.random(len(on_trial)) < _chance(0.55 + 0.8 * people.engagement[on_trial])]
    wait = np.clip(rng.gamma(2.2, 2.6, len(person)), 0.05, TRIAL_DAYS - 0.6) * MS_PER_DAY
    at = local_moment(rng, day_ms=trial[person] + wait.astype(np.int64), offset=people.offset[person])
    at = np.maximum(at, trial[person] + rng.integers(20, 300, len(person)) * MINUTE)
    tried: list[tuple[np.ndarray, ...]] = []
    for _ in range(CHECKOUT_ROUNDS):
        broken = (at >= starts) & (at < ends)
        success = np.where(broken, CHECKOUT_SUCCESS_IN_INCIDENT, CHECKOUT_SUCCESS)
        converts = rng.random(len(person)) < success
        tried.append((person, at, converts, broken))
        again = ~converts & (rng.random(len(person)) < RETRY)
        pause = (rng.uniform(0.05, 2.5, int(again.sum())) * MS_PER_DAY).astype(np.int64)
        person, at = person[again], at[again] + pause
    return tuple(np.concatenate(column) for column in zip(*tried, strict=True))


def _give_up(
    rng: np.random.Generator, *, trial: np.ndarray, person: np.ndarray, tried_at: np.ndarray, converts: np.ndarray
) -> np.ndarray:
    """When people cancel their trial: most who never pay do, near its end and after their last attempt."""
    last_attempt = np.zeros(len(trial), np.int64)
    np.maximum.at(last_attempt, person, tried_at)
    pays = np.zeros(len(trial), bool)
    pays[person[converts]] = True
    cancels = (trial < NEVER) & ~pays & (rng.random(len(trial)) < 0.62)
    chosen = trial + (np.maximum(0.3, TRIAL_DAYS * rng.beta(3, 1.2, len(trial))) * MS_PER_DAY).astype(np.int64)
    return np.where(cancels, np.maximum(chosen, last_attempt + 30 * MINUTE), NEVER)


def _subscriptions(
    rng: np.random.Generator, *, people: People, period: Period, person: np.ndarray, at: np.ndarray, plan: np.ndarray
) -> Subscriptions:
    """Months paid until people cancel, or until a card fails for good."""
    known = at < period.end
    person, at = person[known], at[known]
    count = len(person)
    leaves_after = np.minimum(rng.geometric(_chance(-2.4 - 0.5 * people.engagement[person])), MONTHS_AHEAD)
    declines = rng.random((count, MONTHS_AHEAD)) < UNPAID_SHARE
    unpaid = np.where(declines.any(axis=1), declines.argmax(axis=1) + 1, MONTHS_AHEAD + 1)
    is_unpaid = unpaid < leaves_after
    month = np.minimum(unpaid, leaves_after)
    month_end = add_months(at, month)
    month_start = add_months(at, month - 1)
    ends = month_end + np.where(is_unpaid, 7 * MS_PER_DAY, 0)
    chosen = month_start + ((0.05 + 0.9 * rng.random(count)) * (month_end - month_start)).astype(np.int64)
    return Subscriptions(
        person=person,
        plan=plan[person],
        starts=at,
        cancels=np.where(is_unpaid, NEVER, chosen),
        ends=ends,
        paid_months=month,
        is_unpaid=is_unpaid,
        customer_id=ids(rng, "cus_", count, length=14),
        subscription_id=ids(rng, "sub_1", count),
        first_invoice_id=ids(rng, "in_1", count),
    )


class _Sheet:
    """Collects sessions and their events."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.sessions: list[dict[str, np.ndarray]] = []
        self.events: list[dict[str, np.ndarray]] = []
        self.properties: list[pa.Array] = []
        self.count = 0

    def open(self, *, person: np.ndarray, at: np.ndarray, touch: np.ndarray | int, in_app: bool) -> np.ndarray:
        """Add sessions; returns their numbers."""
        size = len(person)
        self.sessions.append(
            {
                "person": person,
                "at": at,
                "touch": np.broadcast_to(touch, size),
                "in_app": np.full(size, in_app),
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
        at: np.ndarray,
        counts: np.ndarray,
        first: np.ndarray,
        is_known: np.ndarray | bool,
        limit: np.ndarray | int = NEVER,
    ) -> None:
        """Add a walk over marketing pages, over by the limit."""
        owner, place = spread(counts)
        gap = np.where(place == 0, 0, self.rng.exponential(38_000, len(owner)) + 1_500)
        total = np.cumsum(gap)
        since = total - np.repeat(total[np.cumsum(counts) - counts], counts)
        wander = self.rng.choice(len(words.PAGES), len(owner), p=[p.share for p in words.PAGES])
        page = np.where(place == 0, first[owner], wander)
        moment = np.minimum(at[owner] + since.astype(np.int64), np.broadcast_to(limit, len(session))[owner])
        known = np.broadcast_to(is_known, len(session))[owner]
        self.add(session[owner], at=moment, page=page, is_landing=place == 0, is_known=known, kind=PAGE)


def make_events(*, seed: int, people: People, devices: Devices, lives: Lives, period: Period) -> Events:
    """Play everyone's sessions."""
    sheet = _Sheet(stream(seed, "events"))
    _play_visits(sheet, people=people, lives=lives)
    _play_use(sheet, people=people, lives=lives, period=period)
    _play_checkouts(sheet, lives=lives)
    _play_partings(sheet, lives=lives)
    return _delivered(sheet, seed=seed, devices=devices, period=period)


def _landing(touch: np.ndarray) -> np.ndarray:
    return np.array([t.first_page for t in words.TOUCHES])[touch]


def _play_visits(sheet: _Sheet, *, people: People, lives: Lives) -> None:
    """Anonymous visits by channel; the last one of those who join ends with the sign-up and the trial."""
    rng = sheet.rng
    person, at = lives.visit_person, lives.visit_at
    place = np.arange(len(person)) - np.searchsorted(person, person)
    returning = rng.choice(
        [words.DIRECT, words.NEWSLETTER, words.ORGANIC, words.BRAND_SEARCH], len(person), p=[0.5, 0.2, 0.2, 0.1]
    )
    touch = np.where(place == 0, people.touch[person], returning)
    session = sheet.open(person=person, at=at, touch=touch, in_app=False)
    is_last = np.append(person[1:] != person[:-1], True)
    joining = is_last & (lives.signs_up[person] < NEVER)
    sheet.walk(
        session,
        at=at,
        counts=1 + rng.poisson(1.9, len(person)),
        first=_landing(touch),
        is_known=False,
        limit=np.where(joining, lives.signs_up[person] - 20_000, NEVER),
    )
    person, session = person[joining], session[joining]
    at = lives.signs_up[person]
    stumbles = rng.random(len(person)) < 0.12
    field = rng.integers(0, len(words.SIGNUP_ERRORS), len(person))
    sheet.add(
        session[stumbles],
        at=at[stumbles] - 15_000,
        name="Form Error",
        is_known=False,
        properties={
            "form": '"signup"',
            "error_code": text(pick([e[0] for e in words.SIGNUP_ERRORS], field[stumbles])),
            "error_message": text(pick([e[1] for e in words.SIGNUP_ERRORS], field[stumbles])),
        },
    )
    sheet.add(session, at=at, name="Signed Up")
    sheet.add(session, at=at + 350, kind=IDENTIFY)
    tries = lives.trial[person] < NEVER
    person, session = person[tries], session[tries]
    sheet.add(
        session,
        at=lives.trial[person],
        name="Trial Started",
        properties={"plan": text(pick([p.name for p in words.PLANS], rng.choice(3, len(person), p=[0.5, 0.4, 0.1])))},
    )
    _add_projects(
        sheet, session=session, at=lives.trial[person] + rng.integers(60_000, 900_000, len(person)), share=0.5
    )


def _add_projects(sheet: _Sheet, *, session: np.ndarray, at: np.ndarray, share: float) -> None:
    chosen = sheet.rng.random(len(session)) < share
    sheet.add(session[chosen], at=at[chosen], name="Project Created")


def _play_use(sheet: _Sheet, *, people: People, lives: Lives, period: Period) -> None:
    """Sessions during the trial and while subscribed: nine in ten are work, the others reading."""
    rng = sheet.rng
    person, at, is_trial = _days_of_use(rng, people=people, lives=lives, period=period)
    reads = rng.random(len(at)) < 0.10
    _play_reading(sheet, person=person[reads], at=at[reads])
    person, at, is_trial = person[~reads], at[~reads], is_trial[~reads]
    session = sheet.open(person=person, at=at, touch=words.DIRECT, in_app=True)
    counts = 1 + rng.poisson(np.exp(1.15 + 0.25 * people.engagement[person]))
    of, _ = spread(counts)
    gap = rng.exponential(150_000, len(of)) + 2_000
    total = np.cumsum(gap)
    moment = at[of] + (total - np.repeat(total[np.cumsum(counts) - counts], counts)).astype(np.int64)
    feature = rng.choice(len(words.FEATURES_USED), len(of), p=words.FEATURE_SHARES)
    used = {"feature": text(pick(words.FEATURES_USED, feature))}
    sheet.add(session[of], at=moment, name="Feature Used", properties=used)
    _add_projects(sheet, session=session[is_trial], at=at[is_trial] + 45_000, share=0.18)
    _add_projects(sheet, session=session[~is_trial], at=at[~is_trial] + 45_000, share=0.04)
    invites = rng.random(len(session)) < np.where(is_trial, 0.10, 0.02)
    sheet.add(session[invites], at=at[invites] + 95_000, name="Teammate Invited")


def _days_of_use(
    rng: np.random.Generator, *, people: People, lives: Lives, period: Period
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who uses Lumen when, and whether on trial: the engaged more often, everybody less at weekends."""
    trial = np.flatnonzero(lives.trial < period.end)
    subscriptions = lives.subscriptions
    trial_ends = np.minimum(lives.trial[trial] + TRIAL_DAYS * MS_PER_DAY, lives.gives_up[trial])
    person = np.concatenate([trial, subscriptions.person])
    since = np.concatenate([lives.trial[trial], subscriptions.starts]) + HOUR
    until = np.minimum(np.concatenate([trial_ends, subscriptions.ends]), period.end)
    is_trial = np.arange(len(person)) < len(trial)
    days = np.maximum(0, (until - since) / MS_PER_DAY)
    # Drawn at the rate of the busiest weekday, then thinned by the weekday's weight.
    rate = np.exp(-0.75 + 0.45 * people.engagement[person]) * np.where(is_trial, 1.25, 0.9)
    owner, _ = spread(rng.poisson(np.minimum(rate, 2.5) * days))
    spent = rng.random(len(owner)) ** np.where(is_trial[owner], 1.35, 1.0)
    offset = people.offset[person[owner]]
    at = local_moment(rng, day_ms=since[owner] + (spent * (until - since)[owner]).astype(np.int64), offset=offset)
    keep = rng.random(len(at)) < WEEKDAY_WEIGHTS[weekday(at + offset)] / WEEKDAY_WEIGHTS.max()
    keep &= (at > since[owner]) & (at < until[owner])
    return person[owner][keep], at[keep], is_trial[owner][keep]


def _play_reading(sheet: _Sheet, *, person: np.ndarray, at: np.ndarray) -> None:
    """Customers read docs, blog and newsletters, logged in most of the time."""
    rng = sheet.rng
    touch = rng.choice([words.DIRECT, words.NEWSLETTER, words.ORGANIC], len(person), p=[0.5, 0.35, 0.15])
    session = sheet.open(person=person, at=at, touch=touch, in_app=False)
    first = np.where(rng.random(len(person)) < 0.6, words.DOCS, words.BLOG)
    sheet.walk(
        session, at=at, counts=1 + rng.poisson(1.2, len(person)), first=first, is_known=rng.random(len(person)) < 0.75
    )


def _play_checkouts(sheet: _Sheet, *, lives: Lives) -> None:
    """Pricing page, checkout, form errors, and the subscription when it succeeds."""
    rng = sheet.rng
    person, at, plan = lives.attempt_person, lives.attempt_at, lives.attempt_plan
    session = sheet.open(person=person, at=at, touch=words.DIRECT, in_app=False)
    sheet.add(session, at=at - 50_000, page=words.PRICING, is_landing=True, kind=PAGE)
    sheet.add(
        session,
        at=at,
        name="Checkout Started",
        properties={"plan": text(pick([p.name for p in words.PLANS], plan)), "step": '"details"'},
    )
    stumbles = rng.random(len(person)) < np.where(lives.attempt_in_incident, FORM_ERROR_IN_INCIDENT, FORM_ERROR)
    error = rng.integers(0, len(words.CHECKOUT_ERRORS), len(person))
    error = np.where(lives.attempt_in_incident, len(words.CHECKOUT_ERRORS), error)[stumbles]
    errors = [*words.CHECKOUT_ERRORS, words.INCIDENT_ERROR]
    sheet.add(
        session[stumbles],
        at=at[stumbles] + rng.integers(15_000, 50_000, int(stumbles.sum())),
        name="Form Error",
        properties={
            "form": '"checkout"',
            "step": '"payment"',
            "error_code": text(pick([e[0] for e in errors], error)),
            "error_message": text(pick([e[1] for e in errors], error)),
        },
    )
    subscriptions = lives.subscriptions
    won = session[_attempt_of(lives)]
    sheet.add(
        won,
        at=subscriptions.starts,
        name="Subscription Started",
        properties={
            "plan": text(pick([p.name for p in words.PLANS], subscriptions.plan)),
            "invoice_id": text(subscriptions.first_invoice_id),
            "subscription_id": text(subscriptions.subscription_id),
            "revenue": plain(np.array([p.cents for p in words.PLANS])[subscriptions.plan] // 100),
            "currency": '"USD"',
        },
    )
    sheet.add(won, at=subscriptions.starts + 2_500, page=words.WELCOME, kind=PAGE)


def _attempt_of(lives: Lives) -> np.ndarray:
    """Which attempt each subscription came from: the person's only successful one."""
    won = np.flatnonzero(lives.attempt_converts)
    order = won[np.argsort(lives.attempt_person[won], kind="stable")]
    return order[np.searchsorted(lives.attempt_person[order], lives.subscriptions.person)]


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
    session = sheet.open(person=person, at=at, touch=words.DIRECT, in_app=True)
    reason = sheet.rng.integers(0, len(words.CANCEL_REASONS), len(person))
    sheet.add(session, at=at, name=name, properties={"reason": text(pick(words.CANCEL_REASONS, reason)), **more})


def _choose_devices(
    rng: np.random.Generator, *, person: np.ndarray, in_app: np.ndarray, devices: Devices
) -> np.ndarray:
    """People prefer their first device; the app only for work, never for reading or paying."""
    first, last = devices.first[person], devices.first[person + 1]
    pair = first + (rng.random(len(person)) ** 1.8 * (last - first)).astype(np.int64)
    device = devices.pair_device[pair]
    return np.where(devices.is_app[device] & ~in_app, devices.pair_device[first], device)


def _delivered(sheet: _Sheet, *, seed: int, devices: Devices, period: Period) -> Events:
    """Choose devices, add log-ins and robots, and what a session's delivery will suffer."""
    rng = stream(seed, "delivery")
    session = {k: np.concatenate([s[k] for s in sheet.sessions]) for k in sheet.sessions[0]}
    device = _choose_devices(rng, person=session["person"], in_app=session["in_app"], devices=devices)
    _add_logins(sheet, session=session, device=device, devices=devices)
    robots = _add_robots(sheet, rng=rng, period=period)
    event = {k: np.concatenate([e[k] for e in sheet.events]) for k in sheet.events[0]}
    properties = pa.concat_arrays(sheet.properties)
    within = np.flatnonzero((event["at"] >= period.start) & (event["at"] < period.end))
    order = within[np.argsort(event["at"][within], kind="stable")]
    humans = len(device)
    total = humans + len(robots)
    late = np.zeros(total, np.int64)
    is_late = rng.random(humans) < LATE_SESSION_SHARE
    late[:humans] = np.where(is_late, (0.55 + np.minimum(rng.exponential(1.6, humans), 8)) * MS_PER_DAY, 0)
    pad = np.full(len(robots), -1)
    return Events(
        **{k: v[order] for k, v in event.items()},
        properties=properties.take(pa.array(order)),
        session_person=np.concatenate([session["person"], pad]),
        session_device=np.concatenate([device, pad]),
        session_touch=np.concatenate([session["touch"], pad + 1 + words.DIRECT]),
        session_late=late,
        session_no_agent=np.append(rng.random(humans) < NO_USER_AGENT_SHARE, np.zeros(len(robots), bool)),
        session_robot=np.concatenate([np.full(humans, -1), robots]),
    )


def _add_logins(sheet: _Sheet, *, session: dict[str, np.ndarray], device: np.ndarray, devices: Devices) -> None:
    """Identify people the first time they work on a device, and every time on a shared one."""
    works = np.flatnonzero(session["in_app"])
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
