"""Questions to support as Zendesk's objects, in words that vary, with moods that are not always what they seem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import words
from dagster_project.demo.billing import write_versions
from dagster_project.demo.files import (
    MS_PER_DAY,
    DailyFiles,
    Json,
    boolean,
    glue,
    instant,
    listed,
    pick,
    plain,
    record,
    spread,
    stream,
    text,
    where,
)
from dagster_project.demo.life import TRIAL_DAYS, Events, Lives
from dagster_project.demo.people import HOUR, NEVER, Devices, People, Period, local_moment

TICKETS_PER_TRIAL = 0.45
TICKETS_PER_MONTH = 0.28
INCIDENT_TICKET_SHARE = 0.4
OTHER_TICKET_SHARE = 0.05
REOPENED_SHARE = 0.13
UNSOLVED_SHARE = 0.06
RATED_SHARE = 0.45
# A rating that says the opposite of the words, as people do.
WRONG_RATING_SHARE = 0.07
CLOSED_AFTER_DAYS = 4

FIRST_TICKET, FIRST_COMMENT, FIRST_USER, FIRST_RATING, FIRST_AGENT = (
    3_500,
    18_900_000_001,
    382_000_000_001,
    62_001,
    381_000_000_001,
)
GOOD, BAD, MIXED, PLAIN = range(4)
CUSTOMER, AGENT = range(2)


@dataclass(frozen=True, kw_only=True)
class _Tickets:
    """One row per ticket, in order of time; NEVER where it did not happen."""

    person: np.ndarray
    theme: np.ndarray
    mood: np.ndarray
    opened: np.ndarray
    agent: np.ndarray
    turns: np.ndarray
    is_helped: np.ndarray
    solved: np.ndarray
    reopened: np.ndarray
    solved_again: np.ndarray
    urgent: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Comments:
    """One row per comment, in order of ticket and time."""

    ticket: np.ndarray
    side: np.ndarray
    at: np.ndarray
    body: pa.Array
    is_public: np.ndarray


def write_zendesk(
    *, seed: int, people: People, devices: Devices, lives: Lives, events: Events, period: Period, out: Path, start: date
) -> dict[str, int]:
    """Write users, tickets, ticket_comments and satisfaction_ratings.

    Returns
    -------
    dict
        Rows by table.
    """
    rng = stream(seed, "zendesk")
    tickets = _tickets(rng, people=people, lives=lives, period=period)
    comments, tickets = _converse(rng, tickets, people=people)

    def files(table: str) -> DailyFiles:
        return DailyFiles(out, source="zendesk", table=table, start=start)

    return {
        "users": _write_users(rng, tickets, people=people, lives=lives, period=period, files=files("users")),
        "tickets": _write_tickets(rng, tickets, comments=comments, period=period, files=files("tickets")),
        "ticket_comments": _write_comments(
            rng, comments, tickets=tickets, period=period, files=files("ticket_comments")
        ),
        "satisfaction_ratings": _write_ratings(rng, tickets, period=period, files=files("satisfaction_ratings")),
    }


def _tickets(rng: np.random.Generator, *, people: People, lives: Lives, period: Period) -> _Tickets:
    """Who asks what, and when: people on trial, subscribers, people whose checkout broke, and a few strangers."""
    trial = np.flatnonzero(lives.trial < period.end)
    subscriptions = lives.subscriptions
    length = np.clip(np.minimum(subscriptions.ends, period.end) - subscriptions.starts, 0, None)
    first, _ = spread(rng.poisson(TICKETS_PER_TRIAL, len(trial)))
    second, _ = spread(rng.poisson(TICKETS_PER_MONTH * length / (30 * MS_PER_DAY)))
    broken = np.flatnonzero(lives.attempt_in_incident & ~lives.attempt_converts)
    broken = broken[rng.random(len(broken)) < INCIDENT_TICKET_SHARE]
    strangers = np.flatnonzero(rng.random(len(people)) < OTHER_TICKET_SHARE)
    groups = np.repeat(np.arange(4), [len(first), len(second), len(broken), len(strangers)])
    person = np.concatenate([trial[first], subscriptions.person[second], lives.attempt_person[broken], strangers])
    since = np.concatenate(
        [
            lives.trial[trial[first]],
            subscriptions.starts[second],
            lives.attempt_at[broken] + 10 * 60_000,
            people.arrives[strangers],
        ]
    )
    within = np.select([groups == 0, groups == 2, groups == 3], [TRIAL_DAYS * MS_PER_DAY, 3 * HOUR, 3 * MS_PER_DAY], 0)
    within[groups == 1] = length[second]
    at = since + (rng.random(len(person)) ** np.where(groups == 0, 1.3, 1.0) * within).astype(np.int64)
    moment = local_moment(rng, day_ms=at, offset=people.offset[person])
    at = np.where(groups == 2, at, np.maximum(moment, at))
    mixes = np.array([[t.trial_share for t in words.THEMES], [t.later_share for t in words.THEMES]])
    theme = np.where(groups == 2, words.CHECKOUT, _draw(rng, mixes[np.where(groups == 0, 0, 1)]))
    mood = _draw(rng, np.array([t.moods for t in words.THEMES])[theme])
    kept = np.flatnonzero((at < period.end) & (at >= period.start))
    order = kept[np.argsort(at[kept], kind="stable")]
    person, theme, mood, count = person[order], theme[order], mood[order], len(order)
    never = np.full(count, NEVER)
    return _Tickets(
        person=person,
        theme=theme,
        mood=mood,
        opened=at[order],
        agent=rng.integers(0, len(words.AGENTS), count),
        turns=rng.choice([1, 2, 3], count, p=[0.62, 0.28, 0.10]),
        is_helped=rng.random(count) < np.select([mood == GOOD, mood == BAD], [0.93, 0.68], 0.85),
        solved=never,
        reopened=never,
        solved_again=never,
        urgent=never,
    )


def _draw(rng: np.random.Generator, shares: np.ndarray) -> np.ndarray:
    """Draw a column for each row, by the row's shares."""
    drawn = (rng.random((len(shares), 1)) > np.cumsum(shares, axis=1)).sum(axis=1)
    return np.minimum(drawn, shares.shape[1] - 1)


