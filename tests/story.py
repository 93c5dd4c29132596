"""A small world told by hand, for which every expected number can be worked out on paper.

Everybody lives in March 2026 in India (UTC+5:30), so that weeks are cut at 18:30 UTC on Sundays, and the
run looks at it as of the end of 31 March. Each person is there for one rule.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

# The day in the name of each table's file, where it is not the last but one.
EXPORTED = {"zendesk/tickets": "2026-03-10"}
SPREADSHEETS = {"hubspot/contacts", "nps/responses", "reviews/reviews"}
BROWSER = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
)
AS_OF = "2026-03-31"
TIMEZONE = "Asia/Kolkata"

# Where a session comes from: utm_source, utm_medium, query of the address, referrer -> channel by channel_rules.
ENTRIES = {
    "paid search": ("google", "cpc", "", "https://www.google.com/"),
    "paid search by click id": (None, None, "?gclid=abc123", "https://www.google.com/"),
    "paid social by click id": (None, None, "?fbclid=abc123", "https://l.facebook.com/"),
    "organic search": (None, None, "", "https://www.google.co.in/"),
    "organic social": (None, None, "", "https://www.linkedin.com/feed"),
    "email": ("newsletter", "email", "", None),
    "referral": (None, None, "", "https://blog.partner.example/review"),
    "ai assistant": (None, None, "", "https://chatgpt.com/"),
    "direct": (None, None, "", None),
    "direct from own page": (None, None, "", "https://www.lumen.example/features"),
    "direct after paying": (None, None, "", "https://checkout.stripe.com/pay/cs_1"),
}

# User agents and hosts -> traffic class.
VISITORS = {
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "bot",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +openai.com/gptbot)": "ai_agent",
    "Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)": "ai_agent",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)": "bot",
    "": "unknown",
    BROWSER: "human",
}


def at(text: str) -> datetime:
    """An instant of March 2026, as ``day hour:minute[:second]`` in UTC."""
    day, clock = text.split(" ")
    hour, minute, second = ([int(part) for part in clock.split(":")] + [0])[:3]
    return datetime(2026, 3, 1, hour, minute, second, tzinfo=UTC) + timedelta(days=int(day) - 1)


def iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Story:
    """Writes the exports of the world, one call at a time."""

    def __init__(self) -> None:
        self.lines: dict[str, list[dict]] = defaultdict(list)
        self.calls = 0

    def call(
        self,
        kind: str,
        when: datetime,
        *,
        device: str | None = None,
        user: str | None = None,
        received: datetime | None = None,
        clock_off: timedelta = timedelta(),
        message: str | None = None,
        entry: str = "direct",
        agent: str = BROWSER,
        host: str = "www.lumen.example",
        consent: dict[str, bool] | None = None,
        **fields: object,
    ) -> None:
        self.calls += 1
        received = received or when + timedelta(seconds=1)
        source, medium, query, referrer = ENTRIES[entry]
        context: dict[str, object] = {
            "page": {"url": f"https://{host}/{query}", "referrer": referrer},
            "userAgent": agent or None,
        }
        if source:
            context["campaign"] = {"source": source, "medium": medium}
        if consent is not None:
            context["consent"] = {"categoryPreferences": consent}
        self.lines[f"segment/{kind}s"].append(
            {
                "messageId": message or f"m{self.calls:04d}",
                "type": kind,
                "anonymousId": device,
                "userId": user,
                "context": context,
                "originalTimestamp": iso(when + clock_off),
                "sentAt": iso(received + clock_off),
                "receivedAt": iso(received),
                **fields,
            }
        )

    def page(self, when: datetime, name: str = "Blog", **fields: object) -> None:
        self.call("page", when, name=name, **fields)  # type: ignore[arg-type]

    def track(self, event: str, when: datetime, **fields: object) -> None:
        self.call("track", when, event=event, **fields)  # type: ignore[arg-type]

    def invoice(
        self, user: str, when: datetime, *, invoice: str, amount: int, reason: str = "subscription_cycle"
    ) -> None:
        """A paid invoice, over cents of a dollar, as the payment provider exports it."""
        paid = int(when.timestamp())
        self.lines["stripe/invoices"].append(
            {
                "id": invoice,
                "object": "invoice",
                "created": paid,
                "customer": f"cus_{user}",
                "customer_email": f"{user}@example.com",
                "currency": "usd",
                "amount_paid": amount,
                "amount_due": amount,
                "total": amount,
                "billing_reason": reason,
                "status": "paid",
                "metadata": {"user_id": user},
                "status_transitions": {"paid_at": paid},
                "subscription": None if reason == "manual" else f"sub_{user}",
            }
        )

    def refund(self, user: str, when: datetime, *, charge: str, amount: int) -> None:
        """A charge that was paid back whole, over cents of a dollar."""
        refunded = int(when.timestamp())
        self.lines["stripe/charges"].append(
            {
                "id": charge,
                "object": "charge",
                "created": refunded - 86400,
                "customer": f"cus_{user}",
                "currency": "usd",
                "amount": amount,
                "amount_refunded": amount,
                "refunded": True,
                "refunds": {"data": [{"id": f"re_{charge}", "amount": amount, "created": refunded}]},
                "status": "succeeded",
                "metadata": {"user_id": user},
            }
        )

    def mail(self, event: str, when: datetime, *, address: str, user: str | None = None) -> None:
        """What happened to an e-mail, as the mailing service posts it."""
        lines = self.lines["sendgrid/events"]
        lines.append(
            {
                "email": address,
                "timestamp": int(when.timestamp()),
                "event": event,
                "sg_event_id": f"mail-{len(lines)}",
                "sg_message_id": f"message-{address}",
                "asm_group_id": 1,
                "user_id": user,
            }
        )

    def contact(self, user: str, changed: datetime, *, record: int, is_unsubscribed: bool) -> None:
        """A contact of the CRM, created on 1 March."""
        self.lines["hubspot/contacts"].append(
            {
                "Record ID": record,
                "Email": f"{user}@example.com",
                "External user ID": user,
                "Marketing contact status": "Marketing contact",
                "Unsubscribed from all email": "Yes" if is_unsubscribed else "No",
                "Create Date": "2026-03-01 09:00",
                "Last Modified Date": f"{changed:%Y-%m-%d %H:%M}",
            }
        )

    def answer(self, user: str, when: datetime, *, score: int) -> None:
        """An answer to the question whether one would recommend the company, from 0 to 10."""
        answers = self.lines["nps/responses"]
        answers.append(
            {
                "Response ID": f"answer-{len(answers)}",
                "Email": f"{user}@example.com",
                "Score": score,
                "Survey Sent At": iso(when - timedelta(hours=1)),
                "Responded At": iso(when),
                "User ID": user,
            }
        )

    def review(self, user: str, when: datetime, *, stars: int) -> None:
        """A review under the writer's own address."""
        reviews = self.lines["reviews/reviews"]
        reviews.append(
            {
                "Review ID": f"review-{len(reviews)}",
                "Platform": "g2",
                "Author Email": f"{user}@example.com",
                "Rating": stars,
                "Posted At": iso(when),
            }
        )

    def ticket(self, requester: int, when: datetime, *, ticket: int) -> None:
        """A ticket that nobody has answered."""
        self.lines["zendesk/tickets"].append(
            {
                "id": ticket,
                "requester_id": requester,
                "created_at": iso(when),
                "updated_at": iso(when),
                "status": "new",
                "via": {"channel": "web"},
                "description": "Where do I find my plans?",
            }
        )

    def write(self, inbox: Path) -> None:
        for table, rows in self.lines.items():
            folder = inbox / table
            folder.mkdir(parents=True, exist_ok=True)
            day = EXPORTED.get(table, "2026-03-30")
            if table in SPREADSHEETS:
                with (folder / f"{day}.csv").open("w", newline="") as file:
                    writer = csv.DictWriter(file, rows[0])
                    writer.writeheader()
                    writer.writerows(rows)
            else:
                (folder / f"{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def tell() -> Story:
    """Everybody's story."""
    story = Story()

    # Sessions. dev-gap: 29:59 stays, 30:00 opens a new one. dev-late: two sessions that a late event joins.
    for clock in ("2 10:00:00", "2 10:29:59", "2 10:59:59"):
        story.page(at(clock), device="dev-gap")
    story.page(at("2 10:00"), device="dev-late")
    story.page(at("2 10:50"), device="dev-late")
    story.page(at("2 10:25"), device="dev-late", received=at("5 04:00"))
    # dev-gap also chats, in the half hour that cuts its visit in two.
    story.lines["chat/conversations"].append(
        {
            "id": "chat-gap",
            "started_at": iso(at("2 10:40")),
            "ended_at": iso(at("2 10:50")),
            "page_url": "https://www.lumen.example/blog",
            "visitor": {"anonymous_id": "dev-gap"},
            "messages": [{"at": iso(at("2 10:40")), "from": "visitor", "text": "I love your blog!"}],
        }
    )
    # dev-long: a page every 20 minutes for 30 hours is cut once, 24 hours after it began.
    for number in range(91):
        story.page(at("3 00:00") + timedelta(minutes=20 * number), device="dev-long")

    # A family tablet: nobody is known at first, then Dora logs in, then Emil.
    story.page(at("4 08:00"), device="tablet", message="tablet-nobody")
    story.track("Feature Used", at("4 09:00"), device="tablet", user="dora")
    story.page(at("4 09:10"), device="tablet", message="tablet-dora")
    story.track("Feature Used", at("4 12:00"), device="tablet", user="emil")
    story.page(at("4 12:10"), device="tablet", message="tablet-emil")

    # Anonymous browsing before the sign-up belongs to who signs up; a clock two hours ahead is put right.
    story.page(at("4 09:00"), device="dev-finn", message="finn-before")
    story.track("Signed Up", at("4 10:00"), device="dev-finn", user="finn", message="finn-signs")
    story.page(at("4 11:00"), device="dev-finn", clock_off=timedelta(hours=2), message="finn-ahead")

    # Consent. Gita allows it at 11:00 only; Hugo takes it back later; Iris never says a word.
    story.page(at("5 10:00"), device="dev-gita", consent={"Analytics": False}, message="gita-refuses")
    story.page(at("5 11:00"), device="dev-gita", consent={"Analytics": True}, message="gita-allows")
    story.page(at("5 10:00"), device="dev-hugo", consent={"Analytics": True}, message="hugo-allows")
    story.page(
        at("5 12:00"), device="dev-hugo", consent={"Analytics": False, "Advertising": True}, message="hugo-withdraws"
    )
    story.page(at("5 10:00"), device="dev-iris", message="iris")

    # The same call again: word for word, and with other words, delivered later.
    story.track("Feature Used", at("6 10:00"), device="dev-jana", user="jana", message="twice")
    story.lines["segment/tracks"].append(dict(story.lines["segment/tracks"][-1]))
    story.track(
        "Project Created", at("6 10:00"), device="dev-jana", user="jana", message="twice", received=at("6 15:00")
    )

    # One conversion, reported by the website and by the payment provider.
    story.track(
        "Subscription Started",
        at("7 10:00"),
        device="dev-kim",
        user="kim",
        message="kim-subscribes",
        properties={"invoice_id": "in_kim", "revenue": 49.0, "currency": "USD"},
    )
    story.invoice("kim", at("7 10:00:05"), invoice="in_kim", amount=4900, reason="subscription_create")

    # Where people come from, and who is no person.
    for number, entry in enumerate(ENTRIES):
        story.page(at("9 10:00"), device=f"dev-entry-{number}", entry=entry, message=f"entry {entry}")
        story.page(at("9 10:05"), device=f"dev-entry-{number}", message=f"entry {entry} goes on")
    story.track("Feature Used", at("9 12:00"), user="uma", entry="email", message="server with campaign")
    story.track("Feature Used", at("9 12:10"), user="uma", message="server without")
    for number, agent in enumerate(VISITORS):
        story.page(at("10 10:00"), device=f"dev-visitor-{number}", agent=agent, message=f"visitor {number}")
    story.page(at("10 10:00"), device="dev-staging", host="staging.lumen.example", message="visitor staging")
    for second in range(61):
        story.page(at("10 11:00") + timedelta(seconds=second), device="dev-fast", message=f"fast {second}")

    _trials(story)
    _other_journeys(story)
    _answers(story)
    return story


def _trials(story: Story) -> None:
    """Attempts at trial_to_paid (window 30 days), all but one in the week of Monday 9 March, Indian time."""

    def does(user: str, event: str, clock: str, **fields: object) -> None:
        story.track(event, at(clock), device=f"dev-{user}", user=user, **fields)

    # Sunday 8 March 18:30 UTC is Monday 00:00 in India; one second earlier is still the week before.
    does("lena", "Trial Started", "8 18:30:00")
    does("lena", "Project Created", "9 10:00")
    does("lena", "Feature Used", "9 11:00")
    does("lena", "Checkout Started", "11 10:00")
    does("lena", "Subscription Started", "11 10:30", properties={"revenue": 49, "currency": "USD"})
    does("mona", "Trial Started", "8 18:29:59")
    does("mona", "Trial Cancelled", "9 10:00")
    # Nils cancels and tries again: two attempts. Olga starts twice within one attempt.
    does("nils", "Trial Started", "9 10:00")
    does("nils", "Project Created", "9 12:00")
    does("nils", "Trial Cancelled", "10 10:00")
    does("nils", "Trial Started", "12 10:00")
    does("olga", "Trial Started", "9 10:00")
    does("olga", "Trial Started", "10 10:00")
    does("olga", "Trial Cancelled", "11 10:00")
    # Paul skips to the checkout and is still there; Rosa converts after skipping it.
    does("paul", "Trial Started", "9 10:00")
    does("paul", "Checkout Started", "9 10:10")
    does("rosa", "Trial Started", "9 10:00")
    does("rosa", "Subscription Started", "9 10:20", properties={"revenue": 19, "currency": "USD"})
    # Sven's window of 30 days closes on 1 April at 10:00, after the run; Tara's closed exactly when she
    # starts again.
    does("sven", "Trial Started", "2 10:00")
    story.track("Trial Started", at("1 00:00") - timedelta(days=10), device="dev-tara", user="tara")
    does("tara", "Trial Started", "21 00:00")


def _other_journeys(story: Story) -> None:
    """Attempts at onboarding, checkout, renewal, returns, advocacy and support, each with its own people."""

    def does(user: str, event: str, clock: str, **fields: object) -> None:
        story.track(event, at(clock), device=f"dev-{user}", user=user, **fields)

    # Onboarding, window 14 days. Omar is through in an hour; Pia's window has passed; Quin's has not.
    does("omar", "Signed Up", "1 10:00")
    does("omar", "Onboarding Step Viewed", "1 10:01", properties={"step": "profile"})
    does("omar", "Profile Completed", "1 10:05")
    does("omar", "Project Created", "1 10:20")
    does("omar", "Onboarding Step Viewed", "1 10:30", properties={"step": "import"})
    does("omar", "Plan Imported", "1 11:00")
    does("omar", "Feature Used", "2 09:00")
    does("omar", "Teammate Invited", "2 10:00")
    does("pia", "Signed Up", "10 10:00")
    does("pia", "Profile Completed", "10 10:05")
    does("quin", "Signed Up", "20 10:00")

    # Checkout, window 1 day. Cara gives up after entering her card and is back two days later to buy a pack.
    does("cara", "Checkout Started", "12 10:00")
    does("cara", "Checkout Step Viewed", "12 10:01", properties={"step": 1})
    does("cara", "Checkout Step Completed", "12 10:02", properties={"step": 1})
    does("cara", "Payment Info Entered", "12 10:05", properties={"step": 2})
    does("cara", "Form Error", "12 10:06", properties={"form": "payment", "error_code": "card_declined"})
    does("cara", "Checkout Started", "14 10:00")
    does("cara", "Order Completed", "14 10:10", properties={"order_id": "pack-1", "revenue": 29, "currency": "USD"})
    # A pack that is billed on an invoice of its own renews nothing.
    story.invoice("cara", at("14 10:11"), invoice="in_pack", amount=2900, reason="manual")

    # Returns, window 30 days. Cara's money comes back; Rolf is refused; Ruth is waiting.
    does("cara", "Return Requested", "16 09:00", properties={"order_id": "pack-1", "reason": "not needed"})
    does("cara", "Return Approved", "17 09:00", properties={"order_id": "pack-1"})
    story.refund("cara", at("18 09:00"), charge="ch_cara", amount=2900)
    does("rolf", "Return Requested", "11 10:00")
    does("rolf", "Return Rejected", "13 10:00")
    does("ruth", "Return Requested", "20 10:00")

    # Renewal, window 38 days; February has 28. Rita pays month after month: each payment ends one attempt and
    # starts the next. Stan cancels. Tom's next payment never came.
    story.invoice(
        "rita", at("1 10:00") - timedelta(days=40), invoice="in_r1", amount=1900, reason="subscription_create"
    )
    story.invoice("rita", at("1 10:00") - timedelta(days=9), invoice="in_r2", amount=1900)
    does("rita", "Feature Used", "10 08:00")
    story.invoice("rita", at("20 10:00"), invoice="in_r3", amount=1900)
    story.invoice("stan", at("1 10:00"), invoice="in_s1", amount=1900, reason="subscription_create")
    does("stan", "Subscription Cancelled", "9 10:00", properties={"subscription_id": "sub_stan"})
    story.invoice("tom", at("1 10:00") - timedelta(days=20), invoice="in_t1", amount=1900, reason="subscription_create")

    # Advocacy, window 90 days: Rita sends a referral, after a webinar.
    does("rita", "Webinar Attended", "22 10:00")
    does("rita", "Referral Sent", "25 10:00")

    # Tess's first review is none to recommend, her second is. Uwe would recommend, and two weeks later would not.
    for user in ("tess", "uwe"):
        story.invoice(user, at("1 10:00"), invoice=f"in_{user}", amount=1900, reason="subscription_create")
    story.review("tess", at("10 10:00"), stars=2)
    story.review("tess", at("15 10:00"), stars=4)
    story.answer("uwe", at("5 10:00"), score=9)
    story.answer("uwe", at("20 10:00"), score=6)

    # Support, window 14 days; but the desk's last export is of 10 March. Of Wanda's ticket it could no longer tell.
    story.ticket(1, at("5 10:00"), ticket=1)


def _answers(story: Story) -> None:
    """Who allowed what, and took it back where; and who came how far."""
    everything = {"Analytics": True, "Advertising": True, "Personalization": True}

    # Ines leaves the mailing list; her browser goes on repeating what she once told the banner.
    story.page(at("5 10:00"), device="dev-ines", user="ines", consent=everything, message="ines-before")
    story.mail("delivered", at("6 08:00"), address="ines@example.com", user="ines")
    story.mail("unsubscribe", at("12 10:00"), address="ines@example.com")
    story.page(at("13 10:00"), device="dev-ines", user="ines", consent=everything, message="ines-after")
    # Jon leaves it and comes back.
    story.mail("delivered", at("2 08:00"), address="jon@example.com", user="jon")
    story.page(at("7 10:00"), device="dev-jon", user="jon", consent={"Advertising": True}, message="jon-before")
    story.mail("group_unsubscribe", at("8 10:00"), address="jon@example.com")
    story.page(at("10 10:00"), device="dev-jon", user="jon", message="jon-between")
    story.mail("group_resubscribe", at("12 10:00"), address="jon@example.com")
    story.page(at("14 10:00"), device="dev-jon", user="jon", message="jon-after")
    # Lars tells the sales people. Maud is a record in the CRM and nothing else.
    story.page(at("14 10:00"), device="dev-lars", user="lars", consent=everything, message="lars-before")
    story.contact("lars", at("15 09:00"), record=1, is_unsubscribed=True)
    story.page(at("16 10:00"), device="dev-lars", user="lars", consent=everything, message="lars-after")
    story.contact("maud", at("1 09:00"), record=2, is_unsubscribed=False)

    # Vera cancels and is back with a pack three days later.
    story.invoice("vera", at("1 10:00"), invoice="in_v1", amount=1900, reason="subscription_create")
    for event, clock, properties in (
        ("Subscription Cancelled", "5 10:00", {"subscription_id": "sub_vera"}),
        ("Order Completed", "8 10:00", {"order_id": "pack-2", "revenue": 29, "currency": "USD"}),
    ):
        story.track(event, at(clock), device="dev-vera", user="vera", properties=properties)


class Told:
    """The warehouse after the story; its rows are found by the words of the story, the message ids.

    Attributes
    ----------
    data : Path
        The run's data folder.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.connection = duckdb.connect(str(data / "warehouse.duckdb"), read_only=True)

    def rows(self, query: str, *parameters: object) -> list[tuple]:
        return self.connection.execute(query, list(parameters)).fetchall()

    def one(self, query: str, *parameters: object) -> tuple:
        found = self.rows(query, *parameters)
        assert len(found) == 1, f"{len(found)} rows: {found[:5]}"
        return found[0]

    def event(self, message: str, columns: str) -> tuple:
        """Columns of the timeline's event that a message id became."""
        return self.one(
            f"""
            select {columns} from timeline.customer_events
            where event_id = (select event_id from timeline.event_keys where event_key = ?)
            """,
            message,
        )

    def token(self, user: str) -> str:
        """The token of a user of the story, made with Python's own hmac."""
        key = (self.data / "key").read_bytes()
        digest = hmac.new(key, f"user_id|app|{user}".encode(), hashlib.sha256).hexdigest()
        return f"user_id:app:{digest[:32]}"

    def person(self, user: str) -> str:
        """The person a user of the story became."""
        (person,) = self.one("select person_id from identity.identifiers where identifier = ?", self.token(user))
        return str(person)
