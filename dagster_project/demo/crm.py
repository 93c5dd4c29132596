"""People, companies and deals as HubSpot exports them: a daily CSV of what changed, as it was at the day's end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import laws, words
from dagster_project.demo.files import MS_PER_DAY, REPEATED_SHARE, Exports, clock, csv_lines, glue, pick, plain, where
from dagster_project.demo.life import CALL, MINUTE
from dagster_project.demo.marketing import unsubscribes
from dagster_project.demo.people import ALL_GRANTED, HOUR, NEVER, UNKNOWN, company_domain, company_name
from dagster_project.demo.world import World, Written

FIRST_CONTACT, FIRST_COMPANY, FIRST_DEAL = 101_000_001, 201_000_001, 301_000_001

# Versions that are exported a day or two late.
LATE_SHARE = 0.008
# Contacts tied to the product by its user id; the others only by their address.
EXTERNAL_ID_SHARE = 0.85
OTHER_EMAIL_SHARE = 0.5
ADDRESS_SHARE, BIRTH_DATE_SHARE = 0.94, 0.6
# Unsubscribes that never reach HubSpot, the integration having failed.
LOST_UNSUBSCRIBE_SHARE = 0.12
DEAL_SHARE = 0.35
# An open deal is given up after this long.
DEAL_PATIENCE_DAYS = 80
STAGES = (
    "Appointment Scheduled",
    "Qualified To Buy",
    "Presentation Scheduled",
    "Decision Maker Bought In",
    "Contract Sent",
    "Closed Won",
    "Closed Lost",
)
WON, LOST = 5, 6
SOURCES = {
    "organic search": "Organic Search",
    "paid search": "Paid Search",
    "paid social": "Paid Social",
    "display": "Other Campaigns",
    "email": "Email Marketing",
    "referral": "Referrals",
    "ai assistant": "AI Referrals",
    "organic social": "Organic Social",
    "direct": "Direct Traffic",
}
INDUSTRIES = ("Computer Software", "Construction", "Design", "Education Management", "Events Services", "Retail")
EMPLOYEES = np.array([5, 12, 25, 40, 80, 150, 400])


def contact_ids(number: np.ndarray) -> pa.Array:
    """HubSpot's record ids of contacts, by the people's numbers."""
    return plain(FIRST_CONTACT + number)


def company_ids(company_number: np.ndarray) -> pa.Array:
    """HubSpot's record ids of companies; null for who has none."""
    return where(company_number >= 0, plain(FIRST_COMPANY + company_number))


def write_hubspot(world: World, exports: Exports) -> Written:
    """Write contacts, companies and deals; what existed before is in the file of the first day."""
    rng = world.stream("hubspot")
    crm = _Crm(world, rng)
    written, rows = _write_contacts(crm, exports=exports)
    rows |= {"hubspot/companies": _write_companies(crm, exports=exports)}
    rows |= {"hubspot/deals": _write_deals(crm, exports=exports)}
    return Written(rows=rows, identifiers=written)


