"""Sequential patterns against slow plain searches, published examples, and outcomes that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.stats import beta, fisher_exact, norm

from ml.patterns import CONVERTED, LOST, OPEN, find_patterns, lift, mine, stratified_test
from tests.ml.paths import drawn, paths_of, plainly_counted


def plainly_mined(sequences: Sequence[Sequence[int]], *, least: int, longest: int) -> dict[tuple[int, ...], int]:
    """Every subsequence of every sequence, written out and counted."""
    found: dict[tuple[int, ...], int] = {}
    for sequence in sequences:
        for pattern in {part for size in range(1, longest + 1) for part in combinations(sequence, size)}:
            found[pattern] = found.get(pattern, 0) + 1
    return {pattern: support for pattern, support in found.items() if support >= least}


def test_the_published_example_is_mined() -> None:
    """The example of the package prefixspan, whose page lists all patterns on two or more of the sequences."""
    example = [[0, 1, 2, 3, 4], [1, 1, 1, 3, 4], [2, 1, 2, 2, 0], [1, 1, 1, 2, 2]]
    published = {
        **{(0,): 2, (1,): 4, (1, 2): 3, (1, 2, 2): 2, (1, 3): 2, (1, 3, 4): 2, (1, 4): 2},
        **{(1, 1): 2, (1, 1, 1): 2, (2,): 3, (2, 2): 2, (3,): 2, (3, 4): 2, (4,): 2},
    }
    assert dict(mine(paths_of(example), least=2)) == published


@pytest.mark.parametrize("seed", range(8))
def test_mined_are_those_that_a_plain_search_finds(seed: int) -> None:
    sequences = drawn(seed)
    everything = {length: 10_000 for length in range(1, 6)}
    found = mine(paths_of(sequences, 5), least=5, most_of_length=everything)
    assert dict(found) == plainly_mined(sequences, least=5, longest=5)
    supports = [support for _, support in found]
    assert supports == sorted(supports, reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_of_many_patterns_the_most_frequent_of_each_length_are_kept(seed: int) -> None:
    sequences = drawn(seed)
    wanted = {1: 3, 2: 6, 3: 4}
    plain = plainly_mined(sequences, least=2, longest=3)
    for length, most in wanted.items():
        found = [
            support
            for pattern, support in mine(paths_of(sequences, 5), least=2, most_of_length=wanted)
            if len(pattern) == length
        ]
        assert found == sorted((s for p, s in plain.items() if len(p) == length), reverse=True)[:most]


@pytest.mark.parametrize(
    ("on", "whole"), [((3, 9), (20, 25)), ((0, 12), (18, 30)), ((7, 1), (9, 40)), ((5, 5), (9, 9))]
)
def test_few_attempts_are_tested_exactly(on: tuple[int, int], whole: tuple[int, int]) -> None:
    """With one group of length the test is Fisher's."""
    rest = (whole[0] - on[0], whole[1] - on[1])
    p_value, expected, dispersion = stratified_test(np.array([on]), np.array([whole]))
    assert p_value == pytest.approx(fisher_exact([on, rest]).pvalue, rel=1e-9)
    assert expected == pytest.approx(sum(on) * whole[1] / sum(whole))
    assert dispersion == 1.0


def test_many_attempts_are_tested_as_mantel_and_haenszel_do() -> None:
    """Admissions to Berkeley 1973 by department (Bickel et al. 1975): 1.5246 by R's mantelhaen.test, uncorrected."""
    men = [(313, 512), (207, 353), (205, 120), (279, 138), (138, 53), (351, 22)]
    women = [(19, 89), (8, 17), (391, 202), (244, 131), (299, 94), (317, 24)]
    on, whole = np.array(men), np.array(men) + np.array(women)
    p_value, expected, _ = stratified_test(on, whole)
    assert norm.isf(p_value / 2) ** 2 == pytest.approx(1.5246, abs=5e-5)
    assert p_value == pytest.approx(0.2169, abs=5e-5)
    # Of department A: 601 of 933 were admitted, 825 of them asked as men.
    shares = [601 / 933, 370 / 585, 322 / 918, 269 / 792, 147 / 584, 46 / 714]
    assert expected == pytest.approx(sum(sum(m) * share for m, share in zip(men, shares, strict=True)))


def test_few_attempts_in_several_groups_are_tested_by_all_their_tables() -> None:
    """Every table with the same margins is written out, and the likelihoods of both groups multiplied."""
    on, whole = np.array([[2, 5], [4, 1]]), np.array([[8, 9], [9, 6]])
    chances: dict[int, float] = {}
    for first in range(8):
        for second in range(6):
            ways = 1.0
            for converted_on, (lost_here, converted_here), (lost, converted) in zip(
                (first, second), on.tolist(), whole.tolist(), strict=True
            ):
                size = lost_here + converted_here
                ways *= comb(converted, converted_on) * comb(lost, size - converted_on) / comb(lost + converted, size)
            chances[first + second] = chances.get(first + second, 0.0) + ways
    observed = chances[6]
    plain = sum(chance for chance in chances.values() if chance <= observed * (1 + 1e-7))
    assert stratified_test(on, whole)[0] == pytest.approx(plain, rel=1e-9)


