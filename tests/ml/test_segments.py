"""Segments against types drawn here, scipy's likelihood and cases worked by hand."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import skops.io as sio
from scipy.special import logsumexp
from scipy.stats import dirichlet_multinomial
from sklearn.metrics import adjusted_rand_score

from ml import segments
from ml.propensity import NotTrainable
from ml.registry import TRUSTED
from ml.segments import LatentClasses, assign, compare, describe, draw_segments, fit, match, unknown_share

# Shares of three types; a device is a person's own affair, whatever the type.
TYPES = {
    "page": {
        "pricing": (0.50, 0.15, 0.15),
        "docs": (0.15, 0.50, 0.15),
        "blog": (0.15, 0.15, 0.50),
        "home": (0.20, 0.20, 0.20),
    },
    "feature": {
        "board": (0.6, 0.1, 0.3),
        "reports": (0.1, 0.6, 0.3),
        "files": (0.3, 0.3, 0.4),
    },
    "contact": {"chat": (0.8, 0.2, 0.5), "call": (0.2, 0.8, 0.5)},
}
DEVICES = ("desktop", "mobile")


def drawn(*, people=600, seed=1, types=(0.5, 0.3, 0.2), busiest=300):
    """People of planted types as (type of each person, profiles); some are fifty times as busy as others."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(len(types), people, p=types)
    rows = []
    for number, own in enumerate(kind):
        person = f"p{number:04}"
        busy = rng.uniform(0.03, 1) ** 2 * busiest
        for block, actions in TYPES.items():
            shares = rng.dirichlet(40 * np.array([share[own] for share in actions.values()]))
            times = rng.multinomial(rng.poisson(busy / (10 if block == "contact" else 1)), shares)
            rows += [(person, block, action, count) for action, count in zip(actions, times, strict=True) if count]
        on_desktop = rng.binomial(int(busy) + 1, rng.beta(0.2, 0.2))
        for device, count in zip(DEVICES, (on_desktop, int(busy) + 1 - on_desktop), strict=True):
            rows.append((person, "device", device, count))
    return kind, as_table(rows)


def as_table(rows):
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    types = (pa.string(), pa.string(), pa.string(), pa.int64())
    names = ("person", "block", "action", "count")
    return pa.table({n: pa.array(list(c), t) for n, c, t in zip(names, columns, types, strict=True)})


def number_of(person):
    return int(person[1:])


@pytest.fixture(scope="module")
def planted():
    return drawn()


@pytest.fixture(scope="module")
def found(planted):
    return fit(planted[1])


def agreement(kind, assignment):
    own = [kind[number_of(person)] for person in assignment["person"].to_pylist()]
    return adjusted_rand_score(own, assignment["segment"].to_pylist())


def test_planted_types_are_found_and_how_many_there_are(planted, found):
    kind, profiles = planted
    assert found.segment_count == 3
    assert found.stability > 0.8
    assert found.person_count + found.left_out_count == 600
    assert agreement(kind, assign(found.estimator, profiles)) > 0.85
    # The largest comes first.
    assert found.estimator.weights_.tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.05)
    [chosen] = found.criteria.filter(found.criteria["is_chosen"]).to_pylist()
    assert chosen["segment_count"] == 3
    assert chosen["stability"] == pytest.approx(found.stability)


def test_a_block_in_which_each_is_a_world_apart_hardly_counts(found):
    """Devices were drawn with concentration 0.4, the rest with 40."""
    blocks = list(dict.fromkeys(found.estimator.blocks))
    concentration = dict(zip(blocks, found.estimator.concentrations_, strict=True))
    assert concentration["device"] == pytest.approx(0.4, rel=0.2)
    assert concentration["page"] == pytest.approx(40, rel=0.3)
    assert concentration["feature"] == pytest.approx(40, rel=0.3)


def joint(model, counts):
    """Log likelihood of rows and segments by scipy."""
    sums = np.tile(np.log(model.weights_), (len(counts), 1))
    for number, block in enumerate(dict.fromkeys(model.blocks)):
        own = counts[:, [name == block for name in model.blocks]]
        for segment in range(model.segment_count):
            alpha = model.means_[segment, [name == block for name in model.blocks]] * model.concentrations_[number]
            sums[:, segment] += [dirichlet_multinomial.logpmf(row, alpha, row.sum()) for row in own]
    return sums


