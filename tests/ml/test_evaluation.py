"""Measures of probabilities against scikit-learn, formulas written another way, published intervals and draws."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ml.evaluation import (
    auc,
    auc_interval,
    calibration_table,
    chance,
    compare,
    evaluate,
    fairness_table,
    fit_logistic,
    logit,
    wilson,
)


def people(seed: int, count: int, *, rows: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, true chances and persons: chances are a person's own for the most part."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), rows)
    own = np.repeat(rng.normal(-1.2, 0.9, count), rows)
    chances = chance(own + rng.normal(0, 0.4, len(person)))
    return rng.random(len(person)) < chances, chances, person


def test_point_measures_are_those_of_scikit_learn():
    from sklearn import metrics

    labels, chances, person = people(1, 300)
    told = np.round(chances, 2)
    found = evaluate(labels, told, person, 0.3)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(labels, told), abs=1e-12)
    assert found["pr_auc"] == pytest.approx(metrics.average_precision_score(labels, told), abs=1e-12)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(labels, told), abs=1e-12)
    clipped = np.clip(told, 1e-9, 1)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, clipped), abs=1e-9)
    assert found["precision"] == pytest.approx(metrics.precision_score(labels, told >= 0.3), abs=1e-12)
    assert found["recall"] == pytest.approx(metrics.recall_score(labels, told >= 0.3), abs=1e-12)


def test_calibration_is_the_unpenalised_logistic_regression_on_the_logit():
    from sklearn.linear_model import LogisticRegression

    labels, chances, person = people(2, 400)
    told = chance(0.6 * logit(chances) - 0.3)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(told)[:, None], labels)
    found = evaluate(labels, told, person, 0.5)
    assert found["calibration_slope"] == pytest.approx(reference.coef_[0, 0], abs=1e-5)
    assert found["calibration_intercept"] == pytest.approx(reference.intercept_[0], abs=1e-5)
    # What was foretold is too flat by 0.6, so the slope is about 1 / 0.6.
    assert found["calibration_slope_low"] < 1 / 0.6 < found["calibration_slope_high"]
    assert found["calibration_slope_low"] > 1


def test_auc_interval_of_single_rows_is_delongs():
    """The variance from all pairs of a case and a control, as DeLong, DeLong and Clarke-Pearson (1988) write it."""
    labels, chances, person = people(3, 150, rows=1)
    chances = np.round(chances, 1)
    cases, controls = chances[labels], chances[~labels]
    pairs = (cases[:, None] > controls) + 0.5 * (cases[:, None] == controls)
    variance = pairs.mean(axis=1).var(ddof=1) / len(cases) + pairs.mean(axis=0).var(ddof=1) / len(controls)
    area = pairs.mean()
    half = 1.959964 * np.sqrt(variance) / (area * (1 - area))
    low, high = auc_interval(labels, chances, person)
    assert auc(labels, chances) == pytest.approx(area, abs=1e-12)
    assert logit([low, high]) == pytest.approx(logit(area) + np.array([-half, half]), abs=1e-5)


def test_rows_said_again_by_the_same_people_tell_nothing_new():
    labels, chances, person = people(4, 200, rows=1)
    again = evaluate(np.repeat(labels, 5), np.repeat(chances, 5), np.repeat(person, 5), 0.3)
    assert again == pytest.approx(evaluate(labels, chances, person, 0.3), abs=1e-9)
    as_if_others = evaluate(np.repeat(labels, 5), np.repeat(chances, 5), np.arange(5 * len(labels)), 0.3)
    assert as_if_others["auc_high"] - as_if_others["auc_low"] < 0.5 * (again["auc_high"] - again["auc_low"])


def test_people_are_the_same_by_name_and_by_number():
    labels, chances, person = people(5, 100)
    names = [f"person-{number}" for number in person[::-1]]
    by_number = evaluate(labels, chances, person[::-1], 0.3)
    assert evaluate(labels, chances, names, 0.3) == pytest.approx(by_number, rel=1e-12)
    assert evaluate(labels, chances, pa.chunked_array([names]), 0.3) == pytest.approx(by_number, rel=1e-12)


def test_intervals_hold_what_they_promise():
    """Of 300 draws of clustered rows, 95 % intervals hold the true value in 92 to 98 % (three standard errors)."""
    labels, chances, _ = people(99, 100_000)
    true_auc = auc(labels, chances)
    held = np.zeros((300, 2))
    for seed in range(300):
        labels, chances, person = people(1_000 + seed, 120)
        found = evaluate(labels, chances, person, 0.5)
        held[seed] = (
            found["auc_low"] <= true_auc <= found["auc_high"],
            found["calibration_slope_low"] <= 1 <= found["calibration_slope_high"],
        )
    assert ((held.mean(axis=0) >= 0.91) & (held.mean(axis=0) <= 0.985)).all(), held.mean(axis=0)


def test_one_class_alone_leaves_ranking_and_calibration_undefined():
    found = evaluate([False] * 4, [0.1, 0.2, 0.1, 0.3], [1, 2, 3, 4], 0.2)
    assert np.isnan([found["auc"], found["auc_low"], found["pr_auc"], found["calibration_slope"]]).all()
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.01 + 0.09) / 4)


def test_logistic_fit_survives_a_far_start():
    """Separable but for two rows: Newton's full steps would fly off."""
    x = np.r_[np.linspace(-60, -1, 50), np.linspace(1, 60, 50)]
    labels = x > 0
    labels[[0, -1]] = ~labels[[0, -1]]
    weights = fit_logistic(np.column_stack([np.ones(100), x]), labels)
    gradient = np.column_stack([np.ones(100), x]).T @ (labels - chance(np.column_stack([np.ones(100), x]) @ weights))
    assert np.abs(gradient).max() < 1e-6


