"""One block of the demo company's people with everything that happened to them, from which the exports are written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from dagster_project.demo.events import Events, make_events
from dagster_project.demo.files import stream
from dagster_project.demo.life import Calendar, Lives, make_lives
from dagster_project.demo.people import Devices, People, Period, make_devices, make_people


@dataclass(frozen=True, kw_only=True)
class World:
    """A block of people, their devices, lives and events; all arrays are indexed by the person's place in the block."""

    seed: int
    block: int
    period: Period
    calendar: Calendar
    people: People
    devices: Devices
    lives: Lives
    events: Events

    def stream(self, name: str) -> np.random.Generator:
        """Random numbers of a part of the block."""
        return stream(self.seed, name, self.block)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a system exported.

    Attributes
    ----------
    rows : dict
        Lines by ``<source>/<table>``.
    identifiers : list of tuple
        For the truth: type of identifier, persons, and their identifiers as exported (nulls are left out).
    """

    rows: dict[str, int]
    identifiers: list[tuple[str, np.ndarray, pa.Array]] = field(default_factory=list)


def make_world(*, seed: int, block: int, count: int, period: Period, calendar: Calendar) -> World:
    """Draw a block of people and live their lives; the same numbers give the same world."""
    people = make_people(seed=seed, count=count, period=period, launch=calendar.launch, block=block)
    devices = make_devices(seed=seed, people=people, block=block)
    lives = make_lives(seed=seed, people=people, devices=devices, period=period, calendar=calendar, block=block)
    events = make_events(
        seed=seed, people=people, devices=devices, lives=lives, period=period, calendar=calendar, block=block
    )
    return World(
        seed=seed,
        block=block,
        period=period,
        calendar=calendar,
        people=people,
        devices=devices,
        lives=lives,
        events=events,
    )
