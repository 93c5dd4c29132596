"""The demo company: Lumen, a made-up project planner with a 14-day free trial, as exports of its systems.

One seed decides everything; the same seed, people, days and last day give the same bytes. People come
through channels (some with lost campaign parameters), look around on several devices before they sign
up, try, meet forms that refuse them, pay or leave, renew, ask for help, and are written down by Segment,
Stripe and Zendesk in those vendors' own formats, one file a day. Some share a tablet, some sign up with
a role mailbox, some refuse or withdraw consent; robots and AI agents read along; calls come twice, late,
or from clocks that are hours wrong.

One thing goes wrong on purpose: from 29 to 8 days before the last day (1 to 21 June 2026 by default) the
checkout form mostly fails. An attempt that usually succeeds with probability 0.82 then does so with 0.22,
most of those people see "Something went wrong", and some write to support about it. The trials that began
in those weeks convert far less, so `trial_to_paid` must show degraded weeks.

Addresses, mailboxes and telephone numbers are from the ranges reserved for documentation and fiction.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from dagster_project.demo.billing import write_stripe
from dagster_project.demo.life import make_events, make_lives
from dagster_project.demo.people import Period, make_devices, make_people
from dagster_project.demo.segment import write_segment
from dagster_project.demo.support import write_zendesk
from dagster_project.errors import ThroughlineError

DEFAULT_SEED = 7
DEFAULT_PEOPLE = 1_500
DEFAULT_DAYS = 180
# Fixed, so that the demo of today and of next year are the same.
DEFAULT_UNTIL = date(2026, 6, 30)
FEWEST_PEOPLE, FEWEST_DAYS = 20, 40


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """What was written.

    Attributes
    ----------
    out : Path
        Folder of the exports.
    first_day, last_day : date
        Days covered.
    rows : dict
        Lines by ``<source>/<table>``.
    files : int
        Number of daily files.
    seconds : float
        How long it took.
    """

    out: Path
    first_day: date
    last_day: date
    rows: dict[str, int]
    files: int
    seconds: float


def generate_demo(
    *,
    out: Path,
    seed: int = DEFAULT_SEED,
    people: int = DEFAULT_PEOPLE,
    days: int = DEFAULT_DAYS,
    until: date = DEFAULT_UNTIL,
    progress: Callable[[str], None] | None = None,
) -> DemoReport:
    """Write the exports of the demo company.

    Parameters
    ----------
    out : Path
        Folder that gets ``<source>/<table>/YYYY-MM-DD.jsonl``; it appears complete or not at all.
    seed : int
        Decides everything that is random, 0 or more.
    people : int
        How many people ever look at Lumen.
    days : int
        How many days are covered.
    until : date
        The last day covered.
    progress : callable, optional
        Is told in words what is being made.

    Returns
    -------
    DemoReport
        What was written.

    Raises
    ------
    ThroughlineError
        If a number is too small, or ``out`` already holds exports of these sources.
    """
    started = time.monotonic()
    tell = progress or (lambda message: None)
    _check(out, seed=seed, people=people, days=days)
    first_day = until - timedelta(days=days - 1)
    period = Period(start=_midnight(first_day), end=_midnight(until + timedelta(days=1)))
    partial = out.parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)

    tell(f"Drawing {people:,} people and their devices")
    crowd = make_people(seed=seed, count=people, period=period)
    devices = make_devices(seed=seed, people=crowd)
    tell(f"Living {days} days until {until}")
    lives = make_lives(seed=seed, people=crowd, period=period)
    events = make_events(seed=seed, people=crowd, devices=devices, lives=lives, period=period)
    rows: dict[str, int] = {}
    for source, write in (("segment", write_segment), ("stripe", write_stripe), ("zendesk", write_zendesk)):
        tell(f"Writing {source}")
        counts = write(
            seed=seed,
            people=crowd,
            devices=devices,
            lives=lives,
            events=events,
            period=period,
            out=partial,
            start=first_day,
        )
        rows |= {f"{source}/{table}": count for table, count in counts.items()}
    files = sum(1 for _ in partial.rglob("*.jsonl"))
    out.mkdir(parents=True, exist_ok=True)
    for folder in sorted(partial.iterdir()):
        shutil.move(folder, out / folder.name)
    partial.rmdir()
    return DemoReport(
        out=out,
        first_day=first_day,
        last_day=until,
        rows=rows,
        files=files,
        seconds=time.monotonic() - started,
    )


def _check(out: Path, *, seed: int, people: int, days: int) -> None:
    """Refuse what cannot give a demo."""
    if seed < 0:
        raise ThroughlineError(f"The demo's seed is {seed}; give a whole number of 0 or more.")
    if people < FEWEST_PEOPLE or days < FEWEST_DAYS:
        raise ThroughlineError(
            f"A demo of {people} people and {days} days shows nothing; "
            f"give at least {FEWEST_PEOPLE} people and {FEWEST_DAYS} days."
        )
    for source in ("segment", "stripe", "zendesk"):
        if (out / source).exists():
            raise ThroughlineError(
                f"{out / source} already exists and the demo does not overwrite exports; "
                "name another folder with --out or remove this one."
            )


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
