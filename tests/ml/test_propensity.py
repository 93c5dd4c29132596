"""Propensity on worlds whose true chances are known, on a public set, and on what it must refuse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest

from ml import evaluation, propensity
from ml.propensity import FeatureSchema, NotTrainable, SchemaChanged, Trained, drift, predict, prepare, reasons, train
from tests.conftest import reference_data
from tests.ml import replicates

# The seeds of the promise were chosen before anything was looked at; settings were tried out on 101 to 120.
SEEDS = range(1, 21)
FEW = (1, 2, 3)
FEW_PEOPLE = 3_000

PLAIN = FeatureSchema(numeric=("visits", "noise"), categorical=("channel",))


@dataclass(frozen=True)
class Found:
    """How a model fares on the hold-out of one world, and how the true chances do."""

    auc: float
    true_auc: float
    slope: float
    true_slope: float
    holds_one: bool


def look(seed: int, *, people: int) -> Found:
    rows, chance = replicates.draw(seed, people=people)
    trained = train(rows, schema=replicates.SCHEMA, horizon_days=replicates.HORIZON_DAYS)
    keys = ["person_id", "snapshot_date"]
    told = trained.holdout.join(rows.select(keys).append_column("chance", pa.array(chance)), keys)
    truth = evaluation.evaluate(told["label"], told["chance"], told["person_id"], 0.5)
    metrics = trained.metrics
    return Found(
        auc=metrics["auc"],
        true_auc=truth["auc"],
        slope=metrics["calibration_slope"],
        true_slope=truth["calibration_slope"],
        holds_one=metrics["calibration_slope_low"] <= 1 <= metrics["calibration_slope_high"],
    )


def world(seed: int = 0, *, people: int = 400, weeks: int = 20, base: float = -1.5, early: float = 0.0) -> pa.Table:
    """People seen in four weeks each; visits and the channel tell, noise does not. Labels are complete.

    ``base`` is the logit of who searches and comes seldom; ``early`` is added to it in the first ten weeks.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 4)
    week = np.minimum(np.repeat(rng.integers(0, weeks, people), 4) + np.tile(np.arange(4), people), weeks - 1)
    person, week = np.unique(np.stack([person, week]), axis=1)
    visits, channel = rng.poisson(2, len(person)), rng.choice(["email", "search"], len(person))
    logit = base + 2.0 * (np.log1p(visits) - 1) + 1.0 * (channel == "email") + early * (week < 10)
    return pa.table(
        {
            "person_id": pa.array([f"p{number:05d}" for number in person]),
            "snapshot_date": pa.array([date(2026, 1, 5) + timedelta(weeks=int(one)) for one in week]),
            "label": pa.array(rng.random(len(person)) < evaluation.chance(logit)),
            "visits": pa.array(visits, pa.int64()),
            "noise": pa.array(rng.normal(size=len(person))),
            "channel": pa.array(channel),
        }
    )


def crossed(seed: int = 0) -> pa.Table:
    """A world in which only two features together tell: what a sum cannot say."""
    rows = world(seed, people=700)
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(2, rows.num_rows))
    label = rng.random(rows.num_rows) < np.where((one > 0) == (other > 0), 0.7, 0.1)
    rows = rows.drop_columns(["label", "visits", "noise"])
    for name, values in (("label", label), ("visits", np.exp(one)), ("noise", other)):
        rows = rows.append_column(name, pa.array(values))
    return rows


