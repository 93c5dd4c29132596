"""Worlds drawn from the demo's laws outside the pipeline: the rows a feature table would hold, with the true chance.

Each row is somebody on trial and a Monday. What the row tells follows from what the exports tell (how much was used in
the week before, weeks since the sign-up, whether the import was finished, the channel of the first visit, what reached
them), and so does the chance of paying within 14 days, exactly. Noise columns have nothing to do with it.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from dagster_project.demo import laws, truth, words
from dagster_project.demo.files import MS_PER_DAY
from dagster_project.demo.generate import DEFAULT_DAYS, DEFAULT_PEOPLE, DEFAULT_UNTIL
from dagster_project.demo.life import TRIAL, make_calendar
from dagster_project.demo.people import WEEK, Period
from dagster_project.demo.world import make_world
from ml.propensity import FeatureSchema

HORIZON_DAYS = 14
SCHEMA = FeatureSchema(
    numeric=(
        "visits_7d",
        "use_level_7d",
        "visits_28d",
        "weeks_since_sign_up",
        "days_since_visit",
        "is_import_done",
        "calls_28d",
        "webinars_28d",
        "contacts_7d",
        "noise_count",
        "noise_share",
    ),
    categorical=("first_channel", "noise_group"),
)


def period(days: int = DEFAULT_DAYS, until: date = DEFAULT_UNTIL) -> Period:
    """The days a world covers."""
    end = (until + timedelta(days=1) - date(1970, 1, 1)).days * MS_PER_DAY
    return Period(start=end - days * MS_PER_DAY, end=end)


def draw(seed: int, *, people: int = DEFAULT_PEOPLE, days: int = DEFAULT_DAYS) -> tuple[pa.Table, np.ndarray]:
    """Draw a world and look at it every Monday.

    Parameters
    ----------
    seed : int
        Of the world.
    people, days : int
        Its size.

    Returns
    -------
    rows : pyarrow.Table
        ``person_id, snapshot_date, label`` and the columns of SCHEMA; labels are complete.
    chance : numpy.ndarray
        The true chance of each row's label.
    """
    covered = period(days)
    calendar = make_calendar(covered, planted=True)
    world = make_world(seed=seed, block=0, count=people, period=covered, calendar=calendar)
    rng = np.random.default_rng([seed, 4711])
    lives, panel = world.lives, world.lives.panel
    # From the first Monday of the exports on, as features do; labels complete.
    kept = (panel.phase == TRIAL) & (panel.monday >= covered.start) & (panel.monday + 2 * WEEK <= covered.end)
    person, monday, touch = panel.person[kept], panel.monday[kept], panel.touch[kept]
    chance = laws.paying_within(
        2,
        level=panel.level[kept],
        age=panel.age[kept],
        touch=touch,
        is_stuck=lives.is_stuck[person],
        lift=lives.lift[person],
    )
    # How many visits a level means: none, one, several. Earlier weeks tell nothing beyond the last one.
    several = rng.integers(2, 6, lives.levels.shape)
    visits = np.where(lives.levels < 2, np.maximum(lives.levels, 0), several)
    week = np.searchsorted(lives.mondays, monday)
    by_week = [np.where(week >= back, visits[np.maximum(week - back, 0), person], 0) for back in range(1, 5)]
    quiet = np.argmax(np.stack([count > 0 for count in by_week] + [np.ones(len(week), bool)]), axis=0)
    channel = np.array([t.channel for t in words.TOUCHES])[world.people.touch[person]]
    rows = {
        "person_id": pa.array([f"person-{number:06d}" for number in person]),
        "snapshot_date": pa.array((monday // MS_PER_DAY).astype("datetime64[D]")),
        "label": pa.array(truth.pays_at(world)[person] < monday + 2 * WEEK),
        "visits_7d": pa.array(by_week[0], pa.int64()),
        "use_level_7d": pa.array(np.minimum(by_week[0], 2), pa.int64()),
        "visits_28d": pa.array(np.sum(by_week, axis=0), pa.int64()),
        "weeks_since_sign_up": pa.array(panel.age[kept], pa.int64()),
        "days_since_visit": pa.array(quiet * 7.0 + rng.random(len(week)) * 6),
        "is_import_done": pa.array(1 - lives.is_stuck[person], pa.int64()),
        "calls_28d": pa.array(touch == 1).cast(pa.int64()),
        "webinars_28d": pa.array(touch == 2).cast(pa.int64()),
        "contacts_7d": pa.array(panel.contacted[kept]).cast(pa.int64()),
        "noise_count": pa.array(rng.poisson(2, len(week)), pa.int64()),
        "noise_share": pa.array(rng.random(len(week))),
        "first_channel": pa.array(channel),
        "noise_group": pa.array(rng.choice(["a", "b", "c"], len(week))),
    }
    return pa.table(rows), chance
