"""The language of the demo's customers and agents: a grammar whose sentences depend on theme, mood and outcome.

A rule is a list of alternatives, or a table of such lists by theme, mood or outcome. In an alternative ``{name}``
stands for another rule or for a fact of the message (its writer's name, the month), ``{this|that}`` for one of several,
and ``^`` makes the next letter a capital. Alternatives are drawn for all messages at once, without a loop over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import words
from dagster_project.demo.files import MS_PER_DAY, glue, pick, where
from dagster_project.demo.laws import draw
from dagster_project.demo.life import within
from dagster_project.demo.people import WEEK
from dagster_project.demo.phrases import RULES, By
from dagster_project.demo.world import World

POSITIVE, NEGATIVE, MIXED, NEUTRAL = range(4)
MOODS = ("positive", "negative", "mixed", "neutral")
HELPED, UNHELPED, WAITING = range(3)
OUTCOMES = ("helped", "unhelped", "waiting")

# Of messages with a mood, those that are mixed; of the others that come with a rating, those that are rated the wrong
# way round: together 15 %.
MIXED_SHARE = 0.10
WRONG_RATING_SHARE = 0.055
SECOND_THEME_SHARE = 0.12
# Of people whose import is stuck or was confused, those who ask about just that in their first weeks.
IMPORT_SHARE = 0.6
IMPORT_WEEKS = 3


class Planned(NamedTuple):
    """Messages as they are meant: writers by their place in the block, instants, numbers of THEMES and of MOODS."""

    person: np.ndarray
    at: np.ndarray
    theme: np.ndarray
    mood: np.ndarray


class Theme(NamedTuple):
    """What messages are about.

    Shares are among contacts of people on trial, contacts of people who pay, and what people say unasked in surveys and
    reviews; moods are the shares of positive, negative and neutral contacts.
    """

    name: str
    trial: float
    paying: float
    voice: float
    moods: tuple[float, float, float]


THEMES = (
    Theme("billing", 0.08, 0.21, 0.09, (0.08, 0.56, 0.36)),
    Theme("checkout", 0.05, 0.01, 0.02, (0.03, 0.72, 0.25)),
    Theme("login", 0.17, 0.10, 0.03, (0.10, 0.50, 0.40)),
    Theme("performance", 0.12, 0.19, 0.16, (0.07, 0.66, 0.27)),
    Theme("how to", 0.26, 0.15, 0.03, (0.44, 0.08, 0.48)),
    Theme("feature request", 0.12, 0.16, 0.14, (0.50, 0.14, 0.36)),
    Theme("cancellation", 0.05, 0.07, 0.03, (0.20, 0.40, 0.40)),
    Theme("sync", 0.07, 0.09, 0.08, (0.06, 0.68, 0.26)),
    Theme("import", 0.08, 0.02, 0.04, (0.12, 0.56, 0.32)),
    Theme("pricing", 0.0, 0.0, 0.12, (0.20, 0.40, 0.40)),
    Theme("ease of use", 0.0, 0.0, 0.16, (0.60, 0.20, 0.20)),
    Theme("support", 0.0, 0.0, 0.10, (0.50, 0.35, 0.15)),
)
(
    BILLING,
    CHECKOUT,
    LOGIN,
    PERFORMANCE,
    HOW_TO,
    FEATURE_REQUEST,
    CANCELLATION,
    SYNC,
    IMPORT,
    PRICING,
    EASE,
    SUPPORT,
) = range(len(THEMES))
# The first themes are what people ask about; the others what they speak of unasked.
CONTACT_THEMES = IMPORT + 1
THEME_NAMES = tuple(theme.name for theme in THEMES)
# FEATURES_USED as a sentence needs them.
FEATURE_NOUNS = ("board", "timeline", "gantt chart", "comment view", "calendar", "automation page", "report page",
                 "export", "file list")  # fmt: skip
# Names of the keys that rules are tabled by.
KEYS = {"theme": THEME_NAMES, "second": THEME_NAMES, "mood": MOODS, "outcome": OUTCOMES}

MISSPELLINGS = (
    ("receive", "recieve"),
    ("because", "becuase"),
    ("definitely", "definately"),
    ("cannot", "cant"),
    ("does not", "doesnt"),
    ("separate", "seperate"),
    ("invoice", "invocie"),
    ("please", "pls"),
    ("the ", "teh "),
    ("I am", "im"),
    ("It is", "its"),
    ("their", "thier"),
    ("calendar", "calender"),
    ("which", "wich"),
)


class _Choice(NamedTuple):
    """One of several alternatives, each a sequence of parts; ``plain`` are their texts where none has more in it."""

    alternatives: tuple[tuple[_Part, ...], ...]
    plain: pa.Array | None


class _Name(NamedTuple):
    """A rule or a fact."""

    name: str


_Part: TypeAlias = "str | _Choice | _Name"


def _choice(alternatives: Sequence[tuple[_Part, ...]]) -> _Choice:
    is_plain = all(len(a) == 0 or (len(a) == 1 and isinstance(a[0], str)) for a in alternatives)
    texts = pa.array([str(a[0]) if a else "" for a in alternatives], pa.string()) if is_plain else None
    return _Choice(tuple(alternatives), texts)


def _parse(line: str, at: int = 0, *, closing: str = "") -> tuple[list[tuple[_Part, ...]], int]:
    """Read alternatives up to the closing brace (or the end); returns them and where reading stopped."""
    alternatives: list[tuple[_Part, ...]] = []
    parts: list[_Part] = []
    start = at
    while True:
        letter = line[at] if at < len(line) else ""
        if letter == "{" or letter == closing or (letter == "|" and closing):
            if at > start:
                parts.append(line[start:at])
            if letter == "{":
                inner, at = _parse(line, at + 1, closing="}")
                is_name = len(inner) == 1 and len(inner[0]) == 1 and isinstance(inner[0][0], str)
                parts.append(_Name(str(inner[0][0])) if is_name else _choice(inner))
            else:
                alternatives.append(tuple(parts))
                parts = []
                if letter == closing:
                    return alternatives, at
        at += 1
        start = at if letter in ("{", "|", closing) else start


@lru_cache(maxsize=1)
def _grammar() -> dict[str, _Choice | tuple[str, list[_Choice]]]:
    """The rules, read."""

    def read(lines: Sequence[str]) -> _Choice:
        return _choice([_parse(line)[0][0] for line in lines])

    return {
        name: (rule.key, [read(rule.table[value]) for value in KEYS[rule.key]]) if isinstance(rule, By) else read(rule)
        for name, rule in RULES.items()
    }


@dataclass(frozen=True, kw_only=True)
class Speech:
    """Messages about to be worded: one row each.

    Attributes
    ----------
    rng : numpy.random.Generator
        Draws the words.
    facts : dict
        Texts to be named in them.
    keys : dict
        Theme, second theme, mood and outcome of each, as numbers.
    """

    rng: np.random.Generator
    facts: Mapping[str, pa.Array]
    keys: Mapping[str, np.ndarray]

    def say(self, rule: str, rows: np.ndarray | None = None) -> pa.Array:
        """Word a rule for all messages, or for some rows of them."""
        if rows is None:
            rows = np.arange(len(next(iter(self.keys.values()))))
        return _tidy(self._say(_Name(rule), rows))

    def ending(self, outcome: np.ndarray | int) -> Speech:
        """The same messages, but with another outcome."""
        count = len(self.keys["theme"])
        return replace(self, keys={**self.keys, "outcome": np.broadcast_to(outcome, count)})

    def _say(self, part: _Part, rows: np.ndarray) -> pa.Array:
        if isinstance(part, str):
            return pa.repeat(part, len(rows))
        if isinstance(part, _Choice):
            return self._choose(part, rows)
        if part.name in self.facts:
            return self.facts[part.name].take(pa.array(rows))
        rule = _grammar()[part.name]
        if isinstance(rule, _Choice):
            return self._choose(rule, rows)
        key, tables = rule
        return self._grouped(self.keys[key][rows], tables, rows)

    def _choose(self, choice: _Choice, rows: np.ndarray) -> pa.Array:
        alternatives = choice.alternatives
        drawn = self.rng.integers(0, len(alternatives), len(rows))
        if choice.plain is not None:
            return choice.plain.take(pa.array(drawn))
        return self._grouped(drawn, alternatives, rows)

    def _grouped(self, group: np.ndarray, makers: Sequence[_Choice | tuple[_Part, ...]], rows: np.ndarray) -> pa.Array:
        """Word each group of rows by its own maker; rows keep their order."""
        order = np.argsort(group, kind="stable")
        bounds = np.searchsorted(group[order], np.arange(len(makers) + 1))
        said = [pa.array([], pa.string())]
        for maker, low, high in zip(makers, bounds[:-1], bounds[1:], strict=True):
            if high > low:
                mine = rows[order[low:high]]
                parts = [maker] if isinstance(maker, _Choice) else maker
                said.append(self._glued(parts, mine))
        place = np.empty(len(rows), np.int64)
        place[order] = np.arange(len(rows))
        return pa.concat_arrays(said).take(pa.array(place))

    def _glued(self, parts: Sequence[_Part], rows: np.ndarray) -> pa.Array:
        if not parts:
            return pa.repeat("", len(rows))
        if len(parts) == 1:
            return self._say(parts[0], rows)
        return glue(*(part if isinstance(part, str) else self._say(part, rows) for part in parts))


def _tidy(lines: pa.Array) -> pa.Array:
    """Capitals where they were marked; no blank before another, a mark of punctuation or the end of a line."""
    if not len(lines):
        return lines
    offsets, data = _bytes(lines)
    marks = data == ord("^")
    letter = np.append(False, marks[:-1]) & (data - ord("a") < 26)
    data[letter] -= 32
    lines = _from_bytes(offsets, data, kept=~marks)
    offsets, data = _bytes(lines)
    following = np.append(data[1:], np.uint8(32))
    useless = (data == ord(" ")) & np.isin(following, np.frombuffer(b" .,;?!\n", np.uint8))
    return pc.utf8_trim_whitespace(_from_bytes(offsets, data, kept=~useless))


def _bytes(lines: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and a copy of the bytes of texts without nulls."""
    offsets = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset : lines.offset + len(lines) + 1]
    data = np.frombuffer(lines.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].copy()
    return offsets - offsets[0], data