class _Crm:
    """When HubSpot comes to know what happened to each person; NEVER where it does not."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        lives, people, count = world.lives, world.people, len(world.people)
        self.world, self.rng, self.count = world, rng, count
        self.has_contact = lives.signs_up < NEVER
        subscriptions = lives.subscriptions
        self.starts, self.ends = np.full(count, NEVER), np.full(count, NEVER)
        self.plan = np.full(count, -1)
        self.starts[subscriptions.person] = subscriptions.starts
        self.ends[subscriptions.person] = subscriptions.ends
        self.plan[subscriptions.person] = subscriptions.plan
        before = np.minimum(np.minimum(lives.signs_up, self.starts) - 45 * MS_PER_DAY, world.period.start - MS_PER_DAY)
        self.created = np.where(people.is_established, before, lives.signs_up + 2 * MINUTE)
        self.becomes_customer = self.starts + self.lag(3 * MINUTE, 2 * HOUR)
        self.churns = self.ends + self.lag(3 * MINUTE, 2 * HOUR)
        self.gives_up = lives.gives_up + self.lag(3 * MINUTE, 2 * HOUR)
        call = lives.touch_kind == laws.ONBOARDING_CALL
        self.called = np.full(count, NEVER)
        self.called[lives.touch_person[call]] = lives.touch_at[call]
        self.called += self.lag(30 * MINUTE, 90 * MINUTE)
        lost = rng.random(count) < LOST_UNSUBSCRIBE_SHARE
        self.unsubscribed = np.where(lost, NEVER, unsubscribes(world) + self.lag(20 * HOUR, 28 * HOUR))

    def lag(self, low: int, high: int) -> np.ndarray:
        """A delay for everyone, in milliseconds."""
        return self.rng.integers(low, high, self.count)

    def chance(self, share: float) -> np.ndarray:
        """Flags for everyone."""
        return self.rng.random(self.count) < share


def _versions(crm: _Crm, *, thing: np.ndarray, at: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose the last version of each day, a few of them exported late or twice.

    Parameters
    ----------
    thing : numpy.ndarray
        What each row is a version of.
    at, known : numpy.ndarray
        When the version came into being, and when it can be exported first.

    Returns
    -------
    rows : numpy.ndarray
        The versions to write, in order of day.
    day : numpy.ndarray
        The day of each.
    """
    rng, period = crm.rng, crm.world.period
    day = (known - period.start) // MS_PER_DAY
    inside = np.flatnonzero((known >= period.start) & (known < period.end))
    order = inside[np.lexsort((inside, at[inside], day[inside], thing[inside]))]
    same = (thing[order][1:] == thing[order][:-1]) & (day[order][1:] == day[order][:-1])
    rows = order[np.append(~same, True)] if len(order) else order
    shown = day[rows] + (rng.random(len(rows)) < LATE_SHARE) * rng.integers(1, 3, len(rows))
    rows, shown = rows[shown < period.days], shown[shown < period.days]
    sort = np.lexsort((at[rows], shown))
    sort = np.repeat(sort, 1 + (rng.random(len(sort)) < REPEATED_SHARE))
    return rows[sort], shown[sort]


def _write(exports: Exports, table: str, *, fields: Mapping[str, pa.Array | str], day: np.ndarray) -> int:
    files = exports.open("hubspot", table, header=list(fields))
    files.write(day=day, lines=csv_lines(fields))
    files.close()
    return files.rows


def _spelled(rng: np.random.Generator, phone: pa.Array) -> pa.Array:
    """Telephone numbers as people type them, each person in one way."""
    area, rest = pc.utf8_slice_codeunits(phone, 2, 5), pc.utf8_slice_codeunits(phone, 8, 12)
    way = rng.choice(4, len(phone), p=[0.4, 0.3, 0.2, 0.1])
    spelled = where(way == 1, glue("+1 (", area, ") 555-", rest), phone)
    spelled = where(way == 2, glue("+1 ", area, " 555 ", rest), spelled)
    return where(way == 3, glue("001-", area, "-555-", rest), spelled)


