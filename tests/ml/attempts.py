"""Attempts drawn from the demo's generator outside the pipeline: what `ml.friction` is given, without any night.

A checkout is one attempt from its start to the order or the last that is done in its visit; an onboarding is one from
the sign-up to the import or the last of its visit. Touchpoints, stages and signals are those that the seeds and the
rules give these events, worked out here in NumPy.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.demo import words
from dagster_project.demo.events import NAMES, PAGE
from dagster_project.demo.files import MS_PER_DAY
from dagster_project.demo.generate import DEFAULT_UNTIL
from dagster_project.demo.life import RELEASES, make_calendar
from dagster_project.demo.people import Period
from dagster_project.demo.world import World, make_world

SYSTEMS = ("Windows", "Windows", "Windows", "macOS", "macOS", "iOS", "Android", "Android", "iOS", "Android")
SYSTEMS += tuple(model.os for model in words.DEVICE_MODELS[len(SYSTEMS) :])
BROWSERS = ("Chrome", "Firefox", "Edge", "Chrome", "Safari", "Safari", "Chrome", "Samsung Internet", "Safari", "Chrome")
TYPES = {"desktop": "desktop", "phone": "mobile", "tablet": "tablet", "app": "mobile"}
# By journey: what starts an attempt, what ends it well, the stage that each event reaches, and the hours of the window.
JOURNEYS = {
    "checkout": (
        "Checkout Started",
        ("Order Completed", "Subscription Started"),
        {"Checkout Step Completed": 2, "Payment Info Entered": 3},
        24,
    ),
    "onboarding": ("Signed Up", ("Plan Imported",), {"Profile Completed": 2, "Project Created": 3}, 14 * 24),
}
STAGES = pa.table(
    {
        "journey": ["checkout"] * 4 + ["onboarding"] * 4,
        "stage_order": [1, 2, 3, 4, 1, 2, 3, 4],
        "stage": ["Started", "First step", "Payment", "Bought", "Signed up", "Profile", "Project", "Imported"],
    }
)
VALUES = pa.table(
    {
        "journey": ["checkout", "onboarding"],
        "value_amount": [20.0, None],
        "value_currency": ["USD", None],
        "owner": ["Product", "Product"],
    }
)
PLAYBOOK = pa.schema(
    [
        *((name, pa.string()) for name in ("playbook_id", "journey", "stage", "touchpoint", "signal")),
        *((name, pa.string()) for name in ("cohort_dimension", "likely_cause", "recommendation", "basis", "owner")),
        ("expected_recovery_low", pa.float64()),
        ("expected_recovery_high", pa.float64()),
    ]
)
NO_PLAYBOOKS = PLAYBOOK.empty_table()


def draw(seed: int, *, people: int, days: int, planted: bool) -> tuple[pa.Table, pa.Table]:
    """Draw a company's checkouts and onboardings.

    Parameters
    ----------
    seed : int
        Of the company.
    people, days : int
        Its size.
    planted : bool
        Whether the things that go wrong on purpose do.

    Returns
    -------
    attempts, steps : pyarrow.Table
        As `ml.friction.find_friction` takes them.
    """
    end = ((DEFAULT_UNTIL - date(1970, 1, 1)).days + 1) * MS_PER_DAY
    period = Period(start=end - days * MS_PER_DAY, end=end)
    world = make_world(seed=seed, block=0, count=people, period=period, calendar=make_calendar(period, planted=planted))
    drawn = [_attempts_of(world, journey) for journey in JOURNEYS]
    return pa.concat_tables(one[0] for one in drawn), pa.concat_tables(one[1] for one in drawn)


def _attempts_of(world: World, journey: str) -> tuple[pa.Table, pa.Table]:
    start, successes, stages, window_hours = JOURNEYS[journey]
    events = world.events
    order = np.lexsort((np.arange(len(events.at)), events.at, events.session))
    session, at, name = events.session[order], events.at[order], events.name[order]
    is_page = events.kind[order] == PAGE
    kept = (name > 0) | is_page
    began = np.full(len(events.session_person), np.iinfo(np.int64).max)
    is_start = name == NAMES.index(start)
    np.minimum.at(began, session[is_start], at[is_start])
    is_success = np.isin(name, [NAMES.index(success) for success in successes])
    ended = np.full(len(events.session_person), np.iinfo(np.int64).max)
    np.minimum.at(ended, session[is_success], at[is_success])
    inside = kept & (at >= began[session]) & (at <= ended[session])
    session, at, name, is_success, is_page = (x[inside] for x in (session, at, name, is_success, is_page))
    properties = events.properties.take(pa.array(order[inside]))
    sessions, attempt = np.unique(session, return_inverse=True)
    stage = np.ones(len(name), np.int64)
    for event, reached in stages.items():
        stage[name == NAMES.index(event)] = reached
    stage = np.where(is_success, 4, stage)
    backwards = np.zeros(len(name), bool)
    furthest = _running_maximum(stage, attempt)
    step_named = pc.cast(
        pc.struct_field(pc.extract_regex(properties, r'"step":(?P<step>\d+)'), "step"), pa.int64()
    ).fill_null(0)
    named = step_named.to_numpy()
    for event in ("Onboarding Step Viewed", "Checkout Step Viewed", "Checkout Step Completed"):
        rows = np.flatnonzero(name == NAMES.index(event))
        backwards[rows] = named[rows] < _running_maximum(named[rows], attempt[rows])
    is_error = name == NAMES.index("Form Error")
    errors = np.flatnonzero(is_error)
    is_rage = np.zeros(len(name), bool)
    is_rage[errors[2:]] = (attempt[errors[2:]] == attempt[errors[:-2]]) & (at[errors[2:]] - at[errors[:-2]] <= 60_000)
    website = np.isin(name, [NAMES.index("Product Viewed"), NAMES.index("Form Error")]) | is_page
    own = "checkout" if journey == "checkout" else "product"
    touchpoint = np.where(website, 1, np.where(name == NAMES.index("Signed Up"), 2, 0))
    return (
        _context(
            world, sessions=sessions, began=began, lost=ended[sessions] == np.iinfo(np.int64).max, journey=journey
        ),
        _steps(
            _ids(journey, sessions),
            names=(own, "website", "sign-up"),
            attempt=attempt,
            at=at,
            touchpoint=touchpoint,
            stage=furthest,
            is_end=is_success,
            flags={"error": is_error, "rage": is_rage, "backtrack": backwards},
            window_hours=window_hours,
        ),
    )


def _running_maximum(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The greatest so far within each group of rows that follow each other."""
    offset = group * (int(values.max(initial=0)) + 1)
    return np.maximum.accumulate(values + offset) - offset


