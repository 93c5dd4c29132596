"""What is true of the demo company: written apart from the exports, for tests alone; nothing in the pipeline reads it.

Chances in ``hazards.csv`` and values in ``effects.csv`` follow exactly from the laws and from what the exports tell;
``outcomes.csv`` is what then happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from dagster_project.demo import laws, words
from dagster_project.demo.files import MS_PER_DAY, glue, pick, plain, where
from dagster_project.demo.life import (
    ABANDONMENTS,
    BROKEN_OS,
    BROKEN_RELEASE,
    PAYING,
    RELEASES,
    TRIAL,
    Calendar,
    Panel,
    is_broken,
)
from dagster_project.demo.messages import planted_messages
from dagster_project.demo.people import NEVER, WEEK, Period
from dagster_project.demo.world import World, Written

# An attempt at paying is looked at for this long from the start of its trial.
WINDOW_DAYS = 30
# Of people with fewer sessions than this, a journey type is not stated: they left too little to show one.
FEWEST_SESSIONS = 5
TABLES = ("people", "types", "hazards", "effects", "incidents", "outcomes", "messages")


@dataclass(frozen=True, kw_only=True)
class Eligible:
    """Attempts at paying that a call or a webinar may reach: still on trial on the first Monday after the sign-up.

    One row per person; ``weeks`` are left of the attempt's window, ``paid`` whether the person paid within it.
    """

    person: np.ndarray
    monday: np.ndarray
    level: np.ndarray
    is_stuck: np.ndarray
    lift: np.ndarray
    weeks: np.ndarray
    touch: np.ndarray
    paid: np.ndarray

    def chance(self, touch: int) -> np.ndarray:
        """Chance of paying within the window, had this touch come next."""
        return laws.paying_within(
            self.weeks,
            level=self.level,
            age=np.ones(len(self.person), np.int64),
            touch=np.full(len(self.person), touch),
            is_stuck=self.is_stuck,
            lift=self.lift,
        )


def eligible(world: World) -> Eligible:
    """The attempts whose window is over by the end of the period, as they stood on their first Monday."""
    panel, lives = world.lives.panel, world.lives
    first = (panel.phase == TRIAL) & (panel.age == 1)
    person, monday = panel.person[first], panel.monday[first]
    ends = lives.signs_up[person] + WINDOW_DAYS * MS_PER_DAY
    over = ends < world.period.end
    person, monday, ends = person[over], monday[over], ends[over]
    touch = np.zeros(len(world.people), np.int64)
    touch[lives.touch_person] = lives.touch_kind
    return Eligible(
        person=person,
        monday=monday,
        level=panel.level[first][over],
        is_stuck=lives.is_stuck[person],
        lift=lives.lift[person],
        weeks=(ends - monday) / WEEK,
        touch=touch[person],
        paid=pays_at(world)[person] < ends,
    )


def pays_at(world: World) -> np.ndarray:
    """When each person first paid for a plan; NEVER who did not."""
    at = np.full(len(world.people), NEVER)
    at[world.lives.subscriptions.person] = world.lives.subscriptions.starts
    return at


def chances(world: World) -> tuple[Panel, np.ndarray, np.ndarray]:
    """The panel of the Mondays whose four weeks before are in the exports, with the two chances of each row.

    Returns
    -------
    panel : Panel
        Rows of people on trial or paying.
    paying : numpy.ndarray
        Chance of paying within 14 days, NaN for those who pay.
    cancelling : numpy.ndarray
        Chance of cancelling within 30 days, NaN for those on trial.
    """
    whole, lives = world.lives.panel, world.lives
    told = (whole.monday >= world.period.start + 4 * WEEK) & (whole.monday <= world.period.end)
    panel = Panel(**{name: values[told] for name, values in vars(whole).items()})
    paying = np.full(len(panel.person), np.nan)
    cancelling = paying.copy()
    trial, payer = panel.phase == TRIAL, panel.phase == PAYING
    paying[trial] = laws.paying_within(
        2,
        level=panel.level[trial],
        age=panel.age[trial],
        touch=panel.touch[trial],
        is_stuck=lives.is_stuck[panel.person[trial]],
        lift=lives.lift[panel.person[trial]],
    )
    cancelling[payer] = laws.cancelling_within_30_days(level=panel.level[payer], contacted=panel.contacted[payer])
    return panel, paying, cancelling


def effect(cases: Sequence[Eligible], touch: int) -> float:
    """Risk difference of a touch among eligible attempts: mean chance with it less mean chance without any."""
    gain = np.concatenate([case.chance(touch) - case.chance(laws.NO_TOUCH) for case in cases])
    return float(gain.mean()) if len(gain) else 0.0


@dataclass(kw_only=True)
class Truth:
    """Collects what is true, block by block, and writes it.

    Parameters
    ----------
    folder : Path
        Gets the files of TABLES as CSV.
    period : Period
        The days covered.
    calendar : Calendar
        What was planted.
    """

    folder: Path
    period: Period
    calendar: Calendar
    cases: list[Eligible] = field(default_factory=list)
    started: set[str] = field(default_factory=set)

    def add(self, world: World, written: Iterable[Written]) -> None:
        """Write what is true of a block's people."""
        self.cases.append(eligible(world))
        self._write_people(world, written)
        self._write_types(world)
        self._write_hazards(world)
        self._write_outcomes(world)
        self._write_messages(world)

    def close(self) -> None:
        """Write what is true of the company as a whole."""
        self._write(
            "effects",
            {
                "touchpoint": pa.array(laws.TOUCHES[1:]),
                "journey": pa.array(["trial_to_paid"] * 2),
                "estimand": pa.array(
                    ["risk difference of paying within 30 days of the trial's start, this touch next against none"] * 2
                ),
                "confounder": pa.array(["", "sessions in the week of the sign-up"]),
                "value": pa.array(np.round([effect(self.cases, touch) for touch in (1, 2)], 6)),
            },
        )
        self._write("incidents", self._incidents())

    def _incidents(self) -> dict[str, pa.Array]:
        """What was planted, with its effect in words and numbers."""
        broken, confused, launch = self.calendar.broken, self.calendar.confused, self.calendar.launch
        rows = [
            (
                "checkout form breaks",
                f"journey=checkout;os={BROKEN_OS};app_version={RELEASES[BROKEN_RELEASE]}",
                broken,
                f"conversion {laws.CHECKOUT_SUCCESS} -> {laws.BROKEN_CHECKOUT_SUCCESS}",
            ),
            (
                "import step confuses",
                "journey=onboarding;step=import",
                confused,
                f"completion {laws.IMPORT_DONE} -> {laws.CONFUSED_IMPORT_DONE}",
            ),
            (
                "campaign brings a surge",
                f"utm_campaign={words.TOUCHES[words.LAUNCH].campaign}",
                launch,
                "first visits x 3.3",
            ),
        ]
        kept = [(what, where_, interval, said) for what, where_, interval, said in rows if interval]
        return {
            "what": pa.array([row[0] for row in kept], pa.string()),
            "where": pa.array([row[1] for row in kept], pa.string()),
            "from": _instants(np.array([row[2][0] for row in kept], np.int64)),
            "to": _instants(np.array([row[2][1] for row in kept], np.int64)),
            "effect": pa.array([row[3] for row in kept], pa.string()),
        }

    def _write(self, name: str, columns: dict[str, pa.Array]) -> None:
        """Append rows to a file; the header comes first."""
        table = pa.table(columns)
        with (self.folder / f"{name}.csv").open("ab") as file:
            csv.write_csv(table, file, csv.WriteOptions(include_header=name not in self.started))
        self.started.add(name)

    def _write_people(self, world: World, written: Iterable[Written]) -> None:
        said = [one for export in written for one in export.identifiers]
        person = np.concatenate([who for _, who, _ in said])
        kind = np.concatenate([np.full(len(who), kind) for kind, who, _ in said])
        value = pa.concat_arrays([values.cast(pa.string()) for _, _, values in said])
        table = pa.table({"person": person, "identifier_type": kind, "identifier": value})
        table = table.filter(pa.compute.is_valid(table["identifier"]))
        table = table.group_by(table.column_names, use_threads=False).aggregate([])
        table = table.sort_by([(name, "ascending") for name in table.column_names])
        of = table["person"].to_numpy()
        people = world.people
        self._write(
            "people",
            {
                "person": _person(world, of),
                "identifier_type": table["identifier_type"].combine_chunks(),
                "identifier": table["identifier"].combine_chunks(),
                "household": glue("h", plain(people.household[of])),
                "account": where(people.company_number[of] >= 0, glue("a", plain(people.company_number[of])), ""),
            },
        )

    def _write_types(self, world: World) -> None:
        session = world.events.session[world.events.kind != 2]
        of = world.events.session_person[np.unique(session)]
        shown = np.flatnonzero(np.bincount(of[of >= 0], minlength=len(world.people)) >= FEWEST_SESSIONS)
        names = pick([t.name for t in words.JOURNEY_TYPES], world.people.journey_type[shown])
        self._write("types", {"person": _person(world, shown), "journey_type": names})

    def _write_hazards(self, world: World) -> None:
        panel, paying, cancelling = chances(world)
        self._write(
            "hazards",
            {
                "person": _person(world, panel.person),
                "journey": where(panel.phase == TRIAL, "trial_to_paid", "renewal"),
                "snapshot_date": pa.array((panel.monday // MS_PER_DAY).astype("datetime64[D]")),
                "p_convert_14d": _probabilities(paying),
                "p_churn_30d": _probabilities(cancelling),
            },
        )

    def _write_outcomes(self, world: World) -> None:
        lives, subscriptions, attempts = world.lives, world.lives.subscriptions, world.lives.attempts
        everyone = np.arange(len(world.people))
        failed = np.flatnonzero(subscriptions.is_unpaid)
        back = np.flatnonzero(attempts.return_at < NEVER)
        broken = is_broken(world.devices, attempts.device, attempts.at, world.calendar)
        told = [
            ("signed_up", everyone, lives.signs_up),
            ("trial_cancelled", everyone, lives.gives_up),
            ("subscription_started", subscriptions.person, subscriptions.starts),
            ("subscription_cancelled", subscriptions.person, subscriptions.cancels),
            ("subscription_unpaid", subscriptions.person[failed], subscriptions.ends[failed]),
            ("checkout_started", attempts.person, attempts.at),
            ("checkout_started_broken", attempts.person[broken], attempts.at[broken]),
            ("order_completed", attempts.person, np.where(attempts.is_pack, attempts.paid_at, NEVER)),
            ("return_requested", attempts.person[back], attempts.return_at[back]),
        ]
        for reason, name in enumerate(ABANDONMENTS):
            left = attempts.left == reason
            told.append((f"checkout_left:{name}", attempts.person[left], attempts.at[left]))
        person = np.concatenate([who for _, who, _ in told])
        at = np.concatenate([when for _, _, when in told])
        what = np.concatenate([np.full(len(who), name) for name, who, _ in told])
        inside = np.flatnonzero((at >= self.period.start) & (at < self.period.end))
        order = inside[np.lexsort((person[inside], at[inside]))]
        self._write(
            "outcomes",
            {
                "person": _person(world, person[order]),
                "outcome": pa.array(what[order]),
                "at": _instants(at[order]),
            },
        )

    def _write_messages(self, world: World) -> None:
        told = planted_messages(world)
        at = told["at"].cast(pa.int64()).to_numpy()
        inside = pa.array(np.flatnonzero((at >= self.period.start) & (at < self.period.end)))
        told = told.take(inside)
        self._write(
            "messages",
            {
                "person": _person(world, told["person"].to_numpy()),
                **{name: told[name].combine_chunks() for name in ("source", "at", "theme", "mood")},
            },
        )


def _person(world: World, of: np.ndarray) -> pa.Array:
    return glue("p", plain(world.people.number[of]))


def _instants(ms: np.ndarray) -> pa.Array:
    return pa.array(ms, pa.timestamp("ms", tz="UTC"))


def _probabilities(values: np.ndarray) -> pa.Array:
    return pa.array(np.round(values, 6), mask=np.isnan(values))