def test_attempts_of_one_person_are_one_draw() -> None:
    on, whole = np.array([[300, 200]]), np.array([[900, 300]])
    alone, _, _ = stratified_test(on, whole)
    variance = 500 * 700 * 300 * 900 / (1200**2 * 1199)
    together, _, dispersion = stratified_test(on, whole, scatter=4 * variance)
    assert dispersion == pytest.approx(4)
    assert norm.isf(together / 2) == pytest.approx(norm.isf(alone / 2) / 2)


def test_the_interval_of_a_lift_holds_the_truth_as_often_as_it_says() -> None:
    """2,000 journeys of 600 attempts, 200 of them on the pattern: between 93.5 and 96.5 % of the intervals."""
    rng = np.random.default_rng(11)
    truth = 0.5 / (200 / 600 * 0.5 + 400 / 600 * 0.3)
    held = 0
    for _ in range(2_000):
        on, off = rng.binomial(200, 0.5), rng.binomial(400, 0.3)
        value, low, high = lift(on, 200, on + off, 600)
        assert value == pytest.approx(on / 200 / ((on + off) / 600))
        held += low <= truth <= high
    assert 0.935 <= held / 2_000 <= 0.965


def test_the_interval_of_a_lift_of_nothing_is_not_nothing() -> None:
    value, low, high = lift(0, 40, 100, 200)
    assert (value, low) == (0, 0)
    assert 0 < high < 1
    assert np.isnan(lift(0, 40, 0, 200)).all()


def found(sequences: list[list[int]], statuses: np.ndarray, *, days: np.ndarray | None = None, **given) -> list[dict]:
    paths = paths_of(sequences, 6)
    defaults = {
        "persons": np.arange(len(sequences)),
        "order": np.random.default_rng(3).permutation(len(sequences)),
        "as_of_day": 400,
        "start_items": [0],
        "recount": plainly_counted,
    }
    steps = np.full(len(paths.items), 300) if days is None else days
    return find_patterns(paths, statuses=statuses, days=steps, **{**defaults, **given}).to_pylist()


def independent_paths(rng: np.random.Generator, attempts: int = 400) -> list[list[int]]:
    """Each of five items with a chance of its own, in their order: whether one is there says nothing of the others."""
    there = rng.random((attempts, 5)) < np.array([0.15, 0.3, 0.4, 0.5, 0.25])
    return [np.flatnonzero(row).tolist() for row in there]


def test_outcomes_that_mean_nothing_are_seldom_told_as_meaning_something() -> None:
    """200 replicates, seeds 0 to 199: how often anything at all is shown must be compatible with 5 % or less."""
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = found(independent_paths(rng), rng.permutation(np.repeat([LOST, CONVERTED], [240, 160])))
        assert len(rows) >= 20
        alarms += any(row["verdict"].startswith("converts") for row in rows)
    assert beta.ppf(0.025, alarms, 200 - alarms + 1) <= 0.05, f"{alarms} of 200"


def test_of_what_is_shown_few_are_nulls() -> None:
    """At each of three places an attempt passes one of two items; that at the first place decides, the others do not.

    All paths are of one length, so patterns without the first place are nulls and all others are none. Seeds 1000 to
    1199: the mean share of nulls among what is shown must be compatible with 5 % or less.
    """
    shares, powers = [], []
    for seed in range(1_000, 1_200):
        rng = np.random.default_rng(seed)
        chosen = np.arange(0, 6, 2) + rng.integers(0, 2, (400, 3))
        converts = rng.random(400) < np.where(chosen[:, 0] == 0, 0.6, 0.35)
        rows = found(chosen.tolist(), np.where(converts, CONVERTED, LOST))
        shown = [row["pattern"] for row in rows if row["verdict"].startswith("converts") and row["kind"] == "pattern"]
        shares.append(sum(min(pattern) >= 2 for pattern in shown) / max(1, len(shown)))
        powers.append([0] in shown and [1] in shown)
    assert np.mean(powers) > 0.9
    assert np.mean(shares) - 1.96 * np.std(shares, ddof=1) / np.sqrt(200) <= 0.05


def test_long_paths_hold_more_patterns_and_that_alone_is_told_as_such() -> None:
    """Length decides: paths of five convert at 60 %, of two at 20 %, and what is on them is drawn by lot."""
    rng = np.random.default_rng(8)
    lengths = rng.choice([2, 5], 3_000)
    sequences = [rng.choice(6, length, replace=False).tolist() for length in lengths]
    converts = rng.random(3_000) < np.where(lengths == 5, 0.6, 0.2)
    rows = {
        tuple(row["pattern"]): row
        for row in found(sequences, np.where(converts, CONVERTED, LOST))
        if row["kind"] == "pattern" and len(row["pattern"]) == 1
    }
    assert len(rows) == 6
    for row in rows.values():
        assert row["lift"] > 1.1
        assert row["length_adjusted_lift"] == pytest.approx(1, abs=0.06)
        assert row["verdict"] == "no difference shown"


