"""What becomes of people: visits, sign-ups, trials, payments, contacts and partings, week by week, by the laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dagster_project.demo import laws, words
from dagster_project.demo.files import MS_PER_DAY, ids, spread, stream
from dagster_project.demo.people import HOUR, NEVER, WEEK, Devices, People, Period, local_hour, local_moment, season

MINUTE = 60_000
MONTHS_AHEAD = 60
# Weeks lived before the first export, so that the levels have settled by then.
WARM_UP_WEEKS = 4
TICKET, CALL, CHAT = range(3)
TRIAL, PAYING, GONE = 1, 2, 3
RETURN_SHARE, RETURN_APPROVED_SHARE = 0.05, 0.78
# Somebody whose checkout broke asks for help at once.
BROKEN_CONTACT_SHARE = 0.35

# Why a checkout is left, as it can be seen: at once after the price, after many errors, after a long pause, to compare.
PRICE, TROUBLE, PAUSE, COMPARING, BROKEN = range(5)
ABANDONMENTS = ("price shock", "form trouble", "distracted", "comparing", "broken form")
ABANDONMENT_SHARES = np.array([0.32, 0.25, 0.23, 0.20])
RELEASES = ("4.0.0", "4.1.0", "4.2.0", "4.2.1")
BROKEN_RELEASE = 2
BROKEN_OS = "Android"


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """When the app was released and what goes wrong on purpose: (start, end) in UTC milliseconds, None if not planted.

    ``broken``: the checkout form of one version of the app; ``confused``: the import step of the onboarding;
    ``launch``: a campaign that brings many people at once. ``releases`` are the instants of RELEASES.
    """

    broken: tuple[int, int] | None
    confused: tuple[int, int] | None
    launch: tuple[int, int] | None
    releases: np.ndarray


def make_calendar(period: Period, *, planted: bool) -> Calendar:
    """Plan releases and incidents: the checkout broken for the three weeks that end 8 days before the last day.

    Parameters
    ----------
    period : Period
        The days covered.
    planted : bool
        Whether anything goes wrong; the releases come all the same.
    """
    last_day = period.end - MS_PER_DAY
    broken = (last_day - 29 * MS_PER_DAY, last_day - 8 * MS_PER_DAY)
    confused = (period.start + int(period.days * 0.55) * MS_PER_DAY, period.end)
    launch_from = period.start + int(period.days * 0.32) * MS_PER_DAY
    launch = (launch_from, launch_from + 10 * MS_PER_DAY)
    releases = np.array([-NEVER, period.start + period.days // 4 * MS_PER_DAY, broken[0] - 12 * MS_PER_DAY, broken[1]])
    if not planted:
        return Calendar(broken=None, confused=None, launch=None, releases=releases)
    return Calendar(broken=broken, confused=confused, launch=launch, releases=releases)


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
class Attempts:
    """One row per checkout. ``item`` is a plan or (``is_pack``) a pack; ``left`` is why it failed, -1 if it did not.

    ``return_at``: when the money was asked back (NEVER), ``return_ok``: whether it was given.
    """

    person: np.ndarray
    at: np.ndarray
    is_pack: np.ndarray
    item: np.ndarray
    device: np.ndarray
    succeeds: np.ndarray
    left: np.ndarray
    paid_at: np.ndarray
    return_at: np.ndarray
    return_ok: np.ndarray
    order_id: pa.Array


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What a Monday knows: one row per person with an account and Monday, before anything of the week happens.

    ``level`` and ``contacted`` are those of the week before; ``touch`` is -1 while it is still to come.
    """

    person: np.ndarray
    monday: np.ndarray
    phase: np.ndarray
    level: np.ndarray
    age: np.ndarray
    touch: np.ndarray
    contacted: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Lives:
    """Turning points of each person; NEVER where it did not happen.

    ``levels`` has a row per week of ``mondays`` and a column per person, -1 where there is no account.
    """

    signs_up: np.ndarray
    gives_up: np.ndarray
    is_stuck: np.ndarray
    lift: np.ndarray
    visit_person: np.ndarray
    visit_at: np.ndarray
    mondays: np.ndarray
    levels: np.ndarray
    active_until: np.ndarray
    touch_person: np.ndarray
    touch_kind: np.ndarray
    touch_at: np.ndarray
    contact_person: np.ndarray
    contact_at: np.ndarray
    contact_kind: np.ndarray
    contact_is_trial: np.ndarray
    contact_is_broken: np.ndarray
    attempts: Attempts
    subscriptions: Subscriptions
    panel: Panel


