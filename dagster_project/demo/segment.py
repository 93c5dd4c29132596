"""Events as Segment's tracking API hands them on: late, skewed, repeated, with consent and context."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import words
from dagster_project.demo.events import IDENTIFY, NAMES, PAGE, TRACK
from dagster_project.demo.files import (
    MS_PER_DAY,
    Exports,
    glue,
    instant,
    listed,
    pick,
    plain,
    record,
    text,
    uuids,
    where,
)
from dagster_project.demo.life import RELEASES
from dagster_project.demo.people import NO_ANALYTICS, UNKNOWN, Devices, People
from dagster_project.demo.world import World, Written

DUPLICATE_SHARE = 0.01
# The same call sent again by a client that missed the answer: same messageId, later sentAt.
RESENT_SHARE = 0.003
ROWS_AT_ONCE = 200_000
SITE, APP_SITE, TEST_SITE = "https://www.lumen.example", "https://app.lumen.example", "https://staging.lumen.example"
CHECKOUT_SITE = "https://checkout.stripe.com/"
# Where in the app each kind of event happens.
AT_CHECKOUT = (
    *("Product Viewed", "Checkout Started", "Checkout Step Viewed", "Checkout Step Completed"),
    *("Payment Info Entered", "Form Error"),
    *("Order Completed", "Subscription Started"),
)
PATHS = ["/checkout" if name in AT_CHECKOUT else "/board" for name in NAMES]
FORM_ERROR, SIGNED_UP = NAMES.index("Form Error"), NAMES.index("Signed Up")
TABLES = ((TRACK, "tracks"), (PAGE, "pages"), (IDENTIFY, "identifies"))


@dataclass(frozen=True, kw_only=True)
class _Calls:
    """One row per delivered call, in the order in which it was received."""

    event: np.ndarray
    sent: np.ndarray
    received: np.ndarray
    message_id: pa.Array


def _deliver(world: World) -> _Calls:
    """Say when each call was sent and received; add the repeats."""
    rng, events = world.stream("segment"), world.events
    count = len(events.at)
    late = events.session_late[events.session]
    # A phone that was offline sends the whole session once it is back, in order.
    sent = events.at + late + rng.integers(150, 4_000, count)
    received = sent + rng.integers(20, 900, count)
    event = np.arange(count)
    again = rng.random(count)
    resent = np.flatnonzero(again < RESENT_SHARE)
    pause = rng.integers(5_000, 2 * MS_PER_DAY, len(resent))
    repeated = np.flatnonzero(again > 1 - DUPLICATE_SHARE)
    event = np.concatenate([event, resent, repeated])
    sent = np.concatenate([sent, sent[resent] + pause, sent[repeated]])
    received = np.concatenate([received, received[resent] + pause, received[repeated]])
    kept = np.flatnonzero(received < world.period.end)
    order = kept[np.argsort(received[kept], kind="stable")]
    return _Calls(
        event=event[order],
        sent=sent[order],
        received=received[order],
        message_id=glue("ajs-next-", uuids(rng, count)).take(pa.array(event[order])),
    )


def _device_context(
    devices: Devices, people: People, *, device: np.ndarray, release: np.ndarray
) -> tuple[pa.Array, pa.Array]:
    """Parts of the context that a device sends under a release of the app: without and with its user agent."""
    model, is_app = devices.model[device], devices.is_app[device]
    zone = people.zone[devices.owner[device]]
    of_app = np.where(is_app, model, -1)
    version = pick(RELEASES, np.maximum(release, 0))

    def told(field: str) -> pa.Array:
        return text(pick([getattr(model, field) for model in words.DEVICE_MODELS], of_app))

    library = where(
        is_app,
        '{"name":"analytics-react-native","version":"2.19.1"}',
        '{"name":"analytics.js","version":"npm:next-1.70.0"}',
    )
    fixed = {
        "ip": text(devices.ip.take(pa.array(device))),
        "library": library,
        "locale": text(pick([z.locale for z in words.ZONES], zone)),
        "timezone": text(pick([z.name for z in words.ZONES], zone)),
        "app": where(is_app, record({"name": '"Lumen"', "version": text(version)})),
        "os": where(is_app, record({"name": told("os"), "version": told("os_version")})),
        "device": where(is_app, record({"manufacturer": told("manufacturer"), "type": told("type")})),
    }
    agents = [m.user_agent.replace("{version}", release) for m in words.DEVICE_MODELS for release in RELEASES]
    agent = pick(agents, model * len(RELEASES) + np.maximum(release, 0))
    return _inside(fixed), _inside({**fixed, "userAgent": text(agent)})


def _inside(fields: dict[str, pa.Array]) -> pa.Array:
    """The fields of an object without its braces, to be joined with others."""
    return pc.utf8_slice_codeunits(record(fields), 1, -1)


def _robot_context(rng: np.random.Generator, robots: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """Context and anonymous id of robot sessions; the monitor and the staff keep their cookie, the others never do."""
    ip = glue("198.51.100.", plain(np.where(robots == words.MONITOR, 7, rng.integers(1, 255, len(robots)))))
    fixed = {
        "ip": text(ip),
        "library": where(robots >= 0, '{"name":"analytics.js","version":"npm:next-1.70.0"}'),
        "locale": where(robots >= 0, '"en-US"'),
        "userAgent": text(pick(words.ROBOT_AGENTS, robots)),
    }
    fresh = uuids(rng, len(robots))
    kept = uuids(rng, 2).to_pylist()
    named = where(robots == words.MONITOR, kept[0], where(robots == words.STAFF, kept[1], fresh))
    return _inside(fixed), named


# In the order of ALL_GRANTED, NO_ADVERTISING, NO_ANALYTICS.
CONSENTS = (
    '{"categoryPreferences":{"Functional":true,"Analytics":true,"Advertising":true,"Personalization":true}}',
    '{"categoryPreferences":{"Functional":true,"Analytics":true,"Advertising":false,"Personalization":false}}',
    '{"categoryPreferences":{"Functional":true,"Analytics":false,"Advertising":false,"Personalization":false}}',
)


def _consent(person: np.ndarray, at: np.ndarray, people: People) -> pa.Array:
    """What the consent banner had recorded by then; a withdrawal takes back everything."""
    chosen = np.where(person < 0, UNKNOWN, people.consent[person])
    chosen = np.where((chosen != UNKNOWN) & (at >= people.withdraws[person]), NO_ANALYTICS, chosen)
    return pick(CONSENTS, np.where(chosen == UNKNOWN, -1, chosen))


@dataclass(frozen=True, kw_only=True)
class _Landings:
    """Per session: the query, campaign object and referrer of its first page; null where there is none."""

    query: pa.Array
    campaign: pa.Array
    referrer: pa.Array


def _landings(rng: np.random.Generator, touch: np.ndarray) -> _Landings:
    """Draw the landing of each session from its touch."""
    queries: list[str | None] = []
    campaigns: list[str | None] = []
    for t in words.TOUCHES:
        said = {"source": t.source, "medium": t.medium, "name": t.campaign, "term": t.term, "content": t.content}
        given = {key: value for key, value in said.items() if value}
        queries.append(urlencode({f"utm_{k.replace('name', 'campaign')}": v for k, v in given.items()}) or None)
        campaigns.append(json.dumps(given, separators=(",", ":")) if given else None)
    click = pick([t.click_id for t in words.TOUCHES], touch)
    clicked = np.array([t.click_id is not None for t in words.TOUCHES])[touch]
    # Some visits lose their utm on the way (a redirect that drops it); only the click id stays.
    lost = clicked & (rng.random(len(touch)) < 0.08)
    click_query = glue(click, "=", pc.replace_substring(uuids(rng, len(touch)), "-", ""))
    utm = where(lost, None, pick(queries, touch))
    query = listed(utm, click_query, separator="&")
    return _Landings(
        query=where(pc.not_equal(query, "").to_numpy(zero_copy_only=False), glue("?", query)),
        campaign=where(lost, None, pick(campaigns, touch)),
        referrer=pick([t.referrer for t in words.TOUCHES], touch),
    )


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What the lines are written from; ``context`` per combination of device and release, ``of_session`` which one."""

    world: World
    calls: _Calls
    landings: _Landings
    bare_context: pa.Array
    context: pa.Array
    of_session: np.ndarray
    robot_context: pa.Array
    robot_id: pa.Array
    leaks: np.ndarray


