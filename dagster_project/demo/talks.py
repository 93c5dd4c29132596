"""Calls and chats: what was said in them, by the call centre's daily export and the chat widget's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dagster_project.demo import laws, words
from dagster_project.demo.crm import contact_ids
from dagster_project.demo.files import (
    MS_PER_DAY,
    Exports,
    Json,
    clock,
    csv_lines,
    glue,
    instant,
    listed,
    pick,
    plain,
    record,
    text,
    where,
    write_rows,
)
from dagster_project.demo.life import CALL, CHAT, MINUTE, choose_device
from dagster_project.demo.people import HOUR, NEVER, local_moment, weekday
from dagster_project.demo.segment import APP_SITE, SITE
from dagster_project.demo.speech import (
    BILLING,
    CANCELLATION,
    EASE,
    FEATURE_REQUEST,
    HELPED,
    HOW_TO,
    IMPORT,
    MIXED,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    PRICING,
    SUPPORT,
    THEME_NAMES,
    UNHELPED,
    WAITING,
    WRONG_RATING_SHARE,
    Planned,
    Speech,
    about,
    contact_themes,
    draw_moods,
    spelt_phone,
    typed,
)
from dagster_project.demo.world import World, Written

IDS_PER_BLOCK = 10_000_000
CALL_COLUMNS = (
    "Call ID",
    "Direction",
    "Customer Number",
    "Customer Name",
    "CRM Contact ID",
    "Queue",
    "Agent",
    "Reason",
    "Started At",
    "Answered At",
    "Ended At",
    "Wait Seconds",
    "Talk Seconds",
    "Disposition",
    "Transcript",
)
# Calls that nobody with an account made, and calls that were given up shortly before the same person called again.
SALES_SHARE, GIVEN_UP_SHARE = 0.025, 0.025
WITHHELD_SHARE = 0.10
# Agents look callers up in the CRM, mostly when no number is shown; 70 % of all calls name a contact.
LOOKED_UP_SHARE, LOOKED_UP_UNSHOWN_SHARE = 0.40, 0.87
NO_TRANSCRIPT_SHARE, LATE_TRANSCRIPT_SHARE = 0.07, 0.05
LATE_SHARE = 0.03
# How a contact ends by its mood: shares of OUTCOMES.
ENDINGS = np.array([[0.92, 0.02, 0.06], [0.50, 0.30, 0.20], [0.70, 0.12, 0.18], [0.80, 0.06, 0.14]])

CONTACT, GIVEN_UP, ONBOARDING, SALES = range(4)
REASONS = ("support", "billing", "cancellation", "onboarding", "sales")
QUEUES = ("Support", "Billing", "Retention", "Onboarding", "Sales")

HANDED_OVER_SHARE, MISSED_SHARE = 0.60, 0.04
LOGGED_IN_SHARE, TOLD_EMAIL_SHARE = 0.75, 0.45
CHAT_RATED_SHARE, LATE_RATING_SHARE = 0.35, 0.04


@dataclass(frozen=True, kw_only=True)
class _Calls:
    """One row per call, in order of time, before anything is said; ``answered`` is NEVER where nobody did."""

    person: np.ndarray
    kind: np.ndarray
    theme: np.ndarray
    mood: np.ndarray
    outcome: np.ndarray
    is_inbound: np.ndarray
    agent: np.ndarray
    started: np.ndarray
    answered: np.ndarray
    ended: np.ndarray
    known: np.ndarray
    has_transcript: np.ndarray


def _calls(world: World) -> _Calls:
    """Say who talks to whom, when, about what and how it ends."""
    rng, lives, period = world.stream("calls plan"), world.lives, world.period
    contact = np.flatnonzero(
        (lives.contact_kind == CALL) & (lives.contact_at >= period.start) & (lives.contact_at < period.end)
    )
    who, at = lives.contact_person[contact], lives.contact_at[contact]
    themes = contact_themes(rng, world, contact)
    again, before = _given_up(rng, world, who, at)
    touch = np.flatnonzero((lives.touch_kind == laws.ONBOARDING_CALL) & (lives.touch_at >= period.start))
    called = lives.touch_person[touch]
    stuck = lives.is_stuck[called] & (rng.random(len(called)) < 0.7)
    taught = np.where(stuck, IMPORT, rng.choice([HOW_TO, IMPORT, FEATURE_REQUEST], len(called), p=[0.7, 0.15, 0.15]))
    asking, asked = _asking_for_prices(rng, world, round(SALES_SHARE * (len(who) + len(touch))))
    kinds = [CONTACT, GIVEN_UP, ONBOARDING, SALES]
    kind = np.repeat(kinds, [len(who), len(again), len(called), len(asking)])
    person = np.concatenate([who, who[again], called, asking])
    started = np.concatenate([at, before, lives.touch_at[touch], asked])
    priced = rng.choice([PRICING, EASE, SUPPORT], len(asking), p=[0.8, 0.12, 0.08])
    theme = np.concatenate([themes, themes[again], taught, priced])
    count = len(person)
    is_inbound = np.select([kind == ONBOARDING, kind == SALES], [False, rng.random(count) < 0.6], True)
    mood = draw_moods(rng, theme)
    outcome = np.where(kind == ONBOARDING, HELPED, laws.draw(rng, ENDINGS[mood]))
    waits = np.where(is_inbound, rng.exponential(75_000, count), rng.uniform(3_000, 25_000, count)).astype(np.int64)
    minutes = np.select([kind == ONBOARDING, kind == SALES], [17.0, 8.0], 5.5)
    talks = (rng.lognormal(np.log(minutes), 0.5) * MINUTE).astype(np.int64) + 20_000
    is_message = (kind == GIVEN_UP) & (rng.random(count) < 0.4)
    gave_up = kind == GIVEN_UP
    started = started // 1000 * 1000
    answered = np.where(gave_up, NEVER, started + waits // 1000 * 1000)
    ended = np.where(gave_up, started + np.maximum(waits // 1000 * 1000, 15_000), answered + talks // 1000 * 1000)
    late = np.where(rng.random(count) < LATE_SHARE, rng.integers(MS_PER_DAY, 4 * MS_PER_DAY, count), 0)
    order = np.argsort(started, kind="stable")
    order = order[ended[order] < period.end]
    return _Calls(
        person=person[order],
        kind=kind[order],
        theme=theme[order],
        mood=mood[order],
        outcome=outcome[order],
        is_inbound=is_inbound[order],
        agent=rng.integers(0, len(words.AGENTS), count)[order],
        started=started[order],
        answered=answered[order],
        ended=ended[order],
        known=(ended + late)[order],
        has_transcript=np.where(gave_up, is_message, rng.random(count) >= NO_TRANSCRIPT_SHARE)[order],
    )


def _given_up(
    rng: np.random.Generator, world: World, person: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which callers had given up a call shortly before, and when: on the same day, so that the week is the same."""
    before = at - rng.integers(3 * MINUTE, 40 * MINUTE, len(at))
    again = rng.random(len(at)) < GIVEN_UP_SHARE
    again &= (before // MS_PER_DAY == at // MS_PER_DAY) & (before > world.lives.signs_up[person])
    return np.flatnonzero(again), before[again]


def _asking_for_prices(rng: np.random.Generator, world: World, count: int) -> tuple[np.ndarray, np.ndarray]:
    """People without an account, within days of their first visit."""
    people, lives, period = world.people, world.lives, world.period
    at = people.arrives + (rng.random(len(people)) * 2 * MS_PER_DAY).astype(np.int64)
    at = local_moment(rng, day_ms=at, offset=people.offset, evening=0.0)
    fits = (at >= people.arrives) & (at >= period.start) & (at + HOUR < lives.signs_up) & (weekday(at) < 5)
    person = rng.permutation(np.flatnonzero(fits))[:count]
    return person, at[person]


def plan_calls(world: World) -> Planned:
    """Calls of which the transcript is written, with the theme and the mood meant."""
    calls = _calls(world)
    told = calls.has_transcript & (calls.kind != GIVEN_UP) & (calls.known < world.period.end)
    return Planned(person=calls.person[told], at=calls.started[told], theme=calls.theme[told], mood=calls.mood[told])


def write_calls(world: World, exports: Exports) -> Written:
    """Write calls: a row for every call, a few again when their transcript is ready."""
    calls, rng, people = _calls(world), world.stream("calls"), world.people
    count, of = len(calls.person), pa.array(calls.person)
    withheld = rng.random(count) < np.where(calls.is_inbound, WITHHELD_SHARE, 0.0)
    phone = spelt_phone(rng, people.phone_at(calls.person, calls.started))
    shown = where(~withheld, phone)
    is_shown = shown.is_valid().to_numpy(zero_copy_only=False)
    has_account = world.lives.signs_up[calls.person] <= calls.started
    looked_up = rng.random(count) < np.where(is_shown, LOOKED_UP_SHARE, LOOKED_UP_UNSHOWN_SHARE)
    looked_up = has_account & np.select([~calls.is_inbound, calls.kind == GIVEN_UP], [True, False], looked_up)
    contact = where(looked_up, contact_ids(people.number[calls.person]))
    reason = np.select([calls.kind == ONBOARDING, calls.kind == SALES, calls.theme == BILLING], [3, 4, 1], 0)
    reason = np.where((reason == 0) & (calls.theme == CANCELLATION), 2, reason)
    is_named = looked_up | (rng.random(count) < 0.4)
    transcript = _transcripts(rng, calls, world=world)
    gave_up = calls.kind == GIVEN_UP
    disposition = pick(["resolved", "unresolved", "callback"], calls.outcome)
    left = where(calls.has_transcript, "voicemail", "abandoned")
    answered = np.where(gave_up, calls.ended, calls.answered)
    fields = {
        "Call ID": glue("CL-", plain(100_000 + world.block * IDS_PER_BLOCK + np.arange(count))),
        "Direction": where(calls.is_inbound, "inbound", "outbound"),
        "Customer Number": where(is_shown, shown, where(calls.is_inbound, "withheld")),
        "Customer Name": where(is_named & ~gave_up, people.name.take(of)),
        "CRM Contact ID": contact,
        "Queue": pick(QUEUES, reason),
        "Agent": where(~gave_up, pick(words.AGENTS, calls.agent)),
        "Reason": pick(REASONS, reason),
        "Started At": clock(calls.started, to="seconds"),
        "Answered At": where(~gave_up, clock(answered, to="seconds")),
        "Ended At": clock(calls.ended, to="seconds"),
        "Wait Seconds": plain((answered - calls.started) // 1000),
        "Talk Seconds": plain((calls.ended - answered) // 1000),
        "Disposition": where(gave_up, left, disposition),
    }
    # Some transcripts are ready on a later day: the call comes once without and once with it.
    later = np.flatnonzero(calls.has_transcript & (rng.random(count) < LATE_TRANSCRIPT_SHARE))
    ready = calls.known[later] + rng.integers(8 * HOUR, 40 * HOUR, len(later))
    is_early = np.isin(np.arange(count), later)
    whole = csv_lines({**fields, "Transcript": transcript})
    first = csv_lines({**fields, "Transcript": where(~is_early, transcript)})
    files = exports.open("calls", "calls", header=CALL_COLUMNS)
    lines, known = pa.concat_arrays([first, whole.take(pa.array(later))]), np.concatenate([calls.known, ready])
    write_rows(lines, at=known, start=world.period.start, end=world.period.end, rng=rng, files=files)
    told = calls.known < world.period.end
    named = [("phone", shown), ("hubspot_contact", contact)]
    return Written(
        rows={"calls/calls": files.rows},
        identifiers=[(kind, calls.person[told], values.filter(pa.array(told))) for kind, values in named],
    )


def _transcripts(rng: np.random.Generator, calls: _Calls, *, world: World) -> pa.Array:
    """What was said; null where it was not written down."""
    speech = about(
        rng,
        world,
        person=calls.person,
        at=calls.started,
        theme=calls.theme,
        mood=calls.mood,
        outcome=calls.outcome,
        agent=calls.agent,
    )
    order = np.argsort(calls.kind, kind="stable")
    said = [
        speech.say(rule, np.flatnonzero(calls.kind == kind))
        for kind, rule in enumerate(("call", "voicemail", "onboarding call", "sales call"))
    ]
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return where(calls.has_transcript, pa.concat_arrays(said).take(pa.array(back)))


@dataclass(frozen=True, kw_only=True)
class _Chats:
    """One row per conversation, in order of time, before anything is said."""

    person: np.ndarray
    theme: np.ndarray
    mood: np.ndarray
    outcome: np.ndarray
    agent: np.ndarray
    started: np.ndarray
    is_handed_over: np.ndarray
    is_missed: np.ndarray


def _chats(world: World) -> _Chats:
    rng, lives, period = world.stream("chat plan"), world.lives, world.period
    # A conversation that would not have ended by then is not written.
    last = period.end - HOUR
    contact = np.flatnonzero(
        (lives.contact_kind == CHAT) & (lives.contact_at >= period.start) & (lives.contact_at < last)
    )
    count = len(contact)
    theme = contact_themes(rng, world, contact)
    mood = draw_moods(rng, theme)
    is_handed_over = rng.random(count) < HANDED_OVER_SHARE
    is_missed = is_handed_over & (rng.random(count) < MISSED_SHARE)
    outcome = laws.draw(rng, ENDINGS[mood])
    # A bot promises nothing.
    outcome = np.where(~is_handed_over & (outcome == WAITING), HELPED, outcome)
    return _Chats(
        person=lives.contact_person[contact],
        theme=theme,
        mood=mood,
        outcome=np.where(is_missed, UNHELPED, outcome),
        agent=rng.integers(0, len(words.AGENTS), count),
        started=lives.contact_at[contact],
        is_handed_over=is_handed_over,
        is_missed=is_missed,
    )


def plan_chats(world: World) -> Planned:
    """Conversations with the theme and the mood meant."""
    chats = _chats(world)
    return Planned(person=chats.person, at=chats.started, theme=chats.theme, mood=chats.mood)


def write_chat(world: World, exports: Exports) -> Written:
    """Write conversations when they end, a few again when they are rated."""
    chats, rng, people, devices = _chats(world), world.stream("chat"), world.people, world.devices
    count, of = len(chats.person), pa.array(chats.person)
    device = choose_device(rng, person=chats.person, in_app=np.zeros(count, bool), devices=devices)
    visitor = devices.anonymous_id.take(pa.array(device))
    is_known = rng.random(count) < LOGGED_IN_SHARE
    gives_mail = ~is_known & (rng.random(count) < TOLD_EMAIL_SHARE)
    user_id, email = where(is_known, people.user_id.take(of)), where(gives_mail, people.email.take(of))
    messages, handed_over, ended = _messages(rng, chats, world=world)
    ended += rng.integers(20_000, 4 * MINUTE, count)
    rating = _chat_ratings(rng, chats)
    number = glue("chat_", plain(40_000 + world.block * IDS_PER_BLOCK + np.arange(count)))
    is_named = (is_known & (rng.random(count) < 0.8)) | gives_mail
    has_agent = chats.is_handed_over & ~chats.is_missed
    topic = where(rng.random(count) < 0.75, pick([f'"{name}"' for name in THEME_NAMES], chats.theme), "null")
    fields: dict[str, Json] = {
        "id": text(number),
        "started_at": instant(chats.started),
        "ended_at": instant(ended),
        "page_url": text(_pages(rng, is_known)),
        "visitor": record(
            {
                "anonymous_id": text(visitor),
                "user_id": _or_null(user_id),
                "email": _or_null(email),
                "name": _or_null(where(is_named, people.name.take(of))),
            }
        ),
        "agent_name": _or_null(where(has_agent, pick(words.AGENTS, chats.agent))),
        "bot_name": '"Lumi"',
        "handed_over_at": where(chats.is_handed_over, instant(handed_over), "null"),
        "topic": topic,
    }
    told: dict[str, Json] = {"messages": messages}
    rates = rng.random(count) < CHAT_RATED_SHARE
    later = np.flatnonzero(rates & (rng.random(count) < LATE_RATING_SHARE))
    at_once = rates & ~np.isin(np.arange(count), later)
    rated = record({**fields, "rating": plain(rating), **told})
    first = where(at_once, rated, record({**fields, "rating": "null", **told}))
    late = np.where(rng.random(count) < LATE_SHARE, rng.integers(MS_PER_DAY, 4 * MS_PER_DAY, count), 0)
    known = np.concatenate([ended + late, (ended + late)[later] + rng.integers(2 * HOUR, 60 * HOUR, len(later))])
    files = exports.open("chat", "conversations")
    lines = pa.concat_arrays([first, rated.take(pa.array(later))])
    written = write_rows(lines, at=known, start=world.period.start, end=world.period.end, rng=rng, files=files)
    rows = np.unique(written[written < count])
    named = [("anonymous_id", visitor), ("user_id", user_id), ("email", email)]
    return Written(
        rows={"chat/conversations": files.rows},
        identifiers=[(kind, chats.person[rows], values.take(pa.array(rows))) for kind, values in named],
    )


def _or_null(values: pa.Array) -> pa.Array:
    """Texts in JSON, null where there is none."""
    return text(values).fill_null("null")


def _pages(rng: np.random.Generator, is_known: np.ndarray) -> pa.Array:
    """Where the widget was opened: in the product by most who are logged in."""
    pages = (*(SITE + page.path for page in words.PAGES[:5]), f"{APP_SITE}/board", f"{APP_SITE}/settings/billing")
    count = len(is_known)
    outside = rng.choice(5, count, p=[0.2, 0.25, 0.1, 0.05, 0.4])
    inside = rng.choice([words.DOCS, 5, 6], count, p=[0.2, 0.6, 0.2])
    page = pick(pages, np.where(is_known, inside, outside))
    return where(rng.random(count) < 0.05, glue(page, "?utm_source=newsletter&utm_medium=email"), page)


def _chat_ratings(rng: np.random.Generator, chats: _Chats) -> np.ndarray:
    """Stars from 1 to 5: by mood and outcome, a few the wrong way round."""
    count = len(chats.person)
    low = np.select([chats.mood == POSITIVE, chats.mood == NEGATIVE, chats.mood == MIXED], [4, 1, 2], 3)
    stars = low + rng.integers(0, 2, count) + ((chats.mood == MIXED) & (rng.random(count) < 0.3))
    stars += (chats.outcome == HELPED) & (chats.mood == NEUTRAL) & (rng.random(count) < 0.7)
    stars -= (chats.outcome == UNHELPED) & (rng.random(count) < 0.7)
    stars = np.clip(stars, 1, 5)
    return np.where(rng.random(count) < WRONG_RATING_SHARE, 6 - stars, stars)


def _messages(rng: np.random.Generator, chats: _Chats, *, world: World) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """The messages of each conversation as a JSON list, when it was handed over, and when the last was written."""
    speech = about(
        rng,
        world,
        person=chats.person,
        at=chats.started,
        theme=chats.theme,
        mood=chats.mood,
        outcome=chats.outcome,
        agent=chats.agent,
    )
    count = len(chats.person)
    everyone, over = np.ones(count, bool), chats.is_handed_over
    answered = over & ~chats.is_missed
    # Some write without capitals, and do so throughout.
    lower = (rng.random(count) < 0.4).astype(float)
    turns = (
        ("bot", "bot hello", everyone, 0, 1),
        ("visitor", "chat first", everyone, 8_000, 50_000),
        ("bot", "bot answer", everyone, 1_000, 3_000),
        ("visitor", "chat after bot", over, 6_000, 40_000),
        ("bot", "bot handover", over, 1_000, 2_500),
        ("agent", "chat agent hello", answered, 20_000, 4 * MINUTE),
        ("visitor", "chat detail", answered & (rng.random(count) < 0.75), 8_000, 70_000),
        ("agent", "chat agent answer", answered, 25_000, 3 * MINUTE),
        ("visitor", "chat end", over & (rng.random(count) < 0.85), 5_000, 60_000),
        ("visitor", "chat bot end", ~over & (rng.random(count) < 0.6), 5_000, 60_000),
    )
    now, handed_over = chats.started.copy(), np.full(count, -1)
    place = np.zeros(count, np.int64)
    said = []
    for writer, rule, speaks, soonest, latest in turns:
        rows = np.flatnonzero(speaks)
        now[rows] += rng.integers(soonest, latest, len(rows))
        place[rows] += 1
        if rule == "bot handover":
            handed_over[rows] = now[rows]
        said.append(_turn(rng, speech, rule=rule, writer=writer, rows=rows, now=now, place=place, lower=lower))
    return glue("[", listed(*said, separator=","), "]"), handed_over, now


def _turn(
    rng: np.random.Generator,
    speech: Speech,
    *,
    rule: str,
    writer: str,
    rows: np.ndarray,
    now: np.ndarray,
    place: np.ndarray,
    lower: np.ndarray,
) -> pa.Array:
    """One message of the conversations that have it, null in the others."""
    lines = speech.say(rule, rows)
    if writer == "visitor":
        lines = typed(rng, lines, sloppy=0.2, lower=lower[rows])
    fields = {
        "id": glue('"m', plain(place[rows]), '"'),
        "at": instant(now[rows]),
        "from": f'"{writer}"',
        "text": text(lines),
    }
    line = np.full(len(now), -1)
    line[rows] = np.arange(len(rows))
    return pick(record(fields), line)
