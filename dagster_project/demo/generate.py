"""The demo company: Lumen, a made-up project planner with a free trial, as exports of the systems it uses.

One seed decides everything; the same seed, people, days and last day give the same bytes. Half of the people had an
account when the exports begin; the others come through channels (some with lost campaign parameters), look around
on several devices before they sign up, try, get stuck in the onboarding, pay or leave, buy packs at the online
checkout, send some back, renew, ask for help by mail, telephone and chat, answer surveys, visit the shops, and are
written down by each vendor in its own format, one file a day. Some share a tablet with their family, some sign up with
a role mailbox, some are known to the shops by name and home alone, a telephone is passed on, some refuse or withdraw
consent; robots and AI agents read along; calls come twice, up to 60 days late, or from clocks that are hours wrong.

What people do next depends on what they did before by the laws in ``laws.py``, so that the truth is known:
``truth.py`` writes it apart from the exports. Three things go wrong on purpose, unless none shall: the checkout form
of one version of the app breaks for the three weeks that end 8 days before the last day (conversion 0.70 to 0.25), the
import step of the onboarding confuses (completion 0.86 to 0.52), and a campaign brings a surge of visitors who rarely
stay.

Addresses, mailboxes and telephone numbers are from the ranges reserved for documentation and fiction.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from dagster_project.demo.billing import write_stripe
from dagster_project.demo.crm import write_hubspot
from dagster_project.demo.files import Exports
from dagster_project.demo.life import make_calendar
from dagster_project.demo.marketing import count_clicks, write_google_ads, write_sendgrid
from dagster_project.demo.people import BLOCK, Period
from dagster_project.demo.segment import write_segment
from dagster_project.demo.shop import write_pos
from dagster_project.demo.support import write_zendesk
from dagster_project.demo.talks import write_calls, write_chat
from dagster_project.demo.truth import Truth
from dagster_project.demo.voices import write_nps, write_reviews
from dagster_project.demo.world import World, Written, make_world
from dagster_project.errors import ThroughlineError

DEFAULT_SEED = 7
DEFAULT_PEOPLE = 5_000
DEFAULT_DAYS = 365
# Fixed, so that the demo of today and of next year are the same.
DEFAULT_UNTIL = date(2026, 6, 30)
FEWEST_PEOPLE, FEWEST_DAYS = 40, 40

# Who writes what, in the order of telling.
WRITERS: tuple[tuple[str, Callable[[World, Exports], Written]], ...] = (
    ("segment", write_segment),
    ("stripe", write_stripe),
    ("zendesk", write_zendesk),
    ("hubspot", write_hubspot),
    ("sendgrid", write_sendgrid),
    ("pos", write_pos),
    ("calls", write_calls),
    ("chat", write_chat),
    ("nps", write_nps),
    ("reviews", write_reviews),
)
# Advertising is billed to the whole company, once for all blocks.
COMPANY_WIDE = "google_ads"
SOURCES = (*(source for source, _ in WRITERS), COMPANY_WIDE)


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
    truth: Path | None = None,
    seed: int = DEFAULT_SEED,
    people: int = DEFAULT_PEOPLE,
    days: int = DEFAULT_DAYS,
    until: date = DEFAULT_UNTIL,
    incidents: bool = True,
    progress: Callable[[str], None] | None = None,
) -> DemoReport:
    """Write the exports of the demo company, and the truth about it elsewhere.

    Parameters
    ----------
    out : Path
        Folder that gets ``<source>/<table>/YYYY-MM-DD.{jsonl,csv}``; it appears complete or not at all.
    truth : Path, optional
        Folder that gets the truth as CSV files; none is written if it is not given.
    seed : int
        Decides everything that is random, 0 or more.
    people : int
        How many people ever look at Lumen.
    days : int
        How many days are covered.
    until : date
        The last day covered.
    incidents : bool
        Whether the things that go wrong on purpose do.
    progress : callable, optional
        Is told in words what is being made.

    Returns
    -------
    DemoReport
        What was written.

    Raises
    ------
    ThroughlineError
        If a number is too small, or a folder already holds something that would be overwritten.
    """
    started = time.monotonic()
    tell = progress or (lambda message: None)
    _check(out, truth=truth, seed=seed, people=people, days=days)
    first_day = until - timedelta(days=days - 1)
    period = Period(start=_midnight(first_day), end=_midnight(until + timedelta(days=1)))
    calendar = make_calendar(period, planted=incidents)
    partial = out.parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    exports_folder, truth_folder = partial / "exports", partial / "truth"
    exports_folder.mkdir(parents=True)
    truth_folder.mkdir()

    rows: dict[str, int] = {}
    clicks = []
    true = Truth(folder=truth_folder, period=period, calendar=calendar)
    for block, first in enumerate(range(0, people, BLOCK)):
        count = min(BLOCK, people - first)
        of = f" {first + 1:,} to {first + count:,}" if people > BLOCK else ""
        tell(f"Living {days} days of {count:,} people{of} until {until}")
        world = make_world(seed=seed, block=block, count=count, period=period, calendar=calendar)
        exports = Exports(folder=exports_folder, start=first_day, block=block)
        written = []
        for source, write in WRITERS:
            tell(f"Writing {source}")
            written.append(write(world, exports))
            for table, lines in written[-1].rows.items():
                rows[table] = rows.get(table, 0) + lines
        clicks.append(count_clicks(world))
        if truth is not None:
            true.add(world, written)
    tell(f"Writing {COMPANY_WIDE}")
    whole = Exports(folder=exports_folder, start=first_day, block=0)
    rows |= write_google_ads(seed=seed, period=period, clicks=np.sum(clicks, axis=0), exports=whole).rows
    files = sum(1 for path in exports_folder.rglob("*") if path.is_file())
    if truth is not None:
        true.close()
        truth.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(truth_folder, truth)
    out.mkdir(parents=True, exist_ok=True)
    for folder in sorted(exports_folder.iterdir()):
        shutil.move(folder, out / folder.name)
    shutil.rmtree(partial)
    return DemoReport(
        out=out,
        first_day=first_day,
        last_day=until,
        rows=rows,
        files=files,
        seconds=time.monotonic() - started,
    )


def _check(out: Path, *, truth: Path | None, seed: int, people: int, days: int) -> None:
    """Refuse what cannot give a demo."""
    if seed < 0:
        raise ThroughlineError(f"The demo's seed is {seed}; give a whole number of 0 or more.")
    if people < FEWEST_PEOPLE or days < FEWEST_DAYS:
        raise ThroughlineError(
            f"A demo of {people} people and {days} days shows nothing; "
            f"give at least {FEWEST_PEOPLE} people and {FEWEST_DAYS} days."
        )
    for source in SOURCES:
        if (out / source).exists():
            raise ThroughlineError(
                f"{out / source} already exists and the demo does not overwrite exports; "
                "name another folder with --out or remove this one."
            )
    if truth is not None and truth.exists():
        raise ThroughlineError(
            f"{truth} already exists and the demo does not overwrite it; "
            "name another folder with --truth or remove this one."
        )
    if truth is not None and truth.resolve().is_relative_to(out.resolve()):
        raise ThroughlineError(
            "The truth may not stand in the inbox, where the pipeline would find it; "
            f"name a folder outside {out} with --truth."
        )


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