def test_likelihood_is_that_of_scipy(found):
    """Up to the coefficients, which are the same whatever the segment."""
    counts = np.random.default_rng(3).poisson(5, (7, len(found.estimator.actions)))
    own = joint(found.estimator, counts)
    chances = np.exp(own - logsumexp(own, axis=1, keepdims=True))
    np.testing.assert_allclose(found.estimator.predict_proba(counts), chances, rtol=1e-7)


def test_neither_the_order_of_rows_nor_names_matter(planted, found):
    _, profiles = planted
    renamed = pa.array([f"x{997 * number_of(person) % 600:04}" for person in profiles["person"].to_pylist()])
    mixed = profiles.set_column(0, "person", renamed).take(np.random.default_rng(5).permutation(len(profiles)))
    # A row in two parts is the same row.
    halves = [mixed.set_column(3, "count", pc.shift_right(mixed["count"], 1))]
    halves.append(mixed.set_column(3, "count", pc.subtract(mixed["count"], halves[0]["count"])))
    again = fit(pa.concat_tables(halves))
    assert again.criteria == found.criteria
    np.testing.assert_array_equal(again.estimator.means_, found.estimator.means_)
    before = assign(found.estimator, profiles).to_pylist()
    now = {row["person"]: row for row in assign(again.estimator, mixed).to_pylist()}
    for row in before:
        same = now[f"x{997 * number_of(row['person']) % 600:04}"]
        assert (same["segment"], same["certainty"]) == (row["segment"], pytest.approx(row["certainty"]))
    assert len(now) == len(before)


def test_retrained_on_other_people_nearly_everyone_stays(planted, found):
    """Bootstrapped: people drawn with replacement."""
    _, profiles = planted
    rng = np.random.default_rng(8)
    by_person = {}
    for row in profiles.to_pylist():
        by_person.setdefault(row["person"], []).append((row["block"], row["action"], row["count"]))
    drawn_people = rng.choice(sorted(by_person), len(by_person))
    rows = [(f"q{n}", *row) for n, person in enumerate(drawn_people) for row in by_person[person]]
    again = fit(as_table(rows), seed=1)
    assert again.segment_count == 3
    old, new = assign(found.estimator, profiles), assign(again.estimator, profiles)
    ids = match(pa.table({"person": old["person"], "segment": [f"S{n + 1}" for n in old["segment"].to_pylist()]}), new)
    assert sorted(ids.values()) == ["S1", "S2", "S3"]
    stays = [ids[n] == f"S{o + 1}" for n, o in zip(new["segment"].to_pylist(), old["segment"].to_pylist(), strict=True)]
    assert np.mean(stays) >= 0.95


def test_people_who_do_not_differ_in_kind_give_no_segments():
    _, profiles = drawn(people=400, types=(1.0,))
    with pytest.raises(NotTrainable, match="People do not differ in kind"):
        fit(profiles)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "0 of 0 did"),
        ([("a", "page", "docs", 30), ("a", "page", "blog", 30), ("b", "page", "docs", 19)], "1 of 2 did"),
        # One action in all: nothing sets people apart.
        ([(f"p{n}", "page", "docs", 50) for n in range(300)], "0 of 300 did"),
    ],
)
def test_too_little_to_learn_from_is_said(rows, words):
    with pytest.raises(NotTrainable, match=words) as told:
        fit(as_table(rows))
    assert "more weeks of history" in str(told.value)


def test_skops_gives_back_the_same_model(planted, found):
    stored = sio.dumps(found.estimator)
    assert sio.get_untrusted_types(data=stored) == ["ml.segments.LatentClasses"]
    loaded = sio.loads(stored, trusted=TRUSTED)
    assert loaded.get_params() == found.estimator.get_params()
    assert assign(loaded, planted[1]) == assign(found.estimator, planted[1])