def replaced(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return world()


@pytest.fixture(scope="module")
def trained(rows: pa.Table) -> Trained:
    return train(rows, schema=PLAIN, horizon_days=14)


@pytest.fixture(scope="module")
def boosted() -> Trained:
    return train(crossed(), schema=PLAIN, horizon_days=14)


class TestPromises:
    def test_a_few_small_worlds(self):
        """On average the AUC is within 0.03 of the true chances' AUC; two of three slopes may be 1."""
        found = [look(seed, people=FEW_PEOPLE) for seed in FEW]
        assert abs(np.mean([one.auc - one.true_auc for one in found])) <= 0.03
        assert sum(one.holds_one for one in found) >= 2

    @pytest.mark.torture
    def test_all_worlds(self):
        """In every world the AUC is within 0.03 of the true chances' AUC; chances are neither too sharp nor too flat.

        A hold-out has some 240 people who pay, so that the slope of the true chances themselves strays by 0.095; what
        is learned from three times as many adds 0.06 at best. An interval that allows for the hold-out alone then holds
        1 in 91 % of worlds: 18 of 20 are expected, of the seeds from 101 to 130 it is 28 of 30, of these only 16, one
        of which the true chances miss too. So few worlds cannot be counted; what the model itself adds to the slope of
        the true chances is held to be small, on average and in spread. That 17 of 20 hold 1 is asked of the company
        itself, in `tests/demo/test_models_at_size.py`.
        """
        found = [look(seed, people=replicates.DEFAULT_PEOPLE) for seed in SEEDS]
        assert max(abs(one.auc - one.true_auc) for one in found) <= 0.03
        added = np.array([one.slope - one.true_slope for one in found])
        assert abs(added.mean()) <= 0.03
        assert added.std() <= 0.08

    def test_telco_churn(self):
        """Mean AUC of five times two stratified halves, for the learner that the same selection picks.

        It has no dates: customers are dealt into stretches at random.
        """
        from sklearn.model_selection import RepeatedStratifiedKFold

        table = csv.read_csv(reference_data() / "reference/telco_churn/Telco-Customer-Churn.csv")
        total = pc.cast(pc.if_else(pc.equal(table["TotalCharges"], " "), None, table["TotalCharges"]), pa.float64())
        table = replaced(table, "TotalCharges", total)
        numeric = ("tenure", "MonthlyCharges", "TotalCharges", "SeniorCitizen")
        left = {*numeric, "customerID", "Churn"}
        schema = FeatureSchema(
            numeric=numeric, categorical=tuple(name for name in table.column_names if name not in left)
        )
        rng = np.random.default_rng(0)
        everyone = propensity._Data(
            frame=prepare(table, schema=schema),
            labels=pc.equal(table["Churn"], "Yes").to_numpy(),
            days=rng.integers(0, 20, table.num_rows),
            person=np.arange(table.num_rows),
        )
        halves = RepeatedStratifiedKFold(n_splits=2, n_repeats=5, random_state=0)
        areas = []
        with propensity._one_thread():
            for earlier, later in halves.split(everyone.frame, everyone.labels):
                best, _ = propensity._select(everyone.only(earlier), schema, 0, 0)
                chances = best.fit(everyone.only(earlier)).predict_proba(everyone.frame.iloc[later])[:, 1]
                areas.append(evaluation.auc(everyone.labels[later], chances))
        assert len(areas) == 10
        assert np.mean(areas) >= 0.84


class TestTraining:
    def test_what_is_said_of_the_parts_is_so(self, rows, trained):
        assert trained.training_to + timedelta(days=14) <= trained.holdout_from
        assert trained.holdout_to == pc.max(rows["snapshot_date"]).as_py()
        weeks = np.unique(rows["snapshot_date"].to_numpy())
        assert 0.2 <= (weeks >= np.datetime64(trained.holdout_from)).mean() <= 0.25
        later = rows.filter(pc.field("snapshot_date") >= trained.holdout_from)
        assert trained.holdout_row_count == later.num_rows == trained.holdout.num_rows
        assert trained.holdout_positive_count == pc.sum(later["label"]).as_py()
        earlier = rows.filter(pc.field("snapshot_date") <= trained.training_to)
        assert (trained.row_count, trained.positive_count) == (earlier.num_rows, pc.sum(earlier["label"]).as_py())
        assert trained.algorithm == "logistic regression"
        assert trained.importance["feature"].to_pylist()[2] == "noise"

    def test_hold_out_chances_and_measures_are_the_models(self, rows, trained):
        later = rows.filter(pc.field("snapshot_date") >= trained.holdout_from)
        by_key = trained.holdout.join(
            later.append_column("again", pa.array(predict(trained.pipeline, later, schema=PLAIN))),
            ["person_id", "snapshot_date"],
        )
        assert by_key["probability"].to_pylist() == by_key["again"].to_pylist()
        held = trained.holdout
        found = evaluation.evaluate(held["label"], held["probability"], held["person_id"], trained.threshold)
        assert {name: trained.metrics[name] for name in found} == pytest.approx(found, rel=1e-9)
        assert trained.metrics["base_rate_log_loss"] > trained.metrics["log_loss"]

    def test_the_order_of_rows_changes_nothing(self, rows, trained):
        for seed in range(3):
            order = np.random.default_rng(seed).permutation(rows.num_rows)
            again = train(rows.take(order), schema=PLAIN, horizon_days=14)
            assert np.array_equal(
                predict(again.pipeline, rows, schema=PLAIN), predict(trained.pipeline, rows, schema=PLAIN)
            )
            assert (again.metrics, again.threshold) == (trained.metrics, trained.threshold)
            assert again.background == trained.background

    def test_rows_whose_label_reaches_into_the_hold_out_are_not_learned_from(self, rows, trained):
        between = pc.and_(
            pc.greater(rows["snapshot_date"], trained.training_to),
            pc.less(rows["snapshot_date"], trained.holdout_from),
        )
        assert pc.sum(between).as_py() > 20
        poisoned = replaced(rows, "label", pc.xor(rows["label"], between))
        again = train(poisoned, schema=PLAIN, horizon_days=14)
        assert np.array_equal(
            predict(again.pipeline, rows, schema=PLAIN), predict(trained.pipeline, rows, schema=PLAIN)
        )

    def test_hold_out_labels_do_not_move_the_model_or_its_threshold(self, rows, trained):
        first = pc.and_(
            pc.equal(rows["snapshot_date"], trained.holdout_from), pc.equal(rows["channel"], pa.scalar("email"))
        )
        other = train(replaced(rows, "label", pc.xor(rows["label"], first)), schema=PLAIN, horizon_days=14)
        assert other.threshold == trained.threshold
        assert np.array_equal(
            predict(other.pipeline, rows, schema=PLAIN), predict(trained.pipeline, rows, schema=PLAIN)
        )
        assert other.metrics != trained.metrics

    def test_the_same_people_every_week_are_enough(self):
        """Nobody else is there from whom to learn: only time stands between what is learned and what is foretold."""
        rng = np.random.default_rng(5)
        person, week = np.tile(np.arange(60), 20), np.repeat(np.arange(20), 60)
        visits = rng.poisson(2.0, len(person))
        rows = pa.table(
            {
                "person_id": pa.array([f"p{number:02d}" for number in person]),
                "snapshot_date": pa.array([date(2026, 1, 5) + timedelta(weeks=int(one)) for one in week]),
                "label": pa.array(rng.random(len(person)) < evaluation.chance(0.9 * visits - 3.0)),
                "visits": pa.array(visits, pa.int64()),
            }
        )
        found = train(rows, schema=FeatureSchema(numeric=("visits",), categorical=()), horizon_days=14)
        assert found.metrics["auc_low"] > 0.6

    def test_trees_are_chosen_where_features_work_together(self, boosted):
        assert boosted.algorithm.startswith("histogram gradient boosting")
        assert boosted.metrics["auc"] > 0.75

    def test_a_sigmoid_is_kept_where_it_helps_later(self):
        """The outcome was more frequent in the first weeks: chances told from all the past are too high since."""
        drifted = world(3, people=3_000, weeks=40, base=-2.0, early=2.0)
        found = train(drifted, schema=PLAIN, horizon_days=14)
        assert found.algorithm == "logistic regression, calibrated"
        held = found.holdout.join(drifted.drop_columns(["label"]), ["person_id", "snapshot_date"])
        frame = prepare(held, schema=PLAIN)
        [calibrated] = found.pipeline.calibrated_classifiers_
        inner, sigmoid = calibrated.estimator.estimator, calibrated.calibrators[0]
        assert -sigmoid.b_ < 0
        assert found.pipeline.predict_proba(frame)[:, 1] == pytest.approx(
            evaluation.chance(-sigmoid.a_ * inner.decision_function(frame) - sigmoid.b_), abs=1e-12
        )
        plain = evaluation.log_loss(held["label"], inner.predict_proba(frame)[:, 1])
        assert found.metrics["log_loss"] < plain

    def test_features_that_never_vary_are_left_out(self, rows, trained):
        schema = FeatureSchema(numeric=("visits", "noise", "same"), categorical=("channel", "only"))
        wider = rows.append_column("same", pa.array([7] * rows.num_rows)).append_column(
            "only", pa.array(["x"] * rows.num_rows)
        )
        found = train(wider, schema=schema, horizon_days=14)
        assert np.array_equal(
            predict(found.pipeline, wider, schema=schema), predict(trained.pipeline, rows, schema=PLAIN)
        )
        assert set(found.background["features"]) == {"visits", "noise", "channel"}
        assert found.schema == schema

    def test_missing_values_and_unseen_levels_are_scored(self, rows, trained):
        few = rows.slice(0, 3)
        odd = replaced(
            replaced(few, "visits", pa.array([None, 10**9, -5])), "channel", pa.array([None, "fax", "email"])
        )
        chances = predict(trained.pipeline, odd, schema=PLAIN)
        assert ((chances > 0) & (chances < 1)).all()


class TestRefusals:
    @pytest.mark.parametrize(("label", "said"), [(True, "every one"), (False, "none")])
    def test_one_class_only(self, rows, label, said):
        with pytest.raises(NotTrainable, match=rf"^Of 1,\d\d\d rows with complete labels {said} has the outcome"):
            train(replaced(rows, "label", pa.array([label] * rows.num_rows)), schema=PLAIN, horizon_days=14)

    def test_no_rows(self, rows):
        with pytest.raises(NotTrainable, match="no rows with complete labels yet"):
            train(rows.slice(0, 0), schema=PLAIN, horizon_days=14)

    def test_too_few_positives(self, rows):
        rare = pc.and_(rows["label"], pa.array(np.arange(rows.num_rows) % 20 == 0))
        with pytest.raises(NotTrainable, match=r"^There are \d+ rows with the outcome in training, .* needs 40: "):
            train(replaced(rows, "label", rare), schema=PLAIN, horizon_days=14)

    def test_too_few_positives_in_the_hold_out(self, rows, trained):
        early = pc.and_(rows["label"], pc.less(rows["snapshot_date"], trained.holdout_from))
        with pytest.raises(NotTrainable, match=r"^There are 0 rows with the outcome in the hold-out, .* needs 10: "):
            train(replaced(rows, "label", early), schema=PLAIN, horizon_days=14)

    def test_too_few_snapshots(self, rows):
        with pytest.raises(NotTrainable, match=r"^There are 7 snapshots .* needs 8: more weeks"):
            train(
                rows.filter(pc.field("snapshot_date") < date(2026, 1, 5) + timedelta(weeks=7)),
                schema=PLAIN,
                horizon_days=14,
            )

    @pytest.mark.parametrize("weeks", [8, 9, 10])
    def test_few_snapshots_are_enough(self, weeks):
        """Of so few, hardly one stretch can be foretold from what came before it."""
        trained = train(world(3, people=200, weeks=weeks), schema=PLAIN, horizon_days=14)
        assert trained.metrics["auc_low"] > 0.5

    def test_features_that_are_all_constant(self, rows):
        flat = pa.array([1] * rows.num_rows)
        same = replaced(replaced(rows, "visits", flat), "noise", flat)
        with pytest.raises(NotTrainable, match=r"^None of the 3 features varies in training"):
            train(replaced(same, "channel", pa.array(["x"] * rows.num_rows)), schema=PLAIN, horizon_days=14)

    def test_what_is_no_better_than_the_base_rate(self, rows):
        label = np.random.default_rng(1).random(rows.num_rows) < 0.3
        with pytest.raises(NotTrainable, match=r"no better than the base rate of \d\d\.\d% on the hold-out \(AUC 0\."):
            train(replaced(rows, "label", pa.array(label)), schema=PLAIN, horizon_days=14)

    def test_a_changed_schema_is_named(self, rows, trained):
        renamed = rows.rename_columns(["person_id", "snapshot_date", "label", "visits", "noises", "channel"])
        retyped = replaced(renamed, "visits", renamed["visits"].cast(pa.string()))
        with pytest.raises(SchemaChanged) as raised:
            predict(trained.pipeline, retyped, schema=PLAIN)
        assert str(raised.value) == (
            "The features are not those the model was trained on (missing: noise; of another type: visits (string); "
            "not known to it: noises): train a new model on them."
        )

    def test_a_column_more_and_other_widths_are_no_change(self, rows, trained):
        wider = replaced(rows, "visits", rows["visits"].cast(pa.int16())).append_column("new", rows["noise"])
        wider = replaced(wider, "channel", wider["channel"].combine_chunks().dictionary_encode())
        assert np.array_equal(
            predict(trained.pipeline, wider, schema=PLAIN), predict(trained.pipeline, rows, schema=PLAIN)
        )


WORDS = {
    "visits": "visits in the last week|1=one visit in the last week",
    "channel": "channel of the first visit",
    "noise": "noise",
}


class TestReasons:
    def test_parts_of_a_logistic_regression_add_up_to_the_logit(self, rows, trained):
        """The centred parts and the mean logit of the training rows are the logit: nothing is left unexplained."""
        moved = propensity._contributions(trained.pipeline, prepare(rows, schema=PLAIN), trained.background["features"])
        logits = trained.pipeline.decision_function(prepare(rows, schema=PLAIN))
        learned = pc.less_equal(rows["snapshot_date"], trained.training_to).to_numpy()
        assert moved.sum(axis=1) + logits[learned].mean() == pytest.approx(logits, abs=1e-9)

    def test_they_are_told_in_words_with_direction(self, rows, trained):
        few = rows.slice(0, 4)
        few = replaced(few, "visits", pa.array([0, 1, 9, 2]))
        few = replaced(few, "channel", pa.array(["search", "email", "email", "search"]))
        told = reasons(trained.pipeline, few, schema=PLAIN, background=trained.background, words=WORDS)
        assert told[0][0] == "no visits in the last week (lowers)"
        assert "one visit in the last week (lowers)" in told[1]
        assert told[2][:2] == ["9 visits in the last week (raises)", "channel of the first visit: email (raises)"]
        assert "channel of the first visit: search (lowers)" in told[3]
        assert max(len(one) for one in told) <= 3

    def test_features_of_one_family_count_together_and_one_speaks(self):
        """By hand: the first two cancel in part, the third stands alone; a family is told once."""
        moved = np.array([[0.9, -0.2, 0.5], [-0.6, 0.7, -0.3], [-0.9, 0.2, 0.0]])
        together, speaker = propensity._by_family(moved, ["calls", "calls", "noise"])
        assert together == pytest.approx(np.array([[0.7, 0.5], [0.1, -0.3], [-0.7, 0.0]]))
        assert speaker.tolist() == [[0, 2], [1, 2], [0, 2]]

    def test_a_family_is_told_once(self, rows, trained):
        few, families = rows.slice(0, 200), {"visits": "coming", "channel": "coming", "noise": "noise"}
        told = reasons(trained.pipeline, few, schema=PLAIN, background=trained.background, words=WORDS)
        as_one = reasons(
            trained.pipeline, few, schema=PLAIN, background=trained.background, words=WORDS, families=families
        )
        about_coming = [[one for one in row if "visit" in one] for row in (*told, *as_one)]
        assert max(map(len, about_coming[:200])) == 2
        assert max(map(len, about_coming[200:])) == 1

    def test_of_trees_they_are_differences_to_replaced_features(self, boosted):
        rows = crossed(5).slice(0, 200)
        described = boosted.background["features"]
        moved = propensity._contributions(boosted.pipeline, prepare(rows, schema=PLAIN), described)
        inner = getattr(boosted.pipeline, "calibrated_classifiers_", None)
        pipeline = boosted.pipeline if inner is None else inner[0].estimator.estimator
        logits = pipeline.decision_function(prepare(rows, schema=PLAIN))
        for place, (name, spread) in enumerate(described.items()):
            instead = [
                pipeline.decision_function(
                    prepare(replaced(rows, name, pa.array([value] * rows.num_rows)), schema=PLAIN)
                )
                for value in spread["references"]
            ]
            assert moved[:, place] == pytest.approx(logits - np.mean(instead, axis=0), abs=1e-9)

    def test_shares_numbers_and_missing_values_are_worded(self):
        say = propensity._Words("evening_share", "share of visits in the evening", np.array([0.4]))
        assert say(0, True) == "share of visits in the evening: 40% (raises)"
        values = np.array([1234.0, 2.345, np.nan, 92.0])
        say = propensity._Words("days_since_call", "days since a call|92=no call in the last 91 days", values)
        assert [say(row, False) for row in range(4)] == [
            "1,234 days since a call (lowers)",
            "2.35 days since a call (lowers)",
            "days since a call: unknown (lowers)",
            "no call in the last 91 days (lowers)",
        ]


class TestDrift:
    def test_index_by_hand(self):
        """Siddiqi's sum over bins, half a row added to each."""
        background = {"features": {"visits": {"edges": [1.0, 3.0], "counts": [50, 30, 20, 0]}}}
        now = pa.table({"visits": [0.0] * 200 + [2.0] * 100 + [9.0] * 100})
        table = drift(background, now, schema=FeatureSchema(numeric=("visits",), categorical=()))
        then, today = np.array([50.5, 30.5, 20.5]) / 101.5, np.array([200.5, 100.5, 100.5]) / 401.5
        expected = sum((b - a) * np.log(b / a) for a, b in zip(then, today, strict=True))
        assert table.to_pylist() == [{"feature": "visits", "psi": pytest.approx(expected, abs=1e-12)}]

    def test_the_training_rows_have_not_moved_and_other_rows_have(self, rows, trained):
        learned = rows.filter(pc.field("snapshot_date") <= trained.training_to)
        chances = predict(trained.pipeline, learned, schema=PLAIN)
        still = drift(trained.background, learned, schema=PLAIN, probabilities=chances)
        assert set(still["feature"].to_pylist()) == {"visits", "noise", "channel", "probability"}
        assert max(still["psi"].to_pylist()) < 1e-9
        busier = replaced(learned, "visits", pc.add(learned["visits"], 3))
        chances = predict(trained.pipeline, busier, schema=PLAIN)
        moved = drift(trained.background, busier, schema=PLAIN, probabilities=chances)
        assert set(moved["feature"].to_pylist()[:2]) == {"visits", "probability"}
        assert moved["psi"][1].as_py() > 0.25
        assert max(moved["psi"].to_pylist()[2:]) < 1e-9
        faxed = replaced(learned, "channel", pa.array(["fax"] * learned.num_rows))
        assert drift(trained.background, faxed, schema=PLAIN)["feature"][0].as_py() == "channel"

    def test_few_rows_say_nothing(self, rows, trained):
        assert drift(trained.background, rows.slice(0, 199), schema=PLAIN).num_rows == 0
        assert drift(trained.background, rows.slice(0, 200), schema=PLAIN).num_rows == 3


def test_pictures_are_drawn(trained, boosted):
    from ml.figures import draw_calibration, draw_importance

    for one in (trained, boosted):
        for figure in (draw_calibration(one), draw_importance(one)):
            figure.canvas.draw()
            assert len(figure.axes) >= 1
    assert "slope" in draw_calibration(trained).axes[0].get_title(loc="left")
