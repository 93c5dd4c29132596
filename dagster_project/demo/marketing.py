"""What the company sends and advertises: mails as SendGrid's Event Webhook tells of them, and Google Ads campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from dagster_project.demo import words
from dagster_project.demo.events import NAMES
from dagster_project.demo.files import (
    MS_PER_DAY,
    REPEATED_SHARE,
    Exports,
    Json,
    boolean,
    csv_lines,
    epoch,
    glue,
    ids,
    pick,
    plain,
    record,
    stream,
    text,
    where,
)
from dagster_project.demo.life import MINUTE, TRIAL, add_months
from dagster_project.demo.people import HOUR, NEVER, NO_ADVERTISING, NO_ANALYTICS, Period, weekday
from dagster_project.demo.world import World, Written

SECOND = 1_000
# Events that SendGrid could not post at first, hours or days late.
LATE_SHARE = 0.01
ROWS_AT_ONCE = 200_000

# Not everybody gets every mail: of those with an account, who gets the product news of a month, by whether they left.
NEWS_SHARE, NEWS_SHARE_GONE = 0.36, 0.10
# Of those in the second week of their trial, who is invited to the webinar, apart from all who go.
INVITED_SHARE = 0.35
# Of new accounts, who gets each of the three mails of the first week of a trial.
ONBOARDING_SHARES = (0.95, 0.5, 0.4)
# Subscribers are told of a renewal every sixth month.
NOTICE_MONTHS = 6
# People unsubscribe at a constant rate, not before they had their account for a while.
UNSUBSCRIBE_YEARS, UNSUBSCRIBE_AFTER_DAYS = 11.0, 16
SPAM_REPORT_SHARE, GROUP_SHARE = 0.08, 0.35
MACHINE_SHARE = 0.3
OPEN_SHARE, CLICKER_OPEN_SHARE, HELP_CLICK_SHARE = 0.3, 0.94, 0.06
DEFERRED_SHARE, BLOCKED_SHARE = 0.015, 0.006
# Mailboxes that are closed after their owner has left.
CLOSED_MAILBOX_SHARE = 0.08
NO_USER_ID_SHARE = 0.03

NEWS, WEBINAR, WELCOME, TIPS, IMPORT_HELP, RENEWAL = range(6)
CAMPAIGNS = (
    "product_news",
    "webinar_invitation",
    "onboarding_welcome",
    "onboarding_tips",
    "onboarding_import",
    "renewal",
)
CATEGORIES = ("product news", "webinar", "onboarding", "onboarding", "onboarding", "billing")
GROUPS = ("101", "102", "103", "103", "103", None)
SITE, HELP_SITE = "https://www.lumen.example", "https://help.lumen.example/start"

PROCESSED, DELIVERED, DEFERRED, BOUNCE, DROPPED, OPEN, CLICK, UNSUBSCRIBE, GROUP_UNSUBSCRIBE, SPAM_REPORT = range(10)
EVENTS = (
    "processed",
    "delivered",
    "deferred",
    "bounce",
    "dropped",
    "open",
    "click",
    "unsubscribe",
    "group_unsubscribe",
    "spamreport",
)


@dataclass(frozen=True, kw_only=True)
class _Mails:
    """One row per mail, and of each click that a session began with its mail, session and page."""

    person: np.ndarray
    at: np.ndarray
    campaign: np.ndarray
    click_mail: np.ndarray
    click_at: np.ndarray
    click_device: np.ndarray
    click_page: np.ndarray
    farewell_mail: np.ndarray
    farewell_at: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Log:
    """One row per event of a mail; ``page`` is the page clicked, -1 for the help pages; ``device`` is -1 for robots."""

    mail: np.ndarray
    at: np.ndarray
    event: np.ndarray
    device: np.ndarray
    page: np.ndarray
    is_machine: np.ndarray
    is_final: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Clicks:
    """Sessions that began with a click in a mail."""

    person: np.ndarray
    at: np.ndarray
    device: np.ndarray
    page: np.ndarray
    is_webinar: np.ndarray


def unsubscribes(world: World) -> np.ndarray:
    """When each person unsubscribes from marketing mails; NEVER if not within the period."""
    rng, period, signs_up = world.stream("unsubscribes"), world.period, world.lives.signs_up
    since = np.maximum(period.start + 2 * MS_PER_DAY, signs_up + UNSUBSCRIBE_AFTER_DAYS * MS_PER_DAY)
    at = since + (rng.exponential(UNSUBSCRIBE_YEARS * 365, len(signs_up)) * MS_PER_DAY).astype(np.int64)
    return np.where((signs_up < NEVER) & (at < period.end), at, NEVER)


def write_sendgrid(world: World, exports: Exports) -> Written:
    """Write what became of every mail, each event in the file of the day on which it was posted.

    A mail that a session began with is sent in the same week (from Monday) as its first click, so that no Monday knows
    from the mail what the week will bring; all others go to people drawn regardless of what they will do.
    """
    rng = world.stream("sendgrid")
    mails = _send(rng, world)
    log = _tell(rng, world, mails)
    posted = log.at + rng.integers(1, 9, len(log.at)) * SECOND
    late = rng.random(len(posted)) < LATE_SHARE
    posted += np.where(late, (rng.uniform(0.1, 2.5, len(posted)) * MS_PER_DAY).astype(np.int64), 0)
    inside = np.flatnonzero((log.at >= world.period.start) & (posted < world.period.end))
    order = inside[np.lexsort((log.event[inside], posted[inside]))]
    order = np.repeat(order, 1 + (rng.random(len(order)) < REPEATED_SHARE))
    event_id, message_id = ids(rng, "", len(log.at), length=22), ids(rng, "", len(mails.at), length=20)
    files = exports.open("sendgrid", "events")
    for at in range(0, len(order), ROWS_AT_ONCE):
        rows = order[at : at + ROWS_AT_ONCE]
        lines = _lines(world, mails, log, rows=rows, event_id=event_id, message_id=message_id)
        files.write(day=(posted[rows] - world.period.start) // MS_PER_DAY, lines=lines)
    files.close()
    seen = np.unique(mails.person[log.mail[order]])
    tied = np.unique(mails.person[log.mail[order]][_is_tied(world, mails)[log.mail[order]]])
    identifiers = [
        ("email", seen, world.people.email.take(pa.array(seen))),
        ("user_id", tied, world.people.user_id.take(pa.array(tied))),
    ]
    return Written(rows={"sendgrid/events": files.rows}, identifiers=identifiers)


def _is_tied(world: World, mails: _Mails) -> np.ndarray:
    """Mails that carry the user id: there must be an account, and now and then it is forgotten."""
    chosen = world.stream("sendgrid user ids").random(len(mails.at)) >= NO_USER_ID_SHARE
    return np.asarray(chosen & (world.lives.signs_up[mails.person] <= mails.at))


def _clicks(world: World) -> _Clicks:
    """Sessions by newsletter, with their first page."""
    events = world.events
    session, first = np.unique(events.session, return_index=True)
    by_mail = np.isin(events.session_touch[session], (words.NEWSLETTER, words.INVITATION))
    mine = by_mail & (events.session_person[session] >= 0)
    mine &= events.is_landing[first]
    session, first = session[mine], first[mine]
    return _Clicks(
        person=events.session_person[session],
        at=events.at[first],
        device=events.session_device[session],
        page=events.page[first],
        is_webinar=np.isin(session, events.session[events.name == NAMES.index("Webinar Attended")]),
    )


def _monday(at: np.ndarray) -> np.ndarray:
    return np.asarray((at // MS_PER_DAY - weekday(at)) * MS_PER_DAY)


def _send(rng: np.random.Generator, world: World) -> _Mails:
    """Decide who gets which mail when, and which of them is clicked and unsubscribed from."""
    clicks, leaves = _clicks(world), unsubscribes(world)
    reads = np.flatnonzero(~clicks.is_webinar)
    attends = np.flatnonzero(clicks.is_webinar)
    issue, months = _issues(rng, world, clicks=clicks, reads=reads, leaves=leaves)
    farewell = _farewells(rng, issue, months=months, leaves=leaves)
    # A click after somebody has unsubscribed is one in the last mail they had.
    month = np.searchsorted(months, clicks.at[reads], side="right") - 1
    of = clicks.person[reads]
    month = np.where(clicks.at[reads] >= leaves[of], farewell[of], month)
    news_month, news_person = np.nonzero(issue < NEVER)
    number = np.full(issue.shape, -1)
    number[news_month, news_person] = np.arange(len(news_person))
    leaver = np.flatnonzero(leaves < NEVER)
    invited, invited_at = _invite(
        rng, world, attends=clicks.person[attends], attended=clicks.at[attends], leaves=leaves
    )
    invitation = np.full(len(world.people), -1)
    invitation[invited] = len(news_person) + np.arange(len(invited))
    person, at = [news_person, invited], [issue[news_month, news_person], invited_at]
    campaign = [np.full(len(news_person), NEWS), np.full(len(invited), WEBINAR)]
    for kind, who, when in (*_onboard(rng, world), (RENEWAL, *_notify(rng, world))):
        person.append(who)
        at.append(when)
        campaign.append(np.full(len(who), kind))
    return _Mails(
        person=np.concatenate(person),
        at=np.concatenate(at),
        campaign=np.concatenate(campaign),
        click_mail=np.concatenate([number[month, of], invitation[clicks.person[attends]]]),
        click_at=np.concatenate([clicks.at[reads], clicks.at[attends]]) - rng.integers(1, 4, len(clicks.at)) * SECOND,
        click_device=np.concatenate([clicks.device[reads], clicks.device[attends]]),
        click_page=np.concatenate([clicks.page[reads], clicks.page[attends]]),
        farewell_mail=number[farewell[leaver], leaver],
        farewell_at=leaves[leaver],
    )


def _issues(
    rng: np.random.Generator, world: World, *, clicks: _Clicks, reads: np.ndarray, leaves: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """When each person (column) gets the product news of each month (row): at most once, NEVER if not.

    It is sent to people drawn at random on the first Tuesday of the month, and in smaller waves to those who read it
    and have not had it by then.
    """
    period, lives, people, count = world.period, world.lives, world.people, len(world.people)
    start = np.array([period.start]).astype("datetime64[ms]").astype("datetime64[M]")[0]
    last = np.array([period.end - 1]).astype("datetime64[ms]").astype("datetime64[M]")[0]
    months = np.arange(start, last + 1).astype("datetime64[ms]").astype(np.int64)
    first_click = np.full((len(months), count), NEVER)
    month = np.searchsorted(months, clicks.at[reads], side="right") - 1
    np.minimum.at(first_click, (month, clicks.person[reads]), clicks.at[reads])
    tuesday = months + (1 - weekday(months)) % 7 * MS_PER_DAY + 14 * HOUR
    batch = tuesday[:, None] + rng.integers(0, 3 * HOUR, (len(months), count))
    is_gone = batch > lives.active_until + 30 * MS_PER_DAY
    share = np.where(is_gone, NEWS_SHARE_GONE, NEWS_SHARE)
    refuses = np.isin(people.consent, [NO_ADVERTISING, NO_ANALYTICS])
    drawn = (rng.random(batch.shape) < share) & ~refuses & (batch < people.withdraws)
    drawn &= (batch > lives.signs_up + MS_PER_DAY) & (batch >= period.start) & (batch + 20 * MINUTE < first_click)
    wave = first_click - (rng.exponential(5, batch.shape) * HOUR).astype(np.int64) - 10 * MINUTE
    since = np.maximum(np.maximum(_monday(first_click), months[:, None]), period.start)
    wave = np.maximum(wave, since + (first_click - since) // 2)
    issue = np.where(drawn, batch, np.where(first_click < NEVER, wave, NEVER))
    return np.where(issue + 2 * MINUTE < leaves, issue, NEVER), months


def _farewells(rng: np.random.Generator, issue: np.ndarray, *, months: np.ndarray, leaves: np.ndarray) -> np.ndarray:
    """The month of the mail that each who unsubscribes does so from, else -1; adds the mail if there is none."""
    farewell = np.full(len(leaves), -1)
    leaver = np.flatnonzero(leaves < NEVER)
    month = np.searchsorted(months, leaves[leaver], side="right") - 1
    before = np.maximum(month - 1, 0)
    had = issue[month, leaver] < NEVER
    had_before = issue[before, leaver] < NEVER
    new = leaver[~had & ~had_before]
    issue[month[~had & ~had_before], new] = leaves[new] - rng.integers(20 * MINUTE, 30 * HOUR, len(new))
    farewell[leaver] = np.where(had | ~had_before, month, before)
    return farewell


def _invite(
    rng: np.random.Generator, world: World, *, attends: np.ndarray, attended: np.ndarray, leaves: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Invitations to the webinar, early on the Monday of the week in which it is attended."""
    panel = world.lives.panel
    second = np.flatnonzero((panel.phase == TRIAL) & (panel.age == 1))
    second = second[rng.random(len(second)) < INVITED_SHARE]
    second = second[(panel.monday[second] < leaves[panel.person[second]]) & ~np.isin(panel.person[second], attends)]
    person = np.concatenate([attends, panel.person[second]])
    monday = np.concatenate([_monday(attended), panel.monday[second]])
    return person, monday + rng.integers(5 * MINUTE, 50 * MINUTE, len(person))