def test_where_the_lift_says_the_contrary_it_depends_on_length() -> None:
    """Of 1,000 short attempts 300 convert, of 1,000 long ones 800: 700 of 900 with item 1, and 100 of 100 with item 4.

    Whoever passes item 1 converts less than attempts of like length, and more than all.
    """
    short = [[0]] * 1_000
    long = [[2, 3, 1]] * 900 + [[2, 3, 4]] * 100
    ended = [CONVERTED] * 300 + [LOST] * 700 + [CONVERTED] * 700 + [LOST] * 200 + [CONVERTED] * 100
    rows = {(row["kind"], *row["pattern"]): row for row in found(short + long, np.array(ended))}
    less, more = rows["pattern", 1], rows["pattern", 4]
    assert less["lift"] == pytest.approx(7 / 9 / 0.55) and less["lift_low"] > 1
    assert less["length_adjusted_lift"] == pytest.approx(7 / 9 / 0.8) and less["q_value"] < 0.05
    assert less["verdict"] == "depends on length"
    assert more["length_adjusted_lift"] == pytest.approx(1.25) and more["verdict"] == "converts more"
    # All the other way round: what converted is lost.
    other = np.where(np.array(ended) == CONVERTED, LOST, CONVERTED)
    rows = {(row["kind"], *row["pattern"]): row for row in found(short + long, other)}
    more, less = rows["pattern", 1], rows["pattern", 4]
    assert more["lift_high"] < 1 < more["length_adjusted_lift"] and more["verdict"] == "depends on length"
    assert less["verdict"] == "converts less"


def test_few_attempts_are_shown_and_not_judged_and_open_ones_are_in_no_conversion() -> None:
    """29 attempts on item 1, 30 on item 2, and five open ones on both."""
    sequences = [[1]] * 29 + [[2]] * 30 + [[0]] * 60 + [[1, 2]] * 5
    statuses = np.array([CONVERTED] * 20 + [LOST] * 9 + [CONVERTED] * 30 + [LOST] * 60 + [OPEN] * 5)
    rows = {(row["kind"], *row["pattern"]): row for row in found(sequences, statuses)}
    few, enough = rows["pattern", 1], rows["pattern", 2]
    assert (few["attempt_count"], few["open_count"], few["verdict"], few["p_value"]) == (29, 5, "too few", None)
    assert few["conversion_rate"] == pytest.approx(20 / 29)
    assert (enough["attempt_count"], enough["converted_count"], enough["verdict"]) == (30, 30, "converts more")
    assert enough["support_rate"] == pytest.approx(35 / 124)
    assert enough["base_conversion_rate"] == pytest.approx(50 / 119)
    assert enough["lift"] == pytest.approx(119 / 50)
    assert ("pattern", 1, 2) not in rows, "only open attempts are on it"


def test_what_is_new_this_month_and_where_nobody_was_expected_is_called_out() -> None:
    """As of day 400: item 4 was never met before day 371, item 5 was, and entries that are rare so far stand out."""
    sequences = [[0, 1]] * 200 + [[1, 5]] * 5 + [[0, 4]] * 15 + [[4]] * 12
    paths = paths_of(sequences, 6)
    statuses = np.array([CONVERTED, LOST] * 116)
    days = np.repeat([300] * 200 + [310] * 5 + [380] * 15 + [390] * 12, paths.lengths)
    rows = {(row["kind"], *row["pattern"]): row for row in found(sequences, statuses, days=days)}
    assert rows["pattern", 4]["is_new"] and rows["pattern", 4]["first_day"] == 380
    assert rows["pattern", 0, 4]["is_new"]
    assert not rows["pattern", 0]["is_new"]
    assert rows["entry", 4]["is_unexpected"] and rows["entry", 4]["is_new"]
    assert rows["entry", 1]["is_unexpected"], "5 of 205 so far"
    assert not rows["entry", 0]["is_unexpected"], "the journey starts there"
    # Where all is younger than two months nothing can be said to be new.
    late = {(row["kind"], *row["pattern"]): row for row in found(sequences, statuses, days=days, as_of_day=350)}
    assert not any(row["is_new"] for row in late.values())


def test_the_order_of_the_attempts_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    sequences = independent_paths(rng)
    statuses = rng.integers(0, 3, 400)
    order = rng.permutation(400)
    shuffled = rng.permutation(400)
    one = found(sequences, statuses, order=order)
    other = found([sequences[i] for i in shuffled], statuses[shuffled], order=order[shuffled])
    assert [row["pattern"] for row in one] == [row["pattern"] for row in other]
    for row, like in zip(one, other, strict=True):
        # Sums over persons may differ in their last digits with the persons' order.
        assert row == {key: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for key, v in like.items()}


def test_without_ended_attempts_there_is_nothing_to_find() -> None:
    assert found([[0, 1], [1]], np.array([OPEN, OPEN])) == []
