"""The chances that follow from the laws, against lives drawn by them one week after another."""

from __future__ import annotations

import numpy as np
import pytest

from dagster_project.demo import laws

LIVES = 200_000


@pytest.mark.parametrize("level", [laws.DORMANT, laws.LIGHT, laws.HEAVY])
@pytest.mark.parametrize("weeks", [2, 3.4])
def test_chance_of_paying_is_the_share_of_lives_that_pay(level: int, weeks: float) -> None:
    rng = np.random.default_rng(1)
    start = {"is_stuck": np.ones(1, bool), "lift": np.full(1, 0.2), "touch": np.full(1, laws.ONBOARDING_CALL)}
    told = laws.paying_within(weeks, level=np.array([level]), age=np.array([1]), **start)[0]
    levels, alive, paid = np.full(LIVES, level), np.ones(LIVES, bool), np.zeros(LIVES, bool)
    for week in range(int(np.ceil(weeks))):
        chance = laws.pays(level=levels, age=np.full(LIVES, 1 + week), **start)
        now = alive & (rng.random(LIVES) < chance)
        # Of a last part of a week, the conversions that fall into it.
        paid |= now & (rng.random(LIVES) < min(1.0, weeks - week))
        alive &= ~now
        alive &= rng.random(LIVES) >= laws.gives_up(level=levels, age=np.full(LIVES, 1 + week))
        levels = laws.draw(rng, laws.TRIAL_LEVELS[levels])
    assert told == pytest.approx(paid.mean(), abs=4 * np.sqrt(told * (1 - told) / LIVES))


def test_chance_before_the_touch_is_known_is_that_of_the_touches_mixed() -> None:
    rng = np.random.default_rng(2)
    rest = {"age": np.ones(LIVES, np.int64), "is_stuck": np.zeros(LIVES, bool), "lift": np.zeros(LIVES)}
    level = np.full(LIVES, laws.HEAVY)
    touch = laws.draw(rng, np.column_stack([laws.TOUCH_CHANCES, 1 - laws.TOUCH_CHANCES.sum(axis=1)])[level])
    drawn = np.array([laws.ONBOARDING_CALL, laws.WEBINAR, laws.NO_TOUCH])[touch]
    mean = laws.paying_within(2, level=level, touch=drawn, **rest).mean()
    one = {name: values[:1] for name, values in rest.items()}
    told = laws.paying_within(2, level=level[:1], touch=np.array([-1]), **one)[0]
    assert told == pytest.approx(mean, abs=0.001)


@pytest.mark.parametrize("level", [laws.DORMANT, laws.LIGHT, laws.HEAVY])
@pytest.mark.parametrize("contacted", [False, True])
def test_chance_of_cancelling_is_the_share_of_lives_that_cancel(level: int, contacted: bool) -> None:
    rng = np.random.default_rng(3)
    told = laws.cancelling_within_30_days(level=np.array([level]), contacted=np.array([contacted]))[0]
    levels, asked = np.full(LIVES, level), np.full(LIVES, contacted)
    stays, quits = np.ones(LIVES, bool), np.zeros(LIVES, bool)
    for week in range(5):
        chance = laws.cancels(level=levels, contacted=asked)
        now = stays & (rng.random(LIVES) < chance)
        when = laws.part_of_week(chance, rng.random(LIVES))
        quits |= now & (7 * week + 7 * when < 30)
        stays &= ~now
        levels = laws.draw(rng, laws.PAYING_LEVELS[levels])
        asked = rng.random(LIVES) < laws.PAYING_CONTACT[levels]
    assert told == pytest.approx(quits.mean(), abs=4 * np.sqrt(told * (1 - told) / LIVES))


def test_part_of_week_lies_in_the_week_and_comes_early_when_the_chance_is_high() -> None:
    luck = (np.arange(1000) + 0.5) / 1000
    often, seldom = (laws.part_of_week(np.full(1000, p), luck) for p in (0.9, 0.001))
    assert often.min() >= 0 and often.max() < 1
    assert often.mean() < 0.4
    assert seldom.mean() == pytest.approx(0.5, abs=0.001)
