"""What is found: points of friction, what they were counted on, and the level of false discoveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ml.friction.chances import Flags, Floats, Integers

MINIMUM_ATTEMPTS = 30
FALSE_DISCOVERIES = 0.05


@dataclass(kw_only=True)
class Point:
    """One place, signal and cohort in one slice of time, with what was counted and what was expected.

    ``week`` is a place in the journey's weeks, or -1 for all of them. ``attempts`` are those that were hit, or of the
    cohort, ``lost`` those of them whose loss is told of; ``reference`` words the counts that it was compared with.
    """

    week: int
    place: int
    signal: int
    cohort: int
    attempt_count: int
    lost_count: int
    extra: tuple[float, float, float]
    p_value: float | None
    ratio: float
    attempts: Integers
    lost: Integers
    hit_count: int
    reference: tuple[int, int]
    q_value: float | None = None
    is_ranked: bool = False
    note: str = ""
    left_out: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Hit:
    """Attempts that met one signal at one place: the loss that was to be expected of each, and how surely."""

    place: int
    signal: int
    attempt: Integers
    expected: Floats
    variance: Floats
    others: Flags


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """A value of a dimension, or of two: who is in it, and who else is known there."""

    dimensions: tuple[str, ...]
    values: tuple[str, ...]
    number: int

    @property
    def label(self) -> str:
        """Its dimensions with their values, as ``os=Android, app_version=4.2.0``."""
        return ", ".join(f"{name}={value}" for name, value in zip(self.dimensions, self.values, strict=True))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A place and signal: which attempts could have been lost there (``at_risk``), which were."""

    place: int
    signal: int
    at_risk: Flags
    lost: Flags


@dataclass(kw_only=True)
class Family:
    """All tests of one family in one journey: what may be ranked, and the p-values of everything that was asked."""

    points: list[Point]
    p_values: Floats
    cut: float = 0.0
    levels: tuple[Floats, Floats] = (np.zeros(0), np.zeros(0))
    cohorts: list[Cohort] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    hit: list[Hit] = field(default_factory=list)


def is_enough(point: Point) -> bool:
    """Whether a point rests on enough attempts to be ranked."""
    return point.attempt_count >= MINIMUM_ATTEMPTS


def control(families: Sequence[Family]) -> None:
    """Give every point its q-value among all tests of the family (Benjamini and Hochberg 1995)."""
    p_values = np.concatenate([tests.p_values for tests in families]) if families else np.zeros(0)
    count = len(p_values)
    if not count:
        return
    order = np.argsort(p_values, kind="stable")
    raw = p_values[order] * count / np.arange(1, count + 1)
    adjusted = np.minimum.accumulate(raw[::-1])[::-1].clip(max=1.0)
    passed = p_values[order][adjusted < FALSE_DISCOVERIES]
    cut = float(passed.max()) if len(passed) else 0.0
    for tests in families:
        tests.cut, tests.levels = cut, (p_values[order], adjusted)
        for point in tests.points:
            level(tests, point)


def level(tests: Family, point: Point) -> None:
    """Read off the q-value of a point's p-value."""
    p_values, adjusted = tests.levels
    if point.p_value is not None and len(p_values):
        at = int(np.searchsorted(p_values, point.p_value, side="right")) - 1
        point.q_value = float(adjusted[max(at, 0)])
