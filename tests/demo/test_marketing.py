"""Mails and advertisements of the demo company: what is sent to whom, and that it fits the visits."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from dagster_project.demo import laws, words
from dagster_project.demo.events import NAMES
from dagster_project.demo.marketing import count_clicks, unsubscribes, write_google_ads, write_sendgrid
from dagster_project.demo.people import NEVER, Period
from tests.demo.company import (
    DAYS,
    FIRST_DAY,
    PEOPLE,
    PERIOD,
    START,
    assert_lands,
    bytes_of,
    exports_to,
    rows_of,
    small_world,
)

DAY = 86_400
MARKETING = {"product_news", "webinar_invitation", "onboarding_welcome", "onboarding_tips", "onboarding_import"}
LEAVING = {"unsubscribe", "group_unsubscribe", "spamreport"}
DOCUMENTED = {
    "processed",
    "dropped",
    "delivered",
    "deferred",
    "bounce",
    "open",
    "click",
    "spamreport",
    "unsubscribe",
    "group_unsubscribe",
    "group_resubscribe",
}
ADS_HEADER = (
    "segments.date,customer.id,customer.descriptive_name,customer.time_zone,customer.currency_code,campaign.id,"
    "campaign.name,campaign.status,campaign.advertising_channel_type,metrics.cost_micros,metrics.impressions,"
    "metrics.clicks,metrics.conversions,metrics.conversions_value"
)


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def written(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sendgrid") / "inbox"
    return folder, write_sendgrid(world, exports_to(folder))


@pytest.fixture(scope="module")
def log(written):
    """Events without their repeats, in order of time."""
    rows = {row["sg_event_id"]: row for _, row in rows_of(written[0], "sendgrid/events")}
    return sorted(rows.values(), key=lambda row: row["timestamp"])


@pytest.fixture(scope="module")
def mails(log):
    """The events of each mail by their kind."""
    found = defaultdict(lambda: defaultdict(list))
    for row in log:
        found[row["sg_message_id"]][row["event"]].append(row)
    return found


@pytest.fixture(scope="module")
def by_email(world):
    """Persons by mailbox; role mailboxes can be several people's."""
    found = defaultdict(list)
    for person, email in enumerate(world.people.email.to_pylist()):
        found[email].append(person)
    return found


def newsletter_sessions(world):
    """Person and second of the first page of every session that came by newsletter, and whether it is the webinar's."""
    events = world.events
    webinars = set(events.session[events.name == NAMES.index("Webinar Attended")].tolist())
    for event in np.flatnonzero(events.is_landing):
        session = events.session[event]
        if events.session_touch[session] == words.NEWSLETTER:
            yield int(events.session_person[session]), int(events.at[event]) // 1000, int(session) in webinars


def test_events_are_those_that_the_webhook_documents(log):
    counts = Counter(row["event"] for row in log)
    assert set(counts) <= DOCUMENTED
    assert counts["processed"] > counts["open"] > counts["click"] > counts["unsubscribe"] > 0
    assert 0.9 < counts["delivered"] / counts["processed"] < 1.05
    for row in log:
        assert ("url" in row) == (row["event"] == "click")
        assert ("sg_machine_open" in row) == (row["event"] == "open")
        assert row["email"].rsplit(".", 1)[1] in {"example", "com", "org", "net"}
    machines = [row for row in log if row.get("sg_machine_open")]
    assert 0.1 < len(machines) / counts["open"] < 0.6
    assert {row["useragent"] for row in machines} == {"Mozilla/5.0"}


def test_a_mail_is_sent_before_it_arrives_is_opened_and_clicked(mails):
    for events in mails.values():
        first = {name: rows[0]["timestamp"] for name, rows in events.items()}
        if "processed" in first and "delivered" in first:
            assert first["processed"] <= first["delivered"]
        for name in {"open", "click"} & set(first):
            assert first.get("delivered", 0) <= first[name]


def test_every_session_by_newsletter_began_with_a_click(world, log, by_email):
    clicks = defaultdict(list)
    for row in log:
        if row["event"] == "click" and "utm_source=newsletter" in row["url"]:
            for person in by_email[row["email"]]:
                clicks[person].append(row["timestamp"])
    sessions = list(newsletter_sessions(world))
    missing = [s for s in sessions if not any(0 <= s[1] - click <= 5 for click in clicks[s[0]])]
    assert len(sessions) > 60
    # The last clicks are not posted yet.
    assert len(missing) <= 0.02 * len(sessions)