def _fill(rng: np.random.Generator, lines: pa.Array, *, tickets: _Tickets, of: np.ndarray, people: People) -> pa.Array:
    """Put the ticket's own feature, tool, plan, month and personal data into the lines."""
    person = tickets.person[of]
    month = (tickets.opened[of] // MS_PER_DAY).astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    phone = people.phone.take(pa.array(person))
    spaced = glue("+1 ", _cut(phone, 2, 5), " ", _cut(phone, 5, 8), " ", _cut(phone, 8, None))
    values = {
        "{feature}": pick(words.FEATURES_USED, (person * 7 + of) % len(words.FEATURES_USED)),
        "{tool}": pick(words.TOOLS, rng.integers(0, len(words.TOOLS), len(of))),
        "{plan}": pick([p.name for p in words.PLANS], (person + of) % len(words.PLANS)),
        "{month}": pick(words.MONTHS, month),
        "{email}": people.email.take(pa.array(person)),
        "{phone}": pc.coalesce(spaced, pa.scalar("+1 555 0100")),
        "{ip}": people.ip.take(pa.array(person)),
    }
    for name, value in values.items():
        lines = _replace(lines, name, value)
    return lines


def _cut(lines: pa.Array, start: int, stop: int | None) -> pa.Array:
    return pc.utf8_slice_codeunits(lines, start, stop)


def _has(lines: pa.Array) -> np.ndarray:
    """Whether there is any text."""
    return pc.greater(pc.binary_length(lines), 0).fill_null(False).to_numpy(zero_copy_only=False)


def _say(rng: np.random.Generator, *parts: tuple[tuple[str, ...], float], count: int) -> pa.Array:
    """Sentences from lists, each part said with its probability, joined by blanks."""
    said = []
    for lines, share in parts:
        chosen = np.where(rng.random(count) < share, rng.integers(0, len(lines), count), -1)
        line = pick(lines, chosen)
        said.append(where(_has(line), line))
    return listed(*said, separator=" ")


def _by_group(groups: np.ndarray, makers: dict[int, pa.Array]) -> pa.Array:
    """For each row the text of its group's own array (all arrays are as long as the rows)."""
    result = pa.nulls(len(groups), pa.string())
    for group, lines in makers.items():
        result = where(groups == group, lines, result)
    return result


def _first_messages(rng: np.random.Generator, tickets: _Tickets, people: People) -> pa.Array:
    """Greeting, what is the matter, how it feels, a detail, a closing."""
    count = len(tickets.person)
    matter = _by_group(
        tickets.theme,
        {t: pick(theme.matters, rng.integers(0, len(theme.matters), count)) for t, theme in enumerate(words.THEMES)},
    )
    feeling = _by_group(
        tickets.mood,
        {
            GOOD: _say(rng, (words.POSITIVE, 1.0), count=count),
            BAD: _say(rng, (words.NEGATIVE, 1.0), (words.NEGATIVE, 0.3), count=count),
            MIXED: _say(rng, (words.MIXED, 1.0), count=count),
            PLAIN: _say(rng, (words.NEUTRAL, 0.7), count=count),
        },
    )
    # Courtesies carry mood, too; the angry spare them.
    curt = tickets.mood == BAD
    opening = where(
        curt, _say(rng, (words.CURT_OPENINGS, 1.0), count=count), _say(rng, (words.OPENINGS, 1.0), count=count)
    )
    detail = _say(rng, (words.NEUTRAL, 0.35), (words.PERSONAL, 0.17), count=count)
    closing = where(
        curt, _say(rng, (words.CURT_CLOSINGS, 0.8), count=count), _say(rng, (words.CLOSINGS, 0.8), count=count)
    )
    feeling_first = rng.random(count) < 0.3
    one, two = where(feeling_first, feeling, matter), where(feeling_first, matter, feeling)
    middle = listed(*(where(_has(line), line) for line in (one, two, detail)), separator=" ")
    first_name = pc.list_element(pc.split_pattern(people.name.take(pa.array(tickets.person)), " "), 0)
    signed = where(_has(closing), glue(closing, "\n", first_name))
    whole = listed(where(_has(opening), opening), middle, signed, separator="\n")
    return _fill(rng, whole, tickets=tickets, of=np.arange(count), people=people)


class _Log:
    """Collects comments as they are written."""

    def __init__(self) -> None:
        self.ticket: list[np.ndarray] = []
        self.side: list[np.ndarray] = []
        self.at: list[np.ndarray] = []
        self.body: list[pa.Array] = []
        self.is_public: list[np.ndarray] = []

    def add(self, ticket: np.ndarray, *, side: int, at: np.ndarray, body: pa.Array, is_public: bool = True) -> None:
        """Add one comment for each of the tickets."""
        self.ticket.append(ticket)
        self.side.append(np.full(len(ticket), side))
        self.at.append(at)
        self.body.append(body)
        self.is_public.append(np.full(len(ticket), is_public))

    def comments(self, rng: np.random.Generator, *, tickets: _Tickets, people: People) -> _Comments:
        """Everything written, by ticket and time, with the placeholders filled."""
        ticket, side, at, is_public = (np.concatenate(c) for c in (self.ticket, self.side, self.at, self.is_public))
        body = _fill(rng, pa.concat_arrays(self.body), tickets=tickets, of=ticket, people=people)
        order = np.lexsort((at, ticket))
        return _Comments(
            ticket=ticket[order],
            side=side[order],
            at=at[order],
            body=body.take(pa.array(order)),
            is_public=is_public[order],
        )


def _converse(rng: np.random.Generator, tickets: _Tickets, *, people: People) -> tuple[_Comments, _Tickets]:
    """Play each ticket: turns of agent and customer, solved, sometimes reopened and solved again."""
    log = _Log()
    count = len(tickets.person)
    log.add(np.arange(count), side=CUSTOMER, at=tickets.opened, body=_first_messages(rng, tickets, people))
    now = tickets.opened.copy()
    for turn in range(1, int(tickets.turns.max(initial=0)) + 1):
        _take_turn(rng, log, tickets=tickets, now=now, turn=turn)
    solves = rng.random(count) >= UNSOLVED_SHARE
    solved = np.where(solves, now + (rng.uniform(0.02, 6, count) * HOUR).astype(np.int64), NEVER)
    reopens = solves & (rng.random(count) < np.where(tickets.is_helped, REOPENED_SHARE / 2, REOPENED_SHARE * 2))
    reopened = np.where(reopens, solved + (rng.uniform(0.3, 3.5, count) * MS_PER_DAY).astype(np.int64), NEVER)
    back = np.flatnonzero(reopens)
    answered = reopened[back] + (rng.lognormal(1.5, 0.8, len(back)) * HOUR).astype(np.int64)
    complaint = _say(rng, (words.REOPENINGS, 1.0), (words.NEGATIVE, 0.4), count=len(back))
    log.add(back, side=CUSTOMER, at=reopened[back], body=complaint)
    log.add(back, side=AGENT, at=answered, body=_say(rng, (words.AGENT_ANSWERS, 1.0), count=len(back)))
    solved_again = np.full(count, NEVER)
    solved_again[back] = answered + rng.integers(HOUR // 10, 20 * HOUR, len(back))
    escalates = rng.random(count) < np.where(tickets.mood == BAD, 0.16, 0.03)
    urgent = np.where(escalates, tickets.opened + (rng.uniform(0.5, 5, count) * HOUR).astype(np.int64), NEVER)
    ended = replace(tickets, solved=solved, reopened=reopened, solved_again=solved_again, urgent=urgent)
    return log.comments(rng, tickets=tickets, people=people), ended


def _take_turn(rng: np.random.Generator, log: _Log, *, tickets: _Tickets, now: np.ndarray, turn: int) -> None:
    """An agent answers, perhaps leaves a note, and the customer replies; moves ``now`` on."""
    active = np.flatnonzero(tickets.turns >= turn)
    # Agents are slower when the queue is full of broken checkouts.
    slow = np.where(tickets.theme[active] == words.CHECKOUT, 1.6, 1.0)
    now[active] += (np.maximum(rng.lognormal(1.3, 0.9, len(active)) * slow, 0.1) * HOUR).astype(np.int64)
    answer = _say(rng, (words.AGENT_ANSWERS, 1.0), (words.AGENT_CLOSINGS, 0.6), count=len(active))
    log.add(active, side=AGENT, at=now[active], body=answer)
    noted = active[rng.random(len(active)) < 0.08]
    note = pick(words.AGENT_NOTES, rng.integers(0, len(words.AGENT_NOTES), len(noted)))
    log.add(noted, side=AGENT, at=now[noted] + 90_000, body=note, is_public=False)
    goes_on = tickets.turns[active] > turn
    replying = active[goes_on | (rng.random(len(active)) < 0.55)]
    now[replying] += (rng.lognormal(1.6, 1.0, len(replying)) * HOUR).astype(np.int64)
    is_middle = tickets.turns[replying] > turn
    luck = rng.random(len(replying))
    middle = np.where((tickets.mood[replying] == BAD) & (luck < 0.6), BAD, MIXED)
    final = np.where(tickets.is_helped[replying], GOOD, np.where(luck < 0.7, BAD, MIXED))
    said = _by_group(
        np.where(is_middle, middle, final),
        {
            GOOD: _say(rng, (words.REPLIES_GOOD, 1.0), (words.POSITIVE, 0.15), count=len(replying)),
            BAD: _say(rng, (words.REPLIES_BAD, 1.0), (words.NEGATIVE, 0.35), count=len(replying)),
            MIXED: _say(rng, (words.REPLIES_MIXED, 1.0), (words.NEUTRAL, 0.3), count=len(replying)),
        },
    )
    log.add(replying, side=CUSTOMER, at=now[replying], body=said)


def _requester(person: np.ndarray) -> pa.Array:
    return plain(FIRST_USER + person)


def _write_users(
    rng: np.random.Generator, tickets: _Tickets, *, people: People, lives: Lives, period: Period, files: DailyFiles
) -> int:
    """Agents on the first day; a customer when the first ticket comes; some are verified or change later."""
    person, first = np.unique(tickets.person, return_index=True)
    created = tickets.opened[first] - 1_000
    agents = len(words.AGENTS)
    later = np.flatnonzero(rng.random(len(person)) < 0.06)
    changed = created[later] + (rng.uniform(1, 40, len(later)) * MS_PER_DAY).astype(np.int64)
    at = np.concatenate([np.full(agents, period.start), created, changed])
    who = np.concatenate([np.full(agents, -1), person, person[later]])
    is_agent = who < 0
    made = np.concatenate([np.full(agents, period.start - 400 * MS_PER_DAY), created, created[later]])
    safe = pa.array(np.maximum(who, 0))
    number = np.arange(len(who))
    agent_name = pick(words.AGENTS, np.where(is_agent, number, -1))
    agent_mail = glue(pc.replace_substring(pc.utf8_lower(agent_name), " ", "."), "@lumen.example")
    # Some write from another mailbox than the one they signed up with; the app id ties it all the same.
    mail = pc.coalesce(people.other_email.take(safe), people.email.take(safe))
    phone = people.phone.take(safe)
    shown = glue("+1 (", _cut(phone, 2, 5), ") ", _cut(phone, 5, 8), "-", _cut(phone, 8, None))
    # Strangers have no account yet; a sixth of the customers was never tied to theirs.
    signed_up = np.where(is_agent, False, lives.signs_up[np.maximum(who, 0)] <= at)
    tied = signed_up & (who % 6 != 5)
    ids = np.where(is_agent, FIRST_AGENT + number, FIRST_USER + who)
    zone = people.zone[np.maximum(who, 0)]
    fields: dict[str, Json] = {
        "id": plain(ids),
        "url": glue('"https://lumen.zendesk.example/api/v2/users/', plain(ids), '.json"'),
        "active": "true",
        "created_at": instant(made, fraction=False),
        "email": text(where(is_agent, agent_mail, mail)),
        "external_id": where(tied, text(people.user_id.take(safe)), "null"),
        "locale": where(is_agent, '"en-US"', text(pick([z.locale for z in words.ZONES], zone))),
        "name": text(where(is_agent, agent_name, people.name.take(safe))),
        "organization_id": "null",
        "phone": pc.coalesce(where(is_agent, "null", text(shown)), pa.scalar("null")),
        "role": where(is_agent, '"agent"', '"end-user"'),
        "suspended": "false",
        "tags": "[]",
        "time_zone": '"UTC"',
        "updated_at": instant(at, fraction=False),
        "verified": boolean(is_agent | (number >= agents + len(person))),
    }
    return write_versions(fields, at=at, thing=ids, rng=rng, period=period, files=files)


def _write_tickets(
    rng: np.random.Generator, tickets: _Tickets, *, comments: _Comments, period: Period, files: DailyFiles
) -> int:
    """Versions: opened, answered, escalated, solved, reopened, solved again, closed."""
    count = len(tickets.person)
    everyone = np.arange(count)
    public = comments.is_public
    is_answer = (comments.side == AGENT) & public
    asked_again = (comments.side == CUSTOMER) & (comments.at > tickets.opened[comments.ticket])
    talk = np.flatnonzero((is_answer | asked_again) & (comments.at < tickets.solved[comments.ticket]))
    closed = np.where(
        tickets.solved_again < NEVER, tickets.solved_again, np.where(tickets.reopened < NEVER, NEVER, tickets.solved)
    )
    closed = np.where(closed < NEVER, closed + CLOSED_AFTER_DAYS * MS_PER_DAY, NEVER)
    steps = (
        (everyone, tickets.opened, np.full(count, "new")),
        (comments.ticket[talk], comments.at[talk], np.where(is_answer[talk], "pending", "open")),
        (everyone, tickets.solved, np.full(count, "solved")),
        (everyone, tickets.reopened, np.full(count, "open")),
        (everyone, tickets.solved_again, np.full(count, "solved")),
        (everyone, closed, np.full(count, "closed")),
    )
    thing, at, status = (np.concatenate([s[i] for s in steps]) for i in range(3))
    # An escalation changes the priority only; the status stays what it was.
    raised = np.flatnonzero(tickets.urgent < NEVER)
    order = np.lexsort((at, thing))
    before = _status_at(thing[order], at[order], status[order], raised, tickets.urgent[raised])
    thing = np.concatenate([thing, raised])
    at = np.concatenate([at, tickets.urgent[raised]])
    status = np.concatenate([status, before])
    kept = np.flatnonzero(at < NEVER)
    thing, at, status = thing[kept], at[kept], status[kept]
    theme = tickets.theme[thing]
    first = np.searchsorted(comments.ticket, everyone)
    description = comments.body.take(pa.array(first))
    subjects = _by_group(
        tickets.theme,
        {t: pick(s.subjects, (everyone * 5 + tickets.person) % len(s.subjects)) for t, s in enumerate(words.THEMES)},
    )
    month = (tickets.opened // MS_PER_DAY).astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    for name, value in (
        ("{feature}", pick(words.FEATURES_USED, (tickets.person * 7 + everyone) % len(words.FEATURES_USED))),
        ("{tool}", pick(words.TOOLS, tickets.person % len(words.TOOLS))),
        ("{month}", pick(words.MONTHS, month)),
    ):
        subjects = _replace(subjects, name, value)
    escalated = at >= tickets.urgent[thing]
    usual = np.where(tickets.mood[thing] == BAD, "high", "normal")
    tag = pick([f'["{t.name.replace(" ", "_")}"]' for t in words.THEMES], theme)
    number = plain(FIRST_TICKET + thing)
    fields: dict[str, Json] = {
        "id": number,
        "url": glue('"https://lumen.zendesk.example/api/v2/tickets/', number, '.json"'),
        "assignee_id": plain(FIRST_AGENT + tickets.agent[thing]),
        "created_at": instant(tickets.opened[thing], fraction=False),
        "description": text(description.take(pa.array(thing))),
        "external_id": "null",
        "group_id": "360001",
        "has_incidents": "false",
        "organization_id": "null",
        "priority": glue('"', pa.array(np.where(escalated, "urgent", usual)), '"'),
        "requester_id": _requester(tickets.person[thing]),
        "status": glue('"', pa.array(status), '"'),
        "subject": text(subjects.take(pa.array(thing))),
        "submitter_id": _requester(tickets.person[thing]),
        "tags": tag,
        "type": where(theme == words.HOW_TO, '"question"', '"problem"'),
        "updated_at": instant(at, fraction=False),
        "via": record({"channel": glue('"', pick(["email", "web", "chat"], tickets.person[thing] % 3), '"')}),
    }
    return _write_all_versions(fields, at=at, rng=rng, period=period, files=files)


def _status_at(
    thing: np.ndarray, at: np.ndarray, status: np.ndarray, raised: np.ndarray, when: np.ndarray
) -> np.ndarray:
    """The status each raised ticket had at that time: its last step not after it."""
    result = np.full(len(raised), "new", dtype=status.dtype)
    starts = np.searchsorted(thing, raised)
    ends = np.searchsorted(thing, raised, side="right")
    for step in range(int((ends - starts).max(initial=0))):
        here = np.minimum(starts + step, ends - 1)
        applies = (starts + step < ends) & (at[here] <= when)
        result = np.where(applies, status[here], result)
    return result


def _replace(lines: pa.Array, name: str, value: pa.Array) -> pa.Array:
    """Replace the first occurrence of a placeholder, row by row."""
    has = pc.match_substring(lines, name)
    padded = pc.split_pattern(pc.if_else(has, lines, name), name, max_splits=1)
    return pc.if_else(has, glue(pc.list_element(padded, 0), value, pc.list_element(padded, 1)), lines)


def _write_all_versions(
    fields: dict[str, Json], *, at: np.ndarray, rng: np.random.Generator, period: Period, files: DailyFiles
) -> int:
    """Write every version: the incremental export runs more often than once a day."""
    return write_versions(fields, at=at, thing=np.arange(len(at)), rng=rng, period=period, files=files)


def _write_comments(
    rng: np.random.Generator, comments: _Comments, *, tickets: _Tickets, period: Period, files: DailyFiles
) -> int:
    by_agent = comments.side == AGENT
    author = np.where(
        by_agent, FIRST_AGENT + tickets.agent[comments.ticket], FIRST_USER + tickets.person[comments.ticket]
    )
    fields: dict[str, Json] = {
        "id": plain(FIRST_COMMENT + np.arange(len(comments.at))),
        "attachments": "[]",
        "author_id": plain(author),
        "body": text(comments.body),
        "created_at": instant(comments.at, fraction=False),
        "public": boolean(comments.is_public),
        "ticket_id": plain(FIRST_TICKET + comments.ticket),
        "type": '"Comment"',
        "via": record({"channel": glue('"', pick(["email", "web"], comments.ticket % 2), '"')}),
    }
    return _write_all_versions(fields, at=comments.at, rng=rng, period=period, files=files)


def _write_ratings(rng: np.random.Generator, tickets: _Tickets, *, period: Period, files: DailyFiles) -> int:
    """Asked for when solved; some answer, mostly as they feel."""
    asked = np.flatnonzero(tickets.solved < NEVER)
    rated = rng.random(len(asked)) < RATED_SHARE
    mood, helped = tickets.mood[asked], tickets.is_helped[asked]
    good = rng.random(len(asked)) < np.where(helped, np.where(mood == BAD, 0.80, 0.95), 0.15)
    good ^= rng.random(len(asked)) < WRONG_RATING_SHARE
    answered = tickets.solved[asked] + (rng.lognormal(2.0, 1.1, len(asked)) * HOUR).astype(np.int64)
    answers = np.flatnonzero(rated)
    row = np.concatenate([np.arange(len(asked)), answers])
    is_answer = np.arange(len(row)) >= len(asked)
    at = np.concatenate([tickets.solved[asked] + 60_000, answered[answers]])
    score = np.where(~is_answer, "offered", np.where(good[row], "good", "bad"))
    comment = where(good[row], pick(words.RATING_GOOD, row % 4), pick(words.RATING_BAD, row % 4))
    ticket = asked[row]
    number = plain(FIRST_RATING + row)
    fields: dict[str, Json] = {
        "id": number,
        "url": glue('"https://lumen.zendesk.example/api/v2/satisfaction_ratings/', number, '.json"'),
        "assignee_id": plain(FIRST_AGENT + tickets.agent[ticket]),
        "comment": where(is_answer & (rng.random(len(asked))[row] < 0.35), text(comment), "null"),
        "created_at": instant(tickets.solved[ticket] + 60_000, fraction=False),
        "group_id": "360001",
        "requester_id": _requester(tickets.person[ticket]),
        "score": glue('"', pa.array(score), '"'),
        "ticket_id": plain(FIRST_TICKET + ticket),
        "updated_at": instant(at, fraction=False),
    }
    return _write_all_versions(fields, at=at, rng=rng, period=period, files=files)