def _from_bytes(offsets: np.ndarray, data: np.ndarray, *, kept: np.ndarray | None = None) -> pa.Array:
    """Texts of the bytes, some of them left out."""
    if kept is not None:
        offsets = np.append(0, np.cumsum(kept))[offsets]
        data = data[kept]
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))
    )


def typed(rng: np.random.Generator, lines: pa.Array, *, sloppy: float, lower: float | np.ndarray = 0.0) -> pa.Array:
    """Type texts as people do.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws who slips and where.
    lines : pyarrow.Array
        Texts; those with a mailbox in them stay as they are.
    sloppy : float
        Share of texts with slips: words misspelt, letters swapped, no full stop at the end.
    lower : float or numpy.ndarray
        Share of texts without capitals, or its chance for each text.
    """
    count = len(lines)
    if not count:
        return lines
    has_mailbox = pc.match_substring(lines, "@").to_numpy(zero_copy_only=False)
    luck = rng.random(count)
    sloppy_rows = np.flatnonzero((luck < sloppy) & ~has_mailbox)
    slips = lines.take(pa.array(sloppy_rows))
    for right, wrong in MISSPELLINGS:
        slips = where(rng.random(len(slips)) < 0.5, pc.replace_substring(slips, right, wrong), slips)
    stops = rng.random(len(slips)) < 0.4
    slips = where(stops, pc.utf8_rtrim(slips, characters="."), slips)
    slips = _swap_letters(rng, slips)
    place = np.arange(count)
    place[sloppy_rows] = count + np.arange(len(sloppy_rows))
    lines = pa.concat_arrays([lines, slips]).take(pa.array(place))
    return where((rng.random(count) < lower) & ~has_mailbox, pc.utf8_lower(lines), lines)