def add_months(ms: np.ndarray, months: np.ndarray) -> np.ndarray:
    """The same time of day some calendar months later; the 31st becomes the month's last day."""
    day = (ms // MS_PER_DAY).astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    target = month + np.asarray(months)
    length = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(np.int64)
    in_month = np.minimum((day - month.astype("datetime64[D]")).astype(np.int64), length - 1)
    return (target.astype("datetime64[D]").astype(np.int64) + in_month) * MS_PER_DAY + ms % MS_PER_DAY


def app_release(devices: Devices, device: np.ndarray, at: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Which of RELEASES a device with the app has at an instant."""
    return np.searchsorted(calendar.releases, at - devices.update_lag[device], side="right").clip(1) - 1


def within(interval: tuple[int, int] | None, at: np.ndarray) -> np.ndarray:
    """Whether instants lie in an interval; never if there is none."""
    return np.zeros(len(at), bool) if interval is None else (at >= interval[0]) & (at < interval[1])


def is_broken(devices: Devices, device: np.ndarray, at: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Whether a checkout on this device at this instant meets the broken form."""
    os_of = np.array([m.os for m in words.DEVICE_MODELS])[devices.model[device]]
    on_release = app_release(devices, device, at, calendar) == BROKEN_RELEASE
    return within(calendar.broken, at) & devices.is_app[device] & (os_of == BROKEN_OS) & on_release


def _visits(rng: np.random.Generator, people: People) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visits before sign-up, and when people sign up: with the last of them. The established came long before."""
    count = len(people)
    lift = np.array([t.lift for t in words.TOUCHES])[people.touch]
    joins = people.is_established | (rng.random(count) < laws.chance(1.5 + lift))
    visits = np.minimum(rng.geometric(np.where(joins, 0.42, 0.6), count), 7)
    person, place = spread(visits)
    gap = np.where(place == 0, 0, np.maximum(0.5, rng.lognormal(0.6, 0.8, len(place)))) * MS_PER_DAY
    since_first = np.cumsum(gap) - np.repeat(np.cumsum(gap)[np.cumsum(visits) - visits], visits)
    at = people.arrives[person] + since_first.astype(np.int64)
    evening = np.array([t.evening for t in words.JOURNEY_TYPES])[people.journey_type]
    moment = local_moment(rng, day_ms=at, offset=people.offset[person], evening=evening[person])
    at = np.where(place == 0, at, np.maximum(moment, people.arrives[person] + 40 * MINUTE))
    order = np.lexsort((at, person))
    at = at[order]
    last = np.cumsum(visits) - 1
    return person, at, np.where(joins, at[last] + rng.integers(6 * MINUTE, 20 * MINUTE, count), NEVER)


class _Weeks:
    """Everyone's state from week to week, and what happened."""

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        people: People,
        devices: Devices,
        period: Period,
        calendar: Calendar,
        signs_up: np.ndarray,
    ) -> None:
        count = len(people)
        self.rng, self.people, self.devices, self.period, self.calendar = rng, people, devices, period, calendar
        self.signs_up = signs_up
        self.lift = np.clip(np.array([t.lift for t in words.TOUCHES])[people.touch], -1, 1)
        shown = np.where(within(calendar.confused, signs_up), laws.CONFUSED_IMPORT_DONE, laws.IMPORT_DONE)
        self.is_stuck = rng.random(count) >= shown
        self.evening = np.array([t.evening for t in words.JOURNEY_TYPES])[people.journey_type]
        self.plan = rng.choice(len(words.PLANS), count, p=[p.share for p in words.PLANS])
        self.phase = np.where(people.is_established, PAYING, 0).astype(np.int8)
        self.level = rng.choice(3, count, p=_settled(laws.PAYING_LEVELS)).astype(np.int8)
        self.age = np.zeros(count, np.int64)
        self.touch = np.full(count, -1, np.int8)
        self.contacted = np.zeros(count, bool)
        self.gives_up = np.full(count, NEVER)
        self.cancels = np.full(count, NEVER)
        # Of the established, when the subscription began; the month that cannot be paid is drawn with it.
        tenure = (rng.uniform(20, 700, count) * MS_PER_DAY).astype(np.int64)
        self.paid_from = np.where(people.is_established, period.start - tenure, NEVER)
        self.fails_in = np.zeros(count, np.int64)
        self._draw_failure(np.flatnonzero(people.is_established))
        self.events: dict[str, list[dict[str, np.ndarray]]] = {}

    def _draw_failure(self, person: np.ndarray) -> None:
        """In which month the card fails for good: not before the exports begin."""
        start = self.paid_from[person]
        past = np.maximum(0, (self.period.start - start) // (28 * MS_PER_DAY) + 1)
        self.fails_in[person] = np.minimum(past + self.rng.geometric(laws.UNPAID, len(person)), MONTHS_AHEAD * 10)

    def given_up(self, person: np.ndarray) -> np.ndarray:
        """When a subscription ends because its card failed for good."""
        return add_months(self.paid_from[person], self.fails_in[person]) + 7 * MS_PER_DAY

    def note(self, what: str, **columns: np.ndarray) -> None:
        """Write down something that happened."""
        self.events.setdefault(what, []).append(columns)

    def told(self, what: str, column: str) -> np.ndarray:
        """A column of all that was written down."""
        return np.concatenate([rows[column] for rows in self.events[what]])

    def moment(self, person: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
        """A likely hour of a local day, between two instants."""
        day = lo + (self.rng.random(len(person)) * (hi - lo)).astype(np.int64)
        offset = self.people.offset[person]
        at = (day + offset) // MS_PER_DAY * MS_PER_DAY + local_hour(self.rng, self.evening[person]) - offset
        return np.where((at >= lo) & (at < hi), at, day)

    def live(self, monday: int) -> np.ndarray:
        """Live one week; returns everyone's level in it."""
        joins = np.flatnonzero((self.signs_up >= monday) & (self.signs_up < monday + WEEK) & (self.phase == 0))
        on_trial, paying = np.flatnonzero(self.phase == TRIAL), np.flatnonzero(self.phase == PAYING)
        failing = paying[self.given_up(paying) <= monday]
        self.phase[failing] = GONE
        paying = paying[self.phase[paying] == PAYING]
        self._record(np.concatenate([on_trial, paying]), monday)
        self._touch(on_trial[self.age[on_trial] == 1], monday)
        self.phase[joins] = TRIAL
        self.level[joins] = laws.LIGHT
        trial = np.concatenate([on_trial, joins])
        converts = self._try_plan(trial, monday)
        leaves = self._leave(trial[~np.isin(trial, converts)], monday)
        quits = self._quit(paying, monday)
        before = self.level.copy()
        self._move_levels(trial, joins, paying, monday)
        self.contacted[:] = False
        self._ask(trial, laws.TRIAL_CONTACT, monday, is_trial=True)
        self._ask(paying, laws.PAYING_CONTACT, monday, is_trial=False)
        self._buy_packs(paying, before, monday)
        levels = np.where((self.phase == TRIAL) | (self.phase == PAYING), self.level, -1).astype(np.int8)
        self.phase[converts] = PAYING
        self.phase[np.concatenate([leaves, quits])] = GONE
        self.age[trial] += 1
        self.phase[trial[(self.age[trial] >= laws.TRIAL_WEEKS) & (self.phase[trial] == TRIAL)]] = GONE
        return levels

    def _record(self, person: np.ndarray, monday: int) -> None:
        self.note(
            "panel",
            person=person,
            monday=np.full(len(person), monday),
            phase=self.phase[person],
            level=self.level[person],
            age=self.age[person],
            touch=self.touch[person],
            contacted=self.contacted[person],
        )

    def _touch(self, person: np.ndarray, monday: int) -> None:
        """On Monday or Tuesday of the first full week a call, a webinar or nothing reaches those on trial."""
        call, webinar = laws.TOUCH_CHANCES[self.level[person]].T
        luck = self.rng.random(len(person))
        touch = np.where(
            luck < call, laws.ONBOARDING_CALL, np.where(luck < call + webinar, laws.WEBINAR, laws.NO_TOUCH)
        )
        self.touch[person] = touch
        reached, kind = person[touch > 0], touch[touch > 0]
        lo = np.full(len(reached), monday + HOUR)
        self.note("touch", person=reached, kind=kind, at=self.moment(reached, lo, lo + 46 * HOUR))

    def _try_plan(self, person: np.ndarray, monday: int) -> np.ndarray:
        """Checkouts of plans; returns who pays. They come after the week's call or webinar."""
        rng, age = self.rng, self.age[person]
        wants = laws.wants_plan(
            level=self.level[person],
            age=age,
            touch=self.touch[person],
            is_stuck=self.is_stuck[person],
            lift=self.lift[person],
        )
        wanting = rng.random(len(person)) < wants
        person, age = person[wanting], age[wanting]
        lo = np.where(age == 0, self.signs_up[person] + 15 * MINUTE, monday + np.where(age == 1, 2 * MS_PER_DAY, HOUR))
        hi = np.where(
            age == 0, np.maximum(monday + WEEK - 2 * MINUTE, lo + MINUTE), monday + WEEK - 7 * MS_PER_DAY // 4
        )
        at = self.moment(person, lo, hi)
        wins = rng.random(len(person)) < laws.CHECKOUT_SUCCESS
        again = ~wins & (rng.random(len(person)) < laws.PLAN_RETRY)
        pause = (rng.uniform(1.05, 1.7, int(again.sum())) * MS_PER_DAY).astype(np.int64)
        wins_again = rng.random(int(again.sum())) < laws.CHECKOUT_SUCCESS
        device = self._web_device(np.concatenate([person, person[again]]))
        self._attempt(
            person=np.concatenate([person, person[again]]),
            at=np.concatenate([at, at[again] + pause]),
            device=device,
            succeeds=np.concatenate([wins, wins_again]),
            item=self.plan[np.concatenate([person, person[again]])],
            is_pack=False,
        )
        payer = np.concatenate([person[wins], person[again][wins_again]])
        paid = np.concatenate([at[wins], (at[again] + pause)[wins_again]])
        self.paid_from[payer] = paid + 3 * MINUTE
        self._draw_failure(payer)
        return payer

    def _web_device(self, person: np.ndarray) -> np.ndarray:
        return choose_device(self.rng, person=person, in_app=np.zeros(len(person), bool), devices=self.devices)

    def _attempt(
        self,
        *,
        person: np.ndarray,
        at: np.ndarray,
        device: np.ndarray,
        succeeds: np.ndarray,
        item: np.ndarray,
        is_pack: bool,
    ) -> None:
        size = len(person)
        left = laws.draw(self.rng, np.broadcast_to(ABANDONMENT_SHARES, (size, 4)))
        broken = is_broken(self.devices, device, at, self.calendar)
        back = is_pack & succeeds & (self.rng.random(size) < RETURN_SHARE)
        wait = (self.rng.uniform(1, 12, size) * MS_PER_DAY).astype(np.int64)
        self.note(
            "attempt",
            person=person,
            at=at,
            device=device,
            succeeds=succeeds,
            item=item,
            is_pack=np.full(size, is_pack),
            left=np.where(succeeds, -1, np.where(broken, BROKEN, left)),
            paid_at=np.where(succeeds, at + self.rng.integers(150_000, 210_000, size), NEVER),
            return_at=np.where(back, at + wait, NEVER),
            return_ok=self.rng.random(size) < RETURN_APPROVED_SHARE,
        )

    def _leave(self, person: np.ndarray, monday: int) -> np.ndarray:
        """Trials given up; returns whose."""
        chance = laws.gives_up(level=self.level[person], age=self.age[person])
        person = person[self.rng.random(len(person)) < chance]
        # After the last checkout of the week, whatever came of it.
        last = np.full(len(self.phase), monday)
        attempts = self.events["attempt"][-1]
        np.maximum.at(last, attempts["person"], attempts["at"] + 30 * MINUTE)
        lo = np.maximum(last[person], np.where(self.age[person] == 0, self.signs_up[person] + HOUR, monday))
        self.gives_up[person] = self.moment(person, lo, np.maximum(lo + MINUTE, np.full(len(person), monday + WEEK)))
        return person

    def _quit(self, person: np.ndarray, monday: int) -> np.ndarray:
        """Cancellations of those who pay; returns whose."""
        chance = laws.cancels(level=self.level[person], contacted=self.contacted[person])
        quitting = self.rng.random(len(person)) < chance
        person, chance = person[quitting], chance[quitting]
        share = laws.part_of_week(chance, self.rng.random(len(person)))
        self.cancels[person] = monday + (share * WEEK).astype(np.int64)
        return person

    def _move_levels(self, trial: np.ndarray, joins: np.ndarray, paying: np.ndarray, monday: int) -> None:
        self.level[trial] = laws.draw(self.rng, laws.TRIAL_LEVELS[self.level[trial]])
        self.level[paying] = laws.draw(self.rng, laws.PAYING_LEVELS[self.level[paying]])
        first = laws.draw(self.rng, np.broadcast_to(laws.FIRST_LEVELS, (len(joins), 3)))
        has_room = monday + WEEK - self.signs_up[joins] > 36 * HOUR
        self.level[joins] = np.where(has_room, first, laws.DORMANT)

    def _ask(self, person: np.ndarray, chances: np.ndarray, monday: int, *, is_trial: bool) -> None:
        """Who asks for help this week, and by what means."""
        asking = person[self.rng.random(len(person)) < chances[self.level[person]]]
        lo = np.maximum(monday, np.where(self.signs_up[asking] < monday + WEEK, self.signs_up[asking] + HOUR, monday))
        lo = np.minimum(lo, monday + WEEK - HOUR)
        self._contact(asking, self.moment(asking, lo, np.full(len(asking), monday + WEEK)), is_trial=is_trial)

    def _contact(self, person: np.ndarray, at: np.ndarray, *, is_trial: bool, is_broken: bool = False) -> None:
        self.contacted[person] = True
        shares = np.array([t.contacts for t in words.JOURNEY_TYPES])[self.people.journey_type[person]]
        self.note(
            "contact",
            person=person,
            at=at,
            kind=laws.draw(self.rng, shares),
            is_trial=np.full(len(person), is_trial),
            is_broken=np.full(len(person), is_broken),
        )

    def _buy_packs(self, paying: np.ndarray, before: np.ndarray, monday: int) -> None:
        """Checkouts of packs: how many depends on the level of the week before; some who fail try again."""
        rng = self.rng
        expected = laws.PACKS[before[paying]] * season(np.array(monday + WEEK // 2))
        owner, _ = spread(rng.poisson(expected))
        person = paying[owner]
        lo = np.full(len(person), monday)
        at = self.moment(person, lo, lo + WEEK)
        known = at < np.minimum(self.cancels[person], self.given_up(person))
        person, at = person[known], at[known]
        app = self.devices.app[person]
        share = np.array([0.6, 0.6, 0.9, 0.6, 0.55])[self.people.journey_type[person]]
        in_app = (app >= 0) & (rng.random(len(person)) < share)
        device = np.where(in_app, app, self._web_device(person))
        item = rng.choice(len(words.PACKS), len(person), p=[p.share for p in words.PACKS])
        wins = self._wins(device, at)
        broken = is_broken(self.devices, device, at, self.calendar)
        asks = ~wins & broken & (rng.random(len(person)) < BROKEN_CONTACT_SHARE)
        self._attempt(person=person, at=at, device=device, succeeds=wins, item=item, is_pack=True)
        self._contact(
            person[asks],
            at[asks] + rng.integers(10 * MINUTE, 3 * HOUR, int(asks.sum())),
            is_trial=False,
            is_broken=True,
        )
        again = ~wins & (rng.random(len(person)) < laws.PACK_RETRY)
        later = at[again] + (rng.uniform(1.05, 3, int(again.sum())) * MS_PER_DAY).astype(np.int64)
        self._attempt(
            person=person[again],
            at=later,
            device=device[again],
            succeeds=self._wins(device[again], later),
            item=item[again],
            is_pack=True,
        )

    def _wins(self, device: np.ndarray, at: np.ndarray) -> np.ndarray:
        broken = is_broken(self.devices, device, at, self.calendar)
        chance = np.where(broken, laws.BROKEN_CHECKOUT_SUCCESS, laws.CHECKOUT_SUCCESS)
        return self.rng.random(len(at)) < chance


def _settled(levels: np.ndarray) -> np.ndarray:
    """Stationary distribution of the levels."""
    return np.linalg.matrix_power(levels, 64)[0]


def choose_device(rng: np.random.Generator, *, person: np.ndarray, in_app: np.ndarray, devices: Devices) -> np.ndarray:
    """The app where people want it and have it; else one of their other devices, mostly the first."""
    first, last = devices.first[person], devices.first[person + 1]
    pair = first + (rng.random(len(person)) ** 1.8 * (last - first)).astype(np.int64)
    device = devices.pair_device[pair]
    device = np.where(devices.is_app[device], devices.pair_device[first], device)
    return np.where(in_app & (devices.app[person] >= 0), devices.app[person], device)


def make_lives(*, seed: int, people: People, devices: Devices, period: Period, calendar: Calendar, block: int) -> Lives:
    """Draw everyone's life.

    Parameters
    ----------
    seed, block : int
        Decide the random numbers.
    people, devices : People, Devices
        Who lives.
    period : Period
        The days covered.
    calendar : Calendar
        Releases and what goes wrong.
    """
    rng = stream(seed, "lives", block)
    visit_person, visit_at, signs_up = _visits(rng, people)
    weeks = _Weeks(rng, people=people, devices=devices, period=period, calendar=calendar, signs_up=signs_up)
    mondays = period.mondays(before=WARM_UP_WEEKS)
    levels = np.stack([weeks.live(int(monday)) for monday in mondays])
    attempts = {name: weeks.told("attempt", name) for name in weeks.events["attempt"][0]}
    order = np.argsort(attempts["at"], kind="stable")
    attempts = {name: values[order] for name, values in attempts.items()}
    contact = {name: weeks.told("contact", name) for name in weeks.events["contact"][0]}
    order = np.argsort(contact["at"], kind="stable")
    return Lives(
        signs_up=signs_up,
        gives_up=weeks.gives_up,
        is_stuck=weeks.is_stuck,
        lift=weeks.lift,
        visit_person=visit_person,
        visit_at=visit_at,
        mondays=mondays,
        levels=levels,
        active_until=np.minimum(weeks.gives_up, weeks.cancels),
        touch_person=weeks.told("touch", "person"),
        touch_kind=weeks.told("touch", "kind"),
        touch_at=weeks.told("touch", "at"),
        **{f"contact_{name}": values[order] for name, values in contact.items()},
        attempts=Attempts(**attempts, order_id=ids(rng, "ord_", len(attempts["at"]), length=16)),
        subscriptions=_subscriptions(rng, weeks),
        panel=Panel(**{name: weeks.told("panel", name) for name in weeks.events["panel"][0]}),
    )


def _subscriptions(rng: np.random.Generator, weeks: _Weeks) -> Subscriptions:
    """Months paid until people cancel, or until a card fails for good."""
    person = np.flatnonzero(weeks.paid_from < weeks.period.end)
    starts, cancels = weeks.paid_from[person], weeks.cancels[person]
    failure = add_months(starts, weeks.fails_in[person])
    is_unpaid = failure < cancels
    asked = np.minimum(cancels, weeks.period.end + 400 * MS_PER_DAY)
    months = np.clip((asked - starts) // (28 * MS_PER_DAY) + 1, 1, None)
    # A month has at least 28 days: step back to the month in which the end was asked for.
    for _ in range(6):
        months = np.where((months > 1) & (add_months(starts, months - 1) > asked), months - 1, months)
    months = np.where(is_unpaid, weeks.fails_in[person], months)
    count = len(person)
    return Subscriptions(
        person=person,
        plan=weeks.plan[person],
        starts=starts,
        cancels=np.where(is_unpaid, NEVER, cancels),
        ends=np.where(is_unpaid, failure + 7 * MS_PER_DAY, add_months(starts, months)),
        paid_months=months,
        is_unpaid=is_unpaid,
        customer_id=ids(rng, "cus_", count, length=14),
        subscription_id=ids(rng, "sub_1", count),
        first_invoice_id=ids(rng, "in_1", count),
    )