def write_segment(world: World, exports: Exports) -> Written:
    """Write tracks, pages and identifies, each call in the file of the day on which it was received."""
    rng, events, devices = world.stream("context"), world.events, world.devices
    calls = _deliver(world)
    pair = np.maximum(events.session_device, 0) * len(RELEASES) + np.maximum(events.session_release, 0)
    pairs, of_session = np.unique(pair, return_inverse=True)
    bare_context, context = _device_context(
        devices, world.people, device=pairs // len(RELEASES), release=pairs % len(RELEASES)
    )
    robot_context, robot_id = _robot_context(rng, np.maximum(events.session_robot, 0))
    told = _Told(
        world=world,
        calls=calls,
        landings=_landings(rng, events.session_touch),
        bare_context=bare_context,
        context=context,
        of_session=of_session,
        robot_context=robot_context,
        robot_id=robot_id,
        # A reader's own address sometimes stands in a link from a mail; landing must take it out.
        leaks=rng.random(len(events.session_touch)) < 0.02,
    )
    rows = {}
    for kind, table in TABLES:
        files = exports.open("segment", table)
        mine = np.flatnonzero(events.kind[calls.event] == kind)
        for at in range(0, len(mine), ROWS_AT_ONCE):
            part = mine[at : at + ROWS_AT_ONCE]
            day = (calls.received[part] - world.period.start) // MS_PER_DAY
            files.write(day=day, lines=_lines(told, kind=kind, rows=part))
        files.close()
        rows[f"segment/{table}"] = files.rows
    return Written(rows=rows, identifiers=_identifiers(world, calls))


