"""Questions to support as Zendesk's objects: tickets of people who ask in writing, and a few of strangers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import words
from dagster_project.demo.files import (
    MS_PER_DAY,
    Exports,
    Json,
    boolean,
    glue,
    instant,
    pick,
    plain,
    record,
    text,
    where,
    write_rows,
)
from dagster_project.demo.life import TICKET
from dagster_project.demo.people import HOUR, NEVER, local_moment
from dagster_project.demo.speech import (
    CHECKOUT,
    HELPED,
    HOW_TO,
    MIXED_SHARE,
    NEGATIVE,
    POSITIVE,
    PRICING,
    SUPPORT,
    THEMES,
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

STRANGER_SHARE = 0.02
REOPENED_SHARE = 0.13
UNSOLVED_SHARE = 0.06
RATED_SHARE = 0.45
CLOSED_AFTER_DAYS = 4

FIRST_TICKET, FIRST_COMMENT, FIRST_USER, FIRST_RATING, FIRST_AGENT = (
    3_500,
    18_900_000_001,
    382_000_000_001,
    62_001,
    381_000_000_001,
)
# Room for the ids of one block of people.
IDS_PER_BLOCK = 10_000_000
CUSTOMER, AGENT = range(2)
ZENDESK = "https://lumen.zendesk.example/api/v2"


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


def plan_tickets(world: World) -> Planned:
    """Say who opens a ticket, when, what about and in which mood, in order of time."""
    rng, lives, period = world.stream("zendesk tickets"), world.lives, world.period
    contact = np.flatnonzero((lives.contact_kind == TICKET) & (lives.contact_at >= period.start))
    strangers = np.flatnonzero(rng.random(len(world.people)) < STRANGER_SHARE)
    asked = world.people.arrives[strangers] + (rng.random(len(strangers)) * 3 * MS_PER_DAY).astype(np.int64)
    asked = local_moment(rng, day_ms=asked, offset=world.people.offset[strangers])
    # Whoever has an account is no stranger: their questions are all in the lives.
    is_stranger = (asked >= period.start) & (asked < lives.signs_up[strangers])
    strangers, asked = strangers[is_stranger], asked[is_stranger]
    # What strangers ask is what people on trial ask, and what it costs.
    mix = np.array([t.trial for t in THEMES]) + 0.5 * (np.arange(len(THEMES)) == PRICING)
    person = np.concatenate([lives.contact_person[contact], strangers])
    at = np.concatenate([lives.contact_at[contact], asked])
    theirs = rng.choice(len(THEMES), len(strangers), p=mix / mix.sum())
    theme = np.concatenate([contact_themes(rng, world, contact), theirs])
    mood = draw_moods(rng, theme)
    order = np.argsort(at, kind="stable")
    order = order[at[order] < period.end]
    return Planned(person=person[order], at=at[order], theme=theme[order], mood=mood[order])


def write_zendesk(world: World, exports: Exports) -> Written:
    """Write users, tickets, ticket_comments and satisfaction_ratings."""
    rng = world.stream("zendesk")
    tickets = _tickets(rng, plan_tickets(world))
    comments, subjects, tickets = _converse(rng, tickets, world=world)
    users, identifiers = _users(rng, tickets, world=world)
    tables = {
        "users": users,
        "tickets": _versions(tickets, comments=comments, subjects=subjects, world=world),
        "ticket_comments": _comments(comments, tickets=tickets, world=world),
        "satisfaction_ratings": _ratings(rng, tickets, world=world),
    }
    rows = {}
    for table, (fields, at) in tables.items():
        files = exports.open("zendesk", table)
        write_rows(record(fields), at=at, start=world.period.start, end=world.period.end, rng=rng, files=files)
        rows[f"zendesk/{table}"] = files.rows
    return Written(rows=rows, identifiers=identifiers)


def _tickets(rng: np.random.Generator, planned: Planned) -> _Tickets:
    count = len(planned.person)
    helped = np.select([planned.mood == POSITIVE, planned.mood == NEGATIVE], [0.93, 0.68], 0.85)
    never = np.full(count, NEVER)
    return _Tickets(
        person=planned.person,
        theme=planned.theme,
        mood=planned.mood,
        opened=planned.at,
        agent=rng.integers(0, len(words.AGENTS), count),
        turns=rng.choice([1, 2, 3], count, p=[0.62, 0.28, 0.10]),
        is_helped=rng.random(count) < helped,
        solved=never,
        reopened=never,
        solved_again=never,
        urgent=never,
    )


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

    def comments(self) -> _Comments:
        """Everything written, by ticket and time."""
        ticket, side, at, is_public = (np.concatenate(c) for c in (self.ticket, self.side, self.at, self.is_public))
        order = np.lexsort((at, ticket))
        return _Comments(
            ticket=ticket[order],
            side=side[order],
            at=at[order],
            body=pa.concat_arrays(self.body).take(pa.array(order)),
            is_public=is_public[order],
        )


def _converse(rng: np.random.Generator, tickets: _Tickets, *, world: World) -> tuple[_Comments, pa.Array, _Tickets]:
    """Play each ticket: turns of agent and customer, solved, sometimes reopened and solved again."""
    log, count = _Log(), len(tickets.person)
    speech = about(
        rng,
        world,
        person=tickets.person,
        at=tickets.opened,
        theme=tickets.theme,
        mood=tickets.mood,
        agent=tickets.agent,
    )
    first = typed(rng, speech.say("ticket"), sloppy=0.15, lower=0.06)
    log.add(np.arange(count), side=CUSTOMER, at=tickets.opened, body=first)
    now = tickets.opened.copy()
    for turn in range(1, int(tickets.turns.max(initial=0)) + 1):
        _take_turn(rng, log, tickets=tickets, speech=speech, now=now, turn=turn)
    solves = rng.random(count) >= UNSOLVED_SHARE
    solved = np.where(solves, now + (rng.uniform(0.02, 6, count) * HOUR).astype(np.int64), NEVER)
    reopens = solves & (rng.random(count) < np.where(tickets.is_helped, REOPENED_SHARE / 2, REOPENED_SHARE * 2))
    reopened = np.where(reopens, solved + (rng.uniform(0.3, 3.5, count) * MS_PER_DAY).astype(np.int64), NEVER)
    back = np.flatnonzero(reopens)
    answered = reopened[back] + (rng.lognormal(1.5, 0.8, len(back)) * HOUR).astype(np.int64)
    log.add(back, side=CUSTOMER, at=reopened[back], body=typed(rng, speech.say("reopening", back), sloppy=0.2))
    log.add(back, side=AGENT, at=answered, body=speech.ending(HELPED).say("agent answer", back))
    solved_again = np.full(count, NEVER)
    solved_again[back] = answered + rng.integers(HOUR // 10, 20 * HOUR, len(back))
    escalates = rng.random(count) < np.where(tickets.mood == NEGATIVE, 0.16, 0.03)
    urgent = np.where(escalates, tickets.opened + (rng.uniform(0.5, 5, count) * HOUR).astype(np.int64), NEVER)
    ended = replace(tickets, solved=solved, reopened=reopened, solved_again=solved_again, urgent=urgent)
    return log.comments(), speech.say("subject"), ended


def _take_turn(
    rng: np.random.Generator, log: _Log, *, tickets: _Tickets, speech: Speech, now: np.ndarray, turn: int
) -> None:
    """An agent answers, perhaps leaves a note, and the customer replies; moves ``now`` on."""
    active = np.flatnonzero(tickets.turns >= turn)
    # Agents are slower when the queue is full of broken checkouts.
    slow = np.where(tickets.theme[active] == CHECKOUT, 1.6, 1.0)
    now[active] += (np.maximum(rng.lognormal(1.3, 0.9, len(active)) * slow, 0.1) * HOUR).astype(np.int64)
    is_last = tickets.turns == turn
    answer = np.where(is_last, np.where(tickets.is_helped, HELPED, UNHELPED), WAITING)
    log.add(active, side=AGENT, at=now[active], body=speech.ending(answer).say("agent answer", active))
    noted = active[rng.random(len(active)) < 0.08]
    log.add(noted, side=AGENT, at=now[noted] + 90_000, body=speech.say("agent note", noted), is_public=False)
    replying = active[~is_last[active] | (rng.random(len(active)) < 0.55)]
    now[replying] += (rng.lognormal(1.6, 1.0, len(replying)) * HOUR).astype(np.int64)
    luck = rng.random(len(is_last))
    middle = np.where((tickets.mood == NEGATIVE) & (luck < 0.6), UNHELPED, WAITING)
    final = np.where(tickets.is_helped, HELPED, np.where(luck < 0.7, UNHELPED, WAITING))
    said = speech.ending(np.where(is_last, final, middle)).say("reply", replying)
    log.add(replying, side=CUSTOMER, at=now[replying], body=typed(rng, said, sloppy=0.15, lower=0.1))


def _requester(world: World, person: np.ndarray) -> pa.Array:
    return plain(FIRST_USER + world.people.number[person])


def _id(world: World, first: int, number: np.ndarray) -> pa.Array:
    return plain(first + world.block * IDS_PER_BLOCK + number)


Identifiers = list[tuple[str, np.ndarray, pa.Array]]
Table = tuple[dict[str, Json], np.ndarray]


def _users(rng: np.random.Generator, tickets: _Tickets, *, world: World) -> tuple[Table, Identifiers]:
    """Agents on the first day; a customer when the first ticket comes; some are verified or change later."""
    people, period = world.people, world.period
    person, first = np.unique(tickets.person, return_index=True)
    created = tickets.opened[first]
    later = np.flatnonzero(rng.random(len(person)) < 0.06)
    changed = created[later] + (rng.uniform(1, 40, len(later)) * MS_PER_DAY).astype(np.int64)
    agents = len(words.AGENTS) if world.block == 0 else 0
    at = np.concatenate([np.full(agents, period.start), created, changed])
    who = np.concatenate([np.full(agents, -1), person, person[later]])
    is_agent, someone = who < 0, np.maximum(who, 0)
    made = np.concatenate([np.full(agents, period.start - 400 * MS_PER_DAY), created, created[later]])
    safe, number = pa.array(someone), np.arange(len(who))
    agent_name = pick(words.AGENTS, np.where(is_agent, number, -1))
    agent_mail = glue(pc.replace_substring(pc.utf8_lower(agent_name), " ", "."), "@lumen.example")
    # Some write from another mailbox than the one they signed up with; the app id ties it all the same.
    mail = pc.coalesce(people.other_email.take(safe), people.email.take(safe))
    phone = where(~is_agent, spelt_phone(rng, people.phone_at(someone, at)))
    # Strangers have no account yet; a sixth of the customers was never tied to theirs.
    tied = ~is_agent & (world.lives.signs_up[someone] <= at) & (people.number[someone] % 6 != 5)
    ids = plain(np.where(is_agent, FIRST_AGENT + number, FIRST_USER + people.number[someone]))
    user_id = where(tied, people.user_id.take(safe))
    fields: dict[str, Json] = {
        "id": ids,
        "url": glue(f'"{ZENDESK}/users/', ids, '.json"'),
        "active": "true",
        "created_at": instant(made, fraction=False),
        "email": text(where(is_agent, agent_mail, mail)),
        "external_id": pc.coalesce(text(user_id), pa.scalar("null")),
        "locale": where(is_agent, '"en-US"', text(pick([z.locale for z in words.ZONES], people.zone[someone]))),
        "name": text(where(is_agent, agent_name, people.name.take(safe))),
        "organization_id": "null",
        "phone": pc.coalesce(text(phone), pa.scalar("null")),
        "role": where(is_agent, '"agent"', '"end-user"'),
        "suspended": "false",
        "tags": "[]",
        "time_zone": '"UTC"',
        "updated_at": instant(at, fraction=False),
        "verified": boolean(is_agent | (number >= agents + len(person))),
    }
    exported = ~is_agent & (at < period.end)
    identifiers = [
        (kind, who[exported], values.filter(pa.array(exported)))
        for kind, values in (("zendesk_user", ids), ("email", mail), ("phone", phone), ("user_id", user_id))
    ]
    return (fields, at), identifiers


def _versions(tickets: _Tickets, *, comments: _Comments, subjects: pa.Array, world: World) -> Table:
    """Versions of tickets: opened, answered, escalated, solved, reopened, solved again, closed."""
    count = len(tickets.person)
    everyone = np.arange(count)
    is_answer = (comments.side == AGENT) & comments.is_public
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
    kept = np.flatnonzero(at < world.period.end)
    thing, at, status = thing[kept], at[kept], status[kept]
    description = comments.body.take(pa.array(np.searchsorted(comments.ticket, everyone)))
    escalated = at >= tickets.urgent[thing]
    usual = np.where(tickets.mood[thing] == NEGATIVE, "high", "normal")
    number, of = _id(world, FIRST_TICKET, thing), pa.array(thing)
    requester = _requester(world, tickets.person[thing])
    channel = pick(['"email"', '"web"', '"chat"'], tickets.person[thing] % 3)
    fields: dict[str, Json] = {
        "id": number,
        "url": glue(f'"{ZENDESK}/tickets/', number, '.json"'),
        "assignee_id": plain(FIRST_AGENT + tickets.agent[thing]),
        "created_at": instant(tickets.opened[thing], fraction=False),
        "description": text(description).take(of),
        "external_id": "null",
        "group_id": "360001",
        "has_incidents": "false",
        "organization_id": "null",
        "priority": glue('"', pa.array(np.where(escalated, "urgent", usual)), '"'),
        "requester_id": requester,
        "status": glue('"', pa.array(status), '"'),
        "subject": text(subjects).take(of),
        "submitter_id": requester,
        "tags": pick([f'["{t.name.replace(" ", "_")}"]' for t in THEMES], tickets.theme[thing]),
        "type": where(tickets.theme[thing] == HOW_TO, '"question"', '"problem"'),
        "updated_at": instant(at, fraction=False),
        "via": record({"channel": channel}),
    }
    return fields, at


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


def _comments(comments: _Comments, *, tickets: _Tickets, world: World) -> Table:
    agent = plain(FIRST_AGENT + tickets.agent[comments.ticket])
    customer = _requester(world, tickets.person[comments.ticket])
    fields: dict[str, Json] = {
        "id": _id(world, FIRST_COMMENT, np.arange(len(comments.at))),
        "attachments": "[]",
        "author_id": where(comments.side == AGENT, agent, customer),
        "body": text(comments.body),
        "created_at": instant(comments.at, fraction=False),
        "public": boolean(comments.is_public),
        "ticket_id": _id(world, FIRST_TICKET, comments.ticket),
        "type": '"Comment"',
        "via": record({"channel": pick(['"email"', '"web"'], comments.ticket % 2)}),
    }
    return fields, comments.at


def _ratings(rng: np.random.Generator, tickets: _Tickets, *, world: World) -> Table:
    """Asked for when solved; some answer as they feel, a few the wrong way round."""
    asked = np.flatnonzero(tickets.solved < world.period.end)
    feels_good = tickets.is_helped[asked] ^ (rng.random(len(asked)) < MIXED_SHARE / 2)
    good = feels_good ^ (rng.random(len(asked)) < WRONG_RATING_SHARE)
    answered = tickets.solved[asked] + (rng.lognormal(2.0, 1.1, len(asked)) * HOUR).astype(np.int64)
    answers = np.flatnonzero(rng.random(len(asked)) < RATED_SHARE)
    speech = about(
        rng,
        world,
        person=tickets.person[asked],
        at=tickets.solved[asked],
        theme=np.full(len(asked), SUPPORT),
        mood=np.where(feels_good, POSITIVE, NEGATIVE),
        agent=tickets.agent[asked],
    )
    comment = where(rng.random(len(asked)) < 0.35, typed(rng, speech.say("ticket rating"), sloppy=0.15, lower=0.15))
    row = np.concatenate([np.arange(len(asked)), answers])
    is_answer = np.arange(len(row)) >= len(asked)
    at = np.concatenate([tickets.solved[asked] + 60_000, answered[answers]])
    ticket = asked[row]
    number = _id(world, FIRST_RATING, row)
    fields: dict[str, Json] = {
        "id": number,
        "url": glue(f'"{ZENDESK}/satisfaction_ratings/', number, '.json"'),
        "assignee_id": plain(FIRST_AGENT + tickets.agent[ticket]),
        "comment": pc.coalesce(where(is_answer, text(comment).take(pa.array(row))), pa.scalar("null")),
        "created_at": instant(tickets.solved[ticket] + 60_000, fraction=False),
        "group_id": "360001",
        "requester_id": _requester(world, tickets.person[ticket]),
        "score": glue('"', pa.array(np.where(~is_answer, "offered", np.where(good[row], "good", "bad"))), '"'),
        "ticket_id": _id(world, FIRST_TICKET, ticket),
        "updated_at": instant(at, fraction=False),
    }
    return fields, at
