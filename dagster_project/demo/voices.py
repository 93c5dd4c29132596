"""What people say when they are asked once a quarter, and what some say in public."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import laws, words
from dagster_project.demo.files import (
    MS_PER_DAY,
    Exports,
    clock,
    csv_lines,
    glue,
    pick,
    plain,
    where,
    write_rows,
)
from dagster_project.demo.life import PAYING
from dagster_project.demo.people import HOUR, WEEK, local_moment
from dagster_project.demo.speech import (
    MIXED,
    MIXED_SHARE,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    WRONG_RATING_SHARE,
    Planned,
    about,
    spelt_phone,
    typed,
    voice_themes,
)
from dagster_project.demo.world import World, Written

IDS_PER_BLOCK = 10_000_000
WEEKS_PER_QUARTER = 13
LATE_SHARE = 0.03

SURVEY_COLUMNS = (
    "Response ID",
    "Email",
    "Name",
    "Phone Number",
    "Score",
    "Comment",
    "Question",
    "Locale",
    "Survey Sent At",
    "Responded At",
    "User ID",
)
# By the level of the week: the share that answers, and the score they are around; a contact the week before costs.
ANSWERED = np.array([0.20, 0.29, 0.35])
SCORES = np.array([5.6, 7.5, 8.9])
SCORE_AFTER_CONTACT, SCORE_SPREAD = -1.7, 1.7
COMMENT_SHARE = 0.55

REVIEW_COLUMNS = (
    "Review ID",
    "Platform",
    "Author Handle",
    "Author Email",
    "Rating",
    "Title",
    "Body",
    "Language",
    "URL",
    "Posted At",
    "In Reply To",
    "Order Reference",
)
# Share that posts in a quarter, and the stars they are around, by the level of the week before.
POSTS = np.array([0.0, 0.006, 0.015])
STARS = np.array([2.6, 3.4, 4.4])
STARS_AFTER_CONTACT, STARS_SPREAD = -0.8, 0.9
PLATFORMS = ("trustpilot", "g2", "capterra", "app_store", "google_play", "x", "reddit", "linkedin")
PLATFORM_SHARES = np.array([0.26, 0.20, 0.10, 0.08, 0.12, 0.12, 0.08, 0.04])
STORES, SOCIAL = (3, 4), (5, 6, 7)
AUTHOR_EMAIL_SHARE, NO_BODY_SHARE, CHANGED_SHARE = 0.10, 0.06, 0.05

# Mood (columns) of those who are unhappy, so-so, happy (rows), before some are mixed.
_MOODS = np.zeros((3, 4))
_MOODS[0, [NEGATIVE, NEUTRAL]] = 0.85, 0.15
_MOODS[1, [POSITIVE, NEGATIVE, NEUTRAL]] = 0.40, 0.20, 0.40
_MOODS[2, [POSITIVE, NEUTRAL]] = 0.85, 0.15


def _moods(rng: np.random.Generator, happiness: np.ndarray) -> np.ndarray:
    """Moods of people who are unhappy, so-so or happy (0, 1, 2)."""
    mood = laws.draw(rng, _MOODS[happiness])
    return np.where(rng.random(len(mood)) < MIXED_SHARE, MIXED, mood)


def _paying(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Person, Monday, and contact of the week before, of all weeks of people who pay."""
    panel, period = world.lives.panel, world.period
    rows = np.flatnonzero((panel.phase == PAYING) & (panel.monday >= period.start) & (panel.monday < period.end))
    return panel.person[rows], panel.monday[rows], rows


@dataclass(frozen=True, kw_only=True)
class _Surveys:
    """One row per survey that was sent, in order of time; unanswered ones are answered at NEVER."""

    person: np.ndarray
    sent: np.ndarray
    is_answered: np.ndarray
    answered: np.ndarray
    score: np.ndarray
    theme: np.ndarray
    mood: np.ndarray
    has_comment: np.ndarray