def _write_contacts(crm: _Crm, *, exports: Exports) -> tuple[list[tuple[str, np.ndarray, pa.Array]], dict[str, int]]:
    """Write a version whenever stage, lead status, consent or telephone change, or a call is logged."""
    world, people, rng, count = crm.world, crm.world.people, crm.rng, crm.count
    lives, period = world.lives, world.period
    everyone = np.arange(count)
    is_old = crm.created < period.start
    calls = np.flatnonzero(lives.contact_kind == CALL)
    called, called_at = lives.contact_person[calls], lives.contact_at[calls] + 20 * MINUTE
    has_phone = pc.is_valid(people.phone).to_numpy(zero_copy_only=False)
    gets_phone = np.where(has_phone & (people.phone_from > period.start), people.phone_from, NEVER)
    drops_phone = np.where(has_phone, people.phone_until, NEVER)
    changes = (
        crm.becomes_customer,
        crm.churns,
        crm.gives_up,
        crm.called,
        crm.unsubscribed,
        gets_phone + crm.lag(HOUR, 3 * MS_PER_DAY),
        drops_phone + crm.lag(HOUR, 5 * MS_PER_DAY),
        # Somebody corrects something: an address, an owner.
        crm.created + (rng.exponential(900, count) * MS_PER_DAY).astype(np.int64),
    )
    # What is there already when the exports begin was last changed some time before.
    edited = period.start - (rng.uniform(0.2, 250, count) * MS_PER_DAY).astype(np.int64)
    known_before = [np.where(c < period.start, c, 0) for c in (crm.created, crm.becomes_customer, crm.churns, edited)]
    first = np.where(is_old, np.max(known_before, axis=0), crm.created)
    person = np.concatenate([everyone, np.tile(everyone, len(changes)), called])
    at = np.concatenate([first, *changes, called_at])
    known = np.concatenate([np.where(is_old, period.start, crm.created), *changes, called_at])
    exists = crm.has_contact[person] & (known >= np.where(is_old, period.start, crm.created)[person])
    person, at, known = person[exists], at[exists], known[exists]
    rows, day = _versions(crm, thing=person, at=at, known=known)
    person, at, known = person[rows], at[rows], known[rows]
    is_tied = crm.chance(EXTERNAL_ID_SHARE)
    uses_other = is_tied & crm.chance(OTHER_EMAIL_SHARE)
    email = pc.coalesce(where(uses_other, people.other_email), people.email)
    email = where(crm.chance(0.04), _capitalised(email), email)
    email = where(is_tied & crm.chance(0.02), None, email)
    user_id = where(is_tied, people.user_id)
    phone = _spelled(rng, people.phone)
    mobile = where(crm.chance(0.3), _spelled(rng, people.phone))
    in_mobile_only = crm.chance(0.1)
    has_address, has_birth_date, has_owner = (crm.chance(share) for share in (ADDRESS_SHARE, BIRTH_DATE_SHARE, 0.7))
    is_marketing = (people.consent == ALL_GRANTED) | ((people.consent == UNKNOWN) & crm.chance(0.6))
    owner = where(has_owner & (people.company_number >= 0), pick(words.AGENTS, people.number % len(words.AGENTS)))
    is_mine = (known >= people.phone_from[person]) & (known < people.phone_until[person])
    is_customer, is_gone = known >= crm.becomes_customer[person], known >= crm.churns[person]
    of = pa.array(person)
    source, detail = _original_source()
    fields = {
        "Record ID": contact_ids(people.number[person]),
        "First Name": people.first_name.take(of),
        "Last Name": people.last_name.take(of),
        "Email": email.take(of),
        "Phone Number": where(is_mine, where(in_mobile_only, None, phone).take(of)),
        "Mobile Phone Number": where(is_mine, where(in_mobile_only, phone, mobile).take(of)),
        "Date of birth": where(has_birth_date, people.birth_date).take(of),
        "Street Address": where(has_address, people.street).take(of),
        "City": where(has_address, people.town).take(of),
        "State/Region": "",
        "Postal Code": where(has_address, people.postcode).take(of),
        "Country/Region": pick([z.country for z in words.ZONES], people.zone[person]),
        "Lifecycle Stage": where(is_gone, "Churned Customer", where(is_customer, "Customer", "Lead")),
        "Lead Status": where(
            is_customer,
            None,
            where(
                known >= crm.gives_up[person],
                "Unqualified",
                where(known >= crm.called[person], "Connected", "New"),
            ),
        ),
        "Marketing contact status": where(is_marketing[person], "Marketing contact", "Non-marketing contact"),
        "Unsubscribed from all email": where(known >= crm.unsubscribed[person], "Yes", "No"),
        "Original Source": pick(source, people.touch[person]),
        "Original Source Drill-Down 1": pick(detail, people.touch[person]),
        "Contact owner": owner.take(of),
        "Associated Company IDs": company_ids(people.company_number[person]),
        "Associated Company": people.company.take(of),
        "External user ID": user_id.take(of),
        "Create Date": clock(crm.created[person]),
        "Last Modified Date": clock(at),
        "Last Activity Date": clock(_last_activity(crm, person=person, at=known)),
    }
    written = _write(exports, "contacts", fields=fields, day=day)
    seen, shown = np.unique(person), np.unique(person[is_mine])
    identifiers = [
        ("hubspot_contact", seen, contact_ids(people.number[seen])),
        ("user_id", seen, user_id.take(pa.array(seen))),
        ("email", seen, email.take(pa.array(seen))),
        ("phone", shown, phone.take(pa.array(shown))),
        ("phone", shown, where(in_mobile_only, None, mobile).take(pa.array(shown))),
    ]
    return identifiers, {"hubspot/contacts": written}