def _swap_letters(rng: np.random.Generator, lines: pa.Array) -> pa.Array:
    """Swap two neighbouring small letters at a random place of each text, where there are such."""
    if not len(lines):
        return lines
    offsets, data = _bytes(lines)
    length = np.diff(offsets)
    at = offsets[:-1] + (rng.random(len(lines)) * np.maximum(length - 1, 1)).astype(np.int64)
    at = at[length > 3]
    both = (data[at] - ord("a") < 26) & (data[at + 1] - ord("a") < 26)
    at = at[both]
    data[at], data[at + 1] = data[at + 1].copy(), data[at].copy()
    return _from_bytes(offsets, data)


def draw_moods(rng: np.random.Generator, theme: np.ndarray) -> np.ndarray:
    """Moods of messages by theme; a tenth is mixed."""
    shares = np.array([theme.moods for theme in THEMES])[theme]
    positive, negative, neutral = (shares / shares.sum(axis=1, keepdims=True)).T * (1 - MIXED_SHARE)
    return draw(rng, np.stack([positive, negative, np.full(len(theme), MIXED_SHARE), neutral], axis=1))


def contact_themes(rng: np.random.Generator, world: World, contact: np.ndarray) -> np.ndarray:
    """What contacts are about: the broken checkout, the import where that is confused, else by the shares."""
    lives = world.lives
    person, at = lives.contact_person[contact], lives.contact_at[contact]
    mixes = np.array([[t.trial for t in THEMES], [t.paying for t in THEMES]])
    mixes /= mixes.sum(axis=1, keepdims=True)
    theme = draw(rng, mixes[np.where(lives.contact_is_trial[contact], 0, 1)])
    since = at - lives.signs_up[person]
    confused = within(world.calendar.confused, lives.signs_up[person]) & (since < IMPORT_WEEKS * WEEK)
    asks = rng.random(len(person)) < IMPORT_SHARE * np.where(lives.is_stuck[person], 1.0, 0.4)
    theme = np.where(confused & asks, IMPORT, theme)
    return np.where(lives.contact_is_broken[contact], CHECKOUT, theme)