def test_an_invitation_of_that_week_leads_to_the_webinar(world, log, mails, by_email):
    invited = defaultdict(list)
    for events in mails.values():
        for click in events["click"]:
            if click["campaign"] == "webinar_invitation" and events["processed"]:
                for person in by_email[click["email"]]:
                    invited[person].append((events["processed"][0]["timestamp"], click["timestamp"]))
    attended = [
        (int(p), int(at) // 1000)
        for p, at, kind in zip(world.lives.touch_person, world.lives.touch_at, world.lives.touch_kind, strict=True)
        if kind == laws.WEBINAR and PERIOD.start + 7 * DAY * 1000 <= at < PERIOD.end - 4 * DAY * 1000
    ]
    assert len(attended) > 5
    for person, at in attended:
        ((sent, clicked),) = invited[person]
        assert sent < clicked <= at
        assert datetime.fromtimestamp(sent, UTC).weekday() == 0
        assert at - sent < 2 * DAY
    everybody = [row for row in log if row["campaign"] == "webinar_invitation" and row["event"] == "processed"]
    assert len(everybody) > 1.3 * len(attended)


def test_the_news_reach_nobody_twice_a_month_nor_a_week_before_a_reader_needs_them(mails):
    issues = Counter()
    waves = 0
    for events in mails.values():
        if not events["processed"] or events["processed"][0]["campaign"] != "product_news":
            continue
        sent = datetime.fromtimestamp(events["processed"][0]["timestamp"], UTC)
        issues[events["processed"][0].get("user_id", "?"), sent.month] += 1
        first_tuesday = sent.weekday() == 1 and sent.day <= 7 and 14 <= sent.hour < 17
        ends = [row["timestamp"] for name in LEAVING for row in events[name]]
        if not first_tuesday and not ends:
            # Nothing of the coming week is known from a mail on the Monday before it.
            clicked = datetime.fromtimestamp(events["click"][0]["timestamp"] + 4, UTC)
            assert sent.isocalendar()[:2] == clicked.isocalendar()[:2]
            waves += 1
    assert waves > 20
    assert {count for (user, _), count in issues.items() if user != "?"} == {1}


def test_who_unsubscribed_gets_no_marketing_mail(world, log, by_email):
    leaves = unsubscribes(world)
    left = {p: int(at) // 1000 for p, at in enumerate(leaves) if at < NEVER}
    told = [row for row in log if row["event"] in LEAVING]
    assert len(left) * 0.9 <= len(told) <= len(left)
    for row in told:
        assert any(left.get(person) == row["timestamp"] for person in by_email[row["email"]])
    for row in log:
        people = by_email[row["email"]]
        if row["event"] == "processed" and row["campaign"] in MARKETING and len(people) == 1:
            assert row["timestamp"] <= left.get(people[0], row["timestamp"])


def test_onboarding_mails_come_in_the_first_week_and_renewal_notices_before_a_renewal(world, log, by_email):
    seen = Counter()
    subscriptions = world.lives.subscriptions
    starts = dict(zip(subscriptions.person.tolist(), subscriptions.starts.tolist(), strict=True))
    for row in log:
        people = by_email[row["email"]]
        if row["event"] != "processed" or len(people) > 1:
            continue
        seen[row["campaign"]] += 1
        if row["campaign"].startswith("onboarding"):
            since = row["timestamp"] - world.lives.signs_up[people[0]] // 1000
            assert 0 <= since < 6 * DAY
        if row["campaign"] == "renewal":
            # Three days later is the day of the month on which the subscription began, or the month's last.
            due = datetime.fromtimestamp(row["timestamp"], UTC) + timedelta(days=3, minutes=-40)
            began = datetime.fromtimestamp(starts[people[0]] / 1000, UTC)
            assert due.day in {began.day, began.day - 1} or (due + timedelta(days=1)).day == 1
    assert min(seen[name] for name in ("onboarding_welcome", "onboarding_tips", "onboarding_import", "renewal")) > 10


def test_mails_before_the_sign_up_do_not_know_the_user(world, log, by_email):
    strangers = 0
    for row in log:
        people = by_email[row["email"]]
        if row["event"] == "processed" and len(people) == 1:
            if row["timestamp"] < world.lives.signs_up[people[0]] // 1000:
                assert "user_id" not in row
                strangers += 1
            else:
                assert (
                    row.get("user_id", world.people.user_id[people[0]].as_py())
                    == world.people.user_id[people[0]].as_py()
                )
    assert strangers > 0
    assert sum("user_id" in row for row in log) > 0.8 * len(log)


def test_there_are_few_mails(written):
    assert 5 < written[1].rows["sendgrid/events"] / (PEOPLE * DAYS / 365) < 25


def test_events_land(written, tmp_path):
    folder, report = written
    repeats = Counter(row["sg_event_id"] for _, row in rows_of(folder, "sendgrid/events"))
    assert 0.002 < 1 - len(repeats) / repeats.total() < 0.02
    assert_lands(folder, data=tmp_path / "data", source="sendgrid", rows=report.rows)


def test_the_same_seed_gives_the_same_bytes(written, tmp_path):
    write_sendgrid(small_world(), exports_to(tmp_path))
    assert bytes_of(tmp_path) == bytes_of(written[0])


@pytest.fixture(scope="module")
def ads(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("google_ads") / "inbox"
    report = write_google_ads(seed=7, period=PERIOD, clicks=count_clicks(world), exports=exports_to(folder))
    return folder, report


def test_clicks_are_counted_by_the_day_of_the_account():
    # In Los Angeles summer time ends on 2 November 2025 at 2:00, so that the day lasts from 07:00 to 08:00 UTC.
    begin = int(datetime(2025, 11, 1, tzinfo=UTC).timestamp() * 1000)
    visits = [(1, 6), (1, 8), (2, 6.99), (2, 7), (3, 7.99), (3, 8)]
    at = np.array([begin + int(((day - 1) * 24 + hour) * 3_600_000) for day, hour in visits])
    count = len(visits)
    world = SimpleNamespace(
        period=Period(start=begin, end=begin + 5 * DAY * 1000),
        events=SimpleNamespace(
            session=np.arange(count),
            at=at,
            is_landing=np.ones(count, bool),
            session_person=np.array([0, 0, 0, 0, 0, -1]),
            session_touch=np.full(count, words.BRAND_SEARCH),
        ),
    )
    counts = count_clicks(world)
    # 31 October, then 1 November and so on; the last visit is a robot's.
    assert counts[:, words.BRAND_SEARCH].tolist() == [1, 2, 2, 0, 0, 0]
    assert counts.sum() == 5


def test_every_day_is_reported_the_day_after_and_restated_three_days_later(ads):
    folder, _ = ads
    told = defaultdict(list)
    for day, row in rows_of(folder, "google_ads/campaign_daily"):
        told[row["segments.date"], row["campaign.name"]].append((day, row))
    for (local, _), rows in told.items():
        after = [(day - date.fromisoformat(local)).days for day, _ in rows]
        assert after in ([1, 4], [1])
        assert (after == [1]) == (date.fromisoformat(local) > FIRST_DAY + timedelta(days=DAYS - 5))
    changed = [rows for rows in told.values() if len({row["metrics.cost_micros"] for _, row in rows}) > 1]
    assert changed
    for path in (folder / "google_ads" / "campaign_daily").iterdir():
        assert path.read_text().split("\n", 1)[0] == ADS_HEADER


def test_clicks_are_at_least_the_visits_and_some_campaigns_bring_nobody(world, ads):
    clicks = count_clicks(world)
    rows = rows_of(ads[0], "google_ads/campaign_daily")
    by_campaign = {t.campaign: i for i, t in enumerate(words.TOUCHES) if t.channel in ("paid search", "display")}
    spent, claimed, clicked = Counter(), Counter(), Counter()
    for _, row in rows:
        name = row["campaign.name"]
        index = (date.fromisoformat(row["segments.date"]) - FIRST_DAY).days + 1
        touch = by_campaign.get(name, by_campaign[None] if name == "pricing_search" else None)
        if touch is not None:
            assert int(row["metrics.clicks"]) >= clicks[index, touch]
        assert int(row["metrics.impressions"]) >= 0
        spent[name] += int(row["metrics.cost_micros"])
        claimed[name] += float(row["metrics.conversions"])
        clicked[name] += int(row["metrics.clicks"])
    assert set(spent) == {"brand_search", "generic_search", "pricing_search", "awareness_banner", "brand_film"}
    assert min(spent.values()) > 0
    assert spent["awareness_banner"] > 0.05 * spent.total()
    people, signs_up = world.people, world.lives.signs_up
    seen = ~people.is_established & (people.touch == by_campaign["awareness_banner"])
    assert seen.any()
    assert not (signs_up[seen] < NEVER).any()
    assert {row["customer.time_zone"] for _, row in rows} == {"America/Los_Angeles"}
    # What Google gives itself credit for is more than there is.
    really = (people.touch == words.BRAND_SEARCH) & (signs_up >= START) & (signs_up < PERIOD.end)
    assert claimed["brand_search"] / 2 > really.sum() * 0.3


def test_campaigns_land(ads, tmp_path):
    folder, report = ads
    assert_lands(folder, data=tmp_path / "data", source="google_ads", rows=report.rows)


def test_campaigns_are_the_same_for_the_same_seed(ads, world, tmp_path):
    write_google_ads(seed=7, period=PERIOD, clicks=count_clicks(world), exports=exports_to(tmp_path))
    assert bytes_of(tmp_path) == bytes_of(ads[0])