def _ids(journey: str, sessions: np.ndarray) -> pa.Array:
    return pa.array([f"{journey}-{session:07d}" for session in sessions])


def _context(world: World, *, sessions: np.ndarray, began: np.ndarray, lost: np.ndarray, journey: str) -> pa.Table:
    """Attempts with what they were made on; Mondays are those of UTC."""
    events, devices = world.events, world.devices
    device = events.session_device[sessions]
    model = devices.model[device]
    release = events.session_release[sessions]
    day = began[sessions] // MS_PER_DAY
    monday = day - (day + 3) % 7
    kinds = [words.DEVICE_MODELS[number].kind for number in model]
    touches = [words.TOUCHES[number] for number in events.session_touch[sessions]]
    zone = world.people.zone[events.session_person[sessions]]
    epoch = date(1970, 1, 1)
    return pa.table(
        {
            "attempt_id": _ids(journey, sessions),
            "journey": pa.array([journey] * len(sessions), pa.string()),
            "week_start_date": pa.array([epoch + timedelta(days=int(one)) for one in monday], pa.date32()),
            "started_on": pa.array([epoch + timedelta(days=int(one)) for one in day], pa.date32()),
            "first_channel": pa.array([touch.channel for touch in touches], pa.string()),
            "is_lost": lost,
            "os": pa.array([SYSTEMS[number] for number in model], pa.string()),
            "app_version": pa.array([RELEASES[one] if one >= 0 else None for one in release], pa.string()),
            "device_type": pa.array([TYPES[kind] for kind in kinds], pa.string()),
            "browser": pa.array([BROWSERS[one] if one < len(BROWSERS) else None for one in model], pa.string()),
            "country": pa.array([words.ZONES[one].country for one in zone], pa.string()),
            "campaign": pa.array([touch.campaign for touch in touches], pa.string()),
        }
    )


def _steps(
    ids: pa.Array,
    *,
    names: tuple[str, ...],
    attempt: np.ndarray,
    at: np.ndarray,
    touchpoint: np.ndarray,
    stage: np.ndarray,
    is_end: np.ndarray,
    flags: dict[str, np.ndarray],
    window_hours: float,
) -> pa.Table:
    """Touches of one touchpoint in a row at one stage are one step, with the signals of all of them."""
    is_new = np.ones(len(attempt), bool)
    is_new[1:] = (np.diff(attempt) != 0) | (np.diff(touchpoint) != 0) | (np.diff(stage) != 0)
    step, first = np.cumsum(is_new) - 1, np.flatnonzero(is_new)
    starts = np.flatnonzero(np.diff(attempt[first], prepend=-1) != 0)
    own = np.cumsum(np.diff(attempt[first], prepend=-1) != 0) - 1
    has_success = np.bincount(attempt, weights=is_end) > 0
    to_end = (at[np.append(first[starts][1:], len(at)) - 1][own] - at[first]) / 3.6e6
    number = np.arange(len(first)) - np.repeat(starts, np.diff(np.append(starts, len(first)))) + 1
    last = np.append(first[1:], len(attempt)) - 1
    waited = np.where(number > 1, (at[first] - at[np.roll(last, 1)]) / 3.6e6, np.nan)
    seen = (attempt[first] * 10 + stage[first]) * 10 + touchpoint[first]
    _, firsts = np.unique(seen, return_index=True)
    again = np.ones(len(first), bool)
    again[firsts] = False
    ends = np.bincount(step, weights=is_end) == np.bincount(step)
    told = {**{name: np.bincount(step, weights=flag) > 0 for name, flag in flags.items()}, "repeat": again & ~ends}
    # One text for each combination of signals.
    code = sum((flag.astype(np.int64) << place for place, flag in enumerate(told.values())), np.zeros(len(first), int))
    texts = ["|".join(name for place, name in enumerate(told) if one >> place & 1) or None for one in range(16)]
    return pa.table(
        {
            "attempt_id": ids.take(pa.array(attempt[first])),
            "step_number": number,
            "stage_order": stage[first],
            "touchpoint": pa.array(names).take(pa.array(touchpoint[first])),
            "step_kind": pa.array(["touch", "end"]).take(pa.array(ends.astype(np.int64))),
            "waited_hours": pa.array(waited, from_pandas=True),
            "hours_left": window_hours - (at[first] - at[first][starts][own]) / 3.6e6,
            "hours_to_success": pa.array(np.where(has_success[own], to_end, np.nan), from_pandas=True),
            "friction_signals": pa.array(texts, pa.string()).take(pa.array(code)),
        }
    )