def _onboard(rng: np.random.Generator, world: World) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Mails of the first week of a trial: at once, after two days, after five; not to who has left by then."""
    lives = world.lives
    new = np.flatnonzero((lives.signs_up < NEVER) & ~world.people.is_established)
    sent = []
    for kind, days, share in zip((WELCOME, TIPS, IMPORT_HELP), (0, 2, 5), ONBOARDING_SHARES, strict=True):
        at = lives.signs_up[new] + days * MS_PER_DAY + rng.integers(MINUTE, 6 * MINUTE, len(new))
        gets = (rng.random(len(new)) < share) & (at < lives.gives_up[new])
        sent.append((kind, new[gets], at[gets]))
    return sent


def _notify(rng: np.random.Generator, world: World) -> tuple[np.ndarray, np.ndarray]:
    """Notices of every sixth renewal, three days before, to who still pays."""
    subscriptions, period = world.lives.subscriptions, world.period
    longest = int((period.end - subscriptions.starts.min(initial=period.end)) // (28 * MS_PER_DAY)) + 1
    person, at = [], []
    for month in range(NOTICE_MONTHS, longest + NOTICE_MONTHS, NOTICE_MONTHS):
        due = add_months(subscriptions.starts, np.full(len(subscriptions.starts), month)) - 3 * MS_PER_DAY
        gets = (due >= period.start) & (due < period.end)
        gets &= (due < subscriptions.cancels) & (due < subscriptions.ends)
        person.append(subscriptions.person[gets])
        at.append(due[gets] + rng.integers(0, 40 * MINUTE, int(gets.sum())))
    return np.concatenate(person), np.concatenate(at)


class _Diary:
    """Collects the events of mails."""

    def __init__(self) -> None:
        self.parts: list[dict[str, np.ndarray]] = []

    def add(
        self,
        mail: np.ndarray,
        at: np.ndarray,
        event: np.ndarray | int,
        *,
        device: np.ndarray | int = -1,
        page: np.ndarray | int = -1,
        is_machine: bool = False,
        is_final: np.ndarray | bool = False,
    ) -> None:
        """Add events; device and page are of who opened or clicked."""
        columns = {"event": event, "device": device, "page": page, "is_machine": is_machine, "is_final": is_final}
        spread_out = {name: np.broadcast_to(value, len(mail)) for name, value in columns.items()}
        self.parts.append({"mail": mail, "at": at, **spread_out})

    def told(self) -> _Log:
        """Everything that was added."""
        return _Log(**{name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]})


def _tell(rng: np.random.Generator, world: World, mails: _Mails) -> _Log:
    """What SendGrid reports of each mail: sent or not, fetched by a machine, opened, clicked, unsubscribed from.

    Whether a mail arrives and is opened after it came does not depend on whether it is clicked later.
    """
    count, diary = len(mails.at), _Diary()
    device = world.devices.pair_device[world.devices.first[mails.person]]

    def some(mask: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(mask)
        return rows, mails.at[rows] + rng.integers(low, high, len(rows)) * SECOND

    bounces, drops = _closed_mailboxes(rng, world, mails)
    is_service = (mails.campaign >= WELCOME) & ~bounces & ~drops
    luck = rng.random(count)
    blocked, deferred = is_service & (luck < BLOCKED_SHARE), is_service & (luck > 1 - DEFERRED_SHARE)
    arrives = ~bounces & ~drops & ~blocked
    diary.add(*some(~drops, 0, 1), PROCESSED)
    diary.add(*some(drops, 0, 1), DROPPED)
    diary.add(*some(deferred, 2, 5), DEFERRED)
    diary.add(*some(blocked, 2, 9), BOUNCE)
    diary.add(*some(bounces, 2, 9), BOUNCE, is_final=True)
    diary.add(*some(arrives & ~deferred, 1, 6), DELIVERED)
    diary.add(*some(deferred, 60, 3000), DELIVERED)
    fetches = (rng.random(len(world.people)) < MACHINE_SHARE)[mails.person] & (rng.random(count) < 0.85)
    diary.add(*some(arrives & fetches & ~deferred, 8, 400), OPEN, is_machine=True)
    opened, at = some(arrives & (rng.random(count) < OPEN_SHARE), 3000, 3600)
    at += (rng.exponential(7, len(at)) * HOUR).astype(np.int64)
    diary.add(opened, at, OPEN, device=device[opened])
    helped = (mails.campaign[opened] >= WELCOME) & (mails.campaign[opened] <= IMPORT_HELP)
    helped &= rng.random(len(opened)) < HELP_CLICK_SHARE / OPEN_SHARE
    diary.add(opened[helped], at[helped] + 15 * SECOND, CLICK, device=device[opened[helped]])
    known = np.flatnonzero(mails.click_mail >= 0)
    mail, at, clicking = mails.click_mail[known], mails.click_at[known], mails.click_device[known]
    diary.add(mail, at, CLICK, device=clicking, page=mails.click_page[known])
    shows = rng.random(len(known)) < CLICKER_OPEN_SHARE
    looked = np.maximum(at[shows] - rng.integers(5, 90, int(shows.sum())) * SECOND, mails.at[mail[shows]] + 6 * SECOND)
    diary.add(mail[shows], np.minimum(looked, at[shows]), OPEN, device=clicking[shows])
    ways = [UNSUBSCRIBE, GROUP_UNSUBSCRIBE, SPAM_REPORT]
    shares = [1 - GROUP_SHARE - SPAM_REPORT_SHARE, GROUP_SHARE, SPAM_REPORT_SHARE]
    mail = mails.farewell_mail
    diary.add(mail, mails.farewell_at, rng.choice(ways, len(mail), p=shares), device=device[mail])
    return diary.told()


def _closed_mailboxes(rng: np.random.Generator, world: World, mails: _Mails) -> tuple[np.ndarray, np.ndarray]:
    """Mails to mailboxes closed since their owner left: the first bounces, later ones are not even sent."""
    closed = (rng.random(len(world.people)) < CLOSED_MAILBOX_SHARE)[mails.person]
    closed &= mails.at > world.lives.active_until[mails.person] + 20 * MS_PER_DAY
    closed[mails.farewell_mail] = False
    closed[mails.click_mail[mails.click_mail >= 0]] = False
    bounced_at = np.full(len(world.people), NEVER)
    np.minimum.at(bounced_at, mails.person[closed], mails.at[closed])
    bounces = closed & (mails.at == bounced_at[mails.person])
    return bounces, closed & ~bounces


def _lines(
    world: World, mails: _Mails, log: _Log, *, rows: np.ndarray, event_id: pa.Array, message_id: pa.Array
) -> pa.Array:
    """Some events as JSON lines."""
    people, devices = world.people, world.devices
    mail, event, at, device = log.mail[rows], log.event[rows], log.at[rows], log.device[rows]
    person, campaign = mails.person[mail], mails.campaign[mail]
    of, of_device = pa.array(person), pa.array(np.maximum(device, 0))
    message = message_id.take(pa.array(mail))
    is_open, is_click, is_machine = event == OPEN, event == CLICK, log.is_machine[rows]
    is_final, is_bounce, is_delivered = log.is_final[rows], event == BOUNCE, event == DELIVERED
    acts = is_open | is_click | (event >= UNSUBSCRIBE)
    is_seen = acts & ~is_machine & (event != SPAM_REPORT)
    agent = pick(
        [m.user_agent.replace("{version}", "4.1.0") for m in words.DEVICE_MODELS], devices.model[np.maximum(device, 0)]
    )
    server = glue("198.51.100.", plain(20 + mail % 8))
    page = log.page[rows]
    url = where(
        page >= 0, glue(SITE, pick([p.path for p in words.PAGES], page), "?", pick(_QUERIES, campaign)), HELP_SITE
    )
    has_group = (campaign != RENEWAL) & (event != DROPPED)
    category = where(
        mail % 3 == 0, glue('["lumen",', text(pick(CATEGORIES, campaign)), "]"), text(pick(CATEGORIES, campaign))
    )
    fields: dict[str, Json] = {
        "email": text(people.email.take(of)),
        "timestamp": epoch(at),
        "smtp-id": glue('"<', message, '@ismtpd-7>"'),
        "event": text(pick(EVENTS, event)),
        "category": category,
        "sg_event_id": text(event_id.take(pa.array(rows))),
        "sg_message_id": glue('"', message, '.recvd-6d8f-1"'),
        "ip": where(
            is_seen, text(devices.ip.take(of_device)), where(acts & is_machine | is_delivered | is_bounce, text(server))
        ),
        "useragent": where(is_machine, '"Mozilla/5.0"', where(is_seen, text(agent))),
        "url": where(is_click, text(url)),
        "asm_group_id": where(has_group, pick(GROUPS, campaign)),
        "reason": where(
            is_bounce,
            where(
                is_final, '"550 5.1.1 The mailbox does not exist"', '"452 4.2.2 The mailbox is full; try again later"'
            ),
            where(event == DROPPED, '"Bounced Address"'),
        ),
        "status": where(is_bounce, where(is_final, '"5.1.1"', '"4.2.2"')),
        "response": where(is_delivered, '"250 OK"', where(event == DEFERRED, '"451 try again later"')),
        "attempt": where(event == DEFERRED, '"1"'),
        "type": where(is_bounce, where(is_final, '"bounce"', '"blocked"')),
        "bounce_classification": where(is_bounce, where(is_final, '"Invalid Address"', '"Mailbox Unavailable"')),
        "sg_machine_open": where(is_open, boolean(is_machine)),
        "user_id": where(_is_tied(world, mails)[mail], text(people.user_id.take(of))),
        "campaign": text(pick(CAMPAIGNS, campaign)),
    }
    return record(fields)


def _query(campaign: str) -> str:
    """What a link of a mail carries; in the product news, what the page it leads to reports."""
    touch = words.TOUCHES[words.NEWSLETTER]
    said = {"source": touch.source, "medium": touch.medium, "campaign": campaign, "content": touch.content}
    return urlencode({f"utm_{name}": value for name, value in said.items() if value})


_QUERIES = [_query(campaign) for campaign in CAMPAIGNS]


class _Campaign(NamedTuple):
    """A Google Ads campaign: cost of a click, impressions per click, and clicks that no visit shows.

    ``extra`` are clicks beyond the visits: a share of the visits, for ``floor`` a share of all visits by Google.
    """

    number: int
    name: str
    channel_type: str
    dollars: float
    impressions: float
    extra: float
    floor: float
    claimed: float


ACCOUNT_ZONE = "America/Los_Angeles"
RESTATED_AFTER_DAYS = 3
AUTO_TAGGED = "pricing_search"
ADS = (
    _Campaign(21_400_000_101, "brand_search", "SEARCH", 0.85, 9, 0.12, 0.01, 0.30),
    _Campaign(21_400_000_102, "generic_search", "SEARCH", 3.10, 28, 0.15, 0.02, 0.16),
    _Campaign(21_400_000_103, AUTO_TAGGED, "SEARCH", 2.60, 22, 0.15, 0.01, 0.14),
    # Spends and never converts, whatever it claims.
    _Campaign(21_400_000_104, "awareness_banner", "DISPLAY", 1.10, 260, 0.60, 0.05, 0.04),
    # Is watched, and nobody comes.
    _Campaign(21_400_000_105, "brand_film", "VIDEO", 0.60, 180, 0.0, 0.15, 0.05),
)


def count_clicks(world: World) -> np.ndarray:
    """Count the visits of a block by local day of the advertising account and by touch.

    Returns
    -------
    numpy.ndarray
        A column per touch of ``words.TOUCHES`` and a row per local day. In America the local day begins later than in
        UTC, so that the first row is the day before the period's first.
    """
    events = world.events
    session, first = np.unique(events.session, return_index=True)
    seen = (events.session_person[session] >= 0) & events.is_landing[first]
    day = np.searchsorted(_midnights(world.period), events.at[first[seen]], side="right") - 1
    counts = np.zeros((world.period.days + 1, len(words.TOUCHES)), np.int64)
    np.add.at(counts, (day, events.session_touch[session[seen]]), 1)
    return counts


def _local_days(period: Period) -> list[datetime]:
    """The account's local days that the period touches, from the day before its first."""
    first = datetime.fromtimestamp(period.start / 1000, UTC)
    start = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(ACCOUNT_ZONE)) - timedelta(days=1)
    return [start + timedelta(days=day) for day in range(period.days + 1)]