def _identifiers(world: World, calls: _Calls) -> list[tuple[str, np.ndarray, pa.Array]]:
    """Devices that were used by whom, and what people said of themselves."""
    events, people = world.events, world.people
    session = np.unique(events.session[calls.event])
    session = session[events.session_person[session] >= 0]
    used = np.unique(events.session_person[session] * len(world.devices) + events.session_device[session])
    person, device = used // len(world.devices), used % len(world.devices)
    called = calls.event[events.kind[calls.event] == IDENTIFY]
    caller = events.session_person[events.session[called]]
    known = np.unique(caller)
    took = pa.array(known)
    return [
        ("anonymous_id", person, world.devices.anonymous_id.take(pa.array(device))),
        ("user_id", known, people.user_id.take(took)),
        ("email", known, people.email.take(took)),
        ("phone", caller, people.phone_at(caller, events.at[called])),
    ]


def _lines(told: _Told, *, kind: int, rows: np.ndarray) -> pa.Array:
    """Some calls of one kind as JSON lines."""
    world, calls = told.world, told.calls
    events = world.events
    event = calls.event[rows]
    session = events.session[event]
    person, device = events.session_person[session], np.maximum(events.session_device[session], 0)
    is_robot = events.session_robot[session] >= 0
    of_device, of_session, of_pair = pa.array(device), pa.array(session), pa.array(told.of_session[session])
    page = _page(told, event=event)
    is_app = world.devices.is_app[device] & ~is_robot
    context = where(
        is_robot,
        told.robot_context.take(of_session),
        where(events.session_no_agent[session], told.bare_context.take(of_pair), told.context.take(of_pair)),
    )
    landed = events.is_landing[event] & ~is_app
    parts = [
        context,
        glue('"page":', where(is_app, None, page)),
        glue('"campaign":', where(landed, told.landings.campaign.take(of_session))),
        glue('"consent":', _consent(person, events.at[event], world.people)),
    ]
    skew = np.where(is_robot, 0, world.devices.skew[device])
    user = text(world.people.user_id.take(pa.array(np.maximum(person, 0))))
    return record(
        {
            "type": f'"{("track", "page", "identify")[kind]}"',
            "channel": '"client"',
            "messageId": text(calls.message_id.take(pa.array(rows))),
            "anonymousId": text(
                where(is_robot, told.robot_id.take(of_session), world.devices.anonymous_id.take(of_device))
            ),
            "userId": where(events.is_known[event] & (person >= 0), user, "null"),
            **_payload(world, kind=kind, event=event, page=page),
            "context": glue("{", listed(*parts, separator=","), "}"),
            "integrations": "{}",
            "originalTimestamp": instant(events.at[event] + skew),
            "sentAt": instant(calls.sent[rows] + skew),
            "receivedAt": instant(calls.received[rows]),
            # Segment's own correction: receivedAt - (sentAt - originalTimestamp).
            "timestamp": instant(calls.received[rows] - (calls.sent[rows] - events.at[event])),
        }
    )