def voice_themes(rng: np.random.Generator, count: int) -> np.ndarray:
    """What people speak of unasked."""
    shares = np.array([t.voice for t in THEMES])
    return rng.choice(len(THEMES), count, p=shares / shares.sum())


def spelt_phone(rng: np.random.Generator, phone: pa.Array) -> pa.Array:
    """One number in the spellings that people and systems use; all of them have the country in front."""
    area, exchange, line = (pc.utf8_slice_codeunits(phone, *cut) for cut in ((2, 5), (5, 8), (8, 12)))
    spellings = (
        phone,
        glue("+1 ", area, " ", exchange, " ", line),
        glue("+1 (", area, ") ", exchange, "-", line),
        glue("+1-", area, "-", exchange, "-", line),
    )
    chosen = rng.choice(len(spellings), len(phone), p=[0.5, 0.2, 0.2, 0.1])
    return pc.choose(pa.array(chosen), *spellings)


def about(
    rng: np.random.Generator,
    world: World,
    *,
    person: np.ndarray,
    at: np.ndarray,
    theme: np.ndarray,
    mood: np.ndarray,
    outcome: np.ndarray | None = None,
    agent: np.ndarray | None = None,
) -> Speech:
    """Make messages ready to be worded.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the words.
    world : World
        Knows who writes.
    person, at : numpy.ndarray
        Writers and instants.
    theme, mood : numpy.ndarray
        Numbers of THEMES and MOODS.
    outcome : numpy.ndarray, optional
        Numbers of OUTCOMES: how it ends.
    agent : numpy.ndarray, optional
        Who answers, a number of words.AGENTS.
    """
    people, count = world.people, len(person)
    of = pa.array(person)
    shares = np.array([t.features for t in words.JOURNEY_TYPES])[people.journey_type[person]]
    month = (at // MS_PER_DAY).astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    phone = spelt_phone(rng, people.phone_at(person, at))
    second = (theme + rng.integers(1, CONTACT_THEMES, count)) % CONTACT_THEMES
    facts = {
        "feature": pick(FEATURE_NOUNS, draw(rng, shares)),
        "plan": pick([plan.name for plan in words.PLANS], rng.choice(3, count, p=[p.share for p in words.PLANS])),
        "month": pick(words.MONTHS, month),
        "last month": pick(words.MONTHS, (month + 11) % 12),
        "first name": people.first_name.take(of),
        "name": people.name.take(of),
        "company": pc.coalesce(people.company.take(of), pa.scalar("our company")),
        "signature": pc.coalesce(glue(people.name, "\n", people.company), people.name).take(of),
        "email": people.email.take(of),
        "phone": pc.coalesce(phone, pa.scalar("+1 555 0100")),
        "ip": people.ip.take(of),
        "agent": pick([a.split()[0] for a in words.AGENTS], np.zeros(count, np.int64) if agent is None else agent),
    }
    keys = {
        "theme": theme,
        "second": second,
        "mood": mood,
        "outcome": np.zeros(count, np.int64) if outcome is None else outcome,
    }
    plain_speech = Speech(rng=rng, facts=facts, keys=keys)
    also = where(rng.random(count) < SECOND_THEME_SHARE, plain_speech.say("second"), "")
    return Speech(rng=rng, facts={**facts, "also": also}, keys=keys)