def _surveys(world: World) -> _Surveys:
    """Everybody who pays is asked once in thirteen weeks, every week some of them."""
    rng, lives, people, period = world.stream("nps plan"), world.lives, world.people, world.period
    person, monday, row = _paying(world)
    due = (monday // WEEK + people.number[person] * 5) % WEEKS_PER_QUARTER == 0
    person, monday, row = person[due], monday[due], row[due]
    count = len(person)
    day = monday + rng.choice(3, count, p=[0.3, 0.5, 0.2]) * MS_PER_DAY + MS_PER_DAY
    sent = day + 9 * HOUR + rng.integers(0, 30, count) * 60_000 - people.offset[person]
    level = lives.levels[(monday - lives.mondays[0]) // WEEK, person].clip(0)
    contacted = lives.panel.contacted[row]
    score = SCORES[level] + SCORE_AFTER_CONTACT * contacted + rng.normal(0, SCORE_SPREAD, count)
    score = np.clip(np.round(score), 0, 10).astype(np.int64)
    mood = _moods(rng, np.digitize(score, [6.5, 8.5]))
    # Some take 0 for the best.
    score = np.where(rng.random(count) < WRONG_RATING_SHARE, 10 - score, score)
    is_answered = rng.random(count) < ANSWERED[level]
    answered = sent + np.minimum(rng.lognormal(2.4, 1.2, count) * HOUR, 12 * MS_PER_DAY).astype(np.int64)
    has_comment = is_answered & (rng.random(count) < COMMENT_SHARE)
    theme = voice_themes(rng, count)
    order = np.argsort(sent, kind="stable")
    order = order[(sent[order] < period.end) & (sent[order] < lives.active_until[person[order]])]
    return _Surveys(
        person=person[order],
        sent=sent[order] // 1000 * 1000,
        is_answered=is_answered[order],
        answered=answered[order] // 1000 * 1000,
        score=score[order],
        theme=theme[order],
        mood=mood[order],
        has_comment=has_comment[order],
    )


def plan_surveys(world: World) -> Planned:
    """Comments to surveys with the theme and the mood meant; ``at`` is when they were answered."""
    surveys = _surveys(world)
    told = surveys.has_comment & (surveys.answered < world.period.end)
    return Planned(
        person=surveys.person[told], at=surveys.answered[told], theme=surveys.theme[told], mood=surveys.mood[told]
    )


def write_nps(world: World, exports: Exports) -> Written:
    """Write surveys: a row when one is sent, and again when it is answered."""
    surveys, rng, people = _surveys(world), world.stream("nps"), world.people
    count, of = len(surveys.person), pa.array(surveys.person)
    speech = about(rng, world, person=surveys.person, at=surveys.answered, theme=surveys.theme, mood=surveys.mood)
    comment = where(surveys.has_comment, typed(rng, speech.say("survey"), sloppy=0.15, lower=0.2))
    has_phone, has_id, has_name = (rng.random(count) < share for share in (0.5, 0.85, 0.9))
    phone = where(has_phone, spelt_phone(rng, people.phone_at(surveys.person, surveys.sent)))
    email, user_id = people.email.take(of), where(has_id, people.user_id.take(of))
    fields = {
        "Response ID": glue("NPS-", plain(10_000 + world.block * IDS_PER_BLOCK + np.arange(count))),
        "Email": email,
        "Name": where(has_name, people.name.take(of)),
        "Phone Number": phone,
        "Score": where(surveys.is_answered, plain(surveys.score)),
        "Comment": comment,
        "Question": glue(
            "How likely are you to recommend Lumen to a friend or colleague, ", people.first_name.take(of), "?"
        ),
        "Locale": pick([zone.locale for zone in words.ZONES], people.zone[surveys.person]),
        "Survey Sent At": clock(surveys.sent, to="seconds"),
        "Responded At": where(surveys.is_answered, clock(surveys.answered, to="seconds")),
        "User ID": user_id,
    }
    nothing = pa.nulls(count, pa.string())
    sent = csv_lines({**fields, "Score": nothing, "Comment": nothing, "Responded At": nothing})
    answers = np.flatnonzero(surveys.is_answered)
    late = np.where(rng.random(len(answers)) < LATE_SHARE, rng.integers(MS_PER_DAY, 5 * MS_PER_DAY, len(answers)), 0)
    files = exports.open("nps", "responses", header=SURVEY_COLUMNS)
    write_rows(
        pa.concat_arrays([sent, csv_lines(fields).take(pa.array(answers))]),
        at=np.concatenate([surveys.sent, surveys.answered[answers] + late]),
        start=world.period.start,
        end=world.period.end,
        rng=rng,
        files=files,
    )
    # Surveys sent before the first day are not in the files.
    told = surveys.sent >= world.period.start
    named = [("email", email), ("phone", phone), ("user_id", user_id)]
    return Written(
        rows={"nps/responses": files.rows},
        identifiers=[(kind, surveys.person[told], values.filter(pa.array(told))) for kind, values in named],
    )


@dataclass(frozen=True, kw_only=True)
class _Reviews:
    """One row per review or mention, in order of time; ``known`` is when it was found."""

    person: np.ndarray
    posted: np.ndarray
    known: np.ndarray
    platform: np.ndarray
    stars: np.ndarray
    theme: np.ndarray
    mood: np.ndarray
    has_body: np.ndarray


def _reviews(world: World) -> _Reviews:
    rng, lives, people, period = world.stream("reviews plan"), world.lives, world.people, world.period
    person, monday, row = _paying(world)
    level, contacted = lives.panel.level[row], lives.panel.contacted[row]
    posts = rng.random(len(person)) < POSTS[level] / WEEKS_PER_QUARTER
    person, monday, level, contacted = person[posts], monday[posts], level[posts], contacted[posts]
    count = len(person)
    day = monday + (rng.random(count) * WEEK).astype(np.int64)
    posted = local_moment(rng, day_ms=day, offset=people.offset[person], evening=0.5)
    stars = STARS[level] + STARS_AFTER_CONTACT * contacted + rng.normal(0, STARS_SPREAD, count)
    stars = np.clip(np.round(stars), 1, 5).astype(np.int64)
    mood = _moods(rng, np.digitize(stars, [2.5, 3.5]))
    stars = np.where(rng.random(count) < WRONG_RATING_SHARE, 6 - stars, stars)
    has_app = world.devices.app[person] >= 0
    shares = np.broadcast_to(PLATFORM_SHARES, (count, len(PLATFORMS))).copy()
    shares[np.ix_(~has_app, STORES)] = 0
    platform = laws.draw(rng, shares / shares.sum(axis=1, keepdims=True))
    is_social = np.isin(platform, SOCIAL)
    has_body = is_social | (rng.random(count) >= NO_BODY_SHARE)
    known = posted + (rng.random(count) * 1.5 * MS_PER_DAY).astype(np.int64)
    theme = voice_themes(rng, count)
    order = np.argsort(posted, kind="stable")
    order = order[(posted[order] >= period.start) & (known[order] < period.end)]
    return _Reviews(
        person=person[order],
        posted=posted[order] // 1000 * 1000,
        known=known[order],
        platform=platform[order],
        stars=np.where(is_social, -1, stars)[order],
        theme=theme[order],
        mood=mood[order],
        has_body=has_body[order],
    )


def plan_reviews(world: World) -> Planned:
    """Reviews and mentions with the theme and the mood meant."""
    reviews = _reviews(world)
    told = reviews.has_body
    return Planned(
        person=reviews.person[told], at=reviews.posted[told], theme=reviews.theme[told], mood=reviews.mood[told]
    )


def write_reviews(world: World, exports: Exports) -> Written:
    """Write reviews and mentions when they are found, a few again when their stars change."""
    reviews, rng, people = _reviews(world), world.stream("reviews"), world.people
    count, of = len(reviews.person), pa.array(reviews.person)
    is_social, is_store = np.isin(reviews.platform, SOCIAL), np.isin(reviews.platform, STORES)
    speech = about(rng, world, person=reviews.person, at=reviews.posted, theme=reviews.theme, mood=reviews.mood)
    short = is_store & (rng.random(count) < 0.6)
    body = where(is_social, speech.say("mention"), where(short, speech.say("survey"), speech.say("review")))
    body = where(reviews.has_body, typed(rng, body, sloppy=0.15, lower=np.where(is_social, 0.35, 0.08)))
    has_title = ~is_social & (rng.random(count) < 0.9)
    title = where(has_title, typed(rng, speech.say("review title"), sloppy=0.08))
    email = where(~is_social & (rng.random(count) < AUTHOR_EMAIL_SHARE * 1.3), people.email.take(of))
    platform = pick(PLATFORMS, reviews.platform)
    number = plain(70_000 + world.block * IDS_PER_BLOCK + np.arange(count))
    review_id = glue(pick([p[:2] for p in PLATFORMS], reviews.platform), "-", number)
    replies = np.isin(reviews.platform, SOCIAL[:2]) & (rng.random(count) < 0.2)
    fields = {
        "Review ID": review_id,
        "Platform": platform,
        "Author Handle": _handles(rng, world, reviews.person),
        "Author Email": email,
        "Rating": where(reviews.stars > 0, plain(reviews.stars)),
        "Title": title,
        "Body": body,
        "Language": "en",
        "URL": glue("https://", platform, ".example/lumen/", review_id),
        "Posted At": clock(reviews.posted, to="seconds"),
        "In Reply To": where(replies, glue("post-", plain(rng.integers(10_000, 99_999, count)))),
        "Order Reference": _orders(rng, world, reviews),
    }
    changed = np.flatnonzero((reviews.stars > 0) & (rng.random(count) < CHANGED_SHARE))
    stars = (reviews.stars - 1 + rng.integers(1, 5, count)) % 5 + 1
    anew = csv_lines({**fields, "Rating": plain(stars)}).take(pa.array(changed))
    later = reviews.known[changed] + rng.integers(3 * MS_PER_DAY, 30 * MS_PER_DAY, len(changed))
    files = exports.open("reviews", "reviews", header=REVIEW_COLUMNS)
    write_rows(
        pa.concat_arrays([csv_lines(fields), anew]),
        at=np.concatenate([reviews.known, later]),
        start=world.period.start,
        end=world.period.end,
        rng=rng,
        files=files,
    )
    return Written(rows={"reviews/reviews": files.rows}, identifiers=[("email", reviews.person, email)])


def _handles(rng: np.random.Generator, world: World, person: np.ndarray) -> pa.Array:
    """Names on a platform: some tell who it is, some do not."""
    first, last = (names.take(pa.array(person)) for names in (world.people.first_name, world.people.last_name))
    initial = pc.utf8_slice_codeunits(last, 0, 1)
    number = plain(rng.integers(2, 99, len(person)))
    animal = pick(words.COMPANY_FIRST, rng.integers(0, len(words.COMPANY_FIRST), len(person)))
    spellings = (
        glue(first, " ", initial, "."),
        glue(pc.utf8_lower(first), pc.utf8_lower(initial), number),
        glue(animal, "_", number),
        glue(first, " ", last),
    )
    return pc.choose(pa.array(rng.choice(4, len(person), p=[0.35, 0.3, 0.25, 0.1])), *spellings)


def _orders(rng: np.random.Generator, world: World, reviews: _Reviews) -> pa.Array:
    """First invoices, where the review site was told them."""
    subscriptions = world.lives.subscriptions
    place = np.full(len(world.people), -1)
    place[subscriptions.person] = np.arange(len(subscriptions.person))
    told = (reviews.platform == 0) & (rng.random(len(reviews.person)) < 0.3)
    # The first invoice of those who paid before the exports begin is in none of them.
    of = place[reviews.person]
    told &= (of >= 0) & (subscriptions.starts[np.maximum(of, 0)] >= world.period.start)
    return pick(subscriptions.first_invoice_id, np.where(told, of, -1))