def two_segments():
    """A model made by hand: readers of docs on desktop, readers of pricing on mobile."""
    blocks = ["device"] * 3 + ["page"] * 3
    actions = ["desktop", "mobile", "other", "docs", "pricing", "other"]
    model = LatentClasses(2, blocks=blocks, actions=actions)
    model.weights_ = np.array([0.5, 0.5])
    model.means_ = np.array([[0.8, 0.1, 0.1, 0.8, 0.1, 0.1], [0.1, 0.8, 0.1, 0.1, 0.8, 0.1]])
    model.concentrations_ = np.array([2.0, 50.0])
    return model


def test_unknown_actions_are_other_and_unknown_blocks_nothing():
    model = two_segments()
    known = [("a", "page", "docs", 20), ("a", "page", "other", 7), ("b", "page", "pricing", 20)]
    new = [("a", "page", "docs", 20), ("a", "page", "jobs", 4), ("a", "page", "press", 3), ("b", "page", "pricing", 20)]
    new += [("b", "weather", "rain", 500), ("c", "weather", "sun", 500), ("d", "page", "docs", -40)]
    assert assign(model, as_table(new)) == assign(model, as_table(known))
    assert assign(model, as_table(new))["segment"].to_pylist() == [0, 1]
    assert assign(model, as_table([])).num_rows == 0
    assert assign(model, as_table([("a", "page", "docs", 3)])).num_rows == 0


def test_who_did_less_than_twenty_things_is_left_out():
    rows = [("a", "page", "docs", 19), ("b", "page", "docs", 19), ("b", "device", "desktop", 1)]
    assert assign(two_segments(), as_table(rows))["person"].to_pylist() == ["b"]


def test_people_are_sorted_the_same_some_at_a_time(planted, found, monkeypatch):
    whole = assign(found.estimator, planted[1])
    monkeypatch.setattr(segments, "PEOPLE_AT_A_TIME", 7)
    parts = assign(found.estimator, planted[1])
    assert parts.select(["person", "segment"]).equals(whole.select(["person", "segment"]))
    np.testing.assert_allclose(parts["certainty"], whole["certainty"])


def test_what_a_model_does_not_know_is_measured_within_its_blocks():
    """Two of eight page views; the weather is no block of the model's, and ``other`` it knows."""
    rows = [("a", "page", "docs", 5), ("b", "page", "other", 1), ("b", "page", "jobs", 2), ("b", "weather", "rain", 90)]
    assert unknown_share(two_segments(), as_table(rows)) == 0.25
    assert unknown_share(two_segments(), as_table([])) == 0.0


@pytest.fixture(scope="module")
def held():
    """People of the same types whom no model has seen."""
    return drawn(people=300, seed=2)[1]


