"""Kinds of leaving: lost attempts whose last session looked alike, found from what was done and named by it.

k-means on scaled measures of the session (Lloyd 1982), with as many kinds, two to five, as stand apart best
(silhouette; Rousseeuw 1987) among the numbers that come out the same on both halves of the attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

ENOUGH = 30
FEWEST, MOST = 2, 5
# The number of kinds is chosen on at most so many attempts, and kinds are learned from at most so many.
ATTEMPTS_TO_CHOOSE, ATTEMPTS_TO_LEARN = 3_000, 20_000
# Kaufman and Rousseeuw (1990) read a silhouette below a quarter as no structure worth the name.
LEAST_SILHOUETTE = 0.25
# Kinds learned on one half must sort the attempts nearly as those of the other half do (adjusted Rand index).
LEAST_STABILITY = 0.8
# Fewer are exceptions and no kind.
LEAST_MEMBERS, LEAST_SHARE = 10, 0.01
SEED = 20_240_601
STARTS = 10
# A measure sets a kind apart when it differs from all others' mean by so many standard deviations.
NOTABLE = 0.5


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of a session: its words, and how much and how little of it are told in a name."""

    words: str
    much: str
    little: str
    unit: str = ""


# In the order in which they are told. Counts and seconds are looked at on the log scale: twice as much is as far from
# once as once is from half.
MEASURES: Mapping[str, Measure] = {
    "seconds": Measure(words="length of the session", much="Stays long", little="Leaves at once", unit="s"),
    "longest_pause": Measure(words="longest pause", much="Long pause", little="Without a pause", unit="s"),
    "frictions": Measure(words="errors and other friction", much="Meets errors", little="Without errors"),
    "around": Measure(words="touches off the journey's stages", much="Looks around", little="Straight on"),
    "repeats": Measure(words="things done again", much="Again and again", little="Nothing twice"),
    "progress": Measure(words="stages passed in the session", much="Gets far", little="Leaves early"),
    "seconds_after": Measure(words="time after the last stage", much="Lingers", little="Gone at once", unit="s"),
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of leaving.

    Attributes
    ----------
    name, description : str
        What sets it apart.
    main_signal : str
        The measure that sets it apart most.
    members : ndarray of int
        Places of its attempts.
    """

    name: str
    description: str
    main_signal: str
    members: Integers


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """What was found.

    Attributes
    ----------
    kinds : list of Kind
        The most frequent first; empty if nothing stands apart.
    silhouette, stability : float
        Of the number chosen; nan if none was.
    sentence : str
        What was found, or why nothing.
    """

    kinds: list[Kind]
    silhouette: float
    stability: float
    sentence: str


def sort_leavings(measures: Mapping[str, Floats], *, draws: Integers) -> Kinds:
    """Sort lost attempts by what their last session looked like.

    Parameters
    ----------
    measures : mapping of str to ndarray of float, shape (attempts,)
        The measures of ``MEASURES``, 0 or more.
    draws : ndarray of int, shape (attempts,)
        A number per attempt that has nothing to do with it, for halves and samples.

    Returns
    -------
    Kinds
        The same whatever the order of the attempts, save for their places.
    """
    size = len(draws)
    none = float("nan")
    if size < ENOUGH:
        return Kinds(kinds=[], silhouette=none, stability=none, sentence=f"{size} lost attempts: too few to be sorted.")
    scaled = _scaled(measures)
    by_draw = np.argsort(draws, kind="stable")
    learned = scaled[by_draw[:ATTEMPTS_TO_LEARN]]
    looked_at = scaled[by_draw[:ATTEMPTS_TO_CHOOSE]]
    found: list[tuple[float, float, KMeans]] = []
    with threadpool_limits(limits=1):  # sums in another order would not be the same to the last digit
        different = len(np.unique(learned.round(9), axis=0))
        for count in range(FEWEST, min(MOST, different - 1) + 1):
            model = _learn(learned, count)
            labels = model.predict(looked_at)
            if np.bincount(model.labels_, minlength=count).min() < max(LEAST_MEMBERS, LEAST_SHARE * len(learned)):
                continue  # so few are exceptions and no kind
            if len(np.unique(labels)) < count:
                continue
            halves = [_learn(learned[half::2], count).predict(looked_at) for half in (0, 1)]
            stability = float(adjusted_rand_score(*halves))
            score = float(silhouette_score(looked_at, labels))
            if stability >= LEAST_STABILITY and score >= LEAST_SILHOUETTE:
                found.append((score, stability, model))
        if not found:
            told = "No kinds of leaving stand apart and come out the same on both halves of the attempts."
            return Kinds(kinds=[], silhouette=none, stability=none, sentence=told)
        score, stability, model = max(found, key=lambda each: each[0])
        labels = model.predict(scaled).astype(np.int64)
    kinds = _named(measures, scaled, labels)
    return Kinds(
        kinds=kinds,
        silhouette=score,
        stability=stability,
        sentence=f"{size:,} lost attempts, {len(kinds)} kinds (silhouette {score:.2f}, halves agree {stability:.2f}).",
    )


def _scaled(measures: Mapping[str, Floats]) -> Floats:
    """Measures on the log scale, centred at their median; the unit is the spread of the middle 90 %, or of all."""
    columns = np.log1p(np.stack([measures[name] for name in MEASURES], axis=1))
    low, middle, high = np.quantile(columns, [0.05, 0.5, 0.95], axis=0)
    spread = np.where(high > low, high - low, columns.max(axis=0) - columns.min(axis=0))
    return np.asarray((columns - middle) / np.where(spread > 0, spread, 1.0))


def _learn(rows: Floats, count: int) -> KMeans:
    return KMeans(n_clusters=count, n_init=STARTS, random_state=SEED).fit(rows)


def _named(measures: Mapping[str, Floats], scaled: Floats, labels: Integers) -> list[Kind]:
    """Name each kind by what sets it apart from all others, no two alike."""
    spread = np.maximum(scaled.std(axis=0), 1e-12)
    numbers, sizes = np.unique(labels, return_counts=True)
    means = np.stack([scaled[labels == number].mean(axis=0) for number in numbers])
    total = scaled.sum(axis=0)
    rest = (total - means * sizes[:, None]) / np.maximum(len(labels) - sizes, 1)[:, None]
    effects = (means - rest) / spread
    names = list(MEASURES)
    kinds, used = [], set()
    for place in np.lexsort((means[:, 0], -sizes)).tolist():
        strongest = np.argsort(-np.abs(effects[place]), kind="stable").tolist()
        words = [MEASURES[names[j]].much if effects[place, j] > 0 else MEASURES[names[j]].little for j in strongest]
        name = next((word for word in words if word not in used), words[0])
        if name in used:
            name = f"{words[0]}, {words[1].lower()}"
        used.add(name)
        members = np.flatnonzero(labels == numbers[place])
        amounts = [
            (names[j], _amount(names[j], measures[names[j]][members]), _amount(names[j], measures[names[j]]))
            for j in strongest
            if abs(effects[place, j]) >= NOTABLE
        ]
        told = [f"{MEASURES[measure].words} {mine} (all: {alls})" for measure, mine, alls in amounts if mine != alls][
            :3
        ]
        kinds.append(
            Kind(
                name=name,
                description=f"Typically: {'; '.join(told)}." if told else "Nothing sets it far apart.",
                main_signal=MEASURES[names[strongest[0]]].words,
                members=members,
            )
        )
    return kinds


def _amount(name: str, values: Floats) -> str:
    """A typical value: the median of seconds, the mean of counts."""
    if MEASURES[name].unit:
        return f"{np.median(values):,.0f} {MEASURES[name].unit}"
    return f"{values.mean():.1f}"
