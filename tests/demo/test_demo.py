"""The demo company's exports: reproducible, in the vendors' shapes, consistent between systems, dirty as stated.

The shares below are the ones the brief of the demo states (1 % exact repeats, 3 % late, a few per cent robots);
their ranges are those a sample of this size can show.
"""

import filecmp
import json
import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from scipy.stats import fisher_exact

from dagster_project.demo.generate import SOURCES, generate_demo
from dagster_project.errors import ThroughlineError
from ml.sentiment import score_messages

UNTIL = date(2026, 6, 30)
PEOPLE, DAYS = 600, 90
SEGMENT = ("tracks", "pages", "identifies")
TABLES = {
    "segment": SEGMENT,
    "stripe": ("customers", "subscriptions", "invoices", "charges"),
    "zendesk": ("users", "tickets", "ticket_comments", "satisfaction_ratings"),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "inbox"
    return generate_demo(seed=7, people=PEOPLE, days=DAYS, until=UNTIL, out=out)


@pytest.fixture(scope="module")
def rows(demo):
    """Every line of every table with the day of its file; a line that is not JSON fails here."""
    return {
        (source, table): [
            (date.fromisoformat(path.stem), json.loads(line))
            for path in sorted((demo.out / source / table).glob("*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        for source, tables in TABLES.items()
        for table in tables
    }


def of(rows, source, table):
    return [row for _, row in rows[source, table]]


def calls(rows):
    return [pair for table in SEGMENT for pair in rows["segment", table]]


def instant(text):
    return datetime.fromisoformat(text)


def tree(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_generate_demo_gives_the_same_bytes_for_the_same_seed(tmp_path):
    one, two, other = (
        generate_demo(seed=seed, people=60, days=45, until=UNTIL, out=tmp_path / name)
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )
    files = tree(one.out)
    assert files == tree(two.out)
    assert one.rows == two.rows
    same, different, missing = filecmp.cmpfiles(one.out, two.out, files, shallow=False)
    assert (len(same), different, missing) == (len(files), [], [])
    same, _, _ = filecmp.cmpfiles(one.out, other.out, files, shallow=False)
    assert len(same) < 0.1 * len(files)


def test_report_counts_what_was_written(demo, rows):
    told = {f"{source}/{table}": len(lines) for (source, table), lines in rows.items()}
    assert {table: count for table, count in demo.rows.items() if table in told} == told
    assert {table.split("/")[0] for table in demo.rows} == set(SOURCES)
    assert all(count > 0 for count in demo.rows.values())
    assert demo.files == len(tree(demo.out))
    assert (demo.first_day, demo.last_day) == (UNTIL - timedelta(days=DAYS - 1), UNTIL)


def test_every_day_has_its_file(rows, demo):
    days = {demo.first_day + timedelta(days=n) for n in range(DAYS)}
    assert {day for day, _ in rows["segment", "pages"]} == days
    assert {day for day, _ in rows["segment", "tracks"]} == days
    for lines in rows.values():
        assert {day for day, _ in lines} <= days


def test_a_segment_file_holds_what_was_received_on_its_day(rows):
    for day, row in calls(rows):
        assert instant(row["receivedAt"]).date() == day


def test_a_stripe_or_zendesk_file_holds_what_changed_on_its_day(rows):
    for table, field in (("tickets", "updated_at"), ("ticket_comments", "created_at"), ("users", "updated_at")):
        for day, row in rows["zendesk", table]:
            assert instant(row[field]).date() == day
    for day, row in rows["stripe", "invoices"]:
        assert datetime.fromtimestamp(row["created"], tz=instant("2026-01-01T00:00:00Z").tzinfo).date() <= day


def test_a_stripe_object_comes_once_a_day_and_otherwise_only_as_an_exact_repeat(rows):
    for table in TABLES["stripe"]:
        versions = defaultdict(set)
        for day, row in rows["stripe", table]:
            versions[day, row["id"]].add(json.dumps(row))
        assert max(len(v) for v in versions.values()) == 1


def test_segment_calls_have_the_fields_of_the_spec(rows):
    uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    for table, kind in zip(SEGMENT, ("track", "page", "identify"), strict=True):
        for row in of(rows, "segment", table):
            assert row["type"] == kind
            assert uuid.fullmatch(row["anonymousId"])
            assert uuid.search(row["messageId"])
            assert {
                "messageId",
                "anonymousId",
                "userId",
                "context",
                "originalTimestamp",
                "sentAt",
                "receivedAt",
            } <= set(row)
            # Segment: timestamp = receivedAt - (sentAt - originalTimestamp).
            delay = instant(row["sentAt"]) - instant(row["originalTimestamp"])
            assert instant(row["timestamp"]) == instant(row["receivedAt"]) - delay
    assert all(row["event"] and isinstance(row["properties"], dict) for row in of(rows, "segment", "tracks"))
    assert all(row["name"] and row["properties"]["url"] for row in of(rows, "segment", "pages"))
    assert all(row["userId"] and "@" in row["traits"]["email"] for row in of(rows, "segment", "identifies"))


def test_shares_of_repeated_late_skewed_and_robot_calls(rows):
    seen, ids, late, skewed, no_agent, robots = Counter(), Counter(), 0, 0, 0, 0
    everything = calls(rows)
    for _, row in everything:
        seen[json.dumps(row)] += 1
        ids[row["messageId"]] += 1
        happened, received = instant(row["timestamp"]), instant(row["receivedAt"])
        late += happened.date() < received.date() and received - happened > timedelta(hours=12)
        skewed += abs(received - instant(row["sentAt"])) > timedelta(minutes=30)
        agent = row["context"].get("userAgent")
        no_agent += agent is None
        robots += bool(agent and re.search(r"bot\b|bot/|headless", agent, re.IGNORECASE))
    total = len(everything)
    assert 0.007 < sum(count - 1 for count in seen.values()) / total < 0.013
    assert 0.001 < (sum(c - 1 for c in ids.values()) - sum(c - 1 for c in seen.values())) / total < 0.006
    assert 0.02 < late / total < 0.045
    assert 0.01 < skewed / total < 0.09
    assert 0.001 < no_agent / total < 0.015
    assert 0.01 < robots / total < 0.06


def test_a_skewed_clock_is_off_by_the_same_hours_when_it_writes_and_sends(rows):
    """So that received - (sent - occurred) recovers the truth, which no late call may turn into a future one."""
    for _, row in calls(rows):
        assert instant(row["sentAt"]) >= instant(row["originalTimestamp"])
        assert instant(row["timestamp"]) <= instant(row["receivedAt"])


def test_people_browse_anonymously_before_they_are_identified(rows):
    first_known = {}
    for row in of(rows, "segment", "identifies"):
        at = instant(row["timestamp"])
        first_known[row["anonymousId"]] = min(at, first_known.get(row["anonymousId"], at))
    before = {
        row["anonymousId"]
        for row in of(rows, "segment", "pages")
        if row["userId"] is None
        and instant(row["timestamp"]) < first_known.get(row["anonymousId"], instant("2000-01-01T00:00Z"))
    }
    # Half of the people had an account when the exports began.
    assert len(before) > 0.2 * len(first_known)


def test_some_devices_are_shared_and_many_people_have_several(rows):
    users_of, devices_of = defaultdict(set), defaultdict(set)
    for _, row in calls(rows):
        if row["userId"]:
            users_of[row["anonymousId"]].add(row["userId"])
            devices_of[row["userId"]].add(row["anonymousId"])
    shared = sum(len(users) > 1 for users in users_of.values())
    assert 2 <= shared <= 0.05 * PEOPLE
    assert sum(len(devices) > 1 for devices in devices_of.values()) > 0.3 * len(devices_of)


def test_every_channel_brings_visitors(rows):
    pages = of(rows, "segment", "pages")
    queries = Counter(
        key for row in pages for key in re.findall(r"[?&](\w+)=", row["context"].get("page", {}).get("url", ""))
    )
    assert {"utm_source", "utm_medium", "utm_campaign", "gclid", "fbclid"} <= set(queries)
    # Some clicks lost their utm; the click id is all that is left.
    lost = [r for r in pages if "gclid=" in r["context"]["page"]["url"] and "utm_" not in r["context"]["page"]["url"]]
    assert lost
    sources = {row["context"]["campaign"]["source"] for row in pages if "campaign" in row["context"]}
    assert {"google", "facebook", "newsletter", "display_network", "chatgpt.com"} <= sources
    referrers = {row["context"]["page"]["referrer"] for row in pages}
    assert {"https://www.google.com/", "https://l.facebook.com/", "https://checkout.stripe.com/", ""} <= referrers


def test_some_addresses_leak_a_mailbox_for_landing_to_strip(rows):
    assert any("?email=" in row["properties"]["url"] for row in of(rows, "segment", "pages"))


def test_consent_is_granted_refused_withdrawn_and_unknown(rows):
    said = defaultdict(list)
    unknown = 0
    for row in sorted((row for _, row in calls(rows)), key=lambda row: row["timestamp"]):
        consent = row["context"].get("consent")
        if consent is None:
            unknown += 1
        else:
            said[row["anonymousId"]].append(consent["categoryPreferences"]["Analytics"])
    answers = Counter(tuple(dict.fromkeys(given)) for given in said.values())
    assert unknown
    assert answers[(True,)] > answers[(False,)] > 0
    assert answers[(True, False)] > 0


def test_stripe_ids_refer_to_objects_that_exist(rows):
    def ids(table):
        return {row["id"] for row in of(rows, "stripe", table)}

    customers, subscriptions, invoices = ids("customers"), ids("subscriptions"), ids("invoices")
    assert all(row["customer"] in customers for row in of(rows, "stripe", "subscriptions"))
    assert all(row["customer"] in customers for row in of(rows, "stripe", "invoices"))
    assert all(row["subscription"] in subscriptions for row in of(rows, "stripe", "invoices"))
    # What was charged before the exports began may be paid back after.
    begin = datetime(2026, 4, 2, tzinfo=UTC).timestamp()
    recent = [row for row in of(rows, "stripe", "charges") if row["invoice"] and row["created"] >= begin]
    assert all(row["invoice"] in invoices for row in recent)
    orders = {
        row["properties"]["order_id"] for row in of(rows, "segment", "tracks") if row["event"] == "Order Completed"
    }
    paid = [row["metadata"]["order_id"] in orders for row in of(rows, "stripe", "charges") if not row["invoice"]]
    assert len(paid) > 1_000
    # What a client that was offline bought is told of later.
    assert sum(paid) > 0.95 * len(paid)
    assert all(row["charge"] in ids("charges") for row in of(rows, "stripe", "invoices") if row["charge"])
    users = {row["userId"] for row in of(rows, "segment", "identifies")}
    known = [row["metadata"]["user_id"] in users for row in of(rows, "stripe", "customers")]
    # Who had an account and has not been there since is known to the billing alone.
    assert sum(known) > 0.85 * len(known)


def test_segment_and_stripe_agree_on_first_payments(rows):
    first = {
        row["id"]: row
        for row in of(rows, "stripe", "invoices")
        if row["billing_reason"] == "subscription_create" and row["status"] == "paid"
    }
    started = [row for row in of(rows, "segment", "tracks") if row["event"] == "Subscription Started"]
    assert len(started) > 40
    for row in started:
        invoice = first[row["properties"]["invoice_id"]]
        assert row["properties"]["revenue"] * 100 == invoice["amount_paid"]
        assert row["properties"]["currency"] == invoice["currency"].upper() == "USD"
        paid = datetime.fromtimestamp(invoice["status_transitions"]["paid_at"], tz=instant(row["timestamp"]).tzinfo)
        assert abs(paid - instant(row["timestamp"])) < timedelta(seconds=10)


def test_stripe_shows_renewals_failures_and_refunds(rows):
    invoices, charges = of(rows, "stripe", "invoices"), of(rows, "stripe", "charges")
    assert Counter(row["billing_reason"] for row in invoices)["subscription_cycle"] > 20
    assert {row["status"] for row in invoices} == {"open", "paid", "uncollectible"}
    assert {row["status"] for row in charges} == {"succeeded", "failed"}
    for row in charges:
        refunds = row["refunds"]["data"]
        assert sum(refund["amount"] for refund in refunds) == row["amount_refunded"] <= row["amount"]
        assert row["refunded"] == (row["amount_refunded"] == row["amount"])
    assert any(row["refunded"] for row in charges)
    assert {row["status"] for row in of(rows, "stripe", "subscriptions")} >= {"active", "canceled"}


def test_zendesk_ids_refer_to_objects_that_exist(rows):
    users = {row["id"]: row for row in of(rows, "zendesk", "users")}
    requester = {row["id"]: row["requester_id"] for row in of(rows, "zendesk", "tickets")}
    assert all(users[user]["role"] == "end-user" for user in requester.values())
    for row in of(rows, "zendesk", "ticket_comments"):
        is_agent = users[row["author_id"]]["role"] == "agent"
        assert is_agent or row["author_id"] == requester[row["ticket_id"]]
    for row in of(rows, "zendesk", "satisfaction_ratings"):
        assert row["requester_id"] == requester[row["ticket_id"]]
    assert {row["score"] for row in of(rows, "zendesk", "satisfaction_ratings")} == {"offered", "good", "bad"}


def test_tickets_are_solved_reopened_and_escalated(rows):
    history = defaultdict(list)
    for row in of(rows, "zendesk", "tickets"):
        history[row["id"]].append((row["updated_at"], row["status"], row["priority"]))
    statuses = [[status for _, status, _ in sorted(steps)] for steps in history.values()]
    reopened = [s for s in statuses if "solved" in s and "open" in s[s.index("solved") :]]
    assert 0.03 < len(reopened) / len(statuses) < 0.3
    assert any(priority == "urgent" for steps in history.values() for _, _, priority in steps)
    assert sum("solved" in s for s in statuses) > 0.7 * len(statuses)


def test_messages_vary_and_have_moods(rows):
    bodies = [row["body"] for row in of(rows, "zendesk", "ticket_comments")]
    assert len(set(bodies)) > 400
    assert not any(re.search(r"[{}]", body) for body in bodies)
    moods = Counter(score_messages(bodies)["label"].to_pylist())
    assert min(moods[mood] for mood in ("positive", "negative", "neutral")) > 0.08 * len(bodies)


def test_mailboxes_and_phones_are_reserved_ones(demo):
    mailbox = re.compile(r"(?:@|%40)([\w.-]+\w)")
    phone = re.compile(r"\+?1[ (-]*(\d{3})[ )-]*(\d{3})[ -]*(\d{4})\b")
    domains, numbers = Counter(), Counter()
    for path in tree(demo.out):
        content = (demo.out / path).read_text(encoding="utf-8")
        # The crawler's own contact address is part of its published user agent.
        domains.update(mailbox.findall(content.replace("claudebot@anthropic.com", "")))
        for field in re.findall(r'"phone":"([^"]+)"', content):
            numbers.update([phone.fullmatch(field).groups()[1:]])
    assert domains
    # SendGrid's message ids name its own machines.
    assert all(re.fullmatch(r"example\.(com|org|net)|.*\.example|ismtpd-\d", domain) for domain in domains)
    assert numbers
    assert all(exchange == "555" and line.startswith("01") for exchange, line in numbers)


def test_role_mailboxes_are_used_by_several_people(rows):
    users_of = defaultdict(set)
    for row in of(rows, "segment", "identifies"):
        users_of[row["traits"]["email"]].add(row["userId"])
    assert any(address.split("@")[0] in ("info", "office", "hello") for address in users_of)


def test_checkout_breaks_on_one_version_for_three_weeks(rows):
    """Fisher's exact test on checkouts of that version that were paid within ten minutes: in the weeks and around."""
    starts, ends = date(2026, 6, 1), date(2026, 6, 22)
    paid = defaultdict(list)
    for row in of(rows, "segment", "tracks"):
        if row["event"] in ("Subscription Started", "Order Completed"):
            paid[row["userId"]].append(instant(row["timestamp"]))
    table = Counter()
    for row in of(rows, "segment", "tracks"):
        app = row["context"].get("app", {}).get("version"), row["context"].get("os", {}).get("name")
        if row["event"] == "Checkout Started" and app == ("4.2.0", "Android"):
            at = instant(row["timestamp"])
            wins = any(timedelta(0) <= when - at < timedelta(minutes=10) for when in paid[row["userId"]])
            table[starts <= at.date() < ends, wins] += 1
    broken = table[True, True] / (table[True, True] + table[True, False])
    usual = table[False, True] / (table[False, True] + table[False, False])
    assert broken < 0.4 < 0.55 < usual
    assert (
        fisher_exact([[table[True, True], table[True, False]], [table[False, True], table[False, False]]]).pvalue < 1e-6
    )


@pytest.mark.parametrize(("people", "days", "seed"), [(5, 90, 7), (600, 10, 7), (600, 90, -1)])
def test_generate_demo_refuses_what_shows_nothing(tmp_path, people, days, seed):
    with pytest.raises(ThroughlineError, match="give"):
        generate_demo(seed=seed, people=people, days=days, until=UNTIL, out=tmp_path / "inbox")
    assert not (tmp_path / "inbox").exists()


def test_generate_demo_does_not_put_the_truth_into_the_inbox(tmp_path):
    with pytest.raises(ThroughlineError, match="--truth"):
        generate_demo(people=60, days=45, until=UNTIL, out=tmp_path / "inbox", truth=tmp_path / "inbox" / "truth")
    assert list(tmp_path.iterdir()) == []


def test_generate_demo_does_not_overwrite_a_truth(tmp_path):
    (tmp_path / "truth").mkdir()
    with pytest.raises(ThroughlineError, match="--truth"):
        generate_demo(people=60, days=45, until=UNTIL, out=tmp_path / "inbox", truth=tmp_path / "truth")
    assert [path.name for path in tmp_path.iterdir()] == ["truth"]


def test_generate_demo_does_not_overwrite_exports(tmp_path):
    (tmp_path / "stripe" / "charges").mkdir(parents=True)
    with pytest.raises(ThroughlineError, match="already exists"):
        generate_demo(people=60, days=45, until=UNTIL, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["stripe"]