def test_a_model_is_better_only_beyond_noise(planted, found, held):
    model = found.estimator
    same_words = fit(planted[1].slice(0, len(planted[1]) // 2), vocabulary=model).estimator
    assert (same_words.blocks, same_words.actions) == (model.blocks, model.actions)
    coarse = LatentClasses(1, blocks=model.blocks, actions=model.actions)
    counts = np.concatenate([part for _, part in segments._count(planted[1], model.blocks, model.actions)])
    coarse.fit(counts, np.ones((len(counts), 1)))
    better, worse = compare(coarse, model, held), compare(model, coarse, held)
    assert better.is_better and better.low > 0
    assert not worse.is_better
    assert worse.gain == pytest.approx(-better.gain)
    assert not compare(model, model, held).is_better
    # Half as many people to learn from make no better one.
    assert not compare(model, same_words, held).is_better
    assert not compare(model, model, held.slice(0, 0)).is_better


def test_gain_is_that_of_scipys_likelihood(found):
    """What the coefficients add is the same for every model, so it drops out of the difference."""
    model, rng = found.estimator, np.random.default_rng(4)
    other = LatentClasses(1, blocks=model.blocks, actions=model.actions)
    counts = rng.poisson(5, (6, len(model.actions)))
    other.fit(counts, np.ones((6, 1)))
    gain = other.score_samples(counts) - model.score_samples(counts)
    np.testing.assert_allclose(gain, logsumexp(joint(other, counts), axis=1) - logsumexp(joint(model, counts), axis=1))


def sorted_into(groups):
    rows = [(person, segment) for segment, people in groups.items() for person in people]
    return pa.table({"person": [person for person, _ in rows], "segment": [segment for _, segment in rows]})


@pytest.mark.parametrize(
    ("old", "new", "used", "ids"),
    [
        # Each stays; who is new or gone does not count.
        ({"S1": "abcd", "S2": "efgh"}, {0: "efghXYZ", 1: "abc"}, (), {0: "S2", 1: "S1"}),
        # S1 comes apart: three of four go on as S1, one is alone and new; S3 once was and is not given again.
        ({"S1": "abcd", "S2": "efgh"}, {0: "abc", 1: "d", 2: "efgh"}, ("S3",), {0: "S1", 1: "S4", 2: "S2"}),
        # S2 goes into S1: 4 of 6 in common with S1 and the id of S2 rests.
        ({"S1": "abcd", "S2": "ef"}, {0: "abcdef"}, (), {0: "S1"}),
        # Half and half: a Jaccard of a half is not above it, both are new.
        ({"S1": "abcd"}, {0: "ab", 1: "cd"}, (), {0: "S2", 1: "S3"}),
        # The greatest overlap in all: 0 has 3/5 of S1 and 1 the rest of it; 1 has 4/6 of S2.
        ({"S1": "abcde", "S2": "fghi"}, {0: "abc", 1: "defghi"}, (), {0: "S1", 1: "S2"}),
        # The first of all.
        ({}, {0: "ab", 1: "cd"}, (), {0: "S1", 1: "S2"}),
        ({}, {0: "ab"}, ("S9", "S10"), {0: "S11"}),
    ],
)
def test_ids_go_on_where_more_than_half_overlaps(old, new, used, ids):
    before = (
        sorted_into(old)
        if old
        else pa.table({"person": pa.array([], pa.string()), "segment": pa.array([], pa.string())})
    )
    assert match(before, sorted_into(new), used=used) == ids


def test_segments_are_told_by_what_sets_them_apart():
    """Ninety people each; shares with ten average people: docs (90 × 0.9 + 10 × 0.5) / 100 = 86 %, others 14 %."""
    rows = []
    for n in range(90):
        rows += [(f"a{n}", "page", "docs", 18), (f"a{n}", "page", "pricing", 2), (f"a{n}", "device", "desktop", 10)]
        rows += [(f"b{n}", "page", "docs", 2), (f"b{n}", "page", "pricing", 18), (f"b{n}", "device", "desktop", 4)]
        rows += [(f"b{n}", "device", "mobile", 6)]
    profiles = as_table(rows)
    told = describe(two_segments(), profiles)
    # Desktop: (90 × 1 + 10 × 0.7) / 100 = 97 %, others (90 × 0.4 + 7) / 100 = 43 %. The greater difference of roots is
    # first: 0.93 - 0.37 = 0.55 (docs, pricing) before 0.98 - 0.66 = 0.33 (desktop), after 0.75 - 0.17 = 0.58 (mobile).
    assert told == [
        ("Docs readers on desktop", "Reads docs (86%, others 14%); is on desktop (97%, others 43%)."),
        ("Mobile visitors reading pricing", "Is on mobile (57%, others 3%); reads pricing (86%, others 14%)."),
    ]
    figure = draw_segments(two_segments(), profiles, [name for name, _ in told])
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["device: desktop", "device: mobile", "page: docs", "page: pricing"]
    heads = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert heads == ["Docs readers on\ndesktop\n50%", "Mobile visitors\nreading pricing\n50%"]
    assert [text.get_text() for text in figure.axes[0].texts][:4] == ["97%", "43%", "3%", "57%"]


def test_names_differ_even_when_segments_hardly_do():
    model = two_segments()
    everyone = as_table([(f"a{n}", "page", "docs", 20) for n in range(50)])
    names = [name for name, _ in describe(model, everyone)]
    assert len(set(names)) == 2


def test_planted_names_are_short_and_differ(planted, found):
    told = describe(found.estimator, planted[1])
    names = [name for name, _ in told]
    assert len(set(names)) == 3
    assert all(len(name.split()) <= 5 for name in names)
    assert "pricing" in told[0][1] and "docs" in told[1][1] and "blog" in told[2][1]