def _page(told: _Told, *, event: np.ndarray) -> pa.Array:
    """The page object of each call."""
    world, events = told.world, told.world.events
    number, session = events.page[event], events.session[event]
    name, landed = events.name[event], events.is_landing[event]
    person = events.session_person[session]
    on_site = number >= 0
    signing_up = (name == SIGNED_UP) | ((name == FORM_ERROR) & ~events.is_known[event])
    path = where(on_site, pick([p.path for p in words.PAGES], number), where(signing_up, "/signup", pick(PATHS, name)))
    address = pc.replace_substring(world.people.email.take(pa.array(np.maximum(person, 0))), "@", "%40")
    onboarding = pc.match_substring(events.properties.take(pa.array(event)), '"form":"onboarding"')
    path = pc.if_else(onboarding, "/onboarding", path)
    leaking = told.leaks[session] & (number == words.DOCS) & (person >= 0)
    query = where(landed, told.landings.query.take(pa.array(session)), where(leaking, glue("?email=", address)))
    search = pc.coalesce(query, pa.scalar(""))
    site = where(events.session_robot[session] == words.STAFF, TEST_SITE, where(on_site, SITE, APP_SITE))
    came_from = where(number == words.WELCOME, CHECKOUT_SITE, glue(site, "/"))
    outside = pc.coalesce(told.landings.referrer.take(pa.array(session)), pa.scalar(""))
    return record(
        {
            "path": text(path),
            "referrer": text(where(landed, outside, came_from)),
            "search": text(search),
            "title": text(where(on_site, pick([p.title for p in words.PAGES], number), "Lumen")),
            "url": text(glue(site, path, search)),
        }
    )


def _payload(world: World, *, kind: int, event: np.ndarray, page: pa.Array) -> dict[str, pa.Array]:
    """What distinguishes a track, a page and an identify call."""
    events, people = world.events, world.people
    if kind == TRACK:
        return {
            "event": text(pick(NAMES, events.name[event])),
            "properties": events.properties.take(pa.array(event)),
        }
    if kind == PAGE:
        return {"name": text(pick([p.name for p in words.PAGES], events.page[event])), "properties": page}
    person = events.session_person[events.session[event]]
    who, at = pa.array(person), events.at[event]
    company = people.company.take(who)
    has_company = pc.is_valid(company).to_numpy(zero_copy_only=False)
    traits = {
        "email": text(people.email.take(who)),
        "name": text(people.name.take(who)),
        "phone": text(people.phone_at(person, at)),
        "company": where(has_company, record({"id": text(glue("co_", company)), "name": text(company)})),
        "address": record({"country": text(pick([z.country for z in words.ZONES], people.zone[person]))}),
        "createdAt": instant(world.lives.signs_up[person]),
    }
    return {"traits": record(traits)}
