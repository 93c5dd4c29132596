"""Kinds of leaving: planted ones are found and named, and nothing is found where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ml.abandonment import MEASURES, sort_leavings


def planted(seed: int, sizes: tuple[int, ...] = (300, 200, 120)) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Some leave at once, some after errors, some after a pause of many minutes."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    size = len(truth)
    pause = np.choose(truth, [rng.uniform(1, 4, size), rng.uniform(10, 30, size), rng.uniform(400, 1_500, size)])
    errors = np.where(truth == 1, 2 + rng.poisson(1, size), 0)
    return {
        "seconds": pause * 1.5,
        "longest_pause": pause,
        "frictions": errors,
        "around": rng.poisson(4, size),
        "repeats": np.maximum(errors - 1, 0),
        "progress": np.ones(size),
        "seconds_after": pause,
    }, truth


@pytest.mark.parametrize("seed", range(3))
def test_planted_kinds_are_found_and_named(seed: int) -> None:
    """They hardly overlap, so that nine in ten pairs must be sorted alike at least."""
    measures, truth = planted(seed)
    found = sort_leavings(measures, draws=np.random.default_rng(seed).permutation(len(truth)))
    labels = np.full(len(truth), -1)
    for number, kind in enumerate(found.kinds):
        labels[kind.members] = number
    assert (labels >= 0).all()
    assert adjusted_rand_score(truth, labels) > 0.9
    assert [len(kind.members) for kind in found.kinds] == sorted((len(k.members) for k in found.kinds), reverse=True)
    names = [kind.name for kind in found.kinds]
    assert {"Meets errors", "Long pause"} < set(names) | {"Leaves at once", "Gone at once", "Without a pause"}
    assert len(set(names)) == len(names)
    errors = next(kind for kind in found.kinds if kind.name == "Meets errors")
    assert errors.main_signal == MEASURES["frictions"].words
    assert f"errors and other friction {measures['frictions'][errors.members].mean():.1f}" in errors.description
    assert all(kind.description.startswith("Typically: ") for kind in found.kinds)


def test_what_is_as_with_all_is_not_told() -> None:
    """One in four waits ten minutes: with the others the median is none, as it is with all."""
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], [300, 100])
    measures = {
        "seconds": np.where(truth == 1, 900, 20) * rng.uniform(0.9, 1.1, 400),
        "longest_pause": np.where(truth == 1, 600, 0) * rng.uniform(0.9, 1.1, 400),
        **{name: np.ones(400) for name in ("frictions", "around", "repeats", "progress", "seconds_after")},
    }
    often, seldom = sort_leavings(measures, draws=rng.permutation(400)).kinds
    assert (len(often.members), len(seldom.members)) == (300, 100)
    assert "longest pause" not in often.description and "length of the session" in often.description
    assert "(all: 0 s)" in seldom.description and "longest pause" in seldom.description


def test_the_order_of_the_attempts_does_not_matter() -> None:
    measures, truth = planted(7)
    draws = np.random.default_rng(7).permutation(len(truth))
    shuffled = np.random.default_rng(8).permutation(len(truth))
    one = sort_leavings(measures, draws=draws)
    other = sort_leavings({name: values[shuffled] for name, values in measures.items()}, draws=draws[shuffled])
    assert [(k.name, k.description, sorted(k.members)) for k in one.kinds] == [
        (k.name, k.description, sorted(shuffled[k.members])) for k in other.kinds
    ]


def test_one_cloud_is_not_taken_apart() -> None:
    rng = np.random.default_rng(3)
    measures = {name: np.exp(rng.normal(3, 1, 500)) for name in MEASURES}
    found = sort_leavings(measures, draws=rng.permutation(500))
    assert found.kinds == []
    assert found.sentence.startswith("No kinds of leaving stand apart")


def test_all_alike_are_no_kinds() -> None:
    found = sort_leavings({name: np.ones(100) for name in MEASURES}, draws=np.arange(100))
    assert found.kinds == []


def test_fewer_than_thirty_are_told_in_a_sentence() -> None:
    found = sort_leavings({name: np.arange(29.0) for name in MEASURES}, draws=np.arange(29))
    assert found.kinds == []
    assert found.sentence == "29 lost attempts: too few to be sorted."


def test_a_handful_of_exceptions_is_no_kind() -> None:
    measures, truth = planted(5, sizes=(300, 200, 4))
    found = sort_leavings(measures, draws=np.random.default_rng(5).permutation(len(truth)))
    assert len(found.kinds) == 2
    assert min(len(kind.members) for kind in found.kinds) > 100