class TestCompare:
    def test_a_better_challenger_is_better_and_a_worse_one_is_not(self):
        labels, chances, person = people(6, 600)
        blunt = chance(0.5 * logit(chances) - 0.5)
        better = compare(labels, blunt, chances, person, seed=0)
        assert better.is_better
        assert 0 < better.low < better.gain < better.high
        worse = compare(labels, chances, blunt, person, seed=0)
        assert not worse.is_better
        assert worse.gain == pytest.approx(-better.gain, abs=1e-12)
        assert worse.high < 0

    def test_an_equal_challenger_is_refused(self):
        labels, chances, person = people(7, 200)
        equal = compare(labels, chances, chances, person, seed=0)
        assert (equal.is_better, equal.gain, equal.low, equal.high) == (False, 0, 0, 0)

    def test_a_challenger_that_is_another_only_by_noise_is_refused(self):
        better = 0
        for seed in range(40):
            labels, chances, person = people(2_000 + seed, 150)
            rng = np.random.default_rng(seed)
            one, other = (chance(logit(chances) + rng.normal(0, 0.3, len(chances))) for _ in range(2))
            better += compare(labels, one, other, person, seed=0).is_better
        # An interval of 95 % lets 2.5 % through; 4 of 40 would be three standard errors above it.
        assert better < 4

    def test_gain_is_the_mean_difference_of_log_losses_and_its_interval_the_normal_one(self):
        labels, chances, person = people(8, 800)
        other = chance(0.8 * logit(chances))
        found = compare(labels, other, chances, person, seed=0)
        losses = [-np.log(np.where(labels, p, 1 - p)) for p in (other, chances)]
        by_person = np.bincount(person, losses[0] - losses[1]) / 4
        assert found.gain == pytest.approx(by_person.mean(), abs=1e-12)
        half = 1.96 * by_person.std(ddof=1) / np.sqrt(800)
        assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


# Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3.
@pytest.mark.parametrize(
    ("wins", "size", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(wins, size, low, high):
    assert np.round(wilson([wins], [size]), 4)[:, 0].tolist() == [low, high]


def test_calibration_table_by_hand():
    labels = [False, False, True, False, True, True]
    table = calibration_table(labels, [0.1, 0.1, 0.1, 0.4, 0.6, 0.8], bins=2)
    assert table["bucket"].to_pylist() == ["10.0% to 10.0%", "40.0% to 80.0%"]
    assert table["bucket_order"].to_pylist() == [1, 2]
    assert table["row_count"].to_pylist() == [3, 3]
    assert table["expected"].to_pylist() == pytest.approx([0.1, 0.6])
    assert table["observed"].to_pylist() == pytest.approx([1 / 3, 2 / 3])
    assert table["low"][0].as_py() < 1 / 3 < table["high"][0].as_py()


def test_calibration_table_of_one_chance_is_one_row():
    table = calibration_table([True, False], [0.5, 0.5])
    assert table.select(["bucket", "observed", "row_count"]).to_pylist() == [
        {"bucket": "50.0% to 50.0%", "observed": 0.5, "row_count": 2}
    ]


def test_fairness_table_by_hand():
    labels = np.r_[np.ones(20), np.zeros(30), np.ones(3), np.zeros(7), np.zeros(2)].astype(bool)
    chances = np.r_[np.full(20, 0.9), np.full(30, 0.2), np.full(10, 0.5), np.full(2, 0.1)]
    groups = ["mobile"] * 50 + ["app"] * 10 + [None] * 2
    rows = fairness_table(labels, chances, groups).to_pylist()
    assert [(row["bucket"], row["bucket_order"], row["row_count"]) for row in rows] == [
        ("mobile", 1, 50),
        ("app", 2, 10),
        ("unknown", 3, 2),
    ]
    assert [row["expected"] for row in rows] == pytest.approx([(18 + 6) / 50, 0.5, 0.1])
    assert [row["observed"] for row in rows] == pytest.approx([0.4, 0.3, 0.0])
    assert [(round(row["low"], 3), round(row["high"], 3)) for row in rows][1] == (0.108, 0.603)
    assert fairness_table(labels, chances, pa.array(groups)).equals(fairness_table(labels, chances, groups))