def _midnights(period: Period) -> np.ndarray:
    return np.array([int(day.timestamp() * 1000) for day in _local_days(period)])


def write_google_ads(*, seed: int, period: Period, clicks: np.ndarray, exports: Exports) -> Written:
    """Write what every campaign did on every local day, the day after and once more three days later.

    It is written once for the whole company. No line comes twice: there a line more is money more.

    Parameters
    ----------
    seed, period : int, Period
        The demo's.
    clicks : numpy.ndarray
        Sum over all blocks of ``count_clicks``.
    exports : Exports
        Where the files go.
    """
    rng = stream(seed, "google_ads")
    # The last local day is not over when the exports end.
    days = len(clicks) - 1
    of_campaign = np.array([[_campaign_of(touch) == ad.name for ad in ADS] for touch in words.TOUCHES])
    visits = clicks[:days] @ of_campaign
    extra, floor, dollars, shown, claimed = (
        np.array([getattr(ad, field) for ad in ADS])
        for field in ("extra", "floor", "dollars", "impressions", "claimed")
    )
    usual = visits.mean(axis=0).sum()
    final = visits + rng.poisson(visits * extra + usual * floor + 0.2)
    # At first, clicks are in it that are found invalid later, and conversions are missing.
    early = final + rng.binomial(final, 0.02)
    cost = final * dollars * rng.lognormal(0, 0.18, final.shape)
    versions = []
    for clicked, spent, share, after in (
        (early, cost * early / np.maximum(final, 1), 0.7, 0),
        (final, cost, 1.0, RESTATED_AFTER_DAYS),
    ):
        converted = np.round(rng.poisson(final * claimed * 10) / 10 * share, 1)
        versions.append((clicked, spent, converted, np.arange(days) + after))
    impressions = final + rng.poisson(final * shown + 3)
    count = len(ADS)
    told, local = np.concatenate([v[3] for v in versions]), np.tile(np.arange(days), 2)
    order = np.lexsort((local, told))
    order = order[told[order] < period.days]

    def column(which: int) -> np.ndarray:
        return np.concatenate([v[which] for v in versions])[order].ravel()

    ad = np.tile(np.arange(count), len(order))
    day = np.repeat(local[order], count)
    converted = column(2)
    fields = {
        "segments.date": pick([f"{d:%Y-%m-%d}" for d in _local_days(period)], day),
        "customer.id": pick(["4815162342"], ad * 0),
        "customer.descriptive_name": "Lumen Inc.",
        "customer.time_zone": ACCOUNT_ZONE,
        "customer.currency_code": "USD",
        "campaign.id": pick([str(a.number) for a in ADS], ad),
        "campaign.name": pick([a.name for a in ADS], ad),
        "campaign.status": "ENABLED",
        "campaign.advertising_channel_type": pick([a.channel_type for a in ADS], ad),
        "metrics.cost_micros": plain(np.round(column(1) * 100).astype(np.int64) * 10_000),
        "metrics.impressions": plain(impressions[local[order]].ravel()),
        "metrics.clicks": plain(column(0)),
        "metrics.conversions": plain(converted),
        "metrics.conversions_value": plain(np.round(converted * 49.0, 2)),
    }
    files = exports.open("google_ads", "campaign_daily", header=list(fields))
    files.write(day=np.repeat(told[order], count), lines=csv_lines(fields))
    files.close()
    return Written(rows={"google_ads/campaign_daily": files.rows})


def _campaign_of(touch: words.Touch) -> str | None:
    """The campaign behind a touch; of clicks known by their click id alone, the one that is tagged by Google."""
    return (touch.campaign or AUTO_TAGGED) if touch.channel in ("paid search", "display") else None