def _capitalised(email: pa.Array) -> pa.Array:
    return glue(pc.utf8_upper(pc.utf8_slice_codeunits(email, 0, 1)), pc.utf8_slice_codeunits(email, 1))


def _original_source() -> tuple[list[str | None], list[str | None]]:
    """How HubSpot names each of the touches, and the campaign or the site behind it."""
    hosts = [t.referrer.split("/")[2] if t.referrer else None for t in words.TOUCHES]
    return [SOURCES[t.channel] for t in words.TOUCHES], [
        t.campaign or host for t, host in zip(words.TOUCHES, hosts, strict=True)
    ]


def _last_activity(crm: _Crm, *, person: np.ndarray, at: np.ndarray) -> np.ndarray:
    """When each person's last call before an instant was; -1 if there was none."""
    lives = crm.world.lives
    talks, calls = lives.contact_kind == CALL, lives.touch_kind == laws.ONBOARDING_CALL
    who = np.concatenate([lives.contact_person[talks], lives.touch_person[calls]])
    when = np.concatenate([lives.contact_at[talks], lives.touch_at[calls]])
    span = crm.world.period.end + 400 * MS_PER_DAY
    keys = np.sort(who.astype(np.int64) * span + when)
    place = np.searchsorted(keys, person.astype(np.int64) * span + at, side="right") - 1
    found = keys[np.maximum(place, 0)] if len(keys) else np.full(len(person), -1)
    return np.where((place >= 0) & (found // span == person), found % span, -1)


def _write_companies(crm: _Crm, *, exports: Exports) -> int:
    """Write companies when their first contact is made, when one of theirs becomes a customer, when all have left."""
    people, period = crm.world.people, crm.world.period
    member = np.flatnonzero(crm.has_contact & (people.company_number >= 0))
    number, of = np.unique(people.company_number[member], return_inverse=True)
    count = len(number)
    created, customer = np.full(count, NEVER), np.full(count, NEVER)
    np.minimum.at(created, of, crm.created[member] - MINUTE)
    np.minimum.at(customer, of, crm.becomes_customer[member])
    churned = np.full(count, 0)
    np.maximum.at(churned, of, np.where(crm.starts[member] < NEVER, crm.churns[member], 0))
    churned = np.where(churned > customer, churned, NEVER)
    # The first contact's home stands for the company's.
    home = np.empty(count, np.int64)
    oldest_last = np.argsort(-crm.created[member], kind="stable")
    home[of[oldest_last]] = member[oldest_last]
    is_old = created < period.start
    known = np.concatenate([np.where(is_old, period.start, created), customer, churned])
    at = np.concatenate([np.where(customer < period.start, customer, created), customer, churned])
    at = np.where(np.tile(churned, 3) <= known, np.tile(churned, 3), at)
    thing = np.tile(np.arange(count), 3)
    rows, day = _versions(crm, thing=thing, at=at, known=known)
    thing, at, known = thing[rows], at[rows], known[rows]
    company, where_to = number[thing], home[thing]
    is_customer, is_gone = known >= customer[thing], known >= churned[thing]
    fields = {
        "Record ID": company_ids(company),
        "Company name": company_name(company),
        "Company Domain Name": where(company % 16 != 3, company_domain(company)),
        "Industry": pick(INDUSTRIES, company % len(INDUSTRIES)),
        "Number of Employees": where(company % 7 != 5, plain(EMPLOYEES[company % len(EMPLOYEES)])),
        "City": people.town.take(pa.array(where_to)),
        "Country/Region": pick([z.country for z in words.ZONES], people.zone[where_to]),
        "Lifecycle Stage": where(is_gone, "Churned Customer", where(is_customer, "Customer", "Lead")),
        "Company owner": where(company % 3 != 0, pick(words.AGENTS, company % len(words.AGENTS))),
        "Create Date": clock(created[thing]),
        "Last Modified Date": clock(at),
    }
    return _write(exports, "companies", fields=fields, day=day)


def _write_deals(crm: _Crm, *, exports: Exports) -> int:
    """Write deals with some people of companies: stages at the salesperson's pace, won or lost as the trial goes.

    Who gets a deal is drawn among those on trial some days after they signed up. The subscriptions of some established
    customers began with a deal too.
    """
    world, people, rng = crm.world, crm.world.people, crm.rng
    lives, period, count = world.lives, world.period, crm.count
    is_old = people.is_established & (crm.starts < NEVER)
    opened = lives.signs_up + crm.lag(MS_PER_DAY, 6 * MS_PER_DAY)
    on_trial = (opened < crm.starts) & (opened < lives.gives_up) & (lives.signs_up < NEVER) & ~people.is_established
    opened = np.where(is_old, crm.starts - crm.lag(5 * MS_PER_DAY, 40 * MS_PER_DAY), opened)
    sold = (people.company_number >= 0) & crm.chance(DEAL_SHARE) & (is_old | on_trial)
    gives_up = np.where(crm.gives_up < NEVER, crm.gives_up, opened + DEAL_PATIENCE_DAYS * MS_PER_DAY)
    lost = np.minimum(gives_up, opened + DEAL_PATIENCE_DAYS * MS_PER_DAY)
    is_won = is_old | (crm.becomes_customer <= lost)
    closed = np.where(is_won, crm.becomes_customer, lost)
    pace = (rng.exponential(6, (WON - 1, count)) + 0.2) * MS_PER_DAY
    steps = opened + np.vstack([np.zeros(count), np.cumsum(pace, axis=0)]).astype(np.int64)
    thing = np.concatenate([np.tile(np.arange(count), WON), np.arange(count)])
    at = np.concatenate([steps.ravel(), closed])
    place = np.repeat(np.arange(WON + 1), count)
    is_closing = place == WON
    alive = sold[thing] & (is_closing | (at < closed[thing]))
    thing, at, place, is_closing = thing[alive], at[alive], place[alive], is_closing[alive]
    # Of what happened before the exports begin, the last state is in the first file.
    rows, day = _versions(crm, thing=thing, at=at, known=np.maximum(at, period.start))
    thing, at, place, is_closing = thing[rows], at[rows], place[rows], is_closing[rows]
    stage = np.where(is_closing, np.where(is_won[thing], WON, LOST), place)
    quoted = rng.choice(len(words.PLANS), count, p=[0.3, 0.5, 0.2])
    plan = np.where(stage == WON, crm.plan[thing], quoted[thing])
    has_amount = crm.chance(0.7)[thing] | (place > 1)
    expected = opened + rng.integers(20, 45, count) * MS_PER_DAY
    fields = {
        "Record ID": plain(FIRST_DEAL + people.number[thing]),
        "Deal Name": glue(
            people.company.take(pa.array(thing)), " - ", pick([p.name for p in words.PLANS], quoted[thing])
        ),
        "Deal Stage": pick(STAGES, stage),
        "Pipeline": where(stage >= 0, "Sales Pipeline"),
        "Amount": where(has_amount, plain(np.array([p.cents for p in words.PLANS])[plan] * 12 // 100)),
        "Currency": where(has_amount, "USD"),
        "Close Date": clock(np.where(is_closing, at, expected[thing])),
        "Deal owner": pick(words.AGENTS, people.number[thing] % len(words.AGENTS)),
        "Associated Contact IDs": contact_ids(people.number[thing]),
        "Associated Company IDs": company_ids(people.company_number[thing]),
        "Create Date": clock(opened[thing]),
        "Last Modified Date": clock(at),
    }
    return _write(exports, "deals", fields=fields, day=day)
